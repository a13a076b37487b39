/*
 * The scheduler: runs on the metadata leader only and brings the cluster to what it should be. Two
 * fibers, so that a slow one does not hold up a quick one:
 *
 *   jobs    work asked for (job/ keys: pre-splits, splits) and splits by size; woken by a new job
 *   place   replicas, leaders, garbage collection, fences; every scheduler_ms
 *
 * Everything that must survive a failover is in the key space: a descriptor that names a learner is
 * the intent to make it a voter, a job that names a right shard is the intent to split. Each step
 * may be repeated: it looks at what is, does one thing, and changes the descriptor by
 * compare-and-set on its epoch. A shard is in the hands of one fiber at a time
 * (sched_shard.is_busy).
 *
 * Life: meta_sched_start() when the leader is ready, meta_sched_cancel() when it is not any more.
 * Both fibers hold the server (meta_server.calls) and see the end at their next park; the last one
 * frees.
 */
#include "scheduler.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

#define SCHEDULER_MS 1000u

/* ---- the state ---- */

/* Appends to a growing array of pointers in the arena. */
static void *grow(struct arena *a, void *array, size_t count, size_t *cap)
{
    if (count < *cap) {
        return array;
    }
    size_t old = *cap;
    *cap = old == 0 ? 64 : old * 2;
    return arena_grow(a, array, old * sizeof(void *), *cap * sizeof(void *));
}

static bool view_shard(void *ctx, struct omap_entry *e)
{
    struct sched_view *v = ctx;
    void *message;
    if (status_consume(pb_unpack(&sherd__v1__shard_desc__descriptor, v->arena, omap_entry_value(e),
                                 &message))) {
        return true;
    }
    v->shards = grow(v->arena, v->shards, v->shard_count, &v->shard_cap);
    v->shards[v->shard_count++] = message;
    return true;
}

static bool view_node(void *ctx, struct omap_entry *e)
{
    struct sched_view *v = ctx;
    void *message;
    if (status_consume(pb_unpack(&sherd__v1__node_desc__descriptor, v->arena, omap_entry_value(e),
                                 &message)) ||
        ((Sherd__V1__NodeDesc *)message)->address == NULL) {
        return true;
    }
    v->nodes = grow(v->arena, v->nodes, v->node_count, &v->node_cap);
    v->nodes[v->node_count++] = message;
    return true;
}

static bool has_replica_on(const Sherd__V1__ShardDesc *d, uint64_t node_id)
{
    for (size_t i = 0; i < d->n_replicas; i++) {
        if (d->replicas[i]->node_id == node_id) {
            return true;
        }
    }
    return false;
}

static void view_free(struct sched_view *v)
{
    if (v != NULL) {
        arena_destroy(v->arena); /* v lives in it */
    }
}

static void view_refresh(struct meta_sched *m)
{
    struct meta_fsm *fsm = &m->server->fsm;
    if (m->view != NULL && m->view->generation == fsm->shard_generation) {
        return;
    }
    view_free(m->view);
    struct arena *a = arena_create(0);
    struct sched_view *v = ARENA_NEW(a, struct sched_view);
    v->arena = a;
    v->generation = fsm->shard_generation;
    omap_scan_prefix(&fsm->map, slice_str(META_PREFIX_SHARD), view_shard, v);
    omap_scan_prefix(&fsm->map, slice_str(META_PREFIX_NODE), view_node, v);
    v->replica_counts = ARENA_ARRAY(a, size_t, v->node_count + 1);
    for (size_t i = 0; i < v->shard_count; i++) {
        for (size_t k = 0; k < v->node_count; k++) {
            v->replica_counts[k] += has_replica_on(v->shards[i], v->nodes[k]->address->node_id);
        }
    }
    m->view = v;
}

static bool jobs_add(void *ctx, struct omap_entry *e)
{
    struct sched_jobs *j = ctx;
    void *message;
    if (status_consume(
            pb_unpack(&sherd__v1__job_desc__descriptor, j->arena, omap_entry_value(e), &message))) {
        return true;
    }
    j->jobs = grow(j->arena, j->jobs, j->count, &j->cap);
    j->jobs[j->count++] = message;
    return true;
}

struct sched_jobs sched_jobs_read(struct meta_sched *m, struct arena *a)
{
    struct sched_jobs j = {.arena = a};
    omap_scan_prefix(&m->server->fsm.map, slice_str(META_PREFIX_JOB), jobs_add, &j);
    return j;
}

bool sched_is_splitting(struct meta_sched *m, uint64_t shard_id)
{
    struct arena *a = arena_create(0);
    struct sched_jobs j = sched_jobs_read(m, a);
    bool found = false;
    for (size_t i = 0; i < j.count && !found; i++) {
        found = j.jobs[i]->right != NULL && j.jobs[i]->shard_id == shard_id;
    }
    arena_destroy(a);
    return found;
}

struct find_shard {
    struct arena *arena;
    uint64_t shard_id;
    Sherd__V1__ShardDesc *found;
};

static bool find_shard(void *ctx, struct omap_entry *e)
{
    struct find_shard *fs = ctx;
    void *message;
    if (!status_consume(pb_unpack(&sherd__v1__shard_desc__descriptor, fs->arena,
                                  omap_entry_value(e), &message)) &&
        ((Sherd__V1__ShardDesc *)message)->shard_id == fs->shard_id) {
        fs->found = message;
        return false;
    }
    return true;
}

Sherd__V1__ShardDesc *sched_shard_desc(struct meta_server *s, struct arena *a, uint64_t shard_id)
{
    struct find_shard fs = {a, shard_id, NULL};
    omap_scan_prefix(&s->fsm.map, slice_str(META_PREFIX_SHARD), find_shard, &fs);
    return fs.found;
}

bool sched_table_exists(struct meta_server *s, uint32_t table_id)
{
    struct buf key = {0};
    meta_key(&key, META_PREFIX_TABLE, table_id, 4);
    bool exists = omap_get(&s->fsm.map, buf_slice(&key)) != NULL;
    buf_deinit(&key);
    return exists;
}

struct sched_shard *sched_shard_get(struct meta_sched *m, uint64_t shard_id)
{
    struct sched_shard *ss;
    HASH_FIND(hh, m->shards, &shard_id, sizeof(shard_id), ss);
    if (ss == NULL) {
        ss = MEM_NEW(struct sched_shard);
        ss->shard_id = shard_id;
        HASH_ADD(hh, m->shards, shard_id, sizeof(ss->shard_id), ss);
    }
    return ss;
}

static void read_report(struct meta_sched *m, uint64_t node_id, const Sherd__V1__ReplicaStatus *r)
{
    if (r->role != GROUP_LEADER && r->role != GROUP_LEADER_READY) {
        return;
    }
    struct sched_shard *ss = sched_shard_get(m, r->shard_id);
    if (ss->pass == m->pass && ss->leader_term >= r->term) {
        return;
    }
    ss->pass = m->pass;
    ss->leader_node = node_id;
    ss->leader_term = r->term;
    ss->bytes = r->bytes;
    ss->report_last = r->last;
}

void sched_read_reports(struct meta_sched *m)
{
    struct meta_server *s = m->server;
    m->pass++;
    for (size_t i = 0; i < s->seen_count; i++) {
        const struct meta_node_seen *seen = &s->seen[i];
        if (!meta_node_alive(s, seen->node_id)) {
            continue;
        }
        for (size_t k = 0; k < seen->replica_count; k++) {
            read_report(m, seen->node_id, &seen->replicas[k]);
        }
    }
    struct sched_shard *ss;
    struct sched_shard *tmp;
    HASH_ITER(hh, m->shards, ss, tmp)
    {
        if (ss->pass != m->pass) {
            ss->leader_node = 0;
        }
    }
}

/* ---- calls ---- */

struct status *sched_check(struct fiber *f, struct meta_sched *m)
{
    if (m->is_cancelled) {
        return status_new(CANCELLED, "this node does not lead the metadata group any more");
    }
    return fiber_check(f);
}

struct status *sched_call(struct fiber *f, struct meta_sched *m, uint64_t node_id,
                          enum rpc_method method, const void *request, uint32_t timeout_ms,
                          struct arena *a, void **out_reply)
{
    struct meta_server *s = m->server;
    uint64_t outer = fiber_set_deadline(f, loop_now_ns(s->loop) + ms_to_ns(timeout_ms));
    struct status *st = rpc_call(f, s->options.rpc, node_id, method, request, a, out_reply);
    fiber_set_deadline(f, outer);
    if (m->is_cancelled) {
        status_free(st);
        return sched_check(f, m);
    }
    return st;
}

struct status *sched_call_leader(struct fiber *f, struct meta_sched *m,
                                 const Sherd__V1__ShardDesc *d, enum rpc_method method,
                                 const void *request, uint32_t timeout_ms, struct arena *a,
                                 void **out_reply)
{
    uint64_t target = sched_shard_get(m, d->shard_id)->leader_node;
    struct status *st = status_new(UNAVAILABLE, "shard %" PRIu64 " has no replica", d->shard_id);
    size_t next = 0;
    for (size_t tries = 0; tries < d->n_replicas + 3; tries++) {
        if (target == 0) {
            if (next == d->n_replicas) {
                break;
            }
            target = d->replicas[next++]->node_id;
        }
        status_free(st);
        st = sched_call(f, m, target, method, request, timeout_ms, a, out_reply);
        if (st == NULL) {
            sched_shard_get(m, d->shard_id)->leader_node = target;
            return NULL;
        }
        if (!status_is(st, STATUS_NOT_LEADER) && !status_is(st, STATUS_UNAVAILABLE)) {
            return st;
        }
        uint64_t hint = status_is(st, STATUS_NOT_LEADER) ? rpc_leader_hint(st) : 0;
        target = hint == target ? 0 : hint;
    }
    return st;
}

/* ---- changing a descriptor ---- */

struct put_shard_op {
    struct meta_op op;
    const Sherd__V1__ShardDesc *desc;
    uint64_t epoch;
    bool done;
};

static struct status *put_shard_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct put_shard_op *op = CONTAINER_OF(base, struct put_shard_op, op);
    struct arena *a = arena_create(0);
    struct buf key = {0};
    void *message;
    meta_key_shard(&key, slice_make(op->desc->range->start.data, op->desc->range->start.len));
    const struct omap_entry *e = meta_batch_get(b, buf_slice(&key));
    struct status *st = NULL;
    if (e != NULL) {
        st = pb_unpack(&sherd__v1__shard_desc__descriptor, a, omap_entry_value(e), &message);
        if (st == NULL) {
            const Sherd__V1__ShardDesc *now = message;
            op->done = now->shard_id == op->desc->shard_id && now->epoch == op->epoch;
        }
    }
    if (op->done) {
        meta_batch_put(b, buf_slice(&key), pb_pack_in(op->desc, a));
    }
    buf_deinit(&key);
    arena_destroy(a);
    return st;
}

struct status *sched_put_shard(struct fiber *f, struct meta_sched *m, const Sherd__V1__ShardDesc *d,
                               uint64_t epoch, bool *out_done)
{
    struct put_shard_op *op = meta_op_create(sizeof(*op), put_shard_evaluate);
    op->desc = d;
    op->epoch = epoch;
    TRY(meta_submit(f, m->server, &op->op));
    *out_done = op->done;
    mem_free(op);
    return sched_check(f, m);
}

struct drop_op {
    struct meta_op op;
    uint64_t job_id;
};

static struct status *drop_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct drop_op *op = CONTAINER_OF(base, struct drop_op, op);
    struct buf key = {0};
    meta_key(&key, META_PREFIX_JOB, op->job_id, 8);
    meta_batch_delete(b, buf_slice(&key));
    buf_deinit(&key);
    return NULL;
}

struct status *sched_job_drop(struct fiber *f, struct meta_sched *m, uint64_t job_id)
{
    struct drop_op *op = meta_op_create(sizeof(*op), drop_evaluate);
    op->job_id = job_id;
    TRY(meta_submit(f, m->server, &op->op));
    mem_free(op);
    return sched_check(f, m);
}

/* ---- the fibers ---- */

static void sched_end(struct meta_sched *m)
{
    struct meta_server *s = m->server;
    if (--m->fibers > 0) {
        return;
    }
    struct sched_shard *ss;
    struct sched_shard *tmp;
    HASH_ITER(hh, m->shards, ss, tmp)
    {
        HASH_DELETE(hh, m->shards, ss);
        mem_free(ss);
    }
    view_free(m->view);
    mem_free(m);
    s->calls--;
    cond_broadcast(&s->calls_cond);
}

static uint64_t pace_ns(const struct meta_sched *m)
{
    uint32_t ms = m->server->options.scheduler_ms;
    return ms_to_ns(ms == 0 ? SCHEDULER_MS : ms);
}

static void tell(struct meta_sched *m, const char *what, struct status *st)
{
    if (st != NULL && !m->is_cancelled) {
        LOGW("scheduler", "%s: %s", what, st->message);
    }
    status_free(st);
}

/* Until a job is put or the pace is over. */
static void jobs_wait(struct fiber *f, struct meta_sched *m)
{
    uint64_t until = loop_now_ns(m->server->loop) + pace_ns(m);
    while (!m->is_cancelled && m->job_generation == m->server->fsm.job_generation &&
           loop_now_ns(m->server->loop) < until) {
        fiber_set_deadline(f, until);
        status_consume(cond_wait(f, &m->wake));
        fiber_set_deadline(f, 0);
    }
}

static void jobs_run(struct fiber *f, void *arg)
{
    struct meta_sched *m = arg;
    tell(m, "start", meta_serving(f, m->server));
    while (!m->is_cancelled) {
        m->job_generation = m->server->fsm.job_generation;
        struct status *st = sched_run_jobs(f, m);
        if (st != NULL) { /* its own changes are no reason to try again at once */
            m->job_generation = m->server->fsm.job_generation;
        }
        tell(m, "jobs", st);
        if (!m->is_cancelled) {
            tell(m, "split", sched_split_by_size(f, m));
        }
        jobs_wait(f, m);
    }
    m->jobs_fiber = NULL;
    sched_end(m);
}

static const struct {
    const char *name;
    struct status *(*run)(struct fiber *f, struct meta_sched *m);
} place_steps[] = {
    {"replicas", sched_repair},
    {"moves", sched_spread},
    {"leaders", sched_balance},
    {"garbage collection", sched_collect},
    {"fences", sched_fence},
};

static void place_run(struct fiber *f, void *arg)
{
    struct meta_sched *m = arg;
    tell(m, "start", meta_serving(f, m->server));
    while (!m->is_cancelled) {
        sched_read_reports(m);
        for (size_t i = 0; i < sizeof(place_steps) / sizeof(place_steps[0]) && !m->is_cancelled;
             i++) {
            view_refresh(m);
            tell(m, place_steps[i].name, place_steps[i].run(f, m));
        }
        if (!m->is_cancelled) {
            status_consume(fiber_sleep(f, pace_ns(m)));
        }
    }
    m->place_fiber = NULL;
    sched_end(m);
}

struct meta_sched *meta_sched_start(struct meta_server *s)
{
    struct meta_sched *m = MEM_NEW(struct meta_sched);
    m->server = s;
    m->fibers = 2;
    cond_init(&m->wake);
    s->calls++;
    m->jobs_fiber = fiber_spawn(s->loop, FIBER_STACK_SMALL, jobs_run, m);
    m->place_fiber = fiber_spawn(s->loop, FIBER_STACK_SMALL, place_run, m);
    return m;
}

void meta_sched_wake(struct meta_sched *m)
{
    if (m->job_generation != m->server->fsm.job_generation) {
        cond_signal(&m->wake);
    }
}

void meta_sched_cancel(struct meta_sched *m)
{
    m->is_cancelled = true;
    if (m->jobs_fiber != NULL) {
        fiber_cancel(m->jobs_fiber);
    }
    if (m->place_fiber != NULL) {
        fiber_cancel(m->place_fiber);
    }
}
