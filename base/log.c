/*
 * The log of base/log.h.
 *
 * Settings are an immutable struct behind an atomic pointer: log_enabled() reads it without a lock,
 * log_configure() swaps it and keeps the old one until log_shutdown(), since another thread may
 * still look at it. One mutex orders the writes and guards the files (sizes, rotation).
 *
 * Lines to the standard error go through a duplicate of it, made at the first use: libpg_query
 * redirects descriptor 2 of the whole process while it parses. Control characters of a message are
 * escaped, so that a client's text cannot forge a line. A failed write of a line is counted and
 * otherwise ignored: a full disk must not end a server because of its log.
 */
#include "base/log.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "conf.h"
#include "fs.h"
#include "log_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define COMPONENTS_MAX 64
#define LINE_FIRST 1024

struct log_component {
    char *name;
    enum log_level level;
};

struct log_settings {
    struct log_settings *older; /* replaced ones, for log_shutdown() */
    enum log_level level;       /* of components not named below */
    enum log_level lowest;      /* of all: the quick refusal */
    enum log_level error_level; /* from here on a line also goes to error.log */
    struct log_component components[COMPONENTS_MAX];
    int component_count;
    bool json;
    uint64_t rotate_bytes;
    uint32_t keep; /* rotated files beside the current one */
    char *node;
};

struct log_file {
    char *path; /* NULL: not in use */
    int fd;
    uint64_t size;
};

struct thread_clock {
    int64_t (*wall_us)(void *ctx);
    void *ctx;
    const char *node;
};

static struct log_settings builtin = {.level = LOG_INFO,
                                      .lowest = LOG_INFO,
                                      .error_level = LOG_WARN,
                                      .rotate_bytes = (uint64_t)64 << 20,
                                      .keep = 5,
                                      .node = (char *)""};
static struct log_settings *settings = &builtin;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_file system_log = {.fd = -1};
static struct log_file error_log = {.fd = -1};
static int stderr_fd = -1; /* atomic: the duplicate of descriptor 2 */
static _Thread_local struct thread_clock thread_clock;
static _Thread_local struct buf line; /* of this thread, reused; freed with the thread below */
static pthread_key_t line_key;
static pthread_once_t line_once = PTHREAD_ONCE_INIT;

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

static struct log_settings *current(void)
{
    return __atomic_load_n(&settings, __ATOMIC_ACQUIRE);
}

bool log_enabled(const char *component, enum log_level level)
{
    const struct log_settings *s = current();
    if (__atomic_load_n(&s->lowest, __ATOMIC_RELAXED) > level) {
        return false;
    }
    for (int i = 0; i < s->component_count; i++) {
        if (strcmp(s->components[i].name, component) == 0) {
            return level >= __atomic_load_n(&s->components[i].level, __ATOMIC_RELAXED);
        }
    }
    return level >= __atomic_load_n(&s->level, __ATOMIC_RELAXED);
}

/* ---- one line ---- */

static void put_escaped(struct buf *b, const char *text, bool json)
{
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (json && (c == '"' || c == '\\')) {
            buf_put_u8(b, '\\');
            buf_put_u8(b, c);
        } else if (c == '\n') {
            buf_put(b, "\\n", 2);
        } else if (c == '\t') {
            buf_put(b, "\\t", 2);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(b, json ? "\\u%04x" : "\\x%02x", (unsigned)c);
        } else {
            buf_put_u8(b, c);
        }
    }
}

static void put_time(struct buf *b)
{
    int64_t us;
    if (thread_clock.wall_us != NULL) {
        us = thread_clock.wall_us(thread_clock.ctx);
    } else {
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        us = (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
    }
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1,
               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us % 1000000));
}

static void put_line(struct buf *b, const struct log_settings *s, const char *component,
                     enum log_level level, const char *text)
{
    const char *node = thread_clock.node != NULL ? thread_clock.node : s->node;
    if (s->json) {
        buf_put(b, "{\"time\":\"", 9);
        put_time(b);
        buf_printf(b, "\",\"level\":\"%s\",\"component\":\"", level_names[level]);
        put_escaped(b, component, true);
        buf_put(b, "\",\"node\":\"", 10);
        put_escaped(b, node, true);
        buf_put(b, "\",\"message\":\"", 13);
        put_escaped(b, text, true);
        buf_put(b, "\"}\n", 3);
        return;
    }
    put_time(b);
    buf_printf(b, " %-5s %s%s[%s] ", level_names[level], node, node[0] ? " " : "", component);
    put_escaped(b, text, false);
    buf_put_u8(b, '\n');
}

/* ---- where it goes ---- */

static int stderr_dup(void)
{
    int fd = __atomic_load_n(&stderr_fd, __ATOMIC_ACQUIRE);
    if (fd >= 0) {
        return fd;
    }
    int made = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (made < 0) {
        return STDERR_FILENO;
    }
    if (!__atomic_compare_exchange_n(&stderr_fd, &fd, made, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        close(made);
        return fd;
    }
    return made;
}

static bool write_all(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static struct metric *lost_lines(void)
{
    return metric_counter("sherd_log_lines_lost_total", NULL,
                          "Log lines that could not be written");
}

/* path.keep is dropped, path.1 .. path.keep-1 move up by one, path becomes path.1. */
static void rotate(struct log_file *f, uint32_t keep)
{
    close(f->fd);
    if (keep == 0) {
        (void)unlink(f->path);
    }
    for (uint32_t i = keep; i > 0; i--) {
        char *to = mem_printf("%s.%u", f->path, i);
        char *from = i == 1 ? mem_strdup(f->path) : mem_printf("%s.%u", f->path, i - 1);
        (void)rename(from, to); /* absent ones are fine */
        mem_free(from);
        mem_free(to);
    }
    f->fd = open(f->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    f->size = 0;
}

static void file_write(struct log_file *f, const struct log_settings *s, struct slice text)
{
    if (f->fd >= 0 && f->size > 0 && f->size + text.len > s->rotate_bytes) {
        rotate(f, s->keep);
    }
    if (f->fd < 0 || !write_all(f->fd, text.data, text.len)) {
        metric_add(lost_lines(), 1);
        return;
    }
    f->size += text.len;
}

static void emit(const struct log_settings *s, enum log_level level, struct slice text)
{
    pthread_mutex_lock(&lock);
    if (system_log.path == NULL) {
        if (!write_all(stderr_dup(), text.data, text.len)) {
            metric_add(lost_lines(), 1);
        }
    } else {
        file_write(&system_log, s, text);
        if (level >= s->error_level) {
            file_write(&error_log, s, text);
        }
    }
    pthread_mutex_unlock(&lock);
}

static void line_free(void *arg)
{
    buf_deinit(arg);
}

static void line_key_make(void)
{
    ASSERT(pthread_key_create(&line_key, line_free) == 0);
}

void log_write(const char *component, enum log_level level, const char *fmt, ...)
{
    char small[LINE_FIRST];
    char *text = small;
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    if (n >= (int)sizeof(small)) {
        text = mem_alloc((size_t)n + 1);
        (void)vsnprintf(text, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(args);

    if (line.cap == 0) {
        pthread_once(&line_once, line_key_make);
        pthread_setspecific(line_key, &line);
    }
    buf_clear(&line);
    const struct log_settings *s = current();
    put_line(&line, s, component, level, n < 0 ? fmt : text);
    emit(s, level, buf_slice(&line));
    if (text != small) {
        mem_free(text);
    }
}

void log_last_words(const char *text)
{
    char out[1280];
    int n = snprintf(out, sizeof(out), "sherd: FATAL: %s\n", text);
    if (n < 0) {
        return;
    }
    size_t len = (size_t)n < sizeof(out) ? (size_t)n : sizeof(out) - 1;
    (void)write_all(STDERR_FILENO, (const uint8_t *)out, len);
    /* The holder of the lock may be this very thread. Appends of one write(2) do not mix. */
    if (error_log.fd >= 0) {
        (void)write_all(error_log.fd, (const uint8_t *)out, len);
    }
    if (system_log.fd >= 0) {
        (void)write_all(system_log.fd, (const uint8_t *)out, len);
    }
}

void log_set_thread_clock(int64_t (*wall_us)(void *ctx), void *ctx, const char *node)
{
    thread_clock = (struct thread_clock){wall_us, ctx, node};
}

/* ---- settings ---- */

static void settings_free(struct log_settings *s)
{
    for (int i = 0; i < s->component_count; i++) {
        mem_free(s->components[i].name);
    }
    mem_free(s->node);
    mem_free(s);
}

static struct status *file_open(const char *dir, const char *name, struct log_file *out_file)
{
    char *path = mem_printf("%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        struct status *st = status_hint(
            status_new(IO, "could not open the log file \"%s\": %s", path, strerror(errno)),
            "Check that the directory exists and may be written by this user.");
        if (fd >= 0) {
            close(fd);
        }
        mem_free(path);
        return st;
    }
    *out_file = (struct log_file){path, fd, (uint64_t)info.st_size};
    return NULL;
}

static void file_close(struct log_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
    }
    mem_free(f->path);
    *f = (struct log_file){.fd = -1};
}

bool log_level_parse(const char *text, enum log_level *out_level)
{
    static const char *const words[] = {"debug", "info", "warn", "error"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(words[i], text) == 0) {
            *out_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static struct status *parse_level_text(struct conf *c, struct conf_node *value, const char *where,
                                       enum log_level *out_level)
{
    const char *text = NULL;
    TRY(conf_scalar(c, value, where, &text));
    if (log_level_parse(text, out_level)) {
        return NULL;
    }
    return conf_error(c, value, "\"%s\" must be debug, info, warn or error, not \"%.60s\"", where,
                      text);
}

static struct status *parse_level(struct conf *c, struct conf_node *value, const char *where,
                                  void *target)
{
    struct log_settings *s = target;
    return parse_level_text(c, value, where, &s->level);
}

static struct status *parse_error_level(struct conf *c, struct conf_node *value, const char *where,
                                        void *target)
{
    struct log_settings *s = target;
    return parse_level_text(c, value, where, &s->error_level);
}

static struct status *parse_format(struct conf *c, struct conf_node *value, const char *where,
                                   void *target)
{
    struct log_settings *s = target;
    const char *text = NULL;
    TRY(conf_scalar(c, value, where, &text));
    if (strcmp(text, "json") != 0 && strcmp(text, "text") != 0) {
        return conf_error(c, value, "\"%s\" must be text or json, not \"%.60s\"", where, text);
    }
    s->json = text[0] == 'j';
    return NULL;
}

static struct status *parse_component(struct conf *c, struct conf_node *key, const char *name,
                                      struct conf_node *value, const char *where, void *target)
{
    (void)key;
    struct log_settings *s = target;
    if (s->component_count == COMPONENTS_MAX) {
        return conf_error(c, value, "more than %d components", COMPONENTS_MAX);
    }
    enum log_level level = LOG_INFO;
    TRY(parse_level_text(c, value, where, &level));
    s->components[s->component_count++] = (struct log_component){mem_strdup(name), level};
    return NULL;
}

static struct status *parse_components(struct conf *c, struct conf_node *value, const char *where,
                                       void *target)
{
    return conf_each_pair(c, value, where, parse_component, target);
}

#define CUSTOM(name, fn)                                                                           \
    {                                                                                              \
        name, CONF_CUSTOM, 0, 0, 0, NULL, fn                                                       \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, CONF_MAP, 0, 0, 0, NULL, NULL                                                        \
    }

static const struct conf_key rotate_keys[] = {
    {"size", CONF_BYTES, offsetof(struct log_settings, rotate_bytes), 1024, INT64_MAX, NULL, NULL},
    {"keep", CONF_UINT32, offsetof(struct log_settings, keep), 0, 1000, NULL, NULL},
    END,
};
static const struct conf_key logger_keys[] = {
    CUSTOM("level", parse_level),
    CUSTOM("format", parse_format),
    CUSTOM("error_log_level", parse_error_level),
    {"rotate", CONF_MAP, 0, 0, 0, rotate_keys, NULL},
    CUSTOM("components", parse_components),
    END,
};

static struct status *settings_load(const char *path, struct log_settings *s)
{
    if (path == NULL) {
        return NULL;
    }
    struct conf *c = NULL;
    TRY(conf_load(path, &c));
    struct status *st = conf_fill(c, logger_keys, s);
    conf_free(c);
    return st;
}

struct status *log_check(const char *path)
{
    struct log_settings *s = MEM_NEW(struct log_settings);
    struct status *st = settings_load(path, s);
    settings_free(s);
    return st;
}

struct status *log_configure(const char *path, const char *dir, const char *node_name)
{
    struct log_settings *s = MEM_NEW(struct log_settings);
    *s = builtin;
    s->older = NULL;
    s->node = mem_strdup(node_name == NULL ? "" : node_name);
    struct log_file sys = {.fd = -1};
    struct log_file err = {.fd = -1};
    struct status *st = NULL;
    TRY_GOTO(settings_load(path, s), fail);
    if (dir != NULL) {
        TRY_GOTO(fs_make_dirs(dir), fail);
        TRY_GOTO(file_open(dir, "system.log", &sys), fail);
        TRY_GOTO(file_open(dir, "error.log", &err), fail);
    }
    s->lowest = s->level;
    for (int i = 0; i < s->component_count; i++) {
        s->lowest = s->components[i].level < s->lowest ? s->components[i].level : s->lowest;
    }
    pthread_mutex_lock(&lock);
    file_close(&system_log);
    file_close(&error_log);
    system_log = sys;
    error_log = err;
    s->older = current() == &builtin ? NULL : current();
    __atomic_store_n(&settings, s, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
    return NULL;
fail:
    file_close(&sys);
    settings_free(s);
    return st;
}

void log_shutdown(void)
{
    pthread_mutex_lock(&lock);
    file_close(&system_log);
    file_close(&error_log);
    struct log_settings *s = current();
    __atomic_store_n(&settings, &builtin, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
    while (s != NULL && s != &builtin) {
        struct log_settings *older = s->older;
        settings_free(s);
        s = older;
    }
}

void log_set_level(enum log_level level)
{
    pthread_mutex_lock(&lock);
    struct log_settings *s = current();
    __atomic_store_n(&s->level, level, __ATOMIC_RELAXED);
    for (int i = 0; i < s->component_count; i++) {
        __atomic_store_n(&s->components[i].level, level, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&s->lowest, level, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lock);
}
