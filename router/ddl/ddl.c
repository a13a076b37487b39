/* Dispatch of schema changes, and what they share: see ddl.h. */
#include "ddl.h"

#include "../analyze/analyze.h"
#include "router_internal.h"

#include "base/check.h"
#include "base/mem.h"

#include <pg_query.h>

#include <stdio.h>
#include <stdlib.h>

#define ATTEMPTS_MAX 8

/* ---- the change under construction ---- */

static void grow(struct ddl *d, void ***items, size_t n, int *cap)
{
    if ((int)n < *cap) {
        return;
    }
    int wider = *cap == 0 ? 8 : *cap * 2;
    void **out = ARENA_ARRAY(d->a, void *, wider);
    if (n > 0) {
        memcpy(out, *items, n * sizeof(void *));
    }
    *items = out;
    *cap = wider;
}

static void set_bytes(ProtobufCBinaryData *out, struct slice s)
{
    out->data = (uint8_t *)(uintptr_t)s.data;
    out->len = s.len;
}

void ddl_compare_revision(struct ddl *d, struct slice key, uint64_t revision)
{
    grow(d, (void ***)&d->txn.compares, d->txn.n_compares, &d->cap_compares);
    Sherd__V1__MetaCompare *c = ARENA_NEW(d->a, Sherd__V1__MetaCompare);
    sherd__v1__meta_compare__init(c);
    set_bytes(&c->key, key);
    c->mod_revision = revision;
    d->txn.compares[d->txn.n_compares++] = c;
}

void ddl_compare(struct ddl *d, struct slice key)
{
    ddl_compare_revision(d, key, catalog_mod_revision(d->catalog, key));
}

void ddl_must_not_exist(struct ddl *d, struct slice key)
{
    ddl_compare_revision(d, key, 0);
}

void ddl_put_bytes(struct ddl *d, struct slice key, struct slice value)
{
    grow(d, (void ***)&d->txn.puts, d->txn.n_puts, &d->cap_puts);
    Sherd__V1__MetaPut *p = ARENA_NEW(d->a, Sherd__V1__MetaPut);
    sherd__v1__meta_put__init(p);
    set_bytes(&p->key, key);
    set_bytes(&p->value, value);
    d->txn.puts[d->txn.n_puts++] = p;
}

void ddl_put(struct ddl *d, struct slice key, const void *message)
{
    ddl_put_bytes(d, key, pb_pack_in(message, d->a));
}

void ddl_delete(struct ddl *d, struct slice key)
{
    if ((int)d->txn.n_deletes == d->cap_deletes) {
        int wider = d->cap_deletes == 0 ? 8 : d->cap_deletes * 2;
        ProtobufCBinaryData *out = ARENA_ARRAY(d->a, ProtobufCBinaryData, wider);
        if (d->txn.n_deletes > 0) {
            memcpy(out, d->txn.deletes, d->txn.n_deletes * sizeof(*out));
        }
        d->txn.deletes = out;
        d->cap_deletes = wider;
    }
    set_bytes(&d->txn.deletes[d->txn.n_deletes++], key);
}

void ddl_change_init(struct ddl *d)
{
    sherd__v1__meta_txn_request__init(&d->txn);
    d->cap_compares = d->cap_puts = d->cap_deletes = 0;
}

static void release_catalog(void *c)
{
    catalog_unref(c);
}

/* Descriptors that the statement has looked up stay valid until its end: the old snapshot is kept
 * that long. */
void ddl_refresh_catalog(struct ddl *d)
{
    arena_on_free(d->a, release_catalog, d->catalog);
    d->catalog =
        d->schema != NULL ? schema_catalog(d->schema) : catalog_current(router_catalog(d->router));
    if (d->x != NULL) {
        d->x->env.catalog = d->catalog;
    }
}

struct status *ddl_apply(struct ddl *d)
{
    struct status *st = schema_add(d->f, d->schema, &d->txn, d->tag);
    ddl_change_init(d);
    TRY(st);
    ddl_refresh_catalog(d);
    return NULL;
}

void ddl_raise_version(struct ddl *d, Sherd__V1__TableDesc *t)
{
    if (!schema_owns(d->schema, t->id)) {
        t->version++;
    }
}

struct status *ddl_commit(struct ddl *d)
{
    bool succeeded = false;
    uint64_t revision = 0;
    /* A cancel must not hide whether it has happened: who undoes a change has to know. */
    fiber_mask(d->f);
    struct status *st = meta_txn(d->f, router_meta(d->router), &d->txn, &succeeded, &revision);
    ddl_change_init(d);
    if (st == NULL && succeeded) {
        st = meta_wait_revision(d->f, router_meta(d->router), revision);
    }
    fiber_unmask(d->f);
    TRY(st);
    if (!succeeded) {
        return status_new(CONFLICT, "the schema was changed by another session");
    }
    ddl_refresh_catalog(d);
    return NULL;
}

/* ---- keys ---- */

static struct slice take_key(struct ddl *d, struct buf *b)
{
    struct slice s = arena_copy(d->a, buf_slice(b));
    buf_deinit(b);
    return s;
}

struct slice key_id4(struct ddl *d, const char *prefix, uint32_t id)
{
    struct buf b = {0};
    meta_key(&b, prefix, id, 4);
    return take_key(d, &b);
}

struct slice key_id8(struct ddl *d, const char *prefix, uint64_t id)
{
    struct buf b = {0};
    meta_key(&b, prefix, id, 8);
    return take_key(d, &b);
}

struct slice key_db_name(struct ddl *d, const char *name)
{
    return slice_str(arena_printf(d->a, "name/db/%s", name));
}

struct slice key_schema_name(struct ddl *d, uint32_t db, const char *name)
{
    struct buf b = {0};
    meta_key(&b, "name/schema/", db, 4);
    buf_printf(&b, "/%s", name);
    return take_key(d, &b);
}

struct slice key_rel_name(struct ddl *d, uint32_t db, uint32_t schema, const char *name)
{
    struct buf b = {0};
    meta_key(&b, "name/rel/", db, 4);
    buf_put_u8(&b, '/');
    buf_put_u32(&b, schema);
    buf_printf(&b, "/%s", name);
    return take_key(d, &b);
}

struct slice rel_value(struct ddl *d, char kind, uint64_t id)
{
    struct buf b = {0};
    buf_put_u8(&b, (uint8_t)kind);
    buf_put_u64(&b, id);
    return take_key(d, &b);
}

struct status *ddl_allocate(struct ddl *d, uint32_t count, uint32_t *out_first)
{
    uint64_t first;
    TRY(meta_allocate(d->f, router_meta(d->router), META_ID_OBJECT, count, &first));
    if (first + count > UINT32_MAX) {
        return status_sql(LIMIT, "54000", "no more object ids");
    }
    *out_first = (uint32_t)first;
    return NULL;
}

/* ---- names ---- */

const char *node_str(const PgQuery__Node *n)
{
    return n != NULL && n->node_case == PG_QUERY__NODE__NODE_STRING ? n->string->sval : "";
}

void ddl_notice(struct ddl *d, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    session_notice(d->x->env.session, status_sql(INVALID, "00000", "%s", text), "NOTICE");
}

struct status *find_creation_schema(struct ddl *d, const PgQuery__RangeVar *rv,
                                    uint32_t *out_schema)
{
    const struct plan_env *env = &d->x->env;
    if (rv->catalogname != NULL && rv->catalogname[0] != '\0') {
        const Sherd__V1__DatabaseDesc *db =
            catalog_database(d->catalog, slice_str(rv->catalogname));
        if (db == NULL || db->id != env->database_id) {
            return status_new(UNSUPPORTED,
                              "cross-database references are not implemented: \"%s.%s.%s\"",
                              rv->catalogname, rv->schemaname, rv->relname);
        }
    }
    if (rv->relpersistence != NULL && rv->relpersistence[0] == 't') {
        return status_hint(status_new(UNSUPPORTED, "temporary tables are not supported"),
                           "Create an ordinary table and drop it afterwards.");
    }
    if (rv->schemaname != NULL && rv->schemaname[0] != '\0') {
        const Sherd__V1__SchemaDesc *s =
            catalog_schema(d->catalog, env->database_id, slice_str(rv->schemaname));
        if (s == NULL) {
            if (strcmp(rv->schemaname, "pg_catalog") == 0 ||
                strcmp(rv->schemaname, "information_schema") == 0) {
                return status_sql(DENIED, "42501", "permission denied for schema %s",
                                  rv->schemaname);
            }
            return status_sql(NOT_FOUND, "3F000", "schema \"%s\" does not exist", rv->schemaname);
        }
        *out_schema = s->id;
        return NULL;
    }
    if (env->search_path_count == 0) {
        return status_sql(INVALID, "3F000", "no schema has been selected to create in");
    }
    *out_schema = env->search_path[0];
    return NULL;
}

static const Sherd__V1__TableDesc *lookup(struct ddl *d, const char *schema, const char *name)
{
    const struct plan_env *env = &d->x->env;
    if (schema != NULL && schema[0] != '\0') {
        const Sherd__V1__SchemaDesc *s =
            catalog_schema(d->catalog, env->database_id, slice_str(schema));
        return s != NULL ? catalog_table(d->catalog, s->id, slice_str(name)) : NULL;
    }
    for (int i = 0; i < env->search_path_count; i++) {
        const Sherd__V1__TableDesc *t =
            catalog_table(d->catalog, env->search_path[i], slice_str(name));
        if (t != NULL) {
            return t;
        }
    }
    return NULL;
}

const Sherd__V1__TableDesc *find_any_table(struct ddl *d, const char *schema, const char *name)
{
    return lookup(d, schema, name);
}

const Sherd__V1__TableDesc *find_index(struct ddl *d, const char *schema, const char *name,
                                       const Sherd__V1__IndexDesc **out_index)
{
    const struct plan_env *env = &d->x->env;
    if (schema != NULL && schema[0] != '\0') {
        const Sherd__V1__SchemaDesc *s =
            catalog_schema(d->catalog, env->database_id, slice_str(schema));
        return s != NULL ? catalog_index(d->catalog, s->id, slice_str(name), out_index) : NULL;
    }
    const Sherd__V1__TableDesc *t = NULL;
    for (int i = 0; i < env->search_path_count && t == NULL; i++) {
        t = catalog_index(d->catalog, env->search_path[i], slice_str(name), out_index);
    }
    return t;
}

struct status *find_table(struct ddl *d, const char *schema, const char *name, bool missing_ok,
                          const Sherd__V1__TableDesc **out)
{
    *out = lookup(d, schema, name);
    if (*out != NULL && (*out)->view_sql != NULL && (*out)->view_sql[0] != '\0') {
        return status_sql(INVALID, "42809", "\"%s\" is not a table", name);
    }
    if (*out == NULL && !missing_ok) {
        return schema != NULL && schema[0] != '\0'
                   ? status_sql(NOT_FOUND, "42P01", "relation \"%s.%s\" does not exist", schema,
                                name)
                   : status_sql(NOT_FOUND, "42P01", "relation \"%s\" does not exist", name);
    }
    return NULL;
}

bool relation_exists(struct ddl *d, uint32_t schema, const char *name)
{
    const Sherd__V1__IndexDesc *ix;
    struct slice s = slice_str(name);
    return catalog_table(d->catalog, schema, s) != NULL ||
           catalog_sequence(d->catalog, schema, s) != NULL ||
           catalog_index(d->catalog, schema, s, &ix) != NULL;
}

static bool is_taken_in_change(const struct ddl *d, struct slice key)
{
    for (size_t i = 0; i < d->txn.n_puts; i++) {
        if (slice_eq(slice_make(d->txn.puts[i]->key.data, d->txn.puts[i]->key.len), key)) {
            return true;
        }
    }
    return false;
}

const char *quoted(struct ddl *d, const char *name)
{
    struct buf b = {0};
    analyze_put_name(&b, name);
    char *text = arena_strndup(d->a, b.data, b.len);
    buf_deinit(&b);
    return text;
}

const char *qualified(struct ddl *d, uint32_t schema, const char *name)
{
    const Sherd__V1__SchemaDesc *s = catalog_schema_by_id(d->catalog, schema);
    return arena_printf(d->a, "%s.%s", quoted(d, s != NULL ? s->name : "public"), quoted(d, name));
}

char *choose_name(struct ddl *d, uint32_t schema, const char *table, const char *column,
                  const char *label)
{
    for (int n = 0;; n++) {
        char suffix[16] = "";
        if (n > 0) {
            snprintf(suffix, sizeof(suffix), "%d", n);
        }
        /* Names are at most 63 bytes: the longer of the two parts is cut, as PostgreSQL does. */
        size_t tl = strlen(table), cl = column != NULL ? strlen(column) : 0;
        size_t fixed = strlen(label) + 1 + strlen(suffix) + (column != NULL ? 1 : 0);
        while (tl + cl + fixed > 63) {
            if (tl > cl) {
                tl--;
            } else {
                cl--;
            }
        }
        char *name = column != NULL
                         ? arena_printf(d->a, "%.*s_%.*s_%s%s", (int)tl, table, (int)cl, column,
                                        label, suffix)
                         : arena_printf(d->a, "%.*s_%s%s", (int)tl, table, label, suffix);
        if (!relation_exists(d, schema, name) &&
            !is_taken_in_change(d, key_rel_name(d, d->x->env.database_id, schema, name))) {
            return name;
        }
    }
}

struct status *resolve_type(struct ddl *d, const PgQuery__TypeName *t, type_oid *out_type,
                            int32_t *out_typmod)
{
    struct query *q = ARENA_NEW(d->a, struct query);
    q->arena = d->a;
    struct analyzer z = {.q = q, .a = d->a, .f = d->f, .env = &d->x->env};
    return typename_resolve(&z, t, out_type, out_typmod);
}

/* libpg_query and protobuf-c recurse with the depth of the tree: on a big stack. */
struct deparse_job {
    struct ddl *d;
    PgQuery__Node *statement;
    char *out;
    struct status *st;
};

static void deparse_fiber(struct fiber *f, void *arg)
{
    (void)f;
    struct deparse_job *job = arg;
    PgQuery__RawStmt raw = PG_QUERY__RAW_STMT__INIT;
    raw.stmt = job->statement;
    PgQuery__RawStmt *stmts[1] = {&raw};
    PgQuery__ParseResult result = PG_QUERY__PARSE_RESULT__INIT;
    result.n_stmts = 1;
    result.stmts = stmts;
    size_t len = pg_query__parse_result__get_packed_size(&result);
    char *bytes = mem_alloc(len + 1);
    pg_query__parse_result__pack(&result, (uint8_t *)bytes);
    PgQueryProtobuf tree = {.len = len, .data = bytes};
    PgQueryDeparseResult text = pg_query_deparse_protobuf(tree);
    if (text.error != NULL) {
        job->st =
            status_new(INTERNAL, "expression cannot be written back: %s", text.error->message);
    } else {
        job->out = arena_strdup(job->d->a, text.query);
    }
    pg_query_free_deparse_result(text);
    mem_free(bytes);
}

struct status *deparse_statement(struct ddl *d, PgQuery__Node *statement, char **out)
{
    struct deparse_job job = {.d = d, .statement = statement};
    struct fan fan;
    fan_init(&fan);
    fan_spawn(d->f, &fan, FIBER_STACK_PARSE, deparse_fiber, &job);
    fan_wait(d->f, &fan);
    TRY(job.st);
    *out = job.out;
    return NULL;
}

struct status *deparse_expr(struct ddl *d, PgQuery__Node *expr, char **out)
{
    PgQuery__ResTarget target = PG_QUERY__RES_TARGET__INIT;
    target.val = expr;
    PgQuery__Node target_node = PG_QUERY__NODE__INIT;
    target_node.node_case = PG_QUERY__NODE__NODE_RES_TARGET;
    target_node.res_target = &target;
    PgQuery__Node *targets[1] = {&target_node};
    PgQuery__SelectStmt select = PG_QUERY__SELECT_STMT__INIT;
    select.n_target_list = 1;
    select.target_list = targets;
    select.limit_option = PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_DEFAULT;
    select.op = PG_QUERY__SET_OPERATION__SETOP_NONE;
    PgQuery__Node select_node = PG_QUERY__NODE__INIT;
    select_node.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
    select_node.select_stmt = &select;
    char *text;
    TRY(deparse_statement(d, &select_node, &text));
    ASSERT(strncmp(text, "SELECT ", 7) == 0);
    *out = text + 7;
    return NULL;
}

/* ---- descriptors ---- */

struct status *copy_table(struct ddl *d, const Sherd__V1__TableDesc *t, Sherd__V1__TableDesc **out)
{
    return pb_copy(t, d->a, (void **)out);
}

Sherd__V1__ColumnDesc *find_column(const Sherd__V1__TableDesc *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i]->dropped && strcmp(t->columns[i]->name, name) == 0) {
            return t->columns[i];
        }
    }
    return NULL;
}

#define APPEND(d, array, count, type, init)                                                        \
    do {                                                                                           \
        type **wider_ = ARENA_ARRAY((d)->a, type *, (count) + 1);                                  \
        if ((count) > 0) {                                                                         \
            memcpy(wider_, (array), (count) * sizeof(*wider_));                                    \
        }                                                                                          \
        (array) = wider_;                                                                          \
        (array)[count] = ARENA_NEW((d)->a, type);                                                  \
        init((array)[count]);                                                                      \
        (count)++;                                                                                 \
    } while (0)

Sherd__V1__IndexDesc *add_index(struct ddl *d, Sherd__V1__TableDesc *t)
{
    APPEND(d, t->indexes, t->n_indexes, Sherd__V1__IndexDesc, sherd__v1__index_desc__init);
    return t->indexes[t->n_indexes - 1];
}

Sherd__V1__ConstraintDesc *add_constraint(struct ddl *d, Sherd__V1__TableDesc *t)
{
    APPEND(d, t->constraints, t->n_constraints, Sherd__V1__ConstraintDesc,
           sherd__v1__constraint_desc__init);
    return t->constraints[t->n_constraints - 1];
}

Sherd__V1__ColumnDesc *add_column(struct ddl *d, Sherd__V1__TableDesc *t)
{
    APPEND(d, t->columns, t->n_columns, Sherd__V1__ColumnDesc, sherd__v1__column_desc__init);
    Sherd__V1__ColumnDesc *c = t->columns[t->n_columns - 1];
    c->ordinal = (uint32_t)(t->n_columns - 1);
    c->attnum = c->ordinal + 1;
    c->typmod = -1;
    return c;
}

struct columns_used {
    bool *used;
    size_t n;
};

static void see_used(struct expr **node, void *ctx)
{
    struct columns_used *c = ctx;
    if ((*node)->kind == EXPR_COLUMN) {
        ASSERT((*node)->index >= 0 && (size_t)(*node)->index < c->n);
        c->used[(*node)->index] = true;
    }
}

struct status *expr_columns(struct ddl *d, const Sherd__V1__TableDesc *t, const char *sql,
                            bool **out_used)
{
    struct columns_used c = {ARENA_ARRAY(d->a, bool, t->n_columns + 1), t->n_columns};
    memset(c.used, 0, t->n_columns + 1);
    struct expr *e;
    TRY(analyze_table_expr(d->f, &d->x->env, t, sql, d->a, &e));
    expr_walk(&e, see_used, &c);
    *out_used = c.used;
    return NULL;
}

struct status *reference(struct ddl *d, uint32_t ref_table_id, uint32_t by)
{
    const Sherd__V1__TableDesc *old = catalog_table_by_id(d->catalog, ref_table_id);
    if (old == NULL) {
        return status_new(CONFLICT, "the referenced table is gone");
    }
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    for (size_t i = 0; i < t->n_referenced_by; i++) {
        if (t->referenced_by[i] == by) {
            return NULL;
        }
    }
    uint32_t *ids = ARENA_ARRAY(d->a, uint32_t, t->n_referenced_by + 1);
    if (t->n_referenced_by > 0) {
        memcpy(ids, t->referenced_by, t->n_referenced_by * sizeof(*ids));
    }
    ids[t->n_referenced_by++] = by;
    t->referenced_by = ids;
    t->referenced_by_count = (uint32_t)t->n_referenced_by;
    ddl_raise_version(d, t);
    struct slice key = key_id4(d, "table/", t->id);
    if (!is_taken_in_change(d, key)) {
        ddl_compare(d, key);
        ddl_put(d, key, t);
    }
    return NULL;
}

struct status *ddl_touch(struct ddl *d, const Sherd__V1__TableDesc *t)
{
    struct slice key = key_id4(d, "table/", t->id);
    if (is_taken_in_change(d, key)) {
        return NULL;
    }
    Sherd__V1__TableDesc *next;
    TRY(copy_table(d, t, &next));
    ddl_raise_version(d, next);
    ddl_compare(d, key);
    ddl_put(d, key, next);
    return NULL;
}

struct status *unreference(struct ddl *d, uint32_t ref_table_id, const Sherd__V1__TableDesc *by)
{
    const Sherd__V1__TableDesc *old = catalog_table_by_id(d->catalog, ref_table_id);
    struct slice key = key_id4(d, "table/", ref_table_id);
    if (old == NULL || is_taken_in_change(d, key)) {
        return NULL;
    }
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    size_t n = 0;
    for (size_t i = 0; i < t->n_referenced_by; i++) {
        if (t->referenced_by[i] != by->id) {
            t->referenced_by[n++] = t->referenced_by[i];
        }
    }
    t->n_referenced_by = n;
    t->referenced_by_count = (uint32_t)n;
    ddl_raise_version(d, t);
    ddl_compare(d, key);
    ddl_put(d, key, t);
    return NULL;
}

/* ---- dispatch ---- */

static struct status *run(struct ddl *d, const PgQuery__Node *n)
{
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return ddl_create_table(d, n->create_stmt);
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
        return ddl_alter_table(d, n->alter_table_stmt);
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        return ddl_create_index(d, n->index_stmt);
    case PG_QUERY__NODE__NODE_DROP_STMT:
        return ddl_drop(d, n->drop_stmt);
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
        return ddl_truncate(d, n->truncate_stmt);
    case PG_QUERY__NODE__NODE_RENAME_STMT:
        return ddl_rename(d, n->rename_stmt);
    case PG_QUERY__NODE__NODE_CREATEDB_STMT:
        return ddl_create_database(d, n->createdb_stmt);
    case PG_QUERY__NODE__NODE_DROPDB_STMT:
        return ddl_drop_database(d, n->dropdb_stmt);
    case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT:
        return ddl_create_schema(d, n->create_schema_stmt);
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
        return ddl_create_sequence(d, n->create_seq_stmt);
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
        return ddl_alter_sequence(d, n->alter_seq_stmt);
    case PG_QUERY__NODE__NODE_VIEW_STMT:
        return ddl_create_view(d, n->view_stmt);
    case PG_QUERY__NODE__NODE_CREATE_ROLE_STMT:
        return ddl_create_role(d, n->create_role_stmt);
    case PG_QUERY__NODE__NODE_DROP_ROLE_STMT:
        return ddl_drop_role(d, n->drop_role_stmt);
    default:
        return status_hint(status_new(UNSUPPORTED, "this schema change is not supported"),
                           "See docs/SQL.md for what is.");
    }
}

const char *ddl_tag(const struct parsed *p, int i)
{
    const PgQuery__Node *n = parsed_node(p, i);
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return "CREATE TABLE";
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
    case PG_QUERY__NODE__NODE_RENAME_STMT:
        return "ALTER TABLE";
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        return n->index_stmt->concurrent ? "CREATE INDEX CONCURRENTLY" : "CREATE INDEX";
    case PG_QUERY__NODE__NODE_DROP_STMT:
        return n->drop_stmt->concurrent ? "DROP INDEX CONCURRENTLY" : "DROP";
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
        return "TRUNCATE TABLE";
    case PG_QUERY__NODE__NODE_CREATEDB_STMT:
        return "CREATE DATABASE";
    case PG_QUERY__NODE__NODE_DROPDB_STMT:
        return "DROP DATABASE";
    case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT:
        return "CREATE SCHEMA";
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
        return "CREATE SEQUENCE";
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
        return "ALTER SEQUENCE";
    case PG_QUERY__NODE__NODE_VIEW_STMT:
        return "CREATE VIEW";
    case PG_QUERY__NODE__NODE_CREATE_ROLE_STMT:
        return "CREATE ROLE";
    case PG_QUERY__NODE__NODE_DROP_ROLE_STMT:
        return "DROP ROLE";
    default:
        return "schema change";
    }
}

bool ddl_forbids_block(const struct parsed *p, int i)
{
    const PgQuery__Node *n = parsed_node(p, i);
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_CREATEDB_STMT:
    case PG_QUERY__NODE__NODE_DROPDB_STMT:
        return true;
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        return n->index_stmt->concurrent;
    case PG_QUERY__NODE__NODE_DROP_STMT:
        return n->drop_stmt->concurrent;
    default:
        return false;
    }
}

struct status *ddl_execute(struct fiber *f, struct exec *x, const struct parsed *p, int i,
                           const char **out_tag)
{
    struct ddl d = {.f = f,
                    .x = x,
                    .router = x->env.router,
                    .a = x->arena,
                    .schema = x->schema,
                    .parsed = p,
                    .index = i};
    struct catalog *given = x->env.catalog;
    struct status *st = NULL;
    int mark = schema_mark(x->schema);
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        st = meta_refresh(f, router_meta(d.router));
        if (st != NULL) {
            break;
        }
        d.catalog = schema_catalog(d.schema);
        x->env.catalog = d.catalog;
        ddl_change_init(&d);
        d.tag = ddl_tag(p, i);
        st = run(&d, parsed_node(p, i));
        arena_on_free(d.a, release_catalog, d.catalog);
        x->env.catalog = given;
        if (st == NULL || st->code != STATUS_CONFLICT || d.has_rows ||
            strcmp(st->sqlstate, "40P01") == 0) { /* ends only when this one's locks go */
            break;
        }
        schema_rollback_to(d.schema, mark);
        if (attempt + 1 < ATTEMPTS_MAX) {
            status_free(st);
            st = NULL;
        }
    }
    if (st == NULL) {
        *out_tag = d.tag;
    }
    return st;
}
