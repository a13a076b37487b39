/*
 * A participant alone in a simulated world: a store in memory, a log that applies what is proposed
 * (at once, or when the test says so), a clock of timestamps. Requests run on fibers of the
 * simulated loop.
 */
#ifndef TEST_PART_WORLD_H
#define TEST_PART_WORLD_H

#include "base/sim.h"
#include "part.h"
#include "read.h"

struct world {
    struct sim *sim;
    struct loop *loop;
    struct mem_disk *disk;
    struct store *store;
    struct shard_state *state;
    struct part_env env;
    struct part *part;
    uint64_t term;
    uint64_t clock; /* the oracle */
    bool hold;      /* proposals wait for world_apply() */
    bool lease;
    struct list held; /* struct held */
    uint64_t index;
    struct buf log; /* u64 index | bytes: everything applied, for applying it again */
    int orphans;
    struct arena *arena;
};

struct held {
    struct list link;
    struct task task;
    struct world *world;
    struct group_proposal *proposal;
    struct part *part;
    struct buf data;
};

void world_init(struct world *w);
void world_deinit(struct world *w);
/* A test with a world of its own: its *state. */
#define WORLD_TEST(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)
int world_setup(void **state);
int world_teardown(void **state);
/* The leader is gone: its term ends; entries held are lost or (keep) in the log. A new part leads.
 */
void world_next_term(struct world *w, bool keep);
/* Applies what was held; returns how many. */
int world_apply(struct world *w);
/* What was held is certainly not in the log, and the term goes on: a transfer of the leadership
 * that came to nothing. */
void world_refuse(struct world *w);
/* Runs fn on a fiber until it ends. */
void world_run(struct world *w, void (*fn)(struct fiber *f, void *arg), void *arg);
/* Starts fn on a fiber and lets everything run that can, without the end of fn. */
void world_start(struct world *w, void (*fn)(struct fiber *f, void *arg), void *arg);
void world_settle(struct world *w);

/* ---- requests, each on a fiber of its own ---- */

#define A(name) SHERD__V1__ANSWER__ANSWER_##name

struct call { /* a request on its way; zeroed */
    struct world *w;
    bool is_done;
    struct status *st;
    Sherd__V1__WriteRequest write;
    Sherd__V1__WriteReply write_reply;
    Sherd__V1__PrepareRequest prepare;
    bool is_one;
    Sherd__V1__OutcomeReply out;
    Sherd__V1__ReadRequest read;
    Sherd__V1__ReadReply read_reply;
    Sherd__V1__FinalizeRequest finalize;
    Sherd__V1__TxnRef ref;
    Sherd__V1__TxnId id;
    Sherd__V1__Handle handle;
    Sherd__V1__KeyOp ops[8];
    Sherd__V1__KeyOp *op_list[8];
    Sherd__V1__Participant participants[4];
    Sherd__V1__Handle handles[4];
    Sherd__V1__Participant *participant_list[4];
    struct buf fragment;
    uint64_t from, to;
    bool is_prepared;
    int kind;
};

/* A transaction as a test writes it down. */
struct txn {
    struct world *w;
    uint64_t counter;
    uint64_t start;
    int isolation;
    uint64_t seq;
    uint32_t statement;
    uint64_t lock_timeout_ms;
    Sherd__V1__Handle handle;
    bool read_only;
    bool cannot_rerun;
    bool is_prepared;  /* elsewhere: a recovery asks */
    bool may_not_move; /* reads in other shards: changes are conflicts (W4) */
};

struct txn txn_new(struct world *w, uint64_t start);
/* op: "+k=v" insert, "k=v" put, "-k" delete, ">k" delete for another key, "?k" exists, "!k" lock
 * for update, "~a..b" absent; several separated by blanks. */
void call_write(struct call *c, struct txn *t, const char *ops, bool commit);
/* UPDATE of the rows of a span (end "": the point start) to its text || add, CHECK (text <> bad);
 * add NULL: DELETE. */
void call_change(struct call *c, struct txn *t, const char *start, const char *end, const char *add,
                 const char *bad, bool commit);
void call_prepare(struct call *c, struct txn *t, uint32_t attempt, uint64_t commit, bool is_one);
void call_read(struct call *c, struct txn *t, uint64_t ts, const char *start, const char *end);
void call_read_lock(struct call *c, struct txn *t, uint64_t ts, const char *key,
                    enum lock_mode mode);
void call_read_joined(struct call *c, struct txn *t, uint64_t ts, const char *key,
                      enum lock_mode mode); /* of a row that others go together with */
void call_finalize(struct call *c, struct txn *t, uint32_t attempt, uint64_t commit, bool abort);
void call_query(struct call *c, struct txn *t, uint32_t attempt);
void call_validate(struct call *c, struct txn *t, uint32_t attempt, uint64_t commit);
void call_refresh(struct call *c, struct txn *t, uint64_t to, uint64_t undo_seq,
                  uint32_t undo_statement);
void call_free(struct call *c);
/* After a reply: learns the handle. */
void txn_learn(struct txn *t, const struct call *c);

/* The same in one step. */
void write_ok(struct txn *t, const char *ops);
/* Commits in one shard; returns the answer. */
Sherd__V1__Answer commit_one(struct txn *t, uint64_t *out_ts);
/* Puts key=value in a transaction of its own; returns its timestamp. */
uint64_t put(struct world *w, const char *ops);
/* What a read without transaction at ts finds: "a=1 b=2". */
char *read_at(struct world *w, uint64_t ts, const char *start, const char *end);
char *read_in(struct txn *t, const char *start, const char *end);
char *rows_text(struct world *w, const struct call *c);

#endif
