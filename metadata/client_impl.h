/* What client.c, timestamp.c and shard_map.c share. Thread rule: the node's loop. */
#ifndef METADATA_CLIENT_IMPL_H
#define METADATA_CLIENT_IMPL_H

#include "meta_limits.h"
#include "metadata/client.h"
#include "omap.h"

struct shard_map;

struct meta_client {
    struct rpc_node *rpc;
    struct loop *loop;
    uint64_t *seeds;
    size_t seed_count;
    uint64_t leader; /* 0 = not known */
    size_t rotation; /* who is asked next while it is not */

    struct omap cache;
    uint64_t revision; /* the cache has every change up to here */
    bool is_ready;
    bool is_catching_up; /* a copy of several pages: some entries are newer than revision */
    struct cond changed; /* revision, ready */
    struct list listeners;

    bool is_closing;
    int fibers; /* of this client that run */
    struct cond ended;
    struct fiber *watch;

    struct list ts_waiters; /* for the next request */
    struct fiber *ts_fiber;
    bool ts_under_way;

    struct shard_map *map;
};

/* With the time one node gets for an answer. Retries as meta_call() does. */
struct status *client_call(struct fiber *f, struct meta_client *c, enum rpc_method m,
                           const void *request, uint32_t attempt_ms, struct arena *arena,
                           void **out_reply) STATUS_MUST_CHECK;

/* timestamp.c */
void timestamp_start(struct meta_client *c);
/* shard_map.c */
struct shard_map *shard_map_create(struct meta_client *c);
void shard_map_destroy(struct shard_map *m);

#endif
