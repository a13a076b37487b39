/*
 * Vectorized operators: each pulls batches from its input and gives batches. The router finishes
 * with them what shards began; the shard uses the aggregate and top-N.
 *
 * next() returns *out NULL at the end. A batch is valid until the next call. Memory is the
 * operator's arena, whose budget bounds sorts and hashes (53200 beyond).
 */
#ifndef SQL_OPERATOR_H
#define SQL_OPERATOR_H

#include "base/fiber.h"
#include "sql/expr.h"
#include "sql/fragment.h"

struct op {
    struct status *(*next)(struct fiber *f, struct op *op, struct batch **out);
    void (*close)(struct op *op); /* or NULL; memory is the arena's */
    int ncols;
    const uint32_t *types;
    uint64_t rows_out; /* for EXPLAIN ANALYZE */
    uint64_t ns;
};

static inline struct status *op_next(struct fiber *f, struct op *op, struct batch **out)
{
    return op->next(f, op, out);
}
void op_close(struct op *op); /* NULL is fine */

struct op *op_values(struct arena *a, struct eval_ctx *ctx, int ncols, const uint32_t *types,
                     int nrows, struct expr *const *const *rows);
struct op *op_batches(struct arena *a, int ncols, const uint32_t *types, struct batch **batches,
                      int count);
struct op *op_filter(struct arena *a, struct eval_ctx *ctx, struct op *in, struct expr *predicate);
struct op *op_project(struct arena *a, struct eval_ctx *ctx, struct op *in, int n,
                      struct expr **exprs);
struct op *op_limit(struct arena *a, struct op *in, int64_t offset,
                    int64_t limit); /* -1 = no limit */
struct op *op_sort(struct arena *a, struct op *in, int nkeys, const struct sort_key *keys,
                   int64_t limit);
struct op *op_distinct(struct arena *a, struct op *in);
enum agg_mode { AGG_COMPLETE, AGG_PARTIAL, AGG_FINAL };
/* Groups are the input's columns 0..ngroups-1. COMPLETE and PARTIAL evaluate the aggregates' args
 * over the input; FINAL takes columns ngroups.. as partial states. A plain aggregate (ngroups 0)
 * gives one row even for no input, except in PARTIAL mode. */
struct op *op_aggregate(struct arena *a, struct eval_ctx *ctx, struct op *in, int ngroups,
                        int naggs, const struct agg_call *aggs, enum agg_mode mode);
enum join_kind { JOIN_INNER, JOIN_LEFT, JOIN_RIGHT, JOIN_FULL, JOIN_SEMI, JOIN_ANTI };
/* Hash join on equal keys (column pairs), then the residual predicate over left columns followed by
 * right columns; nkeys 0: nested loop over the materialized right side. SEMI/ANTI give the left
 * columns only. */
struct op *op_join(struct arena *a, struct eval_ctx *ctx, enum join_kind kind, struct op *left,
                   struct op *right, int nkeys, const int *left_keys, const int *right_keys,
                   struct expr *residual);
enum setop_kind {
    SETOP_UNION_ALL,
    SETOP_UNION,
    SETOP_INTERSECT,
    SETOP_INTERSECT_ALL,
    SETOP_EXCEPT,
    SETOP_EXCEPT_ALL
};
struct op *op_setop(struct arena *a, enum setop_kind kind, struct op *left, struct op *right);
/* generate_series(int/bigint/numeric/timestamp...). */
struct op *op_series(struct arena *a, struct eval_ctx *ctx, type_oid type, struct expr *start,
                     struct expr *stop, struct expr *step);
/* The rows of a FUNC_SET call (unnest, regexp_split_to_table, generate_series ...) without outer
 * columns: one column of the call's type. */
struct op *op_set(struct arena *a, struct eval_ctx *ctx, struct expr *call);

#endif
