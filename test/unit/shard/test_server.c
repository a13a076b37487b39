/*
 * Shards of whole simulated nodes: groups, RPC, the metadata group, a transaction's requests over
 * them, kills, splits under load, crashes that lose unsynced writes, deadlocks across shards,
 * orphaned transactions.
 */
#include "../metadata/meta_world.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "server_impl.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

static struct meta_world w;
static struct shard_server *servers[WORLD_NODES_MAX + 1];
static uint64_t txn_counter;

/* ---- the world ---- */

static void start_shards(struct fiber *f, struct world_node *n)
{
    if (meta_wait_ready(f, n->client) != NULL) {
        abort();
    }
    struct arena *a = arena_create(0);
    struct slice value;
    struct buf key = {0};
    buf_put(&key, "shard/", 6);
    if (meta_get(n->client, buf_slice(&key), &value, NULL)) {
        Sherd__V1__ShardDesc *d = sherd__v1__shard_desc__unpack(NULL, value.len, value.data);
        if (d->epoch <= 1) {
            struct status *st = shard_bootstrap(f, n->host, n->state, n->id, d);
            if (st != NULL && st->code != STATUS_ALREADY_EXISTS) {
                world_ok(st, __FILE__, __LINE__);
            }
            status_free(st);
        }
        sherd__v1__shard_desc__free_unpacked(d, NULL);
    }
    buf_deinit(&key);
    arena_destroy(a);
    struct shard_server_options o = {
        .rpc = n->rpc, .host = n->host, .state = n->state, .meta = n->client, .node_id = n->id};
    world_ok(shard_server_start(f, &o, &servers[n->id]), __FILE__, __LINE__);
}

static void stop_shards(struct fiber *f, struct world_node *n)
{
    shard_server_stop(f, servers[n->id]);
    servers[n->id] = NULL;
}

static void start(uint64_t seed, size_t nodes)
{
    world_init(&w, seed, nodes, nodes);
    for (uint64_t i = 1; i <= nodes; i++) {
        world_boot(&w, i);
    }
    for (uint64_t i = 1; i <= nodes; i++) {
        world_spawn(&w, i, start_shards);
    }
    world_run(&w, 60 * SECOND);
}

static void finish(void)
{
    for (uint64_t i = 1; i <= w.node_count; i++) {
        if (w.nodes[i].is_up) {
            world_spawn(&w, i, stop_shards);
            world_run(&w, 60 * SECOND);
        }
    }
    world_shutdown(&w);
}

static void restart(uint64_t node)
{
    world_boot(&w, node);
    world_spawn(&w, node, start_shards);
    world_run(&w, 60 * SECOND);
}

/* ---- a client ---- */

static struct status *call(struct fiber *f, struct world_node *n, enum rpc_method m, const void *q,
                           struct arena *a, void **out)
{
    uint64_t node = 0;
    struct status *st = NULL;
    for (unsigned tries = 0; tries < 400; tries++) {
        if (node == 0) {
            node = 1 + tries % w.node_count;
        }
        status_free(st);
        st = rpc_call(f, n->rpc, node, m, q, a, out);
        bool is_lost = status_is(st, STATUS_UNKNOWN_OUTCOME) && m != RPC_SHARD_WRITE;
        if (st == NULL ||
            (st->code != STATUS_NOT_LEADER && st->code != STATUS_UNAVAILABLE && !is_lost)) {
            return st;
        }
        uint64_t hint = st->code == STATUS_NOT_LEADER ? rpc_leader_hint(st) : 0;
        node = hint != node ? hint : 0;
        if (node == 0) {
            world_ok(fiber_sleep(f, 20 * MS), __FILE__, __LINE__);
        }
    }
    return st;
}

struct ctxn {
    Sherd__V1__TxnId id;
    Sherd__V1__Handle handle;
    Sherd__V1__TxnRef ref;
    uint64_t shard;
    uint64_t seq;
};

static void ctxn_init(struct ctxn *t, uint64_t shard, uint64_t counter, uint64_t start,
                      uint64_t coordinator)
{
    memset(t, 0, sizeof(*t));
    sherd__v1__txn_id__init(&t->id);
    sherd__v1__handle__init(&t->handle);
    sherd__v1__txn_ref__init(&t->ref);
    t->id.incarnation = 1;
    t->id.counter = counter;
    t->ref.id = &t->id;
    t->ref.start = start;
    t->ref.coordinator_node = coordinator;
    t->shard = shard;
}

static struct status *ctxn_write(struct fiber *f, struct world_node *n, struct ctxn *t, char kind,
                                 const char *key, const char *value, bool commit, uint64_t *out_ts)
{
    struct arena *a = arena_create(0);
    Sherd__V1__KeyOp op = SHERD__V1__KEY_OP__INIT;
    Sherd__V1__KeyOp *ops[] = {&op};
    op.kind = kind == '+'   ? SHERD__V1__OP_KIND__OP_INSERT
              : kind == '-' ? SHERD__V1__OP_KIND__OP_DELETE
                            : SHERD__V1__OP_KIND__OP_PUT;
    op.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    struct buf row = {0};
    struct row_column col = {.type = TYPE_TEXT, .typmod = -1};
    struct datum d = datum_bytes(slice_str(value != NULL ? value : ""));
    row_encode(&row, &col, 1, &d);
    op.value = (ProtobufCBinaryData){row.len, row.data};
    Sherd__V1__WriteRequest q = SHERD__V1__WRITE_REQUEST__INIT;
    q.shard_id = t->shard;
    q.txn = &t->ref;
    q.seq = ++t->seq;
    q.n_ops = 1;
    q.ops = ops;
    q.commit = commit;
    Sherd__V1__WriteReply *r = NULL;
    struct status *st = call(f, n, RPC_SHARD_WRITE, &q, a, (void **)&r);
    if (st == NULL) {
        if (r->handle != NULL) {
            t->handle = *r->handle;
            t->ref.handle = &t->handle;
        }
        if (r->failed || r->conflict) {
            st = status_new(CONSTRAINT, r->failed ? "failed" : "conflict");
        } else if (out_ts != NULL) {
            *out_ts = r->committed;
        }
    }
    buf_deinit(&row);
    arena_destroy(a);
    return st;
}

static struct status *put(struct fiber *f, struct world_node *n, uint64_t shard, char kind,
                          const char *key, const char *value)
{
    struct ctxn t;
    ctxn_init(&t, shard, ++txn_counter, 0, n->id);
    return ctxn_write(f, n, &t, kind, key, value, true, NULL);
}

/* "k=v k=v": all keys of the shard's range at LATEST. */
static struct status *read_all(struct fiber *f, struct world_node *n, uint64_t shard,
                               const char *start, const char *end, char *out, size_t size)
{
    struct row_column col = {.type = TYPE_TEXT, .typmod = -1};
    int want = 0;
    struct key_span span = {.start = slice_str(start), .end = slice_str(end)};
    struct fragment fr = {.table_id = 7,
                          .index_id = 1,
                          .nspans = 1,
                          .spans = &span,
                          .nrow_columns = 1,
                          .row_columns = &col,
                          .ncolumns = 1,
                          .columns = &want,
                          .with_key = true,
                          .limit = -1};
    struct buf bytes = {0}, text = {0};
    fragment_encode(&bytes, &fr);
    Sherd__V1__ReadRequest q = SHERD__V1__READ_REQUEST__INIT;
    q.shard_id = shard;
    q.fragment = (ProtobufCBinaryData){bytes.len, bytes.data};
    struct status *st;
    struct arena *a = arena_create(0);
    bool more = true;
    do {
        Sherd__V1__ReadReply *r = NULL;
        st = call(f, n, RPC_SHARD_READ, &q, a, (void **)&r);
        if (st != NULL) {
            break;
        }
        struct batch *b;
        world_ok(batch_decode(a, slice_make(r->batch.data, r->batch.len), &b), __FILE__, __LINE__);
        for (int i = 0; i < b->nrows; i++) {
            buf_printf(&text, "%s%.*s=%.*s", text.len != 0 ? " " : "", (int)b->cols[1][i].len,
                       (const char *)b->cols[1][i].p, (int)b->cols[0][i].len,
                       (const char *)b->cols[0][i].p);
        }
        more = r->more;
        q.ts = r->ts;
        q.resume_key = r->resume_key;
        q.resume_span = r->resume_span;
    } while (more);
    snprintf(out, size, "%.*s", (int)text.len, text.data != NULL ? (const char *)text.data : "");
    buf_deinit(&bytes);
    buf_deinit(&text);
    arena_destroy(a);
    return st;
}

static void expect_all(struct fiber *f, struct world_node *n, uint64_t shard, const char *start,
                       const char *end, const char *expected)
{
    static char text[65536];
    world_ok(read_all(f, n, shard, start, end, text, sizeof(text)), __FILE__, __LINE__);
    assert_string_equal(text, expected);
}

static uint64_t leader_of(uint64_t shard)
{
    for (uint64_t i = 1; i <= w.node_count; i++) {
        struct replica *r =
            w.nodes[i].is_up && servers[i] != NULL ? server_replica(servers[i], shard) : NULL;
        if (r != NULL && r->part != NULL && r->part->is_serving) {
            return i;
        }
    }
    return 0;
}

/* ---- one node ---- */

static void write_and_read(struct fiber *f, struct world_node *n)
{
    world_ok(put(f, n, 2, '+', "a", "1"), __FILE__, __LINE__);
    world_ok(put(f, n, 2, '+', "b", "2"), __FILE__, __LINE__);
    struct status *st = put(f, n, 2, '+', "a", "3");
    assert_true(status_is(st, STATUS_CONSTRAINT));
    status_free(st);
    expect_all(f, n, 2, "a", "z", "a=1 b=2");
}

static void read_back(struct fiber *f, struct world_node *n)
{
    expect_all(f, n, 2, "a", "z", "a=1 b=2");
}

static void one_node_writes_reads_and_restarts(void **state)
{
    (void)state;
    start(1, 1);
    world_spawn(&w, 1, write_and_read);
    world_run(&w, 60 * SECOND);
    world_kill(&w, 1, 0); /* what was acknowledged is in the log */
    restart(1);
    world_spawn(&w, 1, read_back);
    world_run(&w, 60 * SECOND);
    finish();
}

/* ---- three nodes ---- */

static void acknowledged_commits_survive_the_leader(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        start(seed, 3);
        world_spawn(&w, 1, write_and_read);
        world_run(&w, 60 * SECOND);
        uint64_t leader = leader_of(2);
        assert_true(leader != 0);
        world_kill(&w, leader, 0);
        world_spawn(&w, leader % 3 + 1, read_back);
        world_run(&w, 60 * SECOND);
        restart(leader);
        finish();
    }
}

/* ---- splits ---- */

static bool is_stopping;
static int acked, unknown;

/* Keeps writing k00..k99 with rising values; remembers the last acknowledged value of each. */
static int last_acked[100];

static uint64_t shard_for(struct world_node *n, const char *key)
{
    const struct shard_info *s = shard_map_find(n->client, slice_str(key));
    return s != NULL ? s->shard_id : 2;
}

static void writer(struct fiber *f, struct world_node *n)
{
    for (int i = 1; !is_stopping; i++) {
        char key[16], value[16];
        int k = i * 37 % 100;
        snprintf(key, sizeof(key), "k%02d", k);
        snprintf(value, sizeof(value), "%d", i);
        for (;;) {
            struct status *st = put(f, n, shard_for(n, key), '=', key, value);
            if (st == NULL) {
                last_acked[k] = i;
                acked++;
                break;
            }
            enum status_code code = st->code;
            if (code != STATUS_MOVED && code != STATUS_CONFLICT && code != STATUS_UNKNOWN_OUTCOME &&
                code != STATUS_NOT_LEADER && code != STATUS_UNAVAILABLE) {
                world_ok(st, __FILE__, __LINE__);
            }
            status_free(st);
            unknown++;
            world_ok(fiber_sleep(f, 5 * MS), __FILE__, __LINE__);
        }
    }
}

/* What the scheduler does: asks the shard, then changes the map. */
static void split_at(struct fiber *f, struct world_node *n, uint64_t left_id, uint64_t right_id,
                     const char *at)
{
    struct arena *a = arena_create(0);
    const struct shard_info *left = shard_map_by_id(n->client, left_id);
    struct buf start_key = {0};
    buf_put(&start_key, "shard/", 6);
    buf_put_slice(&start_key, left->start);
    struct slice value;
    uint64_t revision = 0;
    assert_true(meta_get(n->client, buf_slice(&start_key), &value, &revision));
    Sherd__V1__ShardDesc *l = sherd__v1__shard_desc__unpack(NULL, value.len, value.data);
    Sherd__V1__ShardDesc right = *l;
    Sherd__V1__KeyRange range = *l->range;
    ProtobufCBinaryData at_bytes = {strlen(at), (uint8_t *)(uintptr_t)at};
    right.shard_id = right_id;
    right.range = &range;
    range.start = at_bytes;
    right.epoch = l->epoch + 1;
    Sherd__V1__ReplicaDesc replicas[9], *list[9];
    for (size_t i = 0; i < l->n_replicas; i++) {
        replicas[i] = *l->replicas[i];
        replicas[i].replica_id = i + 1;
        list[i] = &replicas[i];
    }
    right.replicas = list;
    struct buf desc = {0}, left_desc = {0}, right_key = {0};
    sherd__v1__shard_desc__pack(&right,
                                buf_extend(&desc, sherd__v1__shard_desc__get_packed_size(&right)));
    Sherd__V1__SplitRequest q = SHERD__V1__SPLIT_REQUEST__INIT;
    q.shard_id = left_id;
    q.split_key = at_bytes;
    q.right_desc = (ProtobufCBinaryData){desc.len, desc.data};
    q.left_epoch = l->epoch + 1;
    void *reply;
    struct status *st = NULL;
    for (int tries = 0; tries < 100; tries++) {
        status_free(st);
        st = call(f, n, RPC_SHARD_SPLIT, &q, a, &reply);
        if (st == NULL) {
            break;
        }
        world_ok(fiber_sleep(f, 20 * MS), __FILE__, __LINE__);
    }
    world_ok(st, __FILE__, __LINE__);
    ProtobufCBinaryData old_end = l->range->end;
    l->range->end = at_bytes;
    l->epoch++;
    sherd__v1__shard_desc__pack(l,
                                buf_extend(&left_desc, sherd__v1__shard_desc__get_packed_size(l)));
    l->range->end = old_end;
    buf_put(&right_key, "shard/", 6);
    buf_put(&right_key, at, strlen(at));
    Sherd__V1__MetaTxnRequest t = SHERD__V1__META_TXN_REQUEST__INIT;
    Sherd__V1__MetaPut puts[2] = {SHERD__V1__META_PUT__INIT, SHERD__V1__META_PUT__INIT};
    Sherd__V1__MetaPut *put_list[] = {&puts[0], &puts[1]};
    puts[0].key = (ProtobufCBinaryData){start_key.len, start_key.data};
    puts[0].value = (ProtobufCBinaryData){left_desc.len, left_desc.data};
    puts[1].key = (ProtobufCBinaryData){right_key.len, right_key.data};
    puts[1].value = (ProtobufCBinaryData){desc.len, desc.data};
    t.n_puts = 2;
    t.puts = put_list;
    bool ok = false;
    uint64_t at_revision;
    world_ok(meta_txn(f, n->client, &t, &ok, &at_revision), __FILE__, __LINE__);
    assert_true(ok);
    sherd__v1__shard_desc__free_unpacked(l, NULL);
    buf_deinit(&desc);
    buf_deinit(&left_desc);
    buf_deinit(&start_key);
    buf_deinit(&right_key);
    arena_destroy(a);
}

static void split_twice_under_load(struct fiber *f, struct world_node *n)
{
    world_ok(fiber_sleep(f, 500 * MS), __FILE__, __LINE__);
    split_at(f, n, 2, 3, "k60");
    world_ok(fiber_sleep(f, 500 * MS), __FILE__, __LINE__);
    split_at(f, n, 2, 4, "k30");
    world_ok(fiber_sleep(f, 1000 * MS), __FILE__, __LINE__);
    is_stopping = true;
}

static void check_acked(struct fiber *f, struct world_node *n)
{
    static char text[65536];
    struct {
        uint64_t shard;
        const char *start, *end;
    } parts[] = {{2, "k00", "k30"}, {4, "k30", "k60"}, {3, "k60", "k99z"}};
    for (int p = 0; p < 3; p++) {
        world_ok(read_all(f, n, parts[p].shard, parts[p].start, parts[p].end, text, sizeof(text)),
                 __FILE__, __LINE__);
        for (char *s = strtok(text, " "); s != NULL; s = strtok(NULL, " ")) {
            int key = 0, value = 0;
            assert_int_equal(sscanf(s, "k%d=%d", &key, &value), 2);
            if (value < last_acked[key]) {
                fail_msg("k%02d is %d, acknowledged was %d", key, value, last_acked[key]);
            }
            last_acked[key] = 0;
        }
    }
    for (int k = 0; k < 100; k++) {
        assert_int_equal(last_acked[k], 0); /* none is missing */
    }
}

static void splits_under_load_lose_nothing_at_a_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        start(seed, 3);
        is_stopping = false;
        acked = unknown = 0;
        memset(last_acked, 0, sizeof(last_acked));
        world_spawn(&w, 1, writer);
        world_spawn(&w, 2, split_twice_under_load);
        world_run(&w, 120 * SECOND);
        assert_true(acked > 100);
        /* A power cut of all nodes, with any subset of the unsynced writes kept. */
        for (uint64_t i = 1; i <= 3; i++) {
            world_kill(&w, i, (int)(seed * 17 % 100));
        }
        for (uint64_t i = 1; i <= 3; i++) {
            world_boot(&w, i);
        }
        for (uint64_t i = 1; i <= 3; i++) {
            world_spawn(&w, i, start_shards);
        }
        world_run(&w, 120 * SECOND);
        world_spawn(&w, 1, check_acked);
        world_run(&w, 120 * SECOND);
        finish();
    }
}

/* ---- orphans ---- */

static void split_quietly(struct fiber *f, struct world_node *n)
{
    split_at(f, n, 2, 3, "m");
}

static struct ctxn left_txn, right_txn;

static void prepare_both(struct fiber *f, struct world_node *n, bool only_left)
{
    uint64_t ts = 0;
    world_ok(meta_timestamp(f, n->client, &ts), __FILE__, __LINE__);
    ctxn_init(&left_txn, 2, ++txn_counter, ts, 0);
    ctxn_init(&right_txn, 3, txn_counter, ts, 0);
    world_ok(ctxn_write(f, n, &left_txn, '=', "a", "7", false, NULL), __FILE__, __LINE__);
    world_ok(ctxn_write(f, n, &right_txn, '=', "x", "7", false, NULL), __FILE__, __LINE__);
    world_ok(meta_timestamp(f, n->client, &ts), __FILE__, __LINE__);
    Sherd__V1__Participant parts[2] = {SHERD__V1__PARTICIPANT__INIT, SHERD__V1__PARTICIPANT__INIT};
    Sherd__V1__Participant *list[] = {&parts[0], &parts[1]};
    parts[0].shard_id = 2;
    parts[0].handle = &left_txn.handle;
    parts[1].shard_id = 3;
    parts[1].handle = &right_txn.handle;
    for (int i = 0; i < (only_left ? 1 : 2); i++) {
        struct ctxn *t = i == 0 ? &left_txn : &right_txn;
        struct arena *a = arena_create(0);
        Sherd__V1__PrepareRequest q = SHERD__V1__PREPARE_REQUEST__INIT;
        q.shard_id = t->shard;
        q.txn = &t->id;
        q.handle = &t->handle;
        q.seq = t->seq;
        q.attempt = 1;
        q.commit = ts;
        q.n_participants = 2;
        q.participants = list;
        Sherd__V1__OutcomeReply *r = NULL;
        world_ok(call(f, n, RPC_SHARD_PREPARE, &q, a, (void **)&r), __FILE__, __LINE__);
        assert_int_equal(r->answer, SHERD__V1__ANSWER__ANSWER_PREPARED);
        arena_destroy(a);
    }
}

static void orphan_complete(struct fiber *f, struct world_node *n)
{
    prepare_both(f, n, false);
    expect_all(f, n, 2, "a", "m", "a=7"); /* waits for the recoverer */
    expect_all(f, n, 3, "m", "zz", "x=7");
}

static void orphan_incomplete(struct fiber *f, struct world_node *n)
{
    prepare_both(f, n, true);
    expect_all(f, n, 2, "a", "m", "a=7"); /* the value of before: rolled back */
    world_ok(put(f, n, 3, '=', "x", "8"), __FILE__, __LINE__);
    expect_all(f, n, 3, "m", "zz", "x=8");
}

static void orphaned_transactions_are_decided(void **state)
{
    (void)state;
    start(3, 3);
    world_spawn(&w, 1, split_quietly);
    world_run(&w, 60 * SECOND);
    world_spawn(&w, 1, orphan_complete);
    world_run(&w, 60 * SECOND);
    world_spawn(&w, 2, orphan_incomplete);
    world_run(&w, 60 * SECOND);
    finish();
}

/* ---- fence of a router incarnation (F5) ---- */

static void fence_incarnation(struct fiber *f, struct world_node *n, uint64_t shard,
                              uint64_t incarnation, bool forget)
{
    struct arena *a = arena_create(0);
    Sherd__V1__FenceRequest q = SHERD__V1__FENCE_REQUEST__INIT;
    q.shard_id = shard;
    q.version = incarnation;
    q.forget = forget;
    void *reply = NULL;
    world_ok(call(f, n, RPC_SHARD_FENCE, &q, a, &reply), __FILE__, __LINE__);
    arena_destroy(a);
}

static void expect_outcome(struct fiber *f, struct world_node *n, struct ctxn *t,
                           enum rpc_method method, Sherd__V1__Answer expected)
{
    struct arena *a = arena_create(0);
    Sherd__V1__OutcomeReply *r = NULL;
    if (method == RPC_SHARD_QUERY) {
        Sherd__V1__QueryRequest q = SHERD__V1__QUERY_REQUEST__INIT;
        q.shard_id = t->shard;
        q.txn = &t->id;
        q.handle = &t->handle;
        q.term = t->handle.term;
        q.attempt = 1;
        world_ok(call(f, n, method, &q, a, (void **)&r), __FILE__, __LINE__);
    } else {
        Sherd__V1__PrepareRequest q = SHERD__V1__PREPARE_REQUEST__INIT;
        q.shard_id = t->shard;
        q.txn = &t->id;
        q.handle = &t->handle;
        q.seq = t->seq;
        q.attempt = 2;
        q.commit = UINT64_MAX / 2;
        world_ok(call(f, n, method, &q, a, (void **)&r), __FILE__, __LINE__);
    }
    assert_int_equal(r->answer, expected);
    arena_destroy(a);
}

static void fence_forgets(struct fiber *f, struct world_node *n)
{
    prepare_both(f, n, false);
    uint64_t dead = left_txn.id.incarnation;
    fence_incarnation(f, n, 2, dead, false); /* waits until the prepared one is decided */
    fence_incarnation(f, n, 3, dead, false);
    expect_outcome(f, n, &left_txn, RPC_SHARD_QUERY, SHERD__V1__ANSWER__ANSWER_COMMITTED);
    expect_outcome(f, n, &right_txn, RPC_SHARD_QUERY, SHERD__V1__ANSWER__ANSWER_COMMITTED);
    expect_outcome(f, n, &left_txn, RPC_SHARD_PREPARE, SHERD__V1__ANSWER__ANSWER_FENCED);
    fence_incarnation(f, n, 2, dead, true);
    fence_incarnation(f, n, 2, dead, true); /* may come twice */
    expect_outcome(f, n, &left_txn, RPC_SHARD_QUERY, SHERD__V1__ANSWER__ANSWER_UNKNOWN);
    expect_outcome(f, n, &right_txn, RPC_SHARD_QUERY, SHERD__V1__ANSWER__ANSWER_COMMITTED);
    fence_incarnation(f, n, 3, dead, true);
    expect_outcome(f, n, &right_txn, RPC_SHARD_QUERY, SHERD__V1__ANSWER__ANSWER_UNKNOWN);
    expect_all(f, n, 2, "a", "m", "a=7");
    expect_all(f, n, 3, "m", "zz", "x=7");
}

static void a_fenced_router_is_refused_and_forgotten(void **state)
{
    (void)state;
    start(3, 3);
    world_spawn(&w, 1, split_quietly);
    world_run(&w, 60 * SECOND);
    world_spawn(&w, 1, fence_forgets);
    world_run(&w, 60 * SECOND);
    finish();
}

/* ---- deadlocks ---- */

static int deadlock_victims, deadlock_winners;
static uint64_t deadlock_ns;

static void lock_two(struct fiber *f, struct world_node *n, uint64_t first, const char *k1,
                     uint64_t second, const char *k2)
{
    uint64_t ts = 0;
    world_ok(meta_timestamp(f, n->client, &ts), __FILE__, __LINE__);
    struct ctxn a, b;
    ctxn_init(&a, first, ++txn_counter, ts, n->id);
    ctxn_init(&b, second, txn_counter, ts, n->id);
    a.id.incarnation = b.id.incarnation = n->id;
    world_ok(ctxn_write(f, n, &a, '=', k1, "1", false, NULL), __FILE__, __LINE__);
    world_ok(fiber_sleep(f, 50 * MS), __FILE__, __LINE__);
    uint64_t began = loop_clock_ns(fiber_loop(f));
    struct status *st = ctxn_write(f, n, &b, '=', k2, "1", false, NULL);
    if (st != NULL) {
        assert_string_equal(st->sqlstate, "40P01");
        deadlock_victims++;
        deadlock_ns = loop_clock_ns(fiber_loop(f)) - began;
    } else {
        deadlock_winners++;
    }
    status_free(st);
    struct arena *ar = arena_create(0);
    for (int i = 0; i < 2; i++) {
        struct ctxn *t = i == 0 ? &a : &b;
        Sherd__V1__RollbackRequest q = SHERD__V1__ROLLBACK_REQUEST__INIT;
        q.shard_id = t->shard;
        q.txn = &t->id;
        q.handle = &t->handle;
        q.all = true;
        void *r;
        if (t->handle.number != 0) {
            world_ok(call(f, n, RPC_SHARD_ROLLBACK, &q, ar, &r), __FILE__, __LINE__);
        }
    }
    arena_destroy(ar);
}

static void lock_forward(struct fiber *f, struct world_node *n)
{
    lock_two(f, n, 2, "a", 3, "x");
}

static void lock_backward(struct fiber *f, struct world_node *n)
{
    lock_two(f, n, 3, "x", 2, "a");
}

/* Two locks of one key, the second of which waits until the first has been held for eight
 * seconds. */
static void hold_long(struct fiber *f, struct world_node *n)
{
    uint64_t ts = 0;
    world_ok(meta_timestamp(f, n->client, &ts), __FILE__, __LINE__);
    struct ctxn a;
    ctxn_init(&a, 2, ++txn_counter, ts, n->id);
    a.id.incarnation = n->id;
    world_ok(ctxn_write(f, n, &a, '=', "b", "1", false, NULL), __FILE__, __LINE__);
    if (n->id == 1) {
        world_ok(fiber_sleep(f, 8 * SECOND), __FILE__, __LINE__);
    }
    struct arena *ar = arena_create(0);
    Sherd__V1__RollbackRequest q = SHERD__V1__ROLLBACK_REQUEST__INIT;
    q.shard_id = a.shard;
    q.txn = &a.id;
    q.handle = &a.handle;
    q.all = true;
    void *r;
    world_ok(call(f, n, RPC_SHARD_ROLLBACK, &q, ar, &r), __FILE__, __LINE__);
    arena_destroy(ar);
}

/* is_beside: somebody has waited for seconds for something else, which is no deadlock. */
static void deadlock_across_shards(bool is_beside)
{
    start(5, 3);
    deadlock_victims = deadlock_winners = 0;
    world_spawn(&w, 1, split_quietly);
    world_run(&w, 60 * SECOND);
    world_advance(&w, SECOND);
    if (is_beside) {
        world_spawn(&w, 1, hold_long);
        world_advance(&w, SECOND);
        world_spawn(&w, 2, hold_long);
        world_advance(&w, 5 * SECOND);
    }
    world_spawn(&w, 1, lock_forward);
    world_spawn(&w, 2, lock_backward);
    world_run(&w, 60 * SECOND);
    assert_int_equal(deadlock_victims, 1);
    assert_int_equal(deadlock_winners, 1);
    assert_true(deadlock_ns < 200 * MS);
    finish();
}

static void a_deadlock_across_shards_has_one_victim_soon(void **state)
{
    (void)state;
    deadlock_across_shards(false);
}

static void a_deadlock_beside_a_long_wait_is_found_as_soon(void **state)
{
    (void)state;
    deadlock_across_shards(true);
}

/* A killed node's loop is dropped as it is. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(void)
{
    log_set_level(LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_node_writes_reads_and_restarts),
        cmocka_unit_test(acknowledged_commits_survive_the_leader),
        cmocka_unit_test(splits_under_load_lose_nothing_at_a_crash),
        cmocka_unit_test(orphaned_transactions_are_decided),
        cmocka_unit_test(a_fenced_router_is_refused_and_forgotten),
        cmocka_unit_test(a_deadlock_across_shards_has_one_victim_soon),
        cmocka_unit_test(a_deadlock_beside_a_long_wait_is_found_as_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
