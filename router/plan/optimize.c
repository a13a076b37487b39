/*
 * Rewrites of the relational tree, all of them equivalences:
 *
 *   - a WITH query used once becomes a part of the query that uses it
 *   - x IN (SELECT ...) and [NOT] EXISTS (SELECT ...) as terms of WHERE become semi and anti joins;
 * an IN over one column becomes an inner join with the distinct values, so that the join order and
 * lookups apply to it
 *   - terms of WHERE go down to where all their columns are known; an outer join that such a term
 * makes inner becomes inner
 *
 * Terms with volatile functions stay where they were written.
 */
#include "pnode.h"

struct var_check {
    const struct rel *r;
    bool any, all;
};

static void check_var(void *ctx, int var)
{
    struct var_check *c = ctx;
    bool in = rel_has_var(c->r, var);
    c->any |= in;
    c->all &= in;
}

bool vars_within(const struct expr *e, const struct rel *r)
{
    struct var_check c = {.r = r, .all = true};
    expr_vars(e, check_var, &c);
    return c.all;
}

bool uses_any(const struct expr *e, const struct rel *r)
{
    struct var_check c = {.r = r};
    expr_vars(e, check_var, &c);
    return c.any;
}

struct expr *conds_and(struct planner *p, int n, struct expr **conds)
{
    return n == 0 ? NULL : n == 1 ? conds[0] : expr_bool(p->a, EXPR_AND, n, conds);
}

struct cond_list {
    int n, cap;
    struct expr **e;
};

static void cond_add(struct planner *p, struct cond_list *l, struct expr *e)
{
    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 8 : l->cap * 2;
        struct expr **grown = ARENA_ARRAY(p->a, struct expr *, l->cap);
        if (l->n > 0) {
            memcpy(grown, l->e, sizeof(*grown) * (size_t)l->n);
        }
        l->e = grown;
    }
    l->e[l->n++] = e;
}

/* Terms of an OR that all its branches share are terms of the whole: (a AND x) OR (a AND y) implies
 * a. */
static void cond_split(struct planner *p, struct cond_list *l, struct expr *e)
{
    if (e->kind == EXPR_AND) {
        for (int i = 0; i < e->nargs; i++) {
            cond_split(p, l, e->args[i]);
        }
        return;
    }
    if (e->kind == EXPR_OR && e->args[0]->kind == EXPR_AND) {
        for (int i = 0; i < e->args[0]->nargs; i++) {
            struct expr *term = e->args[0]->args[i];
            bool shared = !expr_is_volatile(term) && !expr_has_kind(term, EXPR_SUBPLAN);
            for (int b = 1; shared && b < e->nargs; b++) {
                bool found = expr_equal(e->args[b], term);
                for (int k = 0; e->args[b]->kind == EXPR_AND && k < e->args[b]->nargs; k++) {
                    found |= expr_equal(e->args[b]->args[k], term);
                }
                shared = found;
            }
            if (shared) {
                cond_add(p, l, term);
            }
        }
    }
    cond_add(p, l, e);
}

static struct rel *with_filter(struct planner *p, struct rel *r, const struct cond_list *l)
{
    if (l->n == 0) {
        return r;
    }
    if (r->kind == REL_FILTER) {
        for (int i = 0; i < l->n; i++) {
            rel_add_cond(p->q, r, l->e[i]);
        }
        return r;
    }
    struct rel *f = rel_new(p->q, REL_FILTER, r);
    for (int i = 0; i < l->n; i++) {
        rel_add_cond(p->q, f, l->e[i]);
    }
    return f;
}

/* ---- substitution of vars ---- */

struct subst {
    struct planner *p;
    int n;
    const int *vars;
    struct expr *const *exprs;
};

static struct expr *subst_fn(void *ctx, const struct expr *e)
{
    struct subst *s = ctx;
    if (e->kind != EXPR_COLUMN) {
        return NULL;
    }
    for (int i = 0; i < s->n; i++) {
        if (s->vars[i] == e->index) {
            return s->exprs[i];
        }
    }
    return NULL;
}

static struct expr *substitute(struct planner *p, struct expr *e, int n, const int *vars,
                               struct expr *const *exprs)
{
    struct subst s = {p, n, vars, exprs};
    return expr_map(p->a, e, subst_fn, &s);
}

static struct expr *rename_vars(struct planner *p, struct expr *e, int n, const int *from,
                                const int *to)
{
    struct expr **exprs = ARENA_ARRAY(p->a, struct expr *, n + 1);
    for (int i = 0; i < n; i++) {
        exprs[i] = query_column(p->q, to[i]);
    }
    return substitute(p, e, n, from, exprs);
}

/* ---- sub-selects to joins ---- */

static bool list_has(int n, const int *list, int var)
{
    for (int i = 0; i < n; i++) {
        if (list[i] == var) {
            return true;
        }
    }
    return false;
}

struct outer_check {
    int n;
    const int *outer;
    bool found;
};

static void outer_var(void *ctx, int var)
{
    struct outer_check *c = ctx;
    c->found |= list_has(c->n, c->outer, var);
}

static bool expr_uses(const struct expr *e, int n, const int *outer)
{
    struct outer_check c = {n, outer, false};
    if (e != NULL) {
        expr_vars(e, outer_var, &c);
    }
    return c.found;
}

/* Whether the tree uses one of these vars of an outer query anywhere. */
static bool rel_uses(const struct rel *r, int n, const int *outer)
{
    if (r == NULL || n == 0) {
        return false;
    }
    bool used = expr_uses(r->limit, n, outer) || expr_uses(r->offset, n, outer);
    for (int i = 0; i < r->nexprs && !used; i++) {
        used = expr_uses(r->exprs[i], n, outer);
    }
    for (int i = 0; i < r->nconds && !used; i++) {
        used = expr_uses(r->conds[i], n, outer);
    }
    for (int i = 0; i < r->nrows && !used; i++) {
        for (int c = 0; c < r->nvars && !used; c++) {
            used = expr_uses(r->rows[i][c], n, outer);
        }
    }
    for (int i = 0; i < r->naggs && !used; i++) {
        used = expr_uses(r->aggs[i].filter, n, outer);
        for (int k = 0; k < r->aggs[i].nargs && !used; k++) {
            used = expr_uses(r->aggs[i].args[k], n, outer);
        }
    }
    if (r->kind == REL_CTE && !used) {
        used = rel_uses(r->cte->rel, n, outer);
    }
    return used || rel_uses(r->left, n, outer) || rel_uses(r->right, n, outer);
}

/*
 * The sub-select as the right side of a join: *out_rel, and the terms that tie it to the outer row
 * in on. test is given in terms of the sub-select's result vars. False when it is not simple
 * enough: uses of the outer row below a grouping, a limit or a join.
 */
static bool unnest(struct planner *p, const struct subplan *sp, struct expr *test,
                   struct rel **out_rel, struct cond_list *on)
{
    struct rel *r = sp->rel;
    if (test != NULL) {
        cond_split(p, on, test);
    }
    if (sp->nouter == 0) {
        *out_rel = r;
        return true;
    }
    while (r->kind == REL_PROJECT || r->kind == REL_SORT ||
           (r->kind == REL_DISTINCT && !r->is_on)) {
        if (r->kind == REL_PROJECT) {
            for (int i = 0; i < r->nexprs; i++) {
                if (expr_is_volatile(r->exprs[i])) {
                    return false;
                }
            }
            for (int i = 0; i < on->n; i++) {
                on->e[i] = substitute(p, on->e[i], r->nvars, r->vars, r->exprs);
            }
        }
        r = r->left;
    }
    struct cond_list inner = {0};
    while (r->kind == REL_FILTER) {
        for (int i = 0; i < r->nconds; i++) {
            cond_add(p, expr_uses(r->conds[i], sp->nouter, sp->outer) ? on : &inner, r->conds[i]);
        }
        r = r->left;
    }
    if (rel_uses(r, sp->nouter, sp->outer)) {
        return false;
    }
    for (int i = 0; i < on->n; i++) {
        if (expr_has_kind(on->e[i], EXPR_SUBPLAN)) {
            return false; /* its arguments would have to come from both sides: leave it to execution
                           */
        }
    }
    *out_rel = with_filter(p, r, &inner);
    return true;
}

/* lhs vars of the test to the expressions of the left side. */
static struct expr *test_with_lhs(struct planner *p, const struct subplan *sp, const struct expr *e)
{
    return substitute(p, sp->test, sp->nlhs, sp->lhs_vars, e->args);
}

static bool is_plain_equality(const struct planner *p, const struct subplan *sp)
{
    const struct expr *t = sp->test;
    (void)p;
    if (sp->nouts != 1 || t->kind != EXPR_CALL || t->nargs != 2 || t->func->op == NULL ||
        strcmp(t->func->op, "=") != 0) {
        return false;
    }
    const struct expr *rhs = strip_column(t->args[1]);
    return rhs != NULL && rhs->index == sp->outs[0];
}

/* A term of WHERE over `left` as a join; NULL when it stays a term. */
static struct rel *semi_join(struct planner *p, struct rel *left, struct expr *cond)
{
    bool negate = cond->kind == EXPR_NOT;
    const struct expr *e = negate ? cond->args[0] : cond;
    if (e->kind != EXPR_SUBPLAN) {
        return NULL;
    }
    struct subplan *sp = p->q->subplans[e->index];
    for (int i = 0; i < e->nargs; i++) {
        if (expr_is_volatile(e->args[i])) {
            return NULL;
        }
    }
    struct rel *right;
    struct cond_list on = {0};
    if (sp->kind == SUBPLAN_EXISTS) {
        if (sp->nouter == 0 || !unnest(p, sp, NULL, &right, &on) || on.n == 0) {
            return NULL;
        }
    } else if (sp->kind == SUBPLAN_ANY && !negate) {
        if (!unnest(p, sp, test_with_lhs(p, sp, e), &right, &on)) {
            return NULL;
        }
        if (sp->nouter == 0 && is_plain_equality(p, sp)) {
            struct rel *d = rel_new(p->q, REL_DISTINCT, right);
            d->keys = sp->outs;
            d->nkeys = 1;
            d->vars = sp->outs;
            d->nvars = 1;
            struct rel *j = rel_join(p->q, JOIN_INNER, left, d);
            rel_add_cond(p->q, j, on.e[0]);
            return j;
        }
    } else {
        return NULL;
    }
    struct rel *j = rel_join(p->q, negate ? JOIN_ANTI : JOIN_SEMI, left, right);
    for (int i = 0; i < on.n; i++) {
        rel_add_cond(p->q, j, on.e[i]);
    }
    return j;
}

/* ---- pushing terms down ---- */

/* Whether the term cannot be true when all columns of r are NULL. */
static bool rejects_null(const struct expr *e, const struct rel *r)
{
    switch (e->kind) {
    case EXPR_COLUMN:
        return rel_has_var(r, e->index);
    case EXPR_CALL:
        if (!e->func->is_strict) {
            return false;
        }
        for (int i = 0; i < e->nargs; i++) {
            if (rejects_null(e->args[i], r)) {
                return true;
            }
        }
        return false;
    case EXPR_IS_NULL:
        return e->negate && rejects_null(e->args[0], r);
    case EXPR_IN:
        return rejects_null(e->args[0], r);
    case EXPR_AND:
        for (int i = 0; i < e->nargs; i++) {
            if (rejects_null(e->args[i], r)) {
                return true;
            }
        }
        return false;
    case EXPR_OR:
        for (int i = 0; i < e->nargs; i++) {
            if (!rejects_null(e->args[i], r)) {
                return false;
            }
        }
        return true;
    default:
        return false;
    }
}

static struct rel *push_join(struct planner *p, struct rel *r, struct cond_list *conds)
{
    struct cond_list left = {0}, right = {0}, above = {0}, on = {0};
    if (r->join == JOIN_RIGHT &&
        !r->is_lateral) { /* a right join is a left join of the sides exchanged */
        struct rel *swap = r->left;
        r->left = r->right;
        r->right = swap;
        r->join = JOIN_LEFT;
    }
    if (r->join == JOIN_LEFT) {
        for (int i = 0; i < conds->n; i++) {
            if (rejects_null(conds->e[i], r->right)) {
                r->join = JOIN_INNER;
                break;
            }
        }
    }
    for (int i = 0; i < r->nconds; i++) {
        cond_split(p, &on, r->conds[i]);
    }
    r->nconds = 0;
    r->conds = NULL;
    bool inner = r->join == JOIN_INNER;
    for (int i = 0; i < conds->n; i++) {
        struct expr *e = conds->e[i];
        if (r->join == JOIN_FULL || expr_is_volatile(e)) {
            cond_add(p, &above, e);
        } else if (vars_within(e, r->left)) {
            cond_add(p, &left, e);
        } else if (inner && vars_within(e, r->right)) {
            cond_add(p, &right, e);
        } else if (inner && !expr_has_kind(e, EXPR_SUBPLAN)) {
            cond_add(p, &on, e);
        } else {
            cond_add(p, &above, e);
        }
    }
    for (int i = 0; i < on.n; i++) {
        struct expr *e = on.e[i];
        bool movable = r->join != JOIN_FULL && !expr_is_volatile(e);
        if (movable && vars_within(e, r->right) && uses_any(e, r->right)) {
            cond_add(p, &right, e);
        } else if (movable && (inner || r->join == JOIN_SEMI) && vars_within(e, r->left)) {
            cond_add(p, &left, e);
        } else {
            rel_add_cond(p->q, r, e);
        }
    }
    r->left = rel_push(p, r->left, left.n, left.e);
    r->right = rel_push(p, r->right, right.n, right.e);
    return with_filter(p, r, &above);
}

static struct rel *push_agg(struct planner *p, struct rel *r, struct cond_list *conds)
{
    struct cond_list below = {0}, above = {0};
    for (int i = 0; i < conds->n; i++) {
        struct expr *e = conds->e[i];
        bool groups_only = r->ngroups > 0 && !expr_is_volatile(e);
        struct rel groups = {.nvars = r->ngroups, .vars = r->vars};
        if (groups_only && vars_within(e, &groups) && uses_any(e, &groups)) {
            cond_add(p, &below, substitute(p, e, r->ngroups, r->vars, r->exprs));
        } else {
            cond_add(p, &above, e);
        }
    }
    r->left = rel_push(p, r->left, below.n, below.e);
    return with_filter(p, r, &above);
}

static struct rel *push_project(struct planner *p, struct rel *r, struct cond_list *conds)
{
    struct cond_list below = {0}, above = {0};
    bool is_volatile = false;
    for (int i = 0; i < r->nexprs; i++) {
        is_volatile |= expr_is_volatile(r->exprs[i]) || expr_has_kind(r->exprs[i], EXPR_SUBPLAN);
    }
    for (int i = 0; i < conds->n; i++) {
        if (is_volatile || expr_is_volatile(conds->e[i])) {
            cond_add(p, &above, conds->e[i]);
        } else {
            cond_add(p, &below, substitute(p, conds->e[i], r->nvars, r->vars, r->exprs));
        }
    }
    r->left = rel_push(p, r->left, below.n, below.e);
    return with_filter(p, r, &above);
}

/* Terms over `allowed` vars go below a node of one input; the others stay above. */
static struct rel *push_through(struct planner *p, struct rel *r, struct cond_list *conds,
                                const struct rel *allowed)
{
    struct cond_list below = {0}, above = {0};
    for (int i = 0; i < conds->n; i++) {
        bool ok =
            allowed != NULL && !expr_is_volatile(conds->e[i]) && vars_within(conds->e[i], allowed);
        cond_add(p, ok ? &below : &above, conds->e[i]);
    }
    if (r->left != NULL) {
        r->left = rel_push(p, r->left, below.n, below.e);
    } else {
        for (int i = 0; i < below.n; i++) {
            cond_add(p, &above, below.e[i]);
        }
    }
    return with_filter(p, r, &above);
}

static struct rel *push_setop(struct planner *p, struct rel *r, struct cond_list *conds)
{
    struct cond_list left = {0}, right = {0}, above = {0};
    for (int i = 0; i < conds->n; i++) {
        if (expr_is_volatile(conds->e[i]) || expr_has_kind(conds->e[i], EXPR_SUBPLAN)) {
            cond_add(p, &above, conds->e[i]);
            continue;
        }
        cond_add(p, &left, rename_vars(p, conds->e[i], r->nvars, r->vars, r->left_outs));
        cond_add(p, &right, rename_vars(p, conds->e[i], r->nvars, r->vars, r->right_outs));
    }
    r->left = rel_push(p, r->left, left.n, left.e);
    r->right = rel_push(p, r->right, right.n, right.e);
    return with_filter(p, r, &above);
}

static struct rel *push_filter(struct planner *p, struct rel *r, struct cond_list *conds)
{
    struct rel *in = r->left;
    struct cond_list own = *conds;
    own.cap = own.n; /* grows into a copy */
    struct cond_list split = {0};
    for (int i = 0; i < r->nconds; i++) {
        cond_split(p, &split, r->conds[i]);
    }
    for (int i = 0; i < split.n; i++) {
        struct rel *j = semi_join(p, in, split.e[i]);
        if (j != NULL) {
            in = j;
        } else {
            cond_add(p, &own, split.e[i]);
        }
    }
    return rel_push(p, in, own.n, own.e);
}

/* A WITH query that is used once is part of its user's tree. */
static struct rel *inline_cte(struct planner *p, struct rel *r)
{
    struct cte *c = r->cte;
    if (c->refs > 1 || c->materialize == PG_QUERY__CTEMATERIALIZE__CTEMaterializeAlways) {
        return NULL;
    }
    struct rel *pr = rel_new(p->q, REL_PROJECT, c->rel);
    pr->nvars = pr->nexprs = r->nvars;
    pr->vars = r->vars;
    pr->exprs = ARENA_ARRAY(p->a, struct expr *, r->nvars + 1);
    for (int i = 0; i < r->nvars; i++) {
        pr->exprs[i] = query_column(p->q, c->outs[i]);
    }
    return pr;
}

struct rel *rel_push(struct planner *p, struct rel *r, int nconds, struct expr **conds)
{
    struct cond_list l = {nconds, nconds, conds};
    struct rel distinct_keys;
    switch (r->kind) {
    case REL_FILTER:
        return push_filter(p, r, &l);
    case REL_JOIN:
        return push_join(p, r, &l);
    case REL_AGG:
        return push_agg(p, r, &l);
    case REL_PROJECT:
        return push_project(p, r, &l);
    case REL_SETOP:
        return push_setop(p, r, &l);
    case REL_SORT:
        return push_through(p, r, &l, r);
    case REL_DISTINCT:
        distinct_keys = (struct rel){.nvars = r->nkeys, .vars = r->keys};
        return push_through(p, r, &l, &distinct_keys);
    case REL_SRF:
        return push_through(p, r, &l, r->left);
    case REL_LIMIT:
        return push_through(p, r, &l, NULL);
    case REL_CTE: {
        struct rel *in = inline_cte(p, r);
        return in != NULL ? rel_push(p, in, nconds, conds) : with_filter(p, r, &l);
    }
    case REL_ONE:
    case REL_TABLE:
    case REL_SYSTEM:
    case REL_VALUES:
    case REL_SERIES:
        break;
    }
    return with_filter(p, r, &l);
}

struct rel *optimize(struct planner *p, struct rel *r)
{
    return join_order(p, rel_push(p, r, 0, NULL));
}
