/* See nemesis.h. */
#include "nemesis.h"

#include "rows.h"
#include "world.h"

#include "part.h"

#include "base/mem.h"
#include "metadata/catalog.h"
#include "sql/codec.h"
#include "workload.h"

#include <stdio.h>

#define SPLITS_MAX 5

static int splits;
static bool has_drained;

struct restart {
    uint64_t node;
    int boots;
};

static void restart_now(void *ctx)
{
    struct restart *x = ctx;
    struct cluster_node *n = &world.cluster.nodes[x->node];
    if (!n->is_up && n->boots == x->boots) {
        cluster_boot(&world.cluster, x->node);
    }
    mem_free(x);
}

static void resume_now(void *ctx)
{
    struct restart *x = ctx;
    struct cluster_node *n = &world.cluster.nodes[x->node];
    if (n->is_up && n->boots == x->boots && n->is_paused) {
        n->is_paused = false;
        sim_loop_pause(n->loop, false);
    }
    mem_free(x);
}

static void later(uint64_t delay_ns, void (*fn)(void *ctx), uint64_t node)
{
    struct restart *x = MEM_NEW(struct restart);
    *x = (struct restart){node, world.cluster.nodes[node].boots};
    sim_at(world.cluster.sim, now() + delay_ns, fn, x);
}

static void restart_later(uint64_t id)
{
    later(below(1500) * 1000000 + 50000000, restart_now, id);
}

static void crash(uint64_t id)
{
    struct cluster_node *n = &world.cluster.nodes[id];
    if (!n->is_up) {
        return;
    }
    if (n->is_booted) {
        world.clients -= WORLD_CLIENTS;
    }
    cluster_crash(&world.cluster, id, below(3) == 0 ? 100 : (int)below(101));
    restart_later(id);
}

/* Its disk refused a write: the process ends, as after a kill. */
void nemesis_disk_failed(struct cluster_node *n, void *ctx)
{
    (void)ctx;
    if (n->is_booted) {
        world.clients -= WORLD_CLIENTS;
    }
    cluster_stop(n->cluster, n->id);
    restart_later(n->id);
}

struct transfer {
    uint64_t shard, node;
};

static void transfer_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct transfer x = *(struct transfer *)arg;
    mem_free(arg);
    const struct shard_info *s = n->meta != NULL ? shard_map_by_id(n->meta, x.shard) : NULL;
    if (s == NULL) {
        return;
    }
    Sherd__V1__ChangeReplicaRequest q = SHERD__V1__CHANGE_REPLICA_REQUEST__INIT;
    q.shard_id = x.shard;
    q.action = 4;
    q.node_id = x.node;
    for (size_t i = 0; i < s->replica_count; i++) {
        if (s->replicas[i].node_id == x.node) {
            q.replica_id = s->replicas[i].replica_id;
        }
    }
    struct arena *a = arena_create(0);
    void *reply;
    uint64_t deadline = fiber_set_deadline(f, loop_clock_ns(n->loop) + SECOND);
    for (int i = 1; i <= world.cluster.node_count && q.replica_id != 0; i++) {
        if (!status_consume(
                rpc_call(f, n->rpc, (uint64_t)i, RPC_SHARD_CHANGE_REPLICA, &q, a, &reply))) {
            break;
        }
    }
    fiber_set_deadline(f, deadline);
    arena_destroy(a);
}

struct choice { /* of a table with an integer key */
    uint64_t seen;
    uint32_t table_id;
};

static bool choose_table(void *ctx, const Sherd__V1__TableDesc *d)
{
    struct choice *x = ctx;
    bool has_int_key = d->n_indexes > 0 && d->hash_buckets == 0 && d->indexes[0]->n_columns > 0 &&
                       d->columns[d->indexes[0]->columns[0]->ordinal]->type == TYPE_INT4;
    if (has_int_key && below(++x->seen) == 0) {
        x->table_id = d->id;
    }
    return true;
}

/* In the keys of wl_txn.c or in some table, near its beginning or at its end. */
static void split_somewhere(struct cluster_node *n)
{
    struct arena *a = arena_create(0);
    struct slice key = world_row_key(a, "lawiu"[below(5)], (uint32_t)below(8));
    struct choice x = {0};
    struct catalog *c = catalog_current(router_catalog(n->router));
    catalog_each_table(c, choose_table, &x);
    catalog_unref(c);
    if (x.table_id != 0 && below(3) != 0) {
        key = world_table_key(a, x.table_id, below(2) == 0 ? (int)below(10) : (int)below(1000000));
    }
    cluster_split_later(n, key);
    arena_destroy(a);
}

struct leader {
    uint64_t term, node;
};

/* Of some shard; 0: none is known. */
static uint64_t choose_leader(void)
{
    struct cluster *c = &world.cluster;
    uint64_t shard = 2 + below(world.shards + (uint64_t)splits);
    struct leader found = {0, 0};
    for (int i = 1; i <= c->node_count; i++) {
        if (!c->nodes[i].is_booted) {
            continue;
        }
        struct arena *a = arena_create(0);
        Sherd__V1__ReplicaStatus **r;
        size_t n = shard_server_report(c->nodes[i].shards, a, &r);
        for (size_t k = 0; k < n; k++) {
            if (r[k]->shard_id == shard && r[k]->role == GROUP_LEADER_READY &&
                r[k]->term > found.term) {
                found = (struct leader){r[k]->term, (uint64_t)i};
            }
        }
        arena_destroy(a);
    }
    return found.node;
}

static void isolate(uint64_t id)
{
    struct cluster *c = &world.cluster;
    for (int i = 1; i <= c->node_count; i++) {
        sim_net_block(c->net, id, (uint64_t)i, true);
        sim_net_block(c->net, (uint64_t)i, id, true);
    }
}

/* A leader stops, with its clients. Half of the time for longer than an election takes, cut off,
 * and with nothing else wrong: the others go on without it, and when it goes on it has not heard of
 * that. Returns how long it is to be left alone then. */
static uint64_t stop_leader(void)
{
    struct cluster *c = &world.cluster;
    uint64_t id = choose_leader();
    struct cluster_node *n = &c->nodes[id];
    if (id == 0 || !n->is_up || n->is_paused) {
        return 0;
    }
    bool is_alone = below(2) == 0;
    uint64_t pause_ns = (is_alone ? 1200 + below(1200) : below(2000)) * 1000000;
    if (is_alone) {
        sim_net_heal(c->net);
        isolate(id);
    }
    n->is_paused = true;
    sim_loop_pause(n->loop, true);
    later(pause_ns, resume_now, id);
    return is_alone ? pause_ns + 300000000 : 0;
}

static void strike(void *ctx)
{
    (void)ctx;
    struct cluster *c = &world.cluster;
    if (world.healed_ns != 0) {
        return;
    }
    uint64_t id = 1 + below((uint64_t)c->node_count), other = 1 + below((uint64_t)c->node_count);
    struct cluster_node *n = &c->nodes[id];
    uint64_t next_ns = 50000000 + below(400) * 1000000;
    int what = (int)below(16);
    if (c->trace) {
        printf("%.3f nemesis %d on %d, %d\n", (double)now() / 1e9, what, (int)id, (int)other);
    }
    switch (what) {
    case 0:
    case 1:
        crash(id);
        break;
    case 2:
        for (int i = 1; i <= c->node_count; i++) {
            crash((uint64_t)i);
        }
        break;
    case 3:
        sim_net_block(c->net, id, other, true);
        break;
    case 4:
        isolate(id);
        break;
    case 5:
        sim_net_unblock_all(c->net);
        break;
    case 6:
        sim_net_loss(c->net, (unsigned)below(100));
        sim_net_duplicate(c->net, (unsigned)below(50));
        break;
    case 7:
        sim_net_delay(c->net, below(20000));
        break;
    case 8:
        next_ns += stop_leader();
        break;
    case 9:
        if (n->is_up) {
            sim_loop_disk(n->loop, below(5000000), below(20000000) + 1);
        }
        break;
    case 10:
        if (n->is_up) {
            sim_loop_clock(n->loop, 0.995 + (double)below(11) / 1000.0,
                           (int64_t)below(7200000000) - 3600000000);
        }
        break;
    case 11:
        if (n->is_up) {
            cluster_fail_disk(c, id, (enum cluster_disk)below(3),
                              below(2) == 0 ? STATUS_IO : STATUS_LIMIT);
        }
        break;
    case 12:
        if (n->is_booted && splits < SPLITS_MAX) {
            splits++;
            split_somewhere(n);
        }
        break;
    case 13:
        if (n->is_booted && c->node_count > 3 && !has_drained) {
            has_drained = true;
            cluster_drain_later(n, other, true);
        }
        break;
    default:
        if (n->is_booted) {
            struct transfer *x = MEM_NEW(struct transfer);
            *x = (struct transfer){2 + below(world.shards + (uint64_t)splits), other};
            cluster_spawn(n, transfer_fiber, x);
        }
    }
    sim_at(c->sim, now() + next_ns, strike, NULL);
}

void nemesis_heal(void)
{
    struct cluster *c = &world.cluster;
    sim_net_heal(c->net);
    world.healed_ns = now();
    for (int i = 1; i <= c->node_count; i++) {
        struct cluster_node *n = &c->nodes[i];
        cluster_fail_disk(c, (uint64_t)i, CLUSTER_DISK_BOTH, STATUS_OK);
        if (!n->is_up) {
            cluster_boot(c, (uint64_t)i);
        }
        if (n->is_paused) {
            n->is_paused = false;
            sim_loop_pause(n->loop, false);
        }
        sim_loop_disk(n->loop, 100000, 300000);
    }
}

void nemesis_start(void)
{
    sim_at(world.cluster.sim, now() + 300000000, strike, NULL);
}
