/*
 * Test switches. A planted bug or a rare path is named in one table; the simulator turns it on to
 * show that its checkers notice. In production all are off and the test costs one load.
 */
#ifndef BASE_BUGGIFY_H
#define BASE_BUGGIFY_H

#include <stdbool.h>
#include <stdint.h>

/* name, what goes wrong when it is on */
#define BUGS(X)                                                                                    \
    X(RAFT_ACK_BEFORE_QUORUM, "a leader reports commit before a quorum has the entry")             \
    X(LOG_SKIP_SYNC, "the log writer does not sync")                                               \
    X(RAFT_VOTE_TWICE, "a node forgets its vote at restart")                                       \
    X(READ_AFTER_LEASE, "a leader serves reads without a valid lease")                             \
    X(APPLY_OUT_OF_ORDER, "two entries of a batch are applied in the wrong order")                 \
    X(TXN_SKIP_VALIDATE, "commit does not validate read spans")                                    \
    X(TXN_NO_RTC, "the read-timestamp cache is not consulted at commit")                           \
    X(TXN_NO_LOW, "a new leader does not raise the floor of the read-timestamp cache")             \
    X(TXN_ACK_FIRST_PREPARE, "the client is told after the first prepare")                         \
    X(TXN_NO_POISON, "Query does not poison an unprepared workspace")                              \
    X(TXN_LOSE_PREPARED, "prepared locks are not rebuilt by a new leader")                         \
    X(TXN_IN_FLIGHT_INVISIBLE, "reads do not wait for in-flight entries")                          \
    X(TXN_ABORT_ON_TIMEOUT, "a silent participant is taken for an abort")                          \
    X(TXN_FORGET_EARLY, "the outcome record is dropped at finalize")                               \
    X(FOLLOWER_EARLY, "a follower serves a closed timestamp before it has applied what it needs")  \
    X(CLOSE_NO_FLOOR, "a closed timestamp does not bind the leader's own commits")                 \
    X(CLOSE_NO_WAIT, "a timestamp is closed over what is in flight or prepared")                   \
    X(TXN_MOVED_UNSEEN, "a row that has got another key is taken for deleted")                     \
    X(TXN_GAPS_UNSEEN, "of what was read, ranges are not validated, only keys")                    \
    X(TXN_LOCK_ONLY_UNCHECKED, "keys that were only locked are not validated at commit")           \
    X(TXN_KEEP_UNDONE, "rolling back to a savepoint leaves its writes")                            \
    X(TXN_READ_COLLECTED, "reads below the garbage collection's watermark are served")             \
    X(TXN_NO_SCHEMA_FENCE, "requests of a fenced schema version are served")                       \
    X(SCHEMA_NO_USERS, "a schema change does not mind who has used its tables")                    \
    X(TXN_NO_ATTEMPT, "a Query is answered Prepared whatever the attempt")                         \
    X(TXN_REFRESH_BLIND, "a refresh moves the snapshot without looking at what was read")          \
    X(TXN_GC_EARLY, "versions are collected that snapshots in use need")                           \
    X(TXN_EARLY_COMMIT_TS, "the commit timestamp is fetched before the locks are granted")         \
    X(TSO_BACKWARD, "a new metadata leader may repeat timestamps")

enum bug {
#define X(name, text) BUG_##name,
    BUGS(X)
#undef X
        BUG_COUNT
};

extern uint8_t bug_switches[BUG_COUNT];
static inline bool bug_on(enum bug b)
{
    return __builtin_expect(bug_switches[b] != 0, 0);
}
/* By name; false when there is none of that name. */
bool bug_set(const char *name, bool on);
const char *bug_name(enum bug b);
const char *bug_text(enum bug b);

/* Places where a test may let the process die (as by kill -9), to see that others go on from there.
 * By name, with crash_arm(): the n-th time that it is reached. */
#define CRASH_POINTS(X)                                                                            \
    X(SCHEMA_LOCKED, "a schema change has its tables, their shards are not fenced")                \
    X(SCHEMA_FENCED, "they are fenced")                                                            \
    X(SCHEMA_BUILT, "a batch of rows is written under new indexes")                                \
    X(SCHEMA_PREPARED, "rows are prepared, the commit is not decided")                             \
    X(SCHEMA_COMMITTED, "the commit is decided, nobody knows")                                     \
    X(INDEX_ADDED, "an index is DELETE_ONLY, nothing is fenced or filled")                         \
    X(INDEX_WRITABLE, "an index is WRITE_ONLY, not fenced there or filled")                        \
    X(INDEX_FILLED, "it is filled and not yet PUBLIC")                                             \
    X(JOB_UNDONE, "a job has given its tables back and not wiped what it had built")               \
    X(JOB_FINALIZED, "a committed job has finalized its rows and not wiped what was dropped")

enum crash_point {
#define X(name, text) CRASH_##name,
    CRASH_POINTS(X)
#undef X
        CRASH_COUNT
};

extern uint32_t crash_left[CRASH_COUNT]; /* 0: not armed */
void crash_now(void);
static inline void crash_at(enum crash_point p)
{
    if (__builtin_expect(crash_left[p] != 0, 0) && --crash_left[p] == 0) {
        crash_now();
    }
}
/* "NAME" or "NAME:n"; false when there is none of that name. */
bool crash_arm(const char *text);

/* Rules 1-26 of the Raft hardening (replication/rules.c), all on; a test may switch one off. */
#define RAFT_RULE_COUNT 27
extern uint8_t raft_rule_off[RAFT_RULE_COUNT];

#endif
