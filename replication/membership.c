/*
 * Members come and go one at a time, and leadership moves on request.
 *
 * A new replica is added as a spare (in the configuration, without a log), then made a stand-by (it
 * gets the log or a snapshot, without a vote), and is promoted when it has caught up. Every step is
 * a configuration entry and can be repeated: a step that is already done is skipped, so that a
 * caller who lost the leader in the middle asks the next one for the same.
 *
 * Each call is a fiber that submits to the library and parks until the library's callback: the
 * request outlives a fiber that was cancelled (its outcome is unknown then).
 */
#include "rules.h"

struct change_wait {
    struct raft_change change;
    struct fiber *fiber; /* NULL: nobody waits any more */
    bool is_done;
    int status;
};

static void change_done(struct raft_change *change, int status)
{
    struct change_wait *w = change->data;
    if (w->fiber == NULL) {
        mem_free(w);
        return;
    }
    w->is_done = true;
    w->status = status;
    fiber_wake(w->fiber);
}

static struct status *change_error(const struct group *g, int rv)
{
    unsigned long long id = g->id;
    switch (rv) {
    case 0:
        return NULL;
    case RAFT_NOTLEADER:
        return &status_not_leader;
    case RAFT_CANTCHANGE:
        return status_new(CONFLICT, "group %llu is changing its members already", id);
    case RAFT_LEADERSHIPLOST:
        return status_new(UNKNOWN_OUTCOME, "group %llu lost its leader during a change of members",
                          id);
    case RAFT_NOCONNECTION:
        return status_new(UNAVAILABLE, "a replica of group %llu does not catch up", id);
    case RAFT_BADID:
    case RAFT_NOTFOUND:
        return status_new(NOT_FOUND, "group %llu has no such replica", id);
    case RAFT_DUPLICATEID:
    case RAFT_DUPLICATEADDRESS:
        return status_new(ALREADY_EXISTS, "group %llu has such a replica already", id);
    default:
        return status_new(INTERNAL, "group %llu: change of members: %s", id, raft_strerror(rv));
    }
}

enum change_kind { CHANGE_ADD, CHANGE_ASSIGN, CHANGE_REMOVE };

static int change_submit(struct group *g, struct raft_change *c, enum change_kind kind,
                         uint64_t replica_id, uint64_t node_id, int role)
{
    char address[ROSTER_ADDRESS_SIZE];
    switch (kind) {
    case CHANGE_ADD:
        roster_address_format(address, node_id, replica_id);
        return raft_add(&g->raft, c, replica_id, address, change_done);
    case CHANGE_ASSIGN:
        return raft_assign(&g->raft, c, replica_id, role, change_done);
    case CHANGE_REMOVE:
        return raft_remove(&g->raft, c, replica_id, change_done);
    }
    return RAFT_INVALID;
}

static struct status *change_run(struct fiber *f, struct group *g, enum change_kind kind,
                                 uint64_t replica_id, uint64_t node_id, int role)
{
    if (!group_is_leader(g)) {
        return &status_not_leader;
    }
    if (!rule_may_change(g)) {
        return change_error(g, RAFT_CANTCHANGE);
    }
    quiesce_end(g);
    struct change_wait *w = MEM_NEW(struct change_wait);
    w->change.data = w;
    w->fiber = f;
    int rv = change_submit(g, &w->change, kind, replica_id, node_id, role);
    if (rv != 0) {
        mem_free(w);
        group_after(g);
        return change_error(g, rv);
    }
    group_after(g);
    while (!w->is_done) {
        struct status *st = fiber_park(f);
        if (st != NULL && !w->is_done) {
            w->fiber = NULL;
            struct status *unknown = status_new(
                UNKNOWN_OUTCOME, "the wait for a change of members ended early: %s", st->message);
            status_free(st);
            return unknown;
        }
        status_free(st);
    }
    rv = w->status;
    mem_free(w);
    return change_error(g, rv);
}

static int role_of(const struct group *g, uint64_t replica_id)
{
    const struct raft_configuration *c = &g->raft.configuration;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == replica_id) {
            return c->servers[i].role;
        }
    }
    return -1;
}

/* One membership call at a time: the first error of the pair tells the caller why not. */
static struct status *change_enter(struct group *g)
{
    if (!group_is_leader(g) || (!g->is_ready && rule_on(14)) || !group_enter(g)) {
        return &status_not_leader;
    }
    if (g->is_changing && rule_on(14)) {
        group_leave(g);
        return change_error(g, RAFT_CANTCHANGE);
    }
    g->is_changing = true;
    return NULL;
}

static void change_leave(struct group *g)
{
    g->is_changing = false;
    group_leave(g);
}

struct status *group_add_learner(struct fiber *f, struct group *g, uint64_t replica_id,
                                 uint64_t node_id)
{
    TRY(change_enter(g));
    struct status *st = NULL;
    int role = role_of(g, replica_id);
    if (role < 0) {
        if (g->raft.configuration.n >= GROUP_REPLICAS_MAX) {
            st = status_new(LIMIT, "group %llu has %d replicas already", (unsigned long long)g->id,
                            GROUP_REPLICAS_MAX);
            goto out;
        }
        TRY_GOTO(change_run(f, g, CHANGE_ADD, replica_id, node_id, 0), out);
        role = RAFT_SPARE;
    } else if (group_node_of(g, replica_id) != node_id) {
        st = status_new(ALREADY_EXISTS, "replica %llu of group %llu is on another node",
                        (unsigned long long)replica_id, (unsigned long long)g->id);
        goto out;
    }
    if (role == RAFT_SPARE) {
        st = change_run(f, g, CHANGE_ASSIGN, replica_id, node_id, RAFT_STANDBY);
    }
out:
    change_leave(g);
    return st;
}

static struct status *wait_caught_up(struct fiber *f, struct group *g, uint64_t replica_id)
{
    uint64_t term = g->raft.current_term;
    for (;;) {
        if (!group_is_leader(g) || !g->is_ready || g->raft.current_term != term) {
            return &status_not_leader;
        }
        if (role_of(g, replica_id) < 0) {
            return change_error(g, RAFT_NOTFOUND);
        }
        uint64_t match = group_match_index(g, replica_id);
        if (match != 0 && match + PROMOTE_LAG_MAX >= raft_log_last(&g->raft)) {
            return NULL;
        }
        TRY(cond_wait(f, &g->changed));
    }
}

struct status *group_promote(struct fiber *f, struct group *g, uint64_t replica_id)
{
    TRY(change_enter(g));
    struct status *st = NULL;
    int role = role_of(g, replica_id);
    if (role == RAFT_VOTER) {
        goto out;
    }
    if (role < 0) {
        st = change_error(g, RAFT_NOTFOUND);
        goto out;
    }
    TRY_GOTO(wait_caught_up(f, g, replica_id), out);
    st = change_run(f, g, CHANGE_ASSIGN, replica_id, 0, RAFT_VOTER);
out:
    change_leave(g);
    return st;
}

struct status *group_remove(struct fiber *f, struct group *g, uint64_t replica_id)
{
    TRY(change_enter(g));
    struct status *st = NULL;
    int role = role_of(g, replica_id);
    if (role < 0) {
        goto out; /* removed already */
    }
    if (role == RAFT_VOTER && raft_voter_count(&g->raft) <= 2 && rule_on(18)) {
        st = status_new(INVALID, "group %llu would be left with fewer than two voters",
                        (unsigned long long)g->id);
        st = status_hint(st, "Promote another replica first, or remove the whole group.");
        goto out;
    }
    st = change_run(f, g, CHANGE_REMOVE, replica_id, 0, 0);
out:
    change_leave(g);
    return st;
}

/* ---- leadership ---- */

struct transfer_wait {
    struct raft_transfer transfer;
    struct fiber *fiber;
    bool is_done;
};

static void transfer_done(struct raft_transfer *t)
{
    struct transfer_wait *w = t->data;
    if (w->fiber == NULL) {
        mem_free(w);
        return;
    }
    w->is_done = true;
    fiber_wake(w->fiber);
}

/* The voter that has acknowledged most; 0 = there is none. */
static uint64_t furthest_voter(const struct group *g)
{
    const struct raft *r = &g->raft;
    uint64_t best = 0;
    uint64_t best_match = 0;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        const struct raft_server *s = &r->configuration.servers[i];
        uint64_t match = r->leader_state.progress[i].match_index;
        if (s->id != r->id && s->role == RAFT_VOTER && (best == 0 || match > best_match)) {
            best = s->id;
            best_match = match;
        }
    }
    return best;
}

static struct status *transfer_run(struct fiber *f, struct group *g, uint64_t replica_id)
{
    if (!rule_may_change(g)) {
        return change_error(g, RAFT_CANTCHANGE);
    }
    uint64_t target = replica_id ? replica_id : furthest_voter(g);
    if (target == 0 || !raft_is_voter(&g->raft, target)) {
        return change_error(g, RAFT_NOTFOUND);
    }
    if (target == g->replica_id) {
        return NULL;
    }
    quiesce_end(g);
    lease_drop(g); /* the target may win while our promises hold */
    struct transfer_wait *w = MEM_NEW(struct transfer_wait);
    w->transfer.data = w;
    w->fiber = f;
    uint64_t term = g->raft.current_term;
    int rv = raft_transfer(&g->raft, &w->transfer, target, transfer_done);
    if (rv != 0) {
        mem_free(w);
        group_after(g);
        return change_error(g, rv);
    }
    group_after(g);
    while (!w->is_done) {
        struct status *st = fiber_park(f);
        if (st != NULL && !w->is_done) {
            w->fiber = NULL;
            return st;
        }
        status_free(st);
    }
    mem_free(w);
    if (group_is_leader(g) && g->raft.current_term == term) {
        return status_new(UNAVAILABLE, "replica %llu of group %llu did not take over",
                          (unsigned long long)target, (unsigned long long)g->id);
    }
    return NULL;
}

struct status *group_transfer(struct fiber *f, struct group *g, uint64_t replica_id)
{
    TRY(change_enter(g));
    struct status *st = transfer_run(f, g, replica_id);
    change_leave(g);
    return st;
}
