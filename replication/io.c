/*
 * The raft_io of a group: what the library calls. Nothing here calls the library back; a method
 * records, queues or encodes, and group_after() and the completions do the rest.
 *
 *   load           hands over what LOG_LOAD read
 *   set_term/vote  queue a META record; the gate keeps the group's messages until it is durable
 *   append         queues the entries; they leave for the followers at the same time
 *   truncate       queues the deletion, in order with later appends
 *   send           encodes at once (the library's pointers die), callback later (rule 20)
 *   snapshot_put   a checkpoint; snapshot_get, send of InstallSnapshot: a streamed install
 */
#include "base/log.h"
#include "rules.h"

#include <stdio.h>

static struct group *io_group(struct raft_io *io)
{
    return io->impl;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

/* Everything is drained before raft_close() is called (group_freeze()). */
static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    cb(io);
}

static struct raft_snapshot *snapshot_make(const struct log_snapshot *s)
{
    struct raft_snapshot *rs = raft_malloc(sizeof *rs);
    ASSERT(rs != NULL);
    rs->index = s->index;
    rs->term = s->term;
    rs->configuration_index = s->conf_index;
    roster_to_raft(&s->conf, &rs->configuration);
    rs->n_bufs = 1;
    rs->bufs = raft_malloc(sizeof *rs->bufs);
    ASSERT(rs->bufs != NULL);
    rs->bufs[0].len = 8; /* the state itself is in the store; the library wants one buffer */
    rs->bufs[0].base = raft_calloc(1, 8);
    return rs;
}

static int io_load(struct raft_io *io, raft_term *term, raft_id *voted_for,
                   struct raft_snapshot **snapshot, raft_index *start_index,
                   struct raft_entry *entries[], size_t *n_entries)
{
    struct group *g = io_group(io);
    struct log_image *image = &g->image;
    *term = image->term;
    *voted_for = image->vote;
    *snapshot = image->has_snapshot ? snapshot_make(&image->snapshot) : NULL;
    *start_index = image->first_index;
    *entries = image->entries;
    *n_entries = image->count;
    image->entries = NULL;
    image->count = 0;
    return 0;
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct group *g = io_group(io);
    (void)msecs;
    g->tick = tick;
    g->recv = recv;
    return 0;
}

static int io_unsupported(struct raft_io *io, const struct raft_configuration *conf)
{
    (void)io;
    (void)conf;
    return RAFT_CANTBOOTSTRAP; /* group_bootstrap() writes the first entry itself */
}

/* ---- term and vote ---- */

struct meta_op {
    struct log_op op;
    struct group *g;
};

static void meta_done(struct log_op *op)
{
    struct group *g = op->ctx;
    mem_free(CONTAINER_OF(op, struct meta_op, op));
    ASSERT(g->metas_in_flight > 0);
    g->metas_in_flight--;
    if (g->metas_in_flight == 0) {
        io_open_gate(g);
    }
    if (g->state == GROUP_FROZEN) {
        group_drained(g);
    }
}

void io_write_meta(struct group *g)
{
    struct meta_op *m = MEM_NEW(struct meta_op);
    m->g = g;
    m->op = (struct log_op){.kind = LOG_META, .group = g->id, .done = meta_done, .ctx = g};
    m->op.term = g->meta_term;
    m->op.vote = g->meta_vote;
    m->op.replica_id = g->replica_id;
    g->metas_in_flight++;
    log_store_submit(g->host->log, &m->op);
}

static int io_set_term(struct raft_io *io, raft_term term)
{
    struct group *g = io_group(io);
    g->meta_term = term;
    g->meta_vote = 0;
    io_write_meta(g);
    return 0;
}

static int io_set_vote(struct raft_io *io, raft_id server_id)
{
    struct group *g = io_group(io);
    g->meta_vote = server_id;
    io_write_meta(g);
    return 0;
}

/* ---- entries ---- */

/* Tells the library that an append is on disk. */
void io_fire_append(struct group *g, struct append_op *a, int status)
{
    ASSERT(g->appends_in_flight > 0);
    g->appends_in_flight--;
    g->call = (struct group_call){.is_completion = true,
                                  .swallow = rule_swallow_completion(g, a),
                                  .clamp = a->end,
                                  .echo_ns = a->echo_ns};
    if (status != 0) { /* rule 11 off */
        g->next_index = a->op.index;
        roster_history_truncate(&g->history, a->op.index);
    }
    a->request->cb(a->request, status);
    g->call = (struct group_call){0};
    mem_free(a);
}

bool io_release_held(struct group *g, bool all)
{
    bool any = false;
    while (!list_is_empty(&g->held)) {
        struct append_op *a = LIST_ITEM(g->held.next, struct append_op, held_link);
        if (!all && rule_hold_append(g, a)) {
            break;
        }
        list_unlink(&a->held_link);
        io_fire_append(g, a, 0);
        any = true;
    }
    return any;
}

static void append_done(struct log_op *op)
{
    struct append_op *a = CONTAINER_OF(op, struct append_op, op);
    struct group *g = a->g;
    if (op->is_failed) {
        io_fire_append(g, a, RAFT_IOERR);
    } else if (!list_is_empty(&g->held) || rule_hold_append(g, a)) {
        list_push_back(&g->held, &a->held_link);
    } else {
        io_fire_append(g, a, 0);
    }
    if (g->state == GROUP_RUNNING) {
        group_after(g);
    } else {
        group_fire_sends(g);
        group_drained(g);
    }
}

/* The library leaves bytes of its own entries uninitialised: nothing of our memory is to reach disk
 * or network. Nobody else has seen the entry yet. */
static void clear_padding(const struct raft_entry *e)
{
    struct roster conf;
    if (e->type == RAFT_BARRIER) {
        memset(e->buf.base, 0, e->buf.len);
    } else if (e->type == RAFT_CHANGE &&
               roster_decode(slice_make(e->buf.base, e->buf.len), &conf)) {
        struct buf clean = {NULL, 0, 0};
        roster_encode(&conf, &clean);
        ASSERT(clean.len == e->buf.len);
        memcpy(e->buf.base, clean.data, clean.len);
        buf_deinit(&clean);
    }
}

static int io_append(struct raft_io *io, struct raft_io_append *req,
                     const struct raft_entry entries[], unsigned n, raft_io_append_cb cb)
{
    struct group *g = io_group(io);
    struct append_op *a = MEM_NEW(struct append_op);
    req->cb = cb;
    a->g = g;
    a->request = req;
    a->term = g->raft.current_term;
    a->as_leader = g->raft.state == RAFT_LEADER;
    a->echo_ns = g->call.echo_ns;
    a->end = g->next_index + n - 1;
    a->op = (struct log_op){.kind = LOG_APPEND, .group = g->id, .done = append_done};
    a->op.index = g->next_index;
    a->op.entries = entries;
    a->op.count = n;
    for (unsigned i = 0; i < n; i++) {
        const struct raft_entry *e = &entries[i];
        struct roster conf;
        if (a->as_leader) {
            clear_padding(e);
        }
        if (e->type == RAFT_CHANGE && roster_decode(slice_make(e->buf.base, e->buf.len), &conf)) {
            roster_history_push(&g->history, g->next_index + i, &conf);
        }
        g->log_bytes += e->buf.len + ENTRY_OVERHEAD_BYTES;
    }
    g->next_index += n;
    g->appends_in_flight++;
    log_store_submit(g->host->log, &a->op);
    return 0;
}

static void truncate_done(struct log_op *op)
{
    mem_free(op);
}

static int io_truncate(struct raft_io *io, raft_index index)
{
    struct group *g = io_group(io);
    struct log_op *op = MEM_NEW(struct log_op);
    op->kind = LOG_TRUNCATE;
    op->group = g->id;
    op->index = index;
    op->last = g->next_index - 1;
    op->done = truncate_done;
    roster_history_truncate(&g->history, index);
    g->next_index = index;
    log_store_submit(g->host->log, op);
    return 0;
}

/* ---- messages ---- */

void io_post(struct group *g, uint64_t node_id, const struct wire_message *m,
             const struct raft_entry *entries)
{
    struct group_host *h = g->host;
    if (rule_gate(g)) {
        struct gated_message *gm = MEM_NEW(struct gated_message);
        gm->node_id = node_id;
        wire_put(&gm->item, m, entries);
        list_push_back(&g->gated, &gm->link);
        return;
    }
    buf_clear(&h->item);
    wire_put(&h->item, m, entries);
    host_post_item(h, node_id, buf_slice(&h->item));
}

void io_open_gate(struct group *g)
{
    struct list *item;
    while ((item = list_pop_front(&g->gated)) != NULL) {
        struct gated_message *gm = LIST_ITEM(item, struct gated_message, link);
        host_post_item(g->host, gm->node_id, buf_slice(&gm->item));
        buf_deinit(&gm->item);
        mem_free(gm);
    }
}

void io_drop_gated(struct group *g)
{
    struct list *item;
    while ((item = list_pop_front(&g->gated)) != NULL) {
        struct gated_message *gm = LIST_ITEM(item, struct gated_message, link);
        buf_deinit(&gm->item);
        mem_free(gm);
    }
}

static bool is_probing(const struct group *g, uint64_t replica_id)
{
    const struct raft *r = &g->raft;
    for (unsigned i = 0; r->state == RAFT_LEADER && i < r->configuration.n; i++) {
        if (r->configuration.servers[i].id == replica_id) {
            return r->leader_state.progress[i].state == 0; /* PROGRESS__PROBE */
        }
    }
    return true;
}

static void send_append(struct group *g, uint64_t node_id, uint64_t to,
                        const struct raft_append_entries *a)
{
    struct wire_message m = {.kind = WIRE_APPEND, .group = g->id, .from = g->replica_id, .to = to};
    m.append.term = a->term;
    m.append.prev_index = a->prev_log_index;
    m.append.prev_term = a->prev_log_term;
    m.append.commit = a->leader_commit;
    m.append.stamp_ns = loop_now_ns(g->host->loop); /* not later than it leaves: leases */
    unsigned sent = 0;
    do {
        unsigned n = rule_part_size(g, a->entries + sent, a->n_entries - sent);
        m.append.entry_count = n;
        io_post(g, node_id, &m, a->entries + sent);
        sent += n;
        if (n > 0) {
            m.append.prev_index += n;
            m.append.prev_term = a->entries[sent - 1].term;
        }
    } while (sent < a->n_entries && !is_probing(g, to));
}

static void send_append_result(struct group *g, uint64_t node_id, uint64_t to,
                               const struct raft_append_entries_result *a)
{
    struct wire_message m = {
        .kind = WIRE_APPEND_RESULT, .group = g->id, .from = g->replica_id, .to = to};
    m.append_result.term = a->term;
    m.append_result.rejected = a->rejected;
    m.append_result.last_index = a->last_log_index;
    m.append_result.echo_ns = g->call.echo_ns;
    if (a->rejected == 0) {
        m.append_result.last_index = rule_clamp_result(g, a->last_log_index);
    }
    io_post(g, node_id, &m, NULL);
}

static void send_vote(struct group *g, uint64_t node_id, uint64_t to,
                      const struct raft_request_vote *v)
{
    struct wire_message m = {.kind = WIRE_VOTE, .group = g->id, .from = g->replica_id, .to = to};
    m.vote.term = v->term;
    m.vote.last_index = v->last_log_index;
    m.vote.last_term = v->last_log_term;
    m.vote.disrupt_leader = v->disrupt_leader;
    m.vote.pre_vote = v->pre_vote;
    io_post(g, node_id, &m, NULL);
}

static void send_vote_result(struct group *g, uint64_t node_id, uint64_t to,
                             const struct raft_request_vote_result *v)
{
    struct wire_message m = {
        .kind = WIRE_VOTE_RESULT, .group = g->id, .from = g->replica_id, .to = to};
    m.vote_result.term = rule_prevote_term(g, v);
    m.vote_result.granted = v->vote_granted;
    m.vote_result.pre_vote = (uint8_t)v->pre_vote;
    io_post(g, node_id, &m, NULL);
}

static void send_timeout_now(struct group *g, uint64_t node_id, uint64_t to,
                             const struct raft_timeout_now *t)
{
    struct wire_message m = {
        .kind = WIRE_TIMEOUT_NOW, .group = g->id, .from = g->replica_id, .to = to};
    m.timeout_now.term = t->term;
    m.timeout_now.last_index = t->last_log_index;
    m.timeout_now.last_term = t->last_log_term;
    io_post(g, node_id, &m, NULL);
}

static void send_now(struct group *g, uint64_t node_id, const struct raft_message *m)
{
    switch (m->type) {
    case RAFT_IO_APPEND_ENTRIES:
        send_append(g, node_id, m->server_id, &m->append_entries);
        break;
    case RAFT_IO_APPEND_ENTRIES_RESULT:
        if (!g->call.swallow) {
            send_append_result(g, node_id, m->server_id, &m->append_entries_result);
        }
        break;
    case RAFT_IO_REQUEST_VOTE:
        send_vote(g, node_id, m->server_id, &m->request_vote);
        break;
    case RAFT_IO_REQUEST_VOTE_RESULT:
        send_vote_result(g, node_id, m->server_id, &m->request_vote_result);
        break;
    case RAFT_IO_TIMEOUT_NOW:
        send_timeout_now(g, node_id, m->server_id, &m->timeout_now);
        break;
    case RAFT_IO_INSTALL_SNAPSHOT:
        install_offer(g, node_id, m->server_id, &m->install_snapshot);
        break;
    default:
        break;
    }
}

static int io_send(struct raft_io *io, struct raft_io_send *req, const struct raft_message *m,
                   raft_io_send_cb cb)
{
    struct group *g = io_group(io);
    uint64_t node_id = 0;
    bool swallow = false;
    if (!roster_address_parse(m->server_address, &node_id)) {
        node_id = 0;
    }
    int rv = rule_send_status(g, m, node_id, &swallow);
    if (rv != 0) {
        return rv;
    }
    swallow = swallow || rule_install_newcomer(g, m);
    if (cb != NULL) { /* TimeoutNow has none, and its request is not to be touched */
        if (g->send_count == g->send_capacity) {
            g->send_capacity = g->send_capacity ? g->send_capacity * 2 : 16;
            g->sends = mem_realloc(g->sends, g->send_capacity * sizeof *g->sends);
        }
        g->sends[g->send_count++] = (struct send_callback){req, cb};
    }
    if (!swallow) {
        send_now(g, node_id, m);
    }
    return 0;
}

/* ---- snapshots ---- */

static int io_snapshot_put(struct raft_io *io, unsigned trailing, struct raft_io_snapshot_put *req,
                           const struct raft_snapshot *snapshot, raft_io_snapshot_put_cb cb)
{
    return checkpoint_begin(io_group(io), req, trailing, snapshot, cb);
}

static int io_snapshot_get(struct raft_io *io, struct raft_io_snapshot_get *req,
                           raft_io_snapshot_get_cb cb)
{
    install_get(io_group(io), req, cb);
    return 0;
}

/* ---- time ---- */

static raft_time io_time(struct raft_io *io)
{
    return host_raft_ns(io_group(io)->host) / 1000000u;
}

/* Election timeouts: the library asks for 1x to 2x. The upper part is not used, because a dead
 * leader should be missed for less than a second, and pre-vote keeps split votes cheap. */
static int io_random(struct raft_io *io, int min, int max)
{
    uint64_t span = (uint64_t)(max - min) * 6 / 10 + 1;
    return min + (int)loop_random_below(io_group(io)->host->loop, span);
}

void io_setup(struct group *g)
{
    memset(&g->io, 0, sizeof g->io);
    g->io.version = 1;
    g->io.impl = g;
    g->io.init = io_init;
    g->io.close = io_close;
    g->io.load = io_load;
    g->io.start = io_start;
    g->io.bootstrap = io_unsupported;
    g->io.recover = io_unsupported;
    g->io.set_term = io_set_term;
    g->io.set_vote = io_set_vote;
    g->io.send = io_send;
    g->io.append = io_append;
    g->io.truncate = io_truncate;
    g->io.snapshot_put = io_snapshot_put;
    g->io.snapshot_get = io_snapshot_get;
    g->io.time = io_time;
    g->io.random = io_random;
}
