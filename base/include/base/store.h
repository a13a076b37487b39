/*
 * The durable ordered key-value store: the seam below everything that persists.
 *
 * Two implementations: LevelDB (store_leveldb_open) and memory (store_mem_open), which forgets
 * unsynced writes at a crash, and fails or delays on demand. Two stores a node: the log of all Raft
 * groups (every batch synced) and the state of all groups (unsynced, made durable at checkpoints).
 *
 * What a power cut keeps: every synced batch, every batch written before the start of a returned
 * store_flush(), and each other batch wholly or not at all, IN NO PARTICULAR ORDER (LevelDB loses
 * the tail of an older WAL before a newer one). Nothing above may rely on a prefix of unsynced
 * batches.
 *
 * Thread rule: a store may be used from its loop and from that loop's workers at once. A batch or
 * an iterator belongs to one thread at a time.
 * Errors: IO for a failed write or read (afterwards every write fails: the caller ends the
 * process), CORRUPT for a damaged file, LIMIT 53100 for no space.
 */
#ifndef BASE_STORE_H
#define BASE_STORE_H

#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

struct store;
struct store_batch;
struct store_iter;
struct store_snapshot;

struct store_options {
    size_t write_buffer_bytes; /* 0 = 16 MB */
    size_t cache_bytes;        /* 0 = 32 MB */
    bool paranoid;             /* refuse damaged records instead of dropping them: log store */
    bool compress;
    bool bloom;      /* 10 bits a key: state store */
    bool must_exist; /* CORRUPT when there is no store yet, instead of an empty one */
};

/* The directory is created; a second open of it is refused with a message that says so. */
struct status *store_leveldb_open(const char *path, const struct store_options *options,
                                  struct store **out_store) STATUS_MUST_CHECK;

/* A simulated disk outlives the store opened on it, as a disk outlives a process. */
struct mem_disk;
struct mem_disk *mem_disk_create(uint64_t seed);
void mem_disk_destroy(struct mem_disk *d);
/* Power cut: each batch that was neither synced nor flushed survives with the probability
 * keep_percent, drawn from the seed, independently of the others. 100 = a process crash (kill -9):
 * nothing is lost, and nothing becomes durable by it. A write that failed may turn out written.
 * Handles open before are dead: they answer IO, and may be closed or forgotten. */
void mem_disk_crash(struct mem_disk *d, int keep_percent);
/* The next writes fail with IO (or LIMIT 53100) until cleared. */
void mem_disk_fail_writes(struct mem_disk *d, enum status_code code);
/* Planted fault for the simulator: pretends to sync and does not. */
void mem_disk_skip_sync(struct mem_disk *d, bool on);
struct status *store_mem_open(struct mem_disk *d, const char *name,
                              struct store **out_store) STATUS_MUST_CHECK;

void store_close(struct store *s); /* all iterators and snapshots must be gone; NULL is fine */

/* *out_found tells whether the key is there; out is cleared and filled then. snap may be NULL. */
struct status *store_get(struct store *s, const struct store_snapshot *snap, struct slice key,
                         struct buf *out, bool *out_found) STATUS_MUST_CHECK;

struct store_batch *store_batch_create(struct store *s);
void store_batch_destroy(struct store_batch *b);
void store_batch_clear(struct store_batch *b);
void store_batch_put(struct store_batch *b, struct slice key, struct slice value);
void store_batch_delete(struct store_batch *b, struct slice key);
size_t store_batch_bytes(const struct store_batch *b);
size_t store_batch_count(const struct store_batch *b);
/* Atomic. sync: returns once it is on disk, and so are all earlier writes if all were synced (a
 * log); unsynced writes before it are made durable by store_flush() alone. Blocks when sync: call
 * on a worker. */
struct status *store_write(struct store *s, struct store_batch *b, bool sync) STATUS_MUST_CHECK;
/* When it returns, everything written before the call is durable, unsynced writes too (LevelDB: the
 * memtable is switched and flushed to a table: CompactRange over an empty range). Blocks for tens
 * to hundreds of milliseconds: call on a worker; writes go on meanwhile. */
struct status *store_flush(struct store *s) STATUS_MUST_CHECK;

struct store_snapshot *store_snapshot_create(struct store *s);
void store_snapshot_destroy(struct store *s, struct store_snapshot *snap);

/* The iterator sees the store as it was when created (or the snapshot). Unpositioned at first. */
struct store_iter *store_iter_create(struct store *s, const struct store_snapshot *snap);
void store_iter_destroy(struct store_iter *it);
void store_iter_seek(struct store_iter *it, struct slice key);      /* first key >= */
void store_iter_seek_prev(struct store_iter *it, struct slice key); /* last key < */
void store_iter_next(struct store_iter *it);
void store_iter_prev(struct store_iter *it);
bool store_iter_valid(const struct store_iter *it);
struct slice store_iter_key(const struct store_iter *it);   /* until the next move */
struct slice store_iter_value(const struct store_iter *it); /* until the next move */
struct status *store_iter_status(struct store_iter *it) STATUS_MUST_CHECK;

/* Bytes on disk between start and end, roughly. */
/* Bytes that can still be written where the store lies; UINT64_MAX: not known, or no limit. */
uint64_t store_free_bytes(struct store *s);
uint64_t store_approximate_size(struct store *s, struct slice start, struct slice end);
/* Blocks: call on a worker. Empty end = to the last key. */
void store_compact(struct store *s, struct slice start, struct slice end);

#endif
