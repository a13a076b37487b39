/*
 * What the parts of a run of sherd_sim share: the cluster, the run's random numbers, what clients
 * have been told. One run a process, hence one world.
 */
#ifndef TEST_SIM_WORLD_H
#define TEST_SIM_WORLD_H

#include "cluster.h"
#include "history.h"
#include "sherd_sim.h"

#include "base/rng.h"

struct world {
    struct cluster cluster;
    struct rng rng;
    enum txn_isolation isolation; /* of the clients that are checked strictly */
    bool calm;
    bool is_ending;      /* clients stop */
    uint64_t started_ns; /* begin of the faults */
    uint64_t healed_ns;  /* end of the faults; 0 = not yet */
    int clients;         /* that run */
    uint64_t shards;     /* at the start of the faults */
    int committed, aborted, unknown, commits_after_heal;
};

extern struct world world;

#define WORLD_CLIENTS 3 /* a node */

static inline uint64_t now(void)
{
    return sim_now_ns(world.cluster.sim);
}

static inline uint64_t below(uint64_t n)
{
    return rng_below(&world.rng, n);
}

#define WORLD_RUN_NS (6 * SECOND)

/* Whether one more of what there can be `max` of in a run may begin: they come in bursts, spread
 * over the run's length, so that late faults meet some, and each other. */
static inline bool world_may(int count, int max)
{
    const uint64_t bursts = 12;
    uint64_t burst = (now() - world.started_ns) * bursts / WORLD_RUN_NS;
    return (uint64_t)count < (burst + 1 < bursts ? burst + 1 : bursts) * (uint64_t)max / bursts;
}

/* What the end of a transaction (or of a statement without one) tells its client. Takes st. */
enum told world_outcome(struct status *st);

/* Rows of wl_txn.c (rows.h), of kind 'l' lists, 'w' lists of the weak levels, 'a' accounts, 'i'
 * inserts, 'u' and 'v' races: spread over the shards by their number. */
#define WORLD_SHARDS 3
struct slice world_row_key(struct arena *a, char kind, uint32_t number);
/* The key of a row by its integer primary key. */
struct slice world_table_key(struct arena *a, uint32_t table_id, int id);
#endif
