/*
 * What every user of gRPC C core here shares: the library's life, the completion queue of a loop
 * and its thread, byte buffers, channel arguments. Private to api/.
 *
 * gRPC's file descriptors cannot be polled by a loop, so one thread per loop blocks in the queue.
 * It decodes nothing: it takes whatever has completed, hands it to the loop as one list, and wakes
 * the loop only when that list was empty. Operations are started on the loop's thread.
 *
 * Thread rule: everything on the loop, but what says otherwise.
 */
#ifndef API_GRPC_HUB_H
#define API_GRPC_HUB_H

#include "base/buf.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/slice.h"
#include "base/status.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/slice.h>

/* The completion of one operation. Embedded in its owner, which must live until `done` has run. */
struct grpc_tag {
    struct list link;
    void (*done)(struct grpc_tag *t, bool ok);
    bool ok;
};

/* To be called when a tag is handed to the library by other means than grpc_start(). The library is
 * not instrumented, so that the thread sanitizer must be told that what was done before is seen
 * after. */
#ifdef SHERD_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define GRPC_TAG_GIVE(tag) __tsan_release(tag)
#define GRPC_TAG_TAKE(tag) __tsan_acquire(tag)
#else
#define GRPC_TAG_GIVE(tag) ((void)(tag))
#define GRPC_TAG_TAKE(tag) ((void)(tag))
#endif

struct grpc_hub;

/* The loop's hub, made at the first call; each get wants a put, on the loop, with all operations of
 * the getter completed. The last put ends the thread. */
struct grpc_hub *grpc_hub_get(struct loop *l);
void grpc_hub_put(struct grpc_hub *h);
grpc_completion_queue *grpc_hub_queue(struct grpc_hub *h);
struct loop *grpc_hub_loop(struct grpc_hub *h);

/* grpc_init() with quiet logging; paired with grpc_shutdown(). From any thread. */
void grpc_library_ref(void);
void grpc_library_unref(void);

/* Starts a batch that must be well-formed: anything else is our bug. */
void grpc_start(grpc_call *call, const grpc_op *ops, size_t count, struct grpc_tag *tag);

/* A message as bytes in one piece: borrowed from the buffer when it has one slice. */
struct grpc_bytes {
    grpc_byte_buffer_reader reader;
    grpc_slice slice;
    struct slice bytes;
};
bool grpc_bytes_open(struct grpc_bytes *b, grpc_byte_buffer *buffer);
void grpc_bytes_close(struct grpc_bytes *b);

/* A generated message, or bytes (copied), as a buffer. */
grpc_byte_buffer *grpc_pack(const void *message);
grpc_byte_buffer *grpc_buffer_of(struct slice bytes);
/* The buffer's own memory, without a copy; it is empty afterwards. */
grpc_byte_buffer *grpc_buffer_take(struct buf *bytes);

/* A slice as a slice of ours: as long as the former lives. */
struct slice grpc_view(const grpc_slice *s);

/* What a call that ended with this status tells: NULL for OK, our own error when one rides along
 * in the trailing metadata, else gRPC's. */
struct status *grpc_outcome(grpc_status_code code, const grpc_slice *text,
                            const grpc_metadata_array *trailing) STATUS_MUST_CHECK;

/* "host:port" or "[v6]:port". */
void grpc_address(char *out, size_t size, const char *host, uint16_t port);

enum grpc_channel_kind {
    GRPC_CHANNEL_UNARY, /* calls of clients */
    GRPC_CHANNEL_LINK,  /* node streams: a connection of its own, quick reconnects, keepalive */
};
/* From any thread. */
grpc_channel *grpc_channel_to(const char *host, uint16_t port, enum grpc_channel_kind kind);

#endif
