/*
 * From SQL text to something that runs.
 *
 *   parse      statement text -> libpg_query's tree (parse.c; the only file that knows
 * libpg_query's API besides analyze/) analyze    names to objects, types, typed expressions plan
 * index choice, join order, fragments: an immutable struct plan, cached by text execute    an
 * operator tree over fragments and router operators, inside a transaction
 *
 * A plan names the catalog revision it was made from; the session throws it away when a descriptor
 * it depends on has changed (plan_is_valid).
 */
#ifndef ROUTER_PLAN_H
#define ROUTER_PLAN_H

#include "metadata/catalog.h"
#include "router/txn.h"
#include "sql/expr.h"
#include "sql/operator.h"

struct session;
struct schema_txn;
struct foreign_queue;

/* ---- parse ---- */

struct parsed; /* the tree of one statement list; owns its memory */
/* Refuses nesting beyond 500 levels (54001) and text beyond the limit (54000) before libpg_query
 * sees it. Needs a fiber with FIBER_STACK_PARSE or runs the parse on one itself. Syntax errors:
 * 42601 with position. */
struct status *parse_sql(struct fiber *f, struct slice sql, struct parsed **out) STATUS_MUST_CHECK;
void parsed_free(struct parsed *p);
int parsed_count(const struct parsed *p);
/* Text of statement i within the input. */
struct slice parsed_text(const struct parsed *p, int i);

enum stmt_kind {
    STMT_QUERY, /* SELECT, VALUES, INSERT, UPDATE, DELETE, with or without rows: plan_statement() */
    STMT_EXPLAIN, /* plan_statement() too */
    STMT_DDL,     /* ddl_execute() */
    STMT_TXN,     /* BEGIN, COMMIT, ROLLBACK, SAVEPOINT, ... : session */
    STMT_SET,     /* SET, RESET, SHOW, DISCARD: session */
    STMT_COPY,    /* session + plan_copy_*() */
    STMT_PREPARE, /* PREPARE, EXECUTE, DEALLOCATE: session */
    STMT_CURSOR,  /* DECLARE, FETCH, CLOSE, MOVE: session */
    STMT_NOOP,    /* VACUUM, ANALYZE, CHECKPOINT, COMMENT, LOCK ... accepted */
    STMT_UNSUPPORTED,
};
enum stmt_kind parsed_kind(const struct parsed *p, int i);
/* The protobuf-c node of statement i (PgQuery__Node *), for session/ and ddl/ code. */
const void *parsed_node(const struct parsed *p, int i);

/* ---- plan ---- */

struct plan_env {
    struct router *router;
    struct catalog *catalog;
    uint32_t database_id;
    struct slice user;
    const uint32_t *search_path; /* schema ids; pg_catalog is implied first */
    int search_path_count;
    struct session *session; /* for session functions; may be NULL in tests */
    bool *looked_up;         /* set when a name is looked up in the catalog; may be NULL */
};

struct plan_column {
    const char *name;
    type_oid type;
    int32_t typmod;
    uint32_t table_oid; /* 0 = not a plain column */
    uint16_t attnum;
};

enum plan_tag { PLAN_SELECT, PLAN_INSERT, PLAN_UPDATE, PLAN_DELETE, PLAN_EXPLAIN, PLAN_VALUES };

struct plan; /* reference counted, immutable */
/* param_types: as given by Parse (0 = to be inferred); the plan tells all of them. DECLARE: the
 * plan of the cursor's query. */
struct status *plan_statement(struct fiber *f, const struct plan_env *env, const struct parsed *p,
                              int i, const type_oid *param_types, int nparams,
                              struct plan **out) STATUS_MUST_CHECK;
struct plan *plan_ref(struct plan *p);
void plan_unref(struct plan *p);
/* It can be used with this catalog. One that was made on an overlay only with that. */
bool plan_is_valid(const struct plan *p, const struct catalog *c);
/* What it depends on is the same there. */
bool plan_is_same(const struct plan *p, const struct catalog *c);
/* It has views or system relations, which no shard checks: whoever runs the plan does, in a catalog
 * as new as that. */
bool plan_reads_catalog(const struct plan *p);
/* The tables and views it depends on, those of foreign keys and their actions too; live as long as
 * p. Of EXPLAIN: those of what is explained. */
struct plan_dep {
    uint32_t id;
    uint64_t version;
};
int plan_deps(const struct plan *p, const struct plan_dep **out);
/* Name of a table that took its present form after that timestamp; NULL: none. Lives as long as p.
 */
const char *plan_changed_after(const struct plan *p, uint64_t timestamp);
enum plan_tag plan_tag(const struct plan *p);
bool plan_is_read_only(const struct plan *p); /* no writes and no row locks */
int plan_columns(const struct plan *p, const struct plan_column **out); /* 0: no result rows */
int plan_params(const struct plan *p, const type_oid **out);

/* ---- execute ---- */

struct exec {
    struct plan_env env;
    struct txn *txn;
    struct schema_txn *schema; /* ddl_execute(): the transaction's schema changes */
    struct arena *arena;       /* of this execution */
    const struct datum *params;
    int nparams;
    int64_t txn_now_us, stmt_now_us;
    bool is_last;           /* implicit transaction: the plan's last write may carry the commit */
    uint64_t rows_affected; /* out: for the command tag */
    struct foreign_queue *foreign; /* what foreign keys still have to do (exec/) */
};
/* Opens the plan: rows come from *out_op (NULL for a plan without result rows, which is then
 * already done). For INSERT ... RETURNING and the like all writes are done before the first row
 * comes. */
struct status *plan_open(struct fiber *f, const struct plan *p, struct exec *x,
                         struct op **out_op) STATUS_MUST_CHECK;

/* ---- COPY ---- */

struct copy_target; /* a table and a column list, ready to take rows */
struct copy_spec {
    bool is_from;
    bool is_csv, has_header, freeze;
    char delimiter, quote, escape;
    const char *null_text;
    int ncols;
    struct plan_column *cols;
};
/* COPY table (cols) FROM STDIN / TO STDOUT, COPY (query) TO STDOUT. Options are checked; file and
 * program: 42501. */
struct status *plan_copy(struct fiber *f, const struct plan_env *env, const struct parsed *p, int i,
                         struct arena *a, struct copy_spec *out_spec,
                         struct copy_target **out_target,
                         struct plan **out_query) STATUS_MUST_CHECK;
/* What stands for the INSERT: its dependencies. Lives as long as the target. */
const struct plan *copy_plan(const struct copy_target *t);
/* Inserts rows (datums by copy_spec.cols, typed): defaults, checks, indexes, foreign keys as INSERT
 * does. */
struct status *copy_insert(struct fiber *f, struct copy_target *t, struct exec *x,
                           const struct batch *rows) STATUS_MUST_CHECK;

/* ---- DDL (ddl/) ---- */

/* Runs one STMT_DDL as part of x->schema, in x->txn: nobody else sees it before their commit
 * (schema_commit). is_last of the exec: nothing else is in the transaction, CREATE INDEX may work
 * beside writers. out_tag: "CREATE TABLE". Notices through session_notice(). After CONFLICT only a
 * new transaction helps. */
struct status *ddl_execute(struct fiber *f, struct exec *x, const struct parsed *p, int i,
                           const char **out_tag) STATUS_MUST_CHECK;
/* What the statement is called, roughly: for messages before it has run. */
const char *ddl_tag(const struct parsed *p, int i);
/* It cannot be part of a larger transaction (25001). */
bool ddl_forbids_block(const struct parsed *p, int i);

/* ---- helpers that DDL and the planner share ---- */

/* An expression of a descriptor (DEFAULT, CHECK) over the table's columns (EXPR_COLUMN index =
 * ordinal). */
struct status *analyze_table_expr(struct fiber *f, const struct plan_env *env,
                                  const Sherd__V1__TableDesc *table, const char *sql,
                                  struct arena *a, struct expr **out) STATUS_MUST_CHECK;
/* The key of a row in an index: appended to out. */
struct status *table_index_key(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix,
                               const struct datum *row, struct buf *out) STATUS_MUST_CHECK;
/* "duplicate key value violates unique constraint ..." 23505 with the Key (..)=(..) detail. */
struct status *unique_violation(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix,
                                const struct datum *row);

#endif
