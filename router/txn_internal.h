/* The coordinator's view of one transaction: txn.c (life, commit), txn_scan.c, txn_write.c. */
#ifndef ROUTER_TXN_INTERNAL_H
#define ROUTER_TXN_INTERNAL_H

#include "router_internal.h"

#include "sherd/v1/shard.pb-c.h"

enum txn_state {
    TXN_ACTIVE,
    TXN_FAILED,     /* only rollback is left */
    TXN_COMMITTING, /* something of C3 may have been sent */
    TXN_COMMITTED,
    TXN_ABORTED,
    TXN_UNKNOWN, /* the outcome cannot be told */
};

/* One shard that the transaction has touched: its workspace there. */
struct participant {
    uint64_t shard_id;
    bool has_handle;
    uint64_t group, term, number; /* the handle */
    uint64_t seq;                 /* the last write or lock request sent (W1) */
    uint64_t stmt_seq;            /* seq at the begin of the statement: W4 undoes to it */
    bool has_writes;
    bool has_locks; /* lock-only keys: validated at every level */
    bool has_spans; /* read spans are recorded there (R4) */
    bool may_exist; /* a first contact was given up: there may be a workspace whose handle is not
                       known */
    /* commit */
    enum _Sherd__V1__Answer answer;
    uint64_t answer_commit;
};

struct savepoint {
    uint64_t id;
    int count;
    struct {
        uint64_t shard_id, seq;
    } * marks;
};

/* A table or view that its statements have used. */
struct table_use {
    uint32_t id;
    uint64_t version, changed_at; /* TableDesc's, at the first use */
};

struct txn {
    struct list link; /* router.txns */
    struct router *router;
    struct txn_options options;
    uint64_t counter; /* with the router's incarnation: the id */
    enum txn_state state;
    uint32_t statement;   /* number of the statement under way: W4 forgets its read spans */
    uint64_t start;       /* 0 = not taken yet */
    uint64_t commit_ts;   /* when COMMITTED */
    uint32_t attempt;     /* the newest one that was sent (C3) */
    bool single_scan;     /* R2 may apply */
    bool cannot_rerun;    /* a lost workspace is its end */
    bool is_past_checked; /* as_of: it is no timestamp of the future (T4) */
    uint64_t latest_ts;   /* of a LATEST read */
    bool used_latest;     /* a LATEST read was served: no further read in this transaction */
    struct participant *parts;
    int part_count, part_cap;
    struct savepoint *savepoints;
    int savepoint_count, savepoint_cap;
    uint64_t savepoint_next;
    struct txn_stats stats;
    struct txn_decision decision; /* decide NULL: the prepares decide */
    uint32_t *written;            /* tables with rows written */
    int written_count;
    struct table_use *uses; /* ddl/table_users.c */
    int use_count, use_cap;
    uint64_t uses_revision; /* of the catalog in which they were looked at */
    int refs; /* the session and a finalizing fiber */
};

struct participant *txn_part(struct txn *t, uint64_t shard_id);      /* finds or makes */
struct participant *txn_part_find(struct txn *t, uint64_t shard_id); /* or NULL */
/* Takes the snapshot when there is none (T2). */
struct status *txn_snapshot(struct fiber *f, struct txn *t) STATUS_MUST_CHECK;
/* T4, before a leader is asked: as_of is at most a timestamp that was fetched. */
struct status *txn_check_past(struct fiber *f, struct txn *t) STATUS_MUST_CHECK;
/* Fills the request's transaction reference; the pointers are into `ref` and `*storage`. */
struct txn_ref {
    Sherd__V1__TxnRef ref;
    Sherd__V1__TxnId id;
    Sherd__V1__Handle handle;
};
void txn_fill_ref(struct txn *t, const struct participant *p, struct txn_ref *out);
/* Remembers the handle of a reply; CONFLICT when it is not the one known: the workspace was lost.
 */
struct status *txn_learn_handle(struct txn *t, struct participant *p,
                                const Sherd__V1__Handle *h) STATUS_MUST_CHECK;
void txn_note_written(struct txn *t, uint32_t table_id);
/* Undoes the participant's writes after to_seq (W6). */
struct status *txn_undo(struct fiber *f, struct txn *t, struct participant *p,
                        uint64_t to_seq) STATUS_MUST_CHECK;
/* A request to this participant failed: what it may have left there is ended with the transaction.
 */
void txn_note_lost(struct participant *p, const struct status *st);
void txn_fail(struct txn *t);
/* Remembers the end of a transaction, committed or rolled back: outcome.c. */
void outcome_note(struct router *r, uint64_t counter, enum txn_state state);
/* forget.c: every participant has finalized, the client has the outcome (F4). */
void forget_later(struct txn *t);
struct status *txn_may_write(const struct txn *t) STATUS_MUST_CHECK;
/* Sends a write request under the participant's next number (W1). q has all but shard, transaction,
 * seq and term; what it does is noted in the participant before. With q->commit it may commit
 * (t->state); q->commit is false afterwards where it could not be carried. *out NULL without an
 * error: committed, but the answer was lost. */
struct status *txn_send_write(struct fiber *f, struct txn *t, uint64_t shard_id,
                              Sherd__V1__WriteRequest *q, struct arena *a,
                              Sherd__V1__WriteReply **out) STATUS_MUST_CHECK;

#endif
