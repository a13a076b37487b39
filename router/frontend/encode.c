/*
 * Messages to the client, written straight into the connection's output buffer.
 *
 *   type u8 | length u32 (itself and the body) | body
 */
#include "pgwire.h"

size_t message_begin(struct buf *out, char type)
{
    size_t at = out->len;
    uint8_t *p = buf_extend(out, 5);
    p[0] = (uint8_t)type;
    set_u32(p + 1, 0);
    return at;
}

void message_end(struct buf *out, size_t at)
{
    set_u32(out->data + at + 1, (uint32_t)(out->len - at - 1));
}

void put_message(struct buf *out, char type)
{
    uint8_t *p = buf_extend(out, 5);
    p[0] = (uint8_t)type;
    set_u32(p + 1, 4);
}

void put_parameter(struct buf *out, const char *name, const char *value)
{
    size_t at = message_begin(out, 'S');
    buf_put_cstr(out, name);
    buf_put_cstr(out, value);
    message_end(out, at);
}

void put_ready(struct buf *out, char txn_status)
{
    uint8_t *p = buf_extend(out, 6);
    p[0] = 'Z';
    set_u32(p + 1, 5);
    p[5] = (uint8_t)txn_status;
}

static void put_field(struct buf *out, char code, const char *value)
{
    if (value != NULL && value[0] != '\0') {
        buf_put_u8(out, (uint8_t)code);
        buf_put_cstr(out, value);
    }
}

void put_error(struct buf *out, char type, const char *severity, const struct status *st)
{
    size_t at = message_begin(out, type);
    put_field(out, 'S', severity);
    put_field(out, 'V', severity);
    put_field(out, 'C', st->sqlstate);
    buf_put_u8(out, 'M');
    buf_put_cstr(out, st->message);
    put_field(out, 'D', st->detail);
    put_field(out, 'H', st->hint);
    if (st->position > 0) {
        buf_put_u8(out, 'P');
        buf_printf(out, "%d", st->position);
        buf_put_u8(out, 0);
    }
    put_field(out, 't', st->table);
    put_field(out, 'c', st->column);
    put_field(out, 'n', st->constraint);
    buf_put_u8(out, 0);
    message_end(out, at);
}

/* Format of a result column: none given means text, one goes for all. */
static int16_t format_of(const int16_t *formats, int nformats, int column)
{
    return nformats == 0 ? 0 : nformats == 1 ? formats[0] : column < nformats ? formats[column] : 0;
}

void put_row_description(struct buf *out, const struct plan_column *cols, int ncols,
                         const int16_t *formats, int nformats)
{
    size_t at = message_begin(out, 'T');
    buf_put_u16(out, (uint16_t)ncols);
    for (int i = 0; i < ncols; i++) {
        /* An untyped literal goes out as text, as PostgreSQL has resolved it by then. */
        type_oid type = cols[i].type == TYPE_UNKNOWN ? TYPE_TEXT : cols[i].type;
        const struct type_info *t = type_find(type);
        buf_put_cstr(out, cols[i].name != NULL ? cols[i].name : "?column?");
        buf_put_u32(out, cols[i].table_oid);
        buf_put_u16(out, cols[i].attnum);
        buf_put_u32(out, type);
        buf_put_u16(out, (uint16_t)(t != NULL ? t->len : -1));
        buf_put_u32(out, (uint32_t)cols[i].typmod);
        buf_put_u16(out, (uint16_t)format_of(formats, nformats, i));
    }
    message_end(out, at);
}

void put_data_row(struct buf *out, struct session *s, const struct batch *b, int row,
                  const int16_t *formats, int nformats)
{
    size_t at = message_begin(out, 'D');
    buf_put_u16(out, (uint16_t)b->ncols);
    for (int c = 0; c < b->ncols; c++) {
        const struct datum *d = &b->cols[c][row];
        if (d->is_null) {
            buf_put_u32(out, UINT32_MAX);
            continue;
        }
        size_t len_at = out->len;
        set_u32(buf_extend(out, 4), 0);
        if (format_of(formats, nformats, c) == 1) {
            type_send(b->types[c], d, out);
        } else {
            session_output(s, b->types[c], d, out);
        }
        set_u32(out->data + len_at, (uint32_t)(out->len - len_at - 4));
    }
    message_end(out, at);
}
