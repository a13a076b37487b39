/*
 * The checkers of the Raft simulator. Each says what is wrong and ends the seed.
 *
 * After every call of the library: at most one leader in a term; a new leader has all that was
 * committed before; what a leader commits is on disk at a majority of its voters and its newest
 * index is of its own term; what anybody commits is what was committed there before; last_stored is
 * not ahead of the disk. On every message: term, vote and entries that it speaks for are durable;
 * one vote a term. On every durable operation: no gap, no term that falls, no committed entry
 * truncated, a snapshot record holds the configuration that was committed. On apply: the same
 * entries in the same order everywhere. On reads: nothing older than what was acknowledged or read
 * before.
 */
#include "raft_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ULL(x) ((unsigned long long)(x))

void world_fail(struct world *w, const char *fmt, ...)
{
    va_list ap;
    char text[512];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    printf("seed %llu at %.3f ms: %s\n", ULL(w->seed), (double)sim_now_ns(w->sim) / 1e6, text);
    fflush(stdout);
    _exit(1);
}

void world_trace(struct world *w, const char *fmt, ...)
{
    va_list ap;
    printf("%10.3f ", (double)sim_now_ns(w->sim) / 1e6);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

struct truth *truth_at(struct world *w, unsigned group_no, uint64_t index)
{
    struct checker *c = w->checkers[group_no];
    if (index >= c->capacity) {
        size_t n = c->capacity ? c->capacity : 1024;
        while (n <= index) {
            n *= 2;
        }
        if (n > (1u << 22)) {
            world_fail(w, "group %u has an entry %llu", group_no, ULL(index));
        }
        c->at = mem_realloc(c->at, n * sizeof *c->at);
        memset(c->at + c->capacity, 0, (n - c->capacity) * sizeof *c->at);
        c->capacity = n;
    }
    return &c->at[index];
}

struct replica *replica_find(struct world *w, unsigned group_no, uint64_t replica_id)
{
    if (replica_id >= REPLICAS_MAX) {
        return NULL;
    }
    unsigned node = w->checkers[group_no]->node_of[replica_id];
    if (node == 0) {
        return NULL;
    }
    struct replica *r = &w->nodes[node].replicas[group_no];
    return r->replica_id == replica_id ? r : NULL;
}

static uint64_t hash_entry(unsigned type, const void *data, size_t len)
{
    uint64_t h = UINT64_C(1469598103934665603) ^ type;
    if (type == RAFT_BARRIER) {
        return h;
    }
    for (size_t i = 0; i < len; i++) {
        h = (h ^ ((const uint8_t *)data)[i]) * UINT64_C(1099511628211);
    }
    return h;
}

/* ---- the mirror of a replica's disk ---- */

static uint64_t mirror_last(const struct mirror *m)
{
    uint64_t last = m->first + m->count - 1;
    return last > m->snapshot_index ? last : m->snapshot_index;
}

static uint64_t mirror_term(const struct mirror *m, uint64_t index)
{
    if (m->count > 0 && index >= m->first && index < m->first + m->count) {
        return m->terms[index - m->first];
    }
    return index == m->snapshot_index ? m->snapshot_term : 0;
}

static void mirror_push(struct mirror *m, uint64_t term)
{
    if (m->count == m->capacity) {
        m->capacity = m->capacity ? m->capacity * 2 : 64;
        m->terms = mem_realloc(m->terms, m->capacity * sizeof *m->terms);
    }
    m->terms[m->count++] = term;
}

static void mirror_read(struct mirror *m, const struct group *g)
{
    const struct raft *r = &g->raft;
    m->is_stale = false;
    m->term = r->current_term;
    m->vote = r->voted_for;
    m->snapshot_index = r->log.snapshot.last_index;
    m->snapshot_term = r->log.snapshot.last_term;
    m->first = r->log.offset + 1;
    m->count = 0;
    for (uint64_t i = m->first; i <= r->last_stored; i++) {
        mirror_push(m, raft_log_term(r, i));
    }
}

/* ---- durable operations ---- */

static void durable_truncate(struct replica *r, const struct log_op *op)
{
    struct world *w = r->node->w;
    struct mirror *m = &r->disk;
    for (uint64_t i = op->index; i < m->first + m->count; i++) {
        const struct truth *t = truth_at(w, r->group_no, i);
        if (t->is_committed && t->term == mirror_term(m, i)) {
            world_fail(w, "node %u group %u truncates the committed entry %llu", r->node->id,
                       r->group_no, ULL(i));
        }
    }
    m->count = op->index <= m->first             ? 0
               : op->index - m->first < m->count ? (size_t)(op->index - m->first)
                                                 : m->count;
}

static void durable_snapshot(struct replica *r, const struct log_op *op, bool is_install)
{
    struct world *w = r->node->w;
    struct mirror *m = &r->disk;
    const struct log_snapshot *s = op->snapshot;
    struct buf encoded = {NULL, 0, 0};
    const struct truth *t = truth_at(w, r->group_no, s->conf_index);
    roster_encode(&s->conf, &encoded);
    if (s->conf_index > s->index) {
        world_fail(w, "node %u group %u: snapshot %llu with the later configuration %llu",
                   r->node->id, r->group_no, ULL(s->index), ULL(s->conf_index));
    }
    if (t->is_committed &&
        (t->type != RAFT_CHANGE || t->hash != hash_entry(RAFT_CHANGE, encoded.data, encoded.len))) {
        world_fail(w, "node %u group %u: snapshot %llu holds a wrong configuration (index %llu)",
                   r->node->id, r->group_no, ULL(s->index), ULL(s->conf_index));
    }
    buf_deinit(&encoded);
    m->snapshot_index = s->index;
    m->snapshot_term = s->term;
    if (is_install) {
        m->first = s->index + 1;
        m->count = 0;
        w->stats->installs++;
    } else {
        uint64_t drop = op->index > 0 ? op->last - m->first + 1 : 0;
        memmove(m->terms, m->terms + drop, (m->count - drop) * sizeof *m->terms);
        m->count -= drop;
        m->first += drop;
        w->stats->checkpoints++;
    }
}

void check_durable(void *ctx, const struct log_op *op)
{
    struct node *n = ctx;
    struct world *w = n->w;
    struct replica *r = &n->replicas[op->group];
    struct mirror *m = &r->disk;
    switch (op->kind) {
    case LOG_APPEND:
        if (op->index != mirror_last(m) + 1) {
            world_fail(w, "node %u group %llu: append at %llu, the log ends at %llu", n->id,
                       ULL(op->group), ULL(op->index), ULL(mirror_last(m)));
        }
        for (unsigned i = 0; i < op->count; i++) {
            mirror_push(m, op->entries[i].term);
        }
        break;
    case LOG_TRUNCATE:
        durable_truncate(r, op);
        break;
    case LOG_META:
        if (op->term < m->term) {
            world_fail(w, "node %u group %llu: the durable term falls from %llu to %llu", n->id,
                       ULL(op->group), ULL(m->term), ULL(op->term));
        }
        m->term = op->term;
        m->vote = op->vote;
        break;
    case LOG_SNAPSHOT:
        durable_snapshot(r, op, false);
        break;
    case LOG_INSTALL:
        durable_snapshot(r, op, true);
        break;
    case LOG_CREATE:
        if (op->st == NULL) {
            m->term = op->term;
            m->vote = m->snapshot_index = m->snapshot_term = 0;
            m->first = 1;
            m->count = 0;
            for (unsigned i = 0; i < op->count; i++) {
                mirror_push(m, op->entries[i].term);
            }
        }
        break;
    case LOG_MARK:
    case LOG_DOOM:
    case LOG_DESTROY:
    case LOG_LOAD:
        break;
    }
}

/* ---- messages ---- */

static void check_vote(struct world *w, struct replica *r, uint64_t term, uint64_t candidate)
{
    struct checker *c = w->checkers[r->group_no];
    if (term >= TERMS_MAX || r->replica_id >= REPLICAS_MAX) {
        world_fail(w, "group %u has a term %llu", r->group_no, ULL(term));
    }
    uint8_t *vote = &c->votes[term][r->replica_id];
    if (*vote != 0 && *vote != candidate) {
        world_fail(w, "double vote: replica %llu of group %u in term %llu for %u and %llu",
                   ULL(r->replica_id), r->group_no, ULL(term), *vote, ULL(candidate));
    }
    *vote = (uint8_t)candidate;
}

/* A message is bounded, whatever the follower lacks. */
static void check_part(struct world *w, struct replica *r, const struct wire_append *a)
{
    unsigned most = r->node->host->part_entries_max;
    if (a->entry_count > most || (a->entry_count > 1 && a->entries.len > APPEND_PART_BYTES_MAX)) {
        world_fail(w, "node %u group %u sends %u entries, %zu bytes, in one message", r->node->id,
                   r->group_no, a->entry_count, a->entries.len);
    }
}

static void check_departs(struct world *w, struct replica *r, const struct wire_message *m)
{
    const struct mirror *d = &r->disk;
    uint64_t term = 0;
    switch (m->kind) {
    case WIRE_VOTE:
        if (m->vote.pre_vote) {
            return;
        }
        term = m->vote.term;
        if (d->term == term && d->vote != r->replica_id) {
            world_fail(w, "node %u group %u asks for votes in term %llu without its own",
                       r->node->id, r->group_no, ULL(term));
        }
        check_vote(w, r, term, r->replica_id);
        break;
    case WIRE_VOTE_RESULT:
        if (m->vote_result.pre_vote == raft_tribool_true) {
            return;
        }
        term = m->vote_result.term;
        if (m->vote_result.granted) {
            if (d->term == term && d->vote != m->to) {
                world_fail(w, "node %u group %u grants a vote that is not durable", r->node->id,
                           r->group_no);
            }
            check_vote(w, r, term, m->to);
        }
        break;
    case WIRE_APPEND:
        term = m->append.term;
        check_part(w, r, &m->append);
        break;
    case WIRE_APPEND_RESULT:
        term = m->append_result.term;
        if (m->append_result.rejected == 0 && m->append_result.last_index > mirror_last(d)) {
            world_fail(w, "node %u group %u acknowledges %llu, its disk ends at %llu", r->node->id,
                       r->group_no, ULL(m->append_result.last_index), ULL(mirror_last(d)));
        }
        break;
    default:
        return;
    }
    if (d->term < term) {
        world_fail(w, "node %u group %u: %s of term %llu leaves, durable is %llu", r->node->id,
                   r->group_no, wire_kind_name(m->kind), ULL(term), ULL(d->term));
    }
}

void check_message(void *ctx, uint64_t from_node, struct slice bytes)
{
    struct world *w = ctx;
    struct wire_reader wr;
    struct wire_message m;
    bool more = true;
    struct status *st = wire_open(&wr, bytes);
    while (st == NULL) {
        st = wire_next(&wr, &m, &more);
        if (st != NULL || !more) {
            break;
        }
        if (m.kind == WIRE_BEAT) {
            continue;
        }
        struct replica *r = &w->nodes[from_node].replicas[m.group];
        if (r->replica_id == m.from && !r->disk.is_stale) {
            check_departs(w, r, &m);
        }
    }
    if (st != NULL) {
        world_fail(w, "node %llu sends what it could not read: %s", ULL(from_node), st->message);
    }
}

/* ---- after every call of the library ---- */

static void check_new_leader(struct world *w, struct replica *r)
{
    const struct raft *raft = &r->g->raft;
    struct checker *c = w->checkers[r->group_no];
    uint64_t term = raft->current_term;
    r->last_led_term = term;
    if (r->led_term == term && r->led_life == r->life) {
        return;
    }
    if (term >= TERMS_MAX) {
        world_fail(w, "group %u has a term %llu", r->group_no, ULL(term));
    }
    r->led_term = term;
    r->led_life = r->life;
    w->stats->leaders++;
    hunts_new_leader(r);
    if (c->leaders[term].replica != 0) {
        world_fail(w, "two leaders in term %llu of group %u: replicas %llu and %llu", ULL(term),
                   r->group_no, ULL(c->leaders[term].replica), ULL(r->replica_id));
    }
    c->leaders[term].replica = r->replica_id;
    c->leaders[term].life = r->life;
    TRACE(w, "group %u: replica %llu on node %u leads term %llu, last %llu, commit %llu",
          r->group_no, ULL(r->replica_id), r->node->id, ULL(term), ULL(raft_log_last(raft)),
          ULL(raft->commit_index));
    uint64_t i = c->commit_max;
    while (i > 1 && truth_at(w, r->group_no, i)->commit_term >= term) {
        i--;
    }
    const struct truth *t = truth_at(w, r->group_no, i);
    if (i > raft->log.snapshot.last_index && t->is_committed && raft_log_term(raft, i) != t->term) {
        world_fail(w,
                   "leader of term %llu (replica %llu of group %u) lacks the committed entry %llu",
                   ULL(term), ULL(r->replica_id), r->group_no, ULL(i));
    }
}

/* A leader commits an entry that nobody had committed: is it where it must be? */
static void check_quorum(struct world *w, struct replica *r, uint64_t index, uint64_t term)
{
    const struct raft_configuration *conf = &r->g->raft.configuration;
    unsigned voters = 0;
    unsigned have = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        if (conf->servers[i].role != RAFT_VOTER) {
            continue;
        }
        voters++;
        struct replica *o = replica_find(w, r->group_no, conf->servers[i].id);
        if (o != NULL &&
            (mirror_term(&o->disk, index) == term || o->disk.snapshot_index >= index)) {
            have++;
        }
    }
    if (have <= voters / 2) {
        world_fail(w, "group %u term %llu: entry %llu is committed on the disks of %u of %u voters",
                   r->group_no, ULL(r->g->raft.current_term), ULL(index), have, voters);
    }
}

static void check_commit(struct world *w, struct replica *r)
{
    const struct raft *raft = &r->g->raft;
    struct checker *c = w->checkers[r->group_no];
    while (r->checked < raft->commit_index) {
        uint64_t i = ++r->checked;
        const struct raft_log *l = &raft->log;
        if (i <= l->offset || i > raft_log_last(raft)) {
            continue;
        }
        const struct raft_entry *e =
            &l->entries[(l->front + (size_t)(i - l->offset - 1)) % l->size];
        struct truth *t = truth_at(w, r->group_no, i);
        uint64_t hash = hash_entry(e->type, e->buf.base, e->buf.len);
        if (t->is_committed) {
            if (t->term != e->term || t->type != e->type || t->hash != hash) {
                world_fail(
                    w, "replica %llu of group %u commits another entry %llu: term %llu, was %llu",
                    ULL(r->replica_id), r->group_no, ULL(i), ULL(e->term), ULL(t->term));
            }
            continue;
        }
        bool is_first = i == 1; /* the first configuration is committed where it is written */
        if (!is_first && raft->state != RAFT_LEADER && r->last_led_term != raft->current_term) {
            world_fail(w, "replica %llu of group %u is no leader and commits entry %llu first",
                       ULL(r->replica_id), r->group_no, ULL(i));
        }
        if (!is_first) {
            check_quorum(w, r, i, e->term);
        }
        if (!is_first && i == raft->commit_index && e->term != raft->current_term &&
            raft_voter_count(raft) > 1) {
            world_fail(w,
                       "figure 8: leader of term %llu of group %u commits up to %llu of term %llu",
                       ULL(raft->current_term), r->group_no, ULL(i), ULL(e->term));
        }
        t->is_committed = true;
        t->commit_term = is_first ? 1 : raft->current_term;
        t->term = e->term;
        t->type = (uint8_t)e->type;
        t->hash = hash;
        struct slice data;
        if (e->type == RAFT_COMMAND && entry_unwrap(slice_make(e->buf.base, e->buf.len), &data)) {
            struct entry_view v = entry_view(data);
            if (t->is_applied && t->uid != v.uid) {
                world_fail(w, "group %u: entry %llu was applied as another", r->group_no, ULL(i));
            }
            t->uid = v.uid;
            t->slot = v.slot;
        }
        c->commit_max = i > c->commit_max ? i : c->commit_max;
        w->stats->commits++;
    }
}

/* Whom a follower takes for the leader leads its term. */
static void check_followed(struct world *w, struct replica *r)
{
    const struct raft *raft = &r->g->raft;
    const struct checker *c = w->checkers[r->group_no];
    uint64_t followed = raft->state == RAFT_FOLLOWER ? raft->follower_state.current_leader.id : 0;
    if (followed != 0 && raft->current_term < TERMS_MAX &&
        c->leaders[raft->current_term].replica != followed) {
        world_fail(w, "replica %llu of group %u follows %llu, which does not lead term %llu",
                   ULL(r->replica_id), r->group_no, ULL(followed), ULL(raft->current_term));
    }
}

void check_after(void *ctx, struct group *g)
{
    struct node *n = ctx;
    struct world *w = n->w;
    struct replica *r = &n->replicas[g->id];
    const struct raft *raft = &g->raft;
    r->g = g;
    if (raft->state == RAFT_UNAVAILABLE) {
        world_fail(w, "node %u group %llu: the library is unavailable: %s", n->id, ULL(g->id),
                   raft->errmsg);
    }
    if (r->disk.is_stale) {
        mirror_read(&r->disk, g);
    }
    if (raft_log_last(raft) + 1 != g->next_index) {
        world_fail(w, "node %u group %llu: the library's log ends at %llu, ours at %llu", n->id,
                   ULL(g->id), ULL(raft_log_last(raft)), ULL(g->next_index - 1));
    }
    if (raft->last_stored > raft_log_last(raft) || raft->last_stored > mirror_last(&r->disk)) {
        world_fail(w, "node %u group %llu: last_stored %llu, log %llu, disk %llu", n->id,
                   ULL(g->id), ULL(raft->last_stored), ULL(raft_log_last(raft)),
                   ULL(mirror_last(&r->disk)));
    }
    if (g->appends_in_flight == 0 && raft->last_stored != raft_log_last(raft)) {
        world_fail(w, "node %u group %llu: last_stored stuck at %llu below %llu", n->id, ULL(g->id),
                   ULL(raft->last_stored), ULL(raft_log_last(raft)));
    }
    if (g->send_count != 0) {
        world_fail(w, "node %u group %llu: %zu references of messages outlive the call", n->id,
                   ULL(g->id), g->send_count);
    }
    if (raft->state == RAFT_LEADER) {
        check_new_leader(w, r);
    }
    check_followed(w, r);
    check_commit(w, r);
}

/* ---- the state machine, clients ---- */

void entry_make(struct buf *out, uint64_t uid, uint8_t slot, size_t filler)
{
    buf_clear(out);
    buf_put_u64(out, uid);
    buf_put_u8(out, slot);
    memset(buf_extend(out, filler), (int)(uid & 0x7f), filler);
}

struct entry_view entry_view(struct slice data)
{
    struct entry_view v = {0, 0};
    if (data.len >= 9) {
        v.uid = get_u64(data.data);
        v.slot = data.data[8];
    }
    return v;
}

void check_apply(struct replica *r, const struct group_entry *e)
{
    struct world *w = r->node->w;
    struct truth *t = truth_at(w, r->group_no, e->index);
    struct entry_view v = entry_view(e->data);
    if (e->index <= r->applied) {
        world_fail(w, "replica %llu of group %u applies entry %llu after %llu", ULL(r->replica_id),
                   r->group_no, ULL(e->index), ULL(r->applied));
    }
    if ((t->is_applied || t->is_committed) && t->uid != v.uid) {
        world_fail(w, "replica %llu of group %u applies %llu as entry %llu, it is %llu",
                   ULL(r->replica_id), r->group_no, ULL(v.uid), ULL(e->index), ULL(t->uid));
    }
    t->is_applied = true;
    t->uid = v.uid;
    t->slot = v.slot;
    r->applied = e->index;
}

void check_acked(struct world *w, unsigned group_no, uint64_t index, uint64_t uid)
{
    struct checker *c = w->checkers[group_no];
    const struct truth *t = truth_at(w, group_no, index);
    if (!t->is_committed || !t->is_applied || t->uid != uid) {
        world_fail(w, "group %u: %llu is acknowledged at entry %llu, which is %s %llu", group_no,
                   ULL(uid), ULL(index), t->is_committed ? "committed as" : "not committed",
                   ULL(t->uid));
    }
    c->acked_max = index > c->acked_max ? index : c->acked_max;
    w->stats->acks++;
}

void check_read(struct world *w, struct replica *r, uint64_t floor, const char *how)
{
    struct checker *c = w->checkers[r->group_no];
    uint64_t applied = group_applied_index(r->g);
    if (applied < floor) {
        world_fail(w, "stale %s on node %u: group %u reads at entry %llu, %llu was seen before",
                   how, r->node->id, r->group_no, ULL(applied), ULL(floor));
    }
    c->served_max = applied > c->served_max ? applied : c->served_max;
}

/* What the store holds is what the applied entries say. */
void check_final_state(struct replica *r)
{
    struct world *w = r->node->w;
    uint64_t expected[SLOTS] = {0};
    uint64_t applied = group_applied_index(r->g);
    for (uint64_t i = 1; i <= applied; i++) {
        const struct truth *t = truth_at(w, r->group_no, i);
        if (t->type == RAFT_COMMAND && t->is_committed) {
            expected[t->slot] = t->uid;
        }
    }
    for (unsigned s = 0; s < SLOTS; s++) {
        uint8_t key[10] = {'d'};
        struct buf value = {NULL, 0, 0};
        bool found = false;
        set_u64(key + 1, r->group_no);
        key[9] = (uint8_t)s;
        struct status *st =
            store_get(r->node->state, NULL, slice_make(key, sizeof key), &value, &found);
        uint64_t uid = st == NULL && found && value.len >= 8 ? get_u64(value.data) : 0;
        if (st != NULL || uid != expected[s]) {
            world_fail(w, "node %u group %u: slot %u holds %llu instead of %llu (applied %llu)",
                       r->node->id, r->group_no, s, ULL(uid), ULL(expected[s]), ULL(applied));
        }
        buf_deinit(&value);
    }
}
