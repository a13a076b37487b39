/*
 * Expressions: three-valued logic, narrowing, errors, kernels against single calls, and bytes that
 * survive the wire or are refused.
 */
#include "expr_lib.h"

static struct expr *node(struct arena *a, enum expr_kind kind, type_oid type, int nargs,
                         struct expr *const *args)
{
    struct expr *e = ARENA_NEW(a, struct expr);
    *e = (struct expr){.kind = kind, .type = type, .typmod = -1, .nargs = nargs, .location = -1};
    e->args = ARENA_ARRAY(a, struct expr *, nargs + 1);
    for (int i = 0; i < nargs; i++) {
        e->args[i] = args[i];
    }
    return e;
}

static struct expr *column(struct arena *a, int index)
{
    return expr_column(a, TYPE_INT4, -1, index);
}

static struct expr *num(struct arena *a, int v)
{
    return expr_const(a, TYPE_INT4, datum_int(v));
}

static struct expr *boolean(struct arena *a, int v) /* -1: NULL */
{
    return expr_const(a, TYPE_BOOL, v < 0 ? DATUM_NULL : datum_bool(v));
}

/* t, f or - of a boolean expression without columns. */
static char truth(struct arena *a, struct expr *e)
{
    struct eval_ctx ctx = {.arena = a};
    struct datum d;
    MUST(expr_eval_const(&ctx, e, &d));
    return d.is_null ? '-' : d.i ? 't' : 'f';
}

static char *over(struct arena *a, struct expr *e, struct batch *in)
{
    struct eval_ctx ctx = {.arena = a};
    struct datum *d = ARENA_ARRAY(a, struct datum, in->nrows);
    struct buf b = {0};
    MUST(expr_eval(&ctx, e, in, NULL, in->nrows, d));
    for (int r = 0; r < in->nrows; r++) {
        const char *s = text_of(a, e->type, &d[r]);
        buf_printf(&b, "%s;", s != NULL ? s : "-");
    }
    char *s = arena_strndup(a, b.data, b.len);
    buf_deinit(&b);
    return s;
}

static void and_or_not_have_three_values(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    static const char and_table[] = "fffft-f--", or_table[] = "ft-ttt-t-";
    static const int values[] = {0, 1, -1};
    for (int i = 0; i < 9; i++) {
        struct expr *args[] = {boolean(a, values[i / 3]), boolean(a, values[i % 3])};
        assert_int_equal(truth(a, node(a, EXPR_AND, TYPE_BOOL, 2, args)), and_table[i]);
        assert_int_equal(truth(a, node(a, EXPR_OR, TYPE_BOOL, 2, args)), or_table[i]);
    }
    struct expr *null[] = {boolean(a, -1)}, *yes[] = {boolean(a, 1)};
    assert_int_equal(truth(a, node(a, EXPR_NOT, TYPE_BOOL, 1, null)), '-');
    assert_int_equal(truth(a, node(a, EXPR_NOT, TYPE_BOOL, 1, yes)), 'f');
    struct expr *e = node(a, EXPR_BOOL_TEST, TYPE_BOOL, 1, null);
    e->index = 2;
    assert_int_equal(truth(a, e), 't');
    e->negate = true;
    assert_int_equal(truth(a, e), 'f');
    arena_destroy(a);
}

static void a_branch_not_taken_raises_no_error(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct batch *in = ints(a, 1, "0;1;2;-;");
    struct expr *quotient = call2(a, "op:/", num(a, 10), column(a, 0));
    struct expr *is_zero = call2(a, "op:=", column(a, 0), num(a, 0));
    struct expr *case_args[] = {is_zero, num(a, -1), quotient};
    struct expr *e = node(a, EXPR_CASE, TYPE_INT4, 3, case_args);
    e->has_else = true;
    assert_string_equal(over(a, e, in), "-1;10;5;-;");
    struct expr *not_zero = call2(a, "op:<>", column(a, 0), num(a, 0));
    struct expr *and_args[] = {not_zero, call2(a, "op:>", quotient, num(a, 6))};
    assert_string_equal(over(a, node(a, EXPR_AND, TYPE_BOOL, 2, and_args), in), "f;t;f;-;");
    struct expr *or_args[] = {is_zero, call2(a, "op:>", quotient, num(a, 6))};
    assert_string_equal(over(a, node(a, EXPR_OR, TYPE_BOOL, 2, or_args), in), "t;t;f;-;");
    struct expr *coalesce_args[] = {column(a, 0), call2(a, "op:/", num(a, 1), num(a, 1))};
    assert_string_equal(over(a, node(a, EXPR_COALESCE, TYPE_INT4, 2, coalesce_args), in),
                        "0;1;2;1;");
    struct eval_ctx ctx = {.arena = a};
    struct datum d[4];
    REFUSED("22012", expr_eval(&ctx, quotient, in, NULL, 4, d));
    int sel[4], n;
    MUST(expr_filter(&ctx, node(a, EXPR_AND, TYPE_BOOL, 2, and_args), in, sel, &n));
    assert_int_equal(n, 1);
    assert_int_equal(sel[0], 1);
    arena_destroy(a);
}

static void in_lists_and_arrays_know_null(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct batch *in = ints(a, 1, "1;2;30;-;");
    for (int count = 3; count <= 20; count += 17) { /* one by one, and by a set */
        struct expr *args[32] = {column(a, 0)};
        for (int i = 0; i < count; i++) {
            args[1 + i] = num(a, i == 0 ? 1 : 1000 + i);
        }
        struct expr *e = node(a, EXPR_IN, TYPE_BOOL, count + 1, args);
        assert_string_equal(over(a, e, in), "t;f;f;-;");
        e->negate = true;
        assert_string_equal(over(a, e, in), "f;t;t;-;");
        e->negate = false;
        e->args[count] = expr_const(a, TYPE_INT4, DATUM_NULL);
        assert_string_equal(over(a, e, in), "t;-;-;-;");
        e->negate = true;
        assert_string_equal(over(a, e, in), "f;-;-;-;");
    }
    static const struct {
        const char *array, *any, *all;
    } cases[] = {
        {"{}", "f;f;f;f;", "t;t;t;t;"},
        {"{1,2}", "t;t;f;-;", "f;f;f;-;"},
        {"{2,NULL}", "-;t;-;-;", "f;-;f;-;"},
        {"{1,3,4,5,6,7,8,9,10,11,12,13}", "t;f;f;-;", "f;f;f;-;"},
        {"{1,3,4,5,6,7,8,9,10,11,12,NULL}", "t;-;-;-;", "f;f;f;-;"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct expr *args[] = {column(a, 0), value(a, "int4[]", cases[i].array)};
        struct expr *e = node(a, EXPR_ANY_ARRAY, TYPE_BOOL, 2, args);
        e->func = call2(a, "op:=", num(a, 1), num(a, 1))->func;
        assert_string_equal(over(a, e, in), cases[i].any);
        e->negate = true;
        assert_string_equal(over(a, e, in), cases[i].all);
    }
    arena_destroy(a);
}

static void greatest_least_distinct_and_array_work(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct batch *in = ints(a, 2, "1,2;3,-;-,-;5,4;");
    struct expr *both[] = {column(a, 0), column(a, 1)};
    struct expr *e = node(a, EXPR_GREATEST, TYPE_INT4, 2, both);
    assert_string_equal(over(a, e, in), "2;3;-;5;");
    e->negate = true;
    assert_string_equal(over(a, e, in), "1;3;-;4;");
    e = node(a, EXPR_DISTINCT, TYPE_BOOL, 2, both);
    assert_string_equal(over(a, e, in), "t;t;f;t;");
    e = node(a, EXPR_ARRAY, TYPE_INT4_ARRAY, 2, both);
    assert_string_equal(over(a, e, in), "{1,2};{3,NULL};{NULL,NULL};{5,4};");
    e = node(a, EXPR_IS_NULL, TYPE_BOOL, 1, both + 1);
    assert_string_equal(over(a, e, in), "f;t;t;f;");
    arena_destroy(a);
}

/* The loops over a batch give what the functions give row by row. */
static void kernels_agree_with_single_calls(void **state)
{
    (void)state;
    static const char *const ops[] = {"op:=",  "op:<>", "op:<", "op:<=", "op:>",
                                      "op:>=", "op:+",  "op:-", "op:*"};
    static const char *const types[] = {"int4", "int8", "float8"};
    struct arena *a = arena_create(0);
    for (size_t t = 0; t < 3; t++) {
        type_oid oid = type_named(types[t]);
        uint32_t col_types[] = {oid, oid};
        struct batch *in = batch_create(a, 2, col_types, 200);
        in->nrows = 200;
        for (int r = 0; r < 200; r++) {
            for (int c = 0; c < 2; c++) {
                int64_t v = (int64_t)(test_random(NULL) % 7) - 3;
                in->cols[c][r] = test_random(NULL) % 8 == 0 ? DATUM_NULL
                                 : t == 2                   ? datum_float((double)v / 2)
                                                            : datum_int(v);
            }
        }
        for (size_t o = 0; o < sizeof(ops) / sizeof(ops[0]); o++) {
            struct expr *e =
                call2(a, ops[o], expr_column(a, oid, -1, 0), expr_column(a, oid, -1, 1));
            struct eval_ctx ctx = {.arena = a};
            struct datum all[200];
            MUST(expr_eval(&ctx, e, in, NULL, 200, all));
            for (int r = 0; r < 200; r++) {
                struct datum one;
                MUST(expr_eval(&ctx, e, in, &r, 1, &one));
                assert_int_equal(one.is_null, all[r].is_null);
                assert_true(one.is_null || one.i == all[r].i);
            }
        }
    }
    struct batch *in = ints(a, 1, "2147483647;1;");
    struct eval_ctx ctx = {.arena = a};
    struct datum d[2];
    REFUSED("22003", expr_eval(&ctx, call2(a, "op:+", column(a, 0), num(a, 1)), in, NULL, 2, d));
    arena_destroy(a);
}

static void volatile_calls_run_for_every_row(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct expr *e;
    MUST(call(a, "random", 0, NULL, &e));
    assert_true(expr_is_volatile(e));
    struct batch *in = ints(a, 1, "1;2;3;");
    struct eval_ctx ctx = {.arena = a, .random = test_random};
    struct datum d[3];
    MUST(expr_eval(&ctx, e, in, NULL, 3, d));
    assert_true(d[0].f != d[1].f && d[1].f != d[2].f);
    assert_true(d[0].f >= 0 && d[0].f < 1);
    MUST(call(a, "now", 0, NULL, &e));
    assert_true(expr_is_stable(e) && !expr_is_volatile(e));
    arena_destroy(a);
}

static void parameters_are_read_and_missing_ones_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct expr *p = node(a, EXPR_PARAM, TYPE_INT4, 0, NULL);
    struct datum params[1] = {datum_int(7)}, d;
    struct eval_ctx ctx = {.arena = a, .params = params, .nparams = 1};
    MUST(expr_eval_const(&ctx, call2(a, "op:+", p, num(a, 1)), &d));
    assert_int_equal(d.i, 8);
    p->index = 1;
    REFUSED("42P02", expr_eval_const(&ctx, p, &d));
    REFUSED("XX000", expr_eval_const(&ctx, column(a, 0), &d));
    arena_destroy(a);
}

/* A tree with every kind of node that travels. */
static struct expr *big_tree(struct arena *a)
{
    struct expr *sum = call2(a, "op:+", column(a, 0), num(a, 5));
    struct expr *in_args[] = {column(a, 1), num(a, 1), num(a, 2)};
    struct expr *in = node(a, EXPR_IN, TYPE_BOOL, 3, in_args);
    in->negate = true;
    struct expr *like = call2(a, "op:~~", expr_column(a, TYPE_TEXT, -1, 2), value(a, "text", "a%"));
    struct expr *any_args[] = {column(a, 0), value(a, "int4[]", "{1,NULL,3}")};
    struct expr *any = node(a, EXPR_ANY_ARRAY, TYPE_BOOL, 2, any_args);
    any->func = call2(a, "op:=", num(a, 1), num(a, 1))->func;
    struct expr *num_cmp = call2(a, "op:>", value(a, "numeric", "12.50"), value(a, "numeric", "1"));
    struct expr *iv =
        call2(a, "op:=", value(a, "interval", "1 day"), value(a, "interval", "24:00"));
    struct expr *nul = node(a, EXPR_IS_NULL, TYPE_BOOL, 1, (struct expr *[]){column(a, 1)});
    struct expr *cast;
    MUST(expr_cast(a, sum, TYPE_TEXT, -1, CAST_EXPLICIT, &cast));
    struct expr *distinct =
        node(a, EXPR_DISTINCT, TYPE_BOOL, 2, (struct expr *[]){cast, value(a, "text", "x'y")});
    struct expr *case_args[] = {nul, boolean(a, 1), boolean(a, -1)};
    struct expr *cased = node(a, EXPR_CASE, TYPE_BOOL, 3, case_args);
    cased->has_else = true;
    struct expr *test = node(a, EXPR_BOOL_TEST, TYPE_BOOL, 1, (struct expr *[]){cased});
    test->index = 1;
    struct expr *great = node(a, EXPR_GREATEST, TYPE_INT4, 2,
                              (struct expr *[]){sum, node(a, EXPR_PARAM, TYPE_INT4, 0, NULL)});
    struct expr *args[] = {in, like,     any,  num_cmp,
                           iv, distinct, test, call2(a, "op:<", great, num(a, 9))};
    struct expr *or_args[] = {node(a, EXPR_AND, TYPE_BOOL, 8, args), boolean(a, 0)};
    return node(a, EXPR_NOT, TYPE_BOOL, 1,
                (struct expr *[]){node(a, EXPR_OR, TYPE_BOOL, 2, or_args)});
}

static void bytes_come_back_as_the_same_tree(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct expr *e = big_tree(a), *back;
    struct buf b = {0};
    struct reader r;
    expr_encode(&b, e);
    reader_init(&r, buf_slice(&b));
    MUST(expr_decode(a, &r, &back));
    assert_int_equal(reader_left(&r), 0);
    assert_true(expr_equal(e, back));
    assert_true(expr_equal(e, expr_copy(a, e)));
    struct buf text = {0};
    static const char *const names[] = {"x", "y", "s"};
    expr_format(&text, back, names);
    buf_put_u8(&text, 0);
    assert_string_equal(
        (char *)text.data,
        "(NOT (((y NOT IN (1, 2)) AND (s ~~ 'a%'::text) AND (x = ANY ('{1,NULL,3}'::integer[])) "
        "AND "
        "('12.50'::numeric > '1'::numeric) AND ('1 day'::interval = '24:00:00'::interval) AND "
        "(((x + 5))::text IS DISTINCT FROM 'x''y'::text) AND (CASE WHEN (y IS NULL) THEN true ELSE "
        "NULL END IS FALSE) AND (GREATEST((x + 5), $1) < 9)) OR false))");
    buf_deinit(&text);
    buf_deinit(&b);
    arena_destroy(a);
}

static void run_if_sound(struct arena *a, struct slice bytes)
{
    struct expr *e;
    struct reader r;
    reader_init(&r, bytes);
    if (status_consume(expr_decode(a, &r, &e))) {
        return;
    }
    uint32_t types[] = {TYPE_INT4, TYPE_INT4, TYPE_TEXT};
    struct batch *in = batch_create(a, 3, types, 4);
    in->nrows = 4;
    for (int k = 0; k < 4; k++) {
        in->cols[0][k] = k == 3 ? DATUM_NULL : datum_int(k);
        in->cols[1][k] = datum_int(3 - k);
        in->cols[2][k] = datum_bytes(slice_str("abc"));
    }
    struct datum params[1] = {datum_int(1)}, d[4];
    struct eval_ctx ctx = {.arena = a, .params = params, .nparams = 1};
    (void)status_consume(expr_eval(&ctx, e, in, NULL, 4, d));
}

static void cut_or_damaged_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    struct arena *a = arena_create((size_t)16 << 20);
    struct buf b = {0};
    expr_encode(&b, big_tree(a));
    for (size_t n = 0; n < b.len; n++) {
        struct expr *e;
        struct reader r;
        uint8_t *exact = malloc(n > 0 ? n : 1);
        memcpy(exact, b.data, n);
        reader_init(&r, slice_make(exact, n));
        assert_true(status_consume(expr_decode(a, &r, &e)));
        free(exact);
    }
    uint8_t *copy = malloc(b.len);
    for (int round = 0; round < 20000; round++) {
        memcpy(copy, b.data, b.len);
        for (uint64_t k = test_random(NULL) % 3 + 1; k > 0; k--) {
            copy[test_random(NULL) % b.len] = (uint8_t)test_random(NULL);
        }
        struct arena *small = arena_create((size_t)4 << 20);
        run_if_sound(small, slice_make(copy, b.len));
        arena_destroy(small);
    }
    free(copy);
    buf_deinit(&b);
    arena_destroy(a);
}

static void nesting_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct expr *e = boolean(a, 1), *back;
    for (int i = 0; i < 5000; i++) {
        e = node(a, EXPR_NOT, TYPE_BOOL, 1, (struct expr *[]){e});
    }
    struct buf b = {0};
    struct reader r;
    expr_encode(&b, e);
    reader_init(&r, buf_slice(&b));
    REFUSED("54001", expr_decode(a, &r, &back));
    buf_deinit(&b);
    arena_destroy(a);
}

/* What a hostile peer would try: a function over values held another way. */
static void a_call_with_arguments_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct expr *good = call2(a, "op:||", value(a, "text", "a"), value(a, "text", "b")), *back;
    struct expr *swapped[] = {num(a, 1), num(a, 2)};
    struct expr *bad = expr_call(a, good->func, TYPE_TEXT, 2, swapped);
    struct expr *sub = node(a, EXPR_SUBPLAN, TYPE_INT4, 0, NULL);
    struct expr *few = expr_call(a, good->func, TYPE_TEXT, 1, good->args);
    struct expr *agg = expr_call(a, func_by_id(2803), TYPE_INT8, 0, NULL);
    struct expr *list[] = {bad, sub, few, agg};
    for (size_t i = 0; i < 4; i++) {
        struct buf b = {0};
        struct reader r;
        expr_encode(&b, list[i]);
        reader_init(&r, buf_slice(&b));
        REFUSED("XX001", expr_decode(a, &r, &back));
        buf_deinit(&b);
    }
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(and_or_not_have_three_values),
        cmocka_unit_test(a_branch_not_taken_raises_no_error),
        cmocka_unit_test(in_lists_and_arrays_know_null),
        cmocka_unit_test(greatest_least_distinct_and_array_work),
        cmocka_unit_test(kernels_agree_with_single_calls),
        cmocka_unit_test(volatile_calls_run_for_every_row),
        cmocka_unit_test(parameters_are_read_and_missing_ones_refused),
        cmocka_unit_test(bytes_come_back_as_the_same_tree),
        cmocka_unit_test(cut_or_damaged_bytes_are_refused_or_harmless),
        cmocka_unit_test(nesting_beyond_the_limit_is_refused),
        cmocka_unit_test(a_call_with_arguments_of_another_kind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
