/*
 * Calls between nodes. A method is a number with two protobuf-c message types; a handler is a
 * function that runs on a fiber of the callee's loop. To a node of this process the call is a
 * function call with the same message structs: no serialization. To others it is a tagged request
 * in the node pair's stream; what is ready in one turn goes out as one message.
 *
 * Errors: what the handler returned comes back whole. UNAVAILABLE: certainly not executed (no
 * connection, refused before sending). UNKNOWN_OUTCOME: the connection broke after the request was
 * sent. TIMEOUT / CANCELLED: the caller's fiber gave up; the callee is told and may have executed
 * it.
 *
 * Thread rule: all on the node's loop.
 */
#ifndef API_RPC_H
#define API_RPC_H

#include "api/pb.h"
#include "base/arena.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "base/status.h"

struct rpc_node;

/* Numbers are wire format: never reused. */
#define RPC_METHODS(X)                                                                             \
    X(META_TXN, 1, meta_txn_request, meta_txn_reply)                                               \
    X(META_WATCH, 2, meta_watch_request, meta_watch_reply)                                         \
    X(META_TIMESTAMP, 3, meta_timestamp_request, meta_timestamp_reply)                             \
    X(META_ALLOCATE, 4, meta_allocate_request, meta_allocate_reply)                                \
    X(META_SEQUENCE, 5, meta_sequence_request, meta_sequence_reply)                                \
    X(META_JOIN, 6, meta_join_request, meta_join_reply)                                            \
    X(META_HEARTBEAT, 7, meta_heartbeat_request, meta_heartbeat_reply)                             \
    X(META_STATUS, 8, meta_status_request, meta_status_reply)                                      \
    X(META_TIMESTAMP_WAIT, 9, meta_timestamp_request, meta_timestamp_reply)                        \
    X(SHARD_READ, 20, read_request, read_reply)                                                    \
    X(SHARD_WRITE, 21, write_request, write_reply)                                                 \
    X(SHARD_REFRESH, 22, refresh_request, outcome_reply)                                           \
    X(SHARD_VALIDATE, 23, validate_request, outcome_reply)                                         \
    X(SHARD_PREPARE, 24, prepare_request, outcome_reply)                                           \
    X(SHARD_COMMIT_ONE, 25, prepare_request, outcome_reply)                                        \
    X(SHARD_QUERY, 26, query_request, outcome_reply)                                               \
    X(SHARD_FINALIZE, 27, finalize_request, outcome_reply)                                         \
    X(SHARD_FORGET, 28, forget_request, empty)                                                     \
    X(SHARD_ROLLBACK, 29, rollback_request, outcome_reply)                                         \
    X(SHARD_CREATE_REPLICA, 30, create_replica_request, empty)                                     \
    X(SHARD_CHANGE_REPLICA, 31, change_replica_request, empty)                                     \
    X(SHARD_SPLIT, 32, split_request, empty)                                                       \
    X(SHARD_FENCE, 33, fence_request, empty)                                                       \
    X(SHARD_GC, 34, gc_request, empty)                                                             \
    X(SHARD_WIPE, 35, wipe_request, empty)                                                         \
    X(SHARD_SPLIT_POINT, 36, split_point_request, split_point_reply)                               \
    X(SHARD_WAITS, 37, waits_request, waits_reply)                                                 \
    X(SHARD_CLOSE, 40, close_request, close_reply)                                                 \
    X(SHARD_LOOKUP, 41, query_request, outcome_reply)                                              \
    X(COORDINATOR_OUTCOME, 50, coordinator_query, outcome_reply)                                   \
    X(COORDINATOR_STATUS, 51, coordinator_query, outcome_reply)                                    \
    X(COORDINATOR_WAITS, 52, waits_request, waits_reply)                                           \
    X(COORDINATOR_USERS, 53, users_request, users_reply)

enum rpc_method {
#define X(name, number, request, reply) RPC_##name = number,
    RPC_METHODS(X)
#undef X
        RPC_METHOD_MAX = 64
};

/* "META_TXN"; NULL for a number that is none. */
const char *rpc_method_name(unsigned method);

/* One message, without its envelope; a larger one is LIMIT 54000. */
#define RPC_MESSAGE_MAX ((size_t)32 << 20)
/* Calls to (and from) one node that are under way; one more is UNAVAILABLE. */
#define RPC_IN_FLIGHT_MAX 65536u

/*
 * What a handler gets. The request is borrowed for the call. The reply and whatever it points at
 * live in `arena` (the call's), or are static: a local caller gets the very same structs, and
 * `arena` is then its own.
 */
struct rpc_context {
    struct rpc_node *node;
    uint64_t from_node; /* = own id for a local call */
    struct arena *arena;
    const char *authorization; /* gRPC metadata of that name, of a caller outside; or NULL */
};
typedef struct status *(*rpc_handler)(struct fiber *f, struct rpc_context *ctx, const void *request,
                                      void **out_reply, void *handler_ctx);

/* ---- link seam: messages between nodes; gRPC streams or the simulated network ---- */
struct rpc_link {
    /* One envelope, in order per connection, once at most; it is borrowed. It holds either calls or
     * answers, never both. False: no connection now (one is being made). Neither function calls
     * back from inside. */
    bool (*send)(struct rpc_link *link, uint64_t to_node, struct slice envelope);
    bool (*is_connected)(struct rpc_link *link, uint64_t to_node);
    /* Set by the rpc node. The envelope is borrowed; false: it is damaged, the connection should
     * end. on_broken: the calls sent to that node and not answered are lost or of unknown fate.
     * on_caller_gone: the calls of that node that run here have no way back: they are cancelled.
     * A link that breaks as a whole tells both. */
    bool (*on_envelope)(void *ctx, uint64_t from_node, struct slice envelope);
    void (*on_broken)(void *ctx, uint64_t node_id);
    void (*on_caller_gone)(void *ctx, uint64_t node_id);
    void (*on_gone)(void *ctx); /* the link is being freed, before its node */
    void *ctx;
};

/* link may be NULL: a node alone. A link that is freed first calls on_gone. */
struct rpc_node *rpc_node_create(struct loop *l, uint64_t node_id, struct rpc_link *link);
/* A node that joins learns its id late; before any call. */
void rpc_node_identity(struct rpc_node *n, uint64_t node_id);
/* Own calls must have ended. Handlers that still run are cancelled; what they need of the node
 * lives until the last of them has returned. The link hears and says nothing any more. */
void rpc_node_destroy(struct rpc_node *n);
uint64_t rpc_node_id(const struct rpc_node *n);
struct loop *rpc_node_loop(const struct rpc_node *n);
/* Handlers of a method may be replaced (NULL: UNIMPLEMENTED). is_inline: never parks, runs without
 * a fiber of its own (f is NULL unless the caller waits in rpc_call() on this node). */
void rpc_register(struct rpc_node *n, enum rpc_method m, rpc_handler handler, void *handler_ctx,
                  bool is_inline);

/* Parks until the reply. The reply lives in `arena`. Honours the fiber's deadline and cancel. */
struct status *rpc_call(struct fiber *f, struct rpc_node *n, uint64_t to_node, enum rpc_method m,
                        const void *request, struct arena *arena,
                        void **out_reply) STATUS_MUST_CHECK;

/* The same in two steps, for calls side by side. Every started call must be waited for (or dropped
 * with rpc_abandon), on a fiber of the same loop; `call` and `arena` live until then, the request
 * need not outlive rpc_start(). For a local target the handler runs in a child fiber on a copy of
 * the request, unless it is inline. rpc_wait() that returns CANCELLED or TIMEOUT because the
 * waiting fiber gave up has abandoned the call. f (deadline) may be NULL in rpc_start(). */
struct rpc_local;
struct rpc_call {
    struct list link; /* all below is private but st, reply, is_done */
    struct rpc_node *node;
    uint64_t to_node;
    uint64_t tag;
    enum rpc_method method;
    struct arena *arena;
    void *reply;
    struct status *st;
    bool is_done;
    struct fiber *waiter;
    struct rpc_local *local;
};
void rpc_start(struct fiber *f, struct rpc_node *n, uint64_t to_node, enum rpc_method m,
               const void *request, struct arena *arena, struct rpc_call *call);
struct status *rpc_wait(struct fiber *f, struct rpc_call *call) STATUS_MUST_CHECK;
void rpc_abandon(struct rpc_call *call);

/* NOT_LEADER that names the leader's node (0 = unknown); and the way back. It survives the wire. */
struct status *rpc_not_leader(uint64_t leader_node);
uint64_t rpc_leader_hint(const struct status *st);

#endif
