/* See group_world.h. */
#include "group_world.h"

#include "cmocka_all.h"

#include <stdio.h>

void boot(struct node *n)
{
    char name[16];
    snprintf(name, sizeof name, "n%u", n->id);
    n->loop = sim_loop_create(n->c->sim, name);
    assert_ok(store_mem_open(n->disk, "log", &n->log));
    assert_ok(store_mem_open(n->disk, "state", &n->state));
    sim_net_attach(n->c->net, n->id, n->loop);
    struct group_host_options o = n->c->options;
    o.loop = n->loop;
    o.node_id = n->id;
    o.log = n->log;
    o.state = n->state;
    o.link = sim_net_link(n->c->net, n->id);
    assert_ok(group_host_create(&o, &n->host));
    log_fsm_init(&n->fsm);
    n->group = NULL;
}

void halt(struct node *n, int keep_percent)
{
    if (n->host == NULL) {
        return;
    }
    if (keep_percent < 0) {
        group_host_destroy(n->host);
        sim_loop_crash(n->loop);
        mem_disk_crash(n->disk, 100);
    } else {
        sim_loop_crash(n->loop);
        mem_disk_crash(n->disk, keep_percent);
        group_host_destroy(n->host); /* only memory: its disk is out of reach */
    }
    sim_net_detach(n->c->net, n->id);
    store_close(n->log);
    store_close(n->state);
    n->host = NULL;
    n->group = NULL;
}

static void run_fiber(struct fiber *f, void *arg)
{
    struct cluster *c = arg;
    c->body(f, c->on);
    c->is_done = true;
}

static bool is_done(void *ctx)
{
    return ((struct cluster *)ctx)->is_done;
}

void on(struct node *n, void (*body)(struct fiber *f, struct node *n))
{
    struct cluster *c = n->c;
    c->on = n;
    c->body = body;
    c->is_done = false;
    fiber_spawn(n->loop, FIBER_STACK_SMALL, run_fiber, c);
    assert_true(sim_run(c->sim, sim_now_ns(c->sim) + 30000 * MS, is_done, c));
}

void open_group(struct fiber *f, struct node *n)
{
    assert_ok(group_open(f, n->host, GROUP, &n->fsm.fsm, &n->group));
    n->replica_id = group_replica_id(n->group);
}

static unsigned voters;
static void create_group(struct fiber *f, struct node *n)
{
    struct group_replica replicas[NODES];
    for (unsigned i = 0; i < voters; i++) {
        replicas[i] = (struct group_replica){i + 1, i + 1, true};
    }
    size_t count = n->id <= voters ? voters : 0;
    assert_ok(group_bootstrap(f, n->host, GROUP, n->id, replicas, count));
    open_group(f, n);
}

void cluster_start(struct cluster *c, unsigned nodes, unsigned voter_count)
{
    c->sim = sim_create(5);
    c->net = sim_net_create(c->sim);
    voters = voter_count;
    for (unsigned i = 1; i <= nodes; i++) {
        c->nodes[i].c = c;
        c->nodes[i].id = i;
        c->nodes[i].disk = mem_disk_create(i);
        boot(&c->nodes[i]);
        on(&c->nodes[i], create_group);
    }
}

void cluster_stop(struct cluster *c)
{
    for (unsigned i = 1; i <= NODES; i++) {
        halt(&c->nodes[i], -1);
        mem_disk_destroy(c->nodes[i].disk);
    }
    sim_net_destroy(c->net);
    sim_destroy(c->sim);
}

struct node *leader(struct cluster *c)
{
    for (unsigned i = 1; i <= NODES; i++) {
        struct node *n = &c->nodes[i];
        if (n->group != NULL && group_role(n->group) == GROUP_LEADER_READY) {
            return n;
        }
    }
    return NULL;
}

static bool has_leader(void *ctx)
{
    return leader(ctx) != NULL;
}

struct node *wait_leader(struct cluster *c)
{
    assert_true(sim_run(c->sim, sim_now_ns(c->sim) + 10000 * MS, has_leader, c));
    return leader(c);
}

void pass(struct cluster *c, uint64_t ms)
{
    sim_run(c->sim, sim_now_ns(c->sim) + ms * MS, NULL, NULL);
}
