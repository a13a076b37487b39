/*
 * The hardening rules, by number. R is the library's struct raft; "deliver" is a call of its
 * receive callback. See rules.h, and docs/SIMULATION.md for how fast the simulator notices each one
 * missing.
 *
 * Two rules have no function because they are how the code is built:
 *
 * 11. An append is never completed with an error: after one the library truncates its memory and
 *     goes on with other entries at the same indexes, so that state machines diverge. A failed log
 *     write ends the process (log_store.c).
 * 20. Every send callback fires before the next call into R (group_fire_sends()), so that
 * references to log entries live shortly: the library confuses two generations of one (index, term)
 * and frees batches that a send still refers to. Loaded entries have an allocation each.
 */
#include "rules.h"

static void barrier_done(struct raft_barrier *b, int status)
{
    struct group *g = b->data;
    if (status == 0 && g->raft.state == RAFT_LEADER && g->barrier_term == g->raft.current_term) {
        g->is_ready = true;
    }
    mem_free(b);
}

/*
 * 1. Own-term barrier. The library commits entries of earlier terms by counting replicas (Raft,
 * figure 8): such an entry can be overwritten after it was applied. So a new leader at once appends
 * an entry of its own term, and counts as ready, for proposals, reads, membership and transfer,
 * when that one is applied. The call fails while a transfer of an earlier leadership is left over;
 * it is tried again after every call, and the barrier's index counts as infinite meanwhile.
 */
bool rule_own_term_barrier(struct group *g)
{
    struct raft *r = &g->raft;
    if (r->state != RAFT_LEADER || g->barrier_term == r->current_term) {
        return false;
    }
    if (!rule_on(1)) {
        g->barrier_term = r->current_term;
        g->barrier_index = 0;
        g->is_ready = true;
        return true;
    }
    struct raft_barrier *b = MEM_NEW(struct raft_barrier);
    b->data = g;
    if (raft_barrier(r, b, barrier_done) != 0) {
        mem_free(b);
        return false;
    }
    g->barrier_term = r->current_term;
    g->barrier_index = raft_log_last(r);
    return true;
}

/*
 * 2. Successful results wait (in a queue) until R.last_stored has reached the own-term barrier: the
 * library tests only last_stored for a quorum, and from then on that index is of the current term.
 * Rejections never move the commit index and are delivered at once; holding them too, together with
 * rule 5, would dead-lock the leader.
 */
bool rule_hold_result(const struct group *g, const struct wire_append_result *m)
{
    return rule_on(2) && m->rejected == 0 && g->raft.state == RAFT_LEADER &&
           m->term == g->raft.current_term && g->raft.last_stored < g->barrier_index;
}

/*
 * 3. A follower acknowledges its whole stored log, also a suffix that the leader never sent it, and
 * the leader believes that up to its own last index: acknowledged writes are lost. A success names
 * at most the end of the message that caused it.
 */
uint64_t rule_clamp_result(const struct group *g, uint64_t last_index)
{
    if (!rule_on(3) || (!g->call.is_delivery && !g->call.is_completion)) {
        return last_index;
    }
    return last_index > g->call.clamp ? g->call.clamp : last_index;
}

/*
 * 4. The commit index that arrives is clamped to the end of the message. An unsplit message always
 * reaches up to the leader's last index, a part of a split one (rule 13) does not.
 */
uint64_t rule_clamp_commit(uint64_t commit, uint64_t prev_index, unsigned count)
{
    uint64_t end = prev_index + count;
    return rule_on(4) && commit > end ? end : commit;
}

/*
 * 5. Commit progress. The library moves the commit index only when a majority has the leader's
 * *own* last_stored; with a fast disk and a steady stream nothing ever commits. So the leader is
 * told of its own write only when enough other voters have acknowledged it. The barrier's own
 * append (and what is before it) is never held, or rule 2 would wait for ever.
 */
bool rule_hold_append(const struct group *g, const struct append_op *a)
{
    return rule_on(5) && g->raft.state == RAFT_LEADER && a->as_leader &&
           a->term == g->raft.current_term && a->end > g->barrier_index && !rule_may_release(g, a);
}

bool rule_may_release(const struct group *g, const struct append_op *a)
{
    const struct raft *r = &g->raft;
    if (r->state != RAFT_LEADER || r->current_term != a->term ||
        g->followers_term != r->current_term) {
        return true;
    }
    unsigned needed = raft_others_needed(r);
    for (unsigned i = 0; needed > 0 && i < g->follower_count; i++) {
        const struct follower *f = &g->followers[i];
        if (f->replica_id != g->replica_id && f->acked >= a->end &&
            raft_is_voter(r, f->replica_id)) {
            needed--;
        }
    }
    return needed == 0;
}

/*
 * 6. When the term has changed between an append's submission and its completion, the library's
 * answer would carry the new term and speak for entries that the new leader did not send. The
 * completion is delivered, its result is not.
 */
bool rule_swallow_completion(const struct group *g, const struct append_op *a)
{
    return rule_on(6) && g->raft.current_term != a->term;
}

/*
 * 7. A node whose entries are not all on disk must not stand for election with them: no tick for a
 * non-leader with appends in flight, and no TimeoutNow. (While an install replaces the log the
 * instance is frozen altogether, rule 19.)
 */
bool rule_no_tick(const struct group *g)
{
    return rule_on(7) && g->raft.state != RAFT_LEADER && g->appends_in_flight > 0;
}

bool rule_drop_timeout_now(const struct group *g)
{
    return rule_on(7) && g->appends_in_flight > 0;
}

/*
 * 8. The configuration of a snapshot comes from our history, not from R: the library stores the
 * newest one even when it is not committed. Postponing the snapshot instead dead-locks, because an
 * uncommitted change may need a voter that first needs a snapshot.
 */
bool rule_configuration_at(const struct group *g, uint64_t index, uint64_t *out_index,
                           struct roster *out)
{
    const struct roster_at *at = roster_history_at(&g->history, index);
    if (!rule_on(8) || at == NULL) {
        return false;
    }
    *out_index = at->index;
    *out = at->conf;
    return true;
}

/*
 * 9. Truncating a configuration entry makes the library look up the one before it, which a
 * checkpoint may have dropped: it dereferences NULL. Such a truncation is written to disk, and the
 * instance is loaded again instead of being told.
 */
bool rule_reload_to_truncate(const struct group *g, uint64_t index)
{
    return rule_on(9) && roster_history_last_index(&g->history) >= index;
}

/*
 * 10. Sending a result never fails: any error but NOCONNECTION makes the instance unavailable, and
 * an error after a received AppendEntries was consumed is a double free. Results may be addressed
 * to nobody (no known leader): swallowed. A request to a peer that is away fails at once.
 */
int rule_send_status(const struct group *g, const struct raft_message *m, uint64_t node_id,
                     bool *out_swallow)
{
    bool is_result =
        m->type == RAFT_IO_APPEND_ENTRIES_RESULT || m->type == RAFT_IO_REQUEST_VOTE_RESULT;
    struct peer_link *link = g->host->opt.link;
    bool is_reachable = node_id != 0 && m->server_id != 0 && m->server_id != g->replica_id &&
                        (node_id == g->host->opt.node_id || link->is_connected(link, node_id));
    *out_swallow = !is_reachable;
    if (is_reachable) {
        return 0;
    }
    if (is_result) {
        return rule_on(10) ? 0 : RAFT_IOERR;
    }
    return RAFT_NOCONNECTION;
}

/*
 * Not of the 26: the log is not all of a group's state. What was there when the group began (its
 * descriptor, the rows of a shard that was split off) is in the state store only. Founders have it,
 * and entry 1. Who is sent entry 1 is a newcomer, and must get the state by an install, however
 * short the log is: the entries are withheld, and a checkpoint makes the library send a snapshot.
 */
bool rule_install_newcomer(struct group *g, const struct raft_message *m)
{
    if (m->type != RAFT_IO_APPEND_ENTRIES || m->append_entries.prev_log_index != 0 ||
        m->append_entries.n_entries == 0) {
        return false;
    }
    if (g->raft.log.snapshot.last_index == 0) {
        group_checkpoint(g);
    }
    return true;
}

/*
 * 12. Term and vote are written in the same queue as entries, without waiting; what must not happen
 * is that a message of this group leaves before they are durable. All its messages wait, in order.
 */
bool rule_gate(const struct group *g)
{
    return rule_on(12) && g->metas_in_flight > 0;
}

/*
 * 13. The library sends everything from next_index on in one message. It is cut into consecutive
 * messages, each with its own previous entry; while it probes, only the first part goes out.
 */
unsigned rule_part_size(const struct group *g, const struct raft_entry *entries, unsigned count)
{
    if (!rule_on(13)) {
        return count;
    }
    size_t bytes = 0;
    unsigned n = 0;
    while (n < count && n < g->host->part_entries_max) {
        bytes += entries[n].buf.len + WIRE_ENTRY_HEADER;
        if (n > 0 && bytes > APPEND_PART_BYTES_MAX) {
            break;
        }
        n++;
    }
    return n;
}

/*
 * 14. Membership changes and transfers only by a ready leader, with no transfer and no other change
 * under way: all older configuration entries are applied then (the library would take their
 * application for that of the new one).
 */
bool rule_may_change(const struct group *g)
{
    const struct raft *r = &g->raft;
    if (!group_is_leader(g)) {
        return false;
    }
    if (!rule_on(14)) {
        return true;
    }
    return g->is_ready && r->transfer == NULL && r->configuration_uncommitted_index == 0 &&
           r->leader_state.promotee_id == 0 && r->leader_state.change == NULL;
}

/*
 * 15. While a transfer is under way the library votes for its target even if it has voted for
 * somebody else in that term: two leaders in one term.
 */
bool rule_drop_second_vote(const struct group *g, uint64_t candidate, const struct wire_vote *m)
{
    const struct raft *r = &g->raft;
    return rule_on(15) && !m->pre_vote && m->term == r->current_term && r->voted_for != 0 &&
           r->voted_for != candidate && r->transfer != NULL;
}

/*
 * 16. An AppendEntries that truncates is dropped while any append is in flight: the library counts
 * completions of entries that were truncated and sent again into last_stored, and so acknowledges
 * what is not on disk.
 */
bool rule_drop_truncation(const struct group *g)
{
    return rule_on(16) && g->appends_in_flight > 0;
}

/*
 * 17. An AppendEntries that begins before what this log retains is rewritten to begin at R's
 * snapshot, without the entries that it covers. The library would append its entries as new ones at
 * the end. Late duplicates and repeated probes do that.
 */
bool rule_rebase(const struct group *g, uint64_t prev_index, unsigned count, unsigned *out_skip)
{
    const struct raft_log *l = &g->raft.log;
    if (!rule_on(17) || prev_index >= l->offset || l->snapshot.last_index == 0) {
        return false;
    }
    uint64_t covered = l->snapshot.last_index - prev_index;
    *out_skip = covered >= count ? count : (unsigned)covered;
    return true;
}

/*
 * 18. The library makes the only voter leader without a new term, so that a restarted or newly sole
 * voter leads one term twice, with different entries at the same index. Its term is raised durably
 * before the start. (And no change ever takes a group from two voters to one, membership.c.)
 */
bool rule_bump_sole_voter(const struct group *g, const struct log_image *image)
{
    struct roster conf;
    if (!rule_on(18)) {
        return false;
    }
    for (size_t i = image->count; i > 0; i--) {
        const struct raft_entry *e = &image->entries[i - 1];
        if (e->type == RAFT_CHANGE) {
            return roster_decode(slice_make(e->buf.base, e->buf.len), &conf) &&
                   roster_is_sole_voter(&conf, g->replica_id);
        }
    }
    return image->has_snapshot && roster_is_sole_voter(&image->snapshot.conf, g->replica_id);
}

/*
 * 19. The library never sees an InstallSnapshot. Its path acknowledges entries that are not on
 * disk, leaves a stale uncommitted configuration behind and votes in the middle. An offered
 * snapshot is first delivered as an empty AppendEntries at its index; when the log or the state
 * covers it, the answer goes out and that is all. Otherwise the answer is swallowed, and once the
 * state has been streamed the instance is frozen, log and snapshot record are replaced in one
 * durable step, and it is loaded again (install_recv.c). Not while appends or a checkpoint are in
 * flight: the leader repeats. With the rule off it does not wait, and does what makes the library's
 * path unsafe: it answers as soon as the state has come.
 */
bool rule_install_must_wait(const struct group *g)
{
    return rule_on(19) && (g->appends_in_flight > 0 || g->checkpoint.step != CHECKPOINT_IDLE);
}

bool rule_install_answers_at_once(void)
{
    return !rule_on(19);
}

/*
 * 21. At least one trailing entry is kept behind a checkpoint (zero means "installed snapshot" to
 * snapshot_put), and replica ids are never reused: a late acknowledgement for the earlier holder of
 * an id would count for the new one. The log store remembers the highest id that was destroyed
 * here (DEAD, create_group()), and a message for another id than the replica's is not for it
 * (host.c).
 */
uint64_t rule_trailing(uint64_t wanted)
{
    return rule_on(21) && wanted == 0 ? 1 : wanted;
}

/*
 * 22. Non-voters must vote. The library refuses votes by the voter's own, possibly outdated
 * configuration: a node that is being promoted, or has an uncommitted change without itself, would
 * block a group for ever although a majority is up. Who counts is decided by the candidate. For the
 * time of the delivery the configuration says that this node is a voter; and because a non-voter
 * never forgets its leader, that is done here when its timeout has passed.
 */
void rule_vote_as_member(struct group *g, struct vote_patch *p)
{
    struct raft *r = &g->raft;
    p->is_on = rule_on(22) && raft_log_last(r) > 0 && !raft_is_voter(r, r->id);
    if (!p->is_on) {
        return;
    }
    p->saved = r->configuration;
    p->self = (struct raft_server){r->id, r->address, RAFT_VOTER};
    r->configuration.servers = &p->self;
    r->configuration.n = 1;
    if (r->state == RAFT_FOLLOWER &&
        r->io->time(r->io) - r->election_timer_start >= r->election_timeout) {
        r->follower_state.current_leader.id = 0;
    }
}

void rule_vote_as_member_end(struct group *g, struct vote_patch *p)
{
    if (p->is_on) {
        g->raft.configuration = p->saved;
    }
}

/*
 * 23. A refused pre-vote carries the voter's real term when that is higher. The library echoes the
 * candidate's, so that a node with the longest log and a low term never learns the higher one, and
 * nobody is ever elected.
 */
uint64_t rule_prevote_term(const struct group *g, const struct raft_request_vote_result *m)
{
    if (rule_on(23) && m->pre_vote == raft_tribool_true && !m->vote_granted &&
        g->raft.current_term > m->term) {
        return g->raft.current_term;
    }
    return m->term;
}

/*
 * 24. Before a candidate whose timer has expired is ticked, the flag of a transfer is taken from it
 * and pre-vote is on again. Otherwise a node with a short log, or a removed one, disturbs the group
 * for ever without a pre-vote. Leases depend on it too: the flag gives permission to ignore them.
 */
void rule_rearm_prevote(struct group *g)
{
    struct raft *r = &g->raft;
    if (!rule_on(24) || r->state != RAFT_CANDIDATE ||
        r->io->time(r->io) - r->election_timer_start <
            r->candidate_state.randomized_election_timeout) {
        return;
    }
    r->candidate_state.disrupt_leader = false;
    r->candidate_state.in_pre_vote = r->pre_vote;
}

/*
 * 25. When a delivery other than AppendEntries has raised the term of a follower, its old leader is
 * forgotten. The library keeps it, so that this voter refuses everybody while each vote that it
 * grants to a candidate with the transfer's flag resets its own timer. (The lease has a guard of
 * its own and does not rest on the known leader.)
 */
void rule_forget_leader(struct group *g, uint64_t term_before, bool is_append)
{
    struct raft *r = &g->raft;
    if (rule_on(25) && !is_append && r->current_term > term_before && r->state == RAFT_FOLLOWER) {
        r->follower_state.current_leader.id = 0;
    }
}

/*
 * 26. The index of a streamed snapshot is the newest that this process has applied: R.last_applied,
 * or after a re-load where it was before. After a restart the state may be ahead of that (entries
 * since the last checkpoint are applied again); it does no harm, since entries are idempotent and
 * the receiver applies them again too. To claim the index that the store names would be wrong after
 * a power cut (unsynced batches survive in no order), and to refuse until R has caught up
 * dead-locks when the new quorum needs the snapshot first: that is what is tried with this rule
 * off.
 */
bool rule_stream_index(const struct group *g, uint64_t *out_index)
{
    *out_index = g->applied_index;
    return rule_on(26) ||
           (g->stored_applied <= g->raft.last_applied && g->applied_index == g->raft.last_applied);
}
