/*
 * bytea: text encodings (hex, base64, escape), bytes and bits, digests.
 */
#include "funcs.h"

#include <ctype.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <strings.h>

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool is_encoding(const struct datum *d, const char *name)
{
    return d->len == strlen(name) && strncasecmp((const char *)d->p, name, d->len) == 0;
}

static struct status *unknown_encoding(const struct datum *d)
{
    return status_sql(INVALID, "22023", "unrecognized encoding: \"%.*s\"", (int)d->len,
                      (const char *)d->p);
}

static void put_hex(struct buf *b, struct slice s)
{
    uint8_t *p = buf_extend(b, s.len * 2);
    for (size_t i = 0; i < s.len; i++) {
        p[2 * i] = (uint8_t)hex_digits[s.data[i] >> 4];
        p[2 * i + 1] = (uint8_t)hex_digits[s.data[i] & 15];
    }
}

static void put_base64(struct buf *b, struct slice s)
{
    size_t line = 0;
    for (size_t i = 0; i < s.len; i += 3) {
        uint32_t v = (uint32_t)s.data[i] << 16;
        size_t n = s.len - i;
        v |= n > 1 ? (uint32_t)s.data[i + 1] << 8 : 0;
        v |= n > 2 ? s.data[i + 2] : 0;
        buf_put_u8(b, (uint8_t)base64_digits[v >> 18]);
        buf_put_u8(b, (uint8_t)base64_digits[(v >> 12) & 63]);
        buf_put_u8(b, n > 1 ? (uint8_t)base64_digits[(v >> 6) & 63] : '=');
        buf_put_u8(b, n > 2 ? (uint8_t)base64_digits[v & 63] : '=');
        line += 4;
        if (line == 76 && n > 3) {
            buf_put_u8(b, '\n');
            line = 0;
        } else if (line == 76) {
            buf_put_u8(b, '\n');
        }
    }
}

static void put_escape(struct buf *b, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == 0 || c >= 0x80) {
            buf_printf(b, "\\%03o", c);
        } else if (c == '\\') {
            buf_put_slice(b, slice_str("\\\\"));
        } else {
            buf_put_u8(b, c);
        }
    }
}

FUNC(fn_encode)
{
    struct slice s = datum_slice(&args[0]);
    TRY(arena_reserve(ctx->arena, s.len * 4));
    struct buf b = {0};
    if (is_encoding(&args[1], "hex")) {
        put_hex(&b, s);
    } else if (is_encoding(&args[1], "base64")) {
        put_base64(&b, s);
    } else if (is_encoding(&args[1], "escape")) {
        put_escape(&b, s);
    } else {
        return unknown_encoding(&args[1]);
    }
    return func_buf(ctx, &b, out);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static struct status *get_hex(struct slice s, struct buf *b)
{
    int high = -1;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (is_blank(c)) {
            continue;
        }
        const char *at = c != 0 ? strchr(hex_digits, tolower(c)) : NULL;
        if (at == NULL) {
            return status_sql(INVALID, "22023", "invalid hexadecimal digit: \"%.*s\"",
                              (int)utf8_char_len(s.data + i, s.len - i), (const char *)s.data + i);
        }
        int v = (int)(at - hex_digits);
        if (high < 0) {
            high = v;
        } else {
            buf_put_u8(b, (uint8_t)(high << 4 | v));
            high = -1;
        }
    }
    if (high >= 0) {
        return status_sql(INVALID, "22023", "invalid hexadecimal data: odd number of digits");
    }
    return NULL;
}

static struct status *get_base64(struct slice s, struct buf *b)
{
    uint32_t v = 0;
    int n = 0, pad = 0;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (is_blank(c)) {
            continue;
        }
        const char *at = c != 0 ? strchr(base64_digits, c) : NULL;
        if (c == '=') {
            if (pad == 0 && n != 2 && n != 3) {
                return status_sql(INVALID, "22023",
                                  "unexpected \"=\" while decoding base64 sequence");
            }
            pad++;
            v <<= 6;
        } else if (at == NULL || pad > 0) {
            return status_sql(INVALID, "22023",
                              "invalid symbol \"%.*s\" found while decoding base64 sequence",
                              (int)utf8_char_len(s.data + i, s.len - i), (const char *)s.data + i);
        } else {
            v = v << 6 | (uint32_t)(at - base64_digits);
        }
        if (++n == 4) {
            uint8_t bytes[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
            if (pad > 2) {
                break;
            }
            buf_put(b, bytes, (size_t)(3 - pad));
            n = 0;
            v = 0;
        }
    }
    if (n != 0) {
        return status_hint(status_sql(INVALID, "22023", "invalid base64 end sequence"),
                           "Input data is missing padding, is truncated, or is otherwise "
                           "corrupted.");
    }
    return NULL;
}

static struct status *get_escape(struct slice s, struct buf *b)
{
    for (size_t i = 0; i < s.len;) {
        const uint8_t *p = s.data + i;
        size_t n = s.len - i;
        if (p[0] != '\\') {
            buf_put_u8(b, p[0]);
            i++;
        } else if (n >= 4 && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                   p[3] >= '0' && p[3] <= '7') {
            buf_put_u8(b, (uint8_t)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')));
            i += 4;
        } else if (n >= 2 && p[1] == '\\') {
            buf_put_u8(b, '\\');
            i += 2;
        } else {
            return status_sql(INVALID, "22P02", "invalid input syntax for type %s", "bytea");
        }
    }
    return NULL;
}

FUNC(fn_decode)
{
    struct slice s = datum_slice(&args[0]);
    struct buf b = {0};
    struct status *st;
    if (is_encoding(&args[1], "hex")) {
        st = get_hex(s, &b);
    } else if (is_encoding(&args[1], "base64")) {
        st = get_base64(s, &b);
    } else if (is_encoding(&args[1], "escape")) {
        st = get_escape(s, &b);
    } else {
        return unknown_encoding(&args[1]);
    }
    if (st != NULL) {
        buf_deinit(&b);
        return st;
    }
    return func_buf(ctx, &b, out);
}

static struct status *digest(struct eval_ctx *ctx, const EVP_MD *md, struct slice s, bool as_hex,
                             struct datum *out)
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (EVP_Digest(s.data != NULL ? s.data : (const uint8_t *)"", s.len, sum, &n, md, NULL) != 1) {
        return status_new(UNSUPPORTED, "the digest is not available in this build of the library");
    }
    if (!as_hex) {
        return func_bytes(ctx, slice_make(sum, n), out);
    }
    struct buf b = {0};
    put_hex(&b, slice_make(sum, n));
    return func_buf(ctx, &b, out);
}

FUNC(fn_md5)
{
    return digest(ctx, EVP_md5(), datum_slice(&args[0]), true, out);
}

FUNC(fn_sha224)
{
    return digest(ctx, EVP_sha224(), datum_slice(&args[0]), false, out);
}

FUNC(fn_sha256)
{
    return digest(ctx, EVP_sha256(), datum_slice(&args[0]), false, out);
}

FUNC(fn_sha384)
{
    return digest(ctx, EVP_sha384(), datum_slice(&args[0]), false, out);
}

FUNC(fn_sha512)
{
    return digest(ctx, EVP_sha512(), datum_slice(&args[0]), false, out);
}

static struct status *index_error(int64_t index, int64_t count)
{
    return status_sql(INVALID, "2202E", "index %" PRId64 " out of valid range, 0..%" PRId64, index,
                      count - 1);
}

FUNC(fn_get_byte)
{
    if (args[1].i < 0 || args[1].i >= args[0].len) {
        return index_error(args[1].i, args[0].len);
    }
    *out = datum_int(args[0].p[args[1].i]);
    return NULL;
}

FUNC(fn_get_bit)
{
    if (args[1].i < 0 || args[1].i >= (int64_t)args[0].len * 8) {
        return index_error(args[1].i, (int64_t)args[0].len * 8);
    }
    *out = datum_int((args[0].p[args[1].i / 8] >> (args[1].i % 8)) & 1);
    return NULL;
}

static struct status *writable_copy(struct eval_ctx *ctx, const struct datum *d, uint8_t **out)
{
    TRY(func_alloc(ctx, d->len, out));
    memcpy(*out, d->p, d->len);
    return NULL;
}

FUNC(fn_set_byte)
{
    if (args[1].i < 0 || args[1].i >= args[0].len) {
        return index_error(args[1].i, args[0].len);
    }
    uint8_t *p = NULL;
    TRY(writable_copy(ctx, &args[0], &p));
    p[args[1].i] = (uint8_t)args[2].i;
    *out = datum_bytes(slice_make(p, args[0].len));
    return NULL;
}

FUNC(fn_set_bit)
{
    if (args[1].i < 0 || args[1].i >= (int64_t)args[0].len * 8) {
        return index_error(args[1].i, (int64_t)args[0].len * 8);
    }
    if (args[2].i != 0 && args[2].i != 1) {
        return status_sql(INVALID, "22023", "new bit must be 0 or 1");
    }
    uint8_t *p = NULL;
    TRY(writable_copy(ctx, &args[0], &p));
    uint8_t mask = (uint8_t)(1u << (args[1].i % 8));
    uint8_t *byte = &p[args[1].i / 8];
    *byte = (uint8_t)(args[2].i ? *byte | mask : *byte & ~mask);
    *out = datum_bytes(slice_make(p, args[0].len));
    return NULL;
}

FUNC(fn_bit_count)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < args[0].len; i++) {
        n += __builtin_popcount(args[0].p[i]);
    }
    *out = datum_int(n);
    return NULL;
}

static bool is_utf8_name(const struct datum *d)
{
    return is_encoding(d, "UTF8") || is_encoding(d, "UTF-8") || is_encoding(d, "UNICODE") ||
           is_encoding(d, "SQL_ASCII");
}

static bool is_latin1_name(const struct datum *d)
{
    return is_encoding(d, "LATIN1") || is_encoding(d, "ISO88591") || is_encoding(d, "ISO-8859-1");
}

static struct status *no_conversion(const struct datum *name)
{
    return status_hint(status_new(UNSUPPORTED, "encoding \"%.*s\" is not supported", (int)name->len,
                                  (const char *)name->p),
                       "UTF8 and LATIN1 are.");
}

FUNC(fn_convert_from)
{
    struct slice s = datum_slice(&args[0]);
    if (is_latin1_name(&args[1])) {
        struct buf b = {0};
        for (size_t i = 0; i < s.len; i++) {
            utf8_encode(&b, s.data[i]);
        }
        return func_buf(ctx, &b, out);
    }
    if (!is_utf8_name(&args[1])) {
        return no_conversion(&args[1]);
    }
    size_t bad;
    if (!text_is_utf8(s, &bad)) {
        uint8_t lead = s.data[bad];
        size_t n = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf8 ? 4 : 1;
        char bytes[32] = "";
        for (size_t i = 0; i < n && bad + i < s.len; i++) {
            (void)snprintf(bytes + 5 * i, sizeof(bytes) - 5 * i, " 0x%02x", s.data[bad + i]);
        }
        return status_sql(INVALID, "22021", "invalid byte sequence for encoding \"UTF8\":%s",
                          bytes);
    }
    *out = args[0];
    return NULL;
}

FUNC(fn_convert_to)
{
    struct slice s = datum_slice(&args[0]);
    if (is_latin1_name(&args[1])) {
        struct buf b = {0};
        for (size_t i = 0; i < s.len;) {
            size_t n;
            uint32_t c = utf8_decode(s.data + i, s.len - i, &n);
            if (c > 0xff) {
                buf_deinit(&b);
                return status_sql(INVALID, "22P05",
                                  "character with code point U+%04X in encoding \"UTF8\" has no "
                                  "equivalent in encoding \"LATIN1\"",
                                  c);
            }
            buf_put_u8(&b, (uint8_t)c);
            i += n;
        }
        return func_buf(ctx, &b, out);
    }
    if (!is_utf8_name(&args[1])) {
        return no_conversion(&args[1]);
    }
    *out = args[0];
    return NULL;
}
