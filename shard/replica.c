/*
 * One replica: the state machine of its group, and the part of the term while it leads. The group
 * tells what has happened; whoever must wait does so on a fiber of its own.
 */
#include "base/check.h"
#include "base/log.h"
#include "server_impl.h"

static struct replica *replica_of(struct group_fsm *fsm)
{
    return CONTAINER_OF(fsm, struct replica, fsm);
}

/* ---- what a part needs ---- */

static struct status *env_propose(void *ctx, struct slice data, struct group_proposal *p)
{
    struct replica *r = ctx;
    return r->group == NULL ? rpc_not_leader(0) : group_propose(r->group, data, p);
}

static bool env_lease_valid(void *ctx)
{
    struct replica *r = ctx;
    return r->group != NULL && group_lease_valid(r->group);
}

static struct status *env_confirm(struct fiber *f, void *ctx)
{
    struct replica *r = ctx;
    return r->group == NULL ? rpc_not_leader(0) : group_read_barrier(f, r->group);
}

static struct status *env_timestamp(struct fiber *f, void *ctx, uint64_t *out)
{
    struct replica *r = ctx;
    return meta_timestamp(f, r->server->o.meta, out);
}

struct status *replica_not_leader(const struct replica *r)
{
    return rpc_not_leader(r->group != NULL ? group_leader_node(r->group) : 0);
}

static struct status *env_not_leader(void *ctx)
{
    return replica_not_leader(ctx);
}

static void env_orphan(void *ctx, struct work *w)
{
    recovery_orphan(ctx, w);
}

static void env_idle(void *ctx, struct work *w)
{
    recovery_idle(ctx, w);
}

static void env_waiting(void *ctx)
{
    struct replica *r = ctx;
    waits_begun(r->server);
}

/* ---- the state machine ---- */

static void take_right(void *ctx, uint64_t group_id, struct slice desc)
{
    struct replica *r = ctx;
    struct right_half *h = MEM_NEW(struct right_half);
    h->group_id = group_id;
    buf_put_slice(&h->desc, desc);
    list_push_back(&r->rights, &h->link);
}

static void fsm_apply(struct group_fsm *fsm, const struct group_entry *entries, size_t count,
                      struct store_batch *batch)
{
    struct replica *r = replica_of(fsm);
    for (size_t i = 0; i < count && fsm->failed == NULL; i++) {
        if (entries[i].data.len != 0) {
            fsm->failed =
                state_apply(r->state, entries[i].index, entries[i].data, batch, take_right, r);
        }
    }
}

static void fsm_applied(struct group_fsm *fsm, const struct group_entry *entries, size_t count)
{
    (void)entries;
    (void)count;
    struct replica *r = replica_of(fsm);
    cond_broadcast(&r->applied);
    if (!list_is_empty(&r->rights)) {
        split_applied(r);
    }
}

/* L1: `low` from the oracle, asked for after the locks are back. */
struct low_task {
    struct replica *replica;
    struct part *part;
};

static void fetch_low(struct fiber *f, struct shard_server *s, void *arg)
{
    struct low_task *t = arg;
    uint64_t pause_ms = 5;
    while (!t->part->is_dead && !s->is_stopping) {
        uint64_t low = 0;
        struct status *st = meta_timestamp(f, s->o.meta, &low);
        if (st == NULL) {
            part_serve(t->part, low);
            break;
        }
        status_free(st);
        if (status_consume(fiber_sleep(f, ms_to_ns(pause_ms)))) {
            break;
        }
        pause_ms = pause_ms < 200 ? pause_ms * 2 : pause_ms;
    }
    part_unref(t->part);
    replica_leave(t->replica);
    mem_free(t);
}

static void part_stop(struct replica *r)
{
    struct part *p = r->part;
    if (p != NULL) {
        r->part = NULL;
        metric_add(r->server->m_prepared, -(int64_t)p->prepared_count);
        part_end(p);
        part_unref(p);
    }
}

static void fsm_role_changed(struct group_fsm *fsm, enum group_role role, uint64_t term)
{
    struct replica *r = replica_of(fsm);
    if (r->part != NULL && (role != GROUP_LEADER_READY || r->part->term != term)) {
        part_stop(r);
    }
    if (role != GROUP_LEADER_READY || r->part != NULL || r->is_closing || r->server->is_stopping) {
        return;
    }
    struct status *st = part_begin(&r->env, r->state, term, &r->part);
    if (st != NULL) {
        fatal("shard %llu cannot be led: %s", (unsigned long long)r->shard_id, st->message);
    }
    metric_add(r->server->m_prepared, (int64_t)r->part->prepared_count);
    LOGD("shard", "leads shard %llu in term %llu, %u prepared", (unsigned long long)r->shard_id,
         (unsigned long long)term, r->part->prepared_count);
    struct low_task *t = MEM_NEW(struct low_task);
    t->replica = r;
    t->part = part_ref(r->part);
    replica_enter(r);
    server_spawn(r->server, fetch_low, t);
}

static void fsm_reloaded(struct group_fsm *fsm)
{
    struct replica *r = replica_of(fsm);
    struct status *st = state_reload(r->state);
    if (st != NULL) {
        fatal("shard %llu after a snapshot: %s", (unsigned long long)r->shard_id, st->message);
    }
    cond_broadcast(&r->applied);
    server_sync_map(r->server); /* it may have got over a split: the right half is not here then */
}

static size_t fsm_ranges(struct group_fsm *fsm, struct key_range *out, size_t max)
{
    return state_ranges(replica_of(fsm)->state, out, max);
}

/* ---- life ---- */

void replica_enter(struct replica *r)
{
    r->users++;
}

void replica_leave(struct replica *r)
{
    if (--r->users == 0 && r->is_closing) {
        cond_broadcast(&r->server->quiet);
    }
}

static void replica_free(struct replica *r)
{
    while (!list_is_empty(&r->rights)) {
        struct right_half *h = LIST_ITEM(list_pop_front(&r->rights), struct right_half, link);
        buf_deinit(&h->desc);
        mem_free(h);
    }
    follower_deinit(r);
    state_free(r->state);
    mem_free(r);
}

struct status *replica_open(struct fiber *f, struct shard_server *s, uint64_t shard_id,
                            struct replica **out)
{
    TRY(fmutex_lock(f, &s->opening));
    struct replica *r = server_replica(s, shard_id);
    struct status *st = NULL;
    if (r != NULL || s->is_stopping) {
        st = r != NULL
                 ? status_new(ALREADY_EXISTS, "shard %llu is open", (unsigned long long)shard_id)
                 : status_new(UNAVAILABLE, "the node stops");
        fmutex_unlock(&s->opening);
        return st;
    }
    r = MEM_NEW(struct replica);
    r->server = s;
    r->shard_id = shard_id;
    list_head_init(&r->rights);
    cond_init(&r->applied);
    follower_init(r);
    r->fsm = (struct group_fsm){.apply = fsm_apply,
                                .applied = fsm_applied,
                                .role_changed = fsm_role_changed,
                                .reloaded = fsm_reloaded,
                                .ranges = fsm_ranges};
    r->env = (struct part_env){.loop = s->loop,
                               .propose = env_propose,
                               .lease_valid = env_lease_valid,
                               .confirm = env_confirm,
                               .timestamp = env_timestamp,
                               .not_leader = env_not_leader,
                               .orphan = env_orphan,
                               .idle = env_idle,
                               .waiting = env_waiting,
                               .ctx = r,
                               .shard_id = shard_id,
                               .gauges = &s->gauges,
                               .workspace_max = s->o.workspace_max_bytes,
                               .locks_max = s->o.locks_max};
    st = state_load(s->o.state, shard_id, &r->state);
    if (st == NULL) {
        r->named_epoch = r->state->epoch;
        HASH_ADD(hh, s->replicas, shard_id, sizeof(r->shard_id), r);
        st = group_open(f, s->o.host, shard_id, &r->fsm, &r->group);
        if (st != NULL) {
            HASH_DEL(s->replicas, r);
            r->is_closing = true;
            part_stop(r);
        }
    }
    fmutex_unlock(&s->opening);
    if (st != NULL) {
        replica_free(r);
        return status_wrap(st, "shard %llu", (unsigned long long)shard_id);
    }
    metric_add(s->m_replicas, 1);
    if (out != NULL) {
        *out = r;
    }
    return NULL;
}

struct status *replica_close(struct fiber *f, struct replica *r, bool destroy)
{
    struct shard_server *s = r->server;
    if (r->is_closing) {
        return NULL;
    }
    r->is_closing = true;
    HASH_DEL(s->replicas, r);
    part_stop(r);
    cond_broadcast(&r->applied);
    cond_broadcast(&r->closed.answered);
    fiber_mask(f);
    while (r->users != 0) {
        status_consume(cond_wait(f, &s->quiet));
    }
    struct status *st = NULL;
    if (destroy) {
        st = group_destroy_replica(f, r->group);
    } else {
        group_close(f, r->group);
    }
    fiber_unmask(f);
    metric_add(s->m_replicas, -1);
    replica_free(r);
    return st;
}
