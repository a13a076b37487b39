/*
 * SELECT, VALUES and set operations.
 *
 * One block becomes, from the bottom: FROM, WHERE, grouping, HAVING, set functions of the select
 * list, PROJECT (also of what only ORDER BY needs), DISTINCT, ORDER BY, LIMIT. Expressions above a
 * grouping are rewritten so that they use its results only; what cannot be is PostgreSQL's 42803.
 */
#include "analyze.h"
#include "analyze_limits.h"

#include "ddl/system.h"

struct select_state {
    struct analyzer *z;
    struct scope *sc;
    const PgQuery__SelectStmt *s;
    struct rel *rel;
    struct target_list t; /* the first `visible` are the result */
    int visible;
    int ngroups, groups_cap;
    struct expr **groups;
    int *group_vars;
    int nsorts;
    int *sort_targets;
    struct rel_sort *sorts;
    int non; /* DISTINCT ON */
    int *on_targets;
    struct expr *having;
    struct status *st; /* from inside of a map */
};

/* ---- targets ---- */

static struct status *target_add(struct analyzer *z, struct target_list *t, struct expr *e,
                                 const char *name)
{
    if (t->n == t->cap) {
        int cap = t->cap == 0 ? 16 : t->cap * 2;
        struct expr **es = ARENA_ARRAY(z->a, struct expr *, cap);
        const char **names = ARENA_ARRAY(z->a, const char *, cap);
        if (t->n > 0) {
            memcpy(es, t->exprs, sizeof(*es) * (size_t)t->n);
            memcpy(names, t->names, sizeof(*names) * (size_t)t->n);
        }
        t->exprs = es;
        t->names = names;
        t->cap = cap;
    }
    if (t->n >= TARGETS_MAX) {
        return status_sql(LIMIT, "54011", "target lists can have at most %d entries", TARGETS_MAX);
    }
    t->exprs[t->n] = e;
    t->names[t->n++] = name;
    return NULL;
}

static struct status *star_item(struct analyzer *z, struct scope *sc, struct scope *owner,
                                const struct nsitem *it, struct target_list *t)
{
    for (int c = 0; c < it->ncols - it->nhidden; c++) {
        if (owner != sc) {
            scope_outer(z, sc, owner, it->vars[c]);
        }
        TRY(target_add(z, t, query_column(z->q, it->vars[c]), arena_strdup(z->a, it->cols[c])));
    }
    return NULL;
}

static struct status *star(struct analyzer *z, struct scope *sc, const PgQuery__ColumnRef *c,
                           struct target_list *t)
{
    if (c->n_fields == 1) {
        if (sc->nitems == 0) {
            return at(
                z, status_sql(INVALID, "42601", "SELECT * with no tables specified is not valid"),
                c->location);
        }
        for (int i = 0; i < sc->nitems; i++) {
            if (!sc->items[i]->hides_columns) {
                TRY(star_item(z, sc, sc, sc->items[i], t));
            }
        }
        return NULL;
    }
    const char *schema = c->n_fields > 2 ? node_string(c->fields[c->n_fields - 3]) : NULL;
    const char *table = node_string(c->fields[c->n_fields - 2]);
    struct scope *owner = NULL;
    struct nsitem *it = scope_item(sc, schema, table, &owner);
    if (it == NULL) {
        return at(z,
                  status_sql(INVALID, "42P01", "missing FROM-clause entry for table \"%s\"", table),
                  c->location);
    }
    return star_item(z, sc, owner, it, t);
}

struct status *analyze_targets(struct analyzer *z, struct scope *sc, PgQuery__Node *const *targets,
                               size_t n, struct target_list *out)
{
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *rt = targets[i]->res_target;
        const PgQuery__Node *v = rt->val;
        if (v->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && v->column_ref->n_fields > 0 &&
            v->column_ref->fields[v->column_ref->n_fields - 1]->node_case ==
                PG_QUERY__NODE__NODE_A_STAR) {
            TRY(star(z, sc, v->column_ref, out));
            continue;
        }
        struct expr *e;
        TRY(analyze_expr(z, sc, v, &e));
        const char *name = rt->name != NULL && rt->name[0] != '\0' ? rt->name : column_name(v);
        TRY(target_add(z, out, e, arena_strdup(z->a, name)));
    }
    return NULL;
}

/* ---- ORDER BY, GROUP BY, DISTINCT ON: which target an item means ---- */

static const char *plain_name(const PgQuery__Node *n)
{
    if (n->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && n->column_ref->n_fields == 1) {
        return node_string(n->column_ref->fields[0]);
    }
    return NULL;
}

static struct status *by_position(struct select_state *q, const PgQuery__Node *n,
                                  const char *clause, int *out)
{
    *out = -1;
    if (n->node_case != PG_QUERY__NODE__NODE_A_CONST) {
        return NULL;
    }
    const PgQuery__AConst *c = n->a_const;
    if (c->isnull || c->val_case != PG_QUERY__A__CONST__VAL_IVAL) {
        return at(q->z, status_sql(INVALID, "42601", "non-integer constant in %s", clause),
                  c->location);
    }
    int pos = c->ival->ival;
    if (pos < 1 || pos > q->visible) {
        return at(q->z,
                  status_sql(INVALID, "42P10", "%s position %d is not in select list", clause, pos),
                  c->location);
    }
    *out = pos - 1;
    return NULL;
}

static struct status *by_output_name(struct select_state *q, const char *name, const char *clause,
                                     int location, int *out)
{
    int found = -1;
    for (int i = 0; i < q->visible; i++) {
        if (strcmp(q->t.names[i], name) != 0) {
            continue;
        }
        if (found >= 0 && !expr_equal(q->t.exprs[found], q->t.exprs[i])) {
            return at(q->z, status_sql(INVALID, "42702", "%s \"%s\" is ambiguous", clause, name),
                      location);
        }
        found = found < 0 ? i : found;
    }
    *out = found;
    return NULL;
}

/* ORDER BY, DISTINCT ON: output names first, then any expression over FROM. */
static struct status *find_target(struct select_state *q, const PgQuery__Node *n,
                                  const char *clause, int *out)
{
    int i;
    TRY(by_position(q, n, clause, &i));
    const char *name = i < 0 ? plain_name(n) : NULL;
    if (name != NULL) {
        TRY(by_output_name(q, name, clause, n->column_ref->location, &i));
    }
    if (i < 0) {
        struct expr *e;
        TRY(analyze_expr(q->z, q->sc, n, &e));
        for (i = 0; i < q->t.n && !expr_equal(q->t.exprs[i], e); i++) {
        }
        if (i == q->t.n) {
            TRY(coerce_unknown(q->z, &e));
            TRY(target_add(q->z, &q->t, e, "?order?"));
        }
    }
    *out = i;
    return NULL;
}

static struct rel_sort sort_of(const PgQuery__SortBy *sb)
{
    struct rel_sort s = {.is_desc = sb->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC};
    s.nulls_first = sb->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                    (s.is_desc && sb->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    return s;
}

static struct status *sort_using(struct analyzer *z, const PgQuery__SortBy *sb, struct rel_sort *s)
{
    if (sb->sortby_dir != PG_QUERY__SORT_BY_DIR__SORTBY_USING) {
        return NULL;
    }
    const char *op = name_last(sb->use_op, sb->n_use_op);
    if (strcmp(op, "<") != 0 && strcmp(op, ">") != 0) {
        return at(z,
                  status_sql(INVALID, "42809", "operator %s is not a valid ordering operator", op),
                  sb->location);
    }
    s->is_desc = op[0] == '>';
    s->nulls_first = sb->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                     (s->is_desc && sb->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    return NULL;
}

/* A row in ORDER BY or DISTINCT ON stands for its columns, one after the other. */
static size_t row_width(const PgQuery__Node *n)
{
    return n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR ? n->row_expr->n_args : 1;
}

static const PgQuery__Node *row_item(const PgQuery__Node *n, size_t i)
{
    return n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR ? n->row_expr->args[i] : n;
}

static struct status *order_by(struct select_state *q)
{
    size_t total = 0;
    for (size_t i = 0; i < q->s->n_sort_clause; i++) {
        total += row_width(q->s->sort_clause[i]->sort_by->node);
    }
    q->sort_targets = ARENA_ARRAY(q->z->a, int, total + 1);
    q->sorts = ARENA_ARRAY(q->z->a, struct rel_sort, total + 1);
    for (size_t i = 0; i < q->s->n_sort_clause; i++) {
        const PgQuery__SortBy *sb = q->s->sort_clause[i]->sort_by;
        for (size_t k = 0; k < row_width(sb->node); k++) {
            TRY(find_target(q, row_item(sb->node, k), "ORDER BY", &q->sort_targets[q->nsorts]));
            q->sorts[q->nsorts] = sort_of(sb);
            TRY(sort_using(q->z, sb, &q->sorts[q->nsorts]));
            q->nsorts++;
        }
    }
    return NULL;
}

static bool is_plain_distinct(const PgQuery__SelectStmt *s)
{
    return s->n_distinct_clause == 1 &&
           (s->distinct_clause[0] == NULL ||
            s->distinct_clause[0]->node_case == PG_QUERY__NODE__NODE__NOT_SET);
}

static struct status *distinct_on(struct select_state *q)
{
    const PgQuery__SelectStmt *s = q->s;
    if (s->n_distinct_clause == 0) {
        return NULL;
    }
    if (is_plain_distinct(s)) {
        for (int i = 0; i < q->nsorts; i++) {
            if (q->sort_targets[i] >= q->visible) {
                return at(
                    q->z,
                    status_sql(
                        INVALID, "42P10",
                        "for SELECT DISTINCT, ORDER BY expressions must appear in select list"),
                    q->t.exprs[q->sort_targets[i]]->location);
            }
        }
        return NULL;
    }
    size_t total = 0;
    for (size_t i = 0; i < s->n_distinct_clause; i++) {
        total += row_width(s->distinct_clause[i]);
    }
    q->on_targets = ARENA_ARRAY(q->z->a, int, total + 1);
    for (size_t i = 0; i < s->n_distinct_clause; i++) {
        for (size_t k = 0; k < row_width(s->distinct_clause[i]); k++) {
            TRY(find_target(q, row_item(s->distinct_clause[i], k), "DISTINCT ON",
                            &q->on_targets[q->non++]));
        }
    }
    for (int i = 0; i < q->nsorts && i < q->non; i++) {
        bool found = false;
        for (int k = 0; k < q->non; k++) {
            found |= q->on_targets[k] == q->sort_targets[i];
        }
        if (!found) {
            return at(q->z,
                      status_sql(
                          INVALID, "42P10",
                          "SELECT DISTINCT ON expressions must match initial ORDER BY expressions"),
                      q->t.exprs[q->on_targets[0]]->location);
        }
    }
    return NULL;
}

/* ---- grouping ---- */

static void group_add(struct select_state *q, struct expr *e)
{
    for (int i = 0; i < q->ngroups; i++) {
        if (expr_equal(q->groups[i], e)) {
            return;
        }
    }
    if (q->ngroups == q->groups_cap) {
        int cap = q->groups_cap == 0 ? 8 : q->groups_cap * 2;
        struct expr **es = ARENA_ARRAY(q->z->a, struct expr *, cap);
        int *vars = ARENA_ARRAY(q->z->a, int, cap);
        if (q->ngroups > 0) {
            memcpy(es, q->groups, sizeof(*es) * (size_t)q->ngroups);
            memcpy(vars, q->group_vars, sizeof(*vars) * (size_t)q->ngroups);
        }
        q->groups = es;
        q->group_vars = vars;
        q->groups_cap = cap;
    }
    q->groups[q->ngroups] = e;
    q->group_vars[q->ngroups++] =
        e->kind == EXPR_COLUMN ? e->index : query_var(q->z->q, "group", e->type, e->typmod);
}

static struct status *group_item(struct select_state *q, const PgQuery__Node *n)
{
    struct analyzer *z = q->z;
    if (n->node_case == PG_QUERY__NODE__NODE_GROUPING_SET) {
        if (n->grouping_set->kind == PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY) {
            return NULL;
        }
        return unsupported(z, n->grouping_set->location, "GROUPING SETS, ROLLUP and CUBE");
    }
    if (n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) {
        for (size_t i = 0; i < n->row_expr->n_args; i++) {
            TRY(group_item(q, n->row_expr->args[i]));
        }
        return NULL;
    }
    int i;
    TRY(by_position(q, n, "GROUP BY", &i));
    const char *name = i < 0 ? plain_name(n) : NULL;
    if (name != NULL) { /* a column of FROM comes before an output name */
        int var;
        TRY(scope_find(z, q->sc, name, n->column_ref->location, &var));
        if (var < 0) {
            TRY(by_output_name(q, name, "GROUP BY", n->column_ref->location, &i));
        }
    }
    struct expr *e;
    if (i >= 0) {
        e = q->t.exprs[i];
        for (int k = 0; k < q->sc->naggs; k++) {
            if (e->kind == EXPR_COLUMN && e->index == q->sc->agg_vars[k]) {
                return at(
                    z,
                    status_sql(INVALID, "42803", "aggregate functions are not allowed in GROUP BY"),
                    e->location);
            }
        }
    } else {
        q->sc->place = q->sc->srf_place = "GROUP BY";
        struct status *st = analyze_expr(z, q->sc, n, &e);
        q->sc->place = q->sc->srf_place = NULL;
        TRY(st);
        TRY(coerce_unknown(z, &e));
    }
    if (e->type == TYPE_UNKNOWN) {
        TRY(coerce_unknown(z, &q->t.exprs[i]));
        e = q->t.exprs[i];
    }
    group_add(q, e);
    return NULL;
}

/* Whether the grouping has all of the table's primary key: then its other columns are decided too.
 */
static bool key_is_grouped(const struct select_state *q, const struct rel *table)
{
    const Sherd__V1__TableDesc *t = table->table;
    if (t->n_indexes == 0 || t->hidden_primary_key) {
        return false;
    }
    const Sherd__V1__IndexDesc *pk = t->indexes[0];
    for (size_t i = 0; i < pk->n_columns; i++) {
        bool found = false;
        for (int g = 0; g < q->ngroups; g++) {
            found |= q->groups[g]->kind == EXPR_COLUMN &&
                     q->groups[g]->index == table->col_vars[pk->columns[i]->ordinal];
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static const char *item_name_of(const struct scope *sc, int var)
{
    for (int i = 0; i < sc->nitems; i++) {
        for (int c = 0; c < sc->items[i]->ncols && !sc->items[i]->is_nameless; c++) {
            if (sc->items[i]->vars[c] == var) {
                return sc->items[i]->name;
            }
        }
    }
    return NULL;
}

static struct expr *group_map(void *ctx, const struct expr *e)
{
    struct select_state *q = ctx;
    struct analyzer *z = q->z;
    if (q->st != NULL) {
        return expr_null(z->a, e->type, e->typmod);
    }
    for (int i = 0; i < q->ngroups; i++) {
        if (expr_equal(e, q->groups[i])) {
            struct expr *c = query_column(z->q, q->group_vars[i]);
            c->location = e->location;
            return c;
        }
    }
    if (e->kind != EXPR_COLUMN) {
        return NULL;
    }
    struct expr *same = expr_copy(z->a, e);
    for (int i = 0; i < q->sc->naggs; i++) {
        if (q->sc->agg_vars[i] == e->index) {
            return same;
        }
    }
    for (int i = 0; i < q->sc->nouter; i++) {
        if (q->sc->outer[i] == e->index) {
            return same;
        }
    }
    for (int i = 0; i < q->sc->nsrfs; i++) {
        if (q->sc->srf_vars[i] == e->index) {
            return same;
        }
    }
    const struct var *v = &z->q->vars[e->index];
    if (v->table != NULL && key_is_grouped(q, v->table)) {
        group_add(q, same);
        return same;
    }
    const char *item = item_name_of(q->sc, e->index);
    q->st = at(z,
               item != NULL ? status_sql(INVALID, "42803",
                                         "column \"%s.%s\" must appear in the GROUP BY clause or "
                                         "be used in an aggregate function",
                                         item, v->name)
                            : status_sql(INVALID, "42803",
                                         "column \"%s\" must appear in the GROUP BY clause or be "
                                         "used in an aggregate function",
                                         v->name),
               e->location);
    return same;
}

/* Aggregates with ORDER BY see their input sorted. */
static struct rel *agg_input_sort(struct select_state *q, struct rel *in)
{
    struct scope *sc = q->sc;
    struct query *qy = q->z->q;
    if (sc->nagg_order == 0) {
        return in;
    }
    struct rel *p = rel_new(qy, REL_PROJECT, in);
    p->vars = ARENA_ARRAY(qy->arena, int, in->nvars + sc->nagg_order);
    p->exprs = ARENA_ARRAY(qy->arena, struct expr *, in->nvars + sc->nagg_order);
    for (int i = 0; i < in->nvars; i++) {
        p->vars[i] = in->vars[i];
        p->exprs[i] = query_column(qy, in->vars[i]);
    }
    p->nvars = in->nvars;
    for (int i = 0; i < sc->nagg_order; i++) {
        struct expr *e = sc->agg_order[i];
        sc->agg_sorts[i].var = query_var(qy, "?order?", e->type, e->typmod);
        p->vars[p->nvars] = sc->agg_sorts[i].var;
        p->exprs[p->nvars++] = e;
    }
    p->nexprs = p->nvars;
    struct rel *s = rel_new(qy, REL_SORT, p);
    s->nsorts = sc->nagg_order;
    s->sorts = sc->agg_sorts;
    return s;
}

static struct status *group(struct select_state *q)
{
    struct analyzer *z = q->z;
    struct scope *sc = q->sc;
    if (!sc->has_agg && q->s->n_group_clause == 0 && q->having == NULL) {
        return NULL;
    }
    for (int i = 0; i < q->t.n; i++) {
        q->t.exprs[i] = expr_map(z->a, q->t.exprs[i], group_map, q);
    }
    for (int i = 0; i < sc->nsrfs; i++) {
        sc->srfs[i] = expr_map(z->a, sc->srfs[i], group_map, q);
    }
    if (q->having != NULL) {
        q->having = expr_map(z->a, q->having, group_map, q);
    }
    TRY(q->st);
    struct rel *agg = rel_new(z->q, REL_AGG, agg_input_sort(q, q->rel));
    agg->ngroups = q->ngroups;
    agg->nexprs = q->ngroups;
    agg->exprs = q->groups;
    agg->naggs = sc->naggs;
    agg->aggs = sc->aggs;
    agg->nvars = q->ngroups + sc->naggs;
    agg->vars = ARENA_ARRAY(z->a, int, agg->nvars + 1);
    for (int i = 0; i < q->ngroups; i++) {
        agg->vars[i] = q->group_vars[i];
    }
    for (int i = 0; i < sc->naggs; i++) {
        agg->vars[q->ngroups + i] = sc->agg_vars[i];
    }
    q->rel = rel_filter(z->q, agg, q->having);
    return NULL;
}

/* ---- from expressions to result vars ---- */

static void project_srfs(struct select_state *q)
{
    struct scope *sc = q->sc;
    struct query *qy = q->z->q;
    if (sc->nsrfs == 0) {
        return;
    }
    struct rel *r = rel_new(qy, REL_SRF, q->rel);
    r->srf_first = q->rel->nvars;
    r->nexprs = sc->nsrfs;
    r->exprs = ARENA_ARRAY(qy->arena, struct expr *, sc->nsrfs);
    r->nvars = q->rel->nvars + sc->nsrfs;
    r->vars = ARENA_ARRAY(qy->arena, int, r->nvars);
    for (int i = 0; i < q->rel->nvars; i++) {
        r->vars[i] = q->rel->vars[i];
    }
    for (int i = 0; i < sc->nsrfs; i++) {
        r->exprs[i] = sc->srfs[i];
        r->vars[r->srf_first + i] = sc->srf_vars[i];
    }
    q->rel = r;
}

/* PROJECT: a var for each target; plain columns keep theirs. */
static int *project(struct select_state *q)
{
    struct query *qy = q->z->q;
    int *vars = ARENA_ARRAY(qy->arena, int, q->t.n + 1);
    bool needed = false;
    for (int i = 0; i < q->t.n; i++) {
        struct expr *e = q->t.exprs[i];
        bool own = e->kind == EXPR_COLUMN && rel_has_var(q->rel, e->index);
        vars[i] = own ? e->index : -1;
        needed |= !own;
    }
    if (!needed) {
        return vars;
    }
    struct rel *p = rel_new(qy, REL_PROJECT, q->rel);
    p->vars = ARENA_ARRAY(qy->arena, int, q->t.n);
    p->exprs = ARENA_ARRAY(qy->arena, struct expr *, q->t.n);
    p->nvars = 0;
    for (int i = 0; i < q->t.n; i++) {
        struct expr *e = q->t.exprs[i];
        if (vars[i] < 0) {
            vars[i] = query_var(qy, q->t.names[i], e->type, e->typmod);
        } else {
            bool known = false;
            for (int k = 0; k < p->nvars; k++) {
                known |= p->vars[k] == vars[i];
            }
            if (known) {
                continue;
            }
        }
        p->vars[p->nvars] = vars[i];
        p->exprs[p->nvars++] = e;
    }
    p->nexprs = p->nvars;
    q->rel = p;
    return vars;
}

static void sort_rel(struct select_state *q, const int *vars)
{
    struct query *qy = q->z->q;
    int n = 0;
    struct rel_sort *sorts = ARENA_ARRAY(qy->arena, struct rel_sort, q->nsorts + q->non + 1);
    for (int i = 0; i < q->nsorts; i++) {
        sorts[n] = q->sorts[i];
        sorts[n++].var = vars[q->sort_targets[i]];
    }
    for (int i = 0; i < q->non; i++) { /* what DISTINCT ON needs beside */
        bool known = false;
        for (int k = 0; k < n; k++) {
            known |= sorts[k].var == vars[q->on_targets[i]];
        }
        if (!known) {
            sorts[n++] = (struct rel_sort){.var = vars[q->on_targets[i]]};
        }
    }
    if (n > 0) {
        struct rel *r = rel_new(qy, REL_SORT, q->rel);
        r->nsorts = n;
        r->sorts = sorts;
        q->rel = r;
    }
}

static void distinct_rel(struct select_state *q, int n, const int *targets, const int *vars,
                         bool is_on)
{
    struct rel *r = rel_new(q->z->q, REL_DISTINCT, q->rel);
    r->nkeys = n;
    r->keys = ARENA_ARRAY(q->z->a, int, n + 1);
    for (int i = 0; i < n; i++) {
        r->keys[i] = vars[targets == NULL ? i : targets[i]];
    }
    r->is_on = is_on;
    if (!is_on) { /* other columns would make rows differ */
        r->vars = r->keys;
        r->nvars = n;
    }
    q->rel = r;
}

/* ---- LIMIT, FOR UPDATE ---- */

static void any_var(void *ctx, int var)
{
    (void)var;
    *(bool *)ctx = true;
}

static struct status *limit_expr(struct analyzer *z, struct scope *sc, const PgQuery__Node *n,
                                 const char *what, struct expr **out)
{
    *out = NULL;
    if (n == NULL) {
        return NULL;
    }
    struct expr *e;
    sc->place = sc->srf_place = what;
    TRY(analyze_expr(z, sc, n, &e));
    bool has_vars = false;
    expr_vars(e, any_var, &has_vars);
    if (has_vars) {
        return at(z,
                  status_sql(INVALID, "42P10", "argument of %s must not contain variables", what),
                  e->location);
    }
    if (e->type != TYPE_UNKNOWN && !cast_exists(e->type, TYPE_INT8, CAST_ASSIGNMENT)) {
        return at(z,
                  status_sql(INVALID, "42804", "argument of %s must be type bigint, not type %s",
                             what, type_format(z->a, e->type, -1)),
                  e->location);
    }
    return coerce(z, e, TYPE_INT8, -1, CAST_ASSIGNMENT, out);
}

static struct status *limit_rel(struct analyzer *z, struct scope *sc, const PgQuery__SelectStmt *s,
                                struct rel **io)
{
    if (s->limit_offset == NULL && s->limit_count == NULL) {
        return NULL;
    }
    if (s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES) {
        return unsupported(z, -1, "FETCH FIRST ... WITH TIES");
    }
    struct rel *r = rel_new(z->q, REL_LIMIT, *io);
    TRY(limit_expr(z, sc, s->limit_offset, "OFFSET", &r->offset));
    TRY(limit_expr(z, sc, s->limit_count, "LIMIT", &r->limit));
    *io = r;
    return NULL;
}

static struct status *locking(struct select_state *q)
{
    static const char *const names[] = {
        "", "", "FOR KEY SHARE", "FOR SHARE", "FOR NO KEY UPDATE", "FOR UPDATE"};
    static const enum lock_mode modes[] = {LOCK_NONE,  LOCK_NONE,          LOCK_KEY_SHARE,
                                           LOCK_SHARE, LOCK_NO_KEY_UPDATE, LOCK_UPDATE};
    const PgQuery__SelectStmt *s = q->s;
    for (size_t i = 0; i < s->n_locking_clause; i++) {
        const PgQuery__LockingClause *lc = s->locking_clause[i]->locking_clause;
        int strength = (int)lc->strength;
        if (strength < 2 || strength > 5) {
            return unsupported(q->z, -1, "this locking clause");
        }
        const char *bad = s->n_distinct_clause > 0   ? "DISTINCT clause"
                          : s->n_group_clause > 0    ? "GROUP BY clause"
                          : s->having_clause != NULL ? "HAVING clause"
                          : q->sc->has_agg           ? "aggregate functions"
                          : q->sc->nsrfs > 0         ? "set-returning functions in the target list"
                                                     : NULL;
        if (bad != NULL) {
            return status_sql(UNSUPPORTED, "0A000", "%s is not allowed with %s", names[strength],
                              bad);
        }
        enum lock_wait wait =
            lc->wait_policy == PG_QUERY__LOCK_WAIT_POLICY__LockWaitSkip    ? LOCK_SKIP
            : lc->wait_policy == PG_QUERY__LOCK_WAIT_POLICY__LockWaitError ? LOCK_NOWAIT
                                                                           : LOCK_WAIT;
        size_t named = lc->n_locked_rels;
        for (size_t k = 0; k < (named == 0 ? 1 : named); k++) {
            const PgQuery__RangeVar *rv = named == 0 ? NULL : lc->locked_rels[k]->range_var;
            bool found = false;
            for (int j = 0; j < q->sc->nitems; j++) {
                struct nsitem *it = q->sc->items[j];
                if (rv != NULL && strcmp(it->name, rv->relname) != 0) {
                    continue;
                }
                found = true;
                if (it->rel != NULL && it->rel->kind == REL_TABLE) {
                    it->rel->lock =
                        it->rel->lock > modes[strength] ? it->rel->lock : modes[strength];
                    it->rel->lock_wait = wait;
                    q->z->q->has_locks = true;
                }
            }
            if (rv != NULL && !found) {
                return at(q->z,
                          status_sql(INVALID, "42P01",
                                     "relation \"%s\" in %s clause not found in FROM clause",
                                     rv->relname, names[strength]),
                          rv->location);
            }
        }
    }
    return NULL;
}

/* ---- blocks ---- */

static struct status *simple(struct analyzer *z, struct scope *sc, const PgQuery__SelectStmt *s,
                             struct block *out)
{
    struct select_state q = {.z = z, .sc = sc, .s = s};
    if (s->into_clause != NULL) {
        return unsupported(z, -1, "SELECT INTO here");
    }
    if (s->n_window_clause > 0) {
        return unsupported(z, -1, "WINDOW clause");
    }
    TRY(analyze_from(z, sc, s->from_clause, s->n_from_clause, &q.rel));
    if (s->where_clause != NULL) {
        struct expr *cond;
        TRY(analyze_cond(z, sc, s->where_clause, "WHERE", &cond));
        q.rel = rel_filter(z->q, q.rel, cond);
    }
    TRY(analyze_targets(z, sc, s->target_list, s->n_target_list, &q.t));
    q.visible = q.t.n;
    TRY(order_by(&q));
    TRY(distinct_on(&q));
    for (size_t i = 0; i < s->n_group_clause; i++) {
        TRY(group_item(&q, s->group_clause[i]));
    }
    if (s->having_clause != NULL) {
        TRY(analyze_cond(z, sc, s->having_clause, "HAVING", &q.having));
    }
    TRY(group(&q));
    TRY(locking(&q));
    project_srfs(&q);
    int *vars = project(&q);
    if (q.non > 0) {
        sort_rel(&q, vars);
        distinct_rel(&q, q.non, q.on_targets, vars, true);
    } else if (s->n_distinct_clause > 0) {
        distinct_rel(&q, q.visible, NULL, vars, false);
        sort_rel(&q, vars);
    } else {
        sort_rel(&q, vars);
    }
    out->rel = q.rel;
    out->nouts = q.visible;
    out->outs = vars;
    out->names = q.t.names;
    return NULL;
}

static struct status *values(struct analyzer *z, struct scope *sc, const PgQuery__SelectStmt *s,
                             struct block *out)
{
    int nrows = (int)s->n_values_lists, ncols = -1;
    struct rel *r = rel_new(z->q, REL_VALUES, NULL);
    r->nrows = nrows;
    r->rows = ARENA_ARRAY(z->a, struct expr **, nrows);
    sc->place = sc->srf_place = "VALUES";
    for (int i = 0; i < nrows; i++) {
        const PgQuery__List *l = s->values_lists[i]->list;
        if (ncols >= 0 && (int)l->n_items != ncols) {
            return status_sql(INVALID, "42601", "VALUES lists must all be the same length");
        }
        ncols = (int)l->n_items;
        r->rows[i] = ARENA_ARRAY(z->a, struct expr *, ncols + 1);
        for (int c = 0; c < ncols; c++) {
            TRY(analyze_expr(z, sc, l->items[c], &r->rows[i][c]));
        }
    }
    r->nvars = ncols;
    r->vars = ARENA_ARRAY(z->a, int, ncols + 1);
    const char **names = ARENA_ARRAY(z->a, const char *, ncols + 1);
    struct expr **column = ARENA_ARRAY(z->a, struct expr *, nrows);
    for (int c = 0; c < ncols; c++) {
        type_oid type;
        for (int i = 0; i < nrows; i++) {
            column[i] = r->rows[i][c];
        }
        bool all_unknown = true;
        for (int i = 0; i < nrows; i++) {
            all_unknown &= column[i]->type == TYPE_UNKNOWN;
        }
        int32_t typmod = column[0]->typmod;
        if (all_unknown) {
            type = TYPE_UNKNOWN;
        } else {
            TRY(coerce_common(z, nrows, column, "VALUES", &type));
        }
        for (int i = 0; i < nrows; i++) {
            r->rows[i][c] = column[i];
            typmod = column[i]->typmod == typmod ? typmod : -1;
        }
        names[c] = arena_printf(z->a, "column%d", c + 1);
        r->vars[c] = query_var(z->q, names[c], type, typmod);
    }
    *out = (struct block){.rel = r, .nouts = ncols, .outs = r->vars, .names = names};
    return NULL;
}

static struct expr **defining_expr(struct rel *r, int var)
{
    for (; r != NULL; r = r->left) {
        if (r->kind == REL_PROJECT) {
            for (int i = 0; i < r->nvars; i++) {
                if (r->vars[i] == var &&
                    !(r->exprs[i]->kind == EXPR_COLUMN && r->exprs[i]->index == var)) {
                    return &r->exprs[i];
                }
            }
        }
        if (r->kind != REL_PROJECT && r->kind != REL_SORT && r->kind != REL_DISTINCT &&
            r->kind != REL_LIMIT) {
            return NULL;
        }
    }
    return NULL;
}

static struct rel *defining_values(struct rel *r)
{
    while (r != NULL && (r->kind == REL_SORT || r->kind == REL_LIMIT || r->kind == REL_DISTINCT)) {
        r = r->left;
    }
    return r != NULL && (r->kind == REL_VALUES || r->kind == REL_SETOP) ? r : NULL;
}

static struct status *retype_var(struct analyzer *z, struct rel *rel, int var, type_oid type,
                                 int32_t typmod)
{
    if (z->q->vars[var].type != TYPE_UNKNOWN) {
        return NULL;
    }
    z->q->vars[var].type = type;
    z->q->vars[var].typmod = typmod;
    struct expr **e = defining_expr(rel, var);
    if (e != NULL) {
        return coerce(z, *e, type, typmod, CAST_ASSIGNMENT, e);
    }
    struct rel *v = defining_values(rel);
    for (int c = 0; v != NULL && c < v->nvars; c++) {
        if (v->vars[c] != var) {
            continue;
        }
        if (v->kind == REL_SETOP) {
            TRY(retype_var(z, v->left, v->left_outs[c], type, typmod));
            return retype_var(z, v->right, v->right_outs[c], type, typmod);
        }
        for (int i = 0; i < v->nrows; i++) {
            TRY(coerce(z, v->rows[i][c], type, typmod, CAST_ASSIGNMENT, &v->rows[i][c]));
        }
    }
    return NULL;
}

struct status *block_retype(struct analyzer *z, struct block *b, int i, type_oid type,
                            int32_t typmod)
{
    return retype_var(z, b->rel, b->outs[i], type, typmod);
}

/* ---- set operations ---- */

static struct status *setop_cast(struct analyzer *z, struct block *b, const type_oid *types)
{
    bool needed = false;
    for (int i = 0; i < b->nouts; i++) {
        TRY(block_retype(z, b, i, types[i], -1));
        needed |= z->q->vars[b->outs[i]].type != types[i];
    }
    if (!needed) {
        return NULL;
    }
    struct rel *p = rel_new(z->q, REL_PROJECT, b->rel);
    int *outs = ARENA_ARRAY(z->a, int, b->nouts);
    p->vars = outs;
    p->exprs = ARENA_ARRAY(z->a, struct expr *, b->nouts);
    for (int i = 0; i < b->nouts; i++) {
        TRY(coerce(z, query_column(z->q, b->outs[i]), types[i], -1, CAST_IMPLICIT, &p->exprs[i]));
        outs[i] = query_var(z->q, b->names[i], types[i], p->exprs[i]->typmod);
    }
    p->nvars = p->nexprs = b->nouts;
    b->rel = p;
    b->outs = outs;
    return NULL;
}

static struct status *setop_order(struct analyzer *z, const PgQuery__SelectStmt *s,
                                  struct block *out)
{
    int n = (int)s->n_sort_clause;
    if (n == 0) {
        return NULL;
    }
    struct target_list t = {.n = out->nouts, .names = out->names};
    t.exprs = ARENA_ARRAY(z->a, struct expr *, out->nouts + 1);
    for (int i = 0; i < out->nouts; i++) {
        t.exprs[i] = query_column(z->q, out->outs[i]);
    }
    struct select_state q = {.z = z, .s = s, .t = t, .visible = out->nouts};
    struct rel *r = rel_new(z->q, REL_SORT, out->rel);
    r->nsorts = n;
    r->sorts = ARENA_ARRAY(z->a, struct rel_sort, n);
    for (int i = 0; i < n; i++) {
        const PgQuery__SortBy *sb = s->sort_clause[i]->sort_by;
        int k;
        TRY(by_position(&q, sb->node, "ORDER BY", &k));
        const char *name = k < 0 ? plain_name(sb->node) : NULL;
        if (name != NULL) {
            TRY(by_output_name(&q, name, "ORDER BY", sb->node->column_ref->location, &k));
            if (k < 0) {
                return at(z, status_sql(INVALID, "42703", "column \"%s\" does not exist", name),
                          sb->node->column_ref->location);
            }
        }
        if (k < 0) {
            return status_hint(
                status_detail(
                    status_sql(UNSUPPORTED, "0A000",
                               "invalid UNION/INTERSECT/EXCEPT ORDER BY clause"),
                    "Only result column names can be used, not expressions or functions."),
                "Add the expression/function to every SELECT, or move the UNION into a FROM "
                "clause.");
        }
        r->sorts[i] = sort_of(sb);
        TRY(sort_using(z, sb, &r->sorts[i]));
        r->sorts[i].var = out->outs[k];
    }
    out->rel = r;
    return NULL;
}

static struct status *setop(struct analyzer *z, struct scope *sc, const PgQuery__SelectStmt *s,
                            struct block *out)
{
    static const char *const names[] = {"", "", "UNION", "INTERSECT", "EXCEPT"};
    struct block l, r;
    struct scope *ls, *rs;
    if (s->n_locking_clause > 0) {
        return status_sql(UNSUPPORTED, "0A000",
                          "FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT");
    }
    TRY(analyze_select_raw(z, sc, s->larg, &l, &ls));
    TRY(analyze_select_raw(z, sc, s->rarg, &r, &rs));
    if (l.nouts != r.nouts) {
        return status_sql(INVALID, "42601", "each %s query must have the same number of columns",
                          names[(int)s->op]);
    }
    int n = l.nouts;
    type_oid *types = ARENA_ARRAY(z->a, type_oid, n + 1);
    for (int i = 0; i < n; i++) {
        type_oid pair[2] = {z->q->vars[l.outs[i]].type, z->q->vars[r.outs[i]].type};
        if (pair[0] == TYPE_UNKNOWN && pair[1] == TYPE_UNKNOWN) {
            types[i] = TYPE_TEXT;
            continue;
        }
        TRY(type_common(pair, 2, names[(int)s->op], &types[i]));
    }
    TRY(setop_cast(z, &l, types));
    TRY(setop_cast(z, &r, types));
    struct rel *so = rel_new(z->q, REL_SETOP, l.rel);
    so->right = r.rel;
    so->left_outs = l.outs;
    so->right_outs = r.outs;
    so->setop = s->op == PG_QUERY__SET_OPERATION__SETOP_UNION
                    ? (s->all ? SETOP_UNION_ALL : SETOP_UNION)
                : s->op == PG_QUERY__SET_OPERATION__SETOP_INTERSECT
                    ? (s->all ? SETOP_INTERSECT_ALL : SETOP_INTERSECT)
                    : (s->all ? SETOP_EXCEPT_ALL : SETOP_EXCEPT);
    so->nvars = n;
    so->vars = ARENA_ARRAY(z->a, int, n + 1);
    for (int i = 0; i < n; i++) {
        int32_t lm = z->q->vars[l.outs[i]].typmod, rm = z->q->vars[r.outs[i]].typmod;
        so->vars[i] = query_var(z->q, l.names[i], types[i], lm == rm ? lm : -1);
    }
    *out = (struct block){.rel = so, .nouts = n, .outs = so->vars, .names = l.names};
    return NULL;
}

struct status *analyze_with(struct analyzer *z, struct scope *sc, const PgQuery__WithClause *w)
{
    if (w == NULL) {
        return NULL;
    }
    sc->ctes = ARENA_ARRAY(z->a, struct cte *, w->n_ctes);
    for (size_t i = 0; i < w->n_ctes; i++) {
        const PgQuery__CommonTableExpr *ce = w->ctes[i]->common_table_expr;
        for (int k = 0; k < sc->nctes; k++) {
            if (strcmp(sc->ctes[k]->name, ce->ctename) == 0) {
                return at(z,
                          status_sql(INVALID, "42712",
                                     "WITH query name \"%s\" specified more than once",
                                     ce->ctename),
                          ce->location);
            }
        }
        if (ce->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
            return unsupported(z, ce->location, "data-modifying statements in WITH");
        }
        if (z->q->nctes == (int)(sizeof(z->q->ctes) / sizeof(z->q->ctes[0]))) {
            return unsupported(z, ce->location, "more than 64 WITH queries");
        }
        struct cte *c = ARENA_NEW(z->a, struct cte);
        c->name = arena_strdup(z->a, ce->ctename);
        c->id = z->q->nctes;
        c->query = ce->ctequery;
        c->scope = sc;
        c->ncolnames = (int)ce->n_aliascolnames;
        c->colnames = ce->aliascolnames;
        c->materialize = (int)ce->ctematerialized;
        c->is_recursive = w->recursive;
        z->q->ctes[z->q->nctes++] = c;
        sc->ctes[sc->nctes++] = c;
    }
    return NULL;
}

struct status *analyze_select_raw(struct analyzer *z, struct scope *parent,
                                  const PgQuery__SelectStmt *s, struct block *out,
                                  struct scope **out_scope)
{
    TRY(analyze_stack_check());
    struct scope *sc = scope_new(z, parent);
    TRY(analyze_with(z, sc, s->with_clause));
    if (s->op != PG_QUERY__SET_OPERATION__SETOP_NONE && s->larg != NULL) {
        TRY(setop(z, sc, s, out));
        TRY(setop_order(z, s, out));
    } else if (s->n_values_lists > 0) {
        TRY(values(z, sc, s, out));
        TRY(setop_order(z, s, out));
    } else {
        TRY(simple(z, sc, s, out));
    }
    TRY(limit_rel(z, sc, s, &out->rel));
    if (out_scope != NULL) {
        *out_scope = sc;
    }
    return NULL;
}

struct status *analyze_select(struct analyzer *z, struct scope *parent,
                              const PgQuery__SelectStmt *s, struct block *out,
                              struct scope **out_scope)
{
    TRY(analyze_select_raw(z, parent, s, out, out_scope));
    for (int i = 0; i < out->nouts; i++) {
        if (z->q->vars[out->outs[i]].type == TYPE_UNKNOWN) {
            TRY(block_retype(z, out, i, TYPE_TEXT, -1));
        }
    }
    return NULL;
}

struct status *analyze_query(struct analyzer *z, const PgQuery__SelectStmt *s)
{
    struct query *q = z->q;
    TRY(analyze_select(z, NULL, s, &q->block, NULL));
    q->tag = s->n_values_lists > 0 ? PLAN_VALUES : PLAN_SELECT;
    q->ncolumns = q->block.nouts;
    q->columns = ARENA_ARRAY(z->a, struct plan_column, q->ncolumns + 1);
    for (int i = 0; i < q->ncolumns; i++) {
        const struct var *v = &q->vars[q->block.outs[i]];
        q->columns[i] = (struct plan_column){.name = q->block.names[i],
                                             .type = v->type,
                                             .typmod = v->typmod,
                                             .table_oid = v->table_oid,
                                             .attnum = v->attnum};
    }
    return NULL;
}
