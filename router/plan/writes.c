/*
 * What a write needs to know about its table, gathered once per plan: generated columns, checks,
 * indexes, foreign keys in both directions, and how the columns of the input map to the row.
 *
 * An UPDATE or DELETE of one table whose rows are all that has to be looked at and written (no key
 * of an index changes, no foreign key is touched), with expressions that a shard can run, is done
 * where the rows are (struct change_plan).
 */
#include "pnode.h"

#include "analyze/analyze.h"

static const Sherd__V1__IndexDesc *child_index(const Sherd__V1__TableDesc *child,
                                               const Sherd__V1__ConstraintDesc *c)
{
    for (size_t i = 0; i < child->n_indexes; i++) {
        const Sherd__V1__IndexDesc *ix = child->indexes[i];
        bool ok = ix->state == SHERD__V1__INDEX_STATE__INDEX_PUBLIC &&
                  ix->n_columns >= c->n_ordinals &&
                  (int)c->n_ordinals >= index_hash_columns(child, ix) &&
                  (ix->where_sql == NULL || ix->where_sql[0] == '\0');
        for (size_t k = 0; ok && k < c->n_ordinals; k++) {
            bool found = false;
            for (size_t j = 0; j < c->n_ordinals; j++) {
                found |= ix->columns[k]->ordinal == c->ordinals[j];
            }
            ok = found;
        }
        if (ok) {
            return ix;
        }
    }
    return NULL;
}

static bool touches(const struct dml *d, size_t n, const uint32_t *ordinals)
{
    if (d == NULL || d->nsets == 0) {
        return true; /* INSERT, DELETE */
    }
    for (size_t i = 0; i < n; i++) {
        for (int s = 0; s < d->nsets; s++) {
            if (d->sets[s].ordinal == (int)ordinals[i]) {
                return true;
            }
        }
    }
    return false;
}

static struct status *foreign_keys(const struct plan_env *env, struct arena *a, const struct dml *d,
                                   struct table_write *w)
{
    const Sherd__V1__TableDesc *t = w->table;
    w->parents = ARENA_ARRAY(a, struct foreign_key, t->n_constraints + 1);
    for (size_t i = 0; i < t->n_constraints; i++) {
        const Sherd__V1__ConstraintDesc *c = t->constraints[i];
        if (c->kind != SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY) {
            continue;
        }
        const Sherd__V1__TableDesc *parent =
            c->ref_table_id == t->id ? t : catalog_table_by_id(env->catalog, c->ref_table_id);
        const Sherd__V1__IndexDesc *ix =
            parent == NULL ? NULL : table_index(parent, c->ref_index_id);
        if (ix == NULL) {
            return status_new(INTERNAL, "foreign key \"%s\" refers to a missing table or index",
                              c->name);
        }
        w->parents[w->nparents++] =
            (struct foreign_key){.desc = c, .child = t, .parent = parent, .parent_index = ix};
    }
    int cap = 0, n = 0;
    for (size_t i = 0; i < t->n_referenced_by; i++) {
        const Sherd__V1__TableDesc *child = catalog_table_by_id(env->catalog, t->referenced_by[i]);
        cap += child == NULL ? 0 : (int)child->n_constraints;
    }
    w->children = ARENA_ARRAY(a, struct foreign_key, cap + 1);
    for (size_t i = 0; i < t->n_referenced_by; i++) {
        const Sherd__V1__TableDesc *child = catalog_table_by_id(env->catalog, t->referenced_by[i]);
        for (size_t k = 0; k < i && child != NULL; k++) {
            if (t->referenced_by[k] == t->referenced_by[i]) {
                child = NULL; /* named twice */
            }
        }
        for (size_t k = 0; child != NULL && k < child->n_constraints; k++) {
            const Sherd__V1__ConstraintDesc *c = child->constraints[k];
            if (c->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY &&
                c->ref_table_id == t->id && touches(d, c->n_ref_ordinals, c->ref_ordinals)) {
                w->children[n++] =
                    (struct foreign_key){.desc = c,
                                         .child = child,
                                         .parent = t,
                                         .parent_index = table_index(t, c->ref_index_id),
                                         .child_index = child_index(child, c)};
            }
        }
    }
    w->nchildren = n;
    return NULL;
}

static bool key_changes(const struct dml *d, const Sherd__V1__TableDesc *t,
                        const Sherd__V1__IndexDesc *ix)
{
    if (d == NULL || d->nsets == 0) {
        return true;
    }
    const Sherd__V1__IndexDesc *both[2] = {ix, t->indexes[0]};
    for (int b = 0; b < 2; b++) {
        for (size_t k = 0; k < both[b]->n_columns; k++) {
            uint32_t ord = both[b]->columns[k]->ordinal;
            const Sherd__V1__ColumnDesc *c = t->columns[ord];
            if (touches(d, 1, &ord) || (c->generated_sql != NULL && c->generated_sql[0] != '\0')) {
                return true;
            }
        }
    }
    return ix->where_sql != NULL && ix->where_sql[0] != '\0';
}

struct status *table_write_make(struct fiber *f, const struct plan_env *env, struct arena *a,
                                const Sherd__V1__TableDesc *t, const struct dml *d,
                                struct table_write *w)
{
    w->table = t;
    w->rowid = -1;
    w->lock = LOCK_NO_KEY_UPDATE;
    w->row_columns = table_row_columns(a, t, &w->ncolumns);
    if (t->n_indexes == 0) {
        return status_new(INTERNAL, "table \"%s\" has no primary index", t->name);
    }
    w->generated = ARENA_ARRAY(a, struct set_item, t->n_columns + 1);
    for (size_t i = 0; i < t->n_columns; i++) {
        const Sherd__V1__ColumnDesc *c = t->columns[i];
        if (!c->dropped && table_is_hidden(t, c)) {
            w->rowid = (int)i;
        }
        if (!c->dropped && c->generated_sql != NULL && c->generated_sql[0] != '\0') {
            struct expr *e;
            TRY(analyze_table_expr(f, env, t, c->generated_sql, a, &e));
            TRY(expr_cast(a, e, c->type, c->typmod, CAST_ASSIGNMENT, &e));
            w->generated[w->ngenerated++] = (struct set_item){.ordinal = (int)i, .value = e};
        }
    }
    w->checks = ARENA_ARRAY(a, const Sherd__V1__ConstraintDesc *, t->n_constraints + 1);
    w->check_exprs = ARENA_ARRAY(a, struct expr *, t->n_constraints + 1);
    for (size_t i = 0; i < t->n_constraints; i++) {
        const Sherd__V1__ConstraintDesc *c = t->constraints[i];
        if (c->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_CHECK) {
            w->checks[w->nchecks] = c;
            TRY(analyze_table_expr(f, env, t, c->check_sql, a, &w->check_exprs[w->nchecks]));
            w->nchecks++;
        }
    }
    w->indexes = ARENA_ARRAY(a, struct index_write, t->n_indexes);
    for (size_t i = 0; i < t->n_indexes; i++) {
        struct index_write *iw = &w->indexes[w->nindexes++];
        iw->desc = t->indexes[i];
        iw->is_key_changed = key_changes(d, t, t->indexes[i]);
        if (iw->desc->unique && iw->is_key_changed) { /* others may refer to it */
            w->lock = LOCK_UPDATE;
        }
        if (iw->desc->where_sql != NULL && iw->desc->where_sql[0] != '\0') {
            TRY(analyze_table_expr(f, env, t, iw->desc->where_sql, a, &iw->where));
        }
    }
    return foreign_keys(env, a, d, w);
}

/* Row layouts for expressions: the table's columns by ordinal, then the input's. */
static int *row_layout(struct planner *p, const struct dml *d, const struct pnode *input,
                       int *out_n)
{
    int n = d->ncolumns + input->ncols;
    int *vars = ARENA_ARRAY(p->a, int, n + 1);
    for (int i = 0; i < d->ncolumns; i++) {
        vars[i] = d->old_vars[i];
    }
    for (int i = 0; i < input->ncols; i++) {
        vars[d->ncolumns + i] = input->vars[i];
    }
    *out_n = n;
    return vars;
}

/* ---- changes in the shards ---- */

static bool touches_foreign_key(const struct dml *d, const struct table_write *t)
{
    for (int i = 0; i < t->nparents; i++) {
        const Sherd__V1__ConstraintDesc *c = t->parents[i].desc;
        if (touches(d, c->n_ordinals, c->ordinals)) {
            return true;
        }
        for (size_t k = 0; k < c->n_ordinals; k++) {
            const char *sql = t->table->columns[c->ordinals[k]]->generated_sql;
            if (sql != NULL && sql[0] != '\0') {
                return true;
            }
        }
    }
    return t->nchildren > 0;
}

/* Only rows of the primary index change. */
static bool is_rows_only(const struct dml *d, const struct table_write *t, bool is_delete)
{
    if (is_delete) {
        return t->nindexes == 1 && t->nchildren == 0;
    }
    for (int i = 0; i < t->nindexes; i++) {
        if (t->indexes[i].is_key_changed ||
            t->indexes[i].desc->state != SHERD__V1__INDEX_STATE__INDEX_PUBLIC) {
            return false;
        }
    }
    return !touches_foreign_key(d, t);
}

/* The input is the bare scan, and its columns are the row's. */
static bool is_row_scan(const struct plan_write *w, const struct pnode *input)
{
    if (input->kind != P_SCAN || w->dml->has_from) {
        return false;
    }
    const struct scan *s = input->scan;
    const struct fragment *fr = &s->fragment;
    bool is_plain = fr->nprojections == 0 && fr->naggs == 0 && fr->ngroups == 0 && fr->nsort == 0 &&
                    !fr->with_key && !fr->is_keys_only && s->limit == NULL && s->offset == NULL &&
                    fr->lock >= LOCK_NO_KEY_UPDATE && input->ncols == fr->ncolumns;
    for (int i = 0, k = 0; i < w->dml->ncolumns && is_plain; i++) {
        if (w->old_cols[i] >= 0) { /* dropped ones are not read */
            is_plain = w->old_cols[i] == k && fr->columns[k] == i;
            k++;
        }
    }
    return is_plain;
}

static bool sets_fit(const struct planner *p, int n, const struct set_item *sets,
                     struct fragment_set **out, bool *needs)
{
    *out = ARENA_ARRAY(p->a, struct fragment_set, n + 1);
    for (int i = 0; i < n; i++) {
        if (!is_pushable(p, sets[i].value)) {
            return false;
        }
        *needs |= needs_bind(sets[i].value);
        (*out)[i] = (struct fragment_set){sets[i].ordinal, sets[i].value};
    }
    return true;
}

static int column_max(const struct expr *e)
{
    int max = e->kind == EXPR_COLUMN ? e->index : -1;
    for (int i = 0; i < e->nargs; i++) {
        int m = column_max(e->args[i]);
        max = m > max ? m : max;
    }
    return max;
}

static struct change_plan *change_in_shards(struct planner *p, const struct plan_write *w,
                                            const struct pnode *input)
{
    const struct table_write *t = &w->t;
    bool is_delete = p->q->tag == PLAN_DELETE;
    if (!is_rows_only(w->dml, t, is_delete) || !is_row_scan(w, input)) {
        return NULL;
    }
    for (int i = 0; i < w->nreturning; i++) {
        if (column_max(w->returning[i]) >= t->ncolumns) {
            return NULL;
        }
    }
    struct change_plan *cp = ARENA_NEW(p->a, struct change_plan);
    struct fragment_change *ch = &cp->change;
    ch->is_delete = is_delete;
    ch->returns_rows = w->nreturning > 0;
    if (is_delete) {
        return cp;
    }
    ch->nsets = w->nsets;
    ch->ngenerated = t->ngenerated;
    if (!sets_fit(p, w->nsets, w->sets, &ch->sets, &cp->needs_bind) ||
        !sets_fit(p, t->ngenerated, t->generated, &ch->generated, &cp->needs_bind)) {
        return NULL;
    }
    ch->not_null = ARENA_ARRAY(p->a, int, t->ncolumns + 1);
    for (int i = 0; i < t->ncolumns; i++) {
        if (t->table->columns[i]->not_null && !t->table->columns[i]->dropped) {
            ch->not_null[ch->nnot_null++] = i;
        }
    }
    ch->nchecks = t->nchecks;
    ch->checks = ARENA_ARRAY(p->a, struct expr *, t->nchecks + 1);
    for (int i = 0; i < t->nchecks; i++) {
        if (!is_pushable(p, t->check_exprs[i])) {
            return NULL;
        }
        cp->needs_bind |= needs_bind(t->check_exprs[i]);
        ch->checks[i] = t->check_exprs[i];
    }
    return cp;
}

struct status *plan_write_make(struct planner *p, struct pnode *input, struct plan_write **out)
{
    struct dml *d = p->q->dml;
    struct plan_write *w = ARENA_NEW(p->a, struct plan_write);
    bool is_insert = p->q->tag == PLAN_INSERT;
    w->dml = d;
    TRY(table_write_make(p->f, p->env, p->a, d->table, is_insert ? NULL : d, &w->t));
    int n, *layout = row_layout(p, d, input, &n);
    w->nreturning = d->nreturning;
    w->returning = ARENA_ARRAY(p->a, struct expr *, d->nreturning + 1);
    for (int i = 0; i < d->nreturning; i++) {
        w->returning[i] = to_positions(p, d->returning[i], n, layout);
    }
    w->nsets = d->nsets;
    w->sets = ARENA_ARRAY(p->a, struct set_item, d->nsets + 1);
    for (int i = 0; i < d->nsets; i++) {
        w->sets[i].ordinal = d->sets[i].ordinal;
        w->sets[i].value = is_insert ? to_positions(p, d->sets[i].value, n, layout)
                                     : to_positions(p, d->sets[i].value, input->ncols, input->vars);
    }
    w->conflict_where = to_positions(p, d->conflict_where, n, layout);
    if (!is_insert) {
        w->old_cols = ARENA_ARRAY(p->a, int, d->ncolumns + 1);
        for (int i = 0; i < d->ncolumns; i++) {
            w->old_cols[i] =
                d->old_vars[i] < 0 ? -1 : layout_find(input->ncols, input->vars, d->old_vars[i]);
            if (d->old_vars[i] >= 0 && w->old_cols[i] < 0) {
                return status_new(INTERNAL, "column \"%s\" is not read",
                                  d->table->columns[i]->name);
            }
        }
        w->in_shards = change_in_shards(p, w, input);
    }
    *out = w;
    return p->st;
}
