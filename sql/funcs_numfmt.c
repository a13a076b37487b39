/*
 * to_char(number, picture) and to_number(text, picture).
 *
 * A picture is parsed into items; the number, rounded to the digits after the point, is then laid
 * over the digit positions from the right. The sign floats to the first digit shown unless S, MI,
 * PL, SG or PR place it. C locale: D is '.', G is ',', L is blank.
 */
#include "funcs.h"

#include "base/mem.h"
#include "sql/numeric.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum item_kind {
    ITEM_NINE,
    ITEM_ZERO,
    ITEM_POINT,
    ITEM_GROUP,
    ITEM_SIGN,  /* S */
    ITEM_MINUS, /* MI */
    ITEM_PLUS,  /* PL */
    ITEM_BOTH,  /* SG */
    ITEM_ANGLE, /* PR */
    ITEM_CURRENCY,
    ITEM_ORDINAL,
    ITEM_ORDINAL_LOWER,
    ITEM_SHIFT, /* V */
    ITEM_EXPONENT,
    ITEM_ROMAN,
    ITEM_ROMAN_LOWER,
    ITEM_TEXT,
};

struct item {
    enum item_kind kind;
    struct slice text;
};

enum { ITEMS_MAX = 256, DIGITS_MAX = 200 };

struct picture {
    struct item items[ITEMS_MAX];
    int n;
    int pre, post; /* digit positions before and after the point */
    int shift;     /* positions after V */
    int zero_from; /* first position of a 0 among the pre ones; pre when none */
    int last_zero; /* positions after the point that FM keeps */
    bool fill;     /* FM */
    bool has_sign, has_minus, has_plus, has_both, has_angle, has_point, has_shift, has_exponent;
    bool has_roman;
};

static struct status *bad_picture(const char *what)
{
    return status_sql(INVALID, "42601", "%s", what);
}

static const struct {
    const char *word;
    enum item_kind kind;
} words[] = {
    {"EEEE", ITEM_EXPONENT}, {"MI", ITEM_MINUS}, {"PL", ITEM_PLUS},    {"PR", ITEM_ANGLE},
    {"RN", ITEM_ROMAN},      {"SG", ITEM_BOTH},  {"TH", ITEM_ORDINAL}, {"9", ITEM_NINE},
    {"0", ITEM_ZERO},        {".", ITEM_POINT},  {"D", ITEM_POINT},    {",", ITEM_GROUP},
    {"G", ITEM_GROUP},       {"S", ITEM_SIGN},   {"L", ITEM_CURRENCY}, {"V", ITEM_SHIFT},
};

static struct status *put_item(struct picture *p, enum item_kind kind, struct slice text)
{
    if (p->n >= ITEMS_MAX) {
        return status_sql(LIMIT, "54000", "number picture is too long");
    }
    p->items[p->n++] = (struct item){kind, text};
    return NULL;
}

static struct status *count_item(struct picture *p, enum item_kind kind)
{
    switch (kind) {
    case ITEM_NINE:
    case ITEM_ZERO:
        if (p->has_angle) {
            return bad_picture("\"9\" must be ahead of \"PR\"");
        }
        if (p->has_shift) {
            p->shift++;
        } else if (p->has_point) {
            p->post++;
            p->last_zero = kind == ITEM_ZERO ? p->post : p->last_zero;
        } else {
            if (kind == ITEM_ZERO && p->zero_from < 0) {
                p->zero_from = p->pre;
            }
            p->pre++;
        }
        break;
    case ITEM_POINT:
        if (p->has_point) {
            return bad_picture("multiple decimal points");
        }
        if (p->has_shift) {
            return bad_picture("cannot use \"V\" and decimal point together");
        }
        p->has_point = true;
        break;
    case ITEM_SHIFT:
        if (p->has_point) {
            return bad_picture("cannot use \"V\" and decimal point together");
        }
        p->has_shift = true;
        break;
    case ITEM_SIGN:
        if (p->has_sign) {
            return bad_picture("cannot use \"S\" twice");
        }
        if (p->has_plus || p->has_minus || p->has_both || p->has_angle) {
            return bad_picture("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        }
        p->has_sign = true;
        break;
    case ITEM_MINUS:
    case ITEM_PLUS:
    case ITEM_BOTH:
        if (p->has_sign) {
            return bad_picture("cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        }
        p->has_minus |= kind == ITEM_MINUS;
        p->has_plus |= kind == ITEM_PLUS;
        p->has_both |= kind == ITEM_BOTH;
        break;
    case ITEM_ANGLE:
        if (p->has_sign || p->has_plus || p->has_minus || p->has_both) {
            return bad_picture("cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
        }
        p->has_angle = true;
        break;
    case ITEM_EXPONENT:
        if (p->has_exponent) {
            return bad_picture("cannot use \"EEEE\" twice");
        }
        p->has_exponent = true;
        break;
    case ITEM_ROMAN:
    case ITEM_ROMAN_LOWER:
        p->has_roman = true;
        break;
    default:
        break;
    }
    return NULL;
}

static struct status *parse_picture(struct slice f, struct picture *p)
{
    *p = (struct picture){.zero_from = -1};
    for (size_t i = 0; i < f.len;) {
        const char *at = (const char *)f.data + i;
        size_t left = f.len - i;
        if (left >= 2 && strncasecmp(at, "FM", 2) == 0) {
            p->fill = true;
            i += 2;
            continue;
        }
        if (*at == '"') {
            size_t end = i + 1;
            while (end < f.len && f.data[end] != '"') {
                end += f.data[end] == '\\' && end + 1 < f.len ? 2 : 1;
            }
            TRY(put_item(p, ITEM_TEXT, slice_make(f.data + i + 1, end - i - 1)));
            i = end + 1;
            continue;
        }
        bool known = false;
        for (size_t w = 0; w < sizeof(words) / sizeof(words[0]) && !known; w++) {
            size_t n = strlen(words[w].word);
            if (n <= left && strncasecmp(at, words[w].word, n) == 0) {
                enum item_kind kind = words[w].kind;
                if (kind == ITEM_ORDINAL && islower((unsigned char)*at)) {
                    kind = ITEM_ORDINAL_LOWER;
                }
                if (kind == ITEM_ROMAN && islower((unsigned char)*at)) {
                    kind = ITEM_ROMAN_LOWER;
                }
                TRY(count_item(p, kind));
                TRY(put_item(p, kind, slice_make(at, n)));
                i += n;
                known = true;
            }
        }
        if (!known) {
            size_t n = utf8_char_len(f.data + i, left);
            TRY(put_item(p, ITEM_TEXT, slice_make(f.data + i, n)));
            i += n;
        }
    }
    if (p->zero_from < 0) {
        p->zero_from = p->pre;
    }
    if (p->pre + p->shift > DIGITS_MAX || p->post > DIGITS_MAX) {
        return status_sql(LIMIT, "54000", "number picture has too many digits");
    }
    if (p->has_exponent && (p->fill || p->has_sign || p->has_minus || p->has_plus || p->has_both ||
                            p->has_angle || p->has_roman || p->has_shift)) {
        if (!p->fill) {
            return status_detail(bad_picture("\"EEEE\" is incompatible with other formats"),
                                 "\"EEEE\" may only be used together with digit and decimal "
                                 "point patterns.");
        }
    }
    return NULL;
}

/* ---- laying a number over the picture ---- */

struct layout {
    const struct picture *p;
    bool negative;
    char integer[DIGITS_MAX + 8]; /* without leading zeros; may be empty */
    int nint;
    char fraction[DIGITS_MAX + 8];
    bool overflow;
    bool is_word;   /* NaN or Infinity in place of digits */
    bool keep_zero; /* a lone 0 before the point is shown */
    bool sign_done;
    struct buf *out;
};

static void put_sign(struct layout *l)
{
    const struct picture *p = l->p;
    if (l->sign_done) {
        return;
    }
    l->sign_done = true;
    if (p->has_angle) {
        if (l->negative) {
            buf_put_u8(l->out, '<');
        } else if (!p->fill) {
            buf_put_u8(l->out, ' ');
        }
    } else if (p->has_sign) {
        buf_put_u8(l->out, l->negative ? '-' : '+');
    } else if (l->negative) {
        buf_put_u8(l->out, '-');
    } else if (!p->fill) {
        buf_put_u8(l->out, ' ');
    }
}

static const char *ordinal(const struct layout *l, bool lower)
{
    static const char *const names[2][4] = {{"TH", "ST", "ND", "RD"}, {"th", "st", "nd", "rd"}};
    int last = l->nint > 0 ? l->integer[l->nint - 1] - '0' : 0;
    int tens = l->nint > 1 ? l->integer[l->nint - 2] - '0' : 0;
    return names[lower ? 1 : 0][tens != 1 && last >= 1 && last <= 3 ? last : 0];
}

/* Whether the item at i is the S that stands behind the digits. */
static bool sign_is_last(const struct picture *p)
{
    bool seen_digit = false;
    for (int i = 0; i < p->n; i++) {
        if (p->items[i].kind == ITEM_SIGN) {
            return seen_digit;
        }
        seen_digit |= p->items[i].kind == ITEM_NINE || p->items[i].kind == ITEM_ZERO;
    }
    return false;
}

static void put_layout(struct layout *l)
{
    const struct picture *p = l->p;
    int width = p->pre + p->shift, at = 0, frac = 0;
    int first = width - l->nint; /* position of the first digit of the number */
    bool in_fraction = false, shown = false;
    int kept = p->post;
    while (p->fill && kept > p->last_zero && l->fraction[kept - 1] == '0') {
        kept--;
    }
    bool trailing_sign = p->has_sign && sign_is_last(p);
    /* With MI or SG in place nothing floats; a trailing S is written at the end. */
    l->sign_done = trailing_sign || p->has_both || p->has_minus;
    if (l->overflow) {
        first = 0;
    }
    for (int i = 0; i < p->n; i++) {
        switch (p->items[i].kind) {
        case ITEM_NINE:
        case ITEM_ZERO:
            if (in_fraction) {
                put_sign(l);
                if (l->overflow) {
                    buf_put_u8(l->out, '#');
                } else if (frac < kept) {
                    buf_put_u8(l->out, (uint8_t)l->fraction[frac]);
                }
                frac++;
                break;
            }
            if (l->overflow) {
                put_sign(l);
                buf_put_u8(l->out, '#');
                shown = true;
            } else if (at >= first) {
                put_sign(l);
                buf_put_u8(l->out, (uint8_t)l->integer[at - first]);
                shown = true;
            } else if (at >= p->zero_from || (at == width - 1 && l->keep_zero)) {
                put_sign(l);
                buf_put_u8(l->out, '0');
                shown = true;
            } else if (!p->fill) {
                buf_put_u8(l->out, ' ');
            }
            at++;
            break;
        case ITEM_POINT:
            put_sign(l);
            if (l->is_word) {
                return;
            }
            in_fraction = true;
            buf_put_u8(l->out, '.');
            break;
        case ITEM_GROUP:
            if (shown || in_fraction) {
                buf_put_u8(l->out, ',');
            } else if (!p->fill) {
                buf_put_u8(l->out, ' ');
            }
            break;
        case ITEM_SIGN:
            if (trailing_sign) {
                buf_put_u8(l->out, l->negative ? '-' : '+');
            }
            break;
        case ITEM_MINUS:
            if (l->negative) {
                buf_put_u8(l->out, '-');
            } else if (!p->fill) {
                buf_put_u8(l->out, ' ');
            }
            break;
        case ITEM_PLUS:
            if (!l->negative) {
                buf_put_u8(l->out, '+');
            } else if (!p->fill) {
                buf_put_u8(l->out, ' ');
            }
            break;
        case ITEM_BOTH:
            buf_put_u8(l->out, l->negative ? '-' : '+');
            break;
        case ITEM_ANGLE:
            put_sign(l);
            if (l->negative) {
                buf_put_u8(l->out, '>');
            } else if (!p->fill) {
                buf_put_u8(l->out, ' ');
            }
            break;
        case ITEM_CURRENCY:
            if (!p->fill) {
                buf_put_u8(l->out, ' ');
            }
            break;
        case ITEM_ORDINAL:
        case ITEM_ORDINAL_LOWER:
            if (!l->negative && !l->overflow && !p->has_point) {
                buf_put_slice(l->out,
                              slice_str(ordinal(l, p->items[i].kind == ITEM_ORDINAL_LOWER)));
            }
            break;
        case ITEM_TEXT:
            buf_put_slice(l->out, p->items[i].text);
            break;
        default:
            break;
        }
    }
}

static void put_roman(const struct picture *p, const struct datum *d, struct buf *out)
{
    static const struct {
        int value;
        const char *text;
    } steps[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"},
                 {90, "XC"},  {50, "L"},   {40, "XL"}, {10, "X"},   {9, "IX"},
                 {5, "V"},    {4, "IV"},   {1, "I"}};
    char text[32] = "";
    int64_t v;
    if (status_consume(numeric_to_int(d, 1, 3999, "number", &v))) {
        buf_put_slice(out, slice_str("###############"));
        return;
    }
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        for (; v >= steps[i].value; v -= steps[i].value) {
            strncat(text, steps[i].text, sizeof(text) - strlen(text) - 1);
        }
    }
    bool lower = false;
    for (int i = 0; i < p->n; i++) {
        lower |= p->items[i].kind == ITEM_ROMAN_LOWER;
    }
    for (size_t i = strlen(text); i < 15 && !p->fill; i++) {
        buf_put_u8(out, ' ');
    }
    for (size_t i = 0; text[i] != 0; i++) {
        buf_put_u8(out, (uint8_t)(lower ? tolower((unsigned char)text[i]) : text[i]));
    }
}

static struct status *format_exponent(struct arena *a, const struct picture *p,
                                      const struct datum *d, struct buf *out)
{
    if (numeric_is_nan(d) || numeric_is_inf(d)) {
        buf_printf(out, " ");
        for (int i = 0; i < p->pre + p->post + 5; i++) {
            buf_put_u8(out, i == 1 && p->post > 0 ? '.' : '#');
        }
        return NULL;
    }
    /* Digits of the magnitude without point, and the exponent of the first one. */
    struct datum m = numeric_trim_scale(a, d);
    m = numeric_abs(a, &m);
    struct buf text = {0};
    numeric_format(&m, &text);
    int exponent = 0;
    bool is_zero = numeric_sign(d) == 0;
    if (!is_zero) {
        const char *s = (const char *)text.data, *end = s + text.len;
        const char *point = memchr(s, '.', text.len);
        const char *digit = s;
        while (digit < end && (*digit == '0' || *digit == '.')) {
            digit++;
        }
        const char *ones = (point != NULL ? point : end) - 1;
        exponent = (int)(ones - digit) + (digit > ones ? 1 : 0);
    }
    buf_deinit(&text);
    struct datum ten = numeric_from_int8(a, 10), shift, scaled = m;
    for (int round = 0; round < 2 && !is_zero; round++) {
        struct datum e = numeric_from_int8(a, exponent < 0 ? -exponent : exponent);
        TRY(numeric_power(a, &ten, &e, &shift));
        shift = numeric_round(a, &shift, 0);
        if (exponent < 0) {
            TRY(numeric_mul(a, &m, &shift, &scaled));
        } else {
            struct datum wide = numeric_round(a, &m, numeric_scale(&m) + exponent + p->post + 2);
            TRY(numeric_div(a, &wide, &shift, &scaled));
        }
        struct datum rounded = numeric_round(a, &scaled, p->post);
        if (numeric_compare(&rounded, &ten) < 0) {
            break;
        }
        exponent++; /* 9.99 has become 10.0 */
    }
    scaled = numeric_round(a, &scaled, p->post);
    buf_put_u8(out, numeric_sign(d) < 0 ? '-' : ' ');
    numeric_format(&scaled, out);
    buf_printf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    return NULL;
}

static struct status *format_number(struct eval_ctx *ctx, const struct datum *number,
                                    const struct datum *format, struct datum *out)
{
    struct picture p;
    TRY(parse_picture(datum_slice(format), &p));
    struct arena *a = ctx->arena;
    struct buf b = {0};
    if (format->len == 0) {
        *out = datum_bytes(slice_make("", 0));
        return NULL;
    }
    if (p.has_roman) {
        put_roman(&p, number, &b);
        return func_buf(ctx, &b, out);
    }
    if (p.has_exponent) {
        struct status *st = format_exponent(a, &p, number, &b);
        if (st != NULL) {
            buf_deinit(&b);
            return st;
        }
        return func_buf(ctx, &b, out);
    }
    struct layout l = {.p = &p, .out = &b};
    if (numeric_is_nan(number) || numeric_is_inf(number)) {
        const char *word = numeric_is_nan(number) ? "NaN" : "Infinity";
        l.negative = numeric_is_inf(number) && numeric_sign(number) < 0;
        l.overflow = strlen(word) > (size_t)(p.pre + p.shift);
        l.is_word = !l.overflow;
        l.nint = (int)strlen(word);
        memcpy(l.integer, word, strlen(word));
        put_layout(&l);
        return func_buf(ctx, &b, out);
    }
    struct datum d = *number;
    if (p.shift > 0) {
        struct datum ten = numeric_from_int8(a, 10), e = numeric_from_int8(a, p.shift), power, r;
        TRY(numeric_power(a, &ten, &e, &power));
        power = numeric_round(a, &power, 0);
        TRY(numeric_mul(a, &d, &power, &r));
        d = r;
    }
    d = numeric_round(a, &d, p.post);
    l.negative = numeric_sign(&d) < 0;
    d = numeric_abs(a, &d);
    struct buf text = {0};
    numeric_format(&d, &text);
    const char *point = memchr(text.data, '.', text.len);
    size_t nint = point != NULL ? (size_t)(point - (const char *)text.data) : text.len;
    size_t skip = 0;
    while (skip < nint && text.data[skip] == '0') {
        skip++;
    }
    bool int_is_zero = skip == nint;
    if (nint - skip > (size_t)(p.pre + p.shift)) {
        l.overflow = true;
    } else {
        l.nint = (int)(nint - skip);
        memcpy(l.integer, text.data + skip, nint - skip);
        if (point != NULL) {
            memcpy(l.fraction, point + 1, text.len - nint - 1);
        }
        /* "0.1" is .1 under 9.9, but a zero without decimals, or that FM leaves bare, is shown. */
        bool bare = true;
        for (int i = 0; i < p.post; i++) {
            bare &= l.fraction[i] == '0' && i >= p.last_zero;
        }
        l.keep_zero = int_is_zero && p.pre + p.shift > 0 &&
                      (p.post == 0 || numeric_sign(&d) == 0 ? p.post == 0 || (p.fill && bare)
                                                            : p.fill && bare);
    }
    buf_deinit(&text);
    put_layout(&l);
    return func_buf(ctx, &b, out);
}

FUNC(fn_to_char_num)
{
    return format_number(ctx, &args[0], &args[1], out);
}

FUNC(fn_to_char_i4)
{
    struct datum d = numeric_from_int8(ctx->arena, args[0].i);
    return format_number(ctx, &d, &args[1], out);
}

FUNC(fn_to_char_i8)
{
    return fn_to_char_i4(ctx, args, nargs, out);
}

FUNC(fn_to_char_f8)
{
    struct datum d = numeric_from_float8(ctx->arena, args[0].f);
    return format_number(ctx, &d, &args[1], out);
}

FUNC(fn_to_char_f4)
{
    struct datum d = numeric_from_float4(ctx->arena, (float)args[0].f);
    return format_number(ctx, &d, &args[1], out);
}

/* Reads digits where the picture has digits; signs, groups and blanks are passed over. */
FUNC(fn_to_number)
{
    struct picture p;
    TRY(parse_picture(datum_slice(&args[1]), &p));
    struct slice s = datum_slice(&args[0]);
    struct buf digits = {0};
    bool negative = false, has_point = false;
    int pre = 0, post = 0, width = p.pre + p.shift;
    bool any = false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == '-' || c == '<') {
            negative = true;
        } else if (c == '.' && p.has_point && !has_point) {
            has_point = true;
            buf_put_u8(&digits, '.');
        } else if (c >= '0' && c <= '9') {
            if (has_point ? post < p.post : pre < width) {
                buf_put_u8(&digits, c);
                any = true;
            }
            has_point ? post++ : pre++;
        } else if (c == '.') {
            break; /* digits that the picture does not ask for */
        }
    }
    if (!any) {
        buf_deinit(&digits);
        return status_sql(INVALID, "22P02", "invalid input syntax for type numeric: \"%s\"",
                          negative ? "-" : " ");
    }
    struct datum d;
    struct status *st = numeric_parse(ctx->arena, buf_slice(&digits), &d);
    buf_deinit(&digits);
    TRY(st);
    if (p.shift > 0) {
        struct datum ten = numeric_from_int8(ctx->arena, 10),
                     e = numeric_from_int8(ctx->arena, p.shift), power, r;
        TRY(numeric_power(ctx->arena, &ten, &e, &power));
        TRY(numeric_div(ctx->arena, &d, &power, &r));
        d = r;
    }
    *out = negative ? numeric_neg(ctx->arena, &d) : d;
    return NULL;
}
