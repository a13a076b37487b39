/*
 * Logging: components with levels, system.log and error.log, text or JSON, rotation by size.
 * Configured by logger.yaml (config/logger.yaml documents every key). Never blocks the caller on a
 * slow disk for more than a write(2) to the page cache. Works before log_configure(): to stderr.
 * Thread-safe. Log through LOG_*; the component is a short folder-like name: "raft", "shard".
 * Library code returns errors and does not log them.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* path NULL: built-in settings. dir: where system.log and error.log go; NULL: stderr. */
struct status *log_configure(const char *path, const char *dir,
                             const char *node_name) STATUS_MUST_CHECK;
/* Whether log_configure() would take the file. */
struct status *log_check(const char *path) STATUS_MUST_CHECK;
void log_shutdown(void);
/* False: not one of debug, info, warn, error. */
bool log_level_parse(const char *text, enum log_level *out_level);
/* All components at this level, whatever the file says (tests, --log-level). */
void log_set_level(enum log_level level);
bool log_enabled(const char *component, enum log_level level);
void log_write(const char *component, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define LOG_AT(component, level, ...)                                                              \
    do {                                                                                           \
        if (log_enabled(component, level)) {                                                       \
            log_write(component, level, __VA_ARGS__);                                              \
        }                                                                                          \
    } while (0)
#define LOGD(component, ...) LOG_AT(component, LOG_DEBUG, __VA_ARGS__)
#define LOGI(component, ...) LOG_AT(component, LOG_INFO, __VA_ARGS__)
#define LOGW(component, ...) LOG_AT(component, LOG_WARN, __VA_ARGS__)
#define LOGE(component, ...) LOG_AT(component, LOG_ERROR, __VA_ARGS__)

#endif
