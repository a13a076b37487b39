/*
 * Deadlocks. Edges of the waits-for graph are not stored: a waiting owner waits for every other
 * holder of the key in a conflicting mode, and for every earlier conflicting waiter in the queue.
 * Behind an earlier waiter of the same mode it waits for nothing that this one does not wait for
 * (or is) itself, so that edge stands for the rest: a hot row has one edge for each waiter.
 *
 * Within a shard a cycle is found at the moment the wait that closes it begins. Across shards the
 * node of a wait older than a while collects the edges of all nodes (waits.c) and names the
 * youngest waiter. Only waits for locks take part: waits of readers and of validation go from
 * higher to lower commit timestamps and pending never waits for open (I6), so they are on no cycle.
 */
#include "base/check.h"
#include "base/mem.h"
#include "locks.h"

bool deadlock_younger(uint64_t start_a, struct txn_id a, uint64_t start_b, struct txn_id b)
{
    uint64_t sa = start_a == 0 ? UINT64_MAX : start_a, sb = start_b == 0 ? UINT64_MAX : start_b;
    if (sa != sb) {
        return sa > sb;
    }
    if (a.counter != b.counter) {
        return a.counter > b.counter;
    }
    return a.incarnation > b.incarnation;
}

static void each_blocker(struct lock_wait_item *w, void (*fn)(void *ctx, struct lock_owner *o),
                         void *ctx)
{
    for (struct list *it = w->of_lock.prev; it != &w->lock->queue; it = it->prev) {
        struct lock_wait_item *q = LIST_ITEM(it, struct lock_wait_item, of_lock);
        if (q->owner != w->owner && lock_conflicts(q->mode, w->mode)) {
            fn(ctx, q->owner);
            if (q->mode == w->mode) {
                return;
            }
        }
    }
    LIST_FOREACH(it, &w->lock->holds)
    {
        struct lock_hold *h = LIST_ITEM(it, struct lock_hold, of_lock);
        if (h->owner != w->owner && lock_conflicts(h->mode, w->mode)) {
            fn(ctx, h->owner);
        }
    }
}

/* Breadth-first over waiting owners; `via` leads back to where the search began. */
struct step {
    struct lock_wait_item *wait;
    size_t via;
};

struct search {
    struct step *steps;
    size_t count, cap;
    size_t at;
    uint64_t mark;
    struct lock_owner *goal;
    size_t found; /* step whose wait is for the goal; SIZE_MAX = none */
};

static void visit(void *ctx, struct lock_owner *o)
{
    struct search *s = ctx;
    if (o == s->goal) {
        s->found = s->at;
        return;
    }
    if (o->mark == s->mark) {
        return;
    }
    o->mark = s->mark;
    LIST_FOREACH(it, &o->waits)
    {
        if (s->count == s->cap) {
            s->cap *= 2;
            s->steps = mem_realloc(s->steps, s->cap * sizeof(*s->steps));
        }
        s->steps[s->count++] =
            (struct step){.wait = LIST_ITEM(it, struct lock_wait_item, of_owner), .via = s->at};
    }
}

void deadlock_check(struct lock_table *t, struct lock_wait_item *w)
{
    while (w->state == LOCK_WAITING) {
        struct search s = {
            .cap = 16, .count = 1, .mark = ++t->mark, .goal = w->owner, .found = SIZE_MAX};
        s.steps = mem_alloc(s.cap * sizeof(*s.steps));
        s.steps[0] = (struct step){.wait = w, .via = SIZE_MAX};
        for (s.at = 0; s.at < s.count && s.found == SIZE_MAX; s.at++) {
            each_blocker(s.steps[s.at].wait, visit, &s);
        }
        struct lock_wait_item *victim = NULL;
        for (size_t i = s.found; i != SIZE_MAX; i = s.steps[i].via) {
            struct lock_wait_item *on = s.steps[i].wait;
            if (victim == NULL || deadlock_younger(on->owner->start, on->owner->id,
                                                   victim->owner->start, victim->owner->id)) {
                victim = on;
            }
        }
        mem_free(s.steps);
        if (victim == NULL) {
            return;
        }
        /* Its place in the queue is free at once; what it holds when its transaction is rolled
         * back. */
        lock_wait_fail(t, victim, LOCK_DEADLOCK);
    }
}

struct edge_ctx {
    struct lock_wait_item *w;
    void (*fn)(void *ctx, const struct lock_wait_item *w, const struct lock_owner *holder);
    void *ctx;
};

static void give_edge(void *ctx, struct lock_owner *o)
{
    struct edge_ctx *e = ctx;
    e->fn(e->ctx, e->w, o);
}

void deadlock_edges(struct lock_table *t, uint64_t now_ns, uint64_t min_age_ns,
                    void (*fn)(void *ctx, const struct lock_wait_item *w,
                               const struct lock_owner *holder),
                    void *ctx)
{
    if (t->wait_count == 0) {
        return;
    }
    for (struct keymap_node *n = keymap_first(&t->locks); n != NULL; n = keymap_next(n)) {
        struct lock *l = CONTAINER_OF(n, struct lock, node);
        LIST_FOREACH(it, &l->queue)
        {
            struct edge_ctx e = {LIST_ITEM(it, struct lock_wait_item, of_lock), fn, ctx};
            if (now_ns - e.w->since_ns >= min_age_ns) {
                each_blocker(e.w, give_edge, &e);
            }
        }
    }
}

bool deadlock_kill(struct lock_table *t, struct txn_id waiter, uint64_t number)
{
    for (struct keymap_node *n = keymap_first(&t->locks); n != NULL; n = keymap_next(n)) {
        struct lock *l = CONTAINER_OF(n, struct lock, node);
        LIST_FOREACH(it, &l->queue)
        {
            struct lock_wait_item *w = LIST_ITEM(it, struct lock_wait_item, of_lock);
            if (w->number == number && txn_id_eq(w->owner->id, waiter)) {
                lock_wait_fail(t, w, LOCK_DEADLOCK);
                return true;
            }
        }
    }
    return false;
}
