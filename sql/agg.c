/*
 * Aggregates. A state is a plain struct in the arena; save() writes what merge() reads on another
 * node, so that complete = merged partials for any split of the rows (floats: up to rounding;
 * string_agg and array_agg: in the order of the merges).
 *
 * Sums of integers run in 128 bits, of numerics in struct numeric_acc. Variances of integers and
 * numerics are exact (count, sum, sum of squares); of floats they follow Youngs and Cramer.
 */
#include "funcs.h"

#include "base/check.h"
#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"

#include <math.h>

void *agg_state(struct arena *a, const struct agg_call *call)
{
    const struct agg_ops *ops = call->func->agg;
    void *state = arena_zalloc(a, ops->state_size);
    if (ops->init != NULL) {
        ops->init(a, state);
    }
    if (ops->bind != NULL) {
        type_oid types[FUNC_ARGS_MAX];
        ASSERT(call->nargs <= FUNC_ARGS_MAX);
        for (int i = 0; i < call->nargs; i++) {
            types[i] = call->args[i]->type;
        }
        ops->bind(state, types, call->nargs);
    }
    return state;
}

static void init_none(struct arena *a, void *state)
{
    (void)a;
    (void)state;
}

static struct status *damaged(void)
{
    return status_new(CORRUPT, "partial aggregate: truncated or damaged");
}

static struct status *reader_end(const struct reader *r)
{
    return reader_finish(r, "partial aggregate");
}

#define AGG_ADD(name)                                                                              \
    static struct status *name(UNUSED struct arena *a, void *state, const struct datum *args,      \
                               UNUSED int nargs)
#define AGG_MERGE(name)                                                                            \
    static struct status *name(UNUSED struct arena *a, void *state, struct slice partial)
#define AGG_SAVE(name) static void name(const void *state, struct buf *out)
#define AGG_FINISH(name)                                                                           \
    static struct status *name(UNUSED struct arena *a, const void *state, struct datum *out)

/* ---- count ---- */

AGG_ADD(count_star_add)
{
    (void)args;
    (*(int64_t *)state)++;
    return NULL;
}

AGG_ADD(count_add)
{
    *(int64_t *)state += !args[0].is_null;
    return NULL;
}

AGG_MERGE(count_merge)
{
    struct reader r;
    reader_init(&r, partial);
    *(int64_t *)state += (int64_t)(read_u64(&r) & INT64_MAX);
    return reader_end(&r);
}

AGG_SAVE(count_save)
{
    buf_put_u64(out, (uint64_t) * (const int64_t *)state);
}

AGG_FINISH(count_finish)
{
    *out = datum_int(*(const int64_t *)state);
    return NULL;
}

const struct agg_ops agg_count_star = {
    sizeof(int64_t), init_none, count_star_add, count_merge, count_save, count_finish, NULL};
const struct agg_ops agg_count = {sizeof(int64_t), init_none,    count_add, count_merge,
                                  count_save,      count_finish, NULL};

/* ---- sums of integers ---- */

struct int_sum {
    __int128 sum;
    int64_t n;
};

AGG_ADD(int_sum_add)
{
    struct int_sum *s = state;
    if (!args[0].is_null) {
        s->sum += args[0].i; /* 2^64 rows of 64 bits: cannot overflow */
        s->n++;
    }
    return NULL;
}

static void put_i128(struct buf *out, __int128 v)
{
    buf_put_u64(out, (uint64_t)((unsigned __int128)v >> 64));
    buf_put_u64(out, (uint64_t)v);
}

static __int128 read_i128(struct reader *r)
{
    unsigned __int128 high = read_u64(r);
    return (__int128)(high << 64 | read_u64(r));
}

AGG_MERGE(int_sum_merge)
{
    struct int_sum *s = state;
    struct reader r;
    reader_init(&r, partial);
    int64_t n = (int64_t)(read_u64(&r) & INT64_MAX);
    if (__builtin_add_overflow(s->sum, read_i128(&r), &s->sum) ||
        __builtin_add_overflow(s->n, n, &s->n)) {
        return damaged();
    }
    return reader_end(&r);
}

AGG_SAVE(int_sum_save)
{
    const struct int_sum *s = state;
    buf_put_u64(out, (uint64_t)s->n);
    put_i128(out, s->sum);
}

AGG_FINISH(sum_i4_finish)
{
    const struct int_sum *s = state;
    if (s->sum > INT64_MAX || s->sum < INT64_MIN) {
        return status_sql(INVALID, "22003", "bigint out of range");
    }
    *out = s->n == 0 ? DATUM_NULL : datum_int((int64_t)s->sum);
    return NULL;
}

AGG_FINISH(sum_i8_finish)
{
    const struct int_sum *s = state;
    *out = s->n == 0 ? DATUM_NULL : numeric_from_int128(a, s->sum, 0);
    return NULL;
}

AGG_FINISH(avg_i_finish)
{
    const struct int_sum *s = state;
    if (s->n == 0) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct datum sum = numeric_from_int128(a, s->sum, 0), n = numeric_from_int8(a, s->n);
    return numeric_div(a, &sum, &n, out);
}

#define INT_SUM(name, finish)                                                                      \
    const struct agg_ops name = {sizeof(struct int_sum), init_none, int_sum_add, int_sum_merge,    \
                                 int_sum_save,           finish,    NULL};
INT_SUM(agg_sum_i4, sum_i4_finish)
INT_SUM(agg_sum_i8, sum_i8_finish)
INT_SUM(agg_avg_i, avg_i_finish)

/* ---- sums of numerics ---- */

struct num_sum {
    struct numeric_acc acc;
    int64_t n;
};

AGG_ADD(num_sum_add)
{
    struct num_sum *s = state;
    if (!args[0].is_null) {
        numeric_acc_add(a, &s->acc, &args[0]);
        s->n++;
    }
    return NULL;
}

AGG_MERGE(num_sum_merge)
{
    struct num_sum *s = state;
    struct numeric_acc other;
    struct reader r;
    reader_init(&r, partial);
    int64_t n = (int64_t)(read_u64(&r) & INT64_MAX);
    TRY(numeric_acc_load(a, &r, &other));
    TRY(reader_end(&r));
    if (__builtin_add_overflow(s->n, n, &s->n)) {
        return damaged();
    }
    numeric_acc_merge(a, &s->acc, &other);
    return NULL;
}

AGG_SAVE(num_sum_save)
{
    const struct num_sum *s = state;
    buf_put_u64(out, (uint64_t)s->n);
    numeric_acc_save(&s->acc, out);
}

AGG_FINISH(num_sum_finish)
{
    const struct num_sum *s = state;
    *out = s->n == 0 ? DATUM_NULL : numeric_acc_sum(a, &s->acc);
    return NULL;
}

AGG_FINISH(num_avg_finish)
{
    const struct num_sum *s = state;
    if (s->n == 0) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct datum sum = numeric_acc_sum(a, &s->acc), n = numeric_from_int8(a, s->n);
    return numeric_div(a, &sum, &n, out);
}

const struct agg_ops agg_sum_num = {
    sizeof(struct num_sum), init_none,      num_sum_add, num_sum_merge,
    num_sum_save,           num_sum_finish, NULL};
const struct agg_ops agg_avg_num = {
    sizeof(struct num_sum), init_none,      num_sum_add, num_sum_merge,
    num_sum_save,           num_avg_finish, NULL};

/* ---- floats: count, sum, and sum of squared deviations ---- */

struct float_sum {
    double n, sum, sxx;
    double plain; /* the sum as + makes it: what sum() answers */
    bool is_f4;
};

static struct status *float_sum_one(struct float_sum *s, double x)
{
    double before = s->n;
    s->n += 1;
    double plain = s->is_f4 ? (double)((float)s->plain + (float)x) : s->plain + x;
    if (isinf(plain) && !isinf(s->plain) && !isinf(x)) {
        return status_sql(INVALID, "22003", "value out of range: overflow");
    }
    s->plain = plain;
    s->sum += x;
    if (before > 0) {
        double t = x * s->n - s->sum;
        s->sxx += t * t / (s->n * before);
        if ((isinf(s->sum) || isinf(s->sxx)) && !isinf(x)) {
            s->sxx = isinf(s->sum) ? NAN : s->sxx;
        }
        if (isinf(x) || isnan(x)) {
            s->sxx = NAN;
        }
    } else if (isinf(x) || isnan(x)) {
        s->sxx = NAN;
    }
    return NULL;
}

AGG_ADD(float_sum_add)
{
    return args[0].is_null ? NULL : float_sum_one(state, args[0].f);
}

static void put_double(struct buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    buf_put_u64(out, bits);
}

static double read_double(struct reader *r)
{
    uint64_t bits = read_u64(r);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

AGG_MERGE(float_sum_merge)
{
    struct float_sum *s = state, o = {0};
    struct reader r;
    reader_init(&r, partial);
    o.n = read_double(&r);
    o.sum = read_double(&r);
    o.sxx = read_double(&r);
    o.plain = read_double(&r);
    TRY(reader_end(&r));
    if (!(o.n >= 0)) {
        return damaged();
    }
    if (o.n == 0) {
        return NULL;
    }
    if (s->n == 0) {
        o.is_f4 = s->is_f4;
        *s = o;
        return NULL;
    }
    double n = s->n + o.n, t = s->sum / s->n - o.sum / o.n;
    s->sxx = s->sxx + o.sxx + s->n * o.n * t * t / n;
    s->sum += o.sum;
    s->n = n;
    double plain = s->is_f4 ? (double)((float)s->plain + (float)o.plain) : s->plain + o.plain;
    if (isinf(plain) && !isinf(s->plain) && !isinf(o.plain)) {
        return status_sql(INVALID, "22003", "value out of range: overflow");
    }
    s->plain = plain;
    return NULL;
}

AGG_SAVE(float_sum_save)
{
    const struct float_sum *s = state;
    put_double(out, s->n);
    put_double(out, s->sum);
    put_double(out, s->sxx);
    put_double(out, s->plain);
}

static void float_sum_init_f4(struct arena *a, void *state)
{
    (void)a;
    ((struct float_sum *)state)->is_f4 = true;
}

AGG_FINISH(float_sum_finish)
{
    const struct float_sum *s = state;
    *out = s->n == 0 ? DATUM_NULL : datum_float(s->plain);
    return NULL;
}

AGG_FINISH(float_avg_finish)
{
    const struct float_sum *s = state;
    *out = s->n == 0 ? DATUM_NULL : datum_float(s->sum / s->n);
    return NULL;
}

AGG_FINISH(float_var_pop_finish)
{
    const struct float_sum *s = state;
    *out = s->n == 0 ? DATUM_NULL : datum_float(s->sxx / s->n);
    return NULL;
}

AGG_FINISH(float_var_samp_finish)
{
    const struct float_sum *s = state;
    *out = s->n <= 1 ? DATUM_NULL : datum_float(s->sxx / (s->n - 1));
    return NULL;
}

AGG_FINISH(float_stddev_pop_finish)
{
    const struct float_sum *s = state;
    *out = s->n == 0 ? DATUM_NULL : datum_float(sqrt(s->sxx / s->n));
    return NULL;
}

AGG_FINISH(float_stddev_samp_finish)
{
    const struct float_sum *s = state;
    *out = s->n <= 1 ? DATUM_NULL : datum_float(sqrt(s->sxx / (s->n - 1)));
    return NULL;
}

#define FLOAT_SUM(name, init, finish)                                                              \
    const struct agg_ops name = {sizeof(struct float_sum), init,   float_sum_add, float_sum_merge, \
                                 float_sum_save,           finish, NULL};
FLOAT_SUM(agg_sum_f4, float_sum_init_f4, float_sum_finish)
FLOAT_SUM(agg_sum_f8, init_none, float_sum_finish)
FLOAT_SUM(agg_avg_f, init_none, float_avg_finish)
FLOAT_SUM(agg_var_pop_f, init_none, float_var_pop_finish)
FLOAT_SUM(agg_var_samp_f, init_none, float_var_samp_finish)
FLOAT_SUM(agg_stddev_pop_f, init_none, float_stddev_pop_finish)
FLOAT_SUM(agg_stddev_samp_f, init_none, float_stddev_samp_finish)

/* ---- exact variances of integers and numerics ---- */

struct num_var {
    struct numeric_acc sum, squares;
    int64_t n;
    bool has_special; /* NaN or an infinity: the answer is NaN */
};

static struct status *num_var_one(struct arena *a, struct num_var *s, const struct datum *d)
{
    s->n++;
    if (numeric_is_nan(d) || numeric_is_inf(d)) {
        s->has_special = true;
        return NULL;
    }
    struct datum square;
    TRY(arena_reserve(a, (size_t)d->len * 2 + 64));
    TRY(numeric_mul(a, d, d, &square));
    numeric_acc_add(a, &s->sum, d);
    numeric_acc_add(a, &s->squares, &square);
    return NULL;
}

AGG_ADD(num_var_add)
{
    return args[0].is_null ? NULL : num_var_one(a, state, &args[0]);
}

AGG_ADD(int_var_add)
{
    struct num_var *s = state;
    if (args[0].is_null) {
        return NULL;
    }
    __int128 x = args[0].i, square = x * x;
    s->n++;
    /* The accumulators' own fast path, without a numeric per row. */
    __int128 sum, squares;
    if (s->sum.scale == 0 && s->squares.scale == 0 &&
        !__builtin_add_overflow(s->sum.small, x, &sum) &&
        !__builtin_add_overflow(s->squares.small, square, &squares)) {
        s->sum.small = sum;
        s->squares.small = squares;
        return NULL;
    }
    TRY(arena_reserve(a, 128));
    struct datum d = numeric_from_int128(a, x, 0), sq = numeric_from_int128(a, square, 0);
    numeric_acc_add(a, &s->sum, &d);
    numeric_acc_add(a, &s->squares, &sq);
    return NULL;
}

AGG_MERGE(num_var_merge)
{
    struct num_var *s = state;
    struct numeric_acc sum, squares;
    struct reader r;
    reader_init(&r, partial);
    int64_t n = (int64_t)(read_u64(&r) & INT64_MAX);
    bool special = read_u8(&r) != 0;
    TRY(numeric_acc_load(a, &r, &sum));
    TRY(numeric_acc_load(a, &r, &squares));
    TRY(reader_end(&r));
    if (__builtin_add_overflow(s->n, n, &s->n)) {
        return damaged();
    }
    s->has_special |= special;
    numeric_acc_merge(a, &s->sum, &sum);
    numeric_acc_merge(a, &s->squares, &squares);
    return NULL;
}

AGG_SAVE(num_var_save)
{
    const struct num_var *s = state;
    buf_put_u64(out, (uint64_t)s->n);
    buf_put_u8(out, s->has_special);
    numeric_acc_save(&s->sum, out);
    numeric_acc_save(&s->squares, out);
}

/* (n * squares - sum^2) / (n * (n - 1)), or / n^2 for the population. */
static struct status *num_var_result(struct arena *a, const struct num_var *s, bool is_sample,
                                     bool root, struct datum *out)
{
    if (s->n == 0 || (is_sample && s->n == 1)) {
        *out = DATUM_NULL;
        return NULL;
    }
    if (s->has_special) {
        *out = numeric_nan(a);
        return NULL;
    }
    struct datum n = numeric_from_int8(a, s->n), sum = numeric_acc_sum(a, &s->sum),
                 squares = numeric_acc_sum(a, &s->squares);
    struct datum x, y, above, below, by = numeric_from_int8(a, s->n - (is_sample ? 1 : 0));
    TRY(numeric_mul(a, &n, &squares, &x));
    TRY(numeric_mul(a, &sum, &sum, &y));
    TRY(numeric_sub(a, &x, &y, &above));
    if (numeric_sign(&above) <= 0) {
        *out = numeric_from_int8(a, 0);
        return NULL;
    }
    TRY(numeric_mul(a, &n, &by, &below));
    struct datum v;
    TRY(numeric_div(a, &above, &below, &v));
    if (root) {
        int scale = numeric_scale(&v);
        struct datum r;
        TRY(numeric_sqrt(a, &v, &r));
        v = numeric_round(a, &r, scale);
    }
    *out = v;
    return NULL;
}

AGG_FINISH(num_var_pop_finish)
{
    return num_var_result(a, state, false, false, out);
}

AGG_FINISH(num_var_samp_finish)
{
    return num_var_result(a, state, true, false, out);
}

AGG_FINISH(num_stddev_pop_finish)
{
    return num_var_result(a, state, false, true, out);
}

AGG_FINISH(num_stddev_samp_finish)
{
    return num_var_result(a, state, true, true, out);
}

#define NUM_VAR(name, add, finish)                                                                 \
    const struct agg_ops name = {sizeof(struct num_var), init_none, add, num_var_merge,            \
                                 num_var_save,           finish,    NULL};
NUM_VAR(agg_var_pop_i, int_var_add, num_var_pop_finish)
NUM_VAR(agg_var_samp_i, int_var_add, num_var_samp_finish)
NUM_VAR(agg_stddev_pop_i, int_var_add, num_stddev_pop_finish)
NUM_VAR(agg_stddev_samp_i, int_var_add, num_stddev_samp_finish)
NUM_VAR(agg_var_pop_num, num_var_add, num_var_pop_finish)
NUM_VAR(agg_var_samp_num, num_var_add, num_var_samp_finish)
NUM_VAR(agg_stddev_pop_num, num_var_add, num_stddev_pop_finish)
NUM_VAR(agg_stddev_samp_num, num_var_add, num_stddev_samp_finish)

/* ---- intervals ---- */

struct iv_sum {
    struct interval sum;
    int64_t n;
};

AGG_ADD(iv_sum_add)
{
    struct iv_sum *s = state;
    if (args[0].is_null) {
        return NULL;
    }
    struct interval x = interval_get(&args[0]), r;
    TRY(interval_add(&s->sum, &x, &r));
    s->sum = r;
    s->n++;
    return NULL;
}

AGG_MERGE(iv_sum_merge)
{
    struct iv_sum *s = state;
    struct reader r;
    reader_init(&r, partial);
    int64_t n = (int64_t)(read_u64(&r) & INT64_MAX);
    struct interval x = {.us = (int64_t)read_u64(&r)}, sum;
    x.days = (int32_t)read_u32(&r);
    x.months = (int32_t)read_u32(&r);
    TRY(reader_end(&r));
    if (__builtin_add_overflow(s->n, n, &s->n)) {
        return damaged();
    }
    TRY(interval_add(&s->sum, &x, &sum));
    s->sum = sum;
    return NULL;
}

AGG_SAVE(iv_sum_save)
{
    const struct iv_sum *s = state;
    buf_put_u64(out, (uint64_t)s->n);
    buf_put_u64(out, (uint64_t)s->sum.us);
    buf_put_u32(out, (uint32_t)s->sum.days);
    buf_put_u32(out, (uint32_t)s->sum.months);
}

AGG_FINISH(iv_sum_finish)
{
    const struct iv_sum *s = state;
    *out = s->n == 0 ? DATUM_NULL : interval_datum(a, &s->sum);
    return NULL;
}

AGG_FINISH(iv_avg_finish)
{
    const struct iv_sum *s = state;
    struct interval r;
    if (s->n == 0) {
        *out = DATUM_NULL;
        return NULL;
    }
    TRY(interval_div(&s->sum, (double)s->n, &r));
    *out = interval_datum(a, &r);
    return NULL;
}

const struct agg_ops agg_sum_iv = {sizeof(struct iv_sum), init_none,     iv_sum_add, iv_sum_merge,
                                   iv_sum_save,           iv_sum_finish, NULL};
const struct agg_ops agg_avg_iv = {sizeof(struct iv_sum), init_none,     iv_sum_add, iv_sum_merge,
                                   iv_sum_save,           iv_avg_finish, NULL};

/* ---- min, max ---- */

struct extreme {
    struct datum best;
    type_oid type;
    bool has;
    size_t cap; /* bytes behind best.p that may be written again */
};

static void extreme_bind(void *state, const type_oid *types, int nargs)
{
    struct extreme *s = state;
    s->type = nargs > 0 ? types[0] : 0;
}

static bool is_inline(type_oid type)
{
    const struct type_info *ti = type_find(type);
    return ti != NULL && ti->is_inline;
}

static struct status *extreme_take(struct arena *a, struct extreme *s, const struct datum *d,
                                   int sign)
{
    if (s->has && type_compare(s->type, d, &s->best) * sign <= 0) {
        return NULL;
    }
    s->has = true;
    if (is_inline(s->type)) {
        s->best = *d;
        return NULL;
    }
    uint8_t *p = (uint8_t *)(uintptr_t)s->best.p;
    if (d->len > s->cap) {
        s->cap = d->len < 32 ? 64 : (size_t)d->len * 2;
        TRY(arena_reserve(a, s->cap));
        p = arena_alloc(a, s->cap);
    }
    if (d->len > 0) {
        memcpy(p, d->p, d->len);
    }
    s->best = datum_bytes(slice_make(p, d->len));
    return NULL;
}

static void put_value(struct buf *out, type_oid type, const struct datum *d)
{
    if (is_inline(type)) {
        buf_put_u64(out, (uint64_t)d->i);
    } else {
        buf_put_bytes(out, datum_slice(d));
    }
}

static struct status *read_value(struct reader *r, type_oid type, struct datum *out)
{
    *out = is_inline(type) ? datum_int((int64_t)read_u64(r)) : datum_bytes(read_bytes(r));
    return !reader_ok(r) || !datum_is_valid(type, out) ? damaged() : NULL;
}

static struct status *extreme_merge(struct arena *a, struct extreme *s, struct slice partial,
                                    int sign)
{
    struct reader r;
    reader_init(&r, partial);
    if (read_u8(&r) == 0) {
        return reader_end(&r);
    }
    struct datum d;
    TRY(read_value(&r, s->type, &d));
    TRY(reader_end(&r));
    return extreme_take(a, s, &d, sign);
}

AGG_ADD(max_add)
{
    return args[0].is_null ? NULL : extreme_take(a, state, &args[0], 1);
}

AGG_ADD(min_add)
{
    return args[0].is_null ? NULL : extreme_take(a, state, &args[0], -1);
}

AGG_MERGE(max_merge)
{
    return extreme_merge(a, state, partial, 1);
}

AGG_MERGE(min_merge)
{
    return extreme_merge(a, state, partial, -1);
}

AGG_SAVE(extreme_save)
{
    const struct extreme *s = state;
    buf_put_u8(out, s->has);
    if (s->has) {
        put_value(out, s->type, &s->best);
    }
}

AGG_FINISH(extreme_finish)
{
    const struct extreme *s = state;
    *out = s->has ? s->best : DATUM_NULL;
    return NULL;
}

const struct agg_ops agg_max = {sizeof(struct extreme), init_none,      max_add,     max_merge,
                                extreme_save,           extreme_finish, extreme_bind};
const struct agg_ops agg_min = {sizeof(struct extreme), init_none,      min_add,     min_merge,
                                extreme_save,           extreme_finish, extreme_bind};

/* ---- bool_and, bool_or, bit_and, bit_or, bit_xor ---- */

struct folded {
    int64_t v;
    bool has;
};

#define FOLD(name, expression)                                                                     \
    static void name##_one(struct folded *s, int64_t x)                                            \
    {                                                                                              \
        s->v = s->has ? (expression) : x;                                                          \
        s->has = true;                                                                             \
    }                                                                                              \
    AGG_ADD(name##_add)                                                                            \
    {                                                                                              \
        if (!args[0].is_null) {                                                                    \
            name##_one(state, args[0].i);                                                          \
        }                                                                                          \
        return NULL;                                                                               \
    }                                                                                              \
    AGG_MERGE(name##_merge)                                                                        \
    {                                                                                              \
        struct reader r;                                                                           \
        reader_init(&r, partial);                                                                  \
        bool has = read_u8(&r) != 0;                                                               \
        int64_t v = (int64_t)read_u64(&r);                                                         \
        TRY(reader_end(&r));                                                                       \
        if (has) {                                                                                 \
            name##_one(state, v);                                                                  \
        }                                                                                          \
        return NULL;                                                                               \
    }                                                                                              \
    const struct agg_ops agg_##name = {                                                            \
        sizeof(struct folded), init_none,     name##_add, name##_merge,                            \
        folded_save,           folded_finish, NULL};

AGG_SAVE(folded_save)
{
    const struct folded *s = state;
    buf_put_u8(out, s->has);
    buf_put_u64(out, (uint64_t)s->v);
}

AGG_FINISH(folded_finish)
{
    const struct folded *s = state;
    *out = s->has ? datum_int(s->v) : DATUM_NULL;
    return NULL;
}

FOLD(bool_and, (s->v != 0 && x != 0))
FOLD(bool_or, (s->v != 0 || x != 0))
FOLD(bit_and, s->v &x)
FOLD(bit_or, s->v | x)
FOLD(bit_xor, s->v ^ x)

/* ---- string_agg ---- */

struct joined {
    uint8_t *data; /* each value behind its delimiter; the first delimiter is not shown */
    size_t len;
    size_t cap;
    size_t first_delimiter;
    bool has;
};

static struct status *joined_put(struct arena *a, struct joined *s, struct slice bytes)
{
    if (bytes.len > s->cap - s->len) {
        size_t cap = (s->len + bytes.len) * 2 + 64;
        if (cap > UINT32_MAX) {
            return status_sql(LIMIT, "54000", "string_agg() result is too long");
        }
        TRY(arena_reserve(a, cap));
        uint8_t *p = arena_alloc(a, cap);
        if (s->len > 0) {
            memcpy(p, s->data, s->len);
        }
        s->data = p;
        s->cap = cap;
    }
    if (bytes.len > 0) {
        memcpy(s->data + s->len, bytes.data, bytes.len);
    }
    s->len += bytes.len;
    return NULL;
}

AGG_ADD(string_add)
{
    struct joined *s = state;
    if (args[0].is_null) {
        return NULL;
    }
    struct slice delimiter = args[1].is_null ? slice_make("", 0) : datum_slice(&args[1]);
    if (!s->has) {
        s->has = true;
        s->first_delimiter = delimiter.len;
    }
    TRY(joined_put(a, s, delimiter));
    return joined_put(a, s, datum_slice(&args[0]));
}

AGG_MERGE(string_merge)
{
    struct joined *s = state;
    struct reader r;
    reader_init(&r, partial);
    bool has = read_u8(&r) != 0;
    size_t first = (size_t)read_varint(&r);
    struct slice bytes = read_bytes(&r);
    TRY(reader_end(&r));
    if (!has) {
        return NULL;
    }
    if (first > bytes.len) {
        return damaged();
    }
    if (!s->has) {
        s->has = true;
        s->first_delimiter = first;
    }
    return joined_put(a, s, bytes);
}

AGG_SAVE(string_save)
{
    const struct joined *s = state;
    buf_put_u8(out, s->has);
    buf_put_varint(out, s->first_delimiter);
    buf_put_bytes(out, slice_make(s->data, s->len));
}

AGG_FINISH(string_finish)
{
    const struct joined *s = state;
    *out = s->has
               ? datum_bytes(slice_make(s->data + s->first_delimiter, s->len - s->first_delimiter))
               : DATUM_NULL;
    return NULL;
}

const struct agg_ops agg_string = {sizeof(struct joined), init_none,     string_add, string_merge,
                                   string_save,           string_finish, NULL};

/* ---- array_agg ---- */

struct gathered {
    type_oid type;
    struct datum *e;
    size_t n;
    size_t cap;
};

static void gathered_bind(void *state, const type_oid *types, int nargs)
{
    struct gathered *s = state;
    s->type = nargs > 0 ? types[0] : 0;
}

static struct status *gathered_put(struct arena *a, struct gathered *s, const struct datum *d)
{
    if (s->n >= ARRAY_ELEMENTS_MAX) {
        return status_sql(LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                          ARRAY_ELEMENTS_MAX);
    }
    if (s->n == s->cap) {
        size_t cap = s->cap == 0 ? 16 : s->cap * 2;
        TRY(arena_reserve(a, cap * sizeof(*s->e)));
        struct datum *e = arena_alloc(a, cap * sizeof(*s->e));
        if (s->n > 0) {
            memcpy(e, s->e, s->n * sizeof(*s->e));
        }
        s->e = e;
        s->cap = cap;
    }
    if (!d->is_null && !is_inline(s->type)) {
        TRY(arena_reserve(a, d->len));
    }
    s->e[s->n++] = d->is_null ? DATUM_NULL : datum_copy(a, s->type, d);
    return NULL;
}

AGG_ADD(array_add)
{
    return gathered_put(a, state, &args[0]);
}

AGG_MERGE(array_merge)
{
    struct gathered *s = state;
    struct reader r;
    reader_init(&r, partial);
    size_t n = read_count(&r, 1);
    for (size_t i = 0; i < n && reader_ok(&r); i++) {
        struct datum d = DATUM_NULL;
        if (read_u8(&r) != 0) {
            TRY(read_value(&r, s->type, &d));
        }
        TRY(gathered_put(a, s, &d));
    }
    return reader_end(&r);
}

AGG_SAVE(array_save)
{
    const struct gathered *s = state;
    buf_put_varint(out, s->n);
    for (size_t i = 0; i < s->n; i++) {
        buf_put_u8(out, !s->e[i].is_null);
        if (!s->e[i].is_null) {
            put_value(out, s->type, &s->e[i]);
        }
    }
}

AGG_FINISH(array_finish)
{
    const struct gathered *s = state;
    if (s->n == 0) {
        *out = DATUM_NULL;
        return NULL;
    }
    size_t size = 64;
    bool held_inline = is_inline(s->type);
    for (size_t i = 0; i < s->n; i++) {
        size += 10u + (held_inline || s->e[i].is_null ? 0 : s->e[i].len);
    }
    TRY(arena_reserve(a, size));
    *out = array_build(a, s->type, s->e, (int)s->n);
    return NULL;
}

const struct agg_ops agg_array = {sizeof(struct gathered),
                                  init_none,
                                  array_add,
                                  array_merge,
                                  array_save,
                                  array_finish,
                                  gathered_bind};
