/* Fragments: paging in both directions, limits, filters, projections, partial aggregates, top-N,
 * index lookups with rows elsewhere, own writes on top, READ COMMITTED under locks. */
#include "cmocka_all.h"

#include "part_world.h"
#include "sql/expr.h"

#include <stdio.h>

struct query {
    struct world *w;
    struct fragment fr;
    struct key_span span;
    int columns[2];
    struct row_column cols[2];
    Sherd__V1__ReadRequest req;
    Sherd__V1__ReadReply reply;
    Sherd__V1__TxnRef ref;
    Sherd__V1__TxnId id;
    struct status *st;
    struct buf bytes;
};

/* Rows (id int8, name text) under the primary keys p000..; index entries i<name> -> primary key. */
static void fill(struct world *w, int rows)
{
    for (int i = 0; i < rows; i++) {
        struct buf row = {0}, entry = {0};
        char key[16], index_key[32], name[16];
        snprintf(key, sizeof(key), "p%04d", i);
        snprintf(name, sizeof(name), "n%04d", rows - i);
        snprintf(index_key, sizeof(index_key), "i%s", name);
        struct row_column cols[] = {{.type = TYPE_INT8, .typmod = -1},
                                    {.type = TYPE_TEXT, .typmod = -1}};
        struct datum values[] = {datum_int(i), datum_bytes(slice_str(name))};
        row_encode(&row, cols, 2, values);
        entry_begin(&entry);
        entry_put_version(&entry, slice_str(key), 50, 0, buf_slice(&row), NULL);
        entry_put_version(&entry, slice_str(index_key), 50, 0, slice_str(key), NULL);
        struct store_batch *b = store_batch_create(w->store);
        assert_null(state_apply(w->state, ++w->index, buf_slice(&entry), b, NULL, NULL));
        assert_null(store_write(w->store, b, false));
        store_batch_destroy(b);
        buf_deinit(&row);
        buf_deinit(&entry);
    }
}

static void query_init(struct query *q, struct world *w, const char *start, const char *end)
{
    *q = (struct query){.w = w};
    q->span = (struct key_span){.start = slice_str(start), .end = slice_str(end)};
    q->cols[0] = (struct row_column){.type = TYPE_INT8, .typmod = -1};
    q->cols[1] = (struct row_column){.type = TYPE_TEXT, .typmod = -1};
    q->columns[1] = 1;
    q->fr = (struct fragment){.table_id = 7,
                              .index_id = 1,
                              .nspans = 1,
                              .spans = &q->span,
                              .nrow_columns = 2,
                              .row_columns = q->cols,
                              .ncolumns = 2,
                              .columns = q->columns,
                              .limit = -1};
    sherd__v1__read_request__init(&q->req);
    sherd__v1__read_reply__init(&q->reply);
    sherd__v1__txn_ref__init(&q->ref);
    sherd__v1__txn_id__init(&q->id);
    q->req.shard_id = 2;
    q->req.ts = ++w->clock;
}

static void query_fiber(struct fiber *f, void *arg)
{
    struct query *q = arg;
    sherd__v1__read_reply__init(&q->reply);
    q->st = part_read(f, q->w->part, q->w->arena, &q->req, &q->reply);
}

static struct batch *query_run(struct query *q)
{
    buf_clear(&q->bytes);
    fragment_encode(&q->bytes, &q->fr);
    q->req.fragment = (ProtobufCBinaryData){q->bytes.len, q->bytes.data};
    world_run(q->w, query_fiber, q);
    if (q->st != NULL) {
        return NULL;
    }
    struct batch *b;
    assert_null(batch_decode(q->w->arena, slice_make(q->reply.batch.data, q->reply.batch.len), &b));
    return b;
}

/* All pages; calls check for each row in turn. */
static int all_pages(struct query *q, bool (*check)(int at, const struct batch *b, int row))
{
    int n = 0;
    for (int pages = 0;; pages++) {
        assert_true(pages < 10000);
        struct batch *b = query_run(q);
        assert_null(q->st);
        for (int i = 0; i < b->nrows; i++) {
            assert_true(check == NULL || check(n, b, i));
            n++;
        }
        if (!q->reply.more) {
            return n;
        }
        q->req.resume_key = q->reply.resume_key;
        q->req.resume_span = q->reply.resume_span;
    }
}

static struct expr *compare(struct arena *a, const char *op, int column, int64_t value)
{
    const struct func_def *f;
    type_oid args[2], result;
    assert_null(
        func_resolve_op(slice_str(op), TYPE_INT8, TYPE_INT8, &f, &args[0], &args[1], &result));
    struct expr **list = ARENA_ARRAY(a, struct expr *, 2);
    list[0] = expr_column(a, TYPE_INT8, -1, column);
    list[1] = expr_const(a, TYPE_INT8, datum_int(value));
    return expr_call(a, f, result, 2, list);
}

static bool ascending(int at, const struct batch *b, int row)
{
    return b->cols[0][row].i == at;
}

static bool descending(int at, const struct batch *b, int row)
{
    return b->cols[0][row].i == 2999 - at;
}

static void pages_cover_a_span_in_both_directions(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 3000);
    for (uint32_t max_rows = 1; max_rows < 5000; max_rows = max_rows * 7 + 1) {
        if (max_rows == 1) {
            max_rows = 8;
        }
        struct query q;
        query_init(&q, &w, "p", "q");
        q.req.max_rows = max_rows;
        assert_int_equal(all_pages(&q, ascending), 3000);
        buf_deinit(&q.bytes);
        query_init(&q, &w, "p", "q");
        q.req.max_rows = max_rows;
        q.fr.is_reverse = true;
        assert_int_equal(all_pages(&q, descending), 3000);
        buf_deinit(&q.bytes);
    }
    world_deinit(&w);
}

static void a_page_ends_by_bytes(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 3000);
    struct query q;
    query_init(&q, &w, "p", "q");
    q.req.max_rows = 100000;
    q.req.max_bytes = 4000;
    struct batch *b = query_run(&q);
    assert_true(b->nrows < 3000 && q.reply.more);
    assert_int_equal(all_pages(&q, NULL), 3000);
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

static bool every_third(int at, const struct batch *b, int row)
{
    return b->cols[0][row].i == 2900 + at;
}

static void a_filter_over_many_rows_and_a_limit(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 3000);
    struct query q;
    query_init(&q, &w, "p", "q");
    q.fr.filter = compare(w.arena, ">=", 0, 2900);
    assert_int_equal(all_pages(&q, every_third), 100);
    buf_deinit(&q.bytes);
    query_init(&q, &w, "p", "q");
    q.fr.filter = compare(w.arena, ">=", 0, 2900);
    q.fr.limit = 3;
    struct batch *b = query_run(&q);
    assert_int_equal(b->nrows, 3);
    assert_false(q.reply.more);
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

static void projections_and_the_key(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 10);
    struct query q;
    query_init(&q, &w, "p0003", "p0005");
    struct expr *p[] = {compare(w.arena, ">", 0, 3)};
    q.fr.nprojections = 1;
    q.fr.projections = p;
    q.fr.with_key = true;
    struct batch *b = query_run(&q);
    assert_int_equal(b->nrows, 2);
    assert_int_equal(b->ncols, 2);
    assert_int_equal(b->cols[0][0].i, 0);
    assert_int_equal(b->cols[0][1].i, 1);
    assert_true(slice_eq(datum_slice(&b->cols[1][1]), slice_str("p0004")));
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

static const struct func_def *aggregate(const char *name, bool star)
{
    const struct func_def *f;
    type_oid arg = TYPE_INT8, to, result;
    assert_null(func_resolve(slice_str(name), &arg, star ? 0 : 1, star, &f, &to, &result));
    return f;
}

static void partial_aggregates_merge_over_pages(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 3000);
    struct query q;
    query_init(&q, &w, "p", "q");
    struct expr *arg = expr_column(w.arena, TYPE_INT8, -1, 0);
    struct agg_call calls[] = {
        {.func = aggregate("count", true), .result = TYPE_INT8},
        {.func = aggregate("max", false), .result = TYPE_INT8, .nargs = 1, .args = &arg},
    };
    q.fr.naggs = 2;
    q.fr.aggs = calls;
    void *count = agg_state(w.arena, &calls[0]), *max = agg_state(w.arena, &calls[1]);
    for (;;) {
        struct batch *b = query_run(&q);
        assert_null(q.st);
        for (int i = 0; i < b->nrows; i++) {
            assert_null(calls[0].func->agg->merge(w.arena, count, datum_slice(&b->cols[0][i])));
            assert_null(calls[1].func->agg->merge(w.arena, max, datum_slice(&b->cols[1][i])));
        }
        if (!q.reply.more) {
            break;
        }
        q.req.resume_key = q.reply.resume_key;
        q.req.resume_span = q.reply.resume_span;
    }
    struct datum n, m;
    assert_null(calls[0].func->agg->finish(w.arena, count, &n));
    assert_null(calls[1].func->agg->finish(w.arena, max, &m));
    assert_int_equal(n.i, 3000);
    assert_int_equal(m.i, 2999);
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

static void top_n_gives_the_first_by_another_order(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 3000);
    struct query q;
    query_init(&q, &w, "p", "q");
    struct sort_key by_name = {.column = 1, .type = TYPE_TEXT};
    q.fr.nsort = 1;
    q.fr.sort = &by_name;
    q.fr.limit = 4;
    struct batch *b = query_run(&q);
    assert_null(q.st);
    assert_int_equal(b->nrows, 4);
    assert_int_equal(b->cols[0][0].i, 2999);
    assert_int_equal(b->cols[0][3].i, 2996);
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

static bool by_index(int at, const struct batch *b, int row)
{
    return b->cols[0][row].i == 2999 - at;
}

static void an_index_lookup_fetches_rows_here_and_names_the_others(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 3000);
    struct query q;
    query_init(&q, &w, "i", "j");
    q.fr.index_id = 2;
    q.fr.is_lookup = true;
    assert_int_equal(all_pages(&q, by_index), 3000);
    buf_deinit(&q.bytes);
    buf_clear(&w.state->end);
    buf_put(&w.state->end, "p2", 2); /* rows from p2000 on are somebody else's now */
    query_init(&q, &w, "i", "in0004");
    q.fr.index_id = 2;
    q.fr.is_lookup = true;
    struct batch *b = query_run(&q);
    assert_int_equal(b->nrows, 0);
    assert_int_equal(q.reply.n_missed, 3);
    assert_memory_equal(q.reply.missed[0].data, "p2999", 5);
    /* LATEST may not miss: it is one shard only (R2). A timestamp is taken. */
    uint64_t before = w.clock;
    q.req.ts = 0;
    query_run(&q);
    assert_int_equal(q.reply.ts, before + 1);
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

static void own_writes_lie_over_the_scan(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    put(&w, "+b=1 +d=1 +f=1 +h=1");
    struct txn t = txn_new(&w, ++w.clock);
    write_ok(&t, "+a=2 -b +c=2 d=2 +e=2 -h +z1=2");
    assert_string_equal(read_in(&t, "a", "z"), "a=2 c=2 d=2 e=2 f=1");
    assert_string_equal(read_in(&t, "b", "e"), "c=2 d=2");
    assert_string_equal(read_in(&t, "b", ""), "");
    assert_string_equal(read_in(&t, "c", ""), "c=2");
    world_deinit(&w);
}

static void keys_of_another_shard_are_refused(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    buf_put(&w.state->end, "q", 1);
    struct query q;
    query_init(&q, &w, "p", "r");
    query_run(&q);
    assert_true(status_is(q.st, STATUS_MOVED));
    assert_null(q.st->hint);
    status_free(q.st);
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

static void a_damaged_fragment_is_an_error(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    fill(&w, 10);
    struct query q;
    query_init(&q, &w, "p", "q");
    q.fr.filter = compare(w.arena, ">=", 0, 5);
    fragment_encode(&q.bytes, &q.fr);
    for (size_t len = 0; len < q.bytes.len; len++) {
        q.req.fragment = (ProtobufCBinaryData){len, q.bytes.data};
        world_run(&w, query_fiber, &q);
        assert_non_null(q.st);
        status_free(q.st);
    }
    buf_deinit(&q.bytes);
    world_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_cover_a_span_in_both_directions),
        cmocka_unit_test(a_page_ends_by_bytes),
        cmocka_unit_test(a_filter_over_many_rows_and_a_limit),
        cmocka_unit_test(projections_and_the_key),
        cmocka_unit_test(partial_aggregates_merge_over_pages),
        cmocka_unit_test(top_n_gives_the_first_by_another_order),
        cmocka_unit_test(an_index_lookup_fetches_rows_here_and_names_the_others),
        cmocka_unit_test(own_writes_lie_over_the_scan),
        cmocka_unit_test(keys_of_another_shard_are_refused),
        cmocka_unit_test(a_damaged_fragment_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
