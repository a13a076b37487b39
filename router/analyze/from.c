/*
 * FROM: tables, views, WITH references, sub-selects, functions and joins to a tree of rels, and
 * their names to the scope.
 *
 * A sub-select or function marked LATERAL (functions always are) sees the items to its left: when
 * it uses one, the join of both becomes lateral and the executor runs the right side again for each
 * row of the left.
 */
#include "analyze.h"
#include "analyze_limits.h"

#include "ddl/system.h"

static struct status *from_item(struct analyzer *z, struct scope *sc, const PgQuery__Node *n,
                                struct rel **left_io, struct rel **out);

struct rel *table_rel(struct analyzer *z, const Sherd__V1__TableDesc *t, const char *alias,
                      struct nsitem **out_item)
{
    struct rel *r = rel_new(z->q, REL_TABLE, NULL);
    int n = (int)t->n_columns, live = 0;
    r->table = t;
    r->alias = arena_strdup(z->a, alias);
    r->col_vars = ARENA_ARRAY(z->a, int, n + 1);
    r->vars = ARENA_ARRAY(z->a, int, n + 1);
    struct nsitem *it = ARENA_NEW(z->a, struct nsitem);
    it->name = r->alias;
    it->cols = ARENA_ARRAY(z->a, const char *, n + 1);
    it->vars = ARENA_ARRAY(z->a, int, n + 1);
    it->table = t;
    it->rel = r;
    int hidden = -1;
    for (int pass = 0; pass < 2; pass++) { /* hidden ones last in the namespace */
        for (int i = 0; i < n; i++) {
            const Sherd__V1__ColumnDesc *c = t->columns[i];
            if (c->dropped) {
                r->col_vars[i] = -1;
                continue;
            }
            if (table_is_hidden(t, c) != (pass == 1)) {
                continue;
            }
            int v = query_var(z->q, arena_strdup(z->a, c->name), c->type, c->typmod);
            struct var *var = &z->q->vars[v];
            var->table_oid = t->id;
            var->attnum = (uint16_t)c->attnum;
            var->table = r;
            var->ordinal = i;
            r->col_vars[i] = v;
            r->vars[live] = v;
            it->cols[live] = c->name;
            it->vars[live++] = v;
            hidden += pass;
        }
    }
    it->nhidden = hidden + 1;
    r->nvars = it->ncols = live;
    query_depends(z->q, t);
    const Sherd__V1__SchemaDesc *s = catalog_schema_by_id(z->env->catalog, t->schema_id);
    it->schema = s == NULL ? NULL : s->name;
    *out_item = it;
    return r;
}

static struct status *alias_columns(struct analyzer *z, struct nsitem *it,
                                    const PgQuery__Alias *alias, int location)
{
    if (alias == NULL) {
        return NULL;
    }
    it->name = arena_strdup(z->a, alias->aliasname);
    it->schema = NULL;
    if ((int)alias->n_colnames > it->ncols - it->nhidden) {
        return at(z,
                  status_sql(INVALID, "42P10",
                             "table \"%s\" has %d columns available but %d columns specified",
                             it->name, it->ncols - it->nhidden, (int)alias->n_colnames),
                  location);
    }
    for (size_t i = 0; i < alias->n_colnames; i++) {
        it->cols[i] = arena_strdup(z->a, node_string(alias->colnames[i]));
    }
    return NULL;
}

static bool scope_owns(const struct scope *sc, int var)
{
    for (int i = 0; i < sc->nitems; i++) {
        for (int c = 0; c < sc->items[i]->ncols; c++) {
            if (sc->items[i]->vars[c] == var) {
                return true;
            }
        }
    }
    for (int i = 0; i < sc->naggs; i++) {
        if (sc->agg_vars[i] == var) {
            return true;
        }
    }
    return false;
}

/* What a sub-select uses from outside, sc and the blocks around it use too, up to the owner.
 * Returns whether some of it is sc's own. */
static bool scope_inherit(struct analyzer *z, struct scope *sc, const struct scope *sub)
{
    bool own = false;
    for (int i = 0; i < sub->nouter; i++) {
        struct scope *owner = sc;
        while (owner != NULL && !scope_owns(owner, sub->outer[i])) {
            owner = owner->parent;
        }
        own |= owner == sc;
        if (owner != NULL && owner != sc) {
            scope_outer(z, sc, owner, sub->outer[i]);
        }
        query_slot(z->q, sub->outer[i]);
    }
    return own;
}

static struct nsitem *block_item(struct analyzer *z, const struct block *b, const char *name)
{
    struct nsitem *it = ARENA_NEW(z->a, struct nsitem);
    it->name = name;
    it->ncols = b->nouts;
    it->vars = b->outs;
    it->cols = ARENA_ARRAY(z->a, const char *, b->nouts + 1);
    for (int i = 0; i < b->nouts; i++) {
        it->cols[i] = b->names[i];
    }
    return it;
}

/* ---- views ---- */

static void parsed_cleanup(void *p)
{
    parsed_free(p);
}

static struct status *from_view(struct analyzer *z, struct scope *sc, const PgQuery__RangeVar *rv,
                                const Sherd__V1__TableDesc *t, struct rel **out)
{
    if (z->view_depth >= 32) {
        return at(z, status_sql(LIMIT, "54001", "views nest too deeply: \"%s\"", t->name),
                  rv->location);
    }
    struct parsed *p;
    struct status *st = parse_sql(z->f, slice_str(t->view_sql), &p);
    if (st != NULL) {
        return status_wrap(st, "view \"%s\"", t->name);
    }
    arena_on_free(z->a, parsed_cleanup, p);
    query_depends(z->q, t);
    const PgQuery__Node *n = parsed_count(p) == 1 ? parsed_node(p, 0) : NULL;
    if (n == NULL || n->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return status_new(CORRUPT, "view \"%s\" is not a SELECT", t->name);
    }
    const char *sql = z->sql;
    z->sql = NULL;
    z->view_depth++;
    struct block b;
    st = analyze_select(z, NULL, n->select_stmt, &b, NULL);
    z->view_depth--;
    z->sql = sql;
    TRY(st);
    struct nsitem *it = block_item(z, &b, arena_strdup(z->a, t->name));
    for (int i = 0; i < b.nouts && i < (int)t->n_columns; i++) {
        it->cols[i] = t->columns[i]->name;
    }
    it->table = t;
    const Sherd__V1__SchemaDesc *s = catalog_schema_by_id(z->env->catalog, t->schema_id);
    it->schema = s == NULL ? NULL : s->name;
    TRY(alias_columns(z, it, rv->alias, rv->location));
    *out = b.rel;
    return scope_add(z, sc, it, rv->location);
}

/* ---- WITH references ---- */

static struct status *cte_analyze(struct analyzer *z, struct cte *c, int location)
{
    if (c->is_analyzed) {
        if (c->rel == NULL) {
            return unsupported(z, location, "recursive WITH queries");
        }
        return NULL;
    }
    c->is_analyzed = true;
    if (c->query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return unsupported(z, location, "data-modifying statements in WITH");
    }
    struct block b;
    struct scope *sub;
    struct scope *definer = c->scope;
    /* A WITH query sees only its older siblings; WITH RECURSIVE sees all, and itself. */
    struct scope *around = scope_new(z, definer->parent);
    around->ctes = definer->ctes;
    while (around->nctes < definer->nctes &&
           (c->is_recursive || definer->ctes[around->nctes] != c)) {
        around->nctes++;
    }
    around->place = NULL;
    TRY(analyze_select(z, around, c->query->select_stmt, &b, &sub));
    if (sub->nouter > 0) {
        scope_inherit(z, definer, sub);
        c->materialize = PG_QUERY__CTEMATERIALIZE__CTEMaterializeNever;
    }
    if (c->ncolnames > b.nouts) {
        return at(z,
                  status_sql(INVALID, "42P10",
                             "WITH query \"%s\" has %d columns available but %d columns specified",
                             c->name, b.nouts, c->ncolnames),
                  location);
    }
    for (int i = 0; i < c->ncolnames; i++) {
        b.names[i] = arena_strdup(z->a, node_string(c->colnames[i]));
    }
    c->rel = b.rel;
    c->nouts = b.nouts;
    c->outs = b.outs;
    c->names = b.names;
    return NULL;
}

static struct status *from_cte(struct analyzer *z, struct scope *sc, const PgQuery__RangeVar *rv,
                               struct cte *c, struct rel **out)
{
    TRY(cte_analyze(z, c, rv->location));
    c->refs++;
    if (c->refs > 1 && c->materialize == PG_QUERY__CTEMATERIALIZE__CTEMaterializeNever) {
        /* Not to be computed once: every reference gets a tree of its own. */
        struct cte *again = ARENA_NEW(z->a, struct cte);
        *again = *c;
        again->is_analyzed = false;
        again->refs = 1;
        TRY(cte_analyze(z, again, rv->location));
        c = again;
    }
    struct rel *r = rel_new(z->q, REL_CTE, NULL);
    r->cte = c;
    r->nvars = c->nouts;
    r->vars = ARENA_ARRAY(z->a, int, c->nouts + 1);
    for (int i = 0; i < c->nouts; i++) {
        const struct var *v = &z->q->vars[c->outs[i]];
        r->vars[i] = query_var(z->q, c->names[i], v->type, v->typmod);
    }
    struct block b = {.rel = r, .nouts = c->nouts, .outs = r->vars, .names = c->names};
    struct nsitem *it = block_item(z, &b, c->name);
    TRY(alias_columns(z, it, rv->alias, rv->location));
    *out = r;
    return scope_add(z, sc, it, rv->location);
}

/* ---- tables ---- */

static struct status *from_table(struct analyzer *z, struct scope *sc, const PgQuery__RangeVar *rv,
                                 struct rel **out)
{
    struct cte *c = rv->schemaname[0] == '\0' ? scope_cte(sc, rv->relname) : NULL;
    if (c != NULL) {
        return from_cte(z, sc, rv, c, out);
    }
    if (++z->ntables > TABLES_MAX) {
        return at(z, status_sql(LIMIT, "54001", "a statement may use %d tables", TABLES_MAX),
                  rv->location);
    }
    const Sherd__V1__TableDesc *t;
    const struct system_table *sys;
    TRY(relation_find(z, rv, &t, &sys));
    if (sys != NULL) {
        struct rel *r = rel_new(z->q, REL_SYSTEM, NULL);
        r->system = sys;
        z->q->shows_catalog |= system_table_shows_catalog(sys);
        r->alias = sys->name;
        r->nvars = sys->ncols;
        r->vars = ARENA_ARRAY(z->a, int, sys->ncols + 1);
        struct nsitem *it = ARENA_NEW(z->a, struct nsitem);
        it->name = sys->name;
        it->schema = sys->schema;
        it->ncols = sys->ncols;
        it->vars = r->vars;
        it->cols = ARENA_ARRAY(z->a, const char *, sys->ncols + 1);
        it->rel = r;
        for (int i = 0; i < sys->ncols; i++) {
            r->vars[i] = query_var(z->q, sys->cols[i].name, sys->cols[i].type, -1);
            z->q->vars[r->vars[i]].table_oid = sys->oid;
            z->q->vars[r->vars[i]].attnum = (uint16_t)(i + 1);
            it->cols[i] = sys->cols[i].name;
        }
        TRY(alias_columns(z, it, rv->alias, rv->location));
        *out = r;
        return scope_add(z, sc, it, rv->location);
    }
    if (t->view_sql != NULL && t->view_sql[0] != '\0') {
        return from_view(z, sc, rv, t, out);
    }
    struct nsitem *it;
    struct rel *r = table_rel(z, t, rv->alias != NULL ? rv->alias->aliasname : t->name, &it);
    TRY(alias_columns(z, it, rv->alias, rv->location));
    *out = r;
    return scope_add(z, sc, it, rv->location);
}

/* ---- sub-selects and functions ---- */

static struct status *from_subselect(struct analyzer *z, struct scope *sc,
                                     const PgQuery__RangeSubselect *rs, bool *out_lateral,
                                     struct rel **out)
{
    if (rs->subquery == NULL || rs->subquery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return unsupported(z, -1, "this kind of sub-select");
    }
    if (rs->alias == NULL) {
        const PgQuery__SelectStmt *s = rs->subquery->select_stmt;
        return status_hint(status_sql(INVALID, "42601",
                                      s->n_values_lists > 0
                                          ? "VALUES in FROM must have an alias"
                                          : "subquery in FROM must have an alias"),
                           s->n_values_lists > 0 ? "For example, FROM (VALUES ...) [AS] foo."
                                                 : "For example, FROM (SELECT ...) [AS] foo.");
    }
    struct block b;
    struct scope *sub;
    /* Not lateral: sees what this block's parent sees, and this block's WITH queries. */
    struct scope *around = sc;
    if (!rs->lateral) {
        around = scope_new(z, sc->parent);
        around->nctes = sc->nctes;
        around->ctes = sc->ctes;
    }
    TRY(analyze_select(z, around, rs->subquery->select_stmt, &b, &sub));
    *out_lateral = scope_inherit(z, sc, sub);
    struct nsitem *it = block_item(z, &b, "");
    TRY(alias_columns(z, it, rs->alias, -1));
    *out = b.rel;
    return scope_add(z, sc, it, -1);
}

static bool is_streaming_series(const struct expr *e)
{
    return strcmp(e->func->name, "generate_series") == 0;
}

struct lateral_search {
    struct analyzer *z;
    struct scope *sc;
    bool found;
};

static void lateral_var(void *ctx, int var)
{
    struct lateral_search *l = ctx;
    if (scope_owns(l->sc, var)) {
        l->found = true;
        query_slot(l->z->q, var);
    }
}

static struct status *from_function(struct analyzer *z, struct scope *sc,
                                    const PgQuery__RangeFunction *rf, bool *out_lateral,
                                    struct rel **out)
{
    if (rf->n_coldeflist > 0) {
        return unsupported(z, -1, "column definition lists of functions");
    }
    int n = (int)rf->n_functions;
    struct scope *fs = scope_new(z, sc);
    struct rel *r = rel_new(z->q, REL_SRF, rel_new(z->q, REL_ONE, NULL));
    r->exprs = ARENA_ARRAY(z->a, struct expr *, n);
    r->vars = ARENA_ARRAY(z->a, int, n + 2);
    const char *name = "";
    struct nsitem *it = ARENA_NEW(z->a, struct nsitem);
    it->cols = ARENA_ARRAY(z->a, const char *, n + 2);
    for (int i = 0; i < n; i++) {
        const PgQuery__Node *fn = rf->functions[i]->list->items[0];
        struct expr *e;
        fs->nsrfs = 0;
        fs->place = "functions in FROM";
        TRY(analyze_expr(z, fs, fn, &e));
        const char *col = arena_strdup(z->a, column_name(fn));
        name = i == 0 ? col : name;
        bool is_set = e->kind == EXPR_COLUMN && fs->nsrfs == 1 && e->index == fs->srf_vars[0];
        if (fs->nsrfs > 1 || (fs->nsrfs == 1 && !is_set)) {
            return unsupported(z, e->location,
                               "set-returning functions inside of expressions in FROM");
        }
        if (is_set) {
            e = fs->srfs[0];
        } else {
            TRY(coerce_unknown(z, &e));
        }
        r->exprs[i] = e;
        it->cols[i] = n == 1 && rf->alias != NULL ? arena_strdup(z->a, rf->alias->aliasname) : col;
        r->vars[i] = query_var(z->q, col, e->type, -1);
    }
    r->nexprs = r->nvars = n;
    struct lateral_search ls = {.z = z, .sc = sc};
    for (int i = 0; i < n; i++) {
        expr_vars(r->exprs[i], lateral_var, &ls);
    }
    *out_lateral = ls.found;
    scope_inherit(z, sc, fs);
    if (n == 1 && !rf->ordinality && r->exprs[0]->kind == EXPR_CALL &&
        r->exprs[0]->func->class == FUNC_SET && is_streaming_series(r->exprs[0])) {
        r->kind = REL_SERIES;
        r->nexprs = r->exprs[0]->nargs;
        r->exprs = r->exprs[0]->args;
        r->left = NULL;
    }
    it->ncols = n;
    if (rf->ordinality) {
        r->with_ordinality = true;
        r->vars[n] = query_var(z->q, "ordinality", TYPE_INT8, -1);
        it->cols[n] = "ordinality";
        r->nvars = it->ncols = n + 1;
    }
    it->name = name;
    it->vars = r->vars;
    TRY(alias_columns(z, it, rf->alias, -1));
    *out = r;
    return scope_add(z, sc, it, -1);
}

/* ---- joins ---- */

static struct status *using_names(struct analyzer *z, struct scope *sc, const PgQuery__JoinExpr *j,
                                  int lfirst, int rfirst, int *out_n, const char ***out)
{
    if (!j->is_natural) {
        int n = (int)j->n_using_clause;
        const char **names = ARENA_ARRAY(z->a, const char *, n + 1);
        for (int i = 0; i < n; i++) {
            names[i] = arena_strdup(z->a, node_string(j->using_clause[i]));
        }
        *out_n = n;
        *out = names;
        return NULL;
    }
    int cap = 0, n = 0;
    for (int i = lfirst; i < rfirst; i++) {
        cap += sc->items[i]->ncols;
    }
    const char **names = ARENA_ARRAY(z->a, const char *, cap + 1);
    for (int i = lfirst; i < rfirst; i++) {
        struct nsitem *li = sc->items[i];
        for (int c = 0; !li->hides_columns && c < li->ncols - li->nhidden; c++) {
            bool common = false;
            for (int k = rfirst; k < sc->nitems; k++) {
                struct nsitem *ri = sc->items[k];
                for (int d = 0; !ri->hides_columns && d < ri->ncols - ri->nhidden; d++) {
                    common |= strcmp(li->cols[c], ri->cols[d]) == 0;
                }
            }
            if (common) {
                names[n++] = li->cols[c];
            }
        }
    }
    *out_n = n;
    *out = names;
    return NULL;
}

static struct status *side_find(struct analyzer *z, struct scope *sc, int first, int last,
                                const char *name, const char *side, int *out_var)
{
    int found = -1;
    for (int i = first; i < last; i++) {
        struct nsitem *it = sc->items[i];
        for (int c = 0; !it->hides_columns && c < it->ncols; c++) {
            if (strcmp(it->cols[c], name) != 0) {
                continue;
            }
            if (found >= 0) {
                return status_sql(INVALID, "42702",
                                  "common column name \"%s\" appears more than once in %s table",
                                  name, side);
            }
            found = it->vars[c];
        }
    }
    if (found < 0) {
        return status_sql(INVALID, "42703",
                          "column \"%s\" specified in USING clause does not exist in %s table",
                          name, side);
    }
    (void)z;
    *out_var = found;
    return NULL;
}

/* USING and NATURAL: equal columns of both sides, merged into one, which unqualified names and '*'
 * find first. */
static struct status *join_using(struct analyzer *z, struct scope *sc, const PgQuery__JoinExpr *j,
                                 int lfirst, int rfirst, struct rel **io)
{
    int n;
    const char **names;
    TRY(using_names(z, sc, j, lfirst, rfirst, &n, &names));
    struct rel *join = *io;
    int total = n;
    for (int i = lfirst; i < sc->nitems; i++) {
        total += sc->items[i]->ncols;
    }
    struct nsitem *it = ARENA_NEW(z->a, struct nsitem);
    it->is_nameless = true;
    it->name = "";
    it->cols = ARENA_ARRAY(z->a, const char *, total + 1);
    it->vars = ARENA_ARRAY(z->a, int, total + 1);
    int *lv = ARENA_ARRAY(z->a, int, n + 1), *rv = ARENA_ARRAY(z->a, int, n + 1);
    struct rel *proj = NULL;
    for (int i = 0; i < n; i++) {
        TRY(side_find(z, sc, lfirst, rfirst, names[i], "left", &lv[i]));
        TRY(side_find(z, sc, rfirst, sc->nitems, names[i], "right", &rv[i]));
        struct expr *pair[2] = {query_column(z->q, lv[i]), query_column(z->q, rv[i])}, *eq;
        TRY(make_op(z, "=", pair[0], pair[1], -1, &eq));
        rel_add_cond(z->q, join, eq);
        type_oid common;
        TRY(coerce_common(z, 2, pair, "JOIN/USING", &common));
        struct expr *merged = join->join == JOIN_RIGHT ? pair[1] : pair[0];
        if (join->join == JOIN_FULL) {
            merged = expr_bool(z->a, EXPR_COALESCE, 2, pair);
            merged->type = common;
        }
        it->cols[i] = names[i];
        if (merged->kind == EXPR_COLUMN) {
            it->vars[i] = merged->index;
            continue;
        }
        if (proj == NULL) {
            proj = rel_new(z->q, REL_PROJECT, join);
            proj->vars = ARENA_ARRAY(z->a, int, join->nvars + n);
            proj->exprs = ARENA_ARRAY(z->a, struct expr *, join->nvars + n);
            for (int k = 0; k < join->nvars; k++) {
                proj->vars[k] = join->vars[k];
                proj->exprs[k] = query_column(z->q, join->vars[k]);
            }
            proj->nvars = proj->nexprs = join->nvars;
        }
        it->vars[i] = query_var(z->q, names[i], common, -1);
        proj->vars[proj->nvars++] = it->vars[i];
        proj->exprs[proj->nexprs++] = merged;
    }
    it->ncols = n;
    for (int i = lfirst; i < sc->nitems; i++) {
        struct nsitem *src = sc->items[i];
        for (int c = 0; !src->hides_columns && c < src->ncols - src->nhidden; c++) {
            bool merged = false;
            for (int k = 0; k < n; k++) {
                merged |= src->vars[c] == lv[k] || src->vars[c] == rv[k];
            }
            if (!merged) {
                it->cols[it->ncols] = src->cols[c];
                it->vars[it->ncols++] = src->vars[c];
            }
        }
        src->hides_columns = true;
    }
    *io = proj != NULL ? proj : join;
    return scope_add(z, sc, it, -1);
}

static struct status *join_alias(struct analyzer *z, struct scope *sc, const PgQuery__JoinExpr *j,
                                 int lfirst)
{
    if (j->join_using_alias != NULL) {
        return unsupported(z, -1, "USING ... AS alias");
    }
    if (j->alias == NULL) {
        return NULL;
    }
    int total = 0;
    for (int i = lfirst; i < sc->nitems; i++) {
        total += sc->items[i]->ncols;
    }
    struct nsitem *it = ARENA_NEW(z->a, struct nsitem);
    it->cols = ARENA_ARRAY(z->a, const char *, total + 1);
    it->vars = ARENA_ARRAY(z->a, int, total + 1);
    for (int i = lfirst; i < sc->nitems; i++) {
        struct nsitem *src = sc->items[i];
        for (int c = 0; !src->hides_columns && c < src->ncols - src->nhidden; c++) {
            it->cols[it->ncols] = src->cols[c];
            it->vars[it->ncols++] = src->vars[c];
        }
    }
    sc->nitems = lfirst; /* an alias hides the names inside */
    it->name = "";
    TRY(alias_columns(z, it, j->alias, -1));
    return scope_add(z, sc, it, -1);
}

static struct status *from_join(struct analyzer *z, struct scope *sc, const PgQuery__JoinExpr *j,
                                struct rel **out)
{
    TRY(analyze_stack_check());
    static const enum join_kind kinds[] = {JOIN_INNER, JOIN_INNER, JOIN_LEFT, JOIN_FULL,
                                           JOIN_RIGHT};
    if ((int)j->jointype < 1 || (int)j->jointype > 4) {
        return unsupported(z, -1, "this kind of join");
    }
    enum join_kind kind = kinds[(int)j->jointype];
    struct rel *left, *right, *seen;
    int lfirst = sc->nitems;
    TRY(from_item(z, sc, j->larg, NULL, &left));
    int rfirst = sc->nitems;
    seen = left;
    TRY(from_item(z, sc, j->rarg, &seen, &right));
    bool lateral = seen == NULL;
    if (lateral && (kind == JOIN_RIGHT || kind == JOIN_FULL)) {
        return status_detail(
            status_sql(INVALID, "42P10", "invalid reference to FROM-clause entry"),
            "The combining JOIN type must be INNER or LEFT for a LATERAL reference.");
    }
    struct rel *join = rel_join(z->q, kind, left, right);
    join->is_lateral = lateral;
    *out = join;
    if (j->is_natural || j->n_using_clause > 0) {
        TRY(join_using(z, sc, j, lfirst, rfirst, out));
    } else if (j->quals != NULL) {
        struct expr *on;
        int saved = sc->first;
        sc->first = lfirst;
        struct status *st = analyze_cond(z, sc, j->quals, "JOIN/ON", &on);
        sc->first = saved;
        TRY(st);
        rel_add_cond(z->q, join, on);
    }
    return join_alias(z, sc, j, lfirst);
}

static bool has_lateral(const struct rel *r)
{
    return r != NULL && (r->is_lateral || ((r->kind == REL_JOIN || r->kind == REL_PROJECT) &&
                                           (has_lateral(r->left) || has_lateral(r->right))));
}

/* left_io: what stands to the left; set to NULL when the item uses it (lateral). */
static struct status *from_item(struct analyzer *z, struct scope *sc, const PgQuery__Node *n,
                                struct rel **left_io, struct rel **out)
{
    bool lateral = false;
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR:
        TRY(from_table(z, sc, n->range_var, out));
        break;
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
        TRY(from_subselect(z, sc, n->range_subselect, &lateral, out));
        break;
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
        TRY(from_function(z, sc, n->range_function, &lateral, out));
        break;
    case PG_QUERY__NODE__NODE_JOIN_EXPR:
        TRY(from_join(z, sc, n->join_expr, out));
        lateral = has_lateral(*out); /* it may reach out of this join */
        break;
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
        return unsupported(z, -1, "TABLESAMPLE");
    default:
        return unsupported(z, -1, "this kind of FROM item");
    }
    if (lateral && left_io != NULL) {
        *left_io = NULL;
    }
    return NULL;
}

struct status *analyze_from(struct analyzer *z, struct scope *sc, PgQuery__Node *const *items,
                            size_t n, struct rel **out)
{
    struct rel *r = NULL;
    const char *saved = sc->place;
    sc->place = "FROM clause of their own query level";
    for (size_t i = 0; i < n; i++) {
        struct rel *item, *seen = r;
        TRY(from_item(z, sc, items[i], &seen, &item));
        if (r == NULL) {
            r = item;
            continue;
        }
        struct rel *join = rel_join(z->q, JOIN_INNER, r, item);
        join->is_lateral = seen == NULL;
        r = join;
    }
    sc->place = saved;
    *out = r != NULL ? r : rel_new(z->q, REL_ONE, NULL);
    return NULL;
}
