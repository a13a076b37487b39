/*
 * The rest: NULL counting, type names, sizes, hashes, uuids.
 */
#include "funcs.h"

#include "sql/numeric.h"

#include <inttypes.h>
#include <strings.h>

FUNC(fn_num_nulls)
{
    int64_t n = 0;
    for (int i = 0; i < nargs; i++) {
        n += args[i].is_null;
    }
    *out = datum_int(n);
    return NULL;
}

FUNC(fn_num_nonnulls)
{
    int64_t n = 0;
    for (int i = 0; i < nargs; i++) {
        n += !args[i].is_null;
    }
    *out = datum_int(n);
    return NULL;
}

FUNC(fn_nullif)
{
    bool equal = !args[0].is_null && !args[1].is_null &&
                 type_compare(func_call_arg_type(ctx, 0), &args[0], &args[1]) == 0;
    *out = equal ? DATUM_NULL : args[0];
    return NULL;
}

FUNC(fn_pg_typeof)
{
    *out = datum_int(func_call_arg_type(ctx, 0));
    return NULL;
}

FUNC(fn_format_type)
{
    if (args[0].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    if (args[0].i == 0) {
        return func_bytes(ctx, slice_str("-"), out);
    }
    type_oid oid = (type_oid)args[0].i;
    if (type_find(oid) == NULL) {
        return func_bytes(ctx, slice_str("???"), out);
    }
    return func_bytes(
        ctx, slice_str(type_format(ctx->arena, oid, args[1].is_null ? -1 : (int32_t)args[1].i)),
        out);
}

FUNC(fn_to_regtype)
{
    struct slice s = datum_slice(&args[0]);
    bool is_array = s.len > 2 && memcmp(s.data + s.len - 2, "[]", 2) == 0;
    const struct type_info *ti = type_find_name(slice_make(s.data, s.len - (is_array ? 2 : 0)));
    if (ti == NULL || (is_array && ti->array_oid == 0)) {
        *out = DATUM_NULL;
        return NULL;
    }
    *out = datum_int(is_array ? ti->array_oid : ti->oid);
    return NULL;
}

FUNC(fn_gen_random_uuid)
{
    if (ctx->random == NULL) {
        return status_new(UNSUPPORTED, "gen_random_uuid() cannot be used in this place");
    }
    uint8_t id[16];
    set_u64(id, ctx->random(ctx->ctx));
    set_u64(id + 8, ctx->random(ctx->ctx));
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
    return func_bytes(ctx, slice_make(id, sizeof(id)), out);
}

FUNC(fn_pg_column_size)
{
    const struct type_info *ti = type_find(func_call_arg_type(ctx, 0));
    if (args[0].is_null) {
        *out = DATUM_NULL;
    } else {
        *out = datum_int(ti != NULL && ti->len > 0 ? ti->len : (int64_t)args[0].len + 4);
    }
    return NULL;
}

/* Halves and rounds towards the next unit once 10 of it are passed, as PostgreSQL does. */
FUNC(fn_pg_size_pretty)
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    int64_t v = args[0].i;
    int unit = 0;
    bool half = false; /* v counts half units */
    while (unit < 5) {
        int64_t limit = unit == 0 ? 10 * 1024 : 20 * 1024 - 1;
        uint64_t size = v < 0 ? (uint64_t)0 - (uint64_t)v : (uint64_t)v;
        if (size < (uint64_t)limit) {
            break;
        }
        v = unit == 0 ? v / 512 : v / 1024;
        unit++;
        half = true;
    }
    if (half) {
        v = v < 0 ? (v - 1) / 2 : (v + 1) / 2;
    }
    struct buf b = {0};
    buf_printf(&b, "%" PRId64 " %s", v, units[unit]);
    return func_buf(ctx, &b, out);
}

FUNC(fn_pg_size_pretty_num)
{
    struct datum whole = numeric_trunc(ctx->arena, &args[0], 0);
    int64_t v;
    if (!status_consume(numeric_to_int(&whole, INT64_MIN, INT64_MAX, "bigint", &v)) &&
        numeric_scale(&args[0]) == 0) {
        struct datum d = datum_int(v);
        return fn_pg_size_pretty(ctx, &d, 1, out);
    }
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB", "PB"};
    struct datum d = args[0], limit = numeric_from_int8(ctx->arena, 10 * 1024), quotient;
    int unit = 0;
    struct datum size = numeric_abs(ctx->arena, &d);
    struct datum divisor = numeric_from_int8(ctx->arena, 1024);
    while (unit < 5 && numeric_compare(&size, &limit) >= 0) {
        TRY(numeric_div(ctx->arena, &d, &divisor, &quotient));
        d = quotient;
        size = numeric_abs(ctx->arena, &d);
        unit++;
    }
    struct buf b = {0};
    struct datum shown = unit == 0 ? d : numeric_round(ctx->arena, &d, 0);
    numeric_format(&shown, &b);
    buf_printf(&b, " %s", units[unit]);
    return func_buf(ctx, &b, out);
}

FUNC(fn_pg_size_bytes)
{
    static const struct {
        const char *name;
        int shift;
    } units[] = {{"bytes", 0}, {"b", 0},   {"kb", 10}, {"mb", 20},
                 {"gb", 30},   {"tb", 40}, {"pb", 50}, {"", 0}};
    struct slice s = datum_slice(&args[0]);
    size_t from = 0, n = 0;
    while (from < s.len && s.data[from] == ' ') {
        from++;
    }
    n = from;
    while (n < s.len && strchr("+-.0123456789eE", s.data[n]) != NULL && s.data[n] != 0) {
        n++;
    }
    size_t unit_from = n, unit_to = s.len;
    while (unit_from < unit_to && s.data[unit_from] == ' ') {
        unit_from++;
    }
    while (unit_to > unit_from && s.data[unit_to - 1] == ' ') {
        unit_to--;
    }
    struct datum v;
    if (n == from ||
        status_consume(numeric_parse(ctx->arena, slice_make(s.data + from, n - from), &v))) {
        return status_sql(INVALID, "22023", "invalid size: \"%.*s\"", (int)s.len,
                          (const char *)s.data);
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].name) == unit_to - unit_from &&
            strncasecmp(units[i].name, (const char *)s.data + unit_from, unit_to - unit_from) ==
                0) {
            struct datum factor = numeric_from_int8(ctx->arena, INT64_C(1) << units[i].shift), r;
            TRY(numeric_mul(ctx->arena, &v, &factor, &r));
            return numeric_to_int(&r, INT64_MIN, INT64_MAX, "bigint", &out->i);
        }
    }
    return status_hint(
        status_detail(status_sql(INVALID, "22023", "invalid size: \"%.*s\"", (int)s.len,
                                 (const char *)s.data),
                      "Invalid size unit: \"%.*s\".", (int)(unit_to - unit_from),
                      (const char *)s.data + unit_from),
        "Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".");
}

FUNC(fn_pg_encoding_to_char)
{
    return func_bytes(ctx,
                      slice_str(args[0].i == 6   ? "UTF8"
                                : args[0].i == 0 ? "SQL_ASCII"
                                                 : ""),
                      out);
}

FUNC(fn_pg_char_to_encoding)
{
    struct slice s = datum_slice(&args[0]);
    bool utf8 = (s.len == 4 && strncasecmp((const char *)s.data, "utf8", 4) == 0) ||
                (s.len == 5 && strncasecmp((const char *)s.data, "utf-8", 5) == 0);
    *out = datum_int(utf8 ? 6 : -1);
    return NULL;
}

/* ---- hashtext(): Bob Jenkins' lookup3, so that values agree with PostgreSQL's ---- */

static inline uint32_t rotate(uint32_t x, int k)
{
    return (x << k) | (x >> (32 - k));
}

static uint32_t load_u32(const uint8_t *p, size_t n)
{
    uint32_t v = 0;
    for (size_t i = 0; i < n; i++) {
        v |= (uint32_t)p[i] << (8 * i);
    }
    return v;
}

static uint32_t lookup3(struct slice s)
{
    uint32_t a, b, c;
    size_t len = s.len;
    const uint8_t *k = s.data;
    a = b = c = 0x9e3779b9u + (uint32_t)len + 3923095u;
    for (; len >= 12; len -= 12, k += 12) {
        a += load_u32(k, 4);
        b += load_u32(k + 4, 4);
        c += load_u32(k + 8, 4);
        a -= c, a ^= rotate(c, 4), c += b;
        b -= a, b ^= rotate(a, 6), a += c;
        c -= b, c ^= rotate(b, 8), b += a;
        a -= c, a ^= rotate(c, 16), c += b;
        b -= a, b ^= rotate(a, 19), a += c;
        c -= b, c ^= rotate(b, 4), b += a;
    }
    /* The lowest byte of c is kept for the length. */
    a += load_u32(k, len < 4 ? len : 4);
    b += len > 4 ? load_u32(k + 4, len < 8 ? len - 4 : 4) : 0;
    c += len > 8 ? load_u32(k + 8, len - 8) << 8 : 0;
    c ^= b, c -= rotate(b, 14);
    a ^= c, a -= rotate(c, 11);
    b ^= a, b -= rotate(a, 25);
    c ^= b, c -= rotate(b, 16);
    a ^= c, a -= rotate(c, 4);
    b ^= a, b -= rotate(a, 14);
    c ^= b, c -= rotate(b, 24);
    return c;
}

FUNC(fn_hashtext)
{
    *out = datum_int((int32_t)lookup3(datum_slice(&args[0])));
    return NULL;
}
