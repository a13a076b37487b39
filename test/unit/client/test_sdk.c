/* libsherd against a Sql service that answers by rule (fake_sql.h), over real sockets. */
#include "fake_sql.h"
#include "sherd.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct fake_sql *server;

static int setup(void **state)
{
    (void)state;
    server = fake_sql_start(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (server != NULL) {
        fake_sql_stop(server);
    }
    return 0;
}

#define OK(expr)                                                                                   \
    do {                                                                                           \
        sherd_error *e_ = (expr);                                                                  \
        if (e_ != NULL) {                                                                          \
            print_error("%s: %s\n", sherd_error_sqlstate(e_), sherd_error_message(e_));            \
        }                                                                                          \
        assert_null(e_);                                                                           \
    } while (0)

static void assert_fails(sherd_error *e, enum sherd_error_kind kind, const char *sqlstate)
{
    assert_non_null(e);
    if (strcmp(sherd_error_sqlstate(e), sqlstate) != 0) {
        print_error("%s: %s\n", sherd_error_sqlstate(e), sherd_error_message(e));
    }
    assert_string_equal(sherd_error_sqlstate(e), sqlstate);
    assert_int_equal(sherd_error_kind_of(e), kind);
    sherd_error_free(e);
}

static sherd_connection *open_at(uint16_t first, uint16_t second)
{
    char endpoints[64];
    if (second != 0) {
        (void)snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u, 127.0.0.1:%u", first, second);
    } else {
        (void)snprintf(endpoints, sizeof(endpoints), "127.0.0.1:%u", first);
    }
    struct sherd_options o = SHERD_OPTIONS_INIT;
    o.endpoints = endpoints;
    sherd_connection *c = NULL;
    OK(sherd_connect(&o, &c));
    return c;
}

static sherd_connection *open_one(void)
{
    return open_at(fake_sql_port(server), 0);
}

/* ---- statements ---- */

static void rows_columns_and_nulls_arrive(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    assert_string_equal(sherd_server_version(c), "fake 1");
    sherd_result *r = NULL;
    OK(sherd_execute(c, "SELECT 25", 0, NULL, &r));
    assert_int_equal(sherd_column_count(r), 2);
    assert_string_equal(sherd_column_name(r, 1), "c2");
    assert_int_equal(sherd_column_type(r, 0), 23);
    assert_null(sherd_tag(r));
    int n = 0;
    int has = 1;
    for (;;) {
        OK(sherd_next_row(r, &has));
        if (!has) {
            break;
        }
        assert_int_equal(atoi(sherd_value(r, 0, NULL)), n);
        size_t len = 99;
        const char *v = sherd_value(r, 1, &len);
        if (n % 7 == 6) {
            assert_null(v);
            assert_int_equal(len, 0);
        } else {
            assert_int_equal(len, strlen(v));
            assert_int_equal(strncmp(v, "row ", 4), 0);
        }
        n++;
    }
    assert_int_equal(n, 25);
    assert_string_equal(sherd_tag(r), "SELECT 25");
    assert_int_equal(sherd_row_count(r), 25);
    OK(sherd_next_row(r, &has));
    assert_int_equal(has, 0);
    OK(sherd_next_result(r, &has));
    assert_int_equal(has, 0);
    sherd_result_free(r);
    sherd_disconnect(c);
}

static void parameters_go_in_text_null_and_binary(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    sherd_result *r = NULL;
    const char *params[] = {"one", NULL, ""};
    OK(sherd_execute(c, "ECHO", 3, params, &r));
    int has = 0;
    OK(sherd_next_row(r, &has));
    assert_string_equal(sherd_value(r, 0, NULL), "one");
    assert_null(sherd_value(r, 1, NULL));
    assert_string_equal(sherd_value(r, 2, NULL), "");
    sherd_result_free(r);

    struct sherd_param bytes = {"a\0b", 3, 1};
    struct sherd_statement s = SHERD_STATEMENT_INIT;
    s.sql = "ECHO";
    s.params = &bytes;
    s.param_count = 1;
    OK(sherd_execute_statement(c, &s, &r));
    OK(sherd_next_row(r, &has));
    size_t len = 0;
    assert_memory_equal(sherd_value(r, 0, &len), "a\0b", 3);
    assert_int_equal(len, 3);
    sherd_result_free(r);
    bytes.is_binary = 0;
    assert_fails(sherd_execute_statement(c, &s, &r), SHERD_ERROR_STATEMENT, "22021");
    sherd_disconnect(c);
}

static void several_statements_give_several_results(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    sherd_result *r = NULL;
    OK(sherd_execute(c, "SET x; SELECT 3; SELECT 0", 0, NULL, &r));
    int has = 1;
    assert_int_equal(sherd_column_count(r), 0);
    OK(sherd_next_row(r, &has));
    assert_int_equal(has, 0);
    assert_string_equal(sherd_tag(r), "SET");
    OK(sherd_next_result(r, &has));
    assert_int_equal(has, 1);
    OK(sherd_next_row(r, &has)); /* the other two are skipped */
    OK(sherd_next_result(r, &has));
    assert_int_equal(has, 1);
    assert_int_equal(sherd_column_count(r), 2);
    OK(sherd_next_row(r, &has));
    assert_int_equal(has, 0);
    assert_string_equal(sherd_tag(r), "SELECT 0");
    OK(sherd_next_result(r, &has));
    assert_int_equal(has, 0);
    sherd_result_free(r);
    sherd_disconnect(c);
}

static void an_error_carries_all_its_fields(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    sherd_result *r = NULL;
    sherd_error *e = sherd_execute(c, "FAIL 23505", 0, NULL, &r);
    assert_non_null(e);
    assert_string_equal(sherd_error_sqlstate(e), "23505");
    assert_string_equal(sherd_error_message(e), "it fails");
    assert_string_equal(sherd_error_detail(e), "The detail.");
    assert_string_equal(sherd_error_hint(e), "The hint.");
    assert_int_equal(sherd_error_position(e), 6);
    assert_null(sherd_error_table(e));
    sherd_error_free(e);
    OK(sherd_execute(c, "SELECT 1", 0, NULL, NULL)); /* the connection is well */
    sherd_disconnect(c);
}

static void an_error_midway_comes_after_the_rows_before_it(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    sherd_result *r = NULL;
    OK(sherd_execute(c, "MIDWAY 15", 0, NULL, &r));
    int has = 1;
    for (int i = 0; i < 15; i++) {
        OK(sherd_next_row(r, &has));
        assert_int_equal(has, 1);
    }
    assert_fails(sherd_next_row(r, &has), SHERD_ERROR_STATEMENT, "22012");
    OK(sherd_next_row(r, &has));
    assert_int_equal(has, 0);
    sherd_result_free(r);
    assert_fails(sherd_execute(c, "MIDWAY 15", 0, NULL, NULL), SHERD_ERROR_STATEMENT, "22012");
    sherd_disconnect(c);
}

static void a_second_result_at_once_is_refused(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    sherd_result *r = NULL;
    sherd_result *r2 = NULL;
    OK(sherd_execute(c, "SELECT 1000", 0, NULL, &r));
    assert_fails(sherd_execute(c, "SELECT 1", 0, NULL, &r2), SHERD_ERROR_STATEMENT, "55006");
    sherd_result_free(r); /* early: the rest is dropped */
    OK(sherd_execute(c, "SELECT 1", 0, NULL, &r2));
    sherd_result_free(r2);
    sherd_disconnect(c);
}

static void prepared_statements_run_by_name(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    OK(sherd_prepare(c, "p", "ECHO", 0, NULL));
    struct sherd_param p = {"x", 1, 0};
    struct sherd_statement s = SHERD_STATEMENT_INIT;
    s.prepared = "p";
    s.params = &p;
    s.param_count = 1;
    for (int i = 0; i < 3; i++) {
        sherd_result *r = NULL;
        int has = 0;
        OK(sherd_execute_statement(c, &s, &r));
        OK(sherd_next_row(r, &has));
        assert_string_equal(sherd_value(r, 0, NULL), "x");
        sherd_result_free(r);
    }
    assert_int_equal(fake_sql_prepares(server), 1);
    s.prepared = "q";
    assert_fails(sherd_execute_statement(c, &s, NULL), SHERD_ERROR_STATEMENT, "26000");
    assert_fails(sherd_prepare(c, "bad", "FAIL", 0, NULL), SHERD_ERROR_STATEMENT, "42601");
    s.prepared = "bad";
    assert_fails(sherd_execute_statement(c, &s, NULL), SHERD_ERROR_STATEMENT, "26000");
    sherd_disconnect(c);
}

static void on_notice(void *ctx, const sherd_error *notice)
{
    assert_string_equal(sherd_error_message(notice), "look here");
    ++*(int *)ctx;
}

static void notices_reach_the_callback(void **state)
{
    (void)state;
    int notices = 0;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", fake_sql_port(server));
    struct sherd_options o = SHERD_OPTIONS_INIT;
    o.endpoints = endpoint;
    o.on_notice = on_notice;
    o.notice_ctx = &notices;
    sherd_connection *c = NULL;
    OK(sherd_connect(&o, &c));
    OK(sherd_execute(c, "NOTICE; SELECT 1; NOTICE", 0, NULL, NULL));
    assert_int_equal(notices, 2);
    sherd_disconnect(c);
}

static void *cancel_main(void *arg)
{
    fake_sql_await_wait(server);
    assert_null(sherd_cancel(arg));
    return NULL;
}

static void cancel_from_another_thread_ends_the_statement(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, cancel_main, c), 0);
    assert_fails(sherd_execute(c, "WAIT", 0, NULL, NULL), SHERD_ERROR_CANCELLED, "57014");
    pthread_join(t, NULL);
    OK(sherd_execute(c, "SELECT 1", 0, NULL, NULL));
    sherd_disconnect(c);
}

static void a_timeout_ends_the_statement(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    struct sherd_statement s = SHERD_STATEMENT_INIT;
    s.sql = "WAIT";
    s.timeout_ms = 30;
    assert_fails(sherd_execute_statement(c, &s, NULL), SHERD_ERROR_CANCELLED, "57014");
    OK(sherd_execute(c, "SELECT 1", 0, NULL, NULL));
    sherd_disconnect(c);
}

/* ---- connecting ---- */

static void bad_endpoints_are_named(void **state)
{
    (void)state;
    static const char *bad[] = {"", " , ", "h:0", "h:65536", "h:x", ":7433", "[::1", "[::1]7433"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sherd_options o = SHERD_OPTIONS_INIT;
        o.endpoints = bad[i];
        sherd_connection *c = NULL;
        assert_fails(sherd_connect(&o, &c), SHERD_ERROR_STATEMENT, "22023");
        assert_null(c);
    }
}

static void nobody_there_is_unavailable(void **state)
{
    (void)state;
    uint16_t port = fake_sql_port(server);
    fake_sql_stop(server);
    server = NULL;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", port);
    struct sherd_options o = SHERD_OPTIONS_INIT;
    o.endpoints = endpoint;
    sherd_connection *c = NULL;
    sherd_error *e = sherd_connect(&o, &c);
    assert_non_null(strstr(sherd_error_message(e), endpoint));
    assert_fails(e, SHERD_ERROR_UNAVAILABLE, "08001");
}

static void an_unknown_database_is_told(void **state)
{
    (void)state;
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%u", fake_sql_port(server));
    struct sherd_options o = SHERD_OPTIONS_INIT;
    o.endpoints = endpoint;
    o.database = "nowhere";
    sherd_connection *c = NULL;
    assert_fails(sherd_connect(&o, &c), SHERD_ERROR_STATEMENT, "3D000");
}

static void a_dead_endpoint_is_passed_over(void **state)
{
    (void)state;
    struct fake_sql *dead = fake_sql_start(0);
    uint16_t port = fake_sql_port(dead);
    fake_sql_stop(dead);
    sherd_connection *c = open_at(port, fake_sql_port(server));
    OK(sherd_execute(c, "SELECT 1", 0, NULL, NULL));
    sherd_disconnect(c);
}

static void an_idle_connection_moves_to_another_endpoint_with_its_statements(void **state)
{
    (void)state;
    struct fake_sql *other = fake_sql_start(0);
    sherd_connection *c = open_at(fake_sql_port(server), fake_sql_port(other));
    OK(sherd_prepare(c, "p", "SELECT 2", 0, NULL));
    fake_sql_stop(server);
    server = NULL;
    struct sherd_statement s = SHERD_STATEMENT_INIT;
    s.prepared = "p";
    sherd_error *e = sherd_execute_statement(c, &s, NULL);
    if (e != NULL) { /* the loss may be met on the way: then it is told, and the next call moves */
        assert_fails(e, SHERD_ERROR_UNKNOWN, "08007");
        OK(sherd_execute_statement(c, &s, NULL));
    }
    assert_int_equal(fake_sql_prepares(other), 1);
    assert_int_equal(fake_sql_sessions(other), 1);
    sherd_disconnect(c);
    fake_sql_stop(other);
}

static void a_session_that_the_server_forgot_is_opened_anew(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    OK(sherd_prepare(c, "p", "SELECT 2", 0, NULL));
    fake_sql_forget(server);
    OK(sherd_execute(c, "SELECT 1", 0, NULL, NULL));
    assert_int_equal(fake_sql_sessions(server), 2);
    struct sherd_statement s = SHERD_STATEMENT_INIT;
    s.prepared = "p";
    OK(sherd_execute_statement(c, &s, NULL));
    assert_int_equal(fake_sql_prepares(server), 2);
    sherd_disconnect(c);
}

static void a_lost_transaction_must_be_rolled_back_first(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    OK(sherd_begin(c, NULL));
    fake_sql_forget(server);
    assert_fails(sherd_execute(c, "SELECT 1", 0, NULL, NULL), SHERD_ERROR_UNAVAILABLE, "08006");
    int before = fake_sql_statements(server);
    assert_int_equal(sherd_transaction_state(c), SHERD_IN_FAILED);
    assert_fails(sherd_execute(c, "SELECT 1", 0, NULL, NULL), SHERD_ERROR_RETRY, "25P02");
    assert_fails(sherd_commit(c), SHERD_ERROR_RETRY, "25P02");
    assert_int_equal(fake_sql_statements(server), before); /* nothing slipped through */
    OK(sherd_rollback(c));
    assert_int_equal(sherd_transaction_state(c), SHERD_IDLE);
    OK(sherd_execute(c, "SELECT 1", 0, NULL, NULL));
    sherd_disconnect(c);
}

struct stopper {
    pthread_t thread;
};
static void *stop_main(void *arg)
{
    (void)arg;
    fake_sql_await_wait(server);
    fake_sql_stop(server);
    server = NULL;
    return NULL;
}

static void a_loss_during_a_statement_alone_is_unknown_in_a_transaction_it_is_not(void **state)
{
    (void)state;
    for (int in_transaction = 0; in_transaction < 2; in_transaction++) {
        if (server == NULL) {
            server = fake_sql_start(0);
        }
        sherd_connection *c = open_one();
        if (in_transaction) {
            OK(sherd_begin(c, NULL));
        }
        struct stopper s;
        assert_int_equal(pthread_create(&s.thread, NULL, stop_main, NULL), 0);
        sherd_error *e = sherd_execute(c, "WAIT", 0, NULL, NULL);
        pthread_join(s.thread, NULL);
        /* A server that stops cancels what runs, and its word may arrive before the break. */
        assert_non_null(e);
        if (strcmp(sherd_error_sqlstate(e), "57014") != 0) {
            assert_int_equal(sherd_error_kind_of(e),
                             in_transaction ? SHERD_ERROR_UNAVAILABLE : SHERD_ERROR_UNKNOWN);
        }
        sherd_error_free(e);
        sherd_disconnect(c);
    }
}

/* ---- transactions ---- */

static void the_transaction_state_follows_the_server(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    assert_int_equal(sherd_transaction_state(c), SHERD_IDLE);
    OK(sherd_begin(c, "READ ONLY"));
    assert_int_equal(sherd_transaction_state(c), SHERD_IN_TRANSACTION);
    assert_fails(sherd_execute(c, "FAIL 22012", 0, NULL, NULL), SHERD_ERROR_STATEMENT, "22012");
    assert_int_equal(sherd_transaction_state(c), SHERD_IN_FAILED);
    assert_fails(sherd_execute(c, "SELECT 1", 0, NULL, NULL), SHERD_ERROR_STATEMENT, "25P02");
    assert_fails(sherd_commit(c), SHERD_ERROR_STATEMENT, "25P02");
    assert_int_equal(sherd_transaction_state(c), SHERD_IDLE);
    OK(sherd_execute(c, "BEGIN; SELECT 1", 0, NULL, NULL));
    assert_int_equal(sherd_transaction_state(c), SHERD_IN_TRANSACTION);
    OK(sherd_commit(c));
    assert_int_equal(sherd_transaction_state(c), SHERD_IDLE);
    OK(sherd_rollback(c));
    sherd_disconnect(c);
}

static int runs;
static sherd_error *flaky_body(sherd_connection *c, void *ctx)
{
    runs++;
    return sherd_execute(c, ctx, 0, NULL, NULL);
}

static void run_retries_conflicts_and_nothing_else(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    runs = 0;
    OK(sherd_run(c, NULL, 0, flaky_body, (void *)"FLAKY 3"));
    assert_int_equal(runs, 4);
    assert_int_equal(sherd_transaction_state(c), SHERD_IDLE);
    runs = 0;
    assert_fails(sherd_run(c, NULL, 3, flaky_body, (void *)"FLAKY 1000"), SHERD_ERROR_RETRY,
                 "40001");
    assert_int_equal(runs, 3);
    runs = 0;
    assert_fails(sherd_run(c, NULL, 0, flaky_body, (void *)"FAIL 22012"), SHERD_ERROR_STATEMENT,
                 "22012");
    assert_int_equal(runs, 1);
    assert_int_equal(sherd_transaction_state(c), SHERD_IDLE);
    OK(sherd_begin(c, NULL));
    assert_fails(sherd_run(c, NULL, 0, flaky_body, (void *)"SELECT 1"), SHERD_ERROR_STATEMENT,
                 "25001");
    OK(sherd_rollback(c));
    sherd_disconnect(c);
}

static void the_outcome_of_a_transaction_can_be_asked_for(void **state)
{
    (void)state;
    sherd_connection *c = open_one();
    char id[SHERD_TRANSACTION_ID_MAX], small[4];
    assert_fails(sherd_transaction_id(c, id, sizeof(id)), SHERD_ERROR_STATEMENT, "25P01");
    OK(sherd_begin(c, NULL));
    OK(sherd_transaction_id(c, id, sizeof(id)));
    assert_string_equal(id, "77.42");
    sherd_error *e = sherd_transaction_id(c, small, sizeof(small));
    assert_non_null(e);
    sherd_error_free(e);
    OK(sherd_commit(c));
    static const struct {
        const char *id;
        enum sherd_outcome outcome;
    } cases[] = {{"77.42", SHERD_OUTCOME_COMMITTED},
                 {"77.43", SHERD_OUTCOME_ABORTED},
                 {"77.44", SHERD_OUTCOME_IN_PROGRESS},
                 {"77.45", SHERD_OUTCOME_UNKNOWN}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum sherd_outcome out = SHERD_OUTCOME_UNKNOWN;
        OK(sherd_outcome(c, cases[i].id, &out));
        assert_int_equal(out, cases[i].outcome);
    }
    sherd_disconnect(c);
}

static sherd_error *losing_body(sherd_connection *c, void *ctx)
{
    if (runs++ == 0) {
        fake_sql_stop(server);
        server = NULL;
    }
    return sherd_execute(c, ctx, 0, NULL, NULL);
}

static void run_goes_on_at_another_endpoint(void **state)
{
    (void)state;
    struct fake_sql *other = fake_sql_start(0);
    sherd_connection *c = open_at(fake_sql_port(server), fake_sql_port(other));
    runs = 0;
    OK(sherd_run(c, NULL, 0, losing_body, (void *)"SELECT 1"));
    assert_int_equal(runs, 2);
    sherd_disconnect(c);
    fake_sql_stop(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_columns_and_nulls_arrive),
        TEST(parameters_go_in_text_null_and_binary),
        TEST(several_statements_give_several_results),
        TEST(an_error_carries_all_its_fields),
        TEST(an_error_midway_comes_after_the_rows_before_it),
        TEST(a_second_result_at_once_is_refused),
        TEST(prepared_statements_run_by_name),
        TEST(notices_reach_the_callback),
        TEST(cancel_from_another_thread_ends_the_statement),
        TEST(a_timeout_ends_the_statement),
        TEST(bad_endpoints_are_named),
        TEST(nobody_there_is_unavailable),
        TEST(an_unknown_database_is_told),
        TEST(a_dead_endpoint_is_passed_over),
        TEST(an_idle_connection_moves_to_another_endpoint_with_its_statements),
        TEST(a_session_that_the_server_forgot_is_opened_anew),
        TEST(a_lost_transaction_must_be_rolled_back_first),
        TEST(a_loss_during_a_statement_alone_is_unknown_in_a_transaction_it_is_not),
        TEST(the_transaction_state_follows_the_server),
        TEST(the_outcome_of_a_transaction_can_be_asked_for),
        TEST(run_retries_conflicts_and_nothing_else),
        TEST(run_goes_on_at_another_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
