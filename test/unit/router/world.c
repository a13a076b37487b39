/* The runner of the test world: statements on a fiber of a simulated loop. See world.h. */
#include "world.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "base/sim.h"

#include <stdio.h>

struct world {
    struct sim *sim;
    struct loop *loop;
    struct catalog *catalog;
    struct fake_store *store;
    struct arena *ra; /* of the last result */
    struct result r;
    uint32_t path;
    struct plan_env env;
    const char *sql;
    int nparams;
    const char *const *params;
    bool is_prepared, done;
    struct fiber *f;
};

struct world *world_create(void)
{
    struct world *w = MEM_NEW(struct world);
    w->sim = sim_create(1);
    w->loop = sim_loop_create(w->sim, "test");
    w->catalog = fake_catalog_create();
    w->store = fake_store_create();
    w->path = 16385;
    w->env = (struct plan_env){.catalog = w->catalog,
                               .database_id = 16384,
                               .user = slice_str("sherd"),
                               .search_path = &w->path,
                               .search_path_count = 1};
    return w;
}

uint64_t world_moves(const struct world *w)
{
    return fake_moves(w->store);
}

void world_destroy(struct world *w)
{
    arena_destroy(w->ra);
    fake_store_destroy(w->store);
    fake_catalog_destroy(w->catalog);
    sim_destroy(w->sim);
    mem_free(w);
}

struct status *session_function(struct session *s, const struct plan_env *env,
                                const struct func_def *func, const struct datum *args, int nargs,
                                struct arena *a, struct datum *out)
{
    (void)s;
    (void)nargs;
    (void)a;
    if (strcmp(func->name, "nextval") == 0) {
        int64_t v;
        TRY(fake_nextval(env->catalog, (uint64_t)args[0].i, &v));
        *out = datum_int(v);
        return NULL;
    }
    if (strcmp(func->name, "current_user") == 0 || strcmp(func->name, "current_database") == 0) {
        *out = datum_bytes(slice_str("sherd"));
        return NULL;
    }
    return status_new(UNSUPPORTED, "function %s in this test", func->name);
}

/* ---- results ---- */

static void take_error(struct world *w, struct status *st)
{
    struct result *r = &w->r;
    r->failed = true;
    memcpy(r->sqlstate, st->sqlstate, sizeof(r->sqlstate));
    r->message = arena_strdup(w->ra, st->message);
    r->detail = st->detail == NULL ? NULL : arena_strdup(w->ra, st->detail);
    r->hint = st->hint == NULL ? NULL : arena_strdup(w->ra, st->hint);
    r->position = st->position;
    status_free(st);
}

static void take_rows(struct world *w, const struct batch *b, const struct plan_column *cols)
{
    struct result *r = &w->r;
    char ***grown = ARENA_ARRAY(w->ra, char **, r->nrows + b->nrows + 1);
    if (r->nrows > 0) {
        memcpy(grown, r->rows, sizeof(*grown) * (size_t)r->nrows);
    }
    r->rows = grown;
    for (int i = 0; i < b->nrows; i++) {
        char **row = ARENA_ARRAY(w->ra, char *, b->ncols + 1);
        for (int c = 0; c < b->ncols; c++) {
            const struct datum *d = &b->cols[c][i];
            if (d->is_null) {
                continue;
            }
            struct buf t = {0};
            type_output(cols[c].type, d, &t);
            row[c] = arena_strndup(w->ra, t.len > 0 ? t.data : (const uint8_t *)"", t.len);
            buf_deinit(&t);
        }
        r->rows[r->nrows++] = row;
    }
}

static struct status *bind_params(struct world *w, const struct plan *p, struct arena *a,
                                  struct exec *x)
{
    const type_oid *types;
    x->nparams = plan_params(p, &types);
    if (x->nparams != w->nparams) {
        return status_sql(INVALID, "08P01", "%d parameters wanted, %d given", x->nparams,
                          w->nparams);
    }
    struct datum *d = ARENA_ARRAY(a, struct datum, x->nparams + 1);
    for (int i = 0; i < x->nparams; i++) {
        d[i] = DATUM_NULL;
        if (w->params[i] != NULL) {
            TRY(type_input(a, types[i], -1, slice_str(w->params[i]), &d[i]));
        }
    }
    x->params = d;
    return NULL;
}

static struct status *run_query(struct world *w, struct parsed *p, int i, struct arena *a)
{
    struct plan *plan;
    struct result *r = &w->r;
    TRY(plan_statement(w->f, &w->env, p, i, NULL, 0, &plan));
    struct exec x = {.env = w->env, .txn = fake_txn(w->store), .arena = a, .is_last = true};
    x.txn_now_us = x.stmt_now_us = 700000000000000;
    struct status *st = bind_params(w, plan, a, &x);
    const struct plan_column *cols;
    struct op *op = NULL;
    r->ncols = plan_columns(plan, &cols);
    r->names = ARENA_ARRAY(w->ra, char *, r->ncols + 1);
    r->types = ARENA_ARRAY(w->ra, uint32_t, r->ncols + 1);
    for (int c = 0; c < r->ncols; c++) {
        r->names[c] = arena_strdup(w->ra, cols[c].name);
        r->types[c] = cols[c].type;
    }
    st = st != NULL ? st : plan_open(w->f, plan, &x, &op);
    struct batch *b = NULL;
    while (st == NULL && op != NULL && (st = op_next(w->f, op, &b)) == NULL && b != NULL) {
        take_rows(w, b, cols);
    }
    op_close(op);
    static const char *const tags[] = {"SELECT", "INSERT 0", "UPDATE",
                                       "DELETE", "EXPLAIN",  "SELECT"};
    r->affected = plan_tag(plan) == PLAN_SELECT || plan_tag(plan) == PLAN_VALUES
                      ? (uint64_t)r->nrows
                      : x.rows_affected;
    snprintf(r->tag, sizeof(r->tag), "%s %llu", tags[(int)plan_tag(plan)],
             (unsigned long long)r->affected);
    plan_unref(plan);
    return st;
}

static struct status *run_one(struct world *w, struct parsed *p, int i)
{
    bool known;
    memset(&w->r, 0, sizeof(w->r));
    struct slice text = parsed_text(p, i);
    char *sql = arena_strndup(w->ra, text.data, text.len);
    if (parsed_kind(p, i) == STMT_DDL) {
        /* Locations count from the start of the whole text. */
        struct parsed *alone;
        TRY(parse_sql(w->f, slice_str(sql), &alone));
        struct status *st =
            fake_ddl(w->f, &w->env, w->catalog, w->store, parsed_node(alone, 0), sql, &known);
        parsed_free(alone);
        if (st == NULL && !known) {
            st = status_sql(UNSUPPORTED, "0A000", "this DDL in tests");
        }
        return st;
    }
    if (parsed_kind(p, i) != STMT_QUERY && parsed_kind(p, i) != STMT_EXPLAIN) {
        return status_sql(UNSUPPORTED, "0A000", "this statement in tests");
    }
    struct arena *a = arena_create(0);
    struct status *st = run_query(w, p, i, a);
    arena_destroy(a);
    return st;
}

static void run_fiber(struct fiber *f, void *arg)
{
    struct world *w = arg;
    struct parsed *p = NULL;
    w->f = f;
    struct status *st = parse_sql(f, slice_str(w->sql), &p);
    for (int i = 0; st == NULL && i < parsed_count(p); i++) {
        fake_statement_begin(w->store);
        st = run_one(w, p, i);
        fake_statement_end(w->store, st != NULL);
    }
    if (st != NULL) {
        take_error(w, st);
    }
    parsed_free(p);
    w->done = true;
}

static bool is_done(void *ctx)
{
    return ((struct world *)ctx)->done;
}

struct result *world_run_params(struct world *w, const char *sql, int n, const char *const *params)
{
    arena_destroy(w->ra);
    w->ra = arena_create((size_t)1 << 30);
    memset(&w->r, 0, sizeof(w->r));
    w->sql = sql;
    w->nparams = n;
    w->params = params;
    w->done = false;
    fiber_spawn(w->loop, FIBER_STACK_LARGE, run_fiber, w);
    while (!w->done) {
        sim_run(w->sim, sim_now_ns(w->sim) + 1000000000u, is_done, w);
    }
    return &w->r;
}

struct result *world_run(struct world *w, const char *sql)
{
    return world_run_params(w, sql, 0, NULL);
}
