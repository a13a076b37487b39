/* The rows that the simulator's clients read and write: their keys, one scan over some of them, one
 * write, one change in the shard. */
#ifndef TEST_SIM_ROWS_H
#define TEST_SIM_ROWS_H

#include "router/txn.h"

#define TABLE 30000u
#define ACCOUNTS 8
#define SHARDS 3

/* Keys of kind 'l' lists, 'w' lists of the weak levels, 'a' accounts, 'i' inserts, 'u' and 'v'
 * races: spread over the shards by their number. */
struct slice make_key(struct arena *a, char kind, uint32_t number);

struct read_many {
    struct slice keys[ACCOUNTS];
    int count;
    struct slice values[ACCOUNTS]; /* data NULL: no row */
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

#endif
