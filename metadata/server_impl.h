/*
 * What the files of the metadata server share. The story is in README.md; in short:
 *
 *   request -> handler (fiber) -> meta_op in the queue
 *           -> flush: evaluate all, one after the other, on a copy of the state
 *           -> one log entry, one in flight -> applied -> fibers go on
 *
 * server.c life, roles, queue; requests.c Txn, Allocate, Sequence; watch.c; oracle.c timestamps;
 * nodes.c Join, Heartbeat, Status; bootstrap.c first content; scheduler.c and what follows it.
 *
 * Thread rule: the node's loop. Nothing that was read from s->fsm survives a park.
 */
#ifndef METADATA_SERVER_IMPL_H
#define METADATA_SERVER_IMPL_H

#include "fsm.h"
#include "meta_limits.h"
#include "metadata/client.h"
#include "metadata/server.h"
#include "tso.h"

struct meta_server;
struct meta_sched;

/* One change on its way into the log. On the heap, since its fiber may give up while it is in
 * flight. */
struct meta_op {
    struct list link;
    struct fiber *waiter; /* NULL: gave up; freed when it is done */
    /* Decides the effect, on the loop, not parking. All compares and checks come before the first
     * change to the batch: an error leaves it as it was. Runs only while the fiber waits. */
    struct status *(*evaluate)(struct meta_op *op, struct meta_batch *b);
    struct meta_server *server;
    uint64_t revision; /* visible revision after it */
    bool is_done;
    bool was_logged; /* it waited for an entry: no further barrier is needed */
    struct status *st;
};

struct meta_flight { /* the batch in the log */
    struct group_proposal proposal;
    struct meta_server *server;
    struct list ops;
};

struct meta_node_seen { /* volatile, from heartbeats to this leader */
    uint64_t node_id;
    uint64_t incarnation;
    uint64_t heard_ns;
    uint64_t oldest_snapshot;
    bool is_low;                        /* on space */
    Sherd__V1__ReplicaStatus *replicas; /* scalars only: copied as structs */
    size_t replica_count;
};

typedef struct status *(*meta_handler)(struct fiber *f, struct rpc_context *ctx,
                                       const void *request, void **out_reply,
                                       struct meta_server *s);
struct meta_route {
    struct meta_server *server;
    meta_handler handler;
};

struct meta_server {
    struct meta_server_options options;
    struct loop *loop;
    struct group *group;
    struct meta_fsm fsm;
    enum group_role role;
    uint64_t term;
    bool is_leading; /* GROUP_LEADER_READY, and this server has taken that up */
    uint64_t leader_since_ns;
    struct task role_task;
    bool is_stopping;
    bool fill_in_flight;
    struct cond role_cond;  /* role, content, stop */
    struct cond watch_cond; /* the state has changed, and the same */

    struct list queue;
    size_t queue_count;
    struct task flush_task;
    struct meta_flight *flight;

    struct tso tso;
    struct group_proposal tso_proposal;
    uint64_t tso_proposed;
    bool tso_in_flight;
    uint64_t tso_asked_ns;
    struct timer tso_timer;
    struct cond tso_cond;

    /* When values of a sequence were last given out by this leader, by its id modulo the size. */
    uint64_t sequence_ns[META_SEQUENCE_SLOTS];

    struct meta_node_seen *seen;
    size_t seen_count;
    uint64_t gc_watermark;

    struct meta_sched *sched;

    struct meta_route routes[RPC_METHOD_MAX];
    size_t calls; /* handlers that run */
    struct cond calls_cond;
};

static inline bool meta_is_ready(const struct meta_server *s)
{
    return s->is_leading && !s->is_stopping && s->fsm.visible > 0;
}

/* ---- server.c ---- */

/* Parks until this leader serves; NOT_LEADER with a hint when it is none. */
struct status *meta_serving(struct fiber *f, struct meta_server *s) STATUS_MUST_CHECK;
/* What was read from the state before or since the call began was the newest there was: by the
 * lease, or by a quorum. To be called in the turn of the read or after it. */
struct status *meta_confirm(struct fiber *f, struct meta_server *s) STATUS_MUST_CHECK;
struct status *meta_not_leader(const struct meta_server *s) STATUS_MUST_CHECK;
void *meta_op_create(size_t size,
                     struct status *(*evaluate)(struct meta_op *op, struct meta_batch *b));
/* Waits until the op is decided and, if anything changed, applied. On success the op is the
 * caller's to mem_free(); on an error it is gone. */
struct status *meta_submit(struct fiber *f, struct meta_server *s,
                           struct meta_op *op) STATUS_MUST_CHECK;

/* ---- requests.c ---- */
struct status *meta_handle_txn(struct fiber *f, struct rpc_context *ctx, const void *request,
                               void **out_reply, struct meta_server *s);
struct status *meta_handle_allocate(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, struct meta_server *s);
struct status *meta_handle_sequence(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, struct meta_server *s);
/* The next `count` ids of a counter, as a change of the batch; returns the first. */
uint64_t meta_batch_allocate(struct meta_batch *b, unsigned kind, uint64_t count);
/* A request by the leader itself. */
struct status *meta_server_txn(struct fiber *f, struct meta_server *s,
                               const Sherd__V1__MetaTxnRequest *request,
                               bool *out_succeeded) STATUS_MUST_CHECK;

/* ---- watch.c ---- */
struct status *meta_handle_watch(struct fiber *f, struct rpc_context *ctx, const void *request,
                                 void **out_reply, struct meta_server *s);

/* ---- oracle.c ---- */
void meta_oracle_init(struct meta_server *s);
void meta_oracle_lead(struct meta_server *s); /* became ready: asks for the first window */
void meta_oracle_stop(struct meta_server *s); /* leads no more */
struct status *meta_handle_timestamp(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, struct meta_server *s);
struct status *meta_handle_timestamp_wait(struct fiber *f, struct rpc_context *ctx,
                                          const void *request, void **out_reply,
                                          struct meta_server *s);

/* ---- nodes.c ---- */
struct status *meta_handle_join(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, struct meta_server *s);
struct status *meta_handle_heartbeat(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, struct meta_server *s);
struct status *meta_handle_status(struct fiber *f, struct rpc_context *ctx, const void *request,
                                  void **out_reply, struct meta_server *s);
void meta_nodes_forget(struct meta_server *s);
struct meta_node_seen *meta_node_seen(struct meta_server *s,
                                      uint64_t node_id); /* NULL: not heard */
/* Milliseconds since the node was heard, or since this leader began when it was not. */
uint64_t meta_node_silent_ms(struct meta_server *s, uint64_t node_id);
bool meta_node_alive(struct meta_server *s, uint64_t node_id);
/* It has said that its disk is nearly full: no place for leaders and new replicas. */
bool meta_node_low(struct meta_server *s, uint64_t node_id);
/* Timestamp below which no snapshot is in use and gc_ttl is over; 0 = not known yet. */
uint64_t meta_gc_watermark(struct meta_server *s);
/* "cluster": false when the value is damaged. name is borrowed from the state. */
bool meta_cluster(const struct meta_fsm *fsm, uint64_t *out_id, struct slice *out_name);

/* ---- bootstrap.c ---- */
/* The first content, when the space is empty and this voter has a record; false when it has none.
 */
struct status *meta_bootstrap_fill(struct meta_server *s, struct meta_batch *b,
                                   bool *out_has) STATUS_MUST_CHECK;

/* ---- scheduler.c ---- */
struct meta_sched *meta_sched_start(struct meta_server *s);
void meta_sched_wake(struct meta_sched *m);
/* Cancels; it frees itself, soon. s is not touched by it any more once meta_server.calls is 0. */
void meta_sched_cancel(struct meta_sched *m);

#endif
