/*
 * Function calls (plain, aggregate, set-returning), sub-selects in expressions, and the names of
 * result columns.
 *
 * An aggregate is taken out of its expression: it gets a var of its own, computed by the block's
 * REL_AGG; so does a set-returning function of the select list (REL_SRF). A sub-select becomes a
 * struct subplan and an EXPR_SUBPLAN node whose arguments are the left side of IN/ANY and the vars
 * of outer queries that it uses.
 */
#include "analyze.h"

/* ---- aggregates ---- */

static bool in_list(const int *list, int n, int var)
{
    for (int i = 0; i < n; i++) {
        if (list[i] == var) {
            return true;
        }
    }
    return false;
}

struct owner_search {
    struct scope *sc;
    bool has_own, has_outer;
    int an_outer;
};

static void owner_var(void *ctx, int var)
{
    struct owner_search *o = ctx;
    if (in_list(o->sc->outer, o->sc->nouter, var)) {
        o->has_outer = true;
        o->an_outer = var;
    } else {
        o->has_own = true;
    }
}

/* The query level an aggregate belongs to: the innermost one that its arguments use columns of. */
static struct scope *agg_owner(struct scope *sc, int nargs, struct expr **args)
{
    while (sc->parent != NULL) {
        struct owner_search o = {.sc = sc};
        for (int i = 0; i < nargs; i++) {
            expr_vars(args[i], owner_var, &o);
        }
        if (o.has_own || !o.has_outer) {
            return sc;
        }
        sc = sc->parent;
    }
    return sc;
}

static struct status *agg_order_by(struct analyzer *z, struct scope *sc,
                                   const PgQuery__FuncCall *fc, const struct agg_call *call)
{
    int n = (int)fc->n_agg_order;
    struct expr **keys = ARENA_ARRAY(z->a, struct expr *, n);
    struct rel_sort *sorts = ARENA_ARRAY(z->a, struct rel_sort, n);
    for (int i = 0; i < n; i++) {
        const PgQuery__SortBy *sb = fc->agg_order[i]->sort_by;
        TRY(analyze_expr(z, sc, sb->node, &keys[i]));
        TRY(coerce_unknown(z, &keys[i]));
        bool listed = !call->is_distinct;
        for (int k = 0; k < call->nargs; k++) {
            listed |= expr_equal(call->args[k], keys[i]);
        }
        if (!listed) {
            return at(z,
                      status_sql(INVALID, "42P10",
                                 "in an aggregate with DISTINCT, ORDER BY expressions must appear "
                                 "in argument list"),
                      keys[i]->location);
        }
        sorts[i].is_desc = sb->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        sorts[i].nulls_first =
            sb->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
            (sorts[i].is_desc && sb->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    }
    bool same = sc->nagg_order == n;
    for (int i = 0; same && i < n; i++) {
        same = expr_equal(keys[i], sc->agg_order[i]) &&
               sorts[i].is_desc == sc->agg_sorts[i].is_desc &&
               sorts[i].nulls_first == sc->agg_sorts[i].nulls_first;
    }
    if (sc->nagg_order > 0 && !same) {
        return unsupported(z, fc->location, "aggregates with different ORDER BY in one query");
    }
    sc->nagg_order = n;
    sc->agg_order = keys;
    sc->agg_sorts = sorts;
    return NULL;
}

static bool agg_same(const struct agg_call *x, const struct agg_call *y)
{
    bool same = x->func == y->func && x->nargs == y->nargs && x->is_distinct == y->is_distinct &&
                (x->filter == NULL) == (y->filter == NULL) &&
                (x->filter == NULL || expr_equal(x->filter, y->filter));
    for (int i = 0; same && i < x->nargs; i++) {
        same = expr_equal(x->args[i], y->args[i]);
    }
    return same;
}

static struct status *agg_add(struct analyzer *z, struct scope *sc, const struct agg_call *call,
                              const char *name, int location, struct expr **out)
{
    struct scope *owner = agg_owner(sc, call->nargs, call->args);
    if (owner->place != NULL) {
        return at(
            z,
            status_sql(INVALID, "42803", "aggregate functions are not allowed in %s", owner->place),
            location);
    }
    if (owner->in_agg) {
        return at(z, status_sql(INVALID, "42803", "aggregate function calls cannot be nested"),
                  location);
    }
    owner->has_agg = true;
    int i = 0;
    while (i < owner->naggs && !agg_same(&owner->aggs[i], call)) {
        i++;
    }
    if (i == owner->naggs) {
        if (owner->naggs == owner->aggs_cap) {
            int cap = owner->aggs_cap == 0 ? 8 : owner->aggs_cap * 2;
            struct agg_call *aggs = ARENA_ARRAY(z->a, struct agg_call, cap);
            int *vars = ARENA_ARRAY(z->a, int, cap);
            if (owner->naggs > 0) {
                memcpy(aggs, owner->aggs, sizeof(*aggs) * (size_t)owner->naggs);
                memcpy(vars, owner->agg_vars, sizeof(*vars) * (size_t)owner->naggs);
            }
            owner->aggs = aggs;
            owner->agg_vars = vars;
            owner->aggs_cap = cap;
        }
        owner->aggs[i] = *call;
        owner->agg_vars[i] = query_var(z->q, name, call->result, -1);
        owner->naggs++;
    }
    if (owner != sc) {
        scope_outer(z, sc, owner, owner->agg_vars[i]);
    }
    *out = query_column(z->q, owner->agg_vars[i]);
    (*out)->location = location;
    return NULL;
}

static struct status *call_aggregate(struct analyzer *z, struct scope *sc,
                                     const PgQuery__FuncCall *fc, const struct func_def *f,
                                     type_oid result, int nargs, struct expr **args,
                                     struct expr **out)
{
    struct agg_call call = {
        .func = f, .result = result, .nargs = nargs, .args = args, .is_distinct = fc->agg_distinct};
    const char *name = name_last(fc->funcname, fc->n_funcname);
    if (fc->agg_within_group) {
        return unsupported(z, fc->location, "WITHIN GROUP");
    }
    bool saved = sc->in_agg;
    struct status *st = NULL;
    sc->in_agg = true;
    if (fc->agg_filter != NULL) {
        st = analyze_expr(z, sc, fc->agg_filter, &call.filter);
        st = st != NULL ? st : coerce_bool(z, call.filter, "FILTER", &call.filter);
    }
    if (st == NULL && fc->n_agg_order > 0) {
        st = agg_order_by(z, sc, fc, &call);
    }
    sc->in_agg = saved;
    TRY(st);
    return agg_add(z, sc, &call, name, fc->location, out);
}

/* ---- set-returning functions ---- */

static struct status *call_set(struct analyzer *z, struct scope *sc, struct expr *e,
                               const char *name, struct expr **out)
{
    const char *where = sc->in_agg ? "aggregate function calls" : sc->srf_place;
    if (where != NULL) {
        return at(z,
                  status_sql(UNSUPPORTED, "0A000", "set-returning functions are not allowed in %s",
                             where),
                  e->location);
    }
    if (sc->nsrfs == (int)(sizeof(sc->srfs) / sizeof(sc->srfs[0]))) {
        return unsupported(z, e->location,
                           "more than 16 set-returning functions in one select list");
    }
    int v = query_var(z->q, name, e->type, -1);
    sc->srfs[sc->nsrfs] = e;
    sc->srf_vars[sc->nsrfs++] = v;
    *out = query_column(z->q, v);
    (*out)->location = e->location;
    return NULL;
}

/* ---- calls ---- */

/* int4('5'), text(x): a type's name as a function is a cast. */
static bool is_type_cast(const char *name, int nargs, type_oid *out)
{
    const struct type_info *ti = nargs == 1 ? type_find_name(slice_str(name)) : NULL;
    if (ti == NULL) {
        return false;
    }
    *out = ti->oid;
    return true;
}

static struct status *no_such_aggregate_use(struct analyzer *z, const PgQuery__FuncCall *fc,
                                            const char *name)
{
    const char *what = NULL;
    if (fc->agg_star) {
        what = "(*)";
        return at(z,
                  status_sql(INVALID, "42809",
                             "%s%s specified, but %s is not an aggregate function", name, what,
                             name),
                  fc->location);
    }
    if (fc->agg_distinct) {
        what = "DISTINCT";
    } else if (fc->agg_filter != NULL) {
        what = "FILTER";
    } else if (fc->n_agg_order > 0) {
        what = "ORDER BY";
    }
    if (what != NULL) {
        return at(z,
                  status_sql(INVALID, "42809", "%s specified, but %s is not an aggregate function",
                             what, name),
                  fc->location);
    }
    return NULL;
}

struct nested_search {
    struct scope *sc;
    bool found;
};

/* The var of an aggregate of this block among the arguments of another: sum(count(*)). */
static void nested_var(void *ctx, int var)
{
    struct nested_search *n = ctx;
    n->found |= in_list(n->sc->agg_vars, n->sc->naggs, var);
}

struct status *analyze_func(struct analyzer *z, struct scope *sc, const PgQuery__FuncCall *fc,
                            struct expr **out)
{
    const char *name = name_last(fc->funcname, fc->n_funcname);
    if (fc->over != NULL) {
        return unsupported(z, fc->location, "window functions");
    }
    if (fc->func_variadic) {
        return unsupported(z, fc->location, "VARIADIC arguments");
    }
    if (fc->n_funcname > 1 && strcmp(node_string(fc->funcname[0]), "pg_catalog") != 0) {
        return at(z,
                  status_hint(status_sql(INVALID, "42883", "function %s.%s does not exist",
                                         node_string(fc->funcname[0]), name),
                              "There are no user-defined functions."),
                  fc->location);
    }
    int nargs = (int)fc->n_args;
    if (nargs > 100) {
        return at(z,
                  status_sql(LIMIT, "54023", "cannot pass more than 100 arguments to a function"),
                  fc->location);
    }
    struct expr **args = ARENA_ARRAY(z->a, struct expr *, nargs + 1);
    type_oid types[100], want[100], result = 0;
    for (int i = 0; i < nargs; i++) {
        TRY(analyze_expr(z, sc, fc->args[i], &args[i]));
        types[i] = args[i]->type;
    }
    const struct func_def *f;
    struct status *st =
        func_resolve(slice_str(name), types, nargs, fc->agg_star, &f, want, &result);
    if (st != NULL) {
        type_oid type;
        if (is_type_cast(name, nargs, &type)) {
            status_free(st);
            return coerce(z, args[0], type, -1, CAST_EXPLICIT, out);
        }
        return at(z, st, fc->location);
    }
    for (int i = 0; i < nargs; i++) {
        TRY(coerce(z, args[i], want[i], -1, CAST_IMPLICIT, &args[i]));
    }
    if (f->class == FUNC_WINDOW) {
        return at(z,
                  status_sql(INVALID, "42809", "window function %s requires an OVER clause", name),
                  fc->location);
    }
    if (f->class == FUNC_AGGREGATE) {
        for (int i = 0; i < nargs; i++) {
            struct nested_search ns = {.sc = sc};
            expr_vars(args[i], nested_var, &ns);
            if (ns.found) {
                return at(z,
                          status_sql(INVALID, "42803", "aggregate function calls cannot be nested"),
                          args[i]->location);
            }
        }
        return call_aggregate(z, sc, fc, f, result, nargs, args, out);
    }
    TRY(no_such_aggregate_use(z, fc, name));
    struct expr *e = expr_call(z->a, f, result, nargs, args);
    e->typmod = -1;
    e->location = fc->location;
    if (f->class == FUNC_SET) {
        return call_set(z, sc, e, arena_strdup(z->a, name), out);
    }
    *out = fold(z, e);
    return NULL;
}

/* ---- sub-selects ---- */

static struct subplan *subplan_new(struct analyzer *z, enum subplan_kind kind, struct block *b,
                                   struct scope *sub)
{
    struct query *q = z->q;
    if (q->nsubplans == q->subplans_cap) {
        int cap = q->subplans_cap == 0 ? 8 : q->subplans_cap * 2;
        struct subplan **grown = ARENA_ARRAY(z->a, struct subplan *, cap);
        if (q->nsubplans > 0) {
            memcpy(grown, q->subplans, sizeof(*grown) * (size_t)q->nsubplans);
        }
        q->subplans = grown;
        q->subplans_cap = cap;
    }
    struct subplan *sp = ARENA_NEW(z->a, struct subplan);
    sp->kind = kind;
    sp->rel = b->rel;
    sp->nouts = b->nouts;
    sp->outs = b->outs;
    sp->nouter = sub->nouter;
    sp->outer = sub->outer;
    sp->id = q->nsubplans;
    q->subplans[q->nsubplans++] = sp;
    for (int i = 0; i < sp->nouter; i++) {
        query_slot(q, sp->outer[i]);
    }
    return sp;
}

static struct expr *subplan_expr(struct analyzer *z, struct subplan *sp, type_oid type, int nlhs,
                                 struct expr **lhs, int location)
{
    struct expr *e = ARENA_NEW(z->a, struct expr);
    e->kind = EXPR_SUBPLAN;
    e->type = type;
    e->typmod = -1;
    e->index = sp->id;
    e->subkind = (uint8_t)sp->kind;
    e->nargs = nlhs + sp->nouter;
    e->args = ARENA_ARRAY(z->a, struct expr *, e->nargs + 1);
    for (int i = 0; i < nlhs; i++) {
        e->args[i] = lhs[i];
    }
    for (int i = 0; i < sp->nouter; i++) {
        e->args[nlhs + i] = query_column(z->q, sp->outer[i]);
    }
    e->location = location;
    return e;
}

static struct status *sublink_test(struct analyzer *z, struct scope *sc, const PgQuery__SubLink *sl,
                                   struct block *b, struct subplan *sp, struct expr ***out_lhs)
{
    const PgQuery__Node *t = sl->testexpr;
    const PgQuery__RowExpr *row =
        t != NULL && t->node_case == PG_QUERY__NODE__NODE_ROW_EXPR ? t->row_expr : NULL;
    int n = row != NULL ? (int)row->n_args : 1;
    if (n != b->nouts) {
        return at(z,
                  status_sql(INVALID, "42601",
                             n < b->nouts ? "subquery has too many columns"
                                          : "subquery has too few columns"),
                  sl->location);
    }
    struct expr **lhs = ARENA_ARRAY(z->a, struct expr *, n);
    struct expr **left = ARENA_ARRAY(z->a, struct expr *, n),
                **right = ARENA_ARRAY(z->a, struct expr *, n);
    sp->nlhs = n;
    sp->lhs_vars = ARENA_ARRAY(z->a, int, n);
    for (int i = 0; i < n; i++) {
        TRY(analyze_expr(z, sc, row != NULL ? row->args[i] : t, &lhs[i]));
        if (lhs[i]->type == TYPE_UNKNOWN) {
            TRY(coerce(z, lhs[i], z->q->vars[b->outs[i]].type, -1, CAST_IMPLICIT, &lhs[i]));
        }
        sp->lhs_vars[i] = query_var(z->q, "?", lhs[i]->type, lhs[i]->typmod);
        left[i] = query_column(z->q, sp->lhs_vars[i]);
        right[i] = query_column(z->q, b->outs[i]);
    }
    const char *op = sl->n_oper_name == 0 ? "=" : name_last(sl->oper_name, sl->n_oper_name);
    TRY(make_row_op(z, op, n, left, right, sl->location, &sp->test));
    if (sp->test->type != TYPE_BOOL) {
        return at(
            z,
            status_sql(INVALID, "42809", "op ANY/ALL (array) requires operator to yield boolean"),
            sl->location);
    }
    *out_lhs = lhs;
    return NULL;
}

struct status *analyze_sublink(struct analyzer *z, struct scope *sc, const PgQuery__SubLink *sl,
                               struct expr **out)
{
    if (sl->subselect == NULL || sl->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        return unsupported(z, sl->location, "this kind of sub-select");
    }
    struct block b;
    struct scope *sub;
    TRY(analyze_select(z, sc, sl->subselect->select_stmt, &b, &sub));
    struct expr **lhs = NULL;
    struct subplan *sp;
    switch ((int)sl->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK:
        sp = subplan_new(z, SUBPLAN_EXISTS, &b, sub);
        *out = subplan_expr(z, sp, TYPE_BOOL, 0, NULL, sl->location);
        return NULL;
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: {
        if (b.nouts != 1) {
            return at(z, status_sql(INVALID, "42601", "subquery must return only one column"),
                      sl->location);
        }
        bool is_array = sl->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK;
        type_oid type = z->q->vars[b.outs[0]].type;
        if (is_array) {
            const struct type_info *ti = type_find(type);
            if (ti == NULL || ti->array_oid == 0) {
                return at(z,
                          status_sql(INVALID, "42704", "could not find array type for data type %s",
                                     type_format(z->a, type, -1)),
                          sl->location);
            }
            type = ti->array_oid;
        }
        sp = subplan_new(z, is_array ? SUBPLAN_ARRAY : SUBPLAN_SCALAR, &b, sub);
        *out = subplan_expr(z, sp, type, 0, NULL, sl->location);
        (*out)->typmod = is_array ? -1 : z->q->vars[b.outs[0]].typmod;
        return NULL;
    }
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ROWCOMPARE_SUBLINK:
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK: {
        bool all = sl->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK;
        sp = subplan_new(z, all ? SUBPLAN_ALL : SUBPLAN_ANY, &b, sub);
        TRY(sublink_test(z, sc, sl, &b, sp, &lhs));
        *out = subplan_expr(z, sp, TYPE_BOOL, sp->nlhs, lhs, sl->location);
        return NULL;
    }
    default:
        return unsupported(z, sl->location, "this kind of sub-select");
    }
}

/* ---- names of result columns ---- */

static const char *name_of(const PgQuery__Node *n, int *strength)
{
    *strength = 2;
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const PgQuery__ColumnRef *c = n->column_ref;
        const char *s = c->n_fields > 0 ? node_string(c->fields[c->n_fields - 1]) : NULL;
        return s;
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return name_last(n->func_call->funcname, n->func_call->n_funcname);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return n->a_expr->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF ? "nullif" : NULL;
    case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const char *s = name_of(n->type_cast->arg, strength);
        if (s == NULL || *strength < 2) {
            *strength = 1;
            return name_last(n->type_cast->type_name->names, n->type_cast->type_name->n_names);
        }
        return s;
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return name_of(n->a_indirection->arg, strength);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE:
        return name_of(n->collate_clause->arg, strength);
    case PG_QUERY__NODE__NODE_CASE_EXPR: {
        const char *s =
            n->case_expr->defresult == NULL ? NULL : name_of(n->case_expr->defresult, strength);
        if (s == NULL || *strength < 2) {
            *strength = 1;
            return "case";
        }
        return s;
    }
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return "coalesce";
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        return n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST ? "least" : "greatest";
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return "array";
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return "row";
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: {
        static const char *const names[] = {NULL,
                                            "current_date",
                                            "current_time",
                                            "current_time",
                                            "current_timestamp",
                                            "current_timestamp",
                                            "localtime",
                                            "localtime",
                                            "localtimestamp",
                                            "localtimestamp",
                                            "current_role",
                                            "current_user",
                                            "user",
                                            "session_user",
                                            "current_catalog",
                                            "current_schema"};
        int op = (int)n->sqlvalue_function->op;
        return op >= 1 && op <= 15 ? names[op] : NULL;
    }
    case PG_QUERY__NODE__NODE_SUB_LINK: {
        const PgQuery__SubLink *sl = n->sub_link;
        if (sl->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK) {
            return "exists";
        }
        if (sl->sub_link_type == PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK) {
            return "array";
        }
        if (sl->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK &&
            sl->subselect->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
            const PgQuery__SelectStmt *s = sl->subselect->select_stmt;
            while (s->larg != NULL) {
                s = s->larg;
            }
            if (s->n_target_list > 0) {
                const PgQuery__ResTarget *t = s->target_list[0]->res_target;
                return t->name[0] != '\0' ? t->name : name_of(t->val, strength);
            }
        }
        return NULL;
    }
    default:
        return NULL;
    }
}

const char *column_name(const PgQuery__Node *n)
{
    int strength;
    const char *s = name_of(n, &strength);
    return s == NULL ? "?column?" : s;
}
