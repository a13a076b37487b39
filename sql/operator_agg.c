/*
 * Hash aggregation in its three modes. Groups come out in the order of their first rows.
 *
 * PARTIAL keeps at most GROUPS_PER_FLUSH groups: when there are more it gives out what it has and
 * starts over, since FINAL merges equal groups anyway. So a shard's memory is bounded whatever the
 * number of groups. COMPLETE and FINAL are bounded by the arena's budget (53200).
 */
#include "operator_impl.h"

#include "funcs.h"

#include "base/check.h"

enum { GROUPS_PER_FLUSH = 32768 };

struct group {
    struct row *key; /* the group columns */
    void **states;
    struct row_table *seen; /* per DISTINCT aggregate; else NULL */
};

struct op_aggregate {
    struct op_base base;
    enum agg_mode mode;
    int ngroups, naggs;
    const struct agg_call *aggs;
    struct arena *store;
    struct row_table table; /* row.count = index into groups */
    struct group *groups;
    size_t count, cap, at; /* groups given out: at */
    bool is_open, is_flushing, is_done;
};

static struct status *group_new(struct op_aggregate *o, struct row *key)
{
    struct arena *a = o->store;
    if (o->count == o->cap) {
        size_t cap = o->cap == 0 ? 64 : o->cap * 2;
        TRY(arena_reserve(a, cap * sizeof(struct group)));
        struct group *g = arena_alloc(a, cap * sizeof(struct group));
        if (o->count > 0) {
            memcpy(g, o->groups, o->count * sizeof(struct group));
        }
        o->groups = g;
        o->cap = cap;
    }
    size_t size = (size_t)16 << 10;
    for (int i = 0; i < o->naggs; i++) {
        size += o->aggs[i].func->agg->state_size + 32;
    }
    TRY(arena_reserve(a, size));
    struct group *g = &o->groups[o->count++];
    g->key = key;
    g->states = ARENA_ARRAY(a, void *, o->naggs + 1);
    g->seen = NULL;
    for (int i = 0; i < o->naggs; i++) {
        g->states[i] = agg_state(a, &o->aggs[i]);
        if (o->aggs[i].is_distinct && o->mode == AGG_COMPLETE && o->aggs[i].nargs > 0) {
            if (g->seen == NULL) {
                g->seen = ARENA_ARRAY(a, struct row_table, o->naggs);
            }
            TRY(row_table_init(&g->seen[i], a));
        }
    }
    return NULL;
}

static struct status *open_store(struct op_aggregate *o)
{
    TRY(row_table_init(&o->table, o->store));
    o->groups = NULL;
    o->count = o->cap = o->at = 0;
    if (o->ngroups == 0 && o->mode != AGG_PARTIAL) {
        TRY(group_new(o, NULL));
    }
    o->is_open = true;
    return NULL;
}

/* The group of each row of the batch. */
static struct status *find_groups(struct op_aggregate *o, const struct batch *in, size_t *out)
{
    if (o->ngroups == 0) {
        if (o->count == 0) {
            TRY(group_new(o, NULL));
        }
        memset(out, 0, sizeof(*out) * (size_t)in->nrows);
        return NULL;
    }
    struct batch keys = *in;
    keys.ncols = o->ngroups;
    for (int r = 0; r < in->nrows; r++) {
        uint64_t h = row_hash_batch(&keys, r, NULL, o->ngroups);
        struct row *row = row_table_find(&o->table, h, &keys, r, o->ngroups);
        if (row == NULL) {
            TRY(row_keep(o->store, &keys, r, &row));
            row->hash = h;
            row->count = (int64_t)o->count;
            TRY(row_table_add(&o->table, row));
            TRY(group_new(o, row));
        }
        out[r] = (size_t)row->count;
    }
    return NULL;
}

/* Whether these arguments are new to the group's DISTINCT aggregate. */
static struct status *is_first(struct op_aggregate *o, struct group *g, int agg,
                               const struct batch *args, int r, bool *out)
{
    struct row_table *t = &g->seen[agg];
    uint64_t h = row_hash_batch(args, r, NULL, args->ncols);
    *out = row_table_find(t, h, args, r, args->ncols) == NULL;
    if (!*out) {
        return NULL;
    }
    struct row *row;
    TRY(row_keep(o->store, args, r, &row));
    row->hash = h;
    return row_table_add(t, row);
}

static struct status *add_batch(struct op_aggregate *o, const struct batch *in, struct arena *a,
                                const size_t *groups)
{
    struct eval_ctx ctx = op_eval_ctx(&o->base, a);
    for (int i = 0; i < o->naggs; i++) {
        const struct agg_call *call = &o->aggs[i];
        const struct agg_ops *ops = call->func->agg;
        int *sel = NULL, n = in->nrows;
        TRY(arena_reserve(a, sizeof(int) * (size_t)in->nrows + ((size_t)16 << 10)));
        if (call->filter != NULL) {
            sel = ARENA_ARRAY(a, int, in->nrows + 1);
            TRY(expr_filter(&ctx, call->filter, in, sel, &n));
        }
        struct batch args = {.ncols = call->nargs, .nrows = n};
        args.types = ARENA_ARRAY(a, uint32_t, call->nargs + 1);
        args.cols = ARENA_ARRAY(a, struct datum *, call->nargs + 1);
        for (int k = 0; k < call->nargs; k++) {
            const struct expr *e = call->args[k];
            args.types[k] = e->type;
            if (e->kind == EXPR_COLUMN && sel == NULL && e->index < in->ncols) {
                args.cols[k] = in->cols[e->index];
                continue;
            }
            TRY(arena_reserve(a, sizeof(struct datum) * (size_t)n));
            args.cols[k] = ARENA_ARRAY(a, struct datum, n);
            TRY(expr_eval(&ctx, e, in, sel, n, args.cols[k]));
        }
        struct datum few[8];
        ASSERT(call->nargs <= 8);
        for (int r = 0; r < n; r++) {
            struct group *g = &o->groups[groups[sel != NULL ? sel[r] : r]];
            if (g->seen != NULL && g->seen[i].buckets != NULL) {
                bool first;
                TRY(is_first(o, g, i, &args, r, &first));
                if (!first) {
                    continue;
                }
            }
            for (int k = 0; k < call->nargs; k++) {
                few[k] = args.cols[k][r];
            }
            TRY(arena_slack(o->store));
            TRY(ops->add(o->store, g->states[i], few, call->nargs));
        }
    }
    return NULL;
}

static struct status *merge_batch(struct op_aggregate *o, const struct batch *in,
                                  const size_t *groups)
{
    if (in->ncols < o->ngroups + o->naggs) {
        return status_new(INTERNAL, "partial aggregates: %d columns, %d expected", in->ncols,
                          o->ngroups + o->naggs);
    }
    for (int i = 0; i < o->naggs; i++) {
        if (in->types[o->ngroups + i] != TYPE_BYTEA) {
            return status_new(INTERNAL, "partial aggregates: column %d is not bytea",
                              o->ngroups + i);
        }
        const struct datum *col = in->cols[o->ngroups + i];
        for (int r = 0; r < in->nrows; r++) {
            if (!col[r].is_null) {
                TRY(arena_reserve(o->store, (size_t)col[r].len * 2 + ((size_t)128 << 10)));
                TRY(o->aggs[i].func->agg->merge(o->store, o->groups[groups[r]].states[i],
                                                datum_slice(&col[r])));
            }
        }
    }
    return NULL;
}

static struct status *take_batch(struct op_aggregate *o, const struct batch *in)
{
    struct arena *a = op_scratch(&o->base);
    TRY(arena_reserve(a, sizeof(size_t) * (size_t)in->nrows));
    size_t *groups = ARENA_ARRAY(a, size_t, in->nrows + 1);
    TRY(find_groups(o, in, groups));
    return o->mode == AGG_FINAL ? merge_batch(o, in, groups) : add_batch(o, in, a, groups);
}

static struct status *put_state(struct op_aggregate *o, struct arena *a, int agg, void *state,
                                struct datum *out)
{
    const struct agg_ops *ops = o->aggs[agg].func->agg;
    TRY(arena_slack(a));
    if (o->mode != AGG_PARTIAL) {
        return ops->finish(a, state, out);
    }
    struct buf b = {0};
    ops->save(state, &b);
    struct status *st = arena_reserve(a, b.len);
    if (st == NULL) {
        *out = datum_bytes(arena_copy(a, buf_slice(&b)));
    }
    buf_deinit(&b);
    return st;
}

static struct status *give_groups(struct op_aggregate *o, struct batch **out)
{
    size_t left = o->count - o->at;
    int n = left < BATCH_ROWS ? (int)left : BATCH_ROWS;
    struct arena *a = op_scratch(&o->base);
    struct batch *b = batch_create(a, o->base.op.ncols, o->base.op.types, n > 0 ? n : 1);
    for (int k = 0; k < n; k++) {
        struct group *g = &o->groups[o->at + (size_t)k];
        for (int c = 0; c < o->ngroups; c++) {
            b->cols[c][k] = g->key->v[c];
        }
        for (int i = 0; i < o->naggs; i++) {
            TRY(put_state(o, a, i, g->states[i], &b->cols[o->ngroups + i][k]));
        }
    }
    b->nrows = n;
    o->at += (size_t)n;
    *out = n > 0 ? b : NULL;
    return NULL;
}

static struct status *aggregate_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_aggregate *o = (struct op_aggregate *)base;
    if (!o->is_open) {
        TRY(open_store(o));
    }
    for (;;) {
        if (o->is_flushing || o->is_done) {
            TRY(give_groups(o, out));
            if (*out != NULL || o->is_done) {
                return NULL;
            }
            arena_reset(o->store); /* all given out: start over */
            TRY(open_store(o));
            o->is_flushing = false;
        }
        struct batch *in;
        TRY(op_turn(f, base));
        TRY(op_next(f, base->inputs[0], &in));
        if (in == NULL) {
            o->is_done = true;
            continue;
        }
        TRY(op_budget_hint(take_batch(o, in), "aggregation"));
        o->is_flushing = o->mode == AGG_PARTIAL && o->count >= GROUPS_PER_FLUSH;
    }
}

struct op *op_aggregate(struct arena *a, struct eval_ctx *ctx, struct op *in, int ngroups,
                        int naggs, const struct agg_call *aggs, enum agg_mode mode)
{
    ASSERT(ngroups <= in->ncols);
    uint32_t *types = ARENA_ARRAY(a, uint32_t, ngroups + naggs + 1);
    for (int i = 0; i < ngroups; i++) {
        types[i] = in->types[i];
    }
    for (int i = 0; i < naggs; i++) {
        types[ngroups + i] = mode == AGG_PARTIAL ? TYPE_BYTEA : aggs[i].result;
    }
    struct op_aggregate *o = op_alloc(a, sizeof(*o), ngroups + naggs, types, aggregate_run);
    o->base.ctx = ctx;
    o->base.inputs[0] = in;
    o->mode = mode;
    o->ngroups = ngroups;
    o->naggs = naggs;
    o->aggs = aggs;
    o->store = mode == AGG_PARTIAL ? op_arena(a) : a;
    return &o->base.op;
}
