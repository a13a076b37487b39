/*
 * Sub-selects in expressions that the planner did not turn into joins.
 *
 * One that uses nothing of the outer row runs once per execution; IN over one column keeps its
 * values in a hash set. One that does use it gets the values in its slots and runs again for each
 * outer row, in an arena of its own.
 */
#include "exec.h"

#include "base/check.h"
#include "sql/array.h"

struct value_entry {
    struct value_entry *next;
    uint64_t hash;
    struct datum d;
};

struct value_set {
    size_t mask;
    struct value_entry **buckets;
};

static struct status *set_build(struct run *r, const struct subplan *sp, struct subplan_run *sr)
{
    struct value_set *s = ARENA_NEW(r->arena, struct value_set);
    size_t size = 16;
    while (size < sr->rows.rows * 2) {
        size *= 2;
    }
    TRY(arena_reserve(r->arena,
                      size * sizeof(void *) + sr->rows.rows * sizeof(struct value_entry)));
    s->mask = size - 1;
    s->buckets = ARENA_ARRAY(r->arena, struct value_entry *, size);
    for (int i = 0; i < sr->rows.n; i++) {
        const struct batch *b = sr->rows.b[i];
        struct datum *v = ARENA_ARRAY(r->arena, struct datum, b->nrows);
        TRY(expr_eval(&r->eval, sp->hash_rhs, b, NULL, b->nrows, v));
        for (int k = 0; k < b->nrows; k++) {
            if (v[k].is_null) {
                sr->has_null = true;
                continue;
            }
            struct value_entry *e = ARENA_NEW(r->arena, struct value_entry);
            e->d = v[k];
            e->hash = type_hash(sp->hash_type, &v[k]);
            e->next = s->buckets[e->hash & s->mask];
            s->buckets[e->hash & s->mask] = e;
        }
    }
    sr->set = s;
    return NULL;
}

static uint32_t *lhs_types(struct run *r, struct arena *a, const struct subplan *sp)
{
    uint32_t *types = ARENA_ARRAY(a, uint32_t, sp->nlhs + sp->nouts + 1);
    for (int i = 0; i < sp->nlhs; i++) {
        types[i] = r->plan->q->vars[sp->lhs_vars[i]].type;
    }
    return types;
}

static struct batch one_row(struct arena *a, int n, uint32_t *types, const struct datum *values)
{
    struct batch b = {.ncols = n, .nrows = 1, .cap = 1, .types = types, .arena = a};
    b.cols = ARENA_ARRAY(a, struct datum *, n + 1);
    for (int i = 0; i < n; i++) {
        b.cols[i] = (struct datum *)&values[i];
    }
    return b;
}

static struct status *set_probe(struct run *r, const struct subplan *sp,
                                const struct subplan_run *sr, const struct datum *lhs,
                                struct datum *out)
{
    struct arena *a = arena_create(0);
    struct eval_ctx ev = r->eval;
    ev.arena = a;
    struct batch row = one_row(a, sp->nlhs, lhs_types(r, a, sp), lhs);
    struct datum v;
    struct status *st = expr_eval(&ev, sp->hash_lhs, &row, NULL, 1, &v);
    if (st == NULL) {
        *out = datum_bool(false);
        if (v.is_null) {
            *out = sr->rows.rows == 0 ? datum_bool(false) : DATUM_NULL;
        } else {
            uint64_t h = type_hash(sp->hash_type, &v);
            const struct value_entry *e = sr->set->buckets[h & sr->set->mask];
            while (e != NULL && (e->hash != h || type_compare(sp->hash_type, &e->d, &v) != 0)) {
                e = e->next;
            }
            *out = e != NULL ? datum_bool(true) : sr->has_null ? DATUM_NULL : datum_bool(false);
        }
    }
    arena_destroy(a);
    return st;
}

/* The test of ANY and ALL over a batch of the sub-select's rows: updates seen-so-far; true when
 * decided. */
static struct status *test_batch(struct run *r, struct arena *a, const struct subplan *sp,
                                 const struct datum *lhs, const struct batch *b, struct datum *io,
                                 bool *out_decided)
{
    struct eval_ctx ev = r->eval;
    ev.arena = a;
    int n = sp->nlhs + sp->nouts;
    struct batch in = {.ncols = n, .nrows = b->nrows, .cap = b->nrows, .arena = a};
    in.cols = ARENA_ARRAY(a, struct datum *, n + 1);
    in.types = lhs_types(r, a, sp);
    for (int i = 0; i < sp->nlhs; i++) {
        in.cols[i] = ARENA_ARRAY(a, struct datum, b->nrows + 1);
        for (int k = 0; k < b->nrows; k++) {
            in.cols[i][k] = lhs[i];
        }
    }
    for (int i = 0; i < sp->nouts; i++) {
        in.cols[sp->nlhs + i] = b->cols[i];
        in.types[sp->nlhs + i] = b->types[i];
    }
    struct datum *v = ARENA_ARRAY(a, struct datum, b->nrows + 1);
    TRY(expr_eval(&ev, sp->plan_test, &in, NULL, b->nrows, v));
    bool deciding = sp->kind == SUBPLAN_ANY;
    for (int k = 0; k < b->nrows; k++) {
        if (v[k].is_null) {
            *io = DATUM_NULL;
        } else if ((v[k].i != 0) == deciding) {
            *io = datum_bool(deciding);
            *out_decided = true;
            return NULL;
        }
    }
    return NULL;
}

struct gathered {
    struct datum *d;
    int n, cap;
};

static void gather(struct arena *a, struct gathered *g, type_oid type, const struct batch *b)
{
    for (int i = 0; i < b->nrows; i++) {
        if (g->n == g->cap) {
            g->cap = g->cap == 0 ? 16 : g->cap * 2;
            struct datum *grown = ARENA_ARRAY(a, struct datum, g->cap);
            if (g->n > 0) {
                memcpy(grown, g->d, sizeof(*grown) * (size_t)g->n);
            }
            g->d = grown;
        }
        g->d[g->n++] = datum_copy(a, type, &b->cols[0][i]);
    }
}

/* Runs the sub-select once and makes its value; out's bytes are in the run's arena. */
static struct status *run_once(struct run *r, struct arena *a, const struct subplan *sp,
                               const struct datum *lhs, struct datum *out)
{
    struct op *op;
    TRY(run_open(r, a, sp->plan, &op));
    struct status *st = NULL;
    struct batch *b = NULL;
    struct gathered g = {0};
    bool decided = false;
    *out = sp->kind == SUBPLAN_ALL      ? datum_bool(true)
           : sp->kind == SUBPLAN_SCALAR ? DATUM_NULL
                                        : datum_bool(false);
    int rows = 0;
    while (!decided) {
        st = op_next(r->f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        if (b->nrows == 0) {
            continue;
        }
        rows += b->nrows;
        if (sp->kind == SUBPLAN_EXISTS) {
            *out = datum_bool(true);
            decided = true;
        } else if (sp->kind == SUBPLAN_SCALAR) {
            if (rows > 1) {
                st = status_sql(INVALID, "21000",
                                "more than one row returned by a subquery used as an expression");
                break;
            }
            st = arena_reserve(r->arena, (size_t)(b->cols[0][0].is_null ? 0 : batch_bytes(b)) + 64);
            if (st == NULL) {
                *out = datum_copy(r->arena, sp->plan->types[0], &b->cols[0][0]);
            }
        } else if (sp->kind == SUBPLAN_ARRAY) {
            st = arena_reserve(a, batch_bytes(b) * 4);
            if (st == NULL) {
                gather(a, &g, sp->plan->types[0], b);
            }
        } else {
            st = test_batch(r, a, sp, lhs, b, out, &decided);
        }
        if (st != NULL) {
            break;
        }
    }
    op_close(op);
    if (st == NULL && sp->kind == SUBPLAN_ARRAY) {
        st = arena_reserve(r->arena, arena_used(a));
    }
    if (st == NULL && sp->kind == SUBPLAN_ARRAY) {
        *out = array_build(r->arena, sp->plan->types[0], g.d, g.n);
    }
    return st;
}

static struct status *run_cached(struct run *r, const struct subplan *sp, struct subplan_run *sr)
{
    if (sr->is_done) {
        return NULL;
    }
    if (sp->kind == SUBPLAN_ANY || sp->kind == SUBPLAN_ALL) {
        struct op *op;
        TRY(run_open(r, r->arena, sp->plan, &op));
        TRY(materialize(r, r->arena, op, &sr->rows));
        if (sp->is_hashable) {
            TRY(set_build(r, sp, sr));
        }
    } else {
        TRY(run_once(r, r->arena, sp, NULL, &sr->value));
    }
    sr->is_done = true;
    return NULL;
}

struct status *subplan_eval(void *ctx, const struct expr *e, const struct datum *outer,
                            struct datum *out)
{
    struct run *r = ctx;
    const struct query *q = r->plan->q;
    const struct subplan *sp = q->subplans[e->index];
    struct subplan_run *sr = &r->subplans[e->index];
    TRY(fiber_check(r->f));
    for (int i = 0; i < sp->nouter; i++) {
        r->params[q->nparams + q->vars[sp->outer[i]].slot] = outer[sp->nlhs + i];
    }
    if (sp->nouter > 0) {
        struct arena *a = arena_create(0);
        struct status *st = run_once(r, a, sp, outer, out);
        arena_destroy(a);
        return st;
    }
    TRY(run_cached(r, sp, sr));
    if (sp->kind != SUBPLAN_ANY && sp->kind != SUBPLAN_ALL) {
        *out = sr->value;
        return NULL;
    }
    if (sr->set != NULL) {
        return set_probe(r, sp, sr, outer, out);
    }
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    bool decided = false;
    *out = datum_bool(sp->kind == SUBPLAN_ALL);
    for (int i = 0; i < sr->rows.n && st == NULL && !decided; i++) {
        st = test_batch(r, a, sp, outer, sr->rows.b[i], out, &decided);
    }
    arena_destroy(a);
    return st;
}
