/* One run in a process of its own: a failed check ends it, and what it printed says why. */
#ifndef TEST_SIM_CHILD_H
#define TEST_SIM_CHILD_H

#include <stddef.h>

struct child_run {
    int (*body)(void *ctx); /* in the child; its exit code */
    void (*on_line)(void *ctx,
                    const char *line); /* in the parent, for each line printed; or NULL */
    void *ctx;
};

/* Its exit code, or 128 + signal. text: the line that tells what went wrong, if one does; else as
 * it was. Ends the process when there is no child to be had. */
int child_run(const struct child_run *r, char *text, size_t size);

#endif
