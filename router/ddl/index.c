/* CREATE INDEX: WRITE_ONLY in the descriptor, fence, backfill, PUBLIC. Reads and writes go on
 * meanwhile. */
#include "ddl.h"

#include "router_internal.h"

#include "base/check.h"
#include "base/log.h"

#include <stdio.h>

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

/* Makes the index PUBLIC, or takes it back when st is an error, which is returned then. */
static struct status *finish_index(struct ddl *d, uint32_t table_id, uint32_t index_id,
                                   struct slice name_key, struct status *st)
{
    struct slice key = key_id4(d, "table/", table_id);
    for (int tries = 0; tries < 20; tries++) {
        const Sherd__V1__TableDesc *now = catalog_table_by_id(d->catalog, table_id);
        if (now == NULL) {
            break;
        }
        Sherd__V1__TableDesc *next;
        TRY(copy_table(d, now, &next));
        next->version++;
        for (size_t i = 0; i < next->n_indexes; i++) {
            if (next->indexes[i]->index_id != index_id) {
                continue;
            }
            if (st == NULL) {
                next->indexes[i]->state = SHERD__V1__INDEX_STATE__INDEX_PUBLIC;
            } else {
                next->n_indexes--;
                memmove(next->indexes + i, next->indexes + i + 1,
                        (next->n_indexes - i) * sizeof(*next->indexes));
                ddl_delete(d, name_key);
                break;
            }
        }
        ddl_compare(d, key);
        ddl_put(d, key, next);
        struct status *done = ddl_commit(d);
        if (done == NULL) {
            if (st != NULL) {
                status_consume(fence_table(d, table_id, next->version));
                status_consume(wipe_keys(d, table_id, index_id, index_id + 1));
            }
            return st;
        }
        if (done->code != STATUS_CONFLICT) {
            status_free(st);
            return done;
        }
        status_free(done);
        struct status *refreshed = meta_refresh(d->f, router_meta(d->router));
        if (refreshed != NULL) {
            status_free(st);
            return refreshed;
        }
        ddl_refresh_catalog(d);
    }
    return st;
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
    ix->state = SHERD__V1__INDEX_STATE__INDEX_WRITE_ONLY;
    ix->name = s->idxname != NULL && s->idxname[0] != '\0'
                   ? arena_strdup(d->a, s->idxname)
                   : choose_name(d, t->schema_id, t->name, names, "idx");
    next->version++;
    struct slice key = key_id4(d, "table/", t->id);
    struct slice name_key = key_rel_name(d, t->database_id, t->schema_id, ix->name);
    ddl_compare(d, key);
    ddl_put(d, key, next);
    ddl_must_not_exist(d, name_key);
    ddl_put_bytes(d, name_key, rel_value(d, 'i', t->id));
    TRY(ddl_commit(d));

    uint32_t table_id = t->id, index_id = ix->index_id;
    struct status *st = fence_table(d, table_id, next->version);
    if (st == NULL) {
        const Sherd__V1__TableDesc *now = catalog_table_by_id(d->catalog, table_id);
        st = now == NULL ? status_sql(NOT_FOUND, "42P01", "the table was dropped")
                         : backfill(d, now, &index_id, 1);
    }
    /* The index is WRITE_ONLY: it becomes PUBLIC or goes, whatever becomes of the client. */
    fiber_mask(d->f);
    st = finish_index(d, table_id, index_id, name_key, st);
    fiber_unmask(d->f);
    return st;
}
