/* Both stores against one body of tests, then what only the memory store does: crashes. */
#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/store.h"

#include "cmocka_all.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct fixture {
    const char *kind;
    struct store *store;
    struct mem_disk *disk;
    char dir[64];
};

static void fails(struct status *st, enum status_code code, const char *sqlstate)
{
    assert_non_null(st);
    assert_string_equal(status_code_name(st->code), status_code_name(code));
    assert_string_equal(st->sqlstate, sqlstate);
    status_free(st);
}

static void open_again(struct fixture *f)
{
    if (f->disk != NULL) {
        assert_ok(store_mem_open(f->disk, "state", &f->store));
    } else {
        assert_ok(store_leveldb_open(f->dir, &(struct store_options){.bloom = true}, &f->store));
    }
}

static int set_up_mem(void **state)
{
    struct fixture *f = MEM_NEW(struct fixture);
    f->disk = mem_disk_create(1);
    open_again(f);
    *state = f;
    return 0;
}

static int set_up_leveldb(void **state)
{
    struct fixture *f = MEM_NEW(struct fixture);
    strcpy(f->dir, "/tmp/sherd-test-store-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    open_again(f);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    store_close(f->store);
    mem_disk_destroy(f->disk);
    if (f->dir[0]) {
        char *command = mem_printf("rm -rf '%s'", f->dir);
        assert_int_equal(system(command), 0);
        mem_free(command);
    }
    mem_free(f);
    return 0;
}

/* "a=1 b=2 c" puts a and b and deletes c. */
static void write_text(struct store *s, const char *text, bool sync)
{
    struct store_batch *b = store_batch_create(s);
    char *copy = mem_strdup(text);
    char *save = NULL;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(word, '=');
        if (eq == NULL) {
            store_batch_delete(b, slice_str(word));
        } else {
            store_batch_put(b, slice_make(word, (size_t)(eq - word)), slice_str(eq + 1));
        }
    }
    assert_ok(store_write(s, b, sync));
    store_batch_destroy(b);
    mem_free(copy);
}

static void put_pair(struct buf *out, struct store_iter *it)
{
    struct slice k = store_iter_key(it);
    struct slice v = store_iter_value(it);
    buf_printf(out, "%s%.*s=%.*s", out->len ? " " : "", (int)k.len, (const char *)k.data,
               (int)v.len, (const char *)v.data);
}

static char *text_of(struct buf *b)
{
    buf_put_u8(b, 0);
    size_t len;
    return (char *)buf_take(b, &len);
}

static void expect_all(struct store_iter *it, const char *expected)
{
    struct buf forward = {0};
    for (store_iter_seek(it, slice_str("")); store_iter_valid(it); store_iter_next(it)) {
        put_pair(&forward, it);
    }
    assert_ok(store_iter_status(it));
    char *text = text_of(&forward);
    assert_string_equal(text, expected);
    mem_free(text);
}

static void expect(struct store *s, const struct store_snapshot *snap, const char *expected)
{
    struct store_iter *it = store_iter_create(s, snap);
    expect_all(it, expected);
    store_iter_destroy(it);
}

static void expect_get(struct store *s, const struct store_snapshot *snap, const char *key,
                       const char *value)
{
    struct buf out = {0};
    bool found = false;
    buf_put_cstr(&out, "old");
    assert_ok(store_get(s, snap, slice_str(key), &out, &found));
    assert_int_equal(found, value != NULL);
    if (value != NULL) {
        assert_true(slice_eq(buf_slice(&out), slice_str(value)));
    } else {
        assert_int_equal(out.len, 0);
    }
    buf_deinit(&out);
}

/* ---- both stores ---- */

static void what_is_written_is_read_back(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "b=2 a=1 c=3", false);
    expect_get(f->store, NULL, "a", "1");
    expect_get(f->store, NULL, "x", NULL);
    write_text(f->store, "a=9 b", true);
    expect_get(f->store, NULL, "a", "9");
    expect_get(f->store, NULL, "b", NULL);
    expect(f->store, NULL, "a=9 c=3");
    assert_ok(store_flush(f->store));
    assert_ok(store_flush(f->store)); /* nothing to do */
    expect(f->store, NULL, "a=9 c=3");
    store_close(f->store);
    open_again(f);
    expect(f->store, NULL, "a=9 c=3");
}

static void the_last_of_two_writes_in_a_batch_counts(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1 a=2 b=1 b c d=1 d d=2", false);
    expect(f->store, NULL, "a=2 d=2");
}

static void a_batch_counts_and_can_be_used_again(void **state)
{
    struct fixture *f = *state;
    struct store_batch *b = store_batch_create(f->store);
    store_batch_put(b, slice_str("key"), slice_str("value"));
    store_batch_delete(b, slice_str("other"));
    assert_int_equal(store_batch_count(b), 2);
    assert_true(store_batch_bytes(b) >= 13);
    store_batch_clear(b);
    assert_int_equal(store_batch_count(b), 0);
    assert_int_equal(store_batch_bytes(b), 0);
    assert_ok(store_write(f->store, b, true));
    expect(f->store, NULL, "");
    store_batch_put(b, slice_str("k"), slice_str(""));
    assert_ok(store_write(f->store, b, true));
    store_batch_destroy(b);
    expect_get(f->store, NULL, "k", "");
}

static void an_iterator_goes_both_ways(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "b=1 d=2 f=3 g=4", false);
    write_text(f->store, "f", false);
    struct store_iter *it = store_iter_create(f->store, NULL);
    assert_false(store_iter_valid(it));
    store_iter_seek(it, slice_str("c"));
    assert_true(slice_eq(store_iter_key(it), slice_str("d")));
    store_iter_next(it);
    assert_true(slice_eq(store_iter_key(it), slice_str("g")));
    store_iter_prev(it);
    assert_true(slice_eq(store_iter_key(it), slice_str("d")));
    store_iter_prev(it);
    assert_true(slice_eq(store_iter_key(it), slice_str("b")));
    store_iter_prev(it);
    assert_false(store_iter_valid(it));
    store_iter_seek_prev(it, slice_str("g"));
    assert_true(slice_eq(store_iter_key(it), slice_str("d")));
    store_iter_seek_prev(it, slice_str("zzz"));
    assert_true(slice_eq(store_iter_key(it), slice_str("g")));
    assert_true(slice_eq(store_iter_value(it), slice_str("4")));
    store_iter_next(it);
    assert_false(store_iter_valid(it));
    store_iter_seek_prev(it, slice_str("b"));
    assert_false(store_iter_valid(it));
    store_iter_seek(it, slice_str("h"));
    assert_false(store_iter_valid(it));
    assert_ok(store_iter_status(it));
    store_iter_destroy(it);
}

static void iterators_and_snapshots_keep_their_view(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1 b=1 c=1", true);
    struct store_snapshot *snap = store_snapshot_create(f->store);
    struct store_iter *it = store_iter_create(f->store, NULL);
    write_text(f->store, "a=2 b d=2", true);
    struct store_iter *late = store_iter_create(f->store, NULL);
    write_text(f->store, "a c d=3", true);
    expect_all(it, "a=1 b=1 c=1");
    expect_all(late, "a=2 c=1 d=2");
    expect(f->store, snap, "a=1 b=1 c=1");
    expect_get(f->store, snap, "b", "1");
    expect_get(f->store, snap, "d", NULL);
    expect(f->store, NULL, "d=3");
    store_iter_destroy(it);
    store_snapshot_destroy(f->store, snap);
    write_text(f->store, "d=4", true);
    expect_all(late, "a=2 c=1 d=2");
    store_iter_destroy(late);
    expect(f->store, NULL, "d=4");
}

static void a_second_open_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    struct status *st = f->disk != NULL ? store_mem_open(f->disk, "state", &second)
                                        : store_leveldb_open(f->dir, NULL, &second);
    assert_null(second);
    assert_non_null(strstr(st->message, "in use"));
    fails(st, STATUS_INVALID, "55006");
}

static void a_large_value_comes_back_whole(void **state)
{
    struct fixture *f = *state;
    struct buf value = {0};
    memset(buf_extend(&value, 300000), 'v', 300000);
    struct store_batch *b = store_batch_create(f->store);
    store_batch_put(b, slice_str("large"), buf_slice(&value));
    assert_ok(store_write(f->store, b, false));
    store_batch_destroy(b);
    struct buf out = {0};
    bool found = false;
    assert_ok(store_get(f->store, NULL, slice_str("large"), &out, &found));
    assert_true(found && slice_eq(buf_slice(&out), buf_slice(&value)));
    buf_put_u8(&out, 1); /* the buffer is the caller's, however it was filled */
    buf_deinit(&out);
    buf_deinit(&value);
    store_compact(f->store, slice_str(""), slice_str(""));
    assert_true(store_approximate_size(f->store, slice_str("a"), slice_str("")) > 250000);
    assert_int_equal(store_approximate_size(f->store, slice_str("m"), slice_str("")), 0);
}

/* Random writes, snapshots and reads against a plain array. */
enum { MODEL_KEYS = 24, MODEL_SNAPSHOTS = 3 };

struct model {
    int values[MODEL_KEYS]; /* 0 = absent */
};

static void expect_model(struct store *s, const struct store_snapshot *snap, const struct model *m)
{
    struct buf b = {0};
    for (int k = 0; k < MODEL_KEYS; k++) {
        if (m->values[k]) {
            buf_printf(&b, "%sk%02d=%d", b.len ? " " : "", k, m->values[k]);
        }
    }
    char *text = text_of(&b);
    expect(s, snap, text);
    mem_free(text);
}

static void random_writes_agree_with_a_model(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    rng_seed(&rng, 7);
    struct model now = {0};
    struct model then[MODEL_SNAPSHOTS];
    struct store_snapshot *snaps[MODEL_SNAPSHOTS] = {0};
    for (int step = 1; step <= 3000; step++) {
        struct buf b = {0};
        for (uint64_t n = rng_below(&rng, 4) + 1; n; n--) {
            int k = (int)rng_below(&rng, MODEL_KEYS);
            now.values[k] = rng_below(&rng, 3) ? step : 0;
            if (now.values[k]) {
                buf_printf(&b, "k%02d=%d ", k, step);
            } else {
                buf_printf(&b, "k%02d ", k);
            }
        }
        char *text = text_of(&b);
        write_text(f->store, text, f->disk != NULL && rng_below(&rng, 4) == 0);
        mem_free(text);
        size_t i = rng_below(&rng, MODEL_SNAPSHOTS);
        if (rng_below(&rng, 20) == 0) {
            store_snapshot_destroy(f->store, snaps[i]);
            snaps[i] = store_snapshot_create(f->store);
            then[i] = now;
        }
        if (step % 10 == 0) {
            expect_model(f->store, NULL, &now);
            if (snaps[i] != NULL) {
                expect_model(f->store, snaps[i], &then[i]);
            }
        }
    }
    for (int i = 0; i < MODEL_SNAPSHOTS; i++) {
        store_snapshot_destroy(f->store, snaps[i]);
    }
}

/* ---- LevelDB ---- */

static void leveldb_tells_an_unusable_path(void **state)
{
    (void)state;
    struct store *s = NULL;
    fails(store_leveldb_open("/proc/no/such", NULL, &s), STATUS_IO, "58030");
    fails(store_leveldb_open("", NULL, &s), STATUS_INVALID, "22023");
    struct status *st = store_leveldb_open("/dev/null/x", NULL, &s);
    assert_non_null(strstr(st->message, "/dev/null"));
    fails(st, STATUS_IO, "58030");
}

/* The file size limit stands for a disk that refuses: the write fails, and so do all after it. */
static void leveldb_refuses_all_writes_after_a_failed_one(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1", true);
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit small = {.rlim_cur = 64 << 10, .rlim_max = old.rlim_max};
    void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct buf value = {0};
    memset(buf_extend(&value, 1 << 20), 'v', 1 << 20);
    struct store_batch *b = store_batch_create(f->store);
    store_batch_put(b, slice_str("b"), buf_slice(&value));
    struct status *st = store_write(f->store, b, true);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, old_handler);
    fails(st, STATUS_IO, "58030");
    store_batch_clear(b);
    store_batch_put(b, slice_str("c"), slice_str("1"));
    fails(store_write(f->store, b, false), STATUS_IO, "58030");
    fails(store_flush(f->store), STATUS_IO, "58030");
    store_batch_destroy(b);
    buf_deinit(&value);
    expect_get(f->store, NULL, "a", "1");
    store_close(f->store);
    open_again(f);
    expect_get(f->store, NULL, "a", "1");
    expect_get(f->store, NULL, "c", NULL);
}

/* ---- the memory store's crashes ---- */

static void crash(struct fixture *f, int keep_percent)
{
    mem_disk_crash(f->disk, keep_percent);
    store_close(f->store); /* the old process's handle */
    open_again(f);
}

static void a_power_cut_keeps_what_was_flushed_or_synced(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1 b=1", false);
    assert_ok(store_flush(f->store));
    write_text(f->store, "b=2 c=2", true);
    write_text(f->store, "a=3 b c=3 d=3", false);
    write_text(f->store, "a=4 e=4", false);
    expect(f->store, NULL, "a=4 c=3 d=3 e=4");
    crash(f, 0);
    expect(f->store, NULL, "a=1 b=2 c=2");
}

/* A sync speaks for its own batch, not for what was written unsynced before it. */
static void a_sync_does_not_save_unsynced_batches_before_it(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1 b=1", true);
    write_text(f->store, "a=2 b=2 c=2", false);
    write_text(f->store, "b=3", true);
    crash(f, 0);
    expect(f->store, NULL, "a=1 b=3");
}

static void a_process_crash_loses_nothing_but_makes_nothing_durable(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1", true);
    write_text(f->store, "a=2 b=2", false);
    crash(f, 100);
    expect(f->store, NULL, "a=2 b=2");
    crash(f, 0);
    expect(f->store, NULL, "a=1");
}

/* Each unsynced batch survives wholly or not at all, in any combination. */
static void a_power_cut_drops_any_subset_of_whole_batches(void **state)
{
    struct fixture *f = *state;
    int seen[8] = {0};
    for (int round = 0; round < 200; round++) {
        write_text(f->store, "a=0 b=0 c=0 x=0 y=0 z=0", true);
        write_text(f->store, "a=1 x=1", false);
        write_text(f->store, "b=1 y=1", false);
        write_text(f->store, "c=1 z=1", false);
        crash(f, 50);
        struct buf out = {0};
        int bits = 0;
        for (int i = 0; i < 3; i++) {
            char values[2];
            for (int j = 0; j < 2; j++) {
                bool found = false;
                char key = (char)((j ? 'x' : 'a') + i);
                assert_ok(store_get(f->store, NULL, slice_make(&key, 1), &out, &found));
                assert_true(found);
                values[j] = (char)out.data[0];
            }
            assert_int_equal(values[0], values[1]);
            bits |= (values[0] == '1') << i;
        }
        buf_deinit(&out);
        seen[bits]++;
    }
    for (int i = 0; i < 8; i++) {
        assert_true(seen[i] > 5);
    }
}

static void survivors_are_applied_in_order(void **state)
{
    struct fixture *f = *state;
    bool seen[4] = {0};
    for (int round = 0; round < 60; round++) {
        write_text(f->store, "a=0", true);
        write_text(f->store, "a=1", false);
        write_text(f->store, "a=2", false);
        crash(f, 60);
        struct buf out = {0};
        bool found = false;
        assert_ok(store_get(f->store, NULL, slice_str("a"), &out, &found));
        seen[out.data[0] - '0'] = true;
        buf_deinit(&out);
    }
    assert_true(seen[0] && seen[1] && seen[2] && !seen[3]);
}

static void a_skipped_sync_is_lost_by_a_power_cut(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1", true);
    mem_disk_skip_sync(f->disk, true);
    write_text(f->store, "a=2", true);
    mem_disk_skip_sync(f->disk, false);
    crash(f, 0);
    expect(f->store, NULL, "a=1");
}

static void after_a_failed_write_all_writes_fail_until_reopened(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1", true);
    mem_disk_fail_writes(f->disk, STATUS_LIMIT);
    struct store_batch *b = store_batch_create(f->store);
    store_batch_put(b, slice_str("a"), slice_str("2"));
    fails(store_write(f->store, b, true), STATUS_LIMIT, "53100");
    mem_disk_fail_writes(f->disk, STATUS_OK);
    fails(store_write(f->store, b, true), STATUS_LIMIT, "53100");
    fails(store_flush(f->store), STATUS_LIMIT, "53100");
    store_batch_destroy(b);
    expect(f->store, NULL, "a=1");
    store_close(f->store);
    open_again(f);
    write_text(f->store, "b=1", true);
    expect(f->store, NULL, "a=1 b=1");
}

/* A write that failed may be found after a crash, and may not. */
static void a_failed_write_may_turn_out_written(void **state)
{
    struct fixture *f = *state;
    bool seen[2] = {false, false};
    for (int round = 0; round < 40; round++) {
        write_text(f->store, "a=0", true);
        mem_disk_fail_writes(f->disk, STATUS_IO);
        struct store_batch *b = store_batch_create(f->store);
        store_batch_put(b, slice_str("a"), slice_str("1"));
        fails(store_write(f->store, b, true), STATUS_IO, "58030");
        store_batch_destroy(b);
        mem_disk_fail_writes(f->disk, STATUS_OK);
        crash(f, round % 2 ? 100 : 50);
        struct buf out = {0};
        bool found = false;
        assert_ok(store_get(f->store, NULL, slice_str("a"), &out, &found));
        seen[out.data[0] - '0'] = true;
        buf_deinit(&out);
    }
    assert_true(seen[0] && seen[1]);
}

static void a_crash_under_open_iterators_leaves_them_closable(void **state)
{
    struct fixture *f = *state;
    write_text(f->store, "a=1 b=1", true);
    struct store_iter *it = store_iter_create(f->store, NULL);
    struct store_snapshot *snap = store_snapshot_create(f->store);
    store_iter_seek(it, slice_str("a"));
    mem_disk_crash(f->disk, 0);
    store_iter_next(it);
    assert_false(store_iter_valid(it));
    fails(store_iter_status(it), STATUS_IO, "58030");
    store_iter_destroy(it);
    store_snapshot_destroy(f->store, snap);
    store_close(f->store);
    open_again(f);
    expect(f->store, NULL, "a=1 b=1");
}

/* The model again, with crashes: what was flushed, and the synced batches on top. */
static void random_crashes_keep_the_durable_state(void **state)
{
    struct fixture *f = *state;
    struct rng rng;
    rng_seed(&rng, 11);
    struct model now = {0};
    struct model durable = {0};
    for (int step = 1; step <= 6000; step++) {
        struct buf b = {0};
        bool sync = rng_below(&rng, 3) == 0;
        for (uint64_t n = rng_below(&rng, 3) + 1; n; n--) {
            int k = (int)rng_below(&rng, MODEL_KEYS);
            now.values[k] = rng_below(&rng, 3) ? step : 0;
            durable.values[k] = sync ? now.values[k] : durable.values[k];
            if (now.values[k]) {
                buf_printf(&b, "k%02d=%d ", k, step);
            } else {
                buf_printf(&b, "k%02d ", k);
            }
        }
        char *text = text_of(&b);
        write_text(f->store, text, sync);
        mem_free(text);
        if (rng_below(&rng, 20) == 0) {
            assert_ok(store_flush(f->store));
            durable = now;
        }
        if (rng_below(&rng, 30) == 0) {
            expect_model(f->store, NULL, &now);
            crash(f, 0);
            now = durable;
            expect_model(f->store, NULL, &now);
        }
    }
}

/* Flips a byte in the middle of the largest file of the directory with that ending. */
static void damage_largest(const char *dir, const char *ending)
{
    char *command = mem_printf("ls -S '%s'/*%s | head -1", dir, ending);
    char path[256] = "";
    FILE *p = popen(command, "r");
    assert_non_null(p);
    assert_non_null(fgets(path, sizeof(path), p));
    pclose(p);
    path[strcspn(path, "\n")] = '\0';
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    long middle = ftell(f) / 2;
    assert_int_equal(fseek(f, middle, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, middle, SEEK_SET), 0);
    assert_int_equal(fputc(c ^ 0x40, f), c ^ 0x40);
    assert_int_equal(fclose(f), 0);
    mem_free(command);
}

static void leveldb_takes_no_writes_after_damage_was_read(void **state)
{
    struct fixture *f = *state;
    struct store_batch *b = store_batch_create(f->store);
    char key[16];
    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof(key), "k%06d", i);
        store_batch_put(b, slice_str(key), slice_str("a value of some thirty bytes...."));
    }
    assert_ok(store_write(f->store, b, true));
    assert_ok(store_flush(f->store));
    store_close(f->store);
    damage_largest(f->dir, ".ldb");
    assert_ok(store_leveldb_open(
        f->dir, &(struct store_options){.paranoid = true, .must_exist = true}, &f->store));
    write_text(f->store, "x=1", true);
    struct buf value = {0};
    bool found;
    struct status *st = NULL;
    for (int i = 0; st == NULL && i < 10000; i++) {
        snprintf(key, sizeof(key), "k%06d", i);
        st = store_get(f->store, NULL, slice_str(key), &value, &found);
    }
    fails(st, STATUS_CORRUPT, "XX001");
    store_batch_clear(b);
    store_batch_put(b, slice_str("y"), slice_str("2"));
    fails(store_write(f->store, b, true), STATUS_CORRUPT, "XX001");
    assert_ok(store_get(f->store, NULL, slice_str("x"), &value, &found)); /* reads go on */
    assert_true(found);
    store_batch_destroy(b);
    buf_deinit(&value);
}

static void leveldb_makes_no_store_that_must_exist(void **state)
{
    (void)state;
    char dir[] = "/tmp/sherd-test-store-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct store *s = NULL;
    fails(store_leveldb_open(dir, &(struct store_options){.must_exist = true}, &s), STATUS_CORRUPT,
          "XX001");
    char *gone = mem_printf("%s/gone", dir);
    fails(store_leveldb_open(gone, &(struct store_options){.must_exist = true}, &s), STATUS_CORRUPT,
          "XX001");
    char *command = mem_printf("rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
    mem_free(command);
    mem_free(gone);
}

#define BOTH(name)                                                                                 \
    {#name " (memory)", name, set_up_mem, tear_down, NULL},                                        \
    {                                                                                              \
#name " (leveldb)", name, set_up_leveldb, tear_down, NULL                                  \
    }
#define MEM(name) cmocka_unit_test_setup_teardown(name, set_up_mem, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(what_is_written_is_read_back),
        BOTH(the_last_of_two_writes_in_a_batch_counts),
        BOTH(a_batch_counts_and_can_be_used_again),
        BOTH(an_iterator_goes_both_ways),
        BOTH(iterators_and_snapshots_keep_their_view),
        BOTH(a_second_open_is_refused),
        BOTH(a_large_value_comes_back_whole),
        BOTH(random_writes_agree_with_a_model),
        cmocka_unit_test(leveldb_tells_an_unusable_path),
        cmocka_unit_test(leveldb_makes_no_store_that_must_exist),
        cmocka_unit_test_setup_teardown(leveldb_takes_no_writes_after_damage_was_read,
                                        set_up_leveldb, tear_down),
        cmocka_unit_test_setup_teardown(leveldb_refuses_all_writes_after_a_failed_one,
                                        set_up_leveldb, tear_down),
        MEM(a_power_cut_keeps_what_was_flushed_or_synced),
        MEM(a_sync_does_not_save_unsynced_batches_before_it),
        MEM(a_process_crash_loses_nothing_but_makes_nothing_durable),
        MEM(a_power_cut_drops_any_subset_of_whole_batches),
        MEM(survivors_are_applied_in_order),
        MEM(a_skipped_sync_is_lost_by_a_power_cut),
        MEM(after_a_failed_write_all_writes_fail_until_reopened),
        MEM(a_failed_write_may_turn_out_written),
        MEM(a_crash_under_open_iterators_leaves_them_closable),
        MEM(random_crashes_keep_the_durable_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
