# Tests of the expression half of sql/.
foreach(subject expr func resolve agg operator fragment)
  sherd_test(test_sql_${subject} SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_${subject}.c
             LINK sherd::sql PRIVATE_INCLUDE ${CMAKE_CURRENT_LIST_DIR} ${PROJECT_SOURCE_DIR}/sql)
endforeach()
