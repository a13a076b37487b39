/* What the scheduler's files share: scheduler.c (life, view, calls), split.c, place.c. */
#ifndef METADATA_SCHEDULER_H
#define METADATA_SCHEDULER_H

#include "server_impl.h"

#include "sherd/v1/shard.pb-c.h"

#include <uthash.h>

/* F5: all log the fence, then all forget. */
enum sched_fence_round { SCHED_FENCE_LOG = 1, SCHED_FENCE_FORGET };

/* What this leader remembers about a shard; volatile. */
struct sched_shard {
    uint64_t shard_id;
    UT_hash_handle hh;
    bool is_busy;          /* a fiber changes its range or its replicas */
    uint64_t moved_ns;     /* its leadership was last moved by us */
    uint64_t split_ns;     /* its size was last asked for */
    uint64_t last_index;   /* as last reported by its leader */
    uint64_t active_ts;    /* it was written at or before this timestamp, not later */
    uint64_t gc_watermark; /* last sent */
    uint64_t gc_ns;
    uint64_t fenced_job; /* it has answered this job in the round beside */
    enum sched_fence_round fenced_round;
    uint64_t pass;        /* from heartbeats, valid in this pass: */
    uint64_t leader_node; /* 0 = unknown */
    uint64_t leader_term;
    uint64_t bytes;
    uint64_t report_last;
};

struct meta_sched {
    struct meta_server *server;
    struct fiber *jobs_fiber;
    struct fiber *place_fiber;
    int fibers;
    bool is_cancelled;
    struct cond wake; /* of the jobs' fiber */
    uint64_t job_generation;
    uint64_t fenced_job; /* whose fence every shard has logged */
    struct sched_shard *shards;
    uint64_t pass;
    struct sched_view
        *view; /* the place fiber's: made anew at the begin of a pass when the space has changed */
};

/* The shard map and the nodes, decoded. A memory after a park: what is about to change is read
 * again. */
struct sched_view {
    struct arena *arena;
    uint64_t generation;
    Sherd__V1__ShardDesc **shards;
    size_t shard_count, shard_cap;
    Sherd__V1__NodeDesc **nodes;
    size_t node_count, node_cap;
    size_t *replica_counts; /* by node */
};

struct sched_jobs {
    struct arena *arena;
    Sherd__V1__JobDesc **jobs;
    size_t count, cap;
};

/* The jobs as they are now, in the arena. */
struct sched_jobs sched_jobs_read(struct meta_sched *m, struct arena *a);
/* A split of the shard has been begun: its range and its replicas are spoken for. */
bool sched_is_splitting(struct meta_sched *m, uint64_t shard_id);
/* The shard's descriptor now, in the arena; NULL when there is none. */
Sherd__V1__ShardDesc *sched_shard_desc(struct meta_server *s, struct arena *a, uint64_t shard_id);
struct sched_shard *sched_shard_get(struct meta_sched *m, uint64_t shard_id);
/* Takes what the heartbeats say into sched_shard. */
void sched_read_reports(struct meta_sched *m);
/* A call to the shard's leader: as reported, else its replicas in turn; follows hints. */
struct status *sched_call_leader(struct fiber *f, struct meta_sched *m,
                                 const Sherd__V1__ShardDesc *d, enum rpc_method method,
                                 const void *request, uint32_t timeout_ms, struct arena *a,
                                 void **out_reply) STATUS_MUST_CHECK;
struct status *sched_call(struct fiber *f, struct meta_sched *m, uint64_t node_id,
                          enum rpc_method method, const void *request, uint32_t timeout_ms,
                          struct arena *a, void **out_reply) STATUS_MUST_CHECK;
/* CANCELLED when this leader's time is over: after every park. */
struct status *sched_check(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;
/* Replaces the descriptor of a shard whose epoch is still `epoch`; *out_done false: it has changed.
 */
struct status *sched_put_shard(struct fiber *f, struct meta_sched *m, const Sherd__V1__ShardDesc *d,
                               uint64_t epoch, bool *out_done) STATUS_MUST_CHECK;

/* The catalog has the table. */
bool sched_table_exists(struct meta_server *s, uint32_t table_id);

/* Removes the job; no error when it is gone. */
struct status *sched_job_drop(struct fiber *f, struct meta_sched *m,
                              uint64_t job_id) STATUS_MUST_CHECK;

/* split.c */
struct status *sched_run_jobs(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;
struct status *sched_split_by_size(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;
/* place.c */
struct status *sched_repair(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;
struct status *sched_spread(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;
struct status *sched_balance(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;
struct status *sched_collect(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;
/* fence.c */
/* Makes a fence the business of the scheduler, in the batch. */
void sched_fence_put(struct meta_batch *b, struct arena *a, uint64_t incarnation);
struct status *sched_fence(struct fiber *f, struct meta_sched *m) STATUS_MUST_CHECK;

#endif
