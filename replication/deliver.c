/*
 * What arrives for a group: messages and ticks, judged by the rules before the library sees them.
 *
 * The library checks nothing (its asserts are compiled out), so a message that breaks the protocol
 * (an AppendEntries of our own term while we lead, a vote request in somebody else's name) is
 * dropped here. Order for each message: guards that drop it; holds that must be released first
 * (rule 5); rewriting; the call; group_after().
 */
#include "base/log.h"
#include "rules.h"

#include <stdio.h>

static void recv_message(struct group *g, uint64_t node_id, uint64_t from, struct raft_message *rm)
{
    char address[ROSTER_ADDRESS_SIZE];
    roster_address_format(address, node_id, from);
    rm->server_id = from;
    rm->server_address = address;
    uint64_t term_before = g->raft.current_term;
    g->recv(&g->io, rm);
    rule_forget_leader(g, term_before, rm->type == RAFT_IO_APPEND_ENTRIES);
    g->call = (struct group_call){0};
}

/* ---- AppendEntries ---- */

static void wire_entries_read(struct group_host *h, const struct wire_append *a)
{
    if (a->entry_count > h->wire_entry_capacity) {
        h->wire_entry_capacity = a->entry_count + 64;
        h->wire_entries =
            mem_realloc(h->wire_entries, h->wire_entry_capacity * sizeof *h->wire_entries);
    }
    struct reader r;
    reader_init(&r, a->entries);
    for (unsigned i = 0; i < a->entry_count; i++) {
        bool ok = wire_entry_next(&r, &h->wire_entries[i]);
        ASSERT(ok);
    }
}

/* Library memory: an array of entries, and one batch that holds their payloads. */
static struct raft_entry *entries_make(const struct wire_entry *from, unsigned count)
{
    size_t total = 0;
    for (unsigned i = 0; i < count; i++) {
        total += from[i].payload.len;
    }
    struct raft_entry *entries = raft_malloc(count * sizeof *entries);
    uint8_t *batch = raft_malloc(total + 1);
    ASSERT(entries != NULL && batch != NULL);
    uint8_t *p = batch;
    for (unsigned i = 0; i < count; i++) {
        entries[i].term = from[i].term;
        entries[i].type = from[i].type;
        entries[i].batch = batch;
        entries[i].buf.base = p;
        entries[i].buf.len = from[i].payload.len;
        memcpy(p, from[i].payload.data, from[i].payload.len);
        p += from[i].payload.len;
    }
    return entries;
}

/* Index of the first entry that contradicts our log, 0 = none: there the library would truncate. */
static uint64_t find_conflict(const struct group *g, uint64_t prev_index, uint64_t prev_term,
                              const struct wire_entry *entries, unsigned count)
{
    const struct raft *r = &g->raft;
    if (prev_index > 0) {
        uint64_t term = raft_log_term(r, prev_index);
        if (term == 0 || term != prev_term) {
            return 0; /* it will be rejected */
        }
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t term = raft_log_term(r, prev_index + 1 + i);
        if (term == 0 && prev_index + 1 + i > raft_log_last(r)) {
            return 0;
        }
        if (term != 0 && term != entries[i].term) {
            return prev_index + 1 + i;
        }
    }
    return 0;
}

/* True: the message ends here. */
static bool handle_conflict(struct group *g, uint64_t index)
{
    if (index <= g->raft.commit_index) {
        group_fail_damaged(g, "the leader contradicts a committed entry");
        return true;
    }
    if (rule_drop_truncation(g)) {
        return true;
    }
    if (rule_reload_to_truncate(g, index)) {
        g->io.truncate(&g->io, index);
        g->wants_reload = true;
        group_freeze(g);
        group_drained(g);
        return true;
    }
    return false;
}

static void deliver_append(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    struct raft *r = &g->raft;
    const struct wire_append *a = &m->append;
    struct raft_message rm = {.type = RAFT_IO_APPEND_ENTRIES};
    struct raft_append_entries *out = &rm.append_entries;
    if (a->term == r->current_term && r->state == RAFT_LEADER) {
        LOGW("raft", "group %llu: replica %llu claims to lead our own term %llu",
             (unsigned long long)g->id, (unsigned long long)m->from, (unsigned long long)a->term);
        return;
    }
    wire_entries_read(g->host, a);
    const struct wire_entry *entries = g->host->wire_entries;
    unsigned count = a->entry_count;
    out->term = a->term;
    out->prev_log_index = a->prev_index;
    out->prev_log_term = a->prev_term;
    out->leader_commit = a->commit;
    if (a->term >= r->current_term) {
        if (a->term > r->current_term && io_release_held(g, true)) { /* rule 5 */
            group_after(g);
            if (g->state != GROUP_RUNNING) {
                return;
            }
        }
        unsigned skip = 0;
        if (rule_rebase(g, a->prev_index, count, &skip)) {
            entries += skip;
            count -= skip;
            out->prev_log_index = r->log.snapshot.last_index;
            out->prev_log_term = r->log.snapshot.last_term;
        }
        out->leader_commit = rule_clamp_commit(a->commit, out->prev_log_index, count);
        uint64_t conflict =
            find_conflict(g, out->prev_log_index, out->prev_log_term, entries, count);
        if (conflict != 0 && handle_conflict(g, conflict)) {
            return;
        }
    }
    out->n_entries = count;
    out->entries = count ? entries_make(entries, count) : NULL;
    g->call = (struct group_call){
        .is_delivery = true, .clamp = out->prev_log_index + count, .echo_ns = a->stamp_ns};
    lease_promise(g, m->from, a->term);
    recv_message(g, node_id, m->from, &rm);
    group_after(g);
}

void deliver_heartbeat(struct group *g, uint64_t from_node, uint64_t from, uint64_t term,
                       uint64_t prev_index, uint64_t prev_term, uint64_t stamp_ns, bool swallow)
{
    struct raft_message rm = {.type = RAFT_IO_APPEND_ENTRIES};
    rm.append_entries.term = term;
    rm.append_entries.prev_log_index = prev_index;
    rm.append_entries.prev_log_term = prev_term;
    if (term > g->raft.current_term && io_release_held(g, true)) {
        group_after(g);
        if (g->state != GROUP_RUNNING) {
            return;
        }
    }
    g->call = (struct group_call){
        .is_delivery = true, .swallow = swallow, .clamp = prev_index, .echo_ns = stamp_ns};
    lease_promise(g, from, term);
    recv_message(g, from_node, from, &rm);
    group_after(g);
}

/* ---- results of AppendEntries ---- */

void deliver_append_result_now(struct group *g, uint64_t node_id, uint64_t from,
                               const struct wire_append_result *m)
{
    struct raft_message rm = {.type = RAFT_IO_APPEND_ENTRIES_RESULT};
    rm.append_entries_result.term = m->term;
    rm.append_entries_result.rejected = m->rejected;
    rm.append_entries_result.last_log_index = m->last_index;
    recv_message(g, node_id, from, &rm);
}

static void deliver_append_result(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    struct raft *r = &g->raft;
    const struct wire_append_result *a = &m->append_result;
    if (r->state == RAFT_LEADER && a->term == r->current_term) {
        struct follower *f = group_follower(g, m->from);
        if (f != NULL && a->echo_ns > f->echo_ns &&
            a->echo_ns <= loop_clock_ns(g->host->loop)) { /* never believe a stamp of the future */
            f->echo_ns = a->echo_ns;
        }
        if (f != NULL && a->rejected == 0 && a->last_index > f->acked) {
            f->acked = a->last_index;
            cond_broadcast(&g->changed); /* who promotes a learner waits for its progress */
        }
        if (a->rejected == 0 && io_release_held(g, false)) { /* rule 5, before the delivery */
            group_after(g);
            if (g->state != GROUP_RUNNING) {
                return;
            }
        }
        if (rule_hold_result(g, a)) {
            struct held_result *hr = MEM_NEW(struct held_result);
            hr->from = m->from;
            hr->node_id = node_id;
            hr->m = *a;
            list_push_back(&g->held_results, &hr->link);
            return;
        }
    } else if (a->term > r->current_term) {
        io_release_held(g, true);
    }
    deliver_append_result_now(g, node_id, m->from, a);
    group_after(g);
}

/* ---- votes ---- */

static void deliver_vote(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    struct raft *r = &g->raft;
    const struct wire_vote *v = &m->vote;
    if (lease_forbids_vote(g, v) || rule_drop_second_vote(g, m->from, v)) {
        return;
    }
    if (!v->pre_vote && v->term > r->current_term) {
        io_release_held(g, true);
        group_after(g);
        if (g->state != GROUP_RUNNING) {
            return;
        }
    }
    struct raft_message rm = {.type = RAFT_IO_REQUEST_VOTE};
    rm.request_vote.term = v->term;
    rm.request_vote.candidate_id = m->from;
    rm.request_vote.last_log_index = v->last_index;
    rm.request_vote.last_log_term = v->last_term;
    rm.request_vote.disrupt_leader = v->disrupt_leader;
    rm.request_vote.pre_vote = v->pre_vote;
    struct vote_patch patch;
    rule_vote_as_member(g, &patch);
    recv_message(g, node_id, m->from, &rm);
    rule_vote_as_member_end(g, &patch);
    group_after(g);
}

static void deliver_vote_result(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    struct raft_message rm = {.type = RAFT_IO_REQUEST_VOTE_RESULT};
    rm.request_vote_result.term = m->vote_result.term;
    rm.request_vote_result.vote_granted = m->vote_result.granted;
    rm.request_vote_result.pre_vote = (raft_tribool)m->vote_result.pre_vote;
    recv_message(g, node_id, m->from, &rm);
    group_after(g);
}

static void deliver_timeout_now(struct group *g, uint64_t node_id, const struct wire_message *m)
{
    if (rule_drop_timeout_now(g)) {
        return;
    }
    struct raft_message rm = {.type = RAFT_IO_TIMEOUT_NOW};
    rm.timeout_now.term = m->timeout_now.term;
    rm.timeout_now.last_log_index = m->timeout_now.last_index;
    rm.timeout_now.last_log_term = m->timeout_now.last_term;
    recv_message(g, node_id, m->from, &rm);
    group_after(g);
}

void deliver(struct group *g, uint64_t from_node, const struct wire_message *m)
{
    if (g->state != GROUP_RUNNING) {
        if (m->kind == WIRE_INSTALL_CHUNK && install_is_replacing(g)) {
            install_chunk(g, from_node, m); /* a repeated last chunk: answered, never applied */
        }
        return;
    }
    if (m->from == g->replica_id) {
        return;
    }
    if (m->kind != WIRE_QUIESCE) {
        quiesce_end(g);
    }
    switch (m->kind) {
    case WIRE_APPEND:
        deliver_append(g, from_node, m);
        break;
    case WIRE_APPEND_RESULT:
        deliver_append_result(g, from_node, m);
        break;
    case WIRE_VOTE:
        deliver_vote(g, from_node, m);
        break;
    case WIRE_VOTE_RESULT:
        deliver_vote_result(g, from_node, m);
        break;
    case WIRE_TIMEOUT_NOW:
        deliver_timeout_now(g, from_node, m);
        break;
    case WIRE_PING:
        ping_receive(g, from_node, m);
        break;
    case WIRE_PONG:
        pong_receive(g, m);
        break;
    case WIRE_QUIESCE:
        quiesce_receive(g, from_node, m);
        break;
    case WIRE_INSTALL_BEGIN:
        install_begin(g, from_node, m);
        break;
    case WIRE_INSTALL_CHUNK:
        install_chunk(g, from_node, m);
        break;
    case WIRE_INSTALL_ACK:
        install_ack(g, m);
        break;
    case WIRE_BEAT:
        break;
    }
}

/* ---- ticks ---- */

/*
 * Until a group has had its first leader (term 1 is the one of the first configuration, which has
 * none), the voter with the lowest id asks for votes at every tick, and nobody else needs to.
 */
static void hurry_first_election(struct group *g)
{
    struct raft *r = &g->raft;
    if (r->current_term != 1 || !raft_is_voter(r, r->id) ||
        (r->state == RAFT_CANDIDATE && !r->candidate_state.in_pre_vote) ||
        (r->state != RAFT_CANDIDATE && r->state != RAFT_FOLLOWER)) {
        return;
    }
    for (unsigned i = 0; i < r->configuration.n; i++) {
        if (r->configuration.servers[i].role == RAFT_VOTER &&
            r->configuration.servers[i].id < r->id) {
            return;
        }
    }
    r->election_timer_start = r->io->time(r->io) - 2 * (raft_time)r->election_timeout;
}

/*
 * A pre-vote that nobody answered is asked again after a part of the timeout: it binds nobody, and
 * a voter may have dropped it because its promise to the old leader ended a moment later.
 */
static void repeat_prevote(struct group *g)
{
    struct raft *r = &g->raft;
    if (r->state != RAFT_CANDIDATE || !r->candidate_state.in_pre_vote) {
        return;
    }
    raft_time waited = r->io->time(r->io) - r->election_timer_start;
    raft_time part = r->election_timeout / 4;
    if (waited >= part + loop_random_below(g->host->loop, part)) {
        r->election_timer_start = r->io->time(r->io) - 2 * (raft_time)r->election_timeout;
    }
}

void group_tick(struct group *g)
{
    if (g->state != GROUP_RUNNING) {
        install_recv_tick(g);
        return;
    }
    if (!rule_on(20)) {
        group_fire_sends(g);
    }
    install_send_tick(g);
    install_recv_tick(g);
    if (g->state != GROUP_RUNNING || rule_no_tick(g) || lease_forbids_tick(g)) {
        return;
    }
    hurry_first_election(g);
    repeat_prevote(g);
    rule_rearm_prevote(g);
    g->tick(&g->io);
    group_after(g);
    if (!list_is_empty(&g->readers)) { /* a ping may have been lost */
        g->ping_wanted = true;
        host_schedule(g->host, g);
    }
}
