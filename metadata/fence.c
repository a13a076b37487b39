/*
 * Fences of router incarnations (F5). When a node starts again or is removed, the transactions that
 * its former process coordinated have no coordinator any more. Every shard logs that it refuses
 * requests of that incarnation and decides what is prepared of it; when all have, a second round
 * lets them forget its outcomes.
 *
 * A fence is a job: put in the change that makes the incarnation the former one (Join) or that
 * notes the removal. A round is done when every shard of the map has answered. A shard that is
 * split later hands its fences on, one that was split before is in the map or has a split job,
 * which holds the end of the round back. A new leader begins with the first round again.
 *
 * No hurry: it waits until the cluster has settled and goes on in small portions.
 */
#include "scheduler.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

#define FENCE_SETTLE_NS (UINT64_C(10) * 1000000000u)
#define FENCE_PORTION 100u
#define FENCE_CALL_MS 5000u

void sched_fence_put(struct meta_batch *b, struct arena *a, uint64_t incarnation)
{
    Sherd__V1__JobDesc job = SHERD__V1__JOB_DESC__INIT;
    struct buf key = {0};
    job.id = meta_batch_allocate(b, META_ID_OBJECT, 1);
    job.kind = SHERD__V1__JOB_KIND__JOB_FENCE;
    job.incarnation = incarnation;
    meta_key(&key, META_PREFIX_JOB, job.id, 8);
    meta_batch_put(b, buf_slice(&key), pb_pack_in(&job, a));
    buf_deinit(&key);
}

/* ---- nodes that were removed ---- */

struct gone_op {
    struct meta_op op;
    uint64_t node_id;
};

/* Puts the fence of a removed node's last incarnation, once: the incarnation in its descriptor
 * becomes 0. */
static struct status *gone_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct gone_op *op = CONTAINER_OF(base, struct gone_op, op);
    struct arena *a = arena_create(0);
    struct buf key = {0};
    struct status *st = NULL;
    void *message;
    meta_key(&key, META_PREFIX_NODE, op->node_id, 8);
    const struct omap_entry *e = meta_batch_get(b, buf_slice(&key));
    if (e != NULL) {
        TRY_GOTO(pb_unpack(&sherd__v1__node_desc__descriptor, a, omap_entry_value(e), &message),
                 out);
        Sherd__V1__NodeDesc *n = message;
        if (n->state == SHERD__V1__NODE_STATE__NODE_GONE && n->incarnation != 0) {
            sched_fence_put(b, a, n->incarnation);
            n->incarnation = 0;
            meta_batch_put(b, buf_slice(&key), pb_pack_in(n, a));
        }
    }
out:
    buf_deinit(&key);
    arena_destroy(a);
    return st;
}

static struct status *fence_gone(struct fiber *f, struct meta_sched *m)
{
    for (size_t i = 0; i < m->view->node_count; i++) {
        const Sherd__V1__NodeDesc *n = m->view->nodes[i];
        if (n->state != SHERD__V1__NODE_STATE__NODE_GONE || n->incarnation == 0) {
            continue;
        }
        struct gone_op *op = meta_op_create(sizeof(*op), gone_evaluate);
        op->node_id = n->address->node_id;
        TRY(meta_submit(f, m->server, &op->op));
        mem_free(op);
        TRY(sched_check(f, m));
    }
    return NULL;
}

/* ---- one fence ---- */

static bool any_split(struct meta_sched *m, struct arena *a)
{
    struct sched_jobs j = sched_jobs_read(m, a);
    for (size_t i = 0; i < j.count; i++) {
        if (j.jobs[i]->right != NULL) {
            return true;
        }
    }
    return false;
}

/* *out_done: every shard of the map has answered. False: the next pass goes on. */
static struct status *fence_round(struct fiber *f, struct meta_sched *m,
                                  const Sherd__V1__JobDesc *job, enum sched_fence_round round,
                                  struct arena *a, bool *out_done)
{
    size_t portion = FENCE_PORTION;
    *out_done = false;
    for (size_t i = 0; i < m->view->shard_count; i++) {
        const Sherd__V1__ShardDesc *d = m->view->shards[i];
        struct sched_shard *ss = sched_shard_get(m, d->shard_id);
        if (ss->fenced_job == job->id && ss->fenced_round >= round) {
            continue;
        }
        if (portion-- == 0) {
            return NULL;
        }
        Sherd__V1__FenceRequest request = SHERD__V1__FENCE_REQUEST__INIT;
        void *reply;
        request.shard_id = d->shard_id;
        request.version = job->incarnation; /* table 0: an incarnation */
        request.forget = round == SCHED_FENCE_FORGET;
        TRY(sched_call_leader(f, m, d, RPC_SHARD_FENCE, &request, FENCE_CALL_MS, a, &reply));
        ss->fenced_job = job->id;
        ss->fenced_round = round;
    }
    /* Every shard of this view has it: the end, if the view is the map still and no split is under
     * way now. */
    *out_done = m->view->generation == m->server->fsm.shard_generation && !any_split(m, a);
    return NULL;
}

static struct status *fence_run(struct fiber *f, struct meta_sched *m,
                                const Sherd__V1__JobDesc *job, struct arena *a)
{
    bool is_done;
    if (m->fenced_job != job->id) {
        TRY(fence_round(f, m, job, SCHED_FENCE_LOG, a, &is_done));
        if (!is_done) {
            return NULL;
        }
        m->fenced_job = job->id;
    }
    TRY(fence_round(f, m, job, SCHED_FENCE_FORGET, a, &is_done));
    if (!is_done) {
        return NULL;
    }
    LOGI("scheduler", "router incarnation %" PRIu64 " is fenced", job->incarnation);
    return sched_job_drop(f, m, job->id);
}

struct status *sched_fence(struct fiber *f, struct meta_sched *m)
{
    struct meta_server *s = m->server;
    if (loop_now_ns(s->loop) - s->leader_since_ns < FENCE_SETTLE_NS) {
        return NULL;
    }
    TRY(fence_gone(f, m));
    struct arena *a = arena_create(0);
    struct sched_jobs j = sched_jobs_read(m, a);
    struct status *st = NULL;
    for (size_t i = 0; i < j.count; i++) {
        if (j.jobs[i]->kind == SHERD__V1__JOB_KIND__JOB_FENCE) {
            st = fence_run(f, m, j.jobs[i], a);
            break; /* one after the other: sched_shard remembers one */
        }
    }
    arena_destroy(a);
    return st;
}
