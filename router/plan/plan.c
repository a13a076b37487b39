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

/* Exactly one scan, run once, no locks: an implicit transaction may read it without a timestamp
 * (R2). */
static bool is_single_scan(const struct plan *p)
{
    bool repeated = false;
    int n = count_scans(p->root, &repeated);
    return p->write == NULL && !p->q->has_locks && p->q->nsubplans == 0 && !repeated && n == 1;
}

static void plan_dependencies(struct plan *p)
{
    const struct query *q = p->q;
    p->ndeps = q->ndeps;
    p->reads_catalog = q->shows_catalog;
    p->deps = ARENA_ARRAY(p->arena, struct plan_dep, q->ndeps + 1);
    for (int i = 0; i < q->ndeps; i++) {
        p->deps[i] = (struct plan_dep){q->deps[i]->id, q->deps[i]->version};
        p->reads_catalog |= q->deps[i]->view_sql != NULL && q->deps[i]->view_sql[0] != '\0';
    }
    for (int i = 0; p->write != NULL && i < p->write->t.nparents + p->write->t.nchildren; i++) {
        const struct foreign_key *fk = i < p->write->t.nparents
                                           ? &p->write->t.parents[i]
                                           : &p->write->t.children[i - p->write->t.nparents];
        const Sherd__V1__TableDesc *other =
            fk->parent == p->write->t.table ? fk->child : fk->parent;
        struct plan_dep *grown = ARENA_ARRAY(p->arena, struct plan_dep, p->ndeps + 1);
        memcpy(grown, p->deps, sizeof(*grown) * (size_t)p->ndeps);
        grown[p->ndeps++] = (struct plan_dep){other->id, other->version};
        p->deps = grown;
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
    p->nnodes = pl.nnodes;
    p->tag = q->tag;
    p->is_single_scan = is_single_scan(p);
    plan_dependencies(p);
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

int plan_changing_jobs(const struct plan *p, const struct catalog *c, uint64_t *out, int cap)
{
    int n = 0;
    for (int i = 0; i < p->ndeps && n < cap; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(c, p->deps[i].id);
        if (t != NULL && t->changing_job != 0) {
            out[n++] = t->changing_job;
        }
    }
    return p->inner != NULL ? n + plan_changing_jobs(p->inner, c, out + n, cap - n) : n;
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
