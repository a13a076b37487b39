/*
 * What the operators share: the base that counts and times, scratch memory per batch, rows kept in
 * an arena, and hash tables of rows.
 */
#ifndef SQL_OPERATOR_IMPL_H
#define SQL_OPERATOR_IMPL_H

#include "sql/operator.h"

/* First member of every operator. */
struct op_base {
    struct op op;
    struct status *(*run)(struct fiber *f, struct op_base *base, struct batch **out);
    struct op *inputs[2];  /* closed with the operator */
    struct arena *scratch; /* reset by op_scratch() */
    struct eval_ctx *ctx;  /* as given; or NULL */
    uint32_t turns;
};

/* Zeroed, of `size` bytes, wired up. types may be NULL for later. */
void *op_alloc(struct arena *a, size_t size, int ncols, const uint32_t *types,
               struct status *(*run)(struct fiber *f, struct op_base *base, struct batch **out));
/* An arena of its own that goes when `a` goes. */
struct arena *op_arena(struct arena *a);
/* The scratch arena, emptied: what the last batch pointed at is gone. */
struct arena *op_scratch(struct op_base *b);
/* The operator's evaluation context with results in `a`. */
struct eval_ctx op_eval_ctx(const struct op_base *b, struct arena *a);
/* Takes a turn: notices a cancel, and lets others run every so often. f may be NULL (tests). */
struct status *op_turn(struct fiber *f, struct op_base *b) STATUS_MUST_CHECK;
/* A hint for 53200: what needed the memory. */
struct status *op_budget_hint(struct status *st, const char *what);

/* A batch whose columns the caller fills in: cols[] pointers only. */
struct batch *batch_shell(struct arena *a, int ncols, const uint32_t *types, int nrows);
/* The selected rows of a batch: datums are copied, their bytes borrowed. */
struct status *batch_select(struct arena *a, const struct batch *in, const int *sel, int n,
                            struct batch **out) STATUS_MUST_CHECK;
/* An array for a selection of n rows. */
struct status *batch_sel(struct arena *a, int n, int **out) STATUS_MUST_CHECK;

/* ---- kept rows ---- */

struct row {
    struct row *next; /* chain, by use */
    uint64_t hash;
    int64_t count; /* by use: multiplicity, matched flag */
    struct datum v[];
};

/* Deep copy of row r of the batch. 53200 when over the arena's budget. */
struct status *row_keep(struct arena *a, const struct batch *in, int r,
                        struct row **out) STATUS_MUST_CHECK;
/* Hash of some columns (cols NULL: the first n), NULLs included. */
uint64_t row_hash_batch(const struct batch *in, int r, const int *cols, int n);
bool row_equal_batch(const struct row *row, const struct batch *in, int r, int n);
uint64_t datum_hash(uint32_t type, const struct datum *d);
/* Puts kept rows [from, from + n) into a new batch of the first ncols columns. */
struct batch *rows_batch(struct arena *a, int ncols, const uint32_t *types, struct row *const *rows,
                         int n);

/* Chained hash table of rows that grows by doubling; memory in `a`. */
struct row_table {
    struct arena *a;
    struct row **buckets;
    uint32_t mask;
    size_t count;
};
struct status *row_table_init(struct row_table *t, struct arena *a) STATUS_MUST_CHECK;
static inline struct row *row_table_chain(const struct row_table *t, uint64_t hash)
{
    return t->buckets[hash & t->mask];
}
struct status *row_table_add(struct row_table *t, struct row *row) STATUS_MUST_CHECK;
/* The row equal to row r of the batch in its first n columns; NULL: none. */
struct row *row_table_find(const struct row_table *t, uint64_t hash, const struct batch *in, int r,
                           int n);

#endif
