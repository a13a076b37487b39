/*
 * Counters that only rise: each increment returns its value. No value is returned twice, what is
 * read or returned after another was acknowledged is not below it (real time), and at the end the
 * counter is what was acknowledged plus at most what is unknown. Single statements, which the
 * server runs again by itself, and blocks, at every level: an UPDATE counts under its lock. The
 * rows move about, also between shards, by changes of their primary key: each is found all the
 * same, by who waited for it, too.
 */
#include "workload.h"

#define COUNTERS 3
#define VALUES_MAX 4000

static struct {
    bool returned[VALUES_MAX];
    int64_t floor; /* acknowledged or seen */
    int acked, unknown;
} counters[COUNTERS];

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL,
             "CREATE TABLE counter (place int PRIMARY KEY, id int NOT NULL, v int NOT NULL)");
    if (below(2) == 0) {
        sql_must(f, c, NULL, "CREATE INDEX counter_id ON counter (id)");
    }
    sql_must(f, c, NULL, "INSERT INTO counter VALUES (0, 0, 0), (1, 1, 0), (2, 2, 0)");
}

static void must_not_be_below(int id, int64_t v, int64_t floor)
{
    if (v < floor) {
        cluster_fail(&world.cluster, "counter %d shows %lld after %lld was acknowledged", id,
                     (long long)v, (long long)floor);
    }
    counters[id].floor = v > counters[id].floor ? v : counters[id].floor;
}

static void increment(struct fiber *f, struct client *c)
{
    struct sql_result r = {0};
    int id = (int)below(COUNTERS);
    int64_t floor = counters[id].floor;
    bool is_block = below(2) == 0;
    client_begin(f, c);
    struct status *st = NULL;
    counters[id].unknown++; /* until it is told: a client may end with its node */
    if (is_block) {
        st = sql(f, c, NULL, "BEGIN %s", sql_level((enum txn_isolation)below(3)));
    }
    if (st == NULL) {
        st = sql(f, c, &r, "UPDATE counter SET v = v + 1 WHERE id = %d RETURNING v", id);
    }
    int64_t v = st == NULL && r.nrows == 1 ? sql_int(&r, 0, 0) : -1;
    if (st == NULL && v < 0) {
        cluster_fail(&world.cluster, "counter %d is not there", id);
    }
    enum told o = is_block ? sql_end(f, c, st) : world_outcome(st);
    counters[id].unknown -= o != TOLD_UNKNOWN;
    if (o != TOLD_COMMITTED) {
        return;
    }
    counters[id].acked++;
    must_not_be_below(id, v, floor + 1);
    if (v < VALUES_MAX && counters[id].returned[v]) {
        cluster_fail(&world.cluster, "counter %d: %lld was returned twice", id, (long long)v);
    }
    if (v < VALUES_MAX) {
        counters[id].returned[v] = true;
    }
}

static void move(struct fiber *f, struct client *c)
{
    struct sql_result r = {0};
    int id = (int)below(COUNTERS);
    bool is_block = below(2) == 0;
    client_begin(f, c);
    struct status *st = NULL;
    if (is_block) {
        st = sql(f, c, NULL, "BEGIN %s", sql_level((enum txn_isolation)below(3)));
    }
    int places = below(2) == 0 ? 4 : 1000000 / COUNTERS;
    for (uint64_t n = 1 + below(2); st == NULL && n > 0; n--) {
        st = sql(f, c, &r, "UPDATE counter SET place = %d WHERE id = %d",
                 id + COUNTERS * (int)below((uint64_t)places), id);
        if (st == NULL && sql_affected(&r) != 1) {
            cluster_fail(&world.cluster, "counter %d is not there to be moved", id);
        }
        if (!is_block) {
            break;
        }
    }
    if (is_block) {
        sql_end(f, c, st);
    } else {
        world_outcome(st);
    }
}

static void look(struct fiber *f, struct client *c)
{
    struct sql_result r;
    int64_t floor[COUNTERS];
    for (int i = 0; i < COUNTERS; i++) {
        floor[i] = counters[i].floor;
    }
    client_begin(f, c);
    bool all = below(2) == 0;
    int id = (int)below(COUNTERS);
    struct status *st = all ? sql(f, c, &r, "SELECT id, v FROM counter")
                            : sql(f, c, &r, "SELECT id, v FROM counter WHERE id = %d", id);
    if (world_outcome(st) != TOLD_COMMITTED) {
        return;
    }
    if (r.nrows != (all ? COUNTERS : 1)) {
        cluster_fail(&world.cluster, "counter: a row is missing");
    }
    for (int i = 0; i < r.nrows; i++) {
        int which = (int)sql_int(&r, i, 0);
        must_not_be_below(which, sql_int(&r, i, 1), floor[which]);
    }
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r;
    sql_must(f, c, &r, "SELECT id, v FROM counter ORDER BY id");
    for (int i = 0; i < COUNTERS; i++) {
        int64_t v = sql_int(&r, i, 1);
        if (v < counters[i].acked || v > counters[i].acked + counters[i].unknown) {
            cluster_fail(&world.cluster,
                         "counter %d is %lld: %d increments were acknowledged, %d are unknown", i,
                         (long long)v, counters[i].acked, counters[i].unknown);
        }
    }
}

const struct workload workload_count = {
    "count", 3, setup, {{2, look}, {1, move}, {3, increment}}, finish};
