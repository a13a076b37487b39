/*
 * A blocking gRPC client for programs without a loop: the SDK and the command line. No thread of
 * ours: the calling thread waits in the library.
 *
 * Thread rule: a client and its stream belong to one thread at a time; grpc_sync_cancel() may come
 * from any, while the client exists. Do not fork after the first use (fork and exec is fine
 * before).
 *
 * Errors: the server's own come back whole. Of gRPC's own: UNAVAILABLE 08001 = never connected,
 * UNAVAILABLE 08006 = the connection was lost and the fate of what was sent is unknown; TIMEOUT,
 * CANCELLED.
 */
#ifndef API_GRPC_SYNC_H
#define API_GRPC_SYNC_H

#include "api/pb.h"
#include "base/arena.h"
#include "base/status.h"

#include <stdint.h>

struct grpc_sync;        /* one server */
struct grpc_sync_stream; /* a running call that streams its replies */

struct grpc_sync *grpc_sync_create(const char *host, uint16_t port);
/* No stream may be open; NULL is fine. */
void grpc_sync_destroy(struct grpc_sync *c);

/* All calls from here on carry the metadata "authorization: Basic base64(user:password)". */
void grpc_sync_authorize(struct grpc_sync *c, const char *user, const char *password);

/* Waits until connected; the other calls connect by themselves too. timeout_ms 0 = 10 s. */
struct status *grpc_sync_connect(struct grpc_sync *c, uint64_t timeout_ms) STATUS_MUST_CHECK;

/* timeout_ms 0 = no limit, here and below. The reply lives in the arena. */
struct status *grpc_sync_unary(struct grpc_sync *c, const char *full_method, const void *request,
                               const ProtobufCMessageDescriptor *reply, struct arena *arena,
                               uint64_t timeout_ms, void **out_reply) STATUS_MUST_CHECK;

/* One stream or unary call at a time. */
struct grpc_sync_stream *grpc_sync_open(struct grpc_sync *c, const char *full_method,
                                        const void *request, uint64_t timeout_ms);
/* *out_message NULL: the stream has ended well. After an end or an error only close is left. */
struct status *grpc_sync_next(struct grpc_sync_stream *s, const ProtobufCMessageDescriptor *d,
                              struct arena *arena, void **out_message) STATUS_MUST_CHECK;
/* Cancels what still runs; NULL is fine. */
void grpc_sync_close(struct grpc_sync_stream *s);

/* Ends the running call, if any, with CANCELLED. From any thread. */
void grpc_sync_cancel(struct grpc_sync *c);

#endif
