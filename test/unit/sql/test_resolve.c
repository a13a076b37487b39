/*
 * Which function a call means, and which casts there are: PostgreSQL's rules.
 */
#include "expr_lib.h"

#include "funcs.h"

static const struct func_def *resolved(const char *fn, int nargs, const type_oid *args,
                                       type_oid *want, type_oid *result)
{
    const struct func_def *f = NULL;
    MUST(func_resolve(slice_str(fn), args, nargs, false, &f, want, result));
    return f;
}

static void an_exact_match_wins(void **state)
{
    (void)state;
    type_oid args[1] = {TYPE_INT8}, want[1], result;
    assert_int_equal(resolved("abs", 1, args, want, &result)->id, 1396);
    assert_int_equal(result, TYPE_INT8);
    args[0] = TYPE_INT2;
    assert_int_equal(resolved("abs", 1, args, want, &result)->id, 1398);
}

static void integers_take_the_preferred_float_where_there_is_no_integer_form(void **state)
{
    (void)state;
    type_oid args[1] = {TYPE_INT4}, want[1], result;
    resolved("sqrt", 1, args, want, &result);
    assert_int_equal(want[0], TYPE_FLOAT8);
    resolved("round", 1, args, want, &result);
    assert_int_equal(result, TYPE_FLOAT8);
}

static void an_untyped_literal_is_taken_for_text_or_for_the_other_side(void **state)
{
    (void)state;
    const struct func_def *f;
    type_oid l, r, result;
    MUST(func_resolve_op(slice_str("+"), TYPE_UNKNOWN, TYPE_INT4, &f, &l, &r, &result));
    assert_int_equal(l, TYPE_INT4);
    MUST(func_resolve_op(slice_str("||"), TYPE_UNKNOWN, TYPE_UNKNOWN, &f, &l, &r, &result));
    assert_int_equal(result, TYPE_TEXT);
    MUST(func_resolve_op(slice_str("="), TYPE_DATE, TYPE_UNKNOWN, &f, &l, &r, &result));
    assert_int_equal(r, TYPE_DATE);
    MUST(func_resolve_op(slice_str("-"), TYPE_TIMESTAMPTZ, TYPE_UNKNOWN, &f, &l, &r, &result));
    assert_int_equal(r, TYPE_TIMESTAMPTZ);
    MUST(func_resolve_op(slice_str("+"), TYPE_TIMESTAMPTZ, TYPE_INTERVAL, &f, &l, &r, &result));
    assert_int_equal(result, TYPE_TIMESTAMPTZ);
    MUST(func_resolve_op(slice_str("!="), TYPE_VARCHAR, TYPE_UNKNOWN, &f, &l, &r, &result));
    assert_string_equal(f->name, "textne");
    MUST(func_resolve_op(slice_str("="), TYPE_VARCHAR, TYPE_TEXT, &f, &l, &r, &result));
    assert_string_equal(f->name, "texteq");
    MUST(func_resolve_op(slice_str("="), TYPE_BPCHAR, TYPE_UNKNOWN, &f, &l, &r, &result));
    assert_string_equal(f->name, "bpchareq");
    MUST(func_resolve_op(slice_str("="), TYPE_OID, TYPE_REGCLASS, &f, &l, &r, &result));
    assert_string_equal(f->name, "oideq");
    MUST(func_resolve_op(slice_str("="), TYPE_OID, TYPE_INT4, &f, &l, &r, &result));
    assert_string_equal(f->name, "oideq");
    MUST(func_resolve_op(slice_str("="), TYPE_NAME, TYPE_UNKNOWN, &f, &l, &r, &result));
    assert_string_equal(f->name, "nameeq");
    MUST(func_resolve_op(slice_str("~"), TYPE_NAME, TYPE_UNKNOWN, &f, &l, &r, &result));
    assert_string_equal(f->name, "nameregexeq");
    MUST(func_resolve_op(slice_str("*"), TYPE_INT4, TYPE_FLOAT4, &f, &l, &r, &result));
    assert_int_equal(result, TYPE_FLOAT8);
    MUST(func_resolve_op(slice_str("*"), TYPE_INTERVAL, TYPE_INT4, &f, &l, &r, &result));
    assert_int_equal(r, TYPE_FLOAT8);
    MUST(func_resolve_op(slice_str("/"), TYPE_INT8, TYPE_NUMERIC, &f, &l, &r, &result));
    assert_int_equal(result, TYPE_NUMERIC);
}

static void refusals_name_the_types_and_give_a_hint(void **state)
{
    (void)state;
    const struct func_def *f;
    type_oid args[2] = {TYPE_BOOL, TYPE_INT4}, want[2], result;
    struct status *st = func_resolve(slice_str("lower"), args, 2, false, &f, want, &result);
    assert_string_equal(st->sqlstate, "42883");
    assert_string_equal(st->message, "function lower(boolean, integer) does not exist");
    assert_non_null(st->hint);
    status_free(st);
    st = func_resolve_op(slice_str("+"), TYPE_BOOL, TYPE_TEXT, &f, &want[0], &want[1], &result);
    assert_string_equal(st->message, "operator does not exist: boolean + text");
    status_free(st);
    st = func_resolve_op(slice_str("~"), 0, TYPE_UNKNOWN, &f, &want[0], &want[1], &result);
    assert_string_equal(st->sqlstate, "42725");
    status_free(st);
    REFUSED("42809", func_resolve(slice_str("count"), NULL, 0, false, &f, want, &result));
    REFUSED("42809", func_resolve(slice_str("lower"), NULL, 0, true, &f, want, &result));
    REFUSED("42883", func_resolve(slice_str("cast_io"), args, 1, false, &f, want, &result));
}

static void stars_variadics_defaults_and_polymorphic_types_resolve(void **state)
{
    (void)state;
    const struct func_def *f;
    type_oid args[8], want[8], result;
    MUST(func_resolve(slice_str("count"), NULL, 0, true, &f, want, &result));
    assert_int_equal(f->nargs, 0);
    args[0] = TYPE_UNKNOWN;
    args[1] = TYPE_INT4;
    args[2] = TYPE_DATE;
    f = resolved("concat", 3, args, want, &result);
    assert_true(f->is_variadic);
    assert_int_equal(want[0], TYPE_TEXT);
    assert_int_equal(want[2], TYPE_DATE);
    args[0] = args[1] = TYPE_INT4;
    f = resolved("make_interval", 2, args, want, &result);
    assert_int_equal(f->ndefaults, 7);
    args[0] = TYPE_INT4_ARRAY;
    args[1] = TYPE_INT8;
    resolved("array_append", 2, args, want, &result);
    assert_int_equal(result, TYPE_INT8_ARRAY);
    assert_int_equal(want[0], TYPE_INT8_ARRAY);
    args[0] = TYPE_TEXT_ARRAY;
    f = resolved("unnest", 1, args, want, &result);
    assert_int_equal(f->class, FUNC_SET);
    assert_int_equal(result, TYPE_TEXT);
    args[0] = TYPE_NUMERIC;
    resolved("array_agg", 1, args, want, &result);
    assert_int_equal(result, TYPE_NUMERIC_ARRAY);
    args[0] = TYPE_VARCHAR;
    f = resolved("max", 1, args, want, &result);
    assert_int_equal(want[0], TYPE_TEXT);
}

static void a_type_name_used_as_a_function_is_a_cast(void **state)
{
    (void)state;
    type_oid args[1] = {TYPE_UNKNOWN}, want[1], result;
    const struct func_def *f = resolved("int4", 1, args, want, &result);
    assert_int_equal(f->id, FUNC_ID_CAST_IO);
    assert_int_equal(result, TYPE_INT4);
    args[0] = TYPE_FLOAT8;
    f = resolved("text", 1, args, want, &result);
    assert_int_equal(f->id, FUNC_ID_CAST_IO);
    assert_int_equal(result, TYPE_TEXT);
    f = resolved("int4", 1, args, want, &result);
    assert_int_equal(f->id, 317);
}

static void common_types_follow_the_rules_of_union_and_case(void **state)
{
    (void)state;
    type_oid out;
    MUST(type_common((type_oid[]){TYPE_INT4, TYPE_NUMERIC}, 2, "CASE", &out));
    assert_int_equal(out, TYPE_NUMERIC);
    MUST(type_common((type_oid[]){TYPE_UNKNOWN, TYPE_UNKNOWN}, 2, "CASE", &out));
    assert_int_equal(out, TYPE_TEXT);
    MUST(type_common((type_oid[]){TYPE_TEXT, TYPE_VARCHAR, TYPE_UNKNOWN}, 3, "CASE", &out));
    assert_int_equal(out, TYPE_TEXT);
    MUST(type_common((type_oid[]){TYPE_VARCHAR, TYPE_TEXT}, 2, "CASE", &out)); /* first come */
    assert_int_equal(out, TYPE_VARCHAR);
    MUST(type_common((type_oid[]){TYPE_FLOAT4, TYPE_NUMERIC}, 2, "CASE", &out));
    assert_int_equal(out, TYPE_FLOAT4);
    MUST(type_common((type_oid[]){TYPE_DATE, TYPE_TIMESTAMPTZ}, 2, "CASE", &out));
    assert_int_equal(out, TYPE_TIMESTAMPTZ);
    struct status *st = type_common((type_oid[]){TYPE_INT4, TYPE_BOOL}, 2, "UNION", &out);
    assert_string_equal(st->message, "UNION types integer and boolean cannot be matched");
    assert_string_equal(st->sqlstate, "42804");
    status_free(st);
}

static void casts_exist_as_in_pg_cast(void **state)
{
    (void)state;
    assert_true(cast_exists(TYPE_INT4, TYPE_INT8, CAST_IMPLICIT));
    assert_false(cast_exists(TYPE_INT8, TYPE_INT4, CAST_IMPLICIT));
    assert_true(cast_exists(TYPE_INT8, TYPE_INT4, CAST_ASSIGNMENT));
    assert_false(cast_exists(TYPE_INT4, TYPE_BOOL, CAST_ASSIGNMENT));
    assert_true(cast_exists(TYPE_INT4, TYPE_BOOL, CAST_EXPLICIT));
    assert_false(cast_exists(TYPE_DATE, TYPE_INT4, CAST_EXPLICIT));
    assert_false(cast_exists(TYPE_INT4, TYPE_TEXT, CAST_IMPLICIT));
    assert_true(cast_exists(TYPE_INT4, TYPE_TEXT, CAST_ASSIGNMENT));
    assert_false(cast_exists(TYPE_TEXT, TYPE_INT4, CAST_ASSIGNMENT));
    assert_true(cast_exists(TYPE_TEXT, TYPE_INT4, CAST_EXPLICIT));
    assert_true(cast_exists(TYPE_INT4_ARRAY, TYPE_INT8_ARRAY, CAST_IMPLICIT));
    assert_false(cast_exists(TYPE_INT4_ARRAY, TYPE_INT4, CAST_EXPLICIT));
    assert_true(cast_exists(TYPE_VARCHAR, TYPE_TEXT, CAST_IMPLICIT));
    assert_true(cast_exists(TYPE_OID, TYPE_REGCLASS, CAST_IMPLICIT));
}

static struct status *cast_text(struct arena *a, const char *type, const char *text, type_oid to,
                                int32_t typmod, enum cast_context cc, char **out)
{
    struct expr *e;
    TRY(expr_cast(a, value(a, type, text), to, typmod, cc, &e));
    struct eval_ctx ctx = {.arena = a};
    struct datum d;
    TRY(expr_eval_const(&ctx, e, &d));
    *out = text_of(a, e->type, &d);
    return NULL;
}

static void lengths_cut_when_explicit_and_refuse_when_assigned(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    char *s;
    MUST(cast_text(a, "text", "abcdef", TYPE_VARCHAR, 4 + 3, CAST_EXPLICIT, &s));
    assert_string_equal(s, "abc");
    MUST(cast_text(a, "unknown", "abcdef", TYPE_VARCHAR, 4 + 3, CAST_EXPLICIT, &s));
    assert_string_equal(s, "abc");
    REFUSED("22001", cast_text(a, "text", "abcdef", TYPE_VARCHAR, 4 + 3, CAST_ASSIGNMENT, &s));
    REFUSED("22001", cast_text(a, "unknown", "abcdef", TYPE_VARCHAR, 4 + 3, CAST_ASSIGNMENT, &s));
    MUST(cast_text(a, "unknown", "abc   ", TYPE_VARCHAR, 4 + 3, CAST_ASSIGNMENT, &s));
    assert_string_equal(s, "abc");
    MUST(cast_text(a, "text", "ab", TYPE_BPCHAR, 4 + 4, CAST_ASSIGNMENT, &s));
    assert_string_equal(s, "ab  ");
    MUST(cast_text(a, "numeric", "12.345", TYPE_NUMERIC, ((5 << 16) | 2) + 4, CAST_ASSIGNMENT, &s));
    assert_string_equal(s, "12.35");
    REFUSED("22003", cast_text(a, "numeric", "12345", TYPE_NUMERIC, ((5 << 16) | 2) + 4,
                               CAST_ASSIGNMENT, &s));
    MUST(
        cast_text(a, "timestamp", "2020-01-01 00:00:00.6", TYPE_TIMESTAMP, 0, CAST_ASSIGNMENT, &s));
    assert_string_equal(s, "2020-01-01 00:00:01");
    MUST(cast_text(a, "int4[]", "{1,2}", TYPE_TEXT_ARRAY, -1, CAST_EXPLICIT, &s));
    assert_string_equal(s, "{1,2}");
    MUST(cast_text(a, "text", "{3,4}", TYPE_INT4_ARRAY, -1, CAST_EXPLICIT, &s));
    assert_string_equal(s, "{3,4}");
    REFUSED("22P02", cast_text(a, "unknown", "x", TYPE_INT4, -1, CAST_IMPLICIT, &s));
    REFUSED("42846", cast_text(a, "date", "2020-01-01", TYPE_INT4, -1, CAST_EXPLICIT, &s));
    REFUSED("42804", cast_text(a, "date", "2020-01-01", TYPE_INT4, -1, CAST_ASSIGNMENT, &s));
    arena_destroy(a);
}

static void a_parameter_takes_the_type_it_is_cast_to(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct expr param = {.kind = EXPR_PARAM, .type = TYPE_UNKNOWN, .typmod = -1}, *out;
    MUST(expr_cast(a, &param, TYPE_INT8, -1, CAST_IMPLICIT, &out));
    assert_ptr_equal(out, &param);
    assert_int_equal(param.type, TYPE_INT8);
    MUST(expr_cast(a, &param, TYPE_TEXT, -1, CAST_ASSIGNMENT, &out));
    assert_int_equal(out->kind, EXPR_CALL);
    arena_destroy(a);
}

static void every_row_of_the_table_is_sound(void **state)
{
    (void)state;
    assert_true(func_count() > 1000);
    uint32_t last = 0;
    for (size_t i = 0; i < func_count(); i++) {
        const struct func_def *f = func_at(i);
        assert_true(f->id > last);
        last = f->id;
        assert_ptr_equal(func_by_id(f->id), f);
        if (f->class == FUNC_AGGREGATE) {
            assert_non_null(f->agg);
            assert_non_null(f->agg->add);
            assert_non_null(f->agg->merge);
            assert_non_null(f->agg->save);
            assert_non_null(f->agg->finish);
            assert_true(f->agg->state_size > 0);
        } else {
            assert_non_null(f->scalar);
        }
        if (f->op != NULL) {
            assert_true(f->nargs == 1 || f->nargs == 2);
        }
        const struct func_def *hit = func_first(slice_str(f->name), false);
        while (hit != NULL && hit != f) {
            hit = func_next(hit, false);
        }
        assert_ptr_equal(hit, f);
    }
    assert_null(func_by_id(0));
    assert_null(func_by_id(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exact_match_wins),
        cmocka_unit_test(integers_take_the_preferred_float_where_there_is_no_integer_form),
        cmocka_unit_test(an_untyped_literal_is_taken_for_text_or_for_the_other_side),
        cmocka_unit_test(refusals_name_the_types_and_give_a_hint),
        cmocka_unit_test(stars_variadics_defaults_and_polymorphic_types_resolve),
        cmocka_unit_test(a_type_name_used_as_a_function_is_a_cast),
        cmocka_unit_test(common_types_follow_the_rules_of_union_and_case),
        cmocka_unit_test(casts_exist_as_in_pg_cast),
        cmocka_unit_test(lengths_cut_when_explicit_and_refuse_when_assigned),
        cmocka_unit_test(a_parameter_takes_the_type_it_is_cast_to),
        cmocka_unit_test(every_row_of_the_table_is_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
