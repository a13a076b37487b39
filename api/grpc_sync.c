/*
 * The blocking client, api/grpc_sync.h, on a completion queue of the "pluck" kind: the caller waits
 * for the one completion it needs and polls the sockets while it waits. A unary call is a stream of
 * one message.
 *
 * Batches of a call: start (metadata, request, half-close, receive metadata), one receive at a
 * time, and the status, posted first. `status` is plucked last, so it is always known at the end.
 */
#include "api/grpc_sync.h"

#include "api/status_pb.h"
#include "base/check.h"
#include "base/mem.h"
#include "grpc_hub.h"
#include "rpc_wire.h"

#include <pthread.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000

struct grpc_sync {
    grpc_channel *channel;
    grpc_completion_queue *queue;
    char address[320];
    char *authorization; /* the metadata's value, or NULL */
    struct grpc_sync_stream *running;
    pthread_mutex_t lock; /* guards `running` against grpc_sync_cancel() of another thread */
};

struct grpc_sync_stream {
    struct grpc_sync *client;
    grpc_call *call;
    grpc_byte_buffer *request;
    grpc_metadata_array initial;
    grpc_metadata_array trailing;
    grpc_status_code code;
    grpc_slice text;
    char start_tag, receive_tag, status_tag; /* their addresses are the tags */
    bool is_started;                         /* the start batch has come back */
    bool is_ended;                           /* the status has been plucked */
};

struct grpc_sync *grpc_sync_create(const char *host, uint16_t port)
{
    grpc_library_ref();
    struct grpc_sync *c = MEM_NEW(struct grpc_sync);
    grpc_address(c->address, sizeof(c->address), host, port);
    c->channel = grpc_channel_to(host, port, GRPC_CHANNEL_UNARY);
    c->queue = grpc_completion_queue_create_for_pluck(NULL);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void grpc_sync_destroy(struct grpc_sync *c)
{
    if (c == NULL) {
        return;
    }
    ASSERT(c->running == NULL);
    grpc_channel_destroy(c->channel);
    grpc_completion_queue_shutdown(c->queue);
    grpc_completion_queue_destroy(c->queue);
    pthread_mutex_destroy(&c->lock);
    mem_free(c->authorization);
    mem_free(c);
    grpc_library_unref();
}

/* RFC 4648. */
static void put_base64(struct buf *out, const char *p, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++) {
            three = three << 8 | (i + k < len ? (uint8_t)p[i + k] : 0);
        }
        for (size_t k = 0; k < 4; k++) {
            bool is_padding = i + k > len;
            buf_put_u8(out, (uint8_t)(is_padding ? '=' : digits[three >> (18 - 6 * k) & 63]));
        }
    }
}

void grpc_sync_authorize(struct grpc_sync *c, const char *user, const char *password)
{
    struct buf plain = {0}, value = {0};
    buf_printf(&plain, "%s:%s", user, password);
    buf_printf(&value, "Basic ");
    put_base64(&value, (const char *)plain.data, plain.len);
    mem_free(c->authorization);
    c->authorization = mem_strndup((const char *)value.data, value.len);
    buf_deinit(&plain);
    buf_deinit(&value);
}

static gpr_timespec in_ms(uint64_t timeout_ms)
{
    if (timeout_ms == 0 || timeout_ms > INT32_MAX) {
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    }
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                        gpr_time_from_millis((int64_t)timeout_ms, GPR_TIMESPAN));
}

static bool pluck(struct grpc_sync *c, void *tag)
{
    grpc_event ev =
        grpc_completion_queue_pluck(c->queue, tag, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    ASSERT(ev.type == GRPC_OP_COMPLETE);
    return ev.success != 0;
}

struct status *grpc_sync_connect(struct grpc_sync *c, uint64_t timeout_ms)
{
    gpr_timespec deadline = in_ms(timeout_ms == 0 ? CONNECT_TIMEOUT_MS : timeout_ms);
    for (;;) {
        grpc_connectivity_state state = grpc_channel_check_connectivity_state(c->channel, 1);
        if (state == GRPC_CHANNEL_READY) {
            return NULL;
        }
        if (state == GRPC_CHANNEL_TRANSIENT_FAILURE || state == GRPC_CHANNEL_SHUTDOWN) {
            return status_sql(UNAVAILABLE, "08001", "cannot connect to %s", c->address);
        }
        char tag;
        grpc_channel_watch_connectivity_state(c->channel, state, deadline, c->queue, &tag);
        if (!pluck(c, &tag)) {
            return status_sql(
                UNAVAILABLE, "08001", "no answer from %s within %llu ms", c->address,
                (unsigned long long)(timeout_ms == 0 ? CONNECT_TIMEOUT_MS : timeout_ms));
        }
    }
}

struct grpc_sync_stream *grpc_sync_open(struct grpc_sync *c, const char *full_method,
                                        const void *request, uint64_t timeout_ms)
{
    ASSERT(c->running == NULL);
    struct grpc_sync_stream *s = MEM_NEW(struct grpc_sync_stream);
    s->client = c;
    s->text = grpc_empty_slice();
    s->code = GRPC_STATUS_UNKNOWN;
    grpc_metadata_array_init(&s->initial);
    grpc_metadata_array_init(&s->trailing);
    grpc_slice method = grpc_slice_from_copied_string(full_method);
    s->call = grpc_channel_create_call(c->channel, NULL, 0, c->queue, method, NULL,
                                       in_ms(timeout_ms), NULL);
    grpc_slice_unref(method);
    s->request = grpc_pack(request);

    grpc_op status = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    status.data.recv_status_on_client.trailing_metadata = &s->trailing;
    status.data.recv_status_on_client.status = &s->code;
    status.data.recv_status_on_client.status_details = &s->text;
    grpc_call_error e = grpc_call_start_batch(s->call, &status, 1, &s->status_tag, NULL);
    ASSERT(e == GRPC_CALL_OK);
    grpc_op ops[4] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},
                      {.op = GRPC_OP_SEND_MESSAGE},
                      {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
                      {.op = GRPC_OP_RECV_INITIAL_METADATA}};
    grpc_metadata authorization;
    if (c->authorization != NULL) {
        authorization = (grpc_metadata){.key = grpc_slice_from_static_string("authorization"),
                                        .value = grpc_slice_from_copied_string(c->authorization)};
        ops[0].data.send_initial_metadata.count = 1;
        ops[0].data.send_initial_metadata.metadata = &authorization;
    }
    ops[1].data.send_message.send_message = s->request;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &s->initial;
    e = grpc_call_start_batch(s->call, ops, 4, &s->start_tag, NULL);
    ASSERT(e == GRPC_CALL_OK);
    if (c->authorization != NULL) {
        grpc_slice_unref(authorization.value); /* the batch has its own reference */
    }

    pthread_mutex_lock(&c->lock);
    c->running = s;
    pthread_mutex_unlock(&c->lock);
    return s;
}

/* Waits for the end and tells how it was. */
static struct status *finish(struct grpc_sync_stream *s)
{
    if (!s->is_started) {
        (void)pluck(s->client, &s->start_tag);
        s->is_started = true;
    }
    if (!s->is_ended) {
        (void)pluck(s->client, &s->status_tag);
        s->is_ended = true;
    }
    struct status *st = grpc_outcome(s->code, &s->text, &s->trailing);
    if (status_is(st, STATUS_UNAVAILABLE) && strcmp(st->sqlstate, "08006") == 0) {
        bool is_never = strncmp(st->message, "failed to connect", 17) == 0;
        struct status *told =
            is_never ? status_sql(UNAVAILABLE, "08001", "cannot connect to %s", s->client->address)
                     : status_sql(UNAVAILABLE, "08006", "the connection to %s was lost",
                                  s->client->address);
        told = status_detail(told, "%s", st->message);
        status_free(st);
        st = told;
    }
    return st;
}

struct status *grpc_sync_next(struct grpc_sync_stream *s, const ProtobufCMessageDescriptor *d,
                              struct arena *arena, void **out_message)
{
    *out_message = NULL;
    grpc_byte_buffer *buffer = NULL;
    if (!s->is_ended) {
        grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
        op.data.recv_message.recv_message = &buffer;
        grpc_call_error e = grpc_call_start_batch(s->call, &op, 1, &s->receive_tag, NULL);
        ASSERT(e == GRPC_CALL_OK);
        (void)pluck(s->client, &s->receive_tag);
    }
    if (buffer == NULL) {
        return finish(s);
    }
    struct grpc_bytes b;
    struct status *st = NULL;
    if (!grpc_bytes_open(&b, buffer)) {
        st = status_new(CORRUPT, "a message from %s cannot be read", s->client->address);
    } else {
        st = b.bytes.len > RPC_WIRE_ENVELOPE_MAX
                 ? status_sql(LIMIT, "54000", "a message of %zu bytes from %s", b.bytes.len,
                              s->client->address)
                 : pb_unpack(d, arena, b.bytes, out_message);
        grpc_bytes_close(&b);
    }
    grpc_byte_buffer_destroy(buffer);
    return st;
}

void grpc_sync_close(struct grpc_sync_stream *s)
{
    if (s == NULL) {
        return;
    }
    if (!s->is_ended) {
        (void)grpc_call_cancel(s->call, NULL);
        status_free(finish(s));
    }
    struct grpc_sync *c = s->client;
    pthread_mutex_lock(&c->lock);
    c->running = NULL;
    pthread_mutex_unlock(&c->lock);
    grpc_call_unref(s->call);
    grpc_byte_buffer_destroy(s->request);
    grpc_metadata_array_destroy(&s->initial);
    grpc_metadata_array_destroy(&s->trailing);
    grpc_slice_unref(s->text);
    mem_free(s);
}

void grpc_sync_cancel(struct grpc_sync *c)
{
    pthread_mutex_lock(&c->lock);
    if (c->running != NULL) {
        (void)grpc_call_cancel(c->running->call, NULL);
    }
    pthread_mutex_unlock(&c->lock);
}

struct status *grpc_sync_unary(struct grpc_sync *c, const char *full_method, const void *request,
                               const ProtobufCMessageDescriptor *reply, struct arena *arena,
                               uint64_t timeout_ms, void **out_reply)
{
    struct grpc_sync_stream *s = grpc_sync_open(c, full_method, request, timeout_ms);
    void *message = NULL;
    void *more = NULL;
    struct status *st = grpc_sync_next(s, reply, arena, &message);
    if (st == NULL && message == NULL) {
        st = status_new(CORRUPT, "%s ended well without a reply", full_method);
    }
    if (st == NULL) {
        st = grpc_sync_next(s, reply, arena, &more);
    }
    if (st == NULL && more != NULL) {
        st = status_new(CORRUPT, "%s gave more than one reply", full_method);
    }
    grpc_sync_close(s);
    if (st == NULL) {
        *out_reply = message;
    }
    return st;
}
