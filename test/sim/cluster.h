/*
 * A whole cluster in one thread: metadata, shards and routers of every node on simulated loops,
 * disks and network. A node's crash drops its loop; a restart boots a new one on the same disk.
 */
#ifndef TEST_SIM_CLUSTER_H
#define TEST_SIM_CLUSTER_H

#include "../lib/sim_net.h"
#include "../lib/sim_rpc.h"

#include "base/config.h"
#include "base/fiber.h"
#include "base/sim.h"
#include "metadata/server.h"
#include "router/router.h"
#include "router/txn.h"
#include "shard/server.h"

#define CLUSTER_NODES_MAX 7
#define SECOND 1000000000ull

struct cluster;

struct cluster_node {
    struct cluster *cluster;
    uint64_t id;
    struct mem_disk *disk,
        *log_disk;  /* of the state store, of the log store: so that one can fail alone */
    bool is_up;     /* has a living loop */
    bool is_booted; /* serves */
    bool is_paused;
    bool is_stopping;     /* see cluster_stop() */
    bool is_disk_failing; /* its next write ends the node */
    int boots;
    uint64_t incarnation; /* of its router */
    struct loop *loop;
    struct store *log, *state;
    struct rpc_link *link;
    struct rpc_node *rpc;
    struct group_host *host;
    struct meta_server *meta_server;
    struct meta_client *meta;
    struct shard_server *shards;
    struct router *router;
};

struct cluster {
    struct sim *sim;
    struct sim_net *net;
    uint64_t seed;
    int node_count;
    struct cluster_node nodes[CLUSTER_NODES_MAX + 1]; /* by id, from 1 */
    struct config config;
    uint32_t gc_ttl_s;
    /* Called on the node's loop (in a fiber) each time a node has booted. */
    void (*on_booted)(struct cluster_node *n, void *ctx);
    /* A store of the node failed: the process would end now. */
    void (*on_failed)(struct cluster_node *n, void *ctx);
    void *ctx;
    bool trace;
};

void cluster_init(struct cluster *c, uint64_t seed, int nodes);
void cluster_boot(struct cluster *c, uint64_t node_id); /* returns at once; is_booted tells */
void cluster_crash(struct cluster *c, uint64_t node_id, int keep_percent);
/* The node ends itself, from inside of its code; nothing that it wrote is lost. */
void cluster_stop(struct cluster *c, uint64_t node_id);
/* Runs until all nodes serve. False: not within the time. */
bool cluster_wait_booted(struct cluster *c, uint64_t limit_ns);
/* Runs fn on a fiber of the node; *done is set when it has returned. */
void cluster_spawn(struct cluster_node *n,
                   void (*fn)(struct fiber *f, struct cluster_node *n, void *arg), void *arg);
/* Cuts the key space at these keys (through the scheduler's jobs) and waits for the shards. */
bool cluster_split(struct cluster *c, const struct slice *keys, int count, uint64_t limit_ns);
/* One cut without waiting; errors are left to a later one. */
void cluster_split_later(struct cluster_node *n, struct slice key);
/* Puts the node's state into its descriptor: DRAINING moves its replicas away (when there is
 * another node for them). */
void cluster_drain_later(struct cluster_node *n, uint64_t node_id, bool draining);

/* The next writes of the node's log store, its state store or both fail with this code (OK: not any
 * more). */
enum cluster_disk { CLUSTER_DISK_LOG, CLUSTER_DISK_STATE, CLUSTER_DISK_BOTH };
void cluster_fail_disk(struct cluster *c, uint64_t node_id, enum cluster_disk which,
                       enum status_code code);

/* Ends of a run: print the seed and what is wrong. */
#define EXIT_UNSAFE 1 /* a consistency check failed */
#define EXIT_STUCK 3  /* it does not get on: no proof of a planted bug */
_Noreturn void cluster_fail(struct cluster *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void cluster_stuck(struct cluster *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
