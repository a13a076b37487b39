/* The log of all groups: order, durability over a crash, and damage that is noticed. */
#include "log_store.h"
#include "wire.h"

#include "base/mem.h"
#include "base/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

struct bench {
    struct sim *sim;
    struct loop *loop;
    struct mem_disk *disk;
    struct store *store;
    struct log_store *log;
    unsigned done_count;
    unsigned order[64];
};

struct numbered_op {
    struct log_op op;
    struct bench *b;
    unsigned number;
};

static void boot(struct bench *b)
{
    b->loop = sim_loop_create(b->sim, "n");
    assert_null(store_mem_open(b->disk, "log", &b->store));
    b->log = log_store_create(b->loop, b->store);
}

/* A power cut, and the next boot. What ran in the old one is over. */
static void power_cut(struct bench *b)
{
    sim_loop_crash(b->loop);
    log_store_destroy(b->log);
    mem_disk_crash(b->disk, 0);
    store_close(b->store);
    boot(b);
}

static int setup(void **state)
{
    struct bench *b = MEM_NEW(struct bench);
    b->sim = sim_create(1);
    b->disk = mem_disk_create(1);
    boot(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    log_store_destroy(b->log);
    store_close(b->store);
    mem_disk_destroy(b->disk);
    sim_destroy(b->sim);
    mem_free(b);
    return 0;
}

static void op_done(struct log_op *op)
{
    struct numbered_op *n = CONTAINER_OF(op, struct numbered_op, op);
    n->b->order[n->b->done_count++] = n->number;
}

static bool all_done(void *ctx)
{
    struct numbered_op *n = ctx;
    return n->b->done_count > 0 && n->b->order[n->b->done_count - 1] == n->number;
}

static void submit(struct bench *b, struct numbered_op *n, unsigned number)
{
    n->b = b;
    n->number = number;
    n->op.done = op_done;
    log_store_submit(b->log, &n->op);
}

static void run(struct bench *b, struct numbered_op *n)
{
    b->done_count = 0;
    submit(b, n, 1);
    assert_true(sim_run(b->sim, sim_now_ns(b->sim) + 1000 * MS, all_done, n));
}

static struct raft_entry command(uint64_t term, const char *text)
{
    struct raft_entry e = {.term = term, .type = RAFT_COMMAND};
    e.buf.len = entry_wrapped_size(strlen(text));
    e.buf.base = mem_alloc(e.buf.len);
    entry_wrap(e.buf.base, slice_str(text));
    return e;
}

static void create(struct bench *b, uint64_t group, uint64_t replica_id)
{
    struct roster conf = {.count = 1, .members = {{replica_id, 1, RAFT_VOTER}}};
    struct buf encoded = {NULL, 0, 0};
    roster_encode(&conf, &encoded);
    struct raft_entry first = {.term = 1, .type = RAFT_CHANGE};
    first.buf.base = encoded.data;
    first.buf.len = encoded.len;
    struct numbered_op n = {.op = {.kind = LOG_CREATE, .group = group, .replica_id = replica_id}};
    n.op.term = n.op.index = n.op.count = 1;
    n.op.entries = &first;
    run(b, &n);
    assert_null(n.op.st);
    buf_deinit(&encoded);
}

static void append(struct bench *b, uint64_t group, uint64_t index, uint64_t term, const char *text)
{
    struct raft_entry e = command(term, text);
    struct numbered_op n = {.op = {.kind = LOG_APPEND, .group = group, .index = index}};
    n.op.entries = &e;
    n.op.count = 1;
    run(b, &n);
    mem_free(e.buf.base);
}

static struct status *load(struct bench *b, uint64_t group, struct log_image *image)
{
    struct numbered_op n = {.op = {.kind = LOG_LOAD, .group = group, .image = image}};
    run(b, &n);
    return n.op.st;
}

static void assert_entry(const struct log_image *image, size_t i, uint64_t term, const char *text)
{
    struct slice data;
    assert_true(i < image->count);
    assert_int_equal(image->entries[i].term, term);
    assert_true(
        entry_unwrap(slice_make(image->entries[i].buf.base, image->entries[i].buf.len), &data));
    assert_true(slice_eq(data, slice_str(text)));
}

/* What is reported as done is there after a power cut, for each group by itself. */
static void entries_survive_a_power_cut(void **state)
{
    struct bench *b = *state;
    create(b, 3, 5);
    create(b, 4, 6);
    append(b, 3, 2, 1, "a");
    append(b, 4, 2, 1, "b");
    struct numbered_op meta = {.op = {.kind = LOG_META, .group = 3, .term = 8, .vote = 2}};
    meta.op.replica_id = 5;
    run(b, &meta);
    append(b, 3, 3, 8, "c");
    power_cut(b);
    struct log_image image;
    assert_null(load(b, 3, &image));
    assert_true(image.exists);
    assert_int_equal(image.term, 8);
    assert_int_equal(image.vote, 2);
    assert_int_equal(image.replica_id, 5);
    assert_int_equal(image.first_index, 1);
    assert_int_equal(image.count, 3);
    assert_entry(&image, 1, 1, "a");
    assert_entry(&image, 2, 8, "c");
    log_image_deinit(&image);
    uint64_t ids[4];
    size_t count = 0;
    assert_null(log_store_list(b->log, ids, 4, &count));
    assert_int_equal(count, 2);
    assert_int_equal(ids[0], 3);
    assert_int_equal(ids[1], 4);
}

/* Operations are reported in the order of submission, a truncation before what follows it. */
static void operations_keep_their_order(void **state)
{
    struct bench *b = *state;
    create(b, 3, 5);
    append(b, 3, 2, 1, "x");
    append(b, 3, 3, 1, "y");
    struct raft_entry e = command(1, "z");
    struct numbered_op cut = {.op = {.kind = LOG_TRUNCATE, .group = 3, .index = 2, .last = 3}};
    struct numbered_op add = {.op = {.kind = LOG_APPEND, .group = 3, .index = 2, .count = 1}};
    add.op.entries = &e;
    b->done_count = 0;
    submit(b, &cut, 1);
    submit(b, &add, 2);
    assert_true(sim_run(b->sim, sim_now_ns(b->sim) + 1000 * MS, all_done, &add));
    assert_int_equal(b->order[0], 1);
    assert_int_equal(b->order[1], 2);
    mem_free(e.buf.base);
    struct log_image image;
    assert_null(load(b, 3, &image));
    assert_int_equal(image.count, 2);
    assert_entry(&image, 1, 1, "z");
    log_image_deinit(&image);
}

/* A group is created once, and the id of a destroyed replica is not used again. */
static void replicas_are_created_once(void **state)
{
    struct bench *b = *state;
    create(b, 3, 5);
    struct numbered_op again = {.op = {.kind = LOG_CREATE, .group = 3, .replica_id = 6}};
    run(b, &again);
    assert_true(status_is(again.op.st, STATUS_ALREADY_EXISTS));
    status_free(again.op.st);
    struct numbered_op destroy = {.op = {.kind = LOG_DESTROY, .group = 3, .replica_id = 5}};
    run(b, &destroy);
    struct log_image image;
    assert_null(load(b, 3, &image));
    assert_false(image.exists);
    log_image_deinit(&image);
    struct numbered_op reuse = {.op = {.kind = LOG_CREATE, .group = 3, .replica_id = 5}};
    run(b, &reuse);
    assert_true(status_is(reuse.op.st, STATUS_ALREADY_EXISTS));
    status_free(reuse.op.st);
    create(b, 3, 6);
}

/* A checkpoint's record and the entries that it lets go are one step. */
static void a_snapshot_drops_the_prefix(void **state)
{
    struct bench *b = *state;
    create(b, 3, 5);
    append(b, 3, 2, 1, "a");
    append(b, 3, 3, 1, "b");
    struct log_snapshot s = {.index = 2, .term = 1, .conf_index = 1, .checksum = 99};
    s.conf = (struct roster){.count = 1, .members = {{5, 1, RAFT_VOTER}}};
    struct numbered_op snap = {.op = {.kind = LOG_SNAPSHOT, .group = 3, .index = 1, .last = 1}};
    snap.op.snapshot = &s;
    run(b, &snap);
    struct log_image image;
    assert_null(load(b, 3, &image));
    assert_true(image.has_snapshot);
    assert_int_equal(image.snapshot.index, 2);
    assert_int_equal(image.snapshot.checksum, 99);
    assert_true(roster_equal(&image.snapshot.conf, &s.conf));
    assert_int_equal(image.first_index, 2);
    assert_int_equal(image.count, 2);
    log_image_deinit(&image);
}

static void write_raw(struct bench *b, enum log_record kind, uint64_t index, const char *value)
{
    uint8_t key[LOG_KEY_SIZE];
    struct store_batch *batch = store_batch_create(b->store);
    log_key(key, 3, kind, index);
    if (value != NULL) {
        store_batch_put(batch, slice_make(key, sizeof key), slice_str(value));
    } else {
        store_batch_delete(batch, slice_make(key, sizeof key));
    }
    assert_null(store_write(b->store, batch, true));
    store_batch_destroy(batch);
}

/* A damaged entry is refused, with the group and the index in the message. */
static void damage_names_group_and_index(void **state)
{
    struct bench *b = *state;
    struct log_image image;
    create(b, 3, 5);
    append(b, 3, 2, 1, "a");
    append(b, 3, 3, 1, "b");
    write_raw(b, LOG_REC_ENTRY, 2, "garbage instead of an entry");
    struct status *st = load(b, 3, &image);
    assert_true(status_is(st, STATUS_CORRUPT));
    assert_non_null(strstr(st->message, "group 3"));
    assert_non_null(strstr(st->message, "entry 2"));
    status_free(st);
    write_raw(b, LOG_REC_ENTRY, 2, NULL); /* and a gap */
    st = load(b, 3, &image);
    assert_true(status_is(st, STATUS_CORRUPT));
    assert_non_null(strstr(st->message, "missing entry 2"));
    status_free(st);
}

/* An intact entry under another index or group is not that entry. */
static void a_record_belongs_to_its_key(void **state)
{
    struct bench *b = *state;
    struct log_image image;
    uint8_t from[LOG_KEY_SIZE];
    uint8_t to[LOG_KEY_SIZE];
    struct buf value = {NULL, 0, 0};
    bool found = false;
    create(b, 3, 5);
    append(b, 3, 2, 1, "a");
    append(b, 3, 3, 1, "b");
    log_key(from, 3, LOG_REC_ENTRY, 2);
    log_key(to, 3, LOG_REC_ENTRY, 3);
    assert_null(store_get(b->store, NULL, slice_make(from, sizeof from), &value, &found));
    assert_true(found);
    struct store_batch *batch = store_batch_create(b->store);
    store_batch_put(batch, slice_make(to, sizeof to), buf_slice(&value));
    assert_null(store_write(b->store, batch, true));
    store_batch_destroy(batch);
    buf_deinit(&value);
    assert_true(status_consume(load(b, 3, &image)));
}

static unsigned failures;
static void failed(void *ctx, struct status *st)
{
    (void)ctx;
    failures++;
    status_free(st);
}

/* After a failed write nothing is reported any more. */
static void a_failed_write_reports_nothing(void **state)
{
    struct bench *b = *state;
    create(b, 3, 5);
    failures = 0;
    log_store_set_hooks(b->log, &(struct log_store_hooks){.failed = failed});
    mem_disk_fail_writes(b->disk, STATUS_IO);
    struct numbered_op meta = {.op = {.kind = LOG_META, .group = 3, .term = 2, .replica_id = 5}};
    b->done_count = 0;
    submit(b, &meta, 1);
    sim_run(b->sim, sim_now_ns(b->sim) + 100 * MS, NULL, NULL);
    assert_int_equal(failures, 1);
    assert_int_equal(b->done_count, 0);
    mem_disk_fail_writes(b->disk, STATUS_OK);
    power_cut(b);
    struct log_image image;
    assert_null(load(b, 3, &image));
    assert_int_equal(image.term, 1);
    log_image_deinit(&image);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(entries_survive_a_power_cut),    TEST(operations_keep_their_order),
        TEST(replicas_are_created_once),      TEST(a_snapshot_drops_the_prefix),
        TEST(damage_names_group_and_index),   TEST(a_record_belongs_to_its_key),
        TEST(a_failed_write_reports_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
