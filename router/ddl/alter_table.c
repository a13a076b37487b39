/* ALTER TABLE and RENAME: one command at a time. The first one locks the table until the end of the
 * transaction, so what looks at rows is alone with them. */
#include "ddl.h"

#include "router_internal.h"

#include "base/check.h"
#include "base/log.h"
#include "sql/codec.h"

#include <stdio.h>

static struct status *commit_table(struct ddl *d, Sherd__V1__TableDesc *t)
{
    struct slice key = key_id4(d, "table/", t->id);
    ddl_raise_version(d, t);
    ddl_compare(d, key);
    ddl_put(d, key, t);
    return ddl_apply(d);
}

static const char *table_ref(struct ddl *d, const Sherd__V1__TableDesc *t)
{
    return qualified(d, t->schema_id, t->name);
}

/* The relation of the statement is not there. */
static struct status *missing(struct ddl *d, const char *name, bool is_ok)
{
    if (!is_ok) {
        return status_sql(NOT_FOUND, "42P01", "relation \"%s\" does not exist", name);
    }
    ddl_notice(d, "relation \"%s\" does not exist, skipping", name);
    return NULL;
}

static struct status *no_column(const Sherd__V1__TableDesc *t, const char *name)
{
    return status_sql(NOT_FOUND, "42703", "column \"%s\" of relation \"%s\" does not exist", name,
                      t->name);
}

static struct status *has_nulls(const Sherd__V1__TableDesc *t, const char *column)
{
    return status_about(status_sql(CONSTRAINT, "23502",
                                   "column \"%s\" of relation \"%s\" contains null values", column,
                                   t->name),
                        t->name, column, NULL);
}

/* ---- columns ---- */

static struct status *add_column_command(struct ddl *d, const Sherd__V1__TableDesc *old,
                                         const PgQuery__AlterTableCmd *c)
{
    const PgQuery__ColumnDef *def = c->def->column_def;
    if (find_column(old, def->colname) != NULL && c->missing_ok) {
        ddl_notice(d, "column \"%s\" of relation \"%s\" already exists, skipping", def->colname,
                   old->name);
        return NULL;
    }
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    size_t indexes = t->n_indexes, constraints = t->n_constraints;
    TRY(column_from_def(d, t, def));
    Sherd__V1__ColumnDesc *col = t->columns[t->n_columns - 1];
    if (t->n_indexes > indexes || t->n_constraints > constraints || col->sequence_id != 0) {
        return status_hint(
            status_new(UNSUPPORTED,
                       "ADD COLUMN with a constraint or a serial type is not supported"),
            "Add the column, then the constraint by ALTER TABLE ... ADD CONSTRAINT.");
    }
    if (col->has_default) {
        struct expr *e;
        TRY(analyze_table_expr(d->f, &d->x->env, t, col->default_sql, d->a, &e));
        TRY(refuse_columns(e));
        if (expr_is_volatile(e)) {
            return status_hint(
                status_new(UNSUPPORTED, "ADD COLUMN with a volatile default is not supported"),
                "Add the column without it, then set the default.");
        }
        TRY(expr_cast(d->a, e, col->type, col->typmod, CAST_ASSIGNMENT, &e));
        struct eval_ctx ctx = {.arena = d->a,
                               .txn_now_us = d->x->stmt_now_us,
                               .stmt_now_us = d->x->stmt_now_us,
                               .clock_us = d->x->stmt_now_us};
        struct datum v;
        TRY(expr_eval_const(&ctx, e, &v));
        struct row_column one = {.type = col->type, .typmod = col->typmod};
        struct buf b = {0};
        row_encode(&b, &one, 1, &v);
        struct slice bytes = arena_copy(d->a, buf_slice(&b));
        buf_deinit(&b);
        col->has_missing = true;
        col->missing.data = (uint8_t *)(uintptr_t)bytes.data;
        col->missing.len = bytes.len;
    }
    TRY(commit_table(d, t));
    if (col->not_null && !col->has_default) {
        bool any;
        TRY(query_has_rows(d, arena_printf(d->a, "SELECT 1 FROM %s LIMIT 1", table_ref(d, t)),
                           &any));
        if (any) {
            return has_nulls(t, col->name);
        }
    }
    return NULL;
}

/* Whether the expression (NULL or empty: none) reads the column. */
static struct status *reads_column(struct ddl *d, const Sherd__V1__TableDesc *t, const char *sql,
                                   const Sherd__V1__ColumnDesc *col, bool *out)
{
    *out = false;
    if (sql != NULL && sql[0] != '\0') {
        bool *used;
        TRY(expr_columns(d, t, sql, &used));
        *out = used[col->ordinal];
    }
    return NULL;
}

static bool uses_ordinal(const Sherd__V1__IndexDesc *ix, uint32_t ordinal)
{
    for (size_t i = 0; i < ix->n_columns; i++) {
        if (ix->columns[i]->ordinal == ordinal) {
            return true;
        }
    }
    return false;
}

/* A key that another table refers to stays. */
static struct status *refuse_referenced(struct ddl *d, const Sherd__V1__TableDesc *t,
                                        const Sherd__V1__ColumnDesc *col)
{
    for (size_t i = 0; i < t->n_referenced_by; i++) {
        const Sherd__V1__TableDesc *by = catalog_table_by_id(d->catalog, t->referenced_by[i]);
        for (size_t k = 0; by != NULL && k < by->n_constraints; k++) {
            const Sherd__V1__ConstraintDesc *c = by->constraints[k];
            for (size_t n = 0; c->ref_table_id == t->id && n < c->n_ref_ordinals; n++) {
                if (c->ref_ordinals[n] == col->ordinal) {
                    return status_hint(
                        status_detail(status_sql(CONSTRAINT, "2BP01",
                                                 "cannot drop column %s of table %s because other "
                                                 "objects depend on it",
                                                 col->name, t->name),
                                      "constraint %s on table %s depends on column %s of table %s",
                                      c->name, by->name, col->name, t->name),
                        "Drop the constraint first.");
                }
            }
        }
    }
    return NULL;
}

static struct status *drop_column_command(struct ddl *d, const Sherd__V1__TableDesc *old,
                                          const PgQuery__AlterTableCmd *c)
{
    const Sherd__V1__ColumnDesc *col = find_column(old, c->name);
    if (col == NULL) {
        if (c->missing_ok) {
            ddl_notice(d, "column \"%s\" of relation \"%s\" does not exist, skipping", c->name,
                       old->name);
            return NULL;
        }
        return no_column(old, c->name);
    }
    for (size_t i = 0; i < old->n_columns; i++) {
        const Sherd__V1__ColumnDesc *g = old->columns[i];
        bool is_read = false;
        if (!g->dropped && g != col) {
            TRY(reads_column(d, old, g->generated_sql, col, &is_read));
        }
        if (is_read) {
            return status_detail(
                status_sql(CONSTRAINT, "2BP01",
                           "cannot drop column %s of table %s because other objects depend on it",
                           col->name, old->name),
                "column %s of table %s depends on column %s of table %s", g->name, old->name,
                col->name, old->name);
        }
    }
    TRY(views_refuse_column(d, old, col->name));
    TRY(refuse_referenced(d, old, col));
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    size_t n = 0;
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (!uses_ordinal(t->indexes[i], col->ordinal)) {
            t->indexes[n++] = t->indexes[i];
            continue;
        }
        if (t->indexes[i]->primary) {
            return status_hint(
                status_new(UNSUPPORTED, "a column of the primary key cannot be dropped"),
                "Create a new table and copy the rows.");
        }
        ddl_delete(d, key_rel_name(d, t->database_id, t->schema_id, t->indexes[i]->name));
        schema_wipe(d->schema, t->id, t->indexes[i]->index_id, t->indexes[i]->index_id + 1);
    }
    t->n_indexes = n;
    n = 0;
    for (size_t i = 0; i < t->n_constraints; i++) {
        bool uses = false;
        if (t->constraints[i]->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
            TRY(reads_column(d, old, t->constraints[i]->check_sql, col, &uses));
        }
        for (size_t k = 0; k < t->constraints[i]->n_ordinals; k++) {
            uses |= t->constraints[i]->ordinals[k] == col->ordinal;
        }
        if (!uses) {
            t->constraints[n++] = t->constraints[i];
        }
    }
    t->n_constraints = n;
    Sherd__V1__ColumnDesc *gone = t->columns[col->ordinal];
    gone->dropped = true;
    gone->not_null = false;
    gone->has_default = false;
    if (gone->sequence_id != 0) {
        const Sherd__V1__SequenceDesc *q = catalog_sequence_by_id(d->catalog, gone->sequence_id);
        if (q != NULL) {
            ddl_delete(d, key_id8(d, "seq/", q->id));
            ddl_delete(d, key_rel_name(d, q->database_id, q->schema_id, q->name));
        }
    }
    return commit_table(d, t);
}

static struct status *column_default_command(struct ddl *d, const Sherd__V1__TableDesc *old,
                                             const PgQuery__AlterTableCmd *c)
{
    if (find_column(old, c->name) == NULL) {
        return no_column(old, c->name);
    }
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    Sherd__V1__ColumnDesc *col = find_column(t, c->name);
    if (c->def == NULL) {
        col->has_default = false;
        col->default_sql = arena_strdup(d->a, "");
    } else {
        char *sql;
        TRY(deparse_expr(d, c->def, &sql));
        struct expr *e;
        TRY(analyze_table_expr(d->f, &d->x->env, t, sql, d->a, &e));
        TRY(refuse_columns(e));
        TRY(expr_cast(d->a, e, col->type, col->typmod, CAST_ASSIGNMENT, &e));
        col->has_default = true;
        col->default_sql = sql;
    }
    return commit_table(d, t);
}

static struct status *not_null_command(struct ddl *d, const Sherd__V1__TableDesc *old,
                                       const PgQuery__AlterTableCmd *c, bool on)
{
    const Sherd__V1__ColumnDesc *was = find_column(old, c->name);
    if (was == NULL) {
        return no_column(old, c->name);
    }
    if (was->not_null == on) {
        return NULL;
    }
    if (!on && uses_ordinal(old->indexes[0], was->ordinal)) {
        return status_sql(INVALID, "42P16", "column \"%s\" is in a primary key", c->name);
    }
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    find_column(t, c->name)->not_null = on;
    TRY(commit_table(d, t));
    bool any = false;
    if (on) {
        TRY(query_has_rows(d,
                           arena_printf(d->a, "SELECT 1 FROM %s WHERE %s IS NULL LIMIT 1",
                                        table_ref(d, t), quoted(d, c->name)),
                           &any));
    }
    return any ? has_nulls(old, c->name) : NULL;
}

/* ---- constraints ---- */

/* Of the descriptor's constraints: not the keys, which are indexes. NULL: none. */
static Sherd__V1__ConstraintDesc *find_constraint(const Sherd__V1__TableDesc *t, const char *name)
{
    for (size_t i = 0; i < t->n_constraints; i++) {
        if (strcmp(t->constraints[i]->name, name) == 0) {
            return t->constraints[i];
        }
    }
    return NULL;
}

static struct status *no_constraint(const Sherd__V1__TableDesc *t, const char *name)
{
    return status_sql(NOT_FOUND, "42704", "constraint \"%s\" of relation \"%s\" does not exist",
                      name, t->name);
}

static struct status *constraint_exists(const Sherd__V1__TableDesc *t, const char *name)
{
    return status_sql(ALREADY_EXISTS, "42710",
                      "constraint \"%s\" for relation \"%s\" already exists", name, t->name);
}

static char *null_match(struct ddl *d, const Sherd__V1__TableDesc *t,
                        const Sherd__V1__TableDesc *ref, const Sherd__V1__ConstraintDesc *k)
{
    struct buf b = {0};
    buf_printf(&b, "SELECT ");
    for (size_t i = 0; i < k->n_ordinals; i++) {
        buf_printf(&b, "%sc.%s", i > 0 ? ", " : "", quoted(d, t->columns[k->ordinals[i]]->name));
    }
    buf_printf(&b, " FROM %s AS c WHERE ", table_ref(d, t));
    for (size_t i = 0; i < k->n_ordinals; i++) {
        buf_printf(&b, "c.%s IS NOT NULL AND ", quoted(d, t->columns[k->ordinals[i]]->name));
    }
    buf_printf(&b, "NOT EXISTS (SELECT 1 FROM %s AS p WHERE ", table_ref(d, ref));
    for (size_t i = 0; i < k->n_ordinals; i++) {
        buf_printf(&b, "%sp.%s = c.%s", i > 0 ? " AND " : "",
                   quoted(d, ref->columns[k->ref_ordinals[i]]->name),
                   quoted(d, t->columns[k->ordinals[i]]->name));
    }
    buf_printf(&b, ") LIMIT 1");
    char *sql = arena_strndup(d->a, b.data, b.len);
    buf_deinit(&b);
    return sql;
}

static const char *column_names(struct ddl *d, const Sherd__V1__TableDesc *t,
                                const Sherd__V1__ConstraintDesc *k)
{
    struct buf b = {0};
    for (size_t i = 0; i < k->n_ordinals; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "(", t->columns[k->ordinals[i]]->name);
    }
    buf_printf(&b, ")");
    char *text = arena_strndup(d->a, b.data, b.len);
    buf_deinit(&b);
    return text;
}

static struct status *validate(struct ddl *d, const Sherd__V1__TableDesc *t,
                               const Sherd__V1__ConstraintDesc *k)
{
    bool any = false;
    struct status *st;
    if (k->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
        st = query_has_rows(d,
                            arena_printf(d->a, "SELECT 1 FROM %s WHERE NOT (%s) LIMIT 1",
                                         table_ref(d, t), k->check_sql),
                            &any);
        if (st == NULL && any) {
            st = status_about(
                status_sql(CONSTRAINT, "23514",
                           "check constraint \"%s\" of relation \"%s\" is violated by some row",
                           k->name, t->name),
                t->name, NULL, k->name);
        }
    } else {
        const Sherd__V1__TableDesc *ref = catalog_table_by_id(d->catalog, k->ref_table_id);
        char *key = NULL;
        st = ref == NULL ? status_new(CONFLICT, "the referenced table is gone")
                         : query_first_row(d, null_match(d, t, ref, k), &any, &key);
        if (st == NULL && any) {
            st = status_about(
                status_detail(
                    status_sql(
                        CONSTRAINT, "23503",
                        "insert or update on table \"%s\" violates foreign key constraint \"%s\"",
                        t->name, k->name),
                    "Key %s=(%s) is not present in table \"%s\".", column_names(d, t, k), key,
                    ref->name),
                t->name, NULL, k->name);
        }
    }
    return st;
}

static struct status *add_key(struct ddl *d, const Sherd__V1__TableDesc *old,
                              const PgQuery__Constraint *c)
{
    if (c->indexname != NULL && c->indexname[0] != '\0') {
        return status_new(UNSUPPORTED, "ADD CONSTRAINT USING INDEX is not supported");
    }
    PgQuery__IndexStmt s = PG_QUERY__INDEX_STMT__INIT;
    PgQuery__RangeVar rv = PG_QUERY__RANGE_VAR__INIT;
    const Sherd__V1__SchemaDesc *schema = catalog_schema_by_id(d->catalog, old->schema_id);
    rv.schemaname = schema != NULL ? schema->name : (char *)(uintptr_t) "";
    rv.relname = old->name;
    s.relation = &rv;
    s.unique = s.isconstraint = true;
    s.n_index_params = c->n_keys;
    s.index_params = ARENA_ARRAY(d->a, PgQuery__Node *, c->n_keys);
    char names[256] = "";
    size_t at = 0;
    for (size_t i = 0; i < c->n_keys; i++) {
        PgQuery__IndexElem *e = ARENA_NEW(d->a, PgQuery__IndexElem);
        pg_query__index_elem__init(e);
        e->name = arena_strdup(d->a, node_str(c->keys[i]));
        s.index_params[i] = ARENA_NEW(d->a, PgQuery__Node);
        pg_query__node__init(s.index_params[i]);
        s.index_params[i]->node_case = PG_QUERY__NODE__NODE_INDEX_ELEM;
        s.index_params[i]->index_elem = e;
        int w = snprintf(names + at, sizeof(names) - at, "%s%s", i > 0 ? "_" : "", e->name);
        at += w > 0 && (size_t)w < sizeof(names) - at ? (size_t)w : 0;
    }
    s.idxname = c->conname != NULL && c->conname[0] != '\0'
                    ? c->conname
                    : choose_name(d, old->schema_id, old->name, names, "key");
    const char *tag = d->tag;
    struct status *st = ddl_create_index(d, &s);
    d->tag = tag;
    return st;
}

static struct status *add_primary_key(struct ddl *d, const Sherd__V1__TableDesc *t,
                                      const PgQuery__Constraint *c)
{
    if (!t->hidden_primary_key) {
        return status_sql(INVALID, "42P16",
                          "multiple primary keys for table \"%s\" are not allowed", t->name);
    }
    uint32_t *ordinals = ARENA_ARRAY(d->a, uint32_t, c->n_keys + 1);
    for (size_t i = 0; i < c->n_keys; i++) {
        const Sherd__V1__ColumnDesc *col = find_column(t, node_str(c->keys[i]));
        if (col == NULL) {
            return no_column(t, node_str(c->keys[i]));
        }
        TRY(check_key_type(col));
        ordinals[i] = col->ordinal;
    }
    char *name;
    if (c->conname != NULL && c->conname[0] != '\0') {
        if (relation_exists(d, t->schema_id, c->conname)) {
            return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists",
                              c->conname);
        }
        name = arena_strdup(d->a, c->conname);
    } else {
        name = choose_name(d, t->schema_id, t->name, NULL, "pkey");
    }
    return rekey(d, t, name, ordinals, (int)c->n_keys);
}

static struct status *add_constraint_command(struct ddl *d, const Sherd__V1__TableDesc *old,
                                             const PgQuery__Constraint *c)
{
    if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY) {
        return add_primary_key(d, old, c);
    }
    if (c->contype == PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE) {
        return add_key(d, old, c);
    }
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    if (c->conname != NULL && c->conname[0] != '\0' && find_constraint(t, c->conname) != NULL) {
        return constraint_exists(t, c->conname);
    }
    TRY(constraint_from_def(d, t, c, NULL));
    t->constraints[t->n_constraints - 1]->validated = !c->skip_validation;
    const Sherd__V1__ConstraintDesc *k = t->constraints[t->n_constraints - 1];
    if (k->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
        struct expr *e;
        TRY(analyze_table_expr(d->f, &d->x->env, t, k->check_sql, d->a, &e));
        if (e->type != TYPE_BOOL) {
            return status_sql(INVALID, "42804",
                              "argument of CHECK must be type boolean, not type %s",
                              type_format(d->a, e->type, -1));
        }
    }
    TRY(commit_table(d, t));
    return c->skip_validation ? NULL : validate(d, t, k);
}

static struct status *drop_table_constraint(struct ddl *d, const Sherd__V1__TableDesc *old,
                                            const char *name)
{
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    size_t n = 0;
    uint32_t ref = 0;
    for (size_t i = 0; i < t->n_constraints; i++) {
        if (strcmp(t->constraints[i]->name, name) == 0) {
            ref = t->constraints[i]->ref_table_id;
        } else {
            t->constraints[n++] = t->constraints[i];
        }
    }
    t->n_constraints = n;
    bool still_refers = false;
    for (size_t i = 0; i < n; i++) {
        still_refers |= t->constraints[i]->ref_table_id == ref;
    }
    if (ref != 0 && ref != t->id && !still_refers) {
        TRY(unreference(d, ref, t));
    }
    return commit_table(d, t);
}

static struct status *drop_constraint_command(struct ddl *d, const Sherd__V1__TableDesc *t,
                                              const PgQuery__AlterTableCmd *c)
{
    if (find_constraint(t, c->name) != NULL) {
        return drop_table_constraint(d, t, c->name);
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (strcmp(t->indexes[i]->name, c->name) != 0 || !t->indexes[i]->constraint) {
            continue;
        }
        if (t->indexes[i]->primary) {
            return status_hint(status_new(UNSUPPORTED, "dropping a primary key is not supported"),
                               "Create a new table and copy the rows.");
        }
        for (size_t r = 0; r < t->n_referenced_by; r++) {
            const Sherd__V1__TableDesc *by = catalog_table_by_id(d->catalog, t->referenced_by[r]);
            for (size_t k = 0; by != NULL && k < by->n_constraints; k++) {
                if (by->constraints[k]->ref_table_id == t->id &&
                    by->constraints[k]->ref_index_id == t->indexes[i]->index_id) {
                    return status_detail(
                        status_sql(CONSTRAINT, "2BP01",
                                   "cannot drop constraint %s on table %s because other objects "
                                   "depend on it",
                                   c->name, t->name),
                        "constraint %s on table %s depends on index %s", by->constraints[k]->name,
                        by->name, c->name);
                }
            }
        }
        Sherd__V1__TableDesc *next;
        uint32_t id = t->indexes[i]->index_id;
        TRY(copy_table(d, t, &next));
        next->n_indexes--;
        memmove(next->indexes + i, next->indexes + i + 1,
                (next->n_indexes - i) * sizeof(*next->indexes));
        ddl_delete(d, key_rel_name(d, t->database_id, t->schema_id, c->name));
        TRY(commit_table(d, next));
        schema_wipe(d->schema, t->id, id, id + 1);
        return NULL;
    }
    if (c->missing_ok) {
        ddl_notice(d, "constraint \"%s\" of relation \"%s\" does not exist, skipping", c->name,
                   t->name);
        return NULL;
    }
    return no_constraint(t, c->name);
}

static struct status *validate_constraint_command(struct ddl *d, const Sherd__V1__TableDesc *old,
                                                  const PgQuery__AlterTableCmd *c)
{
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    Sherd__V1__ConstraintDesc *k = find_constraint(t, c->name);
    if (k == NULL) {
        return no_constraint(t, c->name);
    }
    TRY(validate(d, t, k));
    k->validated = true;
    return commit_table(d, t);
}

/* Only what leaves every stored value and key as it is: a text type that takes at least as much. */
static struct status *column_type_command(struct ddl *d, const Sherd__V1__TableDesc *old,
                                          const PgQuery__AlterTableCmd *c)
{
    const Sherd__V1__ColumnDesc *was = find_column(old, c->name);
    if (was == NULL) {
        return no_column(old, c->name);
    }
    const PgQuery__ColumnDef *def = c->def->column_def;
    type_oid type;
    int32_t typmod;
    TRY(resolve_type(d, def->type_name, &type, &typmod));
    bool is_text = (was->type == TYPE_TEXT || was->type == TYPE_VARCHAR) &&
                   (type == TYPE_TEXT || type == TYPE_VARCHAR);
    bool is_wider = typmod < 0 || (was->typmod >= 0 && typmod >= was->typmod);
    bool is_same = type == was->type && typmod == was->typmod;
    if (def->raw_default != NULL || !(is_same || (is_text && is_wider))) {
        return status_hint(
            status_new(UNSUPPORTED,
                       "changing the type of column \"%s\" from %s to %s is not supported", c->name,
                       type_format(d->a, was->type, was->typmod), type_format(d->a, type, typmod)),
            "A varchar can be made longer or text; else add a column, copy the values by UPDATE, "
            "and drop "
            "the old one.");
    }
    TRY(views_refuse_column(d, old, c->name));
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    Sherd__V1__ColumnDesc *col = find_column(t, c->name);
    col->type = type;
    col->typmod = typmod;
    return commit_table(d, t);
}

/* ---- the statement ---- */

static struct status *command(struct ddl *d, const Sherd__V1__TableDesc *t,
                              const PgQuery__AlterTableCmd *c)
{
    switch (c->subtype) {
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn:
        return add_column_command(d, t, c);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn:
        return drop_column_command(d, t, c);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault:
        return column_default_command(d, t, c);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull:
        return not_null_command(d, t, c, true);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropNotNull:
        return not_null_command(d, t, c, false);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
        return add_constraint_command(d, t, c->def->constraint);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint:
        return drop_constraint_command(d, t, c);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ValidateConstraint:
        return validate_constraint_command(d, t, c);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType:
        return column_type_command(d, t, c);
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetStatistics:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ResetRelOptions:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ClusterOn:
    case PG_QUERY__ALTER_TABLE_TYPE__AT_ReplicaIdentity:
        return NULL;
    default:
        return status_hint(status_new(UNSUPPORTED, "this form of ALTER TABLE is not supported"),
                           "Columns, defaults, NOT NULL and constraints can be added and dropped.");
    }
}

struct status *ddl_alter_table(struct ddl *d, const PgQuery__AlterTableStmt *s)
{
    d->tag = "ALTER TABLE";
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE ||
        s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX ||
        s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_VIEW) {
        for (size_t i = 0; i < s->n_cmds; i++) {
            if (s->cmds[i]->alter_table_cmd->subtype !=
                PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner) {
                return status_new(UNSUPPORTED, "this form of ALTER is not supported");
            }
        }
        return NULL;
    }
    for (size_t i = 0; i < s->n_cmds; i++) {
        const Sherd__V1__TableDesc *t;
        TRY(find_table(d, s->relation->schemaname, s->relation->relname, s->missing_ok, &t));
        if (t == NULL) {
            return missing(d, s->relation->relname, true);
        }
        TRY(command(d, t, s->cmds[i]->alter_table_cmd));
    }
    return NULL;
}

/* ---- RENAME ---- */

static struct status *name_taken(struct ddl *d, uint32_t schema, const char *name)
{
    TRY(check_name(name));
    return relation_exists(d, schema, name)
               ? status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists", name)
               : NULL;
}

/* Moves a name of the schema; the change gets the descriptor from the caller. */
static void move_name(struct ddl *d, uint32_t db, uint32_t schema, const char *from, const char *to,
                      char kind, uint64_t id)
{
    struct slice key = key_rel_name(d, db, schema, to);
    ddl_delete(d, key_rel_name(d, db, schema, from));
    ddl_must_not_exist(d, key);
    ddl_put_bytes(d, key, rel_value(d, kind, id));
}

static struct status *rename_relation(struct ddl *d, const PgQuery__RenameStmt *s, bool is_view)
{
    const Sherd__V1__TableDesc *old =
        find_any_table(d, s->relation->schemaname, s->relation->relname);
    if (old == NULL) {
        return missing(d, s->relation->relname, s->missing_ok);
    }
    bool was_view = old->view_sql != NULL && old->view_sql[0] != '\0';
    if (is_view && !was_view) {
        return status_sql(INVALID, "42809", "\"%s\" is not a view", old->name);
    }
    TRY(name_taken(d, old->schema_id, s->newname));
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    move_name(d, t->database_id, t->schema_id, t->name, s->newname, was_view ? 'v' : 'r', t->id);
    TRY(views_follow_rename(d, old, s->newname));
    t->name = arena_strdup(d->a, s->newname);
    return commit_table(d, t);
}

static struct status *rename_sequence(struct ddl *d, const PgQuery__RenameStmt *s)
{
    const Sherd__V1__SequenceDesc *old =
        find_sequence(d, s->relation->schemaname, s->relation->relname);
    if (old == NULL) {
        return missing(d, s->relation->relname, s->missing_ok);
    }
    TRY(name_taken(d, old->schema_id, s->newname));
    Sherd__V1__SequenceDesc *q;
    TRY(pb_copy(old, d->a, (void **)&q));
    move_name(d, q->database_id, q->schema_id, q->name, s->newname, 'S', q->id);
    q->name = arena_strdup(d->a, s->newname);
    ddl_compare(d, key_id8(d, "seq/", q->id));
    ddl_put(d, key_id8(d, "seq/", q->id), q);
    return ddl_apply(d);
}

static struct status *rename_index_of(struct ddl *d, const Sherd__V1__TableDesc *old,
                                      const Sherd__V1__IndexDesc *ix, const char *name)
{
    TRY(name_taken(d, old->schema_id, name));
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    move_name(d, t->database_id, t->schema_id, ix->name, name, 'i', t->id);
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (t->indexes[i]->index_id == ix->index_id) {
            t->indexes[i]->name = arena_strdup(d->a, name);
        }
    }
    return commit_table(d, t);
}

static struct status *rename_index(struct ddl *d, const PgQuery__RenameStmt *s)
{
    d->tag = "ALTER INDEX";
    const Sherd__V1__IndexDesc *ix = NULL;
    const Sherd__V1__TableDesc *t =
        find_index(d, s->relation->schemaname, s->relation->relname, &ix);
    if (t == NULL) {
        return missing(d, s->relation->relname, s->missing_ok);
    }
    return rename_index_of(d, t, ix, s->newname);
}

static struct status *rename_constraint(struct ddl *d, const PgQuery__RenameStmt *s)
{
    const Sherd__V1__TableDesc *old;
    TRY(find_table(d, s->relation->schemaname, s->relation->relname, s->missing_ok, &old));
    if (old == NULL) {
        return missing(d, s->relation->relname, true);
    }
    for (size_t i = 0; i < old->n_indexes; i++) {
        const Sherd__V1__IndexDesc *ix = old->indexes[i];
        bool is_constraint = ix->constraint || (ix->primary && !old->hidden_primary_key);
        if (is_constraint && strcmp(ix->name, s->subname) == 0) {
            return rename_index_of(d, old, ix, s->newname);
        }
    }
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    Sherd__V1__ConstraintDesc *found = find_constraint(t, s->subname);
    if (found == NULL) {
        return status_sql(NOT_FOUND, "42704", "constraint \"%s\" for table \"%s\" does not exist",
                          s->subname, t->name);
    }
    if (find_constraint(t, s->newname) != NULL) {
        return constraint_exists(t, s->newname);
    }
    found->name = arena_strdup(d->a, s->newname);
    return commit_table(d, t);
}

static struct status *rename_column(struct ddl *d, const PgQuery__RenameStmt *s)
{
    const Sherd__V1__TableDesc *old;
    TRY(find_table(d, s->relation->schemaname, s->relation->relname, s->missing_ok, &old));
    if (old == NULL) {
        return missing(d, s->relation->relname, true);
    }
    if (find_column(old, s->subname) == NULL) {
        return status_sql(NOT_FOUND, "42703", "column \"%s\" does not exist", s->subname);
    }
    if (find_column(old, s->newname) != NULL) {
        return status_sql(ALREADY_EXISTS, "42701",
                          "column \"%s\" of relation \"%s\" already exists", s->newname, old->name);
    }
    const Sherd__V1__ColumnDesc *col = find_column(old, s->subname);
    bool is_read = false;
    for (size_t i = 0; i < old->n_constraints; i++) {
        if (old->constraints[i]->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
            TRY(reads_column(d, old, old->constraints[i]->check_sql, col, &is_read));
        }
        if (is_read) {
            return status_hint(
                status_new(UNSUPPORTED, "a column of a check constraint cannot be renamed"),
                "Drop constraint \"%s\" first.", old->constraints[i]->name);
        }
    }
    for (size_t i = 0; i < old->n_columns; i++) {
        if (!old->columns[i]->dropped) {
            TRY(reads_column(d, old, old->columns[i]->generated_sql, col, &is_read));
        }
        if (is_read) {
            return status_hint(
                status_new(UNSUPPORTED, "a column that a generated column uses cannot be renamed"),
                "Drop column \"%s\" first.", old->columns[i]->name);
        }
    }
    TRY(views_refuse_column(d, old, s->subname));
    Sherd__V1__TableDesc *t;
    TRY(copy_table(d, old, &t));
    find_column(t, s->subname)->name = arena_strdup(d->a, s->newname);
    return commit_table(d, t);
}

struct status *ddl_rename(struct ddl *d, const PgQuery__RenameStmt *s)
{
    d->tag = "ALTER TABLE";
    switch (s->relation != NULL ? s->rename_type : PG_QUERY__OBJECT_TYPE__OBJECT_TYPE_UNDEFINED) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
        return rename_relation(d, s, false);
    case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
        d->tag = "ALTER VIEW";
        return rename_relation(d, s, true);
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        d->tag = "ALTER SEQUENCE";
        return rename_sequence(d, s);
    case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        return rename_index(d, s);
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
        return rename_constraint(d, s);
    case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN:
        return rename_column(d, s);
    default:
        return status_hint(status_new(UNSUPPORTED, "this kind of object cannot be renamed"),
                           "Tables, views, columns, indexes, constraints and sequences can.");
    }
}
