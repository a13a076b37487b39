/*
 * Seams for a global observer: what a participant applies and what it serves, as it happens. Set by
 * the simulator, which holds them against the protocol's invariants; NULL in a server.
 */
#ifndef SHARD_OBSERVE_H
#define SHARD_OBSERVE_H

#include "base/slice.h"
#include "sql/fragment.h"

struct shard_observer {
    /* A replica applies an entry (again after a restart). */
    void (*entry)(uint64_t group_id, uint64_t index, struct slice entry);
    /* A leader reads the span at ts: from here on nothing may appear in it at or below (I4). */
    void (*read)(uint64_t group_id, const struct key_span *span, uint64_t ts);
};

extern struct shard_observer shard_observer;

#endif
