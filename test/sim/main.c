/*
 * sherd_sim: whole clusters under faults, from a seed.
 *
 *   sherd_sim --seed N [--seeds COUNT] [--nodes N] [--bug NAME] [--isolation rc|rr]
 *             [--workload NAME] [--expect-failure] [--calm] [--trace]
 *
 * Each seed runs in a process of its own: three nodes (every fourth seed: five) with metadata,
 * shards and routers, the key space cut into three shards, clients on every node, a nemesis that
 * crashes nodes (losing unsynced writes), fails and fills disks, cuts and slows the network, slows
 * disks, pauses nodes, makes clocks drift, moves leaderships, splits shards and drains
 * nodes. Then everything heals, clients end, and the checkers look: list-append histories are
 * strictly serializable (those of the weaker levels: no G0, G1, lost update), acknowledged writes
 * are there once, one of several inserts of a key has won, money is conserved in every snapshot,
 * replicas are equal, and the cluster made progress after the faults.
 *
 * Exit: 0 fine, 1 a consistency check failed, 3 the cluster did not get on, a signal: an assertion.
 * --expect-failure: success is that some seed fails a check or an assertion; prints how many it
 * took and which. That a run gets stuck does not count. --isolation runs the strictly checked
 * clients at a weaker level, to the same end.
 */
#include "child.h"
#include "cluster.h"
#include "sherd_sim.h"

#include "base/buggify.h"
#include "base/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct one_seed {
    uint64_t seed;
    const struct sim_options *options;
};

static int seed_body(void *ctx)
{
    const struct one_seed *x = ctx;
    return sim_run_seed(x->seed, x->options);
}

static void seed_line(void *ctx, const char *line)
{
    const struct one_seed *x = ctx;
    if (x->options->trace || x->options->calm) {
        puts(line);
    }
}

/* One seed in a process of its own. */
static int run_child(uint64_t seed, const struct sim_options *options, char *text, size_t size)
{
    struct one_seed x = {seed, options};
    return child_run(&(struct child_run){seed_body, seed_line, &x}, text, size);
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"seed", required_argument, NULL, 's'},      {"seeds", required_argument, NULL, 'n'},
        {"nodes", required_argument, NULL, 'N'},     {"bug", required_argument, NULL, 'b'},
        {"expect-failure", no_argument, NULL, 'e'},  {"calm", no_argument, NULL, 'c'},
        {"isolation", required_argument, NULL, 'i'}, {"trace", no_argument, NULL, 't'},
        {"workload", required_argument, NULL, 'w'},  {NULL, 0, NULL, 0},
    };
    uint64_t seed = 1, seeds = 1;
    struct sim_options o = {.isolation = TXN_SERIALIZABLE};
    int c;
    bool expect_failure = false;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            seeds = strtoull(optarg, NULL, 10);
            break;
        case 'N':
            o.nodes = atoi(optarg);
            break;
        case 'b':
            if (!bug_set(optarg, true)) {
                fprintf(stderr, "there is no bug \"%s\"\n", optarg);
                return 2;
            }
            break;
        case 'i':
            if (strcmp(optarg, "rc") != 0 && strcmp(optarg, "rr") != 0) {
                fprintf(stderr, "--isolation is rc or rr\n");
                return 2;
            }
            o.isolation = strcmp(optarg, "rc") == 0 ? TXN_READ_COMMITTED : TXN_REPEATABLE_READ;
            break;
        case 'w':
            if (!sim_has_workload(optarg)) {
                fprintf(stderr, "there is no workload \"%s\"\n", optarg);
                return 2;
            }
            o.workload = optarg;
            break;
        case 'e':
            expect_failure = true;
            break;
        case 'c':
            o.calm = true;
            break;
        case 't':
            o.trace = true;
            break;
        default:
            fprintf(stderr, "usage: sherd_sim --seed N [--seeds COUNT] [--nodes N] [--bug NAME] "
                            "[--isolation rc|rr] [--workload NAME] [--expect-failure] "
                            "[--calm] "
                            "[--trace]\n");
            return 2;
        }
    }
    log_set_level(o.trace ? LOG_DEBUG : LOG_ERROR);
    if (seeds == 1 && !expect_failure) {
        return sim_run_seed(seed, &o);
    }
    uint64_t failed = 0, stuck = 0;
    for (uint64_t i = 0; i < seeds; i++) {
        char text[512] = "";
        int code = run_child(seed + i, &o, text, sizeof(text));
        if (code == EXIT_STUCK) {
            stuck++;
        } else if (code != 0) {
            failed++;
        }
        if (expect_failure && code != 0 && code != EXIT_STUCK) {
            printf("caught by seed %llu, the %llu. tried (%llu stuck before): %s\n",
                   (unsigned long long)(seed + i), (unsigned long long)(i + 1),
                   (unsigned long long)stuck, text);
            return 0;
        }
        if (code != 0 && !expect_failure) {
            printf("%s\n", text);
            if (code > 128) {
                printf("FAILED seed %llu: signal %d\n", (unsigned long long)(seed + i), code - 128);
            }
            fflush(stdout);
        }
    }
    printf("%llu seeds, %llu failed, %llu stuck\n", (unsigned long long)seeds,
           (unsigned long long)failed, (unsigned long long)stuck);
    return expect_failure || failed + stuck > 0 ? 1 : 0;
}
