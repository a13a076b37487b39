/*
 * Portals: bound statements, run at once or read in pieces (fetch size), in which case the operator
 * tree stays open between calls, within the transaction. A replay of the transaction opens it anew
 * and reads up to where the client stands.
 *
 * A portal gives what was there when it was opened, also when its own transaction writes later: the
 * rows that are left are then read into memory first (portals_settle). Not so FOR UPDATE and SHARE:
 * their rows are locked and read when they are fetched, as PostgreSQL's are.
 */
#include "session_internal.h"

#include "base/mem.h"

#include <string.h>

struct arena *session_bind_arena(struct session *s)
{
    if (s->bind_arena == NULL) {
        s->bind_arena = arena_create(0);
    }
    return s->bind_arena;
}

struct portal *session_portal(struct session *s, struct slice name)
{
    struct portal *p = NULL;
    HASH_FIND(hh, s->portals, name.data, name.len, p);
    return p;
}

/* It is read no further: its step, if it is kept, has to stand without it. */
static void portal_finish(struct portal *p, bool is_end)
{
    op_close(p->op);
    p->op = NULL;
    p->pending = NULL;
    p->is_done = true;
    struct replay_step *x = p->step;
    p->step = NULL;
    if (x == NULL) {
        return;
    }
    x->portal = NULL;
    x->rows = is_end ? -1 : p->rows_sent;
    x->result = p->digest;
    if (is_end) {
        execute_digest(&x->result, p->plan, p->exec.rows_affected);
    }
}

/* It reads only from its spool from here on. */
static void portal_detach(struct portal *p)
{
    op_close(p->op);
    p->op = NULL;
    p->pending = NULL;
    if (p->exec.env.catalog != NULL) {
        catalog_unref(p->exec.env.catalog);
        p->exec.env.catalog = NULL;
    }
}

void portal_free(struct fiber *f, struct session *s, struct portal *p)
{
    (void)f;
    HASH_DEL(s->portals, p);
    portal_finish(p, false);
    portal_detach(p);
    spool_deinit(&p->spool);
    plan_unref(p->plan);
    prepared_unref(p->prepared);
    arena_destroy(p->arena); /* the portal itself lies in it */
}

void session_close_portal(struct fiber *f, struct session *s, struct slice name)
{
    struct portal *p = session_portal(s, name);
    if (p != NULL) {
        portal_free(f, s, p);
    }
}

int portal_columns(const struct portal *p, const struct plan_column **out)
{
    return prepared_columns(p->prepared, out);
}

int portal_formats(const struct portal *p, const int16_t **out)
{
    *out = p->formats;
    return p->nformats;
}

struct status *session_bind(struct fiber *f, struct session *s, struct slice portal,
                            struct prepared *p, const struct datum *params, int nparams,
                            const int16_t *formats, int nformats)
{
    if (s->is_failed &&
        !(p->parsed != NULL && p->index >= 0 && execute_ends_block(p->parsed, p->index))) {
        return execute_failed_block();
    }
    if (nparams != p->nparams) {
        return status_sql(
            INVALID, "08P01",
            "bind message supplies %d parameters, but prepared statement \"%s\" requires %d",
            nparams, p->name, p->nparams);
    }
    struct portal *old = session_portal(s, portal);
    if (old != NULL) {
        if (portal.len > 0) {
            return status_sql(ALREADY_EXISTS, "42P03", "cursor \"%.*s\" already exists",
                              (int)portal.len, portal.data);
        }
        portal_free(f, s, old);
    }
    TRY(prepared_plan(f, s, p));
    struct arena *a = session_bind_arena(s);
    s->bind_arena = NULL; /* the portal's now */
    struct portal *x = ARENA_NEW(a, struct portal);
    x->arena = a;
    x->name = arena_strndup(a, portal.data, portal.len);
    x->prepared = p;
    p->refs++;
    x->plan = p->plan != NULL ? plan_ref(p->plan) : NULL;
    x->params = arena_alloc(a, sizeof(*params) * (size_t)(nparams + 1));
    if (nparams > 0) {
        memcpy(x->params, params, sizeof(*params) * (size_t)nparams);
    }
    x->nparams = nparams;
    x->formats = arena_alloc(a, sizeof(*formats) * (size_t)(nformats + 1));
    if (nformats > 0) {
        memcpy(x->formats, formats, sizeof(*formats) * (size_t)nformats);
    }
    x->nformats = nformats;
    x->serial = ++s->portal_serial;
    HASH_ADD_KEYPTR(hh, s->portals, x->name, portal.len, x);
    return NULL;
}

/* Opens the portal's operator tree, at the beginning, in the transaction of now. */
static struct status *portal_open(struct fiber *f, struct session *s, struct portal *p)
{
    TRY(session_admit(f, s));
    TRY(session_need_txn(s, false, false));
    s->block_has_query = true;
    portal_detach(p);
    p->digest = (struct digest){0};
    bool is_new;
    TRY(session_plan_is_new(f, s, p->plan, &is_new));
    if (!is_new) {
        return status_new(CONFLICT, "a view was changed while the statement ran");
    }
    struct run x = {
        .s = s, .plan = p->plan, .params = p->params, .nparams = p->nparams, .now_us = p->now_us};
    TRY(session_statement_begin(f, s, p->plan));
    execute_init(&x, session_catalog(s), p->arena, &p->exec);
    replay_rewind(s, p->step);
    TRY(past_check_plan(s, p->plan));
    p->snapshot = 0;
    if (plan_is_read_only(p->plan)) { /* of now, not of the first fetch */
        uint64_t ts;
        TRY(txn_read_timestamp(f, s->txn, &ts));
        p->snapshot = txn_isolation(s->txn) == TXN_READ_COMMITTED ? ts : 0;
    }
    return plan_open(f, p->plan, &p->exec, &p->op);
}

static struct datum **portal_cols(struct portal *p, const struct batch *b)
{
    if (p->cols == NULL) {
        p->cols = ARENA_ARRAY(p->arena, struct datum *, b->ncols + 1);
    }
    return p->cols;
}

/* The next rows, at most `most`. They stay valid until the next call. */
static struct status *next_rows(struct fiber *f, struct portal *p, int64_t most, struct batch *out,
                                bool *out_done)
{
    *out_done = false;
    if (spool_is_on(&p->spool)) {
        *out_done = p->at == p->spool.rows;
        if (!*out_done) {
            int row;
            const struct batch *b = spool_find(&p->spool, p->at, &row);
            int64_t n = b->nrows - row < most ? b->nrows - row : most;
            *out = execute_batch_part(b, row, (int)n, portal_cols(p, b));
            p->at += n;
        }
        return NULL;
    }
    *out_done = p->op == NULL;
    if (p->pending == NULL && p->op != NULL) {
        uint64_t was = p->snapshot != 0 ? txn_use_snapshot(p->exec.txn, p->snapshot) : 0;
        struct status *st = op_next(f, p->op, &p->pending);
        if (p->snapshot != 0) {
            txn_use_snapshot(p->exec.txn, was);
        }
        TRY(st);
        p->pending_at = 0;
        *out_done = p->pending == NULL;
    }
    if (*out_done) {
        return NULL;
    }
    const struct batch *b = p->pending;
    int64_t n = b->nrows - p->pending_at;
    n = n < most ? n : most;
    *out = execute_batch_part(b, p->pending_at, (int)n, portal_cols(p, b));
    p->pending_at += (int)n;
    if (p->pending_at == b->nrows) {
        p->pending = NULL;
    }
    return NULL;
}

/* The same for the client. */
static struct status *portal_read(struct fiber *f, struct portal *p, int64_t most,
                                  struct batch *out, bool *out_done)
{
    TRY(next_rows(f, p, most, out, out_done));
    for (int r = 0; !*out_done && p->step != NULL && r < out->nrows; r++) {
        digest_row(&p->digest, out, r);
    }
    return NULL;
}

/* All that the operators still give. */
static struct status *spool_rest(struct fiber *f, struct portal *p)
{
    struct spool rest = {0};
    spool_init(&rest);
    struct status *st = NULL;
    for (bool is_end = false; st == NULL;) {
        struct batch b;
        st = next_rows(f, p, INT64_MAX, &b, &is_end);
        if (st != NULL || is_end) {
            break;
        }
        st = spool_add(&rest, &b);
        if (st == NULL) {
            st = fiber_check(f);
        }
    }
    if (st != NULL) {
        spool_deinit(&rest);
        return st;
    }
    op_close(p->op); /* its catalog is kept: a replay opens it again */
    p->op = NULL;
    p->pending = NULL;
    p->spool = rest;
    p->at = 0;
    return NULL;
}

struct status *portal_spool(struct fiber *f, struct session *s, struct portal *p)
{
    if (p->is_done || spool_is_on(&p->spool)) {
        return NULL;
    }
    p->is_spooled = true; /* a replay does it too */
    struct status *st = spool_rest(f, p);
    return st == NULL ? NULL : replay_run(f, s, st);
}

struct status *portals_settle(struct fiber *f, struct session *s)
{
    struct portal *p, *tmp;
    HASH_ITER(hh, s->portals, p, tmp)
    {
        if (p->op != NULL && plan_is_read_only(p->plan)) {
            TRY(portal_spool(f, s, p));
        }
    }
    return NULL;
}

/* A replay has come to the portal's step: as far as the client has read it. */
static struct status *portal_again(struct fiber *f, struct session *s, struct portal *p)
{
    spool_deinit(&p->spool);
    TRY(portal_open(f, s, p));
    for (int64_t left = p->rows_sent; left > 0;) {
        struct batch b;
        bool is_end;
        TRY(portal_read(f, p, left, &b, &is_end));
        if (is_end) {
            return replay_differs();
        }
        left -= b.nrows;
    }
    return p->is_spooled ? spool_rest(f, p) : NULL;
}

/* What a closed portal had been read of. */
static struct status *rows_again(struct fiber *f, struct session *s, struct replay_step *x)
{
    struct catalog *c = session_catalog(s);
    struct arena *a = arena_create(0);
    struct run run = {
        .s = s, .plan = x->plan, .params = x->params, .nparams = x->nparams, .now_us = x->now_us};
    struct exec exec;
    struct op *op = NULL;
    int64_t left = x->rows;
    struct status *st = NULL;
    TRY_GOTO(session_need_txn(s, false, false), out);
    TRY_GOTO(session_statement_begin(f, s, x->plan), out);
    execute_init(&run, c, a, &exec);
    replay_rewind(s, x);
    TRY_GOTO(plan_open(f, x->plan, &exec, &op), out);
    while (left > 0) {
        struct batch *b = NULL;
        if (op != NULL) {
            TRY_GOTO(op_next(f, op, &b), out);
        }
        if (b == NULL) {
            st = replay_differs();
            goto out;
        }
        for (int r = 0; r < b->nrows && left > 0; r++, left--) {
            digest_row(&x->result, b, r);
        }
    }
out:
    op_close(op);
    arena_destroy(a);
    catalog_unref(c);
    return st;
}

struct status *execute_step(struct fiber *f, struct session *s, struct replay_step *x)
{
    if (x->portal != NULL) {
        struct status *st = portal_again(f, s, x->portal);
        x->result = x->portal->digest;
        return st;
    }
    if (x->rows >= 0) {
        return rows_again(f, s, x);
    }
    struct run run = {.s = s,
                      .plan = x->plan,
                      .params = x->params,
                      .nparams = x->nparams,
                      .now_us = x->now_us,
                      .step = x};
    bool replan = false;
    struct catalog *c = session_catalog(s);
    struct status *st = execute_tries(f, &run, c, &replan);
    catalog_unref(c);
    x->result = run.digest;
    if (st == NULL && replan) {
        return replay_differs();
    }
    if (st == NULL) {
        execute_digest(&x->result, x->plan, run.affected);
    }
    return st;
}

/* A portal that is read in pieces holds its operator tree open between calls. sink NULL: the rows
 * are passed over. *out_end: no more are there. */
struct status *portal_fetch(struct fiber *f, struct session *s, struct portal *p, int64_t max_rows,
                            struct sink *sink, uint64_t *out_count, bool *out_end)
{
    struct status *st = NULL;
    *out_count = 0;
    *out_end = false;
    if (!p->is_open) {
        TRY(execute_may_write(s, p->plan));
        if (!plan_is_read_only(p->plan)) {
            TRY(portals_settle(f, s));
        }
        metric_add(s->router->m_statements, 1);
        p->is_open = true;
        p->now_us = session_wall_us(s);
        p->step = replay_plan(s, p->plan, p->params, p->nparams, p->now_us);
        if (p->step != NULL) {
            p->step->portal = p;
        }
        st = portal_open(f, s, p);
    }
    for (int64_t left = max_rows; !p->is_done && (left > 0 || st != NULL);) {
        struct batch b;
        if (st == NULL) {
            st = portal_read(f, p, left, &b, out_end);
        }
        if (st != NULL) {
            TRY(replay_run(f, s, st)); /* which has opened the portal anew */
            st = NULL;
            continue;
        }
        if (*out_end) {
            portal_finish(p, true);
            return NULL;
        }
        p->rows_sent += b.nrows;
        left -= b.nrows;
        *out_count += (uint64_t)b.nrows;
        if (p->step != NULL) {
            p->step->result = p->digest;
        }
        if (b.nrows > 0 && sink != NULL) {
            TRY(sink->rows(f, sink, &b));
        }
    }
    *out_end = p->is_done;
    return NULL;
}

static struct status *portal_pieces(struct fiber *f, struct session *s, struct portal *p,
                                    int64_t max_rows, struct sink *sink, bool *out_suspended)
{
    uint64_t sent;
    bool is_end;
    TRY(portal_fetch(f, s, p, max_rows, sink, &sent, &is_end));
    *out_suspended = !is_end;
    if (!is_end) {
        return NULL;
    }
    char tag[64];
    execute_tag(p->plan, p->exec.rows_affected, sent, tag, sizeof(tag));
    return sink->complete(f, sink, tag);
}

static struct status *execute_portal(struct fiber *f, struct session *s, struct portal *p,
                                     int64_t max_rows, struct sink *sink, bool *out_suspended)
{
    struct prepared *q = p->prepared;
    *out_suspended = false;
    bool expects_sync = s->expects_sync;
    s->expects_sync = false;
    if (s->is_failed && p->plan != NULL) {
        return execute_failed_block();
    }
    if (q->index < 0 && q->parsed != NULL) {
        return sink->empty(f, sink);
    }
    if (p->plan == NULL) {
        if (p->is_done) {
            return status_sql(INVALID, "55000", "portal \"%s\" cannot be run", p->name);
        }
        p->is_done = true;
        return execute_statement(f, s, slice_str(q->sql), q->parsed, q->index, sink,
                                 !s->in_block && expects_sync && s->txn == NULL);
    }
    if (max_rows > 0 || p->is_open) {
        return portal_pieces(f, s, p, max_rows > 0 ? max_rows : INT64_MAX, sink, out_suspended);
    }
    if (p->is_done) {
        return sink->complete(f, sink, "SELECT 0");
    }
    p->is_done = true;
    struct run x = {.s = s,
                    .params = p->params,
                    .nparams = p->nparams,
                    .sink = sink,
                    .is_only = !s->in_block && expects_sync && s->txn == NULL};
    TRY(execute_prepared_plan(f, &x, q, &p->plan));
    char tag[64];
    execute_tag(p->plan, x.affected, x.sent, tag, sizeof(tag));
    return sink->complete(f, sink, tag);
}

struct status *session_execute(struct fiber *f, struct session *s, struct portal *p,
                               int64_t max_rows, struct sink *sink, bool *out_suspended)
{
    execute_enter(f, s, sink);
    return execute_leave(f, s, execute_portal(f, s, p, max_rows, sink, out_suspended));
}

/* ---- for cursors.c ---- */

struct portal *portal_declare(struct session *s, struct slice name, struct slice sql,
                              struct plan *plan)
{
    struct prepared *p = MEM_NEW(struct prepared);
    p->refs = 1;
    p->name = mem_strdup("");
    p->sql = mem_strndup(sql.data, sql.len);
    p->kind = STMT_QUERY;
    p->plan = plan;
    struct arena *a = arena_create(0);
    struct portal *x = ARENA_NEW(a, struct portal);
    x->arena = a;
    x->name = arena_strndup(a, name.data, name.len);
    x->prepared = p;
    x->plan = plan_ref(plan);
    x->is_cursor = true;
    x->serial = ++s->portal_serial;
    HASH_ADD_KEYPTR(hh, s->portals, x->name, name.len, x);
    return x;
}

void portal_close_cursors(struct fiber *f, struct session *s)
{
    struct portal *p, *tmp;
    HASH_ITER(hh, s->portals, p, tmp)
    {
        if (p->is_cursor) {
            portal_free(f, s, p);
        }
    }
}

/* ---- at the end of transactions ---- */

void portals_free_all(struct fiber *f, struct session *s)
{
    struct portal *p, *tmp;
    HASH_ITER(hh, s->portals, p, tmp)
    {
        portal_free(f, s, p);
    }
}

void session_close_portals(struct fiber *f, struct session *s)
{
    struct portal *p, *tmp;
    HASH_ITER(hh, s->portals, p, tmp)
    {
        if (!p->is_held) {
            portal_free(f, s, p);
        }
    }
}

struct status *portals_before_commit(struct fiber *f, struct session *s)
{
    struct portal *p, *tmp;
    struct status *st = NULL;
    HASH_ITER(hh, s->portals, p, tmp)
    {
        if (!p->is_hold) {
            portal_free(f, s, p);
        } else if (st == NULL) {
            st = portal_spool(f, s, p);
        }
    }
    return st;
}

void portals_txn_ended(struct fiber *f, struct session *s, bool committed)
{
    struct portal *p, *tmp;
    HASH_ITER(hh, s->portals, p, tmp)
    {
        if (p->is_hold && !p->is_held && committed) {
            p->is_held = true;
            p->step = NULL; /* it was not kept */
            p->exec.txn = NULL;
            portal_detach(p);
        } else if (p->is_hold && !p->is_held) {
            portal_free(f, s, p);
        }
    }
}

void portals_rollback_to(struct fiber *f, struct session *s, uint64_t serial)
{
    struct portal *p, *tmp;
    HASH_ITER(hh, s->portals, p, tmp)
    {
        if (p->serial > serial && !p->is_held) {
            portal_free(f, s, p);
        }
    }
}
