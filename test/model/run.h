/*
 * One schedule of a scenario, on a whole cluster in one thread (test/sim/cluster.h): the real
 * coordinator, participants, recovery, Raft and metadata.
 *
 * Every message about the transactions is a choice point, counted from 0: calls between routers,
 * shards and the timestamp oracle and their answers, and Raft messages with entries of data shards.
 * By default it is delivered. A deviation does something else at one of them:
 *
 *   d  it is lost: a call comes 100 ms late, behind nothing that was sent later; a Raft message is
 * gone b  the two nodes are cut off from one another for two seconds: their calls end with unknown
 * fate k  the receiver crashes before it arrives; it loses what is not synced and restarts in 300
 * ms K  the sender crashes behind it, likewise p  the receiver stands still for three seconds:
 * deposed, and back t  every data shard that the receiver leads gets another leader g  versions are
 * collected up to now s  shard 0 is split between n and x f  the table's schema version is fenced
 * in every shard
 */
#ifndef TEST_MODEL_RUN_H
#define TEST_MODEL_RUN_H

#include "scenario.h"

#define DEVIATIONS_MAX 4

struct deviation {
    uint32_t at;
    char action;
};

struct schedule {
    struct deviation deviations[DEVIATIONS_MAX];
    int count;
};

/* Boots the cluster and brings it to where every schedule begins. Once, then fork() for each run.
 */
void run_boot(uint64_t seed, bool trace);
/* Ends the process when a check fails (cluster_fail(), cluster_stuck()). Returns the number of
 * choice points. */
uint32_t run_schedule(const struct scenario *s, const struct schedule *schedule);

#endif
