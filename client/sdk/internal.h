/*
 * Inside of libsherd. A sherd_error is a struct status, a connection is a gRPC channel to one
 * router with a session on it, a result is the running Execute stream.
 */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include "api/grpc_sync.h"
#include "base/list.h"
#include "sherd.h"
#include "sherd/v1/sql.pb-c.h"

#include <pthread.h>

#define SESSION_BYTES_MAX 64

struct endpoint {
    char *host;
    uint16_t port;
};

struct prepared {
    struct list link;
    char *name;
    char *sql;
    uint32_t *types;
    size_t type_count;
    bool is_known; /* by the present session */
};

struct sherd_connection {
    struct endpoint *endpoints;
    int endpoint_count;
    int endpoint; /* the one in use, or the last one */
    char *user;
    char *password; /* or NULL */
    char *database;
    uint32_t connect_timeout_ms;
    char **settings; /* name, value, ... */
    size_t setting_count;
    void (*on_notice)(void *ctx, const sherd_error *notice);
    void *notice_ctx;

    struct grpc_sync *rpc; /* NULL: not connected */
    char *server_version;
    char address[320];
    enum sherd_transaction transaction;
    bool
        is_lost; /* a transaction was open when the connection went: it must be rolled back first */
    struct list prepared;
    sherd_result *result; /* not freed yet */

    pthread_mutex_t lock; /* guards what follows against sherd_cancel() of another thread */
    const struct endpoint *session_endpoint;
    uint8_t session[SESSION_BYTES_MAX];
    size_t session_len;
};

static inline sherd_error *to_error(struct status *st)
{
    return (sherd_error *)st;
}
static inline struct status *to_status(sherd_error *e)
{
    return (struct status *)e;
}

/* error.c */
/* The connection is gone: the next call makes a new one. */
bool error_is_disconnect(const struct status *st);
/* The server has no such session (any more): nothing was done. */
bool error_is_no_session(const struct status *st);

/* connection.c */
struct status *connection_ensure(sherd_connection *c) STATUS_MUST_CHECK;
/* Forgets server and session. */
void connection_drop(sherd_connection *c);
ProtobufCBinaryData connection_session(sherd_connection *c);

/* statement.c */
/* Runs sql, drops rows; *out_tag (16 bytes, may be NULL) is the last statement's tag. */
struct status *run_simple(sherd_connection *c, const char *sql, char *out_tag) STATUS_MUST_CHECK;
struct status *prepared_ensure(sherd_connection *c, struct prepared *p) STATUS_MUST_CHECK;

#endif
