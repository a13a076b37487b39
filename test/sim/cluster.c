/* See cluster.h. */
#include "cluster.h"

#include "base/check.h"
#include "base/mem.h"
#include "group_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define HEARTBEAT_NS (SECOND / 3)

static void print_end(struct cluster *c, const char *word, const char *fmt, va_list ap)
{
    printf("%s seed %llu at %.3f s: ", word, (unsigned long long)c->seed,
           (double)sim_now_ns(c->sim) / 1e9);
    vprintf(fmt, ap);
    printf("\n");
    fflush(stdout);
}

void cluster_fail(struct cluster *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_end(c, "FAILED", fmt, ap);
    va_end(ap);
    _Exit(EXIT_UNSAFE);
}

void cluster_stuck(struct cluster *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    print_end(c, "STUCK", fmt, ap);
    va_end(ap);
    _Exit(EXIT_STUCK);
}

static void must(struct cluster *c, struct status *st, const char *what)
{
    if (status_is(st, STATUS_CORRUPT)) {
        cluster_fail(c, "%s: %s: %s", what, status_code_name(st->code), st->message);
    }
    if (st != NULL) {
        cluster_stuck(c, "%s: %s: %s", what, status_code_name(st->code), st->message);
    }
}

/* False: the node's disk failed in its boot, and it is down. */
static bool node_must(struct cluster_node *n, struct status *st, const char *what)
{
    if (n->is_disk_failing && st != NULL) {
        status_free(st);
        if (n->is_up) {
            n->cluster->on_failed(n, n->cluster->ctx);
        }
        return false;
    }
    must(n->cluster, st, what);
    return n->is_up;
}

static void node_failed(void *ctx, struct status *st)
{
    struct cluster_node *n = ctx;
    if (!n->is_disk_failing) {
        cluster_fail(n->cluster, "node %d: %s", (int)n->id, st->message);
    }
    status_free(st);
    if (n->is_up) {
        n->cluster->on_failed(n, n->cluster->ctx);
    }
}

void cluster_fail_disk(struct cluster *c, uint64_t node_id, enum cluster_disk which,
                       enum status_code code)
{
    struct cluster_node *n = &c->nodes[node_id];
    n->is_disk_failing = code != STATUS_OK;
    if (which != CLUSTER_DISK_STATE) {
        mem_disk_fail_writes(n->log_disk, code);
    }
    if (which != CLUSTER_DISK_LOG) {
        mem_disk_fail_writes(n->disk, code);
    }
}

/* ---- boot ---- */

struct first_content {
    struct meta_bootstrap boot;
    Sherd__V1__NodeDesc nodes[CLUSTER_NODES_MAX];
    Sherd__V1__NodeAddress addresses[CLUSTER_NODES_MAX];
    Sherd__V1__NodeDesc *pointers[CLUSTER_NODES_MAX];
};

static void describe(struct cluster *c, struct first_content *b)
{
    static char host[] = "sim", text[] = "";
    uint64_t ids[CLUSTER_NODES_MAX];
    memset(b, 0, sizeof(*b));
    for (int i = 0; i < c->node_count; i++) {
        sherd__v1__node_desc__init(&b->nodes[i]);
        sherd__v1__node_address__init(&b->addresses[i]);
        b->addresses[i].node_id = ids[i] = (uint64_t)i + 1;
        b->addresses[i].host = host;
        b->nodes[i].address = &b->addresses[i];
        b->nodes[i].locality = text;
        b->nodes[i].version = text;
        b->nodes[i].data_id = (uint64_t)i + 1;
        b->nodes[i].role_metadata = b->nodes[i].role_shard = b->nodes[i].role_router = true;
        b->pointers[i] = &b->nodes[i];
    }
    b->boot.cluster_name = c->config.cluster_name;
    b->boot.cluster_id = meta_cluster_id(c->config.cluster_name, ids, (size_t)c->node_count);
    b->boot.node_count = (size_t)c->node_count;
    b->boot.nodes = b->pointers;
    b->boot.replication_factor = c->node_count >= 3 ? 3 : 1;
}

/* False: the disk failed. */
static bool boot_storage(struct fiber *f, struct cluster_node *n, struct first_content *first)
{
    struct cluster *c = n->cluster;
    struct status *st = meta_server_bootstrap(f, n->host, n->state, n->id, &first->boot);
    if (status_is(st, STATUS_ALREADY_EXISTS)) {
        status_free(st);
    } else if (!node_must(n, st, "bootstrap of the metadata group")) {
        return false;
    }
    struct arena *a = arena_create(0);
    Sherd__V1__ShardDesc *shard;
    must(c, meta_bootstrap_shard(&first->boot, a, &shard), "the first shard");
    bool ok = true;
    for (size_t i = 0; i < shard->n_replicas && n->boots == 1 && ok; i++) {
        if (shard->replicas[i]->node_id == n->id) {
            st = shard_bootstrap(f, n->host, n->state, n->id, shard);
            if (status_is(st, STATUS_ALREADY_EXISTS)) {
                status_free(st);
            } else {
                ok = node_must(n, st, "bootstrap of the first shard");
            }
        }
    }
    arena_destroy(a);
    return ok;
}

/* As server/node.c does it: replicas for the scheduler, the smallest snapshot for the watermark. */
static void heartbeats(struct fiber *f, struct cluster_node *n)
{
    for (;;) {
        struct arena *a = arena_create(0);
        Sherd__V1__MetaHeartbeatRequest q = SHERD__V1__META_HEARTBEAT_REQUEST__INIT;
        Sherd__V1__MetaHeartbeatReply *r = NULL;
        q.node_id = n->id;
        q.incarnation = n->incarnation;
        q.n_replicas = shard_server_report(n->shards, a, &q.replicas);
        q.oldest_snapshot = router_oldest_snapshot(n->router);
        fiber_set_deadline(f, loop_clock_ns(n->loop) + SECOND);
        status_consume(meta_call(f, n->meta, RPC_META_HEARTBEAT, &q, a, (void **)&r));
        fiber_set_deadline(f, 0);
        arena_destroy(a);
        if (status_consume(fiber_sleep(f, HEARTBEAT_NS))) {
            return;
        }
    }
}

static void boot_fiber(struct fiber *f, void *arg)
{
    struct cluster_node *n = arg;
    struct cluster *c = n->cluster;
    struct first_content first;
    uint64_t seeds[CLUSTER_NODES_MAX];
    describe(c, &first);
    if (!boot_storage(f, n, &first)) {
        return;
    }
    for (int i = 0; i < c->node_count; i++) {
        seeds[i] = (uint64_t)i + 1;
    }
    struct meta_server_options mo = {.rpc = n->rpc,
                                     .host = n->host,
                                     .state = n->state,
                                     .node_id = n->id,
                                     .gc_ttl_s = c->gc_ttl_s,
                                     .shard_max_mb = 1024,
                                     .scheduler = true,
                                     .scheduler_ms = 200};
    if (!node_must(n, meta_server_start(f, &mo, &n->meta_server), "metadata group")) {
        return;
    }
    n->meta = meta_client_create(n->rpc, seeds, (size_t)c->node_count);
    struct shard_server_options so = {.rpc = n->rpc,
                                      .host = n->host,
                                      .state = n->state,
                                      .meta = n->meta,
                                      .node_id = n->id,
                                      .gc_ttl_s = c->gc_ttl_s};
    if (!node_must(n, shard_server_start(f, &so, &n->shards), "shards") ||
        !node_must(n, meta_wait_ready(f, n->meta), "metadata client")) {
        return;
    }
    struct arena *a = arena_create(0);
    Sherd__V1__MetaJoinRequest q = SHERD__V1__META_JOIN_REQUEST__INIT;
    q.node = first.pointers[n->id - 1];
    q.cluster_id = first.boot.cluster_id;
    Sherd__V1__MetaJoinReply *r;
    if (!node_must(n, meta_call(f, n->meta, RPC_META_JOIN, &q, a, (void **)&r), "join")) {
        arena_destroy(a);
        return;
    }
    struct router_options ro = {.rpc = n->rpc,
                                .meta = n->meta,
                                .node_id = n->id,
                                .incarnation = r->incarnation,
                                .config = &c->config};
    n->incarnation = r->incarnation;
    arena_destroy(a);
    must(c, router_create(f, &ro, &n->router), "router");
    n->is_booted = true;
    if (c->on_booted != NULL) {
        c->on_booted(n, c->ctx);
    }
    heartbeats(f, n);
}

static void stopped(void *ctx)
{
    struct cluster_node *n = ctx;
    if (n->is_stopping) {
        n->is_stopping = false;
        mem_disk_crash(n->disk, 100);
        mem_disk_crash(n->log_disk, 100);
        cluster_fail_disk(n->cluster, n->id, CLUSTER_DISK_BOTH, STATUS_OK);
    }
}

void cluster_boot(struct cluster *c, uint64_t node_id)
{
    struct cluster_node *n = &c->nodes[node_id];
    struct mem_disk *disk = n->disk, *log_disk = n->log_disk;
    int boots = n->boots;
    ASSERT(!n->is_up);
    stopped(n);
    memset(n, 0, sizeof(*n));
    n->cluster = c;
    n->id = node_id;
    n->disk = disk;
    n->log_disk = log_disk;
    n->boots = boots + 1;
    n->is_up = true;
    char name[16];
    snprintf(name, sizeof(name), "n%d", (int)node_id);
    n->loop = sim_loop_create(c->sim, name);
    sim_net_attach(c->net, node_id, n->loop);
    must(c, store_mem_open(log_disk, "log", &n->log), "log store");
    must(c, store_mem_open(disk, "state", &n->state), "state store");
    struct group_host_options o = {.loop = n->loop,
                                   .node_id = node_id,
                                   .log = n->log,
                                   .state = n->state,
                                   .link = sim_net_link(c->net, node_id)};
    must(c, group_host_create(&o, &n->host), "groups");
    n->host->on_fatal = node_failed;
    n->host->on_fatal_ctx = n;
    n->link = sim_rpc_link_create(c->net, n->loop, node_id);
    n->rpc = rpc_node_create(n->loop, node_id, n->link);
    fiber_spawn(n->loop, FIBER_STACK_SMALL, boot_fiber, n);
}

void cluster_crash(struct cluster *c, uint64_t node_id, int keep_percent)
{
    struct cluster_node *n = &c->nodes[node_id];
    ASSERT(n->is_up);
    n->is_up = n->is_booted = n->is_paused = false;
    sim_net_detach(c->net, node_id);
    sim_loop_crash(n->loop);
    mem_disk_crash(n->disk, keep_percent);
    mem_disk_crash(n->log_disk, keep_percent);
    cluster_fail_disk(c, node_id, CLUSTER_DISK_BOTH, STATUS_OK);
}

void cluster_stop(struct cluster *c, uint64_t node_id)
{
    struct cluster_node *n = &c->nodes[node_id];
    ASSERT(n->is_up);
    n->is_up = n->is_booted = n->is_paused = false;
    n->is_stopping = true;
    sim_net_detach(c->net, node_id);
    sim_loop_crash(n->loop);
    /* The node's code is on the stack: its stores close behind it. */
    sim_at(c->sim, sim_now_ns(c->sim), stopped, n);
}

void cluster_init(struct cluster *c, uint64_t seed, int nodes)
{
    static char name[] = "sim";
    ASSERT(nodes <= CLUSTER_NODES_MAX);
    c->seed = seed;
    c->node_count = nodes;
    c->gc_ttl_s = 600;
    c->sim = sim_create(seed);
    c->net = sim_net_create(c->sim);
    c->config.cluster_name = name;
    c->config.sql_connections_max = 100;
    c->config.statement_mb = 16;
    c->config.workspace_mb = 64;
    for (int i = 1; i <= nodes; i++) {
        c->nodes[i].disk = mem_disk_create(seed * 16 + (uint64_t)i);
        c->nodes[i].log_disk = mem_disk_create(seed * 16 + (uint64_t)i + 8);
    }
}

static bool all_booted(void *ctx)
{
    struct cluster *c = ctx;
    for (int i = 1; i <= c->node_count; i++) {
        if (!c->nodes[i].is_booted) {
            return false;
        }
    }
    return true;
}

bool cluster_wait_booted(struct cluster *c, uint64_t limit_ns)
{
    return sim_run(c->sim, sim_now_ns(c->sim) + limit_ns, all_booted, c);
}

struct body {
    struct cluster_node *node;
    void (*fn)(struct fiber *f, struct cluster_node *n, void *arg);
    void *arg;
};

static void body_fiber(struct fiber *f, void *arg)
{
    struct body b = *(struct body *)arg;
    mem_free(arg);
    b.fn(f, b.node, b.arg);
}

void cluster_spawn(struct cluster_node *n,
                   void (*fn)(struct fiber *f, struct cluster_node *n, void *arg), void *arg)
{
    struct body *b = MEM_NEW(struct body);
    *b = (struct body){n, fn, arg};
    fiber_spawn(n->loop, FIBER_STACK_LARGE, body_fiber, b);
}

/* ---- splits, drains: through the key space, as the router and the tools do ---- */

static struct status *put_one(struct fiber *f, struct cluster_node *n, struct slice key,
                              struct slice value, uint64_t mod_revision)
{
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    Sherd__V1__MetaPut *puts[1] = {&put};
    Sherd__V1__MetaCompare compare = SHERD__V1__META_COMPARE__INIT;
    Sherd__V1__MetaCompare *compares[1] = {&compare};
    Sherd__V1__MetaTxnRequest q = SHERD__V1__META_TXN_REQUEST__INIT;
    compare.key.data = put.key.data = (uint8_t *)(uintptr_t)key.data;
    compare.key.len = put.key.len = key.len;
    compare.mod_revision = mod_revision;
    put.value.data = (uint8_t *)(uintptr_t)value.data;
    put.value.len = value.len;
    q.n_puts = q.n_compares = 1;
    q.puts = puts;
    q.compares = compares;
    bool ok;
    uint64_t revision;
    return meta_txn(f, n->meta, &q, &ok, &revision);
}

static struct status *submit_split(struct fiber *f, struct cluster_node *n, struct slice split_key)
{
    Sherd__V1__JobDesc j = SHERD__V1__JOB_DESC__INIT;
    TRY(meta_allocate(f, n->meta, META_ID_OBJECT, 1, &j.id));
    const struct shard_info *s = shard_map_find(n->meta, split_key);
    if (s == NULL || slice_eq(s->start, split_key)) {
        return NULL;
    }
    j.kind = SHERD__V1__JOB_KIND__JOB_SPLIT;
    j.shard_id = s->shard_id;
    j.split_key.data = (uint8_t *)(uintptr_t)split_key.data;
    j.split_key.len = split_key.len;
    uint8_t bytes[256];
    struct buf key = {0};
    meta_key(&key, "job/", j.id, 8);
    struct slice value = slice_make(bytes, sherd__v1__job_desc__pack(&j, bytes));
    struct status *st = put_one(f, n, buf_slice(&key), value, 0);
    buf_deinit(&key);
    return st;
}

struct split_job {
    const struct slice *keys;
    int count;
    bool is_done;
};

static bool is_cut(struct cluster_node *n, struct slice key)
{
    const struct shard_info *s = shard_map_find(n->meta, key);
    return s != NULL && slice_eq(s->start, key);
}

static void split_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct split_job *job = arg;
    for (int i = 0; i < job->count; i++) {
        must(n->cluster, submit_split(f, n, job->keys[i]), "split job");
        while (!is_cut(n, job->keys[i])) {
            must(n->cluster, fiber_sleep(f, 20000000), "sleep");
        }
    }
    job->is_done = true;
}

static bool split_done(void *ctx)
{
    return ((struct split_job *)ctx)->is_done;
}

bool cluster_split(struct cluster *c, const struct slice *keys, int count, uint64_t limit_ns)
{
    struct split_job job = {keys, count, false};
    cluster_spawn(&c->nodes[1], split_fiber, &job);
    return sim_run(c->sim, sim_now_ns(c->sim) + limit_ns, split_done, &job);
}

struct change {
    uint64_t node_id;
    bool draining;
    size_t len;
    uint8_t key[64];
};

static void split_later_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct change x = *(struct change *)arg;
    mem_free(arg);
    status_free(submit_split(f, n, slice_make(x.key, x.len)));
}

void cluster_split_later(struct cluster_node *n, struct slice key)
{
    struct change *x = MEM_NEW(struct change);
    ASSERT(key.len <= sizeof(x->key));
    memcpy(x->key, key.data, key.len);
    x->len = key.len;
    cluster_spawn(n, split_later_fiber, x);
}

static void drain_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct change x = *(struct change *)arg;
    mem_free(arg);
    struct buf key = {0};
    struct slice value;
    uint64_t revision;
    meta_key(&key, "node/", x.node_id, 8);
    if (meta_get(n->meta, buf_slice(&key), &value, &revision)) {
        Sherd__V1__NodeDesc *d = sherd__v1__node_desc__unpack(NULL, value.len, value.data);
        d->state =
            x.draining ? SHERD__V1__NODE_STATE__NODE_DRAINING : SHERD__V1__NODE_STATE__NODE_LIVE;
        uint8_t bytes[512];
        ASSERT(sherd__v1__node_desc__get_packed_size(d) <= sizeof(bytes));
        struct slice packed = slice_make(bytes, sherd__v1__node_desc__pack(d, bytes));
        sherd__v1__node_desc__free_unpacked(d, NULL);
        status_free(put_one(f, n, buf_slice(&key), packed, revision));
    }
    buf_deinit(&key);
}

void cluster_drain_later(struct cluster_node *n, uint64_t node_id, bool draining)
{
    struct change *x = MEM_NEW(struct change);
    x->node_id = node_id;
    x->draining = draining;
    cluster_spawn(n, drain_fiber, x);
}
