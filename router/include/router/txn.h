/*
 * The transaction coordinator: one struct txn per transaction, on the router that the client is
 * connected to. Keeps to PROTOCOL's rules (docs/TRANSACTIONS.md): snapshot at the first statement,
 * writes go to the shards' workspaces at once, commit of one shard in one entry, of several by
 * parallel prepares.
 *
 * Reads and writes take spans and keys of the whole key space; this layer cuts them by the shard
 * map, sends them to leaders, follows NOT_LEADER and MOVED, and keeps handles and sequence numbers.
 */
#ifndef ROUTER_TXN_H
#define ROUTER_TXN_H

#include "base/fiber.h"
#include "metadata/client.h"
#include "sql/fragment.h"
#include "sql/operator.h"

#include "sherd/v1/shard.pb-c.h"

struct router;
struct txn;

enum txn_isolation { TXN_SERIALIZABLE, TXN_REPEATABLE_READ, TXN_READ_COMMITTED };

struct txn_options {
    enum txn_isolation isolation;
    bool read_only;
    bool deferrable;
    bool implicit;  /* one statement: ends with it; a single-shard read needs no timestamp (R2), a
                     * single-shard  write commits in the same call */
    uint64_t as_of; /* read at this past timestamp; 0 = now */
    uint64_t snapshot; /* not 0: that of a transaction that was lost, and is run again */
    bool may_follow;   /* as_of: replicas on this node may serve it that do not lead */
    uint64_t lock_timeout_ms;
};

struct txn *txn_begin(struct router *r, const struct txn_options *options);
/* Ends and frees. After an error only txn_rollback() is allowed; it never fails for the caller. */
struct status *txn_commit(struct fiber *f, struct txn *t) STATUS_MUST_CHECK;
void txn_rollback(struct fiber *f, struct txn *t);
/* The same, and waits for the participants. True: one of them had lost its workspace before;
 * nothing else need have been in the transaction's way. */
bool txn_rollback_lost(struct fiber *f, struct txn *t);
enum txn_isolation txn_isolation(const struct txn *t);
bool txn_has_writes(const struct txn *t);
uint64_t txn_as_of(const struct txn *t); /* 0 = reads at the present */
/* Whether it has written rows of the table, committed or not. */
bool txn_has_written(const struct txn *t, uint32_t table_id);
int txn_written(const struct txn *t, const uint32_t **out_tables); /* all of them */
/* The id: with the router's incarnation. */
uint64_t txn_counter(const struct txn *t);
/* Its snapshot; 0 = not taken yet. */
uint64_t txn_start(const struct txn *t);
/* Shards with writes of it; valid until the next write. */
int txn_write_shards(const struct txn *t, uint64_t *out, int cap);

/* The transaction changes the schema too: once every shard has prepared, `decide` commits it in the
 * metadata group, in one change with the descriptors. NULL: committed. CONFLICT: sure that it is
 * not. Any other error: unknown, whoever finds prepared rows asks job_id. */
struct txn_decision {
    uint64_t job_id; /* 0: only without writes */
    struct status *(*decide)(struct fiber *f, void *ctx, uint32_t attempt, uint64_t commit);
    void *ctx;
};
void txn_decide_by(struct txn *t, const struct txn_decision *d);
/* The session could not run the transaction again: shards that are told, with the next request,
 * wait for its end before they split or change their leader on purpose (part_spare()). */
void txn_cannot_rerun(struct txn *t);
/* READ COMMITTED: what is read until the next call is read in this snapshot, of a statement that
 * began earlier (a cursor). Returns what was in force; 0 = not taken yet. */
uint64_t txn_use_snapshot(struct txn *t, uint64_t snapshot);
/* READ COMMITTED: a new snapshot; all levels: marks where the statement's undo begins. */
struct status *txn_statement_begin(struct fiber *f, struct txn *t) STATUS_MUST_CHECK;
/* Savepoints: a mark is the current write sequence of every participant. */
uint64_t txn_savepoint(struct txn *t);
struct status *txn_rollback_to(struct fiber *f, struct txn *t,
                               uint64_t savepoint) STATUS_MUST_CHECK;

/* The timestamp that the transaction reads at (the statement, at READ COMMITTED); takes it when
 * there is none yet. */
struct status *txn_read_timestamp(struct fiber *f, struct txn *t, uint64_t *out) STATUS_MUST_CHECK;

/* The statement makes exactly one txn_scan() and no write: an implicit transaction then needs no
 * timestamp for a read of one shard (R2). Called by plan_open() before it opens the scan; in a
 * block it changes nothing. */
void txn_hint_single_scan(struct txn *t);

/* IndexDesc.usable_from while the transaction that makes the index is open: its own snapshot will
 * do; the commit puts its timestamp there. */
#define INDEX_USABLE_BY_MAKER UINT64_MAX
/* Undoes what the statement has written so far, at all shards. A write that
 * was refused by one shard may have been done by another. */
struct status *txn_undo_statement(struct fiber *f, struct txn *t) STATUS_MUST_CHECK;

/* A scan of the fragment's spans (which may cross shards). The fragment's bytes are borrowed until
 * close. Ordered: batches come in key order (or reverse), else shards are read side by side. table
 * is for messages. */
struct op *txn_scan(struct arena *a, struct txn *t, const struct fragment *fragment, bool ordered);
/* What is committed now (and own writes), whatever the snapshot, and must be so at the commit, at
 * every level: for constraints. Unordered. */
struct op *txn_scan_current(struct arena *a, struct txn *t, const struct fragment *fragment);

/* An UPDATE or DELETE that runs where the rows are: a scan of a fragment with a change. It gives
 * the changed rows, or batches without columns that only count them. is_last as in txn_write(): one
 * row by its key then commits in the same call. The rows are read to the end before anything else.
 */
struct op *txn_change(struct arena *a, struct txn *t, const struct fragment *fragment,
                      bool is_last);
/* After the end: a row would break a constraint. What was changed is to be undone
 * (txn_undo_statement()) and the statement run row by row, which tells what is wrong. */
bool txn_change_refused(const struct op *op);

struct txn_write {
    Sherd__V1__OpKind kind;
    struct slice key;
    struct slice value;
    enum lock_mode lock;
    bool skip_conflict;
    bool is_moved; /* OP_DELETE: the row has got another key */
};
struct txn_write_result {
    bool failed;     /* an op's condition was not met; nothing of the call was done */
    int conflict_op; /* index into ops */
    int nskipped;
    int *skipped; /* indexes into ops, in the arena */
};
/* Applies the ops (any shards) as one step of the statement. is_last: nothing follows in this
 * transaction; an implicit one then commits within the call when one shard has all its writes
 * (txn_commit() afterwards is free). */
struct status *txn_write(struct fiber *f, struct txn *t, struct arena *a,
                         const struct txn_write *ops, int nops, uint32_t table_id,
                         uint64_t schema_version, bool is_last,
                         struct txn_write_result *out) STATUS_MUST_CHECK;

/* After a CONFLICT in a statement: undoes the statement and moves the snapshot forward if nothing
 * read before has changed (W4); at READ COMMITTED, where each statement has a snapshot for itself,
 * whatever has changed. Its locks stay. NULL: run the statement again. CONFLICT: only a new
 * transaction helps. */
struct status *txn_refresh(struct fiber *f, struct txn *t) STATUS_MUST_CHECK;

/* The transaction's id in the whole cluster. */
void txn_id(const struct txn *t, uint64_t *out_incarnation, uint64_t *out_counter);
/* What became of a transaction, anybody's: *out "committed", "aborted", "in progress", or NULL when
 * nobody knows (any more). An error when a shard that may know could not be asked. */
struct status *txn_outcome(struct fiber *f, struct router *r, uint64_t incarnation,
                           uint64_t counter, const char **out) STATUS_MUST_CHECK;

/* For EXPLAIN ANALYZE and the slow log. */
struct txn_stats {
    uint64_t reads, writes, rpcs, rows, bytes, refreshes, retries;
};
const struct txn_stats *txn_stats(const struct txn *t);

#endif
