/* sherd.v1.Admin: what an operator asks of any node; forwarded to the metadata leader or a shard's
 * leader. */
#include "node.h"

#include "base/check.h"

#include "sherd/v1/admin.pb-c.h"

#include <signal.h>
#include <unistd.h>

static struct status *starting(void)
{
    return status_hint(
        status_new(UNAVAILABLE, "the node is starting or waits for the metadata group"),
        "A majority of the metadata nodes must be up.");
}

static struct status *cluster_status(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, void *handler_ctx)
{
    (void)request;
    struct node *n = handler_ctx;
    if (n->meta == NULL) {
        return starting();
    }
    return meta_status(f, n->meta, ctx->arena, (Sherd__V1__MetaStatusReply **)out_reply);
}

static struct status *join(struct fiber *f, struct rpc_context *ctx, const void *request,
                           void **out_reply, void *handler_ctx)
{
    struct node *n = handler_ctx;
    return n->meta == NULL ? starting()
                           : meta_call(f, n->meta, RPC_META_JOIN, request, ctx->arena, out_reply);
}

static Sherd__V1__Empty *empty(struct rpc_context *ctx)
{
    Sherd__V1__Empty *e = ARENA_NEW(ctx->arena, Sherd__V1__Empty);
    sherd__v1__empty__init(e);
    return e;
}

static struct status *shut_down(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, void *handler_ctx)
{
    (void)f;
    (void)request;
    (void)handler_ctx;
    *out_reply = empty(ctx);
    kill(getpid(), SIGTERM);
    return NULL;
}

/* The node that leads a shard, by its replicas' reports. */
static struct status *find_leader(struct fiber *f, struct node *n, uint64_t shard_id,
                                  struct arena *a, uint64_t *out_node)
{
    Sherd__V1__MetaStatusReply *r;
    TRY(meta_status(f, n->meta, a, &r));
    for (size_t i = 0; i < r->n_nodes; i++) {
        for (size_t k = 0; k < r->nodes[i]->n_replicas; k++) {
            const Sherd__V1__ReplicaStatus *s = r->nodes[i]->replicas[k];
            if (s->shard_id == shard_id && s->role == GROUP_LEADER_READY && r->nodes[i]->alive) {
                *out_node = r->nodes[i]->node->address->node_id;
                return NULL;
            }
        }
    }
    return status_new(UNAVAILABLE, "shard %llu has no leader", (unsigned long long)shard_id);
}

static struct status *transfer_leader(struct fiber *f, struct rpc_context *ctx, const void *request,
                                      void **out_reply, void *handler_ctx)
{
    struct node *n = handler_ctx;
    const Sherd__V1__TransferLeaderRequest *q = request;
    if (n->meta == NULL) {
        return starting();
    }
    uint64_t leader;
    TRY(find_leader(f, n, q->shard_id, ctx->arena, &leader));
    const struct shard_info *s = shard_map_by_id(n->meta, q->shard_id);
    if (s == NULL) {
        return status_new(NOT_FOUND, "there is no shard %llu", (unsigned long long)q->shard_id);
    }
    Sherd__V1__ChangeReplicaRequest c = SHERD__V1__CHANGE_REPLICA_REQUEST__INIT;
    c.shard_id = q->shard_id;
    c.action = 4;
    c.node_id = q->node_id;
    for (size_t i = 0; i < s->replica_count; i++) {
        if (s->replicas[i].node_id == q->node_id) {
            c.replica_id = s->replicas[i].replica_id;
        }
    }
    if (c.replica_id == 0) {
        return status_new(INVALID, "node %llu has no replica of shard %llu",
                          (unsigned long long)q->node_id, (unsigned long long)q->shard_id);
    }
    void *reply;
    TRY(rpc_call(f, n->rpc, leader, RPC_SHARD_CHANGE_REPLICA, &c, ctx->arena, &reply));
    *out_reply = empty(ctx);
    return NULL;
}

void node_admin_register(struct node *n)
{
    grpc_front_unary(n->front, "/sherd.v1.Admin/ClusterStatus",
                     &sherd__v1__cluster_status_request__descriptor, cluster_status, n);
    grpc_front_unary(n->front, "/sherd.v1.Admin/Join", &sherd__v1__meta_join_request__descriptor,
                     join, n);
    grpc_front_unary(n->front, "/sherd.v1.Admin/Shutdown", &sherd__v1__shutdown_request__descriptor,
                     shut_down, n);
    grpc_front_unary(n->front, "/sherd.v1.Admin/TransferLeader",
                     &sherd__v1__transfer_leader_request__descriptor, transfer_leader, n);
}
