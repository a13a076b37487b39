# Parse, analyze, plan, execute: compiled with a catalog, transactions and a session of the tests' own (world.h).
set(ROUTER_SOURCES "")
include(${CMAKE_SOURCE_DIR}/router/plan/sources.cmake)
list(TRANSFORM ROUTER_SOURCES PREPEND ${CMAKE_SOURCE_DIR}/router/)
add_library(test_sql_world STATIC ${ROUTER_SOURCES} ${CMAKE_CURRENT_LIST_DIR}/world.c
            ${CMAKE_CURRENT_LIST_DIR}/fake_txn.c ${CMAKE_CURRENT_LIST_DIR}/fake_catalog.c)
target_include_directories(test_sql_world PUBLIC ${CMAKE_CURRENT_LIST_DIR} ${CMAKE_SOURCE_DIR}/router
                           ${CMAKE_SOURCE_DIR}/router/include ${CMAKE_SOURCE_DIR}/metadata/include)
target_link_libraries(test_sql_world PUBLIC sherd::base sherd::api sherd::sql sherd_ext_pgquery PRIVATE sherd_flags)
foreach(name parse analyze plan exec)
  sherd_test(test_router_${name} SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_${name}.c LINK test_sql_world)
endforeach()
# Not a test by itself: test/sql/run_slt.py --box runs recorded statements in it.
sherd_executable(sql_box SOURCES ${CMAKE_CURRENT_LIST_DIR}/sql_box.c LINK test_sql_world)
