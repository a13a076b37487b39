/*
 * A log entry of a shard: physical operations on the state store, decided by the leader, the same
 * for every replica, and harmless when applied again (in order) after a restart.
 *
 *   version u8 = 1 | operation ...
 *
 *   'V' key bytes | ts u64 | flags u8 | row bytes      the first version of a key; flags: mvcc.h
 *   'U' as V, then ts u64 | flags u8 | row bytes       the same, and the version it displaces
 *   'P' state key bytes | value bytes                  put, for keys of the group itself
 *   'D' state key bytes                                delete
 *   'A' incarnation u64 | counter u64 | attempt u32 | ts u64
 *                                                      outcome of a one-shard commit: state.h
 *   'M' incarnation u64 | counter u64 | count u32 | ts u64
 *                                                      versions of the staged parts: state.h
 *
 * "bytes" is a varint length and that many bytes. A decoder checks everything; an entry that does
 * not decode in apply ends the process, since the log store has verified its checksum.
 */
#ifndef SHARD_ENTRY_H
#define SHARD_ENTRY_H

#include "base/buf.h"
#include "mvcc.h"

#include <stdbool.h>
#include <stdint.h>

/* A transaction: never reused. */
struct txn_id {
    uint64_t incarnation; /* of the router, from the metadata group */
    uint64_t counter;
};

static inline bool txn_id_eq(struct txn_id a, struct txn_id b)
{
    return a.incarnation == b.incarnation && a.counter == b.counter;
}
static inline bool txn_id_is_none(struct txn_id a)
{
    return a.incarnation == 0 && a.counter == 0;
}

void entry_begin(struct buf *out);
/* flags: MVCC_TOMBSTONE, MVCC_MOVED. displaced: the newest version so far, or NULL. */
void entry_put_version(struct buf *out, struct slice key, uint64_t ts, uint8_t flags,
                       struct slice row, const struct mvcc_version *displaced);
void entry_put(struct buf *out, struct slice state_key, struct slice value);
void entry_delete(struct buf *out, struct slice state_key);
/* The versions of a transaction's staged parts, see state.h. */
void entry_put_merge(struct buf *out, struct txn_id id, uint32_t count, uint64_t ts);
/* The operations of another entry. */
void entry_append(struct buf *out, struct slice entry);
void entry_put_outcome(struct buf *out, struct txn_id id, uint32_t attempt, uint64_t ts);

struct entry_op {
    uint8_t kind;     /* 'V', 'U', 'P', 'D', 'A', 'M' */
    struct slice key; /* data key for V and U, else the state key */
    struct slice value;
    uint64_t ts;
    bool is_tombstone, is_moved;
    struct mvcc_version displaced; /* U */
    struct txn_id id;              /* A, M */
    uint32_t attempt;              /* M: number of parts */
};

struct entry_reader {
    struct reader r;
};
struct status *entry_open(struct entry_reader *er, struct slice data) STATUS_MUST_CHECK;
/* *out_more false: the end. */
struct status *entry_next(struct entry_reader *er, struct entry_op *out,
                          bool *out_more) STATUS_MUST_CHECK;

#endif
