/*
 * Join: the right side is kept in memory, hashed by its key columns; the left side streams past it.
 *
 * For each left batch candidate pairs are gathered, up to a batch of them at a time, the residual
 * predicate is evaluated over the pairs, and what passes is given out. Left rows remember whether
 * they matched (LEFT, FULL, SEMI, ANTI), right rows too (RIGHT, FULL: what is left over comes at
 * the end). A NULL key matches nothing. Without keys every right row is a candidate (nested loop).
 */
#include "operator_impl.h"

#include "funcs.h"

struct op_join {
    struct op_base base;
    enum join_kind kind;
    struct arena *a;
    int nkeys;
    const int *left_keys, *right_keys;
    const uint32_t *key_types; /* of the right side's keys */
    struct expr *residual;
    const uint32_t *pair_types; /* left columns, then right columns */
    int nleft, nright;

    bool is_open;
    struct row_table table;
    struct row **all; /* right rows in order of arrival */
    size_t nall, cap_all;

    struct batch *left; /* the batch in work; borrowed from the input */
    struct arena *side; /* per left batch: matched flags */
    bool *matched;
    int at;            /* left row in work */
    struct row *chain; /* its next candidate (hash) */
    size_t chain_at;   /* the same (nested loop) */
    uint64_t hash;
    bool is_started; /* chain is set for `at` */
    bool is_tail;    /* left side done: unmatched right rows */
    size_t tail_at;
};

static bool is_null_key(const struct batch *in, int r, const int *keys, int n)
{
    for (int i = 0; i < n; i++) {
        if (in->cols[keys[i]][r].is_null) {
            return true;
        }
    }
    return false;
}

static struct status *keep_right(struct op_join *o, const struct batch *in)
{
    for (int r = 0; r < in->nrows; r++) {
        bool null_key = o->nkeys > 0 && is_null_key(in, r, o->right_keys, o->nkeys);
        bool keeps_unmatched = o->kind == JOIN_RIGHT || o->kind == JOIN_FULL;
        if (null_key && !keeps_unmatched) {
            continue;
        }
        if (o->nall == o->cap_all) {
            size_t cap = o->cap_all == 0 ? 256 : o->cap_all * 2;
            TRY(arena_reserve(o->a, cap * sizeof(*o->all)));
            struct row **all = arena_alloc(o->a, cap * sizeof(*o->all));
            if (o->nall > 0) {
                memcpy(all, o->all, o->nall * sizeof(*o->all));
            }
            o->all = all;
            o->cap_all = cap;
        }
        struct row *row;
        TRY(row_keep(o->a, in, r, &row));
        o->all[o->nall++] = row;
        if (o->nkeys > 0 && !null_key) {
            row->hash = row_hash_batch(in, r, o->right_keys, o->nkeys);
            TRY(row_table_add(&o->table, row));
        }
    }
    return NULL;
}

static struct status *load_right(struct fiber *f, struct op_join *o)
{
    TRY(row_table_init(&o->table, o->a));
    for (;;) {
        struct batch *in;
        TRY(op_turn(f, &o->base));
        TRY(op_next(f, o->base.inputs[1], &in));
        if (in == NULL) {
            return NULL;
        }
        TRY(op_budget_hint(keep_right(o, in), "right side of the join"));
    }
}

static bool keys_equal(const struct op_join *o, const struct row *right, int l)
{
    for (int i = 0; i < o->nkeys; i++) {
        const struct datum *x = &o->left->cols[o->left_keys[i]][l];
        if (type_compare(o->key_types[i], x, &right->v[o->right_keys[i]]) != 0) {
            return false;
        }
    }
    return true;
}

/* The next candidate of the left row in work; NULL: no more. */
static struct row *next_candidate(struct op_join *o)
{
    if (o->nkeys == 0) {
        return o->chain_at < o->nall ? o->all[o->chain_at++] : NULL;
    }
    if (!o->is_started) {
        o->is_started = true;
        o->chain = NULL;
        if (!is_null_key(o->left, o->at, o->left_keys, o->nkeys)) {
            o->hash = row_hash_batch(o->left, o->at, o->left_keys, o->nkeys);
            o->chain = row_table_chain(&o->table, o->hash);
        }
    }
    while (o->chain != NULL) {
        struct row *row = o->chain;
        o->chain = row->next;
        if (row->hash == o->hash && keys_equal(o, row, o->at)) {
            return row;
        }
    }
    return NULL;
}

static void next_left(struct op_join *o)
{
    o->at++;
    o->is_started = false;
    o->chain_at = 0;
}

static struct status *pull_left(struct fiber *f, struct op_join *o)
{
    TRY(op_next(f, o->base.inputs[0], &o->left));
    if (o->left == NULL) {
        return NULL;
    }
    arena_reset(o->side);
    TRY(arena_reserve(o->side, (size_t)o->left->nrows));
    o->matched = ARENA_ARRAY(o->side, bool, o->left->nrows + 1);
    o->at = -1;
    next_left(o);
    return NULL;
}

/* Pairs of left row number and right row; right NULL: extended by NULLs. */
struct pairs {
    int *left;
    struct row **right;
    int n;
};

static struct batch *pairs_batch(struct op_join *o, struct arena *a, const struct pairs *p)
{
    struct batch *b = batch_shell(a, o->nleft + o->nright, o->pair_types, p->n);
    for (int c = 0; c < o->nleft + o->nright; c++) {
        b->cols[c] = ARENA_ARRAY(a, struct datum, p->n);
        for (int k = 0; k < p->n; k++) {
            if (c < o->nleft) {
                b->cols[c][k] = p->left[k] >= 0 ? o->left->cols[c][p->left[k]] : DATUM_NULL;
            } else {
                b->cols[c][k] = p->right[k] != NULL ? p->right[k]->v[c - o->nleft] : DATUM_NULL;
            }
        }
    }
    return b;
}

/* Candidates of the left batch, at most BATCH_ROWS. */
static void gather(struct op_join *o, struct pairs *p)
{
    bool first_is_enough = o->residual == NULL && (o->kind == JOIN_SEMI || o->kind == JOIN_ANTI);
    bool one_is_enough = o->kind == JOIN_SEMI || o->kind == JOIN_ANTI;
    p->n = 0;
    while (o->at < o->left->nrows && p->n < BATCH_ROWS) {
        if (one_is_enough && o->matched[o->at]) { /* known from an earlier round */
            next_left(o);
            continue;
        }
        struct row *right = next_candidate(o);
        if (right == NULL) {
            next_left(o);
            continue;
        }
        p->left[p->n] = o->at;
        p->right[p->n++] = right;
        if (first_is_enough) {
            next_left(o);
        }
    }
}

/* Candidates -> pairs that pass, with the flags set. SEMI: the first of each left row only. */
static struct status *pass(struct op_join *o, struct arena *a, struct pairs *p)
{
    int *sel = ARENA_ARRAY(a, int, p->n + 1), n = p->n;
    for (int k = 0; k < n; k++) {
        sel[k] = k;
    }
    if (o->residual != NULL && p->n > 0) {
        struct eval_ctx ctx = op_eval_ctx(&o->base, a);
        TRY(expr_filter(&ctx, o->residual, pairs_batch(o, a, p), sel, &n));
    }
    int kept = 0;
    for (int k = 0; k < n; k++) {
        int l = p->left[sel[k]];
        struct row *r = p->right[sel[k]];
        bool again = o->matched[l];
        o->matched[l] = true;
        r->count = 1;
        if (o->kind == JOIN_ANTI || (o->kind == JOIN_SEMI && again)) {
            continue;
        }
        p->left[kept] = l;
        p->right[kept++] = r;
    }
    p->n = kept;
    return NULL;
}

static void unmatched_left(struct op_join *o, struct pairs *p)
{
    p->n = 0;
    for (int l = 0; l < o->left->nrows; l++) {
        if (!o->matched[l]) {
            p->left[p->n] = l;
            p->right[p->n++] = NULL;
        }
    }
}

static void unmatched_right(struct op_join *o, struct pairs *p)
{
    p->n = 0;
    while (o->tail_at < o->nall && p->n < BATCH_ROWS) {
        struct row *r = o->all[o->tail_at++];
        if (r->count == 0) {
            p->left[p->n] = -1;
            p->right[p->n++] = r;
        }
    }
}

static struct status *pairs_init(struct arena *a, int cap, struct pairs *p)
{
    TRY(arena_reserve(a, (sizeof(int) + sizeof(struct row *)) * (size_t)cap));
    p->left = ARENA_ARRAY(a, int, cap);
    p->right = ARENA_ARRAY(a, struct row *, cap);
    p->n = 0;
    return NULL;
}

/* SEMI and ANTI give the left columns only. */
static struct status *output(struct op_join *o, struct arena *a, const struct pairs *p,
                             struct batch **out)
{
    if (o->kind == JOIN_SEMI || o->kind == JOIN_ANTI) {
        return batch_select(a, o->left, p->left, p->n, out);
    }
    TRY(arena_reserve(a, sizeof(struct datum) * (size_t)p->n * (size_t)(o->nleft + o->nright) +
                             ((size_t)128 << 10)));
    *out = pairs_batch(o, a, p);
    return NULL;
}

static struct status *join_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_join *o = (struct op_join *)base;
    if (!o->is_open) {
        TRY(load_right(f, o));
        o->is_open = true;
    }
    for (;;) {
        TRY(op_turn(f, base));
        struct arena *a = op_scratch(base);
        struct pairs p;
        if (o->is_tail) {
            TRY(pairs_init(a, BATCH_ROWS, &p));
            unmatched_right(o, &p);
            *out = p.n > 0 ? pairs_batch(o, a, &p) : NULL;
            return NULL;
        }
        if (o->left == NULL) {
            /* Nothing on the right: an inner or semi join gives nothing, whatever the left has. */
            if (o->nall == 0 &&
                (o->kind == JOIN_INNER || o->kind == JOIN_SEMI || o->kind == JOIN_RIGHT)) {
                return NULL;
            }
            TRY(pull_left(f, o));
            if (o->left == NULL) {
                if (o->kind != JOIN_RIGHT && o->kind != JOIN_FULL) {
                    return NULL;
                }
                o->is_tail = true;
                continue;
            }
        }
        if (o->at < o->left->nrows) {
            TRY(pairs_init(a, BATCH_ROWS, &p));
            gather(o, &p);
            TRY(pass(o, a, &p));
            if (p.n > 0) {
                return output(o, a, &p, out);
            }
            continue;
        }
        bool gives_unmatched = o->kind == JOIN_LEFT || o->kind == JOIN_FULL || o->kind == JOIN_ANTI;
        if (gives_unmatched && o->matched != NULL) {
            TRY(pairs_init(a, o->left->nrows, &p));
            unmatched_left(o, &p);
            o->matched = NULL; /* given: the batch is finished at the next call */
            if (p.n > 0) {
                return output(o, a, &p, out);
            }
        }
        o->left = NULL;
    }
}

struct op *op_join(struct arena *a, struct eval_ctx *ctx, enum join_kind kind, struct op *left,
                   struct op *right, int nkeys, const int *left_keys, const int *right_keys,
                   struct expr *residual)
{
    int n = left->ncols + right->ncols;
    uint32_t *types = ARENA_ARRAY(a, uint32_t, n + 1);
    for (int c = 0; c < n; c++) {
        types[c] = c < left->ncols ? left->types[c] : right->types[c - left->ncols];
    }
    uint32_t *key_types = ARENA_ARRAY(a, uint32_t, nkeys + 1);
    for (int i = 0; i < nkeys; i++) {
        key_types[i] = right->types[right_keys[i]];
    }
    bool left_only = kind == JOIN_SEMI || kind == JOIN_ANTI;
    struct op_join *o = op_alloc(a, sizeof(*o), left_only ? left->ncols : n, types, join_run);
    o->base.ctx = ctx;
    o->base.inputs[0] = left;
    o->base.inputs[1] = right;
    o->kind = kind;
    o->a = a;
    o->nkeys = nkeys;
    o->left_keys = left_keys;
    o->right_keys = right_keys;
    o->key_types = key_types;
    o->residual = residual;
    o->pair_types = types;
    o->nleft = left->ncols;
    o->nright = right->ncols;
    o->side = op_arena(a);
    return &o->base.op;
}
