/*
 * gRPC C core behind our own interface: the server for outside clients and for node streams, the
 * client channels, the node link. A completion-queue thread decodes nothing and hands whole batches
 * to the loop; replies are started from the loop.
 */
#ifndef API_GRPC_H
#define API_GRPC_H

#include "api/rpc.h"

struct grpc_front; /* "grpc_server" is the library's name */

/* Runs on a fiber of the loop. Unary: fill *out_reply. */
typedef struct status *(*grpc_unary_handler)(struct fiber *f, struct rpc_context *ctx,
                                             const void *request, void **out_reply,
                                             void *handler_ctx);
/* Server streaming: calls send (which may park for back-pressure) any number of times. */
struct grpc_stream;
struct status *grpc_stream_send(struct fiber *f, struct grpc_stream *s,
                                const ProtobufCMessage *message) STATUS_MUST_CHECK;
/* The same, but may join the message that has not left yet: the client then gets one message whose
 * repeated fields are both one after the other and whose single fields are the later ones where
 * they are set. For results whose parts are made one by one; each message of its own costs two
 * thread changes. */
struct status *grpc_stream_append(struct fiber *f, struct grpc_stream *s,
                                  const ProtobufCMessage *message) STATUS_MUST_CHECK;
typedef struct status *(*grpc_stream_handler)(struct fiber *f, struct rpc_context *ctx,
                                              const void *request, struct grpc_stream *stream,
                                              void *handler_ctx);

/* Listens on host:port (0 = any). Health ("" and each service: SERVING) and reflection are always
 * served; an unknown method is answered UNIMPLEMENTED. Port in use: INVALID that names it. */
struct status *grpc_front_create(struct loop *l, const char *host, uint16_t port,
                                 struct grpc_front **out) STATUS_MUST_CHECK;
uint16_t grpc_front_port(const struct grpc_front *g);
/* full_method: "/sherd.v1.Sql/Execute". Before grpc_front_start(). */
void grpc_front_unary(struct grpc_front *g, const char *full_method,
                      const ProtobufCMessageDescriptor *request, grpc_unary_handler handler,
                      void *handler_ctx);
void grpc_front_streaming(struct grpc_front *g, const char *full_method,
                          const ProtobufCMessageDescriptor *request, grpc_stream_handler handler,
                          void *handler_ctx);
void grpc_front_start(struct grpc_front *g);
/* From a fiber: refuses new calls, cancels what runs, waits. Front, link and rpc node may go in any
 * order. */
void grpc_front_destroy(struct fiber *f, struct grpc_front *g);

/* The node link over gRPC bidi streams: serves /sherd.v1.Node/Stream on the front and connects to
 * peers. */
typedef bool (*rpc_resolve_fn)(void *ctx, uint64_t node_id, char *out_host, size_t host_size,
                               uint16_t *out_port);
/* Before grpc_front_start(). node_id 0: refuses strangers and connects to nobody until
 * grpc_link_identity(). Connects to a peer when the first call to it asks (which is UNAVAILABLE),
 * and from then on by itself, 50 ms to 1 s after each failure. */
struct rpc_link *grpc_link_create(struct loop *l, struct grpc_front *front, uint64_t node_id,
                                  uint64_t cluster_id, rpc_resolve_fn resolve, void *resolve_ctx);
/* A node that joins learns these late. */
void grpc_link_identity(struct rpc_link *link, uint64_t node_id, uint64_t cluster_id);
void grpc_link_destroy(struct fiber *f, struct rpc_link *link);

/* A client channel for unary calls to any address (joining, administration). Parks. */
struct status *grpc_unary_call(struct fiber *f, struct loop *l, const char *host, uint16_t port,
                               const char *full_method, const ProtobufCMessage *request,
                               const ProtobufCMessageDescriptor *reply, struct arena *arena,
                               void **out_reply) STATUS_MUST_CHECK;

#endif
