/* The simulated world: order, determinism, clocks, crash and pause, fibers and workers in it. */
#include "base/buf.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "base/sim.h"

#include "cmocka_all.h"

#include <string.h>

enum { NODES = 3 };

struct world {
    struct sim *sim;
    struct loop *loops[NODES];
    struct worker *workers[NODES];
    struct buf trace;
    uint64_t left;
};

static struct world w;

static void build(uint64_t seed)
{
    w = (struct world){.sim = sim_create(seed)};
    for (int i = 0; i < NODES; i++) {
        char name[] = {(char)('a' + i), 0};
        w.loops[i] = sim_loop_create(w.sim, name);
        w.workers[i] = worker_create(w.loops[i], "disk");
    }
}

static void tear(void)
{
    sim_destroy(w.sim);
    buf_deinit(&w.trace);
}

static void note(const char *text)
{
    buf_printf(&w.trace, "%s@%llu ", text, (unsigned long long)(sim_now_ns(w.sim) / 1000000));
}

static void expect(const char *text)
{
    buf_put_u8(&w.trace, 0);
    assert_string_equal((const char *)w.trace.data, text);
    buf_clear(&w.trace);
}

static void say(void *ctx)
{
    note(ctx);
}

/* ---- determinism ---- */

static void wait_on_worker(void *arg)
{
    (void)arg;
}

static void busy(struct fiber *f, void *arg)
{
    int node = (int)(uintptr_t)arg;
    struct loop *l = w.loops[node];
    for (int i = 0; i < 30; i++) {
        switch (loop_random_below(l, 4)) {
        case 0:
            assert_null(fiber_sleep(f, loop_random_below(l, 5000000)));
            break;
        case 1:
            fiber_run_on(f, w.workers[node], wait_on_worker, NULL);
            break;
        case 2:
            assert_null(fiber_yield(f));
            break;
        default:
            assert_null(fiber_sleep(f, ms_to_ns(loop_random_below(l, 3)))); /* ties */
        }
        buf_printf(&w.trace, "%d:%llu ", node, (unsigned long long)sim_now_ns(w.sim));
    }
    w.left--;
}

static bool none_left(void *ctx)
{
    (void)ctx;
    return w.left == 0;
}

static char *run_busy(uint64_t seed)
{
    build(seed);
    w.left = NODES * 4;
    for (uintptr_t i = 0; i < NODES * 4; i++) {
        fiber_spawn(w.loops[i % NODES], FIBER_STACK_SMALL, busy, (void *)(i % NODES));
    }
    assert_true(sim_run(w.sim, ms_to_ns(100000), none_left, NULL));
    buf_printf(&w.trace, "events %llu", (unsigned long long)sim_event_count(w.sim));
    buf_put_u8(&w.trace, 0);
    char *text = mem_strdup((const char *)w.trace.data);
    tear();
    return text;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    char *first = run_busy(42);
    char *second = run_busy(42);
    char *other = run_busy(43);
    assert_string_equal(first, second);
    assert_string_not_equal(first, other);
    mem_free(first);
    mem_free(second);
    mem_free(other);
}

/* ---- order ---- */

struct named {
    struct task task;
    struct timer timer;
    const char *name;
};

static void named_run(struct task *t)
{
    note(CONTAINER_OF(t, struct named, task)->name);
}

static void named_fire(struct timer *t)
{
    note(CONTAINER_OF(t, struct named, timer)->name);
}

static void events_come_in_order_of_virtual_time(void **state)
{
    (void)state;
    build(1);
    struct named t = {.timer.fire = named_fire, .task.run = named_run, .name = "timer"};
    struct named d1 = {.task.run = named_run, .name = "d1"};
    struct named d2 = {.task.run = named_run, .name = "d2"};
    struct named p = {.task.run = named_run, .name = "post"};
    sim_at(w.sim, ms_to_ns(30), say, (char *)"third");
    timer_start(w.loops[0], &t.timer, ms_to_ns(20));
    sim_loop_at(w.loops[1], ms_to_ns(10), say, (char *)"first");
    loop_defer(w.loops[0], &d1.task);
    loop_defer(w.loops[0], &d2.task);
    loop_post(w.loops[0], &p.task);
    assert_false(sim_run(w.sim, ms_to_ns(25), NULL, NULL));
    assert_int_equal(sim_now_ns(w.sim), ms_to_ns(25));
    expect("d1@0 d2@0 post@0 first@10 timer@20 ");
    assert_false(sim_run(w.sim, ms_to_ns(50), NULL, NULL));
    expect("third@30 ");
    tear();
}

/* Two nodes at one time: over the seeds both orders come. */
static void ties_between_nodes_are_drawn(void **state)
{
    (void)state;
    int first_a = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        build(seed);
        struct named a = {.timer.fire = named_fire, .name = "a"};
        struct named b = {.timer.fire = named_fire, .name = "b"};
        timer_start(w.loops[0], &a.timer, ms_to_ns(5));
        timer_start(w.loops[1], &b.timer, ms_to_ns(5));
        sim_run(w.sim, ms_to_ns(9), NULL, NULL);
        first_a += w.trace.data[0] == 'a';
        tear();
    }
    assert_in_range(first_a, 8, 32);
}

/* ---- clocks ---- */

static void clocks_drift_and_jump(void **state)
{
    (void)state;
    build(1);
    struct named slow = {.timer.fire = named_fire, .name = "slow"};
    struct named fast = {.timer.fire = named_fire, .name = "fast"};
    uint64_t start = loop_clock_ns(w.loops[0]);
    int64_t wall = loop_wall_us(w.loops[0]);
    sim_loop_clock(w.loops[0], 0.5, 0);
    sim_loop_clock(w.loops[1], 2.0, 5000000);
    assert_int_equal(loop_clock_ns(w.loops[0]), start);
    assert_int_equal(loop_wall_us(w.loops[1]), wall + 5000000);
    timer_start(w.loops[0], &slow.timer, ms_to_ns(10));
    timer_start(w.loops[1], &fast.timer, ms_to_ns(10));
    sim_run(w.sim, ms_to_ns(100), NULL, NULL);
    expect("fast@5 slow@20 ");
    assert_int_equal(loop_clock_ns(w.loops[0]), start + ms_to_ns(50));
    assert_int_equal(loop_clock_ns(w.loops[1]), start + ms_to_ns(200));
    assert_int_equal(loop_now_ns(w.loops[1]), start + ms_to_ns(200));
    uint64_t before = loop_clock_ns(w.loops[1]);
    sim_loop_clock(w.loops[1], 1.0, -3600000000);
    assert_int_equal(loop_clock_ns(w.loops[1]), before); /* only the wall clock jumps back */
    assert_true(loop_wall_us(w.loops[1]) < wall);
    tear();
}

/* ---- crash and pause ---- */

static void sleeps_and_says(struct fiber *f, void *arg)
{
    for (int i = 0; i < 4; i++) {
        assert_null(fiber_sleep(f, ms_to_ns(10)));
        note(arg);
    }
}

struct noted_job {
    struct job job;
    const char *name;
};

static void job_run(struct job *j)
{
    note(CONTAINER_OF(j, struct noted_job, job)->name);
}

static void job_done(struct job *j)
{
    (void)j;
    note("done");
}

static void crash_a(void *ctx)
{
    (void)ctx;
    sim_loop_crash(w.loops[0]);
}

static void a_crashed_loop_runs_nothing_more(void **state)
{
    (void)state;
    build(1);
    struct noted_job j = {.job = {.run = job_run, .done = job_done}, .name = "job"};
    sim_loop_disk(w.loops[0], ms_to_ns(30), 0);
    fiber_spawn(w.loops[0], FIBER_STACK_SMALL, sleeps_and_says, (char *)"a");
    worker_submit(w.workers[0], &j.job);
    sim_loop_at(w.loops[0], ms_to_ns(26), say, (char *)"delivery");
    sim_at(w.sim, ms_to_ns(25), crash_a, NULL);
    sim_run(w.sim, ms_to_ns(100), NULL, NULL);
    expect("a@10 a@20 ");
    struct named late = {.task.run = named_run, .timer.fire = named_fire, .name = "late"};
    loop_defer(w.loops[0], &late.task);
    timer_start(w.loops[0], &late.timer, 0);
    sim_run(w.sim, ms_to_ns(200), NULL, NULL);
    expect("");
    tear();
}

static void crashes_itself(struct fiber *f, void *arg)
{
    (void)arg;
    struct named *after = arg;
    loop_defer(w.loops[0], &after->task);
    sim_loop_crash(w.loops[0]);
    note("last");
    (void)status_consume(fiber_sleep(f, 1));
    note("never");
}

static void a_loop_may_crash_from_within(void **state)
{
    (void)state;
    build(1);
    struct named after = {.task.run = named_run, .name = "after"};
    fiber_spawn(w.loops[0], FIBER_STACK_SMALL, crashes_itself, &after);
    sim_run(w.sim, ms_to_ns(100), NULL, NULL);
    expect("last@0 ");
    tear();
}

static void pause_a(void *ctx)
{
    sim_loop_pause(w.loops[0], ctx != NULL);
}

static void a_paused_loop_runs_late_and_in_order(void **state)
{
    (void)state;
    build(1);
    fiber_spawn(w.loops[0], FIBER_STACK_SMALL, sleeps_and_says, (char *)"a");
    sim_at(w.sim, ms_to_ns(15), pause_a, &w);
    sim_loop_at(w.loops[0], ms_to_ns(17), say, (char *)"x");
    sim_loop_at(w.loops[0], ms_to_ns(18), say, (char *)"y");
    sim_at(w.sim, ms_to_ns(50), pause_a, NULL);
    sim_run(w.sim, ms_to_ns(100), NULL, NULL);
    expect("a@10 x@50 y@50 a@50 a@60 a@70 ");
    tear();
}

/* ---- workers ---- */

static void jobs_take_virtual_time_in_order(void **state)
{
    (void)state;
    build(1);
    sim_loop_disk(w.loops[0], ms_to_ns(5), 0);
    struct noted_job a = {.job = {.run = job_run, .done = job_done}, .name = "a"};
    struct noted_job b = {.job = {.run = job_run, .done = job_done}, .name = "b"};
    struct noted_job c = {.job = {.run = job_run, .done = job_done}, .name = "c"};
    worker_submit(w.workers[0], &a.job);
    worker_submit(w.workers[0], &b.job);
    sim_run(w.sim, ms_to_ns(100), NULL, NULL);
    expect("a@5 done@5 b@10 done@10 ");
    worker_submit(w.workers[0], &c.job);
    worker_destroy(w.workers[0]);
    expect("c@100 done@100 ");
    sim_run(w.sim, ms_to_ns(200), NULL, NULL);
    tear();
}

static bool is_said(void *ctx)
{
    (void)ctx;
    return w.trace.len > 0;
}

static void a_run_ends_when_it_is_told(void **state)
{
    (void)state;
    build(1);
    sim_at(w.sim, ms_to_ns(3), say, (char *)"x");
    sim_at(w.sim, ms_to_ns(4), say, (char *)"y");
    assert_true(sim_run(w.sim, ms_to_ns(100), is_said, NULL));
    assert_int_equal(sim_now_ns(w.sim), ms_to_ns(3));
    assert_true(sim_chance(w.sim, 1.0));
    assert_false(sim_chance(w.sim, 0.0));
    tear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(events_come_in_order_of_virtual_time),
        cmocka_unit_test(ties_between_nodes_are_drawn),
        cmocka_unit_test(clocks_drift_and_jump),
        cmocka_unit_test(a_crashed_loop_runs_nothing_more),
        cmocka_unit_test(a_loop_may_crash_from_within),
        cmocka_unit_test(a_paused_loop_runs_late_and_in_order),
        cmocka_unit_test(jobs_take_virtual_time_in_order),
        cmocka_unit_test(a_run_ends_when_it_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
