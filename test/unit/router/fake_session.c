/* See fake_session.h. */
#include "fake_session.h"

#include "base/mem.h"
#include "router/router.h"

#include <stdio.h>
#include <stdlib.h>

struct router {
    struct loop *loop;
    struct list sessions;
    int count;
};

struct prepared {
    struct list link;
    char *name, *sql;
    type_oid *types;
    int nparams;
};

struct portal {
    struct list link;
    char *name;
    struct prepared *prepared;
    struct arena *arena;
    struct datum *params;
    int nparams;
    int16_t *formats;
    int nformats;
    int sent;
};

struct session {
    struct list link, prepared, portals;
    struct router *router;
    uint32_t id;
    uint64_t secret;
    struct fiber *running;
    struct arena *bind_arena;
    bool in_block, is_failed;
};

struct fake_counts fake_counts;
struct config fake_config = {
    .sql_connections_max = 3, .statement_mb = 1, .auth = (char *)(uintptr_t) "trust"};
const char *fake_verifier;
char fake_idle_timeout[16] = "0";

struct router *fake_router(struct loop *l)
{
    static struct router r;
    r = (struct router){.loop = l};
    list_head_init(&r.sessions);
    return &r;
}

struct loop *router_loop(struct router *r)
{
    return r->loop;
}

const struct config *router_config(struct router *r)
{
    (void)r;
    return &fake_config;
}

struct catalog_cache *router_catalog(struct router *r)
{
    (void)r;
    return NULL;
}

struct catalog *catalog_current(struct catalog_cache *cc)
{
    (void)cc;
    return NULL;
}

void catalog_unref(struct catalog *c)
{
    (void)c;
}

const Sherd__V1__RoleDesc *catalog_role(const struct catalog *c, struct slice name)
{
    static Sherd__V1__RoleDesc role;
    (void)c;
    if (!slice_eq(name, slice_str("scram"))) {
        return NULL;
    }
    role = (Sherd__V1__RoleDesc)SHERD__V1__ROLE_DESC__INIT;
    role.login = true;
    role.scram_verifier = (char *)(uintptr_t)fake_verifier;
    return &role;
}

const char *router_verifier(struct router *r, const Sherd__V1__RoleDesc *role)
{
    (void)r;
    return role != NULL ? role->scram_verifier : NULL;
}

/* ---- session ---- */

struct status *session_open(struct fiber *f, struct router *r, const struct session_options *o,
                            struct session **out)
{
    (void)f;
    if (r->count >= (int)fake_config.sql_connections_max) {
        return status_sql(LIMIT, "53300", "sorry, too many clients already");
    }
    if (slice_eq(o->database, slice_str("nodb"))) {
        return status_sql(NOT_FOUND, "3D000", "database \"nodb\" does not exist");
    }
    static uint32_t ids = 100;
    struct session *s = MEM_NEW(struct session);
    s->router = r;
    s->id = ++ids;
    s->secret = UINT64_C(0x1122334455667788) + ids;
    list_head_init(&s->prepared);
    list_head_init(&s->portals);
    list_push_back(&r->sessions, &s->link);
    r->count++;
    fake_counts.open++;
    *out = s;
    return NULL;
}

static void portal_free(struct portal *p)
{
    list_unlink(&p->link);
    arena_destroy(p->arena);
}

static void close_portals(struct session *s)
{
    LIST_FOREACH_SAFE(it, tmp, &s->portals)
    {
        portal_free(LIST_ITEM(it, struct portal, link));
    }
}

static void prepared_free(struct prepared *p)
{
    list_unlink(&p->link);
    mem_free(p->name);
    mem_free(p->sql);
    mem_free(p->types);
    mem_free(p);
}

void session_close(struct fiber *f, struct session *s)
{
    (void)f;
    close_portals(s);
    LIST_FOREACH_SAFE(it, tmp, &s->prepared)
    {
        prepared_free(LIST_ITEM(it, struct prepared, link));
    }
    arena_destroy(s->bind_arena);
    list_unlink(&s->link);
    s->router->count--;
    fake_counts.closed++;
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
        if (s->id == id && s->secret == secret && s->running != NULL) {
            fake_counts.cancelled++;
            fiber_cancel(s->running);
        }
    }
}

struct status *session_set(struct session *s, struct slice name, struct slice value)
{
    (void)s;
    if (slice_eq(name, slice_str("TimeZone")) && !slice_eq(value, slice_str("UTC"))) {
        return status_new(UNSUPPORTED, "time zone is not supported");
    }
    if (slice_eq(name, slice_str("unknown_setting"))) {
        return status_sql(NOT_FOUND, "42704",
                          "unrecognized configuration parameter \"unknown_setting\"");
    }
    return NULL;
}

uint64_t session_idle_ms(struct session *s, struct status **out)
{
    *out = NULL;
    if (session_txn_status(s) == 'I' || strcmp(fake_idle_timeout, "0") == 0) {
        return 0;
    }
    *out =
        status_sql(TIMEOUT, "25P03", "terminating connection due to idle-in-transaction timeout");
    return strtoul(fake_idle_timeout, NULL, 10);
}

const char *session_setting(struct session *s, const char *name)
{
    (void)s;
    return strcmp(name, "timezone") == 0 ? "UTC" : NULL;
}

char session_txn_status(const struct session *s)
{
    return s->is_failed ? 'E' : s->in_block ? 'T' : 'I';
}

void session_failed(struct fiber *f, struct session *s)
{
    (void)f;
    fake_counts.failed++;
    s->is_failed = s->in_block;
    if (!s->in_block) {
        close_portals(s);
    }
}

struct status *session_sync(struct fiber *f, struct session *s)
{
    (void)f;
    fake_counts.synced++;
    if (!s->in_block) {
        close_portals(s);
    }
    return NULL;
}

void session_expect_sync(struct session *s)
{
    (void)s;
    fake_counts.expected_sync++;
}

/* ---- statements ---- */

static const struct plan_column two_columns[] = {{.name = "i", .type = TYPE_INT4, .typmod = -1},
                                                 {.name = "t", .type = TYPE_TEXT, .typmod = -1}};

static struct status *send_rows(struct fiber *f, struct sink *sink, int from, int to, size_t width)
{
    static const uint32_t types[] = {TYPE_INT4, TYPE_TEXT};
    for (int i = from; i < to;) {
        struct arena *a = arena_create(0);
        struct batch *b = batch_create(a, 2, types, 100);
        for (; i < to && b->nrows < 100; i++, b->nrows++) {
            char *text = arena_zalloc(a, width + 24);
            snprintf(text, 24, "row %d", i);
            if (width > 0) {
                memset(text, 'x', width);
            }
            b->cols[0][b->nrows] = datum_int(i);
            b->cols[1][b->nrows] = datum_bytes(slice_str(text));
        }
        struct status *st = sink->rows(f, sink, b);
        arena_destroy(a);
        TRY(st);
    }
    return NULL;
}

static struct status *copy_statement(struct fiber *f, struct sink *sink, bool is_bad)
{
    struct copy_spec spec = {.is_from = true, .ncols = 2};
    size_t total = 0;
    TRY(sink->copy_in(f, sink, &spec));
    for (;;) {
        struct slice piece;
        TRY(sink->copy_read(f, sink, &piece));
        if (piece.len == 0) {
            break;
        }
        total += piece.len;
        if (is_bad) {
            return status_sql(INVALID, "22P04", "missing data for column \"t\"");
        }
    }
    char tag[40];
    snprintf(tag, sizeof tag, "COPY %zu", total);
    return sink->complete(f, sink, tag);
}

static struct status *copy_out(struct fiber *f, struct sink *sink)
{
    struct copy_spec spec = {.ncols = 2};
    TRY(sink->copy_out(f, sink, &spec));
    TRY(sink->copy_write(f, sink, slice_str("1\ta\n")));
    TRY(sink->copy_write(f, sink, slice_str("2\tb\n")));
    TRY(sink->copy_end(f, sink));
    return sink->complete(f, sink, "COPY 2");
}

static struct status *fail(void)
{
    struct status *st = status_sql(INVALID, "42601", "syntax error at or near \"fail\"");
    return status_at(status_hint(status_detail(st, "A detail."), "A hint."), 3);
}

static struct status *run(struct fiber *f, struct session *s, const char *sql, struct sink *sink)
{
    int n = 0;
    char tag[40];
    if (s->is_failed && strcmp(sql, "commit") != 0) {
        return status_sql(INVALID, "25P02", "current transaction is aborted");
    }
    if (sscanf(sql, "rows %d", &n) == 1 || sscanf(sql, "big %d", &n) == 1) {
        TRY(sink->columns(f, sink, two_columns, 2));
        TRY(send_rows(f, sink, 0, n, sql[0] == 'b' ? 1000 : 0));
        snprintf(tag, sizeof tag, "SELECT %d", n);
        return sink->complete(f, sink, tag);
    }
    if (strcmp(sql, "fail") == 0) {
        return fail();
    }
    if (strcmp(sql, "begin") == 0) {
        s->in_block = true;
        return sink->complete(f, sink, "BEGIN");
    }
    if (strcmp(sql, "commit") == 0) {
        s->in_block = s->is_failed = false;
        return sink->complete(f, sink, "COMMIT");
    }
    if (strcmp(sql, "park") == 0) {
        struct status *st = fiber_park(f);
        if (status_is(st, STATUS_CANCELLED)) {
            status_free(st);
            fiber_cancel_clear(f);
            return status_sql(CANCELLED, "57014", "canceling statement due to user request");
        }
        return st;
    }
    if (strcmp(sql, "notice") == 0) {
        struct status *st = status_sql(INVALID, "01000", "take care");
        sink->notice(sink, st, "WARNING");
        status_free(st);
        return sink->complete(f, sink, "NOTICE");
    }
    if (strcmp(sql, "set") == 0) {
        sink->parameter(sink, "TimeZone", "UTC");
        return sink->complete(f, sink, "SET");
    }
    if (strcmp(sql, "copyin") == 0 || strcmp(sql, "copybad") == 0) {
        return copy_statement(f, sink, sql[4] == 'b');
    }
    if (strcmp(sql, "copyout") == 0) {
        return copy_out(f, sink);
    }
    return status_sql(INVALID, "42601", "unknown word \"%s\"", sql);
}

static struct status *run_all(struct fiber *f, struct session *s, struct slice sql,
                              struct sink *sink)
{
    char *text = mem_strndup(sql.data, sql.len), *rest = text, *word;
    struct status *st = NULL;
    if (sql.len == 0) {
        st = sink->empty(f, sink);
    }
    while (st == NULL && sql.len > 0 && (word = strsep(&rest, ";")) != NULL) {
        while (*word == ' ') {
            word++;
        }
        st = run(f, s, word, sink);
    }
    mem_free(text);
    return st;
}

struct status *session_simple(struct fiber *f, struct session *s, struct slice sql,
                              struct sink *sink)
{
    s->running = f;
    struct status *st = run_all(f, s, sql, sink);
    s->running = NULL;
    return st;
}

/* ---- extended ---- */

struct prepared *session_prepared(struct session *s, struct slice name)
{
    LIST_FOREACH(it, &s->prepared)
    {
        struct prepared *p = LIST_ITEM(it, struct prepared, link);
        if (slice_eq(name, slice_str(p->name))) {
            return p;
        }
    }
    return NULL;
}

struct status *session_prepare(struct fiber *f, struct session *s, struct slice name,
                               struct slice sql, const type_oid *param_types, int nparams)
{
    (void)f;
    (void)param_types;
    (void)nparams;
    if (slice_eq(sql, slice_str("fail"))) {
        return fail();
    }
    struct prepared *old = session_prepared(s, name);
    if (old != NULL) {
        prepared_free(old);
    }
    struct prepared *p = MEM_NEW(struct prepared);
    p->name = mem_strndup(name.data, name.len);
    p->sql = mem_strndup(sql.data, sql.len);
    for (size_t i = 0; i < sql.len; i++) {
        p->nparams += sql.data[i] == '$';
    }
    p->types = mem_alloc(sizeof *p->types * (size_t)(p->nparams + 1));
    for (int i = 0; i < p->nparams; i++) {
        p->types[i] = i % 2 == 0 ? TYPE_INT4 : TYPE_TEXT;
    }
    list_push_back(&s->prepared, &p->link);
    return NULL;
}

int prepared_params(const struct prepared *p, const type_oid **out)
{
    *out = p->types;
    return p->nparams;
}

int prepared_columns(const struct prepared *p, const struct plan_column **out)
{
    *out = two_columns;
    return strncmp(p->sql, "rows", 4) == 0 || strncmp(p->sql, "echo", 4) == 0 ? 2 : 0;
}

void session_close_prepared(struct session *s, struct slice name)
{
    struct prepared *p = session_prepared(s, name);
    if (p != NULL) {
        prepared_free(p);
    }
}

struct arena *session_bind_arena(struct session *s)
{
    if (s->bind_arena == NULL) {
        s->bind_arena = arena_create(0);
    }
    return s->bind_arena;
}

struct portal *session_portal(struct session *s, struct slice name)
{
    LIST_FOREACH(it, &s->portals)
    {
        struct portal *p = LIST_ITEM(it, struct portal, link);
        if (slice_eq(name, slice_str(p->name))) {
            return p;
        }
    }
    return NULL;
}

struct status *session_bind(struct fiber *f, struct session *s, struct slice portal,
                            struct prepared *prepared, const struct datum *params, int nparams,
                            const int16_t *formats, int nformats)
{
    session_close_portal(f, s, portal);
    struct arena *a = session_bind_arena(s);
    struct portal *p = ARENA_NEW(a, struct portal);
    s->bind_arena = NULL;
    p->arena = a;
    p->name = arena_strndup(a, portal.data, portal.len);
    p->prepared = prepared;
    p->params = ARENA_ARRAY(a, struct datum, nparams + 1);
    memcpy(p->params, params, sizeof *params * (size_t)nparams);
    p->nparams = nparams;
    p->formats = ARENA_ARRAY(a, int16_t, nformats + 1);
    memcpy(p->formats, formats, sizeof *formats * (size_t)nformats);
    p->nformats = nformats;
    list_push_back(&s->portals, &p->link);
    return NULL;
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

void session_close_portal(struct fiber *f, struct session *s, struct slice name)
{
    struct portal *p = session_portal(s, name);
    (void)f;
    if (p != NULL) {
        portal_free(p);
    }
}

static struct status *echo(struct fiber *f, struct portal *p, struct sink *sink)
{
    static const uint32_t types[] = {TYPE_INT4, TYPE_TEXT};
    struct batch *b = batch_create(p->arena, 2, types, 1);
    b->nrows = 1;
    for (int i = 0; i < 2; i++) {
        b->cols[i][0] = i < p->nparams ? p->params[i] : DATUM_NULL;
    }
    TRY(sink->rows(f, sink, b));
    return sink->complete(f, sink, "SELECT 1");
}

static struct status *execute(struct fiber *f, struct session *s, struct portal *p,
                              int64_t max_rows, struct sink *sink, bool *out_suspended)
{
    int n;
    const char *sql = p->prepared->sql;
    if (strncmp(sql, "echo", 4) == 0) {
        return echo(f, p, sink);
    }
    if (sscanf(sql, "rows %d", &n) == 1) {
        int to = max_rows > 0 && p->sent + max_rows < n ? p->sent + (int)max_rows : n;
        TRY(send_rows(f, sink, p->sent, to, 0));
        char tag[40];
        snprintf(tag, sizeof tag, "SELECT %d", to - p->sent);
        p->sent = to;
        *out_suspended = to < n;
        return to < n ? NULL : sink->complete(f, sink, tag);
    }
    return run_all(f, s, slice_str(sql), sink);
}

void session_output(struct session *s, type_oid type, const struct datum *d, struct buf *out)
{
    (void)s;
    type_output(type, d, out);
}

struct status *session_execute(struct fiber *f, struct session *s, struct portal *p,
                               int64_t max_rows, struct sink *sink, bool *out_suspended)
{
    s->running = f;
    struct status *st = execute(f, s, p, max_rows, sink, out_suspended);
    s->running = NULL;
    return st;
}
