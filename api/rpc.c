/*
 * The rpc node, api/rpc.h: calls out, calls in, and the batching between them and the link.
 *
 * One struct peer per node ever spoken to. Its `calls` and `answers` buffers collect what this turn
 * produces, already encoded; a task deferred to the end of the turn hands both to the link.
 *
 *   rpc_start --> peer.unsent --flush--> peer.sent --answer--> done
 *                     | link says no        | on_broken
 *                     v                     v
 *                UNAVAILABLE         UNKNOWN_OUTCOME
 *
 * Invariants:
 * 1. A call is in exactly one of unsent, sent, or done; the slot table knows the first two by tag.
 * 2. tag = sequence << 16 | slot; the sequence starts at a random 47-bit number, so that an answer
 *    meant for an earlier life of this process never finds a call.
 * 3. A handler's answer goes to the connection its call came by: on_caller_gone orphans the
 * handlers and drops the answers that wait.
 * 4. Nothing here calls back into business code from inside rpc_start() or a link callback except
 *    inline handlers; completions wake fibers.
 */
#include "api/rpc.h"

#include "api/pb.h"
#include "api/status_pb.h"
#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "rpc_wire.h"
#include "sherd/v1/admin.pb-c.h"
#include "sherd/v1/metadata.pb-c.h"
#include "sherd/v1/shard.pb-c.h"

#include <uthash.h>

#define SLOT_BITS 16
#define SLOT_NONE UINT32_MAX
_Static_assert(RPC_IN_FLIGHT_MAX <= 1u << SLOT_BITS, "a slot number fits its bits");
_Static_assert(RPC_MESSAGE_MAX + 64 <= RPC_WIRE_ENVELOPE_MAX, "a message of full size fits");

struct slot {
    struct rpc_call *call;
    uint32_t next_free;
};

struct inbound;

struct peer {
    struct list link;
    struct rpc_node *node;
    uint64_t node_id;
    struct slot *slots;
    uint32_t slot_count;
    uint32_t slot_used; /* slots ever handed out */
    uint32_t free_slot; /* head of the free list, or SLOT_NONE */
    uint32_t in_flight;
    struct list unsent; /* rpc_call.link */
    struct list sent;
    struct buf calls;
    struct buf answers;
    struct task flush;
    struct inbound *inbound; /* handlers that run, by tag */
};

struct method {
    rpc_handler handler;
    void *handler_ctx;
    bool is_inline;
};

struct rpc_node {
    struct loop *loop;
    uint64_t id;
    struct rpc_link *link;
    struct list peers;
    uint64_t next_sequence;
    size_t running; /* handler fibers: each holds the node */
    bool is_destroyed;
    struct method methods[RPC_METHOD_MAX];
    struct list locals; /* local calls whose handler runs */
};

/* A handler on its way for a remote caller; lives in its own arena. */
struct inbound {
    UT_hash_handle hh;
    uint64_t tag;
    struct peer *peer;
    enum rpc_method method;
    struct arena *arena;
    void *request;
    struct fiber *fiber;
    uint64_t deadline_ns;
    bool is_orphan; /* nobody waits for the answer */
};

/* The same for rpc_start() to this node. */
struct rpc_local {
    struct list link;
    struct rpc_node *node;
    struct rpc_call *call; /* NULL: abandoned */
    enum rpc_method method;
    struct arena *arena;
    void *request;
    struct fiber *fiber;
    uint64_t deadline_ns;
};

/* ---- the table of methods ---- */

static const struct {
    const char *name;
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *reply;
} table[RPC_METHOD_MAX] = {
#define X(name, number, request, reply)                                                            \
    [number] = {#name, &sherd__v1__##request##__descriptor, &sherd__v1__##reply##__descriptor},
    RPC_METHODS(X)
#undef X
};

const char *rpc_method_name(unsigned method)
{
    return method < RPC_METHOD_MAX ? table[method].name : NULL;
}

static struct metric *calls_out_metric;
static struct metric *calls_in_metric;
static struct metric *envelopes_metric;

static void metrics_init(void)
{
    calls_out_metric = metric_counter("sherd_rpc_calls_total", "side=\"out\"",
                                      "Calls between nodes that were started here");
    calls_in_metric = metric_counter("sherd_rpc_calls_total", "side=\"in\"",
                                     "Calls between nodes that were received here");
    envelopes_metric = metric_counter("sherd_rpc_envelopes_total", NULL,
                                      "Batches of calls or answers handed to the link");
}

/* ---- node and peers ---- */

static bool on_envelope(void *ctx, uint64_t from_node, struct slice envelope);
static void on_broken(void *ctx, uint64_t node_id);
static void on_caller_gone(void *ctx, uint64_t node_id);
static void on_gone(void *ctx);
static void flush_run(struct task *t);

struct rpc_node *rpc_node_create(struct loop *l, uint64_t node_id, struct rpc_link *link)
{
    metrics_init();
    struct rpc_node *n = MEM_NEW(struct rpc_node);
    n->loop = l;
    n->id = node_id;
    n->link = link;
    list_head_init(&n->peers);
    list_head_init(&n->locals);
    n->next_sequence = (loop_random(l) >> 17) | 1;
    if (link != NULL) {
        link->on_envelope = on_envelope;
        link->on_broken = on_broken;
        link->on_caller_gone = on_caller_gone;
        link->on_gone = on_gone;
        link->ctx = n;
    }
    return n;
}

void rpc_node_identity(struct rpc_node *n, uint64_t node_id)
{
    ASSERT(list_is_empty(&n->peers));
    n->id = node_id;
}

uint64_t rpc_node_id(const struct rpc_node *n)
{
    return n->id;
}

struct loop *rpc_node_loop(const struct rpc_node *n)
{
    return n->loop;
}

static struct peer *peer_find(struct rpc_node *n, uint64_t node_id)
{
    LIST_FOREACH(it, &n->peers)
    {
        struct peer *p = LIST_ITEM(it, struct peer, link);
        if (p->node_id == node_id) {
            return p;
        }
    }
    return NULL;
}

static struct peer *peer_get(struct rpc_node *n, uint64_t node_id)
{
    struct peer *p = peer_find(n, node_id);
    if (p == NULL) {
        p = MEM_NEW(struct peer);
        p->node = n;
        p->node_id = node_id;
        p->free_slot = SLOT_NONE;
        list_head_init(&p->unsent);
        list_head_init(&p->sent);
        p->flush.run = flush_run;
        list_push_back(&n->peers, &p->link);
    }
    return p;
}

static void peer_free(struct peer *p)
{
    loop_defer_cancel(&p->flush);
    list_unlink(&p->link);
    buf_deinit(&p->calls);
    buf_deinit(&p->answers);
    mem_free(p->slots);
    mem_free(p);
}

static void node_free(struct rpc_node *n)
{
    while (!list_is_empty(&n->peers)) {
        peer_free(LIST_ITEM(n->peers.next, struct peer, link));
    }
    mem_free(n);
}

static void orphan_all(struct peer *p)
{
    buf_clear(&p->answers);
    struct inbound *in;
    struct inbound *tmp;
    HASH_ITER(hh, p->inbound, in, tmp)
    {
        in->is_orphan = true;
        fiber_cancel(in->fiber);
    }
}

void rpc_node_destroy(struct rpc_node *n)
{
    if (n == NULL) {
        return;
    }
    if (n->link != NULL) {
        n->link->ctx = NULL;
        n->link->on_envelope = NULL;
        n->link->on_broken = NULL;
        n->link->on_caller_gone = NULL;
        n->link->on_gone = NULL;
        n->link = NULL;
    }
    LIST_FOREACH(it, &n->peers)
    {
        struct peer *p = LIST_ITEM(it, struct peer, link);
        ASSERT(p->in_flight == 0);
        loop_defer_cancel(&p->flush);
        orphan_all(p);
    }
    LIST_FOREACH(it, &n->locals)
    {
        fiber_cancel(LIST_ITEM(it, struct rpc_local, link)->fiber);
    }
    n->is_destroyed = true;
    if (n->running == 0) {
        node_free(n);
    }
}

/* A handler fiber has ended. */
static void node_release(struct rpc_node *n)
{
    ASSERT(n->running > 0);
    n->running--;
    if (n->is_destroyed && n->running == 0) {
        node_free(n);
    }
}

void rpc_register(struct rpc_node *n, enum rpc_method m, rpc_handler handler, void *handler_ctx,
                  bool is_inline)
{
    ASSERT(table[m].name != NULL);
    n->methods[m] = (struct method){handler, handler_ctx, is_inline};
}

/* It begins or ends, or has not the role: certainly not done, others may be asked. */
static struct status *not_served(const struct rpc_node *n, enum rpc_method m)
{
    return status_hint(status_new(UNAVAILABLE, "node %llu does not serve %s",
                                  (unsigned long long)n->id, table[m].name),
                       "The node is being started or stopped, or lacks the role.");
}

/* Runs the handler; *out_reply is set on success. f is NULL for inline ones from the network. */
static struct status *run_handler(struct fiber *f, struct rpc_node *n, uint64_t from_node,
                                  enum rpc_method m, const void *request, struct arena *arena,
                                  void **out_reply)
{
    const struct method *h = &n->methods[m];
    if (h->handler == NULL) {
        return not_served(n, m);
    }
    struct rpc_context ctx = {.node = n, .from_node = from_node, .arena = arena};
    void *reply = NULL;
    TRY(h->handler(f, &ctx, request, &reply, h->handler_ctx));
    ASSERT_MSG(reply != NULL, "the handler of %s gave no reply", table[m].name);
    *out_reply = reply;
    return NULL;
}

/* ---- calls out ---- */

static void call_done(struct rpc_call *call, struct status *st, void *reply)
{
    call->st = st;
    call->reply = reply;
    call->is_done = true;
    if (call->waiter != NULL) {
        fiber_wake(call->waiter);
    }
}

static bool slot_take(struct peer *p, struct rpc_call *call)
{
    uint32_t slot = p->free_slot;
    if (slot != SLOT_NONE) {
        p->free_slot = p->slots[slot].next_free;
    } else if (p->slot_used < RPC_IN_FLIGHT_MAX) {
        if (p->slot_used == p->slot_count) {
            p->slot_count = p->slot_count == 0 ? 64 : p->slot_count * 2;
            p->slots = mem_realloc(p->slots, p->slot_count * sizeof(p->slots[0]));
        }
        slot = p->slot_used++;
    } else {
        return false;
    }
    p->slots[slot] = (struct slot){call, SLOT_NONE};
    p->in_flight++;
    call->tag = p->node->next_sequence++ << SLOT_BITS | slot;
    return true;
}

static struct rpc_call *slot_find(struct peer *p, uint64_t tag)
{
    uint32_t slot = tag & (RPC_IN_FLIGHT_MAX - 1);
    if (slot >= p->slot_used || p->slots[slot].call == NULL || p->slots[slot].call->tag != tag) {
        return NULL;
    }
    return p->slots[slot].call;
}

static void slot_give(struct peer *p, struct rpc_call *call)
{
    uint32_t slot = call->tag & (RPC_IN_FLIGHT_MAX - 1);
    ASSERT(p->slots[slot].call == call);
    p->slots[slot] = (struct slot){NULL, p->free_slot};
    p->free_slot = slot;
    ASSERT(p->in_flight > 0);
    p->in_flight--;
    list_unlink(&call->link);
}

/* Ends every call of the list with the status that make() gives. */
static void fail_calls(struct peer *p, struct list *calls,
                       struct status *(*make)(struct peer *p, struct rpc_call *call))
{
    while (!list_is_empty(calls)) {
        struct rpc_call *call = LIST_ITEM(calls->next, struct rpc_call, link);
        slot_give(p, call);
        call_done(call, make(p, call), NULL);
    }
}

static struct status *no_connection(struct peer *p, struct rpc_call *call)
{
    return status_new(UNAVAILABLE, "no connection to node %llu for %s",
                      (unsigned long long)p->node_id, table[call->method].name);
}

static struct status *unknown_outcome(struct peer *p, struct rpc_call *call)
{
    return status_new(UNKNOWN_OUTCOME, "the connection to node %llu broke during %s",
                      (unsigned long long)p->node_id, table[call->method].name);
}

static void flush_calls(struct peer *p)
{
    if (p->calls.len == 0) {
        return;
    }
    struct rpc_link *link = p->node->link;
    bool is_sent = link != NULL && link->send(link, p->node_id, buf_slice(&p->calls));
    buf_clear(&p->calls);
    if (!is_sent) {
        fail_calls(p, &p->unsent, no_connection);
        return;
    }
    metric_add(envelopes_metric, 1);
    list_splice_back(&p->sent, &p->unsent);
}

static void flush_answers(struct peer *p)
{
    if (p->answers.len == 0) {
        return;
    }
    /* A refusal needs no care: the caller's side hears that its connection broke. */
    struct rpc_link *link = p->node->link;
    (void)(link != NULL && link->send(link, p->node_id, buf_slice(&p->answers)));
    metric_add(envelopes_metric, 1);
    buf_clear(&p->answers);
}

/* One big message must not keep its buffer for ever. */
static void shrink(struct buf *b)
{
    if (b->cap > (1u << 20)) {
        buf_deinit(b);
    }
}

static void flush_run(struct task *t)
{
    struct peer *p = CONTAINER_OF(t, struct peer, flush);
    flush_answers(p);
    flush_calls(p);
    shrink(&p->answers);
    shrink(&p->calls);
}

static void local_start(struct fiber *f, struct rpc_call *call, const void *request);

/* Milliseconds that the deadline leaves, rounded up; 0 = no deadline. False: it has passed. */
static bool time_left(struct rpc_node *n, uint64_t deadline_ns, uint64_t *out_ms)
{
    *out_ms = 0;
    if (deadline_ns == 0) {
        return true;
    }
    uint64_t now = loop_now_ns(n->loop);
    if (deadline_ns <= now) {
        return false;
    }
    *out_ms = (deadline_ns - now + 999999) / 1000000;
    return true;
}

static struct status *remote_start(struct fiber *f, struct rpc_call *call, const void *request)
{
    struct rpc_node *n = call->node;
    if (n->link == NULL || !n->link->is_connected(n->link, call->to_node)) {
        return status_new(UNAVAILABLE, "no connection to node %llu for %s",
                          (unsigned long long)call->to_node, table[call->method].name);
    }
    size_t size = pb_packed_size(request);
    if (size > RPC_MESSAGE_MAX) {
        return status_sql(LIMIT, "54000",
                          "a %s request of %zu bytes is over the limit of %zu bytes",
                          table[call->method].name, size, RPC_MESSAGE_MAX);
    }
    uint64_t left_ms;
    if (!time_left(n, f == NULL ? 0 : fiber_deadline(f), &left_ms)) {
        return &status_timeout;
    }
    struct peer *p = peer_get(n, call->to_node);
    if (p->calls.len > 0 && p->calls.len + size > RPC_MESSAGE_MAX) {
        flush_calls(p);
    }
    if (!slot_take(p, call)) {
        return status_sql(UNAVAILABLE, "53300", "%u calls to node %llu are under way already",
                          RPC_IN_FLIGHT_MAX, (unsigned long long)call->to_node);
    }
    list_push_back(&p->unsent, &call->link);
    rpc_wire_put_call(&p->calls, call->tag, call->method, request, size, left_ms);
    loop_defer(n->loop, &p->flush);
    return NULL;
}

void rpc_start(struct fiber *f, struct rpc_node *n, uint64_t to_node, enum rpc_method m,
               const void *request, struct arena *arena, struct rpc_call *call)
{
    ASSERT(!n->is_destroyed);
    ASSERT(((const ProtobufCMessage *)request)->descriptor == table[m].request);
    *call = (struct rpc_call){.node = n, .to_node = to_node, .method = m, .arena = arena};
    list_head_init(&call->link);
    metric_add(calls_out_metric, 1);
    if (to_node == n->id) {
        local_start(f, call, request);
        return;
    }
    struct status *st = remote_start(f, call, request);
    if (st != NULL) {
        call_done(call, st, NULL);
    }
}

struct status *rpc_wait(struct fiber *f, struct rpc_call *call)
{
    call->waiter = f;
    while (!call->is_done) {
        struct status *st = fiber_park(f);
        if (st != NULL && !call->is_done) {
            rpc_abandon(call);
            return st;
        }
        status_free(st);
    }
    struct status *st = call->st;
    call->st = NULL;
    return st;
}

void rpc_abandon(struct rpc_call *call)
{
    if (call->is_done) {
        status_free(call->st);
        call->st = NULL;
        return;
    }
    call->is_done = true;
    if (call->local != NULL) {
        call->local->call = NULL;
        fiber_cancel(call->local->fiber);
        call->local = NULL;
        return;
    }
    struct peer *p = peer_find(call->node, call->to_node);
    slot_give(p, call);
    rpc_wire_put_cancel(&p->calls, call->tag);
    loop_defer(call->node->loop, &p->flush);
}

struct status *rpc_call(struct fiber *f, struct rpc_node *n, uint64_t to_node, enum rpc_method m,
                        const void *request, struct arena *arena, void **out_reply)
{
    if (to_node == n->id) {
        ASSERT(!n->is_destroyed);
        ASSERT(((const ProtobufCMessage *)request)->descriptor == table[m].request);
        return run_handler(f, n, n->id, m, request, arena, out_reply);
    }
    struct rpc_call call;
    rpc_start(f, n, to_node, m, request, arena, &call);
    TRY(rpc_wait(f, &call));
    *out_reply = call.reply;
    return NULL;
}

/* ---- local calls side by side ---- */

static void arena_destroy_cb(void *ctx)
{
    arena_destroy(ctx);
}

static void local_main(struct fiber *f, void *arg)
{
    struct rpc_local *local = arg;
    struct rpc_node *n = local->node;
    fiber_set_deadline(f, local->deadline_ns);
    void *reply = NULL;
    struct status *st = fiber_check(f);
    if (st == NULL) {
        st = run_handler(f, n, n->id, local->method, local->request, local->arena, &reply);
    }
    list_unlink(&local->link);
    struct rpc_call *call = local->call;
    struct arena *arena = local->arena; /* `local` lives in it */
    if (call == NULL) {
        status_free(st);
        arena_destroy(arena);
    } else {
        call->local = NULL;
        arena_on_free(call->arena, arena_destroy_cb, arena);
        call_done(call, st, reply);
    }
    node_release(n);
}

static void local_start(struct fiber *f, struct rpc_call *call, const void *request)
{
    struct rpc_node *n = call->node;
    if (n->methods[call->method].is_inline || n->methods[call->method].handler == NULL) {
        void *reply = NULL;
        struct status *st = run_handler(NULL, n, n->id, call->method, request, call->arena, &reply);
        call_done(call, st, reply);
        return;
    }
    struct arena *arena = arena_create(0);
    struct rpc_local *local = ARENA_NEW(arena, struct rpc_local);
    struct status *st = pb_copy(request, arena, &local->request);
    if (st != NULL) {
        arena_destroy(arena);
        call_done(call, st, NULL);
        return;
    }
    local->node = n;
    local->call = call;
    local->method = call->method;
    local->arena = arena;
    local->deadline_ns = f == NULL ? 0 : fiber_deadline(f);
    call->local = local;
    n->running++;
    list_push_back(&n->locals, &local->link);
    local->fiber = fiber_spawn(n->loop, FIBER_STACK_SMALL, local_main, local);
}

/* ---- calls in ---- */

/* Takes st. */
static void answer(struct peer *p, uint64_t tag, enum rpc_method m, struct status *st,
                   const void *reply)
{
    size_t size = st == NULL ? pb_packed_size(reply) : 0;
    if (size > RPC_MESSAGE_MAX) {
        st = status_sql(LIMIT, "54000", "a %s reply of %zu bytes is over the limit of %zu bytes",
                        table[m].name, size, RPC_MESSAGE_MAX);
        size = 0;
    }
    if (p->answers.len > 0 && p->answers.len + size > RPC_MESSAGE_MAX) {
        flush_answers(p);
    }
    if (st != NULL) {
        rpc_wire_put_error(&p->answers, tag, st);
        status_free(st);
    } else {
        rpc_wire_put_reply(&p->answers, tag, reply, size);
    }
    loop_defer(p->node->loop, &p->flush);
}

static void inbound_main(struct fiber *f, void *arg)
{
    struct inbound *in = arg;
    struct peer *p = in->peer;
    struct rpc_node *n = p->node;
    fiber_set_deadline(f, in->deadline_ns);
    void *reply = NULL;
    struct status *st = fiber_check(f);
    if (st == NULL) {
        st = run_handler(f, n, p->node_id, in->method, in->request, in->arena, &reply);
    }
    HASH_DEL(p->inbound, in);
    if (in->is_orphan || n->is_destroyed) {
        status_free(st);
    } else {
        answer(p, in->tag, in->method, st, reply);
    }
    arena_destroy(in->arena);
    node_release(n);
}

static struct inbound *inbound_find(struct peer *p, uint64_t tag)
{
    struct inbound *in;
    HASH_FIND(hh, p->inbound, &tag, sizeof(tag), in);
    return in;
}

static void start_handler(struct peer *p, const struct rpc_wire_item *item, struct arena *arena,
                          void *request)
{
    struct rpc_node *n = p->node;
    struct inbound *in = ARENA_NEW(arena, struct inbound);
    in->tag = item->tag;
    in->peer = p;
    in->method = (enum rpc_method)item->method;
    in->arena = arena;
    in->request = request;
    if (item->deadline_ms > 0 && item->deadline_ms < UINT32_MAX) {
        in->deadline_ns = loop_now_ns(n->loop) + ms_to_ns(item->deadline_ms);
    }
    HASH_ADD(hh, p->inbound, tag, sizeof(in->tag), in);
    n->running++;
    in->fiber = fiber_spawn(n->loop, FIBER_STACK_SMALL, inbound_main, in);
}

static void on_call(struct peer *p, const struct rpc_wire_item *item)
{
    struct rpc_node *n = p->node;
    if (item->is_cancel) {
        struct inbound *in = inbound_find(p, item->tag);
        if (in != NULL) {
            in->is_orphan = true;
            fiber_cancel(in->fiber);
        }
        return;
    }
    metric_add(calls_in_metric, 1);
    enum rpc_method m = (enum rpc_method)(item->method < RPC_METHOD_MAX ? item->method : 0);
    if (table[m].name == NULL || n->methods[m].handler == NULL) {
        struct status *st =
            table[m].name != NULL
                ? not_served(n, m)
                : status_hint(status_new(UNSUPPORTED, "node %llu does not know method %llu",
                                         (unsigned long long)n->id,
                                         (unsigned long long)item->method),
                              "The nodes run different versions.");
        answer(p, item->tag, m, st, NULL);
        return;
    }
    if (inbound_find(p, item->tag) != NULL) {
        return; /* a tag is used once: whoever sends it twice gets one answer */
    }
    if (HASH_COUNT(p->inbound) >= RPC_IN_FLIGHT_MAX) {
        answer(p, item->tag, m,
               status_sql(UNAVAILABLE, "53300", "node %llu has %u calls of node %llu under way",
                          (unsigned long long)n->id, RPC_IN_FLIGHT_MAX,
                          (unsigned long long)p->node_id),
               NULL);
        return;
    }
    struct arena *arena = arena_create(0);
    void *request = NULL;
    struct status *st = pb_unpack(table[m].request, arena, item->body, &request);
    if (st == NULL && !n->methods[m].is_inline) {
        start_handler(p, item, arena, request);
        return;
    }
    void *reply = NULL;
    if (st == NULL) {
        st = run_handler(NULL, n, p->node_id, m, request, arena, &reply);
    }
    answer(p, item->tag, m, st, reply);
    arena_destroy(arena);
}

static void on_answer(struct peer *p, const struct rpc_wire_item *item)
{
    struct rpc_call *call = slot_find(p, item->tag);
    if (call == NULL) {
        return; /* given up meanwhile */
    }
    slot_give(p, call);
    void *reply = NULL;
    struct status *st;
    if (item->has_error) {
        void *error = NULL;
        st = pb_unpack(&sherd__v1__error__descriptor, call->arena, item->body, &error);
        st = st == NULL ? status_from_error(error) : st;
    } else {
        st = pb_unpack(table[call->method].reply, call->arena, item->body, &reply);
    }
    call_done(call, st, reply);
}

static bool on_envelope(void *ctx, uint64_t from_node, struct slice envelope)
{
    struct rpc_node *n = ctx;
    if (envelope.len > RPC_WIRE_ENVELOPE_MAX) {
        return false;
    }
    struct peer *p = peer_get(n, from_node);
    struct reader r;
    reader_init(&r, envelope);
    struct rpc_wire_item item;
    while (rpc_wire_next(&r, &item)) {
        if (item.kind == RPC_WIRE_CALL) {
            on_call(p, &item);
        } else if (item.kind == RPC_WIRE_ANSWER) {
            on_answer(p, &item);
        }
    }
    return reader_ok(&r);
}

static void on_broken(void *ctx, uint64_t node_id)
{
    struct rpc_node *n = ctx;
    struct peer *p = peer_find(n, node_id);
    if (p == NULL) {
        return;
    }
    buf_clear(&p->calls);
    fail_calls(p, &p->unsent, no_connection);
    fail_calls(p, &p->sent, unknown_outcome);
}

static void on_caller_gone(void *ctx, uint64_t node_id)
{
    struct rpc_node *n = ctx;
    struct peer *p = peer_find(n, node_id);
    if (p != NULL) {
        orphan_all(p);
    }
}

/* The link is freed before its node: no connection to anybody, for ever. */
static void on_gone(void *ctx)
{
    struct rpc_node *n = ctx;
    n->link = NULL;
    LIST_FOREACH(it, &n->peers)
    {
        struct peer *p = LIST_ITEM(it, struct peer, link);
        buf_clear(&p->calls);
        fail_calls(p, &p->unsent, no_connection);
        fail_calls(p, &p->sent, unknown_outcome);
        orphan_all(p);
    }
}
