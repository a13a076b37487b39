/*
 * The shards of a node, inside: the server, its replicas, and what the files of this folder share.
 *
 *   server.c    start, stop, report, the shard map's listener
 *   replica.c   one replica: its group's state machine, the part of a term
 *   service.c   the RPC handlers of data and transactions
 *   follower.c  reads in the past on a replica that does not lead
 *   admin.c     the RPC handlers of replicas and ranges
 *   split.c     splits
 *   gc.c        collection of old versions, wiping of dropped tables
 *   recovery.c  orphaned transactions
 *   waits.c     deadlocks across shards
 */
#ifndef SHARD_SERVER_IMPL_H
#define SHARD_SERVER_IMPL_H

#include "part.h"
#include "read.h"
#include "shard/server.h"

struct right_half { /* of a split that was applied here: its replica has to be made */
    struct list link;
    uint64_t group_id;
    struct buf desc;
};

struct closed { /* what the leader has promised for reads here: follower.c */
    uint64_t ts, index;
    uint64_t asked_ns; /* last */
    bool is_asking;
    struct cond answered;
};

struct replica {
    UT_hash_handle hh;
    struct shard_server *server;
    uint64_t shard_id;
    struct group_fsm fsm;
    struct group *group;
    struct shard_state *state;
    struct part_env env;
    struct part *part; /* while leader */
    struct closed closed;
    struct part_env shadow_env;
    struct part *shadow; /* for follower reads: a part without locks that accepts nothing else */
    struct list rights;
    struct cond applied;  /* an entry was applied */
    uint64_t named_epoch; /* of the newest descriptor that names this replica */
    uint64_t bytes;       /* approximate, refreshed now and then */
    uint64_t bytes_at_ns;
    int users; /* fibers inside */
    bool is_closing;
    bool is_collecting;
    bool is_splitting;
};

struct background { /* one fiber of the server */
    struct list link;
    struct shard_server *server;
    struct fiber *fiber;
    void (*fn)(struct fiber *f, struct shard_server *s, void *arg);
    void *arg;
};

struct silent_node { /* a coordinator that could not be reached */
    UT_hash_handle hh;
    uint64_t node_id, since_ns, last_ns;
};

struct shard_server {
    struct shard_server_options o;
    struct loop *loop;
    struct replica *replicas; /* by shard id */
    struct worker *worker;    /* flushes, synced marks */
    struct meta_listener listener;
    bool is_listening;
    bool is_syncing; /* the map is being gone through */
    bool sync_again;
    bool is_stopping;
    struct list fibers;
    struct list halves; /* of splits from before a crash, being made: split.c */
    struct cond quiet;  /* a fiber or a user has left */
    struct fmutex opening;
    struct timer waits_timer;
    bool is_searching, is_search_asked, is_search_due;
    struct cond search_wake;
    uint64_t searched_to_ns; /* waits that began until then have been looked at */
    struct silent_node *silent;
    struct metric *m_reads, *m_writes, *m_commits, *m_conflicts, *m_recovered, *m_deadlocks,
        *m_deadlock_searches, *m_prepared;
    struct part_gauges gauges;
    struct metric *m_replicas, *m_follower_reads, *m_closes;
    uint64_t low_nodes[SHARD_LOW_NODES_MAX];
    size_t low_count;
};

/* Spawns fn; stop cancels it and waits for its end. */
void server_spawn(struct shard_server *s,
                  void (*fn)(struct fiber *f, struct shard_server *s, void *arg), void *arg);
/* Makes and removes replicas here as the shard map asks for, in the background. */
void server_sync_map(struct shard_server *s);
struct replica *server_replica(struct shard_server *s, uint64_t shard_id);
/* Opens the replica of a group that is on disk. One at a time. */
struct status *replica_open(struct fiber *f, struct shard_server *s, uint64_t shard_id,
                            struct replica **out) STATUS_MUST_CHECK;
/* Waits for who is inside, closes the group. With destroy: removes log and state. */
struct status *replica_close(struct fiber *f, struct replica *r, bool destroy) STATUS_MUST_CHECK;
struct status *replica_not_leader(const struct replica *r);
void replica_enter(struct replica *r);
void replica_leave(struct replica *r);

/* The group of a descriptor that is in the state store. */
struct status *shard_bootstrap_group(struct fiber *f, struct group_host *host, uint64_t node_id,
                                     const Sherd__V1__ShardDesc *desc) STATUS_MUST_CHECK;

/* recovery.c */
void recovery_forget_silence(struct shard_server *s);

void service_register(struct shard_server *s);
void service_unregister(struct shard_server *s);
void admin_register(struct shard_server *s);

/* A request to the leader of a shard, wherever it is. Follows hints, gives up after some tries. */
struct status *server_call(struct fiber *f, struct shard_server *s, uint64_t shard_id,
                           enum rpc_method m, const void *request, struct arena *a,
                           void **out_reply) STATUS_MUST_CHECK;

void recovery_orphan(struct replica *r, struct work *w);
void recovery_idle(struct replica *r, struct work *w);
void waits_begun(struct shard_server *s);
struct status *waits_handle(struct fiber *f, struct rpc_context *ctx, const void *request,
                            void **out_reply, void *handler_ctx);

/* Follower reads. */
void follower_init(struct replica *r);
void follower_deinit(struct replica *r);
/* NOT_LEADER when only the leader can serve it. */
struct status *follower_read(struct fiber *f, struct replica *r, struct arena *a,
                             const Sherd__V1__ReadRequest *req,
                             Sherd__V1__ReadReply *reply) STATUS_MUST_CHECK;
/* The leader's answer to CloseRequest. */
struct status *follower_close(struct fiber *f, struct replica *r, struct part *p,
                              const Sherd__V1__CloseRequest *req,
                              Sherd__V1__CloseReply *reply) STATUS_MUST_CHECK;

/* Range changes. */
struct status *split_run(struct fiber *f, struct replica *r,
                         const Sherd__V1__SplitRequest *req) STATUS_MUST_CHECK;
void split_applied(struct replica *r);
/* The replica of that group is about to be made from a split's entry. */
bool split_is_pending(struct shard_server *s, uint64_t group_id);
void split_resume(struct fiber *f, struct shard_server *s);
struct status *split_point(struct replica *r, struct arena *a,
                           Sherd__V1__SplitPointReply *reply) STATUS_MUST_CHECK;

/* Removes versions that nobody may read any more, as the leader, paced. */
struct status *gc_pass(struct fiber *f, struct part *p, uint64_t *out_removed) STATUS_MUST_CHECK;
struct status *gc_wipe(struct fiber *f, struct part *p, struct slice start,
                       struct slice end) STATUS_MUST_CHECK;
void gc_start(struct replica *r);

#endif
