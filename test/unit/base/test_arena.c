/* Arenas: alignment, growth, budgets, cleanups, recycling. */
#include "base/arena.h"
#include "base/mem.h"

#include "cmocka_all.h"

#include <pthread.h>
#include <string.h>

static void allocations_are_aligned_and_do_not_overlap(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    enum { COUNT = 3000 };
    uint8_t **p = mem_zalloc(sizeof(*p) * COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = (i * 37) % 700 + (i % 500 == 0 ? 200000 : 0);
        p[i] = arena_alloc(a, size);
        assert_int_equal((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)(i & 0xff), size);
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t size = (i * 37) % 700 + (i % 500 == 0 ? 200000 : 0);
        for (size_t j = 0; j < size; j++) {
            assert_int_equal(p[i][j], i & 0xff);
        }
    }
    mem_free(p);
    arena_destroy(a);
    arena_destroy(NULL);
}

static void reset_gives_the_memory_back_and_the_arena_goes_on(void **state)
{
    (void)state;
    struct arena *a = arena_create(1 << 20);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 90; i++) {
            memset(arena_alloc(a, 10000), round, 10000);
        }
        assert_true(arena_used(a) >= 900000);
        arena_reset(a);
        assert_int_equal(arena_used(a), 0);
    }
    int *zero = ARENA_ARRAY(a, int, 100);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(zero[i], 0);
    }
    arena_destroy(a);
}

static void a_reserve_beyond_the_budget_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(100000);
    assert_null(arena_reserve(a, 100000));
    arena_alloc(a, 60000);
    assert_null(arena_reserve(a, 40000));
    struct status *st = arena_reserve(a, 40001);
    assert_true(status_is(st, STATUS_LIMIT));
    assert_string_equal(st->sqlstate, "53200");
    status_free(st);
    st = arena_reserve(a, SIZE_MAX);
    assert_true(status_is(st, STATUS_LIMIT));
    status_free(st);
    arena_destroy(a);
}

static void the_newest_allocation_grows_in_place(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    char *p = arena_alloc(a, 10);
    memcpy(p, "123456789", 10);
    char *q = arena_grow(a, p, 10, 500);
    assert_ptr_equal(p, q);
    memset(q + 10, 'x', 490);
    assert_int_equal(arena_used(a), 500);
    arena_alloc(a, 1);
    char *r = arena_grow(a, q, 500, 1000); /* not the newest any more */
    assert_ptr_not_equal(q, r);
    assert_string_equal(r, "123456789");
    r = arena_grow(a, r, 1000, 300000); /* beyond its block */
    assert_string_equal(r, "123456789");
    r[299999] = 'e';
    assert_non_null(arena_grow(a, NULL, 0, 10));
    arena_destroy(a);
}

static void strings_and_slices_are_copied(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    assert_string_equal(arena_strdup(a, "hello"), "hello");
    assert_string_equal(arena_strndup(a, "hello", 2), "he");
    assert_string_equal(arena_printf(a, "%d-%s", 7, "x"), "7-x");
    assert_int_equal(strlen(arena_printf(a, "%1000d", 7)), 1000);
    struct slice s = arena_copy(a, slice_str("bytes"));
    assert_true(slice_eq(s, slice_str("bytes")));
    assert_int_equal(arena_copy(a, slice_make(NULL, 0)).len, 0);
    arena_destroy(a);
}

static char trace[8];

static void note_cleanup(void *ctx)
{
    strcat(trace, ctx);
}

static void cleanups_run_in_reverse_order_once(void **state)
{
    (void)state;
    trace[0] = '\0';
    struct arena *a = arena_create(0);
    arena_on_free(a, note_cleanup, (char *)"a");
    arena_on_free(a, note_cleanup, (char *)"b");
    arena_reset(a);
    assert_string_equal(trace, "ba");
    arena_on_free(a, note_cleanup, (char *)"c");
    arena_destroy(a);
    assert_string_equal(trace, "bac");
}

static void *thread_main(void *arg)
{
    struct arena *a = arena_create(0);
    memset(arena_alloc(a, 50000), 1, 50000);
    arena_destroy(arg); /* made by another thread: handed over */
    return a;
}

/* The blocks that a thread kept are freed with it: the leak checker looks. */
static void an_arena_can_be_handed_to_another_thread(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    arena_alloc(a, 30000);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, thread_main, a), 0);
    void *back = NULL;
    pthread_join(thread, &back);
    arena_destroy(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_do_not_overlap),
        cmocka_unit_test(reset_gives_the_memory_back_and_the_arena_goes_on),
        cmocka_unit_test(a_reserve_beyond_the_budget_is_refused),
        cmocka_unit_test(the_newest_allocation_grows_in_place),
        cmocka_unit_test(strings_and_slices_are_copied),
        cmocka_unit_test(cleanups_run_in_reverse_order_once),
        cmocka_unit_test(an_arena_can_be_handed_to_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
