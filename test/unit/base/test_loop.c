/* The real loop: timers, deferred tasks, posts from threads, workers. */
#include "base/check.h"
#include "base/loop_uv.h"
#include "base/mem.h"

#include "cmocka_all.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

struct recorder {
    struct loop *loop;
    char trace[256];
    int left; /* stops the loop at 0 */
};

static void record(struct recorder *r, char c)
{
    size_t n = strlen(r->trace);
    assert_true(n + 1 < sizeof(r->trace));
    r->trace[n] = c;
    if (--r->left == 0) {
        loop_uv_stop(r->loop);
    }
}

struct named_timer {
    struct timer timer;
    struct recorder *recorder;
    char name;
    struct named_timer *starts; /* when it fires */
};

static void named_fire(struct timer *t)
{
    struct named_timer *n = CONTAINER_OF(t, struct named_timer, timer);
    record(n->recorder, n->name);
    if (n->starts != NULL) {
        timer_start(n->recorder->loop, &n->starts->timer, 0);
    }
}

struct named_task {
    struct task task;
    struct recorder *recorder;
    char name;
    struct task *defers; /* when it runs */
};

static void named_run(struct task *t)
{
    struct named_task *n = CONTAINER_OF(t, struct named_task, task);
    record(n->recorder, n->name);
    if (n->defers != NULL) {
        loop_defer(n->recorder->loop, n->defers);
    }
}

static void timers_fire_by_due_time_then_by_arming(void **state)
{
    (void)state;
    struct recorder r = {.loop = loop_uv_create(), .left = 4};
    struct named_timer t[5];
    for (int i = 0; i < 5; i++) {
        t[i] =
            (struct named_timer){.timer.fire = named_fire, .recorder = &r, .name = (char)('a' + i)};
    }
    timer_start(r.loop, &t[0].timer, ms_to_ns(9));
    timer_start(r.loop, &t[1].timer, ms_to_ns(3));
    timer_start(r.loop, &t[2].timer, ms_to_ns(3));
    timer_start(r.loop, &t[3].timer, ms_to_ns(1));
    timer_start(r.loop, &t[4].timer, ms_to_ns(2));
    timer_start(r.loop, &t[1].timer, ms_to_ns(3)); /* armed again: after c */
    timer_stop(&t[4].timer);
    timer_stop(&t[4].timer);
    assert_false(timer_is_armed(&t[4].timer));
    assert_true(timer_is_armed(&t[0].timer));
    uint64_t begin = loop_clock_ns(r.loop);
    loop_uv_run(r.loop);
    assert_string_equal(r.trace, "dcba");
    assert_true(loop_clock_ns(r.loop) - begin >= ms_to_ns(9));
    loop_uv_destroy(r.loop);
}

/* A timer that arms another one for at once does not keep the loop from its other work. */
static void a_timer_armed_by_a_timer_waits_for_the_next_turn(void **state)
{
    (void)state;
    struct recorder r = {.loop = loop_uv_create(), .left = 3};
    struct named_timer c = {.timer.fire = named_fire, .recorder = &r, .name = 'c'};
    struct named_timer a = {.timer.fire = named_fire, .recorder = &r, .name = 'a', .starts = &c};
    struct named_timer b = {.timer.fire = named_fire, .recorder = &r, .name = 'b'};
    timer_start(r.loop, &a.timer, 0);
    timer_start(r.loop, &b.timer, 0);
    loop_uv_run(r.loop);
    assert_string_equal(r.trace, "abc");
    loop_uv_destroy(r.loop);
}

static void a_heap_of_many_timers_keeps_its_order(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct recorder r = {.loop = loop_uv_create()};
    struct named_timer *t = mem_zalloc(sizeof(*t) * COUNT);
    for (int i = 0; i < COUNT; i++) {
        t[i].timer.fire = named_fire;
        timer_start(r.loop, &t[i].timer, ms_to_ns(loop_random_below(r.loop, 1000000)));
    }
    for (int i = 0; i < COUNT; i += 3) {
        timer_stop(&t[i].timer);
    }
    for (int i = 1; i < COUNT; i += 3) {
        timer_start(r.loop, &t[i].timer, ms_to_ns(loop_random_below(r.loop, 1000000)));
    }
    int armed = 0;
    for (int i = 0; i < COUNT; i++) {
        armed += timer_is_armed(&t[i].timer);
        timer_stop(&t[i].timer);
    }
    assert_int_equal(armed, COUNT - (COUNT + 2) / 3);
    mem_free(t);
    loop_uv_destroy(r.loop);
}

static void deferred_tasks_run_in_order_once_and_before_timers(void **state)
{
    (void)state;
    struct recorder r = {.loop = loop_uv_create(), .left = 5};
    struct named_timer z = {.timer.fire = named_fire, .recorder = &r, .name = 'z'};
    struct named_task c = {.task.run = named_run, .recorder = &r, .name = 'c'};
    struct named_task a = {.task.run = named_run, .recorder = &r, .name = 'a', .defers = &c.task};
    struct named_task b = {.task.run = named_run, .recorder = &r, .name = 'b'};
    struct named_task x = {.task.run = named_run, .recorder = &r, .name = 'x'};
    struct named_task p = {.task.run = named_run, .recorder = &r, .name = 'p'};
    timer_start(r.loop, &z.timer, ms_to_ns(1));
    loop_defer(r.loop, &a.task);
    loop_defer(r.loop, &x.task);
    loop_defer(r.loop, &b.task);
    loop_defer(r.loop, &a.task); /* queued already */
    loop_defer_cancel(&x.task);
    loop_defer_cancel(&x.task);
    loop_post(r.loop, &p.task);
    loop_uv_run(r.loop);
    assert_string_equal(r.trace, "abpcz");
    loop_uv_destroy(r.loop);
}

/* ---- posts from other threads ---- */

enum { POSTERS = 4, POSTS = 20000 };

struct post {
    struct task task;
    struct poster *poster;
    int number;
};

struct poster {
    pthread_t thread;
    struct loop *loop;
    struct post *posts;
    int seen; /* on the loop */
    int *total;
};

static void post_run(struct task *t)
{
    struct post *p = CONTAINER_OF(t, struct post, task);
    assert_int_equal(p->number, p->poster->seen); /* in the order of posting */
    p->poster->seen++;
    if (++*p->poster->total == POSTERS * POSTS) {
        loop_uv_stop(p->poster->loop);
    }
}

static void *poster_main(void *arg)
{
    struct poster *p = arg;
    for (int i = 0; i < POSTS; i++) {
        p->posts[i] = (struct post){.task.run = post_run, .poster = p, .number = i};
        loop_post(p->loop, &p->posts[i].task);
    }
    return NULL;
}

static void posts_of_threads_all_arrive_in_each_threads_order(void **state)
{
    (void)state;
    struct loop *l = loop_uv_create();
    struct poster posters[POSTERS];
    int total = 0;
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){
            .loop = l, .posts = mem_alloc(sizeof(struct post) * POSTS), .total = &total};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, poster_main, &posters[i]), 0);
    }
    loop_uv_run(l);
    assert_int_equal(total, POSTERS * POSTS);
    for (int i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        mem_free(posters[i].posts);
    }
    loop_uv_destroy(l);
}

/* One task, posted again and again by a thread: every post is followed by a run that sees it. */
struct bell {
    struct task task;
    struct loop *loop;
    _Atomic int rung;
    int seen;
};

static void bell_run(struct task *t)
{
    struct bell *b = CONTAINER_OF(t, struct bell, task);
    b->seen = b->rung;
    if (b->seen == POSTS) {
        loop_uv_stop(b->loop);
    }
}

static void *bell_main(void *arg)
{
    struct bell *b = arg;
    for (int i = 1; i <= POSTS; i++) {
        b->rung = i;
        loop_post(b->loop, &b->task);
    }
    return NULL;
}

static void a_task_posted_while_queued_still_runs_after_the_post(void **state)
{
    (void)state;
    struct bell b = {.task.run = bell_run, .loop = loop_uv_create()};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, bell_main, &b), 0);
    loop_uv_run(b.loop);
    assert_int_equal(b.seen, POSTS);
    pthread_join(thread, NULL);
    loop_uv_destroy(b.loop);
}

/* ---- workers ---- */

struct work {
    struct job job;
    struct work_state *state;
    int number;
    pthread_t ran_on;
};

struct work_state {
    struct loop *loop;
    struct worker *worker;
    int run_count; /* the worker's */
    int done_count;
    int stop_at;
    struct work *more; /* submitted by the first done() */
};

static void work_run(struct job *j)
{
    struct work *w = CONTAINER_OF(j, struct work, job);
    assert_int_equal(w->number, w->state->run_count);
    w->state->run_count++;
    w->ran_on = pthread_self();
}

static void work_done(struct job *j)
{
    struct work *w = CONTAINER_OF(j, struct work, job);
    assert_int_equal(w->number, w->state->done_count);
    assert_false(pthread_equal(w->ran_on, pthread_self()));
    if (w->state->done_count++ == 0 && w->state->more != NULL) {
        worker_submit(w->state->worker, &w->state->more->job);
    }
    if (w->state->done_count == w->state->stop_at) {
        loop_uv_stop(w->state->loop);
    }
}

static void a_worker_runs_jobs_in_order_and_returns_them_in_order(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct work_state s = {.loop = loop_uv_create(), .stop_at = COUNT};
    s.worker = worker_create(s.loop, "test");
    struct work *w = mem_zalloc(sizeof(*w) * COUNT);
    for (int i = 0; i < COUNT; i++) {
        w[i] = (struct work){.job = {.run = work_run, .done = work_done}, .state = &s, .number = i};
        worker_submit(s.worker, &w[i].job);
    }
    loop_uv_run(s.loop);
    assert_int_equal(s.done_count, COUNT);
    worker_destroy(s.worker);
    mem_free(w);
    loop_uv_destroy(s.loop);
}

static void destroying_a_worker_first_finishes_what_was_submitted(void **state)
{
    (void)state;
    struct work_state s = {.loop = loop_uv_create()};
    s.worker = worker_create(s.loop, "test");
    struct work w[4];
    for (int i = 0; i < 4; i++) {
        w[i] = (struct work){.job = {.run = work_run, .done = work_done}, .state = &s, .number = i};
    }
    s.more = &w[3];
    for (int i = 0; i < 3; i++) {
        worker_submit(s.worker, &w[i].job);
    }
    worker_destroy(s.worker);
    assert_int_equal(s.done_count, 4);
    loop_uv_destroy(s.loop);
}

static void on_signal(int signum, void *ctx)
{
    struct recorder *r = ctx;
    record(r, signum == SIGUSR1 ? 'u' : '?');
}

static void a_signal_arrives_on_the_loop(void **state)
{
    (void)state;
    struct recorder r = {.loop = loop_uv_create(), .left = 1};
    assert_null(loop_uv_on_signal(r.loop, SIGUSR1, on_signal, &r));
    raise(SIGUSR1);
    loop_uv_run(r.loop);
    assert_string_equal(r.trace, "u");
    loop_uv_destroy(r.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_by_due_time_then_by_arming),
        cmocka_unit_test(a_timer_armed_by_a_timer_waits_for_the_next_turn),
        cmocka_unit_test(a_heap_of_many_timers_keeps_its_order),
        cmocka_unit_test(deferred_tasks_run_in_order_once_and_before_timers),
        cmocka_unit_test(posts_of_threads_all_arrive_in_each_threads_order),
        cmocka_unit_test(a_task_posted_while_queued_still_runs_after_the_post),
        cmocka_unit_test(a_worker_runs_jobs_in_order_and_returns_them_in_order),
        cmocka_unit_test(destroying_a_worker_first_finishes_what_was_submitted),
        cmocka_unit_test(a_signal_arrives_on_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
