/*
 * The schema changes of one transaction.
 *
 * A statement's changes go into a log; the transaction's own statements are planned on an overlay
 * of the catalog that has them; nobody else sees any of it. The commit of the transaction makes one
 * metadata change of the log, with the prepared rows hanging on it (txn_decide_by): rows and
 * descriptors become visible together or not at all.
 *
 * Tables that were there before are locked when they are first changed, until the end of the
 * transaction, as by PostgreSQL's ACCESS EXCLUSIVE: the table's descriptor names the SCHEMA job
 * (metadata/jobs.h) that has it, so that statements of others wait; transactions that have used the
 * table are waited for (table_users.h); then its shards are fenced at the version it will have,
 * which keeps out what is late. Whatever happens to this router, the job is found by the others,
 * who commit or undo it (jobs.c).
 *
 * Invariants
 *  1 What is in the log rests on descriptors that this transaction has locked or made, or whose
 *    revision the commit compares.
 *  2 A table's version rises by one in a transaction: F when it commits, F + 1 when it aborts. So a
 *    plan or a request of the transaction is never taken for one of its successors.
 *  3 The id of an index that was filled is never used again, also when it was rolled back.
 *  4 Rows are looked at (validation, filling an index) only under the lock, in a snapshot that is
 *    younger than it.
 *
 * Thread rule: the node's loop.
 */
#ifndef ROUTER_DDL_SCHEMA_TXN_H
#define ROUTER_DDL_SCHEMA_TXN_H

#include "router/plan.h"

struct schema_txn;

/* t is borrowed and ends by schema_commit() or, after schema_abort(), by its owner. */
struct schema_txn *schema_begin(struct router *r, struct txn *t, uint64_t lock_timeout_ms);
/* The catalog as this transaction sees it, never older than the router's: a reference. */
struct catalog *schema_catalog(struct schema_txn *s);
/* Commits t, and the schema changes with it; frees both. Returns when this node's cache has them.
 */
struct status *schema_commit(struct fiber *f, struct schema_txn *s) STATUS_MUST_CHECK;
/* Gives everything back, in the background, and frees s. The caller rolls t back. */
void schema_abort(struct schema_txn *s);
/* Savepoints: how far the log goes, and back to there. Locks stay. */
int schema_mark(const struct schema_txn *s);
void schema_rollback_to(struct schema_txn *s, int mark);
/* Where a sequence stands that this transaction has made or restarted; NULL: any other. */
Sherd__V1__SequenceState *schema_sequence(struct schema_txn *s, uint64_t id);

/* ---- for ddl/ ---- */

/* The SCHEMA job of its locks; 0: none yet. */
uint64_t schema_job(const struct schema_txn *s);
struct txn *schema_of_txn(const struct schema_txn *s);
/* Locked by this transaction or made in it: its version is not raised again. */
bool schema_owns(const struct schema_txn *s, uint32_t table_id);
bool schema_is_new(const struct schema_txn *s, uint32_t table_id);
/* Adds a change (d->txn's form) to the log. Locks the tables that it compares. CONFLICT: a
 * descriptor it rests on has changed: run the statement again with a fresh catalog. */
struct status *schema_add(struct fiber *f, struct schema_txn *s,
                          const Sherd__V1__MetaTxnRequest *change,
                          const char *what) STATUS_MUST_CHECK;
/* Nothing new may come into the schema from here on. */
struct status *schema_lock_schema(struct fiber *f, struct schema_txn *s, uint32_t schema_id,
                                  const char *what) STATUS_MUST_CHECK;
/* Until the job is gone. CONFLICT then: what was planned rests on an old catalog. 55P03 when it
 * takes too long, 40P01 for the victim of a deadlock. */
struct status *schema_wait_for_job(struct fiber *f, struct schema_txn *s,
                                   uint64_t job_id) STATUS_MUST_CHECK;
/* After the commit the keys of the indexes [from, to) go; all of the table, for ever. */
void schema_wipe(struct schema_txn *s, uint32_t table_id, uint32_t from, uint32_t to);
void schema_wipe_table(struct schema_txn *s, const Sherd__V1__TableDesc *t);
/* Before rows are written outside of the transaction into new indexes [from, to) of a locked table:
 * they go if it does not commit. */
struct status *schema_note_built(struct fiber *f, struct schema_txn *s, uint32_t table_id,
                                 uint32_t from, uint32_t to) STATUS_MUST_CHECK;
/* The transaction's snapshot becomes younger than everything done so far. CONFLICT when what it has
 * read has changed. */
struct status *schema_settle(struct fiber *f, struct schema_txn *s) STATUS_MUST_CHECK;
/* 0A000 at REPEATABLE READ with an older snapshot than the lock: rows cannot be looked at. */
struct status *schema_check_rows(const struct schema_txn *s) STATUS_MUST_CHECK;
void schema_restart_sequence(struct schema_txn *s, uint64_t id, int64_t value);

/* ---- jobs.c: SCHEMA jobs that nobody is doing ---- */

/* The fiber that looks for them; ends with the router. */
void schema_jobs_start(struct router *r);
void schema_jobs_wake(struct router *r); /* the router closes */
/* A job of ours that is to be brought to its end, in the background. */
void schema_job_later(struct router *r, uint64_t job_id);
/* The same, and waits for it. */
struct status *schema_job_run(struct fiber *f, struct router *r, uint64_t job_id) STATUS_MUST_CHECK;
/* Marks a job as being done by this process: the looker leaves it alone. */
struct schema_held {
    struct list link; /* router.held_jobs */
    uint64_t job_id;
};

#endif
