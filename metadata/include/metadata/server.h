/*
 * The metadata group on a node that has role metadata: state machine, leader's services, scheduler.
 */
#ifndef METADATA_SERVER_H
#define METADATA_SERVER_H

#include "api/rpc.h"
#include "base/status.h"
#include "base/store.h"
#include "replication/group.h"

#include "sherd/v1/catalog.pb-c.h"

struct meta_server;

#define META_GROUP_ID 1

struct meta_server_options {
    struct rpc_node *rpc;
    struct group_host *host;
    struct store *state;
    uint64_t node_id;
    uint32_t gc_ttl_s;
    uint32_t shard_max_mb;
    bool scheduler;           /* splits, placement, rebalancing run on the leader */
    uint32_t node_dead_ms;    /* silent so long = dead; 0 = 10 s */
    uint64_t node_replace_ms; /* dead so long: its replicas are made anew elsewhere; 0 = 5 min */
    uint32_t scheduler_ms;    /* pace of the scheduler; 0 = 1 s */
};

/*
 * First start of a cluster: what every initial node must say the same. cluster_id names this
 * cluster for ever (meta_cluster_id() derives one from the name and the node list). The first
 * content is the cluster, its nodes, the first shard, database `sherd` with schema `public`, role
 * `sherd`.
 */
struct meta_bootstrap {
    const char *cluster_name;
    uint64_t cluster_id;
    size_t node_count;
    /* All initial nodes; those with role_metadata (at most 5) are the voters. */
    Sherd__V1__NodeDesc **nodes;
    uint32_t replication_factor; /* of the first shard: min(3, nodes with role shard) */
};
uint64_t meta_cluster_id(const char *cluster_name, const uint64_t *node_ids, size_t count);
/* The first shard (id 2, all keys) as every initial node must create it: for shard_bootstrap() on
 * the nodes that its replicas name. In the arena. INVALID when no node has role shard. */
struct status *meta_bootstrap_shard(const struct meta_bootstrap *b, struct arena *a,
                                    Sherd__V1__ShardDesc **out) STATUS_MUST_CHECK;
/*
 * ALREADY_EXISTS when this node has a metadata group. Only the voters write anything: the record of
 * this bootstrap (locally, synced) and the group's first configuration. The group's first leader
 * finds the space empty and proposes the content from its record: one entry, the same whoever
 * leads. On a node without role metadata this does nothing.
 */
struct status *meta_server_bootstrap(struct fiber *f, struct group_host *host, struct store *state,
                                     uint64_t node_id,
                                     const struct meta_bootstrap *b) STATUS_MUST_CHECK;
/* Opens the group and registers the Metadata methods on the rpc node. */
struct status *meta_server_start(struct fiber *f, const struct meta_server_options *options,
                                 struct meta_server **out) STATUS_MUST_CHECK;
void meta_server_stop(struct fiber *f, struct meta_server *s);
bool meta_server_is_leader(const struct meta_server *s);

#endif
