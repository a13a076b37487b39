/*
 * Proposals: from a caller's bytes to an applied entry, completed by index.
 *
 * group_propose() copies the data into library memory and queues it; the host's flush at the end of
 * the turn gives all of them to the library in one raft_apply(), so they share one log write and
 * one message per follower. The library's callback speaks only for the first entry of such a call,
 * so it is ignored: an entry is recognised when it is applied, by its index and term.
 *
 * Life of a proposal: proposed -> in flight (it has an index) -> applied: done(NULL)
 *                          \-> NOT_LEADER          \-> leadership lost: UNKNOWN_OUTCOME
 */
#include "rules.h"

#include "base/buggify.h"

static struct status *refuse_large(size_t len)
{
    return status_new(LIMIT, "a log entry of %zu bytes is larger than %zu bytes", len,
                      ENTRY_DATA_MAX);
}

static bool is_full(const struct group *g, size_t bytes)
{
    /* One entry is always let in, however large. */
    return g->inflight_bytes > 0 && (g->inflight_bytes + bytes > INFLIGHT_GROUP_BYTES_MAX ||
                                     g->host->inflight_bytes + bytes > INFLIGHT_HOST_BYTES_MAX);
}

struct status *group_propose(struct group *g, struct slice data, struct group_proposal *p)
{
    if (data.len > ENTRY_DATA_MAX) {
        return refuse_large(data.len);
    }
    if (!group_is_leader(g) || !g->is_ready || g->raft.transfer != NULL || g->is_closing) {
        return &status_not_leader;
    }
    size_t size = entry_wrapped_size(data.len);
    if (is_full(g, size + ENTRY_OVERHEAD_BYTES)) {
        return status_new(LIMIT, "group %llu has %zu bytes of proposals in flight",
                          (unsigned long long)g->id, g->inflight_bytes);
    }
    if (g->proposed_count == g->proposed_capacity) {
        g->proposed_capacity = g->proposed_capacity ? g->proposed_capacity * 2 : 16;
        g->proposed_bufs =
            mem_realloc(g->proposed_bufs, g->proposed_capacity * sizeof *g->proposed_bufs);
    }
    struct raft_buffer *b = &g->proposed_bufs[g->proposed_count++];
    b->len = size;
    b->base = raft_malloc(size);
    ASSERT(b->base != NULL);
    entry_wrap(b->base, data);
    p->index = 0;
    p->term = g->raft.current_term;
    p->bytes = size + ENTRY_OVERHEAD_BYTES;
    g->inflight_bytes += p->bytes;
    g->host->inflight_bytes += p->bytes;
    list_push_back(&g->proposed, &p->link);
    quiesce_end(g);
    host_schedule(g->host, g);
    return NULL;
}

static void release_bytes(struct group *g, struct group_proposal *p)
{
    g->inflight_bytes -= p->bytes;
    g->host->inflight_bytes -= p->bytes;
}

/* Each is told once. The status of each is made by `make`, NULL: success. */
static void tell(struct group *g, struct list *done, struct status *(*make)(void))
{
    struct list *item;
    bool any = !list_is_empty(done);
    while ((item = list_pop_front(done)) != NULL) {
        struct group_proposal *p = LIST_ITEM(item, struct group_proposal, link);
        release_bytes(g, p);
        p->done(p, make ? make() : NULL);
    }
    if (any) {
        cond_broadcast(&g->changed); /* who waits for room */
    }
}

static struct status *make_not_leader(void)
{
    return &status_not_leader;
}

static struct status *make_unknown(void)
{
    return status_new(UNKNOWN_OUTCOME, "leadership was lost before the entry was applied");
}

static void apply_ignored(struct raft_apply *req, int status, void *result)
{
    (void)status;
    (void)result;
    mem_free(req);
}

void propose_flush(struct group *g)
{
    if (g->proposed_count == 0) {
        return;
    }
    unsigned n = (unsigned)g->proposed_count;
    int rv = RAFT_NOTLEADER;
    uint64_t index = 0;
    if (group_is_leader(g) && g->is_ready) {
        struct raft_apply *req = MEM_NEW(struct raft_apply);
        index = raft_log_last(&g->raft) + 1;
        rv = raft_apply(&g->raft, req, g->proposed_bufs, n, apply_ignored);
        if (rv != 0) {
            mem_free(req);
        }
    }
    struct list batch;
    list_head_init(&batch);
    list_splice_back(&batch, &g->proposed);
    g->proposed_count = 0;
    if (rv != 0) {
        for (unsigned i = 0; i < n; i++) {
            raft_free(g->proposed_bufs[i].base);
        }
        tell(g, &batch, make_not_leader); /* certainly not in the log */
    } else {
        metric_add(g->host->m_proposals, n);
        LIST_FOREACH(it, &batch)
        {
            struct group_proposal *p = LIST_ITEM(it, struct group_proposal, link);
            p->index = index++;
            p->term = g->raft.current_term;
        }
        if (bug_on(BUG_RAFT_ACK_BEFORE_QUORUM)) {
            tell(g, &batch, NULL);
        } else {
            list_splice_back(&g->inflight, &batch);
        }
    }
    if (g->state == GROUP_RUNNING) {
        group_after(g);
    }
}

void propose_match(struct group *g, struct group_entry *e, struct list *done)
{
    while (!list_is_empty(&g->inflight)) {
        struct group_proposal *p = LIST_ITEM(g->inflight.next, struct group_proposal, link);
        if (p->index > e->index) {
            return;
        }
        ASSERT(p->index == e->index && p->term == e->term);
        e->proposal_ctx = p->ctx;
        list_unlink(&p->link);
        list_push_back(done, &p->link);
        return;
    }
}

void propose_complete(struct group *g, struct list *done)
{
    tell(g, done, NULL);
}

void propose_fail_all(struct group *g)
{
    struct list lost;
    list_head_init(&lost);
    list_splice_back(&lost, &g->inflight);
    tell(g, &lost, make_unknown);
    for (size_t i = 0; i < g->proposed_count; i++) {
        raft_free(g->proposed_bufs[i].base);
    }
    g->proposed_count = 0;
    list_splice_back(&lost, &g->proposed);
    tell(g, &lost, make_not_leader);
}

/* ---- parking ---- */

struct propose_wait {
    struct group_proposal p;
    struct fiber *fiber; /* NULL: the caller has given up waiting */
    struct status *st;
    bool is_done;
};

static void propose_wait_done(struct group_proposal *p, struct status *st)
{
    struct propose_wait *w = CONTAINER_OF(p, struct propose_wait, p);
    if (w->fiber == NULL) {
        status_free(st);
        mem_free(w);
        return;
    }
    w->st = st;
    w->is_done = true;
    fiber_wake(w->fiber);
}

static struct status *wait_for_room(struct fiber *f, struct group *g, struct slice data,
                                    struct propose_wait *w)
{
    for (;;) {
        struct status *st = group_propose(g, data, &w->p);
        if (!status_is(st, STATUS_LIMIT) || data.len > ENTRY_DATA_MAX) {
            return st;
        }
        status_free(st);
        TRY(cond_wait(f, &g->changed));
    }
}

struct status *group_propose_wait(struct fiber *f, struct group *g, struct slice data,
                                  uint64_t *out_index)
{
    if (!group_enter(g)) {
        return &status_not_leader;
    }
    struct propose_wait *w = MEM_NEW(struct propose_wait);
    w->p.done = propose_wait_done;
    w->fiber = f;
    struct status *st = wait_for_room(f, g, data, w);
    group_leave(g);
    if (st != NULL) {
        mem_free(w);
        return st;
    }
    while (!w->is_done) {
        st = fiber_park(f);
        if (st != NULL && !w->is_done) {
            w->fiber = NULL; /* it may still be applied */
            struct status *unknown =
                status_new(UNKNOWN_OUTCOME, "the wait for the entry ended early: %s", st->message);
            status_free(st);
            return unknown;
        }
        status_free(st);
    }
    st = w->st;
    if (st == NULL && out_index != NULL) {
        *out_index = w->p.index;
    }
    mem_free(w);
    return st;
}
