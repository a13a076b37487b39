/* Batches come back from the wire, and damaged ones are refused without reading beyond them. */
#include "base/mem.h"
#include "random_datum.h"
#include "sql/datum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct batch *random_batch(struct arena *a, struct rng *r)
{
    uint32_t types[8];
    int ncols = (int)rng_below(r, 8), nrows = (int)rng_below(r, 40);
    for (int c = 0; c < ncols; c++) {
        types[c] = stored_types[rng_below(r, STORED_TYPES)];
    }
    struct batch *b = batch_create(a, ncols, types, nrows);
    b->nrows = nrows;
    for (int c = 0; c < ncols; c++) {
        bool with_nulls = rng_below(r, 2);
        for (int i = 0; i < nrows; i++) {
            b->cols[c][i] =
                with_nulls && rng_below(r, 3) == 0 ? DATUM_NULL : random_datum(a, r, types[c]);
        }
    }
    return b;
}

static void batches_come_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 2000; i++) {
        struct arena *a = arena_create(0);
        struct batch *b = random_batch(a, &r), *back;
        struct buf out = {0};
        batch_encode(&out, b);
        assert_null(batch_decode(a, buf_slice(&out), &back));
        assert_int_equal(back->ncols, b->ncols);
        assert_int_equal(back->nrows, b->nrows);
        for (int c = 0; c < b->ncols; c++) {
            assert_int_equal(back->types[c], b->types[c]);
            for (int k = 0; k < b->nrows; k++) {
                struct datum x = b->cols[c][k], y = back->cols[c][k];
                assert_int_equal(x.is_null, y.is_null);
                assert_true(x.is_null || type_compare(b->types[c], &x, &y) == 0);
                struct datum copy = datum_copy(a, b->types[c], &y);
                assert_true(x.is_null || type_compare(b->types[c], &x, &copy) == 0);
            }
        }
        buf_deinit(&out);
        arena_destroy(a);
    }
}

static void damaged_batches_are_refused(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 2);
    for (int i = 0; i < 20000; i++) {
        struct arena *a = arena_create(0);
        struct batch *back;
        struct buf out = {0};
        batch_encode(&out, random_batch(a, &r));
        size_t len = rng_below(&r, 3) == 0 ? out.len : rng_below(&r, out.len);
        uint8_t *copy = mem_alloc(len + 1);
        memcpy(copy, out.data, len);
        if (len == out.len) {
            for (int k = 0; k < 3; k++) {
                copy[rng_below(&r, len)] = (uint8_t)rng_next(&r);
            }
        }
        struct status *st = batch_decode(a, slice_make(copy, len), &back);
        if (st == NULL) {
            assert_int_equal(len, out.len);
            struct buf text = {0};
            for (int c = 0; c < back->ncols; c++) {
                for (int k = 0; k < back->nrows; k++) {
                    if (!back->cols[c][k].is_null) {
                        type_output(back->types[c], &back->cols[c][k], &text);
                    }
                }
            }
            buf_deinit(&text);
        }
        status_free(st);
        mem_free(copy);
        buf_deinit(&out);
        arena_destroy(a);
    }
}

/* Counts that cannot be true must not take memory. */
static void huge_counts_are_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(1 << 20);
    struct batch *back;
    static const uint8_t many_rows[] = {0xff, 0xff, 0xff, 0x07, 1, 0, 0, 0, 23, 0, 0, 0, 0, 0};
    static const uint8_t many_cols[] = {1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 23, 0, 0};
    struct status *st = batch_decode(a, slice_make(many_rows, sizeof many_rows), &back);
    assert_true(status_is(st, STATUS_CORRUPT));
    status_free(st);
    st = batch_decode(a, slice_make(many_cols, sizeof many_cols), &back);
    assert_true(status_is(st, STATUS_CORRUPT));
    status_free(st);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_come_back),
        cmocka_unit_test(damaged_batches_are_refused),
        cmocka_unit_test(huge_counts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
