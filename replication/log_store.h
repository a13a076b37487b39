/*
 * The log of all groups of a node: one store, one writer thread, one fsync for everything that
 * waits.
 *
 * Every change of durable Raft state is an operation in one FIFO: entries, truncations, term and
 * vote, snapshot records, creation and removal, and reading a group back. The writer takes what has
 * queued up while it was busy, makes one batch of it in order and writes it synced. Operations of
 * one group never overtake each other, which is what makes truncate-then-append and
 * vote-then-message safe (rule 12).
 *
 * Records: key = group u64 | kind u8 | index u64, big-endian, so that a group is one contiguous
 * range, in log order. Every value starts with a checksum over its key and the rest of the value.
 *
 *   META (index 0)      sum u64 | term u64 | vote u64 | replica id u64
 *   SNAPSHOT (index 0)  sum u64 | index u64 | term u64 | conf index u64 | state checksum u64 | conf
 *   MARK (index 0)      as SNAPSHOT, then ranges: an install is under way (install_recv.c)
 *   ENTRY               sum u64 | term u64 | type u8 | payload
 *   DEAD (index 0)      sum u64 | highest replica id that was ever destroyed here
 *
 * A failed write is never reported to Raft: the process ends (rule 11), or in simulation the node.
 */
#ifndef REPLICATION_LOG_STORE_H
#define REPLICATION_LOG_STORE_H

#include "roster.h"

#include "base/loop.h"
#include "base/store.h"

#include <raft.h>

struct log_store;

/* Batches are cut at about this size. */
#define LOG_BATCH_BYTES_MAX ((size_t)8 << 20)

struct log_snapshot {
    uint64_t index, term;
    uint64_t conf_index;
    struct roster conf; /* as of conf_index (rule 8) */
    uint64_t checksum;  /* group_checksum() at index */
};

/* A group as it is on disk. */
struct log_image {
    bool exists;
    uint64_t term, vote, replica_id;
    uint64_t dead_replica_id;
    bool has_snapshot;
    struct log_snapshot snapshot;
    bool has_mark;
    struct log_snapshot mark;
    struct buf mark_ranges; /* pairs of keys, as wire_pair_next() reads them */
    uint64_t first_index;
    size_t count;
    struct raft_entry *entries; /* library memory, handed over by io_load() */
    uint64_t bytes;             /* of payloads */
};
void log_image_deinit(struct log_image *image);

enum log_op_kind {
    LOG_APPEND,   /* entries[0..count) from index on */
    LOG_TRUNCATE, /* entries index .. last */
    LOG_META,     /* term, vote, replica_id */
    LOG_SNAPSHOT, /* snapshot; drops entries index .. last when index > 0 */
    LOG_MARK,     /* snapshot and ranges: an install begins to replace the state */
    LOG_INSTALL,  /* snapshot; drops all entries (index .. last) and the mark */
    LOG_CREATE,   /* term, vote, replica_id, entries: refused when there is one */
    LOG_DOOM,     /* DEAD becomes replica_id: its removal has begun */
    LOG_DESTROY,  /* everything but DEAD, which becomes replica_id */
    LOG_LOAD,     /* reads the group into image */
};

struct log_op {
    struct list link; /* private until done */
    enum log_op_kind kind;
    bool is_failed; /* APPEND with rule 11 off only */
    uint64_t group;
    /* On the loop, in submission order, once durable. */
    void (*done)(struct log_op *op);
    void *ctx;
    uint64_t index, last;
    const struct raft_entry *entries; /* borrowed until done */
    unsigned count;
    uint64_t term, vote, replica_id;
    struct log_snapshot *snapshot; /* borrowed until done */
    struct slice ranges;           /* borrowed until done */
    struct log_image *image;       /* filled by LOAD */
    struct status *st;             /* LOAD and CREATE: CORRUPT, ALREADY_EXISTS; owned by done */
};

struct log_store_hooks {
    /* A write failed. NULL: fatal(). */
    void (*failed)(void *ctx, struct status *st);
    /* An operation has become durable (on the worker; simulation only). */
    void (*durable)(void *ctx, const struct log_op *op);
    /* Makes the next write fail before anything is written (simulation only). */
    bool (*wants_failure)(void *ctx);
    void *ctx;
};

struct log_store *log_store_create(struct loop *l, struct store *s);
/* Finishes everything that was submitted, done() included. */
void log_store_destroy(struct log_store *ls);
void log_store_set_hooks(struct log_store *ls, const struct log_store_hooks *hooks);
/* op must stay until done. */
void log_store_submit(struct log_store *ls, struct log_op *op);
uint64_t log_store_last_sync_us(const struct log_store *ls);
/* Groups that have a META record, ascending. Reads: at start-up only. */
struct status *log_store_list(struct log_store *ls, uint64_t *out_ids, size_t max,
                              size_t *out_count) STATUS_MUST_CHECK;
/* Simulation: the write that is under way reaches the disk, and the node dies before it hears. */
void log_store_write_through(struct log_store *ls);

/* ---- log_store_load.c: records, for the writer ---- */

#define LOG_KEY_SIZE 17
enum log_record { LOG_REC_META = 1, LOG_REC_SNAPSHOT, LOG_REC_MARK, LOG_REC_ENTRY, LOG_REC_DEAD };

void log_key(uint8_t out[LOG_KEY_SIZE], uint64_t group, enum log_record kind, uint64_t index);
/* Starts a record in b: key, then room for the checksum; the caller appends the fields, then seals.
 */
void log_record_start(struct buf *b, uint64_t group, enum log_record kind, uint64_t index);
void log_record_put(struct buf *b, struct store_batch *batch);
void log_snapshot_encode(struct buf *b, const struct log_snapshot *s);
struct status *log_read_group(struct store *s, uint64_t group,
                              struct log_image *out) STATUS_MUST_CHECK;

#endif
