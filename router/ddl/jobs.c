/*
 * SCHEMA jobs are brought to their end here, whoever began them (metadata/jobs.h has the states).
 *
 *   PENDING    its transaction is over or its router is gone: aborted
 *   ABORTED    tables get a descriptor above every version that the change has used; fenced there,
 *              so that nothing of the change can still be written; what it had built is wiped; the
 *              tables are given back
 *   BUILDING   CREATE INDEX beside writers: filled from the start, then PUBLIC; or taken back
 *   COMMITTED  prepared rows are finalized, what was dropped is fenced and wiped
 *
 * A job names the router that does it. This fiber looks at all jobs when one changes, and while
 * there are others', every second: a job whose router has started anew or is dead is claimed by
 * whoever is quicker (compare-and-set). A router that only seemed dead finds its job's revision
 * changed and gives up; until then it writes nothing but what the fence shuts out or the wipe
 * removes.
 */
#include "schema_txn.h"

#include "ddl.h"
#include "router_internal.h"

#include "api/pb.h"
#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "metadata/jobs.h"

#include "sherd/v1/shard.pb-c.h"

#include <inttypes.h>

#define LOOK_MS 1000
#define RETRY_MIN_MS 20
#define RETRY_MAX_MS 2000

#define STATE(x) SHERD__V1__SCHEMA_STATE__SCHEMA_##x

static struct slice job_key(struct ddl *d, uint64_t id)
{
    return key_id8(d, "job/", id);
}

/* ---- the end of an aborted change ---- */

static bool has_table(const Sherd__V1__TableDesc *t, uint64_t job_id)
{
    return t != NULL && t->changing_job == job_id;
}

/* Ids of indexes that the change had filled are not used again: whoever was taken for dead may
 * still wipe them. */
static uint32_t next_index_id(const Sherd__V1__SchemaChange *x, const Sherd__V1__TableDesc *t)
{
    uint32_t next = t->next_index_id;
    for (size_t i = 0; i < x->n_wipe_aborted; i++) {
        const Sherd__V1__SchemaWipe *w = x->wipe_aborted[i];
        next = w->table_id == t->id && w->index_to > next ? w->index_to : next;
    }
    return next;
}

/* One change for all tables that the job has; is_end: the last one, without the job. */
static struct status *put_tables(struct ddl *d, const Sherd__V1__JobDesc *job, uint64_t revision,
                                 bool is_end)
{
    const Sherd__V1__SchemaChange *x = job->schema;
    ddl_compare_revision(d, job_key(d, job->id), revision);
    for (size_t i = 0; i < x->n_locks; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(d->catalog, x->locks[i]->table_id);
        if (!has_table(t, job->id)) {
            continue;
        }
        Sherd__V1__TableDesc next = *t;
        if (t->version <= x->locks[i]->version && !x->locks[i]->waits) {
            next.version = x->locks[i]->version + 1;
        }
        next.changing_job = is_end ? 0 : job->id;
        next.next_index_id = next_index_id(x, t);
        struct slice key = key_id4(d, "table/", t->id);
        ddl_compare(d, key);
        ddl_put(d, key, &next);
    }
    for (size_t i = 0; is_end && i < x->n_schemas; i++) {
        const Sherd__V1__SchemaDesc *s = catalog_schema_by_id(d->catalog, x->schemas[i]);
        if (s != NULL && s->changing_job == job->id) {
            Sherd__V1__SchemaDesc next = *s;
            next.changing_job = 0;
            struct slice key = key_id4(d, "schema/", s->id);
            ddl_compare(d, key);
            ddl_put(d, key, &next);
        }
    }
    if (is_end) {
        ddl_delete(d, job_key(d, job->id));
    }
    return ddl_commit(d);
}

static struct status *wipe_all(struct ddl *d, Sherd__V1__SchemaWipe **wipes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const Sherd__V1__SchemaWipe *w = wipes[i];
        if (w->index_to != 0) {
            TRY(wipe_indexes(d, w->table_id, w->index_from, w->index_to));
            continue;
        }
        struct key_span *ranges = ARENA_ARRAY(d->a, struct key_span, w->n_ranges + 1);
        for (size_t k = 0; k < w->n_ranges; k++) {
            ranges[k].start = slice_make(w->ranges[k]->start.data, w->ranges[k]->start.len);
            ranges[k].end = slice_make(w->ranges[k]->end.data, w->ranges[k]->end.len);
        }
        TRY(fence_ranges(d, w->table_id, UINT64_MAX, NULL, ranges, (int)w->n_ranges));
        TRY(wipe_ranges(d, ranges, (int)w->n_ranges));
    }
    return NULL;
}

static struct status *undo(struct ddl *d, const Sherd__V1__JobDesc *job, uint64_t revision)
{
    const Sherd__V1__SchemaChange *x = job->schema;
    TRY(put_tables(d, job, revision, false));
    for (size_t i = 0; i < x->n_locks; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(d->catalog, x->locks[i]->table_id);
        bool has_rows = has_table(t, job->id) && (t->view_sql == NULL || t->view_sql[0] == '\0');
        if (has_rows && !x->locks[i]->waits) {
            TRY(fence_table(d, t->id, t->version, NULL));
        }
    }
    crash_at(CRASH_JOB_UNDONE);
    TRY(wipe_all(d, x->wipe_aborted, x->n_wipe_aborted));
    return put_tables(d, job, revision, true);
}

/* ---- the end of a committed change ---- */

static struct status *finalize(struct ddl *d, const Sherd__V1__SchemaChange *x)
{
    Sherd__V1__TxnId id = SHERD__V1__TXN_ID__INIT;
    id.incarnation = x->txn_incarnation;
    id.counter = x->txn_counter;
    for (size_t i = 0; i < x->n_shards; i++) {
        Sherd__V1__FinalizeRequest q = SHERD__V1__FINALIZE_REQUEST__INIT;
        q.shard_id = x->shards[i];
        q.txn = &id;
        q.attempt = x->attempt;
        q.commit = x->commit;
        void *reply;
        struct status *st = shard_call(d->f, d->router, q.shard_id, RPC_SHARD_FINALIZE, &q, true,
                                       d->a, &reply, NULL);
        if (status_is(st, STATUS_MOVED)) { /* a group ends only when nothing is prepared in it */
            status_free(st);
            st = NULL;
        }
        TRY(st);
    }
    return NULL;
}

static struct status *finish(struct ddl *d, const Sherd__V1__JobDesc *job, uint64_t revision)
{
    const Sherd__V1__SchemaChange *x = job->schema;
    TRY(finalize(d, x));
    crash_at(CRASH_JOB_FINALIZED);
    TRY(wipe_all(d, x->wipe_committed, x->n_wipe_committed));
    ddl_compare_revision(d, job_key(d, job->id), revision);
    ddl_delete(d, job_key(d, job->id));
    return ddl_commit(d);
}

/* ---- one job ---- */

static struct status *step(struct ddl *d, uint64_t job_id, bool *out_done)
{
    struct router *r = d->router;
    uint64_t revision = 0;
    bool is_committed;
    uint32_t attempt;
    uint64_t commit;
    TRY(meta_refresh(d->f, r->meta));
    ddl_refresh_catalog(d);
    const Sherd__V1__JobDesc *job = meta_job_get(r->meta, job_id, d->a, &revision);
    *out_done = job == NULL || job->schema->incarnation != r->incarnation;
    if (*out_done) {
        return NULL;
    }
    switch (job->schema->state) {
    case STATE(PENDING):
        return meta_job_decide(d->f, r->meta, job_id, &is_committed, &attempt, &commit);
    case STATE(BUILDING):
        return index_build(d, job, revision);
    case STATE(ABORTED):
        return undo(d, job, revision);
    case STATE(COMMITTED):
        return finish(d, job, revision);
    default:
        return status_new(CORRUPT, "job %" PRIu64 " has the unknown state %d", job_id,
                          (int)job->schema->state);
    }
}

struct status *schema_job_run(struct fiber *f, struct router *r, uint64_t job_id)
{
    uint64_t pause_ms = RETRY_MIN_MS;
    for (bool is_done = false; !is_done;) {
        struct arena *a = arena_create(0);
        struct ddl d = {.f = f, .router = r, .a = a, .catalog = catalog_current(r->catalog)};
        ddl_change_init(&d);
        struct status *st = step(&d, job_id, &is_done);
        catalog_unref(d.catalog);
        arena_destroy(a);
        if (st == NULL) {
            pause_ms = RETRY_MIN_MS;
            continue;
        }
        if (r->is_closing) {
            return st;
        }
        if (!status_is(st, STATUS_CONFLICT)) {
            LOGW("ddl", "job %" PRIu64 ": %s", job_id, st->message);
        }
        status_free(st);
        TRY(fiber_sleep(f, ms_to_ns(pause_ms)));
        pause_ms = pause_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : pause_ms * 2;
    }
    return NULL;
}

struct job_task {
    struct schema_held held;
    struct router *router;
};

static bool is_held(const struct router *r, uint64_t job_id)
{
    LIST_FOREACH(it, &r->held_jobs)
    {
        if (LIST_ITEM(it, struct schema_held, link)->job_id == job_id) {
            return true;
        }
    }
    return false;
}

static void background_end(struct router *r)
{
    r->background--;
    cond_broadcast(&r->background_done);
}

static void job_fiber(struct fiber *f, void *arg)
{
    struct job_task *t = arg;
    struct router *r = t->router;
    status_consume(schema_job_run(f, r, t->held.job_id));
    list_unlink(&t->held.link);
    mem_free(t);
    background_end(r);
}

void schema_job_later(struct router *r, uint64_t job_id)
{
    if (r->is_closing || is_held(r, job_id)) {
        return; /* closing: the job is found by another router, or by this one's successor */
    }
    struct job_task *t = MEM_NEW(struct job_task);
    t->router = r;
    t->held.job_id = job_id;
    list_push_back(&r->held_jobs, &t->held.link);
    r->background++;
    fiber_spawn(r->loop, FIBER_STACK_LARGE, job_fiber, t);
}

/* ---- looking for jobs that nobody does ---- */

static bool is_current(struct router *r, const Sherd__V1__SchemaChange *x)
{
    struct buf key = {0};
    struct slice value;
    uint64_t revision;
    meta_key(&key, "node/", x->node_id, 8);
    bool found = meta_get(r->meta, buf_slice(&key), &value, &revision);
    buf_deinit(&key);
    if (!found) {
        return false;
    }
    struct arena *a = arena_create(0);
    void *message;
    /* A damaged descriptor says nothing: the heartbeat does. */
    bool is_same =
        status_consume(pb_unpack(&sherd__v1__node_desc__descriptor, a, value, &message)) ||
        ((Sherd__V1__NodeDesc *)message)->incarnation == x->incarnation;
    arena_destroy(a);
    return is_same;
}

static bool is_alive(const Sherd__V1__MetaStatusReply *s, uint64_t node_id)
{
    for (size_t i = 0; i < s->n_nodes; i++) {
        if (s->nodes[i]->node->address->node_id == node_id) {
            return s->nodes[i]->alive;
        }
    }
    return false;
}

/* Makes it ours; an undecided one is aborted with that. */
static struct status *claim(struct fiber *f, struct router *r, uint64_t job_id, struct arena *a,
                            bool *out_done)
{
    uint64_t revision = 0;
    const Sherd__V1__JobDesc *job = meta_job_get(r->meta, job_id, a, &revision);
    *out_done = false;
    if (job == NULL) {
        return NULL;
    }
    struct ddl d = {.f = f, .router = r, .a = a, .catalog = catalog_current(r->catalog)};
    ddl_change_init(&d);
    Sherd__V1__SchemaChange change = *job->schema;
    Sherd__V1__JobDesc next = *job;
    next.schema = &change;
    change.node_id = r->node_id;
    change.incarnation = r->incarnation;
    if (change.state == STATE(PENDING)) {
        change.state = STATE(ABORTED);
    }
    ddl_compare_revision(&d, job_key(&d, job_id), revision);
    ddl_put(&d, job_key(&d, job_id), &next);
    struct status *st = ddl_commit(&d);
    catalog_unref(d.catalog);
    if (status_is(st, STATUS_CONFLICT)) { /* somebody was quicker */
        status_free(st);
        return NULL;
    }
    *out_done = st == NULL;
    return st;
}

/* *out_others: there are jobs of living routers; they may die. is_due: ask whether they have. */
static struct status *look(struct fiber *f, struct router *r, struct arena *a, bool is_due,
                           bool *out_others)
{
    size_t n;
    const Sherd__V1__JobDesc **jobs = meta_job_list(r->meta, a, &n);
    Sherd__V1__MetaStatusReply *nodes = NULL;
    *out_others = false;
    for (size_t i = 0; i < n && !r->is_closing; i++) {
        const Sherd__V1__SchemaChange *x = jobs[i]->schema;
        if (!meta_job_is_schema(jobs[i]) || is_held(r, jobs[i]->id)) {
            continue;
        }
        if (x->incarnation == r->incarnation) {
            schema_job_later(r, jobs[i]->id);
            continue;
        }
        if (is_current(r, x)) {
            *out_others = true;
            if (!is_due) {
                continue;
            }
            if (nodes == NULL) {
                TRY(meta_status(f, r->meta, a, &nodes));
            }
            if (is_alive(nodes, x->node_id)) {
                continue;
            }
        }
        bool is_ours;
        TRY(claim(f, r, jobs[i]->id, a, &is_ours));
        if (is_ours) {
            LOGI("ddl", "schema job %" PRIu64 " (%s) of node %" PRIu64 " is taken over",
                 jobs[i]->id, x->what, x->node_id);
            schema_job_later(r, jobs[i]->id);
        }
    }
    return NULL;
}

static void look_fiber(struct fiber *f, void *arg)
{
    struct router *r = arg;
    uint64_t due_ns = 0; /* when the routers of others' jobs are looked at */
    while (!r->is_closing) {
        struct arena *a = arena_create(0);
        bool has_others = true;
        uint64_t now = loop_clock_ns(r->loop);
        bool is_due = due_ns != 0 && now >= due_ns;
        struct status *st = look(f, r, a, is_due, &has_others);
        arena_destroy(a);
        if (st != NULL) {
            LOGD("ddl", "looking at schema jobs: %s", st->message);
            status_free(st);
            has_others = true;
        }
        if (r->is_closing) {
            break;
        }
        if (!has_others) {
            due_ns = 0;
        } else if (due_ns == 0 || is_due) {
            due_ns = now + ms_to_ns(LOOK_MS);
        }
        fiber_set_deadline(f, due_ns);
        status_consume(cond_wait(f, &r->jobs_wake));
        fiber_set_deadline(f, 0);
    }
    background_end(r);
}

static void changed(struct meta_listener *l, struct slice key, struct slice value, bool deleted)
{
    (void)key;
    (void)value;
    if (!deleted) {
        cond_signal(&CONTAINER_OF(l, struct router, jobs_listener)->jobs_wake);
    }
}

void schema_jobs_start(struct router *r)
{
    cond_init(&r->jobs_wake);
    r->jobs_listener = (struct meta_listener){.prefix = slice_str("job/"), .changed = changed};
    meta_listen(r->meta, &r->jobs_listener);
    r->background++;
    fiber_spawn(r->loop, FIBER_STACK_SMALL, look_fiber, r);
}

void schema_jobs_wake(struct router *r)
{
    meta_unlisten(&r->jobs_listener);
    cond_broadcast(&r->jobs_wake);
}
