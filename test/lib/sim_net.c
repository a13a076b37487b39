/*
 * See sim_net.h. A message is one allocation; at its time of arrival it becomes an event of the
 * loop that the receiver has by then, or is dropped.
 */
#include "sim_net.h"

#include "base/check.h"
#include "base/mem.h"

struct net_link {
    struct peer_link base;
    struct list link;
    struct sim_net *net;
    uint64_t node_id;
};

struct net_node {
    struct loop *loop; /* NULL: down */
    struct {
        sim_net_receive_fn fn;
        void *ctx;
    } channels[SIM_NET_CHANNELS];
};

struct sim_net {
    struct sim *sim;
    struct net_node nodes[SIM_NET_NODES];
    bool is_known[SIM_NET_NODES];
    bool blocked[SIM_NET_NODES][SIM_NET_NODES];
    unsigned loss, duplicate;
    uint64_t delay_max_us;
    struct list in_flight;
    struct list links;
    uint64_t count;
    void (*tap)(void *ctx, uint64_t from, struct slice bytes);
    void *tap_ctx;
    bool (*filter)(void *ctx, uint64_t from, uint64_t to, unsigned channel, struct slice bytes);
    void *filter_ctx;
};

struct net_message {
    struct list link;
    struct sim_net *net;
    uint64_t from, to;
    unsigned channel;
    size_t len;
    uint8_t bytes[];
};

struct sim_net *sim_net_create(struct sim *s)
{
    struct sim_net *net = MEM_NEW(struct sim_net);
    net->sim = s;
    list_head_init(&net->in_flight);
    list_head_init(&net->links);
    return net;
}

void sim_net_destroy(struct sim_net *net)
{
    struct list *item;
    if (net == NULL) {
        return;
    }
    while ((item = list_pop_front(&net->in_flight)) != NULL) {
        mem_free(LIST_ITEM(item, struct net_message, link));
    }
    while ((item = list_pop_front(&net->links)) != NULL) {
        mem_free(LIST_ITEM(item, struct net_link, link));
    }
    mem_free(net);
}

/* ---- nodes ---- */

void sim_net_attach(struct sim_net *net, uint64_t node_id, struct loop *l)
{
    ASSERT(node_id > 0 && node_id < SIM_NET_NODES);
    memset(&net->nodes[node_id], 0, sizeof net->nodes[node_id]);
    net->nodes[node_id].loop = l;
    net->is_known[node_id] = true;
}

bool sim_net_is_known(const struct sim_net *net, uint64_t node_id)
{
    return net->is_known[node_id];
}

void sim_net_detach(struct sim_net *net, uint64_t node_id)
{
    memset(&net->nodes[node_id], 0, sizeof net->nodes[node_id]);
}

void sim_net_listen(struct sim_net *net, uint64_t node_id, unsigned channel, sim_net_receive_fn fn,
                    void *ctx)
{
    ASSERT(channel < SIM_NET_CHANNELS);
    net->nodes[node_id].channels[channel].fn = fn;
    net->nodes[node_id].channels[channel].ctx = ctx;
}

static void message_free(struct net_message *m)
{
    list_unlink(&m->link);
    mem_free(m);
}

/* On the receiver's loop. */
static void hand_over(void *ctx)
{
    struct net_message *m = ctx;
    struct net_node *n = &m->net->nodes[m->to];
    if (n->channels[m->channel].fn != NULL) {
        n->channels[m->channel].fn(n->channels[m->channel].ctx, m->from,
                                   slice_make(m->bytes, m->len));
    }
    message_free(m);
}

static void arrive(void *ctx)
{
    struct net_message *m = ctx;
    struct net_node *n = &m->net->nodes[m->to];
    if (n->loop == NULL) {
        message_free(m);
        return;
    }
    sim_loop_at(n->loop, sim_now_ns(m->net->sim), hand_over, m);
}

static void launch(struct sim_net *net, uint64_t from, uint64_t to, unsigned channel,
                   struct slice bytes, uint64_t delay_us)
{
    struct net_message *m = mem_alloc(sizeof *m + bytes.len);
    m->net = net;
    m->from = from;
    m->to = to;
    m->channel = channel;
    m->len = bytes.len;
    memcpy(m->bytes, bytes.data, bytes.len);
    list_push_back(&net->in_flight, &m->link);
    sim_at(net->sim, sim_now_ns(net->sim) + delay_us * 1000, arrive, m);
}

static bool chance(struct sim_net *net, unsigned per_mille)
{
    return per_mille != 0 && sim_random_below(net->sim, 1000) < per_mille;
}

bool sim_net_is_connected(struct sim_net *net, uint64_t from, uint64_t to)
{
    if (to == 0 || to >= SIM_NET_NODES) {
        return false;
    }
    if (net->blocked[from][to] || net->nodes[to].loop == NULL) {
        return chance(net, 500); /* a broken connection is not noticed at once */
    }
    return true;
}

bool sim_net_send(struct sim_net *net, uint64_t from, uint64_t to, unsigned channel,
                  struct slice bytes)
{
    ASSERT(from > 0 && from < SIM_NET_NODES && channel < SIM_NET_CHANNELS);
    net->count++;
    if (to == 0 || to >= SIM_NET_NODES) {
        return false;
    }
    if (net->filter != NULL && net->filter(net->filter_ctx, from, to, channel, bytes)) {
        return true;
    }
    if (net->blocked[from][to] || chance(net, net->loss)) {
        return chance(net, 500);
    }
    uint64_t delay = 100 + sim_random_below(net->sim, 300);
    if (net->delay_max_us > 0) {
        delay += sim_random_below(net->sim, net->delay_max_us);
    }
    if (chance(net, net->duplicate)) {
        uint64_t late = chance(net, 200) ? 2000000 : 60000;
        launch(net, from, to, channel, bytes, delay + sim_random_below(net->sim, late));
    }
    launch(net, from, to, channel, bytes, delay);
    return true;
}

/* ---- links ---- */

static bool link_send(struct peer_link *base, uint64_t to_node, bool bulk, struct slice message)
{
    struct net_link *l = CONTAINER_OF(base, struct net_link, base);
    if (l->net->tap != NULL) {
        l->net->tap(l->net->tap_ctx, l->node_id, message);
    }
    return sim_net_send(l->net, l->node_id, to_node, bulk ? SIM_NET_BULK : SIM_NET_RAFT, message);
}

static bool link_is_connected(struct peer_link *base, uint64_t to_node)
{
    struct net_link *l = CONTAINER_OF(base, struct net_link, base);
    return sim_net_is_connected(l->net, l->node_id, to_node);
}

static void link_receive(void *ctx, uint64_t from, struct slice bytes)
{
    struct net_link *l = ctx;
    if (l->base.on_message != NULL) {
        l->base.on_message(l->base.ctx, from, bytes);
    }
}

struct peer_link *sim_net_link(struct sim_net *net, uint64_t node_id)
{
    struct net_link *l = MEM_NEW(struct net_link);
    l->base.send = link_send;
    l->base.is_connected = link_is_connected;
    l->net = net;
    l->node_id = node_id;
    list_push_back(&net->links, &l->link);
    sim_net_listen(net, node_id, SIM_NET_RAFT, link_receive, l);
    sim_net_listen(net, node_id, SIM_NET_BULK, link_receive, l);
    return &l->base;
}

void sim_net_tap(struct sim_net *net, void (*tap)(void *ctx, uint64_t from, struct slice bytes),
                 void *ctx)
{
    net->tap = tap;
    net->tap_ctx = ctx;
}

/* ---- faults ---- */

void sim_net_filter(struct sim_net *net,
                    bool (*fn)(void *ctx, uint64_t from, uint64_t to, unsigned channel,
                               struct slice bytes),
                    void *ctx)
{
    net->filter = fn;
    net->filter_ctx = ctx;
}

void sim_net_block(struct sim_net *net, uint64_t from, uint64_t to, bool blocked)
{
    ASSERT(from < SIM_NET_NODES && to < SIM_NET_NODES);
    net->blocked[from][to] = blocked && from != to;
}

void sim_net_unblock_all(struct sim_net *net)
{
    memset(net->blocked, 0, sizeof net->blocked);
}

void sim_net_loss(struct sim_net *net, unsigned per_mille)
{
    net->loss = per_mille;
}

void sim_net_delay(struct sim_net *net, uint64_t delay_max_us)
{
    net->delay_max_us = delay_max_us;
}

void sim_net_duplicate(struct sim_net *net, unsigned per_mille)
{
    net->duplicate = per_mille;
}

void sim_net_heal(struct sim_net *net)
{
    sim_net_unblock_all(net);
    net->loss = net->duplicate = 0;
    net->delay_max_us = 0;
}

uint64_t sim_net_message_count(const struct sim_net *net)
{
    return net->count;
}
