/* See base/failpoint.h. */
#include "base/failpoint.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COUNT_MAX 1000000

struct failpoint_state failpoints[FP_COUNT];

static const struct {
    const char *name;
    const char *more; /* the action that it knows beside kill */
} points[FP_COUNT] = {
#define X(name, text, more, what) {text, more},
    FAILPOINTS(X)
#undef X
};

static struct status *configure_one(const char *text, size_t len)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    int fp = 0;
    while (fp < FP_COUNT &&
           (strlen(points[fp].name) != name_len || strncmp(points[fp].name, text, name_len) != 0)) {
        fp++;
    }
    if (fp == FP_COUNT) {
        return status_new(INVALID, "SHERD_FAILPOINT: there is no failpoint \"%.*s\"", (int)name_len,
                          text);
    }
    const char *action = equals != NULL ? equals + 1 : text + len;
    const char *colon = memchr(action, ':', (size_t)(text + len - action));
    size_t action_len = colon != NULL ? (size_t)(colon - action) : 0;
    const char *more = points[fp].more;
    bool is_kill = action_len == 4 && strncmp(action, "kill", 4) == 0;
    bool is_more =
        action_len > 0 && strlen(more) == action_len && strncmp(action, more, action_len) == 0;
    char *end = NULL;
    long n = is_kill || is_more ? strtol(colon + 1, &end, 10) : 0;
    if (n < 1 || n > COUNT_MAX || end != text + len) {
        return status_new(INVALID, "SHERD_FAILPOINT: \"%.*s\" is not NAME=kill:N%s%s%s", (int)len,
                          text, *more != '\0' ? " or NAME=" : "", more, *more != '\0' ? ":N" : "");
    }
    struct failpoint_state *s = &failpoints[fp];
    if (is_kill) {
        s->kill_in = (uint32_t)n;
    } else if (*more == 'l') {
        s->lose_every = (uint32_t)n;
    } else {
        __atomic_store_n(&s->delay_ms, (uint32_t)n, __ATOMIC_RELAXED);
    }
    return NULL;
}

struct status *failpoint_configure(const char *text)
{
    for (int fp = 0; fp < FP_COUNT; fp++) {
        failpoints[fp].kill_in = failpoints[fp].lose_every = failpoints[fp].hits = 0;
        __atomic_store_n(&failpoints[fp].delay_ms, 0, __ATOMIC_RELAXED);
    }
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        TRY(configure_one(text, len));
        text += len;
        text += *text == ',';
    }
    return NULL;
}

struct status *failpoint_load(const char *value)
{
    if (value[0] != '@') {
        return failpoint_configure(value);
    }
    char text[1024];
    FILE *file = fopen(value + 1, "re");
    if (file == NULL) {
        return status_new(INVALID, "SHERD_FAILPOINT: %s: %s", value + 1, strerror(errno));
    }
    size_t n = fread(text, 1, sizeof(text) - 1, file);
    bool is_whole = !ferror(file) && n < sizeof(text) - 1;
    fclose(file);
    if (!is_whole) {
        return status_new(INVALID, "SHERD_FAILPOINT: %s is not a short text", value + 1);
    }
    text[n] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return failpoint_configure(text);
}

void failpoint_delay(enum failpoint fp)
{
    uint32_t ms = __atomic_load_n(&failpoints[fp].delay_ms, __ATOMIC_RELAXED);
    if (__builtin_expect(ms != 0, 0)) {
        struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
        while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        }
    }
}

bool failpoint_hit(enum failpoint fp)
{
    struct failpoint_state *s = &failpoints[fp];
    if (s->kill_in != 0 && --s->kill_in == 0) {
        raise(SIGKILL);
    }
    return s->lose_every != 0 && ++s->hits % s->lose_every == 0;
}
