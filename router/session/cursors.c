/*
 * SQL cursors: DECLARE, FETCH, MOVE, CLOSE. A cursor is a portal of its own name (portals.c). It is
 * read forward; SCROLL: in any direction, from memory, where all of its rows are put at once. WITH
 * HOLD: what is left goes to memory at the commit, and stays until CLOSE or the end of the session.
 * Transactions with these two kinds are not replayed after a conflict.
 *
 * Not here, 0A000: BINARY, WHERE CURRENT OF.
 */
#include "session_internal.h"

#include "base/mem.h"

#include <pg_query/pg_query.pb-c.h>

#include <stdio.h>

/* enum bits of PostgreSQL's DECLARE CURSOR options */
#define OPT_BINARY 0x0001
#define OPT_SCROLL 0x0002
#define OPT_INSENSITIVE 0x0008
#define OPT_HOLD 0x0020

static struct status *not_found(const char *name)
{
    return status_sql(NOT_FOUND, "34000", "cursor \"%s\" does not exist", name);
}

static struct status *not_for_update(const char *what, const char *kind)
{
    return status_detail(status_new(UNSUPPORTED, "%s ... FOR UPDATE is not supported", what),
                         "%s cursors must be READ ONLY.", kind);
}

/* Not through the plan cache, where the text stands for the statement itself. */
static struct status *plan_query(struct fiber *f, struct session *s, struct parsed *p, int i,
                                 struct plan **out)
{
    struct status *st = NULL;
    bool is_again = false;
    for (int tries = 0; tries == 0 || is_again; tries++) {
        struct catalog *c = session_catalog(s);
        struct plan_env env;
        bool looked_up = false;
        session_env(s, c, &env);
        env.looked_up = &looked_up;
        st = plan_statement(f, &env, p, i, NULL, 0, out);
        catalog_unref(c);
        is_again = false;
        if (tries > 0) {
            break;
        }
        if (st != NULL) {
            st = session_catch_up(f, s, st, looked_up, &is_again);
            continue;
        }
        bool is_new;
        st = session_plan_is_new(f, s, *out, &is_new);
        if (st != NULL || !is_new) {
            plan_unref(*out);
            *out = NULL;
        }
        is_again = st == NULL && !is_new;
    }
    return st;
}

static struct status *declare(struct fiber *f, struct session *s, struct slice sql,
                              struct parsed *p, int i)
{
    const PgQuery__DeclareCursorStmt *x =
        ((const PgQuery__Node *)parsed_node(p, i))->declare_cursor_stmt;
    struct slice name = slice_str(x->portalname);
    bool is_hold = x->options & OPT_HOLD, is_scroll = x->options & OPT_SCROLL;
    if (x->options & OPT_BINARY) {
        return status_hint(status_new(UNSUPPORTED, "BINARY cursors are not supported"),
                           "The extended protocol gives results in binary form.");
    }
    if (!is_hold && !s->in_block) {
        return status_sql(INVALID, "25P01",
                          "DECLARE CURSOR can only be used in transaction blocks");
    }
    if (session_portal(s, name) != NULL) {
        return status_sql(ALREADY_EXISTS, "42P03", "cursor \"%s\" already exists", x->portalname);
    }
    struct plan *plan = NULL;
    TRY(plan_query(f, s, p, i, &plan));
    if (!plan_is_read_only(plan) && (is_hold || is_scroll || x->options & OPT_INSENSITIVE)) {
        plan_unref(plan);
        return is_hold ? not_for_update("DECLARE CURSOR WITH HOLD", "Holdable")
               : is_scroll
                   ? not_for_update("DECLARE SCROLL CURSOR", "Scrollable")
                   : status_detail(status_sql(INVALID, "42P11",
                                              "DECLARE INSENSITIVE CURSOR ... FOR UPDATE is not "
                                              "valid"),
                                   "Insensitive cursors must be READ ONLY.");
    }
    struct portal *portal = portal_declare(s, name, sql, plan);
    portal->is_scroll = is_scroll;
    portal->is_hold = is_hold;
    if (is_scroll || is_hold) {
        replay_give_up(s);
    }
    uint64_t none;
    bool is_end;
    /* Opens it: the snapshot is of now. */
    TRY(portal_fetch(f, s, portal, 0, NULL, &none, &is_end));
    return is_scroll || !s->in_block ? portal_spool(f, s, portal) : NULL;
}

/* ---- SCROLL ---- */

/* Rows to give, from row `first` of 1 to N, upwards or downwards, and where the cursor stands then
 * (0: before the first, N + 1: after the last). */
struct move {
    int64_t first, count, to;
    bool is_down;
};

static struct move to_row(int64_t row, int64_t n)
{
    if (row < 1 || row > n) {
        return (struct move){.to = row < 1 ? 0 : n + 1};
    }
    return (struct move){.first = row, .count = 1, .to = row};
}

static int64_t add_clamped(int64_t a, int64_t b, int64_t n)
{
    return b > n - a + 1 ? n + 1 : b < -a ? 0 : a + b;
}

static struct move scroll(const PgQuery__FetchStmt *x, int64_t at, int64_t n)
{
    int64_t k = x->how_many;
    bool is_down = x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_BACKWARD;
    switch (x->direction) {
    case PG_QUERY__FETCH_DIRECTION__FETCH_ABSOLUTE:
        return to_row(k >= 0 ? k : k < -n ? 0 : n + 1 + k, n);
    case PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE:
        return to_row(add_clamped(at, k, n), n);
    default:
        break;
    }
    if (k < 0) {
        is_down = !is_down;
        k = k == INT64_MIN ? INT64_MAX : -k;
    }
    if (k == 0) { /* the row it stands on, again */
        struct move m = to_row(at, n);
        m.to = at;
        return m;
    }
    int64_t left = is_down ? at - 1 : n - at; /* rows in that direction */
    left = left < 0 ? 0 : left;
    struct move m = {
        .first = is_down ? at - 1 : at + 1, .count = k < left ? k : left, .is_down = is_down};
    m.to = k > left ? (is_down ? 0 : n + 1) : (is_down ? at - k : at + k);
    return m;
}

static struct status *scroll_fetch(struct fiber *f, struct portal *p, const PgQuery__FetchStmt *x,
                                   struct sink *sink, uint64_t *out_count)
{
    struct move m = scroll(x, p->at, p->spool.rows);
    *out_count = (uint64_t)m.count;
    for (int64_t done = 0, n = 0; done < m.count && !x->ismove; done += n) {
        int row;
        const struct batch *b =
            spool_find(&p->spool, m.first - 1 + (m.is_down ? -done : done), &row);
        n = m.is_down ? 1 : b->nrows - row;
        n = n < m.count - done ? n : m.count - done;
        struct datum **cols = mem_alloc(sizeof(*cols) * (size_t)(b->ncols + 1));
        struct batch part = execute_batch_part(b, row, (int)n, cols);
        struct status *st = sink->rows(f, sink, &part);
        mem_free(cols);
        TRY(st);
    }
    p->at = m.to;
    return NULL;
}

/* ---- forward ---- */

/* How many rows forward: of FETCH's count, or an error. */
static struct status *forward_count(const PgQuery__FetchStmt *x, int64_t *out)
{
    bool is_forward =
        x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD ||
        (x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE && x->how_many == 1);
    if (x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_ABSOLUTE ||
        (x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE && !is_forward &&
         x->how_many > 0)) {
        return status_hint(status_new(UNSUPPORTED, "FETCH to a position needs a SCROLL cursor"),
                           "Declare it with SCROLL, or use MOVE FORWARD.");
    }
    if (!is_forward || x->how_many <= 0) {
        return status_hint(status_sql(INVALID, "55000", "cursor can only scan forward"),
                           "Declare it with SCROLL option to enable backward scan.");
    }
    *out = x->how_many;
    return NULL;
}

static struct status *fetch(struct fiber *f, struct session *s, const PgQuery__FetchStmt *x,
                            struct sink *sink)
{
    struct portal *p = session_portal(s, slice_str(x->portalname));
    if (p == NULL) {
        return not_found(x->portalname);
    }
    int64_t count = 0;
    if (!p->is_scroll) {
        TRY(forward_count(x, &count));
    }
    if (!x->ismove) {
        const struct plan_column *cols;
        int n = plan_columns(p->plan, &cols);
        TRY(sink->columns(f, sink, cols, n));
    }
    uint64_t done;
    bool is_end;
    if (p->is_scroll) {
        TRY(scroll_fetch(f, p, x, sink, &done));
    } else {
        TRY(portal_fetch(f, s, p, count, x->ismove ? NULL : sink, &done, &is_end));
    }
    char tag[64];
    snprintf(tag, sizeof(tag), "%s %llu", x->ismove ? "MOVE" : "FETCH", (unsigned long long)done);
    return sink->complete(f, sink, tag);
}

struct status *cursor_statement(struct fiber *f, struct session *s, struct slice sql,
                                struct parsed *p, int i, struct sink *sink)
{
    const PgQuery__Node *n = parsed_node(p, i);
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
        TRY(declare(f, s, sql, p, i));
        return sink->complete(f, sink, "DECLARE CURSOR");
    case PG_QUERY__NODE__NODE_FETCH_STMT:
        return fetch(f, s, n->fetch_stmt, sink);
    default:
        break;
    }
    const char *name = n->close_portal_stmt->portalname;
    if (name == NULL || name[0] == '\0') {
        portal_close_cursors(f, s);
        return sink->complete(f, sink, "CLOSE CURSOR ALL");
    }
    if (session_portal(s, slice_str(name)) == NULL) {
        return not_found(name);
    }
    session_close_portal(f, s, slice_str(name));
    return sink->complete(f, sink, "CLOSE CURSOR");
}

struct plan *cursor_fetch_plan(struct session *s, const void *node)
{
    const PgQuery__Node *n = node;
    if (n->node_case != PG_QUERY__NODE__NODE_FETCH_STMT || n->fetch_stmt->ismove) {
        return NULL;
    }
    struct portal *p = session_portal(s, slice_str(n->fetch_stmt->portalname));
    return p != NULL && p->plan != NULL ? plan_ref(p->plan) : NULL;
}
