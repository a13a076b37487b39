/*
 * The nodes of the cluster: joining, heartbeats, status, and what follows from silence.
 *
 * Identity. A node id belongs to one data directory. The directory draws a random data id when it
 * is made; the first join binds it to the node id. Who comes later with that id and another data id
 * has lost its disk (or never had it) and is refused: it would vote in groups whose log it has
 * forgotten. Nodes of the first configuration are known without a data id (incarnation 0) and bind
 * theirs when they start.
 *
 * Incarnations come from one counter for the whole cluster, so each start of any process has its
 * own; they name a router's transactions. A heartbeat of an older incarnation is refused: that
 * process has been replaced (F5: what it coordinated is the recoverers').
 *
 * Heartbeats are volatile: they live in the memory of the leader. A new leader counts silence from
 * its own beginning, and tells no watermark before it has heard every node that may hold a
 * snapshot.
 */
#include "scheduler.h"

#include "base/check.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

bool meta_cluster(const struct meta_fsm *fsm, uint64_t *out_id, struct slice *out_name)
{
    const struct omap_entry *e = omap_get(&fsm->map, slice_str(META_PREFIX_CLUSTER));
    if (e == NULL || e->value_len < 8) {
        return false;
    }
    struct slice v = omap_entry_value(e);
    *out_id = get_u64(v.data);
    *out_name = slice_make(v.data + 8, v.len - 8);
    return true;
}

static struct status *node_unpack(const struct omap_entry *e, struct arena *a,
                                  Sherd__V1__NodeDesc **out)
{
    void *message;
    TRY(pb_unpack(&sherd__v1__node_desc__descriptor, a, omap_entry_value(e), &message));
    Sherd__V1__NodeDesc *n = message;
    if (n->address == NULL) {
        return status_new(CORRUPT, "node descriptor without an address");
    }
    *out = n;
    return NULL;
}

/* ---- Join ---- */

struct join_op {
    struct meta_op op;
    const Sherd__V1__MetaJoinRequest *request;
    uint64_t node_id;
    uint64_t incarnation;
};

struct find_data {
    struct arena *arena;
    uint64_t data_id;
    uint64_t node_id;
};

static bool find_data_id(void *ctx, struct omap_entry *e)
{
    struct find_data *fd = ctx;
    Sherd__V1__NodeDesc *n = NULL;
    if (status_consume(node_unpack(e, fd->arena, &n)) || n->data_id != fd->data_id) {
        return true;
    }
    fd->node_id = n->address->node_id;
    return false;
}

static struct status *join_known(const Sherd__V1__NodeDesc *asked, const Sherd__V1__NodeDesc *known)
{
    uint64_t id = known->address->node_id;
    if (known->state == SHERD__V1__NODE_STATE__NODE_GONE) {
        return status_hint(
            status_new(DENIED, "node %" PRIu64 " has been removed from the cluster", id),
            "Start it with an empty data directory and another node id.");
    }
    if (known->data_id != 0 && known->data_id != asked->data_id) {
        return status_hint(
            status_detail(
                status_new(DENIED, "node %" PRIu64 " is known with another data directory", id),
                "Its data would be missing in groups that count on it."),
            "If the old data is lost, remove node %" PRIu64
            " from the cluster and let this one join with another node id.",
            id);
    }
    return NULL;
}

static struct status *join_step(struct join_op *op, struct meta_batch *b, struct arena *a)
{
    const Sherd__V1__NodeDesc *asked = op->request->node;
    struct buf key = {0};
    struct status *st = NULL;
    uint64_t id = asked->address->node_id;
    if (id == 0 && asked->data_id != 0) { /* the reply to an earlier try was lost */
        struct find_data fd = {a, asked->data_id, 0};
        omap_scan_prefix(&b->work, slice_str(META_PREFIX_NODE), find_data_id, &fd);
        id = fd.node_id;
    }
    Sherd__V1__NodeDesc *known = NULL;
    if (id != 0) {
        meta_key(&key, META_PREFIX_NODE, id, 8);
        const struct omap_entry *e = meta_batch_get(b, buf_slice(&key));
        if (e != NULL) {
            TRY_GOTO(node_unpack(e, a, &known), out);
            TRY_GOTO(join_known(asked, known), out);
        }
    } else {
        id = meta_batch_allocate(b, META_ID_NODE, 1);
        meta_key(&key, META_PREFIX_NODE, id, 8);
    }
    Sherd__V1__NodeAddress address = *asked->address;
    Sherd__V1__NodeDesc desc = *asked;
    address.node_id = id;
    desc.address = &address;
    desc.state = known != NULL ? known->state : SHERD__V1__NODE_STATE__NODE_LIVE;
    if (desc.data_id == 0 && known != NULL) {
        desc.data_id = known->data_id;
    }
    if (known != NULL && known->incarnation != 0) { /* F5: its former process is no more */
        sched_fence_put(b, a, known->incarnation);
    }
    desc.incarnation = meta_batch_allocate(b, META_ID_INCARNATION, 1);
    meta_batch_put(b, buf_slice(&key), pb_pack_in(&desc, a));
    /* A node id that was chosen by hand must not be allocated again. */
    const struct omap_entry *e = meta_batch_get(b, slice_str(meta_counter_name(META_ID_NODE)));
    uint64_t last = e != NULL && e->value_len == 8 ? get_u64(omap_entry_value(e).data) : 0;
    if (id > last) {
        meta_batch_allocate(b, META_ID_NODE, id - last);
    }
    op->node_id = id;
    op->incarnation = desc.incarnation;
out:
    buf_deinit(&key);
    return st;
}

static struct status *join_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct join_op *op = CONTAINER_OF(base, struct join_op, op);
    struct arena *a = arena_create(0);
    struct status *st = join_step(op, b, a);
    arena_destroy(a);
    return st;
}

struct node_list {
    struct arena *arena;
    Sherd__V1__NodeDesc **nodes;
    size_t count;
};

static bool node_list_add(void *ctx, struct omap_entry *e)
{
    struct node_list *l = ctx;
    Sherd__V1__NodeDesc *n = NULL;
    if (!status_consume(node_unpack(e, l->arena, &n)) && l->count < META_NODES_MAX) {
        l->nodes[l->count++] = n;
    }
    return true;
}

static struct node_list node_list_make(const struct meta_fsm *fsm, struct arena *a)
{
    struct node_list l = {a, ARENA_ARRAY(a, Sherd__V1__NodeDesc *, META_NODES_MAX), 0};
    omap_scan_prefix(&fsm->map, slice_str(META_PREFIX_NODE), node_list_add, &l);
    return l;
}

struct status *meta_handle_join(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, struct meta_server *s)
{
    const Sherd__V1__MetaJoinRequest *r = request;
    uint64_t cluster_id = 0;
    struct slice name;
    TRY(meta_serving(f, s));
    if (r->node == NULL || r->node->address == NULL) {
        return status_new(INVALID, "a node that joins must give its address");
    }
    if (!meta_cluster(&s->fsm, &cluster_id, &name)) {
        return status_new(CORRUPT, "the metadata group has no cluster id");
    }
    if (r->cluster_id != 0 && r->cluster_id != cluster_id) {
        return status_hint(status_new(DENIED,
                                      "the node's data belongs to cluster %016" PRIx64
                                      ", this is cluster %016" PRIx64,
                                      r->cluster_id, cluster_id),
                           "Check cluster.join, or start the node with an empty data directory.");
    }
    struct join_op *op = meta_op_create(sizeof(*op), join_evaluate);
    op->request = r;
    TRY(meta_submit(f, s, &op->op));
    Sherd__V1__MetaJoinReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaJoinReply);
    sherd__v1__meta_join_reply__init(reply);
    reply->node_id = op->node_id;
    reply->incarnation = op->incarnation;
    reply->cluster_id = cluster_id;
    mem_free(op);
    struct node_list nodes = node_list_make(&s->fsm, ctx->arena);
    reply->n_nodes = nodes.count;
    reply->nodes = nodes.nodes;
    *out_reply = reply;
    return NULL;
}

/* ---- heartbeats ---- */

void meta_nodes_forget(struct meta_server *s)
{
    for (size_t i = 0; i < s->seen_count; i++) {
        mem_free(s->seen[i].replicas);
    }
    mem_free(s->seen);
    s->seen = NULL;
    s->seen_count = 0;
}

struct meta_node_seen *meta_node_seen(struct meta_server *s, uint64_t node_id)
{
    for (size_t i = 0; i < s->seen_count; i++) {
        if (s->seen[i].node_id == node_id) {
            return &s->seen[i];
        }
    }
    return NULL;
}

uint64_t meta_node_silent_ms(struct meta_server *s, uint64_t node_id)
{
    const struct meta_node_seen *seen = meta_node_seen(s, node_id);
    uint64_t since = seen != NULL ? seen->heard_ns : s->leader_since_ns;
    uint64_t now = loop_now_ns(s->loop);
    return now > since ? (now - since) / 1000000u : 0;
}

bool meta_node_alive(struct meta_server *s, uint64_t node_id)
{
    return meta_node_silent_ms(s, node_id) < s->options.node_dead_ms;
}

bool meta_node_low(struct meta_server *s, uint64_t node_id)
{
    const struct meta_node_seen *seen = meta_node_seen(s, node_id);
    return seen != NULL && seen->is_low && meta_node_alive(s, node_id);
}

struct watermark {
    struct meta_server *server;
    struct arena *arena;
    uint64_t oldest;
    bool is_unknown;
};

static bool watermark_node(void *ctx, struct omap_entry *e)
{
    struct watermark *w = ctx;
    Sherd__V1__NodeDesc *n = NULL;
    if (status_consume(node_unpack(e, w->arena, &n)) ||
        n->state == SHERD__V1__NODE_STATE__NODE_GONE) {
        return true;
    }
    uint64_t id = n->address->node_id;
    if (!meta_node_alive(w->server, id)) {
        return true; /* its transactions are the recoverers' */
    }
    const struct meta_node_seen *seen = meta_node_seen(w->server, id);
    if (seen == NULL) {
        w->is_unknown = true;
        return false;
    }
    if (seen->oldest_snapshot != 0 && seen->oldest_snapshot < w->oldest) {
        w->oldest = seen->oldest_snapshot;
    }
    return true;
}

uint64_t meta_gc_watermark(struct meta_server *s)
{
    /* From timestamps that were handed out, not from the clock: never above what a reader can hold.
     */
    uint64_t ttl = tso_of_wall((int64_t)s->options.gc_ttl_s * 1000);
    if (s->tso.last <= ttl) {
        return s->gc_watermark;
    }
    struct watermark w = {s, arena_create(0), s->tso.last - ttl, false};
    omap_scan_prefix(&s->fsm.map, slice_str(META_PREFIX_NODE), watermark_node, &w);
    arena_destroy(w.arena);
    if (!w.is_unknown && w.oldest > s->gc_watermark) {
        s->gc_watermark = w.oldest;
    }
    return s->gc_watermark;
}

static struct meta_node_seen *seen_get(struct meta_server *s, uint64_t node_id)
{
    struct meta_node_seen *seen = meta_node_seen(s, node_id);
    if (seen == NULL) {
        s->seen = mem_realloc(s->seen, (s->seen_count + 1) * sizeof(*s->seen));
        seen = &s->seen[s->seen_count++];
        memset(seen, 0, sizeof(*seen));
        seen->node_id = node_id;
    }
    return seen;
}

static struct status *heartbeat_check(struct meta_server *s,
                                      const Sherd__V1__MetaHeartbeatRequest *r, struct arena *a)
{
    struct buf key = {0};
    meta_key(&key, META_PREFIX_NODE, r->node_id, 8);
    const struct omap_entry *e = omap_get(&s->fsm.map, buf_slice(&key));
    buf_deinit(&key);
    if (e == NULL) {
        return status_new(NOT_FOUND, "node %" PRIu64 " is not a member of this cluster",
                          r->node_id);
    }
    Sherd__V1__NodeDesc *n = NULL;
    TRY(node_unpack(e, a, &n));
    if (n->state == SHERD__V1__NODE_STATE__NODE_GONE) {
        return status_new(DENIED, "node %" PRIu64 " has been removed from the cluster", r->node_id);
    }
    if (r->incarnation < n->incarnation) {
        return status_new(
            DENIED, "node %" PRIu64 " has been started again elsewhere (incarnation %" PRIu64 ")",
            r->node_id, n->incarnation);
    }
    if (r->n_replicas > META_REPLICAS_PER_NODE_MAX) {
        return status_new(INVALID, "heartbeat names %zu replicas", r->n_replicas);
    }
    return NULL;
}

struct status *meta_handle_heartbeat(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, struct meta_server *s)
{
    const Sherd__V1__MetaHeartbeatRequest *r = request;
    TRY(meta_serving(f, s));
    TRY(heartbeat_check(s, r, ctx->arena));
    struct meta_node_seen *seen = seen_get(s, r->node_id);
    seen->incarnation = r->incarnation;
    seen->heard_ns = loop_now_ns(s->loop);
    seen->oldest_snapshot = r->oldest_snapshot;
    seen->is_low = r->low_on_space;
    if (r->n_replicas != seen->replica_count) {
        mem_free(seen->replicas);
        seen->replicas = mem_alloc(sizeof(*seen->replicas) * (r->n_replicas + 1));
    }
    seen->replica_count = r->n_replicas;
    for (size_t i = 0; i < r->n_replicas; i++) {
        seen->replicas[i] = *r->replicas[i];
        /* The copy owns nothing: unknown fields stay behind with the request. */
        seen->replicas[i].base.n_unknown_fields = 0;
        seen->replicas[i].base.unknown_fields = NULL;
    }
    Sherd__V1__MetaHeartbeatReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaHeartbeatReply);
    sherd__v1__meta_heartbeat_reply__init(reply);
    reply->revision = s->fsm.visible;
    reply->gc_watermark = meta_gc_watermark(s);
    reply->low_nodes = ARENA_ARRAY(ctx->arena, uint64_t, s->seen_count);
    for (size_t i = 0; i < s->seen_count; i++) {
        if (meta_node_low(s, s->seen[i].node_id)) {
            reply->low_nodes[reply->n_low_nodes++] = s->seen[i].node_id;
        }
    }
    *out_reply = reply;
    return NULL;
}

/* ---- Status ---- */

struct shard_list {
    struct arena *arena;
    Sherd__V1__ShardDesc **shards;
    size_t count, cap;
};

static bool shard_list_add(void *ctx, struct omap_entry *e)
{
    struct shard_list *l = ctx;
    void *message;
    if (status_consume(pb_unpack(&sherd__v1__shard_desc__descriptor, l->arena, omap_entry_value(e),
                                 &message))) {
        return true;
    }
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 64 : l->cap * 2;
        l->shards =
            arena_grow(l->arena, l->shards, l->cap * sizeof(*l->shards), cap * sizeof(*l->shards));
        l->cap = cap;
    }
    l->shards[l->count++] = message;
    return true;
}

static Sherd__V1__NodeStatus *node_status(struct meta_server *s, struct arena *a,
                                          Sherd__V1__NodeDesc *n)
{
    Sherd__V1__NodeStatus *out = ARENA_NEW(a, Sherd__V1__NodeStatus);
    sherd__v1__node_status__init(out);
    out->node = n;
    out->low_on_space = meta_node_low(s, n->address->node_id);
    out->alive =
        n->state != SHERD__V1__NODE_STATE__NODE_GONE && meta_node_alive(s, n->address->node_id);
    out->silent_ms = meta_node_silent_ms(s, n->address->node_id);
    const struct meta_node_seen *seen = meta_node_seen(s, n->address->node_id);
    if (seen == NULL) {
        return out;
    }
    out->replicas = ARENA_ARRAY(a, Sherd__V1__ReplicaStatus *, seen->replica_count);
    for (size_t i = 0; i < seen->replica_count; i++) {
        out->replicas[i] = ARENA_NEW(a, Sherd__V1__ReplicaStatus);
        *out->replicas[i] = seen->replicas[i];
    }
    out->n_replicas = seen->replica_count;
    return out;
}

struct status *meta_handle_status(struct fiber *f, struct rpc_context *ctx, const void *request,
                                  void **out_reply, struct meta_server *s)
{
    (void)request;
    TRY(meta_serving(f, s));
    TRY(meta_confirm(f, s));
    TRY(meta_serving(f, s));
    struct arena *a = ctx->arena;
    Sherd__V1__MetaStatusReply *reply = ARENA_NEW(a, Sherd__V1__MetaStatusReply);
    sherd__v1__meta_status_reply__init(reply);
    struct slice name = slice_str("");
    if (meta_cluster(&s->fsm, &reply->cluster_id, &name)) {
        reply->cluster_name = arena_strndup(a, name.data, name.len);
    }
    reply->leader_node = s->options.node_id;
    reply->revision = s->fsm.visible;
    struct node_list nodes = node_list_make(&s->fsm, a);
    reply->nodes = ARENA_ARRAY(a, Sherd__V1__NodeStatus *, nodes.count);
    for (size_t i = 0; i < nodes.count; i++) {
        reply->nodes[i] = node_status(s, a, nodes.nodes[i]);
    }
    reply->n_nodes = nodes.count;
    struct shard_list shards = {.arena = a};
    omap_scan_prefix(&s->fsm.map, slice_str(META_PREFIX_SHARD), shard_list_add, &shards);
    reply->shards = shards.shards;
    reply->n_shards = shards.count;
    *out_reply = reply;
    return NULL;
}
