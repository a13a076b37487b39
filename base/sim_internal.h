/*
 * Between the simulated world (sim.c: one heap of events, the order of things) and its loops
 * (sim_loop.c: clocks, workers, crash and pause of one node).
 */
#ifndef BASE_SIM_INTERNAL_H
#define BASE_SIM_INTERNAL_H

#include "base/rng.h"
#include "base/sim.h"
#include "loop_internal.h"

struct sim_loop;

struct sim_event {
    uint64_t at_ns;
    uint64_t order;        /* a draw in the high half, a counter in the low: breaks ties */
    struct sim_loop *loop; /* NULL: outside any node */
    void (*fn)(void *ctx);
    void *ctx;
};

struct sim {
    uint64_t now_ns;
    struct rng rng;
    uint64_t event_count;
    uint32_t event_seq;
    struct sim_event *heap; /* heap[1] comes first */
    size_t heap_len;
    size_t heap_cap;
    struct sim_loop **ready; /* loops with tasks to run at this very time */
    size_t ready_len;
    size_t ready_cap;
    struct sim_loop **loops; /* all that ever were: memory is freed with the world */
    size_t loop_len;
    size_t loop_cap;
};

struct sim_loop {
    struct loop base;
    struct sim *sim;
    char *name;
    bool is_dead;
    bool is_paused;
    bool is_ready;   /* in sim->ready */
    bool is_running; /* inside its turn */
    /* monotonic = mono_base + (virtual - virtual_base) * rate_ppm / 10^6 */
    uint64_t mono_base_ns;
    uint64_t virtual_base_ns;
    uint64_t rate_ppm;
    int64_t wall_offset_us;
    uint64_t timer_at_ns;  /* virtual time of the pending timer event, UINT64_MAX = none */
    bool is_next_turn_due; /* an event for base.next_turn is pending */
    uint64_t disk_base_ns;
    uint64_t disk_spread_ns;
    struct list workers;
    struct sim_event *held; /* came while paused, in order */
    size_t held_len;
    size_t held_cap;
};

/* sim.c */
void sim_push(struct sim *s, uint64_t at_ns, struct sim_loop *l, void (*fn)(void *ctx), void *ctx);
void sim_mark_ready(struct sim_loop *l);
void sim_add_loop(struct sim *s, struct sim_loop *l);

/* sim_loop.c */
void sim_loop_deliver(struct sim_loop *l, const struct sim_event *e); /* an event's time has come */
void sim_loop_turn(struct sim_loop *l);                               /* runs what is ready */
void sim_loop_free(struct sim_loop *l);

#endif
