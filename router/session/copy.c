/*
 * COPY FROM STDIN and COPY TO STDOUT, text and CSV.
 *
 * FROM: bytes arrive in pieces that end anywhere; the parser keeps the unfinished record and gives
 * rows in batches to copy_insert(). The statement is one transaction (its own, or the open
 * block's). What the client sends is kept up to a bound (replay.c), so that after a conflict, or
 * when a shard's leader is lost, the router reads it again from there. Errors name the line, as
 * PostgreSQL's context does.
 */
#include "session_internal.h"

#include "../ddl/schema_txn.h"

#include "base/check.h"
#include "base/mem.h"

#include <ctype.h>
#include <stdio.h>

#define ROWS_PER_INSERT 512
#define RECORD_MAX ((size_t)64 << 20)
#define PIECE_BYTES ((size_t)64 << 10) /* of kept data at a time */

struct copy_in {
    struct session *s;
    struct sink *sink;        /* NULL: only what was kept is read */
    struct replay_step *step; /* keeps what comes; NULL: it is not kept */
    size_t kept_at;           /* read of what is kept */
    const struct copy_spec *spec;
    struct copy_target *target;
    struct exec *exec;
    struct buf data; /* unparsed bytes */
    size_t pos;
    uint64_t line;
    bool skip_header;
    bool saw_end;        /* "\." */
    struct arena *arena; /* of the current batch */
    struct batch *batch;
    uint32_t *types;
    struct buf field;
};

static struct status *at_line(const struct copy_in *c, struct status *st, const char *column)
{
    if (st == NULL || st->detail != NULL) {
        return st;
    }
    return column != NULL ? status_detail(st, "COPY line %llu, column %s.",
                                          (unsigned long long)c->line, column)
                          : status_detail(st, "COPY line %llu.", (unsigned long long)c->line);
}

static void new_batch(struct copy_in *c)
{
    if (c->arena == NULL) {
        c->arena = arena_create(0);
    } else {
        arena_reset(c->arena);
    }
    c->batch = batch_create(c->arena, c->spec->ncols, c->types, ROWS_PER_INSERT);
    c->batch->arena = c->arena;
}

static struct status *flush_batch(struct fiber *f, struct copy_in *c)
{
    if (c->batch->nrows == 0) {
        return NULL;
    }
    arena_reset(c->exec->arena); /* what the last batch needed is done with */
    TRY(copy_insert(f, c->target, c->exec, c->batch));
    new_batch(c);
    return fiber_check(f);
}

static struct status *put_field(struct copy_in *c, int col, struct slice text, bool is_null)
{
    if (col >= c->spec->ncols) {
        return at_line(c, status_sql(INVALID, "22P04", "extra data after last expected column"),
                       NULL);
    }
    struct datum *d = &c->batch->cols[col][c->batch->nrows];
    if (is_null) {
        *d = DATUM_NULL;
        return NULL;
    }
    const struct plan_column *pc = &c->spec->cols[col];
    /* type_input may keep the slice: it must live as long as the batch. */
    struct slice kept = text.len > 0 ? arena_copy(c->arena, text) : slice_make("", 0);
    return at_line(c, type_input(c->arena, pc->type, pc->typmod, kept, d), pc->name);
}

static struct status *end_record(struct fiber *f, struct copy_in *c, int fields)
{
    if (fields < c->spec->ncols) {
        return at_line(c,
                       status_sql(INVALID, "22P04", "missing data for column \"%s\"",
                                  c->spec->cols[fields].name),
                       NULL);
    }
    c->batch->nrows++;
    return c->batch->nrows == c->batch->cap ? flush_batch(f, c) : NULL;
}

/* ---- text format ---- */

static int hex_value(uint8_t ch)
{
    return isdigit(ch) ? ch - '0' : tolower(ch) - 'a' + 10;
}

/* Undoes backslash escapes of one field. */
static void unescape(struct buf *out, struct slice in)
{
    buf_clear(out);
    for (size_t i = 0; i < in.len; i++) {
        uint8_t ch = in.data[i];
        if (ch != '\\' || i + 1 == in.len) {
            buf_put_u8(out, ch);
            continue;
        }
        ch = in.data[++i];
        switch (ch) {
        case 'b':
            buf_put_u8(out, '\b');
            break;
        case 'f':
            buf_put_u8(out, '\f');
            break;
        case 'n':
            buf_put_u8(out, '\n');
            break;
        case 'r':
            buf_put_u8(out, '\r');
            break;
        case 't':
            buf_put_u8(out, '\t');
            break;
        case 'v':
            buf_put_u8(out, '\v');
            break;
        case 'x':
            if (i + 1 < in.len && isxdigit(in.data[i + 1])) {
                int v = hex_value(in.data[++i]);
                if (i + 1 < in.len && isxdigit(in.data[i + 1])) {
                    v = v * 16 + hex_value(in.data[++i]);
                }
                buf_put_u8(out, (uint8_t)v);
            } else {
                buf_put_u8(out, 'x');
            }
            break;
        default:
            if (ch >= '0' && ch <= '7') {
                int v = ch - '0';
                for (int k = 0;
                     k < 2 && i + 1 < in.len && in.data[i + 1] >= '0' && in.data[i + 1] <= '7';
                     k++) {
                    v = v * 8 + (in.data[++i] - '0');
                }
                buf_put_u8(out, (uint8_t)v);
            } else {
                buf_put_u8(out, ch);
            }
        }
    }
}

static struct status *text_record(struct fiber *f, struct copy_in *c, struct slice line)
{
    if (line.len == 2 && line.data[0] == '\\' && line.data[1] == '.') {
        c->saw_end = true;
        return NULL;
    }
    if (c->skip_header) {
        c->skip_header = false;
        return NULL;
    }
    struct slice null_text = slice_str(c->spec->null_text);
    int col = 0;
    size_t start = 0;
    bool has_escape = false;
    if (c->spec->ncols == 0 && line.len == 0) {
        return end_record(f, c, 0);
    }
    for (size_t i = 0; i <= line.len; i++) {
        if (i < line.len && line.data[i] == '\\') {
            has_escape = true;
            i++;
            continue;
        }
        if (i < line.len && line.data[i] != (uint8_t)c->spec->delimiter) {
            continue;
        }
        struct slice raw =
            slice_make(line.data + start, i > line.len ? line.len - start : i - start);
        bool is_null = slice_eq(raw, null_text);
        if (has_escape && !is_null) {
            unescape(&c->field, raw);
            raw = buf_slice(&c->field);
        }
        TRY(put_field(c, col++, raw, is_null));
        start = i + 1;
        has_escape = false;
    }
    return end_record(f, c, col);
}

/* End of the line that starts at pos, or SIZE_MAX. A backslash before the newline escapes it. */
static size_t text_line_end(const struct copy_in *c, size_t pos)
{
    const uint8_t *data = c->data.data;
    while (pos < c->data.len) {
        const uint8_t *nl = memchr(data + pos, '\n', c->data.len - pos);
        if (nl == NULL) {
            return SIZE_MAX;
        }
        size_t at = (size_t)(nl - data);
        size_t slashes = 0;
        while (at - slashes > c->pos && data[at - slashes - 1] == '\\') {
            slashes++;
        }
        if (slashes % 2 == 0) {
            return at;
        }
        pos = at + 1;
    }
    return SIZE_MAX;
}

/* ---- CSV ---- */

/* Parses one record from c->pos. *out_end = position after it; SIZE_MAX: more bytes are needed. */
static struct status *csv_record(struct fiber *f, struct copy_in *c, bool is_eof, size_t *out_end)
{
    const uint8_t *d = c->data.data;
    size_t len = c->data.len;
    const struct copy_spec *sp = c->spec;
    /* First find the end, so that a record is never taken in half. */
    bool in_quote = false;
    size_t end = c->pos;
    for (; end < len; end++) {
        if (in_quote && sp->escape != sp->quote && d[end] == (uint8_t)sp->escape && end + 1 < len) {
            end++;
        } else if (d[end] == (uint8_t)sp->quote) {
            in_quote = !in_quote;
        } else if (d[end] == '\n' && !in_quote) {
            break;
        }
    }
    if (end == len && (!is_eof || c->pos == len)) {
        *out_end = SIZE_MAX;
        return NULL;
    }
    if (in_quote) {
        return at_line(c, status_sql(INVALID, "22P04", "unterminated CSV quoted field"), NULL);
    }
    *out_end = end < len ? end + 1 : end;
    size_t stop = end > c->pos && d[end - 1] == '\r' ? end - 1 : end;
    if (stop - c->pos == 2 && d[c->pos] == '\\' && d[c->pos + 1] == '.') {
        c->saw_end = true;
        return NULL;
    }
    if (c->skip_header) {
        c->skip_header = false;
        return NULL;
    }
    struct slice null_text = slice_str(sp->null_text);
    int col = 0;
    size_t i = c->pos;
    for (;;) {
        bool was_quoted = false;
        buf_clear(&c->field);
        while (i < stop && d[i] != (uint8_t)sp->delimiter) {
            if (d[i] != (uint8_t)sp->quote) {
                buf_put_u8(&c->field, d[i++]);
                continue;
            }
            was_quoted = true;
            i++;
            while (i < stop) {
                if (d[i] == (uint8_t)sp->escape && i + 1 < stop &&
                    (d[i + 1] == (uint8_t)sp->quote || d[i + 1] == (uint8_t)sp->escape)) {
                    buf_put_u8(&c->field, d[i + 1]);
                    i += 2;
                } else if (d[i] == (uint8_t)sp->quote) {
                    i++;
                    break;
                } else {
                    buf_put_u8(&c->field, d[i++]);
                }
            }
        }
        struct slice text = buf_slice(&c->field);
        TRY(put_field(c, col++, text, !was_quoted && slice_eq(text, null_text)));
        if (i >= stop) {
            break;
        }
        i++; /* the delimiter */
    }
    return end_record(f, c, col);
}

/* ---- driving ---- */

static struct status *parse_available(struct fiber *f, struct copy_in *c, bool is_eof)
{
    while (!c->saw_end && c->pos < c->data.len) {
        size_t next = SIZE_MAX;
        c->line++;
        if (c->spec->is_csv) {
            TRY(csv_record(f, c, is_eof, &next));
        } else {
            size_t end = text_line_end(c, c->pos);
            if (end == SIZE_MAX && is_eof) {
                end = c->data.len;
            }
            next = end == SIZE_MAX ? SIZE_MAX : end < c->data.len ? end + 1 : end;
            if (next != SIZE_MAX) {
                size_t stop = end > c->pos && c->data.data[end - 1] == '\r' ? end - 1 : end;
                TRY(text_record(f, c, slice_make(c->data.data + c->pos, stop - c->pos)));
            }
        }
        if (next == SIZE_MAX) {
            c->line--;
            break;
        }
        c->pos = next;
    }
    if (c->saw_end) {
        c->pos = c->data.len;
    }
    if (c->pos > 0) {
        memmove(c->data.data, c->data.data + c->pos, c->data.len - c->pos);
        c->data.len -= c->pos;
        c->pos = 0;
    }
    if (c->data.len > RECORD_MAX) {
        return at_line(
            c, status_sql(LIMIT, "54000", "a COPY record is longer than %zu bytes", RECORD_MAX),
            NULL);
    }
    return NULL;
}

/* The next bytes: of those that were kept, then from the client. */
static struct status *next_piece(struct fiber *f, struct copy_in *c, struct slice *out)
{
    struct replay_copy *kept = c->step != NULL ? c->step->copy : NULL;
    *out = slice_make(NULL, 0);
    if (kept != NULL && c->kept_at < kept->data.len) {
        size_t n = kept->data.len - c->kept_at;
        *out = slice_make(kept->data.data + c->kept_at, n < PIECE_BYTES ? n : PIECE_BYTES);
        c->kept_at += out->len;
        return NULL;
    }
    if (c->sink == NULL || (kept != NULL && kept->is_complete)) {
        return NULL;
    }
    TRY(c->sink->copy_read(f, c->sink, out));
    if (kept != NULL && out->len == 0) {
        kept->is_complete = true;
    } else if (kept != NULL && replay_copy_data(c->s, c->step, *out)) {
        c->kept_at += out->len;
    } else {
        c->step = NULL;
    }
    return NULL;
}

static struct status *copy_from(struct fiber *f, struct session *s, const struct copy_spec *spec,
                                struct copy_target *target, struct exec *exec, struct sink *sink,
                                struct replay_step *step)
{
    struct copy_in c = {.s = s,
                        .sink = sink,
                        .step = step,
                        .spec = spec,
                        .target = target,
                        .exec = exec,
                        .skip_header = spec->has_header};
    c.types = mem_alloc(sizeof(uint32_t) * (size_t)(spec->ncols + 1));
    for (int i = 0; i < spec->ncols; i++) {
        c.types[i] = spec->cols[i].type;
    }
    new_batch(&c);
    struct status *st = NULL;
    while (st == NULL) {
        struct slice piece;
        st = next_piece(f, &c, &piece);
        if (st != NULL) {
            break;
        }
        if (piece.len == 0) {
            st = parse_available(f, &c, true);
            break;
        }
        if (!c.saw_end) {
            buf_put_slice(&c.data, piece);
            st = parse_available(f, &c, false);
        }
    }
    if (st == NULL) {
        st = flush_batch(f, &c);
    }
    buf_deinit(&c.data);
    buf_deinit(&c.field);
    arena_destroy(c.arena);
    mem_free(c.types);
    return st;
}

/* ---- COPY TO ---- */

static void put_text(struct buf *out, const struct copy_spec *sp, struct slice v)
{
    for (size_t i = 0; i < v.len; i++) {
        uint8_t ch = v.data[i];
        switch (ch) {
        case '\n':
            buf_put(out, "\\n", 2);
            break;
        case '\r':
            buf_put(out, "\\r", 2);
            break;
        case '\t':
            buf_put(out, "\\t", 2);
            break;
        case '\b':
            buf_put(out, "\\b", 2);
            break;
        case '\f':
            buf_put(out, "\\f", 2);
            break;
        case '\v':
            buf_put(out, "\\v", 2);
            break;
        default:
            if (ch == '\\' || ch == (uint8_t)sp->delimiter) {
                buf_put_u8(out, '\\');
            }
            buf_put_u8(out, ch);
        }
    }
}

static void put_csv(struct buf *out, const struct copy_spec *sp, struct slice v)
{
    bool needs_quote =
        slice_eq(v, slice_str(sp->null_text)) || (v.len == 2 && memcmp(v.data, "\\.", 2) == 0);
    for (size_t i = 0; i < v.len && !needs_quote; i++) {
        needs_quote = v.data[i] == (uint8_t)sp->delimiter || v.data[i] == (uint8_t)sp->quote ||
                      v.data[i] == '\n' || v.data[i] == '\r';
    }
    if (!needs_quote) {
        buf_put_slice(out, v);
        return;
    }
    buf_put_u8(out, (uint8_t)sp->quote);
    for (size_t i = 0; i < v.len; i++) {
        if (v.data[i] == (uint8_t)sp->quote || v.data[i] == (uint8_t)sp->escape) {
            buf_put_u8(out, (uint8_t)sp->escape);
        }
        buf_put_u8(out, v.data[i]);
    }
    buf_put_u8(out, (uint8_t)sp->quote);
}

static void put_rows(struct buf *out, struct buf *value, const struct copy_spec *sp,
                     const struct batch *b)
{
    for (int r = 0; r < b->nrows; r++) {
        for (int col = 0; col < sp->ncols; col++) {
            if (col > 0) {
                buf_put_u8(out, (uint8_t)sp->delimiter);
            }
            const struct datum *d = &b->cols[col][r];
            if (d->is_null) {
                buf_put_slice(out, slice_str(sp->null_text));
                continue;
            }
            buf_clear(value);
            type_output(b->types[col], d, value);
            if (sp->is_csv) {
                put_csv(out, sp, buf_slice(value));
            } else {
                put_text(out, sp, buf_slice(value));
            }
        }
        buf_put_u8(out, '\n');
    }
}

static struct status *copy_to(struct fiber *f, const struct copy_spec *spec, struct plan *query,
                              struct exec *exec, struct sink *sink, uint64_t *out_rows)
{
    if (sink->copy_out == NULL) {
        return status_hint(
            status_new(UNSUPPORTED, "COPY TO STDOUT is not possible over this interface"),
            "Use SELECT, or a PostgreSQL client.");
    }
    struct op *op = NULL;
    struct buf out = {0}, value = {0};
    struct status *st = NULL;
    TRY_GOTO(plan_open(f, query, exec, &op), out);
    TRY_GOTO(sink->copy_out(f, sink, spec), out);
    if (spec->has_header) {
        for (int i = 0; i < spec->ncols; i++) {
            if (i > 0) {
                buf_put_u8(&out, (uint8_t)spec->delimiter);
            }
            put_csv(&out, spec, slice_str(spec->cols[i].name));
        }
        buf_put_u8(&out, '\n');
    }
    for (;;) {
        struct batch *b;
        TRY_GOTO(op_next(f, op, &b), out);
        if (b == NULL) {
            break;
        }
        put_rows(&out, &value, spec, b);
        *out_rows += (uint64_t)b->nrows;
        TRY_GOTO(sink->copy_write(f, sink, buf_slice(&out)), out);
        buf_clear(&out);
    }
    if (out.len > 0) {
        TRY_GOTO(sink->copy_write(f, sink, buf_slice(&out)), out);
    }
    st = sink->copy_end(f, sink);
out:
    op_close(op);
    buf_deinit(&out);
    buf_deinit(&value);
    return st;
}

/* ---- the statement ---- */

struct copy_run {
    struct session *s;
    struct catalog *catalog;
    struct arena *arena; /* of the plan */
    struct exec exec;
    struct copy_spec spec;
    struct copy_target *target; /* FROM */
    struct plan *query;         /* TO */
    struct replay_step *step;   /* FROM: kept for a replay, or NULL */
    int64_t now_us;
};

static struct status *copy_open(struct fiber *f, struct session *s, struct parsed *p, int i,
                                struct copy_run *out)
{
    *out = (struct copy_run){.s = s, .catalog = session_catalog(s), .now_us = session_wall_us(s)};
    out->arena = arena_create(0);
    out->exec.arena = arena_create(0);
    session_env(s, out->catalog, &out->exec.env);
    return plan_copy(f, &out->exec.env, p, i, out->arena, &out->spec, &out->target, &out->query);
}

static void copy_close(struct copy_run *x)
{
    plan_unref(x->query);
    arena_destroy(x->exec.arena);
    arena_destroy(x->arena);
    catalog_unref(x->catalog);
}

static const struct plan *copy_uses(const struct copy_run *x)
{
    return x->query != NULL ? x->query : copy_plan(x->target);
}

/* Opened on a catalog as new as the call, when nobody is changing its tables: once begun it cannot
 * be planned again. x is open afterwards, also on error. */
static struct status *copy_wait(struct fiber *f, struct session *s, struct parsed *p, int i,
                                struct copy_run *x)
{
    struct status *st = meta_refresh(f, s->router->meta);
    struct status *opened = copy_open(f, s, p, i, x);
    st = st == NULL ? opened : (status_free(opened), st);
    if (st == NULL) {
        st = session_need_txn(s, false, !x->spec.is_from);
    }
    for (bool is_done = false; st == NULL && !is_done;) {
        st = session_statement_begin(f, s, copy_uses(x));
        is_done = !status_is(st, STATUS_MOVED);
        if (!is_done) {
            status_free(st);
            copy_close(x);
            st = copy_open(f, s, p, i, x);
        }
    }
    return st;
}

static struct status *copy_begin(struct fiber *f, struct copy_run *x)
{
    struct session *s = x->s;
    TRY(session_need_txn(s, false, !x->spec.is_from));
    TRY(session_statement_begin(f, s, copy_uses(x)));
    s->block_has_query = true;
    if (x->query != NULL) {
        TRY(past_check_plan(s, x->query));
    }
    arena_reset(x->exec.arena);
    x->exec.txn = s->txn;
    x->exec.txn_now_us = s->txn_now_us;
    x->exec.stmt_now_us = x->now_us;
    x->exec.rows_affected = 0;
    return NULL;
}

static struct status *copy_from_once(struct fiber *f, struct copy_run *x, struct sink *sink)
{
    TRY(copy_begin(f, x));
    replay_rewind(x->s, x->step);
    struct status *st = copy_from(f, x->s, &x->spec, x->target, &x->exec, sink, x->step);
    replay_rewind(x->s, NULL);
    return st;
}

static void copy_tag(uint64_t rows, char *out, size_t size)
{
    snprintf(out, size, "COPY %llu", (unsigned long long)rows);
}

static void copy_digest(struct copy_run *x)
{
    char tag[64];
    copy_tag(x->exec.rows_affected, tag, sizeof(tag));
    x->step->result = (struct digest){0};
    digest_text(&x->step->result, tag);
}

struct status *copy_again(struct fiber *f, struct session *s, struct replay_step *step)
{
    struct parsed *p = NULL;
    TRY(parse_sql(f, slice_str(step->copy->sql), &p));
    struct copy_run x;
    struct status *st = copy_open(f, s, p, 0, &x);
    if (st == NULL) {
        x.step = step;
        x.now_us = step->now_us;
        st = copy_from_once(f, &x, NULL);
    }
    if (st == NULL) {
        copy_digest(&x);
    }
    copy_close(&x);
    parsed_free(p);
    return st;
}

/* Until it is done, or the client has to hear why not. */
static struct status *copy_from_tries(struct fiber *f, struct copy_run *x, struct slice sql,
                                      struct sink *sink)
{
    struct session *s = x->s;
    TRY(session_may_write(s, "COPY FROM"));
    TRY(portals_settle(f, s));
    TRY(session_need_txn(s, false, false));
    if (sink->copy_in == NULL) {
        return status_hint(
            status_new(UNSUPPORTED, "COPY FROM STDIN is not possible over this interface"),
            "Use INSERT, or a PostgreSQL client.");
    }
    x->step = replay_copy(s, sql, x->now_us);
    s->replay.under_way = x->step;
    struct status *st = sink->copy_in(f, sink, &x->spec);
    if (st == NULL) {
        st = copy_from_once(f, x, sink);
    }
    while (st != NULL && x->step != NULL) {
        st = replay_run(f, s, st);
        if (st != NULL) {
            break;
        }
        st = copy_from_once(f, x, sink);
    }
    if (x->step != NULL && st == NULL) {
        copy_digest(x);
    } else if (x->step != NULL) {
        x->step->result = (struct digest){0};
        replay_failed(s, x->step, st);
    }
    s->replay.under_way = NULL;
    return st;
}

struct status *copy_statement(struct fiber *f, struct session *s, struct parsed *p, int i,
                              struct sink *sink)
{
    struct copy_run x;
    uint64_t rows = 0;
    char tag[64];
    struct status *st = NULL;
    TRY_GOTO(copy_wait(f, s, p, i, &x), out);
    if (x.spec.is_from) {
        TRY_GOTO(copy_from_tries(f, &x, parsed_text(p, i), sink), out);
        rows = x.exec.rows_affected;
    } else {
        replay_give_up(s); /* what was sent is not digested */
        TRY_GOTO(copy_begin(f, &x), out);
        TRY_GOTO(copy_to(f, &x.spec, x.query, &x.exec, sink, &rows), out);
    }
    if (!s->in_block && !s->is_implicit_block) {
        TRY_GOTO(session_end_implicit(f, s), out);
    }
    copy_tag(rows, tag, sizeof(tag));
    st = sink->complete(f, sink, tag);
out:
    copy_close(&x);
    return st;
}
