/*
 * A workspace: what one transaction has done at one leader, until its commit or its end.
 *
 * Writes are kept by key, each with the chain of values it had, so that a savepoint can be rolled
 * back to (W6) and own reads see own writes. Read spans and locks are what validation looks at
 * (P4). A workspace has a handle (group, term, number), dies with the term (L3), and may be dropped
 * at any time while nothing of it is in flight (W5): from then on the answer for its handle is
 * Never.
 *
 *            first contact
 *                 |
 *              OPEN <------- refused (min_attempt = a + 1) ---.
 *               |  \                                          |
 *               |   `-> IN_FLIGHT (checked, proposed) --------'
 *               |            |  applied: Prepare        applied: CommitOne
 *             drop           v                                |
 *               |        PREPARED --> IN_FLIGHT (next attempt)|
 *               |            |                                |
 *               |        FINISHING (Finalize proposed)        |
 *               v            v  applied                       v
 *              GONE <------------------------------------------
 *
 * A PREPARED record found by a new leader becomes a workspace too, with a dead handle.
 * Reference counted: fibers hold one while they are at work in it.
 */
#ifndef SHARD_WORK_H
#define SHARD_WORK_H

#include "locks.h"

#include <uthash.h>

struct part;

enum work_state { WORK_OPEN, WORK_IN_FLIGHT, WORK_PREPARED, WORK_FINISHING, WORK_GONE };

struct work_value {            /* one state of a written key */
    struct work_value *before; /* what a savepoint goes back to; NULL = not written by us */
    struct work_write *write;
    struct list link; /* work.log, oldest first */
    uint64_t seq;
    bool is_delete;
    bool is_moved; /* the row that others see here has another key now (MVCC_MOVED) */
    uint32_t len;
    uint8_t row[];
};

struct work_write {          /* one written key */
    struct keymap_node node; /* work.writes */
    struct work_value *value;
    struct lock_hold *hold;
    uint8_t key[];
};

struct work_span {           /* something read */
    struct slice start, end; /* own memory; end as in key_span */
    bool is_point;
    bool is_always; /* validated at every level: foreign key checks */
    uint64_t from;  /* the timestamp it was read at */
    uint32_t statement;
};

struct work_table {
    uint32_t table_id;
    uint64_t version; /* smallest one used */
};

struct work_participant {
    uint64_t shard_id;
    uint64_t term;
    uint64_t number;
};

struct work_answer { /* to the last Write, for a repeated one */
    bool failed, conflict;
    bool is_deleted; /* conflict: with a tombstone */
    bool is_error;   /* it ended with an error and did nothing: may come again */
    uint32_t conflict_op;
    uint64_t newest;
    uint32_t *skipped;
    size_t skipped_count;
    struct buf change; /* ReadReply, packed */
};

struct work {
    struct lock_owner owner;
    struct part *part;
    UT_hash_handle by_number;
    UT_hash_handle by_id;
    struct list link; /* part.works */
    int refs;

    struct txn_id id;
    uint64_t term, number; /* handle */
    bool is_handle_dead;   /* rebuilt from the log, or poisoned */
    int isolation;         /* Sherd__V1__Isolation */
    uint64_t start;
    uint64_t coordinator_node;
    uint64_t last_used_ns;
    bool is_waited_on; /* others have waited long for its locks */
    bool cannot_rerun; /* its end would reach a client: part_spare() */

    uint64_t seq; /* last one done (W1) */
    struct fmutex busy;
    struct work_answer answer;

    struct keymap writes;
    struct list log; /* struct work_value.link */
    size_t bytes;
    struct work_span *spans;
    size_t span_count, span_cap;
    uint32_t statement;
    uint64_t
        epoch; /* the shard's when it began: a split since then may have taken what it touched */
    struct work_table *tables;
    size_t table_count;

    enum work_state state;
    uint32_t attempt; /* prepared: this attempt at this timestamp */
    uint64_t commit_ts;
    uint64_t flying_ts;
    uint32_t flying_attempt;
    uint32_t min_attempt;
    uint64_t prepared_ns;
    uint64_t closing_ns;   /* P6: since when */
    uint64_t decision_job; /* prepared: not the prepares but this job tells the outcome; 0 = none */
    struct work_participant *participants;
    size_t participant_count;
    bool is_recovering;
};

/* Not in any table of the part yet; one reference. */
struct work *work_create(struct part *p, struct txn_id id, uint64_t start);
struct work *work_ref(struct work *w);
void work_unref(struct work *w);

/* Own value of a key: NULL = not written. */
const struct work_value *work_find(const struct work *w, struct slice key);
enum work_kind {
    WORK_PUT,
    WORK_DELETE,
    WORK_MOVE, /* deletes a row that has got another key; what is written later to this key keeps
                  the mark */
};
/* Records a write under its lock. */
void work_write_put(struct work *w, struct lock_table *t, struct lock_hold *h, uint64_t seq,
                    enum work_kind kind, struct slice row);
/* Undoes writes with seq > to_seq. The locks stay. */
void work_undo(struct work *w, struct lock_table *t, uint64_t to_seq);
void work_read_span(struct work *w, const struct key_span *span, uint64_t from, bool is_always);
/* Forgets spans recorded by statements >= statement (0 = keeps all). */
void work_forget_spans(struct work *w, uint32_t statement);
/* Back to the first `count` spans: those of a try that is repeated. */
void work_truncate_spans(struct work *w, size_t count);
void work_use_table(struct work *w, uint32_t table_id, uint64_t version);
static inline bool work_has_writes(const struct work *w)
{
    return w->writes.count != 0;
}
static inline struct key_span work_span_key(const struct work_span *s)
{
    return (struct key_span){.start = s->start, .end = s->end, .is_point = s->is_point};
}
static inline struct work_write *work_write_of(struct keymap_node *n)
{
    return n == NULL ? NULL : CONTAINER_OF(n, struct work_write, node);
}

#endif
