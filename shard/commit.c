/*
 * The commit at one participant: rules P1 to P6, F1 to F4, Query with its poison (section 5).
 * Whether what was read still holds is validate.c's. See part.h and work.h for the states.
 *
 * An entry in flight is a struct flight: it outlives the fiber that proposed it, and its completion
 * moves the workspace on whether anybody still waits or not. A workspace is never dropped while one
 * is under way.
 */
#include "api/rpc.h"
#include "base/buggify.h"
#include "base/check.h"
#include "bounds.h"
#include "part.h"

#define ANSWER(r, name, attempt, commit)                                                           \
    part_answer(r, SHERD__V1__ANSWER__ANSWER_##name, attempt, commit)

/* ---- entries in flight ---- */

/* Back to where it was before an entry was tried: nothing is in the log. */
static void set_landed(struct part *p, struct work *w)
{
    if (w->state == WORK_IN_FLIGHT) {
        w->state = w->attempt != 0 ? WORK_PREPARED : WORK_OPEN;
        w->flying_ts = 0;
        lock_set_pending(&p->locks, &w->owner, w->attempt != 0 ? w->commit_ts : 0, false);
    } else if (w->state == WORK_FINISHING) {
        w->state = WORK_PREPARED;
        cond_broadcast(&w->owner.changed);
    }
}

struct flight {
    struct group_proposal proposal;
    struct part *part;
    struct work *work; /* or NULL */
    int refs;
    bool is_done;
    struct status *st;
    struct gate done;
    void (*applied)(struct part *p, struct work *w); /* the work's next state; part is alive */
};

static void flight_unref(struct flight *fl)
{
    if (--fl->refs > 0) {
        return;
    }
    status_free(fl->st);
    work_unref(fl->work);
    part_unref(fl->part);
    mem_free(fl);
}

static void flight_done(struct group_proposal *pr, struct status *st)
{
    struct flight *fl = CONTAINER_OF(pr, struct flight, proposal);
    fl->st = st;
    fl->is_done = true;
    /* NOT_LEADER: certainly not in the log. The term may well go on (a transfer of the leadership
     * that came to nothing), so the workspace must be free for the next try. Any other error is
     * lost leadership: the part is about to end, or has; the next leader answers (P5). */
    if (st == NULL && !fl->part->is_dead && fl->applied != NULL) {
        fl->applied(fl->part, fl->work);
    } else if (status_is(st, STATUS_NOT_LEADER) && !fl->part->is_dead && fl->work != NULL) {
        set_landed(fl->part, fl->work);
    }
    gate_open(&fl->done);
    flight_unref(fl);
}

/* Proposes; waits while the group has too much in flight. Then the fate of the entry is followed
 * whatever happens to the fiber. *out is the caller's reference. */
static struct status *flight_start(struct fiber *f, struct part *p, struct work *w,
                                   struct slice entry,
                                   void (*applied)(struct part *p, struct work *w),
                                   struct flight **out)
{
    struct flight *fl = MEM_NEW(struct flight);
    fl->part = part_ref(p);
    fl->work = w != NULL ? work_ref(w) : NULL;
    fl->refs = 1;
    fl->applied = applied;
    fl->proposal.done = flight_done;
    gate_init(&fl->done);
    struct status *st;
    struct buf copy = {
        0}; /* `entry` is the part's buffer: another fiber uses it while this one waits */
    for (;;) {
        st = p->is_dead ? p->env->not_leader(p->env->ctx)
                        : p->env->propose(p->env->ctx, entry, &fl->proposal);
        if (!status_is(st, STATUS_LIMIT)) {
            break;
        }
        status_free(st);
        if (copy.len == 0) {
            buf_put_slice(&copy, entry);
            entry = buf_slice(&copy);
        }
        st = fiber_sleep(f, ms_to_ns(1));
        if (st != NULL) {
            break;
        }
    }
    buf_deinit(&copy);
    if (st == NULL) {
        fl->refs++;
        *out = fl;
        return NULL;
    }
    flight_unref(fl);
    return st;
}

static struct status *flight_wait(struct fiber *f, struct flight *fl)
{
    struct status *st = gate_wait(f, &fl->done);
    if (st == NULL) {
        st = fl->st;
        fl->st = NULL;
    }
    flight_unref(fl);
    return st;
}

struct status *part_propose(struct fiber *f, struct part *p, struct slice entry)
{
    struct flight *fl = NULL;
    TRY(flight_start(f, p, NULL, entry, NULL, &fl));
    return flight_wait(f, fl);
}

/* Until nothing of w is in flight. */
static struct status *wait_landed(struct fiber *f, struct part *p, struct work *w)
{
    while (!p->is_dead && (w->state == WORK_IN_FLIGHT || w->state == WORK_FINISHING)) {
        TRY(cond_wait(f, &w->owner.changed));
    }
    return p->is_dead ? p->env->not_leader(p->env->ctx) : NULL;
}

/* ---- checks before an entry (P2 to P4) ---- */

/* P3. */
static bool is_above_reads(const struct part *p, const struct work *w, uint64_t commit)
{
    for (struct keymap_node *n = keymap_first(&w->writes); n != NULL; n = keymap_next(n)) {
        const struct lock_hold *h = work_write_of(n)->hold;
        if (!bug_on(BUG_TXN_NO_RTC) && rtc_get(&p->rtc, n->key) >= commit) {
            return false;
        }
        if (h->is_judged && h->newest_ts >= commit) {
            return false;
        }
    }
    return true;
}

static void set_closing(struct part *p, struct work *w)
{
    if (!w->owner.is_closing) {
        w->closing_ns = loop_now_ns(p->env->loop);
        lock_set_pending(&p->locks, &w->owner, w->owner.pending, true);
    }
}

/* The locks are in flight at this timestamp from here on. */
static void set_flying(struct part *p, struct work *w, uint32_t attempt, uint64_t commit)
{
    w->state = WORK_IN_FLIGHT;
    w->flying_attempt = attempt;
    w->flying_ts = commit;
    /* Pending at the new timestamp alone, also while PREPARED at a lower one: that attempt was
     * refused somewhere, so it never completes. Pending at the lower one it could be waited for by
     * somebody that it waits for (I6). */
    uint64_t pending = commit;
    if (bug_on(BUG_TXN_IN_FLIGHT_INVISIBLE)) {
        pending = 0;
    }
    lock_set_pending(&p->locks, &w->owner, pending, false);
    part_raise_written(p, commit);
}

/* CHANGED: somebody else moved the workspace on meanwhile (the same request, come twice): P1 again.
 */
enum verdict { VERDICT_OK, VERDICT_REFUSED, VERDICT_NEVER, VERDICT_CHANGED, VERDICT_FENCED };

/* P2, P3, then in flight, then P4. OK: w is in flight and something has to be proposed. */
static struct status *check_commit(struct fiber *f, struct part *p, struct work *w,
                                   uint32_t attempt, uint64_t commit, enum verdict *out)
{
    while (p->is_frozen && !p->is_dead) {
        TRY(cond_wait(f, &p->thawed));
    }
    if (p->is_dead) {
        return p->env->not_leader(p->env->ctx);
    }
    if (w->state != WORK_OPEN && w->state != WORK_PREPARED) {
        *out = VERDICT_CHANGED;
        return NULL;
    }
    if (state_is_fenced(p->state, w->id.incarnation)) { /* F5: logged while this waited */
        *out = VERDICT_FENCED;
        return NULL;
    }
    if (attempt < w->min_attempt) { /* told so meanwhile: it stays so */
        *out = VERDICT_REFUSED;
        return NULL;
    }
    if (!part_is_current(p, w)) {
        part_drop(p, w);
        *out = VERDICT_NEVER;
        return NULL;
    }
    if (!is_above_reads(p, w, commit)) {
        set_closing(p, w);
        *out = VERDICT_REFUSED;
        return NULL;
    }
    uint64_t newest_write = p->newest_write;
    set_flying(p, w, attempt, commit);
    bool ok = true;
    if (w->span_count != 0 || w->owner.hold_count != w->writes.count) {
        fiber_mask(f);
        struct status *st = part_check_reads(f, p, w, commit, newest_write, &ok);
        fiber_unmask(f);
        if (st != NULL) {
            set_landed(p, w);
            return st;
        }
    }
    if (!ok) {
        set_landed(p, w);
        part_drop(p, w);
        *out = VERDICT_NEVER;
        return NULL;
    }
    *out = VERDICT_OK;
    return NULL;
}

/* ---- building entries ---- */

/* The version that a write displaces: as judged under the lock, or from the store. */
static struct status *displaced(struct part *p, struct slice key, const struct lock_hold *h,
                                struct mvcc_version *out, bool *out_found)
{
    bool is_known = h->is_judged && h->mode >= LOCK_SHARE;
    if (is_known && (!h->newest_live || h->row != NULL)) {
        *out = (struct mvcc_version){.ts = h->newest_ts,
                                     .is_tombstone = !h->newest_live,
                                     .is_moved = h->newest_moved,
                                     .row = slice_make(h->row, h->row_len)};
        *out_found = h->newest_ts != 0;
        return NULL;
    }
    TRY(mvcc_newest(p->state->store, key, &p->scratch, out, out_found));
    ASSERT_MSG(!is_known || (*out_found ? out->ts : 0) == h->newest_ts,
               "a key changed under its lock");
    return NULL;
}

static struct status *put_version(struct part *p, const struct work_write *ww, uint64_t commit,
                                  struct buf *out)
{
    struct mvcc_version v = {0};
    bool found = false;
    TRY(displaced(p, ww->node.key, ww->hold, &v, &found));
    ASSERT_MSG(!found || v.ts < commit, "a version at or above the commit timestamp");
    if (!ww->value->is_delete || (found && !v.is_tombstone)) { /* a delete of nothing is nothing */
        entry_put_version(out, ww->node.key, commit,
                          mvcc_flags(ww->value->is_delete, ww->value->is_moved),
                          slice_make(ww->value->row, ww->value->len), found ? &v : NULL);
        if (ww->value->is_moved && commit > p->newest_move) {
            p->newest_move = commit;
        }
    }
    return NULL;
}

static struct status *too_large(size_t max)
{
    return status_hint(
        status_sql(LIMIT, "54000", "transaction writes more than %zu MB in one shard", max >> 20),
        "Commit in smaller steps.");
}

/* All writes as versions at `commit`, each with the version it displaces. */
static struct status *put_versions(struct part *p, const struct work *w, uint64_t commit,
                                   struct buf *out)
{
    for (struct keymap_node *n = keymap_first(&w->writes); n != NULL; n = keymap_next(n)) {
        TRY(put_version(p, work_write_of(n), commit, out));
        if (out->len > SHARD_ENTRY_BYTES_MAX) {
            return too_large(SHARD_ENTRY_BYTES_MAX);
        }
    }
    return NULL;
}

/* ---- commits larger than a log entry ---- */

/*
 * The versions go to the log in parts, each an entry that only stores them aside ('T' of state.h);
 * the commit's own entry says "merge". Nothing of the parts is visible before, so a leader that
 * dies in between leaves nothing but garbage, which the next one deletes: the outcome is in the
 * last entry alone (P5).
 */
size_t part_stage_bytes = SHARD_PART_BYTES;

struct staging {
    struct flight *flying[SHARD_PARTS_FLYING];
    uint32_t count;  /* parts proposed */
    uint32_t landed; /* and applied, from the first on */
    size_t bytes;
    uint64_t commit;
};

struct stale_flight {
    struct group_proposal proposal;
};

static void stale_done(struct group_proposal *pr, struct status *st)
{
    status_free(st); /* lost: the next leader does it */
    mem_free(CONTAINER_OF(pr, struct stale_flight, proposal));
}

static void drop_parts(struct part *p, struct slice prefix, struct store_iter *it)
{
    struct buf entry = {0};
    size_t count = 0;
    entry_begin(&entry);
    for (store_iter_seek(it, prefix);
         store_iter_valid(it) && slice_has_prefix(store_iter_key(it), prefix);
         store_iter_next(it)) {
        entry_delete(&entry, store_iter_key(it));
        count++;
    }
    if (count != 0) {
        struct stale_flight *fl = MEM_NEW(struct stale_flight);
        fl->proposal.done = stale_done;
        struct status *st = p->env->propose(p->env->ctx, buf_slice(&entry), &fl->proposal);
        if (st != NULL) {
            status_free(st);
            mem_free(fl);
        }
    }
    buf_deinit(&entry);
}

void part_drop_stale(struct part *p)
{
    struct buf prefix = {0};
    state_key(&prefix, p->env->shard_id, 'T');
    struct store_iter *it = store_iter_create(p->state->store, NULL);
    drop_parts(p, buf_slice(&prefix), it);
    store_iter_destroy(it);
    buf_deinit(&prefix);
}

static struct status *stage_wait(struct fiber *f, struct staging *s)
{
    struct flight *fl = s->flying[s->landed % SHARD_PARTS_FLYING];
    s->landed++;
    return flight_wait(f, fl);
}

/* One part on its way. */
static struct status *stage_part(struct fiber *f, struct part *p, struct work *w,
                                 struct slice versions, struct staging *s)
{
    if (s->count - s->landed == SHARD_PARTS_FLYING) {
        TRY(stage_wait(f, s));
    }
    struct buf key = {0}, entry = {0};
    state_key_part(&key, p->env->shard_id, w->id, s->commit, s->count);
    entry_begin(&entry);
    entry_put(&entry, buf_slice(&key), versions);
    struct status *st = flight_start(f, p, NULL, buf_slice(&entry), NULL,
                                     &s->flying[s->count % SHARD_PARTS_FLYING]);
    s->count += st == NULL ? 1 : 0;
    buf_deinit(&key);
    buf_deinit(&entry);
    return st;
}

/* All parts, applied; *last has what is left for the commit's own entry. */
static struct status *stage_all(struct fiber *f, struct part *p, struct work *w, uint64_t commit,
                                struct staging *s, struct buf *last)
{
    struct status *st = NULL;
    entry_begin(last);
    for (struct keymap_node *n = keymap_first(&w->writes); n != NULL && st == NULL;
         n = keymap_next(n)) {
        if (w->state != WORK_IN_FLIGHT) { /* the term has ended while this waited: locks are gone */
            st = p->env->not_leader(p->env->ctx);
            break;
        }
        size_t before = last->len;
        st = put_version(p, work_write_of(n), commit, last);
        s->bytes += last->len - before;
        if (st == NULL && s->bytes > SHARD_STAGED_BYTES_MAX) {
            st = too_large(SHARD_STAGED_BYTES_MAX);
        } else if (st == NULL && last->len >= part_stage_bytes) {
            st = stage_part(f, p, w, buf_slice(last), s);
            entry_begin(last);
        }
    }
    while (s->landed < s->count) {
        struct status *part_st = stage_wait(f, s);
        if (st == NULL) {
            st = part_st;
        } else {
            status_free(part_st);
        }
    }
    if (st == NULL && w->state != WORK_IN_FLIGHT) {
        st = p->env->not_leader(p->env->ctx);
    }
    return st;
}

/* ---- one-shard commit (C3, P5) ---- */

static void one_applied(struct part *p, struct work *w)
{
    if (w->state == WORK_IN_FLIGHT) {
        set_landed(p, w);
        part_drop(p, w); /* committed; the outcome is in the state's ring */
    }
}

/* Builds the commit's entry and proposes it. */
static struct status *propose_commit(struct fiber *f, struct part *p, struct work *w,
                                     uint32_t attempt, uint64_t commit, struct flight **out)
{
    if (w->bytes < part_stage_bytes) {
        entry_begin(&p->entry);
        entry_put_outcome(&p->entry, w->id, attempt, commit);
        struct status *small = put_versions(p, w, commit, &p->entry);
        if (!status_is(small, STATUS_LIMIT)) {
            return small != NULL ? small
                                 : flight_start(f, p, w, buf_slice(&p->entry), one_applied, out);
        }
        status_free(small); /* what is displaced makes it large */
    }
    if (w->bytes > SHARD_STAGED_BYTES_MAX) {
        return too_large(SHARD_STAGED_BYTES_MAX);
    }
    struct staging s = {.commit = commit};
    struct buf last = {0}, entry = {0};
    struct status *st = stage_all(f, p, w, commit, &s, &last);
    if (st == NULL) {
        entry_begin(&entry);
        entry_put_outcome(&entry, w->id, attempt, commit);
        if (s.count != 0) {
            entry_put_merge(&entry, w->id, s.count, commit);
        }
        entry_append(&entry, buf_slice(&last));
        st = flight_start(f, p, w, buf_slice(&entry), one_applied, out);
    }
    if (st != NULL && s.count != 0 && !p->is_dead) {
        struct buf prefix = {0};
        state_key_txn(&prefix, p->env->shard_id, 'T', w->id);
        struct store_iter *it = store_iter_create(p->state->store, NULL);
        drop_parts(p, buf_slice(&prefix), it);
        store_iter_destroy(it);
        buf_deinit(&prefix);
    }
    buf_deinit(&last);
    buf_deinit(&entry);
    return st;
}

static struct status *commit_at(struct fiber *f, struct part *p, struct work *w, uint32_t attempt,
                                uint64_t commit, Sherd__V1__OutcomeReply *reply, bool *out_refused)
{
    enum verdict verdict = VERDICT_OK;
    TRY(check_commit(f, p, w, attempt, commit, &verdict));
    *out_refused = verdict == VERDICT_REFUSED;
    if (verdict == VERDICT_CHANGED) {
        ANSWER(reply, BUSY, attempt, 0);
        return NULL;
    }
    if (verdict == VERDICT_FENCED) {
        ANSWER(reply, FENCED, attempt, 0);
        return NULL;
    }
    if (verdict != VERDICT_OK) {
        ANSWER(reply, NEVER, attempt, 0);
        return NULL;
    }
    struct flight *fl = NULL;
    struct status *st = propose_commit(f, p, w, attempt, commit, &fl);
    if (st != NULL) { /* the entry with the outcome was not proposed */
        set_landed(p, w);
        return st;
    }
    TRY(flight_wait(f, fl));
    ANSWER(reply, COMMITTED, attempt, commit);
    return NULL;
}

struct status *part_commit_one(struct fiber *f, struct part *p, struct work *w, uint32_t attempt,
                               uint64_t commit, Sherd__V1__OutcomeReply *reply)
{
    for (int tries = 0; tries < SHARD_COMMIT_TRIES; tries++) {
        uint64_t ts = commit;
        if (ts == 0) {
            TRY(p->env->timestamp(f, p->env->ctx, &ts)); /* T3: every lock has been granted */
            if (p->is_dead) {
                return p->env->not_leader(p->env->ctx);
            }
            if (w->state !=
                WORK_OPEN) { /* not Never: the same request may have committed meanwhile */
                ANSWER(reply, BUSY, attempt, 0);
                return NULL;
            }
        }
        bool refused = false;
        fiber_mask(f);
        struct status *st = commit_at(f, p, w, attempt, ts, reply, &refused);
        fiber_unmask(f);
        if (st != NULL || !refused) {
            return st;
        }
        if (commit != 0) {
            break;
        }
    }
    w->min_attempt = attempt + 1;
    ANSWER(reply, REFUSED, attempt, 0);
    return NULL;
}

/* ---- Prepare and CommitOne (P1) ---- */

static void prepare_applied(struct part *p, struct work *w)
{
    if (w->state != WORK_IN_FLIGHT) {
        return;
    }
    if (w->attempt == 0) {
        p->prepared_count++;
    }
    w->attempt = w->flying_attempt;
    w->commit_ts = w->flying_ts;
    w->prepared_ns = loop_now_ns(p->env->loop);
    set_landed(p, w);
}

static void take_participants(struct work *w, const Sherd__V1__PrepareRequest *req)
{
    mem_free(w->participants);
    w->participants = mem_zalloc((req->n_participants + 1) * sizeof(*w->participants));
    w->participant_count = req->n_participants;
    for (size_t i = 0; i < req->n_participants; i++) {
        const Sherd__V1__Participant *x = req->participants[i];
        w->participants[i].shard_id = x->shard_id;
        w->participants[i].term = x->handle != NULL ? x->handle->term : 0;
        w->participants[i].number = x->handle != NULL ? x->handle->number : 0;
    }
}

static struct status *prepare_at(struct fiber *f, struct part *p, struct work *w,
                                 const Sherd__V1__PrepareRequest *req,
                                 Sherd__V1__OutcomeReply *reply)
{
    enum verdict verdict = VERDICT_OK;
    TRY(check_commit(f, p, w, req->attempt, req->commit, &verdict));
    if (verdict == VERDICT_REFUSED) {
        w->min_attempt = req->attempt + 1;
        ANSWER(reply, REFUSED, req->attempt, 0);
        return NULL;
    }
    if (verdict == VERDICT_CHANGED) {
        ANSWER(reply, BUSY, req->attempt, 0);
        return NULL;
    }
    if (verdict == VERDICT_FENCED) {
        ANSWER(reply, FENCED, req->attempt, 0);
        return NULL;
    }
    if (verdict == VERDICT_NEVER) {
        ANSWER(reply, NEVER, req->attempt, 0);
        return NULL;
    }
    take_participants(w, req);
    w->decision_job = req->decision_job;
    if (req->coordinator_node != 0) {
        w->coordinator_node = req->coordinator_node;
    }
    struct buf key = {0}, value = {0};
    state_key_txn(&key, p->env->shard_id, 'P', w->id);
    prepared_encode(&value, w, req->attempt, req->commit);
    entry_begin(&p->entry);
    entry_put(&p->entry, buf_slice(&key), buf_slice(&value));
    buf_deinit(&key);
    buf_deinit(&value);
    struct flight *fl = NULL;
    struct status *st =
        p->entry.len > SHARD_ENTRY_BYTES_MAX
            ? status_sql(LIMIT, "54000", "transaction writes more than %d MB in one shard",
                         SHARD_ENTRY_BYTES_MAX >> 20)
            : flight_start(f, p, w, buf_slice(&p->entry), prepare_applied, &fl);
    if (st != NULL) {
        set_landed(p, w);
        return st;
    }
    TRY(flight_wait(f, fl));
    ANSWER(reply, PREPARED, req->attempt, req->commit);
    return NULL;
}

/* Answers from what is durable here, if that settles it. */
static bool answer_from_state(struct part *p, struct txn_id id, uint32_t attempt,
                              Sherd__V1__OutcomeReply *reply)
{
    struct outcome o;
    if (state_outcome(p->state, id, &o) == OUTCOME_COMMITTED) {
        ANSWER(reply, COMMITTED, o.attempt, o.ts);
        return true;
    }
    struct work *w = part_find_by_id(p, id);
    if (w != NULL && w->state != WORK_IN_FLIGHT && w->attempt != 0 && w->attempt >= attempt) {
        ANSWER(reply, PREPARED, w->attempt, w->commit_ts);
        return true;
    }
    return false;
}

/* No workspace under this handle: Never. But one-shard commits may have been lost by the ring
 * (state.h). Of several shards' a trace is here as long as anybody asks: PREPARED, then COMMITTED
 * until the last of them was finalized (F4, F5). */
static void answer_unknown_handle(struct part *p, struct txn_id id, uint32_t attempt, bool is_one,
                                  Sherd__V1__OutcomeReply *reply)
{
    struct outcome o;
    if (is_one && state_outcome(p->state, id, &o) == OUTCOME_LOST) {
        ANSWER(reply, UNKNOWN, attempt, 0);
    } else {
        ANSWER(reply, NEVER, attempt, 0);
    }
}

static struct status *prepare_masked(struct fiber *f, struct part *p,
                                     const Sherd__V1__PrepareRequest *req, bool is_one,
                                     Sherd__V1__OutcomeReply *reply)
{
    struct txn_id id = txn_id_from(req->txn);
    if (state_is_fenced(p->state, id.incarnation)) {
        ANSWER(reply, FENCED, req->attempt, 0); /* F5 */
        return NULL;
    }
    struct work *w = NULL;
    for (;;) { /* P1 */
        w = part_find_by_id(p, id);
        if (w == NULL || (w->state != WORK_IN_FLIGHT && w->state != WORK_FINISHING)) {
            break;
        }
        work_ref(w);
        struct status *st = wait_landed(f, p, w);
        work_unref(w);
        TRY(st);
    }
    if (answer_from_state(p, id, req->attempt, reply)) {
        return NULL;
    }
    TRY(part_find(p, id, req->handle, &w));
    if (w == NULL) {
        answer_unknown_handle(p, id, req->attempt, is_one, reply);
        return NULL;
    }
    if (req->attempt < w->min_attempt) {
        ANSWER(reply, REFUSED, req->attempt, 0);
        return NULL;
    }
    if (req->seq != w->seq || w->busy.is_held) { /* P2: a write is missing */
        part_drop(p, w);
        ANSWER(reply, NEVER, req->attempt, 0);
        return NULL;
    }
    work_ref(w);
    w->last_used_ns = loop_now_ns(p->env->loop);
    struct status *st = is_one ? part_commit_one(f, p, w, req->attempt, req->commit, reply)
                               : prepare_at(f, p, w, req, reply);
    work_unref(w);
    return st;
}

struct status *part_prepare(struct fiber *f, struct part *p, const Sherd__V1__PrepareRequest *req,
                            bool is_one, Sherd__V1__OutcomeReply *reply)
{
    if (req->attempt == 0 || (!is_one && req->commit == 0) ||
        req->n_participants > SHARD_PARTICIPANTS_MAX) {
        return status_new(INVALID, "prepare request without attempt or timestamp");
    }
    fiber_mask(f);
    struct status *st;
    do { /* Busy: the same request came twice and the other one was quicker; P1 answers from what it
            did */
        st = prepare_masked(f, p, req, is_one, reply);
    } while (st == NULL && reply->answer == SHERD__V1__ANSWER__ANSWER_BUSY);
    fiber_unmask(f);
    return st;
}

/* ---- Rollback ---- */

struct status *part_rollback(struct fiber *f, struct part *p, const Sherd__V1__RollbackRequest *req,
                             Sherd__V1__OutcomeReply *reply)
{
    struct work *w = NULL;
    if (req->handle == NULL && req->all) {
        /* The router gave up on its first request and has no handle: whatever is open of the
         * transaction goes. */
        w = part_find_by_id(p, txn_id_from(req->txn));
    } else {
        TRY(part_find(p, txn_id_from(req->txn), req->handle, &w));
    }
    if (w == NULL) {
        ANSWER(reply, NEVER, 0, 0);
        return NULL;
    }
    work_ref(w);
    struct status *st = NULL;
    if (req->all) {
        st = wait_landed(f, p, w);
        if (st == NULL) {
            part_drop(p, w); /* F1: of an unprepared one; a prepared one ends by Finalize only */
            ANSWER(reply, OK, 0, 0);
        }
    } else if ((st = fmutex_lock(f, &w->busy)) == NULL) {
        if (w->state != WORK_OPEN) {
            ANSWER(reply, NEVER, 0, 0);
        } else if (req->seq != 0 && req->seq != w->seq && req->seq != w->seq + 1) {
            st = status_new(INVALID, "rollback request %llu of a transaction comes after %llu",
                            (unsigned long long)req->seq, (unsigned long long)w->seq);
        } else {
            work_undo(w, &p->locks, req->to_seq);
            lock_undo(&p->locks, &w->owner, req->to_seq);
            if (req->seq == w->seq + 1) {
                w->seq = req->seq;
            }
            w->last_used_ns = loop_now_ns(p->env->loop);
            ANSWER(reply, OK, 0, 0);
        }
        fmutex_unlock(&w->busy);
    }
    work_unref(w);
    return st;
}

/* ---- Query (section 5) ---- */

static void poison_autocommit(struct part *p, struct txn_id id)
{
    struct poisoned *x = NULL;
    HASH_FIND(hh, p->poisoned, &id, sizeof(id), x);
    if (x == NULL) {
        x = MEM_NEW(struct poisoned);
        x->id = id;
        HASH_ADD(hh, p->poisoned, id, sizeof(x->id), x);
    }
}

/* A commit in one request has no handle: it carried the term. Never only when the original cannot
 * be executed any more. */
static void query_autocommit(struct part *p, struct txn_id id, const Sherd__V1__QueryRequest *req,
                             Sherd__V1__OutcomeReply *reply)
{
    struct work *w = part_find_by_id(p, id);
    if (w != NULL && w->state == WORK_OPEN) {
        part_drop(p, w);
    }
    if (req->term == p->term) {
        if (HASH_CNT(hh, p->poisoned) >= SHARD_POISONED_MAX) {
            ANSWER(reply, UNKNOWN, 0, 0);
            return;
        }
        poison_autocommit(p, id);
    }
    /* Of an earlier term: refused by its expect_term. Of any (0): may still come. */
    if (req->term == 0) {
        ANSWER(reply, UNKNOWN, 0, 0);
    } else {
        answer_unknown_handle(p, id, 0, true, reply);
    }
}

struct status *part_query(struct fiber *f, struct part *p, const Sherd__V1__QueryRequest *req,
                          Sherd__V1__OutcomeReply *reply)
{
    (void)f;
    struct txn_id id = txn_id_from(req->txn);
    struct outcome o;
    bool has_handle = req->handle != NULL && req->handle->number != 0;
    uint64_t term = has_handle ? req->handle->term : req->term;
    if (term > p->term) {
        return p->env->not_leader(p->env->ctx); /* L3 */
    }
    if (state_outcome(p->state, id, &o) == OUTCOME_COMMITTED) {
        ANSWER(reply, COMMITTED, o.attempt, o.ts);
        return NULL;
    }
    struct work *w = part_find_by_id(p, id);
    if (w != NULL && (w->state == WORK_IN_FLIGHT || w->state == WORK_FINISHING)) {
        ANSWER(reply, BUSY, 0, 0);
        return NULL;
    }
    if (w != NULL && w->attempt != 0 && bug_on(BUG_TXN_NO_ATTEMPT)) {
        ANSWER(reply, PREPARED, req->attempt, w->commit_ts);
        return NULL;
    }
    if (w != NULL && w->attempt != 0 && w->attempt >= req->attempt) {
        ANSWER(reply, PREPARED, w->attempt, w->commit_ts);
        return NULL;
    }
    if (!has_handle) {
        query_autocommit(p, id, req, reply);
        return NULL;
    }
    /* Poison: the handle dies here, so a delayed Prepare of it finds nothing. */
    TRY(part_find(p, id, req->handle, &w));
    if (w != NULL && !bug_on(BUG_TXN_NO_POISON)) {
        part_drop(p, w);
    }
    answer_unknown_handle(p, id, req->attempt, !req->is_prepared, reply);
    return NULL;
}

/* ---- Finalize (F1, F2) ---- */

static void finish_applied(struct part *p, struct work *w)
{
    if (w->state != WORK_FINISHING) {
        return;
    }
    p->prepared_count--;
    w->attempt = 0;
    part_drop(p, w);
}

struct status *part_decide(struct fiber *f, struct part *p, struct work *w, uint32_t attempt,
                           uint64_t commit, bool is_abort)
{
    ASSERT(w->state == WORK_PREPARED);
    if (!is_abort && (w->attempt != attempt || w->commit_ts != commit)) {
        return status_new(
            INTERNAL, "commit of attempt %u at %llu, but attempt %u at %llu is prepared", attempt,
            (unsigned long long)commit, w->attempt, (unsigned long long)w->commit_ts);
    }
    w->state = WORK_FINISHING;
    if (!is_abort) {
        lock_set_committed(&w->owner);
    }
    struct buf key = {0}, value = {0};
    entry_begin(&p->entry);
    struct status *st = NULL;
    if (!is_abort) {
        st = put_versions(p, w, w->commit_ts, &p->entry);
        if (!bug_on(BUG_TXN_FORGET_EARLY)) {
            state_key_txn(&key, p->env->shard_id, 'C', w->id);
            state_committed_value(&value, w->attempt, w->commit_ts);
            entry_put(&p->entry, buf_slice(&key), buf_slice(&value)); /* F4: until Forget */
        }
    }
    state_key_txn(&key, p->env->shard_id, 'P', w->id);
    entry_delete(&p->entry, buf_slice(&key));
    buf_deinit(&key);
    buf_deinit(&value);
    struct flight *fl = NULL;
    if (st == NULL) {
        st = flight_start(f, p, w, buf_slice(&p->entry), finish_applied, &fl);
    }
    if (st != NULL) {
        set_landed(p, w);
        return st;
    }
    return flight_wait(f, fl);
}

struct status *part_finalize(struct fiber *f, struct part *p, const Sherd__V1__FinalizeRequest *req,
                             Sherd__V1__OutcomeReply *reply)
{
    struct txn_id id = txn_id_from(req->txn);
    struct work *w = part_find_by_id(p, id);
    struct status *st = NULL;
    if (w != NULL) {
        work_ref(w);
        st = wait_landed(f, p, w);
        if (st == NULL && w->state == WORK_PREPARED) {
            fiber_mask(f);
            st = part_decide(f, p, w, req->attempt, req->commit, req->abort);
            fiber_unmask(f);
        } else if (st == NULL && w->state == WORK_OPEN && req->abort) {
            part_drop(p, w);
        }
        work_unref(w);
    }
    if (st == NULL) {
        ANSWER(reply, OK, req->attempt, req->commit); /* F1: nothing here (any more) is done, too */
    }
    return st;
}
