/* Log entries: what goes in comes out; damage is reported, never read past. */
#include "cmocka_all.h"

#include "base/mem.h"
#include "base/rng.h"
#include "entry.h"

static void put_sample(struct buf *b)
{
    struct mvcc_version old = {
        .ts = 7, .is_tombstone = true, .is_moved = true, .row = slice_str("")};
    entry_begin(b);
    entry_put_outcome(b, (struct txn_id){3, 4}, 2, 99);
    entry_put_version(b, slice_str("key1"), 99, MVCC_MOVED, slice_str("row"), NULL);
    entry_put_version(b, slice_str("key2"), 99, MVCC_TOMBSTONE, slice_str(""), &old);
    entry_put(b, slice_str("gstate"), slice_str("value"));
    entry_delete(b, slice_str("gother"));
}

static int read_all(struct slice data, struct status **out)
{
    struct entry_reader er;
    struct entry_op op;
    bool more = true;
    int n = 0;
    *out = entry_open(&er, data);
    while (*out == NULL && more) {
        *out = entry_next(&er, &op, &more);
        n += *out == NULL && more ? 1 : 0;
    }
    return n;
}

static void operations_come_back(void **state)
{
    (void)state;
    struct buf b = {0};
    put_sample(&b);
    struct entry_reader er;
    struct entry_op op;
    bool more;
    assert_null(entry_open(&er, buf_slice(&b)));
    assert_null(entry_next(&er, &op, &more));
    assert_true(more && op.kind == 'A' && op.id.incarnation == 3 && op.id.counter == 4 &&
                op.attempt == 2);
    assert_null(entry_next(&er, &op, &more));
    assert_true(op.kind == 'V' && op.ts == 99 && slice_eq(op.value, slice_str("row")));
    assert_true(op.is_moved && !op.is_tombstone);
    assert_null(entry_next(&er, &op, &more));
    assert_true(op.kind == 'U' && op.is_tombstone && !op.is_moved && op.displaced.ts == 7 &&
                op.displaced.is_tombstone && op.displaced.is_moved);
    assert_null(entry_next(&er, &op, &more));
    assert_true(op.kind == 'P' && slice_eq(op.key, slice_str("gstate")));
    assert_null(entry_next(&er, &op, &more));
    assert_true(op.kind == 'D');
    assert_null(entry_next(&er, &op, &more));
    assert_false(more);
    buf_deinit(&b);
}

static void every_truncation_is_noticed_or_shorter(void **state)
{
    (void)state;
    struct buf b = {0};
    put_sample(&b);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = mem_alloc(len + 1); /* its own block: reading past it is seen */
        memcpy(copy, b.data, len);
        struct status *st = NULL;
        int n = read_all(slice_make(copy, len), &st);
        assert_true(n < 5);
        status_free(st);
        mem_free(copy);
    }
    buf_deinit(&b);
}

static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    struct buf sample = {0};
    put_sample(&sample);
    for (int i = 0; i < 20000; i++) {
        size_t len = sample.len;
        uint8_t *copy = mem_alloc(len);
        memcpy(copy, sample.data, len);
        for (int flips = 0; flips < 4; flips++) {
            copy[rng_below(&r, len)] = (uint8_t)rng_next(&r);
        }
        struct status *st = NULL;
        read_all(slice_make(copy, len), &st);
        status_free(st);
        mem_free(copy);
    }
    buf_deinit(&sample);
}

static void a_version_that_does_not_rise_is_damage(void **state)
{
    (void)state;
    struct buf b = {0};
    struct mvcc_version old = {.ts = 100, .row = slice_str("")};
    entry_begin(&b);
    entry_put_version(&b, slice_str("k"), 99, 0, slice_str("v"), &old); /* I3 */
    struct status *st = NULL;
    read_all(buf_slice(&b), &st);
    assert_true(status_is(st, STATUS_CORRUPT));
    status_free(st);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_come_back),
        cmocka_unit_test(every_truncation_is_noticed_or_shorter),
        cmocka_unit_test(random_bytes_do_no_harm),
        cmocka_unit_test(a_version_that_does_not_rise_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
