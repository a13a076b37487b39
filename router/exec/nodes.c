/*
 * Operators that only the router needs: permutation of columns, set-returning functions, lateral
 * joins, lookup joins, DISTINCT ON, WITH results, system relations, and the counter of EXPLAIN
 * ANALYZE.
 */
#include "exec.h"

#include "analyze/analyze_limits.h"
#include "base/check.h"
#include "ddl/system.h"
#include "sql/array.h"

static void destroy_arena(void *a)
{
    arena_destroy(a);
}

/* An arena that goes with its parent, and that the operator may reset in between. */
static struct arena *child_arena(struct arena *a)
{
    struct arena *c = arena_create(0);
    arena_on_free(a, destroy_arena, c);
    return c;
}

static struct batch *shell(struct arena *a, int ncols, const uint32_t *types, int nrows)
{
    struct batch *b = ARENA_NEW(a, struct batch);
    b->ncols = ncols;
    b->nrows = b->cap = nrows;
    b->types = (uint32_t *)types;
    b->cols = ARENA_ARRAY(a, struct datum *, ncols + 1);
    b->arena = a;
    return b;
}

/* ---- one row ---- */

struct one {
    struct op op;
    struct batch *b;
};

static struct status *one_next(struct fiber *f, struct op *op, struct batch **out)
{
    (void)f;
    struct one *o = (struct one *)op;
    *out = o->b;
    o->b = NULL;
    return NULL;
}

struct op *op_one(struct arena *a)
{
    struct one *o = ARENA_NEW(a, struct one);
    o->op.next = one_next;
    o->op.types = ARENA_ARRAY(a, uint32_t, 1);
    o->b = shell(a, 0, o->op.types, 1);
    return &o->op;
}

/* ---- permutation ---- */

struct permute {
    struct op op;
    struct op *in;
    struct batch out;
    int cols[];
};

static struct status *permute_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct permute *o = (struct permute *)op;
    struct batch *b;
    TRY(op_next(f, o->in, &b));
    *out = NULL;
    if (b == NULL) {
        return NULL;
    }
    for (int i = 0; i < op->ncols; i++) {
        o->out.cols[i] = b->cols[o->cols[i]];
    }
    o->out.nrows = o->out.cap = b->nrows;
    o->out.arena = b->arena;
    *out = &o->out;
    return NULL;
}

static void permute_close(struct op *op)
{
    struct permute *o = (struct permute *)op;
    op_close(o->in);
    o->in = NULL;
}

struct op *op_permute(struct arena *a, struct op *in, int n, struct expr *const *exprs,
                      const uint32_t *types)
{
    struct permute *o = arena_zalloc(a, sizeof(*o) + sizeof(int) * (size_t)(n + 1));
    o->op = (struct op){.next = permute_next, .close = permute_close, .ncols = n, .types = types};
    o->in = in;
    o->out = *shell(a, n, types, 0);
    for (int i = 0; i < n; i++) {
        o->cols[i] = exprs[i]->index;
    }
    return &o->op;
}

/* ---- set-returning functions ---- */

struct srf {
    struct op op;
    struct run *r;
    const struct pnode *n;
    struct op *in;
    struct arena *round; /* values of the current input batch */
    struct arena *outa;
    struct batch *b;     /* input batch being expanded */
    struct datum **vals; /* by expression: arrays (set functions) or values */
    int row, pos, count; /* of the row being expanded: next element, how many */
    struct datum **elems;
    int *nelems;
};

static struct status *srf_load(struct fiber *f, struct srf *o)
{
    TRY(op_next(f, o->in, &o->b));
    if (o->b == NULL) {
        return NULL;
    }
    arena_reset(o->round);
    int n = o->n->nexprs;
    struct eval_ctx ctx = o->r->eval;
    ctx.arena = o->round;
    o->vals = ARENA_ARRAY(o->round, struct datum *, n);
    o->elems = ARENA_ARRAY(o->round, struct datum *, n);
    o->nelems = ARENA_ARRAY(o->round, int, n);
    for (int i = 0; i < n; i++) {
        o->vals[i] = ARENA_ARRAY(o->round, struct datum, o->b->nrows + 1);
        TRY(expr_eval(&ctx, o->n->exprs[i], o->b, NULL, o->b->nrows, o->vals[i]));
    }
    o->row = -1;
    o->pos = o->count = 0;
    return NULL;
}

static bool is_set(const struct expr *e)
{
    return e->kind == EXPR_CALL && e->func->class == FUNC_SET;
}

/* A function whose rows are arrays gives them in their text form: arrays have no arrays in them. */
static struct status *srf_arrays(struct srf *o, int i)
{
    type_oid type = o->n->exprs[i]->type;
    const struct type_info *ti = type_find(type);
    for (int k = 0; ti != NULL && ti->element != 0 && k < o->nelems[i]; k++) {
        struct datum *d = &o->elems[i][k];
        if (!d->is_null) {
            TRY(type_input(o->round, type, -1, datum_slice(d), d));
        }
    }
    return NULL;
}

static struct status *srf_row(struct srf *o)
{
    o->pos = o->count = 0;
    for (int i = 0; i < o->n->nexprs; i++) {
        struct datum *d = &o->vals[i][o->row];
        if (!is_set(o->n->exprs[i])) {
            o->elems[i] = d;
            o->nelems[i] = 1;
        } else if (d->is_null) {
            o->nelems[i] = 0;
        } else {
            TRY(arena_reserve(o->round, sizeof(struct datum) * (size_t)array_count(d)));
            o->elems[i] = array_elements(o->round, d, &o->nelems[i]);
            TRY(srf_arrays(o, i));
        }
        o->count = o->nelems[i] > o->count ? o->nelems[i] : o->count;
    }
    return NULL;
}

static struct status *srf_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct srf *o = (struct srf *)op;
    *out = NULL;
    arena_reset(o->outa);
    struct batch *b = batch_create(o->outa, op->ncols, op->types, BATCH_ROWS);
    int left = o->n->srf_first, n = o->n->nexprs;
    while (b->nrows == 0) { /* a batch never spans two input batches: it borrows from one */
        if (o->b == NULL || (o->row >= o->b->nrows - 1 && o->pos >= o->count)) {
            TRY(srf_load(f, o));
            if (o->b == NULL) {
                return NULL;
            }
        }
        while (b->nrows < BATCH_ROWS) {
            if (o->pos >= o->count) {
                if (o->row + 1 >= o->b->nrows) {
                    break;
                }
                o->row++;
                TRY(srf_row(o));
                continue;
            }
            for (int c = 0; c < left; c++) {
                b->cols[c][b->nrows] = o->b->cols[c][o->row];
            }
            for (int i = 0; i < n; i++) {
                b->cols[left + i][b->nrows] =
                    o->pos < o->nelems[i] ? o->elems[i][o->pos] : DATUM_NULL;
            }
            if (o->n->with_ordinality) {
                b->cols[left + n][b->nrows] = datum_int(o->pos + 1);
            }
            o->pos++;
            b->nrows++;
        }
    }
    *out = b;
    return NULL;
}

static void srf_close(struct op *op)
{
    struct srf *o = (struct srf *)op;
    op_close(o->in);
    o->in = NULL;
}

struct op *op_srf(struct run *r, struct arena *a, const struct pnode *n, struct op *in)
{
    struct srf *o = ARENA_NEW(a, struct srf);
    o->op = (struct op){.next = srf_next, .close = srf_close, .ncols = n->ncols, .types = n->types};
    o->r = r;
    o->n = n;
    o->in = in;
    o->round = child_arena(a);
    o->outa = child_arena(a);
    return &o->op;
}

/* ---- lateral join ---- */

struct apply {
    struct op op;
    struct run *r;
    const struct pnode *n;
    struct op *left;
    struct batch *b;
    int row;
    struct arena *round;
    struct op *join; /* of one left row with all of the right side */
};

static void apply_slots(struct apply *o)
{
    for (int i = 0; i < o->n->nslots; i++) {
        o->r->params[o->r->plan->q->nparams + o->n->slots[i]] =
            o->b->cols[o->n->slot_cols[i]][o->row];
    }
}

static void apply_end(struct apply *o)
{
    op_close(o->join);
    o->join = NULL;
    arena_reset(o->round);
}

static struct status *apply_begin(struct fiber *f, struct apply *o)
{
    const struct pnode *n = o->n;
    o->row++;
    while (o->b == NULL || o->row >= o->b->nrows) {
        TRY(op_next(f, o->left, &o->b));
        o->row = 0;
        if (o->b == NULL) {
            return NULL;
        }
    }
    apply_slots(o);
    struct batch **one = ARENA_ARRAY(o->round, struct batch *, 1);
    one[0] = shell(o->round, n->left->ncols, n->left->types, 1);
    for (int c = 0; c < n->left->ncols; c++) {
        one[0]->cols[c] = &o->b->cols[c][o->row];
    }
    struct op *right;
    TRY(run_open(o->r, o->round, n->right, &right));
    struct op *left = op_batches(o->round, n->left->ncols, n->left->types, one, 1);
    o->join = op_join(o->round, &o->r->eval, n->join, left, right, 0, NULL, NULL, n->filter);
    return NULL;
}

static struct status *apply_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct apply *o = (struct apply *)op;
    *out = NULL;
    for (;;) {
        if (o->join == NULL) {
            TRY(apply_begin(f, o));
            if (o->join == NULL) {
                return NULL;
            }
        }
        apply_slots(o); /* somebody else may have used them since */
        TRY(op_next(f, o->join, out));
        if (*out != NULL && (*out)->nrows > 0) {
            return NULL;
        }
        if (*out == NULL) {
            apply_end(o);
        }
    }
}

static void apply_close(struct op *op)
{
    struct apply *o = (struct apply *)op;
    op_close(o->join);
    op_close(o->left);
    o->join = o->left = NULL;
}

struct op *op_apply(struct run *r, struct arena *a, const struct pnode *n, struct op *left)
{
    struct apply *o = ARENA_NEW(a, struct apply);
    o->op =
        (struct op){.next = apply_next, .close = apply_close, .ncols = n->ncols, .types = n->types};
    o->r = r;
    o->n = n;
    o->left = left;
    o->round = child_arena(a);
    return &o->op;
}

/* ---- lookup join ---- */

struct lookup {
    struct op op;
    struct run *r;
    const struct pnode *n;
    struct op *left;
    struct arena *round;
    struct op *join; /* of one outer batch (or row) with the rows looked up for it */
    const struct batch *outer;
    int at; /* is_single: the next row of outer */
};

/* The outer rows of the next round: a batch, or a single row of it. */
static struct status *lookup_outer(struct fiber *f, struct lookup *o, struct batch **out)
{
    if (o->outer == NULL || o->at == o->outer->nrows) {
        struct batch *b;
        do {
            TRY(op_next(f, o->left, &b));
        } while (b != NULL && b->nrows == 0);
        o->outer = b;
        o->at = 0;
        if (b == NULL || !o->n->is_single) {
            *out = b;
            o->outer = NULL;
            return NULL;
        }
    }
    struct batch *one = ARENA_NEW(o->round, struct batch);
    *one = *o->outer;
    one->nrows = one->cap = 1;
    one->arena = o->round;
    one->cols = ARENA_ARRAY(o->round, struct datum *, one->ncols + 1);
    for (int c = 0; c < one->ncols; c++) {
        one->cols[c] = &o->outer->cols[c][o->at];
    }
    o->at++;
    *out = one;
    return NULL;
}

static struct status *lookup_begin(struct fiber *f, struct lookup *o, bool *out_more)
{
    const struct pnode *n = o->n;
    struct batch *b;
    *out_more = false;
    TRY(lookup_outer(f, o, &b));
    if (b == NULL) {
        return NULL;
    }
    struct span_list spans = {.a = o->round};
    TRY(scan_lookup_spans(o->r, o->round, n->right->scan, b, &spans));
    struct op *inner;
    TRY(scan_open(o->r, o->round, n->right, &spans, &inner));
    if (o->r->stats != NULL) {
        inner = op_counted(o->r, o->round, inner, n->right->id);
    }
    struct batch **one = ARENA_ARRAY(o->round, struct batch *, 1);
    one[0] = b;
    struct op *outer = op_batches(o->round, n->left->ncols, n->left->types, one, 1);
    o->join = op_join(o->round, &o->r->eval, n->join, outer, inner, n->nkeys, n->left_keys,
                      n->right_keys, n->filter);
    *out_more = true;
    return NULL;
}

static struct status *lookup_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct lookup *o = (struct lookup *)op;
    *out = NULL;
    for (;;) {
        if (o->join == NULL) {
            bool more;
            TRY(lookup_begin(f, o, &more));
            if (!more) {
                return NULL;
            }
        }
        TRY(op_next(f, o->join, out));
        if (*out != NULL && (*out)->nrows > 0) {
            return NULL;
        }
        if (*out == NULL) {
            op_close(o->join);
            o->join = NULL;
            arena_reset(o->round);
        }
    }
}

static void lookup_close(struct op *op)
{
    struct lookup *o = (struct lookup *)op;
    op_close(o->join);
    op_close(o->left);
    o->join = o->left = NULL;
}

struct op *op_lookup(struct run *r, struct arena *a, const struct pnode *n, struct op *left)
{
    struct lookup *o = ARENA_NEW(a, struct lookup);
    o->op = (struct op){
        .next = lookup_next, .close = lookup_close, .ncols = n->ncols, .types = n->types};
    o->r = r;
    o->n = n;
    o->left = left;
    o->round = child_arena(a);
    return &o->op;
}

/* ---- DISTINCT ON ---- */

struct distinct_on {
    struct op op;
    struct op *in;
    int nkeys;
    const int *keys;
    bool has_last;
    struct datum *last;
    struct arena *keep, *spare, *outa;
};

static bool same_key(const struct distinct_on *o, const struct batch *b, int row)
{
    for (int k = 0; k < o->nkeys; k++) {
        const struct datum *x = &o->last[k], *y = &b->cols[o->keys[k]][row];
        if (x->is_null != y->is_null ||
            (!x->is_null && type_compare(b->types[o->keys[k]], x, y) != 0)) {
            return false;
        }
    }
    return true;
}

static void keep_key(struct distinct_on *o, const struct batch *b, int row)
{
    arena_reset(o->spare);
    struct datum *d = ARENA_ARRAY(o->spare, struct datum, o->nkeys + 1);
    for (int k = 0; k < o->nkeys; k++) {
        d[k] = datum_copy(o->spare, b->types[o->keys[k]], &b->cols[o->keys[k]][row]);
    }
    struct arena *swap = o->keep;
    o->keep = o->spare;
    o->spare = swap;
    o->last = d;
    o->has_last = true;
}

static struct status *distinct_on_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct distinct_on *o = (struct distinct_on *)op;
    *out = NULL;
    for (;;) {
        struct batch *b;
        TRY(op_next(f, o->in, &b));
        if (b == NULL) {
            return NULL;
        }
        arena_reset(o->outa);
        struct batch *sel = batch_create(o->outa, b->ncols, b->types, b->nrows + 1);
        for (int i = 0; i < b->nrows; i++) {
            if (o->has_last && same_key(o, b, i)) {
                continue;
            }
            keep_key(o, b, i);
            for (int c = 0; c < b->ncols; c++) {
                sel->cols[c][sel->nrows] = b->cols[c][i];
            }
            sel->nrows++;
        }
        if (sel->nrows > 0) {
            *out = sel;
            return NULL;
        }
    }
}

static void distinct_on_close(struct op *op)
{
    struct distinct_on *o = (struct distinct_on *)op;
    op_close(o->in);
    o->in = NULL;
}

struct op *op_distinct_on(struct arena *a, struct op *in, int nkeys, const int *keys)
{
    struct distinct_on *o = ARENA_NEW(a, struct distinct_on);
    o->op = (struct op){.next = distinct_on_next,
                        .close = distinct_on_close,
                        .ncols = in->ncols,
                        .types = in->types};
    o->in = in;
    o->nkeys = nkeys;
    o->keys = keys;
    o->keep = child_arena(a);
    o->spare = child_arena(a);
    o->outa = child_arena(a);
    return &o->op;
}

/* ---- WITH ---- */

struct status *op_cte(struct run *r, struct arena *a, const struct pnode *n, struct op **out)
{
    int id = n->cte->id;
    if (r->ctes[id] == NULL) {
        struct op *op;
        struct batch_list *l = ARENA_NEW(r->arena, struct batch_list);
        TRY(run_open(r, r->arena, n->cte->plan, &op));
        TRY(materialize(r, r->arena, op, l));
        r->ctes[id] = l;
    }
    *out = op_batches(a, n->ncols, n->types, r->ctes[id]->b, r->ctes[id]->n);
    return NULL;
}

/* ---- system relations ---- */

struct system_rows {
    struct arena *a;
    const struct pnode *n;
    struct batch_list list;
    struct batch *b;
};

void system_row(struct system_rows *rows, const struct datum *values)
{
    if (rows->b == NULL || rows->b->nrows == rows->b->cap) {
        rows->b = batch_create(rows->a, rows->n->ncols, rows->n->types,
                               rows->b == NULL ? 64 : BATCH_ROWS);
        batch_list_add(rows->a, &rows->list, rows->b);
    }
    for (int c = 0; c < rows->n->ncols; c++) {
        rows->b->cols[c][rows->b->nrows] = values[c];
    }
    rows->b->nrows++;
}

struct status *op_system(struct run *r, struct arena *a, const struct pnode *n, struct op **out)
{
    struct system_rows rows = {.a = a, .n = n};
    TRY(n->system->fill(r->f, r->x, &rows));
    *out = op_batches(a, n->ncols, n->types, rows.list.b, rows.list.n);
    return NULL;
}

/* ---- EXPLAIN ANALYZE ---- */

struct counted {
    struct op op;
    struct op *in;
    struct node_stats *stats;
};

static struct status *counted_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct counted *o = (struct counted *)op;
    uint64_t start = loop_clock_ns(fiber_loop(f));
    struct status *st = op_next(f, o->in, out);
    o->stats->ns += loop_clock_ns(fiber_loop(f)) - start;
    if (st == NULL && *out != NULL) {
        o->stats->rows += (uint64_t)(*out)->nrows;
    }
    return st;
}

static void counted_close(struct op *op)
{
    struct counted *o = (struct counted *)op;
    op_close(o->in);
    o->in = NULL;
}

struct op *op_counted(struct run *r, struct arena *a, struct op *in, int id)
{
    struct counted *o = ARENA_NEW(a, struct counted);
    o->op = (struct op){
        .next = counted_next, .close = counted_close, .ncols = in->ncols, .types = in->types};
    o->in = in;
    o->stats = &r->stats[id];
    o->stats->loops++;
    return &o->op;
}
