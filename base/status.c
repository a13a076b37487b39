/*
 * The error type of base/status.h. A status and its texts are heap memory of their own: an error
 * may outlive the arena of the request that met it. Static ones are shared by all threads and
 * therefore never written; what would change one changes a copy.
 */
#include "base/status.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *sqlstate;
    int grpc;
    bool retry;
} codes[STATUS_CODE_COUNT] = {[STATUS_OK] = {"OK", "00000", 0, false},
#define X(name, sqlstate, grpc, retry) [STATUS_##name] = {#name, sqlstate, grpc, retry},
                              STATUS_CODES(X)
#undef X
};

#define STATIC_STATUS(var, code_, sqlstate_, text)                                                 \
    struct status var = {.code = STATUS_##code_,                                                   \
                         .sqlstate = sqlstate_,                                                    \
                         .is_static = true,                                                        \
                         .message = (char *)(text),                                                \
                         .file = __FILE__,                                                         \
                         .line = __LINE__}

STATIC_STATUS(status_not_leader, NOT_LEADER, "57P03", "this replica is not the leader");
STATIC_STATUS(status_cancelled, CANCELLED, "57014", "canceling statement due to user request");
STATIC_STATUS(status_timeout, TIMEOUT, "57014", "the deadline has passed");
STATIC_STATUS(status_closed, UNAVAILABLE, "08006", "the connection is closed");

__attribute__((format(printf, 1, 0))) static char *format(const char *fmt, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0) {
        fatal("out of memory: an error message could not be made");
    }
    return text;
}

static char *dup_or_null(const char *s)
{
    return s == NULL ? NULL : mem_strdup(s);
}

static void set_text(char **field, char *text)
{
    mem_free(*field);
    *field = text;
}

/* The status itself, or a private copy when it is shared. */
static struct status *own(struct status *st)
{
    return st->is_static ? status_copy(st) : st;
}

struct status *status_make(const char *file, int line, enum status_code code, const char *sqlstate,
                           const char *fmt, ...)
{
    ASSERT(code > STATUS_OK && code < STATUS_CODE_COUNT);
    struct status *st = MEM_NEW(struct status);
    st->code = code;
    st->file = file;
    st->line = line;
    const char *state = sqlstate == NULL ? codes[code].sqlstate : sqlstate;
    ASSERT_MSG(strlen(state) == 5, "SQLSTATE \"%s\" of %s:%d", state, file, line);
    memcpy(st->sqlstate, state, sizeof(st->sqlstate));
    va_list args;
    va_start(args, fmt);
    st->message = format(fmt, args);
    va_end(args);
    return st;
}

struct status *status_detail(struct status *st, const char *fmt, ...)
{
    if (st == NULL) {
        return NULL;
    }
    st = own(st);
    va_list args;
    va_start(args, fmt);
    set_text(&st->detail, format(fmt, args));
    va_end(args);
    return st;
}

struct status *status_hint(struct status *st, const char *fmt, ...)
{
    if (st == NULL) {
        return NULL;
    }
    st = own(st);
    va_list args;
    va_start(args, fmt);
    set_text(&st->hint, format(fmt, args));
    va_end(args);
    return st;
}

struct status *status_at(struct status *st, int position)
{
    if (st == NULL) {
        return NULL;
    }
    st = own(st);
    st->position = position;
    return st;
}

struct status *status_about(struct status *st, const char *table, const char *column,
                            const char *constraint)
{
    if (st == NULL) {
        return NULL;
    }
    st = own(st);
    set_text(&st->table, dup_or_null(table));
    set_text(&st->column, dup_or_null(column));
    set_text(&st->constraint, dup_or_null(constraint));
    return st;
}

struct status *status_wrap(struct status *st, const char *fmt, ...)
{
    if (st == NULL) {
        return NULL;
    }
    st = own(st);
    va_list args;
    va_start(args, fmt);
    char *what = format(fmt, args);
    va_end(args);
    set_text(&st->message, mem_printf("%s: %s", what, st->message));
    mem_free(what);
    return st;
}

struct status *status_copy(const struct status *st)
{
    if (st == NULL) {
        return NULL;
    }
    struct status *copy = MEM_NEW(struct status);
    *copy = *st;
    copy->is_static = false;
    copy->message = mem_strdup(st->message);
    copy->detail = dup_or_null(st->detail);
    copy->hint = dup_or_null(st->hint);
    copy->constraint = dup_or_null(st->constraint);
    copy->table = dup_or_null(st->table);
    copy->column = dup_or_null(st->column);
    return copy;
}

void status_free(struct status *st)
{
    if (st == NULL || st->is_static) {
        return;
    }
    mem_free(st->message);
    mem_free(st->detail);
    mem_free(st->hint);
    mem_free(st->constraint);
    mem_free(st->table);
    mem_free(st->column);
    mem_free(st);
}

bool status_consume(struct status *st)
{
    status_free(st);
    return st != NULL;
}

const char *status_code_name(enum status_code code)
{
    return (unsigned)code < STATUS_CODE_COUNT ? codes[code].name : "UNKNOWN";
}

int status_code_grpc(enum status_code code)
{
    return (unsigned)code < STATUS_CODE_COUNT ? codes[code].grpc : codes[STATUS_INTERNAL].grpc;
}

bool status_code_retry(enum status_code code)
{
    return (unsigned)code < STATUS_CODE_COUNT && codes[code].retry;
}

enum status_code status_code_from_grpc(int grpc)
{
    for (int i = 0; i < STATUS_CODE_COUNT; i++) {
        if (codes[i].grpc == grpc) {
            return (enum status_code)i;
        }
    }
    return STATUS_INTERNAL;
}
