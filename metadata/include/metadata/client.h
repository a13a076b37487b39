/* clang-format off */
/*
 * The metadata group as its users see it: a cached copy of the key-value space kept fresh by a
 * watch, compare-and-set changes, timestamps, id allocation, sequences. Each node has one client.
 *
 * Key space (values are the protobuf messages of api/proto/sherd/v1/catalog.proto, ids as 8 or 4 byte
 * big-endian so that order is numeric):
 *   cluster                          u64 cluster id, then the cluster's name
 *   node/<u64 id>                    NodeDesc
 *   shard/<range start key>          ShardDesc (the shard map, ordered by start key)
 *   db/<u32 id>  schema/<u32 id>  table/<u32 id>  seq/<u64 id>   descriptors
 *   seqstate/<u64 id>                SequenceState (not in the watch: it would flood it)
 *   name/db/<name>                   u32 id
 *   name/schema/<u32 db>/<name>      u32 id
 *   name/rel/<u32 db>/<u32 schema>/<name>
 *                                    'r' table, 'S' sequence, 'i' index, 'v' view + u64 id (of the
 *                                    table for an index)
 *   role/<name>                      RoleDesc
 *   setting/<name>                   text; replication_factor: voters per shard, one digit, default 3
 *   job/<u64 id>                     JobDesc: the scheduler does it and removes the key. PRESPLIT of a
 *                                    hash-sharded table (put it together with the table), SPLIT by hand
 *                                    (shard_id, split_key), FENCE of a former router incarnation,
 *                                    SCHEMA: a schema change of several steps (jobs.h), by a router
 *   counter/<kind>                   last allocated id (not in the watch)
 * Uniqueness of a name is the compare "must not exist" on its name/ key.
 *
 * Thread rule: all on the node's loop. Pointers returned by meta_get/meta_scan are valid until the
 * next park of the calling fiber: copy, or use the decoded catalog (catalog.h) which is reference
 * counted.
 */
/* clang-format on */
#ifndef METADATA_CLIENT_H
#define METADATA_CLIENT_H

#include "api/rpc.h"
#include "base/fiber.h"
#include "base/slice.h"
#include "base/status.h"

#include "sherd/v1/catalog.pb-c.h"
#include "sherd/v1/metadata.pb-c.h"

struct meta_client;

/* `seeds`: node ids of the metadata voters as far as known (config or join reply); learned later
 * from node/ entries with role_metadata. The watch starts at once. */
struct meta_client *meta_client_create(struct rpc_node *rpc, const uint64_t *seeds, size_t count);
void meta_client_destroy(struct fiber *f, struct meta_client *c);

/* Parks until a first full copy is there. */
struct status *meta_wait_ready(struct fiber *f, struct meta_client *c) STATUS_MUST_CHECK;
uint64_t meta_revision(const struct meta_client *c);
/* Parks until the cache is at least at this revision (the reply of a change tells it). */
struct status *meta_wait_revision(struct fiber *f, struct meta_client *c,
                                  uint64_t revision) STATUS_MUST_CHECK;
/* Parks until the cache is as new as the leader was after this call began: before saying "no such
 * table". */
struct status *meta_refresh(struct fiber *f, struct meta_client *c) STATUS_MUST_CHECK;

/* Called on the loop for each change that reaches the cache, after it is applied. prefix: only
 * those. */
struct meta_listener {
    struct list link;
    struct slice prefix;
    void (*changed)(struct meta_listener *l, struct slice key, struct slice value, bool deleted);
};
void meta_listen(struct meta_client *c, struct meta_listener *l);
void meta_unlisten(struct meta_listener *l);

/* From the cache. False: not there (as far as this cache knows). */
bool meta_get(struct meta_client *c, struct slice key, struct slice *out_value,
              uint64_t *out_mod_revision);
/* Calls fn for each key with the prefix in order until it returns false. fn must not park. */
void meta_scan(struct meta_client *c, struct slice prefix,
               bool (*fn)(void *ctx, struct slice key, struct slice value, uint64_t mod_revision),
               void *ctx);

/* A compare-and-set change. Retries NOT_LEADER and broken connections by itself (exactly once, by
 * request id). *out_succeeded false: a compare failed; then the cache has been refreshed when this
 * returns. TIMEOUT and CANCELLED (of the calling fiber) and UNKNOWN_OUTCOME (no answer for 30 s)
 * leave open whether it was done: read the keys again. The cache has the change when
 * meta_wait_revision(*out_revision) returns. */
struct status *meta_txn(struct fiber *f, struct meta_client *c,
                        const Sherd__V1__MetaTxnRequest *request, bool *out_succeeded,
                        uint64_t *out_revision) STATUS_MUST_CHECK;

/* One timestamp later than every one handed out before this call began (T1, T2). Callers that wait
 * together share one request; who comes while it is under way waits for the next. */
struct status *meta_timestamp(struct fiber *f, struct meta_client *c,
                              uint64_t *out_ts) STATUS_MUST_CHECK;

enum meta_id_kind {
    META_ID_OBJECT = 1,
    META_ID_SHARD = 2,
    META_ID_NODE = 3,
    META_ID_INCARNATION = 4
};
struct status *meta_allocate(struct fiber *f, struct meta_client *c, enum meta_id_kind kind,
                             uint32_t count, uint64_t *out_first) STATUS_MUST_CHECK;
/* Values may be handed out until META_SEQUENCE_LEASE_MS after this call began, no longer: a setval
 * (request->set) returns when all blocks given before it have run out, so that nextval anywhere
 * follows it. */
#define META_SEQUENCE_LEASE_MS 500u
struct status *meta_sequence(struct fiber *f, struct meta_client *c,
                             const Sherd__V1__MetaSequenceRequest *request, int64_t *out_first,
                             int64_t *out_increment, uint32_t *out_count) STATUS_MUST_CHECK;
struct status *meta_status(struct fiber *f, struct meta_client *c, struct arena *arena,
                           Sherd__V1__MetaStatusReply **out) STATUS_MUST_CHECK;
/* Any other metadata request, sent to the leader with retries. */
struct status *meta_call(struct fiber *f, struct meta_client *c, enum rpc_method m,
                         const void *request, struct arena *arena,
                         void **out_reply) STATUS_MUST_CHECK;

/* ---- shard map and nodes, decoded, from the cache ---- */

struct shard_info {
    uint64_t shard_id;
    uint64_t epoch;
    struct slice start, end; /* end empty: unbounded */
    size_t replica_count;
    struct {
        uint64_t replica_id, node_id;
        bool is_voter;
    } replicas[9];
    uint32_t placement;
    uint64_t leader_hint; /* node believed to lead it; learned by shard_map_leader(); 0 = none */
};
/* The shard whose range holds the key. NULL while the map is unknown. Valid until the next park. */
const struct shard_info *shard_map_find(struct meta_client *c, struct slice key);
const struct shard_info *shard_map_by_id(struct meta_client *c, uint64_t shard_id);
/* In order of start key; calls fn until false. */
void shard_map_scan(struct meta_client *c, struct slice start, struct slice end,
                    bool (*fn)(void *ctx, const struct shard_info *s), void *ctx);
void shard_map_leader(struct meta_client *c, uint64_t shard_id, uint64_t node_id);
bool node_address(struct meta_client *c, uint64_t node_id,
                  Sherd__V1__NodeAddress *out); /* strings borrowed until the next park */
/* The nodes that have a replica of some shard; those that are routers. At most cap; returns how
 * many. */
#define NODE_LIST_MAX 256
size_t shard_map_nodes(struct meta_client *c, uint64_t *out, size_t cap);
size_t router_nodes(struct meta_client *c, uint64_t *out, size_t cap);

/* Keys of the space above: appended to an empty buf. */
void meta_key(struct buf *out, const char *prefix, uint64_t id, int id_bytes); /* "table/", id, 4 */

#endif
