/*
 * The RPC handlers of replicas and ranges, for the metadata leader's scheduler and for schema
 * changes: CreateReplica, ChangeReplica, Split, Fence, Gc, Wipe, SplitPoint. All of them may come
 * twice.
 */
#include "base/log.h"
#include "server_impl.h"

#define FORGET_PORTION 1000u /* outcomes an entry */

static Sherd__V1__Empty empty = SHERD__V1__EMPTY__INIT;

/* The replica, led here and serving; entered and referenced. */
static struct status *led(struct fiber *f, struct shard_server *s, uint64_t shard_id,
                          struct replica **out_r, struct part **out_p)
{
    struct replica *r = server_replica(s, shard_id);
    if (r == NULL || r->group == NULL || s->is_stopping) {
        return rpc_not_leader(0);
    }
    if (r->part == NULL) {
        return replica_not_leader(r);
    }
    struct part *p = part_ref(r->part);
    replica_enter(r);
    struct status *st = part_enter(f, p);
    if (st != NULL) {
        part_unref(p);
        replica_leave(r);
        return st;
    }
    *out_r = r;
    *out_p = p;
    return NULL;
}

static struct status *done(struct replica *r, struct part *p, struct status *st)
{
    part_unref(p);
    replica_leave(r);
    return st;
}

static struct status *on_create(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, void *handler_ctx)
{
    struct shard_server *s = handler_ctx;
    const Sherd__V1__CreateReplicaRequest *q = request;
    (void)ctx;
    *out_reply = &empty;
    if (q->shard_id < 2) {
        return status_new(INVALID, "shard id %llu", (unsigned long long)q->shard_id);
    }
    if (server_replica(s, q->shard_id) != NULL) {
        return status_new(ALREADY_EXISTS, "shard %llu has a replica here",
                          (unsigned long long)q->shard_id);
    }
    Sherd__V1__ShardDesc *d =
        sherd__v1__shard_desc__unpack(NULL, q->shard_desc.len, q->shard_desc.data);
    if (d == NULL || d->shard_id != q->shard_id) {
        if (d != NULL) {
            sherd__v1__shard_desc__free_unpacked(d, NULL);
        }
        return status_new(INVALID, "damaged descriptor of shard %llu",
                          (unsigned long long)q->shard_id);
    }
    uint64_t epoch = d->epoch;
    struct status *st = q->bootstrap
                            ? shard_bootstrap(f, s->o.host, s->o.state, s->o.node_id, d)
                            : group_bootstrap(f, s->o.host, q->shard_id, q->replica_id, NULL, 0);
    sherd__v1__shard_desc__free_unpacked(d, NULL);
    if (status_is(st, STATUS_ALREADY_EXISTS)) {
        status_free(st);
        st = NULL;
    }
    TRY(st);
    struct replica *r = NULL;
    TRY(replica_open(f, s, q->shard_id, &r));
    r->named_epoch = epoch > r->named_epoch ? epoch : r->named_epoch;
    return NULL;
}

static struct status *hand_over(struct fiber *f, struct replica *r, uint64_t replica_id)
{
    if (r->part != NULL) {
        struct part *p = part_ref(r->part);
        struct status *st = part_spare(f, p, slice_make(NULL, 0), SHARD_SPARE_MS);
        part_unref(p);
        TRY(st);
    }
    return group_transfer(f, r->group, replica_id);
}

static struct status *on_change(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, void *handler_ctx)
{
    struct shard_server *s = handler_ctx;
    const Sherd__V1__ChangeReplicaRequest *q = request;
    (void)ctx;
    *out_reply = &empty;
    struct replica *r = server_replica(s, q->shard_id);
    if (q->action == 5) {
        if (r == NULL || r->group == NULL || group_replica_id(r->group) != q->replica_id) {
            return NULL; /* not here any more */
        }
        return replica_close(f, r, true);
    }
    if (r == NULL || r->group == NULL) {
        return rpc_not_leader(0);
    }
    replica_enter(r);
    struct status *st;
    switch (q->action) {
    case 1:
        st = group_add_learner(f, r->group, q->replica_id, q->node_id);
        break;
    case 2:
        st = group_promote(f, r->group, q->replica_id);
        break;
    case 3:
        st = group_remove(f, r->group, q->replica_id);
        break;
    case 4:
        st = hand_over(f, r, q->replica_id);
        break;
    default:
        st = status_new(INVALID, "unknown change %u of a replica", q->action);
        break;
    }
    replica_leave(r);
    return st;
}

static struct status *on_split(struct fiber *f, struct rpc_context *ctx, const void *request,
                               void **out_reply, void *handler_ctx)
{
    const Sherd__V1__SplitRequest *q = request;
    struct replica *r;
    struct part *p;
    (void)ctx;
    *out_reply = &empty;
    TRY(led(f, handler_ctx, q->shard_id, &r, &p));
    struct slice key = slice_make(q->split_key.data, q->split_key.len);
    struct status *st = part_spare(f, p, key, SHARD_SPARE_MS);
    return done(r, p, st != NULL ? st : split_run(f, r, q));
}

static struct status *propose_number(struct fiber *f, struct part *p, const struct buf *key,
                                     uint64_t v)
{
    struct buf value = {0}, entry = {0};
    buf_put_u64(&value, v);
    entry_begin(&entry);
    entry_put(&entry, buf_slice(key), buf_slice(&value));
    struct status *st = part_propose(f, p, buf_slice(&entry));
    buf_deinit(&value);
    buf_deinit(&entry);
    return st;
}

/* Has what the fence shuts out: a workspace that is past its checks, so that an entry of it may
 * still come. */
static bool is_shut_out(const struct work *w, const Sherd__V1__FenceRequest *q)
{
    if (w->state == WORK_OPEN) {
        return false; /* asks again before it proposes */
    }
    if (q->table_id == 0) {
        return w->id.incarnation == q->version;
    }
    for (size_t i = 0; i < w->table_count; i++) {
        if (w->tables[i].table_id == q->table_id && w->tables[i].version < q->version) {
            return true;
        }
    }
    return w->table_count == 0; /* from an earlier term: what it used is not known */
}

/* Until nothing that the fence shuts out is in flight or prepared. */
static struct status *decide_older(struct fiber *f, struct part *p,
                                   const Sherd__V1__FenceRequest *q)
{
    for (;;) {
        struct work *older = NULL;
        LIST_FOREACH(it, &p->works)
        {
            struct work *w = LIST_ITEM(it, struct work, link);
            if (older == NULL && is_shut_out(w, q)) {
                older = w;
            }
        }
        if (older == NULL) {
            return NULL;
        }
        if (older->state == WORK_PREPARED) {
            p->env->orphan(p->env->ctx, older);
        }
        work_ref(older);
        struct status *st = cond_wait(f, &older->owner.changed);
        work_unref(older);
        TRY(st);
        if (p->is_dead) {
            return p->env->not_leader(p->env->ctx);
        }
    }
}

/* F5: the fence is in every shard and nothing of this incarnation is prepared anywhere, so no
 * recoverer will ask for these outcomes again. Whoever else does hears "unknown": the 'L' mark. */
static struct status *forget_incarnation(struct fiber *f, struct part *p, uint64_t incarnation)
{
    if (!state_is_fenced(p->state, incarnation)) {
        return status_new(INVALID, "router incarnation %llu is not fenced here",
                          (unsigned long long)incarnation);
    }
    struct buf key = {0}, entry = {0}, all = {0};
    struct status *st = NULL;
    buf_put_u64(&all, UINT64_MAX);
    for (bool is_more = true; is_more && st == NULL;) {
        size_t count = 0;
        struct outcome *o, *next;
        entry_begin(&entry);
        state_key_u64(&key, p->env->shard_id, 'L', incarnation);
        entry_put(&entry, buf_slice(&key), buf_slice(&all));
        HASH_ITER(hh, p->state->outcomes, o, next)
        {
            if (o->id.incarnation == incarnation && o->slot < 0 && count < FORGET_PORTION) {
                state_key_txn(&key, p->env->shard_id, 'C', o->id);
                entry_delete(&entry, buf_slice(&key));
                count++;
            }
        }
        is_more = count == FORGET_PORTION;
        if (count != 0) {
            st = part_propose(f, p, buf_slice(&entry));
        }
    }
    buf_deinit(&key);
    buf_deinit(&entry);
    buf_deinit(&all);
    return st;
}

/* Section 9: from the proposal on older requests are refused (the leader's memory sees to that),
 * older PREPARED records are decided; then the fence is confirmed. Table 0: a router's incarnation
 * (F5). */
/* What the transaction that fences has used of the table counts as used at the new version. */
static void take_along(struct part *p, const Sherd__V1__FenceRequest *q)
{
    struct work *own = q->txn != NULL ? part_find_by_id(p, txn_id_from(q->txn)) : NULL;
    for (size_t i = 0; own != NULL && i < own->table_count; i++) {
        if (own->tables[i].table_id == q->table_id && own->tables[i].version < q->version) {
            own->tables[i].version = q->version;
        }
    }
}

/* W5: an open workspace with an older version will not be prepared (P2). Its locks go at once: the
 * schema change may need them, while their owner waits for the schema change. */
static void drop_doomed(struct part *p, const Sherd__V1__FenceRequest *q)
{
    LIST_FOREACH_SAFE(it, next, &p->works)
    {
        struct work *w = LIST_ITEM(it, struct work, link);
        bool is_doomed = false;
        for (size_t i = 0; i < w->table_count; i++) {
            is_doomed |= w->tables[i].table_id == q->table_id && w->tables[i].version < q->version;
        }
        if (is_doomed && w->state == WORK_OPEN && w->owner.hold_count > 0) {
            part_drop(p, w);
        }
    }
}

/* The caller's map may be from before a split. */
static struct status *check_range(const struct part *p, const Sherd__V1__KeyRange *range)
{
    struct slice start = buf_slice(&p->state->start), end = buf_slice(&p->state->end);
    bool is_in =
        slice_cmp(start, slice_make(range->start.data, range->start.len)) <= 0 &&
        (end.len == 0 ||
         (range->end.len != 0 && slice_cmp(slice_make(range->end.data, range->end.len), end) <= 0));
    return is_in ? NULL
                 : status_new(MOVED, "shard %llu does not have all of the range",
                              (unsigned long long)p->env->shard_id);
}

static struct status *fence(struct fiber *f, struct part *p, const Sherd__V1__FenceRequest *q)
{
    if (q->table_id == 0 && q->forget) {
        return forget_incarnation(f, p, q->version);
    }
    if (q->range != NULL) {
        TRY(check_range(p, q->range)); /* a split from here on takes the fence along */
    }
    struct buf key = {0};
    if (q->table_id == 0) {
        state_key_u64(&key, p->env->shard_id, 'R', q->version);
    } else {
        state_key_u32(&key, p->env->shard_id, 'F', q->table_id);
        if (state_fence(p->state, q->table_id) < q->version) {
            state_fence_put(p->state, q->table_id, q->version);
        }
    }
    if (q->table_id != 0) {
        take_along(p, q);
        drop_doomed(p, q);
    }
    struct status *st = propose_number(f, p, &key, q->version);
    buf_deinit(&key);
    TRY(st);
    return decide_older(f, p, q);
}

static struct status *on_fence(struct fiber *f, struct rpc_context *ctx, const void *request,
                               void **out_reply, void *handler_ctx)
{
    const Sherd__V1__FenceRequest *q = request;
    struct replica *r;
    struct part *p;
    (void)ctx;
    *out_reply = &empty;
    TRY(led(f, handler_ctx, q->shard_id, &r, &p));
    return done(r, p, fence(f, p, q));
}

static struct status *on_gc(struct fiber *f, struct rpc_context *ctx, const void *request,
                            void **out_reply, void *handler_ctx)
{
    const Sherd__V1__GcRequest *q = request;
    struct replica *r;
    struct part *p;
    (void)ctx;
    *out_reply = &empty;
    TRY(led(f, handler_ctx, q->shard_id, &r, &p));
    struct status *st = NULL;
    if (q->watermark > p->high) {
        /* Reads at H would be below it. */
        part_raise_high(p, q->watermark);
        rtc_raise_floor(&p->rtc, q->watermark);
    }
    if (q->watermark > p->state->watermark) {
        struct buf key = {0};
        state_key(&key, p->env->shard_id, 'W');
        st = propose_number(f, p, &key, q->watermark);
        buf_deinit(&key);
    }
    if (st == NULL) {
        gc_start(r);
    }
    return done(r, p, st);
}

static struct status *on_wipe(struct fiber *f, struct rpc_context *ctx, const void *request,
                              void **out_reply, void *handler_ctx)
{
    const Sherd__V1__WipeRequest *q = request;
    struct replica *r;
    struct part *p;
    (void)ctx;
    *out_reply = &empty;
    TRY(led(f, handler_ctx, q->shard_id, &r, &p));
    struct status *st = NULL;
    for (size_t i = 0; i < q->n_ranges && st == NULL; i++) {
        st = check_range(p, q->ranges[i]);
        if (st != NULL) {
            break;
        }
        st = gc_wipe(f, p, slice_make(q->ranges[i]->start.data, q->ranges[i]->start.len),
                     slice_make(q->ranges[i]->end.data, q->ranges[i]->end.len));
        if (st == NULL) {
            st = check_range(p, q->ranges[i]); /* split meanwhile */
        }
    }
    return done(r, p, st);
}

static struct status *on_split_point(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, void *handler_ctx)
{
    const Sherd__V1__SplitPointRequest *q = request;
    struct replica *r;
    struct part *p;
    Sherd__V1__SplitPointReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__split_point_reply__init(reply);
    *out_reply = reply;
    TRY(led(f, handler_ctx, q->shard_id, &r, &p));
    return done(r, p, split_point(r, ctx->arena, reply));
}

void admin_register(struct shard_server *s)
{
    struct rpc_node *n = s->o.rpc;
    rpc_register(n, RPC_SHARD_CREATE_REPLICA, on_create, s, false);
    rpc_register(n, RPC_SHARD_CHANGE_REPLICA, on_change, s, false);
    rpc_register(n, RPC_SHARD_SPLIT, on_split, s, false);
    rpc_register(n, RPC_SHARD_FENCE, on_fence, s, false);
    rpc_register(n, RPC_SHARD_GC, on_gc, s, false);
    rpc_register(n, RPC_SHARD_WIPE, on_wipe, s, false);
    rpc_register(n, RPC_SHARD_SPLIT_POINT, on_split_point, s, false);
}
