/*
 * What the shard layer itself costs on the leader: point reads by primary key and one-request
 * commits, with a real LevelDB below and a log that applies at once (no Raft, no RPC).
 *
 *   shard_bench [DIR]
 */
#include "base/mem.h"
#include "base/sim.h"
#include "part.h"
#include "read.h"
#include "sherd/v1/catalog.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROWS = 200000, READS = 300000, WRITES = 100000 };

struct bench {
    struct loop *loop;
    struct store *store;
    struct shard_state *state;
    struct part_env env;
    struct part *part;
    uint64_t clock, index;
    bool is_done;
};

struct landing {
    struct task task;
    struct bench *b;
    struct group_proposal *p;
    struct buf data;
};

static void ok(struct status *st)
{
    if (st != NULL) {
        fprintf(stderr, "%s\n", st->message);
        exit(1);
    }
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void apply(struct bench *b, struct slice data)
{
    struct store_batch *batch = store_batch_create(b->store);
    ok(state_apply(b->state, ++b->index, data, batch, NULL, NULL));
    ok(store_write(b->store, batch, false));
    store_batch_destroy(batch);
}

static void land(struct task *t)
{
    struct landing *l = CONTAINER_OF(t, struct landing, task);
    apply(l->b, buf_slice(&l->data));
    l->p->done(l->p, NULL);
    buf_deinit(&l->data);
    mem_free(l);
}

static struct status *propose(void *ctx, struct slice data, struct group_proposal *p)
{
    struct bench *b = ctx;
    struct landing *l = MEM_NEW(struct landing);
    l->b = b;
    l->p = p;
    l->task.run = land;
    buf_put_slice(&l->data, data);
    loop_defer(b->loop, &l->task);
    return NULL;
}

static bool lease(void *ctx)
{
    (void)ctx;
    return true;
}

static struct status *no(struct fiber *f, void *ctx)
{
    (void)f;
    (void)ctx;
    return status_new(INTERNAL, "not in a bench");
}

static struct status *timestamp(struct fiber *f, void *ctx, uint64_t *out)
{
    (void)f;
    *out = ++((struct bench *)ctx)->clock;
    return NULL;
}

static struct status *not_leader(void *ctx)
{
    return no(NULL, ctx);
}

static void nothing(void *ctx, struct work *w)
{
    (void)ctx;
    (void)w;
}

static void key_of(int i, struct buf *out)
{
    buf_clear(out);
    key_prefix(out, 20000, 1);
    struct key_column c = {.type = TYPE_INT8};
    struct datum d = datum_int(i);
    key_put_datum(out, &c, &d);
}

static void row_of(int i, struct buf *out)
{
    struct row_column cols[] = {{.type = TYPE_INT8, .typmod = -1},
                                {.type = TYPE_INT8, .typmod = -1},
                                {.type = TYPE_TEXT, .typmod = -1}};
    struct datum v[] = {
        datum_int(i), datum_int(i * 3),
        datum_bytes(slice_str(
            "some eighty bytes of text that pgbench would call a filler column..........."))};
    buf_clear(out);
    row_encode(out, cols, 3, v);
}

static void load(struct bench *b)
{
    struct buf entry = {0}, key = {0}, row = {0};
    for (int i = 0; i < ROWS; i += 1000) {
        entry_begin(&entry);
        for (int k = i; k < i + 1000; k++) {
            key_of(k, &key);
            row_of(k, &row);
            entry_put_version(&entry, buf_slice(&key), 5, 0, buf_slice(&row), NULL);
        }
        apply(b, buf_slice(&entry));
    }
    buf_deinit(&entry);
    buf_deinit(&key);
    buf_deinit(&row);
}

static void reads(struct fiber *f, struct bench *b)
{
    struct row_column cols[] = {{.type = TYPE_INT8, .typmod = -1},
                                {.type = TYPE_INT8, .typmod = -1},
                                {.type = TYPE_TEXT, .typmod = -1}};
    int want = 1;
    struct key_span span = {.is_point = true};
    struct fragment fr = {.table_id = 20000,
                          .index_id = 1,
                          .schema_version = 1,
                          .nspans = 1,
                          .spans = &span,
                          .nrow_columns = 3,
                          .row_columns = cols,
                          .ncolumns = 1,
                          .columns = &want,
                          .limit = -1};
    struct buf key = {0}, bytes = {0};
    uint64_t seen = 0, encode_ns = 0, began = cpu_ns();
    for (int i = 0; i < READS; i++) {
        key_of((int)((unsigned)i * 7919u % ROWS), &key);
        span.start = buf_slice(&key);
        buf_clear(&bytes);
        fragment_encode(&bytes, &fr);
    }
    encode_ns = cpu_ns() - began;
    began = cpu_ns();
    for (int i = 0; i < READS; i++) {
        key_of((int)((unsigned)i * 7919u % ROWS), &key);
        span.start = buf_slice(&key);
        buf_clear(&bytes);
        fragment_encode(&bytes, &fr);
        struct arena *a = arena_create(0);
        Sherd__V1__ReadRequest q = SHERD__V1__READ_REQUEST__INIT;
        Sherd__V1__ReadReply r = SHERD__V1__READ_REPLY__INIT;
        q.shard_id = 2;
        q.fragment = (ProtobufCBinaryData){bytes.len, bytes.data};
        ok(part_read(f, b->part, a, &q, &r));
        seen += r.batch.len;
        arena_destroy(a);
    }
    uint64_t ns = cpu_ns() - began - encode_ns;
    printf("point read by primary key: %.2f us CPU each (%llu bytes)\n", (double)ns / READS / 1000,
           (unsigned long long)seen);
    buf_deinit(&key);
    buf_deinit(&bytes);
}

static void writes(struct fiber *f, struct bench *b, bool is_insert)
{
    struct buf key = {0}, row = {0};
    uint64_t began = cpu_ns();
    for (int i = 0; i < WRITES; i++) {
        key_of(is_insert ? ROWS + i : (int)((unsigned)i * 7919u % ROWS), &key);
        row_of(i, &row);
        struct arena *a = arena_create(0);
        Sherd__V1__WriteRequest q = SHERD__V1__WRITE_REQUEST__INIT;
        Sherd__V1__WriteReply r = SHERD__V1__WRITE_REPLY__INIT;
        Sherd__V1__TxnRef ref = SHERD__V1__TXN_REF__INIT;
        Sherd__V1__TxnId id = SHERD__V1__TXN_ID__INIT;
        Sherd__V1__KeyOp op = SHERD__V1__KEY_OP__INIT;
        Sherd__V1__KeyOp *ops[] = {&op};
        op.kind = is_insert ? SHERD__V1__OP_KIND__OP_INSERT : SHERD__V1__OP_KIND__OP_PUT;
        op.key = (ProtobufCBinaryData){key.len, key.data};
        op.value = (ProtobufCBinaryData){row.len, row.data};
        id.incarnation = is_insert ? 1 : 2;
        id.counter = (uint64_t)i + 1;
        ref.id = &id;
        q.shard_id = 2;
        q.txn = &ref;
        q.seq = 1;
        q.commit = true;
        q.n_ops = 1;
        q.ops = ops;
        ok(part_write(f, b->part, a, &q, &r));
        arena_destroy(a);
    }
    printf("%s and commit in one request: %.2f us CPU each, with applying\n",
           is_insert ? "insert" : "update", (double)(cpu_ns() - began) / WRITES / 1000);
    buf_deinit(&key);
    buf_deinit(&row);
}

static void run(struct fiber *f, void *arg)
{
    struct bench *b = arg;
    load(b);
    reads(f, b);
    writes(f, b, true);
    writes(f, b, false);
    b->is_done = true;
}

static bool is_done(void *ctx)
{
    return ((struct bench *)ctx)->is_done;
}

int main(int argc, char **argv)
{
    static struct bench b = {.clock = 100};
    struct sim *sim = sim_create(1);
    b.loop = sim_loop_create(sim, "bench");
    struct store_options o = {.cache_bytes = 64u << 20, .bloom = true};
    ok(store_leveldb_open(argc > 1 ? argv[1] : "shard_bench.db", &o, &b.store));
    Sherd__V1__ShardDesc d = SHERD__V1__SHARD_DESC__INIT;
    Sherd__V1__KeyRange all = SHERD__V1__KEY_RANGE__INIT;
    d.shard_id = 2;
    d.epoch = 1;
    d.range = &all;
    struct buf key = {0}, value = {0}, entry = {0};
    state_key(&key, 2, 'D');
    sherd__v1__shard_desc__pack(&d, buf_extend(&value, sherd__v1__shard_desc__get_packed_size(&d)));
    ok(state_load(b.store, 2, &b.state));
    entry_begin(&entry);
    entry_put(&entry, buf_slice(&key), buf_slice(&value));
    apply(&b, buf_slice(&entry));
    b.env = (struct part_env){.loop = b.loop,
                              .propose = propose,
                              .lease_valid = lease,
                              .confirm = no,
                              .timestamp = timestamp,
                              .not_leader = not_leader,
                              .orphan = nothing,
                              .idle = nothing,
                              .ctx = &b,
                              .shard_id = 2};
    ok(part_begin(&b.env, b.state, 1, &b.part));
    part_serve(b.part, ++b.clock);
    fiber_spawn(b.loop, FIBER_STACK_LARGE, run, &b);
    sim_run(sim, UINT64_MAX / 2, is_done, &b);
    return 0;
}
