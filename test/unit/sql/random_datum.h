/* Random datums of any stored type, biased to edges and to near-equal values. */
#ifndef TEST_RANDOM_DATUM_H
#define TEST_RANDOM_DATUM_H

#include "base/rng.h"
#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"
#include "sql/types.h"

#include <math.h>
#include <string.h>

static const type_oid stored_types[] = {
    TYPE_BOOL,    TYPE_BYTEA, TYPE_CHAR,       TYPE_NAME,       TYPE_INT8,         TYPE_INT2,
    TYPE_INT4,    TYPE_TEXT,  TYPE_OID,        TYPE_FLOAT4,     TYPE_FLOAT8,       TYPE_BPCHAR,
    TYPE_VARCHAR, TYPE_DATE,  TYPE_TIME,       TYPE_TIMESTAMP,  TYPE_TIMESTAMPTZ,  TYPE_INTERVAL,
    TYPE_NUMERIC, TYPE_UUID,  TYPE_TEXT_ARRAY, TYPE_INT4_ARRAY, TYPE_NUMERIC_ARRAY};
enum { STORED_TYPES = sizeof stored_types / sizeof *stored_types };

static inline int64_t random_int(struct rng *r)
{
    int64_t v = (int64_t)rng_next(r) >> rng_below(r, 64);
    return rng_below(r, 8) == 0 ? (int64_t)rng_below(r, 3) - 1 : v;
}

static inline struct datum random_bytes(struct arena *a, struct rng *r)
{
    static const uint8_t few[] = {0, 0, 1, 0xff, 'a', ' ', 'b', 0xfe};
    size_t n = rng_below(r, 10);
    uint8_t *p = arena_alloc(a, n + 1);
    for (size_t i = 0; i < n; i++) {
        p[i] = few[rng_below(r, sizeof few)];
    }
    return datum_bytes(slice_make(p, n));
}

static inline struct datum random_number(struct arena *a, struct rng *r)
{
    char text[64];
    int n = 0, digits = (int)rng_below(r, 30) + 1, point = (int)rng_below(r, 30);
    switch (rng_below(r, 12)) {
    case 0:
        return numeric_nan(a);
    case 1:
        return numeric_infinity(a, rng_below(r, 2));
    case 2:
        return numeric_from_int8(a, 0);
    default:
        break;
    }
    if (rng_below(r, 2)) {
        text[n++] = '-';
    }
    for (int i = 0; i < digits; i++) {
        if (i == point) {
            text[n++] = '.';
        }
        text[n++] = (char)('0' + (rng_below(r, 2) ? rng_below(r, 10) : 0));
    }
    struct datum d = DATUM_NULL;
    (void)status_consume(numeric_parse(a, slice_make(text, (size_t)n), &d));
    return d;
}

static inline struct datum random_datum(struct arena *a, struct rng *r, type_oid type)
{
    static const double edges[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 1e300, -1e-300};
    switch (type) {
    case TYPE_BOOL:
        return datum_bool(rng_below(r, 2));
    case TYPE_CHAR:
        return datum_int((uint8_t)rng_next(r));
    case TYPE_INT2:
        return datum_int((int16_t)random_int(r));
    case TYPE_INT4:
    case TYPE_DATE:
        return datum_int((int32_t)random_int(r));
    case TYPE_OID:
        return datum_int((uint32_t)random_int(r));
    case TYPE_INT8:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return datum_int(random_int(r));
    case TYPE_FLOAT4:
    case TYPE_FLOAT8: {
        double v = (double)random_int(r) / (double)(rng_below(r, 1000) + 1);
        v = rng_below(r, 3) == 0 ? edges[rng_below(r, sizeof edges / sizeof *edges)] : v;
        return datum_float(type == TYPE_FLOAT4 ? (double)(float)v : v);
    }
    case TYPE_INTERVAL: {
        struct interval iv = {.us = random_int(r),
                              .days = (int32_t)random_int(r) >> 8,
                              .months = (int32_t)random_int(r) >> 12};
        if (rng_below(r, 3) == 0) {
            iv = (struct interval){.us = (int64_t)rng_below(r, 2) * USECS_PER_DAY,
                                   .days = (int32_t)rng_below(r, 2)};
        }
        return interval_datum(a, &iv);
    }
    case TYPE_NUMERIC:
        return random_number(a, r);
    case TYPE_UUID: {
        uint8_t *p = arena_alloc(a, 16);
        for (int i = 0; i < 16; i++) {
            p[i] = rng_below(r, 2) ? 0xff : (uint8_t)rng_next(r);
        }
        return datum_bytes(slice_make(p, 16));
    }
    case TYPE_TEXT_ARRAY:
    case TYPE_INT4_ARRAY:
    case TYPE_NUMERIC_ARRAY: {
        struct datum e[4];
        int n = (int)rng_below(r, 5);
        type_oid element = type_find(type)->element;
        for (int i = 0; i < n; i++) {
            e[i] = rng_below(r, 4) == 0 ? DATUM_NULL : random_datum(a, r, element);
        }
        return array_build(a, element, e, n);
    }
    default:
        return random_bytes(a, r);
    }
}

#endif
