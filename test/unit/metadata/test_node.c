/* Server and client of one node, end to end: a single voter on a simulated loop. */
#include "meta_world.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct meta_world w;

static void with_node(void (*fn)(struct fiber *f, struct world_node *n))
{
    world_init(&w, 7, 1, 1);
    world_boot(&w, 1);
    world_spawn(&w, 1, fn);
    world_run(&w, 60 * SECOND);
    world_shutdown(&w);
}

static void put_text(struct fiber *f, struct meta_client *c, const char *key, const char *value,
                     uint64_t expect, bool *out_ok, uint64_t *out_revision)
{
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    Sherd__V1__MetaCompare cmp = SHERD__V1__META_COMPARE__INIT;
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    Sherd__V1__MetaCompare *cmps[] = {&cmp};
    Sherd__V1__MetaPut *puts[] = {&put};
    put.key.data = cmp.key.data = (uint8_t *)(uintptr_t)key;
    put.key.len = cmp.key.len = strlen(key);
    put.value.data = (uint8_t *)(uintptr_t)value;
    put.value.len = strlen(value);
    cmp.mod_revision = expect;
    r.compares = cmps;
    r.n_compares = 1;
    r.puts = puts;
    r.n_puts = 1;
    OK(meta_txn(f, c, &r, out_ok, out_revision));
}

static void first_content_body(struct fiber *f, struct world_node *n)
{
    OK(meta_wait_ready(f, n->client));
    struct catalog *c = catalog_current(n->catalog);
    const Sherd__V1__DatabaseDesc *db = catalog_database(c, slice_str("sherd"));
    assert_non_null(db);
    assert_int_equal(db->id, 16384);
    const Sherd__V1__SchemaDesc *schema = catalog_schema(c, db->id, slice_str("public"));
    assert_non_null(schema);
    assert_int_equal(schema->id, 16385);
    assert_true(catalog_role(c, slice_str("sherd"))->superuser);
    catalog_unref(c);
    const struct shard_info *s = shard_map_find(n->client, slice_str("anything"));
    assert_non_null(s);
    assert_int_equal(s->shard_id, 2);
    assert_int_equal(s->replica_count, 1);
    Sherd__V1__NodeAddress a;
    assert_true(node_address(n->client, 1, &a));
    assert_string_equal(a.host, "127.0.0.1");
    uint64_t id;
    OK(meta_allocate(f, n->client, META_ID_OBJECT, 3, &id));
    assert_int_equal(id, 16386);
    OK(meta_allocate(f, n->client, META_ID_OBJECT, 1, &id));
    assert_int_equal(id, 16389);
    OK(meta_allocate(f, n->client, META_ID_SHARD, 1, &id));
    assert_int_equal(id, 3);
}

static void first_start_makes_the_first_content(void **state)
{
    (void)state;
    with_node(first_content_body);
}

static void cas_body(struct fiber *f, struct world_node *n)
{
    bool ok;
    uint64_t rev, mod;
    struct slice v;
    put_text(f, n->client, "setting/a", "1", 0, &ok, &rev);
    assert_true(ok);
    OK(meta_wait_revision(f, n->client, rev));
    assert_true(meta_get(n->client, slice_str("setting/a"), &v, &mod));
    assert_true(slice_eq(v, slice_str("1")));
    assert_int_equal(mod, rev);
    /* must not exist: it does; the cache is fresh when this returns */
    put_text(f, n->client, "setting/a", "2", 0, &ok, NULL);
    assert_false(ok);
    put_text(f, n->client, "setting/a", "2", mod, &ok, &rev);
    assert_true(ok);
    OK(meta_refresh(f, n->client));
    assert_true(meta_get(n->client, slice_str("setting/a"), &v, NULL));
    assert_true(slice_eq(v, slice_str("2")));
}

static void compare_and_set_reaches_the_cache(void **state)
{
    (void)state;
    with_node(cas_body);
}

static void retry_body(struct fiber *f, struct world_node *n)
{
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    Sherd__V1__MetaCompare cmp = SHERD__V1__META_COMPARE__INIT;
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    Sherd__V1__MetaCompare *cmps[] = {&cmp};
    Sherd__V1__MetaPut *puts[] = {&put};
    bool ok;
    uint64_t first, again;
    put.key.data = cmp.key.data = (uint8_t *)(uintptr_t) "setting/b";
    put.key.len = cmp.key.len = 9;
    r.compares = cmps;
    r.n_compares = 1;
    r.puts = puts;
    r.n_puts = 1;
    r.request_id = 4711;
    OK(meta_txn(f, n->client, &r, &ok, &first));
    assert_true(ok);
    OK(meta_txn(f, n->client, &r, &ok, &again)); /* its compare would fail now */
    assert_true(ok);
    assert_int_equal(first, again);
    r.request_id = 4712;
    OK(meta_txn(f, n->client, &r, &ok, NULL));
    assert_false(ok);
}

static void a_repeated_request_gets_the_first_answer(void **state)
{
    (void)state;
    with_node(retry_body);
}

static void timestamps_body(struct fiber *f, struct world_node *n)
{
    uint64_t last = 0;
    OK(meta_wait_ready(f, n->client));
    for (int i = 0; i < 2000; i++) {
        uint64_t ts;
        OK(meta_timestamp(f, n->client, &ts));
        assert_true(ts > last);
        last = ts;
        if (i % 100 == 0) {
            OK(fiber_sleep(f, i % 300 == 0 ? 700 * MS : 10 * MS));
        }
    }
    /* Long idle: the window was let go and is opened again. */
    OK(fiber_sleep(f, 40 * SECOND));
    uint64_t ts;
    OK(meta_timestamp(f, n->client, &ts));
    assert_true(ts > last);
    assert_in_range(ts >> 20, loop_wall_ms(n->loop) - 100, loop_wall_ms(n->loop) + 5000);
}

static void timestamps_rise_and_follow_the_clock(void **state)
{
    (void)state;
    with_node(timestamps_body);
}

static void sequence_put(struct fiber *f, struct meta_client *c, uint64_t id, int64_t inc,
                         int64_t min, int64_t max, bool cycle)
{
    Sherd__V1__SequenceDesc d = SHERD__V1__SEQUENCE_DESC__INIT;
    struct buf key = {0}, value = {0};
    char name[] = "s";
    d.id = id;
    d.name = name;
    d.start = inc > 0 ? min : max;
    d.increment = inc;
    d.min = min;
    d.max = max;
    d.cycle = cycle;
    meta_key(&key, "seq/", id, 8);
    pb_pack(&d, &value);
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    Sherd__V1__MetaPut *puts[] = {&put};
    put.key.data = key.data;
    put.key.len = key.len;
    put.value.data = value.data;
    put.value.len = value.len;
    r.puts = puts;
    r.n_puts = 1;
    bool ok;
    OK(meta_txn(f, c, &r, &ok, NULL));
    assert_true(ok);
    buf_deinit(&key);
    buf_deinit(&value);
}

static struct status *next(struct fiber *f, struct meta_client *c, uint64_t id, uint32_t count,
                           int64_t *first, uint32_t *got)
{
    Sherd__V1__MetaSequenceRequest r = SHERD__V1__META_SEQUENCE_REQUEST__INIT;
    int64_t inc;
    r.sequence_id = id;
    r.count = count;
    return meta_sequence(f, c, &r, first, &inc, got);
}

static void sequences_body(struct fiber *f, struct world_node *n)
{
    int64_t v, inc;
    uint32_t got;
    struct meta_client *c = n->client;
    sequence_put(f, c, 20001, 5, 1, 20, false);
    OK(next(f, c, 20001, 1, &v, &got));
    assert_int_equal(v, 1);
    OK(next(f, c, 20001, 10, &v, &got)); /* 6 11 16 are left */
    assert_int_equal(v, 6);
    assert_int_equal(got, 3);
    struct status *st = next(f, c, 20001, 1, &v, &got);
    assert_non_null(st);
    assert_string_equal(st->sqlstate, "2200H");
    assert_string_equal(st->message, "nextval: reached maximum value of sequence \"s\" (20)");
    status_free(st);
    Sherd__V1__MetaSequenceRequest set = SHERD__V1__META_SEQUENCE_REQUEST__INIT;
    set.sequence_id = 20001;
    set.set = true;
    set.value = 3;
    OK(meta_sequence(f, c, &set, &v, &inc, &got));
    OK(next(f, c, 20001, 1, &v, &got));
    assert_int_equal(v, 3); /* not called: the value itself comes */
    OK(next(f, c, 20001, 1, &v, &got));
    assert_int_equal(v, 8);
    set.value = 21;
    st = meta_sequence(f, c, &set, &v, &inc, &got);
    assert_string_equal(st->sqlstate, "22003");
    status_free(st);
    sequence_put(f, c, 20002, -1, 1, 2, true);
    for (int i = 0; i < 5; i++) {
        OK(next(f, c, 20002, 1, &v, &got));
        assert_int_equal(v, i % 2 == 0 ? 2 : 1);
    }
    sequence_put(f, c, 20003, INT64_MAX, INT64_MAX - 1, INT64_MAX, false);
    OK(next(f, c, 20003, 2, &v, &got));
    assert_int_equal(got, 1);
    status_free(next(f, c, 20003, 1, &v, &got));
    st = next(f, c, 29999, 1, &v, &got);
    assert_string_equal(st->sqlstate, "42P01");
    status_free(st);
}

/* setval answers when the values that were given out before may not be used any more. */
static void setval_body(struct fiber *f, struct world_node *n)
{
    const uint64_t lease_ns = META_SEQUENCE_LEASE_MS * MS;
    struct meta_client *c = n->client;
    int64_t v, inc;
    uint32_t got;
    sequence_put(f, c, 20001, 1, 1, 1000000, false);
    sequence_put(f, c, 20002, 1, 1, 1000000, false);
    Sherd__V1__MetaSequenceRequest set = SHERD__V1__META_SEQUENCE_REQUEST__INIT;
    set.sequence_id = 20001;
    set.set = true;
    set.value = 500;
    set.called = true;
    /* A predecessor's blocks are not known: they are as old as this leader at least. */
    OK(fiber_sleep(f, 2 * lease_ns));
    uint64_t begun = loop_now_ns(n->loop);
    OK(next(f, c, 20001, 100, &v, &got));
    assert_true(loop_now_ns(n->loop) - begun < lease_ns / 2);
    OK(meta_sequence(f, c, &set, &v, &inc, &got));
    assert_true(loop_now_ns(n->loop) - begun > lease_ns);
    OK(next(f, c, 20001, 1, &v, &got));
    assert_int_equal(v, 501);
    /* Another sequence, of which nothing was taken, does not wait. */
    set.sequence_id = 20002;
    begun = loop_now_ns(n->loop);
    OK(meta_sequence(f, c, &set, &v, &inc, &got));
    assert_true(loop_now_ns(n->loop) - begun < lease_ns / 2);
}

static void setval_waits_for_values_given_out(void **state)
{
    (void)state;
    with_node(setval_body);
}

static void sequences_count_end_and_cycle(void **state)
{
    (void)state;
    with_node(sequences_body);
}

static struct status *join(struct fiber *f, struct world_node *n, uint64_t id, uint64_t data_id,
                           uint64_t cluster_id, uint64_t *out_id, uint64_t *out_incarnation)
{
    static char host[] = "10.0.0.9";
    static char text[] = "";
    Sherd__V1__MetaJoinRequest r = SHERD__V1__META_JOIN_REQUEST__INIT;
    Sherd__V1__NodeDesc d = SHERD__V1__NODE_DESC__INIT;
    Sherd__V1__NodeAddress a = SHERD__V1__NODE_ADDRESS__INIT;
    struct arena *arena = arena_create(0);
    void *reply;
    a.node_id = id;
    a.host = host;
    d.address = &a;
    d.locality = text;
    d.version = text;
    d.data_id = data_id;
    d.role_shard = true;
    r.node = &d;
    r.cluster_id = cluster_id;
    struct status *st = meta_call(f, n->client, RPC_META_JOIN, &r, arena, &reply);
    if (st == NULL) {
        *out_id = ((Sherd__V1__MetaJoinReply *)reply)->node_id;
        *out_incarnation = ((Sherd__V1__MetaJoinReply *)reply)->incarnation;
    }
    arena_destroy(arena);
    return st;
}

static void join_body(struct fiber *f, struct world_node *n)
{
    uint64_t id, inc, last;
    OK(meta_wait_ready(f, n->client));
    OK(join(f, n, 1, 500, 0, &id, &inc)); /* of the first configuration: binds its data */
    assert_int_equal(id, 1);
    last = inc;
    OK(join(f, n, 1, 500, 0, &id, &inc)); /* each start has its own incarnation */
    assert_true(inc > last);
    OK(join(f, n, 0, 600, 0, &id, &inc)); /* a new one gets an id ... */
    assert_int_equal(id, 2);
    OK(join(f, n, 0, 600, 0, &id, &inc)); /* ... the same when the reply was lost */
    assert_int_equal(id, 2);
    OK(join(f, n, 9, 900, 0, &id, &inc)); /* an id chosen by hand */
    OK(join(f, n, 0, 1000, 0, &id, &inc));
    assert_int_equal(id, 10);
    struct status *st = join(f, n, 1, 501, 0, &id, &inc); /* its disk was lost */
    assert_true(status_is(st, STATUS_DENIED));
    status_free(st);
    st = join(f, n, 1, 500, 12345, &id, &inc); /* data of another cluster */
    assert_true(status_is(st, STATUS_DENIED));
    status_free(st);
}

static void a_node_joins_with_its_data_only(void **state)
{
    (void)state;
    with_node(join_body);
}

static struct status *beat(struct fiber *f, struct world_node *n, uint64_t node_id,
                           uint64_t incarnation, uint64_t oldest, uint64_t *out_watermark)
{
    Sherd__V1__MetaHeartbeatRequest r = SHERD__V1__META_HEARTBEAT_REQUEST__INIT;
    Sherd__V1__ReplicaStatus rs = SHERD__V1__REPLICA_STATUS__INIT;
    Sherd__V1__ReplicaStatus *all[] = {&rs};
    struct arena *arena = arena_create(0);
    void *reply;
    r.node_id = node_id;
    r.incarnation = incarnation;
    r.oldest_snapshot = oldest;
    rs.shard_id = 2;
    rs.bytes = 77;
    r.replicas = all;
    r.n_replicas = 1;
    struct status *st = meta_call(f, n->client, RPC_META_HEARTBEAT, &r, arena, &reply);
    if (st == NULL) {
        *out_watermark = ((Sherd__V1__MetaHeartbeatReply *)reply)->gc_watermark;
    }
    arena_destroy(arena);
    return st;
}

static void heartbeats_body(struct fiber *f, struct world_node *n)
{
    uint64_t id, inc, mark, ts, old;
    OK(meta_wait_ready(f, n->client));
    OK(join(f, n, 1, 500, 0, &id, &inc));
    OK(meta_timestamp(f, n->client, &ts));
    OK(beat(f, n, 1, inc, 0, &mark));
    old = mark;
    assert_true(mark <= ts - (600000ull << 20));
    /* An old snapshot holds the watermark back; it never falls. */
    OK(beat(f, n, 1, inc, mark + 1, &mark));
    assert_in_range(mark, old, old + 1);
    OK(fiber_sleep(f, 1 * SECOND));
    OK(meta_timestamp(f, n->client, &ts));
    OK(beat(f, n, 1, inc, old + 1, &mark));
    assert_in_range(mark, old, old + 1);
    OK(beat(f, n, 1, inc, 0, &mark));
    assert_true(mark > old + 1);
    struct status *st = beat(f, n, 1, inc - 1, 0, &mark);
    assert_true(status_is(st, STATUS_DENIED));
    status_free(st);
    st = beat(f, n, 55, 1, 0, &mark);
    assert_true(status_is(st, STATUS_NOT_FOUND));
    status_free(st);
    struct arena *a = arena_create(0);
    Sherd__V1__MetaStatusReply *s;
    OK(meta_status(f, n->client, a, &s));
    assert_string_equal(s->cluster_name, "test");
    assert_int_equal(s->n_nodes, 1);
    assert_true(s->nodes[0]->alive);
    assert_int_equal(s->nodes[0]->replicas[0]->bytes, 77);
    assert_int_equal(s->n_shards, 1);
    arena_destroy(a);
}

static void heartbeats_give_liveness_and_watermark(void **state)
{
    (void)state;
    with_node(heartbeats_body);
}

#define LARGE_KEYS 12

static void large_body(struct fiber *f, struct world_node *n)
{
    uint64_t seeds[] = {1};
    char *value = mem_zalloc((1 << 20) + 1);
    memset(value, 'v', 1 << 20);
    OK(meta_wait_ready(f, n->client));
    for (int i = 0; i < LARGE_KEYS; i++) {
        char key[32];
        bool ok;
        snprintf(key, sizeof(key), "setting/%02d", i);
        put_text(f, n->client, key, value, 0, &ok, NULL);
        assert_true(ok);
    }
    mem_free(value);
    struct meta_client *c = meta_client_create(n->rpc, seeds, 1);
    OK(meta_wait_ready(f, c));
    for (int i = 0; i < LARGE_KEYS; i++) {
        char key[32];
        struct slice v;
        snprintf(key, sizeof(key), "setting/%02d", i);
        ASSERT(meta_get(c, slice_str(key), &v, NULL) && v.len == 1 << 20);
    }
    ASSERT(meta_revision(c) == meta_revision(n->client));
    ASSERT(!meta_get(c, slice_str("counter/object"), NULL, NULL)); /* silent */
    meta_client_destroy(f, c);
}

static void a_large_space_comes_in_pages(void **state)
{
    (void)state;
    with_node(large_body);
}

static void refusals_body(struct fiber *f, struct world_node *n)
{
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    Sherd__V1__MetaPut *puts[] = {&put};
    ProtobufCBinaryData none = {0};
    bool ok;
    r.puts = puts;
    r.n_puts = 1; /* an empty key */
    struct status *st = meta_txn(f, n->client, &r, &ok, NULL);
    assert_true(status_is(st, STATUS_INVALID));
    status_free(st);
    put.key.data = mem_zalloc(9u << 20);
    put.key.len = 1;
    put.value.data = put.key.data;
    put.value.len = 9u << 20;
    st = meta_txn(f, n->client, &r, &ok, NULL);
    assert_true(status_is(st, STATUS_LIMIT));
    assert_string_equal(st->sqlstate, "54000");
    status_free(st);
    mem_free(put.key.data);
    r.n_puts = 0;
    r.delete_prefixes = &none;
    r.n_delete_prefixes = 1; /* everything */
    st = meta_txn(f, n->client, &r, &ok, NULL);
    assert_true(status_is(st, STATUS_INVALID));
    status_free(st);
    uint64_t id;
    st = meta_allocate(f, n->client, (enum meta_id_kind)77, 1, &id);
    assert_true(status_is(st, STATUS_INVALID));
    status_free(st);
    st = meta_allocate(f, n->client, META_ID_OBJECT, 0, &id);
    assert_true(status_is(st, STATUS_INVALID));
    status_free(st);
}

static void senseless_requests_are_refused(void **state)
{
    (void)state;
    with_node(refusals_body);
}

static void busy_body(struct fiber *f, struct world_node *n)
{
    for (int i = 0; i < 1000 && n->server != NULL; i++) {
        Sherd__V1__MetaAllocateRequest r = SHERD__V1__META_ALLOCATE_REQUEST__INIT;
        struct arena *a = arena_create(0);
        void *reply;
        r.kind = META_ID_OBJECT;
        r.count = 1;
        /* To this node and no further: what the server tells who is inside when it stops. */
        struct status *st = rpc_call(f, n->rpc, n->id, RPC_META_ALLOCATE, &r, a, &reply);
        bool is_expected = st == NULL || st->code == STATUS_NOT_LEADER ||
                           st->code == STATUS_UNKNOWN_OUTCOME || st->code == STATUS_UNSUPPORTED;
        ASSERT_MSG(is_expected, "%s", st->message);
        status_free(st);
        arena_destroy(a);
    }
}

static void stop_body(struct fiber *f, struct world_node *n)
{
    OK(meta_wait_ready(f, n->client));
    OK(fiber_sleep(f, 3 * MS));
    struct meta_server *s = n->server;
    n->server = NULL;
    meta_server_stop(f, s);
}

static void a_stop_ends_everybody_who_is_inside(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        world_init(&w, seed, 1, 1);
        world_boot(&w, 1);
        for (int i = 0; i < 5; i++) {
            world_spawn(&w, 1, busy_body);
        }
        world_spawn(&w, 1, stop_body);
        world_run(&w, 60 * SECOND);
        world_shutdown(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_start_makes_the_first_content),
        cmocka_unit_test(compare_and_set_reaches_the_cache),
        cmocka_unit_test(a_repeated_request_gets_the_first_answer),
        cmocka_unit_test(timestamps_rise_and_follow_the_clock),
        cmocka_unit_test(sequences_count_end_and_cycle),
        cmocka_unit_test(setval_waits_for_values_given_out),
        cmocka_unit_test(a_node_joins_with_its_data_only),
        cmocka_unit_test(heartbeats_give_liveness_and_watermark),
        cmocka_unit_test(a_large_space_comes_in_pages),
        cmocka_unit_test(senseless_requests_are_refused),
        cmocka_unit_test(a_stop_ends_everybody_who_is_inside),
    };
    log_set_level(LOG_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
