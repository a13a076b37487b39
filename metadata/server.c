/*
 * The metadata group on one node: opens the group, follows its role, and carries changes into the
 * log.
 *
 * Changes are decided by the leader alone, one after the other, on a copy of the state that has
 * what this batch has already done; the log entry carries the result. At most one such entry is in
 * flight, so that "the state" is always what is applied. What arrives meanwhile is the next batch:
 * the log's latency is shared by all who wait.
 *
 * A change that is decided without effect (a compare failed) is answered when the batch it was
 * evaluated in is applied, or, when that batch is empty, after meta_confirm(): the answer may rest
 * neither on what could still vanish nor on the state of a deposed leader.
 *
 * Roles:   FOLLOWER/CANDIDATE --> LEADER --> LEADER_READY --(content is there)--> serving
 *            ^_____________________|______________|____________________________________|
 * On the way back every queued change is refused; the one in flight hears from the log.
 *
 * Stop: routes are taken away, waiters wake and leave, the group closes, then the last handler's
 * end frees.
 */
#include "server_impl.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

static struct metric *batches_metric;
static struct metric *ops_metric;
static struct metric *leader_metric;
static struct metric *reloads_metric;

/* ---- changes ---- */

void *meta_op_create(size_t size,
                     struct status *(*evaluate)(struct meta_op *op, struct meta_batch *b))
{
    struct meta_op *op = mem_zalloc(size);
    list_head_init(&op->link);
    op->evaluate = evaluate;
    return op;
}

static void op_done(struct meta_op *op)
{
    op->is_done = true;
    if (op->waiter != NULL) {
        fiber_wake(op->waiter);
        return;
    }
    status_free(op->st);
    mem_free(op);
}

static struct status *error_for_op(const struct meta_server *s, const struct status *st)
{
    return st->code == STATUS_NOT_LEADER ? meta_not_leader(s) : status_copy(st);
}

static void flight_done(struct group_proposal *p, struct status *st)
{
    struct meta_flight *flight = CONTAINER_OF(p, struct meta_flight, proposal);
    struct meta_server *s = flight->server;
    ASSERT(s->flight == flight);
    s->flight = NULL;
    while (!list_is_empty(&flight->ops)) {
        struct meta_op *op = LIST_ITEM(list_pop_front(&flight->ops), struct meta_op, link);
        if (st != NULL && op->st == NULL) {
            op->st = error_for_op(s, st);
        }
        op_done(op);
    }
    mem_free(flight);
    status_free(st);
    if (s->queue_count > 0) {
        loop_defer(s->loop, &s->flush_task);
    }
    cond_broadcast(&s->calls_cond);
}

static void queue_refuse(struct meta_server *s)
{
    while (!list_is_empty(&s->queue)) {
        struct meta_op *op = LIST_ITEM(list_pop_front(&s->queue), struct meta_op, link);
        s->queue_count--;
        op->st = meta_not_leader(s);
        op_done(op);
    }
}

/* Evaluates what fits into one entry. What ends without the log is moved to `ended`. */
static void flush_evaluate(struct meta_server *s, struct meta_batch *b, struct list *logged,
                           struct list *ended)
{
    size_t count = 0;
    while (!list_is_empty(&s->queue) && count++ < META_BATCH_OPS_MAX &&
           b->changes.len < META_BATCH_BYTES_MAX) {
        struct meta_op *op = LIST_ITEM(list_pop_front(&s->queue), struct meta_op, link);
        s->queue_count--;
        meta_batch_next(b);
        op->server = s;
        op->st = op->evaluate(op, b);
        if (op->revision == 0) {
            op->revision = b->visible;
        }
        op->was_logged = !meta_batch_is_empty(b);
        list_push_back(op->was_logged ? logged : ended, &op->link);
        metric_add(ops_metric, 1);
    }
}

static void flush_run(struct task *t)
{
    struct meta_server *s = CONTAINER_OF(t, struct meta_server, flush_task);
    if (s->flight != NULL || s->queue_count == 0) {
        return;
    }
    if (!meta_is_ready(s)) {
        if (s->role != GROUP_LEADER && s->role != GROUP_LEADER_READY) {
            queue_refuse(s);
        }
        return;
    }
    struct meta_batch b;
    struct list ended;
    struct meta_flight *flight = MEM_NEW(struct meta_flight);
    flight->server = s;
    flight->proposal.done = flight_done;
    list_head_init(&flight->ops);
    list_head_init(&ended);
    meta_batch_init(&b, &s->fsm);
    flush_evaluate(s, &b, &flight->ops, &ended);
    if (list_is_empty(&flight->ops)) {
        mem_free(flight);
    } else {
        struct buf data = {0};
        meta_batch_encode(&b, &data);
        s->flight = flight;
        metric_add(batches_metric, 1);
        struct status *st = group_propose(s->group, buf_slice(&data), &flight->proposal);
        if (st != NULL) {
            flight_done(&flight->proposal, st);
        }
        buf_deinit(&data);
    }
    meta_batch_deinit(&b);
    while (!list_is_empty(&ended)) {
        op_done(LIST_ITEM(list_pop_front(&ended), struct meta_op, link));
    }
    if (s->queue_count > 0 && s->flight == NULL) {
        loop_defer(s->loop, &s->flush_task);
    }
}

static struct status *op_give_up(struct meta_server *s, struct meta_op *op, struct status *st)
{
    if (op->is_done) {
        status_free(op->st);
        mem_free(op);
        return st;
    }
    if (op->server == NULL) { /* still queued */
        list_unlink(&op->link);
        s->queue_count--;
        mem_free(op);
        return st;
    }
    op->waiter = NULL;
    return st;
}

struct status *meta_submit(struct fiber *f, struct meta_server *s, struct meta_op *op)
{
    struct status *st = meta_serving(f, s);
    if (st == NULL && s->queue_count >= META_QUEUE_MAX) {
        st = status_sql(LIMIT, "53000", "too many metadata changes wait for the log");
    }
    if (st != NULL) {
        mem_free(op);
        return st;
    }
    op->waiter = f;
    list_push_back(&s->queue, &op->link);
    s->queue_count++;
    if (s->flight == NULL) {
        loop_defer(s->loop, &s->flush_task);
    }
    while (!op->is_done) {
        st = fiber_park(f);
        if (st != NULL) {
            return op_give_up(s, op, st);
        }
    }
    st = op->st;
    if (st == NULL && !op->was_logged) {
        st = meta_confirm(f, s);
    }
    if (st != NULL) {
        mem_free(op);
    }
    return st;
}

/* ---- who serves ---- */

struct status *meta_not_leader(const struct meta_server *s)
{
    uint64_t leader = s->is_stopping ? 0 : group_leader_node(s->group);
    return rpc_not_leader(leader == s->options.node_id ? 0 : leader);
}

struct status *meta_serving(struct fiber *f, struct meta_server *s)
{
    while (!meta_is_ready(s)) {
        if (s->is_stopping || (s->role != GROUP_LEADER && s->role != GROUP_LEADER_READY)) {
            return meta_not_leader(s);
        }
        TRY(cond_wait(f, &s->role_cond));
    }
    return NULL;
}

struct status *meta_confirm(struct fiber *f, struct meta_server *s)
{
    if (s->is_stopping) {
        return meta_not_leader(s);
    }
    if (group_lease_valid(s->group)) {
        return NULL;
    }
    struct status *st = group_read_barrier(f, s->group);
    if (status_is(st, STATUS_NOT_LEADER)) {
        status_free(st);
        return meta_not_leader(s);
    }
    return st;
}

bool meta_server_is_leader(const struct meta_server *s)
{
    return meta_is_ready(s);
}

/* ---- roles ---- */

static void fill_done(struct group_proposal *p, struct status *st)
{
    struct meta_flight *fill = CONTAINER_OF(p, struct meta_flight, proposal);
    struct meta_server *s = fill->server;
    s->fill_in_flight = false;
    mem_free(fill);
    cond_broadcast(&s->calls_cond);
    /* An error means that leadership is gone; the next leader looks for itself. */
    status_free(st);
}

/* The space is empty: this is the first leader there ever was. */
static void fill_propose(struct meta_server *s)
{
    struct meta_batch b;
    struct buf data = {0};
    bool has = false;
    meta_batch_init(&b, &s->fsm);
    struct status *st = meta_bootstrap_fill(s, &b, &has);
    if (st == NULL && !has) {
        st = status_new(CORRUPT,
                        "the metadata group is empty and this voter has no bootstrap record");
    }
    if (st == NULL) {
        struct meta_flight *fill = MEM_NEW(struct meta_flight);
        fill->server = s;
        fill->proposal.done = fill_done;
        meta_batch_encode(&b, &data);
        s->fill_in_flight = true;
        st = group_propose(s->group, buf_slice(&data), &fill->proposal);
        if (st != NULL) {
            s->fill_in_flight = false;
            mem_free(fill);
        }
    }
    if (st != NULL) {
        LOGE("metadata", "first content: %s", st->message);
        status_free(st);
    }
    buf_deinit(&data);
    meta_batch_deinit(&b);
}

static void server_lead(struct meta_server *s)
{
    s->is_leading = true;
    s->leader_since_ns = loop_now_ns(s->loop);
    s->gc_watermark = 0;
    meta_nodes_forget(s);
    meta_oracle_lead(s);
    if (s->fsm.visible == 0 && !s->fill_in_flight) {
        fill_propose(s);
    }
    if (s->options.scheduler && s->sched == NULL) {
        s->sched = meta_sched_start(s);
    }
    metric_set(leader_metric, 1);
    LOGI("metadata", "node %llu leads the metadata group, term %llu, revision %llu",
         (unsigned long long)s->options.node_id, (unsigned long long)s->term,
         (unsigned long long)s->fsm.visible);
}

static void server_follow(struct meta_server *s)
{
    s->is_leading = false;
    meta_oracle_stop(s);
    if (s->sched != NULL) {
        meta_sched_cancel(s->sched);
        s->sched = NULL;
    }
    queue_refuse(s);
    metric_set(leader_metric, 0);
}

static struct meta_server *from_fsm(struct meta_fsm *fsm)
{
    return CONTAINER_OF(fsm, struct meta_server, fsm);
}

static void server_wake_all(struct meta_server *s)
{
    cond_broadcast(&s->role_cond);
    cond_broadcast(&s->watch_cond);
}

/* Taking up leadership proposes, which is not done from inside a callback of the group. */
static void role_run(struct task *t)
{
    struct meta_server *s = CONTAINER_OF(t, struct meta_server, role_task);
    if (s->role != GROUP_LEADER_READY || s->is_leading || s->is_stopping || s->group == NULL) {
        return;
    }
    server_lead(s);
    server_wake_all(s);
}

static void on_role(struct meta_fsm *fsm, enum group_role role, uint64_t term)
{
    struct meta_server *s = from_fsm(fsm);
    bool is_new = s->role != role || s->term != term;
    s->role = role;
    s->term = term;
    if (s->is_stopping || s->group == NULL) { /* group_open() has not returned */
        return;
    }
    if (s->is_leading && is_new) {
        server_follow(s);
    }
    if (role == GROUP_FOLLOWER || role == GROUP_CANDIDATE) {
        queue_refuse(s);
    }
    if (role == GROUP_LEADER_READY && is_new) {
        loop_defer(s->loop, &s->role_task);
    }
    server_wake_all(s);
}

static void on_applied(struct meta_fsm *fsm)
{
    struct meta_server *s = from_fsm(fsm);
    server_wake_all(s);
    if (s->queue_count > 0 && s->flight == NULL) {
        loop_defer(s->loop, &s->flush_task);
    }
    if (s->sched != NULL) {
        meta_sched_wake(s->sched);
    }
}

static void on_reloaded(struct meta_fsm *fsm)
{
    metric_add(reloads_metric, 1);
    on_applied(fsm);
}

/* ---- life ---- */

static struct status *route(struct fiber *f, struct rpc_context *ctx, const void *request,
                            void **out_reply, void *handler_ctx)
{
    struct meta_route *r = handler_ctx;
    struct meta_server *s = r->server;
    s->calls++;
    struct status *st = r->handler(f, ctx, request, out_reply, s);
    s->calls--;
    if (s->is_stopping) {
        cond_broadcast(&s->calls_cond);
    }
    return st;
}

static const struct {
    enum rpc_method method;
    meta_handler handler;
    bool is_inline;
} route_table[] = {
    {RPC_META_TXN, meta_handle_txn, false},
    {RPC_META_WATCH, meta_handle_watch, false},
    {RPC_META_TIMESTAMP, meta_handle_timestamp, true},
    {RPC_META_TIMESTAMP_WAIT, meta_handle_timestamp_wait, false},
    {RPC_META_ALLOCATE, meta_handle_allocate, false},
    {RPC_META_SEQUENCE, meta_handle_sequence, false},
    {RPC_META_JOIN, meta_handle_join, false},
    {RPC_META_HEARTBEAT, meta_handle_heartbeat, false},
    {RPC_META_STATUS, meta_handle_status, false},
};

static void routes_set(struct meta_server *s, bool on)
{
    for (size_t i = 0; i < sizeof(route_table) / sizeof(route_table[0]); i++) {
        enum rpc_method m = route_table[i].method;
        s->routes[m] = (struct meta_route){s, route_table[i].handler};
        rpc_register(s->options.rpc, m, on ? route : NULL, on ? &s->routes[m] : NULL,
                     route_table[i].is_inline);
    }
}

static void server_free(struct meta_server *s)
{
    meta_nodes_forget(s);
    meta_fsm_deinit(&s->fsm);
    mem_free(s);
}

struct status *meta_server_start(struct fiber *f, const struct meta_server_options *options,
                                 struct meta_server **out)
{
    struct meta_server *s = MEM_NEW(struct meta_server);
    s->options = *options;
    if (s->options.node_dead_ms == 0) {
        s->options.node_dead_ms = META_NODE_DEAD_MS;
    }
    if (s->options.node_replace_ms == 0) {
        s->options.node_replace_ms = META_NODE_REPLACE_MS;
    }
    s->loop = rpc_node_loop(options->rpc);
    s->flush_task.run = flush_run;
    s->role_task.run = role_run;
    list_head_init(&s->queue);
    cond_init(&s->role_cond);
    cond_init(&s->watch_cond);
    cond_init(&s->calls_cond);
    meta_oracle_init(s);
    batches_metric =
        metric_counter("sherd_meta_batches_total", NULL, "Log entries of metadata changes");
    ops_metric =
        metric_counter("sherd_meta_changes_total", NULL, "Metadata changes that were decided");
    reloads_metric = metric_counter("sherd_meta_reloads_total", NULL,
                                    "Times the metadata was received as a whole from the leader");
    leader_metric =
        metric_gauge("sherd_meta_leader", NULL, "1 on the leader of the metadata group");
    meta_fsm_init(&s->fsm, options->state);
    s->fsm.on_role = on_role;
    s->fsm.on_applied = on_applied;
    s->fsm.on_reloaded = on_reloaded;
    struct status *st = meta_fsm_load(&s->fsm);
    if (st == NULL) {
        st = group_open(f, options->host, META_GROUP_ID, &s->fsm.base, &s->group);
    }
    if (st != NULL) {
        server_free(s);
        return status_wrap(st, "metadata group");
    }
    routes_set(s, true);
    loop_defer(s->loop, &s->role_task);
    *out = s;
    return NULL;
}

void meta_server_stop(struct fiber *f, struct meta_server *s)
{
    if (s == NULL) {
        return;
    }
    routes_set(s, false);
    s->is_stopping = true;
    loop_defer_cancel(&s->role_task);
    server_follow(s);
    server_wake_all(s);
    group_close(f, s->group);
    s->role = GROUP_FOLLOWER;
    /* What still runs sees is_stopping after its next park and leaves. */
    fiber_mask(f);
    while (s->calls > 0 || s->flight != NULL || s->tso_in_flight || s->fill_in_flight) {
        status_consume(cond_wait(f, &s->calls_cond));
    }
    fiber_unmask(f);
    loop_defer_cancel(&s->flush_task);
    server_free(s);
}
