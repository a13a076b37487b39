# The PostgreSQL front end with a fake session: it is compiled into the test, without the rest of the router.
set(SHERD_FRONTEND ${CMAKE_SOURCE_DIR}/router/frontend)
sherd_test(test_pgwire
  SOURCES ${CMAKE_CURRENT_LIST_DIR}/test_pgwire.c ${CMAKE_CURRENT_LIST_DIR}/fake_session.c
          ${SHERD_FRONTEND}/conn.c ${SHERD_FRONTEND}/encode.c ${SHERD_FRONTEND}/input.c
          ${SHERD_FRONTEND}/listen.c ${SHERD_FRONTEND}/query.c ${SHERD_FRONTEND}/scram.c
          ${SHERD_FRONTEND}/startup.c
  LINK sherd::base sherd::sql sherd::api_proto PkgConfig::OPENSSL
  PRIVATE_INCLUDE ${SHERD_FRONTEND} ${CMAKE_SOURCE_DIR}/router/include
                  ${CMAKE_SOURCE_DIR}/metadata/include ${CMAKE_SOURCE_DIR}/replication/include
                  ${CMAKE_SOURCE_DIR}/api/include)
