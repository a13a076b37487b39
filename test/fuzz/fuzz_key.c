/*
 * Key codec: flags u8 (1 descending, 2 nulls first) | type u16 | key bytes of two columns of that
 * type.
 *
 * What decodes has one stored form that comes back as itself, and keys stand in the order of their
 * values.
 */
#include "fuzz.h"
#include "sql/codec.h"
#include "sql_pick.h"

static void key_of(struct buf *out, const struct key_column *col, const struct datum *d)
{
    buf_clear(out);
    key_put_datum(out, col, d);
}

static void comes_back(struct arena *a, const struct key_column *col, const struct datum *d,
                       struct buf *key)
{
    struct reader r;
    struct datum again;
    struct buf second = {0};
    key_of(key, col, d);
    reader_init(&r, buf_slice(key));
    struct status *st = key_get_datum(&r, a, col, &again);
    if (status_is(st, STATUS_LIMIT)) {
        status_free(st);
        return;
    }
    ASSERT(st == NULL && reader_left(&r) == 0);
    ASSERT(again.is_null == d->is_null);
    ASSERT(d->is_null || type_compare(col->type, d, &again) == 0);
    key_of(&second, col, &again);
    ASSERT(slice_eq(buf_slice(key), buf_slice(&second)));
    buf_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    struct key_column col = {.type = pick_type(get_u16(data + 1))->oid,
                             .is_desc = (data[0] & 1) != 0,
                             .nulls_first = (data[0] & 2) != 0};
    struct arena *a = arena_create(FUZZ_ARENA);
    struct buf x = {0}, y = {0};
    struct datum d[2];
    struct reader r;
    reader_init(&r, slice_make(data + 3, size - 3));
    if (!fuzz_refused(key_get_datum(&r, a, &col, &d[0]))) {
        comes_back(a, &col, &d[0], &x);
        if (!fuzz_refused(key_get_datum(&r, a, &col, &d[1]))) {
            comes_back(a, &col, &d[1], &y);
            int by_key = slice_cmp(buf_slice(&x), buf_slice(&y)), by_value;
            if (d[0].is_null || d[1].is_null) {
                by_value = (d[0].is_null - d[1].is_null) * (col.nulls_first ? -1 : 1);
            } else {
                by_value = type_compare(col.type, &d[0], &d[1]) * (col.is_desc ? -1 : 1);
                ASSERT(by_value != 0 || type_hash(col.type, &d[0]) == type_hash(col.type, &d[1]));
            }
            ASSERT((by_key > 0) - (by_key < 0) == (by_value > 0) - (by_value < 0));
        }
    }
    struct slice whole = slice_make(data, size);
    buf_clear(&x);
    buf_put_slice(&x, whole);
    if (key_prefix_end(&x)) {
        ASSERT(slice_cmp(buf_slice(&x), whole) > 0 && !slice_has_prefix(buf_slice(&x), whole));
    }
    buf_deinit(&x);
    buf_deinit(&y);
    arena_destroy(a);
    return 0;
}
