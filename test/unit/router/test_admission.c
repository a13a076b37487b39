/* Admission: who waits, for how long, in which order, and that the limit finds the load's best. */
#include "base/check.h"
#include "base/sim.h"
#include "session/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 32 };

struct client {
    struct admission_ticket ticket;
    struct world *world;
    int id;
    uint64_t patience_ns; /* 0 = any */
    uint64_t begin_ms, work_ms;
    struct status *st;
    uint64_t entered_ms;
};

struct world {
    struct sim *sim;
    struct loop *loop;
    struct admission admission;
    struct client clients[SESSIONS];
    char trace[256];
    /* load */
    int running, most;
    uint64_t commits, aborts;
    bool conflicts; /* a commit ends all transactions that began before */
    bool is_over;
    int live;
};

static int set_up(void **state)
{
    static struct world w;
    w = (struct world){.sim = sim_create(7)};
    w.loop = sim_loop_create(w.sim, "a");
    admission_init(&w.admission, w.loop);
    for (int i = 0; i < SESSIONS; i++) {
        w.clients[i] = (struct client){.world = &w, .id = i};
    }
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    admission_deinit(&w->admission);
    sim_destroy(w->sim);
    return 0;
}

static bool is_idle(void *ctx)
{
    return ((struct world *)ctx)->live == 0;
}

static void run(struct world *w)
{
    assert_true(sim_run(w->sim, sim_now_ns(w->sim) + ms_to_ns(600000), is_idle, w));
}

static uint64_t now_ms(const struct world *w)
{
    return sim_now_ns(w->sim) / 1000000;
}

static void note(struct world *w, const char *what, int id)
{
    char text[32];
    snprintf(text, sizeof(text), "%s%d@%llu ", what, id, (unsigned long long)now_ms(w));
    assert_true(strlen(w->trace) + strlen(text) < sizeof(w->trace));
    strcat(w->trace, text);
}

/* One transaction of work_ms. */
static void one_txn(struct fiber *f, void *arg)
{
    struct client *c = arg;
    struct world *w = c->world;
    assert_null(fiber_sleep(f, ms_to_ns(c->begin_ms)));
    if (c->patience_ns != 0) {
        fiber_set_deadline(f, loop_clock_ns(w->loop) + c->patience_ns);
    }
    c->st = admission_enter(f, &w->admission, &c->ticket);
    fiber_set_deadline(f, 0);
    if (c->st == NULL) {
        note(w, "+", c->id);
        assert_null(admission_enter(f, &w->admission, &c->ticket)); /* has it: no second wait */
        assert_null(fiber_sleep(f, ms_to_ns(c->work_ms)));
        admission_leave(&w->admission, &c->ticket, true);
        note(w, "-", c->id);
    } else {
        note(w, "!", c->id);
    }
    w->live--;
}

static void start(struct world *w, int id, uint64_t begin_ms, uint64_t work_ms, bool is_hot)
{
    struct client *c = &w->clients[id];
    c->begin_ms = begin_ms;
    c->work_ms = work_ms;
    if (is_hot) {
        admission_conflict(&c->ticket);
    }
    w->live++;
    fiber_spawn(w->loop, FIBER_STACK_SMALL, one_txn, c);
}

static void who_has_no_conflict_never_waits(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 3; i++) {
        start(w, i, 0, 10, false);
    }
    run(w);
    assert_string_equal(w->trace, "+0@0 +1@0 +2@0 -0@10 -1@10 -2@10 ");
}

static void others_queue_in_order(void **state)
{
    struct world *w = *state;
    start(w, 0, 0, 10, true);
    start(w, 1, 1, 10, true);
    start(w, 2, 2, 10, true);
    start(w, 3, 3, 10, false);
    run(w);
    assert_string_equal(w->trace, "+0@0 +3@3 -0@10 +1@10 -3@13 -1@20 +2@20 -2@30 ");
}

static void a_slow_holder_stops_to_count(void **state)
{
    struct world *w = *state;
    start(w, 0, 0, 1000, true);
    start(w, 1, 50, 10, true);
    start(w, 2, 60, 10, true);
    run(w);
    assert_string_equal(w->trace, "+0@0 +1@200 -1@210 +2@210 -2@220 -0@1000 ");
    assert_int_equal(w->admission.held, 0);
}

static void who_gives_up_leaves_the_queue(void **state)
{
    struct world *w = *state;
    w->clients[1].patience_ns = ms_to_ns(5);
    start(w, 0, 0, 20, true);
    start(w, 1, 1, 10, true);
    start(w, 2, 2, 10, true);
    run(w);
    assert_string_equal(w->trace, "+0@0 !1@6 -0@20 +2@20 -2@30 ");
    assert_true(status_is(w->clients[1].st, STATUS_TIMEOUT));
    status_free(w->clients[1].st);
    assert_int_equal(w->clients[1].ticket.state, ADMISSION_FREE);
}

static void a_conflict_is_forgotten(void **state)
{
    struct world *w = *state;
    start(w, 0, 0, 1, true);
    run(w);
    while (w->clients[0].ticket.heat > 0) {
        start(w, 0, 0, 1, false);
        w->trace[0] = 0;
        run(w);
    }
    w->trace[0] = 0;
    start(w, 0, 0, 10, false);
    start(w, 1, 1, 10, true);
    start(w, 2, 2, 10, true);
    run(w);
    assert_string_equal(w->trace, "+0@64 +1@65 -0@74 -1@75 +2@75 -2@85 ");
}

/* ---- the search ---- */

/* Transactions one after the other; with conflicts, only who saw no commit since it began commits.
 */
static void load(struct fiber *f, void *arg)
{
    struct client *c = arg;
    struct world *w = c->world;
    admission_conflict(&c->ticket);
    while (!w->is_over) {
        assert_null(admission_enter(f, &w->admission, &c->ticket));
        uint64_t seen = w->commits;
        w->running++;
        w->most = w->running > w->most ? w->running : w->most;
        assert_null(fiber_sleep(f, 4000000 + loop_random_below(w->loop, 2000000)));
        w->running--;
        bool is_ok = !w->conflicts || w->commits == seen;
        w->commits += is_ok;
        w->aborts += !is_ok;
        if (!is_ok) {
            admission_conflict(&c->ticket);
        } else if (!w->conflicts) {
            c->ticket.heat = 2; /* as if others had ended some of its transactions */
        }
        admission_leave(&w->admission, &c->ticket, is_ok);
    }
    w->live--;
}

static void end_load(void *ctx)
{
    ((struct world *)ctx)->is_over = true;
}

static void run_load(struct world *w, bool conflicts, uint64_t ms)
{
    w->is_over = false;
    w->conflicts = conflicts;
    w->most = 0;
    w->commits = w->aborts = 0;
    for (int i = 0; i < SESSIONS; i++) {
        w->live++;
        fiber_spawn(w->loop, FIBER_STACK_SMALL, load, &w->clients[i]);
    }
    sim_at(w->sim, sim_now_ns(w->sim) + ms_to_ns(ms), end_load, w);
    run(w);
}

static void the_limit_finds_the_best(void **state)
{
    struct world *w = *state;
    /* Every commit ends all others: one at a time gives 200 a second, with little thrown away. */
    run_load(w, true, 10000);
    assert_in_range(w->commits, 1700, 2500);
    assert_in_range(w->aborts, 0, w->commits / 4);
    /* Another load: nothing of it conflicts, so it is to run side by side again: 6400 a second. */
    run_load(w, false, 10000);
    assert_in_range(w->commits, 40000, 64000);
    assert_in_range(w->most, 24, SESSIONS);
    /* And back. */
    run_load(w, true, 10000);
    assert_in_range(w->commits, 1300, 2500);
    assert_in_range(w->admission.base, 1, 3);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(who_has_no_conflict_never_waits), T(others_queue_in_order),
        T(a_slow_holder_stops_to_count),    T(who_gives_up_leaves_the_queue),
        T(a_conflict_is_forgotten),         T(the_limit_finds_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
