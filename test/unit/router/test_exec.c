/* Execution end to end: statements and what they give; answers checked against PostgreSQL 15's
 * rules. */
#include "world_check.h"

#include <stdio.h>

static const char setup_sql[] =
    "CREATE TABLE t(id int PRIMARY KEY, a int, b text);"
    "CREATE INDEX t_a ON t(a);"
    "CREATE TABLE u(id int PRIMARY KEY, tid int REFERENCES t(id), x int);"
    "CREATE INDEX u_tid ON u(tid);"
    "CREATE TABLE plain(k int, v text);"
    "CREATE TABLE h(id int PRIMARY KEY, v int) WITH (sharding = 'hash');"
    "CREATE TABLE hc(hid bigint REFERENCES h(id), n int, w text, PRIMARY KEY (hid, n))"
    " WITH (colocate_with = 'h');"
    "CREATE INDEX hc_w ON hc(w);"
    "INSERT INTO t SELECT g, g % 3, 'r' || g FROM generate_series(1, 9) g;"
    "INSERT INTO u SELECT g, g % 4 + 1, g * 10 FROM generate_series(1, 6) g;"
    "INSERT INTO plain VALUES (1, 'one'), (2, 'two'), (NULL, 'none');"
    "INSERT INTO h SELECT g, g * g FROM generate_series(1, 50) g;"
    "INSERT INTO hc SELECT g, n, 'w' || g * 10 + n FROM generate_series(1, 20) g, "
    "generate_series(1, 3) n";

static void selects(void **state)
{
    static const struct sql_case cases[] = {
        {"SELECT 1 + 1, 'a' || 'b', NULL", "2|ab|~"},
        {"SELECT b FROM t WHERE id = 3", "r3"},
        {"SELECT id FROM t WHERE a = 1 ORDER BY id", "1\n4\n7"},
        {"SELECT id FROM t WHERE a = 1 ORDER BY id DESC LIMIT 2", "7\n4"},
        {"SELECT id FROM t WHERE id BETWEEN 3 AND 5 ORDER BY 1", "3\n4\n5"},
        {"SELECT id FROM t WHERE id NOT BETWEEN 2 AND 8 ORDER BY 1", "1\n9"},
        {"SELECT id FROM t WHERE id IN (9, 2, 2, NULL) ORDER BY 1", "2\n9"},
        {"SELECT id FROM t WHERE id NOT IN (1, 2, 3, 4, 5, 6, 7) ORDER BY id", "8\n9"},
        {"SELECT id FROM t WHERE b LIKE 'r_' AND id > 7 ORDER BY id", "8\n9"},
        {"SELECT a, count(*), sum(id), min(b) FROM t GROUP BY a ORDER BY a",
         "0|3|18|r3\n1|3|12|r1\n2|3|15|r2"},
        {"SELECT a + 1 AS k, count(*) FROM t GROUP BY k ORDER BY k", "1|3\n2|3\n3|3"},
        {"SELECT a FROM t GROUP BY 1 HAVING sum(id) > 12 ORDER BY 1", "0\n2"},
        {"SELECT count(*), sum(id) FROM t WHERE id > 100", "0|~"},
        {"SELECT count(DISTINCT a), count(*) FILTER (WHERE id > 5) FROM t", "3|4"},
        {"SELECT string_agg(b, ',' ORDER BY id DESC) FROM t WHERE id < 4", "r3,r2,r1"},
        {"SELECT id, b FROM t GROUP BY id HAVING id > 8", "9|r9"},
        {"SELECT DISTINCT a FROM t ORDER BY a DESC", "2\n1\n0"},
        {"SELECT DISTINCT ON (a) a, id FROM t ORDER BY a, id DESC", "0|9\n1|7\n2|8"},
        {"SELECT k FROM plain ORDER BY k", "1\n2\n~"},
        {"SELECT k FROM plain ORDER BY k DESC", "~\n2\n1"},
        {"SELECT k FROM plain ORDER BY k NULLS FIRST", "~\n1\n2"},
        {"SELECT id FROM t ORDER BY a DESC, id LIMIT 2 OFFSET 1", "5\n8"},
        {"SELECT id FROM t ORDER BY id FETCH FIRST 2 ROWS ONLY", "1\n2"},
        {"SELECT id FROM t ORDER BY id LIMIT 0", ""},
        {"SELECT id FROM t LIMIT -1", "ERROR 2201W"},
        {"SELECT 1 UNION SELECT 2 UNION SELECT 1 ORDER BY 1", "1\n2"},
        {"SELECT 1 UNION ALL SELECT 1", "1\n1"},
        {"SELECT id FROM t INTERSECT SELECT x / 10 FROM u ORDER BY 1 LIMIT 2", "1\n2"},
        {"SELECT id FROM t EXCEPT SELECT id FROM u ORDER BY 1", "7\n8\n9"},
        {"SELECT NULL UNION SELECT 1 ORDER BY 1", "1\n~"},
        {"VALUES (1, 'a'), (2, NULL)", "1|a\n2|~"},
        {"SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS v(n, s) WHERE n = 2", "2|y"},
        {"SELECT * FROM generate_series(1, 3) g", "1\n2\n3"},
        {"SELECT g, v FROM generate_series(1, 2) g, unnest(ARRAY['a', 'b']) v ORDER BY 1, 2",
         "1|a\n1|b\n2|a\n2|b"},
        {"SELECT generate_series(1, 3), 'x'", "1|x\n2|x\n3|x"},
        {"SELECT * FROM unnest(ARRAY[7, 8]) WITH ORDINALITY", "7|1\n8|2"},
        {"SELECT CASE a WHEN 0 THEN 'zero' WHEN 1 THEN 'one' ELSE 'more' END FROM t WHERE id < 4 "
         "ORDER BY id",
         "one\nmore\nzero"},
        {"SELECT coalesce(k, 0), nullif(k, 1), greatest(k, 2), least(k, 1) FROM plain ORDER BY v",
         "0|~|2|1\n1|~|2|1\n2|2|2|1"},
        {"SELECT (1, 2) < (1, 3), (1, NULL) = (1, 2), ROW(1, 2) IS NOT NULL", "t|~|t"},
        {"SELECT (ARRAY[1, 2])[2], (ARRAY[1, 2, 3])[1:2]", "2|{1,2}"},
        {"SELECT 1 / 0", "ERROR 22012"},
        {"SELECT CASE WHEN true THEN 1 ELSE 1 / 0 END", "1"},
        {"SELECT id FROM h WHERE id = 7", "7"},
        {"SELECT count(*), sum(v) FROM h WHERE id > 40", "10|20785"},
        {"SELECT id FROM h ORDER BY id DESC LIMIT 2", "50\n49"},
        {"SELECT count(*) FROM h", "50"}, /* and nothing of the rows between its own */
        {"SELECT count(*) FROM hc", "60"},
        {"SELECT hid, n, w FROM hc WHERE hid = 7 ORDER BY n DESC", "7|3|w73\n7|2|w72\n7|1|w71"},
        {"SELECT w FROM hc WHERE hid = 7 AND n > 1 AND n < 3", "w72"},
        {"SELECT hid, n FROM hc WHERE w = 'w201'", "20|1"},
        {"SELECT w FROM hc WHERE w > 'w19' ORDER BY w LIMIT 2", "w191\nw192"},
        {"SELECT h.v, hc.w FROM h JOIN hc ON hc.hid = h.id WHERE h.id = 5 ORDER BY n",
         "25|w51\n25|w52\n25|w53"},
        {"SELECT count(*) FROM h JOIN hc ON hc.hid = h.id", "60"},
        {"INSERT INTO hc VALUES (99, 1, 'x')", "ERROR 23503"},
        {"DELETE FROM h WHERE id = 7", "ERROR 23503"},
        {"DELETE FROM h WHERE id = 50", "DELETE 1"},
        {"INSERT INTO h VALUES (50, 2500)", "INSERT 0 1"},
        {"INSERT INTO hc VALUES (7, 1, 'x')", "ERROR 23505"},
        {"INSERT INTO hc VALUES (7, 1, 'x') ON CONFLICT (hid, n) DO UPDATE SET w = 'y' RETURNING w",
         "y"},
        {"UPDATE hc SET hid = 8, n = 4 WHERE hid = 7 AND n = 1 RETURNING hid, n", "8|4"},
        {"SELECT hid, n, w FROM hc WHERE w = 'y'", "8|4|y"},
        {"DELETE FROM hc WHERE hid = 8", "DELETE 4"},
        {"SELECT count(*) FROM hc WHERE w LIKE 'w8%'", "0"},
        {"SELECT relname FROM pg_class WHERE relname = 'plain'", "plain"},
        {"SELECT relname FROM pg_catalog.pg_class c JOIN t ON t.id = 1 WHERE c.relname = 'u'", "u"},
    };
    RUN_CASES(*state, cases);
}

static void joins(void **state)
{
    static const struct sql_case cases[] = {
        {"SELECT u.id, t.b FROM u JOIN t ON t.id = u.tid WHERE u.id < 4 ORDER BY 1",
         "1|r2\n2|r3\n3|r4"},
        {"SELECT u.id, t.b FROM u, t WHERE t.id = u.tid AND t.a = 0 ORDER BY 1", "2|r3\n6|r3"},
        {"SELECT t.id, u.id FROM t LEFT JOIN u ON u.tid = t.id AND u.id < 3 WHERE t.id < 4 ORDER "
         "BY 1",
         "1|~\n2|1\n3|2"},
        {"SELECT t.id FROM t LEFT JOIN u ON u.tid = t.id WHERE u.id IS NULL ORDER BY 1",
         "5\n6\n7\n8\n9"},
        {"SELECT u.id, t.id FROM t RIGHT JOIN u ON u.tid = t.id + 1 ORDER BY 1 LIMIT 2",
         "1|1\n2|2"},
        {"SELECT a.k, b.k FROM plain a FULL JOIN (VALUES (2), (3)) b(k) ON a.k = b.k ORDER BY 1, 2",
         "1|~\n2|2\n~|3\n~|~"},
        {"SELECT k FROM plain FULL JOIN (VALUES (2), (3)) b(k) USING (k) ORDER BY 1", "1\n2\n3\n~"},
        {"SELECT * FROM (VALUES (1, 'a')) x(k, p) NATURAL JOIN (VALUES (1, 'b')) y(k, q)", "1|a|b"},
        {"SELECT count(*) FROM t CROSS JOIN u", "54"},
        {"SELECT x.id, y.id FROM t x JOIN t y ON y.id = x.id + 7 ORDER BY 1", "1|8\n2|9"},
        {"SELECT t.id, s.m FROM t, LATERAL (SELECT max(x) AS m FROM u WHERE u.tid = t.id) s WHERE "
         "t.id < 3 ORDER BY 1",
         "1|40\n2|50"},
        {"SELECT t.id, s.x FROM t LEFT JOIN LATERAL (SELECT x FROM u WHERE tid = t.id ORDER BY x "
         "LIMIT 1) s ON true WHERE t.id > 3 "
         "AND t.id < 6 ORDER BY 1",
         "4|30\n5|~"},
        {"SELECT t.id, g FROM t, generate_series(1, t.id) g WHERE t.id < 3 ORDER BY 1, 2",
         "1|1\n2|1\n2|2"},
        {"SELECT * FROM t JOIN u USING (id) WHERE id = 2", "2|2|r2|3|20"},
        {"SELECT a.id FROM t a JOIN t b ON a.a = b.id JOIN t c ON b.a = c.id WHERE a.id < 6 ORDER "
         "BY 1",
         "1\n2\n4\n5"},
    };
    RUN_CASES(*state, cases);
}

static void subselects(void **state)
{
    static const struct sql_case cases[] = {
        {"SELECT (SELECT max(id) FROM t), (SELECT id FROM t WHERE id = 100)", "9|~"},
        {"SELECT (SELECT id FROM t)", "ERROR 21000"},
        {"SELECT id FROM t WHERE id = (SELECT min(tid) FROM u)", "1"},
        {"SELECT id FROM t WHERE id IN (SELECT tid FROM u) ORDER BY 1", "1\n2\n3\n4"},
        {"SELECT id FROM t WHERE id NOT IN (SELECT tid FROM u) ORDER BY 1", "5\n6\n7\n8\n9"},
        {"SELECT id FROM t WHERE id NOT IN (SELECT k FROM plain)", ""},
        {"SELECT id FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.tid = t.id AND x > 30) ORDER BY 1",
         "1\n2\n3"},
        {"SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.tid = t.id) ORDER BY 1 LIMIT "
         "1",
         "5"},
        {"SELECT id, (SELECT count(*) FROM u WHERE u.tid = t.id) FROM t WHERE id < 4 ORDER BY 1",
         "1|1\n2|2\n3|2"},
        {"SELECT id FROM t WHERE id > ALL (SELECT tid FROM u) ORDER BY 1", "5\n6\n7\n8\n9"},
        {"SELECT id FROM t WHERE id < ANY (SELECT tid FROM u) ORDER BY 1", "1\n2\n3"},
        {"SELECT ARRAY(SELECT id FROM t WHERE a = 0 ORDER BY id)", "{3,6,9}"},
        {"SELECT (1, 'r1') IN (SELECT id, b FROM t)", "t"},
        {"SELECT a, sum(id), (SELECT count(*) FROM u WHERE u.tid = t.a) FROM t GROUP BY a ORDER BY "
         "a",
         "0|18|0\n1|12|1\n2|15|2"},
        {"SELECT id FROM t o WHERE id = (SELECT max(id) FROM t i WHERE i.a = o.a) ORDER BY 1",
         "7\n8\n9"},
        {"SELECT (SELECT (SELECT t.id + u.id) FROM u WHERE u.id = 1) FROM t WHERE id = 5", "6"},
        {"WITH x AS (SELECT a, count(*) n FROM t GROUP BY a) SELECT sum(n) FROM x", "9"},
        {"WITH x AS (SELECT id FROM t WHERE id < 3) SELECT p.id, q.id FROM x p, x q ORDER BY 1, 2",
         "1|1\n1|2\n2|1\n2|2"},
        {"WITH x(n) AS (SELECT 1), y AS (SELECT n + 1 AS m FROM x) SELECT * FROM x, y", "1|2"},
        {"WITH x AS MATERIALIZED (SELECT random() r) SELECT (SELECT r FROM x) = (SELECT r FROM x)",
         "t"},
        {"WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r", "ERROR 0A000"},
        {"SELECT * FROM (SELECT a, max(id) m FROM t GROUP BY a) s WHERE s.a = 1", "1|7"},
        {"SELECT count(*) FROM (SELECT DISTINCT a FROM t LIMIT 2) s", "2"},
        {"CREATE VIEW big AS SELECT id, b FROM t WHERE id > 5", ""},
        {"SELECT * FROM big WHERE id < 8 ORDER BY id", "6|r6\n7|r7"},
        {"SELECT v.id, u.id FROM big v JOIN u ON u.id = v.id", "6|6"},
    };
    RUN_CASES(*state, cases);
}

static void writes(void **state)
{
    static const struct sql_case cases[] = {
        {"CREATE TABLE w(id int PRIMARY KEY, a int NOT NULL, b text DEFAULT 'dflt', c int CHECK (c "
         "> 0), UNIQUE (b))",
         ""},
        {"INSERT INTO w VALUES (1, 1, 'x', 1)", "INSERT 0 1"},
        {"INSERT INTO w(a, id) VALUES (2, 2) RETURNING *", "2|2|dflt|~"},
        {"INSERT INTO w VALUES (3, 3, DEFAULT, 3)", "ERROR 23505"},
        {"INSERT INTO w VALUES (1, 1, 'y', 1)", "ERROR 23505"},
        {"INSERT INTO w VALUES (3, NULL, 'y', 1)", "ERROR 23502"},
        {"INSERT INTO w VALUES (3, 3, 'y', 0)", "ERROR 23514"},
        {"INSERT INTO w VALUES (3, 3, NULL), (4, 4, NULL)", "INSERT 0 2"},
        {"INSERT INTO w VALUES (5, 5, 'y'), (5, 5, 'z')", "ERROR 23505"},
        {"SELECT count(*) FROM w", "4"},
        {"UPDATE w SET a = a * 10 WHERE id < 3", "UPDATE 2"},
        {"UPDATE w SET id = id + 1 RETURNING id", "2\n3\n4\n5"},
        {"SELECT id, a, b FROM w ORDER BY id", "2|10|x\n3|20|dflt\n4|3|~\n5|4|~"},
        {"SELECT id FROM w WHERE b = 'x'", "2"},
        {"UPDATE w SET b = 'x' WHERE id = 3", "ERROR 23505"},
        {"UPDATE w SET (a, b) = (7, 'seven') WHERE id = 4", "UPDATE 1"},
        {"UPDATE w SET b = DEFAULT WHERE id = 2", "ERROR 23505"},
        {"UPDATE w SET a = t.id FROM t WHERE t.b = 'r9' AND w.id = 5 RETURNING w.id, w.a, t.b",
         "5|9|r9"},
        {"SELECT id FROM w WHERE b = 'seven'", "4"},
        {"DELETE FROM w WHERE id = 2 RETURNING b", "x"},
        {"SELECT id FROM w WHERE b = 'x'", ""},
        {"DELETE FROM w USING t WHERE t.id = w.id AND t.id = 3", "DELETE 1"},
        {"DELETE FROM w WHERE id IN (SELECT id FROM w)", "DELETE 2"},
        {"SELECT count(*) FROM w", "0"},
        {"INSERT INTO w(id, a) SELECT id, id FROM t", "ERROR 23505"},
        {"INSERT INTO w(id, a, b) SELECT id, id, b FROM t WHERE id < 4 RETURNING b", "r1\nr2\nr3"},
        {"INSERT INTO w(id, a, b) SELECT id + 10, a, b || '!' FROM w", "INSERT 0 3"},
        {"INSERT INTO plain SELECT k + 10, v FROM plain WHERE k IS NOT NULL", "INSERT 0 2"},
        {"SELECT * FROM plain WHERE k > 10 ORDER BY 1", "11|one\n12|two"},
        {"UPDATE plain SET v = upper(v) WHERE k = 11 RETURNING *", "11|ONE"},
        {"DELETE FROM plain WHERE k > 10", "DELETE 2"},
        {"INSERT INTO h VALUES (51, 1), (52, 2)", "INSERT 0 2"},
        {"UPDATE h SET id = 100 WHERE id = 51", "UPDATE 1"},
        {"SELECT v FROM h WHERE id = 100", "1"},
    };
    RUN_CASES(*state, cases);
}

static void on_conflict(void **state)
{
    static const struct sql_case cases[] = {
        {"CREATE TABLE c(id int PRIMARY KEY, k text UNIQUE, n int)", ""},
        {"INSERT INTO c VALUES (1, 'a', 1) ON CONFLICT DO NOTHING", "INSERT 0 1"},
        {"INSERT INTO c VALUES (1, 'b', 1), (2, 'a', 1), (3, 'c', 1), (3, 'd', 1) ON CONFLICT DO "
         "NOTHING RETURNING id",
         "3"},
        {"INSERT INTO c VALUES (4, 'a', 9) ON CONFLICT (id) DO NOTHING", "ERROR 23505"},
        {"INSERT INTO c VALUES (1, 'z', 5) ON CONFLICT (id) DO UPDATE SET n = c.n + excluded.n "
         "RETURNING *",
         "1|a|6"},
        {"INSERT INTO c VALUES (9, 'a', 5) ON CONFLICT (k) DO UPDATE SET k = 'aa', n = 0 WHERE c.n "
         "> 100",
         "INSERT 0 0"},
        {"INSERT INTO c VALUES (9, 'a', 5) ON CONFLICT (k) DO UPDATE SET k = 'aa' RETURNING id, k",
         "1|aa"},
        {"SELECT id FROM c WHERE k = 'aa'", "1"},
        {"SELECT id FROM c WHERE k = 'a'", ""},
        {"INSERT INTO c VALUES (7, 'x', 1), (7, 'y', 1) ON CONFLICT (id) DO UPDATE SET n = 1",
         "ERROR 21000"},
        {"INSERT INTO c VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET id = 3", "ERROR 23505"},
        {"INSERT INTO c VALUES (1, 'x', 1) ON CONFLICT (id) DO UPDATE SET n = n + 1",
         "ERROR 42702"},
        {"INSERT INTO c VALUES (1, 'x', 1) ON CONFLICT ON CONSTRAINT c_pkey DO UPDATE SET n = 77",
         "INSERT 0 1"},
        {"SELECT * FROM c ORDER BY id", "1|aa|77\n3|c|1"},
    };
    RUN_CASES(*state, cases);
}

static void foreign_keys(void **state)
{
    static const struct sql_case cases[] = {
        {"INSERT INTO u VALUES (100, 100, 1)", "ERROR 23503"},
        {"INSERT INTO u VALUES (100, NULL, 1)", "INSERT 0 1"},
        {"UPDATE u SET tid = 100 WHERE id = 1", "ERROR 23503"},
        {"UPDATE u SET tid = 9 WHERE id = 1", "UPDATE 1"},
        {"DELETE FROM t WHERE id = 9", "ERROR 23503"},
        {"UPDATE t SET id = 90 WHERE id = 9", "ERROR 23503"},
        {"UPDATE t SET a = 5 WHERE id = 9", "UPDATE 1"},
        {"DELETE FROM u WHERE id = 1", "DELETE 1"},
        {"DELETE FROM t WHERE id = 9", "DELETE 1"},
        {"CREATE TABLE tree(id int PRIMARY KEY, up int REFERENCES tree(id))", ""},
        {"INSERT INTO tree VALUES (1, 2), (2, NULL), (3, 1)", "INSERT 0 3"},
        {"INSERT INTO tree VALUES (4, 5)", "ERROR 23503"},
        {"DELETE FROM tree WHERE id = 2", "ERROR 23503"},
        {"DELETE FROM tree", "DELETE 3"},
    };
    RUN_CASES(*state, cases);
}

static void generated_values(void **state)
{
    static const struct sql_case cases[] = {
        {"CREATE TABLE g(id serial PRIMARY KEY, a int, d int GENERATED ALWAYS AS (a * 2) STORED)",
         ""},
        {"INSERT INTO g(a) VALUES (1), (2) RETURNING *", "1|1|2\n2|2|4"},
        {"UPDATE g SET a = 10 WHERE id = 1 RETURNING d", "20"},
        {"INSERT INTO g(a, d) VALUES (1, 1)", "ERROR 428C9"},
        {"UPDATE g SET d = 1", "ERROR 428C9"},
        {"CREATE TABLE i(id int GENERATED ALWAYS AS IDENTITY, a int)", ""},
        {"INSERT INTO i(a) VALUES (7) RETURNING id", "1"},
        {"INSERT INTO i VALUES (7, 7)", "ERROR 428C9"},
        {"INSERT INTO i OVERRIDING SYSTEM VALUE VALUES (7, 7) RETURNING id", "7"},
        {"INSERT INTO g DEFAULT VALUES RETURNING id, a, d", "3|~|~"},
    };
    RUN_CASES(*state, cases);
}

/* The details of constraint errors are PostgreSQL's. */
static void constraint_errors_name_the_row(void **state)
{
    struct world *w = *state;
    const struct result *r = world_run(w, "INSERT INTO t VALUES (1, 2, 'x')");
    assert_string_equal(r->message, "duplicate key value violates unique constraint \"t_pkey\"");
    assert_string_equal(r->detail, "Key (id)=(1) already exists.");
    r = world_run(w, "INSERT INTO t VALUES (NULL, 2, 'x')");
    assert_string_equal(
        r->message, "null value in column \"id\" of relation \"t\" violates not-null constraint");
    assert_string_equal(r->detail, "Failing row contains (null, 2, x).");
    r = world_run(w, "INSERT INTO u VALUES (50, 77, 1)");
    assert_string_equal(
        r->message,
        "insert or update on table \"u\" violates foreign key constraint \"u_tid_fkey\"");
    assert_string_equal(r->detail, "Key (tid)=(77) is not present in table \"t\".");
    r = world_run(w, "DELETE FROM t WHERE id = 3");
    assert_string_equal(r->message, "update or delete on table \"t\" violates foreign key "
                                    "constraint \"u_tid_fkey\" on table \"u\"");
    assert_string_equal(r->detail, "Key (id)=(3) is still referenced from table \"u\".");
}

/* A random mix of writes keeps index and table in step. */
static void indexes_follow_their_table(void **state)
{
    struct world *w = *state;
    world_run(w, "CREATE TABLE m(id int PRIMARY KEY, a int, b text); CREATE INDEX m_a ON m(a); "
                 "CREATE INDEX m_b ON m(b DESC, a)");
    uint32_t seed = 12345;
    for (int i = 0; i < 300; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned id = (seed >> 16) % 40, a = (seed >> 8) % 7;
        char sql[200];
        snprintf(sql, sizeof(sql),
                 i % 4 == 0   ? "DELETE FROM m WHERE id = %u"
                 : i % 4 == 1 ? "UPDATE m SET a = a + 1, b = 'u%u' WHERE a = %u"
                              : "INSERT INTO m VALUES (%u, %u, 'i') ON CONFLICT (id) DO UPDATE SET "
                                "a = excluded.a",
                 id, a);
        assert_false(world_run(w, sql)->failed);
    }
    static const struct sql_case cases[] = {
        {"SELECT (SELECT count(*) FROM m) = (SELECT count(*) FROM (SELECT id FROM m ORDER BY a) "
         "s), "
         "(SELECT sum(a) FROM m) = (SELECT sum(a) FROM (SELECT a FROM m ORDER BY b DESC, a) s)",
         "t|t"},
        {"SELECT count(*) FROM m x WHERE NOT EXISTS (SELECT 1 FROM m y WHERE y.a = x.a AND y.id = "
         "x.id)",
         "0"},
        {"SELECT count(*) FROM m x WHERE id NOT IN (SELECT id FROM m WHERE a >= 0)", "0"},
    };
    RUN_CASES(w, cases);
}

/* Who waited for such a row looks for it under its new key; the same key again is no move, and no
 * entry of an index is one. */
static void a_new_primary_key_is_a_move(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *sql;
        uint64_t moves;
    } cases[] = {
        {"UPDATE t SET id = 30 WHERE id = 9", 1},
        {"UPDATE t SET id = id, a = 5 WHERE id = 30", 0},
        {"UPDATE t SET id = 30, b = 'x' WHERE id = 30", 0},
        {"UPDATE t SET a = a + 1, b = 'y'", 0},
        {"UPDATE h SET v = 1", 0},
        {"UPDATE h SET id = id + 100 WHERE id BETWEEN 40 AND 42", 3},
        {"UPDATE t SET id = id + 1 WHERE id BETWEEN 6 AND 8", 3},
        {"DELETE FROM t WHERE id = 30", 0},
        {"INSERT INTO h VALUES (50, 0) ON CONFLICT (id) DO UPDATE SET id = 300", 1},
        {"INSERT INTO h VALUES (49, 0) ON CONFLICT (id) DO UPDATE SET v = 300", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t before = world_moves(w);
        const struct result *r = world_run(w, cases[i].sql);
        if (r->failed) {
            fail_msg("%s: %s", cases[i].sql, r->message);
        }
        assert_int_equal(world_moves(w) - before, cases[i].moves);
    }
}

static int setup(void **state)
{
    struct world *w = world_create();
    *state = w;
    const struct result *r = world_run(w, setup_sql);
    if (r->failed) {
        print_error("setup: %s\n", r->message);
    }
    return r->failed ? -1 : 0;
}

static int teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(selects, setup, teardown),
        cmocka_unit_test_setup_teardown(joins, setup, teardown),
        cmocka_unit_test_setup_teardown(subselects, setup, teardown),
        cmocka_unit_test_setup_teardown(writes, setup, teardown),
        cmocka_unit_test_setup_teardown(on_conflict, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(generated_values, setup, teardown),
        cmocka_unit_test_setup_teardown(constraint_errors_name_the_row, setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_follow_their_table, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_primary_key_is_a_move, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
