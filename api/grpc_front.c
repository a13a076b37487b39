/*
 * The gRPC server, api/grpc.h: unary calls, server streams, bidirectional streams, raw calls.
 *
 * Every method has a few posted requests, each a struct slot that the library fills when a call
 * comes. A call becomes a struct grpc_stream (unary ones too: a stream of one message), its handler
 * a fiber. Unknown methods fall to the catch-all slots and are answered UNIMPLEMENTED.
 *
 *   slot filled --> stream: fiber runs the handler --> last batch (message, status) --> freed
 *                     |  RECV_CLOSE says cancelled: the fiber is cancelled
 *
 * Sending: one SEND_MESSAGE may be outstanding, and one more message is held. A held message leaves
 * at the end of the turn, or together with the status when the handler returns within the turn, so
 * that a small result is one batch. A sender that finds both places taken parks: back-pressure.
 *
 * Invariants:
 * 1. `ops` counts batches that have not come back; a stream is freed when it is 0 and the handler's
 *    end has been sent.
 * 2. A stream sends exactly one status, whatever happened before.
 * 3. The library assembles a message before anybody can refuse it for its size, so its receive
 * memory has a quota: past it the largest streams are reset, and the process does not grow.
 * 4. After stopping began no slot is posted again; grpc_front_destroy() returns when all slots,
 *    streams and raw calls are gone.
 */
#include "grpc_front.h"

#include "api/pb.h"
#include "api/status_pb.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "rpc_wire.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SLOTS_PER_METHOD 16
#define SLOTS_CATCH_ALL 4
#define METHODS_MAX 64
#define CALLS_MAX 4096            /* under way, of all clients; each has a fiber */
#define CALLS_PER_CONNECTION 1024 /* more wait in the client */
#define RECEIVE_MEMORY_MAX                                                                         \
    ((size_t)512 << 20)                    /* what the library may hold of all clients' messages */
#define DEADLINE_FAR_S INT64_C(3153600000) /* a hundred years: as good as none */
#define APPEND_MAX ((size_t)256 << 10)
#define STATUS_TEXT_MAX 512 /* gRPC percent-encodes it: up to three times that */

enum method_kind { METHOD_UNARY, METHOD_STREAMING, METHOD_BIDI, METHOD_RAW };

struct method {
    struct grpc_front *front;
    enum method_kind kind;
    char *name;
    void *registered; /* the library's handle; NULL: the catch-all */
    const ProtobufCMessageDescriptor *request;
    grpc_unary_handler unary;
    grpc_stream_handler streaming;
    grpc_bidi_handler bidi;
    grpc_accept_fn accept;
    void (*gone)(void *ctx);
    void *ctx;
};

struct slot {
    struct grpc_tag tag;
    struct method *method;
    grpc_call *call;
    gpr_timespec deadline;
    grpc_metadata_array metadata;
    grpc_byte_buffer *payload;
    grpc_call_details details; /* catch-all only */
};

struct grpc_stream {
    struct list link; /* in front->streams */
    struct grpc_front *front;
    struct method *method;
    grpc_call *call;
    struct arena *arena;
    void *request;
    const char *authorization; /* the metadata of that name, or NULL */
    struct fiber *fiber;       /* NULL: the handler has returned, or there is none */
    uint64_t deadline_ns;
    int ops;

    struct grpc_tag close_tag;
    int close_cancelled; /* written by the library */
    bool is_dead;        /* the client is gone or a send failed */

    struct task flush;
    struct grpc_tag send_tag;
    grpc_byte_buffer *sending;
    struct buf held; /* packed */
    bool has_held;
    struct fiber *send_waiter;
    bool is_metadata_sent;

    struct grpc_tag receive_tag;
    grpc_byte_buffer *received;
    bool is_receiving;
    bool has_received; /* `received` is the answer, NULL = end */
    struct fiber *receive_waiter;

    struct grpc_tag status_tag;
    struct status *outcome; /* of the handler */
    bool is_finished;       /* the handler has returned */
    bool is_status_sent;
};

struct grpc_front {
    struct loop *loop;
    struct grpc_hub *hub;
    grpc_server *server;
    uint16_t port;
    struct method *methods[METHODS_MAX];
    size_t method_count;
    struct method catch_all;
    struct list streams;
    int calls; /* in streams */
    int slots; /* posted */
    int raw;   /* raw calls that are open */
    bool is_started;
    bool is_stopping;
    bool is_shut; /* the library's shutdown has completed */
    struct grpc_tag shutdown_tag;
    struct fiber *stopper;
    struct metric *refused;
};

/* ---- the front's life ---- */

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

/* The library only says that it failed: ask the kernel why. */
static struct status *why_not(const char *host, uint16_t port)
{
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0) {
        return status_new(INVALID, "cannot listen for gRPC on %s:%u: %s", host, port,
                          gai_strerror(rc));
    }
    int error = EADDRINUSE;
    int fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (fd >= 0) {
        int on = 1;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (bind(fd, list->ai_addr, list->ai_addrlen) != 0) {
            error = errno;
        }
        (void)close(fd);
    }
    freeaddrinfo(list);
    struct status *st =
        status_new(INVALID, "cannot listen for gRPC on %s:%u: %s", host, port, strerror(error));
    if (error == EADDRINUSE) {
        st =
            status_hint(st, "Another process uses port %u. Stop it, or choose another port.", port);
    }
    return st;
}

struct status *grpc_front_create(struct loop *l, const char *host, uint16_t port,
                                 struct grpc_front **out)
{
    struct grpc_front *g = MEM_NEW(struct grpc_front);
    g->loop = l;
    g->hub = grpc_hub_get(l);
    list_head_init(&g->streams);
    g->refused = metric_counter("sherd_grpc_refused_total", NULL,
                                "gRPC calls of unknown methods or with a message that is none");
    /* Not MINIMAL_STACK: outside clients may compress, and are to be told of a message over the
     * limit by the standard code. It would save under a tenth of a batched call's CPU (test/bench).
     */
    grpc_resource_quota *quota = grpc_resource_quota_create("sherd front");
    grpc_resource_quota_resize(quota, RECEIVE_MEMORY_MAX);
    grpc_arg args[] = {
        int_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
        int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0),
        int_arg(GRPC_ARG_MAX_CONCURRENT_STREAMS, CALLS_PER_CONNECTION),
        int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)RPC_WIRE_ENVELOPE_MAX),
        {.type = GRPC_ARG_POINTER,
         .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
         .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
        /* Node streams ping every second; see grpc_channel_to(). */
        int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 200),
        int_arg(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0),
        /* Clients that were cut off without a word. */
        int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 30000),
        int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000),
    };
    grpc_channel_args channel_args = {sizeof(args) / sizeof(args[0]), args};
    g->server = grpc_server_create(&channel_args, NULL);
    grpc_resource_quota_unref(quota);
    grpc_server_register_completion_queue(g->server, grpc_hub_queue(g->hub), NULL);

    char address[320];
    grpc_address(address, sizeof(address), host, port);
    grpc_server_credentials *creds = grpc_insecure_server_credentials_create();
    int bound = grpc_server_add_http2_port(g->server, address, creds);
    grpc_server_credentials_release(creds);
    if (bound == 0) {
        struct status *st = why_not(host, port);
        grpc_server_destroy(g->server);
        grpc_hub_put(g->hub);
        mem_free(g);
        return st;
    }
    g->port = (uint16_t)bound;
    g->catch_all.front = g;
    grpc_health_register(g);
    grpc_reflection_register(g);
    *out = g;
    return NULL;
}

uint16_t grpc_front_port(const struct grpc_front *g)
{
    return g->port;
}

struct grpc_hub *grpc_front_hub(struct grpc_front *g)
{
    return g->hub;
}

static struct method *method_add(struct grpc_front *g, enum method_kind kind, const char *name,
                                 void *ctx)
{
    ASSERT(!g->is_started && g->method_count < METHODS_MAX);
    struct method *m = MEM_NEW(struct method);
    m->front = g;
    m->kind = kind;
    m->name = mem_strdup(name);
    m->ctx = ctx;
    bool has_payload = kind == METHOD_UNARY || kind == METHOD_STREAMING;
    m->registered = grpc_server_register_method(
        g->server, m->name, NULL,
        has_payload ? GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER : GRPC_SRM_PAYLOAD_NONE, 0);
    ASSERT_MSG(m->registered != NULL, "method %s registered twice", name);
    g->methods[g->method_count++] = m;
    return m;
}

void grpc_front_unary(struct grpc_front *g, const char *full_method,
                      const ProtobufCMessageDescriptor *request, grpc_unary_handler handler,
                      void *handler_ctx)
{
    struct method *m = method_add(g, METHOD_UNARY, full_method, handler_ctx);
    m->request = request;
    m->unary = handler;
}

void grpc_front_streaming(struct grpc_front *g, const char *full_method,
                          const ProtobufCMessageDescriptor *request, grpc_stream_handler handler,
                          void *handler_ctx)
{
    struct method *m = method_add(g, METHOD_STREAMING, full_method, handler_ctx);
    m->request = request;
    m->streaming = handler;
}

void grpc_front_bidi(struct grpc_front *g, const char *full_method, grpc_bidi_handler handler,
                     void *handler_ctx)
{
    method_add(g, METHOD_BIDI, full_method, handler_ctx)->bidi = handler;
}

void grpc_front_raw(struct grpc_front *g, const char *full_method, grpc_accept_fn accept,
                    void (*gone)(void *ctx), void *ctx)
{
    for (size_t i = 0; i < g->method_count; i++) {
        if (strcmp(g->methods[i]->name, full_method) == 0) {
            g->methods[i]->accept = accept;
            g->methods[i]->gone = gone;
            g->methods[i]->ctx = ctx;
            return;
        }
    }
    struct method *m = method_add(g, METHOD_RAW, full_method, ctx);
    m->accept = accept;
    m->gone = gone;
}

const char *grpc_front_service(const struct grpc_front *g, size_t i)
{
    /* Names of one service stand together only by habit: compare with all earlier ones. */
    static _Thread_local char name[128];
    for (size_t m = 0; m < g->method_count; m++) {
        const char *full = g->methods[m]->name + 1;
        size_t len = strcspn(full, "/");
        bool is_first = true;
        for (size_t k = 0; k < m && is_first; k++) {
            const char *other = g->methods[k]->name + 1;
            is_first = strncmp(other, full, len + 1) != 0;
        }
        if (is_first && i-- == 0) {
            (void)snprintf(name, sizeof(name), "%.*s", (int)len, full);
            return name;
        }
    }
    return NULL;
}

static void slot_post(struct method *m);

void grpc_front_start(struct grpc_front *g)
{
    ASSERT(!g->is_started);
    g->is_started = true;
    grpc_server_start(g->server);
    for (size_t i = 0; i < g->method_count; i++) {
        for (int k = 0; k < SLOTS_PER_METHOD; k++) {
            slot_post(g->methods[i]);
        }
    }
    for (int k = 0; k < SLOTS_CATCH_ALL; k++) {
        slot_post(&g->catch_all);
    }
}

/* Something has gone: whoever waits for the end looks again. */
static void poke(struct grpc_front *g)
{
    if (g->stopper != NULL) {
        fiber_wake(g->stopper);
    }
}

void grpc_front_raw_done(struct grpc_front *g)
{
    ASSERT(g->raw > 0);
    g->raw--;
    poke(g);
}

static void shutdown_done(struct grpc_tag *t, bool ok)
{
    (void)ok;
    struct grpc_front *g = CONTAINER_OF(t, struct grpc_front, shutdown_tag);
    g->is_shut = true;
    poke(g);
}

void grpc_front_destroy(struct fiber *f, struct grpc_front *g)
{
    if (g == NULL) {
        return;
    }
    g->is_stopping = true;
    g->stopper = f;
    g->shutdown_tag.done = shutdown_done;
    GRPC_TAG_GIVE(&g->shutdown_tag);
    grpc_server_shutdown_and_notify(g->server, grpc_hub_queue(g->hub), &g->shutdown_tag);
    grpc_server_cancel_all_calls(g->server);
    while (!g->is_shut || g->slots > 0 || g->raw > 0 || !list_is_empty(&g->streams)) {
        fiber_park_hard(f);
    }
    grpc_server_destroy(g->server);
    for (size_t i = 0; i < g->method_count; i++) {
        if (g->methods[i]->gone != NULL) {
            g->methods[i]->gone(g->methods[i]->ctx);
        }
        mem_free(g->methods[i]->name);
        mem_free(g->methods[i]);
    }
    grpc_hub_put(g->hub);
    mem_free(g);
}

/* ---- sending ---- */

static void stream_free(struct grpc_stream *s)
{
    struct grpc_front *g = s->front;
    ASSERT(s->fiber == NULL && s->sending == NULL && !s->has_held);
    loop_defer_cancel(&s->flush);
    buf_deinit(&s->held);
    if (s->received != NULL) {
        grpc_byte_buffer_destroy(s->received);
    }
    list_unlink(&s->link);
    g->calls--;
    grpc_call_unref(s->call);
    status_free(s->outcome);
    arena_destroy(s->arena); /* the stream itself lives in it */
    poke(g);
}

static void op_done(struct grpc_stream *s)
{
    ASSERT(s->ops > 0);
    s->ops--;
    if (s->ops == 0 && s->is_status_sent) {
        stream_free(s);
    }
}

static size_t metadata_op(struct grpc_stream *s, grpc_op *ops)
{
    if (s->is_metadata_sent) {
        return 0;
    }
    s->is_metadata_sent = true;
    ops[0] = (grpc_op){.op = GRPC_OP_SEND_INITIAL_METADATA};
    return 1;
}

static void status_done(struct grpc_tag *t, bool ok)
{
    (void)ok;
    struct grpc_stream *s = CONTAINER_OF(t, struct grpc_stream, status_tag);
    if (s->sending != NULL) {
        grpc_byte_buffer_destroy(s->sending);
        s->sending = NULL;
    }
    op_done(s);
}

/* What is held becomes what is being sent. */
static void take_held(struct grpc_stream *s)
{
    ASSERT(s->sending == NULL && s->has_held);
    s->sending = grpc_buffer_take(&s->held);
    s->has_held = false;
}

/* The last batch: what is held, and the handler's outcome. */
static void send_status(struct grpc_stream *s)
{
    ASSERT(s->is_finished && !s->is_status_sent && s->sending == NULL);
    s->is_status_sent = true;
    grpc_op ops[3];
    size_t n = metadata_op(s, ops);
    if (s->has_held) {
        take_held(s);
        ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
        ops[n++].data.send_message.send_message = s->sending;
    }
    grpc_op *op = &ops[n++];
    *op = (grpc_op){.op = GRPC_OP_SEND_STATUS_FROM_SERVER};
    op->data.send_status_from_server.status = GRPC_STATUS_OK;
    grpc_slice text = grpc_empty_slice();
    grpc_metadata details;
    struct status *st = s->outcome;
    if (st != NULL) {
        struct buf bytes = {0};
        status_pack_details(st, &bytes);
        details = (grpc_metadata){
            .key = grpc_slice_from_static_string(STATUS_DETAILS_KEY),
            .value = grpc_slice_from_copied_buffer((char *)bytes.data, bytes.len),
        };
        buf_deinit(&bytes);
        size_t len = strnlen(st->message, STATUS_TEXT_MAX);
        text = grpc_slice_from_copied_buffer(st->message, len);
        op->data.send_status_from_server.status = (grpc_status_code)status_code_grpc(st->code);
        op->data.send_status_from_server.trailing_metadata = &details;
        op->data.send_status_from_server.trailing_metadata_count = 1;
    }
    op->data.send_status_from_server.status_details = &text;
    s->ops++;
    s->status_tag.done = status_done;
    grpc_start(s->call, ops, n, &s->status_tag);
    grpc_slice_unref(text);
    if (st != NULL) {
        grpc_slice_unref(details.value);
    }
}

static void start_send(struct grpc_stream *s);

static void send_done(struct grpc_tag *t, bool ok)
{
    struct grpc_stream *s = CONTAINER_OF(t, struct grpc_stream, send_tag);
    grpc_byte_buffer_destroy(s->sending);
    s->sending = NULL;
    s->is_dead = s->is_dead || !ok;
    if (s->is_finished) {
        send_status(s);
    } else if (s->has_held) {
        start_send(s);
    }
    if (s->send_waiter != NULL) {
        fiber_wake(s->send_waiter);
    }
    op_done(s);
}

static void start_send(struct grpc_stream *s)
{
    take_held(s);
    grpc_op ops[2];
    size_t n = metadata_op(s, ops);
    ops[n] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE};
    ops[n++].data.send_message.send_message = s->sending;
    s->ops++;
    s->send_tag.done = send_done;
    grpc_start(s->call, ops, n, &s->send_tag);
}

static void flush_run(struct task *t)
{
    struct grpc_stream *s = CONTAINER_OF(t, struct grpc_stream, flush);
    if (s->has_held && s->sending == NULL && !s->is_finished) {
        start_send(s);
    }
}

/* Adds to what is held, or begins it. */
static void hold(struct grpc_stream *s, const ProtobufCMessage *message)
{
    pb_pack(message, &s->held);
    s->has_held = true;
    loop_defer(s->front->loop, &s->flush);
}

struct status *grpc_stream_send(struct fiber *f, struct grpc_stream *s,
                                const ProtobufCMessage *message)
{
    size_t size = pb_packed_size(message);
    if (size > RPC_MESSAGE_MAX) {
        return status_sql(LIMIT, "54000", "a %s of %zu bytes is over the limit of %zu bytes",
                          message->descriptor->short_name, size, RPC_MESSAGE_MAX);
    }
    while (s->has_held && !s->is_dead) {
        if (s->sending == NULL) {
            start_send(s);
            break;
        }
        s->send_waiter = f;
        struct status *st = fiber_park(f);
        s->send_waiter = NULL;
        TRY(st);
    }
    if (s->is_dead) {
        return &status_cancelled;
    }
    hold(s, message);
    return NULL;
}

struct status *grpc_stream_append(struct fiber *f, struct grpc_stream *s,
                                  const ProtobufCMessage *message)
{
    if (s->is_dead || !s->has_held || s->held.len + pb_packed_size(message) > APPEND_MAX) {
        return grpc_stream_send(f, s, message);
    }
    hold(s, message);
    return NULL;
}

/* ---- receiving ---- */

struct grpc_front *grpc_stream_front(struct grpc_stream *s)
{
    return s->front;
}

static void receive_done(struct grpc_tag *t, bool ok)
{
    struct grpc_stream *s = CONTAINER_OF(t, struct grpc_stream, receive_tag);
    s->is_receiving = false;
    s->has_received = true;
    s->is_dead = s->is_dead || !ok;
    if (s->receive_waiter != NULL) {
        fiber_wake(s->receive_waiter);
    }
    op_done(s);
}

static struct status *unpack(struct grpc_front *g, const ProtobufCMessageDescriptor *d,
                             struct arena *a, grpc_byte_buffer *buffer, void **out)
{
    struct grpc_bytes b;
    if (!grpc_bytes_open(&b, buffer)) {
        metric_add(g->refused, 1);
        return status_new(INVALID, "a %s cannot be read", d->short_name);
    }
    struct status *st;
    if (b.bytes.len > RPC_MESSAGE_MAX) {
        st = status_sql(LIMIT, "54000", "a %s of %zu bytes is over the limit of %zu bytes",
                        d->short_name, b.bytes.len, RPC_MESSAGE_MAX);
    } else {
        st = pb_unpack(d, a, b.bytes, out);
        if (status_is(st, STATUS_CORRUPT)) { /* the client's fault, not our data's */
            status_free(st);
            st = status_new(INVALID, "the request is not a %s message", d->name);
        }
    }
    grpc_bytes_close(&b);
    if (st != NULL) {
        metric_add(g->refused, 1);
    }
    return st;
}

struct status *grpc_stream_receive(struct fiber *f, struct grpc_stream *s,
                                   const ProtobufCMessageDescriptor *d, struct arena *arena,
                                   void **out_message)
{
    *out_message = NULL;
    if (!s->is_receiving && !s->has_received) {
        grpc_op op = {.op = GRPC_OP_RECV_MESSAGE};
        op.data.recv_message.recv_message = &s->received;
        s->is_receiving = true;
        s->ops++;
        s->receive_tag.done = receive_done;
        grpc_start(s->call, &op, 1, &s->receive_tag);
    }
    while (!s->has_received) {
        s->receive_waiter = f;
        struct status *st = fiber_park(f);
        s->receive_waiter = NULL;
        TRY(st);
    }
    s->has_received = false;
    grpc_byte_buffer *buffer = s->received;
    s->received = NULL;
    if (buffer == NULL) {
        return NULL;
    }
    struct status *st = unpack(s->front, d, arena, buffer, out_message);
    grpc_byte_buffer_destroy(buffer);
    return st;
}

/* ---- calls ---- */

static void close_done(struct grpc_tag *t, bool ok)
{
    (void)ok;
    struct grpc_stream *s = CONTAINER_OF(t, struct grpc_stream, close_tag);
    if (s->close_cancelled) {
        s->is_dead = true;
        if (s->fiber != NULL) {
            fiber_cancel(s->fiber);
        }
    }
    op_done(s);
}

/* Takes st. The stream may be gone afterwards. */
static void stream_finish(struct grpc_stream *s, struct status *st)
{
    s->fiber = NULL;
    s->is_finished = true;
    s->outcome = st;
    if (s->sending == NULL) {
        send_status(s);
    }
}

static struct status *run_unary(struct fiber *f, struct grpc_stream *s, struct rpc_context *ctx)
{
    void *reply = NULL;
    TRY(s->method->unary(f, ctx, s->request, &reply, s->method->ctx));
    ASSERT_MSG(reply != NULL, "the handler of %s gave no reply", s->method->name);
    return grpc_stream_send(f, s, reply);
}

static void stream_main(struct fiber *f, void *arg)
{
    struct grpc_stream *s = arg;
    struct method *m = s->method;
    struct rpc_context ctx = {.arena = s->arena, .authorization = s->authorization};
    fiber_set_deadline(f, s->deadline_ns);
    struct status *st = fiber_check(f);
    if (st == NULL) {
        switch (m->kind) {
        case METHOD_UNARY:
            st = run_unary(f, s, &ctx);
            break;
        case METHOD_STREAMING:
            st = m->streaming(f, &ctx, s->request, s, m->ctx);
            break;
        case METHOD_BIDI:
            st = m->bidi(f, &ctx, s, m->ctx);
            break;
        case METHOD_RAW:
            st = status_new(INTERNAL, "a raw method has no fiber");
            break;
        }
    }
    stream_finish(s, st);
}

/* The library's absolute deadline on our clock; 0 = none. */
static uint64_t deadline_of(struct loop *l, gpr_timespec deadline)
{
    if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
        return 0;
    }
    gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
    if (left.tv_sec < 0) {
        return 1;
    }
    if (left.tv_sec > DEADLINE_FAR_S) {
        return 0;
    }
    return loop_clock_ns(l) + (uint64_t)left.tv_sec * 1000000000u + (uint64_t)left.tv_nsec;
}

/* The first value of the metadata "authorization"; NULL when there is none. */
static const char *authorization_of(const struct slot *slot, struct arena *a)
{
    for (size_t i = 0; i < slot->metadata.count; i++) {
        const grpc_metadata *m = &slot->metadata.metadata[i];
        if (slice_eq(grpc_view(&m->key), slice_str("authorization"))) {
            struct slice value = grpc_view(&m->value);
            return arena_strndup(a, value.data, value.len);
        }
    }
    return NULL;
}

/* Moves the slot's call into a stream. */
static struct grpc_stream *stream_create(struct slot *slot)
{
    struct grpc_front *g = slot->method->front;
    struct arena *arena = arena_create(0);
    struct grpc_stream *s = ARENA_NEW(arena, struct grpc_stream);
    s->front = g;
    s->method = slot->method;
    s->arena = arena;
    s->call = slot->call;
    s->deadline_ns = deadline_of(g->loop, slot->deadline);
    s->authorization = authorization_of(slot, arena);
    s->flush.run = flush_run;
    list_push_back(&g->streams, &s->link);
    g->calls++;
    grpc_op op = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};
    op.data.recv_close_on_server.cancelled = &s->close_cancelled;
    s->close_tag.done = close_done;
    s->ops++;
    grpc_start(s->call, &op, 1, &s->close_tag);
    return s;
}

/* The catch-all: a method that nobody serves. */
static void answer_unknown(struct slot *slot)
{
    struct grpc_stream *s = stream_create(slot);
    struct slice name = grpc_view(&slot->details.method);
    metric_add(s->front->refused, 1);
    int len = name.len > 200 ? 200 : (int)name.len;
    stream_finish(s, status_hint(status_new(UNSUPPORTED, "unknown method \"%.*s\"", len,
                                            (const char *)name.data),
                                 "Server reflection lists what is served."));
}

static void refuse_raw(struct slot *slot)
{
    stream_finish(stream_create(slot),
                  status_new(UNAVAILABLE, "%s is not served at the moment", slot->method->name));
}

static void accept_call(struct slot *slot)
{
    struct method *m = slot->method;
    struct grpc_front *g = m->front;
    if (m->kind == METHOD_RAW) {
        if (m->accept == NULL) {
            refuse_raw(slot);
            return;
        }
        g->raw++;
        m->accept(m->ctx, slot->call);
        return;
    }
    struct grpc_stream *s = stream_create(slot);
    struct status *st = NULL;
    if (g->calls > CALLS_MAX) {
        st = status_hint(status_sql(LIMIT, "53300", "the node has %d calls under way", CALLS_MAX),
                         "Try again, or another node.");
    } else if (m->request != NULL) {
        st = slot->payload == NULL ? status_new(INVALID, "%s was called without a message", m->name)
                                   : unpack(g, m->request, s->arena, slot->payload, &s->request);
    }
    if (st != NULL) {
        stream_finish(s, st);
        return;
    }
    s->fiber = fiber_spawn(g->loop, FIBER_STACK_LARGE, stream_main, s);
}

/* ---- slots ---- */

static void slot_free(struct slot *slot)
{
    grpc_metadata_array_destroy(&slot->metadata);
    if (slot->method->registered == NULL) {
        grpc_call_details_destroy(&slot->details);
    }
    if (slot->payload != NULL) {
        grpc_byte_buffer_destroy(slot->payload);
    }
    mem_free(slot);
}

static void slot_done(struct grpc_tag *t, bool ok)
{
    struct slot *slot = CONTAINER_OF(t, struct slot, tag);
    struct grpc_front *g = slot->method->front;
    g->slots--;
    if (ok) {
        if (!g->is_stopping) {
            slot_post(slot->method);
        }
        if (slot->method->registered == NULL) {
            answer_unknown(slot);
        } else {
            accept_call(slot);
        }
    }
    slot_free(slot);
    poke(g);
}

static void slot_post(struct method *m)
{
    struct grpc_front *g = m->front;
    struct slot *slot = MEM_NEW(struct slot);
    slot->tag.done = slot_done;
    slot->method = m;
    grpc_metadata_array_init(&slot->metadata);
    grpc_completion_queue *q = grpc_hub_queue(g->hub);
    grpc_call_error e;
    GRPC_TAG_GIVE(&slot->tag);
    if (m->registered == NULL) {
        grpc_call_details_init(&slot->details);
        e = grpc_server_request_call(g->server, &slot->call, &slot->details, &slot->metadata, q, q,
                                     &slot->tag);
    } else {
        bool has_payload = m->kind == METHOD_UNARY || m->kind == METHOD_STREAMING;
        e = grpc_server_request_registered_call(
            g->server, m->registered, &slot->call, &slot->deadline, &slot->metadata,
            has_payload ? &slot->payload : NULL, q, q, &slot->tag);
    }
    ASSERT_MSG(e == GRPC_CALL_OK, "posting %s: %s", m->name == NULL ? "catch-all" : m->name,
               grpc_call_error_to_string(e));
    g->slots++;
}
