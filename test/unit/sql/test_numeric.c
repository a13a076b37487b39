/* numeric against PostgreSQL's answers, and against itself: identities and running sums. */
#include "base/rng.h"
#include "sql/numeric.h"
#include "type_cases.h"

#include "cases_numeric.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void gives_what_postgresql_gives(void **state)
{
    (void)state;
    assert_int_equal(type_cases_run(numeric_cases, sizeof numeric_cases / sizeof *numeric_cases),
                     0);
}

static struct datum parse(struct arena *a, const char *text)
{
    struct datum d;
    assert_null(numeric_parse(a, slice_str(text), &d));
    return d;
}

/* Random digits, up to 40, with up to 20 after the point. */
static struct datum random_numeric(struct arena *a, struct rng *r)
{
    char text[80];
    int n = 0, digits = (int)rng_below(r, 40) + 1, scale = (int)rng_below(r, 20);
    if (rng_below(r, 2)) {
        text[n++] = '-';
    }
    for (int i = 0; i < digits; i++) {
        text[n++] = (char)('0' + rng_below(r, 10));
    }
    text[n++] = '.';
    for (int i = 0; i < scale; i++) {
        text[n++] = (char)('0' + rng_below(r, 10));
    }
    text[n] = '\0';
    return parse(a, text);
}

static void add_then_sub_comes_back(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 2000; i++) {
        struct arena *a = arena_create(0);
        struct datum x = random_numeric(a, &r), y = random_numeric(a, &r), s, back;
        assert_null(numeric_add(a, &x, &y, &s));
        assert_null(numeric_sub(a, &s, &y, &back));
        assert_int_equal(numeric_compare(&x, &back), 0);
        assert_true(numeric_hash(&x) == numeric_hash(&back));
        assert_true(numeric_check(datum_slice(&s)));
        arena_destroy(a);
    }
}

static void quotient_and_remainder_make_the_dividend(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 2);
    for (int i = 0; i < 2000; i++) {
        struct arena *a = arena_create(0);
        struct datum x = random_numeric(a, &r), y = random_numeric(a, &r), q, m, t;
        if (numeric_sign(&y) != 0) {
            assert_null(numeric_div_trunc(a, &x, &y, &q));
            assert_null(numeric_mod(a, &x, &y, &m));
            assert_null(numeric_mul(a, &q, &y, &t));
            assert_null(numeric_add(a, &t, &m, &t));
            assert_int_equal(numeric_compare(&x, &t), 0);
        }
        arena_destroy(a);
    }
}

static void running_sum_equals_repeated_addition_however_split(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 3);
    for (int round = 0; round < 50; round++) {
        struct arena *a = arena_create(0);
        struct datum sum = numeric_from_int8(a, 0);
        struct numeric_acc acc[2] = {{0}};
        for (int i = 0; i < 100; i++) {
            struct datum x = random_numeric(a, &r);
            assert_null(numeric_add(a, &sum, &x, &sum));
            numeric_acc_add(a, &acc[rng_below(&r, 2)], &x);
        }
        struct buf b = {0};
        struct numeric_acc loaded;
        struct reader rd;
        numeric_acc_save(&acc[1], &b);
        reader_init(&rd, buf_slice(&b));
        assert_null(numeric_acc_load(a, &rd, &loaded));
        numeric_acc_merge(a, &acc[0], &loaded);
        struct datum got = numeric_acc_sum(a, &acc[0]);
        assert_int_equal(numeric_compare(&got, &sum), 0);
        assert_int_equal(numeric_scale(&got), numeric_scale(&sum));
        buf_deinit(&b);
        arena_destroy(a);
    }
}

static void limits_of_the_format_hold(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct datum big = parse(a, "1e131071"), r;
    struct status *st = numeric_mul(a, &big, &big, &r);
    assert_string_equal(st->sqlstate, "22003");
    status_free(st);
    st = numeric_parse(a, slice_str("1e131072"), &r);
    assert_string_equal(st->sqlstate, "22003");
    status_free(st);
    assert_null(numeric_parse(a, slice_str("1e-16383"), &r));
    assert_int_equal(numeric_scale(&r), 16383);
    st = numeric_parse(a, slice_str("1e-16384"), &r);
    assert_string_equal(st->sqlstate, "22003");
    status_free(st);
    st = numeric_parse(a, slice_str("1e99999999999999999999"), &r);
    assert_string_equal(st->sqlstate, "22003");
    status_free(st);
    arena_destroy(a);
}

static void typmod_rounds_and_refuses(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    int32_t typmod;
    struct datum r, x = parse(a, "99.995"), y = parse(a, "99.994");
    assert_null(type_typmod(TYPE_NUMERIC, (int32_t[]){4, 2}, 2, &typmod));
    struct status *st = numeric_apply_typmod(a, &x, typmod, &r);
    assert_string_equal(st->sqlstate, "22003");
    assert_string_equal(st->detail, "A field with precision 4, scale 2 must round to an absolute "
                                    "value less than 10^2.");
    status_free(st);
    assert_null(numeric_apply_typmod(a, &y, typmod, &r));
    struct buf b = {0};
    numeric_format(&r, &b);
    assert_true(slice_eq(buf_slice(&b), slice_str("99.99")));
    buf_deinit(&b);
    arena_destroy(a);
}

static void damaged_bytes_are_noticed(void **state)
{
    (void)state;
    assert_false(numeric_check(slice_make("", 0)));
    assert_false(numeric_check(slice_make("\0\0", 2)));
    assert_false(numeric_check(slice_make("\5\0\0", 3)));     /* no such kind */
    assert_false(numeric_check(slice_make("\1\0\0", 3)));     /* minus zero */
    assert_false(numeric_check(slice_make("\0\0\0\0\1", 5))); /* leading zero byte */
    assert_false(numeric_check(slice_make("\0\x40\0\1", 4))); /* scale 16384 */
    assert_false(numeric_check(slice_make("\2\0\0\1", 4)));   /* NaN with digits */
    assert_true(numeric_check(slice_make("\0\0\1\x0f", 4)));  /* 1.5 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_postgresql_gives),
        cmocka_unit_test(add_then_sub_comes_back),
        cmocka_unit_test(quotient_and_remainder_make_the_dividend),
        cmocka_unit_test(running_sum_equals_repeated_addition_however_split),
        cmocka_unit_test(limits_of_the_format_hold),
        cmocka_unit_test(typmod_rounds_and_refuses),
        cmocka_unit_test(damaged_bytes_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
