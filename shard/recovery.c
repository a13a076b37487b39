/*
 * Recovery of prepared transactions whose coordinator is silent (PROTOCOL section 5), and the end
 * of workspaces whose coordinator is gone (W5).
 *
 *   ask the coordinator: in progress -> wait; it knows -> do that
 *   else Query every other write participant at m = our attempt:
 *     Prepared(a' > m): we are below, so nothing of m or above will ever be complete -> abort
 *     Committed(a, C), or Prepared(m) from all -> commit at that C
 *     any Never -> abort
 *     Busy, silence -> ask again later: the locks stay (unavoidable; counted)
 *   Finalize here and everywhere
 * The rows of a schema change are decided by its job in the metadata group instead (section 9):
 * after the coordinator that job is asked, and aborted if it is undecided still.
 *
 * Several recoverers and the coordinator may run at once: the answers are stable, so all decide the
 * same. The decision is acted on through Finalize only and reported to nobody.
 */
#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "metadata/jobs.h"
#include "server_impl.h"

#define PAUSE_MIN_MS 20u
#define PAUSE_MAX_MS 2000u

struct recovering {
    struct replica *replica;
    struct part *part;
    struct work *work;
};

enum decision { DECIDE_WAIT, DECIDE_COMMIT, DECIDE_ABORT, DECIDE_NOTHING };

static bool is_prepared(const struct recovering *r)
{
    return !r->part->is_dead && r->work->state == WORK_PREPARED;
}

static void fill_id(const struct work *w, Sherd__V1__TxnId *id)
{
    sherd__v1__txn_id__init(id);
    id->incarnation = w->id.incarnation;
    id->counter = w->id.counter;
}

/* DECIDE_NOTHING: it cannot tell. */
static enum decision ask_coordinator(struct fiber *f, struct shard_server *s, const struct work *w,
                                     uint32_t *out_attempt, uint64_t *out_commit, bool *out_reached)
{
    *out_reached = false;
    if (w->coordinator_node == 0) {
        return DECIDE_NOTHING;
    }
    Sherd__V1__TxnId id;
    fill_id(w, &id);
    Sherd__V1__CoordinatorQuery q = SHERD__V1__COORDINATOR_QUERY__INIT;
    q.txn = &id;
    struct arena *a = arena_create(0);
    Sherd__V1__OutcomeReply *reply = NULL;
    uint64_t outer = fiber_set_deadline(f, loop_clock_ns(s->loop) + ms_to_ns(SHARD_CALL_MS));
    struct status *st =
        rpc_call(f, s->o.rpc, w->coordinator_node, RPC_COORDINATOR_OUTCOME, &q, a, (void **)&reply);
    fiber_set_deadline(f, outer);
    enum decision d = DECIDE_NOTHING;
    if (st == NULL) {
        *out_reached = true;
        *out_attempt = reply->attempt;
        *out_commit = reply->commit;
        if (reply->answer == SHERD__V1__ANSWER__ANSWER_BUSY) {
            d = DECIDE_WAIT;
        } else if (reply->answer == SHERD__V1__ANSWER__ANSWER_COMMITTED && reply->commit != 0) {
            d = DECIDE_COMMIT;
        } else if (reply->answer == SHERD__V1__ANSWER__ANSWER_NEVER) {
            d = DECIDE_ABORT;
        }
    }
    status_free(st);
    arena_destroy(a);
    return d;
}

static struct status *query_one(struct fiber *f, struct shard_server *s, const struct work *w,
                                const struct work_participant *x, uint32_t attempt, struct arena *a,
                                Sherd__V1__OutcomeReply **out)
{
    Sherd__V1__TxnId id;
    fill_id(w, &id);
    Sherd__V1__Handle h = SHERD__V1__HANDLE__INIT;
    h.group = x->shard_id;
    h.term = x->term;
    h.number = x->number;
    Sherd__V1__QueryRequest q = SHERD__V1__QUERY_REQUEST__INIT;
    q.shard_id = x->shard_id;
    q.txn = &id;
    q.handle = &h;
    q.attempt = attempt;
    q.term = x->term;
    q.is_prepared = true;
    return server_call(f, s, x->shard_id, RPC_SHARD_QUERY, &q, a, (void **)out);
}

/* Step 2 to 4. */
static struct status *ask_participants(struct fiber *f, struct shard_server *s,
                                       const struct recovering *r, struct arena *a,
                                       enum decision *out, uint32_t *out_attempt,
                                       uint64_t *out_commit)
{
    const struct work *w = r->work;
    size_t n = w->participant_count;
    uint32_t m = w->attempt;
    uint32_t *prepared_at = ARENA_ARRAY(a, uint32_t, n + 1);
    struct work_participant *all = ARENA_ARRAY(a, struct work_participant, n + 1);
    memcpy(all, w->participants, n * sizeof(*all));
    *out = DECIDE_WAIT;
    for (size_t i = 0; i < n; i++) {
        if (all[i].shard_id == r->replica->shard_id) {
            continue;
        }
        while (prepared_at[i] < m) {
            Sherd__V1__OutcomeReply *reply = NULL;
            TRY(query_one(f, s, w, &all[i], m, a, &reply));
            if (!is_prepared(r)) {
                *out = DECIDE_NOTHING;
                return NULL;
            }
            switch (reply->answer) {
            case SHERD__V1__ANSWER__ANSWER_COMMITTED:
                *out = DECIDE_COMMIT;
                *out_attempt = reply->attempt;
                *out_commit = reply->commit;
                return NULL;
            case SHERD__V1__ANSWER__ANSWER_NEVER:
                *out = DECIDE_ABORT;
                return NULL;
            case SHERD__V1__ANSWER__ANSWER_PREPARED:
                prepared_at[i] = reply->attempt;
                if (reply->attempt > m) {
                    /* We are prepared for less. Our own answer to a Query at that attempt is the
                     * poison: nothing higher will ever be prepared here. */
                    part_drop(r->part, r->work);
                    *out = r->work->attempt < reply->attempt ? DECIDE_ABORT : DECIDE_WAIT;
                    return NULL;
                }
                break;
            case SHERD__V1__ANSWER__ANSWER_BUSY: /* an entry is in flight */
                TRY(fiber_sleep(f, ms_to_ns(PAUSE_MIN_MS)));
                break;
            default:
                return status_new(INTERNAL, "shard %llu answers %d to a Query of a recovery",
                                  (unsigned long long)all[i].shard_id, (int)reply->answer);
            }
        }
    }
    *out = DECIDE_COMMIT;
    *out_attempt = m;
    *out_commit = w->commit_ts;
    return NULL;
}

/* The transaction changes the schema too: the job that does is the one place of its outcome. */
static struct status *ask_job(struct fiber *f, struct shard_server *s, const struct recovering *r,
                              enum decision *out, uint32_t *out_attempt, uint64_t *out_commit)
{
    bool is_committed = false;
    TRY(meta_job_decide(f, s->o.meta, r->work->decision_job, &is_committed, out_attempt,
                        out_commit));
    *out = is_committed ? DECIDE_COMMIT : DECIDE_ABORT;
    if (is_committed && is_prepared(r)) {
        ASSERT(*out_attempt == r->work->attempt && *out_commit == r->work->commit_ts);
    }
    return NULL;
}

static void finalize_others(struct fiber *f, struct shard_server *s, const struct recovering *r,
                            bool is_abort, uint32_t attempt, uint64_t commit)
{
    const struct work *w = r->work;
    Sherd__V1__TxnId id;
    fill_id(w, &id);
    for (size_t i = 0; i < w->participant_count; i++) {
        if (w->participants[i].shard_id == r->replica->shard_id) {
            continue;
        }
        struct arena *a = arena_create(0);
        Sherd__V1__FinalizeRequest q = SHERD__V1__FINALIZE_REQUEST__INIT;
        void *reply = NULL;
        q.shard_id = w->participants[i].shard_id;
        q.txn = &id;
        q.attempt = attempt;
        q.commit = commit;
        q.abort = is_abort;
        status_consume(server_call(f, s, q.shard_id, RPC_SHARD_FINALIZE, &q, a, &reply));
        arena_destroy(a);
    }
}

/* One round. True: go on waiting. */
static bool recover_once(struct fiber *f, struct shard_server *s, struct recovering *r)
{
    uint32_t attempt = 0;
    uint64_t commit = 0;
    bool reached = false;
    /* Without the poison it is the recoverer beside a live coordinator that does harm: so it comes.
     */
    enum decision d = bug_on(BUG_TXN_NO_POISON)
                          ? DECIDE_NOTHING
                          : ask_coordinator(f, s, r->work, &attempt, &commit, &reached);
    if (!is_prepared(r)) {
        return false;
    }
    if (d == DECIDE_COMMIT && (attempt != r->work->attempt || commit != r->work->commit_ts)) {
        LOGE("shard", "shard %llu: coordinator says committed at %llu, prepared is %llu",
             (unsigned long long)r->replica->shard_id, (unsigned long long)commit,
             (unsigned long long)r->work->commit_ts);
        d = DECIDE_NOTHING;
    }
    if (d == DECIDE_NOTHING) {
        struct arena *a = arena_create(0);
        struct status *st = r->work->decision_job != 0
                                ? ask_job(f, s, r, &d, &attempt, &commit)
                                : ask_participants(f, s, r, a, &d, &attempt, &commit);
        arena_destroy(a);
        LOGD("shard", "shard %llu recovers transaction %llu/%llu: %s",
             (unsigned long long)r->replica->shard_id, (unsigned long long)r->work->id.incarnation,
             (unsigned long long)r->work->id.counter, st != NULL ? st->message : "asked");
        if (st != NULL) {
            status_free(st); /* somebody is away: keep the locks */
            return is_prepared(r);
        }
    }
    if (d == DECIDE_WAIT || !is_prepared(r)) {
        return is_prepared(r);
    }
    struct status *st = part_decide(f, r->part, r->work, attempt, commit, d == DECIDE_ABORT);
    if (st != NULL) {
        LOGW("shard", "shard %llu: deciding an orphaned transaction: %s",
             (unsigned long long)r->replica->shard_id, st->message);
        status_free(st);
        return is_prepared(r);
    }
    metric_add(s->m_recovered, 1);
    LOGI("shard", "shard %llu: an orphaned transaction was %s",
         (unsigned long long)r->replica->shard_id, d == DECIDE_ABORT ? "rolled back" : "committed");
    finalize_others(f, s, r, d == DECIDE_ABORT, attempt, commit);
    return false;
}

static struct recovering *begin(struct replica *r, struct work *w)
{
    struct recovering *x = MEM_NEW(struct recovering);
    x->replica = r;
    x->part = part_ref(w->part);
    x->work = work_ref(w);
    w->is_recovering = true;
    replica_enter(r);
    return x;
}

static void end(struct recovering *x)
{
    x->work->is_recovering = false;
    work_unref(x->work);
    part_unref(x->part);
    replica_leave(x->replica);
    mem_free(x);
}

static void recover(struct fiber *f, struct shard_server *s, void *arg)
{
    struct recovering *x = arg;
    uint64_t pause_ms = bug_on(BUG_TXN_NO_POISON)
                            ? 1
                            : SHARD_WAITED_ON_MS; /* a live transaction is decided long before */
    while (is_prepared(x) && !s->is_stopping) {
        if (status_consume(fiber_sleep(f, ms_to_ns(pause_ms)))) {
            break;
        }
        if (!is_prepared(x) || !recover_once(f, s, x)) {
            break;
        }
        pause_ms = pause_ms < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
    end(x);
}

void recovery_orphan(struct replica *r, struct work *w)
{
    if (!w->is_recovering && !r->is_closing && !r->server->is_stopping) {
        server_spawn(r->server, recover, begin(r, w));
    }
}

/* For how long the node could not be reached, in questions to it that followed each other. What one
 * transaction has waited for is not waited for again by the next one of the same node. */
static uint64_t silence_ns(struct shard_server *s, uint64_t node_id, uint64_t asked_ns)
{
    struct silent_node *n = NULL;
    HASH_FIND(hh, s->silent, &node_id, sizeof(node_id), n);
    if (n == NULL) {
        n = MEM_NEW(struct silent_node);
        n->node_id = node_id;
        HASH_ADD(hh, s->silent, node_id, sizeof(n->node_id), n);
    }
    if (n->since_ns == 0 || asked_ns > n->last_ns + ms_to_ns(SHARD_SILENT_GAP_MS)) {
        n->since_ns = asked_ns;
    }
    n->last_ns = loop_now_ns(s->loop);
    return n->last_ns - n->since_ns;
}

static void silence_ends(struct shard_server *s, uint64_t node_id)
{
    struct silent_node *n = NULL;
    HASH_FIND(hh, s->silent, &node_id, sizeof(node_id), n);
    if (n != NULL) {
        HASH_DEL(s->silent, n);
        mem_free(n);
    }
}

void recovery_forget_silence(struct shard_server *s)
{
    struct silent_node *n, *tmp;
    HASH_ITER(hh, s->silent, n, tmp)
    {
        HASH_DEL(s->silent, n);
        mem_free(n);
    }
}

static void ask_after(struct fiber *f, struct shard_server *s, void *arg)
{
    struct recovering *x = arg;
    struct work *w = x->work;
    uint32_t attempt;
    uint64_t commit, now, silent = 0, asked = loop_now_ns(s->loop);
    bool reached = false;
    enum decision d = ask_coordinator(f, s, w, &attempt, &commit, &reached);
    now = loop_now_ns(s->loop);
    if (reached) {
        silence_ends(s, w->coordinator_node);
    } else {
        silent = silence_ns(s, w->coordinator_node, asked);
    }
    if (!x->part->is_dead && w->state == WORK_OPEN && !w->busy.is_held) {
        if (d == DECIDE_WAIT) {
            w->last_used_ns = now;
            w->is_waited_on = false;
        } else if (reached) {
            part_drop(x->part, w); /* it does not know the transaction any more */
        } else if (silent > ms_to_ns(w->is_waited_on ? SHARD_SILENT_WAITED_MS : SHARD_SILENT_MS)) {
            part_drop(x->part, w);
        }
    }
    end(x);
}

void recovery_idle(struct replica *r, struct work *w)
{
    if (!w->is_recovering && !r->is_closing && !r->server->is_stopping) {
        server_spawn(r->server, ask_after, begin(r, w));
    }
}
