/*
 * Failpoints: named places where a test ends the process or loses an answer, so that rare moments
 * between real processes can be met on purpose. Set once at start by the environment variable
 * SHERD_FAILPOINT, a list such as
 *
 *     coordinator.prepared=kill:20,shard.write=lose:50
 *
 * kill:N ends the process by SIGKILL the N-th time it comes there; lose:N takes away every N-th
 * answer after the work was done, as a broken connection does. Without it a failpoint costs one
 * load. Used on the business loop only.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* name in C, name in the variable, whether there is an answer to lose, what has happened there */
#define FAILPOINTS(X)                                                                              \
    X(COORDINATOR_SENT, "coordinator.sent", false, "some Prepare is answered, others may be not")  \
    X(COORDINATOR_PREPARED, "coordinator.prepared", false, "all are prepared, nobody is told")     \
    X(COORDINATOR_TOLD, "coordinator.told", false, "the client is told, nothing is finalized")     \
    X(SHARD_WRITE, "shard.write", true, "a Write is done, with or without its commit")             \
    X(SHARD_PREPARE, "shard.prepare", true, "a Prepare is applied")                                \
    X(SHARD_COMMIT, "shard.commit", true, "a CommitOne is applied")                                \
    X(SHARD_FINALIZE, "shard.finalize", true, "a Finalize is applied")

enum failpoint {
#define X(name, text, has_answer, what) FP_##name,
    FAILPOINTS(X)
#undef X
        FP_COUNT
};

/* N of kill:N that is still to come, 0 = off; N of lose:N. */
struct failpoint_state {
    uint32_t kill_in, lose_every, hits;
};
extern struct failpoint_state failpoints[FP_COUNT];

/* From the text of the variable. INVALID: an unknown name or action; it names it. */
struct status *failpoint_configure(const char *text) STATUS_MUST_CHECK;
bool failpoint_hit(enum failpoint fp);

/* True: the answer is to be lost. */
static inline bool failpoint(enum failpoint fp)
{
    const struct failpoint_state *s = &failpoints[fp];
    bool is_on = (s->kill_in | s->lose_every) != 0;
    return __builtin_expect(is_on, 0) && failpoint_hit(fp);
}

#endif
