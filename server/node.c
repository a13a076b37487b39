/*
 * Start: stores, gRPC front, cluster formation, links, Raft groups, metadata, shards, router, front
 * ends. Stop is the reverse. Roles only decide which of the parts are made.
 */
#include "node.h"
#include "formation.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define HEARTBEAT_MS 1000
#define DOUBT_AFTER_MS 2000 /* a start that takes longer asks who the others are */

/* ---- addresses ---- */

static bool resolve(struct node *n, uint64_t node_id, char *host, size_t size, uint16_t *grpc,
                    uint16_t *raft)
{
    Sherd__V1__NodeAddress a;
    if (n->meta != NULL && node_address(n->meta, node_id, &a) && a.host != NULL &&
        a.host[0] != '\0') {
        snprintf(host, size, "%s", a.host);
        *grpc = (uint16_t)a.grpc_port;
        *raft = (uint16_t)a.raft_port;
        return true;
    }
    for (int i = 0; i < n->config->peer_count; i++) {
        const struct config_peer *p = &n->config->peers[i];
        if (p->node_id == node_id) {
            snprintf(host, size, "%s", p->host);
            *grpc = p->grpc_port;
            *raft = p->raft_port;
            return true;
        }
    }
    for (int i = 0; i < n->identity.peer_count; i++) {
        const struct identity_peer *p = &n->identity.peers[i];
        if (p->node_id == node_id) {
            snprintf(host, size, "%s", p->host);
            *grpc = p->grpc_port;
            *raft = p->raft_port;
            return true;
        }
    }
    return false;
}

static bool resolve_grpc(void *ctx, uint64_t node_id, char *host, size_t size, uint16_t *port)
{
    uint16_t raft;
    return resolve(ctx, node_id, host, size, port, &raft);
}

static bool resolve_raft(void *ctx, uint64_t node_id, char *host, size_t size, uint16_t *port)
{
    uint16_t grpc;
    return resolve(ctx, node_id, host, size, &grpc, port);
}

/* ---- description of this node ---- */

static Sherd__V1__NodeDesc *describe(struct arena *a, const struct config *c, uint64_t node_id,
                                     const char *host, uint16_t grpc_port, uint16_t raft_port)
{
    Sherd__V1__NodeDesc *d = ARENA_NEW(a, Sherd__V1__NodeDesc);
    sherd__v1__node_desc__init(d);
    d->address = ARENA_NEW(a, Sherd__V1__NodeAddress);
    sherd__v1__node_address__init(d->address);
    d->address->node_id = node_id;
    d->address->host = arena_strdup(a, host);
    d->address->grpc_port = grpc_port;
    d->address->raft_port = raft_port;
    d->role_metadata = d->role_shard = d->role_router = true;
    if (node_id == c->node_id || c->peer_count == 0) {
        d->address->sql_port = c->sql_port;
        d->address->http_port = c->http_port;
        d->locality = c->locality;
        d->role_metadata = c->role_metadata;
        d->role_shard = c->role_shard;
        d->role_router = c->role_router;
    }
    d->version = arena_strdup(a, "0.1.0");
    return d;
}

/* The first content of a new cluster: the same on every node, made from the list they all share. */
static struct status *bootstrap(struct fiber *f, struct node *n)
{
    const struct config *c = n->config;
    struct arena *a = arena_create(0);
    struct meta_bootstrap b = {.cluster_name = c->cluster_name,
                               .cluster_id = n->identity.cluster_id};
    int count = c->peer_count > 0 ? c->peer_count : 1;
    b.nodes = ARENA_ARRAY(a, Sherd__V1__NodeDesc *, count);
    for (int i = 0; i < c->peer_count; i++) {
        const struct config_peer *p = &c->peers[i];
        /* Roles of the others are not known here: the initial nodes have all of them, and each
         * tells its own when it registers. */
        b.nodes[i] = describe(a, c, p->node_id, p->host, p->grpc_port, p->raft_port);
        b.nodes[i]->role_metadata = b.nodes[i]->role_shard = b.nodes[i]->role_router = true;
        b.nodes[i]->address->sql_port = b.nodes[i]->address->http_port = 0;
        b.nodes[i]->locality = arena_strdup(a, "");
    }
    if (c->peer_count == 0) {
        b.nodes[0] = describe(a, c, c->node_id, c->host, c->grpc_port, c->raft_port);
    }
    b.node_count = (size_t)count;
    b.replication_factor = count < 3 ? 1 : 3;
    struct status *st = meta_server_bootstrap(f, n->host, n->state, n->identity.node_id, &b);
    if (status_is(st, STATUS_ALREADY_EXISTS)) { /* a crash in the middle of a first start */
        status_free(st);
        st = NULL;
    }
    Sherd__V1__ShardDesc *shard = NULL;
    if (st == NULL) {
        st = meta_bootstrap_shard(&b, a, &shard);
    }
    for (size_t i = 0; st == NULL && i < shard->n_replicas; i++) {
        if (shard->replicas[i]->node_id != n->identity.node_id) {
            continue;
        }
        st = shard_bootstrap(f, n->host, n->state, n->identity.node_id, shard);
        if (status_is(st, STATUS_ALREADY_EXISTS)) {
            status_free(st);
            st = NULL;
        }
    }
    arena_destroy(a);
    TRY(st);
    n->identity.is_member = true;
    return identity_save(c->data_dir, &n->identity);
}

/* Tells the metadata group that this node has started: address, roles; gets the incarnation. */
static struct status *enroll(struct fiber *f, struct node *n)
{
    const struct config *c = n->config;
    struct arena *a = arena_create(0);
    Sherd__V1__MetaJoinRequest q = SHERD__V1__META_JOIN_REQUEST__INIT;
    q.node = describe(a, c, n->identity.node_id, c->host, c->grpc_port, c->raft_port);
    q.node->address->sql_port = c->sql_port;
    q.node->address->http_port = c->http_port;
    q.node->locality = c->locality;
    q.node->data_id = n->identity.nonce;
    q.node->role_metadata = c->role_metadata;
    q.node->role_shard = c->role_shard;
    q.node->role_router = c->role_router;
    q.cluster_id = n->identity.cluster_id;
    Sherd__V1__MetaJoinReply *r = NULL;
    struct status *st = meta_call(f, n->meta, RPC_META_JOIN, &q, a, (void **)&r);
    if (st == NULL) {
        n->incarnation = r->incarnation;
    }
    arena_destroy(a);
    return st;
}

/* ---- heartbeat ---- */

/* Below the reserve, and then until there is a quarter more than it. */
static void watch_space(struct node *n)
{
    uint64_t reserve = (uint64_t)n->config->reserve_mb << 20;
    uint64_t free_log = store_free_bytes(n->log), free_state = store_free_bytes(n->state);
    uint64_t left = free_log < free_state ? free_log : free_state;
    bool is_low = left < (n->is_low ? reserve + reserve / 4 : reserve);
    if (is_low != n->is_low) {
        if (is_low) {
            LOGW("server",
                 "low on space: %llu MB are free where \"%s\" is, storage.reserve_mb is %u: this "
                 "node gives its leaderships away",
                 (unsigned long long)(left >> 20), n->config->data_dir, n->config->reserve_mb);
        } else {
            LOGI("server", "enough space again: %llu MB", (unsigned long long)(left >> 20));
        }
    }
    n->is_low = is_low;
    metric_set(n->m_free, left > INT64_MAX ? INT64_MAX : (int64_t)left);
    metric_set(n->m_low, is_low);
}

/* What the metadata leader knows of others, and what this node knows of itself. */
static void take_low_nodes(struct node *n, const uint64_t *nodes, size_t count)
{
    uint64_t low[SHARD_LOW_NODES_MAX];
    size_t low_count = 0;
    if (n->is_low) {
        low[low_count++] = n->identity.node_id;
    }
    for (size_t i = 0; i < count && low_count < SHARD_LOW_NODES_MAX; i++) {
        if (nodes[i] != n->identity.node_id) {
            low[low_count++] = nodes[i];
        }
    }
    if (n->shards != NULL) {
        shard_server_low_nodes(n->shards, low, low_count);
    }
}

static void heartbeat_fiber(struct fiber *f, void *arg)
{
    struct node *n = arg;
    while (!n->is_stopping) {
        watch_space(n);
        struct arena *a = arena_create(0);
        Sherd__V1__MetaHeartbeatRequest q = SHERD__V1__META_HEARTBEAT_REQUEST__INIT;
        q.node_id = n->identity.node_id;
        q.incarnation = n->incarnation;
        q.low_on_space = n->is_low;
        if (n->shards != NULL) {
            q.n_replicas = shard_server_report(n->shards, a, &q.replicas);
        }
        if (n->router != NULL) {
            q.oldest_snapshot = router_oldest_snapshot(n->router);
        }
        Sherd__V1__MetaHeartbeatReply *r = NULL;
        fiber_set_deadline(f, loop_clock_ns(n->loop) + ms_to_ns(HEARTBEAT_MS * 3));
        struct status *st = meta_call(f, n->meta, RPC_META_HEARTBEAT, &q, a, (void **)&r);
        fiber_set_deadline(f, 0);
        if (st != NULL) {
            LOGD("server", "heartbeat: %s", st->message);
            status_free(st);
        } else {
            take_low_nodes(n, r->low_nodes, r->n_low_nodes);
        }
        arena_destroy(a);
        if (status_consume(fiber_sleep(f, ms_to_ns(HEARTBEAT_MS)))) {
            break;
        }
    }
    gate_open(&n->heartbeat_gone);
}

/* ---- start ---- */

/* Says which key of the config an error is about. */
static struct status *named(const char *key, struct status *st)
{
    return st == NULL ? NULL : status_wrap(st, "%s", key);
}

static struct status *open_stores(struct node *n)
{
    const struct config *c = n->config;
    char *log_path = mem_printf("%s/raft", c->data_dir);
    char *state_path = mem_printf("%s/state", c->data_dir);
    struct store_options log_options = {
        .write_buffer_bytes = (size_t)16 << 20,
        .cache_bytes = (size_t)1 << 20,
        .paranoid = true,
        .must_exist = n->identity.is_member}; /* a member without its votes must not vote */
    struct store_options state_options = {.write_buffer_bytes = (size_t)c->write_buffer_mb << 20,
                                          .cache_bytes = (size_t)c->cache_mb << 20,
                                          .paranoid = true,
                                          .bloom = true,
                                          .must_exist = n->identity.is_member};
    struct status *st = store_leveldb_open(log_path, &log_options, &n->log);
    if (st == NULL) {
        st = store_leveldb_open(state_path, &state_options, &n->state);
    }
    mem_free(log_path);
    mem_free(state_path);
    return st;
}

static struct status *start_groups(struct fiber *f, struct node *n)
{
    const struct config *c = n->config;
    TRY(named("ports.raft",
              peer_link_tcp_create(n->loop, n->identity.node_id, n->identity.cluster_id, c->listen,
                                   c->raft_port, resolve_raft, n, &n->peers)));
    struct group_host_options o = {.loop = n->loop,
                                   .node_id = n->identity.node_id,
                                   .log = n->log,
                                   .state = n->state,
                                   .link = n->peers,
                                   .heartbeat_ms = c->heartbeat_ms,
                                   .election_ms = c->election_ms};
    TRY(group_host_create(&o, &n->host));
    if (!n->identity.is_member) {
        TRY(bootstrap(f, n));
    }
    return NULL;
}

static bool has_metadata_replica(struct node *n)
{
    uint64_t ids[1];
    return group_host_list(n->host, ids, 1) > 0 && ids[0] == META_GROUP_ID;
}

static struct status *start_metadata(struct fiber *f, struct node *n)
{
    const struct config *c = n->config;
    if (has_metadata_replica(n)) {
        struct meta_server_options o = {.rpc = n->rpc,
                                        .host = n->host,
                                        .state = n->state,
                                        .node_id = n->identity.node_id,
                                        .gc_ttl_s = c->gc_ttl_s,
                                        .node_replace_ms = c->replace_after_s * UINT64_C(1000),
                                        .shard_max_mb = c->shard_max_mb,
                                        .scheduler = true};
        TRY(meta_server_start(f, &o, &n->meta_server));
    }
    uint64_t seeds[2 * CONFIG_PEERS_MAX + 1];
    size_t count = 0;
    for (int i = 0; i < c->peer_count; i++) {
        seeds[count++] = c->peers[i].node_id;
    }
    for (int i = 0; i < n->identity.peer_count; i++) {
        seeds[count++] = n->identity.peers[i].node_id;
    }
    if (count == 0) {
        seeds[count++] = n->identity.node_id;
    }
    n->meta = meta_client_create(n->rpc, seeds, count);
    return NULL;
}

/*
 * A data directory of another cluster with the same name and addresses is refused by its peers, and
 * would wait for its own for ever. While the start waits, this asks the peers who they are.
 */
static void doubt_fiber(struct fiber *f, void *arg)
{
    struct node *n = arg;
    while (n->refusal == NULL && !status_consume(fiber_sleep(f, ms_to_ns(DOUBT_AFTER_MS)))) {
        n->refusal = formation_strangers(f, n->loop, n->config, &n->identity);
    }
    if (n->refusal != NULL) {
        fiber_cancel(n->starter);
    }
    gate_open(&n->doubt_gone);
}

/* The cluster knows this node, from here on. */
static struct status *enter(struct fiber *f, struct node *n)
{
    n->starter = f;
    gate_init(&n->doubt_gone);
    struct fiber *doubt = fiber_spawn(n->loop, FIBER_STACK_LARGE, doubt_fiber, n);
    struct status *st = meta_wait_ready(f, n->meta);
    if (st == NULL) {
        st = enroll(f, n);
    }
    fiber_mask(f);
    fiber_cancel(doubt);
    (void)status_consume(gate_wait(f, &n->doubt_gone));
    fiber_unmask(f);
    if (n->refusal != NULL) {
        status_free(st);
        st = n->refusal;
        n->refusal = NULL;
    }
    return st;
}

struct status *node_start(struct fiber *f, struct node *n)
{
    struct config *c = n->config;
    gate_init(&n->heartbeat_gone);
    TRY(identity_load(c->data_dir, loop_random(n->loop), &n->identity));
    TRY(open_stores(n));
    if (c->http_port != 0) {
        TRY(named("ports.http", http_create(c->listen, c->http_port, &n->http)));
    }
    TRY(named("ports.grpc", grpc_front_create(n->loop, c->listen, c->grpc_port, &n->front)));
    formation_serve(n->front, &n->identity, c);
    node_admin_register(n);
    grpc_sql_register(n->front, n->loop, &n->router);
    n->link = grpc_link_create(n->loop, n->front, 0, 0, resolve_grpc, n);
    grpc_front_start(n->front);
    if (c->join == NULL || n->identity.is_member) {
        TRY(formation_form(f, n->loop, c, &n->identity));
    }
    if (c->join != NULL) {
        TRY(formation_join(f, n->loop, c, &n->identity));
    }
    grpc_link_identity(n->link, n->identity.node_id, n->identity.cluster_id);
    n->rpc = rpc_node_create(n->loop, n->identity.node_id, n->link);
    TRY(start_groups(f, n));
    TRY(start_metadata(f, n));
    if (c->role_shard) {
        struct shard_server_options o = {.rpc = n->rpc,
                                         .host = n->host,
                                         .state = n->state,
                                         .meta = n->meta,
                                         .node_id = n->identity.node_id,
                                         .gc_ttl_s = c->gc_ttl_s,
                                         .workspace_max_bytes = (size_t)c->workspace_mb << 20,
                                         .locks_max = c->transaction_locks};
        TRY(shard_server_start(f, &o, &n->shards));
    }
    TRY(enter(f, n));
    n->m_free = metric_gauge("sherd_disk_free_bytes", NULL, "Free space where the data is");
    n->m_low = metric_gauge("sherd_low_on_space", NULL, "1: less free than storage.reserve_mb");
    n->heartbeat = fiber_spawn(n->loop, FIBER_STACK_SMALL, heartbeat_fiber, n);
    if (c->role_router) {
        struct router_options o = {.rpc = n->rpc,
                                   .meta = n->meta,
                                   .node_id = n->identity.node_id,
                                   .incarnation = n->incarnation,
                                   .config = c};
        TRY(router_create(f, &o, &n->router));
        TRY(named("ports.sql", pgwire_create(n->router, c->listen, c->sql_port, &n->pgwire)));
    }
    if (n->http != NULL) {
        http_set_ready(n->http, true);
    }
    LOGI("server", "node %llu of cluster \"%s\" is up: sql %u, grpc %u, raft %u",
         (unsigned long long)n->identity.node_id, c->cluster_name, c->sql_port, c->grpc_port,
         c->raft_port);
    return NULL;
}

void node_stop(struct fiber *f, struct node *n)
{
    n->is_stopping = true;
    if (n->http != NULL) {
        http_set_ready(n->http, false);
    }
    pgwire_destroy(f, n->pgwire);
    n->pgwire = NULL;
    grpc_sql_shutdown(f);
    struct router *r = n->router;
    n->router = NULL;
    router_destroy(f, r);
    if (n->heartbeat != NULL) {
        fiber_cancel(n->heartbeat);
        status_consume(gate_wait(f, &n->heartbeat_gone));
    }
    if (n->shards != NULL) {
        shard_server_drain(f, n->shards);
        shard_server_stop(f, n->shards);
    }
    meta_client_destroy(f, n->meta);
    n->meta = NULL;
    if (n->meta_server != NULL) {
        meta_server_stop(f, n->meta_server);
    }
    if (n->host != NULL) {
        group_host_destroy(n->host);
    }
    if (n->peers != NULL) {
        peer_link_tcp_destroy(n->peers);
    }
    if (n->front != NULL) {
        grpc_front_destroy(f, n->front);
    }
    if (n->link != NULL) {
        grpc_link_destroy(f, n->link);
    }
    if (n->rpc != NULL) {
        rpc_node_destroy(n->rpc);
    }
    store_close(n->log);
    store_close(n->state);
    http_destroy(n->http);
    status_free(n->refusal);
}
