/*
 * libsherd: SQL on a sherd cluster from C and C++.
 *
 *     sherd_connection *db = NULL;
 *     struct sherd_options options = SHERD_OPTIONS_INIT;
 *     options.endpoints = "10.0.0.1:7433,10.0.0.2:7433";
 *     sherd_error *e = sherd_connect(&options, &db);
 *     const char *params[] = {"42"};
 *     sherd_result *r = NULL;
 *     if (!e) e = sherd_execute(db, "SELECT id, name FROM t WHERE id = $1", 1, params, &r);
 *     int has_row = 1;
 *     while (!e && !(e = sherd_next_row(r, &has_row)) && has_row)
 *         puts(sherd_value(r, 1, NULL));
 *     sherd_result_free(r);
 *     if (e) fprintf(stderr, "%s: %s\n", sherd_error_sqlstate(e), sherd_error_message(e));
 *     sherd_error_free(e);
 *     sherd_disconnect(db);
 *
 * Errors. A function that can fail returns a sherd_error, NULL for success; the caller frees it
 * with sherd_error_free(). Outputs are written on success only.
 *
 * Connections. A connection is a session on one router; every router of a cluster serves all data.
 * It is tried at each endpoint in turn until one answers. When it is lost, the call under way
 * fails, and the next one outside a transaction connects again, to any endpoint, with the prepared
 * statements; settings made by SET are gone then (those of sherd_options.settings come back).
 *
 * Threads. A connection and its results belong to one thread at a time. sherd_cancel() may be
 * called from any thread while the connection exists. Different connections are independent. Do not
 * use a connection after fork() in the child.
 *
 * Stability. Structs given by the caller begin with their size and may grow at the end: initialize
 * them with the _INIT macro. All else is opaque.
 */
#ifndef SHERD_H
#define SHERD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SHERD_API __attribute__((visibility("default")))
#define SHERD_MUST_CHECK __attribute__((warn_unused_result))
#else
#define SHERD_API
#define SHERD_MUST_CHECK
#endif

#define SHERD_DEFAULT_PORT 7433
#define SHERD_DEFAULT_USER "sherd"
#define SHERD_DEFAULT_DATABASE "sherd"

typedef struct sherd_connection sherd_connection;
typedef struct sherd_result sherd_result;
typedef struct sherd_error sherd_error;

/* "0.1.0" of this library. A static string. */
SHERD_API const char *sherd_version(void);

/* ---- errors ---- */

/* What the caller can do; the SQLSTATE says what happened. Numbers are never reused. */
enum sherd_error_kind {
    SHERD_ERROR_STATEMENT = 1,   /* fix the statement, the arguments or the data */
    SHERD_ERROR_RETRY = 2,       /* 40001, 40P01: run the transaction again */
    SHERD_ERROR_UNAVAILABLE = 3, /* nothing was done: try again later or elsewhere */
    SHERD_ERROR_UNKNOWN = 4, /* 08007, 40003: it may have been done or not: look before repeating */
    SHERD_ERROR_CANCELLED = 5, /* 57014: cancelled, or the timeout passed */
    SHERD_ERROR_INTERNAL = 6   /* a defect: report it */
};

SHERD_API enum sherd_error_kind sherd_error_kind_of(const sherd_error *e);
/* Texts live as long as the error. Message and SQLSTATE are never NULL, the others may be. */
SHERD_API const char *sherd_error_sqlstate(const sherd_error *e);
SHERD_API const char *sherd_error_message(const sherd_error *e);
SHERD_API const char *sherd_error_detail(const sherd_error *e);
SHERD_API const char *sherd_error_hint(const sherd_error *e);
SHERD_API const char *sherd_error_constraint(const sherd_error *e);
SHERD_API const char *sherd_error_table(const sherd_error *e);
SHERD_API const char *sherd_error_column(const sherd_error *e);
/* 1-based character in the statement's text; 0 = none. */
SHERD_API int sherd_error_position(const sherd_error *e);
SHERD_API void sherd_error_free(sherd_error *e); /* NULL is fine */
/* An error of the caller's own, for sherd_run() callbacks. sqlstate: five characters. */
SHERD_API sherd_error *sherd_error_new(const char *sqlstate, const char *message);

/* ---- connections ---- */

struct sherd_options {
    size_t size;                 /* sizeof(struct sherd_options): set by SHERD_OPTIONS_INIT */
    const char *endpoints;       /* "host[:port],..."; IPv6 as [addr]:port. NULL = 127.0.0.1:7433 */
    const char *user;            /* NULL = "sherd" */
    const char *database;        /* NULL = "sherd" */
    uint32_t connect_timeout_ms; /* for each endpoint; 0 = 5000 */
    const char *const *settings; /* name, value, ..., NULL: session settings; NULL = none */
    /* Told of each notice and warning as it comes; the error is borrowed. NULL = they are dropped.
     */
    void (*on_notice)(void *ctx, const sherd_error *notice);
    void *notice_ctx;
    const char *password; /* asked for by servers beyond loopback; NULL = none. It travels as it is:
                             there is no TLS yet */
};
#define SHERD_OPTIONS_INIT                                                                         \
    {                                                                                              \
        sizeof(struct sherd_options), NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL                  \
    }

/* Everything that the options point at is copied. */
SHERD_API sherd_error *sherd_connect(const struct sherd_options *options,
                                     sherd_connection **out_connection) SHERD_MUST_CHECK;
/* Ends the session: an open transaction is rolled back. Results must be freed before. NULL is fine.
 */
SHERD_API void sherd_disconnect(sherd_connection *c);

/* "host:port" that the connection is (or was last) at, and the version of the server there. Until
 * the next call on the connection. */
SHERD_API const char *sherd_endpoint(const sherd_connection *c);
SHERD_API const char *sherd_server_version(const sherd_connection *c);

enum sherd_transaction {
    SHERD_IDLE = 'I',           /* none open */
    SHERD_IN_TRANSACTION = 'T', /* open */
    SHERD_IN_FAILED = 'E'       /* open, refuses all but its end */
};
SHERD_API enum sherd_transaction sherd_transaction_state(const sherd_connection *c);

/* ---- statements ---- */

struct sherd_param {
    const void *data; /* NULL = SQL NULL */
    size_t length;    /* bytes of data */
    int is_binary;    /* PostgreSQL's binary form of the type; else its text form */
};

struct sherd_statement {
    size_t size;          /* sizeof(struct sherd_statement) */
    const char *sql;      /* the text, or */
    const char *prepared; /* the name of a prepared statement */
    int param_count;
    const struct sherd_param *params; /* $1 .. $n */
    int binary_results;
    uint32_t timeout_ms; /* 0 = none; passed: SHERD_ERROR_CANCELLED */
};
#define SHERD_STATEMENT_INIT                                                                       \
    {                                                                                              \
        sizeof(struct sherd_statement), NULL, NULL, 0, NULL, 0, 0                                  \
    }

/* Runs the statement. Without parameters, `sql` may hold several, separated by semicolons; they run
 * as one transaction unless they say otherwise. A result must be freed before the connection is
 * used again; freeing it early ends the statement. out_result NULL: the results are read and
 * dropped. */
SHERD_API sherd_error *sherd_execute(sherd_connection *c, const char *sql, int param_count,
                                     const char *const *params,
                                     sherd_result **out_result) SHERD_MUST_CHECK;
SHERD_API sherd_error *sherd_execute_statement(sherd_connection *c,
                                               const struct sherd_statement *statement,
                                               sherd_result **out_result) SHERD_MUST_CHECK;

/* Prepares (or replaces) a named statement of this connection; it is prepared anew after a
 * reconnect. types: type oids of the first type_count parameters, 0 = to be inferred. */
SHERD_API sherd_error *sherd_prepare(sherd_connection *c, const char *name, const char *sql,
                                     int type_count, const uint32_t *types) SHERD_MUST_CHECK;

/* ---- results ---- */

/*
 * A result stands on the first statement's result at first. Rows are read one by one as they
 * arrive; an error that ends the statement midway is returned by the call that meets it.
 */

/* *out_has_row 0: no further row; the tag is known then. */
SHERD_API sherd_error *sherd_next_row(sherd_result *r, int *out_has_row) SHERD_MUST_CHECK;
/* Skips what is left of this statement and goes to the next one's result. */
SHERD_API sherd_error *sherd_next_result(sherd_result *r, int *out_has_result) SHERD_MUST_CHECK;
SHERD_API void sherd_result_free(sherd_result *r); /* NULL is fine */

/* Columns of the current result; 0 when the statement returns no rows. Names and values live until
 * the next row or result is asked for. */
SHERD_API int sherd_column_count(const sherd_result *r);
SHERD_API const char *sherd_column_name(const sherd_result *r, int column); /* from 0 */
SHERD_API uint32_t sherd_column_type(const sherd_result *r, int column);    /* PostgreSQL's oid */
SHERD_API int32_t sherd_column_typmod(const sherd_result *r, int column);
/* NULL = SQL NULL. A NUL follows a value in text form; out_length may be NULL. */
SHERD_API const char *sherd_value(const sherd_result *r, int column, size_t *out_length);
/* "INSERT 0 1", once all rows have been read; before, NULL. */
SHERD_API const char *sherd_tag(const sherd_result *r);
/* Rows returned or changed, with the tag. */
SHERD_API uint64_t sherd_row_count(const sherd_result *r);

/* ---- transactions ---- */

/* modes: "ISOLATION LEVEL REPEATABLE READ, READ ONLY" and the like, or NULL. */
SHERD_API sherd_error *sherd_begin(sherd_connection *c, const char *modes) SHERD_MUST_CHECK;
/* A transaction that had failed is rolled back: 25P02. SHERD_ERROR_UNKNOWN: it may have committed.
 */
SHERD_API sherd_error *sherd_commit(sherd_connection *c) SHERD_MUST_CHECK;
SHERD_API sherd_error *sherd_rollback(sherd_connection *c) SHERD_MUST_CHECK;

/* Runs body() in a transaction and commits. When body or the commit fails with SHERD_ERROR_RETRY or
 * SHERD_ERROR_UNAVAILABLE (nothing was committed), all of it is run again, after a short random
 * pause and where needed on another endpoint, attempts_max times in all (0 = 10); so body must have
 * no other effect that matters twice. Any other error rolls back and is returned. */
SHERD_API sherd_error *sherd_run(sherd_connection *c, const char *modes, int attempts_max,
                                 sherd_error *(*body)(sherd_connection *c, void *ctx),
                                 void *ctx) SHERD_MUST_CHECK;

/* The id of the open transaction, known before its commit, for sherd_outcome() after a commit that
 * ended with SHERD_ERROR_UNKNOWN. Written with a NUL into out; SHERD_TRANSACTION_ID_MAX bytes are
 * enough. A transaction that has told its id is not run again by the server after a conflict. */
#define SHERD_TRANSACTION_ID_MAX 48
SHERD_API sherd_error *sherd_transaction_id(sherd_connection *c, char *out,
                                            size_t out_size) SHERD_MUST_CHECK;
enum sherd_outcome {
    SHERD_OUTCOME_UNKNOWN, /* nobody knows (any more): it may have been either */
    SHERD_OUTCOME_COMMITTED,
    SHERD_OUTCOME_ABORTED,
    SHERD_OUTCOME_IN_PROGRESS, /* ask again */
};
/* What became of a transaction. Outside of a transaction, on any connection of the cluster. Ask
 * soon: outcomes are kept for a while only. */
SHERD_API sherd_error *sherd_outcome(sherd_connection *c, const char *id,
                                     enum sherd_outcome *out) SHERD_MUST_CHECK;

/* Asks the server to cancel the statement that runs on the connection, which then fails with
 * SHERD_ERROR_CANCELLED. From any thread. Nothing running: nothing happens. */
SHERD_API sherd_error *sherd_cancel(sherd_connection *c) SHERD_MUST_CHECK;

#ifdef __cplusplus
}
#endif

#endif
