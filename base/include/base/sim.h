/*
 * The simulator's world: many loops in one thread, virtual time, one seed.
 *
 * Events (timers, deferred tasks, worker completions, network deliveries) of all loops run in order
 * of virtual time, ties broken by a draw of the seeded generator. The same seed gives the same run.
 */
#ifndef BASE_SIM_H
#define BASE_SIM_H

#include "base/loop.h"

struct sim;

struct sim *sim_create(uint64_t seed);
void sim_destroy(struct sim *s);
uint64_t sim_now_ns(struct sim *s);
uint64_t sim_random(struct sim *s);
uint64_t sim_random_below(struct sim *s, uint64_t n);
bool sim_chance(struct sim *s, double p);

/* A node's loop. Its clocks may drift and jump: monotonic = virtual * rate, wall = that + offset.
 */
struct loop *sim_loop_create(struct sim *s, const char *name);
void sim_loop_clock(struct loop *l, double rate, int64_t wall_offset_us);
/* Worker jobs take base + random(0..spread) of virtual time. Default 100 us + 300 us. */
void sim_loop_disk(struct loop *l, uint64_t base_ns, uint64_t spread_ns);
/* A dead loop runs nothing any more: its tasks, timers, jobs and fibers are dropped as they are
 * (their memory is the process's to reclaim: a simulation run is a process of its own). */
void sim_loop_crash(struct loop *l);
/* A paused loop (SIGSTOP) keeps everything and runs it late. */
void sim_loop_pause(struct loop *l, bool on);

/* Runs fn(ctx) at an absolute virtual time, outside any node: faults, checkers, deliveries. */
void sim_at(struct sim *s, uint64_t at_ns, void (*fn)(void *ctx), void *ctx);
/* Makes fn(ctx) run on the loop (dropped when it is dead by then) at that time: deliveries. */
void sim_loop_at(struct loop *l, uint64_t at_ns, void (*fn)(void *ctx), void *ctx);

/* Runs until virtual time `until_ns`, or until stop(ctx) is true after an event (NULL = never).
 * Returns false when the time ran out before stop() was true. */
bool sim_run(struct sim *s, uint64_t until_ns, bool (*stop)(void *ctx), void *ctx);
uint64_t sim_event_count(const struct sim *s);

#endif
