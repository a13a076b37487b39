/*
 * What became of a transaction, asked by its id: for a client that heard 08007, or nothing at all.
 *
 * Asked in turn: this router, while it knows the transaction or remembers its end; the routers of
 * the other nodes likewise; the shards, which keep COMMITTED records until the coordinator has
 * forgotten the transaction (F4), one-shard commits for some thousands more. Found nowhere means
 * not known, never "aborted" (section 7): a record may have been forgotten. "Aborted" is said by
 * the router that saw it only.
 */
#include "txn_internal.h"

#include "base/mem.h"

#define ANSWER(x) SHERD__V1__ANSWER__ANSWER_##x
#define ASK_MS 3000  /* all others together */
#define ASKED_MAX 64 /* shards at a time */

/* ---- this router ---- */

void outcome_note(struct router *r, uint64_t counter, enum txn_state state)
{
    r->ended[counter % OUTCOMES_KEPT] = (struct ended_txn){counter, state == TXN_COMMITTED};
}

static enum _Sherd__V1__Answer own_answer(const struct router *r, uint64_t counter)
{
    LIST_FOREACH(it, &r->txns)
    {
        const struct txn *t = LIST_ITEM(it, struct txn, link);
        if (t->counter != counter) {
            continue;
        }
        return t->state == TXN_COMMITTED ? ANSWER(COMMITTED)
               : t->state == TXN_ABORTED ? ANSWER(NEVER)
               : t->state == TXN_UNKNOWN ? ANSWER(UNKNOWN)
                                         : ANSWER(BUSY);
    }
    const struct ended_txn *e = &r->ended[counter % OUTCOMES_KEPT];
    if (counter == 0 || e->counter != counter) {
        return ANSWER(UNKNOWN);
    }
    return e->is_committed ? ANSWER(COMMITTED) : ANSWER(NEVER);
}

static struct status *status_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, void *handler_ctx)
{
    (void)f;
    const Sherd__V1__CoordinatorQuery *q = request;
    struct router *r = handler_ctx;
    Sherd__V1__OutcomeReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__OutcomeReply);
    sherd__v1__outcome_reply__init(reply);
    reply->answer = q->txn != NULL && q->txn->incarnation == r->incarnation
                        ? own_answer(r, q->txn->counter)
                        : ANSWER(UNKNOWN);
    *out_reply = reply;
    return NULL;
}

void outcome_register(struct router *r)
{
    rpc_register(r->rpc, RPC_COORDINATOR_STATUS, status_handler, r, true);
}

/* ---- the others ---- */

struct asked {
    uint64_t shards[ASKED_MAX];
    size_t shard_count;
    uint64_t after; /* shards with a greater id */
};

/* The ASKED_MAX shards with the smallest ids above `after`, ascending. */
static bool gather_shard(void *ctx, const struct shard_info *s)
{
    struct asked *x = ctx;
    if (s->shard_id <= x->after) {
        return true;
    }
    size_t i = x->shard_count < ASKED_MAX ? x->shard_count++ : ASKED_MAX;
    if (i == ASKED_MAX) {
        if (s->shard_id >= x->shards[ASKED_MAX - 1]) {
            return true;
        }
        i = ASKED_MAX - 1;
    }
    for (; i > 0 && x->shards[i - 1] > s->shard_id; i--) {
        x->shards[i] = x->shards[i - 1];
    }
    x->shards[i] = s->shard_id;
    return true;
}

static enum _Sherd__V1__Answer ask_routers(struct fiber *f, struct router *r, Sherd__V1__TxnId *id)
{
    enum _Sherd__V1__Answer found = ANSWER(UNKNOWN);
    uint64_t nodes[NODE_LIST_MAX];
    size_t n = router_nodes(r->meta, nodes, NODE_LIST_MAX);
    struct arena *a = arena_create(0);
    struct rpc_call *calls = ARENA_ARRAY(a, struct rpc_call, n + 1);
    Sherd__V1__CoordinatorQuery q = SHERD__V1__COORDINATOR_QUERY__INIT;
    q.txn = id;
    for (size_t i = 0; i < n; i++) { /* this one too: it answers for its own incarnation */
        rpc_start(f, r->rpc, nodes[i], RPC_COORDINATOR_STATUS, &q, a, &calls[i]);
    }
    for (size_t i = 0; i < n; i++) {
        struct status *st = rpc_wait(f, &calls[i]);
        if (st == NULL) {
            const Sherd__V1__OutcomeReply *reply = calls[i].reply;
            found = reply->answer != ANSWER(UNKNOWN) ? reply->answer : found;
        }
        status_free(st); /* a node that is away: its shards may know */
    }
    arena_destroy(a);
    return found;
}

struct shard_question {
    struct router *router;
    uint64_t shard_id;
    Sherd__V1__TxnId *id;
    enum _Sherd__V1__Answer answer;
    struct status *st;
};

static void ask_shard(struct fiber *f, void *arg)
{
    struct shard_question *x = arg;
    struct arena *a = arena_create(0);
    Sherd__V1__QueryRequest q = SHERD__V1__QUERY_REQUEST__INIT;
    q.shard_id = x->shard_id;
    q.txn = x->id;
    Sherd__V1__OutcomeReply *reply = NULL;
    x->st =
        shard_call(f, x->router, x->shard_id, RPC_SHARD_LOOKUP, &q, true, a, (void **)&reply, NULL);
    x->answer = x->st == NULL ? reply->answer : ANSWER(UNKNOWN);
    arena_destroy(a);
}

static struct status *ask_shards(struct fiber *f, struct router *r, struct asked *x,
                                 Sherd__V1__TxnId *id, enum _Sherd__V1__Answer *out)
{
    struct status *first = NULL;
    do {
        x->shard_count = 0;
        shard_map_scan(r->meta, slice_make(NULL, 0), slice_make(NULL, 0), gather_shard, x);
        struct shard_question *all = mem_zalloc(sizeof(*all) * (x->shard_count + 1));
        struct fan fan;
        fan_init(&fan);
        for (size_t i = 0; i < x->shard_count; i++) {
            all[i] = (struct shard_question){r, x->shards[i], id, ANSWER(UNKNOWN), NULL};
            fan_spawn(f, &fan, FIBER_STACK_SMALL, ask_shard, &all[i]);
        }
        fan_wait(f, &fan);
        for (size_t i = 0; i < x->shard_count; i++) {
            x->after = all[i].shard_id;
            if (all[i].answer == ANSWER(COMMITTED) || *out == ANSWER(UNKNOWN)) {
                *out = all[i].answer;
            }
            if (first == NULL && all[i].st != NULL && all[i].st->code != STATUS_MOVED) {
                first = all[i].st;
            } else {
                status_free(all[i].st);
            }
        }
        mem_free(all);
    } while (x->shard_count == ASKED_MAX && *out != ANSWER(COMMITTED));
    if (*out != ANSWER(UNKNOWN)) {
        status_free(first);
        return NULL;
    }
    return first; /* who could not be asked may be the one that knows */
}

struct status *txn_outcome(struct fiber *f, struct router *r, uint64_t incarnation,
                           uint64_t counter, const char **out)
{
    enum _Sherd__V1__Answer found =
        incarnation == r->incarnation ? own_answer(r, counter) : ANSWER(UNKNOWN);
    struct status *st = NULL;
    if (found == ANSWER(UNKNOWN)) {
        Sherd__V1__TxnId id = SHERD__V1__TXN_ID__INIT;
        id.incarnation = incarnation;
        id.counter = counter;
        struct asked x = {0};
        uint64_t outer = fiber_deadline(f), inner = loop_clock_ns(r->loop) + ms_to_ns(ASK_MS);
        fiber_set_deadline(f, outer == 0 || inner < outer ? inner : outer);
        if (incarnation != r->incarnation) {
            found = ask_routers(f, r, &id);
        }
        if (found == ANSWER(UNKNOWN)) {
            st = ask_shards(f, r, &x, &id, &found);
        }
        fiber_set_deadline(f, outer);
    }
    *out = found == ANSWER(COMMITTED)                           ? "committed"
           : found == ANSWER(NEVER)                             ? "aborted"
           : found == ANSWER(BUSY) || found == ANSWER(PREPARED) ? "in progress"
                                                                : NULL;
    return st;
}

void txn_id(const struct txn *t, uint64_t *out_incarnation, uint64_t *out_counter)
{
    *out_incarnation = t->router->incarnation;
    *out_counter = t->counter;
}
