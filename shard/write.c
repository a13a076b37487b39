/*
 * Write requests: locks, judgement under the lock, own writes (W1 to W3), and the commit in the
 * same call (PROTOCOL section 7). A request is all or nothing: when an operation meets its
 * condition, what the request wrote before is undone; locks stay until the transaction ends (W6).
 *
 * Operations name keys and bytes; a change names rows by a fragment, which are found and computed
 * here (read.c).
 */
#include "api/pb.h"
#include "api/rpc.h"
#include "base/check.h"
#include "bounds.h"
#include "read.h"

struct writing {
    struct fiber *f;
    struct part *p;
    struct work *w;
    struct arena *arena;
    const Sherd__V1__WriteRequest *req;
    uint64_t seq;
    struct work_answer answer;
    struct fragment *fr; /* of the request's change, or NULL */
    Sherd__V1__ReadReply *change;
    size_t skipped_cap;
};

static void skip_op(struct writing *wr, uint32_t op)
{
    struct work_answer *an = &wr->answer;
    if (an->skipped_count == wr->skipped_cap) {
        wr->skipped_cap = wr->skipped_cap == 0 ? 8 : wr->skipped_cap * 2;
        an->skipped = mem_realloc(an->skipped, wr->skipped_cap * sizeof(*an->skipped));
    }
    an->skipped[an->skipped_count++] = op;
}

static void fail_op(struct writing *wr, uint32_t op)
{
    wr->answer.failed = true;
    wr->answer.conflict_op = op;
}

static void conflict_op(struct writing *wr, uint32_t op, const struct lock_hold *h)
{
    wr->answer.conflict = true;
    wr->answer.conflict_op = op;
    wr->answer.newest = h->newest_ts;
    wr->answer.is_deleted = !h->newest_live && !h->newest_moved;
}

static enum lock_mode op_mode(const Sherd__V1__KeyOp *op)
{
    switch (op->kind) {
    case SHERD__V1__OP_KIND__OP_INSERT:
    case SHERD__V1__OP_KIND__OP_DELETE:
        return LOCK_UPDATE;
    case SHERD__V1__OP_KIND__OP_EXISTS:
        return LOCK_KEY_SHARE;
    default:
        return op->lock >= LOCK_KEY_SHARE && op->lock <= LOCK_UPDATE ? (enum lock_mode)op->lock
                                                                     : LOCK_NO_KEY_UPDATE;
    }
}

static enum work_kind write_kind(const Sherd__V1__KeyOp *op)
{
    return op->kind != SHERD__V1__OP_KIND__OP_DELETE ? WORK_PUT
           : op->moved                               ? WORK_MOVE
                                                     : WORK_DELETE;
}

static bool is_live(const struct work *w, const struct lock_hold *h)
{
    const struct work_value *own = work_find(w, h->lock->node.key);
    return own != NULL ? !own->is_delete : h->newest_live;
}

/* Existence was judged on the newest version: that is what validation has to find unchanged (W3).
 */
static void read_point(struct writing *wr, const struct lock_hold *h)
{
    struct key_span point = {.start = h->lock->node.key, .is_point = true};
    work_read_span(wr->w, &point, h->newest_ts > wr->w->start ? h->newest_ts : wr->w->start, false);
}

/* OP_ABSENT: no live key in the span, now. Whoever is about to commit one is waited for: it has
 * released its lock on the referenced key already, where it did not need this one. */
static struct status *check_absent(struct writing *wr, const Sherd__V1__KeyOp *op, uint32_t index)
{
    struct part *p = wr->p;
    struct work *w = wr->w;
    struct key_span span = {.start = slice_make(op->key.data, op->key.len),
                            .end = slice_make(op->value.data, op->value.len)};
    TRY(part_wait_pending(wr->f, p, &span, UINT64_MAX, w, PENDING_VALIDATE));
    if (w->state == WORK_GONE) {
        return part_gone();
    }
    struct mvcc_iter it;
    mvcc_iter_init(&it, p->state->store, span.start, span.end, UINT64_MAX, false, false);
    bool found = false, paused = false;
    struct status *st;
    do {
        st = mvcc_iter_next(&it, UINT64_MAX, &paused);
        if (st != NULL || !it.is_valid) {
            break;
        }
        const struct work_value *own = work_find(w, it.key);
        found = own == NULL || !own->is_delete;
    } while (!found);
    mvcc_iter_deinit(&it);
    TRY(st);
    for (struct keymap_node *n = keymap_at_or_above(&w->writes, span.start); n != NULL && !found;
         n = keymap_next(n)) {
        if (span.end.len != 0 && slice_cmp(n->key, span.end) >= 0) {
            break;
        }
        found = !work_write_of(n)->value->is_delete;
    }
    if (found) {
        fail_op(wr, index);
    } else {
        /* Nothing above `high` is there, so this is the state at `high`; checked again at commit,
         * at every level: the lock on the parent does not keep children of other shards'
         * transactions away. */
        work_read_span(w, &span, p->high, true);
    }
    return NULL;
}

static struct status *do_op(struct writing *wr, const Sherd__V1__KeyOp *op, uint32_t index)
{
    struct part *p = wr->p;
    struct work *w = wr->w;
    struct slice key = slice_make(op->key.data, op->key.len);
    if (op->kind == SHERD__V1__OP_KIND__OP_ABSENT) {
        return check_absent(wr, op, index);
    }
    bool is_new = lock_hold_of(&p->locks, &w->owner, key) == NULL;
    struct lock_hold *h = NULL;
    enum lock_wait wait =
        wr->req->nowait <= LOCK_SKIP ? (enum lock_wait)wr->req->nowait : LOCK_WAIT;
    TRY(part_lock(wr->f, p, w, wr->seq, key, op_mode(op), wait,
                  wr->req->txn != NULL ? wr->req->txn->lock_timeout_ms : 0, &h));
    if (h == NULL) {
        skip_op(wr, index);
        return NULL;
    }
    struct slice row = slice_make(op->value.data, op->value.len);
    switch (op->kind) {
    case SHERD__V1__OP_KIND__OP_INSERT:
        if (is_live(w, h)) {
            read_point(wr, h);
            if (op->skip_conflict) {
                skip_op(wr, index);
                if (is_new) {
                    lock_release(&p->locks, h);
                }
            } else {
                fail_op(wr, index);
            }
        } else if (part_is_conflict(w, h)) {
            conflict_op(wr, index, h); /* W2: a tombstone newer than the snapshot */
        } else {
            work_write_put(w, &p->locks, h, wr->seq, WORK_PUT, row);
        }
        return NULL;
    case SHERD__V1__OP_KIND__OP_EXISTS:
        if (!is_live(w, h)) {
            fail_op(wr, index);
        }
        return NULL;
    case SHERD__V1__OP_KIND__OP_PUT:
    case SHERD__V1__OP_KIND__OP_DELETE:
    case SHERD__V1__OP_KIND__OP_LOCK:
        if (part_is_conflict(w, h)) {
            conflict_op(wr, index, h); /* W2 */
        } else if (op->kind != SHERD__V1__OP_KIND__OP_LOCK) {
            work_write_put(w, &p->locks, h, wr->seq, write_kind(op), row);
        }
        return NULL;
    default:
        return status_new(INVALID, "unknown operation %d in a write request", (int)op->kind);
    }
}

static struct status *row_too_large(size_t len)
{
    return status_sql(LIMIT, "54000", "row of %zu bytes: at most %d are possible", len,
                      SHARD_ROW_BYTES_MAX);
}

static struct status *check_budget(const struct part *p, const struct work *w)
{
    size_t max = p->env->workspace_max != 0 ? p->env->workspace_max : SHARD_WORKSPACE_BYTES;
    return w->bytes <= max
               ? NULL
               : status_hint(status_sql(LIMIT, "54000",
                                        "transaction writes more than %zu MB in one shard",
                                        max >> 20),
                             "Commit in smaller steps, or raise sql.workspace_mb.");
}

struct status *part_put(struct part *p, struct work *w, struct lock_hold *h, uint64_t seq,
                        enum work_kind kind, struct slice row)
{
    if (row.len > SHARD_ROW_BYTES_MAX) {
        return row_too_large(row.len);
    }
    work_write_put(w, &p->locks, h, seq, kind, row);
    return check_budget(p, w);
}

static struct status *check_sizes(const Sherd__V1__WriteRequest *req)
{
    for (size_t i = 0; i < req->n_ops; i++) {
        const Sherd__V1__KeyOp *op = req->ops[i];
        if (op->key.len == 0 || op->key.len > SHARD_KEY_BYTES_MAX) {
            return status_sql(LIMIT, "54000", "key of %zu bytes: at most %d are possible",
                              op->key.len, SHARD_KEY_BYTES_MAX);
        }
        if (op->value.len > SHARD_ROW_BYTES_MAX) {
            return row_too_large(op->value.len);
        }
    }
    return NULL;
}

static struct status *run_change(struct writing *wr)
{
    enum change_end end = CHANGE_DONE;
    wr->change = ARENA_NEW(wr->arena, Sherd__V1__ReadReply);
    sherd__v1__read_reply__init(wr->change);
    TRY(part_change(wr->f, wr->p, wr->w, wr->arena, wr->req, wr->fr, wr->seq, wr->change, &end,
                    &wr->answer.newest, &wr->answer.is_deleted));
    wr->answer.failed = end == CHANGE_REFUSED;
    wr->answer.conflict = end == CHANGE_CONFLICT;
    return NULL;
}

static struct status *run_ops(struct writing *wr)
{
    for (size_t i = 0; i < wr->req->n_ops; i++) {
        TRY(do_op(wr, wr->req->ops[i], (uint32_t)i));
        if (wr->answer.failed || wr->answer.conflict) {
            return NULL;
        }
        TRY(check_budget(wr->p, wr->w));
    }
    return wr->fr != NULL ? run_change(wr) : NULL;
}

static struct status *fill_reply(struct part *p, struct work *w, struct arena *a,
                                 Sherd__V1__WriteReply *reply)
{
    const struct work_answer *an = &w->answer;
    reply->failed = an->failed;
    reply->conflict = an->conflict;
    reply->conflict_op = an->conflict_op;
    reply->newest = an->newest;
    reply->deleted = an->is_deleted;
    if (an->skipped_count != 0) {
        reply->n_skipped = an->skipped_count;
        reply->skipped = ARENA_ARRAY(a, uint32_t, an->skipped_count);
        memcpy(reply->skipped, an->skipped, an->skipped_count * sizeof(uint32_t));
    }
    part_handle(p, w, a, &reply->handle);
    void *change = NULL;
    if (an->change.len != 0 && reply->change == NULL) { /* a repeated request */
        TRY(pb_unpack(&sherd__v1__read_reply__descriptor, a, buf_slice(&an->change), &change));
        reply->change = change;
    }
    return NULL;
}

static void answer_free(struct work_answer *an)
{
    mem_free(an->skipped);
    buf_deinit(&an->change);
}

/* The operations of one request, at their place in the order (W1). */
static struct status *write_in_order(struct fiber *f, struct part *p, struct work *w,
                                     struct arena *a, const Sherd__V1__WriteRequest *req,
                                     struct fragment *fr, Sherd__V1__WriteReply *reply)
{
    uint64_t seq = req->seq != 0 ? req->seq : w->seq + 1;
    if (seq == w->seq && !w->answer.is_error) {
        return NULL; /* a repeated one: the same answer again */
    }
    if (seq != w->seq + 1 && seq != w->seq) {
        return status_new(INVALID, "write request %llu of a transaction comes after %llu",
                          (unsigned long long)seq, (unsigned long long)w->seq);
    }
    struct writing wr = {.f = f, .p = p, .w = w, .arena = a, .req = req, .fr = fr, .seq = seq};
    work_use_table(w, req->table_id, req->schema_version);
    struct status *st = run_ops(&wr);
    if (w->state == WORK_GONE) {
        answer_free(&wr.answer);
        return st != NULL ? st : part_gone();
    }
    w->seq = seq;
    if (st != NULL || wr.answer.failed || wr.answer.conflict) {
        work_undo(w, &p->locks, seq - 1);
    } else if (wr.change != NULL) {
        reply->change = wr.change;
        pb_pack(wr.change, &wr.answer.change);
    }
    wr.answer.is_error = st != NULL;
    answer_free(&w->answer);
    w->answer = wr.answer;
    return st;
}

static struct status *commit_now(struct fiber *f, struct part *p, struct work *w, bool is_auto,
                                 Sherd__V1__WriteReply *reply)
{
    if (is_auto && reply->change != NULL && !work_has_writes(w)) {
        /* No row was there to change: a read, at the snapshot that R2 chose (C1). */
        reply->committed = reply->change->ts;
        part_drop(p, w);
        return NULL;
    }
    Sherd__V1__OutcomeReply out = SHERD__V1__OUTCOME_REPLY__INIT;
    struct outcome known;
    TRY(part_commit_one(f, p, w, 1, 0, &out));
    if (out.answer == SHERD__V1__ANSWER__ANSWER_BUSY && w->state == WORK_GONE &&
        state_outcome(p->state, w->id, &known) == OUTCOME_NONE) {
        out.answer = SHERD__V1__ANSWER__ANSWER_NEVER; /* dropped before it was checked */
    }
    switch (out.answer) {
    case SHERD__V1__ANSWER__ANSWER_COMMITTED:
        reply->committed = out.commit;
        return NULL;
    case SHERD__V1__ANSWER__ANSWER_REFUSED:
    case SHERD__V1__ANSWER__ANSWER_NEVER:
        part_drop(p, w);
        return status_hint(status_sql(CONFLICT, "40001",
                                      "could not serialize access due to read/write "
                                      "dependencies among transactions"),
                           "The transaction might succeed if retried.");
    default:
        return status_new(UNKNOWN_OUTCOME, "the outcome of the commit is unknown");
    }
}

/* Section 7. A commit that is here already: the same request came twice. One that begins, writes
 * and commits at once carries the term in place of a handle. */
static struct status *check_commit(struct part *p, const Sherd__V1__WriteRequest *req,
                                   bool is_first, Sherd__V1__WriteReply *reply, bool *out_done)
{
    struct txn_id id = txn_id_from(req->txn->id);
    struct outcome o;
    enum outcome_answer known = state_outcome(p->state, id, &o);
    if (known == OUTCOME_COMMITTED) {
        reply->committed = o.ts;
        *out_done = true;
        return NULL;
    }
    if (!is_first) {
        struct work *w = NULL;
        TRY(part_find(p, id, req->txn->handle, &w));
        return w == NULL && known == OUTCOME_LOST
                   ? status_new(UNKNOWN_OUTCOME, "the outcome of the commit is not kept any more")
                   : NULL;
    }
    struct poisoned *x = NULL;
    HASH_FIND(hh, p->poisoned, &id, sizeof(id), x);
    if (x != NULL) {
        return part_gone();
    }
    return req->expect_term != 0 && req->expect_term != p->term ? p->env->not_leader(p->env->ctx)
                                                                : NULL;
}

struct status *part_write(struct fiber *f, struct part *p, struct arena *a,
                          const Sherd__V1__WriteRequest *req, Sherd__V1__WriteReply *reply)
{
    if (req->txn == NULL) {
        return status_new(INVALID, "write request without a transaction");
    }
    bool is_first = req->txn->handle == NULL || req->txn->handle->number == 0;
    bool is_auto = req->commit && is_first;
    bool is_done = false;
    if (req->commit) {
        TRY(check_commit(p, req, is_first, reply, &is_done));
        if (is_done) {
            return NULL;
        }
    }
    TRY(part_check_table(p, req->table_id, req->schema_version));
    if (req->txn->start != 0 && req->txn->start < p->state->watermark) {
        return status_sql(CONFLICT, "40001",
                          "transaction is older than the shard's history"); /* W2 */
    }
    TRY(check_sizes(req));
    struct fragment *fr = NULL;
    if (req->change != NULL) {
        TRY(part_change_decode(p, a, req, &fr));
    }
    struct work *w = NULL;
    TRY(part_workspace(p, req->txn, true, &w));
    work_ref(w);
    struct status *st = fmutex_lock(f, &w->busy);
    if (st == NULL) {
        if (w->state != WORK_OPEN) {
            st = part_gone();
        } else {
            st = write_in_order(f, p, w, a, req, fr, reply);
        }
        fmutex_unlock(&w->busy);
    }
    if (st == NULL && (w->answer.failed || w->answer.conflict)) {
        /* What was judged here may be a deposed leader's (L2). */
        st = part_confirm(f, p);
    }
    if (st == NULL && w->state != WORK_GONE) {
        st = fill_reply(p, w, a, reply);
    } else if (st == NULL) {
        st = part_gone();
    }
    bool is_whole = reply->change == NULL || (!reply->change->more && reply->change->n_missed == 0);
    if (st == NULL && req->commit && is_whole && !reply->failed && !reply->conflict) {
        st = commit_now(f, p, w, is_auto, reply);
    } else if (is_auto && (st != NULL || reply->failed || reply->conflict)) {
        if (w->state == WORK_OPEN) {
            part_drop(p, w); /* one statement: nothing to come back to */
        }
        reply->handle = NULL;
    }
    work_unref(w);
    return st;
}
