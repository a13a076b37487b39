/*
 * numeric: exact decimals of any size, with PostgreSQL's limits (131072 digits before the point,
 * 16383 after), result scales and rounding (half away from zero).
 *
 * A datum of TYPE_NUMERIC points at this byte form, the same in memory, in rows and in batches:
 *
 *   byte 0     kind: 0 positive or zero, 1 negative, 2 NaN, 3 Infinity, 4 -Infinity
 *   byte 1-2   display scale, big-endian (0 .. 16383); 0 when not finite
 *   byte 3..   magnitude, big-endian, no leading zero byte; none for zero and not finite
 *   value      = +-magnitude / 10^scale
 *
 * Values whose magnitude fits 63 bits take a path of plain integers; the rest goes through GMP,
 * which stays behind this header. Functions take datums of that form (not NULL), whose bytes were
 * checked by numeric_check() when they came from outside, and put results into the arena.
 * Errors: 22003 out of range, 22012 division by zero, 2201E logarithm, 2201F power, 22P02 syntax.
 */
#ifndef SQL_NUMERIC_H
#define SQL_NUMERIC_H

#include "sql/datum.h"

#define NUMERIC_SCALE_MAX 16383
#define NUMERIC_WEIGHT_DIGITS_MAX 131072 /* digits before the decimal point */
#define NUMERIC_PRECISION_MAX 1000       /* of a typmod */

/* Whether the bytes are a well-formed numeric: for what comes from disk or network. */
bool numeric_check(struct slice bytes);

/* ---- in and out ---- */
struct datum numeric_from_int8(struct arena *a, int64_t v);
/* v / 10^scale. */
struct datum numeric_from_int128(struct arena *a, __int128 v, int scale);
struct datum numeric_from_float8(struct arena *a, double v); /* 15 digits, as PostgreSQL's cast */
struct datum numeric_from_float4(struct arena *a, float v);  /* 6 digits */
struct datum numeric_nan(struct arena *a);
struct datum numeric_infinity(struct arena *a, bool is_negative);
/* "12.50", "1e-3", "NaN", "-Infinity", blanks around. 22P02, 22003. */
struct status *numeric_parse(struct arena *a, struct slice text,
                             struct datum *out) STATUS_MUST_CHECK;
void numeric_format(const struct datum *d, struct buf *out);
/* Round half away from zero; 22003 "<what> out of range" beyond min..max, 22003 / 0A000
 * "cannot convert NaN to <what>". what: "integer", "bigint", "smallint". */
struct status *numeric_to_int(const struct datum *d, int64_t min, int64_t max, const char *what,
                              int64_t *out) STATUS_MUST_CHECK;
/* 22003 when too large for the type. */
struct status *numeric_to_float8(const struct datum *d, double *out) STATUS_MUST_CHECK;
struct status *numeric_to_float4(const struct datum *d, double *out) STATUS_MUST_CHECK;
double numeric_to_double_approx(const struct datum *d); /* +-HUGE_VAL when too large */
/* Fits 63 bits at its own scale: *out_v / 10^*out_scale. For callers with fast loops. */
bool numeric_get_small(const struct datum *d, int64_t *out_v, int *out_scale);
/* Rounds to numeric(p,s)'s scale; 22003 "numeric field overflow" with PostgreSQL's detail. -1: as
 * it is. */
struct status *numeric_apply_typmod(struct arena *a, const struct datum *d, int32_t typmod,
                                    struct datum *out) STATUS_MUST_CHECK;
/* PostgreSQL's binary form (base 10000 digits). */
struct status *numeric_recv(struct arena *a, struct slice bytes,
                            struct datum *out) STATUS_MUST_CHECK;
void numeric_send(const struct datum *d, struct buf *out);

/* ---- looking ---- */
bool numeric_is_nan(const struct datum *d);
bool numeric_is_inf(const struct datum *d); /* either sign */
bool numeric_is_integral(const struct datum *d);
int numeric_sign(const struct datum *d);  /* -1, 0, 1; NaN: 0 */
int numeric_scale(const struct datum *d); /* display scale */
int numeric_min_scale(const struct datum *d);
int numeric_compare(const struct datum *x, const struct datum *y); /* NaN is above Infinity */
uint64_t numeric_hash(const struct datum *d);                      /* 1.0 hashes as 1.00 */

/* ---- arithmetic: the functions behind + - * / % ^ and their kin ---- */
typedef struct status *(*numeric_op2)(struct arena *a, const struct datum *x, const struct datum *y,
                                      struct datum *out);
struct status *numeric_add(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_sub(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_mul(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_div(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out) STATUS_MUST_CHECK;
/* div(): quotient truncated to an integer. */
struct status *numeric_div_trunc(struct arena *a, const struct datum *x, const struct datum *y,
                                 struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_mod(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_gcd(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_lcm(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_power(struct arena *a, const struct datum *x, const struct datum *y,
                             struct datum *out) STATUS_MUST_CHECK;
/* log(base, x) */
struct status *numeric_log(struct arena *a, const struct datum *base, const struct datum *x,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_sqrt(struct arena *a, const struct datum *x,
                            struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_exp(struct arena *a, const struct datum *x,
                           struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_ln(struct arena *a, const struct datum *x,
                          struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_log10(struct arena *a, const struct datum *x,
                             struct datum *out) STATUS_MUST_CHECK;
struct status *numeric_factorial(struct arena *a, int64_t n, struct datum *out) STATUS_MUST_CHECK;
struct datum numeric_neg(struct arena *a, const struct datum *x);
struct datum numeric_abs(struct arena *a, const struct datum *x);
struct datum numeric_sign_of(struct arena *a, const struct datum *x); /* sign() as a numeric */
/* scale may be negative: round(1234, -2) = 1200. */
struct datum numeric_round(struct arena *a, const struct datum *x, int32_t scale);
struct datum numeric_trunc(struct arena *a, const struct datum *x, int32_t scale);
struct datum numeric_ceil(struct arena *a, const struct datum *x);
struct datum numeric_floor(struct arena *a, const struct datum *x);
struct datum numeric_trim_scale(struct arena *a, const struct datum *x);

/*
 * A running sum without an allocation per row: 128-bit integers at one scale while they fit, GMP
 * bytes in the arena beyond. A zeroed struct is an empty sum. The count of rows is the caller's.
 */
struct numeric_acc {
    __int128 small; /* sum / 10^scale, what is not in big */
    int scale;      /* of small; also the largest scale seen */
    bool has_nan, has_pinf, has_ninf;
    struct datum big; /* numeric bytes; len 0 = none */
};
void numeric_acc_add(struct arena *a, struct numeric_acc *acc, const struct datum *d);
void numeric_acc_merge(struct arena *a, struct numeric_acc *acc, const struct numeric_acc *other);
struct datum numeric_acc_sum(struct arena *a, const struct numeric_acc *acc);
void numeric_acc_save(const struct numeric_acc *acc, struct buf *out);
/* Checks the bytes: they came from another node. CORRUPT. */
struct status *numeric_acc_load(struct arena *a, struct reader *r,
                                struct numeric_acc *out) STATUS_MUST_CHECK;

#endif
