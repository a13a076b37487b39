/* Who has used which tables, and the wait of a schema change for them: see table_users.h. */
#include "table_users.h"

#include "schema_waits.h"
#include "txn_internal.h"

#include "base/buggify.h"
#include "base/log.h"
#include "base/mem.h"

#define ASK_MS 500
#define POLL_MAX_MS 20
#define SILENCE_MS                                                                                 \
    3000 /* a router that does not answer and has not been heard of for so long is dead */
#define LOOK_MS 200

/* ---- of one transaction ---- */

static const struct table_use *use_of(const struct txn *t, uint32_t table_id)
{
    for (int i = 0; i < t->use_count; i++) {
        if (t->uses[i].id == table_id) {
            return &t->uses[i];
        }
    }
    return NULL;
}

bool table_users_has(const struct txn *t, uint32_t table_id)
{
    return use_of(t, table_id) != NULL;
}

int table_users_blockers(struct router *r, const struct txn *t, const struct catalog *c,
                         const struct plan_dep *deps, int ndeps, uint64_t *out, int cap)
{
    int n = 0;
    for (int i = 0; i < ndeps && n < cap; i++) {
        const Sherd__V1__TableDesc *d = catalog_table_by_id(c, deps[i].id);
        if (d != NULL && d->changing_job != 0 && use_of(t, d->id) == NULL &&
            schema_job_locks(r, d->changing_job)) {
            out[n++] = d->changing_job;
        }
    }
    return n;
}

void table_users_note(struct txn *t, const struct schema_txn *own, const struct catalog *c,
                      const struct plan_dep *deps, int ndeps)
{
    for (int i = 0; i < ndeps; i++) {
        const Sherd__V1__TableDesc *d = catalog_table_by_id(c, deps[i].id);
        if (d == NULL || use_of(t, d->id) != NULL || (own != NULL && schema_owns(own, d->id))) {
            continue;
        }
        if (t->use_count == t->use_cap) {
            t->use_cap = t->use_cap == 0 ? 4 : t->use_cap * 2;
            t->uses = mem_realloc(t->uses, sizeof(*t->uses) * (size_t)t->use_cap);
        }
        t->uses[t->use_count++] = (struct table_use){d->id, d->version, d->changed_at};
    }
}

struct status *table_users_check(struct txn *t, const struct schema_txn *own,
                                 const struct catalog *c)
{
    if (t->uses_revision == catalog_revision(c) || bug_on(BUG_SCHEMA_NO_USERS)) {
        return NULL;
    }
    t->uses_revision = catalog_revision(c);
    for (int i = 0; i < t->use_count; i++) {
        const struct table_use *u = &t->uses[i];
        const Sherd__V1__TableDesc *d = catalog_table_by_id(c, u->id);
        if ((d == NULL || d->changed_at != u->changed_at) &&
            (own == NULL || !schema_owns(own, u->id))) {
            t->uses_revision = 0; /* the same again for who asks again */
            return status_hint(status_new(CONFLICT, "could not serialize access: a table that the "
                                                    "transaction has used was changed"),
                               "The transaction might succeed if retried.");
        }
    }
    return NULL;
}

/* ---- of all transactions of this router ---- */

struct holders {
    struct schema_holder *items;
    int n, cap;
};

static void add_holder(struct holders *h, uint64_t incarnation, uint64_t counter)
{
    if (h->n == h->cap) {
        h->cap = h->cap == 0 ? 8 : h->cap * 2;
        h->items = mem_realloc(h->items, sizeof(*h->items) * (size_t)h->cap);
    }
    h->items[h->n++] = (struct schema_holder){incarnation, counter};
}

static bool has_used_any(const struct txn *t, const uint32_t *tables, size_t n,
                         uint64_t below_version)
{
    if (t->state != TXN_ACTIVE && t->state != TXN_COMMITTING) {
        return false; /* it will not use them again */
    }
    /* A fence ends its workspaces, those too that are just being made. */
    for (size_t i = 0; i < n; i++) {
        const struct table_use *u = use_of(t, tables[i]);
        if (u != NULL &&
            (below_version == 0 || (u->version < below_version && t->part_count > 0))) {
            return true;
        }
    }
    return false;
}

static void collect_own(const struct router *r, const struct txn *but, const uint32_t *tables,
                        size_t n, uint64_t below_version, struct holders *out)
{
    LIST_FOREACH(it, &r->txns)
    {
        const struct txn *t = LIST_ITEM(it, struct txn, link);
        if (t != but && has_used_any(t, tables, n, below_version)) {
            add_holder(out, r->incarnation, t->counter);
        }
    }
}

static struct status *users_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, void *handler_ctx)
{
    (void)f;
    struct router *r = handler_ctx;
    const Sherd__V1__UsersRequest *q = request;
    Sherd__V1__UsersReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__UsersReply);
    sherd__v1__users_reply__init(reply);
    *out_reply = reply;
    reply->is_behind = meta_revision(r->meta) < q->revision;
    struct holders h = {0};
    collect_own(r, NULL, q->tables, q->n_tables, q->below_version, &h);
    reply->users = ARENA_ARRAY(ctx->arena, Sherd__V1__TxnId *, h.n + 1);
    for (int i = 0; i < h.n; i++) {
        Sherd__V1__TxnId *id = ARENA_NEW(ctx->arena, Sherd__V1__TxnId);
        sherd__v1__txn_id__init(id);
        id->incarnation = h.items[i].incarnation;
        id->counter = h.items[i].counter;
        reply->users[reply->n_users++] = id;
    }
    mem_free(h.items);
    return NULL;
}

void table_users_register(struct router *r)
{
    rpc_register(r->rpc, RPC_COORDINATOR_USERS, users_handler, r, true);
}

void table_users_unregister(struct router *r)
{
    rpc_register(r->rpc, RPC_COORDINATOR_USERS, NULL, NULL, false);
}

/* ---- the wait ---- */

struct others {
    uint64_t nodes[NODE_LIST_MAX]; /* routers that may have users still */
    size_t count;
    uint64_t look_ns; /* when to look next whether those that do not answer are dead */
};

static void others_init(struct others *o, struct router *r)
{
    uint64_t nodes[NODE_LIST_MAX];
    size_t n = router_nodes(r->meta, nodes, NODE_LIST_MAX);
    *o = (struct others){0};
    for (size_t i = 0; i < n; i++) {
        if (nodes[i] != r->node_id) {
            o->nodes[o->count++] = nodes[i];
        }
    }
}

/* Asks them all at once; who has none left is not asked again. Returns how many did not answer:
 * they come first. */
static size_t ask_others(struct fiber *f, struct router *r, struct others *o,
                         const Sherd__V1__UsersRequest *q, struct holders *out)
{
    struct arena *a = arena_create(0);
    struct rpc_call *calls = ARENA_ARRAY(a, struct rpc_call, o->count + 1);
    uint64_t outer = fiber_deadline(f), limit = loop_clock_ns(r->loop) + ms_to_ns(ASK_MS);
    fiber_set_deadline(f, outer != 0 && outer < limit ? outer : limit);
    for (size_t i = 0; i < o->count; i++) {
        rpc_start(f, r->rpc, o->nodes[i], RPC_COORDINATOR_USERS, q, a, &calls[i]);
    }
    size_t kept = 0, silent = 0;
    for (size_t i = 0; i < o->count; i++) {
        uint64_t node = o->nodes[i];
        struct status *st = rpc_wait(f, &calls[i]);
        if (st != NULL) {
            status_free(st);
            o->nodes[kept++] = o->nodes[silent];
            o->nodes[silent++] = node;
            continue;
        }
        const Sherd__V1__UsersReply *reply = calls[i].reply;
        for (size_t k = 0; k < reply->n_users; k++) {
            add_holder(out, reply->users[k]->incarnation, reply->users[k]->counter);
        }
        if (reply->is_behind || reply->n_users > 0) {
            o->nodes[kept++] = node;
        }
    }
    o->count = kept;
    fiber_set_deadline(f, outer);
    arena_destroy(a);
    return silent;
}

/* Those that the metadata group has not heard of for a while are waited for no more. */
static struct status *drop_dead(struct fiber *f, struct router *r, struct others *o, size_t silent)
{
    uint64_t now = loop_clock_ns(r->loop);
    if (silent == 0 || now < o->look_ns) {
        return NULL;
    }
    o->look_ns = now + ms_to_ns(LOOK_MS);
    struct arena *a = arena_create(0);
    Sherd__V1__MetaStatusReply *all = NULL;
    struct status *st = meta_status(f, r->meta, a, &all);
    for (size_t k = 0; st == NULL && k < all->n_nodes; k++) {
        const Sherd__V1__NodeStatus *n = all->nodes[k];
        uint64_t id = n->node != NULL && n->node->address != NULL ? n->node->address->node_id : 0;
        for (size_t i = 0; i < silent && n->silent_ms >= SILENCE_MS; i++) {
            if (o->nodes[i] == id) {
                LOGW("router",
                     "node %llu does not answer: a schema change goes on without it, and fences "
                     "off its transactions that have used the table",
                     (unsigned long long)id);
                o->nodes[i] = o->nodes[--silent];
                o->nodes[silent] = o->nodes[--o->count];
                break;
            }
        }
    }
    arena_destroy(a);
    return st;
}

struct status *table_users_wait(struct fiber *f, struct router *r, const struct table_users *u,
                                bool *out_done)
{
    if (out_done != NULL) {
        *out_done = true;
    }
    if (bug_on(BUG_SCHEMA_NO_USERS)) {
        return NULL;
    }
    struct others others;
    Sherd__V1__UsersRequest q = SHERD__V1__USERS_REQUEST__INIT;
    q.revision = u->revision;
    q.n_tables = (size_t)u->ntables;
    q.tables = (uint32_t *)(uintptr_t)u->tables;
    q.below_version = u->below_version;
    others_init(&others, r);
    struct schema_wait w;
    struct status *st = NULL;
    schema_wait_begin(&w, r, u->but, u->timeout_ms);
    for (uint64_t step = 1; st == NULL; step = step * 2 < POLL_MAX_MS ? step * 2 : POLL_MAX_MS) {
        struct holders now = {0};
        size_t silent = ask_others(f, r, &others, &q, &now);
        collect_own(r, u->but, u->tables, (size_t)u->ntables, u->below_version, &now);
        mem_free(w.holders);
        w.holders = now.items;
        w.nholders = now.n;
        st = drop_dead(f, r, &others, silent);
        if (st != NULL || (now.n == 0 && others.count == 0)) {
            break;
        }
        if (out_done != NULL) {
            *out_done = false;
            break;
        }
        st = schema_wait_pause(f, &w, step);
    }
    schema_wait_end(&w);
    mem_free(w.holders);
    return st != NULL ? st : fiber_check(f);
}
