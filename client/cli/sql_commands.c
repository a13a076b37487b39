/*
 * The shell's backslash commands. Those that describe objects are queries on the system catalog, so
 * they say what the server says.
 */
#include "sql.h"

#include "base/mem.h"

#include <string.h>
#include <strings.h>

#define ARGUMENT_MAX 1024

struct command {
    const char *name;
    const char *argument; /* as shown by \? */
    const char *text;
    bool (*run)(struct shell *sh, const char *argument);
};

/* 'it''s': a string literal; the caller frees. */
static char *literal(const char *s)
{
    struct buf b = {0};
    buf_put_u8(&b, '\'');
    for (; *s != '\0'; s++) {
        if (*s == '\'') {
            buf_put_u8(&b, '\'');
        }
        buf_put_u8(&b, (uint8_t)*s);
    }
    buf_put_cstr(&b, "'");
    size_t len;
    return (char *)buf_take(&b, &len);
}

static bool run_quietly_titled(struct shell *sh, const char *title, const char *sql)
{
    if (!sh->format.is_tuples_only && title != NULL) {
        (void)fprintf(sh->out, "%s\n", title);
    }
    return shell_run(sh, sql);
}

/* Relations of the given kinds: 'r','p' and so on. */
static bool list_relations(struct shell *sh, const char *title, const char *kinds)
{
    char *sql = mem_printf(
        "SELECT n.nspname AS \"Schema\", c.relname AS \"Name\", "
        "CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' "
        "WHEN 'i' THEN 'index' WHEN 'S' THEN 'sequence' ELSE 'other' END AS \"Type\" "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN (%s) AND n.nspname <> 'pg_catalog' "
        "AND n.nspname <> 'information_schema' ORDER BY 1, 2",
        kinds);
    bool is_well = run_quietly_titled(sh, title, sql);
    mem_free(sql);
    return is_well;
}

static bool run_dt(struct shell *sh, const char *argument)
{
    (void)argument;
    return list_relations(sh, "List of tables", "'r','p'");
}

static bool run_di(struct shell *sh, const char *argument)
{
    (void)argument;
    return list_relations(sh, "List of indexes", "'i'");
}

static bool run_ds(struct shell *sh, const char *argument)
{
    (void)argument;
    return list_relations(sh, "List of sequences", "'S'");
}

static bool run_dv(struct shell *sh, const char *argument)
{
    (void)argument;
    return list_relations(sh, "List of views", "'v'");
}

/* "schema.name" or "name" as two conditions on the columns given. */
static char *name_condition(const char *argument, const char *schema_column,
                            const char *name_column)
{
    const char *dot = strchr(argument, '.');
    char *name = literal(dot == NULL ? argument : dot + 1);
    char *condition;
    if (dot == NULL) {
        condition = mem_printf("%s = %s", name_column, name);
    } else {
        char *schema = mem_strndup(argument, (size_t)(dot - argument));
        char *quoted = literal(schema);
        condition = mem_printf("%s = %s AND %s = %s", schema_column, quoted, name_column, name);
        mem_free(schema);
        mem_free(quoted);
    }
    mem_free(name);
    return condition;
}

static bool run_d(struct shell *sh, const char *argument)
{
    if (argument[0] == '\0') {
        return list_relations(sh, "List of relations", "'r','p','v','S'");
    }
    char *where = name_condition(argument, "table_schema", "table_name");
    char *title = mem_printf("Columns of \"%s\"", argument);
    char *sql = mem_printf("SELECT column_name AS \"Column\", data_type AS \"Type\", "
                           "is_nullable AS \"Nullable\", column_default AS \"Default\" "
                           "FROM information_schema.columns WHERE %s "
                           "ORDER BY table_schema, ordinal_position",
                           where);
    bool is_well = run_quietly_titled(sh, title, sql);
    mem_free(where);
    mem_free(sql);
    mem_free(title);
    if (is_well) {
        where = name_condition(argument, "schemaname", "tablename");
        sql = mem_printf("SELECT indexname AS \"Index\", indexdef AS \"Definition\" "
                         "FROM pg_catalog.pg_indexes WHERE %s ORDER BY 1",
                         where);
        is_well = run_quietly_titled(sh, "Indexes", sql);
        mem_free(where);
        mem_free(sql);
    }
    return is_well;
}

static bool run_l(struct shell *sh, const char *argument)
{
    (void)argument;
    return run_quietly_titled(sh, "List of databases",
                              "SELECT datname AS \"Name\" FROM pg_catalog.pg_database ORDER BY 1");
}

static bool run_dn(struct shell *sh, const char *argument)
{
    (void)argument;
    return run_quietly_titled(
        sh, "List of schemas",
        "SELECT nspname AS \"Name\" FROM pg_catalog.pg_namespace "
        "WHERE nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1");
}

static bool run_q(struct shell *sh, const char *argument)
{
    (void)argument;
    sh->is_quitting = true;
    return true;
}

static bool run_i(struct shell *sh, const char *argument)
{
    if (argument[0] == '\0') {
        (void)fprintf(stderr, "\\i: a file is missing\n");
        return false;
    }
    return shell_include(sh, argument);
}

/* "on", "off" or nothing: the other way. */
static void toggle(bool *value, const char *argument)
{
    if (strcasecmp(argument, "on") == 0) {
        *value = true;
    } else if (strcasecmp(argument, "off") == 0) {
        *value = false;
    } else {
        *value = !*value;
    }
}

static bool say(const struct shell *sh, const char *what, bool value)
{
    if (!sh->is_quiet) {
        (void)fprintf(sh->out, "%s is %s.\n", what, value ? "on" : "off");
    }
    return true;
}

static bool run_x(struct shell *sh, const char *argument)
{
    toggle(&sh->format.is_expanded, argument);
    return say(sh, "Expanded display", sh->format.is_expanded);
}

static bool run_a(struct shell *sh, const char *argument)
{
    toggle(&sh->format.is_unaligned, argument);
    return say(sh, "Unaligned output", sh->format.is_unaligned);
}

static bool run_t(struct shell *sh, const char *argument)
{
    toggle(&sh->format.is_tuples_only, argument);
    return say(sh, "Tuples only", sh->format.is_tuples_only);
}

static bool run_timing(struct shell *sh, const char *argument)
{
    toggle(&sh->is_timing, argument);
    return say(sh, "Timing", sh->is_timing);
}

static bool run_c(struct shell *sh, const char *argument)
{
    const char *database = argument[0] == '\0' ? sh->database : argument;
    if (!shell_connect(sh, database)) {
        sh->failed++;
        return false;
    }
    if (!sh->is_quiet) {
        (void)fprintf(sh->out, "You are now connected to database \"%s\" as user \"%s\".\n",
                      sh->database, sh->user);
    }
    return true;
}

static bool run_conninfo(struct shell *sh, const char *argument)
{
    (void)argument;
    (void)fprintf(sh->out,
                  "You are connected to database \"%s\" as user \"%s\" at %s (server %s).\n",
                  sh->database, sh->user, sherd_endpoint(sh->connection),
                  sherd_server_version(sh->connection));
    return true;
}

static bool run_echo(struct shell *sh, const char *argument)
{
    (void)fprintf(sh->out, "%s\n", argument);
    return true;
}

static bool run_set(struct shell *sh, const char *argument)
{
    size_t len = strcspn(argument, " \t");
    const char *value = argument + len + strspn(argument + len, " \t");
    if (len != strlen("ON_ERROR_STOP") || strncmp(argument, "ON_ERROR_STOP", len) != 0) {
        (void)fprintf(stderr, "\\set: the only variable is ON_ERROR_STOP\n");
        return false;
    }
    sh->stop_on_error =
        strcmp(value, "0") != 0 && strcasecmp(value, "off") != 0 && strcasecmp(value, "false") != 0;
    return true;
}

static bool run_help(struct shell *sh, const char *argument);

static const struct command commands[] = {
    {"q", "", "end", run_q},
    {"?", "", "this list", run_help},
    {"d", "[NAME]", "tables, views and sequences; or columns and indexes of one", run_d},
    {"dt", "", "tables", run_dt},
    {"di", "", "indexes", run_di},
    {"ds", "", "sequences", run_ds},
    {"dv", "", "views", run_dv},
    {"dn", "", "schemas", run_dn},
    {"l", "", "databases", run_l},
    {"c", "[DATABASE]", "connect to another database, or anew", run_c},
    {"connect", "[DATABASE]", "the same", run_c},
    {"conninfo", "", "where the connection is", run_conninfo},
    {"i", "FILE", "run a file", run_i},
    {"x", "[on|off]", "one line for each column", run_x},
    {"a", "[on|off]", "unaligned output", run_a},
    {"t", "[on|off]", "rows only", run_t},
    {"timing", "[on|off]", "tell how long statements take", run_timing},
    {"echo", "TEXT", "print a text", run_echo},
    {"set", "ON_ERROR_STOP 1|0", "end a script at a failing statement", run_set},
};

static bool run_help(struct shell *sh, const char *argument)
{
    (void)argument;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        (void)fprintf(sh->out, "  \\%-9s %-18s %s\n", commands[i].name, commands[i].argument,
                      commands[i].text);
    }
    (void)fprintf(sh->out, "Statements end with a semicolon. Ctrl-C cancels, Ctrl-D ends.\n");
    return true;
}

bool shell_command(struct shell *sh, const char *line)
{
    size_t name_len = strcspn(line + 1, " \t\r\n;");
    const char *rest = line + 1 + name_len;
    rest += strspn(rest, " \t");
    char argument[ARGUMENT_MAX];
    size_t len = strlen(rest);
    while (len > 0 && strchr(" \t\r\n;", rest[len - 1]) != NULL) {
        len--;
    }
    /* A quoted argument, as in psql scripts. */
    if (len >= 2 && (rest[0] == '"' || rest[0] == '\'') && rest[len - 1] == rest[0]) {
        rest++;
        len -= 2;
    }
    if (len >= sizeof(argument)) {
        (void)fprintf(stderr, "the argument is too long\n");
        sh->failed++;
        return false;
    }
    memcpy(argument, rest, len);
    argument[len] = '\0';
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strlen(commands[i].name) == name_len &&
            strncmp(commands[i].name, line + 1, name_len) == 0) {
            int before = sh->failed;
            bool is_well = commands[i].run(sh, argument);
            sh->failed += !is_well && sh->failed == before;
            (void)fflush(sh->out);
            return is_well;
        }
    }
    (void)fflush(sh->out);
    (void)fprintf(stderr, "invalid command \\%.*s\nTry \\? for help.\n", (int)name_len, line + 1);
    sh->failed++;
    return false;
}
