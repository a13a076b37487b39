/* The shell's state, shared by sql.c (input and statements) and sql_commands.c (backslash
 * commands). */
#ifndef CLIENT_SQL_H
#define CLIENT_SQL_H

#include "cli.h"

#include <histedit.h>

struct source { /* where lines come from */
    struct source *outer;
    FILE *file;
    EditLine *editor; /* the terminal */
    History *history;
    char *name; /* of a file, for messages */
    char *line;
    size_t line_cap;
    int line_number;
    int statement_line; /* where the statement at hand begins */
};

struct shell {
    const char *host;
    uint16_t port;
    const char *user;
    const char *password; /* or NULL */
    char *database;
    sherd_connection *connection;
    struct table_format format;
    FILE *out;
    bool is_quiet;
    bool is_timing;
    bool stop_on_error;
    bool is_quitting;
    bool is_missing; /* a file could not be read */
    int failed;      /* statements */
    int depth;       /* of included files */
    struct source *source;
    struct splitter splitter;
    struct buf buffer; /* the statement so far */
    char prompt[64];
};

/* Connects (again); the old connection stays when the new one fails. */
bool shell_connect(struct shell *sh, const char *database);
/* Runs and prints; false when it failed (which has been printed and counted). */
bool shell_run(struct shell *sh, const char *sql);
bool shell_include(struct shell *sh, const char *path);
/* password.c. From the terminal, for password_forget(); NULL: there is none. */
char *password_ask(const char *user);
void password_forget(char *password); /* NULL is fine */
/* A line that begins with a backslash. False: it failed. */
bool shell_command(struct shell *sh, const char *line);

#endif
