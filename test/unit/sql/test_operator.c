/*
 * Operators over small batches with known results, and joins, sorts and aggregates over random rows
 * against a plain loop.
 */
#include "expr_lib.h"

static const uint32_t int_types[] = {TYPE_INT4, TYPE_INT4, TYPE_INT4, TYPE_INT4};

static struct op *source(struct arena *a, int ncols, const char *text)
{
    struct batch **b = ARENA_ARRAY(a, struct batch *, 1);
    b[0] = ints(a, ncols, text);
    return op_batches(a, ncols, int_types, b, 1);
}

/* Counts how often it is asked, and fails when asked too often. */
struct counting {
    struct op op;
    struct arena *a;
    int pulls, max;
};

static struct status *counting_next(struct fiber *f, struct op *op, struct batch **out)
{
    (void)f;
    struct counting *c = (struct counting *)op;
    assert_true(++c->pulls <= c->max);
    *out = ints(c->a, 1, "1;2;3;");
    return NULL;
}

static struct op *endless(struct arena *a, int max)
{
    struct counting *c = ARENA_NEW(a, struct counting);
    c->op = (struct op){.next = counting_next, .ncols = 1, .types = int_types};
    c->a = a;
    c->max = max;
    return &c->op;
}

static struct expr *col(struct arena *a, int i)
{
    return expr_column(a, TYPE_INT4, -1, i);
}

static struct expr *num(struct arena *a, int v)
{
    return expr_const(a, TYPE_INT4, datum_int(v));
}

static void filter_and_project_see_every_row_once(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    struct op *in = source(a, 2, "1,10;2,20;3,-;4,40;");
    struct op *f = op_filter(a, &ctx, in, call2(a, "op:>", col(a, 1), num(a, 10)));
    struct expr *exprs[] = {call2(a, "op:+", col(a, 0), col(a, 1)), col(a, 0)};
    struct op *p = op_project(a, &ctx, f, 2, exprs);
    assert_string_equal(drain(a, p), "22,2;44,4;");
    assert_int_equal(p->rows_out, 2);
    arena_destroy(a);
}

/* A filter this heavy takes the rows of a batch some at a time: the same rows must come. */
static void a_heavy_filter_gives_the_rows_of_a_light_one(void **state)
{
    (void)state;
    enum { TERMS = 30000, ROWS = 40 };
    struct arena *a = arena_create(0);
    struct buf rows = {0}, odd = {0};
    for (int i = 0; i < ROWS; i++) {
        buf_printf(&rows, "%d;", i);
        if (i % 2 == 1) {
            buf_printf(&odd, "%d;", i);
        }
    }
    struct expr *any = ARENA_NEW(a, struct expr);
    *any = (struct expr){.kind = EXPR_OR, .type = TYPE_BOOL, .nargs = TERMS};
    any->args = ARENA_ARRAY(a, struct expr *, TERMS);
    for (int i = 0; i < TERMS; i++) {
        any->args[i] = call2(a, "op:=", col(a, 0), num(a, i * 2 + 1));
    }
    assert_true(expr_rows_a_turn(expr_weight(any)) < ROWS / 4);
    struct eval_ctx ctx = {.arena = a};
    char *text = arena_strndup(a, rows.data, rows.len);
    assert_string_equal(drain(a, op_filter(a, &ctx, source(a, 1, text), any)),
                        arena_strndup(a, odd.data, odd.len));
    assert_int_equal(expr_rows_a_turn(0), BATCH_ROWS);
    assert_int_equal(expr_rows_a_turn(1 << 30), 1);
    buf_deinit(&rows);
    buf_deinit(&odd);
    arena_destroy(a);
}

static void limit_stops_asking(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    assert_string_equal(drain(a, op_limit(a, endless(a, 3), 4, 3)), "2;3;1;");
    assert_string_equal(drain(a, op_limit(a, endless(a, 0), 0, 0)), "");
    assert_string_equal(drain(a, op_limit(a, source(a, 1, "1;2;3;"), 2, -1)), "3;");
    assert_string_equal(drain(a, op_limit(a, source(a, 1, "1;2;3;"), 5, 1)), "");
    struct sort_key key = {.column = 0, .type = TYPE_INT4};
    assert_string_equal(drain(a, op_sort(a, endless(a, 0), 1, &key, 0)), "");
    arena_destroy(a);
}

static void sort_orders_nulls_as_told_and_keeps_equal_rows_in_order(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    const char *rows = "2,1;-,2;1,3;2,4;-,5;3,6;";
    struct sort_key asc = {.column = 0, .type = TYPE_INT4};
    struct sort_key desc = {.column = 0, .type = TYPE_INT4, .is_desc = true, .nulls_first = true};
    assert_string_equal(drain(a, op_sort(a, source(a, 2, rows), 1, &asc, -1)),
                        "1,3;2,1;2,4;3,6;-,2;-,5;");
    assert_string_equal(drain(a, op_sort(a, source(a, 2, rows), 1, &desc, -1)),
                        "-,2;-,5;3,6;2,1;2,4;1,3;");
    assert_string_equal(drain(a, op_sort(a, source(a, 2, rows), 1, &asc, 3)), "1,3;2,1;2,4;");
    struct sort_key two[] = {asc, {.column = 1, .type = TYPE_INT4, .is_desc = true}};
    assert_string_equal(drain(a, op_sort(a, source(a, 2, rows), 2, two, 4)), "1,3;2,4;2,1;3,6;");
    arena_destroy(a);
}

/* Many rows through a small top-N: the answer of a full sort, in the memory of N rows. */
static void top_n_needs_the_memory_of_n_rows(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct expr *start = num(a, 1), *stop = num(a, 200000);
    struct eval_ctx ctx = {.arena = a};
    struct op *series = op_series(a, &ctx, TYPE_INT4, start, stop, NULL);
    struct sort_key desc = {.column = 0, .type = TYPE_INT4, .is_desc = true};
    struct op *top = op_sort(a, series, 1, &desc, 3);
    assert_string_equal(drain(a, top), "200000;199999;199998;");
    assert_true(arena_used(a) < 200000);
    arena_destroy(a);
}

static void a_sort_beyond_the_budget_is_refused_with_a_hint(void **state)
{
    (void)state;
    struct arena *a = arena_create((size_t)1 << 20);
    struct eval_ctx ctx = {.arena = a};
    struct op *series = op_series(a, &ctx, TYPE_INT4, num(a, 1), num(a, 1000000), NULL);
    struct sort_key key = {.column = 0, .type = TYPE_INT4};
    struct op *sort = op_sort(a, series, 1, &key, -1);
    struct batch *b;
    struct status *st = op_next(NULL, sort, &b);
    assert_non_null(st);
    assert_string_equal(st->sqlstate, "53200");
    assert_non_null(st->hint);
    status_free(st);
    op_close(sort);
    arena_destroy(a);
}

/* Whatever fills the memory, it ends with an error. */
static void aggregates_and_joins_beyond_the_budget_are_refused(void **state)
{
    (void)state;
    for (int round = 0; round < 24; round++) {
        struct arena *a = arena_create((1u << 20) + test_random(NULL) % (1u << 20));
        struct eval_ctx ctx = {.arena = a};
        struct expr *numeric;
        struct op *series = op_series(a, &ctx, TYPE_INT4, num(a, 1), num(a, 400000), NULL), *op;
        MUST(expr_cast(a, col(a, 0), TYPE_NUMERIC, -1, CAST_IMPLICIT, &numeric));
        struct agg_call *agg = ARENA_NEW(a, struct agg_call);
        type_oid types[1] = {TYPE_NUMERIC}, want[1];
        static const char *const names[] = {"sum", "var_samp", "array_agg", "max"};
        MUST(func_resolve(slice_str(names[round % 4]), types, 1, false, &agg->func, want,
                          &agg->result));
        agg->nargs = 1;
        agg->args = ARENA_ARRAY(a, struct expr *, 1);
        agg->args[0] = numeric;
        static const int keys[] = {0};
        if (round % 3 == 0) {
            op = op_join(a, &ctx, JOIN_LEFT, source(a, 1, "1;"), series, 1, keys, keys, NULL);
        } else {
            op = op_aggregate(a, &ctx, series, 1, 1, agg, AGG_COMPLETE);
        }
        struct batch *b;
        REFUSED("53200", op_next(NULL, op, &b));
        op_close(op);
        arena_destroy(a);
    }
}

static void set_operations_count_duplicates_and_nulls(void **state)
{
    (void)state;
    static const struct {
        enum setop_kind kind;
        const char *want;
    } cases[] = {
        {SETOP_UNION_ALL, "1;1;2;-;-;1;3;-;"},
        {SETOP_UNION, "1;2;-;3;"},
        {SETOP_INTERSECT, "1;-;"},
        {SETOP_INTERSECT_ALL, "1;-;"},
        {SETOP_EXCEPT, "2;"},
        {SETOP_EXCEPT_ALL, "1;2;-;"},
    };
    struct arena *a = arena_create(0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct op *l = source(a, 1, "1;1;2;-;-;"), *r = source(a, 1, "1;3;-;");
        assert_string_equal(drain(a, op_setop(a, cases[i].kind, l, r)), cases[i].want);
    }
    assert_string_equal(drain(a, op_distinct(a, source(a, 2, "1,-;1,-;-,-;-,-;1,2;"))),
                        "1,-;-,-;1,2;");
    arena_destroy(a);
}

static void joins_of_every_kind_treat_null_as_no_match(void **state)
{
    (void)state;
    static const struct {
        enum join_kind kind;
        const char *want;
    } cases[] = {
        {JOIN_INNER, "1,10,1,100;1,10,1,101;3,30,3,300;"},
        {JOIN_LEFT, "1,10,1,100;1,10,1,101;3,30,3,300;2,20,-,-;-,40,-,-;"},
        {JOIN_RIGHT, "1,10,1,100;1,10,1,101;3,30,3,300;-,-,-,400;-,-,5,500;"},
        {JOIN_FULL, "1,10,1,100;1,10,1,101;3,30,3,300;2,20,-,-;-,40,-,-;-,-,-,400;-,-,5,500;"},
        {JOIN_SEMI, "1,10;3,30;"},
        {JOIN_ANTI, "2,20;-,40;"},
    };
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    static const int keys[] = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct sort_key order[] = {{.column = 1, .type = TYPE_INT4}};
        struct op *l = op_sort(a, source(a, 2, "1,10;2,20;3,30;-,40;"), 1, order, -1);
        struct op *r = source(a, 2, "1,101;1,100;3,300;-,400;5,500;");
        struct op *j = op_join(a, &ctx, cases[i].kind, l, r, 1, keys, keys, NULL);
        assert_string_equal(drain(a, j), cases[i].want);
    }
    arena_destroy(a);
}

/* What SQL says a join is, row by row. */
static char *plain_join(struct arena *a, enum join_kind kind, const struct batch *l,
                        const struct batch *r, bool keyed, bool residual)
{
    struct buf b = {0};
    bool *hit = ARENA_ARRAY(a, bool, r->nrows + 1);
    for (int i = 0; i < l->nrows; i++) {
        int matches = 0;
        for (int j = 0; j < r->nrows; j++) {
            const struct datum *lk = &l->cols[0][i], *rk = &r->cols[0][j];
            bool ok = !keyed || (!lk->is_null && !rk->is_null && lk->i == rk->i);
            const struct datum *x = &l->cols[1][i], *y = &r->cols[1][j];
            ok = ok && (!residual || (!x->is_null && !y->is_null && x->i < y->i));
            if (ok) {
                matches++;
                hit[j] = true;
                if (kind != JOIN_SEMI && kind != JOIN_ANTI) {
                    buf_printf(&b, "%d:%d\n", i, j);
                }
            }
        }
        if ((kind == JOIN_SEMI && matches > 0) || (kind == JOIN_ANTI && matches == 0)) {
            buf_printf(&b, "%d\n", i);
        }
        if (matches == 0 && (kind == JOIN_LEFT || kind == JOIN_FULL)) {
            buf_printf(&b, "%d:-\n", i);
        }
    }
    for (int j = 0; j < r->nrows; j++) {
        if (!hit[j] && (kind == JOIN_RIGHT || kind == JOIN_FULL)) {
            buf_printf(&b, "-:%d\n", j);
        }
    }
    char *s = arena_strndup(a, b.data != NULL ? (const char *)b.data : "", b.len);
    buf_deinit(&b);
    return s;
}

static int compare_lines(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* Order of the output is not promised: lines are compared sorted. */
static char *sorted_lines(struct arena *a, const char *text)
{
    char *copy = arena_strdup(a, text), *lines[20000], *save = NULL;
    size_t n = 0;
    for (char *s = strtok_r(copy, "\n", &save); s != NULL; s = strtok_r(NULL, "\n", &save)) {
        assert_true(n < 20000);
        lines[n++] = s;
    }
    qsort(lines, n, sizeof(lines[0]), compare_lines);
    struct buf b = {0};
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b, "%s\n", lines[i]);
    }
    char *s = arena_strndup(a, b.data != NULL ? (const char *)b.data : "", b.len);
    buf_deinit(&b);
    return s;
}

/* Columns: key, value, row number. */
static struct batch *random_rows(struct arena *a, int n, int keys)
{
    struct batch *b = batch_create(a, 3, int_types, n > 0 ? n : 1);
    b->nrows = n;
    for (int r = 0; r < n; r++) {
        for (int c = 0; c < 2; c++) {
            b->cols[c][r] = test_random(NULL) % 9 == 0
                                ? DATUM_NULL
                                : datum_int((int64_t)(test_random(NULL) % (uint64_t)keys));
        }
        b->cols[2][r] = datum_int(r);
    }
    return b;
}

static struct op *in_parts(struct arena *a, const struct batch *b, int part)
{
    int n = (b->nrows + part - 1) / part;
    struct batch **parts = ARENA_ARRAY(a, struct batch *, n + 1);
    for (int i = 0; i < n; i++) {
        parts[i] = batch_create(a, b->ncols, b->types, part);
        parts[i]->nrows = b->nrows - i * part < part ? b->nrows - i * part : part;
        for (int c = 0; c < b->ncols; c++) {
            memcpy(parts[i]->cols[c], b->cols[c] + i * part,
                   sizeof(struct datum) * (size_t)parts[i]->nrows);
        }
    }
    return op_batches(a, b->ncols, b->types, parts, n);
}

static void random_joins_agree_with_a_plain_loop(void **state)
{
    (void)state;
    static const int keys[] = {0};
    for (int round = 0; round < 120; round++) {
        struct arena *a = arena_create(0);
        struct eval_ctx ctx = {.arena = a};
        enum join_kind kind = (enum join_kind)(round % 6);
        bool keyed = test_random(NULL) % 3 != 0, residual = test_random(NULL) % 2 == 0;
        struct batch *l = random_rows(a, (int)(test_random(NULL) % 90), 12);
        struct batch *r = random_rows(a, (int)(test_random(NULL) % 90), 12);
        struct op *j =
            op_join(a, &ctx, kind, in_parts(a, l, 7), in_parts(a, r, 11), keyed ? 1 : 0, keys, keys,
                    residual ? call2(a, "op:<", col(a, 1), col(a, 4)) : NULL);
        struct buf got = {0};
        for (;;) {
            struct batch *b;
            MUST(op_next(NULL, j, &b));
            if (b == NULL) {
                break;
            }
            for (int k = 0; k < b->nrows; k++) {
                for (int side = 0; side < (b->ncols == 6 ? 2 : 1); side++) {
                    const struct datum *d = &b->cols[side == 0 ? 2 : 5][k];
                    buf_printf(&got, side > 0 ? ":" : "");
                    if (d->is_null) {
                        buf_printf(&got, "-");
                    } else {
                        buf_printf(&got, "%d", (int)d->i);
                    }
                }
                buf_printf(&got, "\n");
            }
        }
        buf_put_u8(&got, 0);
        assert_string_equal(sorted_lines(a, (char *)got.data),
                            sorted_lines(a, plain_join(a, kind, l, r, keyed, residual)));
        buf_deinit(&got);
        arena_destroy(a);
    }
}

static void a_top_n_is_the_start_of_the_full_sort(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        struct arena *a = arena_create(0);
        struct batch *rows = random_rows(a, 6000, round < 3 ? 50 : 100000);
        struct sort_key keys[] = {
            {.column = 0, .type = TYPE_INT4, .is_desc = round % 2 == 0, .nulls_first = round > 2},
            {.column = 1, .type = TYPE_INT4}};
        int64_t limit = (int64_t)(test_random(NULL) % 40) + 1;
        char *want =
            drain(a, op_limit(a, op_sort(a, in_parts(a, rows, 100), 2, keys, -1), 0, limit));
        assert_string_equal(drain(a, op_sort(a, in_parts(a, rows, 100), 2, keys, limit)), want);
        arena_destroy(a);
    }
}

static struct agg_call *some_aggs(struct arena *a, bool with_distinct)
{
    struct agg_call *aggs = ARENA_ARRAY(a, struct agg_call, 4);
    type_oid types[1] = {TYPE_INT4}, want[1];
    static const char *const names[] = {"sum", "count", "max"};
    for (int i = 0; i < 3; i++) {
        MUST(func_resolve(slice_str(names[i]), types, 1, false, &aggs[i].func, want,
                          &aggs[i].result));
        aggs[i].nargs = 1;
        aggs[i].args = ARENA_ARRAY(a, struct expr *, 1);
        aggs[i].args[0] = col(a, 1);
    }
    aggs[1].is_distinct = with_distinct;
    MUST(func_resolve(slice_str("count"), NULL, 0, true, &aggs[3].func, want, &aggs[3].result));
    aggs[3].filter = call2(a, "op:>", col(a, 1), num(a, 2));
    return aggs;
}

static void aggregates_group_filter_and_deduplicate(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    const char *rows = "1,5;2,2;1,5;-,7;1,1;-,-;";
    struct op *agg =
        op_aggregate(a, &ctx, source(a, 2, rows), 1, 4, some_aggs(a, true), AGG_COMPLETE);
    assert_string_equal(drain(a, agg), "1,11,2,5,2;2,2,1,2,0;-,7,1,7,1;");
    agg = op_aggregate(a, &ctx, source(a, 2, ""), 0, 4, some_aggs(a, false), AGG_COMPLETE);
    assert_string_equal(drain(a, agg), "-,0,-,0;");
    agg = op_aggregate(a, &ctx, source(a, 2, ""), 1, 4, some_aggs(a, false), AGG_COMPLETE);
    assert_string_equal(drain(a, agg), "");
    agg = op_aggregate(a, &ctx, source(a, 2, ""), 0, 4, some_aggs(a, false), AGG_PARTIAL);
    assert_string_equal(drain(a, agg), "");
    arena_destroy(a);
}

/* Partial on two shards, final on the router = complete on all rows. */
static void partial_and_final_equal_complete(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct arena *a = arena_create(0);
        struct eval_ctx ctx = {.arena = a};
        struct batch *l = random_rows(a, (int)(test_random(NULL) % 60), 5);
        struct batch *r = random_rows(a, (int)(test_random(NULL) % 60), 5);
        int ngroups = (int)(test_random(NULL) % 2);
        struct sort_key order = {.column = 0, .type = ngroups ? TYPE_INT4 : TYPE_INT8};
        struct op *whole = op_aggregate(
            a, &ctx, op_setop(a, SETOP_UNION_ALL, in_parts(a, l, 7), in_parts(a, r, 7)), ngroups, 4,
            some_aggs(a, false), AGG_COMPLETE);
        struct op *parts[2];
        for (int i = 0; i < 2; i++) {
            parts[i] = op_aggregate(a, &ctx, in_parts(a, i == 0 ? l : r, 7), ngroups, 4,
                                    some_aggs(a, false), AGG_PARTIAL);
        }
        struct op *merged = op_aggregate(a, &ctx, op_setop(a, SETOP_UNION_ALL, parts[0], parts[1]),
                                         ngroups, 4, some_aggs(a, false), AGG_FINAL);
        char *want = drain(a, op_sort(a, whole, 1, &order, -1));
        assert_string_equal(drain(a, op_sort(a, merged, 1, &order, -1)), want);
        arena_destroy(a);
    }
}

/* More groups than a shard keeps: they come in several portions, and merge to the right counts. */
static void a_partial_aggregate_of_many_groups_stays_small(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    struct op *series = op_series(a, &ctx, TYPE_INT4, num(a, 1), num(a, 100000), NULL);
    struct agg_call agg = {0};
    type_oid want[1];
    MUST(func_resolve(slice_str("count"), NULL, 0, true, &agg.func, want, &agg.result));
    struct op *partial = op_aggregate(a, &ctx, series, 1, 1, &agg, AGG_PARTIAL);
    struct op *final = op_aggregate(a, &ctx, partial, 1, 1, &agg, AGG_FINAL);
    struct op *per_count = op_aggregate(a, &ctx, final, 0, 1, &agg, AGG_COMPLETE);
    assert_string_equal(drain(a, per_count), "100000;");
    assert_true(partial->rows_out == 100000);
    arena_destroy(a);
}

static void series_and_sets_give_their_rows(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    assert_string_equal(drain(a, op_series(a, &ctx, TYPE_INT4, num(a, 5), num(a, 1), num(a, -2))),
                        "5;3;1;");
    assert_string_equal(drain(a, op_series(a, &ctx, TYPE_INT4, num(a, 1), num(a, 0), NULL)), "");
    assert_string_equal(drain(a, op_series(a, &ctx, TYPE_INT4, expr_const(a, TYPE_INT4, DATUM_NULL),
                                           num(a, 9), NULL)),
                        "");
    assert_string_equal(drain(a, op_series(a, &ctx, TYPE_NUMERIC, value(a, "numeric", "1.0"),
                                           value(a, "numeric", "2"), value(a, "numeric", "0.5"))),
                        "1.0;1.5;2.0;");
    assert_string_equal(
        drain(a, op_series(a, &ctx, TYPE_TIMESTAMP, value(a, "timestamp", "2020-01-31"),
                           value(a, "timestamp", "2020-04-01"), value(a, "interval", "1 month"))),
        "2020-01-31 00:00:00;2020-02-29 00:00:00;2020-03-29 00:00:00;");
    struct op *bad = op_series(a, &ctx, TYPE_INT4, num(a, 1), num(a, 5), num(a, 0));
    struct batch *b;
    REFUSED("22023", op_next(NULL, bad, &b));
    op_close(bad);
    struct expr *args[1] = {value(a, "text[]", "{a,NULL,b}")}, *e;
    MUST(call(a, "unnest", 1, args, &e));
    assert_string_equal(drain(a, op_set(a, &ctx, e)), "a;-;b;");
    struct expr *rx[3] = {value(a, "text", "foobarbequebazilbarfbonk"),
                          value(a, "text", "(b[^b]+)(b[^b]+)"), value(a, "text", "g")};
    MUST(call(a, "regexp_matches", 3, rx, &e));
    assert_string_equal(drain(a, op_set(a, &ctx, e)), "{bar,beque};{bazil,barf};");
    struct expr *from_to[2] = {num(a, 1), num(a, 3)};
    MUST(call(a, "generate_series", 2, from_to, &e));
    assert_string_equal(drain(a, op_set(a, &ctx, e)), "1;2;3;");
    struct op *big = op_series(a, &ctx, TYPE_NUMERIC, value(a, "numeric", "1"),
                               value(a, "numeric", "5000"), NULL);
    struct agg_call sum = {.nargs = 1,
                           .args = (struct expr *[]){expr_column(a, TYPE_NUMERIC, -1, 0)}};
    type_oid types[1] = {TYPE_NUMERIC}, want[1];
    MUST(func_resolve(slice_str("sum"), types, 1, false, &sum.func, want, &sum.result));
    assert_string_equal(drain(a, op_aggregate(a, &ctx, big, 0, 1, &sum, AGG_COMPLETE)),
                        "12502500;");
    arena_destroy(a);
}

static void values_evaluate_row_by_row(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct eval_ctx ctx = {.arena = a};
    struct expr *r1[] = {num(a, 1), value(a, "text", "x")};
    struct expr *r2[] = {call2(a, "op:+", num(a, 1), num(a, 1)), value(a, "text", NULL)};
    struct expr *const *rows[] = {r1, r2};
    uint32_t types[] = {TYPE_INT4, TYPE_TEXT};
    assert_string_equal(drain(a, op_values(a, &ctx, 2, types, 2, rows)), "1,x;2,-;");
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filter_and_project_see_every_row_once),
        cmocka_unit_test(a_heavy_filter_gives_the_rows_of_a_light_one),
        cmocka_unit_test(limit_stops_asking),
        cmocka_unit_test(sort_orders_nulls_as_told_and_keeps_equal_rows_in_order),
        cmocka_unit_test(top_n_needs_the_memory_of_n_rows),
        cmocka_unit_test(a_top_n_is_the_start_of_the_full_sort),
        cmocka_unit_test(a_sort_beyond_the_budget_is_refused_with_a_hint),
        cmocka_unit_test(aggregates_and_joins_beyond_the_budget_are_refused),
        cmocka_unit_test(set_operations_count_duplicates_and_nulls),
        cmocka_unit_test(joins_of_every_kind_treat_null_as_no_match),
        cmocka_unit_test(random_joins_agree_with_a_plain_loop),
        cmocka_unit_test(aggregates_group_filter_and_deduplicate),
        cmocka_unit_test(partial_and_final_equal_complete),
        cmocka_unit_test(a_partial_aggregate_of_many_groups_stays_small),
        cmocka_unit_test(series_and_sets_give_their_rows),
        cmocka_unit_test(values_evaluate_row_by_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
