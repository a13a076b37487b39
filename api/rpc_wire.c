/* The envelope codec of rpc_wire.h. The reader checks every length; see base/buf.h. */
#include "rpc_wire.h"

#include "api/pb.h"
#include "api/status_pb.h"
#include "base/check.h"

#include <protobuf-c/protobuf-c.h>

#define ERROR_TEXT_MAX 65536

enum { TYPE_VARINT = 0, TYPE_FIXED64 = 1, TYPE_BYTES = 2, TYPE_FIXED32 = 5 };

static size_t varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

static size_t number_size(uint64_t v) /* with a one-byte field tag; zero is left out */
{
    return v == 0 ? 0 : 1 + varint_size(v);
}

static void put_number(struct buf *out, unsigned field, uint64_t v)
{
    if (v != 0) {
        buf_put_u8(out, (uint8_t)(field << 3 | TYPE_VARINT));
        buf_put_varint(out, v);
    }
}

static void put_head(struct buf *out, unsigned field, size_t len)
{
    buf_put_u8(out, (uint8_t)(field << 3 | TYPE_BYTES));
    buf_put_varint(out, len);
}

static void put_message(struct buf *out, const void *message, size_t size)
{
    if (size == 0) {
        return;
    }
    uint8_t *p = buf_extend(out, size);
    size_t written = protobuf_c_message_pack(message, p);
    ASSERT(written == size);
}

void rpc_wire_put_hello(struct buf *out, const struct rpc_wire_hello *h)
{
    put_head(out, RPC_WIRE_HELLO,
             number_size(h->node_id) + number_size(h->cluster_id) + number_size(h->protocol) +
                 number_size(h->incarnation));
    put_number(out, 1, h->node_id);
    put_number(out, 2, h->cluster_id);
    put_number(out, 3, h->protocol);
    put_number(out, 4, h->incarnation);
}

void rpc_wire_put_call(struct buf *out, uint64_t tag, unsigned method, const void *request,
                       size_t request_size, uint64_t deadline_ms)
{
    size_t body = request_size == 0 ? 0 : 1 + varint_size(request_size) + request_size;
    put_head(out, RPC_WIRE_CALL,
             number_size(tag) + number_size(method) + body + number_size(deadline_ms));
    put_number(out, 1, tag);
    put_number(out, 2, method);
    if (request_size > 0) {
        put_head(out, 3, request_size);
        put_message(out, request, request_size);
    }
    put_number(out, 4, deadline_ms);
}

void rpc_wire_put_cancel(struct buf *out, uint64_t tag)
{
    put_head(out, RPC_WIRE_CALL, number_size(tag) + 2);
    put_number(out, 1, tag);
    put_number(out, 5, 1);
}

void rpc_wire_put_reply(struct buf *out, uint64_t tag, const void *reply, size_t reply_size)
{
    size_t body = reply_size == 0 ? 0 : 1 + varint_size(reply_size) + reply_size;
    put_head(out, RPC_WIRE_ANSWER, number_size(tag) + body);
    put_number(out, 1, tag);
    if (reply_size > 0) {
        put_head(out, 2, reply_size);
        put_message(out, reply, reply_size);
    }
}

void rpc_wire_put_error(struct buf *out, uint64_t tag, const struct status *st)
{
    struct buf error = {0};
    status_pack_error(st, ERROR_TEXT_MAX, &error);
    put_head(out, RPC_WIRE_ANSWER, number_size(tag) + 1 + varint_size(error.len) + error.len);
    put_number(out, 1, tag);
    buf_put_u8(out, 3 << 3 | TYPE_BYTES);
    buf_put_bytes(out, buf_slice(&error));
    buf_deinit(&error);
}

/* One field. Its number, or 0 at the end; *v or *bytes by type. */
static unsigned next_field(struct reader *r, uint64_t *v, struct slice *bytes)
{
    *v = 0;
    *bytes = slice_make(NULL, 0);
    if (reader_left(r) == 0 || !reader_ok(r)) {
        return 0;
    }
    uint64_t tag = read_varint(r);
    switch (tag & 7) {
    case TYPE_VARINT:
        *v = read_varint(r);
        break;
    case TYPE_FIXED64:
        (void)read_raw(r, 8);
        break;
    case TYPE_BYTES:
        *bytes = read_bytes(r);
        break;
    case TYPE_FIXED32:
        (void)read_raw(r, 4);
        break;
    default:
        r->failed = true;
    }
    uint64_t field = tag >> 3;
    if (field == 0 || field > (1u << 29) - 1) {
        r->failed = true;
    }
    return reader_ok(r) ? (unsigned)field : 0;
}

static void read_hello(struct reader *r, struct rpc_wire_hello *out)
{
    uint64_t v;
    struct slice bytes;
    unsigned field;
    while ((field = next_field(r, &v, &bytes)) != 0) {
        uint64_t *to[] = {NULL, &out->node_id, &out->cluster_id, &out->protocol, &out->incarnation};
        if (field < sizeof(to) / sizeof(to[0])) {
            *to[field] = v;
        }
    }
}

static void read_call(struct reader *r, struct rpc_wire_item *out)
{
    uint64_t v;
    struct slice bytes;
    unsigned field;
    while ((field = next_field(r, &v, &bytes)) != 0) {
        switch (field) {
        case 1:
            out->tag = v;
            break;
        case 2:
            out->method = v;
            break;
        case 3:
            out->body = bytes;
            break;
        case 4:
            out->deadline_ms = v;
            break;
        case 5:
            out->is_cancel = v != 0;
            break;
        default:
            break;
        }
    }
}

static void read_answer(struct reader *r, struct rpc_wire_item *out)
{
    uint64_t v;
    struct slice bytes;
    unsigned field;
    while ((field = next_field(r, &v, &bytes)) != 0) {
        switch (field) {
        case 1:
            out->tag = v;
            break;
        case 2:
            if (!out->has_error) {
                out->body = bytes;
            }
            break;
        case 3:
            out->has_error = true;
            out->body = bytes;
            break;
        default:
            break;
        }
    }
}

bool rpc_wire_next(struct reader *r, struct rpc_wire_item *out)
{
    uint64_t v;
    struct slice bytes;
    unsigned field;
    while ((field = next_field(r, &v, &bytes)) != 0) {
        if (field > RPC_WIRE_ANSWER) {
            continue;
        }
        *out = (struct rpc_wire_item){.kind = (enum rpc_wire_kind)field};
        struct reader inner;
        reader_init(&inner, bytes);
        if (field == RPC_WIRE_HELLO) {
            read_hello(&inner, &out->hello);
        } else if (field == RPC_WIRE_CALL) {
            read_call(&inner, out);
        } else {
            read_answer(&inner, out);
        }
        r->failed = r->failed || !reader_ok(&inner);
        return reader_ok(r);
    }
    return false;
}
