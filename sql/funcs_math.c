/*
 * Arithmetic and mathematics: integers with checked ranges, floats with PostgreSQL's overflow and
 * underflow errors, numeric through numeric.h; and the casts between numbers.
 */
#include "funcs.h"

#include "base/check.h"
#include "sql/numeric.h"

#include <float.h>
#include <math.h>

/* ---- integers ---- */

static struct status *out_of_range(const char *what)
{
    return status_sql(INVALID, "22003", "%s out of range", what);
}

static struct status *div_by_zero(void)
{
    return status_sql(INVALID, "22012", "division by zero");
}

#define INT_FAMILY(w, min, max, what)                                                              \
    FUNC(fn_##w##pl)                                                                               \
    {                                                                                              \
        if (__builtin_add_overflow(args[0].i, args[1].i, &out->i) || out->i < (min) ||             \
            out->i > (max)) {                                                                      \
            return out_of_range(what);                                                             \
        }                                                                                          \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(fn_##w##mi)                                                                               \
    {                                                                                              \
        if (__builtin_sub_overflow(args[0].i, args[1].i, &out->i) || out->i < (min) ||             \
            out->i > (max)) {                                                                      \
            return out_of_range(what);                                                             \
        }                                                                                          \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(fn_##w##mul)                                                                              \
    {                                                                                              \
        if (__builtin_mul_overflow(args[0].i, args[1].i, &out->i) || out->i < (min) ||             \
            out->i > (max)) {                                                                      \
            return out_of_range(what);                                                             \
        }                                                                                          \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(fn_##w##div)                                                                              \
    {                                                                                              \
        if (args[1].i == 0) {                                                                      \
            return div_by_zero();                                                                  \
        }                                                                                          \
        if (args[1].i == -1 && args[0].i == (min)) {                                               \
            return out_of_range(what);                                                             \
        }                                                                                          \
        *out = datum_int(args[0].i / args[1].i);                                                   \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(fn_##w##mod)                                                                              \
    {                                                                                              \
        if (args[1].i == 0) {                                                                      \
            return div_by_zero();                                                                  \
        }                                                                                          \
        *out = datum_int(args[1].i == -1 ? 0 : args[0].i % args[1].i);                             \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(fn_##w##um)                                                                               \
    {                                                                                              \
        if (args[0].i == (min)) {                                                                  \
            return out_of_range(what);                                                             \
        }                                                                                          \
        *out = datum_int(-args[0].i);                                                              \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(fn_##w##abs)                                                                              \
    {                                                                                              \
        if (args[0].i == (min)) {                                                                  \
            return out_of_range(what);                                                             \
        }                                                                                          \
        *out = datum_int(args[0].i < 0 ? -args[0].i : args[0].i);                                  \
        return NULL;                                                                               \
    }

INT_FAMILY(i2, INT16_MIN, INT16_MAX, "smallint")
INT_FAMILY(i4, INT32_MIN, INT32_MAX, "integer")
INT_FAMILY(i8, INT64_MIN, INT64_MAX, "bigint")

FUNC(fn_iand)
{
    *out = datum_int(args[0].i & args[1].i);
    return NULL;
}

FUNC(fn_ior)
{
    *out = datum_int(args[0].i | args[1].i);
    return NULL;
}

FUNC(fn_ixor)
{
    *out = datum_int(args[0].i ^ args[1].i);
    return NULL;
}

FUNC(fn_inot)
{
    *out = datum_int(~args[0].i);
    return NULL;
}

/* Shifts wrap as the processor's do: the count modulo the width (32 for int2, which is an int). */
FUNC(fn_i2shl)
{
    *out = datum_int((int16_t)(uint16_t)((uint32_t)args[0].i << ((uint32_t)args[1].i & 31)));
    return NULL;
}

FUNC(fn_i2shr)
{
    *out = datum_int((int16_t)args[0].i >> ((uint32_t)args[1].i & 31));
    return NULL;
}

FUNC(fn_i4shl)
{
    *out = datum_int((int32_t)((uint32_t)args[0].i << ((uint32_t)args[1].i & 31)));
    return NULL;
}

FUNC(fn_i4shr)
{
    *out = datum_int((int32_t)args[0].i >> ((uint32_t)args[1].i & 31));
    return NULL;
}

FUNC(fn_i8shl)
{
    *out = datum_int((int64_t)((uint64_t)args[0].i << ((uint64_t)args[1].i & 63)));
    return NULL;
}

FUNC(fn_i8shr)
{
    *out = datum_int(args[0].i >> ((uint64_t)args[1].i & 63));
    return NULL;
}

static uint64_t gcd_u64(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
}

static struct status *int_gcd(const struct datum *args, int64_t max, const char *what,
                              struct datum *out)
{
    uint64_t g = gcd_u64(magnitude(args[0].i), magnitude(args[1].i));
    if (g > (uint64_t)max) {
        return out_of_range(what);
    }
    *out = datum_int((int64_t)g);
    return NULL;
}

static struct status *int_lcm(const struct datum *args, int64_t max, const char *what,
                              struct datum *out)
{
    uint64_t x = magnitude(args[0].i), y = magnitude(args[1].i), v;
    if (x == 0 || y == 0) {
        *out = datum_int(0);
        return NULL;
    }
    if (__builtin_mul_overflow(x / gcd_u64(x, y), y, &v) || v > (uint64_t)max) {
        return out_of_range(what);
    }
    *out = datum_int((int64_t)v);
    return NULL;
}

FUNC(fn_i4gcd)
{
    return int_gcd(args, INT32_MAX, "integer", out);
}

FUNC(fn_i8gcd)
{
    return int_gcd(args, INT64_MAX, "bigint", out);
}

FUNC(fn_i4lcm)
{
    return int_lcm(args, INT32_MAX, "integer", out);
}

FUNC(fn_i8lcm)
{
    return int_lcm(args, INT64_MAX, "bigint", out);
}

FUNC(fn_factorial)
{
    if (args[0].i < 0) {
        return status_sql(INVALID, "22003", "factorial of a negative number is undefined");
    }
    return numeric_factorial(ctx->arena, args[0].i, out);
}

/* ---- floats ---- */

static struct status *float_overflow(void)
{
    return status_sql(INVALID, "22003", "value out of range: overflow");
}

static struct status *float_underflow(void)
{
    return status_sql(INVALID, "22003", "value out of range: underflow");
}

static struct status *put_f8(double v, bool may_be_inf, bool may_be_zero, struct datum *out)
{
    if (isinf(v) && !may_be_inf) {
        return float_overflow();
    }
    if (v == 0 && !may_be_zero) {
        return float_underflow();
    }
    *out = datum_float(v);
    return NULL;
}

#define FLOAT_FAMILY(w, type)                                                                      \
    FUNC(fn_##w##pl)                                                                               \
    {                                                                                              \
        type v = (type)args[0].f + (type)args[1].f;                                                \
        return put_f8((double)v, isinf(args[0].f) || isinf(args[1].f), true, out);                 \
    }                                                                                              \
    FUNC(fn_##w##mi)                                                                               \
    {                                                                                              \
        type v = (type)args[0].f - (type)args[1].f;                                                \
        return put_f8((double)v, isinf(args[0].f) || isinf(args[1].f), true, out);                 \
    }                                                                                              \
    FUNC(fn_##w##mul)                                                                              \
    {                                                                                              \
        type v = (type)args[0].f * (type)args[1].f;                                                \
        return put_f8((double)v, isinf(args[0].f) || isinf(args[1].f),                             \
                      args[0].f == 0 || args[1].f == 0, out);                                      \
    }                                                                                              \
    FUNC(fn_##w##div)                                                                              \
    {                                                                                              \
        if (args[1].f == 0 && !isnan(args[0].f)) {                                                 \
            return div_by_zero();                                                                  \
        }                                                                                          \
        type v = args[1].f == 0 ? (type)NAN : (type)((type)args[0].f / (type)args[1].f);           \
        return put_f8((double)v, isinf(args[0].f), args[0].f == 0 || isinf(args[1].f), out);       \
    }

FLOAT_FAMILY(f4, float)
FLOAT_FAMILY(f8, double)

#define FLOAT_PLAIN(name, expression)                                                              \
    FUNC(name)                                                                                     \
    {                                                                                              \
        double x = args[0].f;                                                                      \
        *out = datum_float(expression);                                                            \
        return NULL;                                                                               \
    }

FLOAT_PLAIN(fn_fum, -x)
FLOAT_PLAIN(fn_fabs, fabs(x))
FLOAT_PLAIN(fn_fceil, ceil(x))
FLOAT_PLAIN(fn_ffloor, floor(x))
FLOAT_PLAIN(fn_fround, rint(x))
FLOAT_PLAIN(fn_ftrunc, trunc(x))
FLOAT_PLAIN(fn_fsign, x > 0 ? 1 : x < 0 ? -1 : 0)
FLOAT_PLAIN(fn_fcbrt, cbrt(x))
FLOAT_PLAIN(fn_degrees, x / (M_PI / 180))
FLOAT_PLAIN(fn_radians, x *(M_PI / 180))
FLOAT_PLAIN(fn_atan, atan(x))
FLOAT_PLAIN(fn_tanh, tanh(x))
FLOAT_PLAIN(fn_asinh, asinh(x))

FUNC(fn_fsqrt)
{
    if (args[0].f < 0) {
        return status_sql(INVALID, "2201F", "cannot take square root of a negative number");
    }
    *out = datum_float(sqrt(args[0].f));
    return NULL;
}

FUNC(fn_fpower)
{
    double x = args[0].f, y = args[1].f;
    if (x == 0 && y < 0) {
        return status_sql(INVALID, "2201F", "zero raised to a negative power is undefined");
    }
    if (x < 0 && isfinite(y) && floor(y) != y) {
        return status_sql(INVALID, "2201F",
                          "a negative number raised to a non-integer power yields a complex "
                          "result");
    }
    double v = pow(x, y);
    bool special = isinf(x) || isinf(y) || isnan(x) || isnan(y);
    return put_f8(v, special, special || x == 0, out);
}

FUNC(fn_fexp)
{
    double v = exp(args[0].f);
    return put_f8(v, isinf(args[0].f), isinf(args[0].f), out);
}

static struct status *float_log(double x, double (*fn)(double), struct datum *out)
{
    if (x == 0) {
        return status_sql(INVALID, "2201E", "cannot take logarithm of zero");
    }
    if (x < 0) {
        return status_sql(INVALID, "2201E", "cannot take logarithm of a negative number");
    }
    *out = datum_float(fn(x));
    return NULL;
}

FUNC(fn_fln)
{
    return float_log(args[0].f, log, out);
}

FUNC(fn_flog)
{
    return float_log(args[0].f, log10, out);
}

FUNC(fn_pi)
{
    *out = datum_float(M_PI);
    return NULL;
}

static struct status *input_range(void)
{
    return status_sql(INVALID, "22003", "input is out of range");
}

#define FLOAT_FINITE(name, expression)                                                             \
    FUNC(name)                                                                                     \
    {                                                                                              \
        double x = args[0].f;                                                                      \
        if (isinf(x)) {                                                                            \
            return input_range();                                                                  \
        }                                                                                          \
        double v = (expression);                                                                   \
        return put_f8(v, false, true, out);                                                        \
    }

FLOAT_FINITE(fn_sin, sin(x))
FLOAT_FINITE(fn_cos, cos(x))

FUNC(fn_tan)
{
    if (isinf(args[0].f)) {
        return input_range();
    }
    *out = datum_float(tan(args[0].f));
    return NULL;
}

FUNC(fn_cot)
{
    if (isinf(args[0].f)) {
        return input_range();
    }
    *out = datum_float(1.0 / tan(args[0].f));
    return NULL;
}

#define FLOAT_UNIT(name, fn)                                                                       \
    FUNC(name)                                                                                     \
    {                                                                                              \
        if (args[0].f < -1 || args[0].f > 1) {                                                     \
            return input_range();                                                                  \
        }                                                                                          \
        *out = datum_float(fn(args[0].f));                                                         \
        return NULL;                                                                               \
    }

FLOAT_UNIT(fn_asin, asin)
FLOAT_UNIT(fn_acos, acos)

FUNC(fn_atan2)
{
    *out = datum_float(atan2(args[0].f, args[1].f));
    return NULL;
}

FUNC(fn_sinh)
{
    *out = datum_float(sinh(args[0].f));
    return NULL;
}

FUNC(fn_cosh)
{
    *out = datum_float(cosh(args[0].f));
    return NULL;
}

FUNC(fn_acosh)
{
    if (args[0].f < 1) {
        return input_range();
    }
    *out = datum_float(acosh(args[0].f));
    return NULL;
}

FUNC(fn_atanh)
{
    if (args[0].f < -1 || args[0].f > 1) {
        return input_range();
    }
    *out = datum_float(atanh(args[0].f));
    return NULL;
}

/*
 * Degrees: exact where the angle is a multiple of 30 or 45, by scaling the radian result with its
 * value at 30 or 60 degrees (so that sind(30) is 0.5 and cosd(60) too).
 */
static double sind_small(double x) /* 0..30 */
{
    return sin(x * (M_PI / 180)) / sin(30 * (M_PI / 180)) / 2.0;
}

static double cosd_small(double x) /* 0..60 */
{
    return 1.0 - (1.0 - cos(x * (M_PI / 180))) / (1.0 - cos(60 * (M_PI / 180))) / 2.0;
}

static double sind_quarter(double x) /* 0..90 */
{
    return x <= 30 ? sind_small(x) : cosd_small(90 - x);
}

static double cosd_quarter(double x)
{
    return x <= 60 ? cosd_small(x) : sind_small(90 - x);
}

static double sind_of(double x)
{
    double sign = 1;
    x = fmod(x, 360);
    if (x < 0) {
        x = -x;
        sign = -sign;
    }
    if (x > 180) {
        x = 360 - x;
        sign = -sign;
    }
    if (x > 90) {
        x = 180 - x;
    }
    return sign * sind_quarter(x);
}

static double cosd_of(double x)
{
    double sign = 1;
    x = fabs(fmod(x, 360));
    if (x > 180) {
        x = 360 - x;
    }
    if (x > 90) {
        x = 180 - x;
        sign = -sign;
    }
    return sign * cosd_quarter(x);
}

static double tand_of(double x)
{
    double sign = 1;
    x = fmod(x, 360);
    if (x < 0) {
        x = -x;
        sign = -sign;
    }
    if (x > 180) {
        x = 360 - x;
        sign = -sign;
    }
    if (x > 90) {
        x = 180 - x;
        sign = -sign;
    }
    double v = sign * (sind_quarter(x) / cosd_quarter(x)) / (sind_quarter(45) / cosd_quarter(45));
    return v == 0 ? 0 : v;
}

static double cotd_of(double x)
{
    double t = tand_of(x);
    double v = isinf(t) ? 0 : 1.0 / t;
    return v == 0 ? 0 : v;
}

FLOAT_FINITE(fn_sind, sind_of(x))
FLOAT_FINITE(fn_cosd, cosd_of(x))

FUNC(fn_tand)
{
    if (isinf(args[0].f)) {
        return input_range();
    }
    *out = datum_float(isnan(args[0].f) ? NAN : tand_of(args[0].f));
    return NULL;
}

FUNC(fn_cotd)
{
    if (isinf(args[0].f)) {
        return input_range();
    }
    *out = datum_float(isnan(args[0].f) ? NAN : cotd_of(args[0].f));
    return NULL;
}

static double asind_quarter(double x) /* 0..1 */
{
    return x <= 0.5 ? asin(x) / asin(0.5) * 30.0 : 90.0 - acos(x) / acos(0.5) * 60.0;
}

static double asind_of(double x)
{
    return x >= 0 ? asind_quarter(x) : -asind_quarter(-x);
}

static double acosd_quarter(double x)
{
    return x <= 0.5 ? 90.0 - asin(x) / asin(0.5) * 30.0 : acos(x) / acos(0.5) * 60.0;
}

static double acosd_of(double x)
{
    return x >= 0 ? acosd_quarter(x) : 90.0 + asind_quarter(-x);
}

FLOAT_UNIT(fn_asind, asind_of)
FLOAT_UNIT(fn_acosd, acosd_of)
FLOAT_PLAIN(fn_atand, atan(x) / atan(1.0) * 45.0)

FUNC(fn_atan2d)
{
    *out = datum_float(atan2(args[0].f, args[1].f) / atan(1.0) * 45.0);
    return NULL;
}

FUNC(fn_random)
{
    if (ctx->random == NULL) {
        return status_new(UNSUPPORTED, "random() cannot be used in this place");
    }
    *out = datum_float((double)(ctx->random(ctx->ctx) >> 11) * 0x1.0p-53);
    return NULL;
}

FUNC(fn_fwidth_bucket)
{
    double v = args[0].f, low = args[1].f, high = args[2].f;
    int64_t count = args[3].i;
    if (count <= 0) {
        return status_sql(INVALID, "2201G", "count must be greater than zero");
    }
    if (isnan(v) || isnan(low) || isnan(high)) {
        return status_sql(INVALID, "2201G", "operand, lower bound, and upper bound cannot be NaN");
    }
    if (isinf(low) || isinf(high)) {
        return status_sql(INVALID, "2201G", "lower and upper bounds must be finite");
    }
    if (low == high) {
        return status_sql(INVALID, "2201G", "lower bound cannot equal upper bound");
    }
    bool ascends = low < high;
    int64_t bucket;
    if (ascends ? v < low : v > low) {
        bucket = 0;
    } else if (ascends ? v >= high : v <= high) {
        bucket = count + 1;
    } else {
        double share = ascends ? (v / 2 - low / 2) / (high / 2 - low / 2)
                               : (low / 2 - v / 2) / (low / 2 - high / 2);
        bucket = (int64_t)((double)count * share);
        bucket = (bucket >= count ? count - 1 : bucket) + 1;
    }
    if (bucket > INT32_MAX) {
        return out_of_range("integer");
    }
    *out = datum_int(bucket);
    return NULL;
}

/* ---- numeric ---- */

#define NUMERIC_2(name, fn)                                                                        \
    FUNC(name)                                                                                     \
    {                                                                                              \
        return fn(ctx->arena, &args[0], &args[1], out);                                            \
    }
#define NUMERIC_1(name, fn)                                                                        \
    FUNC(name)                                                                                     \
    {                                                                                              \
        return fn(ctx->arena, &args[0], out);                                                      \
    }
#define NUMERIC_V(name, fn)                                                                        \
    FUNC(name)                                                                                     \
    {                                                                                              \
        *out = fn(ctx->arena, &args[0]);                                                           \
        return NULL;                                                                               \
    }

NUMERIC_2(fn_numadd, numeric_add)
NUMERIC_2(fn_numsub, numeric_sub)
NUMERIC_2(fn_nummul, numeric_mul)
NUMERIC_2(fn_numdiv, numeric_div)
NUMERIC_2(fn_numdivtrunc, numeric_div_trunc)
NUMERIC_2(fn_nummod, numeric_mod)
NUMERIC_2(fn_numgcd, numeric_gcd)
NUMERIC_2(fn_numlcm, numeric_lcm)
NUMERIC_2(fn_numpower, numeric_power)
NUMERIC_2(fn_numlogb, numeric_log)
NUMERIC_1(fn_numsqrt, numeric_sqrt)
NUMERIC_1(fn_numexp, numeric_exp)
NUMERIC_1(fn_numln, numeric_ln)
NUMERIC_1(fn_numlog, numeric_log10)
NUMERIC_V(fn_numneg, numeric_neg)
NUMERIC_V(fn_numabs, numeric_abs)
NUMERIC_V(fn_numsign, numeric_sign_of)
NUMERIC_V(fn_numceil, numeric_ceil)
NUMERIC_V(fn_numfloor, numeric_floor)
NUMERIC_V(fn_numtrim_scale, numeric_trim_scale)

FUNC(fn_numround)
{
    *out = numeric_round(ctx->arena, &args[0], 0);
    return NULL;
}

FUNC(fn_numroundn)
{
    *out = numeric_round(ctx->arena, &args[0], (int32_t)args[1].i);
    return NULL;
}

FUNC(fn_numtrunc)
{
    *out = numeric_trunc(ctx->arena, &args[0], 0);
    return NULL;
}

FUNC(fn_numtruncn)
{
    *out = numeric_trunc(ctx->arena, &args[0], (int32_t)args[1].i);
    return NULL;
}

static bool is_special(const struct datum *d)
{
    return numeric_is_nan(d) || numeric_is_inf(d);
}

FUNC(fn_numscale)
{
    *out = is_special(&args[0]) ? DATUM_NULL : datum_int(numeric_scale(&args[0]));
    return NULL;
}

FUNC(fn_nummin_scale)
{
    *out = is_special(&args[0]) ? DATUM_NULL : datum_int(numeric_min_scale(&args[0]));
    return NULL;
}

FUNC(fn_numwidth_bucket)
{
    const struct datum *v = &args[0], *low = &args[1], *high = &args[2];
    int64_t count = args[3].i;
    if (count <= 0) {
        return status_sql(INVALID, "2201G", "count must be greater than zero");
    }
    if (numeric_is_nan(v) || numeric_is_nan(low) || numeric_is_nan(high)) {
        return status_sql(INVALID, "2201G", "operand, lower bound, and upper bound cannot be NaN");
    }
    if (numeric_is_inf(low) || numeric_is_inf(high)) {
        return status_sql(INVALID, "2201G", "lower and upper bounds must be finite");
    }
    int order = numeric_compare(low, high);
    if (order == 0) {
        return status_sql(INVALID, "2201G", "lower bound cannot equal upper bound");
    }
    int from_low = numeric_compare(v, low), from_high = numeric_compare(v, high);
    if (order < 0 ? from_low < 0 : from_low > 0) {
        *out = datum_int(0);
        return NULL;
    }
    if (order < 0 ? from_high >= 0 : from_high <= 0) {
        if (count == INT32_MAX) {
            return out_of_range("integer");
        }
        *out = datum_int(count + 1);
        return NULL;
    }
    struct datum part, width, scaled, n = numeric_from_int8(ctx->arena, count), quotient;
    TRY(numeric_sub(ctx->arena, v, low, &part));
    TRY(numeric_sub(ctx->arena, high, low, &width));
    TRY(numeric_mul(ctx->arena, &part, &n, &scaled));
    TRY(numeric_div_trunc(ctx->arena, &scaled, &width, &quotient));
    int64_t bucket;
    TRY(numeric_to_int(&quotient, 0, INT32_MAX - 1, "integer", &bucket));
    *out = datum_int(bucket + 1);
    return NULL;
}

/* ---- casts between numbers ---- */

#define CAST_INT(name, min, max, what)                                                             \
    FUNC(name)                                                                                     \
    {                                                                                              \
        if (args[0].i < (min) || args[0].i > (max)) {                                              \
            return out_of_range(what);                                                             \
        }                                                                                          \
        *out = args[0];                                                                            \
        return NULL;                                                                               \
    }

CAST_INT(fn_cast_i4_i2, INT16_MIN, INT16_MAX, "smallint")
CAST_INT(fn_cast_i8_i2, INT16_MIN, INT16_MAX, "smallint")
CAST_INT(fn_cast_i8_i4, INT32_MIN, INT32_MAX, "integer")

/* Rounds half to even, as the processor does; both bounds are exact as doubles. */
#define CAST_FLOAT_INT(name, low, above, what)                                                     \
    FUNC(name)                                                                                     \
    {                                                                                              \
        double v = rint(args[0].f);                                                                \
        if (isnan(v) || v < (low) || v >= (above)) {                                               \
            return out_of_range(what);                                                             \
        }                                                                                          \
        *out = datum_int((int64_t)v);                                                              \
        return NULL;                                                                               \
    }

CAST_FLOAT_INT(fn_cast_f4_i2, -0x1p15, 0x1p15, "smallint")
CAST_FLOAT_INT(fn_cast_f8_i2, -0x1p15, 0x1p15, "smallint")
CAST_FLOAT_INT(fn_cast_f4_i4, -0x1p31, 0x1p31, "integer")
CAST_FLOAT_INT(fn_cast_f8_i4, -0x1p31, 0x1p31, "integer")
CAST_FLOAT_INT(fn_cast_f4_i8, -0x1p63, 0x1p63, "bigint")
CAST_FLOAT_INT(fn_cast_f8_i8, -0x1p63, 0x1p63, "bigint")

#define CAST_TO_FLOAT(name, type)                                                                  \
    FUNC(name)                                                                                     \
    {                                                                                              \
        *out = datum_float((double)(type)args[0].i);                                               \
        return NULL;                                                                               \
    }

CAST_TO_FLOAT(fn_cast_i2_f4, float)
CAST_TO_FLOAT(fn_cast_i4_f4, float)
CAST_TO_FLOAT(fn_cast_i8_f4, float)
CAST_TO_FLOAT(fn_cast_i2_f8, double)
CAST_TO_FLOAT(fn_cast_i4_f8, double)
CAST_TO_FLOAT(fn_cast_i8_f8, double)

FUNC(fn_cast_f8_f4)
{
    float v = (float)args[0].f;
    return put_f8((double)v, isinf(args[0].f), args[0].f == 0, out);
}

#define CAST_INT_NUM(name)                                                                         \
    FUNC(name)                                                                                     \
    {                                                                                              \
        *out = numeric_from_int8(ctx->arena, args[0].i);                                           \
        return NULL;                                                                               \
    }

CAST_INT_NUM(fn_cast_i2_num)
CAST_INT_NUM(fn_cast_i4_num)
CAST_INT_NUM(fn_cast_i8_num)

FUNC(fn_cast_f4_num)
{
    *out = numeric_from_float4(ctx->arena, (float)args[0].f);
    return NULL;
}

FUNC(fn_cast_f8_num)
{
    *out = numeric_from_float8(ctx->arena, args[0].f);
    return NULL;
}

FUNC(fn_cast_num_f4)
{
    TRY(numeric_to_float4(&args[0], &out->f));
    return NULL;
}

FUNC(fn_cast_num_f8)
{
    TRY(numeric_to_float8(&args[0], &out->f));
    return NULL;
}

FUNC(fn_cast_num_i2)
{
    return numeric_to_int(&args[0], INT16_MIN, INT16_MAX, "smallint", &out->i);
}

FUNC(fn_cast_num_i4)
{
    return numeric_to_int(&args[0], INT32_MIN, INT32_MAX, "integer", &out->i);
}

FUNC(fn_cast_num_i8)
{
    return numeric_to_int(&args[0], INT64_MIN, INT64_MAX, "bigint", &out->i);
}

FUNC(fn_cast_numeric)
{
    return numeric_apply_typmod(ctx->arena, &args[0], (int32_t)args[1].i, out);
}

FUNC(fn_cast_bool_i4)
{
    *out = args[0];
    return NULL;
}

FUNC(fn_cast_i4_bool)
{
    *out = datum_bool(args[0].i != 0);
    return NULL;
}

FUNC(fn_cast_c_i4)
{
    *out = datum_int((int8_t)args[0].i);
    return NULL;
}

FUNC(fn_cast_i4_c)
{
    if (args[0].i < INT8_MIN || args[0].i > INT8_MAX) {
        return status_sql(INVALID, "22003", "\"char\" out of range");
    }
    *out = datum_int((uint8_t)args[0].i);
    return NULL;
}
