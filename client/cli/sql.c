/*
 * sherd sql: a shell over libsherd in the manner of psql.
 *
 * Input is a stack of sources (terminal, file, -c text) read line by line; the splitter finds where
 * statements end; each is sent by itself. A line that begins with a backslash where no statement
 * has begun is a command of the shell's own (sql_commands.c).
 *
 * Ctrl-C: while a statement runs it asks the server to cancel it; at the prompt it drops the line.
 * SIGINT is blocked everywhere and taken by one thread with sigwait(), since cancelling is a call
 * to the server and no work for a signal handler. At the prompt that thread interrupts the reader.
 */
#include "sql.h"

#include "base/mem.h"

#include <errno.h>
#include <getopt.h>
#include <histedit.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HISTORY_LINES 2000
#define ACTIONS_MAX 64

struct action { /* -c or -f */
    bool is_file;
    const char *text;
};

/* ---- cancel ---- */

static pthread_mutex_t running_lock = PTHREAD_MUTEX_INITIALIZER; /* guards `running` */
static sherd_connection *running;                                /* a statement runs on it */
static pthread_t main_thread;
static bool is_prompting; /* guarded too: the main thread waits for a line */

static void *signal_main(void *arg)
{
    sigset_t *set = arg;
    int signum;
    while (sigwait(set, &signum) == 0) {
        pthread_mutex_lock(&running_lock);
        if (running != NULL) {
            (void)fputs("Cancel request sent\n", stderr);
            sherd_error_free(sherd_cancel(running));
        } else if (is_prompting) {
            (void)pthread_kill(main_thread, SIGUSR1);
        } else {
            _exit(130);
        }
        pthread_mutex_unlock(&running_lock);
    }
    return NULL;
}

static void interrupted(int signum)
{
    (void)signum; /* only to end a read with EINTR */
}

static void signals_init(void)
{
    static sigset_t set;
    main_thread = pthread_self();
    struct sigaction sa = {.sa_handler = interrupted};
    (void)sigaction(SIGUSR1, &sa, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_t thread;
    if (pthread_create(&thread, NULL, signal_main, &set) == 0) {
        (void)pthread_detach(thread);
    }
}

static void set_running(sherd_connection *c)
{
    pthread_mutex_lock(&running_lock);
    running = c;
    pthread_mutex_unlock(&running_lock);
}

static void set_prompting(bool on)
{
    pthread_mutex_lock(&running_lock);
    is_prompting = on;
    pthread_mutex_unlock(&running_lock);
}

/* ---- errors ---- */

/* "LINE 2: SELECT x FRM t" and a caret below the position. */
static void print_position(const char *sql, int position)
{
    const char *s = sql;
    int left = position - 1; /* characters */
    const char *line = sql;
    int number = 1;
    while (*s != '\0' && left > 0) {
        if (*s == '\n') {
            line = s + 1;
            number++;
        }
        s++;
        while (((unsigned char)*s & 0xc0) == 0x80) {
            s++;
        }
        left--;
    }
    int len = (int)strcspn(line, "\n");
    int prefix = fprintf(stderr, "LINE %d: ", number);
    (void)fprintf(stderr, "%.*s\n", len, line);
    int indent = prefix;
    for (const char *p = line; p < s; p++) {
        indent += ((unsigned char)*p & 0xc0) != 0x80;
    }
    (void)fprintf(stderr, "%*s^\n", indent, "");
}

static void print_error(const struct shell *sh, sherd_error *e, const char *sql)
{
    (void)fflush(stdout);
    if (sh->source != NULL && sh->source->name != NULL) {
        (void)fprintf(stderr, "%s:%d: ", sh->source->name, sh->source->statement_line);
    }
    (void)fprintf(stderr, "ERROR:  %s\n", sherd_error_message(e));
    if (sql != NULL && sherd_error_position(e) > 0) {
        print_position(sql, sherd_error_position(e));
    }
    if (sherd_error_detail(e) != NULL) {
        (void)fprintf(stderr, "DETAIL:  %s\n", sherd_error_detail(e));
    }
    if (sherd_error_hint(e) != NULL) {
        (void)fprintf(stderr, "HINT:  %s\n", sherd_error_hint(e));
    }
    sherd_error_free(e);
}

static void on_notice(void *ctx, const sherd_error *notice)
{
    (void)ctx;
    (void)fflush(stdout);
    (void)fprintf(stderr, "%s:  %s\n",
                  strncmp(sherd_error_sqlstate(notice), "01", 2) == 0 ? "WARNING" : "NOTICE",
                  sherd_error_message(notice));
    if (sherd_error_detail(notice) != NULL) {
        (void)fprintf(stderr, "DETAIL:  %s\n", sherd_error_detail(notice));
    }
    if (sherd_error_hint(notice) != NULL) {
        (void)fprintf(stderr, "HINT:  %s\n", sherd_error_hint(notice));
    }
}

/* ---- connection ---- */

bool shell_connect(struct shell *sh, const char *database)
{
    char *endpoints = NULL;
    char *list = mem_strdup(sh->host);
    char *save = NULL;
    for (char *h = strtok_r(list, ",", &save); h != NULL; h = strtok_r(NULL, ",", &save)) {
        const char *colon = strchr(h, ':');
        bool has_port = (h[0] == '[' && strstr(h, "]:") != NULL) ||
                        (h[0] != '[' && colon != NULL && strchr(colon + 1, ':') == NULL);
        bool is_bare_v6 = h[0] != '[' && colon != NULL && !has_port;
        char *one = has_port     ? mem_strdup(h)
                    : is_bare_v6 ? mem_printf("[%s]:%u", h, sh->port)
                                 : mem_printf("%s:%u", h, sh->port);
        char *all = mem_printf("%s%s%s", endpoints == NULL ? "" : endpoints,
                               endpoints == NULL ? "" : ",", one);
        mem_free(endpoints);
        mem_free(one);
        endpoints = all;
    }
    struct sherd_options o = SHERD_OPTIONS_INIT;
    o.endpoints = endpoints == NULL ? "" : endpoints;
    o.user = sh->user;
    o.password = sh->password;
    o.database = database;
    o.on_notice = on_notice;
    sherd_connection *c = NULL;
    sherd_error *e = sherd_connect(&o, &c);
    mem_free(list);
    mem_free(endpoints);
    if (e != NULL) {
        print_error(sh, e, NULL);
        return false;
    }
    sherd_disconnect(sh->connection);
    sh->connection = c;
    char *copy = mem_strdup(database);
    mem_free(sh->database);
    sh->database = copy;
    return true;
}

/* ---- statements ---- */

/* PostgreSQL's numeric types are aligned right. */
static bool is_numeric(uint32_t type)
{
    static const uint32_t numeric[] = {20, 21, 23, 26, 28, 700, 701, 790, 1700};
    for (size_t i = 0; i < sizeof(numeric) / sizeof(numeric[0]); i++) {
        if (numeric[i] == type) {
            return true;
        }
    }
    return false;
}

/* Reads one statement's rows into a table. A table cut short by an error is not printed. */
static sherd_error *print_rows(struct shell *sh, sherd_result *r)
{
    struct table *t = table_create(&sh->format, sh->out);
    int columns = sherd_column_count(r);
    for (int i = 0; i < columns; i++) {
        table_column(t, sherd_column_name(r, i), is_numeric(sherd_column_type(r, i)));
    }
    sherd_error *e = NULL;
    int has_row = 1;
    while ((e = sherd_next_row(r, &has_row)) == NULL && has_row) {
        for (int i = 0; i < columns; i++) {
            size_t len;
            const char *v = sherd_value(r, i, &len);
            table_cell(t, v, len);
        }
    }
    if (e != NULL) {
        table_drop(t);
    } else {
        table_finish(t, true);
    }
    return e;
}

static sherd_error *print_result(struct shell *sh, sherd_result *r)
{
    if (sherd_column_count(r) > 0) {
        return print_rows(sh, r);
    }
    int has_row = 1;
    sherd_error *e = sherd_next_row(r, &has_row);
    const char *tag = e == NULL ? sherd_tag(r) : NULL;
    if (tag != NULL && tag[0] != '\0' && !sh->is_quiet && !sh->format.is_tuples_only) {
        (void)fprintf(sh->out, "%s\n", tag);
    }
    return e;
}

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

bool shell_run(struct shell *sh, const char *sql)
{
    double start = now_ms();
    set_running(sh->connection);
    sherd_result *r = NULL;
    sherd_error *e = sherd_execute(sh->connection, sql, 0, NULL, &r);
    int has_result = e == NULL;
    while (has_result && e == NULL) {
        e = print_result(sh, r);
        if (e == NULL) {
            e = sherd_next_result(r, &has_result);
        }
    }
    sherd_result_free(r);
    set_running(NULL);
    bool is_well = e == NULL;
    if (!is_well) {
        print_error(sh, e, sql);
        sh->failed++;
    }
    (void)fflush(sh->out);
    if (sh->is_timing) {
        printf("Time: %.3f ms\n", now_ms() - start);
    }
    return is_well;
}

/* ---- sources ---- */

static const char *prompt_text(struct shell *sh)
{
    char mark = '=';
    if (sh->buffer.len > 0 || !splitter_is_idle(&sh->splitter)) {
        mark = sh->splitter.paren_depth > 0 ? '(' : '-';
    }
    char state = '\0';
    switch (sherd_transaction_state(sh->connection)) {
    case SHERD_IN_TRANSACTION:
        state = '*';
        break;
    case SHERD_IN_FAILED:
        state = '!';
        break;
    default:
        break;
    }
    char both[3] = {mark, state, '\0'};
    (void)snprintf(sh->prompt, sizeof(sh->prompt), "%.48s%s> ", sh->database, both);
    return sh->prompt;
}

static char *edit_prompt(EditLine *el)
{
    void *data = NULL;
    (void)el_get(el, EL_CLIENTDATA, &data);
    return (char *)prompt_text(data);
}

/* The next line with its end, or NULL at the end of input; *is_interrupted tells of Ctrl-C. */
static const char *next_line(struct shell *sh, size_t *out_len, bool *is_interrupted)
{
    struct source *s = sh->source;
    *is_interrupted = false;
    if (s->editor != NULL) {
        int count = 0;
        errno = 0;
        set_prompting(true);
        const char *line = el_gets(s->editor, &count);
        set_prompting(false);
        if (line == NULL || count <= 0) {
            *is_interrupted = errno == EINTR;
            return NULL;
        }
        *out_len = (size_t)count;
        return line;
    }
    ssize_t n = getline(&s->line, &s->line_cap, s->file);
    if (n < 0) {
        return NULL;
    }
    *out_len = (size_t)n;
    return s->line;
}

static void drop_statement(struct shell *sh)
{
    buf_clear(&sh->buffer);
    splitter_reset(&sh->splitter);
}

/* Sends what has been collected. False: it failed. */
static bool run_buffer(struct shell *sh)
{
    bool is_well = true;
    if (sh->splitter.has_text) {
        buf_put_u8(&sh->buffer, 0);
        is_well = shell_run(sh, (const char *)sh->buffer.data);
    }
    drop_statement(sh);
    return is_well;
}

/* One line of SQL: runs each statement that ends in it. False: stop reading. */
static bool take_sql(struct shell *sh, const char *line, size_t len)
{
    struct source *s = sh->source;
    while (len > 0) {
        if (sh->buffer.len == 0) { /* a statement's text begins with its first word */
            size_t blank = strspn(line, " \t\r\n");
            line += blank < len ? blank : len;
            len -= blank < len ? blank : len;
        }
        if (!sh->splitter.has_text) {
            s->statement_line = s->line_number;
        }
        size_t n = split_statement(&sh->splitter, line, len);
        if (n == 0) {
            buf_put(&sh->buffer, line, len);
            return true;
        }
        buf_put(&sh->buffer, line, n);
        if (!run_buffer(sh) && sh->stop_on_error) {
            return false;
        }
        line += n;
        len -= n;
    }
    return true;
}

static void remember(struct source *s, const char *line)
{
    if (s->history != NULL && line[strspn(line, " \t\r\n")] != '\0') {
        HistEvent ev;
        (void)history(s->history, &ev, H_ENTER, line);
    }
}

/* Reads the source to its end. False: an error ended it, or \q. */
static bool read_source(struct shell *sh, struct source *s)
{
    s->outer = sh->source;
    sh->source = s;
    bool go_on = true;
    while (go_on && !sh->is_quitting) {
        size_t len = 0;
        bool is_interrupted;
        const char *line = next_line(sh, &len, &is_interrupted);
        if (line == NULL && is_interrupted) {
            (void)fputc('\n', stdout);
            drop_statement(sh);
            continue;
        }
        if (line == NULL) {
            break;
        }
        s->line_number++;
        remember(s, line);
        size_t blank = strspn(line, " \t");
        if (sh->buffer.len == 0 && splitter_is_idle(&sh->splitter) && line[blank] == '\\') {
            go_on = shell_command(sh, line + blank) || !sh->stop_on_error;
        } else {
            go_on = take_sql(sh, line, len);
        }
    }
    if (go_on && !sh->is_quitting) { /* a last statement may lack its ';' */
        go_on = run_buffer(sh) || !sh->stop_on_error;
    }
    drop_statement(sh);
    sh->source = s->outer;
    mem_free(s->name);
    free(s->line);
    return go_on;
}

bool shell_include(struct shell *sh, const char *path)
{
    struct stat info;
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (file != NULL && fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode)) {
        (void)fclose(file);
        file = NULL;
        errno = EISDIR;
    }
    if (file == NULL) {
        (void)fprintf(stderr, "sherd: %s: %s\n", path, strerror(errno));
        sh->is_missing = true;
        return false;
    }
    if (sh->depth == 16) {
        (void)fprintf(stderr, "sherd: %s: files are nested too deeply\n", path);
        (void)fclose(file);
        return false;
    }
    struct source s = {.file = file, .name = mem_strdup(file == stdin ? "<stdin>" : path)};
    sh->depth++;
    bool is_well = read_source(sh, &s);
    sh->depth--;
    if (file != stdin) {
        (void)fclose(file);
    }
    return is_well;
}

/* The text of -c: a backslash command, or statements that are sent one by one. */
static bool run_text(struct shell *sh, const char *text)
{
    int before = sh->failed;
    if (text[strspn(text, " \t\n")] == '\\') {
        return shell_command(sh, text + strspn(text, " \t\n"));
    }
    struct source s = {0};
    s.outer = sh->source;
    sh->source = &s;
    bool stop = sh->stop_on_error;
    sh->stop_on_error = true;
    bool is_well = take_sql(sh, text, strlen(text)) && run_buffer(sh);
    drop_statement(sh);
    sh->stop_on_error = stop;
    sh->source = s.outer;
    return is_well && sh->failed == before;
}

/* ---- the terminal ---- */

static char *history_path(void)
{
    const char *home = getenv("HOME");
    return home == NULL || home[0] == '\0' ? NULL : mem_printf("%s/.sherd_history", home);
}

static void interact(struct shell *sh)
{
    printf("sherd %s, server %s at %s. Type \\? for help.\n\n", sherd_version(),
           sherd_server_version(sh->connection), sherd_endpoint(sh->connection));
    struct source s = {0};
    char *path = history_path();
    HistEvent ev;
    s.history = history_init();
    s.editor = el_init("sherd", stdin, stdout, stderr);
    if (s.history == NULL || s.editor == NULL) {
        (void)fprintf(stderr, "sherd: this terminal cannot be used\n");
        sh->failed++;
        return;
    }
    (void)history(s.history, &ev, H_SETSIZE, HISTORY_LINES);
    (void)history(s.history, &ev, H_SETUNIQUE, 1);
    if (path != NULL) {
        (void)history(s.history, &ev, H_LOAD, path);
    }
    (void)el_set(s.editor, EL_PROMPT, edit_prompt);
    (void)el_set(s.editor, EL_CLIENTDATA, sh);
    (void)el_set(s.editor, EL_EDITOR, "emacs");
    (void)el_set(s.editor, EL_SIGNAL, 0);
    (void)el_set(s.editor, EL_HIST, history, s.history);
    (void)el_source(s.editor, NULL);
    (void)read_source(sh, &s);
    if (!sh->is_quitting) {
        (void)fputc('\n', stdout);
    }
    el_end(s.editor);
    if (path != NULL) {
        mode_t mask = umask(077);
        (void)history(s.history, &ev, H_SAVE, path);
        (void)umask(mask);
    }
    history_end(s.history);
    mem_free(path);
}

/* ---- the command ---- */

static bool run_action(struct shell *sh, const struct action *a, int *code)
{
    if (a->is_file) {
        int before = sh->failed;
        bool is_well = shell_include(sh, a->text);
        if (sh->is_missing) {
            *code = EXIT_FAILED;
            return false;
        }
        if (!is_well && sh->failed > before) {
            *code = EXIT_SCRIPT;
        }
        return is_well;
    }
    bool is_well = run_text(sh, a->text);
    if (!is_well) {
        *code = EXIT_FAILED;
    }
    return is_well;
}

static int run_actions(struct shell *sh, const struct action *actions, int count, bool is_one)
{
    int code = EXIT_OK;
    bool stop = sh->stop_on_error;
    sh->stop_on_error = stop || is_one;
    bool go_on = !is_one || shell_run(sh, "BEGIN");
    for (int i = 0; i < count && go_on && !sh->is_quitting; i++) {
        go_on = run_action(sh, &actions[i], &code);
    }
    if (is_one) {
        bool quiet = sh->is_quiet;
        sh->is_quiet = quiet || code != EXIT_OK;
        if (!shell_run(sh, code == EXIT_OK ? "COMMIT" : "ROLLBACK") && code == EXIT_OK) {
            code = EXIT_FAILED;
        }
    }
    return code;
}

static int run_input(struct shell *sh)
{
    if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
        interact(sh);
        return EXIT_OK;
    }
    return shell_include(sh, "-") || sh->failed == 0 ? EXIT_OK : EXIT_SCRIPT;
}

static bool set_variable(struct shell *sh, const char *text)
{
    const char *value = strchr(text, '=');
    size_t len = value == NULL ? strlen(text) : (size_t)(value - text);
    if (len != strlen("ON_ERROR_STOP") || strncmp(text, "ON_ERROR_STOP", len) != 0) {
        return false;
    }
    sh->stop_on_error = value == NULL || strcmp(value, "=1") == 0 || strcmp(value, "=on") == 0 ||
                        strcmp(value, "=true") == 0;
    return true;
}

int command_sql(int argc, char **argv)
{
    struct shell sh = {.host = HOST_DEFAULT, .port = SHERD_DEFAULT_PORT, .out = stdout};
    const char *database = SHERD_DEFAULT_DATABASE;
    struct action actions[ACTIONS_MAX];
    int count = 0;
    bool is_one = false, is_asking = false;
    char *typed = NULL;
    sh.user = SHERD_DEFAULT_USER;
    sh.password = getenv("SHERD_PASSWORD");
    int c;
    while ((c = getopt(argc, argv, "h:p:d:U:Wc:f:v:F:1Atxq")) != -1) {
        switch (c) {
        case 'h':
            sh.host = optarg;
            break;
        case 'p':
            if (!parse_port(optarg, &sh.port)) {
                return usage_error("sql", "\"%s\" is not a port", optarg);
            }
            break;
        case 'd':
            database = optarg;
            break;
        case 'U':
            sh.user = optarg;
            break;
        case 'W':
            is_asking = true;
            break;
        case 'c':
        case 'f':
            if (count == ACTIONS_MAX) {
                return usage_error("sql", "more than %d of -c and -f", ACTIONS_MAX);
            }
            actions[count++] = (struct action){c == 'f', optarg};
            break;
        case 'v':
            if (!set_variable(&sh, optarg)) {
                return usage_error("sql", "\"%s\": the only variable is ON_ERROR_STOP", optarg);
            }
            break;
        case 'F':
            sh.format.separator = optarg;
            break;
        case '1':
            is_one = true;
            break;
        case 'A':
            sh.format.is_unaligned = true;
            break;
        case 't':
            sh.format.is_tuples_only = true;
            break;
        case 'x':
            sh.format.is_expanded = true;
            break;
        case 'q':
            sh.is_quiet = true;
            break;
        default:
            return usage_error("sql", "wrong arguments");
        }
    }
    if (optind < argc) {
        return usage_error("sql", "unexpected argument \"%s\"", argv[optind]);
    }
    if (is_asking && (typed = password_ask(sh.user)) == NULL) {
        return usage_error("sql", "-W needs a terminal; without one set SHERD_PASSWORD");
    }
    sh.password = is_asking ? typed : sh.password;
    signals_init();
    if (!shell_connect(&sh, database)) {
        password_forget(typed);
        return EXIT_USAGE;
    }
    int code = count > 0 ? run_actions(&sh, actions, count, is_one) : run_input(&sh);
    sherd_disconnect(sh.connection);
    mem_free(sh.database);
    password_forget(typed);
    buf_deinit(&sh.buffer);
    (void)fflush(stdout);
    return code;
}
