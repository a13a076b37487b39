/* Collection: reads at or above the watermark never change, and what they cannot see is gone;
 * applying the log again gives the same state. Wiping of dropped tables. */
#include "cmocka_all.h"

#include "base/rng.h"
#include "part_world.h"
#include "server_impl.h"

#include <stdio.h>

static void set_watermark(struct world *w, uint64_t ts)
{
    struct buf key = {0}, value = {0}, entry = {0};
    state_key(&key, 2, 'W');
    buf_put_u64(&value, ts);
    entry_begin(&entry);
    entry_put(&entry, buf_slice(&key), buf_slice(&value));
    struct store_batch *b = store_batch_create(w->store);
    assert_null(state_apply(w->state, ++w->index, buf_slice(&entry), b, NULL, NULL));
    assert_null(store_write(w->store, b, false));
    store_batch_destroy(b);
    buf_deinit(&key);
    buf_deinit(&value);
    buf_deinit(&entry);
}

static uint64_t removed;

static void pass(struct fiber *f, void *arg)
{
    struct world *w = arg;
    assert_null(gc_pass(f, w->part, &removed));
}

static void wipe(struct fiber *f, void *arg)
{
    struct world *w = arg;
    assert_null(gc_wipe(f, w->part, slice_str("k1"), slice_str("k3")));
}

static size_t count_keys(struct world *w, char space)
{
    char start[2] = {space, '\0'}, end[2] = {(char)(space + 1), '\0'};
    struct store_iter *it = store_iter_create(w->store, NULL);
    size_t n = 0;
    for (store_iter_seek(it, slice_str(start)); store_iter_valid(it); store_iter_next(it)) {
        if (slice_cmp(store_iter_key(it), slice_str(end)) >= 0) {
            break;
        }
        n++;
    }
    store_iter_destroy(it);
    return n;
}

/* Every entry once more over the state as it is: what a restart does to a store that lost nothing.
 */
static void again_after_a_crash(struct world *w)
{
    struct reader r;
    reader_init(&r, buf_slice(&w->log));
    while (reader_left(&r) != 0) {
        uint64_t index = read_u64(&r);
        struct slice data = read_bytes(&r);
        struct store_batch *b = store_batch_create(w->store);
        assert_null(state_apply(w->state, index, data, b, NULL, NULL));
        assert_null(store_write(w->store, b, false));
        store_batch_destroy(b);
    }
}

static void reads_above_the_watermark_do_not_change(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct world w;
        struct rng r;
        rng_seed(&r, seed);
        world_init(&w);
        uint64_t stamps[300];
        char *before[300];
        char live[10] = {0};
        for (int i = 0; i < 300; i++) {
            char op[32];
            int k = (int)rng_below(&r, 10);
            if (live[k] && rng_below(&r, 3) == 0) {
                snprintf(op, sizeof(op), "-k%d", k);
                live[k] = 0;
            } else {
                snprintf(op, sizeof(op), "k%d=%d", k, i);
                live[k] = 1;
            }
            stamps[i] = put(&w, op);
        }
        for (int i = 0; i < 300; i++) {
            before[i] = read_at(&w, stamps[i], "k", "l");
        }
        int mark = 200;
        set_watermark(&w, stamps[mark]);
        world_run(&w, pass, &w);
        assert_true(removed > 50);
        for (int i = mark; i < 300; i++) {
            assert_string_equal(read_at(&w, stamps[i], "k", "l"), before[i]);
        }
        set_watermark(&w, stamps[299]);
        world_run(&w, pass, &w);
        assert_string_equal(read_at(&w, stamps[299], "k", "l"), before[299]);
        size_t count = 0;
        for (int k = 0; k < 10; k++) {
            count += live[k] ? 1 : 0;
        }
        assert_int_equal(count_keys(&w, 'd'), count); /* tombstones too */
        assert_int_equal(count_keys(&w, 'h'), 0);
        /* An insert after that, and a read between the collected delete and it. */
        for (int k = 0; k < 10; k++) {
            if (!live[k]) {
                char op[32];
                snprintf(op, sizeof(op), "+k%d=new", k);
                put(&w, op);
            }
        }
        assert_string_equal(read_at(&w, stamps[299], "k", "l"), before[299]);
        size_t versions = count_keys(&w, 'd') + count_keys(&w, 'h');
        again_after_a_crash(&w);
        assert_int_equal(count_keys(&w, 'd') + count_keys(&w, 'h'), versions);
        assert_string_equal(read_at(&w, stamps[299], "k", "l"), before[299]);
        world_deinit(&w);
    }
}

static void a_read_below_the_watermark_is_too_old(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    uint64_t ts = put(&w, "+a=1");
    set_watermark(&w, ts + 1);
    struct txn none = {.w = &w};
    sherd__v1__handle__init(&none.handle);
    struct call c;
    call_read(&c, &none, ts, "a", "z");
    assert_non_null(c.st);
    assert_string_equal(c.st->sqlstate, "72000");
    call_free(&c);
    struct txn t = txn_new(&w, ts);
    call_write(&c, &t, "b=1", false); /* W2: a collected tombstone would hide the conflict */
    assert_string_equal(c.st->sqlstate, "40001");
    call_free(&c);
    world_deinit(&w);
}

static void a_locked_tombstone_stays_for_the_next_pass(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(&w, "+a=1");
    uint64_t ts = put(&w, "-a");
    struct txn t = txn_new(&w, ++w.clock);
    write_ok(&t, "+a=2");
    set_watermark(&w, ts);
    world_run(&w, pass, &w);
    assert_int_equal(removed, 0);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_string_equal(read_at(&w, 0, "a", "z"), "a=2");
    assert_string_equal(read_at(&w, ts, "a", "z"), "");
    world_deinit(&w);
}

static void a_wipe_removes_a_range_with_its_history(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(&w, "+k0=0 +k1=1 +k2=2 +k3=3");
    put(&w, "k0=0 k1=1 k2=2 k3=3");
    world_run(&w, wipe, &w);
    assert_string_equal(read_at(&w, 0, "k", "l"), "k0=0 k3=3");
    assert_int_equal(count_keys(&w, 'h'), 2);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_above_the_watermark_do_not_change),
        cmocka_unit_test(a_read_below_the_watermark_is_too_old),
        cmocka_unit_test(a_locked_tombstone_stays_for_the_next_pass),
        cmocka_unit_test(a_wipe_removes_a_range_with_its_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
