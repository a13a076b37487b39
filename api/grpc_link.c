/*
 * The node link on gRPC streams: the real implementation of struct rpc_link (api/rpc.h).
 *
 * For each directed pair one stream /sherd.v1.Node/Stream, opened by the caller: A's calls to B and
 * B's answers to them ride on the stream that A opened. So an answer can only go back by the
 * connection its call came by. Each stream has a TCP connection of its own.
 *
 *            want (first send)          hello answered
 *   (none) ------------------> CONNECTING -----------> READY
 *      ^                            | refused, lost       | lost
 *      +---- retry timer -----------+---------------------+      50 ms, doubling to 1 s
 *
 * Both ends begin with a hello: node, cluster, protocol, incarnation. Who is not whom the other
 * expects (an address given to another node, another cluster's node) is refused by name. A second
 * inbound stream of a node replaces the first: the node has restarted or has lost the first one.
 *
 * One SEND_MESSAGE is outstanding per stream; what comes meanwhile is appended to one next message
 * (two envelopes in a row are an envelope), up to MERGE_MAX.
 *
 * Invariants:
 * 1. on_broken / on_caller_gone are told exactly once per stream that had been ready.
 * 2. A stream is freed when all its batches have come back; before, it is unlinked from its peer.
 * 3. Nothing is called back from inside send() and is_connected().
 */
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "grpc_front.h"
#include "rpc_wire.h"

#include <stdio.h>
#include <string.h>

#include <grpc/support/alloc.h>

#define STREAM_METHOD "/sherd.v1.Node/Stream"
#define PENDING_MAX ((size_t)64 << 20) /* bytes that wait for a slow peer */
#define MERGE_MAX ((size_t)1 << 20)
#define RETRY_MIN_MS 50
#define RETRY_MAX_MS 1000

struct grpc_link;
struct node_peer;

struct chunk {
    struct list link;
    struct buf bytes;
};

struct node_stream {
    struct list link; /* in grpc_link.streams */
    struct grpc_link *owner;
    struct node_peer *peer; /* NULL: before the hello of an inbound one, and after the break */
    grpc_call *call;
    bool is_inbound;
    bool is_ready;
    bool is_broken;
    bool is_refused; /* inbound: its status is on the way, nothing more is read */
    int ops;

    struct grpc_tag end_tag; /* RECV_CLOSE_ON_SERVER or RECV_STATUS_ON_CLIENT */
    int close_cancelled;
    grpc_status_code status;
    grpc_slice status_text;
    grpc_metadata_array trailing;
    grpc_metadata_array initial;

    struct grpc_tag receive_tag;
    grpc_byte_buffer *received;

    struct grpc_tag send_tag;
    grpc_byte_buffer *sending;
    struct list chunks; /* to send next */
    size_t pending;     /* bytes in chunks */
};

struct node_peer {
    struct list link;
    struct grpc_link *owner;
    uint64_t node_id;
    grpc_channel *channel;
    char target[280]; /* what the channel is for */
    struct node_stream *out;
    struct node_stream *in;
    struct timer retry;
    uint64_t retry_ms;
    char problem[500]; /* the last one logged: each is told once */
};

struct grpc_link {
    struct rpc_link base;
    struct loop *loop;
    struct grpc_hub *hub;
    struct grpc_front *front;
    uint64_t node_id;
    uint64_t cluster_id;
    uint64_t incarnation;
    rpc_resolve_fn resolve;
    void *resolve_ctx;
    struct list peers;
    struct list streams;
    bool is_stopping;
    struct fiber *stopper;
    struct metric *refused;
};

static struct grpc_link *link_of(struct rpc_link *base)
{
    return CONTAINER_OF(base, struct grpc_link, base);
}

/* ---- peers ---- */

static void connect_peer(struct node_peer *p);

static void retry_fire(struct timer *t)
{
    connect_peer(CONTAINER_OF(t, struct node_peer, retry));
}

static struct node_peer *peer_get(struct grpc_link *l, uint64_t node_id)
{
    LIST_FOREACH(it, &l->peers)
    {
        struct node_peer *p = LIST_ITEM(it, struct node_peer, link);
        if (p->node_id == node_id) {
            return p;
        }
    }
    struct node_peer *p = MEM_NEW(struct node_peer);
    p->owner = l;
    p->node_id = node_id;
    p->retry.fire = retry_fire;
    p->retry_ms = RETRY_MIN_MS;
    list_push_back(&l->peers, &p->link);
    return p;
}

/* Logs a problem with the peer unless it is the one logged last. */
static void complain(struct node_peer *p, const char *what)
{
    if (strncmp(p->problem, what, sizeof(p->problem) - 1) == 0) {
        return;
    }
    (void)snprintf(p->problem, sizeof(p->problem), "%s", what);
    LOGW("link", "node %llu: %s", (unsigned long long)p->node_id, what);
}

/* ---- streams, both directions ---- */

static struct node_stream *stream_create(struct grpc_link *l, grpc_call *call, bool is_inbound)
{
    struct node_stream *s = MEM_NEW(struct node_stream);
    s->owner = l;
    s->call = call;
    s->is_inbound = is_inbound;
    s->status_text = grpc_empty_slice();
    grpc_metadata_array_init(&s->trailing);
    grpc_metadata_array_init(&s->initial);
    list_head_init(&s->chunks);
    list_push_back(&l->streams, &s->link);
    return s;
}

static void drop_chunks(struct node_stream *s)
{
    struct list *it;
    while ((it = list_pop_front(&s->chunks)) != NULL) {
        struct chunk *c = LIST_ITEM(it, struct chunk, link);
        buf_deinit(&c->bytes);
        mem_free(c);
    }
    s->pending = 0;
}

static void stream_free(struct node_stream *s)
{
    struct grpc_link *l = s->owner;
    ASSERT(s->peer == NULL && s->sending == NULL);
    drop_chunks(s);
    if (s->received != NULL) {
        grpc_byte_buffer_destroy(s->received);
    }
    grpc_call_unref(s->call);
    grpc_slice_unref(s->status_text);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_metadata_array_destroy(&s->initial);
    list_unlink(&s->link);
    if (s->is_inbound) {
        grpc_front_raw_done(l->front);
    }
    mem_free(s);
    if (l->stopper != NULL) {
        fiber_wake(l->stopper);
    }
}

/* Every completion ends with this; the stream may be gone afterwards. */
static void op_done(struct node_stream *s)
{
    ASSERT(s->ops > 0);
    s->ops--;
    if (s->ops == 0 && s->is_broken) {
        stream_free(s);
    }
}

/* Takes the stream out of use and tells the rpc node; its batches come back by and by. */
static void stream_break(struct node_stream *s)
{
    if (s->is_broken) {
        return;
    }
    s->is_broken = true;
    (void)grpc_call_cancel(s->call, NULL);
    drop_chunks(s);
    struct node_peer *p = s->peer;
    if (p == NULL) {
        return;
    }
    s->peer = NULL;
    struct grpc_link *l = s->owner;
    struct rpc_link *base = &l->base;
    if (s->is_inbound) {
        p->in = NULL;
        if (base->on_caller_gone != NULL) {
            base->on_caller_gone(base->ctx, p->node_id);
        }
        return;
    }
    p->out = NULL;
    if (s->is_ready && base->on_broken != NULL) {
        LOGI("link", "node %llu: the connection has broken", (unsigned long long)p->node_id);
        base->on_broken(base->ctx, p->node_id);
    }
    if (!l->is_stopping) {
        timer_start(l->loop, &p->retry, ms_to_ns(p->retry_ms));
        p->retry_ms = p->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : p->retry_ms * 2;
    }
}

static void send_next(struct node_stream *s);

static void send_done(struct grpc_tag *t, bool ok)
{
    struct node_stream *s = CONTAINER_OF(t, struct node_stream, send_tag);
    grpc_byte_buffer_destroy(s->sending);
    s->sending = NULL;
    if (!ok) {
        stream_break(s);
    } else if (!s->is_broken && s->pending > 0) {
        send_next(s);
    }
    op_done(s);
}

static void start_send(struct node_stream *s, grpc_byte_buffer *buffer, bool with_metadata)
{
    ASSERT(s->sending == NULL && !s->is_broken);
    s->sending = buffer;
    grpc_op ops[2];
    size_t n = 0;
    if (with_metadata) {
        ops[n++] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    }
    ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[n++].data.send_message.send_message = buffer;
    s->ops++;
    s->send_tag.done = send_done;
    grpc_start(s->call, ops, n, &s->send_tag);
}

static void send_next(struct node_stream *s)
{
    struct chunk *c = LIST_ITEM(list_pop_front(&s->chunks), struct chunk, link);
    s->pending -= c->bytes.len;
    grpc_byte_buffer *buffer = grpc_buffer_take(&c->bytes);
    mem_free(c);
    start_send(s, buffer, false);
}

static bool stream_send(struct node_stream *s, struct slice envelope)
{
    if (s->sending == NULL) {
        start_send(s, grpc_buffer_of(envelope), false);
        return true;
    }
    if (s->pending + envelope.len > PENDING_MAX) {
        return false;
    }
    struct chunk *c = NULL;
    if (!list_is_empty(&s->chunks)) {
        c = LIST_ITEM(s->chunks.prev, struct chunk, link);
    }
    if (c == NULL || c->bytes.len + envelope.len > MERGE_MAX) {
        c = MEM_NEW(struct chunk);
        list_push_back(&s->chunks, &c->link);
    }
    buf_put_slice(&c->bytes, envelope);
    s->pending += envelope.len;
    return true;
}

static void send_hello(struct node_stream *s)
{
    struct grpc_link *l = s->owner;
    struct buf b = {0};
    struct rpc_wire_hello hello = {
        .node_id = l->node_id,
        .cluster_id = l->cluster_id,
        .protocol = RPC_WIRE_PROTOCOL,
        .incarnation = l->incarnation,
    };
    rpc_wire_put_hello(&b, &hello);
    start_send(s, grpc_buffer_of(buf_slice(&b)), true);
    buf_deinit(&b);
}

/* Reads the first message of the other side. False: it is no hello. */
static bool read_hello(struct slice message, struct rpc_wire_hello *out)
{
    struct reader r;
    struct rpc_wire_item item;
    reader_init(&r, message);
    if (!rpc_wire_next(&r, &item) || item.kind != RPC_WIRE_HELLO) {
        return false;
    }
    *out = item.hello;
    return true;
}

/* NULL: we may talk. `expected` 0: anybody but ourselves. */
static struct status *judge_hello(const struct grpc_link *l, const struct rpc_wire_hello *h,
                                  uint64_t expected)
{
    if (h->protocol != RPC_WIRE_PROTOCOL) {
        return status_new(UNSUPPORTED, "node %llu speaks protocol %llu, this node speaks %d",
                          (unsigned long long)h->node_id, (unsigned long long)h->protocol,
                          RPC_WIRE_PROTOCOL);
    }
    if (h->cluster_id != 0 && l->cluster_id != 0 && h->cluster_id != l->cluster_id) {
        return status_hint(
            status_new(INVALID, "node %llu belongs to another cluster (%016llx, not %016llx)",
                       (unsigned long long)h->node_id, (unsigned long long)h->cluster_id,
                       (unsigned long long)l->cluster_id),
            "Check the addresses in the configuration and the data directory.");
    }
    if (h->node_id == 0 || (expected != 0 && h->node_id != expected)) {
        return status_new(INVALID, "node %llu answers where node %llu was expected",
                          (unsigned long long)h->node_id, (unsigned long long)expected);
    }
    if (h->node_id == l->node_id) {
        return status_hint(status_new(INVALID, "another process says that it is node %llu too",
                                      (unsigned long long)h->node_id),
                           "Each node needs an id of its own.");
    }
    return NULL;
}

static void receive_next(struct node_stream *s, bool with_metadata);
static bool inbound_hello(struct node_stream *s, struct slice message);
static bool outbound_hello(struct node_stream *s, struct slice message);

/* One message. False: the stream must end. */
static bool take_message(struct node_stream *s, struct slice message)
{
    if (message.len > RPC_WIRE_ENVELOPE_MAX) {
        return false;
    }
    if (!s->is_ready) {
        return s->is_inbound ? inbound_hello(s, message) : outbound_hello(s, message);
    }
    struct rpc_link *base = &s->owner->base;
    if (base->on_envelope == NULL) {
        return true; /* the rpc node is going */
    }
    if (!base->on_envelope(base->ctx, s->peer->node_id, message)) {
        LOGW("link", "node %llu sent a damaged envelope of %zu bytes",
             (unsigned long long)s->peer->node_id, message.len);
        return false;
    }
    return true;
}

static void receive_done(struct grpc_tag *t, bool ok)
{
    struct node_stream *s = CONTAINER_OF(t, struct node_stream, receive_tag);
    grpc_byte_buffer *buffer = s->received;
    s->received = NULL;
    bool is_good = ok && buffer != NULL;
    if (is_good && !s->is_broken) {
        struct grpc_bytes b;
        is_good = grpc_bytes_open(&b, buffer);
        if (is_good) {
            is_good = take_message(s, b.bytes);
            grpc_bytes_close(&b);
        }
    }
    if (buffer != NULL) {
        grpc_byte_buffer_destroy(buffer);
    }
    if (is_good && !s->is_broken && !s->is_refused) {
        receive_next(s, false);
    } else if ((s->is_inbound && !s->is_refused) || s->is_ready) {
        stream_break(s);
    } /* else: a status is on its way, and the end of the stream with it */
    op_done(s);
}

static void receive_next(struct node_stream *s, bool with_metadata)
{
    grpc_op ops[2];
    size_t n = 0;
    if (with_metadata) {
        ops[n] = (grpc_op){.op = GRPC_OP_RECV_INITIAL_METADATA};
        ops[n++].data.recv_initial_metadata.recv_initial_metadata = &s->initial;
    }
    ops[n] = (grpc_op){.op = GRPC_OP_RECV_MESSAGE};
    ops[n++].data.recv_message.recv_message = &s->received;
    s->ops++;
    s->receive_tag.done = receive_done;
    grpc_start(s->call, ops, n, &s->receive_tag);
}

/* ---- inbound ---- */

static void inbound_end(struct grpc_tag *t, bool ok)
{
    (void)ok;
    struct node_stream *s = CONTAINER_OF(t, struct node_stream, end_tag);
    stream_break(s);
    op_done(s);
}

static void accept_stream(void *ctx, grpc_call *call)
{
    struct grpc_link *l = ctx;
    struct node_stream *s = stream_create(l, call, true);
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &s->close_cancelled;
    s->ops++;
    s->end_tag.done = inbound_end;
    grpc_start(call, &op, 1, &s->end_tag);
    receive_next(s, false);
    if (l->is_stopping) {
        stream_break(s);
    }
}

static void refused(struct grpc_tag *t, bool ok)
{
    (void)ok;
    op_done(CONTAINER_OF(t, struct node_stream, send_tag));
}

/* Ends an inbound stream with words. */
static void refuse(struct node_stream *s, const struct status *why)
{
    char *peer = grpc_call_get_peer(s->call);
    LOGW("link", "refused %s: %s", peer, why->message);
    metric_add(s->owner->refused, 1);
    gpr_free(peer);
    grpc_slice text = grpc_slice_from_copied_buffer(why->message, strnlen(why->message, 512));
    grpc_op ops[2] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                      {.op = GRPC_OP_SEND_STATUS_FROM_SERVER}};
    ops[1].data.send_status_from_server.status = (grpc_status_code)status_code_grpc(why->code);
    ops[1].data.send_status_from_server.status_details = &text;
    s->ops++;
    s->is_refused = true;
    s->send_tag.done = refused;
    grpc_start(s->call, ops, 2, &s->send_tag);
    grpc_slice_unref(text);
}

/* True also when it has been refused: the other side then closes. */
static bool inbound_hello(struct node_stream *s, struct slice message)
{
    struct grpc_link *l = s->owner;
    struct rpc_wire_hello hello;
    struct status *st = NULL;
    if (l->node_id == 0) {
        st = status_new(UNAVAILABLE, "this node has no id yet");
    } else if (!read_hello(message, &hello)) {
        st = status_new(INVALID, "the stream does not begin with a hello");
    } else {
        st = judge_hello(l, &hello, 0);
    }
    if (st != NULL) {
        refuse(s, st);
        status_free(st);
        return true;
    }
    struct node_peer *p = peer_get(l, hello.node_id);
    if (p->in != NULL) {
        stream_break(p->in);
    }
    p->in = s;
    s->peer = p;
    s->is_ready = true;
    send_hello(s);
    if (p->out == NULL && timer_is_armed(&p->retry)) { /* it is back: so go there */
        timer_stop(&p->retry);
        p->retry_ms = RETRY_MIN_MS;
        if (p->channel != NULL) {
            grpc_channel_reset_connect_backoff(p->channel);
        }
        connect_peer(p);
    }
    return true;
}

/* ---- outbound ---- */

static void outbound_end(struct grpc_tag *t, bool ok)
{
    (void)ok;
    struct node_stream *s = CONTAINER_OF(t, struct node_stream, end_tag);
    if (!s->is_ready && s->peer != NULL && !s->owner->is_stopping) {
        struct slice text = grpc_view(&s->status_text);
        char what[500];
        (void)snprintf(what, sizeof(what), "cannot connect to %s: %.*s", s->peer->target,
                       text.len > 120 ? 120 : (int)text.len, (const char *)text.data);
        complain(s->peer, what);
    }
    stream_break(s);
    op_done(s);
}

static bool outbound_hello(struct node_stream *s, struct slice message)
{
    struct node_peer *p = s->peer;
    struct rpc_wire_hello hello;
    struct status *st = read_hello(message, &hello)
                            ? judge_hello(s->owner, &hello, p->node_id)
                            : status_new(INVALID, "%s does not answer with a hello", p->target);
    if (st != NULL) {
        complain(p, st->message);
        status_free(st);
        p->retry_ms = RETRY_MAX_MS;
        stream_break(s);
        return false;
    }
    s->is_ready = true;
    p->retry_ms = RETRY_MIN_MS;
    p->problem[0] = '\0';
    LOGI("link", "node %llu: connected to %s", (unsigned long long)p->node_id, p->target);
    return true;
}

static void connect_peer(struct node_peer *p)
{
    struct grpc_link *l = p->owner;
    char host[256];
    uint16_t port = 0;
    if (p->out != NULL || l->is_stopping || l->node_id == 0) {
        return;
    }
    timer_stop(&p->retry);
    if (!l->resolve(l->resolve_ctx, p->node_id, host, sizeof(host), &port)) {
        return; /* no address: tried again when somebody asks again */
    }
    char target[sizeof(p->target)];
    grpc_address(target, sizeof(target), host, port);
    if (p->channel != NULL && strcmp(target, p->target) != 0) {
        grpc_channel_destroy(p->channel);
        p->channel = NULL;
    }
    if (p->channel == NULL) {
        memcpy(p->target, target, sizeof(target));
        p->channel = grpc_channel_to(host, port, GRPC_CHANNEL_LINK);
    }
    grpc_call *call = grpc_channel_create_call(p->channel, NULL, 0, grpc_hub_queue(l->hub),
                                               grpc_slice_from_static_string(STREAM_METHOD), NULL,
                                               gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    struct node_stream *s = stream_create(l, call, false);
    s->peer = p;
    p->out = s;
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.trailing_metadata = &s->trailing;
    op.data.recv_status_on_client.status = &s->status;
    op.data.recv_status_on_client.status_details = &s->status_text;
    s->ops++;
    s->end_tag.done = outbound_end;
    grpc_start(call, &op, 1, &s->end_tag);
    send_hello(s);
    receive_next(s, true);
}

/* ---- struct rpc_link ---- */

static struct node_peer *want(struct grpc_link *l, uint64_t node_id)
{
    struct node_peer *p = peer_get(l, node_id);
    if (p->out == NULL && !timer_is_armed(&p->retry)) {
        connect_peer(p);
    }
    return p;
}

static bool link_is_connected(struct rpc_link *base, uint64_t node_id)
{
    struct node_peer *p = want(link_of(base), node_id);
    return p->out != NULL && p->out->is_ready;
}

static bool link_send(struct rpc_link *base, uint64_t to_node, struct slice envelope)
{
    struct grpc_link *l = link_of(base);
    if (!rpc_wire_is_answers(envelope)) {
        struct node_peer *p = want(l, to_node);
        return p->out != NULL && p->out->is_ready && stream_send(p->out, envelope);
    }
    struct node_peer *p = peer_get(l, to_node);
    if (p->in == NULL) {
        return false;
    }
    if (!stream_send(p->in, envelope)) {
        /* Answers must not be dropped one by one: the caller would wait for ever. Its end of the
         * stream notices, and so do we when the close comes back. */
        LOGW("link", "node %llu does not take its answers: %zu bytes wait",
             (unsigned long long)to_node, p->in->pending);
        (void)grpc_call_cancel(p->in->call, NULL);
        return false;
    }
    return true;
}

/* Nothing comes in any more. */
static void front_gone(void *ctx)
{
    ((struct grpc_link *)ctx)->front = NULL;
}

struct rpc_link *grpc_link_create(struct loop *loop, struct grpc_front *front, uint64_t node_id,
                                  uint64_t cluster_id, rpc_resolve_fn resolve, void *resolve_ctx)
{
    struct grpc_link *l = MEM_NEW(struct grpc_link);
    l->base.send = link_send;
    l->base.is_connected = link_is_connected;
    l->loop = loop;
    l->hub = grpc_hub_get(loop);
    l->front = front;
    l->node_id = node_id;
    l->cluster_id = cluster_id;
    l->incarnation = loop_random(loop) | 1;
    l->resolve = resolve;
    l->resolve_ctx = resolve_ctx;
    list_head_init(&l->peers);
    list_head_init(&l->streams);
    l->refused = metric_counter("sherd_rpc_refused_total", NULL, "Node streams refused");
    grpc_front_raw(front, STREAM_METHOD, accept_stream, front_gone, l);
    return &l->base;
}

void grpc_link_identity(struct rpc_link *base, uint64_t node_id, uint64_t cluster_id)
{
    struct grpc_link *l = link_of(base);
    l->node_id = node_id;
    l->cluster_id = cluster_id;
}

void grpc_link_destroy(struct fiber *f, struct rpc_link *base)
{
    if (base == NULL) {
        return;
    }
    struct grpc_link *l = link_of(base);
    l->is_stopping = true;
    l->stopper = f;
    if (l->front != NULL) {
        grpc_front_raw(l->front, STREAM_METHOD, NULL, NULL, NULL);
    }
    LIST_FOREACH(it, &l->peers)
    {
        timer_stop(&LIST_ITEM(it, struct node_peer, link)->retry);
    }
    LIST_FOREACH(it, &l->streams)
    {
        stream_break(LIST_ITEM(it, struct node_stream, link));
    }
    while (!list_is_empty(&l->streams)) {
        fiber_park_hard(f);
    }
    if (l->base.on_gone != NULL) {
        l->base.on_gone(l->base.ctx);
    }
    struct list *it;
    while ((it = list_pop_front(&l->peers)) != NULL) {
        struct node_peer *p = LIST_ITEM(it, struct node_peer, link);
        if (p->channel != NULL) {
            grpc_channel_destroy(p->channel);
        }
        mem_free(p);
    }
    grpc_hub_put(l->hub);
    mem_free(l);
}
