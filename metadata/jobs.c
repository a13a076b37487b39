/* SCHEMA jobs: see metadata/jobs.h. */
#include "metadata/jobs.h"

#include "api/pb.h"
#include "base/log.h"
#include "keys.h"

static const Sherd__V1__JobDesc *decode(struct slice value, struct arena *a)
{
    void *message;
    if (status_consume(pb_unpack(&sherd__v1__job_desc__descriptor, a, value, &message))) {
        LOGE("metadata", "a job is damaged and left alone");
        return NULL;
    }
    return message;
}

bool meta_job_is_schema(const Sherd__V1__JobDesc *job)
{
    return job->kind == SHERD__V1__JOB_KIND__JOB_SCHEMA && job->schema != NULL;
}

const Sherd__V1__JobDesc *meta_job_get(struct meta_client *c, uint64_t job_id, struct arena *a,
                                       uint64_t *out_revision)
{
    struct buf key = {0};
    struct slice value;
    meta_key(&key, META_PREFIX_JOB, job_id, 8);
    bool found = meta_get(c, buf_slice(&key), &value, out_revision);
    buf_deinit(&key);
    const Sherd__V1__JobDesc *job = found ? decode(value, a) : NULL;
    return job != NULL && meta_job_is_schema(job) ? job : NULL;
}

struct job_list {
    struct arena *a;
    const Sherd__V1__JobDesc **jobs;
    size_t count, cap;
};

static bool list_one(void *ctx, struct slice key, struct slice value, uint64_t mod_revision)
{
    struct job_list *l = ctx;
    (void)key;
    (void)mod_revision;
    const Sherd__V1__JobDesc *job = decode(value, l->a);
    if (job == NULL) {
        return true;
    }
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 16 : l->cap * 2;
        l->jobs = arena_grow(l->a, l->jobs, l->cap * sizeof(*l->jobs), cap * sizeof(*l->jobs));
        l->cap = cap;
    }
    l->jobs[l->count++] = job;
    return true;
}

const Sherd__V1__JobDesc **meta_job_list(struct meta_client *c, struct arena *a, size_t *out_count)
{
    struct job_list l = {.a = a};
    meta_scan(c, slice_str(META_PREFIX_JOB), list_one, &l);
    *out_count = l.count;
    return l.jobs;
}

/* One try; *out_done false: the job has changed meanwhile. */
static struct status *decide_once(struct fiber *f, struct meta_client *c, uint64_t job_id,
                                  struct arena *a, bool *out_done, bool *out_committed,
                                  uint32_t *out_attempt, uint64_t *out_commit)
{
    uint64_t revision = 0;
    TRY(meta_refresh(f, c));
    const Sherd__V1__JobDesc *job = meta_job_get(c, job_id, a, &revision);
    *out_done = true;
    *out_committed = false;
    if (job == NULL || job->schema->state == SHERD__V1__SCHEMA_STATE__SCHEMA_ABORTED) {
        return NULL;
    }
    if (job->schema->state == SHERD__V1__SCHEMA_STATE__SCHEMA_COMMITTED) {
        *out_committed = true;
        *out_attempt = job->schema->attempt;
        *out_commit = job->schema->commit;
        return NULL;
    }
    Sherd__V1__SchemaChange change = *job->schema;
    Sherd__V1__JobDesc next = *job;
    change.state = SHERD__V1__SCHEMA_STATE__SCHEMA_ABORTED;
    next.schema = &change;
    struct buf key = {0};
    meta_key(&key, META_PREFIX_JOB, job_id, 8);
    struct slice value = pb_pack_in(&next, a);
    Sherd__V1__MetaCompare compare = SHERD__V1__META_COMPARE__INIT, *compares[1] = {&compare};
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT, *puts[1] = {&put};
    Sherd__V1__MetaTxnRequest txn = SHERD__V1__META_TXN_REQUEST__INIT;
    compare.key.data = put.key.data = key.data;
    compare.key.len = put.key.len = key.len;
    compare.mod_revision = revision;
    put.value.data = (uint8_t *)(uintptr_t)value.data;
    put.value.len = value.len;
    txn.compares = compares;
    txn.puts = puts;
    txn.n_compares = txn.n_puts = 1;
    struct status *st = meta_txn(f, c, &txn, out_done, NULL);
    buf_deinit(&key);
    return st;
}

struct status *meta_job_decide(struct fiber *f, struct meta_client *c, uint64_t job_id,
                               bool *out_committed, uint32_t *out_attempt, uint64_t *out_commit)
{
    bool is_done = false;
    struct status *st = NULL;
    while (st == NULL && !is_done) {
        struct arena *a = arena_create(0);
        st = decide_once(f, c, job_id, a, &is_done, out_committed, out_attempt, out_commit);
        arena_destroy(a);
    }
    return st;
}
