/*
 * Key and row codecs. codec.h draws the layouts; what it leaves to this file:
 *
 *   integers, dates, times, oids   8 bytes big-endian, sign bit flipped
 *   floats                         8 bytes: bits big-endian, all inverted when negative, else sign
 *                                  bit flipped; -0 is stored as 0 and every NaN as one NaN, above
 * all text, varchar, name, bytea     00 as 00 FF, ended by 00 01; bpchar without trailing blanks
 *   uuid                           16 bytes
 *   interval                       16 bytes: its span in microseconds as a signed 128-bit number,
 * sign bit flipped (equal spans are equal: '1 day' = '24 hours'); comes back as days and
 * microseconds numeric                        class byte: 10 -Infinity, 20 negative, 30 zero, 40
 * positive, 50 Infinity, 60 NaN. Negative and positive go on with the decimal exponent e (value =
 * 0.d1d2d3... * 10^e, d1 > 0) as i32 big-endian with the sign bit flipped, then the digits two by
 * two as 1 + 10*d + d', ended by 00; of a negative one all these bytes are inverted arrays per
 * element 05 + value or FE for NULL, ended by 01
 *
 * Damaged bytes never pass: every decoder checks length, class and digits.
 */
#include "sql/codec.h"

#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"
#include "value.h"

#include <gmp.h>
#include <math.h>
#include <xxhash.h>

enum {
    MARK_NULL_FIRST = 0x01,
    MARK_VALUE = 0x05,
    MARK_NULL_LAST = 0xfe,
    MARK_ARRAY_END = 0x01,
};

enum {
    NUM_NEG_INF = 0x10,
    NUM_NEGATIVE = 0x20,
    NUM_ZERO = 0x30,
    NUM_POSITIVE = 0x40,
    NUM_INF = 0x50,
    NUM_NAN = 0x60,
};

#define SIGN_BIT (UINT64_C(1) << 63)

void key_prefix(struct buf *out, uint32_t table_id, uint32_t index_id)
{
    uint8_t *p = buf_extend(out, 8);
    set_u32(p, table_id);
    set_u32(p + 4, index_id);
}

void key_put_bucket(struct buf *out, uint16_t bucket)
{
    buf_put_u16(out, bucket);
}

void key_put_colocated(struct buf *out, uint32_t table_id, uint32_t index_id)
{
    buf_put_u8(out, KEY_COLOCATED);
    key_prefix(out, table_id, index_id);
}

/* ---- values into keys ---- */

static void put_escaped(struct buf *out, const uint8_t *p, size_t len)
{
    while (len > 0) {
        const uint8_t *zero = memchr(p, 0, len);
        size_t run = zero != NULL ? (size_t)(zero - p) : len;
        buf_put(out, p, run);
        if (zero == NULL) {
            break;
        }
        buf_put(out, "\x00\xff", 2);
        p += run + 1;
        len -= run + 1;
    }
    buf_put(out, "\x00\x01", 2);
}

static uint64_t float_to_key(double v)
{
    uint64_t bits;
    v = isnan(v) ? (double)NAN : v == 0 ? 0.0 : v;
    memcpy(&bits, &v, sizeof bits);
    if (isnan(v)) {
        bits = UINT64_C(0x7ff8000000000000);
    }
    return bits & SIGN_BIT ? ~bits : bits | SIGN_BIT;
}

static double float_from_key(uint64_t key)
{
    uint64_t bits = key & SIGN_BIT ? key & ~SIGN_BIT : ~key;
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Digits of the magnitude without leading and trailing zeros. Result is malloc'ed by GMP or in tmp.
 */
static void put_numeric_digits(struct buf *out, const char *digits, size_t n, int32_t exponent,
                               bool neg)
{
    uint8_t flip = neg ? 0xff : 0;
    uint8_t *p = buf_extend(out, 4);
    set_u32(p, (uint32_t)exponent ^ UINT32_C(0x80000000) ^ (neg ? UINT32_MAX : 0));
    for (size_t i = 0; i < n; i += 2) {
        int hi = digits[i] - '0', lo = i + 1 < n ? digits[i + 1] - '0' : 0;
        buf_put_u8(out, (uint8_t)(1 + hi * 10 + lo) ^ flip);
    }
    buf_put_u8(out, flip);
}

static void put_numeric(struct buf *out, const struct datum *d)
{
    if (numeric_is_nan(d)) {
        buf_put_u8(out, NUM_NAN);
        return;
    }
    int sign = numeric_sign(d);
    if (numeric_is_inf(d)) {
        buf_put_u8(out, sign < 0 ? NUM_NEG_INF : NUM_INF);
        return;
    }
    if (sign == 0) {
        buf_put_u8(out, NUM_ZERO);
        return;
    }
    buf_put_u8(out, sign < 0 ? NUM_NEGATIVE : NUM_POSITIVE);
    char small[24], *digits = small;
    size_t n;
    int64_t v;
    int scale;
    if (numeric_get_small(d, &v, &scale)) {
        uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
        digits = small + sizeof small;
        while (u > 0) {
            *--digits = (char)('0' + u % 10);
            u /= 10;
        }
        n = (size_t)(small + sizeof small - digits);
    } else {
        mpz_t m;
        mpz_init(m);
        mpz_import(m, d->len - 3, 1, 1, 1, 0, d->p + 3);
        scale = numeric_scale(d);
        digits = mpz_get_str(NULL, 10, m);
        n = strlen(digits);
        mpz_clear(m);
    }
    int32_t exponent = (int32_t)n - scale;
    size_t significant = n;
    while (significant > 1 && digits[significant - 1] == '0') {
        significant--;
    }
    put_numeric_digits(out, digits, significant, exponent, sign < 0);
    if (digits < small || digits > small + sizeof small) {
        void (*gmp_free)(void *, size_t);
        mp_get_memory_functions(NULL, NULL, &gmp_free);
        gmp_free(digits, n + 1);
    }
}

static void put_value(struct buf *out, type_oid type, const struct datum *d);

static void put_array(struct buf *out, const struct datum *d)
{
    struct array_iter it;
    struct datum e;
    array_iter_init(&it, d);
    while (array_next(&it, &e)) {
        if (e.is_null) {
            buf_put_u8(out, MARK_NULL_LAST);
        } else {
            buf_put_u8(out, MARK_VALUE);
            put_value(out, it.element, &e);
        }
    }
    buf_put_u8(out, MARK_ARRAY_END);
}

static void put_interval(struct buf *out, const struct datum *d)
{
    struct interval iv = interval_get(d);
    __int128 span =
        (__int128)iv.us + ((__int128)iv.days + (__int128)iv.months * 30) * USECS_PER_DAY;
    uint8_t *p = buf_extend(out, 16);
    set_u64(p, (uint64_t)(span >> 64) ^ SIGN_BIT);
    set_u64(p + 8, (uint64_t)span);
}

static void put_value(struct buf *out, type_oid type, const struct datum *d)
{
    switch (value_class_of(type)) {
    case VALUE_BOOL:
    case VALUE_BYTE:
    case VALUE_INT2:
    case VALUE_INT4:
    case VALUE_UINT4:
    case VALUE_INT8:
        set_u64(buf_extend(out, 8), (uint64_t)d->i ^ SIGN_BIT);
        break;
    case VALUE_FLOAT4:
    case VALUE_FLOAT8:
        set_u64(buf_extend(out, 8), float_to_key(d->f));
        break;
    case VALUE_FIXED16:
        if (type == TYPE_INTERVAL) {
            put_interval(out, d);
        } else {
            buf_put(out, d->p, 16);
        }
        break;
    case VALUE_NUMERIC:
        put_numeric(out, d);
        break;
    case VALUE_ARRAY:
        put_array(out, d);
        break;
    case VALUE_BYTES:
        put_escaped(out, d->p, type == TYPE_BPCHAR ? bpchar_len(d) : d->len);
        break;
    }
}

void key_put_datum(struct buf *out, const struct key_column *col, const struct datum *d)
{
    if (d->is_null) {
        buf_put_u8(out, col->nulls_first ? MARK_NULL_FIRST : MARK_NULL_LAST);
        return;
    }
    size_t start = out->len;
    buf_put_u8(out, MARK_VALUE);
    put_value(out, col->type, d);
    if (col->is_desc) {
        for (uint8_t *p = out->data + start; p < out->data + out->len; p++) {
            *p = (uint8_t) ~*p;
        }
    }
}

/* ---- values out of keys ---- */

/* Bytes of a key column; those of a descending one are inverted as they are read. */
struct key_reader {
    struct reader *r;
    uint8_t flip; /* 0xff: descending */
};

static uint8_t take_u8(struct key_reader *k)
{
    return read_u8(k->r) ^ k->flip;
}

static uint64_t take_u64(struct key_reader *k)
{
    return read_u64(k->r) ^ (k->flip ? UINT64_MAX : 0);
}

static bool take_escaped(struct key_reader *k, struct arena *a, struct datum *out)
{
    const uint8_t *start = k->r->pos;
    size_t left = reader_left(k->r), len = 0, i = 0;
    bool plain =
        k->flip == 0; /* no escape met: may be borrowed... but is copied, the key dies first */
    for (;;) {
        if (i >= left) {
            return false;
        }
        if ((start[i] ^ k->flip) != 0) {
            len++;
            i++;
            continue;
        }
        uint8_t next = i + 1 < left ? start[i + 1] ^ k->flip : 0;
        if (next == 0x01) {
            break;
        }
        if (next != 0xff) {
            return false;
        }
        plain = false;
        len++;
        i += 2;
    }
    uint8_t *p = arena_alloc(a, len + 1);
    if (plain) {
        memcpy(p, start, len);
    } else {
        for (size_t from = 0, to = 0; from < i; to++) {
            p[to] = start[from] ^ k->flip;
            from += p[to] == 0 ? 2 : 1;
        }
    }
    k->r->pos += i + 2;
    *out = datum_bytes(slice_make(p, len));
    return true;
}

static bool take_numeric_digits(struct key_reader *k, struct arena *a, bool neg, struct datum *out)
{
    enum { EXPONENT_MAX = NUMERIC_WEIGHT_DIGITS_MAX, EXPONENT_MIN = -NUMERIC_SCALE_MAX };
    struct key_reader n = {.r = k->r, .flip = k->flip ^ (neg ? 0xff : 0)};
    uint32_t bits = read_u32(n.r) ^ (n.flip ? UINT32_MAX : 0);
    int32_t exponent = (int32_t)(bits ^ UINT32_C(0x80000000));
    if (!reader_ok(n.r) || exponent > EXPONENT_MAX || exponent < EXPONENT_MIN) {
        return false;
    }
    struct buf text = {0};
    bool ok = false;
    buf_put(&text, neg ? "-0." : "0.", neg ? 3 : 2);
    for (int last = 1;;) {
        uint8_t c = take_u8(&n);
        if (!reader_ok(n.r) || c > 100) {
            break;
        }
        if (c == 0) {
            ok = last != 0 && text.len > 3u; /* some digits, no trailing zeros */
            break;
        }
        c--;
        if (c < 10 && text.len <= 3) {
            break; /* the first digit is never zero */
        }
        if (text.len > NUMERIC_WEIGHT_DIGITS_MAX + NUMERIC_SCALE_MAX + 8) {
            break;
        }
        buf_put_u8(&text, (uint8_t)('0' + c / 10));
        buf_put_u8(&text, (uint8_t)('0' + c % 10));
        last = c;
    }
    if (ok) {
        text.len -= text.data[text.len - 1] == '0'; /* the filler of an odd count */
        buf_printf(&text, "e%d", (int)exponent);
        struct datum d;
        ok = !status_consume(numeric_parse(a, buf_slice(&text), &d));
        if (ok) {
            *out = numeric_trim_scale(a, &d);
        }
    }
    buf_deinit(&text);
    return ok;
}

static bool take_numeric(struct key_reader *k, struct arena *a, struct datum *out)
{
    uint8_t c = take_u8(k);
    if (!reader_ok(k->r)) {
        return false;
    }
    switch (c) {
    case NUM_NEG_INF:
        *out = numeric_infinity(a, true);
        return true;
    case NUM_INF:
        *out = numeric_infinity(a, false);
        return true;
    case NUM_NAN:
        *out = numeric_nan(a);
        return true;
    case NUM_ZERO:
        *out = numeric_from_int8(a, 0);
        return true;
    case NUM_NEGATIVE:
    case NUM_POSITIVE:
        return take_numeric_digits(k, a, c == NUM_NEGATIVE, out);
    default:
        return false;
    }
}

static bool take_interval(struct key_reader *k, struct arena *a, struct datum *out)
{
    uint64_t hi = take_u64(k) ^ SIGN_BIT, lo = take_u64(k);
    __int128 span = (__int128)(((unsigned __int128)hi << 64) | lo);
    __int128 days = span / USECS_PER_DAY;
    if (!reader_ok(k->r)) {
        return false;
    }
    struct interval iv = {.us = (int64_t)(span % USECS_PER_DAY)};
    if (days > INT32_MAX || days < INT32_MIN) {
        __int128 months = days / 30;
        if (months > INT32_MAX || months < INT32_MIN) {
            return false;
        }
        iv.months = (int32_t)months;
        days %= 30;
    }
    iv.days = (int32_t)days;
    *out = interval_datum(a, &iv);
    return true;
}

static bool int_fits(type_oid type, int64_t v)
{
    switch (value_class_of(type)) {
    case VALUE_BOOL:
        return v == 0 || v == 1;
    case VALUE_BYTE:
        return v == (uint8_t)v;
    case VALUE_INT2:
        return v == (int16_t)v;
    case VALUE_INT4:
        return v == (int32_t)v;
    case VALUE_UINT4:
        return v == (int64_t)(uint32_t)v;
    default:
        return true;
    }
}

static bool take_value(struct key_reader *k, struct arena *a, type_oid type, struct datum *out);

static bool take_array(struct key_reader *k, struct arena *a, type_oid element, struct datum *out)
{
    struct datum *elems = NULL;
    int count = 0, cap = 0;
    for (;;) {
        uint8_t mark = take_u8(k);
        if (!reader_ok(k->r)) {
            return false;
        }
        if (mark == MARK_ARRAY_END) {
            break;
        }
        if (count == cap) {
            int bigger = cap ? cap * 2 : 8;
            elems =
                arena_grow(a, elems, sizeof *elems * (size_t)cap, sizeof *elems * (size_t)bigger);
            cap = bigger;
        }
        elems[count] = DATUM_NULL;
        if (mark == MARK_VALUE) {
            if (!take_value(k, a, element, &elems[count])) {
                return false;
            }
        } else if (mark != MARK_NULL_LAST) {
            return false;
        }
        count++;
    }
    *out = array_build(a, element, elems, count);
    return true;
}

static bool take_value(struct key_reader *k, struct arena *a, type_oid type, struct datum *out)
{
    *out = (struct datum){.i = 0};
    switch (value_class_of(type)) {
    case VALUE_BOOL:
    case VALUE_BYTE:
    case VALUE_INT2:
    case VALUE_INT4:
    case VALUE_UINT4:
    case VALUE_INT8:
        out->i = (int64_t)(take_u64(k) ^ SIGN_BIT);
        return reader_ok(k->r) && int_fits(type, out->i);
    case VALUE_FLOAT4:
    case VALUE_FLOAT8:
        out->f = float_from_key(take_u64(k));
        return reader_ok(k->r);
    case VALUE_FIXED16: {
        if (type == TYPE_INTERVAL) {
            return take_interval(k, a, out);
        }
        uint64_t hi = take_u64(k), lo = take_u64(k);
        uint8_t *p = arena_alloc(a, 16);
        set_u64(p, hi);
        set_u64(p + 8, lo);
        *out = datum_bytes(slice_make(p, 16));
        return reader_ok(k->r);
    }
    case VALUE_NUMERIC:
        return take_numeric(k, a, out);
    case VALUE_ARRAY:
        return take_array(k, a, type_element(type), out);
    case VALUE_BYTES:
        return take_escaped(k, a, out);
    }
    return false;
}

struct status *key_get_datum(struct reader *r, struct arena *a, const struct key_column *col,
                             struct datum *out)
{
    uint8_t mark = read_u8(r);
    if (reader_ok(r) && mark == (col->nulls_first ? MARK_NULL_FIRST : MARK_NULL_LAST)) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct key_reader k = {.r = r, .flip = col->is_desc ? 0xff : 0};
    struct datum d;
    /* What a key holds is never more than a few times its bytes. */
    TRY(arena_reserve(a, reader_left(r) * 64 + 64));
    if (!reader_ok(r) || (mark ^ k.flip) != MARK_VALUE || !take_value(&k, a, col->type, &d)) {
        r->failed = true;
        return status_new(CORRUPT, "key: truncated or damaged");
    }
    *out = d;
    return NULL;
}

bool key_prefix_end(struct buf *key)
{
    while (key->len > 0 && key->data[key->len - 1] == 0xff) {
        key->len--;
    }
    if (key->len == 0) {
        return false;
    }
    key->data[key->len - 1]++;
    return true;
}

uint16_t key_hash_bucket(struct slice encoded_columns, uint16_t bucket_count)
{
    return (uint16_t)(XXH64(encoded_columns.data, encoded_columns.len, 0) % bucket_count);
}

/* ---- rows ---- */

enum { ROW_VERSION = 1 };

void row_encode(struct buf *out, const struct row_column *cols, int ncols,
                const struct datum *values)
{
    buf_put_u8(out, ROW_VERSION);
    buf_put_varint(out, (uint64_t)ncols);
    size_t bytes = ((size_t)ncols + 7) / 8;
    uint8_t *bits = buf_extend(out, bytes);
    memset(bits, 0, bytes);
    for (int i = 0; i < ncols; i++) {
        bits[i >> 3] |= (uint8_t)(values[i].is_null << (i & 7));
    }
    for (int i = 0; i < ncols; i++) {
        if (!values[i].is_null) {
            value_put(out, value_class_of(cols[i].type), &values[i]);
        }
    }
}

static struct status *bad_row(void)
{
    return status_new(CORRUPT, "row: truncated or damaged");
}

struct status *row_decode(struct slice bytes, const struct row_column *cols, int ncols,
                          const int *wanted, int nwant, struct datum *out)
{
    struct reader r;
    reader_init(&r, bytes);
    uint8_t version = read_u8(&r);
    uint64_t stored = read_varint(&r);
    if (!reader_ok(&r) || version != ROW_VERSION || stored > (uint64_t)ncols) {
        return bad_row();
    }
    struct slice nulls = read_raw(&r, ((size_t)stored + 7) / 8);
    if (!reader_ok(&r)) {
        return bad_row();
    }
    int at = 0; /* next stored column */
    for (int w = 0; w < nwant; w++) {
        int want = wanted[w];
        if (want >= ncols || want < 0) {
            return status_new(INTERNAL, "row: column %d of %d", want, ncols);
        }
        if ((uint64_t)want >= stored) {
            out[w] = cols[want].has_missing ? cols[want].missing : DATUM_NULL;
            continue;
        }
        for (; at < want; at++) {
            if (!(nulls.data[at >> 3] >> (at & 7) & 1) &&
                !value_skip(&r, value_class_of(cols[at].type))) {
                return bad_row();
            }
        }
        if (w > 0 && wanted[w - 1] == want) {
            out[w] = out[w - 1];
            continue;
        }
        at = want + 1;
        if (nulls.data[want >> 3] >> (want & 7) & 1) {
            out[w] = DATUM_NULL;
            continue;
        }
        enum value_class c = value_class_of(cols[want].type);
        type_oid element = c == VALUE_ARRAY ? type_element(cols[want].type) : 0;
        if (!value_get(&r, c, element, &out[w])) {
            return bad_row();
        }
    }
    return NULL;
}
