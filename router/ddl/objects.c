/* Databases, schemas, sequences, views, roles. */
#include "ddl.h"

#include "router_internal.h"

#include "base/check.h"

#include <stdlib.h>
#include <strings.h>

#define NAME_MAX_BYTES 63

static struct status *check_name(const char *name)
{
    if (strlen(name) > NAME_MAX_BYTES || name[0] == '\0' || strchr(name, '/') != NULL) {
        return status_sql(INVALID, "42602", "invalid name: \"%s\"", name);
    }
    return NULL;
}

static Sherd__V1__SchemaDesc *put_schema(struct ddl *d, uint32_t id, uint32_t database, const char *name)
{
    Sherd__V1__SchemaDesc *s = ARENA_NEW(d->a, Sherd__V1__SchemaDesc);
    sherd__v1__schema_desc__init(s);
    s->id = id;
    s->database_id = database;
    s->name = arena_strdup(d->a, name);
    s->owner = arena_strndup(d->a, d->x->env.user.data, d->x->env.user.len);
    struct slice key = key_schema_name(d, database, name);
    struct buf b = {0};
    buf_put_u32(&b, id);
    ddl_must_not_exist(d, key);
    ddl_put_bytes(d, key, arena_copy(d->a, buf_slice(&b)));
    buf_deinit(&b);
    ddl_put(d, key_id4(d, "schema/", id), s);
    return s;
}

struct status *ddl_create_database(struct ddl *d, const PgQuery__CreatedbStmt *s)
{
    d->tag = "CREATE DATABASE";
    TRY(check_name(s->dbname));
    if (catalog_database(d->catalog, slice_str(s->dbname)) != NULL) {
        return status_sql(ALREADY_EXISTS, "42P04", "database \"%s\" already exists", s->dbname);
    }
    for (size_t i = 0; i < s->n_options; i++) {
        const PgQuery__DefElem *e = s->options[i]->def_elem;
        const char *v = e->arg != NULL ? node_str(e->arg) : "";
        if (strcmp(e->defname, "encoding") == 0 && strcasecmp(v, "utf8") != 0 && strcasecmp(v, "utf-8") != 0 && v[0] != '\0') {
            return status_hint(status_new(UNSUPPORTED, "encoding \"%s\" is not supported", v), "Databases are in UTF8.");
        }
    }
    uint32_t id;
    TRY(ddl_allocate(d, 2, &id));
    Sherd__V1__DatabaseDesc *db = ARENA_NEW(d->a, Sherd__V1__DatabaseDesc);
    sherd__v1__database_desc__init(db);
    db->id = id;
    db->name = arena_strdup(d->a, s->dbname);
    db->owner = arena_strndup(d->a, d->x->env.user.data, d->x->env.user.len);
    struct slice key = key_db_name(d, s->dbname);
    struct buf b = {0};
    buf_put_u32(&b, id);
    ddl_must_not_exist(d, key);
    ddl_put_bytes(d, key, arena_copy(d->a, buf_slice(&b)));
    buf_deinit(&b);
    ddl_put(d, key_id4(d, "db/", id), db);
    put_schema(d, id + 1, id, "public");
    return ddl_commit(d);
}

struct status *ddl_create_schema(struct ddl *d, const PgQuery__CreateSchemaStmt *s)
{
    d->tag = "CREATE SCHEMA";
    const char *name = s->schemaname;
    if (name == NULL || name[0] == '\0') {
        if (s->authrole == NULL) {
            return status_sql(INVALID, "42601", "CREATE SCHEMA needs a name");
        }
        name = s->authrole->rolename;
    }
    TRY(check_name(name));
    if (strncmp(name, "pg_", 3) == 0) {
        return status_detail(status_sql(INVALID, "42939", "unacceptable schema name \"%s\"", name),
                             "The prefix \"pg_\" is reserved for system schemas.");
    }
    if (s->n_schema_elts > 0) {
        return status_hint(status_new(UNSUPPORTED, "CREATE SCHEMA with elements is not supported"),
                           "Create the objects by statements of their own.");
    }
    uint32_t db = d->x->env.database_id;
    if (catalog_schema(d->catalog, db, slice_str(name)) != NULL) {
        if (s->if_not_exists) {
            ddl_notice(d, "schema \"%s\" already exists, skipping", name);
            return NULL;
        }
        return status_sql(ALREADY_EXISTS, "42P06", "schema \"%s\" already exists", name);
    }
    uint32_t id;
    TRY(ddl_allocate(d, 1, &id));
    put_schema(d, id, db, name);
    ddl_compare(d, key_id4(d, "db/", db));
    return ddl_commit(d);
}

/* ---- sequences ---- */

static bool option_number(const PgQuery__DefElem *e, int64_t *out)
{
    if (e->arg == NULL) {
        return false;
    }
    switch (e->arg->node_case) {
    case PG_QUERY__NODE__NODE_INTEGER:
        *out = e->arg->integer->ival;
        return true;
    case PG_QUERY__NODE__NODE_FLOAT:
        *out = strtoll(e->arg->float_->fval, NULL, 10);
        return true;
    default:
        return false;
    }
}

struct status *sequence_options(Sherd__V1__SequenceDesc *q, size_t n, PgQuery__Node **options)
{
    bool has_start = false, has_min = false, has_max = false;
    for (size_t i = 0; i < n; i++) {
        const PgQuery__DefElem *e = options[i]->def_elem;
        int64_t v = 0;
        bool has = option_number(e, &v);
        if (strcmp(e->defname, "increment") == 0 && has) {
            q->increment = v;
        } else if (strcmp(e->defname, "start") == 0 && has) {
            q->start = v;
            has_start = true;
        } else if (strcmp(e->defname, "minvalue") == 0 && has) {
            q->min = v;
            has_min = true;
        } else if (strcmp(e->defname, "maxvalue") == 0 && has) {
            q->max = v;
            has_max = true;
        } else if (strcmp(e->defname, "cache") == 0 && has) {
            if (v < 1) {
                return status_new(INVALID, "CACHE (%lld) must be greater than zero", (long long)v);
            }
            q->cache = v > 10000 ? 10000 : v;
        } else if (strcmp(e->defname, "cycle") == 0) {
            q->cycle = e->arg == NULL || e->arg->node_case != PG_QUERY__NODE__NODE_BOOLEAN || e->arg->boolean->boolval;
        } else if (strcmp(e->defname, "as") == 0 && e->arg != NULL && e->arg->node_case == PG_QUERY__NODE__NODE_TYPE_NAME) {
            const PgQuery__TypeName *tn = e->arg->type_name;
            const char *name = node_str(tn->names[tn->n_names - 1]);
            q->type = strcmp(name, "int2") == 0 ? 21 : strcmp(name, "int4") == 0 ? 23 : 20;
        }
    }
    if (q->increment == 0) {
        return status_new(INVALID, "INCREMENT must not be zero");
    }
    int64_t top = q->type == 21 ? INT16_MAX : q->type == 23 ? INT32_MAX : INT64_MAX;
    int64_t bottom = q->type == 21 ? INT16_MIN : q->type == 23 ? INT32_MIN : INT64_MIN;
    if (!has_max) {
        q->max = q->increment > 0 ? top : -1;
    }
    if (!has_min) {
        q->min = q->increment > 0 ? 1 : bottom;
    }
    if (!has_start) {
        q->start = q->increment > 0 ? q->min : q->max;
    }
    if (q->min >= q->max) {
        return status_new(INVALID, "MINVALUE (%lld) must be less than MAXVALUE (%lld)", (long long)q->min,
                          (long long)q->max);
    }
    if (q->start < q->min) {
        return status_new(INVALID, "START value (%lld) cannot be less than MINVALUE (%lld)", (long long)q->start,
                          (long long)q->min);
    }
    if (q->start > q->max) {
        return status_new(INVALID, "START value (%lld) cannot be greater than MAXVALUE (%lld)", (long long)q->start,
                          (long long)q->max);
    }
    return NULL;
}

struct status *ddl_create_sequence(struct ddl *d, const PgQuery__CreateSeqStmt *s)
{
    d->tag = "CREATE SEQUENCE";
    uint32_t schema;
    TRY(find_creation_schema(d, s->sequence, &schema));
    TRY(check_name(s->sequence->relname));
    if (relation_exists(d, schema, s->sequence->relname)) {
        if (s->if_not_exists) {
            ddl_notice(d, "relation \"%s\" already exists, skipping", s->sequence->relname);
            return NULL;
        }
        return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists", s->sequence->relname);
    }
    uint32_t id;
    TRY(ddl_allocate(d, 1, &id));
    Sherd__V1__SequenceDesc *q = ARENA_NEW(d->a, Sherd__V1__SequenceDesc);
    sherd__v1__sequence_desc__init(q);
    q->id = id;
    q->database_id = d->x->env.database_id;
    q->schema_id = schema;
    q->name = arena_strdup(d->a, s->sequence->relname);
    q->increment = 1;
    q->cache = 1;
    q->type = 20;
    TRY(sequence_options(q, s->n_options, s->options));
    struct slice key = key_rel_name(d, q->database_id, schema, q->name);
    ddl_must_not_exist(d, key);
    ddl_put_bytes(d, key, rel_value(d, 'S', id));
    ddl_put(d, key_id8(d, "seq/", id), q);
    ddl_compare(d, key_id4(d, "schema/", schema));
    return ddl_commit(d);
}

struct status *ddl_alter_sequence(struct ddl *d, const PgQuery__AlterSeqStmt *s)
{
    d->tag = "ALTER SEQUENCE";
    for (size_t i = 0; i < s->n_options; i++) {
        if (strcmp(s->options[i]->def_elem->defname, "owned_by") != 0) {
            return status_hint(status_new(UNSUPPORTED, "ALTER SEQUENCE is not supported"),
                               "Use setval(), or drop and create the sequence.");
        }
    }
    return NULL;
}

/* ---- views ---- */

struct status *ddl_create_view(struct ddl *d, const PgQuery__ViewStmt *s)
{
    d->tag = "CREATE VIEW";
    uint32_t schema;
    TRY(find_creation_schema(d, s->view, &schema));
    TRY(check_name(s->view->relname));
    if (s->n_aliases > 0) {
        return status_hint(status_new(UNSUPPORTED, "a column list of a view is not supported"),
                           "Name the columns in the SELECT by AS.");
    }
    const Sherd__V1__TableDesc *old = catalog_table(d->catalog, schema, slice_str(s->view->relname));
    bool is_view = old != NULL && old->view_sql != NULL && old->view_sql[0] != '\0';
    if (relation_exists(d, schema, s->view->relname) && !(s->replace && is_view)) {
        return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists", s->view->relname);
    }
    /* The text of the query: what follows AS, by its own parse. */
    struct slice text = parsed_text(d->parsed, d->index);
    const uint8_t *as = NULL;
    for (size_t i = 0; i + 3 < text.len; i++) {
        const char *p = (const char *)text.data + i;
        if ((p[0] == ' ' || p[0] == '\n' || p[0] == '\t' || p[0] == ')' || p[0] == '"') && strncasecmp(p + 1, "as", 2) == 0 &&
            (p[3] == ' ' || p[3] == '\n' || p[3] == '\t' || p[3] == '(' || p[3] == '\r')) {
            as = text.data + i + 3;
            break;
        }
    }
    if (as == NULL) {
        return status_sql(INVALID, "42601", "CREATE VIEW without AS");
    }
    struct slice query = slice_make(as, text.len - (size_t)(as - text.data));
    while (query.len > 0 && (query.data[query.len - 1] == ';' || query.data[query.len - 1] == ' ' ||
                             query.data[query.len - 1] == '\n')) {
        query.len--;
    }
    struct parsed *p;
    TRY(parse_sql(d->f, query, &p));
    struct plan *plan = NULL;
    struct status *st = plan_statement(d->f, &d->x->env, p, 0, NULL, 0, &plan);
    parsed_free(p);
    TRY(st);
    uint32_t id = is_view ? old->id : 0;
    Sherd__V1__TableDesc *t = ARENA_NEW(d->a, Sherd__V1__TableDesc);
    sherd__v1__table_desc__init(t);
    const struct plan_column *cols;
    int n = plan_columns(plan, &cols);
    for (int i = 0; i < n; i++) {
        Sherd__V1__ColumnDesc *c = add_column(d, t);
        c->name = arena_strdup(d->a, cols[i].name);
        c->type = cols[i].type;
        c->typmod = cols[i].typmod;
    }
    plan_unref(plan);
    if (id == 0) {
        TRY(ddl_allocate(d, 1, &id));
    }
    t->id = id;
    t->database_id = d->x->env.database_id;
    t->schema_id = schema;
    t->name = arena_strdup(d->a, s->view->relname);
    t->owner = arena_strndup(d->a, d->x->env.user.data, d->x->env.user.len);
    t->version = is_view ? old->version + 1 : 1;
    t->view_sql = arena_strndup(d->a, query.data, query.len);
    struct slice key = key_rel_name(d, t->database_id, schema, t->name);
    if (is_view) {
        ddl_compare(d, key_id4(d, "table/", id));
    } else {
        ddl_must_not_exist(d, key);
        ddl_put_bytes(d, key, rel_value(d, 'v', id));
    }
    ddl_put(d, key_id4(d, "table/", id), t);
    return ddl_commit(d);
}

/* ---- roles ---- */

struct status *ddl_create_role(struct ddl *d, const PgQuery__CreateRoleStmt *s)
{
    d->tag = "CREATE ROLE";
    TRY(check_name(s->role));
    if (catalog_role(d->catalog, slice_str(s->role)) != NULL) {
        return status_sql(ALREADY_EXISTS, "42710", "role \"%s\" already exists", s->role);
    }
    Sherd__V1__RoleDesc *r = ARENA_NEW(d->a, Sherd__V1__RoleDesc);
    sherd__v1__role_desc__init(r);
    uint32_t oid;
    TRY(ddl_allocate(d, 1, &oid));
    r->name = arena_strdup(d->a, s->role);
    r->oid = oid;
    r->login = s->stmt_type == PG_QUERY__ROLE_STMT_TYPE__ROLESTMT_USER;
    for (size_t i = 0; i < s->n_options; i++) {
        const PgQuery__DefElem *e = s->options[i]->def_elem;
        bool on = e->arg != NULL && e->arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN && e->arg->boolean->boolval;
        if (strcmp(e->defname, "superuser") == 0) {
            r->superuser = on;
        } else if (strcmp(e->defname, "canlogin") == 0) {
            r->login = on;
        } else if (strcmp(e->defname, "password") == 0) {
            return status_hint(status_new(UNSUPPORTED, "passwords are not supported yet"),
                               "Roles log in without one, on loopback only.");
        }
    }
    struct slice key = slice_str(arena_printf(d->a, "role/%s", s->role));
    ddl_must_not_exist(d, key);
    ddl_put(d, key, r);
    return ddl_commit(d);
}
