/* Arrays: building, walking, subscripts, order, text with quotes and escapes. */
#include "random_datum.h"
#include "sql/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct datum parse(struct arena *a, type_oid element, const char *text)
{
    struct datum d;
    assert_null(array_parse(a, element, -1, slice_str(text), &d));
    return d;
}

static void assert_text(const struct datum *d, const char *expected)
{
    struct buf b = {0};
    array_format(d, &b);
    buf_put_u8(&b, 0);
    assert_string_equal((char *)b.data, expected);
    buf_deinit(&b);
}

static void elements_are_found_and_cut(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct datum d = parse(a, TYPE_INT4, "{10,NULL,30}"), e, both;
    int n;
    assert_int_equal(array_count(&d), 3);
    assert_int_equal(array_element_type(&d), TYPE_INT4);
    e = array_get(&d, 1);
    assert_int_equal(e.i, 10);
    assert_true(array_get(&d, 2).is_null);
    assert_true(array_get(&d, 0).is_null);
    assert_true(array_get(&d, 4).is_null);
    e = array_slice(a, &d, 2, 9);
    assert_text(&e, "{NULL,30}");
    e = array_slice(a, &d, 3, 2);
    assert_text(&e, "{}");
    assert_null(array_concat(a, &d, &d, &both));
    assert_text(&both, "{10,NULL,30,10,NULL,30}");
    struct datum *list = array_elements(a, &d, &n);
    assert_int_equal(n, 3);
    assert_int_equal(list[2].i, 30);
    arena_destroy(a);
}

static void text_is_quoted_where_needed(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct datum d = parse(a, TYPE_TEXT, "{a, \"b c\" ,\"\",\"NULL\",null,\"q\\\"\\\\\"}");
    assert_text(&d, "{a,\"b c\",\"\",\"NULL\",NULL,\"q\\\"\\\\\"}");
    d = parse(a, TYPE_TIMESTAMP, "{2001-02-03 04:05}");
    assert_text(&d, "{\"2001-02-03 04:05:00\"}");
    arena_destroy(a);
}

static void order_is_by_element_then_length(void **state)
{
    (void)state;
    static const char *const ordered[] = {"{}", "{1}", "{1,2}", "{1,NULL}", "{2}", "{NULL}"};
    struct arena *a = arena_create(0);
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 6; k++) {
            struct datum x = parse(a, TYPE_INT4, ordered[i]), y = parse(a, TYPE_INT4, ordered[k]);
            int c = array_compare(&x, &y);
            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
        }
    }
    arena_destroy(a);
}

static void two_dimensions_are_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct datum d;
    struct status *st = array_parse(a, TYPE_INT4, -1, slice_str("{{1,2},{3,4}}"), &d);
    assert_string_equal(st->sqlstate, "0A000");
    status_free(st);
    st = array_parse(a, TYPE_INT4, -1, slice_str("[0:1]={1,2}"), &d);
    assert_string_equal(st->sqlstate, "0A000");
    status_free(st);
    arena_destroy(a);
}

static void text_and_binary_come_back(void **state)
{
    (void)state;
    static const type_oid arrays[] = {TYPE_TEXT_ARRAY, TYPE_INT4_ARRAY, TYPE_NUMERIC_ARRAY};
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 5000; i++) {
        struct arena *a = arena_create(0);
        type_oid type = arrays[i % 3];
        struct datum d = random_datum(a, &r, type), back;
        struct buf b = {0};
        assert_true(array_check(type_find(type)->element, datum_slice(&d)));
        if (type != TYPE_TEXT_ARRAY) { /* those bytes are no UTF-8 */
            array_format(&d, &b);
            assert_null(array_parse(a, type_find(type)->element, -1, buf_slice(&b), &back));
            assert_int_equal(array_compare(&d, &back), 0);
            assert_true(array_hash(&d) == array_hash(&back));
            buf_clear(&b);
            array_send(&d, &b);
            assert_null(array_recv(a, type_find(type)->element, -1, buf_slice(&b), &back));
            assert_int_equal(array_compare(&d, &back), 0);
        }
        buf_deinit(&b);
        arena_destroy(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_found_and_cut),
        cmocka_unit_test(text_is_quoted_where_needed),
        cmocka_unit_test(order_is_by_element_then_length),
        cmocka_unit_test(two_dimensions_are_refused),
        cmocka_unit_test(text_and_binary_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
