/*
 * Sort, and top-N when there is a limit.
 *
 * All rows are kept in the operator's arena, whose budget bounds the sort. A top-N keeps a buffer
 * of at least twice N rows: when it is full it is sorted, the best N move to a fresh arena and the
 * old one goes, so memory follows N and not the input.
 */
#include "operator_impl.h"

#include "base/mem.h"

#include <stdlib.h>

struct op_sort {
    struct op_base base;
    struct arena *a;
    int nkeys;
    const struct sort_key *keys;
    int64_t limit;
    struct arena *store; /* where the rows are */
    struct row **rows;
    size_t count, cap;
    const struct row *worst; /* of a full top-N */
    size_t at;
    bool is_sorted;
};

static int compare_key(const struct sort_key *k, const struct datum *a, const struct datum *b)
{
    if (a->is_null || b->is_null) {
        if (a->is_null == b->is_null) {
            return 0;
        }
        return a->is_null == k->nulls_first ? -1 : 1;
    }
    int c = k->type == TYPE_INT4 || k->type == TYPE_INT8 ? (a->i > b->i) - (a->i < b->i)
                                                         : type_compare(k->type, a, b);
    return k->is_desc ? -c : c;
}

static int compare_rows(const void *pa, const void *pb, void *ctx)
{
    const struct op_sort *o = ctx;
    const struct row *x = *(struct row *const *)pa, *y = *(struct row *const *)pb;
    for (int i = 0; i < o->nkeys; i++) {
        int column = o->keys[i].column;
        int c = compare_key(&o->keys[i], &x->v[column], &y->v[column]);
        if (c != 0) {
            return c;
        }
    }
    return (x->count > y->count) - (x->count < y->count); /* order of arrival: stable */
}

/* Whether row r of the batch comes after all of a full top-N: it need not be kept. */
static bool is_beyond(const struct op_sort *o, const struct batch *in, int r)
{
    if (o->worst == NULL) {
        return false;
    }
    for (int i = 0; i < o->nkeys; i++) {
        const struct sort_key *k = &o->keys[i];
        int c = compare_key(k, &in->cols[k->column][r], &o->worst->v[k->column]);
        if (c != 0) {
            return c > 0;
        }
    }
    return true; /* equal, and it came later */
}

static void sort_rows(struct op_sort *o)
{
    if (o->count > 1) {
        qsort_r(o->rows, o->count, sizeof(*o->rows), compare_rows, o);
    }
}

static void drop_rows(void *ctx)
{
    mem_free(((struct op_sort *)ctx)->rows);
}

static void drop_store(void *ctx)
{
    struct op_sort *o = ctx;
    if (o->store != o->a) {
        arena_destroy(o->store);
    }
}

/* Keeps the best `limit` rows, in memory of their own. */
static struct status *cut(struct op_sort *o)
{
    sort_rows(o);
    size_t keep = (size_t)o->limit;
    if (o->count <= keep) {
        return NULL;
    }
    struct arena *fresh = arena_create(0);
    size_t ncols = (size_t)o->base.op.ncols,
           size = sizeof(struct row) + sizeof(struct datum) * ncols;
    for (size_t i = 0; i < keep; i++) {
        const struct row *old = o->rows[i];
        struct status *st = arena_reserve(fresh, size + 16);
        if (st != NULL) {
            arena_destroy(fresh);
            return st;
        }
        struct row *row = arena_alloc(fresh, size);
        *row = *old;
        for (size_t c = 0; c < ncols; c++) {
            row->v[c] =
                old->v[c].is_null ? DATUM_NULL : datum_copy(fresh, o->base.op.types[c], &old->v[c]);
        }
        o->rows[i] = row;
    }
    o->count = keep;
    o->worst = keep > 0 ? o->rows[keep - 1] : NULL;
    arena_destroy(o->store);
    o->store = fresh;
    return NULL;
}

static struct status *add_rows(struct op_sort *o, const struct batch *in, int64_t *seq)
{
    for (int r = 0; r < in->nrows; r++) {
        if (is_beyond(o, in, r)) {
            continue;
        }
        if (o->count == o->cap) {
            bool is_full = o->limit >= 0 && o->count >= (size_t)o->limit * 2 + BATCH_ROWS;
            if (is_full) {
                TRY(cut(o));
            } else {
                size_t cap = o->cap == 0 ? BATCH_ROWS : o->cap * 2;
                if (o->limit >= 0 && cap > (size_t)o->limit * 2 + BATCH_ROWS) {
                    cap = (size_t)o->limit * 2 + BATCH_ROWS;
                }
                o->rows = mem_realloc(o->rows, cap * sizeof(*o->rows));
                o->cap = cap;
            }
        }
        struct row *row;
        TRY(row_keep(o->store, in, r, &row));
        row->count = (*seq)++;
        o->rows[o->count++] = row;
    }
    return NULL;
}

static struct status *sort_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_sort *o = (struct op_sort *)base;
    int64_t seq = 0;
    while (!o->is_sorted) {
        struct batch *in;
        TRY(op_turn(f, base));
        if (o->limit == 0) {
            return NULL;
        }
        TRY(op_next(f, base->inputs[0], &in));
        if (in == NULL) {
            sort_rows(o);
            if (o->limit >= 0 && o->count > (size_t)o->limit) {
                o->count = (size_t)o->limit;
            }
            o->is_sorted = true;
            break;
        }
        TRY(op_budget_hint(add_rows(o, in, &seq), "sort"));
    }
    size_t n = o->count - o->at < BATCH_ROWS ? o->count - o->at : BATCH_ROWS;
    if (n == 0) {
        return NULL;
    }
    *out = rows_batch(op_scratch(base), base->op.ncols, base->op.types, o->rows + o->at, (int)n);
    o->at += n;
    return NULL;
}

struct op *op_sort(struct arena *a, struct op *in, int nkeys, const struct sort_key *keys,
                   int64_t limit)
{
    struct op_sort *o = op_alloc(a, sizeof(*o), in->ncols, in->types, sort_run);
    o->base.inputs[0] = in;
    o->a = a;
    o->nkeys = nkeys;
    o->keys = keys;
    /* A huge limit is no limit: its buffer would not fit anyway. */
    o->limit = limit >= 0 && limit <= 1 << 20 ? limit : -1;
    o->store = o->limit >= 0 ? arena_create(0) : a;
    arena_on_free(a, drop_rows, o);
    arena_on_free(a, drop_store, o);
    return limit > 1 << 20 ? op_limit(a, &o->base.op, 0, limit) : &o->base.op;
}
