/*
 * The shard server: opens what is on disk, follows the shard map, reports, stops. See server_impl.h
 * for who does what.
 *
 * The map and the replicas here: a replica is made when the map names this node and nothing here
 * still holds any of its keys (a split that this node has not applied yet would); it starts empty
 * and the leader fills it. It is removed when a newer descriptor than the one that named it names
 * it no more.
 */
#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "server_impl.h"

struct replica *server_replica(struct shard_server *s, uint64_t shard_id)
{
    struct replica *r = NULL;
    HASH_FIND(hh, s->replicas, &shard_id, sizeof(shard_id), r);
    return r;
}

/* ---- background fibers ---- */

static void background_run(struct fiber *f, void *arg)
{
    struct background *b = arg;
    b->fn(f, b->server, b->arg);
    list_unlink(&b->link);
    cond_broadcast(&b->server->quiet);
    mem_free(b);
}

void server_spawn(struct shard_server *s,
                  void (*fn)(struct fiber *f, struct shard_server *s, void *arg), void *arg)
{
    struct background *b = MEM_NEW(struct background);
    b->server = s;
    b->fn = fn;
    b->arg = arg;
    list_push_back(&s->fibers, &b->link);
    b->fiber = fiber_spawn(s->loop, FIBER_STACK_SMALL, background_run, b);
    if (s->is_stopping) {
        fiber_cancel(b->fiber);
    }
}

/* ---- bootstrap ---- */

struct status *shard_bootstrap_group(struct fiber *f, struct group_host *host, uint64_t node_id,
                                     const Sherd__V1__ShardDesc *desc)
{
    struct group_replica replicas[GROUP_REPLICAS_MAX];
    size_t count = 0;
    uint64_t own = 0;
    for (size_t i = 0; i < desc->n_replicas; i++) {
        const Sherd__V1__ReplicaDesc *d = desc->replicas[i];
        if (count == GROUP_REPLICAS_MAX) {
            return status_new(INVALID, "shard %llu has too many replicas",
                              (unsigned long long)desc->shard_id);
        }
        replicas[count++] = (struct group_replica){
            d->replica_id, d->node_id, d->role == SHERD__V1__REPLICA_ROLE__REPLICA_VOTER};
        if (d->node_id == node_id) {
            own = d->replica_id;
        }
    }
    if (own == 0) {
        return status_new(INVALID, "shard %llu has no replica on this node",
                          (unsigned long long)desc->shard_id);
    }
    return group_bootstrap(f, host, desc->shard_id, own, replicas, count);
}

struct status *shard_bootstrap(struct fiber *f, struct group_host *host, struct store *state,
                               uint64_t node_id, const Sherd__V1__ShardDesc *desc)
{
    /* The descriptor first: a group without one would not know its range. */
    struct buf key = {0}, value = {0};
    state_key(&key, desc->shard_id, 'D');
    size_t len = sherd__v1__shard_desc__get_packed_size(desc);
    sherd__v1__shard_desc__pack(desc, buf_extend(&value, len));
    bool found = false;
    struct buf old = {0};
    struct status *st = store_get(state, NULL, buf_slice(&key), &old, &found);
    if (st == NULL && !found) { /* a crash in the middle of a first start leaves it */
        struct store_batch *b = store_batch_create(state);
        store_batch_put(b, buf_slice(&key), buf_slice(&value));
        st = store_write(state, b, true);
        store_batch_destroy(b);
    }
    buf_deinit(&old);
    buf_deinit(&key);
    buf_deinit(&value);
    TRY(st);
    return shard_bootstrap_group(f, host, node_id, desc);
}

/* ---- the shard map ---- */

/* A replica here holds keys of [start, end): the newcomer has to wait until it has applied the
 * split. */
static bool is_held_here(struct shard_server *s, const struct shard_info *info)
{
    struct replica *r, *tmp;
    HASH_ITER(hh, s->replicas, r, tmp)
    {
        const struct shard_state *st = r->state;
        if (st->epoch == 0 || r->shard_id == info->shard_id) {
            continue;
        }
        bool is_left = st->end.len != 0 && slice_cmp(buf_slice(&st->end), info->start) <= 0;
        bool is_right = info->end.len != 0 && slice_cmp(info->end, buf_slice(&st->start)) <= 0;
        if (!is_left && !is_right) {
            return true;
        }
    }
    return false;
}

struct map_work { /* what the map asks for, found in one turn, done on the fiber */
    struct shard_server *server;
    uint64_t create[64], create_replica[64];
    size_t create_count;
    uint64_t destroy[64];
    size_t destroy_count;
};

static bool look_at_shard(void *ctx, const struct shard_info *info)
{
    struct map_work *m = ctx;
    struct shard_server *s = m->server;
    struct replica *r = server_replica(s, info->shard_id);
    uint64_t named = 0;
    for (size_t i = 0; i < info->replica_count; i++) {
        if (info->replicas[i].node_id == s->o.node_id) {
            named = info->replicas[i].replica_id;
        }
    }
    if (r != NULL && r->group != NULL) {
        if (named == group_replica_id(r->group)) {
            r->named_epoch = info->epoch > r->named_epoch ? info->epoch : r->named_epoch;
        } else if (info->epoch > r->named_epoch && m->destroy_count < 64) {
            m->destroy[m->destroy_count++] = info->shard_id;
        }
    } else if (r == NULL && named != 0 && m->create_count < 64 && !is_held_here(s, info) &&
               !split_is_pending(s, info->shard_id)) {
        /* A new replica enters the map as a learner. A voter that is not here comes from a split:
         * from the left half's entry while that is under way (an empty replica would be in its
         * way), but from the leader when the left half has got over the split by a snapshot. */
        m->create[m->create_count] = info->shard_id;
        m->create_replica[m->create_count++] = named;
    }
    return m->create_count < 64 || m->destroy_count < 64;
}

static void sync_map(struct fiber *f, struct shard_server *s, void *arg)
{
    (void)arg;
    while (s->sync_again && !s->is_stopping) {
        s->sync_again = false;
        struct map_work m = {.server = s};
        shard_map_scan(s->o.meta, slice_make(NULL, 0), slice_make(NULL, 0), look_at_shard, &m);
        for (size_t i = 0; i < m.destroy_count; i++) {
            struct replica *r = server_replica(s, m.destroy[i]);
            if (r != NULL) {
                LOGI("shard", "shard %llu is not on this node any more",
                     (unsigned long long)m.destroy[i]);
                struct status *st = replica_close(f, r, true);
                if (st != NULL) {
                    LOGW("shard", "removing shard %llu: %s", (unsigned long long)m.destroy[i],
                         st->message);
                    status_free(st);
                }
            }
        }
        for (size_t i = 0; i < m.create_count; i++) {
            struct status *st =
                group_bootstrap(f, s->o.host, m.create[i], m.create_replica[i], NULL, 0);
            if (st == NULL || st->code == STATUS_ALREADY_EXISTS) {
                status_free(st);
                st = replica_open(f, s, m.create[i], NULL);
            }
            if (st != NULL && st->code != STATUS_ALREADY_EXISTS) {
                LOGW("shard", "making a replica of shard %llu: %s", (unsigned long long)m.create[i],
                     st->message);
            }
            status_free(st);
        }
    }
    s->is_syncing = false;
}

void server_sync_map(struct shard_server *s)
{
    s->sync_again = true;
    if (!s->is_syncing && !s->is_stopping) {
        s->is_syncing = true;
        server_spawn(s, sync_map, NULL);
    }
}

static void map_changed(struct meta_listener *l, struct slice key, struct slice value, bool deleted)
{
    (void)key;
    (void)value;
    (void)deleted;
    server_sync_map(CONTAINER_OF(l, struct shard_server, listener));
}

/* ---- requests to other shards ---- */

struct status *server_call(struct fiber *f, struct shard_server *s, uint64_t shard_id,
                           enum rpc_method m, const void *request, struct arena *a,
                           void **out_reply)
{
    uint64_t node = 0;
    struct status *st = NULL;
    for (unsigned tries = 0; tries < 8; tries++) {
        const struct shard_info *info = shard_map_by_id(s->o.meta, shard_id);
        if (info == NULL || info->replica_count == 0) {
            status_free(st);
            return status_new(UNAVAILABLE, "shard %llu is not in the map",
                              (unsigned long long)shard_id);
        }
        if (node == 0) {
            node = tries == 0 && info->leader_hint != 0
                       ? info->leader_hint
                       : info->replicas[tries % info->replica_count].node_id;
        }
        status_free(st);
        uint64_t outer = fiber_set_deadline(f, loop_clock_ns(s->loop) + ms_to_ns(SHARD_CALL_MS));
        st = rpc_call(f, s->o.rpc, node, m, request, a, out_reply);
        fiber_set_deadline(f, outer);
        if (st == NULL) {
            shard_map_leader(s->o.meta, shard_id, node);
            return NULL;
        }
        if (st->code != STATUS_NOT_LEADER && st->code != STATUS_UNAVAILABLE) {
            return st;
        }
        uint64_t hint = st->code == STATUS_NOT_LEADER ? rpc_leader_hint(st) : 0;
        node = hint != node ? hint : 0;
        if (node == 0) {
            struct status *slept = fiber_sleep(f, ms_to_ns(5ull << (tries < 5 ? tries : 5)));
            if (slept != NULL) {
                status_free(st);
                return slept;
            }
        }
    }
    return st;
}

/* ---- start and stop ---- */

static void make_metrics(struct shard_server *s)
{
    s->m_reads = metric_counter("sherd_shard_reads_total", NULL, "read requests");
    s->m_writes = metric_counter("sherd_shard_writes_total", NULL, "write requests");
    s->m_commits =
        metric_counter("sherd_shard_commits_total", NULL, "commits, prepares and finalizes");
    s->m_conflicts = metric_counter("sherd_shard_conflicts_total", NULL,
                                    "requests that ended with 40001 or 40P01");
    s->m_recovered = metric_counter("sherd_shard_recovered_total", NULL,
                                    "orphaned prepared transactions decided");
    s->m_deadlocks =
        metric_counter("sherd_shard_deadlocks_total", NULL, "deadlocks across shards found");
    s->m_deadlock_searches = metric_counter("sherd_shard_deadlock_searches_total", NULL,
                                            "searches for deadlocks across shards by this node");
    s->m_prepared = metric_gauge("sherd_shard_prepared", NULL,
                                 "prepared, undecided transactions of led shards");
    s->gauges = (struct part_gauges){
        .works = metric_gauge("sherd_shard_workspaces", NULL,
                              "transactions that have a workspace in a led shard"),
        .locks = metric_gauge("sherd_shard_locks", NULL, "row locks that they hold"),
        .bytes = metric_gauge("sherd_shard_workspace_bytes", NULL,
                              "memory of their writes and read spans"),
    };
    s->m_follower_reads = metric_counter("sherd_shard_follower_reads_total", NULL,
                                         "reads in the past served by a replica that did not lead");
    s->m_closes = metric_counter("sherd_shard_closes_total", NULL,
                                 "timestamps closed by leaders for reads of followers");
    s->m_replicas = metric_gauge("sherd_shard_replicas", NULL, "shard replicas on this node");
}

struct status *shard_server_start(struct fiber *f, const struct shard_server_options *options,
                                  struct shard_server **out)
{
    struct shard_server *s = MEM_NEW(struct shard_server);
    s->o = *options;
    s->loop = rpc_node_loop(options->rpc);
    list_head_init(&s->fibers);
    list_head_init(&s->halves);
    cond_init(&s->quiet);
    cond_init(&s->search_wake);
    fmutex_init(&s->opening);
    make_metrics(s);
    s->worker = worker_create(s->loop, "shard");
    service_register(s);
    admin_register(s);
    size_t count = group_host_list(s->o.host, NULL, 0);
    uint64_t *ids = mem_alloc((count + 1) * sizeof(*ids));
    count = group_host_list(s->o.host, ids, count);
    struct status *st = NULL;
    for (size_t i = 0; i < count && st == NULL; i++) {
        if (ids[i] > 1) { /* 1 is the metadata group */
            st = replica_open(f, s, ids[i], NULL);
            if (status_is(st, STATUS_NOT_FOUND)) { /* its removal had begun, and is done now */
                status_free(st);
                st = NULL;
            }
        }
    }
    mem_free(ids);
    if (st != NULL) {
        shard_server_stop(f, s);
        return st;
    }
    split_resume(f, s);
    s->listener.prefix = slice_str("shard/");
    s->listener.changed = map_changed;
    meta_listen(s->o.meta, &s->listener);
    s->is_listening = true;
    map_changed(&s->listener, slice_str(""), slice_str(""), false);
    *out = s;
    return NULL;
}

void shard_server_stop(struct fiber *f, struct shard_server *s)
{
    if (s == NULL) {
        return;
    }
    s->is_stopping = true;
    if (s->is_listening) {
        meta_unlisten(&s->listener);
    }
    service_unregister(s);
    timer_stop(&s->waits_timer);
    fiber_mask(f);
    LIST_FOREACH(it, &s->fibers)
    {
        fiber_cancel(LIST_ITEM(it, struct background, link)->fiber);
    }
    while (s->replicas != NULL) { /* closing takes it out of the table */
        status_consume(replica_close(f, s->replicas, false));
    }
    while (!list_is_empty(&s->fibers)) {
        status_consume(cond_wait(f, &s->quiet));
    }
    fiber_unmask(f);
    worker_destroy(s->worker);
    recovery_forget_silence(s);
    mem_free(s);
}

size_t shard_server_report(struct shard_server *s, struct arena *a, Sherd__V1__ReplicaStatus ***out)
{
    size_t n = 0, count = HASH_COUNT(s->replicas);
    Sherd__V1__ReplicaStatus **all = ARENA_ARRAY(a, Sherd__V1__ReplicaStatus *, count + 1);
    uint64_t now = loop_now_ns(s->loop);
    struct buf start = {0}, end = {0};
    struct replica *r, *tmp;
    HASH_ITER(hh, s->replicas, r, tmp)
    {
        if (r->group == NULL) {
            continue;
        }
        if (r->bytes_at_ns == 0 || now - r->bytes_at_ns > ms_to_ns(10000)) {
            r->bytes_at_ns = now;
            mvcc_bound(&start, 'd', buf_slice(&r->state->start), false);
            mvcc_bound(&end, 'd', buf_slice(&r->state->end), true);
            r->bytes = store_approximate_size(s->o.state, buf_slice(&start), buf_slice(&end));
        }
        Sherd__V1__ReplicaStatus *x = ARENA_NEW(a, Sherd__V1__ReplicaStatus);
        sherd__v1__replica_status__init(x);
        x->shard_id = r->shard_id;
        x->replica_id = group_replica_id(r->group);
        x->role = (uint32_t)group_role(r->group);
        x->term = group_term(r->group);
        x->applied = group_applied_index(r->group);
        x->last = group_last_index(r->group);
        x->epoch = r->state->epoch;
        x->bytes = r->bytes;
        x->checksum = group_checksum(r->group);
        x->checksum_index = x->applied;
        x->prepared = r->part != NULL ? r->part->prepared_count : 0;
        all[n++] = x;
    }
    buf_deinit(&start);
    buf_deinit(&end);
    *out = all;
    return n;
}

void shard_server_drain(struct fiber *f, struct shard_server *s)
{
    size_t count = 0;
    uint64_t *ids = mem_alloc((HASH_COUNT(s->replicas) + 1) * sizeof(*ids));
    uint64_t patience_ns = loop_clock_ns(s->loop) + ms_to_ns(SHARD_SPARE_END_MS);
    struct replica *r, *tmp;
    HASH_ITER(hh, s->replicas, r, tmp)
    {
        ids[count++] = r->shard_id;
    }
    for (size_t i = 0; i < count; i++) {
        r = server_replica(s, ids[i]);
        if (r == NULL || r->group == NULL || group_role(r->group) != GROUP_LEADER_READY) {
            continue;
        }
        struct group_replica config[GROUP_REPLICAS_MAX];
        size_t n = group_config(r->group, config, GROUP_REPLICAS_MAX), voters = 0;
        for (size_t k = 0; k < n; k++) {
            voters += config[k].is_voter ? 1 : 0;
        }
        if (voters < 2) {
            continue;
        }
        replica_enter(r);
        if (r->part != NULL) {
            uint64_t now = loop_clock_ns(s->loop);
            struct part *p = part_ref(r->part);
            status_consume(part_spare(f, p, slice_make(NULL, 0),
                                      patience_ns > now ? (patience_ns - now) / 1000000 : 0));
            part_unref(p);
        }
        struct status *st = group_transfer(f, r->group, 0);
        if (st != NULL) {
            LOGI("shard", "shard %llu stays here until the node stops: %s",
                 (unsigned long long)ids[i], st->message);
            status_free(st);
        }
        replica_leave(r);
    }
    mem_free(ids);
}
