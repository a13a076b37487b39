/*
 * Foreign keys under races: children come and parents go, move and come back, at all levels. In no
 * snapshot there is a child without its parent.
 */
#include "workload.h"

#define PARENTS 6

static uint32_t next_child;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE parent (id int PRIMARY KEY, code int UNIQUE)");
    sql_must(f, c, NULL,
             "CREATE TABLE child (id int PRIMARY KEY, p int REFERENCES parent (id), "
             "code int REFERENCES parent (code))");
    if (below(2) == 0) {
        sql_must(f, c, NULL, "CREATE INDEX child_p ON child (p)");
    }
    sql_must(f, c, NULL, "INSERT INTO parent SELECT i, 100 + i FROM generate_series(0, %d) i",
             PARENTS - 1);
}

static struct status *change(struct fiber *f, struct client *c)
{
    int p = (int)below(PARENTS);
    switch (below(8)) {
    case 0:
        return sql(f, c, NULL, "DELETE FROM parent WHERE id = %d", p);
    case 1:
        return sql(f, c, NULL, "INSERT INTO parent VALUES (%d, %d) ON CONFLICT DO NOTHING", p,
                   100 + p);
    case 2:
        return sql(f, c, NULL, "UPDATE parent SET code = %d WHERE id = %d",
                   100 + (int)below(PARENTS), p);
    case 3:
        return sql(f, c, NULL,
                   "DELETE FROM child WHERE id IN (SELECT id FROM child WHERE p = %d "
                   "ORDER BY id LIMIT 2)",
                   p);
    case 4:
        return sql(f, c, NULL, "UPDATE child SET p = %d WHERE id = (SELECT max(id) FROM child)", p);
    default:
        /* Ids far apart, so that they lie in both shards. */
        return sql(f, c, NULL, "INSERT INTO child VALUES (%u, %d, %s)",
                   ++next_child * 7919 % 1000003, p, below(2) == 0 ? "NULL" : "100");
    }
}

static void audit(struct fiber *f, struct client *c, bool is_last)
{
    struct sql_result r;
    static const char text[] = "SELECT c.id, c.p, c.code FROM child c "
                               "LEFT JOIN parent a ON a.id = c.p "
                               "LEFT JOIN parent b ON b.code = c.code "
                               "WHERE (c.p IS NOT NULL AND a.id IS NULL) "
                               "OR (c.code IS NOT NULL AND b.code IS NULL)";
    client_begin(f, c);
    if (is_last) {
        sql_must(f, c, &r, "%s", text);
    } else if (status_consume(sql(f, c, &r, "%s", text))) {
        return;
    }
    if (r.nrows > 0) {
        cluster_fail(&world.cluster, "foreign key: child %s of parent %s is alone",
                     sql_text(&r, 0, 0), sql_text(&r, 0, 1));
    }
}

static void look(struct fiber *f, struct client *c)
{
    audit(f, c, false);
}

static void write_some(struct fiber *f, struct client *c)
{
    client_begin(f, c);
    if (below(2) == 0) {
        world_outcome(change(f, c));
        return;
    }
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level((enum txn_isolation)below(3)));
    for (uint64_t i = 1 + below(2); i > 0 && st == NULL; i--) {
        st = change(f, c);
        if (st == NULL) {
            st = fiber_sleep(f, below(10) * 1000000);
        }
    }
    sql_end(f, c, st);
}

static void finish(struct fiber *f, struct client *c)
{
    audit(f, c, true);
}

const struct workload workload_refs = {"refs", 2, setup, {{1, look}, {5, write_some}}, finish};
