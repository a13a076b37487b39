/*
 * Rows that are only locked (PROTOCOL 8: lock-only keys). A gate has a round. A visitor locks the
 * gate FOR SHARE (or KEY SHARE on the round's own row), and leaves an item with the round in
 * another shard; the keeper locks it FOR UPDATE, counts the round's items and opens the next round.
 * At READ COMMITTED and REPEATABLE READ nothing but the lock keeps an item out of a round that was
 * counted, so a lock that is lost with a leader must make the visitor's commit fail.
 */
#include "workload.h"

#define GATES 3
#define ITEMS_MAX 3000

static uint32_t item_count;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE gate (id int PRIMARY KEY, round int NOT NULL)");
    sql_must(f, c, NULL, "CREATE TABLE item (id int PRIMARY KEY, gate int, round int)");
    sql_must(f, c, NULL,
             "CREATE TABLE counted (gate int, round int, items int, PRIMARY KEY (gate, round))");
    sql_must(f, c, NULL, "INSERT INTO gate VALUES (0, 0), (1, 0), (2, 0)");
}

static enum txn_isolation level(void)
{
    return below(3) == 0 ? TXN_REPEATABLE_READ : TXN_READ_COMMITTED;
}

static void visit(struct fiber *f, struct client *c)
{
    struct sql_result r;
    if (item_count == ITEMS_MAX) {
        return;
    }
    uint32_t n = ++item_count;
    int gate = (int)below(GATES);
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level(level()));
    if (st == NULL) {
        st = sql(f, c, &r, "SELECT round FROM gate WHERE id = %d FOR %s", gate,
                 below(3) == 0 ? "NO KEY UPDATE" : "SHARE");
    }
    if (st == NULL) {
        st = fiber_sleep(f, below(15) * 1000000);
    }
    if (st == NULL) {
        st = sql(f, c, NULL, "INSERT INTO item VALUES (%u, %d, %d)", n * 7919 % 1000003, gate,
                 (int)sql_int(&r, 0, 0));
    }
    sql_end(f, c, st);
}

static void open_next(struct fiber *f, struct client *c)
{
    struct sql_result r, items;
    int gate = (int)below(GATES);
    client_begin(f, c);
    /* READ COMMITTED: the count is of a snapshot after the lock. */
    struct status *st = sql(f, c, NULL, "BEGIN ISOLATION LEVEL READ COMMITTED");
    if (st == NULL) {
        st = sql(f, c, &r, "SELECT round FROM gate WHERE id = %d FOR UPDATE", gate);
    }
    int round = st == NULL ? (int)sql_int(&r, 0, 0) : 0;
    if (st == NULL) {
        st = sql(f, c, &items, "SELECT count(*) FROM item WHERE gate = %d AND round = %d", gate,
                 round);
    }
    if (st == NULL) {
        st = sql(f, c, NULL, "UPDATE gate SET round = %d WHERE id = %d", round + 1, gate);
    }
    if (st == NULL) {
        st = sql(f, c, NULL, "INSERT INTO counted VALUES (%d, %d, %d)", gate, round,
                 (int)sql_int(&items, 0, 0));
    }
    /* 23505 is no defect: the gate's lock may have been lost with its leader, another keeper has
     * counted the round since, and this transaction could not commit any more. */
    sql_end(f, c, st);
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r;
    sql_must(f, c, &r,
             "SELECT k.gate, k.round, k.items, (SELECT count(*) FROM item i WHERE i.gate = k.gate "
             "AND i.round = k.round) FROM counted k");
    for (int i = 0; i < r.nrows; i++) {
        if (sql_int(&r, i, 2) != sql_int(&r, i, 3)) {
            cluster_fail(&world.cluster, "gate %s: round %s was counted with %s items and has %s",
                         sql_text(&r, i, 0), sql_text(&r, i, 1), sql_text(&r, i, 2),
                         sql_text(&r, i, 3));
        }
    }
}

const struct workload workload_gate = {"gate", 3, setup, {{1, open_next}, {2, visit}}, finish};
