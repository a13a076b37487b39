/* Planning: EXPLAIN shows which index, which join, and what runs in the shards. */
#include "world_check.h"

static const char setup_sql[] =
    "CREATE TABLE t(id int PRIMARY KEY, a int, b text, c numeric);"
    "CREATE INDEX t_a ON t(a); CREATE UNIQUE INDEX t_b ON t(b);"
    "CREATE TABLE u(x int, y int, z int, PRIMARY KEY (x, y));"
    "CREATE TABLE h(id bigint PRIMARY KEY, v int) WITH (sharding = 'hash');"
    "CREATE TABLE hc(hid int, n int, w int, PRIMARY KEY (hid, n)) WITH (colocate_with = 'h')";

#define EXPLAIN "EXPLAIN (COSTS OFF) "

static void index_choice(void **state)
{
    static const struct sql_case cases[] = {
        {EXPLAIN "SELECT * FROM t WHERE id = 5",
         "Point Lookup on t using t_pkey\n  Index Cond: id = 5\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM t WHERE id = 5::bigint",
         "Point Lookup on t using t_pkey\n  Index Cond: id = '5'::bigint\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM t WHERE id IN (3, 1, 2, 2)",
         "Point Lookup on t using t_pkey\n  Index Cond: id IN (3, 1, 2, 2)\n  Spans: 3"},
        {EXPLAIN "SELECT * FROM t WHERE id = ANY('{1,2,NULL}')",
         "Point Lookup on t using t_pkey\n  Index Cond: id = ANY ('{1,2,NULL}'::integer[])\n  "
         "Spans: 2"},
        {EXPLAIN "SELECT * FROM t WHERE id > 5 AND id <= 9",
         "Index Range Scan on t using t_pkey\n  Index Cond: id > 5 AND id <= 9\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM t WHERE a = 3",
         "Index Range Scan on t using t_a\n  Index Cond: a = 3\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM t WHERE b = 'x' AND a = 3",
         "Point Lookup on t using t_b\n  Index Cond: b = 'x'::text\n  Shard Filter: (a = 3)\n  "
         "Spans: 1"},
        {EXPLAIN "SELECT * FROM t WHERE id = NULL",
         "Point Lookup on t using t_pkey\n  Index Cond: id = NULL\n  Spans: 0"},
        {EXPLAIN "SELECT * FROM u WHERE x = 1",
         "Index Range Scan on u using u_pkey\n  Index Cond: x = 1\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM u WHERE x = 1 AND y > 2",
         "Index Range Scan on u using u_pkey\n  Index Cond: x = 1 AND y > 2\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM u WHERE y = 1",
         "Full Scan on u using u_pkey\n  Shard Filter: (y = 1)\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM h WHERE id = 7",
         "Point Lookup on h using h_pkey\n  Index Cond: id = 7\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM h WHERE id > 7",
         "Full Scan on h using h_pkey\n  Shard Filter: (id > 7)\n  Spans: 8"},
        /* Co-located: the bucket comes from the leading columns alone. */
        {EXPLAIN "SELECT * FROM hc WHERE hid = 7",
         "Index Range Scan on hc using hc_pkey\n  Index Cond: hid = 7\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM hc WHERE hid = 7 AND n > 2 ORDER BY n",
         "Index Range Scan on hc using hc_pkey\n  Index Cond: hid = 7 AND n > 2\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM hc WHERE hid IN (7, 8) ORDER BY hid, n",
         "Sort\n  Sort Key: hid, n\n  ->  Index Range Scan on hc using hc_pkey\n        Index "
         "Cond: "
         "hid IN (7, 8)\n        Spans: 2"},
        {EXPLAIN "SELECT * FROM hc WHERE hid > 7",
         "Full Scan on hc using hc_pkey\n  Shard Filter: (hid > 7)\n  Spans: 8"},
        {EXPLAIN "SELECT * FROM hc WHERE hid = 7 AND n = 1",
         "Point Lookup on hc using hc_pkey\n  Index Cond: hid = 7 AND n = 1\n  Spans: 1"},
    };
    RUN_CASES(*state, cases);
}

static void what_runs_in_the_shards(void **state)
{
    static const struct sql_case cases[] = {
        {EXPLAIN "SELECT a, count(*), sum(c) FROM t GROUP BY a",
         "Final Hash Aggregate\n  ->  Full Scan on t using t_pkey\n        Shard Group Key: a\n    "
         "    Shard Aggregate: count, sum\n"
         "        Spans: 1"},
        {EXPLAIN "SELECT count(DISTINCT a) FROM t",
         "Aggregate\n  ->  Full Scan on t using t_pkey\n        Spans: 1"},
        {EXPLAIN "SELECT * FROM t LIMIT 3",
         "Limit\n  ->  Full Scan on t using t_pkey\n        Shard Limit: yes\n        Spans: 1"},
        {EXPLAIN "SELECT * FROM t ORDER BY c DESC LIMIT 3",
         "Limit\n  ->  Top-N Sort\n        Sort Key: c DESC\n        ->  Full Scan on t using "
         "t_pkey\n              Shard Top-N: yes\n"
         "              Spans: 1"},
        {EXPLAIN "SELECT * FROM t ORDER BY id DESC LIMIT 3",
         "Limit\n  ->  Index Scan Backward on t using t_pkey\n        Shard Limit: yes\n        "
         "Spans: 1"},
        {EXPLAIN "SELECT * FROM u WHERE x = 1 ORDER BY y",
         "Index Range Scan on u using u_pkey\n  Index Cond: x = 1\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM t WHERE id = 1 FOR UPDATE",
         "Point Lookup on t using t_pkey\n  Index Cond: id = 1\n  Lock: FOR UPDATE\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM t WHERE random() < 0.5",
         "Filter\n  Filter: (random() < '0.5'::double precision)\n  ->  Full Scan on t using "
         "t_pkey\n        Spans: 1"},
        {EXPLAIN "SELECT * FROM (SELECT * FROM t) s WHERE s.id = 3",
         "Point Lookup on t using t_pkey\n  Index Cond: id = 3\n  Spans: 1"},
        {EXPLAIN "SELECT * FROM (SELECT id FROM t UNION ALL SELECT x FROM u) s WHERE id = 3",
         "Append\n  ->  Point Lookup on t using t_pkey\n        Index Cond: id = 3\n        Spans: "
         "1\n"
         "  ->  Index Range Scan on u using u_pkey\n        Index Cond: x = 3\n        Spans: 1"},
    };
    RUN_CASES(*state, cases);
}

static void joins(void **state)
{
    static const struct sql_case cases[] = {
        {EXPLAIN "SELECT * FROM u, t WHERE t.id = u.z AND u.x = 1 AND u.y = 2",
         "Lookup Join (Inner)\n  Join Cond: z = id\n  ->  Point Lookup on u using u_pkey\n        "
         "Index Cond: x = 1 AND y = 2\n"
         "        Spans: 1\n  ->  Point Lookup on t using t_pkey\n        Index Cond: id = z"},
        {EXPLAIN "SELECT * FROM u JOIN t ON t.id = u.z",
         "Hash Join (Inner)\n  Join Cond: z = id\n  ->  Full Scan on u using u_pkey\n        "
         "Spans: 1\n"
         "  ->  Full Scan on t using t_pkey\n        Spans: 1"},
        {EXPLAIN "SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.z = t.a)",
         "Hash Join (Semi)\n  Join Cond: a = z\n  ->  Full Scan on t using t_pkey\n        Spans: "
         "1\n"
         "  ->  Full Scan on u using u_pkey\n        Spans: 1"},
        {EXPLAIN "SELECT a FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.z = t.a)",
         "Hash Join (Anti)\n  Join Cond: a = z\n  ->  Full Scan on t using t_pkey\n        Spans: "
         "1\n"
         "  ->  Full Scan on u using u_pkey\n        Spans: 1"},
        {EXPLAIN "DELETE FROM t WHERE id IN (SELECT z FROM u WHERE x = 3)",
         "Delete on t\n  ->  Lookup Join (Inner)\n        Join Cond: z = id\n        ->  Distinct\n"
         "              ->  Index Range Scan on u using u_pkey\n                    Index Cond: x "
         "= 3\n                    Spans: 1\n"
         "        ->  Point Lookup on t using t_pkey\n              Index Cond: id = z\n           "
         "   Lock: FOR UPDATE"},
        {EXPLAIN "SELECT * FROM t LEFT JOIN u ON u.z = t.a WHERE u.y = 3",
         "Hash Join (Inner)\n  Join Cond: a = z\n  ->  Full Scan on t using t_pkey\n        Spans: "
         "1\n"
         "  ->  Full Scan on u using u_pkey\n        Shard Filter: (y = 3)\n        Spans: 1"},
    };
    RUN_CASES(*state, cases);
}

static void explain_forms_are_accepted(void **state)
{
    struct world *w = *state;
    assert_false(world_run(w, "EXPLAIN (VERBOSE, FORMAT JSON) SELECT id + 1 FROM t")->failed);
    assert_false(world_run(w, "EXPLAIN ANALYZE SELECT * FROM t JOIN u ON u.x = t.id")->failed);
    assert_false(
        world_run(w, "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS) INSERT INTO t VALUES (1)")
            ->failed);
    const struct result *r = world_run(w, "EXPLAIN (NOSUCH) SELECT 1");
    assert_string_equal(r->sqlstate, "42601");
}

static int setup(void **state)
{
    struct world *w = world_create();
    *state = w;
    return world_run(w, setup_sql)->failed ? -1 : 0;
}

static int teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(index_choice, setup, teardown),
        cmocka_unit_test_setup_teardown(what_runs_in_the_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(joins, setup, teardown),
        cmocka_unit_test_setup_teardown(explain_forms_are_accepted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
