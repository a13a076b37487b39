/*
 * numeric: byte form, order, and exact arithmetic.
 *
 * Each operation first tries plain 128-bit integers (operands whose magnitude fits 63 bits, scales
 * at most 18 apart) and falls back to GMP. Both paths give the same bytes: the stored form has no
 * leading zero byte and zero is always positive.
 */
#include "numeric_internal.h"
#include "sql/types.h"
#include "value.h"

#include <xxhash.h>

const int64_t num_pow10_small[19] = {1,
                                     10,
                                     100,
                                     1000,
                                     10000,
                                     100000,
                                     1000000,
                                     10000000,
                                     100000000,
                                     1000000000,
                                     10000000000,
                                     100000000000,
                                     1000000000000,
                                     10000000000000,
                                     100000000000000,
                                     1000000000000000,
                                     10000000000000000,
                                     100000000000000000,
                                     1000000000000000000};

enum { SMALL_SCALE_DIFF = 18 };

/* ---- byte form ---- */

bool numeric_check(struct slice b)
{
    /* 131072 + 16383 digits are at most 61,239 bytes. */
    enum { MAGNITUDE_MAX = 61300 };
    if (b.len < NUM_HEADER || b.len > NUM_HEADER + MAGNITUDE_MAX) {
        return false;
    }
    uint8_t kind = b.data[0];
    if (kind > NUM_NINF) {
        return false;
    }
    uint16_t scale = get_u16(b.data + 1);
    if (kind > NUM_NEG) {
        return b.len == NUM_HEADER && scale == 0;
    }
    if (scale > NUMERIC_SCALE_MAX) {
        return false;
    }
    return b.len == NUM_HEADER ? kind == NUM_POS : b.data[NUM_HEADER] != 0;
}

void num_load(const struct datum *d, struct num *n)
{
    n->kind = (enum numeric_kind)d->p[0];
    n->scale = get_u16(d->p + 1);
    size_t len = d->len - NUM_HEADER;
    n->is_small = n->kind <= NUM_NEG && (len < 8 || (len == 8 && d->p[NUM_HEADER] < 0x80));
    n->v = 0;
    if (n->is_small) {
        uint64_t m = 0;
        for (size_t i = 0; i < len; i++) {
            m = m << 8 | d->p[NUM_HEADER + i];
        }
        n->v = n->kind == NUM_NEG ? -(int64_t)m : (int64_t)m;
    }
}

void num_mpz(const struct datum *d, mpz_t m)
{
    mpz_import(m, d->len - NUM_HEADER, 1, 1, 1, 0, d->p + NUM_HEADER);
    if (d->p[0] == NUM_NEG) {
        mpz_neg(m, m);
    }
}

void num_pow10(mpz_t m, uint64_t n)
{
    mpz_ui_pow_ui(m, 10, n);
}

static void scale_up(mpz_t m, uint64_t by)
{
    if (by == 0) {
        return;
    }
    if (by <= SMALL_SCALE_DIFF) {
        mpz_mul_si(m, m, num_pow10_small[by]);
        return;
    }
    mpz_t p;
    mpz_init(p);
    num_pow10(p, by);
    mpz_mul(m, m, p);
    mpz_clear(p);
}

void num_mpz_scaled(const struct datum *d, const struct num *n, int scale, mpz_t m)
{
    num_mpz(d, m);
    scale_up(m, (uint64_t)(scale - n->scale));
}

static struct datum store_header(struct arena *a, enum numeric_kind kind, int scale, size_t len,
                                 uint8_t **out_magnitude)
{
    uint8_t *p = arena_alloc(a, NUM_HEADER + len);
    p[0] = (uint8_t)kind;
    set_u16(p + 1, (uint16_t)scale);
    *out_magnitude = p + NUM_HEADER;
    return datum_bytes(slice_make(p, NUM_HEADER + len));
}

struct datum num_store(struct arena *a, const mpz_t m, int scale)
{
    int sign = mpz_sgn(m);
    size_t len = sign == 0 ? 0 : (mpz_sizeinbase(m, 2) + 7) / 8;
    uint8_t *p;
    struct datum d = store_header(a, sign < 0 ? NUM_NEG : NUM_POS, scale, len, &p);
    if (len > 0) {
        mpz_export(p, NULL, 1, 1, 1, 0, m);
    }
    return d;
}

struct datum num_store_i128(struct arena *a, __int128 v, int scale)
{
    unsigned __int128 m = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    uint64_t hi = (uint64_t)(m >> 64), lo = (uint64_t)m;
    size_t bits = hi != 0   ? 128 - (size_t)__builtin_clzll(hi)
                  : lo != 0 ? 64 - (size_t)__builtin_clzll(lo)
                            : 0;
    size_t len = (bits + 7) / 8;
    uint8_t *p;
    struct datum d = store_header(a, v < 0 ? NUM_NEG : NUM_POS, scale, len, &p);
    for (size_t i = len; i > 0; i--) {
        p[i - 1] = (uint8_t)m;
        m >>= 8;
    }
    return d;
}

struct status *num_overflow(void)
{
    return status_sql(INVALID, "22003", "value overflows numeric format");
}

size_t num_digits(const mpz_t m)
{
    size_t n = mpz_sizeinbase(m, 10);
    if (n > 1) { /* may be one too many */
        mpz_t p;
        mpz_init(p);
        num_pow10(p, n - 1);
        n -= mpz_cmpabs(m, p) < 0;
        mpz_clear(p);
    }
    return n;
}

void num_div_round(mpz_t q, const mpz_t n, const mpz_t d)
{
    mpz_t r, num;
    mpz_init(r);
    mpz_init_set(num, n); /* q may be n */
    mpz_tdiv_qr(q, r, num, d);
    mpz_mul_2exp(r, r, 1);
    if (mpz_cmpabs(r, d) >= 0) {
        if (mpz_sgn(num) * mpz_sgn(d) < 0) {
            mpz_sub_ui(q, q, 1);
        } else {
            mpz_add_ui(q, q, 1);
        }
    }
    mpz_clears(r, num, NULL);
}

/* Divides by 10^n, rounding half away from zero or cutting off. */
static void scale_down(mpz_t m, uint64_t n, bool round)
{
    mpz_t p;
    mpz_init(p);
    num_pow10(p, n);
    if (round) {
        num_div_round(m, m, p);
    } else {
        mpz_tdiv_q(m, m, p);
    }
    mpz_clear(p);
}

struct status *num_store_checked(struct arena *a, mpz_t m, int64_t scale, struct datum *out)
{
    if (scale > NUMERIC_SCALE_MAX) {
        scale_down(m, (uint64_t)(scale - NUMERIC_SCALE_MAX), true);
        scale = NUMERIC_SCALE_MAX;
    }
    if (mpz_sgn(m) != 0) {
        int64_t whole = (int64_t)mpz_sizeinbase(m, 10) - scale;
        if (whole > NUMERIC_WEIGHT_DIGITS_MAX &&
            (int64_t)num_digits(m) - scale > NUMERIC_WEIGHT_DIGITS_MAX) {
            return num_overflow();
        }
    }
    if (scale < 0) {
        scale_up(m, (uint64_t)-scale);
        scale = 0;
    }
    TRY(arena_reserve(a, mpz_sizeinbase(m, 2) / 8 + 16));
    *out = num_store(a, m, (int)scale);
    return NULL;
}

static int digits_of_i64(int64_t v)
{
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    int n = 1;
    while (n < 19 && u >= (uint64_t)num_pow10_small[n]) {
        n++;
    }
    return n;
}

void num_weight(const struct datum *d, const struct num *n, int *weight, int *first)
{
    *weight = *first = 0;
    if (d->len == NUM_HEADER) {
        return;
    }
    mpz_t m;
    mpz_init(m);
    num_mpz(d, m);
    mpz_abs(m, m);
    int digits = n->is_small ? digits_of_i64(n->v) : (int)num_digits(m);
    int top = digits - 1 - n->scale; /* decimal exponent of the first digit */
    *weight = top >= 0 ? top / 4 : -((-top + 3) / 4);
    int take = top - *weight * 4 + 1; /* 1..4 decimal digits in the first base-10000 digit */
    if (digits > take) {
        scale_down(m, (uint64_t)(digits - take), false);
    } else {
        scale_up(m, (uint64_t)(take - digits));
    }
    *first = (int)mpz_get_si(m);
    mpz_clear(m);
}

/* ---- constants and integers ---- */

struct datum numeric_from_int8(struct arena *a, int64_t v)
{
    return num_store_i128(a, v, 0);
}

struct datum numeric_from_int128(struct arena *a, __int128 v, int scale)
{
    return num_store_i128(a, v, scale);
}

static struct datum special(struct arena *a, enum numeric_kind kind)
{
    uint8_t *p;
    return store_header(a, kind, 0, 0, &p);
}

struct datum numeric_nan(struct arena *a)
{
    return special(a, NUM_NAN);
}

struct datum numeric_infinity(struct arena *a, bool is_negative)
{
    return special(a, is_negative ? NUM_NINF : NUM_PINF);
}

bool numeric_get_small(const struct datum *d, int64_t *out_v, int *out_scale)
{
    struct num n;
    num_load(d, &n);
    if (!n.is_small) {
        return false;
    }
    *out_v = n.v;
    *out_scale = n.scale;
    return true;
}

static int64_t round_i64(int64_t v, int scale)
{
    if (scale == 0) {
        return v;
    }
    if (scale > SMALL_SCALE_DIFF) {
        /* 10^19 / 2 is above half of what 63 bits hold, except from 5 * 10^18 on. */
        return scale == 19 &&
                       (v >= INT64_C(5000000000000000000) || v <= -INT64_C(5000000000000000000))
                   ? (v > 0 ? 1 : -1)
                   : 0;
    }
    int64_t p = num_pow10_small[scale], q = v / p, r = v % p;
    if (r >= p - r && r > 0) {
        q++;
    } else if (-r >= p + r && r < 0) {
        q--;
    }
    return q;
}

struct status *numeric_to_int(const struct datum *d, int64_t min, int64_t max, const char *what,
                              int64_t *out)
{
    struct num n;
    num_load(d, &n);
    if (!num_is_finite(&n)) {
        return status_sql(UNSUPPORTED, "0A000", "cannot convert %s to %s",
                          n.kind == NUM_NAN ? "NaN" : "infinity", what);
    }
    bool fits = true;
    int64_t v = 0;
    if (n.is_small) {
        v = round_i64(n.v, n.scale);
    } else {
        mpz_t m;
        mpz_init(m);
        num_mpz(d, m);
        if (n.scale > 0) {
            scale_down(m, (uint64_t)n.scale, true);
        }
        fits = mpz_fits_slong_p(m);
        v = fits ? mpz_get_si(m) : 0;
        mpz_clear(m);
    }
    if (!fits || v < min || v > max) {
        return status_sql(INVALID, "22003", "%s out of range", what);
    }
    *out = v;
    return NULL;
}

/* ---- looking ---- */

bool numeric_is_nan(const struct datum *d)
{
    return d->p[0] == NUM_NAN;
}

bool numeric_is_inf(const struct datum *d)
{
    return d->p[0] >= NUM_PINF;
}

int numeric_sign(const struct datum *d)
{
    switch (d->p[0]) {
    case NUM_POS:
        return d->len > NUM_HEADER;
    case NUM_NEG:
    case NUM_NINF:
        return -1;
    case NUM_PINF:
        return 1;
    default:
        return 0;
    }
}

int numeric_scale(const struct datum *d)
{
    return get_u16(d->p + 1);
}

/* Cuts trailing decimal zeros off *m, at most `most`; returns how many went. */
static int strip_zeros(mpz_t m, int most)
{
    int cut = 0;
    if (mpz_sgn(m) == 0) {
        return most;
    }
    /* Each factor ten is a factor two: a quick bound. */
    mp_bitcnt_t twos = mpz_scan1(m, 0);
    if ((mp_bitcnt_t)most > twos) {
        most = (int)twos;
    }
    for (int step = 4096; step > 0; step /= 2) {
        while (cut + step <= most) {
            mpz_t p, q, r;
            mpz_inits(p, q, r, NULL);
            num_pow10(p, (uint64_t)step);
            mpz_tdiv_qr(q, r, m, p);
            bool exact = mpz_sgn(r) == 0;
            if (exact) {
                mpz_set(m, q);
                cut += step;
            }
            mpz_clears(p, q, r, NULL);
            if (!exact) {
                break;
            }
        }
    }
    return cut;
}

int numeric_min_scale(const struct datum *d)
{
    struct num n;
    num_load(d, &n);
    if (n.is_small) {
        int64_t v = n.v;
        while (n.scale > 0 && v % 10 == 0) {
            v /= 10;
            n.scale--;
        }
        return n.scale;
    }
    if (!num_is_finite(&n)) {
        return 0;
    }
    mpz_t m;
    mpz_init(m);
    num_mpz(d, m);
    int left = n.scale - strip_zeros(m, n.scale);
    mpz_clear(m);
    return left;
}

bool numeric_is_integral(const struct datum *d)
{
    return d->p[0] >= NUM_PINF || (d->p[0] <= NUM_NEG && numeric_min_scale(d) == 0);
}

/* NaN 2, Infinity 1, finite 0, -Infinity -1 */
static int rank(enum numeric_kind k)
{
    return k == NUM_NAN ? 2 : k == NUM_PINF ? 1 : k == NUM_NINF ? -1 : 0;
}

int numeric_compare(const struct datum *x, const struct datum *y)
{
    struct num a, b;
    num_load(x, &a);
    num_load(y, &b);
    if (!num_is_finite(&a) || !num_is_finite(&b)) {
        int ra = rank(a.kind), rb = rank(b.kind);
        return (ra > rb) - (ra < rb);
    }
    if (a.is_small && b.is_small) {
        if (a.scale == b.scale) {
            return (a.v > b.v) - (a.v < b.v);
        }
        int diff = a.scale - b.scale;
        if (diff >= -SMALL_SCALE_DIFF && diff <= SMALL_SCALE_DIFF) {
            __int128 va = diff < 0 ? (__int128)a.v * num_pow10_small[-diff] : a.v;
            __int128 vb = diff > 0 ? (__int128)b.v * num_pow10_small[diff] : b.v;
            return (va > vb) - (va < vb);
        }
    }
    int sx = numeric_sign(x), sy = numeric_sign(y);
    if (sx != sy || sx == 0) {
        return (sx > sy) - (sx < sy);
    }
    int scale = a.scale > b.scale ? a.scale : b.scale;
    mpz_t ma, mb;
    mpz_inits(ma, mb, NULL);
    num_mpz_scaled(x, &a, scale, ma);
    num_mpz_scaled(y, &b, scale, mb);
    int c = mpz_cmp(ma, mb);
    mpz_clears(ma, mb, NULL);
    return (c > 0) - (c < 0);
}

uint64_t numeric_hash(const struct datum *d)
{
    struct num n;
    num_load(d, &n);
    if (!num_is_finite(&n)) {
        return XXH3_64bits(d->p, 1);
    }
    if (n.is_small) {
        if (n.v == 0) {
            return 0;
        }
        while (n.v % 10 == 0) {
            n.v /= 10;
            n.scale--;
        }
    } else {
        mpz_t m;
        mpz_init(m);
        num_mpz(d, m);
        n.scale -= strip_zeros(m, NUMERIC_WEIGHT_DIGITS_MAX + NUMERIC_SCALE_MAX);
        if (mpz_fits_slong_p(m)) {
            n.v = mpz_get_si(m);
        } else {
            n.v = (int64_t)XXH3_64bits(mpz_limbs_read(m), mpz_size(m) * sizeof(mp_limb_t)) *
                  mpz_sgn(m);
        }
        mpz_clear(m);
    }
    uint8_t key[12];
    set_u64(key, (uint64_t)n.v);
    set_u32(key + 8, (uint32_t)n.scale);
    return XXH3_64bits(key, sizeof key);
}

/* ---- addition and multiplication ---- */

/* Both values at one scale as 128-bit integers. */
static bool align_small(const struct num *a, const struct num *b, __int128 *va, __int128 *vb)
{
    int diff = a->scale - b->scale;
    if (!a->is_small || !b->is_small || diff > SMALL_SCALE_DIFF || diff < -SMALL_SCALE_DIFF) {
        return false;
    }
    *va = diff < 0 ? (__int128)a->v * num_pow10_small[-diff] : a->v;
    *vb = diff > 0 ? (__int128)b->v * num_pow10_small[diff] : b->v;
    return true;
}

static int sign_of(const struct num *n, const struct datum *d)
{
    (void)n;
    return numeric_sign(d);
}

static struct status *add_signed(struct arena *a, const struct datum *x, const struct datum *y,
                                 bool negate, struct datum *out)
{
    struct num m, n;
    num_load(x, &m);
    num_load(y, &n);
    int scale = m.scale > n.scale ? m.scale : n.scale;
    __int128 vm, vn;
    if (align_small(&m, &n, &vm, &vn)) {
        *out = num_store_i128(a, negate ? vm - vn : vm + vn, scale);
        return NULL;
    }
    if (!num_is_finite(&m) || !num_is_finite(&n)) {
        int sx = rank(m.kind), sy = negate ? -rank(n.kind) : rank(n.kind);
        if (m.kind == NUM_NAN || n.kind == NUM_NAN || sx * sy < 0) {
            *out = numeric_nan(a);
        } else {
            *out = numeric_infinity(a, sx + sy < 0);
        }
        return NULL;
    }
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    num_mpz_scaled(x, &m, scale, p);
    num_mpz_scaled(y, &n, scale, q);
    if (negate) {
        mpz_sub(p, p, q);
    } else {
        mpz_add(p, p, q);
    }
    struct status *st = num_store_checked(a, p, scale, out);
    mpz_clears(p, q, NULL);
    return st;
}

struct status *numeric_add(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out)
{
    return add_signed(a, x, y, false, out);
}

struct status *numeric_sub(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out)
{
    return add_signed(a, x, y, true, out);
}

struct status *numeric_mul(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out)
{
    struct num m, n;
    num_load(x, &m);
    num_load(y, &n);
    int scale = m.scale + n.scale;
    if (m.is_small && n.is_small && scale <= NUMERIC_SCALE_MAX) {
        *out = num_store_i128(a, (__int128)m.v * n.v, scale);
        return NULL;
    }
    if (!num_is_finite(&m) || !num_is_finite(&n)) {
        int sign = sign_of(&m, x) * sign_of(&n, y);
        *out = sign == 0 ? numeric_nan(a) : numeric_infinity(a, sign < 0);
        return NULL;
    }
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    num_mpz(x, p);
    num_mpz(y, q);
    mpz_mul(p, p, q);
    struct status *st = num_store_checked(a, p, scale, out);
    mpz_clears(p, q, NULL);
    return st;
}

/* ---- division ---- */

static struct status *division_by_zero(void)
{
    return status_sql(INVALID, "22012", "division by zero");
}

/* Result for operands that are not both finite; true when it was such a case. */
static bool div_special(struct arena *a, const struct num *m, const struct num *n,
                        const struct datum *x, const struct datum *y, struct datum *out,
                        struct status **out_st)
{
    *out_st = NULL;
    if (num_is_finite(m) && num_is_finite(n)) {
        return false;
    }
    if (m->kind == NUM_NAN || n->kind == NUM_NAN || (!num_is_finite(m) && !num_is_finite(n))) {
        *out = numeric_nan(a);
    } else if (!num_is_finite(m)) {
        int sign = numeric_sign(x) * numeric_sign(y);
        if (sign == 0) {
            *out_st = division_by_zero();
        } else {
            *out = numeric_infinity(a, sign < 0);
        }
    } else {
        *out = numeric_from_int8(a, 0);
    }
    return true;
}

/* Scale of a quotient: at least 16 significant digits, estimated from the first digits. */
static int div_scale(const struct datum *x, const struct num *m, const struct datum *y,
                     const struct num *n)
{
    int w1, w2, f1, f2;
    num_weight(x, m, &w1, &f1);
    num_weight(y, n, &w2, &f2);
    int qweight = w1 - w2 - (f1 <= f2);
    int scale = NUM_SIG_DIGITS_MIN - qweight * 4;
    scale = scale < m->scale ? m->scale : scale;
    scale = scale < n->scale ? n->scale : scale;
    scale = scale < 0 ? 0 : scale;
    return scale > NUM_DISPLAY_SCALE_MAX ? NUM_DISPLAY_SCALE_MAX : scale;
}

/* x / y in small integers, rounded at `scale`. False when it does not fit. */
static bool div_small(struct arena *a, const struct num *m, const struct num *n, int scale,
                      struct datum *out)
{
    int up = scale + n->scale - m->scale;
    if (!m->is_small || !n->is_small || up < 0 || up > 36) {
        return false;
    }
    __int128 num = m->v;
    for (int left = up; left > 0;) {
        int step = left > SMALL_SCALE_DIFF ? SMALL_SCALE_DIFF : left;
        if (__builtin_mul_overflow(num, (__int128)num_pow10_small[step], &num)) {
            return false;
        }
        left -= step;
    }
    __int128 den = n->v, q = num / den, r = num % den;
    unsigned __int128 ur = r < 0 ? -(unsigned __int128)r : (unsigned __int128)r;
    unsigned __int128 ud = den < 0 ? -(unsigned __int128)den : (unsigned __int128)den;
    if (ur * 2 >= ud) {
        q += (num < 0) == (den < 0) ? 1 : -1;
    }
    *out = num_store_i128(a, q, scale);
    return true;
}

struct status *numeric_div(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out)
{
    struct num m, n;
    struct status *st;
    num_load(x, &m);
    num_load(y, &n);
    if (div_special(a, &m, &n, x, y, out, &st)) {
        return st;
    }
    if (numeric_sign(y) == 0) {
        return division_by_zero();
    }
    int scale = div_scale(x, &m, y, &n);
    if (div_small(a, &m, &n, scale, out)) {
        return NULL;
    }
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    num_mpz(x, p);
    num_mpz(y, q);
    int up = scale + n.scale - m.scale;
    scale_up(up >= 0 ? p : q, (uint64_t)(up >= 0 ? up : -up));
    num_div_round(p, p, q);
    st = num_store_checked(a, p, scale, out);
    mpz_clears(p, q, NULL);
    return st;
}

struct status *numeric_div_trunc(struct arena *a, const struct datum *x, const struct datum *y,
                                 struct datum *out)
{
    struct num m, n;
    struct status *st;
    num_load(x, &m);
    num_load(y, &n);
    if (div_special(a, &m, &n, x, y, out, &st)) {
        return st;
    }
    if (numeric_sign(y) == 0) {
        return division_by_zero();
    }
    int scale = m.scale > n.scale ? m.scale : n.scale;
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    num_mpz_scaled(x, &m, scale, p);
    num_mpz_scaled(y, &n, scale, q);
    mpz_tdiv_q(p, p, q);
    st = num_store_checked(a, p, 0, out);
    mpz_clears(p, q, NULL);
    return st;
}

struct status *numeric_mod(struct arena *a, const struct datum *x, const struct datum *y,
                           struct datum *out)
{
    struct num m, n;
    num_load(x, &m);
    num_load(y, &n);
    if (!num_is_finite(&m) || !num_is_finite(&n)) {
        if (m.kind == NUM_NAN || n.kind == NUM_NAN) {
            *out = numeric_nan(a);
        } else if (!num_is_finite(&m)) {
            if (num_is_finite(&n) && numeric_sign(y) == 0) {
                return division_by_zero();
            }
            *out = numeric_nan(a);
        } else {
            *out = datum_copy(a, TYPE_NUMERIC, x);
        }
        return NULL;
    }
    if (numeric_sign(y) == 0) {
        return division_by_zero();
    }
    int scale = m.scale > n.scale ? m.scale : n.scale;
    __int128 vm, vn;
    if (align_small(&m, &n, &vm, &vn)) {
        *out = num_store_i128(a, vm % vn, scale);
        return NULL;
    }
    mpz_t p, q;
    mpz_inits(p, q, NULL);
    num_mpz_scaled(x, &m, scale, p);
    num_mpz_scaled(y, &n, scale, q);
    mpz_tdiv_r(p, p, q);
    struct status *st = num_store_checked(a, p, scale, out);
    mpz_clears(p, q, NULL);
    return st;
}

/* ---- one operand ---- */

static struct datum with_kind(struct arena *a, const struct datum *x, enum numeric_kind kind)
{
    uint8_t *p = arena_alloc(a, x->len);
    memcpy(p, x->p, x->len);
    p[0] = (uint8_t)kind;
    return datum_bytes(slice_make(p, x->len));
}

struct datum numeric_neg(struct arena *a, const struct datum *x)
{
    switch ((enum numeric_kind)x->p[0]) {
    case NUM_POS:
        return with_kind(a, x, x->len > NUM_HEADER ? NUM_NEG : NUM_POS);
    case NUM_NEG:
        return with_kind(a, x, NUM_POS);
    case NUM_PINF:
        return numeric_infinity(a, true);
    case NUM_NINF:
        return numeric_infinity(a, false);
    default:
        return numeric_nan(a);
    }
}

struct datum numeric_abs(struct arena *a, const struct datum *x)
{
    return numeric_sign(x) < 0 ? numeric_neg(a, x) : with_kind(a, x, (enum numeric_kind)x->p[0]);
}

struct datum numeric_sign_of(struct arena *a, const struct datum *x)
{
    return numeric_is_nan(x) ? numeric_nan(a) : numeric_from_int8(a, numeric_sign(x));
}

enum round_mode { ROUND_HALF, ROUND_CUT, ROUND_UP, ROUND_DOWN };

/* Brings a finite value to `scale` digits after the point (negative: zeros before it). */
static struct datum to_scale(struct arena *a, const struct datum *x, int scale,
                             enum round_mode mode)
{
    struct num n;
    num_load(x, &n);
    if (!num_is_finite(&n)) {
        return with_kind(a, x, n.kind);
    }
    if (n.is_small && n.scale == scale) {
        return datum_copy(a, TYPE_NUMERIC, x);
    }
    if (n.is_small && scale >= 0 && scale > n.scale && scale - n.scale <= SMALL_SCALE_DIFF) {
        return num_store_i128(a, (__int128)n.v * num_pow10_small[scale - n.scale], scale);
    }
    if (n.is_small && scale >= 0 && scale < n.scale && mode == ROUND_HALF) {
        return num_store_i128(a, round_i64(n.v, n.scale - scale), scale);
    }
    mpz_t m;
    mpz_init(m);
    num_mpz(x, m);
    int up = scale - n.scale;
    if (up >= 0) {
        scale_up(m, (uint64_t)up);
    } else if (mode == ROUND_HALF || mode == ROUND_CUT) {
        scale_down(m, (uint64_t)-up, mode == ROUND_HALF);
    } else {
        mpz_t p;
        mpz_init(p);
        num_pow10(p, (uint64_t)-up);
        if (mode == ROUND_UP) {
            mpz_cdiv_q(m, m, p);
        } else {
            mpz_fdiv_q(m, m, p);
        }
        mpz_clear(p);
    }
    if (scale < 0) {
        scale_up(m, (uint64_t)-scale);
        scale = 0;
    }
    struct datum d = num_store(a, m, scale);
    mpz_clear(m);
    return d;
}

static int clamp_scale(int32_t scale)
{
    return scale > NUM_RESULT_SCALE_MAX    ? NUM_RESULT_SCALE_MAX
           : scale < -NUM_RESULT_SCALE_MAX ? -NUM_RESULT_SCALE_MAX
                                           : scale;
}

struct datum numeric_round(struct arena *a, const struct datum *x, int32_t scale)
{
    return to_scale(a, x, clamp_scale(scale), ROUND_HALF);
}

struct datum numeric_trunc(struct arena *a, const struct datum *x, int32_t scale)
{
    return to_scale(a, x, clamp_scale(scale), ROUND_CUT);
}

struct datum numeric_ceil(struct arena *a, const struct datum *x)
{
    return to_scale(a, x, 0, ROUND_UP);
}

struct datum numeric_floor(struct arena *a, const struct datum *x)
{
    return to_scale(a, x, 0, ROUND_DOWN);
}

struct datum numeric_trim_scale(struct arena *a, const struct datum *x)
{
    return to_scale(a, x, numeric_min_scale(x), ROUND_CUT);
}

struct status *numeric_apply_typmod(struct arena *a, const struct datum *d, int32_t typmod,
                                    struct datum *out)
{
    if (typmod < 4 || numeric_is_nan(d)) {
        *out = *d;
        return NULL;
    }
    int precision = ((typmod - 4) >> 16) & 0xffff;
    int scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
    if (numeric_is_inf(d)) {
        return status_detail(status_sql(INVALID, "22003", "numeric field overflow"),
                             "A field with precision %d, scale %d cannot hold an infinite value.",
                             precision, scale);
    }
    struct datum r = to_scale(a, d, scale, ROUND_HALF);
    struct num n;
    num_load(&r, &n);
    int digits = 0; /* before the point; 0.05 has -1 */
    if (n.is_small) {
        digits = digits_of_i64(n.v) - n.scale;
    } else {
        mpz_t m;
        mpz_init(m);
        num_mpz(&r, m);
        digits = (int)num_digits(m) - n.scale;
        mpz_clear(m);
    }
    int most = precision - scale;
    if (numeric_sign(&r) != 0 && digits > most) {
        return status_detail(
            status_sql(INVALID, "22003", "numeric field overflow"),
            "A field with precision %d, scale %d must round to an absolute value less than %s%d.",
            precision, scale, most ? "10^" : "", most ? most : 1);
    }
    *out = r;
    return NULL;
}
