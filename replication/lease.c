/*
 * Leases and read barriers: reads of the newest state without writing to the log.
 *
 * Lease. A leader stamps every AppendEntries (and ping) with its clock; a follower that accepts it
 * promises not to vote and not to stand for election for one election timeout, and echoes the
 * stamp. Until (the quorum-th newest echoed stamp) + election timeout, less a margin for the rates
 * of the two clocks, no other leader can have been elected. What makes that sound: L1 the promise
 * begins before the echo leaves, by the follower's clock read at that moment; L2 the stamp is not
 * later than the sending (the time of the turn's start); L3 the guard drops votes and pre-votes and
 * our own election ticks until the promise is over; the one exception is a candidate of the next
 * term that the leader itself sent into the election (the transfer flag), and that leader has
 * dropped its lease for the rest of the term before; L4 promises are forgotten in a crash, so for
 * one election timeout after its start a replica behaves as if it had promised, unless its term
 * shows that it never saw a leader; L5 the clock is read at the moment of the check, not at the
 * start of the turn. The library's own check of its quorum is no lease: it looks back up to two
 * timeouts.
 *
 * Read barrier without a lease: a ping with a sequence number goes to all voters; each answers if
 * it is in the same term and follows this leader. Answers of a majority to a ping sent after the
 * read came prove that no newer leader existed then. All reads of a turn share one ping.
 */
#include "rules.h"

#include "base/buggify.h"

static uint64_t election_ns(const struct group *g)
{
    return ms_to_ns(g->host->opt.election_ms);
}

void lease_promise(struct group *g, uint64_t from, uint64_t term)
{
    (void)from;
    if (term < g->raft.current_term) {
        return; /* it will be refused */
    }
    g->promise_until_ns = loop_clock_ns(g->host->loop) + election_ns(g);
    g->promise_term = term;
}

void lease_at_start(struct group *g, bool is_fresh)
{
    if (g->promise_until_ns != 0) {
        return; /* loaded again by the same process: its promise holds */
    }
    g->promise_until_ns = 1;
    g->promise_term = 0;
    if (!is_fresh) {
        g->promise_until_ns = loop_clock_ns(g->host->loop) + election_ns(g);
    }
}

bool lease_forbids_vote(struct group *g, const struct wire_vote *m)
{
    if (g->raft.state == RAFT_LEADER || loop_clock_ns(g->host->loop) >= g->promise_until_ns) {
        return false;
    }
    return !(m->disrupt_leader && !m->pre_vote && g->promise_term != 0 &&
             m->term == g->promise_term + 1);
}

bool lease_forbids_tick(struct group *g)
{
    const struct raft *r = &g->raft;
    if (r->state == RAFT_LEADER || loop_clock_ns(g->host->loop) >= g->promise_until_ns) {
        return false;
    }
    /* A candidate that the leader has sent goes on. */
    return r->state == RAFT_FOLLOWER || !r->candidate_state.disrupt_leader;
}

void lease_drop(struct group *g)
{
    g->no_lease_term = g->raft.current_term;
}

/* The quorum-th newest of a value over the voters, this replica's own counting as `own`. */
static uint64_t quorum_value(const struct group *g, uint64_t own, bool want_pong)
{
    const struct raft *r = &g->raft;
    uint64_t values[ROSTER_MEMBERS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        const struct raft_server *s = &r->configuration.servers[i];
        uint64_t v = 0;
        if (s->role != RAFT_VOTER) {
            continue;
        }
        if (s->id == r->id) {
            v = own;
        }
        for (unsigned k = 0; s->id != r->id && k < g->follower_count; k++) {
            if (g->followers[k].replica_id == s->id) {
                v = want_pong ? g->followers[k].pong : g->followers[k].echo_ns;
            }
        }
        unsigned at = n++; /* insertion, newest first */
        while (at > 0 && values[at - 1] < v) {
            values[at] = values[at - 1];
            at--;
        }
        values[at] = v;
    }
    return n == 0 ? 0 : values[n / 2];
}

static bool leads_ready(const struct group *g)
{
    return group_is_leader(g) && g->is_ready && g->followers_term == g->raft.current_term;
}

bool group_lease_valid(struct group *g)
{
    if (!leads_ready(g) || g->raft.transfer != NULL) {
        return false;
    }
    if (bug_on(BUG_READ_AFTER_LEASE)) {
        return true;
    }
    if (g->no_lease_term == g->raft.current_term) {
        return false;
    }
    g->idle_since_ns = loop_now_ns(g->host->loop); /* a group that is read is not idle */
    uint64_t now = loop_clock_ns(g->host->loop);
    uint64_t stamp = quorum_value(g, now, false);
    uint64_t timeout = election_ns(g);
    /* Both clocks may be off by the rate; one millisecond for the library's rounding. */
    uint64_t margin = (uint64_t)((double)timeout * 2 * g->host->opt.clock_drift_max) + 1000000;
    return stamp != 0 && timeout > margin && now < stamp + timeout - margin;
}

/* ---- read barriers ---- */

void ping_flush(struct group *g)
{
    if (!g->ping_wanted) {
        return;
    }
    g->ping_wanted = false;
    if (!leads_ready(g)) {
        return;
    }
    struct raft *r = &g->raft;
    struct wire_message m = {.kind = WIRE_PING, .group = g->id, .from = g->replica_id};
    m.ping.term = r->current_term;
    m.ping.sequence = ++g->ping_sequence;
    m.ping.stamp_ns = loop_now_ns(g->host->loop);
    LIST_FOREACH(it, &g->readers)
    {
        struct read_wait *w = LIST_ITEM(it, struct read_wait, link);
        if (w->sequence == 0) {
            w->sequence = g->ping_sequence;
        }
    }
    for (unsigned i = 0; i < r->configuration.n; i++) {
        const struct raft_server *s = &r->configuration.servers[i];
        uint64_t node_id;
        if (s->id != r->id && s->role == RAFT_VOTER && roster_address_parse(s->address, &node_id)) {
            m.to = s->id;
            io_post(g, node_id, &m, NULL);
        }
    }
    readers_check(g);
}

void ping_receive(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    const struct raft *r = &g->raft;
    if (r->state != RAFT_FOLLOWER || r->current_term != m->ping.term ||
        r->follower_state.current_leader.id != m->from) {
        return;
    }
    lease_promise(g, m->from, m->ping.term);
    struct wire_message answer = *m;
    answer.kind = WIRE_PONG;
    answer.from = g->replica_id;
    answer.to = m->from;
    io_post(g, node_id, &answer, NULL);
}

void pong_receive(struct group *g, const struct wire_message *m)
{
    if (!group_is_leader(g) || m->ping.term != g->raft.current_term ||
        m->ping.sequence > g->ping_sequence || m->ping.stamp_ns > loop_clock_ns(g->host->loop)) {
        return;
    }
    struct follower *f = group_follower(g, m->from);
    if (f == NULL) {
        return;
    }
    if (m->ping.sequence > f->pong) {
        f->pong = m->ping.sequence;
    }
    if (m->ping.stamp_ns > f->echo_ns) {
        f->echo_ns = m->ping.stamp_ns;
    }
    readers_check(g);
}

void readers_check(struct group *g)
{
    if (list_is_empty(&g->readers)) {
        return;
    }
    bool is_leader = leads_ready(g) && !g->is_closing;
    uint64_t confirmed = is_leader ? quorum_value(g, g->ping_sequence, true) : 0;
    LIST_FOREACH_SAFE(it, next, &g->readers)
    {
        struct read_wait *w = LIST_ITEM(it, struct read_wait, link);
        if (!is_leader) {
            w->is_failed = true;
        } else if (w->sequence == 0 || w->sequence > confirmed) {
            continue;
        }
        w->is_done = true;
        list_unlink(&w->link);
        fiber_wake(w->fiber);
    }
}

static struct status *confirm_leadership(struct fiber *f, struct group *g)
{
    struct read_wait w = {.fiber = f};
    list_push_back(&g->readers, &w.link);
    g->ping_wanted = true;
    host_schedule(g->host, g);
    struct status *st = NULL;
    while (!w.is_done && st == NULL) {
        st = fiber_park(f);
    }
    list_unlink(&w.link);
    if (w.is_done) {
        status_free(st);
        st = w.is_failed ? &status_not_leader : NULL;
    }
    return st;
}

struct status *group_read_barrier(struct fiber *f, struct group *g)
{
    if (!group_enter(g)) {
        return &status_not_leader;
    }
    struct status *st = NULL;
    if (!leads_ready(g)) {
        st = &status_not_leader;
        goto out;
    }
    quiesce_end(g);
    uint64_t term = g->raft.current_term;
    uint64_t commit = g->raft.commit_index;
    if (!group_lease_valid(g)) {
        TRY_GOTO(confirm_leadership(f, g), out);
    }
    while (g->applied_index < commit && leads_ready(g) && g->raft.current_term == term) {
        TRY_GOTO(cond_wait(f, &g->changed), out);
    }
    if (!leads_ready(g) || g->raft.current_term != term) {
        st = &status_not_leader;
    }
out:
    group_leave(g);
    return st;
}

void group_wake(struct group *g)
{
    quiesce_end(g);
}
