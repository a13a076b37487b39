/*
 * A SQL world without a cluster, for tests of analysis, planning and execution: a catalog in memory
 * with just enough DDL, a transaction layer over one ordered map that runs fragments as a shard
 * does, and a runner of statements.
 *
 * A failed statement leaves no writes. One fiber runs everything on a simulated loop.
 */
#ifndef TEST_ROUTER_WORLD_H
#define TEST_ROUTER_WORLD_H

#include "router/plan.h"
#include "router/session.h"

struct world;

struct world *world_create(void);
void world_destroy(struct world *w);
/* Keys deleted so far whose row got another one (txn_write.is_moved). */
uint64_t world_moves(const struct world *w);

struct result {
    bool failed;
    char sqlstate[6];
    char *message, *detail, *hint;
    int position;
    char tag[32];
    int ncols;
    char **names;
    uint32_t *types;
    int nrows;
    char ***rows; /* text form; NULL = null */
    uint64_t affected;
};
/* Runs every statement of the text; the result is the last one's (or the failed one's). Valid until
 * the next call. */
struct result *world_run(struct world *w, const char *sql);
/* A prepared statement with text parameters (NULL = null) of the types the plan infers. */
struct result *world_run_params(struct world *w, const char *sql, int n, const char *const *params);

/* ---- between the parts ---- */
struct fake_store;
struct fake_store *fake_store_create(void);
void fake_store_destroy(struct fake_store *s);
struct txn *fake_txn(struct fake_store *s);
void fake_statement_begin(struct fake_store *s);
void fake_statement_end(struct fake_store *s, bool failed);
uint64_t fake_scans(struct fake_store *s);   /* txn_scan() calls so far */
uint64_t fake_entries(struct fake_store *s); /* entries looked at */
uint64_t fake_moves(struct fake_store *s);   /* keys deleted whose row got another */
void fake_delete_prefix(struct fake_store *s, uint32_t table_id);

struct catalog *fake_catalog_create(void);
void fake_catalog_destroy(struct catalog *c);
/* CREATE TABLE, INDEX, VIEW, SEQUENCE; DROP TABLE, VIEW. *out_known false: another statement.
 * Indexes are filled by the caller: *out_built is the one just made. */
struct status *fake_ddl(struct fiber *f, const struct plan_env *env, struct catalog *c,
                        struct fake_store *s, const void *node, const char *sql,
                        bool *out_known) STATUS_MUST_CHECK;
struct status *fake_nextval(struct catalog *c, uint64_t id, int64_t *out) STATUS_MUST_CHECK;

#endif
