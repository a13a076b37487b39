/* See client.h. */
#include "client.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST_TRIES 100

/* ---- results ---- */

static struct client *client_of(struct sink *s)
{
    return (struct client *)(void *)((char *)s - offsetof(struct client, sink));
}

static struct status *take_columns(struct fiber *f, struct sink *s, const struct plan_column *cols,
                                   int ncols)
{
    (void)f;
    struct client *c = client_of(s);
    struct sql_result *r = c->result;
    r->names = arena_alloc(c->arena, sizeof(char *) * ((size_t)ncols + 1));
    for (int i = 0; i < ncols; i++) {
        r->names[i] = arena_strdup(c->arena, cols[i].name);
    }
    r->ncols = ncols;
    r->nrows = 0;
    return NULL;
}

static struct status *take_rows(struct fiber *f, struct sink *s, const struct batch *b)
{
    (void)f;
    struct client *c = client_of(s);
    struct sql_result *r = c->result;
    for (int row = 0; row < b->nrows; row++) {
        if (r->nrows == r->cap) {
            int cap = r->cap == 0 ? 16 : r->cap * 2;
            const char **grown =
                arena_alloc(c->arena, sizeof(char *) * (size_t)cap * (size_t)(b->ncols + 1));
            if (r->nrows > 0) {
                memcpy(grown, r->cells, sizeof(char *) * (size_t)r->nrows * (size_t)b->ncols);
            }
            r->cells = grown;
            r->cap = cap;
        }
        r->ncols = b->ncols;
        for (int col = 0; col < b->ncols; col++) {
            const char **cell = &r->cells[r->nrows * b->ncols + col];
            *cell = NULL;
            if (!b->cols[col][row].is_null) {
                struct buf text = {0};
                session_output(c->session, b->types[col], &b->cols[col][row], &text);
                *cell = arena_strndup(c->arena, (const char *)text.data, text.len);
                buf_deinit(&text);
            }
        }
        r->nrows++;
    }
    return NULL;
}

static struct status *take_complete(struct fiber *f, struct sink *s, const char *tag)
{
    (void)f;
    struct sql_result *r = client_of(s)->result;
    snprintf(r->tag, sizeof(r->tag), "%s", tag);
    return NULL;
}

static struct status *take_empty(struct fiber *f, struct sink *s)
{
    (void)f;
    (void)s;
    return NULL;
}

static void take_notice(struct sink *s, const struct status *st, const char *severity)
{
    (void)s;
    (void)st;
    (void)severity;
}

static void take_parameter(struct sink *s, const char *name, const char *value)
{
    (void)s;
    (void)name;
    (void)value;
}

const char *sql_text(const struct sql_result *r, int row, int col)
{
    ASSERT(row < r->nrows && col < r->ncols);
    return r->cells[row * r->ncols + col];
}

int64_t sql_int(const struct sql_result *r, int row, int col)
{
    const char *text = sql_text(r, row, col);
    return text == NULL ? INT64_MIN : strtoll(text, NULL, 10);
}

int sql_affected(const struct sql_result *r)
{
    const char *last = strrchr(r->tag, ' ');
    return last == NULL ? 0 : atoi(last + 1);
}

/* ---- life ---- */

void client_init(struct client *c, struct cluster_node *n)
{
    *c = (struct client){.node = n, .arena = arena_create(0)};
    c->sink = (struct sink){.columns = take_columns,
                            .rows = take_rows,
                            .complete = take_complete,
                            .empty = take_empty,
                            .notice = take_notice,
                            .parameter = take_parameter};
}

void client_deinit(struct fiber *f, struct client *c)
{
    if (c->session != NULL) {
        session_close(f, c->session);
    }
    arena_destroy(c->arena);
}

static struct status *run(struct fiber *f, struct client *c, struct sql_result *out,
                          struct slice text)
{
    if (c->session == NULL) {
        struct session_options o = {.user = slice_str("sherd"), .database = slice_str("sherd")};
        TRY(session_open(f, c->node->router, &o, &c->session));
    }
    struct sql_result unused;
    c->result = out != NULL ? out : &unused;
    *c->result = (struct sql_result){0};
    struct status *st = session_simple(f, c->session, text, &c->sink);
    if (world.cluster.trace && st == NULL) {
        printf("%.6f n%d/%03x %.*s: %s\n", (double)now() / 1e9, (int)c->node->id,
               (unsigned)((uintptr_t)c >> 12 & 0xfff), (int)text.len, text.data, c->result->tag);
    }
    if (st != NULL) {
        session_failed(f, c->session);
        if (world.cluster.trace) {
            printf("  %.*s: %s %s\n", (int)text.len, text.data, st->sqlstate, st->message);
        }
    }
    return st;
}

static struct status *vsql(struct fiber *f, struct client *c, struct sql_result *out,
                           const char *fmt, va_list ap)
{
    char text[1024];
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    ASSERT(n > 0 && (size_t)n < sizeof(text));
    return run(f, c, out, slice_make(arena_strndup(c->arena, text, (size_t)n), (size_t)n));
}

struct status *sql(struct fiber *f, struct client *c, struct sql_result *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct status *st = vsql(f, c, out, fmt, ap);
    va_end(ap);
    return st;
}

void client_begin(struct fiber *f, struct client *c)
{
    if (c->session != NULL && session_txn_status(c->session) != 'I') {
        status_free(sql(f, c, NULL, "ROLLBACK"));
    }
    arena_reset(c->arena);
}

void sql_must(struct fiber *f, struct client *c, struct sql_result *out, const char *fmt, ...)
{
    struct status *st = NULL;
    for (int i = 0; i < MUST_TRIES; i++) {
        va_list ap;
        va_start(ap, fmt);
        status_free(st);
        st = vsql(f, c, out, fmt, ap);
        va_end(ap);
        if (st == NULL) {
            return;
        }
        status_free(fiber_sleep(f, 100000000));
    }
    cluster_stuck(&world.cluster, "\"%s\": %s %s", fmt, st->sqlstate, st->message);
}

/* ---- transactions ---- */

const char *sql_level(enum txn_isolation isolation)
{
    switch (isolation) {
    case TXN_READ_COMMITTED:
        return "ISOLATION LEVEL READ COMMITTED";
    case TXN_REPEATABLE_READ:
        return "ISOLATION LEVEL REPEATABLE READ";
    case TXN_SERIALIZABLE:
        break;
    }
    return "ISOLATION LEVEL SERIALIZABLE";
}

bool sql_is(const struct status *st, const char *sqlstate)
{
    return st != NULL && strcmp(st->sqlstate, sqlstate) == 0;
}

enum told sql_end(struct fiber *f, struct client *c, struct status *st)
{
    if (st == NULL) {
        return world_outcome(sql(f, c, NULL, "COMMIT"));
    }
    status_free(st); /* whatever it is: no COMMIT was sent */
    world.aborted++;
    status_free(sql(f, c, NULL, "ROLLBACK"));
    return TOLD_ABORTED;
}
