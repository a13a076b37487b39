/*
 * Plans: made from a parsed statement, shared by its executions, thrown away when what they were
 * made from has changed.
 */
#include "pnode.h"

#include "analyze/analyze.h"
#include "analyze/analyze_limits.h"
#include "base/check.h"

static struct status *analyze_statement(struct analyzer *z, const PgQuery__Node *n)
{
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return analyze_query(z, n->select_stmt);
    case PG_QUERY__NODE__NODE_INSERT_STMT:
        return analyze_insert(z, n->insert_stmt);
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
        return analyze_update(z, n->update_stmt);
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return analyze_delete(z, n->delete_stmt);
    default:
        return unsupported(z, -1, "this kind of statement");
    }
}

static struct status *params_known(struct query *q)
{
    for (int i = 0; i < q->nparams; i++) {
        if (q->param_types[i] == 0 || q->param_types[i] == TYPE_UNKNOWN) {
            return status_sql(INVALID, "42P18", "could not determine data type of parameter $%d",
                              i + 1);
        }
    }
    return NULL;
}

static int count_scans(const struct pnode *n, bool *repeated)
{
    if (n == NULL) {
        return 0;
    }
    *repeated |= n->kind == P_LOOKUP || n->kind == P_APPLY || n->kind == P_CTE;
    return (n->kind == P_SCAN ? 1 : 0) + count_scans(n->left, repeated) +
           count_scans(n->right, repeated);
}

static void note_joined(struct pnode *n)
{
    if (n != NULL) {
        if (n->kind == P_SCAN) {
            n->scan->fragment.is_joined = n->scan->fragment.lock != LOCK_NONE;
        }
        note_joined(n->left);
        note_joined(n->right);
    }
}

/* Exactly one scan, run once, no locks: an implicit transaction may read it without a timestamp
 * (R2). */
static bool is_single_scan(const struct plan *p)
{
    bool repeated = false;
    int n = count_scans(p->root, &repeated);
    return p->write == NULL && !p->q->has_locks && p->q->nsubplans == 0 && !repeated && n == 1;
}

/* Tables whose rows the actions of foreign keys may change, and how. */
struct reached {
    const Sherd__V1__TableDesc *table;
    bool is_delete;
    struct reached *next;
};

static void depend_on_actions(struct plan *p, const Sherd__V1__TableDesc *t, bool is_delete,
                              struct reached **all);

/* A row of `c`'s parent is deleted, or its key changed. */
static void depend_on_child(struct plan *p, const Sherd__V1__TableDesc *child,
                            const Sherd__V1__ConstraintDesc *c, bool is_delete,
                            struct reached **all)
{
    uint32_t action = is_delete ? c->on_delete : c->on_update;
    query_depends(p->q, child);
    if (action == 'c' && is_delete) {
        depend_on_actions(p, child, true, all);
        return;
    }
    if (action != 'c' && action != 'n' && action != 'd') {
        return;
    }
    for (size_t i = 0; i < child->n_constraints; i++) { /* the child's row gets another parent */
        const Sherd__V1__ConstraintDesc *k = child->constraints[i];
        const Sherd__V1__TableDesc *parent =
            k->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY
                ? catalog_table_by_id(p->catalog, k->ref_table_id)
                : NULL;
        if (parent != NULL) {
            query_depends(p->q, parent);
        }
    }
    depend_on_actions(p, child, false, all);
}

static void depend_on_actions(struct plan *p, const Sherd__V1__TableDesc *t, bool is_delete,
                              struct reached **all)
{
    for (const struct reached *r = *all; r != NULL; r = r->next) {
        if (r->table == t && r->is_delete == is_delete) {
            return;
        }
    }
    struct reached *here = ARENA_NEW(p->arena, struct reached);
    *here = (struct reached){t, is_delete, *all};
    *all = here;
    for (size_t i = 0; i < t->n_referenced_by; i++) {
        const Sherd__V1__TableDesc *child = catalog_table_by_id(p->catalog, t->referenced_by[i]);
        for (size_t k = 0; child != NULL && k < child->n_constraints; k++) {
            const Sherd__V1__ConstraintDesc *c = child->constraints[k];
            if (c->kind == SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY &&
                c->ref_table_id == t->id) {
                depend_on_child(p, child, c, is_delete, all);
            }
        }
    }
}

void plan_dependencies(struct plan *p, const struct table_write *w)
{
    struct query *q = p->q;
    for (int i = 0; w != NULL && i < w->nparents; i++) {
        query_depends(q, w->parents[i].parent);
    }
    struct reached *all = NULL;
    for (int i = 0; w != NULL && i < w->nchildren; i++) {
        depend_on_child(p, w->children[i].child, w->children[i].desc, q->tag == PLAN_DELETE, &all);
    }
    p->ndeps = q->ndeps;
    p->reads_catalog = q->shows_catalog;
    p->deps = ARENA_ARRAY(p->arena, struct plan_dep, q->ndeps + 1);
    for (int i = 0; i < q->ndeps; i++) {
        p->deps[i] = (struct plan_dep){q->deps[i]->id, q->deps[i]->version};
        p->reads_catalog |= q->deps[i]->view_sql != NULL && q->deps[i]->view_sql[0] != '\0';
    }
}

static struct status *make(struct plan *p, struct analyzer *z, const PgQuery__Node *n)
{
    struct query *q = z->q;
    TRY(analyze_statement(z, n));
    TRY(params_known(q));
    struct planner pl = {.q = q, .a = p->arena, .f = z->f, .env = z->env, .nneeded = q->nvars};
    pl.needed = ARENA_ARRAY(p->arena, bool, q->nvars + 1);
    for (int i = 0; i < q->block.nouts; i++) {
        pl.needed[q->block.outs[i]] = true;
    }
    struct rel *r = optimize(&pl, q->block.rel);
    TRY(pl.st);
    struct status *st = physical(&pl, r, &p->root);
    TRY(st != NULL ? st : pl.st);
    if (q->tag == PLAN_SELECT || q->tag == PLAN_VALUES || q->tag == PLAN_INSERT) {
        p->root = pnode_columns(&pl, p->root, q->block.nouts, q->block.outs);
    }
    if (q->dml != NULL) {
        TRY(plan_write_make(&pl, p->root, &p->write));
        TRY(pl.st);
    }
    bool repeated = false;
    if (count_scans(p->root, &repeated) > 1 || repeated || q->nsubplans > 0) {
        note_joined(p->root);
    }
    p->nnodes = pl.nnodes;
    p->tag = q->tag;
    p->is_single_scan = is_single_scan(p);
    plan_dependencies(p, p->write != NULL ? &p->write->t : NULL);
    return NULL;
}

static struct status *explain_options(struct analyzer *z, struct plan *p,
                                      const PgQuery__ExplainStmt *s)
{
    p->explain_costs = true;
    for (size_t i = 0; i < s->n_options; i++) {
        const PgQuery__DefElem *d = s->options[i]->def_elem;
        const char *text = node_string(d->arg);
        bool on = text == NULL || strcmp(text, "off") != 0;
        if (text != NULL && (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)) {
            on = false;
        }
        if (d->arg != NULL && d->arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN) {
            on = d->arg->boolean->boolval;
        }
        if (d->arg != NULL && d->arg->node_case == PG_QUERY__NODE__NODE_INTEGER) {
            on = d->arg->integer->ival != 0;
        }
        if (strcmp(d->defname, "analyze") == 0) {
            p->explain_analyze = on;
        } else if (strcmp(d->defname, "verbose") == 0) {
            p->explain_verbose = on;
        } else if (strcmp(d->defname, "costs") == 0) {
            p->explain_costs = on;
        } else if (strcmp(d->defname, "format") == 0) {
            if (text == NULL || (strcmp(text, "text") != 0 && strcmp(text, "json") != 0)) {
                return at(z,
                          status_hint(status_sql(UNSUPPORTED, "0A000",
                                                 "EXPLAIN format \"%s\" is not supported",
                                                 text == NULL ? "" : text),
                                      "There are TEXT and JSON."),
                          d->location);
            }
            p->explain_json = strcmp(text, "json") == 0;
        } else if (strcmp(d->defname, "timing") != 0 && strcmp(d->defname, "summary") != 0 &&
                   strcmp(d->defname, "buffers") != 0 && strcmp(d->defname, "settings") != 0 &&
                   strcmp(d->defname, "wal") != 0) {
            return at(
                z, status_sql(INVALID, "42601", "unrecognized EXPLAIN option \"%s\"", d->defname),
                d->location);
        }
    }
    return NULL;
}

static struct plan *plan_new(const struct plan_env *env)
{
    struct arena *a = arena_create(PLAN_BUDGET);
    struct plan *p = ARENA_NEW(a, struct plan);
    p->refs = 1;
    p->arena = a;
    p->revision = catalog_revision(env->catalog);
    p->catalog = catalog_ref(env->catalog);
    p->q = ARENA_NEW(a, struct query);
    p->q->arena = a;
    return p;
}

static void give_params(struct query *q, const type_oid *types, int n)
{
    q->nparams = n;
    q->param_types = ARENA_ARRAY(q->arena, type_oid, n + 1);
    for (int i = 0; i < n; i++) {
        q->param_types[i] = types[i] == TYPE_UNKNOWN ? 0 : types[i];
    }
}

static struct status *plan_node(struct fiber *f, const struct plan_env *env, const char *sql,
                                const PgQuery__Node *n, const type_oid *types, int nparams,
                                struct plan **out)
{
    struct plan *p = plan_new(env);
    struct query *q = p->q;
    give_params(q, types, nparams);
    struct analyzer z = {
        .q = q, .a = p->arena, .f = f, .env = env, .sql = sql, .margin = PLAN_MARGIN};
    struct status *st;
    if (n->node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT) {
        p->tag = PLAN_EXPLAIN;
        st = explain_options(&z, p, n->explain_stmt);
        if (st == NULL) {
            st = plan_node(f, env, sql, n->explain_stmt->query, types, nparams, &p->inner);
        }
        if (st == NULL) {
            give_params(q, p->inner->q->param_types, p->inner->q->nparams);
            q->ncolumns = 1;
            q->columns = ARENA_NEW(p->arena, struct plan_column);
            *q->columns =
                (struct plan_column){.name = "QUERY PLAN", .type = TYPE_TEXT, .typmod = -1};
        }
    } else {
        st = make(p, &z, n);
    }
    if (st != NULL) {
        plan_unref(p);
        return st;
    }
    *out = p;
    return NULL;
}

struct status *plan_statement(struct fiber *f, const struct plan_env *env, const struct parsed *p,
                              int i, const type_oid *param_types, int nparams, struct plan **out)
{
    const PgQuery__Node *n = parsed_node(p, i);
    if (n->node_case == PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT) {
        n = n->declare_cursor_stmt->query;
    }
    return plan_node(f, env, (const char *)parsed_sql(p).data, n, param_types, nparams, out);
}

struct status *plan_subquery(struct fiber *f, const struct plan_env *env, const PgQuery__Node *n,
                             struct plan **out)
{
    return plan_node(f, env, NULL, n, NULL, 0, out);
}

struct plan *plan_ref(struct plan *p)
{
    p->refs++;
    return p;
}

void plan_unref(struct plan *p)
{
    if (p == NULL || --p->refs > 0) {
        return;
    }
    plan_unref(p->inner);
    catalog_unref(p->catalog);
    arena_destroy(p->arena);
}

bool plan_is_valid(const struct plan *p, const struct catalog *c)
{
    if (p->revision == catalog_revision(c)) {
        return true;
    }
    return !catalog_is_overlay(p->revision) && !catalog_is_overlay(catalog_revision(c)) &&
           plan_is_same(p, c);
}

bool plan_is_same(const struct plan *p, const struct catalog *c)
{
    for (int i = 0; i < p->ndeps; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(c, p->deps[i].id);
        if (t == NULL || t->version != p->deps[i].version) {
            return false;
        }
    }
    for (int i = 0; i < p->q->noids;
         i++) { /* an object of the name may have come in place of the old one */
        uint32_t oid = p->q->oids[i];
        if (catalog_table_by_id(p->catalog, oid) != catalog_table_by_id(c, oid) ||
            (catalog_sequence_by_id(p->catalog, oid) == NULL) !=
                (catalog_sequence_by_id(c, oid) == NULL)) {
            return false;
        }
    }
    return p->inner == NULL || plan_is_same(p->inner, c);
}

bool plan_reads_catalog(const struct plan *p)
{
    return p->reads_catalog || (p->inner != NULL && plan_reads_catalog(p->inner));
}

int plan_deps(const struct plan *p, const struct plan_dep **out)
{
    while (p->inner != NULL) {
        p = p->inner;
    }
    *out = p->deps;
    return p->ndeps;
}

const char *plan_changed_after(const struct plan *p, uint64_t timestamp)
{
    for (int i = 0; i < p->ndeps; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(p->catalog, p->deps[i].id);
        if (t != NULL && t->changed_at > timestamp) {
            return t->name;
        }
    }
    return p->inner != NULL ? plan_changed_after(p->inner, timestamp) : NULL;
}

enum plan_tag plan_tag(const struct plan *p)
{
    return p->tag;
}

bool plan_is_read_only(const struct plan *p)
{
    if (p->tag == PLAN_EXPLAIN) {
        return !p->explain_analyze || plan_is_read_only(p->inner);
    }
    return p->write == NULL && !p->q->has_locks;
}

int plan_columns(const struct plan *p, const struct plan_column **out)
{
    *out = p->q->columns;
    return p->q->ncolumns;
}

int plan_params(const struct plan *p, const type_oid **out)
{
    *out = p->q->param_types;
    return p->q->nparams;
}
