/*
 * Clients on the coordinator's interface (router/txn.h), without SQL: interactive transactions that
 * read lists and append to them at every level, reads without a timestamp (R2), inserts that carry
 * their commit, races for the same keys, transfers of money under locks, audits of the
 * sum, and reads of the past by whichever replica is here.
 *
 * The histories of the strict clients are checked after Elle's list-append method; those of the
 * weaker levels without rw edges. Each insert is there once, as told; of racing inserts exactly the
 * winner that was told so; every audit sums to the same.
 */
#include "rows.h"
#include "workload.h"

#include "base/check.h"
#include "base/mem.h"
#include "metadata/timestamps.h"

#include <stdlib.h>
#include <string.h>

#define LIST_KEYS 6
#define ACCOUNTS 8
#define ACCOUNT_START 100
#define TXNS_MAX 700
#define RACES_MAX 2048
#define INSERTS_MAX 4096

struct race { /* an insert of a key that others insert too; by token, from 1 */
    uint32_t number;
    bool is_pair; /* two keys in one transaction */
    bool met_other;
    enum told outcome;
};

static struct history strict, weak; /* weak: clients with keys of their own */
static uint32_t next_element;
static struct race races[RACES_MAX];
static uint32_t race_count, race_next;
static enum told inserts[INSERTS_MAX]; /* by number, what the client was told */
static uint32_t insert_count;

/* ---- transactions ---- */

/* COMMIT or ROLLBACK, as told, also in the history. */
static enum told end(struct fiber *f, struct txn *t, struct status *st, struct history_txn *h)
{
    enum told told = world_outcome(commit_or_undo(f, t, st));
    if (h != NULL) {
        history_end(h, told, now());
    }
    return told;
}

/* One statement that reads. */
static struct status *read_statement(struct fiber *f, struct arena *a, struct txn *t,
                                     struct read_many *m, enum lock_mode lock)
{
    TRY(txn_statement_begin(f, t));
    txn_hint_single_scan(t); /* as the planner does: it matters to implicit ones only */
    return read_keys(f, a, t, m, lock);
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
    m.keys[0] = world_row_key(a, c->kind, (uint32_t)op->key);
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
        uint32_t element = ++next_element;
        TRY(append_in_shard(f, a, t, m.keys[0], element, false, &row, &changed));
        if (changed) {
            history_see(op, row.data, row.len - 4);
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
    history_see(op, m.values[0].data, m.values[0].len);
    h->op_count++;
    if (!append) {
        return NULL;
    }
    struct history_op *w = &h->ops[h->op_count++];
    w->key = op->key;
    w->is_append = true;
    w->element = ++next_element;
    return append_to_read(f, a, t, m.keys[0], m.values[0], w->element, false);
}

/* Reads and appends, interactive. */
static void list_txn(struct fiber *f, struct router *r, const struct list_client *c)
{
    bool read_only = below(4) == 0;
    struct txn_options o = {.isolation = c->isolation, .read_only = read_only};
    struct history_txn *h =
        history_begin(c->history, now(), read_only && c->label == 'm' ? 'r' : c->label);
    h->has_snapshot = c->isolation == TXN_REPEATABLE_READ;
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
                history_forget(h, before);
            } else {
                status_free(refused);
            }
        } else if (st == NULL && savepoint != 0) {
            st = txn_rollback_to(
                f, t, savepoint); /* what was read stays read, what was written is gone (W6) */
            history_forget(h, before + 1);
        }
        if (st == NULL && below(3) == 0) {
            st = fiber_sleep(f, below(20) * 1000000);
        }
    }
    end(f, t, st, h);
    arena_destroy(a);
}

/* One append without a transaction: row, lock and commit in one call (section 7). */
static void auto_append(struct fiber *f, struct router *r)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .implicit = true};
    struct arena *a = arena_create(0);
    int key = (int)below(LIST_KEYS);
    uint32_t element = ++next_element;
    struct history_txn *h = history_begin(&strict, now(), 'A');
    struct txn *t = txn_begin(r, &o);
    struct slice row;
    bool changed = false;
    h->op_count = 1; /* from here on it may happen, also when this node does not see it */
    h->ops[0] = (struct history_op){.key = key, .is_append = true, .element = element};
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = append_in_shard(f, a, t, world_row_key(a, 'l', (uint32_t)key), element, true, &row,
                             &changed);
    }
    if (st == NULL) {
        h->op_count = changed ? 1 : 0;
    }
    end(f, t, st, h);
    arena_destroy(a);
}

/* One read of one key without a transaction: LATEST (R2). */
static void latest_read(struct fiber *f, struct router *r)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true, .implicit = true};
    struct history_txn *h = history_begin(&strict, now(), 'L');
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct history_op *op = &h->ops[0];
    struct read_many m = {.count = 1};
    op->key = (int)below(LIST_KEYS);
    m.keys[0] = world_row_key(a, 'l', (uint32_t)op->key);
    struct status *st = read_statement(f, a, t, &m, LOCK_NONE);
    if (st == NULL) {
        history_see(op, m.values[0].data, m.values[0].len);
        h->op_count = 1;
    }
    end(f, t, st, h);
    arena_destroy(a);
}

static void insert_txn(struct fiber *f, struct router *r)
{
    if (insert_count == INSERTS_MAX) {
        return;
    }
    uint32_t number = insert_count++;
    inserts[number] = TOLD_UNKNOWN;
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .implicit = true};
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct txn_write_result res = {0};
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = write_one(f, a, t, world_row_key(a, 'i', number), slice_str("x"),
                       SHERD__V1__OP_KIND__OP_INSERT, true, &res);
    }
    if (st == NULL && res.failed) {
        cluster_fail(&world.cluster, "insert %u met an existing row: it was done twice", number);
    }
    inserts[number] = end(f, t, st, NULL);
    arena_destroy(a);
}

/* Several clients insert the same keys: one of them wins, in both keys of a pair or in none. */
static void race_txn(struct fiber *f, struct router *r)
{
    if (race_count + 1 >= RACES_MAX) {
        return;
    }
    uint32_t token = ++race_count;
    struct race *race = &races[token];
    race_next += below(3) == 0;
    race->number = race_next;
    race->is_pair = below(2) == 0;
    struct txn_options o = {.isolation = (enum txn_isolation)below(3), .implicit = !race->is_pair};
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    uint8_t bytes[4];
    set_u32(bytes, token);
    struct txn_write_result res = {0};
    struct status *st = txn_statement_begin(f, t);
    for (uint32_t i = 0; i < (race->is_pair ? 2u : 1u) && st == NULL && !res.failed; i++) {
        st = write_one(f, a, t, world_row_key(a, i == 0 ? 'u' : 'v', race->number + i),
                       slice_make(bytes, 4), SHERD__V1__OP_KIND__OP_INSERT, !race->is_pair, &res);
    }
    race->met_other = st == NULL && res.failed;
    if (st == NULL && !res.failed) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    enum told out = world_outcome(st);
    race->outcome = race->met_other ? TOLD_ABORTED : out;
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
    m.keys[0] = world_row_key(a, 'a', from);
    m.keys[1] = world_row_key(a, 'a', to);
    struct status *st = read_statement(f, a, t, &m, LOCK_UPDATE);
    for (int i = 0; i < 2 && st == NULL; i++) {
        uint8_t bytes[8];
        set_u64(bytes, (uint64_t)(balance_of(m.values[i]) + (i == 0 ? -amount : amount)));
        struct txn_write_result res;
        st = write_one(f, a, t, m.keys[i], slice_make(bytes, 8), SHERD__V1__OP_KIND__OP_PUT, false,
                       &res);
    }
    end(f, t, st, NULL);
    arena_destroy(a);
}

static struct read_many all_accounts(struct arena *a)
{
    struct read_many m = {.count = ACCOUNTS};
    for (uint32_t i = 0; i < ACCOUNTS; i++) {
        m.keys[i] = world_row_key(a, 'a', i);
    }
    return m;
}

static void must_be_whole(const struct read_many *m, const char *what)
{
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++) {
        sum += balance_of(m->values[i]);
    }
    if (sum != (int64_t)ACCOUNTS * ACCOUNT_START) {
        cluster_fail(&world.cluster, "%s sums to %lld, not %d", what, (long long)sum,
                     ACCOUNTS * ACCOUNT_START);
    }
}

static void audit_txn(struct fiber *f, struct router *r)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
    struct txn *t = txn_begin(r, &o);
    struct arena *a = arena_create(0);
    struct read_many m = all_accounts(a);
    struct status *st = read_statement(f, a, t, &m, LOCK_NONE);
    if (st == NULL) {
        must_be_whole(&m, "money: a snapshot");
    }
    end(f, t, st, NULL);
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
    struct read_many m[2];
    struct status *st = NULL;
    uint64_t first = below(2);
    for (uint64_t k = 0; k < 2 && st == NULL; k++) {
        m[k] = all_accounts(a);
        o.may_follow = k == first;
        struct txn *t = txn_begin(r, &o);
        st = read_statement(f, a, t, &m[k], LOCK_NONE);
        txn_rollback(f, t);
        if (st == NULL) {
            st = fiber_sleep(f, below(50) * 1000000);
        }
    }
    if (st == NULL) {
        must_be_whole(&m[0],
                      arena_printf(a, "past: the money as of %llu", (unsigned long long)o.as_of));
        if (!same_values(&m[0], &m[1])) {
            cluster_fail(&world.cluster, "past: a follower read as of %llu what the leader did not",
                         (unsigned long long)o.as_of);
        }
    }
    world_outcome(st);
    arena_destroy(a);
}

/* ---- the end ---- */

/* One transaction that reads all lists: it must see every acknowledged write. */
static struct status *read_lists(struct fiber *f, struct cluster_node *n, struct history *history,
                                 char kind)
{
    struct arena *a = arena_create(0);
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
    struct txn *t = txn_begin(n->router, &o);
    struct history_txn *h = history_begin(history, now(), 'F');
    struct read_many m = {.count = LIST_KEYS};
    static_assert(ACCOUNTS <= ROWS_READ_MAX, "one transaction reads all accounts");
    static_assert(LIST_KEYS <= HISTORY_OPS_MAX && LIST_KEYS <= ROWS_READ_MAX,
                  "one transaction reads all lists");
    for (uint32_t i = 0; i < LIST_KEYS; i++) {
        m.keys[i] = world_row_key(a, kind, i);
    }
    struct status *st = read_statement(f, a, t, &m, LOCK_NONE);
    for (int i = 0; i < LIST_KEYS && st == NULL; i++) {
        h->ops[i].key = i;
        history_see(&h->ops[i], m.values[i].data, m.values[i].len);
        h->op_count = i + 1;
    }
    st = commit_or_undo(f, t, st);
    history_end(h, st == NULL ? TOLD_COMMITTED : TOLD_ABORTED, now());
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
    m.keys[0] = world_row_key(a, kind, number);
    struct status *st = read_statement(f, a, t, &m, LOCK_NONE);
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
    if (u > race_count || (u != 0 && races[u].number != number)) {
        cluster_fail(c, "unique: key %u holds token %u, which was not inserted there", number, u);
    }
    if (u != 0 && races[u].outcome == TOLD_ABORTED) {
        cluster_fail(c, "unique: key %u holds token %u, which was told to be aborted", number, u);
    }
    if (v != 0 && v != u) {
        cluster_fail(c, "unique: half a transaction: the keys of %u hold tokens %u and %u", number,
                     u, v);
    }
    if (u != 0 && races[u].is_pair && v != u) {
        cluster_fail(c, "unique: half a transaction: of token %u only the first key is there", u);
    }
    for (uint32_t i = 1; i <= race_count; i++) {
        const struct race *x = &races[i];
        if (x->number == number && x->outcome == TOLD_COMMITTED && i != u) {
            cluster_fail(c, "unique: tokens %u and %u of key %u: the first was acknowledged", i, u,
                         number);
        }
        if (x->number == number && x->met_other && u == 0) {
            cluster_fail(c, "unique: token %u was told that key %u exists, and it does not", i,
                         number);
        }
    }
}

static void finish(struct fiber *f, struct client *c)
{
    struct cluster_node *n = c->node;
    last_lists(f, n, &strict, 'l');
    last_lists(f, n, &weak, 'w');
    for (uint32_t i = 0; i < insert_count; i++) {
        struct arena *a = arena_create(0);
        bool is_there = last_value(f, n, a, 'i', i).data != NULL;
        if (is_there && inserts[i] == TOLD_ABORTED) {
            cluster_fail(&world.cluster, "insert %u was told to be aborted and is there", i);
        }
        if (!is_there && inserts[i] == TOLD_COMMITTED) {
            cluster_fail(&world.cluster, "insert %u was acknowledged and is gone", i);
        }
        arena_destroy(a);
    }
    for (uint32_t i = 0; i <= race_next; i++) {
        struct arena *a = arena_create(0);
        check_race(i, last_token(f, n, a, 'u', i), last_token(f, n, a, 'v', i + 1));
        arena_destroy(a);
    }
    char *anomaly = history_check(&strict, HISTORY_STRICT);
    if (anomaly == NULL) {
        anomaly = history_check(&weak, HISTORY_COMMITTED);
    }
    if (anomaly != NULL) {
        cluster_fail(&world.cluster, "%s", anomaly);
    }
}

static void setup(struct fiber *f, struct client *c)
{
    (void)f;
    (void)c;
    strict.key_count = weak.key_count = LIST_KEYS;
}

static void step(struct fiber *f, struct client *c)
{
    struct router *r = c->node->router;
    const struct list_client serial = {&strict, 'l', 'm', world.isolation, false};
    const struct list_client committed = {&weak, 'w', 'c', TXN_READ_COMMITTED, true};
    const struct list_client repeatable = {&weak, 'w', 'p', TXN_REPEATABLE_READ, false};
    if (!world_may(strict.count, TXNS_MAX)) {
        audit_txn(f, r);
        return;
    }
    switch (below(16)) {
    case 0:
        insert_txn(f, r);
        break;
    case 1:
        transfer_txn(f, r);
        break;
    case 2:
        audit_txn(f, r);
        break;
    case 3:
    case 7:
    case 8:
        latest_read(f, r);
        break;
    case 4:
        race_txn(f, r);
        break;
    case 5:
        list_txn(f, r, &committed);
        break;
    case 6:
        list_txn(f, r, &repeatable);
        break;
    case 9:
        auto_append(f, r);
        break;
    case 15:
        past_txn(f, r);
        break;
    default:
        list_txn(f, r, &serial);
    }
}

const struct workload workload_txn = {"txn", 14, setup, {{1, step}}, finish};
