/* T1: whatever clocks and failovers do, timestamps rise and stay below what is committed. */
#include "base/buggify.h"
#include "base/rng.h"
#include "meta_limits.h"
#include "tso.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define WALL 1700000000000ll

static void nothing_is_handed_out_before_a_limit_is_committed(void **state)
{
    (void)state;
    struct tso t;
    uint64_t ts;
    tso_start(&t, 0);
    assert_false(tso_take(&t, WALL, 1, &ts));
    tso_extended(&t, tso_next_limit(&t, WALL, 1));
    assert_true(tso_take(&t, WALL, 1, &ts));
    assert_int_equal(tso_wall_ms(ts), WALL);
}

static void a_new_leader_starts_at_the_limit(void **state)
{
    (void)state;
    struct tso a, b;
    uint64_t last = 0, first;
    tso_start(&a, 0);
    uint64_t limit = tso_next_limit(&a, WALL, 1);
    tso_extended(&a, limit);
    while (tso_take(&a, WALL + 2999, 1000, &first)) { /* as much as there is */
        last = first + 999;
    }
    assert_true(last < limit);
    tso_start(&b, limit);
    assert_false(tso_take(&b, WALL, 1, &first));
    tso_extended(&b, tso_next_limit(&b, WALL - 3600000, 1)); /* its clock is an hour behind */
    assert_true(tso_take(&b, WALL - 3600000, 1, &first));
    assert_true(first > last);
}

static void a_request_larger_than_the_window_gets_one_of_its_own(void **state)
{
    (void)state;
    struct tso t;
    uint64_t first;
    tso_start(&t, 0);
    tso_extended(&t, tso_next_limit(&t, WALL, 1));
    uint64_t count = 5ull << 32;
    assert_false(tso_take(&t, WALL, count, &first));
    tso_extended(&t, tso_next_limit(&t, WALL, count));
    assert_true(tso_take(&t, WALL, count, &first));
    assert_false(tso_take(&t, WALL, UINT64_MAX, &first));
    assert_false(tso_take(&t, WALL, 0, &first));
}

static void clocks_jump_and_leaders_change(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    struct tso t;
    uint64_t committed = 0, newest = 0;
    int64_t wall = WALL;
    tso_start(&t, 0);
    for (int i = 0; i < 100000; i++) {
        uint64_t first;
        uint64_t count = 1 + rng_below(&r, 3);
        switch (rng_below(&r, 20)) {
        case 0:
            wall += (int64_t)rng_below(&r, 100000) - 50000;
            break;
        case 1:
            tso_start(&t, committed);
            break;
        case 2: /* a limit that is committed, and one whose leader does not live to see it */
            committed = tso_next_limit(&t, wall, count);
            if (rng_below(&r, 2) == 0) {
                tso_extended(&t, committed);
            } else {
                tso_start(&t, committed);
            }
            break;
        default:
            wall += (int64_t)rng_below(&r, 2);
            if (tso_take(&t, wall, count, &first)) {
                assert_true(first > newest);
                newest = first + count - 1;
                assert_true(newest < committed);
            }
        }
    }
    assert_true(newest > 0);
}

static void the_window_shrinks_with_the_clock(void **state)
{
    (void)state;
    struct tso t;
    tso_start(&t, 0);
    tso_extended(&t, tso_next_limit(&t, WALL, 1));
    assert_in_range(tso_left_ms(&t, WALL), TSO_WINDOW_MS - 1, TSO_WINDOW_MS);
    assert_in_range(tso_left_ms(&t, WALL + 1000), TSO_WINDOW_MS - 1001, TSO_WINDOW_MS - 1000);
    assert_int_equal(tso_left_ms(&t, WALL + 5000), 0);
}

static void the_planted_bug_goes_back(void **state)
{
    (void)state;
    struct tso t;
    uint64_t first;
    uint64_t limit = tso_of_wall(WALL);
    assert_true(bug_set("TSO_BACKWARD", true));
    tso_start(&t, limit);
    tso_extended(&t, tso_next_limit(&t, WALL, 1));
    assert_true(tso_take(&t, WALL, 1, &first));
    assert_true(first < limit);
    assert_true(bug_set("TSO_BACKWARD", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_handed_out_before_a_limit_is_committed),
        cmocka_unit_test(a_new_leader_starts_at_the_limit),
        cmocka_unit_test(a_request_larger_than_the_window_gets_one_of_its_own),
        cmocka_unit_test(clocks_jump_and_leaders_change),
        cmocka_unit_test(the_window_shrinks_with_the_clock),
        cmocka_unit_test(the_planted_bug_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
