/*
 * The state machine of the metadata group: the key-value space, its revisions, the request ids
 * already done, the limit of the timestamp oracle, and a ring of recent changes for watchers.
 *
 * Entries are physical: the leader has decided everything (server.c), the log carries puts and
 * deletes, and applying one twice, or again after later ones and then those again, ends in the same
 * state.
 *
 * State store, all under 'm':
 *   'm' 'k' <key>        u64 mod revision | value
 *   'm' 'h'              u64 revision | u64 visible revision | u64 timestamp limit
 *   'm' 'q' <u32 slot>   u64 sequence | u64 request id | u64 revision
 *   'm' 'b'              bootstrap record of this voter (bootstrap.c), not replicated
 *
 * Log entry:
 *   u8 version = 1
 *   varint revision | varint visible revision | varint timestamp limit (0 = as it is)
 *   varint n | n requests: varint sequence | varint id | varint revision
 *   varint n | n changes:  u8 kind (1 put, 2 delete) | bytes key | varint mod revision | put: bytes
 *
 * Thread rule: the node's loop.
 */
#ifndef METADATA_FSM_H
#define METADATA_FSM_H

#include "base/buf.h"
#include "base/store.h"
#include "meta_limits.h"
#include "omap.h"
#include "replication/group.h"

struct meta_change {          /* in the ring */
    struct omap_entry *entry; /* of a delete: key and revision only */
    bool is_delete;
};

struct meta_request_done {
    uint64_t sequence; /* 0 = empty slot */
    uint64_t id;
    uint64_t revision;
};

struct meta_fsm {
    struct group_fsm base;
    struct store *state;
    struct omap map;
    uint64_t revision;  /* of the last change of all */
    uint64_t visible;   /* of the last change of a key that is in the watch */
    uint64_t tso_limit; /* no timestamp at or above it has been handed out */

    struct meta_request_done *requests; /* META_REQUESTS_MAX slots, slot = sequence modulo that */
    uint64_t request_sequence;          /* last one used */

    struct meta_change *ring; /* META_RING_MAX, circular */
    size_t ring_first, ring_count, ring_bytes;
    uint64_t ring_floor; /* all visible changes above this revision are in the ring */

    uint64_t shard_generation; /* grows when a shard/ or node/ key changes */
    uint64_t job_generation;   /* the same for job/ */

    /* The owner's: after entries were applied (in the store), after a reload, a role change. */
    void (*on_applied)(struct meta_fsm *fsm);
    void (*on_reloaded)(struct meta_fsm *fsm);
    void (*on_role)(struct meta_fsm *fsm, enum group_role role, uint64_t term);
};

void meta_fsm_init(struct meta_fsm *fsm, struct store *state);
/* Reads the state store into memory. */
struct status *meta_fsm_load(struct meta_fsm *fsm) STATUS_MUST_CHECK;
void meta_fsm_deinit(struct meta_fsm *fsm);

/* Revision of a request that was done, 0 = not among the remembered ones. */
uint64_t meta_fsm_request(const struct meta_fsm *fsm, uint64_t request_id);
/* Applies one encoded entry; CORRUPT when it cannot be read (nothing is changed then). batch NULL:
 * memory only. */
struct status *meta_fsm_apply_entry(struct meta_fsm *fsm, struct slice data,
                                    struct store_batch *batch) STATUS_MUST_CHECK;

/* ---- what the leader puts into one entry ---- */

struct meta_batch {
    struct meta_fsm *fsm;
    struct omap work;  /* the state with what this batch has done so far */
    uint64_t revision; /* after the batch */
    uint64_t visible;
    uint64_t tso_limit;  /* 0 = unchanged */
    uint64_t sequence;   /* of request ids */
    struct buf requests; /* encoded */
    struct buf changes;
    size_t request_count, change_count;
    uint64_t op_revision; /* of the change being evaluated, 0 = nothing changed yet */
};

void meta_batch_init(struct meta_batch *b, struct meta_fsm *fsm);
void meta_batch_deinit(struct meta_batch *b);
/* A new change begins: what follows up to the next call has one revision of its own. */
void meta_batch_next(struct meta_batch *b);
struct omap_entry *meta_batch_get(struct meta_batch *b, struct slice key);
void meta_batch_put(struct meta_batch *b, struct slice key, struct slice value);
void meta_batch_delete(struct meta_batch *b, struct slice key);
void meta_batch_delete_prefix(struct meta_batch *b, struct slice prefix);
/* Remembers that the request is done (at the current revision). 0 is ignored. */
void meta_batch_done(struct meta_batch *b, uint64_t request_id);
/* As meta_fsm_request(), this batch included. */
uint64_t meta_batch_request(const struct meta_batch *b, uint64_t request_id);
static inline bool meta_batch_is_empty(const struct meta_batch *b)
{
    return b->change_count == 0 && b->request_count == 0 && b->tso_limit == 0;
}
/* The log entry, appended to out. */
void meta_batch_encode(const struct meta_batch *b, struct buf *out);

#endif
