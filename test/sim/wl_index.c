/*
 * Indexes equal their table: rows come, change in any column (also the primary key) and go, while
 * an index is made and dropped beside them. At timestamps noted during the run, at the moment and
 * at the end, each index must have exactly the entries that the rows of that snapshot ask for.
 */
#include "index_check.h"
#include "workload.h"

#define IDS 24
#define STAMPS_MAX 40

static uint64_t stamps[STAMPS_MAX];
static int stamp_count;
static int extra_count; /* indexes made during the run */

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE thing (id int PRIMARY KEY, a int, b text, u int)");
    sql_must(f, c, NULL, "CREATE INDEX thing_a ON thing (a DESC, b)");
    sql_must(f, c, NULL, "CREATE UNIQUE INDEX thing_u ON thing (u)");
}

static struct status *change(struct fiber *f, struct client *c)
{
    int id = (int)below(IDS) * 40000; /* over both shards */
    switch (below(6)) {
    case 0:
        return sql(f, c, NULL, "DELETE FROM thing WHERE id = %d", id);
    case 1:
        return sql(f, c, NULL, "UPDATE thing SET a = %d WHERE id = %d", (int)below(5), id);
    case 2:
        return sql(f, c, NULL, "UPDATE thing SET u = %d, b = 'n%d' WHERE a = %d AND id = %d",
                   (int)below(40), (int)below(9), (int)below(5), id);
    case 3:
        return sql(f, c, NULL, "UPDATE thing SET id = %d WHERE id = %d", (int)below(IDS) * 40000,
                   id);
    default:
        return sql(f, c, NULL,
                   "INSERT INTO thing VALUES (%d, %d, 'b%d', %s%d) ON CONFLICT DO NOTHING", id,
                   (int)below(5), (int)below(9), below(4) == 0 ? "NULL + " : "", (int)below(40));
    }
}

static void note_stamp(struct fiber *f, struct client *c)
{
    uint64_t ts;
    if (stamp_count < STAMPS_MAX && !status_consume(meta_timestamp(f, c->node->meta, &ts)) &&
        stamp_count < STAMPS_MAX) {
        stamps[stamp_count++] = ts;
    }
}

static void step(struct fiber *f, struct client *c)
{
    client_begin(f, c);
    uint64_t what = below(12);
    if (what == 0) {
        status_free(index_check(f, c, "thing", 0));
        return;
    }
    if (what == 1) {
        note_stamp(f, c);
        return;
    }
    if (what == 2 && extra_count < 2 && below(3) == 0) {
        int n = extra_count++;
        world_outcome(sql(f, c, NULL, "CREATE INDEX extra_%d ON thing (b, a)", n));
        return;
    }
    if (what < 7) {
        world_outcome(change(f, c));
        return;
    }
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level((enum txn_isolation)below(3)));
    for (uint64_t i = 1 + below(3); i > 0 && st == NULL; i--) {
        st = below(5) == 0 ? sql(f, c, NULL, "SAVEPOINT s") : NULL;
        bool is_undone = st == NULL && session_txn_status(c->session) == 'T' && below(4) == 0;
        if (is_undone) {
            st = sql(f, c, NULL, "SAVEPOINT s");
        }
        if (st == NULL) {
            st = change(f, c);
        }
        if (st == NULL && is_undone) {
            st = sql(f, c, NULL, "ROLLBACK TO s");
        }
    }
    sql_end(f, c, st);
}

static void must_equal(struct fiber *f, struct client *c, uint64_t at)
{
    struct status *st = NULL;
    for (int i = 0; i < 100; i++) {
        status_free(st);
        st = index_check(f, c, "thing", at);
        if (st == NULL || (at != 0 && sql_is(st, "72000"))) { /* collected meanwhile */
            status_free(st);
            return;
        }
        status_free(fiber_sleep(f, 100000000));
    }
    cluster_stuck(&world.cluster, "indexes: %s", st->message);
}

static void finish(struct fiber *f, struct client *c)
{
    must_equal(f, c, 0);
    for (int i = 0; i < stamp_count; i++) {
        must_equal(f, c, stamps[i]);
    }
}

const struct workload workload_index = {"index", 3, setup, {{1, step}}, finish};
