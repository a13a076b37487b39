/* See run.h. */
#include "run.h"

#include "../sim/rows.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "rpc_wire.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES 3
#define SHARDS 2
#define FRAME_DATA 1 /* of test/lib/sim_rpc.c */
#define FRAME_HEAD 17
#define TAGS_MAX 4096
#define RESTART_NS 300000000ull
#define CUT_NS 2000000000ull
#define PAUSE_NS 3000000000ull
#define RUN_LIMIT_NS (60 * SECOND)

struct client {
    const struct program *program;
    int boots; /* of its node: another one means that it died */
    bool is_done;
};

static struct {
    struct cluster cluster;
    struct history history;
    const struct schedule *schedule;
    int next_deviation;
    uint32_t points;
    bool is_counting, trace;
    struct tag { /* calls about transactions under way: their answers count too */
        uint64_t from, to, tag;
    } tags[TAGS_MAX];
    int tag_count;
    struct client clients[MODEL_PROGRAMS_MAX];
    int client_count;
    bool is_prepared, is_looked;
    struct history_txn *fence_look; /* when every shard had confirmed the fence */
} run;

static uint64_t now(void)
{
    return sim_now_ns(run.cluster.sim);
}

static void after(uint64_t delay_ns, void (*fn)(void *ctx), void *ctx)
{
    sim_at(run.cluster.sim, now() + delay_ns, fn, ctx);
}

/* ---- what a deviation does ---- */

static void restart(void *ctx)
{
    struct cluster_node *n = ctx;
    if (!n->is_up) {
        cluster_boot(&run.cluster, n->id);
    }
}

static void crash(void *ctx)
{
    struct cluster_node *n = ctx;
    if (n->is_up) {
        cluster_crash(&run.cluster, n->id, 0);
        after(RESTART_NS, restart, n);
    }
}

static void resume(void *ctx)
{
    struct cluster_node *n = ctx;
    if (n->is_up && n->is_paused) {
        n->is_paused = false;
        sim_loop_pause(n->loop, false);
    }
}

static void stand_still(void *ctx)
{
    struct cluster_node *n = ctx;
    if (n->is_up && !n->is_paused) {
        n->is_paused = true;
        sim_loop_pause(n->loop, true);
        after(PAUSE_NS, resume, n);
    }
}

static void reconnect(void *ctx)
{
    (void)ctx;
    sim_net_unblock_all(run.cluster.net);
}

/* Each data shard's leader as its node reports it, in the arena. */
static size_t led_by(struct cluster_node *n, struct arena *a, Sherd__V1__ReplicaStatus ***out)
{
    if (!n->is_booted) {
        return 0;
    }
    size_t led = 0, count = shard_server_report(n->shards, a, out);
    for (size_t i = 0; i < count; i++) {
        if ((*out)[i]->role >= GROUP_LEADER) {
            (*out)[led++] = (*out)[i];
        }
    }
    return led;
}

static void transfer_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    (void)arg;
    struct arena *a = arena_create(0);
    Sherd__V1__ReplicaStatus **led;
    size_t count = led_by(n, a, &led);
    fiber_set_deadline(f, loop_clock_ns(n->loop) + SECOND);
    for (size_t i = 0; i < count; i++) {
        const struct shard_info *s = shard_map_by_id(n->meta, led[i]->shard_id);
        Sherd__V1__ChangeReplicaRequest q = SHERD__V1__CHANGE_REPLICA_REQUEST__INIT;
        q.shard_id = led[i]->shard_id;
        q.action = 4;
        for (size_t k = 0; s != NULL && k < s->replica_count && q.replica_id == 0; k++) {
            if (s->replicas[k].node_id != n->id) {
                q.node_id = s->replicas[k].node_id;
                q.replica_id = s->replicas[k].replica_id;
            }
        }
        void *reply;
        if (q.replica_id != 0) {
            status_consume(rpc_call(f, n->rpc, n->id, RPC_SHARD_CHANGE_REPLICA, &q, a, &reply));
        }
    }
    arena_destroy(a);
}

static void transfer(void *ctx)
{
    struct cluster_node *n = ctx;
    if (n->is_booted) {
        cluster_spawn(n, transfer_fiber, NULL);
    }
}

/* Calls every data shard's leader, wherever it is, until each has answered. */
static bool call_all(struct fiber *f, struct cluster_node *n, enum rpc_method method,
                     const void *(*request)(uint64_t shard))
{
    struct arena *a = arena_create(0);
    uint64_t ids[8];
    size_t count = 0, answered = 0;
    for (uint64_t id = 2; id < 16 && count < 8; id++) {
        if (shard_map_by_id(n->meta, id) != NULL) {
            ids[count++] = id;
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (int tries = 0; tries < 60; tries++) {
            void *reply;
            uint64_t outer = fiber_set_deadline(f, loop_clock_ns(n->loop) + 2 * SECOND);
            struct status *st = rpc_call(f, n->rpc, (uint64_t)(tries % NODES) + 1, method,
                                         request(ids[i]), a, &reply);
            fiber_set_deadline(f, outer);
            if (st == NULL) {
                answered++;
                break;
            }
            status_free(st);
            status_consume(fiber_sleep(f, 20000000));
        }
    }
    arena_destroy(a);
    return answered == count;
}

static uint64_t watermark;

static const void *gc_request(uint64_t shard)
{
    static Sherd__V1__GcRequest q;
    sherd__v1__gc_request__init(&q);
    q.shard_id = shard;
    q.watermark = watermark;
    return &q;
}

static void collect_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    (void)arg;
    if (!status_consume(meta_timestamp(f, n->meta, &watermark))) {
        call_all(f, n, RPC_SHARD_GC, gc_request);
    }
}

static const void *fence_request(uint64_t shard)
{
    static Sherd__V1__FenceRequest q;
    sherd__v1__fence_request__init(&q);
    q.shard_id = shard;
    q.table_id = ROWS_TABLE;
    q.version = 1;
    return &q;
}

static void fence_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    (void)arg;
    if (!call_all(f, n, RPC_SHARD_FENCE, fence_request)) {
        return;
    }
    struct status *st = NULL;
    do { /* what the older version has committed is all there now */
        status_free(st);
        st = scenario_look(f, n, &run.history, 1);
    } while (st != NULL && !status_consume(fiber_sleep(f, 50000000)));
    run.fence_look = run.history.txns[run.history.count - 1];
}

static void spawn_somewhere(void (*fn)(struct fiber *f, struct cluster_node *n, void *arg))
{
    for (int i = NODES; i >= 1; i--) {
        struct cluster_node *n = &run.cluster.nodes[i];
        if (n->is_booted && !n->is_paused) {
            cluster_spawn(n, fn, NULL);
            return;
        }
    }
}

static void collect(void *ctx)
{
    (void)ctx;
    spawn_somewhere(collect_fiber);
}

static void fence(void *ctx)
{
    (void)ctx;
    spawn_somewhere(fence_fiber);
}

static void split(void *ctx)
{
    (void)ctx;
    struct arena *a = arena_create(0);
    struct slice key = row_key(a, 0, slice_str("o"));
    for (int i = 1; i <= NODES; i++) {
        if (run.cluster.nodes[i].is_booted) {
            cluster_split_later(&run.cluster.nodes[i], key);
            break;
        }
    }
    arena_destroy(a);
}

/* Returns whether the message is lost. Not within a node's turn: what ends a node waits for its
 * end.
 */
static bool deviate(char action, uint64_t from, uint64_t to)
{
    struct cluster_node *sender = &run.cluster.nodes[from], *receiver = &run.cluster.nodes[to];
    switch (action) {
    case 'd':
        return true;
    case 'b':
        sim_net_block(run.cluster.net, from, to, true);
        sim_net_block(run.cluster.net, to, from, true);
        after(CUT_NS, reconnect, NULL);
        return true;
    case 'k':
        after(0, crash, receiver);
        return true;
    case 'K':
        after(0, crash, sender);
        return false;
    case 'p':
        after(0, stand_still, receiver);
        return false;
    case 't':
        after(0, transfer, receiver);
        return false;
    case 'g':
        after(0, collect, NULL);
        return false;
    case 's':
        after(0, split, NULL);
        return false;
    case 'f':
        after(0, fence, NULL);
        return false;
    default:
        fatal("there is no action '%c'", action);
    }
}

/* ---- choice points ---- */

static bool is_about_transactions(uint64_t from, uint64_t to, struct slice frame)
{
    struct reader r;
    struct rpc_wire_item item;
    bool found = false;
    if (frame.len <= FRAME_HEAD || frame.data[0] != FRAME_DATA) {
        return false;
    }
    reader_init(&r, slice_make(frame.data + FRAME_HEAD, frame.len - FRAME_HEAD));
    while (rpc_wire_next(&r, &item)) {
        if (item.kind == RPC_WIRE_CALL && !item.is_cancel) {
            bool is_ours = (item.method >= RPC_SHARD_READ && item.method <= RPC_SHARD_ROLLBACK) ||
                           item.method == RPC_META_TIMESTAMP ||
                           item.method == RPC_COORDINATOR_OUTCOME;
            if (is_ours && run.tag_count < TAGS_MAX) {
                run.tags[run.tag_count++] = (struct tag){from, to, item.tag};
            }
            found |= is_ours;
        }
        for (int i = 0; item.kind == RPC_WIRE_ANSWER && i < run.tag_count && !found; i++) {
            const struct tag *t = &run.tags[i];
            found = t->from == to && t->to == from && t->tag == item.tag;
        }
    }
    return found;
}

static bool has_entries(struct slice envelope)
{
    struct wire_reader wr;
    struct wire_message m;
    bool more = true;
    if (status_consume(wire_open(&wr, envelope))) {
        return false;
    }
    while (!status_consume(wire_next(&wr, &m, &more)) && more) {
        if (m.kind == WIRE_APPEND && m.append.entry_count > 0 && m.group > 1) {
            return true;
        }
    }
    return false;
}

static bool choose(void *ctx, uint64_t from, uint64_t to, unsigned channel, struct slice bytes)
{
    (void)ctx;
    if (!run.is_counting || !(channel == SIM_NET_RPC    ? is_about_transactions(from, to, bytes)
                              : channel == SIM_NET_RAFT ? has_entries(bytes)
                                                        : false)) {
        return false;
    }
    uint32_t point = run.points++;
    if (run.next_deviation == run.schedule->count ||
        run.schedule->deviations[run.next_deviation].at != point) {
        return false;
    }
    char action = run.schedule->deviations[run.next_deviation++].action;
    if (run.trace) {
        printf("%.6f point %u: %c at a %s message from %d to %d\n", (double)now() / 1e9, point,
               action, channel == SIM_NET_RPC ? "call's" : "Raft", (int)from, (int)to);
    }
    return deviate(action, from, to);
}

/* ---- one run ---- */

static void client_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct client *c = arg;
    if (!status_consume(fiber_sleep(f, c->program->delay_us * 1000 + 1))) {
        program_run(f, n, c->program, &run.history);
    }
    c->is_done = true;
}

static bool clients_ended(void *ctx)
{
    (void)ctx;
    for (int i = 0; i < run.client_count; i++) {
        const struct client *c = &run.clients[i];
        const struct cluster_node *n = &run.cluster.nodes[c->program->node];
        if (!c->is_done && n->is_up && n->boots == c->boots) {
            return false;
        }
    }
    return true;
}

static void look_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    (void)arg;
    struct status *st = NULL;
    for (int tries = 0; tries < 300; tries++) {
        status_free(st);
        st = scenario_look(f, n, &run.history, 1);
        if (st == NULL) {
            run.is_looked = true;
            return;
        }
        status_consume(fiber_sleep(f, 50000000));
    }
    cluster_stuck(&run.cluster, "the last look: %s", st->message);
}

static bool is_true(void *ctx)
{
    return *(bool *)ctx;
}

static bool nothing_prepared(void *ctx)
{
    (void)ctx;
    bool is_prepared = false;
    for (int i = 1; i <= NODES && !is_prepared; i++) {
        struct arena *a = arena_create(0);
        Sherd__V1__ReplicaStatus **r;
        size_t n = shard_server_report(run.cluster.nodes[i].shards, a, &r);
        for (size_t k = 0; k < n; k++) {
            is_prepared |= r[k]->prepared > 0;
        }
        arena_destroy(a);
    }
    return !is_prepared;
}

static void check_fence(const struct history_txn *last)
{
    const struct history_txn *first = run.fence_look;
    for (int i = 0; first != NULL && i < first->op_count; i++) {
        if (first->ops[i].seen_count != last->ops[i].seen_count) {
            cluster_fail(&run.cluster,
                         "fence: key %d had %d elements when the older version was fenced "
                         "everywhere, later %d",
                         first->ops[i].key, first->ops[i].seen_count, last->ops[i].seen_count);
        }
    }
}

static void print_history(void)
{
    static const char *const words[] = {"unknown", "committed", "aborted"};
    for (int i = 0; i < run.history.count; i++) {
        const struct history_txn *t = run.history.txns[i];
        printf("T%d '%c' %s:", t->id, t->label, words[t->outcome]);
        for (int k = 0; k < t->op_count; k++) {
            printf(" %d", t->ops[k].key);
            if (t->ops[k].is_append) {
                printf("+%u", t->ops[k].element);
                continue;
            }
            for (int j = 0; j < t->ops[k].seen_count; j++) {
                printf("%c%u", j == 0 ? '=' : '.', t->ops[k].seen[j]);
            }
        }
        printf("\n");
    }
}

uint32_t run_schedule(const struct scenario *s, const struct schedule *schedule)
{
    struct cluster *c = &run.cluster;
    run.schedule = schedule;
    run.is_counting = true;
    for (int i = 0; i < MODEL_PROGRAMS_MAX && s->programs[i].steps != NULL; i++) {
        struct cluster_node *n = &c->nodes[s->programs[i].node];
        run.clients[i] = (struct client){.program = &s->programs[i], .boots = n->boots};
        run.client_count++;
        cluster_spawn(n, client_fiber, &run.clients[i]);
    }
    if (!sim_run(c->sim, now() + RUN_LIMIT_NS, clients_ended, NULL)) {
        cluster_stuck(c, "a transaction does not end");
    }
    uint32_t points = run.points;
    sim_run(c->sim, now() + SECOND / 5, NULL, NULL); /* finalizing, forgetting: choice points too */
    run.is_counting = false;
    if (!cluster_wait_booted(c, 30 * SECOND)) {
        cluster_stuck(c, "a node does not come back");
    }
    sim_run(c->sim, now() + PAUSE_NS, NULL, NULL); /* every fault is over */
    cluster_spawn(&c->nodes[1], look_fiber, NULL);
    if (!sim_run(c->sim, now() + RUN_LIMIT_NS, is_true, &run.is_looked)) {
        cluster_stuck(c, "the last look does not end");
    }
    if (!sim_run(c->sim, now() + 30 * SECOND, nothing_prepared, NULL)) {
        cluster_stuck(c, "a transaction stays prepared");
    }
    if (run.trace) {
        print_history();
    }
    check_fence(run.history.txns[run.history.count - 1]);
    char *anomaly = history_check(&run.history, s->level);
    if (anomaly != NULL) {
        cluster_fail(c, "%s", anomaly);
    }
    return run.points > points ? run.points : points;
}

/* ---- boot ---- */

static void prepare_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    (void)arg;
    struct status *st = scenario_prepare(f, n, &run.history);
    if (st != NULL) {
        cluster_stuck(&run.cluster, "the first rows: %s", st->message);
    }
    run.is_prepared = true;
}

/* Each router learns where the leaders are: a schedule is about the transactions. */
static void learn_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct history ignored = {.key_count = MODEL_KEYS};
    struct status *st = scenario_look(f, n, &ignored, 0);
    if (st != NULL) {
        cluster_stuck(&run.cluster, "the first look: %s", st->message);
    }
    history_free(&ignored);
    ++*(int *)arg;
}

static bool all_learned(void *ctx)
{
    return *(int *)ctx == NODES;
}

static void disk_failed(struct cluster_node *n, void *ctx)
{
    (void)n;
    (void)ctx;
    fatal("a disk failed without being told to");
}

void run_boot(uint64_t seed, bool trace)
{
    struct cluster *c = &run.cluster;
    static int learned;
    run.trace = trace;
    run.history.key_count = MODEL_KEYS;
    cluster_init(c, seed, NODES);
    c->on_failed = disk_failed;
    for (uint64_t i = 1; i <= NODES; i++) {
        cluster_boot(c, i);
    }
    if (!cluster_wait_booted(c, 20 * SECOND)) {
        cluster_stuck(c, "the cluster did not start");
    }
    struct arena *a = arena_create(0);
    struct slice cut = scenario_cut(a, 1);
    if (!cluster_split(c, &cut, SHARDS - 1, 20 * SECOND)) {
        cluster_stuck(c, "the shards were not split");
    }
    arena_destroy(a);
    cluster_spawn(&c->nodes[1], prepare_fiber, NULL);
    if (!sim_run(c->sim, now() + 20 * SECOND, is_true, &run.is_prepared)) {
        cluster_stuck(c, "the first rows were not written");
    }
    sim_run(c->sim, now() + 12 * SECOND, NULL, NULL); /* leaders are spread, fences are done */
    for (int i = 1; i <= NODES; i++) {
        cluster_spawn(&c->nodes[i], learn_fiber, &learned);
    }
    if (!sim_run(c->sim, now() + 20 * SECOND, all_learned, &learned)) {
        cluster_stuck(c, "the routers do not find the leaders");
    }
    sim_net_filter(c->net, choose, NULL);
}
