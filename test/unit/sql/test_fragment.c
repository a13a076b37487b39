/*
 * Fragments: bytes come back as the same fragment; cut, damaged or contradictory ones are refused.
 */
#include "expr_lib.h"

#include "sql/fragment.h"

static struct fragment *example(struct arena *a)
{
    struct fragment *fr = ARENA_NEW(a, struct fragment);
    static struct key_span spans[2];
    static struct row_column columns[4];
    static int wanted[] = {0, 2, 3};
    static struct sort_key sort[1];
    spans[0] = (struct key_span){slice_make("a", 1), slice_make("a\0", 2), true};
    spans[1] = (struct key_span){slice_make("b", 1), slice_make("c", 1), false};
    columns[0] = (struct row_column){.type = TYPE_INT4, .typmod = -1};
    columns[1] = (struct row_column){.type = TYPE_TEXT, .typmod = -1};
    columns[2] = (struct row_column){.type = TYPE_VARCHAR, .typmod = 24};
    columns[3] = (struct row_column){.type = TYPE_NUMERIC, .typmod = -1, .has_missing = true};
    columns[3].missing = value(a, "numeric", "1.5")->value;
    sort[0] = (struct sort_key){.column = 1, .type = TYPE_NUMERIC, .is_desc = true};
    struct expr *cast;
    MUST(expr_cast(a, expr_column(a, TYPE_VARCHAR, 24, 1), TYPE_TEXT, -1, CAST_IMPLICIT, &cast));
    *fr = (struct fragment){.table_id = 70001,
                            .index_id = 1,
                            .schema_version = 1234567890123,
                            .nspans = 2,
                            .spans = spans,
                            .is_reverse = true,
                            .nrow_columns = 4,
                            .row_columns = columns,
                            .ncolumns = 3,
                            .columns = wanted,
                            .with_key = true,
                            .limit = 10,
                            .nsort = 1,
                            .sort = sort,
                            .lock = LOCK_UPDATE,
                            .lock_wait = LOCK_SKIP};
    fr->filter = call2(a, "op:=", cast, value(a, "text", "x"));
    fr->nprojections = 2;
    fr->projections = ARENA_ARRAY(a, struct expr *, 2);
    fr->projections[0] = expr_column(a, TYPE_INT4, -1, 0);
    fr->projections[1] =
        call2(a, "op:*", expr_column(a, TYPE_NUMERIC, -1, 2), value(a, "numeric", "2"));
    return fr;
}

static struct fragment *example_agg(struct arena *a)
{
    struct fragment *fr = example(a);
    fr->lock = LOCK_NONE;
    fr->with_key = false;
    fr->nsort = 0;
    fr->limit = -1;
    fr->ngroups = 1;
    fr->naggs = 2;
    fr->aggs = ARENA_ARRAY(a, struct agg_call, 2);
    type_oid types[1] = {TYPE_NUMERIC}, want[1];
    MUST(func_resolve(slice_str("sum"), types, 1, false, &fr->aggs[0].func, want,
                      &fr->aggs[0].result));
    fr->aggs[0].nargs = 1;
    fr->aggs[0].args = ARENA_ARRAY(a, struct expr *, 1);
    fr->aggs[0].args[0] = expr_column(a, TYPE_NUMERIC, -1, 1);
    MUST(func_resolve(slice_str("count"), NULL, 0, true, &fr->aggs[1].func, want,
                      &fr->aggs[1].result));
    fr->aggs[1].filter = call2(a, "op:>", expr_column(a, TYPE_INT4, -1, 0), value(a, "int4", "3"));
    return fr;
}

static struct fragment *example_change(struct arena *a)
{
    struct fragment *fr = example(a);
    fr->with_key = false;
    fr->nprojections = fr->nsort = 0;
    fr->limit = -1;
    struct fragment_change *ch = ARENA_NEW(a, struct fragment_change);
    fr->change = ch;
    ch->returns_rows = true;
    ch->nsets = ch->ngenerated = ch->nnot_null = ch->nchecks = 1;
    ch->sets = ARENA_NEW(a, struct fragment_set);
    ch->sets[0] = (struct fragment_set){
        3, call2(a, "op:*", expr_column(a, TYPE_NUMERIC, -1, 2), value(a, "numeric", "2"))};
    ch->generated = ARENA_NEW(a, struct fragment_set);
    ch->generated[0] = (struct fragment_set){0, expr_column(a, TYPE_INT4, -1, 0)};
    ch->not_null = ARENA_NEW(a, int);
    ch->not_null[0] = 3;
    ch->checks = ARENA_NEW(a, struct expr *);
    ch->checks[0] =
        call2(a, "op:<", expr_column(a, TYPE_NUMERIC, -1, 3), value(a, "numeric", "10"));
    return fr;
}

static void encoded(const struct fragment *fr, struct buf *b)
{
    *b = (struct buf){0};
    fragment_encode(b, fr);
}

static void bytes_come_back_as_the_same_fragment(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct fragment *list[] = {example(a), example_agg(a), example_change(a)}, *back;
    for (int i = 0; i < 3; i++) {
        struct buf b, again;
        encoded(list[i], &b);
        MUST(fragment_decode(a, buf_slice(&b), &back));
        encoded(back, &again);
        assert_true(slice_eq(buf_slice(&b), buf_slice(&again)));
        assert_int_equal(back->limit, list[i]->limit);
        assert_int_equal(back->lock, list[i]->lock);
        assert_true(slice_eq(back->spans[0].end, slice_make("a\0", 2)));
        assert_true(expr_equal(back->filter, list[i]->filter));
        assert_int_equal(back->naggs, list[i]->naggs);
        buf_deinit(&b);
        buf_deinit(&again);
    }
    arena_destroy(a);
}

static void refused(struct arena *a, const struct fragment *fr)
{
    struct fragment *back;
    struct buf b;
    encoded(fr, &b);
    REFUSED("XX001", fragment_decode(a, buf_slice(&b), &back));
    buf_deinit(&b);
}

static void contradictions_are_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct fragment fr = *example(a);
    fr.filter = expr_column(a, TYPE_INT4, -1, 0); /* not boolean */
    refused(a, &fr);
    fr = *example(a);
    fr.projections[0] = expr_column(a, TYPE_INT4, -1, 4); /* the key is column 3 */
    refused(a, &fr);
    fr = *example(a);
    fr.projections[0] = expr_column(a, TYPE_INT4, -1, 1); /* is text */
    refused(a, &fr);
    fr = *example(a);
    fr.columns = (int[]){0, 3, 2};
    refused(a, &fr);
    fr = *example(a);
    fr.columns = (int[]){0, 2, 4};
    refused(a, &fr);
    fr = *example(a);
    struct key_span swapped[2] = {fr.spans[1], fr.spans[0]};
    fr.spans = swapped;
    refused(a, &fr);
    fr = *example(a);
    fr.sort[0].column = 3;
    refused(a, &fr);
    fr.sort[0].column = 0; /* an int sorted as a numeric */
    refused(a, &fr);
    fr = *example(a);
    fr.lock = (enum lock_mode)9;
    refused(a, &fr);
    fr = *example(a);
    fr.is_keys_only = true;
    refused(a, &fr);
    fr = *example_agg(a);
    fr.ngroups = 3;
    refused(a, &fr);
    fr = *example_agg(a);
    fr.aggs[0].args[0] = expr_column(a, TYPE_INT4, -1, 0); /* sum(numeric) of an int */
    refused(a, &fr);
    fr = *example_change(a);
    fr.lock = LOCK_SHARE; /* rows change under a lock for it */
    refused(a, &fr);
    fr = *example_change(a);
    fr.limit = 1;
    refused(a, &fr);
    fr = *example_change(a);
    fr.change->sets[0].ordinal = 4;
    refused(a, &fr);
    fr = *example_change(a);
    fr.change->sets[0].ordinal = 1; /* a numeric into a text */
    refused(a, &fr);
    fr = *example_change(a);
    fr.change->sets[0].value = expr_column(a, TYPE_NUMERIC, -1, 3); /* three are decoded */
    refused(a, &fr);
    fr = *example_change(a);
    fr.change->not_null[0] = 4;
    refused(a, &fr);
    fr = *example_change(a);
    fr.change->checks[0] = expr_column(a, TYPE_INT4, -1, 0); /* not boolean */
    refused(a, &fr);
    arena_destroy(a);
}

static void cut_or_damaged_bytes_are_refused_or_sound(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct fragment *list[] = {example(a), example_agg(a), example_change(a)}, *back;
    for (int i = 0; i < 3; i++) {
        struct buf b;
        encoded(list[i], &b);
        uint8_t *copy = malloc(b.len);
        for (size_t n = 0; n < b.len; n++) {
            memcpy(copy, b.data, n);
            struct arena *small = arena_create((size_t)4 << 20);
            assert_true(status_consume(fragment_decode(small, slice_make(copy, n), &back)));
            arena_destroy(small);
        }
        for (int round = 0; round < 20000; round++) {
            memcpy(copy, b.data, b.len);
            for (uint64_t k = test_random(NULL) % 3 + 1; k > 0; k--) {
                copy[test_random(NULL) % b.len] = (uint8_t)test_random(NULL);
            }
            struct arena *small = arena_create((size_t)4 << 20);
            if (!status_consume(fragment_decode(small, slice_make(copy, b.len), &back))) {
                struct buf again; /* what was accepted can be written and walked */
                encoded(back, &again);
                buf_deinit(&again);
            }
            arena_destroy(small);
        }
        free(copy);
        buf_deinit(&b);
    }
    arena_destroy(a);
}

static void a_change_computes_rows_and_refuses_bad_ones(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    struct fragment *fr = example_change(a);
    type_oid types[] = {TYPE_INT4, TYPE_VARCHAR, TYPE_NUMERIC};
    struct batch *in = batch_create(a, 3, types, 3), *out;
    const char *amounts[] = {"1", "4.5", "5"};
    for (int i = 0; i < 3; i++) {
        in->cols[0][i] = datum_int(i);
        in->cols[1][i] = datum_bytes(slice_str("v"));
        in->cols[2][i] = value(a, "numeric", amounts[i])->value;
    }
    in->nrows = 3;
    struct eval_ctx ev = {.arena = a};
    bool refused_row;
    MUST(fragment_change_rows(&ev, fr, in, (int[]){1, 0}, 2, &out, &refused_row));
    assert_false(refused_row);
    assert_int_equal(out->nrows, 2);
    assert_int_equal(out->ncols, 4);
    assert_int_equal(out->cols[0][0].i, 1);
    assert_true(out->cols[1][0].is_null); /* not decoded */
    assert_int_equal(type_compare(TYPE_NUMERIC, &out->cols[3][0], &value(a, "numeric", "9")->value),
                     0);
    assert_int_equal(type_compare(TYPE_NUMERIC, &out->cols[3][1], &value(a, "numeric", "2")->value),
                     0);
    MUST(fragment_change_rows(&ev, fr, in, (int[]){0, 2}, 2, &out, &refused_row)); /* 10 < 10 */
    assert_true(refused_row);
    in->cols[2][0] = DATUM_NULL;
    MUST(fragment_change_rows(&ev, fr, in, (int[]){0}, 1, &out, &refused_row)); /* NOT NULL */
    assert_true(refused_row);
    fr->change->is_delete = true; /* the old rows, whatever they are */
    MUST(fragment_change_rows(&ev, fr, in, (int[]){0}, 1, &out, &refused_row));
    assert_false(refused_row);
    assert_true(out->cols[3][0].is_null);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back_as_the_same_fragment),
        cmocka_unit_test(contradictions_are_refused),
        cmocka_unit_test(a_change_computes_rows_and_refuses_bad_ones),
        cmocka_unit_test(cut_or_damaged_bytes_are_refused_or_sound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
