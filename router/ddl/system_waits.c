/* sherd_lock_waits: who waits for whom, as the leaders of all shards and all routers tell it now.
 */
#include "system_internal.h"

#include "../session/session_internal.h"

#include "api/rpc.h"
#include "base/check.h"
#include "txn_internal.h"

#define WAITS_DEADLINE_MS 1000

static void put_txn(struct row_maker *m, const Sherd__V1__TxnId *id)
{
    put_text(m, id == NULL ? NULL
                           : arena_printf(m->a, "%llu.%llu", (unsigned long long)id->incarnation,
                                          (unsigned long long)id->counter));
}

/* NULL: a session of another node, or a transaction that has no session any more. */
static void put_pid_of(struct row_maker *m, const Sherd__V1__TxnId *id)
{
    struct router *r = m->x->env.router;
    LIST_FOREACH(it, &r->sessions)
    {
        const struct session *s = LIST_ITEM(it, struct session, link);
        if (id != NULL && s->txn != NULL && id->incarnation == r->incarnation &&
            id->counter == s->txn->counter) {
            put_int(m, s->id);
            return;
        }
    }
    put_null(m);
}

/* Of a wait for a schema change at this node's own router. */
static void put_waiting_session(struct row_maker *m, const Sherd__V1__WaitEdge *e, bool is_own)
{
    if (is_own && e->session != 0) {
        put_int(m, e->session);
    } else {
        put_pid_of(m, e->waiter);
    }
}

static void put_edges(struct row_maker *m, const Sherd__V1__WaitsReply *reply, bool is_own)
{
    for (size_t k = 0; k < reply->n_edges; k++) {
        const Sherd__V1__WaitEdge *e = reply->edges[k];
        if (e->shard_id != 0) {
            put_int(m, (int64_t)e->shard_id);
        } else {
            put_null(m);
        }
        put_int(m, (int64_t)e->wait);
        put_txn(m, e->waiter);
        put_txn(m, e->holder);
        put_waiting_session(m, e, is_own);
        put_pid_of(m, e->holder);
        if (e->job_id != 0) {
            put_int(m, (int64_t)e->job_id);
        } else {
            put_null(m);
        }
        row_end(m);
    }
}

static void put_missing(struct row_maker *m, uint64_t node_id, struct status *why)
{
    session_notice(m->x->env.session,
                   status_sql(INVALID, "01000",
                              "node %llu does not answer (%s): waits at its shards are not shown",
                              (unsigned long long)node_id, why->message),
                   "WARNING");
    status_free(why);
}

/* The waits for row locks at all leaders and for schema changes at all routers, as each tells them
 * now. A node that is down leads nothing and has no sessions; of a shard server that does not
 * answer a warning tells, since it may be alive behind a cut. */
FILL(sherd_lock_waits)
{
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "sherd_lock_waits");
    struct router *r = x->env.router;
    uint64_t nodes[2 * NODE_LIST_MAX];
    size_t shards = shard_map_nodes(r->meta, nodes, NODE_LIST_MAX);
    size_t n = shards + router_nodes(r->meta, nodes + shards, NODE_LIST_MAX);
    struct rpc_call *calls = ARENA_ARRAY(m.a, struct rpc_call, n + 1);
    Sherd__V1__WaitsRequest q = SHERD__V1__WAITS_REQUEST__INIT;
    uint64_t outer = fiber_deadline(f),
             limit = loop_clock_ns(r->loop) + ms_to_ns(WAITS_DEADLINE_MS);
    bool is_ours = outer == 0 || limit < outer; /* not the statement's own end */
    fiber_set_deadline(f, is_ours ? limit : outer);
    for (size_t i = 0; i < n; i++) {
        rpc_start(f, r->rpc, nodes[i], i < shards ? RPC_SHARD_WAITS : RPC_COORDINATOR_WAITS, &q,
                  m.a, &calls[i]);
    }
    struct status *st = NULL;
    for (size_t i = 0; i < n; i++) {
        struct status *one = rpc_wait(f, &calls[i]);
        bool is_silent =
            status_is(one, STATUS_UNAVAILABLE) || (is_ours && status_is(one, STATUS_TIMEOUT));
        if (one == NULL) {
            put_edges(&m, calls[i].reply, i >= shards && nodes[i] == r->node_id);
        } else if (i < shards && is_silent) {
            put_missing(&m, nodes[i], one);
        } else if (i < shards && st == NULL) {
            st = one;
        } else {
            status_free(one);
        }
    }
    fiber_set_deadline(f, outer);
    return st;
}
