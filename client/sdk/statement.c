/*
 * Statements and results: one Execute stream each, read message by message as rows are asked for.
 *
 * sherd_execute() reads the first message before it returns, so that a statement that fails at once
 * fails there. What is certain not to have run (no connection, session unknown) is run again on a
 * new connection, once, outside transactions. What was lost on the way is told as an unknown
 * outcome, unless a transaction was open and the statement cannot have ended it: a router drops the
 * transactions of lost sessions.
 */
#include "internal.h"

#include "api/pb.h"
#include "api/status_pb.h"
#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define PARAMS_MAX 65535

struct sherd_result {
    sherd_connection *connection;
    struct grpc_sync_stream *stream;
    struct arena *request_arena;
    bool may_end_transaction;

    struct arena *columns_arena; /* of the current statement */
    const Sherd__V1__Column *const *columns;
    size_t column_count;
    struct arena *message_arena;
    const Sherd__V1__ExecuteReply *message; /* NULL: the stream has ended */
    size_t row;                             /* index of the next row in message */
    const Sherd__V1__Row *current;
    char *tag; /* in message_arena; NULL before the end of the statement */
    uint64_t row_count;
    bool is_done; /* this statement */
};

/* ---- prepared statements ---- */

static struct prepared *prepared_find(sherd_connection *c, const char *name)
{
    LIST_FOREACH(it, &c->prepared)
    {
        struct prepared *p = LIST_ITEM(it, struct prepared, link);
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }
    return NULL;
}

static struct status *prepare_now(sherd_connection *c, struct prepared *p)
{
    struct arena *a = arena_create(0);
    Sherd__V1__PrepareStatementRequest r = SHERD__V1__PREPARE_STATEMENT_REQUEST__INIT;
    r.session = connection_session(c);
    r.name = p->name;
    r.sql = p->sql;
    r.n_param_types = p->type_count;
    r.param_types = p->types;
    void *reply = NULL;
    struct status *st =
        grpc_sync_unary(c->rpc, "/sherd.v1.Sql/PrepareStatement", &r,
                        &sherd__v1__prepare_statement_reply__descriptor, a, 0, &reply);
    arena_destroy(a);
    p->is_known = st == NULL;
    return st;
}

struct status *prepared_ensure(sherd_connection *c, struct prepared *p)
{
    return p->is_known ? NULL : prepare_now(c, p);
}

static struct status *refuse(sherd_connection *c)
{
    if (c->result != NULL) {
        return status_hint(
            status_sql(INVALID, "55006", "a result of this connection is still open"),
            "Free it with sherd_result_free() first.");
    }
    if (c->is_lost) {
        return status_hint(
            status_sql(CONFLICT, "25P02", "the transaction was lost with its connection"),
            "Roll back, then run the transaction again.");
    }
    return NULL;
}

/* Errors that end the session end our side of it too. */
static void note_error(sherd_connection *c, const struct status *st)
{
    if (error_is_disconnect(st)) {
        c->endpoint = (c->endpoint + 1) % c->endpoint_count;
        connection_drop(c);
    } else if (error_is_no_session(st)) {
        connection_drop(c);
    } else if (st != NULL && c->transaction == SHERD_IN_TRANSACTION) {
        c->transaction = SHERD_IN_FAILED;
    }
}

static bool is_certainly_not_done(const struct status *st)
{
    return error_is_no_session(st) ||
           (status_is(st, STATUS_UNAVAILABLE) && strcmp(st->sqlstate, "08001") == 0);
}

sherd_error *sherd_prepare(sherd_connection *c, const char *name, const char *sql, int type_count,
                           const uint32_t *types)
{
    struct status *st = refuse(c);
    if (st != NULL) {
        return to_error(st);
    }
    struct prepared *p = prepared_find(c, name);
    if (p == NULL) {
        p = MEM_NEW(struct prepared);
        p->name = mem_strdup(name);
        list_push_back(&c->prepared, &p->link);
    }
    mem_free(p->sql);
    mem_free(p->types);
    p->sql = mem_strdup(sql);
    p->type_count = type_count > 0 ? (size_t)type_count : 0;
    p->types = mem_zalloc((p->type_count + 1) * sizeof(uint32_t));
    if (p->type_count > 0) {
        memcpy(p->types, types, p->type_count * sizeof(uint32_t));
    }
    p->is_known = false;
    for (int attempt = 0;; attempt++) {
        bool was_idle = c->transaction == SHERD_IDLE;
        st = connection_ensure(c);
        if (st == NULL) {
            st = prepare_now(c, p);
            note_error(c, st);
        }
        /* Preparing twice does no harm. */
        bool is_lost = error_is_disconnect(st) || error_is_no_session(st);
        if (!is_lost || !was_idle || attempt == 1) {
            break;
        }
        status_free(st);
    }
    if (st != NULL) {
        list_unlink(&p->link);
        mem_free(p->name);
        mem_free(p->sql);
        mem_free(p->types);
        mem_free(p);
    }
    return to_error(st);
}

/* ---- running ---- */

static bool has_word(const char *sql, const char *word)
{
    return sql != NULL && strcasestr(sql, word) != NULL;
}

static struct status *fill_params(Sherd__V1__ExecuteRequest *r, const struct sherd_statement *s,
                                  struct arena *a)
{
    if (s->param_count < 0 || s->param_count > PARAMS_MAX) {
        return status_sql(INVALID, "54023", "%d parameters: at most %d are possible",
                          s->param_count, PARAMS_MAX);
    }
    r->n_params = (size_t)s->param_count;
    r->params = ARENA_ARRAY(a, Sherd__V1__Value *, r->n_params);
    for (size_t i = 0; i < r->n_params; i++) {
        const struct sherd_param *p = &s->params[i];
        Sherd__V1__Value *v = ARENA_NEW(a, Sherd__V1__Value);
        sherd__v1__value__init(v);
        r->params[i] = v;
        if (p->data == NULL) {
            v->kind_case = SHERD__V1__VALUE__KIND_NULL;
            v->null = 1;
        } else if (p->is_binary) {
            v->kind_case = SHERD__V1__VALUE__KIND_BINARY;
            v->binary = (ProtobufCBinaryData){p->length, (uint8_t *)p->data};
        } else if (memchr(p->data, '\0', p->length) != NULL) {
            return status_sql(INVALID, "22021", "parameter $%zu contains a zero byte", i + 1);
        } else {
            v->kind_case = SHERD__V1__VALUE__KIND_TEXT;
            v->text = arena_strndup(a, p->data, p->length);
        }
    }
    return NULL;
}

static void notice(sherd_connection *c, const Sherd__V1__ExecuteReply *m)
{
    for (size_t i = 0; c->on_notice != NULL && i < m->n_notices; i++) {
        struct status *st = status_from_error(m->notices[i]);
        c->on_notice(c->notice_ctx, to_error(st));
        status_free(st);
    }
}

/* The next message of the stream, or its end, into r->message. */
static struct status *next_message(sherd_result *r)
{
    arena_reset(r->message_arena);
    r->message = NULL;
    r->current = NULL;
    r->tag = NULL;
    r->row = 0;
    if (r->stream == NULL) {
        return NULL;
    }
    void *out = NULL;
    struct status *st =
        grpc_sync_next(r->stream, &sherd__v1__execute_reply__descriptor, r->message_arena, &out);
    if (st == NULL && out != NULL) {
        r->message = out;
        notice(r->connection, out);
        return NULL;
    }
    grpc_sync_close(r->stream);
    r->stream = NULL;
    return st;
}

/* Begins a statement's result with the message at hand. */
static void take_columns(sherd_result *r)
{
    arena_reset(r->columns_arena);
    r->columns = NULL;
    r->column_count = 0;
    r->is_done = false;
    r->tag = NULL;
    r->row_count = 0;
    if (r->message == NULL || r->message->n_columns == 0) {
        return;
    }
    const Sherd__V1__ExecuteReply *m = r->message;
    Sherd__V1__Column **columns = ARENA_ARRAY(r->columns_arena, Sherd__V1__Column *, m->n_columns);
    for (size_t i = 0; i < m->n_columns; i++) {
        columns[i] = ARENA_NEW(r->columns_arena, Sherd__V1__Column);
        *columns[i] = *m->columns[i];
        columns[i]->name = arena_strdup(r->columns_arena, m->columns[i]->name);
    }
    r->columns = (const Sherd__V1__Column *const *)columns;
    r->column_count = m->n_columns;
}

/* The message at hand has no rows left: does it end the statement? */
static void take_done(sherd_result *r)
{
    const Sherd__V1__ExecuteReply *m = r->message;
    if (!m->done || r->is_done) {
        return;
    }
    r->is_done = true;
    r->tag = m->tag;
    r->row_count = m->row_count;
    char t = m->transaction[0];
    if (t == SHERD_IDLE || t == SHERD_IN_TRANSACTION || t == SHERD_IN_FAILED) {
        r->connection->transaction = (enum sherd_transaction)t;
    }
}

/* What an error in the stream means to the user; keeps the connection's state. */
static struct status *stream_error(sherd_result *r, struct status *st)
{
    sherd_connection *c = r->connection;
    bool was_open = c->transaction != SHERD_IDLE;
    note_error(c, st);
    if (was_open && error_is_no_session(st)) { /* nothing of the transaction will commit */
        status_free(st);
        return status_sql(UNAVAILABLE, "08006", "the session was lost with its open transaction");
    }
    if (!error_is_disconnect(st) || strcmp(st->sqlstate, "08001") == 0 ||
        (was_open && !r->may_end_transaction)) {
        return st;
    }
    struct status *unknown =
        status_detail(status_sql(UNKNOWN_OUTCOME, "08007", "%s while a statement ran", st->message),
                      "The statement may have been done or not.");
    status_free(st);
    return unknown;
}

static void result_free(sherd_result *r)
{
    sherd_connection *c = r->connection;
    if (r->stream != NULL) {
        grpc_sync_close(r->stream); /* ends a statement that still runs */
        if (!r->is_done && c->transaction == SHERD_IN_TRANSACTION) {
            c->transaction = SHERD_IN_FAILED;
        }
    }
    if (c->result == r) {
        c->result = NULL;
    }
    arena_destroy(r->message_arena);
    arena_destroy(r->columns_arena);
    arena_destroy(r->request_arena);
    mem_free(r);
}

static struct status *start(sherd_connection *c, const struct sherd_statement *s,
                            sherd_result **out)
{
    sherd_result *r = MEM_NEW(sherd_result);
    r->connection = c;
    r->request_arena = arena_create(0);
    r->columns_arena = arena_create(0);
    r->message_arena = arena_create(0);
    Sherd__V1__ExecuteRequest q = SHERD__V1__EXECUTE_REQUEST__INIT;
    q.session = connection_session(c);
    q.binary_results = s->binary_results != 0;
    const char *text = s->sql;
    struct status *st = fill_params(&q, s, r->request_arena);
    if (st == NULL && s->prepared != NULL) {
        struct prepared *p = prepared_find(c, s->prepared);
        if (p == NULL) {
            st = status_sql(NOT_FOUND, "26000", "prepared statement \"%s\" does not exist",
                            s->prepared);
        } else {
            q.prepared = p->name;
            text = p->sql;
            st = prepared_ensure(c, p);
            note_error(c, st);
        }
    } else if (st == NULL) {
        q.sql = (char *)(s->sql == NULL ? "" : s->sql);
    }
    if (st == NULL) {
        r->may_end_transaction = has_word(text, "commit") || has_word(text, "end");
        r->stream = grpc_sync_open(c->rpc, "/sherd.v1.Sql/Execute", &q, s->timeout_ms);
        st = next_message(r);
        if (st != NULL) {
            st = stream_error(r, st);
        }
    }
    if (st != NULL) {
        result_free(r);
        return st;
    }
    take_columns(r);
    c->result = r;
    *out = r;
    return NULL;
}

sherd_error *sherd_execute_statement(sherd_connection *c, const struct sherd_statement *statement,
                                     sherd_result **out_result)
{
    struct sherd_statement s = SHERD_STATEMENT_INIT;
    memcpy(&s, statement, statement->size < sizeof(s) ? statement->size : sizeof(s));
    struct status *st = refuse(c);
    if (st != NULL) {
        return to_error(st);
    }
    sherd_result *r = NULL;
    for (int attempt = 0;; attempt++) {
        bool was_idle = c->transaction == SHERD_IDLE;
        bool was_connected = c->rpc != NULL;
        st = connection_ensure(c);
        if (st == NULL) {
            st = start(c, &s, &r);
        }
        if (!is_certainly_not_done(st) || !was_idle || !was_connected || attempt == 1) {
            break;
        }
        status_free(st);
    }
    if (st != NULL) {
        return to_error(st);
    }
    if (out_result != NULL) {
        *out_result = r;
        return NULL;
    }
    int has_result = 1;
    sherd_error *e = NULL;
    while (e == NULL && has_result) {
        e = sherd_next_result(r, &has_result);
    }
    sherd_result_free(r);
    return e;
}

sherd_error *sherd_execute(sherd_connection *c, const char *sql, int param_count,
                           const char *const *params, sherd_result **out_result)
{
    if (param_count < 0 || param_count > PARAMS_MAX) {
        return to_error(status_sql(INVALID, "54023", "%d parameters: at most %d are possible",
                                   param_count, PARAMS_MAX));
    }
    struct sherd_param *p = mem_zalloc(((size_t)param_count + 1) * sizeof(*p));
    for (int i = 0; i < param_count; i++) {
        p[i].data = params[i];
        p[i].length = params[i] == NULL ? 0 : strlen(params[i]);
    }
    struct sherd_statement s = SHERD_STATEMENT_INIT;
    s.sql = sql;
    s.param_count = param_count;
    s.params = p;
    sherd_error *e = sherd_execute_statement(c, &s, out_result);
    mem_free(p);
    return e;
}

struct status *run_simple(sherd_connection *c, const char *sql, char *out_tag)
{
    sherd_result *r = NULL;
    struct status *st = to_status(sherd_execute(c, sql, 0, NULL, &r));
    int has = 1;
    while (st == NULL && has) {
        st = to_status(sherd_next_row(r, &has));
    }
    if (st == NULL && out_tag != NULL) {
        (void)snprintf(out_tag, 16, "%s", sherd_tag(r) == NULL ? "" : sherd_tag(r));
    }
    has = 1;
    while (st == NULL && has) {
        st = to_status(sherd_next_result(r, &has));
    }
    sherd_result_free(r);
    return st;
}

/* ---- results ---- */

static struct status *next_row(sherd_result *r, int *out_has_row)
{
    r->current = NULL;
    for (;;) {
        if (r->is_done || r->message == NULL) {
            *out_has_row = 0;
            return NULL;
        }
        if (r->row < r->message->n_rows) {
            const Sherd__V1__Row *row = r->message->rows[r->row++];
            if (row->n_values != r->column_count) {
                return status_new(CORRUPT, "a row of %zu values for %zu columns came",
                                  row->n_values, r->column_count);
            }
            r->current = row;
            *out_has_row = 1;
            return NULL;
        }
        take_done(r);
        if (r->is_done) {
            continue;
        }
        struct status *st = next_message(r);
        if (st != NULL) {
            return stream_error(r, st);
        }
        if (r->column_count == 0 && r->message != NULL && r->message->n_columns > 0) {
            take_columns(r); /* notices came alone, before the columns */
        }
    }
}

sherd_error *sherd_next_row(sherd_result *r, int *out_has_row)
{
    return to_error(next_row(r, out_has_row));
}

sherd_error *sherd_next_result(sherd_result *r, int *out_has_result)
{
    int has_row = 1;
    while (has_row) {
        struct status *st = next_row(r, &has_row);
        if (st != NULL) {
            return to_error(st);
        }
    }
    struct status *st = next_message(r);
    if (st != NULL) {
        return to_error(stream_error(r, st));
    }
    take_columns(r);
    *out_has_result = r->message != NULL;
    return NULL;
}

void sherd_result_free(sherd_result *r)
{
    if (r != NULL) {
        result_free(r);
    }
}

static const Sherd__V1__Column *column_at(const sherd_result *r, int column)
{
    ASSERT_MSG(column >= 0 && (size_t)column < r->column_count, "there is no column %d", column);
    return r->columns[column];
}

int sherd_column_count(const sherd_result *r)
{
    return (int)r->column_count;
}

const char *sherd_column_name(const sherd_result *r, int column)
{
    return column_at(r, column)->name;
}

uint32_t sherd_column_type(const sherd_result *r, int column)
{
    return column_at(r, column)->type;
}

int32_t sherd_column_typmod(const sherd_result *r, int column)
{
    return column_at(r, column)->typmod;
}

const char *sherd_value(const sherd_result *r, int column, size_t *out_length)
{
    (void)column_at(r, column);
    ASSERT_MSG(r->current != NULL, "there is no current row");
    const Sherd__V1__Value *v = r->current->values[column];
    const char *data = NULL;
    size_t len = 0;
    if (v->kind_case == SHERD__V1__VALUE__KIND_TEXT) {
        data = v->text;
        len = strlen(v->text);
    } else if (v->kind_case == SHERD__V1__VALUE__KIND_BINARY) {
        data = v->binary.len == 0 ? "" : (const char *)v->binary.data;
        len = v->binary.len;
    }
    if (out_length != NULL) {
        *out_length = len;
    }
    return data;
}

const char *sherd_tag(const sherd_result *r)
{
    return r->is_done ? r->tag : NULL;
}

uint64_t sherd_row_count(const sherd_result *r)
{
    return r->row_count;
}
