/*
 * Roots, powers, logarithms; gcd, lcm, factorial; running sums.
 *
 * Result scales follow PostgreSQL: at least 16 significant digits, not fewer than the inputs show,
 * at most 1000. Values are computed on binary fixed-point integers (`bits` bits after the point)
 * with enough guard bits that the result, rounded half away from zero at that scale, is right:
 *   exp   x / 2^n below 2^-n0, Taylor series, n squarings; below zero the reciprocal
 *   ln    x = m * 2^k, 2/3 < m < 4/3 or so: 2 atanh((m - 1) / (m + 1)) + k ln 2
 *   x^y   by repeated multiplication with cut significands for integers, else exp(y ln x)
 */
#include "numeric_internal.h"
#include "sql/types.h"

#include <math.h>

static int max_int(int a, int b)
{
    return a > b ? a : b;
}

/* Scale that shows 16 significant digits of a value of about 10^weight, within the limits. */
static int result_scale(int weight, int at_least)
{
    int scale = max_int(NUM_SIG_DIGITS_MIN - weight, max_int(at_least, 0));
    return scale > NUM_DISPLAY_SCALE_MAX ? NUM_DISPLAY_SCALE_MAX : scale;
}

static mp_bitcnt_t bits_for_digits(int digits)
{
    return (mp_bitcnt_t)(digits < 0 ? 0 : digits) * 3322 / 1000 + 1;
}

/* out = numerator / denominator in fixed point. out may be one of them. */
static void fixed_ratio(mpz_t out, const mpz_t num, const mpz_t den, mp_bitcnt_t bits)
{
    mpz_t n;
    mpz_init(n);
    mpz_mul_2exp(n, num, bits);
    mpz_tdiv_q(out, n, den);
    mpz_clear(n);
}

/* Fixed point to a numeric of that scale. */
static struct status *fixed_to_numeric(struct arena *a, const mpz_t x, mp_bitcnt_t bits, int scale,
                                       struct datum *out)
{
    mpz_t p, one;
    mpz_inits(p, one, NULL);
    num_pow10(p, (uint64_t)scale);
    mpz_mul(p, p, x);
    mpz_setbit(one, bits);
    num_div_round(p, p, one);
    struct status *st = num_store_checked(a, p, scale, out);
    mpz_clears(p, one, NULL);
    return st;
}

/* out = e^x. Error below 2^-bits relative for x > 0, absolute for x < 0. */
static void fixed_exp(mpz_t out, const mpz_t x, mp_bitcnt_t bits)
{
    mpz_t r, term, sum;
    mpz_inits(r, term, sum, NULL);
    mpz_abs(r, x);
    size_t size = mpz_sizeinbase(r, 2);
    mp_bitcnt_t squarings = (size > bits ? size - bits : 0) + 8 + bits / 64;
    mp_bitcnt_t work = bits + 2 * squarings + 64;
    mpz_mul_2exp(r, r, work - bits);
    mpz_fdiv_q_2exp(r, r, squarings);
    mpz_setbit(term, work);
    mpz_set(sum, term);
    for (unsigned long i = 1; mpz_sgn(term) != 0; i++) {
        mpz_mul(term, term, r);
        mpz_fdiv_q_2exp(term, term, work);
        mpz_fdiv_q_ui(term, term, i);
        mpz_add(sum, sum, term);
    }
    for (mp_bitcnt_t i = 0; i < squarings; i++) {
        mpz_mul(sum, sum, sum);
        mpz_fdiv_q_2exp(sum, sum, work);
    }
    if (mpz_sgn(x) < 0) {
        mpz_set_ui(term, 0);
        mpz_setbit(term, work + bits);
        mpz_fdiv_q(out, term, sum);
    } else {
        mpz_fdiv_q_2exp(out, sum, work - bits);
    }
    mpz_clears(r, term, sum, NULL);
}

/* out = 2 atanh(num / den), |num / den| <= 1/3. */
static void fixed_atanh2(mpz_t out, const mpz_t num, const mpz_t den, mp_bitcnt_t bits)
{
    mpz_t z, z2, power, term;
    mpz_inits(z, z2, power, term, NULL);
    fixed_ratio(z, num, den, bits);
    mpz_mul(z2, z, z);
    mpz_fdiv_q_2exp(z2, z2, bits);
    mpz_set(power, z);
    mpz_set(out, z);
    for (unsigned long i = 3; mpz_sgn(power) != 0; i += 2) {
        mpz_mul(power, power, z2);
        mpz_tdiv_q_2exp(power, power, bits);
        mpz_tdiv_q_ui(term, power, i);
        mpz_add(out, out, term);
    }
    mpz_mul_2exp(out, out, 1);
    mpz_clears(z, z2, power, term, NULL);
}

/* out = ln(num / den), both positive; absolute error below 2^-bits. */
static void fixed_ln(mpz_t out, const mpz_t num, const mpz_t den, mp_bitcnt_t bits)
{
    mpz_t n, d, a, b, ln2;
    mpz_inits(n, d, a, b, ln2, NULL);
    mpz_set(n, num);
    mpz_set(d, den);
    mp_bitcnt_t work = bits + 64;
    int64_t k = (int64_t)mpz_sizeinbase(n, 2) - (int64_t)mpz_sizeinbase(d, 2);
    if (k > 0) {
        mpz_mul_2exp(d, d, (mp_bitcnt_t)k);
    } else if (k < 0) {
        mpz_mul_2exp(n, n, (mp_bitcnt_t)-k);
    }
    /* Now 1/2 < n/d < 2. Bring it to 2/3 .. 4/3. */
    mpz_mul_ui(a, n, 3);
    mpz_mul_ui(b, d, 4);
    if (mpz_cmp(a, b) > 0) {
        mpz_mul_2exp(d, d, 1);
        k++;
    } else {
        mpz_mul_ui(b, d, 2);
        if (mpz_cmp(a, b) < 0) {
            mpz_mul_2exp(n, n, 1);
            k--;
        }
    }
    mpz_sub(a, n, d);
    mpz_add(b, n, d);
    fixed_atanh2(out, a, b, work);
    if (k != 0) {
        mpz_set_ui(a, 1);
        mpz_set_ui(b, 3);
        fixed_atanh2(ln2, a, b, work);
        mpz_mul_si(ln2, ln2, k);
        mpz_add(out, out, ln2);
    }
    mpz_tdiv_q_2exp(out, out, 64);
    mpz_clears(n, d, a, b, ln2, NULL);
}

/* ln of a positive finite numeric. */
static void fixed_ln_datum(mpz_t out, const struct datum *d, mp_bitcnt_t bits)
{
    mpz_t num, den;
    mpz_inits(num, den, NULL);
    num_mpz(d, num);
    num_pow10(den, (uint64_t)numeric_scale(d));
    fixed_ln(out, num, den, bits);
    mpz_clears(num, den, NULL);
}

/* Decimal weight of ln(x), estimated as PostgreSQL does: it decides result scales. */
static int ln_weight(const struct datum *d)
{
    struct num n;
    num_load(d, &n);
    double approx = numeric_to_double_approx(d);
    if (numeric_sign(d) <= 0) {
        return 0;
    }
    mpz_t m, p;
    mpz_inits(m, p, NULL);
    num_mpz(d, m);
    num_pow10(p, (uint64_t)n.scale + 1);
    int weight;
    /* 0.9 <= x <= 1.1, exactly */
    mpz_mul_ui(m, m, 10);
    mpz_t low, high;
    mpz_inits(low, high, NULL);
    mpz_tdiv_q_ui(p, p, 10);
    mpz_mul_ui(low, p, 9);
    mpz_mul_ui(high, p, 11);
    if (mpz_cmp(m, low) >= 0 && mpz_cmp(m, high) <= 0) {
        mpz_mul_ui(p, p, 10);
        mpz_sub(m, m, p); /* 10 (x - 1) * 10^scale */
        mpz_tdiv_q_ui(m, m, 10);
        weight = mpz_sgn(m) == 0 ? 0 : (int)num_digits(m) - 1 - n.scale;
    } else {
        double ln;
        if (approx > 0 && isfinite(approx)) {
            ln = log(approx);
        } else {
            mpz_tdiv_q_ui(m, m, 10);
            signed long exp2;
            double f = mpz_get_d_2exp(&exp2, m);
            ln = log(f) + (double)exp2 * 0.693147180559945309 - (double)n.scale * 2.302585092994046;
        }
        weight = (int)log10(fabs(ln));
    }
    mpz_clears(m, p, low, high, NULL);
    return weight;
}

/* ---- square root, exponential, logarithms ---- */

struct status *numeric_sqrt(struct arena *a, const struct datum *x, struct datum *out)
{
    struct num n;
    num_load(x, &n);
    if (n.kind == NUM_NAN || n.kind == NUM_PINF) {
        *out = datum_copy(a, TYPE_NUMERIC, x);
        return NULL;
    }
    if (numeric_sign(x) < 0) {
        return status_sql(INVALID, "2201F", "cannot take square root of a negative number");
    }
    int weight, first;
    num_weight(x, &n, &weight, &first);
    int scale = result_scale(weight * 2 + 1, n.scale);
    mpz_t m, r, p;
    mpz_inits(m, r, p, NULL);
    num_mpz(x, m);
    int up = 2 * scale - n.scale;
    num_pow10(p, (uint64_t)(up < 0 ? -up : up));
    if (up >= 0) {
        mpz_mul(m, m, p);
    } else {
        mpz_tdiv_q(m, m, p);
    }
    mpz_sqrtrem(p, r, m);
    if (mpz_cmp(r, p) > 0) { /* (p + 1/2)^2 <= m */
        mpz_add_ui(p, p, 1);
    }
    struct status *st = num_store_checked(a, p, scale, out);
    mpz_clears(m, r, p, NULL);
    return st;
}

/* e^x of a fixed-point x, where about 10^weight is expected. */
static struct status *exp_to_scale(struct arena *a, const mpz_t x, mp_bitcnt_t bits, int scale,
                                   struct datum *out)
{
    mpz_t e;
    mpz_init(e);
    fixed_exp(e, x, bits);
    struct status *st = fixed_to_numeric(a, e, bits, scale, out);
    mpz_clear(e);
    return st;
}

enum { GUARD_DIGITS = 12 };

struct status *numeric_exp(struct arena *a, const struct datum *x, struct datum *out)
{
    struct num n;
    num_load(x, &n);
    if (n.kind == NUM_NAN || n.kind == NUM_PINF) {
        *out = datum_copy(a, TYPE_NUMERIC, x);
        return NULL;
    }
    if (n.kind == NUM_NINF) {
        *out = numeric_from_int8(a, 0);
        return NULL;
    }
    double val = numeric_to_double_approx(x);
    double weight = val * 0.434294481903252;
    weight = weight > NUM_RESULT_SCALE_MAX    ? NUM_RESULT_SCALE_MAX
             : weight < -NUM_RESULT_SCALE_MAX ? -NUM_RESULT_SCALE_MAX
                                              : weight;
    int scale = result_scale((int)weight, n.scale);
    if (val >= NUM_RESULT_SCALE_MAX * 3) {
        return num_overflow();
    }
    if (val <= -NUM_RESULT_SCALE_MAX * 3) {
        *out = num_store_i128(a, 0, scale);
        return NULL;
    }
    int whole = val > 0 ? (int)(val * 0.434294481903252) + 1 : 0;
    mp_bitcnt_t bits = bits_for_digits(scale + whole + GUARD_DIGITS);
    mpz_t num, den;
    mpz_inits(num, den, NULL);
    num_mpz(x, num);
    num_pow10(den, (uint64_t)n.scale);
    fixed_ratio(num, num, den, bits);
    struct status *st = exp_to_scale(a, num, bits, scale, out);
    mpz_clears(num, den, NULL);
    return st;
}

static struct status *ln_domain(const struct datum *x)
{
    int sign = numeric_sign(x);
    if (sign < 0) {
        return status_sql(INVALID, "2201E", "cannot take logarithm of a negative number");
    }
    if (sign == 0) {
        return status_sql(INVALID, "2201E", "cannot take logarithm of zero");
    }
    return NULL;
}

struct status *numeric_ln(struct arena *a, const struct datum *x, struct datum *out)
{
    if (numeric_is_nan(x)) {
        *out = numeric_nan(a);
        return NULL;
    }
    TRY(ln_domain(x));
    if (numeric_is_inf(x)) {
        *out = numeric_infinity(a, false);
        return NULL;
    }
    int scale = result_scale(ln_weight(x), numeric_scale(x));
    mp_bitcnt_t bits = bits_for_digits(scale + GUARD_DIGITS);
    mpz_t ln;
    mpz_init(ln);
    fixed_ln_datum(ln, x, bits);
    struct status *st = fixed_to_numeric(a, ln, bits, scale, out);
    mpz_clear(ln);
    return st;
}

struct status *numeric_log(struct arena *a, const struct datum *base, const struct datum *x,
                           struct datum *out)
{
    if (numeric_is_nan(base) || numeric_is_nan(x)) {
        *out = numeric_nan(a);
        return NULL;
    }
    TRY(ln_domain(base));
    TRY(ln_domain(x));
    if (numeric_is_inf(base) || numeric_is_inf(x)) {
        *out = !numeric_is_inf(base) ? numeric_infinity(a, false)
               : numeric_is_inf(x)   ? numeric_nan(a)
                                     : numeric_from_int8(a, 0);
        return NULL;
    }
    int base_weight = ln_weight(base), x_weight = ln_weight(x);
    int scale =
        result_scale(x_weight - base_weight, max_int(numeric_scale(base), numeric_scale(x)));
    /* The quotient needs as many significant digits of both logarithms. */
    int digits = scale + max_int(x_weight - base_weight, 0) + GUARD_DIGITS;
    mp_bitcnt_t bits =
        bits_for_digits(digits + max_int(-base_weight, 0) + max_int(-x_weight, 0)) + 64;
    mpz_t p, q, t;
    mpz_inits(p, q, t, NULL);
    fixed_ln_datum(p, x, bits);
    fixed_ln_datum(q, base, bits);
    struct status *st;
    if (mpz_sgn(q) == 0) {
        st = status_sql(INVALID, "22012", "division by zero");
    } else {
        num_pow10(t, (uint64_t)scale);
        mpz_mul(p, p, t);
        num_div_round(p, p, q);
        st = num_store_checked(a, p, scale, out);
    }
    mpz_clears(p, q, t, NULL);
    return st;
}

struct status *numeric_log10(struct arena *a, const struct datum *x, struct datum *out)
{
    struct datum ten = numeric_from_int8(a, 10);
    return numeric_log(a, &ten, x, out);
}

/* ---- power ---- */

/* A number m * 10^e whose significand is kept to so many digits. */
struct decimal {
    mpz_t m;
    int64_t e;
};

static void decimal_cut(struct decimal *x, size_t digits)
{
    size_t have = mpz_sizeinbase(x->m, 10);
    if (have > digits + 4) {
        mpz_t p;
        mpz_init(p);
        num_pow10(p, have - digits);
        num_div_round(x->m, x->m, p);
        x->e += (int64_t)(have - digits);
        mpz_clear(p);
    }
}

/* m * 10^e brought to `scale`. */
static struct status *decimal_to_numeric(struct arena *a, struct decimal *x, int scale,
                                         struct datum *out)
{
    int64_t up = x->e + scale;
    if (up > NUMERIC_WEIGHT_DIGITS_MAX + NUMERIC_SCALE_MAX) {
        return num_overflow();
    }
    mpz_t p;
    mpz_init(p);
    num_pow10(p, (uint64_t)(up < 0 ? -up : up));
    if (up >= 0) {
        mpz_mul(x->m, x->m, p);
    } else {
        num_div_round(x->m, x->m, p);
    }
    mpz_clear(p);
    return num_store_checked(a, x->m, scale, out);
}

/* log10 of |x|, approximately. */
static double log10_abs(const struct datum *x)
{
    mpz_t m;
    mpz_init(m);
    num_mpz(x, m);
    mpz_abs(m, m);
    signed long exp2;
    double f = mpz_get_d_2exp(&exp2, m);
    mpz_clear(m);
    return log10(f) + (double)exp2 * 0.301029995663981195 - numeric_scale(x);
}

static struct status *power_int(struct arena *a, const struct datum *x, int64_t exp,
                                struct datum *out)
{
    bool is_zero = numeric_sign(x) == 0;
    double weight = is_zero ? 0 : (double)exp * log10_abs(x);
    if (weight > NUMERIC_WEIGHT_DIGITS_MAX) {
        return num_overflow();
    }
    /* Of an integer power PostgreSQL 15 shows 16 fractional digits whatever its size. */
    int scale = result_scale(0, numeric_scale(x));
    if (weight + 1 < -scale) {
        *out = num_store_i128(a, 0, scale);
        return NULL;
    }
    if (is_zero) {
        if (exp < 0) {
            return status_sql(INVALID, "22012", "division by zero");
        }
        struct datum r = numeric_from_int8(a, exp == 0);
        *out = numeric_round(a, &r, scale);
        return NULL;
    }
    uint64_t left = exp < 0 ? 0 - (uint64_t)exp : (uint64_t)exp;
    /* Each multiplication adds an error of one unit in the last digit kept, each squaring doubles
     * it: ten digits for 2^31 of them. */
    size_t digits = (size_t)max_int(scale + (int)weight, 1) + 10 + GUARD_DIGITS;
    struct decimal result, square;
    mpz_init_set_ui(result.m, 1);
    result.e = 0;
    mpz_init(square.m);
    num_mpz(x, square.m);
    square.e = -numeric_scale(x);
    while (left > 0) {
        if (left & 1) {
            mpz_mul(result.m, result.m, square.m);
            result.e += square.e;
            decimal_cut(&result, digits);
        }
        left >>= 1;
        if (left > 0) {
            mpz_mul(square.m, square.m, square.m);
            square.e *= 2;
            decimal_cut(&square, digits);
        }
    }
    if (exp < 0) {
        mpz_t p;
        mpz_init(p);
        size_t up = digits + mpz_sizeinbase(result.m, 10);
        num_pow10(p, up);
        num_div_round(result.m, p, result.m);
        result.e = -result.e - (int64_t)up;
        mpz_clear(p);
    }
    struct status *st = decimal_to_numeric(a, &result, scale, out);
    mpz_clears(result.m, square.m, NULL);
    return st;
}

/* x^y for finite x > 0 and any finite y. */
static struct status *power_real(struct arena *a, const struct datum *x, const struct datum *y,
                                 bool negate, struct datum *out)
{
    double val = numeric_to_double_approx(y) * log10_abs(x) * 2.302585092994046;
    if (fabs(val) > NUM_RESULT_SCALE_MAX * 3.01) {
        if (val > 0) {
            return num_overflow();
        }
        *out = num_store_i128(a, 0, NUM_DISPLAY_SCALE_MAX);
        return NULL;
    }
    int weight = (int)(val * 0.434294481903252);
    int scale = result_scale(weight, max_int(numeric_scale(x), numeric_scale(y)));
    int y_digits = (int)fmax(log10_abs(y) + 2, 0);
    mp_bitcnt_t bits = bits_for_digits(scale + max_int(weight + 1, 0) + y_digits + GUARD_DIGITS);
    mpz_t ln, m, p;
    mpz_inits(ln, m, p, NULL);
    fixed_ln_datum(ln, x, bits);
    num_mpz(y, m);
    mpz_mul(ln, ln, m);
    num_pow10(p, (uint64_t)numeric_scale(y));
    mpz_tdiv_q(ln, ln, p);
    struct datum r;
    struct status *st = exp_to_scale(a, ln, bits, scale, &r);
    if (st == NULL) {
        *out = negate ? numeric_neg(a, &r) : r;
    }
    mpz_clears(ln, m, p, NULL);
    return st;
}

static bool is_odd(const struct datum *y)
{
    mpz_t m, p;
    mpz_inits(m, p, NULL);
    num_mpz(y, m);
    num_pow10(p, (uint64_t)numeric_scale(y));
    mpz_tdiv_q(m, m, p);
    bool odd = mpz_odd_p(m);
    mpz_clears(m, p, NULL);
    return odd;
}

static bool equals_int(const struct datum *x, int64_t v)
{
    int64_t got;
    return x->p[0] <= NUM_NEG && numeric_is_integral(x) &&
           !status_consume(numeric_to_int(x, v, v, "integer", &got));
}

static struct status *power_domain(const struct datum *x, const struct datum *y)
{
    if (numeric_sign(x) == 0 && numeric_sign(y) < 0) {
        return status_sql(INVALID, "2201F", "zero raised to a negative power is undefined");
    }
    if (numeric_sign(x) < 0 && !numeric_is_integral(y)) {
        return status_sql(
            INVALID, "2201F",
            "a negative number raised to a non-integer power yields a complex result");
    }
    return NULL;
}

/* POSIX pow() rules; at least one of them is not finite. */
static struct status *power_special(struct arena *a, const struct datum *x, const struct datum *y,
                                    struct datum *out)
{
    if (numeric_is_nan(x) || numeric_is_nan(y)) {
        bool one = numeric_is_nan(x) ? equals_int(y, 0) : equals_int(x, 1);
        *out = one ? numeric_from_int8(a, 1) : numeric_nan(a);
        return NULL;
    }
    TRY(power_domain(x, y));
    int sx = numeric_sign(x), sy = numeric_sign(y);
    if (equals_int(x, 1) || sy == 0) {
        *out = numeric_from_int8(a, 1);
    } else if (sx == 0) {
        *out = numeric_from_int8(a, 0);
    } else if (numeric_is_inf(y)) {
        if (equals_int(x, -1)) {
            *out = numeric_from_int8(a, 1);
            return NULL;
        }
        bool large = true;
        if (!numeric_is_inf(x)) {
            struct datum abs = numeric_abs(a, x), one = numeric_from_int8(a, 1);
            large = numeric_compare(&abs, &one) > 0;
        }
        *out = large == (sy > 0) ? numeric_infinity(a, false) : numeric_from_int8(a, 0);
    } else if (sy < 0) {
        *out = numeric_from_int8(a, 0);
    } else {
        *out = numeric_infinity(a, sx < 0 && is_odd(y));
    }
    return NULL;
}

struct status *numeric_power(struct arena *a, const struct datum *x, const struct datum *y,
                             struct datum *out)
{
    if (x->p[0] > NUM_NEG || y->p[0] > NUM_NEG) {
        return power_special(a, x, y, out);
    }
    TRY(power_domain(x, y));
    int64_t exp = 0;
    bool integral = numeric_is_integral(y);
    if (integral && !status_consume(numeric_to_int(y, INT32_MIN, INT32_MAX, "integer", &exp))) {
        return power_int(a, x, exp, out);
    }
    if (numeric_sign(x) == 0) {
        *out = num_store_i128(a, 0, NUM_SIG_DIGITS_MIN);
        return NULL;
    }
    bool negate = numeric_sign(x) < 0 && is_odd(y);
    struct datum abs = numeric_abs(a, x);
    return power_real(a, &abs, y, negate, out);
}

/* ---- whole numbers ---- */

struct status *numeric_factorial(struct arena *a, int64_t n, struct datum *out)
{
    enum { FACTORIAL_MAX = 32177 };
    if (n < 0) {
        return status_sql(INVALID, "22003", "factorial of a negative number is undefined");
    }
    if (n > FACTORIAL_MAX) {
        return num_overflow();
    }
    mpz_t m;
    mpz_init(m);
    mpz_fac_ui(m, (unsigned long)n);
    struct status *st = num_store_checked(a, m, 0, out);
    mpz_clear(m);
    return st;
}

static struct status *gcd_or_lcm(struct arena *a, const struct datum *x, const struct datum *y,
                                 bool lcm, struct datum *out)
{
    struct num m, n;
    num_load(x, &m);
    num_load(y, &n);
    if (!num_is_finite(&m) || !num_is_finite(&n)) {
        *out = numeric_nan(a);
        return NULL;
    }
    int scale = max_int(m.scale, n.scale);
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    num_mpz_scaled(x, &m, scale, p);
    num_mpz_scaled(y, &n, scale, q);
    if (lcm) {
        mpz_lcm(p, p, q);
    } else {
        mpz_gcd(p, p, q);
    }
    struct status *st = num_store_checked(a, p, scale, out);
    mpz_clears(p, q, NULL);
    return st;
}

struct status *numeric_gcd(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out)
{
    return gcd_or_lcm(a, x, y, false, out);
}

struct status *numeric_lcm(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out)
{
    return gcd_or_lcm(a, x, y, true, out);
}

/* ---- running sums ---- */

/* Adds a finite numeric into acc->big. */
static void acc_add_big(struct arena *a, struct numeric_acc *acc, const struct datum *d)
{
    if (acc->big.len == 0) {
        acc->big = datum_copy(a, TYPE_NUMERIC, d);
        return;
    }
    struct num m, n;
    num_load(&acc->big, &m);
    num_load(d, &n);
    int scale = max_int(m.scale, n.scale);
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    num_mpz_scaled(&acc->big, &m, scale, p);
    num_mpz_scaled(d, &n, scale, q);
    mpz_add(p, p, q);
    acc->big = num_store(a, p, scale);
    mpz_clears(p, q, NULL);
}

static void acc_flush(struct arena *a, struct numeric_acc *acc)
{
    if (acc->small != 0) {
        struct datum d = num_store_i128(a, acc->small, acc->scale);
        acc->small = 0;
        acc_add_big(a, acc, &d);
    }
}

static bool scale_i128(__int128 *v, int by)
{
    while (by > 0 && *v != 0) {
        int step = by > 18 ? 18 : by;
        if (__builtin_mul_overflow(*v, (__int128)num_pow10_small[step], v)) {
            return false;
        }
        by -= step;
    }
    return true;
}

static void acc_add_small(struct arena *a, struct numeric_acc *acc, __int128 v, int scale)
{
    if (scale > acc->scale) {
        __int128 raised = acc->small;
        if (scale_i128(&raised, scale - acc->scale)) {
            acc->small = raised;
        } else {
            acc_flush(a, acc);
        }
        acc->scale = scale;
    }
    __int128 raised = v;
    if (!scale_i128(&raised, acc->scale - scale)) {
        struct datum d = num_store_i128(a, v, scale);
        acc_add_big(a, acc, &d);
        return;
    }
    __int128 sum;
    if (__builtin_add_overflow(acc->small, raised, &sum)) {
        acc_flush(a, acc);
        sum = raised;
    }
    acc->small = sum;
}

void numeric_acc_add(struct arena *a, struct numeric_acc *acc, const struct datum *d)
{
    struct num n;
    num_load(d, &n);
    switch (n.kind) {
    case NUM_NAN:
        acc->has_nan = true;
        return;
    case NUM_PINF:
        acc->has_pinf = true;
        return;
    case NUM_NINF:
        acc->has_ninf = true;
        return;
    default:
        break;
    }
    if (n.is_small) {
        acc_add_small(a, acc, n.v, n.scale);
        return;
    }
    if (n.scale > acc->scale) {
        acc_add_small(a, acc, 0, n.scale);
    }
    acc_add_big(a, acc, d);
}

void numeric_acc_merge(struct arena *a, struct numeric_acc *acc, const struct numeric_acc *other)
{
    acc->has_nan = acc->has_nan || other->has_nan;
    acc->has_pinf = acc->has_pinf || other->has_pinf;
    acc->has_ninf = acc->has_ninf || other->has_ninf;
    acc_add_small(a, acc, other->small, other->scale);
    if (other->big.len > 0) {
        acc_add_big(a, acc, &other->big);
    }
}

struct datum numeric_acc_sum(struct arena *a, const struct numeric_acc *acc)
{
    if (acc->has_nan || (acc->has_pinf && acc->has_ninf)) {
        return numeric_nan(a);
    }
    if (acc->has_pinf || acc->has_ninf) {
        return numeric_infinity(a, acc->has_ninf);
    }
    struct datum small = num_store_i128(a, acc->small, acc->scale);
    if (acc->big.len == 0) {
        return small;
    }
    struct numeric_acc sum = *acc;
    acc_add_big(a, &sum, &small);
    return sum.big;
}

void numeric_acc_save(const struct numeric_acc *acc, struct buf *out)
{
    buf_put_u8(out, (uint8_t)(acc->has_nan | acc->has_pinf << 1 | acc->has_ninf << 2));
    buf_put_u16(out, (uint16_t)acc->scale);
    buf_put_u64(out, (uint64_t)(acc->small >> 64));
    buf_put_u64(out, (uint64_t)acc->small);
    buf_put_bytes(out, datum_slice(&acc->big));
}

struct status *numeric_acc_load(struct arena *a, struct reader *r, struct numeric_acc *out)
{
    uint8_t flags = read_u8(r);
    uint16_t scale = read_u16(r);
    uint64_t hi = read_u64(r), lo = read_u64(r);
    struct slice big = read_bytes(r);
    if (!reader_ok(r) || flags > 7 || scale > NUMERIC_SCALE_MAX ||
        (big.len > 0 && (!numeric_check(big) || big.data[0] > NUM_NEG))) {
        r->failed = true;
        return status_new(CORRUPT, "numeric sum: truncated or damaged");
    }
    *out = (struct numeric_acc){.small = (__int128)((unsigned __int128)hi << 64 | lo),
                                .scale = scale,
                                .has_nan = flags & 1,
                                .has_pinf = flags & 2,
                                .has_ninf = flags & 4};
    if (big.len > 0) {
        out->big = datum_bytes(arena_copy(a, big));
    }
    return NULL;
}
