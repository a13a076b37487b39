/*
 * The coordinator of one transaction (PROTOCOL section 4, C1-C6; section 5 seen from the
 * coordinator).
 *
 *            +--------------------- txn_rollback ------------------+
 *            |                                                     v
 *   ACTIVE --+--> FAILED (conflict, lost workspace) ---------> ABORTED
 *      |
 *      +--> COMMITTING --> COMMITTED     all prepared in one attempt, or CommitOne answered
 *                 |------> ABORTED       proof: Never, or Refused of the newest attempt (C6)
 *                 +------> UNKNOWN       the deadline passed without an answer
 *
 * Invariants
 *  1 "aborted" is told only before anything of C3 was sent, or on a stable answer (C6).
 *  2 attempt a+1 is sent only after a Refused(a) and no Never, to the same set of handles (C3, C5).
 *  3 Finalize is sent only after the outcome is decided; Forget only after every Finalize was
 * answered and the client has the outcome (F4). 4 a transaction stays in router.txns until it is
 * finalized, so that a recoverer who asks is told.
 */
#include "txn_internal.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "metadata/timestamps.h"

#define ATTEMPTS_MAX 20
#define OUTCOME_PATIENCE_MS 20000
#define FINALIZE_PATIENCE_MS 60000

#define ANSWER(x) SHERD__V1__ANSWER__ANSWER_##x

struct router_observer router_observer;

/* ---- life ---- */

struct txn *txn_begin(struct router *r, const struct txn_options *options)
{
    struct txn *t = MEM_NEW(struct txn);
    t->router = r;
    t->options = *options;
    t->counter = ++r->txn_counter;
    t->start = options->as_of != 0 ? options->as_of : options->snapshot;
    t->refs = 1;
    list_push_back(&r->txns, &t->link);
    metric_add(r->m_open, 1);
    if (router_observer.begun != NULL) {
        router_observer.begun(r->incarnation, t->counter);
    }
    return t;
}

static void txn_unref(struct txn *t)
{
    ASSERT(t->refs > 0);
    if (--t->refs > 0) {
        return;
    }
    list_unlink(&t->link);
    metric_add(t->router->m_open, -1);
    for (int i = 0; i < t->savepoint_count; i++) {
        mem_free(t->savepoints[i].marks);
    }
    mem_free(t->savepoints);
    mem_free(t->parts);
    mem_free(t->written);
    mem_free(t->uses);
    mem_free(t);
}

enum txn_isolation txn_isolation(const struct txn *t)
{
    return t->options.isolation;
}

uint64_t txn_as_of(const struct txn *t)
{
    return t->options.as_of;
}

const struct txn_stats *txn_stats(const struct txn *t)
{
    return &t->stats;
}

bool txn_has_writes(const struct txn *t)
{
    for (int i = 0; i < t->part_count; i++) {
        if (t->parts[i].has_writes) {
            return true;
        }
    }
    return t->state == TXN_COMMITTED;
}

bool txn_has_written(const struct txn *t, uint32_t table_id)
{
    for (int i = 0; i < t->written_count; i++) {
        if (t->written[i] == table_id) {
            return true;
        }
    }
    return false;
}

int txn_written(const struct txn *t, const uint32_t **out_tables)
{
    *out_tables = t->written;
    return t->written_count;
}

void txn_note_written(struct txn *t, uint32_t table_id)
{
    if (!txn_has_written(t, table_id)) {
        t->written = mem_realloc(t->written, sizeof(*t->written) * (size_t)(t->written_count + 1));
        t->written[t->written_count++] = table_id;
    }
}

uint64_t txn_counter(const struct txn *t)
{
    return t->counter;
}

uint64_t txn_start(const struct txn *t)
{
    return t->start;
}

int txn_write_shards(const struct txn *t, uint64_t *out, int cap)
{
    int n = 0;
    for (int i = 0; i < t->part_count; i++) {
        if (t->parts[i].has_writes) {
            if (n < cap) {
                out[n] = t->parts[i].shard_id;
            }
            n++;
        }
    }
    return n;
}

void txn_decide_by(struct txn *t, const struct txn_decision *d)
{
    t->decision = *d;
}

void txn_cannot_rerun(struct txn *t)
{
    t->cannot_rerun = true;
}

void txn_hint_single_scan(struct txn *t)
{
    /* In a block the scan is one of many: its spans are recorded (R4). */
    t->single_scan = t->options.implicit;
}

uint64_t txn_oldest(const struct router *r)
{
    uint64_t oldest = 0;
    LIST_FOREACH(it, &r->txns)
    {
        const struct txn *t = LIST_ITEM(it, struct txn, link);
        if (t->start != 0 && (oldest == 0 || t->start < oldest)) {
            oldest = t->start;
        }
    }
    return oldest;
}

struct participant *txn_part_find(struct txn *t, uint64_t shard_id)
{
    for (int i = 0; i < t->part_count; i++) {
        if (t->parts[i].shard_id == shard_id) {
            return &t->parts[i];
        }
    }
    return NULL;
}

struct participant *txn_part(struct txn *t, uint64_t shard_id)
{
    struct participant *p = txn_part_find(t, shard_id);
    if (p != NULL) {
        return p;
    }
    if (t->part_count == t->part_cap) {
        t->part_cap = t->part_cap == 0 ? 4 : t->part_cap * 2;
        t->parts = mem_realloc(t->parts, (size_t)t->part_cap * sizeof(*t->parts));
    }
    p = &t->parts[t->part_count++];
    *p = (struct participant){.shard_id = shard_id};
    return p;
}

static void note_timestamp(struct router *r, uint64_t ts)
{
    r->newest_ts = ts > r->newest_ts ? ts : r->newest_ts;
}

uint64_t txn_use_snapshot(struct txn *t, uint64_t snapshot)
{
    ASSERT(t->options.isolation == TXN_READ_COMMITTED);
    uint64_t was = t->start;
    t->start = snapshot;
    return was;
}

struct status *txn_snapshot(struct fiber *f, struct txn *t)
{
    if (t->start != 0) {
        return NULL;
    }
    TRY(meta_timestamp(f, t->router->meta, &t->start));
    note_timestamp(t->router, t->start);
    return NULL;
}

struct status *txn_check_past(struct fiber *f, struct txn *t)
{
    struct router *r = t->router;
    if (t->options.as_of == 0 || t->is_past_checked) {
        return NULL;
    }
    if (t->options.as_of > r->newest_ts) {
        uint64_t now;
        TRY(meta_timestamp(f, r->meta, &now));
        note_timestamp(r, now);
    }
    if (t->options.as_of > r->newest_ts) {
        return status_hint(status_sql(INVALID, "22023", "cannot read at a time in the future"),
                           "The clock of the cluster stands at %llu ms since 1970.",
                           (unsigned long long)tso_wall_ms(r->newest_ts));
    }
    t->is_past_checked = true;
    return NULL;
}

struct status *txn_read_timestamp(struct fiber *f, struct txn *t, uint64_t *out)
{
    if (t->used_latest) {
        *out = t->latest_ts;
        return NULL;
    }
    TRY(txn_snapshot(f, t));
    TRY(txn_check_past(f, t));
    *out = t->start;
    return NULL;
}

void txn_fill_ref(struct txn *t, const struct participant *p, struct txn_ref *out)
{
    sherd__v1__txn_ref__init(&out->ref);
    sherd__v1__txn_id__init(&out->id);
    sherd__v1__handle__init(&out->handle);
    out->id.incarnation = t->router->incarnation;
    out->id.counter = t->counter;
    out->ref.id = &out->id;
    if (p != NULL && p->has_handle) {
        out->handle.group = p->group;
        out->handle.term = p->term;
        out->handle.number = p->number;
        out->ref.handle = &out->handle;
    }
    switch (t->options.isolation) {
    case TXN_SERIALIZABLE:
        out->ref.isolation = SHERD__V1__ISOLATION__SERIALIZABLE;
        break;
    case TXN_REPEATABLE_READ:
        out->ref.isolation = SHERD__V1__ISOLATION__REPEATABLE_READ;
        break;
    case TXN_READ_COMMITTED:
        out->ref.isolation = SHERD__V1__ISOLATION__READ_COMMITTED;
        break;
    }
    out->ref.start = t->start;
    out->ref.read_only = t->options.read_only;
    out->ref.coordinator_node = t->router->node_id;
    out->ref.lock_timeout_ms = t->options.lock_timeout_ms;
    out->ref.statement = t->statement;
    out->ref.cannot_rerun = t->cannot_rerun;
}

void txn_note_lost(struct participant *p, const struct status *st)
{
    /* An error carries no handle, yet a request that was looked at has made a workspace: a locking
     * read that met a newer version holds the lock. Nobody else would end it for a second. */
    bool was_seen = st->code != STATUS_NOT_LEADER && st->code != STATUS_UNAVAILABLE;
    if (!p->has_handle && was_seen) {
        p->may_exist = true;
    }
}

struct status *txn_learn_handle(struct txn *t, struct participant *p, const Sherd__V1__Handle *h)
{
    if (h == NULL) {
        return NULL;
    }
    shard_term_set(t->router, p->shard_id, h->term);
    if (h->number == 0) {
        return NULL;
    }
    p->may_exist = false;
    if (p->has_handle) {
        if (p->group == h->group && p->term == h->term && p->number == h->number) {
            return NULL;
        }
        return status_new(CONFLICT, "could not serialize access: shard %llu has changed its leader",
                          (unsigned long long)p->shard_id);
    }
    p->has_handle = true;
    p->group = h->group;
    p->term = h->term;
    p->number = h->number;
    return NULL;
}

void txn_fail(struct txn *t)
{
    if (t->state == TXN_ACTIVE) {
        t->state = TXN_FAILED;
    }
}

struct status *txn_statement_begin(struct fiber *f, struct txn *t)
{
    (void)f;
    if (t->options.isolation == TXN_READ_COMMITTED && !t->options.implicit) {
        t->start = t->options.as_of; /* a new snapshot at the first use */
        t->used_latest = false;
    }
    t->single_scan = false;
    t->statement++;
    for (int i = 0; i < t->part_count; i++) {
        t->parts[i].stmt_seq = t->parts[i].seq;
    }
    return NULL;
}

/* ---- savepoints (W6) ---- */

uint64_t txn_savepoint(struct txn *t)
{
    if (t->savepoint_count == t->savepoint_cap) {
        t->savepoint_cap = t->savepoint_cap == 0 ? 4 : t->savepoint_cap * 2;
        t->savepoints =
            mem_realloc(t->savepoints, (size_t)t->savepoint_cap * sizeof(*t->savepoints));
    }
    struct savepoint *s = &t->savepoints[t->savepoint_count++];
    s->id = ++t->savepoint_next;
    s->count = t->part_count;
    s->marks = mem_alloc(sizeof(*s->marks) * (size_t)(t->part_count + 1));
    for (int i = 0; i < t->part_count; i++) {
        s->marks[i].shard_id = t->parts[i].shard_id;
        s->marks[i].seq = t->parts[i].seq;
    }
    return s->id;
}

struct status *txn_undo(struct fiber *f, struct txn *t, struct participant *p, uint64_t to_seq)
{
    if (!p->has_handle || p->seq == to_seq) {
        return NULL;
    }
    struct arena *a = arena_create(0);
    struct txn_ref ref;
    txn_fill_ref(t, p, &ref);
    Sherd__V1__RollbackRequest q = SHERD__V1__ROLLBACK_REQUEST__INIT;
    q.shard_id = p->shard_id;
    q.txn = &ref.id;
    q.handle = &ref.handle;
    q.to_seq = to_seq;
    q.seq = ++p->seq; /* an undo takes its place in the order of writes */
    Sherd__V1__OutcomeReply *reply = NULL;
    t->stats.rpcs++;
    struct status *st = shard_call(f, t->router, p->shard_id, RPC_SHARD_ROLLBACK, &q, true, a,
                                   (void **)&reply, NULL);
    if (st == NULL && reply->answer == ANSWER(NEVER)) {
        st = status_new(CONFLICT, "could not serialize access: shard %llu has changed its leader",
                        (unsigned long long)p->shard_id);
    }
    arena_destroy(a);
    return st;
}

struct status *txn_undo_statement(struct fiber *f, struct txn *t)
{
    for (int i = 0; i < t->part_count; i++) {
        struct participant *p = &t->parts[i];
        if (!p->has_handle) {
            p->seq = 0; /* nothing of it is there: a failed write that carried its commit */
            continue;
        }
        struct status *st = txn_undo(f, t, p, p->stmt_seq);
        if (st != NULL) {
            txn_fail(t);
            return st;
        }
    }
    return NULL;
}

struct status *txn_rollback_to(struct fiber *f, struct txn *t, uint64_t savepoint)
{
    int at = t->savepoint_count - 1;
    while (at >= 0 && t->savepoints[at].id != savepoint) {
        at--;
    }
    ASSERT_MSG(at >= 0, "savepoint %llu is unknown", (unsigned long long)savepoint);
    struct savepoint *s = &t->savepoints[at];
    for (int i = 0; i < t->part_count; i++) {
        uint64_t seq = 0;
        for (int k = 0; k < s->count; k++) {
            if (s->marks[k].shard_id == t->parts[i].shard_id) {
                seq = s->marks[k].seq;
            }
        }
        struct status *st = txn_undo(f, t, &t->parts[i], seq);
        if (st != NULL) {
            txn_fail(t);
            return st;
        }
    }
    /* The savepoint itself stays and can be returned to again; later ones are gone. */
    for (int i = at + 1; i < t->savepoint_count; i++) {
        mem_free(t->savepoints[i].marks);
    }
    t->savepoint_count = at + 1;
    return NULL;
}

/* ---- refresh (W4) ---- */

struct status *txn_refresh(struct fiber *f, struct txn *t)
{
    /* READ ONLY: its shards do not know what it has read. At READ COMMITTED that is nothing but
     * what constraints have looked at: the statement has its snapshot for itself. */
    if (t->state != TXN_ACTIVE || t->options.isolation == TXN_REPEATABLE_READ ||
        t->options.read_only || t->options.as_of != 0 || t->used_latest || t->start == 0) {
        return status_new(CONFLICT, "could not serialize access due to concurrent update");
    }
    uint64_t to;
    TRY(meta_timestamp(f, t->router->meta, &to));
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    for (int i = 0; i < t->part_count && st == NULL; i++) {
        struct participant *p = &t->parts[i];
        if (!p->has_handle) {
            continue;
        }
        struct txn_ref ref;
        txn_fill_ref(t, p, &ref);
        Sherd__V1__RefreshRequest q = SHERD__V1__REFRESH_REQUEST__INIT;
        q.shard_id = p->shard_id;
        q.txn = &ref.id;
        q.handle = &ref.handle;
        q.from = t->start;
        q.to = to;
        q.undo_seq = p->stmt_seq;
        q.undo_statement = t->statement;
        Sherd__V1__OutcomeReply *reply = NULL;
        t->stats.rpcs++;
        st = shard_call(f, t->router, p->shard_id, RPC_SHARD_REFRESH, &q, true, a, (void **)&reply,
                        NULL);
        if (st == NULL && reply->answer != ANSWER(OK)) {
            st = status_new(CONFLICT, "could not serialize access due to concurrent update");
        }
    }
    arena_destroy(a);
    if (st != NULL) {
        txn_fail(t);
        return st;
    }
    t->start = to;
    t->stats.refreshes++;
    metric_add(t->router->m_refreshes, 1);
    return NULL;
}

/* ---- commit ---- */

enum target { TO_WRITERS, TO_READERS, TO_ALL };

static bool is_target(const struct txn *t, const struct participant *p, enum target target)
{
    if (!p->has_handle) {
        return false;
    }
    switch (target) {
    case TO_WRITERS:
        return p->has_writes;
    case TO_READERS:
        return !p->has_writes &&
               (p->has_locks || (p->has_spans && t->options.isolation == TXN_SERIALIZABLE));
    case TO_ALL:
        return true;
    }
    return false;
}

struct broadcast {
    struct txn *t;
    struct participant *p;
    enum rpc_method method;
    uint32_t attempt;
    uint64_t commit;
    bool abort;
    struct participant_list *list;
    struct status *st;
};

struct participant_list {
    Sherd__V1__Participant *items;
    Sherd__V1__Handle *handles;
    Sherd__V1__Participant **pointers;
    size_t count;
};

static void participant_list_fill(struct txn *t, struct arena *a, struct participant_list *l)
{
    size_t n = (size_t)t->part_count;
    l->items = ARENA_ARRAY(a, Sherd__V1__Participant, n);
    l->handles = ARENA_ARRAY(a, Sherd__V1__Handle, n);
    l->pointers = ARENA_ARRAY(a, Sherd__V1__Participant *, n);
    l->count = 0;
    for (int i = 0; i < t->part_count; i++) {
        const struct participant *p = &t->parts[i];
        if (!is_target(t, p, TO_WRITERS)) {
            continue;
        }
        Sherd__V1__Handle *h = &l->handles[l->count];
        Sherd__V1__Participant *x = &l->items[l->count];
        sherd__v1__handle__init(h);
        sherd__v1__participant__init(x);
        h->group = p->group;
        h->term = p->term;
        h->number = p->number;
        x->shard_id = p->shard_id;
        x->handle = h;
        l->pointers[l->count++] = x;
    }
}

/* One message of the commit to one participant; the answer goes into the participant. */
static struct status *send_one(struct fiber *f, struct broadcast *b)
{
    struct txn *t = b->t;
    struct participant *p = b->p;
    struct arena *a = arena_create(0);
    struct txn_ref ref;
    txn_fill_ref(t, p, &ref);
    union {
        Sherd__V1__ValidateRequest validate;
        Sherd__V1__PrepareRequest prepare;
        Sherd__V1__QueryRequest query;
        Sherd__V1__FinalizeRequest finalize;
        Sherd__V1__RollbackRequest rollback;
    } q;
    switch (b->method) {
    case RPC_SHARD_VALIDATE:
        sherd__v1__validate_request__init(&q.validate);
        q.validate.shard_id = p->shard_id;
        q.validate.txn = &ref.id;
        q.validate.handle = &ref.handle;
        q.validate.attempt = b->attempt;
        q.validate.commit = b->commit;
        break;
    case RPC_SHARD_PREPARE:
    case RPC_SHARD_COMMIT_ONE:
        sherd__v1__prepare_request__init(&q.prepare);
        q.prepare.shard_id = p->shard_id;
        q.prepare.txn = &ref.id;
        q.prepare.handle = &ref.handle;
        q.prepare.seq = p->seq;
        q.prepare.attempt = b->attempt;
        q.prepare.commit = b->commit;
        q.prepare.coordinator_node = t->router->node_id;
        q.prepare.decision_job = t->decision.job_id;
        if (b->list != NULL) {
            q.prepare.n_participants = b->list->count;
            q.prepare.participants = b->list->pointers;
        }
        break;
    case RPC_SHARD_QUERY:
        sherd__v1__query_request__init(&q.query);
        q.query.shard_id = p->shard_id;
        q.query.txn = &ref.id;
        q.query.handle = &ref.handle;
        q.query.attempt = b->attempt;
        q.query.term = p->term;
        break;
    case RPC_SHARD_FINALIZE:
        sherd__v1__finalize_request__init(&q.finalize);
        q.finalize.shard_id = p->shard_id;
        q.finalize.txn = &ref.id;
        q.finalize.handle = &ref.handle;
        q.finalize.attempt = b->attempt;
        q.finalize.commit = b->commit;
        q.finalize.abort = b->abort;
        break;
    case RPC_SHARD_ROLLBACK:
        sherd__v1__rollback_request__init(&q.rollback);
        q.rollback.shard_id = p->shard_id;
        q.rollback.txn = &ref.id;
        q.rollback.handle = ref.ref.handle; /* none: whatever there is of this transaction */
        q.rollback.all = true;
        break;
    default:
        ASSERT_MSG(false, "method %d is no message of the commit", (int)b->method);
    }
    Sherd__V1__OutcomeReply *reply = NULL;
    t->stats.rpcs++;
    /* All of these may be repeated: participants answer from state (P1, F1). */
    struct status *st =
        shard_call(f, t->router, p->shard_id, b->method, &q, true, a, (void **)&reply, NULL);
    if (b->method == RPC_SHARD_PREPARE) {
        failpoint(FP_COORDINATOR_SENT);
    }
    if (st == NULL) {
        p->answer = reply->answer;
        p->answer_commit = reply->commit;
    } else {
        p->answer = ANSWER(UNKNOWN);
    }
    arena_destroy(a);
    return st;
}

static void send_one_fiber(struct fiber *f, void *arg)
{
    struct broadcast *b = arg;
    b->st = send_one(f, b);
}

static int count_targets(const struct txn *t, enum target target)
{
    int n = 0;
    for (int i = 0; i < t->part_count; i++) {
        n += is_target(t, &t->parts[i], target);
    }
    return n;
}

static bool is_led_here(const struct txn *t, const struct participant *p)
{
    const struct shard_info *s = shard_map_by_id(t->router->meta, p->shard_id);
    return s != NULL && s->leader_hint == t->router->node_id;
}

/* Sends to all targets side by side and waits for all. Errors are in the answers (UNKNOWN). Returns
 * the first error for its message; the caller owns it. */
static struct status *broadcast(struct fiber *f, struct txn *t, enum target target,
                                enum rpc_method m, uint32_t attempt, uint64_t commit, bool abort,
                                struct participant_list *list)
{
    int n = count_targets(t, target);
    if (n == 0) {
        return NULL;
    }
    struct broadcast *all = mem_zalloc(sizeof(*all) * (size_t)n);
    struct fan fan;
    fan_init(&fan);
    int k = 0;
    /* What goes to other nodes is on its way before this node looks at its own. */
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < t->part_count && k < n; i++) {
            struct participant *p = &t->parts[i];
            if (!is_target(t, p, target) || is_led_here(t, p) != (pass == 1)) {
                continue;
            }
            all[k] = (struct broadcast){.t = t,
                                        .p = p,
                                        .method = m,
                                        .attempt = attempt,
                                        .commit = commit,
                                        .abort = abort,
                                        .list = list};
            if (n == 1) {
                all[k].st = send_one(f, &all[k]);
            } else {
                fan_spawn(f, &fan, FIBER_STACK_SMALL, send_one_fiber, &all[k]);
            }
            k++;
        }
    }
    ASSERT(k == n);
    if (n > 1) {
        fan_wait(f, &fan);
    }
    struct status *first = NULL;
    for (int i = 0; i < n; i++) {
        if (all[i].st != NULL && first == NULL) {
            first = all[i].st;
        } else {
            status_free(all[i].st);
        }
    }
    mem_free(all);
    return first;
}

static bool any_answer(const struct txn *t, enum target target, enum _Sherd__V1__Answer answer)
{
    for (int i = 0; i < t->part_count; i++) {
        if (is_target(t, &t->parts[i], target) && t->parts[i].answer == answer) {
            return true;
        }
    }
    return false;
}

static bool all_answer(const struct txn *t, enum target target, enum _Sherd__V1__Answer answer)
{
    for (int i = 0; i < t->part_count; i++) {
        if (is_target(t, &t->parts[i], target) && t->parts[i].answer != answer) {
            return false;
        }
    }
    return true;
}

struct finalize {
    struct txn *t;
    uint32_t attempt;
    bool abort;
    bool prepared; /* something was prepared: Finalize, else just drop the workspaces */
};

/* After the client has been told (or will hear nothing more): finalize, forget, let go. */
static void finalize_fiber(struct fiber *f, void *arg)
{
    struct finalize *z = arg;
    struct txn *t = z->t;
    struct router *r = t->router;
    if (z->prepared) {
        failpoint(FP_COORDINATOR_TOLD);
        uint64_t give_up = loop_clock_ns(r->loop) + ms_to_ns(FINALIZE_PATIENCE_MS);
        bool is_done = false;
        while (!is_done && loop_clock_ns(r->loop) < give_up && !r->is_closing) {
            struct status *st = broadcast(f, t, TO_WRITERS, RPC_SHARD_FINALIZE, z->attempt,
                                          t->commit_ts, z->abort, NULL);
            is_done = st == NULL;
            if (st != NULL) {
                LOGW("txn", "finalize of %llu.%llu is late: %s", (unsigned long long)r->incarnation,
                     (unsigned long long)t->counter, st->message);
                status_free(st);
                if (status_consume(fiber_sleep(f, ms_to_ns(200)))) {
                    break;
                }
            }
        }
        if (is_done && !z->abort) {
            forget_later(t);
        }
    }
    /* Workspaces without writes hold locks and spans: drop them. In an abort without prepares, all.
     */
    for (int i = 0; i < t->part_count; i++) {
        struct participant *p = &t->parts[i];
        if (!p->may_exist && (!p->has_handle || (p->has_writes && (z->prepared || !z->abort)))) {
            continue;
        }
        struct broadcast b = {.t = t, .p = p, .method = RPC_SHARD_ROLLBACK};
        status_consume(send_one(f, &b));
    }
    txn_unref(t);
    r->background--;
    cond_broadcast(&r->background_done);
    mem_free(z);
}

static void finalize_later(struct txn *t, uint32_t attempt, bool abort, bool prepared)
{
    bool has_work = prepared;
    for (int i = 0; i < t->part_count; i++) {
        has_work |=
            t->parts[i].may_exist || (t->parts[i].has_handle && (abort || !t->parts[i].has_writes));
    }
    if (!has_work) {
        return;
    }
    struct finalize *z = MEM_NEW(struct finalize);
    *z = (struct finalize){t, attempt, abort, prepared};
    t->refs++;
    t->router->background++;
    fiber_spawn(t->router->loop, FIBER_STACK_SMALL, finalize_fiber, z);
}

static struct status *serialization_failure(void)
{
    return status_hint(status_new(CONFLICT,
                                  "could not serialize access due to read/write dependencies "
                                  "among transactions"),
                       "The transaction might succeed if retried.");
}

static struct status *unknown_outcome(struct txn *t, struct status *cause)
{
    t->state = TXN_UNKNOWN;
    metric_add(t->router->m_unknown, 1);
    struct status *st = status_hint(
        status_detail(status_new(UNKNOWN_OUTCOME, "the outcome of the commit is not known"),
                      "Transaction %llu.%llu: %s.", (unsigned long long)t->router->incarnation,
                      (unsigned long long)t->counter, cause != NULL ? cause->message : "no answer"),
        "It may have been committed. Read what it wrote before you run it again.");
    status_free(cause);
    return st;
}

/* T3: requested after every lock was granted, and after the refusal of the last attempt. */
static struct status *commit_timestamp(struct fiber *f, struct txn *t, uint32_t attempt,
                                       uint64_t *out)
{
    if (bug_on(BUG_TXN_EARLY_COMMIT_TS) && attempt == 1 && t->start != 0) {
        *out = t->start + 1;
        return NULL;
    }
    return meta_timestamp(f, t->router->meta, out);
}

/* C2 at all read participants. NULL: all that was read holds at `commit`. Else the transaction is
 * aborted, provably: nothing of this attempt's C3 was sent, and an earlier one was refused (C6). */
static struct status *validate(struct fiber *f, struct txn *t, uint32_t attempt, uint64_t commit)
{
    struct status *st =
        broadcast(f, t, TO_READERS, RPC_SHARD_VALIDATE, attempt, commit, false, NULL);
    if (st == NULL && all_answer(t, TO_READERS, ANSWER(OK))) {
        return NULL;
    }
    bool is_first = t->state == TXN_ACTIVE;
    t->state = TXN_ABORTED;
    if (st != NULL && is_first && st->code != STATUS_UNKNOWN_OUTCOME) {
        return st;
    }
    status_free(st);
    return serialization_failure();
}

/* C3 for one write participant. */
static struct status *commit_one(struct fiber *f, struct txn *t, bool has_readers)
{
    struct router *r = t->router;
    struct status *st;
    for (uint32_t attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        uint64_t commit = 0; /* the leader fetches it (P5) */
        if (has_readers) {
            TRY(commit_timestamp(f, t, attempt, &commit));
            TRY(validate(f, t, attempt, commit));
        }
        t->state = TXN_COMMITTING;
        t->attempt = attempt;
        uint64_t give_up = loop_clock_ns(r->loop) + ms_to_ns(OUTCOME_PATIENCE_MS);
        st = broadcast(f, t, TO_WRITERS, RPC_SHARD_COMMIT_ONE, attempt, commit, false, NULL);
        struct participant *p = NULL;
        for (int i = 0; i < t->part_count; i++) {
            if (is_target(t, &t->parts[i], TO_WRITERS)) {
                p = &t->parts[i];
            }
        }
        while (p->answer == ANSWER(UNKNOWN) || p->answer == ANSWER(BUSY)) {
            if (loop_clock_ns(r->loop) >= give_up) {
                return unknown_outcome(t, st);
            }
            status_free(st);
            st = fiber_sleep(f, ms_to_ns(20));
            if (st != NULL) {
                return unknown_outcome(t, st);
            }
            st = broadcast(f, t, TO_WRITERS, RPC_SHARD_QUERY, attempt, commit, false, NULL);
        }
        status_free(st);
        switch (p->answer) {
        case ANSWER(COMMITTED):
            t->state = TXN_COMMITTED;
            t->commit_ts = p->answer_commit;
            return NULL;
        case ANSWER(REFUSED):
            break; /* C5 */
        case ANSWER(NEVER):
            t->state = TXN_ABORTED;
            return serialization_failure();
        default:
            return unknown_outcome(t, NULL);
        }
    }
    t->state = TXN_ABORTED; /* the newest attempt was refused (C6) */
    return serialization_failure();
}

/* C3 for several write participants. *out_attempt: the one that is decided. */
static struct status *commit_many(struct fiber *f, struct txn *t, bool has_readers,
                                  uint32_t *out_attempt)
{
    struct router *r = t->router;
    struct arena *a = arena_create(0);
    struct participant_list list;
    participant_list_fill(t, a, &list);
    struct status *st = NULL;
    for (uint32_t attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
        uint64_t commit;
        TRY_GOTO(commit_timestamp(f, t, attempt, &commit), out);
        if (has_readers) {
            TRY_GOTO(validate(f, t, attempt, commit), out);
        }
        t->state = TXN_COMMITTING;
        *out_attempt = t->attempt = attempt;
        uint64_t give_up = loop_clock_ns(r->loop) + ms_to_ns(OUTCOME_PATIENCE_MS);
        st = broadcast(f, t, TO_WRITERS, RPC_SHARD_PREPARE, attempt, commit, false, &list);
        /* C6: silence is no answer. Ask the silent ones again until each has said something stable.
         */
        while (any_answer(t, TO_WRITERS, ANSWER(UNKNOWN)) ||
               any_answer(t, TO_WRITERS, ANSWER(BUSY))) {
            if (any_answer(t, TO_WRITERS, ANSWER(NEVER)) ||
                any_answer(t, TO_WRITERS, ANSWER(FENCED)) ||
                any_answer(t, TO_WRITERS, ANSWER(COMMITTED)) || bug_on(BUG_TXN_ABORT_ON_TIMEOUT)) {
                break; /* decided already */
            }
            if (loop_clock_ns(r->loop) >= give_up) {
                st = unknown_outcome(t, st);
                goto out;
            }
            status_free(st);
            st = fiber_sleep(f, ms_to_ns(20));
            if (st != NULL) {
                st = unknown_outcome(t, st);
                goto out;
            }
            st = broadcast(f, t, TO_WRITERS, RPC_SHARD_PREPARE, attempt, commit, false, &list);
            if (bug_on(BUG_TXN_ACK_FIRST_PREPARE) && any_answer(t, TO_WRITERS, ANSWER(PREPARED))) {
                break;
            }
        }
        status_free(st);
        st = NULL;
        if (any_answer(t, TO_WRITERS, ANSWER(FENCED))) {
            st = unknown_outcome(t, NULL);
            goto out;
        }
        if (all_answer(t, TO_WRITERS, ANSWER(PREPARED)) ||
            any_answer(t, TO_WRITERS, ANSWER(COMMITTED)) ||
            (bug_on(BUG_TXN_ACK_FIRST_PREPARE) && any_answer(t, TO_WRITERS, ANSWER(PREPARED)))) {
            if (t->decision.decide != NULL) { /* section 9: the metadata group has the last word */
                st = t->decision.decide(f, t->decision.ctx, attempt, commit);
                if (status_is(st, STATUS_CONFLICT)) {
                    t->state = TXN_ABORTED;
                    goto out;
                }
                if (st != NULL) {
                    st = unknown_outcome(t, st);
                    goto out;
                }
            }
            failpoint(FP_COORDINATOR_PREPARED);
            t->state = TXN_COMMITTED; /* C4 */
            t->commit_ts = commit;
            goto out;
        }
        if (any_answer(t, TO_WRITERS, ANSWER(NEVER)) ||
            any_answer(t, TO_WRITERS, ANSWER(UNKNOWN))) {
            t->state = TXN_ABORTED; /* C6: one Never is proof */
            st = serialization_failure();
            goto out;
        }
        /* Somebody refused, nobody said Never: C5, another attempt. */
        ASSERT(any_answer(t, TO_WRITERS, ANSWER(REFUSED)));
    }
    t->state = TXN_ABORTED; /* the newest attempt was refused by one of them (C6) */
    st = serialization_failure();
out:
    arena_destroy(a);
    return st;
}

static void observe_told(const struct txn *t)
{
    int writers = 0;
    for (int i = 0; i < t->part_count; i++) {
        writers += t->parts[i].has_writes;
    }
    enum router_told told = t->state == TXN_COMMITTED ? ROUTER_TOLD_COMMITTED
                            : t->state == TXN_ABORTED ? ROUTER_TOLD_ABORTED
                                                      : ROUTER_TOLD_UNKNOWN;
    router_observer.told(t->router->incarnation, t->counter, told, t->commit_ts, writers);
}

static void txn_end(struct txn *t)
{
    struct router *r = t->router;
    if (t->state == TXN_COMMITTED || t->state == TXN_ABORTED) {
        outcome_note(r, t->counter, t->state);
    }
    if (router_observer.told != NULL) {
        observe_told(t);
    }
    if (t->state == TXN_COMMITTED) {
        metric_add(r->m_commits, 1);
    } else if (t->state == TXN_ABORTED) {
        metric_add(r->m_aborts, 1);
    }
    txn_unref(t);
}

struct status *txn_commit(struct fiber *f, struct txn *t)
{
    if (t->state == TXN_COMMITTED) { /* with its last write */
        finalize_later(t, 1, false, false);
        txn_end(t);
        return NULL;
    }
    if (t->state != TXN_ACTIVE) {
        struct status *failed = serialization_failure();
        txn_rollback(f, t);
        return failed;
    }
    int writers = count_targets(t, TO_WRITERS);
    bool has_readers = count_targets(t, TO_READERS) > 0;
    if (bug_on(BUG_TXN_LOCK_ONLY_UNCHECKED) && t->options.isolation != TXN_SERIALIZABLE) {
        has_readers = false;
    }
    struct status *st = NULL;
    uint32_t attempt = 1;
    bool is_decided = t->decision.decide != NULL;
    ASSERT(!is_decided || writers == 0 || t->decision.job_id != 0);
    if (writers == 0 && !is_decided) { /* C1 */
        t->state = TXN_COMMITTED;
    } else {
        fiber_mask(
            f); /* a commit once begun sees its end: a cancel would only make the outcome unknown */
        st = writers == 1 && !is_decided ? commit_one(f, t, has_readers)
                                         : commit_many(f, t, has_readers, &attempt);
        fiber_unmask(f);
    }
    switch (t->state) {
    case TXN_COMMITTED:
        ASSERT(st == NULL);
        finalize_later(t, attempt, false, writers > 1 || (writers == 1 && is_decided));
        break;
    case TXN_ACTIVE: /* nothing of C3 was sent */
        t->state = TXN_ABORTED;
        finalize_later(t, attempt, true, false);
        break;
    case TXN_ABORTED:
        finalize_later(t, attempt, true, writers > 1 || (writers == 1 && is_decided));
        break;
    default: /* UNKNOWN: the participants' recoverers decide; nothing may be finalized here */
        break;
    }
    ASSERT(st != NULL || t->state == TXN_COMMITTED);
    txn_end(t);
    return st;
}

void txn_rollback(struct fiber *f, struct txn *t)
{
    (void)f;
    if (t->state == TXN_ACTIVE || t->state == TXN_FAILED) {
        t->state = TXN_ABORTED;
        finalize_later(t, 1, true, false);
    }
    txn_end(t);
}

bool txn_rollback_lost(struct fiber *f, struct txn *t)
{
    bool is_lost = false;
    if (t->state == TXN_ACTIVE || t->state == TXN_FAILED) {
        struct status *st = broadcast(f, t, TO_ALL, RPC_SHARD_ROLLBACK, 1, 0, true, NULL);
        is_lost = any_answer(t, TO_ALL, ANSWER(NEVER));
        for (int i = 0; st == NULL && i < t->part_count; i++) {
            t->parts[i].has_handle = false; /* nothing of it is there any more */
        }
        status_free(st);
    }
    txn_rollback(f, t);
    return is_lost;
}

/* ---- what became of a transaction: asked by recoverers (section 5, step 1) ---- */

static struct status *outcome_handler(struct fiber *f, struct rpc_context *ctx, const void *request,
                                      void **out_reply, void *handler_ctx)
{
    (void)f;
    const Sherd__V1__CoordinatorQuery *q = request;
    struct router *r = handler_ctx;
    Sherd__V1__OutcomeReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__OutcomeReply);
    sherd__v1__outcome_reply__init(reply);
    reply->answer = ANSWER(UNKNOWN);
    if (q->txn != NULL && q->txn->incarnation == r->incarnation) {
        LIST_FOREACH(it, &r->txns)
        {
            struct txn *t = LIST_ITEM(it, struct txn, link);
            if (t->counter != q->txn->counter) {
                continue;
            }
            if (t->state == TXN_ACTIVE || t->state == TXN_COMMITTING || t->state == TXN_FAILED) {
                reply->answer = ANSWER(BUSY);
            } else if (t->state == TXN_COMMITTED) {
                reply->answer = ANSWER(COMMITTED);
                reply->commit = t->commit_ts;
                reply->attempt = t->attempt;
            }
            break;
        }
    }
    *out_reply = reply;
    return NULL;
}

void txn_register(struct router *r)
{
    rpc_register(r->rpc, RPC_COORDINATOR_OUTCOME, outcome_handler, r, true);
}
