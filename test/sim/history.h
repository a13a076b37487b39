/*
 * What clients did and saw, and whether a strictly serializable database could have done that.
 *
 * The list-append method: every write appends a unique element to a key's list, so a read shows the
 * order of all writes before it. From that follow, without search: ww edges (consecutive elements),
 * wr edges (who wrote the last element that was read), rw edges (who wrote the element after it),
 * and real-time edges. A cycle is an anomaly; its edges name it. After Kingsbury and Alvaro, "Elle:
 * Inferring Isolation Anomalies from Experimental Observations".
 */
#ifndef TEST_SIM_HISTORY_H
#define TEST_SIM_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_OPS_MAX 6
#define HISTORY_LIST_MAX 4096

enum told { TOLD_UNKNOWN, TOLD_COMMITTED, TOLD_ABORTED };

struct history_op {
    int key;
    bool is_append;
    uint32_t element; /* appended */
    int seen_count;   /* read: length of the list; elements below */
    uint32_t *seen;
};

struct history_txn {
    int id;
    uint64_t begin_ns, end_ns; /* end UINT64_MAX: never heard of */
    enum told outcome;
    bool is_snapshot;  /* a read at a stated past timestamp: no real-time edge into it */
    bool has_snapshot; /* REPEATABLE READ: all its reads are of one snapshot */
    int op_count;
    struct history_op ops[HISTORY_OPS_MAX];
    char label; /* kind of transaction, for messages */
};

struct history {
    struct history_txn **txns;
    int count, cap;
    int key_count;
};

struct history_txn *history_begin(struct history *h, uint64_t now_ns, char label);
/* A list was read: elements of 4 bytes each. */
void history_see(struct history_op *op, const uint8_t *list, size_t len);
/* The operations from number `count` on: undone, or not done. */
void history_forget(struct history_txn *t, int count);
void history_end(struct history_txn *t, enum told outcome, uint64_t now_ns);
/* What is promised: COMMITTED forbids G0, G1a-c and lost appends (READ COMMITTED that locks before
 * it appends, and above), and G-single to those that have a snapshot; STRICT every cycle, real time
 * included. */
enum history_level { HISTORY_COMMITTED, HISTORY_STRICT };
/* NULL: fine; else a text that names the anomaly, to be freed: G0 (only ww edges), G1a (aborted
 * read), G1b (intermediate read), G1c (ww and wr), G-single (exactly one rw), G2 (more), "not
 * strict" (only with real-time edges), "lost", "half a transaction", "internal" (not its own
 * append), ... */
char *history_check(const struct history *h, enum history_level level);
void history_free(struct history *h);

#endif
