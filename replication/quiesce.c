/*
 * Idle groups sleep behind a heartbeat between nodes.
 *
 * A leader whose group has been idle for quiesce_after_ms, with every member caught up, tells the
 * members to sleep and stops ticking. A member that is as far as the leader says stops ticking too;
 * what stands in for the leader's heartbeats are the beats of its node (any envelope counts). When
 * they stay away for an election timeout, or the node's process is another one than before, all
 * groups that it led wake up and count their own time again. Any message of the group, and any
 * proposal or read barrier, wakes it at once on both sides.
 *
 * A sleeping leader has no lease (nothing renews it): the first read after a sleep confirms by a
 * ping. Waking restarts the library's timers, or it would take the sleep for a loss of contact.
 */
#include "rules.h"

/* A member looks around after this long, in case its leader is no longer a leader. */
#define SLEEP_NS_MAX ((uint64_t)60000000000)

void quiesce_end(struct group *g)
{
    if (!g->is_quiet) {
        return;
    }
    g->is_quiet = false;
    g->quiet_node = 0;
    g->idle_since_ns = loop_now_ns(g->host->loop);
    if (g->state == GROUP_RUNNING) {
        g->raft.election_timer_start = g->io.time(&g->io);
    }
}

void quiesce_peer_restarted(struct group_host *h, uint64_t node_id)
{
    LIST_FOREACH(it, &h->groups)
    {
        struct group *g = LIST_ITEM(it, struct group, link);
        if (g->is_quiet && g->quiet_node == node_id) {
            quiesce_end(g);
        }
    }
}

static bool is_calm(const struct group *g)
{
    return g->state == GROUP_RUNNING && !g->is_closing && g->appends_in_flight == 0 &&
           g->metas_in_flight == 0 && g->proposed_count == 0 && list_is_empty(&g->inflight) &&
           list_is_empty(&g->readers) && list_is_empty(&g->held_results) &&
           list_is_empty(&g->installs_out) && g->install_in == NULL &&
           g->checkpoint.step == CHECKPOINT_IDLE && !g->is_changing && !g->checkpoint_wanted &&
           g->raft.transfer == NULL && g->raft.configuration_uncommitted_index == 0 &&
           g->raft.commit_index == raft_log_last(&g->raft);
}

static bool all_matched(const struct group *g)
{
    const struct raft *r = &g->raft;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        const struct raft_server *s = &r->configuration.servers[i];
        if (s->id == r->id) {
            continue;
        }
        uint64_t node_id;
        if (s->role == RAFT_SPARE || !roster_address_parse(s->address, &node_id) ||
            r->leader_state.progress[i].match_index != raft_log_last(r) ||
            !g->host->opt.link->is_connected(g->host->opt.link, node_id)) {
            return false;
        }
    }
    return r->configuration.n > 1; /* ticking alone costs next to nothing */
}

static void send_to_sleep(struct group *g)
{
    const struct raft *r = &g->raft;
    struct wire_message m = {.kind = WIRE_QUIESCE, .group = g->id, .from = g->replica_id};
    m.quiesce.term = r->current_term;
    m.quiesce.last_index = raft_log_last(r);
    m.quiesce.commit = r->commit_index;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        const struct raft_server *s = &r->configuration.servers[i];
        uint64_t node_id;
        if (s->id != r->id && roster_address_parse(s->address, &node_id)) {
            m.to = s->id;
            io_post(g, node_id, &m, NULL);
        }
    }
    g->is_quiet = true;
    g->quiet_node = 0;
}

/* A sleeping leader goes on sleeping only while it hears from the nodes of all members. */
static bool members_live(const struct group *g, uint64_t now, uint64_t timeout)
{
    const struct raft *r = &g->raft;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        uint64_t node_id;
        if (r->configuration.servers[i].id == r->id) {
            continue;
        }
        if (!roster_address_parse(r->configuration.servers[i].address, &node_id) ||
            now - host_peer(g->host, node_id)->heard_ns > timeout) {
            return false;
        }
    }
    return true;
}

void quiesce_tick(struct group *g)
{
    uint64_t now = loop_now_ns(g->host->loop);
    uint64_t timeout = ms_to_ns(g->host->opt.election_ms);
    if (g->is_quiet) {
        bool stays = g->quiet_node != 0
                         ? now - host_peer(g->host, g->quiet_node)->heard_ns <= timeout &&
                               now - g->idle_since_ns < SLEEP_NS_MAX
                         : members_live(g, now, timeout);
        if (!stays) {
            quiesce_end(g);
        }
        return;
    }
    if (g->state != GROUP_RUNNING || g->raft.state != RAFT_LEADER || !g->is_ready || !is_calm(g) ||
        raft_log_last(&g->raft) != g->idle_last_index) {
        g->idle_since_ns = now;
        g->idle_last_index = g->state == GROUP_RUNNING ? raft_log_last(&g->raft) : 0;
        return;
    }
    if (now - g->idle_since_ns >= ms_to_ns(g->host->opt.quiesce_after_ms) && all_matched(g)) {
        send_to_sleep(g);
    }
}

void quiesce_receive(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    const struct raft *r = &g->raft;
    if (r->state == RAFT_FOLLOWER && r->current_term == m->quiesce.term &&
        r->follower_state.current_leader.id == m->from && is_calm(g) &&
        raft_log_last(r) == m->quiesce.last_index && r->commit_index == m->quiesce.commit) {
        g->is_quiet = true;
        g->quiet_node = node_id;
        g->idle_since_ns = loop_now_ns(g->host->loop);
    }
}
