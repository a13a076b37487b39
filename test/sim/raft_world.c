/*
 * Nodes of the Raft simulator: boot, crash, restart; the state machine of its groups; the run.
 *
 * A node boots with a loop of its own (its clock runs a little fast or slow), opens the stores on
 * its disk, and opens its replicas on a fiber. A crash drops the loop as it is; the memory of the
 * boot is lost with it, which is why a batch of seeds is a process of its own (raft_sim.c).
 */
#include "raft_world.h"

#include <stdio.h>

#define NS_PER_MS UINT64_C(1000000)
#define HEAL_LIMIT_NS (10000 * NS_PER_MS)
#define LATE_MESSAGES_NS (2500 * NS_PER_MS)
#define CALM_NS (1000 * NS_PER_MS)

bool world_chance(struct world *w, unsigned per_mille)
{
    return sim_random_below(w->sim, 1000) < per_mille;
}

uint64_t world_between(struct world *w, uint64_t low, uint64_t high)
{
    return low + sim_random_below(w->sim, high - low + 1);
}

/* ---- the state machine: slots that hold the newest command ---- */

static struct replica *replica_of(struct group_fsm *fsm)
{
    return CONTAINER_OF(fsm, struct replica, fsm);
}

static void fsm_apply(struct group_fsm *fsm, const struct group_entry *entries, size_t count,
                      struct store_batch *batch)
{
    struct replica *r = replica_of(fsm);
    for (size_t i = 0; i < count; i++) {
        uint8_t key[10] = {'d'};
        struct entry_view v = entry_view(entries[i].data);
        check_apply(r, &entries[i]);
        set_u64(key + 1, r->group_no);
        key[9] = v.slot;
        store_batch_put(batch, slice_make(key, sizeof key), entries[i].data);
    }
}

static size_t fsm_ranges(struct group_fsm *fsm, struct key_range *out, size_t max)
{
    struct replica *r = replica_of(fsm);
    ASSERT(max > 0);
    buf_put_u8(&out[0].start, 'd');
    buf_put_u64(&out[0].start, r->group_no);
    buf_put_u8(&out[0].end, 'd');
    buf_put_u64(&out[0].end, (uint64_t)r->group_no + 1);
    return 1;
}

/* ---- boot ---- */

struct replica *world_leader(struct world *w, unsigned group_no)
{
    struct replica *best = NULL;
    for (unsigned i = 1; i <= w->node_count; i++) {
        struct replica *r = &w->nodes[i].replicas[group_no];
        if (w->nodes[i].is_up && r->g != NULL && !r->is_opening && group_is_leader(r->g) &&
            (best == NULL || r->g->raft.current_term > best->g->raft.current_term)) {
            best = r;
        }
    }
    return best;
}

static void on_fatal(void *ctx, struct status *st);

static void log_failed(void *ctx, struct status *st)
{
    struct node *n = ctx;
    TRACE(n->w, "node %u: %s", n->id, st->message);
    status_free(st);
    n->has_failed = true;
    node_crash(n);
    node_restart_later(n, world_between(n->w, 20000, 400000));
}

static void on_fatal(void *ctx, struct status *st)
{
    struct node *n = ctx;
    world_fail(n->w, "node %u: fatal: %s", n->id, st->message);
}

static bool wants_failure(void *ctx)
{
    struct node *n = ctx;
    return n->fails_writes && world_chance(n->w, 100);
}

static struct status *open_replica(struct fiber *f, struct replica *r)
{
    struct node *n = r->node;
    r->fsm.apply = fsm_apply;
    r->fsm.ranges = fsm_ranges;
    r->applied = 0;
    r->checked = 0;
    r->life++;
    r->disk.is_stale = true;
    struct group *g = NULL;
    TRY(group_open(f, n->host, r->group_no, &r->fsm, &g));
    r->g = g;
    return NULL;
}

void world_empty_fiber(struct fiber *f, void *arg)
{
    struct replica *r = arg;
    struct world *w = r->node->w;
    struct status *st = group_bootstrap(f, r->node->host, r->group_no, r->replica_id, NULL, 0);
    if (st == NULL) {
        st = open_replica(f, r);
    }
    if (st != NULL) {
        world_fail(w, "a new replica: %s", st->message);
    }
    r->is_opening = false;
}

void world_doom_fiber(struct fiber *f, void *arg)
{
    struct replica *r = arg;
    struct world *w = r->node->w;
    if (r->g == NULL || r->is_opening || r->changes_under_way > 0) {
        return; /* the next boot does it */
    }
    r->is_opening = true;
    struct group *g = r->g;
    struct status *st = group_destroy_replica(f, g);
    if (st != NULL) {
        world_fail(w, "destroy a replica: %s", st->message);
    }
    TRACE(w, "group %u: replica %llu is destroyed on node %u", r->group_no,
          (unsigned long long)r->replica_id, r->node->id);
    r->g = NULL;
    r->exists = r->is_doomed = r->is_opening = false;
    r->dead_id = r->replica_id;
    r->replica_id = 0;
}

void world_reuse_fiber(struct fiber *f, void *arg)
{
    struct replica *r = arg;
    struct world *w = r->node->w;
    struct status *st = group_bootstrap(f, r->node->host, r->group_no, r->dead_id, NULL, 0);
    if (!status_is(st, STATUS_ALREADY_EXISTS)) {
        world_fail(w, "node %u group %u: replica id %llu is given a second time", r->node->id,
                   r->group_no, (unsigned long long)r->dead_id);
    }
    status_free(st);
    r->is_opening = false;
}

static void boot_fiber(struct fiber *f, void *arg)
{
    struct node *n = arg;
    bool existed[GROUPS_MAX + 1]; /* others may be placed here meanwhile */
    for (unsigned i = 1; i <= n->w->group_count; i++) {
        existed[i] = n->replicas[i].exists;
    }
    for (unsigned i = 1; i <= n->w->group_count; i++) {
        struct replica *r = &n->replicas[i];
        if (!existed[i]) {
            continue;
        }
        struct status *st = open_replica(f, r);
        if (status_is(st, STATUS_NOT_FOUND)) {
            status_free(st);
            st = NULL;
            if (r->is_doomed) { /* its removal was cut short, and is complete now */
                r->dead_id = r->replica_id;
                r->exists = r->is_doomed = r->is_opening = false;
                r->replica_id = 0;
            } else { /* its creation was */
                fiber_spawn(n->loop, FIBER_STACK_SMALL, world_empty_fiber, r);
            }
            continue;
        }
        if (st != NULL) {
            world_fail(n->w, "node %u opens group %u: %s", n->id, i, st->message);
        }
        r->is_opening = false;
        if (r->is_doomed) {
            fiber_spawn(n->loop, FIBER_STACK_SMALL, world_doom_fiber, r);
        }
    }
}

static void check_status(struct world *w, struct status *st, const char *what)
{
    if (st != NULL) {
        world_fail(w, "%s: %s", what, st->message);
    }
}

void node_start(struct node *n)
{
    struct world *w = n->w;
    char name[16];
    if (n->is_up) {
        return;
    }
    snprintf(name, sizeof name, "n%u", n->id);
    n->is_up = true;
    n->has_failed = false;
    n->boots++;
    n->loop = sim_loop_create(w->sim, name);
    sim_loop_clock(n->loop, n->rate, 0);
    check_status(w, store_mem_open(n->disk, "log", &n->log), "open the log store");
    check_status(w, store_mem_open(n->disk, "state", &n->state), "open the state store");
    sim_net_attach(w->net, n->id, n->loop);
    struct group_host_options o = w->options;
    o.loop = n->loop;
    o.node_id = n->id;
    o.log = n->log;
    o.state = n->state;
    o.link = sim_net_link(w->net, n->id);
    check_status(w, group_host_create(&o, &n->host), "create a host");
    n->host->envelope_items_max = w->envelope_items;
    n->host->part_entries_max = w->part_entries;
    n->host->chunk_bytes = w->chunk_bytes;
    n->host->probe = (struct group_probe){check_after, n};
    n->host->on_fatal = on_fatal;
    n->host->on_fatal_ctx = n;
    log_store_set_hooks(n->host->log, &(struct log_store_hooks){.failed = log_failed,
                                                                .durable = check_durable,
                                                                .wants_failure = wants_failure,
                                                                .ctx = n});
    for (unsigned i = 1; i <= w->group_count; i++) {
        n->replicas[i].g = NULL;
        n->replicas[i].changes_under_way = 0;
        n->replicas[i].is_opening = n->replicas[i].exists;
        n->replicas[i].disk.is_stale = true;
    }
    TRACE(w, "node %u starts", n->id);
    fiber_spawn(n->loop, FIBER_STACK_SMALL, boot_fiber, n);
}

void node_crash(struct node *n)
{
    struct world *w = n->w;
    if (!n->is_up) {
        return;
    }
    TRACE(w, "node %u crashes", n->id);
    w->stats->crashes++;
    if (world_chance(w, 500)) {
        log_store_write_through(n->host->log);
    }
    if (!n->has_failed && world_chance(w, 100)) { /* an orderly end, of the process at least */
        group_host_destroy(n->host);
    }
    n->is_up = false;
    sim_net_detach(w->net, n->id);
    sim_loop_crash(n->loop);
    mem_disk_crash(n->disk, (int[]){0, 50, 100}[world_between(w, 0, 2)]);
    n->host = NULL;
    for (unsigned i = 1; i <= w->group_count; i++) {
        n->replicas[i].g = NULL;
    }
}

static void restart_event(void *ctx)
{
    node_start(ctx);
}

void node_restart_later(struct node *n, uint64_t after_us)
{
    sim_at(n->w->sim, sim_now_ns(n->w->sim) + after_us * 1000, restart_event, n);
}

/* ---- the end: everything works again, so the groups must too ---- */

struct healed_proposal {
    struct group_proposal p;
    struct world *w;
    unsigned group_no;
    uint64_t uid;
};

static void healed_done(struct group_proposal *p, struct status *st)
{
    struct healed_proposal *hp = CONTAINER_OF(p, struct healed_proposal, p);
    hp->w->healed_pending[hp->group_no] = false;
    if (st == NULL) {
        check_acked(hp->w, hp->group_no, p->index, hp->uid);
        hp->w->healed_index[hp->group_no] = p->index;
    }
    status_free(st);
    mem_free(hp);
}

static void healed_propose(void *ctx)
{
    struct replica *r = ctx;
    struct world *w = r->node->w;
    if (r->g == NULL || w->healed_pending[r->group_no] || w->healed_index[r->group_no] != 0) {
        return;
    }
    struct healed_proposal *hp = MEM_NEW(struct healed_proposal);
    struct buf data = {NULL, 0, 0};
    hp->w = w;
    hp->group_no = r->group_no;
    hp->uid = w->uid_next++;
    hp->p.done = healed_done;
    entry_make(&data, hp->uid, (uint8_t)(hp->uid % SLOTS), 0);
    struct status *st = group_propose(r->g, buf_slice(&data), &hp->p);
    buf_deinit(&data);
    w->healed_pending[r->group_no] = st == NULL;
    if (st != NULL) {
        status_free(st);
        mem_free(hp);
    }
}

static bool group_is_well(struct world *w, unsigned group_no)
{
    struct replica *leader = world_leader(w, group_no);
    uint64_t index = w->healed_index[group_no];
    if (leader == NULL) {
        return false;
    }
    if (index == 0) {
        sim_loop_at(leader->node->loop, sim_now_ns(w->sim), healed_propose, leader);
        return false;
    }
    const struct raft_configuration *conf = &leader->g->raft.configuration;
    for (unsigned i = 0; i < conf->n; i++) {
        struct replica *r = replica_find(w, group_no, conf->servers[i].id);
        if (conf->servers[i].role == RAFT_SPARE) {
            continue;
        }
        if (r == NULL || r->g == NULL || r->is_opening || r->g->state != GROUP_RUNNING ||
            group_applied_index(r->g) < index) {
            return false;
        }
    }
    return true;
}

static void describe_group(struct world *w, unsigned group_no, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (unsigned i = 1; i <= w->node_count && at + 120 < size; i++) {
        const struct replica *r = &w->nodes[i].replicas[group_no];
        if (r->g == NULL) {
            continue;
        }
        const struct raft *f = &r->g->raft;
        at += (size_t)snprintf(
            out + at, size - at, " [n%u r%llu st%d s%u t%llu last%llu c%llu a%llu fl%u q%d in%d]",
            i, (unsigned long long)r->replica_id, (int)r->g->state, f->state, f->current_term,
            (unsigned long long)raft_log_last(f), f->commit_index, f->last_applied,
            r->g->appends_in_flight, r->g->is_quiet, r->g->install_in != NULL);
    }
}

static void final_checks(struct world *w)
{
    for (unsigned k = 1; k <= w->group_count; k++) {
        const struct raft_configuration *conf = &world_leader(w, k)->g->raft.configuration;
        uint64_t sum = 0;
        uint64_t sum_at = 0;
        for (unsigned i = 0; i < conf->n; i++) {
            struct replica *r = replica_find(w, k, conf->servers[i].id);
            if (conf->servers[i].role == RAFT_SPARE || r == NULL) {
                continue;
            }
            check_final_state(r);
            if (sum_at == group_applied_index(r->g) && sum != group_checksum(r->g)) {
                world_fail(w, "group %u: checksums differ at entry %llu", k,
                           (unsigned long long)sum_at);
            }
            sum_at = group_applied_index(r->g);
            sum = group_checksum(r->g);
        }
        if (w->checkers[k]->acked_max > w->checkers[k]->commit_max) {
            world_fail(w, "group %u: acknowledged beyond what is committed", k);
        }
    }
}

static uint64_t leaders_terms(struct world *w)
{
    uint64_t sum = 0;
    for (unsigned k = 1; k <= w->group_count; k++) {
        struct replica *leader = world_leader(w, k);
        if (leader == NULL) {
            return 0;
        }
        sum += leader->g->raft.current_term;
    }
    return sum;
}

/* What some seeds look at when all is well: a steady stream is committed; nobody disturbs a healthy
 * group, once the last of the late messages has come. */
static bool goes_on(struct world *w, uint64_t passed)
{
    if (w->wants_stream && world_leader(w, 1) != NULL) {
        w->wants_stream = false;
        stream_start(w);
    }
    if (w->stream_until_ns != 0) {
        return true;
    }
    if (!w->wants_calm || passed < LATE_MESSAGES_NS) {
        return w->wants_calm;
    }
    if (w->calm_from_ns == 0) {
        w->calm_from_ns = sim_now_ns(w->sim);
        w->calm_terms = leaders_terms(w);
    }
    if (leaders_terms(w) != w->calm_terms || w->calm_terms == 0) {
        world_fail(w,
                   "an election without a reason: the terms were %llu, and are %llu (0: no leader)",
                   (unsigned long long)w->calm_terms, (unsigned long long)leaders_terms(w));
    }
    return sim_now_ns(w->sim) - w->calm_from_ns < CALM_NS;
}

static void heal_check(void *ctx)
{
    struct world *w = ctx;
    uint64_t passed = sim_now_ns(w->sim) - w->heal_at_ns;
    unsigned well = 0;
    unsigned sick = 0;
    for (unsigned k = 1; k <= w->group_count; k++) {
        if (group_is_well(w, k)) {
            well++;
        } else {
            sick = k;
        }
    }
    if (well == w->group_count && !w->is_well) {
        final_checks(w);
        w->is_well = true;
        w->stats->recovery_us += passed / 1000;
        if (passed / 1000 > w->stats->recovery_us_max) {
            w->stats->recovery_us_max = passed / 1000;
        }
    }
    if (w->is_well) {
        if (goes_on(w, passed)) {
            sim_at(w->sim, sim_now_ns(w->sim) + 50 * NS_PER_MS, heal_check, w);
        } else {
            w->is_over = true;
        }
        return;
    }
    if (passed > HEAL_LIMIT_NS) {
        char text[1000];
        describe_group(w, sick, text, sizeof text);
        world_fail(w, "no progress of group %u: %s%s", sick,
                   w->healed_index[sick] ? "a member does not catch up" : "nothing is committed",
                   text);
    }
    sim_at(w->sim, sim_now_ns(w->sim) + 50 * NS_PER_MS, heal_check, w);
}

void world_heal(struct world *w)
{
    TRACE(w, "all faults end");
    w->is_healed = true;
    w->heal_at_ns = sim_now_ns(w->sim);
    sim_net_heal(w->net);
    hunts_end(w);
    for (unsigned i = 1; i <= w->node_count; i++) {
        struct node *n = &w->nodes[i];
        n->fails_writes = false;
        if (n->is_up) {
            sim_loop_pause(n->loop, false);
            sim_loop_disk(n->loop, 100000, 300000);
        }
        node_start(n);
    }
    sim_at(w->sim, sim_now_ns(w->sim) + 50 * NS_PER_MS, heal_check, w);
}

/* ---- the run ---- */

static void create_fiber(struct fiber *f, void *arg)
{
    struct node *n = arg;
    struct world *w = n->w;
    struct group_replica replicas[NODES_MAX];
    for (unsigned i = 0; i < w->voter_count; i++) {
        replicas[i] = (struct group_replica){i + 1, i + 1, true};
    }
    for (unsigned k = 1; k <= w->group_count; k++) {
        struct replica *r = &n->replicas[k];
        struct status *st = group_bootstrap(f, n->host, k, r->replica_id, replicas, w->voter_count);
        check_status(w, st, "bootstrap");
        r->exists = true;
        check_status(w, open_replica(f, r), "open");
        r->is_opening = false;
    }
}

static void world_draw(struct world *w)
{
    w->profile = (enum profile)world_between(w, 0, PROFILES - 1);
    if (w->profile_wanted >= 0) {
        w->profile = (enum profile)w->profile_wanted;
    }
    bool is_figure_8 = w->profile == PROFILE_FIGURE_8 || w->profile == PROFILE_HANGING;
    w->voter_count = world_chance(w, is_figure_8 ? 0 : 500) ? 3 : 5;
    if (w->profile == PROFILE_VOTES ||
        world_chance(w, w->profile == PROFILE_FIGURE_8 ? 500 : 150)) {
        w->voter_count = 4;
    }
    if (w->has_membership && w->profile < PROFILE_HANGING && world_chance(w, 100)) {
        w->voter_count = 1;
    }
    w->group_count = world_chance(w, 600) ? 1 : (unsigned)world_between(w, 2, GROUPS_MAX);
    w->node_count = w->has_membership ? 7 : w->voter_count;
    w->options = (struct group_host_options){.heartbeat_ms = 20, .election_ms = 150};
    w->options.trailing_entries = (uint64_t[]){0, 3, 10, 40}[world_between(w, 0, 3)];
    w->options.checkpoint_log_bytes =
        w->has_checkpoints ? 160 * (uint64_t[]){3, 8, 20, 60}[world_between(w, 0, 3)] : UINT64_MAX;
    w->options.quiesce_after_ms = world_chance(w, 500) ? 100 : 1000000;
    w->transfers_often =
        w->has_transfers && (w->profile == PROFILE_TRANSFERS || world_chance(w, 250));
    if (w->profile == PROFILE_NETWORK && w->has_checkpoints && world_chance(w, 500)) {
        w->options.trailing_entries = 1;
        w->options.checkpoint_log_bytes = 160 * 3;
    }
    w->wants_stream = world_chance(w, 60);
    w->wants_calm = world_chance(w, w->profile == PROFILE_TRANSFERS ? 500 : 50);
    w->envelope_items = world_chance(w, 500) ? 1 : 0;
    w->part_entries = world_chance(w, 500) ? 8 : 1024;
    w->chunk_bytes = world_chance(w, 500) ? 60 : 262144;
    w->propose_every_us =
        (unsigned)(is_figure_8 ? world_between(w, 20000, 150000) : world_between(w, 1000, 20000));
}

static void heal_event(void *ctx)
{
    world_heal(ctx);
}

static bool is_over(void *ctx)
{
    return ((struct world *)ctx)->is_over;
}

void world_run(struct world *w)
{
    w->sim = sim_create(w->seed);
    w->net = sim_net_create(w->sim);
    world_draw(w);
    w->uid_next = 1;
    sim_net_tap(w->net, check_message, w);
    for (unsigned k = 1; k <= w->group_count; k++) {
        w->checkers[k] = MEM_NEW(struct checker);
        w->checkers[k]->replica_next = w->voter_count + 1;
    }
    for (unsigned i = 1; i <= w->node_count; i++) {
        struct node *n = &w->nodes[i];
        n->w = w;
        n->id = i;
        n->disk = mem_disk_create(sim_random(w->sim));
        n->rate = 1.0 + ((double)world_between(w, 0, 1600) - 800) / 100000; /* within 0.8 % */
        for (unsigned k = 1; k <= w->group_count; k++) {
            n->replicas[k].node = n;
            n->replicas[k].group_no = k;
            if (i <= w->voter_count) {
                n->replicas[k].replica_id = i;
                w->checkers[k]->node_of[i] = i;
            }
        }
        node_start(n);
        if (i <= w->voter_count) {
            for (unsigned k = 1; k <= w->group_count; k++) {
                n->replicas[k].is_opening = true;
            }
            fiber_spawn(n->loop, FIBER_STACK_SMALL, create_fiber, n);
        }
    }
    w->heal_planned_ns = world_between(w, 1500, 4000) * NS_PER_MS;
    clients_start(w);
    faults_start(w);
    sim_at(w->sim, w->heal_planned_ns, heal_event, w);
    if (!sim_run(w->sim, 60000 * NS_PER_MS, is_over, w)) {
        world_fail(w, "the run did not end");
    }
    w->stats->events += sim_event_count(w->sim);
    w->stats->messages += sim_net_message_count(w->net);
    w->stats->seeds++;
    sim_net_destroy(w->net);
    for (unsigned i = 1; i <= w->node_count; i++) {
        if (w->nodes[i].is_up) {
            sim_loop_crash(w->nodes[i].loop);
        }
        for (unsigned k = 1; k <= w->group_count; k++) {
            mem_free(w->nodes[i].replicas[k].disk.terms);
        }
    }
    for (unsigned k = 1; k <= w->group_count; k++) {
        mem_free(w->checkers[k]->at);
        mem_free(w->checkers[k]);
    }
}
