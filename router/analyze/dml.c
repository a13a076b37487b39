/*
 * INSERT, UPDATE, DELETE.
 *
 * INSERT's source becomes rows in the table's own layout (one column per ordinal): given values
 * cast to their columns, defaults for the others. UPDATE and DELETE read the rows they change by a
 * locking scan that gives all columns. Checks, indexes and foreign keys come from the descriptor
 * when the plan is made (plan/physical.c); RETURNING is analyzed here.
 */
#include "analyze.h"

#include "ddl/system.h"

static struct status *target_table(struct analyzer *z, const PgQuery__RangeVar *rv,
                                   const char *verb, const Sherd__V1__TableDesc **out)
{
    const struct system_table *sys;
    TRY(relation_find(z, rv, out, &sys));
    if (sys != NULL) {
        return at(
            z,
            status_sql(DENIED, "42501", "permission denied: \"%s\" is a system catalog", sys->name),
            rv->location);
    }
    if ((*out)->view_sql != NULL && (*out)->view_sql[0] != '\0') {
        return at(
            z,
            status_hint(status_sql(INVALID, "55000", "cannot %s view \"%s\"", verb, (*out)->name),
                        "Write to the tables behind it."),
            rv->location);
    }
    query_depends(z->q, *out);
    return NULL;
}

static struct dml *dml_new(struct analyzer *z, const Sherd__V1__TableDesc *t)
{
    struct dml *d = ARENA_NEW(z->a, struct dml);
    d->table = t;
    d->ncolumns = (int)t->n_columns;
    z->q->dml = d;
    return d;
}

static struct status *no_column(struct analyzer *z, const Sherd__V1__TableDesc *t, const char *name,
                                int location)
{
    return at(z,
              status_sql(INVALID, "42703", "column \"%s\" of relation \"%s\" does not exist", name,
                         t->name),
              location);
}

static bool is_generated(const Sherd__V1__ColumnDesc *c)
{
    return c->generated_sql != NULL && c->generated_sql[0] != '\0';
}

static struct status *returning(struct analyzer *z, struct scope *sc, PgQuery__Node *const *list,
                                size_t n)
{
    if (n == 0) {
        return NULL;
    }
    struct query *q = z->q;
    struct target_list t = {0};
    sc->place = sc->srf_place = "RETURNING";
    TRY(analyze_targets(z, sc, list, n, &t));
    for (int i = 0; i < t.n; i++) {
        TRY(coerce_unknown(z, &t.exprs[i]));
    }
    q->dml->nreturning = q->ncolumns = t.n;
    q->dml->returning = t.exprs;
    q->columns = ARENA_ARRAY(z->a, struct plan_column, t.n + 1);
    for (int i = 0; i < t.n; i++) {
        q->columns[i] = (struct plan_column){
            .name = t.names[i], .type = t.exprs[i]->type, .typmod = t.exprs[i]->typmod};
        if (t.exprs[i]->kind == EXPR_COLUMN) {
            q->columns[i].table_oid = q->vars[t.exprs[i]->index].table_oid;
            q->columns[i].attnum = q->vars[t.exprs[i]->index].attnum;
        }
    }
    return NULL;
}

/* ---- defaults ---- */

struct status *column_default(struct analyzer *z, const Sherd__V1__TableDesc *t,
                              const Sherd__V1__ColumnDesc *col, struct expr **out)
{
    struct expr *e = NULL;
    if (col->dropped || is_generated(col) || table_is_hidden(t, col)) {
        *out = expr_null(z->a, col->type, -1); /* filled in when the row is written */
        return NULL;
    }
    if (col->has_default && col->default_sql != NULL && col->default_sql[0] != '\0') {
        TRY(table_expr(z, t, col->default_sql, &e));
        e->location = -1;
    } else if (col->sequence_id != 0) {
        struct expr *seq = expr_const(z->a, TYPE_REGCLASS, datum_int((int64_t)col->sequence_id));
        seq->typmod = seq->location = -1;
        TRY(make_call(z, "nextval", 1, &seq, -1, &e));
    } else {
        *out = expr_null(z->a, col->type, col->typmod);
        return NULL;
    }
    return coerce_column(z, e, col, out);
}

struct status *row_defaults(struct analyzer *z, const Sherd__V1__TableDesc *t, int ngiven,
                            const int *given, struct expr *const *values, struct expr **out_row)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        out_row[i] = NULL;
    }
    for (int i = 0; i < ngiven; i++) {
        out_row[given[i]] = values[i];
    }
    for (size_t i = 0; i < t->n_columns; i++) {
        if (out_row[i] == NULL) {
            TRY(column_default(z, t, t->columns[i], &out_row[i]));
        }
    }
    return NULL;
}

/* ---- INSERT ---- */

struct insert_state {
    struct analyzer *z;
    const PgQuery__InsertStmt *s;
    const Sherd__V1__TableDesc *t;
    struct scope *sc;
    int ncols;
    int *ordinals;
    bool is_listed;
};

static struct status *insert_columns(struct insert_state *in)
{
    struct analyzer *z = in->z;
    const Sherd__V1__TableDesc *t = in->t;
    in->ordinals = ARENA_ARRAY(z->a, int, t->n_columns + in->s->n_cols + 1);
    in->is_listed = in->s->n_cols > 0;
    if (!in->is_listed) {
        for (size_t i = 0; i < t->n_columns; i++) {
            if (!t->columns[i]->dropped && !table_is_hidden(t, t->columns[i])) {
                in->ordinals[in->ncols++] = (int)i;
            }
        }
        return NULL;
    }
    for (size_t i = 0; i < in->s->n_cols; i++) {
        const PgQuery__ResTarget *rt = in->s->cols[i]->res_target;
        const Sherd__V1__ColumnDesc *c = table_column(t, rt->name);
        if (c == NULL || table_is_hidden(t, c)) {
            return no_column(z, t, rt->name, rt->location);
        }
        if (rt->n_indirection > 0) {
            return unsupported(z, rt->location, "assignment to parts of a column");
        }
        for (int k = 0; k < in->ncols; k++) {
            if (in->ordinals[k] == (int)c->ordinal) {
                return at(z,
                          status_sql(INVALID, "42701", "column \"%s\" specified more than once",
                                     rt->name),
                          rt->location);
            }
        }
        in->ordinals[in->ncols++] = (int)c->ordinal;
    }
    return NULL;
}

/* A value given for a column that makes its own. */
static struct status *insert_given(struct insert_state *in, const Sherd__V1__ColumnDesc *c,
                                   bool *out_use_default)
{
    *out_use_default = false;
    if (is_generated(c)) {
        return status_detail(status_sql(INVALID, "428C9",
                                        "cannot insert a non-DEFAULT value into column \"%s\"",
                                        c->name),
                             "Column \"%s\" is a generated column.", c->name);
    }
    if (c->identity != 0 && in->s->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE) {
        *out_use_default = true;
        return NULL;
    }
    if (c->identity == 1 && in->s->override != PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE) {
        return status_hint(
            status_detail(
                status_sql(INVALID, "428C9", "cannot insert a non-DEFAULT value into column \"%s\"",
                           c->name),
                "Column \"%s\" is an identity column defined as GENERATED ALWAYS.", c->name),
            "Use OVERRIDING SYSTEM VALUE to override.");
    }
    return NULL;
}

static struct status *insert_count(struct insert_state *in, int n, int location)
{
    if (n > in->ncols) {
        return at(in->z,
                  status_sql(INVALID, "42601", "INSERT has more expressions than target columns"),
                  location);
    }
    if (n < in->ncols && in->is_listed) {
        return at(in->z,
                  status_sql(INVALID, "42601", "INSERT has more target columns than expressions"),
                  in->s->cols[n]->res_target->location);
    }
    return NULL;
}

static int node_location(const PgQuery__Node *n)
{
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return n->a_const->location;
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return n->column_ref->location;
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return n->func_call->location;
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return n->param_ref->location;
    default:
        return -1;
    }
}

static struct status *insert_values(struct insert_state *in, const PgQuery__SelectStmt *s,
                                    struct rel **out)
{
    struct analyzer *z = in->z;
    int ncols = (int)in->t->n_columns, width = -1;
    struct rel *r = rel_new(z->q, REL_VALUES, NULL);
    r->nrows = (int)s->n_values_lists;
    r->rows = ARENA_ARRAY(z->a, struct expr **, r->nrows);
    struct expr **defaults = ARENA_ARRAY(z->a, struct expr *, ncols);
    TRY(row_defaults(z, in->t, 0, NULL, NULL, defaults));
    in->sc->place = in->sc->srf_place = "VALUES";
    for (int i = 0; i < r->nrows; i++) {
        const PgQuery__List *l = s->values_lists[i]->list;
        int n = (int)l->n_items;
        if (width >= 0 && n != width) {
            return at(z, status_sql(INVALID, "42601", "VALUES lists must all be the same length"),
                      node_location(l->items[0]));
        }
        width = n;
        TRY(insert_count(in, n, n > in->ncols ? node_location(l->items[in->ncols]) : -1));
        struct expr **row = ARENA_ARRAY(z->a, struct expr *, ncols);
        memcpy(row, defaults, sizeof(*row) * (size_t)ncols);
        for (int k = 0; k < n; k++) {
            const Sherd__V1__ColumnDesc *c = in->t->columns[in->ordinals[k]];
            if (l->items[k]->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) {
                continue;
            }
            bool use_default;
            TRY(insert_given(in, c, &use_default));
            struct expr *e;
            TRY(analyze_expr(z, in->sc, l->items[k], &e));
            TRY(coerce_column(z, e, c, &e));
            if (!use_default) {
                row[in->ordinals[k]] = e;
            }
        }
        r->rows[i] = row;
    }
    in->sc->place = in->sc->srf_place = NULL;
    *out = r;
    return NULL;
}

static bool scans_tables(const struct rel *r)
{
    return r != NULL && (r->kind == REL_TABLE || r->kind == REL_CTE || scans_tables(r->left) ||
                         scans_tables(r->right));
}

static struct status *insert_select(struct insert_state *in, const PgQuery__SelectStmt *s,
                                    struct rel **out)
{
    struct analyzer *z = in->z;
    struct block b;
    TRY(analyze_select_raw(z, in->sc, s, &b, NULL));
    TRY(insert_count(in, b.nouts, -1));
    struct expr **values = ARENA_ARRAY(z->a, struct expr *, b.nouts + 1);
    int *given = ARENA_ARRAY(z->a, int, b.nouts + 1);
    int n = 0;
    for (int i = 0; i < b.nouts; i++) {
        const Sherd__V1__ColumnDesc *c = in->t->columns[in->ordinals[i]];
        bool use_default;
        TRY(insert_given(in, c, &use_default));
        if (z->q->vars[b.outs[i]].type == TYPE_UNKNOWN) {
            TRY(block_retype(z, &b, i, c->type, c->typmod));
        }
        if (!use_default) {
            TRY(coerce_column(z, query_column(z->q, b.outs[i]), c, &values[n]));
            given[n++] = (int)c->ordinal;
        }
    }
    struct rel *p = rel_new(z->q, REL_PROJECT, b.rel);
    p->exprs = ARENA_ARRAY(z->a, struct expr *, in->t->n_columns + 1);
    p->nexprs = (int)in->t->n_columns;
    TRY(row_defaults(z, in->t, n, given, values, p->exprs));
    *out = p;
    z->q->dml->reads_tables = scans_tables(b.rel);
    for (int i = 0; i < z->q->nsubplans; i++) {
        z->q->dml->reads_tables |= scans_tables(z->q->subplans[i]->rel);
    }
    return NULL;
}

static bool index_matches(const Sherd__V1__IndexDesc *ix, int n, const uint32_t *ordinals)
{
    if (!ix->unique || (int)ix->n_columns != n ||
        (ix->where_sql != NULL && ix->where_sql[0] != '\0')) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        bool found = false;
        for (int k = 0; k < n; k++) {
            found |= ix->columns[k]->ordinal == ordinals[i];
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static struct status *conflict_target(struct analyzer *z, struct dml *d,
                                      const PgQuery__OnConflictClause *oc)
{
    const PgQuery__InferClause *inf = oc->infer;
    const Sherd__V1__TableDesc *t = d->table;
    if (inf == NULL) {
        if (oc->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE) {
            return at(z,
                      status_hint(status_sql(INVALID, "42601",
                                             "ON CONFLICT DO UPDATE requires inference "
                                             "specification or constraint name"),
                                  "For example, ON CONFLICT (column_name)."),
                      oc->location);
        }
        return NULL;
    }
    if (inf->conname != NULL && inf->conname[0] != '\0') {
        for (size_t i = 0; i < t->n_indexes; i++) {
            if (t->indexes[i]->unique && strcmp(t->indexes[i]->name, inf->conname) == 0) {
                d->arbiter = t->indexes[i];
                return NULL;
            }
        }
        return at(z,
                  status_sql(NOT_FOUND, "42704",
                             "constraint \"%s\" for table \"%s\" does not exist", inf->conname,
                             t->name),
                  inf->location);
    }
    uint32_t ordinals[32];
    int n = (int)inf->n_index_elems;
    if (n > 32 || inf->where_clause != NULL) {
        return unsupported(z, inf->location, "this ON CONFLICT target");
    }
    for (int i = 0; i < n; i++) {
        const PgQuery__IndexElem *el = inf->index_elems[i]->index_elem;
        const Sherd__V1__ColumnDesc *c = el->expr == NULL ? table_column(t, el->name) : NULL;
        if (el->expr != NULL) {
            return unsupported(z, inf->location, "expressions as ON CONFLICT target");
        }
        if (c == NULL) {
            return at(z, status_sql(INVALID, "42703", "column \"%s\" does not exist", el->name),
                      inf->location);
        }
        ordinals[i] = c->ordinal;
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (index_matches(t->indexes[i], n, ordinals)) {
            d->arbiter = t->indexes[i];
            return NULL;
        }
    }
    return status_sql(
        INVALID, "42P10",
        "there is no unique or exclusion constraint matching the ON CONFLICT specification");
}

static struct status *set_list(struct analyzer *z, struct scope *sc, struct dml *d,
                               PgQuery__Node *const *list, size_t n);

static struct status *on_conflict(struct insert_state *in, struct nsitem *target)
{
    struct analyzer *z = in->z;
    struct dml *d = z->q->dml;
    const PgQuery__OnConflictClause *oc = in->s->on_conflict_clause;
    if (oc == NULL || oc->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_NONE) {
        return NULL;
    }
    TRY(conflict_target(z, d, oc));
    d->conflict = CONFLICT_NOTHING;
    if (oc->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_NOTHING) {
        return NULL;
    }
    d->conflict = CONFLICT_UPDATE;
    struct scope *sc = scope_new(z, NULL);
    struct nsitem *ex = ARENA_NEW(z->a, struct nsitem);
    *ex = *target;
    ex->name = "excluded";
    ex->schema = NULL;
    ex->table = NULL;
    ex->vars = ARENA_ARRAY(z->a, int, target->ncols + 1);
    for (int c = 0; c < target->ncols; c++) {
        ex->vars[c] = d->row_vars[z->q->vars[target->vars[c]].ordinal];
    }
    TRY(scope_add(z, sc, target, -1));
    TRY(scope_add(z, sc, ex, -1));
    TRY(set_list(z, sc, d, oc->target_list, oc->n_target_list));
    if (oc->where_clause != NULL) {
        TRY(analyze_cond(z, sc, oc->where_clause, "WHERE", &d->conflict_where));
    }
    return NULL;
}

struct status *analyze_insert(struct analyzer *z, const PgQuery__InsertStmt *s)
{
    struct insert_state in = {.z = z, .s = s};
    z->q->tag = PLAN_INSERT;
    in.sc = scope_new(z, NULL);
    TRY(analyze_with(z, in.sc, s->with_clause));
    TRY(target_table(z, s->relation, "insert into", &in.t));
    struct dml *d = dml_new(z, in.t);
    TRY(insert_columns(&in));
    const PgQuery__SelectStmt *sel = s->select_stmt == NULL ? NULL : s->select_stmt->select_stmt;
    struct rel *r = NULL;
    if (sel == NULL) { /* DEFAULT VALUES */
        r = rel_new(z->q, REL_VALUES, NULL);
        r->nrows = 1;
        r->rows = ARENA_ARRAY(z->a, struct expr **, 1);
        r->rows[0] = ARENA_ARRAY(z->a, struct expr *, in.t->n_columns + 1);
        TRY(row_defaults(z, in.t, 0, NULL, NULL, r->rows[0]));
    } else if (sel->n_values_lists > 0 && sel->n_sort_clause == 0 && sel->limit_count == NULL &&
               sel->limit_offset == NULL && sel->with_clause == NULL) {
        TRY(insert_values(&in, sel, &r));
    } else {
        TRY(insert_select(&in, sel, &r));
    }
    r->nvars = d->ncolumns;
    r->vars = d->row_vars = ARENA_ARRAY(z->a, int, d->ncolumns + 1);
    for (int i = 0; i < d->ncolumns; i++) {
        const Sherd__V1__ColumnDesc *c = in.t->columns[i];
        d->row_vars[i] = query_var(z->q, c->name, c->type, c->typmod);
    }
    z->q->block = (struct block){.rel = r, .nouts = d->ncolumns, .outs = d->row_vars};
    struct nsitem *target;
    const char *alias = s->relation->alias != NULL ? s->relation->alias->aliasname : in.t->name;
    struct rel *self = table_rel(z, in.t, alias, &target);
    d->old_vars = self->col_vars;
    TRY(on_conflict(&in, target));
    struct scope *rs = scope_new(z, NULL);
    TRY(scope_add(z, rs, target, -1));
    return returning(z, rs, s->returning_list, s->n_returning_list);
}

/* ---- UPDATE, DELETE ---- */

static struct status *set_value(struct analyzer *z, struct scope *sc, struct dml *d,
                                const Sherd__V1__ColumnDesc *c, const PgQuery__Node *n,
                                struct expr **out)
{
    if (n->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
        const PgQuery__MultiAssignRef *m = n->multi_assign_ref;
        const PgQuery__Node *src = m->source;
        if (src->node_case != PG_QUERY__NODE__NODE_ROW_EXPR) {
            return unsupported(z, -1, "SET (columns) = (sub-select)");
        }
        if ((int)src->row_expr->n_args != m->ncolumns) {
            return at(
                z,
                status_sql(INVALID, "42601", "number of columns does not match number of values"),
                src->row_expr->location);
        }
        n = src->row_expr->args[m->colno - 1];
    }
    if (n->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) {
        return column_default(z, d->table, c, out);
    }
    if (is_generated(c) || c->identity == 1) {
        return status_detail(
            status_sql(INVALID, "428C9", "column \"%s\" can only be updated to DEFAULT", c->name),
            is_generated(c) ? "Column \"%s\" is a generated column."
                            : "Column \"%s\" is an identity column defined as GENERATED ALWAYS.",
            c->name);
    }
    struct expr *e;
    TRY(analyze_expr(z, sc, n, &e));
    return coerce_column(z, e, c, out);
}

static struct status *set_list(struct analyzer *z, struct scope *sc, struct dml *d,
                               PgQuery__Node *const *list, size_t n)
{
    d->sets = ARENA_ARRAY(z->a, struct set_item, n);
    sc->place = sc->srf_place = "UPDATE";
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *rt = list[i]->res_target;
        const Sherd__V1__ColumnDesc *c = table_column(d->table, rt->name);
        if (c == NULL || table_is_hidden(d->table, c)) {
            return no_column(z, d->table, rt->name, rt->location);
        }
        if (rt->n_indirection > 0) {
            return unsupported(z, rt->location, "assignment to parts of a column");
        }
        for (int k = 0; k < d->nsets; k++) {
            if (d->sets[k].ordinal == (int)c->ordinal) {
                return at(z,
                          status_sql(INVALID, "42601", "multiple assignments to same column \"%s\"",
                                     rt->name),
                          rt->location);
            }
        }
        struct expr *e;
        TRY(set_value(z, sc, d, c, rt->val, &e));
        d->sets[d->nsets++] = (struct set_item){.ordinal = (int)c->ordinal, .value = e};
    }
    sc->place = sc->srf_place = NULL;
    return NULL;
}

/* The weakest row lock under which the changed columns may change: keys that others may refer to
 * need the strong one. */
static enum lock_mode update_lock(const struct dml *d)
{
    for (size_t i = 0; i < d->table->n_indexes; i++) {
        const Sherd__V1__IndexDesc *ix = d->table->indexes[i];
        for (size_t k = 0; k < ix->n_columns && ix->unique; k++) {
            for (int s = 0; s < d->nsets; s++) {
                if (d->sets[s].ordinal == (int)ix->columns[k]->ordinal) {
                    return LOCK_UPDATE;
                }
            }
        }
    }
    return LOCK_NO_KEY_UPDATE;
}

static struct status *change(struct analyzer *z, const PgQuery__RangeVar *rv,
                             const PgQuery__WithClause *with, PgQuery__Node *const *from,
                             size_t nfrom, const PgQuery__Node *where, PgQuery__Node *const *sets,
                             size_t nsets, PgQuery__Node *const *ret, size_t nret)
{
    const Sherd__V1__TableDesc *t;
    struct scope *sc = scope_new(z, NULL);
    TRY(analyze_with(z, sc, with));
    TRY(target_table(z, rv, z->q->tag == PLAN_UPDATE ? "update" : "delete from", &t));
    struct dml *d = dml_new(z, t);
    struct nsitem *target;
    struct rel *self = table_rel(z, t, rv->alias != NULL ? rv->alias->aliasname : t->name, &target),
               *r = self;
    d->old_vars = d->row_vars = self->col_vars;
    TRY(scope_add(z, sc, target, rv->location));
    if (nfrom > 0) {
        struct rel *other;
        TRY(analyze_from(z, sc, from, nfrom, &other));
        r = rel_join(z->q, JOIN_INNER, self, other);
        d->has_from = true;
    }
    if (z->q->tag == PLAN_UPDATE) {
        TRY(set_list(z, sc, d, sets, nsets));
    }
    if (where != NULL) {
        struct expr *cond;
        TRY(analyze_cond(z, sc, where, "WHERE", &cond));
        r = rel_filter(z->q, r, cond);
    }
    self->lock = z->q->tag == PLAN_UPDATE ? update_lock(d) : LOCK_UPDATE;
    z->q->block = (struct block){.rel = r, .nouts = r->nvars, .outs = r->vars};
    return returning(z, sc, ret, nret);
}

struct status *analyze_update(struct analyzer *z, const PgQuery__UpdateStmt *s)
{
    z->q->tag = PLAN_UPDATE;
    return change(z, s->relation, s->with_clause, s->from_clause, s->n_from_clause, s->where_clause,
                  s->target_list, s->n_target_list, s->returning_list, s->n_returning_list);
}

struct status *analyze_delete(struct analyzer *z, const PgQuery__DeleteStmt *s)
{
    z->q->tag = PLAN_DELETE;
    return change(z, s->relation, s->with_clause, s->using_clause, s->n_using_clause,
                  s->where_clause, NULL, 0, s->returning_list, s->n_returning_list);
}
