/*
 * Inside of the gRPC server, for the files of api/: methods that are streams of both directions,
 * and raw calls for the node link. See api/grpc.h for the rest.
 */
#ifndef API_GRPC_FRONT_H
#define API_GRPC_FRONT_H

#include "api/grpc.h"
#include "grpc_hub.h"

/* A method whose client streams too: the handler receives by itself. */
typedef struct status *(*grpc_bidi_handler)(struct fiber *f, struct rpc_context *ctx,
                                            struct grpc_stream *stream, void *handler_ctx);
void grpc_front_bidi(struct grpc_front *g, const char *full_method, grpc_bidi_handler handler,
                     void *handler_ctx);
/* *out_message NULL: the client has ended its side. */
struct status *grpc_stream_receive(struct fiber *f, struct grpc_stream *s,
                                   const ProtobufCMessageDescriptor *d, struct arena *arena,
                                   void **out_message) STATUS_MUST_CHECK;
/* The front of a stream: what it serves. */
struct grpc_front *grpc_stream_front(struct grpc_stream *s);

/* A method whose calls are handed over as they come: accept() owns the call and reports its end,
 * with all operations complete and the call unreferenced, by grpc_front_raw_done(). accept NULL:
 * refused with UNAVAILABLE. */
/* gone(ctx): the front is being freed, all raw calls are done. */
typedef void (*grpc_accept_fn)(void *ctx, grpc_call *call);
void grpc_front_raw(struct grpc_front *g, const char *full_method, grpc_accept_fn accept,
                    void (*gone)(void *ctx), void *ctx);
void grpc_front_raw_done(struct grpc_front *g);
struct grpc_hub *grpc_front_hub(struct grpc_front *g);

/* Names of what is served, "sherd.v1.Sql", each once: i-th, NULL past the end. */
const char *grpc_front_service(const struct grpc_front *g, size_t i);

/* grpc_health.c, grpc_reflection.c: register their methods. */
void grpc_health_register(struct grpc_front *g);
void grpc_reflection_register(struct grpc_front *g);

#endif
