/*
 * Analysis: libpg_query's tree to the typed statement of query.h. Private to router/.
 *
 * One struct analyzer per statement; one struct scope per query block. All errors carry the
 * position of the node at fault, in characters of the statement text. Recursion is bounded by the
 * fiber's stack (54001).
 */
#ifndef ROUTER_ANALYZE_ANALYZE_H
#define ROUTER_ANALYZE_ANALYZE_H

#include "query.h"

struct nsitem { /* what FROM puts into the namespace */
    const char *schema, *name;
    int ncols;
    const char **cols;
    int *vars;
    bool hides_columns; /* only qualified names find it (its join has merged columns) */
    bool is_nameless;   /* a join without alias: only unqualified names find it */
    int nhidden;        /* the last nhidden columns are not part of '*' */
    const Sherd__V1__TableDesc *table;
    struct rel *rel;
};

struct scope {
    struct scope *parent;
    int first; /* items before it are not visible now (JOIN ... ON) */
    int nitems, items_cap;
    struct nsitem **items;
    int nctes;
    struct cte **ctes;
    int nouter, outer_cap;
    int *outer;            /* vars of ancestors used here or below */
    const char *place;     /* "WHERE": where aggregates are refused; NULL: they are welcome */
    const char *srf_place; /* where set functions are refused, or NULL */
    bool in_agg;
    bool has_agg;
    int naggs, aggs_cap;
    struct agg_call *aggs;
    int *agg_vars;
    int nagg_order;
    struct expr **agg_order;
    struct rel_sort *agg_sorts;
    int nsrfs;
    struct expr *srfs[16];
    int srf_vars[16];
};

struct param_node {
    struct param_node *next;
    struct expr *e;
};

struct analyzer {
    struct query *q;
    struct arena *a;
    struct fiber *f;
    const struct plan_env *env;
    const char *sql; /* for positions; NULL: none (views, descriptors) */
    bool params_fixed;
    struct param_node *param_nodes;
    int view_depth;
    int ntables;
    size_t margin; /* bytes that must be left in the arena; 0 = its owner's care */
    /* Expressions of descriptors: columns of this table by ordinal. */
    const Sherd__V1__TableDesc *table_expr;
};

/* ---- parse.c ---- */
struct slice parsed_sql(const struct parsed *p); /* NUL-terminated */

/* ---- positions ---- */
struct status *at(struct analyzer *z, struct status *st, int location);
struct status *analyze_stack_check(void);
struct status *unsupported(struct analyzer *z, int location, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- typename.c ---- */
/* Type and typmod of a TypeName: 42704 unknown. Serial types are refused: they belong to CREATE
 * TABLE. */
struct status *typename_resolve(struct analyzer *z, const PgQuery__TypeName *t, type_oid *out_type,
                                int32_t *out_typmod) STATUS_MUST_CHECK;
/* "pg_catalog.int4" -> "int4": the last part of a name list. */
const char *name_last(PgQuery__Node *const *names, size_t n);
const char *node_string(const PgQuery__Node *n); /* NULL: not a string */

/* ---- scope.c ---- */
struct scope *scope_new(struct analyzer *z, struct scope *parent);
struct status *scope_add(struct analyzer *z, struct scope *sc, struct nsitem *item,
                         int location) STATUS_MUST_CHECK;
/* A column by its name parts (1 to 3). */
struct status *scope_column(struct analyzer *z, struct scope *sc, const PgQuery__ColumnRef *c,
                            struct expr **out) STATUS_MUST_CHECK;
/* Unqualified name in this block only: true when found once; ambiguity is an error. */
struct status *scope_find(struct analyzer *z, struct scope *sc, const char *name, int location,
                          int *out_var) STATUS_MUST_CHECK;
/* The FROM item of this name, up the scopes; NULL. *out_scope: where. */
struct nsitem *scope_item(struct scope *sc, const char *schema, const char *name,
                          struct scope **out_scope);
/* Notes that sc (and those between) use a var of an ancestor. */
void scope_outer(struct analyzer *z, struct scope *sc, struct scope *owner, int var);
struct cte *scope_cte(struct scope *sc, const char *name);
/* A table or view by name through the search path, 42P01. *out_system instead for system relations.
 */
/* From here on what is told of the statement depends on the catalog. */
void looks_up(struct analyzer *z);
struct status *relation_find(struct analyzer *z, const PgQuery__RangeVar *rv,
                             const Sherd__V1__TableDesc **out,
                             const struct system_table **out_system) STATUS_MUST_CHECK;

/* ---- expr.c, expr_call.c ---- */
struct status *analyze_expr(struct analyzer *z, struct scope *sc, const PgQuery__Node *n,
                            struct expr **out) STATUS_MUST_CHECK;
/* A condition: 42804 unless boolean. */
struct status *analyze_cond(struct analyzer *z, struct scope *sc, const PgQuery__Node *n,
                            const char *place, struct expr **out) STATUS_MUST_CHECK;
struct status *analyze_func(struct analyzer *z, struct scope *sc, const PgQuery__FuncCall *fc,
                            struct expr **out) STATUS_MUST_CHECK;
struct status *analyze_sublink(struct analyzer *z, struct scope *sc, const PgQuery__SubLink *sl,
                               struct expr **out) STATUS_MUST_CHECK;
/* Operator call with casts of its arguments; left NULL: prefix. */
struct status *make_op(struct analyzer *z, const char *op, struct expr *left, struct expr *right,
                       int location, struct expr **out) STATUS_MUST_CHECK;
struct status *make_call(struct analyzer *z, const char *name, int nargs, struct expr **args,
                         int location, struct expr **out) STATUS_MUST_CHECK;
/* Row values: op over two lists of equal length. */
struct status *make_row_op(struct analyzer *z, const char *op, int n, struct expr **left,
                           struct expr **right, int location, struct expr **out) STATUS_MUST_CHECK;
struct status *coerce(struct analyzer *z, struct expr *e, type_oid to, int32_t typmod,
                      enum cast_context cc, struct expr **out) STATUS_MUST_CHECK;
/* Literals and parameters that nothing has typed become text. */
struct status *coerce_unknown(struct analyzer *z, struct expr **e) STATUS_MUST_CHECK;
/* To a column: 42804 `column "x" is of type ...`. */
struct status *coerce_column(struct analyzer *z, struct expr *e, const Sherd__V1__ColumnDesc *col,
                             struct expr **out) STATUS_MUST_CHECK;
/* Casts all to their common type. */
struct status *coerce_common(struct analyzer *z, int n, struct expr **es, const char *what,
                             type_oid *out_type) STATUS_MUST_CHECK;
struct status *coerce_bool(struct analyzer *z, struct expr *e, const char *place,
                           struct expr **out) STATUS_MUST_CHECK;
/* Value of an immutable call of constants, or e itself. */
struct expr *fold(struct analyzer *z, struct expr *e);
const char *column_name(const PgQuery__Node *n); /* PostgreSQL's choice of a result column's name */

/* ---- from.c ---- */
struct status *analyze_from(struct analyzer *z, struct scope *sc, PgQuery__Node *const *items,
                            size_t n, struct rel **out) STATUS_MUST_CHECK;
/* Table scan rel with fresh vars; item goes to the caller to add. */
struct rel *table_rel(struct analyzer *z, const Sherd__V1__TableDesc *t, const char *alias,
                      struct nsitem **out_item);

/* ---- select.c ---- */
struct status *analyze_select(struct analyzer *z, struct scope *parent,
                              const PgQuery__SelectStmt *s, struct block *out,
                              struct scope **out_scope) STATUS_MUST_CHECK;
/* The same, but result columns that are untyped literals stay so, for block_retype(). */
struct status *analyze_select_raw(struct analyzer *z, struct scope *parent,
                                  const PgQuery__SelectStmt *s, struct block *out,
                                  struct scope **out_scope) STATUS_MUST_CHECK;
/* Gives untyped result column i a type. */
struct status *block_retype(struct analyzer *z, struct block *b, int i, type_oid type,
                            int32_t typmod) STATUS_MUST_CHECK;
struct status *analyze_with(struct analyzer *z, struct scope *sc,
                            const PgQuery__WithClause *w) STATUS_MUST_CHECK;
/* Expands '*' and names results: appends to the growing lists. */
struct target_list {
    int n, cap;
    struct expr **exprs;
    const char **names;
};
struct status *analyze_targets(struct analyzer *z, struct scope *sc, PgQuery__Node *const *targets,
                               size_t n, struct target_list *out) STATUS_MUST_CHECK;

/* ---- dml.c ---- */
struct status *analyze_insert(struct analyzer *z, const PgQuery__InsertStmt *s) STATUS_MUST_CHECK;
struct status *analyze_update(struct analyzer *z, const PgQuery__UpdateStmt *s) STATUS_MUST_CHECK;
struct status *analyze_delete(struct analyzer *z, const PgQuery__DeleteStmt *s) STATUS_MUST_CHECK;
/* SELECT at the top: fills q->block and q->columns. */
struct status *analyze_query(struct analyzer *z, const PgQuery__SelectStmt *s) STATUS_MUST_CHECK;
/* A full row for INSERT from the given columns (ordinals): defaults for the others. */
struct status *row_defaults(struct analyzer *z, const Sherd__V1__TableDesc *t, int ngiven,
                            const int *given, struct expr *const *values,
                            struct expr **out_row) STATUS_MUST_CHECK;
/* Default of a column: its expression (cast), nextval for serial, NULL. */
struct status *column_default(struct analyzer *z, const Sherd__V1__TableDesc *t,
                              const Sherd__V1__ColumnDesc *col,
                              struct expr **out) STATUS_MUST_CHECK;

/* ---- table.c ---- */
struct status *table_expr(struct analyzer *z, const Sherd__V1__TableDesc *t, const char *sql,
                          struct expr **out) STATUS_MUST_CHECK;
const Sherd__V1__ColumnDesc *table_column(const Sherd__V1__TableDesc *t, const char *name);
const Sherd__V1__ColumnDesc *table_ordinal(const Sherd__V1__TableDesc *t, uint32_t ordinal);
const Sherd__V1__IndexDesc *table_index(const Sherd__V1__TableDesc *t, uint32_t index_id);
/* Row layout for fragments and row_encode(): in the arena, one entry per ordinal. */
struct row_column *table_row_columns(struct arena *a, const Sherd__V1__TableDesc *t, int *out_n);
bool table_is_hidden(const Sherd__V1__TableDesc *t, const Sherd__V1__ColumnDesc *c);
/* Key of the leading n columns of an index, without the row's primary key. */
struct status *index_prefix_key(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix,
                                int n, const struct datum *values,
                                struct buf *out) STATUS_MUST_CHECK;
struct key_column index_key_column(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexColumn *ic);
bool index_has_bucket(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix);
/* How many leading columns of the index make its bucket; 0 = it has none. */
int index_hash_columns(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix);
/* What stands before the columns of a key. hashed: the key bytes of the columns that make the
 * bucket, if there is one. */
void index_head(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix, struct slice hashed,
                struct buf *out);
/* All keys of the index: ascending, disjoint; in the arena. */
struct key_span *index_spans(struct arena *a, const Sherd__V1__TableDesc *t,
                             const Sherd__V1__IndexDesc *ix, int *out_n);
/* Where keys of the table may lie: of a co-located one its part of the buckets, and last (as of
 * every table) what begins with its id. */
struct key_span *table_ranges(struct arena *a, const Sherd__V1__TableDesc *t, int *out_n);

/* The name as it must stand in a text to be parsed: in quotes. */
void analyze_put_name(struct buf *b, const char *name);

#endif
