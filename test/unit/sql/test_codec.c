/* Keys keep the order of type_compare, decode to equal values, and refuse damage; rows come back.
 */
#include "base/mem.h"
#include "random_datum.h"
#include "sql/codec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static int sign(int c)
{
    return (c > 0) - (c < 0);
}

/* What the key order of two values has to be. */
static int expected_order(const struct key_column *col, const struct datum *x,
                          const struct datum *y)
{
    if (x->is_null || y->is_null) {
        int c = (int)x->is_null - (int)y->is_null;
        return col->nulls_first ? -c : c;
    }
    int c = sign(type_compare(col->type, x, y));
    return col->is_desc ? -c : c;
}

static void keys_sort_as_values_and_come_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 60000; i++) {
        struct arena *a = arena_create(0);
        struct key_column col = {.type = stored_types[i % STORED_TYPES],
                                 .is_desc = rng_below(&r, 2),
                                 .nulls_first = rng_below(&r, 2)};
        struct datum x = rng_below(&r, 20) == 0 ? DATUM_NULL : random_datum(a, &r, col.type);
        struct datum y = rng_below(&r, 20) == 0 ? DATUM_NULL : random_datum(a, &r, col.type);
        struct buf kx = {0}, ky = {0};
        key_put_datum(&kx, &col, &x);
        key_put_datum(&ky, &col, &y);
        assert_int_equal(sign(slice_cmp(buf_slice(&kx), buf_slice(&ky))),
                         expected_order(&col, &x, &y));
        if (!x.is_null && !y.is_null && type_compare(col.type, &x, &y) == 0) {
            assert_true(type_hash(col.type, &x) == type_hash(col.type, &y));
        }
        struct reader rd;
        struct datum back;
        reader_init(&rd, buf_slice(&kx));
        assert_null(key_get_datum(&rd, a, &col, &back));
        assert_int_equal(reader_left(&rd), 0);
        assert_int_equal(back.is_null, x.is_null);
        assert_true(x.is_null || type_compare(col.type, &x, &back) == 0);
        buf_deinit(&kx);
        buf_deinit(&ky);
        arena_destroy(a);
    }
}

/* No key is a prefix of another: several columns in a row sort by the first, then the second. */
static void composite_keys_sort_column_by_column(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 2);
    for (int i = 0; i < 20000; i++) {
        struct arena *a = arena_create(0);
        struct key_column cols[2];
        struct datum x[2], y[2];
        struct buf kx = {0}, ky = {0};
        int expected = 0;
        for (int c = 0; c < 2; c++) {
            cols[c] = (struct key_column){.type = stored_types[rng_below(&r, STORED_TYPES)],
                                          .is_desc = rng_below(&r, 2),
                                          .nulls_first = rng_below(&r, 2)};
            x[c] = random_datum(a, &r, cols[c].type);
            y[c] = rng_below(&r, 3) == 0 ? x[c] : random_datum(a, &r, cols[c].type);
            key_put_datum(&kx, &cols[c], &x[c]);
            key_put_datum(&ky, &cols[c], &y[c]);
            expected = expected ? expected : expected_order(&cols[c], &x[c], &y[c]);
        }
        assert_int_equal(sign(slice_cmp(buf_slice(&kx), buf_slice(&ky))), expected);
        buf_deinit(&kx);
        buf_deinit(&ky);
        arena_destroy(a);
    }
}

/* The bytes are a format on disk: they must not change. */
static void key_bytes_are_as_documented(void **state)
{
    (void)state;
    static const struct {
        type_oid type;
        const char *text;
        bool is_desc;
        const char *hex;
    } cases[] = {
        {TYPE_INT4, "1", false, "\\x058000000000000001"},
        {TYPE_INT4, "1", true, "\\xfa7ffffffffffffffe"},
        {TYPE_INT8, "-1", false, "\\x057fffffffffffffff"},
        {TYPE_TEXT, "ab", false, "\\x0561620001"},
        {TYPE_BYTEA, "\\x0001", false, "\\x0500ff010001"},
        {TYPE_BPCHAR, "ab  ", false, "\\x0561620001"},
        {TYPE_FLOAT8, "1", false, "\\x05bff0000000000000"},
        {TYPE_FLOAT8, "-1", false, "\\x05400fffffffffffff"},
        {TYPE_NUMERIC, "0", false, "\\x0530"},
        {TYPE_NUMERIC, "1.50", false, "\\x0540800000011000"},
        {TYPE_NUMERIC, "-1.5", false, "\\x05207ffffffeefff"},
        {TYPE_NUMERIC, "NaN", false, "\\x0560"},
        {TYPE_INTERVAL, "1 us", false, "\\x0580000000000000000000000000000001"},
        {TYPE_INT4_ARRAY, "{1,NULL}", false, "\\x05058000000000000001fe01"},
    };
    struct arena *a = arena_create(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct key_column col = {.type = cases[i].type, .is_desc = cases[i].is_desc};
        struct datum d, bytes;
        struct buf key = {0}, hex = {0};
        assert_null(type_input(a, col.type, -1, slice_str(cases[i].text), &d));
        key_put_datum(&key, &col, &d);
        bytes = datum_bytes(buf_slice(&key));
        type_output(TYPE_BYTEA, &bytes, &hex);
        buf_put_u8(&hex, 0);
        assert_string_equal((char *)hex.data, cases[i].hex);
        buf_deinit(&key);
        buf_deinit(&hex);
    }
    arena_destroy(a);
}

static void damaged_keys_are_refused(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 60000; i++) {
        struct arena *a = arena_create(0);
        struct key_column col = {.type = stored_types[i % STORED_TYPES],
                                 .is_desc = rng_below(&r, 2)};
        struct datum x = random_datum(a, &r, col.type), back;
        struct buf key = {0};
        struct reader rd;
        key_put_datum(&key, &col, &x);
        /* Cut anywhere: never a value. */
        reader_init(&rd, slice_make(key.data, rng_below(&r, key.len)));
        assert_true(status_consume(key_get_datum(&rd, a, &col, &back)));
        /* One byte changed: an error or some value that can be used. */
        key.data[rng_below(&r, key.len)] = (uint8_t)rng_next(&r);
        reader_init(&rd, buf_slice(&key));
        if (!status_consume(key_get_datum(&rd, a, &col, &back)) && !back.is_null) {
            struct buf out = {0};
            type_output(col.type, &back, &out);
            buf_deinit(&out);
        }
        buf_deinit(&key);
        arena_destroy(a);
    }
}

static void prefix_end_is_the_next_key(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put(&b, "a\xff\xff", 3);
    assert_true(key_prefix_end(&b));
    assert_true(slice_eq(buf_slice(&b), slice_str("b")));
    buf_clear(&b);
    buf_put(&b, "\xff\xff", 2);
    assert_false(key_prefix_end(&b));
    buf_clear(&b);
    key_prefix(&b, 0x01020304, 1);
    key_put_bucket(&b, 0x0506);
    assert_true(slice_eq(buf_slice(&b), slice_make("\1\2\3\4\0\0\0\1\5\6", 10)));
    buf_deinit(&b);
    int counts[8] = {0};
    for (int i = 0; i < 8000; i++) {
        counts[key_hash_bucket(slice_make(&i, sizeof i), 8)]++;
    }
    for (int i = 0; i < 8; i++) {
        assert_in_range(counts[i], 800, 1200);
    }
}

enum { ROW_COLUMNS = 20 };

static void make_row(struct arena *a, struct rng *r, struct row_column *cols, struct datum *values)
{
    for (int c = 0; c < ROW_COLUMNS; c++) {
        cols[c] =
            (struct row_column){.type = stored_types[rng_below(r, STORED_TYPES)], .typmod = -1};
        values[c] = rng_below(r, 5) == 0 ? DATUM_NULL : random_datum(a, r, cols[c].type);
    }
}

static void rows_come_back_whole_and_in_part(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 4);
    for (int i = 0; i < 3000; i++) {
        struct arena *a = arena_create(0);
        struct row_column cols[ROW_COLUMNS];
        struct datum values[ROW_COLUMNS], out[ROW_COLUMNS];
        int wanted[ROW_COLUMNS], n = 0, stored = (int)rng_below(&r, ROW_COLUMNS + 1);
        make_row(a, &r, cols, values);
        for (int c = 0; c < ROW_COLUMNS; c++) {
            if (rng_below(&r, 2)) {
                wanted[n++] = c;
            }
            cols[c].has_missing = c >= stored && rng_below(&r, 2);
            cols[c].missing = values[c];
        }
        struct buf row = {0};
        row_encode(&row, cols, stored, values);
        assert_null(row_decode(buf_slice(&row), cols, ROW_COLUMNS, wanted, n, out));
        for (int k = 0; k < n; k++) {
            int c = wanted[k];
            bool is_null =
                c < stored ? values[c].is_null : !cols[c].has_missing || values[c].is_null;
            assert_int_equal(out[k].is_null, is_null);
            assert_true(is_null || type_compare(cols[c].type, &values[c], &out[k]) == 0);
        }
        buf_deinit(&row);
        arena_destroy(a);
    }
}

static void damaged_rows_are_refused(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 5);
    int all[ROW_COLUMNS];
    for (int c = 0; c < ROW_COLUMNS; c++) {
        all[c] = c;
    }
    for (int i = 0; i < 20000; i++) {
        struct arena *a = arena_create(0);
        struct row_column cols[ROW_COLUMNS];
        struct datum values[ROW_COLUMNS], out[ROW_COLUMNS];
        struct buf row = {0};
        make_row(a, &r, cols, values);
        row_encode(&row, cols, ROW_COLUMNS, values);
        /* A copy of the exact size, so that a read beyond it is noticed. */
        size_t cut = rng_below(&r, row.len);
        uint8_t *copy = mem_alloc(cut + 1);
        memcpy(copy, row.data, cut);
        bool is_refused = status_consume(
            row_decode(slice_make(copy, cut), cols, ROW_COLUMNS, all, ROW_COLUMNS, out));
        assert_true(is_refused || cut == row.len);
        mem_free(copy);
        row.data[rng_below(&r, row.len)] = (uint8_t)rng_next(&r);
        if (!status_consume(
                row_decode(buf_slice(&row), cols, ROW_COLUMNS, all, ROW_COLUMNS, out))) {
            struct buf text = {0};
            for (int c = 0; c < ROW_COLUMNS; c++) {
                if (!out[c].is_null) {
                    type_output(cols[c].type, &out[c], &text);
                }
            }
            buf_deinit(&text);
        }
        buf_deinit(&row);
        arena_destroy(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_sort_as_values_and_come_back),
        cmocka_unit_test(composite_keys_sort_column_by_column),
        cmocka_unit_test(key_bytes_are_as_documented),
        cmocka_unit_test(damaged_keys_are_refused),
        cmocka_unit_test(prefix_end_is_the_next_key),
        cmocka_unit_test(rows_come_back_whole_and_in_part),
        cmocka_unit_test(damaged_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
