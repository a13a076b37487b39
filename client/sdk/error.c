/* sherd_error is struct status under another name: texts as they came from the server. */
#include "internal.h"

#include <string.h>

static const struct status *view(const sherd_error *e)
{
    return (const struct status *)e;
}

enum sherd_error_kind sherd_error_kind_of(const sherd_error *e)
{
    switch (view(e)->code) {
    case STATUS_CONFLICT:
        return SHERD_ERROR_RETRY;
    case STATUS_NOT_LEADER:
    case STATUS_MOVED:
    case STATUS_UNAVAILABLE:
        return SHERD_ERROR_UNAVAILABLE;
    case STATUS_UNKNOWN_OUTCOME:
        return SHERD_ERROR_UNKNOWN;
    case STATUS_TIMEOUT:
    case STATUS_CANCELLED:
        return SHERD_ERROR_CANCELLED;
    case STATUS_IO:
    case STATUS_CORRUPT:
    case STATUS_INTERNAL:
        return SHERD_ERROR_INTERNAL;
    default:
        return SHERD_ERROR_STATEMENT;
    }
}

const char *sherd_error_sqlstate(const sherd_error *e)
{
    return view(e)->sqlstate;
}

const char *sherd_error_message(const sherd_error *e)
{
    return view(e)->message;
}

const char *sherd_error_detail(const sherd_error *e)
{
    return view(e)->detail;
}

const char *sherd_error_hint(const sherd_error *e)
{
    return view(e)->hint;
}

const char *sherd_error_constraint(const sherd_error *e)
{
    return view(e)->constraint;
}

const char *sherd_error_table(const sherd_error *e)
{
    return view(e)->table;
}

const char *sherd_error_column(const sherd_error *e)
{
    return view(e)->column;
}

int sherd_error_position(const sherd_error *e)
{
    return view(e)->position;
}

void sherd_error_free(sherd_error *e)
{
    status_free(to_status(e));
}

sherd_error *sherd_error_new(const char *sqlstate, const char *message)
{
    bool is_retry = strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
    bool is_valid = strlen(sqlstate) == 5;
    return to_error(status_make(__FILE__, __LINE__, is_retry ? STATUS_CONFLICT : STATUS_INVALID,
                                is_valid ? sqlstate : NULL, "%s", message));
}

bool error_is_disconnect(const struct status *st)
{
    return status_is(st, STATUS_UNAVAILABLE) &&
           (strcmp(st->sqlstate, "08006") == 0 || strcmp(st->sqlstate, "08001") == 0);
}

bool error_is_no_session(const struct status *st)
{
    return st != NULL && strcmp(st->sqlstate, "08003") == 0;
}
