/*
 * The timestamp oracle on the leader: tso.h's arithmetic with the lease, the log and the clock
 * around it.
 *
 *  T1  A window is open only when its end is committed in the log. A leader asks for its first
 * window in the turn in which it becomes ready: one Raft round later it hands out timestamps. T2  A
 * timestamp is handed out in a turn in which the lease is valid, or in which a quorum, asked after
 * the request came, has confirmed this leader.
 *
 * The window is moved on early, when a third is gone, so nobody waits for it; when nobody has asked
 * for TSO_IDLE_MS it is let go, so that an idle cluster writes nothing, and the next one to ask
 * waits one Raft round.
 *
 * META_TIMESTAMP never parks (it costs a function call on the leader's node): when it would have
 * to, it answers UNAVAILABLE and the caller uses META_TIMESTAMP_WAIT.
 */
#include "server_impl.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

static struct metric *timestamps_metric;
static struct metric *waits_metric;

static void tso_extend(struct meta_server *s, uint64_t count);

static void tso_extend_done(struct group_proposal *p, struct status *st)
{
    struct meta_server *s = CONTAINER_OF(p, struct meta_server, tso_proposal);
    s->tso_in_flight = false;
    /* Applied in an earlier term of this node than now: tso_start() has seen it in the state. */
    if (st == NULL && s->is_leading && p->term == s->term) {
        tso_extended(&s->tso, s->tso_proposed);
    }
    status_free(st);
    cond_broadcast(&s->tso_cond);
    cond_broadcast(&s->calls_cond);
}

static void tso_extend(struct meta_server *s, uint64_t count)
{
    if (s->tso_in_flight || !s->is_leading) {
        return;
    }
    struct meta_batch b;
    struct buf data = {0};
    s->tso_proposed = tso_next_limit(&s->tso, loop_wall_ms(s->loop), count);
    meta_batch_init(&b, &s->fsm);
    b.tso_limit = s->tso_proposed;
    meta_batch_encode(&b, &data);
    s->tso_in_flight = true;
    s->tso_proposal.done = tso_extend_done;
    struct status *st = group_propose(s->group, buf_slice(&data), &s->tso_proposal);
    if (st != NULL) {
        /* Not the leader any more, or the log is full: whoever waits asks again at the next
         * wake-up. */
        s->tso_in_flight = false;
        status_free(st);
    }
    buf_deinit(&data);
    meta_batch_deinit(&b);
}

/* Keeps the window open while timestamps are asked for. */
static void tso_timer_fire(struct timer *t)
{
    struct meta_server *s = CONTAINER_OF(t, struct meta_server, tso_timer);
    if (!s->is_leading || loop_now_ns(s->loop) - s->tso_asked_ns > ms_to_ns(TSO_IDLE_MS)) {
        return;
    }
    if (tso_left_ms(&s->tso, loop_wall_ms(s->loop)) < TSO_EXTEND_BELOW_MS) {
        tso_extend(s, 1);
    }
    cond_broadcast(&s->tso_cond);
    timer_start(s->loop, t, ms_to_ns(TSO_EXTEND_BELOW_MS / 4));
}

void meta_oracle_init(struct meta_server *s)
{
    s->tso_timer.fire = tso_timer_fire;
    cond_init(&s->tso_cond);
    timestamps_metric =
        metric_counter("sherd_meta_timestamps_total", NULL, "Timestamps handed out");
    waits_metric = metric_counter("sherd_meta_timestamp_waits_total", NULL,
                                  "Timestamp requests that waited for a window or a quorum");
}

void meta_oracle_lead(struct meta_server *s)
{
    tso_start(&s->tso, s->fsm.tso_limit);
    int64_t ahead_ms = tso_wall_ms(s->tso.limit) - loop_wall_ms(s->loop);
    if (ahead_ms > 3600 * 1000) {
        LOGW("metadata", "timestamps are %lld s ahead of this node's clock",
             (long long)ahead_ms / 1000);
    }
    s->tso_asked_ns = loop_now_ns(s->loop);
    tso_extend(s, 1);
    timer_start(s->loop, &s->tso_timer, ms_to_ns(TSO_EXTEND_BELOW_MS / 4));
}

void meta_oracle_stop(struct meta_server *s)
{
    timer_stop(&s->tso_timer);
    cond_broadcast(&s->tso_cond);
}

/* From the open window, in this turn. The caller has confirmed the leadership (T2). */
static bool oracle_take(struct meta_server *s, uint32_t count, uint64_t *out_first)
{
    int64_t wall_ms = loop_wall_ms(s->loop);
    s->tso_asked_ns = loop_now_ns(s->loop);
    if (!timer_is_armed(&s->tso_timer)) {
        timer_start(s->loop, &s->tso_timer, ms_to_ns(TSO_EXTEND_BELOW_MS / 4));
    }
    bool ok = tso_take(&s->tso, wall_ms, count, out_first);
    if (!ok || tso_left_ms(&s->tso, wall_ms) < TSO_EXTEND_BELOW_MS) {
        tso_extend(s, count);
    }
    if (ok) {
        metric_add(timestamps_metric, count);
    }
    return ok;
}

static struct status *count_check(uint32_t count)
{
    if (count == 0 || count > META_TIMESTAMPS_MAX) {
        return status_new(INVALID, "%u timestamps asked for, 1 to %u are allowed", count,
                          META_TIMESTAMPS_MAX);
    }
    return NULL;
}

static void *reply_make(struct arena *a, uint64_t first)
{
    Sherd__V1__MetaTimestampReply *reply = ARENA_NEW(a, Sherd__V1__MetaTimestampReply);
    sherd__v1__meta_timestamp_reply__init(reply);
    reply->first = first;
    return reply;
}

static struct status *must_wait(void)
{
    static struct status st = {
        .code = STATUS_UNAVAILABLE,
        .sqlstate = "57P03",
        .is_static = true,
        .message = (char *)"the timestamp window is being moved",
        .file = __FILE__,
        .line = __LINE__,
    };
    return &st;
}

struct status *meta_handle_timestamp(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, struct meta_server *s)
{
    const Sherd__V1__MetaTimestampRequest *r = request;
    uint64_t first;
    (void)f;
    TRY(count_check(r->count));
    if (!meta_is_ready(s)) {
        return s->role == GROUP_LEADER || s->role == GROUP_LEADER_READY ? must_wait()
                                                                        : meta_not_leader(s);
    }
    if (!group_lease_valid(s->group) || !oracle_take(s, r->count, &first)) {
        return must_wait();
    }
    *out_reply = reply_make(ctx->arena, first);
    return NULL;
}

struct status *meta_handle_timestamp_wait(struct fiber *f, struct rpc_context *ctx,
                                          const void *request, void **out_reply,
                                          struct meta_server *s)
{
    const Sherd__V1__MetaTimestampRequest *r = request;
    uint64_t first;
    TRY(count_check(r->count));
    metric_add(waits_metric, 1);
    for (;;) {
        TRY(meta_serving(f, s));
        uint64_t term = s->term;
        TRY(meta_confirm(f, s));
        /* The confirmation was for the leader of that term, its window included. */
        if (!meta_is_ready(s) || s->term != term) {
            continue;
        }
        if (oracle_take(s, r->count, &first)) {
            break;
        }
        TRY(cond_wait(f, &s->tso_cond));
    }
    *out_reply = reply_make(ctx->arena, first);
    return NULL;
}
