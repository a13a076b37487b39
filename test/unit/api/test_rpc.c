/*
 * The rpc node over a link in memory, on simulated loops: what a caller is told in each case of
 * loss, and that what belongs together goes out together.
 */
#include "api/rpc.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/sim.h"
#include "sherd/v1/metadata.pb-c.h"
#include "sherd/v1/shard.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NODES 2
#define MS 1000000ull

struct world;

struct test_link {
    struct rpc_link base;
    struct world *world;
    uint64_t own;
    bool is_up;
    int envelopes; /* sent */
};

struct world {
    struct sim *sim;
    struct loop *loops[NODES + 1];
    struct test_link links[NODES + 1];
    struct rpc_node *nodes[NODES + 1];
    uint64_t delay_ns;
    uint64_t epoch; /* envelopes of an earlier one are lost */
    bool is_finished;
    int handled;
    int cancelled;
    struct status *seen; /* by the handler */
    void (*body)(struct fiber *f, struct world *w);
};

struct delivery {
    struct world *w;
    uint64_t from, to, epoch;
    size_t len;
    uint8_t data[];
};

static void deliver(void *ctx)
{
    struct delivery *d = ctx;
    struct test_link *to = &d->w->links[d->to];
    if (d->epoch == d->w->epoch && to->base.on_envelope != NULL) {
        to->base.on_envelope(to->base.ctx, d->from, slice_make(d->data, d->len));
    }
    mem_free(d);
}

static bool link_send(struct rpc_link *link, uint64_t to_node, struct slice envelope)
{
    struct test_link *l = CONTAINER_OF(link, struct test_link, base);
    struct world *w = l->world;
    if (!l->is_up || to_node > NODES) {
        return false;
    }
    l->envelopes++;
    struct delivery *d = mem_alloc(sizeof(*d) + envelope.len);
    *d = (struct delivery){w, l->own, to_node, w->epoch, envelope.len};
    memcpy(d->data, envelope.data, envelope.len);
    sim_loop_at(w->loops[to_node], sim_now_ns(w->sim) + w->delay_ns, deliver, d);
    return true;
}

static bool link_is_connected(struct rpc_link *link, uint64_t to_node)
{
    struct test_link *l = CONTAINER_OF(link, struct test_link, base);
    return l->is_up && to_node <= NODES;
}

static void world_break(struct world *w)
{
    w->epoch++;
    for (uint64_t i = 1; i <= NODES; i++) {
        struct rpc_link *l = &w->links[i].base;
        l->on_broken(l->ctx, NODES + 1 - i);
        l->on_caller_gone(l->ctx, NODES + 1 - i);
    }
}

static void main_fiber(struct fiber *f, void *arg)
{
    struct world *w = arg;
    w->body(f, w);
    w->is_finished = true;
}

static bool is_finished(void *ctx)
{
    return ((struct world *)ctx)->is_finished;
}

/* The timestamp handler: answers count * 2 after `count` milliseconds, for any caller. */
static struct status *slow_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *handler_ctx)
{
    struct world *w = handler_ctx;
    const Sherd__V1__MetaTimestampRequest *r = request;
    w->handled++;
    struct status *st = fiber_sleep(f, ms_to_ns(r->count));
    if (st != NULL) {
        w->cancelled++;
        w->seen = status_copy(st);
        return st;
    }
    Sherd__V1__MetaTimestampReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__meta_timestamp_reply__init(reply);
    reply->first = r->count * 2u;
    *out_reply = reply;
    return NULL;
}

static struct status *inline_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, void *handler_ctx)
{
    (void)f;
    (void)request;
    struct world *w = handler_ctx;
    w->handled++;
    Sherd__V1__MetaAllocateReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__meta_allocate_reply__init(reply);
    reply->first = 100 + ctx->from_node;
    *out_reply = reply;
    return NULL;
}

static struct status *failing_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                      void **out_reply, void *handler_ctx)
{
    (void)f, (void)ctx, (void)request, (void)out_reply, (void)handler_ctx;
    return status_hint(status_sql(CONFLICT, "40001", "could not serialize"), "Try again.");
}

static struct status *huge_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *handler_ctx)
{
    (void)f, (void)request, (void)handler_ctx;
    Sherd__V1__SplitPointReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__split_point_reply__init(reply);
    reply->key.len = RPC_MESSAGE_MAX;
    reply->key.data = arena_zalloc(ctx->arena, reply->key.len);
    *out_reply = reply;
    return NULL;
}

static void run(void (*body)(struct fiber *f, struct world *w))
{
    struct world w = {.sim = sim_create(7), .delay_ns = MS / 2, .body = body};
    for (uint64_t i = 1; i <= NODES; i++) {
        w.loops[i] = sim_loop_create(w.sim, i == 1 ? "n1" : "n2");
        w.links[i] = (struct test_link){
            {.send = link_send, .is_connected = link_is_connected}, &w, i, true, 0};
        w.nodes[i] = rpc_node_create(w.loops[i], i, &w.links[i].base);
        rpc_register(w.nodes[i], RPC_META_TIMESTAMP, slow_handler, &w, false);
        rpc_register(w.nodes[i], RPC_META_ALLOCATE, inline_handler, &w, true);
        rpc_register(w.nodes[i], RPC_META_SEQUENCE, failing_handler, &w, false);
        rpc_register(w.nodes[i], RPC_SHARD_SPLIT_POINT, huge_handler, &w, false);
    }
    fiber_spawn(w.loops[1], FIBER_STACK_LARGE, main_fiber, &w);
    assert_true(sim_run(w.sim, 60000 * MS, is_finished, &w));
    for (uint64_t i = 1; i <= NODES; i++) {
        rpc_node_destroy(w.nodes[i]);
    }
    /* Handlers that were cancelled end, and free what they held. */
    sim_run(w.sim, 120000 * MS, NULL, NULL);
    status_free(w.seen);
    sim_destroy(w.sim);
}

static struct status *ask(struct fiber *f, struct world *w, uint64_t node, uint32_t ms,
                          uint64_t *out)
{
    struct arena *a = arena_create(0);
    Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    r.count = ms;
    void *reply = NULL;
    struct status *st = rpc_call(f, w->nodes[1], node, RPC_META_TIMESTAMP, &r, a, &reply);
    if (st == NULL) {
        *out = ((Sherd__V1__MetaTimestampReply *)reply)->first;
    }
    arena_destroy(a);
    return st;
}

/* ---- calls ---- */

static void remote_body(struct fiber *f, struct world *w)
{
    uint64_t v = 0;
    assert_null(ask(f, w, 2, 5, &v));
    assert_int_equal(v, 10);
}
static void a_remote_call_gets_its_reply(void **state)
{
    (void)state;
    run(remote_body);
}

static void local_body(struct fiber *f, struct world *w)
{
    uint64_t v = 0;
    assert_null(ask(f, w, 1, 5, &v));
    assert_int_equal(v, 10);
    assert_int_equal(w->links[1].envelopes, 0);
}
static void a_local_call_does_not_touch_the_link(void **state)
{
    (void)state;
    run(local_body);
}

static void inline_body(struct fiber *f, struct world *w)
{
    for (uint64_t node = 1; node <= 2; node++) {
        struct arena *a = arena_create(0);
        Sherd__V1__MetaAllocateRequest r = SHERD__V1__META_ALLOCATE_REQUEST__INIT;
        void *reply = NULL;
        assert_null(rpc_call(f, w->nodes[1], node, RPC_META_ALLOCATE, &r, a, &reply));
        assert_int_equal(((Sherd__V1__MetaAllocateReply *)reply)->first, 101);
        arena_destroy(a);
    }
}
static void an_inline_handler_answers_without_a_fiber(void **state)
{
    (void)state;
    run(inline_body);
}

static void error_body(struct fiber *f, struct world *w)
{
    for (uint64_t node = 1; node <= 2; node++) {
        struct arena *a = arena_create(0);
        Sherd__V1__MetaSequenceRequest r = SHERD__V1__META_SEQUENCE_REQUEST__INIT;
        void *reply = NULL;
        struct status *st = rpc_call(f, w->nodes[1], node, RPC_META_SEQUENCE, &r, a, &reply);
        assert_true(status_is(st, STATUS_CONFLICT));
        assert_string_equal(st->message, "could not serialize");
        assert_string_equal(st->hint, "Try again.");
        assert_null(reply);
        status_free(st);
        arena_destroy(a);
    }
}
static void an_error_comes_back_whole(void **state)
{
    (void)state;
    run(error_body);
}

static void batch_body(struct fiber *f, struct world *w)
{
    enum { N = 100 };
    struct rpc_call calls[N];
    struct arena *a = arena_create(0);
    Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    for (uint32_t i = 0; i < N; i++) {
        r.count = i % 2 == 0 ? 20 : 3; /* the later half answers first */
        rpc_start(f, w->nodes[1], 2, RPC_META_TIMESTAMP, &r, a, &calls[i]);
    }
    for (uint32_t i = 0; i < N; i++) {
        assert_null(rpc_wait(f, &calls[i]));
        assert_int_equal(((Sherd__V1__MetaTimestampReply *)calls[i].reply)->first,
                         i % 2 == 0 ? 40 : 6);
    }
    assert_int_equal(w->links[1].envelopes, 1);
    assert_true(w->links[2].envelopes <= 4);
    arena_destroy(a);
}
static void calls_of_one_turn_share_an_envelope_and_answers_find_their_calls(void **state)
{
    (void)state;
    run(batch_body);
}

static void side_by_side_local_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    struct rpc_call calls[3];
    uint64_t start = sim_now_ns(w->sim);
    for (uint32_t i = 0; i < 3; i++) {
        Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
        r.count = 10;
        rpc_start(f, w->nodes[1], 1, RPC_META_TIMESTAMP, &r, a, &calls[i]);
        memset(&r, 0xee, sizeof(r)); /* the request is not needed any more */
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_null(rpc_wait(f, &calls[i]));
        assert_int_equal(((Sherd__V1__MetaTimestampReply *)calls[i].reply)->first, 20);
    }
    assert_true(sim_now_ns(w->sim) - start < 20 * MS);
    /* An inline one is done when it has been started. */
    Sherd__V1__MetaAllocateRequest q = SHERD__V1__META_ALLOCATE_REQUEST__INIT;
    rpc_start(f, w->nodes[1], 1, RPC_META_ALLOCATE, &q, a, &calls[0]);
    assert_true(calls[0].is_done);
    assert_null(rpc_wait(f, &calls[0]));
    arena_destroy(a);
}
static void local_calls_run_side_by_side(void **state)
{
    (void)state;
    run(side_by_side_local_body);
}

/* ---- limits ---- */

static void too_big_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    Sherd__V1__WipeRequest ok = SHERD__V1__WIPE_REQUEST__INIT;
    (void)ok;
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    put.value.len = RPC_MESSAGE_MAX + 1;
    put.value.data = mem_zalloc(put.value.len);
    Sherd__V1__MetaPut *puts[] = {&put};
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    r.n_puts = 1;
    r.puts = puts;
    void *reply = NULL;
    struct status *st = rpc_call(f, w->nodes[1], 2, RPC_META_TXN, &r, a, &reply);
    assert_true(status_is(st, STATUS_LIMIT));
    assert_string_equal(st->sqlstate, "54000");
    status_free(st);
    mem_free(put.value.data);
    /* A reply too big to send. */
    Sherd__V1__SplitPointRequest q = SHERD__V1__SPLIT_POINT_REQUEST__INIT;
    st = rpc_call(f, w->nodes[1], 2, RPC_SHARD_SPLIT_POINT, &q, a, &reply);
    assert_true(status_is(st, STATUS_LIMIT));
    status_free(st);
    arena_destroy(a);
}
static void a_message_over_the_limit_is_refused_by_name(void **state)
{
    (void)state;
    run(too_big_body);
}

static void many_body(struct fiber *f, struct world *w)
{
    size_t n = RPC_IN_FLIGHT_MAX + 1;
    struct rpc_call *calls = mem_zalloc(n * sizeof(*calls));
    struct arena *a = arena_create(0);
    Sherd__V1__MetaAllocateRequest r = SHERD__V1__META_ALLOCATE_REQUEST__INIT;
    for (size_t i = 0; i < n; i++) {
        rpc_start(f, w->nodes[1], 2, RPC_META_ALLOCATE, &r, a, &calls[i]);
    }
    assert_true(calls[n - 1].is_done);
    for (size_t i = 0; i < n; i++) {
        struct status *st = rpc_wait(f, &calls[i]);
        if (i == n - 1) {
            assert_true(status_is(st, STATUS_UNAVAILABLE));
            status_free(st);
        } else {
            assert_null(st);
        }
    }
    mem_free(calls);
    arena_destroy(a);
}
static void one_call_too_many_in_flight_is_unavailable(void **state)
{
    (void)state;
    run(many_body);
}

/* ---- what is lost ---- */

static void no_link_body(struct fiber *f, struct world *w)
{
    uint64_t v;
    w->links[1].is_up = false;
    struct status *st = ask(f, w, 2, 1, &v);
    assert_true(status_is(st, STATUS_UNAVAILABLE));
    status_free(st);
    st = ask(f, w, 77, 1, &v);
    assert_true(status_is(st, STATUS_UNAVAILABLE));
    status_free(st);
    assert_int_equal(w->handled, 0);
}
static void without_a_connection_a_call_is_unavailable_at_once(void **state)
{
    (void)state;
    run(no_link_body);
}

static void break_cb(void *ctx)
{
    world_break(ctx);
}

static void broken_body(struct fiber *f, struct world *w)
{
    uint64_t v;
    sim_loop_at(w->loops[1], sim_now_ns(w->sim) + 10 * MS, break_cb, w);
    struct status *st = ask(f, w, 2, 50, &v);
    assert_true(status_is(st, STATUS_UNKNOWN_OUTCOME));
    status_free(st);
    assert_null(fiber_sleep(f, MS));
    assert_int_equal(w->cancelled, 1); /* the handler was told */
    /* The next call is as if nothing had been. */
    assert_null(ask(f, w, 2, 5, &v));
    assert_int_equal(v, 10);
}
static void a_break_after_sending_is_an_unknown_outcome_and_cancels_the_handler(void **state)
{
    (void)state;
    run(broken_body);
}

static void unsent_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    r.count = 5;
    struct rpc_call call;
    rpc_start(f, w->nodes[1], 2, RPC_META_TIMESTAMP, &r, a, &call);
    w->links[1].base.on_broken(w->links[1].base.ctx, 2); /* before the turn's end */
    struct status *st = rpc_wait(f, &call);
    assert_true(status_is(st, STATUS_UNAVAILABLE));
    status_free(st);
    assert_null(fiber_sleep(f, 20 * MS));
    assert_int_equal(w->handled, 0);
    arena_destroy(a);
}
static void a_break_before_sending_is_unavailable(void **state)
{
    (void)state;
    run(unsent_body);
}

static void stale_body(struct fiber *f, struct world *w)
{
    /* An answer with every slot's lowest tags, as an earlier process may have used them. */
    struct arena *a = arena_create(0);
    Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    r.count = 20;
    struct rpc_call call;
    rpc_start(f, w->nodes[1], 2, RPC_META_TIMESTAMP, &r, a, &call);
    uint64_t wrong[] = {call.tag + 65536, call.tag ^ 1, call.tag & 0xffff, UINT64_MAX, 0};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct buf b = {0};
        struct buf answer = {0};
        buf_put_u8(&answer, 0x08);
        buf_put_varint(&answer, wrong[i]);
        buf_put_u8(&b, 0x1a);
        buf_put_bytes(&b, buf_slice(&answer));
        struct rpc_link *l = &w->links[1].base;
        assert_true(l->on_envelope(l->ctx, 2, buf_slice(&b)));
        buf_deinit(&b);
        buf_deinit(&answer);
    }
    assert_false(call.is_done);
    assert_null(rpc_wait(f, &call));
    arena_destroy(a);
}
static void an_answer_to_nobody_is_ignored(void **state)
{
    (void)state;
    run(stale_body);
}

static void damaged_body(struct fiber *f, struct world *w)
{
    (void)f;
    struct rpc_link *l = &w->links[1].base;
    static const char *bad[] = {"\x12\x7f", "\x12\x02\x08",
                                "\x0f",     "\x12\x03\x1a\x7f\x01",
                                "\x00",     "\x1a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t len = i == 4 ? 1 : strlen(bad[i]);
        assert_false(l->on_envelope(l->ctx, 2, slice_make(bad[i], len)));
    }
    /* Fields of a later version are skipped. */
    assert_true(l->on_envelope(l->ctx, 2, slice_make("\x52\x01x\x58\x05", 5)));
    /* A call of a method that is none, or not served, or with garbage as request is answered. */
    int before = w->links[1].envelopes;
    assert_true(l->on_envelope(l->ctx, 2, slice_make("\x12\x05\x08\x05\x10\xff\x01", 7)));
    assert_true(
        l->on_envelope(l->ctx, 2, slice_make("\x12\x08\x08\x06\x10\x03\x1a\x02\x08\xff", 10)));
    assert_null(fiber_sleep(f, 5 * MS));
    assert_int_equal(w->links[1].envelopes, before + 1);
    assert_int_equal(w->handled, 0);
}
static void a_damaged_envelope_is_reported_and_garbage_calls_are_answered(void **state)
{
    (void)state;
    run(damaged_body);
}

static void unserved_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    Sherd__V1__ReadRequest r = SHERD__V1__READ_REQUEST__INIT;
    void *reply = NULL;
    for (uint64_t node = 1; node <= 2; node++) {
        struct status *st = rpc_call(f, w->nodes[1], node, RPC_SHARD_READ, &r, a, &reply);
        assert_true(status_is(st, STATUS_UNAVAILABLE));
        status_free(st);
    }
    arena_destroy(a);
}
static void a_method_without_handler_is_asked_for_elsewhere(void **state)
{
    (void)state;
    run(unserved_body);
}

/* ---- giving up ---- */

static void deadline_body(struct fiber *f, struct world *w)
{
    uint64_t v;
    for (uint64_t node = 1; node <= 2; node++) {
        w->cancelled = 0;
        uint64_t start = sim_now_ns(w->sim);
        fiber_set_deadline(f, loop_now_ns(w->loops[1]) + 10 * MS);
        struct status *st = ask(f, w, node, 5000, &v);
        assert_true(status_is(st, STATUS_TIMEOUT));
        status_free(st);
        assert_true(sim_now_ns(w->sim) - start < 15 * MS);
        fiber_set_deadline(f, 0);
        assert_null(fiber_sleep(f, 5 * MS));
        assert_int_equal(w->cancelled, 1);
        status_free(w->seen);
        w->seen = NULL;
    }
    /* One that has passed already is not sent. */
    w->handled = 0;
    assert_null(fiber_sleep(f, 5 * MS));
    fiber_set_deadline(f, loop_now_ns(w->loops[1]) - 1);
    struct status *st = ask(f, w, 2, 1, &v);
    assert_true(status_is(st, STATUS_TIMEOUT));
    status_free(st);
    fiber_set_deadline(f, 0);
    assert_null(fiber_sleep(f, 5 * MS));
    assert_int_equal(w->handled, 0);
}
static void a_deadline_ends_the_call_here_and_the_handler_there(void **state)
{
    (void)state;
    run(deadline_body);
}

static struct fiber *victim;
static void victim_main(struct fiber *f, void *arg)
{
    struct world *w = arg;
    uint64_t v;
    struct status *st = ask(f, w, 2, 5000, &v);
    assert_true(status_is(st, STATUS_CANCELLED));
    status_free(st);
    victim = NULL;
}
static void cancel_body(struct fiber *f, struct world *w)
{
    victim = fiber_spawn(w->loops[1], FIBER_STACK_LARGE, victim_main, w);
    assert_null(fiber_sleep(f, 10 * MS));
    assert_int_equal(w->handled, 1);
    fiber_cancel(victim);
    assert_null(fiber_sleep(f, 2 * MS));
    assert_null(victim);
    assert_int_equal(w->cancelled, 1);
    assert_true(status_is(w->seen, STATUS_CANCELLED));
}
static void a_cancelled_caller_cancels_the_handler(void **state)
{
    (void)state;
    run(cancel_body);
}

static void abandon_body(struct fiber *f, struct world *w)
{
    for (uint64_t node = 1; node <= 2; node++) {
        struct arena *a = arena_create(0);
        Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
        r.count = 5000;
        struct rpc_call calls[2];
        rpc_start(f, w->nodes[1], node, RPC_META_TIMESTAMP, &r, a, &calls[0]);
        r.count = 1;
        rpc_start(f, w->nodes[1], node, RPC_META_TIMESTAMP, &r, a, &calls[1]);
        assert_null(fiber_sleep(f, 10 * MS));
        rpc_abandon(&calls[0]); /* runs */
        rpc_abandon(&calls[1]); /* is done */
        arena_destroy(a);
        assert_null(fiber_sleep(f, 5 * MS));
        assert_int_equal(w->cancelled, (int)node);
        status_free(w->seen);
        w->seen = NULL;
    }
}
static void an_abandoned_call_cancels_its_handler_and_needs_no_arena(void **state)
{
    (void)state;
    run(abandon_body);
}

static void destroy_body(struct fiber *f, struct world *w)
{
    struct arena *a = arena_create(0);
    Sherd__V1__MetaTimestampRequest r = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    r.count = 5000;
    struct rpc_call call;
    rpc_start(f, w->nodes[1], 2, RPC_META_TIMESTAMP, &r, a, &call);
    assert_null(fiber_sleep(f, 10 * MS));
    rpc_node_destroy(w->nodes[2]);
    assert_null(fiber_sleep(f, 10 * MS));
    assert_int_equal(w->cancelled, 1);
    w->links[1].base.on_broken(w->links[1].base.ctx, 2);
    struct status *st = rpc_wait(f, &call);
    assert_true(status_is(st, STATUS_UNKNOWN_OUTCOME));
    status_free(st);
    arena_destroy(a);
    w->nodes[2] = NULL;
}
static void a_node_may_go_while_its_handlers_run(void **state)
{
    (void)state;
    run(destroy_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_remote_call_gets_its_reply),
        cmocka_unit_test(a_local_call_does_not_touch_the_link),
        cmocka_unit_test(an_inline_handler_answers_without_a_fiber),
        cmocka_unit_test(an_error_comes_back_whole),
        cmocka_unit_test(calls_of_one_turn_share_an_envelope_and_answers_find_their_calls),
        cmocka_unit_test(local_calls_run_side_by_side),
        cmocka_unit_test(a_message_over_the_limit_is_refused_by_name),
        cmocka_unit_test(one_call_too_many_in_flight_is_unavailable),
        cmocka_unit_test(without_a_connection_a_call_is_unavailable_at_once),
        cmocka_unit_test(a_break_after_sending_is_an_unknown_outcome_and_cancels_the_handler),
        cmocka_unit_test(a_break_before_sending_is_unavailable),
        cmocka_unit_test(an_answer_to_nobody_is_ignored),
        cmocka_unit_test(a_damaged_envelope_is_reported_and_garbage_calls_are_answered),
        cmocka_unit_test(a_method_without_handler_is_asked_for_elsewhere),
        cmocka_unit_test(a_deadline_ends_the_call_here_and_the_handler_there),
        cmocka_unit_test(a_cancelled_caller_cancels_the_handler),
        cmocka_unit_test(an_abandoned_call_cancels_its_handler_and_needs_no_arena),
        cmocka_unit_test(a_node_may_go_while_its_handlers_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
