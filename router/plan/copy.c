/*
 * COPY: the target table and its columns for COPY FROM, a plan of a SELECT for COPY TO. Reading and
 * writing of the text and csv forms is the session's.
 */
#include "exec/exec.h"

#include "analyze/analyze.h"

#include <strings.h>

struct copy_target {
    struct arena *arena;
    const Sherd__V1__TableDesc *table;
    struct table_write write;
    int ngiven;
    int *given;        /* ordinals, by column of the input */
    struct expr **row; /* by ordinal: default expressions; NULL where given */
    struct query *q;
    struct plan plan; /* what run_create() needs */
};

const struct plan *copy_plan(const struct copy_target *t)
{
    return &t->plan;
}

static struct status *one_byte(struct analyzer *z, const PgQuery__DefElem *d, const char *text,
                               const char *what, char *out)
{
    if (text == NULL || strlen(text) != 1) {
        return at(
            z,
            status_sql(UNSUPPORTED, "0A000", "COPY %s must be a single one-byte character", what),
            d->location);
    }
    *out = text[0];
    return NULL;
}

static struct status *copy_option(struct analyzer *z, const PgQuery__DefElem *d,
                                  struct copy_spec *s, bool *has_delimiter, bool *has_quote)
{
    const char *text = node_string(d->arg);
    bool on = text == NULL || (strcasecmp(text, "off") != 0 && strcasecmp(text, "false") != 0);
    if (d->arg != NULL && d->arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN) {
        on = d->arg->boolean->boolval;
    }
    if (d->arg != NULL && d->arg->node_case == PG_QUERY__NODE__NODE_INTEGER) {
        on = d->arg->integer->ival != 0;
    }
    if (strcmp(d->defname, "format") == 0) {
        if (text != NULL && strcmp(text, "csv") == 0) {
            s->is_csv = true;
        } else if (text == NULL || strcmp(text, "text") != 0) {
            return at(
                z,
                status_hint(status_sql(UNSUPPORTED, "0A000", "COPY format \"%s\" is not supported",
                                       text == NULL ? "" : text),
                            "There are the formats text and csv."),
                d->location);
        }
        return NULL;
    }
    if (strcmp(d->defname, "delimiter") == 0) {
        *has_delimiter = true;
        return one_byte(z, d, text, "delimiter", &s->delimiter);
    }
    if (strcmp(d->defname, "quote") == 0) {
        *has_quote = true;
        return one_byte(z, d, text, "quote", &s->quote);
    }
    if (strcmp(d->defname, "escape") == 0) {
        return one_byte(z, d, text, "escape", &s->escape);
    }
    if (strcmp(d->defname, "null") == 0) {
        s->null_text = arena_strdup(z->a, text == NULL ? "" : text);
        return NULL;
    }
    if (strcmp(d->defname, "header") == 0) {
        s->has_header = on;
        return NULL;
    }
    if (strcmp(d->defname, "freeze") == 0) {
        s->freeze = on;
        return NULL;
    }
    if (strcmp(d->defname, "encoding") == 0) {
        if (text == NULL || (strcasecmp(text, "utf8") != 0 && strcasecmp(text, "utf-8") != 0)) {
            return unsupported(z, d->location, "COPY in an encoding other than UTF8");
        }
        return NULL;
    }
    if (strcmp(d->defname, "force_quote") == 0 || strcmp(d->defname, "force_null") == 0 ||
        strcmp(d->defname, "force_not_null") == 0) {
        return unsupported(z, d->location, "COPY option %s", d->defname);
    }
    return at(z, status_sql(INVALID, "42601", "option \"%s\" not recognized", d->defname),
              d->location);
}

static struct status *copy_options(struct analyzer *z, const PgQuery__CopyStmt *s,
                                   struct copy_spec *spec)
{
    bool has_delimiter = false, has_quote = false;
    for (size_t i = 0; i < s->n_options; i++) {
        TRY(copy_option(z, s->options[i]->def_elem, spec, &has_delimiter, &has_quote));
    }
    if (!has_delimiter) {
        spec->delimiter = spec->is_csv ? ',' : '\t';
    }
    if (!has_quote) {
        spec->quote = '"';
    } else if (!spec->is_csv) {
        return status_sql(INVALID, "0A000", "COPY quote available only in CSV mode");
    }
    if (spec->escape == 0) {
        spec->escape = spec->quote;
    }
    if (spec->null_text == NULL) {
        spec->null_text = spec->is_csv ? "" : "\\N";
    }
    if (spec->delimiter == '\n' || spec->delimiter == '\r') {
        return status_sql(INVALID, "22023", "COPY delimiter cannot be newline or carriage return");
    }
    return NULL;
}

static struct status *copy_columns(struct analyzer *z, const PgQuery__CopyStmt *s,
                                   const Sherd__V1__TableDesc *t, struct copy_spec *spec,
                                   int **out_given)
{
    int cap = (int)(t->n_columns + s->n_attlist);
    int *given = ARENA_ARRAY(z->a, int, cap + 1);
    spec->cols = ARENA_ARRAY(z->a, struct plan_column, cap + 1);
    spec->ncols = 0;
    size_t n = s->n_attlist > 0 ? s->n_attlist : t->n_columns;
    for (size_t i = 0; i < n; i++) {
        const Sherd__V1__ColumnDesc *c =
            s->n_attlist > 0 ? table_column(t, node_string(s->attlist[i])) : t->columns[i];
        if (c == NULL || (s->n_attlist > 0 && table_is_hidden(t, c))) {
            return status_sql(INVALID, "42703", "column \"%s\" of relation \"%s\" does not exist",
                              node_string(s->attlist[i]), t->name);
        }
        bool generated = c->generated_sql != NULL && c->generated_sql[0] != '\0';
        if (generated && s->n_attlist > 0) {
            return status_detail(
                status_sql(INVALID, "42P10", "column \"%s\" is a generated column", c->name),
                "Generated columns cannot be used in COPY.");
        }
        if (c->dropped || table_is_hidden(t, c) || generated) {
            continue;
        }
        for (int k = 0; k < spec->ncols; k++) {
            if (given[k] == (int)c->ordinal) {
                return status_sql(INVALID, "42701", "column \"%s\" specified more than once",
                                  c->name);
            }
        }
        given[spec->ncols] = (int)c->ordinal;
        spec->cols[spec->ncols++] = (struct plan_column){.name = c->name,
                                                         .type = c->type,
                                                         .typmod = c->typmod,
                                                         .table_oid = t->id,
                                                         .attnum = (uint16_t)c->attnum};
    }
    *out_given = given;
    return NULL;
}

static void release_catalog(void *c)
{
    catalog_unref(c);
}

static struct status *copy_from(struct analyzer *z, const PgQuery__CopyStmt *s,
                                struct copy_spec *spec, struct copy_target **out)
{
    const Sherd__V1__TableDesc *t;
    const struct system_table *sys;
    arena_on_free(z->a, release_catalog, catalog_ref(z->env->catalog)); /* the descriptors stay */
    TRY(relation_find(z, s->relation, &t, &sys));
    if (sys != NULL || (t->view_sql != NULL && t->view_sql[0] != '\0')) {
        return status_sql(INVALID, "42809", "cannot copy to view \"%s\"", s->relation->relname);
    }
    struct copy_target *ct = ARENA_NEW(z->a, struct copy_target);
    ct->arena = z->a;
    ct->table = t;
    ct->q = z->q;
    TRY(copy_columns(z, s, t, spec, &ct->given));
    ct->ngiven = spec->ncols;
    TRY(table_write_make(z->f, z->env, z->a, t, NULL, &ct->write));
    ct->row = ARENA_ARRAY(z->a, struct expr *, t->n_columns + 1);
    for (size_t i = 0; i < t->n_columns; i++) {
        bool given = false;
        for (int k = 0; k < ct->ngiven; k++) {
            given |= ct->given[k] == (int)i;
        }
        if (!given) {
            TRY(column_default(z, t, t->columns[i], &ct->row[i]));
        }
    }
    ct->plan = (struct plan){
        .refs = 1, .arena = z->a, .q = z->q, .catalog = z->env->catalog, .tag = PLAN_INSERT};
    query_depends(z->q, t);
    plan_dependencies(&ct->plan, &ct->write);
    *out = ct;
    return NULL;
}

/* COPY t (a, b) TO: a SELECT of those columns. */
static struct status *copy_to(struct analyzer *z, const struct parsed *p,
                              const PgQuery__CopyStmt *s, struct copy_spec *spec,
                              struct plan **out_query)
{
    struct parsed *made = NULL;
    const PgQuery__Node *n = s->query;
    struct plan *plan;
    struct status *st = NULL;
    (void)p;
    if (n == NULL) {
        struct buf sql = {0};
        buf_printf(&sql, "SELECT ");
        for (size_t i = 0; i < s->n_attlist; i++) {
            buf_printf(&sql, "%s", i > 0 ? ", " : "");
            analyze_put_name(&sql, node_string(s->attlist[i]));
        }
        buf_printf(&sql, "%s FROM ", s->n_attlist == 0 ? "*" : "");
        if (s->relation->schemaname[0] != '\0') {
            analyze_put_name(&sql, s->relation->schemaname);
            buf_put_u8(&sql, '.');
        }
        analyze_put_name(&sql, s->relation->relname);
        st = parse_sql(z->f, buf_slice(&sql), &made);
        buf_deinit(&sql);
        TRY(st);
        st = plan_statement(z->f, z->env, made, 0, NULL, 0, &plan);
        parsed_free(made);
    } else {
        st = plan_subquery(z->f, z->env, n, &plan);
    }
    TRY(st);
    const struct plan_column *cols;
    spec->ncols = plan_columns(plan, &cols);
    if (spec->ncols == 0 && n != NULL && n->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        plan_unref(plan);
        return status_sql(UNSUPPORTED, "0A000", "COPY query must have a RETURNING clause");
    }
    spec->cols = ARENA_ARRAY(z->a, struct plan_column, spec->ncols + 1);
    memcpy(spec->cols, cols, sizeof(*cols) * (size_t)spec->ncols);
    for (int i = 0; i < spec->ncols; i++) {
        spec->cols[i].name = arena_strdup(z->a, spec->cols[i].name);
    }
    *out_query = plan;
    return NULL;
}

struct status *plan_copy(struct fiber *f, const struct plan_env *env, const struct parsed *p, int i,
                         struct arena *a, struct copy_spec *out_spec,
                         struct copy_target **out_target, struct plan **out_query)
{
    const PgQuery__Node *n = parsed_node(p, i);
    const PgQuery__CopyStmt *s = n->copy_stmt;
    struct query *q = ARENA_NEW(a, struct query);
    q->arena = a;
    struct analyzer z = {
        .q = q, .a = a, .f = f, .env = env, .sql = (const char *)parsed_sql(p).data};
    struct copy_spec spec = {.is_from = s->is_from};
    *out_target = NULL;
    *out_query = NULL;
    if (s->is_program || s->filename[0] != '\0') {
        return status_hint(
            status_sql(DENIED, "42501", "COPY to or from %s is not possible",
                       s->is_program ? "an external program" : "a file of the server"),
            "Use COPY ... FROM STDIN or TO STDOUT; psql's \\copy does that with files of the "
            "client.");
    }
    if (s->where_clause != NULL) {
        return unsupported(&z, -1, "COPY FROM ... WHERE");
    }
    TRY(copy_options(&z, s, &spec));
    TRY(s->is_from ? copy_from(&z, s, &spec, out_target) : copy_to(&z, p, s, &spec, out_query));
    *out_spec = spec;
    return NULL;
}

struct status *copy_insert(struct fiber *f, struct copy_target *t, struct exec *x,
                           const struct batch *rows)
{
    struct run *r;
    if (rows->nrows == 0) {
        return NULL;
    }
    TRY(run_create(f, &t->plan, x, &r));
    struct arena *a = x->arena;
    struct batch *full = ARENA_NEW(a, struct batch);
    int n = (int)t->table->n_columns;
    full->ncols = n;
    full->nrows = full->cap = rows->nrows;
    full->arena = a;
    full->cols = ARENA_ARRAY(a, struct datum *, n + 1);
    full->types = ARENA_ARRAY(a, uint32_t, n + 1);
    struct batch none = {.nrows = rows->nrows, .cap = rows->nrows, .arena = a};
    for (int c = 0; c < n; c++) {
        full->types[c] = t->table->columns[c]->type;
        if (t->row[c] != NULL) {
            full->cols[c] = ARENA_ARRAY(a, struct datum, rows->nrows + 1);
            TRY(expr_eval(&r->eval, t->row[c], &none, NULL, rows->nrows, full->cols[c]));
        }
    }
    for (int k = 0; k < t->ngiven; k++) {
        full->cols[t->given[k]] = rows->cols[k];
    }
    TRY(rows_complete(r, &t->write, a, full, true));
    struct writer w;
    writer_init(&w, r, &t->write, a);
    TRY(insert_rows(r, &t->write, &w, a, full, false));
    x->rows_affected += (uint64_t)rows->nrows;
    return NULL;
}
