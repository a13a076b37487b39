/* The sherd program, run as a user runs it, against fake_sql.h; and its parts, split.c and table.c.
 */
#include "cli.h"
#include "fake_sql.h"

#include "base/mem.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake_sql *server;
static char output[65536]; /* of the last run(), both streams */
static char directory[64];

static int setup(void **state)
{
    (void)state;
    server = fake_sql_start(0);
    (void)snprintf(directory, sizeof(directory), "/tmp/sherd_cli_XXXXXX");
    assert_non_null(mkdtemp(directory));
    return 0;
}

/* Runs a shell command in which $S is the program, $P the server's port, $D the folder. */
static int run(const char *command)
{
    char *line = mem_printf("S='%s'; P=%u; D='%s'; export SHERDD='%s' HOME=\"$D\" LC_ALL=C.UTF-8; "
                            "cd \"$D\"; { %s\n} 2>&1",
                            SHERD_PROGRAM, fake_sql_port(server), directory, FAKE_SHERDD, command);
    FILE *f = popen(line, "r");
    mem_free(line);
    assert_non_null(f);
    size_t n = fread(output, 1, sizeof(output) - 1, f);
    output[n] = '\0';
    int code = pclose(f);
    return WIFEXITED(code) ? WEXITSTATUS(code) : -1;
}

static int teardown(void **state)
{
    (void)state;
    (void)run("[ -f c/cluster ] && $S local down --dir c; rm -rf \"$D\"");
    fake_sql_stop(server);
    return 0;
}

static void expect(const char *command, int code, const char *text)
{
    int got = run(command);
    if (got != code || strcmp(output, text) != 0) {
        print_error("%s\nexit code %d, output:\n%s<end>\n", command, got, output);
    }
    assert_int_equal(got, code);
    assert_string_equal(output, text);
}

static void expect_part(const char *command, int code, const char *part)
{
    int got = run(command);
    if (got != code || strstr(output, part) == NULL) {
        print_error("%s\nexit code %d, output:\n%s<end>\n", command, got, output);
    }
    assert_int_equal(got, code);
    assert_non_null(strstr(output, part));
}

/* ---- splitting ---- */

static void statements_end_at_semicolons_outside_of_everything(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *first; /* up to its semicolon; NULL = there is none */
    } cases[] = {
        {"SELECT 1; SELECT 2", "SELECT 1;"},
        {"SELECT ';'';'; x", "SELECT ';'';';"},
        {"SELECT E'\\';'; x", "SELECT E'\\';';"},
        {"SELECT 'a\\'; x", "SELECT 'a\\';"},
        {"SELECT \"a;b\"; x", "SELECT \"a;b\";"},
        {"-- a;b\nSELECT 1; x", "-- a;b\nSELECT 1;"},
        {"/* a;/* b;*/ c;*/ SELECT 1; x", "/* a;/* b;*/ c;*/ SELECT 1;"},
        {"DO $$ a; b; $$; x", "DO $$ a; b; $$;"},
        {"DO $t$ a; $$; $t$; x", "DO $t$ a; $$; $t$;"},
        {"SELECT $1; x", "SELECT $1;"},
        {"SELECT a$b$; x", "SELECT a$b$;"},
        {"CREATE RULE r DO (a; b); x", "CREATE RULE r DO (a; b);"},
        {"SELECT 1", NULL},
        {"SELECT '; x", NULL},
        {"/* ; x", NULL},
        {"DO $a$ ; $b$", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct splitter sp = {0};
        size_t n = split_statement(&sp, cases[i].text, strlen(cases[i].text));
        assert_int_equal(n, cases[i].first == NULL ? 0 : strlen(cases[i].first));
    }
}

static void a_statement_may_be_cut_into_lines(void **state)
{
    (void)state;
    struct splitter sp = {0};
    static const char *lines[] = {"SELECT 'a\n", ";b' /* ;\n", "; */, $x$\n", ";$x$\n"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(split_statement(&sp, lines[i], strlen(lines[i])), 0);
        assert_false(splitter_is_idle(&sp));
    }
    assert_int_equal(split_statement(&sp, " ; y", 4), 2);
    splitter_reset(&sp);
    assert_true(splitter_is_idle(&sp));
    assert_int_equal(split_statement(&sp, "-- only a comment\n", 18), 0);
    assert_false(sp.has_text);
    assert_true(splitter_is_idle(&sp));
}

/* ---- tables ---- */

static char *print(const struct table_format *format, bool with_rows)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    struct table *t = table_create(format, f);
    table_column(t, "id", true);
    table_column(t, "name", false);
    if (with_rows) {
        table_cell(t, "1", 1);
        table_cell(t, "\xc3\xa4", 2);
        table_cell(t, "20", 2);
        table_cell(t, "two\nlines", 9);
        table_cell(t, NULL, 0);
        table_cell(t, "x", 1);
    }
    table_finish(t, true);
    (void)fclose(f);
    return text;
}

static void expect_table(struct table_format format, bool with_rows, const char *expected)
{
    char *text = print(&format, with_rows);
    assert_string_equal(text, expected);
    free(text);
}

static void tables_look_as_in_psql(void **state)
{
    (void)state;
    expect_table((struct table_format){0}, true,
                 " id | name  \n----+-------\n  1 | \xc3\xa4\n 20 | two  +\n    | lines\n    | x\n"
                 "(3 rows)\n\n");
    expect_table((struct table_format){0}, false, " id | name \n----+------\n(0 rows)\n\n");
    expect_table((struct table_format){.is_tuples_only = true}, true,
                 "  1 | \xc3\xa4\n 20 | two  +\n    | lines\n    | x\n");
    expect_table((struct table_format){.is_unaligned = true}, true,
                 "id|name\n1|\xc3\xa4\n20|two\nlines\n|x\n(3 rows)\n");
    expect_table((struct table_format){.is_unaligned = true}, false, "id|name\n(0 rows)\n");
    expect_table(
        (struct table_format){.is_unaligned = true, .is_tuples_only = true, .separator = ","}, true,
        "1,\xc3\xa4\n20,two\nlines\n,x\n");
    char *text = print(&(struct table_format){.is_expanded = true}, true);
    assert_non_null(strstr(text, "-[ RECORD 1 ]"));
    assert_non_null(strstr(text, "id   | 1\nname | \xc3\xa4\n-[ RECORD 2 ]"));
    free(text);
}

/* ---- sherd sql ---- */

static void sql_prints_results_and_tags(void **state)
{
    (void)state;
    expect("$S sql -p $P -c 'SELECT 2'", 0,
           " c1 |  c2   \n----+-------\n  0 | row 0\n  1 | row 1\n(2 rows)\n\n");
    expect("$S sql -p $P -A -t -c 'SELECT 2; SET x'", 0, "0|row 0\n1|row 1\n");
    expect("$S sql -p $P -c 'SET x' -c BEGIN", 0, "SET\nBEGIN\n");
    expect("$S sql -p $P -q -c 'SET x'", 0, "");
    expect("printf 'SET\\nx;\\n  SELECT 1;\\nSET y' | $S sql -p $P -At", 0, "0|row 0\n");
    expect("$S sql -h 127.0.0.1:1,127.0.0.1 -p $P -At -c 'SELECT 1'", 0, "0|row 0\n");
}

static void sql_tells_errors_with_place_and_exit_code(void **state)
{
    (void)state;
    expect("$S sql -p $P -c 'FAIL 22012; SELECT 1'", 1,
           "ERROR:  it fails\nLINE 1: FAIL 22012;\n             ^\nDETAIL:  The detail.\n"
           "HINT:  The hint.\n");
    expect_part("printf 'SET a;\\n\\nFAIL 22012;\\nSET b;\\n' >f; $S sql -p $P -f f", 0,
                "SET\nf:3: ERROR:  it fails\nLINE 1: FAIL");
    expect_part("$S sql -p $P -f f", 0, "HINT:  The hint.\nSET\n");
    assert_int_equal(run("$S sql -p $P -v ON_ERROR_STOP=1 -f f"), 3);
    assert_null(strstr(output, "HINT:  The hint.\nSET\n"));
    assert_int_equal(run("$S sql -p $P -v ON_ERROR_STOP=1 <f"), 3);
    assert_int_equal(run("(echo '\\set ON_ERROR_STOP 1'; cat f) | $S sql -p $P"), 3);
    expect("$S sql -p $P -1 -f f 2>/dev/null", 3, "BEGIN\nSET\n");
    expect("printf 'SET a;' | $S sql -p $P -1 -f -", 0, "BEGIN\nSET\nCOMMIT\n");
    expect_part("$S sql -p $P -f missing", 1, "missing: No such file");
    expect_part("$S sql -p $P -f .", 1, "directory");
    expect_part("$S sql -p 1 -c 'SELECT 1'", 2, "127.0.0.1:1");
    expect_part("$S sql -p $P -d nowhere -c 'SELECT 1'", 2, "\"nowhere\" does not exist");
    expect_part("$S sql -p x", 2, "\"x\" is not a port");
    expect_part("$S sql -p $P extra", 2, "\"extra\"");
    expect_part("$S sql -Z", 2, "--help");
}

static void sql_backslash_commands_work_in_scripts(void **state)
{
    (void)state;
    expect("printf '\\\\echo hello\\n\\\\x on\\n\\\\x\\n\\\\pset\\n\\\\q\\nSET' | $S sql -p $P", 0,
           "hello\nExpanded display is on.\nExpanded display is off.\n"
           "invalid command \\pset\nTry \\? for help.\n");
    expect_part("printf 'SET a;\\n' >i; printf '\\\\i i\\n\\\\i none\\nSET b;' | $S sql -p $P", 0,
                "SET\nsherd: none: No such file");
    expect_part("printf '\\\\i loop' >loop; $S sql -p $P -f loop", 0, "too deeply");
    expect_part("$S sql -p $P -c '\\c other' -c '\\conninfo'", 0, "database \"other\"");
    expect_part("$S sql -p $P -c '\\c nowhere'", 1, "does not exist");
    expect_part("$S sql -p $P -c '\\?'", 0, "\\timing");
    expect_part("printf '\\\\timing\\nSET a;' | $S sql -p $P", 0, "Time: ");
    expect_part("$S sql -p $P -c NOTICE", 0, "NOTICE:  look here\nNOTICE\n");
}

static void interrupting_sql_cancels_the_statement(void **state)
{
    (void)state;
    char *line =
        mem_printf("exec '%s' sql -p %u -c WAIT 2>&1", SHERD_PROGRAM, fake_sql_port(server));
    char *args[] = {(char *)"sh", (char *)"-c", line, NULL};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(fds[1], 1);
        (void)execv("/bin/sh", args);
        _exit(127);
    }
    (void)close(fds[1]);
    fake_sql_await_wait(server);
    assert_int_equal(kill(pid, SIGINT), 0);
    FILE *f = fdopen(fds[0], "r");
    size_t n = fread(output, 1, sizeof(output) - 1, f);
    output[n] = '\0';
    (void)fclose(f);
    int code;
    assert_int_equal(waitpid(pid, &code, 0), pid);
    assert_int_equal(WEXITSTATUS(code), 1);
    assert_non_null(strstr(output, "Cancel request sent\nERROR:  canceling statement"));
    mem_free(line);
}

/* ---- sherd status, help ---- */

static void status_shows_nodes_and_shards(void **state)
{
    (void)state;
    expect_part("$S status -p $P", 0, "1 of 1 nodes up, 1 shard (0 without a leader)");
    assert_non_null(strstr(output, "|      1 |     1 | 1.5 kB | fake \"1\""));
    assert_non_null(
        strstr(output, "     2 | min   | 4001 |     4 |      1 | 1     |   3 | 1.5 kB"));
    expect_part("$S status -p $P --json", 0, "\"shard\":2,\"start\":\"\",\"end\":\"4001\"");
    assert_non_null(strstr(output, "\"version\":\"fake \\\"1\\\"\""));
    expect_part("$S status -p 1", 2, "cannot connect to 127.0.0.1:1");
}

static void every_command_has_help(void **state)
{
    (void)state;
    expect_part("$S help", 0, "local ");
    expect_part("$S", 2, "usage: sherd COMMAND");
    expect_part("$S sql --help", 0, "exit codes:");
    expect_part("$S status --help", 0, "exit codes:");
    expect_part("$S local up --help", 0, "exit codes:");
    expect_part("$S help local", 0, "--sql-port");
    expect_part("$S help nothing", 2, "there is no command \"nothing\"");
    expect_part("$S nothing", 2, "there is no command \"nothing\"");
    expect_part("$S version", 0, "sherd 0.");
}

/* ---- sherd local ---- */

/* The first of 10 * nodes ports, below those that the kernel gives to clients. */
static int free_ports(void)
{
    return 20000 + getpid() % 400 * 30;
}

static void local_up_down_kill_start(void **state)
{
    (void)state;
    char command[256];
    int port = free_ports();
    expect_part("$S local status --dir c", 1, "there is no cluster");
    (void)snprintf(command, sizeof(command), "$S local up --nodes 2 --dir c --sql-port %d", port);
    expect_part(command, 0, "is up.\n");
    (void)snprintf(command, sizeof(command), "psql -h 127.0.0.1 -p %d", port);
    assert_non_null(strstr(output, command));
    expect_part("$S local up --dir c", 0, "is up already.");
    expect_part("$S local up --dir c --nodes 3", 1, "has 2 nodes, not 3");
    expect_part("$S local up --dir c --sql-port 1000", 1, "has SQL port");
    expect_part("$S local status --dir c", 0, "    1 | up ");
    expect_part("$S local kill 2 --dir c", 0, "is killed");
    expect_part("$S local kill 2 --dir c", 0, "is not running");
    expect_part("$S local status --dir c", 0, "    2 | down ");
    expect_part("$S local start 2 --dir c", 0, "Node 2 is started");
    expect_part("$S local start 2 --dir c", 0, "is running already");
    expect_part("$S local kill 3 --dir c", 1, "there is no node 3");
    expect_part("$S local down --dir c", 0, "is down (2 nodes)");
    expect_part("$S local down --dir c", 0, "is not running");
    /* Moved, it goes on; a dead node and a deaf one are told of. */
    expect_part("mkdir sub; mv c sub/c; $S local up --dir sub/c", 0, "is up.\n");
    expect_part("touch sub/c/node1/die; $S local kill 1 --dir sub/c; $S local start 1 --dir sub/c",
                1,
                "node 1 ended at its start with exit code 7\nDETAIL:  It printed: it is written");
    expect_part("$S local down --dir sub/c; mv sub/c c", 0, "(1 node)");
}

static void local_names_a_port_in_use(void **state)
{
    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)(free_ports() + 12))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 1), 0);
    char command[256];
    char expected[128];
    (void)snprintf(command, sizeof(command), "$S local up --dir c --sql-port %d", free_ports());
    (void)snprintf(expected, sizeof(expected), "port %d, for Raft of node 2", free_ports() + 12);
    expect_part(command, 1, expected);
    expect_part("ls c", 0, "lock"); /* nothing was started or fixed */
    assert_null(strstr(output, "cluster"));
    (void)close(fd);
}

static void local_refuses_wrong_arguments(void **state)
{
    (void)state;
    expect_part("$S local", 2, "is missing");
    expect_part("$S local sideways", 2, "there is no \"sideways\"");
    expect_part("$S local kill", 2, "needs the number of a node");
    expect_part("$S local kill x", 2, "needs the number of a node");
    expect_part("$S local up --nodes 0", 2, "from 1 to 16");
    expect_part("$S local up --sql-port 99999", 2, "is not a port");
    expect_part("$S local down --nodes 3", 2, "belong to up");
    expect_part("$S local up --dir c --sql-port 65530", 1, "above 65535");
    expect_part("mkdir c; echo rubbish >c/cluster; $S local status --dir c; rm -r c", 0,
                "is damaged");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_end_at_semicolons_outside_of_everything),
        cmocka_unit_test(a_statement_may_be_cut_into_lines),
        cmocka_unit_test(tables_look_as_in_psql),
        TEST(sql_prints_results_and_tags),
        TEST(sql_tells_errors_with_place_and_exit_code),
        TEST(sql_backslash_commands_work_in_scripts),
        TEST(interrupting_sql_cancels_the_statement),
        TEST(status_shows_nodes_and_shards),
        TEST(every_command_has_help),
        TEST(local_up_down_kill_start),
        TEST(local_names_a_port_in_use),
        TEST(local_refuses_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
