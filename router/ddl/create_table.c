/* CREATE TABLE: columns and constraints. The primary key is index 1. */
#include "ddl.h"

#include "router_internal.h"

#include "base/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define COLUMNS_MAX 1600

static struct status *duplicate_column(const Sherd__V1__TableDesc *t, const char *name)
{
    return status_sql(ALREADY_EXISTS, "42701", "column \"%s\" of relation \"%s\" already exists",
                      name, t->name);
}

/* serial, bigserial, smallserial: 0 = none of them. */
static type_oid serial_type(const PgQuery__TypeName *tn)
{
    const char *name = tn->n_names > 0 ? node_str(tn->names[tn->n_names - 1]) : "";
    if (strcasecmp(name, "serial") == 0 || strcasecmp(name, "serial4") == 0) {
        return TYPE_INT4;
    }
    if (strcasecmp(name, "bigserial") == 0 || strcasecmp(name, "serial8") == 0) {
        return TYPE_INT8;
    }
    if (strcasecmp(name, "smallserial") == 0 || strcasecmp(name, "serial2") == 0) {
        return TYPE_INT2;
    }
    return 0;
}

static const char *literal(struct ddl *d, const char *text)
{
    struct buf b = {0};
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\'') {
            buf_put_u8(&b, '\'');
        }
        buf_put_u8(&b, (uint8_t)*p);
    }
    char *whole = arena_printf(d->a, "'%.*s'", (int)b.len, (const char *)b.data);
    buf_deinit(&b);
    return whole;
}

struct status *sequence_for(struct ddl *d, const Sherd__V1__TableDesc *t,
                            Sherd__V1__ColumnDesc *col, type_oid type)
{
    uint32_t id;
    TRY(ddl_allocate(d, 1, &id));
    Sherd__V1__SequenceDesc *q = ARENA_NEW(d->a, Sherd__V1__SequenceDesc);
    sherd__v1__sequence_desc__init(q);
    q->id = id;
    q->database_id = t->database_id;
    q->schema_id = t->schema_id;
    q->name = choose_name(d, t->schema_id, t->name, col->name, "seq");
    q->start = 1;
    q->increment = 1;
    q->min = 1;
    q->max = type == TYPE_INT2 ? INT16_MAX : type == TYPE_INT4 ? INT32_MAX : INT64_MAX;
    q->cache = 1;
    q->type = type;
    q->owner_table = t->id;
    q->owner_ordinal = col->ordinal;
    struct slice name_key = key_rel_name(d, t->database_id, t->schema_id, q->name);
    ddl_must_not_exist(d, name_key);
    ddl_put_bytes(d, name_key, rel_value(d, 'S', id));
    ddl_put(d, key_id8(d, "seq/", id), q);
    col->sequence_id = id;
    col->has_default = true;
    col->default_sql = arena_printf(d->a, "nextval(%s::regclass)",
                                    literal(d, qualified(d, t->schema_id, q->name)));
    return NULL;
}

struct status *column_from_def(struct ddl *d, Sherd__V1__TableDesc *t,
                               const PgQuery__ColumnDef *def)
{
    if (find_column(t, def->colname) != NULL) {
        return t->n_columns > 0 && t->version == 0
                   ? status_sql(ALREADY_EXISTS, "42701", "column \"%s\" specified more than once",
                                def->colname)
                   : duplicate_column(t, def->colname);
    }
    if (t->n_columns >= COLUMNS_MAX) {
        return status_sql(LIMIT, "54011", "tables can have at most %d columns", COLUMNS_MAX);
    }
    if (strlen(def->colname) > 63) {
        return status_sql(LIMIT, "42622", "identifier \"%s\" is too long", def->colname);
    }
    Sherd__V1__ColumnDesc *c = add_column(d, t);
    c->name = arena_strdup(d->a, def->colname);
    type_oid serial = serial_type(def->type_name);
    if (serial != 0) {
        c->type = serial;
        c->not_null = true;
        TRY(sequence_for(d, t, c, serial));
    } else {
        type_oid type;
        int32_t typmod;
        TRY(resolve_type(d, def->type_name, &type, &typmod));
        c->type = type;
        c->typmod = typmod;
    }
    if (c->type == TYPE_UNKNOWN || c->type == TYPE_VOID || c->type == TYPE_RECORD) {
        return status_sql(INVALID, "42P16", "column \"%s\" has pseudo-type %s", c->name,
                          type_format(d->a, c->type, -1));
    }
    for (size_t i = 0; i < def->n_constraints; i++) {
        TRY(constraint_from_def(d, t, def->constraints[i]->constraint, c->name));
    }
    return NULL;
}

/* ---- keys ---- */

struct status *check_key_type(const Sherd__V1__ColumnDesc *c)
{
    if (c->type != TYPE_JSON) {
        return NULL;
    }
    return status_hint(
        status_sql(NOT_FOUND, "42704",
                   "data type %s has no default operator class for access method \"btree\"",
                   type_find(c->type)->sql_name),
        "You must specify an operator class for the index or define a default operator class for "
        "the "
        "data type.");
}

static struct status *key_columns(struct ddl *d, Sherd__V1__TableDesc *t, size_t n,
                                  PgQuery__Node **keys, const char *column,
                                  Sherd__V1__IndexDesc *ix)
{
    size_t count = n > 0 ? n : 1;
    ix->columns = ARENA_ARRAY(d->a, Sherd__V1__IndexColumn *, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = n > 0 ? node_str(keys[i]) : column;
        Sherd__V1__ColumnDesc *c = find_column(t, name);
        if (c == NULL) {
            return status_sql(NOT_FOUND, "42703", "column \"%s\" named in key does not exist",
                              name);
        }
        TRY(check_key_type(c));
        for (size_t k = 0; k < i; k++) {
            if (ix->columns[k]->ordinal == c->ordinal) {
                return status_sql(ALREADY_EXISTS, "42701",
                                  "column \"%s\" appears twice in %s constraint", name,
                                  ix->primary ? "primary key" : "unique");
            }
        }
        ix->columns[i] = ARENA_NEW(d->a, Sherd__V1__IndexColumn);
        sherd__v1__index_column__init(ix->columns[i]);
        ix->columns[i]->ordinal = c->ordinal;
        ix->n_columns = i + 1;
        if (ix->primary) {
            c->not_null = true;
        }
    }
    return NULL;
}

static struct status *claim_index_name(struct ddl *d, const Sherd__V1__TableDesc *t,
                                       Sherd__V1__IndexDesc *ix, const char *given,
                                       const char *label)
{
    if (given != NULL && given[0] != '\0') {
        if (relation_exists(d, t->schema_id, given)) {
            return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists", given);
        }
        ix->name = arena_strdup(d->a, given);
    } else if (ix->primary) {
        ix->name = choose_name(d, t->schema_id, t->name, NULL, label);
    } else {
        char names[256] = "";
        size_t at = 0;
        for (size_t i = 0; i < ix->n_columns; i++) {
            int w = snprintf(names + at, sizeof(names) - at, "%s%s", i > 0 ? "_" : "",
                             t->columns[ix->columns[i]->ordinal]->name);
            at += w > 0 && (size_t)w < sizeof(names) - at ? (size_t)w : 0;
        }
        ix->name = choose_name(d, t->schema_id, t->name, names, label);
    }
    uint32_t oid;
    TRY(ddl_allocate(d, 1, &oid));
    ix->oid = oid;
    struct slice key = key_rel_name(d, t->database_id, t->schema_id, ix->name);
    ddl_must_not_exist(d, key);
    ddl_put_bytes(d, key, rel_value(d, 'i', t->id));
    return NULL;
}

static struct status *key_constraint(struct ddl *d, Sherd__V1__TableDesc *t,
                                     const PgQuery__Constraint *c, const char *column,
                                     bool is_primary)
{
    if (is_primary) {
        for (size_t i = 0; i < t->n_indexes; i++) {
            if (t->indexes[i]->primary) {
                return status_sql(INVALID, "42P16",
                                  "multiple primary keys for table \"%s\" are not allowed",
                                  t->name);
            }
        }
    }
    Sherd__V1__IndexDesc *ix = add_index(d, t);
    ix->primary = is_primary;
    ix->unique = true;
    ix->constraint = true;
    ix->index_id = is_primary ? PRIMARY_INDEX_ID : t->next_index_id++;
    TRY(key_columns(d, t, c->n_keys, c->keys, column, ix));
    return claim_index_name(d, t, ix, c->conname, is_primary ? "pkey" : "key");
}

/* ---- foreign keys ---- */

static struct status *find_referenced_key(struct ddl *d, const Sherd__V1__TableDesc *ref,
                                          const PgQuery__Constraint *c,
                                          Sherd__V1__ConstraintDesc *out)
{
    const Sherd__V1__IndexDesc *found = NULL;
    if (c->n_pk_attrs == 0) {
        for (size_t i = 0; i < ref->n_indexes; i++) {
            if (ref->indexes[i]->primary && !ref->hidden_primary_key) {
                found = ref->indexes[i];
            }
        }
        if (found == NULL) {
            return status_sql(NOT_FOUND, "42704",
                              "there is no primary key for referenced table \"%s\"", ref->name);
        }
        out->n_ref_ordinals = found->n_columns;
        out->ref_ordinals = ARENA_ARRAY(d->a, uint32_t, found->n_columns + 1);
        for (size_t i = 0; i < found->n_columns; i++) {
            out->ref_ordinals[i] = found->columns[i]->ordinal;
        }
    } else {
        out->n_ref_ordinals = c->n_pk_attrs;
        out->ref_ordinals = ARENA_ARRAY(d->a, uint32_t, c->n_pk_attrs + 1);
        for (size_t i = 0; i < c->n_pk_attrs; i++) {
            const Sherd__V1__ColumnDesc *col = find_column(ref, node_str(c->pk_attrs[i]));
            if (col == NULL) {
                return status_sql(
                    NOT_FOUND, "42703",
                    "column \"%s\" referenced in foreign key constraint does not exist",
                    node_str(c->pk_attrs[i]));
            }
            out->ref_ordinals[i] = col->ordinal;
        }
        for (size_t i = 0; i < ref->n_indexes && found == NULL; i++) {
            const Sherd__V1__IndexDesc *ix = ref->indexes[i];
            if (!ix->unique || ix->n_columns != out->n_ref_ordinals ||
                ix->state != SHERD__V1__INDEX_STATE__INDEX_PUBLIC ||
                (ix->where_sql != NULL && ix->where_sql[0] != '\0')) {
                continue;
            }
            bool is_same = true;
            for (size_t k = 0; k < ix->n_columns; k++) {
                bool has = false;
                for (size_t j = 0; j < out->n_ref_ordinals; j++) {
                    has |= out->ref_ordinals[j] == ix->columns[k]->ordinal;
                }
                is_same &= has;
            }
            if (is_same) {
                found = ix;
            }
        }
        if (found == NULL) {
            return status_sql(
                INVALID, "42830",
                "there is no unique constraint matching given keys for referenced table \"%s\"",
                ref->name);
        }
    }
    out->ref_index_id = found->index_id;
    return NULL;
}

static uint32_t action_of(const char *action)
{
    return action == NULL || action[0] == '\0' ? 'a' : (uint8_t)action[0];
}

static struct status *foreign_key(struct ddl *d, Sherd__V1__TableDesc *t,
                                  const PgQuery__Constraint *c, const char *column)
{
    if (c->fk_matchtype != NULL && c->fk_matchtype[0] == 'p') {
        return status_new(UNSUPPORTED, "MATCH PARTIAL not yet implemented");
    }
    if (c->n_fk_del_set_cols > 0) {
        return status_hint(status_new(UNSUPPORTED, "foreign key action with a column list is not "
                                                   "supported"),
                           "SET NULL and SET DEFAULT set all columns of the key.");
    }
    const Sherd__V1__TableDesc *ref;
    bool is_self =
        strcmp(c->pktable->relname, t->name) == 0 && catalog_table_by_id(d->catalog, t->id) == NULL;
    if (is_self) {
        ref = t;
    } else {
        TRY(find_table(d, c->pktable->schemaname, c->pktable->relname, false, &ref));
    }
    Sherd__V1__ConstraintDesc k = SHERD__V1__CONSTRAINT_DESC__INIT;
    TRY(find_referenced_key(d, ref, c, &k));
    size_t n = c->n_fk_attrs > 0 ? c->n_fk_attrs : 1;
    k.ordinals = ARENA_ARRAY(d->a, uint32_t, n + 1);
    k.n_ordinals = n;
    char first[64] = "";
    for (size_t i = 0; i < n; i++) {
        const char *name = c->n_fk_attrs > 0 ? node_str(c->fk_attrs[i]) : column;
        const Sherd__V1__ColumnDesc *col = find_column(t, name);
        if (col == NULL) {
            return status_sql(NOT_FOUND, "42703",
                              "column \"%s\" referenced in foreign key constraint does not exist",
                              name);
        }
        k.ordinals[i] = col->ordinal;
        if (i == 0) {
            snprintf(first, sizeof(first), "%s", name);
        }
    }
    if (n != k.n_ref_ordinals) {
        return status_sql(INVALID, "42830",
                          "number of referencing and referenced columns for foreign key disagree");
    }
    for (size_t i = 0; i < n; i++) {
        const Sherd__V1__ColumnDesc *x = t->columns[k.ordinals[i]],
                                    *y = ref->columns[k.ref_ordinals[i]];
        const struct func_def *eq;
        type_oid l, r, result;
        struct status *st = func_resolve_op(slice_str("="), x->type, y->type, &eq, &l, &r, &result);
        if (st != NULL) {
            status_free(st);
            return status_detail(
                status_sql(INVALID, "42804", "foreign key constraint \"%s\" cannot be implemented",
                           c->conname != NULL && c->conname[0] != '\0'
                               ? c->conname
                               : arena_printf(d->a, "%s_%s_fkey", t->name, first)),
                "Key columns \"%s\" and \"%s\" are of incompatible types: %s and %s.", x->name,
                y->name, type_format(d->a, x->type, x->typmod),
                type_format(d->a, y->type, y->typmod));
        }
    }
    uint32_t oid;
    TRY(ddl_allocate(d, 1, &oid));
    Sherd__V1__ConstraintDesc *out = add_constraint(d, t);
    *out = k;
    out->oid = oid;
    out->kind = SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY;
    out->name = c->conname != NULL && c->conname[0] != '\0'
                    ? arena_strdup(d->a, c->conname)
                    : arena_printf(d->a, "%s_%s_fkey", t->name, first);
    for (size_t i = 0; i + 1 < t->n_constraints; i++) {
        if (strcmp(t->constraints[i]->name, out->name) == 0) {
            if (c->conname != NULL && c->conname[0] != '\0') {
                return status_sql(ALREADY_EXISTS, "42710",
                                  "constraint \"%s\" for relation \"%s\" already exists", out->name,
                                  t->name);
            }
            out->name = arena_printf(d->a, "%s%u", out->name, oid);
        }
    }
    out->ref_table_id = ref->id;
    out->on_delete = action_of(c->fk_del_action);
    out->on_update = action_of(c->fk_upd_action);
    out->validated = true;
    if (is_self || ref->id == t->id) {
        uint32_t *ids = ARENA_ARRAY(d->a, uint32_t, t->n_referenced_by + 1);
        bool has = false;
        for (size_t i = 0; i < t->n_referenced_by; i++) {
            ids[i] = t->referenced_by[i];
            has |= ids[i] == t->id;
        }
        if (!has) {
            ids[t->n_referenced_by++] = t->id;
            t->referenced_by = ids;
            t->referenced_by_count = (uint32_t)t->n_referenced_by;
        }
        return NULL;
    }
    return reference(d, ref->id, t->id);
}

/* ---- the other constraints ---- */

/* The one column that a check is about; NULL when there are several or none. */
static struct status *only_column(struct ddl *d, const Sherd__V1__TableDesc *t, const char *sql,
                                  const char **out)
{
    bool *used;
    TRY(expr_columns(d, t, sql, &used));
    int n = 0;
    for (size_t i = 0; i < t->n_columns; i++) {
        if (used[i]) {
            *out = t->columns[i]->name;
            n++;
        }
    }
    if (n != 1) {
        *out = NULL;
    }
    return NULL;
}

static struct status *constraint_name_free(const Sherd__V1__TableDesc *t,
                                           const Sherd__V1__ConstraintDesc *k)
{
    bool is_taken = false;
    for (size_t i = 0; i < t->n_constraints; i++) {
        is_taken |= t->constraints[i] != k && strcmp(t->constraints[i]->name, k->name) == 0;
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        is_taken |= t->indexes[i]->constraint && strcmp(t->indexes[i]->name, k->name) == 0;
    }
    return is_taken ? status_sql(ALREADY_EXISTS, "42710",
                                 "constraint \"%s\" for relation \"%s\" already exists", k->name,
                                 t->name)
                    : NULL;
}

static struct status *check_constraint(struct ddl *d, Sherd__V1__TableDesc *t,
                                       const PgQuery__Constraint *c, const char *column)
{
    char *sql;
    TRY(deparse_expr(d, c->raw_expr, &sql));
    uint32_t oid;
    TRY(ddl_allocate(d, 1, &oid));
    Sherd__V1__ConstraintDesc *k = add_constraint(d, t);
    k->oid = oid;
    k->kind = SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK;
    k->check_sql = sql;
    k->validated = true;
    if (c->conname != NULL && c->conname[0] != '\0') {
        k->name = arena_strdup(d->a, c->conname);
        TRY(constraint_name_free(t, k));
    } else {
        if (column == NULL) {
            TRY(only_column(d, t, sql, &column));
        }
        k->name = column != NULL ? arena_printf(d->a, "%s_%s_check", t->name, column)
                                 : arena_printf(d->a, "%s_check", t->name);
        int n = 0;
        for (size_t i = 0; i + 1 < t->n_constraints; i++) {
            if (strcmp(t->constraints[i]->name, k->name) == 0) {
                k->name = column != NULL ? arena_printf(d->a, "%s_%s_check%d", t->name, column, ++n)
                                         : arena_printf(d->a, "%s_check%d", t->name, ++n);
                i = (size_t)-1;
            }
        }
    }
    return NULL;
}

static struct status *identity(struct ddl *d, Sherd__V1__TableDesc *t, const PgQuery__Constraint *c,
                               const char *column)
{
    Sherd__V1__ColumnDesc *col = find_column(t, column);
    if (col->type != TYPE_INT2 && col->type != TYPE_INT4 && col->type != TYPE_INT8) {
        return status_sql(INVALID, "22023",
                          "identity column type must be smallint, integer, or bigint");
    }
    TRY(sequence_for(d, t, col, col->type));
    col->identity = c->generated_when != NULL && c->generated_when[0] == 'a' ? 1 : 2;
    col->not_null = true;
    if (c->n_options > 0) {
        /* The sequence was put just now: replace it with one that has the options. */
        for (size_t i = 0; i < d->txn.n_puts; i++) {
            struct slice key = key_id8(d, "seq/", col->sequence_id);
            if (!slice_eq(slice_make(d->txn.puts[i]->key.data, d->txn.puts[i]->key.len), key)) {
                continue;
            }
            Sherd__V1__SequenceDesc *q;
            TRY(pb_unpack(&sherd__v1__sequence_desc__descriptor, d->a,
                          slice_make(d->txn.puts[i]->value.data, d->txn.puts[i]->value.len),
                          (void **)&q));
            TRY(sequence_options(q, c->n_options, c->options));
            struct slice bytes = pb_pack_in(q, d->a);
            d->txn.puts[i]->value.data = (uint8_t *)(uintptr_t)bytes.data;
            d->txn.puts[i]->value.len = bytes.len;
        }
    }
    return NULL;
}

struct status *constraint_from_def(struct ddl *d, Sherd__V1__TableDesc *t,
                                   const PgQuery__Constraint *c, const char *column)
{
    Sherd__V1__ColumnDesc *col = column != NULL ? find_column(t, column) : NULL;
    if (c->deferrable) {
        return status_hint(status_new(UNSUPPORTED, "deferrable constraints are not supported"),
                           "Leave DEFERRABLE out: constraints are checked by each statement.");
    }
    switch (c->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NULL:
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
        col->not_null = true;
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT: {
        char *sql;
        TRY(deparse_expr(d, c->raw_expr, &sql));
        col->has_default = true;
        col->default_sql = sql;
        return NULL;
    }
    case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
        return identity(d, t, c, column);
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED: {
        char *sql;
        TRY(deparse_expr(d, c->raw_expr, &sql));
        col->generated_sql = sql;
        return NULL;
    }
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
        return check_constraint(d, t, c, column);
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        return key_constraint(d, t, c, column, true);
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
        return key_constraint(d, t, c, column, false);
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN:
        return foreign_key(d, t, c, column);
    case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_NOT_DEFERRABLE:
    case PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_IMMEDIATE:
        return NULL;
    default:
        return status_hint(status_new(UNSUPPORTED, "this kind of constraint is not supported"),
                           "PRIMARY KEY, UNIQUE, CHECK, FOREIGN KEY and NOT NULL are.");
    }
}

/* ---- the statement ---- */

static struct status *hidden_key(struct ddl *d, Sherd__V1__TableDesc *t)
{
    Sherd__V1__ColumnDesc *c = add_column(d, t);
    c->name = arena_strdup(d->a, "sherd_rowid");
    c->type = TYPE_INT8;
    c->not_null = true;
    t->hidden_primary_key = true;
    Sherd__V1__IndexDesc *ix = add_index(d, t);
    ix->index_id = PRIMARY_INDEX_ID;
    ix->primary = ix->unique = true;
    uint32_t oid;
    TRY(ddl_allocate(d, 1, &oid));
    ix->oid = oid;
    ix->name = arena_printf(d->a, "%.50s_rowid", t->name); /* not a name of the schema */
    ix->n_columns = 1;
    ix->columns = ARENA_ARRAY(d->a, Sherd__V1__IndexColumn *, 1);
    ix->columns[0] = ARENA_NEW(d->a, Sherd__V1__IndexColumn);
    sherd__v1__index_column__init(ix->columns[0]);
    ix->columns[0]->ordinal = c->ordinal;
    return NULL;
}

static void primary_first(Sherd__V1__TableDesc *t)
{
    for (size_t i = 1; i < t->n_indexes; i++) {
        if (t->indexes[i]->primary) {
            Sherd__V1__IndexDesc *ix = t->indexes[i];
            memmove(t->indexes + 1, t->indexes, i * sizeof(*t->indexes));
            t->indexes[0] = ix;
        }
    }
}

static void see_column(struct expr **node, void *ctx)
{
    *(bool *)ctx |= (*node)->kind == EXPR_COLUMN;
}

struct status *refuse_columns(struct expr *e)
{
    bool found = false;
    expr_walk(&e, see_column, &found);
    return found ? status_sql(UNSUPPORTED, "0A000",
                              "cannot use column reference in DEFAULT expression")
                 : NULL;
}

/* Expressions of the new table must make sense: analyzed once here, so that the user hears of a
 * mistake now. */
static struct status *check_expressions(struct ddl *d, const Sherd__V1__TableDesc *t)
{
    struct expr *e;
    for (size_t i = 0; i < t->n_columns; i++) {
        const Sherd__V1__ColumnDesc *c = t->columns[i];
        if (c->has_default && c->sequence_id == 0) {
            TRY(analyze_table_expr(d->f, &d->x->env, t, c->default_sql, d->a, &e));
            TRY(refuse_columns(e));
            TRY(expr_cast(d->a, e, c->type, c->typmod, CAST_ASSIGNMENT, &e));
        }
        if (c->generated_sql != NULL && c->generated_sql[0] != '\0') {
            TRY(analyze_table_expr(d->f, &d->x->env, t, c->generated_sql, d->a, &e));
        }
    }
    for (size_t i = 0; i < t->n_constraints; i++) {
        if (t->constraints[i]->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
            TRY(analyze_table_expr(d->f, &d->x->env, t, t->constraints[i]->check_sql, d->a, &e));
            if (e->type != TYPE_BOOL) {
                return status_sql(INVALID, "42804",
                                  "argument of CHECK must be type boolean, not type %s",
                                  type_format(d->a, e->type, -1));
            }
        }
    }
    return NULL;
}

struct status *ddl_create_table(struct ddl *d, const PgQuery__CreateStmt *s)
{
    d->tag = "CREATE TABLE";
    if (s->n_inh_relations > 0 || s->partspec != NULL || s->partbound != NULL ||
        s->of_typename != NULL) {
        return status_hint(
            status_new(UNSUPPORTED, "inheritance, partitions and typed tables are not supported"),
            "Tables are sharded by themselves; see WITH (sharding = 'hash', shards = N).");
    }
    uint32_t schema;
    TRY(find_creation_schema(d, s->relation, &schema));
    const char *name = s->relation->relname;
    if (relation_exists(d, schema, name)) {
        if (s->if_not_exists) {
            ddl_notice(d, "relation \"%s\" already exists, skipping", name);
            return NULL;
        }
        return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists", name);
    }
    Sherd__V1__TableDesc *t = ARENA_NEW(d->a, Sherd__V1__TableDesc);
    sherd__v1__table_desc__init(t);
    uint32_t ids;
    TRY(ddl_allocate(d, 2, &ids));
    t->id = ids;
    t->database_id = d->x->env.database_id;
    t->schema_id = schema;
    t->name = arena_strdup(d->a, name);
    t->owner = arena_strndup(d->a, d->x->env.user.data, d->x->env.user.len);
    t->next_index_id = PRIMARY_INDEX_ID + 1;
    struct slice name_key = key_rel_name(d, t->database_id, schema, name);
    ddl_must_not_exist(d, name_key);
    ddl_put_bytes(d, name_key, rel_value(d, 'r', t->id));
    ddl_compare(d, key_id4(d, "schema/", schema));
    const Sherd__V1__TableDesc *near;
    TRY(sharding_options(d, t, s->n_options, s->options, &near));
    /* Columns first: constraints of one may name another. Column constraints that make indexes come
     * in order. */
    for (size_t i = 0; i < s->n_table_elts; i++) {
        if (s->table_elts[i]->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF) {
            TRY(column_from_def(d, t, s->table_elts[i]->column_def));
        }
    }
    for (size_t i = 0; i < s->n_table_elts; i++) {
        switch (s->table_elts[i]->node_case) {
        case PG_QUERY__NODE__NODE_COLUMN_DEF:
            break;
        case PG_QUERY__NODE__NODE_CONSTRAINT:
            TRY(constraint_from_def(d, t, s->table_elts[i]->constraint, NULL));
            break;
        default:
            return status_new(UNSUPPORTED, "LIKE in CREATE TABLE is not supported");
        }
    }
    bool has_primary = false;
    for (size_t i = 0; i < t->n_indexes; i++) {
        has_primary |= t->indexes[i]->primary;
    }
    if (!has_primary) {
        TRY(hidden_key(d, t));
    }
    primary_first(t);
    TRY(sharding_colocate(d, t, near));
    TRY(check_expressions(d, t));
    t->version = 1;
    ddl_put(d, key_id4(d, "table/", t->id), t);
    sharding_request(d, t, ids + 1);
    return ddl_apply(d);
}
