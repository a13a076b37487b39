/*
 * The log writer. See log_store.h for what it promises.
 *
 * Life of an operation: submitted -> pending -> (a turn ends, or the writer comes back) active, in
 * one batch with all others -> synced -> done(). Invariants: at most one job is under way; done()
 * runs in submission order; nothing is reported before the sync of its batch has returned.
 *
 * Threads: lists belong to the loop, except `active` and the batch while the job runs. What an
 * operation borrows (entries, snapshot, ranges) is not changed before done().
 */
#include "log_store.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/metrics.h"

struct log_store {
    struct loop *loop;
    struct store *store;
    struct worker *worker;
    struct list pending;
    struct list active;
    struct job job;
    struct task kick;
    bool is_busy;
    bool has_run; /* the active job's run() has happened */
    struct store_batch *batch;
    struct buf scratch;
    struct status *failure; /* of the active batch */
    struct log_store_hooks hooks;
    uint64_t started_ns;
    uint64_t last_sync_us;
    struct metric *sync_us;
    struct metric *ops;
};

static void writer_kick(struct log_store *ls);

static void kick_task(struct task *t)
{
    writer_kick(CONTAINER_OF(t, struct log_store, kick));
}

static void job_run(struct job *j);
static void job_done(struct job *j);

struct log_store *log_store_create(struct loop *l, struct store *s)
{
    struct log_store *ls = MEM_NEW(struct log_store);
    ls->loop = l;
    ls->store = s;
    ls->worker = worker_create(l, "log");
    list_head_init(&ls->pending);
    list_head_init(&ls->active);
    ls->job.run = job_run;
    ls->job.done = job_done;
    ls->kick.run = kick_task;
    ls->batch = store_batch_create(s);
    ls->sync_us = metric_histogram("sherd_raft_log_sync_us", NULL, "Time of one synced log write");
    ls->ops = metric_counter("sherd_raft_log_ops_total", NULL, "Operations written by the log");
    return ls;
}

void log_store_set_hooks(struct log_store *ls, const struct log_store_hooks *hooks)
{
    ls->hooks = *hooks;
}

void log_store_destroy(struct log_store *ls)
{
    if (ls == NULL) {
        return;
    }
    loop_defer_cancel(&ls->kick);
    worker_destroy(ls->worker); /* delivers what is under way */
    ls->worker = NULL;
    while (!list_is_empty(&ls->pending)) {
        writer_kick(ls);
    }
    loop_defer_cancel(&ls->kick);
    store_batch_destroy(ls->batch);
    buf_deinit(&ls->scratch);
    mem_free(ls);
}

uint64_t log_store_last_sync_us(const struct log_store *ls)
{
    return ls->last_sync_us;
}

void log_store_submit(struct log_store *ls, struct log_op *op)
{
    list_push_back(&ls->pending, &op->link);
    if (!ls->is_busy && ls->worker != NULL) {
        loop_defer(ls->loop, &ls->kick);
    }
}

static size_t op_bytes(const struct log_op *op)
{
    size_t n = 64;
    if (op->kind == LOG_APPEND) {
        for (unsigned i = 0; i < op->count; i++) {
            n += op->entries[i].buf.len + 64;
        }
    }
    return n;
}

static void writer_kick(struct log_store *ls)
{
    if (ls->is_busy || list_is_empty(&ls->pending)) {
        return;
    }
    size_t bytes = 0;
    while (bytes < LOG_BATCH_BYTES_MAX && !list_is_empty(&ls->pending)) {
        struct list *item = list_pop_front(&ls->pending);
        bytes += op_bytes(LIST_ITEM(item, struct log_op, link));
        list_push_back(&ls->active, item);
    }
    ls->is_busy = true;
    ls->has_run = false;
    ls->started_ns = loop_clock_ns(ls->loop);
    if (ls->worker != NULL) {
        worker_submit(ls->worker, &ls->job);
    } else { /* being destroyed */
        job_run(&ls->job);
        job_done(&ls->job);
    }
}

/* ---- on the worker ---- */

static void put_meta(struct log_store *ls, const struct log_op *op)
{
    log_record_start(&ls->scratch, op->group, LOG_REC_META, 0);
    buf_put_u64(&ls->scratch, op->term);
    buf_put_u64(&ls->scratch, op->vote);
    buf_put_u64(&ls->scratch, op->replica_id);
    log_record_put(&ls->scratch, ls->batch);
}

static void put_entries(struct log_store *ls, const struct log_op *op)
{
    for (unsigned i = 0; i < op->count; i++) {
        const struct raft_entry *e = &op->entries[i];
        log_record_start(&ls->scratch, op->group, LOG_REC_ENTRY, op->index + i);
        buf_put_u64(&ls->scratch, e->term);
        buf_put_u8(&ls->scratch, (uint8_t)e->type);
        buf_put(&ls->scratch, e->buf.base, e->buf.len);
        log_record_put(&ls->scratch, ls->batch);
    }
}

static void put_snapshot(struct log_store *ls, const struct log_op *op, enum log_record kind)
{
    log_record_start(&ls->scratch, op->group, kind, 0);
    log_snapshot_encode(&ls->scratch, op->snapshot);
    if (kind == LOG_REC_MARK) {
        buf_put_slice(&ls->scratch, op->ranges);
    }
    log_record_put(&ls->scratch, ls->batch);
}

static void delete_record(struct log_store *ls, uint64_t group, enum log_record kind,
                          uint64_t index)
{
    uint8_t key[LOG_KEY_SIZE];
    log_key(key, group, kind, index);
    store_batch_delete(ls->batch, slice_make(key, sizeof key));
}

static void delete_entries(struct log_store *ls, const struct log_op *op)
{
    for (uint64_t i = op->index; i > 0 && i <= op->last; i++) {
        delete_record(ls, op->group, LOG_REC_ENTRY, i);
    }
}

static struct status *batch_write(struct log_store *ls)
{
    if (store_batch_count(ls->batch) == 0) {
        return NULL;
    }
    struct status *st = store_write(ls->store, ls->batch, !bug_on(BUG_LOG_SKIP_SYNC));
    store_batch_clear(ls->batch);
    return st;
}

static struct status *create_group(struct log_store *ls, struct log_op *op)
{
    TRY(batch_write(ls)); /* an earlier operation may have created it */
    struct log_image image;
    op->st = log_read_group(ls->store, op->group, &image);
    if (op->st == NULL) {
        if (image.exists) {
            op->st = status_new(ALREADY_EXISTS, "group %llu is on this node already",
                                (unsigned long long)op->group);
        } else if (raft_rule_off[21] == 0 && op->replica_id <= image.dead_replica_id) {
            op->st = status_new(ALREADY_EXISTS, "replica %llu of group %llu was destroyed here",
                                (unsigned long long)op->replica_id, (unsigned long long)op->group);
        }
        log_image_deinit(&image);
    }
    if (op->st == NULL) {
        put_meta(ls, op);
        put_entries(ls, op);
    }
    return NULL;
}

static void put_dead(struct log_store *ls, const struct log_op *op)
{
    log_record_start(&ls->scratch, op->group, LOG_REC_DEAD, 0);
    buf_put_u64(&ls->scratch, op->replica_id);
    log_record_put(&ls->scratch, ls->batch);
}

static struct status *destroy_group(struct log_store *ls, const struct log_op *op)
{
    TRY(batch_write(ls));
    uint8_t start[LOG_KEY_SIZE];
    log_key(start, op->group, (enum log_record)0, 0);
    struct store_iter *it = store_iter_create(ls->store, NULL);
    store_iter_seek(it, slice_make(start, sizeof start));
    while (store_iter_valid(it) && store_iter_key(it).len == LOG_KEY_SIZE &&
           memcmp(store_iter_key(it).data, start, 8) == 0) {
        store_batch_delete(ls->batch, store_iter_key(it));
        store_iter_next(it);
    }
    struct status *st = store_iter_status(it);
    store_iter_destroy(it);
    TRY(st);
    put_dead(ls, op);
    return NULL;
}

/* Adds one operation to the batch; LOAD, CREATE and DESTROY read, and so write the batch first. */
static struct status *encode_op(struct log_store *ls, struct log_op *op)
{
    switch (op->kind) {
    case LOG_APPEND:
        put_entries(ls, op);
        return NULL;
    case LOG_TRUNCATE:
        delete_entries(ls, op);
        return NULL;
    case LOG_META:
        put_meta(ls, op);
        return NULL;
    case LOG_SNAPSHOT:
        put_snapshot(ls, op, LOG_REC_SNAPSHOT);
        delete_entries(ls, op);
        return NULL;
    case LOG_MARK:
        put_snapshot(ls, op, LOG_REC_MARK);
        return NULL;
    case LOG_INSTALL:
        put_snapshot(ls, op, LOG_REC_SNAPSHOT);
        delete_entries(ls, op);
        delete_record(ls, op->group, LOG_REC_MARK, 0);
        return NULL;
    case LOG_CREATE:
        return create_group(ls, op);
    case LOG_DOOM:
        put_dead(ls, op);
        return NULL;
    case LOG_DESTROY:
        return destroy_group(ls, op);
    case LOG_LOAD:
        TRY(batch_write(ls));
        op->st = log_read_group(ls->store, op->group, op->image);
        return NULL;
    }
    return NULL;
}

static void job_run(struct job *j)
{
    struct log_store *ls = CONTAINER_OF(j, struct log_store, job);
    struct status *st = NULL;
    if (ls->has_run) { /* log_store_write_through() */
        return;
    }
    ls->has_run = true;
    store_batch_clear(ls->batch);
    if (ls->hooks.wants_failure != NULL && ls->hooks.wants_failure(ls->hooks.ctx)) {
        ls->failure = status_new(IO, "the simulated disk refuses writes");
        return;
    }
    for (struct list *it = ls->active.next; it != &ls->active && st == NULL; it = it->next) {
        st = encode_op(ls, LIST_ITEM(it, struct log_op, link));
    }
    if (st == NULL) {
        st = batch_write(ls);
    }
    ls->failure = st;
    if (st == NULL && ls->hooks.durable != NULL) {
        for (struct list *it = ls->active.next; it != &ls->active; it = it->next) {
            ls->hooks.durable(ls->hooks.ctx, LIST_ITEM(it, struct log_op, link));
        }
    }
}

/* ---- back on the loop ---- */

/* Rule 11 off (simulation): appends fail, everything else is tried again. */
static void fail_appends(struct log_store *ls, struct list *done)
{
    struct list again;
    list_head_init(&again);
    struct list *item;
    while ((item = list_pop_front(&ls->active)) != NULL) {
        struct log_op *op = LIST_ITEM(item, struct log_op, link);
        if (op->kind == LOG_APPEND) {
            op->is_failed = true;
            list_push_back(done, item);
        } else {
            list_push_back(&again, item);
        }
    }
    list_splice_back(&again, &ls->pending);
    list_splice_back(&ls->pending, &again);
}

static void job_done(struct job *j)
{
    struct log_store *ls = CONTAINER_OF(j, struct log_store, job);
    struct list done;
    list_head_init(&done);
    ls->last_sync_us = (loop_clock_ns(ls->loop) - ls->started_ns) / 1000;
    metric_observe_us(ls->sync_us, ls->last_sync_us);
    ls->is_busy = false;
    if (ls->failure != NULL) {
        struct status *st = ls->failure;
        ls->failure = NULL;
        if (raft_rule_off[11]) {
            status_free(st);
            fail_appends(ls, &done);
        } else if (ls->hooks.failed != NULL) {
            ls->is_busy = true; /* nothing is written or reported any more */
            ls->hooks.failed(ls->hooks.ctx, st);
            return;
        } else {
            fatal("raft log: %s", st->message);
        }
    } else {
        list_splice_back(&done, &ls->active);
    }
    if (ls->worker != NULL) {
        writer_kick(ls); /* the disk works while the loop digests */
    }
    struct list *item;
    while ((item = list_pop_front(&done)) != NULL) {
        struct log_op *op = LIST_ITEM(item, struct log_op, link);
        metric_add(ls->ops, 1);
        op->done(op);
    }
}

void log_store_write_through(struct log_store *ls)
{
    if (ls->is_busy && !ls->has_run) {
        job_run(&ls->job);
    }
}

struct status *log_store_list(struct log_store *ls, uint64_t *out_ids, size_t max,
                              size_t *out_count)
{
    struct store_iter *it = store_iter_create(ls->store, NULL);
    size_t n = 0;
    uint8_t key[LOG_KEY_SIZE];
    log_key(key, 0, (enum log_record)0, 0);
    for (store_iter_seek(it, slice_make(key, sizeof key)); store_iter_valid(it);) {
        struct slice k = store_iter_key(it);
        if (k.len != LOG_KEY_SIZE) {
            store_iter_next(it);
            continue;
        }
        uint64_t group = get_u64(k.data);
        if (k.data[8] == LOG_REC_META) {
            if (n < max) {
                out_ids[n] = group;
            }
            n++;
        }
        if (group == UINT64_MAX) {
            break;
        }
        log_key(key, group + 1, (enum log_record)0, 0);
        store_iter_seek(it, slice_make(key, sizeof key));
    }
    struct status *st = store_iter_status(it);
    store_iter_destroy(it);
    *out_count = n;
    return st;
}
