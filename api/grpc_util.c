/*
 * grpc_hub.h: the small helpers around gRPC C core. Apart from the queue's thread, so that a
 * program without a loop (the SDK) does not carry one.
 */
#include "grpc_hub.h"

#include "api/pb.h"
#include "api/status_pb.h"
#include "base/check.h"
#include "base/mem.h"
#include "rpc_wire.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/log.h>

/* ---- library ---- */

#ifdef SHERD_TSAN
/* gRPC is not instrumented: what it does by itself is no finding. */
__attribute__((visibility("default"))) const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "ignore_noninstrumented_modules=1";
}
#endif

static void discard_log(gpr_log_func_args *args)
{
    (void)args;
}

static void quiet(void)
{
    if (getenv("GRPC_VERBOSITY") == NULL) {
        gpr_set_log_function(discard_log);
    }
}

void grpc_library_ref(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, quiet);
    grpc_init();
}

void grpc_library_unref(void)
{
    grpc_shutdown();
}

void grpc_start(grpc_call *call, const grpc_op *ops, size_t count, struct grpc_tag *tag)
{
    GRPC_TAG_GIVE(tag);
    grpc_call_error e = grpc_call_start_batch(call, ops, count, tag, NULL);
    ASSERT_MSG(e == GRPC_CALL_OK, "grpc_call_start_batch: %s", grpc_call_error_to_string(e));
}

/* ---- bytes ---- */

struct slice grpc_view(const grpc_slice *s)
{
    return slice_make(GRPC_SLICE_START_PTR(*s), GRPC_SLICE_LENGTH(*s));
}

bool grpc_bytes_open(struct grpc_bytes *b, grpc_byte_buffer *buffer)
{
    if (!grpc_byte_buffer_reader_init(&b->reader, buffer)) {
        return false;
    }
    b->slice = grpc_empty_slice();
    if (buffer->type == GRPC_BB_RAW && buffer->data.raw.slice_buffer.count == 1) {
        grpc_slice *only;
        if (grpc_byte_buffer_reader_peek(&b->reader, &only)) {
            b->bytes = slice_make(GRPC_SLICE_START_PTR(*only), GRPC_SLICE_LENGTH(*only));
            return true;
        }
    }
    b->slice = grpc_byte_buffer_reader_readall(&b->reader);
    b->bytes = slice_make(GRPC_SLICE_START_PTR(b->slice), GRPC_SLICE_LENGTH(b->slice));
    return true;
}

void grpc_bytes_close(struct grpc_bytes *b)
{
    grpc_slice_unref(b->slice);
    grpc_byte_buffer_reader_destroy(&b->reader);
}

grpc_byte_buffer *grpc_pack(const void *message)
{
    size_t size = pb_packed_size(message);
    grpc_slice s = grpc_slice_malloc(size);
    size_t written = protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(s));
    ASSERT(written == size);
    grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&s, 1);
    grpc_slice_unref(s);
    return b;
}

grpc_byte_buffer *grpc_buffer_of(struct slice bytes)
{
    grpc_slice s = grpc_slice_from_copied_buffer((const char *)bytes.data, bytes.len);
    grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&s, 1);
    grpc_slice_unref(s);
    return b;
}

static void release_bytes(void *data)
{
    mem_free(data);
}

grpc_byte_buffer *grpc_buffer_take(struct buf *bytes)
{
    if (bytes->len == 0) {
        return grpc_buffer_of(slice_make("", 0));
    }
    size_t len;
    uint8_t *data = buf_take(bytes, &len);
    grpc_slice s = grpc_slice_new_with_user_data(data, len, release_bytes, data);
    grpc_byte_buffer *b = grpc_raw_byte_buffer_create(&s, 1);
    grpc_slice_unref(s);
    return b;
}

struct status *grpc_outcome(grpc_status_code code, const grpc_slice *text,
                            const grpc_metadata_array *trailing)
{
    if (code == GRPC_STATUS_OK) {
        return NULL;
    }
    for (size_t i = 0; i < trailing->count; i++) {
        const grpc_metadata *m = &trailing->metadata[i];
        if (slice_eq(grpc_view(&m->key), slice_str(STATUS_DETAILS_KEY))) {
            struct slice value = grpc_view(&m->value);
            struct status *st = status_from_details(value.data, value.len);
            if (st != NULL) {
                return st;
            }
        }
    }
    struct slice t = grpc_view(text);
    return status_from_grpc((int)code, (const char *)t.data, t.len);
}

/* ---- channels ---- */

void grpc_address(char *out, size_t size, const char *host, uint16_t port)
{
    bool is_v6 = strchr(host, ':') != NULL;
    (void)snprintf(out, size, is_v6 ? "[%s]:%u" : "%s:%u", host, port);
}

static grpc_arg int_arg(const char *key, int value)
{
    return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

grpc_channel *grpc_channel_to(const char *host, uint16_t port, enum grpc_channel_kind kind)
{
    char address[320];
    grpc_address(address, sizeof(address), host, port);
    grpc_arg args[16];
    size_t n = 0;
    args[n++] = int_arg(GRPC_ARG_ENABLE_RETRIES, 0);
    args[n++] = int_arg(GRPC_ARG_ENABLE_CHANNELZ, 0);
    args[n++] = int_arg("grpc.enable_http_proxy", 0);
    args[n++] = int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)RPC_WIRE_ENVELOPE_MAX);
    args[n++] = int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    /* In this version that is the time an attempt may take. */
    args[n++] = int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kind == GRPC_CHANNEL_LINK ? 250 : 5000);
    args[n++] = int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    if (kind == GRPC_CHANNEL_LINK) {
        args[n++] = int_arg(GRPC_ARG_MINIMAL_STACK, 1);
        args[n++] = int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        /* A peer that is stopped or cut off without a word; a closed one is noticed at once. The
         * answer comes from the peer's library threads, however busy its loop is. */
        args[n++] = int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 1000);
        args[n++] = int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
        args[n++] = int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    } else {
        args[n++] = int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
        args[n++] = int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
        args[n++] = int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    }
    grpc_channel_args channel_args = {n, args};
    grpc_channel_credentials *creds = grpc_insecure_credentials_create();
    grpc_channel *c = grpc_channel_create(address, creds, &channel_args);
    grpc_channel_credentials_release(creds);
    return c;
}
