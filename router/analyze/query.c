/* Building blocks of the analyzed tree: vars, rels, and walks over expressions. See query.h. */
#include "analyze.h"

#include "base/check.h"

int query_var(struct query *q, const char *name, type_oid type, int32_t typmod)
{
    if (q->nvars == q->vars_cap) {
        int cap = q->vars_cap == 0 ? 32 : q->vars_cap * 2;
        struct var *grown = ARENA_ARRAY(q->arena, struct var, cap);
        if (q->nvars > 0) {
            memcpy(grown, q->vars, sizeof(*grown) * (size_t)q->nvars);
        }
        q->vars = grown;
        q->vars_cap = cap;
    }
    q->vars[q->nvars] = (struct var){.name = name, .type = type, .typmod = typmod, .slot = -1};
    return q->nvars++;
}

struct expr *query_column(struct query *q, int var)
{
    const struct var *v = &q->vars[var];
    return expr_column(q->arena, v->type, v->typmod, var);
}

int query_slot(struct query *q, int var)
{
    if (q->vars[var].slot < 0) {
        q->vars[var].slot = q->nslots++;
    }
    return q->vars[var].slot;
}

void query_depends(struct query *q, const Sherd__V1__TableDesc *t)
{
    for (int i = 0; i < q->ndeps; i++) {
        if (q->deps[i] == t) {
            return;
        }
    }
    if ((q->ndeps & (q->ndeps - 1)) == 0) {
        const Sherd__V1__TableDesc **grown =
            ARENA_ARRAY(q->arena, const Sherd__V1__TableDesc *, q->ndeps == 0 ? 4 : q->ndeps * 2);
        if (q->ndeps > 0) {
            memcpy(grown, q->deps, sizeof(*grown) * (size_t)q->ndeps);
        }
        q->deps = grown;
    }
    q->deps[q->ndeps++] = t;
}

struct rel *rel_new(struct query *q, enum rel_kind kind, struct rel *left)
{
    struct rel *r = ARENA_NEW(q->arena, struct rel);
    r->kind = kind;
    r->left = left;
    if (left != NULL) {
        r->nvars = left->nvars;
        r->vars = left->vars;
    }
    return r;
}

struct rel *rel_join(struct query *q, enum join_kind kind, struct rel *left, struct rel *right)
{
    struct rel *r = rel_new(q, REL_JOIN, left);
    r->right = right;
    r->join = kind;
    if (kind != JOIN_SEMI && kind != JOIN_ANTI) {
        r->nvars = left->nvars + right->nvars;
        r->vars = ARENA_ARRAY(q->arena, int, r->nvars + 1);
        if (left->nvars > 0) {
            memcpy(r->vars, left->vars, sizeof(int) * (size_t)left->nvars);
        }
        if (right->nvars > 0) {
            memcpy(r->vars + left->nvars, right->vars, sizeof(int) * (size_t)right->nvars);
        }
    }
    return r;
}

void rel_add_cond(struct query *q, struct rel *r, struct expr *cond)
{
    if (cond->kind == EXPR_AND) {
        for (int i = 0; i < cond->nargs; i++) {
            rel_add_cond(q, r, cond->args[i]);
        }
        return;
    }
    if ((r->nconds & (r->nconds - 1)) == 0) {
        struct expr **grown =
            ARENA_ARRAY(q->arena, struct expr *, r->nconds == 0 ? 4 : r->nconds * 2 + 4);
        if (r->nconds > 0) {
            memcpy(grown, r->conds, sizeof(*grown) * (size_t)r->nconds);
        }
        r->conds = grown;
    }
    r->conds[r->nconds++] = cond;
}

struct rel *rel_filter(struct query *q, struct rel *in, struct expr *cond)
{
    if (cond == NULL) {
        return in;
    }
    struct rel *r = rel_new(q, REL_FILTER, in);
    rel_add_cond(q, r, cond);
    return r;
}

bool rel_has_var(const struct rel *r, int var)
{
    for (int i = 0; i < r->nvars; i++) {
        if (r->vars[i] == var) {
            return true;
        }
    }
    return false;
}

struct expr *expr_map(struct arena *a, struct expr *e, expr_map_fn fn, void *ctx)
{
    struct expr *r = fn(ctx, e);
    if (r != NULL) {
        return r;
    }
    struct expr *copy = NULL;
    for (int i = 0; i < e->nargs; i++) {
        struct expr *arg = expr_map(a, e->args[i], fn, ctx);
        if (arg == e->args[i]) {
            continue;
        }
        if (copy == NULL) {
            copy = ARENA_NEW(a, struct expr);
            *copy = *e;
            copy->args = ARENA_ARRAY(a, struct expr *, e->nargs);
            memcpy(copy->args, e->args, sizeof(*e->args) * (size_t)e->nargs);
        }
        copy->args[i] = arg;
    }
    return copy != NULL ? copy : e;
}

void expr_vars(const struct expr *e, void (*fn)(void *ctx, int var), void *ctx)
{
    if (e->kind == EXPR_COLUMN) {
        fn(ctx, e->index);
    }
    for (int i = 0; i < e->nargs; i++) {
        expr_vars(e->args[i], fn, ctx);
    }
}

bool expr_has_kind(const struct expr *e, enum expr_kind kind)
{
    if (e->kind == kind) {
        return true;
    }
    for (int i = 0; i < e->nargs; i++) {
        if (expr_has_kind(e->args[i], kind)) {
            return true;
        }
    }
    return false;
}

struct expr *expr_bool(struct arena *a, enum expr_kind kind, int nargs, struct expr **args)
{
    struct expr *e = ARENA_NEW(a, struct expr);
    e->kind = kind;
    e->type = TYPE_BOOL;
    e->typmod = -1;
    e->nargs = nargs;
    e->args = ARENA_ARRAY(a, struct expr *, nargs);
    memcpy(e->args, args, sizeof(*args) * (size_t)nargs);
    e->location = -1;
    return e;
}

struct expr *expr_and(struct arena *a, struct expr *x, struct expr *y)
{
    if (x == NULL || y == NULL) {
        return x == NULL ? y : x;
    }
    return expr_bool(a, EXPR_AND, 2, (struct expr *[]){x, y});
}

struct expr *expr_null(struct arena *a, type_oid type, int32_t typmod)
{
    struct expr *e = expr_const(a, type, DATUM_NULL);
    e->typmod = typmod;
    return e;
}

void analyze_put_name(struct buf *b, const char *name)
{
    buf_put_u8(b, '"');
    for (; *name != '\0'; name++) {
        if (*name == '"') {
            buf_put_u8(b, '"');
        }
        buf_put_u8(b, (uint8_t)*name);
    }
    buf_put_u8(b, '"');
}
