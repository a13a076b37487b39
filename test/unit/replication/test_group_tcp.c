/*
 * Groups on a real loop, over real TCP connections, on memory stores: three hosts in one process.
 * Times are bounds for a loaded machine, not measurements.
 */
#include "cmocka_all.h"

#include "../../lib/log_fsm.h"

#include "base/loop_uv.h"
#include "base/mem.h"
#include "base/store.h"
#include "base/tcp.h"
#include "replication/group.h"

#include <stdio.h>
#include <string.h>

#define NODES 3
#define GROUP 7

struct node {
    uint64_t id;
    struct mem_disk *disk;
    struct store *log, *state;
    struct peer_link *link;
    struct group_host *host;
    struct group *group;
    struct log_fsm fsm;
    uint16_t port;
};

struct world {
    struct loop *loop;
    struct node nodes[NODES];
    unsigned count;
    void (*body)(struct fiber *f, struct world *w);
    struct timer watchdog;
    bool is_done;
};

static bool resolve(void *ctx, uint64_t node_id, char *out_host, size_t host_size, uint16_t *port)
{
    struct world *w = ctx;
    if (node_id == 0 || node_id > w->count || w->nodes[node_id - 1].link == NULL) {
        return false;
    }
    snprintf(out_host, host_size, "127.0.0.1");
    *port = peer_link_tcp_port(w->nodes[node_id - 1].link);
    return true;
}

static void node_start(struct world *w, unsigned i)
{
    struct node *n = &w->nodes[i];
    n->id = i + 1;
    if (n->disk == NULL) {
        n->disk = mem_disk_create(i + 1);
    }
    assert_ok(store_mem_open(n->disk, "log", &n->log));
    assert_ok(store_mem_open(n->disk, "state", &n->state));
    assert_ok(peer_link_tcp_create(w->loop, n->id, 99, "127.0.0.1", n->port, resolve, w, &n->link));
    n->port = peer_link_tcp_port(n->link);
    struct group_host_options o = {
        .loop = w->loop, .node_id = n->id, .log = n->log, .state = n->state, .link = n->link};
    assert_ok(group_host_create(&o, &n->host));
    log_fsm_init(&n->fsm);
}

static void node_stop(struct node *n)
{
    group_host_destroy(n->host);
    peer_link_tcp_destroy(n->link);
    store_close(n->log);
    store_close(n->state);
    n->link = NULL;
    n->group = NULL;
}

static struct node *leader(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (w->nodes[i].group && group_role(w->nodes[i].group) == GROUP_LEADER_READY) {
            return &w->nodes[i];
        }
    }
    return NULL;
}

static struct node *wait_leader(struct fiber *f, struct world *w)
{
    while (leader(w) == NULL) {
        assert_ok(fiber_sleep(f, ms_to_ns(5)));
    }
    return leader(w);
}

static void open_all(struct fiber *f, struct world *w)
{
    struct group_replica replicas[NODES];
    for (unsigned i = 0; i < w->count; i++) {
        replicas[i] = (struct group_replica){i + 1, i + 1, true};
    }
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = &w->nodes[i];
        assert_ok(group_bootstrap(f, n->host, GROUP, i + 1, replicas, w->count));
        assert_ok(group_open(f, n->host, GROUP, &n->fsm.fsm, &n->group));
    }
}

static void main_fiber(struct fiber *f, void *arg)
{
    struct world *w = arg;
    w->body(f, w);
    for (unsigned i = 0; i < w->count; i++) {
        group_close(f, w->nodes[i].group);
    }
    w->is_done = true;
    loop_uv_stop(w->loop);
}

static void watchdog(struct timer *t)
{
    (void)t;
    fail_msg("the test takes too long");
}

static void run(unsigned count, void (*body)(struct fiber *f, struct world *w))
{
    struct world w = {.loop = loop_uv_create(), .count = count, .body = body};
    for (unsigned i = 0; i < count; i++) {
        node_start(&w, i);
    }
    w.watchdog.fire = watchdog;
    timer_start(w.loop, &w.watchdog, ms_to_ns(30000));
    fiber_spawn(w.loop, FIBER_STACK_LARGE, main_fiber, &w);
    loop_uv_run(w.loop);
    assert_true(w.is_done);
    timer_stop(&w.watchdog);
    for (unsigned i = 0; i < count; i++) {
        node_stop(&w.nodes[i]);
        mem_disk_destroy(w.nodes[i].disk);
    }
    loop_uv_destroy(w.loop);
}

static void single_voter(struct fiber *f, struct world *w)
{
    open_all(f, w);
    struct node *n = wait_leader(f, w);
    uint64_t index = 0;
    assert_ok(group_propose_wait(f, n->group, slice_str("one"), &index));
    assert_int_equal(n->fsm.applied, 1);
    assert_int_equal(group_applied_index(n->group), index);
    assert_true(group_lease_valid(n->group));
    assert_ok(group_read_barrier(f, n->group));
}

/* A group of one leads at once and applies what it is given. */
static void single_voter_leads_at_once(void **state)
{
    (void)state;
    run(1, single_voter);
}

static void three_voters(struct fiber *f, struct world *w)
{
    open_all(f, w);
    uint64_t start = loop_clock_ns(w->loop);
    struct node *n = wait_leader(f, w);
    assert_true(loop_clock_ns(w->loop) - start < ms_to_ns(3000));
    for (int i = 0; i < 50; i++) {
        char text[32];
        int len = snprintf(text, sizeof text, "entry %d", i);
        assert_ok(group_propose_wait(f, n->group, slice_make(text, (size_t)len), NULL));
    }
    assert_ok(group_read_barrier(f, n->group));
    for (unsigned i = 0; i < w->count; i++) {
        while (w->nodes[i].fsm.applied < 50) {
            assert_ok(fiber_sleep(f, ms_to_ns(5)));
        }
        assert_int_equal(group_checksum(w->nodes[i].group), group_checksum(n->group));
    }
}

/* Three voters elect a leader soon after their first start and replicate. */
static void three_voters_elect_and_replicate(void **state)
{
    (void)state;
    run(3, three_voters);
}

static void moves(struct fiber *f, struct world *w)
{
    open_all(f, w);
    struct node *n = wait_leader(f, w);
    assert_ok(group_propose_wait(f, n->group, slice_str("before"), NULL));
    uint64_t target = n->id % 3 + 1;
    struct node *next = n;
    do { /* on a busy machine the time for a transfer may run out, or another election may come
            between */
        struct status *st = group_transfer(f, next->group, target);
        assert_true(st == NULL || status_is(st, STATUS_TIMEOUT) ||
                    status_is(st, STATUS_NOT_LEADER));
        status_free(st);
        next = wait_leader(f, w);
    } while (next->id != target);
    assert_ok(group_propose_wait(f, next->group, slice_str("after"), NULL));
}

/* Leadership moves to the replica that was named. */
static void transfer_moves_leadership(void **state)
{
    (void)state;
    run(3, moves);
}

static void comes_back(struct fiber *f, struct world *w)
{
    open_all(f, w);
    struct node *n = wait_leader(f, w);
    assert_ok(group_propose_wait(f, n->group, slice_str("one"), NULL));
    unsigned away = (unsigned)(n->id % 3);
    group_close(f, w->nodes[away].group);
    node_stop(&w->nodes[away]);
    for (int i = 0; i < 20; i++) {
        assert_ok(group_propose_wait(f, n->group, slice_str("while it is away"), NULL));
    }
    node_start(w, away);
    struct node *back = &w->nodes[away];
    assert_ok(group_open(f, back->host, GROUP, &back->fsm.fsm, &back->group));
    while (group_applied_index(back->group) < group_applied_index(n->group)) {
        assert_ok(fiber_sleep(f, ms_to_ns(5)));
    }
    assert_int_equal(group_checksum(back->group), group_checksum(n->group));
}

/* A node that was stopped is connected again and catches up. */
static void a_restarted_peer_catches_up(void **state)
{
    (void)state;
    run(3, comes_back);
}

/* ---- strangers ---- */

struct stranger {
    struct fiber *fiber;
    struct tcp *stream;
    bool is_closed;
};

static void stranger_connected(void *ctx, struct status *st, struct tcp *stream)
{
    struct stranger *s = ctx;
    assert_ok(st);
    s->stream = stream;
    fiber_wake(s->fiber);
}

static void stranger_read(void *ctx, struct slice bytes)
{
    (void)ctx;
    (void)bytes;
    fail_msg("nobody answers a stranger");
}

static void stranger_closed(void *ctx, struct status *st)
{
    struct stranger *s = ctx;
    status_free(st);
    s->is_closed = true;
    fiber_wake(s->fiber);
}

/* Sends the bytes; the node must hang up. */
static void knock(struct fiber *f, struct world *w, struct slice bytes)
{
    struct stranger s = {.fiber = f};
    tcp_connect(w->loop, "127.0.0.1", w->nodes[0].port, ms_to_ns(1000), stranger_connected, &s);
    while (s.stream == NULL) {
        assert_ok(fiber_park(f));
    }
    tcp_start(s.stream, stranger_read, stranger_closed, &s);
    tcp_write(s.stream, bytes);
    while (!s.is_closed) {
        assert_ok(fiber_park(f));
    }
    tcp_close(s.stream);
}

static void hello(struct buf *b, uint64_t cluster, uint64_t from, uint64_t to)
{
    buf_clear(b);
    buf_put(b, "sherdrft", 8);
    buf_put_u8(b, 1);
    buf_put_u8(b, 0);
    buf_put_u64(b, cluster);
    buf_put_u64(b, from);
    buf_put_u64(b, to);
}

static void strangers(struct fiber *f, struct world *w)
{
    struct buf b = {NULL, 0, 0};
    open_all(f, w);
    wait_leader(f, w);
    knock(f, w, slice_str("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"));
    hello(&b, 98, 2, 1); /* another cluster */
    knock(f, w, buf_slice(&b));
    hello(&b, 99, 2, 3); /* another node is meant */
    knock(f, w, buf_slice(&b));
    hello(&b, 99, 2, 1);
    buf_put_u32(&b, UINT32_MAX); /* a frame that is too long */
    knock(f, w, buf_slice(&b));
    buf_deinit(&b);
    assert_ok(group_propose_wait(f, w->nodes[0].group, slice_str("unimpressed"), NULL));
}

/* Who is no peer, or does not speak the protocol, is disconnected; the group goes on. */
static void strangers_are_disconnected(void **state)
{
    (void)state;
    run(1, strangers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_voter_leads_at_once),
        cmocka_unit_test(three_voters_elect_and_replicate),
        cmocka_unit_test(transfer_moves_leadership),
        cmocka_unit_test(a_restarted_peer_catches_up),
        cmocka_unit_test(strangers_are_disconnected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
