/*
 * Join order: the inputs of a tree of inner joins are joined greedily, smallest result first,
 * preferring pairs that a condition connects. Sizes are rough guesses by the shape of the
 * conditions (there are no statistics yet): a unique key is one row, an equality a twentieth, a
 * range a third.
 */
#include "pnode.h"

#include <float.h>

enum { JOIN_INPUTS_MAX = 32 };

#define TABLE_ROWS 1000.0

static double cond_selectivity(const struct expr *e)
{
    switch (e->kind) {
    case EXPR_CALL:
        if (e->func->op == NULL) {
            return 0.5;
        }
        return strcmp(e->func->op, "=") == 0 ? 0.05 : strcmp(e->func->op, "<>") == 0 ? 0.95 : 0.33;
    case EXPR_IN:
    case EXPR_ANY_ARRAY:
        return 0.15;
    case EXPR_IS_NULL:
        return e->negate ? 0.9 : 0.1;
    default:
        return 0.5;
    }
}

/* Whether equalities with something from outside cover a unique key of the table. */
static bool is_one_row(const struct rel *table, int n, struct expr *const *conds)
{
    for (size_t i = 0; i < table->table->n_indexes; i++) {
        const Sherd__V1__IndexDesc *ix = table->table->indexes[i];
        bool all = ix->unique && ix->state == SHERD__V1__INDEX_STATE__INDEX_PUBLIC;
        for (size_t k = 0; all && k < ix->n_columns; k++) {
            bool found = false;
            for (int c = 0; c < n; c++) {
                const struct expr *e = conds[c];
                if (e->kind != EXPR_CALL || e->nargs != 2 || e->func->op == NULL ||
                    strcmp(e->func->op, "=") != 0) {
                    continue;
                }
                for (int s = 0; s < 2; s++) {
                    const struct expr *col = strip_column(e->args[s]);
                    found |= col != NULL &&
                             col->index == table->col_vars[ix->columns[k]->ordinal] &&
                             !uses_any(e->args[1 - s], table);
                }
            }
            all = found;
        }
        if (all) {
            return true;
        }
    }
    return false;
}

double rel_rows(const struct rel *r)
{
    double rows;
    switch (r->kind) {
    case REL_ONE:
        return 1;
    case REL_TABLE:
        return TABLE_ROWS;
    case REL_SYSTEM:
        return 100;
    case REL_VALUES:
        return r->nrows;
    case REL_SERIES:
        return 500;
    case REL_SRF:
        return rel_rows(r->left) * 10;
    case REL_FILTER:
        if (r->left->kind == REL_TABLE && is_one_row(r->left, r->nconds, r->conds)) {
            return 1;
        }
        rows = rel_rows(r->left);
        for (int i = 0; i < r->nconds; i++) {
            rows *= cond_selectivity(r->conds[i]);
        }
        return rows < 1 ? 1 : rows;
    case REL_JOIN: {
        double l = rel_rows(r->left), rr = rel_rows(r->right);
        if (r->join == JOIN_SEMI || r->join == JOIN_ANTI) {
            return l / 2 < 1 ? 1 : l / 2;
        }
        rows = r->nconds > 0 ? (l > rr ? l : rr) : l * rr;
        return rows;
    }
    case REL_AGG:
        return r->ngroups == 0 ? 1 : rel_rows(r->left) / 5 + 1;
    case REL_DISTINCT:
        return rel_rows(r->left) / 2 + 1;
    case REL_LIMIT:
        rows = rel_rows(r->left);
        if (r->limit != NULL && r->limit->kind == EXPR_CONST && !r->limit->value.is_null &&
            (double)r->limit->value.i < rows) {
            rows = (double)r->limit->value.i;
        }
        return rows;
    case REL_SETOP:
        return rel_rows(r->left) + rel_rows(r->right);
    case REL_CTE:
        return rel_rows(r->cte->rel);
    case REL_PROJECT:
    case REL_SORT:
        return rel_rows(r->left);
    }
    return TABLE_ROWS;
}

bool join_equality(struct planner *p, const struct expr *e, const struct rel *left,
                   const struct rel *right, struct expr **out_left, struct expr **out_right)
{
    (void)p;
    if (e->kind != EXPR_CALL || e->nargs != 2 || e->func->op == NULL ||
        strcmp(e->func->op, "=") != 0 || expr_has_kind(e, EXPR_SUBPLAN) || expr_is_volatile(e)) {
        return false;
    }
    for (int s = 0; s < 2; s++) {
        if (uses_any(e->args[s], left) && vars_within(e->args[s], left) &&
            uses_any(e->args[1 - s], right) && vars_within(e->args[1 - s], right)) {
            *out_left = e->args[s];
            *out_right = e->args[1 - s];
            return true;
        }
    }
    return false;
}

struct join_inputs {
    int n;
    struct rel *rels[JOIN_INPUTS_MAX];
    double rows[JOIN_INPUTS_MAX];
    int nconds, cap;
    struct expr **conds;
};

static void inputs_cond(struct planner *p, struct join_inputs *in, struct expr *e)
{
    if (in->nconds == in->cap) {
        in->cap = in->cap == 0 ? 16 : in->cap * 2;
        struct expr **grown = ARENA_ARRAY(p->a, struct expr *, in->cap);
        if (in->nconds > 0) {
            memcpy(grown, in->conds, sizeof(*grown) * (size_t)in->nconds);
        }
        in->conds = grown;
    }
    in->conds[in->nconds++] = e;
}

static int count_inputs(const struct rel *r)
{
    if (r->kind == REL_JOIN && r->join == JOIN_INNER && !r->is_lateral) {
        return count_inputs(r->left) + count_inputs(r->right);
    }
    return 1;
}

static void gather(struct planner *p, struct join_inputs *in, struct rel *r)
{
    if (r->kind == REL_JOIN && r->join == JOIN_INNER && !r->is_lateral) {
        gather(p, in, r->left);
        gather(p, in, r->right);
        for (int i = 0; i < r->nconds; i++) {
            inputs_cond(p, in, r->conds[i]);
        }
        return;
    }
    in->rels[in->n] = join_order(p, r);
    in->rows[in->n++] = rel_rows(r);
}

static bool is_joined(const struct join_inputs *in, const struct rel *a, const struct rel *b)
{
    for (int i = 0; i < in->nconds; i++) {
        if (uses_any(in->conds[i], a) && uses_any(in->conds[i], b)) {
            return true;
        }
    }
    return false;
}

/* Rows of the join of what is there so far with input k. */
static double joined_rows(struct planner *p, const struct join_inputs *in, const struct rel *so_far,
                          double rows, int k)
{
    const struct rel *r = in->rels[k];
    if (so_far == NULL) {
        return in->rows[k];
    }
    if (!is_joined(in, so_far, r)) {
        return rows * in->rows[k] * 10; /* a product comes last */
    }
    const struct rel *table = r->kind == REL_FILTER ? r->left : r;
    if (table->kind == REL_TABLE) { /* a unique key of k is met: no more rows than before */
        struct expr **conds = ARENA_ARRAY(p->a, struct expr *, in->nconds + 1);
        int n = 0;
        struct rel pair = {.nvars = so_far->nvars, .vars = so_far->vars};
        for (int i = 0; i < in->nconds; i++) {
            struct expr *l, *rr;
            if (join_equality(p, in->conds[i], &pair, r, &l, &rr)) {
                conds[n++] = in->conds[i];
            }
        }
        if (is_one_row(table, n, conds)) {
            return rows;
        }
    }
    return rows > in->rows[k] ? rows : in->rows[k];
}

static struct rel *add_conds(struct planner *p, struct join_inputs *in, struct rel *join)
{
    int left = 0;
    for (int i = 0; i < in->nconds; i++) {
        if (vars_within(in->conds[i], join)) {
            rel_add_cond(p->q, join, in->conds[i]);
        } else {
            in->conds[left++] = in->conds[i];
        }
    }
    in->nconds = left;
    return join;
}

static struct rel *order_inputs(struct planner *p, struct join_inputs *in)
{
    struct rel *r = NULL;
    double rows = 0;
    for (int step = 0; step < in->n; step++) {
        int best = -1;
        double best_rows = DBL_MAX;
        for (int k = 0; k < in->n; k++) {
            if (in->rels[k] == NULL) {
                continue;
            }
            double n = joined_rows(p, in, r, rows, k);
            if (best < 0 || n < best_rows) {
                best = k;
                best_rows = n;
            }
        }
        struct rel *next = in->rels[best];
        in->rels[best] = NULL;
        rows = best_rows;
        r = r == NULL ? next : add_conds(p, in, rel_join(p->q, JOIN_INNER, r, next));
    }
    if (in->nconds > 0) { /* of vars from an outer query only, or none */
        struct rel *f = rel_new(p->q, REL_FILTER, r);
        for (int i = 0; i < in->nconds; i++) {
            rel_add_cond(p->q, f, in->conds[i]);
        }
        r = f;
    }
    return r;
}

struct rel *join_order(struct planner *p, struct rel *r)
{
    if (r == NULL) {
        return NULL;
    }
    if (r->kind == REL_JOIN && r->join == JOIN_INNER && !r->is_lateral) {
        int n = count_inputs(r);
        if (n <= JOIN_INPUTS_MAX) {
            struct join_inputs in = {0};
            gather(p, &in, r);
            return order_inputs(p, &in);
        }
    }
    r->left = join_order(p, r->left);
    r->right = join_order(p, r->right);
    return r;
}
