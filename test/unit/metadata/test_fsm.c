/*
 * The state machine: entries and batches, re-application in every crash pattern, the ring, request
 * ids, and damaged entries.
 */
#include "fsm.h"
#include "keys.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct state {
    struct mem_disk *disk;
    struct store *store;
    struct meta_fsm fsm;
};

static void ok(struct status *st)
{
    if (st != NULL) {
        fail_msg("%s", st->message);
    }
}

static void open_state(struct state *s)
{
    ok(store_mem_open(s->disk, "state", &s->store));
    meta_fsm_init(&s->fsm, s->store);
    ok(meta_fsm_load(&s->fsm));
}

static void begin(struct state *s, uint64_t seed)
{
    s->disk = mem_disk_create(seed);
    open_state(s);
}

static void close_state(struct state *s)
{
    meta_fsm_deinit(&s->fsm);
    store_close(s->store);
}

static void end(struct state *s)
{
    close_state(s);
    mem_disk_destroy(s->disk);
}

/* As the host does it: one store batch per apply, unsynced. */
static void apply(struct state *s, struct slice entry)
{
    struct store_batch *b = store_batch_create(s->store);
    struct group_entry e = {.index = 1, .term = 1, .data = entry};
    s->fsm.base.apply(&s->fsm.base, &e, 1, b);
    ok(store_write(s->store, b, false));
    store_batch_destroy(b);
    s->fsm.base.applied(&s->fsm.base, &e, 1);
}

static void put(struct meta_batch *b, const char *key, const char *value)
{
    meta_batch_put(b, slice_str(key), slice_str(value));
}

static void commit(struct state *s, struct meta_batch *b)
{
    struct buf data = {0};
    meta_batch_encode(b, &data);
    meta_batch_deinit(b);
    apply(s, buf_slice(&data));
    buf_deinit(&data);
}

static uint64_t revision_of(struct state *s, const char *key)
{
    const struct omap_entry *e = omap_get(&s->fsm.map, slice_str(key));
    return e == NULL ? 0 : e->mod_revision;
}

static void a_batch_sees_its_own_changes_and_touches_the_state_only_when_applied(void **state)
{
    (void)state;
    struct state s;
    struct meta_batch b;
    begin(&s, 1);
    meta_batch_init(&b, &s.fsm);
    meta_batch_next(&b);
    put(&b, "db/a", "1");
    put(&b, "db/b", "2");
    meta_batch_next(&b);
    assert_non_null(meta_batch_get(&b, slice_str("db/a")));
    meta_batch_delete(&b, slice_str("db/a"));
    meta_batch_delete(&b, slice_str("db/none")); /* no change */
    put(&b, "seqstate/x", "3");
    meta_batch_next(&b);
    put(&b, "counter/object", "4");
    assert_null(omap_get(&s.fsm.map, slice_str("db/b")));
    commit(&s, &b);
    assert_int_equal(s.fsm.revision, 3);
    assert_int_equal(s.fsm.visible, 2); /* the third is silent */
    assert_int_equal(revision_of(&s, "db/a"), 0);
    assert_int_equal(revision_of(&s, "db/b"), 1);
    assert_int_equal(revision_of(&s, "seqstate/x"), 2);
    assert_int_equal(revision_of(&s, "counter/object"), 3);
    assert_int_equal(s.fsm.ring_count, 3);
    end(&s);
}

static void a_prefix_is_deleted_as_it_stands_in_the_batch(void **state)
{
    (void)state;
    struct state s;
    struct meta_batch b;
    begin(&s, 1);
    meta_batch_init(&b, &s.fsm);
    meta_batch_next(&b);
    put(&b, "name/rel/1/a", "");
    put(&b, "name/rel/1/b", "");
    put(&b, "name/rel/2/a", "");
    commit(&s, &b);
    meta_batch_init(&b, &s.fsm);
    meta_batch_next(&b);
    put(&b, "name/rel/1/c", "");
    meta_batch_delete_prefix(&b, slice_str("name/rel/1/"));
    commit(&s, &b);
    assert_int_equal(s.fsm.map.count, 1);
    assert_non_null(omap_get(&s.fsm.map, slice_str("name/rel/2/a")));
    end(&s);
}

/* Random entries; returns the encoded log. */
static size_t random_log(struct state *s, struct rng *r, struct buf *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct meta_batch b;
        meta_batch_init(&b, &s->fsm);
        for (uint64_t op = 1 + rng_below(r, 3); op > 0; op--) {
            meta_batch_next(&b);
            for (uint64_t k = 1 + rng_below(r, 3); k > 0; k--) {
                char key[32], value[32];
                snprintf(key, sizeof(key), "%s%u", rng_below(r, 4) == 0 ? "counter/" : "table/",
                         (unsigned)rng_below(r, 12));
                snprintf(value, sizeof(value), "%u", (unsigned)rng_below(r, 1000));
                if (rng_below(r, 3) == 0) {
                    meta_batch_delete(&b, slice_str(key));
                } else {
                    put(&b, key, value);
                }
            }
            meta_batch_done(&b, 1 + rng_below(r, 1000000));
        }
        if (rng_below(r, 5) == 0) {
            b.tso_limit = s->fsm.tso_limit + rng_below(r, 1000);
        }
        meta_batch_encode(&b, &out[i]);
        meta_batch_deinit(&b);
        apply(s, buf_slice(&out[i]));
    }
    return count;
}

struct compare {
    const struct omap *other;
};

static bool same_entry(void *ctx, struct omap_entry *e)
{
    const struct compare *c = ctx;
    const struct omap_entry *o = omap_get(c->other, omap_entry_key(e));
    assert_non_null(o);
    assert_int_equal(o->mod_revision, e->mod_revision);
    assert_true(slice_eq(omap_entry_value(o), omap_entry_value(e)));
    return true;
}

static void same_fsm(const struct meta_fsm *a, const struct meta_fsm *b)
{
    assert_int_equal(a->map.count, b->map.count);
    omap_scan(&a->map, slice_make(NULL, 0), same_entry, &(struct compare){&b->map});
    assert_int_equal(a->revision, b->revision);
    assert_int_equal(a->visible, b->visible);
    assert_int_equal(a->tso_limit, b->tso_limit);
    assert_int_equal(a->request_sequence, b->request_sequence);
    assert_memory_equal(a->requests, b->requests, sizeof(*a->requests) * META_REQUESTS_MAX);
}

/* A power cut keeps any subset of the unsynced batches; the log from the checkpoint on is applied
 * again. */
static void applying_again_after_any_crash_gives_the_same_state(void **state)
{
    (void)state;
    enum { ENTRIES = 40 };
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct rng r;
        rng_seed(&r, seed);
        struct state live, crashed;
        struct buf log[ENTRIES] = {{0}};
        begin(&live, seed);
        random_log(&live, &r, log, ENTRIES);
        begin(&crashed, seed + 1000);
        size_t checkpoint = rng_below(&r, ENTRIES);
        for (size_t i = 0; i < ENTRIES; i++) {
            if (i == checkpoint) {
                ok(store_flush(crashed.store));
            }
            apply(&crashed, buf_slice(&log[i]));
        }
        for (int again = 0; again < 2; again++) {
            close_state(&crashed);
            mem_disk_crash(crashed.disk, (int)rng_below(&r, 101));
            open_state(&crashed);
            for (size_t i = checkpoint; i < ENTRIES; i++) {
                apply(&crashed, buf_slice(&log[i]));
            }
        }
        same_fsm(&live.fsm, &crashed.fsm);
        for (size_t i = 0; i < crashed.fsm.ring_count; i++) {
            uint64_t rev =
                crashed.fsm.ring[(crashed.fsm.ring_first + i) % META_RING_MAX].entry->mod_revision;
            assert_true(rev > crashed.fsm.ring_floor);
        }
        close_state(&crashed);
        open_state(&crashed); /* memory and store are the same */
        same_fsm(&live.fsm, &crashed.fsm);
        end(&crashed);
        end(&live);
        for (size_t i = 0; i < ENTRIES; i++) {
            buf_deinit(&log[i]);
        }
    }
}

static void request_ids_are_remembered_for_a_window(void **state)
{
    (void)state;
    struct state s;
    begin(&s, 1);
    for (uint64_t i = 1; i <= META_REQUESTS_MAX + 10; i++) {
        struct meta_batch b;
        meta_batch_init(&b, &s.fsm);
        meta_batch_next(&b);
        put(&b, "setting/x", "1");
        meta_batch_done(&b, i);
        assert_int_equal(meta_batch_request(&b, i), i);
        assert_int_equal(meta_batch_request(&b, i + 1), 0);
        commit(&s, &b);
    }
    assert_int_equal(meta_fsm_request(&s.fsm, 10), 0);
    assert_int_equal(meta_fsm_request(&s.fsm, 11), 11);
    assert_int_equal(meta_fsm_request(&s.fsm, META_REQUESTS_MAX + 10), META_REQUESTS_MAX + 10);
    assert_int_equal(meta_fsm_request(&s.fsm, 0), 0);
    close_state(&s);
    open_state(&s);
    assert_int_equal(meta_fsm_request(&s.fsm, 10), 0);
    assert_int_equal(meta_fsm_request(&s.fsm, 11), 11);
    end(&s);
}

static void the_ring_forgets_the_oldest_and_says_so(void **state)
{
    (void)state;
    struct state s;
    begin(&s, 1);
    for (uint64_t i = 1; i <= META_RING_MAX + 5; i++) {
        struct meta_batch b;
        meta_batch_init(&b, &s.fsm);
        meta_batch_next(&b);
        put(&b, "setting/x", "1");
        commit(&s, &b);
    }
    assert_int_equal(s.fsm.ring_count, META_RING_MAX);
    assert_int_equal(s.fsm.ring_floor, 5);
    assert_int_equal(s.fsm.ring[s.fsm.ring_first].entry->mod_revision, 6);
    end(&s);
}

static void damaged_entries_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct state s;
    struct rng r;
    struct buf log[10] = {{0}};
    rng_seed(&r, 9);
    begin(&s, 1);
    random_log(&s, &r, log, 10);
    uint64_t revision = s.fsm.revision;
    for (size_t i = 0; i < 10; i++) {
        for (size_t cut = 0; cut < log[i].len; cut++) {
            struct status *st = meta_fsm_apply_entry(&s.fsm, slice_make(log[i].data, cut), NULL);
            assert_true(status_is(st, STATUS_CORRUPT));
            status_free(st);
        }
        for (int flips = 0; flips < 300; flips++) { /* no crash, whatever comes */
            struct state other;
            struct buf copy = {0};
            buf_put_slice(&copy, buf_slice(&log[i]));
            copy.data[rng_below(&r, copy.len)] ^= (uint8_t)(1u << rng_below(&r, 8));
            memset(&other, 0, sizeof(other));
            meta_fsm_init(&other.fsm, s.store);
            status_free(meta_fsm_apply_entry(&other.fsm, buf_slice(&copy), NULL));
            meta_fsm_deinit(&other.fsm);
            buf_deinit(&copy);
        }
        buf_deinit(&log[i]);
    }
    assert_int_equal(s.fsm.revision, revision);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_sees_its_own_changes_and_touches_the_state_only_when_applied),
        cmocka_unit_test(a_prefix_is_deleted_as_it_stands_in_the_batch),
        cmocka_unit_test(applying_again_after_any_crash_gives_the_same_state),
        cmocka_unit_test(request_ids_are_remembered_for_a_window),
        cmocka_unit_test(the_ring_forgets_the_oldest_and_says_so),
        cmocka_unit_test(damaged_entries_are_refused_and_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
