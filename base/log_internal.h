/*
 * What base/ itself needs of the log beyond base/log.h: last words of a dying process, and the
 * clock and node name of a simulated world, so that its lines carry virtual time and replay equal.
 */
#ifndef BASE_LOG_INTERNAL_H
#define BASE_LOG_INTERNAL_H

#include <stdint.h>

/* One ERROR line to the standard error and to the log files. Takes no lock it could wait for. */
void log_last_words(const char *text);

/* For this thread: wall_us(ctx) instead of the system's clock, node instead of the configured name.
 * NULL clock: back to normal. node is borrowed. */
void log_set_thread_clock(int64_t (*wall_us)(void *ctx), void *ctx, const char *node);

#endif
