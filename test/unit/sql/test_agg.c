/*
 * Aggregates: PostgreSQL's answers over all rows at once, and the same after any split of the rows
 * into partial states that travel as bytes.
 */
#include "expr_lib.h"

static const char END[] = "<end>";

struct agg_case {
    const char *name, *type;
    const char *values[8];
    const char *result_type, *result;
};

static const struct agg_case cases[] = {
#include "agg_cases.h"
};

static int count_values(const struct agg_case *c)
{
    int n = 0;
    while (c->values[n] != END) {
        n++;
    }
    return n;
}

/* The call over a column of the case's type; string_agg gets a delimiter. */
static struct agg_call call_for(struct arena *a, const struct agg_case *c)
{
    type_oid types[2] = {type_named(c->type), TYPE_UNKNOWN}, want[2];
    struct agg_call call = {.nargs = strcmp(c->name, "string_agg") == 0 ? 2 : 1};
    MUST(
        func_resolve(slice_str(c->name), types, call.nargs, false, &call.func, want, &call.result));
    call.args = ARENA_ARRAY(a, struct expr *, 2);
    MUST(expr_cast(a, expr_column(a, types[0], -1, 0), want[0], -1, CAST_IMPLICIT, &call.args[0]));
    if (call.nargs > 1) {
        call.args[1] = value(a, "text", ", ");
    }
    return call;
}

static void add(struct arena *a, const struct agg_case *c, const struct agg_call *call, void *state,
                int i)
{
    struct expr *v = value(a, c->type, c->values[i]), *cast;
    struct datum args[2];
    struct eval_ctx ctx = {.arena = a};
    MUST(expr_cast(a, v, call->args[0]->type, -1, CAST_IMPLICIT, &cast));
    MUST(expr_eval_const(&ctx, cast, &args[0]));
    args[1] = datum_bytes(slice_str(", "));
    MUST(call->func->agg->add(a, state, args, call->nargs));
}

static bool is_float(const struct agg_call *call)
{
    return call->result == TYPE_FLOAT8 || call->result == TYPE_FLOAT4;
}

static void check(struct arena *a, const struct agg_case *c, const struct agg_call *call,
                  const void *state, const char *how)
{
    struct datum d;
    MUST(call->func->agg->finish(a, state, &d));
    const char *got = text_of(a, call->result, &d);
    bool same = got == NULL || c->result == NULL ? got == c->result : strcmp(got, c->result) == 0;
    if (!same && got != NULL && c->result != NULL && is_float(call)) {
        double x = strtod(got, NULL), y = strtod(c->result, NULL);
        double diff = x - y < 0 ? y - x : x - y, size = y < 0 ? -y : y;
        same = diff <= size * (call->result == TYPE_FLOAT4 ? 1e-6 : 1e-12);
    }
    if (!same) {
        fail_msg("%s(%s) %s: got %s, want %s", c->name, c->type, how, got != NULL ? got : "NULL",
                 c->result != NULL ? c->result : "NULL");
    }
    assert_string_equal(type_format(a, call->result, -1), c->result_type);
}

static void all_rows_at_once_give_postgresqls_answer(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *a = arena_create(0);
        struct agg_call call = call_for(a, &cases[i]);
        void *s = agg_state(a, &call);
        for (int v = 0; v < count_values(&cases[i]); v++) {
            add(a, &cases[i], &call, s, v);
        }
        check(a, &cases[i], &call, s, "complete");
        arena_destroy(a);
    }
}

static void partial_states_of_any_split_merge_to_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int round = 0; round < 6; round++) {
            struct arena *a = arena_create(0);
            struct agg_call call = call_for(a, &cases[i]);
            const struct agg_ops *ops = call.func->agg;
            void *total = agg_state(a, &call);
            int n = count_values(&cases[i]), v = 0;
            do { /* runs of 0 to 3 rows each: an empty part too */
                void *part = agg_state(a, &call);
                for (uint64_t left = test_random(NULL) % 4; left > 0 && v < n; left--) {
                    add(a, &cases[i], &call, part, v++);
                }
                struct buf b = {0};
                ops->save(part, &b);
                MUST(ops->merge(a, total, buf_slice(&b)));
                buf_deinit(&b);
            } while (v < n);
            check(a, &cases[i], &call, total, "merged");
            arena_destroy(a);
        }
    }
}

static void cut_or_damaged_partial_states_are_refused_or_harmless(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct arena *a = arena_create((size_t)64 << 20);
        struct agg_call call = call_for(a, &cases[i]);
        const struct agg_ops *ops = call.func->agg;
        void *s = agg_state(a, &call);
        for (int v = 0; v < count_values(&cases[i]); v++) {
            add(a, &cases[i], &call, s, v);
        }
        struct buf b = {0};
        ops->save(s, &b);
        uint8_t *copy = malloc(b.len);
        for (size_t n = 0; n < b.len; n++) {
            memcpy(copy, b.data, n);
            void *t = agg_state(a, &call);
            assert_true(status_consume(ops->merge(a, t, slice_make(copy, n))));
        }
        for (int round = 0; round < 50; round++) {
            memcpy(copy, b.data, b.len);
            copy[test_random(NULL) % b.len] ^= (uint8_t)(1 + test_random(NULL) % 255);
            void *t = agg_state(a, &call);
            struct datum d;
            if (!status_consume(ops->merge(a, t, slice_make(copy, b.len)))) {
                (void)status_consume(ops->finish(a, t, &d));
            }
        }
        free(copy);
        buf_deinit(&b);
        arena_destroy(a);
    }
}

static void sums_of_bigints_leave_the_range_of_bigint(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct agg_case c = {.name = "sum", .type = "int4"};
    struct agg_call call = call_for(a, &c);
    void *s = agg_state(a, &call);
    struct datum max = datum_int(INT64_MAX), d;
    MUST(call.func->agg->add(a, s, &max, 1)); /* as if 2^32 rows had been added */
    MUST(call.func->agg->add(a, s, &max, 1));
    REFUSED("22003", call.func->agg->finish(a, s, &d));
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rows_at_once_give_postgresqls_answer),
        cmocka_unit_test(partial_states_of_any_split_merge_to_the_same),
        cmocka_unit_test(cut_or_damaged_partial_states_are_refused_or_harmless),
        cmocka_unit_test(sums_of_bigints_leave_the_range_of_bigint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
