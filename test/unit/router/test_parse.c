/* Parsing: what comes from a client is bounded before libpg_query sees it, and errors say where. */
#include "world_check.h"

#include "analyze/analyze_limits.h"
#include "analyze/parse_depth.h"

#include <stdlib.h>

static int nesting(const char *sql)
{
    int n, chain;
    parse_depth(slice_str(sql), 900, 100000, &n, &chain);
    return n;
}

static int chains(const char *sql)
{
    int n, chain;
    parse_depth(slice_str(sql), 900, 100000, &n, &chain);
    return chain;
}

static void nesting_counts_parentheses_brackets_and_cases(void **state)
{
    (void)state;
    assert_int_equal(nesting("SELECT 1"), 0);
    assert_int_equal(nesting("SELECT ((1))"), 2);
    assert_int_equal(nesting("SELECT a[b[1]], (2)"), 2);
    assert_int_equal(nesting("SELECT CASE WHEN (a) THEN 1 END"), 2);
    assert_int_equal(nesting("SELECT (1), (2), (3)"), 1);
}

static void nesting_knows_strings_names_and_comments(void **state)
{
    (void)state;
    assert_int_equal(nesting("SELECT '((((', \"((\", $$(($$, $a$ (( $$ $a$"), 0);
    assert_int_equal(nesting("SELECT 'it''s ((' -- ((\n, /* (( /* ( */ (( */ 1"), 0);
    assert_int_equal(nesting("SELECT E'\\'((' , $1"), 0);
    assert_int_equal(nesting("SELECT 'open (("), 0);
}

static void chains_end_at_commas_and_add_up_over_levels(void **state)
{
    (void)state;
    assert_int_equal(chains("SELECT 1 + 2 + 3"), 2);
    assert_int_equal(chains("SELECT 1 + 2, 3 + 4"), 1);
    assert_int_equal(chains("SELECT 1 + (2 + 3)"), 2);
    assert_int_equal(chains("SELECT 1 UNION SELECT 2 UNION SELECT 3"), 2);
    assert_int_equal(chains("SELECT a = 1 AND b = 2 AND c = 3"), 1);
}

static char *repeat(const char *before, const char *s, int n, const char *after)
{
    struct buf b = {0};
    buf_printf(&b, "%s", before);
    for (int i = 0; i < n; i++) {
        buf_printf(&b, "%s", s);
    }
    buf_printf(&b, "%s", after);
    char *text = mem_strndup(b.data, b.len);
    buf_deinit(&b);
    return text;
}

static void expect_state(struct world *w, char *sql, const char *sqlstate)
{
    const struct result *r = world_run(w, sql);
    mem_free(sql);
    if (!r->failed || strcmp(r->sqlstate, sqlstate) != 0) {
        print_error("%s instead of %s: %s\n", r->failed ? r->sqlstate : "success", sqlstate,
                    r->failed ? r->message : "");
        fail();
    }
}

static void hostile_nesting_gets_54001(void **state)
{
    struct world *w = *state;
    expect_state(w, repeat("SELECT ", "(", 100000, "1"), "54001");
    expect_state(w, repeat("SELECT ", "NOT ", 100000, "true"), "54001");
    expect_state(w, repeat("SELECT 1", "+1", 100000, ""), "54001");
    expect_state(w, repeat("SELECT 1", " UNION SELECT 1", 50000, ""), "54001");
    expect_state(w, repeat("SELECT ", "CASE WHEN true THEN ", 5000, "1"), "54001");
    expect_state(w, repeat("SELECT * FROM a", " JOIN a ON true", 5000, ""), "54001");
    expect_state(w, repeat("SELECT 1", "::int", 5000, ""), "54001");
    expect_state(w, repeat("SELECT ", "- ", 100000, "1"), "54001");
    expect_state(w, repeat("SELECT ", "+", 100000, "1"), "54001");
    expect_state(w, repeat("SELECT 1 ", "/*", 50000, ""), "54001");
    expect_state(w, repeat("SELECT 1 ", "/**/", 50000, ""), "54001");
}

static void deep_but_allowed_statements_answer(void **state)
{
    struct world *w = *state;
    char *sql = repeat("SELECT 1", "+1", 300, "");
    const struct result *r = world_run(w, sql);
    mem_free(sql);
    assert_false(r->failed);
    assert_string_equal(r->rows[0][0], "301");
    /* Deeper ones either run or are refused; nothing crashes. */
    char *deep = repeat("SELECT 1", "+1", 1900, "");
    r = world_run(w, deep);
    mem_free(deep);
    assert_true(!r->failed || strcmp(r->sqlstate, "54001") == 0);
}

static void a_text_beyond_the_limit_gets_54000(void **state)
{
    struct world *w = *state;
    expect_state(w, repeat("SELECT 1 -- ", "xxxxxxxxxxxxxxxx", (int)(PARSE_BYTES_MAX / 16) + 1, ""),
                 "54000");
}

static void a_long_insert_runs(void **state)
{
    struct world *w = *state;
    world_run(w, "CREATE TABLE long_insert(a int, b text)");
    char *sql = repeat("INSERT INTO long_insert VALUES (0, 'x')",
                       ", (1, 'some text that fills the row')", 20000, "");
    const struct result *r = world_run(w, sql);
    mem_free(sql);
    assert_false(r->failed);
    assert_int_equal(r->affected, 20001);
}

static void syntax_errors_tell_the_position(void **state)
{
    struct world *w = *state;
    const struct result *r = world_run(w, "SELECT 1 FROM WHERE");
    assert_true(r->failed);
    assert_string_equal(r->sqlstate, "42601");
    assert_string_equal(r->message, "syntax error at or near \"WHERE\"");
    assert_int_equal(r->position, 15);
}

static int setup(void **state)
{
    *state = world_create();
    return 0;
}

static int teardown(void **state)
{
    world_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nesting_counts_parentheses_brackets_and_cases),
        cmocka_unit_test(nesting_knows_strings_names_and_comments),
        cmocka_unit_test(chains_end_at_commas_and_add_up_over_levels),
        cmocka_unit_test(hostile_nesting_gets_54001),
        cmocka_unit_test(deep_but_allowed_statements_answer),
        cmocka_unit_test(a_text_beyond_the_limit_gets_54000),
        cmocka_unit_test(a_long_insert_runs),
        cmocka_unit_test(syntax_errors_tell_the_position),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
