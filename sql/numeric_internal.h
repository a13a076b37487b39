/*
 * Between the three files of numeric: a numeric taken apart, and the way back to bytes. `mpz_t`
 * magnitudes carry the sign; all of them are local to one function, which clears them.
 */
#ifndef SQL_NUMERIC_INTERNAL_H
#define SQL_NUMERIC_INTERNAL_H

#include "sql/numeric.h"

#include <gmp.h>

enum numeric_kind { NUM_POS = 0, NUM_NEG = 1, NUM_NAN = 2, NUM_PINF = 3, NUM_NINF = 4 };

enum {
    NUM_HEADER = 3,
    NUM_SIG_DIGITS_MIN = 16, /* significant digits of an inexact result, as PostgreSQL */
    NUM_DISPLAY_SCALE_MAX = 1000,
    NUM_RESULT_SCALE_MAX = 2000,
};

struct num {
    enum numeric_kind kind;
    int scale;
    bool is_small; /* v holds it */
    int64_t v;
};

static inline bool num_is_finite(const struct num *n)
{
    return n->kind <= NUM_NEG;
}

void num_load(const struct datum *d, struct num *n);
/* Signed magnitude of a finite numeric. m is initialised by the caller. */
void num_mpz(const struct datum *d, mpz_t m);
/* The same, multiplied so that its scale becomes `scale` (not below its own). */
void num_mpz_scaled(const struct datum *d, const struct num *n, int scale, mpz_t m);
struct datum num_store(struct arena *a, const mpz_t m, int scale);
struct datum num_store_i128(struct arena *a, __int128 v, int scale);
/* num_store() after the check that neither limit of the format is passed. scale may be negative or
 * too large: then the value is brought to 0 or NUMERIC_SCALE_MAX. */
struct status *num_store_checked(struct arena *a, mpz_t m, int64_t scale,
                                 struct datum *out) STATUS_MUST_CHECK;
struct status *num_overflow(void) STATUS_MUST_CHECK;
/* PostgreSQL works in base 10000: position (weight) and value of the first such digit. */
void num_weight(const struct datum *d, const struct num *n, int *weight, int *first);
/* Decimal digits of |m|, exactly; 1 for zero. */
size_t num_digits(const mpz_t m);
/* m = 10^n */
void num_pow10(mpz_t m, uint64_t n);
/* Quotient rounded half away from zero. */
void num_div_round(mpz_t q, const mpz_t n, const mpz_t d);
extern const int64_t num_pow10_small[19];

#endif
