/*
 * information_schema: the standard's views over the same descriptors. The catalog column of all is
 * the session's database. Everything that exists is shown to everybody: there are no privileges to
 * tell apart yet.
 */
#include "system_internal.h"

#include "base/check.h"

struct info {
    struct row_maker m;
    const char *catalog;
};

static void info_begin(struct info *i, struct exec *x, struct system_rows *rows, const char *name)
{
    rows_begin(&i->m, x, rows, "information_schema", name);
    i->catalog = "";
    struct database_list l = databases_of(i->m.c, i->m.a);
    for (int k = 0; k < l.n; k++) {
        if (l.v[k]->id == i->m.db) {
            i->catalog = l.v[k]->name;
        }
    }
}

/* Three columns that name an object: catalog, schema, name. */
static void put_object(struct info *i, uint32_t schema, const char *name)
{
    put_text(&i->m, i->catalog);
    put_text(&i->m, schema_name(i->m.c, schema));
    put_text(&i->m, name);
}

FILL(info_information_schema_catalog_name)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "information_schema_catalog_name");
    put_text(&i.m, i.catalog);
    row_end(&i.m);
    return NULL;
}

FILL(info_enabled_roles)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "enabled_roles");
    struct role_list l = roles_of(i.m.c, i.m.a);
    for (int k = 0; k < l.n; k++) {
        put_text(&i.m, l.v[k]->name);
        row_end(&i.m);
    }
    return NULL;
}

FILL(info_character_sets)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "character_sets");
    put_null(&i.m);
    put_null(&i.m);
    put_text(&i.m, "UTF8");
    put_text(&i.m, "UCS");
    put_text(&i.m, "UTF8");
    put_object(&i, SCHEMA_OID_PG_CATALOG, "C");
    row_end(&i.m);
    return NULL;
}

FILL(info_collations)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "collations");
    static const char *const names[] = {"default", "C", "POSIX"};
    for (int k = 0; k < 3; k++) {
        put_object(&i, SCHEMA_OID_PG_CATALOG, names[k]);
        put_text(&i.m, "NO PAD");
        row_end(&i.m);
    }
    return NULL;
}

FILL(info_schemata)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "schemata");
    struct schema_list l = schemas_of(i.m.c, i.m.db, i.m.a);
    for (int k = -2; k < l.n; k++) {
        put_text(&i.m, i.catalog);
        put_text(&i.m, k == -2 ? "pg_catalog" : k == -1 ? "information_schema" : l.v[k]->name);
        put_text(&i.m, k < 0 ? "sherd" : l.v[k]->owner);
        put_nulls(&i.m, 4);
        row_end(&i.m);
    }
    return NULL;
}

/* ---- tables, views ---- */

static void table_row(struct info *i, uint32_t schema, const char *name, bool is_view)
{
    put_object(i, schema, name);
    put_text(&i->m, is_view ? "VIEW" : "BASE TABLE");
    put_nulls(&i->m, 5);
    put_yes_no(&i->m, !is_view);
    put_yes_no(&i->m, false);
    put_null(&i->m);
    row_end(&i->m);
}

FILL(info_tables)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "tables");
    for (int k = 0; k < system_table_count(); k++) {
        const struct system_table *t = system_table_at(k);
        table_row(&i, system_schema_oid(t), t->name, system_table_kind(t) == 'v');
    }
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        table_row(&i, l.v[k]->schema_id, l.v[k]->name, table_is_view(l.v[k]));
    }
    return NULL;
}

FILL(info_views)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "views");
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        if (!table_is_view(l.v[k])) {
            continue;
        }
        put_object(&i, l.v[k]->schema_id, l.v[k]->name);
        put_text(&i.m, view_text(i.m.a, l.v[k]));
        put_text(&i.m, "NONE");
        for (int n = 0; n < 5; n++) {
            put_yes_no(&i.m, false);
        }
        row_end(&i.m);
    }
    return NULL;
}

/* ---- columns ---- */

struct column {
    uint32_t schema;
    const char *table, *name, *default_text, *generated;
    int attnum;
    type_oid type;
    int32_t typmod;
    bool is_nullable, is_updatable;
    uint32_t identity;
    const Sherd__V1__SequenceDesc *sequence;
};

static void put_opt(struct row_maker *m, bool has, int64_t v)
{
    if (has) {
        put_int(m, v);
    } else {
        put_null(m);
    }
}

/* character_maximum_length ... interval_precision */
static void put_type_numbers(struct row_maker *m, type_oid t, int32_t typmod)
{
    bool is_text = t == TYPE_TEXT || t == TYPE_VARCHAR || t == TYPE_BPCHAR;
    bool has_length = (t == TYPE_VARCHAR || t == TYPE_BPCHAR) && typmod >= 4;
    put_opt(m, has_length, typmod - 4);
    put_opt(m, is_text, has_length ? (int64_t)(typmod - 4) * 4 : 1073741824);
    int bits = t == TYPE_INT2     ? 16
               : t == TYPE_INT4   ? 32
               : t == TYPE_INT8   ? 64
               : t == TYPE_FLOAT4 ? 24
               : t == TYPE_FLOAT8 ? 53
                                  : 0;
    bool is_sized = t == TYPE_NUMERIC && typmod >= 4;
    put_opt(m, bits > 0 || is_sized, is_sized ? ((typmod - 4) >> 16) & 0xffff : bits);
    put_opt(m, bits > 0 || t == TYPE_NUMERIC, t == TYPE_NUMERIC ? 10 : 2);
    bool is_int = t == TYPE_INT2 || t == TYPE_INT4 || t == TYPE_INT8;
    put_opt(m, is_int || is_sized, is_sized ? (((typmod - 4) & 0x7ff) ^ 1024) - 1024 : 0);
    bool has_time = t == TYPE_TIME || t == TYPE_TIMESTAMP || t == TYPE_TIMESTAMPTZ;
    bool is_interval = t == TYPE_INTERVAL;
    int32_t precision = is_interval && typmod >= 0 ? typmod & 0xffff : typmod;
    put_opt(m, t == TYPE_DATE || has_time || is_interval,
            t == TYPE_DATE                         ? 0
            : precision < 0 || precision == 0xffff ? 6
                                                   : precision);
    put_nulls(m, 2);
}

static void put_identity(struct row_maker *m, const struct column *c)
{
    const Sherd__V1__SequenceDesc *q = c->identity != 0 ? c->sequence : NULL;
    put_yes_no(m, c->identity != 0);
    put_text(m, c->identity == 1 ? "ALWAYS" : c->identity == 2 ? "BY DEFAULT" : NULL);
    if (q == NULL) {
        put_nulls(m, 4);
    } else {
        put_text(m, arena_printf(m->a, "%lld", (long long)q->start));
        put_text(m, arena_printf(m->a, "%lld", (long long)q->increment));
        put_text(m, arena_printf(m->a, "%lld", (long long)q->max));
        put_text(m, arena_printf(m->a, "%lld", (long long)q->min));
    }
    put_yes_no(m, q != NULL && q->cycle);
}

static void column_row(struct info *i, const struct column *c)
{
    struct row_maker *m = &i->m;
    const struct type_info *t = type_find(c->type);
    put_object(i, c->schema, c->table);
    put_text(m, c->name);
    put_int(m, c->attnum);
    put_text(m, c->default_text);
    put_yes_no(m, c->is_nullable);
    put_text(m, t->element != 0 && t->len == -1 && t->name[0] == '_' ? "ARRAY" : t->sql_name);
    put_type_numbers(m, c->type, c->typmod);
    put_nulls(m, 3); /* character set */
    if (c->type == TYPE_NAME) {
        put_object(i, SCHEMA_OID_PG_CATALOG, "C");
    } else {
        put_nulls(m, 3);
    }
    put_nulls(m, 3); /* domain */
    put_object(i, SCHEMA_OID_PG_CATALOG, t->name);
    put_nulls(m, 3); /* scope */
    put_null(m);
    put_text(m, arena_printf(m->a, "%d", c->attnum));
    put_yes_no(m, false);
    put_identity(m, c);
    put_text(m, c->generated != NULL ? "ALWAYS" : "NEVER");
    put_text(m, c->generated);
    put_yes_no(m, c->is_updatable);
    row_end(m);
}

FILL(info_columns)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "columns");
    for (int k = 0; k < system_table_count(); k++) {
        const struct system_table *t = system_table_at(k);
        for (int n = 0; n < t->ncols; n++) {
            struct column c = {.schema = system_schema_oid(t),
                               .table = t->name,
                               .name = t->cols[n].name,
                               .attnum = n + 1,
                               .type = t->cols[n].type,
                               .typmod = -1,
                               .is_nullable = true};
            column_row(&i, &c);
        }
    }
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        const Sherd__V1__TableDesc *t = l.v[k];
        for (size_t n = 0; n < t->n_columns; n++) {
            const Sherd__V1__ColumnDesc *d = t->columns[n];
            if (!column_is_visible(t, d)) {
                continue;
            }
            bool is_generated = d->generated_sql != NULL && d->generated_sql[0] != '\0';
            struct column c = {
                .schema = t->schema_id,
                .table = t->name,
                .name = d->name,
                .default_text = is_generated ? NULL : default_text(&x->env, i.m.a, t, d),
                .generated = is_generated ? arena_printf(i.m.a, "(%s)", d->generated_sql) : NULL,
                .attnum = (int)d->attnum,
                .type = d->type,
                .typmod = d->typmod,
                .is_nullable = !d->not_null,
                .is_updatable = !table_is_view(t),
                .identity = d->identity,
                .sequence = catalog_sequence_by_id(i.m.c, d->sequence_id)};
            column_row(&i, &c);
        }
    }
    return NULL;
}

/* ---- constraints ---- */

static bool is_key_constraint(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix)
{
    return index_is_visible(t, ix) && (ix->primary || ix->constraint);
}

static void constraint_row(struct info *i, const Sherd__V1__TableDesc *t, const char *name,
                           const char *type, bool is_unique)
{
    put_object(i, t->schema_id, name);
    put_object(i, t->schema_id, t->name);
    put_text(&i->m, type);
    put_yes_no(&i->m, false);
    put_yes_no(&i->m, false);
    put_yes_no(&i->m, true);
    put_text(&i->m, is_unique ? "YES" : NULL);
    row_end(&i->m);
}

FILL(info_table_constraints)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "table_constraints");
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        const Sherd__V1__TableDesc *t = l.v[k];
        for (size_t n = 0; n < t->n_indexes; n++) {
            const Sherd__V1__IndexDesc *ix = t->indexes[n];
            if (is_key_constraint(t, ix)) {
                constraint_row(&i, t, ix->name, ix->primary ? "PRIMARY KEY" : "UNIQUE",
                               !ix->primary);
            }
        }
        for (size_t n = 0; n < t->n_constraints; n++) {
            bool is_check = t->constraints[n]->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK;
            constraint_row(&i, t, t->constraints[n]->name, is_check ? "CHECK" : "FOREIGN KEY",
                           false);
        }
    }
    return NULL;
}

static void key_column_row(struct info *i, const Sherd__V1__TableDesc *t, const char *constraint,
                           uint32_t ordinal, int position, int unique_position)
{
    put_object(i, t->schema_id, constraint);
    put_object(i, t->schema_id, t->name);
    put_text(&i->m, t->columns[ordinal]->name);
    put_int(&i->m, position);
    put_opt(&i->m, unique_position > 0, unique_position);
    row_end(&i->m);
}

static const Sherd__V1__IndexDesc *referenced_index(const Sherd__V1__TableDesc *ref,
                                                    const Sherd__V1__ConstraintDesc *k)
{
    for (size_t n = 0; ref != NULL && n < ref->n_indexes; n++) {
        if (ref->indexes[n]->index_id == k->ref_index_id) {
            return ref->indexes[n];
        }
    }
    return NULL;
}

FILL(info_key_column_usage)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "key_column_usage");
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        const Sherd__V1__TableDesc *t = l.v[k];
        for (size_t n = 0; n < t->n_indexes; n++) {
            const Sherd__V1__IndexDesc *ix = t->indexes[n];
            for (size_t c = 0; is_key_constraint(t, ix) && c < ix->n_columns; c++) {
                key_column_row(&i, t, ix->name, ix->columns[c]->ordinal, (int)c + 1, 0);
            }
        }
        for (size_t n = 0; n < t->n_constraints; n++) {
            const Sherd__V1__ConstraintDesc *d = t->constraints[n];
            if (d->kind != SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY) {
                continue;
            }
            const Sherd__V1__IndexDesc *ix =
                referenced_index(catalog_table_by_id(i.m.c, d->ref_table_id), d);
            for (size_t c = 0; c < d->n_ordinals; c++) {
                int at = 0;
                for (size_t r = 0; ix != NULL && r < ix->n_columns; r++) {
                    at = ix->columns[r]->ordinal == d->ref_ordinals[c] ? (int)r + 1 : at;
                }
                key_column_row(&i, t, d->name, d->ordinals[c], (int)c + 1, at);
            }
        }
    }
    return NULL;
}

static const char *rule_text(uint32_t action)
{
    return action == 'r'   ? "RESTRICT"
           : action == 'c' ? "CASCADE"
           : action == 'n' ? "SET NULL"
           : action == 'd' ? "SET DEFAULT"
                           : "NO ACTION";
}

FILL(info_referential_constraints)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "referential_constraints");
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        for (size_t n = 0; n < l.v[k]->n_constraints; n++) {
            const Sherd__V1__ConstraintDesc *d = l.v[k]->constraints[n];
            const Sherd__V1__TableDesc *ref = catalog_table_by_id(i.m.c, d->ref_table_id);
            if (d->kind != SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY || ref == NULL) {
                continue;
            }
            const Sherd__V1__IndexDesc *ix = referenced_index(ref, d);
            put_object(&i, l.v[k]->schema_id, d->name);
            put_object(&i, ref->schema_id, ix != NULL ? ix->name : NULL);
            put_text(&i.m, "NONE");
            put_text(&i.m, rule_text(d->on_update));
            put_text(&i.m, rule_text(d->on_delete));
            row_end(&i.m);
        }
    }
    return NULL;
}

FILL(info_check_constraints)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "check_constraints");
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        for (size_t n = 0; n < l.v[k]->n_constraints; n++) {
            const Sherd__V1__ConstraintDesc *d = l.v[k]->constraints[n];
            if (d->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
                put_object(&i, l.v[k]->schema_id, d->name);
                put_text(&i.m, arena_printf(i.m.a, "(%s)", d->check_sql));
                row_end(&i.m);
            }
        }
    }
    return NULL;
}

/* The columns a constraint needs: of a foreign key those it refers to. */
FILL(info_constraint_column_usage)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "constraint_column_usage");
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        const Sherd__V1__TableDesc *t = l.v[k];
        for (size_t n = 0; n < t->n_indexes; n++) {
            const Sherd__V1__IndexDesc *ix = t->indexes[n];
            for (size_t c = 0; is_key_constraint(t, ix) && c < ix->n_columns; c++) {
                put_object(&i, t->schema_id, t->name);
                put_text(&i.m, t->columns[ix->columns[c]->ordinal]->name);
                put_object(&i, t->schema_id, ix->name);
                row_end(&i.m);
            }
        }
        for (size_t n = 0; n < t->n_constraints; n++) {
            const Sherd__V1__ConstraintDesc *d = t->constraints[n];
            const Sherd__V1__TableDesc *ref = catalog_table_by_id(i.m.c, d->ref_table_id);
            for (size_t c = 0; ref != NULL && c < d->n_ref_ordinals; c++) {
                put_object(&i, ref->schema_id, ref->name);
                put_text(&i.m, ref->columns[d->ref_ordinals[c]]->name);
                put_object(&i, t->schema_id, d->name);
                row_end(&i.m);
            }
        }
    }
    return NULL;
}

FILL(info_constraint_table_usage)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "constraint_table_usage");
    struct table_list l = tables_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        const Sherd__V1__TableDesc *t = l.v[k];
        for (size_t n = 0; n < t->n_indexes; n++) {
            if (is_key_constraint(t, t->indexes[n])) {
                put_object(&i, t->schema_id, t->name);
                put_object(&i, t->schema_id, t->indexes[n]->name);
                row_end(&i.m);
            }
        }
        for (size_t n = 0; n < t->n_constraints; n++) {
            const Sherd__V1__TableDesc *ref =
                catalog_table_by_id(i.m.c, t->constraints[n]->ref_table_id);
            if (ref != NULL) {
                put_object(&i, ref->schema_id, ref->name);
                put_object(&i, t->schema_id, t->constraints[n]->name);
                row_end(&i.m);
            }
        }
    }
    return NULL;
}

FILL(info_sequences)
{
    FILL_UNUSED(f);
    struct info i;
    info_begin(&i, x, rows, "sequences");
    struct sequence_list l = sequences_of(i.m.c, i.m.db, i.m.a);
    for (int k = 0; k < l.n; k++) {
        const Sherd__V1__SequenceDesc *q = l.v[k];
        const Sherd__V1__TableDesc *owner =
            q->owner_table != 0 ? catalog_table_by_id(i.m.c, q->owner_table) : NULL;
        if (owner != NULL && q->owner_ordinal < owner->n_columns &&
            owner->columns[q->owner_ordinal]->identity != 0) {
            continue; /* part of the column */
        }
        put_object(&i, q->schema_id, q->name);
        put_text(&i.m, type_find(q->type) != NULL ? type_find(q->type)->sql_name : "bigint");
        put_int(&i.m, q->type == TYPE_INT2 ? 16 : q->type == TYPE_INT4 ? 32 : 64);
        put_int(&i.m, 2);
        put_int(&i.m, 0);
        put_text(&i.m, arena_printf(i.m.a, "%lld", (long long)q->start));
        put_text(&i.m, arena_printf(i.m.a, "%lld", (long long)q->min));
        put_text(&i.m, arena_printf(i.m.a, "%lld", (long long)q->max));
        put_text(&i.m, arena_printf(i.m.a, "%lld", (long long)q->increment));
        put_yes_no(&i.m, q->cycle);
        row_end(&i.m);
    }
    return NULL;
}
