/*
 * Unary calls to any address, from a fiber: joining a cluster, administration. Each call has a
 * channel of its own; gRPC shares the connection when one is open.
 *
 * All six operations go as one batch, which comes back when the call is over. A fiber that gives up
 * cancels the call and then waits for the batch, since the library writes into this stack frame.
 */
#include "api/grpc.h"

#include "api/pb.h"
#include "base/check.h"
#include "grpc_hub.h"

struct unary {
    struct grpc_tag tag;
    struct fiber *fiber;
    bool is_done;
};

static void unary_done(struct grpc_tag *t, bool ok)
{
    (void)ok;
    struct unary *u = CONTAINER_OF(t, struct unary, tag);
    u->is_done = true;
    fiber_wake(u->fiber);
}

/* Waits for the batch; what the fiber itself says when it gave up. */
static struct status *wait_done(struct fiber *f, struct unary *u, grpc_call *call)
{
    struct status *given_up = NULL;
    while (!u->is_done) {
        if (given_up != NULL) {
            fiber_park_hard(f);
            continue;
        }
        given_up = fiber_park(f);
        if (given_up != NULL) {
            (void)grpc_call_cancel(call, NULL);
        }
    }
    return given_up;
}

static struct status *take_reply(const ProtobufCMessageDescriptor *d, struct arena *arena,
                                 grpc_byte_buffer *buffer, void **out_reply)
{
    struct grpc_bytes b;
    if (buffer == NULL || !grpc_bytes_open(&b, buffer)) {
        return status_new(CORRUPT, "the reply %s is missing", d->name);
    }
    struct status *st =
        b.bytes.len > RPC_MESSAGE_MAX
            ? status_sql(LIMIT, "54000", "the reply %s has %zu bytes", d->name, b.bytes.len)
            : pb_unpack(d, arena, b.bytes, out_reply);
    grpc_bytes_close(&b);
    return st;
}

struct status *grpc_unary_call(struct fiber *f, struct loop *l, const char *host, uint16_t port,
                               const char *full_method, const ProtobufCMessage *request,
                               const ProtobufCMessageDescriptor *reply, struct arena *arena,
                               void **out_reply)
{
    struct grpc_hub *hub = grpc_hub_get(l);
    grpc_channel *channel = grpc_channel_to(host, port, GRPC_CHANNEL_UNARY);
    grpc_slice method = grpc_slice_from_copied_string(full_method);
    grpc_call *call = grpc_channel_create_call(channel, NULL, 0, grpc_hub_queue(hub), method, NULL,
                                               gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    grpc_slice_unref(method);

    grpc_byte_buffer *out = grpc_pack(request);
    grpc_byte_buffer *in = NULL;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code code = GRPC_STATUS_UNKNOWN;
    grpc_slice text = grpc_empty_slice();
    grpc_metadata_array_init(&initial);
    grpc_metadata_array_init(&trailing);
    grpc_op ops[6] = {
        {.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
        {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
        {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};
    ops[1].data.send_message.send_message = out;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &initial;
    ops[4].data.recv_message.recv_message = &in;
    ops[5].data.recv_status_on_client.trailing_metadata = &trailing;
    ops[5].data.recv_status_on_client.status = &code;
    ops[5].data.recv_status_on_client.status_details = &text;

    struct unary u = {.tag.done = unary_done, .fiber = f};
    grpc_start(call, ops, 6, &u.tag);
    struct status *st = wait_done(f, &u, call);
    if (st == NULL) {
        st = grpc_outcome(code, &text, &trailing);
    }
    if (st == NULL) {
        st = take_reply(reply, arena, in, out_reply);
    }
    grpc_byte_buffer_destroy(out);
    if (in != NULL) {
        grpc_byte_buffer_destroy(in);
    }
    grpc_slice_unref(text);
    grpc_metadata_array_destroy(&initial);
    grpc_metadata_array_destroy(&trailing);
    grpc_call_unref(call);
    grpc_channel_destroy(channel);
    grpc_hub_put(hub);
    return st;
}
