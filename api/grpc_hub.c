/* grpc_hub.h: the completion-queue thread and the small helpers around gRPC C core. */
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

#define BATCH_MAX 512 /* completions handed over at once */

struct grpc_hub {
    struct list link; /* in hubs */
    struct loop *loop;
    grpc_completion_queue *queue;
    pthread_t thread;
    int refs;
    struct task task;     /* posted by the thread when the inbox was empty */
    pthread_mutex_t lock; /* guards inbox */
    struct list inbox;    /* grpc_tag.link */
};

/* Loops of several threads may make hubs at once (tests): the lock guards `hubs`. */
static pthread_mutex_t hubs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list hubs = {&hubs, &hubs};

/* ---- library ---- */

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

/* ---- the queue's thread ---- */

static void *hub_main(void *arg)
{
    struct grpc_hub *h = arg;
    (void)pthread_setname_np(pthread_self(), "grpc-queue");
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    gpr_timespec now = gpr_inf_past(GPR_CLOCK_MONOTONIC);
    for (;;) {
        grpc_event ev = grpc_completion_queue_next(h->queue, never, NULL);
        struct list batch;
        list_head_init(&batch);
        for (int n = 0; ev.type == GRPC_OP_COMPLETE; n++) {
            struct grpc_tag *t = ev.tag;
            t->ok = ev.success != 0;
            list_push_back(&batch, &t->link);
            if (n == BATCH_MAX) {
                break;
            }
            ev = grpc_completion_queue_next(h->queue, now, NULL);
        }
        if (!list_is_empty(&batch)) {
            pthread_mutex_lock(&h->lock);
            bool was_empty = list_is_empty(&h->inbox);
            list_splice_back(&h->inbox, &batch);
            pthread_mutex_unlock(&h->lock);
            if (was_empty) {
                loop_post(h->loop, &h->task);
            }
        }
        if (ev.type == GRPC_QUEUE_SHUTDOWN) {
            return NULL;
        }
    }
}

static void hub_run(struct task *t)
{
    struct grpc_hub *h = CONTAINER_OF(t, struct grpc_hub, task);
    struct list batch;
    list_head_init(&batch);
    pthread_mutex_lock(&h->lock);
    list_splice_back(&batch, &h->inbox);
    pthread_mutex_unlock(&h->lock);
    h->refs++; /* a completion may put the last one */
    struct list *it;
    while ((it = list_pop_front(&batch)) != NULL) {
        struct grpc_tag *tag = LIST_ITEM(it, struct grpc_tag, link);
        tag->done(tag, tag->ok);
    }
    grpc_hub_put(h);
}

struct grpc_hub *grpc_hub_get(struct loop *l)
{
    pthread_mutex_lock(&hubs_lock);
    LIST_FOREACH(it, &hubs)
    {
        struct grpc_hub *h = LIST_ITEM(it, struct grpc_hub, link);
        if (h->loop == l) {
            h->refs++;
            pthread_mutex_unlock(&hubs_lock);
            return h;
        }
    }
    grpc_library_ref();
    struct grpc_hub *h = MEM_NEW(struct grpc_hub);
    h->loop = l;
    h->refs = 1;
    h->queue = grpc_completion_queue_create_for_next(NULL);
    h->task.run = hub_run;
    pthread_mutex_init(&h->lock, NULL);
    list_head_init(&h->inbox);
    list_push_back(&hubs, &h->link);
    pthread_mutex_unlock(&hubs_lock);
    if (pthread_create(&h->thread, NULL, hub_main, h) != 0) {
        fatal("could not start the gRPC queue thread");
    }
    return h;
}

void grpc_hub_put(struct grpc_hub *h)
{
    ASSERT(h->refs > 0);
    if (--h->refs > 0) {
        return;
    }
    pthread_mutex_lock(&hubs_lock);
    list_unlink(&h->link);
    pthread_mutex_unlock(&hubs_lock);
    grpc_completion_queue_shutdown(h->queue);
    pthread_join(h->thread, NULL);
    ASSERT(list_is_empty(&h->inbox));
    grpc_completion_queue_destroy(h->queue);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
    grpc_library_unref();
}

grpc_completion_queue *grpc_hub_queue(struct grpc_hub *h)
{
    return h->queue;
}

struct loop *grpc_hub_loop(struct grpc_hub *h)
{
    return h->loop;
}

void grpc_start(grpc_call *call, const grpc_op *ops, size_t count, struct grpc_tag *tag)
{
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
    args[n++] = int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)WIRE_ENVELOPE_MAX);
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
    }
    grpc_channel_args channel_args = {n, args};
    grpc_channel_credentials *creds = grpc_insecure_credentials_create();
    grpc_channel *c = grpc_channel_create(address, creds, &channel_args);
    grpc_channel_credentials_release(creds);
    return c;
}
