/* See base/failpoint.h. */
#include "base/failpoint.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_MAX 1000000

struct failpoint_state failpoints[FP_COUNT];

static const struct {
    const char *name;
    bool has_answer;
} points[FP_COUNT] = {
#define X(name, text, has_answer, what) {text, has_answer},
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
    const char *action = equals != NULL ? equals + 1 : "";
    bool is_kill = strncmp(action, "kill:", 5) == 0, is_lose = strncmp(action, "lose:", 5) == 0;
    char *end = NULL;
    long n = is_kill || is_lose ? strtol(action + 5, &end, 10) : 0;
    if (n < 1 || n > COUNT_MAX || end != text + len || (is_lose && !points[fp].has_answer)) {
        return status_new(INVALID, "SHERD_FAILPOINT: \"%.*s\" is not NAME=kill:N%s", (int)len, text,
                          points[fp].has_answer ? " or NAME=lose:N" : "");
    }
    if (is_kill) {
        failpoints[fp].kill_in = (uint32_t)n;
    } else {
        failpoints[fp].lose_every = (uint32_t)n;
    }
    return NULL;
}

struct status *failpoint_configure(const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        TRY(configure_one(text, len));
        text += len;
        text += *text == ',';
    }
    return NULL;
}

bool failpoint_hit(enum failpoint fp)
{
    struct failpoint_state *s = &failpoints[fp];
    if (s->kill_in != 0 && --s->kill_in == 0) {
        raise(SIGKILL);
    }
    return s->lose_every != 0 && ++s->hits % s->lose_every == 0;
}
