/* Databases, schemas, sequences, views, roles. */
#include "ddl.h"

#include "router_internal.h"

#include "base/check.h"

#include <stdlib.h>
#include <strings.h>

#define NAME_MAX_BYTES 63
#define CACHE_MAX 10000

struct status *check_name(const char *name)
{
    if (strlen(name) > NAME_MAX_BYTES || name[0] == '\0' || strchr(name, '/') != NULL) {
        return status_sql(INVALID, "42602", "invalid name: \"%s\"", name);
    }
    return NULL;
}

static Sherd__V1__SchemaDesc *put_schema(struct ddl *d, uint32_t id, uint32_t database,
                                         const char *name)
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
        if (strcmp(e->defname, "encoding") == 0 && strcasecmp(v, "utf8") != 0 &&
            strcasecmp(v, "utf-8") != 0 && v[0] != '\0') {
            return status_hint(status_new(UNSUPPORTED, "encoding \"%s\" is not supported", v),
                               "Databases are in UTF8.");
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
    return ddl_apply(d);
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
    return ddl_apply(d);
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

static int64_t type_max(uint32_t type)
{
    return type == 21 ? INT16_MAX : type == 23 ? INT32_MAX : INT64_MAX;
}

static int64_t type_min(uint32_t type)
{
    return type == 21 ? INT16_MIN : type == 23 ? INT32_MIN : INT64_MIN;
}

static struct status *bad_bound(const char *what, int64_t v, const char *relation,
                                const char *bound, int64_t limit)
{
    return status_new(INVALID, "%s value (%lld) cannot be %s than %s (%lld)", what, (long long)v,
                      relation, bound, (long long)limit);
}

static struct status *check_sequence(const Sherd__V1__SequenceDesc *q)
{
    if (q->increment == 0) {
        return status_new(INVALID, "INCREMENT must not be zero");
    }
    if (q->max > type_max(q->type) || q->max < type_min(q->type)) {
        return status_new(INVALID, "MAXVALUE (%lld) is out of range for sequence data type %s",
                          (long long)q->max, type_find(q->type)->sql_name);
    }
    if (q->min > type_max(q->type) || q->min < type_min(q->type)) {
        return status_new(INVALID, "MINVALUE (%lld) is out of range for sequence data type %s",
                          (long long)q->min, type_find(q->type)->sql_name);
    }
    if (q->min >= q->max) {
        return status_new(INVALID, "MINVALUE (%lld) must be less than MAXVALUE (%lld)",
                          (long long)q->min, (long long)q->max);
    }
    if (q->start < q->min) {
        return bad_bound("START", q->start, "less", "MINVALUE", q->min);
    }
    return q->start > q->max ? bad_bound("START", q->start, "greater", "MAXVALUE", q->max) : NULL;
}

static bool has_arg(const PgQuery__DefElem *e)
{
    return e->arg != NULL;
}

/* is_new: what is not named gets its default; else it stays. RESTART is for the caller. */
static struct status *apply_options(Sherd__V1__SequenceDesc *q, size_t n, PgQuery__Node **options,
                                    bool is_new)
{
    bool has_start = !is_new, has_min = !is_new, has_max = !is_new;
    for (size_t i = 0; i < n; i++) {
        const PgQuery__DefElem *e = options[i]->def_elem;
        int64_t v = 0;
        bool has = option_number(e, &v);
        if (strcmp(e->defname, "increment") == 0 && has) {
            q->increment = v;
        } else if (strcmp(e->defname, "start") == 0 && has) {
            q->start = v;
            has_start = true;
        } else if (strcmp(e->defname, "minvalue") == 0) {
            has_min = has;
            q->min = has ? v : q->min;
        } else if (strcmp(e->defname, "maxvalue") == 0) {
            has_max = has;
            q->max = has ? v : q->max;
        } else if (strcmp(e->defname, "cache") == 0 && has) {
            if (v < 1) {
                return status_new(INVALID, "CACHE (%lld) must be greater than zero", (long long)v);
            }
            q->cache = v > CACHE_MAX ? CACHE_MAX : v;
        } else if (strcmp(e->defname, "cycle") == 0) {
            q->cycle = !has_arg(e) || e->arg->node_case != PG_QUERY__NODE__NODE_BOOLEAN ||
                       e->arg->boolean->boolval;
        } else if (strcmp(e->defname, "as") == 0 && has_arg(e) &&
                   e->arg->node_case == PG_QUERY__NODE__NODE_TYPE_NAME) {
            const PgQuery__TypeName *tn = e->arg->type_name;
            const char *name = node_str(tn->names[tn->n_names - 1]);
            bool is_int2 = strcmp(name, "int2") == 0, is_int4 = strcmp(name, "int4") == 0;
            if (!is_int2 && !is_int4 && strcmp(name, "int8") != 0) {
                return status_new(INVALID, "sequence type must be smallint, integer, or bigint");
            }
            uint32_t old = q->type;
            q->type = is_int2 ? 21 : is_int4 ? 23 : 20;
            has_max &= q->max != type_max(old);
            has_min &= q->min != type_min(old);
        }
    }
    if (!has_max) {
        q->max = q->increment > 0 ? type_max(q->type) : -1;
    }
    if (!has_min) {
        q->min = q->increment > 0 ? 1 : type_min(q->type);
    }
    if (!has_start) {
        q->start = q->increment > 0 ? q->min : q->max;
    }
    return check_sequence(q);
}

struct status *sequence_options(Sherd__V1__SequenceDesc *q, size_t n, PgQuery__Node **options)
{
    return apply_options(q, n, options, true);
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
        return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists",
                          s->sequence->relname);
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
    return ddl_apply(d);
}

const Sherd__V1__SequenceDesc *find_sequence(struct ddl *d, const char *schema, const char *name)
{
    const struct plan_env *env = &d->x->env;
    if (schema != NULL && schema[0] != '\0') {
        const Sherd__V1__SchemaDesc *s =
            catalog_schema(d->catalog, env->database_id, slice_str(schema));
        return s != NULL ? catalog_sequence(d->catalog, s->id, slice_str(name)) : NULL;
    }
    const Sherd__V1__SequenceDesc *q = NULL;
    for (int i = 0; i < env->search_path_count && q == NULL; i++) {
        q = catalog_sequence(d->catalog, env->search_path[i], slice_str(name));
    }
    return q;
}

/* The descriptor is put once more: its revision makes blocks of values that routers hold void. */
void restart_sequence(struct ddl *d, const Sherd__V1__SequenceDesc *q, int64_t value)
{
    schema_restart_sequence(d->schema, q->id, value);
    ddl_compare(d, key_id8(d, "seq/", q->id));
    ddl_put(d, key_id8(d, "seq/", q->id), q);
}

struct status *ddl_alter_sequence(struct ddl *d, const PgQuery__AlterSeqStmt *s)
{
    d->tag = "ALTER SEQUENCE";
    const Sherd__V1__SequenceDesc *old =
        find_sequence(d, s->sequence->schemaname, s->sequence->relname);
    if (old == NULL) {
        if (s->missing_ok) {
            ddl_notice(d, "relation \"%s\" does not exist, skipping", s->sequence->relname);
            return NULL;
        }
        return status_sql(NOT_FOUND, "42P01", "relation \"%s\" does not exist",
                          s->sequence->relname);
    }
    Sherd__V1__SequenceDesc *q;
    TRY(pb_copy(old, d->a, (void **)&q));
    TRY(apply_options(q, s->n_options, s->options, false));
    bool restarts = false;
    int64_t value = q->start;
    for (size_t i = 0; i < s->n_options; i++) {
        const PgQuery__DefElem *e = s->options[i]->def_elem;
        if (strcmp(e->defname, "restart") == 0) {
            restarts = true;
            option_number(e, &value);
        } else if (strcmp(e->defname, "owned_by") == 0) {
            return status_hint(
                status_new(UNSUPPORTED, "ALTER SEQUENCE ... OWNED BY is not supported"),
                "Sequences are owned by the serial or identity column that made them.");
        }
    }
    if (restarts && value < q->min) {
        return bad_bound("RESTART", value, "less", "MINVALUE", q->min);
    }
    if (restarts && value > q->max) {
        return bad_bound("RESTART", value, "greater", "MAXVALUE", q->max);
    }
    if (restarts) {
        restart_sequence(d, q, value);
    } else {
        ddl_compare(d, key_id8(d, "seq/", q->id));
        ddl_put(d, key_id8(d, "seq/", q->id), q);
    }
    return ddl_apply(d);
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
        bool on = e->arg != NULL && e->arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN &&
                  e->arg->boolean->boolval;
        if (strcmp(e->defname, "superuser") == 0) {
            r->superuser = on;
        } else if (strcmp(e->defname, "canlogin") == 0) {
            r->login = on;
        } else if (strcmp(e->defname, "password") == 0) {
            return status_hint(status_new(UNSUPPORTED, "passwords are not supported yet"),
                               "The superuser sherd has one (sql.password_file); other roles log "
                               "in without, on loopback only.");
        }
    }
    struct slice key = slice_str(arena_printf(d->a, "role/%s", s->role));
    ddl_must_not_exist(d, key);
    ddl_put(d, key, r);
    return ddl_apply(d);
}

static bool owns_something(struct ddl *d, const char *role);

struct status *ddl_drop_role(struct ddl *d, const PgQuery__DropRoleStmt *s)
{
    d->tag = "DROP ROLE";
    for (size_t i = 0; i < s->n_roles; i++) {
        const char *name = s->roles[i]->role_spec->rolename;
        const Sherd__V1__RoleDesc *r = catalog_role(d->catalog, slice_str(name));
        if (r == NULL) {
            if (!s->missing_ok) {
                return status_sql(NOT_FOUND, "42704", "role \"%s\" does not exist", name);
            }
            ddl_notice(d, "role \"%s\" does not exist, skipping", name);
            continue;
        }
        if (slice_eq(slice_str(name), d->x->env.user)) {
            return status_sql(INVALID, "55006", "current user cannot be dropped");
        }
        if (owns_something(d, name)) {
            return status_hint(
                status_sql(CONSTRAINT, "2BP01",
                           "role \"%s\" cannot be dropped because some objects depend on it", name),
                "Drop the databases, schemas and tables it owns first.");
        }
        struct slice key = slice_str(arena_printf(d->a, "role/%s", name));
        ddl_compare(d, key);
        ddl_delete(d, key);
    }
    return d->txn.n_deletes > 0 ? ddl_apply(d) : NULL;
}

struct owner_search {
    const char *role;
    bool found;
};

static bool owns(struct owner_search *s, const char *owner)
{
    s->found |= owner != NULL && strcmp(owner, s->role) == 0;
    return !s->found;
}

static bool see_database(void *ctx, const Sherd__V1__DatabaseDesc *x)
{
    return owns(ctx, x->owner);
}

static bool see_schema(void *ctx, const Sherd__V1__SchemaDesc *x)
{
    return owns(ctx, x->owner);
}

static bool see_table(void *ctx, const Sherd__V1__TableDesc *x)
{
    return owns(ctx, x->owner);
}

static bool owns_something(struct ddl *d, const char *role)
{
    struct owner_search s = {.role = role};
    catalog_each_database(d->catalog, see_database, &s);
    catalog_each_schema(d->catalog, see_schema, &s);
    catalog_each_table(d->catalog, see_table, &s);
    return s.found;
}
