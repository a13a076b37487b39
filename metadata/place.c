/*
 * Placement: which nodes have replicas of a shard, which of them leads, and up to where old
 * versions go.
 *
 * Replicas. A voter is good while its node is a live member and not silent for node_replace_ms;
 * nodes that are draining, removed or silent for so long have lost it. A shard with fewer good
 * voters than it should have gets a new one: learner first (the descriptor names it: that is the
 * intent), caught up, promoted; then a lost one is removed. A lost voter leaves only when the good
 * ones are as many as the setting asks for, so nothing shrinks for lack of nodes. The number is
 * odd: two voters bear no more failures than one.
 *
 * Moves. A shard that lacks nothing moves from a full node to an emptier one (two replicas fewer at
 * least), or to one in a locality that has none of it, one shard at a time: a learner stands for
 * the intent, becomes a voter, and then another voter leaves, never the leader. Each move makes
 * localities more different, or keeps them and makes the counts more alike: so they end.
 *
 * Reference tables (PLACEMENT_REFERENCE). The shard of one has voters like every other, and a
 * learner on each further shard node, as far as a group has room: it gets the log and does not slow
 * commits down. Such a learner stands until a voter is wanted; of other shards it becomes a voter
 * or goes. When the table is gone its shard is one like any other.
 *
 * The order between group and map: a learner stands in the map before it is in the group, a voter
 * is removed from the group before it leaves the map: a replica that the map does not name may be
 * destroyed.
 *
 * Leaders: one transfer a pass, when two nodes differ by more than one over more than
 * LEADERS_SHARDS_MIN shards.
 *
 * Garbage: the watermark goes to the leader of each shard that was written since it last got one.
 */
#include "scheduler.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

#define REPLICATION_FACTOR_DEFAULT 3u
#define MOVE_VOTERS_MIN 3u
#define NEAR_WEIGHT ((size_t)1000000) /* one replica in another locality is worth so many */
#define LEADERS_SHARDS_MIN 4u
#define LEADERS_SETTLE_NS (UINT64_C(5) * 1000000000u)
#define LEADERS_SILENT_MS 2000 /* nothing is moved to a node that has been silent for longer */
#define LEADERS_AGAIN_NS (UINT64_C(30) * 1000000000u)
#define CHANGE_CALL_MS 10000u
/* A learner that needs longer goes on catching up and is asked for again. */
#define PROMOTE_CALL_MS 30000u
#define GC_STEP_MS_MIN 30000u
#define GC_ECHO_NS (UINT64_C(5) * 1000000000u)

enum change_action { ADD_LEARNER = 1, PROMOTE = 2, REMOVE = 3, TRANSFER = 4, DESTROY = 5 };

struct place {
    struct meta_sched *sched;
    struct arena *arena; /* of one pass */
    const struct sched_view *view;
    uint32_t target;
};

/* ---- nodes ---- */

static Sherd__V1__NodeDesc *node_by_id(const struct place *p, uint64_t node_id)
{
    for (size_t i = 0; i < p->view->node_count; i++) {
        if (p->view->nodes[i]->address->node_id == node_id) {
            return p->view->nodes[i];
        }
    }
    return NULL;
}

static bool node_is_good(const struct place *p, uint64_t node_id)
{
    struct meta_server *s = p->sched->server;
    const Sherd__V1__NodeDesc *n = node_by_id(p, node_id);
    return n != NULL && n->state == SHERD__V1__NODE_STATE__NODE_LIVE && n->role_shard &&
           meta_node_silent_ms(s, node_id) < s->options.node_dead_ms + s->options.node_replace_ms;
}

/* Good, and heard just now: may get a new replica. */
static bool node_is_ready(const struct place *p, uint64_t node_id)
{
    return node_is_good(p, node_id) && meta_node_seen(p->sched->server, node_id) != NULL &&
           meta_node_alive(p->sched->server, node_id);
}

static uint32_t target_read(struct meta_server *s)
{
    const struct omap_entry *e =
        omap_get(&s->fsm.map, slice_str(META_PREFIX_SETTING "replication_factor"));
    if (e != NULL && e->value_len == 1) {
        uint8_t c = omap_entry_value(e).data[0];
        if (c >= '1' && c <= '9') {
            return (uint32_t)(c - '0');
        }
    }
    return REPLICATION_FACTOR_DEFAULT;
}

/* ---- one shard ---- */

static struct status *change(struct fiber *f, struct place *p, const Sherd__V1__ShardDesc *d,
                             enum change_action action, uint64_t replica_id, uint64_t node_id)
{
    Sherd__V1__ChangeReplicaRequest request = SHERD__V1__CHANGE_REPLICA_REQUEST__INIT;
    void *reply;
    request.shard_id = d->shard_id;
    request.action = action;
    request.replica_id = replica_id;
    request.node_id = node_id;
    uint32_t timeout_ms = action == PROMOTE ? PROMOTE_CALL_MS : CHANGE_CALL_MS;
    if (action == DESTROY) {
        return sched_call(f, p->sched, node_id, RPC_SHARD_CHANGE_REPLICA, &request, timeout_ms,
                          p->arena, &reply);
    }
    struct status *st = sched_call_leader(f, p->sched, d, RPC_SHARD_CHANGE_REPLICA, &request,
                                          timeout_ms, p->arena, &reply);
    if (action == REMOVE && status_is(st, STATUS_NOT_FOUND)) { /* removed by an earlier try */
        status_free(st);
        return NULL;
    }
    return st;
}

static struct status *desc_put(struct fiber *f, struct place *p, Sherd__V1__ShardDesc *d)
{
    bool done;
    d->epoch++;
    TRY(sched_put_shard(f, p->sched, d, d->epoch - 1, &done));
    if (!done) {
        return status_new(CONFLICT, "shard %" PRIu64 " has changed meanwhile", d->shard_id);
    }
    return NULL;
}

static void desc_remove(Sherd__V1__ShardDesc *d, size_t at)
{
    memmove(&d->replicas[at], &d->replicas[at + 1],
            (d->n_replicas - at - 1) * sizeof(d->replicas[0]));
    d->n_replicas--;
}

static struct status *replica_drop(struct fiber *f, struct place *p, Sherd__V1__ShardDesc *d,
                                   size_t at)
{
    uint64_t replica_id = d->replicas[at]->replica_id;
    uint64_t node_id = d->replicas[at]->node_id;
    if (sched_shard_get(p->sched, d->shard_id)->leader_node == node_id) {
        TRY(change(f, p, d, TRANSFER, 0, 0));
        sched_shard_get(p->sched, d->shard_id)->leader_node = 0;
        return NULL; /* the next pass finds the new leader */
    }
    TRY(change(f, p, d, REMOVE, replica_id, node_id));
    desc_remove(d, at);
    TRY(desc_put(f, p, d));
    LOGI("scheduler", "shard %" PRIu64 " left node %" PRIu64, d->shard_id, node_id);
    if (meta_node_alive(p->sched->server, node_id)) {
        /* The node would find out by the shard map; this only makes it sooner. */
        status_consume(change(f, p, d, DESTROY, replica_id, node_id));
        return sched_check(f, p->sched);
    }
    return NULL;
}

/* Makes the replica and adds it to its group: it gets the log from then on. */
static struct status *learner_start(struct fiber *f, struct place *p, Sherd__V1__ShardDesc *d,
                                    const Sherd__V1__ReplicaDesc *r)
{
    Sherd__V1__CreateReplicaRequest create = SHERD__V1__CREATE_REPLICA_REQUEST__INIT;
    void *reply;
    struct slice packed = pb_pack_in(d, p->arena);
    create.shard_id = d->shard_id;
    create.replica_id = r->replica_id;
    create.shard_desc =
        (ProtobufCBinaryData){.len = packed.len, .data = (uint8_t *)(uintptr_t)packed.data};
    struct status *st = sched_call(f, p->sched, r->node_id, RPC_SHARD_CREATE_REPLICA, &create,
                                   CHANGE_CALL_MS, p->arena, &reply);
    if (status_is(st, STATUS_ALREADY_EXISTS)) {
        status_free(st);
    } else if (st != NULL) {
        return st;
    }
    return change(f, p, d, ADD_LEARNER, r->replica_id, r->node_id);
}

static struct status *learner_promote(struct fiber *f, struct place *p, Sherd__V1__ShardDesc *d,
                                      Sherd__V1__ReplicaDesc *r)
{
    if (!node_is_ready(p, r->node_id)) {
        return NULL;
    }
    TRY(learner_start(f, p, d, r));
    TRY(change(f, p, d, PROMOTE, r->replica_id, r->node_id));
    r->role = SHERD__V1__REPLICA_ROLE__REPLICA_VOTER;
    TRY(desc_put(f, p, d));
    LOGI("scheduler", "shard %" PRIu64 " has a new voter on node %" PRIu64, d->shard_id,
         r->node_id);
    return NULL;
}

/* By its node's last heartbeat it gets the log. */
static bool learner_stands(const struct place *p, const Sherd__V1__ShardDesc *d,
                           const Sherd__V1__ReplicaDesc *r)
{
    const struct meta_node_seen *seen = meta_node_seen(p->sched->server, r->node_id);
    for (size_t i = 0; seen != NULL && i < seen->replica_count; i++) {
        const Sherd__V1__ReplicaStatus *have = &seen->replicas[i];
        if (have->shard_id == d->shard_id && have->replica_id == r->replica_id) {
            return have->applied > 0;
        }
    }
    return false;
}

static bool has_replica_on(const Sherd__V1__ShardDesc *d, uint64_t node_id)
{
    for (size_t i = 0; i < d->n_replicas; i++) {
        if (d->replicas[i]->node_id == node_id) {
            return true;
        }
    }
    return false;
}

static bool is_voter(const Sherd__V1__ReplicaDesc *r)
{
    return r->role == SHERD__V1__REPLICA_ROLE__REPLICA_VOTER;
}

static bool is_reference(const Sherd__V1__ShardDesc *d)
{
    return d->placement == SHERD__V1__PLACEMENT__PLACEMENT_REFERENCE;
}

/* The shard of a reference table that was dropped. */
static bool has_lost_table(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    return is_reference(d) &&
           (d->range == NULL || d->range->start.len != 4 ||
            !sched_table_exists(p->sched->server, get_u32(d->range->start.data)));
}

static size_t count_on(const struct place *p, uint64_t node_id)
{
    for (size_t i = 0; i < p->view->node_count; i++) {
        if (p->view->nodes[i]->address->node_id == node_id) {
            return p->view->replica_counts[i];
        }
    }
    return 0;
}

/* How many replicas of the shard, but for the one on `without`, are in the node's locality. */
static size_t near_on(const struct place *p, const Sherd__V1__ShardDesc *d, uint64_t node_id,
                      uint64_t without)
{
    const Sherd__V1__NodeDesc *n = node_by_id(p, node_id);
    size_t near = 0;
    for (size_t i = 0; n != NULL && n->locality[0] != '\0' && i < d->n_replicas; i++) {
        uint64_t other_id = d->replicas[i]->node_id;
        const Sherd__V1__NodeDesc *other = node_by_id(p, other_id);
        near += other_id != node_id && other_id != without && other != NULL &&
                strcmp(n->locality, other->locality) == 0;
    }
    return near;
}

/* The node that should get the next replica: another locality first, then the fewest replicas. */
static Sherd__V1__NodeDesc *node_choose(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    Sherd__V1__NodeDesc *best = NULL;
    size_t best_score = SIZE_MAX;
    for (size_t i = 0; i < p->view->node_count; i++) {
        Sherd__V1__NodeDesc *n = p->view->nodes[i];
        if (!node_is_ready(p, n->address->node_id) || has_replica_on(d, n->address->node_id) ||
            meta_node_low(p->sched->server, n->address->node_id)) {
            continue;
        }
        size_t near = near_on(p, d, n->address->node_id, 0);
        size_t score = near * NEAR_WEIGHT + p->view->replica_counts[i];
        if (score < best_score) {
            best = n;
            best_score = score;
        }
    }
    return best;
}

static struct status *learner_add(struct fiber *f, struct place *p, Sherd__V1__ShardDesc *d,
                                  const Sherd__V1__NodeDesc *n, Sherd__V1__ReplicaDesc **out)
{
    Sherd__V1__ReplicaDesc *r = ARENA_NEW(p->arena, Sherd__V1__ReplicaDesc);
    Sherd__V1__ReplicaDesc **all =
        ARENA_ARRAY(p->arena, Sherd__V1__ReplicaDesc *, d->n_replicas + 1);
    sherd__v1__replica_desc__init(r);
    r->replica_id = d->next_replica_id++;
    r->node_id = n->address->node_id;
    r->role = SHERD__V1__REPLICA_ROLE__REPLICA_LEARNER;
    memcpy(all, d->replicas, d->n_replicas * sizeof(*all));
    all[d->n_replicas++] = r;
    d->replicas = all;
    *out = r;
    return desc_put(f, p, d);
}

/* What is gained when the voter on `from` is on `to` instead; 0: nothing. */
static size_t move_gain(const struct place *p, const Sherd__V1__ShardDesc *d, uint64_t from,
                        uint64_t to)
{
    size_t near_from = near_on(p, d, from, to), near_to = near_on(p, d, to, from);
    if (near_to != near_from) {
        return near_to < near_from ? (near_from - near_to) * NEAR_WEIGHT : 0;
    }
    size_t full = count_on(p, from), empty = count_on(p, to);
    return full > empty ? full - empty : 0;
}

static uint64_t leader_of(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    return sched_shard_get(p->sched, d->shard_id)->leader_node;
}

/* The best for any of the shard's voters but the leader. */
static size_t move_gain_best(const struct place *p, const Sherd__V1__ShardDesc *d, uint64_t to)
{
    size_t best = 0;
    for (size_t i = 0; i < d->n_replicas; i++) {
        if (is_voter(d->replicas[i]) && d->replicas[i]->node_id != leader_of(p, d)) {
            size_t gain = move_gain(p, d, d->replicas[i]->node_id, to);
            best = gain > best ? gain : best;
        }
    }
    return best;
}

/* Of too many voters the one that is missed least: others are near, its node is full. Not the
 * leader: with it open transactions would end. */
static size_t voter_surplus(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    size_t best = SIZE_MAX, best_score = 0;
    for (size_t i = 0; i < d->n_replicas; i++) {
        uint64_t node_id = d->replicas[i]->node_id;
        size_t score = near_on(p, d, node_id, 0) * NEAR_WEIGHT + count_on(p, node_id);
        if (is_voter(d->replicas[i]) && node_id != leader_of(p, d) &&
            (best == SIZE_MAX || score > best_score)) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* How many voters it should have with the nodes there are: odd, and not more than the setting. */
static uint32_t voters_wanted(const struct place *p)
{
    uint32_t ready = 0;
    for (size_t i = 0; i < p->view->node_count; i++) {
        ready += node_is_good(p, p->view->nodes[i]->address->node_id);
    }
    uint32_t n = ready < p->target ? ready : p->target;
    return n > 0 && n % 2 == 0 ? n - 1 : n;
}

/* What the replicas of a shard are, by the nodes they are on. */
struct health {
    uint32_t good_voters;
    size_t lost;         /* index of a voter on a lost node; SIZE_MAX: none, as of those below */
    size_t lost_learner; /* a learner on a lost node */
    size_t learner;      /* a learner on a good one */
    size_t waiting;      /* one that does not get the log yet */
};

static struct health health_of(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    struct health h = {
        .lost = SIZE_MAX, .lost_learner = SIZE_MAX, .learner = SIZE_MAX, .waiting = SIZE_MAX};
    for (size_t i = d->n_replicas; i-- > 0;) {
        const Sherd__V1__ReplicaDesc *r = d->replicas[i];
        bool is_good = node_is_good(p, r->node_id);
        if (is_voter(r)) {
            h.good_voters += is_good;
            h.lost = is_good ? h.lost : i;
        } else if (!is_good) {
            h.lost_learner = i;
        } else {
            h.learner = i;
            h.waiting = learner_stands(p, d, r) ? h.waiting : i;
        }
    }
    return h;
}

/* Of a move, or because a lost voter came back. Two voters never become one (rule 11 of
 * replication/). */
static bool has_surplus(const struct place *p, const struct health *h)
{
    return p->target >= MOVE_VOTERS_MIN && h->good_voters > p->target;
}

/* A reference table's learners: on every node that can have one. */
static struct status *learners_spread(struct fiber *f, struct place *p, Sherd__V1__ShardDesc *d,
                                      const struct health *h)
{
    Sherd__V1__ReplicaDesc *r;
    if (h->waiting != SIZE_MAX) {
        r = d->replicas[h->waiting];
        return node_is_ready(p, r->node_id) ? learner_start(f, p, d, r) : NULL;
    }
    const Sherd__V1__NodeDesc *n = d->n_replicas < GROUP_REPLICAS_MAX ? node_choose(p, d) : NULL;
    if (n == NULL) {
        return NULL;
    }
    TRY(learner_add(f, p, d, n, &r));
    TRY(learner_start(f, p, d, r));
    LOGI("scheduler", "shard %" PRIu64 " has a learner on node %" PRIu64, d->shard_id, r->node_id);
    return NULL;
}

static struct status *shard_repair(struct fiber *f, struct place *p, Sherd__V1__ShardDesc *d)
{
    if (has_lost_table(p, d)) {
        d->placement = SHERD__V1__PLACEMENT__PLACEMENT_DEFAULT;
        return desc_put(f, p, d);
    }
    struct health h = health_of(p, d);
    if (h.lost_learner != SIZE_MAX) {
        return replica_drop(f, p, d, h.lost_learner);
    }
    if (h.good_voters < voters_wanted(p)) {
        Sherd__V1__ReplicaDesc *r = h.learner != SIZE_MAX ? d->replicas[h.learner] : NULL;
        if (r == NULL && d->n_replicas < GROUP_REPLICAS_MAX) {
            const Sherd__V1__NodeDesc *n = node_choose(p, d);
            TRY(n == NULL ? NULL : learner_add(f, p, d, n, &r));
        }
        return r == NULL ? NULL : learner_promote(f, p, d, r);
    }
    if (h.lost != SIZE_MAX && h.good_voters >= p->target && d->n_replicas > 2) {
        return replica_drop(f, p, d, h.lost);
    }
    if (is_reference(d)) {
        return learners_spread(f, p, d, &h);
    }
    if (has_surplus(p, &h)) {
        return replica_drop(f, p, d, voter_surplus(p, d));
    }
    if (h.learner == SIZE_MAX) {
        return NULL;
    }
    Sherd__V1__ReplicaDesc *r = d->replicas[h.learner]; /* of a move, or left over */
    bool is_move = h.good_voters == p->target && node_is_ready(p, r->node_id);
    return is_move && move_gain_best(p, d, r->node_id) > 0 ? learner_promote(f, p, d, r)
                                                           : replica_drop(f, p, d, h.learner);
}

/* ---- all shards ---- */

static struct place place_make(struct meta_sched *m)
{
    return (struct place){
        .sched = m, .arena = arena_create(0), .view = m->view, .target = target_read(m->server)};
}

/* Would shard_repair() do anything? Cheap: most passes end here. */
static bool needs_repair(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    struct health h = health_of(p, d);
    if (h.lost != SIZE_MAX || h.lost_learner != SIZE_MAX || h.good_voters < voters_wanted(p)) {
        return true;
    }
    return is_reference(d) ? h.waiting != SIZE_MAX || has_lost_table(p, d) ||
                                 (d->n_replicas < GROUP_REPLICAS_MAX && node_choose(p, d) != NULL)
                           : h.learner != SIZE_MAX || has_surplus(p, &h);
}

struct status *sched_repair(struct fiber *f, struct meta_sched *m)
{
    struct place p = place_make(m);
    struct status *first = NULL;
    for (size_t i = 0; i < p.view->shard_count && !m->is_cancelled; i++) {
        Sherd__V1__ShardDesc *d = p.view->shards[i];
        if (!needs_repair(&p, d) || sched_is_splitting(m, d->shard_id)) {
            continue;
        }
        struct sched_shard *ss = sched_shard_get(m, d->shard_id);
        if (ss->is_busy) {
            continue;
        }
        ss->is_busy = true;
        /* The view may be old by now: the newest descriptor, and nodes by the newest heartbeats. */
        Sherd__V1__ShardDesc *now = sched_shard_desc(m->server, p.arena, d->shard_id);
        struct status *st = now == NULL || now->range == NULL ? NULL : shard_repair(f, &p, now);
        ss->is_busy = false;
        if (first == NULL) {
            first = status_wrap(st, "shard %" PRIu64, ss->shard_id);
        } else {
            status_free(st);
        }
    }
    arena_destroy(p.arena);
    return first;
}

/* ---- moves ---- */

/* Nothing is to be done for it before a shard may move, and it is not moving. What a reference
 * table waits for may take long: a node that is away. */
static bool is_at_rest(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    struct health h = health_of(p, d);
    return is_reference(d) || (h.learner == SIZE_MAX && h.lost_learner == SIZE_MAX &&
                               !has_surplus(p, &h) && h.good_voters >= voters_wanted(p));
}

/* All its replicas are voters that are heard, as many as there should be. */
static bool can_move(const struct place *p, const Sherd__V1__ShardDesc *d)
{
    for (size_t i = 0; i < d->n_replicas; i++) {
        if (!is_voter(d->replicas[i]) || !node_is_ready(p, d->replicas[i]->node_id)) {
            return false;
        }
    }
    return p->target >= MOVE_VOTERS_MIN && leader_of(p, d) != 0 && d->n_replicas == p->target &&
           d->n_replicas < GROUP_REPLICAS_MAX && !is_reference(d) &&
           !sched_shard_get(p->sched, d->shard_id)->is_busy &&
           !sched_is_splitting(p->sched, d->shard_id);
}

/* The node that gains most by a replica of the shard; *out_gain 0: none. */
static Sherd__V1__NodeDesc *move_to(const struct place *p, const Sherd__V1__ShardDesc *d,
                                    size_t *out_gain)
{
    Sherd__V1__NodeDesc *best = NULL;
    *out_gain = 0;
    for (size_t i = 0; i < p->view->node_count; i++) {
        Sherd__V1__NodeDesc *n = p->view->nodes[i];
        uint64_t node_id = n->address->node_id;
        if (!node_is_ready(p, node_id) || has_replica_on(d, node_id) ||
            meta_node_low(p->sched->server, node_id)) {
            continue;
        }
        size_t gain = move_gain_best(p, d, node_id);
        if (gain > *out_gain) {
            *out_gain = gain;
            best = n;
        }
    }
    return best;
}

struct status *sched_spread(struct fiber *f, struct meta_sched *m)
{
    if (loop_now_ns(m->server->loop) - m->server->leader_since_ns < LEADERS_SETTLE_NS) {
        return NULL;
    }
    struct place p = place_make(m);
    const Sherd__V1__ShardDesc *chosen = NULL;
    const Sherd__V1__NodeDesc *to = NULL;
    size_t most = 1; /* one fewer would only turn the two round */
    bool is_calm = true;
    for (size_t i = 0; i < p.view->shard_count && is_calm; i++) {
        const Sherd__V1__ShardDesc *d = p.view->shards[i];
        size_t gain;
        is_calm = is_at_rest(&p, d);
        Sherd__V1__NodeDesc *n = is_calm && can_move(&p, d) ? move_to(&p, d, &gain) : NULL;
        if (n != NULL && gain > most) {
            most = gain;
            chosen = d;
            to = n;
        }
    }
    struct status *st = NULL;
    if (is_calm && chosen != NULL) {
        struct sched_shard *ss = sched_shard_get(m, chosen->shard_id);
        Sherd__V1__ShardDesc *now = sched_shard_desc(m->server, p.arena, chosen->shard_id);
        if (now != NULL && now->epoch == chosen->epoch) {
            Sherd__V1__ReplicaDesc *r;
            ss->is_busy = true;
            st = learner_add(f, &p, now, to, &r); /* shard_repair() goes on with it */
            ss->is_busy = false;
        }
    }
    arena_destroy(p.arena);
    return st;
}

/* ---- leaders ---- */

#define MOVES_MAX 16 /* off nodes that are low on space, in one pass */

static bool can_lead(const struct place *p, uint64_t node_id)
{
    return node_is_ready(p, node_id) && !meta_node_low(p->sched->server, node_id);
}

struct leaders {
    size_t most, least; /* indexes of view.nodes */
    size_t most_count, least_count;
    bool is_known; /* every shard's leader is known and every node has been heard */
};

static struct leaders leaders_count(const struct place *p)
{
    struct leaders l = {.most_count = 0, .least_count = SIZE_MAX, .is_known = true};
    for (size_t i = 0; i < p->view->shard_count; i++) {
        l.is_known =
            l.is_known && sched_shard_get(p->sched, p->view->shards[i]->shard_id)->leader_node != 0;
    }
    for (size_t k = 0; k < p->view->node_count; k++) {
        const Sherd__V1__NodeDesc *n = p->view->nodes[k];
        if (!n->role_shard || n->state != SHERD__V1__NODE_STATE__NODE_LIVE) {
            continue;
        }
        if (!can_lead(p, n->address->node_id)) {
            continue;
        }
        size_t count = 0;
        for (size_t i = 0; i < p->view->shard_count; i++) {
            const struct sched_shard *ss = sched_shard_get(p->sched, p->view->shards[i]->shard_id);
            count += ss->leader_node == n->address->node_id;
        }
        if (count > l.most_count) {
            l.most_count = count;
            l.most = k;
        }
        if (count < l.least_count) {
            l.least_count = count;
            l.least = k;
        }
    }
    return l;
}

/* The replica to which leadership should move, or NULL. */
static const Sherd__V1__ReplicaDesc *move_target(const struct place *p, const struct leaders *l,
                                                 const Sherd__V1__ShardDesc *d)
{
    const struct sched_shard *ss = sched_shard_get(p->sched, d->shard_id);
    uint64_t now = loop_now_ns(p->sched->server->loop);
    if (ss->is_busy || ss->leader_node == 0 ||
        (ss->moved_ns != 0 && now - ss->moved_ns < LEADERS_AGAIN_NS)) {
        return NULL;
    }
    uint64_t to = 0;
    if (meta_node_low(p->sched->server, ss->leader_node)) { /* a node with space goes on with it */
        for (size_t i = 0; to == 0 && i < d->n_replicas; i++) {
            bool is_voter = d->replicas[i]->role == SHERD__V1__REPLICA_ROLE__REPLICA_VOTER;
            to = is_voter && can_lead(p, d->replicas[i]->node_id) ? d->replicas[i]->node_id : 0;
        }
    } else if (d->preferred_leader != 0) {
        to = d->preferred_leader == ss->leader_node || !can_lead(p, d->preferred_leader)
                 ? 0
                 : d->preferred_leader;
    } else if (l->is_known && l->most_count > l->least_count + 1 && l->least_count != SIZE_MAX &&
               p->view->shard_count > LEADERS_SHARDS_MIN &&
               ss->leader_node == p->view->nodes[l->most]->address->node_id) {
        to = p->view->nodes[l->least]->address->node_id;
    }
    /* A leader that hands over takes no writes meanwhile. A node that has just died is not yet
     * given up, leads nothing, and would be asked again and again. */
    if (to != 0 && meta_node_silent_ms(p->sched->server, to) > LEADERS_SILENT_MS) {
        to = 0;
    }
    for (size_t i = 0; to != 0 && i < d->n_replicas; i++) {
        if (d->replicas[i]->node_id == to && is_voter(d->replicas[i])) {
            return d->replicas[i];
        }
    }
    return NULL;
}

struct status *sched_balance(struct fiber *f, struct meta_sched *m)
{
    if (loop_now_ns(m->server->loop) - m->server->leader_since_ns < LEADERS_SETTLE_NS) {
        return NULL;
    }
    struct place p = place_make(m);
    struct leaders l = leaders_count(&p);
    struct status *st = NULL;
    unsigned moves = 0;
    for (size_t i = 0; i < p.view->shard_count; i++) {
        Sherd__V1__ShardDesc *d = p.view->shards[i];
        const Sherd__V1__ReplicaDesc *to = move_target(&p, &l, d);
        if (to == NULL || sched_is_splitting(m, d->shard_id)) {
            continue;
        }
        struct sched_shard *ss = sched_shard_get(m, d->shard_id);
        ss->moved_ns = loop_now_ns(m->server->loop);
        ss->is_busy = true;
        st = change(f, &p, d, TRANSFER, to->replica_id, to->node_id);
        ss->is_busy = false;
        bool was_low = meta_node_low(m->server, ss->leader_node);
        if (st == NULL) {
            ss->leader_node = to->node_id;
        }
        if (st != NULL || !was_low || ++moves == MOVES_MAX) {
            break; /* for balance one a pass */
        }
    }
    arena_destroy(p.arena);
    return st;
}

/* ---- garbage ---- */

/* Notes when the shard was last written. The entry that a watermark itself makes is not a write. */
static void activity_note(struct meta_sched *m, struct sched_shard *ss)
{
    uint64_t now = loop_now_ns(m->server->loop);
    if (ss->report_last == ss->last_index) {
        return;
    }
    bool is_echo = ss->gc_ns != 0 && now - ss->gc_ns < GC_ECHO_NS &&
                   ss->report_last > ss->last_index && ss->report_last - ss->last_index <= 2;
    if (!is_echo) {
        ss->active_ts = m->server->tso.last;
    }
    ss->last_index = ss->report_last;
}

struct status *sched_collect(struct fiber *f, struct meta_sched *m)
{
    struct meta_server *s = m->server;
    uint64_t watermark = meta_gc_watermark(s);
    uint64_t step_ms = (uint64_t)s->options.gc_ttl_s * 100;
    uint64_t step = tso_of_wall((int64_t)(step_ms < GC_STEP_MS_MIN ? GC_STEP_MS_MIN : step_ms));
    struct arena *a = arena_create(0);
    const struct sched_view *v = m->view;
    struct status *first = NULL;
    for (size_t i = 0; i < v->shard_count && !m->is_cancelled; i++) {
        const Sherd__V1__ShardDesc *d = v->shards[i];
        struct sched_shard *ss = sched_shard_get(m, d->shard_id);
        if (ss->leader_node == 0) {
            continue;
        }
        activity_note(m, ss);
        if (watermark <= ss->gc_watermark + step || ss->gc_watermark >= ss->active_ts ||
            ss->is_busy) {
            continue;
        }
        Sherd__V1__GcRequest request = SHERD__V1__GC_REQUEST__INIT;
        void *reply;
        request.shard_id = d->shard_id;
        request.watermark = watermark;
        ss->gc_ns = loop_now_ns(s->loop);
        struct status *st =
            sched_call_leader(f, m, d, RPC_SHARD_GC, &request, CHANGE_CALL_MS, a, &reply);
        if (st == NULL) {
            ss->gc_watermark = watermark;
        }
        if (first == NULL) {
            first = st;
        } else {
            status_free(st);
        }
    }
    arena_destroy(a);
    return first;
}
