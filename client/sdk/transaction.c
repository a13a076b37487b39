/*
 * Transactions: begin, commit, rollback, and the retry loop. The state is the server's: it comes
 * with the end of every statement.
 */
#include "internal.h"

#include "base/mem.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define ATTEMPTS_DEFAULT 10
#define PAUSE_MIN_US 2000u
#define PAUSE_MAX_US 1000000u

sherd_error *sherd_begin(sherd_connection *c, const char *modes)
{
    char *sql = mem_printf("BEGIN %s", modes == NULL ? "" : modes);
    struct status *st = run_simple(c, sql, NULL);
    mem_free(sql);
    if (status_is(st, STATUS_UNKNOWN_OUTCOME)) { /* begun or not, it went with the session */
        status_free(st);
        st = status_sql(UNAVAILABLE, "08006", "the connection was lost");
    }
    return to_error(st);
}

sherd_error *sherd_commit(sherd_connection *c)
{
    char tag[16] = "";
    struct status *st = run_simple(c, "COMMIT", tag);
    if (st == NULL && strcmp(tag, "ROLLBACK") == 0) {
        st = status_sql(CONSTRAINT, "25P02",
                        "the transaction had failed and was rolled back instead of committed");
    }
    return to_error(st);
}

sherd_error *sherd_rollback(sherd_connection *c)
{
    if (c->is_lost) { /* the server has rolled it back with the session */
        c->is_lost = false;
        c->transaction = SHERD_IDLE;
        return NULL;
    }
    if (c->transaction == SHERD_IDLE && c->rpc == NULL) {
        return NULL;
    }
    struct status *st = run_simple(c, "ROLLBACK", NULL);
    if (error_is_disconnect(st) || status_is(st, STATUS_UNKNOWN_OUTCOME)) {
        /* Lost on the way: rolled back all the same. */
        status_free(st);
        st = NULL;
        c->is_lost = false;
        c->transaction = SHERD_IDLE;
    }
    return to_error(st);
}

/* Runs a statement of one value; NULL or the value, as text, go to take(). */
static struct status *one_value(sherd_connection *c, const char *sql, int param_count,
                                const char *const *params,
                                struct status *(*take)(void *ctx, const char *value), void *ctx)
{
    sherd_result *r = NULL;
    int has = 0;
    struct status *st = to_status(sherd_execute(c, sql, param_count, params, &r));
    if (st == NULL) {
        st = to_status(sherd_next_row(r, &has));
    }
    if (st == NULL && !has) {
        st = status_new(CORRUPT, "the server sent no row");
    }
    if (st == NULL) {
        st = take(ctx, sherd_value(r, 0, NULL));
    }
    while (st == NULL && has) { /* to the end, so that the connection is free */
        st = to_status(sherd_next_row(r, &has));
    }
    sherd_result_free(r);
    return st;
}

struct id_buffer {
    char *data;
    size_t size;
};

static struct status *take_id(void *ctx, const char *value)
{
    struct id_buffer *b = ctx;
    if (value == NULL || strlen(value) >= b->size) {
        return status_new(LIMIT, "the id does not fit into %zu bytes", b->size);
    }
    memcpy(b->data, value, strlen(value) + 1);
    return NULL;
}

sherd_error *sherd_transaction_id(sherd_connection *c, char *out, size_t out_size)
{
    struct id_buffer b = {out, out_size};
    if (c->transaction != SHERD_IN_TRANSACTION) {
        return to_error(status_sql(INVALID, "25P01", "there is no transaction in progress"));
    }
    return to_error(one_value(c, "SELECT sherd_transaction_id()", 0, NULL, take_id, &b));
}

static struct status *take_outcome(void *ctx, const char *value)
{
    enum sherd_outcome *out = ctx;
    *out = value == NULL                       ? SHERD_OUTCOME_UNKNOWN
           : strcmp(value, "committed") == 0   ? SHERD_OUTCOME_COMMITTED
           : strcmp(value, "aborted") == 0     ? SHERD_OUTCOME_ABORTED
           : strcmp(value, "in progress") == 0 ? SHERD_OUTCOME_IN_PROGRESS
                                               : SHERD_OUTCOME_UNKNOWN;
    return NULL;
}

sherd_error *sherd_outcome(sherd_connection *c, const char *id, enum sherd_outcome *out)
{
    return to_error(one_value(c, "SELECT sherd_transaction_status($1)", 1, &id, take_outcome, out));
}

/* Full jitter: half to all of a limit that doubles. */
static void pause_before(int attempt)
{
    uint64_t limit = PAUSE_MIN_US;
    for (int i = 1; i < attempt && limit < PAUSE_MAX_US; i++) {
        limit *= 2;
    }
    limit = limit > PAUSE_MAX_US ? PAUSE_MAX_US : limit;
    uint64_t draw = 0;
    if (getrandom(&draw, sizeof(draw), 0) != (ssize_t)sizeof(draw)) {
        draw = limit / 2;
    }
    uint64_t us = limit / 2 + draw % (limit / 2 + 1);
    struct timespec ts = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
    while (nanosleep(&ts, &ts) != 0) {
    }
}

static bool is_worth_retry(const sherd_error *e)
{
    enum sherd_error_kind kind = sherd_error_kind_of(e);
    return kind == SHERD_ERROR_RETRY || kind == SHERD_ERROR_UNAVAILABLE;
}

static sherd_error *run_once(sherd_connection *c, const char *modes,
                             sherd_error *(*body)(sherd_connection *c, void *ctx), void *ctx)
{
    sherd_error *e = sherd_begin(c, modes);
    if (e == NULL) {
        e = body(c, ctx);
    }
    if (e == NULL) {
        e = sherd_commit(c);
    }
    if (e != NULL && (c->is_lost || c->transaction != SHERD_IDLE)) {
        sherd_error_free(sherd_rollback(c)); /* the first error is the one that tells */
    }
    return e;
}

sherd_error *sherd_run(sherd_connection *c, const char *modes, int attempts_max,
                       sherd_error *(*body)(sherd_connection *c, void *ctx), void *ctx)
{
    if (c->transaction != SHERD_IDLE || c->is_lost) {
        return to_error(status_sql(INVALID, "25001", "there is already a transaction in progress"));
    }
    if (attempts_max <= 0) {
        attempts_max = ATTEMPTS_DEFAULT;
    }
    for (int attempt = 1;; attempt++) {
        sherd_error *e = run_once(c, modes, body, ctx);
        if (e == NULL || attempt == attempts_max || !is_worth_retry(e)) {
            return e;
        }
        sherd_error_free(e);
        pause_before(attempt);
    }
}
