/*
 * The participant: what a leader holds in memory for one term of its shard, and the transaction
 * protocol over it (PROTOCOL sections 2 to 5 and 8; rules are cited by number where they are kept).
 *
 * A part begins when its group is leader and ready (L1) and ends with the term. First it has the
 * locks of the PREPARED records only and answers Query and Finalize; once it has fetched `low` it
 * serves everything. It knows nothing of Raft, of RPC or of the metadata group: those are behind
 * `part_env`, so tests run it with fakes.
 *
 * Everything here runs on the node's loop. Functions that take a fiber may park; after a park they
 * look at part->is_dead and at the workspace's state again.
 */
#ifndef SHARD_PART_H
#define SHARD_PART_H

#include "base/metrics.h"
#include "replication/group.h"
#include "rtc.h"
#include "state.h"
#include "work.h"

#include "sherd/v1/shard.pb-c.h"

struct part;

struct part_env {
    struct loop *loop;
    /* group_propose(): done comes later, never from inside. */
    struct status *(*propose)(void *ctx, struct slice data, struct group_proposal *p);
    bool (*lease_valid)(void *ctx);                        /* L2, at this moment */
    struct status *(*confirm)(struct fiber *f, void *ctx); /* a quorum round instead of the lease */
    struct status *(*timestamp)(struct fiber *f, void *ctx, uint64_t *out); /* T2 */
    struct status *(*not_leader)(void *ctx);
    /* Somebody waits for this prepared transaction, or it is old: recover it (section 5). */
    void (*orphan)(void *ctx, struct work *w);
    /* An open workspace has been silent for a while: ask its coordinator, drop it when it is gone.
     */
    void (*idle)(void *ctx, struct work *w);
    /* The locks' queue has got a wait: for the search across shards. May be NULL. */
    void (*waiting)(void *ctx);
    void *ctx;
    uint64_t shard_id;
    size_t workspace_max;
    size_t locks_max;
    struct part_gauges *gauges; /* of the node; NULL: not counted */
};

struct part_gauges {
    struct metric *works, *locks, *bytes;
};

/* A commit with more bytes than this is staged in parts; tests make it small. */
extern size_t part_stage_bytes;

struct poisoned {
    UT_hash_handle hh;
    struct txn_id id;
};

struct part {
    const struct part_env *env;
    struct shard_state *state;
    uint64_t term;
    int refs;
    bool is_dead;
    bool is_serving;
    struct gate serving;
    struct lock_table locks;
    struct rtc rtc;
    uint64_t high;         /* H: highest timestamp of any version or pending lock, or low */
    uint64_t newest_write; /* the same without reads: nothing above it has been written, or is on
                              its way; from low on */
    uint64_t newest_move;  /* no version above it is marked MVCC_MOVED; from low on */
    uint64_t next_number;
    struct work *by_number, *by_id;
    struct list works;
    struct poisoned *poisoned;
    bool is_frozen; /* a split is under way: new requests wait */
    struct cond thawed;
    uint32_t prepared_count;
    struct mvcc_scratch scratch; /* for one turn */
    struct buf entry;            /* for one turn */
    struct txn_id *forgets;
    size_t forget_count, forget_cap;
    struct timer tick;
    int64_t shown_works, shown_locks, shown_bytes; /* this part's share of the gauges */
    struct timer forget_timer;
    uint64_t spare_since_ns, spare_asked_ns; /* part_spare(): the first and the last time */
};

/* env and state are borrowed until the last reference is gone. One reference. */
struct status *part_begin(const struct part_env *env, struct shard_state *state, uint64_t term,
                          struct part **out) STATUS_MUST_CHECK;
/* A part that only reads in the past, of a replica that does not lead: env gives lease_valid (the
 * state is whole), confirm and not_leader. It has no locks, its term is 0. */
struct part *part_shadow(const struct part_env *env, struct shard_state *state);
/* L1: low has been fetched from the oracle after part_begin(). */
void part_serve(struct part *p, uint64_t low);
/* The term is over: all workspaces go, all waits end. */
void part_end(struct part *p);
struct part *part_ref(struct part *p);
void part_unref(struct part *p);

/* Waits until the part serves (and no split is under way). NOT_LEADER when the term ends. */
struct status *part_enter(struct fiber *f, struct part *p) STATUS_MUST_CHECK;
/* L2: leadership at this moment, by lease or by a quorum round. May park. */
struct status *part_confirm(struct fiber *f, struct part *p) STATUS_MUST_CHECK;
/* R1 (3): until no other transaction's lock in the span is pending at or below ts, or closing, as
 * far as it matters to who asks. */
struct status *part_wait_pending(struct fiber *f, struct part *p, const struct key_span *span,
                                 uint64_t ts, const struct work *self,
                                 enum pending_for who) STATUS_MUST_CHECK;
/* Until nothing is in flight or prepared at or below ts: all that was committed there is applied,
 * whatever reads may see earlier (F3). New ones are the caller's to keep out. */
struct status *part_wait_settled(struct fiber *f, struct part *p, uint64_t ts) STATUS_MUST_CHECK;
/* F3: what a transaction known to be committed at or below ts has written to the key; NULL: the
 * store has it all. For reads that have waited as PENDING_READ. */
const struct work_value *part_committed(const struct part *p, struct slice key, uint64_t ts);
void part_raise(struct part *p, const struct key_span *span, uint64_t ts);
void part_raise_high(struct part *p, uint64_t ts);
/* A write at ts is on its way, or may be there (newest_write). */
void part_raise_written(struct part *p, uint64_t ts);

/* ---- workspaces ---- */

/* Before a split or a transfer, which end open workspaces (W5, L3): waits for those whose
 * transaction its router cannot run again, of those that have touched something at or behind `from`
 * (empty: of all), limit_ms at most. CONFLICT: some are left, come again. NULL: none is, or that
 * was said for SHARD_SPARE_ALL_MS. */
struct status *part_spare(struct fiber *f, struct part *p, struct slice from,
                          uint64_t limit_ms) STATUS_MUST_CHECK;
/* Whether it has locked, waits for, or has read something at or behind the key. */
bool part_touches(const struct work *w, struct slice key);

struct txn_id txn_id_from(const Sherd__V1__TxnId *id);
/* L3: by handle. *out NULL: Never. NOT_LEADER when the handle is from a later term. */
struct status *part_find(struct part *p, struct txn_id id, const Sherd__V1__Handle *handle,
                         struct work **out) STATUS_MUST_CHECK;
struct work *part_find_by_id(struct part *p, struct txn_id id);
/* The workspace of a request: by its handle, or made at first contact. 40001 when it is gone. */
struct status *part_workspace(struct part *p, const Sherd__V1__TxnRef *ref, bool is_write,
                              struct work **out) STATUS_MUST_CHECK;
/* W5, P4: from now on Never. A PREPARED record stays, with a dead handle. */
void part_drop(struct part *p, struct work *w);
void part_handle(const struct part *p, const struct work *w, struct arena *a,
                 Sherd__V1__Handle **out);
/* 40001: what a Read or Write hears whose workspace is gone. */
struct status *part_gone(void);
/* P2's catalog part: the error, or NULL. */
struct status *part_check_table(const struct part *p, uint32_t table_id,
                                uint64_t version) STATUS_MUST_CHECK;

/* Locks a key for w and looks at its newest version. *out NULL: skipped. */
struct status *part_lock(struct fiber *f, struct part *p, struct work *w, uint64_t seq,
                         struct slice key, enum lock_mode mode, enum lock_wait wait,
                         uint64_t timeout_ms, struct lock_hold **out) STATUS_MUST_CHECK;
/* W2: the version under the lock is newer than the snapshot, at a level where that is a conflict.
 */
bool part_is_conflict(const struct work *w, const struct lock_hold *h);

/* ---- requests ---- */

struct status *part_write(struct fiber *f, struct part *p, struct arena *a,
                          const Sherd__V1__WriteRequest *req,
                          Sherd__V1__WriteReply *reply) STATUS_MUST_CHECK;
struct status *part_refresh(struct fiber *f, struct part *p, const Sherd__V1__RefreshRequest *req,
                            Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
struct status *part_validate(struct fiber *f, struct part *p, const Sherd__V1__ValidateRequest *req,
                             Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
struct status *part_prepare(struct fiber *f, struct part *p, const Sherd__V1__PrepareRequest *req,
                            bool is_one, Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
struct status *part_query(struct fiber *f, struct part *p, const Sherd__V1__QueryRequest *req,
                          Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
/* What is here of a transaction, for who only wants to know: COMMITTED, PREPARED, BUSY (a workspace
 * or an entry in flight), UNKNOWN. */
struct status *part_lookup(struct fiber *f, struct part *p, const Sherd__V1__QueryRequest *req,
                           Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
struct status *part_finalize(struct fiber *f, struct part *p, const Sherd__V1__FinalizeRequest *req,
                             Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
void part_forget(struct part *p, const Sherd__V1__ForgetRequest *req);
struct status *part_rollback(struct fiber *f, struct part *p, const Sherd__V1__RollbackRequest *req,
                             Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
/* Removes a prepared transaction's record by decision: what part_finalize() does after its checks.
 */
struct status *part_decide(struct fiber *f, struct part *p, struct work *w, uint32_t attempt,
                           uint64_t commit, bool is_abort) STATUS_MUST_CHECK;

/* Section 9: a split since the workspace began has not taken anything that it has touched. */
bool part_is_inside(const struct part *p, const struct work *w);
/* P2: inside, and at snapshot and table versions that are still allowed. */
bool part_is_current(const struct part *p, const struct work *w);

/* Within commit.c, validate.c and write.c. */
static inline void part_answer(Sherd__V1__OutcomeReply *r, Sherd__V1__Answer a, uint32_t attempt,
                               uint64_t commit)
{
    r->answer = a;
    r->attempt = attempt;
    r->commit = commit;
}
struct status *part_commit_one(struct fiber *f, struct part *p, struct work *w, uint32_t attempt,
                               uint64_t commit, Sherd__V1__OutcomeReply *reply) STATUS_MUST_CHECK;
/* Proposes and waits until applied; for entries that carry no transaction. */
struct status *part_propose(struct fiber *f, struct part *p, struct slice entry) STATUS_MUST_CHECK;
/* Whether the workspace's reads still hold at ts (P4): raises the cache, waits, looks.
 * newest_write: the part's in this turn, before the workspace's own commit raised it. */
struct status *part_check_reads(struct fiber *f, struct part *p, struct work *w, uint64_t ts,
                                uint64_t newest_write, bool *out_ok) STATUS_MUST_CHECK;
/* W4 within the shard: the snapshot moves forward to `to`, a timestamp that the oracle has given,
 * if nothing that the workspace has read changed in between. Everything that the transaction has
 * read is in this workspace. */
struct status *part_move(struct fiber *f, struct part *p, struct work *w, uint64_t to,
                         bool *out_ok) STATUS_MUST_CHECK;
/* Records a write under its lock, within the bounds of a row and of a workspace (54000). */
struct status *part_put(struct part *p, struct work *w, struct lock_hold *h, uint64_t seq,
                        enum work_kind kind, struct slice row) STATUS_MUST_CHECK;
/* Whether a version of another in (from, to] is in the span. */
struct status *part_span_changed(struct fiber *f, struct part *p, const struct key_span *span,
                                 uint64_t from, uint64_t to, bool *out_changed) STATUS_MUST_CHECK;

/* Proposes the deletion of staged parts that no commit will ever merge: all that are there at the
 * beginning of a term, or those of one commit that came to nothing. Does not wait. */
void part_drop_stale(struct part *p);

/* ---- PREPARED records (prepared.c) ---- */

void prepared_encode(struct buf *out, const struct work *w, uint32_t attempt, uint64_t commit);
struct status *prepared_load(struct part *p) STATUS_MUST_CHECK;
/* What a record begins with; the participants come next. False: damaged. */
struct prepared_head {
    uint32_t attempt;
    uint64_t commit_ts, coordinator_node, start, term, decision_job;
    size_t participant_count;
};
bool prepared_read_head(struct reader *r, struct prepared_head *out);

#endif
