/*
 * sherd.v1.Sql over gRPC: sessions by secret handle, statements with streamed results.
 *
 * A session serves one request at a time (a mutex between fibers); it ends when closed, or after
 * IDLE_MS without a request, or when one of its own idle timeouts has passed (looked at each
 * second). An Execute without a session runs in one of its own.
 */
#include "grpc_login.h"

#include "base/check.h"
#include "base/mem.h"

#include "sherd/v1/sql.pb-c.h"

#include <stdio.h>
#include <uthash.h>

#define HANDLE_BYTES 16
#define IDLE_MS 600000
#define SWEEP_MS 1000
#define ROWS_PER_MESSAGE 256

struct remote_session {
    uint8_t handle[HANDLE_BYTES];
    struct session *session;
    struct fmutex mutex;
    uint64_t used_ns;
    int users; /* requests that hold or wait for it */
    bool is_closed;
    UT_hash_handle hh;
};

struct service {
    struct loop *loop;
    struct router **router;
    struct remote_session *sessions;
    struct grpc_login *login;
    struct timer sweep;
};

static struct service *service; /* one per process */

static struct status *ready(const struct service *v)
{
    return *v->router != NULL && v->login != NULL
               ? NULL
               : status_hint(status_new(UNAVAILABLE, "the node is starting, or has no router role"),
                             "Try again, or another node.");
}

/* ---- sessions ---- */

static struct status *open_session(struct fiber *f, struct service *v,
                                   const struct rpc_context *ctx, const char *user,
                                   const char *database, struct session **out)
{
    user = user[0] != '\0' ? user : "sherd";
    TRY(grpc_login_check(f, v->login, *v->router, user, ctx->authorization));
    TRY(ready(v)); /* it may have gone meanwhile */
    struct session_options o = {.user = slice_str(user),
                                .database = slice_str(database[0] != '\0' ? database : "sherd"),
                                .application_name = slice_str("grpc"),
                                .client = "grpc"};
    return session_open(f, *v->router, &o, out);
}

static struct status *acquire(struct fiber *f, struct service *v, const ProtobufCBinaryData *handle,
                              struct remote_session **out)
{
    struct remote_session *r = NULL;
    if (handle->len == HANDLE_BYTES) {
        HASH_FIND(hh, v->sessions, handle->data, HANDLE_BYTES, r);
    }
    if (r == NULL || r->is_closed) {
        return status_hint(status_sql(NOT_FOUND, "08003", "there is no such session"),
                           "It was closed, or has been idle for too long: open a new one.");
    }
    r->users++;
    struct status *st = fmutex_lock(f, &r->mutex);
    if (st != NULL) {
        r->users--;
        return st;
    }
    r->used_ns = loop_now_ns(v->loop);
    *out = r;
    return NULL;
}

static void remove_session(struct fiber *f, struct service *v, struct remote_session *r)
{
    HASH_DEL(v->sessions, r);
    session_close(f, r->session);
    mem_free(r);
}

static void release(struct fiber *f, struct service *v, struct remote_session *r)
{
    r->used_ns = loop_now_ns(v->loop);
    fmutex_unlock(&r->mutex);
    if (--r->users == 0 && r->is_closed) {
        remove_session(f, v, r);
    }
}

static void sweep_fiber(struct fiber *f, void *arg)
{
    struct service *v = arg;
    uint64_t now = loop_now_ns(v->loop);
    struct remote_session *r, *tmp;
    HASH_ITER(hh, v->sessions, r, tmp)
    {
        struct status *why;
        uint64_t ms = r->users == 0 ? session_idle_ms(r->session, &why) : 0;
        if (r->users == 0) {
            status_free(why);
            ms = ms == 0 || ms > IDLE_MS ? IDLE_MS : ms;
            if (now - r->used_ns > ms_to_ns(ms)) {
                remove_session(f, v, r);
            }
        }
    }
    timer_start(v->loop, &v->sweep, ms_to_ns(SWEEP_MS));
}

static void sweep(struct timer *t)
{
    struct service *v = CONTAINER_OF(t, struct service, sweep);
    fiber_spawn(v->loop, FIBER_STACK_SMALL, sweep_fiber, v);
}

static struct status *handle_open(struct fiber *f, struct rpc_context *ctx, const void *request,
                                  void **out_reply, void *handler_ctx)
{
    struct service *v = handler_ctx;
    const Sherd__V1__OpenSessionRequest *q = request;
    TRY(ready(v));
    struct session *s;
    TRY(open_session(f, v, ctx, q->user, q->database, &s));
    for (size_t i = 0; i < q->n_settings; i++) {
        struct status *st =
            session_set(s, slice_str(q->settings[i]->key), slice_str(q->settings[i]->value));
        if (st != NULL) {
            session_close(f, s);
            return st;
        }
    }
    struct remote_session *r = MEM_NEW(struct remote_session);
    r->session = s;
    fmutex_init(&r->mutex);
    r->used_ns = loop_now_ns(v->loop);
    set_u64(r->handle, loop_random(v->loop));
    set_u64(r->handle + 8, loop_random(v->loop));
    HASH_ADD(hh, v->sessions, handle, HANDLE_BYTES, r);
    Sherd__V1__OpenSessionReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__OpenSessionReply);
    sherd__v1__open_session_reply__init(reply);
    struct slice h = arena_copy(ctx->arena, slice_make(r->handle, HANDLE_BYTES));
    reply->session.data = (uint8_t *)(uintptr_t)h.data;
    reply->session.len = h.len;
    reply->server_version = arena_strdup(ctx->arena, "0.1.0");
    *out_reply = reply;
    return NULL;
}

static struct status *handle_close(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *handler_ctx)
{
    struct service *v = handler_ctx;
    const Sherd__V1__CloseSessionRequest *q = request;
    struct remote_session *r;
    TRY(acquire(f, v, &q->session, &r));
    r->is_closed = true;
    release(f, v, r);
    Sherd__V1__CloseSessionReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__CloseSessionReply);
    sherd__v1__close_session_reply__init(reply);
    *out_reply = reply;
    return NULL;
}

static struct status *handle_cancel(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, void *handler_ctx)
{
    (void)f;
    struct service *v = handler_ctx;
    const Sherd__V1__CancelRequest *q = request;
    struct remote_session *r = NULL;
    if (q->session.len == HANDLE_BYTES) {
        HASH_FIND(hh, v->sessions, q->session.data, HANDLE_BYTES, r);
    }
    if (r != NULL && *v->router != NULL) {
        session_cancel(*v->router, session_id(r->session), session_secret(r->session));
    }
    Sherd__V1__CancelReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__CancelReply);
    sherd__v1__cancel_reply__init(reply);
    *out_reply = reply;
    return NULL;
}

/* ---- results ---- */

static Sherd__V1__Column **make_columns(struct arena *a, const struct plan_column *cols, int n)
{
    Sherd__V1__Column **out = ARENA_ARRAY(a, Sherd__V1__Column *, n + 1);
    for (int i = 0; i < n; i++) {
        out[i] = ARENA_NEW(a, Sherd__V1__Column);
        sherd__v1__column__init(out[i]);
        out[i]->name = arena_strdup(a, cols[i].name);
        out[i]->type = cols[i].type;
        out[i]->typmod = cols[i].typmod;
        out[i]->table = cols[i].table_oid;
        out[i]->attnum = cols[i].attnum;
    }
    return out;
}

static struct status *handle_prepare(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, void *handler_ctx)
{
    struct service *v = handler_ctx;
    const Sherd__V1__PrepareStatementRequest *q = request;
    TRY(ready(v));
    struct remote_session *r;
    TRY(acquire(f, v, &q->session, &r));
    struct status *st = session_prepare(f, r->session, slice_str(q->name), slice_str(q->sql),
                                        q->param_types, (int)q->n_param_types);
    if (st == NULL) {
        struct prepared *p = session_prepared(r->session, slice_str(q->name));
        Sherd__V1__PrepareStatementReply *reply =
            ARENA_NEW(ctx->arena, Sherd__V1__PrepareStatementReply);
        sherd__v1__prepare_statement_reply__init(reply);
        const type_oid *types;
        const struct plan_column *cols;
        int n = prepared_params(p, &types);
        reply->n_param_types = (size_t)n;
        reply->param_types = ARENA_ARRAY(ctx->arena, uint32_t, n + 1);
        for (int i = 0; i < n; i++) {
            reply->param_types[i] = types[i];
        }
        n = prepared_columns(p, &cols);
        reply->n_columns = (size_t)n;
        reply->columns = make_columns(ctx->arena, cols, n);
        *out_reply = reply;
    } else {
        session_failed(f, r->session);
    }
    release(f, v, r);
    return st;
}

struct grpc_sink {
    struct sink sink;
    struct grpc_stream *stream;
    struct session *session;
    bool binary;
    int rows_per_message;
    uint64_t row_count;
    struct arena *arena; /* of one message */
    struct list notices;
};

static struct status *sink_columns(struct fiber *f, struct sink *s, const struct plan_column *cols,
                                   int ncols)
{
    struct grpc_sink *g = CONTAINER_OF(s, struct grpc_sink, sink);
    arena_reset(g->arena);
    Sherd__V1__ExecuteReply m = SHERD__V1__EXECUTE_REPLY__INIT;
    m.n_columns = (size_t)ncols;
    m.columns = make_columns(g->arena, cols, ncols);
    g->row_count = 0;
    return grpc_stream_send(f, g->stream, &m.base);
}

static void make_value(struct grpc_sink *g, struct buf *scratch, type_oid type,
                       const struct datum *d, Sherd__V1__Value *out)
{
    sherd__v1__value__init(out);
    if (d->is_null) {
        out->kind_case = SHERD__V1__VALUE__KIND_NULL;
        out->null = true;
        return;
    }
    buf_clear(scratch);
    if (g->binary) {
        type_send(type, d, scratch);
        struct slice s = arena_copy(g->arena, buf_slice(scratch));
        out->kind_case = SHERD__V1__VALUE__KIND_BINARY;
        out->binary.data = (uint8_t *)(uintptr_t)s.data;
        out->binary.len = s.len;
    } else {
        session_output(g->session, type, d, scratch);
        out->kind_case = SHERD__V1__VALUE__KIND_TEXT;
        out->text = arena_strndup(g->arena, scratch->data, scratch->len);
    }
}

static struct status *sink_rows(struct fiber *f, struct sink *s, const struct batch *b)
{
    struct grpc_sink *g = CONTAINER_OF(s, struct grpc_sink, sink);
    struct buf scratch = {0};
    struct status *st = NULL;
    for (int first = 0; first < b->nrows && st == NULL; first += g->rows_per_message) {
        int n = b->nrows - first < g->rows_per_message ? b->nrows - first : g->rows_per_message;
        arena_reset(g->arena);
        Sherd__V1__ExecuteReply m = SHERD__V1__EXECUTE_REPLY__INIT;
        m.n_rows = (size_t)n;
        m.rows = ARENA_ARRAY(g->arena, Sherd__V1__Row *, n);
        for (int r = 0; r < n; r++) {
            Sherd__V1__Row *row = m.rows[r] = ARENA_NEW(g->arena, Sherd__V1__Row);
            sherd__v1__row__init(row);
            row->n_values = (size_t)b->ncols;
            row->values = ARENA_ARRAY(g->arena, Sherd__V1__Value *, b->ncols + 1);
            for (int c = 0; c < b->ncols; c++) {
                row->values[c] = ARENA_NEW(g->arena, Sherd__V1__Value);
                make_value(g, &scratch, b->types[c], &b->cols[c][first + r], row->values[c]);
            }
        }
        g->row_count += (uint64_t)n;
        st = grpc_stream_send(f, g->stream, &m.base);
    }
    buf_deinit(&scratch);
    return st;
}

static struct status *sink_complete(struct fiber *f, struct sink *s, const char *tag)
{
    struct grpc_sink *g = CONTAINER_OF(s, struct grpc_sink, sink);
    Sherd__V1__ExecuteReply m = SHERD__V1__EXECUTE_REPLY__INIT;
    char status[2] = {session_txn_status(g->session), '\0'};
    char tag_copy[64];
    snprintf(tag_copy, sizeof(tag_copy), "%s", tag);
    m.done = true;
    m.tag = tag_copy;
    m.row_count = g->row_count;
    m.transaction = status;
    g->row_count = 0;
    return grpc_stream_send(f, g->stream, &m.base);
}

static struct status *sink_empty(struct fiber *f, struct sink *s)
{
    return sink_complete(f, s, "");
}

static struct status *execute_prepared(struct fiber *f, struct session *s,
                                       const Sherd__V1__ExecuteRequest *q, struct slice name,
                                       struct grpc_sink *g)
{
    struct prepared *p = session_prepared(s, name);
    if (p == NULL) {
        return status_sql(NOT_FOUND, "26000", "prepared statement \"%.*s\" does not exist",
                          (int)name.len, (const char *)name.data);
    }
    const type_oid *types;
    int n = prepared_params(p, &types);
    if ((size_t)n != q->n_params) {
        return status_sql(INVALID, "08P01", "%zu parameters were given, the statement takes %d",
                          q->n_params, n);
    }
    struct arena *a = session_bind_arena(s);
    struct datum *params = ARENA_ARRAY(a, struct datum, n + 1);
    for (int i = 0; i < n; i++) {
        const Sherd__V1__Value *value = q->params[i];
        switch (value->kind_case) {
        case SHERD__V1__VALUE__KIND_TEXT:
            TRY(type_input(a, types[i], -1, arena_copy(a, slice_str(value->text)), &params[i]));
            break;
        case SHERD__V1__VALUE__KIND_BINARY:
            TRY(type_recv(a, types[i], -1,
                          arena_copy(a, slice_make(value->binary.data, value->binary.len)),
                          &params[i]));
            break;
        default:
            params[i] = DATUM_NULL;
        }
    }
    TRY(session_bind(f, s, slice_str(""), p, params, n, NULL, 0));
    struct portal *portal = session_portal(s, slice_str(""));
    const struct plan_column *cols;
    int ncols = portal_columns(portal, &cols);
    if (ncols > 0) {
        TRY(sink_columns(f, &g->sink, cols, ncols));
    }
    bool suspended;
    session_expect_sync(s);
    TRY(session_execute(f, s, portal, 0, &g->sink, &suspended));
    return session_sync(f, s);
}

static struct status *handle_execute(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     struct grpc_stream *stream, void *handler_ctx)
{
    struct service *v = handler_ctx;
    const Sherd__V1__ExecuteRequest *q = request;
    TRY(ready(v));
    struct remote_session *r = NULL;
    struct session *s;
    if (q->session.len > 0) {
        TRY(acquire(f, v, &q->session, &r));
        s = r->session;
    } else {
        TRY(open_session(f, v, ctx, q->user, q->database, &s));
    }
    struct grpc_sink g = {
        .sink = {.columns = sink_columns,
                 .rows = sink_rows,
                 .complete = sink_complete,
                 .empty = sink_empty},
        .stream = stream,
        .session = s,
        .binary = q->binary_results,
        .rows_per_message = q->rows_per_message > 0 && q->rows_per_message <= 4096
                                ? (int)q->rows_per_message
                                : ROWS_PER_MESSAGE,
        .arena = arena_create(0),
    };
    uint64_t deadline = fiber_deadline(f);
    struct status *st;
    if (q->prepared[0] != '\0') {
        st = execute_prepared(f, s, q, slice_str(q->prepared), &g);
    } else if (q->n_params > 0) {
        st = session_prepare(f, s, slice_str(""), slice_str(q->sql), NULL, 0);
        if (st == NULL) {
            st = execute_prepared(f, s, q, slice_str(""), &g);
        }
    } else {
        st = session_simple(f, s, slice_str(q->sql), &g.sink);
    }
    fiber_set_deadline(f, deadline);
    if (st != NULL) {
        session_failed(f, s);
    }
    arena_destroy(g.arena);
    if (r != NULL) {
        release(f, v, r);
    } else {
        session_close(f, s);
    }
    return st;
}

void grpc_sql_register(struct grpc_front *front, struct loop *l, struct router **r)
{
    ASSERT(service == NULL);
    service = MEM_NEW(struct service);
    service->loop = l;
    service->router = r;
    service->login = grpc_login_create(l);
    service->sweep.fire = sweep;
    timer_start(l, &service->sweep, ms_to_ns(SWEEP_MS));
    grpc_front_unary(front, "/sherd.v1.Sql/OpenSession",
                     &sherd__v1__open_session_request__descriptor, handle_open, service);
    grpc_front_unary(front, "/sherd.v1.Sql/CloseSession",
                     &sherd__v1__close_session_request__descriptor, handle_close, service);
    grpc_front_unary(front, "/sherd.v1.Sql/PrepareStatement",
                     &sherd__v1__prepare_statement_request__descriptor, handle_prepare, service);
    grpc_front_streaming(front, "/sherd.v1.Sql/Execute", &sherd__v1__execute_request__descriptor,
                         handle_execute, service);
    grpc_front_unary(front, "/sherd.v1.Sql/Cancel", &sherd__v1__cancel_request__descriptor,
                     handle_cancel, service);
}

void grpc_sql_shutdown(struct fiber *f)
{
    if (service == NULL) {
        return;
    }
    timer_stop(&service->sweep);
    struct remote_session *r, *tmp;
    HASH_ITER(hh, service->sessions, r, tmp)
    {
        if (r->users == 0) {
            remove_session(f, service, r);
        }
    }
    grpc_login_destroy(service->login);
    service->login = NULL; /* calls still come: ready() refuses them */
}
