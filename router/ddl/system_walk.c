/* Walking the catalog for system relations: lists in order of id, and relations by oid or name. */
#include "system_internal.h"

#include "base/check.h"

#include <ctype.h>
#include <stdlib.h>

/* ---- lists ---- */

struct walk {
    struct arena *a;
    uint32_t db; /* 0 = all */
    const void **v;
    int n, cap;
};

static void add(struct walk *w, const void *d)
{
    if (w->n == w->cap) {
        int cap = w->cap == 0 ? 64 : w->cap * 2;
        const void **v = ARENA_ARRAY(w->a, const void *, cap);
        if (w->n > 0) {
            memcpy(v, w->v, sizeof(*v) * (size_t)w->n);
        }
        w->v = v;
        w->cap = cap;
    }
    w->v[w->n++] = d;
}

static int by_order(uint64_t x, uint64_t y)
{
    return (x > y) - (x < y);
}

/* Typed walkers: what visits one kind of descriptor, and how two of them are ordered. */
#define WALK(kind, message, field_db, id)                                                          \
    static bool see_##kind(void *ctx, const message *d)                                            \
    {                                                                                              \
        struct walk *w = ctx;                                                                      \
        if (w->db == 0 || (field_db) == w->db) {                                                   \
            add(w, d);                                                                             \
        }                                                                                          \
        return true;                                                                               \
    }                                                                                              \
    static int order_##kind(const void *x, const void *y)                                          \
    {                                                                                              \
        return by_order((*(const message *const *)x)->id, (*(const message *const *)y)->id);       \
    }                                                                                              \
    static struct walk walk_##kind(const struct catalog *c, uint32_t db, struct arena *a)          \
    {                                                                                              \
        struct walk w = {.a = a, .db = db};                                                        \
        catalog_each_##kind(c, see_##kind, &w);                                                    \
        if (w.n > 1) {                                                                             \
            qsort(w.v, (size_t)w.n, sizeof(*w.v), order_##kind);                                   \
        }                                                                                          \
        return w;                                                                                  \
    }
WALK(schema, Sherd__V1__SchemaDesc, d->database_id, id)
WALK(table, Sherd__V1__TableDesc, d->database_id, id)
WALK(sequence, Sherd__V1__SequenceDesc, d->database_id, id)
WALK(database, Sherd__V1__DatabaseDesc, 0, id)
WALK(role, Sherd__V1__RoleDesc, 0, oid)
#undef WALK

struct schema_list schemas_of(const struct catalog *c, uint32_t db, struct arena *a)
{
    struct walk w = walk_schema(c, db, a);
    return (struct schema_list){w.n, (const Sherd__V1__SchemaDesc **)w.v};
}

struct table_list tables_of(const struct catalog *c, uint32_t db, struct arena *a)
{
    struct walk w = walk_table(c, db, a);
    return (struct table_list){w.n, (const Sherd__V1__TableDesc **)w.v};
}

struct sequence_list sequences_of(const struct catalog *c, uint32_t db, struct arena *a)
{
    struct walk w = walk_sequence(c, db, a);
    return (struct sequence_list){w.n, (const Sherd__V1__SequenceDesc **)w.v};
}

struct database_list databases_of(const struct catalog *c, struct arena *a)
{
    struct walk w = walk_database(c, 0, a);
    return (struct database_list){w.n, (const Sherd__V1__DatabaseDesc **)w.v};
}

struct role_list roles_of(const struct catalog *c, struct arena *a)
{
    struct walk w = walk_role(c, 0, a);
    return (struct role_list){w.n, (const Sherd__V1__RoleDesc **)w.v};
}

/* ---- small questions ---- */

bool table_is_view(const Sherd__V1__TableDesc *t)
{
    return t->view_sql != NULL && t->view_sql[0] != '\0';
}

bool column_is_visible(const Sherd__V1__TableDesc *t, const Sherd__V1__ColumnDesc *c)
{
    if (c->dropped) {
        return false;
    }
    return !(t->hidden_primary_key && t->n_indexes > 0 && t->indexes[0]->n_columns == 1 &&
             t->indexes[0]->columns[0]->ordinal == c->ordinal);
}

bool index_is_visible(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix)
{
    return !(t->hidden_primary_key && ix->primary);
}

const char *schema_name(const struct catalog *c, uint32_t id)
{
    if (id == SCHEMA_OID_PG_CATALOG) {
        return "pg_catalog";
    }
    if (id == SCHEMA_OID_INFORMATION_SCHEMA) {
        return "information_schema";
    }
    const Sherd__V1__SchemaDesc *s = catalog_schema_by_id(c, id);
    return s != NULL ? s->name : "";
}

uint32_t role_oid(const struct catalog *c, const char *name)
{
    const Sherd__V1__RoleDesc *r = name != NULL ? catalog_role(c, slice_str(name)) : NULL;
    return r != NULL ? r->oid : ROLE_OID_BOOTSTRAP;
}

const Sherd__V1__RoleDesc *role_by_oid(const struct catalog *c, uint32_t oid, struct arena *a)
{
    struct role_list l = roles_of(c, a);
    for (int i = 0; i < l.n; i++) {
        if (l.v[i]->oid == oid) {
            return l.v[i];
        }
    }
    return NULL;
}

/* ---- relations ---- */

struct index_search {
    uint32_t oid, db;
    struct relation *out;
};

static bool see_index(void *ctx, const Sherd__V1__TableDesc *t)
{
    struct index_search *s = ctx;
    for (size_t i = 0; t->database_id == s->db && i < t->n_indexes; i++) {
        if (t->indexes[i]->oid == s->oid) {
            s->out->table = t;
            s->out->index = t->indexes[i];
            return false;
        }
    }
    return true;
}

bool relation_by_oid(const struct catalog *c, uint32_t db, uint32_t oid, struct arena *a,
                     struct relation *out)
{
    (void)a;
    *out = (struct relation){0};
    out->table = catalog_table_by_id(c, oid);
    if (out->table != NULL) {
        return true;
    }
    out->sequence = catalog_sequence_by_id(c, oid);
    if (out->sequence != NULL) {
        return true;
    }
    out->system = system_table_by_oid(oid);
    if (out->system != NULL) {
        return true;
    }
    struct index_search s = {.oid = oid, .db = db, .out = out};
    if (oid != 0) {
        catalog_each_table(c, see_index, &s);
    }
    return out->index != NULL;
}

static bool in_schema(const struct plan_env *env, uint32_t schema, struct slice name,
                      struct relation *out)
{
    *out = (struct relation){0};
    out->table = catalog_table(env->catalog, schema, name);
    if (out->table == NULL) {
        out->sequence = catalog_sequence(env->catalog, schema, name);
    }
    if (out->table == NULL && out->sequence == NULL) {
        out->table = catalog_index(env->catalog, schema, name, &out->index);
        if (out->table != NULL && !index_is_visible(out->table, out->index)) {
            *out = (struct relation){0};
        }
    }
    return out->table != NULL || out->sequence != NULL;
}

bool relation_by_name(const struct plan_env *env, const char *schema, const char *name,
                      struct relation *out)
{
    *out = (struct relation){0};
    struct slice n = slice_str(name);
    out->system = system_table_find(slice_str(schema != NULL ? schema : "pg_catalog"), n);
    if (out->system != NULL) {
        return true;
    }
    if (schema != NULL) {
        const Sherd__V1__SchemaDesc *s =
            catalog_schema(env->catalog, env->database_id, slice_str(schema));
        return s != NULL && in_schema(env, s->id, n, out);
    }
    for (int i = 0; i < env->search_path_count; i++) {
        if (in_schema(env, env->search_path[i], n, out)) {
            return true;
        }
    }
    return false;
}

uint32_t relation_oid(const struct relation *r)
{
    return r->index != NULL      ? r->index->oid
           : r->table != NULL    ? r->table->id
           : r->sequence != NULL ? (uint32_t)r->sequence->id
           : r->system != NULL   ? r->system->oid
                                 : 0;
}

const char *relation_name(const struct relation *r)
{
    return r->index != NULL      ? r->index->name
           : r->table != NULL    ? r->table->name
           : r->sequence != NULL ? r->sequence->name
           : r->system != NULL   ? r->system->name
                                 : "";
}

uint32_t relation_schema(const struct relation *r)
{
    return r->table != NULL      ? r->table->schema_id
           : r->sequence != NULL ? r->sequence->schema_id
           : r->system != NULL   ? system_schema_oid(r->system)
                                 : 0;
}

bool relation_is_visible(const struct plan_env *env, const struct relation *r)
{
    struct relation found;
    return relation_by_name(env, NULL, relation_name(r), &found) &&
           relation_oid(&found) == relation_oid(r);
}

struct status *name_split(struct arena *a, struct slice text, const char **out_schema,
                          const char **out_name)
{
    char *parts[3] = {0};
    int n = 0;
    size_t i = 0;
    while (i < text.len && isspace(text.data[i])) {
        i++;
    }
    while (n < 3) {
        char *part = arena_alloc(a, text.len + 1);
        size_t len = 0;
        bool is_quoted = i < text.len && text.data[i] == '"';
        if (is_quoted) {
            bool is_closed = false;
            for (i++; i < text.len; i++) {
                if (text.data[i] == '"' && !(i + 1 < text.len && text.data[i + 1] == '"')) {
                    is_closed = true;
                    i++;
                    break;
                }
                i += text.data[i] == '"';
                part[len++] = (char)text.data[i];
            }
            if (!is_closed) {
                return status_sql(INVALID, "42602", "invalid name syntax");
            }
        } else {
            while (i < text.len && text.data[i] != '.' && !isspace(text.data[i])) {
                part[len++] = (char)tolower(text.data[i++]);
            }
        }
        part[len] = '\0';
        if (len == 0) {
            return status_sql(INVALID, "42602", "invalid name syntax");
        }
        parts[n++] = part;
        while (i < text.len && isspace(text.data[i])) {
            i++;
        }
        if (i == text.len) {
            break;
        }
        if (text.data[i++] != '.') {
            return status_sql(INVALID, "42602", "invalid name syntax");
        }
    }
    if (i < text.len) {
        return status_sql(INVALID, "42601", "improper relation name (too many dotted names): %.*s",
                          (int)text.len, (const char *)text.data);
    }
    *out_name = parts[n - 1];
    *out_schema = n > 1 ? parts[n - 2] : NULL;
    return NULL;
}
