/* Analysis: PostgreSQL 15's errors with their SQLSTATE, text, position and hint; names and types of
 * results. */
#include "world_check.h"

struct error_case {
    const char *sql, *state, *message;
    int position;
    const char *hint;
};

static const char setup_sql[] =
    "CREATE TABLE t(id int PRIMARY KEY, a int, b text, c numeric(10,2));"
    "CREATE TABLE u(id int PRIMARY KEY, tid int REFERENCES t(id), name varchar(20));"
    "CREATE VIEW v AS SELECT id, a FROM t WHERE a > 1";

static void errors_are_postgresqls(void **state)
{
    static const struct error_case cases[] = {
        {"SELECT * FROM nosuch", "42P01", "relation \"nosuch\" does not exist", 15, NULL},
        {"SELECT nosuch FROM t", "42703", "column \"nosuch\" does not exist", 8, NULL},
        {"SELECT t.nosuch FROM t", "42703", "column t.nosuch does not exist", 8, NULL},
        {"SELECT x.id FROM t", "42P01", "missing FROM-clause entry for table \"x\"", 8, NULL},
        {"SELECT t.id FROM t AS z", "42P01",
         "invalid reference to FROM-clause entry for table \"t\"", 8,
         "Perhaps you meant to reference the table alias \"z\"."},
        {"SELECT t.namee FROM u AS t", "42703", "column t.namee does not exist", 8,
         "Perhaps you meant to reference the column \"t.name\"."},
        {"SELECT id FROM t, u", "42702", "column reference \"id\" is ambiguous", 8, NULL},
        {"SELECT * FROM t, t", "42712", "table name \"t\" specified more than once", 18, NULL},
        {"SELECT a, count(*) FROM t", "42803",
         "column \"t.a\" must appear in the GROUP BY clause or be used in an aggregate function", 8,
         NULL},
        {"SELECT b FROM t GROUP BY a", "42803",
         "column \"t.b\" must appear in the GROUP BY clause or be used in an aggregate function", 8,
         NULL},
        {"SELECT 1 FROM t WHERE count(*) > 1", "42803",
         "aggregate functions are not allowed in WHERE", 23, NULL},
        {"SELECT sum(count(*)) FROM t", "42803", "aggregate function calls cannot be nested", 12,
         NULL},
        {"SELECT 1 FROM t WHERE a", "42804",
         "argument of WHERE must be type boolean, not type integer", 23, NULL},
        {"SELECT nosuch(1)", "42883", "function nosuch(integer) does not exist", 8,
         "No function matches the given name and argument types. You might need to add explicit "
         "type casts."},
        {"SELECT a + b FROM t", "42883", "operator does not exist: integer + text", 10,
         "No operator matches the given name and argument types. You might need to add explicit "
         "type casts."},
        {"SELECT 1 ORDER BY 2", "42P10", "ORDER BY position 2 is not in select list", 19, NULL},
        {"SELECT a FROM t GROUP BY 5", "42P10", "GROUP BY position 5 is not in select list", 26,
         NULL},
        {"SELECT DISTINCT a FROM t ORDER BY b", "42P10",
         "for SELECT DISTINCT, ORDER BY expressions must appear in select list", 35, NULL},
        {"SELECT 1 UNION SELECT 1, 2", "42601",
         "each UNION query must have the same number of columns", 0, NULL},
        {"VALUES (1), (1, 2)", "42601", "VALUES lists must all be the same length", 0, NULL},
        {"SELECT (SELECT 1, 2)", "42601", "subquery must return only one column", 8, NULL},
        {"SELECT 1 WHERE 1 IN (SELECT 1, 2)", "42601", "subquery has too many columns", 18, NULL},
        {"SELECT 'x'::nosuchtype", "42704", "type \"nosuchtype\" does not exist", 13, NULL},
        {"SELECT 'x'::int", "22P02", "invalid input syntax for type integer: \"x\"", 8, NULL},
        {"INSERT INTO t(id, nosuch) VALUES (1, 2)", "42703",
         "column \"nosuch\" of relation \"t\" does not exist", 19, NULL},
        {"INSERT INTO t(id, id) VALUES (1, 2)", "42701", "column \"id\" specified more than once",
         19, NULL},
        {"INSERT INTO t(id) VALUES (1, 2)", "42601",
         "INSERT has more expressions than target columns", 30, NULL},
        {"INSERT INTO t(id, a) VALUES (1)", "42601",
         "INSERT has more target columns than expressions", 19, NULL},
        {"INSERT INTO t(id, a) VALUES (1, now())", "42804",
         "column \"a\" is of type integer but expression is of type timestamp with time zone", 33,
         "You will need to rewrite or cast the expression."},
        {"UPDATE t SET nosuch = 1", "42703", "column \"nosuch\" of relation \"t\" does not exist",
         14, NULL},
        {"UPDATE t SET a = 1, a = 2", "42601", "multiple assignments to same column \"a\"", 21,
         NULL},
        {"INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING", "42P10",
         "there is no unique or exclusion constraint matching the ON CONFLICT specification", 0,
         NULL},
        {"SELECT * FROM (SELECT 1)", "42601", "subquery in FROM must have an alias", 15, NULL},
        {"SELECT * FROM t JOIN u USING (nosuch)", "42703",
         "column \"nosuch\" specified in USING clause does not exist in left table", 0, NULL},
        {"SELECT CASE WHEN true THEN 1 ELSE now() END", "42804",
         "CASE types integer and timestamp with time zone cannot be matched", 35, NULL},
        {"SELECT 1 LIMIT 'x'", "22P02", "invalid input syntax for type bigint: \"x\"", 16, NULL},
        {"SELECT a FROM t LIMIT a", "42P10", "argument of LIMIT must not contain variables", 23,
         NULL},
        {"SELECT * FROM t FOR UPDATE OF x", "42P01",
         "relation \"x\" in FOR UPDATE clause not found in FROM clause", 31, NULL},
        {"SELECT count(*) FROM t FOR UPDATE", "0A000",
         "FOR UPDATE is not allowed with aggregate functions", 0, NULL},
        {"INSERT INTO v VALUES (1)", "55000", "cannot insert into view \"v\"", 13,
         "Write to the tables behind it."},
        {"SELECT upper(DISTINCT 'x')", "42809",
         "DISTINCT specified, but upper is not an aggregate function", 8, NULL},
        {"SELECT generate_series(1, 2) FROM t WHERE generate_series(1, 2) = 1", "0A000",
         "set-returning functions are not allowed in WHERE", 43, NULL},
        {"SELECT (1, 2) = (1, 2, 3)", "42601", "unequal number of entries in row expressions", 15,
         NULL},
        {"SELECT \xc3\xa4 FROM t", "42703", "column \"\xc3\xa4\" does not exist", 8, NULL},
        {"SELECT '\xc3\xa4', nosuch FROM t", "42703", "column \"nosuch\" does not exist", 13, NULL},
    };
    struct world *w = *state;
    int failed = 0;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct error_case *c = &cases[i];
        const struct result *r = world_run(w, c->sql);
        bool same = r->failed && strcmp(r->sqlstate, c->state) == 0 &&
                    strcmp(r->message, c->message) == 0 && r->position == c->position &&
                    (c->hint == NULL || (r->hint != NULL && strcmp(r->hint, c->hint) == 0));
        if (!same) {
            failed++;
            print_error("%s\n  gives  %s %s at %d (%s)\n  wanted %s %s at %d (%s)\n", c->sql,
                        r->failed ? r->sqlstate : "success", r->failed ? r->message : "",
                        r->position, r->hint == NULL ? "" : r->hint, c->state, c->message,
                        c->position, c->hint == NULL ? "" : c->hint);
        }
    }
    assert_int_equal(failed, 0);
}

static void result_columns_get_postgresqls_names(void **state)
{
    static const struct sql_case cases[] = {
        {"SELECT 1", "?column?"},
        {"SELECT id FROM t", "id"},
        {"SELECT t.id AS x FROM t", "x"},
        {"SELECT count(*) FROM t", "count"},
        {"SELECT '1'::int", "int4"},
        {"SELECT a::text FROM t", "a"},
        {"SELECT coalesce(a, 1) FROM t", "coalesce"},
        {"SELECT CASE WHEN a = 1 THEN 2 END FROM t", "case"},
        {"SELECT CASE WHEN a = 1 THEN 2 ELSE a END FROM t", "a"},
        {"SELECT (SELECT max(a) FROM t)", "max"},
        {"SELECT EXISTS (SELECT 1)", "exists"},
        {"SELECT ARRAY[1]", "array"},
        {"SELECT current_date", "current_date"},
        {"SELECT nullif(1, 2)", "nullif"},
        {"SELECT greatest(1, 2)", "greatest"},
        {"VALUES (1)", "column1"},
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct result *r = world_run(w, cases[i].sql);
        assert_false(r->failed);
        assert_string_equal(r->names[0], cases[i].want);
    }
}

static void parameters_take_the_type_of_their_use(void **state)
{
    struct world *w = *state;
    world_run(w, "INSERT INTO t VALUES (1, 10, 'x', 1.5), (2, 20, 'y', 2.5)");
    const char *p[2] = {"2", "y"};
    const struct result *r = world_run_params(w, "SELECT a FROM t WHERE id = $1 AND b = $2", 2, p);
    char *text = result_text(r);
    assert_string_equal(text, "20");
    mem_free(text);
    const char *q[1] = {"{1,2}"};
    r = world_run_params(w, "SELECT a FROM t WHERE id = ANY($1) ORDER BY a DESC", 1, q);
    text = result_text(r);
    assert_string_equal(text, "20\n10");
    mem_free(text);
    const char *l[2] = {"1", "1"};
    r = world_run_params(w, "SELECT a FROM t ORDER BY a LIMIT $1 OFFSET $2", 2, l);
    text = result_text(r);
    assert_string_equal(text, "20");
    mem_free(text);
    r = world_run_params(w, "SELECT $1 IS NULL", 1, (const char *const[]){NULL});
    assert_false(r->failed);
    assert_string_equal(r->rows[0][0], "t");
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
        cmocka_unit_test_setup_teardown(errors_are_postgresqls, setup, teardown),
        cmocka_unit_test_setup_teardown(result_columns_get_postgresqls_names, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_take_the_type_of_their_use, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
