/*
 * System relations: the registry, and the building of rows. What there is stands in
 * system_tables.h; the functions that fill them are in system_class.c (what pg_class and its kin
 * show), system_types.c, system_cluster.c and system_info.c (information_schema).
 *
 * A scan shows the session's database as of the statement's catalog snapshot. Hidden things stay
 * hidden: the key column of a table without a primary key, and its index.
 */
#include "system_internal.h"

#include "base/check.h"
#include "sql/array.h"

#define C(name, type) {#name, TYPE_##type},
#define COLUMNS(schema, name, oid, kind, fill, ...)                                                \
    static const struct system_column columns_##schema##_##name[] = {__VA_ARGS__};
SYSTEM_TABLES(COLUMNS)
#undef COLUMNS
#undef C

static const struct system_table tables[] = {
#define ROW(schema, name, oid, kind, fill, ...)                                                    \
    {#schema,                                                                                      \
     #name,                                                                                        \
     oid,                                                                                          \
     sizeof(columns_##schema##_##name) / sizeof(columns_##schema##_##name[0]),                     \
     columns_##schema##_##name,                                                                    \
     system_fill_##fill},
    SYSTEM_TABLES(ROW)
#undef ROW
};

static const char kinds[] = {
#define KIND(schema, name, oid, kind, fill, ...) kind,
    SYSTEM_TABLES(KIND)
#undef KIND
};

#define TABLE_COUNT ((int)(sizeof(tables) / sizeof(tables[0])))

bool system_table_shows_catalog(const struct system_table *t)
{
    static const char *const others[] = {
        "pg_am",       "pg_collation",   "pg_language",      "pg_opclass",
        "pg_operator", "pg_proc",        "pg_settings",      "pg_stat_activity",
        "sherd_nodes", "sherd_shards",   "sherd_lock_waits", "pg_tablespace",
        "collations",  "character_sets",
    };
    bool is_other = t->fill == system_fill_nothing;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && !is_other; i++) {
        is_other = strcmp(t->name, others[i]) == 0;
    }
    return !is_other;
}

FILL(nothing)
{
    (void)f;
    (void)x;
    (void)rows;
    return NULL;
}

const struct system_table *system_table_find(struct slice schema, struct slice name)
{
    bool is_pg = slice_eq(schema, slice_str("pg_catalog"));
    if (!is_pg && !slice_eq(schema, slice_str("information_schema"))) {
        return NULL;
    }
    /* Users' own tables are looked for here first: most names are told by their first letters. */
    if (is_pg && !slice_has_prefix(name, slice_str("pg_")) &&
        !slice_has_prefix(name, slice_str("sherd_"))) {
        return NULL;
    }
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (slice_eq(name, slice_str(tables[i].name)) &&
            slice_eq(schema, slice_str(tables[i].schema))) {
            return &tables[i];
        }
    }
    return NULL;
}

int system_table_count(void)
{
    return TABLE_COUNT;
}

const struct system_table *system_table_at(int i)
{
    ASSERT(i >= 0 && i < TABLE_COUNT);
    return &tables[i];
}

char system_table_kind(const struct system_table *t)
{
    return kinds[t - tables];
}

uint32_t system_schema_oid(const struct system_table *t)
{
    return t->schema[0] == 'p' ? SCHEMA_OID_PG_CATALOG : SCHEMA_OID_INFORMATION_SCHEMA;
}

const struct system_table *system_table_by_oid(uint32_t oid)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (tables[i].oid == oid) {
            return &tables[i];
        }
    }
    return NULL;
}

/* ---- rows ---- */

void rows_begin(struct row_maker *m, struct exec *x, struct system_rows *out, const char *schema,
                const char *name)
{
    m->out = out;
    m->table = system_table_find(slice_str(schema), slice_str(name));
    ASSERT(m->table != NULL && m->table->ncols <= SYSTEM_COLUMNS_MAX);
    m->x = x;
    m->a = x->arena;
    m->c = x->env.catalog;
    m->db = x->env.database_id;
    m->n = 0;
}

static type_oid next_type(const struct row_maker *m)
{
    ASSERT(m->n < m->table->ncols);
    return m->table->cols[m->n].type;
}

static void put(struct row_maker *m, struct datum d)
{
    m->v[m->n++] = d;
}

void put_null(struct row_maker *m)
{
    (void)next_type(m);
    put(m, DATUM_NULL);
}

void put_nulls(struct row_maker *m, int n)
{
    while (n-- > 0) {
        put_null(m);
    }
}

void put_int(struct row_maker *m, int64_t v)
{
    type_oid t = next_type(m);
    if (t == TYPE_NUMERIC || t == TYPE_FLOAT4 || t == TYPE_FLOAT8) {
        put_float(m, (double)v);
        return;
    }
    ASSERT(type_find(t)->is_inline && t != TYPE_BOOL && t != TYPE_CHAR);
    put(m, datum_int(v));
}

void put_oid(struct row_maker *m, uint32_t v)
{
    ASSERT(next_type(m) == TYPE_OID);
    put(m, datum_int(v));
}

void put_bool(struct row_maker *m, bool v)
{
    ASSERT(next_type(m) == TYPE_BOOL);
    put(m, datum_bool(v));
}

void put_char(struct row_maker *m, char v)
{
    ASSERT(next_type(m) == TYPE_CHAR);
    put(m, datum_int(v));
}

void put_float(struct row_maker *m, double v)
{
    type_oid t = next_type(m);
    ASSERT(t == TYPE_FLOAT4 || t == TYPE_FLOAT8);
    put(m, datum_float(v));
}

void put_text(struct row_maker *m, const char *s)
{
    type_oid t = next_type(m);
    ASSERT(t == TYPE_TEXT || t == TYPE_NAME || t == TYPE_VARCHAR);
    put(m, s == NULL ? DATUM_NULL : datum_bytes(slice_str(s)));
}

void put_bytes(struct row_maker *m, struct slice s)
{
    ASSERT(next_type(m) == TYPE_BYTEA);
    put(m, datum_bytes(s));
}

void put_yes_no(struct row_maker *m, bool v)
{
    put_text(m, v ? "YES" : "NO");
}

void put_ints(struct row_maker *m, const int64_t *v, int n)
{
    const struct type_info *t = type_find(next_type(m));
    ASSERT(t->element != 0 && type_find(t->element)->is_inline);
    struct datum *d = ARENA_ARRAY(m->a, struct datum, n + 1);
    for (int i = 0; i < n; i++) {
        d[i] = datum_int(v[i]);
    }
    put(m, array_build(m->a, t->element, d, n));
}

void put_texts(struct row_maker *m, const char *const *v, int n)
{
    const struct type_info *t = type_find(next_type(m));
    ASSERT(t->element == TYPE_TEXT || t->element == TYPE_NAME);
    struct datum *d = ARENA_ARRAY(m->a, struct datum, n + 1);
    for (int i = 0; i < n; i++) {
        d[i] = datum_bytes(slice_str(v[i]));
    }
    put(m, array_build(m->a, t->element, d, n));
}

void row_end(struct row_maker *m)
{
    ASSERT(m->n == m->table->ncols);
    system_row(m->out, m->v);
    m->n = 0;
}
