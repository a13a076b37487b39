/*
 * Money moves between accounts, in one way or another at every level; each transfer leaves a row in
 * a journal within the same transaction. Every snapshot sums to the same; at the end each account
 * is what the journal says, and the journal has every acknowledged transfer and no aborted one.
 * Long readers look twice at one snapshot while old versions are collected.
 */
#include "workload.h"

#include <string.h>

#define ACCOUNTS 10
#define START 100
#define TRANSFERS_MAX 2000

static enum told transfers[TRANSFERS_MAX]; /* by number */
static int transfer_count;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)");
    sql_must(f, c, NULL,
             "CREATE TABLE journal (n int PRIMARY KEY, a int, b int, amount int NOT NULL)");
    sql_must(f, c, NULL, "INSERT INTO account SELECT i, %d FROM generate_series(0, %d) i", START,
             ACCOUNTS - 1);
}

static struct status *add(struct fiber *f, struct client *c, int id, int amount, int how)
{
    struct sql_result r;
    if (how == 0) { /* UPDATE re-evaluates the row under its lock, at every level */
        TRY(sql(f, c, &r, "UPDATE account SET balance = balance + %d WHERE id = %d", amount, id));
    } else { /* read, then written: under a lock, or validated at the commit */
        TRY(sql(f, c, &r, "SELECT balance FROM account WHERE id = %d%s", id,
                how == 1 ? " FOR UPDATE" : ""));
        int64_t balance = sql_int(&r, 0, 0);
        TRY(sql(f, c, &r, "UPDATE account SET balance = %d WHERE id = %d", (int)balance + amount,
                id));
    }
    if (sql_affected(&r) != 1) {
        cluster_fail(&world.cluster, "bank: account %d is not there", id);
    }
    return NULL;
}

static void must_be_whole(const struct sql_result *r)
{
    if (sql_int(r, 0, 0) != ACCOUNTS * START || sql_int(r, 0, 1) != ACCOUNTS) {
        cluster_fail(&world.cluster, "bank: a snapshot sums to %s in %s accounts",
                     sql_text(r, 0, 0), sql_text(r, 0, 1));
    }
}

#define SUM "SELECT sum(balance), count(*) FROM account"

static void audit(struct fiber *f, struct client *c)
{
    struct sql_result r;
    client_begin(f, c);
    struct status *st = sql(f, c, &r, SUM);
    if (st == NULL) {
        must_be_whole(&r);
    }
    world_outcome(st);
}

static void transfer(struct fiber *f, struct client *c)
{
    if (transfer_count == TRANSFERS_MAX) {
        audit(f, c);
        return;
    }
    int n = transfer_count++;
    transfers[n] = TOLD_UNKNOWN;
    enum txn_isolation level = (enum txn_isolation)below(3);
    int how = (int)below(level == TXN_READ_COMMITTED ? 2 : 3);
    int a = (int)below(ACCOUNTS), b = (a + 1 + (int)below(ACCOUNTS - 1)) % ACCOUNTS;
    int amount = (int)below(20);
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level(level));
    if (st == NULL) {
        st = add(f, c, a, -amount, how);
    }
    if (st == NULL) {
        st = add(f, c, b, amount, how);
    }
    if (st == NULL) {
        st = sql(f, c, NULL, "INSERT INTO journal VALUES (%d, %d, %d, %d)", n, a, b, amount);
    }
    if (sql_is(st, "23505")) {
        cluster_fail(&world.cluster, "bank: transfer %d was done twice", n);
    }
    transfers[n] = sql_end(f, c, st);
}

/* One snapshot, looked at twice; a snapshot that is too old may only say so (72000). */
static void long_reader(struct fiber *f, struct client *c)
{
    struct sql_result first, again;
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "BEGIN ISOLATION LEVEL %s READ ONLY",
                            below(2) == 0 ? "REPEATABLE READ" : "SERIALIZABLE");
    if (st == NULL) {
        st = sql(f, c, &first, SUM);
    }
    if (st == NULL) {
        must_be_whole(&first);
        st = sql(f, c, &first, "SELECT id, balance FROM account ORDER BY id");
    }
    for (int i = 0; i < 3 && st == NULL; i++) {
        st = fiber_sleep(f, below(1500) * 1000000);
        if (st == NULL) {
            st = sql(f, c, &again, "SELECT id, balance FROM account ORDER BY id");
        }
        for (int row = 0; st == NULL && row < ACCOUNTS; row++) {
            if (again.nrows != first.nrows ||
                strcmp(sql_text(&first, row, 1), sql_text(&again, row, 1)) != 0) {
                cluster_fail(&world.cluster, "bank: one snapshot shows two states");
            }
        }
    }
    sql_end(f, c, st);
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result accounts, journal;
    int64_t expected[ACCOUNTS];
    static bool is_there[TRANSFERS_MAX];
    sql_must(f, c, &accounts, "SELECT id, balance FROM account ORDER BY id");
    sql_must(f, c, &journal, "SELECT n, a, b, amount FROM journal ORDER BY n");
    for (int i = 0; i < ACCOUNTS; i++) {
        expected[i] = START;
    }
    for (int i = 0; i < journal.nrows; i++) {
        is_there[sql_int(&journal, i, 0)] = true;
        expected[sql_int(&journal, i, 1)] -= sql_int(&journal, i, 3);
        expected[sql_int(&journal, i, 2)] += sql_int(&journal, i, 3);
    }
    for (int i = 0; i < ACCOUNTS; i++) {
        if (accounts.nrows != ACCOUNTS || sql_int(&accounts, i, 1) != expected[i]) {
            cluster_fail(&world.cluster, "bank: account %d is not what the journal says", i);
        }
    }
    for (int n = 0; n < transfer_count; n++) {
        if (is_there[n] ? transfers[n] == TOLD_ABORTED : transfers[n] == TOLD_COMMITTED) {
            cluster_fail(&world.cluster, "bank: transfer %d is%s there and was told %s", n,
                         is_there[n] ? "" : " not", is_there[n] ? "aborted" : "committed");
        }
    }
}

const struct workload workload_bank = {
    "bank", 4, setup, {{2, audit}, {1, long_reader}, {5, transfer}}, finish};
