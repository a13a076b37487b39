/* The type table, typmods, and text and binary forms against PostgreSQL's answers. */
#include "base/rng.h"
#include "sql/types.h"
#include "type_cases.h"

#include "cases_types.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void gives_what_postgresql_gives(void **state)
{
    (void)state;
    assert_int_equal(type_cases_run(type_cases, sizeof type_cases / sizeof *type_cases), 0);
}

static void every_type_is_found_by_oid_and_name(void **state)
{
    (void)state;
    const struct type_info *list[128];
    size_t n = type_all(list, 128);
    assert_true(n > 40 && n < 128);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(type_find(list[i]->oid), list[i]);
        assert_ptr_equal(type_find_name(slice_str(list[i]->name)), list[i]);
        if (list[i]->array_oid != 0) {
            assert_int_equal(type_find(list[i]->array_oid)->element, list[i]->oid);
        }
    }
    assert_null(type_find(12345));
    assert_null(type_find_name(slice_str("serial")));
    assert_int_equal(type_find_name(slice_str("character varying"))->oid, TYPE_VARCHAR);
    assert_int_equal(type_find_name(slice_str("int"))->oid, TYPE_INT4);
    assert_int_equal(type_find_name(slice_str("pg_catalog.int8[]"))->oid, TYPE_INT8_ARRAY);
}

static void typmods_are_postgresqls(void **state)
{
    (void)state;
    static const struct {
        type_oid type;
        int32_t mods[2];
        int count;
        int32_t typmod;
        const char *text;
    } cases[] = {
        {TYPE_VARCHAR, {20}, 1, 24, "character varying(20)"},
        {TYPE_BPCHAR, {1}, 1, 5, "character(1)"},
        {TYPE_NUMERIC, {10, 2}, 2, 655366, "numeric(10,2)"},
        {TYPE_NUMERIC, {10}, 1, 655364, "numeric(10,0)"},
        {TYPE_NUMERIC, {3, -2}, 2, 198658, "numeric(3,-2)"},
        {TYPE_TIMESTAMP, {3}, 1, 3, "timestamp(3) without time zone"},
        {TYPE_TIMESTAMPTZ, {0}, 1, 0, "timestamp(0) with time zone"},
        {TYPE_INTERVAL, {4}, 1, 327679, "interval year"},
        {TYPE_INTERVAL, {32767, 3}, 2, 2147418115, "interval(3)"},
        {TYPE_VARCHAR_ARRAY, {7}, 1, 11, "character varying(7)[]"},
    };
    struct arena *a = arena_create(0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t typmod = -2;
        assert_null(type_typmod(cases[i].type, cases[i].mods, cases[i].count, &typmod));
        assert_int_equal(typmod, cases[i].typmod);
        assert_string_equal(type_format(a, cases[i].type, typmod), cases[i].text);
    }
    static const struct {
        type_oid type;
        int32_t mod;
    } bad[] = {{TYPE_VARCHAR, 0}, {TYPE_BPCHAR, 10485761}, {TYPE_NUMERIC, 1001}, {TYPE_INT4, 1}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int32_t typmod;
        assert_true(status_consume(type_typmod(bad[i].type, &bad[i].mod, 1, &typmod)));
    }
    arena_destroy(a);
}

/* Assignment semantics: too long is an error unless only blanks are lost. */
static void lengths_are_enforced_in_characters(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct datum d;
    struct status *st = type_input(a, TYPE_VARCHAR, 3 + 4, slice_str("abcd"), &d);
    assert_string_equal(st->sqlstate, "22001");
    assert_string_equal(st->message, "value too long for type character varying(3)");
    status_free(st);
    assert_null(type_input(a, TYPE_VARCHAR, 3 + 4, slice_str("äöü"), &d));
    assert_int_equal(d.len, 6);
    assert_null(type_input(a, TYPE_VARCHAR, 3 + 4, slice_str("ab    "), &d));
    assert_true(slice_eq(datum_slice(&d), slice_str("ab ")));
    assert_null(type_input(a, TYPE_BPCHAR, 4 + 4, slice_str("ä"), &d));
    assert_true(slice_eq(datum_slice(&d), slice_str("ä   ")));
    arena_destroy(a);
}

static void text_must_be_utf8_without_zero_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"a\0b", 3},         {"\xff", 1},         {"abc\xc3", 4},
               {"\xc0\x80", 2},     {"\xed\xa0\x80", 3}, {"\xf4\x90\x80\x80", 4},
               {"12345678\x80", 9}, {"1234567\0", 8}};
    struct arena *a = arena_create(0);
    struct datum d;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct status *st = type_input(a, TYPE_TEXT, -1, slice_make(bad[i].bytes, bad[i].len), &d);
        assert_non_null(st);
        assert_string_equal(st->sqlstate, "22021");
        status_free(st);
    }
    assert_null(type_input(a, TYPE_TEXT, -1, slice_str("12345678 \xf0\x9f\x98\x80 ü"), &d));
    arena_destroy(a);
}

static void floats_read_back_as_themselves(void **state)
{
    (void)state;
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&r);
        struct datum d = {.i = 0}, back;
        memcpy(&d.f, &bits, sizeof bits);
        bool is_float = i & 1;
        if (is_float) {
            d.f = (double)(float)d.f;
        }
        if (isnan(d.f) || isinf(d.f)) {
            continue;
        }
        struct arena *a = arena_create(0);
        struct buf b = {0};
        type_oid type = is_float ? TYPE_FLOAT4 : TYPE_FLOAT8;
        type_output(type, &d, &b);
        assert_null(type_input(a, type, -1, buf_slice(&b), &back));
        assert_true(back.f == d.f);
        buf_deinit(&b);
        arena_destroy(a);
    }
}

/* Any bytes, any type: an error or a value, never a crash. */
static void binary_garbage_is_refused_or_read(void **state)
{
    (void)state;
    const struct type_info *list[128];
    size_t n = type_all(list, 128);
    struct rng r;
    rng_seed(&r, 2);
    for (int i = 0; i < 50000; i++) {
        uint8_t bytes[40];
        size_t len = rng_below(&r, sizeof bytes);
        for (size_t k = 0; k < len; k++) {
            bytes[k] = rng_below(&r, 3) ? (uint8_t)rng_below(&r, 3) : (uint8_t)rng_next(&r);
        }
        struct arena *a = arena_create(0);
        struct datum d;
        const struct type_info *t = list[rng_below(&r, n)];
        if (rng_below(&r, 2)
                ? !status_consume(type_recv(a, t->oid, -1, slice_make(bytes, len), &d))
                : !status_consume(type_input(a, t->oid, -1, slice_make(bytes, len), &d))) {
            struct buf b = {0};
            type_output(t->oid, &d, &b);
            type_send(t->oid, &d, &b);
            (void)type_hash(t->oid, &d);
            assert_int_equal(type_compare(t->oid, &d, &d), 0);
            buf_deinit(&b);
        }
        arena_destroy(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_what_postgresql_gives),
        cmocka_unit_test(every_type_is_found_by_oid_and_name),
        cmocka_unit_test(typmods_are_postgresqls),
        cmocka_unit_test(lengths_are_enforced_in_characters),
        cmocka_unit_test(text_must_be_utf8_without_zero_bytes),
        cmocka_unit_test(floats_read_back_as_themselves),
        cmocka_unit_test(binary_garbage_is_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
