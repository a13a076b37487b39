/*
 * raft_bench: commit throughput and CPU of replication/.
 *
 * Three processes (or one: --nodes 1), each a node with LevelDB stores in a temporary directory and
 * the TCP transport; node 1 leads all groups and keeps a number of proposals in flight, round robin
 * over the groups. Printed: entries a second, latency, CPU of the leader's process an entry (all of
 * its threads), and the same for a follower.
 *
 *   raft_bench [--groups 1] [--inflight 64] [--seconds 5] [--size 128] [--nodes 3] [--mem]
 *              [--dir /tmp] [--port 23900]
 */
#include "../lib/log_fsm.h"

#include "base/log.h"
#include "base/loop_uv.h"
#include "base/mem.h"
#include "base/store.h"
#include "replication/group.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUPS_MAX 1024u
#define SAMPLES_MAX 4000000u

struct options {
    unsigned groups, inflight, seconds, size, nodes, port;
    bool mem;
    const char *dir;
};

struct shared {
    double follower_cpu_us[4];
};

struct bench_node {
    struct options *o;
    struct shared *shared;
    unsigned id;
    struct loop *loop;
    struct store *log, *state;
    struct mem_disk *disk;
    struct peer_link *link;
    struct group_host *host;
    struct group *groups[GROUPS_MAX];
    struct log_fsm fsms[GROUPS_MAX];
    uint64_t done, started_ns, ends_ns;
    bool is_measuring;
    double cpu_start_us;
    uint32_t *samples;
    size_t sample_count;
    struct timer timer;
};

struct request {
    struct group_proposal p;
    struct bench_node *n;
    unsigned group;
    uint64_t sent_ns;
};

static double cpu_us(void)
{
    struct rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1e6 +
           (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static void must(struct status *st)
{
    if (st != NULL) {
        fprintf(stderr, "raft_bench: %s\n", st->message);
        exit(1);
    }
}

static bool resolve(void *ctx, uint64_t node_id, char *out_host, size_t host_size, uint16_t *port)
{
    const struct bench_node *n = ctx;
    snprintf(out_host, host_size, "127.0.0.1");
    *port = (uint16_t)(n->o->port + node_id);
    return true;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(struct bench_node *n)
{
    double seconds = (double)(loop_clock_ns(n->loop) - n->started_ns) / 1e9;
    double cpu = cpu_us() - n->cpu_start_us;
    double done = n->done ? (double)n->done : 1;
    qsort(n->samples, n->sample_count, sizeof *n->samples, compare_u32);
    uint32_t p50 = n->sample_count ? n->samples[n->sample_count / 2] : 0;
    uint32_t p99 = n->sample_count ? n->samples[n->sample_count * 99 / 100] : 0;
    printf(
        "groups %u in flight %u size %u: %.0f/s, p50 %u us, p99 %u us, leader CPU %.2f us/entry\n",
        n->o->groups, n->o->inflight, n->o->size, done / seconds, p50, p99, cpu / done);
    fflush(stdout);
}

static void request_send(struct request *r);

static void request_done(struct group_proposal *p, struct status *st)
{
    struct request *r = CONTAINER_OF(p, struct request, p);
    struct bench_node *n = r->n;
    must(st);
    uint64_t now = loop_clock_ns(n->loop);
    if (n->is_measuring) {
        n->done++;
        if (n->sample_count < SAMPLES_MAX) {
            n->samples[n->sample_count++] = (uint32_t)((now - r->sent_ns) / 1000);
        }
    }
    if (now >= n->ends_ns) {
        if (n->is_measuring) {
            n->is_measuring = false;
            report(n);
            loop_uv_stop(n->loop);
        }
        return;
    }
    request_send(r);
}

static void request_send(struct request *r)
{
    static uint8_t data[1 << 20];
    struct bench_node *n = r->n;
    r->sent_ns = loop_clock_ns(n->loop);
    must(group_propose(n->groups[r->group], slice_make(data, n->o->size), &r->p));
}

static void measure_from_now(struct timer *t)
{
    struct bench_node *n = CONTAINER_OF(t, struct bench_node, timer);
    n->is_measuring = true;
    n->started_ns = loop_clock_ns(n->loop);
    n->cpu_start_us = cpu_us();
}

static void node_fiber(struct fiber *f, void *arg)
{
    struct bench_node *n = arg;
    struct group_replica replicas[3] = {{1, 1, true}, {2, 2, true}, {3, 3, true}};
    for (unsigned i = 0; i < n->o->groups; i++) {
        log_fsm_init(&n->fsms[i]);
        must(group_bootstrap(f, n->host, i + 1, n->id, replicas, n->o->nodes));
        must(group_open(f, n->host, i + 1, &n->fsms[i].fsm, &n->groups[i]));
    }
    if (n->id != 1) {
        return;
    }
    for (unsigned i = 0; i < n->o->groups; i++) {
        while (group_role(n->groups[i]) != GROUP_LEADER_READY) {
            must(fiber_sleep(f, ms_to_ns(2)));
        }
    }
    n->ends_ns = loop_clock_ns(n->loop) + ms_to_ns(500 + 1000 * (uint64_t)n->o->seconds);
    n->timer.fire = measure_from_now;
    timer_start(n->loop, &n->timer, ms_to_ns(500));
    for (unsigned i = 0; i < n->o->inflight; i++) {
        struct request *r = MEM_NEW(struct request);
        r->n = n;
        r->group = i % n->o->groups;
        r->p.done = request_done;
        request_send(r);
    }
}

static void on_term(int signum, void *ctx)
{
    (void)signum;
    loop_uv_stop(((struct bench_node *)ctx)->loop);
}

static void node_run(struct options *o, struct shared *shared, unsigned id, const char *dir)
{
    struct bench_node *n = MEM_NEW(struct bench_node);
    char path[512];
    n->o = o;
    n->shared = shared;
    n->id = id;
    n->samples = mem_alloc(SAMPLES_MAX * sizeof *n->samples);
    n->loop = loop_uv_create();
    must(loop_uv_on_signal(n->loop, SIGTERM, on_term, n));
    if (o->mem) {
        n->disk = mem_disk_create(id);
        must(store_mem_open(n->disk, "log", &n->log));
        must(store_mem_open(n->disk, "state", &n->state));
    } else {
        struct store_options so = {.write_buffer_bytes = (size_t)64 << 20, .paranoid = true};
        snprintf(path, sizeof path, "%s/log%u", dir, id);
        must(store_leveldb_open(path, &so, &n->log));
        so.paranoid = false;
        snprintf(path, sizeof path, "%s/state%u", dir, id);
        must(store_leveldb_open(path, &so, &n->state));
    }
    must(peer_link_tcp_create(n->loop, id, 7, "127.0.0.1", (uint16_t)(o->port + id), resolve, n,
                              &n->link));
    struct group_host_options ho = {
        .loop = n->loop, .node_id = id, .log = n->log, .state = n->state, .link = n->link};
    must(group_host_create(&ho, &n->host));
    fiber_spawn(n->loop, FIBER_STACK_LARGE, node_fiber, n);
    loop_uv_run(n->loop);
    shared->follower_cpu_us[id] = cpu_us();
    _exit(0); /* the stores are thrown away */
}

int main(int argc, char **argv)
{
    struct options o = {1, 64, 5, 128, 3, 23900, false, "/tmp"};
    static const struct option longs[] = {
        {"groups", 1, NULL, 'g'}, {"inflight", 1, NULL, 'k'}, {"seconds", 1, NULL, 's'},
        {"size", 1, NULL, 'b'},   {"nodes", 1, NULL, 'n'},    {"port", 1, NULL, 'p'},
        {"mem", 0, NULL, 'm'},    {"dir", 1, NULL, 'd'},      {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        unsigned v = optarg ? (unsigned)strtoul(optarg, NULL, 10) : 0;
        switch (c) {
        case 'g':
            o.groups = v > 0 && v <= GROUPS_MAX ? v : 1;
            break;
        case 'k':
            o.inflight = v > 0 ? v : 1;
            break;
        case 's':
            o.seconds = v;
            break;
        case 'b':
            o.size = v <= 1u << 20 ? v : 1u << 20;
            break;
        case 'n':
            o.nodes = v == 1 ? 1 : 3;
            break;
        case 'p':
            o.port = v;
            break;
        case 'm':
            o.mem = true;
            break;
        case 'd':
            o.dir = optarg;
            break;
        default:
            return 2;
        }
    }
    log_set_level(LOG_ERROR);
    char dir[300];
    snprintf(dir, sizeof dir, "%s/raft_bench_XXXXXX", o.dir);
    if (mkdtemp(dir) == NULL) {
        perror(dir);
        return 1;
    }
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[4] = {0};
    for (unsigned id = 1; id <= o.nodes; id++) {
        pids[id] = fork();
        if (pids[id] == 0) {
            node_run(&o, shared, id, dir);
        }
    }
    waitpid(pids[1], NULL, 0);
    for (unsigned id = 2; id <= o.nodes; id++) {
        kill(pids[id], SIGTERM);
        waitpid(pids[id], NULL, 0);
    }
    if (o.nodes == 3) {
        printf("CPU seconds in all: leader %.2f, followers %.2f %.2f\n",
               shared->follower_cpu_us[1] / 1e6, shared->follower_cpu_us[2] / 1e6,
               shared->follower_cpu_us[3] / 1e6);
    }
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) == 0 ? 0 : 1;
}
