/*
 * Staged troubles of the Raft simulator: schedules that random faults meet once in ten thousand
 * seeds, each aimed at what one hardening rule is for. Their times are drawn like everything else.
 *
 *   terms    (rule 23) half of an even number of voters goes two terms ahead by elections whose
 *            votes are lost, while the other half gets entries that the first half never sees.
 *            Then nobody can win who is not told of the higher term.
 *   members  (rule 14) a leader that is cut off removes a voter; the next one, before it has
 * committed anything, is asked to remove the first, and reaches just one voter. Two majorities
 *            without a common member, if it obeys.
 *   removal  (rule 24) the target of a transfer stands for election unheard, is removed meanwhile,
 *            and goes on standing with the transfer's permission to disturb.
 *   stream   (rule 5) when all is well again: a leader with a fast disk, followers with slow ones,
 *            and proposals without a pause. Some of it must be committed before it ends.
 */
#include "raft_world.h"

#define MS_NS UINT64_C(1000000)
#define STREAM_MS 400u

/* ---- messages that are lost by kind ---- */

static bool has_kind(struct slice envelope, bool (*is_it)(const struct wire_message *m))
{
    struct wire_reader wr;
    struct wire_message m;
    bool more = true;
    bool found = false;
    struct status *st = wire_open(&wr, envelope);
    while (st == NULL && !found) {
        st = wire_next(&wr, &m, &more);
        if (st != NULL || !more) {
            break;
        }
        found = is_it(&m);
    }
    status_free(st);
    return found;
}

static bool is_vote(const struct wire_message *m)
{
    return m->kind == WIRE_VOTE;
}

static bool is_real_vote(const struct wire_message *m)
{
    return m->kind == WIRE_VOTE && !m->vote.pre_vote;
}

static bool is_timeout_now(const struct wire_message *m)
{
    return m->kind == WIRE_TIMEOUT_NOW;
}

static bool is_lost(void *ctx, uint64_t from, uint64_t to, unsigned channel, struct slice bytes)
{
    const struct world *w = ctx;
    if (w->lost_node != 0 && from == w->lost_node) {
        return true;
    }
    if (w->lost_node != 0 && to == w->lost_node) {
        return channel != SIM_NET_RAFT || !has_kind(bytes, is_timeout_now);
    }
    if (channel != SIM_NET_RAFT) {
        return false;
    }
    return (((w->deaf_nodes >> from) & 1) != 0 && has_kind(bytes, is_vote)) ||
           (((w->deaf_nodes >> to) & 1) != 0 && has_kind(bytes, is_real_vote));
}

void hunts_end(struct world *w)
{
    w->lost_node = 0;
    w->deaf_nodes = 0;
    w->members_old = w->members_new = NULL;
    sim_net_filter(w->net, NULL, NULL);
}

/* ---- terms ---- */

struct terms_hunt {
    struct world *w;
    struct replica *leader;
};

static void hunt_votes(void *ctx);

static void terms_hunt_end(void *ctx)
{
    struct terms_hunt *h = ctx;
    struct world *w = h->w;
    if (!w->is_healed) {
        hunts_end(w);
        sim_net_unblock_all(w->net);
        world_later(w, 300000, 1500000, hunt_votes, w);
    }
    mem_free(h);
}

/* The old leader is back, and gives its half an entry of its old term. */
static void terms_hunt_return(void *ctx)
{
    struct terms_hunt *h = ctx;
    struct world *w = h->w;
    struct node *n = h->leader->node;
    if (n->is_up && !w->is_healed) {
        sim_loop_pause(n->loop, false);
        sim_loop_at(n->loop, sim_now_ns(w->sim), replica_propose, h->leader);
    }
    world_later(w, 200000, 500000, terms_hunt_end, h); /* he has stepped down by then, mostly */
}

static void terms_hunt_start(struct world *w, struct replica *leader)
{
    struct group_replica members[ROSTER_MEMBERS_MAX];
    size_t n = group_config(leader->g, members, ROSTER_MEMBERS_MAX);
    size_t mates = 1;
    for (size_t i = 0; i < n; i++) {
        unsigned id = (unsigned)members[i].node_id;
        if (id == leader->node->id) {
            continue;
        }
        if (mates < n / 2) {
            mates++;
            w->deaf_nodes |= UINT64_C(1) << id;
        } else {
            sim_net_block(w->net, leader->node->id, id, true);
            sim_net_block(w->net, id, leader->node->id, true);
        }
    }
    sim_net_filter(w->net, is_lost, w);
    sim_loop_pause(leader->node->loop, true);
    struct terms_hunt *h = MEM_NEW(struct terms_hunt);
    h->w = w;
    h->leader = leader;
    world_later(w, 400000, 1000000, terms_hunt_return, h);
}

/* ---- members ---- */

struct members_change {
    struct replica *leader;
    uint64_t gone;
};

static void members_fiber(struct fiber *f, void *arg)
{
    struct members_change *c = arg;
    struct replica *r = c->leader;
    fiber_set_deadline(f, loop_now_ns(r->node->loop) + 2000 * MS_NS);
    struct status *st = group_remove(f, r->g, c->gone);
    TRACE(r->node->w, "group %u: replica %llu removes %llu: %s", r->group_no,
          (unsigned long long)r->replica_id, (unsigned long long)c->gone,
          st ? st->message : "done");
    status_free(st);
    r->changes_under_way--;
    mem_free(c);
}

static void members_remove(struct replica *leader, uint64_t gone)
{
    struct members_change *c = MEM_NEW(struct members_change);
    c->leader = leader;
    c->gone = gone;
    leader->changes_under_way++;
    fiber_spawn(leader->node->loop, FIBER_STACK_SMALL, members_fiber, c);
}

/* Of the voters, those for which in_a is 1 hear each other, and so do the others. */
static void part(struct world *w, uint64_t side_a)
{
    sim_net_unblock_all(w->net);
    for (unsigned a = 1; a <= w->node_count; a++) {
        for (unsigned b = 1; b <= w->node_count; b++) {
            if (((side_a >> a) & 1) != ((side_a >> b) & 1)) {
                sim_net_block(w->net, a, b, true);
            }
        }
    }
}

static uint64_t bit_of(const struct replica *r)
{
    return UINT64_C(1) << r->node->id;
}

static void members_hunt_end(void *ctx)
{
    struct world *w = ctx;
    if (!w->is_healed) {
        hunts_end(w);
        sim_net_unblock_all(w->net);
        world_later(w, 300000, 1000000, hunt_votes, w);
    }
}

/* The old leader comes back to the voter that the new one did not reach. */
static void members_hunt_return(void *ctx)
{
    struct world *w = ctx;
    struct replica *gone = NULL;
    if (w->is_healed || w->members_new == NULL) {
        return;
    }
    gone = replica_find(w, w->members_old->group_no, w->members_gone);
    if (gone != NULL) {
        part(w, bit_of(w->members_new) | bit_of(gone));
    }
}

void hunts_new_leader(struct replica *r)
{
    struct world *w = r->node->w;
    struct replica *old = w->members_old;
    if (old == NULL || w->members_new != NULL || r->group_no != old->group_no || r == old ||
        r->replica_id == w->members_gone) {
        return;
    }
    struct replica *gone = replica_find(w, r->group_no, w->members_gone);
    if (gone != NULL) { /* at once, before its first messages leave */
        part(w, bit_of(r) | bit_of(gone));
        w->members_new = r;
        members_remove(r, old->replica_id);
        world_later(w, 30000, 80000, members_hunt_return, w);
    }
}

static void members_hunt_start(struct world *w, struct replica *leader)
{
    struct group_replica members[ROSTER_MEMBERS_MAX];
    size_t n = group_config(leader->g, members, ROSTER_MEMBERS_MAX);
    const struct group_replica *m = &members[world_between(w, 0, n - 1)];
    if (n < 4 || m->replica_id == leader->replica_id) {
        world_later(w, 10000, 100000, hunt_votes, w);
        return;
    }
    w->members_old = leader;
    w->members_new = NULL;
    w->members_gone = m->replica_id;
    part(w, bit_of(leader));
    members_remove(leader, m->replica_id);
    world_later(w, 1500000, 1500000, members_hunt_end, w);
}

static void hunt_votes(void *ctx)
{
    struct world *w = ctx;
    unsigned group_no = (unsigned)world_between(w, 1, w->group_count);
    struct replica *leader = world_leader(w, group_no);
    if (w->is_healed) {
        return;
    }
    if (leader == NULL || !replica_is_usable(leader) || leader->changes_under_way > 0) {
        world_later(w, 100000, 300000, hunt_votes, w);
    } else if (world_chance(w, 500)) {
        terms_hunt_start(w, leader);
    } else {
        members_hunt_start(w, leader);
    }
}

/* ---- removal ---- */

struct removal {
    struct replica *leader;
    uint64_t target;
};

static void removal_fiber(struct fiber *f, void *arg)
{
    struct removal *h = arg;
    struct replica *r = h->leader;
    struct world *w = r->node->w;
    fiber_set_deadline(f, loop_now_ns(r->node->loop) + 1000 * MS_NS);
    status_free(group_transfer(f, r->g, h->target)); /* nobody hears the target's election */
    struct status *st = group_remove(f, r->g, h->target);
    TRACE(w, "group %u: remove %llu while it stands for election: %s", r->group_no,
          (unsigned long long)h->target, st ? st->message : "done");
    struct replica *gone = st == NULL ? replica_find(w, r->group_no, h->target) : NULL;
    if (gone != NULL) { /* its node hears of it much later */
        gone->is_doomed = true;
        w->stats->changes++;
    }
    status_free(st);
    r->changes_under_way--;
    w->lost_node = 0;
    mem_free(h);
}

static void removal_start(void *ctx)
{
    struct world *w = ctx;
    unsigned group_no = (unsigned)world_between(w, 1, w->group_count);
    struct replica *leader = world_leader(w, group_no);
    if (w->is_healed || leader == NULL || leader->changes_under_way > 0 ||
        !replica_is_usable(leader)) {
        return;
    }
    struct group_replica members[ROSTER_MEMBERS_MAX];
    size_t n = group_config(leader->g, members, ROSTER_MEMBERS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (members[i].is_voter && members[i].replica_id != leader->replica_id) {
            struct removal *h = MEM_NEW(struct removal);
            h->leader = leader;
            h->target = members[i].replica_id;
            leader->changes_under_way++;
            w->lost_node = members[i].node_id;
            sim_net_filter(w->net, is_lost, w);
            fiber_spawn(leader->node->loop, FIBER_STACK_SMALL, removal_fiber, h);
            return;
        }
    }
}

static void removal_prepare(void *ctx)
{
    struct world *w = ctx;
    if (!w->is_healed) {
        w->has_hunt = true; /* no other trouble from here on */
        sim_net_heal(w->net);
        world_later(w, 350000, 350000, removal_start, w);
    }
}

void hunts_start(struct world *w)
{
    if (w->profile == PROFILE_VOTES) {
        world_later(w, 400000, 800000, hunt_votes, w);
    }
    if (w->profile == PROFILE_TRANSFERS && w->has_membership) {
        uint64_t end_us = w->heal_planned_ns / 1000;
        world_later(w, end_us - 700000, end_us - 700000, removal_prepare, w);
    }
}

/* ---- stream ---- */

static void stream_propose(void *ctx)
{
    for (unsigned i = 0; i < 2; i++) {
        replica_propose(ctx);
    }
}

static void stream_event(void *ctx)
{
    struct world *w = ctx;
    struct replica *leader = world_leader(w, 1);
    if (w->is_over || leader == NULL || leader->g->raft.current_term != w->stream_term) {
        w->stream_until_ns = 0; /* an election; not what this is about */
        return;
    }
    if (sim_now_ns(w->sim) < w->stream_until_ns) {
        sim_loop_at(leader->node->loop, sim_now_ns(w->sim), stream_propose, leader);
        world_later(w, 300, 700, stream_event, w);
        return;
    }
    uint64_t commit = leader->g->raft.commit_index;
    uint64_t last = raft_log_last(&leader->g->raft);
    TRACE(w, "the stream ends: from entry %llu to %llu, committed %llu",
          (unsigned long long)w->stream_from, (unsigned long long)last, (unsigned long long)commit);
    if (commit < w->stream_from + (last - w->stream_from) / 8) {
        world_fail(w, "a steady stream from entry %llu to %llu of group 1 is committed up to %llu",
                   (unsigned long long)w->stream_from, (unsigned long long)last,
                   (unsigned long long)commit);
    }
    for (unsigned i = 1; i <= w->node_count; i++) {
        sim_loop_disk(w->nodes[i].loop, 100000, 300000);
    }
    w->stream_until_ns = 0;
}

void stream_start(struct world *w)
{
    struct replica *leader = world_leader(w, 1);
    w->stream_until_ns = sim_now_ns(w->sim) + STREAM_MS * MS_NS;
    w->stream_from = raft_log_last(&leader->g->raft);
    w->stream_term = leader->g->raft.current_term;
    for (unsigned i = 1; i <= w->node_count; i++) {
        bool is_leader = i == leader->node->id;
        sim_loop_disk(w->nodes[i].loop, is_leader ? 100000 : 4000000, is_leader ? 100000 : 1000000);
    }
    stream_event(w);
}
