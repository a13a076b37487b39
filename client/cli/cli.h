/*
 * The sherd command line: what its files share. Each command is a function that gets its own
 * arguments and returns the exit code.
 */
#ifndef CLIENT_CLI_H
#define CLIENT_CLI_H

#include "base/buf.h"
#include "base/status.h"
#include "sherd.h"

#include <stdio.h>

enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1, /* the command or a statement of -c failed */
    EXIT_USAGE = 2,  /* wrong arguments, or no connection (as psql) */
    EXIT_SCRIPT = 3, /* a statement of a script failed and ON_ERROR_STOP is set (as psql) */
};

#define HOST_DEFAULT "127.0.0.1"

int command_sql(int argc, char **argv);
int command_status(int argc, char **argv);
int command_local(int argc, char **argv);

/* The manual of a command; false when there is none. */
bool help_print(FILE *out, const char *command);
/* "sherd: <message>" and the way to help, on standard error. Returns EXIT_USAGE. */
int usage_error(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Error, detail and hint on standard error. Frees st. Returns code. */
int report(struct status *st, int code);
/* 1..65535, or false. */
bool parse_port(const char *s, uint16_t *out);
bool parse_number(const char *s, long min, long max, long *out);

/* ---- table.c: aligned, unaligned and expanded output, as psql's ---- */

struct table_format {
    bool is_unaligned;
    bool is_tuples_only;
    bool is_expanded;
    const char *separator; /* of unaligned output, "|" */
};

struct table;
struct table *table_create(const struct table_format *format, FILE *out);
/* Titles first, in order; then rows cell by cell. All is copied. NULL = SQL NULL. */
void table_column(struct table *t, const char *title, bool is_right);
void table_cell(struct table *t, const char *text, size_t len);
/* Prints; with "(n rows)" unless tuples only. */
void table_finish(struct table *t, bool with_count);
/* Instead of table_finish(): what has not been printed yet is dropped. */
void table_drop(struct table *t);

/* ---- split.c: statements out of text ---- */

/* Where a statement's text stands so far: inside quotes, comments, parentheses. */
struct splitter {
    int state;
    int paren_depth;
    int comment_depth;
    char dollar_tag[68];
    bool has_text; /* something besides blanks and comments */
};

/* Looks for the ';' that ends the statement which began before or in s. Returns the length with the
 * ';', or 0 when it is not in s: then all of s belongs to it. */
size_t split_statement(struct splitter *sp, const char *s, size_t len);
void splitter_reset(struct splitter *sp);
/* May a backslash command begin here? */
bool splitter_is_idle(const struct splitter *sp);

#endif
