/* The read-timestamp cache against a model: never too low, exact while it has room. */
#include "cmocka_all.h"

#include "base/rng.h"
#include "rtc.h"

#include <stdio.h>

enum { KEYS = 200 };

static void key_of(int k, char out[16])
{
    snprintf(out, 16, "k%03d", k);
}

static void ranges_are_exact_and_points_never_too_low(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct rng r;
        struct rtc c;
        uint64_t model[KEYS] = {0}, ranges[KEYS] = {0};
        rng_seed(&r, seed);
        rtc_init(&c, 5);
        for (int i = 0; i < 2000; i++) {
            int a = (int)rng_below(&r, KEYS), b = a + 1 + (int)rng_below(&r, 30);
            uint64_t ts = 1 + rng_below(&r, 1000);
            char ka[16], kb[16];
            key_of(a, ka);
            key_of(b, kb);
            if (rng_below(&r, 2) == 0) {
                rtc_raise_point(&c, slice_str(ka), ts);
                model[a] = model[a] > ts ? model[a] : ts;
            } else {
                bool is_open = rng_below(&r, 50) == 0;
                rtc_raise_range(&c, slice_str(ka), is_open ? slice_str("") : slice_str(kb), ts);
                for (int k = a; k < KEYS && (is_open || k < b); k++) {
                    ranges[k] = ranges[k] > ts ? ranges[k] : ts;
                    model[k] = model[k] > ts ? model[k] : ts;
                }
            }
            int k = (int)rng_below(&r, KEYS);
            char kk[16];
            key_of(k, kk);
            assert_true(rtc_get(&c, slice_str(kk)) >= model[k]);
            assert_true(rtc_get(&c, slice_str(kk)) >= 5);
        }
        rtc_deinit(&c);
    }
}

static void an_untouched_key_stays_at_the_floor(void **state)
{
    (void)state;
    struct rtc c;
    rtc_init(&c, 5);
    rtc_raise_range(&c, slice_str("b"), slice_str("d"), 50);
    assert_int_equal(rtc_get(&c, slice_str("a")), 5);
    assert_int_equal(rtc_get(&c, slice_str("b")), 50);
    assert_int_equal(rtc_get(&c, slice_str("czzz")), 50);
    assert_int_equal(rtc_get(&c, slice_str("d")), 5);
    rtc_raise_range(&c, slice_str("a"), slice_str("e"),
                    60); /* swallows it: one segment and its end */
    assert_int_equal(c.segments.count, 2);
    rtc_deinit(&c);
}

static void too_many_segments_raise_the_floor_instead_of_forgetting(void **state)
{
    (void)state;
    struct rtc c;
    rtc_init(&c, 1);
    c.segment_max = 64;
    for (int i = 0; i < 1000; i++) {
        char a[16], b[16];
        snprintf(a, sizeof(a), "k%06d", i * 2);
        snprintf(b, sizeof(b), "k%06d", i * 2 + 1);
        rtc_raise_range(&c, slice_str(a), slice_str(b), (uint64_t)(10 + i));
        assert_true(c.segments.count <= 65);
    }
    for (int i = 0; i < 1000; i++) {
        char a[16];
        snprintf(a, sizeof(a), "k%06d", i * 2);
        assert_true(rtc_get(&c, slice_str(a)) >= (uint64_t)(10 + i));
    }
    assert_true(c.floor < 1009); /* the newest are still told apart */
    rtc_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_exact_and_points_never_too_low),
        cmocka_unit_test(an_untouched_key_stays_at_the_floor),
        cmocka_unit_test(too_many_segments_raise_the_floor_instead_of_forgetting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
