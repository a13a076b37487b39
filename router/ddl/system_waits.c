/* sherd_lock_waits: who waits for a row lock of whom, as the leaders of all shards tell it now. */
#include "system_internal.h"

#include "../session/session_internal.h"

#include "api/rpc.h"
#include "base/check.h"
#include "txn_internal.h"

#define WAITS_DEADLINE_MS 1000
#define NODES_MAX 256

struct node_set {
    uint64_t ids[NODES_MAX];
    int n;
};

/* The nodes that have a replica of some shard, each once. */
static bool add_nodes(void *ctx, const struct shard_info *s)
{
    struct node_set *set = ctx;
    for (size_t k = 0; k < s->replica_count; k++) {
        bool is_known = false;
        for (int i = 0; i < set->n && !is_known; i++) {
            is_known = set->ids[i] == s->replicas[k].node_id;
        }
        if (!is_known && set->n < NODES_MAX) {
            set->ids[set->n++] = s->replicas[k].node_id;
        }
    }
    return set->n < NODES_MAX;
}

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

/* The waits for row locks at all leaders, as each tells them now; a node that does not answer
 * is an error, since its waits would be missing. */
FILL(sherd_lock_waits)
{
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "sherd_lock_waits");
    struct node_set nodes = {0};
    shard_map_scan(router_meta(x->env.router), slice_make(NULL, 0), slice_make(NULL, 0), add_nodes,
                   &nodes);
    int n = nodes.n;
    struct router *r = x->env.router;
    struct rpc_call *calls = ARENA_ARRAY(m.a, struct rpc_call, n + 1);
    Sherd__V1__WaitsRequest q = SHERD__V1__WAITS_REQUEST__INIT;
    uint64_t outer = fiber_deadline(f),
             limit = loop_clock_ns(r->loop) + ms_to_ns(WAITS_DEADLINE_MS);
    fiber_set_deadline(f, outer == 0 || limit < outer ? limit : outer);
    for (int i = 0; i < n; i++) {
        rpc_start(f, r->rpc, nodes.ids[i], RPC_SHARD_WAITS, &q, m.a, &calls[i]);
    }
    struct status *st = NULL;
    for (int i = 0; i < n; i++) {
        struct status *one = rpc_wait(f, &calls[i]);
        if (one != NULL) {
            st = st == NULL ? one : (status_free(one), st);
            continue;
        }
        const Sherd__V1__WaitsReply *reply = calls[i].reply;
        for (size_t k = 0; k < reply->n_edges; k++) {
            const Sherd__V1__WaitEdge *e = reply->edges[k];
            put_int(&m, (int64_t)e->shard_id);
            put_int(&m, (int64_t)e->wait);
            put_txn(&m, e->waiter);
            put_txn(&m, e->holder);
            put_pid_of(&m, e->waiter);
            put_pid_of(&m, e->holder);
            row_end(&m);
        }
    }
    fiber_set_deadline(f, outer);
    return st;
}
