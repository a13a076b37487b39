/*
 * Array functions and the functions that give sets of rows (their scalar form gives the rows as an
 * array). Arrays have one dimension and start at 1 (array.h).
 */
#include "funcs.h"

#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"

#include <inttypes.h>

static struct status *elements(struct eval_ctx *ctx, const struct datum *array, int extra,
                               struct datum **out, int *out_count)
{
    int count = array->is_null ? 0 : array_count(array);
    TRY(arena_reserve(ctx->arena, sizeof(struct datum) * (size_t)(count + extra)));
    struct datum *e = ARENA_ARRAY(ctx->arena, struct datum, (size_t)(count + extra + 1));
    if (!array->is_null) {
        struct array_iter it;
        array_iter_init(&it, array);
        for (int i = 0; i < count && array_next(&it, &e[i]); i++) {
        }
    }
    *out = e;
    *out_count = count;
    return NULL;
}

/* array_build() after a look at the budget. */
static struct status *build(struct eval_ctx *ctx, type_oid element, const struct datum *e, int n,
                            struct datum *out)
{
    if (n > ARRAY_ELEMENTS_MAX) {
        return status_sql(LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                          ARRAY_ELEMENTS_MAX);
    }
    bool is_inline = type_find(element)->is_inline;
    size_t size = 64;
    for (int i = 0; i < n; i++) {
        size += 10u + (is_inline || e[i].is_null ? 0 : e[i].len);
    }
    TRY(arena_reserve(ctx->arena, size));
    *out = array_build(ctx->arena, element, e, n);
    return NULL;
}

static type_oid result_element(const struct eval_ctx *ctx)
{
    const struct type_info *ti = type_find(ctx->call->type);
    return ti->element != 0 ? ti->element : ti->oid;
}

/* Subscript of the first element: int2vector and oidvector count from 0. */
static int first_subscript(const struct eval_ctx *ctx)
{
    type_oid t = func_call_arg_type(ctx, 0);
    return t == TYPE_INT2VECTOR || t == TYPE_OIDVECTOR ? 0 : 1;
}

FUNC(fn_cardinality)
{
    *out = datum_int(array_count(&args[0]));
    return NULL;
}

FUNC(fn_array_length)
{
    int n = array_count(&args[0]);
    *out = args[1].i == 1 && n > 0 ? datum_int(n) : DATUM_NULL;
    return NULL;
}

FUNC(fn_array_upper)
{
    TRY(fn_array_length(ctx, args, nargs, out));
    if (!out->is_null) {
        out->i += first_subscript(ctx) - 1;
    }
    return NULL;
}

FUNC(fn_array_lower)
{
    *out =
        args[1].i == 1 && array_count(&args[0]) > 0 ? datum_int(first_subscript(ctx)) : DATUM_NULL;
    return NULL;
}

FUNC(fn_array_ndims)
{
    *out = array_count(&args[0]) > 0 ? datum_int(1) : DATUM_NULL;
    return NULL;
}

FUNC(fn_array_dims)
{
    int n = array_count(&args[0]);
    if (n == 0) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct buf b = {0};
    buf_printf(&b, "[1:%d]", n);
    return func_buf(ctx, &b, out);
}

FUNC(fn_array_subscript)
{
    *out = array_get(&args[0], args[1].i + 1 - first_subscript(ctx));
    return NULL;
}

FUNC(fn_array_slice)
{
    TRY(arena_reserve(ctx->arena, args[0].len));
    *out = array_slice(ctx->arena, &args[0], args[1].i, args[2].i);
    return NULL;
}

FUNC(fn_array_append)
{
    struct datum *e;
    int n;
    TRY(elements(ctx, &args[0], 1, &e, &n));
    e[n] = args[1];
    return build(ctx, result_element(ctx), e, n + 1, out);
}

FUNC(fn_array_prepend)
{
    struct datum *e;
    int n;
    TRY(elements(ctx, &args[1], 1, &e, &n));
    memmove(e + 1, e, sizeof(*e) * (size_t)n);
    e[0] = args[0];
    return build(ctx, result_element(ctx), e, n + 1, out);
}

FUNC(fn_array_cat)
{
    if (args[0].is_null || args[1].is_null) {
        *out = args[0].is_null ? args[1] : args[0];
        return NULL;
    }
    TRY(arena_reserve(ctx->arena, (size_t)args[0].len + args[1].len + 64));
    return array_concat(ctx->arena, &args[0], &args[1], out);
}

static bool same(type_oid type, const struct datum *x, const struct datum *y)
{
    if (x->is_null || y->is_null) {
        return x->is_null && y->is_null;
    }
    return type_compare(type, x, y) == 0;
}

FUNC(fn_array_remove)
{
    struct datum *e;
    int n, kept = 0;
    if (args[0].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    TRY(elements(ctx, &args[0], 0, &e, &n));
    type_oid type = result_element(ctx);
    for (int i = 0; i < n; i++) {
        if (!same(type, &e[i], &args[1])) {
            e[kept++] = e[i];
        }
    }
    return build(ctx, type, e, kept, out);
}

FUNC(fn_array_replace)
{
    struct datum *e;
    int n;
    if (args[0].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    TRY(elements(ctx, &args[0], 0, &e, &n));
    type_oid type = result_element(ctx);
    for (int i = 0; i < n; i++) {
        if (same(type, &e[i], &args[1])) {
            e[i] = args[2];
        }
    }
    return build(ctx, type, e, n, out);
}

FUNC(fn_array_position)
{
    *out = DATUM_NULL;
    if (args[0].is_null) {
        return NULL;
    }
    if (nargs > 2 && args[2].is_null) {
        return status_sql(INVALID, "22004", "initial position must not be null");
    }
    type_oid type = array_element_type(&args[0]);
    struct array_iter it;
    struct datum d;
    array_iter_init(&it, &args[0]);
    for (int64_t i = 1; array_next(&it, &d); i++) {
        if ((nargs <= 2 || i >= args[2].i) && same(type, &d, &args[1])) {
            *out = datum_int(i);
            return NULL;
        }
    }
    return NULL;
}

FUNC(fn_array_positions)
{
    struct datum *e;
    int n, hits = 0;
    if (args[0].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    TRY(elements(ctx, &args[0], 0, &e, &n));
    type_oid type = array_element_type(&args[0]);
    for (int i = 0; i < n; i++) {
        if (same(type, &e[i], &args[1])) {
            e[hits++] = datum_int(i + 1);
        }
    }
    return build(ctx, TYPE_INT4, e, hits, out);
}

FUNC(fn_trim_array)
{
    int n = array_count(&args[0]);
    if (args[1].i < 0 || args[1].i > n) {
        return status_sql(INVALID, "2202E", "number of elements to trim must be between 0 and %d",
                          n);
    }
    TRY(arena_reserve(ctx->arena, args[0].len));
    *out = array_slice(ctx->arena, &args[0], 1, n - args[1].i);
    return NULL;
}

FUNC(fn_array_fill)
{
    if (args[1].is_null || (nargs > 2 && args[2].is_null)) {
        return status_sql(INVALID, "22004", "dimension array or low bound array cannot be null");
    }
    struct datum dim = array_get(&args[1], 1), low = datum_int(1);
    if (array_count(&args[1]) == 0) {
        return build(ctx, result_element(ctx), NULL, 0, out);
    }
    if (nargs > 2) {
        low = array_get(&args[2], 1);
    }
    if (array_count(&args[1]) > 1 || low.is_null || low.i != 1) {
        return status_hint(status_new(UNSUPPORTED, "arrays have one dimension that starts at 1"),
                           "Store the dimensions in columns of their own.");
    }
    if (dim.is_null) {
        return status_sql(INVALID, "22004", "dimension values cannot be null");
    }
    if (dim.i < 0 || dim.i > ARRAY_ELEMENTS_MAX) {
        return status_sql(LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                          ARRAY_ELEMENTS_MAX);
    }
    struct datum *e;
    TRY(arena_reserve(ctx->arena, sizeof(*e) * (size_t)dim.i));
    e = ARENA_ARRAY(ctx->arena, struct datum, (size_t)dim.i + 1);
    for (int64_t i = 0; i < dim.i; i++) {
        e[i] = args[0];
    }
    return build(ctx, result_element(ctx), e, (int)dim.i, out);
}

/* How many elements of x are in y; NULLs are in nothing. */
static struct status *count_common(struct eval_ctx *ctx, const struct datum *x,
                                   const struct datum *y, int *out_common, int *out_of)
{
    struct datum *a, *b;
    int n, m, hits = 0;
    TRY(elements(ctx, x, 0, &a, &n));
    TRY(elements(ctx, y, 0, &b, &m));
    type_oid type = array_element_type(x);
    for (int i = 0; i < n; i++) {
        bool hit = false;
        for (int j = 0; j < m && !hit && !a[i].is_null; j++) {
            hit = !b[j].is_null && type_compare(type, &a[i], &b[j]) == 0;
        }
        hits += hit;
    }
    *out_common = hits;
    *out_of = n;
    return NULL;
}

FUNC(fn_arrayoverlap)
{
    int common, n;
    TRY(count_common(ctx, &args[0], &args[1], &common, &n));
    *out = datum_bool(common > 0);
    return NULL;
}

FUNC(fn_arraycontains)
{
    int common, n;
    TRY(count_common(ctx, &args[1], &args[0], &common, &n));
    *out = datum_bool(common == n);
    return NULL;
}

FUNC(fn_arraycontained)
{
    int common, n;
    TRY(count_common(ctx, &args[0], &args[1], &common, &n));
    *out = datum_bool(common == n);
    return NULL;
}

FUNC(fn_array_to_string)
{
    if (args[0].is_null || args[1].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    type_oid type = array_element_type(&args[0]);
    struct array_iter it;
    struct datum d;
    struct buf b = {0};
    bool first = true;
    array_iter_init(&it, &args[0]);
    while (array_next(&it, &d)) {
        if (d.is_null && (nargs < 3 || args[2].is_null)) {
            continue;
        }
        if (!first) {
            buf_put_slice(&b, datum_slice(&args[1]));
        }
        if (d.is_null) {
            buf_put_slice(&b, datum_slice(&args[2]));
        } else {
            type_output(type, &d, &b);
        }
        first = false;
    }
    return func_buf(ctx, &b, out);
}

struct pieces {
    struct datum *e;
    size_t n, cap;
};

static struct status *piece_add(struct eval_ctx *ctx, struct pieces *p, struct slice s,
                                const struct datum *null_text)
{
    if (p->n == p->cap) {
        size_t cap = p->cap == 0 ? 16 : p->cap * 2;
        TRY(arena_reserve(ctx->arena, cap * sizeof(*p->e)));
        p->e = p->cap == 0
                   ? arena_alloc(ctx->arena, cap * sizeof(*p->e))
                   : arena_grow(ctx->arena, p->e, p->cap * sizeof(*p->e), cap * sizeof(*p->e));
        p->cap = cap;
    }
    bool is_null = null_text != NULL && !null_text->is_null && slice_eq(s, datum_slice(null_text));
    p->e[p->n++] = is_null ? DATUM_NULL : datum_bytes(s);
    return NULL;
}

/* Also string_to_table(), whose rows are the elements. */
FUNC(fn_string_to_array)
{
    if (args[0].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct slice s = datum_slice(&args[0]), sep = datum_slice(&args[1]);
    const struct datum *null_text = nargs > 2 ? &args[2] : NULL;
    struct pieces p = {0};
    if (s.len == 0) {
        return build(ctx, TYPE_TEXT, NULL, 0, out);
    }
    if (args[1].is_null) { /* character by character */
        for (size_t i = 0; i < s.len;) {
            size_t n = utf8_char_len(s.data + i, s.len - i);
            TRY(piece_add(ctx, &p, slice_make(s.data + i, n), null_text));
            i += n;
        }
    } else if (sep.len == 0) {
        TRY(piece_add(ctx, &p, s, null_text));
    } else {
        const uint8_t *from = s.data, *end = s.data + s.len;
        for (;;) {
            const uint8_t *hit = memmem(from, (size_t)(end - from), sep.data, sep.len);
            const uint8_t *until = hit != NULL ? hit : end;
            TRY(piece_add(ctx, &p, slice_make(from, (size_t)(until - from)), null_text));
            if (hit == NULL) {
                break;
            }
            from = hit + sep.len;
        }
    }
    if (p.n > ARRAY_ELEMENTS_MAX) {
        return status_sql(LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                          ARRAY_ELEMENTS_MAX);
    }
    return build(ctx, TYPE_TEXT, p.e, (int)p.n, out);
}

/* There are no partitions. */
FUNC(fn_no_relations)
{
    return build(ctx, TYPE_REGCLASS, NULL, 0, out);
}

FUNC(fn_generate_subscripts)
{
    int n = args[1].i == 1 ? array_count(&args[0]) : 0;
    bool reverse = nargs > 2 && args[2].i != 0;
    TRY(arena_reserve(ctx->arena, sizeof(struct datum) * (size_t)n));
    struct datum *e = ARENA_ARRAY(ctx->arena, struct datum, (size_t)n + 1);
    for (int i = 0; i < n; i++) {
        e[i] = datum_int((reverse ? n - 1 - i : i) + first_subscript(ctx));
    }
    return build(ctx, TYPE_INT4, e, n, out);
}

static struct status *series_add(struct eval_ctx *ctx, struct pieces *p, struct datum d)
{
    if (p->n >= ARRAY_ELEMENTS_MAX) {
        return status_sql(LIMIT, "54000", "generate_series() of more than %d rows in this place",
                          ARRAY_ELEMENTS_MAX);
    }
    TRY(arena_slack(ctx->arena)); /* the next value is made without asking */
    TRY(piece_add(ctx, p, slice_make("", 0), NULL));
    p->e[p->n - 1] = d;
    return NULL;
}

static struct status *zero_step(void)
{
    return status_sql(INVALID, "22023", "step size cannot equal zero");
}

static struct status *series_int(struct eval_ctx *ctx, const struct datum *args, int nargs,
                                 struct pieces *p)
{
    int64_t step = nargs > 2 ? args[2].i : 1, v = args[0].i;
    if (step == 0) {
        return zero_step();
    }
    while (step > 0 ? v <= args[1].i : v >= args[1].i) {
        TRY(series_add(ctx, p, datum_int(v)));
        if (__builtin_add_overflow(v, step, &v)) {
            break;
        }
    }
    return NULL;
}

static struct status *series_numeric(struct eval_ctx *ctx, const struct datum *args, int nargs,
                                     struct pieces *p)
{
    struct datum v = args[0], step = nargs > 2 ? args[2] : numeric_from_int8(ctx->arena, 1);
    for (int i = 0; i < nargs; i++) {
        if (numeric_is_nan(&args[i]) || numeric_is_inf(&args[i])) {
            static const char *const names[] = {"start", "stop", "step size"};
            return status_sql(INVALID, "22023", "%s %s cannot be %s", names[i],
                              i < 2 ? "value" : "", numeric_is_nan(&args[i]) ? "NaN" : "infinity");
        }
    }
    int sign = numeric_sign(&step);
    if (sign == 0) {
        return zero_step();
    }
    while (numeric_compare(&v, &args[1]) * sign <= 0) {
        TRY(series_add(ctx, p, v));
        struct datum next;
        TRY(numeric_add(ctx->arena, &v, &step, &next));
        v = next;
    }
    return NULL;
}

static struct status *series_timestamp(struct eval_ctx *ctx, const struct datum *args,
                                       struct pieces *p)
{
    struct interval step = interval_get(&args[2]), none = {0};
    int sign = interval_compare(&step, &none);
    int64_t v = args[0].i;
    if (sign == 0) {
        return zero_step();
    }
    while (sign > 0 ? v <= args[1].i : v >= args[1].i) {
        TRY(series_add(ctx, p, datum_int(v)));
        if (!timestamp_is_finite(v)) {
            break;
        }
        TRY(timestamp_add(v, &step, &v));
    }
    return NULL;
}

FUNC(fn_generate_series)
{
    struct pieces p = {0};
    type_oid type = func_call_arg_type(ctx, 0);
    switch (type) {
    case TYPE_INT4:
    case TYPE_INT8:
        TRY(series_int(ctx, args, nargs, &p));
        break;
    case TYPE_NUMERIC:
        TRY(series_numeric(ctx, args, nargs, &p));
        break;
    default:
        TRY(series_timestamp(ctx, args, &p));
        break;
    }
    return build(ctx, type, p.e, (int)p.n, out);
}
