/*
 * The relational tree to physical nodes: layouts, join methods, what runs in the shards.
 *
 * First a pass from the top marks the vars that anything above needs (columns are pruned by it);
 * then nodes are made from the bottom. A wish for an order goes down with the call, so that an
 * index can give it instead of a sort.
 */
#include "pnode.h"

#include "analyze/analyze.h"
#include "analyze/analyze_limits.h"
#include "base/check.h"
#include "ddl/system.h"

static struct status *build(struct planner *p, struct rel *r, struct order_wish *wish,
                            struct pnode **out);

/* ---- needed vars ---- */

static void need_var(void *ctx, int var)
{
    struct planner *p = ctx;
    if (var < p->nneeded) {
        p->needed[var] = true;
    }
}

static void need_expr(struct planner *p, const struct expr *e)
{
    if (e != NULL) {
        expr_vars(e, need_var, p);
    }
}

static bool is_needed(const struct planner *p, int var)
{
    return var >= p->nneeded || p->needed[var];
}

static void need_rel(struct planner *p, const struct rel *r)
{
    if (r == NULL) {
        return;
    }
    for (int i = 0; i < r->nconds; i++) {
        need_expr(p, r->conds[i]);
    }
    for (int i = 0; i < r->nexprs; i++) {
        if (r->kind != REL_PROJECT || is_needed(p, r->vars[i])) {
            need_expr(p, r->exprs[i]);
        }
    }
    for (int i = 0; i < r->nrows; i++) {
        for (int c = 0; c < r->nvars; c++) {
            need_expr(p, r->rows[i][c]);
        }
    }
    for (int i = 0; i < r->naggs; i++) {
        need_expr(p, r->aggs[i].filter);
        for (int k = 0; k < r->aggs[i].nargs; k++) {
            need_expr(p, r->aggs[i].args[k]);
        }
    }
    for (int i = 0; i < r->nkeys; i++) {
        need_var(p, r->keys[i]);
    }
    for (int i = 0; i < r->nsorts; i++) {
        need_var(p, r->sorts[i].var);
    }
    for (int i = 0; r->kind == REL_SETOP && i < r->nvars; i++) {
        need_var(p, r->left_outs[i]);
        need_var(p, r->right_outs[i]);
    }
    if (r->is_lateral) {
        for (int i = 0; i < r->left->nvars; i++) {
            if (p->q->vars[r->left->vars[i]].slot >= 0) {
                need_var(p, r->left->vars[i]);
            }
        }
    }
    need_rel(p, r->left);
    need_rel(p, r->right);
}

/* ---- nodes and expressions ---- */

struct pnode *pnode_new(struct planner *p, enum pnode_kind kind, struct pnode *left)
{
    struct pnode *n = ARENA_NEW(p->a, struct pnode);
    n->kind = kind;
    n->left = left;
    n->id = p->nnodes++;
    if (left != NULL) {
        n->ncols = left->ncols;
        n->types = left->types;
        n->vars = left->vars;
        n->rows = left->rows;
    }
    return n;
}

int layout_find(int ncols, const int *vars, int var)
{
    for (int i = 0; i < ncols; i++) {
        if (vars[i] == var) {
            return i;
        }
    }
    return -1;
}

struct positions {
    struct planner *p;
    int ncols;
    const int *vars;
};

static struct status *build_subplan(struct planner *p, struct subplan *sp);

static struct expr *position_fn(void *ctx, const struct expr *e)
{
    struct positions *ps = ctx;
    struct planner *p = ps->p;
    if (e->kind == EXPR_SUBPLAN && p->st == NULL) {
        p->st = build_subplan(p, p->q->subplans[e->index]);
    }
    if (e->kind != EXPR_COLUMN) {
        return NULL;
    }
    struct expr *c = ARENA_NEW(p->a, struct expr);
    *c = *e;
    c->index = layout_find(ps->ncols, ps->vars, e->index);
    if (c->index < 0) { /* of an outer query */
        c->kind = EXPR_PARAM;
        c->index = p->q->nparams + query_slot(p->q, e->index);
    }
    return c;
}

struct expr *to_positions(struct planner *p, struct expr *e, int ncols, const int *vars)
{
    struct positions ps = {p, ncols, vars};
    return e == NULL ? NULL : expr_map(p->a, e, position_fn, &ps);
}

static struct expr *over(struct planner *p, struct expr *e, const struct pnode *in)
{
    return to_positions(p, e, in == NULL ? 0 : in->ncols, in == NULL ? NULL : in->vars);
}

static struct status *missing_var(struct planner *p, int var)
{
    return status_new(INTERNAL, "column \"%s\" (var %d) is not in its input", p->q->vars[var].name,
                      var);
}

/* in with exactly these columns in this order; in itself when it is so already. */
struct pnode *pnode_columns(struct planner *p, struct pnode *in, int n, const int *vars)
{
    bool same = in->ncols == n;
    for (int i = 0; same && i < n; i++) {
        same = in->vars[i] == vars[i];
    }
    if (same) {
        return in;
    }
    struct pnode *pr = pnode_new(p, P_PROJECT, in);
    pr->is_permutation = true;
    pr->ncols = pr->nexprs = n;
    pr->types = ARENA_ARRAY(p->a, type_oid, n + 1);
    pr->vars = ARENA_ARRAY(p->a, int, n + 1);
    pr->exprs = ARENA_ARRAY(p->a, struct expr *, n + 1);
    for (int i = 0; i < n; i++) {
        int pos = layout_find(in->ncols, in->vars, vars[i]);
        const struct var *v = &p->q->vars[vars[i]];
        pr->vars[i] = vars[i];
        pr->types[i] = v->type;
        if (pos >= 0) {
            pr->exprs[i] = expr_column(p->a, in->types[pos], v->typmod, pos);
        } else {
            pr->exprs[i] = to_positions(p, query_column(p->q, vars[i]), 0, NULL);
            pr->is_permutation = false;
        }
    }
    return pr;
}

static struct status *build_subplan(struct planner *p, struct subplan *sp)
{
    if (sp->plan != NULL) {
        return NULL;
    }
    TRY(analyze_stack_check());
    struct rel *r = optimize(p, sp->rel);
    for (int i = 0; i < sp->nouts; i++) {
        need_var(p, sp->outs[i]);
    }
    need_rel(p, r);
    struct pnode *n;
    TRY(build(p, r, NULL, &n));
    if (sp->kind == SUBPLAN_EXISTS) {
        sp->plan = n;
        return NULL;
    }
    n = pnode_columns(p, n, sp->nouts, sp->outs);
    sp->plan = n;
    if (sp->test != NULL) {
        int total = sp->nlhs + sp->nouts;
        int *layout = ARENA_ARRAY(p->a, int, total);
        memcpy(layout, sp->lhs_vars, sizeof(int) * (size_t)sp->nlhs);
        memcpy(layout + sp->nlhs, sp->outs, sizeof(int) * (size_t)sp->nouts);
        sp->plan_test = to_positions(p, sp->test, total, layout);
        const struct expr *t = sp->test;
        if (sp->kind == SUBPLAN_ANY && sp->nouter == 0 && sp->nouts == 1 && t->kind == EXPR_CALL &&
            t->nargs == 2 && t->func->op != NULL && strcmp(t->func->op, "=") == 0 &&
            t->args[0]->type == t->args[1]->type) {
            sp->is_hashable = true;
            sp->hash_type = t->args[0]->type;
            sp->hash_lhs = to_positions(p, t->args[0], sp->nlhs, sp->lhs_vars);
            sp->hash_rhs = to_positions(p, t->args[1], sp->nouts, sp->outs);
        }
    }
    return p->st;
}

struct push_check {
    int depth, max_depth;
    bool bad;
};

static void push_walk(struct push_check *c, const struct expr *e)
{
    c->depth++;
    c->max_depth = c->depth > c->max_depth ? c->depth : c->max_depth;
    if (e->kind == EXPR_CALL && (e->func->needs_session || e->func->class != FUNC_SCALAR)) {
        c->bad = true;
    }
    if (e->kind == EXPR_SUBPLAN &&
        (e->nargs > 0 || (e->subkind != SUBPLAN_SCALAR && e->subkind != SUBPLAN_EXISTS &&
                          e->subkind != SUBPLAN_ARRAY))) {
        c->bad = true;
    }
    for (int i = 0; i < e->nargs && !c->bad; i++) {
        push_walk(c, e->args[i]);
    }
    c->depth--;
}

bool is_pushable(const struct planner *p, const struct expr *e)
{
    (void)p;
    struct push_check c = {0};
    push_walk(&c, e);
    return !c.bad && c.max_depth < 150 && !expr_is_volatile(e);
}

bool needs_bind(const struct expr *e)
{
    if (e->kind == EXPR_PARAM || e->kind == EXPR_SUBPLAN ||
        (e->kind == EXPR_CALL && e->func->volatility == FUNC_STABLE)) {
        return true;
    }
    for (int i = 0; i < e->nargs; i++) {
        if (needs_bind(e->args[i])) {
            return true;
        }
    }
    return false;
}

static struct pnode *filter_node(struct planner *p, struct pnode *in, int n, struct expr **conds)
{
    if (n == 0) {
        return in;
    }
    struct pnode *f = pnode_new(p, P_FILTER, in);
    f->filter = over(p, conds_and(p, n, conds), in);
    for (int i = 0; i < n; i++) {
        f->rows = f->rows / 2 < 1 ? 1 : f->rows / 2;
    }
    return f;
}

/* ---- joins ---- */

/* The expression as a column of in: appended by a projection when it is not one. */
static int key_column(struct planner *p, struct pnode **in, struct expr *e, type_oid type)
{
    struct expr *x = over(p, e, *in);
    if (x->type != type) {
        struct expr *cast = NULL;
        struct status *st = expr_cast(p->a, x, type, -1, CAST_IMPLICIT, &cast);
        if (st != NULL) {
            p->st = p->st == NULL ? st : p->st;
            return 0;
        }
        x = cast;
    }
    if (x->kind == EXPR_COLUMN) {
        return x->index;
    }
    int n = (*in)->ncols;
    struct pnode *pr = pnode_new(p, P_PROJECT, *in);
    pr->ncols = pr->nexprs = n + 1;
    pr->exprs = ARENA_ARRAY(p->a, struct expr *, n + 1);
    pr->types = ARENA_ARRAY(p->a, type_oid, n + 1);
    pr->vars = ARENA_ARRAY(p->a, int, n + 1);
    for (int i = 0; i < n; i++) {
        pr->exprs[i] = expr_column(p->a, (*in)->types[i], -1, i);
        pr->types[i] = (*in)->types[i];
        pr->vars[i] = (*in)->vars[i];
    }
    pr->exprs[n] = x;
    pr->types[n] = type;
    pr->vars[n] = -1;
    *in = pr;
    return n;
}

static void join_layout(struct planner *p, struct pnode *j)
{
    if (j->join == JOIN_SEMI || j->join == JOIN_ANTI) {
        j->ncols = j->left->ncols;
        j->types = j->left->types;
        j->vars = j->left->vars;
        return;
    }
    int l = j->left->ncols, n = l + j->right->ncols;
    j->ncols = n;
    j->types = ARENA_ARRAY(p->a, type_oid, n + 1);
    j->vars = ARENA_ARRAY(p->a, int, n + 1);
    for (int i = 0; i < n; i++) {
        const struct pnode *side = i < l ? j->left : j->right;
        j->types[i] = side->types[i < l ? i : i - l];
        j->vars[i] = side->vars[i < l ? i : i - l];
    }
}

static void residual(struct planner *p, struct pnode *j, int n, struct expr **conds)
{
    int l = j->left->ncols, total = l + j->right->ncols;
    int *vars = ARENA_ARRAY(p->a, int, total + 1);
    for (int i = 0; i < total; i++) {
        vars[i] = i < l ? j->left->vars[i] : j->right->vars[i - l];
    }
    j->filter = to_positions(p, conds_and(p, n, conds), total, vars);
}

static struct status *hash_join(struct planner *p, struct rel *r, struct pnode *left,
                                struct pnode *right, struct pnode **out)
{
    struct pnode *j = pnode_new(p, P_JOIN, NULL);
    struct expr **rest = ARENA_ARRAY(p->a, struct expr *, r->nconds + 1);
    int nrest = 0;
    j->join = r->join;
    j->left_keys = ARENA_ARRAY(p->a, int, r->nconds + 1);
    j->right_keys = ARENA_ARRAY(p->a, int, r->nconds + 1);
    for (int i = 0; i < r->nconds; i++) {
        struct expr *l, *rr;
        type_oid common = 0;
        if (!join_equality(p, r->conds[i], r->left, r->right, &l, &rr)) {
            rest[nrest++] = r->conds[i];
            continue;
        }
        type_oid pair[2] = {l->type, rr->type};
        if (pair[0] != pair[1] && status_consume(type_common(pair, 2, "JOIN", &common))) {
            rest[nrest++] = r->conds[i];
            continue;
        }
        common = pair[0] == pair[1] ? pair[0] : common;
        j->left_keys[j->nkeys] = key_column(p, &left, l, common);
        j->right_keys[j->nkeys] = key_column(p, &right, rr, common);
        j->nkeys++;
    }
    j->left = left;
    j->right = right;
    join_layout(p, j);
    residual(p, j, nrest, rest);
    j->rows = rel_rows(r);
    *out = j;
    return p->st;
}

static struct status *apply_join(struct planner *p, struct rel *r, struct pnode *left,
                                 struct pnode *right, struct pnode **out)
{
    struct pnode *j = pnode_new(p, P_APPLY, NULL);
    j->left = left;
    j->right = right;
    j->join = r->join;
    join_layout(p, j);
    residual(p, j, r->nconds, r->conds);
    j->slot_cols = ARENA_ARRAY(p->a, int, left->ncols + 1);
    j->slots = ARENA_ARRAY(p->a, int, left->ncols + 1);
    for (int i = 0; i < left->ncols; i++) {
        int slot = left->vars[i] < 0 ? -1 : p->q->vars[left->vars[i]].slot;
        if (slot >= 0) {
            j->slot_cols[j->nslots] = i;
            j->slots[j->nslots++] = slot;
        }
    }
    j->rows = left->rows * (right->rows > 0 ? right->rows : 1);
    *out = j;
    return p->st;
}

static bool is_locked(const struct rel *r)
{
    const struct rel *t = r->kind == REL_FILTER ? r->left : r;
    return t->kind == REL_TABLE && t->lock != LOCK_NONE;
}

static struct status *lookup_join(struct planner *p, struct rel *r, struct pnode *left,
                                  struct pnode **out)
{
    *out = NULL;
    if (is_locked(r->left) && !is_locked(r->right)) {
        return NULL; /* the other way round reads and locks less */
    }
    if ((r->join != JOIN_INNER && r->join != JOIN_LEFT && r->join != JOIN_SEMI &&
         r->join != JOIN_ANTI) ||
        (left->rows > 200 && !is_locked(r->right))) {
        return NULL;
    }
    struct pnode *inner;
    TRY(physical_lookup(p, r->left, left, r->right, r->nconds, r->conds, &inner));
    if (inner == NULL) {
        return NULL;
    }
    struct pnode *j = pnode_new(p, P_LOOKUP, NULL);
    j->left = left;
    j->right = inner;
    j->join = r->join;
    j->left_keys = ARENA_ARRAY(p->a, int, r->nconds + 1);
    j->right_keys = ARENA_ARRAY(p->a, int, r->nconds + 1);
    struct expr **rest = ARENA_ARRAY(p->a, struct expr *, r->nconds + 1);
    int nrest = 0;
    for (int i = 0; i < r->nconds; i++) { /* plain columns of one type hash; the rest is tested */
        struct expr *l, *rr;
        if (join_equality(p, r->conds[i], r->left, r->right, &l, &rr) && l->kind == EXPR_COLUMN &&
            rr->kind == EXPR_COLUMN && l->type == rr->type) {
            j->left_keys[j->nkeys] = layout_find(left->ncols, left->vars, l->index);
            j->right_keys[j->nkeys] = layout_find(inner->ncols, inner->vars, rr->index);
            ASSERT(j->left_keys[j->nkeys] >= 0 && j->right_keys[j->nkeys] >= 0);
            j->nkeys++;
        } else {
            rest[nrest++] = r->conds[i];
        }
    }
    join_layout(p, j);
    residual(p, j, nrest, rest);
    j->rows = rel_rows(r);
    *out = j;
    return p->st;
}

static struct status *build_join(struct planner *p, struct rel *r, struct pnode **out)
{
    struct pnode *left, *right;
    TRY(build(p, r->left, NULL, &left));
    if (r->is_lateral) {
        TRY(build(p, r->right, NULL, &right));
        return apply_join(p, r, left, right, out);
    }
    TRY(lookup_join(p, r, left, out));
    if (*out != NULL) {
        return NULL;
    }
    TRY(build(p, r->right, NULL, &right));
    if (r->join == JOIN_INNER) {
        struct pnode *other = NULL; /* the same with the sides exchanged */
        struct rel swapped = *r;
        swapped.left = r->right;
        swapped.right = r->left;
        TRY(lookup_join(p, &swapped, right, &other));
        if (other != NULL) {
            *out = other;
            return NULL;
        }
        if (left->rows < right->rows) { /* the right side is the one kept in memory */
            return hash_join(p, &swapped, right, left, out);
        }
    }
    return hash_join(p, r, left, right, out);
}

/* ---- the other kinds ---- */

static struct status *build_values(struct planner *p, struct rel *r, struct pnode **out)
{
    struct pnode *n = pnode_new(p, P_VALUES, NULL);
    n->ncols = r->nvars;
    n->vars = r->vars;
    n->types = ARENA_ARRAY(p->a, type_oid, r->nvars + 1);
    n->nrows = r->nrows;
    n->values = ARENA_ARRAY(p->a, struct expr **, r->nrows);
    n->rows = r->nrows;
    for (int c = 0; c < r->nvars; c++) {
        n->types[c] = p->q->vars[r->vars[c]].type;
    }
    for (int i = 0; i < r->nrows; i++) {
        n->values[i] = ARENA_ARRAY(p->a, struct expr *, r->nvars + 1);
        for (int c = 0; c < r->nvars; c++) {
            n->values[i][c] = over(p, r->rows[i][c], NULL);
        }
    }
    *out = n;
    return p->st;
}

static struct status *build_project(struct planner *p, struct rel *r, struct order_wish *wish,
                                    struct pnode **out)
{
    struct pnode *in;
    struct order_wish below = {0};
    bool passes = wish != NULL;
    for (int i = 0; passes && i < wish->n; i++) {
        passes = rel_has_var(r->left, wish->sorts[i].var);
    }
    if (passes) {
        below = *wish;
    }
    TRY(build(p, r->left, passes ? &below : NULL, &in));
    if (passes) {
        wish->got = below.got;
    }
    struct pnode *n = pnode_new(p, P_PROJECT, in);
    n->is_permutation = true;
    n->ncols = 0;
    n->exprs = ARENA_ARRAY(p->a, struct expr *, r->nexprs + 1);
    n->types = ARENA_ARRAY(p->a, type_oid, r->nexprs + 1);
    n->vars = ARENA_ARRAY(p->a, int, r->nexprs + 1);
    for (int i = 0; i < r->nexprs; i++) {
        if (!is_needed(p, r->vars[i])) {
            continue;
        }
        struct expr *e = over(p, r->exprs[i], in);
        n->is_permutation &= e->kind == EXPR_COLUMN;
        n->exprs[n->ncols] = e;
        n->types[n->ncols] = p->q->vars[r->vars[i]].type;
        n->vars[n->ncols++] = r->vars[i];
    }
    n->nexprs = n->ncols;
    *out = n;
    return p->st;
}

static struct status *build_agg(struct planner *p, struct rel *r, struct pnode **out)
{
    struct pnode *in;
    TRY(build(p, r->left, NULL, &in));
    struct pnode *pushed = push_aggregate(p, r, in);
    TRY(p->st);
    struct pnode *n = pnode_new(p, P_AGG, pushed);
    n->ngroups = r->ngroups;
    n->naggs = r->naggs;
    n->aggs = ARENA_ARRAY(p->a, struct agg_call, r->naggs + 1);
    n->agg_mode = pushed != NULL ? AGG_FINAL : AGG_COMPLETE;
    n->ncols = r->nvars;
    n->vars = r->vars;
    n->types = ARENA_ARRAY(p->a, type_oid, r->nvars + 1);
    for (int i = 0; i < r->nvars; i++) {
        n->types[i] = p->q->vars[r->vars[i]].type;
    }
    n->rows = rel_rows(r);
    if (pushed == NULL) { /* groups first: a projection of them and of all else */
        struct pnode *pr = pnode_new(p, P_PROJECT, in);
        int total = r->ngroups + in->ncols;
        pr->ncols = pr->nexprs = total;
        pr->exprs = ARENA_ARRAY(p->a, struct expr *, total + 1);
        pr->types = ARENA_ARRAY(p->a, type_oid, total + 1);
        pr->vars = ARENA_ARRAY(p->a, int, total + 1);
        pr->is_permutation = true;
        for (int i = 0; i < total; i++) {
            struct expr *e = i < r->ngroups
                                 ? over(p, r->exprs[i], in)
                                 : expr_column(p->a, in->types[i - r->ngroups], -1, i - r->ngroups);
            pr->is_permutation &= e->kind == EXPR_COLUMN;
            pr->exprs[i] = e;
            pr->types[i] = e->type;
            pr->vars[i] = i < r->ngroups ? -1 : in->vars[i - r->ngroups];
        }
        n->left = pr;
    }
    for (int i = 0; i < r->naggs; i++) {
        n->aggs[i] = r->aggs[i];
        n->aggs[i].args = ARENA_ARRAY(p->a, struct expr *, r->aggs[i].nargs + 1);
        for (int k = 0; k < r->aggs[i].nargs; k++) {
            n->aggs[i].args[k] =
                pushed != NULL ? r->aggs[i].args[k] : over(p, r->aggs[i].args[k], n->left);
        }
        if (pushed == NULL) {
            n->aggs[i].filter = over(p, r->aggs[i].filter, n->left);
        } else {
            n->aggs[i].filter = NULL; /* done in the shards */
        }
    }
    *out = n;
    return p->st;
}

static struct status *sort_node(struct planner *p, struct rel *r, struct pnode *in,
                                struct expr *limit, struct expr *offset, struct pnode **out)
{
    struct pnode *n = pnode_new(p, P_SORT, in);
    n->nsort = r->nsorts;
    n->sort = ARENA_ARRAY(p->a, struct sort_key, r->nsorts);
    for (int i = 0; i < r->nsorts; i++) {
        int pos = layout_find(in->ncols, in->vars, r->sorts[i].var);
        if (pos < 0) {
            return missing_var(p, r->sorts[i].var);
        }
        n->sort[i] = (struct sort_key){.column = pos,
                                       .type = in->types[pos],
                                       .is_desc = r->sorts[i].is_desc,
                                       .nulls_first = r->sorts[i].nulls_first};
    }
    n->limit = limit;
    n->offset = offset;
    if (limit != NULL) {
        push_topn(p, n);
    }
    *out = n;
    return NULL;
}

/* The table below plain projections that is locked, if all that is sorted by are its columns. */
static struct rel *locked_base(const struct rel *sort)
{
    struct rel *base = sort->left;
    while (base->kind == REL_PROJECT) {
        base = base->left;
    }
    for (int i = 0; is_locked(base) && i < sort->nsorts; i++) {
        if (!rel_has_var(base, sort->sorts[i].var)) {
            return NULL;
        }
    }
    return is_locked(base) ? base : NULL;
}

/* LIMIT over a sort of rows to be locked: only rows that are returned may be locked, so they are
 * read and sorted without a lock, then locked and tested again one by one, until there are enough.
 * Sets base->built; leaves it NULL where that cannot be done. */
static struct status *lock_in_order(struct planner *p, struct rel *r, struct rel *base)
{
    struct rel *t = base->kind == REL_FILTER ? base->left : base;
    int nconds = base->kind == REL_FILTER ? base->nconds : 0;
    const Sherd__V1__IndexDesc *primary = t->table->indexes[0];
    for (size_t i = 0; i < primary->n_columns; i++) {
        need_var(p, t->col_vars[primary->columns[i]->ordinal]);
    }
    enum lock_mode lock = t->lock;
    struct pnode *outer, *inner;
    t->lock = LOCK_NONE;
    struct status *st = physical_scan(p, t, nconds, base->conds, NULL, &outer);
    t->lock = lock;
    TRY(st);
    TRY(sort_node(p, r, outer, NULL, NULL, &outer));
    TRY(physical_lock(p, outer, t, nconds, base->conds, &inner));
    if (inner == NULL) {
        return p->st;
    }
    struct pnode *j = pnode_new(p, P_LOOKUP, NULL);
    j->left = outer;
    j->right = inner;
    j->join = JOIN_INNER;
    j->is_single = true;
    join_layout(p, j);
    struct pnode *locked = pnode_new(p, P_PROJECT, j); /* the rows as they are under the lock */
    locked->is_permutation = true;
    locked->ncols = locked->nexprs = inner->ncols;
    locked->types = inner->types;
    locked->vars = inner->vars;
    locked->exprs = ARENA_ARRAY(p->a, struct expr *, inner->ncols + 1);
    for (int i = 0; i < inner->ncols; i++) {
        locked->exprs[i] =
            expr_column(p->a, inner->types[i], p->q->vars[inner->vars[i]].typmod, outer->ncols + i);
    }
    base->built = locked;
    return p->st;
}

static struct status *build_sort(struct planner *p, struct rel *r, struct expr *limit,
                                 struct expr *offset, struct pnode **out)
{
    struct order_wish wish = {.n = r->nsorts, .sorts = r->sorts};
    struct pnode *in;
    TRY(build(p, r->left, &wish, &in));
    if (wish.got) {
        *out = in;
        return NULL;
    }
    struct rel *base = limit != NULL ? locked_base(r) : NULL;
    if (base != NULL) {
        TRY(lock_in_order(p, r, base));
        if (base->built != NULL) {
            return build(p, r->left, NULL, out);
        }
    }
    return sort_node(p, r, in, limit, offset, out);
}

static struct status *build_limit(struct planner *p, struct rel *r, struct pnode **out)
{
    struct expr *limit = over(p, r->limit, NULL), *offset = over(p, r->offset, NULL);
    TRY(p->st);
    struct pnode *in;
    if (r->left->kind == REL_SORT) {
        TRY(build_sort(p, r->left, limit, offset, &in));
    } else {
        TRY(build(p, r->left, NULL, &in));
    }
    struct pnode *n = pnode_new(p, P_LIMIT, in);
    n->limit = limit;
    n->offset = offset;
    if (limit != NULL) {
        push_limit(in, limit, offset);
        if (limit->kind == EXPR_CONST && !limit->value.is_null &&
            (double)limit->value.i < n->rows) {
            n->rows = (double)limit->value.i;
        }
    }
    *out = n;
    return NULL;
}

static int unique_vars(struct planner *p, int n, const int *vars, int **out)
{
    int m = 0;
    *out = ARENA_ARRAY(p->a, int, n + 1);
    for (int i = 0; i < n; i++) {
        if (layout_find(m, *out, vars[i]) < 0) {
            (*out)[m++] = vars[i];
        }
    }
    return m;
}

static struct status *build_distinct(struct planner *p, struct rel *r, struct pnode **out)
{
    struct pnode *in;
    TRY(build(p, r->left, NULL, &in));
    int *keys, n = unique_vars(p, r->nkeys, r->keys, &keys);
    if (!r->is_on) {
        *out = pnode_new(p, P_DISTINCT, pnode_columns(p, in, n, keys));
        return p->st;
    }
    struct pnode *d = pnode_new(p, P_DISTINCT_ON, in);
    d->nkeys = n;
    d->left_keys = ARENA_ARRAY(p->a, int, n + 1);
    for (int i = 0; i < n; i++) {
        d->left_keys[i] = layout_find(in->ncols, in->vars, keys[i]);
        if (d->left_keys[i] < 0) {
            return missing_var(p, keys[i]);
        }
    }
    *out = d;
    return NULL;
}

static struct status *build_setop(struct planner *p, struct rel *r, struct pnode **out)
{
    TRY(analyze_stack_check());
    struct pnode *l, *rr;
    TRY(build(p, r->left, NULL, &l));
    TRY(build(p, r->right, NULL, &rr));
    struct pnode *n = pnode_new(p, P_SETOP, pnode_columns(p, l, r->nvars, r->left_outs));
    n->right = pnode_columns(p, rr, r->nvars, r->right_outs);
    n->setop = r->setop;
    n->vars = r->vars;
    n->rows = l->rows + rr->rows;
    *out = n;
    return p->st;
}

static struct status *build_srf(struct planner *p, struct rel *r, struct pnode **out)
{
    struct pnode *in;
    TRY(build(p, r->left, NULL, &in));
    struct pnode *n = pnode_new(p, P_SRF, in);
    int extra = r->nvars - r->srf_first;
    n->srf_first = in->ncols;
    n->ncols = in->ncols + extra;
    n->types = ARENA_ARRAY(p->a, type_oid, n->ncols + 1);
    n->vars = ARENA_ARRAY(p->a, int, n->ncols + 1);
    for (int i = 0; i < n->ncols; i++) {
        n->vars[i] = i < in->ncols ? in->vars[i] : r->vars[r->srf_first + i - in->ncols];
        n->types[i] = i < in->ncols ? in->types[i] : p->q->vars[n->vars[i]].type;
    }
    n->nexprs = r->nexprs;
    n->exprs = ARENA_ARRAY(p->a, struct expr *, r->nexprs + 1);
    for (int i = 0; i < r->nexprs; i++) {
        n->exprs[i] = over(p, r->exprs[i], in);
    }
    n->with_ordinality = r->with_ordinality;
    n->rows = in->rows * 10;
    *out = n;
    return p->st;
}

static struct status *build_series(struct planner *p, struct rel *r, struct pnode **out)
{
    struct pnode *n = pnode_new(p, P_SERIES, NULL);
    n->ncols = r->nvars;
    n->vars = r->vars;
    n->types = ARENA_ARRAY(p->a, type_oid, r->nvars + 1);
    n->types[0] = p->q->vars[r->vars[0]].type;
    n->nexprs = r->nexprs;
    n->exprs = ARENA_ARRAY(p->a, struct expr *, r->nexprs + 1);
    for (int i = 0; i < r->nexprs; i++) {
        n->exprs[i] = over(p, r->exprs[i], NULL);
    }
    n->rows = 500;
    *out = n;
    return p->st;
}

static struct status *build_cte(struct planner *p, struct rel *r, struct pnode **out)
{
    struct cte *c = r->cte;
    if (c->plan == NULL) {
        struct rel *inner = optimize(p, c->rel);
        for (int i = 0; i < c->nouts; i++) {
            need_var(p, c->outs[i]);
        }
        need_rel(p, inner);
        TRY(build(p, inner, NULL, &c->plan));
        c->plan = pnode_columns(p, c->plan, c->nouts, c->outs);
    }
    struct pnode *n = pnode_new(p, P_CTE, NULL);
    n->cte = c;
    n->ncols = r->nvars;
    n->vars = r->vars;
    n->types = c->plan->types;
    n->rows = c->plan->rows;
    *out = n;
    return p->st;
}

static struct status *build_system(struct planner *p, struct rel *r, struct pnode **out)
{
    struct pnode *n = pnode_new(p, P_SYSTEM, NULL);
    n->system = r->system;
    n->ncols = r->nvars;
    n->vars = r->vars;
    n->types = ARENA_ARRAY(p->a, type_oid, r->nvars + 1);
    for (int i = 0; i < r->nvars; i++) {
        n->types[i] = p->q->vars[r->vars[i]].type;
    }
    n->rows = 100;
    *out = n;
    return NULL;
}

static struct status *build(struct planner *p, struct rel *r, struct order_wish *wish,
                            struct pnode **out)
{
    TRY(analyze_stack_check());
    TRY(arena_reserve(p->a, PLAN_MARGIN / 4));
    struct pnode *in;
    if (r->built != NULL) {
        *out = r->built;
        return NULL;
    }
    switch (r->kind) {
    case REL_ONE:
        *out = pnode_new(p, P_ONE, NULL);
        (*out)->rows = 1;
        return NULL;
    case REL_TABLE:
        return physical_scan(p, r, 0, NULL, wish, out);
    case REL_SYSTEM:
        return build_system(p, r, out);
    case REL_FILTER:
        if (r->left->kind == REL_TABLE) {
            return physical_scan(p, r->left, r->nconds, r->conds, wish, out);
        }
        TRY(build(p, r->left, wish, &in));
        *out = filter_node(p, in, r->nconds, r->conds);
        return p->st;
    case REL_VALUES:
        return build_values(p, r, out);
    case REL_SERIES:
        return build_series(p, r, out);
    case REL_SRF:
        return build_srf(p, r, out);
    case REL_PROJECT:
        return build_project(p, r, wish, out);
    case REL_JOIN:
        return build_join(p, r, out);
    case REL_AGG:
        return build_agg(p, r, out);
    case REL_DISTINCT:
        return build_distinct(p, r, out);
    case REL_SORT:
        return build_sort(p, r, NULL, NULL, out);
    case REL_LIMIT:
        return build_limit(p, r, out);
    case REL_SETOP:
        return build_setop(p, r, out);
    case REL_CTE:
        return build_cte(p, r, out);
    }
    return status_new(INTERNAL, "unknown kind of relation %d", (int)r->kind);
}

struct status *physical(struct planner *p, struct rel *r, struct pnode **out)
{
    need_rel(p, r);
    TRY(build(p, r, NULL, out));
    return p->st;
}
