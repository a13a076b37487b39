/*
 * A loop: one thread, its timers, its task queue, its workers. The seam of clock and scheduling.
 *
 * Two implementations: the real one on libuv (loop_uv.h) and the simulated one in virtual time
 * (sim.h), where many loops share one thread and one seeded generator. Code above this header never
 * calls time(), never starts a thread and never draws randomness elsewhere, so that whole clusters
 * replay from a seed.
 *
 * Every object belongs to one loop and only that loop's thread touches it. Between loops, and from
 * library threads to a loop, there is only loop_post(). A loop turn is: take everything that
 * arrived, run it, run the deferred tasks until there is none, sleep. Work that profits from
 * batching (flush an envelope, start a write) defers itself and so runs once for all of the turn.
 *
 * Thread rule: everything here is for the loop's own thread, except loop_post().
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* Something to run. Embedded in its owner, never allocated for the call; may be posted again only
 * once it has started to run. */
struct task {
    struct list link;
    void (*run)(struct task *t);
    bool is_queued;
};

struct timer {
    struct list link; /* private */
    uint64_t due_ns;
    uint64_t seq;
    size_t heap_pos; /* private: 0 = not armed */
    struct loop *loop;
    void (*fire)(struct timer *t);
};

/* Monotonic time. loop_now_ns() is read once per turn (cheap, may lag behind a long turn);
 * loop_clock_ns() reads the clock: for leases and measurements. */
uint64_t loop_now_ns(struct loop *l);
uint64_t loop_clock_ns(struct loop *l);
/* Wall clock, milliseconds and microseconds since 1970: for humans and for the value of now() only.
 * No decision rests on it. */
int64_t loop_wall_ms(struct loop *l);
int64_t loop_wall_us(struct loop *l);

static inline uint64_t ms_to_ns(uint64_t ms)
{
    return ms * 1000000u;
}

/* Randomness of the loop: seeded from the kernel, or from the simulator's seed. */
uint64_t loop_random(struct loop *l);
uint64_t loop_random_below(struct loop *l, uint64_t n); /* 0 .. n-1; n > 0 */

/* Arms (or re-arms) the timer. It fires once, in order of due time, then of arming. A zeroed timer
 * with `fire` set is unarmed. timer_stop() of an unarmed timer does nothing. */
void timer_start(struct loop *l, struct timer *t, uint64_t delay_ns);
void timer_stop(struct timer *t);
static inline bool timer_is_armed(const struct timer *t)
{
    return t->heap_pos != 0;
}

/* Runs t after everything that is ready now, before the loop sleeps; FIFO. Queued twice = once. */
void loop_defer(struct loop *l, struct task *t);
void loop_defer_cancel(struct task *t);
/* As loop_defer(), from any thread. Wakes the loop only when its mailbox was empty. */
void loop_post(struct loop *l, struct task *t);

/*
 * A worker: one thread of its own that runs jobs in order and returns them to the loop in order.
 * For what blocks: fsync, bulk scans, DNS. In a simulated loop run() is called inline after a delay
 * drawn by the simulator, then done(); a crash in between runs neither.
 */
struct worker;
struct job {
    struct list link;            /* private */
    void (*run)(struct job *j);  /* on the worker's thread */
    void (*done)(struct job *j); /* on the loop */
};
struct worker *worker_create(struct loop *l, const char *name);
void worker_submit(struct worker *w, struct job *j);
/* Waits for submitted jobs' run(), delivers their done(), ends the thread. */
void worker_destroy(struct worker *w);

/* Loop-private data for base/ itself (fiber scheduler). */
struct fiber_sched;
struct fiber_sched **loop_fiber_sched(struct loop *l);

/* ---- implementing a loop: used by loop_uv.c and sim_loop.c only ---- */
struct loop_ops {
    uint64_t (*clock_ns)(struct loop *l);
    int64_t (*wall_us)(struct loop *l);
    uint64_t (*random)(struct loop *l);
    void (*wake)(struct loop *l);           /* from any thread: the mailbox has become non-empty */
    void (*timers_changed)(struct loop *l); /* the earliest due time may have moved */
    struct worker *(*worker_create)(struct loop *l, const char *name);
    void (*worker_submit)(struct worker *w, struct job *j);
    void (*worker_destroy)(struct worker *w);
};

#endif
