/*
 * The sending side of an install: a leader streams its state to a replica that the log no longer
 * serves.
 *
 * The library decides that a snapshot is needed and asks for one (snapshot_get, answered at the end
 * of the turn, outside of the library); when it then sends InstallSnapshot, a session begins. A
 * session owns a store snapshot taken at that moment, whose index is R.last_applied (rule 26) and
 * whose configuration is that of our history (rule 8).
 *
 *   OFFERED    INSTALL_BEGIN is repeated until the receiver has made room (ack 0)
 *   STREAMING  at most INSTALL_WINDOW chunks are on the way; each is kept until it is acknowledged
 *   over       DONE or REFUSED came, nothing came for a while, or leadership was lost
 *
 * At the end the library's progress for the replica is set to probing, behind the snapshot if it
 * was installed. Reading runs on the install worker; a session whose job is out is freed when it
 * comes back.
 */
#include "rules.h"

#include "base/log.h"

struct sent_chunk {
    uint64_t sequence; /* 0 = free */
    bool is_last;
    struct buf pairs;
};

struct install_send {
    struct list link; /* g->installs_out; unlinked when over */
    struct group *g;
    struct group_host *host;
    uint64_t replica_id, node_id;
    uint64_t session, term;
    bool is_over, is_accepted, is_busy;
    struct log_snapshot snapshot;
    struct store_snapshot *view;
    struct key_range ranges[INSTALL_RANGES_MAX];
    size_t range_count;
    struct buf encoded_ranges;
    /* reading */
    struct job job;
    size_t at_range;
    struct buf next_key;
    bool at_end;
    struct buf chunk;
    struct status *st;
    /* sending */
    uint64_t sequence, acked;
    struct sent_chunk window[INSTALL_WINDOW];
    uint64_t progress_ns, sent_ns;
};

struct install_request {
    struct list link; /* g->gets */
    struct raft_io_snapshot_get *request;
    raft_io_snapshot_get_cb cb;
};

static void read_done(struct job *j);
static void read_run(struct job *j);

/* ---- the library asks ---- */

void install_get(struct group *g, struct raft_io_snapshot_get *request, raft_io_snapshot_get_cb cb)
{
    struct install_request *r = MEM_NEW(struct install_request);
    request->cb = cb;
    r->request = request;
    r->cb = cb;
    list_push_back(&g->gets, &r->link);
    host_schedule(g->host, g);
}

static struct raft_snapshot *snapshot_now(struct group *g)
{
    uint64_t index;
    if (g->state != GROUP_RUNNING || !rule_stream_index(g, &index)) {
        return NULL;
    }
    uint64_t term = raft_log_term(&g->raft, index);
    struct roster conf;
    uint64_t conf_index;
    if (term == 0) {
        return NULL;
    }
    if (!rule_configuration_at(g, index, &conf_index, &conf)) {
        roster_from_raft(&g->raft.configuration, &conf);
        conf_index = g->raft.configuration_index;
    }
    struct raft_snapshot *s = raft_malloc(sizeof *s);
    ASSERT(s != NULL);
    s->index = index;
    s->term = term;
    s->configuration_index = conf_index;
    roster_to_raft(&conf, &s->configuration);
    s->n_bufs = 1;
    s->bufs = raft_malloc(sizeof *s->bufs);
    ASSERT(s->bufs != NULL);
    s->bufs[0].len = 8;
    s->bufs[0].base = raft_calloc(1, 8);
    return s;
}

void install_run_gets(struct group *g)
{
    struct list *item;
    bool any = false;
    while (g->state == GROUP_RUNNING && (item = list_pop_front(&g->gets)) != NULL) {
        struct install_request *r = LIST_ITEM(item, struct install_request, link);
        struct raft_snapshot *s = snapshot_now(g);
        r->cb(r->request, s, s != NULL ? 0 : RAFT_BUSY);
        mem_free(r);
        any = true;
    }
    if (any) {
        group_after(g);
    }
}

static void cancel_gets(struct group *g)
{
    struct list *item;
    while ((item = list_pop_front(&g->gets)) != NULL) {
        struct install_request *r = LIST_ITEM(item, struct install_request, link);
        r->cb(r->request, NULL, RAFT_CANCELED);
        mem_free(r);
    }
}

/* ---- a session ---- */

static void session_free(struct install_send *s)
{
    for (size_t i = 0; i < s->range_count; i++) {
        buf_deinit(&s->ranges[i].start);
        buf_deinit(&s->ranges[i].end);
    }
    for (size_t i = 0; i < INSTALL_WINDOW; i++) {
        buf_deinit(&s->window[i].pairs);
    }
    store_snapshot_destroy(s->host->opt.state, s->view);
    buf_deinit(&s->encoded_ranges);
    buf_deinit(&s->next_key);
    buf_deinit(&s->chunk);
    status_free(s->st);
    mem_free(s);
}

/* The library goes on by probing: behind the snapshot, or where it was. */
static void progress_to_probe(struct install_send *s, bool installed)
{
    struct raft *r = &s->g->raft;
    if (!group_is_leader(s->g) || r->current_term != s->term) {
        return;
    }
    for (unsigned i = 0; i < r->configuration.n; i++) {
        struct raft_progress *p = &r->leader_state.progress[i];
        if (r->configuration.servers[i].id != s->replica_id || p->state != 2) {
            continue; /* 2: PROGRESS__SNAPSHOT */
        }
        p->state = 0; /* PROGRESS__PROBE */
        p->snapshot_index = 0;
        if (installed && p->next_index <= s->snapshot.index) {
            p->next_index = s->snapshot.index + 1;
        }
    }
}

static void session_end(struct install_send *s, bool installed)
{
    if (s->is_over) {
        return;
    }
    s->is_over = true;
    progress_to_probe(s, installed);
    list_unlink(&s->link);
    LOGI("raft", "group %llu: install to replica %llu %s", (unsigned long long)s->g->id,
         (unsigned long long)s->replica_id, installed ? "is done" : "ended");
    if (s->is_busy) {
        s->g->installs_busy++;
    } else {
        session_free(s);
    }
}

static void send_begin(struct install_send *s)
{
    struct wire_message m = {.kind = WIRE_INSTALL_BEGIN, .group = s->g->id};
    m.from = s->g->replica_id;
    m.to = s->replica_id;
    m.install_begin.session = s->session;
    m.install_begin.term = s->term;
    m.install_begin.index = s->snapshot.index;
    m.install_begin.last_term = s->snapshot.term;
    m.install_begin.conf_index = s->snapshot.conf_index;
    m.install_begin.conf = s->snapshot.conf;
    m.install_begin.checksum = s->snapshot.checksum;
    m.install_begin.stamp_ns = loop_now_ns(s->host->loop);
    m.install_begin.range_count = (unsigned)s->range_count;
    m.install_begin.ranges = buf_slice(&s->encoded_ranges);
    s->sent_ns = m.install_begin.stamp_ns;
    io_post(s->g, s->node_id, &m, NULL);
}

static void send_chunk(struct install_send *s, const struct sent_chunk *c)
{
    struct wire_message m = {.kind = WIRE_INSTALL_CHUNK, .group = s->g->id};
    m.from = s->g->replica_id;
    m.to = s->replica_id;
    m.install_chunk.session = s->session;
    m.install_chunk.sequence = c->sequence;
    m.install_chunk.is_last = c->is_last;
    m.install_chunk.pairs = buf_slice(&c->pairs);
    s->sent_ns = loop_now_ns(s->host->loop);
    host_post_bulk(s->host, s->node_id, &m);
}

void install_offer(struct group *g, uint64_t node_id, uint64_t replica_id,
                   const struct raft_install_snapshot *m)
{
    struct group_host *h = g->host;
    LIST_FOREACH(it, &g->installs_out)
    {
        if (LIST_ITEM(it, struct install_send, link)->replica_id == replica_id) {
            return; /* under way */
        }
    }
    struct install_send *s = MEM_NEW(struct install_send);
    s->g = g;
    s->host = h;
    s->replica_id = replica_id;
    s->node_id = node_id;
    s->session = loop_random(h->loop);
    s->term = g->raft.current_term;
    s->snapshot.index = m->last_index;
    s->snapshot.term = m->last_term;
    s->snapshot.conf_index = m->conf_index;
    roster_from_raft(&m->conf, &s->snapshot.conf);
    s->snapshot.checksum = g->checksum;
    s->view = store_snapshot_create(h->opt.state);
    s->range_count = g->fsm->ranges(g->fsm, s->ranges, INSTALL_RANGES_MAX);
    ASSERT(s->range_count <= INSTALL_RANGES_MAX);
    for (size_t i = 0; i < s->range_count; i++) {
        buf_put_bytes(&s->encoded_ranges, buf_slice(&s->ranges[i].start));
        buf_put_bytes(&s->encoded_ranges, buf_slice(&s->ranges[i].end));
    }
    if (s->range_count > 0) {
        buf_put_slice(&s->next_key, buf_slice(&s->ranges[0].start));
    }
    s->job.run = read_run;
    s->job.done = read_done;
    s->progress_ns = loop_now_ns(h->loop);
    list_push_back(&g->installs_out, &s->link);
    LOGI("raft", "group %llu: offers replica %llu the state at entry %llu",
         (unsigned long long)g->id, (unsigned long long)replica_id,
         (unsigned long long)s->snapshot.index);
    send_begin(s);
}

/* ---- reading, on the worker ---- */

static void read_range(struct install_send *s, struct store_iter *it)
{
    struct slice end = buf_slice(&s->ranges[s->at_range].end);
    store_iter_seek(it, buf_slice(&s->next_key));
    while (store_iter_valid(it) && slice_cmp(store_iter_key(it), end) < 0) {
        if (s->chunk.len >= s->host->chunk_bytes) {
            buf_clear(&s->next_key);
            buf_put_slice(&s->next_key, store_iter_key(it));
            return;
        }
        buf_put_bytes(&s->chunk, store_iter_key(it));
        buf_put_bytes(&s->chunk, store_iter_value(it));
        store_iter_next(it);
    }
    s->at_range++;
    buf_clear(&s->next_key);
    if (s->at_range < s->range_count) {
        buf_put_slice(&s->next_key, buf_slice(&s->ranges[s->at_range].start));
    }
}

static void read_run(struct job *j)
{
    struct install_send *s = CONTAINER_OF(j, struct install_send, job);
    struct store_iter *it = store_iter_create(s->host->opt.state, s->view);
    buf_clear(&s->chunk);
    while (s->at_range < s->range_count && s->chunk.len < s->host->chunk_bytes) {
        read_range(s, it);
    }
    s->at_end = s->at_range >= s->range_count;
    s->st = store_iter_status(it);
    store_iter_destroy(it);
}

static struct sent_chunk *free_slot(struct install_send *s)
{
    for (size_t i = 0; i < INSTALL_WINDOW; i++) {
        if (s->window[i].sequence == 0) {
            return &s->window[i];
        }
    }
    return NULL;
}

static void pump(struct install_send *s)
{
    if (!s->is_busy && !s->at_end && s->is_accepted && free_slot(s) != NULL &&
        s->host->install_worker != NULL) {
        s->is_busy = true;
        worker_submit(s->host->install_worker, &s->job);
    }
}

static void read_done(struct job *j)
{
    struct install_send *s = CONTAINER_OF(j, struct install_send, job);
    s->is_busy = false;
    if (s->is_over) {
        struct group *g = s->g;
        g->installs_busy--;
        session_free(s);
        group_drained(g);
        return;
    }
    if (s->st != NULL) {
        LOGE("raft", "group %llu: reading the state for an install: %s",
             (unsigned long long)s->g->id, s->st->message);
        session_end(s, false);
        return;
    }
    struct sent_chunk *c = free_slot(s);
    struct buf empty = c->pairs;
    c->sequence = ++s->sequence;
    c->is_last = s->at_end;
    c->pairs = s->chunk;
    s->chunk = empty;
    send_chunk(s, c);
    pump(s);
}

/* ---- the receiver answers ---- */

void install_ack(struct group *g, const struct wire_message *m)
{
    const struct wire_install_ack *a = &m->install_ack;
    struct install_send *s = NULL;
    LIST_FOREACH(it, &g->installs_out)
    {
        struct install_send *x = LIST_ITEM(it, struct install_send, link);
        if (x->session == a->session && x->replica_id == m->from) {
            s = x;
        }
    }
    if (s == NULL) {
        return;
    }
    if (a->verdict != WIRE_INSTALL_CONTINUE) {
        session_end(s, a->verdict == WIRE_INSTALL_DONE);
        return;
    }
    if (a->sequence > s->sequence || (s->is_accepted && a->sequence < s->acked)) {
        return;
    }
    s->is_accepted = true;
    s->acked = a->sequence;
    s->progress_ns = loop_now_ns(s->host->loop);
    for (size_t i = 0; i < INSTALL_WINDOW; i++) {
        if (s->window[i].sequence != 0 && s->window[i].sequence <= a->sequence) {
            s->window[i].sequence = 0;
        }
    }
    pump(s);
}

void install_send_tick(struct group *g)
{
    uint64_t now = loop_now_ns(g->host->loop);
    uint64_t timeout = ms_to_ns(g->host->opt.election_ms);
    LIST_FOREACH_SAFE(it, next, &g->installs_out)
    {
        struct install_send *s = LIST_ITEM(it, struct install_send, link);
        bool is_member = group_node_of(g, s->replica_id) == s->node_id;
        if (!group_is_leader(g) || g->raft.current_term != s->term || !is_member ||
            now - s->progress_ns > 10 * timeout) {
            session_end(s, false);
            continue;
        }
        if (now - s->sent_ns < timeout / 2) {
            continue;
        }
        if (!s->is_accepted) {
            send_begin(s);
            continue;
        }
        for (size_t i = 0; i < INSTALL_WINDOW; i++) {
            if (s->window[i].sequence != 0) {
                send_chunk(s, &s->window[i]);
            }
        }
    }
}

void install_send_stop_all(struct group *g)
{
    cancel_gets(g);
    LIST_FOREACH_SAFE(it, next, &g->installs_out)
    {
        session_end(LIST_ITEM(it, struct install_send, link), false);
    }
}

uint64_t install_send_oldest(const struct group *g)
{
    uint64_t oldest = 0;
    LIST_FOREACH(it, &g->installs_out)
    {
        uint64_t index = LIST_ITEM(it, struct install_send, link)->snapshot.index;
        oldest = oldest == 0 || index < oldest ? index : oldest;
    }
    return oldest;
}

bool install_send_is_idle(const struct group *g)
{
    return g->installs_busy == 0;
}
