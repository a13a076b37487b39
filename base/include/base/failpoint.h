/*
 * Failpoints: named places where a test ends the process, loses an answer or makes it late, so that
 * rare moments between real processes can be met on purpose. Set at start by the environment
 * variable SHERD_FAILPOINT, a list such as
 *
 *     coordinator.prepared=kill:20,shard.write=lose:50,disk.sync=delay:200
 *
 * or by the file it names (@FILE), which SIGUSR1 makes the server read again.
 *
 * kill:N ends the process by SIGKILL the N-th time it comes there; lose:N takes away every N-th
 * answer after the work was done, as a broken connection does; delay:N waits for N ms. Without it a
 * failpoint costs one load. Used on the business loop only, but for delays: those are at places
 * where worker threads wait for a disk.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* name in C, name in the variable, actions beside kill, what has happened there */
#define FAILPOINTS(X)                                                                              \
    X(COORDINATOR_SENT, "coordinator.sent", "", "some Prepare is answered, others may be not")     \
    X(COORDINATOR_PREPARED, "coordinator.prepared", "", "all are prepared, nobody is told")        \
    X(COORDINATOR_TOLD, "coordinator.told", "", "the client is told, nothing is finalized")        \
    X(SHARD_WRITE, "shard.write", "lose", "a Write is done, with or without its commit")           \
    X(SHARD_PREPARE, "shard.prepare", "lose", "a Prepare is applied")                              \
    X(SHARD_COMMIT, "shard.commit", "lose", "a CommitOne is applied")                              \
    X(SHARD_FINALIZE, "shard.finalize", "lose", "a Finalize is applied")                           \
    X(DISK_SYNC, "disk.sync", "delay", "a synced write of a store is about to begin")

enum failpoint {
#define X(name, text, more, what) FP_##name,
    FAILPOINTS(X)
#undef X
        FP_COUNT
};

/* N of kill:N that is still to come, 0 = off; N of lose:N; of delay:N (other threads read it). */
struct failpoint_state {
    uint32_t kill_in, lose_every, hits, delay_ms;
};
extern struct failpoint_state failpoints[FP_COUNT];

/* From the text of the variable: what it does not name is off. INVALID: an unknown name or action;
 * it names it. */
struct status *failpoint_configure(const char *text) STATUS_MUST_CHECK;
/* From the variable's value as it stands in the environment: a list, or @FILE. */
struct status *failpoint_load(const char *value) STATUS_MUST_CHECK;
bool failpoint_hit(enum failpoint fp);

/* True: the answer is to be lost. */
static inline bool failpoint(enum failpoint fp)
{
    const struct failpoint_state *s = &failpoints[fp];
    bool is_on = (s->kill_in | s->lose_every) != 0;
    return __builtin_expect(is_on, 0) && failpoint_hit(fp);
}

/* On a worker thread. */
void failpoint_delay(enum failpoint fp);

#endif
