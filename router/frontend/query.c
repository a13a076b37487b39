/*
 * Messages of a logged-in client: simple queries, the extended protocol, COPY.
 *
 * Extended protocol: an error is reported once, then everything up to Sync is skipped; Sync always
 * gets its ReadyForQuery. Answers gather in the output buffer until the pipeline is worked off,
 * Flush asks for them, or the buffer is full.
 *
 * COPY FROM STDIN: the statement reads further messages while it runs (sink.copy_read), so the
 * bytes of its own message are set aside first. Messages of a COPY that has failed arrive later and
 * are ignored, as the protocol asks.
 */
#include "pgwire.h"

#include "base/mem.h"
#include "frontend_limits.h"

static struct conn *conn_of(struct sink *s)
{
    return CONTAINER_OF(s, struct conn, sink);
}

/* ---- errors ---- */

/* Reports st (consumed) for the running statement. */
static void report(struct fiber *f, struct conn *c, struct status *st)
{
    if (!c->is_gone && !c->is_ending) {
        put_error(&c->out, 'E', "ERROR", st);
    }
    status_free(st);
    session_failed(f, c->session);
}

static void ready(struct conn *c)
{
    if (!c->is_ending) {
        put_ready(&c->out, session_txn_status(c->session));
    }
}

/* The message is not what the protocol has: its meaning is lost, and with it the connection. */
static void protocol_violation(struct conn *c, const char *what)
{
    conn_fatal(c, status_sql(INVALID, "08P01", "%s", what));
}

/* ---- results ---- */

static struct status *sink_columns(struct fiber *f, struct sink *s, const struct plan_column *cols,
                                   int ncols)
{
    struct conn *c = conn_of(s);
    (void)f;
    if (!c->is_extended) { /* there, Describe has told */
        put_row_description(&c->out, cols, ncols, NULL, 0);
    }
    return NULL;
}

static struct status *sink_rows(struct fiber *f, struct sink *s, const struct batch *b)
{
    struct conn *c = conn_of(s);
    for (int r = 0; r < b->nrows; r++) {
        put_data_row(&c->out, c->session, b, r, c->formats, c->nformats);
        TRY(conn_flush_some(f, c));
    }
    return NULL;
}

static struct status *sink_complete(struct fiber *f, struct sink *s, const char *tag)
{
    struct conn *c = conn_of(s);
    (void)f;
    size_t at = message_begin(&c->out, 'C');
    buf_put_cstr(&c->out, tag);
    message_end(&c->out, at);
    return NULL;
}

static struct status *sink_empty(struct fiber *f, struct sink *s)
{
    (void)f;
    put_message(&conn_of(s)->out, 'I');
    return NULL;
}

static void sink_notice(struct sink *s, const struct status *st, const char *severity)
{
    put_error(&conn_of(s)->out, 'N', severity, st);
}

static void sink_parameter(struct sink *s, const char *name, const char *value)
{
    put_parameter(&conn_of(s)->out, name, value != NULL ? value : "");
}

/* ---- COPY ---- */

static void put_copy_begin(struct buf *out, char type, int ncols)
{
    size_t at = message_begin(out, type);
    buf_put_u8(out, 0); /* text */
    buf_put_u16(out, (uint16_t)ncols);
    for (int i = 0; i < ncols; i++) {
        buf_put_u16(out, 0);
    }
    message_end(out, at);
}

static struct status *sink_copy_in(struct fiber *f, struct sink *s, const struct copy_spec *spec)
{
    struct conn *c = conn_of(s);
    if (c->held.data == NULL) {
        input_detach(&c->in, &c->held);
    }
    put_copy_begin(&c->out, 'G', spec->ncols);
    c->is_copy_in = true;
    return conn_flush(f, c);
}

static struct status *copy_failed_by_client(const struct message *m)
{
    struct reader r;
    reader_init(&r, m->body);
    const char *why = read_cstr(&r);
    return status_sql(CANCELLED, "57014", "COPY from stdin failed: %s",
                      reader_ok(&r) && !status_consume(type_check_text(slice_str(why))) ? why : "");
}

static struct status *sink_copy_read(struct fiber *f, struct sink *s, struct slice *out)
{
    struct conn *c = conn_of(s);
    if (!c->is_copy_in) {
        *out = slice_make(NULL, 0);
        return NULL;
    }
    for (;;) {
        struct message m;
        bool is_too_large;
        TRY(conn_read(f, c, &m, &is_too_large));
        if (is_too_large) {
            return status_hint(
                status_sql(LIMIT, "54000",
                           "COPY data of %u bytes in one message exceeds the limit of %zu", m.size,
                           conn_limit(c)),
                "Send smaller messages, or raise sql.statement_mb.");
        }
        switch (m.type) {
        case 'd':
            if (m.body.len == 0) {
                continue; /* would mean the end */
            }
            *out = m.body;
            return NULL;
        case 'c':
            c->is_copy_in = false;
            *out = slice_make(NULL, 0);
            return NULL;
        case 'f':
            c->is_copy_in = false;
            return copy_failed_by_client(&m);
        case 'H': /* client libraries may send them */
        case 'S':
            continue;
        default:
            c->is_copy_in = false;
            conn_fatal(c,
                       status_sql(INVALID, "08P01",
                                  "unexpected message type 0x%02X during COPY from stdin", m.type));
            return status_sql(INVALID, "08P01",
                              "unexpected message type 0x%02X during COPY from stdin", m.type);
        }
    }
}

static struct status *sink_copy_out(struct fiber *f, struct sink *s, const struct copy_spec *spec)
{
    struct conn *c = conn_of(s);
    (void)f;
    put_copy_begin(&c->out, 'H', spec->ncols);
    return NULL;
}

static struct status *sink_copy_write(struct fiber *f, struct sink *s, struct slice data)
{
    struct conn *c = conn_of(s);
    size_t at = message_begin(&c->out, 'd');
    buf_put_slice(&c->out, data);
    message_end(&c->out, at);
    return conn_flush_some(f, c);
}

static struct status *sink_copy_end(struct fiber *f, struct sink *s)
{
    (void)f;
    put_message(&conn_of(s)->out, 'c');
    return NULL;
}

void query_init(struct conn *c)
{
    c->sink = (struct sink){.columns = sink_columns,
                            .rows = sink_rows,
                            .complete = sink_complete,
                            .empty = sink_empty,
                            .notice = sink_notice,
                            .parameter = sink_parameter,
                            .copy_in = sink_copy_in,
                            .copy_read = sink_copy_read,
                            .copy_out = sink_copy_out,
                            .copy_write = sink_copy_write,
                            .copy_end = sink_copy_end};
}

/* A statement has run. */
static void statement_done(struct conn *c)
{
    c->is_copy_in = false;
    c->is_extended = false;
    c->formats = NULL;
    c->nformats = 0;
    if (c->held.data != NULL) {
        buf_deinit(&c->held);
    }
}

/* ---- simple query ---- */

static void simple_query(struct fiber *f, struct conn *c, struct slice body)
{
    struct reader r;
    reader_init(&r, body);
    const char *sql = read_cstr(&r);
    if (!reader_ok(&r) || reader_left(&r) > 0) {
        protocol_violation(c, "invalid string in message");
        return;
    }
    struct slice text = slice_make(sql, body.len - 1);
    struct status *st = type_check_text(text);
    if (st == NULL) {
        st = session_simple(f, c->session, text, &c->sink);
    }
    if (st != NULL) {
        report(f, c, st);
    }
    statement_done(c);
    ready(c);
}

/* ---- extended protocol ---- */

static struct status *damaged(const char *message)
{
    return status_sql(INVALID, "08P01", "insufficient data left in message, or too much: %s",
                      message);
}

static struct status *parse_message(struct fiber *f, struct conn *c, struct slice body)
{
    struct reader r;
    reader_init(&r, body);
    const char *name = read_cstr(&r), *sql = read_cstr(&r);
    size_t n = read_u16(&r);
    if (!reader_ok(&r) || reader_left(&r) != n * 4) {
        return damaged("Parse");
    }
    TRY(type_check_text(slice_str(name)));
    TRY(type_check_text(slice_str(sql)));
    type_oid few[16], *types = n > sizeof few / sizeof *few ? mem_alloc(n * sizeof *types) : few;
    for (size_t i = 0; i < n; i++) {
        types[i] = read_u32(&r);
        types[i] = types[i] == TYPE_UNKNOWN ? 0 : types[i];
    }
    struct status *st =
        session_prepare(f, c->session, slice_str(name), slice_str(sql), types, (int)n);
    if (types != few) {
        mem_free(types);
    }
    TRY(st);
    put_message(&c->out, '1');
    return NULL;
}

static struct status *no_statement(const char *name)
{
    return name[0] != '\0'
               ? status_sql(NOT_FOUND, "26000", "prepared statement \"%s\" does not exist", name)
               : status_sql(NOT_FOUND, "26000", "unnamed prepared statement does not exist");
}

static struct status *no_portal(const char *name)
{
    return status_sql(NOT_FOUND, "34000", "portal \"%s\" does not exist", name);
}

/* count and that many format codes, each 0 or 1. */
static struct status *read_formats(struct reader *r, struct arena *a, int16_t **out, size_t *out_n)
{
    size_t n = read_u16(r);
    if (!reader_ok(r) || reader_left(r) < n * 2) {
        return damaged("Bind");
    }
    int16_t *formats = arena_alloc(a, n * sizeof *formats + 1);
    for (size_t i = 0; i < n; i++) {
        formats[i] = (int16_t)read_u16(r);
        if (formats[i] != 0 && formats[i] != 1) {
            return status_sql(INVALID, "22023", "unsupported format code: %d", formats[i]);
        }
    }
    *out = formats;
    *out_n = n;
    return NULL;
}

static struct status *read_parameters(struct reader *r, struct arena *a, const struct prepared *p,
                                      const int16_t *formats, size_t nformats, struct datum *params,
                                      size_t n)
{
    const type_oid *types;
    int known = prepared_params(p, &types);
    for (size_t i = 0; i < n; i++) {
        uint32_t len = read_u32(r);
        if (len == UINT32_MAX) {
            params[i] = DATUM_NULL;
            continue;
        }
        struct slice value = read_raw(r, len);
        if (!reader_ok(r)) {
            return damaged("Bind");
        }
        type_oid type = (int)i < known && types[i] != 0 ? types[i] : TYPE_TEXT;
        int16_t format = nformats == 0 ? 0 : nformats == 1 ? formats[0] : formats[i];
        struct status *st = format == 1 ? type_recv(a, type, -1, value, &params[i])
                                        : type_input(a, type, -1, value, &params[i]);
        if (st != NULL) {
            return st;
        }
    }
    return NULL;
}

static struct status *bind(struct fiber *f, struct conn *c, struct slice body, struct arena *a)
{
    struct reader r;
    int16_t *formats, *result_formats;
    size_t nformats, nresults;
    reader_init(&r, body);
    const char *portal = read_cstr(&r), *name = read_cstr(&r);
    if (!reader_ok(&r)) {
        return damaged("Bind");
    }
    struct prepared *p = session_prepared(c->session, slice_str(name));
    if (p == NULL) {
        return no_statement(name);
    }
    TRY(type_check_text(slice_str(portal)));
    TRY(arena_reserve(a, body.len + sizeof(struct datum) * PARAMETERS_MAX));
    TRY(read_formats(&r, a, &formats, &nformats));
    size_t n = read_u16(&r);
    if (!reader_ok(&r) || reader_left(&r) < n * 4) {
        return damaged("Bind");
    }
    if (nformats > 1 && nformats != n) {
        return status_sql(INVALID, "08P01",
                          "bind message has %zu parameter formats but %zu parameters", nformats, n);
    }
    const type_oid *types;
    int wanted = prepared_params(p, &types);
    if (n != (size_t)wanted) {
        return status_sql(
            INVALID, "08P01",
            "bind message supplies %zu parameters, but prepared statement \"%s\" requires %d", n,
            name, wanted);
    }
    struct datum *params = arena_alloc(a, n * sizeof *params + 1);
    TRY(read_parameters(&r, a, p, formats, nformats, params, n));
    TRY(read_formats(&r, a, &result_formats, &nresults));
    if (reader_left(&r) != 0) {
        return damaged("Bind");
    }
    const struct plan_column *cols;
    int ncols = prepared_columns(p, &cols);
    if (nresults > 1 && (int)nresults != ncols) {
        return status_sql(INVALID, "08P01",
                          "bind message has %zu result formats but query has %d columns", nresults,
                          ncols);
    }
    TRY(session_bind(f, c->session, slice_str(portal), p, params, (int)n, result_formats,
                     (int)nresults));
    put_message(&c->out, '2');
    return NULL;
}

static struct status *bind_message(struct fiber *f, struct conn *c, struct slice body)
{
    struct arena *a = session_bind_arena(c->session);
    struct status *st = bind(f, c, body, a);
    if (st != NULL) {
        arena_reset(session_bind_arena(c->session));
    }
    return st;
}

static struct status *describe_message(struct conn *c, struct slice body)
{
    struct reader r;
    reader_init(&r, body);
    char what = (char)read_u8(&r);
    const char *name = read_cstr(&r);
    if (!reader_ok(&r) || reader_left(&r) > 0) {
        return damaged("Describe");
    }
    const struct plan_column *cols;
    const int16_t *formats = NULL;
    int ncols, nformats = 0;
    if (what == 'S') {
        struct prepared *p = session_prepared(c->session, slice_str(name));
        if (p == NULL) {
            return no_statement(name);
        }
        const type_oid *types;
        int n = prepared_params(p, &types);
        size_t at = message_begin(&c->out, 't');
        buf_put_u16(&c->out, (uint16_t)n);
        for (int i = 0; i < n; i++) {
            buf_put_u32(&c->out, types[i]);
        }
        message_end(&c->out, at);
        ncols = prepared_columns(p, &cols);
    } else if (what == 'P') {
        struct portal *p = session_portal(c->session, slice_str(name));
        if (p == NULL) {
            return no_portal(name);
        }
        ncols = portal_columns(p, &cols);
        nformats = portal_formats(p, &formats);
    } else {
        return status_sql(INVALID, "08P01", "invalid DESCRIBE message subtype %d", what);
    }
    if (ncols > 0) {
        put_row_description(&c->out, cols, ncols, formats, nformats);
    } else {
        put_message(&c->out, 'n');
    }
    return NULL;
}

static struct status *execute_message(struct fiber *f, struct conn *c, struct slice body)
{
    struct reader r;
    reader_init(&r, body);
    const char *name = read_cstr(&r);
    int32_t max_rows = (int32_t)read_u32(&r);
    if (!reader_ok(&r) || reader_left(&r) > 0) {
        return damaged("Execute");
    }
    struct portal *p = session_portal(c->session, slice_str(name));
    if (p == NULL) {
        return no_portal(name);
    }
    c->nformats = portal_formats(p, &c->formats);
    c->is_extended = true;
    if (input_peek(&c->in) == 'S') {
        session_expect_sync(c->session);
    }
    bool is_suspended = false;
    struct status *st =
        session_execute(f, c->session, p, max_rows > 0 ? max_rows : 0, &c->sink, &is_suspended);
    statement_done(c);
    TRY(st);
    if (is_suspended) {
        put_message(&c->out, 's');
    }
    return NULL;
}

static struct status *close_message(struct fiber *f, struct conn *c, struct slice body)
{
    struct reader r;
    reader_init(&r, body);
    char what = (char)read_u8(&r);
    const char *name = read_cstr(&r);
    if (!reader_ok(&r) || reader_left(&r) > 0) {
        return damaged("Close");
    }
    if (what == 'S') {
        session_close_prepared(c->session, slice_str(name));
    } else if (what == 'P') {
        session_close_portal(f, c->session, slice_str(name));
    } else {
        return status_sql(INVALID, "08P01", "invalid CLOSE message subtype %d", what);
    }
    put_message(&c->out, '3');
    return NULL;
}

static void sync_message(struct fiber *f, struct conn *c)
{
    c->skip_to_sync = false;
    struct status *st = session_sync(f, c->session);
    if (st != NULL) {
        report(f, c, st);
    }
    ready(c);
}

/* ---- dispatch ---- */

/* Reports an error of an extended message (consumed): all up to Sync is skipped. */
static void extended_failed(struct fiber *f, struct conn *c, struct status *st)
{
    report(f, c, st);
    c->skip_to_sync = true;
}

static void extended(struct fiber *f, struct conn *c, const struct message *m)
{
    struct status *st;
    switch (m->type) {
    case 'P':
        st = parse_message(f, c, m->body);
        break;
    case 'B':
        st = bind_message(f, c, m->body);
        break;
    case 'D':
        st = describe_message(c, m->body);
        break;
    case 'E':
        st = execute_message(f, c, m->body);
        break;
    default:
        st = close_message(f, c, m->body);
        break;
    }
    if (st != NULL) {
        extended_failed(f, c, st);
    }
}

static void flush_message(struct fiber *f, struct conn *c)
{
    /* A client that is gone shows in is_gone. */
    (void)status_consume(conn_flush(f, c));
}

void query_message(struct fiber *f, struct conn *c, const struct message *m)
{
    if (c->skip_to_sync && m->type != 'S' && m->type != 'X') {
        return;
    }
    switch (m->type) {
    case 'Q':
        simple_query(f, c, m->body);
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        extended(f, c, m);
        break;
    case 'S':
        sync_message(f, c);
        break;
    case 'H':
        flush_message(f, c);
        break;
    case 'X':
        c->is_ending = true;
        break;
    case 'F':
        report(f, c,
               status_hint(
                   status_sql(UNSUPPORTED, "0A000", "the function call message is not supported"),
                   "Call the function in a SELECT."));
        ready(c);
        break;
    case 'd': /* of a COPY that has failed meanwhile */
    case 'c':
    case 'f':
        break;
    default:
        conn_fatal(c, status_sql(INVALID, "08P01", "invalid frontend message type %d", m->type));
        break;
    }
}

void query_too_large(struct fiber *f, struct conn *c, const struct message *m)
{
    if (c->skip_to_sync) {
        return;
    }
    struct status *st =
        status_hint(status_sql(LIMIT, "54000", "message of %u bytes exceeds the limit of %zu bytes",
                               m->size, conn_limit(c)),
                    "Raise sql.statement_mb in the configuration, or send less at once.");
    switch (m->type) {
    case 'Q':
        report(f, c, st);
        ready(c);
        break;
    case 'P':
    case 'B':
    case 'D':
    case 'E':
    case 'C':
        extended_failed(f, c, st);
        break;
    case 'd': /* of a COPY that has failed meanwhile */
        status_free(st);
        break;
    default:
        conn_fatal(c, st);
        break;
    }
}
