/* Every limit of the PostgreSQL front end. */
#ifndef ROUTER_FRONTEND_FRONTEND_LIMITS_H
#define ROUTER_FRONTEND_FRONTEND_LIMITS_H

#define STARTUP_BYTES_MAX 10000u            /* a startup packet, and any message before login */
#define MESSAGE_BYTES_MAX ((size_t)1 << 30) /* a longer length is taken for garbage */
#define MESSAGE_SLACK_BYTES ((size_t)1024)  /* above statement_mb: names, parameter types */
#define LOGIN_TIMEOUT_MS 60000u
#define PIPELINE_BYTES_MAX                                                                         \
    ((size_t)1 << 20)                       /* waiting while a statement runs: then reading stops */
#define OUT_FLUSH_BYTES ((size_t)64 << 10)  /* results go out in pieces of about this size */
#define OUT_PENDING_MAX ((size_t)1 << 20)   /* not taken by the kernel: then the statement waits */
#define IDLE_BUFFER_BYTES ((size_t)4 << 10) /* what an idle connection may keep */
#define MESSAGES_PER_TURN 64                /* then others may run */
#define SOCKETS_BEYOND_SESSIONS 64u         /* logging in or cancelling, above connections_max */
#define PARAMETERS_MAX 65535

#endif
