/*
 * The Raft transport over TCP: one connection per directed pair of nodes, and one more for bulk.
 *
 * A connection carries frames one way: from the node that opened it. Its first frame is the hello:
 *   magic "sherdrft" | version u8 | is bulk u8 | cluster id u64 | from node u64 | to node u64
 * and every other frame is one message:
 *   length u32 | bytes
 * Who says a wrong hello (another cluster, another node meant) is refused and counted; who sends a
 * frame that is too long, or anything at all backwards, is disconnected.
 *
 * Connections are made when something is to be sent, again after 50 ms, doubling up to 1 s; a peer
 * that connects to us is tried at once. Messages to a peer that is away, or whose queue is full,
 * are dropped: Raft tolerates loss, not unbounded memory.
 */
#include "replication/group.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/tcp.h"

#define MAGIC "sherdrft"
#define HELLO_VERSION 1
#define HELLO_SIZE 34u
#define FRAME_MAX ((size_t)32 << 20)
#define QUEUE_BYTES_MAX ((size_t)64 << 20)
#define BULK_QUEUE_BYTES_MAX ((size_t)8 << 20)
#define BACKOFF_MS_MIN 50u
#define BACKOFF_MS_MAX 1000u
#define CONNECT_TIMEOUT_MS 2000u
#define HELLO_TIMEOUT_MS 5000u
#define ACCEPTED_MAX 1024u

struct link_tcp;

/* An outgoing connection. */
struct outlet {
    struct link_tcp *link;
    uint64_t node_id;
    bool is_bulk;
    struct tcp *stream;          /* connected */
    struct tcp_connect *attempt; /* connecting */
    uint32_t backoff_ms;
    uint64_t not_before_ns; /* of the next attempt */
    uint64_t connected_ns;
};

struct tcp_peer {
    struct list link;
    uint64_t node_id;
    struct outlet outlets[2]; /* Raft, bulk */
};

/* An accepted connection. */
struct inlet {
    struct list link;
    struct link_tcp *owner;
    struct tcp *stream;
    struct timer hello_timer;
    bool has_hello;
    uint64_t node_id;
    struct buf in;
};

struct link_tcp {
    struct peer_link base;
    struct loop *loop;
    uint64_t node_id, cluster_id;
    struct tcp_listener *listener;
    peer_resolve_fn resolve;
    void *resolve_ctx;
    struct list peers;
    struct list inlets;
    unsigned inlet_count;
    struct metric *refused, *dropped, *bytes_out;
};

static struct link_tcp *link_of(struct peer_link *l)
{
    return CONTAINER_OF(l, struct link_tcp, base);
}

/* ---- outgoing ---- */

static void outlet_closed(void *ctx, struct status *st)
{
    struct outlet *o = ctx;
    struct loop *l = o->link->loop;
    status_free(st);
    tcp_close(o->stream);
    o->stream = NULL;
    if (loop_now_ns(l) - o->connected_ns > ms_to_ns(BACKOFF_MS_MAX)) {
        o->backoff_ms = BACKOFF_MS_MIN; /* it had worked */
    }
    o->not_before_ns = loop_now_ns(l) + ms_to_ns(o->backoff_ms);
}

static void outlet_read(void *ctx, struct slice bytes)
{
    struct outlet *o = ctx;
    (void)bytes; /* nothing comes back on this connection */
    outlet_closed(o, NULL);
}

static void backoff_grow(struct outlet *o)
{
    o->not_before_ns = loop_now_ns(o->link->loop) + ms_to_ns(o->backoff_ms);
    o->backoff_ms = o->backoff_ms * 2 > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : o->backoff_ms * 2;
}

static void outlet_connected(void *ctx, struct status *st, struct tcp *stream)
{
    struct outlet *o = ctx;
    o->attempt = NULL;
    backoff_grow(o);
    if (st != NULL) {
        LOGD("raft", "connecting to node %llu: %s", (unsigned long long)o->node_id, st->message);
        status_free(st);
        return;
    }
    o->stream = stream;
    o->connected_ns = loop_now_ns(o->link->loop);
    tcp_start(stream, outlet_read, outlet_closed, o);
    struct buf hello = {NULL, 0, 0};
    buf_put(&hello, MAGIC, 8);
    buf_put_u8(&hello, HELLO_VERSION);
    buf_put_u8(&hello, o->is_bulk);
    buf_put_u64(&hello, o->link->cluster_id);
    buf_put_u64(&hello, o->link->node_id);
    buf_put_u64(&hello, o->node_id);
    ASSERT(hello.len == HELLO_SIZE);
    tcp_write(stream, buf_slice(&hello));
    buf_deinit(&hello);
}

static void outlet_connect(struct outlet *o)
{
    struct link_tcp *l = o->link;
    char host[256];
    uint16_t port;
    if (o->stream != NULL || o->attempt != NULL || loop_now_ns(l->loop) < o->not_before_ns) {
        return;
    }
    if (!l->resolve(l->resolve_ctx, o->node_id, host, sizeof host, &port)) {
        backoff_grow(o);
        return;
    }
    o->attempt =
        tcp_connect(l->loop, host, port, ms_to_ns(CONNECT_TIMEOUT_MS), outlet_connected, o);
}

static struct tcp_peer *peer_get(struct link_tcp *l, uint64_t node_id)
{
    LIST_FOREACH(it, &l->peers)
    {
        struct tcp_peer *p = LIST_ITEM(it, struct tcp_peer, link);
        if (p->node_id == node_id) {
            return p;
        }
    }
    struct tcp_peer *p = MEM_NEW(struct tcp_peer);
    p->node_id = node_id;
    for (int i = 0; i < 2; i++) {
        p->outlets[i].link = l;
        p->outlets[i].node_id = node_id;
        p->outlets[i].is_bulk = i == 1;
        p->outlets[i].backoff_ms = BACKOFF_MS_MIN;
    }
    list_push_back(&l->peers, &p->link);
    return p;
}

static bool link_send(struct peer_link *base, uint64_t to_node, bool bulk, struct slice message)
{
    struct link_tcp *l = link_of(base);
    struct outlet *o = &peer_get(l, to_node)->outlets[bulk];
    ASSERT(message.len <= FRAME_MAX);
    if (o->stream == NULL) {
        outlet_connect(o);
    }
    size_t limit = bulk ? BULK_QUEUE_BYTES_MAX : QUEUE_BYTES_MAX;
    if (o->stream == NULL || tcp_pending(o->stream) > limit) {
        metric_add(l->dropped, 1);
        return false;
    }
    uint8_t *frame = mem_alloc(message.len + 4);
    set_u32(frame, (uint32_t)message.len);
    memcpy(frame + 4, message.data, message.len);
    metric_add(l->bytes_out, (int64_t)message.len + 4);
    tcp_write_take(o->stream, frame, message.len + 4);
    return true;
}

static bool link_is_connected(struct peer_link *base, uint64_t to_node)
{
    struct outlet *o = &peer_get(link_of(base), to_node)->outlets[0];
    outlet_connect(o);
    return o->stream != NULL;
}

/* ---- incoming ---- */

static void inlet_close(struct inlet *in)
{
    timer_stop(&in->hello_timer);
    tcp_close(in->stream);
    list_unlink(&in->link);
    in->owner->inlet_count--;
    buf_deinit(&in->in);
    mem_free(in);
}

static void inlet_refuse(struct inlet *in, const char *why)
{
    LOGW("raft", "connection from %s is refused: %s", tcp_peer(in->stream), why);
    metric_add(in->owner->refused, 1);
    inlet_close(in);
}

static void inlet_closed(void *ctx, struct status *st)
{
    status_free(st);
    inlet_close(ctx);
}

static void hello_late(struct timer *t)
{
    inlet_refuse(CONTAINER_OF(t, struct inlet, hello_timer), "no hello");
}

/* False: refused, and in is gone. */
static bool take_hello(struct inlet *in, struct reader *r)
{
    struct link_tcp *l = in->owner;
    struct slice magic = read_raw(r, 8);
    uint8_t version = read_u8(r);
    (void)read_u8(r); /* is bulk: it only keeps connections apart */
    uint64_t cluster_id = read_u64(r);
    uint64_t from = read_u64(r);
    uint64_t to = read_u64(r);
    if (!slice_eq(magic, slice_make(MAGIC, 8)) || version != HELLO_VERSION) {
        inlet_refuse(in, "not a peer of this version");
        return false;
    }
    if (cluster_id != l->cluster_id || from == 0 || from == l->node_id || to != l->node_id) {
        inlet_refuse(in, "a stranger: another cluster or another node");
        return false;
    }
    in->has_hello = true;
    in->node_id = from;
    timer_stop(&in->hello_timer);
    struct tcp_peer *p = peer_get(l, from); /* it lives: no need to wait before we try again */
    for (int i = 0; i < 2; i++) {
        p->outlets[i].not_before_ns = 0;
        p->outlets[i].backoff_ms = BACKOFF_MS_MIN;
    }
    outlet_connect(&p->outlets[0]);
    return true;
}

static void inlet_read(void *ctx, struct slice bytes)
{
    struct inlet *in = ctx;
    struct link_tcp *l = in->owner;
    bool is_buffered = in->in.len > 0;
    if (is_buffered) {
        buf_put_slice(&in->in, bytes);
    }
    struct slice all = is_buffered ? buf_slice(&in->in) : bytes;
    struct reader r;
    reader_init(&r, all);
    if (!in->has_hello && reader_left(&r) >= HELLO_SIZE && !take_hello(in, &r)) {
        return;
    }
    while (in->has_hello && reader_left(&r) >= 4) {
        uint32_t len = get_u32(r.pos);
        if (len > FRAME_MAX) {
            inlet_refuse(in, "a message that is too long");
            return;
        }
        if (reader_left(&r) < 4 + (size_t)len) {
            break;
        }
        (void)read_u32(&r);
        struct slice message = read_raw(&r, len);
        if (l->base.on_message != NULL) {
            l->base.on_message(l->base.ctx, in->node_id, message);
        }
    }
    size_t left = reader_left(&r);
    if (is_buffered) {
        memmove(in->in.data, in->in.data + (in->in.len - left), left);
        in->in.len = left;
    } else if (left > 0) {
        buf_put(&in->in, r.pos, left);
    }
}

static void link_accept(void *ctx, struct tcp *stream)
{
    struct link_tcp *l = ctx;
    if (l->inlet_count >= ACCEPTED_MAX) {
        metric_add(l->refused, 1);
        tcp_close(stream);
        return;
    }
    struct inlet *in = MEM_NEW(struct inlet);
    in->owner = l;
    in->stream = stream;
    in->hello_timer.fire = hello_late;
    l->inlet_count++;
    list_push_back(&l->inlets, &in->link);
    timer_start(l->loop, &in->hello_timer, ms_to_ns(HELLO_TIMEOUT_MS));
    tcp_start(stream, inlet_read, inlet_closed, in);
}

/* ---- life ---- */

struct status *peer_link_tcp_create(struct loop *loop, uint64_t node_id, uint64_t cluster_id,
                                    const char *host, uint16_t port, peer_resolve_fn resolve,
                                    void *resolve_ctx, struct peer_link **out_link)
{
    struct link_tcp *l = MEM_NEW(struct link_tcp);
    l->base.send = link_send;
    l->base.is_connected = link_is_connected;
    l->loop = loop;
    l->node_id = node_id;
    l->cluster_id = cluster_id;
    l->resolve = resolve;
    l->resolve_ctx = resolve_ctx;
    list_head_init(&l->peers);
    list_head_init(&l->inlets);
    l->refused = metric_counter("sherd_raft_refused_total", NULL, "Raft connections refused");
    l->dropped = metric_counter("sherd_raft_dropped_total", NULL,
                                "Raft messages dropped: peer away or queue full");
    l->bytes_out = metric_counter("sherd_raft_sent_bytes_total", NULL, "Raft bytes sent");
    struct status *st = tcp_listen(loop, host, port, link_accept, l, &l->listener);
    if (st != NULL) {
        mem_free(l);
        return st;
    }
    *out_link = &l->base;
    return NULL;
}

uint16_t peer_link_tcp_port(const struct peer_link *base)
{
    return tcp_listener_port(CONTAINER_OF(base, const struct link_tcp, base)->listener);
}

void peer_link_tcp_destroy(struct peer_link *base)
{
    if (base == NULL) {
        return;
    }
    struct link_tcp *l = link_of(base);
    struct list *item;
    tcp_listener_close(l->listener);
    while (!list_is_empty(&l->inlets)) {
        inlet_close(LIST_ITEM(l->inlets.next, struct inlet, link));
    }
    while ((item = list_pop_front(&l->peers)) != NULL) {
        struct tcp_peer *p = LIST_ITEM(item, struct tcp_peer, link);
        for (int i = 0; i < 2; i++) {
            if (p->outlets[i].attempt != NULL) {
                tcp_connect_cancel(p->outlets[i].attempt);
            }
            if (p->outlets[i].stream != NULL) {
                tcp_close(p->outlets[i].stream);
            }
        }
        mem_free(p);
    }
    mem_free(l);
}
