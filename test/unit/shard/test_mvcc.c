/* Versions: reads at snapshots in both directions, and that applying a log again, over whatever
 * subset of it a crash has kept, gives the same state. */
#include "cmocka_all.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "state.h"

#include <stdio.h>

enum { KEYS = 12, STEPS = 120 };

struct fixture {
    struct mem_disk *disk;
    struct store *store;
    struct shard_state *state;
    struct buf log[STEPS + 1];
    uint64_t index;
    /* the model: value of each key after each timestamp; 0 = not there */
    int model[STEPS + 2][KEYS];
};

static void key_of(int k, char out[16])
{
    snprintf(out, 16, "k%03d", k);
}

static void apply(struct fixture *x, struct slice entry)
{
    struct store_batch *b = store_batch_create(x->store);
    assert_null(state_apply(x->state, ++x->index, entry, b, NULL, NULL));
    assert_null(store_write(x->store, b, false));
    store_batch_destroy(b);
}

/* Timestamp = step. Each step writes or deletes some keys as a leader would. */
static void fill(struct fixture *x, uint64_t seed)
{
    struct rng r;
    struct mvcc_scratch scratch = {0};
    rng_seed(&r, seed);
    for (int step = 1; step <= STEPS; step++) {
        memcpy(x->model[step], x->model[step - 1], sizeof(x->model[0]));
        entry_begin(&x->log[step]);
        for (int n = 0; n < 3; n++) {
            int k = (int)rng_below(&r, KEYS);
            bool is_delete = rng_below(&r, 4) == 0, found = false;
            if (x->model[step][k] == step || x->model[step][k] == -step) {
                continue; /* once a step */
            }
            char key[16], row[16];
            struct mvcc_version old;
            key_of(k, key);
            snprintf(row, sizeof(row), "%d", step);
            assert_null(mvcc_newest(x->store, slice_str(key), &scratch, &old, &found));
            if (found && old.ts == (uint64_t)step) {
                continue;
            }
            if (is_delete && (!found || old.is_tombstone)) {
                continue;
            }
            entry_put_version(&x->log[step], slice_str(key), (uint64_t)step, is_delete,
                              is_delete ? slice_str("") : slice_str(row), found ? &old : NULL);
            x->model[step][k] = is_delete ? 0 : step;
            break;
        }
        apply(x, buf_slice(&x->log[step]));
    }
    memcpy(x->model[STEPS + 1], x->model[STEPS], sizeof(x->model[0]));
    mvcc_scratch_deinit(&scratch);
}

static void open_fixture(struct fixture *x, uint64_t seed)
{
    memset(x, 0, sizeof(*x));
    x->disk = mem_disk_create(seed);
    assert_null(store_mem_open(x->disk, "state", &x->store));
    assert_null(state_load(x->store, 2, &x->state));
}

static void close_fixture(struct fixture *x)
{
    state_free(x->state);
    store_close(x->store);
    mem_disk_destroy(x->disk);
    for (int i = 0; i <= STEPS; i++) {
        buf_deinit(&x->log[i]);
    }
}

static void check_scan(struct fixture *x, uint64_t ts, bool is_reverse)
{
    struct mvcc_iter it;
    mvcc_iter_init(&it, x->store, slice_str("k000"), slice_str("k999"), ts, is_reverse, false);
    for (int i = 0; i < KEYS; i++) {
        int k = is_reverse ? KEYS - 1 - i : i;
        if (x->model[ts][k] == 0) {
            continue;
        }
        char key[16], row[16];
        bool paused;
        key_of(k, key);
        snprintf(row, sizeof(row), "%d", x->model[ts][k]);
        assert_null(mvcc_iter_next(&it, UINT64_MAX, &paused));
        assert_true(it.is_valid);
        assert_true(slice_eq(it.key, slice_str(key)));
        assert_true(slice_eq(it.version.row, slice_str(row)));
        assert_int_equal(it.version.ts, x->model[ts][k]);
    }
    bool paused;
    assert_null(mvcc_iter_next(&it, UINT64_MAX, &paused));
    assert_false(it.is_valid);
    mvcc_iter_deinit(&it);
}

static void check_all(struct fixture *x)
{
    struct mvcc_scratch scratch = {0};
    for (uint64_t ts = 0; ts <= STEPS; ts++) {
        check_scan(x, ts, false);
        check_scan(x, ts, true);
        for (int k = 0; k < KEYS; k++) {
            char key[16];
            struct mvcc_version v;
            bool found;
            key_of(k, key);
            assert_null(mvcc_get(x->store, slice_str(key), ts, &scratch, &v, &found));
            assert_int_equal(found && !v.is_tombstone ? (int)v.ts : 0, x->model[ts][k]);
        }
    }
    mvcc_scratch_deinit(&scratch);
}

/* Every third version is marked: a look from any timestamp sees those above it, and no others. */
static void marks_are_found_in_history(void **state)
{
    (void)state;
    struct fixture x;
    struct mvcc_scratch scratch = {0};
    open_fixture(&x, 7);
    struct buf e = {0};
    bool out = true;
    for (uint64_t ts = 1; ts <= 12; ts++) {
        struct mvcc_version old;
        bool found = false;
        assert_null(mvcc_newest(x.store, slice_str("k"), &scratch, &old, &found));
        entry_begin(&e);
        entry_put_version(&e, slice_str("k"), ts, mvcc_flags(ts % 2 == 0, ts % 3 == 0),
                          slice_str("row"), found ? &old : NULL);
        apply(&x, buf_slice(&e));
        uint64_t newest = ts / 3 * 3;
        for (uint64_t since = 0; since <= ts + 1; since++) {
            assert_null(mvcc_moved_since(x.store, slice_str("k"), since, &scratch, &out));
            assert_int_equal(out, since < newest);
        }
    }
    assert_null(mvcc_moved_since(x.store, slice_str("k0"), 0, &scratch, &out)); /* never written */
    assert_false(out);
    buf_deinit(&e);
    mvcc_scratch_deinit(&scratch);
    close_fixture(&x);
}

static void every_snapshot_is_readable_in_both_directions(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct fixture x;
        open_fixture(&x, seed);
        fill(&x, seed);
        check_all(&x);
        close_fixture(&x);
    }
}

static void applying_again_after_a_crash_gives_the_same_state(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fixture x;
        open_fixture(&x, seed);
        fill(&x, seed);
        state_free(x.state);
        store_close(x.store);
        mem_disk_crash(x.disk, (int)(seed * 5 % 100)); /* any subset of the batches survives */
        assert_null(store_mem_open(x.disk, "state", &x.store));
        assert_null(state_load(x.store, 2, &x.state));
        x.index = 0;
        for (int step = 1; step <= STEPS; step++) {
            apply(&x, buf_slice(&x.log[step]));
        }
        check_all(&x);
        close_fixture(&x);
    }
}

static void a_short_value_is_reported_as_damage(void **state)
{
    (void)state;
    struct fixture x;
    struct mvcc_scratch scratch = {0};
    struct mvcc_version v;
    bool found;
    open_fixture(&x, 1);
    struct store_batch *b = store_batch_create(x.store);
    store_batch_put(b, slice_str("dk001"), slice_str("short"));
    assert_null(store_write(x.store, b, true));
    store_batch_destroy(b);
    struct status *st = mvcc_newest(x.store, slice_str("k001"), &scratch, &v, &found);
    assert_true(status_is(st, STATUS_CORRUPT));
    status_free(st);
    mvcc_scratch_deinit(&scratch);
    close_fixture(&x);
}

static void many_invisible_keys_pause_a_scan(void **state)
{
    (void)state;
    struct fixture x;
    open_fixture(&x, 1);
    struct buf e = {0};
    entry_begin(&e);
    for (int k = 0; k < 100; k++) {
        char key[16];
        key_of(k, key);
        entry_put_version(&e, slice_str(key), 50, 0, slice_str("x"), NULL);
    }
    apply(&x, buf_slice(&e));
    buf_deinit(&e);
    struct mvcc_iter it;
    bool paused = false;
    mvcc_iter_init(&it, x.store, slice_str("k"), slice_str("l"), 10, false, false);
    assert_null(mvcc_iter_next(&it, 40, &paused));
    assert_true(paused && !it.is_valid);
    assert_int_equal(it.seen, 40);
    mvcc_iter_deinit(&it);
    close_fixture(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_snapshot_is_readable_in_both_directions),
        cmocka_unit_test(marks_are_found_in_history),
        cmocka_unit_test(applying_again_after_a_crash_gives_the_same_state),
        cmocka_unit_test(a_short_value_is_reported_as_damage),
        cmocka_unit_test(many_invisible_keys_pause_a_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
