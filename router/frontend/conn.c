/*
 * One connection: input queue, the fiber that works through it, output with back-pressure, the end.
 * pgwire.h draws its life.
 */
#include "pgwire.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "frontend_limits.h"
#include "sql/datetime.h"

static void conn_run(struct fiber *f, void *arg);

static void start_fiber(struct conn *c)
{
    if (c->fiber == NULL) {
        if (c->phase == PHASE_READY) {
            timer_stop(&c->timer); /* the login timer runs on */
        }
        c->fiber = fiber_spawn(c->pg->loop, FIBER_STACK_LARGE, conn_run, c);
    }
}

size_t conn_limit(const struct conn *c)
{
    return c->phase == PHASE_READY ? c->pg->message_limit : STARTUP_BYTES_MAX;
}

/* ---- events of the socket ---- */

static void on_read(void *ctx, struct slice bytes)
{
    struct conn *c = ctx;
    if (c->is_ending || c->is_gone) {
        return;
    }
    bool is_busy = c->fiber != NULL;
    input_add(&c->in, bytes, is_busy);
    if (!is_busy) {
        if (input_is_ready(&c->in, conn_limit(c))) {
            start_fiber(c);
        }
        return;
    }
    if (c->is_reading) {
        c->is_reading = false; /* one wake a park */
        fiber_wake(c->fiber);
    } else if (input_waiting(&c->in) > PIPELINE_BYTES_MAX && !c->is_paused) {
        c->is_paused = true;
        tcp_pause(c->tcp);
    }
}

static void on_closed(void *ctx, struct status *st)
{
    struct conn *c = ctx;
    status_free(st); /* a client that goes away is no error of ours */
    c->is_gone = true;
    if (c->fiber != NULL) {
        fiber_cancel(c->fiber);
    } else {
        start_fiber(c);
    }
}

static void on_drain(void *ctx)
{
    struct conn *c = ctx;
    if (c->is_draining) {
        c->is_draining = false;
        fiber_wake(c->fiber);
    }
}

/* ---- output ---- */

static void send_out(struct conn *c)
{
    if (c->out.len == 0) {
        return;
    }
    if (c->is_gone) {
        buf_clear(&c->out);
    } else if (c->out.len > IDLE_BUFFER_BYTES) {
        size_t len;
        uint8_t *data = buf_take(&c->out, &len);
        tcp_write_take(c->tcp, data, len);
    } else {
        tcp_write(c->tcp, buf_slice(&c->out));
        buf_clear(&c->out);
    }
}

struct status *conn_flush(struct fiber *f, struct conn *c)
{
    send_out(c);
    struct status *st = NULL;
    while (st == NULL && !c->is_gone && tcp_pending(c->tcp) >= OUT_PENDING_MAX) {
        c->is_draining = true;
        st = fiber_park(f);
        c->is_draining = false;
    }
    if (st == NULL && c->is_gone) {
        st = &status_cancelled;
    }
    return st;
}

struct status *conn_flush_some(struct fiber *f, struct conn *c)
{
    if (c->out.len < OUT_FLUSH_BYTES) {
        return NULL;
    }
    TRY(conn_flush(f, c));
    buf_reserve(&c->out, OUT_FLUSH_BYTES + IDLE_BUFFER_BYTES);
    return NULL;
}

void conn_fatal(struct conn *c, struct status *st)
{
    if (!c->is_ending && !c->is_gone) {
        put_error(&c->out, 'E', "FATAL", st);
        if (strcmp(st->sqlstate, "08P01") == 0) {
            metric_add(c->pg->m_malformed, 1);
        }
    }
    status_free(st);
    c->is_ending = true;
}

/* ---- input ---- */

static void read_on(struct conn *c)
{
    if (c->is_paused && !c->is_gone) {
        c->is_paused = false;
        tcp_resume(c->tcp);
    }
}

struct status *conn_read(struct fiber *f, struct conn *c, struct message *out, bool *out_too_large)
{
    for (;;) {
        enum input_result r = input_next(&c->in, conn_limit(c), out);
        *out_too_large = r == INPUT_TOO_LARGE;
        if (r == INPUT_BAD) {
            conn_fatal(c, status_sql(INVALID, "08P01", "invalid message length"));
            return status_sql(INVALID, "08P01", "invalid message length");
        }
        if (r != INPUT_MORE) {
            return NULL;
        }
        read_on(c);
        TRY(conn_flush(f, c));
        c->is_reading = true;
        struct status *st = fiber_park(f);
        c->is_reading = false;
        TRY(st);
        if (c->is_gone) {
            return &status_cancelled;
        }
    }
}

/* ---- the fiber ---- */

static void handle(struct fiber *f, struct conn *c, const struct message *m, bool is_too_large)
{
    if (c->phase != PHASE_READY) {
        if (is_too_large) {
            conn_fatal(c, status_sql(INVALID, "08P01", "invalid message length before login"));
            return;
        }
        startup_message(f, c, m);
    } else if (is_too_large) {
        query_too_large(f, c, m);
    } else {
        query_message(f, c, m);
    }
}

/* Works through what waits. */
static void work(struct fiber *f, struct conn *c)
{
    struct message m;
    for (int n = 1; !c->is_gone && !c->is_ending; n++) {
        enum input_result r = input_next(&c->in, conn_limit(c), &m);
        if (r == INPUT_MORE) {
            return;
        }
        if (r == INPUT_BAD) {
            conn_fatal(c, status_sql(INVALID, "08P01", "invalid message length"));
            return;
        }
        handle(f, c, &m, r == INPUT_TOO_LARGE);
        if (n % MESSAGES_PER_TURN == 0) {
            (void)status_consume(fiber_yield(f)); /* a lost peer shows in is_gone */
        }
        (void)status_consume(conn_flush_some(f, c));
        if (c->is_paused && input_waiting(&c->in) < PIPELINE_BYTES_MAX / 2) {
            read_on(c);
        }
    }
}

/* Between statements: how long the client may stay silent. */
static void arm_idle_timer(struct conn *c)
{
    if (c->phase != PHASE_READY) {
        return; /* the login timer runs on */
    }
    struct status *why;
    uint64_t ms = session_idle_ms(c->session, &why);
    status_free(why);
    if (ms > 0) {
        timer_start(c->pg->loop, &c->timer, ms_to_ns(ms));
    }
}

static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    if (c->phase != PHASE_READY) {
        conn_terminate(c, status_sql(TIMEOUT, "57014", "canceling authentication due to timeout"));
        return;
    }
    struct status *why;
    session_idle_ms(c->session, &why);
    if (why != NULL) {
        conn_terminate(c, why);
    }
}

/* The end: only here a connection is freed. */
static void finish(struct fiber *f, struct conn *c)
{
    struct pgwire *pg = c->pg;
    timer_stop(&c->timer);
    fiber_cancel_clear(f);
    (void)fiber_set_deadline(f, 0);
    if (c->session != NULL) {
        session_close(f, c->session);
    }
    send_out(c);
    tcp_close(c->tcp);
    startup_free(c->startup);
    input_deinit(&c->in);
    buf_deinit(&c->out);
    buf_deinit(&c->held);
    list_unlink(&c->link);
    mem_free(c);
    pg->conn_count--;
    metric_add(pg->m_conns, -1);
    cond_broadcast(&pg->conn_ended);
}

static void conn_run(struct fiber *f, void *arg)
{
    struct conn *c = arg;
    c->fiber = f;
    datetime_set_now(loop_wall_us(c->pg->loop) - EPOCH_2000_US);
    work(f, c);
    if (c->is_gone || c->is_ending) {
        finish(f, c);
        return;
    }
    send_out(c);
    c->fiber = NULL;
    input_trim(&c->in, IDLE_BUFFER_BYTES);
    if (c->out.cap > IDLE_BUFFER_BYTES) {
        buf_deinit(&c->out);
    }
    read_on(c);
    arm_idle_timer(c);
}

void conn_terminate(struct conn *c, struct status *st)
{
    conn_fatal(c, st);
    if (c->fiber != NULL) {
        fiber_cancel(c->fiber);
    } else {
        start_fiber(c);
    }
}

/* ---- the beginning ---- */

void conn_accept(struct pgwire *pg, struct tcp *tcp)
{
    uint32_t most = router_config(pg->router)->sql_connections_max + SOCKETS_BEYOND_SESSIONS;
    metric_add(pg->m_accepted, 1);
    if (pg->is_closing || pg->conn_count >= most) {
        struct buf out = {0};
        struct status *st =
            pg->is_closing
                ? status_sql(UNAVAILABLE, "57P03", "the database system is shutting down")
                : status_sql(LIMIT, "53300", "sorry, too many clients already");
        put_error(&out, 'E', "FATAL", st);
        status_free(st);
        tcp_write(tcp, buf_slice(&out));
        buf_deinit(&out);
        tcp_close(tcp);
        metric_add(pg->m_refused, 1);
        return;
    }
    struct conn *c = MEM_NEW(struct conn);
    c->pg = pg;
    c->tcp = tcp;
    c->timer.fire = on_timer;
    query_init(c);
    list_push_back(&pg->conns, &c->link);
    pg->conn_count++;
    metric_add(pg->m_conns, 1);
    timer_start(pg->loop, &c->timer, ms_to_ns(LOGIN_TIMEOUT_MS));
    tcp_on_drain(tcp, OUT_PENDING_MAX, on_drain, c);
    tcp_start(tcp, on_read, on_closed, c);
}
