/* DROP of everything, TRUNCATE. */
#include "ddl.h"

#include "router_internal.h"
#include "table_users.h"

#include "base/check.h"
#include "base/log.h"

/* Everything of a table in the metadata space: its own keys; not the other tables that refer to it.
 */
void drop_table_keys(struct ddl *d, const Sherd__V1__TableDesc *t)
{
    struct slice key = key_id4(d, "table/", t->id);
    ddl_compare(d, key);
    ddl_delete(d, key);
    ddl_delete(d, key_rel_name(d, t->database_id, t->schema_id, t->name));
    if (t->view_sql == NULL || t->view_sql[0] == '\0') {
        schema_wipe_table(d->schema, t);
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (!t->indexes[i]->primary || !t->hidden_primary_key) {
            ddl_delete(d, key_rel_name(d, t->database_id, t->schema_id, t->indexes[i]->name));
        }
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        const Sherd__V1__SequenceDesc *q =
            t->columns[i]->sequence_id != 0
                ? catalog_sequence_by_id(d->catalog, t->columns[i]->sequence_id)
                : NULL;
        if (q != NULL) {
            ddl_delete(d, key_id8(d, "seq/", q->id));
            ddl_delete(d, key_id8(d, "seqstate/", q->id));
            ddl_delete(d, key_rel_name(d, q->database_id, q->schema_id, q->name));
        }
    }
}

struct dropped {
    uint32_t ids[256];
    int count;
};

static bool is_dropped(const void *ctx, uint32_t id)
{
    const struct dropped *x = ctx;
    for (int i = 0; i < x->count; i++) {
        if (x->ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* Constraints of other tables that refer to a dropped one go with CASCADE, else they are an error.
 */
static struct status *detach_referrers(struct ddl *d, const Sherd__V1__TableDesc *t,
                                       const struct dropped *x, bool cascade)
{
    for (size_t i = 0; i < t->n_referenced_by; i++) {
        uint32_t by = t->referenced_by[i];
        const Sherd__V1__TableDesc *other =
            is_dropped(x, by) ? NULL : catalog_table_by_id(d->catalog, by);
        if (other == NULL) {
            continue;
        }
        Sherd__V1__TableDesc *next;
        TRY(copy_table(d, other, &next));
        size_t n = 0;
        for (size_t k = 0; k < next->n_constraints; k++) {
            Sherd__V1__ConstraintDesc *c = next->constraints[k];
            if (c->ref_table_id != t->id) {
                next->constraints[n++] = c;
                continue;
            }
            if (!cascade) {
                return status_hint(
                    status_detail(
                        status_sql(CONSTRAINT, "2BP01",
                                   "cannot drop table %s because other objects depend on it",
                                   t->name),
                        "constraint %s on table %s depends on table %s", c->name, other->name,
                        t->name),
                    "Use DROP ... CASCADE to drop the dependent objects too.");
            }
            ddl_notice(d, "drop cascades to constraint %s on table %s", c->name, other->name);
        }
        next->n_constraints = n;
        ddl_raise_version(d, next);
        ddl_compare(d, key_id4(d, "table/", by));
        ddl_put(d, key_id4(d, "table/", by), next);
    }
    return NULL;
}

/* Rows of co-located tables lie in this one's buckets: CASCADE is no help, they are tables. */
static struct status *refuse_colocated(struct ddl *d, const Sherd__V1__TableDesc *t,
                                       const struct dropped *x)
{
    const Sherd__V1__TableDesc *other = sharding_dependent(d, t, is_dropped, x);
    return other == NULL
               ? NULL
               : status_hint(
                     status_detail(
                         status_sql(CONSTRAINT, "2BP01",
                                    "cannot drop table %s because other objects depend on it",
                                    t->name),
                         "table %s is co-located with table %s", other->name, t->name),
                     "Drop %s too, in the same statement or before.", other->name);
}

static struct status *detach_referenced(struct ddl *d, const Sherd__V1__TableDesc *t,
                                        const struct dropped *x)
{
    for (size_t i = 0; i < t->n_constraints; i++) {
        uint32_t ref = t->constraints[i]->ref_table_id;
        if (ref != 0 && !is_dropped(x, ref)) {
            TRY(unreference(d, ref, t));
        }
    }
    return NULL;
}

/* Views that read a dropped table or view: an error, or with CASCADE dropped too (and so on).
 * tables has room for 256. */
static struct status *drop_readers(struct ddl *d, const Sherd__V1__TableDesc **tables,
                                   struct dropped *x, bool cascade, const char *what)
{
    for (int i = 0; i < x->count; i++) {
        const Sherd__V1__TableDesc **views;
        int n;
        TRY(views_of(d, tables[i], &views, &n));
        for (int k = 0; k < n; k++) {
            if (is_dropped(x, views[k]->id)) {
                continue;
            }
            bool is_view = tables[i]->view_sql != NULL && tables[i]->view_sql[0] != '\0';
            if (!cascade) {
                return status_hint(
                    status_detail(status_sql(CONSTRAINT, "2BP01",
                                             "cannot drop %s %s because other objects depend on it",
                                             what, tables[i]->name),
                                  "view %s depends on %s %s", views[k]->name,
                                  is_view ? "view" : "table", tables[i]->name),
                    "Use DROP ... CASCADE to drop the dependent objects too.");
            }
            if (x->count == 256) {
                return status_sql(LIMIT, "54000", "at most 256 objects can be dropped at once");
            }
            ddl_notice(d, "drop cascades to view %s", views[k]->name);
            tables[x->count] = views[k];
            x->ids[x->count++] = views[k]->id;
        }
    }
    return NULL;
}

static struct status *drop_tables(struct ddl *d, const PgQuery__DropStmt *s, bool is_view)
{
    bool cascade = s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    struct dropped x = {0};
    const Sherd__V1__TableDesc *tables[256];
    for (size_t i = 0; i < s->n_objects; i++) {
        const PgQuery__List *names = s->objects[i]->list;
        const char *name = node_str(names->items[names->n_items - 1]);
        const char *schema = names->n_items > 1 ? node_str(names->items[names->n_items - 2]) : NULL;
        const Sherd__V1__TableDesc *t = find_any_table(d, schema, name);
        if (t != NULL && !is_view && t->view_sql != NULL && t->view_sql[0] != '\0') {
            return status_hint(status_sql(INVALID, "42809", "\"%s\" is not a table", name),
                               "Use DROP VIEW to remove a view.");
        }
        if (t != NULL && is_view && (t->view_sql == NULL || t->view_sql[0] == '\0')) {
            return status_hint(status_sql(INVALID, "42809", "\"%s\" is not a view", name),
                               "Use DROP TABLE to remove a table.");
        }
        if (t == NULL) {
            if (!s->missing_ok) {
                return status_sql(NOT_FOUND, "42P01", "%s \"%s\" does not exist",
                                  is_view ? "view" : "table", name);
            }
            ddl_notice(d, "%s \"%s\" does not exist, skipping", is_view ? "view" : "table", name);
            continue;
        }
        if (x.count == 256) {
            return status_sql(LIMIT, "54000", "at most 256 objects can be dropped at once");
        }
        if (!is_dropped(&x, t->id)) {
            tables[x.count] = t;
            x.ids[x.count++] = t->id;
        }
    }
    if (x.count == 0) {
        return NULL;
    }
    TRY(drop_readers(d, tables, &x, cascade, is_view ? "view" : "table"));
    for (int i = 0; i < x.count; i++) {
        TRY(refuse_colocated(d, tables[i], &x));
        TRY(detach_referrers(d, tables[i], &x, cascade));
        TRY(detach_referenced(d, tables[i], &x));
        TRY(ddl_apply(d)); /* one table may be related to several of them */
    }
    for (int i = 0; i < x.count; i++) {
        drop_table_keys(d, tables[i]);
    }
    return ddl_apply(d);
}

static struct status *drop_indexes(struct ddl *d, const PgQuery__DropStmt *s)
{
    for (size_t i = 0; i < s->n_objects; i++) {
        const PgQuery__List *names = s->objects[i]->list;
        const char *name = node_str(names->items[names->n_items - 1]);
        const Sherd__V1__IndexDesc *ix = NULL;
        const Sherd__V1__TableDesc *t = NULL;
        if (names->n_items > 1) {
            const Sherd__V1__SchemaDesc *schema =
                catalog_schema(d->catalog, d->x->env.database_id,
                               slice_str(node_str(names->items[names->n_items - 2])));
            t = schema != NULL ? catalog_index(d->catalog, schema->id, slice_str(name), &ix) : NULL;
        }
        for (int k = 0; names->n_items == 1 && k < d->x->env.search_path_count && t == NULL; k++) {
            t = catalog_index(d->catalog, d->x->env.search_path[k], slice_str(name), &ix);
        }
        if (t == NULL) {
            if (!s->missing_ok) {
                return status_sql(NOT_FOUND, "42704", "index \"%s\" does not exist", name);
            }
            ddl_notice(d, "index \"%s\" does not exist, skipping", name);
            continue;
        }
        if (ix->constraint || ix->primary) {
            return status_hint(
                status_sql(CONSTRAINT, "2BP01",
                           "cannot drop index %s because constraint %s on table %s requires it",
                           name, name, t->name),
                "You can drop constraint %s on table %s instead.", name, t->name);
        }
        for (size_t r = 0; r < t->n_referenced_by; r++) {
            const Sherd__V1__TableDesc *by = catalog_table_by_id(d->catalog, t->referenced_by[r]);
            for (size_t k = 0; by != NULL && k < by->n_constraints; k++) {
                if (by->constraints[k]->ref_table_id == t->id &&
                    by->constraints[k]->ref_index_id == ix->index_id) {
                    return status_detail(
                        status_sql(CONSTRAINT, "2BP01",
                                   "cannot drop index %s because other objects depend on it", name),
                        "constraint %s on table %s depends on index %s", by->constraints[k]->name,
                        by->name, name);
                }
            }
        }
        Sherd__V1__TableDesc *next;
        TRY(copy_table(d, t, &next));
        uint32_t id = ix->index_id, table_id = t->id;
        size_t n = 0;
        for (size_t k = 0; k < next->n_indexes; k++) {
            if (next->indexes[k]->index_id != id) {
                next->indexes[n++] = next->indexes[k];
            }
        }
        next->n_indexes = n;
        ddl_raise_version(d, next);
        ddl_compare(d, key_id4(d, "table/", table_id));
        ddl_put(d, key_id4(d, "table/", table_id), next);
        ddl_delete(d, key_rel_name(d, t->database_id, t->schema_id, name));
        TRY(ddl_apply(d));
        schema_wipe(d->schema, table_id, id, id + 1);
    }
    return NULL;
}

static struct status *drop_sequences(struct ddl *d, const PgQuery__DropStmt *s)
{
    for (size_t i = 0; i < s->n_objects; i++) {
        const PgQuery__List *names = s->objects[i]->list;
        const char *name = node_str(names->items[names->n_items - 1]);
        const Sherd__V1__SequenceDesc *q = find_sequence(
            d, names->n_items > 1 ? node_str(names->items[names->n_items - 2]) : NULL, name);
        if (q == NULL) {
            if (!s->missing_ok) {
                return status_sql(NOT_FOUND, "42P01", "sequence \"%s\" does not exist", name);
            }
            ddl_notice(d, "sequence \"%s\" does not exist, skipping", name);
            continue;
        }
        const Sherd__V1__TableDesc *owner =
            q->owner_table != 0 ? catalog_table_by_id(d->catalog, q->owner_table) : NULL;
        if (owner != NULL) {
            return status_hint(
                status_detail(
                    status_sql(CONSTRAINT, "2BP01",
                               "cannot drop sequence %s because other objects depend on it", name),
                    "default value for column %s of table %s depends on sequence %s",
                    owner->columns[q->owner_ordinal]->name, owner->name, name),
                "Drop the column's default first.");
        }
        ddl_compare(d, key_id8(d, "seq/", q->id));
        ddl_delete(d, key_id8(d, "seq/", q->id));
        ddl_delete(d, key_id8(d, "seqstate/", q->id));
        ddl_delete(d, key_rel_name(d, q->database_id, q->schema_id, q->name));
    }
    return d->txn.n_deletes > 0 ? ddl_apply(d) : NULL;
}

struct in_schema {
    struct ddl *d;
    uint32_t schema;
    const Sherd__V1__TableDesc *tables[256];
    int count;
    bool has_more;
    int sequences;
};

static bool note_table(void *ctx, const Sherd__V1__TableDesc *t)
{
    struct in_schema *x = ctx;
    if (t->schema_id == x->schema) {
        if (x->count == 256) {
            x->has_more = true;
            return false;
        }
        x->tables[x->count++] = t;
    }
    return true;
}

static bool count_free_sequence(void *ctx, const Sherd__V1__SequenceDesc *q)
{
    struct in_schema *x = ctx;
    x->sequences += q->schema_id == x->schema && q->owner_table == 0;
    return true;
}

static bool drop_free_sequence(void *ctx, const Sherd__V1__SequenceDesc *q)
{
    struct in_schema *x = ctx;
    if (q->schema_id == x->schema && q->owner_table == 0) {
        ddl_delete(x->d, key_id8(x->d, "seq/", q->id));
        ddl_delete(x->d, key_id8(x->d, "seqstate/", q->id));
        ddl_delete(x->d, key_rel_name(x->d, q->database_id, q->schema_id, q->name));
    }
    return true;
}

/* Adds the deletion of a schema and all in it to the change. */
static struct status *drop_schema_contents(struct ddl *d, const Sherd__V1__SchemaDesc *s,
                                           bool cascade, struct dropped *x)
{
    /* Nothing new comes into it from here on; what came until now is seen. */
    TRY(schema_lock_schema(d->f, d->schema, s->id, d->tag));
    ddl_refresh_catalog(d);
    struct in_schema *in = ARENA_NEW(d->a, struct in_schema);
    in->d = d;
    in->schema = s->id;
    catalog_each_table(d->catalog, note_table, in);
    catalog_each_sequence(d->catalog, count_free_sequence, in);
    if (in->has_more || in->count + x->count > 256) {
        return status_hint(
            status_sql(LIMIT, "54000", "more than 256 tables would be dropped at once"),
            "Drop some of them first.");
    }
    if ((in->count > 0 || in->sequences > 0) && !cascade) {
        return status_hint(
            status_detail(
                status_sql(CONSTRAINT, "2BP01",
                           "cannot drop schema %s because other objects depend on it", s->name),
                "%s depends on schema %s",
                in->count > 0 ? arena_printf(d->a, "table %s.%s", s->name, in->tables[0]->name)
                              : "a sequence",
                s->name),
            "Use DROP ... CASCADE to drop the dependent objects too.");
    }
    int first = x->count;
    struct dropped here = {0};
    for (int i = 0; i < in->count; i++) {
        here.ids[here.count++] = in->tables[i]->id;
        ddl_notice(d, "drop cascades to %s %s.%s",
                   in->tables[i]->view_sql != NULL && in->tables[i]->view_sql[0] != '\0' ? "view"
                                                                                         : "table",
                   s->name, in->tables[i]->name);
    }
    /* Views of other schemas that read these go too. */
    TRY(drop_readers(d, in->tables, &here, true, "schema"));
    in->count = here.count;
    if (first + here.count > 256) {
        return status_sql(LIMIT, "54000", "at most 256 objects can be dropped at once");
    }
    for (int i = 0; i < here.count; i++) {
        x->ids[x->count++] = here.ids[i];
    }
    for (int i = 0; i < in->count; i++) {
        TRY(refuse_colocated(d, in->tables[i], x));
        TRY(detach_referrers(d, in->tables[i], x, true));
        TRY(detach_referenced(d, in->tables[i], x));
        TRY(ddl_apply(d));
    }
    for (int i = 0; i < in->count; i++) {
        drop_table_keys(d, in->tables[i]);
    }
    catalog_each_sequence(d->catalog, drop_free_sequence, in);
    ddl_compare(d, key_id4(d, "schema/", s->id));
    ddl_delete(d, key_id4(d, "schema/", s->id));
    ddl_delete(d, key_schema_name(d, s->database_id, s->name));
    return ddl_apply(d);
}

static struct status *drop_schemas(struct ddl *d, const PgQuery__DropStmt *s)
{
    struct dropped x = {0};
    for (size_t i = 0; i < s->n_objects; i++) {
        const char *name = node_str(s->objects[i]);
        const Sherd__V1__SchemaDesc *schema =
            catalog_schema(d->catalog, d->x->env.database_id, slice_str(name));
        if (schema == NULL) {
            if (!s->missing_ok) {
                return status_sql(NOT_FOUND, "3F000", "schema \"%s\" does not exist", name);
            }
            ddl_notice(d, "schema \"%s\" does not exist, skipping", name);
            continue;
        }
        TRY(drop_schema_contents(d, schema, s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE,
                                 &x));
    }
    return NULL;
}

struct schemas_of {
    uint32_t database;
    const Sherd__V1__SchemaDesc *found[256];
    int count;
};

static bool note_schema(void *ctx, const Sherd__V1__SchemaDesc *s)
{
    struct schemas_of *x = ctx;
    if (s->database_id == x->database && x->count < 256) {
        x->found[x->count++] = s;
    }
    return true;
}

struct status *ddl_drop_database(struct ddl *d, const PgQuery__DropdbStmt *s)
{
    d->tag = "DROP DATABASE";
    const Sherd__V1__DatabaseDesc *db = catalog_database(d->catalog, slice_str(s->dbname));
    if (db == NULL) {
        if (!s->missing_ok) {
            return status_sql(NOT_FOUND, "3D000", "database \"%s\" does not exist", s->dbname);
        }
        ddl_notice(d, "database \"%s\" does not exist, skipping", s->dbname);
        return NULL;
    }
    if (db->id == d->x->env.database_id) {
        return status_sql(INVALID, "55006", "cannot drop the currently open database");
    }
    struct schemas_of all = {.database = db->id};
    catalog_each_schema(d->catalog, note_schema, &all);
    struct dropped x = {0};
    for (int i = 0; i < all.count; i++) {
        TRY(drop_schema_contents(d, all.found[i], true, &x));
    }
    ddl_compare(d, key_id4(d, "db/", db->id));
    ddl_delete(d, key_id4(d, "db/", db->id));
    ddl_delete(d, key_db_name(d, db->name));
    return ddl_apply(d);
}

struct status *ddl_drop(struct ddl *d, const PgQuery__DropStmt *s)
{
    switch (s->remove_type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
        d->tag = "DROP TABLE";
        return drop_tables(d, s, false);
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
        d->tag = "DROP VIEW";
        return drop_tables(d, s, true);
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        d->tag = "DROP INDEX";
        return drop_indexes(d, s);
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        d->tag = "DROP SEQUENCE";
        return drop_sequences(d, s);
    case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
        d->tag = "DROP SCHEMA";
        return drop_schemas(d, s);
    default:
        return status_hint(
            status_new(UNSUPPORTED, "dropping this kind of object is not supported"),
            "Tables, views, indexes, sequences, schemas and databases can be dropped.");
    }
}

/* ---- TRUNCATE ---- */

#define TRUNCATE_MAX 64

struct truncated {
    const Sherd__V1__TableDesc *tables[TRUNCATE_MAX];
    int count;
};

static bool is_truncated(const struct truncated *x, uint32_t id)
{
    for (int i = 0; i < x->count; i++) {
        if (x->tables[i]->id == id) {
            return true;
        }
    }
    return false;
}

static struct status *add_truncated(struct truncated *x, const Sherd__V1__TableDesc *t)
{
    if (is_truncated(x, t->id)) {
        return NULL;
    }
    if (x->count == TRUNCATE_MAX) {
        return status_sql(LIMIT, "54000", "at most %d tables can be truncated at once",
                          TRUNCATE_MAX);
    }
    x->tables[x->count++] = t;
    return NULL;
}

/* Tables that refer to these: an error, or with CASCADE emptied too (and so on). */
static struct status *add_referrers(struct ddl *d, struct truncated *x, bool cascade)
{
    for (int i = 0; i < x->count; i++) {
        const Sherd__V1__TableDesc *t = x->tables[i];
        for (size_t k = 0; k < t->n_referenced_by; k++) {
            const Sherd__V1__TableDesc *by = catalog_table_by_id(d->catalog, t->referenced_by[k]);
            if (by == NULL || is_truncated(x, by->id)) {
                continue;
            }
            if (!cascade) {
                return status_hint(
                    status_detail(
                        status_sql(
                            INVALID, "0A000",
                            "cannot truncate a table referenced in a foreign key constraint"),
                        "Table \"%s\" references \"%s\".", by->name, t->name),
                    "Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.",
                    by->name);
            }
            ddl_notice(d, "truncate cascades to table \"%s\"", by->name);
            TRY(add_truncated(x, by));
        }
    }
    return NULL;
}

static struct status *restart_identities(struct ddl *d, const struct truncated *x)
{
    for (int i = 0; i < x->count; i++) {
        for (size_t c = 0; c < x->tables[i]->n_columns; c++) {
            const Sherd__V1__ColumnDesc *col = x->tables[i]->columns[c];
            const Sherd__V1__SequenceDesc *q =
                !col->dropped && col->sequence_id != 0
                    ? catalog_sequence_by_id(d->catalog, col->sequence_id)
                    : NULL;
            if (q != NULL) {
                restart_sequence(d, q, q->start);
            }
        }
    }
    return ddl_apply(d);
}

/* As a DELETE of all rows does (session/uses.c). */
static struct status *use_truncated(struct ddl *d, const struct truncated *x)
{
    struct plan_dep *deps = ARENA_ARRAY(d->a, struct plan_dep, x->count + 1);
    struct catalog *now = schema_catalog(d->schema);
    uint64_t job;
    bool is_same = true;
    for (int i = 0; i < x->count; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(now, x->tables[i]->id);
        deps[i] = (struct plan_dep){x->tables[i]->id, x->tables[i]->version};
        is_same &= t != NULL && t->version == deps[i].version;
    }
    bool is_blocked = table_users_blockers(d->router, d->x->txn, now, deps, x->count, &job, 1) > 0;
    if (is_same && !is_blocked) {
        table_users_note(d->x->txn, d->schema, now, deps, x->count);
    }
    catalog_unref(now);
    return is_blocked ? schema_wait_for_job(d->f, d->schema, job)
           : is_same  ? NULL
                      : status_new(CONFLICT, "the schema was changed by another session");
}

struct status *ddl_truncate(struct ddl *d, const PgQuery__TruncateStmt *s)
{
    d->tag = "TRUNCATE TABLE";
    struct truncated x = {0};
    for (size_t i = 0; i < s->n_relations; i++) {
        const PgQuery__RangeVar *rv = s->relations[i]->range_var;
        const Sherd__V1__TableDesc *t;
        TRY(find_table(d, rv->schemaname, rv->relname, false, &t));
        TRY(add_truncated(&x, t));
    }
    TRY(add_referrers(d, &x, s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE));
    TRY(use_truncated(d, &x));
    d->has_rows = true;
    for (int i = 0; i < x.count; i++) {
        TRY(delete_all_rows(d, x.tables[i], d->x->txn));
    }
    return s->restart_seqs ? restart_identities(d, &x) : NULL;
}
