/*
 * Deadlocks across shards. A cycle within one shard is found where it closes (deadlock.c); the
 * others are looked for by the nodes where somebody has waited for a while: each collects the edges
 * (waiter, holder) of all nodes, and where the same waits are on a cycle in two collections one
 * after the other, the youngest transaction on it gets 40P01.
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

struct nodes {
    uint64_t own;
    uint64_t ids[256];
    size_t count;
};

static bool add_nodes(void *ctx, const struct shard_info *info)
{
    struct nodes *n = ctx;
    for (size_t i = 0; i < info->replica_count; i++) {
        uint64_t id = info->replicas[i].node_id;
        bool is_known = id == n->own;
        for (size_t k = 0; k < n->count && !is_known; k++) {
            is_known = n->ids[k] == id;
        }
        if (!is_known && n->count < 256) {
            n->ids[n->count++] = id;
        }
    }
    return n->count < 256;
}

static struct status *collect_all(struct fiber *f, struct shard_server *s, struct edges *out)
{
    struct nodes n = {.own = s->o.node_id};
    shard_map_scan(s->o.meta, slice_make(NULL, 0), slice_make(NULL, 0), add_nodes, &n);
    struct arena *a = arena_create(0);
    Sherd__V1__WaitsRequest q = SHERD__V1__WAITS_REQUEST__INIT;
    struct rpc_call *calls = ARENA_ARRAY(a, struct rpc_call, n.count + 1);
    uint64_t outer = fiber_set_deadline(f, loop_clock_ns(s->loop) + ms_to_ns(500));
    for (size_t i = 0; i < n.count; i++) {
        rpc_start(f, s->o.rpc, n.ids[i], RPC_SHARD_WAITS, &q, a, &calls[i]);
    }
    collect_own(s, 0, out);
    for (size_t i = 0; i < n.count; i++) {
        struct status *st = rpc_wait(f, &calls[i]);
        if (st ==
            NULL) { /* a node that is away contributes nothing: its part of a cycle is not seen */
            const Sherd__V1__WaitsReply *r = calls[i].reply;
            for (size_t k = 0; k < r->n_edges; k++) {
                edges_add(out, (struct edge){.waiter = txn_id_from(r->edges[k]->waiter),
                                             .holder = txn_id_from(r->edges[k]->holder),
                                             .shard_id = r->edges[k]->shard_id,
                                             .wait = r->edges[k]->wait,
                                             .start = r->edges[k]->start});
            }
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
    const struct shard_info *info = shard_map_by_id(s->o.meta, e->shard_id);
    size_t n = info != NULL ? info->replica_count : 0;
    uint64_t nodes[9];
    for (size_t i = 0; i < n; i++) {
        nodes[i] = info->replicas[i].node_id;
    }
    for (size_t i = 0; i < n; i++) { /* only its leader has the wait */
        void *reply = NULL;
        if (nodes[i] != s->o.node_id) {
            status_consume(rpc_call(f, s->o.rpc, nodes[i], RPC_SHARD_WAITS, &q, a, &reply));
        }
    }
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

static bool has_old_waits(struct shard_server *s)
{
    struct edges e = {0};
    collect_own(s, SHARD_DEADLOCK_MS, &e);
    mem_free(e.items);
    return e.count != 0;
}

static void search(struct fiber *f, struct shard_server *s, void *arg)
{
    (void)arg;
    uint64_t pause_ms = SHARD_DEADLOCK_MS;
    while (!s->is_stopping && has_old_waits(s)) {
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
        bool found = st == NULL && find_victim(&now, &victim);
        mem_free(before.items);
        mem_free(now.items);
        if (found) {
            kill_wait(f, s, &victim);
            pause_ms = SHARD_DEADLOCK_MS;
        }
        /* A wait that is no deadlock may last: look again ever more rarely. */
        if (st == NULL) {
            st = fiber_sleep(f, ms_to_ns(pause_ms));
        }
        pause_ms = pause_ms < 1000 ? pause_ms + pause_ms / 2 : 1000;
        if (status_consume(st)) {
            break;
        }
    }
    s->is_searching = false;
    if (!s->is_stopping) {
        struct edges e = {0};
        collect_own(s, 0, &e);
        if (e.count != 0) {
            waits_begun(s);
        }
        mem_free(e.items);
    }
}

static void waits_fire(struct timer *t)
{
    struct shard_server *s = CONTAINER_OF(t, struct shard_server, waits_timer);
    if (!s->is_searching && !s->is_stopping) {
        s->is_searching = true;
        server_spawn(s, search, NULL);
    }
}

void waits_begun(struct shard_server *s)
{
    if (!s->is_searching && !s->is_stopping && !timer_is_armed(&s->waits_timer)) {
        s->waits_timer.fire = waits_fire;
        timer_start(s->loop, &s->waits_timer, ms_to_ns(SHARD_DEADLOCK_MS + 5));
    }
}
