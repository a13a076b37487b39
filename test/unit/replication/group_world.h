/*
 * Nodes that hold replicas of one group, in the simulated world. They are crashed by dropping their
 * loop; their disks forget what was not synced.
 */
#ifndef TEST_GROUP_WORLD_H
#define TEST_GROUP_WORLD_H

#include "../../lib/log_fsm.h"
#include "../../lib/sim_net.h"
#include "group_impl.h"

#include "base/sim.h"

#define NODES 5u
#define GROUP 7u
#define MS UINT64_C(1000000)

struct cluster;

struct node {
    struct cluster *c;
    unsigned id;
    struct group_proposal proposal;
    bool is_acknowledged;
    struct loop *loop;
    struct mem_disk *disk;
    struct store *log, *state;
    struct group_host *host; /* NULL: down */
    struct group *group;
    struct log_fsm fsm; /* counts from the last boot on */
    uint64_t replica_id;
};

struct cluster { /* zeroed, with options */
    struct sim *sim;
    struct sim_net *net;
    struct group_host_options options;
    struct node nodes[NODES + 1]; /* by id */
    /* the fiber that runs now */
    struct node *on;
    void (*body)(struct fiber *f, struct node *n);
    bool is_done;
};

/* Nodes 1 to `nodes` are up and have the group open, in which 1 to `voter_count` vote (whether they
 * are there or not). */
void cluster_start(struct cluster *c, unsigned nodes, unsigned voter_count);
void cluster_stop(struct cluster *c);
/* What of the node that is down is on its disk, without the group. */
void boot(struct node *n);
/* Lets go of the node: as a power cut after which so much of what was not synced is there, or
 * orderly (-1). */
void halt(struct node *n, int keep_percent);
/* Runs body on a fiber of the node, to its end. */
void on(struct node *n, void (*body)(struct fiber *f, struct node *n));
void open_group(struct fiber *f, struct node *n); /* for on(), after a boot */
struct node *leader(struct cluster *c);           /* NULL: nobody */
struct node *wait_leader(struct cluster *c);
void pass(struct cluster *c, uint64_t ms);

#endif
