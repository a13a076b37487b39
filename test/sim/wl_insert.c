/*
 * Acknowledged inserts are there, once; refused ones are not. Single statements, which carry their
 * commit, of one row and of many (over the shards), by the simple and by the extended flow. A row
 * that exists already when it is inserted for the first time was inserted twice.
 */
#include "workload.h"

#define CALLS_MAX 1500
#define ROWS 3 /* of call n: n, n + CALLS_MAX, n + 2 * CALLS_MAX */

static struct {
    enum told outcome;
    bool is_wide;
} calls[CALLS_MAX];
static int call_count;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE entry (id int PRIMARY KEY, v text)");
}

/* As a driver does it: Parse, Bind, Execute, Sync. */
static struct status *extended(struct fiber *f, struct client *c, int id)
{
    TRY(sql(f, c, NULL, "SELECT 1")); /* opens the session */
    struct session *s = c->session;
    type_oid type = TYPE_INT4;
    struct slice unnamed = slice_str("");
    TRY(session_prepare(f, s, unnamed, slice_str("INSERT INTO entry VALUES ($1, 'x')"), &type, 1));
    struct datum d = datum_int(id);
    TRY(session_bind(f, s, unnamed, session_prepared(s, unnamed), &d, 1, NULL, 0));
    session_expect_sync(s);
    bool suspended;
    struct sql_result r = {0};
    c->result = &r;
    TRY(session_execute(f, s, session_portal(s, unnamed), 0, &c->sink, &suspended));
    return session_sync(f, s);
}

static void step(struct fiber *f, struct client *c)
{
    if (call_count == CALLS_MAX) {
        client_begin(f, c);
        world_outcome(sql(f, c, NULL, "SELECT count(*) FROM entry"));
        return;
    }
    int n = call_count++;
    calls[n].outcome = TOLD_UNKNOWN;
    calls[n].is_wide = below(3) == 0;
    client_begin(f, c);
    struct status *st;
    if (calls[n].is_wide) {
        st = sql(f, c, NULL, "INSERT INTO entry VALUES (%d, 'x'), (%d, 'x'), (%d, 'x')", n,
                 n + CALLS_MAX, n + 2 * CALLS_MAX);
    } else if (below(2) == 0) {
        st = extended(f, c, n);
        if (st != NULL && c->session != NULL) {
            session_failed(f, c->session);
            status_free(session_sync(f, c->session));
        }
    } else {
        st = sql(f, c, NULL, "INSERT INTO entry VALUES (%d, 'x')", n);
    }
    if (sql_is(st, "23505")) {
        cluster_fail(&world.cluster, "insert %d met an existing row: it was done twice", n);
    }
    calls[n].outcome = world_outcome(st);
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r;
    static int rows[CALLS_MAX];
    sql_must(f, c, &r, "SELECT id FROM entry");
    for (int i = 0; i < r.nrows; i++) {
        rows[sql_int(&r, i, 0) % CALLS_MAX]++;
    }
    for (int n = 0; n < call_count; n++) {
        int all = calls[n].is_wide ? ROWS : 1;
        if (rows[n] != 0 && rows[n] != all) {
            cluster_fail(&world.cluster, "insert %d: %d of its %d rows are there", n, rows[n], all);
        }
        if (rows[n] == 0 ? calls[n].outcome == TOLD_COMMITTED : calls[n].outcome == TOLD_ABORTED) {
            cluster_fail(&world.cluster, "insert %d was told %s and is%s there", n,
                         rows[n] == 0 ? "committed" : "aborted", rows[n] == 0 ? " not" : "");
        }
    }
}

const struct workload workload_insert = {"insert", 2, setup, {{1, step}}, finish};
