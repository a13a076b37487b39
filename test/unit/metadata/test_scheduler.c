/*
 * The scheduler on a simulated cluster whose shards are fakes: they obey the calls like the real
 * ones and check what those rely on (a learner exists before it is added, nobody removes the
 * leader, a split is said the same way twice). Nodes send heartbeats with what the fakes report.
 */
#include "meta_world.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"
#include "sherd/v1/shard.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FAKES_MAX 128
#define NODES WORLD_NODES_MAX

struct fake_replica {
    uint64_t id, node;
    bool is_voter, is_created;
    bool is_added; /* gets the log */
};

struct fake {
    uint64_t shard_id;
    uint64_t leader;
    uint64_t term;
    struct buf start, end;
    struct fake_replica replicas[9];
    size_t count;
    uint64_t bytes;
    uint64_t replica_id_max;
    uint64_t gc_watermark;
    uint64_t fences[16];
    size_t fence_count;
    uint64_t forgotten[16]; /* incarnations */
    size_t forgotten_count;
};

static struct meta_world w;
static struct fake fakes[FAKES_MAX];
static size_t fake_count;
static size_t split_calls;
static bool is_beating;
static bool has_beat[NODES + 1]; /* its heartbeat fiber runs */
static uint64_t lose_reply_percent;
static bool refuse_splits;

static struct fake *fake_find(uint64_t shard_id)
{
    for (size_t i = 0; i < fake_count; i++) {
        if (fakes[i].shard_id == shard_id) {
            return &fakes[i];
        }
    }
    return NULL;
}

static struct fake_replica *replica_find(struct fake *k, uint64_t replica_id)
{
    for (size_t i = 0; i < k->count; i++) {
        if (k->replicas[i].id == replica_id) {
            return &k->replicas[i];
        }
    }
    return NULL;
}

/* A dead leader is replaced by a voter that lives. */
static void fakes_elect(void)
{
    for (size_t i = 0; i < fake_count; i++) {
        struct fake *k = &fakes[i];
        if (k->leader != 0 && w.nodes[k->leader].is_up) {
            continue;
        }
        k->leader = 0;
        for (size_t r = 0; r < k->count; r++) {
            if (k->replicas[r].is_voter && w.nodes[k->replicas[r].node].is_up) {
                k->leader = k->replicas[r].node;
                k->term++;
                break;
            }
        }
    }
}

static struct status *fake_lead(struct world_node *n, uint64_t shard_id, struct fake **out)
{
    fakes_elect();
    struct fake *k = fake_find(shard_id);
    if (k == NULL || k->leader != n->id) {
        return rpc_not_leader(k == NULL ? 0 : k->leader);
    }
    *out = k;
    return NULL;
}

static void *empty(struct rpc_context *ctx)
{
    Sherd__V1__Empty *e = ARENA_NEW(ctx->arena, Sherd__V1__Empty);
    sherd__v1__empty__init(e);
    return e;
}

/* A reply that gets lost: the work is done, the caller does not hear of it. */
static struct status *maybe_lost(void)
{
    if (sim_random_below(w.sim, 100) < lose_reply_percent) {
        return status_new(UNKNOWN_OUTCOME, "reply lost on purpose");
    }
    return NULL;
}

static void fake_from_desc(struct fake *k, const Sherd__V1__ShardDesc *d)
{
    memset(k, 0, sizeof(*k));
    k->shard_id = d->shard_id;
    k->term = 1;
    buf_put(&k->start, d->range->start.data, d->range->start.len);
    buf_put(&k->end, d->range->end.data, d->range->end.len);
    for (size_t i = 0; i < d->n_replicas; i++) {
        k->replicas[k->count++] = (struct fake_replica){d->replicas[i]->replica_id,
                                                        d->replicas[i]->node_id, true, true, true};
        if (d->replicas[i]->replica_id == 1) { /* the lowest id stands for election first */
            k->leader = d->replicas[i]->node_id;
        }
    }
    k->replica_id_max = k->count;
}

static struct status *handle_split(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *arg)
{
    const Sherd__V1__SplitRequest *r = request;
    struct fake *left;
    void *message;
    TRY(fiber_sleep(f, (1 + sim_random_below(w.sim, 5)) * MS));
    TRY(fake_lead(arg, r->shard_id, &left));
    split_calls++;
    if (refuse_splits) {
        return status_new(INVALID, "no");
    }
    OK(pb_unpack(&sherd__v1__shard_desc__descriptor, ctx->arena,
                 slice_make(r->right_desc.data, r->right_desc.len), &message));
    const Sherd__V1__ShardDesc *d = message;
    struct slice key = slice_make(r->split_key.data, r->split_key.len);
    assert_true(slice_eq(key, slice_make(d->range->start.data, d->range->start.len)));
    struct fake *right = fake_find(d->shard_id);
    if (right != NULL) { /* said again */
        assert_true(slice_eq(buf_slice(&right->start), key));
        assert_true(slice_eq(buf_slice(&left->end), key));
    } else {
        assert_true(slice_cmp(key, buf_slice(&left->start)) > 0);
        assert_true(left->end.len == 0 || slice_cmp(key, buf_slice(&left->end)) < 0);
        assert_int_equal(d->n_replicas, left->count);
        assert_true(fake_count < FAKES_MAX);
        right = &fakes[fake_count++];
        fake_from_desc(right, d);
        assert_true(slice_eq(buf_slice(&right->end), buf_slice(&left->end)));
        for (size_t i = 0; i < left->count; i++) {
            assert_true(left->replicas[i].is_voter);
        }
        buf_clear(&left->end);
        buf_put_slice(&left->end, key);
        right->bytes = left->bytes /= 2;
        memcpy(right->fences, left->fences, sizeof(left->fences));
        right->fence_count = left->fence_count;
    }
    *out_reply = empty(ctx);
    return maybe_lost();
}

static struct status *handle_split_point(struct fiber *f, struct rpc_context *ctx,
                                         const void *request, void **out_reply, void *arg)
{
    const Sherd__V1__SplitPointRequest *r = request;
    struct fake *k;
    (void)f;
    TRY(fake_lead(arg, r->shard_id, &k));
    Sherd__V1__SplitPointReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__SplitPointReply);
    sherd__v1__split_point_reply__init(reply);
    /* A border between start and end: the start with one more byte, smaller and smaller. */
    struct buf key = {0};
    buf_put_slice(&key, buf_slice(&k->start));
    buf_put_u8(&key, (uint8_t)(k->end.len == 0 ? 0x80 : 0x10));
    struct slice copy = arena_copy(ctx->arena, buf_slice(&key));
    buf_deinit(&key);
    reply->key.data = (uint8_t *)(uintptr_t)copy.data;
    reply->key.len = copy.len;
    reply->bytes = k->bytes;
    *out_reply = reply;
    return NULL;
}

static struct status *handle_create(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, void *arg)
{
    const Sherd__V1__CreateReplicaRequest *r = request;
    struct world_node *n = arg;
    (void)f;
    struct fake *k = fake_find(r->shard_id);
    assert_non_null(k);
    assert_false(r->bootstrap);
    if (replica_find(k, r->replica_id) != NULL) {
        return status_new(ALREADY_EXISTS, "replica is here");
    }
    assert_true(r->replica_id > k->replica_id_max); /* never reused */
    k->replica_id_max = r->replica_id;
    k->replicas[k->count++] = (struct fake_replica){r->replica_id, n->id, false, true, false};
    *out_reply = empty(ctx);
    return maybe_lost();
}

static struct status *handle_change(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, void *arg)
{
    const Sherd__V1__ChangeReplicaRequest *r = request;
    struct fake *k;
    TRY(fiber_sleep(f, (1 + sim_random_below(w.sim, 5)) * MS));
    *out_reply = empty(ctx);
    if (r->action == 5) {
        return NULL;
    }
    TRY(fake_lead(arg, r->shard_id, &k));
    struct fake_replica *p = replica_find(k, r->replica_id);
    size_t voters = 0;
    for (size_t i = 0; i < k->count; i++) {
        voters += k->replicas[i].is_voter;
    }
    switch (r->action) {
    case 1:
        assert_non_null(p);
        assert_true(p->is_created);
        assert_int_equal(p->node, r->node_id);
        p->is_added = true;
        return maybe_lost();
    case 2:
        assert_non_null(p);
        assert_true(p->is_added);
        p->is_voter = true;
        return maybe_lost();
    case 3:
        if (p == NULL) {
            return status_new(NOT_FOUND, "no such replica");
        }
        assert_int_not_equal(p->node, k->leader);
        assert_true(!p->is_voter || voters > 2);
        *p = k->replicas[--k->count];
        return maybe_lost();
    case 4:
        for (size_t i = 0; i < k->count; i++) {
            bool is_target = r->replica_id == 0 ? k->replicas[i].node != k->leader
                                                : k->replicas[i].id == r->replica_id;
            if (is_target && k->replicas[i].is_voter && w.nodes[k->replicas[i].node].is_up) {
                k->leader = k->replicas[i].node;
                k->term++;
                return NULL;
            }
        }
        return status_new(CONFLICT, "nobody to lead");
    default:
        fail();
        return NULL;
    }
}

static struct status *handle_gc(struct fiber *f, struct rpc_context *ctx, const void *request,
                                void **out_reply, void *arg)
{
    const Sherd__V1__GcRequest *r = request;
    struct fake *k;
    (void)f;
    TRY(fake_lead(arg, r->shard_id, &k));
    assert_true(r->watermark > k->gc_watermark);
    k->gc_watermark = r->watermark;
    *out_reply = empty(ctx);
    return NULL;
}

static bool has_number(const uint64_t *numbers, size_t count, uint64_t x)
{
    for (size_t i = 0; i < count; i++) {
        if (numbers[i] == x) {
            return true;
        }
    }
    return false;
}

static bool has_fence(const struct fake *k, uint64_t incarnation)
{
    return has_number(k->fences, k->fence_count, incarnation);
}

static struct status *handle_fence(struct fiber *f, struct rpc_context *ctx, const void *request,
                                   void **out_reply, void *arg)
{
    const Sherd__V1__FenceRequest *r = request;
    struct fake *k;
    TRY(fiber_sleep(f, MS));
    TRY(fake_lead(arg, r->shard_id, &k));
    assert_int_equal(r->table_id, 0);
    if (r->forget) { /* all have the fence before one forgets */
        for (size_t i = 0; i < fake_count; i++) {
            assert_true(has_fence(&fakes[i], r->version));
        }
        assert_true(k->forgotten_count < 16);
        k->forgotten[k->forgotten_count++] = r->version;
    } else {
        assert_true(k->fence_count < 16);
        k->fences[k->fence_count++] = r->version;
    }
    *out_reply = empty(ctx);
    return maybe_lost();
}

static uint64_t low_node; /* says that it is low on space; 0 = none */
static size_t low_heard[NODES + 1];

static void beat_once(struct fiber *f, struct world_node *n)
{
    Sherd__V1__MetaHeartbeatRequest r = SHERD__V1__META_HEARTBEAT_REQUEST__INIT;
    struct arena *a = arena_create(0);
    void *reply;
    fakes_elect();
    r.node_id = n->id;
    r.incarnation = 1000000;
    r.low_on_space = low_node == n->id;
    r.replicas = ARENA_ARRAY(a, Sherd__V1__ReplicaStatus *, fake_count + 1);
    for (size_t i = 0; i < fake_count; i++) {
        struct fake *k = &fakes[i];
        for (size_t p = 0; p < k->count; p++) {
            if (k->replicas[p].node != n->id) {
                continue;
            }
            Sherd__V1__ReplicaStatus *rs = ARENA_NEW(a, Sherd__V1__ReplicaStatus);
            sherd__v1__replica_status__init(rs);
            rs->shard_id = k->shard_id;
            rs->replica_id = k->replicas[p].id;
            rs->role = k->leader == n->id ? GROUP_LEADER_READY : GROUP_FOLLOWER;
            rs->term = k->term;
            rs->bytes = k->bytes;
            rs->last = 10;
            rs->applied = k->replicas[p].is_added ? 10 : 0;
            r.replicas[r.n_replicas++] = rs;
        }
    }
    struct status *st = meta_call(f, n->client, RPC_META_HEARTBEAT, &r, a, &reply);
    if (st == NULL) {
        const Sherd__V1__MetaHeartbeatReply *h = reply;
        low_heard[n->id] = h->n_low_nodes;
        assert_true(h->n_low_nodes == 0 || h->low_nodes[0] == low_node || low_node == 0);
    }
    status_free(st);
    arena_destroy(a);
}

static void beat_run(struct fiber *f, void *arg)
{
    struct world_node *n = arg;
    while (n->client == NULL) {
        OK(fiber_sleep(f, MS));
    }
    while (is_beating) {
        beat_once(f, n);
        OK(fiber_sleep(f, 300 * MS));
    }
    has_beat[n->id] = false;
}

static void on_boot(struct world_node *n)
{
    rpc_register(n->rpc, RPC_SHARD_SPLIT, handle_split, n, false);
    rpc_register(n->rpc, RPC_SHARD_SPLIT_POINT, handle_split_point, n, false);
    rpc_register(n->rpc, RPC_SHARD_CREATE_REPLICA, handle_create, n, false);
    rpc_register(n->rpc, RPC_SHARD_CHANGE_REPLICA, handle_change, n, false);
    rpc_register(n->rpc, RPC_SHARD_GC, handle_gc, n, false);
    rpc_register(n->rpc, RPC_SHARD_FENCE, handle_fence, n, false);
    has_beat[n->id] = true;
    fiber_spawn(n->loop, FIBER_STACK_SMALL, beat_run, n);
}

static void fakes_clear(void)
{
    for (size_t i = 0; i < fake_count; i++) {
        buf_deinit(&fakes[i].start);
        buf_deinit(&fakes[i].end);
    }
    fake_count = 0;
}

static void begin(uint64_t seed, size_t nodes, size_t voters)
{
    fakes_clear();
    split_calls = 0;
    lose_reply_percent = 0;
    is_beating = true;
    world_init(&w, seed, nodes, voters);
    w.scheduler = true;
    w.on_boot = on_boot;
    struct fake *first = &fakes[fake_count++];
    memset(first, 0, sizeof(*first));
    first->shard_id = 2;
    first->term = 1;
    first->count = nodes >= 3 ? 3 : 1;
    first->replica_id_max = first->count;
    for (size_t i = 0; i < first->count; i++) {
        first->replicas[i] = (struct fake_replica){i + 1, i + 1, true, true, true};
    }
    for (uint64_t i = 1; i <= nodes; i++) {
        world_boot(&w, i);
    }
}

static bool beats_ended(void *ctx)
{
    (void)ctx;
    for (uint64_t i = 1; i <= w.node_count; i++) {
        if (w.nodes[i].is_up && has_beat[i]) {
            return false;
        }
    }
    return true;
}

static void end(void)
{
    is_beating = false;
    assert_true(sim_run(w.sim, sim_now_ns(w.sim) + 60 * SECOND, beats_ended, NULL));
    world_shutdown(&w);
    fakes_clear();
}

/* ---- looking at the map ---- */

static uint64_t observer = 1;

static size_t shard_count;
static size_t leads[NODES + 1];

struct walk {
    struct buf last_end;
    bool is_first, is_open;
};

static bool walk_shard(void *ctx, const struct shard_info *s)
{
    struct walk *walk = ctx;
    assert_true(walk->is_open); /* nothing after the one without an end */
    assert_true(slice_eq(s->start, buf_slice(&walk->last_end)));
    buf_clear(&walk->last_end);
    buf_put_slice(&walk->last_end, s->end);
    walk->is_open = s->end.len > 0;
    shard_count++;
    struct fake *k = fake_find(s->shard_id);
    assert_non_null(k);
    leads[k->leader]++;
    return true;
}

/* The map covers all keys without gap or overlap, and names what exists. */
static void map_check(struct fiber *f, struct world_node *n)
{
    struct walk walk = {.is_open = true};
    OK(meta_refresh(f, n->client));
    shard_count = 0;
    memset(leads, 0, sizeof(leads));
    shard_map_scan(n->client, slice_make(NULL, 0), slice_make(NULL, 0), walk_shard, &walk);
    assert_false(walk.is_open);
    buf_deinit(&walk.last_end);
}

static void look(void)
{
    world_spawn(&w, observer, map_check);
    world_run(&w, 30 * SECOND);
}

/* ---- changing ---- */

static struct {
    char key[64];
    size_t key_len;
    struct buf value;
    bool is_delete;
} put_what;

static void put_run(struct fiber *f, struct world_node *n)
{
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    Sherd__V1__MetaPut *puts[] = {&put};
    bool ok;
    put.key.data = (uint8_t *)put_what.key;
    put.key.len = put_what.key_len;
    put.value.data = put_what.value.data;
    put.value.len = put_what.value.len;
    r.puts = puts;
    r.n_puts = put_what.is_delete ? 0 : 1;
    r.deletes = &put.key;
    r.n_deletes = put_what.is_delete ? 1 : 0;
    OK(meta_txn(f, n->client, &r, &ok, NULL));
    assert_true(ok);
}

/* message NULL: deletes the key. */
static void put_sized(const char *prefix, uint64_t id, int id_bytes, const void *message)
{
    struct buf key = {0};
    meta_key(&key, prefix, id, id_bytes);
    memcpy(put_what.key, key.data, key.len);
    put_what.key_len = key.len;
    put_what.is_delete = message == NULL;
    buf_clear(&put_what.value);
    if (message != NULL) {
        pb_pack(message, &put_what.value);
    }
    buf_deinit(&key);
    world_spawn(&w, observer, put_run);
    world_run(&w, 30 * SECOND);
}

static void put_message(const char *prefix, uint64_t id, const void *message)
{
    put_sized(prefix, id, 8, message);
}

static void put_table(uint32_t id, uint32_t colocate_with)
{
    Sherd__V1__TableDesc t = SHERD__V1__TABLE_DESC__INIT;
    t.id = id;
    t.colocate_with = colocate_with;
    put_sized(META_PREFIX_TABLE, id, 4, &t);
}

static void put_presplit(uint64_t id, uint32_t table, uint32_t buckets)
{
    Sherd__V1__JobDesc job = SHERD__V1__JOB_DESC__INIT;
    char none[] = "";
    job.id = id;
    job.kind = SHERD__V1__JOB_KIND__JOB_PRESPLIT;
    job.table_id = table;
    job.buckets = buckets;
    job.error = none;
    put_message(META_PREFIX_JOB, id, &job);
}

static bool count_jobs(void *ctx, struct slice key, struct slice value, uint64_t mod_revision)
{
    (void)key;
    (void)value;
    (void)mod_revision;
    ++*(size_t *)ctx;
    return true;
}

static size_t jobs_left(void)
{
    size_t count = 0;
    meta_scan(w.nodes[observer].client, slice_str(META_PREFIX_JOB), count_jobs, &count);
    return count;
}

static void put_node(uint64_t node_id, Sherd__V1__NodeState state, const char *locality)
{
    Sherd__V1__NodeDesc d = SHERD__V1__NODE_DESC__INIT;
    Sherd__V1__NodeAddress a = SHERD__V1__NODE_ADDRESS__INIT;
    char host[] = "127.0.0.1", none[] = "", place[32];
    snprintf(place, sizeof(place), "%s", locality);
    a.node_id = node_id;
    a.host = host;
    d.address = &a;
    d.locality = place;
    d.version = none;
    d.state = state;
    d.role_shard = true;
    d.role_metadata = node_id <= w.voter_count;
    put_message(META_PREFIX_NODE, node_id, &d);
}

static void put_state(uint64_t node_id, Sherd__V1__NodeState state)
{
    put_node(node_id, state, "");
}

/* ---- tests ---- */

static void a_presplit_is_there_within_two_seconds(void **state)
{
    (void)state;
    begin(1, 3, 3);
    world_advance(&w, 2 * SECOND);
    put_presplit(900, 20000, 9);
    world_advance(&w, 2 * SECOND);
    look();
    assert_int_equal(shard_count, fake_count);
    assert_true(fake_count >= 8);
    assert_int_equal(jobs_left(), 0);
    for (uint64_t i = 1; i <= 3; i++) { /* and its leaders are spread */
        assert_in_range(leads[i], 2, 4);
    }
    struct buf key = {0};
    buf_put_u32(&key, 20000);
    buf_put_u32(&key, 1);
    buf_put_u16(&key, 4);
    const struct shard_info *s = shard_map_find(w.nodes[1].client, buf_slice(&key));
    assert_true(slice_eq(s->start, buf_slice(&key)));
    buf_deinit(&key);
    end();
}

static void splits_survive_leader_kills_and_lost_replies(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        begin(seed, 5, 3);
        observer = 5;
        world_advance(&w, 2 * SECOND);
        lose_reply_percent = 20;
        put_presplit(900, 20000, 12);
        put_presplit(901, 20001, 12);
        for (int i = 0; i < 4; i++) {
            world_advance(&w, (2 + sim_random_below(w.sim, 40)) * MS);
            uint64_t leader = world_leader(&w);
            if (leader != 0) {
                world_kill(&w, leader, 100);
                world_advance(&w, sim_random_below(w.sim, 1500) * MS);
                world_boot(&w, leader);
            }
            world_advance(&w, sim_random_below(w.sim, 800) * MS);
        }
        lose_reply_percent = 0;
        for (int i = 0; i < 30 && jobs_left() > 0; i++) {
            world_advance(&w, SECOND);
        }
        look();
        assert_int_equal(jobs_left(), 0);
        assert_int_equal(shard_count, 23);
        assert_int_equal(fake_count,
                         23); /* no id was used for a split that then came under another */
        end();
    }
    observer = 1;
}

static void a_refused_split_is_tried_at_the_scheduler_s_pace(void **state)
{
    (void)state;
    begin(3, 3, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    refuse_splits = true;
    put_presplit(900, 20000, 4);
    world_advance(&w, 4 * SECOND);
    assert_in_range(split_calls, 5, 25); /* every 200 ms */
    assert_int_equal(jobs_left(), 1);    /* the pre-split itself: no split is left half done */
    refuse_splits = false;
    world_advance(&w, 2 * SECOND);
    look();
    assert_int_equal(shard_count, 4);
    assert_int_equal(jobs_left(), 0);
    end();
}

static bool has_node(uint64_t shard_id, uint64_t node)
{
    const struct shard_info *s = shard_map_by_id(w.nodes[observer].client, shard_id);
    for (size_t i = 0; i < s->replica_count; i++) {
        if (s->replicas[i].node_id == node) {
            return true;
        }
    }
    return false;
}

static void replicas_agree(uint64_t shard_id, size_t count)
{
    const struct shard_info *s = shard_map_by_id(w.nodes[observer].client, shard_id);
    struct fake *k = fake_find(shard_id);
    assert_int_equal(s->replica_count, count);
    assert_int_equal(k->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(s->replicas[i].is_voter);
        struct fake_replica *r = replica_find(k, s->replicas[i].replica_id);
        assert_non_null(r);
        assert_true(r->is_voter);
        assert_int_equal(r->node, s->replicas[i].node_id);
    }
}

static size_t replicas_on(uint64_t node_id)
{
    size_t count = 0;
    for (size_t i = 0; i < fake_count; i++) {
        count += has_node(fakes[i].shard_id, node_id);
    }
    return count;
}

static void a_dead_nodes_replicas_are_made_anew(void **state)
{
    (void)state;
    begin(5, 4, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    put_presplit(900, 20000, 4);
    world_advance(&w, 60 * SECOND); /* node 4 has got its part */
    look();
    size_t before = replicas_on(2);
    assert_true(before > 0);
    lose_reply_percent = 10;
    world_kill(&w, 2, 100);
    world_advance(&w, 3 * SECOND); /* dead, but not yet long enough */
    look();
    assert_int_equal(replicas_on(2), before);
    world_advance(&w, 17 * SECOND);
    look();
    lose_reply_percent = 0;
    assert_int_equal(replicas_on(2), 0);
    for (size_t i = 0; i < fake_count; i++) {
        replicas_agree(fakes[i].shard_id, 3);
    }
    end();
}

/* One replica after the other goes there, until no node has two more than another; then all rests.
 */
static void a_new_node_takes_its_part(void **state)
{
    (void)state;
    begin(21, 3, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    put_presplit(900, 20000, 8);
    world_advance(&w, 10 * SECOND);
    lose_reply_percent = 10;
    w.node_count = 4;
    w.nodes[4].disk = mem_disk_create(104);
    put_state(4, SHERD__V1__NODE_STATE__NODE_LIVE);
    world_boot(&w, 4);
    world_advance(&w, 60 * SECOND);
    look();
    size_t least = SIZE_MAX, most = 0;
    for (uint64_t i = 1; i <= 4; i++) {
        size_t n = replicas_on(i);
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    assert_int_equal(shard_count, fake_count);
    assert_true(fake_count >= 8);
    assert_in_range(most - least, 0, 1);
    uint64_t epochs = 0;
    for (size_t i = 0; i < fake_count; i++) {
        replicas_agree(fakes[i].shard_id, 3);
        epochs += shard_map_by_id(w.nodes[observer].client, fakes[i].shard_id)->epoch;
    }
    world_advance(&w, 30 * SECOND);
    look();
    for (size_t i = 0; i < fake_count; i++) {
        epochs -= shard_map_by_id(w.nodes[observer].client, fakes[i].shard_id)->epoch;
    }
    assert_int_equal(epochs, 0);
    end();
}

/* A replica is on its way to a node that dies: it is given up, and others move on. */
static void a_node_that_dies_holds_up_no_move(void **state)
{
    (void)state;
    begin(24, 3, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    put_presplit(900, 20000, 8);
    world_advance(&w, 10 * SECOND);
    w.node_count = 5;
    for (uint64_t i = 4; i <= 5; i++) {
        w.nodes[i].disk = mem_disk_create(100 + i);
        put_state(i, SHERD__V1__NODE_STATE__NODE_LIVE);
    }
    world_boot(&w, 4);
    for (bool is_coming = false; !is_coming;) { /* to a node that does nothing with it */
        world_advance(&w, SECOND / 10);
        look();
        for (size_t i = 0; i < fake_count; i++) {
            is_coming |= has_node(fakes[i].shard_id, 4);
        }
    }
    world_kill(&w, 4, 100);
    world_boot(&w, 5);
    world_advance(&w, 5 * SECOND - SECOND / 2);
    look();
    assert_true(replicas_on(5) > 0);
    end();
}

/* Even a cluster of one shard: three replicas in one place are lost together. */
static void a_node_elsewhere_gets_a_replica(void **state)
{
    (void)state;
    begin(22, 3, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    for (uint64_t i = 1; i <= 3; i++) {
        put_node(i, SHERD__V1__NODE_STATE__NODE_LIVE, "zone=a");
    }
    w.node_count = 5;
    for (uint64_t i = 4; i <= 5; i++) {
        w.nodes[i].disk = mem_disk_create(100 + i);
        put_node(i, SHERD__V1__NODE_STATE__NODE_LIVE, i == 4 ? "zone=a" : "zone=b");
        world_boot(&w, i);
    }
    world_advance(&w, 30 * SECOND);
    look();
    replicas_agree(2, 3);
    assert_true(has_node(2, 5));
    assert_false(has_node(2, 4)); /* it would be one of three in zone a as well */
    end();
}

static void without_a_spare_node_nothing_shrinks(void **state)
{
    (void)state;
    begin(6, 3, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    world_kill(&w, 2, 100);
    world_advance(&w, 20 * SECOND);
    look();
    replicas_agree(2, 3);
    end();
}

static void a_draining_node_is_emptied(void **state)
{
    (void)state;
    begin(7, 4, 3);
    observer = 2;
    world_advance(&w, 2 * SECOND);
    put_presplit(900, 20000, 4);
    world_advance(&w, 2 * SECOND);
    put_state(1, SHERD__V1__NODE_STATE__NODE_DRAINING);
    world_advance(&w, 10 * SECOND);
    look();
    for (size_t i = 0; i < fake_count; i++) {
        assert_false(has_node(fakes[i].shard_id, 1));
        replicas_agree(fakes[i].shard_id, 3);
        assert_int_not_equal(fakes[i].leader, 1);
    }
    end();
}

static void one_node_grows_to_three(void **state)
{
    (void)state;
    begin(8, 1, 1);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    look();
    replicas_agree(2, 1);
    w.node_count = 3;
    for (uint64_t i = 2; i <= 3; i++) {
        w.nodes[i].disk = mem_disk_create(100 + i);
        put_state(i, SHERD__V1__NODE_STATE__NODE_LIVE);
        world_boot(&w, i);
        world_advance(&w, 4 * SECOND);
        look();
        replicas_agree(2, i == 2 ? 1 : 3); /* two voters would bear less than one */
    }
    end();
}

static void leaders_are_spread(void **state)
{
    (void)state;
    begin(9, 3, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    put_presplit(900, 20000, 9);
    world_advance(&w, 2 * SECOND);
    for (size_t i = 0; i < fake_count; i++) {
        fakes[i].leader = 3;
        fakes[i].term++;
    }
    world_advance(&w, 20 * SECOND);
    look();
    for (uint64_t i = 1; i <= 3; i++) {
        assert_in_range(leads[i], 2, 4);
    }
    end();
}

/* It leads nothing and gets no new replica, the others learn of it, and all ends with it. */
static void a_node_low_on_space_leads_nothing(void **state)
{
    (void)state;
    begin(11, 4, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    put_presplit(900, 20000, 9);
    world_advance(&w, 2 * SECOND);
    for (size_t i = 0; i < fake_count; i++) {
        fakes[i].leader = 1;
        fakes[i].term++;
    }
    low_node = 1;
    world_advance(&w, 10 * SECOND);
    look();
    assert_int_equal(leads[1], 0);
    for (uint64_t i = 1; i <= 4; i++) {
        assert_int_equal(low_heard[i], 1);
    }
    low_node = 0;
    world_advance(&w, 40 * SECOND);
    look();
    assert_true(leads[1] > 0);
    assert_int_equal(low_heard[2], 0);
    end();
}

static uint64_t joined[3];

static void join_run(struct fiber *f, struct world_node *n)
{
    Sherd__V1__MetaJoinRequest r = SHERD__V1__META_JOIN_REQUEST__INIT;
    Sherd__V1__NodeDesc d = SHERD__V1__NODE_DESC__INIT;
    Sherd__V1__NodeAddress a = SHERD__V1__NODE_ADDRESS__INIT;
    char host[] = "127.0.0.1", none[] = "";
    a.node_id = 3;
    a.host = host;
    d.address = &a;
    d.locality = none;
    d.version = none;
    d.role_metadata = d.role_shard = true;
    r.node = &d;
    for (int i = 0; i < 3; i++) {
        struct arena *arena = arena_create(0);
        void *reply;
        OK(meta_call(f, n->client, RPC_META_JOIN, &r, arena, &reply));
        joined[i] = ((Sherd__V1__MetaJoinReply *)reply)->incarnation;
        arena_destroy(arena);
    }
}

static void former_incarnations_are_fenced_in_every_shard(void **state)
{
    (void)state;
    begin(12, 3, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    lose_reply_percent = 20;
    world_spawn(&w, 1, join_run);
    world_run(&w, 10 * SECOND);
    world_advance(&w, 7500 * MS);
    put_presplit(900, 20000, 6); /* splits while the fences go round */
    world_advance(&w, 12 * SECOND);
    lose_reply_percent = 0;
    world_advance(&w, 8 * SECOND);
    look();
    assert_int_equal(shard_count, 6);
    assert_int_equal(jobs_left(), 0);
    for (size_t i = 0; i < fake_count; i++) {
        assert_true(has_fence(&fakes[i], joined[0]));
        assert_true(has_fence(&fakes[i], joined[1]));
        assert_true(has_number(fakes[i].forgotten, fakes[i].forgotten_count, joined[0]));
        assert_true(has_number(fakes[i].forgotten, fakes[i].forgotten_count, joined[1]));
        assert_false(has_fence(&fakes[i], joined[2])); /* the one that lives */
    }
    end();
}

static void a_large_shard_is_split(void **state)
{
    (void)state;
    is_beating = true;
    world_init(&w, 11, 1, 1);
    w.scheduler = true;
    w.shard_max_mb = 64;
    w.on_boot = on_boot;
    fakes[0] = (struct fake){
        .shard_id = 2, .term = 1, .count = 1, .replica_id_max = 1, .bytes = 100ull << 20};
    fakes[0].replicas[0] = (struct fake_replica){1, 1, true, true, true};
    fake_count = 1;
    observer = 1;
    world_boot(&w, 1);
    world_advance(&w, 5 * SECOND);
    look();
    assert_int_equal(shard_count, 2);
    world_advance(&w, 5 * SECOND);
    look();
    assert_int_equal(shard_count, 2);
    end();
}

static void slice_of_table(uint32_t id, uint8_t key[4])
{
    set_u32(key, id);
}

static const struct shard_info *shard_of_table(uint32_t id)
{
    uint8_t key[4];
    slice_of_table(id, key);
    return shard_map_find(w.nodes[observer].client, slice_make(key, 4));
}

/* Voters and learners of the table's shard, and that it is the table's alone. */
static void reference_is(uint32_t id, size_t voters, size_t learners)
{
    const struct shard_info *s = shard_of_table(id);
    uint8_t start[4], end[4];
    slice_of_table(id, start);
    slice_of_table(id + 1, end);
    assert_true(slice_eq(s->start, slice_make(start, 4)));
    assert_true(slice_eq(s->end, slice_make(end, 4)));
    assert_int_equal(s->placement, SHERD__V1__PLACEMENT__PLACEMENT_REFERENCE);
    struct fake *k = fake_find(s->shard_id);
    size_t v = 0;
    for (size_t i = 0; i < s->replica_count; i++) {
        struct fake_replica *r = replica_find(k, s->replicas[i].replica_id);
        assert_non_null(r);
        assert_true(r->is_added);
        assert_int_equal(r->is_voter, s->replicas[i].is_voter);
        v += r->is_voter;
    }
    assert_int_equal(v, voters);
    assert_int_equal(s->replica_count, voters + learners);
    assert_int_equal(k->count, voters + learners);
}

static void a_reference_table_is_on_every_node(void **state)
{
    (void)state;
    begin(21, 5, 3);
    observer = 1;
    world_advance(&w, 2 * SECOND);
    put_table(20000, 0);
    Sherd__V1__JobDesc job = SHERD__V1__JOB_DESC__INIT;
    char none[] = "";
    job.id = 900;
    job.kind = SHERD__V1__JOB_KIND__JOB_REFERENCE;
    job.table_id = 20000;
    job.error = none;
    lose_reply_percent = 10;
    put_message(META_PREFIX_JOB, 900, &job);
    world_advance(&w, 5 * SECOND);
    lose_reply_percent = 0;
    world_advance(&w, 2 * SECOND);
    look();
    assert_int_equal(jobs_left(), 0);
    assert_int_equal(shard_count, 3);
    reference_is(20000, 3, 2);
    replicas_agree(2, 3); /* the others are as they were */
    replicas_agree(shard_of_table(20001)->shard_id, 3);
    /* A voter is lost: a learner, which has the data, takes its place. */
    uint64_t reference = shard_of_table(20000)->shard_id;
    world_kill(&w, 3, 100);
    world_advance(&w, 15 * SECOND);
    look();
    assert_false(has_node(reference, 3));
    reference_is(20000, 3, 1);
    /* It comes back, and gets a learner. */
    world_boot(&w, 3);
    world_advance(&w, 5 * SECOND);
    look();
    reference_is(20000, 3, 2);
    /* Without its table the shard is one like any other. */
    put_sized(META_PREFIX_TABLE, 20000, 4, NULL);
    world_advance(&w, 5 * SECOND);
    look();
    assert_int_equal(shard_of_table(20000)->placement, SHERD__V1__PLACEMENT__PLACEMENT_DEFAULT);
    replicas_agree(reference, 3);
    end();
}

/* A bucket that several tables share is not split by size; a bucket of one table is. */
static void shared_buckets_are_not_cut(void **state)
{
    (void)state;
    fakes_clear();
    is_beating = true;
    split_calls = 0;
    world_init(&w, 22, 1, 1);
    w.scheduler = true;
    w.shard_max_mb = 64;
    w.on_boot = on_boot;
    fakes[0] = (struct fake){.shard_id = 2, .term = 1, .count = 1, .replica_id_max = 1};
    fakes[0].replicas[0] = (struct fake_replica){1, 1, true, true, true};
    fake_count = 1;
    observer = 1;
    world_boot(&w, 1);
    world_advance(&w, 2 * SECOND);
    put_table(20000, 0);
    put_table(20001, 20000);
    put_table(20002, 0);
    put_presplit(900, 20000, 4);
    put_presplit(901, 20002, 4);
    world_advance(&w, 3 * SECOND);
    look();
    assert_int_equal(shard_count, 7);
    size_t calls = split_calls;
    for (uint32_t table = 20000; table <= 20002; table += 2) {
        struct buf key = {0};
        buf_put_u32(&key, table);
        buf_put_u32(&key, 1);
        buf_put_u16(&key, 2);
        const struct shard_info *s = shard_map_find(w.nodes[1].client, buf_slice(&key));
        fake_find(s->shard_id)->bytes = (table == 20000 ? 120ull : 100ull) << 20;
        buf_deinit(&key);
    }
    world_advance(&w, 5 * SECOND);
    look();
    assert_int_equal(shard_count, 8);
    assert_int_equal(split_calls, calls + 1);
    end();
}

/* Crashed nodes leave their memory behind: it is the process's. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_presplit_is_there_within_two_seconds),
        cmocka_unit_test(splits_survive_leader_kills_and_lost_replies),
        cmocka_unit_test(a_refused_split_is_tried_at_the_scheduler_s_pace),
        cmocka_unit_test(a_dead_nodes_replicas_are_made_anew),
        cmocka_unit_test(without_a_spare_node_nothing_shrinks),
        cmocka_unit_test(a_new_node_takes_its_part),
        cmocka_unit_test(a_node_elsewhere_gets_a_replica),
        cmocka_unit_test(a_node_that_dies_holds_up_no_move),
        cmocka_unit_test(a_draining_node_is_emptied),
        cmocka_unit_test(one_node_grows_to_three),
        cmocka_unit_test(leaders_are_spread),
        cmocka_unit_test(a_node_low_on_space_leads_nothing),
        cmocka_unit_test(former_incarnations_are_fenced_in_every_shard),
        cmocka_unit_test(a_large_shard_is_split),
        cmocka_unit_test(a_reference_table_is_on_every_node),
        cmocka_unit_test(shared_buckets_are_not_cut),
    };
    log_set_level(getenv("VERBOSE") != NULL ? LOG_INFO : LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
