/*
 * Rows that get another key (MVCC_MOVED): who waited for one at READ COMMITTED has to look for it
 * anew, whatever has come under its old key since; the mark is there after a change of the leader,
 * in history, in PREPARED records.
 */
#include "cmocka_all.h"

#include "part_world.h"

#define A(name) SHERD__V1__ANSWER__ANSWER_##name

static int setup(void **state)
{
    struct world *w = MEM_NEW(struct world);
    world_init(w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_deinit(*state);
    mem_free(*state);
    return 0;
}

static struct txn committed_at(struct world *w, uint64_t start)
{
    struct txn t = txn_new(w, start);
    t.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    t.may_not_move = true;
    return t;
}

static struct txn committed_txn(struct world *w)
{
    return committed_at(w, ++w->clock);
}

static bool is_conflict(struct call *c)
{
    assert_true(c->is_done);
    bool is = status_is(c->st, STATUS_CONFLICT);
    assert_true(is || c->st == NULL);
    return is;
}

/* FOR UPDATE of the key in the statement's snapshot: is it a conflict? */
static bool lock_meets_move(struct txn *t, const char *key)
{
    struct call c;
    call_read_lock(&c, t, t->start, key, LOCK_UPDATE);
    bool is = is_conflict(&c);
    call_free(&c);
    return is;
}

static bool holds(struct world *w, const struct txn *t, const char *key)
{
    struct work *work = part_find_by_id(w->part, (struct txn_id){1, t->counter});
    assert_non_null(work);
    return lock_hold_of(&w->part->locks, &work->owner, slice_str(key)) != NULL;
}

static void a_row_that_has_moved_is_looked_for_anew(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2 +c=3");
    struct txn rc = committed_txn(w), rr = txn_new(w, rc.start);
    struct txn deleted = committed_at(w, rc.start), changed = committed_at(w, rc.start);
    rr.isolation = SHERD__V1__ISOLATION__REPEATABLE_READ;
    put(w, ">a +x=1");
    put(w, "-b");
    put(w, "c=4");
    assert_true(lock_meets_move(&rc, "a"));
    assert_false(holds(w, &rc, "a"));             /* who moves it back need not wait */
    assert_false(lock_meets_move(&deleted, "b")); /* gone: no row */
    assert_false(lock_meets_move(&changed, "c")); /* used as it is now */
    struct call c;
    call_read_lock(&c, &rr, rr.start, "a", LOCK_UPDATE);
    assert_true(is_conflict(&c));
    assert_non_null(strstr(c.st->message, "concurrent update"));
    assert_true(holds(w, &rr, "a")); /* as ever (W2, W6) */
    call_free(&c);
}

static void a_change_meets_a_moved_row(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2");
    struct txn t = committed_txn(w);
    uint64_t moved = put(w, ">b +x=2");
    struct call c;
    call_change(&c, &t, "a", "c", "y", NULL, false);
    assert_true(c.is_done && c.st == NULL && c.write_reply.conflict);
    assert_int_equal(c.write_reply.newest, moved);
    txn_learn(&t, &c);
    call_free(&c);
    assert_string_equal(read_in(&t, "a", "z"), "a=1 b=2"); /* nothing of it was done */
    t.start = ++w->clock;
    call_change(&c, &t, "a", "z", "y", NULL, false);
    assert_true(c.is_done && c.st == NULL && !c.write_reply.conflict);
    call_free(&c);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1y x=2y");
}

/* The lock is waited for before there is a snapshot: one call, and no row under the old key. */
static void a_change_that_carries_its_commit_waits_and_finds_no_row(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn mover = txn_new(w, ++w->clock), t = txn_new(w, 0);
    t.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    write_ok(&mover, ">a +x=1");
    struct call c;
    call_change(&c, &t, "a", "", "y", NULL, true);
    assert_false(c.is_done);
    assert_int_equal(commit_one(&mover, NULL), A(COMMITTED));
    world_settle(w);
    assert_true(c.is_done && c.st == NULL && c.write_reply.committed != 0);
    call_free(&c);
    assert_string_equal(read_at(w, 0, "a", "z"), "x=1");
}

static void another_row_under_the_old_key_hides_nothing(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2 +c=3");
    struct txn same = committed_txn(w), later = committed_txn(w), between = committed_txn(w);
    put(w, ">a >b +x=1 a=2"); /* a takes the row of b in the same transaction */
    assert_string_equal(read_at(w, 0, "a", "z"), "a=2 c=3 x=1");
    assert_true(lock_meets_move(&same, "a"));
    put(w, ">c +y=3");
    put(w, "+c=other");
    for (int i = 0; i < 5; i++) {
        put(w, "c=changed");
    }
    assert_true(lock_meets_move(&later, "c"));
    /* A snapshot that has the other row already. */
    between.start = ++w->clock;
    put(w, "c=again");
    assert_false(lock_meets_move(&between, "c"));
}

static void an_undone_move_is_none(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn rc = committed_txn(w), t = txn_new(w, ++w->clock);
    uint64_t newest_move = w->part->newest_move;
    write_ok(&t, ">a");
    struct work *work = part_find_by_id(w->part, (struct txn_id){1, t.counter});
    work_undo(work, &w->part->locks, 0); /* ROLLBACK TO */
    write_ok(&t, "a=2");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_false(lock_meets_move(&rc, "a"));
    assert_int_equal(w->part->newest_move, newest_move);
}

static void the_mark_outlives_the_leader(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2 +c=3");
    struct txn rc = committed_txn(w), deleted = committed_at(w, rc.start),
               replaced = committed_at(w, rc.start), not_moved = txn_new(w, 0);
    not_moved.isolation = rc.isolation;
    put(w, ">a +x=1");
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, ">b +y=2 >c c=4");
    uint64_t commit = ++w->clock;
    struct call c;
    call_prepare(&c, &t, 1, commit, false);
    assert_int_equal(c.out.answer, A(PREPARED));
    world_next_term(w, true);
    assert_true(lock_meets_move(&rc, "a"));
    call_finalize(&c, &t, 1, commit, false);
    assert_true(c.is_done && c.st == NULL);
    assert_string_equal(read_at(w, 0, "a", "z"), "c=4 x=1 y=2");
    assert_true(lock_meets_move(&deleted, "b"));
    assert_true(lock_meets_move(&replaced, "c"));
    not_moved.start = ++w->clock;
    put(w, "c=5");
    assert_false(lock_meets_move(&not_moved, "c"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(a_row_that_has_moved_is_looked_for_anew),
        T(a_change_meets_a_moved_row),
        T(a_change_that_carries_its_commit_waits_and_finds_no_row),
        T(another_row_under_the_old_key_hides_nothing),
        T(an_undone_move_is_none),
        T(the_mark_outlives_the_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
