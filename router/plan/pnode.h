/*
 * The physical plan: immutable nodes, shared by all executions. Private to plan/ and exec/.
 *
 * Every node gives rows of `ncols` columns; vars tells which var (query.h) each one is. Expressions
 * in a node are over the columns of its input (EXPR_COLUMN index = position; a join: left columns,
 * then right ones). What an outer query or a lateral join gives is EXPR_PARAM with index =
 * parameters of the statement + slot.
 */
#ifndef ROUTER_PLAN_PNODE_H
#define ROUTER_PLAN_PNODE_H

#include "analyze/query.h"

enum pnode_kind {
    P_ONE,
    P_SCAN,
    P_SYSTEM,
    P_VALUES,
    P_SERIES,
    P_SRF,
    P_FILTER,
    P_PROJECT, /* exprs; is_permutation: plain columns only, nothing is copied */
    P_JOIN,
    P_LOOKUP, /* left: outer; right: a P_SCAN whose keys come from the outer row; is_single: one
               * outer row at a time */
    P_APPLY,  /* lateral join: right once for each row of left */
    P_AGG,
    P_SORT,
    P_LIMIT,
    P_DISTINCT,
    P_DISTINCT_ON,
    P_SETOP,
    P_CTE,
};

enum span_kind { SPAN_EQ, SPAN_IN, SPAN_ANY, SPAN_RANGE };

/* What is known about one leading column of the index. */
struct span_key {
    enum span_kind kind;
    type_oid type; /* of the column */
    int nvalues;   /* EQ: 1; IN: any; ANY: one array */
    struct expr *
        *values; /* constants, parameters, stable calls; in a P_LOOKUP: over the outer row */
    struct expr *low, *high;
    bool low_inclusive, high_inclusive;
};

struct scan {
    const Sherd__V1__TableDesc *table;
    const Sherd__V1__IndexDesc *index;
    const char *alias;
    int nkeys;
    struct span_key *keys;
    bool is_point;   /* a unique key in full: at most one row for each combination of values */
    bool is_ordered; /* batches must come in key order */
    struct expr *filter;
    struct fragment fragment;    /* all but spans; filter is in `filter` while it must be bound */
    bool needs_bind;             /* the filter or an aggregate has parameters or stable calls */
    struct expr *limit, *offset; /* pushed down; fragment.limit is set when opened */
    double rows;
};

struct pnode {
    enum pnode_kind kind;
    int ncols;
    type_oid *types;
    int *vars;
    struct pnode *left, *right;
    double rows; /* estimate */
    int id;      /* for EXPLAIN ANALYZE */

    struct scan *scan;
    const struct system_table *system;
    int *system_cols;
    int nrows;
    struct expr ***values;
    int nexprs;
    struct expr **exprs;
    bool is_permutation;
    int srf_first;
    bool with_ordinality;
    struct expr *filter; /* FILTER; joins: the residual */
    enum join_kind join;
    bool is_single;
    int nkeys;
    int *left_keys, *right_keys; /* JOIN, DISTINCT_ON (left_keys) */
    int nslots;                  /* APPLY: left column to slot */
    int *slot_cols, *slots;
    int ngroups, naggs;
    struct agg_call *aggs;
    enum agg_mode agg_mode;
    int nsort;
    struct sort_key *sort;
    struct expr *limit, *offset; /* LIMIT; SORT: top-N */
    enum setop_kind setop;
    struct cte *cte;
};

/* ---- writes ---- */

struct index_write {
    const Sherd__V1__IndexDesc *desc;
    bool is_key_changed; /* UPDATE sets one of its columns (or the primary key's) */
    struct expr *where;  /* partial: over the row's ordinals */
};

struct foreign_key {
    const Sherd__V1__ConstraintDesc *desc;
    const Sherd__V1__TableDesc *child, *parent;
    const Sherd__V1__IndexDesc *parent_index;
    const Sherd__V1__IndexDesc
        *child_index; /* with the key's columns as its first, or NULL: the child is scanned */
};

struct table_write {
    const Sherd__V1__TableDesc *table;
    int ncolumns;
    struct row_column *row_columns;
    int nindexes;
    struct index_write *indexes; /* the primary one first */
    int ngenerated;
    struct set_item *generated; /* over ordinals */
    int nchecks;
    const Sherd__V1__ConstraintDesc **checks;
    struct expr **check_exprs; /* over ordinals */
    int nparents;              /* keys this table refers with */
    struct foreign_key *parents;
    int nchildren; /* keys that refer to this table */
    struct foreign_key *children;
    int rowid; /* ordinal of the hidden primary key, -1 = none */
    enum lock_mode lock;
};

/* UPDATE, DELETE that the shards can do by themselves. */
struct change_plan {
    struct fragment_change change;
    bool needs_bind;
};

struct plan_write {
    struct table_write t;
    struct dml *dml;
    int nsets;
    struct set_item *sets; /* over the input (UPDATE); over old row ++ proposed row (ON CONFLICT) */
    struct expr *conflict_where;
    int *old_cols; /* UPDATE, DELETE: input column of each ordinal, -1 = dropped */
    int nreturning;
    struct expr **returning;       /* over the new row's ordinals ++ the input's columns */
    struct change_plan *in_shards; /* or NULL: rows are read, computed here and written */
};

struct plan {
    int refs;
    struct arena *arena;
    struct query *q;
    uint64_t revision;       /* of the catalog it was made from */
    struct catalog *catalog; /* descriptors that nodes point at live in it */
    enum plan_tag tag;
    struct pnode *root; /* SELECT; the input of writes */
    struct plan_write *write;
    bool is_single_scan; /* one scan, run once */
    bool reads_catalog;
    struct plan *inner; /* EXPLAIN */
    bool explain_analyze, explain_verbose, explain_json, explain_costs;
    int nnodes;
    int ndeps;
    struct plan_dep *deps;
};

/* ---- within plan/ ---- */

struct planner {
    struct query *q;
    struct arena *a;
    struct fiber *f;
    const struct plan_env *env;
    bool *needed; /* by var */
    int nneeded;
    int nnodes;
    struct status *st; /* of a sub-select planned inside of an expression */
};

/* optimize.c: rewrites the tree: WITH inlined, sub-selects to joins, conditions pushed down. */
struct rel *optimize(struct planner *p, struct rel *r);
struct rel *rel_push(struct planner *p, struct rel *r, int nconds, struct expr **conds);
bool vars_within(const struct expr *e, const struct rel *r); /* all of its vars come from r */
bool uses_any(const struct expr *e, const struct rel *r);    /* some of its vars do */
struct expr *conds_and(struct planner *p, int n, struct expr **conds);
/* join.c: greedy order of a tree of inner joins. */
struct rel *join_order(struct planner *p, struct rel *r);
double rel_rows(const struct rel *r);
/* a = b of an inner or outer join with one side in each input: *out_left over left, *out_right over
 * right. */
bool join_equality(struct planner *p, const struct expr *cond, const struct rel *left,
                   const struct rel *right, struct expr **out_left, struct expr **out_right);
/* access.c: the index, keys and what of the conditions is left to filter. outer: lookup join, or
 * NULL. */
struct scan *access_path(struct planner *p, struct rel *table, int nconds, struct expr **conds,
                         const struct rel *outer, int nsorts, const struct rel_sort *sorts,
                         bool *out_sorted, bool *out_reverse, int *out_nused, bool *used);
double scan_rows(const struct scan *s, int nconds);
const struct expr *
strip_column(const struct expr *e); /* the column behind casts that keep its order, or NULL */
/* physical.c */
struct status *physical(struct planner *p, struct rel *r, struct pnode **out) STATUS_MUST_CHECK;
struct expr *to_positions(struct planner *p, struct expr *e, int ncols, const int *vars);
struct pnode *pnode_new(struct planner *p, enum pnode_kind kind, struct pnode *left);
/* An order that the parent would like. *got: the node gives it. */
struct order_wish {
    int n;
    const struct rel_sort *sorts;
    bool got;
};
bool is_pushable(const struct planner *p, const struct expr *e);
bool needs_bind(const struct expr *e);
/* physical_scan.c */
struct status *physical_scan(struct planner *p, struct rel *table, int nconds, struct expr **conds,
                             struct order_wish *wish, struct pnode **out) STATUS_MUST_CHECK;
/* The inner side of a lookup join, or NULL when no index fits. */
/* A scan that locks the rows whose primary keys `outer` gives, and tests the conditions again.
 * NULL: they cannot be tested in the shards. */
struct status *physical_lock(struct planner *p, const struct pnode *outer, struct rel *table,
                             int nconds, struct expr **conds, struct pnode **out) STATUS_MUST_CHECK;
struct status *physical_lookup(struct planner *p, const struct rel *outer,
                               const struct pnode *outer_node, struct rel *inner, int nconds,
                               struct expr **conds, struct pnode **out) STATUS_MUST_CHECK;
bool push_limit(struct pnode *n, struct expr *limit, struct expr *offset);
void push_topn(struct planner *p, struct pnode *sort);
/* The partial aggregation in the scan, or NULL. */
struct pnode *push_aggregate(struct planner *p, struct rel *agg, struct pnode *in);
int layout_find(int ncols, const int *vars, int var);
struct pnode *pnode_columns(struct planner *p, struct pnode *in, int n, const int *vars);
/* Notes what the plan depends on: its query, and the keys that a write (or NULL) checks. */
void plan_dependencies(struct plan *p, const struct table_write *w);
struct status *plan_write_make(struct planner *p, struct pnode *input,
                               struct plan_write **out) STATUS_MUST_CHECK;
struct status *table_write_make(struct fiber *f, const struct plan_env *env, struct arena *a,
                                const Sherd__V1__TableDesc *t, const struct dml *d,
                                struct table_write *out) STATUS_MUST_CHECK;
/* plan.c: a statement inside of another (COPY). */
struct status *plan_subquery(struct fiber *f, const struct plan_env *env, const PgQuery__Node *n,
                             struct plan **out) STATUS_MUST_CHECK;
/* explain.c */
struct status *explain_open(struct fiber *f, const struct plan *p, struct exec *x,
                            struct op **out) STATUS_MUST_CHECK;

#endif
