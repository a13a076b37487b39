/*
 * Long fork: rows that are written once each, in shards of their own, and readers that look at a
 * group of them in one statement or one transaction. Any two readers of a group agree on an order
 * of the writes: one has seen all that the other has. The levels with snapshots only.
 */
#include "workload.h"

#define MEMBERS 4
#define GROUPS_MAX 60
#define READS_MAX 40 /* of one group */

static struct {
    uint32_t masks[READS_MAX];
    int count;
} groups[GROUPS_MAX];
static int current; /* group that is written and read now */

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE fork (member int, grp int, PRIMARY KEY (member, grp))");
}

static void note(int group, uint32_t mask)
{
    for (int i = 0; i < groups[group].count; i++) {
        uint32_t other = groups[group].masks[i];
        if ((mask & other) != mask && (mask & other) != other) {
            cluster_fail(&world.cluster,
                         "long fork: one reader of group %d saw members %x, another %x", group,
                         mask, other);
        }
        if (mask == other) {
            return;
        }
    }
    if (groups[group].count < READS_MAX) {
        groups[group].masks[groups[group].count++] = mask;
    }
}

static uint32_t mask_of(const struct sql_result *r)
{
    uint32_t mask = 0;
    for (int i = 0; i < r->nrows; i++) {
        mask |= 1u << sql_int(r, i, 0);
    }
    return mask;
}

static void read_group(struct fiber *f, struct client *c)
{
    int group = current;
    struct sql_result r;
    uint32_t mask = 0;
    client_begin(f, c);
    if (below(2) == 0) {
        struct status *alone = sql(f, c, &r, "SELECT member FROM fork WHERE grp = %d", group);
        if (world_outcome(alone) == TOLD_COMMITTED) {
            note(group, mask_of(&r));
        }
        return;
    }
    struct status *st = sql(f, c, NULL, "BEGIN ISOLATION LEVEL %s",
                            below(2) == 0 ? "REPEATABLE READ" : "SERIALIZABLE, READ ONLY");
    int first = (int)below(MEMBERS);
    for (int i = 0; i < MEMBERS && st == NULL; i++) { /* one after the other, with time between */
        st = sql(f, c, &r, "SELECT member FROM fork WHERE member = %d AND grp = %d",
                 (first + i) % MEMBERS, group);
        if (st == NULL) {
            mask |= mask_of(&r);
            st = fiber_sleep(f, below(5) * 1000000);
        }
    }
    if (sql_end(f, c, st) == TOLD_COMMITTED) {
        note(group, mask);
    }
}

static void write_one(struct fiber *f, struct client *c)
{
    int group = current;
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "INSERT INTO fork VALUES (%d, %d) ON CONFLICT DO NOTHING",
                            (int)below(MEMBERS), group);
    world_outcome(st);
    if (group == current && world_may(current + 1, GROUPS_MAX) && below(6) == 0) {
        current++;
    }
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r;
    for (int g = 0; g <= current; g++) {
        sql_must(f, c, &r, "SELECT member FROM fork WHERE grp = %d", g);
        note(g, mask_of(&r));
    }
}

const struct workload workload_fork = {"fork", 2, setup, {{1, write_one}, {2, read_group}}, finish};
