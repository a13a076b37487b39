/*
 * The client against scripted servers: nodes 1 and 2 answer as the test says, node 3 has the
 * client. Everything runs in virtual time over the simulated network.
 */
#include "keys.h"
#include "metadata/client.h"
#include "sim_rpc.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS 1000000ull
#define SECOND 1000000000ull
#define CLIENT 3

struct watch_call {
    uint64_t node;
    unsigned number; /* 1, 2, ... over all nodes */
    const Sherd__V1__MetaWatchRequest *request;
    struct arena *arena;
    Sherd__V1__MetaWatchReply *reply;
};

static struct world {
    struct sim *sim;
    struct sim_net *net;
    struct loop *loops[CLIENT + 1];
    struct rpc_link *links[CLIENT + 1];
    struct rpc_node *nodes[CLIENT + 1];
    struct meta_client *client;
    int running;
    unsigned watches;
    /* Fills call->reply or returns an error; UNKNOWN: wait as a long poll does. */
    struct status *(*watch)(struct fiber *f, struct watch_call *call);
    struct status *(*txn)(uint64_t node, const Sherd__V1__MetaTxnRequest *r,
                          Sherd__V1__MetaTxnReply *reply);
    uint32_t ts_counts[32];
    unsigned ts_calls;
    uint64_t ts_next;
    uint64_t seen_ids[8];
    unsigned seen;
} w;

static void ok_at(struct status *st, int line)
{
    if (st != NULL) {
        fprintf(stderr, "line %d: %s\n", line, st->message);
        abort();
    }
}
#define OK(expr) ok_at((expr), __LINE__)
#define TRUE(expr) ASSERT(expr) /* in a fiber: a failed assert_true() would jump off its stack */

/* ---- the scripted server ---- */

static void add(struct watch_call *c, const char *key, const char *value, uint64_t revision)
{
    Sherd__V1__MetaWatchReply *r = c->reply;
    Sherd__V1__MetaChange **all = ARENA_ARRAY(c->arena, Sherd__V1__MetaChange *, r->n_changes + 1);
    for (size_t i = 0; i < r->n_changes; i++) {
        all[i] = r->changes[i];
    }
    Sherd__V1__MetaChange *m = ARENA_NEW(c->arena, Sherd__V1__MetaChange);
    sherd__v1__meta_change__init(m);
    m->key.data = (uint8_t *)arena_strdup(c->arena, key);
    m->key.len = strlen(key);
    m->mod_revision = revision;
    m->deleted = value == NULL;
    if (value != NULL) {
        m->value.data = (uint8_t *)arena_strdup(c->arena, value);
        m->value.len = strlen(value);
    }
    all[r->n_changes++] = m;
    r->changes = all;
}

static struct status *park(struct fiber *f)
{
    TRY(fiber_sleep(f, 3600 * SECOND));
    return status_new(INTERNAL, "woke after an hour");
}

static struct status *handle_watch(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *arg)
{
    Sherd__V1__MetaWatchReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaWatchReply);
    struct watch_call call = {(uint64_t)(uintptr_t)arg, ++w.watches, request, ctx->arena, reply};
    sherd__v1__meta_watch_reply__init(reply);
    TRY(w.watch(f, &call));
    *out_reply = reply;
    return NULL;
}

static struct status *handle_txn(struct fiber *f, struct rpc_context *ctx, const void *request,
                                 void **out_reply, void *arg)
{
    (void)f;
    Sherd__V1__MetaTxnReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaTxnReply);
    sherd__v1__meta_txn_reply__init(reply);
    TRY(w.txn((uint64_t)(uintptr_t)arg, request, reply));
    *out_reply = reply;
    return NULL;
}

static struct status *handle_timestamp(struct fiber *f, struct rpc_context *ctx,
                                       const void *request, void **out_reply, void *arg)
{
    const Sherd__V1__MetaTimestampRequest *r = request;
    (void)arg;
    Sherd__V1__MetaTimestampReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaTimestampReply);
    sherd__v1__meta_timestamp_reply__init(reply);
    w.ts_counts[w.ts_calls++] = r->count;
    TRY(fiber_sleep(f, 10 * MS));
    reply->first = w.ts_next;
    w.ts_next += r->count;
    *out_reply = reply;
    return NULL;
}

static void begin(void)
{
    memset(&w, 0, sizeof(w));
    w.ts_next = 1000;
    w.sim = sim_create(4);
    w.net = sim_net_create(w.sim);
    for (uint64_t i = 1; i <= CLIENT; i++) {
        w.loops[i] = sim_loop_create(w.sim, "n");
        sim_net_attach(w.net, i, w.loops[i]);
    }
    for (uint64_t i = 1; i <= CLIENT; i++) {
        w.links[i] = sim_rpc_link_create(w.net, w.loops[i], i);
        w.nodes[i] = rpc_node_create(w.loops[i], i, w.links[i]);
        if (i != CLIENT) {
            rpc_register(w.nodes[i], RPC_META_WATCH, handle_watch, (void *)(uintptr_t)i, false);
            rpc_register(w.nodes[i], RPC_META_TXN, handle_txn, (void *)(uintptr_t)i, false);
            rpc_register(w.nodes[i], RPC_META_TIMESTAMP, handle_timestamp, (void *)(uintptr_t)i,
                         false);
            rpc_register(w.nodes[i], RPC_META_TIMESTAMP_WAIT, handle_timestamp,
                         (void *)(uintptr_t)i, false);
        }
    }
    sim_run(w.sim, 50 * MS, NULL, NULL); /* the links greet each other */
}

static void start_client(void)
{
    uint64_t seeds[] = {1, 2};
    w.client = meta_client_create(w.nodes[CLIENT], seeds, 2);
}

struct body {
    void (*fn)(struct fiber *f);
};

static void body_run(struct fiber *f, void *arg)
{
    struct body b = *(struct body *)arg;
    mem_free(arg);
    b.fn(f);
    w.running--;
}

static void spawn(void (*fn)(struct fiber *f))
{
    struct body *b = MEM_NEW(struct body);
    b->fn = fn;
    w.running++;
    fiber_spawn(w.loops[CLIENT], FIBER_STACK_SMALL, body_run, b);
}

static bool is_idle(void *ctx)
{
    (void)ctx;
    return w.running == 0;
}

static void run(void)
{
    assert_true(sim_run(w.sim, sim_now_ns(w.sim) + 120 * SECOND, is_idle, NULL));
}

static void stop_client(struct fiber *f)
{
    meta_client_destroy(f, w.client);
}

static void end(void)
{
    spawn(stop_client);
    run();
    sim_run(w.sim, sim_now_ns(w.sim) + SECOND, NULL, NULL);
    for (uint64_t i = 1; i <= CLIENT; i++) {
        rpc_node_destroy(w.nodes[i]);
    }
    sim_run(w.sim, sim_now_ns(w.sim) + SECOND, NULL, NULL);
    for (uint64_t i = 1; i <= CLIENT; i++) {
        sim_rpc_link_destroy(w.links[i]);
        sim_net_detach(w.net, i);
        sim_loop_crash(w.loops[i]);
    }
    sim_net_destroy(w.net);
    sim_destroy(w.sim);
}

static bool has(const char *key, const char *value)
{
    struct slice v;
    return meta_get(w.client, slice_str(key), &v, NULL) && slice_eq(v, slice_str(value));
}

/* ---- the cache ---- */

static struct status *pages(struct fiber *f, struct watch_call *c)
{
    if (c->number == 1) {
        TRUE(c->request->revision == 0);
        c->reply->full = true;
        c->reply->revision = 10;
        add(c, "a", "1", 3);
        add(c, "b", "1", 4);
        c->reply->next_key.data = (uint8_t *)arena_strdup(c->arena, "c");
        c->reply->next_key.len = 1;
    } else if (c->number == 2) { /* meanwhile: b deleted at 11, d changed at 12 */
        TRUE(c->request->from_key.len == 1 && c->request->from_key.data[0] == 'c');
        c->reply->full = true;
        c->reply->revision = 12;
        add(c, "c", "1", 5);
        add(c, "d", "2", 12);
    } else if (c->number == 3) {
        TRUE(c->request->revision == 10);
        TRUE(!meta_get(w.client, slice_str("zzz"), NULL, NULL));
        TRUE(meta_revision(w.client) == 10);
        c->reply->revision = 12;
        add(c, "b", NULL, 11);
        add(c, "d", "2", 12);
    } else {
        return park(f);
    }
    return NULL;
}

static void pages_body(struct fiber *f)
{
    OK(meta_wait_ready(f, w.client));
    TRUE(meta_revision(w.client) == 12);
    TRUE(has("a", "1") && has("c", "1") && has("d", "2"));
    TRUE(!meta_get(w.client, slice_str("b"), NULL, NULL));
}

static void a_copy_in_pages_is_ready_when_it_has_caught_up(void **state)
{
    (void)state;
    begin();
    w.watch = pages;
    start_client();
    spawn(pages_body);
    run();
    assert_true(w.watches >= 3);
    end();
}

static struct gate release;

static struct status *crossing(struct fiber *f, struct watch_call *c)
{
    if (c->number == 1) {
        c->reply->full = true;
        c->reply->revision = 5;
        add(c, "x", "1", 5);
    } else if (c->request->wait_ms == 0) { /* the refresh overtakes the watch */
        TRUE(c->request->revision == 5);
        c->reply->revision = 8;
        add(c, "y", "1", 6);
        add(c, "y", NULL, 7);
        add(c, "x", "2", 8);
        gate_open(&release);
    } else if (c->number <= 3) { /* decided at 6, delivered late */
        TRUE(c->request->revision == 5);
        OK(gate_wait(f, &release));
        OK(fiber_sleep(f, 50 * MS));
        c->reply->revision = 6;
        add(c, "y", "1", 6);
    } else {
        return park(f);
    }
    return NULL;
}

static void crossing_body(struct fiber *f)
{
    OK(meta_wait_ready(f, w.client));
    OK(fiber_sleep(f, 20 * MS)); /* the watch is out */
    OK(meta_refresh(f, w.client));
    TRUE(meta_revision(w.client) == 8 && has("x", "2"));
    OK(fiber_sleep(f, 200 * MS));
    TRUE(meta_revision(w.client) == 8 && has("x", "2"));
    TRUE(!meta_get(w.client, slice_str("y"), NULL, NULL)); /* not raised from the dead */
}

static void replies_that_cross_do_not_bring_old_values_back(void **state)
{
    (void)state;
    gate_init(&release);
    begin();
    w.watch = crossing;
    start_client();
    spawn(crossing_body);
    run();
    end();
}

static struct status *behind(struct fiber *f, struct watch_call *c)
{
    if (c->number == 1) {
        c->reply->full = true;
        c->reply->revision = 20;
        add(c, "x", "new", 20);
    } else if (c->number == 2) { /* another leader, which has not heard of 20: a full copy at 15 */
        c->reply->full = true;
        c->reply->revision = 15;
        add(c, "x", "old", 15);
    } else if (c->number == 3) {
        c->reply->revision = 15;
        add(c, "x", "old", 15);
    } else {
        return park(f);
    }
    return NULL;
}

static void behind_body(struct fiber *f)
{
    OK(meta_wait_ready(f, w.client));
    OK(fiber_sleep(f, SECOND));
    TRUE(meta_revision(w.client) == 20 && has("x", "new"));
}

static void an_older_leader_changes_nothing(void **state)
{
    (void)state;
    begin();
    w.watch = behind;
    start_client();
    spawn(behind_body);
    run();
    assert_true(w.watches >= 4);
    end();
}

/* ---- listeners ---- */

static char heard[256];
static struct meta_listener all_keys, once;

static void hear(struct meta_listener *l, struct slice key, struct slice value, bool deleted)
{
    (void)l;
    size_t n = strlen(heard);
    snprintf(heard + n, sizeof(heard) - n, "%c%.*s=%.*s ", deleted ? '-' : '+', (int)key.len,
             (const char *)key.data, (int)value.len, (const char *)value.data);
    if (slice_eq(key, slice_str("p")) &&
        !deleted) { /* the transaction is in the cache as a whole */
        TRUE(meta_get(w.client, slice_str("q"), NULL, NULL));
    }
}

static void hear_once(struct meta_listener *l, struct slice key, struct slice value, bool deleted)
{
    (void)key;
    (void)value;
    (void)deleted;
    meta_unlisten(l);
    meta_unlisten(&all_keys); /* somebody else, while being told */
    meta_listen(w.client, &all_keys);
}

static struct status *told(struct fiber *f, struct watch_call *c)
{
    switch (c->number) {
    case 1:
        c->reply->full = true;
        c->reply->revision = 5;
        add(c, "keep", "1", 2);
        add(c, "gone", "1", 3);
        add(c, "upd", "1", 4);
        return NULL;
    case 2:
        OK(fiber_sleep(f, 10 * MS));
        c->reply->revision = 6;
        add(c, "p", "1", 6);
        add(c, "q", "1", 6);
        return NULL;
    case 3: /* too far behind */
        OK(fiber_sleep(f, 10 * MS));
        c->reply->full = true;
        c->reply->revision = 9;
        add(c, "keep", "1", 2);
        add(c, "p", "1", 6);
        add(c, "q", "1", 6);
        add(c, "upd", "2", 8);
        return NULL;
    default:
        return park(f);
    }
}

static void told_body(struct fiber *f)
{
    OK(meta_wait_revision(f, w.client, 9));
    meta_unlisten(&all_keys);
}

static void listeners_hear_each_change_once_and_whole(void **state)
{
    (void)state;
    begin();
    w.watch = told;
    start_client();
    heard[0] = '\0';
    all_keys = (struct meta_listener){.prefix = slice_make(NULL, 0), .changed = hear};
    once = (struct meta_listener){.prefix = slice_str("q"), .changed = hear_once};
    meta_listen(w.client, &once);
    meta_listen(w.client, &all_keys);
    spawn(told_body);
    run();
    assert_string_equal(heard, "+gone=1 +keep=1 +upd=1 +p=1 +q=1 -gone= +upd=2 ");
    end();
}

/* ---- finding the leader ---- */

static struct status *only_two(struct fiber *f, struct watch_call *c)
{
    if (c->node == 1) {
        return rpc_not_leader(2);
    }
    if (c->request->revision != 0) {
        return park(f);
    }
    c->reply->full = true;
    c->reply->revision = 1;
    add(c, "x", "1", 1);
    return NULL;
}

static void ready_body(struct fiber *f)
{
    OK(meta_wait_ready(f, w.client));
}

static void hints_are_followed_at_once(void **state)
{
    (void)state;
    begin();
    w.watch = only_two;
    start_client();
    uint64_t from = sim_now_ns(w.sim);
    spawn(ready_body);
    run();
    assert_true(sim_now_ns(w.sim) - from < 10 * MS);
    end();
}

static struct status *late_leader(struct fiber *f, struct watch_call *c)
{
    if (c->node == 1 || sim_now_ns(w.sim) < 700 * MS) {
        return rpc_not_leader(0);
    }
    return only_two(f, c);
}

static void an_election_is_waited_for_with_back_off(void **state)
{
    (void)state;
    begin();
    w.watch = late_leader;
    start_client();
    spawn(ready_body);
    run();
    assert_in_range(sim_now_ns(w.sim), 700 * MS, 900 * MS);
    assert_true(w.watches < 60);
    end();
}

static void a_dead_seed_is_passed_over(void **state)
{
    (void)state;
    begin();
    w.watch = only_two;
    sim_net_detach(w.net, 1);
    start_client();
    uint64_t from = sim_now_ns(w.sim);
    spawn(ready_body);
    run();
    assert_true(sim_now_ns(w.sim) - from < 3 * SECOND);
    end();
}

/* The first reply is lost with the connection: the same id comes again. */
static struct status *lost_txn(uint64_t node, const Sherd__V1__MetaTxnRequest *r,
                               Sherd__V1__MetaTxnReply *reply)
{
    w.seen_ids[w.seen++] = r->request_id;
    if (w.seen == 1) {
        return status_new(UNKNOWN_OUTCOME, "the entry may be in the log");
    }
    if (w.seen == 2) {
        return rpc_not_leader(node == 1 ? 2 : 1);
    }
    reply->succeeded = true;
    reply->revision = 7;
    return NULL;
}

static struct status *any_leader(struct fiber *f, struct watch_call *c)
{
    if (c->request->revision != 0) {
        return park(f);
    }
    c->reply->full = true;
    c->reply->revision = 1;
    return NULL;
}

static void lost_txn_body(struct fiber *f)
{
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    bool ok;
    uint64_t rev;
    OK(meta_txn(f, w.client, &r, &ok, &rev));
    TRUE(ok && rev == 7);
    TRUE(w.seen == 3 && w.seen_ids[0] != 0);
    TRUE(w.seen_ids[0] == w.seen_ids[1] && w.seen_ids[1] == w.seen_ids[2]);
}

static void a_change_of_unknown_outcome_is_asked_again_under_its_id(void **state)
{
    (void)state;
    begin();
    w.watch = any_leader;
    w.txn = lost_txn;
    start_client();
    spawn(lost_txn_body);
    run();
    end();
}

static struct status *refused_txn(uint64_t node, const Sherd__V1__MetaTxnRequest *r,
                                  Sherd__V1__MetaTxnReply *reply)
{
    (void)node;
    (void)r;
    (void)reply;
    return status_new(INVALID, "metadata key has 0 bytes");
}

static void refused_body(struct fiber *f)
{
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    bool ok;
    struct status *st = meta_txn(f, w.client, &r, &ok, NULL);
    TRUE(status_is(st, STATUS_INVALID));
    status_free(st);
    /* Nobody answers: the caller's deadline holds. */
    sim_net_detach(w.net, 1);
    sim_net_detach(w.net, 2);
    uint64_t begin_ns = loop_now_ns(fiber_loop(f));
    fiber_set_deadline(f, begin_ns + 3 * SECOND);
    st = meta_txn(f, w.client, &r, &ok, NULL);
    TRUE(status_is(st, STATUS_TIMEOUT));
    TRUE(loop_now_ns(fiber_loop(f)) - begin_ns < 3 * SECOND + 10 * MS);
    status_free(st);
    fiber_set_deadline(f, 0);
    st = meta_txn(f, w.client, &r, &ok, NULL);
    TRUE(status_is(st, STATUS_UNKNOWN_OUTCOME));
    status_free(st);
}

static void errors_and_deadlines_end_a_call(void **state)
{
    (void)state;
    begin();
    w.watch = any_leader;
    w.txn = refused_txn;
    start_client();
    spawn(refused_body);
    run();
    end();
}

/* ---- timestamps ---- */

static uint64_t stamps[16];
static unsigned stamp_count;

static void stamp_body(struct fiber *f)
{
    uint64_t ts;
    OK(meta_timestamp(f, w.client, &ts));
    stamps[stamp_count++] = ts;
}

static void stamps_body(struct fiber *f)
{
    OK(meta_wait_ready(f, w.client));
    for (int i = 0; i < 3; i++) {
        spawn(stamp_body);
    }
    OK(fiber_sleep(f, 5 * MS)); /* their request is under way: these wait for the next (T2) */
    for (int i = 0; i < 4; i++) {
        spawn(stamp_body);
    }
}

static void a_timestamp_request_serves_who_queued_before_it_was_sent(void **state)
{
    (void)state;
    begin();
    w.watch = any_leader;
    stamp_count = 0;
    start_client();
    spawn(stamps_body);
    run();
    assert_int_equal(stamp_count, 7);
    assert_int_equal(w.ts_calls, 2);
    assert_int_equal(w.ts_counts[0], 3);
    assert_int_equal(w.ts_counts[1], 4);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(stamps[i], 1000 + i);
    }
    end();
}

static void impatient_body(struct fiber *f)
{
    uint64_t ts;
    fiber_set_deadline(f, loop_now_ns(fiber_loop(f)) + 2 * MS);
    struct status *st = meta_timestamp(f, w.client, &ts);
    TRUE(status_is(st, STATUS_TIMEOUT));
    status_free(st);
}

static void impatient_all(struct fiber *f)
{
    OK(meta_wait_ready(f, w.client));
    spawn(stamp_body);
    spawn(impatient_body);
    spawn(stamp_body);
}

static void who_gives_up_does_not_disturb_the_others(void **state)
{
    (void)state;
    begin();
    w.watch = any_leader;
    stamp_count = 0;
    start_client();
    spawn(impatient_all);
    run();
    assert_int_equal(stamp_count, 2);
    assert_true(stamps[0] != stamps[1]);
    end();
}

/* ---- the shard map ---- */

static void add_shard(struct watch_call *c, uint64_t id, const char *start, const char *stop,
                      uint64_t revision)
{
    Sherd__V1__ShardDesc d = SHERD__V1__SHARD_DESC__INIT;
    Sherd__V1__KeyRange range = SHERD__V1__KEY_RANGE__INIT;
    Sherd__V1__ReplicaDesc replica = SHERD__V1__REPLICA_DESC__INIT;
    Sherd__V1__ReplicaDesc *replicas[] = {&replica};
    struct buf key = {0};
    d.shard_id = id;
    d.epoch = revision;
    d.range = &range;
    range.start.data = (uint8_t *)(uintptr_t)start;
    range.start.len = strlen(start);
    range.end.data = (uint8_t *)(uintptr_t)stop;
    range.end.len = strlen(stop);
    replica.replica_id = 1;
    replica.node_id = 7;
    d.replicas = replicas;
    d.n_replicas = 1;
    meta_key_shard(&key, slice_str(start));
    buf_put_u8(&key, 0);
    struct slice value = pb_pack_in(&d, c->arena);
    add(c, (const char *)key.data, "", revision);
    Sherd__V1__MetaChange *m = c->reply->changes[c->reply->n_changes - 1];
    m->value.data = (uint8_t *)(uintptr_t)value.data;
    m->value.len = value.len;
    buf_deinit(&key);
}

static struct status *shards(struct fiber *f, struct watch_call *c)
{
    if (c->number == 1) {
        c->reply->full = true;
        c->reply->revision = 1;
        add_shard(c, 2, "", "m", 1);
        add_shard(c, 3, "m", "", 1);
    } else if (c->number == 2) { /* shard 2 is split at "f" */
        OK(fiber_sleep(f, 20 * MS));
        c->reply->revision = 2;
        add_shard(c, 2, "", "f", 2);
        add_shard(c, 4, "f", "m", 2);
    } else {
        return park(f);
    }
    return NULL;
}

static bool collect(void *ctx, const struct shard_info *s)
{
    char *text = ctx;
    size_t n = strlen(text);
    snprintf(text + n, 32, "%llu ", (unsigned long long)s->shard_id);
    return true;
}

static void shards_body(struct fiber *f)
{
    char text[64] = "";
    OK(meta_wait_ready(f, w.client));
    TRUE(shard_map_find(w.client, slice_str("a"))->shard_id == 2);
    TRUE(shard_map_find(w.client, slice_str("m"))->shard_id == 3);
    TRUE(shard_map_find(w.client, slice_str(""))->shard_id == 2);
    shard_map_leader(w.client, 2, 7);
    OK(meta_wait_revision(f, w.client, 2));
    TRUE(shard_map_find(w.client, slice_str("g"))->shard_id == 4);
    const struct shard_info *s = shard_map_find(w.client, slice_str("ezzz"));
    TRUE(s->shard_id == 2 && s->epoch == 2 && s->leader_hint == 7 && s->replica_count == 1);
    TRUE(shard_map_by_id(w.client, 4)->leader_hint == 0);
    TRUE(shard_map_by_id(w.client, 9) == NULL);
    shard_map_scan(w.client, slice_str("g"), slice_str("m"), collect, text);
    TRUE(strcmp(text, "4 ") == 0);
    text[0] = '\0';
    shard_map_scan(w.client, slice_str("e"), slice_make(NULL, 0), collect, text);
    TRUE(strcmp(text, "2 4 3 ") == 0);
}

static void the_shard_map_follows_a_split_and_keeps_its_hints(void **state)
{
    (void)state;
    begin();
    w.watch = shards;
    start_client();
    spawn(shards_body);
    run();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_in_pages_is_ready_when_it_has_caught_up),
        cmocka_unit_test(replies_that_cross_do_not_bring_old_values_back),
        cmocka_unit_test(an_older_leader_changes_nothing),
        cmocka_unit_test(listeners_hear_each_change_once_and_whole),
        cmocka_unit_test(hints_are_followed_at_once),
        cmocka_unit_test(an_election_is_waited_for_with_back_off),
        cmocka_unit_test(a_dead_seed_is_passed_over),
        cmocka_unit_test(a_change_of_unknown_outcome_is_asked_again_under_its_id),
        cmocka_unit_test(errors_and_deadlines_end_a_call),
        cmocka_unit_test(a_timestamp_request_serves_who_queued_before_it_was_sent),
        cmocka_unit_test(who_gives_up_does_not_disturb_the_others),
        cmocka_unit_test(the_shard_map_follows_a_split_and_keeps_its_hints),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
