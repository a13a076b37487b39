/* pg_class and what hangs on it: attributes, defaults, indexes, constraints, sequences,
 * dependencies, and the views over them. */
#include "system_internal.h"

#include "base/check.h"

/* ---- pg_namespace ---- */

FILL(pg_namespace)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_namespace");
    static const uint32_t system_ids[] = {SCHEMA_OID_PG_CATALOG, SCHEMA_OID_INFORMATION_SCHEMA};
    for (int i = 0; i < 2; i++) {
        put_oid(&m, system_ids[i]);
        put_text(&m, schema_name(m.c, system_ids[i]));
        put_oid(&m, ROLE_OID_BOOTSTRAP);
        put_null(&m);
        row_end(&m);
    }
    struct schema_list l = schemas_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        put_oid(&m, l.v[i]->id);
        put_text(&m, l.v[i]->name);
        put_oid(&m, role_oid(m.c, l.v[i]->owner));
        put_null(&m);
        row_end(&m);
    }
    return NULL;
}

/* ---- pg_class ---- */

struct class_row {
    uint32_t oid, schema, am, owner;
    const char *name;
    char kind;
    int natts, checks;
    bool has_index, has_rules, has_triggers;
    const Sherd__V1__TableDesc *options_of;
};

static void put_reloptions(struct row_maker *m, const Sherd__V1__TableDesc *t)
{
    const char *v[3];
    int n = 0;
    if (t != NULL && t->sharding == SHERD__V1__SHARDING__SHARDING_HASH) {
        v[n++] = "sharding=hash";
        v[n++] = arena_printf(m->a, "shards=%u", t->hash_buckets);
    } else if (t != NULL && t->sharding == SHERD__V1__SHARDING__SHARDING_REFERENCE) {
        v[n++] = "sharding=reference";
    }
    const Sherd__V1__TableDesc *near =
        t != NULL && t->colocate_with != 0 ? catalog_table_by_id(m->c, t->colocate_with) : NULL;
    if (near != NULL) {
        v[n++] = arena_printf(m->a, "colocate_with=%s", near->name);
    }
    if (n == 0) {
        put_null(m);
    } else {
        put_texts(m, v, n);
    }
}

static void class_row(struct row_maker *m, const struct class_row *r)
{
    put_oid(m, r->oid);
    put_text(m, r->name);
    put_oid(m, r->schema);
    put_oid(m, 0); /* reltype: there are no row types */
    put_oid(m, 0);
    put_oid(m, r->owner);
    put_oid(m, r->am);
    put_oid(m, r->kind == 'v' ? 0 : r->oid); /* relfilenode */
    put_oid(m, 0);                           /* reltablespace: the database's */
    put_int(m, 0);                           /* relpages */
    put_float(m, -1);                        /* reltuples: not known */
    put_int(m, 0);                           /* relallvisible */
    put_oid(m, 0);                           /* reltoastrelid */
    put_bool(m, r->has_index);
    put_bool(m, false); /* relisshared */
    put_char(m, 'p');
    put_char(m, r->kind);
    put_int(m, r->natts);
    put_int(m, r->checks);
    put_bool(m, r->has_rules);
    put_bool(m, r->has_triggers); /* psql asks for foreign keys only then */
    put_bool(m, false);           /* relhassubclass */
    put_bool(m, false);           /* relrowsecurity */
    put_bool(m, false);           /* relforcerowsecurity */
    put_bool(m, true);            /* relispopulated */
    put_char(m, r->kind == 'r' ? 'd' : 'n');
    put_bool(m, false); /* relispartition */
    put_oid(m, 0);      /* relrewrite */
    put_int(m, 0);      /* relfrozenxid */
    put_int(m, 0);      /* relminmxid */
    put_null(m);        /* relacl: owner's defaults */
    put_reloptions(m, r->options_of);
    put_null(m); /* relpartbound */
    row_end(m);
}

static void class_of_table(struct row_maker *m, const Sherd__V1__TableDesc *t)
{
    struct class_row r = {.oid = t->id,
                          .schema = t->schema_id,
                          .am = table_is_view(t) ? 0 : AM_HEAP,
                          .owner = role_oid(m->c, t->owner),
                          .name = t->name,
                          .kind = table_is_view(t) ? 'v' : 'r',
                          .natts = (int)t->n_columns - (t->hidden_primary_key ? 1 : 0),
                          .has_rules = table_is_view(t),
                          .options_of = t};
    for (size_t i = 0; i < t->n_constraints; i++) {
        r.checks += t->constraints[i]->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK;
        r.has_triggers |=
            t->constraints[i]->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY;
    }
    r.has_triggers |= t->n_referenced_by > 0;
    for (size_t i = 0; i < t->n_indexes; i++) {
        r.has_index |= index_is_visible(t, t->indexes[i]);
    }
    class_row(m, &r);
    for (size_t i = 0; i < t->n_indexes; i++) {
        const Sherd__V1__IndexDesc *ix = t->indexes[i];
        if (index_is_visible(t, ix)) {
            struct class_row k = {.oid = ix->oid,
                                  .schema = t->schema_id,
                                  .am = AM_BTREE,
                                  .owner = r.owner,
                                  .name = ix->name,
                                  .kind = 'i',
                                  .natts = (int)ix->n_columns};
            class_row(m, &k);
        }
    }
}

FILL(pg_class)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_class");
    for (int i = 0; i < system_table_count(); i++) {
        const struct system_table *t = system_table_at(i);
        struct class_row r = {.oid = t->oid,
                              .schema = system_schema_oid(t),
                              .am = system_table_kind(t) == 'r' ? AM_HEAP : 0,
                              .owner = ROLE_OID_BOOTSTRAP,
                              .name = t->name,
                              .kind = system_table_kind(t),
                              .natts = t->ncols};
        class_row(&m, &r);
    }
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        class_of_table(&m, l.v[i]);
    }
    struct sequence_list q = sequences_of(m.c, m.db, m.a);
    for (int i = 0; i < q.n; i++) {
        struct class_row r = {.oid = (uint32_t)q.v[i]->id,
                              .schema = q.v[i]->schema_id,
                              .owner = ROLE_OID_BOOTSTRAP,
                              .name = q.v[i]->name,
                              .kind = 'S',
                              .natts = 3};
        class_row(&m, &r);
    }
    return NULL;
}

/* ---- pg_attribute ---- */

struct attribute {
    uint32_t relation;
    const char *name;
    type_oid type;
    int32_t typmod;
    int attnum;
    bool not_null, has_default, is_dropped, is_generated, has_missing;
    uint32_t identity;
};

static void attribute_row(struct row_maker *m, const struct attribute *c)
{
    const struct type_info *t = type_find(c->type);
    ASSERT(t != NULL);
    put_oid(m, c->relation);
    put_text(m, c->name);
    put_oid(m, c->is_dropped ? 0 : c->type);
    put_int(m, -1); /* attstattarget */
    put_int(m, t->len);
    put_int(m, c->attnum);
    put_int(m, t->category == 'A' ? 1 : 0);
    put_int(m, -1); /* attcacheoff */
    put_int(m, c->typmod);
    put_bool(m, t->len > 0 && t->len <= 8);
    put_char(m, t->align);
    put_char(m, type_storage_of(c->type));
    put_char(m, '\0'); /* attcompression */
    put_bool(m, c->not_null);
    put_bool(m, c->has_default);
    put_bool(m, c->has_missing);
    put_char(m, c->identity == 1 ? 'a' : c->identity == 2 ? 'd' : '\0');
    put_char(m, c->is_generated ? 's' : '\0');
    put_bool(m, c->is_dropped);
    put_bool(m, true);
    put_int(m, 0);
    put_oid(m, type_collation(c->type));
    put_nulls(m, 4);
    row_end(m);
}

static void attributes_of_table(struct row_maker *m, const Sherd__V1__TableDesc *t)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        const Sherd__V1__ColumnDesc *c = t->columns[i];
        if (!c->dropped && !column_is_visible(t, c)) {
            continue;
        }
        bool is_generated = c->generated_sql != NULL && c->generated_sql[0] != '\0';
        struct attribute a = {
            .relation = t->id,
            .name = c->dropped ? arena_printf(m->a, "........pg.dropped.%u........", c->attnum)
                               : c->name,
            .type = c->type,
            .typmod = c->typmod,
            .attnum = (int)c->attnum,
            .not_null = c->not_null && !c->dropped,
            .has_default = !c->dropped && ((c->has_default && c->identity == 0) || is_generated),
            .is_dropped = c->dropped,
            .is_generated = is_generated,
            .has_missing = c->has_missing,
            .identity = c->identity};
        attribute_row(m, &a);
    }
    for (size_t k = 0; k < t->n_indexes; k++) {
        const Sherd__V1__IndexDesc *ix = t->indexes[k];
        for (size_t i = 0; index_is_visible(t, ix) && i < ix->n_columns; i++) {
            const Sherd__V1__ColumnDesc *c = t->columns[ix->columns[i]->ordinal];
            struct attribute a = {.relation = ix->oid,
                                  .name = c->name,
                                  .type = c->type,
                                  .typmod = c->typmod,
                                  .attnum = (int)i + 1};
            attribute_row(m, &a);
        }
    }
}

FILL(pg_attribute)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_attribute");
    for (int i = 0; i < system_table_count(); i++) {
        const struct system_table *t = system_table_at(i);
        for (int k = 0; k < t->ncols; k++) {
            struct attribute a = {.relation = t->oid,
                                  .name = t->cols[k].name,
                                  .type = t->cols[k].type,
                                  .typmod = -1,
                                  .attnum = k + 1};
            attribute_row(&m, &a);
        }
    }
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        attributes_of_table(&m, l.v[i]);
    }
    struct sequence_list q = sequences_of(m.c, m.db, m.a);
    for (int i = 0; i < q.n; i++) {
        static const struct system_column cols[] = {
            {"last_value", TYPE_INT8}, {"log_cnt", TYPE_INT8}, {"is_called", TYPE_BOOL}};
        for (int k = 0; k < 3; k++) {
            struct attribute a = {.relation = (uint32_t)q.v[i]->id,
                                  .name = cols[k].name,
                                  .type = cols[k].type,
                                  .typmod = -1,
                                  .attnum = k + 1,
                                  .not_null = true};
            attribute_row(&m, &a);
        }
    }
    return NULL;
}

/* The oid of a column's default: never shown to be joined with anything but pg_depend. */
static uint32_t attrdef_oid(const Sherd__V1__TableDesc *t, const Sherd__V1__ColumnDesc *c)
{
    return t->id * 4096U + c->attnum;
}

FILL(pg_attrdef)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_attrdef");
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__TableDesc *t = l.v[i];
        for (size_t k = 0; k < t->n_columns; k++) {
            const char *text = column_is_visible(t, t->columns[k])
                                   ? default_text(&x->env, m.a, t, t->columns[k])
                                   : NULL;
            if (text != NULL) {
                put_oid(&m, attrdef_oid(t, t->columns[k]));
                put_oid(&m, t->id);
                put_int(&m, t->columns[k]->attnum);
                put_text(&m, text);
                row_end(&m);
            }
        }
    }
    return NULL;
}

/* ---- pg_index ---- */

static void index_row(struct row_maker *m, const Sherd__V1__TableDesc *t,
                      const Sherd__V1__IndexDesc *ix)
{
    int n = (int)ix->n_columns;
    int64_t *keys = ARENA_ARRAY(m->a, int64_t, n + 1), *options = ARENA_ARRAY(m->a, int64_t, n + 1);
    int64_t *classes = ARENA_ARRAY(m->a, int64_t, n + 1),
            *collations = ARENA_ARRAY(m->a, int64_t, n + 1);
    for (int i = 0; i < n; i++) {
        const Sherd__V1__IndexColumn *c = ix->columns[i];
        keys[i] = t->columns[c->ordinal]->attnum;
        options[i] = (c->desc ? 1 : 0) | (c->nulls_first ? 2 : 0);
        classes[i] = type_opclass(t->columns[c->ordinal]->type);
        collations[i] = type_collation(t->columns[c->ordinal]->type);
    }
    bool is_public = ix->state == SHERD__V1__INDEX_STATE__INDEX_PUBLIC;
    put_oid(m, ix->oid);
    put_oid(m, t->id);
    put_int(m, n);
    put_int(m, n);
    put_bool(m, ix->unique);
    put_bool(m, false); /* indnullsnotdistinct */
    put_bool(m, ix->primary);
    put_bool(m, false); /* indisexclusion */
    put_bool(m, true);  /* indimmediate */
    put_bool(m, false); /* indisclustered */
    put_bool(m, is_public);
    put_bool(m, false); /* indcheckxmin */
    put_bool(m, ix->state != SHERD__V1__INDEX_STATE__INDEX_DELETE_ONLY);
    put_bool(m, true);  /* indislive */
    put_bool(m, false); /* indisreplident */
    put_ints(m, keys, n);
    put_ints(m, collations, n);
    put_ints(m, classes, n);
    put_ints(m, options, n);
    put_null(m); /* indexprs */
    put_text(m, ix->where_sql != NULL && ix->where_sql[0] != '\0'
                    ? arena_printf(m->a, "(%s)", ix->where_sql)
                    : NULL);
    row_end(m);
}

FILL(pg_index)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_index");
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        for (size_t k = 0; k < l.v[i]->n_indexes; k++) {
            if (index_is_visible(l.v[i], l.v[i]->indexes[k])) {
                index_row(&m, l.v[i], l.v[i]->indexes[k]);
            }
        }
    }
    return NULL;
}

/* ---- pg_constraint ---- */

struct constraint_row {
    uint32_t oid, index, ref_table;
    const char *name, *check;
    char type, on_update, on_delete;
    bool is_validated;
    const uint32_t *ordinals, *ref_ordinals;
    size_t n, nref;
};

static void put_attnums(struct row_maker *m, const Sherd__V1__TableDesc *t,
                        const uint32_t *ordinals, size_t n)
{
    if (n == 0 || t == NULL) {
        put_null(m);
        return;
    }
    int64_t *v = ARENA_ARRAY(m->a, int64_t, n);
    for (size_t i = 0; i < n; i++) {
        v[i] = t->columns[ordinals[i]]->attnum;
    }
    put_ints(m, v, (int)n);
}

static void constraint_row(struct row_maker *m, const Sherd__V1__TableDesc *t,
                           const struct constraint_row *r)
{
    bool is_foreign = r->type == 'f';
    put_oid(m, r->oid);
    put_text(m, r->name);
    put_oid(m, t->schema_id);
    put_char(m, r->type);
    put_bool(m, false); /* condeferrable */
    put_bool(m, false);
    put_bool(m, r->is_validated);
    put_oid(m, t->id);
    put_oid(m, 0); /* contypid */
    put_oid(m, r->index);
    put_oid(m, 0); /* conparentid */
    put_oid(m, r->ref_table);
    put_char(m, is_foreign ? r->on_update : ' ');
    put_char(m, is_foreign ? r->on_delete : ' ');
    put_char(m, is_foreign ? 's' : ' ');
    put_bool(m, true); /* conislocal */
    put_int(m, 0);
    put_bool(m, r->type != 'c'); /* connoinherit */
    put_attnums(m, t, r->ordinals, r->n);
    put_attnums(m, is_foreign ? catalog_table_by_id(m->c, r->ref_table) : NULL, r->ref_ordinals,
                r->nref);
    put_nulls(m, 5); /* operators of foreign keys and exclusions, columns of SET NULL */
    put_text(m, r->check);
    row_end(m);
}

static char action_char(uint32_t action)
{
    return action == 0 ? 'a' : (char)action;
}

/* Which columns a check mentions is not kept: those whose name stands in its text as a word. */
static size_t check_columns(const Sherd__V1__TableDesc *t, const char *sql, uint32_t *out)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!column_is_visible(t, t->columns[i])) {
            continue;
        }
        const char *name = t->columns[i]->name;
        size_t len = strlen(name);
        for (const char *p = strstr(sql, name); p != NULL && len > 0; p = strstr(p + 1, name)) {
            const char *around = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
            bool before = p > sql && strchr(around, p[-1]) != NULL;
            bool after = p[len] != '\0' && strchr(around, p[len]) != NULL;
            if (!before && !after) {
                out[n++] = t->columns[i]->ordinal;
                break;
            }
        }
    }
    return n;
}

static void constraints_of_table(struct row_maker *m, const Sherd__V1__TableDesc *t)
{
    for (size_t i = 0; i < t->n_indexes; i++) {
        const Sherd__V1__IndexDesc *ix = t->indexes[i];
        if (!index_is_visible(t, ix) || !(ix->primary || ix->constraint)) {
            continue;
        }
        uint32_t *ordinals = ARENA_ARRAY(m->a, uint32_t, ix->n_columns + 1);
        for (size_t k = 0; k < ix->n_columns; k++) {
            ordinals[k] = ix->columns[k]->ordinal;
        }
        struct constraint_row r = {.oid = ix->oid,
                                   .index = ix->oid,
                                   .name = ix->name,
                                   .type = ix->primary ? 'p' : 'u',
                                   .is_validated = true,
                                   .ordinals = ordinals,
                                   .n = ix->n_columns};
        constraint_row(m, t, &r);
    }
    for (size_t i = 0; i < t->n_constraints; i++) {
        const Sherd__V1__ConstraintDesc *k = t->constraints[i];
        struct constraint_row r = {.oid = k->oid, .name = k->name, .is_validated = k->validated};
        if (k->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
            uint32_t *ordinals = ARENA_ARRAY(m->a, uint32_t, t->n_columns + 1);
            r.type = 'c';
            r.check = arena_printf(m->a, "(%s)", k->check_sql);
            r.n = check_columns(t, k->check_sql, ordinals);
            r.ordinals = ordinals;
        } else {
            const Sherd__V1__TableDesc *ref = catalog_table_by_id(m->c, k->ref_table_id);
            for (size_t j = 0; ref != NULL && j < ref->n_indexes; j++) {
                if (ref->indexes[j]->index_id == k->ref_index_id) {
                    r.index = ref->indexes[j]->oid;
                }
            }
            r.type = 'f';
            r.ref_table = k->ref_table_id;
            r.on_update = action_char(k->on_update);
            r.on_delete = action_char(k->on_delete);
            r.ordinals = k->ordinals;
            r.n = k->n_ordinals;
            r.ref_ordinals = k->ref_ordinals;
            r.nref = k->n_ref_ordinals;
        }
        constraint_row(m, t, &r);
    }
}

FILL(pg_constraint)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_constraint");
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        constraints_of_table(&m, l.v[i]);
    }
    return NULL;
}

/* ---- sequences ---- */

FILL(pg_sequence)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_sequence");
    struct sequence_list l = sequences_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__SequenceDesc *q = l.v[i];
        put_oid(&m, (uint32_t)q->id);
        put_oid(&m, q->type);
        put_int(&m, q->start);
        put_int(&m, q->increment);
        put_int(&m, q->max);
        put_int(&m, q->min);
        put_int(&m, q->cache);
        put_bool(&m, q->cycle);
        row_end(&m);
    }
    return NULL;
}

FILL(pg_sequences)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_sequences");
    struct sequence_list l = sequences_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__SequenceDesc *q = l.v[i];
        put_text(&m, schema_name(m.c, q->schema_id));
        put_text(&m, q->name);
        put_text(&m, "sherd");
        put_int(&m, q->type);
        put_int(&m, q->start);
        put_int(&m, q->min);
        put_int(&m, q->max);
        put_int(&m, q->increment);
        put_bool(&m, q->cycle);
        put_int(&m, q->cache);
        put_null(&m); /* last_value: where it stands is with the metadata group */
        row_end(&m);
    }
    return NULL;
}

/* What clients look for: which column owns a sequence. */
FILL(pg_depend)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_depend");
    struct sequence_list l = sequences_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__SequenceDesc *q = l.v[i];
        const Sherd__V1__TableDesc *t =
            q->owner_table != 0 ? catalog_table_by_id(m.c, q->owner_table) : NULL;
        if (t == NULL || q->owner_ordinal >= t->n_columns) {
            continue;
        }
        const Sherd__V1__ColumnDesc *c = t->columns[q->owner_ordinal];
        put_oid(&m, CLASS_PG_CLASS);
        put_oid(&m, (uint32_t)q->id);
        put_int(&m, 0);
        put_oid(&m, CLASS_PG_CLASS);
        put_oid(&m, t->id);
        put_int(&m, c->attnum);
        put_char(&m, c->identity != 0 ? 'i' : 'a');
        row_end(&m);
        if (c->identity == 0) { /* and the default that calls it */
            put_oid(&m, CLASS_PG_ATTRDEF);
            put_oid(&m, attrdef_oid(t, c));
            put_int(&m, 0);
            put_oid(&m, CLASS_PG_CLASS);
            put_oid(&m, (uint32_t)q->id);
            put_int(&m, 0);
            put_char(&m, 'n');
            row_end(&m);
        }
    }
    return NULL;
}

/* ---- the views over them ---- */

FILL(pg_tables)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_tables");
    for (int i = 0; i < system_table_count(); i++) {
        const struct system_table *t = system_table_at(i);
        if (system_table_kind(t) == 'r') {
            put_text(&m, t->schema);
            put_text(&m, t->name);
            put_text(&m, "sherd");
            put_null(&m);
            for (int k = 0; k < 4; k++) {
                put_bool(&m, false);
            }
            row_end(&m);
        }
    }
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__TableDesc *t = l.v[i];
        if (table_is_view(t)) {
            continue;
        }
        bool has_index = false;
        for (size_t k = 0; k < t->n_indexes; k++) {
            has_index |= index_is_visible(t, t->indexes[k]);
        }
        put_text(&m, schema_name(m.c, t->schema_id));
        put_text(&m, t->name);
        put_text(&m, t->owner);
        put_null(&m);
        put_bool(&m, has_index);
        for (int k = 0; k < 3; k++) {
            put_bool(&m, false);
        }
        row_end(&m);
    }
    return NULL;
}

FILL(pg_views)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_views");
    for (int i = 0; i < system_table_count(); i++) {
        const struct system_table *t = system_table_at(i);
        if (system_table_kind(t) == 'v') {
            put_text(&m, t->schema);
            put_text(&m, t->name);
            put_text(&m, "sherd");
            put_null(&m);
            row_end(&m);
        }
    }
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        if (table_is_view(l.v[i])) {
            put_text(&m, schema_name(m.c, l.v[i]->schema_id));
            put_text(&m, l.v[i]->name);
            put_text(&m, l.v[i]->owner);
            put_text(&m, view_text(m.a, l.v[i]));
            row_end(&m);
        }
    }
    return NULL;
}

FILL(pg_indexes)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_indexes");
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__TableDesc *t = l.v[i];
        for (size_t k = 0; k < t->n_indexes; k++) {
            if (index_is_visible(t, t->indexes[k])) {
                put_text(&m, schema_name(m.c, t->schema_id));
                put_text(&m, t->name);
                put_text(&m, t->indexes[k]->name);
                put_null(&m);
                put_text(&m, index_text(&x->env, m.a, t, t->indexes[k], false));
                row_end(&m);
            }
        }
    }
    return NULL;
}
