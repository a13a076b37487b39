/*
 * HTTP for monitoring, on libmicrohttpd's own thread: /metrics in the Prometheus text format,
 * /health (200 when the node serves, 503 while it starts or stops). It touches nothing of the loop
 * but atomics.
 */
#include "node.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <string.h>

struct http {
    struct MHD_Daemon *daemon;
    atomic_bool is_ready;
};

static enum MHD_Result answer(struct MHD_Connection *c, unsigned code, const char *type,
                              struct slice body)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(body.len, (void *)(uintptr_t)body.data,
                                                             MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(c, code, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result handle(void *cls, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    (void)version;
    (void)upload;
    (void)upload_size;
    (void)state;
    struct http *h = cls;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
        return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", slice_str("only GET\n"));
    }
    if (strcmp(url, "/metrics") == 0) {
        struct buf b = {0};
        metrics_render(&b);
        enum MHD_Result r = answer(c, MHD_HTTP_OK, "text/plain; version=0.0.4", buf_slice(&b));
        buf_deinit(&b);
        return r;
    }
    if (strcmp(url, "/health") == 0) {
        return atomic_load(&h->is_ready)
                   ? answer(c, MHD_HTTP_OK, "text/plain", slice_str("ready\n"))
                   : answer(c, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain",
                            slice_str("not ready\n"));
    }
    return answer(c, MHD_HTTP_NOT_FOUND, "text/plain", slice_str("try /metrics or /health\n"));
}

struct status *http_create(const char *host, uint16_t port, struct http **out)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        return status_new(INVALID, "HTTP: \"%s\" is not an IPv4 address", host);
    }
    struct http *h = MEM_NEW(struct http);
    h->daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, port, NULL, NULL, handle,
                         h, MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT, 32u,
                         MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                         (size_t)32768, MHD_OPTION_END);
    if (h->daemon == NULL) {
        int e = errno;
        mem_free(h);
        return status_hint(
            status_new(INVALID, "cannot listen for HTTP on %s:%u: %s", host, port, strerror(e)),
            e == EADDRNOTAVAIL ? "This machine has no such address."
                               : "Choose another port, or stop what uses it.");
    }
    *out = h;
    return NULL;
}

void http_set_ready(struct http *h, bool is_ready)
{
    atomic_store(&h->is_ready, is_ready);
}

void http_destroy(struct http *h)
{
    if (h != NULL) {
        MHD_stop_daemon(h->daemon);
        mem_free(h);
    }
}
