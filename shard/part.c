/* Life of a participant, its workspaces, and the waits that all requests share: see part.h. */
#include "part.h"

#include "api/rpc.h"
#include "base/buggify.h"
#include "base/check.h"
#include "bounds.h"

#define TICK_NS ms_to_ns(250)

static void tick(struct timer *t);
static void forget_fire(struct timer *t);

static struct part *part_create(const struct part_env *env, struct shard_state *state,
                                uint64_t term)
{
    struct part *p = MEM_NEW(struct part);
    p->env = env;
    p->state = state;
    p->term = term;
    p->refs = 1;
    p->next_number = 1;
    gate_init(&p->serving);
    cond_init(&p->thawed);
    list_head_init(&p->works);
    lock_table_init(&p->locks);
    rtc_init(&p->rtc, 0);
    p->tick.fire = tick;
    p->forget_timer.fire = forget_fire;
    return p;
}

struct part *part_shadow(const struct part_env *env, struct shard_state *state)
{
    struct part *p = part_create(env, state, 0);
    rtc_raise_floor(&p->rtc, UINT64_MAX); /* it judges no commits: nothing is to be remembered */
    p->is_serving = true;
    gate_open(&p->serving);
    return p;
}

struct status *part_begin(const struct part_env *env, struct shard_state *state, uint64_t term,
                          struct part **out)
{
    struct part *p = part_create(env, state, term);
    struct status *st = prepared_load(p);
    if (st != NULL) {
        part_end(p);
        part_unref(p);
        return st;
    }
    *out = p;
    return NULL;
}

void part_serve(struct part *p, uint64_t low)
{
    if (p->is_dead || p->is_serving) {
        return;
    }
    if (!bug_on(BUG_TXN_NO_LOW)) {
        rtc_raise_floor(&p->rtc, low);
    }
    part_raise_written(p, low); /* all of earlier terms is below it */
    p->newest_move = low > p->newest_move ? low : p->newest_move;
    p->is_serving = true;
    part_drop_stale(p);
    gate_open(&p->serving);
}

struct part *part_ref(struct part *p)
{
    p->refs++;
    return p;
}

void part_unref(struct part *p)
{
    if (p == NULL || --p->refs > 0) {
        return;
    }
    ASSERT(p->is_dead);
    lock_table_deinit(&p->locks);
    rtc_deinit(&p->rtc);
    struct poisoned *x, *tmp;
    HASH_ITER(hh, p->poisoned, x, tmp)
    {
        HASH_DEL(p->poisoned, x);
        mem_free(x);
    }
    mvcc_scratch_deinit(&p->scratch);
    buf_deinit(&p->entry);
    mem_free(p->forgets);
    mem_free(p);
}

/* Out of all tables; locks go on to the next. */
static void detach(struct part *p, struct work *w)
{
    if (w->state == WORK_GONE) {
        return;
    }
    if (w->attempt != 0) {
        p->prepared_count--;
    }
    w->state = WORK_GONE;
    lock_release_all(&p->locks, &w->owner);
    if (w->number != 0) {
        HASH_DELETE(by_number, p->by_number, w);
    }
    HASH_DELETE(by_id, p->by_id, w);
    list_unlink(&w->link);
    work_unref(w);
}

/* What the transactions of this part hold, into the node's gauges. */
static void show(struct part *p, int64_t works, int64_t locks, int64_t bytes)
{
    struct part_gauges *g = p->env->gauges;
    if (g == NULL) {
        return;
    }
    metric_add(g->works, works - p->shown_works);
    metric_add(g->locks, locks - p->shown_locks);
    metric_add(g->bytes, bytes - p->shown_bytes);
    p->shown_works = works;
    p->shown_locks = locks;
    p->shown_bytes = bytes;
}

void part_end(struct part *p)
{
    if (p->is_dead) {
        return;
    }
    p->is_dead = true;
    timer_stop(&p->tick);
    timer_stop(&p->forget_timer);
    while (!list_is_empty(&p->works)) {
        detach(p, LIST_ITEM(p->works.next, struct work, link));
    }
    show(p, 0, 0, 0);
    gate_open(&p->serving);
    cond_broadcast(&p->thawed);
}

struct status *part_enter(struct fiber *f, struct part *p)
{
    while (!p->is_dead && (!p->is_serving || p->is_frozen)) {
        TRY(p->is_serving ? cond_wait(f, &p->thawed) : gate_wait(f, &p->serving));
    }
    return p->is_dead ? p->env->not_leader(p->env->ctx) : NULL;
}

struct status *part_confirm(struct fiber *f, struct part *p)
{
    if (!p->is_dead && p->env->lease_valid(p->env->ctx)) {
        return NULL;
    }
    if (!p->is_dead) {
        TRY(p->env->confirm(f, p->env->ctx));
    }
    return p->is_dead ? p->env->not_leader(p->env->ctx) : NULL;
}

void part_raise(struct part *p, const struct key_span *span, uint64_t ts)
{
    if (span->is_point) {
        rtc_raise_point(&p->rtc, span->start, ts);
    } else {
        rtc_raise_range(&p->rtc, span->start, span->end, ts);
    }
}

void part_raise_high(struct part *p, uint64_t ts)
{
    if (ts > p->high) {
        p->high = ts;
    }
}

void part_raise_written(struct part *p, uint64_t ts)
{
    part_raise_high(p, ts);
    p->newest_write = ts > p->newest_write ? ts : p->newest_write;
}

struct status *part_wait_pending(struct fiber *f, struct part *p, const struct key_span *span,
                                 uint64_t ts, const struct work *self, enum pending_for who)
{
    while (!p->is_dead) {
        struct lock_owner *o =
            lock_find_pending(&p->locks, span, ts, who, self != NULL ? &self->owner : NULL);
        if (o == NULL) {
            return NULL;
        }
        struct work *w = CONTAINER_OF(o, struct work, owner);
        /* I6: who is in flight waits for what is pending at less, never for an open lock. */
        ASSERT(self == NULL || self->state != WORK_IN_FLIGHT ||
               (o->pending != 0 && o->pending < self->flying_ts) ||
               bug_on(BUG_TXN_EARLY_COMMIT_TS));
        if (w->state == WORK_PREPARED) {
            p->env->orphan(p->env->ctx, w);
        }
        TRY(cond_wait(f, &o->changed)); /* every change wakes; the owner may be gone by then */
    }
    return p->env->not_leader(p->env->ctx);
}

static struct work *find_unsettled(struct part *p, uint64_t ts)
{
    LIST_FOREACH(it, &p->works)
    {
        struct work *w = LIST_ITEM(it, struct work, link);
        if ((w->state == WORK_IN_FLIGHT && w->flying_ts <= ts) ||
            (w->attempt != 0 && w->commit_ts <= ts)) {
            return w;
        }
    }
    return NULL;
}

struct status *part_wait_settled(struct fiber *f, struct part *p, uint64_t ts)
{
    while (!p->is_dead) {
        struct work *w = find_unsettled(p, ts);
        if (w == NULL) {
            return NULL;
        }
        if (w->state == WORK_PREPARED) {
            p->env->orphan(p->env->ctx, w);
        }
        TRY(cond_wait(f, &w->owner.changed)); /* every change wakes; it may be gone by then */
    }
    return p->env->not_leader(p->env->ctx);
}

bool part_touches(const struct work *w, struct slice key)
{
    LIST_FOREACH(it, &w->owner.holds)
    {
        if (slice_cmp(LIST_ITEM(it, struct lock_hold, of_owner)->lock->node.key, key) >= 0) {
            return true;
        }
    }
    LIST_FOREACH(it, &w->owner.waits)
    {
        if (slice_cmp(LIST_ITEM(it, struct lock_wait_item, of_owner)->lock->node.key, key) >= 0) {
            return true;
        }
    }
    for (size_t i = 0; i < w->span_count; i++) {
        const struct work_span *s = &w->spans[i];
        if (s->is_point ? slice_cmp(s->start, key) >= 0
                        : s->end.len == 0 || slice_cmp(s->end, key) > 0) {
            return true;
        }
    }
    return false;
}

static struct work *find_irreplaceable(struct part *p, struct slice from)
{
    LIST_FOREACH(it, &p->works)
    {
        struct work *w = LIST_ITEM(it, struct work, link);
        if (w->cannot_rerun && w->state == WORK_OPEN && (from.len == 0 || part_touches(w, from))) {
            return w;
        }
    }
    return NULL;
}

struct status *part_spare(struct fiber *f, struct part *p, struct slice from, uint64_t limit_ms)
{
    uint64_t now = loop_clock_ns(p->env->loop), all = ms_to_ns(SHARD_SPARE_ALL_MS);
    if (p->spare_since_ns == 0 || now - p->spare_asked_ns > all) {
        p->spare_since_ns = now; /* the one before has given up asking */
    }
    p->spare_asked_ns = now;
    uint64_t outer = fiber_deadline(f), limit = now + ms_to_ns(limit_ms);
    bool is_ours = outer == 0 || limit < outer;
    if (is_ours) {
        fiber_set_deadline(f, limit);
    }
    struct status *st = NULL;
    struct work *w = NULL;
    while (st == NULL && !p->is_dead) {
        w = find_irreplaceable(p, from);
        if (w == NULL || loop_clock_ns(p->env->loop) - p->spare_since_ns >= all) {
            p->spare_since_ns = 0;
            break;
        }
        st = cond_wait(f, &w->owner.changed); /* every change wakes; it may be gone by then */
    }
    fiber_set_deadline(f, outer);
    if (is_ours && status_is(st, STATUS_TIMEOUT)) {
        status_free(st);
        st = status_new(CONFLICT, "shard %llu has transactions that cannot be run again",
                        (unsigned long long)p->env->shard_id);
    }
    return p->is_dead && st == NULL ? p->env->not_leader(p->env->ctx) : st;
}

const struct work_value *part_committed(const struct part *p, struct slice key, uint64_t ts)
{
    struct lock_owner *o = lock_find_committed(&p->locks, key, ts);
    return o != NULL ? work_find(CONTAINER_OF(o, struct work, owner), key) : NULL;
}

/* ---- workspaces ---- */

struct txn_id txn_id_from(const Sherd__V1__TxnId *id)
{
    return id == NULL ? (struct txn_id){0, 0} : (struct txn_id){id->incarnation, id->counter};
}

struct status *part_gone(void)
{
    return status_hint(
        status_sql(CONFLICT, "40001",
                   "could not serialize access: the transaction's workspace is gone"),
        "The shard's leader changed or the transaction was silent for long. Run it again.");
}

struct work *part_find_by_id(struct part *p, struct txn_id id)
{
    struct work *w = NULL;
    HASH_FIND(by_id, p->by_id, &id, sizeof(id), w);
    return w;
}

struct status *part_find(struct part *p, struct txn_id id, const Sherd__V1__Handle *handle,
                         struct work **out)
{
    *out = NULL;
    if (handle == NULL || handle->number == 0) {
        return NULL;
    }
    if (handle->term > p->term) {
        return p->env->not_leader(p->env->ctx); /* L3 */
    }
    if (handle->term < p->term || handle->group != p->env->shard_id) {
        return NULL;
    }
    struct work *w = NULL;
    HASH_FIND(by_number, p->by_number, &handle->number, sizeof(handle->number), w);
    if (w != NULL && txn_id_eq(w->id, id) && !w->is_handle_dead) {
        *out = w;
    }
    return NULL;
}

static void adopt(struct part *p, struct work *w)
{
    w->number = p->next_number++;
    w->term = p->term;
    w->epoch = p->state->epoch;
    HASH_ADD(by_number, p->by_number, number, sizeof(w->number), w);
    HASH_ADD(by_id, p->by_id, id, sizeof(w->id), w);
    list_push_back(&p->works, &w->link);
    w->last_used_ns = loop_now_ns(p->env->loop);
    if (!timer_is_armed(&p->tick)) {
        timer_start(p->env->loop, &p->tick, TICK_NS);
    }
}

struct status *part_workspace(struct part *p, const Sherd__V1__TxnRef *ref, bool is_write,
                              struct work **out)
{
    struct txn_id id = txn_id_from(ref->id);
    if (txn_id_is_none(id)) {
        return status_new(INVALID, "a transaction without an id");
    }
    if (state_is_fenced(p->state, id.incarnation)) {
        return status_new(CONFLICT, "this router's transactions are fenced");
    }
    struct work *w = NULL;
    if (ref->handle != NULL && ref->handle->number != 0) {
        TRY(part_find(p, id, ref->handle, &w));
        if (w == NULL) {
            return part_gone();
        }
    } else {
        /* W1: first contact. What is left of an earlier one (its reply was lost) goes; a workspace
         * that has done nothing but read is as good as new. */
        w = part_find_by_id(p, id);
        if (w != NULL && (w->state != WORK_OPEN || w->seq != 0 || w->busy.is_held)) {
            if (w->state != WORK_OPEN || !is_write) {
                return part_gone();
            }
            part_drop(p, w);
            w = NULL;
        }
        if (w == NULL) {
            w = work_create(p, id, ref->start);
            w->isolation = (int)ref->isolation;
            w->coordinator_node = ref->coordinator_node;
            adopt(p, w);
        }
    }
    if (ref->start > w->start) {
        w->start = ref->start; /* a new statement of READ COMMITTED, or refreshed elsewhere; spans
                                  have their own */
    }
    w->statement = ref->statement;
    w->cannot_rerun |= ref->cannot_rerun;
    w->last_used_ns = loop_now_ns(p->env->loop);
    *out = w;
    return NULL;
}

void part_drop(struct part *p, struct work *w)
{
    if (w->state == WORK_GONE) {
        return;
    }
    if (w->attempt != 0) { /* PREPARED is durable: only Finalize ends it */
        w->is_handle_dead = true;
        if (w->state == WORK_IN_FLIGHT) {
            w->state = WORK_PREPARED;
        }
        if (w->state == WORK_PREPARED) {
            lock_set_pending(&p->locks, &w->owner, w->commit_ts, false);
        }
        return;
    }
    detach(p, w);
}

void part_handle(const struct part *p, const struct work *w, struct arena *a,
                 Sherd__V1__Handle **out)
{
    Sherd__V1__Handle *h = arena_alloc(a, sizeof(*h));
    sherd__v1__handle__init(h);
    h->group = p->env->shard_id;
    h->term = w->term;
    h->number = w->number;
    *out = h;
}

struct status *part_check_table(const struct part *p, uint32_t table_id, uint64_t version)
{
    if (p->state->fences != NULL && version < state_fence(p->state, table_id)) {
        return status_hint(status_new(MOVED, "table version"),
                           "The statement has to be planned again.");
    }
    return NULL;
}

/* What the key holds, now that nobody else can change it (KEY SHARE: can only delete it no more).
 */
static struct status *judge(struct part *p, struct slice key, struct lock_hold *h)
{
    if (h->is_judged && h->mode >= LOCK_SHARE) {
        return NULL;
    }
    struct mvcc_version v;
    bool found = false;
    TRY(mvcc_newest(p->state->store, key, &p->scratch, &v, &found));
    h->newest_ts = found ? v.ts : 0;
    h->newest_live = found && !v.is_tombstone;
    h->newest_moved = found && v.is_moved;
    h->is_judged = true;
    mem_free(h->row);
    h->row = NULL;
    h->row_len = 0;
    if (h->newest_live && h->mode >= LOCK_NO_KEY_UPDATE && v.row.len <= SHARD_ROW_KEPT) {
        h->row = mem_alloc(v.row.len + 1);
        memcpy(h->row, v.row.data, v.row.len);
        h->row_len = (uint32_t)v.row.len;
    }
    return NULL;
}

struct status *part_lock(struct fiber *f, struct part *p, struct work *w, uint64_t seq,
                         struct slice key, enum lock_mode mode, enum lock_wait wait,
                         uint64_t timeout_ms, struct lock_hold **out)
{
    if (p->is_dead ||
        w->state == WORK_GONE) { /* since the caller's last park: it would keep the lock for ever */
        return p->is_dead ? p->env->not_leader(p->env->ctx) : part_gone();
    }
    size_t most = p->env->locks_max != 0 ? p->env->locks_max : SHARD_LOCKS_MAX;
    if (w->owner.hold_count >= most && lock_hold_of(&p->locks, &w->owner, key) == NULL) {
        return status_hint(
            status_sql(LIMIT, "53200", "transaction holds more than %zu locks in one shard", most),
            "Change or lock fewer rows in one transaction, or raise sql.transaction_locks.");
    }
    struct lock_hold *h = lock_try(&p->locks, &w->owner, key, mode);
    if (h == NULL) {
        if (p->env->waiting != NULL) {
            p->env->waiting(p->env->ctx);
        }
        struct status *st = lock_acquire(f, &p->locks, &w->owner, key, mode, wait, timeout_ms, &h);
        if (p->is_dead || w->state == WORK_GONE) {
            status_free(st);
            return p->is_dead ? p->env->not_leader(p->env->ctx) : part_gone();
        }
        if (st != NULL || h == NULL) {
            *out = NULL;
            return st;
        }
    }
    if (h->since[mode] == 0) {
        h->since[mode] = (uint32_t)seq;
    }
    TRY(judge(p, key, h));
    *out = h;
    return NULL;
}

bool part_is_conflict(const struct work *w, const struct lock_hold *h)
{
    return w->start != 0 && w->isolation != SHERD__V1__ISOLATION__READ_COMMITTED &&
           h->newest_ts > w->start;
}

/* ---- housekeeping ---- */

static void tick(struct timer *t)
{
    struct part *p = CONTAINER_OF(t, struct part, tick);
    uint64_t now = loop_now_ns(p->env->loop);
    int64_t works = 0, locks = 0, bytes = 0;
    LIST_FOREACH(it, &p->works)
    {
        const struct work *w = LIST_ITEM(it, struct work, link);
        works++;
        locks += (int64_t)w->owner.hold_count;
        bytes += (int64_t)w->bytes;
    }
    show(p, works, locks, bytes);
    LIST_FOREACH_SAFE(it, next, &p->works)
    {
        struct work *w = LIST_ITEM(it, struct work, link);
        if (w->owner.is_closing && w->state != WORK_IN_FLIGHT &&
            now - w->closing_ns > ms_to_ns(SHARD_CLOSING_MS)) {
            part_drop(p, w); /* P6: the next attempt did not come */
        } else if (w->state == WORK_PREPARED && now - w->prepared_ns > ms_to_ns(SHARD_ORPHAN_MS)) {
            p->env->orphan(p->env->ctx, w);
        } else if (w->state == WORK_OPEN && w->refs == 1 &&
                   now - w->last_used_ns > ms_to_ns(SHARD_IDLE_MS)) {
            p->env->idle(p->env->ctx, w);
        }
    }
    if (works != 0) { /* once more after the last has gone: the gauges go back */
        timer_start(p->env->loop, &p->tick, TICK_NS);
    }
}

/* ---- forget (F4) ---- */

struct forget_flight {
    struct group_proposal proposal;
};

static void forget_done(struct group_proposal *pr, struct status *st)
{
    status_free(st); /* lost: the coordinator's other participants' records stay too; harmless */
    mem_free(CONTAINER_OF(pr, struct forget_flight, proposal));
}

static void forget_fire(struct timer *t)
{
    struct part *p = CONTAINER_OF(t, struct part, forget_timer);
    if (p->forget_count == 0 || p->is_dead) {
        return;
    }
    struct buf key = {0};
    entry_begin(&p->entry);
    for (size_t i = 0; i < p->forget_count; i++) {
        state_key_txn(&key, p->env->shard_id, 'C', p->forgets[i]);
        entry_delete(&p->entry, buf_slice(&key));
    }
    buf_deinit(&key);
    struct forget_flight *fl = MEM_NEW(struct forget_flight);
    fl->proposal.done = forget_done;
    struct status *st = p->env->propose(p->env->ctx, buf_slice(&p->entry), &fl->proposal);
    if (st == NULL) {
        p->forget_count = 0;
        return;
    }
    mem_free(fl);
    if (status_is(st, STATUS_LIMIT)) {
        timer_start(p->env->loop, &p->forget_timer, ms_to_ns(SHARD_FORGET_MS));
    }
    status_free(st);
}

void part_forget(struct part *p, const Sherd__V1__ForgetRequest *req)
{
    for (size_t i = 0; i < req->n_txns; i++) {
        struct outcome o;
        struct txn_id id = txn_id_from(req->txns[i]);
        if (state_outcome(p->state, id, &o) != OUTCOME_COMMITTED || o.slot >= 0) {
            continue;
        }
        if (p->forget_count == p->forget_cap) {
            p->forget_cap = p->forget_cap == 0 ? 16 : p->forget_cap * 2;
            p->forgets = mem_realloc(p->forgets, p->forget_cap * sizeof(*p->forgets));
        }
        p->forgets[p->forget_count++] = id;
    }
    if (p->forget_count >= 256) {
        forget_fire(&p->forget_timer);
    } else if (p->forget_count != 0 && !timer_is_armed(&p->forget_timer)) {
        timer_start(p->env->loop, &p->forget_timer, ms_to_ns(SHARD_FORGET_MS));
    }
}
