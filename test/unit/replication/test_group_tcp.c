/*
 * Groups on a real loop, over real TCP connections, on memory stores: three hosts in one process.
 * Times are bounds for a loaded machine, not measurements.
 */
#include "base/loop_uv.h"
#include "base/mem.h"
#include "base/store.h"
#include "replication/group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODES 3
#define GROUP 7

struct node {
    uint64_t id;
    struct mem_disk *disk;
    struct store *log, *state;
    struct peer_link *link;
    struct group_host *host;
    struct group *group;
    struct group_fsm fsm;
    size_t applied;
};

struct world {
    struct loop *loop;
    struct node nodes[NODES];
    unsigned count;
    void (*body)(struct fiber *f, struct world *w);
    struct timer watchdog;
    bool is_done;
};

static void fsm_apply(struct group_fsm *fsm, const struct group_entry *entries, size_t count,
                      struct store_batch *batch)
{
    struct node *n = CONTAINER_OF(fsm, struct node, fsm);
    for (size_t i = 0; i < count; i++) {
        uint8_t key[9] = {'d'};
        set_u64(key + 1, entries[i].index);
        store_batch_put(batch, slice_make(key, sizeof key), entries[i].data);
    }
    n->applied += count;
}

static size_t fsm_ranges(struct group_fsm *fsm, struct key_range *out, size_t max)
{
    (void)fsm;
    assert_true(max > 0);
    buf_put_u8(&out[0].start, 'd');
    buf_put_u8(&out[0].end, 'e');
    return 1;
}

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

static void assert_ok(struct status *st)
{
    if (st != NULL) {
        fail_msg("%s", st->message);
    }
}

static void node_start(struct world *w, unsigned i)
{
    struct node *n = &w->nodes[i];
    n->id = i + 1;
    n->disk = mem_disk_create(i + 1);
    assert_ok(store_mem_open(n->disk, "log", &n->log));
    assert_ok(store_mem_open(n->disk, "state", &n->state));
    assert_ok(peer_link_tcp_create(w->loop, n->id, 99, "127.0.0.1", 0, resolve, w, &n->link));
    struct group_host_options o = {
        .loop = w->loop, .node_id = n->id, .log = n->log, .state = n->state, .link = n->link};
    assert_ok(group_host_create(&o, &n->host));
    n->fsm.apply = fsm_apply;
    n->fsm.ranges = fsm_ranges;
}

static void node_stop(struct node *n)
{
    group_host_destroy(n->host);
    peer_link_tcp_destroy(n->link);
    store_close(n->log);
    store_close(n->state);
    mem_disk_destroy(n->disk);
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
        assert_ok(group_open(f, n->host, GROUP, &n->fsm, &n->group));
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
    }
    loop_uv_destroy(w.loop);
}

static void single_voter(struct fiber *f, struct world *w)
{
    open_all(f, w);
    struct node *n = wait_leader(f, w);
    uint64_t index = 0;
    assert_ok(group_propose_wait(f, n->group, slice_str("one"), &index));
    assert_int_equal(n->applied, 1);
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
        while (w->nodes[i].applied < 50) {
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
    assert_ok(group_transfer(f, n->group, target));
    struct node *next = wait_leader(f, w);
    assert_int_equal(next->id, target);
    assert_ok(group_propose_wait(f, next->group, slice_str("after"), NULL));
}

/* Leadership moves to the replica that was named. */
static void transfer_moves_leadership(void **state)
{
    (void)state;
    run(3, moves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_voter_leads_at_once),
        cmocka_unit_test(three_voters_elect_and_replicate),
        cmocka_unit_test(transfer_moves_leadership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
