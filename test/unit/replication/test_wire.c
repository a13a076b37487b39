/* The codec between nodes: what goes out comes back, and damaged bytes are refused, never trusted.
 */
#include "wire.h"

#include "base/mem.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct roster ROSTER = {
    .count = 3,
    .members = {{1, 11, RAFT_VOTER}, {2, 12, RAFT_VOTER}, {7, 13, RAFT_STANDBY}},
};

static struct raft_entry *make_entries(unsigned count)
{
    struct raft_entry *e = mem_zalloc(count * sizeof *e);
    for (unsigned i = 0; i < count; i++) {
        struct buf b = {NULL, 0, 0};
        e[i].term = 4 + i / 2;
        if (i % 3 == 1) {
            e[i].type = RAFT_CHANGE;
            roster_encode(&ROSTER, &b);
        } else if (i % 3 == 2) {
            e[i].type = RAFT_BARRIER;
            buf_put_u64(&b, 0);
        } else {
            e[i].type = RAFT_COMMAND;
            entry_wrap(buf_extend(&b, entry_wrapped_size(i + 5)),
                       slice_make("the data of the entry, and more", i + 5));
        }
        e[i].buf.base = b.data;
        e[i].buf.len = b.len;
    }
    return e;
}

static void free_entries(struct raft_entry *e, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        mem_free(e[i].buf.base);
    }
    mem_free(e);
}

/* One envelope with an item of every kind. */
static void make_envelope(struct buf *b, struct raft_entry *entries, unsigned count)
{
    struct wire_message m = {.group = 9, .from = 1, .to = 2};
    struct buf pairs = {NULL, 0, 0};
    buf_put_bytes(&pairs, slice_str("key"));
    buf_put_bytes(&pairs, slice_str("value"));
    wire_start(b, 77);
    m.kind = WIRE_APPEND;
    m.append = (struct wire_append){
        .term = 9, .prev_index = 5, .prev_term = 3, .commit = 4, .stamp_ns = 123};
    m.append.entry_count = count;
    wire_put(b, &m, entries);
    m.kind = WIRE_APPEND_RESULT;
    m.append_result = (struct wire_append_result){9, 0, 17, 123};
    wire_put(b, &m, NULL);
    m.kind = WIRE_VOTE;
    m.vote = (struct wire_vote){10, 17, 9, true, false};
    wire_put(b, &m, NULL);
    m.kind = WIRE_VOTE_RESULT;
    m.vote_result = (struct wire_vote_result){10, true, raft_tribool_false};
    wire_put(b, &m, NULL);
    m.kind = WIRE_TIMEOUT_NOW;
    m.timeout_now = (struct wire_timeout_now){9, 17, 9};
    wire_put(b, &m, NULL);
    m.kind = WIRE_PING;
    m.ping = (struct wire_ping){9, 3, 456};
    wire_put(b, &m, NULL);
    m.kind = WIRE_PONG;
    wire_put(b, &m, NULL);
    m.kind = WIRE_QUIESCE;
    m.quiesce = (struct wire_quiesce){9, 17, 17};
    wire_put(b, &m, NULL);
    m.kind = WIRE_INSTALL_BEGIN;
    m.install_begin = (struct wire_install_begin){.session = 5, .term = 9, .index = 17};
    m.install_begin.last_term = 9;
    m.install_begin.conf_index = 1;
    m.install_begin.conf = ROSTER;
    m.install_begin.range_count = 1;
    m.install_begin.ranges = buf_slice(&pairs);
    wire_put(b, &m, NULL);
    m.kind = WIRE_INSTALL_CHUNK;
    m.install_chunk = (struct wire_install_chunk){5, 1, true, buf_slice(&pairs)};
    wire_put(b, &m, NULL);
    m.kind = WIRE_INSTALL_ACK;
    m.install_ack = (struct wire_install_ack){5, 1, WIRE_INSTALL_DONE};
    wire_put(b, &m, NULL);
    wire_put(b, &(struct wire_message){.kind = WIRE_BEAT}, NULL);
    buf_deinit(&pairs);
}

#define KINDS 12

static void next(struct wire_reader *wr, struct wire_message *m, enum wire_kind kind)
{
    bool more = false;
    struct status *st = wire_next(wr, m, &more);
    assert_null(st);
    assert_true(more);
    assert_int_equal(m->kind, kind);
}

/* Every kind keeps all of its fields. */
static void every_kind_comes_back(void **state)
{
    (void)state;
    struct raft_entry *entries = make_entries(6);
    struct buf b = {NULL, 0, 0};
    make_envelope(&b, entries, 6);
    struct wire_reader wr;
    struct wire_message m;
    assert_null(wire_open(&wr, buf_slice(&b)));
    assert_int_equal(wr.incarnation, 77);
    next(&wr, &m, WIRE_APPEND);
    assert_int_equal(m.group, 9);
    assert_int_equal(m.from, 1);
    assert_int_equal(m.to, 2);
    assert_int_equal(m.append.term, 9);
    assert_int_equal(m.append.prev_index, 5);
    assert_int_equal(m.append.commit, 4);
    assert_int_equal(m.append.stamp_ns, 123);
    assert_int_equal(m.append.entry_count, 6);
    struct reader r;
    reader_init(&r, m.append.entries);
    for (unsigned i = 0; i < 6; i++) {
        struct wire_entry e;
        assert_true(wire_entry_next(&r, &e));
        assert_int_equal(e.term, entries[i].term);
        assert_int_equal(e.type, entries[i].type);
        assert_int_equal(e.payload.len, entries[i].buf.len);
        assert_memory_equal(e.payload.data, entries[i].buf.base, e.payload.len);
    }
    next(&wr, &m, WIRE_APPEND_RESULT);
    assert_int_equal(m.append_result.last_index, 17);
    assert_int_equal(m.append_result.echo_ns, 123);
    next(&wr, &m, WIRE_VOTE);
    assert_true(m.vote.disrupt_leader);
    assert_false(m.vote.pre_vote);
    assert_int_equal(m.vote.last_term, 9);
    next(&wr, &m, WIRE_VOTE_RESULT);
    assert_true(m.vote_result.granted);
    next(&wr, &m, WIRE_TIMEOUT_NOW);
    assert_int_equal(m.timeout_now.last_index, 17);
    next(&wr, &m, WIRE_PING);
    assert_int_equal(m.ping.sequence, 3);
    next(&wr, &m, WIRE_PONG);
    next(&wr, &m, WIRE_QUIESCE);
    assert_int_equal(m.quiesce.commit, 17);
    next(&wr, &m, WIRE_INSTALL_BEGIN);
    assert_true(roster_equal(&m.install_begin.conf, &ROSTER));
    next(&wr, &m, WIRE_INSTALL_CHUNK);
    assert_true(m.install_chunk.is_last);
    next(&wr, &m, WIRE_INSTALL_ACK);
    assert_int_equal(m.install_ack.verdict, WIRE_INSTALL_DONE);
    next(&wr, &m, WIRE_BEAT);
    bool more = true;
    assert_null(wire_next(&wr, &m, &more));
    assert_false(more);
    buf_deinit(&b);
    free_entries(entries, 6);
}

/* A cut envelope is refused, or ends between two items with fewer of them. */
static void every_truncation_is_noticed(void **state)
{
    (void)state;
    struct raft_entry *entries = make_entries(6);
    struct buf b = {NULL, 0, 0};
    make_envelope(&b, entries, 6);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *copy = mem_alloc(len ? len : 1); /* so that the sanitizer sees an overrun */
        memcpy(copy, b.data, len);
        size_t items = 0;
        struct status *st = wire_decode(slice_make(copy, len), &items);
        assert_true(items < KINDS);
        status_free(st);
        mem_free(copy);
    }
    buf_deinit(&b);
    free_entries(entries, 6);
}

/* Random damage never crashes the decoder. */
static void damaged_bytes_do_no_harm(void **state)
{
    (void)state;
    struct raft_entry *entries = make_entries(6);
    struct buf b = {NULL, 0, 0};
    struct rng rng;
    make_envelope(&b, entries, 6);
    rng_seed(&rng, 42);
    unsigned refused = 0;
    for (unsigned round = 0; round < 20000; round++) {
        uint8_t *copy = mem_alloc(b.len);
        memcpy(copy, b.data, b.len);
        uint64_t flips = 1 + rng_below(&rng, 4);
        for (uint64_t i = 0; i < flips; i++) {
            copy[rng_below(&rng, b.len)] = (uint8_t)rng_next(&rng);
        }
        size_t items;
        refused += status_consume(wire_decode(slice_make(copy, b.len), &items));
        mem_free(copy);
    }
    assert_true(refused > 5000);
    buf_deinit(&b);
    free_entries(entries, 6);
}

static void assert_append_refused(struct raft_entry *entries, unsigned count, uint64_t term,
                                  uint64_t prev_index, uint64_t prev_term)
{
    struct buf b = {NULL, 0, 0};
    struct wire_message m = {.kind = WIRE_APPEND, .group = 9, .from = 1, .to = 2};
    m.append.term = term;
    m.append.prev_index = prev_index;
    m.append.prev_term = prev_term;
    m.append.entry_count = count;
    wire_start(&b, 1);
    wire_put(&b, &m, entries);
    size_t items = 0;
    assert_true(status_consume(wire_decode(buf_slice(&b), &items)));
    buf_deinit(&b);
}

/* What would corrupt the library's memory or log is refused: its own checks are compiled out. */
static void unsound_entries_are_refused(void **state)
{
    (void)state;
    struct raft_entry *e = make_entries(3);
    assert_append_refused(e, 3, 3, 0, 0); /* entries of a later term than the leader's */
    assert_append_refused(e, 3, 9, 5, 0); /* a previous index without its term */
    assert_append_refused(e, 3, 9, 0, 2); /* and the other way round */
    assert_append_refused(e, 3, 9, UINT64_MAX - 1, 2);
    e[2].term = 1; /* falls */
    assert_append_refused(e, 3, 9, 0, 0);
    e[2].term = 9;
    e[0].type = 9; /* no such type */
    assert_append_refused(e, 3, 9, 0, 0);
    e[0].type = RAFT_CHANGE; /* not a configuration */
    assert_append_refused(e, 3, 9, 0, 0);
    e[0].type = RAFT_COMMAND;
    set_u32(e[0].buf.base, 1000); /* longer than its payload */
    assert_append_refused(e, 3, 9, 0, 0);
    free_entries(e, 3);
}

/* The data of an entry has any length; its payload is a multiple of eight. */
static void entries_wrap_any_length(void **state)
{
    (void)state;
    uint8_t data[64];
    uint8_t payload[80];
    for (size_t len = 0; len <= sizeof data; len++) {
        struct slice out;
        memset(data, (int)len + 1, sizeof data);
        size_t size = entry_wrapped_size(len);
        assert_int_equal(size % 8, 0);
        assert_true(size <= sizeof payload);
        entry_wrap(payload, slice_make(data, len));
        assert_true(entry_unwrap(slice_make(payload, size), &out));
        assert_int_equal(out.len, len);
        assert_memory_equal(out.data, data, len);
        assert_false(entry_unwrap(slice_make(payload, size - 1), &out));
    }
}

/* The library and we read each other's configurations. */
static void rosters_match_the_library(void **state)
{
    (void)state;
    struct raft_configuration rc;
    struct raft_buffer rb;
    struct roster back;
    struct buf ours = {NULL, 0, 0};
    roster_to_raft(&ROSTER, &rc);
    assert_int_equal(raft_configuration_encode(&rc, &rb), 0);
    assert_true(roster_decode(slice_make(rb.base, rb.len), &back));
    assert_true(roster_equal(&back, &ROSTER));
    roster_encode(&ROSTER, &ours);
    assert_int_equal(ours.len, rb.len);
    for (size_t len = 0; len < ours.len; len++) {
        uint8_t *copy = mem_alloc(len ? len : 1);
        memcpy(copy, ours.data, len);
        (void)roster_decode(slice_make(copy, len), &back);
        mem_free(copy);
    }
    raft_configuration_close(&rc);
    raft_free(rb.base);
    buf_deinit(&ours);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back),    cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(damaged_bytes_do_no_harm), cmocka_unit_test(unsound_entries_are_refused),
        cmocka_unit_test(entries_wrap_any_length),  cmocka_unit_test(rosters_match_the_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
