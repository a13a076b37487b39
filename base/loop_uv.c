/*
 * The real loop, on libuv, and its workers, on threads.
 *
 * One turn: libuv fires its timer (ours), polls, calls the readers; then, before the next poll, the
 * prepare callback takes the mailbox and runs the deferred tasks until there is none. While tasks
 * are left (a bounded number runs per turn, and a fiber that yields waits for a turn) an idle
 * handle keeps the poll from sleeping. Handles: one timer for the first of our heap, one async for
 * the mailbox, prepare, check, idle; signals as asked for.
 *
 * A post writes to the async handle only while the loop is asleep: the loop says so before it polls
 * and then looks at the mailbox once more; the poster pushes and then looks at the flag. Both
 * orders are sequentially consistent, so one of the two sees the other.
 */
#include "base/loop_uv.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"
#include "loop_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <uv.h>

#define TASKS_PER_TURN 4096
#define WORKER_STACK_BYTES ((size_t)8 << 20)
#define SIGNALS_MAX 8

struct signal_watch {
    uv_signal_t handle;
    void (*fn)(int signum, void *ctx);
    void *ctx;
};

struct loop_uv {
    struct loop base;
    uv_loop_t uv;
    uv_timer_t timer;
    uv_async_t async;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uint64_t timer_due_ns; /* what `timer` is set for, UINT64_MAX = not set */
    bool is_asleep;        /* atomic */
    bool is_idle_on;
    struct rng rng;
    struct signal_watch *signals[SIGNALS_MAX];
    int signal_count;
};

static struct loop_uv *uv_of(struct loop *l)
{
    return CONTAINER_OF(l, struct loop_uv, base);
}

static uint64_t monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- loop_ops ---- */

static uint64_t op_clock_ns(struct loop *l)
{
    (void)l;
    return monotonic_ns();
}

static int64_t op_wall_us(struct loop *l)
{
    (void)l;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static uint64_t op_random(struct loop *l)
{
    return rng_next(&uv_of(l)->rng);
}

static void op_wake(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    if (__atomic_load_n(&u->is_asleep, __ATOMIC_SEQ_CST)) {
        uv_async_send(&u->async);
    }
}

static void op_timers_changed(struct loop *l)
{
    (void)l; /* prepare looks at the heap before every poll */
}

/* ---- the turn ---- */

static void timer_cb(uv_timer_t *handle)
{
    struct loop_uv *u = handle->data;
    u->timer_due_ns = UINT64_MAX;
    u->base.is_now_old = true;
    loop_fire_timers(&u->base);
}

static void async_cb(uv_async_t *handle)
{
    (void)handle; /* only to end the poll: prepare takes the mailbox */
}

static void idle_cb(uv_idle_t *handle)
{
    (void)handle; /* only to keep the poll from sleeping */
}

static void check_cb(uv_check_t *handle)
{
    struct loop_uv *u = handle->data;
    __atomic_store_n(&u->is_asleep, false, __ATOMIC_SEQ_CST);
    loop_begin_turn(&u->base);
}

/* Sets libuv's timer when ours would come earlier. A later one is left to fire and be set again:
 * timers that are pushed back all the time (elections, timeouts) cost nothing here. */
static void set_timer(struct loop_uv *u)
{
    uint64_t due = loop_next_due(&u->base);
    if (due >= u->timer_due_ns) {
        return;
    }
    u->timer_due_ns = due;
    uint64_t due_ms = due / 1000000u + (due % 1000000u != 0);
    uint64_t now_ms = uv_now(&u->uv); /* libuv adds the delay to this, however old it is */
    uv_timer_start(&u->timer, timer_cb, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

static void prepare_cb(uv_prepare_t *handle)
{
    struct loop_uv *u = handle->data;
    struct loop *l = &u->base;
    bool is_left = false;
    for (;;) {
        loop_take_mailbox(l);
        is_left = loop_run_deferred(l, TASKS_PER_TURN, NULL) == TASKS_PER_TURN;
        if (is_left || !list_is_empty(&l->next_turn)) {
            is_left = true;
            break;
        }
        __atomic_store_n(&u->is_asleep, true, __ATOMIC_SEQ_CST);
        if (loop_mailbox_is_empty(l)) {
            break;
        }
        __atomic_store_n(&u->is_asleep, false, __ATOMIC_SEQ_CST);
    }
    set_timer(u);
    l->is_now_old = true; /* the poll comes next, and its readers run inside it */
    if (is_left != u->is_idle_on) {
        u->is_idle_on = is_left;
        if (is_left) {
            uv_idle_start(&u->idle, idle_cb);
        } else {
            uv_idle_stop(&u->idle);
        }
    }
}

/* ---- workers ---- */

struct uv_worker {
    struct loop *loop; /* first: see worker_base in loop.c */
    pthread_t thread;
    pthread_mutex_t mutex; /* guards the lists and counts below */
    pthread_cond_t work;
    pthread_cond_t idle;
    struct list jobs; /* submitted */
    struct list done; /* run, not yet delivered */
    bool is_busy;
    bool is_stopping;
    struct task deliver;
};

static void *worker_main(void *arg)
{
    struct uv_worker *w = arg;
    struct list batch;
    list_head_init(&batch);
    pthread_mutex_lock(&w->mutex);
    for (;;) {
        while (list_is_empty(&w->jobs) && !w->is_stopping) {
            w->is_busy = false;
            pthread_cond_signal(&w->idle);
            pthread_cond_wait(&w->work, &w->mutex);
        }
        if (list_is_empty(&w->jobs)) {
            break;
        }
        w->is_busy = true;
        list_splice_back(&batch, &w->jobs);
        struct list *item;
        while ((item = list_pop_front(&batch)) != NULL) {
            pthread_mutex_unlock(&w->mutex);
            struct job *j = LIST_ITEM(item, struct job, link);
            j->run(j);
            pthread_mutex_lock(&w->mutex);
            bool was_empty = list_is_empty(&w->done);
            list_push_back(&w->done, item);
            if (was_empty) {
                loop_post(w->loop, &w->deliver);
            }
        }
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static bool worker_deliver(struct uv_worker *w)
{
    struct list done;
    list_head_init(&done);
    pthread_mutex_lock(&w->mutex);
    list_splice_back(&done, &w->done);
    pthread_mutex_unlock(&w->mutex);
    bool any = false;
    struct list *item;
    while ((item = list_pop_front(&done)) != NULL) {
        struct job *j = LIST_ITEM(item, struct job, link);
        j->done(j);
        any = true;
    }
    return any;
}

static void worker_deliver_task(struct task *t)
{
    worker_deliver(CONTAINER_OF(t, struct uv_worker, deliver));
}

static struct worker *op_worker_create(struct loop *l, const char *name)
{
    struct uv_worker *w = MEM_NEW(struct uv_worker);
    w->loop = l;
    w->deliver.run = worker_deliver_task;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->work, NULL);
    pthread_cond_init(&w->idle, NULL);
    list_head_init(&w->jobs);
    list_head_init(&w->done);
    w->is_busy = true; /* until the thread says otherwise */
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    /* Signals are for the loop's thread. */
    sigset_t all;
    sigset_t old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, &attr, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    if (rc != 0) {
        fatal("could not start the thread \"%s\": %s", name, strerror(rc));
    }
    char short_name[16];
    strncpy(short_name, name, sizeof(short_name) - 1);
    short_name[sizeof(short_name) - 1] = '\0';
    pthread_setname_np(w->thread, short_name);
    return (struct worker *)w;
}

static void op_worker_submit(struct worker *worker, struct job *j)
{
    struct uv_worker *w = (struct uv_worker *)worker;
    pthread_mutex_lock(&w->mutex);
    ASSERT(!w->is_stopping);
    bool was_idle = !w->is_busy;
    w->is_busy = true;
    list_push_back(&w->jobs, &j->link);
    pthread_mutex_unlock(&w->mutex);
    if (was_idle) {
        pthread_cond_signal(&w->work);
    }
}

static void op_worker_destroy(struct worker *worker)
{
    struct uv_worker *w = (struct uv_worker *)worker;
    do { /* a done() may submit again */
        pthread_mutex_lock(&w->mutex);
        while (w->is_busy) {
            pthread_cond_wait(&w->idle, &w->mutex);
        }
        pthread_mutex_unlock(&w->mutex);
    } while (worker_deliver(w));
    pthread_mutex_lock(&w->mutex);
    w->is_stopping = true;
    pthread_cond_signal(&w->work);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    loop_take_mailbox(w->loop);
    loop_defer_cancel(&w->deliver);
    pthread_mutex_destroy(&w->mutex);
    pthread_cond_destroy(&w->work);
    pthread_cond_destroy(&w->idle);
    mem_free(w);
}

static const struct loop_ops uv_ops = {
    .clock_ns = op_clock_ns,
    .wall_us = op_wall_us,
    .random = op_random,
    .wake = op_wake,
    .timers_changed = op_timers_changed,
    .worker_create = op_worker_create,
    .worker_submit = op_worker_submit,
    .worker_destroy = op_worker_destroy,
};

/* ---- life ---- */

static void must(int rc, const char *what)
{
    if (rc != 0) {
        fatal("could not %s: %s", what, uv_strerror(rc));
    }
}

struct loop *loop_uv_create(void)
{
    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of write(2) */
    struct loop_uv *u = MEM_NEW(struct loop_uv);
    loop_common_init(&u->base, &uv_ops);
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        fatal("could not read random bytes from the kernel: %s", strerror(errno));
    }
    rng_seed(&u->rng, seed);
    must(uv_loop_init(&u->uv), "start an event loop");
    must(uv_timer_init(&u->uv, &u->timer), "make a timer");
    must(uv_async_init(&u->uv, &u->async, async_cb), "make a wake-up handle");
    uv_prepare_init(&u->uv, &u->prepare);
    uv_check_init(&u->uv, &u->check);
    uv_idle_init(&u->uv, &u->idle);
    u->uv.data = u;
    u->timer.data = u->prepare.data = u->check.data = u->idle.data = u;
    uv_prepare_start(&u->prepare, prepare_cb);
    uv_check_start(&u->check, check_cb);
    u->timer_due_ns = UINT64_MAX;
    u->base.is_now_old = true;
    u->base.is_now_kept = true;
    return &u->base;
}

void loop_uv_run(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    u->base.is_now_old = true;
    uv_run(&u->uv, UV_RUN_DEFAULT);
}

void loop_uv_stop(struct loop *l)
{
    uv_stop(&uv_of(l)->uv);
}

static void signal_closed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

void loop_uv_destroy(struct loop *l)
{
    struct loop_uv *u = uv_of(l);
    for (int i = 0; i < u->signal_count; i++) {
        uv_close((uv_handle_t *)&u->signals[i]->handle, signal_closed);
    }
    /* Streams that are still flushing need timers and deferred tasks: let the turn go on and only
     * not count these handles as a reason to stay. */
    uv_unref((uv_handle_t *)&u->async);
    uv_unref((uv_handle_t *)&u->prepare);
    uv_unref((uv_handle_t *)&u->check);
    uv_unref((uv_handle_t *)&u->timer);
    uv_unref((uv_handle_t *)&u->idle);
    do {
        uv_run(&u->uv, UV_RUN_DEFAULT);
        loop_begin_turn(l);
        loop_take_mailbox(l);
    } while (uv_loop_alive(&u->uv) || loop_run_deferred(l, TASKS_PER_TURN, NULL) > 0);
    uv_close((uv_handle_t *)&u->async, NULL);
    uv_close((uv_handle_t *)&u->prepare, NULL);
    uv_close((uv_handle_t *)&u->check, NULL);
    uv_close((uv_handle_t *)&u->timer, NULL);
    uv_close((uv_handle_t *)&u->idle, NULL);
    uv_run(&u->uv, UV_RUN_DEFAULT);
    ASSERT_MSG(uv_loop_close(&u->uv) == 0, "a handle of the loop is still open");
    loop_common_deinit(l);
    mem_free(u);
}

static void signal_cb(uv_signal_t *handle, int signum)
{
    struct signal_watch *s = handle->data;
    s->fn(signum, s->ctx);
}

struct status *loop_uv_on_signal(struct loop *l, int signum, void (*fn)(int signum, void *ctx),
                                 void *ctx)
{
    struct loop_uv *u = uv_of(l);
    if (u->signal_count == SIGNALS_MAX) {
        return status_new(LIMIT, "a loop watches at most %d signals", SIGNALS_MAX);
    }
    struct signal_watch *s = MEM_NEW(struct signal_watch);
    s->fn = fn;
    s->ctx = ctx;
    s->handle.data = s;
    must(uv_signal_init(&u->uv, &s->handle), "make a signal handle");
    u->signals[u->signal_count++] = s;
    int rc = uv_signal_start(&s->handle, signal_cb, signum);
    if (rc != 0) {
        return status_new(INVALID, "signal %d cannot be watched: %s", signum, uv_strerror(rc));
    }
    return NULL;
}

void *loop_uv_handle(struct loop *l)
{
    return &uv_of(l)->uv;
}
