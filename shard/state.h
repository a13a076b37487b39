/*
 * The durable state of one shard replica as the state store has it, and the little of it that is
 * kept in memory: range and epoch, GC watermark, catalog fences, fenced routers, outcomes of
 * commits.
 *
 * Keys of the group itself: 'g' | u64 group id | kind
 *   'D'                   ShardDesc (protobuf): range and epoch as of the applied entries
 *   'W'                   u64 GC watermark: no read below it
 *   'F' u32 table         u64 smallest schema version that requests may carry
 *   'R' u64 incarnation   (empty) this router's transactions are fenced (F5)
 *   'P' u64 u64 txn id    PREPARED record: prepared.c
 *   'C' u64 u64 txn id    COMMITTED: u32 attempt | u64 commit ts; until Forget (F4)
 *   'A' u16 slot          outcome of a one-shard commit: u64 u64 txn id | u32 attempt | u64 ts |
 *                         u64 index of the log entry; slot = index modulo SHARD_OUTCOMES: a ring
 *   'L' u64 incarnation   u64 highest counter (rounded up) of this router that the ring has lost
 *   'T' u64 u64 txn id | u64 ts | u32 part
 *                         an entry with versions: part of a commit too large for one log entry
 *   'S'                   u64 left group | u64 index of its entry that made this group by a split
 *   'K'                   split mark: u64 epoch | start bytes | end bytes, see split.c
 *
 * Who asks for the outcome of a one-shard commit after its slot was used again hears "unknown",
 * never "aborted": that is what 'L' is for.
 *
 * Parts are invisible until the commit's own entry says 'M': then the versions are put and the
 * parts deleted, in one batch. The timestamp is in their key because a transaction may come again
 * under its id: what is deleted of a first try is then never what the second one has staged.
 *
 * Applying depends on the entry, the ring and the parts only, so replicas stay equal.
 */
#ifndef SHARD_STATE_H
#define SHARD_STATE_H

#include "base/store.h"
#include "bounds.h"
#include "entry.h"
#include "keymap.h"
#include "replication/group.h"

#include <uthash.h>

struct outcome { /* a commit that can be asked for */
    UT_hash_handle hh;
    struct txn_id id;
    uint32_t attempt;
    uint64_t ts;
    int slot;       /* -1: a COMMITTED record */
    uint64_t index; /* of the entry, in a slot */
};

struct outcome_lost { /* by router incarnation */
    UT_hash_handle hh;
    uint64_t incarnation;
    uint64_t counter_max;
};

struct table_fence {
    UT_hash_handle hh;
    uint32_t table_id;
    uint64_t version;
};

struct router_fence {
    UT_hash_handle hh;
    uint64_t incarnation;
};

struct shard_state {
    struct store *store;
    uint64_t group_id;
    struct buf start, end; /* range; end empty = unbounded */
    uint64_t epoch;        /* 0: no descriptor (a replica that waits to be filled) */
    struct buf desc;       /* ShardDesc bytes */
    uint64_t watermark;
    uint64_t
        split_epoch; /* 'K': entries applied again must not touch keys outside split_start..end */
    struct buf split_start, split_end;
    struct outcome *outcomes;
    struct outcome *slots[SHARD_OUTCOMES];
    size_t slots_used;
    struct outcome_lost *lost;
    struct table_fence *fences;
    struct router_fence *routers;
    size_t bytes_applied; /* since load: for rough size and load figures */
};

/* Reads what is in the store for the group. */
struct status *state_load(struct store *s, uint64_t group_id,
                          struct shard_state **out) STATUS_MUST_CHECK;
void state_free(struct shard_state *st);
/* The same object again from the store: after a snapshot. */
struct status *state_reload(struct shard_state *st) STATUS_MUST_CHECK;

/* Adds an entry's effect to the batch and to the memory. An error: the store refused, or the entry
 * is damaged; the node cannot go on. on_desc: a descriptor of another group was
 * put (the right half of a split), or NULL. */
typedef void (*state_desc_fn)(void *ctx, uint64_t group_id, struct slice desc);
struct status *state_apply(struct shard_state *st, uint64_t index, struct slice data,
                           struct store_batch *batch, state_desc_fn on_desc,
                           void *ctx) STATUS_MUST_CHECK;
/* Key ranges of the state store that belong to the group (group_fsm.ranges). */
size_t state_ranges(const struct shard_state *st, struct key_range *out, size_t max);

bool state_holds(const struct shard_state *st, struct slice key);
/* [start, end) lies within the range; empty end = to the last key. */
bool state_holds_range(const struct shard_state *st, struct slice start, struct slice end);
uint64_t state_fence(const struct shard_state *st, uint32_t table_id);
/* A leader fences from its proposal on. */
void state_fence_put(struct shard_state *st, uint32_t table_id, uint64_t version);
bool state_is_fenced(const struct shard_state *st, uint64_t incarnation);

enum outcome_answer { OUTCOME_COMMITTED, OUTCOME_NONE, OUTCOME_LOST };
/* COMMITTED: *out is filled. NONE: certainly never committed here. LOST: cannot tell any more. */
enum outcome_answer state_outcome(const struct shard_state *st, struct txn_id id,
                                  struct outcome *out);

/* Keys: appended to a cleared buf. */
void state_key(struct buf *out, uint64_t group_id, uint8_t kind);
void state_key_u32(struct buf *out, uint64_t group_id, uint8_t kind, uint32_t v);
void state_key_u64(struct buf *out, uint64_t group_id, uint8_t kind, uint64_t v);
void state_key_txn(struct buf *out, uint64_t group_id, uint8_t kind, struct txn_id id);
void state_key_part(struct buf *out, uint64_t group_id, struct txn_id id, uint64_t ts,
                    uint32_t part);
void state_committed_value(struct buf *out, uint32_t attempt, uint64_t ts);

#endif
