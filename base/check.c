/*
 * How the process ends on a broken invariant or a failure that must not be survived: the reason
 * goes to the standard error and to the error log, without taking a lock that the failing code may
 * hold.
 */
#include "base/check.h"

#include "log_internal.h"

#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAMES_MAX 48

static void say(const char *text)
{
    log_last_words(text);
}

_Noreturn void check_failed(const char *file, int line, const char *expr, const char *fmt, ...)
{
    char text[1024];
    int n = snprintf(text, sizeof(text), "%s:%d: assertion failed: %s: ", file, line, expr);
    if (n > 0 && (size_t)n < sizeof(text)) {
        va_list args;
        va_start(args, fmt);
        (void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, args);
        va_end(args);
    }
    say(text);
    void *frames[FRAMES_MAX];
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
    abort();
}

_Noreturn void fatal(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    say(text);
    /* No exit handlers: other threads are still at work on what they would tear down. */
    _exit(EXIT_FAILURE);
}
