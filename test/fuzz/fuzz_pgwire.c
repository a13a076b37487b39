/*
 * The PostgreSQL front end on a simulated loop, with a session that knows a few words
 * (test/unit/router/fake_session.h) and a socket of this file's own:
 *   flags u8 | cut u8 | bytes of the client, which arrive `cut` at a time
 *   flags: 1 the login is done already, 2 with a password exchange under way, 4 the client
 * half-closes late
 *
 * Whatever a client sends: every message that the server answers is well framed, and when the
 * client is gone its session and its connection are gone too.
 */
#include "base/mem.h"
#include "base/sim.h"
#include "base/tcp.h"
#include "fake_session.h"
#include "fuzz.h"
#include "router/router.h"

enum { WRITTEN_MAX = 1 << 20 };

/* ---- a socket whose other side is the input: stands in for base/tcp.c ---- */

struct tcp {
    void (*on_read)(void *ctx, struct slice bytes);
    void (*on_closed)(void *ctx, struct status *st);
    void *ctx;
    struct buf written;
    bool is_closed;
};

struct tcp_listener {
    void (*on_accept)(void *ctx, struct tcp *stream);
    void *ctx;
};

static struct tcp_listener the_listener;

struct status *tcp_listen(struct loop *l, const char *host, uint16_t port,
                          void (*on_accept)(void *ctx, struct tcp *stream), void *ctx,
                          struct tcp_listener **out_listener)
{
    (void)l, (void)host, (void)port;
    the_listener = (struct tcp_listener){on_accept, ctx};
    *out_listener = &the_listener;
    return NULL;
}

uint16_t tcp_listener_port(const struct tcp_listener *tl)
{
    (void)tl;
    return 1;
}

void tcp_listener_close(struct tcp_listener *tl)
{
    (void)tl;
}

void tcp_start(struct tcp *t, void (*on_read)(void *ctx, struct slice bytes),
               void (*on_closed)(void *ctx, struct status *st), void *ctx)
{
    t->on_read = on_read;
    t->on_closed = on_closed;
    t->ctx = ctx;
}

void tcp_pause(struct tcp *t)
{
    (void)t;
}

void tcp_resume(struct tcp *t)
{
    (void)t;
}

void tcp_write(struct tcp *t, struct slice bytes)
{
    ASSERT(!t->is_closed);
    buf_put_slice(&t->written, bytes);
}

void tcp_write_take(struct tcp *t, uint8_t *data, size_t len)
{
    tcp_write(t, slice_make(data, len));
    mem_free(data);
}

/* A client that has been sent a megabyte reads no more. */
size_t tcp_pending(const struct tcp *t)
{
    return t->written.len > WRITTEN_MAX ? SIZE_MAX / 2 : 0;
}

void tcp_on_drain(struct tcp *t, size_t mark, void (*on_drain)(void *ctx), void *ctx)
{
    (void)t, (void)mark, (void)on_drain, (void)ctx;
}

void tcp_close(struct tcp *t)
{
    ASSERT(!t->is_closed);
    t->is_closed = true;
}

const char *tcp_peer(const struct tcp *t)
{
    (void)t;
    return "127.0.0.1:1";
}

/* ---- the target ---- */

static struct sim *sim;
static struct pgwire *pg;

static void init(void)
{
    static const char verifier[] =
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    sim = sim_create(1);
    fake_verifier = verifier;
    struct status *st =
        pgwire_create(fake_router(sim_loop_create(sim, "fuzz")), "127.0.0.1", 1, &pg);
    ASSERT(st == NULL);
}

static void run_on(void)
{
    (void)sim_run(sim, sim_now_ns(sim) + 1000, NULL, NULL);
}

static void give(struct tcp *t, struct slice bytes)
{
    if (!t->is_closed) {
        t->on_read(t->ctx, bytes);
        run_on();
    }
}

static void startup(struct tcp *t, const char *user)
{
    struct buf b = {0};
    buf_put_u32(&b, 0);
    buf_put_u32(&b, 3 << 16);
    buf_put_cstr(&b, "user");
    buf_put_cstr(&b, user);
    buf_put_u8(&b, 0);
    set_u32(b.data, (uint32_t)b.len);
    give(t, buf_slice(&b));
    buf_deinit(&b);
}

/* 'S' or 'N' answers an encryption request; all else is type, length, body. */
static void check_answers(struct slice out)
{
    struct reader r;
    reader_init(&r, out);
    while (reader_left(&r) > 0) {
        uint8_t type = read_u8(&r);
        if (type == 'N' && (reader_left(&r) < 4 || get_u32(r.pos) > out.len)) {
            continue; /* a bare 'N': no encryption */
        }
        if (type == 'N' && get_u32(r.pos) < 4) {
            continue;
        }
        uint32_t length = read_u32(&r);
        ASSERT(reader_ok(&r) && length >= 4);
        (void)read_raw(&r, length - 4);
        ASSERT(reader_ok(&r));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (pg == NULL) {
        init();
    }
    if (size < 2) {
        return 0;
    }
    struct tcp t = {0};
    fake_config.auth = (char *)(uintptr_t)((data[0] & 2) != 0 ? "scram" : "trust");
    the_listener.on_accept(the_listener.ctx, &t);
    if ((data[0] & 3) != 0) {
        startup(&t, (data[0] & 2) != 0 ? "scram" : "someone");
    }
    size_t cut = (data[1] & 15) == 0 ? size : data[1];
    for (size_t at = 2; at < size; at += cut) {
        give(&t, slice_make(data + at, size - at < cut ? size - at : cut));
    }
    run_on();
    if (!t.is_closed) {
        t.on_closed(t.ctx, NULL);
        for (int i = 0; i < 1000 && !t.is_closed; i++) {
            run_on();
        }
    }
    ASSERT(t.is_closed);
    ASSERT(fake_counts.open == fake_counts.closed);
    check_answers(buf_slice(&t.written));
    buf_deinit(&t.written);
    return 0;
}
