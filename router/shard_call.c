/*
 * One request to the leader of one shard.
 *
 * The leader is guessed (the last one that answered, this node, the first replica), then followed
 * by the hints of NOT_LEADER answers. While nobody leads, replicas are asked in turn with a growing
 * pause, so that a new leader is found within a few milliseconds of its election.
 *
 * The messages of a commit are sent under a mask (nobody's cancel or statement timeout ends them),
 * so each has a deadline of its own: a participant that hangs costs shard_commit_call_ms, then it
 * is asked again, here or elsewhere. Its silence says nothing (C6): all of them may be repeated,
 * participants answer from state (P1, F1), and the caller hears UNKNOWN_OUTCOME at the end.
 */
#include "base/buggify.h"
#include "base/check.h"
#include "base/mem.h"
#include "router_internal.h"

#include <uthash.h>

#define CALL_PATIENCE_MS 15000
#define PAUSE_MIN_MS 2
#define PAUSE_MAX_MS 50

uint64_t shard_commit_call_ms = 3000;

struct shard_term {
    uint64_t shard_id;
    uint64_t term;
    UT_hash_handle hh;
};

uint64_t shard_term_get(const struct router *r, uint64_t shard_id)
{
    struct shard_term *t = NULL;
    HASH_FIND(hh, r->terms, &shard_id, sizeof(shard_id), t);
    return t != NULL ? t->term : 0;
}

void shard_term_set(struct router *r, uint64_t shard_id, uint64_t term)
{
    struct shard_term *t = NULL;
    HASH_FIND(hh, r->terms, &shard_id, sizeof(shard_id), t);
    if (t == NULL) {
        if (term == 0) {
            return;
        }
        t = MEM_NEW(struct shard_term);
        t->shard_id = shard_id;
        HASH_ADD(hh, r->terms, shard_id, sizeof(t->shard_id), t);
    }
    t->term = term == 0 || term > t->term ? term : t->term;
}

void shard_terms_free(struct router *r)
{
    struct shard_term *t, *tmp;
    HASH_ITER(hh, r->terms, t, tmp)
    {
        HASH_DEL(r->terms, t);
        mem_free(t);
    }
}

struct replica_cursor {
    uint64_t nodes[9];
    size_t count;
    size_t next;
};

static uint64_t first_guess(struct router *r, const struct shard_info *s, struct replica_cursor *c)
{
    c->count = 0;
    c->next = 0;
    bool is_here = false;
    for (size_t i = 0; i < s->replica_count; i++) {
        if (!s->replicas[i].is_voter) {
            continue;
        }
        c->nodes[c->count++] = s->replicas[i].node_id;
        is_here |= s->replicas[i].node_id == r->node_id;
    }
    if (s->leader_hint != 0) {
        return s->leader_hint;
    }
    return is_here ? r->node_id : (c->count > 0 ? c->nodes[0] : 0);
}

static bool is_of_commit(enum rpc_method m)
{
    switch (m) {
    case RPC_SHARD_VALIDATE:
    case RPC_SHARD_PREPARE:
    case RPC_SHARD_COMMIT_ONE:
    case RPC_SHARD_QUERY:
    case RPC_SHARD_FINALIZE:
    case RPC_SHARD_FORGET:
    case RPC_SHARD_ROLLBACK:
        return true;
    default:
        return false;
    }
}

/* The planted bug shows only when the silence ends while the others still wait. */
static bool is_hasty(enum rpc_method m)
{
    return m == RPC_SHARD_PREPARE && bug_on(BUG_TXN_ABORT_ON_TIMEOUT);
}

static struct status *call_node(struct fiber *f, struct router *r, uint64_t node, enum rpc_method m,
                                const void *request, struct arena *a, void **out_reply)
{
    if (!is_of_commit(m)) {
        return rpc_call(f, r->rpc, node, m, request, a, out_reply);
    }
    uint64_t outer = fiber_deadline(f);
    uint64_t call_ms = is_hasty(m) ? 20 : shard_commit_call_ms;
    uint64_t limit = loop_clock_ns(r->loop) + ms_to_ns(call_ms);
    bool is_ours = outer == 0 || limit < outer;
    if (is_ours) {
        fiber_set_deadline(f, limit);
    }
    /* In two steps also on this node: the handler then has a fiber of its own, which may go on
     * after we gave up. */
    struct rpc_call call;
    rpc_start(f, r->rpc, node, m, request, a, &call);
    struct status *st = rpc_wait(f, &call);
    fiber_set_deadline(f, outer);
    if (st == NULL) {
        *out_reply = call.reply;
    } else if (is_ours && st->code == STATUS_TIMEOUT) {
        status_free(st);
        st = status_new(UNKNOWN_OUTCOME, "node %llu has not answered within %llu ms",
                        (unsigned long long)node, (unsigned long long)call_ms);
    }
    return st;
}

struct status *shard_call(struct fiber *f, struct router *r, uint64_t shard_id, enum rpc_method m,
                          const void *request, bool retry_unknown, struct arena *a,
                          void **out_reply, uint64_t *out_node)
{
    uint64_t give_up = loop_clock_ns(r->loop) + ms_to_ns(is_hasty(m) ? 20 : CALL_PATIENCE_MS);
    uint64_t pause_ms = PAUSE_MIN_MS;
    const struct shard_info *s = shard_map_by_id(r->meta, shard_id);
    if (s == NULL) {
        return status_new(MOVED, "shard %llu is not in the shard map",
                          (unsigned long long)shard_id);
    }
    struct replica_cursor cursor;
    uint64_t node = first_guess(r, s, &cursor);
    int hints_followed = 0;
    for (;;) {
        if (node == 0) {
            return status_new(UNAVAILABLE, "shard %llu has no replicas",
                              (unsigned long long)shard_id);
        }
        struct status *st = call_node(f, r, node, m, request, a, out_reply);
        if (st == NULL) {
            shard_map_leader(r->meta, shard_id, node);
            if (out_node != NULL) {
                *out_node = node;
            }
            return NULL;
        }
        bool is_retry = st->code == STATUS_NOT_LEADER || st->code == STATUS_UNAVAILABLE ||
                        (st->code == STATUS_UNKNOWN_OUTCOME && retry_unknown);
        if (!is_retry) {
            return st;
        }
        uint64_t hint = st->code == STATUS_NOT_LEADER ? rpc_leader_hint(st) : 0;
        bool names_term =
            m == RPC_SHARD_WRITE && ((const Sherd__V1__WriteRequest *)request)->expect_term != 0;
        if (hint == node && names_term) {
            return st; /* it leads, but in another term than the request names */
        }
        if (loop_clock_ns(r->loop) >= give_up) {
            if (st->code == STATUS_NOT_LEADER) {
                status_free(st);
                st = status_hint(status_new(UNAVAILABLE, "shard %llu has no leader",
                                            (unsigned long long)shard_id),
                                 "A majority of its replicas must be up. See sherd status.");
            }
            return st;
        }
        status_free(st);
        if (hint != 0 && hint != node && hints_followed < 3) {
            hints_followed++;
            node = hint;
            continue;
        }
        hints_followed = 0;
        shard_map_leader(r->meta, shard_id, 0);
        TRY(fiber_sleep(f, ms_to_ns(pause_ms)));
        pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
        s = shard_map_by_id(r->meta, shard_id);
        if (s == NULL) {
            return status_new(MOVED, "shard %llu is not in the shard map any more",
                              (unsigned long long)shard_id);
        }
        size_t keep = cursor.next + 1;
        uint64_t learned = first_guess(r, s, &cursor);
        cursor.next = cursor.count > 0 ? keep % cursor.count : 0;
        node = s->leader_hint != 0 ? learned : (cursor.count > 0 ? cursor.nodes[cursor.next] : 0);
    }
}

struct status *reroute(struct fiber *f, struct router *r, struct reroute *x)
{
    uint64_t now = loop_clock_ns(r->loop);
    if (x->give_up_ns == 0) {
        x->give_up_ns = now + ms_to_ns(CALL_PATIENCE_MS);
    } else if (now >= x->give_up_ns) {
        return status_new(UNAVAILABLE, "the shards of the statement keep moving");
    } else {
        x->pause_ms = x->pause_ms == 0 ? 1 : x->pause_ms * 2;
        x->pause_ms = x->pause_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : x->pause_ms;
        TRY(fiber_sleep(f, ms_to_ns(x->pause_ms)));
    }
    return meta_refresh(f, r->meta);
}
