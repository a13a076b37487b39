/* Errors: parts, wrapping, statics, codes; and the small tables beside them: switches, randomness.
 */
#include "base/buggify.h"
#include "base/metrics.h"
#include "base/rng.h"
#include "base/status.h"

#include "cmocka_all.h"

#include <string.h>

static struct status *fail_deep(void)
{
    return status_sql(CONSTRAINT, "23505", "duplicate key %d", 7);
}

static struct status *fail_middle(void)
{
    TRY(NULL);
    TRY(fail_deep());
    fail_msg("not reached");
    return NULL;
}

static void an_error_keeps_its_parts_on_the_way_up(void **state)
{
    (void)state;
    struct status *st = fail_middle();
    st = status_detail(st, "Key %s exists.", "(id)=(7)");
    st = status_hint(st, "Take another.");
    st = status_about(st, "t", NULL, "t_pkey");
    st = status_at(st, 12);
    st = status_wrap(st, "statement %d", 3);
    assert_true(status_is(st, STATUS_CONSTRAINT));
    assert_string_equal(st->sqlstate, "23505");
    assert_string_equal(st->message, "statement 3: duplicate key 7");
    assert_string_equal(st->detail, "Key (id)=(7) exists.");
    assert_string_equal(st->hint, "Take another.");
    assert_string_equal(st->table, "t");
    assert_null(st->column);
    assert_string_equal(st->constraint, "t_pkey");
    assert_int_equal(st->position, 12);
    assert_non_null(strstr(st->file, "test_status.c"));
    struct status *copy = status_copy(st);
    status_free(st);
    assert_string_equal(copy->message, "statement 3: duplicate key 7");
    assert_true(status_consume(copy));
    assert_false(status_consume(NULL));
}

static void success_stays_success(void **state)
{
    (void)state;
    assert_null(status_wrap(NULL, "what"));
    assert_null(status_hint(NULL, "x"));
    assert_null(status_detail(NULL, "x"));
    assert_null(status_at(NULL, 1));
    assert_null(status_copy(NULL));
    assert_false(status_is(NULL, STATUS_IO));
    status_free(NULL);
}

static void a_static_error_is_never_changed(void **state)
{
    (void)state;
    struct status *st = status_wrap(&status_timeout, "reading");
    assert_ptr_not_equal(st, &status_timeout);
    assert_string_equal(st->message, "reading: the deadline has passed");
    assert_string_equal(status_timeout.message, "the deadline has passed");
    assert_true(status_is(st, STATUS_TIMEOUT));
    status_free(st);
    status_free(&status_timeout);
    status_free(&status_timeout);
    st = status_hint(&status_not_leader, "x");
    assert_null(status_not_leader.hint);
    status_free(st);
}

static void every_code_has_its_facts(void **state)
{
    (void)state;
    assert_string_equal(status_code_name(STATUS_NOT_LEADER), "NOT_LEADER");
    assert_string_equal(status_code_name((enum status_code)999), "UNKNOWN");
    assert_int_equal(status_code_grpc(STATUS_LIMIT), 8);
    assert_int_equal(status_code_grpc(STATUS_OK), 0);
    assert_true(status_code_retry(STATUS_CONFLICT));
    assert_false(status_code_retry(STATUS_UNKNOWN_OUTCOME));
    assert_int_equal(status_code_from_grpc(5), STATUS_NOT_FOUND);
    assert_int_equal(status_code_from_grpc(77), STATUS_INTERNAL);
    struct status *st = status_new(IO, "x");
    assert_string_equal(st->sqlstate, "58030");
    status_free(st);
}

static void switches_are_found_by_name(void **state)
{
    (void)state;
    assert_false(bug_on(BUG_LOG_SKIP_SYNC));
    assert_true(bug_set("LOG_SKIP_SYNC", true));
    assert_true(bug_on(BUG_LOG_SKIP_SYNC));
    assert_true(bug_set("LOG_SKIP_SYNC", false));
    assert_false(bug_on(BUG_LOG_SKIP_SYNC));
    assert_false(bug_set("NO_SUCH_BUG", true));
    for (int i = 0; i < BUG_COUNT; i++) {
        assert_true(bug_set(bug_name((enum bug)i), false));
        assert_true(strlen(bug_text((enum bug)i)) > 10);
    }
}

static void the_generator_replays_and_covers(void **state)
{
    (void)state;
    struct rng a;
    struct rng b;
    rng_seed(&a, 0);
    rng_seed(&b, 0);
    int seen[10] = {0};
    for (int i = 0; i < 10000; i++) {
        uint64_t n = rng_below(&a, 10);
        assert_int_equal(n, rng_below(&b, 10));
        seen[n]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(seen[i], 850, 1150);
    }
    rng_seed(&b, 1);
    assert_true(rng_next(&a) != rng_next(&b));
}

static void metrics_render_in_families(void **state)
{
    (void)state;
    struct metric *c = metric_counter("test_b_total", "role=\"x\"", "Things that happened");
    struct metric *g = metric_gauge("test_a", NULL, "A level");
    struct metric *h = metric_histogram("test_c_seconds", "op=\"y\"", "How long");
    assert_ptr_equal(c, metric_counter("test_b_total", "role=\"x\"", NULL));
    struct metric *c2 = metric_counter("test_b_total", "role=\"z\"", NULL);
    assert_ptr_not_equal(c, c2);
    metric_add(c, 2);
    metric_add(c, 3);
    metric_set(g, -4);
    metric_observe_us(h, 0);
    metric_observe_us(h, 1);
    metric_observe_us(h, 2);
    metric_observe_us(h, 3);
    metric_observe_us(h, UINT64_C(1) << 40);
    assert_int_equal(metric_value(c), 5);
    assert_int_equal(metric_value(h), 5);
    struct buf out = {0};
    metrics_render(&out);
    buf_put_u8(&out, 0);
    const char *text = (const char *)out.data;
    assert_non_null(strstr(text, "# HELP test_a A level\n# TYPE test_a gauge\ntest_a -4\n"
                                 "# HELP test_b_total Things that happened\n"
                                 "# TYPE test_b_total counter\n"
                                 "test_b_total{role=\"x\"} 5\ntest_b_total{role=\"z\"} 0\n"));
    assert_non_null(strstr(text, "test_c_seconds_bucket{op=\"y\",le=\"0.000001\"} 2\n"
                                 "test_c_seconds_bucket{op=\"y\",le=\"0.000002\"} 3\n"
                                 "test_c_seconds_bucket{op=\"y\",le=\"0.000004\"} 4\n"));
    assert_non_null(strstr(text, "test_c_seconds_bucket{op=\"y\",le=\"67.108864\"} 4\n"
                                 "test_c_seconds_bucket{op=\"y\",le=\"+Inf\"} 5\n"));
    assert_non_null(strstr(text, "test_c_seconds_count{op=\"y\"} 5\n"));
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_keeps_its_parts_on_the_way_up),
        cmocka_unit_test(success_stays_success),
        cmocka_unit_test(a_static_error_is_never_changed),
        cmocka_unit_test(every_code_has_its_facts),
        cmocka_unit_test(switches_are_found_by_name),
        cmocka_unit_test(the_generator_replays_and_covers),
        cmocka_unit_test(metrics_render_in_families),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
