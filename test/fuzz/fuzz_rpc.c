/* Bytes from a peer: envelopes into the rpc node, errors and messages into their decoders. */
#include "api/pb.h"
#include "api/rpc.h"
#include "api/status_pb.h"
#include "base/sim.h"
#include "fuzz.h"
#include "rpc_wire.h"
#include "sherd/v1/metadata.pb-c.h"
#include "sherd/v1/shard.pb-c.h"

static struct sim *sim;
static struct loop *loop;
static struct rpc_node *node;
static struct rpc_link link_end;

static bool send_nowhere(struct rpc_link *l, uint64_t to_node, struct slice envelope)
{
    (void)l, (void)to_node, (void)envelope;
    return true;
}

static bool is_connected(struct rpc_link *l, uint64_t to_node)
{
    (void)l, (void)to_node;
    return true;
}

static struct status *serve(struct fiber *f, struct rpc_context *ctx, const void *request,
                            void **out_reply, void *handler_ctx)
{
    (void)f, (void)request, (void)handler_ctx;
    *out_reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaTxnReply);
    sherd__v1__meta_txn_reply__init(*out_reply);
    return NULL;
}

static void init(void)
{
    sim = sim_create(1);
    loop = sim_loop_create(sim, "fuzz");
    link_end.send = send_nowhere;
    link_end.is_connected = is_connected;
    node = rpc_node_create(loop, 1, &link_end);
    rpc_register(node, RPC_META_TXN, serve, NULL, true);
    rpc_register(node, RPC_META_JOIN, serve, NULL, false);
}

/* What the reader hands out lies within the envelope. */
static void walk(struct slice envelope)
{
    struct reader r;
    struct rpc_wire_item item;
    reader_init(&r, envelope);
    while (rpc_wire_next(&r, &item)) {
        ASSERT(item.kind >= RPC_WIRE_HELLO && item.kind <= RPC_WIRE_ANSWER);
        ASSERT(item.body.len == 0 ||
               (item.body.data >= envelope.data &&
                item.body.data + item.body.len <= envelope.data + envelope.len));
    }
    ASSERT(!reader_ok(&r) || reader_left(&r) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (node == NULL) {
        init();
    }
    struct slice bytes = slice_make(data, size);
    walk(bytes);
    (void)link_end.on_envelope(link_end.ctx, 2, bytes);
    link_end.on_caller_gone(link_end.ctx, 2);
    sim_run(sim, sim_now_ns(sim) + 1000000, NULL, NULL);
    status_free(status_from_details(data, size));
    static const ProtobufCMessageDescriptor *const types[] = {
        &sherd__v1__error__descriptor, &sherd__v1__meta_txn_request__descriptor,
        &sherd__v1__write_request__descriptor, &sherd__v1__read_reply__descriptor};
    struct arena *a = arena_create(1 << 20);
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        void *message = NULL;
        if (status_consume(pb_unpack(types[i], a, bytes, &message))) {
            continue;
        }
        if (i == 0) {
            status_free(status_from_error(message));
        }
        void *copy = NULL;
        if (status_consume(pb_copy(message, a, &copy))) {
            continue;
        }
    }
    arena_destroy(a);
    return 0;
}
