/*
 * sherd_sim: whole clusters under faults, from a seed.
 *
 *   sherd_sim --seed N [--seeds COUNT] [--nodes N] [--bug NAME] [--expect-failure] [--calm] [--trace]
 *
 * Each seed runs in a process of its own: three nodes with metadata, shards and routers, the key space cut into three
 * shards, clients on every node, a nemesis that crashes nodes (losing unsynced writes), cuts and slows the network,
 * slows disks, pauses nodes, makes clocks drift and moves leaderships. Then everything heals, clients end, and the
 * checkers look: list-append histories are strictly serializable, acknowledged writes are there once, money is
 * conserved in every snapshot, replicas are equal, and the cluster made progress after the faults.
 *
 * --expect-failure with --bug: success is that some seed fails; prints how many it took.
 */
#include "cluster.h"
#include "history.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "sql/codec.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TABLE 30000u
#define LIST_KEYS 6
#define ACCOUNTS 8
#define ACCOUNT_START 100
#define SHARDS 3
#define CLIENTS_PER_NODE 3
#define RUN_NS (6 * SECOND)
#define TXNS_MAX 700

struct world {
    struct cluster cluster;
    struct history history;
    uint32_t next_element;
    /* inserts: by number, what the client was told */
    struct {
        enum outcome outcome;
    } inserts[4096];
    uint32_t insert_count;
    int clients;
    bool is_ending;
    uint64_t healed_ns;
    int commits_after_heal;
    bool calm;
    struct rng rng;
    int committed, aborted, unknown;
    struct { /* what each client does, for messages */
        uint64_t node, since_ns;
        const struct fiber *fiber;
        int boots;
        char label;
    } doing[256];
    int doing_count;
};

static struct world world;

/* ---- keys and values ---- */

/* Keys of kind 'l' lists, 'a' accounts, 'i' inserts: spread over the shards by their number. */
static struct slice make_key(struct arena *a, char kind, uint32_t number)
{
    struct buf b = {0};
    key_prefix(&b, TABLE, 1);
    buf_put_u8(&b, (uint8_t)(number % SHARDS));
    buf_put_u8(&b, (uint8_t)kind);
    buf_put_u32(&b, number);
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

static const struct row_column layout = {.type = TYPE_BYTEA, .typmod = -1};

static struct slice make_value(struct arena *a, struct slice bytes)
{
    struct buf b = {0};
    struct datum d = datum_bytes(bytes);
    row_encode(&b, &layout, 1, &d);
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

struct read_many {
    struct slice keys[ACCOUNTS];
    int count;
    struct slice values[ACCOUNTS]; /* data NULL: no row */
};

static int compare_key_spans(const void *a, const void *b)
{
    return slice_cmp(((const struct key_span *)a)->start, ((const struct key_span *)b)->start);
}

/* Reads the rows of the keys in one scan (whose spans may cross shards). */
static struct status *read_keys(struct fiber *f, struct arena *a, struct txn *t, struct read_many *r, enum lock_mode lock)
{
    struct fragment fr = {.table_id = TABLE,
                          .index_id = 1,
                          .nrow_columns = 1,
                          .row_columns = (struct row_column *)(uintptr_t)&layout,
                          .ncolumns = 1,
                          .with_key = true,
                          .limit = -1,
                          .lock = lock};
    int column = 0;
    fr.columns = &column;
    fr.nspans = r->count;
    fr.spans = ARENA_ARRAY(a, struct key_span, r->count);
    for (int i = 0; i < r->count; i++) {
        uint8_t *end = arena_alloc(a, r->keys[i].len + 1);
        memcpy(end, r->keys[i].data, r->keys[i].len);
        end[r->keys[i].len] = 0;
        fr.spans[i] = (struct key_span){r->keys[i], slice_make(end, r->keys[i].len + 1), true};
        r->values[i] = (struct slice){0};
    }
    qsort(fr.spans, (size_t)r->count, sizeof(*fr.spans), compare_key_spans);
    struct op *op = txn_scan(a, t, &fr, false);
    struct status *st;
    for (;;) {
        struct batch *b;
        st = op_next(f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        for (int row = 0; row < b->nrows; row++) {
            for (int i = 0; i < r->count; i++) {
                if (slice_eq(r->keys[i], datum_slice(&b->cols[1][row]))) {
                    r->values[i] = arena_copy(a, datum_slice(&b->cols[0][row]));
                }
            }
        }
    }
    op_close(op);
    return st;
}

static struct status *write_one(struct fiber *f, struct arena *a, struct txn *t, struct slice key, struct slice bytes,
                                Sherd__V1__OpKind kind, bool is_last, struct txn_write_result *out)
{
    struct txn_write w = {.kind = kind, .key = key, .value = make_value(a, bytes)};
    return txn_write(f, t, a, &w, 1, TABLE, 0, is_last, out);
}

/* ---- outcomes ---- */

static enum outcome outcome_of(struct status *st)
{
    enum outcome o;
    if (st == NULL) {
        o = OUTCOME_COMMITTED;
    } else if (st->code == STATUS_UNKNOWN_OUTCOME || st->code == STATUS_INTERNAL) {
        o = OUTCOME_UNKNOWN;
    } else {
        o = OUTCOME_ABORTED;
    }
    if (world.cluster.trace && st != NULL) {
        printf("  %s: %s\n", status_code_name(st->code), st->message);
    }
    world.committed += o == OUTCOME_COMMITTED;
    world.aborted += o == OUTCOME_ABORTED;
    world.unknown += o == OUTCOME_UNKNOWN;
    status_free(st);
    if (o == OUTCOME_COMMITTED && world.healed_ns != 0) {
        world.commits_after_heal++;
    }
    return o;
}

static uint64_t now(void)
{
    return sim_now_ns(world.cluster.sim);
}

static uint64_t below(uint64_t n)
{
    return rng_below(&world.rng, n);
}

/* ---- transactions of the clients ---- */

static uint32_t *copy_seen(struct slice value, int *out_count)
{
    *out_count = (int)(value.len / 4);
    uint32_t *out = mem_alloc(value.len + 4);
    for (int i = 0; i < *out_count; i++) {
        out[i] = get_u32(value.data + 4 * i);
    }
    return out;
}

/* Reads and appends, interactive. */
static void list_txn(struct fiber *f, struct router *r)
{
    bool read_only = below(4) == 0;
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = read_only};
    struct history_txn *h = history_begin(&world.history, now(), read_only ? 'r' : 'm');
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    int nops = 1 + (int)below(read_only ? 4 : 3);
    for (int i = 0; i < nops && st == NULL; i++) {
        st = txn_statement_begin(f, t);
        struct history_op *op = &h->ops[h->op_count];
        struct read_many m = {.count = 1};
        op->key = (int)below(LIST_KEYS);
        m.keys[0] = make_key(a, 'l', (uint32_t)op->key);
        bool append = !read_only && below(2) == 0;
        if (st == NULL) {
            st = read_keys(f, a, t, &m, append && below(2) == 0 ? LOCK_UPDATE : LOCK_NONE);
        }
        if (st != NULL) {
            break;
        }
        op->seen = copy_seen(m.values[0], &op->seen_count);
        h->op_count++;
        if (append && h->op_count < HISTORY_OPS_MAX) {
            struct history_op *w = &h->ops[h->op_count++];
            w->key = op->key;
            w->is_append = true;
            w->element = ++world.next_element;
            struct buf b = {0};
            buf_put_slice(&b, m.values[0]);
            buf_put_u32(&b, w->element);
            struct txn_write_result res;
            st = write_one(f, a, t, m.keys[0], buf_slice(&b), SHERD__V1__OP_KIND__OP_PUT, false, &res);
            buf_deinit(&b);
        }
        if (status_is(st, STATUS_CONFLICT)) {
            struct status *refused = txn_refresh(f, t);
            if (refused == NULL) { /* run the statement again */
                status_free(st);
                st = NULL;
                while (h->op_count > 0 && &h->ops[h->op_count - 1] >= op) {
                    h->op_count--;
                    mem_free(h->ops[h->op_count].seen);
                    memset(&h->ops[h->op_count], 0, sizeof(h->ops[0]));
                }
            } else {
                status_free(refused);
            }
        }
        if (st == NULL && below(3) == 0) {
            st = fiber_sleep(f, below(20) * 1000000);
        }
    }
    if (st == NULL) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    enum outcome out = outcome_of(st);
    h->outcome = out;
    h->end_ns = out == OUTCOME_UNKNOWN ? UINT64_MAX : now();
    arena_destroy(a);
}

/* One read of one key without a transaction: LATEST (R2). */
static void latest_read(struct fiber *f, struct router *r)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true, .implicit = true};
    struct history_txn *h = history_begin(&world.history, now(), 'L');
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct history_op *op = &h->ops[0];
    struct read_many m = {.count = 1};
    op->key = (int)below(LIST_KEYS);
    m.keys[0] = make_key(a, 'l', (uint32_t)op->key);
    struct status *st = txn_statement_begin(f, t);
    txn_hint_single_scan(t);
    if (st == NULL) {
        st = read_keys(f, a, t, &m, LOCK_NONE);
    }
    if (st == NULL) {
        op->seen = copy_seen(m.values[0], &op->seen_count);
        h->op_count = 1;
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    h->outcome = outcome_of(st);
    h->end_ns = now();
    arena_destroy(a);
}

static void insert_txn(struct fiber *f, struct router *r)
{
    if (world.insert_count == 4096) {
        return;
    }
    uint32_t number = world.insert_count++;
    world.inserts[number].outcome = OUTCOME_UNKNOWN;
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .implicit = true};
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct txn_write_result res = {0};
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = write_one(f, a, t, make_key(a, 'i', number), slice_str("x"), SHERD__V1__OP_KIND__OP_INSERT, true, &res);
    }
    if (st == NULL && res.failed) {
        cluster_fail(&world.cluster, "insert %u met an existing row: it was done twice", number);
    }
    if (st == NULL) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    world.inserts[number].outcome = outcome_of(st);
    arena_destroy(a);
}

static int64_t balance_of(struct slice v)
{
    return v.len == 8 ? (int64_t)get_u64(v.data) : ACCOUNT_START;
}

static void transfer_txn(struct fiber *f, struct router *r)
{
    struct txn_options o = {.isolation = below(4) == 0 ? TXN_REPEATABLE_READ : TXN_SERIALIZABLE};
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct read_many m = {.count = 2};
    uint32_t from = (uint32_t)below(ACCOUNTS), to = (from + 1 + (uint32_t)below(ACCOUNTS - 1)) % ACCOUNTS;
    int64_t amount = (int64_t)below(10);
    m.keys[0] = make_key(a, 'a', from);
    m.keys[1] = make_key(a, 'a', to);
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = read_keys(f, a, t, &m, LOCK_UPDATE);
    }
    for (int i = 0; i < 2 && st == NULL; i++) {
        uint8_t bytes[8];
        set_u64(bytes, (uint64_t)(balance_of(m.values[i]) + (i == 0 ? -amount : amount)));
        struct txn_write_result res;
        st = write_one(f, a, t, m.keys[i], slice_make(bytes, 8), SHERD__V1__OP_KIND__OP_PUT, false, &res);
    }
    if (st == NULL) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    outcome_of(st);
    arena_destroy(a);
}

static void audit_txn(struct fiber *f, struct router *r)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct read_many m = {.count = ACCOUNTS};
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        m.keys[i] = make_key(a, 'a', i);
    }
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = read_keys(f, a, t, &m, LOCK_NONE);
    }
    if (st == NULL) {
        int64_t sum = 0;
        for (int i = 0; i < ACCOUNTS; i++) {
            sum += balance_of(m.values[i]);
        }
        if (sum != (int64_t)ACCOUNTS * ACCOUNT_START) {
            cluster_fail(&world.cluster, "money: a snapshot sums to %lld, not %d", (long long)sum, ACCOUNTS * ACCOUNT_START);
        }
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    outcome_of(st);
    arena_destroy(a);
}

static void client_fiber(struct fiber *f, struct cluster_node *n, void *arg)
{
    (void)arg;
    int me = world.doing_count < 255 ? world.doing_count++ : 255;
    world.doing[me].node = n->id;
    world.doing[me].fiber = f;
    world.doing[me].boots = n->boots;
    while (!world.is_ending) {
        if (world.history.count < TXNS_MAX) {
            uint64_t kind = below(8);
            world.doing[me].since_ns = now();
            world.doing[me].label = "itaLllll"[kind];
            switch (kind) {
            case 0:
                insert_txn(f, n->router);
                break;
            case 1:
                transfer_txn(f, n->router);
                break;
            case 2:
                audit_txn(f, n->router);
                break;
            case 3:
                latest_read(f, n->router);
                break;
            default:
                list_txn(f, n->router);
            }
        }
        world.doing[me].label = '-';
        if (status_consume(fiber_sleep(f, 1000000 + below(30) * 1000000))) {
            break;
        }
    }
    world.doing[me].label = 0;
    world.clients--;
}

static void start_clients(struct cluster_node *n, void *ctx)
{
    (void)ctx;
    for (int i = 0; i < CLIENTS_PER_NODE && !world.is_ending; i++) {
        world.clients++;
        cluster_spawn(n, client_fiber, NULL);
    }
}

/* ---- nemesis ---- */

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

static void crash(uint64_t id)
{
    struct cluster_node *n = &world.cluster.nodes[id];
    if (!n->is_up) {
        return;
    }
    if (n->is_booted) {
        world.clients -= CLIENTS_PER_NODE;
    }
    cluster_crash(&world.cluster, id, below(3) == 0 ? 100 : (int)below(101));
    later(below(1500) * 1000000 + 50000000, restart_now, id);
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
        if (!status_consume(rpc_call(f, n->rpc, (uint64_t)i, RPC_SHARD_CHANGE_REPLICA, &q, a, &reply))) {
            break;
        }
    }
    fiber_set_deadline(f, deadline);
    arena_destroy(a);
}

static void nemesis(void *ctx)
{
    (void)ctx;
    struct cluster *c = &world.cluster;
    if (world.healed_ns != 0) {
        return;
    }
    uint64_t id = 1 + below((uint64_t)c->node_count), other = 1 + below((uint64_t)c->node_count);
    struct cluster_node *n = &c->nodes[id];
    int what = (int)below(12);
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
        for (int i = 1; i <= c->node_count; i++) { /* isolated */
            sim_net_block(c->net, id, (uint64_t)i, true);
            sim_net_block(c->net, (uint64_t)i, id, true);
        }
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
        if (n->is_up && !n->is_paused) {
            n->is_paused = true;
            sim_loop_pause(n->loop, true);
            later(below(2000) * 1000000, resume_now, id);
        }
        break;
    case 9:
        if (n->is_up) {
            sim_loop_disk(n->loop, below(5000000), below(20000000) + 1);
        }
        break;
    case 10:
        if (n->is_up) {
            sim_loop_clock(n->loop, 0.995 + (double)below(11) / 1000.0, (int64_t)below(7200000000) - 3600000000);
        }
        break;
    default:
        if (n->is_booted) {
            struct transfer *x = MEM_NEW(struct transfer);
            *x = (struct transfer){2 + below(SHARDS), other};
            cluster_spawn(n, transfer_fiber, x);
        }
    }
    sim_at(c->sim, now() + 50000000 + below(400) * 1000000, nemesis, NULL);
}

static void heal(void)
{
    struct cluster *c = &world.cluster;
    sim_net_heal(c->net);
    world.healed_ns = now();
    for (int i = 1; i <= c->node_count; i++) {
        struct cluster_node *n = &c->nodes[i];
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

/* ---- the end: last reads, checks ---- */

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

struct finish {
    bool is_done;
};

static void final_reads(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct finish *done = arg;
    struct status *st = NULL;
    /* One transaction per key that reads it all: it must see every acknowledged write. */
    for (int tries = 0; tries < 50; tries++) {
        struct arena *a = arena_create(0);
        struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
        struct txn *t = txn_begin(n->router, &o);
        struct history_txn *h = history_begin(&world.history, now(), 'F');
        struct read_many m = {.count = LIST_KEYS};
        for (uint32_t i = 0; i < LIST_KEYS; i++) {
            m.keys[i] = make_key(a, 'l', i);
        }
        status_free(st);
        st = txn_statement_begin(f, t);
        if (st == NULL) {
            st = read_keys(f, a, t, &m, LOCK_NONE);
        }
        for (int i = 0; i < LIST_KEYS && st == NULL && i < HISTORY_OPS_MAX; i++) {
            h->ops[i].key = i;
            h->ops[i].seen = copy_seen(m.values[i], &h->ops[i].seen_count);
            h->op_count = i + 1;
        }
        if (st == NULL) {
            st = txn_commit(f, t);
        } else {
            txn_rollback(f, t);
        }
        h->outcome = st == NULL ? OUTCOME_COMMITTED : OUTCOME_ABORTED;
        h->end_ns = now();
        arena_destroy(a);
        if (st == NULL) {
            break;
        }
        status_consume(fiber_sleep(f, 100000000));
    }
    if (st != NULL) {
        cluster_fail(&world.cluster, "last reads: %s", st->message);
    }
    for (uint32_t i = 0; i < world.insert_count; i++) {
        struct arena *a = arena_create(0);
        struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
        struct txn *t = txn_begin(n->router, &o);
        struct read_many m = {.count = 1};
        m.keys[0] = make_key(a, 'i', i);
        st = txn_statement_begin(f, t);
        if (st == NULL) {
            st = read_keys(f, a, t, &m, LOCK_NONE);
        }
        txn_rollback(f, t);
        if (st != NULL) {
            cluster_fail(&world.cluster, "last reads: %s", st->message);
        }
        bool is_there = m.values[0].data != NULL;
        if (is_there && world.inserts[i].outcome == OUTCOME_ABORTED) {
            cluster_fail(&world.cluster, "insert %u was told to be aborted and is there", i);
        }
        if (!is_there && world.inserts[i].outcome == OUTCOME_COMMITTED) {
            cluster_fail(&world.cluster, "insert %u was acknowledged and is gone", i);
        }
        arena_destroy(a);
    }
    done->is_done = true;
}

static bool is_finished(void *ctx)
{
    return ((struct finish *)ctx)->is_done;
}

/* The data of all replicas, byte for byte: newest versions and history. */
static void compare_replicas(void)
{
    struct cluster *c = &world.cluster;
    static const uint8_t kinds[] = {'d', 'h'};
    for (int k = 0; k < 2; k++) {
        struct store_iter *first = store_iter_create(c->nodes[1].state, NULL);
        for (int i = 2; i <= c->node_count; i++) {
            struct store_iter *it = store_iter_create(c->nodes[i].state, NULL);
            struct slice start = slice_make(&kinds[k], 1);
            uint8_t end_byte = (uint8_t)(kinds[k] + 1);
            struct slice end = slice_make(&end_byte, 1);
            store_iter_seek(first, start);
            store_iter_seek(it, start);
            for (;;) {
                bool a = store_iter_valid(first) && slice_cmp(store_iter_key(first), end) < 0;
                bool b = store_iter_valid(it) && slice_cmp(store_iter_key(it), end) < 0;
                if (!a && !b) {
                    break;
                }
                if (a != b || !slice_eq(store_iter_key(first), store_iter_key(it)) ||
                    !slice_eq(store_iter_value(first), store_iter_value(it))) {
                    cluster_fail(c, "replicas of nodes 1 and %d differ in '%c'", i, kinds[k]);
                }
                store_iter_next(first);
                store_iter_next(it);
            }
            store_iter_destroy(it);
        }
        store_iter_destroy(first);
    }
}

static bool are_applied(void *ctx)
{
    (void)ctx;
    struct cluster *c = &world.cluster;
    uint64_t commit[8] = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 1; i <= c->node_count; i++) {
            struct arena *a = arena_create(0);
            Sherd__V1__ReplicaStatus **r;
            size_t n = shard_server_report(c->nodes[i].shards, a, &r);
            bool behind = n < SHARDS;
            for (size_t k = 0; k < n; k++) {
                if (r[k]->shard_id >= 8) {
                    continue;
                }
                if (pass == 0 && r[k]->last > commit[r[k]->shard_id]) {
                    commit[r[k]->shard_id] = r[k]->last;
                }
                behind |= (pass == 1 && r[k]->applied < commit[r[k]->shard_id]) || r[k]->prepared > 0;
            }
            arena_destroy(a);
            if (behind) {
                return false;
            }
        }
    }
    return true;
}

static int run_seed(uint64_t seed, int nodes, bool calm, bool trace)
{
    struct cluster *c = &world.cluster;
    world.calm = calm;
    world.history.key_count = LIST_KEYS;
    rng_seed(&world.rng, seed ^ 0x5eed);
    cluster_init(c, seed, nodes);
    c->trace = trace;
    for (int i = 1; i <= nodes; i++) {
        cluster_boot(c, (uint64_t)i);
    }
    if (!cluster_wait_booted(c, 20 * SECOND)) {
        cluster_fail(c, "the cluster did not start");
    }
    struct slice cuts[SHARDS - 1];
    struct arena *a = arena_create(0);
    for (int i = 1; i < SHARDS; i++) {
        struct buf b = {0};
        key_prefix(&b, TABLE, 1);
        buf_put_u8(&b, (uint8_t)i);
        cuts[i - 1] = arena_copy(a, buf_slice(&b));
        buf_deinit(&b);
    }
    if (!cluster_split(c, cuts, SHARDS - 1, 20 * SECOND)) {
        cluster_fail(c, "the shards were not split");
    }
    c->on_booted = start_clients;
    for (int i = 1; i <= nodes; i++) {
        start_clients(&c->nodes[i], NULL);
    }
    if (!calm) {
        sim_at(c->sim, now() + 300000000, nemesis, NULL);
    }
    sim_run(c->sim, now() + RUN_NS, NULL, NULL);
    heal();
    if (!cluster_wait_booted(c, 20 * SECOND)) {
        cluster_fail(c, "not all nodes serve 20 s after the faults");
    }
    if (!sim_run(c->sim, now() + 20 * SECOND, has_progress, NULL) && world.history.count < TXNS_MAX) {
        cluster_fail(c, "no progress in the 20 s after the faults: %d commits", world.commits_after_heal);
    }
    world.is_ending = true;
    if (!sim_run(c->sim, now() + 60 * SECOND, no_clients, NULL)) {
        for (int i = 0; i < world.doing_count; i++) {
            const struct cluster_node *n = &c->nodes[world.doing[i].node];
            if (world.doing[i].label != 0 && n->boots == world.doing[i].boots) {
                printf("node %d: a client is in '%c' since %.3f s\n", (int)n->id, world.doing[i].label,
                       (double)world.doing[i].since_ns / 1e9);
            }
        }
        cluster_fail(c, "%d clients still wait 60 s after the faults", world.clients);
    }
    struct finish done = {0};
    cluster_spawn(&c->nodes[1], final_reads, &done);
    if (!sim_run(c->sim, now() + 60 * SECOND, is_finished, &done)) {
        cluster_fail(c, "the last reads do not end");
    }
    if (!sim_run(c->sim, now() + 30 * SECOND, are_applied, NULL)) {
        cluster_fail(c, "replicas do not catch up, or transactions stay prepared");
    }
    compare_replicas();
    char *anomaly = history_check(&world.history);
    if (anomaly != NULL) {
        cluster_fail(c, "%s", anomaly);
    }
    if (trace || calm) {
        printf("seed %llu: %d committed, %d aborted, %d unknown, %d inserts, %llu events, %llu messages\n",
               (unsigned long long)seed, world.committed, world.aborted, world.unknown, (int)world.insert_count,
               (unsigned long long)sim_event_count(c->sim), (unsigned long long)sim_net_message_count(c->net));
    }
    arena_destroy(a);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'n'},
        {"nodes", required_argument, NULL, 'N'}, {"bug", required_argument, NULL, 'b'},
        {"expect-failure", no_argument, NULL, 'e'}, {"calm", no_argument, NULL, 'c'},
        {"trace", no_argument, NULL, 't'},       {NULL, 0, NULL, 0},
    };
    uint64_t seed = 1, seeds = 1;
    int nodes = 3, c;
    bool expect_failure = false, calm = false, trace = false;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            seeds = strtoull(optarg, NULL, 10);
            break;
        case 'N':
            nodes = atoi(optarg);
            break;
        case 'b':
            if (!bug_set(optarg, true)) {
                fprintf(stderr, "there is no bug \"%s\"\n", optarg);
                return 2;
            }
            break;
        case 'e':
            expect_failure = true;
            break;
        case 'c':
            calm = true;
            break;
        case 't':
            trace = true;
            break;
        default:
            fprintf(stderr, "usage: sherd_sim --seed N [--seeds COUNT] [--nodes N] [--bug NAME] [--expect-failure] "
                            "[--calm] [--trace]\n");
            return 2;
        }
    }
    log_set_level(trace ? LOG_DEBUG : LOG_ERROR);
    if (seeds == 1 && !expect_failure) {
        return run_seed(seed, nodes, calm, trace);
    }
    uint64_t failed = 0;
    for (uint64_t i = 0; i < seeds; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            if (expect_failure) {
                /* The failure is the point: its text only with --trace. */
                if (!trace && freopen("/dev/null", "w", stdout) == NULL) {
                    _exit(2);
                }
            }
            int code = run_seed(seed + i, nodes, calm, trace);
            fflush(stdout);
            _exit(code);
        }
        int status;
        if (waitpid(pid, &status, 0) != pid) {
            perror("waitpid");
            return 2;
        }
        if (status != 0) {
            failed++;
            if (expect_failure) {
                printf("caught by seed %llu, the %llu. tried\n", (unsigned long long)(seed + i),
                       (unsigned long long)(i + 1));
                return 0;
            }
            if (WIFSIGNALED(status)) {
                printf("FAILED seed %llu: signal %d\n", (unsigned long long)(seed + i), WTERMSIG(status));
            }
        }
    }
    printf("%llu seeds, %llu failed\n", (unsigned long long)seeds, (unsigned long long)failed);
    return expect_failure || failed > 0 ? 1 : 0;
}
