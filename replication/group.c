/*
 * The life of a replica and what follows every call of the library. States: group_impl.h.
 *
 * group_open():  LOG_LOAD -> finish an interrupted install -> raise the term of a sole voter (rule
 * 18) -> raft_start(). A re-load (rules 9 and 19) is the same without a fiber: freeze, drain,
 * raft_close(), LOG_LOAD, raft_start().
 *
 * Checksum: XXH3 over the running checksum, the index and the data of each applied entry. A
 * checkpoint stores it with its index, so it survives the log.
 */
#include "rules.h"

#include "base/buggify.h"
#include "base/log.h"

#include <stdio.h>
#include <xxhash.h>

uint64_t raft_log_term(const struct raft *r, uint64_t index)
{
    const struct raft_log *l = &r->log;
    if (index != 0 && index == l->snapshot.last_index) {
        return l->snapshot.last_term;
    }
    if (index <= l->offset || index > raft_log_last(r)) {
        return 0;
    }
    return l->entries[(l->front + (size_t)(index - l->offset - 1)) % l->size].term;
}

/* ---- applying ---- */

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct group *g = fsm->data;
    struct applied_entry *e;
    *result = NULL;
    if (g->raft.last_applied + 1 <= g->kept_index) {
        return 0;
    }
    if (g->to_apply_count == g->to_apply_capacity) {
        g->to_apply_capacity = g->to_apply_capacity ? g->to_apply_capacity * 2 : 64;
        g->to_apply = mem_realloc(g->to_apply, g->to_apply_capacity * sizeof *g->to_apply);
    }
    e = &g->to_apply[g->to_apply_count++];
    e->index = g->raft.last_applied + 1;
    e->term = raft_log_term(&g->raft, e->index);
    bool ok = entry_unwrap(slice_make(buf->base, buf->len), &e->data);
    ASSERT_MSG(ok, "an entry in the log is not what was checked");
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    struct group *g = fsm->data;
    if (g->state != GROUP_RUNNING || !checkpoint_is_due(g)) {
        return RAFT_BUSY; /* asked again after the next entry */
    }
    g->raft.snapshot.trailing = checkpoint_trailing(g);
    *bufs = raft_malloc(sizeof **bufs);
    ASSERT(*bufs != NULL);
    (*bufs)[0].base = raft_calloc(1, 8);
    (*bufs)[0].len = 8;
    *n_bufs = 1;
    return 0;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    (void)fsm; /* the state is in the store already */
    raft_free(buf->base);
    return 0;
}

static void apply_chunk(struct group *g, const struct applied_entry *from, size_t count)
{
    struct group_host *h = g->host;
    struct list done;
    uint8_t key[24];
    uint8_t value[8];
    size_t key_len;
    list_head_init(&done);
    for (size_t i = 0; i < count; i++) {
        struct group_entry *e = &h->entries[i];
        e->index = from[i].index;
        e->term = from[i].term;
        e->data = from[i].data;
        e->proposal_ctx = NULL;
        propose_match(g, e, &done);
        checkpoint_applying(g, e->index);
        g->checksum = XXH3_64bits_withSeed(e->data.data, e->data.len, g->checksum ^ e->index);
    }
    if (bug_on(BUG_APPLY_OUT_OF_ORDER) && count > 1) {
        struct group_entry swap = h->entries[0];
        h->entries[0] = h->entries[1];
        h->entries[1] = swap;
    }
    store_batch_clear(h->batch);
    g->fsm->apply(g->fsm, h->entries, count, h->batch);
    g->applied_index = from[count - 1].index;
    host_applied_key(key, &key_len, g->id);
    set_u64(value, g->applied_index);
    store_batch_put(h->batch, slice_make(key, key_len), slice_make(value, sizeof value));
    struct status *st = g->fsm->failed;
    g->fsm->failed = NULL;
    if (st == NULL) {
        st = store_write(h->opt.state, h->batch, false);
    }
    if (st != NULL) {
        host_fatal(h, status_wrap(st, "state of group %llu", (unsigned long long)g->id));
        g->state = GROUP_DAMAGED; /* a process ends there; a simulated one does nothing more */
        return;
    }
    if (g->fsm->applied != NULL) {
        g->fsm->applied(g->fsm, h->entries, count);
    }
    propose_complete(g, &done);
}

void group_apply_pending(struct group *g)
{
    size_t at = 0;
    while (at < g->to_apply_count && g->state != GROUP_DAMAGED) {
        size_t n = 0;
        size_t bytes = 0;
        while (at + n < g->to_apply_count && n < APPLY_CHUNK_ENTRIES && bytes < APPLY_CHUNK_BYTES) {
            bytes += g->to_apply[at + n].data.len;
            n++;
        }
        apply_chunk(g, g->to_apply + at, n);
        at += n;
    }
    g->to_apply_count = 0;
    if (g->raft.last_applied > g->kept_index) {
        g->applied_index = g->raft.last_applied;
    }
}

/* ---- after every call of the library ---- */

bool group_fire_sends(struct group *g)
{
    if (g->send_count == 0) {
        return false;
    }
    for (size_t i = 0; i < g->send_count; i++) {
        struct send_callback s = g->sends[i];
        s.cb(s.request, 0);
    }
    g->send_count = 0;
    return true;
}

static void followers_reset(struct group *g)
{
    struct raft *r = &g->raft;
    if (r->state != RAFT_LEADER) {
        g->is_ready = false;
        return;
    }
    if (g->followers_term == r->current_term) {
        return;
    }
    g->followers_term = r->current_term;
    g->follower_count = 0;
    g->is_ready = false;
    g->barrier_term = 0;
    g->barrier_index = UINT64_MAX;
    metric_add(g->host->m_elections, 1);
}

/* A successful result that may be delivered now, or one that nobody wants any more (rule 2). */
static bool release_held_result(struct group *g)
{
    while (!list_is_empty(&g->held_results)) {
        struct held_result *hr = LIST_ITEM(g->held_results.next, struct held_result, link);
        bool is_current = g->raft.state == RAFT_LEADER && g->raft.current_term == hr->m.term;
        if (is_current && rule_hold_result(g, &hr->m)) {
            return false;
        }
        list_unlink(&hr->link);
        if (is_current) {
            deliver_append_result_now(g, hr->node_id, hr->from, &hr->m);
        }
        mem_free(hr);
        if (is_current) {
            return true;
        }
    }
    return false;
}

static void report_role(struct group *g)
{
    enum group_role role = GROUP_FOLLOWER;
    uint64_t term = g->raft.current_term;
    if (g->raft.state == RAFT_LEADER) {
        role = g->is_ready ? GROUP_LEADER_READY : GROUP_LEADER;
    } else if (g->raft.state == RAFT_CANDIDATE) {
        role = GROUP_CANDIDATE;
    }
    if (role == g->role && term == g->role_term) {
        return;
    }
    bool was_leader = g->role == GROUP_LEADER || g->role == GROUP_LEADER_READY;
    bool is_same_reign =
        (role == GROUP_LEADER || role == GROUP_LEADER_READY) && was_leader && term == g->role_term;
    LOGD("raft", "group %llu replica %llu: role %d term %llu", (unsigned long long)g->id,
         (unsigned long long)g->replica_id, (int)role, (unsigned long long)term);
    g->role = role;
    g->role_term = term;
    if (g->fsm->role_changed != NULL) {
        g->fsm->role_changed(g->fsm, role, term);
    }
    if (was_leader && !is_same_reign) {
        propose_fail_all(g);
    }
    cond_broadcast(&g->changed);
}

static void report_configuration(struct group *g)
{
    const struct roster_at *at = roster_history_at(&g->history, g->applied_index);
    if (at == NULL || at->index == g->conf_reported) {
        return;
    }
    g->conf_reported = at->index;
    struct group_replica replicas[ROSTER_MEMBERS_MAX];
    for (unsigned i = 0; i < at->conf.count; i++) {
        const struct roster_member *m = &at->conf.members[i];
        replicas[i] = (struct group_replica){m->replica_id, m->node_id, m->role == RAFT_VOTER};
    }
    if (g->fsm->config_changed != NULL) {
        g->fsm->config_changed(g->fsm, replicas, at->conf.count);
    }
    cond_broadcast(&g->changed);
}

void group_after(struct group *g)
{
    bool again = true;
    while (again && g->state == GROUP_RUNNING) {
        again = false;
        if (rule_on(20)) {
            again |= group_fire_sends(g);
        }
        if (g->host->probe.after != NULL) {
            g->host->probe.after(g->host->probe.ctx, g);
        }
        if (g->raft.state == RAFT_UNAVAILABLE) {
            group_fail_damaged(g, "the library stopped");
            return;
        }
        group_apply_pending(g);
        if (g->state != GROUP_RUNNING) {
            return;
        }
        followers_reset(g);
        again |= rule_own_term_barrier(g);
        again |= io_release_held(g, false);
        again |= release_held_result(g);
    }
    if (g->state != GROUP_RUNNING) {
        return;
    }
    checkpoint_applied(g);
    report_role(g);
    report_configuration(g);
    readers_check(g);
}

struct follower *group_follower(struct group *g, uint64_t replica_id)
{
    followers_reset(g);
    for (unsigned i = 0; i < g->follower_count; i++) {
        if (g->followers[i].replica_id == replica_id) {
            return &g->followers[i];
        }
    }
    if (g->follower_count == ROSTER_MEMBERS_MAX || group_node_of(g, replica_id) == 0) {
        return NULL;
    }
    struct follower *f = &g->followers[g->follower_count++];
    *f = (struct follower){.replica_id = replica_id};
    return f;
}

uint64_t group_node_of(const struct group *g, uint64_t replica_id)
{
    const struct raft_configuration *c = &g->raft.configuration;
    uint64_t node_id = 0;
    for (unsigned i = 0; i < c->n; i++) {
        if (c->servers[i].id == replica_id &&
            roster_address_parse(c->servers[i].address, &node_id)) {
            return node_id;
        }
    }
    return 0;
}

/* ---- start and stop of the library ---- */

static bool take_image(struct group *g)
{
    struct log_image *image = &g->image;
    g->first_index = image->first_index;
    g->next_index = image->first_index + image->count;
    g->log_bytes = image->bytes + image->count * ENTRY_OVERHEAD_BYTES;
    g->meta_term = image->term;
    if (bug_on(BUG_RAFT_VOTE_TWICE)) {
        image->vote = 0;
    }
    g->meta_vote = image->vote;
    roster_history_deinit(&g->history);
    if (image->has_snapshot) {
        roster_history_push(&g->history, image->snapshot.conf_index, &image->snapshot.conf);
    }
    for (size_t i = 0; i < image->count; i++) {
        const struct raft_entry *e = &image->entries[i];
        struct roster conf;
        if (e->type == RAFT_CHANGE &&
            image->first_index + i > roster_history_last_index(&g->history) &&
            roster_decode(slice_make(e->buf.base, e->buf.len), &conf)) {
            roster_history_push(&g->history, image->first_index + i, &conf);
        }
    }
    if (g->kept_index == 0) {
        g->checksum = image->has_snapshot ? image->snapshot.checksum : 0;
    }
    return rule_bump_sole_voter(g, image);
}

/* After an install by re-load (rule 19): the success that the library would have sent. */
static void answer_install(struct group *g)
{
    if (g->install_result.index == 0) {
        return;
    }
    struct wire_message m = {.kind = WIRE_APPEND_RESULT, .group = g->id, .from = g->replica_id};
    m.to = g->install_result.from;
    if (g->raft.current_term == g->install_result.term) {
        m.append_result.term = g->raft.current_term;
        m.append_result.last_index = g->install_result.index;
        io_post(g, g->install_result.node_id, &m, NULL);
    }
    m.kind = WIRE_INSTALL_ACK;
    m.install_ack = (struct wire_install_ack){
        .session = g->install_result.session, .sequence = 0, .verdict = WIRE_INSTALL_DONE};
    io_post(g, g->install_result.node_id, &m, NULL);
    g->install_result.index = 0;
}

void group_start_library(struct group *g)
{
    const struct group_host_options *o = &g->host->opt;
    char address[ROSTER_ADDRESS_SIZE];
    roster_address_format(address, o->node_id, g->replica_id);
    memset(&g->raft, 0, sizeof g->raft);
    io_setup(g);
    g->raft_fsm = (struct raft_fsm){.version = 1, .data = g};
    g->raft_fsm.apply = fsm_apply;
    g->raft_fsm.snapshot = fsm_snapshot;
    g->raft_fsm.restore = fsm_restore;
    g->call = (struct group_call){0};
    g->followers_term = g->barrier_term = 0;
    g->barrier_index = UINT64_MAX;
    g->is_ready = false;
    int rv = raft_init(&g->raft, &g->io, &g->raft_fsm, g->replica_id, address);
    ASSERT(rv == 0);
    raft_set_election_timeout(&g->raft, o->election_ms);
    raft_set_heartbeat_timeout(&g->raft, o->heartbeat_ms);
    raft_set_install_snapshot_timeout(&g->raft,
                                      3600u * 1000); /* install_send.c has its own clock */
    raft_set_snapshot_threshold(&g->raft, 1);        /* fsm_snapshot() decides */
    raft_set_snapshot_trailing(&g->raft, checkpoint_trailing(g));
    raft_set_pre_vote(&g->raft, true);
    raft_set_max_catch_up_round_duration(&g->raft, 8 * o->election_ms);
    bool is_fresh = g->image.term <= 1;
    g->state = GROUP_RUNNING;
    rv = raft_start(&g->raft);
    log_image_deinit(&g->image);
    if (rv != 0) {
        group_fail_damaged(g, raft_strerror(rv));
        return;
    }
    g->applied_index = g->raft.last_applied > g->kept_index ? g->raft.last_applied : g->kept_index;
    lease_at_start(g, is_fresh);
    answer_install(g);
    group_after(g);
}

void group_stop_library(struct group *g)
{
    if (g->io.impl == NULL) {
        return; /* never started */
    }
    g->call = (struct group_call){.swallow = true};
    group_fire_sends(g);
    io_drop_gated(g);
    g->to_apply_count = 0;
    raft_close(&g->raft, NULL);
    group_fire_sends(g);
    memset(&g->io, 0, sizeof g->io);
    struct list *item;
    while ((item = list_pop_front(&g->held_results)) != NULL) {
        mem_free(LIST_ITEM(item, struct held_result, link));
    }
}

void group_fail_damaged(struct group *g, const char *why)
{
    LOGE("raft", "group %llu replica %llu stops: %s", (unsigned long long)g->id,
         (unsigned long long)g->replica_id, why);
    group_freeze(g);
    g->state = GROUP_DAMAGED;
    g->wants_reload = false;
}

/* ---- freeze, drain, re-load ---- */

void group_freeze(struct group *g)
{
    if (g->state != GROUP_RUNNING) {
        return;
    }
    g->state = GROUP_FROZEN;
    quiesce_end(g);
    checkpoint_stop(g);
    install_send_stop_all(g);
    install_recv_stop(g); /* not one that replaces the state already */
    propose_fail_all(g);
    if (g->role != GROUP_FOLLOWER) {
        g->role = GROUP_FOLLOWER;
        if (g->fsm->role_changed != NULL) {
            g->fsm->role_changed(g->fsm, GROUP_FOLLOWER, g->raft.current_term);
        }
    }
    cond_broadcast(&g->changed);
    readers_check(g);
}

static bool is_drained(struct group *g)
{
    return g->appends_in_flight == 0 && g->metas_in_flight == 0 &&
           g->checkpoint.step == CHECKPOINT_IDLE && install_send_is_idle(g);
}

static void reload_bumped(struct log_op *op)
{
    struct group *g = op->ctx;
    mem_free(op);
    if (g->is_closing) {
        g->state = GROUP_FROZEN;
        cond_broadcast(&g->changed);
        return;
    }
    group_start_library(g);
}

static void bump_term(struct group *g, void (*done)(struct log_op *op), void *ctx)
{
    struct log_op *op = MEM_NEW(struct log_op);
    g->image.term++;
    g->image.vote = 0;
    g->meta_term = g->image.term;
    g->meta_vote = 0;
    op->kind = LOG_META;
    op->group = g->id;
    op->term = g->meta_term;
    op->replica_id = g->replica_id;
    op->done = done;
    op->ctx = ctx;
    log_store_submit(g->host->log, op);
}

static void reload_loaded(struct log_op *op)
{
    struct group *g = CONTAINER_OF(op, struct group, load_op);
    if (op->st != NULL) {
        LOGE("raft", "%s", op->st->message);
        status_free(op->st);
        g->state = GROUP_DAMAGED;
        cond_broadcast(&g->changed);
        return;
    }
    if (g->is_closing) {
        log_image_deinit(&g->image);
        g->state = GROUP_FROZEN;
        cond_broadcast(&g->changed);
        return;
    }
    if (take_image(g)) {
        bump_term(g, reload_bumped, g);
    } else {
        group_start_library(g);
    }
}

/* Called whenever something of a frozen group came back. */
void group_drained(struct group *g)
{
    if (g->state != GROUP_FROZEN && g->state != GROUP_DAMAGED) {
        return;
    }
    io_release_held(g, true);
    group_fire_sends(g);
    if (!is_drained(g)) {
        return;
    }
    cond_broadcast(&g->changed);
    if (g->is_closing || g->state == GROUP_DAMAGED) {
        return; /* group_close() goes on */
    }
    if (g->wants_reload) {
        g->wants_reload = false;
        g->state = GROUP_STARTING;
        g->kept_index = g->install_result.index != 0 ? 0 : g->applied_index;
        group_stop_library(g);
        g->load_op = (struct log_op){.kind = LOG_LOAD, .group = g->id, .done = reload_loaded};
        g->load_op.image = &g->image;
        log_store_submit(g->host->log, &g->load_op);
    } else {
        install_recv_drained(g);
    }
}

/* ---- the front door: life ---- */

struct group *group_new(struct group_host *h, uint64_t id, struct group_fsm *fsm)
{
    struct group *g = MEM_NEW(struct group);
    g->host = h;
    g->id = id;
    g->fsm = fsm;
    g->state = GROUP_STARTING;
    cond_init(&g->changed);
    list_head_init(&g->link);
    list_head_init(&g->held);
    list_head_init(&g->gated);
    list_head_init(&g->held_results);
    list_head_init(&g->readers);
    list_head_init(&g->dirty_link);
    list_head_init(&g->proposed);
    list_head_init(&g->inflight);
    list_head_init(&g->gets);
    list_head_init(&g->installs_out);
    list_head_init(&g->checkpoint.link);
    return g;
}

void group_free(struct group *g)
{
    list_unlink(&g->dirty_link);
    list_unlink(&g->checkpoint.link);
    io_drop_gated(g);
    install_recv_stop(g);
    log_image_deinit(&g->image);
    roster_history_deinit(&g->history);
    mem_free(g->sends);
    mem_free(g->to_apply);
    mem_free(g->proposed_bufs);
    mem_free(g);
}

bool group_enter(struct group *g)
{
    if (g->is_closing) {
        return false;
    }
    g->users++;
    return true;
}

void group_leave(struct group *g)
{
    ASSERT(g->users > 0);
    if (--g->users == 0 && g->is_closing) {
        cond_broadcast(&g->changed);
    }
}

/* Runs a log operation from a fiber. */
struct op_wait {
    struct log_op op;
    struct fiber *fiber;
    bool is_done;
};

static void op_wait_done(struct log_op *op)
{
    struct op_wait *w = CONTAINER_OF(op, struct op_wait, op);
    w->is_done = true;
    fiber_wake(w->fiber);
}

static void op_wait_run(struct fiber *f, struct group_host *h, struct op_wait *w)
{
    w->fiber = f;
    w->op.done = op_wait_done;
    log_store_submit(h->log, &w->op);
    while (!w->is_done) {
        fiber_park_hard(f);
    }
}

struct status *group_bootstrap(struct fiber *f, struct group_host *h, uint64_t group_id,
                               uint64_t replica_id, const struct group_replica *replicas,
                               size_t count)
{
    if (replica_id == 0 || count > GROUP_REPLICAS_MAX) {
        return status_new(INVALID, "a group has 1 to %d replicas with ids above 0",
                          GROUP_REPLICAS_MAX);
    }
    struct roster conf = {.count = (unsigned)count};
    for (size_t i = 0; i < count; i++) {
        conf.members[i] = (struct roster_member){replicas[i].replica_id, replicas[i].node_id,
                                                 replicas[i].is_voter ? RAFT_VOTER : RAFT_STANDBY};
    }
    struct buf encoded = {NULL, 0, 0};
    roster_encode(&conf, &encoded);
    struct roster check;
    if (count > 0 &&
        (!roster_decode(buf_slice(&encoded), &check) || roster_voter_count(&check) == 0)) {
        buf_deinit(&encoded);
        return status_new(INVALID, "the first configuration of group %llu is not sound",
                          (unsigned long long)group_id);
    }
    struct raft_entry first = {.term = 1, .type = RAFT_CHANGE};
    first.buf.base = encoded.data;
    first.buf.len = encoded.len;
    struct op_wait w = {.op = {.kind = LOG_CREATE, .group = group_id, .replica_id = replica_id}};
    w.op.term = count > 0 ? 1 : 0;
    w.op.index = 1;
    w.op.entries = &first;
    w.op.count = count > 0 ? 1 : 0;
    op_wait_run(f, h, &w);
    buf_deinit(&encoded);
    return w.op.st;
}

static struct status *read_applied(struct group *g)
{
    uint8_t key[24];
    size_t key_len;
    struct buf value = {NULL, 0, 0};
    bool found = false;
    host_applied_key(key, &key_len, g->id);
    struct status *st =
        store_get(g->host->opt.state, NULL, slice_make(key, key_len), &value, &found);
    g->stored_applied = st == NULL && found && value.len == 8 ? get_u64(value.data) : 0;
    buf_deinit(&value);
    return st;
}

/* The state first: what is left of a replica without its log could be taken for a new one's. */
static struct status *destroy_doomed(struct fiber *f, struct group *g)
{
    TRY(install_wipe_replica(f, g));
    struct op_wait w = {.op = {.kind = LOG_DESTROY, .group = g->id}};
    w.op.replica_id = g->replica_id;
    op_wait_run(f, g->host, &w);
    return w.op.st;
}

static struct status *open_image(struct fiber *f, struct group *g)
{
    struct group_host *h = g->host;
    struct op_wait load = {.op = {.kind = LOG_LOAD, .group = g->id, .image = &g->image}};
    op_wait_run(f, h, &load);
    TRY(load.op.st);
    if (!g->image.exists) {
        return status_new(NOT_FOUND, "group %llu is not on this node", (unsigned long long)g->id);
    }
    g->replica_id = g->image.replica_id;
    if (g->image.dead_replica_id >= g->replica_id) {
        TRY(destroy_doomed(f, g));
        return status_new(NOT_FOUND, "group %llu was removed from this node",
                          (unsigned long long)g->id);
    }
    if (g->image.has_mark) {
        TRY(install_recover(f, g)); /* reads the image again */
    }
    TRY(read_applied(g));
    if (g->image.has_snapshot && g->stored_applied < g->image.snapshot.index) {
        struct status *st = status_new(
            CORRUPT, "state of group %llu ends at entry %llu, before its checkpoint %llu",
            (unsigned long long)g->id, (unsigned long long)g->stored_applied,
            (unsigned long long)g->image.snapshot.index);
        return status_hint(st, "The state store does not belong to the log store.");
    }
    /* An entry is durable before it is committed, and committed before it is applied. */
    uint64_t last = g->image.first_index + g->image.count - 1;
    if (g->stored_applied > last) {
        struct status *st = status_new(
            CORRUPT,
            "damaged raft log: that of group %llu ends at entry %llu, its state has entry %llu",
            (unsigned long long)g->id, (unsigned long long)last,
            (unsigned long long)g->stored_applied);
        return status_hint(st, "It is an older copy of the log store, which has forgotten votes "
                               "and entries: restore the newest, or let the node join with an "
                               "empty directory and an unused node.id.");
    }
    return NULL;
}

struct status *group_open(struct fiber *f, struct group_host *h, uint64_t group_id,
                          struct group_fsm *fsm, struct group **out_group)
{
    if (host_find(h, group_id) != NULL) {
        return status_new(ALREADY_EXISTS, "group %llu is open already",
                          (unsigned long long)group_id);
    }
    struct group *g = group_new(h, group_id, fsm);
    host_add(h, g);
    struct status *st = open_image(f, g);
    if (st != NULL) {
        host_remove(h, g);
        group_free(g);
        return st;
    }
    if (take_image(g)) {
        struct op_wait bump = {.op = {.kind = LOG_META, .group = g->id}};
        bump.op.term = g->meta_term = ++g->image.term;
        bump.op.vote = g->meta_vote = g->image.vote = 0;
        bump.op.replica_id = g->replica_id;
        op_wait_run(f, h, &bump);
    }
    *out_group = g; /* the state machine may be called from here on */
    group_start_library(g);
    if (g->state == GROUP_DAMAGED) {
        *out_group = NULL;
        group_stop_library(g);
        host_remove(h, g);
        group_free(g);
        return status_new(CORRUPT, "raft log of group %llu does not start",
                          (unsigned long long)group_id);
    }
    return NULL;
}

static void close_wait(struct fiber *f, struct group *g)
{
    g->is_closing = true;
    group_freeze(g);
    install_recv_stop(g);
    cond_broadcast(&g->changed);
    group_drained(g);
    uint64_t deadline = fiber_set_deadline(f, 0);
    bool was_cancelled = fiber_is_cancelled(f);
    fiber_cancel_clear(f); /* a close is not left half done */
    while (g->users > 0 || g->state == GROUP_STARTING || !is_drained(g) ||
           install_is_replacing(g)) {
        bool stopped = status_consume(cond_wait(f, &g->changed));
        was_cancelled |= stopped;
        fiber_cancel_clear(f);
    }
    (void)fiber_set_deadline(f, deadline);
    if (was_cancelled) {
        fiber_cancel(f);
    }
}

void group_close(struct fiber *f, struct group *g)
{
    close_wait(f, g);
    group_stop_library(g);
    host_remove(g->host, g);
    group_free(g);
}

struct status *group_destroy_replica(struct fiber *f, struct group *g)
{
    struct group_host *h = g->host;
    close_wait(f, g);
    group_stop_library(g);
    struct op_wait doom = {.op = {.kind = LOG_DOOM, .group = g->id}};
    doom.op.replica_id = g->replica_id;
    op_wait_run(f, h, &doom); /* from here on a crash goes on with the removal */
    struct status *st = destroy_doomed(f, g);
    host_remove(h, g);
    group_free(g);
    return st;
}

/* ---- the front door: looking ---- */

uint64_t group_id(const struct group *g)
{
    return g->id;
}

uint64_t group_replica_id(const struct group *g)
{
    return g->replica_id;
}

enum group_role group_role(const struct group *g)
{
    return g->role;
}

uint64_t group_term(const struct group *g)
{
    return g->raft.current_term;
}

uint64_t group_leader_node(const struct group *g)
{
    uint64_t node_id = 0;
    if (g->state != GROUP_RUNNING) {
        return 0;
    }
    if (g->raft.state == RAFT_LEADER) {
        return g->host->opt.node_id;
    }
    if (g->raft.state == RAFT_FOLLOWER && g->raft.follower_state.current_leader.id != 0 &&
        roster_address_parse(g->raft.follower_state.current_leader.address, &node_id)) {
        return node_id;
    }
    return 0;
}

bool group_is_replacing(const struct group *g)
{
    return install_is_replacing(g);
}

uint64_t group_applied_index(const struct group *g)
{
    return g->applied_index;
}

uint64_t group_commit_index(const struct group *g)
{
    return g->raft.commit_index;
}

uint64_t group_last_index(const struct group *g)
{
    return g->state == GROUP_RUNNING ? raft_log_last(&g->raft) : g->next_index - 1;
}

size_t group_config(const struct group *g, struct group_replica *out, size_t max)
{
    const struct raft_configuration *c = &g->raft.configuration;
    size_t n = 0;
    for (unsigned i = 0; g->state == GROUP_RUNNING && i < c->n; i++) {
        if (n < max) {
            out[n].replica_id = c->servers[i].id;
            out[n].node_id = group_node_of(g, c->servers[i].id);
            out[n].is_voter = c->servers[i].role == RAFT_VOTER;
        }
        n++;
    }
    return n;
}

uint64_t group_match_index(const struct group *g, uint64_t replica_id)
{
    if (!group_is_leader(g)) {
        return 0;
    }
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        if (g->raft.configuration.servers[i].id == replica_id) {
            return g->raft.leader_state.progress[i].match_index;
        }
    }
    return 0;
}

uint64_t group_checksum(const struct group *g)
{
    return g->checksum;
}
