/*
 * What happens to the world of the Raft simulator: clients, changes of members, and faults.
 *
 * Profiles of faults, drawn with the seed:
 *   mixed      everything a little
 *   leader     many partitions around the leader, with slow disks
 *   network    duplicates and delays; short logs, so that what comes late is long compacted
 *   figure-8   five voters, few proposals, the leader cut off or killed again and again
 *   hanging    the same with disks whose writes hang for up to two seconds: a node hears of several
 *              leaders while one write is under way
 *   transfers  leaderships handed over one after the other while messages are late; at the end the
 *              target of one is removed while it stands for election (raft_hunts.c)
 *   votes      four voters; votes are lost until half of them are terms ahead (raft_hunts.c)
 */
#include "raft_world.h"

#include <stdio.h>

#define NS_PER_US UINT64_C(1000)

void world_later(struct world *w, uint64_t low_us, uint64_t high_us, void (*fn)(void *ctx),
                 void *ctx)
{
    sim_at(w->sim, sim_now_ns(w->sim) + world_between(w, low_us, high_us) * NS_PER_US, fn, ctx);
}

const char *const profile_names[PROFILES] = {"mixed",   "leader",    "network", "figure-8",
                                             "hanging", "transfers", "votes"};

static struct node *any_node(struct world *w)
{
    return &w->nodes[world_between(w, 1, w->node_count)];
}

static unsigned any_group(struct world *w)
{
    return (unsigned)world_between(w, 1, w->group_count);
}

bool replica_is_usable(const struct replica *r)
{
    return r->node->is_up && r->g != NULL && !r->is_opening && r->g->state == GROUP_RUNNING;
}

/* ---- clients: proposals and reads ---- */

struct client_proposal {
    struct group_proposal p;
    struct world *w;
    unsigned group_no;
    uint64_t uid;
};

static void proposal_done(struct group_proposal *p, struct status *st)
{
    struct client_proposal *cp = CONTAINER_OF(p, struct client_proposal, p);
    if (st == NULL) {
        check_acked(cp->w, cp->group_no, p->index, cp->uid);
    }
    status_free(st);
    mem_free(cp);
}

void replica_propose(void *ctx)
{
    struct replica *r = ctx;
    struct world *w = r->node->w;
    if (!replica_is_usable(r)) {
        return;
    }
    uint64_t count = world_chance(w, 300) ? world_between(w, 1, 4) : 1;
    for (uint64_t i = 0; i < count; i++) {
        struct client_proposal *cp = MEM_NEW(struct client_proposal);
        struct buf data = {NULL, 0, 0};
        cp->w = w;
        cp->group_no = r->group_no;
        cp->uid = w->uid_next++;
        cp->p.done = proposal_done;
        entry_make(&data, cp->uid, (uint8_t)(cp->uid % SLOTS), world_chance(w, 50) ? 300 : 0);
        struct status *st = group_propose(r->g, buf_slice(&data), &cp->p);
        buf_deinit(&data);
        if (st != NULL) {
            status_free(st);
            mem_free(cp);
        }
    }
}

/* Somebody who believes to lead, the newest or another one. */
static struct replica *some_leader(struct world *w, unsigned group_no)
{
    if (world_chance(w, 700)) {
        return world_leader(w, group_no);
    }
    for (unsigned t = 0; t < 4; t++) {
        struct replica *r = &any_node(w)->replicas[group_no];
        if (replica_is_usable(r) && group_is_leader(r->g)) {
            return r;
        }
    }
    return NULL;
}

static void read_lease(void *ctx)
{
    struct replica *r = ctx;
    struct world *w = r->node->w;
    const struct checker *c = w->checkers[r->group_no];
    uint64_t floor = c->acked_max > c->served_max ? c->acked_max : c->served_max;
    if (replica_is_usable(r) && group_lease_valid(r->g)) {
        check_read(w, r, floor, "lease read");
        w->stats->lease_reads++;
    }
}

static void barrier_fiber(struct fiber *f, void *arg)
{
    struct replica *r = arg;
    struct world *w = r->node->w;
    const struct checker *c = w->checkers[r->group_no];
    if (!replica_is_usable(r)) {
        return;
    }
    uint64_t floor = c->acked_max > c->served_max ? c->acked_max : c->served_max;
    struct status *st = group_read_barrier(f, r->g);
    if (st == NULL) {
        check_read(w, r, floor, "barrier read");
        w->stats->barrier_reads++;
    }
    status_free(st);
}

static void read_event(void *ctx)
{
    struct world *w = ctx;
    unsigned group_no = any_group(w);
    /* Every node is asked: whoever believes to hold a lease is tested. */
    for (unsigned i = 1; i <= w->node_count; i++) {
        struct replica *r = &w->nodes[i].replicas[group_no];
        if (replica_is_usable(r) && group_is_leader(r->g)) {
            sim_loop_at(r->node->loop, sim_now_ns(w->sim), read_lease, r);
            if (world_chance(w, 200)) {
                fiber_spawn(r->node->loop, FIBER_STACK_SMALL, barrier_fiber, r);
            }
        }
    }
    world_later(w, 1000, w->is_well ? 200000 : w->is_healed ? 40000 : 20000, read_event, w);
}

static void client_event(void *ctx)
{
    struct world *w = ctx;
    struct replica *r = some_leader(w, any_group(w));
    if (r != NULL && r->g->appends_in_flight <= 40) {
        sim_loop_at(r->node->loop, sim_now_ns(w->sim), replica_propose, r);
    }
    uint64_t limit = w->is_well ? 200000 : w->is_healed ? 10000 : w->propose_every_us;
    if (!w->is_healed && w->options.quiesce_after_ms < 1000 && world_chance(w, 5)) {
        world_later(w, 150000, 700000, client_event, w); /* long enough to fall asleep */
        return;
    }
    world_later(w, 100, limit, client_event, w);
}

/* ---- members ---- */

struct change {
    struct replica *leader;
    enum { ADD, PROMOTE, REMOVE, TRANSFER } kind;
    uint64_t replica_id;
    unsigned node_id;
};

/* A replica that waits to be added, on a node that has none of the group. */
static bool place_replica(struct world *w, unsigned group_no, struct change *c)
{
    struct checker *k = w->checkers[group_no];
    for (unsigned t = 0; t < 5; t++) {
        struct node *n = any_node(w);
        struct replica *r = &n->replicas[group_no];
        if (!n->is_up || r->exists || r->is_opening || k->replica_next >= REPLICAS_MAX) {
            continue;
        }
        if (r->dead_id != 0 && world_chance(w, 200)) {
            r->is_opening = true;
            fiber_spawn(n->loop, FIBER_STACK_SMALL, world_reuse_fiber, r);
            return false;
        }
        c->replica_id = r->replica_id = k->replica_next++;
        c->node_id = n->id;
        k->node_of[r->replica_id] = n->id;
        r->exists = r->is_opening = true;
        r->applied = r->checked = 0;
        r->life++;
        r->disk.count = 0;
        fiber_spawn(n->loop, FIBER_STACK_SMALL, world_empty_fiber, r);
        return true;
    }
    return false;
}

static void doom_later(void *ctx);

static void doom_on_loop(void *ctx)
{
    struct replica *r = ctx;
    struct world *w = r->node->w;
    if (!r->is_doomed || !replica_is_usable(r)) {
        return;
    }
    if (r->changes_under_way > 0) {
        world_later(w, 10000, 50000, doom_later, r);
        return;
    }
    fiber_spawn(r->node->loop, FIBER_STACK_SMALL, world_doom_fiber, r);
}

static void doom_later(void *ctx)
{
    struct replica *r = ctx;
    if (r->is_doomed && r->node->is_up) {
        sim_loop_at(r->node->loop, sim_now_ns(r->node->w->sim), doom_on_loop, r);
    }
}

static void change_fiber(struct fiber *f, void *arg)
{
    struct change *c = arg;
    struct replica *r = c->leader;
    struct world *w = r->node->w;
    struct status *st = NULL;
    const char *what = "";
    fiber_set_deadline(f, loop_now_ns(r->node->loop) + 2000 * NS_PER_US * 1000);
    switch (c->kind) {
    case ADD:
        what = "add";
        st = group_add_learner(f, r->g, c->replica_id, c->node_id);
        break;
    case PROMOTE:
        what = "promote";
        st = group_promote(f, r->g, c->replica_id);
        break;
    case REMOVE:
        what = "remove";
        st = group_remove(f, r->g, c->replica_id);
        break;
    case TRANSFER:
        what = "transfer to";
        st = group_transfer(f, r->g, c->replica_id);
        break;
    }
    TRACE(w, "group %u: %s %llu: %s", r->group_no, what, (unsigned long long)c->replica_id,
          st ? st->message : "done");
    if (st == NULL && c->kind != TRANSFER) {
        w->stats->changes++;
    }
    if (st == NULL && c->kind == TRANSFER) {
        w->stats->transfers++;
    }
    if (st == NULL && c->kind == REMOVE) {
        struct replica *gone = replica_find(w, r->group_no, c->replica_id);
        if (gone != NULL) {
            gone->is_doomed = true;
            world_later(w, 1000, 500000, doom_later, gone);
        }
    }
    status_free(st);
    r->changes_under_way--;
    mem_free(c);
}

static void change_start(struct change *c)
{
    c->leader->changes_under_way++;
    fiber_spawn(c->leader->node->loop, FIBER_STACK_SMALL, change_fiber, c);
}

/* Now and then while another change is under way: that must be refused (rule 14). */
static bool may_ask(struct world *w, const struct replica *leader)
{
    return replica_is_usable(leader) && (leader->changes_under_way == 0 ||
                                         (leader->changes_under_way < 4 && world_chance(w, 300)));
}

static void member_event(void *ctx)
{
    struct world *w = ctx;
    unsigned group_no = any_group(w);
    struct replica *leader = some_leader(w, group_no);
    if (w->is_healed || w->has_hunt) {
        return;
    }
    world_later(w, 5000, 150000, member_event, w);
    if (leader == NULL || !may_ask(w, leader)) {
        return;
    }
    struct group_replica members[ROSTER_MEMBERS_MAX];
    size_t n = group_config(leader->g, members, ROSTER_MEMBERS_MAX);
    struct change *c = MEM_NEW(struct change);
    c->leader = leader;
    uint64_t x = world_between(w, 0, 9);
    if (x < 3 && n < 7 && place_replica(w, group_no, c)) {
        c->kind = ADD;
        change_start(c);
        return;
    }
    const struct group_replica *m = &members[world_between(w, 0, n - 1)];
    if (x < 7) {
        for (size_t i = 0; i < n; i++) {
            if (!members[i].is_voter) {
                c->kind = PROMOTE;
                c->replica_id = members[i].replica_id;
                if (world_chance(w, 300)) { /* an interrupted add is asked for again */
                    c->kind = ADD;
                    c->node_id = (unsigned)members[i].node_id;
                }
                change_start(c);
                return;
            }
        }
    } else if (n > 2 && (!m->is_voter || n > 3 || world_chance(w, 400))) {
        c->kind = REMOVE;
        c->replica_id = m->replica_id;
        change_start(c);
        return;
    }
    mem_free(c);
}

static void transfer_event(void *ctx)
{
    struct world *w = ctx;
    struct replica *leader = some_leader(w, any_group(w));
    if (w->is_healed || w->has_hunt) {
        return;
    }
    world_later(w, w->transfers_often ? 3000 : 20000, w->transfers_often ? 60000 : 400000,
                transfer_event, w);
    if (leader == NULL || !may_ask(w, leader)) {
        return;
    }
    struct group_replica members[ROSTER_MEMBERS_MAX];
    size_t n = group_config(leader->g, members, ROSTER_MEMBERS_MAX);
    struct change *c = MEM_NEW(struct change);
    c->leader = leader;
    c->kind = TRANSFER;
    c->replica_id = world_chance(w, 500) ? 0 : members[world_between(w, 0, n - 1)].replica_id;
    change_start(c);
}

static void checkpoint_event(void *ctx)
{
    struct world *w = ctx;
    struct replica *r = &any_node(w)->replicas[any_group(w)];
    if (!w->is_healed) {
        world_later(w, 20000, 400000, checkpoint_event, w);
    }
    if (replica_is_usable(r)) {
        group_checkpoint(r->g);
    }
}

void clients_start(struct world *w)
{
    world_later(w, 0, 1000, client_event, w);
    world_later(w, 0, 20000, read_event, w);
    if (w->has_membership && w->profile != PROFILE_VOTES) {
        world_later(w, 500000, 500000, member_event, w);
    }
    if (w->has_transfers && w->profile != PROFILE_VOTES) {
        world_later(w, 500000, 500000, transfer_event, w);
    }
    if (w->has_checkpoints) {
        world_later(w, 300000, 600000, checkpoint_event, w);
    }
}

/* ---- faults ---- */

static void crash_for(struct node *n, uint64_t low_us, uint64_t high_us)
{
    if (n->is_up) {
        node_crash(n);
        node_restart_later(n, world_between(n->w, low_us, high_us));
    }
}

static struct node *leading_node(struct world *w)
{
    struct replica *r = world_leader(w, any_group(w));
    return r != NULL ? r->node : any_node(w);
}

/* Cuts the leader, perhaps with a companion, off from the rest: both ways or one. */
static void cut_leader(struct world *w)
{
    unsigned leader = leading_node(w)->id;
    unsigned mate = world_chance(w, 600) ? 0 : any_node(w)->id;
    uint64_t how = world_between(w, 0, 4);
    sim_net_unblock_all(w->net);
    for (unsigned a = 1; a <= w->node_count; a++) {
        for (unsigned b = 1; b <= w->node_count; b++) {
            bool a_in = a == leader || a == mate;
            bool b_in = b == leader || b == mate;
            if (a_in != b_in && (how < 3 || (how == 3 && a_in) || (how == 4 && b_in))) {
                sim_net_block(w->net, a, b, true);
            }
        }
    }
}

struct lease_hunt {
    struct world *w;
    unsigned leader, group_no;
    uint64_t mates; /* followers that went on hearing the leader */
};

static void lease_hunt_strike(void *ctx)
{
    struct lease_hunt *h = ctx;
    struct world *w = h->w;
    for (unsigned i = 1; i <= w->node_count && !w->is_healed; i++) {
        sim_net_block(w->net, h->leader, i, true);
        sim_net_block(w->net, i, h->leader, true);
        if (i != h->leader && ((h->mates >> i) & 1) != 0) {
            crash_for(&w->nodes[i], 2000, 20000);
        }
    }
    mem_free(h);
}

/* Most voters lose the leader until they would elect another one; those that still gave it its
 * lease are restarted, and could help them while that lease runs. */
static void hunt_lease(struct world *w)
{
    unsigned group_no = any_group(w);
    struct replica *leader = world_leader(w, group_no);
    if (leader == NULL) {
        return;
    }
    struct group_replica members[ROSTER_MEMBERS_MAX];
    size_t n = group_config(leader->g, members, ROSTER_MEMBERS_MAX);
    struct lease_hunt *h = MEM_NEW(struct lease_hunt);
    size_t mates = 0;
    h->w = w;
    h->leader = leader->node->id;
    h->group_no = group_no;
    sim_net_unblock_all(w->net);
    for (size_t i = 0; i < n; i++) {
        unsigned id = (unsigned)members[i].node_id;
        if (id != h->leader && members[i].is_voter && mates < n / 2) {
            mates++;
            h->mates |= UINT64_C(1) << id;
        }
    }
    for (unsigned i = 1; i <= w->node_count; i++) {
        if (i != h->leader && ((h->mates >> i) & 1) == 0) {
            sim_net_block(w->net, h->leader, i, true);
        }
    }
    world_later(w, 150000, 450000, lease_hunt_strike, h);
}

static void cut_any(struct world *w)
{
    uint64_t how = world_between(w, 0, 5);
    unsigned one = any_node(w)->id;
    uint64_t side = sim_random(w->sim);
    sim_net_unblock_all(w->net);
    for (unsigned a = 1; a <= w->node_count; a++) {
        for (unsigned b = 1; b <= w->node_count; b++) {
            bool block = (how == 0 && (a == one || b == one)) || (how == 1 && a == one) ||
                         (how == 2 && b == one) || (how == 3 && world_chance(w, 300)) ||
                         (how == 4 && ((side >> a) & 1) != ((side >> b) & 1));
            if (block) {
                sim_net_block(w->net, a, b, true);
            }
        }
    }
}

static void slow_disk(struct node *n, unsigned off_per_mille, uint64_t most_us)
{
    struct world *w = n->w;
    if (n->is_up) {
        uint64_t spread = world_chance(w, off_per_mille) ? 300 : world_between(w, 300, most_us);
        sim_loop_disk(n->loop, 100000, spread * 1000);
    }
}

static void pause_end(void *ctx)
{
    struct node *n = ctx;
    if (n->is_up) {
        sim_loop_pause(n->loop, false);
    }
}

static void fault_mixed(struct world *w)
{
    switch (world_between(w, 0, 13)) {
    case 0:
    case 1:
    case 2:
        crash_for(any_node(w), 5000, world_chance(w, 200) ? 1500000 : 300000);
        break;
    case 3:
    case 4:
    case 5:
        cut_any(w);
        break;
    case 6:
        sim_net_unblock_all(w->net);
        break;
    case 7:
        sim_net_loss(w->net, world_chance(w, 500) ? 0 : (unsigned)world_between(w, 0, 300));
        break;
    case 8:
        sim_net_duplicate(w->net, world_chance(w, 500) ? 0 : (unsigned)world_between(w, 0, 300));
        sim_net_delay(w->net, world_chance(w, 400)   ? 0
                              : world_chance(w, 300) ? world_between(w, 0, 200000)
                                                     : world_between(w, 0, 20000));
        break;
    case 9:
    case 10:
        slow_disk(any_node(w), 400, world_chance(w, 300) ? 200000 : 20000);
        break;
    case 11: {
        struct node *n = any_node(w);
        if (n->is_up) {
            sim_loop_pause(n->loop, true);
            world_later(w, 1000, 400000, pause_end, n);
        }
        break;
    }
    case 12: {
        struct node *n = any_node(w);
        n->fails_writes = w->has_write_failures && world_chance(w, 500);
        break;
    }
    default:
        for (unsigned i = 1; i <= w->node_count; i++) {
            if (world_chance(w, 500)) {
                crash_for(&w->nodes[i], 5000, 300000);
            }
        }
    }
}

static void fault_around_leader(struct world *w)
{
    uint64_t k = world_between(w, 0, 13);
    if (k < 2) {
        hunt_lease(w);
    } else if (k < 6) {
        cut_leader(w);
    } else if (k < 7) {
        sim_net_unblock_all(w->net);
    } else if (k < 10) {
        slow_disk(any_node(w), 300, 300000);
    } else if (k < 11) {
        crash_for(any_node(w), 5000, 200000);
    } else if (k < 12) {
        sim_net_delay(w->net, world_chance(w, 500) ? 0 : world_between(w, 0, 60000));
        sim_net_duplicate(w->net, world_chance(w, 500) ? 0 : (unsigned)world_between(w, 0, 200));
    } else if (k < 13) {
        cut_any(w);
    } else {
        sim_net_loss(w->net, world_chance(w, 700) ? 0 : (unsigned)world_between(w, 0, 200));
    }
}

static void fault_figure_8(struct world *w)
{
    if (world_chance(w, 700)) {
        cut_leader(w);
    } else if (world_chance(w, 300)) {
        sim_net_unblock_all(w->net);
    } else if (world_chance(w, 400)) {
        crash_for(leading_node(w), 5000, 100000);
    } else {
        for (unsigned i = 1; i <= w->node_count; i++) {
            slow_disk(&w->nodes[i], 400, 250000);
        }
    }
}

static void fault_hanging(struct world *w)
{
    if (world_chance(w, 500)) {
        fault_figure_8(w);
    }
    for (unsigned i = 1; i <= w->node_count; i++) {
        struct node *n = &w->nodes[i];
        if (n->is_up && world_chance(w, 300)) {
            bool hangs = world_chance(w, 400);
            sim_loop_disk(n->loop, 100000, hangs ? world_between(w, 300, 2000000) * 1000 : 300000);
        }
    }
}

static void fault_late(struct world *w)
{
    sim_net_duplicate(w->net, (unsigned)world_between(w, 0, 400));
    sim_net_delay(w->net, world_between(w, 0, 100000));
    sim_net_loss(w->net, (unsigned)world_between(w, 0, 100));
}

static void fault_transfers(struct world *w)
{
    sim_net_delay(w->net, world_chance(w, 300) ? 0 : world_between(w, 0, 300000));
    if (world_chance(w, 300)) {
        fault_mixed(w);
    }
}

static void fault_event(void *ctx)
{
    struct world *w = ctx;
    uint64_t most_us = 400000;
    if (w->is_healed || w->has_hunt) {
        return;
    }
    switch (w->profile) {
    case PROFILE_VOTES:
        return; /* the hunt is all that happens */
    case PROFILE_LEADER:
        fault_around_leader(w);
        most_us = 250000;
        break;
    case PROFILE_NETWORK:
        if (world_chance(w, 700)) {
            fault_late(w);
        }
        if (world_chance(w, 500)) {
            fault_mixed(w);
        }
        break;
    case PROFILE_FIGURE_8:
        fault_figure_8(w);
        most_us = 350000;
        break;
    case PROFILE_HANGING:
        fault_hanging(w);
        most_us = 250000;
        break;
    case PROFILE_TRANSFERS:
        fault_transfers(w);
        break;
    case PROFILE_MIXED:
    case PROFILES:
        fault_mixed(w);
        break;
    }
    world_later(w, w->profile == PROFILE_FIGURE_8 ? 20000 : 5000, most_us, fault_event, w);
}

void faults_start(struct world *w)
{
    world_later(w, 300000, 600000, fault_event, w);
    hunts_start(w);
}
