/*
 * Fibers: straight-line business code on stackful coroutines over a loop.
 *
 * A function that may park takes the fiber as its first parameter, and only such functions do. What
 * was read from shared state before a park is a memory after it. No lock, open iterator or raw
 * pointer into a shared container survives a park. Cleanup paths do not park.
 *
 * A fiber carries a deadline and a cancel flag. fiber_park() returns NULL when woken, TIMEOUT when
 * the deadline has passed, CANCELLED after fiber_cancel(): so a client's cancel, a statement
 * timeout or a lost connection ends the work wherever it waits. Who is parked takes itself off any
 * wait list before it returns the error (gate_wait() and friends do).
 *
 * Stacks have a guard page below and are recycled. Switches are annotated for ASan and TSan.
 * Thread rule: everything on the fiber's own loop.
 */
#ifndef BASE_FIBER_H
#define BASE_FIBER_H

#include "base/list.h"
#include "base/loop.h"
#include "base/status.h"

struct fiber;

enum fiber_stack {
    FIBER_STACK_SMALL, /* 64 kB: request handlers, background work */
    FIBER_STACK_LARGE, /* 512 kB: planning and execution of SQL */
    FIBER_STACK_PARSE, /* 8 MB, touched lazily: libpg_query recurses */
};

/* Starts fn(f, arg) on the loop soon (deferred, not inside this call). It frees itself at the end.
 */
struct fiber *fiber_spawn(struct loop *l, enum fiber_stack stack,
                          void (*fn)(struct fiber *f, void *arg), void *arg);
struct loop *fiber_loop(struct fiber *f);
/* The fiber that is running on this thread, or NULL. For assertions and logging. */
struct fiber *fiber_current(void);

/* Sleeps until fiber_wake(). A wake that came since the last park returns at once. */
struct status *fiber_park(struct fiber *f) STATUS_MUST_CHECK;
/* The same without looking at cancel or deadline: only where the waker is sure to come soon. */
void fiber_park_hard(struct fiber *f);
void fiber_wake(struct fiber *f); /* deferred to the end of the turn; idempotent */

void fiber_cancel(struct fiber *f); /* sticky until fiber_cancel_clear() */
void fiber_cancel_clear(struct fiber *f);
bool fiber_is_cancelled(const struct fiber *f);
/* Between the two, cancel and deadline are put off: for steps that must see their end once begun (a
 * commit). Nests. Children spawned meanwhile inherit neither. */
void fiber_mask(struct fiber *f);
void fiber_unmask(struct fiber *f);
/* Absolute monotonic nanoseconds; 0 = none. Returns the deadline that was in force; nested scopes
 * take the minimum themselves. */
uint64_t fiber_set_deadline(struct fiber *f, uint64_t deadline_ns);
uint64_t fiber_deadline(const struct fiber *f);
/* CANCELLED or TIMEOUT when this fiber should stop: for long computations. */
struct status *fiber_check(struct fiber *f) STATUS_MUST_CHECK;
/* Lets everything else that is ready run first, then goes on. */
struct status *fiber_yield(struct fiber *f) STATUS_MUST_CHECK;
struct status *fiber_sleep(struct fiber *f, uint64_t ns) STATUS_MUST_CHECK;
/* Bytes left on the running fiber's stack: recursive code checks it and answers 54001. */
size_t fiber_stack_left(void);

/* A one-shot event that many may wait for. Zeroed + gate_init = shut. */
struct gate {
    struct list waiters;
    bool is_open;
};
void gate_init(struct gate *g);
void gate_open(struct gate *g); /* wakes all; idempotent */
struct status *gate_wait(struct fiber *f, struct gate *g) STATUS_MUST_CHECK;

/* A condition: waiters re-check after each signal. */
struct cond {
    struct list waiters;
};
void cond_init(struct cond *c);
void cond_broadcast(struct cond *c);
void cond_signal(struct cond *c); /* wakes the longest waiting one */
struct status *cond_wait(struct fiber *f, struct cond *c) STATUS_MUST_CHECK;

/* A mutex between fibers of one loop, fair. */
struct fmutex {
    struct list waiters;
    bool is_held;
};
void fmutex_init(struct fmutex *m);
struct status *fmutex_lock(struct fiber *f, struct fmutex *m) STATUS_MUST_CHECK;
void fmutex_unlock(struct fmutex *m);

/* Counts children: fan_add() per child, fan_done() as each ends, fan_wait() for all. fan_wait()
 * does not return early on cancel: the children borrow the parent's stack. It passes the cancel on
 * to children registered with fan_spawn(). */
struct fan {
    int left;
    struct fiber *waiter;
    struct list children;
};
void fan_init(struct fan *fan);
void fan_add(struct fan *fan);
void fan_done(struct fan *fan);
/* Child fiber that inherits the parent's deadline and cancel, counted in the fan. */
void fan_spawn(struct fiber *parent, struct fan *fan, enum fiber_stack stack,
               void (*fn)(struct fiber *f, void *arg), void *arg);
void fan_wait(struct fiber *f, struct fan *fan);

/* Runs fn(arg) on the worker and parks until it is done (not cancellable: fn borrows). */
void fiber_run_on(struct fiber *f, struct worker *w, void (*fn)(void *arg), void *arg);

#endif
