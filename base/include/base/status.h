/*
 * The one error type.
 *
 * A function that can fail returns `struct status *`: NULL is success. The receiver owns the error:
 * return it upward, wrap it, or consume it with status_free(). Handle or return, never both log and
 * return. Codes name what the caller can do, not where it broke; one X-macro gives each code its
 * name, default SQLSTATE, gRPC status number and whether a retry may help.
 *
 * Messages: one lower-case line, no full stop, no function names; facts in detail, advice in hint,
 * both whole sentences. Thread rule: a status belongs to one thread at a time.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*   code             default SQLSTATE  gRPC  retry */
#define STATUS_CODES(X)                                                                            \
    X(INVALID, "22023", 3, false)         /* fix the statement, the argument, the config */        \
    X(CONSTRAINT, "23000", 9, false)      /* fix the data */                                       \
    X(CONFLICT, "40001", 10, true)        /* retry the transaction */                              \
    X(NOT_LEADER, "57P03", 9, true)       /* internal: refresh the route, retry the request */     \
    X(MOVED, "57P03", 9, true)            /* internal: stale shard epoch, refresh, retry */        \
    X(UNAVAILABLE, "57P03", 14, true)     /* retry with back-off */                                \
    X(TIMEOUT, "57014", 4, false)         /* a deadline passed */                                  \
    X(CANCELLED, "57014", 1, false)       /* the user or the session ended it */                   \
    X(UNKNOWN_OUTCOME, "08007", 2, false) /* never retry blindly: it may have committed */         \
    X(LIMIT, "53000", 8, false)           /* ask for less */                                       \
    X(UNSUPPORTED, "0A000", 12, false)    /* another form */                                       \
    X(NOT_FOUND, "42704", 5, false)       /* no such thing */                                      \
    X(ALREADY_EXISTS, "42710", 6, false)  /* there is one */                                       \
    X(DENIED, "42501", 7, false)          /* not allowed, or not authenticated */                  \
    X(IO, "58030", 14, false)             /* the disk or the network refused */                    \
    X(CORRUPT, "XX001", 15, false)        /* stop, report */                                       \
    X(INTERNAL, "XX000", 13, false)       /* stop, report */

enum status_code {
    STATUS_OK = 0,
#define X(name, sqlstate, grpc, retry) STATUS_##name,
    STATUS_CODES(X)
#undef X
        STATUS_CODE_COUNT
};

struct status {
    enum status_code code;
    char sqlstate[6];
    bool is_static;   /* made at compile time: status_free() does nothing */
    int position;     /* 1-based character in the statement, 0 = none */
    char *message;    /* never NULL */
    char *detail;     /* or NULL */
    char *hint;       /* or NULL */
    char *constraint; /* or NULL: name of the constraint that failed */
    char *table;      /* or NULL */
    char *column;     /* or NULL */
    const char *file; /* where it was made */
    int line;
};

#define STATUS_MUST_CHECK __attribute__((warn_unused_result))

/* Never NULL. sqlstate may be NULL: the code's default. */
struct status *status_make(const char *file, int line, enum status_code code, const char *sqlstate,
                           const char *fmt, ...)
    __attribute__((format(printf, 5, 6), returns_nonnull));
#define status_new(code, ...) status_make(__FILE__, __LINE__, STATUS_##code, NULL, __VA_ARGS__)
#define status_sql(code, sqlstate, ...)                                                            \
    status_make(__FILE__, __LINE__, STATUS_##code, sqlstate, __VA_ARGS__)

/* Each returns st, for chaining: return status_hint(status_new(...), "..."). They do nothing to a
 * static status (they copy it first and return the copy). */
struct status *status_detail(struct status *st, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct status *status_hint(struct status *st, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
struct status *status_at(struct status *st, int position);
struct status *status_about(struct status *st, const char *table, const char *column,
                            const char *constraint);

/* Prefixes "what: " to the message; the code stays. NULL stays NULL. */
struct status *status_wrap(struct status *st, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

struct status *status_copy(const struct status *st);
void status_free(struct status *st); /* NULL is fine */

static inline bool status_is(const struct status *st, enum status_code code)
{
    return st != NULL && st->code == code;
}

/* Consumes st, returns whether it was an error: for paths that only need to know. */
bool status_consume(struct status *st);

const char *status_code_name(enum status_code code);
int status_code_grpc(enum status_code code);
bool status_code_retry(enum status_code code);
/* The code whose gRPC number this is (first match), INTERNAL when there is none. */
enum status_code status_code_from_grpc(int grpc);

/* Common ones, free of cost to make and to free. */
extern struct status status_not_leader, status_cancelled, status_timeout, status_closed;

#define TRY(expr)                                                                                  \
    do {                                                                                           \
        struct status *try_st_ = (expr);                                                           \
        if (try_st_ != NULL) {                                                                     \
            return try_st_;                                                                        \
        }                                                                                          \
    } while (0)

/* For a function with `struct status *st` and one exit label. */
#define TRY_GOTO(expr, label)                                                                      \
    do {                                                                                           \
        st = (expr);                                                                               \
        if (st != NULL) {                                                                          \
            goto label;                                                                            \
        }                                                                                          \
    } while (0)

#endif
