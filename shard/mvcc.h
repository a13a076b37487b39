/*
 * Versions of rows in the state store (layout: shard/server.h). A data key is what sql/codec.h
 * makes; keys are prefix-free within an index, which is what keeps the history of one key together.
 *
 *   'd' key            u64 ts | u8 flags | row     newest version
 *   'h' key ~ts        u8 flags | row              older ones, newest first
 *
 * Flags: MVCC_TOMBSTONE: the key has no row. MVCC_MOVED, on a tombstone or a row: the transaction
 * of this version gave the row that it displaces another key. Who has read that row before and
 * waited for its lock has to look for it anew (READ COMMITTED). The mark may be there without need
 * (the row came back, or was deleted after all), but is never missing.
 *
 * A point read is one lookup; a scan walks 'd' and looks into 'h' for keys newer than its timestamp
 * only. Iterators are for one turn: they do not survive a park of their fiber.
 */
#ifndef SHARD_MVCC_H
#define SHARD_MVCC_H

#include "base/buf.h"
#include "base/store.h"

enum { MVCC_TOMBSTONE = 1, MVCC_MOVED = 2 };
enum { MVCC_HEAD = 9 }; /* bytes before the row in a 'd' value */

/* Each clears `out` first. */
void mvcc_data_key(struct buf *out, struct slice key);
void mvcc_history_key(struct buf *out, struct slice key, uint64_t ts);
/* Bounds of a span of data keys in the 'd' or 'h' space; an empty end is the end of that space. */
void mvcc_bound(struct buf *out, uint8_t space, struct slice key, bool is_end);

struct mvcc_version {
    uint64_t ts;
    bool is_tombstone;
    bool is_moved;
    struct slice row; /* in the scratch */
};
static inline uint8_t mvcc_flags(bool is_tombstone, bool is_moved)
{
    return (uint8_t)((is_tombstone ? MVCC_TOMBSTONE : 0) | (is_moved ? MVCC_MOVED : 0));
}

/* Buffers that are reused from call to call; results point into them until the next call. */
struct mvcc_scratch {
    struct buf key;
    struct buf value;
};
void mvcc_scratch_deinit(struct mvcc_scratch *s);

/* The newest version, tombstones too. */
struct status *mvcc_newest(struct store *s, struct slice key, struct mvcc_scratch *scratch,
                           struct mvcc_version *out, bool *out_found) STATUS_MUST_CHECK;
/* The newest version at or below ts, tombstones too. */
struct status *mvcc_get(struct store *s, struct slice key, uint64_t ts,
                        struct mvcc_scratch *scratch, struct mvcc_version *out,
                        bool *out_found) STATUS_MUST_CHECK;
/* Whether a version of the key above `since` is marked MVCC_MOVED. */
struct status *mvcc_moved_since(struct store *s, struct slice key, uint64_t since,
                                struct mvcc_scratch *scratch, bool *out) STATUS_MUST_CHECK;

/* Walks [start, end) at a timestamp. with_tombstones: shows deleted keys too (validation,
 * collection). */
struct mvcc_iter {
    struct store *store;
    struct store_iter *data;
    struct store_iter *history; /* made when a key is newer than ts */
    struct buf start, end;      /* in 'd' */
    struct buf history_key;
    uint64_t ts;
    bool is_reverse;
    bool with_tombstones;
    bool is_valid;
    struct slice key; /* data key; until the next move */
    struct mvcc_version version;
    uint64_t newest_ts; /* of this key, whatever the snapshot */
    uint64_t seen;      /* keys passed, visible or not */
};

/* ts UINT64_MAX: the newest versions. */
void mvcc_iter_init(struct mvcc_iter *it, struct store *s, struct slice start, struct slice end,
                    uint64_t ts, bool is_reverse, bool with_tombstones);
void mvcc_iter_deinit(struct mvcc_iter *it);
/* The first or the next visible key. At the end is_valid is false. Stops with is_valid false and
 * *out_paused after passing `budget` keys without finding one; key then tells where. */
struct status *mvcc_iter_next(struct mvcc_iter *it, uint64_t budget,
                              bool *out_paused) STATUS_MUST_CHECK;

#endif
