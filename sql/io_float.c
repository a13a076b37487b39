/*
 * float4 and float8. Output is the shortest decimal that reads back as the same value, in the
 * layout of PostgreSQL 12 and later: plain up to 15 (float4: 6) integer digits and down to 1e-04,
 * scientific with at least two exponent digits beyond.
 *
 * The shortest digits are found by trying: a decimal of 15 (6) digits always survives the way
 * through the type, so when the 15-digit form reads back it is the shortest once its trailing zeros
 * are gone; otherwise 16 and 17 are tried. Where the value is a power of two its lower neighbour is
 * nearer than the upper one, so that the correctly rounded 16 digits may miss while the next
 * decimal above hits: that one is tried too. Subnormals try every length.
 */
#include "value.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct status *float_range_error(const char *what, struct slice s)
{
    return status_sql(INVALID, "22003", "\"%.*s\" is out of range for type %s",
                      (int)(s.len > 1000 ? 1000 : s.len), (const char *)s.data, what);
}

static bool float_word(struct slice t, double *out)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"nan", (double)NAN},
                 {"infinity", (double)INFINITY},
                 {"+infinity", (double)INFINITY},
                 {"-infinity", -(double)INFINITY},
                 {"inf", (double)INFINITY},
                 {"+inf", (double)INFINITY},
                 {"-inf", -(double)INFINITY}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (slice_is_word(t, words[i].word)) {
            *out = words[i].value;
            return true;
        }
    }
    return false;
}

/* Only what a decimal number is made of: strtod() would take hexadecimal and more. */
static bool float_shape(struct slice t)
{
    size_t i = 0, digits = 0;
    if (i < t.len && (t.data[i] == '-' || t.data[i] == '+')) {
        i++;
    }
    for (; i < t.len && is_digit(t.data[i]); i++, digits++) {
    }
    if (i < t.len && t.data[i] == '.') {
        for (i++; i < t.len && is_digit(t.data[i]); i++, digits++) {
        }
    }
    if (digits == 0) {
        return false;
    }
    if (i < t.len && (t.data[i] == 'e' || t.data[i] == 'E')) {
        i++;
        if (i < t.len && (t.data[i] == '-' || t.data[i] == '+')) {
            i++;
        }
        size_t start = i;
        for (; i < t.len && is_digit(t.data[i]); i++) {
        }
        if (i == start) {
            return false;
        }
    }
    return i == t.len;
}

struct status *float_input(type_oid type, struct slice s, double *out)
{
    const char *what = type == TYPE_FLOAT4 ? "real" : "double precision";
    struct slice t = slice_trim(s);
    if (float_word(t, out)) {
        return NULL;
    }
    if (!float_shape(t)) {
        return input_syntax_error(what, s);
    }
    char small[128];
    char *text = t.len < sizeof small ? small : malloc(t.len + 1);
    if (text == NULL) {
        return status_new(LIMIT, "out of memory reading a number of %zu bytes", t.len);
    }
    memcpy(text, t.data, t.len);
    text[t.len] = '\0';
    errno = 0;
    double v = type == TYPE_FLOAT4 ? (double)strtof(text, NULL) : strtod(text, NULL);
    bool range = errno == ERANGE && (v == 0 || isinf(v));
    if (text != small) {
        free(text);
    }
    if (range) {
        return float_range_error(what, t);
    }
    *out = v;
    return NULL;
}

/* Reads "d.ddde[+-]xx" back as the type. */
static double read_back(const char *text, bool is_float)
{
    return is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
}

/*
 * Whether the decimal lies exactly half way between two values of the type. Such a one reads back
 * only by the rule that ties go to even; PostgreSQL does not count on it, and neither do we. d *
 * 10^k with at most 17 digits can only be such a point when k >= 0 and d * 5^k, without its factors
 * of two, has exactly one bit more than the type's significand.
 */
static bool is_tie(const char *text, bool is_float)
{
    uint64_t d = 0;
    int digits = 0;
    const char *p = text;
    for (; *p != 'e'; p++) {
        if (*p != '.') {
            d = d * 10 + (uint64_t)(*p - '0');
            digits++;
        }
    }
    int k = atoi(p + 1) - (digits - 1);
    while (d != 0 && d % 10 == 0) {
        d /= 10;
        k++;
    }
    if (k < 0 || k > 23 || d == 0) {
        return false;
    }
    unsigned __int128 odd = d;
    for (int i = 0; i < k; i++) {
        odd *= 5;
    }
    while ((odd & 1) == 0) {
        odd >>= 1;
    }
    int bits = 0;
    for (; odd != 0; odd >>= 1) {
        bits++;
    }
    return bits == (is_float ? FLT_MANT_DIG : DBL_MANT_DIG) + 1;
}

/* Adds one unit to the last digit of "d.ddde..." in place. False when it carries out of the front.
 */
static bool bump_last_digit(char *text)
{
    char *e = strchr(text, 'e');
    for (char *p = e - 1; p >= text; p--) {
        if (*p == '.') {
            continue;
        }
        if (*p != '9') {
            (*p)++;
            return true;
        }
        *p = '0';
    }
    return false;
}

/* text: "d.ddde+xx" of the positive finite v with as few digits as read back. */
static void shortest(double v, bool is_float, char *text, size_t size)
{
    int sure = is_float ? FLT_DIG : DBL_DIG, most = is_float ? 9 : 17;
    bool is_subnormal = v < (is_float ? (double)FLT_MIN : DBL_MIN);
    int exp2;
    bool is_power_of_two = frexp(v, &exp2) == 0.5;
    for (int digits = is_subnormal ? 1 : sure; digits < most; digits++) {
        snprintf(text, size, "%.*e", digits - 1, v);
        if (read_back(text, is_float) == v && !is_tie(text, is_float)) {
            return;
        }
        if (is_power_of_two && bump_last_digit(text) && read_back(text, is_float) == v &&
            !is_tie(text, is_float)) {
            return;
        }
    }
    snprintf(text, size, "%.*e", most - 1, v);
}

static void float_output(double v, bool is_float, struct buf *out)
{
    if (isnan(v)) {
        buf_put(out, "NaN", 3);
        return;
    }
    if (signbit(v)) {
        buf_put_u8(out, '-');
        v = -v;
    }
    if (isinf(v)) {
        buf_put(out, "Infinity", 8);
        return;
    }
    int plain_max = is_float ? FLT_DIG : DBL_DIG; /* integer digits before scientific */
    if (v == floor(v) && v < (is_float ? 1e6 : 1e15)) {
        int_output((int64_t)v, out);
        return;
    }
    char text[40];
    shortest(v, is_float, text, sizeof text);
    char digits[20];
    int n = 0;
    const char *p = text;
    for (; *p != 'e'; p++) {
        if (*p != '.') {
            digits[n++] = *p;
        }
    }
    int exp10 = atoi(p + 1);
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    if (exp10 < -4 || exp10 >= plain_max) {
        buf_put_u8(out, (uint8_t)digits[0]);
        if (n > 1) {
            buf_put_u8(out, '.');
            buf_put(out, digits + 1, (size_t)n - 1);
        }
        buf_printf(out, "e%c%02d", exp10 < 0 ? '-' : '+', abs(exp10));
        return;
    }
    if (exp10 < 0) {
        buf_put(out, "0.", 2);
        for (int i = -1; i > exp10; i--) {
            buf_put_u8(out, '0');
        }
        buf_put(out, digits, (size_t)n);
        return;
    }
    for (int i = 0; i <= exp10 || i < n; i++) {
        if (i == exp10 + 1) {
            buf_put_u8(out, '.');
        }
        buf_put_u8(out, i < n ? (uint8_t)digits[i] : '0');
    }
}

void float8_output(double v, struct buf *out)
{
    float_output(v, false, out);
}

void float4_output(double v, struct buf *out)
{
    float_output(v, true, out);
}
