/*
 * Scans: the fragment template, and what is pushed into it (filter, limit, top-N, partial
 * aggregation).
 *
 * The template is complete but for the spans, which are computed at each execution from the key
 * expressions, and for expressions with parameters or stable functions, which are bound to
 * constants then (needs_bind). What a shard cannot run (session functions, correlated sub-selects,
 * volatile functions) stays in a filter above the scan.
 */
#include "pnode.h"

#include "analyze/analyze.h"
#include "base/check.h"

static bool needed_ordinal(const struct planner *p, const struct rel *t, int ordinal)
{
    int v = t->col_vars[ordinal];
    return v >= 0 && (v >= p->nneeded || p->needed[v]);
}

static void mark_expr(void *ctx, int var)
{
    bool *marks = ctx;
    marks[var] = true;
}

struct layout {
    int n;
    int *vars;
};

/* The decoded columns: what is needed above, and what the pushed filter looks at. */
static struct layout scan_columns(struct planner *p, struct rel *t, struct scan *s, int nfilter,
                                  struct expr **filter)
{
    int total = (int)t->table->n_columns;
    bool *marks = ARENA_ARRAY(p->a, bool, p->q->nvars + 1);
    for (int i = 0; i < nfilter; i++) {
        expr_vars(filter[i], mark_expr, marks);
    }
    struct layout l = {0, ARENA_ARRAY(p->a, int, total + 1)};
    s->fragment.columns = ARENA_ARRAY(p->a, int, total + 1);
    for (int i = 0; i < total; i++) {
        if (t->col_vars[i] >= 0 && (needed_ordinal(p, t, i) || marks[t->col_vars[i]])) {
            s->fragment.columns[l.n] = i;
            l.vars[l.n++] = t->col_vars[i];
        }
    }
    s->fragment.ncolumns = l.n;
    return l;
}

static void template_init(struct planner *p, struct rel *t, struct scan *s)
{
    s->fragment.table_id = t->table->id;
    s->fragment.index_id = s->index->index_id;
    s->fragment.schema_version = t->table->version;
    s->fragment.usable_from = s->index->usable_from;
    s->fragment.is_lookup = !s->index->primary;
    s->fragment.is_apart = t->table->colocate_with != 0;
    s->fragment.row_columns = table_row_columns(p->a, t->table, &s->fragment.nrow_columns);
    s->fragment.limit = -1;
    s->fragment.lock = t->lock;
    s->fragment.lock_wait = t->lock_wait;
}

static struct pnode *scan_node(struct planner *p, struct scan *s, struct layout l)
{
    struct pnode *n = pnode_new(p, P_SCAN, NULL);
    n->scan = s;
    n->ncols = l.n;
    n->vars = l.vars;
    n->types = ARENA_ARRAY(p->a, type_oid, l.n + 1);
    for (int i = 0; i < l.n; i++) {
        n->types[i] = p->q->vars[l.vars[i]].type;
    }
    n->rows = s->rows;
    return n;
}

static void bind_keys(struct planner *p, struct scan *s, int ncols, const int *vars)
{
    for (int i = 0; i < s->nkeys; i++) {
        struct span_key *k = &s->keys[i];
        struct expr **values = ARENA_ARRAY(p->a, struct expr *, k->nvalues + 1);
        for (int v = 0; v < k->nvalues; v++) {
            values[v] = to_positions(p, k->values[v], ncols, vars);
        }
        k->values = values;
        k->low = to_positions(p, k->low, ncols, vars);
        k->high = to_positions(p, k->high, ncols, vars);
    }
}

static struct status *no_index(const struct rel *t)
{
    return status_new(INTERNAL, "table \"%s\" has no primary index", t->table->name);
}

/* A condition that has become key spans need not be tested again, but for a row that is locked: it
 * may have changed before the lock was granted, and READ COMMITTED tests it as it is then. The
 * columns of its own key are what they were. */
static bool is_settled(const struct rel *t, const struct scan *s, bool is_used)
{
    return is_used && (t->lock == LOCK_NONE || s->index->primary);
}

struct status *physical_scan(struct planner *p, struct rel *t, int nconds, struct expr **conds,
                             struct order_wish *wish, struct pnode **out)
{
    bool sorted = false, reverse = false;
    int nused = 0;
    bool *used = ARENA_ARRAY(p->a, bool, nconds + 1);
    struct scan *s =
        access_path(p, t, nconds, conds, NULL, wish == NULL ? 0 : wish->n,
                    wish == NULL ? NULL : wish->sorts, &sorted, &reverse, &nused, used);
    if (s == NULL) {
        return no_index(t);
    }
    template_init(p, t, s);
    struct expr **pushed = ARENA_ARRAY(p->a, struct expr *, nconds + 1);
    struct expr **above = ARENA_ARRAY(p->a, struct expr *, nconds + 1);
    int npushed = 0, nabove = 0;
    for (int i = 0; i < nconds; i++) {
        if (is_settled(t, s, used[i])) {
            continue;
        }
        if (is_pushable(p, conds[i])) {
            pushed[npushed++] = conds[i];
        } else {
            above[nabove++] = conds[i];
        }
    }
    struct layout l = scan_columns(p, t, s, npushed, pushed);
    bind_keys(p, s, 0, NULL);
    s->filter = to_positions(p, conds_and(p, npushed, pushed), l.n, l.vars);
    s->needs_bind = s->filter != NULL && needs_bind(s->filter);
    if (!s->needs_bind) {
        s->fragment.filter = s->filter;
    }
    s->is_ordered = sorted;
    s->fragment.is_reverse = reverse;
    if (wish != NULL) {
        wish->got = sorted;
    }
    struct pnode *n = scan_node(p, s, l);
    if (nabove > 0) {
        struct pnode *f = pnode_new(p, P_FILTER, n);
        f->filter = to_positions(p, conds_and(p, nabove, above), l.n, l.vars);
        n = f;
    }
    *out = n;
    return p->st;
}

struct status *physical_lookup(struct planner *p, const struct rel *outer,
                               const struct pnode *outer_node, struct rel *inner, int nconds,
                               struct expr **conds, struct pnode **out)
{
    *out = NULL;
    struct rel *t = inner->kind == REL_FILTER ? inner->left : inner;
    if (t->kind != REL_TABLE) {
        return NULL;
    }
    int own = inner->kind == REL_FILTER ? inner->nconds : 0, total = nconds + own, nused = 0;
    struct expr **all = ARENA_ARRAY(p->a, struct expr *, total + 1);
    for (int i = 0; i < own; i++) {
        if (!is_pushable(p, inner->conds[i])) {
            return NULL;
        }
        all[i] = inner->conds[i];
    }
    int n = own;
    for (int i = 0; i < nconds;
         i++) { /* only what ties both sides by an equality can become a key */
        struct expr *l, *r;
        if (join_equality(p, conds[i], outer, inner, &l, &r) && strip_column(r) != NULL) {
            all[n++] = conds[i];
        }
    }
    if (n == own) {
        return NULL;
    }
    bool sorted, reverse;
    bool *used = ARENA_ARRAY(p->a, bool, total + 1);
    struct scan *s = access_path(p, t, n, all, outer, 0, NULL, &sorted, &reverse, &nused, used);
    if (s == NULL || s->nkeys == 0) {
        return NULL;
    }
    bool by_outer = false;
    for (int i = own; i < n; i++) {
        by_outer |= used[i];
    }
    for (int i = 0; i < s->nkeys; i++) {
        if (s->keys[i].kind !=
            SPAN_EQ) { /* keys after the first that is no equality are left to the filter */
            for (int c = 0; c < n; c++) {
                used[c] = false;
            }
            return NULL;
        }
    }
    struct scan *alone = NULL;
    int nalone;
    bool *alone_used = ARENA_ARRAY(p->a, bool, own + 1);
    alone = access_path(p, t, own, all, NULL, 0, NULL, &sorted, &reverse, &nalone, alone_used);
    double lookups = outer_node->rows * scan_rows(s, 0) * (s->index->primary ? 2 : 4);
    bool locks = t->lock != LOCK_NONE; /* then rows that do not join must not be touched */
    if (!by_outer ||
        (alone != NULL && !locks && lookups >= alone->rows * (alone->index->primary ? 1 : 3) * 2)) {
        return NULL;
    }
    template_init(p, t, s);
    struct expr **pushed = ARENA_ARRAY(p->a, struct expr *, own + 1);
    int npushed = 0;
    for (int i = 0; i < own; i++) {
        if (!is_settled(t, s, used[i])) {
            pushed[npushed++] = all[i];
        }
    }
    struct layout l = scan_columns(p, t, s, npushed, pushed);
    s->filter = to_positions(p, conds_and(p, npushed, pushed), l.n, l.vars);
    s->needs_bind = s->filter != NULL && needs_bind(s->filter);
    if (!s->needs_bind) {
        s->fragment.filter = s->filter;
    }
    bind_keys(p, s, outer_node->ncols, outer_node->vars);
    *out = scan_node(p, s, l);
    return p->st;
}

struct status *physical_lock(struct planner *p, const struct pnode *outer, struct rel *table,
                             int nconds, struct expr **conds, struct pnode **out)
{
    *out = NULL;
    for (int i = 0; i < nconds; i++) {
        if (!is_pushable(p, conds[i])) {
            return NULL;
        }
    }
    struct scan *s = ARENA_NEW(p->a, struct scan);
    s->table = table->table;
    s->alias = table->alias;
    s->index = table->table->indexes[0];
    s->is_point = true;
    s->rows = 1;
    s->nkeys = (int)s->index->n_columns;
    s->keys = ARENA_ARRAY(p->a, struct span_key, s->nkeys);
    for (int i = 0; i < s->nkeys; i++) {
        int var = table->col_vars[s->index->columns[i]->ordinal];
        struct expr **value = ARENA_ARRAY(p->a, struct expr *, 1);
        value[0] = query_column(p->q, var);
        s->keys[i] = (struct span_key){
            .kind = SPAN_EQ, .type = p->q->vars[var].type, .nvalues = 1, .values = value};
    }
    template_init(p, table, s);
    struct layout l = scan_columns(p, table, s, nconds, conds);
    s->filter = to_positions(p, conds_and(p, nconds, conds), l.n, l.vars);
    s->needs_bind = s->filter != NULL && needs_bind(s->filter);
    if (!s->needs_bind) {
        s->fragment.filter = s->filter;
    }
    bind_keys(p, s, outer->ncols, outer->vars);
    *out = scan_node(p, s, l);
    return p->st;
}

/* ---- limits ---- */

/* The scan below plain projections, when nothing between drops or adds rows. */
static struct pnode *scan_below(struct pnode *n)
{
    while (n != NULL && n->kind == P_PROJECT) {
        n = n->left;
    }
    return n != NULL && n->kind == P_SCAN ? n : NULL;
}

bool push_limit(struct pnode *n, struct expr *limit, struct expr *offset)
{
    struct pnode *s = scan_below(n);
    if (s == NULL || s->scan->fragment.naggs > 0 || s->scan->fragment.ngroups > 0 ||
        s->scan->fragment.nsort > 0) {
        return false;
    }
    s->scan->limit = limit;
    s->scan->offset = offset;
    return true;
}

void push_topn(struct planner *p, struct pnode *sort)
{
    struct pnode *n = sort->left;
    while (n->kind == P_PROJECT && n->is_permutation) {
        n = n->left;
    }
    if (n->kind != P_SCAN || n->scan->fragment.naggs > 0 || n->scan->fragment.ngroups > 0 ||
        n->scan->fragment.lock != LOCK_NONE) {
        return;
    }
    struct sort_key *keys = ARENA_ARRAY(p->a, struct sort_key, sort->nsort);
    for (int i = 0; i < sort->nsort; i++) {
        keys[i] = sort->sort[i];
        keys[i].column = layout_find(n->ncols, n->vars, sort->left->vars[sort->sort[i].column]);
        if (keys[i].column < 0) {
            return;
        }
    }
    n->scan->fragment.sort = keys;
    n->scan->fragment.nsort = sort->nsort;
    n->scan->limit = sort->limit;
    n->scan->offset = sort->offset;
}

/* ---- partial aggregation ---- */

static bool agg_pushable(const struct planner *p, const struct rel *r)
{
    for (int i = 0; i < r->ngroups; i++) {
        if (!is_pushable(p, r->exprs[i])) {
            return false;
        }
    }
    for (int i = 0; i < r->naggs; i++) {
        const struct agg_call *c = &r->aggs[i];
        if (c->is_distinct || (c->filter != NULL && !is_pushable(p, c->filter))) {
            return false;
        }
        for (int k = 0; k < c->nargs; k++) {
            if (!is_pushable(p, c->args[k])) {
                return false;
            }
        }
    }
    return true;
}

static struct expr *projected(struct planner *p, struct fragment *fr, struct expr *e,
                              const struct pnode *in)
{
    struct expr *x = to_positions(p, e, in->ncols, in->vars);
    fr->projections[fr->nprojections] = x;
    return expr_column(p->a, x->type, x->typmod, fr->nprojections++);
}

/* Results that depend on the order or the whole of the input are not made from parts. */
static bool is_mergeable(const struct func_def *f)
{
    return f->agg->merge != NULL && f->agg->save != NULL;
}

struct pnode *push_aggregate(struct planner *p, struct rel *agg, struct pnode *in)
{
    if (in->kind != P_SCAN || in->scan->limit != NULL || in->scan->fragment.lock != LOCK_NONE ||
        !agg_pushable(p, agg) || (agg->naggs == 0 && agg->ngroups == 0) ||
        (in->scan->is_point && in->rows <= 1)) {
        return NULL;
    }
    int max = agg->ngroups;
    for (int i = 0; i < agg->naggs; i++) {
        if (!is_mergeable(agg->aggs[i].func)) {
            return NULL;
        }
        max += agg->aggs[i].nargs + 1;
    }
    struct scan *s = in->scan;
    struct fragment *fr = &s->fragment;
    fr->projections = ARENA_ARRAY(p->a, struct expr *, max + 1);
    fr->aggs = ARENA_ARRAY(p->a, struct agg_call, agg->naggs + 1);
    fr->ngroups = agg->ngroups;
    fr->naggs = agg->naggs;
    for (int i = 0; i < agg->ngroups; i++) {
        projected(p, fr, agg->exprs[i], in);
    }
    for (int i = 0; i < agg->naggs; i++) {
        fr->aggs[i] = agg->aggs[i];
        fr->aggs[i].args = ARENA_ARRAY(p->a, struct expr *, agg->aggs[i].nargs + 1);
        for (int k = 0; k < agg->aggs[i].nargs; k++) {
            fr->aggs[i].args[k] = projected(p, fr, agg->aggs[i].args[k], in);
        }
        if (agg->aggs[i].filter != NULL) {
            fr->aggs[i].filter = projected(p, fr, agg->aggs[i].filter, in);
        }
    }
    for (int i = 0; i < fr->nprojections; i++) {
        s->needs_bind |= needs_bind(fr->projections[i]);
    }
    if (s->needs_bind) {
        fr->filter = NULL;
    }
    struct pnode *n = pnode_new(p, P_SCAN, NULL);
    n->scan = s;
    n->ncols = agg->ngroups + agg->naggs;
    n->vars = agg->vars;
    n->types = ARENA_ARRAY(p->a, type_oid, n->ncols + 1);
    for (int i = 0; i < n->ncols; i++) {
        n->types[i] = i < agg->ngroups ? p->q->vars[agg->vars[i]].type : TYPE_BYTEA;
    }
    n->rows = rel_rows(agg);
    return n;
}
