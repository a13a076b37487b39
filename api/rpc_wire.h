/*
 * The bytes of sherd.v1.NodeEnvelope, written and read by hand: the format is protobuf's, so that
 * node.proto stays its definition, but the payloads are neither copied nor allocated on the way.
 *
 *   NodeEnvelope = { 0x0a len NodeHello | 0x12 len NodeCall | 0x1a len NodeAnswer }*
 *
 * Two envelopes one after the other are an envelope: a link that waits for its connection appends.
 */
#ifndef API_RPC_WIRE_H
#define API_RPC_WIRE_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

#define RPC_WIRE_PROTOCOL 1
/* The largest envelope a node accepts: one message of full size and its frame. */
#define RPC_WIRE_ENVELOPE_MAX (((size_t)32 << 20) + 4096)

enum rpc_wire_kind { RPC_WIRE_HELLO = 1, RPC_WIRE_CALL = 2, RPC_WIRE_ANSWER = 3 };

struct rpc_wire_hello {
    uint64_t node_id;
    uint64_t cluster_id;
    uint64_t protocol;
    uint64_t incarnation; /* drawn at start: tells a restarted process from a reconnected one */
};

struct rpc_wire_item {
    enum rpc_wire_kind kind;
    uint64_t tag;
    uint64_t method;
    uint64_t deadline_ms; /* time left, 0 = none */
    bool is_cancel;
    bool has_error;
    struct slice body; /* request, reply or packed Error; borrowed */
    struct rpc_wire_hello hello;
};

void rpc_wire_put_hello(struct buf *out, const struct rpc_wire_hello *hello);
/* request, reply: generated structs. */
void rpc_wire_put_call(struct buf *out, uint64_t tag, unsigned method, const void *request,
                       size_t request_size, uint64_t deadline_ms);
void rpc_wire_put_cancel(struct buf *out, uint64_t tag);
void rpc_wire_put_reply(struct buf *out, uint64_t tag, const void *reply, size_t reply_size);
void rpc_wire_put_error(struct buf *out, uint64_t tag, const struct status *st);

/* False at the end and at the first damage; reader_ok() tells which. Unknown fields are skipped. */
bool rpc_wire_next(struct reader *r, struct rpc_wire_item *out);
/* What an envelope that we made holds, by its first byte. */
static inline bool rpc_wire_is_answers(struct slice envelope)
{
    return envelope.len > 0 && envelope.data[0] == (RPC_WIRE_ANSWER << 3 | 2);
}

#endif
