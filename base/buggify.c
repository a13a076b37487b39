/* The switches behind base/buggify.h: plain bytes, written by tests before they start a cluster. */
#include "base/buggify.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint8_t bug_switches[BUG_COUNT];
uint8_t raft_rule_off[RAFT_RULE_COUNT];

static const struct {
    const char *name;
    const char *text;
} bugs[BUG_COUNT] = {
#define X(name, text) {#name, text},
    BUGS(X)
#undef X
};

bool bug_set(const char *name, bool on)
{
    for (int i = 0; i < BUG_COUNT; i++) {
        if (strcmp(bugs[i].name, name) == 0) {
            bug_switches[i] = on;
            return true;
        }
    }
    return false;
}

const char *bug_name(enum bug b)
{
    return bugs[b].name;
}

const char *bug_text(enum bug b)
{
    return bugs[b].text;
}

uint32_t crash_left[CRASH_COUNT];

void crash_now(void)
{
    kill(getpid(), SIGKILL);
    abort(); /* it does not return from there */
}

bool crash_arm(const char *text)
{
    static const char *const names[CRASH_COUNT] = {
#define X(name, text) #name,
        CRASH_POINTS(X)
#undef X
    };
    const char *colon = strchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
    long count = colon != NULL ? strtol(colon + 1, NULL, 10) : 1;
    for (int i = 0; i < CRASH_COUNT; i++) {
        if (strlen(names[i]) == len && strncmp(names[i], text, len) == 0 && count > 0) {
            crash_left[i] = (uint32_t)count;
            return true;
        }
    }
    return false;
}
