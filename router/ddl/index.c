/*
 * CREATE INDEX.
 *
 * As a statement of its own it works beside readers and writers, in F1's states: the index is put
 * DELETE_ONLY together with a job, and the shards are fenced at that version; then WRITE_ONLY, and
 * fenced again, so that every writer maintains it; it is filled in small transactions, and becomes
 * PUBLIC with the job's end. Between two fences writers of two neighbouring states are at work:
 * while some do not know the index, nobody makes entries that they would leave behind. A fence
 * would end the transactions that work with what is older: they are waited for, ten seconds each
 * time. Whoever finds the job without its router goes on from its state; filling twice does no
 * harm.
 *
 * Inside a larger transaction, and for ALTER TABLE ... ADD UNIQUE, the table is locked as by any
 * other change, and the index is filled at once.
 *
 * Entries carry the timestamps of their filling: a snapshot from before must not use the index
 * (IndexDesc.usable_from).
 */
#include "ddl.h"

#include "router_internal.h"
#include "table_users.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "metadata/jobs.h"

#include <stdio.h>
#include <string.h>

#define USERS_PATIENCE_MS 10000

static struct status *index_columns(struct ddl *d, const Sherd__V1__TableDesc *t,
                                    const PgQuery__IndexStmt *s, Sherd__V1__IndexDesc *ix,
                                    char *names, size_t size)
{
    ix->columns = ARENA_ARRAY(d->a, Sherd__V1__IndexColumn *, s->n_index_params);
    size_t at = 0;
    for (size_t i = 0; i < s->n_index_params; i++) {
        const PgQuery__IndexElem *e = s->index_params[i]->index_elem;
        if (e->name == NULL || e->name[0] == '\0') {
            return status_hint(status_new(UNSUPPORTED, "indexes on expressions are not supported"),
                               "Add a generated column and index that.");
        }
        const Sherd__V1__ColumnDesc *c = find_column(t, e->name);
        if (c == NULL) {
            return status_sql(NOT_FOUND, "42703", "column \"%s\" does not exist", e->name);
        }
        TRY(check_key_type(c));
        Sherd__V1__IndexColumn *out = ix->columns[i] = ARENA_NEW(d->a, Sherd__V1__IndexColumn);
        sherd__v1__index_column__init(out);
        out->ordinal = c->ordinal;
        out->desc = e->ordering == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        out->nulls_first =
            e->nulls_ordering == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
            (e->nulls_ordering != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST && out->desc);
        ix->n_columns = i + 1;
        int w = snprintf(names + at, size - at, "%s%s", i > 0 ? "_" : "", e->name);
        at += w > 0 && (size_t)w < size - at ? (size_t)w : 0;
    }
    return NULL;
}

static Sherd__V1__IndexDesc *index_of(const Sherd__V1__TableDesc *t, uint32_t index_id)
{
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (t->indexes[i]->index_id == index_id) {
            return t->indexes[i];
        }
    }
    return NULL;
}

static struct slice job_key(struct ddl *d, uint64_t id)
{
    return key_id8(d, "job/", id);
}

/* ---- beside writers ---- */

/* PUBLIC, and the job is done. */
static struct status *publish(struct ddl *d, const Sherd__V1__JobDesc *job, uint64_t revision,
                              const Sherd__V1__TableDesc *t)
{
    Sherd__V1__TableDesc *next;
    TRY(copy_table(d, t, &next));
    Sherd__V1__IndexDesc *ix = index_of(next, job->schema->index_id);
    TRY(meta_timestamp(d->f, router_meta(d->router), &ix->usable_from));
    ix->state = SHERD__V1__INDEX_STATE__INDEX_PUBLIC;
    next->version++;
    next->changing_job = 0;
    struct slice key = key_id4(d, "table/", t->id);
    ddl_compare_revision(d, job_key(d, job->id), revision);
    ddl_compare(d, key);
    ddl_put(d, key, next);
    ddl_delete(d, job_key(d, job->id));
    return ddl_commit(d);
}

/* Without the index; the job goes on as an aborted one. */
static struct status *take_back(struct ddl *d, const Sherd__V1__JobDesc *job, uint64_t revision,
                                const Sherd__V1__TableDesc *t)
{
    Sherd__V1__SchemaChange x = *job->schema;
    Sherd__V1__JobDesc aborted = *job;
    Sherd__V1__SchemaWipe wipe = SHERD__V1__SCHEMA_WIPE__INIT, *wipes[1] = {&wipe};
    Sherd__V1__SchemaLock lock = SHERD__V1__SCHEMA_LOCK__INIT, *locks[1] = {&lock};
    aborted.schema = &x;
    x.state = SHERD__V1__SCHEMA_STATE__SCHEMA_ABORTED;
    ddl_compare_revision(d, job_key(d, job->id), revision);
    if (t != NULL) {
        Sherd__V1__TableDesc *next;
        TRY(copy_table(d, t, &next));
        const Sherd__V1__IndexDesc *ix = index_of(next, x.index_id);
        ddl_delete(d, key_rel_name(d, t->database_id, t->schema_id, ix->name));
        size_t n = 0;
        for (size_t i = 0; i < next->n_indexes; i++) {
            if (next->indexes[i] != ix) {
                next->indexes[n++] = next->indexes[i];
            }
        }
        next->n_indexes = n;
        lock.table_id = t->id;
        lock.version = next->version++;
        wipe.table_id = t->id;
        wipe.index_from = x.index_id;
        wipe.index_to = x.index_id + 1;
        x.n_locks = x.n_wipe_aborted = 1;
        x.locks = locks;
        x.wipe_aborted = wipes;
        struct slice key = key_id4(d, "table/", t->id);
        ddl_compare(d, key);
        ddl_put(d, key, next);
    }
    ddl_put(d, job_key(d, job->id), &aborted);
    return ddl_commit(d);
}

static bool may_pass(const struct status *st)
{
    return st->code == STATUS_UNAVAILABLE || st->code == STATUS_MOVED ||
           st->code == STATUS_NOT_LEADER || st->code == STATUS_UNKNOWN_OUTCOME ||
           st->code == STATUS_CONFLICT || st->code == STATUS_TIMEOUT;
}

/* From here on nobody works with an older version of the table. A transaction that does is waited
 * for, but not for ever: then it is refused at its commit. */
static struct status *fence_version(struct ddl *d, const Sherd__V1__TableDesc *t)
{
    struct router *r = d->router;
    struct table_users users = {.tables = &t->id,
                                .ntables = 1,
                                .below_version = t->version,
                                .revision = meta_revision(r->meta),
                                .timeout_ms = USERS_PATIENCE_MS};
    struct status *st = table_users_wait(d->f, r, &users, NULL);
    if (st != NULL && strcmp(st->sqlstate, "55P03") != 0) {
        return st;
    }
    status_free(st);
    return fence_table(d, t->id, t->version, NULL);
}

/* Every writer deletes its entries; from now on they may make them. *t: the new descriptor. */
static struct status *let_write(struct ddl *d, const Sherd__V1__JobDesc *job, uint64_t revision,
                                const Sherd__V1__TableDesc **t)
{
    Sherd__V1__TableDesc *next;
    TRY(fence_version(d, *t));
    TRY(copy_table(d, *t, &next));
    index_of(next, job->schema->index_id)->state = SHERD__V1__INDEX_STATE__INDEX_WRITE_ONLY;
    next->version++;
    struct slice key = key_id4(d, "table/", next->id);
    ddl_compare_revision(d, job_key(d, job->id), revision);
    ddl_compare(d, key);
    ddl_put(d, key, next);
    TRY(ddl_commit(d));
    *t = catalog_table_by_id(d->catalog, next->id);
    return *t != NULL && (*t)->version == next->version
               ? NULL
               : status_new(CONFLICT, "the job is another router's now");
}

struct status *index_build(struct ddl *d, const Sherd__V1__JobDesc *job, uint64_t revision)
{
    uint32_t table_id = job->schema->table_id, index_id = job->schema->index_id;
    const Sherd__V1__TableDesc *t = catalog_table_by_id(d->catalog, table_id);
    if (t == NULL || t->changing_job != job->id || index_of(t, index_id) == NULL) {
        return take_back(d, job, revision, NULL);
    }
    struct status *st = NULL;
    if (index_of(t, index_id)->state == SHERD__V1__INDEX_STATE__INDEX_DELETE_ONLY) {
        st = let_write(d, job, revision, &t);
        crash_at(CRASH_INDEX_WRITABLE);
    }
    if (st == NULL) {
        st = fence_version(d, t);
    }
    if (st == NULL) {
        st = backfill(d, t, &index_id, 1, NULL);
    }
    crash_at(CRASH_INDEX_FILLED);
    if (st == NULL) {
        st = publish(d, job, revision, t);
    }
    if (st == NULL) {
        return NULL;
    }
    if (d->x == NULL && may_pass(st)) {
        return st; /* the job is tried again */
    }
    struct status *back = take_back(d, job, revision, t);
    if (back != NULL) {
        LOGW("ddl", "taking back index %u of table %u: %s", index_id, table_id, back->message);
        status_free(back);
    }
    return st;
}

/* Puts the index and its job. */
static struct status *create_online(struct ddl *d, Sherd__V1__TableDesc *t,
                                    const Sherd__V1__IndexDesc *ix)
{
    struct router *r = d->router;
    struct schema_held held = {0};
    TRY(meta_allocate(d->f, r->meta, META_ID_OBJECT, 1, &held.job_id));
    Sherd__V1__JobDesc job = SHERD__V1__JOB_DESC__INIT;
    Sherd__V1__SchemaChange x = SHERD__V1__SCHEMA_CHANGE__INIT;
    job.id = held.job_id;
    job.kind = SHERD__V1__JOB_KIND__JOB_SCHEMA;
    job.schema = &x;
    x.state = SHERD__V1__SCHEMA_STATE__SCHEMA_BUILDING;
    x.node_id = r->node_id;
    x.incarnation = r->incarnation;
    x.what = (char *)(uintptr_t) "CREATE INDEX";
    x.table_id = t->id;
    x.index_id = ix->index_id;
    t->version++;
    t->changing_job = job.id;
    struct slice key = key_id4(d, "table/", t->id);
    struct slice name_key = key_rel_name(d, t->database_id, t->schema_id, ix->name);
    ddl_compare(d, key);
    ddl_put(d, key, t);
    ddl_must_not_exist(d, name_key);
    ddl_put_bytes(d, name_key, rel_value(d, 'i', t->id));
    ddl_must_not_exist(d, job_key(d, job.id));
    ddl_put(d, job_key(d, job.id), &job);
    list_push_back(&r->held_jobs, &held.link);
    struct status *st = ddl_commit(d);
    if (st == NULL) {
        crash_at(CRASH_INDEX_ADDED);
        uint64_t revision = 0;
        const Sherd__V1__JobDesc *is = meta_job_get(r->meta, job.id, d->a, &revision);
        st = is != NULL ? index_build(d, is, revision)
                        : status_new(CONFLICT, "the job is another router's now");
        if (status_is(st, STATUS_CONFLICT)) { /* no reason to begin anew */
            status_free(st);
            st = status_hint(status_new(UNKNOWN_OUTCOME, "the index could not be completed here"),
                             "See pg_catalog.sherd_jobs whether it is being completed elsewhere.");
        }
    }
    list_unlink(&held.link);
    if (st != NULL) { /* if it was not undone yet, that is gone on with */
        schema_job_later(r, job.id);
    }
    return st;
}

/* CREATE INDEX and nothing else in its transaction. */
static bool is_alone(const struct ddl *d)
{
    const PgQuery__Node *n = parsed_node(d->parsed, d->index);
    return d->x->is_last && n->node_case == PG_QUERY__NODE__NODE_INDEX_STMT;
}

struct status *ddl_create_index(struct ddl *d, const PgQuery__IndexStmt *s)
{
    d->tag = "CREATE INDEX";
    const Sherd__V1__TableDesc *t;
    TRY(find_table(d, s->relation->schemaname, s->relation->relname, false, &t));
    if (s->access_method != NULL && s->access_method[0] != '\0' &&
        strcmp(s->access_method, "btree") != 0) {
        if (strcmp(s->access_method, "hash") != 0) {
            return status_hint(
                status_new(UNSUPPORTED, "access method \"%s\" is not supported", s->access_method),
                "Ordered indexes (btree) are.");
        }
        ddl_notice(d, "access method \"hash\" is accepted; the index is ordered");
    }
    if (s->where_clause != NULL) {
        return status_hint(status_new(UNSUPPORTED, "partial indexes are not supported"),
                           "Index all rows.");
    }
    if (s->n_index_including_params > 0) {
        ddl_notice(d, "INCLUDE columns are accepted and have no effect");
    }
    if (s->idxname != NULL && s->idxname[0] != '\0' &&
        relation_exists(d, t->schema_id, s->idxname)) {
        if (s->if_not_exists) {
            ddl_notice(d, "relation \"%s\" already exists, skipping", s->idxname);
            return NULL;
        }
        return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists", s->idxname);
    }
    if (is_alone(d) && t->changing_job != 0) {
        return schema_wait_for_job(d->f, d->schema, t->changing_job);
    }
    Sherd__V1__TableDesc *next;
    TRY(copy_table(d, t, &next));
    Sherd__V1__IndexDesc *ix = add_index(d, next);
    char names[256] = "";
    TRY(index_columns(d, t, s, ix, names, sizeof(names)));
    uint32_t oid;
    TRY(ddl_allocate(d, 1, &oid));
    ix->oid = oid;
    ix->index_id = next->next_index_id++;
    ix->unique = s->unique;
    ix->constraint = s->isconstraint;
    ix->state = SHERD__V1__INDEX_STATE__INDEX_DELETE_ONLY;
    ix->name = s->idxname != NULL && s->idxname[0] != '\0'
                   ? arena_strdup(d->a, s->idxname)
                   : choose_name(d, t->schema_id, t->name, names, "idx");
    if (is_alone(d)) {
        return create_online(d, next, ix);
    }
    ix->state = SHERD__V1__INDEX_STATE__INDEX_PUBLIC; /* for nobody but us until it is filled */
    if (!schema_is_new(d->schema, t->id) || txn_has_written(d->x->txn, t->id)) {
        ix->usable_from = INDEX_USABLE_BY_MAKER;
    }
    ddl_raise_version(d, next);
    struct slice key = key_id4(d, "table/", t->id);
    struct slice name_key = key_rel_name(d, t->database_id, t->schema_id, ix->name);
    ddl_compare(d, key);
    ddl_put(d, key, next);
    ddl_must_not_exist(d, name_key);
    ddl_put_bytes(d, name_key, rel_value(d, 'i', t->id));
    TRY(ddl_apply(d));
    return fill_locked(d, next, ix->index_id);
}
