/*
 * The simple operators: values, filter, project, limit, series; and what all operators share.
 *
 * Every operator has a scratch arena that holds its current batch and is emptied at the next call,
 * so that a scan of any length needs the memory of one batch.
 */
#include "operator_impl.h"

#include "funcs.h"

#include "base/check.h"
#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"

enum { TURNS_PER_YIELD = 16 };

static struct status *op_timed_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct op_base *b = (struct op_base *)op;
    uint64_t start = f != NULL ? loop_clock_ns(fiber_loop(f)) : 0;
    *out = NULL;
    struct status *st = b->run(f, b, out);
    if (f != NULL) {
        op->ns += loop_clock_ns(fiber_loop(f)) - start;
    }
    if (st == NULL && *out != NULL) {
        op->rows_out += (uint64_t)(*out)->nrows;
    }
    return st;
}

static void op_base_close(struct op *op)
{
    struct op_base *b = (struct op_base *)op;
    op_close(b->inputs[0]);
    op_close(b->inputs[1]);
    b->inputs[0] = b->inputs[1] = NULL;
}

void op_close(struct op *op)
{
    if (op != NULL && op->close != NULL) {
        op->close(op);
    }
}

void *op_alloc(struct arena *a, size_t size, int ncols, const uint32_t *types,
               struct status *(*run)(struct fiber *f, struct op_base *base, struct batch **out))
{
    struct op_base *b = arena_zalloc(a, size);
    b->op.next = op_timed_next;
    b->op.close = op_base_close;
    b->op.ncols = ncols;
    b->op.types = types;
    b->run = run;
    b->scratch = op_arena(a);
    return b;
}

static void drop_arena(void *arena)
{
    arena_destroy(arena);
}

struct arena *op_arena(struct arena *a)
{
    struct arena *child = arena_create(0);
    arena_on_free(a, drop_arena, child);
    return child;
}

struct arena *op_scratch(struct op_base *b)
{
    arena_reset(b->scratch);
    return b->scratch;
}

struct eval_ctx op_eval_ctx(const struct op_base *b, struct arena *a)
{
    struct eval_ctx ctx = {0};
    if (b->ctx != NULL) {
        ctx = *b->ctx;
    }
    ctx.arena = a;
    return ctx;
}

struct status *op_turn(struct fiber *f, struct op_base *b)
{
    if (f == NULL) {
        return NULL;
    }
    return ++b->turns % TURNS_PER_YIELD == 0 ? fiber_yield(f) : fiber_check(f);
}

struct status *op_budget_hint(struct status *st, const char *what)
{
    if (st == NULL || st->code != STATUS_LIMIT || strcmp(st->sqlstate, "53200") != 0) {
        return st;
    }
    return status_hint(
        st,
        "The %s does not fit the memory of one query. Narrow it by a WHERE clause or "
        "a LIMIT, or raise the limit in the configuration.",
        what);
}

struct batch *batch_shell(struct arena *a, int ncols, const uint32_t *types, int nrows)
{
    struct batch *b = ARENA_NEW(a, struct batch);
    b->ncols = ncols;
    b->nrows = b->cap = nrows;
    b->types = ARENA_ARRAY(a, uint32_t, ncols + 1);
    if (ncols > 0) {
        memcpy(b->types, types, sizeof(uint32_t) * (size_t)ncols);
    }
    b->cols = ARENA_ARRAY(a, struct datum *, ncols + 1);
    b->arena = a;
    return b;
}

struct status *batch_sel(struct arena *a, int n, int **out)
{
    TRY(arena_reserve(a, sizeof(int) * ((size_t)n + 1) + ((size_t)16 << 10)));
    *out = ARENA_ARRAY(a, int, n + 1);
    return NULL;
}

struct status *batch_select(struct arena *a, const struct batch *in, const int *sel, int n,
                            struct batch **out)
{
    TRY(arena_reserve(a,
                      sizeof(struct datum) * (size_t)n * (size_t)in->ncols + ((size_t)128 << 10)));
    struct batch *b = batch_shell(a, in->ncols, in->types, n);
    for (int c = 0; c < in->ncols; c++) {
        b->cols[c] = ARENA_ARRAY(a, struct datum, n);
        for (int k = 0; k < n; k++) {
            b->cols[c][k] = in->cols[c][sel[k]];
        }
    }
    *out = b;
    return NULL;
}

/* ---- values ---- */

struct op_values {
    struct op_base base;
    int nrows, at;
    struct expr *const *const *rows;
};

static struct status *values_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_values *v = (struct op_values *)base;
    TRY(op_turn(f, base));
    int n = v->nrows - v->at < BATCH_ROWS ? v->nrows - v->at : BATCH_ROWS;
    if (n <= 0) {
        return NULL;
    }
    struct arena *a = op_scratch(base);
    struct eval_ctx ctx = op_eval_ctx(base, a);
    struct batch *b = batch_create(a, base->op.ncols, base->op.types, n);
    for (int r = 0; r < n; r++) {
        for (int c = 0; c < base->op.ncols; c++) {
            TRY(expr_eval_const(&ctx, v->rows[v->at + r][c], &b->cols[c][r]));
        }
    }
    b->nrows = n;
    v->at += n;
    *out = b;
    return NULL;
}

struct op *op_values(struct arena *a, struct eval_ctx *ctx, int ncols, const uint32_t *types,
                     int nrows, struct expr *const *const *rows)
{
    struct op_values *v = op_alloc(a, sizeof(*v), ncols, types, values_run);
    v->base.ctx = ctx;
    v->nrows = nrows;
    v->rows = rows;
    return &v->base.op;
}

/* ---- batches that are there already ---- */

struct op_batches {
    struct op_base base;
    struct batch **batches;
    int count, at;
};

static struct status *batches_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_batches *o = (struct op_batches *)base;
    TRY(op_turn(f, base));
    while (o->at < o->count) {
        struct batch *b = o->batches[o->at++];
        if (b->nrows > 0) {
            *out = b;
            break;
        }
    }
    return NULL;
}

struct op *op_batches(struct arena *a, int ncols, const uint32_t *types, struct batch **batches,
                      int count)
{
    struct op_batches *o = op_alloc(a, sizeof(*o), ncols, types, batches_run);
    o->batches = batches;
    o->count = count;
    return &o->base.op;
}

/* ---- filter ---- */

struct op_filter {
    struct op_base base;
    struct expr *predicate;
    int rows_a_turn;
    struct arena *eval; /* of one turn */
};

/* Some rows a turn: their place in the batch goes to sel. */
static struct status *filter_rows(struct fiber *f, struct op_filter *o, const struct batch *in,
                                  int *sel, int *out_n)
{
    struct arena *a = o->base.scratch;
    struct batch part = *in;
    part.cols = ARENA_ARRAY(a, struct datum *, in->ncols + 1);
    *out_n = 0;
    for (int from = 0; from < in->nrows; from += o->rows_a_turn) {
        if (from > 0 && f != NULL) {
            TRY(fiber_yield(f));
        }
        part.nrows = in->nrows - from < o->rows_a_turn ? in->nrows - from : o->rows_a_turn;
        for (int c = 0; c < in->ncols; c++) {
            part.cols[c] = in->cols[c] + from;
        }
        arena_reset(o->eval);
        struct eval_ctx ctx = op_eval_ctx(&o->base, o->eval);
        int n;
        TRY(expr_filter(&ctx, o->predicate, &part, sel + *out_n, &n));
        for (int i = 0; i < n; i++) {
            sel[*out_n + i] += from;
        }
        *out_n += n;
    }
    return NULL;
}

static struct status *filter_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_filter *o = (struct op_filter *)base;
    for (;;) {
        struct batch *in;
        TRY(op_turn(f, base));
        TRY(op_next(f, base->inputs[0], &in));
        if (in == NULL) {
            return NULL;
        }
        struct arena *a = op_scratch(base);
        int *sel, n;
        TRY(batch_sel(a, in->nrows, &sel));
        TRY(filter_rows(f, o, in, sel, &n));
        if (n > 0) {
            *out = in;
            return n == in->nrows ? NULL : batch_select(a, in, sel, n, out);
        }
    }
}

struct op *op_filter(struct arena *a, struct eval_ctx *ctx, struct op *in, struct expr *predicate)
{
    struct op_filter *o = op_alloc(a, sizeof(*o), in->ncols, in->types, filter_run);
    o->base.ctx = ctx;
    o->base.inputs[0] = in;
    o->predicate = predicate;
    o->rows_a_turn = expr_rows_a_turn(expr_weight(predicate));
    o->eval = op_arena(a);
    return &o->base.op;
}

/* ---- project ---- */

struct op_project {
    struct op_base base;
    struct expr **exprs;
};

static struct status *project_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_project *o = (struct op_project *)base;
    struct batch *in;
    TRY(op_next(f, base->inputs[0], &in));
    if (in == NULL) {
        return NULL;
    }
    struct arena *a = op_scratch(base);
    struct eval_ctx ctx = op_eval_ctx(base, a);
    struct batch *b = batch_shell(a, base->op.ncols, base->op.types, in->nrows);
    for (int c = 0; c < base->op.ncols; c++) {
        const struct expr *e = o->exprs[c];
        if (e->kind == EXPR_COLUMN && e->index >= 0 && e->index < in->ncols) {
            b->cols[c] = in->cols[e->index];
            continue;
        }
        TRY(arena_reserve(a, sizeof(struct datum) * (size_t)in->nrows));
        b->cols[c] = ARENA_ARRAY(a, struct datum, in->nrows);
        TRY(expr_eval(&ctx, e, in, NULL, in->nrows, b->cols[c]));
    }
    *out = b;
    return NULL;
}

struct op *op_project(struct arena *a, struct eval_ctx *ctx, struct op *in, int n,
                      struct expr **exprs)
{
    uint32_t *types = ARENA_ARRAY(a, uint32_t, n + 1);
    for (int i = 0; i < n; i++) {
        types[i] = exprs[i]->type;
    }
    struct op_project *o = op_alloc(a, sizeof(*o), n, types, project_run);
    o->base.ctx = ctx;
    o->base.inputs[0] = in;
    o->exprs = exprs;
    return &o->base.op;
}

/* ---- limit ---- */

struct op_limit {
    struct op_base base;
    int64_t skip;
    int64_t left; /* -1 = no limit */
};

static struct status *limit_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_limit *o = (struct op_limit *)base;
    while (o->left != 0) {
        struct batch *in;
        TRY(op_next(f, base->inputs[0], &in));
        if (in == NULL) {
            return NULL;
        }
        if (o->skip >= in->nrows) {
            o->skip -= in->nrows;
            continue;
        }
        int from = (int)o->skip, n = in->nrows - from;
        o->skip = 0;
        if (o->left >= 0 && n > o->left) {
            n = (int)o->left;
        }
        o->left -= o->left > 0 ? n : 0;
        if (n == in->nrows) {
            *out = in;
            return NULL;
        }
        struct batch *b = batch_shell(op_scratch(base), in->ncols, in->types, n);
        for (int c = 0; c < in->ncols; c++) {
            b->cols[c] = in->cols[c] + from;
        }
        *out = b;
        return NULL;
    }
    return NULL;
}

struct op *op_limit(struct arena *a, struct op *in, int64_t offset, int64_t limit)
{
    struct op_limit *o = op_alloc(a, sizeof(*o), in->ncols, in->types, limit_run);
    o->base.inputs[0] = in;
    o->skip = offset > 0 ? offset : 0;
    o->left = limit;
    return &o->base.op;
}

/* ---- series ---- */

struct op_series {
    struct op_base base;
    uint32_t type;
    struct expr *start, *stop, *step;
    bool is_open, is_done;
    struct datum at, end, by;
    int sign;
    struct arena *keep; /* numerics that outlive a batch, in two that take turns */
    struct arena *spare;
};

static struct status *series_open(struct op_series *o)
{
    struct eval_ctx ctx = op_eval_ctx(&o->base, o->keep);
    o->is_open = true;
    TRY(expr_eval_const(&ctx, o->start, &o->at));
    TRY(expr_eval_const(&ctx, o->stop, &o->end));
    if (o->step != NULL) {
        TRY(expr_eval_const(&ctx, o->step, &o->by));
    } else {
        o->by = o->type == TYPE_NUMERIC ? numeric_from_int8(o->keep, 1) : datum_int(1);
    }
    if (o->at.is_null || o->end.is_null || o->by.is_null) {
        o->is_done = true;
        return NULL;
    }
    struct interval none = {0}, step;
    switch (o->type) {
    case TYPE_NUMERIC: {
        static const char *const names[] = {"start value", "stop value", "step size"};
        const struct datum *d[] = {&o->at, &o->end, &o->by};
        for (int i = 0; i < 3; i++) {
            if (numeric_is_nan(d[i]) || numeric_is_inf(d[i])) {
                return status_sql(INVALID, "22023", "%s cannot be %s", names[i],
                                  numeric_is_nan(d[i]) ? "NaN" : "infinity");
            }
        }
        o->sign = numeric_sign(&o->by);
        break;
    }
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        step = interval_get(&o->by);
        o->sign = interval_compare(&step, &none);
        break;
    default:
        o->sign = (o->by.i > 0) - (o->by.i < 0);
        break;
    }
    if (o->sign == 0) {
        return status_sql(INVALID, "22023", "step size cannot equal zero");
    }
    return NULL;
}

static bool series_is_past(const struct op_series *o)
{
    int c = o->type == TYPE_NUMERIC ? numeric_compare(&o->at, &o->end)
                                    : (o->at.i > o->end.i) - (o->at.i < o->end.i);
    return c * o->sign > 0;
}

static struct status *series_advance(struct op_series *o, struct arena *a)
{
    switch (o->type) {
    case TYPE_NUMERIC: {
        struct datum next;
        TRY(numeric_add(a, &o->at, &o->by, &next));
        o->at = next;
        return NULL;
    }
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ: {
        struct interval step = interval_get(&o->by);
        if (!timestamp_is_finite(o->at.i)) {
            o->is_done = true; /* it would stay there for ever */
            return NULL;
        }
        return timestamp_add(o->at.i, &step, &o->at.i);
    }
    default:
        o->is_done = __builtin_add_overflow(o->at.i, o->by.i, &o->at.i);
        return NULL;
    }
}

static struct status *series_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_series *o = (struct op_series *)base;
    TRY(op_turn(f, base));
    if (!o->is_open) {
        TRY(series_open(o));
    }
    struct arena *a = op_scratch(base);
    struct batch *b = batch_create(a, 1, base->op.types, BATCH_ROWS);
    b->nrows = 0;
    while (!o->is_done && b->nrows < BATCH_ROWS) {
        if (series_is_past(o)) {
            o->is_done = true;
            break;
        }
        b->cols[0][b->nrows++] = o->at;
        TRY(arena_slack(a));
        TRY(series_advance(o, a));
    }
    if (o->type == TYPE_NUMERIC && !o->is_done) { /* the next value must survive this batch */
        arena_reset(o->spare);
        o->at = datum_copy(o->spare, TYPE_NUMERIC, &o->at);
        o->end = datum_copy(o->spare, TYPE_NUMERIC, &o->end);
        o->by = datum_copy(o->spare, TYPE_NUMERIC, &o->by);
        struct arena *t = o->spare;
        o->spare = o->keep;
        o->keep = t;
        if (b->nrows > 0) { /* its first row may live in what is now spare */
            b->cols[0][0] = datum_copy(a, TYPE_NUMERIC, &b->cols[0][0]);
        }
    }
    *out = b->nrows > 0 ? b : NULL;
    return NULL;
}

struct op *op_series(struct arena *a, struct eval_ctx *ctx, type_oid type, struct expr *start,
                     struct expr *stop, struct expr *step)
{
    uint32_t *types = ARENA_ARRAY(a, uint32_t, 1);
    types[0] = type;
    struct op_series *o = op_alloc(a, sizeof(*o), 1, types, series_run);
    o->base.ctx = ctx;
    o->type = type;
    o->start = start;
    o->stop = stop;
    o->step = step;
    o->keep = op_arena(a);
    o->spare = op_arena(a);
    return &o->base.op;
}

/* ---- a call that gives rows ---- */

struct op_set {
    struct op_base base;
    struct expr *call;
    struct arena *keep;
    bool is_open;
    struct datum *rows;
    int count, at;
};

/* Rows that are arrays themselves come as their text forms. */
static struct status *rows_from_text(struct op_set *o, type_oid have)
{
    if (have == o->call->type || type_find(o->call->type)->element == 0) {
        return NULL;
    }
    for (int i = 0; i < o->count; i++) {
        struct datum d = o->rows[i];
        if (!d.is_null) {
            TRY(arena_reserve(o->keep, (size_t)d.len * 4 + 64));
            TRY(type_input(o->keep, o->call->type, -1, datum_slice(&d), &o->rows[i]));
        }
    }
    return NULL;
}

static struct status *set_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_set *o = (struct op_set *)base;
    TRY(op_turn(f, base));
    if (!o->is_open) {
        struct eval_ctx ctx = op_eval_ctx(base, o->keep);
        struct datum d;
        o->is_open = true;
        TRY(expr_eval_const(&ctx, o->call, &d));
        if (!d.is_null) {
            TRY(arena_reserve(o->keep, sizeof(struct datum) * (size_t)array_count(&d)));
            o->rows = array_elements(o->keep, &d, &o->count);
            TRY(rows_from_text(o, array_element_type(&d)));
        }
    }
    int n = o->count - o->at < BATCH_ROWS ? o->count - o->at : BATCH_ROWS;
    if (n <= 0) {
        return NULL;
    }
    struct batch *b = batch_shell(op_scratch(base), 1, base->op.types, n);
    b->cols[0] = o->rows + o->at;
    o->at += n;
    *out = b;
    return NULL;
}

struct op *op_set(struct arena *a, struct eval_ctx *ctx, struct expr *call)
{
    if (strcmp(call->func->name, "generate_series") == 0) {
        return op_series(a, ctx, call->type, call->args[0], call->args[1],
                         call->nargs > 2 ? call->args[2] : NULL);
    }
    uint32_t *types = ARENA_ARRAY(a, uint32_t, 1);
    types[0] = call->type;
    struct op_set *o = op_alloc(a, sizeof(*o), 1, types, set_run);
    o->base.ctx = ctx;
    o->call = call;
    o->keep = op_arena(a);
    return &o->base.op;
}
