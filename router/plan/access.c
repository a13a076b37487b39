/*
 * How a table is read: which index, what of the conditions becomes key spans, what is left to
 * filter, and whether the index gives the order that is wanted.
 *
 * Cost is counted in rows touched; a row fetched through a secondary index costs two more. Per
 * leading column of an index: an equality, an IN list or = ANY(array) goes on to the next column; a
 * range ends the prefix.
 */
#include "pnode.h"
#include "sql/codec.h"

#include "analyze/analyze.h"

enum { RELABEL = 12002 };

static bool is_int(type_oid t)
{
    return t == TYPE_INT2 || t == TYPE_INT4 || t == TYPE_INT8;
}

const struct expr *strip_column(const struct expr *e)
{
    while (e->kind == EXPR_CALL && e->nargs == 1 && e->func->is_cast) {
        bool keeps = (is_int(e->type) && is_int(e->args[0]->type)) || e->func->id == RELABEL;
        if (!keeps) {
            return NULL;
        }
        e = e->args[0];
    }
    return e->kind == EXPR_COLUMN ? e : NULL;
}

/* Types whose keys compare as values of the column's type do. */
static bool is_key_type(type_oid column, type_oid value)
{
    if (column == value || (is_int(column) && is_int(value))) {
        return true;
    }
    bool text_column = column == TYPE_TEXT || column == TYPE_VARCHAR;
    return text_column && (value == TYPE_TEXT || value == TYPE_VARCHAR);
}

struct access {
    struct planner *p;
    const struct rel *table;
    const struct rel *outer;
    int nconds;
    struct expr **conds;
};

/* The value can be computed before the scan starts: nothing of the table itself, nothing volatile.
 */
static bool is_bound(const struct access *ac, const struct expr *e)
{
    return !uses_any(e, ac->table) && !expr_is_volatile(e) &&
           (ac->outer == NULL || !expr_has_kind(e, EXPR_SUBPLAN));
}

static bool is_column(const struct expr *e, int var)
{
    const struct expr *c = strip_column(e);
    return c != NULL && c->index == var;
}

/* What a condition says about the column: EQ, IN, ANY or one end of a RANGE. */
static bool key_of(const struct access *ac, const struct expr *e, int var, type_oid type,
                   struct span_key *k)
{
    if (e->kind == EXPR_IN && !e->negate && is_column(e->args[0], var)) {
        for (int i = 1; i < e->nargs; i++) {
            if (!is_bound(ac, e->args[i]) || !is_key_type(type, e->args[i]->type)) {
                return false;
            }
        }
        *k = (struct span_key){
            .kind = SPAN_IN, .type = type, .nvalues = e->nargs - 1, .values = e->args + 1};
        return true;
    }
    if (e->kind == EXPR_ANY_ARRAY && !e->negate && e->func->op != NULL &&
        strcmp(e->func->op, "=") == 0 && is_column(e->args[0], var) && is_bound(ac, e->args[1])) {
        const struct type_info *ti = type_find(e->args[1]->type);
        if (ti == NULL || !is_key_type(type, ti->element)) {
            return false;
        }
        *k = (struct span_key){.kind = SPAN_ANY, .type = type, .nvalues = 1, .values = &e->args[1]};
        return true;
    }
    if (type == TYPE_BOOL &&
        (is_column(e, var) || (e->kind == EXPR_NOT && is_column(e->args[0], var)))) {
        struct expr **v = ARENA_ARRAY(ac->p->a, struct expr *, 1);
        v[0] = expr_const(ac->p->a, TYPE_BOOL, datum_bool(e->kind != EXPR_NOT));
        *k = (struct span_key){.kind = SPAN_EQ, .type = type, .nvalues = 1, .values = v};
        return true;
    }
    if (e->kind != EXPR_CALL || e->nargs != 2 || e->func->op == NULL) {
        return false;
    }
    const char *op = e->func->op;
    for (int s = 0; s < 2; s++) {
        if (!is_column(e->args[s], var) || !is_bound(ac, e->args[1 - s]) ||
            !is_key_type(type, e->args[1 - s]->type)) {
            continue;
        }
        struct expr *v = e->args[1 - s];
        *k = (struct span_key){.kind = SPAN_RANGE, .type = type};
        bool inclusive = op[1] == '=';
        if (strcmp(op, "=") == 0) {
            k->kind = SPAN_EQ;
            k->nvalues = 1;
            k->values = &e->args[1 - s];
            return true;
        }
        if (strcmp(op, "<") == 0 || strcmp(op, "<=") == 0) {
            *(s == 0 ? &k->high : &k->low) = v;
            *(s == 0 ? &k->high_inclusive : &k->low_inclusive) = inclusive;
            return true;
        }
        if (strcmp(op, ">") == 0 || strcmp(op, ">=") == 0) {
            *(s == 0 ? &k->low : &k->high) = v;
            *(s == 0 ? &k->low_inclusive : &k->high_inclusive) = inclusive;
            return true;
        }
    }
    return false;
}

/* Merges a condition into the key of a column; false when the key has something as good already. */
static bool key_merge(struct span_key *have, bool *has, const struct span_key *k)
{
    if (!*has) {
        *have = *k;
        *has = true;
        return true;
    }
    if (have->kind == SPAN_RANGE && k->kind == SPAN_RANGE) {
        if (have->low == NULL && k->low != NULL) {
            have->low = k->low;
            have->low_inclusive = k->low_inclusive;
            return true;
        }
        if (have->high == NULL && k->high != NULL) {
            have->high = k->high;
            have->high_inclusive = k->high_inclusive;
            return true;
        }
        return false;
    }
    return false;
}

static bool try_index(struct access *ac, const Sherd__V1__IndexDesc *ix, struct scan *s, bool *used)
{
    const Sherd__V1__TableDesc *t = ac->table->table;
    s->index = ix;
    s->keys = ARENA_ARRAY(ac->p->a, struct span_key, ix->n_columns);
    s->nkeys = 0;
    bool all_eq = true;
    for (size_t c = 0; c < ix->n_columns; c++) {
        uint32_t ord = ix->columns[c]->ordinal;
        int var = ac->table->col_vars[ord];
        struct span_key key = {0}, k;
        bool has = false;
        int best = -1;
        for (int i = 0; i < ac->nconds; i++) { /* an equality before all else */
            if (key_of(ac, ac->conds[i], var, t->columns[ord]->type, &k) && k.kind != SPAN_RANGE &&
                (best < 0 || k.kind == SPAN_EQ)) {
                best = i;
                key = k;
                has = true;
                if (k.kind == SPAN_EQ) {
                    break;
                }
            }
        }
        if (best >= 0) {
            used[best] = true;
        } else {
            for (int i = 0; i < ac->nconds; i++) {
                if (key_of(ac, ac->conds[i], var, t->columns[ord]->type, &k) &&
                    key_merge(&key, &has, &k)) {
                    used[i] = true;
                }
            }
        }
        if (!has) {
            all_eq = false;
            break;
        }
        s->keys[s->nkeys++] = key;
        if (key.kind == SPAN_RANGE) {
            all_eq = false;
            break;
        }
    }
    s->is_point = ix->unique && all_eq && s->nkeys == (int)ix->n_columns;
    int hashed = index_hash_columns(t, ix);
    if (hashed > 0 && (s->nkeys < hashed || s->keys[hashed - 1].kind == SPAN_RANGE)) {
        s->nkeys = 0; /* no bucket without all of the columns that make it */
        for (int i = 0; i < ac->nconds; i++) {
            used[i] = false;
        }
    }
    return true;
}

double scan_rows(const struct scan *s, int nconds)
{
    double rows = 1000;
    for (int i = 0; i < s->nkeys; i++) {
        const struct span_key *k = &s->keys[i];
        double n = k->kind == SPAN_IN ? k->nvalues : k->kind == SPAN_ANY ? 5 : 1;
        rows *= k->kind == SPAN_RANGE ? (k->low != NULL && k->high != NULL ? 0.1 : 0.33) : 0.02 * n;
    }
    if (s->is_point) {
        rows = 1;
        for (int i = 0; i < s->nkeys; i++) {
            rows *= s->keys[i].kind == SPAN_IN    ? s->keys[i].nvalues
                    : s->keys[i].kind == SPAN_ANY ? 5
                                                  : 1;
        }
    }
    for (int i = 0; i < nconds; i++) {
        rows *= 0.5;
    }
    return rows < 1 ? 1 : rows;
}

/* Whether reading the index forwards or backwards gives the order; columns that an equality fixes
 * may be left out. */
static bool gives_order(const struct access *ac, const struct scan *s, int n,
                        const struct rel_sort *sorts, bool *out_reverse)
{
    const Sherd__V1__IndexDesc *ix = s->index;
    if (n == 0) {
        return false;
    }
    for (int i = 0; i < index_hash_columns(ac->table->table, ix); i++) {
        if (i >= s->nkeys || s->keys[i].kind != SPAN_EQ) {
            return false; /* more than one bucket */
        }
    }
    size_t c = 0;
    int direction = 0;
    for (int i = 0; i < n; i++) {
        for (;; c++) {
            if (c >= ix->n_columns) {
                return ix->unique && i > 0; /* a unique key decided the order already */
            }
            const Sherd__V1__IndexColumn *ic = ix->columns[c];
            if (ac->table->col_vars[ic->ordinal] == sorts[i].var) {
                int d = ic->desc == sorts[i].is_desc ? 1 : -1;
                bool nulls_first = d == 1 ? ic->nulls_first : !ic->nulls_first;
                bool may_be_null = !ac->table->table->columns[ic->ordinal]->not_null;
                if ((direction != 0 && d != direction) ||
                    (may_be_null && nulls_first != sorts[i].nulls_first)) {
                    return false;
                }
                direction = d;
                c++;
                break;
            }
            if (c >= (size_t)s->nkeys || s->keys[c].kind != SPAN_EQ) {
                return false;
            }
        }
    }
    *out_reverse = direction < 0;
    return true;
}

struct scan *access_path(struct planner *p, struct rel *table, int nconds, struct expr **conds,
                         const struct rel *outer, int nsorts, const struct rel_sort *sorts,
                         bool *out_sorted, bool *out_reverse, int *out_nused, bool *used)
{
    struct access ac = {p, table, outer, nconds, conds};
    struct scan *best = NULL;
    double best_cost = 0;
    bool *tried = ARENA_ARRAY(p->a, bool, nconds + 1);
    *out_sorted = *out_reverse = false;
    for (size_t i = 0; i < table->table->n_indexes; i++) {
        const Sherd__V1__IndexDesc *ix = table->table->indexes[i];
        if (ix->state != SHERD__V1__INDEX_STATE__INDEX_PUBLIC ||
            (ix->where_sql != NULL && ix->where_sql[0] != '\0')) {
            continue;
        }
        struct scan *s = ARENA_NEW(p->a, struct scan);
        memset(tried, 0, sizeof(*tried) * (size_t)(nconds + 1));
        try_index(&ac, ix, s, tried);
        bool reverse = false, sorted = gives_order(&ac, s, nsorts, sorts, &reverse);
        double rows = scan_rows(s, 0), cost = rows * (ix->primary ? 1 : 3);
        if (nsorts > 0 && !sorted) {
            cost = cost * 1.5 + 10;
        }
        if (!ix->primary && s->nkeys == 0 && !sorted) {
            continue;
        }
        if (best == NULL || cost < best_cost) {
            best = s;
            best_cost = cost;
            *out_sorted = sorted;
            *out_reverse = reverse;
            *out_nused = 0;
            for (int k = 0; k < nconds; k++) {
                used[k] = tried[k];
                *out_nused += tried[k];
            }
        }
    }
    if (best != NULL) {
        best->table = table->table;
        best->alias = table->alias;
        best->rows = scan_rows(best, nconds - *out_nused);
    }
    return best;
}
