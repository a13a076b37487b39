/*
 * The receiving side of an install (rule 19).
 *
 * The state is streamed into a staging range of the store, beside the live state, while the replica
 * goes on as the follower it is: it votes and hears heartbeats. Only when all of it is there and
 * durable is the live state replaced:
 *
 *   WIPING     what an earlier session left in staging goes
 *   STAGING    chunks are written in order, each acknowledged
 *   FLUSHING   staging becomes durable
 *   READY      waits until no append and no checkpoint is in flight (rule 19), then freezes
 *   MARKING    a durable mark with the new snapshot: from here on a crash starts again at REPLACING
 *   REPLACING  live ranges are wiped, staging is copied over, the store is flushed
 *   INSTALLING log and snapshot record are replaced and the mark goes, in one log operation
 *   CLEANING   staging goes; then the replica is loaded again and a success is sent in R's name
 *
 * Up to READY everything can be dropped at any time (another session, another term, a close); from
 * MARKING on it runs to its end. The ranges that are wiped are those of our state machine and those
 * that the leader named. Keys of staging: 'r' group u64 's' key.
 */
#include "rules.h"

#include "base/log.h"

#define STAGING_PREFIX 10
#define WIPE_BATCH_KEYS 2000u
#define COPY_BATCH_BYTES ((size_t)512 << 10)

enum install_step { WIPING, STAGING, FLUSHING, READY, MARKING, REPLACING, INSTALLING, CLEANING };

struct pending_chunk {
    uint64_t sequence; /* 0 = free */
    bool is_last;
    struct buf pairs;
};

struct install_recv {
    struct group *g; /* NULL: dropped while a job was out */
    struct group_host *host;
    uint64_t group_id;
    uint64_t from, node_id, session, term;
    enum install_step step;
    bool is_busy;    /* a job is out */
    bool is_writing; /* op is out */
    struct log_snapshot snapshot;
    struct buf ranges; /* what is wiped: pairs of keys */
    uint64_t written;  /* chunks in staging */
    uint64_t heard_ns, alive_ns;
    struct pending_chunk pending[INSTALL_WINDOW];
    struct job job;
    struct buf pairs; /* of the chunk that the job writes */
    bool is_last;
    struct status *st;
    struct log_op op;
};

static void job_run(struct job *j);
static void job_done(struct job *j);
static void go_on(struct install_recv *r);

/* ---- work on the store ---- */

static void staging_key(struct buf *out, uint64_t group_id, struct slice key)
{
    buf_clear(out);
    buf_put_u8(out, 'r');
    buf_put_u64(out, group_id);
    buf_put_u8(out, 's');
    buf_put_slice(out, key);
}

static struct status *wipe_range(struct store *s, struct slice start, struct slice end)
{
    struct store_batch *batch = store_batch_create(s);
    struct store_iter *it = store_iter_create(s, NULL);
    struct status *st = NULL;
    store_iter_seek(it, start);
    while (st == NULL) {
        bool more = store_iter_valid(it) && slice_cmp(store_iter_key(it), end) < 0;
        if (more) {
            store_batch_delete(batch, store_iter_key(it));
            store_iter_next(it);
        }
        size_t count = store_batch_count(batch);
        if (count >= WIPE_BATCH_KEYS || (!more && count > 0)) {
            st = store_write(s, batch, false);
            store_batch_clear(batch);
        }
        if (!more) {
            break;
        }
    }
    if (st == NULL) {
        st = store_iter_status(it);
    }
    store_iter_destroy(it);
    store_batch_destroy(batch);
    return st;
}

static struct status *wipe_staging(struct store *s, uint64_t group_id)
{
    struct buf start = {NULL, 0, 0};
    struct buf end = {NULL, 0, 0};
    staging_key(&start, group_id, slice_make(NULL, 0));
    staging_key(&end, group_id, slice_make(NULL, 0));
    end.data[STAGING_PREFIX - 1] = 's' + 1;
    struct status *st = wipe_range(s, buf_slice(&start), buf_slice(&end));
    buf_deinit(&start);
    buf_deinit(&end);
    return st;
}

static struct status *wipe_pairs(struct store *s, struct slice pairs)
{
    struct reader r;
    struct slice start;
    struct slice end;
    reader_init(&r, pairs);
    while (wire_pair_next(&r, &start, &end)) {
        TRY(wipe_range(s, start, end));
    }
    return reader_finish(&r, "ranges of an install");
}

static struct status *stage_pairs(struct store *s, uint64_t group_id, struct slice pairs)
{
    struct store_batch *batch = store_batch_create(s);
    struct buf key = {NULL, 0, 0};
    struct reader r;
    struct slice k;
    struct slice v;
    reader_init(&r, pairs);
    while (wire_pair_next(&r, &k, &v)) {
        staging_key(&key, group_id, k);
        store_batch_put(batch, buf_slice(&key), v);
    }
    struct status *st = NULL;
    if (store_batch_count(batch) > 0) {
        st = store_write(s, batch, false);
    }
    buf_deinit(&key);
    store_batch_destroy(batch);
    return st;
}

static struct status *copy_staging(struct store *s, uint64_t group_id)
{
    struct store_batch *batch = store_batch_create(s);
    struct store_iter *it = store_iter_create(s, NULL);
    struct buf prefix = {NULL, 0, 0};
    struct status *st = NULL;
    staging_key(&prefix, group_id, slice_make(NULL, 0));
    store_iter_seek(it, buf_slice(&prefix));
    while (st == NULL) {
        bool more =
            store_iter_valid(it) && slice_has_prefix(store_iter_key(it), buf_slice(&prefix));
        if (more) {
            struct slice k = store_iter_key(it);
            store_batch_put(batch, slice_make(k.data + STAGING_PREFIX, k.len - STAGING_PREFIX),
                            store_iter_value(it));
            store_iter_next(it);
        }
        if (store_batch_bytes(batch) >= COPY_BATCH_BYTES ||
            (!more && store_batch_count(batch) > 0)) {
            st = store_write(s, batch, false);
            store_batch_clear(batch);
        }
        if (!more) {
            break;
        }
    }
    if (st == NULL) {
        st = store_iter_status(it);
    }
    buf_deinit(&prefix);
    store_iter_destroy(it);
    store_batch_destroy(batch);
    return st;
}

/* Can be repeated from its beginning. */
static struct status *replace_state(struct store *s, uint64_t group_id, struct slice ranges,
                                    uint64_t index)
{
    TRY(wipe_pairs(s, ranges));
    TRY(copy_staging(s, group_id));
    uint8_t key[24];
    uint8_t value[8];
    size_t key_len;
    host_applied_key(key, &key_len, group_id);
    set_u64(value, index);
    struct store_batch *batch = store_batch_create(s);
    store_batch_put(batch, slice_make(key, key_len), slice_make(value, sizeof value));
    struct status *st = store_write(s, batch, false);
    store_batch_destroy(batch);
    TRY(st);
    return store_flush(s);
}

static void job_run(struct job *j)
{
    struct install_recv *r = CONTAINER_OF(j, struct install_recv, job);
    struct store *s = r->host->opt.state;
    switch (r->step) {
    case WIPING:
    case CLEANING:
        r->st = wipe_staging(s, r->group_id);
        break;
    case STAGING:
        r->st = stage_pairs(s, r->group_id, buf_slice(&r->pairs));
        break;
    case FLUSHING:
        r->st = store_flush(s);
        break;
    case REPLACING:
        r->st = replace_state(s, r->group_id, buf_slice(&r->ranges), r->snapshot.index);
        break;
    case READY:
    case MARKING:
    case INSTALLING:
        break;
    }
}

/* ---- a session ---- */

static void session_free(struct install_recv *r)
{
    for (size_t i = 0; i < INSTALL_WINDOW; i++) {
        buf_deinit(&r->pending[i].pairs);
    }
    buf_deinit(&r->ranges);
    buf_deinit(&r->pairs);
    mem_free(r);
}

bool install_is_replacing(const struct group *g)
{
    return g->install_in != NULL && g->install_in->step >= MARKING;
}

void install_recv_stop(struct group *g)
{
    struct install_recv *r = g->install_in;
    if (r == NULL || (r->step >= MARKING && !g->host->is_closing)) {
        return;
    }
    g->install_in = NULL;
    r->g = NULL;
    if (!r->is_busy && !r->is_writing) {
        session_free(r);
    }
}

static void submit(struct install_recv *r)
{
    if (r->host->install_worker == NULL) {
        return; /* the host is being destroyed; the mark, if any, survives */
    }
    r->is_busy = true;
    worker_submit(r->host->install_worker, &r->job);
}

static void answer(struct group *g, uint64_t node_id, uint64_t to, uint64_t session,
                   uint64_t sequence, enum wire_install_verdict verdict)
{
    struct wire_message m = {.kind = WIRE_INSTALL_ACK, .group = g->id, .from = g->replica_id};
    m.to = to;
    m.install_ack.session = session;
    m.install_ack.sequence = sequence;
    m.install_ack.verdict = (uint8_t)verdict;
    io_post(g, node_id, &m, NULL);
}

static void answer_progress(struct install_recv *r)
{
    answer(r->g, r->node_id, r->from, r->session, r->written, WIRE_INSTALL_CONTINUE);
}

static bool is_covered(const struct group *g, uint64_t index, uint64_t term)
{
    const struct raft *r = &g->raft;
    return raft_log_term(r, index) == term || r->log.snapshot.last_index >= index ||
           r->commit_index >= index;
}

/* Ranges of our own state machine, then those that the leader named. */
static void collect_ranges(struct group *g, struct slice named, struct buf *out)
{
    struct key_range ranges[INSTALL_RANGES_MAX];
    memset(ranges, 0, sizeof ranges);
    size_t n = g->fsm->ranges(g->fsm, ranges, INSTALL_RANGES_MAX);
    ASSERT(n <= INSTALL_RANGES_MAX);
    for (size_t i = 0; i < n; i++) {
        buf_put_bytes(out, buf_slice(&ranges[i].start));
        buf_put_bytes(out, buf_slice(&ranges[i].end));
        buf_deinit(&ranges[i].start);
        buf_deinit(&ranges[i].end);
    }
    buf_put_slice(out, named);
}

void install_begin(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    const struct wire_install_begin *b = &m->install_begin;
    const struct raft *raft = &g->raft;
    struct install_recv *r = g->install_in;
    if (r != NULL && r->session == b->session) {
        if (r->step != WIPING) {
            answer_progress(r);
        }
        return;
    }
    if (b->term < raft->current_term ||
        (b->term == raft->current_term && raft->state == RAFT_LEADER)) {
        answer(g, node_id, m->from, b->session, 0, WIRE_INSTALL_REFUSED);
        return;
    }
    bool covered = is_covered(g, b->index, b->last_term);
    uint64_t prev_index = b->index;
    uint64_t prev_term = b->last_term;
    if (covered && raft_log_term(raft, b->index) != b->last_term) {
        prev_index = raft->log.snapshot.last_index;
        prev_term = raft->log.snapshot.last_term;
    }
    deliver_heartbeat(g, node_id, m->from, b->term, prev_index, prev_term, b->stamp_ns, !covered);
    if (g->state != GROUP_RUNNING) {
        return;
    }
    if (covered) {
        answer(g, node_id, m->from, b->session, 0, WIRE_INSTALL_REFUSED);
        return;
    }
    if (raft->state != RAFT_FOLLOWER || raft->current_term != b->term) {
        return;
    }
    install_recv_stop(g);
    r = MEM_NEW(struct install_recv);
    r->g = g;
    r->host = g->host;
    r->group_id = g->id;
    r->from = m->from;
    r->node_id = node_id;
    r->session = b->session;
    r->term = b->term;
    r->snapshot.index = b->index;
    r->snapshot.term = b->last_term;
    r->snapshot.conf_index = b->conf_index;
    r->snapshot.conf = b->conf;
    r->snapshot.checksum = b->checksum;
    buf_put_slice(&r->ranges, b->ranges);
    r->heard_ns = loop_now_ns(g->host->loop);
    r->job.run = job_run;
    r->job.done = job_done;
    r->step = WIPING;
    g->install_in = r;
    submit(r);
}

static void pump(struct install_recv *r)
{
    if (r->is_busy || r->step != STAGING) {
        return;
    }
    for (size_t i = 0; i < INSTALL_WINDOW; i++) {
        struct pending_chunk *c = &r->pending[i];
        if (c->sequence == r->written + 1) {
            struct buf empty = r->pairs;
            r->pairs = c->pairs;
            r->is_last = c->is_last;
            c->pairs = empty;
            c->sequence = 0;
            submit(r);
            return;
        }
    }
}

void install_chunk(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    const struct wire_install_chunk *c = &m->install_chunk;
    struct install_recv *r = g->install_in;
    if (r == NULL || r->session != c->session) {
        answer(g, node_id, m->from, c->session, 0, WIRE_INSTALL_REFUSED);
        return;
    }
    r->heard_ns = loop_now_ns(g->host->loop);
    if (c->sequence <= r->written) {
        answer_progress(r);
        return;
    }
    struct pending_chunk *slot = NULL;
    for (size_t i = 0; i < INSTALL_WINDOW; i++) {
        if (r->pending[i].sequence == c->sequence) {
            return;
        }
        if (r->pending[i].sequence == 0) {
            slot = &r->pending[i];
        }
    }
    if (slot == NULL || r->step != STAGING || c->sequence > r->written + INSTALL_WINDOW ||
        (r->is_busy && c->sequence == r->written + 1)) {
        return; /* it is sent again */
    }
    buf_clear(&slot->pairs);
    buf_put_slice(&slot->pairs, c->pairs);
    slot->sequence = c->sequence;
    slot->is_last = c->is_last;
    pump(r);
}

/* Rule 19 off: a success in the library's name before anything is replaced. */
static void answer_success(const struct install_recv *r)
{
    struct wire_message m = {
        .kind = WIRE_APPEND_RESULT, .group = r->g->id, .from = r->g->replica_id, .to = r->from};
    m.append_result.term = r->term;
    m.append_result.last_index = r->snapshot.index;
    io_post(r->g, r->node_id, &m, NULL);
}

static void try_replace(struct install_recv *r)
{
    struct group *g = r->g;
    const struct raft *raft = &g->raft;
    if (g->state != GROUP_RUNNING || raft->state != RAFT_FOLLOWER ||
        raft->current_term != r->term || raft->follower_state.current_leader.id != r->from ||
        is_covered(g, r->snapshot.index, r->snapshot.term)) {
        answer(g, r->node_id, r->from, r->session, 0, WIRE_INSTALL_REFUSED);
        install_recv_stop(g);
        return;
    }
    if (rule_install_must_wait(g)) {
        return; /* the next tick tries again */
    }
    if (rule_install_answers_at_once()) {
        answer_success(r);
    }
    struct buf ranges = {NULL, 0, 0};
    collect_ranges(g, buf_slice(&r->ranges), &ranges);
    buf_deinit(&r->ranges);
    r->ranges = ranges;
    r->step = MARKING;
    group_freeze(g);
    group_drained(g);
}

static void op_done(struct log_op *op)
{
    struct install_recv *r = op->ctx;
    r->is_writing = false;
    go_on(r);
}

static void submit_op(struct install_recv *r, enum log_op_kind kind)
{
    r->op = (struct log_op){.kind = kind, .group = r->group_id, .done = op_done, .ctx = r};
    r->op.snapshot = &r->snapshot;
    r->op.ranges = buf_slice(&r->ranges);
    r->is_writing = true;
}

void install_recv_drained(struct group *g)
{
    struct install_recv *r = g->install_in;
    if (r == NULL || r->step != MARKING || r->is_writing) {
        return;
    }
    submit_op(r, LOG_MARK);
    log_store_submit(g->host->log, &r->op);
}

/* The session is over: load again, and tell the leader as the library would have. */
static void finish(struct install_recv *r)
{
    struct group *g = r->g;
    g->install_in = NULL;
    g->install_result.from = r->from;
    g->install_result.node_id = r->node_id;
    g->install_result.term = r->term;
    g->install_result.index = r->snapshot.index;
    g->install_result.session = r->session;
    metric_add(r->host->m_installs, 1);
    LOGI("raft", "group %llu: state at entry %llu is installed", (unsigned long long)g->id,
         (unsigned long long)r->snapshot.index);
    session_free(r);
    if (g->fsm->reloaded != NULL) {
        g->fsm->reloaded(g->fsm);
    }
    g->wants_reload = true;
    group_drained(g);
}

/* A step is complete. */
static void go_on(struct install_recv *r)
{
    struct group *g = r->g;
    if (g == NULL) {
        session_free(r);
        return;
    }
    switch (r->step) {
    case WIPING:
        r->step = STAGING;
        answer_progress(r);
        break;
    case STAGING:
        r->written++;
        if (r->is_last) {
            r->step = FLUSHING;
            submit(r);
        } else {
            pump(r);
        }
        answer_progress(r);
        break;
    case FLUSHING:
        r->step = READY;
        try_replace(r);
        break;
    case READY:
        break;
    case MARKING:
        r->step = REPLACING;
        submit(r);
        break;
    case REPLACING:
        r->step = INSTALLING;
        submit_op(r, LOG_INSTALL);
        r->op.index = g->first_index;
        r->op.last = g->next_index - 1;
        log_store_submit(g->host->log, &r->op);
        break;
    case INSTALLING:
        r->step = CLEANING;
        submit(r);
        break;
    case CLEANING:
        finish(r);
        break;
    }
}

static void job_done(struct job *j)
{
    struct install_recv *r = CONTAINER_OF(j, struct install_recv, job);
    r->is_busy = false;
    if (r->st != NULL) {
        host_fatal(r->host,
                   status_wrap(r->st, "install of group %llu", (unsigned long long)r->group_id));
        return;
    }
    go_on(r);
}

void install_recv_tick(struct group *g)
{
    struct install_recv *r = g->install_in;
    if (r == NULL || g->host->is_closing) {
        return;
    }
    uint64_t now = loop_now_ns(g->host->loop);
    uint64_t timeout = ms_to_ns(g->host->opt.election_ms);
    if (r->step >= FLUSHING && now - r->alive_ns >= timeout) {
        r->alive_ns = now; /* a large state takes its time: the leader is to wait */
        answer_progress(r);
    }
    if (r->step == READY) {
        try_replace(r);
        return;
    }
    bool is_orphan = g->raft.current_term != r->term || now - r->heard_ns > 20 * timeout;
    if (r->step < READY && !r->is_busy && is_orphan) {
        install_recv_stop(g);
    }
}

/* ---- start-up and removal ---- */

struct store_work {
    struct store *store;
    uint64_t group_id, index;
    struct slice ranges;
    struct status *st;
};

static void work_replace(void *arg)
{
    struct store_work *w = arg;
    w->st = replace_state(w->store, w->group_id, w->ranges, w->index);
}

static void work_remove(void *arg)
{
    struct store_work *w = arg;
    uint8_t start[STAGING_PREFIX];
    uint8_t end[STAGING_PREFIX];
    w->st = wipe_pairs(w->store, w->ranges);
    start[0] = end[0] = 'r';
    set_u64(start + 1, w->group_id);
    set_u64(end + 1, w->group_id);
    start[9] = 0;
    end[9] = 0xFF;
    if (w->st == NULL) {
        w->st = wipe_range(w->store, slice_make(start, sizeof start), slice_make(end, sizeof end));
    }
    if (w->st == NULL) {
        w->st = store_flush(w->store);
    }
}

struct recover_wait {
    struct log_op op;
    struct fiber *fiber;
    bool is_done;
};

static void recover_done(struct log_op *op)
{
    struct recover_wait *w = CONTAINER_OF(op, struct recover_wait, op);
    w->is_done = true;
    fiber_wake(w->fiber);
}

static void recover_run(struct fiber *f, struct group *g, struct recover_wait *w)
{
    w->fiber = f;
    w->op.group = g->id;
    w->op.done = recover_done;
    log_store_submit(g->host->log, &w->op);
    while (!w->is_done) {
        fiber_park_hard(f);
    }
}

struct status *install_recover(struct fiber *f, struct group *g)
{
    struct log_image *image = &g->image;
    struct buf ranges = {NULL, 0, 0};
    collect_ranges(g, buf_slice(&image->mark_ranges), &ranges);
    struct store_work work = {g->host->opt.state, g->id, image->mark.index, buf_slice(&ranges),
                              NULL};
    fiber_run_on(f, g->host->install_worker, work_replace, &work);
    buf_deinit(&ranges);
    TRY(work.st);
    struct recover_wait install = {.op = {.kind = LOG_INSTALL}};
    struct log_snapshot snapshot = image->mark;
    install.op.snapshot = &snapshot;
    install.op.index = image->first_index;
    install.op.last = image->first_index + image->count - 1;
    recover_run(f, g, &install);
    log_image_deinit(image);
    struct recover_wait load = {.op = {.kind = LOG_LOAD, .image = image}};
    recover_run(f, g, &load);
    LOGI("raft", "group %llu: an interrupted install was completed", (unsigned long long)g->id);
    return load.op.st;
}

struct status *install_wipe_replica(struct fiber *f, struct group *g)
{
    struct buf ranges = {NULL, 0, 0};
    collect_ranges(g, slice_make(NULL, 0), &ranges);
    struct store_work work = {g->host->opt.state, g->id, 0, buf_slice(&ranges), NULL};
    fiber_run_on(f, g->host->install_worker, work_remove, &work);
    buf_deinit(&ranges);
    return work.st;
}
