/*
 * Scenarios: a handful of transactions, written as short programs, that the explorer runs in every
 * schedule it tries.
 *
 * Keys are lists, named by a letter: x z n on shard 0, y m on shard 1. x, y and z exist at the
 * start; n and m do not. A program is a list of steps:
 *
 *   Rk   read k                              Ak  read k, append to what was read
 *   Uk   read k FOR UPDATE, append           Lk  read k FOR UPDATE (a lock-only key)
 *   Sk   read k FOR SHARE                    Ik  insert k, which must be absent
 *   G    read the gaps: all that is in the ranges of n and of m
 *   (    savepoint                           )   roll back to it: what follows counts alone
 *   .    a second passes
 */
#ifndef TEST_MODEL_SCENARIO_H
#define TEST_MODEL_SCENARIO_H

#include "../sim/cluster.h"
#include "../sim/history.h"

#include "router/txn.h"

#define MODEL_KEYS 5
#define MODEL_PROGRAMS_MAX 4

struct program {
    enum txn_isolation isolation;
    bool implicit; /* autocommit: LATEST reads, commit in one call */
    uint64_t node; /* whose router runs it */
    uint64_t delay_us;
    const char *steps;
};

struct scenario {
    const char *name;
    const char *text;    /* which rules it is about */
    const char *actions; /* what the schedules may do, see run.h */
    enum history_level level;
    struct program programs[MODEL_PROGRAMS_MAX];
};

extern const struct scenario scenarios[];
extern const int scenario_count;

/* A shard begins with this key, from 1 on. In the arena. */
struct slice scenario_cut(struct arena *a, int shard);

/* Runs the program's transaction to its end and notes it in the history. The coordinator is the
 * node's router. */
void program_run(struct fiber *f, struct cluster_node *n, const struct program *p,
                 struct history *h);
/* x, y and z get their first element. */
struct status *scenario_prepare(struct fiber *f, struct cluster_node *n,
                                struct history *h) STATUS_MUST_CHECK;
/* Reads all keys in one transaction, whose requests carry that version of the table's schema (the
 * programs' carry 0). */
struct status *scenario_look(struct fiber *f, struct cluster_node *n, struct history *h,
                             uint64_t schema_version) STATUS_MUST_CHECK;

#endif
