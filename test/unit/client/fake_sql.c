/* See fake_sql.h. All state but the counters belongs to the server's loop. */
#include "fake_sql.h"

#include "api/grpc.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/loop_uv.h"
#include "base/mem.h"
#include "sherd/v1/admin.pb-c.h"
#include "sherd/v1/sql.pb-c.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSIONS_MAX 64
#define PREPARED_MAX 8

struct session {
    uint64_t id; /* 0 = free */
    char state;
    struct fiber *waiting;
    char *prepared_name[PREPARED_MAX];
    char *prepared_sql[PREPARED_MAX];
};

struct fake_sql {
    pthread_t thread;
    sem_t ready;
    sem_t waits;
    struct loop *loop;
    struct grpc_front *front;
    uint16_t port;
    struct task stop;
    struct task forget;
    struct session sessions[SESSIONS_MAX];
    uint64_t next_id;
    int flaky;
    atomic_int opened;
    atomic_int statements;
    atomic_int prepares;
};

static struct session *find(struct fake_sql *s, ProtobufCBinaryData handle)
{
    uint64_t id = handle.len == 8 ? get_u64(handle.data) : 0;
    for (int i = 0; id != 0 && i < SESSIONS_MAX; i++) {
        if (s->sessions[i].id == id) {
            return &s->sessions[i];
        }
    }
    return NULL;
}

static struct status *no_session(void)
{
    return status_sql(NOT_FOUND, "08003", "the session does not exist");
}

static struct status *open_session(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *handler_ctx)
{
    (void)f;
    struct fake_sql *s = handler_ctx;
    const Sherd__V1__OpenSessionRequest *r = request;
    if (strcmp(r->database, "nowhere") == 0) {
        return status_sql(NOT_FOUND, "3D000", "database \"nowhere\" does not exist");
    }
    struct session *slot = NULL;
    for (int i = 0; slot == NULL && i < SESSIONS_MAX; i++) {
        slot = s->sessions[i].id == 0 ? &s->sessions[i] : NULL;
    }
    ASSERT(slot != NULL);
    slot->id = ++s->next_id;
    slot->state = 'I';
    atomic_fetch_add(&s->opened, 1);
    Sherd__V1__OpenSessionReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__OpenSessionReply);
    sherd__v1__open_session_reply__init(reply);
    reply->session.len = 8;
    reply->session.data = arena_alloc(ctx->arena, 8);
    set_u32(reply->session.data, (uint32_t)(slot->id >> 32));
    set_u32(reply->session.data + 4, (uint32_t)slot->id);
    reply->server_version = (char *)"fake 1";
    *out_reply = reply;
    return NULL;
}

static void session_free(struct session *e)
{
    for (int i = 0; i < PREPARED_MAX; i++) {
        mem_free(e->prepared_name[i]);
        mem_free(e->prepared_sql[i]);
    }
    *e = (struct session){0};
}

static struct status *close_session(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, void *handler_ctx)
{
    (void)f;
    const Sherd__V1__CloseSessionRequest *r = request;
    struct session *e = find(handler_ctx, r->session);
    if (e == NULL) {
        return no_session();
    }
    session_free(e);
    *out_reply = ARENA_NEW(ctx->arena, Sherd__V1__CloseSessionReply);
    sherd__v1__close_session_reply__init(*out_reply);
    return NULL;
}

static struct status *prepare(struct fiber *f, struct rpc_context *ctx, const void *request,
                              void **out_reply, void *handler_ctx)
{
    (void)f;
    struct fake_sql *s = handler_ctx;
    const Sherd__V1__PrepareStatementRequest *r = request;
    struct session *e = find(s, r->session);
    if (e == NULL) {
        return no_session();
    }
    if (strncmp(r->sql, "FAIL", 4) == 0) {
        return status_sql(INVALID, "42601", "syntax error");
    }
    atomic_fetch_add(&s->prepares, 1);
    for (int i = 0; i < PREPARED_MAX; i++) {
        if (e->prepared_name[i] == NULL || strcmp(e->prepared_name[i], r->name) == 0) {
            mem_free(e->prepared_name[i]);
            mem_free(e->prepared_sql[i]);
            e->prepared_name[i] = mem_strdup(r->name);
            e->prepared_sql[i] = mem_strdup(r->sql);
            break;
        }
    }
    *out_reply = ARENA_NEW(ctx->arena, Sherd__V1__PrepareStatementReply);
    sherd__v1__prepare_statement_reply__init(*out_reply);
    return NULL;
}

static struct status *cancel(struct fiber *f, struct rpc_context *ctx, const void *request,
                             void **out_reply, void *handler_ctx)
{
    (void)f;
    const Sherd__V1__CancelRequest *r = request;
    struct session *e = find(handler_ctx, r->session);
    if (e == NULL) {
        return no_session();
    }
    if (e->waiting != NULL) {
        fiber_cancel(e->waiting);
    }
    *out_reply = ARENA_NEW(ctx->arena, Sherd__V1__CancelReply);
    sherd__v1__cancel_reply__init(*out_reply);
    return NULL;
}

static Sherd__V1__Value *value(struct arena *a, const char *text)
{
    Sherd__V1__Value *v = ARENA_NEW(a, Sherd__V1__Value);
    sherd__v1__value__init(v);
    if (text == NULL) {
        v->kind_case = SHERD__V1__VALUE__KIND_NULL;
        v->null = 1;
    } else {
        v->kind_case = SHERD__V1__VALUE__KIND_TEXT;
        v->text = arena_strdup(a, text);
    }
    return v;
}

static void set_columns(struct arena *a, Sherd__V1__ExecuteReply *m, size_t n)
{
    m->n_columns = n;
    m->columns = ARENA_ARRAY(a, Sherd__V1__Column *, n);
    for (size_t i = 0; i < n; i++) {
        m->columns[i] = ARENA_NEW(a, Sherd__V1__Column);
        sherd__v1__column__init(m->columns[i]);
        m->columns[i]->name = arena_printf(a, "c%zu", i + 1);
        m->columns[i]->type = i == 0 ? 23 : 25;
        m->columns[i]->typmod = -1;
    }
}

static Sherd__V1__Row *row(struct arena *a, size_t n)
{
    Sherd__V1__Row *r = ARENA_NEW(a, Sherd__V1__Row);
    sherd__v1__row__init(r);
    r->n_values = n;
    r->values = ARENA_ARRAY(a, Sherd__V1__Value *, n);
    return r;
}

static struct status *finish(struct fiber *f, struct grpc_stream *stream, struct session *e,
                             Sherd__V1__ExecuteReply *m, const char *tag, uint64_t count)
{
    char state[2] = {e->state, '\0'};
    m->done = 1;
    m->tag = (char *)tag;
    m->row_count = count;
    m->transaction = state;
    return grpc_stream_send(f, stream, &m->base);
}

static struct status *rows(struct fiber *f, struct grpc_stream *stream, struct session *e, int n,
                           bool is_midway)
{
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    Sherd__V1__ExecuteReply m = SHERD__V1__EXECUTE_REPLY__INIT;
    set_columns(a, &m, 2);
    Sherd__V1__Row *batch[10];
    m.rows = batch;
    for (int i = 0; st == NULL && i < n; i++) {
        Sherd__V1__Row *r = row(a, 2);
        r->values[0] = value(a, arena_printf(a, "%d", i));
        r->values[1] = value(a, i % 7 == 6 ? NULL : arena_printf(a, "row %d", i));
        batch[m.n_rows++] = r;
        if (m.n_rows == 10) {
            st = grpc_stream_send(f, stream, &m.base);
            m.n_rows = 0;
            m.n_columns = 0;
        }
    }
    if (st == NULL && is_midway) {
        st = grpc_stream_send(f, stream, &m.base);
        st = st == NULL ? status_sql(INVALID, "22012", "division by zero") : st;
    } else if (st == NULL) {
        st = finish(f, stream, e, &m, arena_printf(a, "SELECT %d", n), (uint64_t)n);
    }
    arena_destroy(a);
    return st;
}

static struct status *echo(struct fiber *f, struct grpc_stream *stream, struct session *e,
                           const Sherd__V1__ExecuteRequest *q)
{
    struct arena *a = arena_create(0);
    Sherd__V1__ExecuteReply m = SHERD__V1__EXECUTE_REPLY__INIT;
    set_columns(a, &m, q->n_params);
    Sherd__V1__Row *r = row(a, q->n_params);
    for (size_t i = 0; i < q->n_params; i++) {
        r->values[i] = q->params[i];
    }
    m.rows = &r;
    m.n_rows = 1;
    struct status *st = finish(f, stream, e, &m, "SELECT 1", 1);
    arena_destroy(a);
    return st;
}

/* One row of one value; text NULL: NULL. */
static struct status *send_value(struct fiber *f, struct grpc_stream *stream, struct session *e,
                                 const char *text)
{
    struct arena *a = arena_create(0);
    Sherd__V1__ExecuteReply m = SHERD__V1__EXECUTE_REPLY__INIT;
    set_columns(a, &m, 1);
    Sherd__V1__Row *r = row(a, 1);
    r->values[0] = value(a, text);
    m.rows = &r;
    m.n_rows = 1;
    struct status *st = finish(f, stream, e, &m, "SELECT 1", 1);
    arena_destroy(a);
    return st;
}

static struct status *run_one(struct fiber *f, struct fake_sql *s, struct grpc_stream *stream,
                              struct session *e, const Sherd__V1__ExecuteRequest *q,
                              const char *sql)
{
    Sherd__V1__ExecuteReply m = SHERD__V1__EXECUTE_REPLY__INIT;
    atomic_fetch_add(&s->statements, 1);
    if (strncmp(sql, "ROLLBACK", 8) == 0 || (strncmp(sql, "COMMIT", 6) == 0 && e->state == 'E')) {
        e->state = 'I';
        return finish(f, stream, e, &m, "ROLLBACK", 0);
    }
    if (e->state == 'E') {
        return status_sql(INVALID, "25P02", "current transaction is aborted");
    }
    if (strncmp(sql, "BEGIN", 5) == 0) {
        e->state = 'T';
        return finish(f, stream, e, &m, "BEGIN", 0);
    }
    if (strncmp(sql, "COMMIT", 6) == 0) {
        e->state = 'I';
        return finish(f, stream, e, &m, "COMMIT", 0);
    }
    if (strncmp(sql, "SET", 3) == 0) {
        return finish(f, stream, e, &m, "SET", 0);
    }
    if (strcmp(sql, "SELECT sherd_transaction_id()") == 0) {
        return send_value(f, stream, e, "77.42");
    }
    if (strcmp(sql, "SELECT sherd_transaction_status($1)") == 0) {
        const char *id = q->n_params == 1 ? q->params[0]->text : "";
        return send_value(f, stream, e,
                          strcmp(id, "77.42") == 0   ? "committed"
                          : strcmp(id, "77.43") == 0 ? "aborted"
                          : strcmp(id, "77.44") == 0 ? "in progress"
                                                     : NULL);
    }
    if (strncmp(sql, "SELECT ", 7) == 0) {
        return rows(f, stream, e, atoi(sql + 7), false);
    }
    if (strncmp(sql, "MIDWAY ", 7) == 0) {
        return rows(f, stream, e, atoi(sql + 7), true);
    }
    if (strncmp(sql, "ECHO", 4) == 0) {
        return echo(f, stream, e, q);
    }
    if (strncmp(sql, "FLAKY ", 6) == 0) {
        return s->flaky++ < atoi(sql + 6) ? status_new(CONFLICT, "could not serialize")
                                          : rows(f, stream, e, 1, false);
    }
    if (strncmp(sql, "NOTICE", 6) == 0) {
        Sherd__V1__Error n = SHERD__V1__ERROR__INIT;
        n.code = STATUS_INVALID;
        n.sqlstate = (char *)"00000";
        n.message = (char *)"look here";
        Sherd__V1__Error *notices[] = {&n};
        m.notices = notices;
        m.n_notices = 1;
        return finish(f, stream, e, &m, "NOTICE", 0);
    }
    if (strncmp(sql, "WAIT", 4) == 0) {
        struct status *st = NULL;
        e->waiting = f;
        sem_post(&s->waits);
        while (st == NULL) {
            st = fiber_park(f);
        }
        e->waiting = NULL;
        return st;
    }
    char state[6] = "42601";
    if (strncmp(sql, "FAIL ", 5) == 0) {
        memcpy(state, sql + 5, 5);
    }
    struct status *st = status_sql(INVALID, state, "it fails");
    st = status_detail(st, "The detail.");
    return status_at(status_hint(st, "The hint."), 6);
}

static struct status *execute(struct fiber *f, struct rpc_context *ctx, const void *request,
                              struct grpc_stream *stream, void *handler_ctx)
{
    struct fake_sql *s = handler_ctx;
    const Sherd__V1__ExecuteRequest *q = request;
    struct session *e = find(s, q->session);
    if (e == NULL) {
        return no_session();
    }
    const char *text = q->sql;
    for (int i = 0; q->prepared[0] != '\0' && i < PREPARED_MAX; i++) {
        if (e->prepared_name[i] != NULL && strcmp(e->prepared_name[i], q->prepared) == 0) {
            text = e->prepared_sql[i];
        }
    }
    char *save = NULL;
    struct status *st = NULL;
    for (char *one = strtok_r(arena_strdup(ctx->arena, text), ";", &save);
         one != NULL && st == NULL; one = strtok_r(NULL, ";", &save)) {
        one += strspn(one, " \n\t");
        if (*one != '\0') {
            st = run_one(f, s, stream, e, q, one);
        }
    }
    if (st != NULL && e->state == 'T') {
        e->state = 'E';
    }
    return st;
}

/* One node, one shard with a key range, one replica that leads it. */
static struct status *cluster_status(struct fiber *f, struct rpc_context *ctx, const void *request,
                                     void **out_reply, void *handler_ctx)
{
    (void)f, (void)request;
    struct fake_sql *s = handler_ctx;
    struct arena *a = ctx->arena;
    Sherd__V1__MetaStatusReply *r = ARENA_NEW(a, Sherd__V1__MetaStatusReply);
    Sherd__V1__NodeStatus *n = ARENA_NEW(a, Sherd__V1__NodeStatus);
    Sherd__V1__NodeDesc *d = ARENA_NEW(a, Sherd__V1__NodeDesc);
    Sherd__V1__NodeAddress *address = ARENA_NEW(a, Sherd__V1__NodeAddress);
    Sherd__V1__ReplicaStatus *p = ARENA_NEW(a, Sherd__V1__ReplicaStatus);
    Sherd__V1__ShardDesc *shard = ARENA_NEW(a, Sherd__V1__ShardDesc);
    Sherd__V1__ReplicaDesc *replica = ARENA_NEW(a, Sherd__V1__ReplicaDesc);
    Sherd__V1__KeyRange *range = ARENA_NEW(a, Sherd__V1__KeyRange);
    sherd__v1__meta_status_reply__init(r);
    sherd__v1__node_status__init(n);
    sherd__v1__node_desc__init(d);
    sherd__v1__node_address__init(address);
    sherd__v1__replica_status__init(p);
    sherd__v1__shard_desc__init(shard);
    sherd__v1__replica_desc__init(replica);
    sherd__v1__key_range__init(range);
    address->node_id = 1;
    address->host = (char *)"127.0.0.1";
    address->grpc_port = s->port;
    d->address = address;
    d->role_shard = 1;
    d->version = (char *)"fake \"1\"";
    p->shard_id = 2;
    p->replica_id = 1;
    p->role = 3;
    p->last = 10;
    p->applied = 7;
    p->bytes = 1536;
    n->node = d;
    n->alive = 1;
    n->n_replicas = 1;
    n->replicas = ARENA_ARRAY(a, Sherd__V1__ReplicaStatus *, 1);
    n->replicas[0] = p;
    replica->replica_id = 1;
    replica->node_id = 1;
    range->end = (ProtobufCBinaryData){2, (uint8_t *)"\x40\x01"};
    shard->shard_id = 2;
    shard->range = range;
    shard->epoch = 4;
    shard->n_replicas = 1;
    shard->replicas = ARENA_ARRAY(a, Sherd__V1__ReplicaDesc *, 1);
    shard->replicas[0] = replica;
    r->cluster_name = (char *)"fake";
    r->leader_node = 1;
    r->n_nodes = 1;
    r->nodes = ARENA_ARRAY(a, Sherd__V1__NodeStatus *, 1);
    r->nodes[0] = n;
    r->n_shards = 1;
    r->shards = ARENA_ARRAY(a, Sherd__V1__ShardDesc *, 1);
    r->shards[0] = shard;
    *out_reply = r;
    return NULL;
}

/* ---- the thread ---- */

static void stop_main(struct fiber *f, void *arg)
{
    struct fake_sql *s = arg;
    grpc_front_destroy(f, s->front);
    loop_uv_stop(s->loop);
}

static void stop_run(struct task *t)
{
    struct fake_sql *s = CONTAINER_OF(t, struct fake_sql, stop);
    fiber_spawn(s->loop, FIBER_STACK_LARGE, stop_main, s);
}

static void forget_run(struct task *t)
{
    struct fake_sql *s = CONTAINER_OF(t, struct fake_sql, forget);
    for (int i = 0; i < SESSIONS_MAX; i++) {
        session_free(&s->sessions[i]);
    }
    sem_post(&s->ready);
}

static void *server_main(void *arg)
{
    struct fake_sql *s = arg;
    s->loop = loop_uv_create();
    struct status *st = grpc_front_create(s->loop, "127.0.0.1", s->port, &s->front);
    if (st != NULL) {
        fatal("%s", st->message);
    }
    s->port = grpc_front_port(s->front);
    s->next_id = (uint64_t)s->port << 32;
    grpc_front_unary(s->front, "/sherd.v1.Sql/OpenSession",
                     &sherd__v1__open_session_request__descriptor, open_session, s);
    grpc_front_unary(s->front, "/sherd.v1.Sql/CloseSession",
                     &sherd__v1__close_session_request__descriptor, close_session, s);
    grpc_front_unary(s->front, "/sherd.v1.Sql/PrepareStatement",
                     &sherd__v1__prepare_statement_request__descriptor, prepare, s);
    grpc_front_unary(s->front, "/sherd.v1.Sql/Cancel", &sherd__v1__cancel_request__descriptor,
                     cancel, s);
    grpc_front_streaming(s->front, "/sherd.v1.Sql/Execute", &sherd__v1__execute_request__descriptor,
                         execute, s);
    grpc_front_unary(s->front, "/sherd.v1.Admin/ClusterStatus",
                     &sherd__v1__cluster_status_request__descriptor, cluster_status, s);
    grpc_front_start(s->front);
    sem_post(&s->ready);
    loop_uv_run(s->loop);
    loop_uv_destroy(s->loop);
    return NULL;
}

struct fake_sql *fake_sql_start(uint16_t port)
{
    struct fake_sql *s = MEM_NEW(struct fake_sql);
    s->port = port;
    s->stop.run = stop_run;
    s->forget.run = forget_run;
    sem_init(&s->ready, 0, 0);
    sem_init(&s->waits, 0, 0);
    ASSERT(pthread_create(&s->thread, NULL, server_main, s) == 0);
    sem_wait(&s->ready);
    return s;
}

void fake_sql_stop(struct fake_sql *s)
{
    loop_post(s->loop, &s->stop);
    pthread_join(s->thread, NULL);
    for (int i = 0; i < SESSIONS_MAX; i++) {
        session_free(&s->sessions[i]);
    }
    sem_destroy(&s->ready);
    sem_destroy(&s->waits);
    mem_free(s);
}

uint16_t fake_sql_port(const struct fake_sql *s)
{
    return s->port;
}

int fake_sql_sessions(struct fake_sql *s)
{
    return atomic_load(&s->opened);
}

int fake_sql_statements(struct fake_sql *s)
{
    return atomic_load(&s->statements);
}

int fake_sql_prepares(struct fake_sql *s)
{
    return atomic_load(&s->prepares);
}

void fake_sql_forget(struct fake_sql *s)
{
    loop_post(s->loop, &s->forget);
    sem_wait(&s->ready);
}

void fake_sql_await_wait(struct fake_sql *s)
{
    sem_wait(&s->waits);
}
