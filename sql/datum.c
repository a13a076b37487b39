/*
 * Values and batches in their stored form.
 *
 * Batch on the wire: rows varint | columns varint | per column: type u32 | has_nulls u8 | [null
 * bitmap, (rows + 7) / 8 bytes, bit set = NULL] | the non-NULL values in row order (value.h).
 * Column-major, so that decoding is one tight loop per column. batch_decode() borrows bytes from
 * its input.
 *
 * Counts from the wire are checked before memory is taken: a column that claims n rows must bring a
 * null bitmap or at least a byte for each of them.
 */
#include "sql/datum.h"

#include "sql/array.h"
#include "sql/numeric.h"
#include "value.h"

#include <math.h>

enum value_class value_class_of(type_oid type)
{
    switch (type) {
    case TYPE_BOOL:
        return VALUE_BOOL;
    case TYPE_CHAR:
        return VALUE_BYTE;
    case TYPE_INT2:
        return VALUE_INT2;
    case TYPE_INT4:
    case TYPE_DATE:
        return VALUE_INT4;
    case TYPE_OID:
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGTYPE:
        return VALUE_UINT4;
    case TYPE_INT8:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return VALUE_INT8;
    case TYPE_FLOAT4:
        return VALUE_FLOAT4;
    case TYPE_FLOAT8:
        return VALUE_FLOAT8;
    case TYPE_INTERVAL:
    case TYPE_UUID:
        return VALUE_FIXED16;
    case TYPE_NUMERIC:
        return VALUE_NUMERIC;
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_BYTEA:
    case TYPE_UNKNOWN:
    case TYPE_VOID:
    case TYPE_RECORD:
    case TYPE_JSON:
        return VALUE_BYTES;
    default:
        return type_element(type) != 0 ? VALUE_ARRAY : VALUE_BYTES;
    }
}

int value_class_width(enum value_class c)
{
    static const int widths[] = {
        [VALUE_BYTES] = 0,  [VALUE_BYTE] = 1,     [VALUE_BOOL] = 1,    [VALUE_INT2] = 2,
        [VALUE_INT4] = 4,   [VALUE_UINT4] = 4,    [VALUE_INT8] = 8,    [VALUE_FLOAT4] = 4,
        [VALUE_FLOAT8] = 8, [VALUE_FIXED16] = 16, [VALUE_NUMERIC] = 0, [VALUE_ARRAY] = 0};
    return widths[c];
}

void value_put(struct buf *out, enum value_class c, const struct datum *d)
{
    switch (c) {
    case VALUE_BOOL:
    case VALUE_BYTE:
        buf_put_u8(out, (uint8_t)d->i);
        break;
    case VALUE_INT2:
        buf_put_u16(out, (uint16_t)d->i);
        break;
    case VALUE_INT4:
    case VALUE_UINT4:
        buf_put_u32(out, (uint32_t)d->i);
        break;
    case VALUE_INT8:
        buf_put_u64(out, (uint64_t)d->i);
        break;
    case VALUE_FLOAT4: {
        float f = (float)d->f;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        buf_put_u32(out, bits);
        break;
    }
    case VALUE_FLOAT8: {
        uint64_t bits;
        memcpy(&bits, &d->f, sizeof bits);
        buf_put_u64(out, bits);
        break;
    }
    case VALUE_FIXED16:
        buf_put(out, d->p, 16);
        break;
    case VALUE_BYTES:
    case VALUE_NUMERIC:
    case VALUE_ARRAY:
        buf_put_bytes(out, datum_slice(d));
        break;
    }
}

static bool get_bytes(struct reader *r, struct datum *out)
{
    struct slice s = read_bytes(r);
    if (!reader_ok(r) || s.len > UINT32_MAX) {
        r->failed = true;
        return false;
    }
    *out = datum_bytes(s);
    return true;
}

bool value_get(struct reader *r, enum value_class c, type_oid element, struct datum *out)
{
    *out = (struct datum){.i = 0};
    switch (c) {
    case VALUE_BOOL:
        out->i = read_u8(r);
        r->failed = r->failed || out->i > 1;
        break;
    case VALUE_BYTE:
        out->i = read_u8(r);
        break;
    case VALUE_INT2:
        out->i = (int16_t)read_u16(r);
        break;
    case VALUE_INT4:
        out->i = (int32_t)read_u32(r);
        break;
    case VALUE_UINT4:
        out->i = read_u32(r);
        break;
    case VALUE_INT8:
        out->i = (int64_t)read_u64(r);
        break;
    case VALUE_FLOAT4: {
        uint32_t bits = read_u32(r);
        float f;
        memcpy(&f, &bits, sizeof f);
        out->f = (double)f;
        break;
    }
    case VALUE_FLOAT8: {
        uint64_t bits = read_u64(r);
        memcpy(&out->f, &bits, sizeof bits);
        break;
    }
    case VALUE_FIXED16: {
        struct slice s = read_raw(r, 16);
        if (reader_ok(r)) {
            *out = datum_bytes(s);
        }
        break;
    }
    case VALUE_BYTES:
        return get_bytes(r, out);
    case VALUE_NUMERIC:
        if (get_bytes(r, out) && !numeric_check(datum_slice(out))) {
            r->failed = true;
        }
        break;
    case VALUE_ARRAY:
        if (get_bytes(r, out) && !array_check(element, datum_slice(out))) {
            r->failed = true;
        }
        break;
    }
    return reader_ok(r);
}

bool value_skip(struct reader *r, enum value_class c)
{
    int width = value_class_width(c);
    if (width > 0) {
        (void)read_raw(r, (size_t)width);
    } else {
        (void)read_bytes(r);
    }
    return reader_ok(r);
}

/* ---- batches ---- */

struct batch *batch_create(struct arena *a, int ncols, const uint32_t *types, int cap)
{
    struct batch *b = ARENA_NEW(a, struct batch);
    b->ncols = ncols;
    b->cap = cap;
    b->arena = a;
    b->types = arena_alloc(a, sizeof *b->types * (size_t)(ncols + 1));
    b->cols = arena_alloc(a, sizeof *b->cols * (size_t)(ncols + 1));
    for (int c = 0; c < ncols; c++) {
        b->types[c] = types[c];
        b->cols[c] = arena_alloc(a, sizeof(struct datum) * (size_t)(cap > 0 ? cap : 1));
    }
    return b;
}

struct datum datum_copy(struct arena *a, uint32_t type, const struct datum *d)
{
    if (d->is_null) {
        return *d;
    }
    switch (value_class_of(type)) {
    case VALUE_BYTES:
        if (type == TYPE_VOID) {
            return *d;
        }
        break;
    case VALUE_FIXED16:
    case VALUE_NUMERIC:
    case VALUE_ARRAY:
        break;
    default:
        return *d;
    }
    return datum_bytes(arena_copy(a, datum_slice(d)));
}

static void column_encode(struct buf *out, type_oid type, const struct datum *col, int nrows)
{
    enum value_class c = value_class_of(type);
    bool has_nulls = false;
    for (int r = 0; r < nrows && !has_nulls; r++) {
        has_nulls = col[r].is_null;
    }
    buf_put_u32(out, type);
    buf_put_u8(out, has_nulls);
    if (has_nulls) {
        size_t bytes = ((size_t)nrows + 7) / 8;
        uint8_t *bits = buf_extend(out, bytes);
        memset(bits, 0, bytes);
        for (int r = 0; r < nrows; r++) {
            bits[r >> 3] |= (uint8_t)(col[r].is_null << (r & 7));
        }
    }
    int width = value_class_width(c);
    if (width > 0) {
        buf_reserve(out, (size_t)nrows * (size_t)width);
    }
    for (int r = 0; r < nrows; r++) {
        if (!col[r].is_null) {
            value_put(out, c, &col[r]);
        }
    }
}

void batch_encode(struct buf *out, const struct batch *b)
{
    buf_put_varint(out, (uint64_t)b->nrows);
    buf_put_varint(out, (uint64_t)b->ncols);
    for (int c = 0; c < b->ncols; c++) {
        column_encode(out, b->types[c], b->cols[c], b->nrows);
    }
}

static bool column_decode(struct reader *r, type_oid type, struct datum *col, size_t nrows,
                          const uint8_t *nulls)
{
    enum value_class c = value_class_of(type);
    type_oid element = c == VALUE_ARRAY ? type_element(type) : 0;
    for (size_t i = 0; i < nrows; i++) {
        if (nulls != NULL && (nulls[i >> 3] >> (i & 7) & 1)) {
            col[i] = DATUM_NULL;
        } else if (!value_get(r, c, element, &col[i])) {
            return false;
        }
    }
    return true;
}

static struct status *damaged(void)
{
    return status_new(CORRUPT, "batch: truncated or damaged");
}

struct status *batch_decode(struct arena *a, struct slice bytes, struct batch **out_batch)
{
    enum { COLUMNS_MAX = 1 << 14, ROWS_MAX = 1 << 24 };
    struct reader r;
    reader_init(&r, bytes);
    uint64_t nrows = read_varint(&r);
    uint64_t ncols = read_varint(&r);
    /* A column takes five bytes at least; its rows an eighth of a byte each. */
    if (!reader_ok(&r) || nrows > ROWS_MAX || ncols > COLUMNS_MAX || ncols > reader_left(&r) / 5 ||
        (ncols > 0 && nrows > reader_left(&r) * 8)) {
        return damaged();
    }
    TRY(arena_reserve(a, (size_t)ncols * (sizeof(struct datum *) + sizeof(uint32_t)) + 256));
    struct batch *b = ARENA_NEW(a, struct batch);
    b->ncols = (int)ncols;
    b->nrows = b->cap = (int)nrows;
    b->arena = a;
    b->types = ARENA_ARRAY(a, uint32_t, ncols + 1);
    b->cols = ARENA_ARRAY(a, struct datum *, ncols + 1);
    for (uint64_t c = 0; c < ncols; c++) {
        b->types[c] = read_u32(&r);
        uint8_t has_nulls = read_u8(&r);
        const uint8_t *nulls = NULL;
        if (has_nulls) {
            nulls = read_raw(&r, ((size_t)nrows + 7) / 8).data;
        }
        if (!reader_ok(&r) || has_nulls > 1 || (!has_nulls && nrows > reader_left(&r)) ||
            type_find(b->types[c]) == NULL) {
            return damaged();
        }
        TRY(arena_reserve(a, ((size_t)nrows + 1) * sizeof(struct datum)));
        b->cols[c] = arena_alloc(a, ((size_t)nrows + 1) * sizeof(struct datum));
        if (!column_decode(&r, b->types[c], b->cols[c], (size_t)nrows, nulls)) {
            return damaged();
        }
    }
    TRY(reader_finish(&r, "batch"));
    *out_batch = b;
    return NULL;
}
