/*
 * A workload: what some clients do, and how one sees afterwards whether a strictly serializable (or
 * weaker, where that was asked for) and durable database could have answered so. One file each;
 * which of them run is drawn from the seed.
 */
#ifndef TEST_SIM_WORKLOAD_H
#define TEST_SIM_WORKLOAD_H

#include "client.h"
#include "world.h"

struct workload_action {
    int weight;
    void (*run)(struct fiber *f, struct client *c);
};

struct workload {
    const char *name;
    int weight; /* how often a client chooses it */
    /* Before the faults, on a fiber of node 1: tables and first rows. May be NULL. */
    void (*setup)(struct fiber *f, struct client *c);
    /* What a client does, one of them at a time, by weight; ends with an empty one. Each is one
     * transaction, or what belongs together, and anything in it may fail. */
    struct workload_action actions[8];
    /* After the faults, on a fiber of node 1: last reads, and what they must show. */
    void (*finish)(struct fiber *f, struct client *c);
};

extern const struct workload workload_txn;    /* wl_txn.c: lists, inserts, races, money by txn.h */
extern const struct workload workload_list;   /* wl_list.c: list-append by SQL */
extern const struct workload workload_bank;   /* wl_bank.c */
extern const struct workload workload_skew;   /* wl_skew.c: write skew of items and predicates */
extern const struct workload workload_fork;   /* wl_fork.c: long fork */
extern const struct workload workload_count;  /* wl_count.c: counters that only rise */
extern const struct workload workload_unique; /* wl_unique.c: races for unique values */
extern const struct workload workload_refs;   /* wl_refs.c: foreign keys */
extern const struct workload workload_index;  /* wl_index.c: indexes equal their table */
extern const struct workload workload_insert; /* wl_insert.c: acknowledged inserts are there once */
extern const struct workload workload_queue;  /* wl_queue.c: SKIP LOCKED, NOWAIT */
extern const struct workload workload_gate;   /* wl_gate.c: rows that are only locked */
extern const struct workload workload_schema; /* wl_schema.c: schema changes, alone and with rows */

#endif
