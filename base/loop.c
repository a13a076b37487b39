/*
 * What both loops share: timers, deferred tasks, mailbox. See loop_internal.h.
 *
 * The mailbox is a lock-free stack of one consumer: a post is one compare-and-swap, and the owner
 * takes everything by one exchange and turns it round. Whoever pushes onto an empty stack wakes the
 * loop. task.is_queued is what keeps a task from being linked twice; for a posted task it is
 * changed by read-modify-write on both sides, so that a post that found the task queued happens
 * before the run that follows.
 */
#include "base/loop.h"

#include "base/check.h"
#include "base/mem.h"
#include "loop_internal.h"

#define HEAP_FIRST_CAP 32

void loop_common_init(struct loop *l, const struct loop_ops *ops)
{
    l->ops = ops;
    l->heap_cap = HEAP_FIRST_CAP;
    l->heap = mem_alloc(l->heap_cap * sizeof(struct timer *));
    list_head_init(&l->deferred);
    list_head_init(&l->next_turn);
}

void loop_common_deinit(struct loop *l)
{
    fiber_sched_destroy(l->sched);
    mem_free(l->heap);
}

struct fiber_sched **loop_fiber_sched(struct loop *l)
{
    return &l->sched;
}

/* ---- clocks and randomness ---- */

uint64_t loop_turn_now(struct loop *l)
{
    if (l->is_now_old) {
        l->is_now_old = !l->is_now_kept;
        l->now_ns = l->ops->clock_ns(l);
    }
    return l->now_ns;
}

uint64_t loop_now_ns(struct loop *l)
{
    return loop_turn_now(l);
}

uint64_t loop_clock_ns(struct loop *l)
{
    return l->ops->clock_ns(l);
}

int64_t loop_wall_us(struct loop *l)
{
    return l->ops->wall_us(l);
}

int64_t loop_wall_ms(struct loop *l)
{
    return loop_wall_us(l) / 1000;
}

uint64_t loop_random(struct loop *l)
{
    return l->ops->random(l);
}

uint64_t loop_random_below(struct loop *l, uint64_t n)
{
    ASSERT(n > 0);
    return (uint64_t)(((unsigned __int128)loop_random(l) * n) >> 64);
}

/* ---- timers ---- */

static bool before(const struct timer *a, const struct timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->seq < b->seq;
}

static void heap_set(struct loop *l, size_t pos, struct timer *t)
{
    l->heap[pos] = t;
    t->heap_pos = pos;
}

static void heap_up(struct loop *l, size_t pos, struct timer *t)
{
    while (pos > 1 && before(t, l->heap[pos / 2])) {
        heap_set(l, pos, l->heap[pos / 2]);
        pos /= 2;
    }
    heap_set(l, pos, t);
}

static void heap_down(struct loop *l, size_t pos, struct timer *t)
{
    for (;;) {
        size_t child = pos * 2;
        if (child > l->heap_len) {
            break;
        }
        if (child < l->heap_len && before(l->heap[child + 1], l->heap[child])) {
            child++;
        }
        if (!before(l->heap[child], t)) {
            break;
        }
        heap_set(l, pos, l->heap[child]);
        pos = child;
    }
    heap_set(l, pos, t);
}

static void heap_place(struct loop *l, size_t pos, struct timer *t)
{
    if (pos > 1 && before(t, l->heap[pos / 2])) {
        heap_up(l, pos, t);
    } else {
        heap_down(l, pos, t);
    }
}

static void heap_remove(struct loop *l, struct timer *t)
{
    size_t pos = t->heap_pos;
    ASSERT(pos >= 1 && pos <= l->heap_len && l->heap[pos] == t);
    t->heap_pos = 0;
    struct timer *last = l->heap[l->heap_len--];
    if (last != t) {
        heap_place(l, pos, last);
    }
}

void timer_start(struct loop *l, struct timer *t, uint64_t delay_ns)
{
    ASSERT(t->fire != NULL);
    ASSERT(t->heap_pos == 0 || t->loop == l);
    t->loop = l;
    uint64_t now = loop_turn_now(l);
    t->due_ns = delay_ns > UINT64_MAX - 1 - now ? UINT64_MAX - 1 : now + delay_ns;
    t->seq = l->timer_seq++;
    if (t->heap_pos != 0) {
        heap_place(l, t->heap_pos, t);
    } else {
        if (l->heap_len + 2 > l->heap_cap) {
            l->heap_cap *= 2;
            l->heap = mem_realloc(l->heap, l->heap_cap * sizeof(struct timer *));
        }
        heap_up(l, ++l->heap_len, t);
    }
    if (t->heap_pos == 1) {
        l->ops->timers_changed(l);
    }
}

void timer_stop(struct timer *t)
{
    if (t->heap_pos != 0) {
        heap_remove(t->loop, t);
    }
}

uint64_t loop_next_due(const struct loop *l)
{
    return l->heap_len ? l->heap[1]->due_ns : UINT64_MAX;
}

void loop_fire_timers(struct loop *l)
{
    uint64_t now = loop_turn_now(l);
    uint64_t seq_limit = l->timer_seq; /* those armed meanwhile wait for the next turn */
    while (l->heap_len && l->heap[1]->due_ns <= now && l->heap[1]->seq < seq_limit) {
        struct timer *t = l->heap[1];
        heap_remove(l, t);
        t->fire(t);
    }
}

/* ---- tasks ---- */

void loop_defer(struct loop *l, struct task *t)
{
    if (__atomic_load_n(&t->is_queued, __ATOMIC_RELAXED)) {
        return;
    }
    __atomic_store_n(&t->is_queued, true, __ATOMIC_RELAXED);
    bool was_empty = list_is_empty(&l->deferred);
    list_push_back(&l->deferred, &t->link);
    if (was_empty && l->ready != NULL) {
        l->ready(l);
    }
}

void loop_defer_next_turn(struct loop *l, struct task *t)
{
    if (__atomic_load_n(&t->is_queued, __ATOMIC_RELAXED)) {
        return;
    }
    __atomic_store_n(&t->is_queued, true, __ATOMIC_RELAXED);
    bool was_empty = list_is_empty(&l->next_turn);
    list_push_back(&l->next_turn, &t->link);
    if (was_empty && l->ready != NULL) {
        l->ready(l);
    }
}

void loop_defer_cancel(struct task *t)
{
    if (!__atomic_load_n(&t->is_queued, __ATOMIC_RELAXED)) {
        return;
    }
    ASSERT_MSG(t->link.prev != NULL, "a task in the mailbox cannot be taken back");
    list_unlink(&t->link);
    __atomic_store_n(&t->is_queued, false, __ATOMIC_RELAXED);
}

void loop_post(struct loop *l, struct task *t)
{
    if (__atomic_exchange_n(&t->is_queued, true, __ATOMIC_ACQ_REL)) {
        return;
    }
    t->link.prev = NULL;
    struct task *head = __atomic_load_n(&l->mailbox, __ATOMIC_RELAXED);
    do {
        t->link.next = head ? &head->link : NULL;
    } while (!__atomic_compare_exchange_n(&l->mailbox, &head, t, true, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    /* t may have run and be gone from here on. */
    if (head == NULL) {
        l->ops->wake(l);
    }
}

bool loop_mailbox_is_empty(struct loop *l)
{
    return __atomic_load_n(&l->mailbox, __ATOMIC_SEQ_CST) == NULL;
}

bool loop_take_mailbox(struct loop *l)
{
    if (__atomic_load_n(&l->mailbox, __ATOMIC_RELAXED) == NULL) {
        return false;
    }
    struct task *t = __atomic_exchange_n(&l->mailbox, NULL, __ATOMIC_ACQUIRE);
    struct list *after = l->deferred.prev; /* newest first: each goes in front of the one before */
    while (t != NULL) {
        struct list *older = t->link.next;
        list_insert_before(after->next, &t->link);
        t = older ? LIST_ITEM(older, struct task, link) : NULL;
    }
    return true;
}

void loop_begin_turn(struct loop *l)
{
    list_splice_back(&l->deferred, &l->next_turn);
}

size_t loop_run_deferred(struct loop *l, size_t max, const bool *stop)
{
    size_t count = 0;
    while (count < max && (stop == NULL || !*stop)) {
        struct list *item = list_pop_front(&l->deferred);
        if (item == NULL) {
            if (!loop_take_mailbox(l)) {
                break;
            }
            continue;
        }
        struct task *t = LIST_ITEM(item, struct task, link);
        (void)__atomic_exchange_n(&t->is_queued, false, __ATOMIC_ACQ_REL);
        t->run(t);
        count++;
    }
    return count;
}

/* ---- workers ---- */

struct worker_base { /* both kinds of worker begin with it */
    struct loop *loop;
};

struct worker *worker_create(struct loop *l, const char *name)
{
    return l->ops->worker_create(l, name);
}

void worker_submit(struct worker *w, struct job *j)
{
    struct loop *l = ((struct worker_base *)w)->loop;
    l->ops->worker_submit(w, j);
}

void worker_destroy(struct worker *w)
{
    if (w != NULL) {
        struct loop *l = ((struct worker_base *)w)->loop;
        l->ops->worker_destroy(w);
    }
}
