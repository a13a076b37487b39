/*
 * The gRPC server, client and node link with real sockets on loopback: two servers in this process
 * on ports of the kernel's choice, everything on one loop and its completion-queue thread.
 */
#include "api/grpc.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/log.h"
#include "base/loop_uv.h"
#include "sherd/v1/admin.pb-c.h"
#include "sherd/v1/metadata.pb-c.h"
#include "sherd/v1/shard.pb-c.h"
#include "sherd/v1/sql.pb-c.h"

#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <grpc/health/v1/health.pb-c.h>

#include "grpc/health/v1/health.pb-c.h"

#include <cmocka.h>

#define NODES 2
#define CLUSTER 0x5eed

struct world {
    struct loop *loop;
    struct grpc_front *fronts[NODES + 1];
    struct rpc_link *links[NODES + 1];
    struct rpc_node *nodes[NODES + 1];
    uint64_t clusters[NODES + 1];
    uint16_t ports[NODES + 1]; /* what resolve() says */
    int handled;
    int cancelled;
    struct cond changed; /* a handler began or ended */
    void (*body)(struct fiber *f, struct world *w);
};

static bool resolve(void *ctx, uint64_t node_id, char *out_host, size_t host_size,
                    uint16_t *out_port)
{
    struct world *w = ctx;
    if (node_id == 0 || node_id > NODES || w->ports[node_id] == 0) {
        return false;
    }
    (void)snprintf(out_host, host_size, "127.0.0.1");
    *out_port = w->ports[node_id];
    return true;
}

/* Answers count * 2 after `count` milliseconds; parks for ever on UINT32_MAX. */
static struct status *timestamp(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, void *handler_ctx)
{
    struct world *w = handler_ctx;
    const Sherd__V1__MetaTimestampRequest *r = request;
    w->handled++;
    cond_broadcast(&w->changed);
    struct status *st = NULL;
    if (r->count == UINT32_MAX) {
        while (st == NULL) {
            st = fiber_park(f);
        }
    } else if (r->count > 0) {
        st = fiber_sleep(f, ms_to_ns(r->count));
    }
    if (st != NULL) {
        w->cancelled++;
        cond_broadcast(&w->changed);
        return st;
    }
    Sherd__V1__MetaTimestampReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__meta_timestamp_reply__init(reply);
    reply->first = r->count * 2u;
    *out_reply = reply;
    return NULL;
}

/* Sends the request's values back as one value of their total length. */
static struct status *txn(struct fiber *f, struct rpc_context *ctx, const void *request,
                          void **out_reply, void *handler_ctx)
{
    (void)f;
    (void)handler_ctx;
    const Sherd__V1__MetaTxnRequest *r = request;
    if (r->n_puts == 0) {
        return status_hint(status_sql(CONSTRAINT, "23505", "no puts"), "Put something.");
    }
    Sherd__V1__MetaTxnReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__meta_txn_reply__init(reply);
    for (size_t i = 0; i < r->n_puts; i++) {
        reply->revision += r->puts[i]->value.len;
    }
    *out_reply = reply;
    return NULL;
}

static struct status *split_point(struct fiber *f, struct rpc_context *ctx, const void *request,
                                  void **out_reply, void *handler_ctx)
{
    (void)f, (void)handler_ctx;
    const Sherd__V1__SplitPointRequest *r = request;
    Sherd__V1__SplitPointReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__split_point_reply__init(reply);
    reply->key.len = r->shard_id;
    reply->key.data = arena_zalloc(ctx->arena, r->shard_id);
    *out_reply = reply;
    return NULL;
}

/* Execute: `sql` is the number of messages; then an error if it was "7". */
static struct status *execute(struct fiber *f, struct rpc_context *ctx, const void *request,
                              struct grpc_stream *stream, void *handler_ctx)
{
    (void)ctx, (void)handler_ctx;
    const Sherd__V1__ExecuteRequest *r = request;
    int n = atoi(r->sql);
    if (n < 0) { /* three parts of one message, -n times */
        for (int i = 0; i < -n; i++) {
            Sherd__V1__Column column = SHERD__V1__COLUMN__INIT;
            Sherd__V1__Column *columns = &column;
            Sherd__V1__Row row = SHERD__V1__ROW__INIT;
            Sherd__V1__Row *rows[] = {&row, &row};
            Sherd__V1__ExecuteReply head = SHERD__V1__EXECUTE_REPLY__INIT;
            Sherd__V1__ExecuteReply body = SHERD__V1__EXECUTE_REPLY__INIT;
            Sherd__V1__ExecuteReply tail = SHERD__V1__EXECUTE_REPLY__INIT;
            column.name = (char *)"c";
            head.n_columns = 1;
            head.columns = &columns;
            body.n_rows = 2;
            body.rows = rows;
            tail.done = 1;
            tail.tag = (char *)"DONE";
            TRY(grpc_stream_send(f, stream, &head.base));
            TRY(grpc_stream_append(f, stream, &body.base));
            TRY(grpc_stream_append(f, stream, &tail.base));
        }
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        Sherd__V1__ExecuteReply reply = SHERD__V1__EXECUTE_REPLY__INIT;
        reply.row_count = (uint64_t)i;
        TRY(grpc_stream_send(f, stream, &reply.base));
    }
    return n == 7 ? status_new(CONFLICT, "seven") : NULL;
}

static void node_up(struct world *w, uint64_t i, uint16_t port)
{
    struct status *st = grpc_front_create(w->loop, "127.0.0.1", port, &w->fronts[i]);
    assert_null(st);
    struct grpc_front *g = w->fronts[i];
    w->links[i] = grpc_link_create(w->loop, g, i, w->clusters[i], resolve, w);
    w->nodes[i] = rpc_node_create(w->loop, i, w->links[i]);
    rpc_register(w->nodes[i], RPC_META_TIMESTAMP, timestamp, w, false);
    rpc_register(w->nodes[i], RPC_META_TXN, txn, w, true);
    rpc_register(w->nodes[i], RPC_SHARD_SPLIT_POINT, split_point, w, true);
    grpc_front_unary(g, "/sherd.v1.Metadata/Timestamp",
                     &sherd__v1__meta_timestamp_request__descriptor, timestamp, w);
    grpc_front_unary(g, "/sherd.v1.Metadata/Txn", &sherd__v1__meta_txn_request__descriptor, txn, w);
    grpc_front_streaming(g, "/sherd.v1.Sql/Execute", &sherd__v1__execute_request__descriptor,
                         execute, w);
    grpc_front_start(g);
    w->ports[i] = grpc_front_port(g);
}

static void node_down(struct fiber *f, struct world *w, uint64_t i)
{
    rpc_node_destroy(w->nodes[i]);
    grpc_link_destroy(f, w->links[i]);
    grpc_front_destroy(f, w->fronts[i]);
    w->nodes[i] = NULL;
    w->links[i] = NULL;
    w->fronts[i] = NULL;
}

static void main_fiber(struct fiber *f, void *arg)
{
    struct world *w = arg;
    for (uint64_t i = 1; i <= NODES; i++) {
        node_up(w, i, 0);
    }
    w->body(f, w);
    for (uint64_t i = 1; i <= NODES; i++) {
        node_down(f, w, i);
    }
    loop_uv_stop(w->loop);
}

static void run(void (*body)(struct fiber *f, struct world *w))
{
    struct world w = {.loop = loop_uv_create(), .body = body};
    for (int i = 1; i <= NODES; i++) {
        w.clusters[i] = CLUSTER;
    }
    cond_init(&w.changed);
    fiber_spawn(w.loop, FIBER_STACK_LARGE, main_fiber, &w);
    loop_uv_run(w.loop);
    loop_uv_destroy(w.loop);
}

/* ---- unary calls ---- */

static struct status *unary_timestamp(struct fiber *f, struct world *w, uint32_t count,
                                      uint64_t *out)
{
    struct arena *a = arena_create(0);
    Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    r.count = count;
    void *reply = NULL;
    struct status *st =
        grpc_unary_call(f, w->loop, "127.0.0.1", w->ports[1], "/sherd.v1.Metadata/Timestamp",
                        &r.base, &sherd__v1__meta_timestamp_reply__descriptor, a, &reply);
    if (st == NULL) {
        *out = ((Sherd__V1__MetaTimestampReply *)reply)->first;
    }
    arena_destroy(a);
    return st;
}

static struct status *unary_txn(struct fiber *f, struct world *w, size_t bytes, uint64_t *out)
{
    struct arena *a = arena_create(0);
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    Sherd__V1__MetaPut *puts[] = {&put};
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    if (bytes > 0) {
        put.value.len = bytes;
        put.value.data = mem_zalloc(bytes);
        r.puts = puts;
        r.n_puts = 1;
    }
    void *reply = NULL;
    struct status *st =
        grpc_unary_call(f, w->loop, "127.0.0.1", w->ports[1], "/sherd.v1.Metadata/Txn", &r.base,
                        &sherd__v1__meta_txn_reply__descriptor, a, &reply);
    if (st == NULL) {
        *out = ((Sherd__V1__MetaTxnReply *)reply)->revision;
    }
    mem_free(put.value.data);
    arena_destroy(a);
    return st;
}

static void unary_body(struct fiber *f, struct world *w)
{
    uint64_t v = 0;
    assert_null(unary_timestamp(f, w, 3, &v));
    assert_int_equal(v, 6);
    struct status *st = unary_txn(f, w, 0, &v);
    assert_true(status_is(st, STATUS_CONSTRAINT));
    assert_string_equal(st->sqlstate, "23505");
    assert_string_equal(st->message, "no puts");
    assert_string_equal(st->hint, "Put something.");
    status_free(st);
}
static void a_unary_call_gets_its_reply_or_the_whole_error(void **state)
{
    (void)state;
    run(unary_body);
}

static void big_body(struct fiber *f, struct world *w)
{
    uint64_t v = 0;
    assert_null(unary_txn(f, w, 20u << 20, &v));
    assert_int_equal(v, 20u << 20);
    struct status *st = unary_txn(f, w, 33u << 20, &v);
    assert_true(status_is(st, STATUS_LIMIT));
    status_free(st);
    assert_null(unary_timestamp(f, w, 1, &v)); /* it is well */
}
static void a_big_message_passes_and_one_over_the_limit_is_refused(void **state)
{
    (void)state;
    run(big_body);
}

static void unknown_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    Sherd__V1__MetaStatusRequest r = SHERD__V1__META_STATUS_REQUEST__INIT;
    void *reply = NULL;
    static const char *names[] = {"/sherd.v1.Metadata/Status", "/no.such/Method", "/x"};
    for (size_t i = 0; i < 3; i++) {
        struct status *st = grpc_unary_call(f, w->loop, "127.0.0.1", w->ports[1], names[i], &r.base,
                                            &sherd__v1__meta_status_reply__descriptor, a, &reply);
        assert_true(status_is(st, STATUS_UNSUPPORTED));
        assert_non_null(strstr(st->message, names[i]));
        status_free(st);
    }
    arena_destroy(a);
}
static void an_unknown_method_is_answered_unimplemented(void **state)
{
    (void)state;
    run(unknown_body);
}

static void garbage_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    /* A message whose fields do not fit the method's type. */
    Sherd__V1__MetaPut r = SHERD__V1__META_PUT__INIT;
    r.key = (ProtobufCBinaryData){4, (uint8_t *)"\xff\xff\xff\xff"};
    void *reply = NULL;
    struct status *st =
        grpc_unary_call(f, w->loop, "127.0.0.1", w->ports[1], "/sherd.v1.Metadata/Txn", &r.base,
                        &sherd__v1__meta_txn_reply__descriptor, a, &reply);
    assert_true(status_is(st, STATUS_INVALID));
    status_free(st);
    arena_destroy(a);
}
static void a_request_that_does_not_parse_is_invalid(void **state)
{
    (void)state;
    run(garbage_body);
}

static void deadline_body(struct fiber *f, struct world *w)
{
    uint64_t v;
    uint64_t start = loop_clock_ns(w->loop);
    fiber_set_deadline(f, start + ms_to_ns(50));
    struct status *st = unary_timestamp(f, w, UINT32_MAX, &v);
    assert_true(status_is(st, STATUS_TIMEOUT));
    status_free(st);
    fiber_set_deadline(f, 0);
    assert_true(loop_clock_ns(w->loop) - start < ms_to_ns(5000));
    while (w->cancelled == 0) { /* the server's handler hears of it */
        assert_null(cond_wait(f, &w->changed));
    }
}
static void a_callers_deadline_cancels_the_handler(void **state)
{
    (void)state;
    run(deadline_body);
}

static void nobody_body(struct fiber *f, struct world *w)
{
    uint64_t v;
    uint16_t port = w->ports[1];
    node_down(f, w, 1);
    struct status *st = unary_timestamp(f, w, 1, &v);
    assert_true(status_is(st, STATUS_UNAVAILABLE));
    status_free(st);
    node_up(w, 1, port);
}
static void nobody_there_is_unavailable(void **state)
{
    (void)state;
    run(nobody_body);
}

static void port_body(struct fiber *f, struct world *w)
{
    (void)f;
    struct grpc_front *g = NULL;
    struct status *st = grpc_front_create(w->loop, "127.0.0.1", w->ports[1], &g);
    assert_true(status_is(st, STATUS_INVALID));
    char port[16];
    (void)snprintf(port, sizeof(port), ":%u", w->ports[1]);
    assert_non_null(strstr(st->message, port));
    assert_non_null(strstr(st->message, "in use"));
    assert_non_null(st->hint);
    status_free(st);
    st = grpc_front_create(w->loop, "192.0.2.1", 0, &g);
    assert_true(status_is(st, STATUS_INVALID));
    assert_non_null(strstr(st->message, "192.0.2.1"));
    status_free(st);
}
static void a_port_in_use_is_named(void **state)
{
    (void)state;
    run(port_body);
}

static void health_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    Grpc__Health__V1__HealthCheckRequest r = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    static const char *good[] = {"", "sherd.v1.Metadata", "sherd.v1.Sql", "sherd.v1.Node"};
    for (size_t i = 0; i < 4; i++) {
        void *reply = NULL;
        r.service = (char *)good[i];
        assert_null(grpc_unary_call(
            f, w->loop, "127.0.0.1", w->ports[1], "/grpc.health.v1.Health/Check", &r.base,
            &grpc__health__v1__health_check_response__descriptor, a, &reply));
        assert_int_equal(((Grpc__Health__V1__HealthCheckResponse *)reply)->status, 1);
    }
    r.service = (char *)"sherd.v1.Sq";
    void *reply = NULL;
    struct status *st =
        grpc_unary_call(f, w->loop, "127.0.0.1", w->ports[1], "/grpc.health.v1.Health/Check",
                        &r.base, &grpc__health__v1__health_check_response__descriptor, a, &reply);
    assert_true(status_is(st, STATUS_NOT_FOUND));
    status_free(st);
    arena_destroy(a);
}
static void health_tells_of_the_server_and_each_service(void **state)
{
    (void)state;
    run(health_body);
}

static void flood_child(struct fiber *f, void *arg)
{
    uint64_t v = 0;
    assert_null(unary_timestamp(f, arg, 2, &v));
    assert_int_equal(v, 4);
}
static void flood_body(struct fiber *f, struct world *w)
{
    struct fan fan;
    fan_init(&fan);
    for (int i = 0; i < 100; i++) { /* more than there are slots */
        fan_spawn(f, &fan, FIBER_STACK_LARGE, flood_child, w);
    }
    fan_wait(f, &fan);
    assert_int_equal(w->handled, 100);
}
static void more_calls_than_slots_are_all_answered(void **state)
{
    (void)state;
    run(flood_body);
}

/* ---- the node link ---- */

static struct status *ask(struct fiber *f, struct world *w, uint64_t from, uint64_t to,
                          uint32_t count, uint64_t *out)
{
    struct arena *a = arena_create(0);
    Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    r.count = count;
    void *reply = NULL;
    struct status *st = rpc_call(f, w->nodes[from], to, RPC_META_TIMESTAMP, &r, a, &reply);
    if (st == NULL) {
        *out = ((Sherd__V1__MetaTimestampReply *)reply)->first;
    }
    arena_destroy(a);
    return st;
}

/* Until the link is there; gives up after 10 s. */
static void connect_link(struct fiber *f, struct world *w, uint64_t from, uint64_t to)
{
    uint64_t give_up = loop_clock_ns(w->loop) + ms_to_ns(10000);
    while (!w->links[from]->is_connected(w->links[from], to)) {
        assert_true(loop_clock_ns(w->loop) < give_up);
        assert_null(fiber_sleep(f, ms_to_ns(1)));
    }
}

static void link_body(struct fiber *f, struct world *w)
{
    uint64_t v = 0;
    struct status *st = ask(f, w, 1, 2, 1, &v);
    assert_true(status_is(st, STATUS_UNAVAILABLE)); /* it has just begun to connect */
    status_free(st);
    connect_link(f, w, 1, 2);
    connect_link(f, w, 2, 1);
    assert_null(ask(f, w, 1, 2, 2, &v));
    assert_int_equal(v, 4);
    assert_null(ask(f, w, 2, 1, 3, &v));
    assert_int_equal(v, 6);
}
static void the_link_carries_calls_both_ways(void **state)
{
    (void)state;
    run(link_body);
}

static void link_many_body(struct fiber *f, struct world *w)
{
    enum { N = 1000 };
    connect_link(f, w, 1, 2);
    struct rpc_call *calls = mem_zalloc(N * sizeof(*calls));
    struct arena *a = arena_create(0);
    for (uint32_t i = 0; i < N; i++) {
        Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
        r.count = i % 5;
        rpc_start(f, w->nodes[1], 2, RPC_META_TIMESTAMP, &r, a, &calls[i]);
    }
    for (uint32_t i = 0; i < N; i++) {
        assert_null(rpc_wait(f, &calls[i]));
        assert_int_equal(((Sherd__V1__MetaTimestampReply *)calls[i].reply)->first, i % 5 * 2);
    }
    arena_destroy(a);
    mem_free(calls);
}
static void many_calls_side_by_side_each_get_their_answer(void **state)
{
    (void)state;
    run(link_many_body);
}

static void link_big_body(struct fiber *f, struct world *w)
{
    connect_link(f, w, 1, 2);
    struct arena *a = arena_create(0);
    struct rpc_call calls[6];
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    put.value.len = 8u << 20;
    put.value.data = mem_zalloc(put.value.len);
    Sherd__V1__MetaPut *puts[] = {&put};
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    r.puts = puts;
    r.n_puts = 1;
    for (int i = 0; i < 6; i++) { /* 48 MB: more than one envelope may have */
        rpc_start(f, w->nodes[1], 2, RPC_META_TXN, &r, a, &calls[i]);
    }
    for (int i = 0; i < 6; i++) {
        assert_null(rpc_wait(f, &calls[i]));
        assert_int_equal(((Sherd__V1__MetaTxnReply *)calls[i].reply)->revision, put.value.len);
    }
    mem_free(put.value.data);
    Sherd__V1__SplitPointRequest q = SHERD__V1__SPLIT_POINT_REQUEST__INIT;
    q.shard_id = 31u << 20;
    void *reply = NULL;
    assert_null(rpc_call(f, w->nodes[1], 2, RPC_SHARD_SPLIT_POINT, &q, a, &reply));
    assert_int_equal(((Sherd__V1__SplitPointReply *)reply)->key.len, 31u << 20);
    q.shard_id = 33u << 20;
    struct status *st = rpc_call(f, w->nodes[1], 2, RPC_SHARD_SPLIT_POINT, &q, a, &reply);
    assert_true(status_is(st, STATUS_LIMIT));
    status_free(st);
    arena_destroy(a);
}
static void big_messages_pass_the_link(void **state)
{
    (void)state;
    run(link_big_body);
}

static void link_deadline_body(struct fiber *f, struct world *w)
{
    uint64_t v;
    connect_link(f, w, 1, 2);
    fiber_set_deadline(f, loop_clock_ns(w->loop) + ms_to_ns(30));
    struct status *st = ask(f, w, 1, 2, UINT32_MAX, &v);
    assert_true(status_is(st, STATUS_TIMEOUT));
    status_free(st);
    fiber_set_deadline(f, 0);
    while (w->cancelled == 0) {
        assert_null(cond_wait(f, &w->changed));
    }
    assert_null(ask(f, w, 1, 2, 1, &v));
}
static void a_deadline_over_the_link_cancels_the_handler(void **state)
{
    (void)state;
    run(link_deadline_body);
}

struct child {
    struct world *w;
    struct status *st;
    uint64_t ended_ns;
};
static void child_main(struct fiber *f, void *arg)
{
    struct child *c = arg;
    uint64_t v;
    c->st = ask(f, c->w, 1, 2, UINT32_MAX, &v);
    c->ended_ns = loop_clock_ns(c->w->loop);
}

static void restart_body(struct fiber *f, struct world *w)
{
    connect_link(f, w, 1, 2);
    struct child c = {.w = w};
    struct fan fan;
    fan_init(&fan);
    fan_spawn(f, &fan, FIBER_STACK_LARGE, child_main, &c);
    while (w->handled == 0) {
        assert_null(cond_wait(f, &w->changed));
    }
    uint16_t port = w->ports[2];
    node_down(f, w, 2);
    fan_wait(f, &fan);
    assert_true(status_is(c.st, STATUS_UNKNOWN_OUTCOME));
    status_free(c.st);
    assert_int_equal(w->cancelled, 1);
    uint64_t v = 0;
    struct status *st = ask(f, w, 1, 2, 1, &v);
    assert_true(status_is(st, STATUS_UNAVAILABLE));
    status_free(st);
    node_up(w, 2, port);
    connect_link(f, w, 1, 2);
    assert_null(ask(f, w, 1, 2, 1, &v));
    assert_int_equal(v, 2);
}
static void a_peer_that_goes_and_comes_back_is_reconnected(void **state)
{
    (void)state;
    run(restart_body);
}

static void stranger_body(struct fiber *f, struct world *w)
{
    /* Node 2 of another cluster; then an address where another node answers. */
    uint16_t port = w->ports[2];
    node_down(f, w, 2);
    w->clusters[2] = CLUSTER + 1;
    node_up(w, 2, port);
    uint64_t end = loop_clock_ns(w->loop) + ms_to_ns(150);
    while (loop_clock_ns(w->loop) < end) {
        assert_false(w->links[1]->is_connected(w->links[1], 2));
        assert_false(w->links[2]->is_connected(w->links[2], 1));
        assert_null(fiber_sleep(f, ms_to_ns(10)));
    }
    node_down(f, w, 2);
    w->ports[2] = w->ports[1];
    end = loop_clock_ns(w->loop) + ms_to_ns(150);
    while (loop_clock_ns(w->loop) < end) {
        assert_false(w->links[1]->is_connected(w->links[1], 2)); /* node 1 answers there */
        assert_null(fiber_sleep(f, ms_to_ns(10)));
    }
    w->clusters[2] = CLUSTER;
    node_up(w, 2, port);
    connect_link(f, w, 1, 2);
}
static void a_node_of_another_cluster_or_at_a_wrong_address_is_refused(void **state)
{
    (void)state;
    run(stranger_body);
}

static void late_id_body(struct fiber *f, struct world *w)
{
    uint16_t port = w->ports[2];
    node_down(f, w, 2);
    struct grpc_front *g = NULL;
    assert_null(grpc_front_create(w->loop, "127.0.0.1", port, &g));
    struct rpc_link *l = grpc_link_create(w->loop, g, 0, 0, resolve, w);
    struct rpc_node *n = rpc_node_create(w->loop, 0, l);
    grpc_front_start(g);
    assert_false(l->is_connected(l, 1));
    rpc_node_identity(n, 2);
    grpc_link_identity(l, 2, CLUSTER);
    w->fronts[2] = g;
    w->links[2] = l;
    w->nodes[2] = n;
    connect_link(f, w, 2, 1);
    connect_link(f, w, 1, 2);
    uint64_t v = 0;
    assert_null(ask(f, w, 2, 1, 1, &v));
    assert_int_equal(v, 2);
}
static void a_node_that_learns_its_id_late_connects_then(void **state)
{
    (void)state;
    run(late_id_body);
}

/* ---- a peer in a process of its own ---- */

/* `test_api_grpc --peer`: node 2 until it is killed; prints its port. */
static int peer_process(void)
{
    struct world w = {.loop = loop_uv_create()};
    w.clusters[2] = CLUSTER;
    cond_init(&w.changed);
    node_up(&w, 2, 0);
    printf("%u\n", w.ports[2]);
    (void)fflush(stdout);
    loop_uv_run(w.loop);
    return 0;
}

static pid_t peer_start(uint16_t *out_port)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    char *args[] = {(char *)"test_api_grpc", (char *)"--peer", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    pid_t pid;
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, args, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    FILE *in = fdopen(fds[0], "r");
    char line[32];
    assert_non_null(fgets(line, sizeof(line), in));
    (void)fclose(in);
    *out_port = (uint16_t)strtoul(line, NULL, 10);
    return pid;
}

static void kill_body(struct fiber *f, struct world *w)
{
    node_down(f, w, 2);
    pid_t pid = peer_start(&w->ports[2]);
    connect_link(f, w, 1, 2);
    struct child c = {.w = w};
    struct fan fan;
    fan_init(&fan);
    fan_spawn(f, &fan, FIBER_STACK_LARGE, child_main, &c);
    uint64_t v;
    assert_null(ask(f, w, 1, 2, 1, &v)); /* behind it in the stream: the other has begun too */
    uint64_t start = loop_clock_ns(w->loop);
    assert_int_equal(kill(pid, SIGKILL), 0);
    fan_wait(f, &fan);
    assert_true(status_is(c.st, STATUS_UNKNOWN_OUTCOME));
    status_free(c.st);
    /* Some milliseconds; the bound leaves room for a loaded machine. */
    assert_true(c.ended_ns - start < ms_to_ns(500));
    int code;
    assert_int_equal(waitpid(pid, &code, 0), pid);
    node_up(w, 2, 0);
}
static void a_killed_peer_is_noticed_at_once(void **state)
{
    (void)state;
    run(kill_body);
}

/* ---- what speaks garbage ---- */

static void garbage_stream_body(struct fiber *f, struct world *w)
{
    /* The stream method called as if it were unary, with a message that is no hello. */
    struct arena *a = arena_create(0);
    Sherd__V1__MetaPut r = SHERD__V1__META_PUT__INIT;
    r.key = (ProtobufCBinaryData){4, (uint8_t *)"\xff\xff\xff\xff"};
    void *reply = NULL;
    struct status *st =
        grpc_unary_call(f, w->loop, "127.0.0.1", w->ports[1], "/sherd.v1.Node/Stream", &r.base,
                        &sherd__v1__meta_txn_reply__descriptor, a, &reply);
    assert_true(status_is(st, STATUS_INVALID));
    assert_non_null(strstr(st->message, "hello"));
    status_free(st);
    arena_destroy(a);
}
static void a_node_stream_without_hello_is_refused(void **state)
{
    (void)state;
    run(garbage_stream_body);
}

static void order_body(struct fiber *f, struct world *w)
{
    connect_link(f, w, 1, 2);
    connect_link(f, w, 2, 1);
    struct child c = {.w = w};
    struct fan fan;
    fan_init(&fan);
    fan_spawn(f, &fan, FIBER_STACK_LARGE, child_main, &c);
    while (w->handled == 0) {
        assert_null(cond_wait(f, &w->changed));
    }
    /* Front, link, node: the reverse of the other tests. */
    for (uint64_t i = 1; i <= NODES; i++) {
        grpc_front_destroy(f, w->fronts[i]);
        grpc_link_destroy(f, w->links[i]);
        w->fronts[i] = NULL;
        w->links[i] = NULL;
    }
    fan_wait(f, &fan);
    assert_true(status_is(c.st, STATUS_UNKNOWN_OUTCOME));
    status_free(c.st);
    uint64_t v;
    struct status *st = ask(f, w, 1, 2, 1, &v);
    assert_true(status_is(st, STATUS_UNAVAILABLE));
    status_free(st);
}
static void front_link_and_node_may_go_in_any_order(void **state)
{
    (void)state;
    run(order_body);
}

int main(int argc, char **argv)
{
    log_set_level(LOG_ERROR);
    if (argc > 1 && strcmp(argv[1], "--peer") == 0) {
        return peer_process();
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unary_call_gets_its_reply_or_the_whole_error),
        cmocka_unit_test(a_big_message_passes_and_one_over_the_limit_is_refused),
        cmocka_unit_test(an_unknown_method_is_answered_unimplemented),
        cmocka_unit_test(a_request_that_does_not_parse_is_invalid),
        cmocka_unit_test(a_callers_deadline_cancels_the_handler),
        cmocka_unit_test(nobody_there_is_unavailable),
        cmocka_unit_test(a_port_in_use_is_named),
        cmocka_unit_test(health_tells_of_the_server_and_each_service),
        cmocka_unit_test(more_calls_than_slots_are_all_answered),
        cmocka_unit_test(the_link_carries_calls_both_ways),
        cmocka_unit_test(many_calls_side_by_side_each_get_their_answer),
        cmocka_unit_test(big_messages_pass_the_link),
        cmocka_unit_test(a_deadline_over_the_link_cancels_the_handler),
        cmocka_unit_test(a_peer_that_goes_and_comes_back_is_reconnected),
        cmocka_unit_test(a_node_of_another_cluster_or_at_a_wrong_address_is_refused),
        cmocka_unit_test(a_node_that_learns_its_id_late_connects_then),
        cmocka_unit_test(a_killed_peer_is_noticed_at_once),
        cmocka_unit_test(a_node_stream_without_hello_is_refused),
        cmocka_unit_test(front_link_and_node_may_go_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
