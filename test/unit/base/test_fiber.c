/* Fibers: park and wake, deadline, cancel, the things they wait on, deep stacks, workers. */
#include "base/check.h"
#include "base/fiber.h"
#include "base/loop_uv.h"
#include "base/mem.h"

#include "cmocka_all.h"

#include <pthread.h>
#include <string.h>

struct world {
    struct loop *loop;
    struct fiber *fibers[4];
    int live; /* the loop stops at 0 */
    char trace[256];
    struct gate gate;
    struct cond cond;
    struct fmutex mutex;
};

static struct world w;

static int set_up(void **state)
{
    (void)state;
    w = (struct world){.loop = loop_uv_create()};
    gate_init(&w.gate);
    cond_init(&w.cond);
    fmutex_init(&w.mutex);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    loop_uv_destroy(w.loop);
    return 0;
}

static void note(const char *text)
{
    assert_true(strlen(w.trace) + strlen(text) + 1 < sizeof(w.trace));
    strcat(w.trace, text);
}

static void note_status(struct status *st)
{
    note(st == NULL ? "ok " : st->code == STATUS_TIMEOUT ? "timeout " : "cancelled ");
    status_free(st);
}

/* Every test fiber goes through here, so that the loop ends with the last. */
struct body {
    void (*fn)(struct fiber *f, void *arg);
    void *arg;
};

static void run_body(struct fiber *f, void *arg)
{
    struct body *b = arg;
    b->fn(f, b->arg);
    mem_free(b);
    if (--w.live == 0) {
        loop_uv_stop(w.loop);
    }
}

static struct fiber *spawn(void (*fn)(struct fiber *f, void *arg), void *arg)
{
    struct body *b = MEM_NEW(struct body);
    *b = (struct body){fn, arg};
    w.live++;
    return fiber_spawn(w.loop, FIBER_STACK_SMALL, run_body, b);
}

static void run_all(void)
{
    loop_uv_run(w.loop);
    assert_int_equal(w.live, 0);
}

/* ---- park, wake, yield ---- */

static void parks_twice(struct fiber *f, void *arg)
{
    (void)arg;
    note("a1 ");
    assert_null(fiber_park(f));
    note("a2 ");
    assert_null(fiber_park(f));
    note("a3 ");
}

static void wakes(struct fiber *f, void *arg)
{
    (void)arg;
    note("b1 ");
    fiber_wake(w.fibers[0]);
    fiber_wake(w.fibers[0]);
    note("b2 ");
    assert_null(fiber_yield(f));
    note("b3 ");
    fiber_wake(w.fibers[0]);
}

static void a_woken_fiber_runs_after_its_waker_leaves(void **state)
{
    (void)state;
    w.fibers[0] = spawn(parks_twice, NULL);
    spawn(wakes, NULL);
    assert_string_equal(w.trace, "");
    run_all();
    assert_string_equal(w.trace, "a1 b1 b2 a2 b3 a3 ");
    assert_null(fiber_current());
}

static void wakes_itself(struct fiber *f, void *arg)
{
    (void)arg;
    assert_ptr_equal(fiber_current(), f);
    assert_ptr_equal(fiber_loop(f), w.loop);
    fiber_wake(f);
    assert_null(fiber_park(f));
    note("through");
}

static void a_wake_before_the_park_is_not_lost(void **state)
{
    (void)state;
    spawn(wakes_itself, NULL);
    run_all();
    assert_string_equal(w.trace, "through");
}

/* ---- deadline and cancel ---- */

static void waits_with_deadline(struct fiber *f, void *arg)
{
    (void)arg;
    uint64_t at = loop_now_ns(w.loop) + ms_to_ns(5);
    assert_int_equal(fiber_set_deadline(f, at), 0);
    assert_int_equal(fiber_deadline(f), at);
    note_status(fiber_park(f));
    assert_true(loop_clock_ns(w.loop) >= at);
    note_status(fiber_check(f));
    note_status(gate_wait(f, &w.gate)); /* still past it */
    assert_true(list_is_empty(&w.gate.waiters));
    assert_int_equal(fiber_set_deadline(f, 0), at);
    note_status(fiber_check(f));
    note_status(fiber_sleep(f, ms_to_ns(1)));
}

static void a_deadline_ends_every_wait_until_it_is_moved(void **state)
{
    (void)state;
    spawn(waits_with_deadline, NULL);
    run_all();
    assert_string_equal(w.trace, "timeout timeout timeout ok ok ");
}

static void waits_everywhere(struct fiber *f, void *arg)
{
    (void)arg;
    note_status(cond_wait(f, &w.cond));
    note_status(fiber_sleep(f, ms_to_ns(100000)));
    note_status(fmutex_lock(f, &w.mutex));
    assert_true(fiber_is_cancelled(f));
    fiber_cancel_clear(f);
    assert_null(fiber_yield(f));
    note_status(fiber_sleep(f, 0));
    fiber_wake(f);
    fiber_cancel(f);
    note_status(fiber_park(f)); /* the wake came first */
    note_status(fiber_park(f));
}

static void cancels(struct fiber *f, void *arg)
{
    (void)f;
    (void)arg;
    fiber_cancel(w.fibers[0]);
}

static void a_cancel_ends_every_wait_until_it_is_cleared(void **state)
{
    (void)state;
    w.mutex.is_held = true;
    w.fibers[0] = spawn(waits_everywhere, NULL);
    spawn(cancels, NULL);
    run_all();
    assert_string_equal(w.trace, "cancelled cancelled cancelled ok ok cancelled ");
    assert_true(list_is_empty(&w.cond.waiters));
    assert_true(list_is_empty(&w.mutex.waiters));
}

static void commits(struct fiber *f, void *arg)
{
    (void)arg;
    uint64_t at = loop_now_ns(w.loop) + ms_to_ns(2);
    fiber_set_deadline(f, at);
    fiber_mask(f);
    fiber_mask(f);
    note_status(fiber_sleep(f, ms_to_ns(8))); /* cancelled and past its deadline meanwhile */
    fiber_unmask(f);
    note_status(fiber_check(f));
    fiber_unmask(f);
    note_status(fiber_check(f));
    fiber_cancel_clear(f);
    note_status(fiber_check(f));
    assert_int_equal(fiber_deadline(f), at);
}

static void a_masked_step_sees_its_end_before_cancel_and_deadline(void **state)
{
    (void)state;
    w.fibers[0] = spawn(commits, NULL);
    spawn(cancels, NULL);
    run_all();
    assert_string_equal(w.trace, "ok ok cancelled timeout ");
}

/* ---- gate, cond, mutex ---- */

static void waits_at_gate(struct fiber *f, void *arg)
{
    note_status(gate_wait(f, &w.gate));
    note(arg);
}

static void opens_gate(struct fiber *f, void *arg)
{
    (void)f;
    (void)arg;
    note("open ");
    gate_open(&w.gate);
    gate_open(&w.gate);
}

static void an_open_gate_lets_all_through_for_ever(void **state)
{
    (void)state;
    spawn(waits_at_gate, (char *)"a ");
    spawn(waits_at_gate, (char *)"b ");
    spawn(opens_gate, NULL);
    spawn(waits_at_gate, (char *)"c ");
    run_all();
    assert_string_equal(w.trace, "open ok c ok a ok b ");
}

static void waits_on_cond(struct fiber *f, void *arg)
{
    assert_null(cond_wait(f, &w.cond));
    note(arg);
}

static void signals_cond(struct fiber *f, void *arg)
{
    (void)arg;
    cond_signal(&w.cond);
    assert_null(fiber_yield(f));
    note("| ");
    cond_broadcast(&w.cond);
    cond_signal(&w.cond); /* nobody waits */
}

static void a_signal_wakes_the_longest_waiter_a_broadcast_all(void **state)
{
    (void)state;
    spawn(waits_on_cond, (char *)"a ");
    spawn(waits_on_cond, (char *)"b ");
    spawn(waits_on_cond, (char *)"c ");
    spawn(signals_cond, NULL);
    run_all();
    assert_string_equal(w.trace, "a | b c ");
}

static void locks_twice(struct fiber *f, void *arg)
{
    for (int i = 0; i < 2; i++) {
        assert_null(fmutex_lock(f, &w.mutex));
        note(arg);
        assert_null(fiber_yield(f));
        note(arg);
        fmutex_unlock(&w.mutex);
    }
}

static void a_mutex_excludes_and_is_fair(void **state)
{
    (void)state;
    spawn(locks_twice, (char *)"a");
    spawn(locks_twice, (char *)"b");
    run_all();
    assert_string_equal(w.trace, "aabbaabb");
    assert_false(w.mutex.is_held);
}

/* ---- fan ---- */

static void child(struct fiber *f, void *arg)
{
    note_status(fiber_sleep(f, ms_to_ns((uint64_t)(uintptr_t)arg)));
}

static void forks(struct fiber *f, void *arg)
{
    struct fan fan;
    fan_init(&fan);
    fan_wait(f, &fan); /* none yet: returns */
    fiber_set_deadline(f, (uint64_t)(uintptr_t)arg);
    fan_spawn(f, &fan, FIBER_STACK_SMALL, child, (void *)(uintptr_t)1);
    fan_spawn(f, &fan, FIBER_STACK_SMALL, child, (void *)(uintptr_t)100000);
    fan_wait(f, &fan);
    assert_int_equal(fan.left, 0);
    assert_true(list_is_empty(&fan.children));
    assert_int_equal(fiber_deadline(f), (uint64_t)(uintptr_t)arg);
    note("joined ");
    note_status(fiber_check(f));
}

static void cancels_later(struct fiber *f, void *arg)
{
    (void)arg;
    assert_null(fiber_sleep(f, ms_to_ns(10)));
    fiber_cancel(w.fibers[0]);
}

static void a_cancelled_parent_cancels_its_children_and_waits_for_them(void **state)
{
    (void)state;
    w.fibers[0] = spawn(forks, NULL);
    spawn(cancels_later, NULL);
    run_all();
    assert_string_equal(w.trace, "ok cancelled joined cancelled ");
}

static void children_inherit_the_deadline(void **state)
{
    (void)state;
    uint64_t at = loop_clock_ns(w.loop) + ms_to_ns(20);
    w.fibers[0] = spawn(forks, (void *)(uintptr_t)at);
    run_all();
    assert_string_equal(w.trace, "ok timeout joined timeout ");
}

/* ---- stacks ---- */

static __attribute__((noinline)) size_t dig(size_t left, size_t leave)
{
    volatile char frame[512];
    memset((char *)frame, 1, sizeof(frame));
    if (fiber_stack_left() < leave) {
        return left;
    }
    return dig(left + 1, leave) + (size_t)(frame[0] - 1);
}

static void digs(struct fiber *f, void *arg)
{
    (void)f;
    size_t *depth = arg;
    size_t before = fiber_stack_left();
    *depth = dig(0, 16384);
    assert_true(fiber_stack_left() <= before);
}

static void the_three_stacks_differ_in_depth(void **state)
{
    (void)state;
    size_t depth[3] = {0};
    for (int round = 0; round < 2; round++) { /* the second time on recycled stacks */
        for (int k = 0; k < 3; k++) {
            struct body *b = MEM_NEW(struct body);
            *b = (struct body){digs, &depth[k]};
            w.live++;
            fiber_spawn(w.loop, (enum fiber_stack)k, run_body, b);
        }
        run_all();
        assert_true(depth[FIBER_STACK_SMALL] > 20);
        assert_true(depth[FIBER_STACK_LARGE] > depth[FIBER_STACK_SMALL] * 6);
        assert_true(depth[FIBER_STACK_PARSE] > depth[FIBER_STACK_LARGE] * 10);
    }
    assert_true(fiber_stack_left() > 65536); /* of a plain thread */
}

static void yields(struct fiber *f, void *arg)
{
    for (int i = 0; i < 20; i++) {
        assert_null(fiber_yield(f));
    }
    ++*(int *)arg;
}

static void many_fibers_run_to_their_end(void **state)
{
    (void)state;
    int count = 0;
    for (int i = 0; i < 1000; i++) {
        spawn(yields, &count);
    }
    run_all();
    assert_int_equal(count, 1000);
}

/* ---- yielding lets timers through ---- */

static void spins_until(struct fiber *f, void *arg)
{
    const bool *is_set = arg;
    while (!*is_set) {
        assert_null(fiber_yield(f));
    }
}

static void sets_after_sleep(struct fiber *f, void *arg)
{
    bool *is_set = arg;
    assert_null(fiber_sleep(f, ms_to_ns(2)));
    *is_set = true;
}

static void a_yielding_fiber_does_not_starve_timers(void **state)
{
    (void)state;
    bool is_set = false;
    spawn(spins_until, &is_set);
    spawn(sets_after_sleep, &is_set);
    run_all();
    assert_true(is_set);
}

/* ---- workers ---- */

struct errand {
    struct worker *worker;
    pthread_t ran_on;
};

static void errand_run(void *arg)
{
    struct errand *e = arg;
    e->ran_on = pthread_self();
}

static void goes_to_worker(struct fiber *f, void *arg)
{
    struct errand *e = arg;
    fiber_cancel(f); /* does not end it early: the job borrows the stack */
    fiber_run_on(f, e->worker, errand_run, e);
    assert_false(pthread_equal(e->ran_on, pthread_self()));
    note("done");
}

static void a_fiber_waits_for_its_work_on_a_worker(void **state)
{
    (void)state;
    struct errand e = {.worker = worker_create(w.loop, "errand"), .ran_on = pthread_self()};
    spawn(goes_to_worker, &e);
    run_all();
    assert_string_equal(w.trace, "done");
    worker_destroy(e.worker);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_woken_fiber_runs_after_its_waker_leaves),
        T(a_wake_before_the_park_is_not_lost),
        T(a_deadline_ends_every_wait_until_it_is_moved),
        T(a_cancel_ends_every_wait_until_it_is_cleared),
        T(a_masked_step_sees_its_end_before_cancel_and_deadline),
        T(an_open_gate_lets_all_through_for_ever),
        T(a_signal_wakes_the_longest_waiter_a_broadcast_all),
        T(a_mutex_excludes_and_is_fair),
        T(a_cancelled_parent_cancels_its_children_and_waits_for_them),
        T(children_inherit_the_deadline),
        T(the_three_stacks_differ_in_depth),
        T(many_fibers_run_to_their_end),
        T(a_yielding_fiber_does_not_starve_timers),
        T(a_fiber_waits_for_its_work_on_a_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
