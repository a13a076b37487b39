/*
 * Splits. A split is three steps, each of which finds out whether it has been done:
 *
 *  1 intent   one change: allocates the new shard's id and puts job/<id> with its whole descriptor
 *  2 split    SHARD_SPLIT at the left shard's leader
 *  3 map      one change: left part shrinks (epoch + 1), right part appears, the job goes
 *
 * In step 2 the left group logs the split, and each of its nodes creates its replica of the right
 * group from that entry.
 *
 * A crash after 1 or 2 leaves the job; the next leader of this group goes on from it, with the same
 * ids. While the job stands, nothing else changes the left shard's replicas (place.c looks).
 *
 * The right shard gets replica ids 1..n on the left one's voters. The lowest id stands for election
 * first, so id 1 goes where the leader should be: a pre-split spreads its leaders by that, without
 * a transfer.
 *
 * A pre-split works from the last border down: the left shard, whose leader is known and at work,
 * is then the same in all of its splits.
 *
 * Two kinds of range are kept whole: that of a reference table, and a bucket of a hash-sharded
 * table that others are co-located with (their rows lie behind its own, so a cut would part them).
 */
#include "scheduler.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

#define SPLIT_CALL_MS 5000u
#define SPLIT_RETRY_NS                                                                             \
    (UINT64_C(30) * 1000000000u) /* between two questions for the size of one shard */
#define PRESPLIT_BUCKETS_MAX 4096u

static struct slice pb_slice(ProtobufCBinaryData b)
{
    return slice_make(b.data, b.len);
}

static ProtobufCBinaryData pb_bytes(struct slice s)
{
    return (ProtobufCBinaryData){.len = s.len, .data = (uint8_t *)(uintptr_t)s.data};
}

/* ---- 1 intent ---- */

struct intent_op {
    struct meta_op op;
    struct slice key;        /* border */
    uint64_t job_id;         /* an existing job, or 0 */
    uint64_t leader_node;    /* of the left shard, as far as known */
    size_t skew;             /* which of the others leads the right one */
    struct arena *arena;     /* the waiting fiber's: of the result */
    Sherd__V1__JobDesc *job; /* result; NULL: the border is there already */
};

/* The shard whose range holds the key. */
static struct status *shard_at(const struct omap *map, struct slice key, struct arena *a,
                               Sherd__V1__ShardDesc **out)
{
    struct buf at = {0};
    void *message = NULL;
    meta_key_shard(&at, key);
    const struct omap_entry *e = omap_floor(map, buf_slice(&at));
    buf_deinit(&at);
    if (e == NULL || !meta_key_has(omap_entry_key(e), META_PREFIX_SHARD)) {
        return status_new(CORRUPT, "the shard map has a hole");
    }
    TRY(pb_unpack(&sherd__v1__shard_desc__descriptor, a, omap_entry_value(e), &message));
    *out = message;
    if ((*out)->range == NULL) {
        return status_new(CORRUPT, "shard %" PRIu64 " has no range", (*out)->shard_id);
    }
    return NULL;
}

static struct status *right_make(struct intent_op *op, const Sherd__V1__ShardDesc *left,
                                 struct arena *a, Sherd__V1__ShardDesc **out)
{
    size_t n = left->n_replicas;
    size_t leader = 0;
    for (size_t i = 0; i < n; i++) {
        if (left->replicas[i]->role != SHERD__V1__REPLICA_ROLE__REPLICA_VOTER) {
            return status_new(CONFLICT, "shard %" PRIu64 " is changing its replicas",
                              left->shard_id);
        }
        leader = left->replicas[i]->node_id == op->leader_node ? i : leader;
    }
    if (n == 0) {
        return status_new(CORRUPT, "shard %" PRIu64 " has no replicas", left->shard_id);
    }
    Sherd__V1__ShardDesc *d = ARENA_NEW(a, Sherd__V1__ShardDesc);
    sherd__v1__shard_desc__init(d);
    d->range = ARENA_NEW(a, Sherd__V1__KeyRange);
    sherd__v1__key_range__init(d->range);
    d->range->start = pb_bytes(arena_copy(a, op->key));
    d->range->end = left->range->end;
    d->epoch = left->epoch + 1;
    d->placement = left->placement;
    d->replicas = ARENA_ARRAY(a, Sherd__V1__ReplicaDesc *, n);
    for (size_t i = 0; i < n; i++) {
        Sherd__V1__ReplicaDesc *r = ARENA_NEW(a, Sherd__V1__ReplicaDesc);
        sherd__v1__replica_desc__init(r);
        r->replica_id = i + 1;
        r->node_id = left->replicas[(leader + 1 + op->skew + i) % n]->node_id;
        r->role = SHERD__V1__REPLICA_ROLE__REPLICA_VOTER;
        d->replicas[i] = r;
    }
    d->n_replicas = n;
    d->next_replica_id = n + 1;
    *out = d;
    return NULL;
}

struct pending {
    struct arena *arena;
    uint64_t shard_id;
    bool found;
};

static bool pending_split(void *ctx, struct omap_entry *e)
{
    struct pending *p = ctx;
    void *message;
    if (!status_consume(
            pb_unpack(&sherd__v1__job_desc__descriptor, p->arena, omap_entry_value(e), &message))) {
        const Sherd__V1__JobDesc *job = message;
        p->found = job->right != NULL && job->shard_id == p->shard_id;
    }
    return !p->found;
}

static struct status *intent_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct intent_op *op = CONTAINER_OF(base, struct intent_op, op);
    Sherd__V1__ShardDesc *left = NULL;
    Sherd__V1__ShardDesc *right = NULL;
    TRY(shard_at(&b->work, op->key, op->arena, &left));
    if (slice_eq(pb_slice(left->range->start), op->key)) {
        return NULL;
    }
    if (left->range->end.len > 0 && slice_cmp(op->key, pb_slice(left->range->end)) >= 0) {
        return status_new(CORRUPT, "the shard map has a hole");
    }
    /* The group may have done a split that the map does not show yet: where a border falls is known
     * again when that one's job has gone. */
    struct pending pending = {op->arena, left->shard_id, false};
    omap_scan_prefix(&b->work, slice_str(META_PREFIX_JOB), pending_split, &pending);
    if (pending.found) {
        return status_new(CONFLICT, "shard %" PRIu64 " has a split under way", left->shard_id);
    }
    TRY(right_make(op, left, op->arena, &right));
    right->shard_id = meta_batch_allocate(b, META_ID_SHARD, 1);
    Sherd__V1__JobDesc *job = ARENA_NEW(op->arena, Sherd__V1__JobDesc);
    sherd__v1__job_desc__init(job);
    job->id = op->job_id != 0 ? op->job_id : meta_batch_allocate(b, META_ID_OBJECT, 1);
    job->kind = SHERD__V1__JOB_KIND__JOB_SPLIT;
    job->shard_id = left->shard_id;
    job->split_key = right->range->start;
    job->right = right;
    struct buf key = {0};
    meta_key(&key, META_PREFIX_JOB, job->id, 8);
    meta_batch_put(b, buf_slice(&key), pb_pack_in(job, op->arena));
    buf_deinit(&key);
    op->job = job;
    return NULL;
}

static struct status *split_intend(struct fiber *f, struct meta_sched *m, struct slice key,
                                   uint64_t job_id, uint64_t leader_node, size_t skew,
                                   struct arena *a, Sherd__V1__JobDesc **out)
{
    struct intent_op *op = meta_op_create(sizeof(*op), intent_evaluate);
    op->key = key;
    op->job_id = job_id;
    op->leader_node = leader_node;
    op->skew = skew;
    op->arena = a;
    TRY(meta_submit(f, m->server, &op->op));
    *out = op->job;
    mem_free(op);
    return sched_check(f, m);
}

/* ---- 3 map ---- */

struct map_op {
    struct meta_op op;
    const Sherd__V1__JobDesc *job;
};

static struct status *map_step(const Sherd__V1__JobDesc *job, struct meta_batch *b, struct arena *a)
{
    Sherd__V1__ShardDesc *left = NULL;
    struct buf job_key = {0};
    struct buf at = {0};
    struct status *st = NULL;
    meta_key(&job_key, META_PREFIX_JOB, job->id, 8);
    if (meta_batch_get(b, buf_slice(&job_key)) == NULL) { /* done before: the reply was lost */
        goto out;
    }
    TRY_GOTO(shard_at(&b->work, pb_slice(job->split_key), a, &left), out);
    if (!slice_eq(pb_slice(left->range->start), pb_slice(job->split_key))) {
        if (left->shard_id != job->shard_id) {
            st = status_new(CORRUPT, "shard %" PRIu64 " does not hold its split key any more",
                            job->shard_id);
            goto out;
        }
        left->range->end = job->split_key;
        left->epoch++;
        meta_key_shard(&at, pb_slice(left->range->start));
        meta_batch_put(b, buf_slice(&at), pb_pack_in(left, a));
        buf_clear(&at);
        meta_key_shard(&at, pb_slice(job->split_key));
        meta_batch_put(b, buf_slice(&at), pb_pack_in(job->right, a));
    }
    meta_batch_delete(b, buf_slice(&job_key));
out:
    buf_deinit(&job_key);
    buf_deinit(&at);
    return st;
}

static struct status *map_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct map_op *op = CONTAINER_OF(base, struct map_op, op);
    struct arena *a = arena_create(0);
    struct status *st = map_step(op->job, b, a);
    arena_destroy(a);
    return st;
}

static struct status *split_map(struct fiber *f, struct meta_sched *m,
                                const Sherd__V1__JobDesc *job)
{
    struct map_op *op = meta_op_create(sizeof(*op), map_evaluate);
    op->job = job;
    TRY(meta_submit(f, m->server, &op->op));
    mem_free(op);
    return sched_check(f, m);
}

/* ---- 2 split ---- */

/* The shard says that this split can never be: the border is none of its keys, or it is too small.
 * Only the answer to the very first request proves that: an earlier one may have been done, and a
 * replica that is behind may not know. */
static bool is_refusal(const struct status *st)
{
    return st->code == STATUS_INVALID || st->code == STATUS_UNSUPPORTED ||
           st->code == STATUS_CONSTRAINT;
}

static struct status *split_finish(struct fiber *f, struct meta_sched *m,
                                   const Sherd__V1__JobDesc *job, bool is_first, struct arena *a)
{
    Sherd__V1__ShardDesc *left = sched_shard_desc(m->server, a, job->shard_id);
    if (left == NULL || left->range == NULL) {
        LOGW("scheduler", "shard %" PRIu64 " of a split is gone", job->shard_id);
        return sched_job_drop(f, m, job->id);
    }
    if (slice_eq(pb_slice(left->range->end), pb_slice(job->split_key))) {
        return split_map(f, m, job);
    }
    Sherd__V1__SplitRequest request = SHERD__V1__SPLIT_REQUEST__INIT;
    void *reply;
    request.shard_id = job->shard_id;
    request.split_key = job->split_key;
    request.right_desc = pb_bytes(pb_pack_in(job->right, a));
    request.left_epoch = left->epoch + 1;
    struct status *st =
        sched_call_leader(f, m, left, RPC_SHARD_SPLIT, &request, SPLIT_CALL_MS, a, &reply);
    if (status_is(st, STATUS_ALREADY_EXISTS)) {
        status_free(st);
        st = NULL;
    }
    if (st != NULL) {
        if (is_first && is_refusal(st)) {
            status_free(sched_job_drop(f, m, job->id));
        }
        return status_wrap(st, "shard %" PRIu64, job->shard_id);
    }
    LOGI("scheduler", "shard %" PRIu64 " was split, the new one is %" PRIu64, job->shard_id,
         job->right->shard_id);
    return split_map(f, m, job);
}

/* All three steps. CONFLICT when somebody else has the shard in hand. */
static struct status *split_do(struct fiber *f, struct meta_sched *m, struct slice key,
                               uint64_t job_id, size_t skew, struct arena *a)
{
    Sherd__V1__ShardDesc *left = NULL;
    Sherd__V1__JobDesc *job = NULL;
    TRY(shard_at(&m->server->fsm.map, key, a, &left));
    struct sched_shard *ss = sched_shard_get(m, left->shard_id);
    if (ss->is_busy) {
        return status_new(CONFLICT, "shard %" PRIu64 " is changing its replicas", left->shard_id);
    }
    ss->is_busy = true;
    struct status *st = split_intend(f, m, key, job_id, ss->leader_node, skew, a, &job);
    if (st == NULL && job != NULL) {
        st = split_finish(f, m, job, true, a);
    }
    ss->is_busy = false;
    return st;
}

/* ---- what is kept whole ---- */

/* sql/codec.h: table id | index id | bucket. */
static void bucket_key(struct buf *out, uint32_t table_id, uint32_t index_id, uint32_t bucket)
{
    buf_clear(out);
    buf_put_u32(out, table_id);
    buf_put_u32(out, index_id);
    buf_put_u16(out, (uint16_t)bucket);
}

struct find_colocated {
    uint32_t table_id;
    struct arena *arena;
    bool found;
};

static bool find_colocated(void *ctx, struct omap_entry *e)
{
    struct find_colocated *x = ctx;
    void *message;
    if (!status_consume(pb_unpack(&sherd__v1__table_desc__descriptor, x->arena, omap_entry_value(e),
                                  &message))) {
        x->found = ((Sherd__V1__TableDesc *)message)->colocate_with == x->table_id;
    }
    return !x->found;
}

/* Where to cut when the middle of the shard is at this key; empty: nowhere. */
static struct slice border_near(struct meta_sched *m, const Sherd__V1__ShardDesc *d,
                                struct slice key, struct arena *a)
{
    static const size_t head = 4 + 4 + 2;
    if (key.len < head || get_u32(key.data + 4) != 1) {
        return key;
    }
    struct find_colocated x = {.table_id = get_u32(key.data), .arena = a};
    omap_scan_prefix(&m->server->fsm.map, slice_str(META_PREFIX_TABLE), find_colocated, &x);
    if (!x.found) {
        return key;
    }
    uint32_t bucket = get_u16(key.data + 8);
    struct slice start = pb_slice(d->range->start);
    struct slice end = pb_slice(d->range->end);
    struct buf b = {0};
    struct slice border = slice_make(NULL, 0);
    for (uint32_t i = 0; i < 2 && border.len == 0; i++) {
        bucket_key(&b, x.table_id, 1, bucket + 1 - i);
        if (slice_cmp(buf_slice(&b), start) > 0 &&
            (end.len == 0 || slice_cmp(buf_slice(&b), end) < 0)) {
            border = arena_copy(a, buf_slice(&b));
        }
    }
    buf_deinit(&b);
    return border;
}

/* ---- jobs ---- */

static struct status *job_presplit(struct fiber *f, struct meta_sched *m,
                                   const Sherd__V1__JobDesc *job, struct arena *a)
{
    if (job->buckets > PRESPLIT_BUCKETS_MAX) {
        LOGW("scheduler", "job %" PRIu64 " asks for %u buckets, it is dropped", job->id,
             job->buckets);
        return sched_job_drop(f, m, job->id);
    }
    struct buf key = {0};
    struct status *st = NULL;
    for (uint32_t bucket = job->buckets; bucket-- > 1 && st == NULL;) {
        bucket_key(&key, job->table_id, job->index_id == 0 ? 1 : job->index_id, bucket);
        st = split_do(f, m, buf_slice(&key), 0, job->buckets - 1 - bucket, a);
    }
    buf_deinit(&key);
    return st != NULL ? st : sched_job_drop(f, m, job->id);
}

struct reference_op {
    struct meta_op op;
    const Sherd__V1__JobDesc *job;
    struct slice key; /* first of the table */
    struct arena *arena;
};

/* The table's shard gets its placement, and the job goes. */
static struct status *reference_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct reference_op *op = CONTAINER_OF(base, struct reference_op, op);
    Sherd__V1__ShardDesc *d;
    TRY(shard_at(&b->work, op->key, op->arena, &d));
    struct buf key = {0};
    if (slice_eq(pb_slice(d->range->start), op->key)) {
        d->placement = SHERD__V1__PLACEMENT__PLACEMENT_REFERENCE;
        d->epoch++;
        meta_key_shard(&key, op->key);
        meta_batch_put(b, buf_slice(&key), pb_pack_in(d, op->arena));
        buf_clear(&key);
    }
    meta_key(&key, META_PREFIX_JOB, op->job->id, 8);
    meta_batch_delete(b, buf_slice(&key));
    buf_deinit(&key);
    return NULL;
}

static struct status *job_reference(struct fiber *f, struct meta_sched *m,
                                    const Sherd__V1__JobDesc *job, struct arena *a)
{
    if (!sched_table_exists(m->server, job->table_id)) {
        return sched_job_drop(f, m, job->id);
    }
    struct buf start = {0};
    struct buf end = {0};
    buf_put_u32(&start, job->table_id);
    buf_put_u32(&end, job->table_id + 1);
    struct status *st = split_do(f, m, buf_slice(&end), 0, 0, a);
    if (st == NULL) {
        st = split_do(f, m, buf_slice(&start), 0, 0, a);
    }
    if (st == NULL) {
        struct reference_op *op = meta_op_create(sizeof(*op), reference_evaluate);
        op->job = job;
        op->key = arena_copy(a, buf_slice(&start));
        op->arena = a;
        st = meta_submit(f, m->server, &op->op);
        if (st == NULL) {
            mem_free(op);
            st = sched_check(f, m);
        }
    }
    buf_deinit(&start);
    buf_deinit(&end);
    return st;
}

static struct status *job_split(struct fiber *f, struct meta_sched *m,
                                const Sherd__V1__JobDesc *job, struct arena *a)
{
    if (job->right == NULL) { /* asked for by hand */
        if (job->split_key.len == 0) {
            return sched_job_drop(f, m, job->id);
        }
        TRY(split_do(f, m, pb_slice(job->split_key), job->id, 0, a));
        return sched_job_drop(f, m, job->id);
    }
    struct sched_shard *ss = sched_shard_get(m, job->shard_id);
    if (ss->is_busy) {
        return NULL;
    }
    ss->is_busy = true;
    struct status *st = split_finish(f, m, job, false, a);
    ss->is_busy = false;
    return st;
}

static struct status *job_run(struct fiber *f, struct meta_sched *m, const Sherd__V1__JobDesc *job,
                              struct arena *a)
{
    switch (job->kind) {
    case SHERD__V1__JOB_KIND__JOB_PRESPLIT:
        return job_presplit(f, m, job, a);
    case SHERD__V1__JOB_KIND__JOB_SPLIT:
        return job_split(f, m, job, a);
    case SHERD__V1__JOB_KIND__JOB_REFERENCE:
        return job_reference(f, m, job, a);
    default:
        return NULL; /* other jobs are others' */
    }
}

struct status *sched_run_jobs(struct fiber *f, struct meta_sched *m)
{
    struct arena *a = arena_create(0);
    struct sched_jobs j = sched_jobs_read(m, a);
    struct status *first = NULL;
    /* Splits that were begun come first: others wait for their shards. The decoded jobs are copies.
     */
    for (int begun = 1; begun >= 0; begun--) {
        for (size_t i = 0; i < j.count && !m->is_cancelled; i++) {
            if ((j.jobs[i]->right != NULL) != (begun == 1)) {
                continue;
            }
            struct status *st = job_run(f, m, j.jobs[i], a);
            if (first == NULL) {
                first = st;
            } else {
                status_free(st);
            }
        }
    }
    arena_destroy(a);
    return first;
}

/* ---- by size ---- */

static struct status *split_large(struct fiber *f, struct meta_sched *m,
                                  const Sherd__V1__ShardDesc *d, struct arena *a)
{
    Sherd__V1__SplitPointRequest request = SHERD__V1__SPLIT_POINT_REQUEST__INIT;
    void *message;
    request.shard_id = d->shard_id;
    TRY(sched_call_leader(f, m, d, RPC_SHARD_SPLIT_POINT, &request, SPLIT_CALL_MS, a, &message));
    const Sherd__V1__SplitPointReply *reply = message;
    struct slice key = border_near(m, d, pb_slice(reply->key), a);
    return key.len == 0 ? NULL : split_do(f, m, key, 0, 0, a);
}

struct status *sched_split_by_size(struct fiber *f, struct meta_sched *m)
{
    uint64_t max_bytes = (uint64_t)m->server->options.shard_max_mb << 20;
    if (max_bytes == 0) {
        return NULL;
    }
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    struct sched_shard *large = NULL;
    uint64_t now = loop_now_ns(m->server->loop);
    struct sched_shard *ss;
    struct sched_shard *tmp;
    HASH_ITER(hh, m->shards, ss, tmp)
    {
        bool is_due = ss->split_ns == 0 || now - ss->split_ns > SPLIT_RETRY_NS;
        if (ss->leader_node != 0 && ss->bytes > max_bytes && is_due && !ss->is_busy &&
            (large == NULL || ss->bytes > large->bytes)) {
            large = ss;
        }
    }
    if (large != NULL) {
        large->split_ns = now;
        Sherd__V1__ShardDesc *d = sched_shard_desc(m->server, a, large->shard_id);
        bool is_whole = d == NULL || d->range == NULL ||
                        d->placement == SHERD__V1__PLACEMENT__PLACEMENT_REFERENCE;
        st = is_whole ? NULL : split_large(f, m, d, a);
    }
    arena_destroy(a);
    return st;
}
