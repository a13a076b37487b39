/*
 * Definitions as SQL text, as PostgreSQL's ruleutils writes them: what psql, pg_dump-like tools and
 * reflection libraries read back. Expressions are kept as the user's text, so they come out as
 * written, not as PostgreSQL would print its tree.
 */
#include "system_internal.h"

#include "base/check.h"
#include "sql/expr.h"

#define FUNC_QUOTE_IDENT 1282

const char *quote_name(struct arena *a, const char *name)
{
    const struct func_def *fn = func_by_id(FUNC_QUOTE_IDENT);
    ASSERT(fn != NULL);
    struct eval_ctx ctx = {.arena = a};
    struct datum in = datum_bytes(slice_str(name)), out;
    if (status_consume(fn->scalar(&ctx, &in, 1, &out))) {
        return name; /* only a budget that is used up: the text is for display */
    }
    return arena_strndup(a, out.p, out.len);
}

const char *relation_text(const struct plan_env *env, struct arena *a, const struct relation *r)
{
    const char *name = quote_name(a, relation_name(r));
    if (relation_is_visible(env, r)) {
        return name;
    }
    return arena_printf(a, "%s.%s", quote_name(a, schema_name(env->catalog, relation_schema(r))),
                        name);
}

const char *table_text(const struct plan_env *env, struct arena *a, const Sherd__V1__TableDesc *t)
{
    struct relation r = {.table = t};
    return relation_text(env, a, &r);
}

static const char *finish(struct arena *a, struct buf *b)
{
    char *s = arena_strndup(a, b->data, b->len);
    buf_deinit(b);
    return s;
}

/* A text that is one string literal, quotes and all. */
static bool is_literal(const char *s)
{
    size_t n = strlen(s);
    if (n < 2 || s[0] != '\'' || s[n - 1] != '\'') {
        return false;
    }
    for (size_t i = 1; i + 1 < n; i++) {
        if (s[i] == '\'') {
            if (s[i + 1] != '\'' || i + 2 >= n) {
                return false;
            }
            i++;
        }
    }
    return true;
}

const char *default_text(const struct plan_env *env, struct arena *a, const Sherd__V1__TableDesc *t,
                         const Sherd__V1__ColumnDesc *c)
{
    (void)t;
    if (c->generated_sql != NULL && c->generated_sql[0] != '\0') {
        return c->generated_sql;
    }
    if (!c->has_default || c->identity != 0) {
        return NULL;
    }
    const Sherd__V1__SequenceDesc *q =
        c->sequence_id != 0 ? catalog_sequence_by_id(env->catalog, c->sequence_id) : NULL;
    if (q != NULL) {
        struct relation r = {.sequence = q};
        const char *name = relation_text(env, a, &r);
        return arena_printf(a, "nextval('%s'::regclass)", name);
    }
    if (is_literal(c->default_sql)) {
        const struct type_info *ti = type_find(c->type);
        if (ti->category == 'N' || c->type == TYPE_BOOL) {
            /* PostgreSQL folds '0' for a number to 0. */
            return arena_strndup(a, c->default_sql + 1, strlen(c->default_sql) - 2);
        }
        return arena_printf(a, "%s::%s", c->default_sql,
                            c->type == TYPE_BPCHAR ? "bpchar" : ti->sql_name);
    }
    return c->default_sql;
}

/* ---- indexes ---- */

const char *index_key_text(struct arena *a, const Sherd__V1__TableDesc *t,
                           const Sherd__V1__IndexDesc *ix, int n)
{
    return n < 1 || (size_t)n > ix->n_columns
               ? ""
               : quote_name(a, t->columns[ix->columns[n - 1]->ordinal]->name);
}

const char *index_text(const struct plan_env *env, struct arena *a, const Sherd__V1__TableDesc *t,
                       const Sherd__V1__IndexDesc *ix, bool is_pretty)
{
    const char *table =
        is_pretty ? table_text(env, a, t)
                  : arena_printf(a, "%s.%s", quote_name(a, schema_name(env->catalog, t->schema_id)),
                                 quote_name(a, t->name));
    struct buf b = {0};
    buf_printf(&b, "CREATE %sINDEX %s ON %s USING btree (", ix->unique ? "UNIQUE " : "",
               quote_name(a, ix->name), table);
    for (size_t i = 0; i < ix->n_columns; i++) {
        const Sherd__V1__IndexColumn *c = ix->columns[i];
        const char *order = c->desc && c->nulls_first    ? " DESC"
                            : c->desc                    ? " DESC NULLS LAST"
                            : !c->desc && c->nulls_first ? " NULLS FIRST"
                                                         : "";
        buf_printf(&b, "%s%s%s", i > 0 ? ", " : "", quote_name(a, t->columns[c->ordinal]->name),
                   order);
    }
    buf_put_u8(&b, ')');
    if (ix->where_sql != NULL && ix->where_sql[0] != '\0') {
        buf_printf(&b, " WHERE (%s)", ix->where_sql);
    }
    return finish(a, &b);
}

/* ---- constraints ---- */

static void put_columns(struct buf *b, struct arena *a, const Sherd__V1__TableDesc *t,
                        const uint32_t *ordinals, size_t n)
{
    buf_put_u8(b, '(');
    for (size_t i = 0; i < n; i++) {
        buf_printf(b, "%s%s", i > 0 ? ", " : "", quote_name(a, t->columns[ordinals[i]]->name));
    }
    buf_put_u8(b, ')');
}

const char *key_constraint_text(struct arena *a, const Sherd__V1__TableDesc *t,
                                const Sherd__V1__IndexDesc *ix)
{
    struct buf b = {0};
    buf_printf(&b, "%s (", ix->primary ? "PRIMARY KEY" : "UNIQUE");
    for (size_t i = 0; i < ix->n_columns; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "",
                   quote_name(a, t->columns[ix->columns[i]->ordinal]->name));
    }
    buf_put_u8(&b, ')');
    return finish(a, &b);
}

static const char *action_text(uint32_t action)
{
    switch (action) {
    case 'r':
        return "RESTRICT";
    case 'c':
        return "CASCADE";
    case 'n':
        return "SET NULL";
    case 'd':
        return "SET DEFAULT";
    default:
        return NULL;
    }
}

const char *constraint_text(const struct plan_env *env, struct arena *a,
                            const Sherd__V1__TableDesc *t, const Sherd__V1__ConstraintDesc *k,
                            bool is_pretty)
{
    const char *not_valid = k->validated ? "" : " NOT VALID";
    if (k->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
        return is_pretty ? arena_printf(a, "CHECK (%s)%s", k->check_sql, not_valid)
                         : arena_printf(a, "CHECK ((%s))%s", k->check_sql, not_valid);
    }
    const Sherd__V1__TableDesc *ref = catalog_table_by_id(env->catalog, k->ref_table_id);
    if (ref == NULL) {
        return "";
    }
    struct buf b = {0};
    buf_printf(&b, "FOREIGN KEY ");
    put_columns(&b, a, t, k->ordinals, k->n_ordinals);
    buf_printf(&b, " REFERENCES %s", table_text(env, a, ref));
    put_columns(&b, a, ref, k->ref_ordinals, k->n_ref_ordinals);
    const char *on_update = action_text(k->on_update), *on_delete = action_text(k->on_delete);
    if (on_update != NULL) {
        buf_printf(&b, " ON UPDATE %s", on_update);
    }
    if (on_delete != NULL) {
        buf_printf(&b, " ON DELETE %s", on_delete);
    }
    buf_printf(&b, "%s", not_valid);
    return finish(a, &b);
}

const char *view_text(struct arena *a, const Sherd__V1__TableDesc *t)
{
    const char *s = t->view_sql;
    while (*s == ' ' || *s == '\n' || *s == '\t' || *s == '\r') {
        s++;
    }
    return arena_printf(a, " %s;", s);
}
