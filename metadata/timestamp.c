/*
 * Timestamps for the callers of one node, by T2: a request serves exactly those who queued before
 * it was sent; who comes while it is under way waits for the next one. So one request is in flight,
 * whatever the load, and a caller's timestamp is later than all that were handed out before its
 * call began.
 *
 * On the leader's own node, with nobody queued, the call is made right here: it is a function call
 * that does not park while the leader's window and lease are good.
 *
 * When META_TIMESTAMP says UNAVAILABLE (the leader would have to park, or there is none) the
 * parking form is used, which finds the leader with retries.
 */
#include "client_impl.h"

#include "base/check.h"
#include "base/mem.h"

struct ts_waiter { /* on its fiber's stack */
    struct list link;
    struct fiber *fiber;
    uint64_t ts;
    struct status *st;
    bool is_done;
};

/* One request for `count` timestamps. */
static struct status *ts_request(struct fiber *f, struct meta_client *c, uint32_t count,
                                 uint64_t *out_first)
{
    Sherd__V1__MetaTimestampRequest request = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    request.count = count;
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    void *message = NULL;
    if (c->leader != 0) {
        uint64_t outer = fiber_deadline(f);
        uint64_t inner = loop_now_ns(c->loop) + ms_to_ns(META_TIMESTAMP_ATTEMPT_MS);
        if (outer == 0 || inner < outer) {
            fiber_set_deadline(f, inner);
        }
        st = rpc_call(f, c->rpc, c->leader, RPC_META_TIMESTAMP, &request, a, &message);
        fiber_set_deadline(f, outer);
        if (st == NULL) {
            goto out;
        }
        if (fiber_is_cancelled(f)) {
            goto out;
        }
        status_free(st);
    }
    st = client_call(f, c, RPC_META_TIMESTAMP_WAIT, &request, META_TIMESTAMP_ATTEMPT_MS, a,
                     &message);
out:
    if (st == NULL) {
        *out_first = ((Sherd__V1__MetaTimestampReply *)message)->first;
    }
    arena_destroy(a);
    return st;
}

static void waiter_done(struct ts_waiter *w, uint64_t ts, struct status *st)
{
    list_unlink(&w->link);
    w->ts = ts;
    w->st = st;
    w->is_done = true;
    fiber_wake(w->fiber);
}

/* Serves everybody who is queued now. A waiter that gives up unlinks itself; its timestamp is lost.
 */
static void ts_round(struct fiber *f, struct meta_client *c)
{
    struct list batch;
    uint32_t count = 0;
    uint64_t first = 0;
    list_head_init(&batch);
    while (!list_is_empty(&c->ts_waiters) && count < META_TIMESTAMPS_MAX) {
        list_push_back(&batch, list_pop_front(&c->ts_waiters));
        count++;
    }
    c->ts_under_way = true;
    struct status *st = ts_request(f, c, count, &first);
    c->ts_under_way = false;
    while (!list_is_empty(&batch)) {
        struct ts_waiter *w = LIST_ITEM(batch.next, struct ts_waiter, link);
        waiter_done(w, first++, st == NULL ? NULL : status_copy(st));
    }
    status_free(st);
}

static void ts_run(struct fiber *f, void *arg)
{
    struct meta_client *c = arg;
    while (!c->is_closing) {
        if (!list_is_empty(&c->ts_waiters)) {
            ts_round(f, c);
        } else {
            status_consume(fiber_park(f));
        }
    }
    while (!list_is_empty(&c->ts_waiters)) {
        waiter_done(LIST_ITEM(c->ts_waiters.next, struct ts_waiter, link), 0,
                    status_new(CANCELLED, "this node is stopping"));
    }
    c->fibers--;
    cond_broadcast(&c->ended);
}

void timestamp_start(struct meta_client *c)
{
    list_head_init(&c->ts_waiters);
    c->fibers++;
    c->ts_fiber = fiber_spawn(c->loop, FIBER_STACK_SMALL, ts_run, c);
}

/* The leader is here and nobody waits: *out_ts at once, or false. */
static bool ts_local(struct fiber *f, struct meta_client *c, uint64_t *out_ts)
{
    if (c->leader != rpc_node_id(c->rpc) || c->ts_under_way || !list_is_empty(&c->ts_waiters)) {
        return false;
    }
    Sherd__V1__MetaTimestampRequest request = SHERD__V1__META_TIMESTAMP_REQUEST__INIT;
    request.count = 1;
    struct arena *a = arena_create(0);
    void *message;
    bool failed =
        status_consume(rpc_call(f, c->rpc, c->leader, RPC_META_TIMESTAMP, &request, a, &message));
    if (!failed) {
        *out_ts = ((Sherd__V1__MetaTimestampReply *)message)->first;
    }
    arena_destroy(a);
    return !failed;
}

struct status *meta_timestamp(struct fiber *f, struct meta_client *c, uint64_t *out_ts)
{
    if (ts_local(f, c, out_ts)) {
        return NULL;
    }
    if (c->is_closing) {
        return status_new(CANCELLED, "this node is stopping");
    }
    struct ts_waiter w = {.fiber = f};
    list_push_back(&c->ts_waiters, &w.link);
    if (!c->ts_under_way) {
        fiber_wake(c->ts_fiber);
    }
    while (!w.is_done) {
        struct status *st = fiber_park(f);
        if (st != NULL) {
            list_unlink(&w.link);
            status_free(w.st);
            return st;
        }
    }
    if (w.st == NULL) {
        *out_ts = w.ts;
    }
    return w.st;
}
