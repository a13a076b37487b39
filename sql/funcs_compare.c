/*
 * Comparison operators. Integers, dates and times compare as 64-bit integers whatever their widths;
 * NaN equals itself and is above every other float; text compares bytewise (C collation).
 */
#include "funcs.h"

#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"

#include <math.h>

static inline int compare_i(const struct datum *x, const struct datum *y)
{
    return (x->i > y->i) - (x->i < y->i);
}

static inline int compare_f(const struct datum *x, const struct datum *y)
{
    if (isnan(x->f) || isnan(y->f)) {
        return isnan(x->f) - isnan(y->f);
    }
    return (x->f > y->f) - (x->f < y->f);
}

static inline int compare_s(const struct datum *x, const struct datum *y)
{
    return slice_cmp(datum_slice(x), datum_slice(y));
}

static inline int compare_bp(const struct datum *x, const struct datum *y)
{
    return type_compare(TYPE_BPCHAR, x, y);
}

static inline int compare_iv(const struct datum *x, const struct datum *y)
{
    return type_compare(TYPE_INTERVAL, x, y);
}

/* A date beside a timestamp: midnight of the day; days beyond the range of timestamps stay outside.
 */
static inline int compare_dt(const struct datum *x, const struct datum *y)
{
    int64_t ts;
    if (status_consume(date_to_timestamp(x->i, &ts))) {
        return x->i > 0 ? 1 : -1;
    }
    return (ts > y->i) - (ts < y->i);
}

static inline int compare_td(const struct datum *x, const struct datum *y)
{
    return -compare_dt(y, x);
}

#define COMPARE_FAMILY(family, compare)                                                            \
    FUNC(cmp_##family##_eq)                                                                        \
    {                                                                                              \
        *out = datum_bool(compare(&args[0], &args[1]) == 0);                                       \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(cmp_##family##_ne)                                                                        \
    {                                                                                              \
        *out = datum_bool(compare(&args[0], &args[1]) != 0);                                       \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(cmp_##family##_lt)                                                                        \
    {                                                                                              \
        *out = datum_bool(compare(&args[0], &args[1]) < 0);                                        \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(cmp_##family##_le)                                                                        \
    {                                                                                              \
        *out = datum_bool(compare(&args[0], &args[1]) <= 0);                                       \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(cmp_##family##_gt)                                                                        \
    {                                                                                              \
        *out = datum_bool(compare(&args[0], &args[1]) > 0);                                        \
        return NULL;                                                                               \
    }                                                                                              \
    FUNC(cmp_##family##_ge)                                                                        \
    {                                                                                              \
        *out = datum_bool(compare(&args[0], &args[1]) >= 0);                                       \
        return NULL;                                                                               \
    }

COMPARE_FAMILY(i, compare_i)
COMPARE_FAMILY(f, compare_f)
COMPARE_FAMILY(s, compare_s)
COMPARE_FAMILY(bp, compare_bp)
COMPARE_FAMILY(num, numeric_compare)
COMPARE_FAMILY(iv, compare_iv)
COMPARE_FAMILY(dt, compare_dt)
COMPARE_FAMILY(td, compare_td)
COMPARE_FAMILY(arr, array_compare)
