/*
 * Views: made, kept right when a table they read is renamed, and looked for when one is dropped.
 *
 * A view is kept as the text of its SELECT in which every table is written with its schema, so that
 * it means the same under any search path. What a view depends on is read off that text: nothing
 * else is stored.
 */
#include "ddl.h"

#include "../analyze/analyze.h"

#include "base/check.h"

#include <ctype.h>

/* ---- walking a parse tree ---- */

typedef struct status *(*visit_fn)(ProtobufCMessage *m, void *ctx);

static struct status *each_message(ProtobufCMessage *m, visit_fn fn, void *ctx)
{
    TRY(analyze_stack_check());
    TRY(fn(m, ctx));
    const ProtobufCMessageDescriptor *desc = m->descriptor;
    char *base = (char *)m;
    for (unsigned i = 0; i < desc->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &desc->fields[i];
        if (f->type != PROTOBUF_C_TYPE_MESSAGE) {
            continue;
        }
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t n;
            ProtobufCMessage **items;
            memcpy(&n, base + f->quantifier_offset, sizeof(n));
            memcpy(&items, base + f->offset, sizeof(items));
            for (size_t k = 0; k < n; k++) {
                TRY(each_message(items[k], fn, ctx));
            }
            continue;
        }
        if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) {
            uint32_t which;
            memcpy(&which, base + f->quantifier_offset, sizeof(which));
            if (which != f->id) {
                continue;
            }
        }
        ProtobufCMessage *one;
        memcpy(&one, base + f->offset, sizeof(one));
        if (one != NULL) {
            TRY(each_message(one, fn, ctx));
        }
    }
    return NULL;
}

static bool is_a(const ProtobufCMessage *m, const ProtobufCMessageDescriptor *desc)
{
    return m->descriptor == desc;
}

/* ---- CREATE VIEW ---- */

struct qualify {
    struct ddl *d;
    const char **ctes; /* names of WITH queries anywhere in the statement: a table of such a name is
                          left alone */
    int nctes, cap;
};

static struct status *note_cte(ProtobufCMessage *m, void *ctx)
{
    struct qualify *q = ctx;
    if (!is_a(m, &pg_query__common_table_expr__descriptor)) {
        return NULL;
    }
    if (q->nctes == q->cap) {
        int cap = q->cap == 0 ? 8 : q->cap * 2;
        const char **wider = ARENA_ARRAY(q->d->a, const char *, cap);
        if (q->nctes > 0) {
            memcpy(wider, q->ctes, sizeof(*wider) * (size_t)q->nctes);
        }
        q->ctes = wider;
        q->cap = cap;
    }
    q->ctes[q->nctes++] = ((PgQuery__CommonTableExpr *)m)->ctename;
    return NULL;
}

static struct status *qualify_table(ProtobufCMessage *m, void *ctx)
{
    struct qualify *q = ctx;
    PgQuery__RangeVar *rv = (PgQuery__RangeVar *)m;
    if (!is_a(m, &pg_query__range_var__descriptor) || rv->schemaname[0] != '\0') {
        return NULL;
    }
    for (int i = 0; i < q->nctes; i++) {
        if (strcmp(q->ctes[i], rv->relname) == 0) {
            return NULL;
        }
    }
    const struct plan_env *env = &q->d->x->env;
    for (int i = 0; i < env->search_path_count; i++) {
        const Sherd__V1__TableDesc *t =
            catalog_table(q->d->catalog, env->search_path[i], slice_str(rv->relname));
        const Sherd__V1__SchemaDesc *s =
            t != NULL ? catalog_schema_by_id(q->d->catalog, t->schema_id) : NULL;
        if (s != NULL) {
            rv->schemaname = s->name;
            return NULL;
        }
    }
    return NULL;
}

static struct status *view_columns(struct ddl *d, const PgQuery__ViewStmt *s, const char *sql,
                                   Sherd__V1__TableDesc *t)
{
    struct parsed *p;
    TRY(parse_sql(d->f, slice_str(sql), &p));
    struct plan *plan = NULL;
    struct status *st = plan_statement(d->f, &d->x->env, p, 0, NULL, 0, &plan);
    parsed_free(p);
    TRY(st);
    const struct plan_column *cols;
    int n = plan_columns(plan, &cols);
    if (s->n_aliases > (size_t)n) {
        st = status_sql(INVALID, "42601", "CREATE VIEW specifies more column names than columns");
    }
    for (int i = 0; i < n && st == NULL; i++) {
        const char *name = (size_t)i < s->n_aliases ? node_str(s->aliases[i]) : cols[i].name;
        if (find_column(t, name) != NULL) {
            st =
                status_sql(ALREADY_EXISTS, "42701", "column \"%s\" specified more than once", name);
            break;
        }
        Sherd__V1__ColumnDesc *c = add_column(d, t);
        c->name = arena_strdup(d->a, name);
        c->type = cols[i].type == TYPE_UNKNOWN ? TYPE_TEXT : cols[i].type;
        c->typmod = cols[i].typmod;
    }
    plan_unref(plan);
    return st;
}

/* CREATE OR REPLACE may only add columns at the end. */
static struct status *check_replacement(struct ddl *d, const Sherd__V1__TableDesc *old,
                                        const Sherd__V1__TableDesc *t)
{
    if (t->n_columns < old->n_columns) {
        return status_sql(INVALID, "42P16", "cannot drop columns from view");
    }
    for (size_t i = 0; i < old->n_columns; i++) {
        const Sherd__V1__ColumnDesc *x = old->columns[i], *y = t->columns[i];
        if (strcmp(x->name, y->name) != 0) {
            return status_hint(
                status_sql(INVALID, "42P16", "cannot change name of view column \"%s\" to \"%s\"",
                           x->name, y->name),
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.");
        }
        if (x->type != y->type || x->typmod != y->typmod) {
            return status_sql(INVALID, "42P16",
                              "cannot change data type of view column \"%s\" from %s to %s",
                              x->name, type_format(d->a, x->type, x->typmod),
                              type_format(d->a, y->type, y->typmod));
        }
    }
    return NULL;
}

struct status *ddl_create_view(struct ddl *d, const PgQuery__ViewStmt *s)
{
    d->tag = "CREATE VIEW";
    uint32_t schema;
    TRY(find_creation_schema(d, s->view, &schema));
    TRY(check_name(s->view->relname));
    if (s->with_check_option > PG_QUERY__VIEW_CHECK_OPTION__NO_CHECK_OPTION) {
        return status_hint(status_new(UNSUPPORTED, "WITH CHECK OPTION is not supported"),
                           "Views are read-only.");
    }
    const Sherd__V1__TableDesc *old =
        catalog_table(d->catalog, schema, slice_str(s->view->relname));
    bool is_view = old != NULL && old->view_sql != NULL && old->view_sql[0] != '\0';
    if (relation_exists(d, schema, s->view->relname) && !(s->replace && is_view)) {
        return s->replace && old != NULL
                   ? status_sql(INVALID, "42809", "\"%s\" is not a view", s->view->relname)
                   : status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists",
                                s->view->relname);
    }
    struct qualify q = {.d = d};
    TRY(each_message(&s->query->base, note_cte, &q));
    TRY(each_message(&s->query->base, qualify_table, &q));
    char *sql;
    TRY(deparse_statement(d, s->query, &sql));
    Sherd__V1__TableDesc *t = ARENA_NEW(d->a, Sherd__V1__TableDesc);
    sherd__v1__table_desc__init(t);
    TRY(view_columns(d, s, sql, t));
    uint32_t id = is_view ? old->id : 0;
    if (is_view) {
        TRY(check_replacement(d, old, t));
    } else {
        TRY(ddl_allocate(d, 1, &id));
    }
    t->id = id;
    t->database_id = d->x->env.database_id;
    t->schema_id = schema;
    t->name = arena_strdup(d->a, s->view->relname);
    t->owner = arena_strndup(d->a, d->x->env.user.data, d->x->env.user.len);
    t->version = is_view ? old->version : 1;
    if (is_view) {
        ddl_raise_version(d, t);
    }
    t->view_sql = sql;
    struct slice key = key_rel_name(d, t->database_id, schema, t->name);
    if (is_view) {
        ddl_compare(d, key_id4(d, "table/", id));
    } else {
        ddl_must_not_exist(d, key);
        ddl_put_bytes(d, key, rel_value(d, 'v', id));
    }
    ddl_put(d, key_id4(d, "table/", id), t);
    ddl_compare(d, key_id4(d, "schema/", schema));
    return ddl_apply(d);
}

/* ---- what reads a table ---- */

struct reads {
    struct ddl *d;
    const Sherd__V1__TableDesc *table;
    const char *new_name; /* or NULL: only look */
    bool found;
};

static struct status *see_table(ProtobufCMessage *m, void *ctx)
{
    struct reads *r = ctx;
    PgQuery__RangeVar *rv = (PgQuery__RangeVar *)m;
    if (!is_a(m, &pg_query__range_var__descriptor) || strcmp(rv->relname, r->table->name) != 0) {
        return NULL;
    }
    const Sherd__V1__SchemaDesc *s =
        catalog_schema(r->d->catalog, r->table->database_id, slice_str(rv->schemaname));
    if (s == NULL || s->id != r->table->schema_id) {
        return NULL;
    }
    r->found = true;
    if (r->new_name != NULL) {
        if (rv->alias == NULL) { /* columns may be written with the old name before them */
            rv->alias = ARENA_NEW(r->d->a, PgQuery__Alias);
            pg_query__alias__init(rv->alias);
            rv->alias->aliasname = rv->relname;
        }
        rv->relname = arena_strdup(r->d->a, r->new_name);
    }
    return NULL;
}

struct view_search {
    struct ddl *d;
    uint32_t database;
    const char *name;
    const Sherd__V1__TableDesc **views;
    int n, cap;
};

static bool note_view(void *ctx, const Sherd__V1__TableDesc *t)
{
    struct view_search *w = ctx;
    /* The name stands in the text of whoever reads it: most views are told apart without parsing.
     */
    if (t->database_id != w->database || t->view_sql == NULL ||
        strstr(t->view_sql, w->name) == NULL) {
        return true;
    }
    if (w->n == w->cap) {
        int cap = w->cap == 0 ? 8 : w->cap * 2;
        const Sherd__V1__TableDesc **wider =
            ARENA_ARRAY(w->d->a, const Sherd__V1__TableDesc *, cap);
        if (w->n > 0) {
            memcpy(wider, w->views, sizeof(*wider) * (size_t)w->n);
        }
        w->views = wider;
        w->cap = cap;
    }
    w->views[w->n++] = t;
    return true;
}

/* Parses the view and walks it; *out_sql is its new text when r->new_name is set and it reads the
 * table. */
static struct status *walk_view(struct ddl *d, const Sherd__V1__TableDesc *view, struct reads *r,
                                char **out_sql)
{
    struct parsed *p;
    TRY(parse_sql(d->f, slice_str(view->view_sql), &p));
    PgQuery__Node *n = (PgQuery__Node *)(uintptr_t)parsed_node(p, 0);
    r->found = false;
    struct status *st = each_message(&n->base, see_table, r);
    if (st == NULL && r->found && r->new_name != NULL) {
        st = deparse_statement(d, n, out_sql);
    }
    parsed_free(p);
    return st;
}

struct status *views_of(struct ddl *d, const Sherd__V1__TableDesc *t,
                        const Sherd__V1__TableDesc ***out, int *out_n)
{
    struct view_search w = {.d = d, .database = t->database_id, .name = t->name};
    catalog_each_table(d->catalog, note_view, &w);
    int n = 0;
    for (int i = 0; i < w.n; i++) {
        struct reads r = {.d = d, .table = t};
        TRY(walk_view(d, w.views[i], &r, NULL));
        if (r.found) {
            w.views[n++] = w.views[i];
        }
    }
    *out = w.views;
    *out_n = n;
    return NULL;
}

struct status *views_follow_rename(struct ddl *d, const Sherd__V1__TableDesc *t,
                                   const char *new_name)
{
    const Sherd__V1__TableDesc **views;
    int n;
    TRY(views_of(d, t, &views, &n));
    for (int i = 0; i < n; i++) {
        struct reads r = {.d = d, .table = t, .new_name = new_name};
        Sherd__V1__TableDesc *next;
        TRY(copy_table(d, views[i], &next));
        TRY(walk_view(d, views[i], &r, &next->view_sql));
        ddl_raise_version(d, next);
        ddl_compare(d, key_id4(d, "table/", next->id));
        ddl_put(d, key_id4(d, "table/", next->id), next);
    }
    return NULL;
}

/* Whether `name` stands in the text as a word: may be too often, never too seldom. */
static bool text_mentions(const char *sql, const char *name)
{
    size_t len = strlen(name);
    for (const char *p = strstr(sql, name); p != NULL && len > 0; p = strstr(p + 1, name)) {
        bool before = p > sql && (isalnum((unsigned char)p[-1]) || p[-1] == '_');
        bool after = isalnum((unsigned char)p[len]) || p[len] == '_';
        if (!before && !after) {
            return true;
        }
    }
    return false;
}

struct status *views_refuse_column(struct ddl *d, const Sherd__V1__TableDesc *t, const char *column)
{
    const Sherd__V1__TableDesc **views;
    int n;
    TRY(views_of(d, t, &views, &n));
    for (int i = 0; i < n; i++) {
        if (text_mentions(views[i]->view_sql, column) || strchr(views[i]->view_sql, '*') != NULL) {
            return status_hint(
                status_detail(
                    status_sql(
                        CONSTRAINT, "2BP01",
                        "cannot change column %s of table %s because other objects depend on it",
                        column, t->name),
                    "view %s depends on column %s of table %s", views[i]->name, column, t->name),
                "Drop the view, change the column, and create the view again.");
        }
    }
    return NULL;
}
