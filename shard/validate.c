/*
 * Whether what a workspace has read still holds: at a commit timestamp (P4, Validate), or at a
 * higher snapshot (refresh, W4). And whether it is still this shard's, at versions that are still
 * allowed (P2).
 *
 * Order, as for a read (R1): raise the cache over all spans, wait for others' pending locks in
 * them, then look for versions. There are none to look for in a span read at or above the newest
 * write of the whole shard in the turn of the raise: whatever came before that turn is at most that
 * write, and what comes after it is kept out of the span by the cache (P3).
 */
#include "base/buggify.h"
#include "base/check.h"
#include "bounds.h"
#include "part.h"

#define ANSWER(r, name, attempt, commit)                                                           \
    part_answer(r, SHERD__V1__ANSWER__ANSWER_##name, attempt, commit)

/* ---- what was read still holds (P4, W4) ---- */

struct status *part_span_changed(struct fiber *f, struct part *p, const struct key_span *span,
                                 uint64_t from, uint64_t to, bool *out_changed)
{
    *out_changed = false;
    struct mvcc_version v;
    bool found = false;
    if (span->is_point) {
        TRY(mvcc_get(p->state->store, span->start, to, &p->scratch, &v, &found));
        *out_changed = found && v.ts > from;
        return NULL;
    }
    struct buf next = {0};
    buf_put_slice(&next, span->start);
    bool more = true;
    struct status *st = NULL;
    while (more && st == NULL && !*out_changed) {
        struct mvcc_iter it;
        bool paused = false;
        mvcc_iter_init(&it, p->state->store, buf_slice(&next), span->end, to, false, true);
        more = false;
        while ((st = mvcc_iter_next(&it, SHARD_SCAN_TURN, &paused)) == NULL) {
            if (it.is_valid && it.version.ts > from) {
                *out_changed = true;
                break;
            }
            more = paused || (it.is_valid && it.seen >= SHARD_SCAN_TURN);
            if (more) {
                buf_clear(&next);
                buf_put_slice(&next, it.key);
                buf_put_u8(&next, 0);
            }
            if (more || !it.is_valid) {
                break;
            }
        }
        mvcc_iter_deinit(&it);
        if (more && st == NULL) {
            st = fiber_yield(f);
            if (st == NULL && p->is_dead) {
                st = p->env->not_leader(p->env->ctx);
            }
        }
    }
    buf_deinit(&next);
    return st;
}

static bool is_validated(const struct work *w, const struct work_span *s)
{
    return s->is_always || w->isolation == SHERD__V1__ISOLATION__SERIALIZABLE;
}

/* A lock-only key: nobody could change it under the lock; a delete is what KEY SHARE forbids. */
static struct status *check_lock_only(struct part *p, const struct lock_hold *h, uint64_t ts,
                                      bool *out_ok)
{
    struct mvcc_version v;
    bool found = false;
    TRY(mvcc_get(p->state->store, h->lock->node.key, ts, &p->scratch, &v, &found));
    *out_ok = h->mode == LOCK_KEY_SHARE ? (found && !v.is_tombstone) == h->newest_live
                                        : (found ? v.ts : 0) == h->newest_ts;
    return NULL;
}

static struct status *check_locks_only(struct fiber *f, struct part *p, struct work *w, uint64_t ts,
                                       bool *out_ok)
{
    if (w->owner.hold_count == w->writes.count) {
        return NULL;
    }
    LIST_FOREACH(it, &w->owner.holds)
    {
        struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_owner);
        if (!h->is_write) {
            part_raise(p, &(struct key_span){.start = h->lock->node.key, .is_point = true}, ts);
        }
    }
    LIST_FOREACH(it, &w->owner.holds)
    { /* holds of a workspace in flight do not change over a park */
        struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_owner);
        if (h->is_write || !h->is_judged || !*out_ok) {
            continue;
        }
        struct key_span point = {.start = h->lock->node.key, .is_point = true};
        TRY(part_wait_pending(f, p, &point, ts, w, PENDING_VALIDATE));
        if (w->state == WORK_GONE) {
            return part_gone();
        }
        TRY(check_lock_only(p, h, ts, out_ok));
    }
    return NULL;
}

/* Read, then locked, and not changed in between: nobody has been able to change it since. */
static bool is_under_own_lock(struct part *p, const struct work *w, const struct work_span *s)
{
    const struct lock_hold *h = lock_hold_of(&p->locks, &w->owner, s->start);
    return h != NULL && h->mode >= LOCK_SHARE && h->is_judged && h->newest_ts <= s->from;
}

struct status *part_check_reads(struct fiber *f, struct part *p, struct work *w, uint64_t ts,
                                uint64_t newest_write, bool *out_ok)
{
    *out_ok = true;
    if (bug_on(BUG_TXN_SKIP_VALIDATE)) {
        return NULL;
    }
    for (size_t i = 0; i < w->span_count; i++) {
        if (is_validated(w, &w->spans[i])) {
            struct key_span k = work_span_key(&w->spans[i]);
            part_raise(p, &k, ts);
        }
    }
    for (size_t i = 0; i < w->span_count && *out_ok; i++) {
        if (!is_validated(w, &w->spans[i])) {
            continue;
        }
        struct key_span k = work_span_key(&w->spans[i]);
        bool changed = false;
        if (k.is_point && is_under_own_lock(p, w, &w->spans[i])) {
            continue;
        }
        if (!k.is_point && bug_on(BUG_TXN_GAPS_UNSEEN)) {
            continue;
        }
        TRY(part_wait_pending(f, p, &k, ts, w, PENDING_VALIDATE)); /* P6: not for closing */
        if (w->state == WORK_GONE) {
            return part_gone();
        }
        if (w->spans[i].from < newest_write) {
            TRY(part_span_changed(f, p, &k, w->spans[i].from, ts, &changed));
        }
        if (w->state == WORK_GONE) {
            return part_gone();
        }
        *out_ok = !changed;
    }
    return *out_ok ? check_locks_only(f, p, w, ts, out_ok) : NULL;
}

/* ---- still here, still allowed (P2, section 9) ---- */

/* Section 9. A request that was under way while a split was proposed may have read or locked in
 * what is the right half now; its versions come from another group, which this replica may be
 * behind in. */
bool part_is_inside(const struct part *p, const struct work *w)
{
    struct slice end = buf_slice(&p->state->end);
    if (end.len == 0 || w->epoch == p->state->epoch) {
        return true;
    }
    LIST_FOREACH(it, &w->owner.holds)
    {
        if (slice_cmp(LIST_ITEM(it, struct lock_hold, of_owner)->lock->node.key, end) >= 0) {
            return false;
        }
    }
    for (size_t i = 0; i < w->span_count; i++) {
        const struct work_span *s = &w->spans[i];
        if (s->is_point ? slice_cmp(s->start, end) >= 0
                        : s->end.len == 0 || slice_cmp(s->end, end) > 0) {
            return false;
        }
    }
    return true;
}

/* No table has taken another form since it was used. */
static bool has_current_forms(const struct part *p, const struct work *w)
{
    for (size_t i = 0; i < w->table_count; i++) {
        if (p->state->fences != NULL &&
            w->tables[i].version < state_fence(p->state, w->tables[i].table_id)) {
            return false;
        }
    }
    return true;
}

/* P2. */
bool part_is_current(const struct part *p, const struct work *w)
{
    return has_current_forms(p, w) && (w->start == 0 || w->start >= p->state->watermark) &&
           part_is_inside(p, w);
}

/* ---- Validate and Refresh ---- */

struct status *part_validate(struct fiber *f, struct part *p, const Sherd__V1__ValidateRequest *req,
                             Sherd__V1__OutcomeReply *reply)
{
    struct work *w = NULL;
    struct txn_id id = txn_id_from(req->txn);
    TRY(part_find(p, id, req->handle, &w));
    if (w == NULL) {
        ANSWER(reply, NEVER, req->attempt, 0);
        return NULL;
    }
    if (!part_is_current(p, w)) {
        part_drop(p, w);
        ANSWER(reply, NEVER, req->attempt, 0);
        return NULL;
    }
    work_ref(w);
    bool ok = false;
    struct status *st =
        part_confirm(f, p); /* L2: the commit timestamp is known, so this is after it */
    if (st == NULL && w->state != WORK_GONE) {
        st = part_check_reads(f, p, w, req->commit, p->newest_write, &ok);
    }
    if (st == NULL) {
        st = part_confirm(f, p);
    }
    if (st == NULL && w->state == WORK_GONE) {
        ok = false;
    }
    if (st == NULL && !ok && w->state == WORK_OPEN) {
        part_drop(p, w);
    }
    w->last_used_ns = loop_now_ns(p->env->loop);
    work_unref(w);
    TRY(st);
    if (ok) {
        ANSWER(reply, OK, req->attempt, req->commit);
    } else {
        ANSWER(reply, NEVER, req->attempt, 0);
    }
    return NULL;
}

static struct status *refresh_spans(struct fiber *f, struct part *p, struct work *w, uint64_t to,
                                    bool *out_ok)
{
    for (size_t i = 0; i < w->span_count; i++) {
        struct key_span k = work_span_key(&w->spans[i]);
        part_raise(p, &k, to);
    }
    uint64_t newest_write = p->newest_write; /* in the turn of the raise */
    *out_ok = true;
    for (size_t i = 0; i < w->span_count && *out_ok && !bug_on(BUG_TXN_REFRESH_BLIND); i++) {
        struct key_span k = work_span_key(&w->spans[i]);
        bool changed = false;
        TRY(part_wait_pending(f, p, &k, to, w, PENDING_REFRESH));
        if (w->state != WORK_OPEN) {
            return part_gone();
        }
        if (w->spans[i].from < newest_write) {
            TRY(part_span_changed(f, p, &k, w->spans[i].from, to, &changed));
        }
        if (w->state != WORK_OPEN) {
            return part_gone();
        }
        *out_ok = !changed;
    }
    for (size_t i = 0; i < w->span_count && *out_ok; i++) {
        if (w->spans[i].from < to) {
            w->spans[i].from = to;
        }
    }
    return NULL;
}

/* `to` is the timestamp of a version that is here, so it was given by the oracle and everything at
 * it is prepared everywhere; it is above a snapshot that was taken after the transaction began. Any
 * such `to` will do: what was read is the same at it (W4), and the commit has its own timestamp. */
struct status *part_move(struct fiber *f, struct part *p, struct work *w, uint64_t to, bool *out_ok)
{
    *out_ok = false;
    if (!part_is_inside(p, w)) { /* what moved to another shard cannot be looked at here */
        return NULL;
    }
    TRY(part_confirm(f, p));
    TRY(refresh_spans(f, p, w, to, out_ok));
    TRY(part_confirm(f, p));
    if (*out_ok && to > w->start) {
        w->start = to;
    }
    return NULL;
}

struct status *part_refresh(struct fiber *f, struct part *p, const Sherd__V1__RefreshRequest *req,
                            Sherd__V1__OutcomeReply *reply)
{
    struct work *w = NULL;
    TRY(part_find(p, txn_id_from(req->txn), req->handle, &w));
    if (w == NULL || w->state != WORK_OPEN || w->start < p->state->watermark) {
        ANSWER(reply, NEVER, 0, 0);
        return NULL;
    }
    work_ref(w);
    struct status *st = fmutex_lock(f, &w->busy);
    if (st == NULL) {
        bool ok = false;
        work_undo(w, &p->locks, req->undo_seq);
        work_forget_spans(w, req->undo_statement);
        st = part_confirm(f, p);
        if (st == NULL && w->state == WORK_OPEN && !part_is_inside(p, w)) {
            part_drop(p, w);
        }
        /* Rows that are the same mean something else when their table's form (or name) is not. */
        if (st == NULL && w->state == WORK_OPEN && has_current_forms(p, w)) {
            st = refresh_spans(f, p, w, req->to, &ok);
        }
        if (st == NULL) {
            st = part_confirm(f, p);
        }
        if (st == NULL && w->state != WORK_OPEN) {
            ANSWER(reply, NEVER, 0, 0);
        } else if (st == NULL && ok) {
            w->start = req->to > w->start ? req->to : w->start;
            w->last_used_ns = loop_now_ns(p->env->loop);
            ANSWER(reply, OK, 0, req->to);
        } else if (st == NULL) {
            ANSWER(reply, CHANGED, 0, 0);
        }
        fmutex_unlock(&w->busy);
    }
    work_unref(w);
    return st;
}
