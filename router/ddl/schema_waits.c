/* Waits for schema changes, and their part in the search for deadlocks: see schema_waits.h. */
#include "schema_waits.h"

#include "txn_internal.h"

#include "base/mem.h"
#include "metadata/jobs.h"

#define PATIENCE_MS 60000 /* without lock_timeout */
#define OLD_MS 50         /* a wait older than this is looked at: as in the shards */
#define LOOK_MAX_MS 1000
#define ASK_MS 500

static void ask_fiber(struct fiber *f, void *arg);

void schema_wait_begin(struct schema_wait *w, struct router *r, const struct txn *t,
                       uint64_t lock_timeout_ms)
{
    uint64_t now = loop_clock_ns(r->loop);
    uint64_t patience = lock_timeout_ms != 0 ? lock_timeout_ms : PATIENCE_MS;
    *w = (struct schema_wait){.router = r,
                              .txn = t,
                              .number = ++r->schema_wait_counter,
                              .since_ns = now,
                              .give_up_ns = now + ms_to_ns(patience)};
    cond_init(&w->woken);
    list_push_back(&r->schema_waits, &w->link);
    if (!r->is_asking_waits && !r->is_closing) {
        r->is_asking_waits = true;
        r->background++;
        fiber_spawn(r->loop, FIBER_STACK_SMALL, ask_fiber, r);
    }
}

void schema_wait_end(struct schema_wait *w)
{
    list_unlink(&w->link);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct status *schema_wait_pause(struct fiber *f, struct schema_wait *w, uint64_t ms)
{
    struct loop *l = w->router->loop;
    uint64_t until = earlier(loop_clock_ns(l) + ms_to_ns(ms), w->give_up_ns);
    uint64_t outer = fiber_set_deadline(f, earlier(until, fiber_deadline(f)));
    while (!w->is_victim && loop_clock_ns(l) < until) {
        if (status_consume(cond_wait(f, &w->woken))) {
            break;
        }
    }
    fiber_set_deadline(f, outer);
    TRY(fiber_check(f));
    if (w->is_victim) {
        return status_hint(
            status_sql(CONFLICT, "40P01", "deadlock detected"),
            "Transactions waited for each other's schema changes and locks; run this "
            "one again.");
    }
    if (loop_clock_ns(l) >= w->give_up_ns) {
        return status_hint(
            status_sql(UNAVAILABLE, "55P03", "canceling statement due to lock timeout"),
            w->nholders > 0
                ? "Transactions that have used the table are open; see pg_catalog.sherd_lock_waits."
                : "A schema change has the table; see pg_catalog.sherd_jobs and sherd_lock_waits.");
    }
    return NULL;
}

bool schema_job_locks(struct router *r, uint64_t job_id)
{
    struct arena *a = arena_create(0);
    uint64_t revision;
    const Sherd__V1__JobDesc *job = meta_job_get(r->meta, job_id, a, &revision);
    bool locks = job != NULL && job->schema->state != SHERD__V1__SCHEMA_STATE__SCHEMA_BUILDING;
    arena_destroy(a);
    return locks;
}

/* ---- told to others ---- */

static Sherd__V1__TxnId *pb_id(struct arena *a, uint64_t incarnation, uint64_t counter)
{
    Sherd__V1__TxnId *x = ARENA_NEW(a, Sherd__V1__TxnId);
    sherd__v1__txn_id__init(x);
    x->incarnation = incarnation;
    x->counter = counter;
    return x;
}

static Sherd__V1__WaitEdge *edge_to(struct arena *a, const struct schema_wait *w,
                                    uint64_t incarnation, uint64_t counter)
{
    Sherd__V1__WaitEdge *e = ARENA_NEW(a, Sherd__V1__WaitEdge);
    sherd__v1__wait_edge__init(e);
    e->waiter = w->txn != NULL ? pb_id(a, w->router->incarnation, w->txn->counter) : NULL;
    e->holder = pb_id(a, incarnation, counter);
    e->wait = w->number;
    e->start = w->txn != NULL ? w->txn->start : 0;
    e->session = w->session;
    return e;
}

/* The wait for one job; NULL: that job keeps nobody waiting any more, or is of no transaction. */
static Sherd__V1__WaitEdge *edge_of(struct arena *a, const struct schema_wait *w, uint64_t job_id)
{
    struct router *r = w->router;
    uint64_t revision;
    const Sherd__V1__JobDesc *job = meta_job_get(r->meta, job_id, a, &revision);
    if (job == NULL || job->schema->state != SHERD__V1__SCHEMA_STATE__SCHEMA_PENDING) {
        return NULL;
    }
    if (w->txn != NULL && job->schema->txn_incarnation == r->incarnation &&
        job->schema->txn_counter == w->txn->counter) {
        return NULL; /* its own change: it waits for another table of the statement */
    }
    Sherd__V1__WaitEdge *e = edge_to(a, w, job->schema->txn_incarnation, job->schema->txn_counter);
    e->job_id = job_id;
    return e;
}

static void kill_wait(struct router *r, const Sherd__V1__WaitEdge *e)
{
    LIST_FOREACH(it, &r->schema_waits)
    {
        struct schema_wait *w = LIST_ITEM(it, struct schema_wait, link);
        if (w->number == e->wait && w->txn != NULL && e->waiter != NULL &&
            e->waiter->incarnation == r->incarnation && e->waiter->counter == w->txn->counter) {
            w->is_victim = true;
            cond_broadcast(&w->woken);
        }
    }
}

static struct status *waits_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, void *handler_ctx)
{
    (void)f;
    struct router *r = handler_ctx;
    const Sherd__V1__WaitsRequest *q = request;
    Sherd__V1__WaitsReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__WaitsReply);
    sherd__v1__waits_reply__init(reply);
    *out_reply = reply;
    if (q->kill != NULL) {
        kill_wait(r, q->kill);
        return NULL;
    }
    size_t n = 0;
    LIST_FOREACH(it, &r->schema_waits)
    {
        const struct schema_wait *w = LIST_ITEM(it, struct schema_wait, link);
        n += (size_t)(w->njobs + w->nholders);
    }
    reply->edges = ARENA_ARRAY(ctx->arena, Sherd__V1__WaitEdge *, n + 1);
    LIST_FOREACH(it, &r->schema_waits)
    {
        const struct schema_wait *w = LIST_ITEM(it, struct schema_wait, link);
        for (int i = 0; i < w->njobs; i++) {
            Sherd__V1__WaitEdge *e = edge_of(ctx->arena, w, w->jobs[i]);
            if (e != NULL) {
                reply->edges[reply->n_edges++] = e;
            }
        }
        for (int i = 0; i < w->nholders; i++) {
            const struct schema_holder *h = &w->holders[i];
            reply->edges[reply->n_edges++] = edge_to(ctx->arena, w, h->incarnation, h->counter);
        }
    }
    return NULL;
}

void schema_waits_register(struct router *r)
{
    list_head_init(&r->schema_waits);
    rpc_register(r->rpc, RPC_COORDINATOR_WAITS, waits_handler, r, true);
}

void schema_waits_unregister(struct router *r)
{
    rpc_register(r->rpc, RPC_COORDINATOR_WAITS, NULL, NULL, false);
}

/* ---- asking for a search ---- */

/* Any shard server may look: this node's own first. */
static void ask(struct fiber *f, struct router *r)
{
    uint64_t nodes[NODE_LIST_MAX + 1] = {r->node_id};
    size_t n = 1 + shard_map_nodes(r->meta, nodes + 1, NODE_LIST_MAX);
    bool is_asked = false;
    for (size_t i = 0; i < n && !is_asked; i++) {
        Sherd__V1__WaitsRequest q = SHERD__V1__WAITS_REQUEST__INIT;
        q.search = true;
        struct arena *a = arena_create(0);
        void *reply = NULL;
        fiber_set_deadline(f, loop_clock_ns(r->loop) + ms_to_ns(ASK_MS));
        is_asked = !status_consume(rpc_call(f, r->rpc, nodes[i], RPC_SHARD_WAITS, &q, a, &reply));
        fiber_set_deadline(f, 0);
        arena_destroy(a);
    }
}

/* When the newest of the waits began that are old enough to be looked at; 0: there is none. */
static uint64_t newest_old(const struct router *r)
{
    uint64_t now = loop_clock_ns(r->loop), newest = 0;
    LIST_FOREACH(it, &r->schema_waits)
    {
        const struct schema_wait *w = LIST_ITEM(it, struct schema_wait, link);
        if (w->txn != NULL && now - w->since_ns >= ms_to_ns(OLD_MS) && w->since_ns > newest) {
            newest = w->since_ns;
        }
    }
    return newest;
}

/* While anybody waits. A new wait is looked at when it is old enough, the others ever more rarely:
 * what closes a cycle later is a wait of its own. */
static void ask_fiber(struct fiber *f, void *arg)
{
    struct router *r = arg;
    uint64_t seen = 0, due = 0, pause_ms = OLD_MS;
    while (!r->is_closing && !list_is_empty(&r->schema_waits)) {
        uint64_t newest = newest_old(r);
        bool is_new = newest > seen;
        if (is_new || (newest != 0 && loop_clock_ns(r->loop) >= due)) {
            pause_ms = is_new ? OLD_MS : pause_ms * 2 > LOOK_MAX_MS ? LOOK_MAX_MS : pause_ms * 2;
            seen = newest > seen ? newest : seen;
            ask(f, r);
            due = loop_clock_ns(r->loop) + ms_to_ns(pause_ms);
        }
        status_consume(fiber_sleep(f, ms_to_ns(OLD_MS / 2)));
    }
    r->is_asking_waits = false;
    r->background--;
    cond_broadcast(&r->background_done);
}
