/*
 * The arithmetic of the timestamp oracle (docs: rules T1 and T2), without clock, lease or log:
 * those are the caller's (server.c).
 *
 * A timestamp is milliseconds of the wall clock << 20 | a counter. The oracle hands out max(last +
 * 1, wall) and only below `limit`, which is committed in the group's log: a new leader starts at
 * the limit it finds there, which no earlier leader has reached. The clock makes timestamps
 * readable; it decides nothing: a clock that jumps back is outrun by last + 1, one that jumps ahead
 * takes the limit with it.
 */
#ifndef METADATA_TSO_H
#define METADATA_TSO_H

#include "metadata/timestamps.h"

#include <stdbool.h>
#include <stdint.h>

struct tso {
    uint64_t last;           /* newest one handed out, or below the start of this leader */
    uint64_t limit;          /* committed: everything handed out is below it */
    uint64_t backward_until; /* 0 but for the planted bug */
};

/* A new leader with the limit of the log: nothing can be handed out before tso_extended(). */
void tso_start(struct tso *t, uint64_t committed_limit);
/* `count` successive timestamps; false when the window does not hold them. */
bool tso_take(struct tso *t, int64_t wall_ms, uint64_t count, uint64_t *out_first);
/* The limit to put into the log now, for at least `count` timestamps. */
uint64_t tso_next_limit(const struct tso *t, int64_t wall_ms, uint64_t count);
/* That limit is committed. */
void tso_extended(struct tso *t, uint64_t limit);
/* How much of the window is left, in milliseconds. */
int64_t tso_left_ms(const struct tso *t, int64_t wall_ms);

#endif
