/*
 * The PostgreSQL front end against a scripted client on loopback and a fake session; and its
 * framing against arbitrary cuts and garbage.
 */
#include "base/loop_uv.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/tcp.h"
#include "fake_session.h"
#include "input.h"
#include "router/router.h"
#include "scram.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- a client: one socket, read message by message on the test's fiber ---- */

struct client {
    struct fiber *fiber;
    struct tcp *tcp;
    struct buf in;
    size_t at;
    struct buf out;
    bool is_closed;
    bool is_waiting;
    uint32_t pid, key;
};

struct answer {
    char type;
    struct slice body;
};

static struct loop *loop;
static struct router *router;
static struct pgwire *pg;
static void (*script)(struct fiber *f);

static void client_wake(struct client *cl)
{
    if (cl->is_waiting) {
        cl->is_waiting = false;
        fiber_wake(cl->fiber);
    }
}

static void client_connected(void *ctx, struct status *st, struct tcp *tcp)
{
    struct client *cl = ctx;
    assert_null(st);
    cl->tcp = tcp;
    client_wake(cl);
}

static void client_read(void *ctx, struct slice bytes)
{
    struct client *cl = ctx;
    buf_put(&cl->in, bytes.data, bytes.len);
    client_wake(cl);
}

static void client_closed(void *ctx, struct status *st)
{
    struct client *cl = ctx;
    status_free(st);
    cl->is_closed = true;
    client_wake(cl);
}

static void client_wait(struct client *cl)
{
    cl->is_waiting = true;
    assert_null(fiber_park(cl->fiber));
}

static struct client *client_open(struct fiber *f)
{
    struct client *cl = MEM_NEW(struct client);
    cl->fiber = f;
    tcp_connect(loop, "127.0.0.1", pgwire_port(pg), ms_to_ns(5000), client_connected, cl);
    client_wait(cl);
    tcp_start(cl->tcp, client_read, client_closed, cl);
    return cl;
}

static void client_free(struct client *cl)
{
    tcp_close(cl->tcp);
    buf_deinit(&cl->in);
    buf_deinit(&cl->out);
    mem_free(cl);
}

static void client_flush(struct client *cl)
{
    tcp_write(cl->tcp, buf_slice(&cl->out));
    buf_clear(&cl->out);
}

static size_t begin(struct client *cl, char type)
{
    buf_put_u8(&cl->out, (uint8_t)type);
    buf_put_u32(&cl->out, 0);
    return cl->out.len - 4;
}

static void end(struct client *cl, size_t at)
{
    set_u32(cl->out.data + at, (uint32_t)(cl->out.len - at));
}

static void put(struct client *cl, char type, const char *text)
{
    size_t at = begin(cl, type);
    if (text != NULL) {
        buf_put_cstr(&cl->out, text);
    }
    end(cl, at);
}

static void query(struct client *cl, const char *sql)
{
    put(cl, 'Q', sql);
    client_flush(cl);
}

static void wait_for(struct client *cl, size_t n)
{
    while (cl->in.len - cl->at < n) {
        assert_false(cl->is_closed);
        client_wait(cl);
    }
}

static struct answer next(struct client *cl)
{
    wait_for(cl, 5);
    uint32_t len = get_u32(cl->in.data + cl->at + 1);
    wait_for(cl, len + 1);
    struct answer a = {.type = (char)cl->in.data[cl->at],
                       .body = slice_make(cl->in.data + cl->at + 5, len - 4)};
    cl->at += len + 1;
    return a;
}

static struct answer expect(struct client *cl, char type)
{
    struct answer a = next(cl);
    if (a.type != type) {
        printf("expected %c, got %c: %.*s\n", type, a.type, (int)a.body.len,
               (const char *)a.body.data);
    }
    assert_int_equal(a.type, type);
    return a;
}

/* A row of answer types, one letter each. */
static void expect_all(struct client *cl, const char *types)
{
    for (; *types != '\0'; types++) {
        (void)expect(cl, *types);
    }
}

static void expect_ready(struct client *cl, char status)
{
    struct answer a = expect(cl, 'Z');
    assert_int_equal(a.body.data[0], status);
}

static void expect_tag(struct client *cl, const char *tag)
{
    struct answer a = expect(cl, 'C');
    assert_string_equal((const char *)a.body.data, tag);
}

/* A field of an error, "" when absent. */
static const char *field(struct answer a, char code)
{
    struct reader r;
    reader_init(&r, a.body);
    for (;;) {
        char c = (char)read_u8(&r);
        if (c == 0 || !reader_ok(&r)) {
            return "";
        }
        const char *value = read_cstr(&r);
        if (c == code) {
            return value;
        }
    }
}

static void expect_error(struct client *cl, const char *severity, const char *sqlstate)
{
    struct answer a = expect(cl, 'E');
    assert_string_equal(field(a, 'C'), sqlstate);
    assert_string_equal(field(a, 'S'), severity);
    assert_string_equal(field(a, 'V'), severity);
}

static void expect_closed(struct client *cl)
{
    while (!cl->is_closed) {
        client_wait(cl);
    }
    assert_int_equal(cl->in.len, cl->at);
}

static void startup(struct client *cl, uint32_t version, const char *const *pairs)
{
    size_t at = cl->out.len;
    buf_put_u32(&cl->out, 0);
    buf_put_u32(&cl->out, version);
    for (; *pairs != NULL; pairs++) {
        buf_put_cstr(&cl->out, *pairs);
    }
    buf_put_u8(&cl->out, 0);
    set_u32(cl->out.data + at, (uint32_t)(cl->out.len - at));
    client_flush(cl);
}

static void expect_logged_in(struct client *cl)
{
    struct answer a = expect(cl, 'R');
    assert_int_equal(get_u32(a.body.data), 0);
    bool version = false;
    for (a = next(cl); a.type == 'S'; a = next(cl)) {
        version = version || strcmp((const char *)a.body.data, "server_version") == 0;
    }
    assert_true(version);
    assert_int_equal(a.type, 'K');
    cl->pid = get_u32(a.body.data);
    cl->key = get_u32(a.body.data + 4);
    expect_ready(cl, 'I');
}

static struct client *login(struct fiber *f)
{
    static const char *const pairs[] = {"user", "u", "database", "d", NULL};
    struct client *cl = client_open(f);
    startup(cl, 196608, pairs);
    expect_logged_in(cl);
    return cl;
}

static void logout(struct client *cl)
{
    put(cl, 'X', NULL);
    client_flush(cl);
    expect_closed(cl);
    client_free(cl);
}

/* ---- running a script ---- */

static void run_fiber(struct fiber *f, void *arg)
{
    (void)arg;
    script(f);
    pgwire_destroy(f, pg);
    assert_int_equal(fake_counts.open, fake_counts.closed);
    loop_uv_stop(loop);
}

static void run_script(void (*fn)(struct fiber *f))
{
    memset(&fake_counts, 0, sizeof fake_counts);
    fake_config.sql_connections_max = 3;
    fake_config.statement_mb = 1;
    fake_config.auth = (char *)(uintptr_t) "trust";
    snprintf(fake_idle_timeout, sizeof fake_idle_timeout, "0");
    loop = loop_uv_create();
    router = fake_router(loop);
    assert_null(pgwire_create(router, "127.0.0.1", 0, &pg));
    script = fn;
    fiber_spawn(loop, FIBER_STACK_LARGE, run_fiber, NULL);
    loop_uv_run(loop);
    loop_uv_destroy(loop);
}

#define SCRIPT(name)                                                                               \
    static void name##_script(struct fiber *f);                                                    \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        run_script(name##_script);                                                                 \
    }                                                                                              \
    static void name##_script(struct fiber *f)

/* ---- login ---- */

SCRIPT(login_refuses_ssl_and_gss_then_goes_on)
{
    static const uint8_t ssl[] = {0, 0, 0, 8, 4, 210, 22, 47}, gss[] = {0, 0, 0, 8, 4, 210, 22, 48};
    static const char *const pairs[] = {
        "user", "u", "application_name", "t", "options", "-c a=b --c-d=e\\ f", NULL};
    struct client *cl = client_open(f);
    tcp_write(cl->tcp, slice_make(gss, 8));
    wait_for(cl, 1);
    assert_int_equal(cl->in.data[cl->at++], 'N');
    tcp_write(cl->tcp, slice_make(ssl, 8));
    wait_for(cl, 1);
    assert_int_equal(cl->in.data[cl->at++], 'N');
    startup(cl, 196608, pairs);
    expect_logged_in(cl);
    logout(cl);
}

SCRIPT(bytes_sent_behind_an_ssl_request_are_refused)
{
    static const uint8_t bytes[] = {0, 0, 0, 8, 4, 210, 22, 47, 1};
    struct client *cl = client_open(f);
    tcp_write(cl->tcp, slice_make(bytes, sizeof bytes));
    expect_error(cl, "FATAL", "08P01");
    expect_closed(cl);
    client_free(cl);
}

SCRIPT(newer_minor_version_is_negotiated)
{
    static const char *const pairs[] = {"user", "u", "_pq_.shiny", "1", NULL};
    struct client *cl = client_open(f);
    startup(cl, 196610, pairs);
    struct answer a = expect(cl, 'v');
    assert_int_equal(get_u32(a.body.data), 0);
    assert_int_equal(get_u32(a.body.data + 4), 1);
    assert_string_equal((const char *)a.body.data + 8, "_pq_.shiny");
    expect_logged_in(cl);
    logout(cl);
}

SCRIPT(bad_logins_are_fatal)
{
    static const char *const nobody[] = {"database", "d", NULL};
    static const char *const nodb[] = {"user", "u", "database", "nodb", NULL};
    static const char *const setting[] = {"user", "u", "unknown_setting", "1", NULL};
    static const char *const replication[] = {"user", "u", "replication", "true", NULL};
    static const char *const options[] = {"user", "u", "options", "-x", NULL};
    static const struct {
        uint32_t version;
        const char *const *pairs;
        const char *sqlstate;
    } cases[] = {{131072, nobody, "0A000"},      {196608, nobody, "28000"},
                 {196608, nodb, "3D000"},        {196608, setting, "42704"},
                 {196608, replication, "0A000"}, {196608, options, "42601"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct client *cl = client_open(f);
        startup(cl, cases[i].version, cases[i].pairs);
        expect_error(cl, "FATAL", cases[i].sqlstate);
        expect_closed(cl);
        client_free(cl);
    }
    /* A length no startup packet has. */
    struct client *cl = client_open(f);
    tcp_write(cl->tcp, slice_str("GET / HTTP/1.1\r\n\r\n"));
    expect_error(cl, "FATAL", "08P01");
    expect_closed(cl);
    client_free(cl);
}

SCRIPT(a_driver_with_its_own_time_zone_is_warned_and_let_in)
{
    static const char *const pairs[] = {"user", "u", "TimeZone", "Europe/Berlin", NULL};
    struct client *cl = client_open(f);
    startup(cl, 196608, pairs);
    expect(cl, 'R');
    struct answer a = expect(cl, 'N');
    assert_string_equal(field(a, 'S'), "WARNING");
    while (a.type != 'Z') {
        a = next(cl);
    }
    logout(cl);
}

SCRIPT(connections_beyond_the_limit_are_refused)
{
    static const char *const pairs[] = {"user", "u", NULL};
    struct client *some[3];
    for (int i = 0; i < 3; i++) {
        some[i] = login(f);
    }
    struct client *cl = client_open(f);
    startup(cl, 196608, pairs);
    expect_error(cl, "FATAL", "53300");
    expect_closed(cl);
    client_free(cl);
    for (int i = 0; i < 3; i++) {
        logout(some[i]);
    }
}

/* ---- simple queries ---- */

SCRIPT(simple_query_sends_columns_rows_tag_and_state)
{
    struct client *cl = login(f);
    query(cl, "rows 2");
    struct answer a = expect(cl, 'T');
    static const uint8_t columns[] = {
        0, 2,   'i', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  23,   0,    4,    0xff, 0xff, 0xff, 0xff, 0,
        0, 't', 0,   0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,    0};
    assert_true(slice_eq(a.body, slice_make(columns, sizeof columns)));
    a = expect(cl, 'D');
    static const uint8_t row[] = {0, 2, 0, 0, 0, 1, '0', 0, 0, 0, 5, 'r', 'o', 'w', ' ', '0'};
    assert_true(slice_eq(a.body, slice_make(row, sizeof row)));
    expect(cl, 'D');
    expect_tag(cl, "SELECT 2");
    expect_ready(cl, 'I');
    query(cl, "");
    expect(cl, 'I');
    expect_ready(cl, 'I');
    query(cl, "notice; set; rows 1");
    a = expect(cl, 'N');
    assert_string_equal(field(a, 'S'), "WARNING");
    expect_tag(cl, "NOTICE");
    expect(cl, 'S');
    expect_tag(cl, "SET");
    expect_all(cl, "TDC");
    expect_ready(cl, 'I');
    logout(cl);
}

SCRIPT(errors_carry_their_fields_and_the_state_follows)
{
    struct client *cl = login(f);
    query(cl, "fail");
    struct answer a = expect(cl, 'E');
    assert_string_equal(field(a, 'C'), "42601");
    assert_string_equal(field(a, 'M'), "syntax error at or near \"fail\"");
    assert_string_equal(field(a, 'D'), "A detail.");
    assert_string_equal(field(a, 'H'), "A hint.");
    assert_string_equal(field(a, 'P'), "3");
    expect_ready(cl, 'I');
    query(cl, "begin");
    expect_tag(cl, "BEGIN");
    expect_ready(cl, 'T');
    query(cl, "rows 1; fail; rows 1");
    expect_all(cl, "TDC");
    expect_error(cl, "ERROR", "42601");
    expect_ready(cl, 'E');
    query(cl, "rows 1");
    expect_error(cl, "ERROR", "25P02");
    expect_ready(cl, 'E');
    query(cl, "commit");
    expect_tag(cl, "COMMIT");
    expect_ready(cl, 'I');
    query(cl, "bad \xff utf8");
    expect_error(cl, "ERROR", "22021");
    expect_ready(cl, 'I');
    assert_int_equal(fake_counts.failed, 4);
    logout(cl);
}

SCRIPT(results_larger_than_every_buffer_arrive_whole)
{
    struct client *cl = login(f);
    query(cl, "big 20000");
    expect(cl, 'T');
    for (int i = 0; i < 20000; i++) {
        struct answer a = expect(cl, 'D');
        assert_int_equal(get_u32(a.body.data + 2 + 4 + get_u32(a.body.data + 2)), 1000);
        if (cl->at > 1 << 20) { /* the test's own memory */
            memmove(cl->in.data, cl->in.data + cl->at, cl->in.len - cl->at);
            cl->in.len -= cl->at;
            cl->at = 0;
        }
    }
    expect_tag(cl, "SELECT 20000");
    expect_ready(cl, 'I');
    logout(cl);
}

SCRIPT(a_client_that_does_not_read_makes_the_statement_wait)
{
    struct client *cl = login(f), *other = login(f);
    tcp_pause(cl->tcp);
    query(cl, "big 60000"); /* more than the kernel's buffers take */
    for (int i = 0; i < 20; i++) {
        query(other, "rows 1");
        expect_all(other, "TDC");
        expect_ready(other, 'I');
    }
    tcp_resume(cl->tcp);
    expect(cl, 'T');
    for (int i = 0; i < 60000; i++) {
        expect(cl, 'D');
        if (cl->at > 1 << 20) {
            memmove(cl->in.data, cl->in.data + cl->at, cl->in.len - cl->at);
            cl->in.len -= cl->at;
            cl->at = 0;
        }
    }
    expect_all(cl, "CZ");
    logout(cl);
    logout(other);
}

/* ---- extended protocol ---- */

static void put_parse(struct client *cl, const char *name, const char *sql)
{
    size_t at = begin(cl, 'P');
    buf_put_cstr(&cl->out, name);
    buf_put_cstr(&cl->out, sql);
    buf_put_u16(&cl->out, 0);
    end(cl, at);
}

/* One int4 and one text parameter, in text (0) or binary (1). */
static void put_bind(struct client *cl, const char *portal, const char *name, int nparams,
                     uint16_t format, uint16_t result_format)
{
    size_t at = begin(cl, 'B');
    buf_put_cstr(&cl->out, portal);
    buf_put_cstr(&cl->out, name);
    buf_put_u16(&cl->out, 1);
    buf_put_u16(&cl->out, format);
    buf_put_u16(&cl->out, (uint16_t)nparams);
    for (int i = 0; i < nparams; i++) {
        if (i % 2 == 0 && format == 1) {
            buf_put_u32(&cl->out, 4);
            buf_put_u32(&cl->out, 42);
        } else if (i % 2 == 0) {
            buf_put_u32(&cl->out, 2);
            buf_put(&cl->out, "42", 2);
        } else {
            buf_put_u32(&cl->out, 3);
            buf_put(&cl->out, "abc", 3);
        }
    }
    buf_put_u16(&cl->out, 1);
    buf_put_u16(&cl->out, result_format);
    end(cl, at);
}

static void put_named(struct client *cl, char type, char what, const char *name)
{
    size_t at = begin(cl, type);
    buf_put_u8(&cl->out, (uint8_t)what);
    buf_put_cstr(&cl->out, name);
    end(cl, at);
}

static void put_execute(struct client *cl, const char *portal, uint32_t max_rows)
{
    size_t at = begin(cl, 'E');
    buf_put_cstr(&cl->out, portal);
    buf_put_u32(&cl->out, max_rows);
    end(cl, at);
}

SCRIPT(prepared_statements_take_and_give_text_and_binary)
{
    struct client *cl = login(f);
    for (uint16_t format = 0; format < 2; format++) {
        put_parse(cl, "s1", "echo $1 $2");
        put_named(cl, 'D', 'S', "s1");
        put_bind(cl, "", "s1", 2, format, format);
        put_named(cl, 'D', 'P', "");
        put_execute(cl, "", 0);
        put(cl, 'S', NULL);
        client_flush(cl);
        expect(cl, '1');
        struct answer a = expect(cl, 't');
        assert_true(slice_eq(a.body, slice_make("\0\2\0\0\0\x17\0\0\0\x19", 10)));
        expect_all(cl, "T2");
        a = expect(cl, 'T');
        assert_int_equal(a.body.data[a.body.len - 1], format);
        a = expect(cl, 'D');
        if (format == 0) {
            assert_true(slice_eq(a.body, slice_make("\0\2\0\0\0\2"
                                                    "42"
                                                    "\0\0\0\3"
                                                    "abc",
                                                    15)));
        } else {
            assert_true(slice_eq(a.body, slice_make("\0\2\0\0\0\4\0\0\0\x2a\0\0\0\3"
                                                    "abc",
                                                    17)));
        }
        expect_tag(cl, "SELECT 1");
        expect_ready(cl, 'I');
    }
    assert_int_equal(fake_counts.expected_sync, 2);
    put_named(cl, 'C', 'S', "s1");
    put_named(cl, 'D', 'S', "s1");
    put(cl, 'S', NULL);
    client_flush(cl);
    expect(cl, '3');
    expect_error(cl, "ERROR", "26000");
    expect_ready(cl, 'I');
    logout(cl);
}

SCRIPT(row_limits_suspend_the_portal)
{
    struct client *cl = login(f);
    put_parse(cl, "", "rows 5");
    put_bind(cl, "p", "", 0, 0, 0);
    put_execute(cl, "p", 2);
    put_execute(cl, "p", 2);
    put_execute(cl, "p", 2);
    put(cl, 'S', NULL);
    client_flush(cl);
    expect_all(cl, "12DDsDDsDCZ");
    logout(cl);
}

SCRIPT(after_an_error_everything_up_to_sync_is_skipped)
{
    struct client *cl = login(f);
    put_parse(cl, "", "rows 1");
    put_bind(cl, "", "nosuch", 0, 0, 0);
    put_execute(cl, "", 0);
    put_parse(cl, "", "fail");
    put(cl, 'H', NULL);
    put(cl, 'S', NULL);
    put_parse(cl, "", "rows 1");
    put_bind(cl, "", "", 0, 0, 0);
    put_execute(cl, "", 0);
    put(cl, 'S', NULL);
    client_flush(cl);
    expect(cl, '1');
    expect_error(cl, "ERROR", "26000");
    expect_ready(cl, 'I');
    expect_all(cl, "12DCZ");
    /* Too few parameters, a bad value, a bad format code. */
    put_parse(cl, "", "echo $1 $2");
    put_bind(cl, "", "", 1, 0, 0);
    put(cl, 'S', NULL);
    put_bind(cl, "", "", 2, 7, 0);
    put(cl, 'S', NULL);
    put_bind(cl, "", "", 2, 0, 9);
    put(cl, 'S', NULL);
    put_execute(cl, "gone", 0);
    put(cl, 'S', NULL);
    client_flush(cl);
    expect(cl, '1');
    expect_error(cl, "ERROR", "08P01");
    expect(cl, 'Z');
    expect_error(cl, "ERROR", "22023");
    expect(cl, 'Z');
    expect_error(cl, "ERROR", "22023");
    expect(cl, 'Z');
    expect_error(cl, "ERROR", "34000");
    expect(cl, 'Z');
    assert_int_equal(fake_counts.synced, 6);
    logout(cl);
}

SCRIPT(flush_brings_answers_before_sync)
{
    struct client *cl = login(f);
    put_parse(cl, "", "rows 1");
    put(cl, 'H', NULL);
    client_flush(cl);
    expect(cl, '1');
    put(cl, 'S', NULL);
    client_flush(cl);
    expect(cl, 'Z');
    logout(cl);
}

SCRIPT(a_pipeline_of_thousands_is_answered_in_order)
{
    struct client *cl = login(f);
    for (int i = 0; i < 20000; i++) {
        put_parse(cl, "", "echo $1 $2");
        put_bind(cl, "", "", 2, 0, 0);
        put_execute(cl, "", 0);
        put(cl, 'S', NULL);
    }
    client_flush(cl);
    for (int i = 0; i < 20000; i++) {
        expect_all(cl, "12DCZ");
    }
    logout(cl);
}

/* ---- COPY ---- */

SCRIPT(copy_reads_data_from_the_client)
{
    struct client *cl = login(f);
    query(cl, "copyin; rows 1");
    expect(cl, 'G');
    for (int i = 0; i < 1000; i++) {
        put(cl, 'd', "0123456789");
        if (i % 100 == 0) {
            client_flush(cl);
        }
    }
    put(cl, 'c', NULL);
    client_flush(cl);
    expect_tag(cl, "COPY 11000");
    expect_all(cl, "TDC");
    expect_ready(cl, 'I');
    query(cl, "copyin");
    expect(cl, 'G');
    put(cl, 'f', "changed my mind");
    client_flush(cl);
    struct answer a = expect(cl, 'E');
    assert_string_equal(field(a, 'C'), "57014");
    assert_string_equal(field(a, 'M'), "COPY from stdin failed: changed my mind");
    expect_ready(cl, 'I');
    logout(cl);
}

SCRIPT(data_of_a_copy_that_has_failed_is_ignored)
{
    struct client *cl = login(f);
    put(cl, 'Q', "copybad");
    for (int i = 0; i < 10; i++) {
        put(cl, 'd', "bad");
    }
    put(cl, 'c', NULL);
    put(cl, 'Q', "rows 1");
    client_flush(cl);
    expect(cl, 'G');
    expect_error(cl, "ERROR", "22P04");
    expect_ready(cl, 'I');
    expect_all(cl, "TDCZ");
    logout(cl);
}

SCRIPT(copy_out_sends_lines)
{
    struct client *cl = login(f);
    query(cl, "copyout");
    expect(cl, 'H');
    struct answer a = expect(cl, 'd');
    assert_true(slice_eq(a.body, slice_str("1\ta\n")));
    expect_all(cl, "dcCZ");
    logout(cl);
}

SCRIPT(another_message_during_copy_ends_the_connection)
{
    struct client *cl = login(f);
    query(cl, "copyin");
    expect(cl, 'G');
    query(cl, "rows 1");
    expect_error(cl, "FATAL", "08P01");
    expect_closed(cl);
    client_free(cl);
}

/* ---- cancel, limits, the end ---- */

static void cancel(struct fiber *f, uint32_t pid, uint32_t key)
{
    struct client *cl = client_open(f);
    uint8_t bytes[16];
    set_u32(bytes, 16);
    set_u32(bytes + 4, 80877102);
    set_u32(bytes + 8, pid);
    set_u32(bytes + 12, key);
    tcp_write(cl->tcp, slice_make(bytes, 16));
    expect_closed(cl);
    client_free(cl);
}

SCRIPT(cancel_needs_the_right_key)
{
    struct client *cl = login(f);
    query(cl, "park");
    cancel(f, cl->pid, cl->key + 1);
    assert_int_equal(fake_counts.cancelled, 0);
    cancel(f, cl->pid + 1, cl->key);
    assert_int_equal(fake_counts.cancelled, 0);
    cancel(f, cl->pid, cl->key);
    assert_int_equal(fake_counts.cancelled, 1);
    expect_error(cl, "ERROR", "57014");
    expect_ready(cl, 'I');
    logout(cl);
}

SCRIPT(a_message_above_the_limit_is_an_error_and_the_connection_lives)
{
    struct client *cl = login(f);
    size_t big = (size_t)3 << 20;
    uint8_t *bytes = mem_zalloc(big);
    memset(bytes, 'x', big - 1);
    size_t at = begin(cl, 'Q');
    buf_put(&cl->out, bytes, big);
    end(cl, at);
    put(cl, 'Q', "rows 1");
    client_flush(cl);
    expect_error(cl, "ERROR", "54000");
    expect_ready(cl, 'I');
    expect_all(cl, "TDCZ");
    at = begin(cl, 'P');
    buf_put(&cl->out, bytes, big);
    end(cl, at);
    put_execute(cl, "", 0);
    put(cl, 'S', NULL);
    client_flush(cl);
    expect_error(cl, "ERROR", "54000");
    expect_ready(cl, 'I');
    mem_free(bytes);
    logout(cl);
}

SCRIPT(unknown_messages_and_lengths_are_fatal)
{
    static const uint8_t bad_length[] = {'Q', 0, 0, 0, 3}, huge[] = {'Q', 0xff, 0xff, 0xff, 0xff};
    struct client *cl = login(f);
    put(cl, '!', NULL);
    client_flush(cl);
    expect_error(cl, "FATAL", "08P01");
    expect_closed(cl);
    client_free(cl);
    for (int i = 0; i < 2; i++) {
        cl = login(f);
        tcp_write(cl->tcp, slice_make(i == 0 ? bad_length : huge, 5));
        expect_error(cl, "FATAL", "08P01");
        expect_closed(cl);
        client_free(cl);
    }
}

SCRIPT(a_lost_client_ends_its_statement_and_session)
{
    struct client *cl = login(f), *other = login(f);
    query(cl, "park");
    query(other, "rows 1"); /* answered after cl's query has begun */
    expect_all(other, "TDCZ");
    client_free(cl);
    while (fake_counts.closed == 0) {
        query(other, "rows 1");
        expect_all(other, "TDCZ");
    }
    logout(other);
}

SCRIPT(shutdown_tells_every_client)
{
    struct client *idle = login(f), *busy = login(f);
    query(busy, "park");
    query(idle, "rows 1");
    expect_all(idle, "TDCZ");
    pgwire_destroy(f, pg);
    assert_int_equal(fake_counts.closed, 2);
    expect_error(idle, "FATAL", "57P01");
    expect_closed(idle);
    expect_error(busy, "FATAL", "57P01");
    expect_closed(busy);
    client_free(idle);
    client_free(busy);
    assert_null(pgwire_create(router, "127.0.0.1", 0, &pg));
}

SCRIPT(silence_in_a_transaction_ends_the_connection)
{
    snprintf(fake_idle_timeout, sizeof fake_idle_timeout, "20ms");
    struct client *cl = login(f);
    query(cl, "begin");
    expect_tag(cl, "BEGIN");
    expect_ready(cl, 'T');
    expect_error(cl, "FATAL", "25P03");
    expect_closed(cl);
    client_free(cl);
}

/* ---- SCRAM ---- */

static void put_base64(struct buf *out, const uint8_t *p, size_t len)
{
    uint8_t text[256];
    int n = EVP_EncodeBlock(text, p, (int)len);
    buf_put(out, text, (size_t)n);
}

/* RFC 5802, section 3, on the client's side. */
static void client_final(const char *password, struct slice server_first, const char *first_bare,
                         struct buf *out)
{
    char nonce[128], salt64[128];
    int iterations;
    char *text = mem_strndup(server_first.data, server_first.len);
    assert_int_equal(sscanf(text, "r=%127[^,],s=%127[^,],i=%d", nonce, salt64, &iterations), 3);
    uint8_t salt[128], salted[32], client_key[32], stored[32], signature[32];
    int salt_len = EVP_DecodeBlock(salt, (uint8_t *)salt64, (int)strlen(salt64));
    salt_len -= (salt64[strlen(salt64) - 1] == '=') + (salt64[strlen(salt64) - 2] == '=');
    PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, salt_len, iterations, EVP_sha256(), 32,
                      salted);
    unsigned len = 32;
    HMAC(EVP_sha256(), salted, 32, (const uint8_t *)"Client Key", 10, client_key, &len);
    SHA256(client_key, 32, stored);
    struct buf auth = {0};
    buf_printf(&auth, "%s,%s,c=biws,r=%s", first_bare, text, nonce);
    HMAC(EVP_sha256(), stored, 32, auth.data, auth.len, signature, &len);
    for (int i = 0; i < 32; i++) {
        client_key[i] ^= signature[i];
    }
    buf_printf(out, "c=biws,r=%s,p=", nonce);
    put_base64(out, client_key, 32);
    buf_deinit(&auth);
    mem_free(text);
}

/* Goes through the exchange up to the answer to the proof. */
static struct client *scram_login(struct fiber *f, const char *user, const char *password)
{
    static const char bare[] = "n=,r=clientnonce";
    const char *pairs[] = {"user", user, NULL};
    struct client *cl = client_open(f);
    startup(cl, 196608, pairs);
    struct answer a = expect(cl, 'R');
    assert_int_equal(get_u32(a.body.data), 10);
    assert_string_equal((const char *)a.body.data + 4, "SCRAM-SHA-256");
    size_t at = begin(cl, 'p');
    buf_put_cstr(&cl->out, "SCRAM-SHA-256");
    buf_put_u32(&cl->out, (uint32_t)strlen(bare) + 3);
    buf_put(&cl->out, "n,,", 3);
    buf_put(&cl->out, bare, strlen(bare));
    end(cl, at);
    client_flush(cl);
    a = expect(cl, 'R');
    assert_int_equal(get_u32(a.body.data), 11);
    at = begin(cl, 'p');
    client_final(password, slice_make(a.body.data + 4, a.body.len - 4), bare, &cl->out);
    end(cl, at);
    client_flush(cl);
    return cl;
}

SCRIPT(scram_lets_in_who_knows_the_password)
{
    struct buf verifier = {0};
    scram_make_verifier(slice_str("secret"), &verifier);
    buf_put_u8(&verifier, 0);
    fake_verifier = (const char *)verifier.data;
    fake_config.auth = (char *)(uintptr_t) "scram";
    struct client *cl = scram_login(f, "scram", "secret");
    struct answer a = expect(cl, 'R');
    assert_int_equal(get_u32(a.body.data), 12);
    expect_logged_in(cl);
    logout(cl);
    cl = scram_login(f, "scram", "wrong");
    expect_error(cl, "FATAL", "28P01");
    expect_closed(cl);
    client_free(cl);
    cl = scram_login(f, "nobody", "secret");
    expect_error(cl, "FATAL", "28P01");
    expect_closed(cl);
    client_free(cl);
    fake_verifier = NULL;
    buf_deinit(&verifier);
}

/* The example of RFC 7677, whose keys are those of user "user", password "pencil". */
static void scram_verifier_of_the_rfc_is_understood(void **state)
{
    (void)state;
    struct scram *s = scram_create("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                   "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                   "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
                                   slice_str("user"));
    struct buf first = {0}, final = {0}, proof = {0};
    bool ok = false;
    assert_null(scram_first(s, slice_str("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"), &first));
    client_final("pencil", buf_slice(&first), "n=user,r=rOprNGfwEbeRWgbNEkqO", &proof);
    assert_null(scram_final(s, buf_slice(&proof), &final, &ok));
    assert_true(ok);
    buf_deinit(&first);
    buf_deinit(&final);
    buf_deinit(&proof);
    scram_destroy(s);
}

/* The same verifier against a password in clear. */
static void a_verifier_knows_its_password(void **state)
{
    (void)state;
    static const char verifier[] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                   "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                   "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_true(scram_is_verifier(verifier));
    assert_true(scram_check_password(verifier, slice_str("pencil")));
    assert_false(scram_check_password(verifier, slice_str("pencils")));
    assert_false(scram_check_password(verifier, slice_str("")));
    assert_false(scram_check_password(verifier, slice_str(verifier)));
    assert_false(scram_check_password("", slice_str("")));
    char cut[sizeof(verifier)];
    for (size_t n = 0; n < sizeof(verifier) - 1; n++) {
        memcpy(cut, verifier, n);
        cut[n] = '\0';
        assert_false(scram_is_verifier(cut));
        assert_false(scram_check_password(cut, slice_str("pencil")));
    }
}

/* ---- framing ---- */

static void frames_come_out_whole_however_they_are_cut(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int round = 0; round < 300; round++) {
        struct buf stream = {0};
        size_t sizes[30];
        for (int i = 0; i < 30; i++) {
            sizes[i] = rng_below(&r, 5) == 0 ? rng_below(&r, 5000) : rng_below(&r, 20);
            buf_put_u8(&stream, (uint8_t)('a' + i));
            buf_put_u32(&stream, (uint32_t)sizes[i] + 4);
            memset(buf_extend(&stream, sizes[i]), 'a' + i, sizes[i]);
        }
        struct input in = {.is_typed = true};
        size_t limit = 2000, sent = 0;
        int got = 0;
        while (got < 30) {
            struct message m;
            if (rng_below(&r, 2) || !input_is_ready(&in, limit)) {
                size_t n = rng_below(&r, 700);
                n = n < stream.len - sent ? n : stream.len - sent;
                input_add(&in, slice_make(stream.data + sent, n), rng_below(&r, 2));
                sent += n;
                continue;
            }
            uint8_t peeked = input_peek(&in);
            enum input_result res = input_next(&in, limit, &m);
            assert_int_equal(m.type, 'a' + got);
            assert_true(peeked == 0 || peeked == m.type);
            if (sizes[got] + 5 > limit) {
                assert_int_equal(res, INPUT_TOO_LARGE);
            } else {
                assert_int_equal(res, INPUT_MESSAGE);
                assert_int_equal(m.body.len, sizes[got]);
                for (size_t i = 0; i < m.body.len; i++) {
                    assert_int_equal(m.body.data[i], m.type);
                }
            }
            if (rng_below(&r, 10) == 0) {
                struct buf held;
                input_detach(&in, &held);
                buf_deinit(&held);
            }
            got++;
        }
        assert_int_equal(input_waiting(&in), 0);
        input_trim(&in, 0);
        input_deinit(&in);
        buf_deinit(&stream);
    }
}

/* Random messages of all types with damaged bodies: an answer or a closed connection, never more.
 */
SCRIPT(garbage_messages_do_no_harm)
{
    static const char types[] = "QPBDECSHdcfp";
    struct rng r;
    rng_seed(&r, 7);
    for (int i = 0; i < 1500; i++) {
        struct client *cl = login(f);
        for (int k = 0; k < 5; k++) {
            size_t at = begin(cl, types[rng_below(&r, sizeof types - 1)]);
            size_t n = rng_below(&r, 30);
            for (size_t b = 0; b < n; b++) {
                buf_put_u8(&cl->out, rng_below(&r, 2) ? 0 : (uint8_t)rng_below(&r, 256));
            }
            end(cl, at);
        }
        put(cl, 'X', NULL);
        client_flush(cl);
        while (!cl->is_closed) {
            client_wait(cl);
        }
        client_free(cl);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_out_whole_however_they_are_cut),
        cmocka_unit_test(scram_verifier_of_the_rfc_is_understood),
        cmocka_unit_test(a_verifier_knows_its_password),
        cmocka_unit_test(login_refuses_ssl_and_gss_then_goes_on),
        cmocka_unit_test(bytes_sent_behind_an_ssl_request_are_refused),
        cmocka_unit_test(newer_minor_version_is_negotiated),
        cmocka_unit_test(bad_logins_are_fatal),
        cmocka_unit_test(a_driver_with_its_own_time_zone_is_warned_and_let_in),
        cmocka_unit_test(connections_beyond_the_limit_are_refused),
        cmocka_unit_test(simple_query_sends_columns_rows_tag_and_state),
        cmocka_unit_test(errors_carry_their_fields_and_the_state_follows),
        cmocka_unit_test(results_larger_than_every_buffer_arrive_whole),
        cmocka_unit_test(a_client_that_does_not_read_makes_the_statement_wait),
        cmocka_unit_test(prepared_statements_take_and_give_text_and_binary),
        cmocka_unit_test(row_limits_suspend_the_portal),
        cmocka_unit_test(after_an_error_everything_up_to_sync_is_skipped),
        cmocka_unit_test(flush_brings_answers_before_sync),
        cmocka_unit_test(a_pipeline_of_thousands_is_answered_in_order),
        cmocka_unit_test(copy_reads_data_from_the_client),
        cmocka_unit_test(data_of_a_copy_that_has_failed_is_ignored),
        cmocka_unit_test(copy_out_sends_lines),
        cmocka_unit_test(another_message_during_copy_ends_the_connection),
        cmocka_unit_test(cancel_needs_the_right_key),
        cmocka_unit_test(a_message_above_the_limit_is_an_error_and_the_connection_lives),
        cmocka_unit_test(unknown_messages_and_lengths_are_fatal),
        cmocka_unit_test(a_lost_client_ends_its_statement_and_session),
        cmocka_unit_test(shutdown_tells_every_client),
        cmocka_unit_test(silence_in_a_transaction_ends_the_connection),
        cmocka_unit_test(scram_lets_in_who_knows_the_password),
        cmocka_unit_test(garbage_messages_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
