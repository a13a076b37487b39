/*
 * The lock table of a leader's term: row locks in PostgreSQL's four modes, fair queues, and what
 * readers and validation need to know about the locks in a span.
 *
 * An owner is a transaction's workspace. Its locks are all in one state: open (pending == 0), or
 * pending at the commit timestamp `pending` (an entry with it is in flight, or it is prepared). A
 * hold with is_write has a write in the workspace: only those are "write locks" in the sense of
 * PROTOCOL.
 *
 * Fairness: a request waits behind every earlier one that conflicts with it. A release hands the
 * lock to exactly those at the head of the queue that can have it, and wakes only them. An owner
 * that already has a weaker lock on the key goes first (it would deadlock with itself behind
 * another).
 *
 * Waits end by grant, by the owner's deadline or cancel, by lock_timeout (55P03), by being the
 * victim of a deadlock (40P01), or when the owner is dropped.
 */
#ifndef SHARD_LOCKS_H
#define SHARD_LOCKS_H

#include "base/fiber.h"
#include "base/list.h"
#include "entry.h"
#include "keymap.h"
#include "sql/fragment.h"

struct lock;

struct lock_owner {
    struct txn_id id;
    uint64_t start;   /* snapshot: the younger one is a deadlock's victim; 0 = none, youngest */
    uint64_t pending; /* lowest timestamp its writes may commit at; 0 = open */
    bool is_closing;  /* P6: refused once; new reads wait for its next attempt */
    bool is_known_committed; /* F3: prepared, and Finalize(commit) has come */
    struct list holds;       /* struct lock_hold.of_owner */
    struct list waits;       /* struct lock_wait.of_owner */
    size_t hold_count;
    struct cond changed; /* pending, closing or existence changed */
    uint64_t mark;       /* private: deadlock search */
};

struct lock_hold {
    struct list of_lock;
    struct list of_owner;
    struct lock *lock;
    struct lock_owner *owner;
    enum lock_mode mode;
    uint32_t
        since[LOCK_UPDATE + 1]; /* by mode: the request (W1) that asked for it first; 0 = none */
    bool is_write;
    bool is_judged;     /* newest_* are filled: the state of the key under the lock */
    bool newest_live;   /* there is a version and it is no tombstone */
    bool newest_moved;  /* MVCC_MOVED */
    uint64_t newest_ts; /* 0 = never written */
    uint8_t *row; /* its bytes when live and small: a commit need not read them again; or NULL */
    uint32_t row_len;
};

enum lock_wait_state { LOCK_WAITING, LOCK_GRANTED, LOCK_DEADLOCK, LOCK_DROPPED };

struct lock_wait_item {
    struct list of_lock;
    struct list of_owner;
    struct lock *lock;
    struct lock_owner *owner;
    enum lock_mode mode;
    enum lock_wait_state state;
    uint64_t number; /* names this wait in the search across shards */
    uint64_t since_ns;
    struct fiber *fiber;
    struct lock_hold *hold; /* when granted */
};

struct lock {
    struct keymap_node node;
    struct list holds;
    struct list queue;
    uint8_t key[];
};

struct lock_table {
    struct keymap locks;
    size_t write_count;   /* holds with is_write */
    size_t pending_count; /* owners pending or closing */
    size_t wait_count;
    uint64_t next_wait;
    uint64_t mark;
};

void lock_table_init(struct lock_table *t);
void lock_table_deinit(struct lock_table *t); /* all owners are gone */
void lock_owner_init(struct lock_owner *o, struct txn_id id, uint64_t start);

/* Takes the lock, parking while others conflict. *out_hold NULL with no error: skipped (LOCK_SKIP).
 */
struct status *lock_acquire(struct fiber *f, struct lock_table *t, struct lock_owner *o,
                            struct slice key, enum lock_mode mode, enum lock_wait wait,
                            uint64_t timeout_ms, struct lock_hold **out_hold) STATUS_MUST_CHECK;
/* Without waiting and without queueing: NULL when it cannot be had now. */
struct lock_hold *lock_try(struct lock_table *t, struct lock_owner *o, struct slice key,
                           enum lock_mode mode);
struct lock_hold *lock_hold_of(struct lock_table *t, const struct lock_owner *o, struct slice key);
/* Whether anybody holds or waits for it. */
bool lock_is_wanted(const struct lock_table *t, struct slice key);
void lock_set_write(struct lock_table *t, struct lock_hold *h, bool is_write);
/* pending 0 = open again. Wakes who waits for the owner. */
void lock_set_pending(struct lock_table *t, struct lock_owner *o, uint64_t pending,
                      bool is_closing);
/* Gives one lock back; it has no write. */
void lock_release(struct lock_table *t, struct lock_hold *h);
/* W6: what was locked only by requests after to_seq is given back, or back to the weaker mode that
 * it had. Keys that are written stay. */
void lock_undo(struct lock_table *t, struct lock_owner *o, uint64_t to_seq);
void lock_undo_one(struct lock_table *t, struct lock_hold *h, uint64_t to_seq);
/* Ends the owner: fails its waits, hands its locks on, wakes who waits for it. */
void lock_release_all(struct lock_table *t, struct lock_owner *o);

bool lock_conflicts(enum lock_mode a, enum lock_mode b);

/* Who asks for pending locks, and what it waits for. */
enum pending_for {
    PENDING_VALIDATE, /* what is pending */
    PENDING_REFRESH,  /* closing ones too (P6) */
    PENDING_READ,     /* the same, but a point takes what is known to be committed as it is (F3) */
};
/* Another owner with a write lock in the span that is pending at or below ts, or closing. */
struct lock_owner *lock_find_pending(const struct lock_table *t, const struct key_span *span,
                                     uint64_t ts, enum pending_for who,
                                     const struct lock_owner *self);
/* The owner whose write of the key is known to be committed at or below ts; or NULL (F3). */
struct lock_owner *lock_find_committed(const struct lock_table *t, struct slice key, uint64_t ts);
/* F3: from here on. Wakes who waits for the owner. */
void lock_set_committed(struct lock_owner *o);
/* Whether another owner has a write lock in the span, in any state (R2); on a point, one that is
 * known to be committed does not count (R3). */
bool lock_has_foreign_write(const struct lock_table *t, const struct key_span *span,
                            const struct lock_owner *self);

/* ---- deadlocks ---- */

/* Looks for a cycle through a wait that has just begun, and ends the youngest wait on it. */
void deadlock_check(struct lock_table *t, struct lock_wait_item *w);
/* Waits older than min_age_ns as edges: fn(waiter, holder, wait number). */
void deadlock_edges(struct lock_table *t, uint64_t now_ns, uint64_t min_age_ns,
                    void (*fn)(void *ctx, const struct lock_wait_item *w,
                               const struct lock_owner *holder),
                    void *ctx);
/* Ends that wait with 40P01 when it is still there. */
bool deadlock_kill(struct lock_table *t, struct txn_id waiter, uint64_t number);
/* Ends a wait without a grant: DROPPED or DEADLOCK. */
void lock_wait_fail(struct lock_table *t, struct lock_wait_item *w, enum lock_wait_state state);
/* Which of two is the victim: the younger. */
bool deadlock_younger(uint64_t start_a, struct txn_id a, uint64_t start_b, struct txn_id b);

#endif
