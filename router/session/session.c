/*
 * A session's life and its transaction state.
 *
 *   I  idle: no transaction
 *   T  in a block (BEGIN), or in the implicit block of a multi-statement query
 *   E  the block has failed: only ROLLBACK (TO) is accepted, 25P02 otherwise
 *
 * A transaction object is made when the first statement needs one, so that BEGIN is free.
 */
#include "session_internal.h"

#include "../ddl/schema_txn.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include <pg_query/pg_query.pb-c.h>

#include <ctype.h>
#include <strings.h>

static void resolve_search_path(struct session *s, struct catalog *c);

struct status *session_open(struct fiber *f, struct router *r, const struct session_options *o,
                            struct session **out)
{
    if (r->is_closing) {
        return status_sql(UNAVAILABLE, "57P03", "the database system is shutting down");
    }
    if (r->session_count >= (int)r->config->sql_connections_max) {
        return status_sql(LIMIT, "53300", "sorry, too many clients already");
    }
    struct catalog *c = catalog_current(r->catalog);
    const Sherd__V1__DatabaseDesc *db = catalog_database(c, o->database);
    if (db == NULL) {
        /* It may be newer than this node's cache. */
        catalog_unref(c);
        TRY(meta_refresh(f, r->meta));
        c = catalog_current(r->catalog);
        db = catalog_database(c, o->database);
    }
    struct status *st = NULL;
    if (catalog_role(c, o->user) == NULL) {
        st = status_sql(DENIED, "28000", "role \"%.*s\" does not exist", (int)o->user.len,
                        o->user.data);
    } else if (db == NULL) {
        st = status_sql(NOT_FOUND, "3D000", "database \"%.*s\" does not exist",
                        (int)o->database.len, o->database.data);
    }
    if (st != NULL) {
        catalog_unref(c);
        return st;
    }
    struct session *s = MEM_NEW(struct session);
    s->router = r;
    s->id = ++r->session_counter;
    s->secret = loop_random(r->loop);
    s->user = mem_strndup(o->user.data, o->user.len);
    s->database = mem_strndup(o->database.data, o->database.len);
    s->client = mem_strdup(o->client != NULL ? o->client : "");
    s->database_id = db->id;
    settings_init(s);
    if (o->application_name.len > 0) {
        status_consume(session_set(s, slice_str("application_name"), o->application_name));
    }
    resolve_search_path(s, c);
    catalog_unref(c);
    list_push_back(&r->sessions, &s->link);
    r->session_count++;
    *out = s;
    return NULL;
}

void session_close(struct fiber *f, struct session *s)
{
    if (s == NULL) {
        return;
    }
    portals_free_all(f, s);
    session_drop_txn(f, s);
    admission_leave(&s->router->admission, &s->ticket, false);
    struct prepared *p, *tmp;
    HASH_ITER(hh, s->prepared, p, tmp)
    {
        HASH_DEL(s->prepared, p);
        prepared_unref(p);
    }
    struct session_sequence *q, *qtmp;
    HASH_ITER(hh, s->sequences, q, qtmp)
    {
        HASH_DEL(s->sequences, q);
        mem_free(q);
    }
    settings_txn_end(s, false);
    settings_deinit(s);
    replay_deinit(s);
    for (int i = 0; i < s->savepoint_count; i++) {
        mem_free(s->savepoints[i].name);
    }
    mem_free(s->savepoints);
    arena_destroy(s->bind_arena);
    list_unlink(&s->link);
    s->router->session_count--;
    mem_free(s->user);
    mem_free(s->database);
    mem_free(s->client);
    mem_free(s);
}

uint32_t session_id(const struct session *s)
{
    return s->id;
}

uint64_t session_secret(const struct session *s)
{
    return s->secret;
}

void session_cancel(struct router *r, uint32_t id, uint64_t secret)
{
    LIST_FOREACH(it, &r->sessions)
    {
        struct session *s = LIST_ITEM(it, struct session, link);
        if (s->id != id) {
            continue;
        }
        if (s->secret != secret) {
            metric_add(metric_counter("sherd_sql_cancel_refused_total", NULL,
                                      "cancel requests with a wrong key"),
                       1);
            return;
        }
        if (s->running != NULL) {
            fiber_cancel(s->running);
        }
        return;
    }
}

char session_txn_status(const struct session *s)
{
    return s->in_block ? (s->is_failed ? 'E' : 'T') : 'I';
}

/* transaction_timeout: when the transaction, under way or about to begin, has to be over; 0 =
 * never.
 */
uint64_t session_txn_deadline(struct session *s)
{
    uint64_t ms = settings_values(s)->transaction_timeout_ms;
    uint64_t since = s->txn_since_ns != 0 ? s->txn_since_ns : loop_clock_ns(s->router->loop);
    return ms != 0 ? since + ms_to_ns(ms) : 0;
}

static void txn_clock_starts(struct session *s)
{
    s->txn_now_us = session_wall_us(s);
    s->txn_since_ns = loop_clock_ns(s->router->loop);
    execute_txn_begins(s);
}

uint64_t session_idle_ms(struct session *s, struct status **out)
{
    *out = NULL;
    if (!s->in_block) {
        uint64_t ms = settings_values(s)->idle_session_timeout_ms;
        if (ms != 0) {
            *out =
                status_sql(TIMEOUT, "57P05", "terminating connection due to idle-session timeout");
        }
        return ms;
    }
    uint64_t ms = settings_values(s)->idle_in_transaction_ms;
    uint64_t end = session_txn_deadline(s), now = loop_clock_ns(s->router->loop);
    uint64_t left = end == 0 ? UINT64_MAX : end > now ? (end - now) / 1000000 + 1 : 1;
    if (left != UINT64_MAX && (ms == 0 || left < ms)) {
        *out = status_sql(TIMEOUT, "25P04", "terminating connection due to transaction timeout");
        return left;
    }
    if (ms != 0) {
        *out = status_sql(TIMEOUT, "25P03",
                          "terminating connection due to idle-in-transaction timeout");
    }
    return ms;
}

void session_notice(struct session *s, struct status *st, const char *severity)
{
    if (s != NULL && s->sink != NULL && s->sink->notice != NULL) {
        s->sink->notice(s->sink, st, severity);
    }
    status_free(st);
}

/* ---- environment for planning ---- */

static void add_schema(struct session *s, struct catalog *c, struct slice name)
{
    if (s->search_path_count == SEARCH_PATH_MAX) {
        return;
    }
    if (slice_eq(name, slice_str("$user"))) {
        name = slice_str(s->user);
    }
    const Sherd__V1__SchemaDesc *d = catalog_schema(c, s->database_id, name);
    if (d != NULL) {
        s->search_path[s->search_path_count++] = d->id;
    }
}

static void resolve_search_path(struct session *s, struct catalog *c)
{
    s->search_path_count = 0;
    const char *path = session_setting(s, "search_path");
    const char *p = path != NULL ? path : "public";
    while (*p != '\0') {
        while (*p == ' ' || *p == ',') {
            p++;
        }
        bool is_quoted = *p == '"';
        const char *start = is_quoted ? ++p : p;
        while (*p != '\0' && (is_quoted ? *p != '"' : (*p != ',' && *p != ' '))) {
            p++;
        }
        if (p > start) {
            add_schema(s, c, slice_make(start, (size_t)(p - start)));
        }
        if (is_quoted && *p == '"') {
            p++;
        }
    }
    s->search_path_revision = catalog_revision(c);
}

void session_env(struct session *s, struct catalog *c, struct plan_env *out)
{
    if (s->search_path_revision != catalog_revision(c)) {
        resolve_search_path(s, c);
    }
    *out = (struct plan_env){
        .router = s->router,
        .catalog = c,
        .database_id = s->database_id,
        .user = slice_str(s->user),
        .search_path = s->search_path,
        .search_path_count = s->search_path_count,
        .session = s,
    };
}

struct catalog *session_catalog(struct session *s)
{
    return s->schema != NULL ? schema_catalog(s->schema) : catalog_current(s->router->catalog);
}

/* ---- transactions ---- */

struct status *session_need_txn(struct session *s, bool is_single_statement, bool read_only)
{
    if (s->is_failed) {
        return status_sql(
            INVALID, "25P02",
            "current transaction is aborted, commands ignored until end of transaction block");
    }
    if (s->txn != NULL) {
        return NULL;
    }
    struct session_modes m = settings_modes(s);
    struct txn_options o = {
        .isolation = m.isolation,
        .read_only = m.read_only || (read_only && !s->in_block),
        .deferrable = m.deferrable,
        .implicit = is_single_statement && !s->in_block,
    };
    o.lock_timeout_ms = settings_values(s)->lock_timeout_ms;
    o.snapshot = s->replay.is_running && s->replay.is_lost ? s->replay.snapshot : 0;
    TRY(past_choose(s, &o));
    s->txn = txn_begin(s->router, &o);
    if (s->replay.is_given_up) {
        txn_cannot_rerun(s->txn);
    }
    if (!s->in_block) { /* of a block: BEGIN's */
        if (s->txn_since_ns == 0) {
            txn_clock_starts(s);
        }
        s->txn_now_us = session_wall_us(s); /* anew also when it is run again */
    }
    return NULL;
}

struct status *session_admit(struct fiber *f, struct session *s)
{
    if (s->txn != NULL || s->is_failed || s->replay.is_running || !settings_values(s)->auto_retry) {
        return NULL;
    }
    struct session_modes m = settings_modes(s);
    return m.read_only || m.isolation == TXN_READ_COMMITTED
               ? NULL
               : admission_enter(f, &s->router->admission, &s->ticket);
}

static void drop_savepoints(struct session *s, int keep)
{
    for (int i = keep; i < s->savepoint_count; i++) {
        mem_free(s->savepoints[i].name);
    }
    s->savepoint_count = keep;
}

static void txn_is_over(struct session *s, bool committed)
{
    s->is_implicit_block = false;
    s->block_has_query = false;
    s->has_modes = false;
    s->txn_since_ns = 0;
    replay_clear(s);
    admission_leave(&s->router->admission, &s->ticket, committed);
    settings_txn_end(s, committed);
}

static void block_end(struct session *s, bool committed)
{
    s->in_block = false;
    s->is_failed = false;
    s->is_doomed = false;
    txn_is_over(s, committed);
    drop_savepoints(s, 0);
}

void session_drop_txn(struct fiber *f, struct session *s)
{
    if (s->schema != NULL) {
        struct schema_txn *x = s->schema;
        s->schema = NULL;
        schema_abort(x);
    }
    if (s->txn != NULL) {
        struct txn *t = s->txn;
        s->txn = NULL;
        txn_rollback(f, t);
    }
}

static struct status *commit(struct fiber *f, struct session *s)
{
    while (s->txn != NULL) {
        struct txn *t = s->txn;
        struct schema_txn *x = s->schema;
        enum txn_isolation isolation = txn_isolation(t);
        uint64_t snapshot = txn_start(t);
        s->txn = NULL;
        s->schema = NULL;
        struct status *st = x != NULL ? schema_commit(f, x) : txn_commit(f, t);
        if (st != NULL) {
            /* Below SERIALIZABLE nobody could change what it has locked: it was lost. */
            replay_lost(s, isolation, snapshot);
            TRY(replay_run(f, s, st)); /* then it is to be committed anew */
            ASSERT(s->txn != NULL); /* nothing to commit would be an acknowledgement of nothing */
        }
    }
    return NULL;
}

struct status *session_end_implicit(struct fiber *f, struct session *s)
{
    if (s->in_block) {
        return NULL;
    }
    struct status *st = commit(f, s);
    txn_is_over(s, st == NULL);
    portals_txn_ended(f, s, st == NULL);
    return st;
}

void session_failed(struct fiber *f, struct session *s)
{
    metric_add(s->router->m_errors, 1);
    if (s->in_block) {
        s->is_failed = true;
        if (s->savepoint_count == 0) { /* nothing to go back to: others get its locks now */
            session_close_portals(f, s);
            session_drop_txn(f, s);
            admission_leave(&s->router->admission, &s->ticket, false);
        }
        return;
    }
    session_close_portals(f, s);
    session_drop_txn(f, s);
    txn_is_over(s, false);
}

void session_expect_sync(struct session *s)
{
    s->expects_sync = true;
}

struct status *session_sync(struct fiber *f, struct session *s)
{
    s->expects_sync = false;
    if (s->in_block) {
        return NULL;
    }
    TRY(portals_before_commit(f, s)); /* WITH HOLD: it has been read outside of a block */
    return session_end_implicit(f, s);
}

static struct status *too_late(const char *what)
{
    return status_sql(INVALID, "25001", "%s", what);
}

/* One option; m is what it changes. */
static struct status *apply_mode(struct session *s, const PgQuery__DefElem *d,
                                 struct session_modes *m)
{
    const char *text = "";
    bool is_on = false;
    if (d->arg != NULL && d->arg->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        const PgQuery__AConst *c = d->arg->a_const;
        if (c->val_case == PG_QUERY__A__CONST__VAL_SVAL) {
            text = c->sval->sval;
        }
        is_on = (c->val_case == PG_QUERY__A__CONST__VAL_IVAL && c->ival->ival != 0) ||
                (c->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL && c->boolval->boolval);
    }
    bool is_sub = s->savepoint_count > 0;
    if (strcmp(d->defname, "transaction_isolation") == 0) {
        enum txn_isolation i;
        if (!settings_parse_isolation(slice_str(text), &i)) {
            return status_sql(INVALID, "22023",
                              "invalid value for parameter \"transaction_isolation\": \"%s\"",
                              text);
        }
        if (i != m->isolation && s->block_has_query) {
            return too_late("SET TRANSACTION ISOLATION LEVEL must be called before any query");
        }
        if (i != m->isolation && is_sub) {
            return too_late(
                "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction");
        }
        m->isolation = i;
    } else if (strcmp(d->defname, "transaction_read_only") == 0) {
        if (!is_on && m->read_only && is_sub) {
            return too_late(
                "cannot set transaction read-write mode inside a read-only transaction");
        }
        if (!is_on && m->read_only && s->block_has_query) {
            return too_late("transaction read-write mode must be set before any query");
        }
        m->read_only = is_on;
    } else if (strcmp(d->defname, "transaction_deferrable") == 0) {
        if (is_sub) {
            return too_late(
                "SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction");
        }
        if (s->block_has_query) {
            return too_late("SET TRANSACTION [NOT] DEFERRABLE must be called before any query");
        }
        m->deferrable = is_on;
    }
    return NULL;
}

struct status *session_apply_modes(struct session *s, size_t n, void *options)
{
    PgQuery__Node **o = options;
    s->modes = settings_modes(s);
    s->has_modes = true;
    for (size_t i = 0; i < n; i++) {
        if (o[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM) {
            TRY(apply_mode(s, o[i]->def_elem, &s->modes));
        }
    }
    return NULL;
}

struct status *session_may_write(struct session *s, const char *what)
{
    return !settings_modes(s).read_only
               ? NULL
               : status_sql(INVALID, "25006", "cannot execute %s in a read-only transaction", what);
}

static int find_savepoint(const struct session *s, const char *name)
{
    for (int i = s->savepoint_count - 1; i >= 0; i--) {
        if (strcmp(s->savepoints[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

void session_warn(struct session *s, const char *sqlstate, const char *text)
{
    session_notice(s, status_sql(INVALID, sqlstate, "%s", text), "WARNING");
}

static struct status *begin_block(struct session *s, const PgQuery__TransactionStmt *x)
{
    if (s->in_block) {
        session_warn(s, "25001", "there is already a transaction in progress");
        return NULL;
    }
    TRY(session_apply_modes(s, x->n_options, x->options));
    s->in_block = true;
    s->is_implicit_block = false;
    if (s->txn == NULL) {
        txn_clock_starts(s);
    }
    return NULL;
}

static struct status *need_block(const char *what)
{
    return status_sql(INVALID, "25P01", "%s can only be used in transaction blocks", what);
}

/* COMMIT, ROLLBACK: the end of the block, or of the statements so far of one query. */
static struct status *end_block(struct fiber *f, struct session *s, bool is_commit, bool chain)
{
    if (!s->in_block && chain) {
        return need_block(is_commit ? "COMMIT AND CHAIN" : "ROLLBACK AND CHAIN");
    }
    if (!s->in_block) {
        session_warn(s, "25P01", "there is no transaction in progress");
    }
    struct session_modes modes = s->modes;
    struct status *st = NULL;
    if (is_commit) {
        st = portals_before_commit(f, s);
        st = st == NULL ? commit(f, s) : st;
        portals_txn_ended(f, s, st == NULL);
    } else {
        session_close_portals(f, s);
    }
    session_drop_txn(f, s); /* it is there still when it has not come to the commit */
    bool is_several = s->is_implicit_block;
    block_end(s, is_commit && st == NULL);
    s->is_implicit_block = is_several; /* what follows in the query is a transaction again */
    TRY(st);
    if (chain) {
        s->in_block = true;
        s->modes = modes;
        s->has_modes = true;
        txn_clock_starts(s);
    }
    return NULL;
}

struct status *session_txn_statement(struct fiber *f, struct session *s, const void *node,
                                     struct sink *sink)
{
    const PgQuery__TransactionStmt *x = ((const PgQuery__Node *)node)->transaction_stmt;
    struct status *st = NULL;
    switch (x->kind) {
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
        if (s->is_failed) {
            return status_sql(
                INVALID, "25P02",
                "current transaction is aborted, commands ignored until end of transaction block");
        }
        TRY(begin_block(s, x));
        return sink->complete(f, sink,
                              x->kind == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN
                                  ? "BEGIN"
                                  : "START TRANSACTION");
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT: {
        bool is_commit = !s->is_failed;
        TRY(end_block(f, s, is_commit, x->chain));
        return sink->complete(f, sink, is_commit ? "COMMIT" : "ROLLBACK");
    }
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
        TRY(end_block(f, s, false, x->chain));
        return sink->complete(f, sink, "ROLLBACK");
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
        if (!s->in_block) {
            return need_block("SAVEPOINT");
        }
        TRY(session_need_txn(s, false, false));
        s->savepoints =
            mem_realloc(s->savepoints, sizeof(*s->savepoints) * (size_t)(s->savepoint_count + 1));
        s->savepoints[s->savepoint_count].name = mem_strdup(x->savepoint_name);
        s->savepoints[s->savepoint_count].undo_count = s->undo_count;
        s->savepoints[s->savepoint_count].portals = s->portal_serial;
        s->savepoints[s->savepoint_count].schema_mark =
            s->schema != NULL ? schema_mark(s->schema) : 0;
        s->savepoints[s->savepoint_count++].id = txn_savepoint(s->txn);
        replay_savepoint(s, REPLAY_SAVEPOINT, s->savepoints[s->savepoint_count - 1].id);
        return sink->complete(f, sink, "SAVEPOINT");
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE: {
        if (s->is_failed) {
            return status_sql(
                INVALID, "25P02",
                "current transaction is aborted, commands ignored until end of transaction block");
        }
        if (!s->in_block) {
            return need_block("RELEASE SAVEPOINT");
        }
        int at = find_savepoint(s, x->savepoint_name);
        if (at < 0) {
            return status_sql(NOT_FOUND, "3B001", "savepoint \"%s\" does not exist",
                              x->savepoint_name);
        }
        drop_savepoints(s, at);
        return sink->complete(f, sink, "RELEASE");
    }
    case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO: {
        if (!s->in_block) {
            return need_block("ROLLBACK TO SAVEPOINT");
        }
        int at = find_savepoint(s, x->savepoint_name);
        if (at < 0) {
            return status_sql(NOT_FOUND, "3B001", "savepoint \"%s\" does not exist",
                              x->savepoint_name);
        }
        if (s->is_doomed) {
            session_close_portals(f, s);
            return replay_differs();
        }
        portals_rollback_to(f, s, s->savepoints[at].portals);
        for (;;) {
            st = txn_rollback_to(f, s->txn, s->savepoints[at].id);
            if (st == NULL) {
                break;
            }
            TRY(replay_run(f, s, st));
        }
        replay_savepoint(s, REPLAY_ROLLBACK_TO, s->savepoints[at].id);
        if (s->schema != NULL) {
            schema_rollback_to(s->schema, s->savepoints[at].schema_mark);
        }
        s->is_failed = false;
        settings_undo_to(s, s->savepoints[at].undo_count);
        drop_savepoints(s, at + 1);
        return sink->complete(f, sink, "ROLLBACK");
    }
    default:
        return status_hint(status_new(UNSUPPORTED, "two-phase commit by clients is not supported"),
                           "Commit is atomic over all shards without PREPARE TRANSACTION.");
    }
}
