/* See meta_world.h. */
#include "meta_world.h"

#include "base/check.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void world_ok(struct status *st, const char *file, int line)
{
    if (st != NULL) {
        fprintf(stderr, "%s:%d: %s: %s\n", file, line, status_code_name(st->code), st->message);
        abort();
    }
}

struct boot_desc {
    struct meta_bootstrap boot;
    Sherd__V1__NodeDesc nodes[WORLD_NODES_MAX];
    Sherd__V1__NodeAddress addresses[WORLD_NODES_MAX];
    Sherd__V1__NodeDesc *pointers[WORLD_NODES_MAX];
};

static void boot_desc_make(struct meta_world *w, struct boot_desc *b)
{
    static char host[] = "127.0.0.1";
    static char text[] = "";
    uint64_t ids[WORLD_NODES_MAX];
    memset(b, 0, sizeof(*b));
    for (size_t i = 0; i < w->node_count; i++) {
        sherd__v1__node_desc__init(&b->nodes[i]);
        sherd__v1__node_address__init(&b->addresses[i]);
        b->addresses[i].node_id = ids[i] = i + 1;
        b->addresses[i].host = host;
        b->nodes[i].address = &b->addresses[i];
        b->nodes[i].locality = text;
        b->nodes[i].version = text;
        b->nodes[i].role_metadata = i < w->voter_count;
        b->nodes[i].role_shard = true;
        b->nodes[i].role_router = true;
        b->pointers[i] = &b->nodes[i];
    }
    b->boot.cluster_name = "test";
    b->boot.cluster_id = meta_cluster_id("test", ids, w->node_count);
    b->boot.node_count = w->node_count;
    b->boot.nodes = b->pointers;
    b->boot.replication_factor = w->node_count >= 3 ? 3 : 1;
}

static void boot_run(struct fiber *f, void *arg)
{
    struct world_node *n = arg;
    struct meta_world *w = n->world;
    struct boot_desc desc;
    uint64_t seeds[WORLD_NODES_MAX];
    boot_desc_make(w, &desc);
    for (size_t i = 0; i < w->voter_count; i++) {
        seeds[i] = i + 1;
    }
    if (n->has_metadata) {
        struct status *st = meta_server_bootstrap(f, n->host, n->state, n->id, &desc.boot);
        if (status_is(st, STATUS_ALREADY_EXISTS)) {
            status_free(st);
        } else {
            OK(st);
        }
    }
    if (w->on_boot != NULL) {
        w->on_boot(n);
    }
    if (n->has_metadata) {
        struct meta_server_options o = {
            .rpc = n->rpc,
            .host = n->host,
            .state = n->state,
            .node_id = n->id,
            .gc_ttl_s = 600,
            .shard_max_mb = w->shard_max_mb,
            .scheduler = w->scheduler,
            .scheduler_ms = 200,
            .node_dead_ms = 2000,
            .node_replace_ms = 3000,
        };
        OK(meta_server_start(f, &o, &n->server));
    }
    n->client = meta_client_create(n->rpc, seeds, w->voter_count);
    n->catalog = catalog_cache_create(n->client);
    n->is_booted = true;
}

static bool is_booted(void *ctx)
{
    return ((struct world_node *)ctx)->is_booted;
}

static bool is_idle(void *ctx)
{
    return ((struct meta_world *)ctx)->running == 0;
}

void world_run(struct meta_world *w, uint64_t limit_ns)
{
    bool done = sim_run(w->sim, sim_now_ns(w->sim) + limit_ns, is_idle, w);
    ASSERT_MSG(done, "the simulated time ran out");
}

void world_advance(struct meta_world *w, uint64_t ns)
{
    sim_run(w->sim, sim_now_ns(w->sim) + ns, NULL, NULL);
}

void world_boot(struct meta_world *w, uint64_t node_id)
{
    struct world_node *n = &w->nodes[node_id];
    struct mem_disk *disk = n->disk;
    bool has_metadata = n->has_metadata;
    memset(n, 0, sizeof(*n));
    n->world = w;
    n->id = node_id;
    n->disk = disk;
    n->has_metadata = has_metadata;
    n->is_up = true;
    n->loop = sim_loop_create(w->sim, "node");
    sim_net_attach(w->net, node_id, n->loop);
    OK(store_mem_open(disk, "log", &n->log));
    OK(store_mem_open(disk, "state", &n->state));
    struct group_host_options o = {
        .loop = n->loop,
        .node_id = node_id,
        .log = n->log,
        .state = n->state,
        .link = sim_net_link(w->net, node_id),
        .checkpoint_log_bytes = w->small_logs ? 8192 : 0,
        .trailing_entries = w->small_logs ? 8 : 0,
    };
    OK(group_host_create(&o, &n->host));
    n->link = sim_rpc_link_create(w->net, n->loop, node_id);
    n->rpc = rpc_node_create(n->loop, node_id, n->link);
    fiber_spawn(n->loop, FIBER_STACK_SMALL, boot_run, n);
    bool done = sim_run(w->sim, sim_now_ns(w->sim) + 10 * SECOND, is_booted, n);
    ASSERT_MSG(done, "node %d did not start", (int)node_id);
}

void world_init(struct meta_world *w, uint64_t seed, size_t nodes, size_t voters)
{
    memset(w, 0, sizeof(*w));
    w->sim = sim_create(seed);
    w->net = sim_net_create(w->sim);
    w->node_count = nodes;
    w->voter_count = voters;
    for (size_t i = 1; i <= nodes; i++) {
        w->nodes[i].disk = mem_disk_create(seed * 16 + i);
        w->nodes[i].has_metadata = i <= voters;
    }
}

void world_kill(struct meta_world *w, uint64_t node_id, int keep_percent)
{
    struct world_node *n = &w->nodes[node_id];
    ASSERT(n->is_up);
    n->is_up = false;
    sim_net_detach(w->net, node_id);
    sim_loop_crash(n->loop);
    mem_disk_crash(n->disk, keep_percent);
}

struct body {
    struct world_node *node;
    void (*fn)(struct fiber *f, struct world_node *n);
};

static void body_run(struct fiber *f, void *arg)
{
    struct body *b = arg;
    struct body copy = *b;
    mem_free(b);
    copy.fn(f, copy.node);
    copy.node->world->running--;
}

void world_spawn(struct meta_world *w, uint64_t node_id,
                 void (*fn)(struct fiber *f, struct world_node *n))
{
    struct body *b = MEM_NEW(struct body);
    *b = (struct body){&w->nodes[node_id], fn};
    w->running++;
    fiber_spawn(w->nodes[node_id].loop, FIBER_STACK_SMALL, body_run, b);
}

uint64_t world_leader(struct meta_world *w)
{
    for (uint64_t i = 1; i <= w->node_count; i++) {
        if (w->nodes[i].is_up && w->nodes[i].server != NULL &&
            meta_server_is_leader(w->nodes[i].server)) {
            return i;
        }
    }
    return 0;
}

static void shutdown_run(struct fiber *f, struct world_node *n)
{
    catalog_cache_destroy(n->catalog);
    meta_client_destroy(f, n->client);
    meta_server_stop(f, n->server);
    group_host_destroy(n->host);
    rpc_node_destroy(n->rpc);
    sim_rpc_link_destroy(n->link);
    store_close(n->log);
    store_close(n->state);
}

void world_shutdown(struct meta_world *w)
{
    for (uint64_t i = 1; i <= w->node_count; i++) {
        if (w->nodes[i].is_up) {
            world_spawn(w, i, shutdown_run);
            world_run(w, 30 * SECOND);
            sim_net_detach(w->net, i);
            sim_loop_crash(w->nodes[i].loop);
        }
        mem_disk_destroy(w->nodes[i].disk);
    }
    sim_net_destroy(w->net);
    sim_destroy(w->sim);
}
