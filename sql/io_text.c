/*
 * Text and its kin: text, varchar, bpchar, name, "char", bytea, uuid, and the UTF-8 helpers that
 * every input function shares. Text that comes in is checked to be UTF-8 without zero bytes, so
 * that text inside the system always is.
 */
#include "value.h"

/* ---- UTF-8 ---- */

/* Length of the valid sequence at p (1..4), 0 when there is none. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    if (c < 0x80) {
        return c != 0;
    }
    size_t n = c >= 0xc2 && c <= 0xdf   ? 2
               : c >= 0xe0 && c <= 0xef ? 3
               : c >= 0xf0 && c <= 0xf4 ? 4
                                        : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

/* Offset of the first byte that does not belong to a valid sequence; s.len when all do. */
static size_t utf8_first_bad(struct slice s)
{
    size_t i = 0;
    while (i < s.len) {
        uint64_t w;
        /* Eight ASCII bytes, none of them zero, at a time. */
        if (s.len - i >= 8 &&
            (memcpy(&w, s.data + i, 8),
             ((w | (w - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0)) {
            i += 8;
            continue;
        }
        size_t n = utf8_sequence(s.data + i, s.len - i);
        if (n == 0) {
            return i;
        }
        i += n;
    }
    return i;
}

bool utf8_is_valid(struct slice s)
{
    return utf8_first_bad(s) == s.len;
}

struct status *utf8_check(struct slice s)
{
    size_t at = utf8_first_bad(s);
    if (at == s.len) {
        return NULL;
    }
    uint8_t c = s.data[at];
    size_t n = c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    char hex[32];
    size_t len = 0;
    for (size_t i = at; i < s.len && i < at + n; i++) {
        static const char digits[] = "0123456789abcdef";
        if (len > 0) {
            hex[len++] = ' ';
        }
        hex[len++] = '0';
        hex[len++] = 'x';
        hex[len++] = digits[s.data[i] >> 4];
        hex[len++] = digits[s.data[i] & 15];
    }
    return status_sql(INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": %.*s",
                      (int)len, hex);
}

size_t utf8_count(struct slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        n += (s.data[i] & 0xc0) != 0x80;
    }
    return n;
}

size_t utf8_prefix(struct slice s, size_t chars)
{
    if (chars >= s.len) {
        return s.len;
    }
    size_t i = 0;
    while (i < s.len) {
        if ((s.data[i] & 0xc0) != 0x80) {
            if (chars == 0) {
                break;
            }
            chars--;
        }
        i++;
    }
    return i;
}

struct slice slice_trim(struct slice s)
{
    while (s.len > 0 && is_blank(s.data[0])) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.data[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool slice_is_word(struct slice s, const char *word)
{
    size_t i = 0;
    for (; i < s.len && word[i] != '\0'; i++) {
        if (ascii_lower(s.data[i]) != (uint8_t)word[i]) {
            return false;
        }
    }
    return i == s.len && word[i] == '\0';
}

struct status *input_syntax_error(const char *what, struct slice text)
{
    TRY(utf8_check(text));
    size_t n = utf8_prefix(text, 1000);
    return status_sql(INVALID, "22P02", "invalid input syntax for type %s: \"%.*s\"", what, (int)n,
                      (const char *)text.data);
}

/* ---- text, varchar, bpchar, name ---- */

enum { NAME_LEN_MAX = 63 };

/* Bytes of the first n characters when all that follows is blanks (then the rest may go), or
 * SIZE_MAX: too long. */
static size_t fit_length(struct slice s, size_t chars)
{
    size_t n = utf8_prefix(s, chars);
    for (size_t i = n; i < s.len; i++) {
        if (s.data[i] != ' ') {
            return SIZE_MAX;
        }
    }
    return n;
}

static struct datum pad_blanks(struct arena *a, struct slice s, size_t blanks)
{
    uint8_t *p = arena_alloc(a, s.len + blanks + 1);
    if (s.len > 0) {
        memcpy(p, s.data, s.len);
    }
    memset(p + s.len, ' ', blanks);
    return datum_bytes(slice_make(p, s.len + blanks));
}

struct status *text_input(struct arena *a, type_oid type, int32_t typmod, struct slice s,
                          struct datum *out)
{
    TRY(utf8_check(s));
    TRY(arena_reserve(a, s.len));
    if (type == TYPE_NAME && s.len > NAME_LEN_MAX) {
        s.len = NAME_LEN_MAX;
        while (s.len > 0 && utf8_sequence(s.data + s.len - 1, 1) == 0 &&
               !utf8_is_valid(s)) { /* not in the middle of a character */
            s.len--;
        }
    }
    if ((type == TYPE_VARCHAR || type == TYPE_BPCHAR) && typmod >= 4) {
        size_t limit = (size_t)typmod - 4;
        size_t n = fit_length(s, limit);
        if (n == SIZE_MAX) {
            return status_sql(INVALID, "22001", "value too long for type %s(%zu)",
                              type == TYPE_VARCHAR ? "character varying" : "character", limit);
        }
        s.len = n;
        if (type == TYPE_BPCHAR) {
            size_t chars = utf8_count(s);
            TRY(arena_reserve(a, s.len + limit));
            *out = pad_blanks(a, s, limit - chars);
            return NULL;
        }
    }
    *out = datum_bytes(arena_copy(a, s));
    return NULL;
}

/* ---- "char" ---- */

struct status *char_input(struct slice s, int64_t *out)
{
    if (s.len == 4 && s.data[0] == '\\' && s.data[1] >= '0' && s.data[1] <= '3' &&
        s.data[2] >= '0' && s.data[2] <= '7' && s.data[3] >= '0' && s.data[3] <= '7') {
        *out = ((s.data[1] - '0') << 6) + ((s.data[2] - '0') << 3) + (s.data[3] - '0');
        return NULL;
    }
    *out = s.len > 0 ? s.data[0] : 0;
    return NULL;
}

void char_output(int64_t v, struct buf *out)
{
    uint8_t c = (uint8_t)v;
    if (c >= 0x80) { /* would not be UTF-8 */
        uint8_t octal[4] = {'\\', (uint8_t)('0' + (c >> 6)), (uint8_t)('0' + ((c >> 3) & 7)),
                            (uint8_t)('0' + (c & 7))};
        buf_put(out, octal, 4);
    } else if (c != 0) {
        buf_put_u8(out, c);
    }
}

/* ---- bytea ---- */

static int hex_value(uint8_t c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct status *bytea_from_hex(struct slice s, uint8_t *p, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        if (is_blank(s.data[i])) {
            i++;
            continue;
        }
        int hi = hex_value(s.data[i]);
        if (hi < 0) {
            TRY(utf8_check(s));
            size_t one = utf8_sequence(s.data + i, s.len - i);
            return status_sql(INVALID, "22023", "invalid hexadecimal digit: \"%.*s\"", (int)one,
                              (const char *)s.data + i);
        }
        if (i + 1 >= s.len) {
            return status_sql(INVALID, "22023", "invalid hexadecimal data: odd number of digits");
        }
        int lo = hex_value(s.data[i + 1]);
        if (lo < 0) {
            TRY(utf8_check(s));
            size_t one = utf8_sequence(s.data + i + 1, s.len - i - 1);
            return status_sql(INVALID, "22023", "invalid hexadecimal digit: \"%.*s\"", (int)one,
                              (const char *)s.data + i + 1);
        }
        p[n++] = (uint8_t)(hi << 4 | lo);
        i += 2;
    }
    *out_len = n;
    return NULL;
}

static struct status *bytea_from_escape(struct slice s, uint8_t *p, size_t *out_len)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len;) {
        const uint8_t *c = s.data + i;
        if (*c != '\\') {
            p[n++] = *c;
            i++;
        } else if (s.len - i >= 2 && c[1] == '\\') {
            p[n++] = '\\';
            i += 2;
        } else if (s.len - i >= 4 && c[1] >= '0' && c[1] <= '3' && c[2] >= '0' && c[2] <= '7' &&
                   c[3] >= '0' && c[3] <= '7') {
            p[n++] = (uint8_t)(((c[1] - '0') << 6) + ((c[2] - '0') << 3) + (c[3] - '0'));
            i += 4;
        } else {
            return status_sql(INVALID, "22P02", "invalid input syntax for type %s", "bytea");
        }
    }
    *out_len = n;
    return NULL;
}

struct status *bytea_input(struct arena *a, struct slice s, struct datum *out)
{
    TRY(arena_reserve(a, s.len));
    uint8_t *p = arena_alloc(a, s.len + 1);
    size_t n = 0;
    if (s.len >= 2 && s.data[0] == '\\' && s.data[1] == 'x') {
        TRY(bytea_from_hex(slice_make(s.data + 2, s.len - 2), p, &n));
    } else {
        TRY(bytea_from_escape(s, p, &n));
    }
    *out = datum_bytes(slice_make(p, n));
    return NULL;
}

static void put_hex(struct buf *out, const uint8_t *p, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *q = buf_extend(out, len * 2);
    for (size_t i = 0; i < len; i++) {
        *q++ = (uint8_t)digits[p[i] >> 4];
        *q++ = (uint8_t)digits[p[i] & 15];
    }
}

void bytea_output(const struct datum *d, struct buf *out)
{
    buf_put(out, "\\x", 2);
    put_hex(out, d->p, d->len);
}

/* ---- uuid ---- */

struct status *uuid_input(struct arena *a, struct slice s, struct datum *out)
{
    const uint8_t *p = s.data, *end = s.data + s.len;
    bool braces = p < end && *p == '{';
    uint8_t *id = arena_alloc(a, 16);
    p += braces;
    for (int i = 0; i < 16; i++) {
        int hi = end - p >= 2 ? hex_value(p[0]) : -1;
        int lo = end - p >= 2 ? hex_value(p[1]) : -1;
        if (hi < 0 || lo < 0) {
            return input_syntax_error("uuid", s);
        }
        id[i] = (uint8_t)(hi << 4 | lo);
        p += 2;
        if (p < end && *p == '-' && i % 2 == 1 && i < 15) {
            p++;
        }
    }
    if (braces && p < end && *p == '}') {
        p++;
        braces = false;
    }
    if (p != end || braces) {
        return input_syntax_error("uuid", s);
    }
    *out = datum_bytes(slice_make(id, 16));
    return NULL;
}

void uuid_output(const struct datum *d, struct buf *out)
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    size_t at = 0;
    for (size_t g = 0; g < sizeof groups; g++) {
        if (g > 0) {
            buf_put_u8(out, '-');
        }
        put_hex(out, d->p + at, groups[g]);
        at += groups[g];
    }
}
