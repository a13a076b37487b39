/*
 * The shards of a node: every Raft group but the metadata group, their storage, locks, transactions
 * and fragment execution, behind the Shard methods of the rpc node.
 *
 * State store layout (keys of this node's state LevelDB; data key = sql/codec.h bytes):
 *   'd' <data key>                 newest version: u64 commit ts | u8 flags (mvcc.h) | row
 * bytes 'h' <data key> <~ts u64>       older versions, newest first: u8 flags | row bytes 'g' <u64
 * group id> <kind> ...  what belongs to a group itself: PREPARED, COMMITTED, fences, watermark,
 * desc Scans touch only 'd' unless a row is newer than the snapshot. A data key belongs to exactly
 * one shard of the node, so splitting a shard moves no data.
 */
#ifndef SHARD_SERVER_H
#define SHARD_SERVER_H

#include "api/rpc.h"
#include "base/store.h"
#include "metadata/client.h"
#include "replication/group.h"

struct shard_server;

struct shard_server_options {
    struct rpc_node *rpc;
    struct group_host *host;
    struct store *state;
    struct meta_client *meta;
    uint64_t node_id;
    uint32_t gc_ttl_s;
    size_t workspace_max_bytes; /* 0 = 64 MB: 54000 beyond */
    uint32_t locks_max;         /* of a transaction in a shard; 0 = 2000000: 53200 beyond */
};

/* Writes a new shard's descriptor and first Raft configuration durably: at the first start of a
 * cluster, and for CreateReplica. ALREADY_EXISTS when the replica is here. */
struct status *shard_bootstrap(struct fiber *f, struct group_host *host, struct store *state,
                               uint64_t node_id,
                               const Sherd__V1__ShardDesc *desc) STATUS_MUST_CHECK;
/* Opens every shard replica on disk and registers the Shard methods. Returns before leaders are
 * elected and before the metadata client is ready. */
struct status *shard_server_start(struct fiber *f, const struct shard_server_options *options,
                                  struct shard_server **out) STATUS_MUST_CHECK;
void shard_server_stop(struct fiber *f, struct shard_server *s);
/* For the node's heartbeat: one entry per replica here, in the arena. */
size_t shard_server_report(struct shard_server *s, struct arena *a,
                           Sherd__V1__ReplicaStatus ***out);
/* The nodes that are low on space (at most SHARD_LOW_NODES_MAX are kept). Where a majority of a
 * shard's voters is among them, statements that add rows get 53100; all else goes on. */
#define SHARD_LOW_NODES_MAX 64
void shard_server_low_nodes(struct shard_server *s, const uint64_t *nodes, size_t count);
/* Hands leadership of all led shards to others (drain before a stop). */
void shard_server_drain(struct fiber *f, struct shard_server *s);

#endif
