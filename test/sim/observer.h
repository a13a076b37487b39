/*
 * The observer: sees what every participant applies, what it serves and what coordinators tell, and
 * holds it against the invariants of PROTOCOL section 6, over all shards and all leaders.
 *
 *   I1  a transaction of several writers is committed exactly if for one attempt every write
 *       participant has ever had PREPARED of it; there is at most one such attempt, and none later
 *   I2  told committed implies that, told aborted forbids it for ever; no participant finalizes
 *       against it. The same for commits of one shard and their outcome record.
 *   I3  versions of a key appear in rising timestamps; all versions of one transaction carry one
 *   I4  after a read at R of a span was served, no version at or below R appears in it
 *   I5  in part: a transaction that begins after another was acknowledged commits above it
 *
 * Also: the same log entry on every replica. What it sees is true in every run, whatever faults:
 * a violation ends the process by cluster_fail(). (I6 is asserted in the participant, and at the
 * end nothing may stay prepared.)
 */
#ifndef TEST_SIM_OBSERVER_H
#define TEST_SIM_OBSERVER_H

#include "cluster.h"

/* Attaches the seams of shard/ and router/ to this cluster. */
void observer_start(struct cluster *c);
/* After the last transaction: what was told aborted has not been committed. */
void observer_finish(void);

struct observer_stats {
    uint64_t entries, versions, prepares, reads, told;
};
const struct observer_stats *observer_stats(void);

#endif
