/*
 * What one seed does: the cluster's start, clients, nemesis, and the checks at the end. See
 * sherd_sim.h; the command line is in main.c.
 */
#include "sherd_sim.h"

#include "cluster.h"
#include "history.h"
#include "rows.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metadata/timestamps.h"
#include "mvcc.h"
#include "sql/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_KEYS 6
#define ACCOUNT_START 100
#define CLIENTS_PER_NODE 3
#define RUN_NS (6 * SECOND)
#define TXNS_MAX 700
#define RACES_MAX 2048
#define SPLITS_MAX 4
#define REPORTS_MAX 256

struct world {
    struct cluster cluster;
    struct history history;
    struct history
        weak; /* of READ COMMITTED and REPEATABLE READ clients, who have keys of their own */
    enum txn_isolation isolation; /* of the clients of `history` */
    uint32_t next_element;
    struct race { /* an insert of a key that others insert too; by token, from 1 */
        uint32_t number;
        bool is_pair; /* two keys in one transaction */
        bool met_other;
        enum outcome outcome;
    } races[RACES_MAX];
    uint32_t race_count, race_next;
    int splits;
    bool has_drained;
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

static void forget_ops(struct history_txn *h, int count)
{
    while (h->op_count > count) {
        h->op_count--;
        mem_free(h->ops[h->op_count].seen);
        memset(&h->ops[h->op_count], 0, sizeof(h->ops[0]));
    }
}

struct list_client {
    struct history *history;
    char kind, label;
    enum txn_isolation isolation;
    bool locks; /* every read before an append takes the lock */
};

/* One statement: a read of a list, perhaps an append to it. */
static struct status *list_statement(struct fiber *f, struct arena *a, struct txn *t,
                                     const struct list_client *c, struct history_txn *h,
                                     bool read_only)
{
    struct history_op *op = &h->ops[h->op_count];
    struct read_many m = {.count = 1};
    op->key = (int)below(LIST_KEYS);
    m.keys[0] = make_key(a, c->kind, (uint32_t)op->key);
    bool append = !read_only && h->op_count + 1 < HISTORY_OPS_MAX && below(2) == 0;
    enum lock_mode lock = LOCK_NONE;
    if (append && (c->locks || below(2) == 0)) {
        lock = LOCK_UPDATE;
    } else if (!append && !read_only && below(5) == 0) {
        lock = below(2) == 0 ? LOCK_SHARE : LOCK_UPDATE;
    }
    if (append && below(2) == 0) {
        struct slice row;
        bool changed;
        uint32_t element = ++world.next_element;
        TRY(append_in_shard(f, a, t, m.keys[0], element, false, &row, &changed));
        if (changed) {
            op->seen = copy_seen(slice_make(row.data, row.len - 4), &op->seen_count);
            h->op_count += 2;
            h->ops[h->op_count - 1] =
                (struct history_op){.key = op->key, .is_append = true, .element = element};
            return NULL;
        }
    }
    if (!append) {
        txn_hint_single_scan(t); /* as the planner does: it matters to implicit ones only */
    }
    TRY(read_keys(f, a, t, &m, lock));
    op->seen = copy_seen(m.values[0], &op->seen_count);
    h->op_count++;
    if (!append) {
        return NULL;
    }
    struct history_op *w = &h->ops[h->op_count++];
    w->key = op->key;
    w->is_append = true;
    w->element = ++world.next_element;
    struct buf b = {0};
    buf_put_slice(&b, m.values[0]);
    buf_put_u32(&b, w->element);
    /* As INSERT and UPDATE do: a row that is not there cannot be locked by the read. */
    Sherd__V1__OpKind kind =
        m.values[0].data == NULL ? SHERD__V1__OP_KIND__OP_INSERT : SHERD__V1__OP_KIND__OP_PUT;
    struct txn_write_result res;
    struct status *st = write_one(f, a, t, m.keys[0], buf_slice(&b), kind, false, &res);
    buf_deinit(&b);
    return st == NULL && res.failed ? status_new(CONSTRAINT, "duplicate key") : st;
}

/* Reads and appends, interactive. */
static void list_txn(struct fiber *f, struct router *r, const struct list_client *c)
{
    bool read_only = below(4) == 0;
    struct txn_options o = {.isolation = c->isolation, .read_only = read_only};
    struct history_txn *h =
        history_begin(c->history, now(), read_only && c->label == 'm' ? 'r' : c->label);
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    int nops = 1 + (int)below(read_only ? 4 : 3);
    for (int i = 0; i < nops && st == NULL; i++) {
        uint64_t savepoint = !read_only && below(6) == 0 ? txn_savepoint(t) : 0;
        int before = h->op_count;
        st = txn_statement_begin(f, t);
        if (st == NULL) {
            st = list_statement(f, a, t, c, h, read_only);
        }
        if (status_is(st, STATUS_CONFLICT)) {
            struct status *refused = txn_refresh(f, t);
            if (refused == NULL) { /* run the statement again */
                status_free(st);
                st = NULL;
                forget_ops(h, before);
            } else {
                status_free(refused);
            }
        } else if (st == NULL && savepoint != 0) {
            st = txn_rollback_to(
                f, t, savepoint); /* what was read stays read, what was written is gone (W6) */
            forget_ops(h, before + 1);
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

/* One append without a transaction: row, lock and commit in one call (section 7). */
static void auto_append(struct fiber *f, struct router *r)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .implicit = true};
    struct arena *a = arena_create(0);
    int key = (int)below(LIST_KEYS);
    uint32_t element = ++world.next_element;
    struct history_txn *h = history_begin(&world.history, now(), 'A');
    struct txn *t = txn_begin(r, &o);
    struct slice row;
    bool changed = false;
    h->op_count = 1; /* from here on it may happen, also when this node does not see it */
    h->ops[0] = (struct history_op){.key = key, .is_append = true, .element = element};
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = append_in_shard(f, a, t, make_key(a, 'l', (uint32_t)key), element, true, &row,
                             &changed);
    }
    if (st == NULL) {
        h->op_count = changed ? 1 : 0;
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
        st = write_one(f, a, t, make_key(a, 'i', number), slice_str("x"),
                       SHERD__V1__OP_KIND__OP_INSERT, true, &res);
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

/* Several clients insert the same keys: one of them wins, in both keys of a pair or in none. */
static void race_txn(struct fiber *f, struct router *r)
{
    if (world.race_count + 1 >= RACES_MAX) {
        return;
    }
    uint32_t token = ++world.race_count;
    struct race *race = &world.races[token];
    world.race_next += below(3) == 0;
    race->number = world.race_next;
    race->is_pair = below(2) == 0;
    struct txn_options o = {.isolation = (enum txn_isolation)below(3), .implicit = !race->is_pair};
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    uint8_t bytes[4];
    set_u32(bytes, token);
    struct txn_write_result res = {0};
    struct status *st = txn_statement_begin(f, t);
    for (uint32_t i = 0; i < (race->is_pair ? 2u : 1u) && st == NULL && !res.failed; i++) {
        st = write_one(f, a, t, make_key(a, i == 0 ? 'u' : 'v', race->number + i),
                       slice_make(bytes, 4), SHERD__V1__OP_KIND__OP_INSERT, !race->is_pair, &res);
    }
    race->met_other = st == NULL && res.failed;
    if (st == NULL && !res.failed) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    enum outcome out = outcome_of(st);
    race->outcome = race->met_other ? OUTCOME_ABORTED : out;
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
    uint32_t from = (uint32_t)below(ACCOUNTS),
             to = (from + 1 + (uint32_t)below(ACCOUNTS - 1)) % ACCOUNTS;
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
        st = write_one(f, a, t, m.keys[i], slice_make(bytes, 8), SHERD__V1__OP_KIND__OP_PUT, false,
                       &res);
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
            cluster_fail(&world.cluster, "money: a snapshot sums to %lld, not %d", (long long)sum,
                         ACCOUNTS * ACCOUNT_START);
        }
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    outcome_of(st);
    arena_destroy(a);
}

static bool same_values(const struct read_many *a, const struct read_many *b)
{
    for (int i = 0; i < ACCOUNTS; i++) {
        if ((a->values[i].data == NULL) != (b->values[i].data == NULL) ||
            slice_cmp(a->values[i], b->values[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* All accounts as of a moment ago, by whichever replica is here, and by the leaders: the same, and
 * the sum of all money. */
static void past_txn(struct fiber *f, struct router *r)
{
    uint64_t now_ts;
    if (status_consume(meta_timestamp(f, router_meta(r), &now_ts))) {
        return;
    }
    static const uint64_t ages_ms[] = {1, 20, 3000};
    uint64_t back = tso_of_wall((int64_t)below(ages_ms[below(3)]));
    struct txn_options o = {.isolation = TXN_SERIALIZABLE,
                            .read_only = true,
                            .as_of = now_ts > back ? now_ts - back : 1};
    struct arena *a = arena_create(0);
    struct read_many m[2] = {{.count = ACCOUNTS}, {.count = ACCOUNTS}};
    struct status *st = NULL;
    uint64_t first = below(2);
    for (uint64_t k = 0; k < 2 && st == NULL; k++) {
        struct read_many *x = &m[k];
        for (uint32_t i = 0; i < ACCOUNTS; i++) {
            x->keys[i] = make_key(a, 'a', i);
        }
        o.may_follow = k == first;
        struct txn *t = txn_begin(r, &o);
        st = txn_statement_begin(f, t);
        if (st == NULL) {
            st = read_keys(f, a, t, x, LOCK_NONE);
        }
        txn_rollback(f, t);
        if (st == NULL) {
            st = fiber_sleep(f, below(50) * 1000000);
        }
    }
    if (st == NULL) {
        int64_t sum = 0;
        for (int i = 0; i < ACCOUNTS; i++) {
            sum += balance_of(m[0].values[i]);
        }
        if (sum != (int64_t)ACCOUNTS * ACCOUNT_START) {
            cluster_fail(&world.cluster, "past: the money as of %llu sums to %lld, not %d",
                         (unsigned long long)o.as_of, (long long)sum, ACCOUNTS * ACCOUNT_START);
        }
        if (!same_values(&m[0], &m[1])) {
            cluster_fail(&world.cluster, "past: a follower read as of %llu what the leader did not",
                         (unsigned long long)o.as_of);
        }
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
    const struct list_client strict = {&world.history, 'l', 'm', world.isolation, false};
    const struct list_client committed = {&world.weak, 'w', 'c', TXN_READ_COMMITTED, true};
    const struct list_client repeatable = {&world.weak, 'w', 'p', TXN_REPEATABLE_READ, false};
    while (!world.is_ending) {
        if (world.history.count < TXNS_MAX) {
            uint64_t kind = below(16);
            world.doing[me].since_ns = now();
            world.doing[me].label = "itaLucpLLAlllllP"[kind];
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
            case 7:
            case 8:
                latest_read(f, n->router);
                break;
            case 4:
                race_txn(f, n->router);
                break;
            case 5:
                list_txn(f, n->router, &committed);
                break;
            case 6:
                list_txn(f, n->router, &repeatable);
                break;
            case 15:
                past_txn(f, n->router);
                break;
            case 9:
                auto_append(f, n->router);
                break;
            default:
                list_txn(f, n->router, &strict);
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
        world.clients -= CLIENTS_PER_NODE;
    }
    cluster_crash(&world.cluster, id, below(3) == 0 ? 100 : (int)below(101));
    restart_later(id);
}

/* Its disk refused a write: the process ends, as after a kill. */
static void disk_failed(struct cluster_node *n, void *ctx)
{
    (void)ctx;
    if (n->is_booted) {
        world.clients -= CLIENTS_PER_NODE;
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

static void nemesis(void *ctx)
{
    (void)ctx;
    struct cluster *c = &world.cluster;
    if (world.healed_ns != 0) {
        return;
    }
    uint64_t id = 1 + below((uint64_t)c->node_count), other = 1 + below((uint64_t)c->node_count);
    struct cluster_node *n = &c->nodes[id];
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
            sim_loop_clock(n->loop, 0.995 + (double)below(11) / 1000.0,
                           (int64_t)below(7200000000) - 3600000000);
        }
        break;
    case 11:
        if (n->is_up) {
            cluster_fail_disk(c, id, below(2) == 0 ? STATUS_IO : STATUS_LIMIT);
        }
        break;
    case 12:
        if (n->is_booted && world.splits < SPLITS_MAX) {
            struct arena *a = arena_create(0);
            world.splits++;
            cluster_split_later(n, make_key(a, "lawiu"[below(5)], (uint32_t)below(LIST_KEYS)));
            arena_destroy(a);
        }
        break;
    case 13:
        if (n->is_booted && c->node_count > 3 && !world.has_drained) {
            world.has_drained = true;
            cluster_drain_later(n, other, true);
        }
        break;
    default:
        if (n->is_booted) {
            struct transfer *x = MEM_NEW(struct transfer);
            *x = (struct transfer){2 + below((uint64_t)(SHARDS + world.splits)), other};
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
        cluster_fail_disk(c, (uint64_t)i, STATUS_OK);
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

/* One transaction that reads all lists: it must see every acknowledged write. */
static struct status *read_lists(struct fiber *f, struct cluster_node *n, struct history *history,
                                 char kind)
{
    struct arena *a = arena_create(0);
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
    struct txn *t = txn_begin(n->router, &o);
    struct history_txn *h = history_begin(history, now(), 'F');
    struct read_many m = {.count = LIST_KEYS};
    static_assert(LIST_KEYS <= HISTORY_OPS_MAX && LIST_KEYS <= ACCOUNTS,
                  "one transaction reads all lists");
    for (uint32_t i = 0; i < LIST_KEYS; i++) {
        m.keys[i] = make_key(a, kind, i);
    }
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = read_keys(f, a, t, &m, LOCK_NONE);
    }
    for (int i = 0; i < LIST_KEYS && st == NULL; i++) {
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
    return st;
}

static void last_lists(struct fiber *f, struct cluster_node *n, struct history *history, char kind)
{
    struct status *st = NULL;
    for (int tries = 0; tries < 50; tries++) {
        status_free(st);
        st = read_lists(f, n, history, kind);
        if (st == NULL) {
            return;
        }
        status_free(fiber_sleep(f, 100000000));
    }
    cluster_stuck(&world.cluster, "last reads: %s", st->message);
}

static struct slice last_value(struct fiber *f, struct cluster_node *n, struct arena *a, char kind,
                               uint32_t number)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
    struct txn *t = txn_begin(n->router, &o);
    struct read_many m = {.count = 1};
    m.keys[0] = make_key(a, kind, number);
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = read_keys(f, a, t, &m, LOCK_NONE);
    }
    txn_rollback(f, t);
    if (st != NULL) {
        cluster_stuck(&world.cluster, "last reads: %s", st->message);
    }
    return m.values[0];
}

static uint32_t last_token(struct fiber *f, struct cluster_node *n, struct arena *a, char kind,
                           uint32_t number)
{
    struct slice v = last_value(f, n, a, kind, number);
    return v.data == NULL ? 0 : get_u32(v.data);
}

/* Who won the key. */
static void check_race(uint32_t number, uint32_t u, uint32_t v)
{
    struct cluster *c = &world.cluster;
    if (u > world.race_count || (u != 0 && world.races[u].number != number)) {
        cluster_fail(c, "unique: key %u holds token %u, which was not inserted there", number, u);
    }
    if (u != 0 && world.races[u].outcome == OUTCOME_ABORTED) {
        cluster_fail(c, "unique: key %u holds token %u, which was told to be aborted", number, u);
    }
    if (v != 0 && v != u) {
        cluster_fail(c, "unique: half a transaction: the keys of %u hold tokens %u and %u", number,
                     u, v);
    }
    if (u != 0 && world.races[u].is_pair && v != u) {
        cluster_fail(c, "unique: half a transaction: of token %u only the first key is there", u);
    }
    for (uint32_t i = 1; i <= world.race_count; i++) {
        const struct race *x = &world.races[i];
        if (x->number == number && x->outcome == OUTCOME_COMMITTED && i != u) {
            cluster_fail(c, "unique: tokens %u and %u of key %u: the first was acknowledged", i, u,
                         number);
        }
        if (x->number == number && x->met_other && u == 0) {
            cluster_fail(c, "unique: token %u was told that key %u exists, and it does not", i,
                         number);
        }
    }
}

static void final_reads(struct fiber *f, struct cluster_node *n, void *arg)
{
    struct finish *done = arg;
    last_lists(f, n, &world.history, 'l');
    last_lists(f, n, &world.weak, 'w');
    for (uint32_t i = 0; i < world.insert_count; i++) {
        struct arena *a = arena_create(0);
        bool is_there = last_value(f, n, a, 'i', i).data != NULL;
        if (is_there && world.inserts[i].outcome == OUTCOME_ABORTED) {
            cluster_fail(&world.cluster, "insert %u was told to be aborted and is there", i);
        }
        if (!is_there && world.inserts[i].outcome == OUTCOME_COMMITTED) {
            cluster_fail(&world.cluster, "insert %u was acknowledged and is gone", i);
        }
        arena_destroy(a);
    }
    for (uint32_t i = 0; i <= world.race_next; i++) {
        struct arena *a = arena_create(0);
        check_race(i, last_token(f, n, a, 'u', i), last_token(f, n, a, 'v', i + 1));
        arena_destroy(a);
    }
    done->is_done = true;
}

static bool is_finished(void *ctx)
{
    return ((struct finish *)ctx)->is_done;
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

static bool compare_shard(void *ctx, const struct shard_info *s)
{
    (void)ctx;
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
};

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
        bool is_good = false;
        for (int i = 0; i < r->count && !is_good; i++) {
            is_good = r->items[i].node == s->replicas[k].node_id &&
                      r->items[i].shard == s->shard_id && r->items[i].applied == last &&
                      !r->items[i].is_prepared;
        }
        r->is_behind |= !is_good || !s->replicas[k].is_voter;
    }
    return !r->is_behind;
}

static bool has_job(void *ctx, struct slice key, struct slice value, uint64_t mod_revision)
{
    (void)key;
    (void)value;
    (void)mod_revision;
    *(bool *)ctx = true;
    return false;
}

static bool are_applied(void *ctx)
{
    (void)ctx;
    struct cluster *c = &world.cluster;
    struct meta_client *meta = c->nodes[1].meta;
    struct reports all = {.count = 0};
    meta_scan(meta, slice_str("job/"), has_job, &all.is_behind);
    for (int i = 1; i <= c->node_count && !all.is_behind; i++) {
        struct arena *a = arena_create(0);
        Sherd__V1__ReplicaStatus **r;
        size_t n = shard_server_report(c->nodes[i].shards, a, &r);
        for (size_t k = 0; k < n && all.count < REPORTS_MAX; k++) {
            all.items[all.count].node = (uint64_t)i;
            all.items[all.count].shard = r[k]->shard_id;
            all.items[all.count].last = r[k]->last;
            all.items[all.count].applied = r[k]->applied;
            all.items[all.count++].is_prepared = r[k]->prepared > 0;
            all.is_behind |= shard_map_by_id(meta, r[k]->shard_id) == NULL;
        }
        arena_destroy(a);
    }
    struct slice none = slice_make(NULL, 0);
    if (!all.is_behind) {
        shard_map_scan(meta, none, none, is_settled, &all);
    }
    return !all.is_behind;
}

int sim_run_seed(uint64_t seed, const struct sim_options *options)
{
    struct cluster *c = &world.cluster;
    int nodes = options->nodes;
    bool calm = options->calm, trace = options->trace;
    world.isolation = options->isolation;
    world.calm = calm;
    world.history.key_count = world.weak.key_count = LIST_KEYS;
    rng_seed(&world.rng, seed ^ 0x5eed);
    if (nodes == 0) {
        nodes = seed % 4 == 3 ? 5 : 3;
    }
    cluster_init(c, seed, nodes);
    c->trace = trace;
    for (int i = 1; i <= nodes; i++) {
        cluster_boot(c, (uint64_t)i);
    }
    if (!cluster_wait_booted(c, 20 * SECOND)) {
        cluster_stuck(c, "the cluster did not start");
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
        cluster_stuck(c, "the shards were not split");
    }
    c->on_booted = start_clients;
    c->on_failed = disk_failed;
    for (int i = 1; i <= nodes; i++) {
        start_clients(&c->nodes[i], NULL);
    }
    if (!calm) {
        sim_at(c->sim, now() + 300000000, nemesis, NULL);
    }
    sim_run(c->sim, now() + RUN_NS, NULL, NULL);
    heal();
    if (!cluster_wait_booted(c, 20 * SECOND)) {
        cluster_stuck(c, "not all nodes serve 20 s after the faults");
    }
    if (!sim_run(c->sim, now() + 20 * SECOND, has_progress, NULL) &&
        world.history.count < TXNS_MAX) {
        cluster_stuck(c, "no progress in the 20 s after the faults: %d commits",
                      world.commits_after_heal);
    }
    world.is_ending = true;
    if (!sim_run(c->sim, now() + 60 * SECOND, no_clients, NULL)) {
        for (int i = 0; i < world.doing_count; i++) {
            const struct cluster_node *n = &c->nodes[world.doing[i].node];
            if (world.doing[i].label != 0 && n->boots == world.doing[i].boots) {
                printf("node %d: a client is in '%c' since %.3f s\n", (int)n->id,
                       world.doing[i].label, (double)world.doing[i].since_ns / 1e9);
            }
        }
        cluster_stuck(c, "%d clients still wait 60 s after the faults", world.clients);
    }
    struct finish done = {0};
    cluster_spawn(&c->nodes[1], final_reads, &done);
    if (!sim_run(c->sim, now() + 60 * SECOND, is_finished, &done)) {
        cluster_stuck(c, "the last reads do not end");
    }
    if (!sim_run(c->sim, now() + 30 * SECOND, are_applied, NULL)) {
        cluster_stuck(c, "replicas do not catch up, or transactions stay prepared");
    }
    compare_replicas();
    char *anomaly = history_check(&world.history, HISTORY_STRICT);
    if (anomaly == NULL) {
        anomaly = history_check(&world.weak, HISTORY_COMMITTED);
    }
    if (anomaly != NULL) {
        cluster_fail(c, "%s", anomaly);
    }
    if (trace || calm) {
        printf("seed %llu: %d committed, %d aborted, %d unknown, %d inserts, %llu events, %llu "
               "messages\n",
               (unsigned long long)seed, world.committed, world.aborted, world.unknown,
               (int)world.insert_count, (unsigned long long)sim_event_count(c->sim),
               (unsigned long long)sim_net_message_count(c->net));
    }
    arena_destroy(a);
    return 0;
}
