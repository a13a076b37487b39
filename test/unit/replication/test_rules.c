/*
 * The two hardening rules whose absence the simulator does not notice, because nothing of ours
 * sends what they guard against (docs/SIMULATION.md has the argument): 4 and 17. One replica of a
 * group of three, and messages in the names of the other two as a node of another version may send
 * them. Each test also shows what happens with the rule off.
 */
#include "cmocka_all.h"

#include "group_world.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* Node 1 of three voters; the others are not there. */
static struct node *alone(struct cluster *c, uint64_t checkpoint_bytes)
{
    *c = (struct cluster){
        .options = {.trailing_entries = 1, .checkpoint_log_bytes = checkpoint_bytes}};
    cluster_start(c, 1, 3);
    return &c->nodes[1];
}

struct arrival {
    struct group *group;
    struct wire_message message;
};

static void deliver_event(void *ctx)
{
    const struct arrival *x = ctx;
    deliver(x->group, x->message.from, &x->message);
}

/* AppendEntries of that leader: count commands of its term behind prev. */
static void append(struct node *n, uint64_t from, uint64_t term, uint64_t prev_index,
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
    struct arrival x = {n->group, {.kind = WIRE_APPEND, .group = GROUP, .from = from, .to = n->id}};
    x.message.append = (struct wire_append){.term = term,
                                            .prev_index = prev_index,
                                            .prev_term = prev_term,
                                            .commit = commit,
                                            .entry_count = count,
                                            .entries = buf_slice(&entries)};
    sim_loop_at(n->loop, sim_now_ns(n->c->sim), deliver_event, &x);
    pass(n->c, 20);
    buf_deinit(&entries);
}

/* Entries 2 to 4 come from the leader of term 2. The leader of term 3 shares only entry 2 with it,
 * has committed 4 of its own, and says so in a message that ends at entry 2. */
static uint64_t commit_beyond_the_message(struct cluster *c)
{
    struct node *n = alone(c, UINT64_MAX);
    append(n, 2, 2, 1, 1, 3, 1);
    assert_int_equal(raft_log_last(&n->group->raft), 4);
    append(n, 3, 3, 2, 2, 0, 4);
    return group_commit_index(n->group);
}

static void a_commit_index_ends_with_its_message(void **state)
{
    (void)state;
    struct cluster c;
    assert_int_equal(commit_beyond_the_message(&c), 2);
    cluster_stop(&c);
}

static void without_rule_4_a_stale_suffix_is_committed(void **state)
{
    (void)state;
    struct cluster c;
    raft_rule_off[4] = 1;
    uint64_t commit = commit_beyond_the_message(&c);
    raft_rule_off[4] = 0;
    assert_int_equal(commit, 4);
    cluster_stop(&c);
}

/* Entries 2 to 21 are applied and compacted; then the leader's first message comes once more. */
static uint64_t a_message_from_before_the_checkpoint(struct cluster *c)
{
    struct node *n = alone(c, 500);
    for (uint64_t i = 1; i <= 20; i++) {
        append(n, 2, 2, i, i == 1 ? 1 : 2, 1, i + 1);
    }
    assert_int_equal(group_applied_index(n->group), 21);
    assert_true(n->group->raft.log.offset > 3);
    /* prev 0 is before every log: the library takes it for granted, and the entry for a new one */
    append(n, 2, 2, 0, 0, 3, 21);
    return raft_log_last(&n->group->raft);
}

static void what_is_compacted_is_not_appended_again(void **state)
{
    (void)state;
    struct cluster c;
    assert_int_equal(a_message_from_before_the_checkpoint(&c), 21);
    cluster_stop(&c);
}

/* The library writes where its log is not: in a process of its own. */
static void without_rule_17_the_library_breaks(void **state)
{
    (void)state;
    struct cluster c;
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        (void)!freopen("/dev/null", "w", stderr);
        raft_rule_off[17] = 1;
        _exit(a_message_from_before_the_checkpoint(&c) == 21 ? 0 : 1);
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
