/* Rows by the coordinator's interface (router/txn.h), for clients without SQL: their keys, one scan
 * over some of them, one write, one change in the shard. A row is one column of bytes; those of
 * histories are lists of elements of 4 bytes. */
#ifndef TEST_SIM_ROWS_H
#define TEST_SIM_ROWS_H

#include "router/txn.h"

#define ROWS_TABLE 30000u
#define ROWS_READ_MAX 8

/* Keys that begin with this byte: a shard of the world has one. */
struct slice row_key(struct arena *a, uint8_t shard, struct slice rest);

struct read_many {
    int count;
    struct slice keys[ROWS_READ_MAX];
    struct key_span *spans; /* scanned; NULL: the keys alone */
    int nspans;
    uint64_t schema_version;
    struct slice values[ROWS_READ_MAX]; /* out; data NULL: no row */
};
/* Reads the rows of the keys in one scan (whose spans may cross shards). */
struct status *read_keys(struct fiber *f, struct arena *a, struct txn *t, struct read_many *r,
                         enum lock_mode lock) STATUS_MUST_CHECK;
/* UPDATE ... SET list = list || element, in the shard. *out_row: the new list, or data NULL when
 * there is no row, or when it is the last of an implicit transaction and only counted
 * (out_changed). */
struct status *append_in_shard(struct fiber *f, struct arena *a, struct txn *t, struct slice key,
                               uint32_t element, bool is_last, struct slice *out_row,
                               bool *out_changed) STATUS_MUST_CHECK;
struct status *write_one(struct fiber *f, struct arena *a, struct txn *t, struct slice key,
                         struct slice bytes, Sherd__V1__OpKind kind, bool is_last,
                         struct txn_write_result *out) STATUS_MUST_CHECK;
/* The list that was read, with the element behind it. One that was not there (data NULL) cannot
 * have been locked by the read: an INSERT, CONSTRAINT when it is there by now. */
struct status *append_to_read(struct fiber *f, struct arena *a, struct txn *t, struct slice key,
                              struct slice list, uint32_t element, bool is_last) STATUS_MUST_CHECK;
/* COMMIT when st is NULL, else ROLLBACK. */
struct status *commit_or_undo(struct fiber *f, struct txn *t, struct status *st) STATUS_MUST_CHECK;

#endif
