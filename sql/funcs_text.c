/*
 * Text functions, counted in characters of UTF-8; LIKE; casts between string types.
 *
 * Damaged UTF-8 (bytes that a client sent as bytea and cast) is never out of bounds: a byte that
 * starts no character counts as one. Case mapping knows ASCII, Latin, Greek, Cyrillic and Armenian.
 */
#include "funcs.h"

#include "base/check.h"

#include <inttypes.h>

/* ---- results ---- */

struct status *func_alloc(struct eval_ctx *ctx, size_t size, uint8_t **out)
{
    if (size > TEXT_SIZE_MAX) {
        return status_sql(LIMIT, "54000", "requested length too large");
    }
    TRY(arena_reserve(ctx->arena, size));
    *out = arena_alloc(ctx->arena, size > 0 ? size : 1);
    return NULL;
}

struct status *func_bytes(struct eval_ctx *ctx, struct slice s, struct datum *out)
{
    uint8_t *p = NULL;
    TRY(func_alloc(ctx, s.len, &p));
    if (s.len > 0) {
        memcpy(p, s.data, s.len);
    }
    *out = datum_bytes(slice_make(p, s.len));
    return NULL;
}

struct status *func_buf(struct eval_ctx *ctx, struct buf *b, struct datum *out)
{
    struct status *st = func_bytes(ctx, buf_slice(b), out);
    buf_deinit(b);
    return st;
}

/* ---- UTF-8 ---- */

size_t utf8_char_len(const uint8_t *s, size_t n)
{
    size_t want = s[0] < 0x80   ? 1
                  : s[0] < 0xc2 ? 1
                  : s[0] < 0xe0 ? 2
                  : s[0] < 0xf0 ? 3
                  : s[0] < 0xf5 ? 4
                                : 1;
    if (want > n) {
        return 1;
    }
    for (size_t i = 1; i < want; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 1;
        }
    }
    return want;
}

uint32_t utf8_decode(const uint8_t *s, size_t n, size_t *out_len)
{
    size_t len = utf8_char_len(s, n);
    *out_len = len;
    switch (len) {
    case 2:
        return ((uint32_t)(s[0] & 0x1f) << 6) | (s[1] & 0x3f);
    case 3:
        return ((uint32_t)(s[0] & 0x0f) << 12) | ((uint32_t)(s[1] & 0x3f) << 6) | (s[2] & 0x3f);
    case 4:
        return ((uint32_t)(s[0] & 0x07) << 18) | ((uint32_t)(s[1] & 0x3f) << 12) |
               ((uint32_t)(s[2] & 0x3f) << 6) | (s[3] & 0x3f);
    default:
        return s[0];
    }
}

void utf8_encode(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_put_u8(b, (uint8_t)c);
    } else if (c < 0x800) {
        buf_put_u8(b, (uint8_t)(0xc0 | (c >> 6)));
        buf_put_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_put_u8(b, (uint8_t)(0xe0 | (c >> 12)));
        buf_put_u8(b, (uint8_t)(0x80 | ((c >> 6) & 0x3f)));
        buf_put_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    } else {
        buf_put_u8(b, (uint8_t)(0xf0 | (c >> 18)));
        buf_put_u8(b, (uint8_t)(0x80 | ((c >> 12) & 0x3f)));
        buf_put_u8(b, (uint8_t)(0x80 | ((c >> 6) & 0x3f)));
        buf_put_u8(b, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

size_t text_char_count(struct slice s)
{
    size_t count = 0;
    for (size_t i = 0; i < s.len; count++) {
        i += utf8_char_len(s.data + i, s.len - i);
    }
    return count;
}

size_t utf8_offset(struct slice s, size_t n)
{
    size_t i = 0;
    for (; n > 0 && i < s.len; n--) {
        i += utf8_char_len(s.data + i, s.len - i);
    }
    return i;
}

bool text_is_utf8(struct slice s, size_t *out_bad)
{
    for (size_t i = 0; i < s.len;) {
        *out_bad = i;
        size_t len;
        uint32_t c = utf8_decode(s.data + i, s.len - i, &len);
        if (c == 0 || (len == 1 && c >= 0x80) || (len == 3 && c < 0x800) ||
            (len == 4 && (c < 0x10000 || c > 0x10ffff)) || (c >= 0xd800 && c <= 0xdfff)) {
            return false;
        }
        i += len;
    }
    return true;
}

/* ---- case ---- */

static uint32_t char_lower(uint32_t c)
{
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3ab && c != 0x3a2) ||
        (c >= 0x410 && c <= 0x42f)) {
        return c + 32;
    }
    if ((c >= 0x100 && c <= 0x137 && c != 0x130 && c != 0x131) || (c >= 0x14a && c <= 0x177) ||
        (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f) ||
        (c >= 0x1e00 && c <= 0x1e95) || (c >= 0x1ea0 && c <= 0x1eff)) {
        return c | 1;
    }
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) {
        return (c & 1) != 0 ? c + 1 : c;
    }
    if (c == 0x178) {
        return 0xff;
    }
    if (c >= 0x400 && c <= 0x40f) {
        return c + 80;
    }
    if (c >= 0x531 && c <= 0x556) {
        return c + 48;
    }
    switch (c) {
    case 0x386:
        return 0x3ac;
    case 0x388:
    case 0x389:
    case 0x38a:
        return c + 37;
    case 0x38c:
        return 0x3cc;
    case 0x38e:
    case 0x38f:
        return c + 63;
    case 0x130:
        return 'i';
    default:
        return c;
    }
}

static uint32_t char_upper(uint32_t c)
{
    if (c < 0x80) {
        return c >= 'a' && c <= 'z' ? c - 32 : c;
    }
    if ((c >= 0xe0 && c <= 0xfe && c != 0xf7) || (c >= 0x3b1 && c <= 0x3cb && c != 0x3c2) ||
        (c >= 0x430 && c <= 0x44f)) {
        return c - 32;
    }
    if ((c >= 0x100 && c <= 0x137 && c != 0x131 && c != 0x130) || (c >= 0x14a && c <= 0x177) ||
        (c >= 0x460 && c <= 0x481) || (c >= 0x48a && c <= 0x4bf) || (c >= 0x4d0 && c <= 0x52f) ||
        (c >= 0x1e00 && c <= 0x1e95) || (c >= 0x1ea0 && c <= 0x1eff)) {
        return c & ~(uint32_t)1;
    }
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e)) {
        return (c & 1) == 0 ? c - 1 : c;
    }
    if (c >= 0x450 && c <= 0x45f) {
        return c - 80;
    }
    if (c >= 0x561 && c <= 0x586) {
        return c - 48;
    }
    switch (c) {
    case 0xff:
        return 0x178;
    case 0x3c2:
        return 0x3a3;
    case 0x3ac:
        return 0x386;
    case 0x3ad:
    case 0x3ae:
    case 0x3af:
        return c - 37;
    case 0x3cc:
        return 0x38c;
    case 0x3cd:
    case 0x3ce:
        return c - 63;
    default:
        return c;
    }
}

static bool char_is_alnum(uint32_t c)
{
    if (c < 0x80) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }
    return c >= 0xaa && c != 0xd7 && c != 0xf7 && (c < 0x2000 || c >= 0x2c00) &&
           (c < 0x3000 || c >= 0x3040);
}

static void put_mapped(struct buf *b, struct slice s, uint32_t (*map)(uint32_t))
{
    buf_reserve(b, s.len);
    for (size_t i = 0; i < s.len;) {
        if (s.data[i] < 0x80) {
            buf_put_u8(b, (uint8_t)map(s.data[i++]));
            continue;
        }
        size_t len;
        uint32_t c = utf8_decode(s.data + i, s.len - i, &len);
        if (len == 1) {
            buf_put_u8(b, s.data[i]);
        } else {
            utf8_encode(b, map(c));
        }
        i += len;
    }
}

FUNC(fn_lower)
{
    struct buf b = {0};
    put_mapped(&b, datum_slice(&args[0]), char_lower);
    return func_buf(ctx, &b, out);
}

FUNC(fn_upper)
{
    struct buf b = {0};
    put_mapped(&b, datum_slice(&args[0]), char_upper);
    return func_buf(ctx, &b, out);
}

FUNC(fn_initcap)
{
    struct slice s = datum_slice(&args[0]);
    struct buf b = {0};
    bool in_word = false;
    for (size_t i = 0; i < s.len;) {
        size_t len;
        uint32_t c = utf8_decode(s.data + i, s.len - i, &len);
        if (len == 1 && c >= 0x80) {
            buf_put_u8(&b, (uint8_t)c);
        } else {
            utf8_encode(&b, in_word ? char_lower(c) : char_upper(c));
        }
        in_word = char_is_alnum(c);
        i += len;
    }
    return func_buf(ctx, &b, out);
}

/* ---- lengths and parts ---- */

FUNC(fn_length)
{
    *out = datum_int((int64_t)text_char_count(datum_slice(&args[0])));
    return NULL;
}

static struct slice without_blanks(struct slice s)
{
    while (s.len > 0 && s.data[s.len - 1] == ' ') {
        s.len--;
    }
    return s;
}

FUNC(fn_bplength)
{
    *out = datum_int((int64_t)text_char_count(without_blanks(datum_slice(&args[0]))));
    return NULL;
}

FUNC(fn_octet_length)
{
    *out = datum_int(args[0].len);
    return NULL;
}

FUNC(fn_bit_length)
{
    *out = datum_int((int64_t)args[0].len * 8);
    return NULL;
}

/* [start, start + length) cut to what exists, 1-based; false: negative length. */
static bool clip(int64_t start, int64_t length, bool has_length, int64_t *out_from,
                 int64_t *out_count)
{
    int64_t end = INT64_MAX;
    if (has_length) {
        if (length < 0) {
            return false;
        }
        end = start + length;
    }
    int64_t from = start < 1 ? 1 : start;
    *out_from = from - 1;
    *out_count = end <= from ? 0 : end == INT64_MAX ? INT64_MAX : end - from;
    return true;
}

static struct status *negative_length(void)
{
    return status_sql(INVALID, "22011", "negative substring length not allowed");
}

FUNC(fn_substr)
{
    struct slice s = datum_slice(&args[0]);
    int64_t from, count;
    if (!clip(args[1].i, nargs > 2 ? args[2].i : 0, nargs > 2, &from, &count)) {
        return negative_length();
    }
    size_t start = utf8_offset(s, (size_t)from);
    struct slice rest = slice_make(s.data + start, s.len - start);
    size_t len = count == INT64_MAX ? rest.len : utf8_offset(rest, (size_t)count);
    *out = datum_bytes(slice_make(rest.data, len));
    return NULL;
}

FUNC(fn_bsubstr)
{
    struct slice s = datum_slice(&args[0]);
    int64_t from, count;
    if (!clip(args[1].i, nargs > 2 ? args[2].i : 0, nargs > 2, &from, &count)) {
        return negative_length();
    }
    size_t start = (uint64_t)from > s.len ? s.len : (size_t)from;
    size_t len = (uint64_t)count > s.len - start ? s.len - start : (size_t)count;
    *out = datum_bytes(slice_make(s.data + start, len));
    return NULL;
}

FUNC(fn_left)
{
    struct slice s = datum_slice(&args[0]);
    int64_t n = args[1].i;
    if (n < 0) {
        int64_t all = (int64_t)text_char_count(s);
        n = all + n < 0 ? 0 : all + n;
    }
    *out = datum_bytes(slice_make(s.data, utf8_offset(s, (size_t)n)));
    return NULL;
}

FUNC(fn_right)
{
    struct slice s = datum_slice(&args[0]);
    int64_t n = args[1].i, all = (int64_t)text_char_count(s);
    int64_t skip = n < 0 ? -n : n > all ? 0 : all - n;
    size_t from = utf8_offset(s, (size_t)skip);
    *out = datum_bytes(slice_make(s.data + from, s.len - from));
    return NULL;
}

/* Byte offset of needle at or after from; SIZE_MAX: none. */
static size_t find(struct slice hay, struct slice needle, size_t from)
{
    if (from > hay.len || needle.len > hay.len - from) {
        return SIZE_MAX;
    }
    if (needle.len == 0) {
        return from;
    }
    const uint8_t *hit = memmem(hay.data + from, hay.len - from, needle.data, needle.len);
    return hit != NULL ? (size_t)(hit - hay.data) : SIZE_MAX;
}

FUNC(fn_strpos)
{
    struct slice s = datum_slice(&args[0]);
    size_t at = find(s, datum_slice(&args[1]), 0);
    *out = datum_int(at == SIZE_MAX ? 0 : (int64_t)text_char_count(slice_make(s.data, at)) + 1);
    return NULL;
}

FUNC(fn_bposition)
{
    size_t at = find(datum_slice(&args[0]), datum_slice(&args[1]), 0);
    *out = datum_int(at == SIZE_MAX ? 0 : (int64_t)at + 1);
    return NULL;
}

FUNC(fn_starts_with)
{
    *out = datum_bool(slice_has_prefix(datum_slice(&args[0]), datum_slice(&args[1])));
    return NULL;
}

FUNC(fn_split_part)
{
    struct slice s = datum_slice(&args[0]), sep = datum_slice(&args[1]);
    int64_t n = args[2].i;
    if (n == 0) {
        return status_sql(INVALID, "22023", "field position must not be zero");
    }
    if (s.len == 0 || sep.len == 0) {
        *out = n == 1 || n == -1 ? args[0] : datum_bytes(slice_make(s.data, 0));
        return NULL;
    }
    if (n < 0) { /* from the end: count the fields first */
        int64_t fields = 1;
        for (size_t at = 0; (at = find(s, sep, at)) != SIZE_MAX; at += sep.len) {
            fields++;
        }
        n = fields + n + 1;
        if (n < 1) {
            *out = datum_bytes(slice_make(s.data, 0));
            return NULL;
        }
    }
    size_t from = 0;
    for (int64_t field = 1;; field++) {
        size_t at = find(s, sep, from);
        if (field == n) {
            size_t end = at == SIZE_MAX ? s.len : at;
            *out = datum_bytes(slice_make(s.data + from, end - from));
            return NULL;
        }
        if (at == SIZE_MAX) {
            *out = datum_bytes(slice_make(s.data, 0));
            return NULL;
        }
        from = at + sep.len;
    }
}

/* ---- trimming and padding ---- */

static bool set_has(struct slice set, const uint8_t *c, size_t len)
{
    for (size_t i = 0; i < set.len;) {
        size_t n = utf8_char_len(set.data + i, set.len - i);
        if (n == len && memcmp(set.data + i, c, len) == 0) {
            return true;
        }
        i += n;
    }
    return false;
}

static struct slice trim(struct slice s, struct slice set, bool left, bool right)
{
    while (left && s.len > 0) {
        size_t n = utf8_char_len(s.data, s.len);
        if (!set_has(set, s.data, n)) {
            break;
        }
        s = slice_make(s.data + n, s.len - n);
    }
    while (right && s.len > 0) {
        size_t n = 1; /* back to the start of the last character */
        while (n < 4 && n < s.len && (s.data[s.len - n] & 0xc0) == 0x80) {
            n++;
        }
        if (utf8_char_len(s.data + s.len - n, n) != n) {
            n = 1;
        }
        if (!set_has(set, s.data + s.len - n, n)) {
            break;
        }
        s.len -= n;
    }
    return s;
}

static struct slice trim_set(const struct datum *args, int nargs)
{
    return nargs > 1 ? datum_slice(&args[1]) : slice_str(" ");
}

FUNC(fn_btrim)
{
    *out = datum_bytes(trim(datum_slice(&args[0]), trim_set(args, nargs), true, true));
    return NULL;
}

FUNC(fn_ltrim)
{
    *out = datum_bytes(trim(datum_slice(&args[0]), trim_set(args, nargs), true, false));
    return NULL;
}

FUNC(fn_rtrim)
{
    *out = datum_bytes(trim(datum_slice(&args[0]), trim_set(args, nargs), false, true));
    return NULL;
}

static struct slice btrim_bytes(struct slice s, struct slice set, bool left, bool right)
{
    while (left && s.len > 0 && set.len > 0 && memchr(set.data, s.data[0], set.len) != NULL) {
        s = slice_make(s.data + 1, s.len - 1);
    }
    while (right && s.len > 0 && set.len > 0 &&
           memchr(set.data, s.data[s.len - 1], set.len) != NULL) {
        s.len--;
    }
    return s;
}

FUNC(fn_bbtrim)
{
    *out = datum_bytes(btrim_bytes(datum_slice(&args[0]), datum_slice(&args[1]), true, true));
    return NULL;
}

FUNC(fn_bltrim)
{
    *out = datum_bytes(btrim_bytes(datum_slice(&args[0]), datum_slice(&args[1]), true, false));
    return NULL;
}

FUNC(fn_brtrim)
{
    *out = datum_bytes(btrim_bytes(datum_slice(&args[0]), datum_slice(&args[1]), false, true));
    return NULL;
}

static struct status *pad(struct eval_ctx *ctx, const struct datum *args, int nargs, bool left,
                          struct datum *out)
{
    struct slice s = datum_slice(&args[0]);
    struct slice fill = nargs > 2 ? datum_slice(&args[2]) : slice_str(" ");
    int64_t want = args[1].i < 0 ? 0 : args[1].i;
    int64_t have = (int64_t)text_char_count(s);
    if (have >= want || fill.len == 0) {
        *out = datum_bytes(slice_make(s.data, utf8_offset(s, (size_t)want)));
        return NULL;
    }
    size_t missing = (size_t)(want - have), fill_chars = text_char_count(fill);
    size_t whole = missing / fill_chars, rest = utf8_offset(fill, missing % fill_chars);
    if (whole > TEXT_SIZE_MAX / fill.len) {
        return status_sql(LIMIT, "54000", "requested length too large");
    }
    size_t pad_size = whole * fill.len + rest;
    uint8_t *p = NULL;
    TRY(func_alloc(ctx, pad_size + s.len, &p));
    *out = datum_bytes(slice_make(p, pad_size + s.len));
    if (!left && s.len > 0) {
        memcpy(p, s.data, s.len);
        p += s.len;
    }
    for (size_t i = 0; i < whole; i++) {
        memcpy(p, fill.data, fill.len);
        p += fill.len;
    }
    memcpy(p, fill.data, rest);
    if (left && s.len > 0) {
        memcpy(p + rest, s.data, s.len);
    }
    return NULL;
}

FUNC(fn_lpad)
{
    return pad(ctx, args, nargs, true, out);
}

FUNC(fn_rpad)
{
    return pad(ctx, args, nargs, false, out);
}

FUNC(fn_repeat)
{
    struct slice s = datum_slice(&args[0]);
    size_t n = args[1].i < 0 ? 0 : (size_t)args[1].i;
    if (s.len > 0 && n > TEXT_SIZE_MAX / s.len) {
        return status_sql(LIMIT, "54000", "requested length too large");
    }
    uint8_t *p = NULL;
    TRY(func_alloc(ctx, s.len * n, &p));
    for (size_t i = 0; i < n && s.len > 0; i++) {
        memcpy(p + i * s.len, s.data, s.len);
    }
    *out = datum_bytes(slice_make(p, s.len * n));
    return NULL;
}

/* ---- changing ---- */

FUNC(fn_replace)
{
    struct slice s = datum_slice(&args[0]), from = datum_slice(&args[1]),
                 to = datum_slice(&args[2]);
    if (from.len == 0 || find(s, from, 0) == SIZE_MAX) {
        *out = args[0];
        return NULL;
    }
    size_t hits = 0;
    for (size_t at = 0; (at = find(s, from, at)) != SIZE_MAX; at += from.len) {
        hits++;
    }
    if (to.len > 0 && hits > TEXT_SIZE_MAX / to.len) {
        return status_sql(LIMIT, "54000", "requested length too large");
    }
    size_t size = s.len - hits * from.len + hits * to.len;
    uint8_t *start = NULL, *p;
    TRY(func_alloc(ctx, size, &start));
    p = start;
    for (size_t i = 0; i < s.len;) {
        size_t at = find(s, from, i), end = at == SIZE_MAX ? s.len : at;
        memcpy(p, s.data + i, end - i);
        p += end - i;
        i = end;
        if (at != SIZE_MAX) {
            if (to.len > 0) {
                memcpy(p, to.data, to.len);
            }
            p += to.len;
            i += from.len;
        }
    }
    *out = datum_bytes(slice_make(start, size));
    return NULL;
}

FUNC(fn_reverse)
{
    struct slice s = datum_slice(&args[0]);
    uint8_t *p = NULL;
    TRY(func_alloc(ctx, s.len, &p));
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_char_len(s.data + i, s.len - i);
        memcpy(p + s.len - i - n, s.data + i, n);
        i += n;
    }
    *out = datum_bytes(slice_make(p, s.len));
    return NULL;
}

FUNC(fn_translate)
{
    struct slice s = datum_slice(&args[0]), from = datum_slice(&args[1]),
                 to = datum_slice(&args[2]);
    struct buf b = {0};
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_char_len(s.data + i, s.len - i), t = 0;
        bool found = false;
        for (size_t f = 0; f < from.len && !found;) {
            size_t fn = utf8_char_len(from.data + f, from.len - f);
            size_t tn = t < to.len ? utf8_char_len(to.data + t, to.len - t) : 0;
            if (fn == n && memcmp(from.data + f, s.data + i, n) == 0) {
                buf_put(&b, to.data + t, tn);
                found = true;
            }
            f += fn;
            t += tn;
        }
        if (!found) {
            buf_put(&b, s.data + i, n);
        }
        i += n;
    }
    return func_buf(ctx, &b, out);
}

static struct status *overlay(struct eval_ctx *ctx, struct slice s, struct slice with, size_t from,
                              size_t until, struct datum *out)
{
    until = until < from ? from : until;
    uint8_t *p = NULL;
    TRY(func_alloc(ctx, from + with.len + (s.len - until), &p));
    *out = datum_bytes(slice_make(p, from + with.len + (s.len - until)));
    if (from > 0) {
        memcpy(p, s.data, from);
    }
    if (with.len > 0) {
        memcpy(p + from, with.data, with.len);
    }
    if (s.len > until) {
        memcpy(p + from + with.len, s.data + until, s.len - until);
    }
    return NULL;
}

/* Left part, replacement, right part: the right part may start before the left one ends. */
static struct status *overlay_parts(struct eval_ctx *ctx, const struct datum *args, int nargs,
                                    bool is_text, struct datum *out)
{
    struct slice s = datum_slice(&args[0]), with = datum_slice(&args[1]);
    int64_t start = args[2].i;
    int64_t count = nargs > 3 ? args[3].i : (int64_t)(is_text ? text_char_count(with) : with.len);
    if (start <= 0) {
        return negative_length();
    }
    int64_t resume = start - 1 + count;
    if (resume > INT32_MAX) {
        return status_sql(INVALID, "22003", "integer out of range");
    }
    size_t left = is_text ? utf8_offset(s, (size_t)start - 1)
                          : ((size_t)start - 1 > s.len ? s.len : (size_t)start - 1);
    size_t from = resume <= 0 ? 0 : (size_t)resume;
    size_t right = is_text ? utf8_offset(s, from) : (from > s.len ? s.len : from);
    if (right >= left) {
        return overlay(ctx, s, with, left, right, out);
    }
    struct buf b = {0};
    buf_put(&b, s.data, left);
    buf_put_slice(&b, with);
    buf_put(&b, s.data + right, s.len - right);
    return func_buf(ctx, &b, out);
}

FUNC(fn_overlay)
{
    return overlay_parts(ctx, args, nargs, true, out);
}

FUNC(fn_boverlay)
{
    return overlay_parts(ctx, args, nargs, false, out);
}

FUNC(fn_cat)
{
    uint8_t *p = NULL;
    size_t n = (size_t)args[0].len + args[1].len;
    TRY(func_alloc(ctx, n, &p));
    if (args[0].len > 0) {
        memcpy(p, args[0].p, args[0].len);
    }
    if (args[1].len > 0) {
        memcpy(p + args[0].len, args[1].p, args[1].len);
    }
    *out = datum_bytes(slice_make(p, n));
    return NULL;
}

/* As a cast to text shows it: bool as true/false. */
void func_put_text(struct buf *b, type_oid type, const struct datum *d)
{
    if (type == TYPE_BOOL) {
        buf_put_slice(b, slice_str(d->i ? "true" : "false"));
    } else if (type == TYPE_BPCHAR) {
        buf_put_slice(b, without_blanks(datum_slice(d)));
    } else {
        type_output(type, d, b);
    }
}

FUNC(fn_textanycat)
{
    struct buf b = {0};
    buf_put_slice(&b, datum_slice(&args[0]));
    func_put_text(&b, func_call_arg_type(ctx, 1), &args[1]);
    return func_buf(ctx, &b, out);
}

FUNC(fn_anytextcat)
{
    struct buf b = {0};
    func_put_text(&b, func_call_arg_type(ctx, 0), &args[0]);
    buf_put_slice(&b, datum_slice(&args[1]));
    return func_buf(ctx, &b, out);
}

FUNC(fn_concat)
{
    struct buf b = {0};
    for (int i = 0; i < nargs; i++) {
        if (!args[i].is_null) {
            type_output(func_call_arg_type(ctx, i), &args[i], &b);
        }
    }
    return func_buf(ctx, &b, out);
}

FUNC(fn_concat_ws)
{
    if (args[0].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct buf b = {0};
    bool first = true;
    for (int i = 1; i < nargs; i++) {
        if (args[i].is_null) {
            continue;
        }
        if (!first) {
            buf_put_slice(&b, datum_slice(&args[0]));
        }
        type_output(func_call_arg_type(ctx, i), &args[i], &b);
        first = false;
    }
    return func_buf(ctx, &b, out);
}

FUNC(fn_chr)
{
    int64_t c = args[0].i;
    if (c < 0) {
        return status_sql(LIMIT, "54000", "character number must be positive");
    }
    if (c == 0) {
        return status_sql(LIMIT, "54000", "null character not permitted");
    }
    if (c > 0x10ffff) {
        return status_sql(LIMIT, "54000", "requested character too large for encoding: %" PRId64,
                          c);
    }
    if (c >= 0xd800 && c <= 0xdfff) {
        return status_sql(LIMIT, "54000", "requested character not valid for encoding: %" PRId64,
                          c);
    }
    struct buf b = {0};
    utf8_encode(&b, (uint32_t)c);
    return func_buf(ctx, &b, out);
}

FUNC(fn_ascii)
{
    size_t len;
    *out = datum_int(args[0].len == 0 ? 0 : utf8_decode(args[0].p, args[0].len, &len));
    return NULL;
}

FUNC(fn_to_hex)
{
    struct buf b = {0};
    if (func_call_arg_type(ctx, 0) == TYPE_INT4) {
        buf_printf(&b, "%" PRIx32, (uint32_t)args[0].i);
    } else {
        buf_printf(&b, "%" PRIx64, (uint64_t)args[0].i);
    }
    return func_buf(ctx, &b, out);
}

/* ---- LIKE ---- */

/* Position of the last % and what it had eaten: on a mismatch it eats one character more. */
static struct status *like_bytes(struct slice t, struct slice p, bool in_bytes, bool *out)
{
    size_t ti = 0, pi = 0, star_p = SIZE_MAX, star_t = 0;
    *out = false;
    while (ti < t.len || pi < p.len) {
        if (pi < p.len && p.data[pi] == '%') {
            star_p = ++pi;
            star_t = ti;
            continue;
        }
        bool matched = false;
        if (pi < p.len && p.data[pi] == '\\') {
            if (pi + 1 >= p.len && ti < t.len) {
                return status_sql(INVALID, "22025",
                                  "LIKE pattern must not end with escape character");
            }
            if (ti < t.len && pi + 1 < p.len && t.data[ti] == p.data[pi + 1]) {
                ti++;
                pi += 2;
                matched = true;
            }
        } else if (pi < p.len && ti < t.len) {
            if (p.data[pi] == '_') {
                ti += in_bytes ? 1 : utf8_char_len(t.data + ti, t.len - ti);
                pi++;
                matched = true;
            } else if (p.data[pi] == t.data[ti]) {
                ti++;
                pi++;
                matched = true;
            }
        }
        if (matched) {
            continue;
        }
        if (star_p == SIZE_MAX || star_t >= t.len) {
            return NULL;
        }
        star_t += in_bytes ? 1 : utf8_char_len(t.data + star_t, t.len - star_t);
        ti = star_t;
        pi = star_p;
    }
    *out = true;
    return NULL;
}

struct status *like_match(struct slice text, struct slice pattern, bool fold_case, bool *out)
{
    if (!fold_case) {
        return like_bytes(text, pattern, false, out);
    }
    struct buf t = {0}, p = {0};
    put_mapped(&t, text, char_lower);
    put_mapped(&p, pattern, char_lower);
    struct status *st = like_bytes(buf_slice(&t), buf_slice(&p), false, out);
    buf_deinit(&t);
    buf_deinit(&p);
    return st;
}

static struct status *like(struct eval_ctx *ctx, const struct datum *args, bool fold, bool negate,
                           struct datum *out)
{
    bool hit;
    if (!fold && func_call_arg_type(ctx, 0) == TYPE_BYTEA) {
        TRY(like_bytes(datum_slice(&args[0]), datum_slice(&args[1]), true, &hit));
    } else {
        TRY(like_match(datum_slice(&args[0]), datum_slice(&args[1]), fold, &hit));
    }
    *out = datum_bool(hit != negate);
    return NULL;
}

FUNC(fn_like)
{
    return like(ctx, args, false, false, out);
}

FUNC(fn_notlike)
{
    return like(ctx, args, false, true, out);
}

FUNC(fn_ilike)
{
    return like(ctx, args, true, false, out);
}

FUNC(fn_notilike)
{
    return like(ctx, args, true, true, out);
}

/* A pattern with another escape character as one with '\\'. */
FUNC(fn_like_escape)
{
    struct slice p = datum_slice(&args[0]), esc = datum_slice(&args[1]);
    if (esc.len > 0 && utf8_char_len(esc.data, esc.len) != esc.len) {
        return status_hint(status_sql(INVALID, "22019", "invalid escape string"),
                           "Escape string must be empty or one character.");
    }
    if (slice_eq(esc, slice_str("\\"))) {
        *out = args[0];
        return NULL;
    }
    struct buf b = {0};
    bool after_escape = false;
    for (size_t i = 0; i < p.len;) {
        size_t n = utf8_char_len(p.data + i, p.len - i);
        struct slice c = slice_make(p.data + i, n);
        if (esc.len > 0 && slice_eq(c, esc) && !after_escape) {
            buf_put_u8(&b, '\\');
            after_escape = true;
        } else if (slice_eq(c, slice_str("\\"))) {
            buf_put(&b, "\\\\", after_escape ? 1 : 2);
            after_escape = false;
        } else {
            buf_put_slice(&b, c);
            after_escape = false;
        }
        i += n;
    }
    return func_buf(ctx, &b, out);
}

/* ---- casts between string types ---- */

FUNC(fn_cast_bp_s)
{
    *out = datum_bytes(without_blanks(datum_slice(&args[0])));
    return NULL;
}

/* At most 63 bytes, whole characters. */
static struct slice name_part(struct slice s)
{
    size_t len = 0;
    while (len < s.len) {
        size_t n = utf8_char_len(s.data + len, s.len - len);
        if (len + n > 63) {
            break;
        }
        len += n;
    }
    return slice_make(s.data, len);
}

FUNC(fn_cast_s_name)
{
    *out = datum_bytes(name_part(datum_slice(&args[0])));
    return NULL;
}

FUNC(fn_cast_bp_name)
{
    *out = datum_bytes(without_blanks(name_part(datum_slice(&args[0]))));
    return NULL;
}

FUNC(fn_cast_s_c)
{
    *out = datum_int(args[0].len > 0 ? args[0].p[0] : 0);
    return NULL;
}

FUNC(fn_cast_c_s)
{
    struct buf b = {0};
    type_output(TYPE_CHAR, &args[0], &b);
    return func_buf(ctx, &b, out);
}

FUNC(fn_cast_bool_s)
{
    return func_bytes(ctx, slice_str(args[0].i ? "true" : "false"), out);
}

/* Bytes of s that fit max characters: all the rest must be blanks, unless cut is allowed. */
static struct status *fit(struct slice s, int64_t max, bool may_cut, const char *type,
                          size_t *out_len)
{
    size_t len = utf8_offset(s, (size_t)max);
    for (size_t i = len; i < s.len && !may_cut; i++) {
        if (s.data[i] != ' ') {
            return status_sql(INVALID, "22001", "value too long for type %s(%" PRId64 ")", type,
                              max);
        }
    }
    *out_len = len;
    return NULL;
}

FUNC(fn_cast_varchar)
{
    struct slice s = datum_slice(&args[0]);
    int64_t max = args[1].i - 4;
    if (max < 0) {
        *out = args[0];
        return NULL;
    }
    size_t len = 0;
    TRY(fit(s, max, args[2].i != 0, "character varying", &len));
    *out = datum_bytes(slice_make(s.data, len));
    return NULL;
}

FUNC(fn_cast_bpchar)
{
    struct slice s = datum_slice(&args[0]);
    int64_t max = args[1].i - 4;
    if (max < 0) {
        *out = args[0];
        return NULL;
    }
    size_t len = 0;
    TRY(fit(s, max, args[2].i != 0, "character", &len));
    size_t blanks = (size_t)max - text_char_count(slice_make(s.data, len));
    uint8_t *p = NULL;
    TRY(func_alloc(ctx, len + blanks, &p));
    if (len > 0) {
        memcpy(p, s.data, len);
    }
    memset(p + len, ' ', blanks);
    *out = datum_bytes(slice_make(p, len + blanks));
    return NULL;
}
