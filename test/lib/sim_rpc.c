/*
 * See sim_rpc.h. Two directions per pair of nodes, each with its own connection, like the streams
 * of the real link: A's calls and B's answers to them could share one, but here everything that A
 * sends to B goes over A's.
 *
 * Frame: u8 kind (1 data, 2 acknowledgement) | u64 connection | u64 number | data
 * A connection's name is drawn at random; a receiver that hears a new name forgets the old
 * connection.
 */
#include "sim_rpc.h"

#include "base/check.h"
#include "base/mem.h"

#define RESEND_NS 100000000ull

enum { FRAME_DATA = 1, FRAME_ACK = 2 };

struct frame {
    struct list link;
    uint64_t number;
    uint64_t sent_ns; /* first time */
    size_t len;
    uint8_t data[];
};

struct sim_peer {
    struct sim_rpc_link *link;
    uint64_t node_id;
    uint64_t out_name; /* 0 = none */
    uint64_t out_next;
    bool is_established; /* something of this connection was acknowledged */
    struct list unacked; /* frames */
    uint64_t in_name;
    uint64_t in_next;
    struct list held; /* frames that came too early, by number */
    struct timer timer;
};

struct sim_rpc_link {
    struct rpc_link base;
    struct sim_net *net;
    struct loop *loop;
    uint64_t node_id;
    struct sim_peer peers[SIM_NET_NODES];
};

static void frames_free(struct list *l)
{
    while (!list_is_empty(l)) {
        mem_free(LIST_ITEM(list_pop_front(l), struct frame, link));
    }
}

static void frame_send(struct sim_peer *p, uint8_t kind, uint64_t name, uint64_t number,
                       struct slice data)
{
    struct buf b = {0};
    buf_put_u8(&b, kind);
    buf_put_u64(&b, name);
    buf_put_u64(&b, number);
    buf_put_slice(&b, data);
    (void)sim_net_send(p->link->net, p->link->node_id, p->node_id, SIM_NET_RPC, buf_slice(&b));
    buf_deinit(&b);
}

static void enqueue(struct sim_peer *p, struct slice data)
{
    struct sim_rpc_link *l = p->link;
    if (p->out_name == 0) {
        p->out_name = loop_random(l->loop) | 1;
        p->out_next = 1;
        p->is_established = false;
    }
    struct frame *f = mem_alloc(sizeof(*f) + data.len);
    f->number = p->out_next++;
    f->sent_ns = loop_now_ns(l->loop);
    f->len = data.len;
    if (data.len > 0) {
        memcpy(f->data, data.data, data.len);
    }
    list_push_back(&p->unacked, &f->link);
    frame_send(p, FRAME_DATA, p->out_name, f->number, data);
    if (!timer_is_armed(&p->timer)) {
        timer_start(l->loop, &p->timer, RESEND_NS);
    }
}

/* What we sent and has not been answered is of unknown fate. The peer is told by the begin of a new
 * connection (an empty frame, repeated until it is heard), as a reset tells it of a broken stream.
 */
static void peer_break_out(struct sim_peer *p)
{
    struct rpc_link *l = &p->link->base;
    p->out_name = 0;
    p->is_established = false;
    frames_free(&p->unacked);
    timer_stop(&p->timer);
    if (l->on_broken != NULL) {
        l->on_broken(l->ctx, p->node_id);
    }
    if (l->on_caller_gone != NULL) {
        l->on_caller_gone(l->ctx, p->node_id);
    }
    if (p->out_name == 0) {
        enqueue(p, slice_make(NULL, 0));
    }
}

static void peer_timer(struct timer *t)
{
    struct sim_peer *p = CONTAINER_OF(t, struct sim_peer, timer);
    if (list_is_empty(&p->unacked)) {
        return;
    }
    struct frame *first = LIST_ITEM(p->unacked.next, struct frame, link);
    if (loop_now_ns(p->link->loop) - first->sent_ns > SIM_RPC_BREAK_NS) {
        peer_break_out(p);
        return;
    }
    LIST_FOREACH(it, &p->unacked)
    {
        struct frame *f = LIST_ITEM(it, struct frame, link);
        frame_send(p, FRAME_DATA, p->out_name, f->number, slice_make(f->data, f->len));
    }
    timer_start(p->link->loop, t, RESEND_NS);
}

static bool link_send(struct rpc_link *base, uint64_t to_node, struct slice envelope)
{
    struct sim_rpc_link *l = CONTAINER_OF(base, struct sim_rpc_link, base);
    if (to_node == 0 || to_node >= SIM_NET_NODES) {
        return false;
    }
    /* A connection that stands takes everything, and breaks as a whole or not at all. */
    if (!l->peers[to_node].is_established && !sim_net_is_connected(l->net, l->node_id, to_node)) {
        return false;
    }
    enqueue(&l->peers[to_node], envelope);
    return true;
}

static bool link_is_connected(struct rpc_link *base, uint64_t to_node)
{
    struct sim_rpc_link *l = CONTAINER_OF(base, struct sim_rpc_link, base);
    return to_node < SIM_NET_NODES && sim_net_is_connected(l->net, l->node_id, to_node);
}

/* ---- receiving ---- */

static void acked(struct sim_peer *p, uint64_t name, uint64_t number)
{
    while (name == p->out_name && !list_is_empty(&p->unacked) &&
           LIST_ITEM(p->unacked.next, struct frame, link)->number <= number) {
        p->is_established = true;
        mem_free(LIST_ITEM(list_pop_front(&p->unacked), struct frame, link));
    }
}

static void hold(struct sim_peer *p, uint64_t number, struct slice data)
{
    struct list *at = p->held.next;
    while (at != &p->held && LIST_ITEM(at, struct frame, link)->number < number) {
        at = at->next;
    }
    if (at != &p->held && LIST_ITEM(at, struct frame, link)->number == number) {
        return;
    }
    struct frame *f = mem_alloc(sizeof(*f) + data.len);
    f->number = number;
    f->len = data.len;
    memcpy(f->data, data.data, data.len);
    list_insert_before(at, &f->link);
}

static void deliver(struct sim_peer *p)
{
    struct rpc_link *l = &p->link->base;
    while (!list_is_empty(&p->held)) {
        struct frame *f = LIST_ITEM(p->held.next, struct frame, link);
        if (f->number != p->in_next) {
            return;
        }
        p->in_next++;
        list_unlink(&f->link);
        if (f->len > 0 && l->on_envelope != NULL) {
            (void)l->on_envelope(l->ctx, p->node_id, slice_make(f->data, f->len));
        }
        mem_free(f);
    }
}

static void receive(void *ctx, uint64_t from, struct slice bytes)
{
    struct sim_rpc_link *l = ctx;
    struct sim_peer *p = &l->peers[from];
    struct reader r;
    reader_init(&r, bytes);
    uint8_t kind = read_u8(&r);
    uint64_t name = read_u64(&r);
    uint64_t number = read_u64(&r);
    ASSERT(reader_ok(&r));
    if (kind == FRAME_ACK) {
        acked(p, name, number);
        return;
    }
    if (name != p->in_name) {
        if (number !=
            1) { /* of a connection that we have forgotten, or not its first: it is sent again */
            return;
        }
        p->in_name = name;
        p->in_next = 1;
        frames_free(&p->held);
        /* Always, even when none was known: answers to our first calls may have been lost with one
         * that we never heard of. */
        if (l->base.on_caller_gone != NULL) {
            /* The peer began anew: its old calls have no way back, and its answers to ours were
             * lost. */
            l->base.on_caller_gone(l->base.ctx, from);
            l->base.on_broken(l->base.ctx, from);
        }
    }
    if (number >= p->in_next) {
        hold(p, number, slice_make(r.pos, reader_left(&r)));
        deliver(p);
    }
    frame_send(p, FRAME_ACK, name, p->in_next - 1, slice_make(NULL, 0));
}

struct rpc_link *sim_rpc_link_create(struct sim_net *net, struct loop *loop, uint64_t node_id)
{
    struct sim_rpc_link *l = MEM_NEW(struct sim_rpc_link);
    l->base.send = link_send;
    l->base.is_connected = link_is_connected;
    l->net = net;
    l->loop = loop;
    l->node_id = node_id;
    for (uint64_t i = 0; i < SIM_NET_NODES; i++) {
        struct sim_peer *p = &l->peers[i];
        p->link = l;
        p->node_id = i;
        p->timer.fire = peer_timer;
        list_head_init(&p->unacked);
        list_head_init(&p->held);
    }
    sim_net_listen(net, node_id, SIM_NET_RPC, receive, l);
    for (uint64_t i = 1; i < SIM_NET_NODES; i++) {
        if (i != node_id && sim_net_is_known(net, i)) {
            /* We are new: what an earlier boot knew is gone. Also to who cannot be reached now: it
             * may wait for an answer of that boot, and nothing else would tell it. */
            enqueue(&l->peers[i], slice_make(NULL, 0));
        }
    }
    return &l->base;
}

void sim_rpc_link_destroy(struct rpc_link *base)
{
    struct sim_rpc_link *l = CONTAINER_OF(base, struct sim_rpc_link, base);
    for (size_t i = 0; i < SIM_NET_NODES; i++) {
        timer_stop(&l->peers[i].timer);
        frames_free(&l->peers[i].unacked);
        frames_free(&l->peers[i].held);
    }
    mem_free(l);
}
