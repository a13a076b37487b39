/*
 * SQL cursors: DECLARE, FETCH, MOVE, CLOSE. A cursor is a portal of its own name (portals.c), read
 * forward within its transaction block.
 *
 * Not here, 0A000: SCROLL (going backward), WITH HOLD, BINARY.
 */
#include "session_internal.h"

#include "base/mem.h"

#include <pg_query/pg_query.pb-c.h>

#include <stdio.h>

/* enum bits of PostgreSQL's DECLARE CURSOR options */
#define OPT_BINARY 0x0001
#define OPT_SCROLL 0x0002
#define OPT_HOLD 0x0020

static struct status *not_found(const char *name)
{
    return status_sql(NOT_FOUND, "34000", "cursor \"%s\" does not exist", name);
}

static struct status *declare(struct fiber *f, struct session *s, struct slice sql,
                              struct parsed *p, int i)
{
    const PgQuery__DeclareCursorStmt *x =
        ((const PgQuery__Node *)parsed_node(p, i))->declare_cursor_stmt;
    struct slice name = slice_str(x->portalname);
    if (x->options & (OPT_BINARY | OPT_SCROLL | OPT_HOLD)) {
        return status_hint(status_new(UNSUPPORTED, "%s cursors are not supported",
                                      x->options & OPT_HOLD     ? "WITH HOLD"
                                      : x->options & OPT_SCROLL ? "SCROLL"
                                                                : "BINARY"),
                           "Cursors that go forward within a transaction are.");
    }
    if (!s->in_block) {
        return status_sql(INVALID, "25P01",
                          "DECLARE CURSOR can only be used in transaction blocks");
    }
    if (session_portal(s, name) != NULL) {
        return status_sql(ALREADY_EXISTS, "42P03", "cursor \"%s\" already exists", x->portalname);
    }
    struct plan *plan;
    TRY(session_plan(f, s, sql, &p, i, NULL, 0, &plan));
    portal_declare(s, name, sql, plan);
    struct portal *portal = session_portal(s, name);
    uint64_t none;
    bool is_end;
    return portal_fetch(f, s, portal, 0, NULL, &none,
                        &is_end); /* opens it: the snapshot is of now */
}

/* How many rows forward: of FETCH's count, or an error. */
static struct status *forward_count(const PgQuery__FetchStmt *x, int64_t *out)
{
    bool is_forward =
        x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_FORWARD ||
        (x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE && x->how_many == 1);
    if (x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_ABSOLUTE ||
        (x->direction == PG_QUERY__FETCH_DIRECTION__FETCH_RELATIVE && !is_forward &&
         x->how_many > 0)) {
        return status_hint(status_new(UNSUPPORTED, "FETCH to a position is not supported"),
                           "Use MOVE FORWARD.");
    }
    if (!is_forward || x->how_many <= 0) {
        return status_hint(status_sql(INVALID, "55000", "cursor can only scan forward"),
                           "Rows that were fetched are not kept.");
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
    TRY(forward_count(x, &count));
    if (!x->ismove) {
        const struct plan_column *cols;
        int n = plan_columns(p->plan, &cols);
        TRY(sink->columns(f, sink, cols, n));
    }
    uint64_t done;
    bool is_end;
    TRY(portal_fetch(f, s, p, count, x->ismove ? NULL : sink, &done, &is_end));
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
