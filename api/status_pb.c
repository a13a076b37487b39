/*
 * Conversion of errors, api/status_pb.h.
 *
 * NOT_LEADER keeps the leader's node in `position`, which means nothing for it otherwise; node ids
 * that do not fit are told as unknown (the caller then asks around). What comes in is not trusted:
 * a code out of the table is INTERNAL, a SQLSTATE that is not five of [0-9A-Z] is the code's own.
 */
#include "api/status_pb.h"

#include "api/pb.h"
#include "api/rpc.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#define DETAILS_TEXT_MAX 1024 /* six texts: below 7 kB with all else */
#define TYPE_URL "type.googleapis.com/sherd.v1.Error"

struct status *rpc_not_leader(uint64_t leader_node)
{
    if (leader_node == 0 || leader_node > INT_MAX) {
        return &status_not_leader;
    }
    return status_at(status_copy(&status_not_leader), (int)leader_node);
}

uint64_t rpc_leader_hint(const struct status *st)
{
    return status_is(st, STATUS_NOT_LEADER) && st->position > 0 ? (uint64_t)st->position : 0;
}

static char *or_empty(const char *s)
{
    return (char *)(s == NULL ? protobuf_c_empty_string : s);
}

void status_to_error(const struct status *st, Sherd__V1__Error *out)
{
    sherd__v1__error__init(out);
    out->code = (uint32_t)st->code;
    out->sqlstate = (char *)st->sqlstate;
    out->message = or_empty(st->message);
    out->detail = or_empty(st->detail);
    out->hint = or_empty(st->hint);
    out->constraint = or_empty(st->constraint);
    out->table = or_empty(st->table);
    out->column = or_empty(st->column);
    if (st->code == STATUS_NOT_LEADER) {
        out->leader_node = rpc_leader_hint(st);
    } else if (st->position > 0) {
        out->position = (uint32_t)st->position;
    }
}

static bool sqlstate_is_valid(const char *s)
{
    if (s == NULL || strlen(s) != 5) {
        return false;
    }
    for (int i = 0; i < 5; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z'))) {
            return false;
        }
    }
    return true;
}

static const char *or_null(const char *s)
{
    return s == NULL || s[0] == '\0' ? NULL : s;
}

struct status *status_from_error(const Sherd__V1__Error *e)
{
    enum status_code code = STATUS_INTERNAL;
    if (e->code > STATUS_OK && e->code < STATUS_CODE_COUNT) {
        code = (enum status_code)e->code;
    }
    if (code == STATUS_NOT_LEADER && or_null(e->detail) == NULL && or_null(e->hint) == NULL &&
        strcmp(or_empty(e->message), status_not_leader.message) == 0) {
        return rpc_not_leader(e->leader_node);
    }
    const char *sqlstate = sqlstate_is_valid(e->sqlstate) ? e->sqlstate : NULL;
    const char *message = or_null(e->message) == NULL ? status_code_name(code) : e->message;
    struct status *st = status_make(__FILE__, __LINE__, code, sqlstate, "%s", message);
    if (or_null(e->detail) != NULL) {
        st = status_detail(st, "%s", e->detail);
    }
    if (or_null(e->hint) != NULL) {
        st = status_hint(st, "%s", e->hint);
    }
    if (or_null(e->table) != NULL || or_null(e->column) != NULL || or_null(e->constraint) != NULL) {
        st = status_about(st, or_null(e->table), or_null(e->column), or_null(e->constraint));
    }
    uint64_t position = code == STATUS_NOT_LEADER ? e->leader_node : e->position;
    if (position > 0 && position <= INT_MAX) {
        st = status_at(st, (int)position);
    }
    return st;
}

/* At most `max` bytes, never inside a UTF-8 character. */
static size_t cut(const char *s, size_t max)
{
    size_t len = strlen(s);
    if (len <= max) {
        return len;
    }
    len = max;
    while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80) {
        len--;
    }
    return len;
}

static void put_text(struct buf *out, unsigned field, const char *s, size_t max)
{
    if (s == NULL || s[0] == '\0') {
        return;
    }
    buf_put_varint(out, (uint64_t)field << 3 | 2);
    buf_put_bytes(out, slice_make(s, cut(s, max)));
}

static void put_number(struct buf *out, unsigned field, uint64_t v)
{
    if (v != 0) {
        buf_put_varint(out, (uint64_t)field << 3);
        buf_put_varint(out, v);
    }
}

void status_pack_error(const struct status *st, size_t text_max, struct buf *out)
{
    Sherd__V1__Error e;
    status_to_error(st, &e);
    put_number(out, 1, e.code);
    put_text(out, 2, e.sqlstate, 5);
    put_text(out, 3, e.message, text_max);
    put_text(out, 4, e.detail, text_max);
    put_text(out, 5, e.hint, text_max);
    put_number(out, 6, e.position);
    put_text(out, 7, e.constraint, text_max);
    put_text(out, 8, e.table, text_max);
    put_text(out, 9, e.column, text_max);
    put_number(out, 10, e.leader_node);
}

void status_pack_details(const struct status *st, struct buf *out)
{
    struct buf error = {0};
    struct buf any = {0};
    status_pack_error(st, DETAILS_TEXT_MAX, &error);
    put_text(&any, 1, TYPE_URL, sizeof(TYPE_URL));
    buf_put_varint(&any, 2 << 3 | 2);
    buf_put_bytes(&any, buf_slice(&error));
    put_number(out, 1, (uint64_t)status_code_grpc(st->code));
    put_text(out, 2, st->message, DETAILS_TEXT_MAX);
    buf_put_varint(out, 3 << 3 | 2);
    buf_put_bytes(out, buf_slice(&any));
    buf_deinit(&any);
    buf_deinit(&error);
}

/* The bytes of length-delimited field `field`, first one that is there. Skips all others. */
static bool find_bytes(struct slice message, unsigned field, struct slice *out)
{
    struct reader r;
    reader_init(&r, message);
    while (reader_left(&r) > 0 && reader_ok(&r)) {
        uint64_t tag = read_varint(&r);
        struct slice bytes = {0};
        switch (tag & 7) {
        case 0:
            (void)read_varint(&r);
            continue;
        case 1:
            (void)read_raw(&r, 8);
            continue;
        case 2:
            bytes = read_bytes(&r);
            break;
        case 5:
            (void)read_raw(&r, 4);
            continue;
        default:
            return false;
        }
        if (tag >> 3 == field && reader_ok(&r)) {
            *out = bytes;
            return true;
        }
    }
    return false;
}

struct status *status_from_details(const uint8_t *data, size_t len)
{
    struct slice any;
    struct slice type;
    struct slice bytes;
    if (!find_bytes(slice_make(data, len), 3, &any) || !find_bytes(any, 1, &type) ||
        !slice_eq(type, slice_str(TYPE_URL)) || !find_bytes(any, 2, &bytes)) {
        return NULL;
    }
    struct arena *a = arena_create(1 << 20);
    void *error = NULL;
    struct status *st = pb_unpack(&sherd__v1__error__descriptor, a, bytes, &error);
    if (st == NULL) {
        st = status_from_error(error);
    } else {
        status_free(st);
        st = NULL;
    }
    arena_destroy(a);
    return st;
}

struct status *status_from_grpc(int grpc_code, const char *text, size_t text_len)
{
    enum status_code code = status_code_from_grpc(grpc_code);
    const char *sqlstate = NULL;
    if (code == STATUS_UNAVAILABLE) {
        sqlstate = "08006";
    }
    if (text_len > 512) {
        text_len = 512;
    }
    return status_make(__FILE__, __LINE__, code == STATUS_OK ? STATUS_INTERNAL : code, sqlstate,
                       "%.*s", (int)text_len, text_len == 0 ? "" : text);
}
