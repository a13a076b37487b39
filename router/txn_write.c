/*
 * Writes: the ops of one step of a statement, grouped by shard, sent side by side in chunks, each
 * under the participant's next sequence number (W1).
 *
 * The last step of an implicit transaction whose writes all lie in one shard carries its commit:
 * one call, one log entry (C3, P5; section 7 for a lost answer).
 */
#include "txn_internal.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

#define CHUNK_BYTES ((size_t)1 << 20)
#define CHUNK_OPS 8192
#define ANSWER(x) SHERD__V1__ANSWER__ANSWER_##x

struct write_group {
    uint64_t shard_id, epoch;
    int *ops; /* indexes */
    int nops;
    int ndone; /* of them in requests that were answered */
    struct status *error;
    bool failed;
    int conflict_op; /* index into the call's ops */
    int *skipped;
    int nskipped;
};

struct write_call {
    struct txn *t;
    struct arena *a;
    const struct txn_write *ops;
    uint32_t table_id;
    uint64_t schema_version;
    bool with_commit;
    struct write_group *groups;
    int ngroups;
};

struct write_task {
    struct write_call *call;
    struct write_group *group;
};

/* A lost answer of a write that carried its commit: ask what became of it (section 7). If it was
 * the first write, the handle is unknown, and the leader's term goes into the question: the
 * transaction's id is poisoned for that term on Never. */
static struct status *resolve_commit(struct fiber *f, struct txn *t, uint64_t shard_id,
                                     struct arena *a, uint64_t term, struct status *cause)
{
    struct router *r = t->router;
    bool is_cancel = cause->code == STATUS_CANCELLED || cause->code == STATUS_TIMEOUT;
    bool has_handle = txn_part(t, shard_id)->has_handle;
    /* Without either nobody can promise that the request will not come yet. */
    uint64_t give_up = loop_clock_ns(r->loop) + ms_to_ns(has_handle || term != 0 ? 20000 : 3000);
    struct status *st = NULL;
    while (loop_clock_ns(r->loop) < give_up) {
        struct txn_ref ref;
        txn_fill_ref(t, has_handle ? txn_part(t, shard_id) : NULL, &ref);
        Sherd__V1__QueryRequest q = SHERD__V1__QUERY_REQUEST__INIT;
        q.shard_id = shard_id;
        q.txn = &ref.id;
        q.handle = ref.ref.handle;
        q.attempt = 1;
        q.term = term;
        Sherd__V1__OutcomeReply *reply = NULL;
        status_free(st);
        st = shard_call(f, r, shard_id, RPC_SHARD_QUERY, &q, true, a, (void **)&reply, NULL);
        if (st == NULL && reply->answer == ANSWER(COMMITTED)) {
            t->state = TXN_COMMITTED;
            t->commit_ts = reply->commit;
            status_free(cause);
            return NULL;
        }
        if (st == NULL && reply->answer == ANSWER(NEVER)) {
            t->state = TXN_ABORTED;
            if (is_cancel) {
                return cause;
            }
            status_free(cause);
            return status_new(CONFLICT,
                              "could not serialize access: shard %llu has changed its leader",
                              (unsigned long long)shard_id);
        }
        struct status *slept = fiber_sleep(f, ms_to_ns(20));
        if (slept != NULL) {
            status_free(slept);
            break;
        }
    }
    status_free(st);
    t->state = TXN_UNKNOWN;
    metric_add(r->m_unknown, 1);
    st = status_hint(
        status_detail(status_new(UNKNOWN_OUTCOME, "the outcome of the commit is not known"),
                      "Transaction %llu.%llu: %s.", (unsigned long long)r->incarnation,
                      (unsigned long long)t->counter, cause->message),
        "It may have been committed. Read what it wrote before you run it again.");
    status_free(cause);
    return st;
}

/* Refused before it was looked at: another term than the one named. Without one the commit goes in
 * a call of its own, and the reply tells the new term. */
static struct status *send_without_commit(struct fiber *f, struct txn *t, uint64_t shard_id,
                                          Sherd__V1__WriteRequest *q, struct arena *a,
                                          Sherd__V1__WriteReply **out)
{
    shard_term_set(t->router, shard_id, 0);
    q->commit = false;
    q->expect_term = 0;
    TRY(txn_snapshot(f, t));
    q->txn->start = t->start;
    if (q->change != NULL) {
        q->change->ts = t->start;
    }
    return shard_call(f, t->router, shard_id, RPC_SHARD_WRITE, q, true, a, (void **)out, NULL);
}

static struct status *write_lost(struct fiber *f, struct txn *t, uint64_t shard_id,
                                 const Sherd__V1__WriteRequest *q, struct arena *a,
                                 struct status *st)
{
    struct participant *p = txn_part(t, shard_id);
    p->seq--; /* an error gives its number back: the next request has it (W1) */
    txn_note_lost(p, st);
    if (!p->has_handle) { /* without one nothing can be committed there (L3) */
        p->has_writes = p->has_locks = false;
    }
    if (q->commit && (st->code == STATUS_UNKNOWN_OUTCOME || st->code == STATUS_CANCELLED ||
                      st->code == STATUS_TIMEOUT)) {
        fiber_mask(f); /* asking must see its end: giving up would only leave the outcome unknown */
        st = resolve_commit(f, t, shard_id, a, q->expect_term, st);
        fiber_unmask(f);
        if (t->state == TXN_COMMITTED) {
            txn_part(t, shard_id)->may_exist = false;
        }
    }
    return st;
}

struct status *txn_send_write(struct fiber *f, struct txn *t, uint64_t shard_id,
                              Sherd__V1__WriteRequest *q, struct arena *a,
                              Sherd__V1__WriteReply **out)
{
    struct participant *p = txn_part(t, shard_id);
    struct txn_ref ref;
    txn_fill_ref(t, p, &ref);
    q->shard_id = shard_id;
    q->txn = &ref.ref;
    q->seq = ++p->seq;
    if (q->commit && !p->has_handle) {
        q->expect_term = shard_term_get(t->router, shard_id);
    }
    bool is_first_contact = !p->has_handle;
    t->stats.writes++;
    t->stats.rpcs++;
    *out = NULL;
    struct status *st =
        shard_call(f, t->router, shard_id, RPC_SHARD_WRITE, q, !q->commit, a, (void **)out, NULL);
    if (status_is(st, STATUS_NOT_LEADER) && q->expect_term != 0) {
        status_free(st);
        st = send_without_commit(f, t, shard_id, q, a, out);
    }
    if (st != NULL) {
        *out = NULL;
        return write_lost(f, t, shard_id, q, a, st);
    }
    Sherd__V1__WriteReply *reply = *out;
    p = txn_part(t, shard_id); /* the array may have moved */
    if (q->commit && is_first_contact && (reply->failed || reply->conflict)) {
        /* The shard has dropped what it did. */
        p->seq = 0;
        p->has_writes = p->has_locks = p->has_spans = false;
    }
    TRY(txn_learn_handle(t, p, reply->handle));
    if (reply->conflict) {
        return status_new(CONFLICT, "could not serialize access due to concurrent %s",
                          reply->deleted ? "delete" : "update");
    }
    if (reply->committed != 0) {
        ASSERT(q->commit && !reply->failed);
        t->state = TXN_COMMITTED;
        t->commit_ts = reply->committed;
    }
    return NULL;
}

static struct status *send_chunk(struct fiber *f, struct write_call *c, struct write_group *g,
                                 int first, int count)
{
    struct txn *t = c->t;
    struct arena *a = arena_create(0);
    Sherd__V1__KeyOp *items = ARENA_ARRAY(a, Sherd__V1__KeyOp, count);
    Sherd__V1__KeyOp **pointers = ARENA_ARRAY(a, Sherd__V1__KeyOp *, count);
    struct participant *p = txn_part(t, g->shard_id);
    bool had_locks = p->has_locks, had_writes = p->has_writes;
    for (int i = 0; i < count; i++) {
        const struct txn_write *w = &c->ops[g->ops[first + i]];
        Sherd__V1__KeyOp *k = &items[i];
        sherd__v1__key_op__init(k);
        k->kind = w->kind;
        k->key.data = (uint8_t *)(uintptr_t)w->key.data;
        k->key.len = w->key.len;
        k->value.data = (uint8_t *)(uintptr_t)w->value.data;
        k->value.len = w->value.len;
        k->lock = (uint32_t)w->lock;
        k->skip_conflict = w->skip_conflict;
        k->moved = w->is_moved;
        pointers[i] = k;
        switch (k->kind) {
        case SHERD__V1__OP_KIND__OP_LOCK:
        case SHERD__V1__OP_KIND__OP_EXISTS:
        case SHERD__V1__OP_KIND__OP_ABSENT:
            p->has_locks = true;
            break;
        default:
            p->has_writes = true;
        }
    }
    Sherd__V1__WriteRequest q = SHERD__V1__WRITE_REQUEST__INIT;
    q.epoch = g->epoch;
    q.n_ops = (size_t)count;
    q.ops = pointers;
    q.commit = c->with_commit;
    q.table_id = c->table_id;
    q.schema_version = c->schema_version;
    Sherd__V1__WriteReply *reply;
    struct status *st = txn_send_write(f, t, g->shard_id, &q, a, &reply);
    if (status_is(st, STATUS_MOVED)) { /* nothing was done here */
        p = txn_part(t, g->shard_id);
        p->has_locks = had_locks;
        p->has_writes = had_writes;
    }
    if (st != NULL || reply == NULL) { /* none: the commit's answer was lost, and found */
        ASSERT(st != NULL || t->state == TXN_COMMITTED);
        arena_destroy(a);
        return st;
    }
    ASSERT(!q.commit || reply->failed || t->state == TXN_COMMITTED);
    if (reply->failed) {
        if (reply->conflict_op >= (uint32_t)count) {
            st = status_new(CORRUPT, "shard named op %u of %d", reply->conflict_op, count);
        } else {
            g->failed = true;
            g->conflict_op = g->ops[first + (int)reply->conflict_op];
        }
    }
    for (size_t i = 0; st == NULL && i < reply->n_skipped; i++) {
        if (reply->skipped[i] >= (uint32_t)count) {
            st = status_new(CORRUPT, "shard named op %u of %d", reply->skipped[i], count);
            break;
        }
        g->skipped[g->nskipped++] = g->ops[first + (int)reply->skipped[i]];
    }
    arena_destroy(a);
    return st;
}

static struct status *send_group(struct fiber *f, struct write_call *c, struct write_group *g)
{
    int first = 0;
    while (first < g->nops) {
        size_t bytes = 0;
        int count = 0;
        while (first + count < g->nops && count < CHUNK_OPS &&
               (count == 0 || bytes < CHUNK_BYTES)) {
            const struct txn_write *w = &c->ops[g->ops[first + count]];
            bytes += w->key.len + w->value.len + 16;
            count++;
        }
        ASSERT(!c->with_commit || count == g->nops);
        TRY(send_chunk(f, c, g, first, count));
        if (g->failed) {
            return NULL;
        }
        g->ndone = first += count;
    }
    return NULL;
}

static void send_group_fiber(struct fiber *f, void *arg)
{
    struct write_task *x = arg;
    x->group->error = send_group(f, x->call, x->group);
}

/* Groups the ops named in `pending` by shard. */
static struct status *group_ops(struct write_call *c, const int *pending, int npending)
{
    struct meta_client *meta = c->t->router->meta;
    c->ngroups = 0;
    c->groups = ARENA_ARRAY(c->a, struct write_group, 4);
    int cap = 4;
    struct write_group *last = NULL;
    const struct shard_info *s = NULL;
    for (int i = 0; i < npending; i++) {
        const struct txn_write *w = &c->ops[pending[i]];
        if (s == NULL || slice_cmp(w->key, s->start) < 0 ||
            (s->end.len != 0 && slice_cmp(w->key, s->end) >= 0)) {
            s = shard_map_find(meta, w->key);
            if (s == NULL) {
                return status_new(UNAVAILABLE, "no shard holds the key");
            }
            last = NULL;
            for (int k = 0; k < c->ngroups; k++) {
                if (c->groups[k].shard_id == s->shard_id) {
                    last = &c->groups[k];
                }
            }
            if (last == NULL) {
                if (c->ngroups == cap) {
                    c->groups = arena_grow(c->a, c->groups, sizeof(*c->groups) * (size_t)cap,
                                           sizeof(*c->groups) * (size_t)cap * 2);
                    cap *= 2;
                }
                last = &c->groups[c->ngroups++];
                *last = (struct write_group){.shard_id = s->shard_id, .epoch = s->epoch};
                last->ops = mem_alloc(sizeof(int) * (size_t)npending);
                last->skipped = mem_alloc(sizeof(int) * (size_t)npending);
                arena_on_free(c->a, mem_free, last->ops);
                arena_on_free(c->a, mem_free, last->skipped);
            }
        }
        last->ops[last->nops++] = pending[i];
    }
    return NULL;
}

static bool may_carry_commit(const struct txn *t, const struct write_call *c, int nops)
{
    if (!t->options.implicit || c->ngroups != 1 || nops > CHUNK_OPS) {
        return false;
    }
    if (shard_term_get(t->router, c->groups[0].shard_id) == 0) {
        return false; /* its fate could not be told if the answer were lost; the first reply teaches
                         the term */
    }
    /* Nothing elsewhere, and what is here is known: C2 would be needed for read participants. */
    for (int i = 0; i < t->part_count; i++) {
        if (t->parts[i].has_handle && t->parts[i].shard_id != c->groups[0].shard_id) {
            return false;
        }
    }
    size_t bytes = 0;
    for (int i = 0; i < nops; i++) {
        bytes += c->ops[i].key.len + c->ops[i].value.len + 16;
    }
    return bytes < CHUNK_BYTES;
}

static int compare_ints(const void *a, const void *b)
{
    return (*(const int *)a > *(const int *)b) - (*(const int *)a < *(const int *)b);
}

struct status *txn_may_write(const struct txn *t)
{
    if (t->options.read_only || t->options.as_of != 0) {
        return status_sql(INVALID, "25006", "cannot execute a write in a read-only transaction");
    }
    return t->state == TXN_ACTIVE ? NULL : status_new(CONFLICT, "the transaction has failed");
}

/* One shard has refused an op and done nothing of its request; what the others, and earlier
 * requests of this call, have done goes, too: "nothing of the call was done". */
static struct status *undo_call(struct fiber *f, struct txn *t, const uint64_t *before, int nbefore,
                                const struct write_call *c)
{
    for (int i = 0; i < t->part_count; i++) {
        uint64_t to = i < nbefore ? before[i] : 0;
        bool has_refused = false;
        for (int k = 0; k < c->ngroups; k++) {
            has_refused |= c->groups[k].failed && c->groups[k].shard_id == t->parts[i].shard_id;
        }
        if (has_refused && t->parts[i].seq == to + 1) {
            continue;
        }
        struct status *st = txn_undo(f, t, &t->parts[i], to);
        if (st != NULL) {
            txn_fail(t);
            return st;
        }
    }
    return NULL;
}

struct status *txn_write(struct fiber *f, struct txn *t, struct arena *a,
                         const struct txn_write *ops, int nops, uint32_t table_id,
                         uint64_t schema_version, bool is_last, struct txn_write_result *out)
{
    *out = (struct txn_write_result){0};
    TRY(txn_may_write(t));
    if (nops == 0) {
        return NULL;
    }
    txn_note_written(t, table_id);
    struct write_call c = {
        .t = t, .a = a, .ops = ops, .table_id = table_id, .schema_version = schema_version};
    int *pending = ARENA_ARRAY(a, int, nops);
    int npending = nops;
    for (int i = 0; i < nops; i++) {
        pending[i] = i;
    }
    out->skipped = ARENA_ARRAY(a, int, nops);
    int nbefore = t->part_count;
    uint64_t *before = ARENA_ARRAY(a, uint64_t, nbefore + 1);
    for (int i = 0; i < nbefore; i++) {
        before[i] = t->parts[i].seq;
    }
    struct reroute again = {0};
    while (npending > 0) {
        TRY(group_ops(&c, pending, npending));
        c.with_commit = is_last && npending == nops && may_carry_commit(t, &c, nops);
        bool needs_snapshot = !c.with_commit || t->part_count > 0;
        if (needs_snapshot) {
            TRY(txn_snapshot(f, t));
            if (c.ngroups > 1) {
                c.with_commit = false;
            }
        }
        if (c.ngroups == 1) {
            c.groups[0].error = send_group(f, &c, &c.groups[0]);
        } else {
            struct write_task *tasks = ARENA_ARRAY(a, struct write_task, c.ngroups);
            struct fan fan;
            fan_init(&fan);
            for (int i = 0; i < c.ngroups; i++) {
                /* Participants are made before the children run: the array does not move under
                 * them. */
                txn_part(t, c.groups[i].shard_id);
            }
            for (int i = 0; i < c.ngroups; i++) {
                tasks[i] = (struct write_task){&c, &c.groups[i]};
                fan_spawn(f, &fan, FIBER_STACK_SMALL, send_group_fiber, &tasks[i]);
            }
            fan_wait(f, &fan);
        }
        struct status *first = NULL;
        npending = 0;
        for (int i = 0; i < c.ngroups; i++) {
            struct write_group *g = &c.groups[i];
            if (g->error != NULL && g->error->code == STATUS_MOVED && g->error->hint == NULL) {
                /* Nothing of the refused request was done; what was before it stands. */
                status_free(g->error);
                for (int k = g->ndone; k < g->nops; k++) {
                    pending[npending++] = g->ops[k];
                }
                g->nops = g->ndone;
                g->error = NULL;
            }
            if (g->error != NULL) {
                if (first == NULL) {
                    first = g->error;
                } else {
                    status_free(g->error);
                }
                continue;
            }
            if (g->failed && (!out->failed || g->conflict_op < out->conflict_op)) {
                out->failed = true;
                out->conflict_op = g->conflict_op;
            }
            for (int k = 0; k < g->nskipped; k++) {
                out->skipped[out->nskipped++] = g->skipped[k];
            }
        }
        if (first != NULL) {
            return first;
        }
        if (out->failed) {
            return undo_call(f, t, before, nbefore, &c);
        }
        if (npending > 0) {
            qsort(pending, (size_t)npending, sizeof(int), compare_ints);
            TRY(reroute(f, t->router, &again));
        }
    }
    qsort(out->skipped, (size_t)out->nskipped, sizeof(int), compare_ints);
    return NULL;
}
