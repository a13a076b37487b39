/*
 * The host: all groups of one node, their common tick, and the envelopes of a turn.
 *
 * A message that a group sends is encoded into the outbox of the peer node; the first one of a turn
 * schedules flush_task, which runs after everything that is ready, appends the proposals of the
 * turn to their groups' logs and hands each outbox to the link as one envelope. So one turn costs
 * one raft_apply() and one log write per group, and one envelope per peer, however many requests it
 * had.
 *
 * One timer ticks all groups; a quiet group (quiesce.c) is skipped.
 */
#include "group_impl.h"

#include "base/log.h"

#define HEARTBEAT_MS_DEFAULT 100
#define ELECTION_MS_DEFAULT 600
#define QUIESCE_MS_DEFAULT 5000
#define TRAILING_DEFAULT 1024
#define CHECKPOINT_BYTES_DEFAULT ((uint64_t)64 << 20)
#define DRIFT_DEFAULT 0.01

static void host_tick(struct timer *t);
static void host_flush(struct task *t);
static void host_receive(void *ctx, uint64_t from_node, struct slice message);

static void log_failed(void *ctx, struct status *st)
{
    host_fatal(ctx, status_wrap(st, "raft log"));
}

static void options_fill(struct group_host_options *o)
{
    o->heartbeat_ms = o->heartbeat_ms ? o->heartbeat_ms : HEARTBEAT_MS_DEFAULT;
    o->election_ms = o->election_ms ? o->election_ms : ELECTION_MS_DEFAULT;
    o->checkpoint_log_bytes =
        o->checkpoint_log_bytes ? o->checkpoint_log_bytes : CHECKPOINT_BYTES_DEFAULT;
    o->trailing_entries = o->trailing_entries ? o->trailing_entries : TRAILING_DEFAULT;
    o->quiesce_after_ms = o->quiesce_after_ms ? o->quiesce_after_ms : QUIESCE_MS_DEFAULT;
    o->clock_drift_max = o->clock_drift_max > 0 ? o->clock_drift_max : DRIFT_DEFAULT;
}

struct status *group_host_create(const struct group_host_options *options,
                                 struct group_host **out_host)
{
    struct group_host_options o = *options;
    options_fill(&o);
    if (o.election_ms < 2 * o.heartbeat_ms) {
        return status_new(
            INVALID, "the election timeout (%u ms) must be at least twice the heartbeat (%u ms)",
            o.election_ms, o.heartbeat_ms);
    }
    /* What an earlier process wrote last may have failed to reach the disk and still be readable:
     * it must be durable before anything is acknowledged or built on it. */
    TRY(store_flush(o.log));
    struct group_host *h = MEM_NEW(struct group_host);
    h->opt = o;
    h->loop = o.loop;
    h->log = log_store_create(o.loop, o.log);
    log_store_set_hooks(h->log, &(struct log_store_hooks){.failed = log_failed, .ctx = h});
    h->checkpoint_worker = worker_create(o.loop, "checkpoint");
    h->install_worker = worker_create(o.loop, "install");
    h->bucket_count = 64;
    h->buckets = mem_zalloc(h->bucket_count * sizeof(struct group *));
    list_head_init(&h->groups);
    list_head_init(&h->peers);
    list_head_init(&h->dirty);
    list_head_init(&h->checkpoints_waiting);
    list_head_init(&h->checkpoints_flushing);
    h->flush_job.run = checkpoint_flush_run;
    h->flush_job.done = checkpoint_flush_done;
    h->tick_timer.fire = host_tick;
    h->flush_task.run = host_flush;
    h->incarnation = loop_random(o.loop) | 1;
    h->part_entries_max = APPEND_PART_ENTRIES_MAX;
    h->chunk_bytes = INSTALL_CHUNK_BYTES;
    h->batch = store_batch_create(o.state);
    h->entries = mem_zalloc(APPLY_CHUNK_ENTRIES * sizeof(struct group_entry));
    h->m_elections = metric_counter("sherd_raft_elections_won_total", NULL, "Elections won");
    h->m_proposals = metric_counter("sherd_raft_proposals_total", NULL, "Entries proposed");
    h->m_malformed =
        metric_counter("sherd_raft_malformed_total", NULL, "Damaged messages from other nodes");
    h->m_installs = metric_counter("sherd_raft_installs_total", NULL, "Snapshots installed");
    h->m_checkpoints = metric_counter("sherd_raft_checkpoints_total", NULL, "Checkpoints taken");
    h->m_asleep =
        metric_gauge("sherd_raft_groups_asleep", NULL, "Idle groups that send no heartbeats");
    o.link->on_message = host_receive;
    o.link->ctx = h;
    h->raft_ns = h->raft_seen_ns = loop_now_ns(h->loop);
    timer_start(h->loop, &h->tick_timer, ms_to_ns(o.heartbeat_ms) / 2);
    *out_host = h;
    return NULL;
}

void group_host_destroy(struct group_host *h)
{
    if (h == NULL) {
        return;
    }
    h->is_closing = true;
    h->opt.link->on_message = NULL;
    timer_stop(&h->tick_timer);
    loop_defer_cancel(&h->flush_task);
    LIST_FOREACH(it, &h->groups)
    {
        struct group *g = LIST_ITEM(it, struct group, link);
        g->is_closing = true;
        group_freeze(g);
    }
    worker_destroy(h->install_worker);
    worker_destroy(h->checkpoint_worker);
    h->install_worker = h->checkpoint_worker = NULL;
    log_store_destroy(h->log);
    h->log = NULL;
    loop_defer_cancel(&h->flush_task);
    struct list *item;
    while ((item = list_pop_front(&h->groups)) != NULL) {
        struct group *g = LIST_ITEM(item, struct group, link);
        checkpoint_stop(g);
        group_drained(g);
        group_stop_library(g);
        group_free(g);
    }
    while ((item = list_pop_front(&h->peers)) != NULL) {
        struct peer *p = LIST_ITEM(item, struct peer, link);
        buf_deinit(&p->outbox);
        mem_free(p);
    }
    store_batch_destroy(h->batch);
    buf_deinit(&h->item);
    mem_free(h->wire_entries);
    mem_free(h->entries);
    mem_free(h->buckets);
    mem_free(h);
}

void host_fatal(struct group_host *h, struct status *st)
{
    if (h->on_fatal == NULL) {
        fatal("replication: %s%s%s", st->message, st->hint != NULL ? "; hint: " : "",
              st->hint != NULL ? st->hint : "");
    }
    h->on_fatal(h->on_fatal_ctx, st);
}

uint64_t group_host_last_sync_us(const struct group_host *h)
{
    return log_store_last_sync_us(h->log);
}

size_t group_host_list(struct group_host *h, uint64_t *out_ids, size_t max)
{
    size_t n = 0;
    struct status *st = log_store_list(h->log, out_ids, max, &n);
    if (st != NULL) {
        host_fatal(h, status_wrap(st, "list the groups of this node"));
        return 0;
    }
    return n;
}

void host_applied_key(uint8_t out[24], size_t *out_len, uint64_t group_id)
{
    out[0] = 'r';
    set_u64(out + 1, group_id);
    out[9] = 'a';
    *out_len = 10;
}

/* ---- groups ---- */

static size_t bucket_of(const struct group_host *h, uint64_t id)
{
    return (size_t)((id * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (h->bucket_count - 1);
}

struct group *host_find(struct group_host *h, uint64_t group_id)
{
    struct group *g = h->buckets[bucket_of(h, group_id)];
    while (g != NULL && g->id != group_id) {
        g = g->hash_next;
    }
    return g;
}

static void buckets_grow(struct group_host *h)
{
    mem_free(h->buckets);
    h->bucket_count *= 2;
    h->buckets = mem_zalloc(h->bucket_count * sizeof(struct group *));
    LIST_FOREACH(it, &h->groups)
    {
        struct group *g = LIST_ITEM(it, struct group, link);
        size_t b = bucket_of(h, g->id);
        g->hash_next = h->buckets[b];
        h->buckets[b] = g;
    }
}

void host_add(struct group_host *h, struct group *g)
{
    size_t b = bucket_of(h, g->id);
    g->hash_next = h->buckets[b];
    h->buckets[b] = g;
    list_push_back(&h->groups, &g->link);
    if (++h->group_count > h->bucket_count) {
        buckets_grow(h);
    }
}

void host_remove(struct group_host *h, struct group *g)
{
    struct group **at = &h->buckets[bucket_of(h, g->id)];
    while (*at != g) {
        at = &(*at)->hash_next;
    }
    *at = g->hash_next;
    list_unlink(&g->link);
    h->group_count--;
}

void host_schedule(struct group_host *h, struct group *g)
{
    if (g != NULL && !g->is_dirty) {
        g->is_dirty = true;
        list_push_back(&h->dirty, &g->dirty_link);
    }
    if (!h->is_closing) {
        loop_defer(h->loop, &h->flush_task);
    }
}

/* ---- sending ---- */

struct peer *host_peer(struct group_host *h, uint64_t node_id)
{
    LIST_FOREACH(it, &h->peers)
    {
        struct peer *p = LIST_ITEM(it, struct peer, link);
        if (p->node_id == node_id) {
            return p;
        }
    }
    struct peer *p = MEM_NEW(struct peer);
    p->node_id = node_id;
    list_push_back(&h->peers, &p->link);
    return p;
}

static void peer_flush(struct group_host *h, struct peer *p)
{
    if (p->outbox_items == 0) {
        return;
    }
    if (!h->opt.link->send(h->opt.link, p->node_id, false, buf_slice(&p->outbox))) {
        p->is_full = true; /* Raft tolerates loss; encoding more for it would be a waste */
    }
    p->sent_ns = loop_now_ns(h->loop);
    p->outbox_items = 0;
    buf_clear(&p->outbox);
}

void host_post_item(struct group_host *h, uint64_t node_id, struct slice item)
{
    struct peer *p = host_peer(h, node_id);
    if (p->is_full || h->is_closing) {
        return;
    }
    if (p->outbox_items > 0 && p->outbox.len + item.len > OUTBOX_BYTES_MAX) {
        peer_flush(h, p);
    }
    if (p->outbox_items == 0) {
        wire_start(&p->outbox, h->incarnation);
    }
    buf_put_slice(&p->outbox, item);
    p->outbox_items++;
    if (h->envelope_items_max != 0 && p->outbox_items >= h->envelope_items_max) {
        peer_flush(h, p);
    }
    host_schedule(h, NULL);
}

void host_post_bulk(struct group_host *h, uint64_t node_id, const struct wire_message *m)
{
    if (h->is_closing) {
        return;
    }
    buf_clear(&h->item);
    wire_start(&h->item, h->incarnation);
    wire_put(&h->item, m, NULL);
    /* A lost chunk is sent again by the sender's clock. */
    (void)h->opt.link->send(h->opt.link, node_id, true, buf_slice(&h->item));
}

static void host_flush(struct task *t)
{
    struct group_host *h = CONTAINER_OF(t, struct group_host, flush_task);
    struct list *item;
    while ((item = list_pop_front(&h->dirty)) != NULL) {
        struct group *g = LIST_ITEM(item, struct group, dirty_link);
        g->is_dirty = false;
        propose_flush(g);
        ping_flush(g);
        install_run_gets(g);
        checkpoint_nudge(g);
    }
    LIST_FOREACH(it, &h->peers)
    {
        struct peer *p = LIST_ITEM(it, struct peer, link);
        peer_flush(h, p);
        p->is_full = false;
    }
}

/* ---- receiving ---- */

static void host_receive(void *ctx, uint64_t from_node, struct slice message)
{
    struct group_host *h = ctx;
    struct wire_reader wr;
    struct wire_message m;
    bool more = true;
    struct status *st = wire_open(&wr, message);
    if (st == NULL) {
        struct peer *p = host_peer(h, from_node);
        p->heard_ns = loop_clock_ns(h->loop);
        if (p->incarnation != wr.incarnation) {
            p->incarnation = wr.incarnation;
            quiesce_peer_restarted(h, from_node);
        }
    }
    while (st == NULL) {
        st = wire_next(&wr, &m, &more);
        if (st != NULL || !more) {
            break;
        }
        struct group *g = m.kind == WIRE_BEAT ? NULL : host_find(h, m.group);
        /* Replica ids are never reused (rule 21): what is for an earlier replica is not for us. */
        if (g != NULL && g->replica_id == m.to) {
            deliver(g, from_node, &m);
        }
    }
    if (st != NULL) {
        h->malformed_count++;
        metric_add(h->m_malformed, 1);
        LOGW("raft", "node %llu sent a message that is not sound: %s",
             (unsigned long long)from_node, st->message);
        status_free(st);
    }
}

/* ---- ticks ---- */

uint64_t host_raft_ns(struct group_host *h)
{
    uint64_t now = loop_now_ns(h->loop), tick = ms_to_ns(h->opt.heartbeat_ms) / 2;
    uint64_t passed = now - h->raft_seen_ns;
    h->raft_seen_ns = now;
    h->raft_ns += passed > 4 * tick ? tick : passed;
    return h->raft_ns;
}

static void send_beats(struct group_host *h)
{
    uint64_t now = loop_now_ns(h->loop);
    LIST_FOREACH(it, &h->peers)
    {
        struct peer *p = LIST_ITEM(it, struct peer, link);
        if (p->outbox_items == 0 && now - p->sent_ns >= ms_to_ns(h->opt.heartbeat_ms) &&
            h->opt.link->is_connected(h->opt.link, p->node_id)) {
            buf_clear(&h->item);
            wire_put(&h->item, &(struct wire_message){.kind = WIRE_BEAT}, NULL);
            host_post_item(h, p->node_id, buf_slice(&h->item));
        }
    }
}

static void host_tick(struct timer *t)
{
    struct group_host *h = CONTAINER_OF(t, struct group_host, tick_timer);
    timer_start(h->loop, t, ms_to_ns(h->opt.heartbeat_ms) / 2);
    host_raft_ns(h);
    int64_t asleep = 0;
    LIST_FOREACH(it, &h->groups)
    {
        struct group *g = LIST_ITEM(it, struct group, link);
        quiesce_tick(g);
        if (!g->is_quiet) {
            group_tick(g);
        }
        asleep += g->is_quiet;
    }
    metric_set(h->m_asleep, asleep);
    send_beats(h);
}
