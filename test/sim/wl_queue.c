/*
 * A queue of jobs, as READ COMMITTED and REPEATABLE READ programs build it: workers take one by FOR
 * UPDATE SKIP LOCKED (or NOWAIT, or waiting) and mark it. No job is taken twice: each has one
 * worker, and who was told that it took a job has it.
 */
#include "workload.h"

#include <string.h>

#define JOBS_MAX 600
#define TAKES_MAX 2000

static int job_count;
static struct {
    int job;
    enum told outcome;
} takes[TAKES_MAX];
static int take_count;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE job (id int PRIMARY KEY, taker int)");
}

static void put(struct fiber *f, struct client *c)
{
    if (job_count + 2 > JOBS_MAX) {
        return;
    }
    int n = job_count;
    job_count += 2;
    client_begin(f, c); /* one in each half of the keys */
    world_outcome(
        sql(f, c, NULL, "INSERT INTO job VALUES (%d, NULL), (%d, NULL)", n / 2, 1000000 - n / 2));
}

static void take(struct fiber *f, struct client *c)
{
    struct sql_result r;
    if (take_count == TAKES_MAX) {
        client_begin(f, c);
        world_outcome(sql(f, c, NULL, "SELECT count(*) FROM job WHERE taker IS NULL"));
        return;
    }
    int me = take_count++;
    takes[me].job = -1;
    static const char *const waits[] = {"SKIP LOCKED", "SKIP LOCKED", "NOWAIT", ""};
    const char *wait = waits[below(4)];
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level((enum txn_isolation)below(3)));
    if (st == NULL) {
        st =
            sql(f, c, &r,
                "SELECT id, taker FROM job WHERE taker IS NULL ORDER BY id%s LIMIT 1 FOR UPDATE %s",
                below(2) == 0 ? " DESC" : "", wait);
    }
    if (sql_is(st, "55P03") && strcmp(wait, "NOWAIT") != 0) {
        cluster_fail(&world.cluster, "queue: lock not available, without NOWAIT");
    }
    if (st == NULL && r.nrows > 1) {
        cluster_fail(&world.cluster, "queue: LIMIT 1 gave %d rows", r.nrows);
    }
    if (st == NULL && r.nrows == 1) {
        if (sql_text(&r, 0, 1) != NULL) {
            cluster_fail(&world.cluster, "queue: job %s was given out as free, and is %s's",
                         sql_text(&r, 0, 0), sql_text(&r, 0, 1));
        }
        takes[me].job = (int)sql_int(&r, 0, 0);
        st = sql(f, c, NULL, "UPDATE job SET taker = %d WHERE id = %d", me, takes[me].job);
    }
    takes[me].outcome = sql_end(f, c, st);
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r;
    static bool has_job[TAKES_MAX];
    sql_must(f, c, &r, "SELECT id, taker FROM job WHERE taker IS NOT NULL");
    for (int i = 0; i < r.nrows; i++) {
        int64_t id = sql_int(&r, i, 0), me = sql_int(&r, i, 1);
        if (me >= take_count || takes[me].job != id || takes[me].outcome == TOLD_ABORTED) {
            cluster_fail(&world.cluster, "queue: job %lld is taker %lld's, who was told otherwise",
                         (long long)id, (long long)me);
        }
        has_job[me] = true;
    }
    for (int i = 0; i < take_count; i++) {
        if (takes[i].outcome == TOLD_COMMITTED && takes[i].job >= 0 && !has_job[i]) {
            cluster_fail(&world.cluster, "queue: taker %d took job %d, which is another's now", i,
                         takes[i].job);
        }
    }
}

const struct workload workload_queue = {"queue", 2, setup, {{1, put}, {3, take}}, finish};
