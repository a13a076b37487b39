/*
 * What one seed does: the cluster's start, the workloads that it draws, clients, the nemesis, and
 * the checks at the end. See sherd_sim.h; the command line is in main.c.
 */
#include "sherd_sim.h"

#include "nemesis.h"
#include "observer.h"
#include "part.h"
#include "router_internal.h"
#include "rows.h"
#include "workload.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "mvcc.h"
#include "sql/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORTS_MAX 512
#define CUTS_MAX 16

struct world world;

/* ---- workloads ---- */

static const struct workload *const all_workloads[] = {
    &workload_txn,   &workload_list,   &workload_bank,   &workload_skew,  &workload_fork,
    &workload_count, &workload_unique, &workload_refs,   &workload_index, &workload_insert,
    &workload_queue, &workload_gate,   &workload_schema,
};
enum { WORKLOADS = sizeof(all_workloads) / sizeof(all_workloads[0]) };

static const struct workload *chosen[WORKLOADS];
static int chosen_count, weights;

static void choose(const struct workload *w)
{
    for (int i = 0; i < chosen_count; i++) {
        if (chosen[i] == w) {
            return;
        }
    }
    chosen[chosen_count++] = w;
    weights += w->weight;
}

/* wl_txn.c alone, or beside up to two others; or up to three others. */
static void draw_workloads(const char *only)
{
    if (only != NULL) {
        for (int i = 0; i < WORKLOADS; i++) {
            if (strcmp(all_workloads[i]->name, only) == 0) {
                choose(all_workloads[i]);
            }
        }
        return;
    }
    bool with_txn = below(2) == 0;
    if (with_txn) {
        choose(all_workloads[0]);
    }
    for (uint64_t i = with_txn ? below(3) : 1 + below(3); i > 0; i--) {
        choose(all_workloads[1 + below(WORKLOADS - 1)]);
    }
}

bool sim_has_workload(const char *name)
{
    for (int i = 0; i < WORKLOADS; i++) {
        if (strcmp(all_workloads[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static const struct workload *draw_one(void)
{
    uint64_t at = below((uint64_t)weights);
    int i = 0;
    while (at >= (uint64_t)chosen[i]->weight) {
        at -= (uint64_t)chosen[i++]->weight;
    }
    return chosen[i];
}

/* ---- outcomes, keys ---- */

enum told world_outcome(struct status *st)
{
    enum told o;
    if (st == NULL) {
        o = TOLD_COMMITTED;
    } else if (st->code == STATUS_UNKNOWN_OUTCOME || st->code == STATUS_INTERNAL) {
        o = TOLD_UNKNOWN;
    } else {
        o = TOLD_ABORTED;
    }
    if (world.cluster.trace && st != NULL) {
        printf("  %s: %s\n", status_code_name(st->code), st->message);
    }
    world.committed += o == TOLD_COMMITTED;
    world.aborted += o == TOLD_ABORTED;
    world.unknown += o == TOLD_UNKNOWN;
    status_free(st);
    if (o == TOLD_COMMITTED && world.healed_ns != 0) {
        world.commits_after_heal++;
    }
    return o;
}

struct slice world_row_key(struct arena *a, char kind, uint32_t number)
{
    uint8_t rest[5] = {(uint8_t)kind};
    set_u32(rest + 1, number);
    return row_key(a, (uint8_t)(number % WORLD_SHARDS), slice_make(rest, sizeof(rest)));
}

struct slice world_table_key(struct arena *a, uint32_t table_id, int id)
{
    struct buf b = {0};
    struct key_column column = {.type = TYPE_INT4};
    struct datum d = datum_int(id);
    key_prefix(&b, table_id, 1);
    key_put_datum(&b, &column, &d);
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

/* ---- clients ---- */

static struct { /* what each one does, for messages */
    uint64_t node, since_ns;
    int boots;
    const char *what;
} doing[512];
static int doing_count;

static void act(struct fiber *f, struct client *c, const struct workload *w)
{
    int count = 0, total = 0;
    for (; w->actions[count].run != NULL; count++) {
        total += w->actions[count].weight;
    }
    uint64_t at = count > 1 ? below((uint64_t)total) : 0;
    const struct workload_action *a = w->actions;
    while (at >= (uint64_t)a->weight) {
        at -= (uint64_t)(a++)->weight;
    }
    a->run(f, c);
}

static void client_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    (void)arg;
    struct client c;
    client_init(&c, n);
    int me = doing_count < 511 ? doing_count++ : 511;
    doing[me].node = n->id;
    doing[me].boots = n->boots;
    while (!world.is_ending) {
        const struct workload *w = draw_one();
        doing[me].since_ns = now();
        doing[me].what = w->name;
        act(f, &c, w);
        doing[me].what = "sleep";
        if (status_consume(fiber_sleep(f, 1000000 + below(30) * 1000000))) {
            break;
        }
    }
    doing[me].what = NULL;
    client_deinit(f, &c);
    world.clients--;
}

static void start_clients(struct cluster_node *n, void *ctx)
{
    (void)ctx;
    for (int i = 0; i < WORLD_CLIENTS && !world.is_ending; i++) {
        world.clients++;
        cluster_spawn(n, client_fiber, NULL);
    }
}

/* ---- before and after the clients ---- */

static bool no_clients(void *ctx)
{
    (void)ctx;
    return world.clients == 0;
}

static bool has_progress(void *ctx)
{
    (void)ctx;
    return world.commits_after_heal >= 10;
}

static bool is_set(void *ctx)
{
    return *(bool *)ctx;
}

static void setup_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct client c;
    client_init(&c, n);
    for (int i = 0; i < chosen_count; i++) {
        chosen[i]->setup(f, &c);
    }
    client_deinit(f, &c);
    *(bool *)arg = true;
}

static void finish_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct client c;
    client_init(&c, n);
    for (int i = 0; i < chosen_count; i++) {
        client_begin(f, &c);
        chosen[i]->finish(f, &c);
    }
    client_deinit(f, &c);
    *(bool *)arg = true;
}

struct cuts {
    struct arena *arena;
    struct slice keys[CUTS_MAX];
    int count;
};

static bool cut_table(void *ctx, const Sherd__V1__TableDesc *d)
{
    struct cuts *x = ctx;
    if (x->count < CUTS_MAX && d->columns[d->indexes[0]->columns[0]->ordinal]->type == TYPE_INT4 &&
        below(2) == 0) {
        static const int where[] = {2, 5, 100, 500000};
        x->keys[x->count++] = world_table_key(x->arena, d->id, where[below(4)]);
    }
    return true;
}

/* The keys of wl_txn.c in three, every other table in two. */
static void cut_shards(void)
{
    struct cluster *c = &world.cluster;
    struct cuts x = {.arena = arena_create(0)};
    struct catalog *cat = catalog_current(router_catalog(c->nodes[1].router));
    catalog_each_table(cat, cut_table, &x);
    catalog_unref(cat);
    for (int i = 1; i < WORLD_SHARDS && chosen[0] == &workload_txn; i++) {
        x.keys[x.count++] = row_key(x.arena, (uint8_t)i, slice_str(""));
    }
    world.shards = 1 + (uint64_t)x.count;
    if (!cluster_split(c, x.keys, x.count, 30 * SECOND)) {
        cluster_stuck(c, "the shards were not split");
    }
    arena_destroy(x.arena);
}

/* ---- replicas ---- */

static void print_key(int node, bool is_there, const struct store_iter *it)
{
    if (!is_there || !world.cluster.trace) {
        return;
    }
    struct slice k = store_iter_key(it), v = store_iter_value(it);
    printf("node %d has ", node);
    for (size_t i = 0; i < k.len; i++) {
        printf("%02x", k.data[i]);
    }
    printf(": ");
    for (size_t i = 0; i < v.len && i < 24; i++) {
        printf("%02x", v.data[i]);
    }
    printf("\n");
}

/* The data of a shard's replicas, byte for byte: newest versions ('d') and history ('h'). */
static void compare_two(const struct shard_info *s, uint64_t first_node, uint64_t other_node,
                        uint8_t space)
{
    struct cluster *c = &world.cluster;
    struct store_iter *first = store_iter_create(c->nodes[first_node].state, NULL);
    struct store_iter *other = store_iter_create(c->nodes[other_node].state, NULL);
    struct buf start = {0}, end = {0};
    mvcc_bound(&start, space, s->start, false);
    mvcc_bound(&end, space, s->end, true);
    store_iter_seek(first, buf_slice(&start));
    store_iter_seek(other, buf_slice(&start));
    for (;;) {
        bool a = store_iter_valid(first) && slice_cmp(store_iter_key(first), buf_slice(&end)) < 0;
        bool b = store_iter_valid(other) && slice_cmp(store_iter_key(other), buf_slice(&end)) < 0;
        if (!a && !b) {
            break;
        }
        if (a != b || !slice_eq(store_iter_key(first), store_iter_key(other)) ||
            !slice_eq(store_iter_value(first), store_iter_value(other))) {
            print_key((int)first_node, a, first);
            print_key((int)other_node, b, other);
            cluster_fail(c, "replicas of shard %d on nodes %d and %d differ in '%c'",
                         (int)s->shard_id, (int)first_node, (int)other_node, space);
        }
        store_iter_next(first);
        store_iter_next(other);
    }
    buf_deinit(&start);
    buf_deinit(&end);
    store_iter_destroy(first);
    store_iter_destroy(other);
}

static bool has_index(const Sherd__V1__TableDesc *t, uint32_t index_id)
{
    for (size_t i = 0; t != NULL && i < t->n_indexes; i++) {
        if (t->indexes[i]->index_id == index_id) {
            return true;
        }
    }
    return false;
}

/* Nothing is left of tables and indexes that were dropped, or that never came to be. */
static void look_for_leftovers(const struct shard_info *s, uint8_t space)
{
    struct cluster *c = &world.cluster;
    struct catalog *cat = catalog_current(router_catalog(c->nodes[1].router));
    struct store_iter *it = store_iter_create(c->nodes[s->replicas[0].node_id].state, NULL);
    struct buf start = {0}, end = {0};
    mvcc_bound(&start, space, s->start, false);
    mvcc_bound(&end, space, s->end, true);
    for (store_iter_seek(it, buf_slice(&start));
         store_iter_valid(it) && slice_cmp(store_iter_key(it), buf_slice(&end)) < 0;
         store_iter_next(it)) {
        struct slice k = store_iter_key(it);
        ASSERT(k.len >= 9);
        uint32_t table_id = get_u32(k.data + 1), index_id = get_u32(k.data + 5);
        if (table_id != ROWS_TABLE && !has_index(catalog_table_by_id(cat, table_id), index_id)) {
            print_key((int)s->replicas[0].node_id, true, it);
            cluster_fail(c, "shard %d has keys of index %u of table %u, which is not there",
                         (int)s->shard_id, index_id, table_id);
        }
    }
    buf_deinit(&start);
    buf_deinit(&end);
    store_iter_destroy(it);
    catalog_unref(cat);
}

static bool compare_shard(void *ctx, const struct shard_info *s)
{
    (void)ctx;
    look_for_leftovers(s, 'd');
    look_for_leftovers(s, 'h');
    for (size_t i = 1; i < s->replica_count; i++) {
        compare_two(s, s->replicas[0].node_id, s->replicas[i].node_id, 'd');
        compare_two(s, s->replicas[0].node_id, s->replicas[i].node_id, 'h');
    }
    return true;
}

static void compare_replicas(void)
{
    struct slice all = slice_make(NULL, 0);
    shard_map_scan(world.cluster.nodes[1].meta, all, all, compare_shard, NULL);
}

struct reports {
    struct {
        uint64_t node, shard, last, applied;
        bool is_prepared;
    } items[REPORTS_MAX];
    int count;
    bool is_behind;
    char why[100]; /* the last thing that was found */
};

static void behind(struct reports *r, const char *what, uint64_t shard, uint64_t node)
{
    r->is_behind = true;
    snprintf(r->why, sizeof(r->why), "%s (shard %d, node %d)", what, (int)shard, (int)node);
}

/* Every replica that the map names is a voter, is there and has applied all that any has. */
static bool is_settled(void *ctx, const struct shard_info *s)
{
    struct reports *r = ctx;
    uint64_t last = 0;
    for (int i = 0; i < r->count; i++) {
        if (r->items[i].shard == s->shard_id && r->items[i].last > last) {
            last = r->items[i].last;
        }
    }
    for (size_t k = 0; k < s->replica_count; k++) {
        const char *what = "a replica is not there";
        for (int i = 0; i < r->count; i++) {
            if (r->items[i].node == s->replicas[k].node_id && r->items[i].shard == s->shard_id) {
                what = r->items[i].applied != last ? "a replica has not applied all"
                       : r->items[i].is_prepared   ? "a transaction stays prepared"
                                                   : NULL;
            }
        }
        what = what == NULL && !s->replicas[k].is_voter ? "a learner stays" : what;
        if (what != NULL) {
            behind(r, what, s->shard_id, s->replicas[k].node_id);
        }
    }
    return !r->is_behind;
}

static bool has_job(void *ctx, struct slice key, struct slice value, uint64_t mod_revision)
{
    (void)key;
    (void)value;
    (void)mod_revision;
    behind(ctx, "a job is not done", 0, 0);
    return false;
}

struct tables {
    const struct catalog *other;
    int count;
    bool is_equal;
};

static bool compare_table(void *ctx, const Sherd__V1__TableDesc *d)
{
    struct tables *x = ctx;
    const Sherd__V1__TableDesc *o = x->other != NULL ? catalog_table_by_id(x->other, d->id) : NULL;
    x->count++;
    x->is_equal &= x->other == NULL || (o != NULL && o->version == d->version);
    return x->is_equal;
}

/* Every router knows the same tables. */
static bool are_catalogs_equal(const struct cluster *c)
{
    struct catalog *first = catalog_current(router_catalog(c->nodes[1].router));
    struct tables all = {.is_equal = true};
    catalog_each_table(first, compare_table, &all);
    bool is_equal = true;
    for (int i = 2; i <= c->node_count && is_equal; i++) {
        struct catalog *other = catalog_current(router_catalog(c->nodes[i].router));
        struct tables x = {.other = first, .is_equal = true};
        catalog_each_table(other, compare_table, &x);
        is_equal = x.is_equal && x.count == all.count;
        catalog_unref(other);
    }
    catalog_unref(first);
    return is_equal;
}

/* ctx: struct reports, what is found. */
static bool are_applied(void *ctx)
{
    struct cluster *c = &world.cluster;
    struct meta_client *meta = c->nodes[1].meta;
    struct reports *all = ctx;
    *all = (struct reports){.count = 0};
    meta_scan(meta, slice_str("job/"), has_job, all);
    if (!are_catalogs_equal(c)) {
        behind(all, "routers know different tables", 0, 0);
    }
    for (int i = 1; i <= c->node_count && !all->is_behind; i++) {
        struct arena *a = arena_create(0);
        Sherd__V1__ReplicaStatus **r;
        size_t n = shard_server_report(c->nodes[i].shards, a, &r);
        for (size_t k = 0; k < n && all->count < REPORTS_MAX; k++) {
            all->items[all->count].node = (uint64_t)i;
            all->items[all->count].shard = r[k]->shard_id;
            all->items[all->count].last = r[k]->last;
            all->items[all->count].applied = r[k]->applied;
            all->items[all->count++].is_prepared = r[k]->prepared > 0;
            if (shard_map_by_id(meta, r[k]->shard_id) == NULL) {
                behind(all, "a replica of no shard is left", r[k]->shard_id, (uint64_t)i);
            }
        }
        arena_destroy(a);
    }
    struct slice none = slice_make(NULL, 0);
    if (!all->is_behind) {
        shard_map_scan(meta, none, none, is_settled, all);
    }
    return !all->is_behind;
}

/* What the seed makes rare or common. */
static void draw_bounds(void)
{
    if (below(4) == 0) {
        part_stage_bytes = 200 + below(400); /* commits in parts */
    }
    if (below(3) == 0) {
        shard_commit_call_ms = 20 + below(300); /* messages of a commit are repeated soon */
    }
    if (below(2) == 0) {
        world.cluster.gc_ttl_s = 1 + (uint32_t)below(3); /* versions are collected during the run */
    }
}

static void print_waiting(void)
{
    for (int i = 0; i < doing_count; i++) {
        const struct cluster_node *n = &world.cluster.nodes[doing[i].node];
        if (doing[i].what != NULL && n->boots == doing[i].boots) {
            printf("node %d: a client is in \"%s\" since %.3f s\n", (int)n->id, doing[i].what,
                   (double)doing[i].since_ns / 1e9);
        }
    }
}

static void run_clients(void)
{
    struct cluster *c = &world.cluster;
    world.started_ns = now();
    c->on_booted = start_clients;
    c->on_failed = nemesis_disk_failed;
    for (int i = 1; i <= c->node_count; i++) {
        start_clients(&c->nodes[i], NULL);
    }
    if (!world.calm) {
        nemesis_start();
    }
    sim_run(c->sim, now() + WORLD_RUN_NS, NULL, NULL);
    nemesis_heal();
    if (!cluster_wait_booted(c, 20 * SECOND)) {
        cluster_stuck(c, "not all nodes serve 20 s after the faults");
    }
    if (!sim_run(c->sim, now() + 20 * SECOND, has_progress, NULL)) {
        print_waiting();
        cluster_stuck(c, "no progress in the 20 s after the faults: %d commits",
                      world.commits_after_heal);
    }
    world.is_ending = true;
    if (!sim_run(c->sim, now() + 60 * SECOND, no_clients, NULL)) {
        print_waiting();
        cluster_stuck(c, "%d clients still wait 60 s after the faults", world.clients);
    }
}

static void check_all(void)
{
    struct cluster *c = &world.cluster;
    bool is_done = false;
    cluster_spawn(&c->nodes[1], finish_fiber, &is_done);
    if (!sim_run(c->sim, now() + 120 * SECOND, is_set, &is_done)) {
        cluster_stuck(c, "the last reads do not end");
    }
    static struct reports found;
    if (!sim_run(c->sim, now() + 30 * SECOND, are_applied, &found)) {
        cluster_stuck(c, "30 s later: %s", found.why);
    }
    compare_replicas();
    observer_finish();
}

int sim_run_seed(uint64_t seed, const struct sim_options *options)
{
    struct cluster *c = &world.cluster;
    world.isolation = options->isolation;
    world.calm = options->calm;
    rng_seed(&world.rng, seed ^ 0x5eed);
    /* Calm with three: where there are more, replicas move and leaders with them, which ends
     * transactions. */
    int nodes = options->nodes != 0 ? options->nodes : seed % 4 == 3 && !options->calm ? 5 : 3;
    draw_workloads(options->workload);
    cluster_init(c, seed, nodes);
    draw_bounds();
    c->trace = options->trace;
    observer_start(c);
    for (int i = 1; i <= nodes; i++) {
        cluster_boot(c, (uint64_t)i);
    }
    if (!cluster_wait_booted(c, 20 * SECOND)) {
        cluster_stuck(c, "the cluster did not start");
    }
    bool is_done = false;
    cluster_spawn(&c->nodes[1], setup_fiber, &is_done);
    if (!sim_run(c->sim, now() + 60 * SECOND, is_set, &is_done)) {
        cluster_stuck(c, "the tables are not there after 60 s");
    }
    cut_shards();
    run_clients();
    check_all();
    if (options->trace || options->calm) {
        const struct observer_stats *o = observer_stats();
        printf("seed %llu:", (unsigned long long)seed);
        for (int i = 0; i < chosen_count; i++) {
            printf(" %s", chosen[i]->name);
        }
        printf(
            ": %d committed, %d aborted, %d unknown, %llu entries, %llu versions, %llu prepares, "
            "%llu reads, %llu events, %llu messages\n",
            world.committed, world.aborted, world.unknown, (unsigned long long)o->entries,
            (unsigned long long)o->versions, (unsigned long long)o->prepares,
            (unsigned long long)o->reads, (unsigned long long)sim_event_count(c->sim),
            (unsigned long long)sim_net_message_count(c->net));
    }
    return 0;
}
