/* Dates and times against PostgreSQL's answers; the calendar against itself; 'now' and zones. */
#include "base/rng.h"
#include "sql/datetime.h"
#include "type_cases.h"

#include "cases_datetime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void gives_what_postgresql_gives(void **state)
{
    (void)state;
    assert_int_equal(type_cases_run(datetime_cases, sizeof datetime_cases / sizeof *datetime_cases),
                     0);
}

static void calendar_goes_there_and_back(void **state)
{
    (void)state;
    int py = 0, pm = 0, pd = 0;
    for (int64_t d = -2451545; d < 3000000; d += 1 + (d < -800000 || d > 800000) * 97) {
        int y, m, day;
        date_to_ymd(d, &y, &m, &day);
        assert_true(date_is_valid_ymd(y, m, day));
        assert_int_equal(date_from_ymd(y, m, day), d);
        assert_true(py == 0 || y > py || (y == py && (m > pm || (m == pm && day > pd))));
        py = y, pm = m, pd = day;
    }
}

static void timestamps_print_and_read_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        int64_t ts = (int64_t)(rng_next(&r) >> 1 >> rng_below(&r, 60));
        ts = i & 2 ? ts : -ts % INT64_C(211813488000000000);
        ts = ts < INT64_C(9223371331200000000) ? ts : 0;
        int64_t back;
        struct buf b = {0};
        timestamp_format(ts, i & 1, &b);
        assert_null(timestamp_parse(buf_slice(&b), i & 1, &back));
        assert_true(back == ts);
        buf_deinit(&b);
    }
}

static void intervals_print_and_read_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 2);
    for (int i = 0; i < 20000; i++) {
        struct interval back, iv = {.us = (int64_t)rng_next(&r) >> rng_below(&r, 60),
                                    .days = (int32_t)rng_next(&r) >> rng_below(&r, 31),
                                    .months = (int32_t)rng_next(&r) >> rng_below(&r, 31)};
        struct buf b = {0};
        interval_format(&iv, &b);
        assert_null(interval_parse(buf_slice(&b), -1, &back));
        assert_true(back.us == iv.us && back.days == iv.days && back.months == iv.months);
        buf_deinit(&b);
    }
}

static void words_for_now_need_a_clock(void **state)
{
    (void)state;
    int64_t ts;
    struct status *st = timestamp_parse(slice_str("now"), true, &ts);
    assert_string_equal(st->sqlstate, "0A000");
    status_free(st);
    datetime_set_now(100 * USECS_PER_DAY + 5);
    assert_null(timestamp_parse(slice_str("now"), true, &ts));
    assert_true(ts == 100 * USECS_PER_DAY + 5);
    assert_null(timestamp_parse(slice_str("tomorrow"), true, &ts));
    assert_true(ts == 101 * USECS_PER_DAY);
    assert_null(date_parse(slice_str("yesterday"), &ts));
    assert_int_equal(ts, 99);
    assert_null(timestamp_parse(slice_str("today 10:30"), false, &ts));
    assert_true(ts == 100 * USECS_PER_DAY + 37800 * USECS_PER_SEC);
    datetime_set_now(INT64_MIN);
}

static void zones_by_offset_and_abbreviation(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int offset;
    } zones[] = {{"UTC", 0},     {"+02", 7200},    {"-03:30", -12600}, {"EST", -18000},
                 {"cest", 7200}, {"+0530", 19800}, {"2", 7200}};
    int32_t offset;
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        assert_null(datetime_zone(slice_str(zones[i].text), &offset));
        assert_int_equal(offset, zones[i].offset);
    }
    struct status *st = datetime_zone(slice_str("Mars/Olympus"), &offset);
    assert_string_equal(st->sqlstate, "22023");
    status_free(st);
}

/* No input may crash, whatever the bytes. */
static void garbage_is_refused_or_read(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789-:./+ TZPYMDHSJanBCo'\0\xc3";
    struct rng r;
    rng_seed(&r, 3);
    for (int i = 0; i < 100000; i++) {
        char text[24];
        size_t n = rng_below(&r, sizeof text);
        for (size_t k = 0; k < n; k++) {
            text[k] = alphabet[rng_below(&r, sizeof alphabet - 1)];
        }
        int64_t v;
        struct interval iv;
        struct slice s = slice_make(text, n);
        (void)status_consume(timestamp_parse(s, true, &v));
        (void)status_consume(date_parse(s, &v));
        (void)status_consume(time_parse(s, &v));
        (void)status_consume(interval_parse(s, -1, &iv));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_postgresql_gives),
        cmocka_unit_test(calendar_goes_there_and_back),
        cmocka_unit_test(timestamps_print_and_read_back),
        cmocka_unit_test(intervals_print_and_read_back),
        cmocka_unit_test(words_for_now_need_a_clock),
        cmocka_unit_test(zones_by_offset_and_abbreviation),
        cmocka_unit_test(garbage_is_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
