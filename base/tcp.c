/*
 * TCP over libuv: see base/tcp.h.
 *
 * Out-going bytes are a queue of chunks: copies share a chunk while it has room, memory that was
 * handed over is a chunk of its own. The first write of a turn defers a flush; the flush tries one
 * writev and hands only what the kernel did not take to uv_write, whose completion flushes again.
 * So a stream has at most one write request, embedded in it, and writes of one turn are one
 * syscall.
 *
 *      tcp_close: queue empty, or 5 s later, or broken --> uv_close --> freed in its callback
 *
 * A broken stream (failed write) keeps quiet until the turn's end, then tells its owner by
 * on_closed once. After tcp_close() no callback comes: every path looks at is_closing first.
 */
#include "base/tcp.h"

#include "base/check.h"
#include "base/loop_uv.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#define BACKLOG 512
#define READ_BYTES ((size_t)64 << 10)
#define CHUNK_BYTES ((size_t)16 << 10) /* least size of a chunk for copies */
#define IOV_MAX_USED 64
#define CLOSE_WAIT_MS 5000
#define KEEPALIVE_S 60
#define PEER_BYTES (INET6_ADDRSTRLEN + 10)
#define DISCARD_MAX ((size_t)1 << 20)

struct chunk {
    struct list link;
    uint8_t *data;
    size_t start; /* sent so far */
    size_t len;
    size_t cap; /* room for copies, 0 for memory that was handed over */
};

struct tcp {
    uv_tcp_t handle;
    struct loop *loop;
    void (*on_read)(void *ctx, struct slice bytes);
    void (*on_closed)(void *ctx, struct status *st);
    void *ctx;
    struct list chunks;
    size_t pending;
    struct task flush;
    uv_write_t write;
    bool is_writing; /* `write` is under way; the chunks it names stay first in the queue */
    size_t writing_bytes;
    bool is_started;
    bool is_paused;
    bool is_ended; /* on_closed is due or was called */
    bool
        is_broken; /* nothing can be written any more; after the peer's end of file one still can */
    bool is_closing;
    bool is_handle_closed; /* uv_close() was called */
    struct status *broken; /* why, until on_closed takes it */
    struct task closed;    /* calls on_closed */
    struct timer close_timer;
    size_t drain_mark;
    bool is_above_mark;
    void (*on_drain)(void *ctx);
    void *drain_ctx;
    struct task drain;
    char peer[PEER_BYTES];
};

struct tcp_listener {
    uv_tcp_t handle;
    struct loop *loop;
    void (*on_accept)(void *ctx, struct tcp *stream);
    void *ctx;
    uint16_t port;
    bool is_closing;
};

struct tcp_connect {
    struct loop *loop;
    struct tcp *stream;
    uv_connect_t request;
    uv_getaddrinfo_t resolve;
    void (*on_done)(void *ctx, struct status *st, struct tcp *stream);
    void *ctx;
    char *host;
    uint16_t port;
    uint64_t timeout_ns;
    struct timer timer;
    struct task result; /* a failure that was known at once */
    struct status *failure;
    bool is_told;    /* on_done was called, or nobody wants it */
    int outstanding; /* libuv callbacks that still name this struct */
};

static uv_loop_t *uv_loop_of(struct loop *l)
{
    return loop_uv_handle(l);
}

/* ---- addresses ---- */

static bool parse_address(const char *host, uint16_t port, struct sockaddr_storage *out)
{
    const char *name = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memset(out, 0, sizeof(*out));
    if (uv_ip4_addr(name, port, &v4) == 0) {
        memcpy(out, &v4, sizeof(v4));
        return true;
    }
    if (uv_ip6_addr(name, port, &v6) == 0) {
        memcpy(out, &v6, sizeof(v6));
        return true;
    }
    return false;
}

static uint16_t print_address(const struct sockaddr_storage *a, char out[PEER_BYTES])
{
    char host[INET6_ADDRSTRLEN] = "?";
    uint16_t port = 0;
    if (a->ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, a, sizeof(v6));
        uv_ip6_name(&v6, host, sizeof(host));
        port = ntohs(v6.sin6_port);
        (void)snprintf(out, PEER_BYTES, "[%s]:%u", host, port);
    } else {
        struct sockaddr_in v4;
        memcpy(&v4, a, sizeof(v4));
        uv_ip4_name(&v4, host, sizeof(host));
        port = ntohs(v4.sin_port);
        (void)snprintf(out, PEER_BYTES, "%s:%u", host, port);
    }
    return port;
}

/* ---- a stream ---- */

static void flush_run(struct task *t);
static void closed_run(struct task *t);
static void drain_run(struct task *t);
static void close_timer_fire(struct timer *t);

static struct tcp *stream_make(struct loop *l)
{
    struct tcp *t = MEM_NEW(struct tcp);
    t->loop = l;
    list_head_init(&t->chunks);
    t->flush.run = flush_run;
    t->closed.run = closed_run;
    t->drain.run = drain_run;
    t->close_timer.fire = close_timer_fire;
    ASSERT(uv_tcp_init(uv_loop_of(l), &t->handle) == 0);
    t->handle.data = t;
    (void)snprintf(t->peer, sizeof(t->peer), "?");
    return t;
}

static void stream_connected(struct tcp *t)
{
    uv_tcp_nodelay(&t->handle, 1);
    uv_tcp_keepalive(&t->handle, 1, KEEPALIVE_S);
    struct sockaddr_storage a;
    int len = sizeof(a);
    memset(&a, 0, sizeof(a));
    if (uv_tcp_getpeername(&t->handle, (struct sockaddr *)&a, &len) == 0) {
        print_address(&a, t->peer);
    }
}

static void chunk_free(struct chunk *c)
{
    list_unlink(&c->link);
    mem_free(c->data);
    mem_free(c);
}

static void stream_freed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;
    while (!list_is_empty(&t->chunks)) {
        chunk_free(LIST_ITEM(t->chunks.next, struct chunk, link));
    }
    status_free(t->broken);
    mem_free(t);
}

/* What the peer has sent and nobody will read would turn our close into a reset, and a reset takes
 * from the peer what we have just written: an error message, for one. */
static void discard_input(struct tcp *t)
{
    uv_os_fd_t fd = -1;
    if (uv_fileno((uv_handle_t *)&t->handle, &fd) != 0) {
        return;
    }
    uint8_t waste[4096];
    for (size_t n = 0; n < DISCARD_MAX; n += sizeof(waste)) {
        if (recv(fd, waste, sizeof(waste), MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

static void stream_release(struct tcp *t)
{
    if (t->is_handle_closed) {
        return;
    }
    t->is_handle_closed = true;
    loop_defer_cancel(&t->flush);
    loop_defer_cancel(&t->closed);
    loop_defer_cancel(&t->drain);
    timer_stop(&t->close_timer);
    discard_input(t);
    uv_close((uv_handle_t *)&t->handle, stream_freed);
}

static void close_timer_fire(struct timer *timer)
{
    stream_release(CONTAINER_OF(timer, struct tcp, close_timer));
}

/* ---- the end, told to the owner ---- */

static void closed_run(struct task *task)
{
    struct tcp *t = CONTAINER_OF(task, struct tcp, closed);
    struct status *st = t->broken;
    t->broken = NULL;
    if (t->is_closing) {
        status_free(st);
        return;
    }
    t->on_closed(t->ctx, st);
}

/* Takes st (NULL: the peer closed). */
static void stream_ended(struct tcp *t, struct status *st)
{
    t->is_broken = t->is_broken || st != NULL;
    if (t->is_ended) {
        status_free(st);
        return;
    }
    t->is_ended = true;
    t->broken = st;
    if (t->is_started) {
        uv_read_stop((uv_stream_t *)&t->handle);
        loop_defer(t->loop, &t->closed);
    }
}

static struct status *stream_error(struct tcp *t, const char *what, int rc)
{
    return status_sql(UNAVAILABLE, "08006", "could not %s %s: %s", what, t->peer, uv_strerror(rc));
}

/* ---- reading ---- */

static void alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    /* libuv reads and calls on_read at once, one stream after the other: one buffer a thread. */
    static _Thread_local char bytes[READ_BYTES];
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(bytes, sizeof(bytes));
}

static void read_cb(uv_stream_t *handle, ssize_t n, const uv_buf_t *bytes)
{
    struct tcp *t = handle->data;
    if (n > 0) {
        t->on_read(t->ctx, slice_make(bytes->base, (size_t)n));
    } else if (n == UV_EOF) {
        stream_ended(t, NULL);
    } else if (n < 0) {
        stream_ended(t, stream_error(t, "read from", (int)n));
    }
}

static void read_on(struct tcp *t)
{
    int rc = uv_read_start((uv_stream_t *)&t->handle, alloc_cb, read_cb);
    if (rc != 0 && rc != UV_EALREADY) {
        stream_ended(t, stream_error(t, "read from", rc));
    }
}

void tcp_start(struct tcp *t, void (*on_read)(void *ctx, struct slice bytes),
               void (*on_closed)(void *ctx, struct status *st), void *ctx)
{
    ASSERT(!t->is_started && !t->is_closing);
    t->on_read = on_read;
    t->on_closed = on_closed;
    t->ctx = ctx;
    t->is_started = true;
    if (t->is_ended) { /* a write failed before */
        loop_defer(t->loop, &t->closed);
    } else if (!t->is_paused) {
        read_on(t);
    }
}

void tcp_pause(struct tcp *t)
{
    t->is_paused = true;
    if (t->is_started && !t->is_closing) {
        uv_read_stop((uv_stream_t *)&t->handle);
    }
}

void tcp_resume(struct tcp *t)
{
    if (!t->is_paused) {
        return;
    }
    t->is_paused = false;
    if (t->is_started && !t->is_ended && !t->is_closing) {
        read_on(t);
    }
}

/* ---- writing ---- */

static struct chunk *chunk_push(struct tcp *t, uint8_t *data, size_t len, size_t cap)
{
    struct chunk *c = MEM_NEW(struct chunk);
    *c = (struct chunk){.data = data, .len = len, .cap = cap};
    list_push_back(&t->chunks, &c->link);
    return c;
}

static void added(struct tcp *t, size_t len)
{
    t->pending += len;
    if (t->drain_mark && t->pending >= t->drain_mark) {
        t->is_above_mark = true;
    }
    if (!t->is_writing) {
        loop_defer(t->loop, &t->flush);
    }
}

void tcp_write_take(struct tcp *t, uint8_t *data, size_t len)
{
    ASSERT(!t->is_closing);
    if (len == 0 || t->is_broken) {
        mem_free(data);
        return;
    }
    chunk_push(t, data, len, 0);
    added(t, len);
}

void tcp_write(struct tcp *t, struct slice bytes)
{
    ASSERT(!t->is_closing);
    if (bytes.len == 0 || t->is_broken) {
        return;
    }
    struct chunk *last =
        list_is_empty(&t->chunks) ? NULL : LIST_ITEM(t->chunks.prev, struct chunk, link);
    /* What uv_write was given keeps its place and length: growing the chunk beyond is harmless. */
    if (last == NULL || last->cap < last->len || last->cap - last->len < bytes.len) {
        size_t cap = bytes.len > CHUNK_BYTES ? bytes.len : CHUNK_BYTES;
        last = chunk_push(t, mem_alloc(cap), 0, cap);
    }
    memcpy(last->data + last->len, bytes.data, bytes.len);
    last->len += bytes.len;
    added(t, bytes.len);
}

static void sent(struct tcp *t, size_t n)
{
    ASSERT(n <= t->pending);
    t->pending -= n;
    while (n) {
        struct chunk *c = LIST_ITEM(t->chunks.next, struct chunk, link);
        size_t left = c->len - c->start;
        if (n < left) {
            c->start += n;
            break;
        }
        n -= left;
        chunk_free(c);
    }
    if (t->is_above_mark && t->pending < t->drain_mark / 2) {
        t->is_above_mark = false;
        loop_defer(t->loop, &t->drain);
    }
}

static unsigned gather(struct tcp *t, uv_buf_t bufs[IOV_MAX_USED], size_t *out_bytes)
{
    unsigned n = 0;
    *out_bytes = 0;
    LIST_FOREACH(it, &t->chunks)
    {
        struct chunk *c = LIST_ITEM(it, struct chunk, link);
        if (n == IOV_MAX_USED) {
            break;
        }
        size_t len = c->len - c->start;
        if (len > UINT32_MAX / 4) {
            len = UINT32_MAX / 4;
        }
        bufs[n++] = uv_buf_init((char *)c->data + c->start, (unsigned)len);
        *out_bytes += len;
        if (len < c->len - c->start) {
            break;
        }
    }
    return n;
}

static void write_failed(struct tcp *t, int rc)
{
    t->pending = 0;
    stream_ended(t, stream_error(t, "write to", rc));
    if (t->is_closing) {
        stream_release(t);
    }
}

static void write_cb(uv_write_t *request, int rc)
{
    struct tcp *t = request->data;
    t->is_writing = false;
    if (t->is_handle_closed) {
        return;
    }
    if (rc != 0) {
        write_failed(t, rc);
        return;
    }
    sent(t, t->writing_bytes);
    if (t->pending) {
        loop_defer(t->loop, &t->flush);
    } else if (t->is_closing) {
        stream_release(t);
    }
}

static void flush_run(struct task *task)
{
    struct tcp *t = CONTAINER_OF(task, struct tcp, flush);
    uv_buf_t bufs[IOV_MAX_USED];
    uv_stream_t *stream = (uv_stream_t *)&t->handle;
    while (t->pending && !t->is_writing && !t->is_broken) {
        size_t bytes = 0;
        unsigned n = gather(t, bufs, &bytes);
        int rc = uv_try_write(stream, bufs, n);
        if (rc >= 0) {
            sent(t, (size_t)rc);
            if ((size_t)rc == bytes) {
                continue;
            }
            n = gather(t, bufs, &bytes);
        } else if (rc != UV_EAGAIN) {
            write_failed(t, rc);
            return;
        }
        t->write.data = t;
        t->writing_bytes = bytes;
        rc = uv_write(&t->write, stream, bufs, n, write_cb);
        if (rc != 0) {
            write_failed(t, rc);
            return;
        }
        t->is_writing = true;
    }
    if (t->is_closing && t->pending == 0) {
        stream_release(t);
    }
}

size_t tcp_pending(const struct tcp *t)
{
    return t->pending;
}

static void drain_run(struct task *task)
{
    struct tcp *t = CONTAINER_OF(task, struct tcp, drain);
    if (!t->is_closing && !t->is_broken && t->on_drain != NULL) {
        t->on_drain(t->drain_ctx);
    }
}

void tcp_on_drain(struct tcp *t, size_t mark, void (*on_drain)(void *ctx), void *ctx)
{
    t->drain_mark = mark;
    t->on_drain = on_drain;
    t->drain_ctx = ctx;
    t->is_above_mark = mark && t->pending >= mark;
}

void tcp_close(struct tcp *t)
{
    ASSERT(!t->is_closing);
    t->is_closing = true;
    if (t->is_started) {
        uv_read_stop((uv_stream_t *)&t->handle);
    }
    if (t->pending == 0 || t->is_broken) {
        stream_release(t);
        return;
    }
    timer_start(t->loop, &t->close_timer, ms_to_ns(CLOSE_WAIT_MS));
}

const char *tcp_peer(const struct tcp *t)
{
    return t->peer;
}

/* ---- listening ---- */

static void listener_freed(uv_handle_t *handle)
{
    mem_free(handle->data);
}

static void connection_cb(uv_stream_t *handle, int rc)
{
    struct tcp_listener *tl = handle->data;
    if (rc != 0 || tl->is_closing) {
        return; /* too many descriptors, or a peer that is gone again: the next one may do */
    }
    struct tcp *t = stream_make(tl->loop);
    if (uv_accept(handle, (uv_stream_t *)&t->handle) != 0) {
        tcp_close(t);
        return;
    }
    stream_connected(t);
    tl->on_accept(tl->ctx, t);
}

static struct status *listen_error(const char *host, uint16_t port, int rc)
{
    struct status *st =
        status_new(INVALID, "could not listen on %s port %u: %s", host, port, uv_strerror(rc));
    switch (rc) {
    case UV_EADDRINUSE:
        return status_hint(st, "Another process uses this port: stop it, or set another port.");
    case UV_EADDRNOTAVAIL:
        return status_hint(st, "This machine has no such address.");
    case UV_EACCES:
        return status_hint(st, "Ports below 1024 are for privileged users.");
    default:
        return st;
    }
}

struct status *tcp_listen(struct loop *l, const char *host, uint16_t port,
                          void (*on_accept)(void *ctx, struct tcp *stream), void *ctx,
                          struct tcp_listener **out_listener)
{
    struct sockaddr_storage address;
    if (!parse_address(host, port, &address)) {
        return status_hint(status_new(INVALID, "\"%s\" is not an address to listen on", host),
                           "Give a numeric address of this machine, or 0.0.0.0 for all.");
    }
    struct tcp_listener *tl = MEM_NEW(struct tcp_listener);
    tl->loop = l;
    tl->on_accept = on_accept;
    tl->ctx = ctx;
    ASSERT(uv_tcp_init(uv_loop_of(l), &tl->handle) == 0);
    tl->handle.data = tl;
    int rc = uv_tcp_bind(&tl->handle, (struct sockaddr *)&address, 0);
    if (rc == 0) {
        rc = uv_listen((uv_stream_t *)&tl->handle, BACKLOG, connection_cb);
    }
    if (rc != 0) {
        uv_close((uv_handle_t *)&tl->handle, listener_freed);
        return listen_error(host, port, rc);
    }
    char name[PEER_BYTES];
    int len = sizeof(address);
    ASSERT(uv_tcp_getsockname(&tl->handle, (struct sockaddr *)&address, &len) == 0);
    tl->port = print_address(&address, name);
    *out_listener = tl;
    return NULL;
}

uint16_t tcp_listener_port(const struct tcp_listener *tl)
{
    return tl->port;
}

void tcp_listener_close(struct tcp_listener *tl)
{
    if (tl != NULL && !tl->is_closing) {
        tl->is_closing = true;
        uv_close((uv_handle_t *)&tl->handle, listener_freed);
    }
}

/* ---- connecting ---- */

static void connect_unref(struct tcp_connect *c)
{
    if (c->is_told && c->outstanding == 0) {
        mem_free(c->host);
        mem_free(c);
    }
}

/* Takes st; tells the owner once. The caller holds a reference (outstanding or is_told pending). */
static void connect_finish(struct tcp_connect *c, struct status *st)
{
    ASSERT(!c->is_told);
    c->is_told = true;
    timer_stop(&c->timer);
    struct tcp *stream = c->stream;
    c->stream = NULL;
    if (st != NULL) {
        if (stream != NULL) {
            tcp_close(stream); /* a pending uv_connect ends with UV_ECANCELED */
        }
        stream = NULL;
        st = status_wrap(st, "could not connect to %s port %u", c->host, c->port);
    }
    void (*on_done)(void *ctx, struct status *st, struct tcp *stream) = c->on_done;
    void *ctx = c->ctx;
    connect_unref(c);
    on_done(ctx, st, stream);
}

static struct status *connect_error(int rc)
{
    return status_sql(UNAVAILABLE, "08001", "%s", uv_strerror(rc));
}

static void connect_cb(uv_connect_t *request, int rc)
{
    struct tcp_connect *c = request->data;
    c->outstanding--;
    if (c->is_told) {
        connect_unref(c);
        return;
    }
    if (rc != 0) {
        connect_finish(c, connect_error(rc));
        return;
    }
    stream_connected(c->stream);
    connect_finish(c, NULL);
}

static void connect_fail_soon(struct tcp_connect *c, int rc)
{
    c->failure = connect_error(rc);
    loop_defer(c->loop, &c->result);
}

static void connect_result(struct task *t)
{
    struct tcp_connect *c = CONTAINER_OF(t, struct tcp_connect, result);
    struct status *st = c->failure;
    c->failure = NULL;
    connect_finish(c, st);
}

static void connect_to(struct tcp_connect *c, const struct sockaddr *address)
{
    c->stream = stream_make(c->loop);
    c->request.data = c;
    int rc = uv_tcp_connect(&c->request, &c->stream->handle, address, connect_cb);
    if (rc != 0) {
        connect_fail_soon(c, rc);
        return;
    }
    c->outstanding++;
}

static void resolve_cb(uv_getaddrinfo_t *request, int rc, struct addrinfo *found)
{
    struct tcp_connect *c = request->data;
    c->outstanding--;
    if (c->is_told) {
        connect_unref(c);
    } else if (rc != 0) {
        connect_finish(c, connect_error(rc));
    } else {
        connect_to(c, found->ai_addr);
    }
    uv_freeaddrinfo(found);
}

static void connect_timeout(struct timer *t)
{
    struct tcp_connect *c = CONTAINER_OF(t, struct tcp_connect, timer);
    loop_defer_cancel(&c->result);
    status_free(c->failure);
    c->failure = NULL;
    connect_finish(c, status_sql(UNAVAILABLE, "08001", "no answer within %u ms",
                                 (unsigned)(c->timeout_ns / 1000000u)));
}

struct tcp_connect *tcp_connect(struct loop *l, const char *host, uint16_t port,
                                uint64_t timeout_ns,
                                void (*on_done)(void *ctx, struct status *st, struct tcp *stream),
                                void *ctx)
{
    struct tcp_connect *c = MEM_NEW(struct tcp_connect);
    c->loop = l;
    c->on_done = on_done;
    c->ctx = ctx;
    c->host = mem_strdup(host);
    c->port = port;
    c->timeout_ns = timeout_ns;
    c->timer.fire = connect_timeout;
    c->result.run = connect_result;
    if (timeout_ns != 0) {
        timer_start(l, &c->timer, timeout_ns);
    }
    struct sockaddr_storage address;
    if (parse_address(host, port, &address)) {
        connect_to(c, (struct sockaddr *)&address);
        return c;
    }
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port);
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    c->resolve.data = c;
    int rc = uv_getaddrinfo(uv_loop_of(l), &c->resolve, resolve_cb, host, service, &hints);
    if (rc != 0) {
        connect_fail_soon(c, rc);
    } else {
        c->outstanding++;
    }
    return c;
}

void tcp_connect_cancel(struct tcp_connect *c)
{
    ASSERT(!c->is_told);
    c->is_told = true;
    timer_stop(&c->timer);
    loop_defer_cancel(&c->result);
    status_free(c->failure);
    if (c->stream != NULL) {
        tcp_close(c->stream);
        c->stream = NULL;
    }
    if (c->outstanding == 0) {
        connect_unref(c);
    } else if (c->resolve.data != NULL) {
        (void)uv_cancel((uv_req_t *)&c->resolve);
    }
}
