/*
 * Expressions: typed trees after analysis, evaluated over batches. Shared by router and shard, so
 * they encode to bytes (fragments) and decode with every field checked.
 *
 * Evaluation goes node by node over a selection of rows; CASE, AND, OR and COALESCE narrow the
 * selection, so an error of a branch not taken is not raised. Strict functions skip NULL rows.
 */
#ifndef SQL_EXPR_H
#define SQL_EXPR_H

#include "sql/datum.h"
#include "sql/types.h"

enum expr_kind {
    EXPR_CONST = 1, /* value */
    EXPR_COLUMN,    /* index: column of the input batch */
    EXPR_PARAM,     /* index: 0-based; bound at execution */
    EXPR_CALL,      /* func, args: functions, operators and casts alike */
    EXPR_AND,       /* args, three-valued */
    EXPR_OR,
    EXPR_NOT,
    EXPR_IS_NULL,   /* args[0]; negate */
    EXPR_BOOL_TEST, /* args[0] IS [NOT] TRUE/FALSE/UNKNOWN: index 0 true, 1 false, 2 unknown; negate
                     */
    EXPR_DISTINCT,  /* args[0] IS DISTINCT FROM args[1]; negate */
    EXPR_CASE,      /* args: when1, then1, when2, then2, ..., [else]: has_else */
    EXPR_COALESCE,
    EXPR_GREATEST,  /* negate: LEAST */
    EXPR_IN,        /* args[0] = ANY of args[1..] all of one type; negate: NOT IN */
    EXPR_ANY_ARRAY, /* args[0] func ANY/ALL (args[1] array); negate: ALL */
    EXPR_ARRAY,     /* ARRAY[args] */
    EXPR_SUBPLAN,   /* router only: index of a sub-select of the plan; args: its outer references */
};

enum subplan_kind { SUBPLAN_SCALAR, SUBPLAN_EXISTS, SUBPLAN_ANY, SUBPLAN_ALL, SUBPLAN_ARRAY };

struct func_def;

struct expr {
    enum expr_kind kind;
    type_oid type;
    int32_t typmod;
    int index;
    bool negate;
    bool has_else;
    uint8_t subkind;
    struct datum value; /* EXPR_CONST */
    const struct func_def
        *func; /* EXPR_CALL, EXPR_ANY_ARRAY, and the comparison of EXPR_IN/ANY subplans */
    int nargs;
    struct expr **args;
    int location; /* byte offset in the statement, -1 = none */
};

struct expr *expr_const(struct arena *a, type_oid type, struct datum d);
struct expr *expr_column(struct arena *a, type_oid type, int32_t typmod, int index);
struct expr *expr_call(struct arena *a, const struct func_def *f, type_oid type, int nargs,
                       struct expr **args);
struct expr *expr_copy(struct arena *a, const struct expr *e);
bool expr_equal(const struct expr *a, const struct expr *b);
/* Calls fn on every node, children first; fn may replace *node. */
void expr_walk(struct expr **e, void (*fn)(struct expr **node, void *ctx), void *ctx);
bool expr_is_volatile(
    const struct expr *e); /* has nextval(), random() ...: not to be folded or pushed down */
bool expr_is_stable(const struct expr *e); /* has now() ...: fixed within a statement; evaluated on
                                              the router before push-down */

/* What a row costs: the nodes that are computed. */
int expr_weight(const struct expr *e);
/* Rows to evaluate in one turn of the loop, so that an expression of ten thousands of conditions
 * does not keep it busy: BATCH_ROWS, or less down to one. */
int expr_rows_a_turn(int weight);

/* What evaluation needs from its surroundings. */
struct eval_ctx {
    struct arena *arena; /* results live here */
    const struct datum *params;
    int nparams;
    int64_t txn_now_us; /* now(): timestamptz of the transaction's start, as a datum (since 2000) */
    int64_t stmt_now_us; /* statement_timestamp() */
    int64_t clock_us;    /* clock_timestamp() */
    uint64_t (*random)(void *ctx);
    /* Router's hooks for functions that need the session: sequences, settings, catalog. name tells
     * which
     * ("nextval", "current_setting", "pg_get_indexdef", ...); NULL hook: 0A000. fiber may park. */
    struct status *(*session_call)(void *ctx, const struct func_def *f, const struct datum *args,
                                   int nargs, struct datum *out);
    struct status *(*subplan)(void *ctx, const struct expr *e, const struct datum *outer,
                              struct datum *out);
    void *ctx;
    /* Set by expr_eval() around each call: where functions that take any type find the types of
     * their arguments and of the result. */
    const struct expr *call;
};

/* Evaluates over rows sel[0..nsel-1] of the batch (sel NULL: rows 0..nsel-1). out[k] is the result
 * of the k-th selected row. */
struct status *expr_eval(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                         const int *sel, int nsel, struct datum *out) STATUS_MUST_CHECK;
/* One row without input columns: defaults, VALUES, folding. */
struct status *expr_eval_const(struct eval_ctx *ctx, const struct expr *e,
                               struct datum *out) STATUS_MUST_CHECK;
/* Rows for which the predicate is true: fills out_sel, returns the count in *out_n. */
struct status *expr_filter(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                           int *out_sel, int *out_n) STATUS_MUST_CHECK;

void expr_encode(struct buf *out, const struct expr *e);
struct status *expr_decode(struct arena *a, struct reader *r, struct expr **out) STATUS_MUST_CHECK;
/* SQL-like text for EXPLAIN; column_names may be NULL ($0, $1 ...). */
void expr_format(struct buf *out, const struct expr *e, const char *const *column_names);

/* ---- functions, operators, casts, aggregates ---- */

enum func_class { FUNC_SCALAR, FUNC_AGGREGATE, FUNC_SET, FUNC_WINDOW };
enum func_volatility { FUNC_IMMUTABLE, FUNC_STABLE, FUNC_VOLATILE };

typedef struct status *(*func_scalar)(struct eval_ctx *ctx, const struct datum *args, int nargs,
                                      struct datum *out);

struct func_def {
    uint32_t id;      /* stable: it goes into encoded expressions */
    const char *name; /* "lower", "int4pl" ... */
    const char *op;   /* operator symbol it implements ("+"), or NULL */
    enum func_class class;
    enum func_volatility volatility;
    bool is_strict;
    bool is_variadic;
    bool is_cast;
    bool needs_session; /* goes through eval_ctx.session_call */
    type_oid result;    /* TYPE_..., or polymorphic: func_resolve() tells the real one */
    int nargs;          /* declared; the last one repeats when is_variadic */
    int ndefaults;      /* so many of the last arguments may be left out */
    type_oid args[8];   /* TYPE_..., or one of the polymorphic ones below */
    /* FUNC_SET: gives the rows as an array of the result type (text forms, when that is an array
     * itself); op_set() unpacks it. NULL for aggregates. */
    func_scalar scalar;
    const struct agg_ops *agg;
};

/* Polymorphic argument and result types; never the type of an expression. */
enum {
    TYPE_ANY = 2276, /* anything, each its own */
    TYPE_ANYELEMENT = 2283,
    TYPE_ANYARRAY = 2277,
    TYPE_ANYNONARRAY = 2776,
    TYPE_ANYCOMPATIBLE = 5077,
    TYPE_ANYCOMPATIBLEARRAY = 5078,
    TYPE_ANYCOMPATIBLENONARRAY = 5079,
};

/* Ids are PostgreSQL's pg_proc oids (and from 12000 ours). NULL: no such function. */
const struct func_def *func_by_id(uint32_t id);
/* All of them in order of id, for pg_proc and pg_operator. Returns how many; index from 0. */
size_t func_count(void);
const struct func_def *func_at(size_t index);

/* PostgreSQL's resolution (manual, chapter 10): finds the function for these argument types
 * (TYPE_UNKNOWN for untyped literals and parameters), and the types its arguments are to be cast
 * to. 42883 with PostgreSQL's message and hint when none, 42725 when ambiguous. */
struct status *func_resolve(struct slice name, const type_oid *args, int nargs, bool star,
                            const struct func_def **out, type_oid *out_args,
                            type_oid *out_result) STATUS_MUST_CHECK;
/* left = 0 for a prefix operator. */
struct status *func_resolve_op(struct slice op, type_oid left, type_oid right,
                               const struct func_def **out, type_oid *out_left, type_oid *out_right,
                               type_oid *out_result) STATUS_MUST_CHECK;

enum cast_context { CAST_IMPLICIT, CAST_ASSIGNMENT, CAST_EXPLICIT };
/* Wraps e so that it has the type; constants of UNKNOWN are parsed. 42846 / 42804 when impossible.
 * typmod -1 = none; in CAST_EXPLICIT a too long varchar is cut, else 22001. */
struct status *expr_cast(struct arena *a, struct expr *e, type_oid to, int32_t typmod,
                         enum cast_context cc, struct expr **out) STATUS_MUST_CHECK;
bool cast_exists(type_oid from, type_oid to, enum cast_context cc);
/* The common type of UNION, CASE, VALUES, IN lists (manual 10.5). */
struct status *type_common(const type_oid *types, int count, const char *what,
                           type_oid *out) STATUS_MUST_CHECK;

/* Aggregates: state is opaque, in the arena; partial states travel from shard to router as bytes.
 */
struct agg_ops {
    size_t state_size; /* zeroed before init */
    void (*init)(struct arena *a, void *state);
    struct status *(*add)(struct arena *a, void *state, const struct datum *args, int nargs);
    struct status *(*merge)(struct arena *a, void *state, struct slice partial); /* from save() */
    void (*save)(const void *state, struct buf *out);
    struct status *(*finish)(struct arena *a, const void *state, struct datum *out);
    /* Or NULL: tells the state its argument types, after init and before anything else. Polymorphic
     * aggregates (min, array_agg) keep them. */
    void (*bind)(void *state, const type_oid *arg_types, int nargs);
};

struct agg_call {
    const struct func_def *func;
    type_oid result;
    int nargs; /* 0: count(*) */
    struct expr **args;
    bool is_distinct;    /* never pushed down */
    struct expr *filter; /* or NULL */
};

/* A fresh state of the call: allocated, initialised, bound. */
void *agg_state(struct arena *a, const struct agg_call *call);

#endif
