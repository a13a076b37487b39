/*
 * The participant, rule by rule: each test is the counter-example that PROTOCOL gives for a rule,
 * or the plain behaviour that it promises.
 */
#include "cmocka_all.h"

#include "base/buggify.h"
#include "part_world.h"

#include <stdio.h>

/* ---- plain ---- */

static void autocommit_is_visible_to_the_next_read(void **state)
{
    struct world *w = *state;
    uint64_t c1 = put(w, "+a=1 +b=2");
    put(w, "a=3");
    assert_string_equal(read_at(w, 0, "a", "z"), "a=3 b=2");
    assert_string_equal(read_at(w, c1, "a", "z"), "a=1 b=2");
    assert_string_equal(read_at(w, c1 - 1, "a", "z"), "");
}

static void own_writes_are_seen_by_own_reads_only(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=2 +c=3");
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "b=9 -c +d=4");
    assert_string_equal(read_in(&t, "a", "z"), "a=1 b=9 d=4");
    assert_string_equal(read_at(w, ++w->clock, "a", "z"), "a=1 b=2 c=3");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1 b=9 d=4");
}

static void insert_of_a_live_key_fails_and_does_nothing(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    struct call c;
    call_write(&c, &t, "+b=1 +a=2", false);
    assert_true(c.is_done && c.st == NULL && c.write_reply.failed);
    assert_int_equal(c.write_reply.conflict_op, 1);
    txn_learn(&t, &c);
    assert_string_equal(read_in(&t, "a", "z"), "a=1");
    call_free(&c);
}

static void a_savepoint_takes_writes_back(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    write_ok(&t, "a=2 b=2");
    struct work *wk = part_find_by_id(w->part, (struct txn_id){1, t.counter});
    work_undo(wk, &w->part->locks, 1);
    assert_string_equal(read_in(&t, "a", "z"), "a=1");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1");
}

static void a_repeated_write_gets_the_same_answer(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "+a=1");
    t.seq--; /* W1 */
    write_ok(&t, "+a=1");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
}

/* ---- W2, W4 ---- */

static void a_newer_version_is_a_conflict(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    uint64_t newer = put(w, "a=2");
    struct call c;
    call_write(&c, &t, "a=3", false);
    assert_true(c.is_done && c.st == NULL && c.write_reply.conflict);
    assert_int_equal(c.write_reply.newest, newer);
    call_free(&c);
    struct txn rc = txn_new(w, t.start);
    rc.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    call_write(&c, &rc, "a=3", false);
    assert_false(c.is_done); /* t kept its lock (W6) */
    part_drop(w->part, part_find_by_id(w->part, (struct txn_id){1, t.counter}));
    world_settle(w);
    assert_true(c.is_done && c.st == NULL && !c.write_reply.conflict);
    call_free(&c);
}

static void a_refresh_moves_the_snapshot_when_nothing_read_has_changed(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=1");
    struct txn t = txn_new(w, ++w->clock);
    t.statement = 1;
    assert_string_equal(read_in(&t, "b", ""), "b=1");
    put(w, "a=2");
    t.statement = 2;
    struct call c;
    assert_string_equal(read_in(&t, "a", ""), "a=1");
    call_write(&c, &t, "a=3", false);
    assert_true(c.write_reply.conflict);
    txn_learn(&t, &c);
    uint64_t to = ++w->clock;
    struct call r;
    call_refresh(&r, &t, to, 0, 2);
    assert_true(r.is_done && r.st == NULL);
    assert_int_equal(r.out.answer, A(OK));
    t.start = to;
    assert_string_equal(read_in(&t, "a", ""), "a=2");
    write_ok(&t, "a=3");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
}

static void a_refresh_fails_when_something_read_has_changed(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=1");
    struct txn t = txn_new(w, ++w->clock);
    t.statement = 1;
    assert_string_equal(read_in(&t, "a", "c"), "a=1 b=1");
    put(w, "b=2");
    struct call r;
    call_refresh(&r, &t, ++w->clock, 0, 2);
    assert_int_equal(r.out.answer, A(CHANGED));
}

/* ---- P3, T3: the read-timestamp cache ---- */

static void a_commit_below_a_read_is_refused_and_comes_higher(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    uint64_t commit = ++w->clock;
    assert_string_equal(read_at(w, ++w->clock, "a", "z"), "");
    struct call c;
    call_prepare(&c, &t, 1, commit, false);
    assert_int_equal(c.out.answer, A(REFUSED));
    call_prepare(&c, &t, 1, ++w->clock, false);
    assert_int_equal(c.out.answer, A(REFUSED)); /* stable: min_attempt */
    call_prepare(&c, &t, 2, ++w->clock, false);
    assert_int_equal(c.out.answer, A(PREPARED));
    assert_int_equal(c.out.attempt, 2);
    call_finalize(&c, &t, 2, c.out.commit, false);
    assert_null(c.st);
    assert_string_equal(read_at(w, 0, "a", "z"), "a=1");
}

static void a_commit_with_a_timestamp_of_its_own_gets_above_the_readers(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    read_at(w, w->clock + 3, "a", "z"); /* the oracle is behind: refused until it has passed */
    uint64_t ts = 0;
    assert_int_equal(commit_one(&t, &ts), A(COMMITTED));
    assert_true(ts > w->clock - 1);
}

static void without_the_cache_a_read_would_not_repeat(void **state)
{
    struct world *w = *state;
    bug_set("TXN_NO_RTC", true);
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    uint64_t commit = ++w->clock, ts = ++w->clock;
    char *before = read_at(w, ts, "a", "z");
    struct call c;
    call_prepare(&c, &t, 1, commit, true);
    assert_int_equal(c.out.answer, A(COMMITTED));
    assert_string_not_equal(before, read_at(w, ts, "a", "z")); /* I4 is broken: the switch works */
    bug_set("TXN_NO_RTC", false);
}

static void a_new_leader_refuses_below_low(void **state)
{
    struct world *w = *state;
    uint64_t old = ++w->clock;
    world_next_term(w, true);
    struct txn t = txn_new(w, old);
    write_ok(&t, "a=1");
    struct call c;
    call_prepare(&c, &t, 1, old, false);
    assert_int_equal(c.out.answer, A(REFUSED));
}

static void what_an_earlier_leader_wrote_is_found_by_validation(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=1");
    uint64_t old = ++w->clock;
    put(w, "a=2");
    world_next_term(w, true);
    struct txn t = txn_new(w, old), u = txn_new(w, ++w->clock);
    assert_string_equal(read_in(&t, "a", "c"), "a=1 b=1");
    assert_string_equal(read_in(&u, "a", "c"), "a=2 b=1");
    write_ok(&t, "y=1");
    write_ok(&u, "z=1");
    assert_int_equal(commit_one(&t, NULL), A(NEVER));
    assert_int_equal(commit_one(&u, NULL), A(COMMITTED));
}

static void a_write_in_flight_since_the_read_is_found_by_validation(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=1");
    struct txn t = txn_new(w, ++w->clock), u = txn_new(w, 0);
    assert_string_equal(read_in(&t, "a", "c"), "a=1 b=1");
    write_ok(&t, "z=1");
    w->hold = true;
    struct call c, d;
    call_write(&c, &u, "b=2", true);
    call_prepare(&d, &t, 1, ++w->clock, true);
    assert_false(d.is_done);
    w->hold = false;
    world_apply(w);
    assert_true(c.is_done && d.is_done);
    assert_int_equal(d.out.answer, A(NEVER));
}

/* ---- R1: pending locks ---- */

static void a_read_waits_for_what_is_in_flight_below_it(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    w->hold = true;
    struct txn t = txn_new(w, 0), none = {.w = w};
    struct call c, r;
    call_write(&c, &t, "a=2", true);
    assert_false(c.is_done);
    sherd__v1__handle__init(&none.handle);
    call_read(&r, &none, ++w->clock, "a", "z");
    assert_false(r.is_done);
    w->hold = false;
    world_apply(w);
    assert_true(c.is_done && r.is_done);
    assert_string_equal(rows_text(w, &r), "a=2");
    call_free(&r);
}

static void a_read_below_it_does_not_wait(void **state)
{
    struct world *w = *state;
    uint64_t ts = put(w, "+a=1");
    w->hold = true;
    struct txn t = txn_new(w, 0);
    struct call c;
    call_write(&c, &t, "a=2", true);
    assert_string_equal(read_at(w, ts, "a", "z"), "a=1");
    world_apply(w);
    assert_true(c.is_done);
}

static void a_read_does_not_wait_for_an_open_lock(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=2");
    assert_string_equal(read_at(w, ++w->clock, "a", "z"), "a=1");
}

static void a_read_waits_for_a_prepared_transaction_and_asks_for_its_recovery(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock), none = {.w = w};
    write_ok(&t, "a=2");
    struct call c, r;
    uint64_t commit = ++w->clock;
    call_prepare(&c, &t, 1, commit, false);
    assert_int_equal(c.out.answer, A(PREPARED));
    sherd__v1__handle__init(&none.handle);
    call_read(&r, &none, ++w->clock, "a", "z");
    assert_false(r.is_done);
    assert_true(w->orphans > 0);
    call_finalize(&c, &t, 1, commit, false);
    world_settle(w);
    assert_true(r.is_done);
    assert_string_equal(rows_text(w, &r), "a=2");
    call_free(&r);
}

/* F3: from the receipt of Finalize(commit) on, before it is applied. */
static void a_point_read_takes_what_is_decided(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +b=1");
    struct txn t = txn_new(w, ++w->clock), none = {.w = w};
    write_ok(&t, "a=2 -b");
    struct call c, fin, r;
    uint64_t commit = ++w->clock, between = ++w->clock;
    call_prepare(&c, &t, 1, commit, false);
    assert_int_equal(c.out.answer, A(PREPARED));
    sherd__v1__handle__init(&none.handle);
    struct call early;
    call_read(&early, &none, between, "a", ""); /* not decided yet */
    assert_false(early.is_done);
    w->hold = true;
    call_finalize(&fin, &t, 1, commit, false);
    world_settle(w);
    assert_false(fin.is_done);
    assert_true(early.is_done);
    assert_string_equal(rows_text(w, &early), "a=2");
    call_free(&early);
    assert_string_equal(read_at(w, between, "a", ""), "a=2");
    assert_string_equal(read_at(w, between, "b", ""), "");
    assert_string_equal(read_at(w, commit - 1, "a", ""), "a=1");
    uint64_t before = w->clock;
    assert_string_equal(read_at(w, 0, "a", ""), "a=2"); /* LATEST, without the oracle (R3) */
    assert_int_equal(w->clock, before);
    call_read(&r, &none, ++w->clock, "a", "z"); /* a range waits for F2 */
    assert_false(r.is_done);
    struct txn other = txn_new(w, w->clock); /* and so does a lock */
    struct call l;
    call_write(&l, &other, "a=3", false);
    assert_false(l.is_done);
    w->hold = false;
    world_apply(w);
    world_settle(w);
    assert_true(fin.is_done && r.is_done && l.is_done);
    assert_string_equal(rows_text(w, &r), "a=2");
    call_free(&fin);
    call_free(&r);
    call_free(&l);
}

/* ---- R2, R3: LATEST ---- */

static void latest_takes_a_timestamp_when_there_is_a_foreign_write_lock(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn none = {.w = w};
    sherd__v1__handle__init(&none.handle);
    struct call r;
    uint64_t before = w->clock;
    call_read(&r, &none, 0, "a", "z");
    assert_int_equal(w->clock, before); /* no oracle */
    call_free(&r);
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "b=2");
    before = w->clock;
    call_read(&r, &none, 0, "c", "z");
    assert_int_equal(w->clock, before); /* not in the span */
    call_free(&r);
    call_read(&r, &none, 0, "a", "z");
    assert_int_equal(w->clock, before + 1);
    assert_int_equal(r.read_reply.ts, before + 1);
    call_free(&r);
}

static void latest_over_a_prepared_lock_waits_at_a_fresh_timestamp(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock), none = {.w = w};
    sherd__v1__handle__init(&none.handle);
    write_ok(&t, "a=2");
    struct call c, r;
    call_prepare(&c, &t, 1, ++w->clock, false);
    call_read(&r, &none, 0, "a", "z");
    assert_false(r.is_done);
    /* The same transaction moves up, above the reader: it was not known to commit (R3). */
    uint64_t second = ++w->clock;
    call_prepare(&c, &t, 2, second, false);
    assert_int_equal(c.out.answer, A(PREPARED));
    assert_true(r.is_done);
    assert_true(r.read_reply.ts < second);
    assert_string_equal(rows_text(w, &r), "");
    call_finalize(&c, &t, 2, second, false);
    assert_null(c.st);
    assert_string_equal(read_at(w, 0, "a", "z"), "a=2");
    call_free(&r);
}

/* ---- P4: validation ---- */

static void write_skew_in_one_shard_is_refused(void **state)
{
    struct world *w = *state;
    put(w, "+x=1 +y=1");
    struct txn t = txn_new(w, ++w->clock), u = txn_new(w, w->clock);
    read_in(&t, "x", "");
    read_in(&u, "y", "");
    write_ok(&t, "y=2");
    write_ok(&u, "x=2");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_int_equal(commit_one(&u, NULL), A(NEVER));
    assert_int_equal(commit_one(&u, NULL), A(NEVER));
}

static void a_row_that_appears_in_a_span_read_is_a_change(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +c=1");
    struct txn t = txn_new(w, ++w->clock);
    assert_string_equal(read_in(&t, "a", "d"), "a=1 c=1");
    put(w, "+b=1");
    write_ok(&t, "z=1");
    assert_int_equal(commit_one(&t, NULL), A(NEVER));
}

static void repeatable_read_does_not_validate(void **state)
{
    struct world *w = *state;
    put(w, "+a=1 +c=1");
    struct txn t = txn_new(w, ++w->clock);
    t.isolation = SHERD__V1__ISOLATION__REPEATABLE_READ;
    assert_string_equal(read_in(&t, "a", "d"), "a=1 c=1");
    put(w, "+b=1");
    write_ok(&t, "z=1");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
}

static void validation_waits_for_pending_below_it(void **state)
{
    struct world *w = *state;
    put(w, "+x=1");
    struct txn t = txn_new(w, ++w->clock);
    read_in(&t, "x", "");
    w->hold = true;
    struct txn u = txn_new(w, 0);
    struct call c, v;
    call_write(&c, &u, "x=2", true); /* in flight */
    call_validate(&v, &t, 1, ++w->clock);
    assert_false(v.is_done);
    w->hold = false;
    world_apply(w);
    assert_true(v.is_done);
    assert_int_equal(v.out.answer, A(NEVER));
}

static void validation_keeps_later_commits_above_it(void **state)
{
    struct world *w = *state;
    put(w, "+x=1");
    struct txn t = txn_new(w, ++w->clock), u = txn_new(w, w->clock);
    read_in(&t, "x", "");
    write_ok(&u, "x=2");
    uint64_t low = ++w->clock;
    struct call v, c;
    call_validate(&v, &t, 1, ++w->clock);
    assert_int_equal(v.out.answer, A(OK));
    call_prepare(&c, &u, 1, low, false);
    assert_int_equal(c.out.answer, A(REFUSED));
}

static void a_leader_without_lease_validates_nothing(void **state)
{
    struct world *w = *state;
    put(w, "+x=1");
    struct txn t = txn_new(w, ++w->clock);
    read_in(&t, "x", "");
    w->lease = false; /* L2 */
    struct call v;
    call_validate(&v, &t, 1, ++w->clock);
    assert_true(status_is(v.st, STATUS_NOT_LEADER));
    call_free(&v);
}

static void a_foreign_key_parent_may_change_but_not_go(void **state)
{
    struct world *w = *state;
    put(w, "+p=1");
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "?p +child=1");
    put(w, "p=2"); /* NO KEY UPDATE beside KEY SHARE */
    struct txn d = txn_new(w, 0);
    struct call c;
    call_write(&c, &d, "-p", true);
    assert_false(c.is_done);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    world_settle(w);
    assert_true(c.is_done && c.st == NULL);
    call_free(&c);
}

static void a_child_that_appears_beside_an_absence_check_is_a_change(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    t.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    write_ok(&t, "~c1..c9 -p");
    put(w, "+c5=1");
    assert_int_equal(commit_one(&t, NULL), A(NEVER)); /* at every level */
}

/* ---- handles, poison, recovery ---- */

static void a_prepare_after_the_poison_hears_never(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    struct call q, c;
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(NEVER));
    call_prepare(&c, &t, 1, ++w->clock, false);
    assert_int_equal(c.out.answer, A(NEVER));
}

static void without_the_poison_a_late_prepare_succeeds(void **state)
{
    struct world *w = *state;
    bug_set("TXN_NO_POISON", true);
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    struct call q, c;
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(NEVER));
    call_prepare(&c, &t, 1, ++w->clock, false);
    assert_int_equal(c.out.answer, A(PREPARED)); /* the lie that the switch plants */
    bug_set("TXN_NO_POISON", false);
}

static void a_late_first_write_makes_a_workspace_that_no_old_prepare_finds(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock), late = t;
    write_ok(&t, "a=1");
    struct call q, c;
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(NEVER));
    write_ok(&late, "a=1"); /* the delayed duplicate */
    call_prepare(&c, &t, 1, ++w->clock, false);
    assert_int_equal(c.out.answer, A(NEVER));
}

static void a_handle_dies_with_the_term(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    world_next_term(w, true);
    struct call c;
    call_prepare(&c, &t, 1, ++w->clock, false);
    assert_int_equal(c.out.answer, A(NEVER));
    t.handle.term = w->term + 1;
    call_prepare(&c, &t, 1, ++w->clock, false);
    assert_true(status_is(c.st, STATUS_NOT_LEADER)); /* L3 */
    call_free(&c);
}

static void a_prepared_transaction_survives_the_leader(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=2 +b=2");
    uint64_t commit = ++w->clock;
    struct call c, o;
    call_prepare(&c, &t, 1, commit, false);
    world_next_term(w, true);
    call_query(&c, &t, 1);
    assert_int_equal(c.out.answer, A(PREPARED));
    assert_int_equal(c.out.commit, commit);
    struct txn u = txn_new(w, 0);
    call_write(&o, &u, "a=7", true); /* the lock is there again */
    assert_false(o.is_done);
    call_prepare(&c, &t, 2, ++w->clock, false);
    assert_int_equal(c.out.answer, A(NEVER)); /* L3: but no higher attempt */
    call_finalize(&c, &t, 1, commit, false);
    assert_null(c.st);
    world_settle(w);
    assert_true(o.is_done && o.st == NULL);
    assert_string_equal(read_at(w, commit, "a", "z"), "a=2 b=2");
    call_free(&o);
}

static void what_was_in_flight_and_lost_is_never(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=2");
    w->hold = true;
    struct call c, q;
    call_prepare(&c, &t, 1, ++w->clock, false);
    assert_false(c.is_done);
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(BUSY));
    w->hold = false;
    world_next_term(w, false);
    assert_true(c.is_done && status_is(c.st, STATUS_UNKNOWN_OUTCOME)); /* no answer */
    call_free(&c);
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(NEVER));
}

static void what_was_in_flight_and_kept_is_prepared(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=2");
    w->hold = true;
    struct call c, q;
    call_prepare(&c, &t, 1, ++w->clock, false);
    w->hold = false;
    world_next_term(w, true);
    call_free(&c);
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(PREPARED));
    call_finalize(&c, &t, 1, 0, true);
    assert_null(c.st);
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(NEVER));
    assert_string_equal(read_at(w, 0, "a", "z"), "");
}

static void committed_is_told_until_forgotten(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=2");
    uint64_t commit = ++w->clock;
    struct call c;
    call_prepare(&c, &t, 1, commit, false);
    call_finalize(&c, &t, 1, commit, false);
    call_finalize(&c, &t, 1, commit, false); /* twice is a no-op */
    assert_null(c.st);
    world_next_term(w, true);
    call_prepare(&c, &t, 1, commit, false);
    assert_int_equal(c.out.answer, A(COMMITTED)); /* F4 */
    Sherd__V1__ForgetRequest f = SHERD__V1__FORGET_REQUEST__INIT;
    Sherd__V1__TxnId *ids[] = {&c.id};
    f.n_txns = 1;
    f.txns = ids;
    part_forget(w->part, &f);
    sim_run(w->sim, sim_now_ns(w->sim) + ms_to_ns(3000), NULL, NULL);
    call_query(&c, &t, 1);
    assert_int_equal(c.out.answer, A(NEVER));
}

static void a_finalize_of_another_attempt_is_refused(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=2");
    uint64_t commit = ++w->clock;
    struct call c;
    call_prepare(&c, &t, 1, commit, false);
    call_finalize(&c, &t, 2, commit + 1, false);
    assert_true(status_is(c.st, STATUS_INTERNAL));
    call_free(&c);
    call_query(&c, &t, 1);
    assert_int_equal(c.out.answer, A(PREPARED));
}

static void a_missing_write_is_never(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=2");
    t.seq++; /* P2 */
    assert_int_equal(commit_one(&t, NULL), A(NEVER));
}

/* ---- commits in parts ---- */

/* Prepare, Finalize and CommitOne whose entry was refused while the leader stays the leader:
 * nothing is in flight any more, and the same request again succeeds. */
static void a_refused_entry_leaves_nothing_in_flight(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock), u = txn_new(w, ++w->clock);
    struct call c;
    write_ok(&t, "+a=1");
    uint64_t ts = ++w->clock;
    for (int round = 0; round < 2; round++) {
        w->hold = round == 0;
        call_prepare(&c, &t, 1, ts, false);
        if (round == 0) {
            assert_false(c.is_done);
            world_refuse(w);
            assert_true(c.is_done && status_is(c.st, STATUS_NOT_LEADER));
        } else {
            assert_true(c.is_done && c.st == NULL);
            assert_int_equal(c.out.answer, A(PREPARED));
        }
        call_free(&c);
    }
    for (int round = 0; round < 2; round++) {
        w->hold = round == 0;
        call_finalize(&c, &t, 1, ts, false);
        if (round == 0) {
            assert_false(c.is_done);
            world_refuse(w);
            assert_true(c.is_done && status_is(c.st, STATUS_NOT_LEADER));
        } else {
            assert_true(c.is_done && c.st == NULL);
        }
        call_free(&c);
    }
    assert_string_equal(read_at(w, ++w->clock, "a", "z"), "a=1");
    write_ok(&u, "b=2");
    w->hold = true;
    call_prepare(&c, &u, 1, 0, true);
    assert_false(c.is_done);
    world_refuse(w);
    assert_true(c.is_done && status_is(c.st, STATUS_NOT_LEADER));
    call_free(&c);
    w->hold = false;
    assert_int_equal(commit_one(&u, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, ++w->clock, "a", "z"), "a=1 b=2");
}

static size_t count_parts(struct world *w)
{
    struct buf prefix = {0};
    state_key(&prefix, 2, 'T');
    struct store_iter *it = store_iter_create(w->store, NULL);
    size_t n = 0;
    for (store_iter_seek(it, buf_slice(&prefix));
         store_iter_valid(it) && slice_has_prefix(store_iter_key(it), buf_slice(&prefix));
         store_iter_next(it)) {
        n++;
    }
    store_iter_destroy(it);
    buf_deinit(&prefix);
    return n;
}

static void a_commit_in_parts_is_all_there_or_not_at_all(void **state)
{
    struct world *w = *state;
    put(w, "+a=0 +b=0 +c=0 +d=0");
    part_stage_bytes = 1;
    for (int keep = 0; keep <= 6; keep++) { /* how many of its entries get into the log */
        struct txn t = txn_new(w, ++w->clock);
        char ops[64];
        snprintf(ops, sizeof(ops), "a=%d b=%d c=%d d=%d", keep + 1, keep + 1, keep + 1, keep + 1);
        write_ok(&t, ops);
        char *before = read_at(w, ++w->clock, "a", "z");
        w->hold = true;
        struct call c, q;
        call_prepare(&c, &t, 1, 0, true);
        for (int i = 0; i < keep && !c.is_done; i++) {
            world_apply(w);
        }
        w->hold = false;
        bool is_done = c.is_done;
        uint64_t committed = c.out.commit;
        world_next_term(w, false);
        call_query(&q, &t, 1);
        assert_int_equal(q.out.answer, is_done ? A(COMMITTED) : A(NEVER));
        char after[64];
        snprintf(after, sizeof(after), "a=%d b=%d c=%d d=%d", keep + 1, keep + 1, keep + 1,
                 keep + 1);
        assert_string_equal(read_at(w, ++w->clock, "a", "z"), is_done ? after : before);
        if (is_done) {
            assert_string_equal(read_at(w, committed - 1, "a", "z"), before);
        }
        world_settle(w);
        assert_int_equal(count_parts(w), 0); /* what was left is deleted by the next leader */
        call_free(&c);
    }
    part_stage_bytes = SHARD_PART_BYTES;
}

static void parts_applied_again_give_the_same(void **state)
{
    struct world *w = *state;
    part_stage_bytes = 1;
    put(w, "+a=0 +b=0");
    put(w, "a=1 b=1");
    put(w, "a=2");
    part_stage_bytes = SHARD_PART_BYTES;
    struct reader r;
    for (int from = 0; from < 6; from++) { /* from any checkpoint on */
        reader_init(&r, buf_slice(&w->log));
        for (int i = 0; reader_left(&r) != 0; i++) {
            uint64_t index = read_u64(&r);
            struct slice data = read_bytes(&r);
            if (i < from) {
                continue;
            }
            struct store_batch *b = store_batch_create(w->store);
            assert_null(state_apply(w->state, index, data, b, NULL, NULL));
            assert_null(store_write(w->store, b, false));
            store_batch_destroy(b);
        }
        assert_string_equal(read_at(w, 0, "a", "z"), "a=2 b=1");
        assert_int_equal(count_parts(w), 0);
    }
}

/* ---- section 7: autocommit ---- */

static void an_autocommit_can_be_asked_for_after_a_leader_change(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, 0);
    w->hold = true;
    struct call c, q;
    call_write(&c, &t, "+a=1", true);
    uint64_t term = w->term;
    w->hold = false;
    world_next_term(w, true);
    assert_true(c.is_done && status_is(c.st, STATUS_UNKNOWN_OUTCOME));
    call_free(&c);
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(COMMITTED));
    struct txn u = txn_new(w, 0);
    q = (struct call){0};
    call_query(&q, &u, 1);
    assert_int_equal(q.out.answer, A(NEVER));
    assert_true(w->term > term);
}

static void a_poisoned_autocommit_is_refused_when_it_comes_late(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, 0);
    struct call c, q;
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(NEVER));
    call_write(&c, &t, "+a=1", true);
    assert_true(status_is(c.st, STATUS_CONFLICT));
    call_free(&c);
    assert_string_equal(read_at(w, 0, "a", "z"), "");
}

static void the_same_autocommit_twice_commits_once(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, 0);
    struct call c, d;
    call_write(&c, &t, "+a=1", true);
    t.seq = 0;
    t.handle = (Sherd__V1__Handle)SHERD__V1__HANDLE__INIT;
    call_write(&d, &t, "+a=1", true);
    assert_null(d.st);
    assert_int_equal(c.write_reply.committed, d.write_reply.committed);
}

static void an_outcome_lost_by_the_ring_is_unknown_not_never(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, 0);
    struct call c, q;
    call_write(&c, &t, "+a=1", true);
    struct buf entry = {0};
    for (uint64_t i = 0; i < SHARD_OUTCOMES; i++) { /* others fill the ring */
        entry_begin(&entry);
        entry_put_outcome(&entry, (struct txn_id){2, i + 1}, 1, i);
        struct store_batch *b = store_batch_create(w->store);
        assert_null(state_apply(w->state, ++w->index, buf_slice(&entry), b, NULL, NULL));
        assert_null(store_write(w->store, b, false));
        store_batch_destroy(b);
    }
    buf_deinit(&entry);
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(UNKNOWN));
    assert_null(state_reload(w->state)); /* and after a restart */
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(UNKNOWN));
}

static void apply_outcomes(struct world *w, uint64_t from, uint64_t count)
{
    struct buf entry = {0};
    for (uint64_t i = from; i < from + count; i++) {
        entry_begin(&entry);
        entry_put_outcome(&entry, (struct txn_id){i / SHARD_OUTCOMES + 2, i + 1}, 1, i);
        struct store_batch *b = store_batch_create(w->store);
        assert_null(state_apply(w->state, i, buf_slice(&entry), b, NULL, NULL));
        assert_null(store_write(w->store, b, false));
        store_batch_destroy(b);
    }
    buf_deinit(&entry);
}

/* A node that starts applies entries again which the ring has gone round since. What is newer must
 * not count as lost. */
static void outcomes_applied_again_push_none_out(void **state)
{
    struct world *w = *state;
    uint64_t n = SHARD_OUTCOMES;
    apply_outcomes(w, n, 2 * n);
    for (int again = 0; again < 2; again++) {
        struct outcome o;
        assert_int_equal(state_outcome(w->state, (struct txn_id){4, 2 * n + 1}, &o),
                         OUTCOME_COMMITTED);
        assert_int_equal(state_outcome(w->state, (struct txn_id){4, 9 * n}, &o), OUTCOME_NONE);
        assert_int_equal(state_outcome(w->state, (struct txn_id){4, 100}, &o), OUTCOME_NONE);
        assert_int_equal(state_outcome(w->state, (struct txn_id){3, n + 1}, &o), OUTCOME_LOST);
        assert_null(state_reload(w->state));
        apply_outcomes(w, n, 2 * n);
    }
    w->index = 3 * n;
}

/* Of a transaction over several shards a shard knows what it has to, whatever the ring has lost. */
static void the_ring_does_not_matter_to_a_recovery(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    write_ok(&t, "a=1");
    world_next_term(w, false); /* the workspace is gone, nothing was prepared */
    struct txn_id lost = {1, t.counter + 1};
    struct buf entry = {0};
    for (uint64_t i = 0; i <= SHARD_OUTCOMES; i++) {
        entry_begin(&entry);
        entry_put_outcome(&entry, i == 0 ? lost : (struct txn_id){2, i + 1}, 1, i);
        struct store_batch *b = store_batch_create(w->store);
        assert_null(state_apply(w->state, ++w->index, buf_slice(&entry), b, NULL, NULL));
        assert_null(store_write(w->store, b, false));
        store_batch_destroy(b);
    }
    buf_deinit(&entry);
    struct call q, p;
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(UNKNOWN)); /* it may have been a one-shard commit */
    t.is_prepared = true;
    call_query(&q, &t, 1);
    assert_int_equal(q.out.answer, A(NEVER));
    call_prepare(&p, &t, 1, ++w->clock, false);
    assert_int_equal(p.out.answer, A(NEVER));
    call_free(&p);
}

/* ---- locking reads ---- */

static void a_locking_read_at_latest_sees_what_it_waited_for(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock), u = txn_new(w, 0);
    write_ok(&t, "a=2");
    struct call r;
    call_read_lock(&r, &u, 0, "a", LOCK_NO_KEY_UPDATE);
    assert_false(r.is_done);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    world_settle(w);
    assert_true(r.is_done);
    assert_null(r.st);
    assert_string_equal(rows_text(w, &r), "a=2");
    txn_learn(&u, &r);
    u.start = r.read_reply.ts;
    write_ok(&u, "a=3");
    assert_int_equal(commit_one(&u, NULL), A(COMMITTED));
    assert_string_equal(read_at(w, 0, "a", "z"), "a=3");
    call_free(&r);
}

static void a_locking_read_at_a_snapshot_meets_a_conflict(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock), rc = txn_new(w, w->clock);
    put(w, "a=2");
    struct call r;
    call_read_lock(&r, &t, t.start, "a", LOCK_UPDATE);
    assert_true(status_is(r.st, STATUS_CONFLICT));
    call_free(&r);
    part_drop(w->part, part_find_by_id(w->part, (struct txn_id){1, t.counter}));
    rc.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    call_read_lock(&r, &rc, rc.start, "a", LOCK_UPDATE);
    assert_null(r.st);
    assert_string_equal(rows_text(w, &r), "a=2"); /* as it is now */
    call_free(&r);
}

/* What it is joined with was read in the older snapshot. The answer keeps the lock, so that the
 * next time nothing of it has changed. */
static void a_joined_row_that_has_changed_is_a_conflict_that_keeps_its_lock(void **state)
{
    struct world *w = *state;
    put(w, "+a=1");
    struct txn t = txn_new(w, ++w->clock);
    t.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    put(w, "a=2");
    struct call r;
    call_read_joined(&r, &t, t.start, "a", LOCK_UPDATE);
    assert_null(r.st);
    assert_int_equal(r.read_reply.newer, SHERD__V1__NEWER__NEWER_UPDATE);
    txn_learn(&t, &r);
    assert_int_not_equal(t.handle.number, 0);
    call_free(&r);
    struct txn other = txn_new(w, 0);
    struct call c;
    call_write(&c, &other, "a=3", true);
    assert_false(c.is_done);
    t.start = ++w->clock;
    call_read_joined(&r, &t, t.start, "a", LOCK_UPDATE);
    assert_null(r.st);
    assert_int_equal(r.read_reply.newer, SHERD__V1__NEWER__NEWER_NONE);
    assert_string_equal(rows_text(w, &r), "a=2");
    call_free(&r);
    write_ok(&t, "a=5");
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    world_settle(w);
    assert_true(c.is_done && c.st == NULL);
    call_free(&c);
    struct txn gone = txn_new(w, ++w->clock);
    gone.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
    put(w, "-a");
    call_read_joined(&r, &gone, gone.start, "a", LOCK_UPDATE);
    assert_int_equal(r.read_reply.newer,
                     SHERD__V1__NEWER__NEWER_NONE); /* no row, nothing to join */
    assert_string_equal(rows_text(w, &r), "");
    call_free(&r);
}

static void sixty_four_on_one_row_take_their_turns(void **state)
{
    struct world *w = *state;
    put(w, "+a=0");
    enum { N = 64 };
    static struct call calls[N];
    static struct txn txns[N];
    w->hold = true;
    for (int i = 0; i < N; i++) {
        txns[i] = txn_new(w, 0);
        call_write(&calls[i], &txns[i], "a=1", true);
    }
    int rounds = 0;
    for (bool all = false; !all; rounds++) {
        assert_int_equal(world_apply(w), 1); /* one entry in flight: the holder's */
        all = true;
        for (int i = 0; i < N; i++) {
            all = all && calls[i].is_done;
        }
    }
    assert_int_equal(rounds, N);
    for (int i = 0; i < N; i++) {
        assert_null(calls[i].st);
        assert_true(i == 0 || calls[i].write_reply.committed > calls[i - 1].write_reply.committed);
    }
    w->hold = false;
}

static void a_fenced_table_refuses_older_versions(void **state)
{
    struct world *w = *state;
    state_fence_put(w->state, 7, 5);
    struct txn none = {.w = w};
    sherd__v1__handle__init(&none.handle);
    struct call r;
    call_read(&r, &none, 0, "a", "z");
    assert_true(status_is(r.st, STATUS_MOVED));
    assert_non_null(r.st->hint);
    call_free(&r);
}

/* ---- what cannot be run again ---- */

struct spare {
    struct world *w;
    const char *from;
    struct status *st;
    bool is_done;
};

static void spare_fiber(struct fiber *f, void *arg)
{
    struct spare *s = arg;
    struct part *p = part_ref(s->w->part);
    s->st = part_spare(f, p, slice_str(s->from), 2000);
    s->is_done = true;
    part_unref(p);
}

static void pass_ms(struct world *w, uint64_t ms)
{
    sim_run(w->sim, sim_now_ns(w->sim) + ms_to_ns(ms), NULL, NULL);
}

static void a_split_waits_for_what_cannot_be_run_again(void **state)
{
    struct world *w = *state;
    struct txn other = txn_new(w, ++w->clock);
    write_ok(&other, "b=1");
    struct spare s = {.w = w, .from = ""};
    world_start(w, spare_fiber, &s);
    assert_true(s.is_done && s.st == NULL);
    struct txn t = txn_new(w, ++w->clock);
    t.cannot_rerun = true;
    write_ok(&t, "c=1");
    s = (struct spare){.w = w, .from = "d"}; /* it has nothing there */
    world_start(w, spare_fiber, &s);
    assert_true(s.is_done && s.st == NULL);
    s = (struct spare){.w = w, .from = "c"};
    world_start(w, spare_fiber, &s);
    pass_ms(w, 1000);
    assert_false(s.is_done);
    assert_int_equal(commit_one(&t, NULL), A(COMMITTED));
    assert_true(s.is_done && s.st == NULL);
    part_drop(w->part, part_find_by_id(w->part, (struct txn_id){1, other.counter}));
}

static void and_goes_ahead_in_the_end(void **state)
{
    struct world *w = *state;
    struct txn t = txn_new(w, ++w->clock);
    t.cannot_rerun = true;
    write_ok(&t, "c=1");
    int refused = 0;
    for (int seconds = 0; seconds < 80; seconds += 20) {
        struct spare s = {.w = w, .from = ""};
        world_start(w, spare_fiber, &s);
        pass_ms(w, 3000);
        assert_true(s.is_done);
        if (s.st == NULL) {
            break;
        }
        assert_int_equal(s.st->code, STATUS_CONFLICT);
        status_free(s.st);
        refused++;
        pass_ms(w, 17000);
        write_ok(&t, "c=1");
    }
    assert_int_equal(refused, 3); /* at 0, 20 and 40 s */
    /* That was one wish; the next one waits anew. */
    struct spare s = {.w = w, .from = ""};
    world_start(w, spare_fiber, &s);
    pass_ms(w, 3000);
    assert_true(s.is_done && s.st != NULL);
    status_free(s.st);
    struct spare dead = {.w = w, .from = ""};
    world_start(w, spare_fiber, &dead);
    assert_false(dead.is_done);
    world_next_term(w, false);
    assert_true(dead.is_done && dead.st != NULL);
    status_free(dead.st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(autocommit_is_visible_to_the_next_read),
        WORLD_TEST(own_writes_are_seen_by_own_reads_only),
        WORLD_TEST(insert_of_a_live_key_fails_and_does_nothing),
        WORLD_TEST(a_savepoint_takes_writes_back),
        WORLD_TEST(a_repeated_write_gets_the_same_answer),
        WORLD_TEST(a_split_waits_for_what_cannot_be_run_again),
        WORLD_TEST(and_goes_ahead_in_the_end),
        WORLD_TEST(a_newer_version_is_a_conflict),
        WORLD_TEST(a_refresh_moves_the_snapshot_when_nothing_read_has_changed),
        WORLD_TEST(a_refresh_fails_when_something_read_has_changed),
        WORLD_TEST(a_commit_below_a_read_is_refused_and_comes_higher),
        WORLD_TEST(a_commit_with_a_timestamp_of_its_own_gets_above_the_readers),
        WORLD_TEST(without_the_cache_a_read_would_not_repeat),
        WORLD_TEST(a_new_leader_refuses_below_low),
        WORLD_TEST(what_an_earlier_leader_wrote_is_found_by_validation),
        WORLD_TEST(a_write_in_flight_since_the_read_is_found_by_validation),
        WORLD_TEST(a_read_waits_for_what_is_in_flight_below_it),
        WORLD_TEST(a_read_below_it_does_not_wait),
        WORLD_TEST(a_read_does_not_wait_for_an_open_lock),
        WORLD_TEST(a_read_waits_for_a_prepared_transaction_and_asks_for_its_recovery),
        WORLD_TEST(a_point_read_takes_what_is_decided),
        WORLD_TEST(latest_takes_a_timestamp_when_there_is_a_foreign_write_lock),
        WORLD_TEST(latest_over_a_prepared_lock_waits_at_a_fresh_timestamp),
        WORLD_TEST(write_skew_in_one_shard_is_refused),
        WORLD_TEST(a_row_that_appears_in_a_span_read_is_a_change),
        WORLD_TEST(repeatable_read_does_not_validate),
        WORLD_TEST(validation_waits_for_pending_below_it),
        WORLD_TEST(validation_keeps_later_commits_above_it),
        WORLD_TEST(a_leader_without_lease_validates_nothing),
        WORLD_TEST(a_foreign_key_parent_may_change_but_not_go),
        WORLD_TEST(a_child_that_appears_beside_an_absence_check_is_a_change),
        WORLD_TEST(a_prepare_after_the_poison_hears_never),
        WORLD_TEST(without_the_poison_a_late_prepare_succeeds),
        WORLD_TEST(a_late_first_write_makes_a_workspace_that_no_old_prepare_finds),
        WORLD_TEST(a_handle_dies_with_the_term),
        WORLD_TEST(a_prepared_transaction_survives_the_leader),
        WORLD_TEST(what_was_in_flight_and_lost_is_never),
        WORLD_TEST(what_was_in_flight_and_kept_is_prepared),
        WORLD_TEST(committed_is_told_until_forgotten),
        WORLD_TEST(a_finalize_of_another_attempt_is_refused),
        WORLD_TEST(a_missing_write_is_never),
        WORLD_TEST(a_refused_entry_leaves_nothing_in_flight),
        WORLD_TEST(a_commit_in_parts_is_all_there_or_not_at_all),
        WORLD_TEST(parts_applied_again_give_the_same),
        WORLD_TEST(an_autocommit_can_be_asked_for_after_a_leader_change),
        WORLD_TEST(a_poisoned_autocommit_is_refused_when_it_comes_late),
        WORLD_TEST(the_same_autocommit_twice_commits_once),
        WORLD_TEST(an_outcome_lost_by_the_ring_is_unknown_not_never),
        WORLD_TEST(outcomes_applied_again_push_none_out),
        WORLD_TEST(the_ring_does_not_matter_to_a_recovery),
        WORLD_TEST(a_locking_read_at_latest_sees_what_it_waited_for),
        WORLD_TEST(a_locking_read_at_a_snapshot_meets_a_conflict),
        WORLD_TEST(a_joined_row_that_has_changed_is_a_conflict_that_keeps_its_lock),
        WORLD_TEST(sixty_four_on_one_row_take_their_turns),
        WORLD_TEST(a_fenced_table_refuses_older_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
