/*
 * Staged troubles of the Raft simulator: schedules that random faults meet once in ten thousand
 * seeds, each aimed at what one hardening rule is for. Their times are drawn like everything else.
 *
 *   terms    (rule 23) half of an even number of voters goes two terms ahead by elections whose
 *            votes are lost, while the other half gets entries that the first half never sees.
 *            Then nobody can win who is not told of the higher term.
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
    sim_net_filter(w->net, NULL, NULL);
}

/* ---- terms ---- */

struct terms_hunt {
    struct world *w;
    struct replica *leader;
};

static void terms_hunt_start(void *ctx);

static void terms_hunt_end(void *ctx)
{
    struct terms_hunt *h = ctx;
    struct world *w = h->w;
    if (!w->is_healed) {
        hunts_end(w);
        sim_net_unblock_all(w->net);
        world_later(w, 300000, 1500000, terms_hunt_start, w);
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

static void terms_hunt_start(void *ctx)
{
    struct world *w = ctx;
    unsigned group_no = (unsigned)world_between(w, 1, w->group_count);
    struct replica *leader = world_leader(w, group_no);
    if (w->is_healed) {
        return;
    }
    if (leader == NULL || !replica_is_usable(leader)) {
        world_later(w, 100000, 300000, terms_hunt_start, w);
        return;
    }
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
    r->is_changing = false;
    w->lost_node = 0;
    mem_free(h);
}

static void removal_start(void *ctx)
{
    struct world *w = ctx;
    unsigned group_no = (unsigned)world_between(w, 1, w->group_count);
    struct replica *leader = world_leader(w, group_no);
    if (w->is_healed || leader == NULL || leader->is_changing || !replica_is_usable(leader)) {
        return;
    }
    struct group_replica members[ROSTER_MEMBERS_MAX];
    size_t n = group_config(leader->g, members, ROSTER_MEMBERS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (members[i].is_voter && members[i].replica_id != leader->replica_id) {
            struct removal *h = MEM_NEW(struct removal);
            h->leader = leader;
            h->target = members[i].replica_id;
            leader->is_changing = true;
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
        world_later(w, 400000, 800000, terms_hunt_start, w);
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
