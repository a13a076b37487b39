/*
 * The two hardening rules whose absence the simulator does not notice, because nothing of ours
 * sends what they guard against (docs/SIMULATION.md has the argument): 4 and 17. One replica of a
 * group of three, and messages in the names of the other two as a node of another version may send
 * them. Each test also shows what happens with the rule off.
 */
#include "../../lib/sim_net.h"
#include "group_impl.h"

#include "base/sim.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GROUP 7u
#define MS UINT64_C(1000000)

struct world {
    struct sim *sim;
    struct sim_net *net;
    struct mem_disk *disk;
    struct loop *loop;
    struct store *log, *state;
    struct group_host *host;
    struct group *group;
    struct group_fsm fsm;
    bool is_open;
    struct wire_message message; /* the one that arrives */
};

static void fsm_apply(struct group_fsm *fsm, const struct group_entry *entries, size_t count,
                      struct store_batch *batch)
{
    (void)fsm;
    for (size_t i = 0; i < count; i++) {
        uint8_t key[9] = {'d'};
        set_u64(key + 1, entries[i].index);
        store_batch_put(batch, slice_make(key, sizeof key), entries[i].data);
    }
}

static size_t fsm_ranges(struct group_fsm *fsm, struct key_range *out, size_t max)
{
    (void)fsm;
    assert_true(max > 0);
    buf_put_u8(&out[0].start, 'd');
    buf_put_u8(&out[0].end, 'e');
    return 1;
}

static void assert_ok(struct status *st)
{
    if (st != NULL) {
        fail_msg("%s", st->message);
    }
}

static void create_fiber(struct fiber *f, void *arg)
{
    struct world *w = arg;
    struct group_replica replicas[] = {{1, 1, true}, {2, 2, true}, {3, 3, true}};
    assert_ok(group_bootstrap(f, w->host, GROUP, 1, replicas, 3));
    assert_ok(group_open(f, w->host, GROUP, &w->fsm, &w->group));
    w->is_open = true;
}

static bool is_open(void *ctx)
{
    return ((struct world *)ctx)->is_open;
}

static void pass(struct world *w, uint64_t ms)
{
    sim_run(w->sim, sim_now_ns(w->sim) + ms * MS, NULL, NULL);
}

static void world_start(struct world *w, uint64_t checkpoint_bytes)
{
    *w = (struct world){.fsm = {.apply = fsm_apply, .ranges = fsm_ranges}};
    w->sim = sim_create(5);
    w->net = sim_net_create(w->sim);
    w->disk = mem_disk_create(1);
    w->loop = sim_loop_create(w->sim, "n1");
    assert_ok(store_mem_open(w->disk, "log", &w->log));
    assert_ok(store_mem_open(w->disk, "state", &w->state));
    sim_net_attach(w->net, 1, w->loop);
    struct group_host_options o = {
        .loop = w->loop, .node_id = 1, .log = w->log, .state = w->state, .trailing_entries = 1};
    o.checkpoint_log_bytes = checkpoint_bytes;
    o.link = sim_net_link(w->net, 1);
    assert_ok(group_host_create(&o, &w->host));
    fiber_spawn(w->loop, FIBER_STACK_SMALL, create_fiber, w);
    assert_true(sim_run(w->sim, 1000 * MS, is_open, w));
}

static void world_end(struct world *w)
{
    group_host_destroy(w->host);
    sim_loop_crash(w->loop);
    store_close(w->log);
    store_close(w->state);
    sim_net_destroy(w->net);
    mem_disk_destroy(w->disk);
    sim_destroy(w->sim);
}

static void deliver_event(void *ctx)
{
    struct world *w = ctx;
    deliver(w->group, w->message.from, &w->message);
}

/* AppendEntries of that leader: count commands of its term behind prev. */
static void append(struct world *w, uint64_t leader, uint64_t term, uint64_t prev_index,
                   uint64_t prev_term, unsigned count, uint64_t commit)
{
    uint8_t payload[16] = {0};
    struct buf entries = {NULL, 0, 0};
    entry_wrap(payload, slice_str("command"));
    for (unsigned i = 0; i < count; i++) {
        buf_put_u64(&entries, term);
        buf_put_u8(&entries, RAFT_COMMAND);
        buf_put_u32(&entries, sizeof payload);
        buf_put_slice(&entries, slice_make(payload, sizeof payload));
    }
    w->message =
        (struct wire_message){.kind = WIRE_APPEND, .group = GROUP, .from = leader, .to = 1};
    w->message.append = (struct wire_append){.term = term,
                                             .prev_index = prev_index,
                                             .prev_term = prev_term,
                                             .commit = commit,
                                             .entry_count = count,
                                             .entries = buf_slice(&entries)};
    sim_loop_at(w->loop, sim_now_ns(w->sim), deliver_event, w);
    pass(w, 20);
    buf_deinit(&entries);
}

/* Entries 2 to 4 come from the leader of term 2. The leader of term 3 shares only entry 2 with it,
 * has committed 4 of its own, and says so in a message that ends at entry 2. */
static uint64_t commit_beyond_the_message(struct world *w)
{
    world_start(w, UINT64_MAX);
    append(w, 2, 2, 1, 1, 3, 1);
    assert_int_equal(raft_log_last(&w->group->raft), 4);
    append(w, 3, 3, 2, 2, 0, 4);
    return group_commit_index(w->group);
}

static void a_commit_index_ends_with_its_message(void **state)
{
    (void)state;
    struct world w;
    assert_int_equal(commit_beyond_the_message(&w), 2);
    world_end(&w);
}

static void without_rule_4_a_stale_suffix_is_committed(void **state)
{
    (void)state;
    struct world w;
    raft_rule_off[4] = 1;
    uint64_t commit = commit_beyond_the_message(&w);
    raft_rule_off[4] = 0;
    assert_int_equal(commit, 4);
    world_end(&w);
}

/* Entries 2 to 21 are applied and compacted; then the leader's first message comes once more. */
static uint64_t a_message_from_before_the_checkpoint(struct world *w)
{
    world_start(w, 500);
    for (uint64_t i = 1; i <= 20; i++) {
        append(w, 2, 2, i, i == 1 ? 1 : 2, 1, i + 1);
    }
    assert_int_equal(group_applied_index(w->group), 21);
    assert_true(w->group->raft.log.offset > 3);
    /* prev 0 is before every log: the library takes it for granted, and the entry for a new one */
    append(w, 2, 2, 0, 0, 3, 21);
    return raft_log_last(&w->group->raft);
}

static void what_is_compacted_is_not_appended_again(void **state)
{
    (void)state;
    struct world w;
    assert_int_equal(a_message_from_before_the_checkpoint(&w), 21);
    world_end(&w);
}

/* The library writes where its log is not: in a process of its own. */
static void without_rule_17_the_library_breaks(void **state)
{
    (void)state;
    struct world w;
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        (void)!freopen("/dev/null", "w", stderr);
        raft_rule_off[17] = 1;
        _exit(a_message_from_before_the_checkpoint(&w) == 21 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_not_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_index_ends_with_its_message),
        cmocka_unit_test(without_rule_4_a_stale_suffix_is_committed),
        cmocka_unit_test(what_is_compacted_is_not_appended_again),
        cmocka_unit_test(without_rule_17_the_library_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
