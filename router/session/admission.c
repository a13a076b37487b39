/*
 * See admission.h.
 *
 * The search: an epoch is EPOCH_TXNS ended transactions and at least EPOCH_NS. Its commits a second
 * are compared with those of `base`; a trial that brings clearly more becomes the base, fewer
 * tickets for about the same number are better than more: less work is thrown away. A rate at the
 * base that is very different from before begins the search anew: it is another load. Epochs in
 * which nobody waited say nothing.
 */
#include "admission.h"

#include "base/check.h"

#define HEAT_CONFLICT 64 /* one conflict counts for so many transactions */
#define HEAT_MAX 256

#define EPOCH_TXNS 24
#define EPOCH_NS 20000000
#define PATIENCE_MAX 32
#define GAIN 1.15  /* what more tickets must bring */
#define LOSS 0.95  /* what fewer may cost */
#define MEMORY 0.7 /* of the rate at the base */
#define OTHER_LOAD 2

static void grant(struct admission *a, struct admission_ticket *t)
{
    t->state = ADMISSION_HELD;
    t->since_ns = loop_now_ns(a->loop);
    list_push_back(&a->holders, &t->link);
    a->held++;
}

static void grant_waiting(struct admission *a)
{
    while (a->held < a->limit && !list_is_empty(&a->queue)) {
        struct admission_ticket *t =
            LIST_ITEM(list_pop_front(&a->queue), struct admission_ticket, link);
        grant(a, t);
        fiber_wake(t->fiber);
    }
    if (list_is_empty(&a->queue)) {
        timer_stop(&a->lease);
    } else if (!timer_is_armed(&a->lease)) {
        const struct admission_ticket *t =
            LIST_ITEM(a->holders.next, struct admission_ticket, link);
        uint64_t due = t->since_ns + ms_to_ns(ADMISSION_LEASE_MS), now = loop_now_ns(a->loop);
        timer_start(a->loop, &a->lease, due > now ? due - now : 1);
    }
}

static void lease_over(struct timer *timer)
{
    struct admission *a = CONTAINER_OF(timer, struct admission, lease);
    uint64_t now = loop_now_ns(a->loop);
    while (!list_is_empty(&a->holders)) {
        struct admission_ticket *t = LIST_ITEM(a->holders.next, struct admission_ticket, link);
        if (now < t->since_ns + ms_to_ns(ADMISSION_LEASE_MS)) {
            break;
        }
        list_unlink(&t->link);
        t->state = ADMISSION_EXPIRED;
        a->held--;
    }
    grant_waiting(a);
}

void admission_init(struct admission *a, struct loop *l)
{
    *a = (struct admission){.loop = l, .limit = 1, .base = 1, .patience = 1, .epochs_left = 1};
    a->is_trying_up = true;
    a->lease.fire = lease_over;
    a->epoch_since_ns = loop_now_ns(l);
    list_head_init(&a->holders);
    list_head_init(&a->queue);
    a->m_waits = metric_counter("sherd_txn_admission_waits_total", NULL,
                                "transactions that waited because their sessions met conflicts");
    a->m_limit = metric_gauge("sherd_txn_admission_limit", NULL,
                              "transactions of such sessions that run at a time");
}

void admission_deinit(struct admission *a)
{
    ASSERT(a->held == 0 && list_is_empty(&a->queue));
    timer_stop(&a->lease);
}

/* ---- the search ---- */

static int step_from(int limit, bool is_up)
{
    int step = limit / 2 > 0 ? limit / 2 : 1;
    if (is_up) {
        return limit + step < ADMISSION_LIMIT_MAX ? limit + step : ADMISSION_LIMIT_MAX;
    }
    return limit * 2 / 3 > 1 ? limit * 2 / 3 : 1; /* 3/2 back */
}

static void end_trial(struct admission *a, double rate)
{
    bool is_better = a->limit > a->base ? rate > a->base_rate * GAIN : rate > a->base_rate * LOSS;
    if (is_better) {
        a->base = a->limit;
        a->base_rate = rate;
        a->patience = 1;
    } else {
        a->is_trying_up = !a->is_trying_up;
        a->patience = a->patience * 2 < PATIENCE_MAX ? a->patience * 2 : PATIENCE_MAX;
    }
    a->limit = a->base;
    a->epochs_left = a->patience;
}

static void end_epoch(struct admission *a, double rate)
{
    if (a->limit != a->base) {
        end_trial(a, rate);
        return;
    }
    if (rate > a->base_rate * OTHER_LOAD || rate * OTHER_LOAD < a->base_rate) {
        a->base_rate = rate;
        a->patience = 1;
        a->epochs_left = a->epochs_left < 1 ? a->epochs_left : 1;
    } else {
        a->base_rate = a->base_rate * MEMORY + rate * (1 - MEMORY);
    }
    if (--a->epochs_left <= 0) {
        a->is_trying_up |= a->base == 1;
        a->limit = step_from(a->base, a->is_trying_up);
    }
}

static void note_end(struct admission *a, bool committed)
{
    a->finished++;
    a->committed += committed;
    uint64_t now = loop_now_ns(a->loop), took = now - a->epoch_since_ns;
    if (a->finished < EPOCH_TXNS || took < EPOCH_NS) {
        return;
    }
    end_epoch(a, a->committed * 1e9 / (double)took);
    metric_set(a->m_limit, a->limit);
    a->epoch_since_ns = now;
    a->finished = a->committed = 0;
}

/* ---- tickets ---- */

struct status *admission_enter(struct fiber *f, struct admission *a, struct admission_ticket *t)
{
    if (t->state != ADMISSION_FREE || t->heat == 0) {
        return NULL;
    }
    t->heat--;
    if (a->held < a->limit && list_is_empty(&a->queue)) {
        grant(a, t);
        return NULL;
    }
    t->state = ADMISSION_WAITING;
    t->fiber = f;
    list_push_back(&a->queue, &t->link);
    metric_add(a->m_waits, 1);
    grant_waiting(a);
    struct status *st = NULL;
    while (st == NULL && t->state == ADMISSION_WAITING) {
        st = fiber_park(f);
    }
    t->fiber = NULL;
    if (st == NULL) {
        return NULL;
    }
    if (t->state != ADMISSION_EXPIRED) { /* in the queue, or among the holders */
        list_unlink(&t->link);
        a->held -= t->state == ADMISSION_HELD;
    }
    t->state = ADMISSION_FREE;
    grant_waiting(a);
    return st;
}

void admission_conflict(struct admission_ticket *t)
{
    t->heat = t->heat + HEAT_CONFLICT < HEAT_MAX ? t->heat + HEAT_CONFLICT : HEAT_MAX;
}

void admission_leave(struct admission *a, struct admission_ticket *t, bool committed)
{
    if (t->state == ADMISSION_FREE) {
        return;
    }
    ASSERT(t->state != ADMISSION_WAITING);
    if (t->state == ADMISSION_HELD) {
        list_unlink(&t->link);
        a->held--;
    }
    t->state = ADMISSION_FREE;
    note_end(a, committed);
    grant_waiting(a);
}
