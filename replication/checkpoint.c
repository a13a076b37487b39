/*
 * Checkpoints: the state in the store *is* the snapshot, so taking one means making it durable and
 * then letting the log go.
 *
 * The library asks fsm.snapshot after each round of applying; it is refused until the log has grown
 * enough or somebody wants a checkpoint. Then, step by step:
 *
 *   WAITS_APPLY  the library has called snapshot_put from inside its apply; the entries are given
 * to the state machine right after that call, which fixes the checksum WAITS_FLUSH, FLUSHING
 * store_flush() on a worker; one flush serves every group that waits WRITING      one log
 * operation: the snapshot record, and the entries before the trailing ones go IDLE         the
 * library is told and drops them from memory
 *
 * A crash anywhere leaves the earlier checkpoint and the whole log behind it.
 */
#include "rules.h"

#include "base/log.h"

bool checkpoint_is_due(struct group *g)
{
    if (g->checkpoint.step != CHECKPOINT_IDLE || g->is_closing || g->install_in != NULL ||
        g->raft.last_applied < g->kept_index) {
        return false;
    }
    return g->checkpoint_wanted || g->log_bytes >= g->host->opt.checkpoint_log_bytes;
}

/* Fewer than asked for when entries are large; more while a replica is being
 * installed, or it would need the next install at once. */
unsigned checkpoint_trailing(const struct group *g)
{
    uint64_t n = g->host->opt.trailing_entries;
    uint64_t count = g->next_index - g->first_index;
    uint64_t entry_bytes = count > 0 ? g->log_bytes / count + 1 : 1;
    if (g->log_bytes > TRAILING_BYTES_MAX && n > TRAILING_BYTES_MAX / entry_bytes) {
        n = TRAILING_BYTES_MAX / entry_bytes;
    }
    uint64_t installing = install_send_oldest(g);
    if (installing != 0 && installing < g->applied_index) {
        uint64_t needed = g->applied_index - installing + 1;
        bool fits = needed < INSTALL_TRAILING_BYTES_MAX / entry_bytes;
        n = fits && needed > n ? needed : n;
    }
    n = rule_trailing(n);
    return n > UINT32_MAX ? UINT32_MAX : (unsigned)n;
}

int checkpoint_begin(struct group *g, struct raft_io_snapshot_put *request, unsigned trailing,
                     const struct raft_snapshot *s, raft_io_snapshot_put_cb cb)
{
    struct checkpoint *c = &g->checkpoint;
    ASSERT(c->step == CHECKPOINT_IDLE && trailing > 0);
    request->cb = cb;
    c->request = request;
    c->cb = cb;
    c->trailing = trailing;
    c->has_checksum = false;
    c->snapshot.index = s->index;
    c->snapshot.term = s->term;
    if (!rule_configuration_at(g, s->index, &c->snapshot.conf_index, &c->snapshot.conf)) {
        c->snapshot.conf_index = s->configuration_index;
        roster_from_raft(&s->configuration, &c->snapshot.conf);
    }
    c->step = CHECKPOINT_WAITS_APPLY;
    g->checkpoint_wanted = false;
    return 0;
}

static void finish(struct group *g, int status)
{
    struct checkpoint *c = &g->checkpoint;
    c->step = CHECKPOINT_IDLE;
    list_unlink(&c->link);
    c->cb(c->request, status);
    if (g->state == GROUP_RUNNING) {
        group_after(g);
    } else {
        group_drained(g);
    }
}

static void flush_kick(struct group_host *h)
{
    if (h->checkpoint_worker != NULL && list_is_empty(&h->checkpoints_flushing) &&
        !list_is_empty(&h->checkpoints_waiting)) {
        list_splice_back(&h->checkpoints_flushing, &h->checkpoints_waiting);
        LIST_FOREACH(it, &h->checkpoints_flushing)
        {
            CONTAINER_OF(it, struct group, checkpoint.link)->checkpoint.step = CHECKPOINT_FLUSHING;
        }
        worker_submit(h->checkpoint_worker, &h->flush_job);
    }
}

void checkpoint_applying(struct group *g, uint64_t index)
{
    struct checkpoint *c = &g->checkpoint;
    if (c->step == CHECKPOINT_WAITS_APPLY && !c->has_checksum && index > c->snapshot.index) {
        c->has_checksum = true;
        c->snapshot.checksum = g->checksum;
    }
}

void checkpoint_applied(struct group *g)
{
    struct checkpoint *c = &g->checkpoint;
    struct group_host *h = g->host;
    if (c->step != CHECKPOINT_WAITS_APPLY) {
        return;
    }
    ASSERT(g->applied_index >= c->snapshot.index);
    if (!c->has_checksum) {
        c->snapshot.checksum = g->checksum;
    }
    /* The index may be that of an entry that the state machine never sees. */
    uint8_t key[24];
    uint8_t value[8];
    size_t key_len;
    host_applied_key(key, &key_len, g->id);
    set_u64(value, g->applied_index);
    store_batch_clear(h->batch);
    store_batch_put(h->batch, slice_make(key, key_len), slice_make(value, sizeof value));
    struct status *st = store_write(h->opt.state, h->batch, false);
    if (st != NULL) {
        host_fatal(h, status_wrap(st, "state of group %llu", (unsigned long long)g->id));
        return;
    }
    c->step = CHECKPOINT_WAITS_FLUSH;
    list_push_back(&h->checkpoints_waiting, &c->link);
    flush_kick(h);
}

void checkpoint_flush_run(struct job *j)
{
    struct group_host *h = CONTAINER_OF(j, struct group_host, flush_job);
    h->flush_result = store_flush(h->opt.state);
}

static void written(struct log_op *op)
{
    struct group *g = op->ctx;
    struct checkpoint *c = &g->checkpoint;
    g->log_bytes = 0;
    roster_history_trim(&g->history, c->snapshot.index);
    metric_add(g->host->m_checkpoints, 1);
    LOGD("raft", "group %llu: checkpoint at entry %llu", (unsigned long long)g->id,
         (unsigned long long)c->snapshot.index);
    finish(g, 0);
}

static void write_record(struct group *g)
{
    struct checkpoint *c = &g->checkpoint;
    c->step = CHECKPOINT_WRITING;
    c->op = (struct log_op){
        .kind = LOG_SNAPSHOT, .group = g->id, .done = written, .ctx = g, .snapshot = &c->snapshot};
    if (c->snapshot.index > c->trailing) {
        uint64_t last = c->snapshot.index - c->trailing;
        if (last >= g->first_index) {
            c->op.index = g->first_index;
            c->op.last = last;
            g->first_index = last + 1;
        }
    }
    log_store_submit(g->host->log, &c->op);
}

void checkpoint_flush_done(struct job *j)
{
    struct group_host *h = CONTAINER_OF(j, struct group_host, flush_job);
    struct status *st = h->flush_result;
    h->flush_result = NULL;
    if (st != NULL) {
        host_fatal(h, status_wrap(st, "checkpoint"));
        return;
    }
    struct list done;
    list_head_init(&done);
    list_splice_back(&done, &h->checkpoints_flushing);
    struct list *item;
    while ((item = list_pop_front(&done)) != NULL) {
        write_record(CONTAINER_OF(item, struct group, checkpoint.link));
    }
    flush_kick(h);
}

void checkpoint_stop(struct group *g)
{
    struct checkpoint *c = &g->checkpoint;
    if (c->step == CHECKPOINT_WAITS_APPLY || c->step == CHECKPOINT_WAITS_FLUSH) {
        c->step = CHECKPOINT_IDLE;
        list_unlink(&c->link);
        c->cb(c->request, RAFT_CANCELED);
    }
}

static void nudge_done(struct raft_barrier *b, int status)
{
    (void)status;
    mem_free(b);
}

void checkpoint_nudge(struct group *g)
{
    if (!g->checkpoint_wanted || g->checkpoint.step != CHECKPOINT_IDLE || !group_is_leader(g) ||
        !g->is_ready || g->raft.last_applied < raft_log_last(&g->raft)) {
        return;
    }
    struct raft_barrier *b = MEM_NEW(struct raft_barrier);
    if (raft_barrier(&g->raft, b, nudge_done) != 0) {
        mem_free(b);
    }
    group_after(g);
}

void group_checkpoint(struct group *g)
{
    g->checkpoint_wanted = true;
    /* The library asks for one after applying an entry; a leader without one makes it. A follower
     * takes its checkpoint with the next entry that comes. */
    if (group_is_leader(g) && g->is_ready) {
        quiesce_end(g);
        host_schedule(g->host, g);
    }
}
