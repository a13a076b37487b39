/*
 * A SQL session: settings, transaction state, prepared statements, portals. The front ends
 * (PostgreSQL wire protocol, gRPC Sql) drive it and receive results through a sink.
 *
 * One request at a time: the front end serializes calls of one session. session_cancel() may come
 * at any time.
 */
#ifndef ROUTER_SESSION_H
#define ROUTER_SESSION_H

#include "router/plan.h"

struct router;
struct session;

/* How results leave. All functions run on the session's fiber; rows() may park for back-pressure.
 */
struct sink {
    /* Before the rows of a statement that returns rows (not called in session_execute of a
     * described portal when the front end passed want_columns = false). */
    struct status *(*columns)(struct fiber *f, struct sink *s, const struct plan_column *cols,
                              int ncols);
    struct status *(*rows)(struct fiber *f, struct sink *s, const struct batch *b);
    struct status *(*complete)(struct fiber *f, struct sink *s, const char *tag); /* "SELECT 3" */
    struct status *(*empty)(struct fiber *f, struct sink *s);                     /* empty query */
    void (*notice)(struct sink *s, const struct status *st, const char *severity);
    /* A setting that clients watch changed (client_encoding, TimeZone, ...). */
    void (*parameter)(struct sink *s, const char *name, const char *value);
    /* COPY FROM: tells the client to send; copy_read gives the next bytes (valid until the next
     * call), len 0 = end; an error when the client failed the copy (57014). NULL: COPY is not
     * possible here (0A000). */
    struct status *(*copy_in)(struct fiber *f, struct sink *s, const struct copy_spec *spec);
    struct status *(*copy_read)(struct fiber *f, struct sink *s, struct slice *out);
    /* COPY TO: begin, then data chunks (whole lines), then end. */
    struct status *(*copy_out)(struct fiber *f, struct sink *s, const struct copy_spec *spec);
    struct status *(*copy_write)(struct fiber *f, struct sink *s, struct slice data);
    struct status *(*copy_end)(struct fiber *f, struct sink *s);
};

struct session_options {
    struct slice user, database, application_name;
    const char *client; /* "127.0.0.1:5555": for logs and pg_stat_activity */
};

/* 3D000 for an unknown database, 28000 for an unknown role. Settings from the startup packet go
 * through session_set() afterwards. */
struct status *session_open(struct fiber *f, struct router *r, const struct session_options *o,
                            struct session **out) STATUS_MUST_CHECK;
/* Rolls back what is open. */
void session_close(struct fiber *f, struct session *s);
uint32_t session_id(const struct session *s);     /* the "pid" of BackendKeyData */
uint64_t session_secret(const struct session *s); /* cancel key */
/* By id and secret, from another connection; a wrong secret is ignored and counted. */
void session_cancel(struct router *r, uint32_t id, uint64_t secret);
struct status *session_set(struct session *s, struct slice name,
                           struct slice value) STATUS_MUST_CHECK;
/* NULL: no such setting. */
const char *session_setting(struct session *s, const char *name);
char session_txn_status(const struct session *s); /* 'I' idle, 'T' in a transaction, 'E' failed */
/* How long the client may stay silent now; 0 = for ever. *out: what it is told then (FATAL), the
 * caller's. */
uint64_t session_idle_ms(struct session *s, struct status **out);
void session_notice(struct session *s, struct status *st, const char *severity); /* consumes st */

/* Simple query: any number of statements; several without BEGIN are one implicit transaction. An
 * error ends it: it is returned, not sent to the sink. */
struct status *session_simple(struct fiber *f, struct session *s, struct slice sql,
                              struct sink *sink) STATUS_MUST_CHECK;

/* Extended protocol. A prepared statement is owned by the session under its name ("" = unnamed,
 * replaced). */
struct prepared;
struct portal;
struct status *session_prepare(struct fiber *f, struct session *s, struct slice name,
                               struct slice sql, const type_oid *param_types,
                               int nparams) STATUS_MUST_CHECK;
struct prepared *session_prepared(struct session *s,
                                  struct slice name); /* NULL: 26000 is for the caller */
int prepared_params(const struct prepared *p, const type_oid **out);
int prepared_columns(const struct prepared *p, const struct plan_column **out);
void session_close_prepared(struct session *s, struct slice name);
/* The arena in which the front end decodes parameter values for the next bind. */
struct arena *session_bind_arena(struct session *s);
/* Takes the bind arena with the datums. formats: per result column 0 text, 1 binary; opaque to the
 * session, the sink reads them back with portal_formats(). */
struct status *session_bind(struct fiber *f, struct session *s, struct slice portal,
                            struct prepared *p, const struct datum *params, int nparams,
                            const int16_t *formats, int nformats) STATUS_MUST_CHECK;
struct portal *session_portal(struct session *s,
                              struct slice name); /* NULL: 34000 is for the caller */
int portal_columns(const struct portal *p, const struct plan_column **out);
int portal_formats(const struct portal *p, const int16_t **out);
void session_close_portal(struct fiber *f, struct session *s, struct slice name);
/* max_rows 0 = all. *out_suspended: more rows are there (no complete() was sent). */
struct status *session_execute(struct fiber *f, struct session *s, struct portal *p,
                               int64_t max_rows, struct sink *sink,
                               bool *out_suspended) STATUS_MUST_CHECK;
/* The front end sees that Sync follows the next Execute: it is the only statement of its implicit
 * transaction, which may then take the one-call paths. */
void session_expect_sync(struct session *s);
/* Sync: ends an implicit transaction (commit; its error is returned), closes unnamed portals. After
 * an error of any extended call the front end skips to Sync and calls this. */
struct status *session_sync(struct fiber *f, struct session *s) STATUS_MUST_CHECK;
/* After an error outside of a transaction block the implicit transaction is rolled back; inside a
 * block the block is marked failed. The front end calls it once for each error it reports. */
void session_failed(struct fiber *f, struct session *s);

/* The text form of a result value: type_output(), but regclass, regnamespace and regrole by name.
 * Does not park. */
void session_output(struct session *s, type_oid type, const struct datum *d, struct buf *out);

/* eval_ctx.session_call of every execution: functions that need the session (nextval, current_user,
 * current_setting, pg_get_indexdef ...). May park on the current fiber. */
struct status *session_function(struct session *s, const struct plan_env *env,
                                const struct func_def *func, const struct datum *args, int nargs,
                                struct arena *a, struct datum *out) STATUS_MUST_CHECK;

#endif
