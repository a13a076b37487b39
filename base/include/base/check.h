/*
 * ASSERT states what only a bug in this program can break; it is always on. ASSERT_SLOW walks
 * structures in debug and simulation builds. Anything that a user, a peer, a disk or a clock can
 * cause is a status, not an assert.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdbool.h>

/* Prints file, line, expression and the message to the error log and ends the process. */
_Noreturn void check_failed(const char *file, int line, const char *expr, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define ASSERT(expr)                                                                               \
    do {                                                                                           \
        if (__builtin_expect(!(expr), 0)) {                                                        \
            check_failed(__FILE__, __LINE__, #expr, " ");                                          \
        }                                                                                          \
    } while (0)

#define ASSERT_MSG(expr, ...)                                                                      \
    do {                                                                                           \
        if (__builtin_expect(!(expr), 0)) {                                                        \
            check_failed(__FILE__, __LINE__, #expr, __VA_ARGS__);                                  \
        }                                                                                          \
    } while (0)

#ifdef SHERD_SLOW_ASSERTS
#define ASSERT_SLOW(expr) ASSERT(expr)
#else
#define ASSERT_SLOW(expr) ((void)0)
#endif

/* Ends the process: an error that must not be survived (a failed log write, no memory). */
_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
