/*
 * Opening a plan: physical nodes to operators, and what an execution keeps beside them.
 *
 * The common case, a prepared point read, is one scan below at most one permutation of columns: its
 * fragment is copied from the plan's template and only the key is encoded.
 */
#include "exec.h"

#include "analyze/analyze.h"
#include "base/check.h"
#include "router/session.h"

static struct status *session_call(void *ctx, const struct func_def *fn, const struct datum *args,
                                   int nargs, struct datum *out)
{
    struct run *r = ctx;
    return session_function(r->x->env.session, &r->x->env, fn, args, nargs, r->arena, out);
}

static uint64_t run_random(void *ctx)
{
    struct run *r = ctx;
    return loop_random(fiber_loop(r->f));
}

struct status *run_create(struct fiber *f, const struct plan *p, struct exec *x, struct run **out)
{
    const struct query *q = p->q;
    if (x->nparams < q->nparams) {
        return status_sql(INVALID, "08P01",
                          "bind message supplies %d parameters, but prepared statement requires %d",
                          x->nparams, q->nparams);
    }
    struct arena *a = x->arena;
    struct run *r = ARENA_NEW(a, struct run);
    r->x = x;
    r->plan = p;
    r->f = f;
    r->arena = a;
    r->nparams = q->nparams + q->nslots;
    if (q->nslots == 0) {
        r->params = (struct datum *)x->params; /* never written: there is no slot */
    } else {
        r->params = ARENA_ARRAY(a, struct datum, r->nparams + 1);
        for (int i = 0; i < r->nparams; i++) {
            r->params[i] = i < q->nparams ? x->params[i] : DATUM_NULL;
        }
    }
    if (q->nsubplans > 0) {
        r->subplans = ARENA_ARRAY(a, struct subplan_run, q->nsubplans);
    }
    if (q->nctes > 0) {
        r->ctes = ARENA_ARRAY(a, struct batch_list *, q->nctes);
    }
    r->eval = (struct eval_ctx){.arena = a,
                                .params = r->params,
                                .nparams = r->nparams,
                                .txn_now_us = x->txn_now_us,
                                .stmt_now_us = x->stmt_now_us,
                                .clock_us = x->stmt_now_us,
                                .random = run_random,
                                .session_call = session_call,
                                .subplan = subplan_eval,
                                .ctx = r};
    *out = r;
    return NULL;
}

void batch_list_add(struct arena *a, struct batch_list *l, struct batch *b)
{
    if (l->n == l->cap) {
        int cap = l->cap == 0 ? 8 : l->cap * 2;
        struct batch **grown = ARENA_ARRAY(a, struct batch *, cap);
        if (l->n > 0) {
            memcpy(grown, l->b, sizeof(struct batch *) * (size_t)l->n);
        }
        l->b = grown;
        l->cap = cap;
    }
    l->b[l->n++] = b;
    l->rows += (uint64_t)b->nrows;
}

struct batch *batch_deep_copy(struct arena *a, const struct batch *b)
{
    struct batch *c = batch_create(a, b->ncols, b->types, b->nrows > 0 ? b->nrows : 1);
    c->nrows = b->nrows;
    for (int k = 0; k < b->ncols; k++) {
        for (int i = 0; i < b->nrows; i++) {
            c->cols[k][i] = datum_copy(a, b->types[k], &b->cols[k][i]);
        }
    }
    return c;
}

size_t batch_bytes(const struct batch *b)
{
    size_t n = sizeof(struct batch) + sizeof(struct datum) * (size_t)(b->ncols * b->nrows);
    for (int k = 0; k < b->ncols; k++) {
        const struct type_info *ti = type_find(b->types[k]);
        if (ti != NULL && ti->is_inline) {
            continue;
        }
        for (int i = 0; i < b->nrows; i++) {
            n += b->cols[k][i].is_null ? 0 : b->cols[k][i].len + 16;
        }
    }
    return n;
}

struct status *materialize(struct run *r, struct arena *a, struct op *op, struct batch_list *out)
{
    struct status *st = NULL;
    struct batch *b = NULL;
    for (;;) {
        st = op_next(r->f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        if (b->nrows == 0) {
            continue;
        }
        st = arena_reserve(a, batch_bytes(b));
        if (st != NULL) {
            st = status_hint(
                st, "The statement keeps too many rows in memory; work on fewer at a time.");
            break;
        }
        batch_list_add(a, out, batch_deep_copy(a, b));
    }
    op_close(op);
    return st;
}

struct status *eval_int(struct run *r, const struct expr *e, const char *what, int64_t *out)
{
    struct datum d;
    *out = -1;
    if (e == NULL) {
        return NULL;
    }
    TRY(expr_eval_const(&r->eval, e, &d));
    if (d.is_null) {
        return NULL;
    }
    if (d.i < 0) {
        return status_sql(INVALID, strcmp(what, "LIMIT") == 0 ? "2201W" : "2201X",
                          "%s must not be negative", what);
    }
    *out = d.i;
    return NULL;
}

struct op *op_empty(struct arena *a, int ncols, const uint32_t *types)
{
    return op_batches(a, ncols, types, NULL, 0);
}

/* ---- nodes to operators ---- */

static struct status *open_limit(struct run *r, struct arena *a, const struct pnode *n,
                                 struct op *in, struct op **out)
{
    int64_t limit, offset;
    TRY(eval_int(r, n->limit, "LIMIT", &limit));
    TRY(eval_int(r, n->offset, "OFFSET", &offset));
    *out = op_limit(a, in, offset < 0 ? 0 : offset, limit);
    return NULL;
}

static struct status *open_sort(struct run *r, struct arena *a, const struct pnode *n,
                                struct op *in, struct op **out)
{
    int64_t limit, offset;
    TRY(eval_int(r, n->limit, "LIMIT", &limit));
    TRY(eval_int(r, n->offset, "OFFSET", &offset));
    if (limit >= 0 && offset > 0) {
        limit = limit > INT64_MAX - offset ? -1 : limit + offset;
    }
    *out = op_sort(a, in, n->nsort, n->sort, limit);
    return NULL;
}

static struct status *open_join(struct run *r, struct arena *a, const struct pnode *n,
                                struct op **out)
{
    struct op *left, *right;
    TRY(run_open(r, a, n->left, &left));
    struct status *st = run_open(r, a, n->right, &right);
    if (st != NULL) {
        op_close(left);
        return st;
    }
    *out = n->kind == P_SETOP ? op_setop(a, n->setop, left, right)
                              : op_join(a, &r->eval, n->join, left, right, n->nkeys, n->left_keys,
                                        n->right_keys, n->filter);
    return NULL;
}

static struct status *open_leaf(struct run *r, struct arena *a, const struct pnode *n,
                                struct op **out)
{
    switch (n->kind) {
    case P_ONE:
        *out = op_one(a);
        return NULL;
    case P_SCAN:
        return scan_open(r, a, n, NULL, out);
    case P_SYSTEM:
        return op_system(r, a, n, out);
    case P_VALUES:
        *out = op_values(a, &r->eval, n->ncols, n->types, n->nrows,
                         (struct expr *const *const *)n->values);
        return NULL;
    case P_SERIES:
        *out = op_series(a, &r->eval, n->types[0], n->exprs[0], n->exprs[1],
                         n->nexprs > 2 ? n->exprs[2] : NULL);
        return NULL;
    case P_CTE:
        return op_cte(r, a, n, out);
    default:
        return status_new(INTERNAL, "plan node %d has no input", (int)n->kind);
    }
}

static struct status *open_over(struct run *r, struct arena *a, const struct pnode *n,
                                struct op *in, struct op **out)
{
    switch (n->kind) {
    case P_SRF:
        *out = op_srf(r, a, n, in);
        return NULL;
    case P_FILTER:
        *out = op_filter(a, &r->eval, in, n->filter);
        return NULL;
    case P_PROJECT:
        *out = n->is_permutation ? op_permute(a, in, n->nexprs, n->exprs, n->types)
                                 : op_project(a, &r->eval, in, n->nexprs, n->exprs);
        return NULL;
    case P_AGG:
        *out = op_aggregate(a, &r->eval, in, n->ngroups, n->naggs, n->aggs, n->agg_mode);
        return NULL;
    case P_SORT:
        return open_sort(r, a, n, in, out);
    case P_LIMIT:
        return open_limit(r, a, n, in, out);
    case P_DISTINCT:
        *out = op_distinct(a, in);
        return NULL;
    case P_DISTINCT_ON:
        *out = op_distinct_on(a, in, n->nkeys, n->left_keys);
        return NULL;
    case P_LOOKUP:
        *out = op_lookup(r, a, n, in);
        return NULL;
    case P_APPLY:
        *out = op_apply(r, a, n, in);
        return NULL;
    default:
        return status_new(INTERNAL, "plan node %d has an input", (int)n->kind);
    }
}

struct status *run_open(struct run *r, struct arena *a, const struct pnode *n, struct op **out)
{
    TRY(analyze_stack_check());
    if (n->kind == P_JOIN || n->kind == P_SETOP) {
        TRY(open_join(r, a, n, out));
    } else if (n->left == NULL) {
        TRY(open_leaf(r, a, n, out));
    } else {
        struct op *in;
        TRY(run_open(r, a, n->left, &in));
        struct status *st = open_over(r, a, n, in, out);
        if (st != NULL) {
            op_close(in);
            return st;
        }
    }
    if (r->stats != NULL) {
        *out = op_counted(r, a, *out, n->id);
    }
    return NULL;
}

/* ---- the root: tells the run on which fiber it is ---- */

struct op_root {
    struct op op;
    struct run *r;
    struct op *in;
};

static struct status *root_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct op_root *o = (struct op_root *)op;
    o->r->f = f;
    struct status *st = op_next(f, o->in, out);
    if (st == NULL && *out != NULL) {
        op->rows_out += (uint64_t)(*out)->nrows;
    }
    return st;
}

static void root_close(struct op *op)
{
    struct op_root *o = (struct op_root *)op;
    op_close(o->in);
    o->in = NULL;
}

struct status *plan_open(struct fiber *f, const struct plan *p, struct exec *x, struct op **out_op)
{
    if (p->tag == PLAN_EXPLAIN) {
        return explain_open(f, p, x, out_op);
    }
    struct run *r;
    TRY(run_create(f, p, x, &r));
    *out_op = NULL;
    if (p->write != NULL) {
        return run_write(r, out_op);
    }
    if (p->is_single_scan) {
        txn_hint_single_scan(x->txn);
    }
    struct op *in;
    TRY(run_open(r, x->arena, p->root, &in));
    struct op_root *o = ARENA_NEW(x->arena, struct op_root);
    o->op =
        (struct op){.next = root_next, .close = root_close, .ncols = in->ncols, .types = in->types};
    o->r = r;
    o->in = in;
    *out_op = &o->op;
    return NULL;
}
