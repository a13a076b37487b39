/*
 * numeric in text, in PostgreSQL's binary form, and to and from floating point.
 *
 * Binary form: ndigits i16 | weight i16 | sign u16 (0 +, 4000 -, C000 NaN, D000 Infinity, F000
 * -Infinity) | display scale u16 | base-10000 digits, the first worth 10000^weight.
 */
#include "numeric_internal.h"
#include "value.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text ---- */

static bool parse_word(struct arena *a, struct slice t, struct datum *out)
{
    bool neg = t.len > 0 && t.data[0] == '-';
    bool sign = neg || (t.len > 0 && t.data[0] == '+');
    struct slice word = slice_make(t.data + sign, t.len - sign);
    if (!sign && slice_is_word(t, "nan")) {
        *out = numeric_nan(a);
        return true;
    }
    if (slice_is_word(word, "infinity") || slice_is_word(word, "inf")) {
        *out = numeric_infinity(a, neg);
        return true;
    }
    return false;
}

/* A number taken apart: where its digits are, and what its exponent says. */
struct parts {
    bool neg;
    const uint8_t *digits; /* digits with at most one point among them */
    size_t len;
    size_t ndigits; /* without leading zeros */
    size_t nfraction;
    int64_t exponent;
};

static bool split(struct slice t, struct parts *p)
{
    size_t i = 0, all = 0;
    bool point = false;
    *p = (struct parts){0};
    if (i < t.len && (t.data[i] == '-' || t.data[i] == '+')) {
        p->neg = t.data[i++] == '-';
    }
    p->digits = t.data + i;
    for (; i < t.len && (is_digit(t.data[i]) || (t.data[i] == '.' && !point)); i++) {
        if (t.data[i] == '.') {
            point = true;
            continue;
        }
        all++;
        p->nfraction += point;
        p->ndigits += p->ndigits > 0 || t.data[i] != '0';
    }
    p->len = (size_t)(t.data + i - p->digits);
    if (all == 0) {
        return false;
    }
    if (i < t.len && (t.data[i] == 'e' || t.data[i] == 'E')) {
        bool neg = false;
        i++;
        if (i < t.len && (t.data[i] == '-' || t.data[i] == '+')) {
            neg = t.data[i++] == '-';
        }
        size_t start = i;
        for (; i < t.len && is_digit(t.data[i]); i++) {
            if (p->exponent < INT32_MAX) {
                p->exponent = p->exponent * 10 + (t.data[i] - '0');
            }
        }
        if (i == start) {
            return false;
        }
        p->exponent = neg ? -p->exponent : p->exponent;
    }
    return i == t.len;
}

/* The digits as one integer. */
static struct status *digits_to_mpz(struct arena *a, const struct parts *p, mpz_t m)
{
    TRY(arena_reserve(a, p->len + 1));
    char *text = arena_alloc(a, p->len + 1);
    size_t n = 0;
    for (size_t i = 0; i < p->len; i++) {
        if (p->digits[i] != '.') {
            text[n++] = (char)p->digits[i];
        }
    }
    text[n] = '\0';
    mpz_set_str(m, text, 10);
    if (p->neg) {
        mpz_neg(m, m);
    }
    return NULL;
}

struct status *numeric_parse(struct arena *a, struct slice text, struct datum *out)
{
    struct slice t = slice_trim(text);
    struct parts p;
    if (!split(t, &p)) {
        if (parse_word(a, t, out)) {
            return NULL;
        }
        return input_syntax_error("numeric", text);
    }
    int64_t scale = (int64_t)p.nfraction - p.exponent;
    if (p.exponent >= INT32_MAX / 2 || p.exponent <= -(INT32_MAX / 2) ||
        scale > NUMERIC_SCALE_MAX) {
        return num_overflow();
    }
    if (p.ndigits == 0) {
        *out = num_store_i128(a, 0, scale < 0 ? 0 : (int)scale);
        return NULL;
    }
    if ((int64_t)p.ndigits - scale > NUMERIC_WEIGHT_DIGITS_MAX) {
        return num_overflow();
    }
    if (p.ndigits <= 18 && scale >= 0) {
        int64_t v = 0;
        for (size_t i = 0; i < p.len; i++) {
            v = p.digits[i] == '.' ? v : v * 10 + (p.digits[i] - '0');
        }
        *out = num_store_i128(a, p.neg ? -v : v, (int)scale);
        return NULL;
    }
    mpz_t m;
    mpz_init(m);
    struct status *st = digits_to_mpz(a, &p, m);
    if (st == NULL) {
        st = num_store_checked(a, m, scale, out);
    }
    mpz_clear(m);
    return st;
}

/* Writes n digits (no sign) with the point `scale` digits from the right. */
static void put_digits(struct buf *out, const char *digits, size_t n, size_t scale)
{
    if (n <= scale) {
        buf_put_u8(out, '0');
        if (scale > 0) {
            buf_put_u8(out, '.');
            memset(buf_extend(out, scale - n), '0', scale - n);
            buf_put(out, digits, n);
        }
        return;
    }
    buf_put(out, digits, n - scale);
    if (scale > 0) {
        buf_put_u8(out, '.');
        buf_put(out, digits + n - scale, scale);
    }
}

/* Decimal digits of the magnitude; "" for zero. Freed by gmp_text_free() unless it is `tmp`. */
static char *magnitude_text(const struct datum *d, char tmp[24], size_t *out_len)
{
    struct num n;
    num_load(d, &n);
    if (n.is_small) {
        uint64_t u = n.v < 0 ? 0 - (uint64_t)n.v : (uint64_t)n.v;
        char *p = tmp + 24;
        while (u > 0) {
            *--p = (char)('0' + u % 10);
            u /= 10;
        }
        *out_len = (size_t)(tmp + 24 - p);
        memmove(tmp, p, *out_len);
        return tmp;
    }
    mpz_t m;
    mpz_init(m);
    num_mpz(d, m);
    mpz_abs(m, m);
    char *text = mpz_get_str(NULL, 10, m);
    mpz_clear(m);
    *out_len = strlen(text);
    return text;
}

static void magnitude_text_free(char *text, const char *tmp, size_t len)
{
    if (text != tmp) {
        void (*gmp_free)(void *, size_t);
        mp_get_memory_functions(NULL, NULL, &gmp_free);
        gmp_free(text, len + 1);
    }
}

void numeric_format(const struct datum *d, struct buf *out)
{
    switch ((enum numeric_kind)d->p[0]) {
    case NUM_NAN:
        buf_put(out, "NaN", 3);
        return;
    case NUM_PINF:
        buf_put(out, "Infinity", 8);
        return;
    case NUM_NINF:
        buf_put(out, "-Infinity", 9);
        return;
    case NUM_NEG:
        buf_put_u8(out, '-');
        break;
    case NUM_POS:
        break;
    }
    char tmp[24];
    size_t n;
    char *digits = magnitude_text(d, tmp, &n);
    put_digits(out, digits, n, (size_t)numeric_scale(d));
    magnitude_text_free(digits, tmp, n);
}

/* ---- floating point ---- */

static struct datum from_double(struct arena *a, double v, int digits)
{
    if (isnan(v)) {
        return numeric_nan(a);
    }
    if (isinf(v)) {
        return numeric_infinity(a, v < 0);
    }
    char text[40];
    struct datum d = DATUM_NULL;
    int n = snprintf(text, sizeof text, "%.*g", digits, v);
    struct status *st = numeric_parse(a, slice_make(text, (size_t)n), &d);
    if (status_consume(st)) { /* cannot be: every double is in range */
        return numeric_nan(a);
    }
    return d;
}

struct datum numeric_from_float8(struct arena *a, double v)
{
    return from_double(a, v, DBL_DIG);
}

struct datum numeric_from_float4(struct arena *a, float v)
{
    return from_double(a, (double)v, FLT_DIG);
}

/* Nearest double (or float); out of range: errno is ERANGE and the result what strtod says. */
static double to_double(const struct datum *d, bool is_float)
{
    struct num n;
    num_load(d, &n);
    errno = 0;
    switch (n.kind) {
    case NUM_NAN:
        return (double)NAN;
    case NUM_PINF:
        return HUGE_VAL;
    case NUM_NINF:
        return -HUGE_VAL;
    default:
        break;
    }
    /* Both exact, so that the quotient is rounded once. */
    if (!is_float && n.is_small && n.scale <= 18 && n.v < (INT64_C(1) << 53) &&
        n.v > -(INT64_C(1) << 53)) {
        return (double)n.v / (double)num_pow10_small[n.scale];
    }
    struct buf text = {0};
    numeric_format(d, &text);
    buf_put_u8(&text, 0);
    double v = is_float ? (double)strtof((char *)text.data, NULL) : strtod((char *)text.data, NULL);
    int err = errno;
    buf_deinit(&text);
    errno = err;
    return v;
}

double numeric_to_double_approx(const struct datum *d)
{
    return to_double(d, false);
}

static struct status *to_float(const struct datum *d, bool is_float, double *out)
{
    double v = to_double(d, is_float);
    if (errno == ERANGE && (v == 0 || isinf(v))) {
        struct buf text = {0};
        numeric_format(d, &text);
        struct status *st =
            status_sql(INVALID, "22003", "\"%.*s\" is out of range for type %s",
                       (int)(text.len > 1000 ? 1000 : text.len), (const char *)text.data,
                       is_float ? "real" : "double precision");
        buf_deinit(&text);
        return st;
    }
    *out = v;
    return NULL;
}

struct status *numeric_to_float8(const struct datum *d, double *out)
{
    return to_float(d, false, out);
}

struct status *numeric_to_float4(const struct datum *d, double *out)
{
    return to_float(d, true, out);
}

/* ---- binary ---- */

enum { WIRE_NEG = 0x4000, WIRE_NAN = 0xc000, WIRE_PINF = 0xd000, WIRE_NINF = 0xf000 };

static struct status *bad_wire(const char *what)
{
    return status_sql(INVALID, "22P03", "invalid %s in external \"numeric\" value", what);
}

struct status *numeric_recv(struct arena *a, struct slice bytes, struct datum *out)
{
    struct reader r;
    reader_init(&r, bytes);
    size_t ndigits = read_u16(&r);
    int weight = (int16_t)read_u16(&r);
    int sign = read_u16(&r), scale = read_u16(&r);
    if (!reader_ok(&r) || reader_left(&r) != ndigits * 2) {
        return bad_wire("length");
    }
    switch (sign) {
    case WIRE_NAN:
        *out = numeric_nan(a);
        return NULL;
    case WIRE_PINF:
    case WIRE_NINF:
        *out = numeric_infinity(a, sign == WIRE_NINF);
        return NULL;
    case 0:
    case WIRE_NEG:
        break;
    default:
        return bad_wire("sign");
    }
    if (scale > NUMERIC_SCALE_MAX) {
        return bad_wire("scale");
    }
    TRY(arena_reserve(a, ndigits * 4 + 8));
    char *text = arena_alloc(a, ndigits * 4 + 2);
    text[0] = '0';
    for (size_t i = 0; i < ndigits; i++) {
        int digit = read_u16(&r);
        if (digit > 9999) {
            return bad_wire("digit");
        }
        snprintf(text + 1 + i * 4, 5, "%04d", digit);
    }
    text[1 + ndigits * 4] = '\0';
    mpz_t m, p;
    mpz_inits(m, p, NULL);
    mpz_set_str(m, text, 10);
    /* The integer is worth 10^exponent; cut it to the display scale. */
    int64_t exponent = ((int64_t)weight - (int64_t)ndigits + 1) * 4;
    struct status *st = NULL;
    if (mpz_sgn(m) != 0) {
        int64_t up = exponent + scale;
        if (up > 0 && up > 2 * (NUMERIC_WEIGHT_DIGITS_MAX + NUMERIC_SCALE_MAX)) {
            st = num_overflow();
            goto out;
        }
        num_pow10(p, (uint64_t)(up < 0 ? -up : up));
        if (up < 0) {
            mpz_tdiv_q(m, m, p);
        } else {
            mpz_mul(m, m, p);
        }
        if (sign == WIRE_NEG) {
            mpz_neg(m, m);
        }
    }
    st = num_store_checked(a, m, scale, out);
out:
    mpz_clears(m, p, NULL);
    return st;
}

void numeric_send(const struct datum *d, struct buf *out)
{
    enum numeric_kind kind = (enum numeric_kind)d->p[0];
    if (kind > NUM_NEG) {
        buf_put_u32(out, 0);
        buf_put_u16(out, kind == NUM_NAN ? WIRE_NAN : kind == NUM_PINF ? WIRE_PINF : WIRE_NINF);
        buf_put_u16(out, kind == NUM_NAN ? 0 : 0x20); /* as PostgreSQL 15 sends it */
        return;
    }
    char tmp[24];
    size_t n;
    char *digits = magnitude_text(d, tmp, &n);
    int scale = numeric_scale(d);
    /* Groups of four are counted from the decimal point: the digit at index i (from the left) is
     * worth 10^(n - 1 - scale - i). */
    int top = (int)n - 1 - scale;
    int weight = n == 0 ? 0 : top >= 0 ? top / 4 : -((-top + 3) / 4);
    int lead = n == 0 ? 0 : 3 - (top - weight * 4); /* zeros before the first digit of its group */
    size_t groups = n == 0 ? 0 : ((size_t)lead + n + 3) / 4;
    size_t at = out->len;
    buf_put_u16(out, 0);
    buf_put_u16(out, (uint16_t)weight);
    buf_put_u16(out, kind == NUM_NEG ? WIRE_NEG : 0);
    buf_put_u16(out, (uint16_t)scale);
    size_t used = 0; /* groups up to the last that is not zero */
    for (size_t g = 0; g < groups; g++) {
        int value = 0;
        for (size_t k = 0; k < 4; k++) {
            size_t i = g * 4 + k;
            bool has = i >= (size_t)lead && i - (size_t)lead < n;
            value = value * 10 + (has ? digits[i - (size_t)lead] - '0' : 0);
        }
        buf_put_u16(out, (uint16_t)value);
        used = value != 0 ? g + 1 : used;
    }
    out->len = at + 8 + used * 2;
    set_u16(out->data + at, (uint16_t)used);
    magnitude_text_free(digits, tmp, n);
}
