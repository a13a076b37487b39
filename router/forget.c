/*
 * Forget (F4): the coordinator knows the outcome and every participant has finalized, so the
 * COMMITTED records may go. Nobody waits for that, so the ids are collected for a while and told to
 * each shard in one request. Those that are lost with the process, or with a request, stay until
 * the router's incarnation is fenced (F5).
 */
#include "txn_internal.h"

#include "base/mem.h"

#define COLLECT_MS 50
#define IDS_MAX 1000

struct forgotten {
    uint64_t shard_id, counter;
};

static void note(struct txn *t)
{
    struct router *r = t->router;
    for (int i = 0; i < t->part_count; i++) {
        if (!t->parts[i].has_writes) {
            continue;
        }
        if (r->forgotten_count == r->forgotten_cap) {
            r->forgotten_cap = r->forgotten_cap == 0 ? 64 : r->forgotten_cap * 2;
            r->forgotten = mem_realloc(r->forgotten, sizeof(*r->forgotten) * r->forgotten_cap);
        }
        r->forgotten[r->forgotten_count++] = (struct forgotten){t->parts[i].shard_id, t->counter};
    }
}

/* Tells the shard of the first one all that are its own, and takes them out. */
static void tell_one_shard(struct fiber *f, struct router *r, struct forgotten *all, size_t *count)
{
    struct arena *a = arena_create(0);
    Sherd__V1__TxnId *ids = ARENA_ARRAY(a, Sherd__V1__TxnId, IDS_MAX);
    Sherd__V1__TxnId **pointers = ARENA_ARRAY(a, Sherd__V1__TxnId *, IDS_MAX);
    Sherd__V1__ForgetRequest q = SHERD__V1__FORGET_REQUEST__INIT;
    q.shard_id = all[0].shard_id;
    q.txns = pointers;
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (all[i].shard_id != q.shard_id || q.n_txns == IDS_MAX) {
            all[kept++] = all[i];
            continue;
        }
        Sherd__V1__TxnId *id = &ids[q.n_txns];
        sherd__v1__txn_id__init(id);
        id->incarnation = r->incarnation;
        id->counter = all[i].counter;
        pointers[q.n_txns++] = id;
    }
    *count = kept;
    void *reply;
    status_consume(shard_call(f, r, q.shard_id, RPC_SHARD_FORGET, &q, true, a, &reply, NULL));
    arena_destroy(a);
}

static void tell_fiber(struct fiber *f, void *arg)
{
    struct router *r = arg;
    status_consume(fiber_sleep(f, ms_to_ns(COLLECT_MS)));
    struct forgotten *all = r->forgotten;
    size_t count = r->forgotten_count;
    r->forgotten = NULL;
    r->forgotten_count = r->forgotten_cap = 0;
    r->is_forgetting = false; /* what is noted from here on has a fiber of its own */
    while (count > 0 && !r->is_closing) {
        tell_one_shard(f, r, all, &count);
    }
    mem_free(all);
    r->background--;
    cond_broadcast(&r->background_done);
}

void forget_later(struct txn *t)
{
    struct router *r = t->router;
    note(t);
    if (!r->is_forgetting && r->forgotten_count > 0) {
        r->is_forgetting = true;
        r->background++;
        fiber_spawn(r->loop, FIBER_STACK_SMALL, tell_fiber, r);
    }
}
