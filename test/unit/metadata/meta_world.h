/*
 * A simulated cluster of metadata nodes for tests: each node has a loop, a disk, a group host, an
 * rpc node, a metadata server and a client. Virtual time, one seed.
 */
#ifndef TEST_META_WORLD_H
#define TEST_META_WORLD_H

#include "base/fiber.h"
#include "base/sim.h"
#include "base/store.h"
#include "metadata/catalog.h"
#include "metadata/client.h"
#include "metadata/server.h"
#include "sim_net.h"
#include "sim_rpc.h"

#define WORLD_NODES_MAX 6
#define MS 1000000ull
#define SECOND 1000000000ull

struct meta_world;

struct world_node {
    struct meta_world *world;
    uint64_t id;
    bool is_up;
    bool is_booted;
    bool has_metadata;
    struct mem_disk *disk;
    struct loop *loop;
    struct store *log, *state;
    struct group_host *host;
    struct rpc_link *link;
    struct rpc_node *rpc;
    struct meta_server *server;
    struct meta_client *client;
    struct catalog_cache *catalog;
};

struct meta_world {
    struct sim *sim;
    struct sim_net *net;
    size_t node_count, voter_count;
    struct world_node nodes[WORLD_NODES_MAX + 1]; /* by id */
    bool scheduler;
    uint32_t shard_max_mb;
    bool small_logs; /* checkpoints at every turn: a node that was away gets a snapshot */
    bool is_finished;
    int running;
    /* Called on each booting node before its server starts: fakes of the shard methods. */
    void (*on_boot)(struct world_node *n);
};

/* voters of the nodes 1.. have the metadata role; all have the shard role. */
void world_init(struct meta_world *w, uint64_t seed, size_t nodes, size_t voters);
void world_boot(struct meta_world *w,
                uint64_t node_id); /* first or later start: on the node's disk */
void world_kill(struct meta_world *w, uint64_t node_id, int keep_percent);
/* Runs fn on a fiber of that node; the world is finished when all of these have ended. */
void world_spawn(struct meta_world *w, uint64_t node_id,
                 void (*fn)(struct fiber *f, struct world_node *n));
/* Until all spawned fibers have ended; fails the test after that much virtual time. */
void world_run(struct meta_world *w, uint64_t limit_ns);
void world_advance(struct meta_world *w, uint64_t ns);
uint64_t world_leader(struct meta_world *w); /* 0 = none */
/* Stops every node in order, so that leaks show. */
void world_shutdown(struct meta_world *w);
#define OK(expr) world_ok((expr), __FILE__, __LINE__)
void world_ok(struct status *st, const char *file, int line);

#endif
