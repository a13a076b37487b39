/*
 * The list-append checker classifies hand-made histories. A transaction is written as its steps:
 * "a1:5" appends 5 to key 1, "r1:5,6" reads 5 and 6 there, "r1:" reads nothing.
 */
#include "history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static struct history h;

/* Its time is [begin, end]; they overlap unless a test says otherwise. */
static struct history_txn *add_at(enum told outcome, uint64_t begin, uint64_t end,
                                  const char *steps)
{
    struct history_txn *t = history_begin(&h, begin, 't');
    t->outcome = outcome;
    t->end_ns = outcome == TOLD_UNKNOWN ? UINT64_MAX : end;
    for (const char *p = steps; *p != '\0';) {
        struct history_op *o = &t->ops[t->op_count++];
        char *at;
        o->is_append = *p == 'a';
        o->key = (int)strtol(p + 1, &at, 10);
        assert_int_equal(*at, ':');
        p = at + 1;
        if (o->is_append) {
            o->element = (uint32_t)strtoul(p, &at, 10);
        } else {
            o->seen = mem_alloc(16 * sizeof(uint32_t));
            while (*p >= '0' && *p <= '9') {
                o->seen[o->seen_count++] = (uint32_t)strtoul(p, &at, 10);
                p = at + (*at == ',');
            }
            at = (char *)(uintptr_t)p;
        }
        p = at + (*at == ' ');
    }
    return t;
}

static struct history_txn *add(const char *steps)
{
    return add_at(TOLD_COMMITTED, 0, 100, steps);
}

/* All lists at the end: without it nothing tells the order, nor that an append is there. */
static void final(const char *steps)
{
    add_at(TOLD_COMMITTED, 1000, 1001, steps);
}

/* The anomaly's text begins with `what`; NULL: there is none. Forgets the history. */
static void expect(enum history_level level, const char *what)
{
    h.key_count = 4;
    char *text = history_check(&h, level);
    history_free(&h);
    if (what == NULL) {
        assert_null(text);
        return;
    }
    assert_non_null(text);
    if (strncmp(text, what, strlen(what)) != 0) {
        fail_msg("\"%s\" is expected, and it says \"%s\"", what, text);
    }
    mem_free(text);
}

static void fine(void **state)
{
    (void)state;
    add("a1:1 r1:1 a2:2");
    add("r1:1 r2:2 a1:3 a1:4");
    add_at(TOLD_ABORTED, 0, 100, "a1:5 r2:77");
    add_at(TOLD_UNKNOWN, 0, 0, "a2:6");
    add_at(TOLD_UNKNOWN, 0, 0, "a2:7");
    final("r1:1,3,4 r2:2,6");
    expect(HISTORY_STRICT, NULL);
    expect(HISTORY_STRICT, NULL); /* an empty one */
}

static void g0(void **state)
{
    (void)state;
    add("a1:1 a2:2");
    add("a1:3 a2:4");
    final("r1:1,3 r2:4,2");
    expect(HISTORY_COMMITTED, "G0");
}

static void g1a(void **state)
{
    (void)state;
    add_at(TOLD_ABORTED, 0, 100, "a1:1");
    add("r1:1");
    expect(HISTORY_COMMITTED, "G1a");
}

static void g1b(void **state)
{
    (void)state;
    add("a1:1 a1:2");
    add("r1:1");
    final("r1:1,2");
    expect(HISTORY_COMMITTED, "G1b");
    /* Its own is no anomaly; nor is the end of what it wrote before another. */
    add("a1:1 r1:1 a1:2");
    add("r1:1,2");
    add("a1:3");
    final("r1:1,2,3");
    expect(HISTORY_STRICT, NULL);
}

static void g1c(void **state)
{
    (void)state;
    add("a1:1 r2:2");
    add("a2:2 r1:1");
    final("r1:1 r2:2");
    expect(HISTORY_COMMITTED, "G1c");
    add("a1:1 a2:2"); /* by one ww and one wr edge */
    add("a1:3 r2:");
    add("r1:1,3 a2:4");
    final("r1:1,3 r2:4,2");
    expect(HISTORY_COMMITTED, "G1c");
}

static void read_skew(bool has_snapshot)
{
    add("a1:1 a2:2");
    add("r1: r2:2")->has_snapshot = has_snapshot;
    final("r1:1 r2:2");
}

static void g_single(void **state)
{
    (void)state;
    read_skew(false);
    expect(HISTORY_STRICT, "G-single");
    read_skew(false);
    expect(HISTORY_COMMITTED, NULL);
    read_skew(true); /* not within one snapshot */
    expect(HISTORY_COMMITTED, "G-single");
    add("r1: a1:1"); /* lost update: both read nothing */
    add("r1: a1:2");
    final("r1:1,2");
    expect(HISTORY_STRICT, "G-single");
    /* Both kinds of cycle are there: the stronger is named. */
    add("r1: a2:1");
    add("r2: a1:2");
    add("a3:3 a0:4");
    add("r3: r0:4");
    final("r1:2 r2:1 r3:3 r0:4");
    expect(HISTORY_STRICT, "G-single");
}

static void write_skew(void)
{
    add("r1: a2:1")->has_snapshot = true;
    add("r2: a1:2")->has_snapshot = true;
    final("r1:2 r2:1");
}

static void g2(void **state)
{
    (void)state;
    write_skew();
    expect(HISTORY_STRICT, "G2");
    write_skew(); /* snapshots allow it */
    expect(HISTORY_COMMITTED, NULL);
    add("a1:1"); /* long fork */
    add("a2:2");
    add("r1:1 r2:");
    add("r1: r2:2");
    final("r1:1 r2:2");
    expect(HISTORY_STRICT, "G2");
}

static void real_time(void **state)
{
    (void)state;
    add_at(TOLD_COMMITTED, 0, 10, "a1:1");
    add_at(TOLD_COMMITTED, 20, 30, "r1:"); /* stale */
    final("r1:1");
    expect(HISTORY_STRICT, "not strict");
    add_at(TOLD_COMMITTED, 0, 10, "a1:1");
    add_at(TOLD_COMMITTED, 20, 30, "r1:")->is_snapshot = true; /* of a stated time in the past */
    final("r1:1");
    expect(HISTORY_STRICT, NULL);
    add_at(TOLD_COMMITTED, 0, 10, "a1:1");
    add_at(TOLD_COMMITTED, 5, 30, "r1:"); /* it began before that was told */
    final("r1:1");
    expect(HISTORY_STRICT, NULL);
    add_at(TOLD_COMMITTED, 20, 30, "a1:1"); /* an order against time, at every level */
    add_at(TOLD_COMMITTED, 0, 10, "a1:2");
    final("r1:1,2");
    expect(HISTORY_COMMITTED, "not strict");
}

static void others(void **state)
{
    (void)state;
    add("a1:1");
    final("r1:");
    expect(HISTORY_COMMITTED, "lost");
    add_at(TOLD_UNKNOWN, 0, 0, "a1:1 a2:2");
    final("r1:1 r2:");
    expect(HISTORY_COMMITTED, "half a transaction");
    add("r1:9");
    expect(HISTORY_COMMITTED, "transaction 0 read element 9 of key 1 which nobody wrote");
    add("a1:1");
    add("a1:2");
    add("r1:1,2");
    add("r1:2");
    final("r1:1,2");
    expect(HISTORY_COMMITTED, "incompatible orders");
    add("a1:1");
    final("r1:1,1");
    expect(HISTORY_COMMITTED, "duplicate");
    add("a1:1 r1:");
    final("r1:1");
    expect(HISTORY_COMMITTED, "internal");
    add("a1:1 a1:2 r1:2");
    final("r1:1,2");
    expect(HISTORY_COMMITTED, "internal");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fine), cmocka_unit_test(g0),        cmocka_unit_test(g1a),
        cmocka_unit_test(g1b),  cmocka_unit_test(g1c),       cmocka_unit_test(g_single),
        cmocka_unit_test(g2),   cmocka_unit_test(real_time), cmocka_unit_test(others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
