/*
 * A client of the simulated cluster: a fiber on its node with an SQL session, as a connection of
 * the wire protocol would drive it.
 */
#ifndef TEST_SIM_CLIENT_H
#define TEST_SIM_CLIENT_H

#include "world.h"

#include "router/session.h"

struct client {
    struct cluster_node *node;
    struct session *session; /* opened at the first statement */
    struct arena *arena;     /* results; emptied by client_begin() */
    struct sink sink;
    struct sql_result *result; /* of the statement under way */
};

struct sql_result {
    int nrows, ncols, cap;
    const char **cells; /* by row, then column; NULL = null; in the client's arena */
    const char **names; /* of the columns */
    char tag[64];
};

void client_init(struct client *c, struct cluster_node *n);
void client_deinit(struct fiber *f, struct client *c);
/* A new transaction's worth of results; ends what is left of the last one. */
void client_begin(struct fiber *f, struct client *c);

/* Statements in one string, as the simple query flow sends them. out may be NULL. */
struct status *sql(struct fiber *f, struct client *c, struct sql_result *out, const char *fmt, ...)
    __attribute__((format(printf, 4, 5))) STATUS_MUST_CHECK;
const char *sql_text(const struct sql_result *r, int row, int col); /* NULL = null */
int64_t sql_int(const struct sql_result *r, int row, int col);      /* INT64_MIN = null */
int sql_affected(const struct sql_result *r);                       /* of the command tag */

/* COMMIT when st is NULL, else ROLLBACK; what the client knows then. Takes st. */
enum told sql_end(struct fiber *f, struct client *c, struct status *st);
/* The same statement until it succeeds (after the faults): the run is stuck when it does not. */
void sql_must(struct fiber *f, struct client *c, struct sql_result *out, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* " ISOLATION LEVEL ..." */
const char *sql_level(enum txn_isolation isolation);
bool sql_is(const struct status *st, const char *sqlstate);

#endif
