/*
 * Write skew. Items: of each team of two somebody is always on duty, and each member may leave when
 * the other is there. Predicates: a room is booked for a slot when no booking of it is found; no
 * constraint forbids two. Both hold under SERIALIZABLE (--isolation rr breaks them), through the
 * table and through an index.
 */
#include "workload.h"

#define TEAMS 4
#define ROOMS 3
#define SLOTS_MAX 200

static uint32_t next_booking;
static uint32_t slots;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL,
             "CREATE TABLE duty (id int PRIMARY KEY, team int, is_on boolean NOT NULL)");
    sql_must(f, c, NULL, "CREATE TABLE booking (n int PRIMARY KEY, room int, slot int)");
    if (below(2) == 0) {
        sql_must(f, c, NULL, "CREATE INDEX booking_slot ON booking (room, slot)");
    }
    /* Members of a team are far apart: in two shards. */
    sql_must(f, c, NULL,
             "INSERT INTO duty SELECT m * 100 + t, t, true FROM generate_series(0, %d) t, "
             "generate_series(0, 1) m",
             TEAMS - 1);
}

static void leave(struct fiber *f, struct client *c)
{
    struct sql_result r;
    int team = (int)below(TEAMS), me = (int)below(2) * 100 + team;
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level(world.isolation));
    if (st == NULL && below(2) == 0) {
        st = sql(f, c, &r, "SELECT id FROM duty WHERE team = %d AND is_on", team);
    } else if (st == NULL) {
        st = sql(f, c, &r, "SELECT id FROM duty WHERE id IN (%d, %d) AND is_on", team, team + 100);
    }
    if (st == NULL && r.nrows == 0) {
        cluster_fail(&world.cluster, "write skew: nobody of team %d is on duty", team);
    }
    if (st == NULL) {
        st = sql(f, c, NULL, "UPDATE duty SET is_on = %s WHERE id = %d",
                 r.nrows == 2 ? "false" : "true", me);
    }
    sql_end(f, c, st);
}

static void book(struct fiber *f, struct client *c)
{
    struct sql_result r;
    int room = (int)below(ROOMS);
    if (world_may((int)slots, SLOTS_MAX) && below(3) == 0) {
        slots++;
    }
    uint32_t n = ++next_booking, slot = slots;
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level(world.isolation));
    if (st == NULL) {
        st =
            sql(f, c, &r, "SELECT count(*) FROM booking WHERE room = %d AND slot = %u", room, slot);
    }
    if (st == NULL && sql_int(&r, 0, 0) == 0) {
        /* Scattered over the shards. */
        st = sql(f, c, NULL, "INSERT INTO booking VALUES (%u, %d, %u)", n * 7919 % 1000003, room,
                 slot);
    }
    sql_end(f, c, st);
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r;
    sql_must(f, c, &r,
             "SELECT room, slot, count(*) FROM booking GROUP BY room, slot HAVING count(*) > 1");
    if (r.nrows > 0) {
        cluster_fail(&world.cluster, "write skew: room %s is booked %s times for slot %s",
                     sql_text(&r, 0, 0), sql_text(&r, 0, 2), sql_text(&r, 0, 1));
    }
    sql_must(f, c, &r, "SELECT DISTINCT team FROM duty WHERE is_on");
    if (r.nrows != TEAMS) {
        cluster_fail(&world.cluster, "write skew: %d of %d teams are on duty", r.nrows, TEAMS);
    }
}

const struct workload workload_skew = {"skew", 3, setup, {{1, leave}, {1, book}}, finish};
