/*
 * The RPC handlers of data and transactions: find the replica, wait until its part serves, hand
 * over. A request for a shard that is not here, or not led here, hears NOT_LEADER with the leader
 * as far as known.
 *
 * Query and Finalize are served as soon as the locks are rebuilt (L1); all else waits for `low`.
 */
#include "base/failpoint.h"
#include "base/log.h"
#include "server_impl.h"

struct at {
    struct replica *replica;
    struct part *part;
};

/* With a reference to both until leave(). */
static struct status *enter(struct fiber *f, struct shard_server *s, uint64_t shard_id, bool early,
                            struct at *out)
{
    struct replica *r = server_replica(s, shard_id);
    if (r == NULL || r->group == NULL || s->is_stopping) {
        return rpc_not_leader(0);
    }
    if (r->part == NULL) {
        return replica_not_leader(r);
    }
    out->replica = r;
    out->part = part_ref(r->part);
    replica_enter(r);
    struct status *st = early ? NULL : part_enter(f, out->part);
    if (st != NULL) {
        part_unref(out->part);
        replica_leave(r);
    }
    return st;
}

static struct status *leave(struct at *at, struct status *st)
{
    struct shard_server *s = at->replica->server;
    if (st != NULL && st->code == STATUS_CONFLICT) {
        metric_add(s->m_conflicts, 1);
    }
    part_unref(at->part);
    replica_leave(at->replica);
    return st;
}

/* The work is done; a test may take its answer away (failpoint.h). */
static struct status *answered(enum failpoint fp, struct status *st)
{
    if (failpoint(fp)) {
        status_free(st);
        return status_new(UNKNOWN_OUTCOME, "the answer was lost at a failpoint");
    }
    return st;
}

static struct status *on_read(struct fiber *f, struct rpc_context *ctx, const void *request,
                              void **out_reply, void *handler_ctx)
{
    struct shard_server *s = handler_ctx;
    const Sherd__V1__ReadRequest *q = request;
    Sherd__V1__ReadReply *r = arena_alloc(ctx->arena, sizeof(*r));
    sherd__v1__read_reply__init(r);
    *out_reply = r;
    if (q->follower) {
        struct replica *here = server_replica(s, q->shard_id);
        if (here == NULL || here->group == NULL || here->part != NULL || s->is_stopping) {
            return rpc_not_leader(
                0); /* also a leader: it is asked as such, when ts has been checked */
        }
        replica_enter(here);
        struct status *st = follower_read(f, here, ctx->arena, q, r);
        replica_leave(here);
        return st;
    }
    struct at at;
    TRY(enter(f, s, q->shard_id, false, &at));
    metric_add(s->m_reads, 1);
    return leave(&at, part_read(f, at.part, ctx->arena, q, r));
}

void shard_server_low_nodes(struct shard_server *s, const uint64_t *nodes, size_t count)
{
    s->low_count = count < SHARD_LOW_NODES_MAX ? count : SHARD_LOW_NODES_MAX;
    for (size_t i = 0; i < s->low_count; i++) {
        s->low_nodes[i] = nodes[i];
    }
}

static bool is_low(const struct shard_server *s, uint64_t node_id)
{
    for (size_t i = 0; i < s->low_count; i++) {
        if (s->low_nodes[i] == node_id) {
            return true;
        }
    }
    return false;
}

/* What would add rows is refused before the disks are full: a replica that cannot write its log
 * ends, and a shard without a majority of them serves no reads either. */
static struct status *check_space(const struct shard_server *s, const struct replica *r,
                                  const Sherd__V1__WriteRequest *q)
{
    bool is_adding = false;
    for (size_t i = 0; s->low_count > 0 && i < q->n_ops; i++) {
        is_adding |= q->ops[i]->kind == SHERD__V1__OP_KIND__OP_INSERT ||
                     q->ops[i]->kind == SHERD__V1__OP_KIND__OP_PUT;
    }
    if (!is_adding || r->group == NULL) {
        return NULL;
    }
    struct group_replica config[GROUP_REPLICAS_MAX];
    size_t n = group_config(r->group, config, GROUP_REPLICAS_MAX), voters = 0, low = 0;
    struct buf names = {0};
    for (size_t i = 0; i < n; i++) {
        voters += config[i].is_voter;
        if (config[i].is_voter && is_low(s, config[i].node_id)) {
            buf_printf(&names, "%s%llu", low++ > 0 ? ", " : "",
                       (unsigned long long)config[i].node_id);
        }
    }
    struct status *st = NULL;
    if (2 * low >= voters) {
        st = status_hint(
            status_sql(LIMIT, "53100", "shard %llu takes no new rows: no space left on node %.*s",
                       (unsigned long long)r->shard_id, (int)names.len, (const char *)names.data),
            "Free space where storage.data_dir is, or delete, drop or truncate; writes go on by "
            "themselves once storage.reserve_mb is free.");
    }
    buf_deinit(&names);
    return st;
}

static struct status *on_write(struct fiber *f, struct rpc_context *ctx, const void *request,
                               void **out_reply, void *handler_ctx)
{
    struct shard_server *s = handler_ctx;
    const Sherd__V1__WriteRequest *q = request;
    Sherd__V1__WriteReply *r = arena_alloc(ctx->arena, sizeof(*r));
    sherd__v1__write_reply__init(r);
    *out_reply = r;
    struct at at;
    TRY(enter(f, s, q->shard_id, false, &at));
    metric_add(s->m_writes, 1);
    struct status *space = check_space(s, at.replica, q);
    if (space != NULL) {
        return leave(&at, space);
    }
    for (size_t i = 0; i < q->n_ops; i++) {
        struct slice key = slice_make(q->ops[i]->key.data, q->ops[i]->key.len);
        struct slice end = slice_make(q->ops[i]->value.data, q->ops[i]->value.len);
        bool is_here = q->ops[i]->kind == SHERD__V1__OP_KIND__OP_ABSENT
                           ? state_holds_range(at.part->state, key, end)
                           : state_holds(at.part->state, key);
        if (!is_here) {
            return leave(&at, status_new(MOVED, "keys of another shard"));
        }
    }
    return answered(FP_SHARD_WRITE, leave(&at, part_write(f, at.part, ctx->arena, q, r)));
}

static Sherd__V1__OutcomeReply *outcome(struct rpc_context *ctx, void **out_reply)
{
    Sherd__V1__OutcomeReply *r = arena_alloc(ctx->arena, sizeof(*r));
    sherd__v1__outcome_reply__init(r);
    *out_reply = r;
    return r;
}

static struct status *on_refresh(struct fiber *f, struct rpc_context *ctx, const void *request,
                                 void **out_reply, void *handler_ctx)
{
    const Sherd__V1__RefreshRequest *q = request;
    Sherd__V1__OutcomeReply *r = outcome(ctx, out_reply);
    struct at at;
    TRY(enter(f, handler_ctx, q->shard_id, false, &at));
    return leave(&at, part_refresh(f, at.part, q, r));
}

static struct status *on_validate(struct fiber *f, struct rpc_context *ctx, const void *request,
                                  void **out_reply, void *handler_ctx)
{
    const Sherd__V1__ValidateRequest *q = request;
    Sherd__V1__OutcomeReply *r = outcome(ctx, out_reply);
    struct at at;
    TRY(enter(f, handler_ctx, q->shard_id, false, &at));
    return leave(&at, part_validate(f, at.part, q, r));
}

static struct status *prepare(struct fiber *f, struct rpc_context *ctx, const void *request,
                              void **out_reply, struct shard_server *s, bool is_one)
{
    const Sherd__V1__PrepareRequest *q = request;
    Sherd__V1__OutcomeReply *r = outcome(ctx, out_reply);
    struct at at;
    TRY(enter(f, s, q->shard_id, false, &at));
    metric_add(s->m_commits, 1);
    return answered(is_one ? FP_SHARD_COMMIT : FP_SHARD_PREPARE,
                    leave(&at, part_prepare(f, at.part, q, is_one, r)));
}

static struct status *on_prepare(struct fiber *f, struct rpc_context *ctx, const void *request,
                                 void **out_reply, void *handler_ctx)
{
    return prepare(f, ctx, request, out_reply, handler_ctx, false);
}

static struct status *on_commit_one(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, void *handler_ctx)
{
    return prepare(f, ctx, request, out_reply, handler_ctx, true);
}

static struct status *on_query(struct fiber *f, struct rpc_context *ctx, const void *request,
                               void **out_reply, void *handler_ctx)
{
    const Sherd__V1__QueryRequest *q = request;
    Sherd__V1__OutcomeReply *r = outcome(ctx, out_reply);
    struct at at;
    TRY(enter(f, handler_ctx, q->shard_id, true, &at));
    return leave(&at, part_query(f, at.part, q, r));
}

static struct status *on_lookup(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, void *handler_ctx)
{
    const Sherd__V1__QueryRequest *q = request;
    Sherd__V1__OutcomeReply *r = outcome(ctx, out_reply);
    struct at at;
    TRY(enter(f, handler_ctx, q->shard_id, false, &at));
    return leave(&at, part_lookup(f, at.part, q, r));
}

static struct status *on_finalize(struct fiber *f, struct rpc_context *ctx, const void *request,
                                  void **out_reply, void *handler_ctx)
{
    struct shard_server *s = handler_ctx;
    const Sherd__V1__FinalizeRequest *q = request;
    Sherd__V1__OutcomeReply *r = outcome(ctx, out_reply);
    struct at at;
    TRY(enter(f, s, q->shard_id, true, &at));
    metric_add(s->m_commits, 1);
    return answered(FP_SHARD_FINALIZE, leave(&at, part_finalize(f, at.part, q, r)));
}

static struct status *on_forget(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, void *handler_ctx)
{
    const Sherd__V1__ForgetRequest *q = request;
    (void)ctx;
    static Sherd__V1__Empty empty = SHERD__V1__EMPTY__INIT;
    *out_reply = &empty;
    struct at at;
    TRY(enter(f, handler_ctx, q->shard_id, true, &at));
    part_forget(at.part, q);
    return leave(&at, NULL);
}

static struct status *on_rollback(struct fiber *f, struct rpc_context *ctx, const void *request,
                                  void **out_reply, void *handler_ctx)
{
    const Sherd__V1__RollbackRequest *q = request;
    Sherd__V1__OutcomeReply *r = outcome(ctx, out_reply);
    struct at at;
    TRY(enter(f, handler_ctx, q->shard_id, true, &at));
    return leave(&at, part_rollback(f, at.part, q, r));
}

static struct status *on_close(struct fiber *f, struct rpc_context *ctx, const void *request,
                               void **out_reply, void *handler_ctx)
{
    const Sherd__V1__CloseRequest *q = request;
    Sherd__V1__CloseReply *r = ARENA_NEW(ctx->arena, Sherd__V1__CloseReply);
    sherd__v1__close_reply__init(r);
    *out_reply = r;
    struct at at;
    TRY(enter(f, handler_ctx, q->shard_id, false, &at));
    return leave(&at, follower_close(f, at.replica, at.part, q, r));
}

void service_register(struct shard_server *s)
{
    struct rpc_node *n = s->o.rpc;
    rpc_register(n, RPC_SHARD_READ, on_read, s, false);
    rpc_register(n, RPC_SHARD_WRITE, on_write, s, false);
    rpc_register(n, RPC_SHARD_REFRESH, on_refresh, s, false);
    rpc_register(n, RPC_SHARD_VALIDATE, on_validate, s, false);
    rpc_register(n, RPC_SHARD_PREPARE, on_prepare, s, false);
    rpc_register(n, RPC_SHARD_COMMIT_ONE, on_commit_one, s, false);
    rpc_register(n, RPC_SHARD_QUERY, on_query, s, false);
    rpc_register(n, RPC_SHARD_FINALIZE, on_finalize, s, false);
    rpc_register(n, RPC_SHARD_FORGET, on_forget, s, false);
    rpc_register(n, RPC_SHARD_ROLLBACK, on_rollback, s, false);
    rpc_register(n, RPC_SHARD_WAITS, waits_handle, s, false);
    rpc_register(n, RPC_SHARD_CLOSE, on_close, s, false);
    rpc_register(n, RPC_SHARD_LOOKUP, on_lookup, s, false);
}

void service_unregister(struct shard_server *s)
{
    for (int m = RPC_SHARD_READ; m <= RPC_SHARD_WAITS; m++) {
        rpc_register(s->o.rpc, (enum rpc_method)m, NULL, NULL, false);
    }
    rpc_register(s->o.rpc, RPC_SHARD_CLOSE, NULL, NULL, false);
    rpc_register(s->o.rpc, RPC_SHARD_LOOKUP, NULL, NULL, false);
}
