/*
 * See locks.h. The table is an ordered map by key, so that readers can look at spans; a key that
 * nobody holds or wants is not in it. Holds and waits are on two lists each, of their key and of
 * their owner.
 */
#include "locks.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/mem.h"

static struct lock *lock_of(struct keymap_node *n)
{
    return n == NULL ? NULL : CONTAINER_OF(n, struct lock, node);
}

bool lock_conflicts(enum lock_mode a, enum lock_mode b)
{
    /* PostgreSQL's table of row lock conflicts: bit m set = conflicts with mode m. */
    static const uint8_t table[] = {
        [LOCK_NONE] = 0,
        [LOCK_KEY_SHARE] = 1 << LOCK_UPDATE,
        [LOCK_SHARE] = 1 << LOCK_UPDATE | 1 << LOCK_NO_KEY_UPDATE,
        [LOCK_NO_KEY_UPDATE] = 1 << LOCK_UPDATE | 1 << LOCK_NO_KEY_UPDATE | 1 << LOCK_SHARE,
        [LOCK_UPDATE] =
            1 << LOCK_UPDATE | 1 << LOCK_NO_KEY_UPDATE | 1 << LOCK_SHARE | 1 << LOCK_KEY_SHARE,
    };
    return (table[a] >> b & 1) != 0;
}

void lock_table_init(struct lock_table *t)
{
    *t = (struct lock_table){.next_wait = 1};
    keymap_init(&t->locks);
}

void lock_table_deinit(struct lock_table *t)
{
    ASSERT(keymap_is_empty(&t->locks));
}

void lock_owner_init(struct lock_owner *o, struct txn_id id, uint64_t start)
{
    *o = (struct lock_owner){.id = id, .start = start};
    list_head_init(&o->holds);
    list_head_init(&o->waits);
    cond_init(&o->changed);
}

static struct lock *lock_get(struct lock_table *t, struct slice key)
{
    struct lock *l = lock_of(keymap_find(&t->locks, key));
    if (l == NULL) {
        l = mem_alloc(sizeof(*l) + key.len);
        memcpy(l->key, key.data, key.len);
        l->node.key = slice_make(l->key, key.len);
        list_head_init(&l->holds);
        list_head_init(&l->queue);
        keymap_insert(&t->locks, &l->node);
    }
    return l;
}

static void lock_tidy(struct lock_table *t, struct lock *l)
{
    if (list_is_empty(&l->holds) && list_is_empty(&l->queue)) {
        keymap_erase(&t->locks, &l->node);
        mem_free(l);
    }
}

static struct lock_hold *hold_in(const struct lock *l, const struct lock_owner *o)
{
    LIST_FOREACH(it, &l->holds)
    {
        struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_lock);
        if (h->owner == o) {
            return h;
        }
    }
    return NULL;
}

struct lock_hold *lock_hold_of(struct lock_table *t, const struct lock_owner *o, struct slice key)
{
    struct lock *l = lock_of(keymap_find(&t->locks, key));
    return l == NULL ? NULL : hold_in(l, o);
}

bool lock_is_wanted(const struct lock_table *t, struct slice key)
{
    return keymap_find(&t->locks, key) != NULL;
}

static bool blocked_by_holds(const struct lock *l, const struct lock_owner *o, enum lock_mode mode)
{
    LIST_FOREACH(it, &l->holds)
    {
        const struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_lock);
        if (h->owner != o && lock_conflicts(h->mode, mode)) {
            return true;
        }
    }
    return false;
}

static bool blocked_by_queue(const struct lock *l, const struct lock_owner *o, enum lock_mode mode)
{
    LIST_FOREACH(it, &l->queue)
    {
        const struct lock_wait_item *w = LIST_ITEM(it, struct lock_wait_item, of_lock);
        if (w->owner != o && lock_conflicts(w->mode, mode)) {
            return true;
        }
    }
    return false;
}

/* Gives the lock: a new hold, or the stronger mode for the one there is. */
static struct lock_hold *grant(struct lock *l, struct lock_owner *o, enum lock_mode mode)
{
    struct lock_hold *h = hold_in(l, o);
    if (h == NULL) {
        h = MEM_NEW(struct lock_hold);
        h->lock = l;
        h->owner = o;
        h->mode = mode;
        list_push_back(&l->holds, &h->of_lock);
        list_push_back(&o->holds, &h->of_owner);
        o->hold_count++;
    } else if (mode > h->mode) {
        /* A weaker lock let others write the row (KEY SHARE): look at it again. */
        h->is_judged = h->is_judged && h->mode >= LOCK_SHARE;
        h->mode = mode;
    }
    return h;
}

static void wait_end(struct lock_table *t, struct lock_wait_item *w, enum lock_wait_state state)
{
    list_unlink(&w->of_lock);
    list_unlink(&w->of_owner);
    w->state = state;
    t->wait_count--;
    fiber_wake(w->fiber);
}

/* Hands the lock to everybody at the head of the queue that can have it now. */
static void pump(struct lock_table *t, struct lock *l)
{
    unsigned blocked = 0; /* modes that somebody earlier in the queue still waits for */
    LIST_FOREACH_SAFE(it, next, &l->queue)
    {
        struct lock_wait_item *w = LIST_ITEM(it, struct lock_wait_item, of_lock);
        bool is_blocked = blocked_by_holds(l, w->owner, w->mode);
        for (int m = LOCK_KEY_SHARE; !is_blocked && m <= LOCK_UPDATE; m++) {
            is_blocked = (blocked >> m & 1) != 0 && lock_conflicts((enum lock_mode)m, w->mode);
        }
        if (!is_blocked) {
            w->hold = grant(l, w->owner, w->mode);
            wait_end(t, w, LOCK_GRANTED);
        } else {
            blocked |= 1u << w->mode;
            if (w->mode == LOCK_UPDATE) {
                break;
            }
        }
    }
    lock_tidy(t, l);
}

void lock_wait_fail(struct lock_table *t, struct lock_wait_item *w, enum lock_wait_state state)
{
    struct lock *l = w->lock;
    wait_end(t, w, state);
    pump(t, l); /* who came behind may go on */
}

static struct status *wait_here(struct fiber *f, struct lock_table *t, struct lock_wait_item *w,
                                uint64_t timeout_ms)
{
    uint64_t outer = fiber_deadline(f);
    uint64_t limit = timeout_ms != 0 ? loop_clock_ns(fiber_loop(f)) + ms_to_ns(timeout_ms) : 0;
    bool is_ours = limit != 0 && (outer == 0 || limit < outer);
    if (is_ours) {
        fiber_set_deadline(f, limit);
    }
    struct status *st = NULL;
    while (w->state == LOCK_WAITING && st == NULL) {
        st = fiber_park(f);
    }
    if (is_ours) {
        fiber_set_deadline(f, outer);
    }
    if (w->state == LOCK_GRANTED) {
        status_free(st);
        return NULL;
    }
    if (w->state == LOCK_WAITING) {
        lock_wait_fail(t, w, LOCK_DROPPED);
        if (is_ours && status_is(st, STATUS_TIMEOUT)) {
            status_free(st);
            return status_sql(TIMEOUT, "55P03", "canceling statement due to lock timeout");
        }
        return st;
    }
    status_free(st);
    if (w->state == LOCK_DEADLOCK) {
        return status_hint(status_sql(CONFLICT, "40P01", "deadlock detected"),
                           "Run the transaction again; take locks in the same order everywhere.");
    }
    return status_sql(CONFLICT, "40001",
                      "could not serialize access: the transaction's locks were lost");
}

struct lock_hold *lock_try(struct lock_table *t, struct lock_owner *o, struct slice key,
                           enum lock_mode mode)
{
    struct lock *l = lock_of(keymap_find(&t->locks, key));
    if (l != NULL) {
        struct lock_hold *h = hold_in(l, o);
        if (h != NULL && h->mode >= mode) {
            return h;
        }
        if (blocked_by_holds(l, o, mode) || (h == NULL && blocked_by_queue(l, o, mode))) {
            return NULL;
        }
    } else {
        l = lock_get(t, key);
    }
    return grant(l, o, mode);
}

struct status *lock_acquire(struct fiber *f, struct lock_table *t, struct lock_owner *o,
                            struct slice key, enum lock_mode mode, enum lock_wait wait,
                            uint64_t timeout_ms, struct lock_hold **out_hold)
{
    struct lock_hold *h = lock_try(t, o, key, mode);
    if (h != NULL) {
        *out_hold = h;
        return NULL;
    }
    if (wait == LOCK_SKIP) {
        *out_hold = NULL;
        return NULL;
    }
    if (wait == LOCK_NOWAIT) {
        return status_sql(TIMEOUT, "55P03", "could not obtain lock on row");
    }
    struct lock *l = lock_get(t, key);
    struct lock_wait_item w = {.lock = l,
                               .owner = o,
                               .mode = mode,
                               .state = LOCK_WAITING,
                               .number = t->next_wait++,
                               .since_ns = loop_now_ns(fiber_loop(f)),
                               .fiber = f};
    if (hold_in(l, o) != NULL) {
        list_push_front(&l->queue, &w.of_lock);
    } else {
        list_push_back(&l->queue, &w.of_lock);
    }
    list_push_back(&o->waits, &w.of_owner);
    t->wait_count++;
    deadlock_check(t, &w);
    TRY(wait_here(f, t, &w, timeout_ms));
    *out_hold = w.hold;
    return NULL;
}

void lock_set_write(struct lock_table *t, struct lock_hold *h, bool is_write)
{
    if (h->is_write != is_write) {
        h->is_write = is_write;
        t->write_count += is_write ? 1 : (size_t)-1;
    }
}

void lock_set_pending(struct lock_table *t, struct lock_owner *o, uint64_t pending, bool is_closing)
{
    bool was = o->pending != 0 || o->is_closing;
    bool is = pending != 0 || is_closing;
    if (was != is) {
        t->pending_count += is ? 1 : (size_t)-1;
    }
    o->pending = pending;
    o->is_closing = is_closing;
    cond_broadcast(&o->changed);
}

void lock_release(struct lock_table *t, struct lock_hold *h)
{
    ASSERT(!h->is_write);
    struct lock *l = h->lock;
    h->owner->hold_count--;
    list_unlink(&h->of_lock);
    list_unlink(&h->of_owner);
    mem_free(h->row);
    mem_free(h);
    pump(t, l);
}

void lock_undo_one(struct lock_table *t, struct lock_hold *h, uint64_t to_seq)
{
    enum lock_mode mode = LOCK_NONE;
    for (int m = LOCK_KEY_SHARE; m <= LOCK_UPDATE; m++) {
        if (h->since[m] > to_seq) {
            h->since[m] = 0;
        } else if (h->since[m] != 0) {
            mode = (enum lock_mode)m;
        }
    }
    if (h->is_write || mode == h->mode) {
        return;
    }
    if (mode == LOCK_NONE) {
        lock_release(t, h);
        return;
    }
    h->mode = mode;
    if (mode < LOCK_NO_KEY_UPDATE) { /* the row is kept for writers (judge) */
        mem_free(h->row);
        h->row = NULL;
        h->row_len = 0;
    }
    pump(t, h->lock);
}

void lock_undo(struct lock_table *t, struct lock_owner *o, uint64_t to_seq)
{
    LIST_FOREACH_SAFE(it, next, &o->holds)
    {
        lock_undo_one(t, LIST_ITEM(it, struct lock_hold, of_owner), to_seq);
    }
}

void lock_release_all(struct lock_table *t, struct lock_owner *o)
{
    while (!list_is_empty(&o->waits)) {
        lock_wait_fail(t, LIST_ITEM(o->waits.next, struct lock_wait_item, of_owner), LOCK_DROPPED);
    }
    while (!list_is_empty(&o->holds)) {
        struct lock_hold *h = LIST_ITEM(o->holds.next, struct lock_hold, of_owner);
        lock_set_write(t, h, false);
        lock_release(t, h);
    }
    lock_set_pending(t, o, 0, false);
}

/* The first lock of the span, and the next one within it. */
static struct lock *span_first(const struct lock_table *t, const struct key_span *span)
{
    if (span->is_point) {
        return lock_of(keymap_find(&t->locks, span->start));
    }
    struct lock *l = lock_of(keymap_at_or_above(&t->locks, span->start));
    return l != NULL && (span->end.len == 0 || slice_cmp(l->node.key, span->end) < 0) ? l : NULL;
}

static struct lock *span_next(const struct lock *l, const struct key_span *span)
{
    if (span->is_point) {
        return NULL;
    }
    struct lock *n = lock_of(keymap_next(&l->node));
    return n != NULL && (span->end.len == 0 || slice_cmp(n->node.key, span->end) < 0) ? n : NULL;
}

static bool holds_up(const struct lock_owner *o, const struct key_span *span, uint64_t ts,
                     enum pending_for who)
{
    if (who == PENDING_READ && span->is_point && o->is_known_committed) {
        return false;
    }
    return (o->pending != 0 && o->pending <= ts) || (who != PENDING_VALIDATE && o->is_closing);
}

struct lock_owner *lock_find_pending(const struct lock_table *t, const struct key_span *span,
                                     uint64_t ts, enum pending_for who,
                                     const struct lock_owner *self)
{
    if (t->pending_count == 0) {
        return NULL;
    }
    for (struct lock *l = span_first(t, span); l != NULL; l = span_next(l, span)) {
        LIST_FOREACH(it, &l->holds)
        {
            struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_lock);
            if (h->owner != self && h->is_write && holds_up(h->owner, span, ts, who)) {
                return h->owner;
            }
        }
    }
    return NULL;
}

struct lock_owner *lock_find_committed(const struct lock_table *t, struct slice key, uint64_t ts)
{
    const struct lock *l = t->pending_count != 0 ? lock_of(keymap_find(&t->locks, key)) : NULL;
    if (l == NULL) {
        return NULL;
    }
    LIST_FOREACH(it, &l->holds)
    {
        struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_lock);
        if (h->is_write && h->owner->is_known_committed && h->owner->pending <= ts) {
            ASSERT(h->owner->pending != 0);
            return h->owner;
        }
    }
    return NULL;
}

void lock_set_committed(struct lock_owner *o)
{
    ASSERT(o->pending != 0);
    o->is_known_committed = true;
    cond_broadcast(&o->changed);
}

bool lock_has_foreign_write(const struct lock_table *t, const struct key_span *span,
                            const struct lock_owner *self)
{
    if (t->write_count == 0) {
        return false;
    }
    for (struct lock *l = span_first(t, span); l != NULL; l = span_next(l, span)) {
        LIST_FOREACH(it, &l->holds)
        {
            const struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_lock);
            if (h->owner != self && h->is_write &&
                !(span->is_point && h->owner->is_known_committed)) {
                return true;
            }
        }
    }
    return false;
}
