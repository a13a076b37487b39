/*
 * Changes: rows found, computed and written by one Write request, with its commit and without; the
 * snapshot that moves within the shard (W4), and when it must not.
 */
#include "cmocka_all.h"

#include "part_world.h"

/* The texts that a change gave back: "x y". */
static char *given(struct world *w, const struct call *c)
{
    struct batch *b = NULL;
    assert_non_null(c->write_reply.change);
    ProtobufCBinaryData bytes = c->write_reply.change->batch;
    assert_null(batch_decode(w->arena, slice_make(bytes.data, bytes.len), &b));
    struct buf out = {0};
    for (int i = 0; i < b->nrows; i++) {
        buf_printf(&out, "%s%.*s", i > 0 ? " " : "", (int)b->cols[0][i].len,
                   (const char *)b->cols[0][i].p);
    }
    char *s = arena_strndup(w->arena, out.data != NULL ? (const char *)out.data : "", out.len);
    buf_deinit(&out);
    return s;
}

static void change_ok(struct call *c, struct txn *t, const char *start, const char *end,
                      const char *add)
{
    call_change(c, t, start, end, add, NULL, false);
    assert_true(c->is_done);
    assert_null(c->st);
    assert_false(c->write_reply.failed || c->write_reply.conflict);
    txn_learn(t, c);
    if (c->write_reply.change->ts > t->start) {
        t->start = c->write_reply.change->ts;
    }
}

static void a_change_with_its_commit_is_one_request(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2");
    uint64_t index = w->index;
    struct txn t = txn_new(w, 0);
    struct call c;
    call_change(&c, &t, "a", "", "x", NULL, true);
    assert_true(c.is_done);
    assert_null(c.st);
    assert_true(c.write_reply.committed != 0);
    assert_string_equal(given(w, &c), "1x");
    assert_int_equal(w->index, index + 1);
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1x b=2");
    assert_null(part_find_by_id(w->part, (struct txn_id){1, t.counter}));
    call_free(&c);
    struct txn d = txn_new(w, 0);
    call_change(&c, &d, "b", "", NULL, NULL, true);
    assert_true(c.is_done && c.st == NULL && c.write_reply.committed != 0);
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1x");
    call_free(&c);
}

static void a_change_of_no_row_writes_nothing(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    uint64_t index = w->index;
    struct txn t = txn_new(w, 0);
    struct call c;
    call_change(&c, &t, "b", "", "x", NULL, true);
    assert_true(c.is_done && c.st == NULL && c.write_reply.committed != 0);
    assert_string_equal(given(w, &c), "");
    assert_int_equal(w->index, index);
    assert_null(part_find_by_id(w->part, (struct txn_id){1, t.counter}));
    call_free(&c);
}

static void a_row_that_breaks_a_check_undoes_the_request(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2");
    struct txn t = txn_new(w, ++w->clock);
    struct call c;
    change_ok(&c, &t, "a", "", "x");
    call_free(&c);
    call_change(&c, &t, "a", "z", "y", "2y", false); /* the second row */
    assert_true(c.is_done && c.st == NULL && c.write_reply.failed);
    assert_null(c.write_reply.change);
    call_free(&c);
    assert_string_equal(read_in(&t, "a", "z"), "a=1x b=2");
    change_ok(&c, &t, "a", "z", "z");
    call_free(&c);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1xz b=2z");
}

static void a_repeated_change_gets_the_same_answer(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    struct call c;
    change_ok(&c, &t, "a", "", "x");
    call_free(&c);
    t.seq--;
    change_ok(&c, &t, "a", "", "x");
    assert_string_equal(given(w, &c), "1x");
    call_free(&c);
    assert_string_equal(read_in(&t, "a", "z"), "a=1x");
}

static void a_newer_version_moves_the_snapshot(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2");
    struct txn t = txn_new(w, ++w->clock);
    uint64_t start = t.start;
    assert_string_equal(read_in(&t, "b", "c"), "b=2");
    uint64_t newer = put(w, "a=5");
    struct call c;
    change_ok(&c, &t, "a", "", "x");
    assert_string_equal(given(w, &c), "5x");
    assert_true(t.start > start && t.start == newer);
    call_free(&c);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, 0, "a", "z"), "a=5x b=2");
}

/* What was read before has changed too: the snapshot cannot move, and nothing is done. */
static void the_snapshot_stays_when_something_read_has_changed(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2");
    struct txn t = txn_new(w, ++w->clock);
    assert_string_equal(read_in(&t, "b", "c"), "b=2");
    put(w, "a=5 b=6");
    struct call c;
    call_change(&c, &t, "a", "", "x", NULL, false);
    assert_true(c.is_done && c.st == NULL && c.write_reply.conflict);
    call_free(&c);
    assert_string_equal(read_at(w, 0, "a", "z"), "a=5 b=6");
}

/* Something read elsewhere may have changed: the router does not allow it. */
static void the_snapshot_stays_when_it_may_not_move(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    t.may_not_move = true;
    put(w, "a=5");
    struct call c;
    call_change(&c, &t, "a", "", "x", NULL, false);
    assert_true(c.is_done && c.st == NULL && c.write_reply.conflict);
    call_free(&c);
}

/* The page's own earlier rows are taken back before it runs again. */
static void a_span_is_changed_once_when_the_snapshot_moves_within_it(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2 +c=3");
    struct txn t = txn_new(w, ++w->clock);
    put(w, "c=7");
    struct call c;
    change_ok(&c, &t, "a", "z", "x");
    assert_string_equal(given(w, &c), "1x 2x 7x");
    call_free(&c);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1x b=2x c=7x");
}

static void read_committed_changes_the_row_as_it_is(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    t.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    uint64_t start = t.start;
    put(w, "a=5");
    struct call c;
    change_ok(&c, &t, "a", "", "x");
    assert_string_equal(given(w, &c), "5x");
    assert_int_equal(t.start, start);
    call_free(&c);
}

/* They queue once, and each changes what the one before has made. */
static void changes_of_a_hot_row_take_their_turns(void **state)
{
    struct world *w = *state;
    enum { N = 32 };
    put(w, "+a=.");
    struct call c[N];
    struct txn t[N];
    w->hold = true;
    for (int i = 0; i < N; i++) {
        t[i] = txn_new(w, 0);
        call_change(&c[i], &t[i], "a", "", "x", NULL, true);
    }
    for (int turn = 0; turn < N; turn++) {
        assert_int_equal(world_apply(w), 1);
        world_settle(w);
        for (int i = 0; i < N; i++) {
            assert_int_equal(c[i].is_done, i <= turn);
        }
    }
    w->hold = false;
    for (int i = 0; i < N; i++) {
        assert_null(c[i].st);
        assert_true(c[i].write_reply.committed != 0);
        assert_int_equal(strlen(given(w, &c[i])), i + 2);
        call_free(&c[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_change_with_its_commit_is_one_request),
        WORLD_TEST(a_change_of_no_row_writes_nothing),
        WORLD_TEST(a_row_that_breaks_a_check_undoes_the_request),
        WORLD_TEST(a_repeated_change_gets_the_same_answer),
        WORLD_TEST(a_newer_version_moves_the_snapshot),
        WORLD_TEST(the_snapshot_stays_when_something_read_has_changed),
        WORLD_TEST(the_snapshot_stays_when_it_may_not_move),
        WORLD_TEST(a_span_is_changed_once_when_the_snapshot_moves_within_it),
        WORLD_TEST(read_committed_changes_the_row_as_it_is),
        WORLD_TEST(changes_of_a_hot_row_take_their_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
