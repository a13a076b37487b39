/* TCP on loopback, any free port: echo, batching, back-pressure, ends and errors. */
#include "base/check.h"
#include "base/loop_uv.h"
#include "base/mem.h"
#include "base/tcp.h"

#include "base/buf.h"

#include "cmocka_all.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE = 3 << 20 };

struct world {
    struct loop *loop;
    struct tcp_listener *listener;
    struct tcp *server;
    struct tcp *client;
    struct buf server_got;
    struct buf client_got;
    size_t client_wants; /* stops the loop */
    bool does_echo;
    bool server_ended;
    bool client_ended;
    struct status *client_end;
    int drained;
    struct status *connect_error;
    bool is_connect_done;
};

static struct world w;

static void server_read(void *ctx, struct slice bytes)
{
    (void)ctx;
    buf_put_slice(&w.server_got, bytes);
    if (w.does_echo) {
        tcp_write(w.server, bytes);
    }
    if (w.client_wants == 0) {
        loop_uv_stop(w.loop);
    }
}

static void server_closed(void *ctx, struct status *st)
{
    (void)ctx;
    status_free(st);
    w.server_ended = true;
    tcp_close(w.server);
    w.server = NULL;
    loop_uv_stop(w.loop);
}

static void accepted(void *ctx, struct tcp *stream)
{
    (void)ctx;
    if (w.server != NULL) {
        tcp_close(w.server); /* of an attempt that was given up */
    }
    w.server = stream;
    tcp_start(stream, server_read, server_closed, NULL);
}

static void client_read(void *ctx, struct slice bytes)
{
    (void)ctx;
    buf_put_slice(&w.client_got, bytes);
    if (w.client_got.len >= w.client_wants) {
        loop_uv_stop(w.loop);
    }
}

static void client_closed(void *ctx, struct status *st)
{
    (void)ctx;
    w.client_ended = true;
    w.client_end = st;
    tcp_close(w.client);
    w.client = NULL;
    loop_uv_stop(w.loop);
}

static void connected(void *ctx, struct status *st, struct tcp *stream)
{
    (void)ctx;
    w.is_connect_done = true;
    w.connect_error = st;
    w.client = stream;
    if (stream != NULL) {
        tcp_start(stream, client_read, client_closed, NULL);
    }
    loop_uv_stop(w.loop);
}

static int set_up(void **state)
{
    (void)state;
    w = (struct world){.loop = loop_uv_create(), .does_echo = true};
    assert_ok(tcp_listen(w.loop, "127.0.0.1", 0, accepted, NULL, &w.listener));
    assert_int_not_equal(tcp_listener_port(w.listener), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (w.client != NULL) {
        tcp_close(w.client);
    }
    if (w.server != NULL) {
        tcp_close(w.server);
    }
    tcp_listener_close(w.listener);
    loop_uv_destroy(w.loop);
    buf_deinit(&w.server_got);
    buf_deinit(&w.client_got);
    status_free(w.client_end);
    status_free(w.connect_error);
    return 0;
}

static void join(const char *host)
{
    tcp_connect(w.loop, host, tcp_listener_port(w.listener), ms_to_ns(5000), connected, NULL);
    assert_false(w.is_connect_done); /* never from inside the call */
    loop_uv_run(w.loop);
    assert_true(w.is_connect_done);
    assert_ok(w.connect_error);
    assert_non_null(w.client);
}

static void what_is_sent_comes_back(void **state)
{
    (void)state;
    join("127.0.0.1");
    char expected[32];
    (void)snprintf(expected, sizeof(expected), "127.0.0.1:%u", tcp_listener_port(w.listener));
    assert_string_equal(tcp_peer(w.client), expected);
    tcp_write(w.client, slice_str("hello "));
    tcp_write_take(w.client, (uint8_t *)mem_strdup("my "), 3);
    tcp_write(w.client, slice_str("world"));
    assert_int_equal(tcp_pending(w.client), 14);
    w.client_wants = 14;
    loop_uv_run(w.loop);
    assert_true(slice_eq(buf_slice(&w.client_got), slice_str("hello my world")));
    assert_int_equal(tcp_pending(w.client), 0);
}

static void a_host_name_is_resolved(void **state)
{
    (void)state;
    join("localhost");
    tcp_write(w.client, slice_str("x"));
    w.client_wants = 1;
    loop_uv_run(w.loop);
}

static void drained(void *ctx)
{
    (void)ctx;
    w.drained++;
}

/* More than the socket buffers hold: partial writes, and the drain mark. */
static void large_writes_arrive_whole_and_drain(void **state)
{
    (void)state;
    join("127.0.0.1");
    uint8_t *data = mem_alloc(LARGE);
    for (size_t i = 0; i < LARGE; i++) {
        data[i] = (uint8_t)(i * 7 + i / 251);
    }
    tcp_on_drain(w.client, 1 << 20, drained, NULL);
    for (size_t at = 0; at < LARGE / 2; at += 1000) {
        size_t n = LARGE / 2 - at < 1000 ? LARGE / 2 - at : 1000;
        tcp_write(w.client, slice_make(data + at, n));
    }
    uint8_t *half = mem_alloc(LARGE - LARGE / 2);
    memcpy(half, data + LARGE / 2, LARGE - LARGE / 2);
    tcp_write_take(w.client, half, LARGE - LARGE / 2);
    assert_int_equal(tcp_pending(w.client), LARGE);
    w.client_wants = LARGE;
    loop_uv_run(w.loop);
    assert_int_equal(w.client_got.len, LARGE);
    assert_memory_equal(w.client_got.data, data, LARGE);
    assert_int_equal(w.drained, 1);
    mem_free(data);
}

static void the_other_side_hears_of_a_close_after_all_bytes(void **state)
{
    (void)state;
    join("127.0.0.1");
    uint8_t *data = mem_zalloc(LARGE);
    w.does_echo = false;
    w.client_wants = 1; /* do not stop at the server's reads */
    tcp_write_take(w.client, data, LARGE);
    tcp_close(w.client);
    w.client = NULL;
    while (!w.server_ended) {
        loop_uv_run(w.loop);
    }
    assert_int_equal(w.server_got.len, LARGE);
}

/* Half a close: the peer has said all it wants to say and still hears the answer. */
static void an_answer_after_the_peers_end_of_file_arrives(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(tcp_listener_port(w.listener))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(send(fd, "ping", 4, 0), 4);
    shutdown(fd, SHUT_WR);
    w.client_wants = 1;
    while (!w.server_ended) {
        loop_uv_run(w.loop);
    }
    char answer[8];
    assert_int_equal(recv(fd, answer, sizeof(answer), MSG_WAITALL), 4);
    close(fd);
}

static void write_more(struct timer *t)
{
    tcp_write(w.client, slice_str("more"));
    timer_start(w.loop, t, ms_to_ns(1));
}

/* The peer is gone and nobody reads: the second write learns of it. */
static void a_failed_write_is_told_once(void **state)
{
    (void)state;
    join("127.0.0.1");
    w.client_wants = 1;
    tcp_write(w.client, slice_str("x"));
    loop_uv_run(w.loop);
    tcp_close(w.server);
    w.server = NULL;
    tcp_pause(w.client);
    struct timer timer = {.fire = write_more};
    timer_start(w.loop, &timer, 0);
    loop_uv_run(w.loop);
    timer_stop(&timer);
    assert_true(w.client_ended);
    assert_true(status_is(w.client_end, STATUS_UNAVAILABLE));
}

static void paused_reading_keeps_the_bytes_for_later(void **state)
{
    (void)state;
    join("127.0.0.1");
    tcp_pause(w.client);
    tcp_write(w.client, slice_str("abc"));
    loop_uv_run(w.loop); /* until the server has read */
    assert_int_equal(w.server_got.len, 3);
    assert_int_equal(w.client_got.len, 0);
    w.client_wants = 3;
    tcp_resume(w.client);
    loop_uv_run(w.loop);
    assert_int_equal(w.client_got.len, 3);
}

static void a_port_in_use_and_a_bad_address_are_named(void **state)
{
    (void)state;
    struct tcp_listener *second = NULL;
    uint16_t port = tcp_listener_port(w.listener);
    struct status *st = tcp_listen(w.loop, "127.0.0.1", port, accepted, NULL, &second);
    assert_true(status_is(st, STATUS_INVALID));
    char number[8];
    (void)snprintf(number, sizeof(number), "%u", port);
    assert_non_null(strstr(st->message, number));
    assert_non_null(strstr(st->message, "127.0.0.1"));
    assert_non_null(st->hint);
    status_free(st);
    st = tcp_listen(w.loop, "no.such.host", 0, accepted, NULL, &second);
    assert_true(status_is(st, STATUS_INVALID));
    assert_non_null(strstr(st->message, "no.such.host"));
    status_free(st);
    st = tcp_listen(w.loop, "203.0.113.7", 0, accepted, NULL, &second);
    assert_true(status_is(st, STATUS_INVALID));
    status_free(st);
    assert_null(second);
}

static void a_refused_connection_is_told(void **state)
{
    (void)state;
    uint16_t port = tcp_listener_port(w.listener);
    tcp_listener_close(w.listener);
    w.listener = NULL;
    tcp_connect(w.loop, "127.0.0.1", port, ms_to_ns(5000), connected, NULL);
    loop_uv_run(w.loop);
    assert_true(status_is(w.connect_error, STATUS_UNAVAILABLE));
    assert_non_null(strstr(w.connect_error->message, "refused"));
}

static void a_cancelled_connect_tells_nothing(void **state)
{
    (void)state;
    struct tcp_connect *c =
        tcp_connect(w.loop, "127.0.0.1", tcp_listener_port(w.listener), 0, connected, NULL);
    tcp_connect_cancel(c);
    c = tcp_connect(w.loop, "localhost.invalid", 1, 0, connected, NULL);
    tcp_connect_cancel(c);
    join("127.0.0.1");
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_sent_comes_back),
        T(a_host_name_is_resolved),
        T(large_writes_arrive_whole_and_drain),
        T(the_other_side_hears_of_a_close_after_all_bytes),
        T(an_answer_after_the_peers_end_of_file_arrives),
        T(a_failed_write_is_told_once),
        T(paused_reading_keeps_the_bytes_for_later),
        T(a_port_in_use_and_a_bad_address_are_named),
        T(a_refused_connection_is_told),
        T(a_cancelled_connect_tells_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
