# The PostgreSQL wire protocol.
list(APPEND ROUTER_SOURCES
  frontend/conn.c
  frontend/encode.c
  frontend/input.c
  frontend/listen.c
  frontend/query.c
  frontend/scram.c
  frontend/startup.c)
