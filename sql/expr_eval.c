/*
 * Evaluation: node by node over a selection of rows, results column-wise.
 *
 * Arguments become operands: a constant or parameter is one datum, a column is read in place
 * through the selection, anything else is evaluated into a scratch column of the arena. The
 * comparisons and the arithmetic of integers and floats run as loops over operands (kernels); every
 * other function is called row by row. What narrows (AND, OR, CASE, COALESCE) passes on only the
 * rows that still matter, so an error in a branch not taken is not raised.
 */
#include "funcs.h"

#include "base/check.h"
#include "base/fiber.h"
#include "sql/array.h"

#include <math.h>

struct operand {
    const struct datum *base;
    const int *index; /* or NULL */
    bool is_single;   /* base[0] for every row */
};

static inline const struct datum *operand_at(const struct operand *o, int k)
{
    return o->is_single ? o->base : &o->base[o->index != NULL ? o->index[k] : k];
}

static struct status *column_of(const struct expr *e, const struct batch *in,
                                const struct datum **out)
{
    if (in == NULL || e->index < 0 || e->index >= in->ncols) {
        return status_new(INTERNAL, "column %d is not in the input", e->index);
    }
    if (in->types[e->index] != e->type &&
        type_storage(in->types[e->index]) != type_storage(e->type)) {
        return status_new(INTERNAL, "column %d has type %u, expected %u", e->index,
                          in->types[e->index], e->type);
    }
    *out = in->cols[e->index];
    return NULL;
}

static struct status *param_of(struct eval_ctx *ctx, const struct expr *e, const struct datum **out)
{
    if (e->index < 0 || e->index >= ctx->nparams) {
        return status_sql(INVALID, "42P02", "there is no parameter $%d", e->index + 1);
    }
    *out = &ctx->params[e->index];
    return NULL;
}

static struct status *scratch(struct eval_ctx *ctx, size_t size, void *out)
{
    TRY(arena_reserve(ctx->arena, size));
    *(void **)out = arena_alloc(ctx->arena, size);
    return NULL;
}

static struct status *operand_eval(struct eval_ctx *ctx, const struct expr *e,
                                   const struct batch *in, const int *sel, int nsel,
                                   struct operand *out)
{
    switch (e->kind) {
    case EXPR_CONST:
        *out = (struct operand){.base = &e->value, .is_single = true};
        return NULL;
    case EXPR_PARAM:
        *out = (struct operand){.is_single = true};
        return param_of(ctx, e, &out->base);
    case EXPR_COLUMN:
        *out = (struct operand){.index = sel};
        return column_of(e, in, &out->base);
    default: {
        struct datum *d;
        TRY(scratch(ctx, sizeof(*d) * (size_t)nsel, &d));
        *out = (struct operand){.base = d};
        return expr_eval(ctx, e, in, sel, nsel, d);
    }
    }
}

/* ---- kernels ---- */

static struct status *int_overflow(type_oid type)
{
    return status_sql(INVALID, "22003", "%s out of range",
                      type == TYPE_INT2   ? "smallint"
                      : type == TYPE_INT4 ? "integer"
                                          : "bigint");
}

static inline int float_cmp(double x, double y)
{
    if (isnan(x) || isnan(y)) {
        return isnan(x) - isnan(y);
    }
    return (x > y) - (x < y);
}

#define KERNEL_LOOP(result)                                                                        \
    for (int k = 0; k < nsel; k++) {                                                               \
        const struct datum *x = operand_at(l, k), *y = operand_at(r, k);                           \
        if (x->is_null || y->is_null) {                                                            \
            out[k] = DATUM_NULL;                                                                   \
            continue;                                                                              \
        }                                                                                          \
        out[k] = (result);                                                                         \
    }

#define KERNEL_CMP(name, result)                                                                   \
    static void name(const struct operand *l, const struct operand *r, int nsel,                   \
                     struct datum *out)                                                            \
    {                                                                                              \
        KERNEL_LOOP(datum_bool(result))                                                            \
    }

KERNEL_CMP(kernel_i_eq, x->i == y->i)
KERNEL_CMP(kernel_i_ne, x->i != y->i)
KERNEL_CMP(kernel_i_lt, x->i < y->i)
KERNEL_CMP(kernel_i_le, x->i <= y->i)
KERNEL_CMP(kernel_i_gt, x->i > y->i)
KERNEL_CMP(kernel_i_ge, x->i >= y->i)
KERNEL_CMP(kernel_f_eq, float_cmp(x->f, y->f) == 0)
KERNEL_CMP(kernel_f_ne, float_cmp(x->f, y->f) != 0)
KERNEL_CMP(kernel_f_lt, float_cmp(x->f, y->f) < 0)
KERNEL_CMP(kernel_f_le, float_cmp(x->f, y->f) <= 0)
KERNEL_CMP(kernel_f_gt, float_cmp(x->f, y->f) > 0)
KERNEL_CMP(kernel_f_ge, float_cmp(x->f, y->f) >= 0)
KERNEL_CMP(kernel_s_eq, x->len == y->len && (x->len == 0 || memcmp(x->p, y->p, x->len) == 0))
KERNEL_CMP(kernel_s_ne, x->len != y->len || (x->len != 0 && memcmp(x->p, y->p, x->len) != 0))

struct kernel {
    func_scalar scalar;
    void (*run)(const struct operand *l, const struct operand *r, int nsel, struct datum *out);
};

static const struct kernel kernels[] = {
    {cmp_i_eq, kernel_i_eq}, {cmp_i_ne, kernel_i_ne}, {cmp_i_lt, kernel_i_lt},
    {cmp_i_le, kernel_i_le}, {cmp_i_gt, kernel_i_gt}, {cmp_i_ge, kernel_i_ge},
    {cmp_f_eq, kernel_f_eq}, {cmp_f_ne, kernel_f_ne}, {cmp_f_lt, kernel_f_lt},
    {cmp_f_le, kernel_f_le}, {cmp_f_gt, kernel_f_gt}, {cmp_f_ge, kernel_f_ge},
    {cmp_s_eq, kernel_s_eq}, {cmp_s_ne, kernel_s_ne},
};

/* Integer arithmetic: one pass that remembers whether any row left the range. */
#define KERNEL_ARITH(name, builtin, min, max)                                                      \
    static bool name(const struct operand *l, const struct operand *r, int nsel,                   \
                     struct datum *out)                                                            \
    {                                                                                              \
        bool over = false;                                                                         \
        for (int k = 0; k < nsel; k++) {                                                           \
            const struct datum *x = operand_at(l, k), *y = operand_at(r, k);                       \
            if (x->is_null || y->is_null) {                                                        \
                out[k] = DATUM_NULL;                                                               \
                continue;                                                                          \
            }                                                                                      \
            int64_t v;                                                                             \
            over |= builtin(x->i, y->i, &v) || v < (min) || v > (max);                             \
            out[k] = datum_int(v);                                                                 \
        }                                                                                          \
        return !over;                                                                              \
    }

KERNEL_ARITH(kernel_i4pl, __builtin_add_overflow, INT32_MIN, INT32_MAX)
KERNEL_ARITH(kernel_i4mi, __builtin_sub_overflow, INT32_MIN, INT32_MAX)
KERNEL_ARITH(kernel_i4mul, __builtin_mul_overflow, INT32_MIN, INT32_MAX)
KERNEL_ARITH(kernel_i8pl, __builtin_add_overflow, INT64_MIN, INT64_MAX)
KERNEL_ARITH(kernel_i8mi, __builtin_sub_overflow, INT64_MIN, INT64_MAX)
KERNEL_ARITH(kernel_i8mul, __builtin_mul_overflow, INT64_MIN, INT64_MAX)

struct arith_kernel {
    func_scalar scalar;
    bool (*run)(const struct operand *l, const struct operand *r, int nsel, struct datum *out);
    type_oid type;
};

static const struct arith_kernel arith_kernels[] = {
    {fn_i4pl, kernel_i4pl, TYPE_INT4},   {fn_i4mi, kernel_i4mi, TYPE_INT4},
    {fn_i4mul, kernel_i4mul, TYPE_INT4}, {fn_i8pl, kernel_i8pl, TYPE_INT8},
    {fn_i8mi, kernel_i8mi, TYPE_INT8},   {fn_i8mul, kernel_i8mul, TYPE_INT8},
};

/* True when a kernel did it. */
static bool run_kernel(const struct func_def *f, const struct operand *l, const struct operand *r,
                       int nsel, struct datum *out, struct status **out_st)
{
    *out_st = NULL;
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        if (kernels[i].scalar == f->scalar) {
            kernels[i].run(l, r, nsel, out);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof(arith_kernels) / sizeof(arith_kernels[0]); i++) {
        if (arith_kernels[i].scalar == f->scalar) {
            if (!arith_kernels[i].run(l, r, nsel, out)) {
                *out_st = int_overflow(arith_kernels[i].type);
            }
            return true;
        }
    }
    return false;
}

/* ---- calls ---- */

static struct status *call_row(struct eval_ctx *ctx, const struct expr *e, const struct datum *args,
                               int nargs, struct datum *out)
{
    const struct func_def *f = e->func;
    if (f->is_strict) {
        for (int i = 0; i < nargs; i++) {
            if (args[i].is_null) {
                *out = DATUM_NULL;
                return NULL;
            }
        }
    }
    if (f->needs_session) {
        if (ctx->session_call == NULL) {
            return status_hint(
                status_new(UNSUPPORTED, "%s() cannot be used in this place", f->name),
                "It needs the session: use it in a SELECT list or a VALUES list.");
        }
        return ctx->session_call(ctx->ctx, f, args, nargs, out);
    }
    if (f->scalar == NULL) {
        return status_new(INTERNAL, "%s() is not a scalar function", f->name);
    }
    TRY(arena_slack(ctx->arena));
    out->len = 0;
    out->is_null = false;
    return f->scalar(ctx, args, nargs, out);
}

static struct status *eval_call(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                                const int *sel, int nsel, struct datum *out)
{
    int n = e->nargs;
    struct operand few[4], *ops = few;
    struct datum few_args[4], *args = few_args;
    if (n > 4) {
        TRY(scratch(ctx, sizeof(*ops) * (size_t)n, &ops));
        TRY(scratch(ctx, sizeof(*args) * (size_t)n, &args));
    }
    bool varies = e->func->volatility == FUNC_VOLATILE;
    for (int i = 0; i < n; i++) {
        TRY(operand_eval(ctx, e->args[i], in, sel, nsel, &ops[i]));
        varies |= !ops[i].is_single;
    }
    struct status *st;
    if (n == 2 && nsel > 1 && run_kernel(e->func, &ops[0], &ops[1], nsel, out, &st)) {
        return st;
    }
    const struct expr *saved = ctx->call;
    ctx->call = e;
    st = NULL;
    for (int k = 0; k < nsel && st == NULL; k++) {
        if (k > 0 && !varies) {
            out[k] = out[0];
            continue;
        }
        for (int i = 0; i < n; i++) {
            args[i] = *operand_at(&ops[i], k);
        }
        st = call_row(ctx, e, args, n, &out[k]);
    }
    ctx->call = saved;
    return st;
}

/* ---- narrowing nodes ---- */

/* A selection that can shrink: rows of the batch, and where their results go. */
struct live {
    int *rows;  /* for expr_eval's sel */
    int *slots; /* index into out */
    int n;
};

static struct status *live_init(struct eval_ctx *ctx, struct live *v, const int *sel, int nsel)
{
    TRY(scratch(ctx, sizeof(int) * (size_t)nsel * 2, &v->rows));
    v->slots = v->rows + nsel;
    v->n = nsel;
    for (int k = 0; k < nsel; k++) {
        v->rows[k] = sel != NULL ? sel[k] : k;
        v->slots[k] = k;
    }
    return NULL;
}

static inline void live_keep(struct live *v, int *n, int k)
{
    v->rows[*n] = v->rows[k];
    v->slots[*n] = v->slots[k];
    (*n)++;
}

static struct status *eval_and_or(struct eval_ctx *ctx, const struct expr *e,
                                  const struct batch *in, const int *sel, int nsel,
                                  struct datum *out)
{
    bool is_and = e->kind == EXPR_AND;
    struct live v;
    struct datum *d;
    TRY(live_init(ctx, &v, sel, nsel));
    TRY(scratch(ctx, sizeof(*d) * (size_t)nsel, &d));
    for (int k = 0; k < nsel; k++) {
        out[k] = datum_bool(is_and);
    }
    for (int i = 0; i < e->nargs && v.n > 0; i++) {
        TRY(expr_eval(ctx, e->args[i], in, v.rows, v.n, d));
        int left = 0;
        for (int k = 0; k < v.n; k++) {
            if (d[k].is_null) {
                out[v.slots[k]] = DATUM_NULL;
                live_keep(&v, &left, k);
            } else if ((d[k].i != 0) == is_and) {
                live_keep(&v, &left, k);
            } else {
                out[v.slots[k]] = datum_bool(!is_and); /* decided */
            }
        }
        v.n = left;
    }
    return NULL;
}

static struct status *eval_case(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                                const int *sel, int nsel, struct datum *out)
{
    struct live v;
    struct datum *d;
    int *hit_rows, *hit_slots;
    TRY(live_init(ctx, &v, sel, nsel));
    TRY(scratch(ctx, sizeof(*d) * (size_t)nsel, &d));
    TRY(scratch(ctx, sizeof(int) * (size_t)nsel * 2, &hit_rows));
    hit_slots = hit_rows + nsel;
    for (int i = 0; i + 1 < e->nargs && v.n > 0; i += 2) {
        TRY(expr_eval(ctx, e->args[i], in, v.rows, v.n, d));
        int left = 0, hits = 0;
        for (int k = 0; k < v.n; k++) {
            if (!d[k].is_null && d[k].i != 0) {
                hit_rows[hits] = v.rows[k];
                hit_slots[hits++] = v.slots[k];
            } else {
                live_keep(&v, &left, k);
            }
        }
        v.n = left;
        if (hits > 0) {
            TRY(expr_eval(ctx, e->args[i + 1], in, hit_rows, hits, d));
            for (int k = 0; k < hits; k++) {
                out[hit_slots[k]] = d[k];
            }
        }
    }
    if (v.n == 0) {
        return NULL;
    }
    if (e->has_else) {
        TRY(expr_eval(ctx, e->args[e->nargs - 1], in, v.rows, v.n, d));
    }
    for (int k = 0; k < v.n; k++) {
        out[v.slots[k]] = e->has_else ? d[k] : DATUM_NULL;
    }
    return NULL;
}

static struct status *eval_coalesce(struct eval_ctx *ctx, const struct expr *e,
                                    const struct batch *in, const int *sel, int nsel,
                                    struct datum *out)
{
    struct live v;
    struct datum *d;
    TRY(live_init(ctx, &v, sel, nsel));
    TRY(scratch(ctx, sizeof(*d) * (size_t)nsel, &d));
    for (int k = 0; k < nsel; k++) {
        out[k] = DATUM_NULL;
    }
    for (int i = 0; i < e->nargs && v.n > 0; i++) {
        TRY(expr_eval(ctx, e->args[i], in, v.rows, v.n, d));
        int left = 0;
        for (int k = 0; k < v.n; k++) {
            if (d[k].is_null) {
                live_keep(&v, &left, k);
            } else {
                out[v.slots[k]] = d[k];
            }
        }
        v.n = left;
    }
    return NULL;
}

static struct status *eval_greatest(struct eval_ctx *ctx, const struct expr *e,
                                    const struct batch *in, const int *sel, int nsel,
                                    struct datum *out)
{
    for (int k = 0; k < nsel; k++) {
        out[k] = DATUM_NULL;
    }
    for (int i = 0; i < e->nargs; i++) {
        struct operand o;
        TRY(operand_eval(ctx, e->args[i], in, sel, nsel, &o));
        for (int k = 0; k < nsel; k++) {
            const struct datum *d = operand_at(&o, k);
            if (d->is_null) {
                continue;
            }
            if (!out[k].is_null) {
                int c = type_compare(e->type, d, &out[k]);
                if (e->negate ? c >= 0 : c <= 0) {
                    continue;
                }
            }
            out[k] = *d;
        }
    }
    return NULL;
}

/* ---- sets of values: IN lists and = ANY(array) ---- */

struct value_set {
    type_oid type;
    const struct datum **slots;
    uint32_t mask;
    bool has_null;
};

enum { SET_MIN = 9 }; /* fewer values are compared one by one */

static struct status *set_init(struct eval_ctx *ctx, struct value_set *s, type_oid type, int count)
{
    uint32_t cap = 16;
    while (cap < (uint32_t)count * 2) {
        cap *= 2;
    }
    TRY(scratch(ctx, sizeof(*s->slots) * cap, &s->slots));
    memset(s->slots, 0, sizeof(*s->slots) * cap);
    s->type = type;
    s->mask = cap - 1;
    s->has_null = false;
    return NULL;
}

static const struct datum **set_slot(struct value_set *s, const struct datum *d)
{
    uint32_t h = (uint32_t)type_hash(s->type, d) & s->mask;
    while (s->slots[h] != NULL && type_compare(s->type, s->slots[h], d) != 0) {
        h = (h + 1) & s->mask;
    }
    return &s->slots[h];
}

static void set_add(struct value_set *s, const struct datum *d)
{
    if (d->is_null) {
        s->has_null = true;
    } else {
        *set_slot(s, d) = d;
    }
}

static struct datum set_test(struct value_set *s, const struct datum *d)
{
    if (d->is_null) {
        return DATUM_NULL;
    }
    if (*set_slot(s, d) != NULL) {
        return datum_bool(true);
    }
    return s->has_null ? DATUM_NULL : datum_bool(false);
}

static void negate_all(struct datum *out, int n)
{
    for (int k = 0; k < n; k++) {
        if (!out[k].is_null) {
            out[k].i = !out[k].i;
        }
    }
}

static struct status *eval_in(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                              const int *sel, int nsel, struct datum *out)
{
    type_oid type = e->args[0]->type;
    struct operand left;
    TRY(operand_eval(ctx, e->args[0], in, sel, nsel, &left));
    bool all_single = e->nargs > SET_MIN && nsel > 1;
    for (int i = 1; i < e->nargs && all_single; i++) {
        all_single = e->args[i]->kind == EXPR_CONST || e->args[i]->kind == EXPR_PARAM;
    }
    if (all_single) {
        struct value_set set;
        TRY(set_init(ctx, &set, type, e->nargs));
        for (int i = 1; i < e->nargs; i++) {
            struct operand o;
            TRY(operand_eval(ctx, e->args[i], in, sel, nsel, &o));
            set_add(&set, o.base);
        }
        for (int k = 0; k < nsel; k++) {
            out[k] = set_test(&set, operand_at(&left, k));
        }
    } else {
        for (int k = 0; k < nsel; k++) {
            out[k] = operand_at(&left, k)->is_null ? DATUM_NULL : datum_bool(false);
        }
        for (int i = 1; i < e->nargs; i++) {
            struct operand o;
            TRY(operand_eval(ctx, e->args[i], in, sel, nsel, &o));
            for (int k = 0; k < nsel; k++) {
                const struct datum *x = operand_at(&left, k), *y = operand_at(&o, k);
                if (x->is_null || (!out[k].is_null && out[k].i != 0)) {
                    continue;
                }
                if (y->is_null) {
                    out[k] = DATUM_NULL;
                } else if (type_compare(type, x, y) == 0) {
                    out[k] = datum_bool(true);
                }
            }
        }
    }
    if (e->negate) {
        negate_all(out, nsel);
    }
    return NULL;
}

static bool is_equality(const struct func_def *f)
{
    return f->scalar == cmp_i_eq || f->scalar == cmp_f_eq || f->scalar == cmp_s_eq ||
           f->scalar == cmp_bp_eq || f->scalar == cmp_num_eq || f->scalar == cmp_iv_eq;
}

/* x op ANY/ALL (elements): three-valued OR / AND of the single results. */
static struct status *any_row(struct eval_ctx *ctx, const struct expr *e, const struct datum *left,
                              const struct datum *elems, int n, struct datum *out)
{
    *out = datum_bool(e->negate);
    for (int i = 0; i < n; i++) {
        struct datum args[2] = {*left, elems[i]}, d;
        TRY(call_row(ctx, e, args, 2, &d));
        if (d.is_null) {
            *out = DATUM_NULL;
        } else if ((d.i != 0) != e->negate) {
            *out = datum_bool(!e->negate);
            return NULL;
        }
    }
    return NULL;
}

static struct status *eval_any_array(struct eval_ctx *ctx, const struct expr *e,
                                     const struct batch *in, const int *sel, int nsel,
                                     struct datum *out)
{
    struct operand left, array;
    TRY(operand_eval(ctx, e->args[0], in, sel, nsel, &left));
    TRY(operand_eval(ctx, e->args[1], in, sel, nsel, &array));
    type_oid element = type_find(e->args[1]->type)->element;
    struct value_set set;
    bool use_set = false;
    struct datum *elems = NULL;
    int n = 0;
    const struct datum *last = NULL;
    struct status *st = NULL;
    const struct expr *saved = ctx->call;
    ctx->call = e;
    for (int k = 0; k < nsel && st == NULL; k++) {
        const struct datum *a = operand_at(&array, k), *x = operand_at(&left, k);
        if (a->is_null) {
            out[k] = DATUM_NULL;
            continue;
        }
        if (a != last) {
            st = arena_reserve(ctx->arena, sizeof(*elems) * (size_t)array_count(a));
            if (st != NULL) {
                break;
            }
            elems = array_elements(ctx->arena, a, &n);
            last = a;
            use_set = false;
            if (array.is_single && nsel > 1 && n >= SET_MIN && !e->negate &&
                element == e->args[0]->type && is_equality(e->func)) {
                st = set_init(ctx, &set, element, n);
                for (int i = 0; i < n && st == NULL; i++) {
                    set_add(&set, &elems[i]);
                }
                use_set = true;
            }
            if (st != NULL) {
                break;
            }
        }
        if (use_set) {
            out[k] = set_test(&set, x);
        } else {
            st = any_row(ctx, e, x, elems, n, &out[k]);
        }
    }
    ctx->call = saved;
    return st;
}

static struct status *eval_array(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                                 const int *sel, int nsel, struct datum *out)
{
    struct operand *ops;
    struct datum *elems;
    TRY(scratch(ctx, sizeof(*ops) * (size_t)e->nargs, &ops));
    TRY(scratch(ctx, sizeof(*elems) * (size_t)e->nargs, &elems));
    type_oid element = type_find(e->type)->element;
    bool is_inline = type_find(element)->is_inline;
    for (int i = 0; i < e->nargs; i++) {
        TRY(operand_eval(ctx, e->args[i], in, sel, nsel, &ops[i]));
    }
    for (int k = 0; k < nsel; k++) {
        size_t size = 16;
        for (int i = 0; i < e->nargs; i++) {
            elems[i] = *operand_at(&ops[i], k);
            size += 8u + (elems[i].is_null || is_inline ? 0 : elems[i].len);
        }
        TRY(arena_reserve(ctx->arena, size * 2));
        out[k] = array_build(ctx->arena, element, elems, e->nargs);
    }
    return NULL;
}

static struct status *eval_subplan(struct eval_ctx *ctx, const struct expr *e,
                                   const struct batch *in, const int *sel, int nsel,
                                   struct datum *out)
{
    if (ctx->subplan == NULL) {
        return status_new(UNSUPPORTED, "cannot use subquery in this place");
    }
    struct operand *ops;
    struct datum *outer;
    TRY(scratch(ctx, sizeof(*ops) * (size_t)e->nargs, &ops));
    TRY(scratch(ctx, sizeof(*outer) * (size_t)e->nargs, &outer));
    for (int i = 0; i < e->nargs; i++) {
        TRY(operand_eval(ctx, e->args[i], in, sel, nsel, &ops[i]));
    }
    for (int k = 0; k < nsel; k++) {
        for (int i = 0; i < e->nargs; i++) {
            outer[i] = *operand_at(&ops[i], k);
        }
        TRY(ctx->subplan(ctx->ctx, e, outer, &out[k]));
    }
    return NULL;
}

static struct status *eval_unary(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                                 const int *sel, int nsel, struct datum *out)
{
    struct operand o;
    TRY(operand_eval(ctx, e->args[0], in, sel, nsel, &o));
    for (int k = 0; k < nsel; k++) {
        const struct datum *d = operand_at(&o, k);
        switch (e->kind) {
        case EXPR_NOT:
            out[k] = d->is_null ? DATUM_NULL : datum_bool(d->i == 0);
            break;
        case EXPR_IS_NULL:
            out[k] = datum_bool(d->is_null != e->negate);
            break;
        default: {
            bool is = e->index == 2 ? d->is_null : !d->is_null && (d->i != 0) == (e->index == 0);
            out[k] = datum_bool(is != e->negate);
            break;
        }
        }
    }
    return NULL;
}

static struct status *eval_distinct(struct eval_ctx *ctx, const struct expr *e,
                                    const struct batch *in, const int *sel, int nsel,
                                    struct datum *out)
{
    struct operand l, r;
    TRY(operand_eval(ctx, e->args[0], in, sel, nsel, &l));
    TRY(operand_eval(ctx, e->args[1], in, sel, nsel, &r));
    for (int k = 0; k < nsel; k++) {
        const struct datum *x = operand_at(&l, k), *y = operand_at(&r, k);
        bool differs = x->is_null || y->is_null ? x->is_null != y->is_null
                                                : type_compare(e->args[0]->type, x, y) != 0;
        out[k] = datum_bool(differs != e->negate);
    }
    return NULL;
}

struct status *expr_eval(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                         const int *sel, int nsel, struct datum *out)
{
    if (nsel == 0) {
        return NULL;
    }
    if (fiber_stack_left() < (size_t)12 << 10) {
        return status_hint(status_sql(LIMIT, "54001", "stack depth limit exceeded"),
                           "The expression is nested too deeply.");
    }
    switch (e->kind) {
    case EXPR_CONST:
    case EXPR_PARAM:
    case EXPR_COLUMN: {
        struct operand o;
        TRY(operand_eval(ctx, e, in, sel, nsel, &o));
        for (int k = 0; k < nsel; k++) {
            out[k] = *operand_at(&o, k);
        }
        return NULL;
    }
    case EXPR_CALL:
        return eval_call(ctx, e, in, sel, nsel, out);
    case EXPR_AND:
    case EXPR_OR:
        return eval_and_or(ctx, e, in, sel, nsel, out);
    case EXPR_NOT:
    case EXPR_IS_NULL:
    case EXPR_BOOL_TEST:
        return eval_unary(ctx, e, in, sel, nsel, out);
    case EXPR_DISTINCT:
        return eval_distinct(ctx, e, in, sel, nsel, out);
    case EXPR_CASE:
        return eval_case(ctx, e, in, sel, nsel, out);
    case EXPR_COALESCE:
        return eval_coalesce(ctx, e, in, sel, nsel, out);
    case EXPR_GREATEST:
        return eval_greatest(ctx, e, in, sel, nsel, out);
    case EXPR_IN:
        return eval_in(ctx, e, in, sel, nsel, out);
    case EXPR_ANY_ARRAY:
        return eval_any_array(ctx, e, in, sel, nsel, out);
    case EXPR_ARRAY:
        return eval_array(ctx, e, in, sel, nsel, out);
    case EXPR_SUBPLAN:
        return eval_subplan(ctx, e, in, sel, nsel, out);
    }
    return status_new(INTERNAL, "unknown kind of expression %d", (int)e->kind);
}

struct status *expr_eval_const(struct eval_ctx *ctx, const struct expr *e, struct datum *out)
{
    return expr_eval(ctx, e, NULL, NULL, 1, out);
}

struct status *expr_filter(struct eval_ctx *ctx, const struct expr *e, const struct batch *in,
                           int *out_sel, int *out_n)
{
    int n = in->nrows;
    for (int k = 0; k < n; k++) {
        out_sel[k] = k;
    }
    /* The terms of an AND narrow one after the other: NULL and false are the same here. */
    int terms = e->kind == EXPR_AND ? e->nargs : 1;
    struct datum *d;
    TRY(scratch(ctx, sizeof(*d) * (size_t)(n > 0 ? n : 1), &d));
    for (int i = 0; i < terms && n > 0; i++) {
        const struct expr *term = e->kind == EXPR_AND ? e->args[i] : e;
        TRY(expr_eval(ctx, term, in, i == 0 ? NULL : out_sel, n, d));
        int left = 0;
        for (int k = 0; k < n; k++) {
            if (!d[k].is_null && d[k].i != 0) {
                out_sel[left++] = out_sel[k];
            }
        }
        n = left;
    }
    *out_n = n;
    return NULL;
}

type_oid func_call_arg_type(const struct eval_ctx *ctx, int i)
{
    ASSERT(ctx->call != NULL && i < ctx->call->nargs);
    return ctx->call->args[i]->type;
}
