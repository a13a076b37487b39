/*
 * Running statements: simple queries, prepared statements and portals.
 *
 * A statement that met a conflict is run again by the router as long as nothing of it has reached
 * the client: in an implicit transaction with a new transaction, in a block after a refresh of the
 * snapshot (W4; READ COMMITTED: with a new one). Results of an implicit writing statement are
 * therefore kept until its commit is done, and rows that a block locks until all are locked, if
 * they are not too many. What is left, in a transaction of several statements, is to run all of it
 * again (replay.c); a statement that has sent rows then leaves out as many, if they are the same.
 */
#include "session_internal.h"

#include "../ddl/schema_txn.h"
#include "../ddl/schema_waits.h"

#include "base/check.h"
#include "base/mem.h"
#include "sql/datetime.h"

#include <pg_query/pg_query.pb-c.h>

#include <stdio.h>
#include <strings.h>

#define RETRIES_MAX 30
#define KEPT_BYTES ((size_t)1 << 20) /* of locked rows, in a block */

struct status *send_text_row(struct fiber *f, struct sink *sink, const char *column,
                             const char *value)
{
    struct plan_column col = {.name = column, .type = TYPE_TEXT, .typmod = -1};
    TRY(sink->columns(f, sink, &col, 1));
    struct arena *a = arena_create(0);
    uint32_t type = TYPE_TEXT;
    struct batch *b = batch_create(a, 1, &type, 1);
    b->cols[0][0] = datum_bytes(slice_str(value));
    b->nrows = 1;
    struct status *st = sink->rows(f, sink, b);
    arena_destroy(a);
    return st;
}

void execute_tag(const struct plan *p, uint64_t affected, uint64_t sent, char *out, size_t size)
{
    switch (plan_tag(p)) {
    case PLAN_INSERT:
        snprintf(out, size, "INSERT 0 %llu", (unsigned long long)affected);
        break;
    case PLAN_UPDATE:
        snprintf(out, size, "UPDATE %llu", (unsigned long long)affected);
        break;
    case PLAN_DELETE:
        snprintf(out, size, "DELETE %llu", (unsigned long long)affected);
        break;
    case PLAN_EXPLAIN:
        snprintf(out, size, "EXPLAIN");
        break;
    default:
        snprintf(out, size, "SELECT %llu", (unsigned long long)sent);
    }
}

static struct batch *copy_batch(struct arena *a, const struct batch *b)
{
    struct batch *out = batch_create(a, b->ncols, b->types, b->nrows > 0 ? b->nrows : 1);
    for (int c = 0; c < b->ncols; c++) {
        for (int r = 0; r < b->nrows; r++) {
            out->cols[c][r] = datum_copy(a, b->types[c], &b->cols[c][r]);
        }
    }
    out->nrows = b->nrows;
    return out;
}

void execute_init(struct run *x, struct catalog *c, struct arena *a, struct exec *out)
{
    struct session *s = x->s;
    *out = (struct exec){0};
    session_env(s, c, &out->env);
    out->txn = s->txn;
    out->arena = a;
    out->params = x->params;
    out->nparams = x->nparams;
    out->txn_now_us = s->txn_now_us;
    out->stmt_now_us = x->now_us;
    out->is_last = x->is_only && !plan_is_read_only(x->plan);
}

struct batch execute_batch_part(const struct batch *b, int first, int n, struct datum **cols)
{
    struct batch part = *b;
    for (int c = 0; c < b->ncols; c++) {
        cols[c] = b->cols[c] + first;
    }
    part.cols = cols;
    part.nrows = n;
    return part;
}

/* Digests the rows that an earlier attempt has sent and leaves them out. */
static struct status *skip_sent(struct run *x, const struct batch *b, int *out_first)
{
    int r = 0;
    for (; r < b->nrows && x->given < x->again; r++) {
        digest_row(&x->digest, b, r);
        if (++x->given == x->again && !digest_eq(&x->digest, &x->expected)) {
            x->is_different = true;
            return replay_differs();
        }
    }
    *out_first = r;
    return NULL;
}

static struct status *send_batch(struct fiber *f, struct run *x, struct arena *a,
                                 const struct batch *b)
{
    int first = 0;
    if (x->step != NULL) {
        TRY(skip_sent(x, b, &first));
        for (int r = first; r < b->nrows; r++) {
            digest_row(&x->digest, b, r);
            x->given++;
        }
    }
    if (x->sink == NULL || (first > 0 && first == b->nrows)) {
        return NULL;
    }
    x->has_sent = true;
    x->sent += (uint64_t)(b->nrows - first);
    if (first == 0) {
        return x->sink->rows(f, x->sink, b);
    }
    struct batch part =
        execute_batch_part(b, first, b->nrows - first, ARENA_ARRAY(a, struct datum *, b->ncols));
    return x->sink->rows(f, x->sink, &part);
}

static struct status *send_columns(struct fiber *f, struct run *x)
{
    const struct plan_column *cols;
    int n = plan_columns(x->plan, &cols);
    if (n > 0 && x->want_columns && x->sink != NULL) {
        x->want_columns = false;
        return x->sink->columns(f, x->sink, cols, n);
    }
    return NULL;
}

/* Rows that are not sent yet. */
struct kept {
    struct batch **b;
    int n, cap;
    size_t bytes;
};

static void keep_batch(struct kept *k, struct arena *a, const struct batch *b)
{
    if (k->n == k->cap) {
        k->b = arena_grow(a, k->b, sizeof(struct batch *) * (size_t)k->cap,
                          sizeof(struct batch *) * (size_t)(k->cap * 2 + 8));
        k->cap = k->cap * 2 + 8;
    }
    size_t before = arena_used(a);
    k->b[k->n++] = copy_batch(a, b);
    k->bytes += arena_used(a) - before;
}

static struct status *send_kept(struct fiber *f, struct run *x, struct arena *a, struct kept *k)
{
    TRY(send_columns(f, x));
    for (int i = 0; i < k->n; i++) {
        TRY(send_batch(f, x, a, k->b[i]));
    }
    k->n = 0;
    return NULL;
}

/* One attempt. For an implicit writing statement the commit is part of it. */
static struct status *attempt(struct fiber *f, struct run *x, struct catalog *c, struct arena *a)
{
    struct session *s = x->s;
    struct exec exec;
    if (!x->is_only) {
        TRY(session_admit(f, s));
    }
    TRY(session_need_txn(s, x->is_only, x->is_only && plan_is_read_only(x->plan)));
    TRY(session_statement_begin(f, s, x->plan));
    s->block_has_query = true;
    replay_rewind(s, x->step);
    x->digest = (struct digest){0};
    x->given = 0;
    execute_init(x, c, a, &exec);
    replay_use_snapshot(s, x->step);
    TRY(past_check_plan(s, x->plan));
    struct op *op = NULL;
    struct status *st = plan_open(f, x->plan, &exec, &op);
    if (st != NULL) {
        op_close(op);
        return st;
    }
    bool is_write = !plan_is_read_only(x->plan);
    bool keep = is_write && (x->is_only || plan_tag(x->plan) == PLAN_SELECT);
    struct kept kept = {0};
    while (op != NULL && st == NULL) {
        struct batch *b;
        st = op_next(f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        if (keep) {
            keep_batch(&kept, a, b);
            if (x->is_only || kept.bytes < KEPT_BYTES) {
                continue;
            }
            keep = false;
            st = send_kept(f, x, a, &kept);
        } else {
            st = send_columns(f, x);
            if (st == NULL) {
                st = send_batch(f, x, a, b);
            }
        }
        if (st == NULL) {
            st = fiber_check(f);
        }
    }
    op_close(op);
    TRY(st);
    x->affected = exec.rows_affected;
    if (x->is_only && !s->in_block) {
        TRY(session_end_implicit(f, s));
    }
    TRY(send_kept(f, x, a, &kept));
    if (x->given < x->again) {
        x->is_different = true;
        return replay_differs();
    }
    return NULL;
}

static bool may_retry(struct session *s, const struct run *x, const struct status *st)
{
    return !x->has_sent && (st->code == STATUS_MOVED || /* it has not begun */
                            (st->code == STATUS_CONFLICT && settings_values(s)->auto_retry));
}

/* The SCHEMA jobs that have the plan's tables. */
static int changing_jobs(const struct plan *p, const struct catalog *c, uint64_t *out, int cap)
{
    const struct plan_dep *deps;
    int ndeps = plan_deps(p, &deps), n = 0;
    for (int i = 0; i < ndeps && n < cap; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(c, deps[i].id);
        if (t != NULL && t->changing_job != 0) {
            out[n++] = t->changing_job;
        }
    }
    return n;
}

/* A shard has turned the plan away (fence), or the catalog: waits until the catalog has the new
 * descriptor, which for a change that moves rows comes only when they are moved. */
static struct status *wait_newer_catalog(struct fiber *f, struct session *s,
                                         const struct plan *plan)
{
    struct schema_wait w;
    struct status *st = NULL;
    bool is_same = true;
    schema_wait_begin(&w, s->router, s->txn, settings_values(s)->lock_timeout_ms);
    w.session = s->id;
    for (uint64_t step = 1; st == NULL && is_same; step = step < 50 ? step * 2 : step) {
        struct catalog *c = session_catalog(s);
        is_same = plan_is_same(plan, c);
        w.njobs = changing_jobs(plan, c, w.jobs, SCHEMA_WAIT_JOBS_MAX);
        catalog_unref(c);
        if (is_same) {
            st = schema_wait_pause(f, &w, step);
        }
        if (is_same && st == NULL) {
            st = meta_refresh(f, s->router->meta);
        }
    }
    schema_wait_end(&w);
    return st;
}

/* Whether the next attempt can be one of the same transaction, which keeps its locks: others may
 * change, for each row that a statement waits for, what it has read before. */
static bool keep_locks(struct fiber *f, struct session *s, const struct status *st)
{
    return s->txn != NULL && strcmp(st->sqlstate, "40P01") != 0 &&
           !status_consume(txn_refresh(f, s->txn));
}

/* Attempts until one succeeds or the client has to hear of it. *out_replan: it has not run, the
 * plan is of an old version. */
struct status *execute_tries(struct fiber *f, struct run *x, struct catalog *c, bool *out_replan)
{
    struct session *s = x->s;
    struct arena *a = arena_create(0);
    struct status *st;
    for (int tries = 0;; tries++) {
        st = attempt(f, x, c, a);
        if (st == NULL || tries == RETRIES_MAX || !may_retry(s, x, st)) {
            break;
        }
        if (st->code == STATUS_MOVED) { /* the catalog fence: this plan is of an old version */
            status_free(st);
            st = NULL;
            if (!s->in_block && x->is_only) {
                session_drop_txn(f, s);
            } else if (s->txn != NULL) {
                st = txn_undo_statement(f, s->txn); /* some shards may have done their part */
            }
            if (st == NULL) {
                st = wait_newer_catalog(f, s, x->plan);
            }
            if (st == NULL) {
                *out_replan = true;
            }
            break;
        }
        bool is_alone = x->is_only && !s->in_block;
        if (!keep_locks(f, s, st)) {
            if (!is_alone) {
                break; /* a deadlock ends only when the locks of the statements before go */
            }
            session_drop_txn(f, s);
        }
        metric_add(s->router->m_retries, 1);
        status_free(st);
        arena_reset(a);
        x->affected = 0;
        if (tries > 2) {
            uint64_t spread = (uint64_t)1 << (tries < 8 ? tries : 8);
            st = fiber_sleep(f, loop_random_below(s->router->loop, spread * 100000) + 1);
            if (st != NULL) {
                break;
            }
        }
    }
    replay_rewind(s, NULL);
    arena_destroy(a);
    return st;
}

void execute_digest(struct digest *d, const struct plan *plan, uint64_t affected)
{
    char tag[64];
    execute_tag(plan, affected, 0, tag, sizeof(tag)); /* the rows are in the digest */
    digest_text(d, tag);
}

struct status *execute_may_write(struct session *s, const struct plan *p)
{
    if (plan_is_read_only(p)) {
        return NULL;
    }
    switch (plan_tag(p)) {
    case PLAN_INSERT:
        return session_may_write(s, "INSERT");
    case PLAN_UPDATE:
        return session_may_write(s, "UPDATE");
    case PLAN_DELETE:
        return session_may_write(s, "DELETE");
    case PLAN_EXPLAIN:
        return session_may_write(s, "EXPLAIN ANALYZE of a write");
    default:
        return session_may_write(s, "SELECT FOR UPDATE");
    }
}

struct status *execute_plan(struct fiber *f, struct run *x, bool *out_replan)
{
    struct session *s = x->s;
    bool is_new;
    *out_replan = false;
    TRY(execute_may_write(s, x->plan));
    TRY(session_plan_is_new(f, s, x->plan, &is_new));
    if (!is_new) {
        *out_replan = true;
        return NULL;
    }
    if (s->portals != NULL && !plan_is_read_only(x->plan)) {
        TRY(portals_settle(f, s));
    }
    metric_add(s->router->m_statements, 1);
    x->now_us = session_wall_us(s);
    if (!x->is_only) {
        x->step = replay_plan(s, x->plan, x->params, x->nparams, x->now_us);
        s->replay.under_way = x->step;
    }
    struct catalog *c = session_catalog(s);
    struct status *st = execute_tries(f, x, c, out_replan);
    while (st != NULL && x->step != NULL && !x->is_different) {
        if (x->given > x->again) { /* all rows that it gave were sent */
            x->expected = x->digest;
            x->again = x->given;
        }
        st = replay_run(f, s, st);
        if (st != NULL) {
            break;
        }
        x->affected = 0;
        st = execute_tries(f, x, c, out_replan);
    }
    catalog_unref(c);
    if (x->step != NULL) {
        x->step->rows = -1;
        x->step->result = x->digest;
        replay_note_snapshot(s, x->step);
        if (st != NULL) {
            replay_failed(s, x->step, st);
        } else if (*out_replan) {
            replay_forget_last(s);
        } else {
            execute_digest(&x->step->result, x->plan, x->affected);
        }
    }
    s->replay.under_way = NULL;
    return st;
}

/* Plans (or takes from the cache) and runs one statement of kind QUERY or EXPLAIN. */
static struct status *run_query(struct fiber *f, struct session *s, struct slice sql,
                                struct parsed *p, int i, struct sink *sink, bool is_only)
{
    for (int tries = 0;; tries++) {
        struct plan *plan;
        TRY(session_plan(f, s, sql, &p, i, NULL, 0, &plan));
        struct run x = {
            .s = s, .plan = plan, .sink = sink, .is_only = is_only, .want_columns = true};
        bool replan;
        struct status *st = execute_plan(f, &x, &replan);
        if (st == NULL && replan && tries < RETRIES_MAX) {
            plan_unref(plan);
            continue;
        }
        if (st == NULL && replan) { /* it has not run */
            st = status_new(CONFLICT, "the table was changed while the statement ran");
        }
        if (st == NULL) {
            char tag[64];
            execute_tag(plan, x.affected, x.sent, tag, sizeof(tag));
            st = sink->complete(f, sink, tag);
        }
        plan_unref(plan);
        return st;
    }
}

struct status *execute_failed_block(void)
{
    return status_sql(
        INVALID, "25P02",
        "current transaction is aborted, commands ignored until end of transaction block");
}

bool execute_ends_block(const struct parsed *p, int i)
{
    if (parsed_kind(p, i) != STMT_TXN) {
        return false;
    }
    const PgQuery__TransactionStmt *x =
        ((const PgQuery__Node *)parsed_node(p, i))->transaction_stmt;
    return x->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT ||
           x->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK ||
           x->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO;
}

static struct status *forbidden_in_block(const char *tag)
{
    return status_sql(INVALID, "25001", "%s cannot run inside a transaction block", tag);
}

/* One attempt, in the transaction of the block or one of its own, which is committed with it when
 * nothing else is in it. */
static struct status *ddl_attempt(struct fiber *f, struct session *s, struct parsed *p, int i,
                                  bool is_alone, const char **out_tag)
{
    TRY(session_need_txn(s, false, false));
    TRY(session_may_write(s, ddl_tag(p, i)));
    s->block_has_query = true;
    replay_give_up(s);
    TRY(txn_statement_begin(f, s->txn));
    if (s->schema == NULL) {
        s->schema = schema_begin(s->router, s->txn, settings_values(s)->lock_timeout_ms);
    }
    struct catalog *c = session_catalog(s);
    struct exec exec = {0};
    session_env(s, c, &exec.env);
    exec.arena = arena_create(0);
    exec.txn = s->txn;
    exec.schema = s->schema;
    exec.txn_now_us = s->txn_now_us;
    exec.stmt_now_us = session_wall_us(s);
    exec.is_last = is_alone;
    struct status *st = ddl_execute(f, &exec, p, i, out_tag);
    arena_destroy(exec.arena);
    catalog_unref(c);
    return st == NULL && is_alone ? session_end_implicit(f, s) : st;
}

static struct status *run_ddl(struct fiber *f, struct session *s, struct parsed *p, int i,
                              struct sink *sink, bool is_only)
{
    TRY(portals_settle(f, s));
    bool is_alone = is_only && !s->in_block && s->txn == NULL;
    if ((session_in_txn(s) || s->txn != NULL) && ddl_forbids_block(p, i)) {
        return forbidden_in_block(ddl_tag(p, i));
    }
    const char *tag = "";
    struct status *st;
    for (int tries = 0;; tries++) {
        st = ddl_attempt(f, s, p, i, is_alone, &tag);
        if (!status_is(st, STATUS_CONFLICT) || !is_alone || tries == RETRIES_MAX) {
            break;
        }
        status_free(st);
        session_drop_txn(f, s);
        TRY(fiber_sleep(f,
                        loop_random_below(s->router->loop, (uint64_t)(tries + 1) * 1000000) + 1));
    }
    TRY(st);
    return sink->complete(f, sink, tag);
}

static const char *noop_tag(const PgQuery__Node *n)
{
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_VACUUM_STMT:
        return n->vacuum_stmt->is_vacuumcmd ? "VACUUM" : "ANALYZE";
    case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
        return "CHECKPOINT";
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
        return "COMMENT";
    case PG_QUERY__NODE__NODE_LOCK_STMT:
        return "LOCK TABLE";
    case PG_QUERY__NODE__NODE_GRANT_STMT:
        return n->grant_stmt->is_grant ? "GRANT" : "REVOKE";
    case PG_QUERY__NODE__NODE_CLUSTER_STMT:
        return "CLUSTER";
    case PG_QUERY__NODE__NODE_REINDEX_STMT:
        return "REINDEX";
    case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT:
        return "CREATE EXTENSION";
    case PG_QUERY__NODE__NODE_ALTER_OWNER_STMT:
        return "ALTER TABLE";
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
        return "LISTEN";
    case PG_QUERY__NODE__NODE_NOTIFY_STMT:
        return "NOTIFY";
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
        return "UNLISTEN";
    default:
        return "OK";
    }
}

static struct status *prepare_statement(struct fiber *f, struct session *s, struct parsed *p, int i,
                                        struct sink *sink);
static struct status *execute_prepared_statement(struct fiber *f, struct session *s,
                                                 const PgQuery__Node *n, struct sink *sink,
                                                 bool is_only);

struct status *execute_statement(struct fiber *f, struct session *s, struct slice sql,
                                 struct parsed *p, int i, struct sink *sink, bool is_only)
{
    if (s->is_failed && !execute_ends_block(p, i)) {
        return execute_failed_block();
    }
    const PgQuery__Node *n = parsed_node(p, i);
    switch (parsed_kind(p, i)) {
    case STMT_QUERY:
    case STMT_EXPLAIN:
        return run_query(f, s, sql, p, i, sink, is_only && !s->in_block);
    case STMT_DDL:
        return run_ddl(f, s, p, i, sink, is_only);
    case STMT_TXN:
        return session_txn_statement(f, s, n, sink);
    case STMT_SET:
        return settings_statement(f, s, n, sink);
    case STMT_COPY:
        return copy_statement(f, s, p, i, sink);
    case STMT_NOOP:
        if (n->node_case == PG_QUERY__NODE__NODE_VACUUM_STMT && n->vacuum_stmt->is_vacuumcmd &&
            (session_in_txn(s) || s->txn != NULL)) {
            return forbidden_in_block("VACUUM");
        }
        return sink->complete(f, sink, noop_tag(n));
    case STMT_PREPARE:
        if (n->node_case == PG_QUERY__NODE__NODE_PREPARE_STMT) {
            return prepare_statement(f, s, p, i, sink);
        }
        if (n->node_case == PG_QUERY__NODE__NODE_DEALLOCATE_STMT) {
            const char *name = n->deallocate_stmt->name;
            if (name == NULL || name[0] == '\0') {
                struct prepared *q, *tmp;
                HASH_ITER(hh, s->prepared, q, tmp)
                {
                    HASH_DEL(s->prepared, q);
                    prepared_unref(q);
                }
                return sink->complete(f, sink, "DEALLOCATE ALL");
            }
            if (session_prepared(s, slice_str(name)) == NULL) {
                return status_sql(NOT_FOUND, "26000", "prepared statement \"%s\" does not exist",
                                  name);
            }
            session_close_prepared(s, slice_str(name));
            return sink->complete(f, sink, "DEALLOCATE");
        }
        return execute_prepared_statement(f, s, n, sink, is_only && !s->in_block);
    case STMT_CURSOR:
        return cursor_statement(f, s, sql, p, i, sink);
    case STMT_UNSUPPORTED:
        break;
    }
    return status_new(UNSUPPORTED, "this statement is not supported");
}

/* ---- shapes: literals lifted out ---- */

static struct status *shape_params(struct arena *a, const struct shape *sh, const struct plan *plan,
                                   struct datum **out)
{
    const type_oid *types;
    int n = plan_params(plan, &types);
    struct datum *params = ARENA_ARRAY(a, struct datum, sh->count + 1);
    if (n != sh->count) {
        return status_new(INVALID, "parameters do not match");
    }
    for (int i = 0; i < n; i++) {
        TRY(type_input(a, types[i], -1, sh->values[i], &params[i]));
    }
    *out = params;
    return NULL;
}

/* Tries to run a single-statement text by the plan of its shape. *out_done false: take the ordinary
 * way. */
static struct status *run_shape(struct fiber *f, struct session *s, struct slice sql,
                                struct sink *sink, bool *out_done)
{
    *out_done = false;
    struct shape sh;
    if (s->is_failed || !shape_of(sql, &sh)) {
        if (!s->is_failed) {
            shape_deinit(&sh);
        }
        return NULL;
    }
    struct catalog *c = session_catalog(s);
    struct plan_env env;
    session_env(s, c, &env);
    struct slice text = buf_slice(&sh.text);
    struct plan *plan = plan_cache_get(s->router->plans, &env, text, sh.types, sh.count);
    struct status *st = NULL;
    if (plan == NULL) {
        struct parsed *p = NULL;
        st = parse_sql(f, text, &p);
        if (st == NULL && parsed_count(p) == 1 && parsed_kind(p, 0) == STMT_QUERY) {
            st = plan_statement(f, &env, p, 0, sh.types, sh.count, &plan);
            if (st == NULL) {
                plan_cache_put(s->router->plans, &env, text, sh.types, sh.count, plan);
            }
        }
        parsed_free(p);
        status_free(
            st); /* the ordinary way tells the user what is wrong, with the right position */
        st = NULL;
    }
    catalog_unref(c);
    struct arena *a = arena_create(0);
    struct datum *params = NULL;
    if (plan != NULL && status_consume(shape_params(a, &sh, plan, &params))) {
        plan_unref(plan);
        plan = NULL;
    }
    if (plan != NULL) {
        struct run x = {.s = s,
                        .plan = plan,
                        .params = params,
                        .nparams = sh.count,
                        .sink = sink,
                        .is_only = !s->in_block,
                        .want_columns = true};
        bool replan;
        st = execute_plan(f, &x, &replan);
        *out_done = st != NULL || !replan;
        if (st == NULL && *out_done) {
            char tag[64];
            execute_tag(plan, x.affected, x.sent, tag, sizeof(tag));
            st = sink->complete(f, sink, tag);
        }
        plan_unref(plan);
    }
    arena_destroy(a);
    shape_deinit(&sh);
    return st;
}

/* ---- simple query ---- */

/* Of two deadlines; 0 = none. */
static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

void execute_enter(struct fiber *f, struct session *s, struct sink *sink)
{
    s->running = f;
    s->sink = sink;
    datetime_set_now(s->txn != NULL ? s->txn_now_us : session_wall_us(s)); /* 'now' in literals */
    fiber_cancel_clear(f);
    uint64_t ms = settings_values(s)->statement_timeout_ms;
    s->statement_deadline = ms > 0 ? loop_clock_ns(s->router->loop) + ms_to_ns(ms) : 0;
    s->outer_deadline = fiber_deadline(f);
    execute_txn_begins(s);
}

void execute_txn_begins(struct session *s)
{
    if (s->running == NULL) {
        return;
    }
    uint64_t others = earlier(s->statement_deadline, s->outer_deadline);
    uint64_t at = earlier(session_txn_deadline(s), others);
    s->txn_ends_first = at != others;
    fiber_set_deadline(s->running, at);
}

struct status *execute_leave(struct fiber *f, struct session *s, struct status *st)
{
    s->running = NULL;
    s->sink = NULL;
    fiber_set_deadline(f, s->outer_deadline);
    if (status_is(st,
                  STATUS_MOVED)) { /* too late to plan it again: rows of it were sent or taken */
        status_free(st);
        return status_hint(status_new(CONFLICT, "could not serialize access: a table was changed "
                                                "while the statement ran"),
                           "The transaction might succeed if retried.");
    }
    if (status_is(st, STATUS_TIMEOUT) &&
        strcmp(st->sqlstate, "57014") == 0) { /* lock_timeout is 55P03 */
        status_free(st);
        return s->txn_ends_first
                   ? status_sql(TIMEOUT, "25P04", "canceling statement due to transaction timeout")
                   : status_sql(TIMEOUT, "57014", "canceling statement due to statement timeout");
    }
    if (status_is(st, STATUS_CANCELLED)) {
        status_free(st);
        return status_sql(CANCELLED, "57014", "canceling statement due to user request");
    }
    return st;
}

static struct status *simple(struct fiber *f, struct session *s, struct slice sql,
                             struct sink *sink)
{
    bool is_done;
    TRY(run_shape(f, s, sql, sink, &is_done));
    if (is_done) {
        return NULL;
    }
    struct catalog *c = session_catalog(s);
    struct plan_env env;
    session_env(s, c, &env);
    struct plan *cached =
        s->is_failed ? NULL : plan_cache_get(s->router->plans, &env, sql, NULL, 0);
    catalog_unref(c);
    if (cached != NULL) {
        struct run x = {
            .s = s, .plan = cached, .sink = sink, .is_only = !s->in_block, .want_columns = true};
        bool replan;
        struct status *st = execute_plan(f, &x, &replan);
        if (st == NULL && !replan) {
            char tag[64];
            execute_tag(cached, x.affected, x.sent, tag, sizeof(tag));
            st = sink->complete(f, sink, tag);
        }
        plan_unref(cached);
        if (st != NULL || !replan) {
            return st;
        }
    }
    struct parsed *p;
    TRY(parse_sql(f, sql, &p));
    int n = parsed_count(p);
    struct status *st = n == 0 ? sink->empty(f, sink) : NULL;
    s->is_implicit_block = n > 1 && !s->in_block;
    for (int i = 0; i < n && st == NULL; i++) {
        struct slice text = n == 1 ? sql : parsed_text(p, i);
        st = execute_statement(f, s, text, p, i, sink, n == 1);
    }
    if (st == NULL) {
        st = session_end_implicit(f, s);
    }
    parsed_free(p);
    return st;
}

struct status *session_simple(struct fiber *f, struct session *s, struct slice sql,
                              struct sink *sink)
{
    execute_enter(f, s, sink);
    return execute_leave(f, s, simple(f, s, sql, sink));
}

/* ---- prepared statements ---- */

void prepared_unref(struct prepared *p)
{
    if (--p->refs > 0) {
        return;
    }
    plan_unref(p->plan);
    plan_unref(p->fetched);
    parsed_free(p->parsed);
    mem_free(p->param_types);
    mem_free(p->name);
    mem_free(p->sql);
    mem_free(p);
}

struct prepared *session_prepared(struct session *s, struct slice name)
{
    struct prepared *p = NULL;
    HASH_FIND(hh, s->prepared, name.data, name.len, p);
    return p;
}

void session_close_prepared(struct session *s, struct slice name)
{
    struct prepared *p = session_prepared(s, name);
    if (p != NULL) {
        HASH_DEL(s->prepared, p);
        prepared_unref(p);
    }
}

int prepared_params(const struct prepared *p, const type_oid **out)
{
    *out = p->param_types;
    return p->nparams;
}

int prepared_columns(const struct prepared *p, const struct plan_column **out)
{
    static const struct plan_column show_column = {
        .name = "setting", .type = TYPE_TEXT, .typmod = -1};
    if (p->plan != NULL) {
        return plan_columns(p->plan, out);
    }
    if (p->fetched != NULL) {
        return plan_columns(p->fetched, out);
    }
    *out = &show_column;
    if (p->kind == STMT_SET && p->index >= 0) {
        const PgQuery__Node *n = parsed_node(p->parsed, p->index);
        return n->node_case == PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT ? 1 : 0;
    }
    return 0;
}

struct status *prepared_plan(struct fiber *f, struct session *s, struct prepared *p)
{
    if (p->kind != STMT_QUERY && p->kind != STMT_EXPLAIN) {
        return NULL;
    }
    struct catalog *c = session_catalog(s);
    bool is_valid = p->plan != NULL && plan_is_valid(p->plan, c);
    catalog_unref(c);
    if (is_valid) {
        return NULL;
    }
    struct plan *plan;
    TRY(session_plan(f, s, slice_str(p->sql), &p->parsed, p->index, p->param_types, p->nparams,
                     &plan));
    if (p->plan != NULL) {
        const struct plan_column *was, *is;
        int nwas = plan_columns(p->plan, &was), nis = plan_columns(plan, &is);
        bool is_same = nwas == nis;
        for (int i = 0; is_same && i < nis; i++) {
            is_same = was[i].type == is[i].type;
        }
        if (!is_same) {
            plan_unref(plan);
            return status_new(UNSUPPORTED, "cached plan must not change result type");
        }
    }
    plan_unref(p->plan);
    p->plan = plan;
    const type_oid *types;
    int n = plan_params(plan, &types);
    p->param_types = mem_realloc(p->param_types, sizeof(type_oid) * (size_t)(n + 1));
    for (int i = 0; i < n; i++) {
        p->param_types[i] = types[i];
    }
    p->nparams = n;
    return NULL;
}

static struct status *prepare(struct fiber *f, struct session *s, struct slice name,
                              struct slice sql, const type_oid *param_types, int nparams)
{
    if (name.len > 0 && session_prepared(s, name) != NULL) {
        return status_sql(ALREADY_EXISTS, "42P05", "prepared statement \"%.*s\" already exists",
                          (int)name.len, name.data);
    }
    struct prepared *p = MEM_NEW(struct prepared);
    p->refs = 1;
    p->name = mem_strndup(name.data, name.len);
    p->sql = mem_strndup(sql.data, sql.len);
    p->nparams = nparams;
    p->param_types = mem_alloc(sizeof(type_oid) * (size_t)(nparams + 1));
    for (int i = 0; i < nparams; i++) {
        p->param_types[i] = param_types[i];
    }
    struct status *st = NULL;
    struct catalog *c = session_catalog(s);
    struct plan_env env;
    session_env(s, c, &env);
    p->plan =
        s->is_failed ? NULL : plan_cache_get(s->router->plans, &env, sql, param_types, nparams);
    catalog_unref(c);
    if (p->plan != NULL) {
        p->kind = STMT_QUERY;
        const type_oid *types;
        p->nparams = plan_params(p->plan, &types);
        p->param_types = mem_realloc(p->param_types, sizeof(type_oid) * (size_t)(p->nparams + 1));
        for (int i = 0; i < p->nparams; i++) {
            p->param_types[i] = types[i];
        }
    } else {
        TRY_GOTO(parse_sql(f, sql, &p->parsed), out);
        int n = parsed_count(p->parsed);
        if (n > 1) {
            st = status_sql(INVALID, "42601",
                            "cannot insert multiple commands into a prepared statement");
            goto out;
        }
        p->index = n == 0 ? -1 : 0;
        p->kind = n == 0 ? STMT_NOOP : parsed_kind(p->parsed, 0);
        if (s->is_failed && n > 0 && !execute_ends_block(p->parsed, 0)) {
            st = execute_failed_block();
            goto out;
        }
        if (p->kind == STMT_CURSOR) {
            p->fetched = cursor_fetch_plan(s, parsed_node(p->parsed, 0));
        }
        TRY_GOTO(prepared_plan(f, s, p), out);
    }
    if (name.len == 0) {
        session_close_prepared(s, name);
    }
    HASH_ADD_KEYPTR(hh, s->prepared, p->name, name.len, p);
    return NULL;
out:
    prepared_unref(p);
    return st;
}

struct status *session_prepare(struct fiber *f, struct session *s, struct slice name,
                               struct slice sql, const type_oid *param_types, int nparams)
{
    execute_enter(f, s, s->sink);
    return execute_leave(f, s, prepare(f, s, name, sql, param_types, nparams));
}

/* ---- PREPARE, EXECUTE ---- */

static struct status *prepare_statement(struct fiber *f, struct session *s, struct parsed *p, int i,
                                        struct sink *sink)
{
    const PgQuery__PrepareStmt *x = ((const PgQuery__Node *)parsed_node(p, i))->prepare_stmt;
    /* The text of the inner statement: what follows AS. */
    struct slice text = parsed_text(p, i);
    const char *as = NULL;
    for (size_t k = 0; k + 4 < text.len; k++) {
        const char *c = (const char *)text.data + k;
        if ((c[0] == ' ' || c[0] == '\n' || c[0] == '\t' || c[0] == ')') &&
            strncasecmp(c + 1, "as", 2) == 0 &&
            (c[3] == ' ' || c[3] == '\n' || c[3] == '\t' || c[3] == '(')) {
            as = c + 3;
            break;
        }
    }
    if (as == NULL) {
        return status_sql(INVALID, "42601", "PREPARE without AS");
    }
    type_oid types[64];
    if (x->n_argtypes > 64) {
        return status_sql(LIMIT, "54023",
                          "a prepared statement takes at most 64 declared parameters");
    }
    for (size_t k = 0; k < x->n_argtypes; k++) {
        const PgQuery__TypeName *tn = x->argtypes[k]->type_name;
        const char *name = tn->names[tn->n_names - 1]->string->sval;
        const struct type_info *t = type_find_name(slice_str(name));
        if (t == NULL) {
            return status_sql(NOT_FOUND, "42704", "type \"%s\" does not exist", name);
        }
        types[k] = t->oid;
    }
    struct slice inner = slice_make(as, text.len - (size_t)(as - (const char *)text.data));
    TRY(prepare(f, s, slice_str(x->name), inner, types, (int)x->n_argtypes));
    return sink->complete(f, sink, "PREPARE");
}

struct status *execute_prepared_plan(struct fiber *f, struct run *x, struct prepared *p,
                                     struct plan **plan)
{
    for (int tries = 0; tries < RETRIES_MAX; tries++) {
        bool replan;
        x->plan = *plan;
        TRY(execute_plan(f, x, &replan));
        if (!replan) {
            return NULL;
        }
        const type_oid *was, *is;
        int nwas = plan_params(*plan, &was);
        TRY(prepared_plan(f, x->s, p));
        int nis = plan_params(p->plan, &is);
        if (nwas != nis || (nis > 0 && memcmp(was, is, sizeof(*is) * (size_t)nis) != 0)) {
            return status_new(CONFLICT, "the types of the parameters have changed");
        }
        plan_unref(*plan);
        *plan = plan_ref(p->plan);
    }
    return status_new(CONFLICT, "the table was changed while the statement ran");
}

static struct status *run_prepared(struct fiber *f, struct session *s, struct prepared *p,
                                   const struct datum *params, int nparams, struct sink *sink,
                                   bool is_only)
{
    struct plan *plan = plan_ref(p->plan);
    struct run x = {.s = s,
                    .params = params,
                    .nparams = nparams,
                    .sink = sink,
                    .is_only = is_only,
                    .want_columns = true};
    struct status *st = execute_prepared_plan(f, &x, p, &plan);
    if (st == NULL) {
        char tag[64];
        execute_tag(plan, x.affected, x.sent, tag, sizeof(tag));
        st = sink->complete(f, sink, tag);
    }
    plan_unref(plan);
    return st;
}

static struct status *execute_prepared_statement(struct fiber *f, struct session *s,
                                                 const PgQuery__Node *n, struct sink *sink,
                                                 bool is_only)
{
    const PgQuery__ExecuteStmt *x = n->execute_stmt;
    struct prepared *p = session_prepared(s, slice_str(x->name));
    if (p == NULL) {
        return status_sql(NOT_FOUND, "26000", "prepared statement \"%s\" does not exist", x->name);
    }
    TRY(prepared_plan(f, s, p));
    if (p->plan == NULL) {
        return status_new(UNSUPPORTED, "EXECUTE of this kind of statement is not supported");
    }
    if ((int)x->n_params != p->nparams) {
        return status_sql(INVALID, "42601",
                          "wrong number of parameters for prepared statement \"%s\"", x->name);
    }
    struct arena *a = arena_create(0);
    struct datum *params = ARENA_ARRAY(a, struct datum, p->nparams + 1);
    struct status *st = NULL;
    for (int i = 0; i < p->nparams && st == NULL; i++) {
        const PgQuery__Node *v = x->params[i];
        while (v->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
            v = v->type_cast->arg;
        }
        bool is_negative = v->node_case == PG_QUERY__NODE__NODE_A_EXPR && v->a_expr->lexpr == NULL;
        if (is_negative) {
            v = v->a_expr->rexpr;
        }
        if (v->node_case != PG_QUERY__NODE__NODE_A_CONST) {
            st = status_hint(status_new(UNSUPPORTED, "EXECUTE takes constants only"),
                             "Use literals.");
            break;
        }
        const PgQuery__AConst *k = v->a_const;
        struct buf text = {0};
        if (k->isnull) {
            params[i] = DATUM_NULL;
        } else {
            if (is_negative) {
                buf_put_u8(&text, '-');
            }
            if (k->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
                buf_printf(&text, "%d", k->ival->ival);
            } else if (k->val_case == PG_QUERY__A__CONST__VAL_FVAL) {
                buf_printf(&text, "%s", k->fval->fval);
            } else if (k->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL) {
                buf_printf(&text, "%s", k->boolval->boolval ? "t" : "f");
            } else if (k->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
                buf_printf(&text, "%s", k->sval->sval);
            }
            st = type_input(a, p->param_types[i], -1, arena_copy(a, buf_slice(&text)), &params[i]);
        }
        buf_deinit(&text);
    }
    if (st == NULL) {
        st = run_prepared(f, s, p, params, p->nparams, sink, is_only);
    }
    arena_destroy(a);
    return st;
}
