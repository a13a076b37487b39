/*
 * Reads in the past on a replica that does not lead (PROTOCOL section 8, last rule).
 *
 * The follower asks the leader to close a timestamp. The leader, confirmed as such (L2), takes a
 * timestamp from the oracle, chooses `closed` at or below it, makes it the floor of its
 * read-timestamp cache (P3 refuses whatever would commit there) and waits until nothing is in
 * flight or prepared at or below it. Then all that was committed at or below `closed` is applied,
 * nothing will be added, and no PREPARED record is left there; its applied index is what the
 * follower has to reach. From then on a read at R <= closed gives there what it gives at the
 * leader.
 *
 * A later leader cannot break the promise: it serves with `low` from the oracle, asked for after
 * its term began (L1), so after this leader was confirmed, so above the timestamp that `closed`
 * came from. The new owner of a split's half likewise (section 9). An entry of this leader that was
 * not applied when it answered is at a higher C, or comes to nothing.
 *
 * Nothing is logged and nobody is told unasked: an idle shard stays quiet, a replica that nobody
 * reads costs nothing. While it is read a follower asks once a second, ahead of need, so that reads
 * go on for a while when the leader is gone.
 */
#include "base/buggify.h"
#include "bounds.h"
#include "metadata/timestamps.h"
#include "server_impl.h"

/* ---- the leader ---- */

struct status *follower_close(struct fiber *f, struct replica *r, struct part *p,
                              const Sherd__V1__CloseRequest *req, Sherd__V1__CloseReply *reply)
{
    uint64_t now;
    TRY(p->env->timestamp(f, p->env->ctx, &now));
    TRY(part_confirm(f, p));
    uint64_t lag = tso_of_wall(SHARD_CLOSE_LAG_MS);
    uint64_t closed = now > lag ? now - lag : 0;
    closed = req->ts > closed ? req->ts : closed;
    closed = closed < now ? closed : now;
    if (!bug_on(BUG_CLOSE_NO_FLOOR)) {
        rtc_raise_floor(&p->rtc, closed);
    }
    if (!bug_on(BUG_CLOSE_NO_WAIT)) {
        TRY(part_wait_settled(f, p, closed));
    }
    TRY(part_confirm(f, p)); /* in this term until now: what it waited for is its own doing */
    reply->closed = closed;
    reply->index = group_applied_index(r->group);
    metric_add(r->server->m_closes, 1);
    return NULL;
}

/* ---- the follower ---- */

static bool shadow_is_whole(void *ctx)
{
    const struct replica *r = ctx;
    return !r->is_closing && r->group != NULL && !group_is_replacing(r->group);
}

static struct status *shadow_confirm(struct fiber *f, void *ctx)
{
    (void)f;
    return replica_not_leader(ctx); /* the state is in pieces: let the leader serve it */
}

static struct status *shadow_not_leader(void *ctx)
{
    return replica_not_leader(ctx);
}

void follower_init(struct replica *r)
{
    cond_init(&r->closed.answered);
    r->shadow_env = (struct part_env){.loop = r->server->loop,
                                      .lease_valid = shadow_is_whole,
                                      .confirm = shadow_confirm,
                                      .not_leader = shadow_not_leader,
                                      .ctx = r,
                                      .shard_id = r->shard_id};
}

void follower_deinit(struct replica *r)
{
    if (r->shadow != NULL) {
        part_end(r->shadow);
        part_unref(r->shadow);
        r->shadow = NULL;
    }
}

/* Asks the leader; what it answers goes into r->closed. */
static struct status *ask(struct fiber *f, struct replica *r, uint64_t ts)
{
    struct shard_server *s = r->server;
    uint64_t leader = r->group != NULL ? group_leader_node(r->group) : 0;
    if (leader == 0) {
        return rpc_not_leader(0);
    }
    r->closed.asked_ns = loop_clock_ns(s->loop);
    struct arena *a = arena_create(0);
    Sherd__V1__CloseRequest q = SHERD__V1__CLOSE_REQUEST__INIT;
    q.shard_id = r->shard_id;
    q.ts = ts;
    Sherd__V1__CloseReply *reply = NULL;
    uint64_t outer = fiber_deadline(f);
    uint64_t inner = loop_clock_ns(s->loop) + ms_to_ns(SHARD_CLOSE_WAIT_MS);
    fiber_set_deadline(f, outer == 0 || inner < outer ? inner : outer);
    struct status *st = rpc_call(f, s->o.rpc, leader, RPC_SHARD_CLOSE, &q, a, (void **)&reply);
    fiber_set_deadline(f, outer);
    if (st == NULL && reply->closed > r->closed.ts) {
        r->closed.ts = reply->closed;
        r->closed.index = reply->index > r->closed.index ? reply->index : r->closed.index;
    }
    arena_destroy(a);
    return st;
}

/* One question at a time, for all who wait. */
static struct status *ask_once(struct fiber *f, struct replica *r, uint64_t ts)
{
    if (r->closed.is_asking) {
        return cond_wait(f, &r->closed.answered);
    }
    r->closed.is_asking = true;
    struct status *st = ask(f, r, ts);
    r->closed.is_asking = false;
    cond_broadcast(&r->closed.answered);
    return st;
}

static void ask_ahead(struct fiber *f, struct shard_server *s, void *arg)
{
    (void)s;
    struct replica *r = arg;
    if (!r->is_closing && !r->closed.is_asking) {
        status_free(
            ask_once(f, r, 0)); /* refused: who needs it asks again, or goes to the leader */
    }
    replica_leave(r);
}

/* Until R <= closed and what that needs is applied here. */
static struct status *reach(struct fiber *f, struct replica *r, uint64_t ts)
{
    struct shard_server *s = r->server;
    uint64_t give_up = loop_clock_ns(s->loop) + ms_to_ns(SHARD_CLOSE_WAIT_MS);
    for (int tries = 0; r->closed.ts < ts; tries++) {
        if (r->is_closing || tries == 3) {
            return replica_not_leader(r);
        }
        TRY(ask_once(f, r, ts));
    }
    uint64_t outer = fiber_deadline(f);
    fiber_set_deadline(f, outer == 0 || give_up < outer ? give_up : outer);
    struct status *st = NULL;
    while (st == NULL && !r->is_closing && !bug_on(BUG_FOLLOWER_EARLY) &&
           group_applied_index(r->group) < r->closed.index) {
        st = cond_wait(f, &r->applied);
    }
    fiber_set_deadline(f, outer);
    TRY(st);
    return r->is_closing || r->state->epoch == 0 ? replica_not_leader(r) : NULL;
}

struct status *follower_read(struct fiber *f, struct replica *r, struct arena *a,
                             const Sherd__V1__ReadRequest *req, Sherd__V1__ReadReply *reply)
{
    struct shard_server *s = r->server;
    if (req->ts == 0 || (req->txn != NULL && !req->txn->read_only)) {
        return replica_not_leader(r);
    }
    struct status *st = reach(f, r, req->ts);
    if (st != NULL) {
        /* Not the caller's own end: the leader may still serve it. */
        if (fiber_is_cancelled(f) || st->code == STATUS_NOT_LEADER) {
            return st;
        }
        status_free(st);
        return replica_not_leader(r);
    }
    if (loop_clock_ns(s->loop) - r->closed.asked_ns > ms_to_ns(SHARD_CLOSE_EACH_MS) &&
        !r->closed.is_asking) {
        r->closed.asked_ns = loop_clock_ns(s->loop);
        replica_enter(r);
        server_spawn(s, ask_ahead, r);
    }
    if (r->shadow == NULL) {
        r->shadow = part_shadow(&r->shadow_env, r->state);
    }
    metric_add(s->m_follower_reads, 1);
    struct part *p = part_ref(r->shadow);
    st = part_read(f, p, a, req, reply);
    part_unref(p);
    return st;
}
