/*
 * Names: which column, FROM item, WITH query or relation a name means, and PostgreSQL's errors when
 * none or several.
 *
 * Unqualified columns are looked for in the innermost block first, then outwards. A column found in
 * an outer block makes the inner one correlated: each block in between notes the var (scope_outer).
 */
#include "analyze.h"
#include "analyze_limits.h"

#include "ddl/system.h"

#include <stdarg.h>
#include <stdio.h>

struct status *at(struct analyzer *z, struct status *st, int location)
{
    if (st == NULL || location < 0 || z->sql == NULL || st->position > 0) {
        return st;
    }
    int chars = 1;
    for (const char *p = z->sql; *p != '\0' && p < z->sql + location; p++) {
        chars += ((unsigned char)*p & 0xC0) != 0x80;
    }
    return status_at(st, chars);
}

struct status *analyze_stack_check(void)
{
    if (fiber_stack_left() < ANALYZE_STACK_LEFT) {
        return status_hint(status_sql(LIMIT, "54001", "stack depth limit exceeded"),
                           "The statement nests too deeply; split it.");
    }
    return NULL;
}

struct status *unsupported(struct analyzer *z, int location, const char *fmt, ...)
{
    char what[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    struct status *st = status_hint(status_sql(UNSUPPORTED, "0A000", "%s: not supported", what),
                                    "Write the statement without it.");
    return at(z, st, location);
}

struct scope *scope_new(struct analyzer *z, struct scope *parent)
{
    struct scope *sc = ARENA_NEW(z->a, struct scope);
    sc->parent = parent;
    return sc;
}

struct status *scope_add(struct analyzer *z, struct scope *sc, struct nsitem *item, int location)
{
    if (!item->is_nameless) {
        for (int i = 0; i < sc->nitems; i++) {
            struct nsitem *o = sc->items[i];
            if (!o->is_nameless && strcmp(o->name, item->name) == 0) {
                return at(z,
                          status_sql(INVALID, "42712", "table name \"%s\" specified more than once",
                                     item->name),
                          location);
            }
        }
    }
    if (sc->nitems == sc->items_cap) {
        int cap = sc->items_cap == 0 ? 8 : sc->items_cap * 2;
        struct nsitem **grown = ARENA_ARRAY(z->a, struct nsitem *, cap);
        if (sc->nitems > 0) {
            memcpy(grown, sc->items, sizeof(*grown) * (size_t)sc->nitems);
        }
        sc->items = grown;
        sc->items_cap = cap;
    }
    sc->items[sc->nitems++] = item;
    return NULL;
}

void scope_outer(struct analyzer *z, struct scope *sc, struct scope *owner, int var)
{
    for (; sc != owner && sc != NULL; sc = sc->parent) {
        bool known = false;
        for (int i = 0; i < sc->nouter; i++) {
            known |= sc->outer[i] == var;
        }
        if (known) {
            continue;
        }
        if (sc->nouter == sc->outer_cap) {
            int cap = sc->outer_cap == 0 ? 8 : sc->outer_cap * 2;
            int *grown = ARENA_ARRAY(z->a, int, cap);
            if (sc->nouter > 0) {
                memcpy(grown, sc->outer, sizeof(int) * (size_t)sc->nouter);
            }
            sc->outer = grown;
            sc->outer_cap = cap;
        }
        sc->outer[sc->nouter++] = var;
    }
}

struct nsitem *scope_item(struct scope *sc, const char *schema, const char *name,
                          struct scope **out_scope)
{
    for (; sc != NULL; sc = sc->parent) {
        for (int i = sc->first; i < sc->nitems; i++) {
            struct nsitem *it = sc->items[i];
            if (!it->is_nameless && strcmp(it->name, name) == 0 &&
                (schema == NULL || (it->schema != NULL && strcmp(it->schema, schema) == 0))) {
                if (out_scope != NULL) {
                    *out_scope = sc;
                }
                return it;
            }
        }
    }
    return NULL;
}

struct status *scope_find(struct analyzer *z, struct scope *sc, const char *name, int location,
                          int *out_var)
{
    int found = -1;
    for (int i = sc->first; i < sc->nitems; i++) {
        struct nsitem *it = sc->items[i];
        if (it->hides_columns) {
            continue;
        }
        for (int c = 0; c < it->ncols; c++) {
            if (strcmp(it->cols[c], name) != 0) {
                continue;
            }
            if (found >= 0) {
                return at(
                    z, status_sql(INVALID, "42702", "column reference \"%s\" is ambiguous", name),
                    location);
            }
            found = it->vars[c];
        }
    }
    *out_var = found;
    return NULL;
}

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits from one name to the other, or more than `max`. */
static int name_distance(const char *a, const char *b, int max)
{
    size_t n = strlen(a), m = strlen(b);
    if (n > 63 || m > 63) {
        return max + 1;
    }
    int row[64];
    for (size_t j = 0; j <= m; j++) {
        row[j] = (int)j;
    }
    for (size_t i = 1; i <= n; i++) {
        int diag = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int up = row[j];
            row[j] = min3(up + 1, row[j - 1] + 1, diag + (a[i - 1] != b[j - 1]));
            diag = up;
        }
    }
    return row[m];
}

/* PostgreSQL's hint: a column that is spelt nearly so, or one that exists but cannot be seen from
 * here. */
static struct status *hint_column(struct scope *sc, const char *table, const char *name,
                                  struct status *st)
{
    const char *best_item = NULL, *best_col = NULL;
    int best = 4, ties = 0;
    int half = (int)strlen(name) / 2;
    for (; sc != NULL && best_item == NULL; sc = sc->parent) {
        for (int i = 0; i < sc->nitems; i++) {
            struct nsitem *it = sc->items[i];
            if (it->is_nameless) {
                continue;
            }
            int base = table != NULL ? name_distance(table, it->name, 3) : 0;
            for (int c = 0; c < it->ncols; c++) {
                int d = base + name_distance(name, it->cols[c], 3);
                if (d > 3 || d > half) {
                    continue;
                }
                if (d < best) {
                    best = d;
                    best_item = it->name;
                    best_col = it->cols[c];
                    ties = 1;
                } else if (d == best) {
                    ties++;
                }
            }
        }
    }
    if (best_item != NULL && ties == 1) {
        return status_hint(st, "Perhaps you meant to reference the column \"%s.%s\".", best_item,
                           best_col);
    }
    return st;
}

static struct status *column_of(struct analyzer *z, struct scope *sc, struct scope *owner, int var,
                                int location, struct expr **out)
{
    if (owner != sc) {
        scope_outer(z, sc, owner, var);
    }
    struct expr *e = query_column(z->q, var);
    e->location = location;
    *out = e;
    return NULL;
}

static struct status *qualified(struct analyzer *z, struct scope *sc, const char *schema,
                                const char *table, const char *name, int location,
                                struct expr **out)
{
    struct scope *owner = NULL;
    struct nsitem *it = scope_item(sc, schema, table, &owner);
    if (it == NULL) {
        for (struct scope *s = sc; s != NULL; s = s->parent) { /* hidden by JOIN ... ON? */
            for (int i = 0; i < s->first; i++) {
                if (!s->items[i]->is_nameless && strcmp(s->items[i]->name, table) == 0) {
                    return at(
                        z,
                        status_hint(
                            status_sql(INVALID, "42P01",
                                       "invalid reference to FROM-clause entry for table \"%s\"",
                                       table),
                            "There is an entry for table \"%s\", but it cannot be referenced from "
                            "this part of the query.",
                            table),
                        location);
                }
            }
        }
        for (struct scope *s = sc; s != NULL && schema == NULL;
             s = s->parent) { /* the alias hides the name */
            for (int i = 0; i < s->nitems; i++) {
                struct nsitem *o = s->items[i];
                if (o->table != NULL && strcmp(o->table->name, table) == 0) {
                    return at(
                        z,
                        status_hint(
                            status_sql(INVALID, "42P01",
                                       "invalid reference to FROM-clause entry for table \"%s\"",
                                       table),
                            "Perhaps you meant to reference the table alias \"%s\".", o->name),
                        location);
                }
            }
        }
        return at(z,
                  status_sql(INVALID, "42P01", "missing FROM-clause entry for table \"%s\"", table),
                  location);
    }
    int found = -1;
    for (int c = 0; c < it->ncols; c++) {
        if (strcmp(it->cols[c], name) == 0) {
            if (found >= 0) {
                return at(
                    z, status_sql(INVALID, "42702", "column reference \"%s\" is ambiguous", name),
                    location);
            }
            found = it->vars[c];
        }
    }
    if (found < 0) {
        return at(
            z,
            hint_column(sc, table, name,
                        status_sql(INVALID, "42703", "column %s.%s does not exist", table, name)),
            location);
    }
    return column_of(z, sc, owner, found, location, out);
}

struct status *scope_column(struct analyzer *z, struct scope *sc, const PgQuery__ColumnRef *c,
                            struct expr **out)
{
    const char *parts[4];
    size_t n = c->n_fields;
    for (size_t i = 0; i < n && i < 4; i++) {
        parts[i] = node_string(c->fields[i]);
        if (parts[i] == NULL) {
            return unsupported(z, c->location, "row values from \"*\"");
        }
    }
    if (n == 4) { /* database.schema.table.column */
        return qualified(z, sc, parts[1], parts[2], parts[3], c->location, out);
    }
    if (n == 3) {
        return qualified(z, sc, parts[0], parts[1], parts[2], c->location, out);
    }
    if (n == 2) {
        return qualified(z, sc, NULL, parts[0], parts[1], c->location, out);
    }
    if (n != 1) {
        return at(z,
                  status_sql(INVALID, "42601", "improper qualified name (too many dotted names)"),
                  c->location);
    }
    for (struct scope *s = sc; s != NULL; s = s->parent) {
        int var;
        TRY(scope_find(z, s, parts[0], c->location, &var));
        if (var >= 0) {
            return column_of(z, sc, s, var, c->location, out);
        }
    }
    struct scope *owner;
    struct nsitem *row = scope_item(sc, NULL, parts[0], &owner);
    if (row != NULL && row->ncols - row->nhidden == 1) {
        /* A row of one column (a set function in FROM) stands for its value. */
        return column_of(z, sc, owner, row->vars[0], c->location, out);
    }
    if (row != NULL) {
        return unsupported(z, c->location, "whole-row reference to \"%s\"", parts[0]);
    }
    return at(z,
              hint_column(sc, NULL, parts[0],
                          status_sql(INVALID, "42703", "column \"%s\" does not exist", parts[0])),
              c->location);
}

struct cte *scope_cte(struct scope *sc, const char *name)
{
    for (; sc != NULL; sc = sc->parent) {
        for (int i = sc->nctes - 1; i >= 0; i--) {
            if (strcmp(sc->ctes[i]->name, name) == 0) {
                return sc->ctes[i];
            }
        }
    }
    return NULL;
}

static struct status *no_relation(struct analyzer *z, const PgQuery__RangeVar *rv)
{
    struct status *st;
    if (rv->schemaname[0] != '\0') {
        st = status_sql(INVALID, "42P01", "relation \"%s.%s\" does not exist", rv->schemaname,
                        rv->relname);
    } else {
        st = status_sql(INVALID, "42P01", "relation \"%s\" does not exist", rv->relname);
    }
    return at(z, st, rv->location);
}

static struct status *not_a_table(struct analyzer *z, const PgQuery__RangeVar *rv,
                                  uint32_t schema_id)
{
    const struct catalog *c = z->env->catalog;
    if (catalog_index(c, schema_id, slice_str(rv->relname), NULL) != NULL) {
        return at(
            z,
            status_detail(status_sql(INVALID, "42809", "cannot open relation \"%s\"", rv->relname),
                          "This operation is not supported for indexes."),
            rv->location);
    }
    return NULL;
}

void looks_up(struct analyzer *z)
{
    if (z->env->looked_up != NULL) {
        *z->env->looked_up = true;
    }
}

struct status *relation_find(struct analyzer *z, const PgQuery__RangeVar *rv,
                             const Sherd__V1__TableDesc **out,
                             const struct system_table **out_system)
{
    const struct catalog *c = z->env->catalog;
    struct slice name = slice_str(rv->relname);
    *out = NULL;
    *out_system = NULL;
    looks_up(z);
    if (rv->catalogname[0] != '\0') {
        const Sherd__V1__DatabaseDesc *db = catalog_database(c, slice_str(rv->catalogname));
        if (db == NULL || db->id != z->env->database_id) {
            return at(z,
                      status_sql(UNSUPPORTED, "0A000",
                                 "cross-database references are not implemented: \"%s.%s.%s\"",
                                 rv->catalogname, rv->schemaname, rv->relname),
                      rv->location);
        }
    }
    if (rv->schemaname[0] != '\0') {
        struct slice schema = slice_str(rv->schemaname);
        *out_system = system_table_find(schema, name);
        if (*out_system != NULL) {
            return NULL;
        }
        const Sherd__V1__SchemaDesc *s = catalog_schema(c, z->env->database_id, schema);
        *out = s == NULL ? NULL : catalog_table(c, s->id, name);
        if (*out == NULL && s != NULL) {
            TRY(not_a_table(z, rv, s->id));
        }
        return *out == NULL ? no_relation(z, rv) : NULL;
    }
    *out_system = system_table_find(slice_str("pg_catalog"), name);
    if (*out_system != NULL) {
        return NULL;
    }
    for (int i = 0; i < z->env->search_path_count; i++) {
        *out = catalog_table(c, z->env->search_path[i], name);
        if (*out != NULL) {
            return NULL;
        }
        TRY(not_a_table(z, rv, z->env->search_path[i]));
    }
    return no_relation(z, rv);
}
