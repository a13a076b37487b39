/*
 * A node's loop in virtual time: see base/sim.h and sim_internal.h.
 *
 * Its timers live in the common heap; the world holds at most one event for the first of them (an
 * older, later one is recognized by its time and ignored). Its deferred tasks run as one turn at
 * the virtual time at which they became ready. A fiber that yields goes on a microsecond later: or
 * a fiber that yields until something happens would stop the time.
 *
 * Dead loops stay allocated until the world ends, since events may still name them; their tasks,
 * timers and fibers are left as they are.
 */
#include "base/check.h"
#include "base/mem.h"
#include "log_internal.h"
#include "sim_internal.h"

#define PPM 1000000u
#define YIELD_NS 1000u
#define DISK_BASE_NS 100000u
#define DISK_SPREAD_NS 300000u
#define EPOCH_US INT64_C(1767225600000000) /* the wall clock at virtual time 0: 2026-01-01 */
/* A clock that has run for a while: code that subtracts from "now" must not come below 0. */
#define UPTIME_NS (UINT64_C(3600) * 1000000000u)
#define TASKS_PER_INSTANT ((size_t)4 << 20)

static struct sim_loop *of(struct loop *l)
{
    return CONTAINER_OF(l, struct sim_loop, base);
}

/* ---- clocks ---- */

static uint64_t monotonic(const struct sim_loop *l)
{
    if (l->rate_ppm == PPM) {
        return l->mono_base_ns + (l->sim->now_ns - l->virtual_base_ns);
    }
    unsigned __int128 passed = l->sim->now_ns - l->virtual_base_ns;
    return l->mono_base_ns + (uint64_t)(passed * l->rate_ppm / PPM);
}

/* The first virtual time at which the loop's clock shows at least mono_ns. */
static uint64_t virtual_of(const struct sim_loop *l, uint64_t mono_ns)
{
    if (mono_ns <= l->mono_base_ns) {
        return l->virtual_base_ns;
    }
    unsigned __int128 passed = mono_ns - l->mono_base_ns;
    passed = (passed * PPM + l->rate_ppm - 1) / l->rate_ppm;
    unsigned __int128 at = l->virtual_base_ns + passed;
    return at > UINT64_MAX - 1 ? UINT64_MAX - 1 : (uint64_t)at;
}

static int64_t wall_us(const struct sim_loop *l)
{
    return EPOCH_US + (int64_t)(monotonic(l) / 1000) + l->wall_offset_us;
}

static int64_t log_wall_us(void *ctx)
{
    return wall_us(ctx);
}

static uint64_t op_clock_ns(struct loop *l)
{
    return monotonic(of(l));
}

static int64_t op_wall_us(struct loop *l)
{
    return wall_us(of(l));
}

static uint64_t op_random(struct loop *l)
{
    return sim_random(of(l)->sim);
}

/* ---- turns ---- */

static void arm_timer(struct sim_loop *l);

/* Around any code of the node. */
static void enter(struct sim_loop *l)
{
    l->is_running = true;
    log_set_thread_clock(log_wall_us, l, l->name);
}

static void leave(struct sim_loop *l)
{
    l->is_running = false;
    log_set_thread_clock(NULL, NULL, NULL);
    if (!l->is_dead) {
        arm_timer(l);
        if (!list_is_empty(&l->base.deferred) || !loop_mailbox_is_empty(&l->base)) {
            sim_mark_ready(l);
        }
    }
}

void sim_loop_turn(struct sim_loop *l)
{
    if (l->is_dead || l->is_paused) {
        return; /* the tasks stay queued: for the end of the pause */
    }
    enter(l);
    size_t count = 0;
    /* In pieces, since a pause that comes meanwhile must be noticed too. */
    while (!l->is_dead && !l->is_paused) {
        if (loop_run_deferred(&l->base, 1, &l->is_dead) == 0) {
            break;
        }
        if (++count == TASKS_PER_INSTANT) {
            fatal("node \"%s\" runs tasks without end at one virtual time", l->name);
        }
    }
    leave(l);
}

static void hold(struct sim_loop *l, const struct sim_event *e)
{
    if (l->held_len == l->held_cap) {
        l->held_cap = l->held_cap ? l->held_cap * 2 : 16;
        l->held = mem_realloc(l->held, l->held_cap * sizeof(*l->held));
    }
    l->held[l->held_len++] = *e;
}

void sim_loop_deliver(struct sim_loop *l, const struct sim_event *e)
{
    if (l->is_dead) {
        return;
    }
    if (l->is_paused) {
        hold(l, e);
        return;
    }
    enter(l);
    e->fn(e->ctx);
    leave(l);
}

static void timer_event(void *ctx)
{
    struct sim_loop *l = ctx;
    if (l->timer_at_ns > l->sim->now_ns) {
        return; /* an older event: another one stands for the timers */
    }
    l->timer_at_ns = UINT64_MAX;
    loop_fire_timers(&l->base);
}

static void arm_timer(struct sim_loop *l)
{
    uint64_t due = loop_next_due(&l->base);
    if (due == UINT64_MAX) {
        return;
    }
    uint64_t at = virtual_of(l, due);
    if (at < l->timer_at_ns) {
        l->timer_at_ns = at < l->sim->now_ns ? l->sim->now_ns : at;
        sim_push(l->sim, l->timer_at_ns, l, timer_event, l);
    }
}

static void op_timers_changed(struct loop *base)
{
    struct sim_loop *l = of(base);
    if (!l->is_running && !l->is_dead) { /* else: when it leaves */
        arm_timer(l);
    }
}

static void next_turn_event(void *ctx)
{
    struct sim_loop *l = ctx;
    l->is_next_turn_due = false;
    loop_begin_turn(&l->base);
}

static void op_ready(struct loop *base)
{
    struct sim_loop *l = of(base);
    if (l->is_dead) {
        return;
    }
    if (!list_is_empty(&base->next_turn) && !l->is_next_turn_due) {
        l->is_next_turn_due = true;
        sim_push(l->sim, l->sim->now_ns + YIELD_NS, l, next_turn_event, l);
    }
    if (!l->is_running && !list_is_empty(&base->deferred)) {
        sim_mark_ready(l);
    }
}

static void op_wake(struct loop *base)
{
    struct sim_loop *l = of(base);
    if (!l->is_running) {
        sim_mark_ready(l);
    }
}

/* ---- workers ---- */

struct sim_worker {
    struct loop *loop; /* first: see worker_base in loop.c */
    struct list link;  /* in its loop's workers: freed with the world if not before */
    struct list jobs;  /* submitted, in order; one event is pending for each */
    uint64_t free_at_ns;
    size_t event_count; /* pending events that name this worker */
    bool is_destroyed;
};

static bool run_first_job(struct sim_worker *w)
{
    struct list *item = list_pop_front(&w->jobs);
    if (item == NULL) {
        return false;
    }
    struct job *j = LIST_ITEM(item, struct job, link);
    j->run(j);
    if (!of(w->loop)->is_dead) { /* run() itself may have crashed the node */
        j->done(j);
    }
    return true;
}

static void free_if_unused(struct sim_worker *w)
{
    if (w->event_count == 0) {
        list_unlink(&w->link);
        mem_free(w);
    }
}

static void worker_event(void *ctx)
{
    struct sim_worker *w = ctx;
    w->event_count--;
    if (w->is_destroyed) {
        free_if_unused(w);
        return;
    }
    run_first_job(w);
}

static struct worker *op_worker_create(struct loop *base, const char *name)
{
    (void)name;
    struct sim_worker *w = MEM_NEW(struct sim_worker);
    w->loop = base;
    list_head_init(&w->jobs);
    list_push_back(&of(base)->workers, &w->link);
    return (struct worker *)w;
}

static void op_worker_submit(struct worker *worker, struct job *j)
{
    struct sim_worker *w = (struct sim_worker *)worker;
    struct sim_loop *l = of(w->loop);
    ASSERT(!w->is_destroyed);
    struct sim *s = l->sim;
    uint64_t from = w->free_at_ns > s->now_ns ? w->free_at_ns : s->now_ns;
    w->free_at_ns = from + l->disk_base_ns + sim_random_below(s, l->disk_spread_ns + 1);
    list_push_back(&w->jobs, &j->link);
    w->event_count++;
    sim_push(s, w->free_at_ns, l, worker_event, w);
}

static void op_worker_destroy(struct worker *worker)
{
    struct sim_worker *w = (struct sim_worker *)worker;
    while (run_first_job(w)) {
    }
    w->is_destroyed = true;
    free_if_unused(w);
}

static const struct loop_ops sim_ops = {
    .clock_ns = op_clock_ns,
    .wall_us = op_wall_us,
    .random = op_random,
    .wake = op_wake,
    .timers_changed = op_timers_changed,
    .worker_create = op_worker_create,
    .worker_submit = op_worker_submit,
    .worker_destroy = op_worker_destroy,
};

/* ---- life, and what the simulator does to a node ---- */

struct loop *sim_loop_create(struct sim *s, const char *name)
{
    struct sim_loop *l = MEM_NEW(struct sim_loop);
    loop_common_init(&l->base, &sim_ops);
    l->base.ready = op_ready;
    list_head_init(&l->workers);
    l->sim = s;
    l->name = mem_strdup(name);
    l->mono_base_ns = UPTIME_NS;
    l->virtual_base_ns = 0;
    l->rate_ppm = PPM;
    l->wall_offset_us = -(int64_t)(l->mono_base_ns / 1000);
    l->timer_at_ns = UINT64_MAX;
    l->disk_base_ns = DISK_BASE_NS;
    l->disk_spread_ns = DISK_SPREAD_NS;
    l->base.is_now_old = true;
    sim_add_loop(s, l);
    return &l->base;
}

void sim_loop_free(struct sim_loop *l)
{
    loop_common_deinit(&l->base);
    struct list *item;
    while ((item = list_pop_front(&l->workers)) != NULL) {
        mem_free(LIST_ITEM(item, struct sim_worker, link));
    }
    mem_free(l->held);
    mem_free(l->name);
    mem_free(l);
}

void sim_loop_clock(struct loop *base, double rate, int64_t wall_offset_us)
{
    struct sim_loop *l = of(base);
    ASSERT(rate > 0 && rate < 1000);
    l->mono_base_ns = monotonic(l);
    l->virtual_base_ns = l->sim->now_ns;
    l->rate_ppm = (uint64_t)(rate * PPM);
    ASSERT(l->rate_ppm > 0);
    l->wall_offset_us = wall_offset_us - (int64_t)(UPTIME_NS / 1000);
    l->timer_at_ns = UINT64_MAX; /* the pending event may be early now: harmless */
    if (!l->is_dead && !l->is_running) {
        arm_timer(l);
    }
}

void sim_loop_disk(struct loop *base, uint64_t base_ns, uint64_t spread_ns)
{
    struct sim_loop *l = of(base);
    l->disk_base_ns = base_ns;
    l->disk_spread_ns = spread_ns;
}

void sim_loop_crash(struct loop *base)
{
    struct sim_loop *l = of(base);
    l->is_dead = true;
    l->held_len = 0;
}

void sim_loop_pause(struct loop *base, bool on)
{
    struct sim_loop *l = of(base);
    if (l->is_dead || l->is_paused == on) {
        return;
    }
    l->is_paused = on;
    if (on) {
        return;
    }
    size_t n = l->held_len;
    l->held_len = 0;
    for (size_t i = 0; i < n; i++) {
        /* In the order in which they came: a nanosecond apart. */
        sim_push(l->sim, l->sim->now_ns + i, l, l->held[i].fn, l->held[i].ctx);
    }
    sim_mark_ready(l);
}

void sim_loop_at(struct loop *base, uint64_t at_ns, void (*fn)(void *ctx), void *ctx)
{
    sim_push(of(base)->sim, at_ns, of(base), fn, ctx);
}
