/*
 * grpc.health.v1: "" and every service of this server are SERVING from start to stop. Watch tells
 * so once and stays open; an end of the stream is the news that the server is gone.
 */
#include "base/check.h"
#include "grpc_front.h"

#include "grpc/health/v1/health.pb-c.h"

#include <string.h>

static bool is_served(const struct grpc_front *g, const char *service)
{
    if (service[0] == '\0') {
        return true;
    }
    const char *name;
    for (size_t i = 0; (name = grpc_front_service(g, i)) != NULL; i++) {
        if (strcmp(name, service) == 0) {
            return true;
        }
    }
    return false;
}

static struct status *health_check(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *handler_ctx)
{
    (void)f;
    const Grpc__Health__V1__HealthCheckRequest *r = request;
    if (!is_served(handler_ctx, r->service)) {
        return status_new(NOT_FOUND, "unknown service \"%s\"", r->service);
    }
    Grpc__Health__V1__HealthCheckResponse *reply = arena_alloc(ctx->arena, sizeof(*reply));
    grpc__health__v1__health_check_response__init(reply);
    reply->status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    *out_reply = reply;
    return NULL;
}

static struct status *health_watch(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   struct grpc_stream *stream, void *handler_ctx)
{
    (void)ctx;
    const Grpc__Health__V1__HealthCheckRequest *r = request;
    Grpc__Health__V1__HealthCheckResponse reply = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
    reply.status = is_served(handler_ctx, r->service)
                       ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
                       : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
    TRY(grpc_stream_send(f, stream, &reply.base));
    struct status *st = NULL;
    while (st == NULL) { /* until the client or the server goes */
        st = fiber_park(f);
    }
    return st;
}

void grpc_health_register(struct grpc_front *g)
{
    const ProtobufCMessageDescriptor *d = &grpc__health__v1__health_check_request__descriptor;
    grpc_front_unary(g, "/grpc.health.v1.Health/Check", d, health_check, g);
    grpc_front_streaming(g, "/grpc.health.v1.Health/Watch", d, health_watch, g);
}
