/*
 * The analyzed statement: what analyze/ makes and plan/ takes.
 *
 * Words
 *   var       one column somewhere in the statement. Ids are unique in the statement, so a column
 * keeps its identity through joins, sub-selects and rewrites; an expression over columns is
 * EXPR_COLUMN with index = var id. rel       a node of the relational tree: produces rows of vars.
 *   scope     the names that an expression may use; scopes of outer queries are its parents.
 *   slot      where the executor puts the value of an outer var before it runs a correlated
 * sub-select; there the var is EXPR_PARAM with index = nparams + slot.
 *
 * Everything lives in one arena, the plan's, and is not changed once the plan is made. Thread rule:
 * the node's loop.
 */
#ifndef ROUTER_ANALYZE_QUERY_H
#define ROUTER_ANALYZE_QUERY_H

#include "router/plan.h"
#include "sql/expr.h"
#include "sql/fragment.h"

#include <pg_query/pg_query.pb-c.h>

struct system_table;
struct rel;

struct var {
    const char *name;
    type_oid type;
    int32_t typmod;
    uint32_t table_oid; /* of a plain column, else 0 */
    uint16_t attnum;
    struct rel *table; /* REL_TABLE that produces it, or NULL */
    int ordinal;       /* in that table */
    int slot;          /* -1, or its correlation slot */
};

enum rel_kind {
    REL_ONE,     /* one row without columns */
    REL_TABLE,   /* table; vars by position in col_vars */
    REL_SYSTEM,  /* system */
    REL_VALUES,  /* nrows x nvars expressions */
    REL_SERIES,  /* generate_series: exprs start, stop, step */
    REL_SRF,     /* left, plus vars srf_first.. for the set functions in exprs; each row expanded */
    REL_FILTER,  /* conds */
    REL_PROJECT, /* vars[i] = exprs[i] */
    REL_JOIN,    /* join, conds; is_lateral: right is run again for each left row */
    REL_AGG,     /* vars: ngroups groups (exprs), then aggs */
    REL_DISTINCT, /* all of `keys`; on: first row per key (input is sorted by them first) */
    REL_SORT,     /* sorts */
    REL_LIMIT,    /* offset, limit: bigint expressions or NULL */
    REL_SETOP,    /* setop; left and right give left_outs / right_outs */
    REL_CTE,      /* a materialized WITH query: cte */
};

struct rel_sort {
    int var;
    bool is_desc;
    bool nulls_first;
};

struct cte {
    const char *name;
    int id;
    struct rel *rel;
    int nouts;
    int *outs;
    const char **names;
    int refs;
    const PgQuery__Node *query;
    struct scope *scope; /* where the query is analyzed */
    int ncolnames;
    PgQuery__Node **colnames;
    int materialize; /* enum of the grammar */
    bool is_analyzed;
    bool is_recursive; /* WITH RECURSIVE: may name itself, which is refused */
    struct pnode *plan;
};

struct pnode;

struct rel {
    enum rel_kind kind;
    int nvars;
    int *vars;
    struct rel *left, *right;

    const Sherd__V1__TableDesc *table;
    const char *alias;
    int *col_vars; /* by ordinal; -1 = dropped */
    enum lock_mode lock;
    enum lock_wait lock_wait;
    const struct system_table *system;

    int nexprs;
    struct expr **exprs;
    int nrows;
    struct expr ***rows;
    int srf_first;
    bool with_ordinality; /* REL_SRF: the last var counts */

    int nconds;
    struct expr **conds;
    enum join_kind join;
    bool is_lateral;

    int ngroups;
    int naggs;
    struct agg_call *aggs;

    bool is_on;
    int nkeys;
    int *keys;
    int nsorts;
    struct rel_sort *sorts;
    struct expr *offset, *limit;

    enum setop_kind setop;
    int *left_outs, *right_outs;
    struct cte *cte;
    struct pnode *built; /* the plan of it, when it was made ahead of the rest */
};

struct subplan {
    enum subplan_kind kind;
    bool negate; /* ALL: the complement of ANY is not it; evaluated as such */
    struct rel *rel;
    int nouts;
    int *outs;
    struct expr *test; /* ANY, ALL: over lhs_vars and outs */
    int nlhs;
    int *lhs_vars;
    int nouter;
    int *outer; /* vars of outer queries that it uses */
    int id;
    struct pnode *plan;
    struct expr *plan_test; /* test over lhs ++ output columns */
    bool is_hashable;       /* ANY with one plain equality */
    type_oid hash_type;
    struct expr *hash_rhs; /* over the output columns */
    struct expr *hash_lhs; /* over the lhs */
};

/* What a SELECT (or VALUES) gives: rel, and which of its vars are the result columns. */
struct block {
    struct rel *rel;
    int nouts;
    int *outs;
    const char **names;
};

struct set_item {
    int ordinal;
    struct expr *value; /* of the column's type */
};

enum conflict_action { CONFLICT_ERROR, CONFLICT_NOTHING, CONFLICT_UPDATE };

/* A statement that writes. Row expressions (checks, generated, RETURNING) are over vars: row_vars
 * for the new row. */
struct dml {
    const Sherd__V1__TableDesc *table;
    int ncolumns;  /* of the stored row, dropped ones too */
    int *row_vars; /* by ordinal: the new (INSERT, UPDATE) or old (DELETE) row; -1 = dropped */
    int *old_vars; /* UPDATE: the row as read */
    int nsets;
    struct set_item *sets; /* UPDATE, ON CONFLICT DO UPDATE */
    int nreturning;
    struct expr **returning;
    bool has_from;     /* the same row may come twice */
    bool reads_tables; /* INSERT: the source scans something */
    enum conflict_action conflict;
    const Sherd__V1__IndexDesc *arbiter; /* NULL: any */
    int *excluded_vars;                  /* DO UPDATE: the row proposed */
    struct expr *conflict_where;
};

struct query {
    struct arena *arena;
    enum plan_tag tag;
    struct block block; /* SELECT; INSERT: the source; UPDATE, DELETE: the rows to change */
    struct dml *dml;
    int ncolumns;
    struct plan_column *columns; /* of the result */
    int nvars, vars_cap;
    struct var *vars;
    int nslots;
    int nsubplans, subplans_cap;
    struct subplan **subplans;
    int nctes;
    struct cte *ctes[64];
    int nparams;
    type_oid *param_types;
    bool has_locks;
    bool shows_catalog; /* by a system relation */
    int ndeps;
    const Sherd__V1__TableDesc **deps; /* tables and views it was made from */
    int noids;
    uint32_t *oids; /* relations that literals of regclass name */
};

/* ---- rel and expression helpers (query.c) ---- */

int query_var(struct query *q, const char *name, type_oid type, int32_t typmod);
struct expr *query_column(struct query *q, int var);
/* The slot of an outer var: made at first use. */
int query_slot(struct query *q, int var);
void query_depends(struct query *q, const Sherd__V1__TableDesc *t);

struct rel *rel_new(struct query *q, enum rel_kind kind, struct rel *left);
/* left's vars, then right's. */
struct rel *rel_join(struct query *q, enum join_kind kind, struct rel *left, struct rel *right);
/* NULL conds: the input itself. Splits ANDs. */
struct rel *rel_filter(struct query *q, struct rel *in, struct expr *cond);
void rel_add_cond(struct query *q, struct rel *r, struct expr *cond);
bool rel_has_var(const struct rel *r, int var);

/* Replaces top-down: fn returns NULL to descend into the node (copied when something below
 * changes). */
typedef struct expr *(*expr_map_fn)(void *ctx, const struct expr *e);
struct expr *expr_map(struct arena *a, struct expr *e, expr_map_fn fn, void *ctx);
/* Calls fn for each var that the expression uses. */
void expr_vars(const struct expr *e, void (*fn)(void *ctx, int var), void *ctx);
bool expr_has_kind(const struct expr *e, enum expr_kind kind);
struct expr *expr_and(struct arena *a, struct expr *x, struct expr *y);
struct expr *expr_bool(struct arena *a, enum expr_kind kind, int nargs, struct expr **args);
struct expr *expr_null(struct arena *a, type_oid type, int32_t typmod);

#endif
