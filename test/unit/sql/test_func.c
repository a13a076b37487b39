/*
 * Functions, operators and casts: some 650 calls with what PostgreSQL 15 answers, by value, type
 * and error; and that damaged input to text functions stays within bounds.
 */
#include "expr_lib.h"

struct func_case {
    const char *fn;
    int nargs;
    struct {
        const char *type, *text;
    } args[8];
    const char *result_type, *result;
    const char *sqlstate, *message;
};

static const struct func_case cases[] = {
#include "func_cases.h"
};

/* The same number written with more or fewer digits (platform libraries differ in the last one). */
static bool floats_agree(const char *x, const char *y)
{
    double a = strtod(x, NULL), b = strtod(y, NULL);
    double size = a < 0 ? -a : a, diff = a - b < 0 ? b - a : a - b;
    return diff <= size * 1e-14;
}

static bool check_case(const struct func_case *c)
{
    struct arena *a = arena_create(0);
    struct expr *args[8], *e = NULL;
    for (int i = 0; i < c->nargs; i++) {
        args[i] = value(a, c->args[i].type, c->args[i].text);
    }
    struct eval_ctx ctx = {.arena = a, .random = test_random};
    struct datum d;
    struct status *st = call(a, c->fn, c->nargs, args, &e);
    if (st == NULL) {
        st = expr_eval_const(&ctx, e, &d);
    }
    char got[256];
    bool ok;
    if (st != NULL) {
        ok = c->sqlstate != NULL && strcmp(st->sqlstate, c->sqlstate) == 0 &&
             (strcmp(c->sqlstate, "2201B") == 0 || strcmp(st->message, c->message) == 0);
        snprintf(got, sizeof(got), "error %s %s", st->sqlstate, st->message);
        status_free(st);
    } else {
        const char *type = type_format(a, e->type, -1), *text;
        if (e->type == TYPE_REGTYPE) {
            text = type_format(a, (type_oid)d.i, -1);
        } else {
            text = text_of(a, e->type, &d);
        }
        ok = c->sqlstate == NULL && strcmp(type, c->result_type) == 0 &&
             (text == NULL) == (c->result == NULL) &&
             (text == NULL || strcmp(text, c->result) == 0 ||
              (e->type == TYPE_FLOAT8 && floats_agree(text, c->result)));
        snprintf(got, sizeof(got), "%s '%s'", type, text != NULL ? text : "NULL");
    }
    if (!ok) {
        print_error("%s(", c->fn);
        for (int i = 0; i < c->nargs; i++) {
            print_error("%s%s '%s'", i > 0 ? ", " : "", c->args[i].type,
                        c->args[i].text != NULL ? c->args[i].text : "NULL");
        }
        print_error(")\n   got  %s\n   want ", got);
        if (c->sqlstate != NULL) {
            print_error("error %s %s\n", c->sqlstate, c->message);
        } else {
            print_error("%s '%s'\n", c->result_type, c->result != NULL ? c->result : "NULL");
        }
    }
    arena_destroy(a);
    return ok;
}

static void answers_as_postgresql_does(void **state)
{
    (void)state;
    int wrong = 0, n = (int)(sizeof(cases) / sizeof(cases[0]));
    for (int i = 0; i < n; i++) {
        wrong += !check_case(&cases[i]);
    }
    if (wrong > 0) {
        fail_msg("%d of %d answers differ", wrong, n);
    }
}

/* Every string function over strings of random bytes: no error is expected, but no crash either. */
static void damaged_utf8_stays_within_bounds(void **state)
{
    (void)state;
    static const char *const fns[] = {
        "length", "lower", "upper",       "initcap", "reverse",  "btrim",        "ascii",
        "ltrim",  "rtrim", "quote_ident", "md5",     "hashtext", "quote_literal"};
    static const char *const fns2[] = {"strpos",
                                       "op:~~",
                                       "op:~~*",
                                       "btrim",
                                       "ltrim",
                                       "rtrim",
                                       "starts_with",
                                       "op:~",
                                       "string_to_array",
                                       "op:||",
                                       "regexp_split_to_array"};
    for (int round = 0; round < 300; round++) {
        struct arena *a = arena_create(0);
        struct expr *e, *args[3];
        for (int i = 0; i < 2; i++) {
            size_t n = test_random(NULL) % 24;
            uint8_t *p = malloc(n > 0 ? n : 1); /* exact, so that the sanitizer sees its end */
            for (size_t k = 0; k < n; k++) {
                uint64_t r = test_random(NULL);
                p[k] = (uint8_t)(r % 3 == 0 ? 'a' + r / 3 % 4 : r / 3);
            }
            arena_on_free(a, free, p);
            args[i] = expr_const(a, TYPE_TEXT, datum_bytes(slice_make(p, n)));
        }
        struct eval_ctx ctx = {.arena = a};
        struct datum d;
        for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
            MUST(call(a, fns[i], 1, args, &e));
            (void)status_consume(expr_eval_const(&ctx, e, &d));
        }
        for (size_t i = 0; i < sizeof(fns2) / sizeof(fns2[0]); i++) {
            MUST(call(a, fns2[i], 2, args, &e));
            (void)status_consume(expr_eval_const(&ctx, e, &d));
        }
        args[2] = expr_const(a, TYPE_TEXT, datum_bytes(slice_str("\xc3\xa4x")));
        static const char *const fns3[] = {"translate", "replace", "regexp_replace"};
        for (size_t i = 0; i < 3; i++) {
            MUST(call(a, fns3[i], 3, args, &e));
            (void)status_consume(expr_eval_const(&ctx, e, &d));
        }
        arena_destroy(a);
    }
}

/* Texts of values at the edges of their types. */
static const struct {
    const char *type;
    const char *texts[10];
} extremes[] = {
    {"bool", {"t", "f"}},
    {"int2", {"0", "1", "-1", "32767", "-32768"}},
    {"int4", {"0", "1", "-1", "2147483647", "-2147483648", "7"}},
    {"int8", {"0", "1", "-1", "9223372036854775807", "-9223372036854775808", "40"}},
    {"oid", {"0", "23", "4294967295"}},
    {"float4", {"0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "3e38", "1e-45"}},
    {"float8", {"0", "-0", "1.5", "NaN", "Infinity", "-Infinity", "1e308", "5e-324", "-2"}},
    {"numeric",
     {"0", "-1.5", "NaN", "Infinity", "-Infinity", "1e100", "1e-100", "0.5",
      "99999999999999999999"}},
    {"text",
     {"", "a", "%", "\\", "abc def", "\xc3\xa4\xf0\x9f\x98\x80", "hex", "(", "YYYY-MM-DD", "day"}},
    {"varchar", {"", "a b"}},
    {"bpchar", {"", "a  "}},
    {"name", {"", "utf8"}},
    {"char", {"", "a"}},
    {"bytea", {"", "\\x00ff41", "abc"}},
    {"uuid", {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"}},
    {"date", {"2000-01-01", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"}},
    {"time", {"00:00", "23:59:59.999999", "24:00"}},
    {"timestamp", {"2000-01-01", "infinity", "-infinity", "4713-01-01 BC", "294276-12-31 23:59"}},
    {"timestamptz",
     {"2020-02-29 12:34:56.789+02", "infinity", "-infinity", "4713-01-01 BC",
      "294276-12-31 23:59+00"}},
    {"interval",
     {"0", "1 day", "-1 mon", "178000000 years", "-178000000 years", "2147483647 days",
      "1 mon -1 day 00:00:00.000001"}},
    {"text[]", {"{}", "{a,NULL,b}"}},
    {"int4[]", {"{}", "{1,NULL,2147483647}"}},
    {"name[]", {"{a}"}},
    {"regtype", {"23"}},
    {"regclass", {"23"}},
    {"regproc", {"23"}},
};

static struct expr *extreme(struct arena *a, type_oid want)
{
    switch (want) {
    case TYPE_ANY:
    case TYPE_ANYELEMENT:
    case TYPE_ANYNONARRAY:
    case TYPE_ANYCOMPATIBLE:
    case TYPE_ANYCOMPATIBLENONARRAY:
        want = TYPE_INT4;
        break;
    case TYPE_ANYARRAY:
    case TYPE_ANYCOMPATIBLEARRAY:
        want = TYPE_INT4_ARRAY;
        break;
    default:
        break;
    }
    for (size_t i = 0; i < sizeof(extremes) / sizeof(extremes[0]); i++) {
        if (type_named(extremes[i].type) == want) {
            size_t n = 0;
            while (n < 10 && extremes[i].texts[n] != NULL) {
                n++;
            }
            uint64_t pick = test_random(NULL) % (n + 1);
            return value(a, extremes[i].type, pick < n ? extremes[i].texts[pick] : NULL);
        }
    }
    return NULL;
}

/* Every function over values at the edges: an answer or an error, and nothing undefined. */
static void no_function_stumbles_over_extreme_values(void **state)
{
    (void)state;
    int called = 0;
    for (size_t i = 0; i < func_count(); i++) {
        const struct func_def *f = func_at(i);
        if (f->class == FUNC_AGGREGATE || f->class == FUNC_WINDOW || f->needs_session) {
            continue;
        }
        for (int round = 0; round < 25; round++) {
            struct arena *a = arena_create((size_t)8 << 20);
            struct expr **args = ARENA_ARRAY(a, struct expr *, 9);
            bool known = true;
            for (int k = 0; k < f->nargs; k++) {
                args[k] = extreme(a, f->args[k]);
                known = known && args[k] != NULL;
            }
            if (known) {
                struct expr *e = expr_call(a, f, f->result, f->nargs, args);
                if (f->result == TYPE_ANYARRAY || f->result == TYPE_ANYCOMPATIBLEARRAY) {
                    e->type = TYPE_INT4_ARRAY;
                } else if (type_find(f->result) == NULL) {
                    e->type = TYPE_INT4;
                }
                /* With little memory left, too: an error then, not the end. */
                struct arena *results = arena_create((size_t)1 << 20);
                if (round % 2 == 0) {
                    (void)arena_alloc(results, (670u << 10) + test_random(NULL) % (340u << 10));
                }
                struct eval_ctx ctx = {.arena = results, .random = test_random};
                struct datum d;
                if (!status_consume(expr_eval_const(&ctx, e, &d)) && f->class == FUNC_SCALAR &&
                    f->id < 12000) {
                    (void)text_of(a, e->type, &d);
                }
                arena_destroy(results);
                called++;
            }
            arena_destroy(a);
        }
    }
    assert_true(called > 15000);
}

static void huge_results_are_refused_not_built(void **state)
{
    (void)state;
    struct arena *a = arena_create((size_t)4 << 20);
    struct eval_ctx ctx = {.arena = a};
    struct datum d;
    REFUSED("53200", expr_eval_const(&ctx,
                                     call2(a, "repeat", value(a, "text", "abcdefgh"),
                                           value(a, "int4", "10000000")),
                                     &d));
    REFUSED("54000", expr_eval_const(&ctx,
                                     call2(a, "repeat", value(a, "text", "abcdefgh"),
                                           value(a, "int4", "2000000000")),
                                     &d));
    arena_destroy(a);
}

static void a_regex_that_explodes_is_stopped(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    struct datum d;
    REFUSED("54001",
            expr_eval_const(&ctx,
                            call2(a, "op:~", value(a, "text", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
                                  value(a, "text", "^(a|aa)+$")),
                            &d));
    arena_destroy(a);
}

static void session_functions_need_a_session(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    struct expr *e, *args[1] = {value(a, "text", "search_path")};
    struct datum d;
    MUST(call(a, "current_setting", 1, args, &e));
    assert_true(e->func->needs_session);
    REFUSED("0A000", expr_eval_const(&ctx, e, &d));
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_postgresql_does),
        cmocka_unit_test(damaged_utf8_stays_within_bounds),
        cmocka_unit_test(no_function_stumbles_over_extreme_values),
        cmocka_unit_test(huge_results_are_refused_not_built),
        cmocka_unit_test(a_regex_that_explodes_is_stopped),
        cmocka_unit_test(session_functions_need_a_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
