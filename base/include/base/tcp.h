/*
 * TCP on a loop: listener and stream, over libuv. For the PostgreSQL front end and the Raft
 * transport. Real loops only: in simulation these ends are replaced above this layer.
 *
 * Callbacks run on the loop, never from inside the call that started the work.
 */
#ifndef BASE_TCP_H
#define BASE_TCP_H

#include "base/loop.h"
#include "base/slice.h"
#include "base/status.h"

struct tcp_listener;
struct tcp;

/* host: numeric address. port 0 = any free one (tcp_listener_port tells). A port in use is INVALID
 * with address, port and a hint. on_accept owns the stream. */
struct status *tcp_listen(struct loop *l, const char *host, uint16_t port,
                          void (*on_accept)(void *ctx, struct tcp *stream), void *ctx,
                          struct tcp_listener **out_listener) STATUS_MUST_CHECK;
uint16_t tcp_listener_port(const struct tcp_listener *tl);
void tcp_listener_close(struct tcp_listener *tl);

/* on_done(ctx, NULL, stream) or on_done(ctx, error, NULL), once. Cancel by tcp_connect_cancel(). */
struct tcp_connect;
struct tcp_connect *tcp_connect(struct loop *l, const char *host, uint16_t port,
                                uint64_t timeout_ns,
                                void (*on_done)(void *ctx, struct status *st, struct tcp *stream),
                                void *ctx);
void tcp_connect_cancel(struct tcp_connect *c);

/* on_read: bytes are borrowed for the call. on_closed: the peer closed (st NULL) or the connection
 * broke; called once; the owner then calls tcp_close(). Reading starts with this call; pause and
 * resume give back-pressure. */
void tcp_start(struct tcp *t, void (*on_read)(void *ctx, struct slice bytes),
               void (*on_closed)(void *ctx, struct status *st), void *ctx);
void tcp_pause(struct tcp *t);
void tcp_resume(struct tcp *t);
/* Takes the memory (mem_free'd when written). Writes of one turn go out in one syscall. */
void tcp_write_take(struct tcp *t, uint8_t *data, size_t len);
/* Copies. */
void tcp_write(struct tcp *t, struct slice bytes);
/* Bytes accepted and not yet given to the kernel; on_drain fires when they fall below half of
 * the mark. */
size_t tcp_pending(const struct tcp *t);
void tcp_on_drain(struct tcp *t, size_t mark, void (*on_drain)(void *ctx), void *ctx);
/* Flushes what was written (bounded by 5 s), then closes and frees. No callback comes after. */
void tcp_close(struct tcp *t);
/* "127.0.0.1:5432" of the other side. */
const char *tcp_peer(const struct tcp *t);

#endif
