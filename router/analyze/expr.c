/*
 * Expressions: each kind of node to a typed struct expr.
 *
 * Untyped literals and parameters carry TYPE_UNKNOWN until a function, an operator or a column
 * decides; a parameter's type is decided by its first such use and holds for all its uses, as in
 * PostgreSQL. Calls of immutable functions on constants are computed here; one that fails is left
 * for execution, where it fails only if it is reached.
 */
#include "analyze.h"

#include "ddl/system.h"
#include "sql/array.h"

#include <errno.h>
#include <stdlib.h>

/* ---- types ---- */

static void param_resolve(struct analyzer *z, int index, type_oid type)
{
    z->q->param_types[index] = type;
    for (struct param_node *n = z->param_nodes; n != NULL; n = n->next) {
        if (n->e->index == index && n->e->type == TYPE_UNKNOWN) {
            n->e->type = type;
        }
    }
}

/* 'schema.name' or '"Name"' in parts; names without quotes are folded. */
static int name_parts(struct slice text, char parts[2][64])
{
    int n = 0;
    size_t len = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = (char)text.data[i];
        bool is_doubled = quoted && c == '"' && i + 1 < text.len && text.data[i + 1] == '"';
        i += is_doubled ? 1 : 0;
        if (c == '"' && !is_doubled) {
            quoted = !quoted;
        } else if (c == '.' && !quoted && n == 0) {
            parts[n++][len] = '\0';
            len = 0;
        } else if (len < 63) {
            parts[n][len++] = quoted || c < 'A' || c > 'Z' ? c : (char)(c + 32);
        }
    }
    parts[n][len] = '\0';
    return n + 1;
}

static uint32_t relation_oid(struct analyzer *z, uint32_t schema, const char *name)
{
    const Sherd__V1__TableDesc *t = catalog_table(z->env->catalog, schema, slice_str(name));
    if (t != NULL) {
        return t->id;
    }
    const Sherd__V1__SequenceDesc *s = catalog_sequence(z->env->catalog, schema, slice_str(name));
    if (s != NULL) {
        return (uint32_t)s->id;
    }
    const Sherd__V1__IndexDesc *ix = NULL;
    return catalog_index(z->env->catalog, schema, slice_str(name), &ix) != NULL && ix != NULL
               ? ix->oid
               : 0;
}

/* 'name'::regclass of a literal is looked up here, as PostgreSQL does when it reads the literal. */
static struct status *regclass_literal(struct analyzer *z, const struct expr *e, struct expr **out)
{
    struct slice text = datum_slice(&e->value);
    bool digits = text.len > 0 && text.len < 11;
    uint64_t oid = 0;
    for (size_t i = 0; i < text.len; i++) {
        digits &= text.data[i] >= '0' && text.data[i] <= '9';
        oid = digits ? oid * 10 + (text.data[i] - '0') : 0;
    }
    if (!digits) {
        char parts[2][64];
        int n = name_parts(text, parts);
        looks_up(z);
        const struct system_table *sys =
            n == 1 ? system_table_find(slice_str("pg_catalog"), slice_str(parts[0]))
                   : system_table_find(slice_str(parts[0]), slice_str(parts[1]));
        oid = sys != NULL ? sys->oid : 0;
        const Sherd__V1__SchemaDesc *sd =
            n == 2 ? catalog_schema(z->env->catalog, z->env->database_id, slice_str(parts[0]))
                   : NULL;
        if (oid == 0 && sd != NULL) {
            oid = relation_oid(z, sd->id, parts[1]);
        }
        for (int i = 0; n == 1 && oid == 0 && i < z->env->search_path_count; i++) {
            oid = relation_oid(z, z->env->search_path[i], parts[0]);
        }
        if (oid == 0) {
            return at(z,
                      status_sql(INVALID, "42P01", "relation \"%.*s\" does not exist",
                                 (int)text.len, (const char *)text.data),
                      e->location);
        }
    }
    struct query *q = z->q;
    uint32_t *oids = ARENA_ARRAY(z->a, uint32_t, q->noids + 1);
    if (q->noids > 0) {
        memcpy(oids, q->oids, sizeof(*oids) * (size_t)q->noids);
    }
    q->oids = oids;
    q->oids[q->noids++] = (uint32_t)oid;
    *out = expr_const(z->a, TYPE_REGCLASS, datum_int((int64_t)oid));
    (*out)->typmod = -1;
    (*out)->location = e->location;
    return NULL;
}

struct status *coerce(struct analyzer *z, struct expr *e, type_oid to, int32_t typmod,
                      enum cast_context cc, struct expr **out)
{
    if (e->kind == EXPR_PARAM && e->type == TYPE_UNKNOWN && to != TYPE_UNKNOWN) {
        param_resolve(z, e->index, to);
    }
    if (e->type == to && (typmod < 0 || typmod == e->typmod)) {
        *out = e;
        return NULL;
    }
    if (to == TYPE_REGCLASS && e->kind == EXPR_CONST && e->type == TYPE_UNKNOWN &&
        !e->value.is_null) {
        return regclass_literal(z, e, out);
    }
    int location = e->location;
    TRY(at(z, expr_cast(z->a, e, to, typmod, cc, out), location));
    if (*out != e) {
        (*out)->location = location;
    }
    *out = fold(z, *out);
    return NULL;
}

struct status *coerce_unknown(struct analyzer *z, struct expr **e)
{
    if ((*e)->type == TYPE_UNKNOWN) {
        return coerce(z, *e, TYPE_TEXT, -1, CAST_IMPLICIT, e);
    }
    return NULL;
}

struct status *coerce_column(struct analyzer *z, struct expr *e, const Sherd__V1__ColumnDesc *col,
                             struct expr **out)
{
    type_oid from = e->type;
    if (from != TYPE_UNKNOWN && from != col->type &&
        !cast_exists(from, col->type, CAST_ASSIGNMENT)) {
        return at(z,
                  status_hint(status_sql(INVALID, "42804",
                                         "column \"%s\" is of type %s but expression is of type %s",
                                         col->name, type_format(z->a, col->type, -1),
                                         type_format(z->a, from, -1)),
                              "You will need to rewrite or cast the expression."),
                  e->location);
    }
    return coerce(z, e, col->type, col->typmod, CAST_ASSIGNMENT, out);
}

struct status *coerce_common(struct analyzer *z, int n, struct expr **es, const char *what,
                             type_oid *out_type)
{
    type_oid *types = ARENA_ARRAY(z->a, type_oid, n);
    for (int i = 0; i < n; i++) {
        types[i] = es[i]->type;
    }
    type_oid common;
    struct status *st = type_common(types, n, what, &common);
    if (st != NULL) {
        for (int i = 1; i < n; i++) { /* the first that differs in kind is the one to point at */
            if (types[i] != types[0] && types[i] != TYPE_UNKNOWN) {
                return at(z, st, es[i]->location);
            }
        }
        return st;
    }
    for (int i = 0; i < n; i++) {
        TRY(coerce(z, es[i], common, -1, CAST_IMPLICIT, &es[i]));
    }
    *out_type = common;
    return NULL;
}

struct status *coerce_bool(struct analyzer *z, struct expr *e, const char *place, struct expr **out)
{
    if (e->type != TYPE_BOOL && e->type != TYPE_UNKNOWN) {
        return at(z,
                  status_sql(INVALID, "42804", "argument of %s must be type boolean, not type %s",
                             place, type_format(z->a, e->type, -1)),
                  e->location);
    }
    return coerce(z, e, TYPE_BOOL, -1, CAST_IMPLICIT, out);
}

struct expr *fold(struct analyzer *z, struct expr *e)
{
    if (e->kind != EXPR_CALL || e->func->volatility != FUNC_IMMUTABLE || e->func->needs_session ||
        e->func->class != FUNC_SCALAR) {
        return e;
    }
    for (int i = 0; i < e->nargs; i++) {
        if (e->args[i]->kind != EXPR_CONST || e->args[i]->type == TYPE_UNKNOWN) {
            return e;
        }
    }
    struct eval_ctx ctx = {.arena = z->a};
    struct datum d;
    if (status_consume(expr_eval_const(&ctx, e, &d))) {
        return e;
    }
    struct expr *c = expr_const(z->a, e->type, d);
    c->typmod = e->typmod;
    c->location = e->location;
    return c;
}

/* ---- calls ---- */

struct status *make_op(struct analyzer *z, const char *op, struct expr *left, struct expr *right,
                       int location, struct expr **out)
{
    const struct func_def *f;
    type_oid lt = 0, rt = 0, result = 0;
    if (strcmp(op, "!=") == 0) {
        op = "<>";
    }
    struct status *st = func_resolve_op(slice_str(op), left == NULL ? 0 : left->type, right->type,
                                        &f, &lt, &rt, &result);
    TRY(at(z, st, location));
    struct expr *args[2];
    int n = 0;
    if (left != NULL) {
        TRY(coerce(z, left, lt, -1, CAST_IMPLICIT, &args[n++]));
    }
    TRY(coerce(z, right, rt, -1, CAST_IMPLICIT, &args[n++]));
    struct expr **copy = ARENA_ARRAY(z->a, struct expr *, 2);
    memcpy(copy, args, sizeof(args[0]) * (size_t)n);
    struct expr *e = expr_call(z->a, f, result, n, copy);
    e->typmod = -1;
    e->location = location;
    *out = fold(z, e);
    return NULL;
}

struct status *make_call(struct analyzer *z, const char *name, int nargs, struct expr **args,
                         int location, struct expr **out)
{
    type_oid types[100], want[100], result = 0;
    if (nargs > 100) {
        return at(z,
                  status_sql(INVALID, "54023", "cannot pass more than 100 arguments to a function"),
                  location);
    }
    for (int i = 0; i < nargs; i++) {
        types[i] = args[i]->type;
    }
    const struct func_def *f;
    TRY(at(z, func_resolve(slice_str(name), types, nargs, false, &f, want, &result), location));
    struct expr **copy = ARENA_ARRAY(z->a, struct expr *, nargs + 1);
    for (int i = 0; i < nargs; i++) {
        TRY(coerce(z, args[i], want[i], -1, CAST_IMPLICIT, &copy[i]));
    }
    struct expr *e = expr_call(z->a, f, result, nargs, copy);
    e->typmod = -1;
    e->location = location;
    *out = fold(z, e);
    return NULL;
}

struct status *make_row_op(struct analyzer *z, const char *op, int n, struct expr **left,
                           struct expr **right, int location, struct expr **out)
{
    bool is_eq = strcmp(op, "=") == 0, is_ne = strcmp(op, "<>") == 0 || strcmp(op, "!=") == 0;
    if (is_eq || is_ne) {
        struct expr **terms = ARENA_ARRAY(z->a, struct expr *, n);
        for (int i = 0; i < n; i++) {
            TRY(make_op(z, op, left[i], right[i], location, &terms[i]));
        }
        *out = n == 1 ? terms[0] : expr_bool(z->a, is_eq ? EXPR_AND : EXPR_OR, n, terms);
        return NULL;
    }
    if (op[0] != '<' && op[0] != '>') {
        return at(z,
                  status_sql(UNSUPPORTED, "0A000",
                             "could not determine interpretation of row comparison operator %s",
                             op),
                  location);
    }
    /* (a, b) < (c, d): a < c OR (a = c AND b < d); the last pair decides between < and <=. */
    char strict[2] = {op[0], '\0'};
    struct expr *e;
    TRY(make_op(z, op, left[n - 1], right[n - 1], location, &e));
    for (int i = n - 2; i >= 0; i--) {
        struct expr *less, *equal;
        TRY(make_op(z, strict, left[i], right[i], location, &less));
        TRY(make_op(z, "=", left[i], right[i], location, &equal));
        e = expr_bool(
            z->a, EXPR_OR, 2,
            (struct expr *[]){less, expr_bool(z->a, EXPR_AND, 2, (struct expr *[]){equal, e})});
    }
    *out = e;
    return NULL;
}

/* ---- kinds of nodes ---- */

static struct status *node_const(struct analyzer *z, const PgQuery__AConst *c, struct expr **out)
{
    struct expr *e = NULL;
    if (c->isnull) {
        e = expr_const(z->a, TYPE_UNKNOWN, DATUM_NULL);
    } else {
        switch ((int)c->val_case) {
        case PG_QUERY__A__CONST__VAL_IVAL:
            e = expr_const(z->a, TYPE_INT4, datum_int(c->ival->ival));
            break;
        case PG_QUERY__A__CONST__VAL_FVAL: {
            const char *s = c->fval->fval;
            char *end;
            errno = 0;
            long long v = strtoll(s, &end, 10);
            if (*end == '\0' && errno == 0 && end != s) {
                e = expr_const(z->a, TYPE_INT8, datum_int(v));
                break;
            }
            struct datum d;
            TRY(at(z, type_input(z->a, TYPE_NUMERIC, -1, slice_str(s), &d), c->location));
            e = expr_const(z->a, TYPE_NUMERIC, d);
            break;
        }
        case PG_QUERY__A__CONST__VAL_BOOLVAL:
            e = expr_const(z->a, TYPE_BOOL, datum_bool(c->boolval->boolval));
            break;
        case PG_QUERY__A__CONST__VAL_SVAL:
            e = expr_const(z->a, TYPE_UNKNOWN,
                           datum_bytes(arena_copy(z->a, slice_str(c->sval->sval))));
            break;
        case PG_QUERY__A__CONST__VAL_BSVAL:
            return unsupported(z, c->location, "bit string constants");
        default:
            e = expr_const(z->a, TYPE_INT4,
                           datum_int(0)); /* protobuf leaves out an all-zero Integer */
            break;
        }
    }
    e->typmod = -1;
    e->location = c->location;
    *out = e;
    return NULL;
}

static struct status *node_param(struct analyzer *z, const PgQuery__ParamRef *p, struct expr **out)
{
    struct query *q = z->q;
    if (p->number < 1 || p->number > 65535 || (z->params_fixed && p->number > q->nparams)) {
        return at(z, status_sql(INVALID, "42P02", "there is no parameter $%d", p->number),
                  p->location);
    }
    if (p->number > q->nparams) {
        type_oid *grown = ARENA_ARRAY(z->a, type_oid, p->number);
        if (q->nparams > 0) {
            memcpy(grown, q->param_types, sizeof(*grown) * (size_t)q->nparams);
        }
        q->param_types = grown;
        q->nparams = p->number;
    }
    struct expr *e = ARENA_NEW(z->a, struct expr);
    e->kind = EXPR_PARAM;
    e->index = p->number - 1;
    type_oid known = q->param_types[e->index];
    e->type = known == 0 ? TYPE_UNKNOWN : known;
    e->typmod = -1;
    e->location = p->location;
    if (e->type == TYPE_UNKNOWN) {
        struct param_node *n = ARENA_NEW(z->a, struct param_node);
        n->e = e;
        n->next = z->param_nodes;
        z->param_nodes = n;
    }
    *out = e;
    return NULL;
}

static struct status *node_list(struct analyzer *z, struct scope *sc, PgQuery__Node *const *nodes,
                                size_t n, struct expr ***out)
{
    struct expr **es = ARENA_ARRAY(z->a, struct expr *, n + 1);
    for (size_t i = 0; i < n; i++) {
        TRY(analyze_expr(z, sc, nodes[i], &es[i]));
    }
    *out = es;
    return NULL;
}

static struct status *node_bool(struct analyzer *z, struct scope *sc, const PgQuery__BoolExpr *b,
                                struct expr **out)
{
    enum expr_kind kind = EXPR_AND;
    const char *place = "AND";
    if (b->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR) {
        kind = EXPR_OR;
        place = "OR";
    } else if (b->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR) {
        kind = EXPR_NOT;
        place = "NOT";
    }
    struct expr **args = ARENA_ARRAY(z->a, struct expr *, b->n_args);
    for (size_t i = 0; i < b->n_args; i++) {
        TRY(analyze_expr(z, sc, b->args[i], &args[i]));
        TRY(coerce_bool(z, args[i], place, &args[i]));
    }
    struct expr *e = expr_bool(z->a, kind, (int)b->n_args, args);
    e->location = b->location;
    if (kind == EXPR_NOT && args[0]->kind == EXPR_IN) { /* NOT (x IN ..) = x NOT IN .. */
        struct expr *in = ARENA_NEW(z->a, struct expr);
        *in = *args[0];
        in->negate = !in->negate;
        e = in;
    }
    *out = e;
    return NULL;
}

static const PgQuery__RowExpr *as_row(const PgQuery__Node *n)
{
    return n != NULL && n->node_case == PG_QUERY__NODE__NODE_ROW_EXPR ? n->row_expr : NULL;
}

static struct status *rows_unequal(struct analyzer *z, int location)
{
    return at(z, status_sql(INVALID, "42601", "unequal number of entries in row expressions"),
              location);
}

static struct status *node_row_op(struct analyzer *z, struct scope *sc, const char *op,
                                  const PgQuery__RowExpr *l, const PgQuery__RowExpr *r,
                                  int location, struct expr **out)
{
    if (l->n_args != r->n_args) {
        return rows_unequal(z, location);
    }
    if (l->n_args == 0) {
        return at(z, status_sql(UNSUPPORTED, "0A000", "cannot compare rows of zero length"),
                  location);
    }
    struct expr **le, **re;
    TRY(node_list(z, sc, l->args, l->n_args, &le));
    TRY(node_list(z, sc, r->args, r->n_args, &re));
    return make_row_op(z, op, (int)l->n_args, le, re, location, out);
}

static struct status *node_in(struct analyzer *z, struct scope *sc, const PgQuery__AExpr *a,
                              struct expr **out)
{
    const PgQuery__List *list = a->rexpr->list;
    bool negate = strcmp(name_last(a->name, a->n_name), "<>") == 0;
    const PgQuery__RowExpr *row = as_row(a->lexpr);
    size_t n = list->n_items;
    if (row != NULL) {
        struct expr **terms = ARENA_ARRAY(z->a, struct expr *, n);
        for (size_t i = 0; i < n; i++) {
            const PgQuery__RowExpr *r = as_row(list->items[i]);
            if (r == NULL) {
                return rows_unequal(z, a->location);
            }
            TRY(node_row_op(z, sc, negate ? "<>" : "=", row, r, a->location, &terms[i]));
        }
        *out = n == 1 ? terms[0] : expr_bool(z->a, negate ? EXPR_AND : EXPR_OR, (int)n, terms);
        return NULL;
    }
    struct expr **args = ARENA_ARRAY(z->a, struct expr *, n + 1);
    TRY(analyze_expr(z, sc, a->lexpr, &args[0]));
    for (size_t i = 0; i < n; i++) {
        TRY(analyze_expr(z, sc, list->items[i], &args[i + 1]));
    }
    if (n == 1) {
        return make_op(z, negate ? "<>" : "=", args[0], args[1], a->location, out);
    }
    type_oid *types = ARENA_ARRAY(z->a, type_oid, n + 1);
    for (size_t i = 0; i <= n; i++) {
        types[i] = args[i]->type;
    }
    type_oid common, lt, rt, result;
    if (status_consume(type_common(types, (int)n + 1, "IN", &common))) {
        struct expr **terms = ARENA_ARRAY(z->a, struct expr *, n);
        for (size_t i = 0; i < n; i++) {
            TRY(make_op(z, negate ? "<>" : "=", args[0], args[i + 1], a->location, &terms[i]));
        }
        *out = expr_bool(z->a, negate ? EXPR_AND : EXPR_OR, (int)n, terms);
        return NULL;
    }
    const struct func_def *f;
    TRY(at(z, func_resolve_op(slice_str("="), common, common, &f, &lt, &rt, &result), a->location));
    for (size_t i = 0; i <= n; i++) {
        TRY(coerce(z, args[i], lt, -1, CAST_IMPLICIT, &args[i]));
    }
    struct expr *e = expr_bool(z->a, EXPR_IN, (int)n + 1, args);
    e->func = f;
    e->negate = negate;
    e->location = a->location;
    *out = e;
    return NULL;
}

static struct status *node_any(struct analyzer *z, struct scope *sc, const PgQuery__AExpr *a,
                               bool all, struct expr **out)
{
    struct expr *left, *right;
    TRY(analyze_expr(z, sc, a->lexpr, &left));
    TRY(analyze_expr(z, sc, a->rexpr, &right));
    type_oid element = TYPE_UNKNOWN;
    if (right->type != TYPE_UNKNOWN) {
        const struct type_info *ti = type_find(right->type);
        element = ti == NULL ? 0 : ti->element;
        if (element == 0) {
            return at(
                z, status_sql(INVALID, "42809", "op ANY/ALL (array) requires array on right side"),
                a->location);
        }
    } else if (left->type != TYPE_UNKNOWN) {
        element = left->type == TYPE_VARCHAR ? TYPE_TEXT : left->type;
    }
    const char *op = name_last(a->name, a->n_name);
    const struct func_def *f;
    type_oid lt, rt, result;
    TRY(at(z,
           func_resolve_op(slice_str(strcmp(op, "!=") == 0 ? "<>" : op), left->type, element, &f,
                           &lt, &rt, &result),
           a->location));
    if (result != TYPE_BOOL) {
        return at(
            z,
            status_sql(INVALID, "42809", "op ANY/ALL (array) requires operator to yield boolean"),
            a->location);
    }
    TRY(coerce(z, left, lt, -1, CAST_IMPLICIT, &left));
    const struct type_info *et = type_find(rt);
    if (et == NULL || et->array_oid == 0) {
        return unsupported(z, a->location, "arrays of type %s", type_format(z->a, rt, -1));
    }
    TRY(coerce(z, right, et->array_oid, -1, CAST_IMPLICIT, &right));
    struct expr *e = expr_bool(z->a, EXPR_ANY_ARRAY, 2, (struct expr *[]){left, right});
    e->func = f;
    e->negate = all;
    e->location = a->location;
    *out = e;
    return NULL;
}

static struct status *node_distinct(struct analyzer *z, struct scope *sc, const PgQuery__AExpr *a,
                                    bool negate, struct expr **out)
{
    const PgQuery__RowExpr *lr = as_row(a->lexpr), *rr = as_row(a->rexpr);
    size_t n = lr != NULL && rr != NULL ? lr->n_args : 1;
    if (lr != NULL && rr != NULL && lr->n_args != rr->n_args) {
        return rows_unequal(z, a->location);
    }
    struct expr **terms = ARENA_ARRAY(z->a, struct expr *, n);
    for (size_t i = 0; i < n; i++) {
        struct expr *pair[2], *check;
        TRY(analyze_expr(z, sc, lr != NULL && rr != NULL ? lr->args[i] : a->lexpr, &pair[0]));
        TRY(analyze_expr(z, sc, lr != NULL && rr != NULL ? rr->args[i] : a->rexpr, &pair[1]));
        TRY(make_op(z, "=", pair[0], pair[1], a->location,
                    &check)); /* the operator must exist; PostgreSQL's errors */
        type_oid common;
        TRY(coerce_common(z, 2, pair, "IS DISTINCT FROM", &common));
        TRY(coerce_unknown(z, &pair[0]));
        TRY(coerce_unknown(z, &pair[1]));
        terms[i] = expr_bool(z->a, EXPR_DISTINCT, 2, pair);
        terms[i]->negate = negate;
        terms[i]->location = a->location;
    }
    *out = n == 1 ? terms[0] : expr_bool(z->a, negate ? EXPR_AND : EXPR_OR, (int)n, terms);
    return NULL;
}

static struct status *node_between(struct analyzer *z, struct scope *sc, const PgQuery__AExpr *a,
                                   struct expr **out)
{
    bool sym = a->kind == PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM ||
               a->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
    bool negate = a->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN ||
                  a->kind == PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM;
    const PgQuery__List *l = a->rexpr->list;
    struct expr *x, *lo, *hi, *t[4];
    TRY(analyze_expr(z, sc, a->lexpr, &x));
    TRY(analyze_expr(z, sc, l->items[0], &lo));
    TRY(analyze_expr(z, sc, l->items[1], &hi));
    const char *low_op = negate ? "<" : ">=", *high_op = negate ? ">" : "<=";
    enum expr_kind inner = negate ? EXPR_OR : EXPR_AND, outer = negate ? EXPR_AND : EXPR_OR;
    TRY(make_op(z, low_op, x, lo, a->location, &t[0]));
    TRY(make_op(z, high_op, x, hi, a->location, &t[1]));
    *out = expr_bool(z->a, inner, 2, t);
    if (sym) {
        TRY(make_op(z, low_op, x, hi, a->location, &t[2]));
        TRY(make_op(z, high_op, x, lo, a->location, &t[3]));
        struct expr *swapped = expr_bool(z->a, inner, 2, t + 2);
        *out = expr_bool(z->a, outer, 2, (struct expr *[]){*out, swapped});
    }
    return NULL;
}

static struct status *node_nullif(struct analyzer *z, struct scope *sc, const PgQuery__AExpr *a,
                                  struct expr **out)
{
    struct expr *l, *r, *test;
    TRY(analyze_expr(z, sc, a->lexpr, &l));
    TRY(analyze_expr(z, sc, a->rexpr, &r));
    TRY(make_op(z, "=", l, r, a->location, &test));
    TRY(coerce_unknown(z, &l));
    struct expr *e = expr_bool(z->a, EXPR_CASE, 3,
                               (struct expr *[]){test, expr_null(z->a, l->type, l->typmod), l});
    e->type = l->type;
    e->typmod = l->typmod;
    e->has_else = true;
    e->location = a->location;
    *out = e;
    return NULL;
}

static struct status *node_a_expr(struct analyzer *z, struct scope *sc, const PgQuery__AExpr *a,
                                  struct expr **out)
{
    const char *op = name_last(a->name, a->n_name);
    switch ((int)a->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY:
        return node_any(z, sc, a, false, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL:
        return node_any(z, sc, a, true, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT:
        return node_distinct(z, sc, a, false, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT:
        return node_distinct(z, sc, a, true, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        return node_nullif(z, sc, a, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN:
        return node_in(z, sc, a, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
        return node_between(z, sc, a, out);
    default:
        break;
    }
    const PgQuery__RowExpr *lr = as_row(a->lexpr), *rr = as_row(a->rexpr);
    if (lr != NULL && rr != NULL) {
        return node_row_op(z, sc, op, lr, rr, a->location, out);
    }
    if (lr != NULL && a->rexpr != NULL && a->rexpr->node_case == PG_QUERY__NODE__NODE_SUB_LINK &&
        a->rexpr->sub_link->sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK) {
        /* (a, b) = (SELECT x, y ...) has at most one row: ANY answers the same, but for NULL
         * instead of false. */
        PgQuery__SubLink any = *a->rexpr->sub_link;
        any.sub_link_type = PG_QUERY__SUB_LINK_TYPE__ROWCOMPARE_SUBLINK;
        any.testexpr = a->lexpr;
        any.n_oper_name = a->n_name;
        any.oper_name = a->name;
        return analyze_sublink(z, sc, &any, out);
    }
    struct expr *l = NULL, *r;
    if (a->lexpr != NULL) {
        TRY(analyze_expr(z, sc, a->lexpr, &l));
    }
    if (a->rexpr == NULL) {
        return unsupported(z, a->location, "postfix operators");
    }
    TRY(analyze_expr(z, sc, a->rexpr, &r));
    return make_op(z, op, l, r, a->location, out);
}

static struct status *node_null_test(struct analyzer *z, struct scope *sc,
                                     const PgQuery__NullTest *t, struct expr **out)
{
    bool negate = t->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NOT_NULL;
    const PgQuery__RowExpr *row = as_row(t->arg);
    size_t n = row != NULL ? row->n_args : 1;
    struct expr **terms = ARENA_ARRAY(z->a, struct expr *, n + 1);
    for (size_t i = 0; i < n; i++) {
        struct expr *arg;
        TRY(analyze_expr(z, sc, row != NULL ? row->args[i] : t->arg, &arg));
        TRY(coerce_unknown(z, &arg));
        terms[i] = expr_bool(z->a, EXPR_IS_NULL, 1, &arg);
        terms[i]->negate = negate;
        terms[i]->location = t->location;
    }
    *out = n == 1 ? terms[0] : expr_bool(z->a, EXPR_AND, (int)n, terms);
    return NULL;
}

static struct status *node_bool_test(struct analyzer *z, struct scope *sc,
                                     const PgQuery__BooleanTest *t, struct expr **out)
{
    static const char *const places[] = {
        "", "IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE", "IS UNKNOWN", "IS NOT UNKNOWN"};
    int kind = (int)t->booltesttype;
    if (kind < 1 || kind > 6) {
        return unsupported(z, t->location, "boolean test");
    }
    struct expr *arg;
    TRY(analyze_expr(z, sc, t->arg, &arg));
    TRY(coerce_bool(z, arg, places[kind], &arg));
    struct expr *e = expr_bool(z->a, EXPR_BOOL_TEST, 1, &arg);
    e->index = (kind - 1) / 2;
    e->negate = (kind - 1) % 2 == 1;
    e->location = t->location;
    *out = e;
    return NULL;
}

static struct status *node_case(struct analyzer *z, struct scope *sc, const PgQuery__CaseExpr *c,
                                struct expr **out)
{
    int n = (int)c->n_args;
    struct expr **args = ARENA_ARRAY(z->a, struct expr *, 2 * n + 1);
    struct expr **results = ARENA_ARRAY(z->a, struct expr *, n + 1);
    struct expr *subject = NULL;
    if (c->arg != NULL) {
        TRY(analyze_expr(z, sc, c->arg, &subject));
        TRY(coerce_unknown(z, &subject));
    }
    for (int i = 0; i < n; i++) {
        const PgQuery__CaseWhen *w = c->args[i]->case_when;
        struct expr *test;
        TRY(analyze_expr(z, sc, w->expr, &test));
        if (subject != NULL) {
            TRY(make_op(z, "=", subject, test, w->location, &test));
        }
        TRY(coerce_bool(z, test, "CASE/WHEN", &args[2 * i]));
        TRY(analyze_expr(z, sc, w->result, &results[i]));
    }
    if (c->defresult != NULL) {
        TRY(analyze_expr(z, sc, c->defresult, &results[n]));
    } else {
        results[n] = expr_const(z->a, TYPE_UNKNOWN, DATUM_NULL);
        results[n]->typmod = -1;
        results[n]->location = -1;
    }
    type_oid common;
    TRY(coerce_common(z, n + 1, results, "CASE", &common));
    for (int i = 0; i < n; i++) {
        args[2 * i + 1] = results[i];
    }
    args[2 * n] = results[n];
    struct expr *e = expr_bool(z->a, EXPR_CASE, 2 * n + 1, args);
    e->type = common;
    e->has_else = true;
    e->location = c->location;
    for (int i = 0; i <= n; i++) {
        e->typmod = i == 0 || e->typmod == results[i]->typmod ? results[i]->typmod : -1;
    }
    *out = e;
    return NULL;
}

static struct status *node_variadic(struct analyzer *z, struct scope *sc, enum expr_kind kind,
                                    const char *what, PgQuery__Node *const *nodes, size_t n,
                                    int location, struct expr **out)
{
    struct expr **args;
    TRY(node_list(z, sc, nodes, n, &args));
    type_oid common;
    TRY(coerce_common(z, (int)n, args, what, &common));
    struct expr *e = expr_bool(z->a, kind, (int)n, args);
    e->type = common;
    e->typmod = args[0]->typmod;
    for (size_t i = 1; i < n; i++) {
        e->typmod = e->typmod == args[i]->typmod ? e->typmod : -1;
    }
    e->location = location;
    *out = e;
    return NULL;
}

static struct status *array_of_exprs(struct analyzer *z, struct scope *sc,
                                     const PgQuery__AArrayExpr *a, type_oid element, int32_t typmod,
                                     struct expr **out)
{
    int n = (int)a->n_elements;
    struct expr **args = ARENA_ARRAY(z->a, struct expr *, n + 1);
    for (int i = 0; i < n; i++) {
        if (a->elements[i]->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
            return unsupported(z, a->location, "arrays of more than one dimension");
        }
        TRY(analyze_expr(z, sc, a->elements[i], &args[i]));
    }
    if (element == 0) {
        if (n == 0) {
            return at(
                z,
                status_hint(status_sql(INVALID, "42P18", "cannot determine type of empty array"),
                            "Explicitly cast to the desired type, for example ARRAY[]::integer[]."),
                a->location);
        }
        TRY(coerce_common(z, n, args, "ARRAY", &element));
    } else {
        for (int i = 0; i < n; i++) {
            TRY(coerce(z, args[i], element, typmod, CAST_EXPLICIT, &args[i]));
        }
    }
    const struct type_info *ti = type_find(element);
    if (ti == NULL || ti->array_oid == 0) {
        return at(z,
                  status_sql(INVALID, "42704", "could not find array type for data type %s",
                             type_format(z->a, element, -1)),
                  a->location);
    }
    struct expr *e = expr_bool(z->a, EXPR_ARRAY, n, args);
    e->type = ti->array_oid;
    e->location = a->location;
    *out = e;
    return NULL;
}

static struct status *node_cast(struct analyzer *z, struct scope *sc, const PgQuery__TypeCast *c,
                                struct expr **out)
{
    type_oid type;
    int32_t typmod;
    TRY(typename_resolve(z, c->type_name, &type, &typmod));
    const struct type_info *ti = type_find(type);
    struct expr *e;
    if (ti->element != 0 && c->arg->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        TRY(array_of_exprs(z, sc, c->arg->a_array_expr, ti->element, typmod, out));
        (*out)->location = c->location;
        return NULL;
    }
    TRY(analyze_expr(z, sc, c->arg, &e));
    bool was_const = e->kind == EXPR_CONST && e->type == TYPE_UNKNOWN;
    int location = c->location >= 0 && !was_const ? c->location : e->location;
    if (!was_const && e->type != TYPE_UNKNOWN) {
        e->location = location;
    }
    TRY(at(z, coerce(z, e, type, typmod, CAST_EXPLICIT, out), location));
    return NULL;
}

static struct status *node_value_function(struct analyzer *z, const PgQuery__SQLValueFunction *v,
                                          struct expr **out)
{
    static const char *const names[] = {NULL,
                                        "current_date",
                                        "localtime",
                                        "localtime",
                                        "current_timestamp",
                                        "current_timestamp",
                                        "localtime",
                                        "localtime",
                                        "localtimestamp",
                                        "localtimestamp",
                                        "current_user",
                                        "current_user",
                                        "current_user",
                                        "session_user",
                                        "current_database",
                                        "current_schema"};
    int op = (int)v->op;
    if (op < 1 || op > 15) {
        return unsupported(z, v->location, "this SQL value function");
    }
    TRY(make_call(z, names[op], 0, NULL, v->location, out));
    if (v->typmod >= 0 && (op == 5 || op == 9)) {
        TRY(coerce(z, *out, (*out)->type, v->typmod, CAST_EXPLICIT, out));
    }
    return NULL;
}

static struct status *node_subscript(struct analyzer *z, struct scope *sc,
                                     const PgQuery__AIndirection *ind, struct expr **out)
{
    struct expr *e;
    TRY(analyze_expr(z, sc, ind->arg, &e));
    for (size_t i = 0; i < ind->n_indirection; i++) {
        const PgQuery__Node *n = ind->indirection[i];
        if (n->node_case != PG_QUERY__NODE__NODE_A_INDICES) {
            return unsupported(z, e->location, "fields of row values");
        }
        const struct type_info *ti = type_find(e->type);
        if (ti == NULL || ti->element == 0) {
            return at(
                z,
                status_sql(INVALID, "42804",
                           "cannot subscript type %s because it does not support subscripting",
                           type_format(z->a, e->type, -1)),
                e->location);
        }
        struct expr *args[3] = {e, NULL, NULL};
        const PgQuery__AIndices *ix = n->a_indices;
        int nargs = 2;
        if (ix->is_slice) {
            if (ix->lidx == NULL || ix->uidx == NULL) {
                return unsupported(z, e->location, "array slices without both bounds");
            }
            TRY(analyze_expr(z, sc, ix->lidx, &args[1]));
            TRY(analyze_expr(z, sc, ix->uidx, &args[2]));
            nargs = 3;
        } else {
            TRY(analyze_expr(z, sc, ix->uidx, &args[1]));
        }
        for (int k = 1; k < nargs; k++) {
            TRY(coerce(z, args[k], TYPE_INT4, -1, CAST_ASSIGNMENT, &args[k]));
        }
        TRY(make_call(z, ix->is_slice ? "array_slice" : "array_subscript", nargs, args, e->location,
                      &e));
    }
    *out = e;
    return NULL;
}

struct status *analyze_expr(struct analyzer *z, struct scope *sc, const PgQuery__Node *n,
                            struct expr **out)
{
    TRY(analyze_stack_check());
    TRY(arena_reserve(z->a, z->margin));
    if (n == NULL) {
        return unsupported(z, -1, "empty expression");
    }
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST:
        return node_const(z, n->a_const, out);
    case PG_QUERY__NODE__NODE_COLUMN_REF:
        return scope_column(z, sc, n->column_ref, out);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return node_param(z, n->param_ref, out);
    case PG_QUERY__NODE__NODE_A_EXPR:
        return node_a_expr(z, sc, n->a_expr, out);
    case PG_QUERY__NODE__NODE_BOOL_EXPR:
        return node_bool(z, sc, n->bool_expr, out);
    case PG_QUERY__NODE__NODE_NULL_TEST:
        return node_null_test(z, sc, n->null_test, out);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST:
        return node_bool_test(z, sc, n->boolean_test, out);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        return node_case(z, sc, n->case_expr, out);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR:
        return node_variadic(z, sc, EXPR_COALESCE, "COALESCE", n->coalesce_expr->args,
                             n->coalesce_expr->n_args, n->coalesce_expr->location, out);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: {
        bool least = n->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_LEAST;
        TRY(node_variadic(z, sc, EXPR_GREATEST, least ? "LEAST" : "GREATEST", n->min_max_expr->args,
                          n->min_max_expr->n_args, n->min_max_expr->location, out));
        (*out)->negate = least;
        return NULL;
    }
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        return analyze_func(z, sc, n->func_call, out);
    case PG_QUERY__NODE__NODE_SUB_LINK:
        return analyze_sublink(z, sc, n->sub_link, out);
    case PG_QUERY__NODE__NODE_TYPE_CAST:
        return node_cast(z, sc, n->type_cast, out);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR:
        return array_of_exprs(z, sc, n->a_array_expr, 0, -1, out);
    case PG_QUERY__NODE__NODE_A_INDIRECTION:
        return node_subscript(z, sc, n->a_indirection, out);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        return node_value_function(z, n->sqlvalue_function, out);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: {
        const char *c = name_last(n->collate_clause->collname, n->collate_clause->n_collname);
        if (strcmp(c, "C") != 0 && strcmp(c, "POSIX") != 0 && strcmp(c, "default") != 0 &&
            strcmp(c, "C.UTF-8") != 0) {
            return at(
                z,
                status_hint(
                    status_sql(NOT_FOUND, "42704",
                               "collation \"%s\" for encoding \"UTF8\" does not exist", c),
                    "There are the collations \"C\", \"POSIX\", \"C.UTF-8\" and \"default\"."),
                n->collate_clause->location);
        }
        return analyze_expr(z, sc, n->collate_clause->arg, out);
    }
    case PG_QUERY__NODE__NODE_ROW_EXPR:
        return unsupported(z, n->row_expr->location, "row values outside of comparisons");
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT:
        return at(z, status_sql(INVALID, "42601", "DEFAULT is not allowed in this context"),
                  n->set_to_default->location);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC:
        return unsupported(z, n->grouping_func->location, "GROUPING()");
    case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR:
        return unsupported(z, n->named_arg_expr->location, "named arguments");
    case PG_QUERY__NODE__NODE_XML_EXPR:
        return unsupported(z, n->xml_expr->location, "XML");
    case PG_QUERY__NODE__NODE_CURRENT_OF_EXPR:
        return unsupported(z, -1, "WHERE CURRENT OF");
    default:
        return unsupported(z, -1, "this kind of expression");
    }
}

struct status *analyze_cond(struct analyzer *z, struct scope *sc, const PgQuery__Node *n,
                            const char *place, struct expr **out)
{
    struct expr *e;
    const char *saved = sc->place, *saved_srf = sc->srf_place;
    sc->place = strcmp(place, "HAVING") == 0    ? saved
                : strcmp(place, "JOIN/ON") == 0 ? "JOIN conditions"
                                                : place;
    sc->srf_place = sc->place != NULL ? sc->place : place;
    struct status *st = analyze_expr(z, sc, n, &e);
    sc->place = saved;
    sc->srf_place = saved_srf;
    TRY(st);
    return coerce_bool(z, e, place, out);
}
