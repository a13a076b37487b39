/*
 * Deadlocks across shards. A cycle within one shard is found where it closes (deadlock.c); the
 * others are looked for by the nodes where somebody has waited for a while, or whom a router asks:
 * each collects the edges (waiter, holder) of all nodes, and where the same waits are on a cycle in
 * two collections one after the other, the youngest transaction on it gets 40P01. Routers have
 * edges too: waits for tables that a transaction is changing (router/ddl/schema_waits.h).
 *
 * Twice, because edges collected one after the other may never have been there together. A wait has
 * a number and stays until it ends, so a cycle of waits that all were there both before and after a
 * moment was there at that moment: it is a deadlock. All who look choose the same victim.
 */
#include "base/check.h"
#include "base/log.h"
#include "server_impl.h"

#include <stdlib.h>

struct edge {
    struct txn_id waiter, holder;
    uint64_t shard_id, wait, start;
};

struct edges {
    struct edge *items;
    size_t count, cap;
};

static void edges_add(struct edges *e, struct edge x)
{
    if (e->count == e->cap) {
        e->cap = e->cap == 0 ? 64 : e->cap * 2;
        e->items = mem_realloc(e->items, e->cap * sizeof(*e->items));
    }
    e->items[e->count++] = x;
}

struct local_edges {
    struct edges *edges;
    uint64_t shard_id;
};

static void add_local(void *ctx, const struct lock_wait_item *w, const struct lock_owner *holder)
{
    struct local_edges *l = ctx;
    edges_add(l->edges, (struct edge){.waiter = w->owner->id,
                                      .holder = holder->id,
                                      .shard_id = l->shard_id,
                                      .wait = w->number,
                                      .start = w->owner->start});
}

static void collect_own(struct shard_server *s, uint64_t min_age_ms, struct edges *out)
{
    struct replica *r, *tmp;
    HASH_ITER(hh, s->replicas, r, tmp)
    {
        if (r->part != NULL) {
            struct local_edges l = {out, r->shard_id};
            deadlock_edges(&r->part->locks, loop_now_ns(s->loop), ms_to_ns(min_age_ms), add_local,
                           &l);
        }
    }
}

static Sherd__V1__TxnId *pb_id(struct arena *a, struct txn_id id)
{
    Sherd__V1__TxnId *x = arena_alloc(a, sizeof(*x));
    sherd__v1__txn_id__init(x);
    x->incarnation = id.incarnation;
    x->counter = id.counter;
    return x;
}

static Sherd__V1__WaitEdge *pb_edge(struct arena *a, const struct edge *e)
{
    Sherd__V1__WaitEdge *x = arena_alloc(a, sizeof(*x));
    sherd__v1__wait_edge__init(x);
    x->waiter = pb_id(a, e->waiter);
    x->holder = pb_id(a, e->holder);
    x->shard_id = e->shard_id;
    x->wait = e->wait;
    x->start = e->start;
    return x;
}

static void search_now(struct shard_server *s);

struct status *waits_handle(struct fiber *f, struct rpc_context *ctx, const void *request,
                            void **out_reply, void *handler_ctx)
{
    (void)f;
    struct shard_server *s = handler_ctx;
    const Sherd__V1__WaitsRequest *q = request;
    Sherd__V1__WaitsReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__waits_reply__init(reply);
    *out_reply = reply;
    if (q->kill != NULL) {
        struct replica *r = server_replica(s, q->kill->shard_id);
        if (r != NULL && r->part != NULL) {
            deadlock_kill(&r->part->locks, txn_id_from(q->kill->waiter), q->kill->wait);
        }
        return NULL;
    }
    if (q->search) {
        s->is_search_asked = true;
        search_now(s);
        return NULL;
    }
    struct edges e = {0};
    collect_own(s, q->min_age_ms, &e);
    reply->edges = ARENA_ARRAY(ctx->arena, Sherd__V1__WaitEdge *, e.count + 1);
    for (size_t i = 0; i < e.count; i++) {
        reply->edges[reply->n_edges++] = pb_edge(ctx->arena, &e.items[i]);
    }
    mem_free(e.items);
    return NULL;
}

/* ---- the search ---- */

/* Asked all at once, routers after shard servers. */
struct asked {
    struct rpc_call *calls;
    size_t count;
};

static void ask_start(struct fiber *f, struct shard_server *s, struct asked *x, struct arena *a,
                      enum rpc_method m, const Sherd__V1__WaitsRequest *q, const uint64_t *nodes,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (m != RPC_SHARD_WAITS || nodes[i] != s->o.node_id) {
            rpc_start(f, s->o.rpc, nodes[i], m, q, a, &x->calls[x->count++]);
        }
    }
}

static void add_reply(struct edges *out, const Sherd__V1__WaitsReply *r)
{
    for (size_t k = 0; k < r->n_edges; k++) {
        const Sherd__V1__WaitEdge *e = r->edges[k];
        if (e->waiter != NULL && e->holder != NULL) {
            edges_add(out, (struct edge){.waiter = txn_id_from(e->waiter),
                                         .holder = txn_id_from(e->holder),
                                         .shard_id = e->shard_id,
                                         .wait = e->wait,
                                         .start = e->start});
        }
    }
}

static struct status *collect_all(struct fiber *f, struct shard_server *s, struct edges *out)
{
    uint64_t shards[NODE_LIST_MAX], routers[NODE_LIST_MAX];
    size_t shard_count = shard_map_nodes(s->o.meta, shards, NODE_LIST_MAX);
    size_t router_count = router_nodes(s->o.meta, routers, NODE_LIST_MAX);
    struct arena *a = arena_create(0);
    Sherd__V1__WaitsRequest q = SHERD__V1__WAITS_REQUEST__INIT;
    struct asked x = {ARENA_ARRAY(a, struct rpc_call, shard_count + router_count + 1), 0};
    uint64_t outer = fiber_set_deadline(f, loop_clock_ns(s->loop) + ms_to_ns(500));
    ask_start(f, s, &x, a, RPC_SHARD_WAITS, &q, shards, shard_count);
    ask_start(f, s, &x, a, RPC_COORDINATOR_WAITS, &q, routers, router_count);
    collect_own(s, 0, out);
    for (size_t i = 0; i < x.count; i++) {
        struct status *st = rpc_wait(f, &x.calls[i]);
        if (st ==
            NULL) { /* a node that is away contributes nothing: its part of a cycle is not seen */
            add_reply(out, x.calls[i].reply);
        }
        status_free(st);
    }
    fiber_set_deadline(f, outer);
    arena_destroy(a);
    return fiber_check(f);
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_ids(struct txn_id a, struct txn_id b)
{
    int c = order(a.incarnation, b.incarnation);
    return c != 0 ? c : order(a.counter, b.counter);
}

static int compare_edges(const void *x, const void *y)
{
    const struct edge *a = x, *b = y;
    int c = compare_ids(a->waiter, b->waiter);
    c = c != 0 ? c : compare_ids(a->holder, b->holder);
    c = c != 0 ? c : order(a->shard_id, b->shard_id);
    return c != 0 ? c : order(a->wait, b->wait);
}

static int compare_waiter(const void *key, const void *item)
{
    return compare_ids(*(const struct txn_id *)key, ((const struct edge *)item)->waiter);
}

static void edges_sort(struct edges *e)
{
    if (e->count > 1) {
        qsort(e->items, e->count, sizeof(*e->items), compare_edges);
    }
}

/* Only what was there in the earlier collection too. Both are sorted. */
static void keep_common(struct edges *now, const struct edges *before)
{
    size_t kept = 0;
    for (size_t i = 0, k = 0; i < now->count; i++) {
        while (k < before->count && compare_edges(&before->items[k], &now->items[i]) < 0) {
            k++;
        }
        if (k < before->count && compare_edges(&before->items[k], &now->items[i]) == 0) {
            now->items[kept++] = now->items[i];
        }
    }
    now->count = kept;
}

/* Takes away edges to who waits for nothing until only cycles and what leads into them are left:
 * nothing, as a rule. */
static void keep_cyclic(struct edges *e)
{
    size_t before;
    do {
        before = e->count;
        size_t kept = 0;
        for (size_t i = 0; i < before; i++) {
            /* In place: what is taken away now is found in the next round. */
            struct edge x = e->items[i];
            size_t rest = before - i;
            if ((kept > 0 &&
                 bsearch(&x.holder, e->items, kept, sizeof(x), compare_waiter) != NULL) ||
                bsearch(&x.holder, e->items + i, rest, sizeof(x), compare_waiter) != NULL) {
                e->items[kept++] = x;
            }
        }
        e->count = kept;
    } while (e->count != before);
}

/* The victim is the youngest waiter that can reach itself. */
static bool reaches_itself(const struct edges *e, struct txn_id id, uint8_t *seen)
{
    memset(seen, 0, e->count);
    bool changed = true;
    for (size_t i = 0; i < e->count; i++) {
        seen[i] = txn_id_eq(e->items[i].waiter, id);
    }
    while (changed) {
        changed = false;
        for (size_t i = 0; i < e->count; i++) {
            if (seen[i] != 1) {
                continue;
            }
            if (txn_id_eq(e->items[i].holder, id)) {
                return true;
            }
            seen[i] = 2;
            for (size_t k = 0; k < e->count; k++) {
                if (seen[k] == 0 && txn_id_eq(e->items[k].waiter, e->items[i].holder)) {
                    seen[k] = 1;
                }
            }
            changed = true;
        }
    }
    return false;
}

static bool find_victim(const struct edges *e, struct edge *out)
{
    bool found = false;
    uint8_t *seen = mem_alloc(e->count + 1);
    for (size_t i = 0; i < e->count; i++) {
        const struct edge *x = &e->items[i];
        if (found && !deadlock_younger(x->start, x->waiter, out->start, out->waiter)) {
            continue;
        }
        if (reaches_itself(e, x->waiter, seen)) {
            *out = *x;
            found = true;
        }
    }
    mem_free(seen);
    return found;
}

static void kill_wait(struct fiber *f, struct shard_server *s, const struct edge *e)
{
    struct replica *r = server_replica(s, e->shard_id);
    metric_add(s->m_deadlocks, 1);
    if (r != NULL && r->part != NULL && deadlock_kill(&r->part->locks, e->waiter, e->wait)) {
        return;
    }
    struct arena *a = arena_create(0);
    Sherd__V1__WaitsRequest q = SHERD__V1__WAITS_REQUEST__INIT;
    q.kill = pb_edge(a, e);
    uint64_t nodes[NODE_LIST_MAX]; /* only its leader, or its router, has the wait */
    size_t n = 0;
    if (e->shard_id == 0) {
        n = router_nodes(s->o.meta, nodes, NODE_LIST_MAX);
    } else {
        const struct shard_info *info = shard_map_by_id(s->o.meta, e->shard_id);
        for (; info != NULL && n < info->replica_count; n++) {
            nodes[n] = info->replicas[n].node_id;
        }
    }
    struct asked x = {ARENA_ARRAY(a, struct rpc_call, n + 1), 0};
    uint64_t outer = fiber_set_deadline(f, loop_clock_ns(s->loop) + ms_to_ns(500));
    ask_start(f, s, &x, a, e->shard_id == 0 ? RPC_COORDINATOR_WAITS : RPC_SHARD_WAITS, &q, nodes,
              n);
    for (size_t i = 0; i < x.count; i++) {
        status_consume(rpc_wait(f, &x.calls[i]));
    }
    fiber_set_deadline(f, outer);
    arena_destroy(a);
}

/* A holder that has been silent while others wait for it: is its transaction still there? */
static void ask_after_holder(void *ctx, const struct lock_wait_item *w,
                             const struct lock_owner *holder)
{
    struct part *p = ctx;
    (void)w;
    if (txn_id_is_none(holder->id)) {
        return; /* the collector's */
    }
    struct work *x = CONTAINER_OF(holder, struct work, owner);
    if (x->state == WORK_OPEN && x->refs == 1 &&
        loop_now_ns(p->env->loop) - x->last_used_ns > ms_to_ns(SHARD_ASK_MS)) {
        x->is_waited_on = true;
        p->env->idle(p->env->ctx, x);
    }
}

static void ask_after_holders(struct shard_server *s)
{
    struct replica *r, *tmp;
    HASH_ITER(hh, s->replicas, r, tmp)
    {
        if (r->part != NULL) {
            deadlock_edges(&r->part->locks, loop_now_ns(s->loop), ms_to_ns(SHARD_ASK_MS),
                           ask_after_holder, r->part);
        }
    }
}

struct newest {
    uint64_t since_ns;
};

static void see_since(void *ctx, const struct lock_wait_item *w, const struct lock_owner *holder)
{
    struct newest *n = ctx;
    (void)holder;
    n->since_ns = w->since_ns > n->since_ns ? w->since_ns : n->since_ns;
}

/* When the newest of the waits began that are old enough to be looked at; 0: there is none. */
static uint64_t newest_old_wait(struct shard_server *s, uint64_t min_age_ms)
{
    struct newest n = {0};
    struct replica *r, *tmp;
    HASH_ITER(hh, s->replicas, r, tmp)
    {
        if (r->part != NULL) {
            deadlock_edges(&r->part->locks, loop_now_ns(s->loop), ms_to_ns(min_age_ms), see_since,
                           &n);
        }
    }
    return n.since_ns;
}

/* *out_found: there was a deadlock. */
static struct status *search_once(struct fiber *f, struct shard_server *s, bool *out_found)
{
    struct edges before = {0}, now = {0};
    struct edge victim;
    struct status *st = collect_all(f, s, &before);
    if (st == NULL) {
        st = collect_all(f, s, &now);
    }
    ask_after_holders(s);
    edges_sort(&before);
    edges_sort(&now);
    keep_common(&now, &before);
    keep_cyclic(&now);
    *out_found = st == NULL && find_victim(&now, &victim);
    mem_free(before.items);
    mem_free(now.items);
    if (*out_found) {
        kill_wait(f, s, &victim);
    }
    metric_add(s->m_deadlock_searches, st == NULL ? 1 : 0);
    return st;
}

/* While there are old waits. Those that have been looked at are looked at ever more rarely: what
 * closes a cycle later is a new wait. */
static void search(struct fiber *f, struct shard_server *s, void *arg)
{
    (void)arg;
    uint64_t pause_ms = SHARD_DEADLOCK_MS, due_ns = 0;
    struct status *st = NULL;
    while (st == NULL && !s->is_stopping) {
        uint64_t newest = newest_old_wait(s, SHARD_DEADLOCK_MS), now = loop_clock_ns(s->loop);
        if (newest == 0 && !s->is_search_asked) {
            break;
        }
        bool found = false;
        if (s->is_search_asked || newest > s->searched_to_ns) {
            pause_ms = SHARD_DEADLOCK_MS;
            due_ns = now;
        }
        if (now >= due_ns) {
            s->is_search_asked = false;
            s->searched_to_ns = newest > s->searched_to_ns ? newest : s->searched_to_ns;
            st = search_once(f, s, &found);
            pause_ms = found                     ? SHARD_DEADLOCK_MS
                       : pause_ms * 3 / 2 < 1000 ? pause_ms * 3 / 2
                                                 : 1000;
            due_ns = loop_clock_ns(s->loop) + ms_to_ns(pause_ms);
        }
        if (st == NULL && !s->is_search_due) {
            fiber_set_deadline(f, due_ns);
            status_consume(cond_wait(f, &s->search_wake));
            fiber_set_deadline(f, 0);
            st = fiber_check(f);
        }
        s->is_search_due = false;
    }
    status_free(st);
    s->is_searching = false;
    if (!s->is_stopping && newest_old_wait(s, 0) != 0) {
        waits_begun(s);
    }
}

static void search_now(struct shard_server *s)
{
    if (s->is_stopping) {
        return;
    }
    s->is_search_due = true;
    if (s->is_searching) {
        cond_signal(&s->search_wake);
        return;
    }
    s->is_searching = true;
    server_spawn(s, search, NULL);
}

static void waits_fire(struct timer *t)
{
    search_now(CONTAINER_OF(t, struct shard_server, waits_timer));
}

void waits_begun(struct shard_server *s)
{
    if (!s->is_stopping && !timer_is_armed(&s->waits_timer)) {
        s->waits_timer.fire = waits_fire;
        timer_start(s->loop, &s->waits_timer, ms_to_ns(SHARD_DEADLOCK_MS + 5));
    }
}
