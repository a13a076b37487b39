/* The switches behind base/buggify.h: plain bytes, written by tests before they start a cluster. */
#include "base/buggify.h"

#include <string.h>

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
