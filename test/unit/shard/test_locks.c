/* The lock table: modes, fairness, hand-over, upgrades, timeouts, deadlocks, spans. */
#include "cmocka_all.h"

#include "base/sim.h"
#include "locks.h"

static struct sim *sim;
static struct loop *loop;
static struct lock_table table;

struct asker {
    struct lock_owner owner;
    const char *key;
    enum lock_mode mode;
    enum lock_wait wait;
    uint64_t timeout_ms;
    bool is_done;
    struct lock_hold *hold;
    struct status *st;
    struct fiber *fiber;
    int order; /* of being done */
};

static int done_count;

static void ask_fiber(struct fiber *f, void *arg)
{
    struct asker *a = arg;
    a->st = lock_acquire(f, &table, &a->owner, slice_str(a->key), a->mode, a->wait, a->timeout_ms,
                         &a->hold);
    a->is_done = true;
    a->order = ++done_count;
}

static void settle(void)
{
    sim_run(sim, sim_now_ns(sim) + 1000000, NULL, NULL);
}

static void owner(struct asker *a, uint64_t id)
{
    *a = (struct asker){.wait = LOCK_WAIT};
    lock_owner_init(&a->owner, (struct txn_id){1, id}, id);
}

static void ask(struct asker *a, const char *key, enum lock_mode mode)
{
    a->key = key;
    a->mode = mode;
    a->is_done = false;
    a->hold = NULL;
    a->st = NULL;
    a->fiber = fiber_spawn(loop, FIBER_STACK_SMALL, ask_fiber, a);
    settle();
}

static void release(struct asker *a)
{
    lock_release_all(&table, &a->owner);
    settle();
}

static int setup(void **state)
{
    (void)state;
    sim = sim_create(1);
    loop = sim_loop_create(sim, "n");
    lock_table_init(&table);
    done_count = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(table.wait_count, 0);
    assert_int_equal(table.write_count, 0);
    assert_int_equal(table.pending_count, 0);
    lock_table_deinit(&table);
    sim_destroy(sim);
    return 0;
}

static void modes_conflict_as_in_postgresql(void **state)
{
    (void)state;
    static const bool table_of[5][5] = {
        {0, 0, 0, 0, 0}, {0, 0, 0, 0, 1}, /* KEY SHARE */
        {0, 0, 0, 1, 1},                  /* SHARE */
        {0, 0, 1, 1, 1},                  /* NO KEY UPDATE */
        {0, 1, 1, 1, 1},                  /* UPDATE */
    };
    for (int a = LOCK_KEY_SHARE; a <= LOCK_UPDATE; a++) {
        for (int b = LOCK_KEY_SHARE; b <= LOCK_UPDATE; b++) {
            assert_int_equal(lock_conflicts((enum lock_mode)a, (enum lock_mode)b), table_of[a][b]);
        }
    }
}

static void a_queue_is_served_in_order_one_at_a_time(void **state)
{
    (void)state;
    struct asker a[6];
    for (int i = 0; i < 6; i++) {
        owner(&a[i], (uint64_t)i + 1);
        ask(&a[i], "k", LOCK_UPDATE);
        assert_int_equal(a[i].is_done, i == 0);
    }
    for (int i = 0; i < 6; i++) {
        assert_true(a[i].is_done && a[i].st == NULL);
        assert_int_equal(a[i].order, i + 1);
        assert_true(i == 5 || !a[i + 1].is_done);
        release(&a[i]);
    }
}

static void sharers_do_not_overtake_a_waiting_writer(void **state)
{
    (void)state;
    struct asker s1, s2, w;
    owner(&s1, 1);
    owner(&w, 2);
    owner(&s2, 3);
    ask(&s1, "k", LOCK_SHARE);
    ask(&w, "k", LOCK_UPDATE);
    ask(&s2, "k", LOCK_SHARE);
    assert_true(s1.is_done && !w.is_done && !s2.is_done);
    release(&s1);
    assert_true(w.is_done && !s2.is_done);
    release(&w);
    assert_true(s2.is_done);
    release(&s2);
}

static void sharers_at_the_head_are_served_together(void **state)
{
    (void)state;
    struct asker w, s[3];
    owner(&w, 1);
    ask(&w, "k", LOCK_UPDATE);
    for (int i = 0; i < 3; i++) {
        owner(&s[i], (uint64_t)i + 2);
        ask(&s[i], "k", LOCK_KEY_SHARE);
    }
    release(&w);
    for (int i = 0; i < 3; i++) {
        assert_true(s[i].is_done);
        release(&s[i]);
    }
}

static void an_upgrade_goes_before_who_waits(void **state)
{
    (void)state;
    struct asker a, b, w;
    owner(&a, 1);
    owner(&b, 2);
    owner(&w, 3);
    ask(&a, "k", LOCK_KEY_SHARE);
    ask(&b, "k", LOCK_KEY_SHARE);
    ask(&w, "k", LOCK_UPDATE);
    assert_false(w.is_done);
    ask(&a, "k", LOCK_NO_KEY_UPDATE); /* does not conflict with b: at once, past the queue */
    assert_true(a.is_done && a.hold->mode == LOCK_NO_KEY_UPDATE);
    ask(&a, "k", LOCK_UPDATE);
    assert_false(a.is_done);
    release(&b);
    assert_true(a.is_done && !w.is_done);
    release(&a);
    assert_true(w.is_done);
    release(&w);
}

static void two_upgrades_are_a_deadlock_with_the_younger_as_victim(void **state)
{
    (void)state;
    struct asker a, b;
    owner(&a, 1);
    owner(&b, 2);
    ask(&a, "k", LOCK_SHARE);
    ask(&b, "k", LOCK_SHARE);
    ask(&b, "k", LOCK_UPDATE);
    ask(&a, "k", LOCK_UPDATE);
    assert_true(b.is_done && b.st != NULL);
    assert_string_equal(b.st->sqlstate, "40P01");
    status_free(b.st);
    assert_false(a.is_done);
    release(&b);
    assert_true(a.is_done && a.st == NULL);
    release(&a);
}

static void a_cycle_of_three_is_found(void **state)
{
    (void)state;
    struct asker a[3];
    const char *keys[] = {"x", "y", "z"};
    for (int i = 0; i < 3; i++) {
        owner(&a[i], (uint64_t)i + 1);
        ask(&a[i], keys[i], LOCK_UPDATE);
    }
    for (int i = 0; i < 3; i++) {
        ask(&a[i], keys[(i + 1) % 3], LOCK_UPDATE);
    }
    assert_true(a[2].is_done && a[2].st != NULL); /* the youngest */
    assert_string_equal(a[2].st->sqlstate, "40P01");
    status_free(a[2].st);
    release(&a[2]);
    assert_true(a[1].is_done);
    release(&a[1]);
    assert_true(a[0].is_done);
    release(&a[0]);
}

static void nowait_and_skip_do_not_wait(void **state)
{
    (void)state;
    struct asker a, b;
    owner(&a, 1);
    owner(&b, 2);
    ask(&a, "k", LOCK_UPDATE);
    b.wait = LOCK_NOWAIT;
    ask(&b, "k", LOCK_SHARE);
    assert_true(b.is_done);
    assert_string_equal(b.st->sqlstate, "55P03");
    status_free(b.st);
    b.wait = LOCK_SKIP;
    ask(&b, "k", LOCK_SHARE);
    assert_true(b.is_done && b.st == NULL && b.hold == NULL);
    release(&a);
}

static void a_lock_timeout_gives_up_its_place(void **state)
{
    (void)state;
    struct asker a, b, c;
    owner(&a, 1);
    owner(&b, 2);
    owner(&c, 3);
    ask(&a, "k", LOCK_SHARE);
    b.timeout_ms = 50;
    ask(&b, "k", LOCK_UPDATE);
    ask(&c, "k", LOCK_SHARE); /* behind b */
    assert_false(c.is_done);
    sim_run(sim, sim_now_ns(sim) + 100 * 1000000ull, NULL, NULL);
    assert_true(b.is_done);
    assert_string_equal(b.st->sqlstate, "55P03");
    status_free(b.st);
    assert_true(c.is_done && c.st == NULL);
    release(&a);
    release(&c);
}

static void a_cancelled_wait_gives_up_its_place(void **state)
{
    (void)state;
    struct asker a, b, c;
    owner(&a, 1);
    owner(&b, 2);
    owner(&c, 3);
    ask(&a, "k", LOCK_UPDATE);
    ask(&b, "k", LOCK_UPDATE);
    ask(&c, "k", LOCK_UPDATE);
    fiber_cancel(b.fiber);
    settle();
    assert_true(b.is_done && status_is(b.st, STATUS_CANCELLED));
    status_free(b.st);
    release(&a);
    assert_true(c.is_done);
    release(&c);
}

static void a_dropped_owner_wakes_with_an_error(void **state)
{
    (void)state;
    struct asker a, b;
    owner(&a, 1);
    owner(&b, 2);
    ask(&a, "k", LOCK_UPDATE);
    ask(&b, "k", LOCK_UPDATE);
    release(&b);
    assert_true(b.is_done && status_is(b.st, STATUS_CONFLICT));
    status_free(b.st);
    release(&a);
}

static void spans_tell_pending_from_open(void **state)
{
    (void)state;
    struct asker a, b;
    owner(&a, 1);
    owner(&b, 2);
    ask(&a, "k5", LOCK_UPDATE);
    ask(&b, "k7", LOCK_UPDATE);
    lock_set_write(&table, a.hold, true);
    struct key_span all = {.start = slice_str("k"), .end = slice_str("l")};
    struct key_span low = {.start = slice_str("k"), .end = slice_str("k5")};
    struct key_span point = {.start = slice_str("k5"), .is_point = true};
    struct key_span open_end = {.start = slice_str("k6"), .end = slice_str("")};
    assert_true(lock_has_foreign_write(&table, &all, &b.owner));
    assert_false(lock_has_foreign_write(&table, &all, &a.owner));
    assert_false(lock_has_foreign_write(&table, &low, NULL));
    assert_false(lock_has_foreign_write(&table, &open_end, NULL)); /* b only locks */
    assert_null(lock_find_pending(&table, &all, 100, PENDING_VALIDATE, NULL));
    lock_set_pending(&table, &a.owner, 50, false);
    assert_ptr_equal(lock_find_pending(&table, &all, 100, PENDING_VALIDATE, NULL), &a.owner);
    assert_ptr_equal(lock_find_pending(&table, &point, 50, PENDING_VALIDATE, NULL), &a.owner);
    assert_null(lock_find_pending(&table, &all, 49, PENDING_VALIDATE, NULL));
    assert_null(lock_find_pending(&table, &all, 100, PENDING_VALIDATE, &a.owner));
    assert_null(lock_find_pending(&table, &low, 100, PENDING_VALIDATE, NULL));
    lock_set_pending(&table, &a.owner, 0, true);
    assert_null(lock_find_pending(&table, &all, 100, PENDING_VALIDATE, NULL));
    assert_ptr_equal(lock_find_pending(&table, &all, 1, PENDING_REFRESH, NULL), &a.owner);
    release(&a);
    release(&b);
}

/* k is shared by request 1 and locked for a write by request 3, m only by request 3. */
static void locks_after_a_savepoint_are_given_back(void **state)
{
    (void)state;
    struct asker a, b, c, d;
    owner(&a, 1);
    owner(&b, 2);
    owner(&c, 3);
    owner(&d, 4);
    ask(&a, "k", LOCK_KEY_SHARE);
    a.hold->since[LOCK_KEY_SHARE] = 1;
    ask(&a, "k", LOCK_UPDATE);
    a.hold->since[LOCK_UPDATE] = 3;
    ask(&a, "m", LOCK_UPDATE);
    a.hold->since[LOCK_UPDATE] = 3;
    ask(&b, "k", LOCK_SHARE);
    ask(&c, "m", LOCK_UPDATE);
    assert_false(b.is_done || c.is_done);
    lock_undo(&table, &a.owner, 2);
    settle();
    assert_true(b.is_done && b.hold != NULL);
    assert_true(c.is_done && c.hold != NULL);
    ask(&d, "k", LOCK_UPDATE); /* the KEY SHARE is still there */
    release(&b);
    assert_false(d.is_done);
    lock_undo(&table, &a.owner, 0);
    settle();
    assert_true(d.is_done && d.hold != NULL);
    release(&a);
    release(&c);
    release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(modes_conflict_as_in_postgresql),
        T(a_queue_is_served_in_order_one_at_a_time),
        T(sharers_do_not_overtake_a_waiting_writer),
        T(sharers_at_the_head_are_served_together),
        T(an_upgrade_goes_before_who_waits),
        T(two_upgrades_are_a_deadlock_with_the_younger_as_victim),
        T(a_cycle_of_three_is_found),
        T(nowait_and_skip_do_not_wait),
        T(a_lock_timeout_gives_up_its_place),
        T(a_cancelled_wait_gives_up_its_place),
        T(a_dropped_owner_wakes_with_an_error),
        T(spans_tell_pending_from_open),
        T(locks_after_a_savepoint_are_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
