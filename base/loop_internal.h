/*
 * The inside of a loop, shared by loop.c, its two implementations and the fiber scheduler.
 *
 * The common part keeps the timers (a binary heap in order of due time, then of arming), the
 * deferred tasks (FIFO), the tasks of the next turn, and the mailbox (a stack that any thread
 * pushes to and the owner takes whole). An implementation embeds struct loop as its first member,
 * supplies loop_ops, and drives the common part from its own source of time and events.
 */
#ifndef BASE_LOOP_INTERNAL_H
#define BASE_LOOP_INTERNAL_H

#include "base/loop.h"

#include <stddef.h>

struct loop {
    const struct loop_ops *ops;
    uint64_t now_ns; /* time of this turn, unless is_now_old: then it is read at the first need */
    bool is_now_old;
    bool is_now_kept; /* false: time stands still in a turn, and reading it is cheap (simulator) */
    struct timer **heap; /* heap[1] is due first; heap[0] is not used */
    size_t heap_len;     /* entries, heap[1 .. heap_len] */
    size_t heap_cap;
    uint64_t timer_seq;
    struct list deferred;
    struct list next_turn;         /* tasks that let a poll for events pass first */
    struct task *mailbox;          /* atomic; linked by link.next, newest first */
    struct fiber_sched *sched;     /* of fiber.c, made at the first fiber */
    void (*ready)(struct loop *l); /* or NULL: the deferred queue or next_turn became non-empty */
};

void loop_common_init(struct loop *l, const struct loop_ops *ops);
void loop_common_deinit(struct loop *l);

/* The turn's time, read from the clock when it is old. */
uint64_t loop_turn_now(struct loop *l);

/* Runs t in the next turn: other events come first. For a fiber that yields. */
void loop_defer_next_turn(struct loop *l, struct task *t);

/* Moves what was posted to the deferred queue, oldest first. True when there was something. */
bool loop_take_mailbox(struct loop *l);
bool loop_mailbox_is_empty(struct loop *l);
/* Moves the tasks of the next turn to the deferred queue. */
void loop_begin_turn(struct loop *l);
/* Fires the timers that were due when this began. */
void loop_fire_timers(struct loop *l);
/* Due time of the first timer, UINT64_MAX when there is none. */
uint64_t loop_next_due(const struct loop *l);
/* Runs deferred and posted tasks until there is none or `max` have run; stops early when *stop
 * (may be NULL) becomes true. Returns how many ran. */
size_t loop_run_deferred(struct loop *l, size_t max, const bool *stop);

/* fiber.c */
void fiber_sched_destroy(struct fiber_sched *sched);

#endif
