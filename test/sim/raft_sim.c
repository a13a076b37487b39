/*
 * raft_sim: the Raft simulator of replication/.
 *
 *   raft_sim --seed N [--seeds COUNT] [--off RULE[,RULE]] [--bug NAME] [--expect-failure]
 *            [--no-members] [--no-checkpoints] [--no-transfers] [--profile ...] [--trace]
 *
 * Runs COUNT seeds from N on. Each batch of seeds is a process of its own, since a crash of a
 * simulated node drops its memory; a seed that fails, or that the library does not survive, ends
 * its batch. With --expect-failure the first failing seed is the success: that is how the tests
 * prove that a rule or a planted bug is noticed.
 */
#include "raft_world.h"

#include "base/buggify.h"
#include "base/log.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BATCH_SEEDS 40u
#define SEED_SECONDS_MAX 60u

struct options {
    uint64_t seed, seeds;
    bool expect_failure, trace, no_members, no_checkpoints, no_transfers, no_write_failures;
    unsigned failures_max;
    int profile;
};

struct shared {
    uint64_t at; /* the seed that runs */
    struct world_stats stats;
};

/* The leaks are the crashed nodes'. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

static void usage(const char *name)
{
    fprintf(stderr,
            "usage: %s --seed N [--seeds COUNT] [--off RULE[,RULE]] [--bug NAME]\n"
            "       [--profile mixed|leader|network|figure-8|hanging|transfers|votes]\n"
            "       [--expect-failure] [--max-failures N] [--no-members] [--no-checkpoints]\n"
            "       [--no-transfers] [--no-write-failures] [--trace]\n",
            name);
    exit(2);
}

static void rules_off(const char *text)
{
    char *end;
    while (*text != '\0') {
        unsigned long n = strtoul(text, &end, 10);
        if (end == text || n == 0 || n >= RAFT_RULE_COUNT) {
            fprintf(stderr, "no such rule: %s\n", text);
            exit(2);
        }
        raft_rule_off[n] = 1;
        text = *end == ',' ? end + 1 : end;
    }
}

static int profile_find(const char *name)
{
    for (int i = 0; i < PROFILES; i++) {
        if (strcmp(profile_names[i], name) == 0) {
            return i;
        }
    }
    fprintf(stderr, "no such profile: %s\n", name);
    exit(2);
}

static void parse(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {{"seed", required_argument, NULL, 's'},
                                          {"seeds", required_argument, NULL, 'n'},
                                          {"off", required_argument, NULL, 'o'},
                                          {"bug", required_argument, NULL, 'b'},
                                          {"expect-failure", no_argument, NULL, 'e'},
                                          {"max-failures", required_argument, NULL, 'f'},
                                          {"no-members", no_argument, NULL, 'M'},
                                          {"no-checkpoints", no_argument, NULL, 'C'},
                                          {"no-transfers", no_argument, NULL, 'T'},
                                          {"no-write-failures", no_argument, NULL, 'W'},
                                          {"trace", no_argument, NULL, 't'},
                                          {"profile", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            o->seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            o->seeds = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            rules_off(optarg);
            break;
        case 'b':
            if (!bug_set(optarg, true)) {
                fprintf(stderr, "no such bug: %s\n", optarg);
                exit(2);
            }
            break;
        case 'e':
            o->expect_failure = true;
            break;
        case 'f':
            o->failures_max = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'M':
            o->no_members = true;
            break;
        case 'C':
            o->no_checkpoints = true;
            break;
        case 'T':
            o->no_transfers = true;
            break;
        case 'W':
            o->no_write_failures = true;
            break;
        case 'p':
            o->profile = profile_find(optarg);
            break;
        case 't':
            o->trace = true;
            break;
        default:
            usage(argv[0]);
        }
    }
}

static void run_seed(uint64_t seed, const struct options *o, struct shared *sh)
{
    struct world *w = MEM_NEW(struct world);
    w->seed = seed;
    w->stats = &sh->stats;
    w->trace = o->trace;
    w->profile_wanted = o->profile;
    w->has_membership = !o->no_members;
    w->has_checkpoints = !o->no_checkpoints;
    w->has_transfers = !o->no_transfers;
    w->has_write_failures = !o->no_write_failures;
    world_run(w);
    mem_free(w);
}

static void run_batch(uint64_t end, const struct options *o, struct shared *sh)
{
    unsigned n = 0;
    while (sh->at < end && n++ < BATCH_SEEDS) {
        alarm(SEED_SECONDS_MAX);
        run_seed(sh->at, o, sh);
        sh->at++;
    }
    fflush(stdout);
    _exit(0);
}

static void print_stats(const struct world_stats *s, uint64_t failures, double seconds)
{
    struct rusage ru;
    getrusage(RUSAGE_CHILDREN, &ru);
    double cpu = (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                 (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    double n = s->seeds ? (double)s->seeds : 1;
    printf("%llu seeds clean, %llu failed; %.1f s, %.2f ms CPU a seed\n",
           (unsigned long long)s->seeds, (unsigned long long)failures, seconds,
           cpu * 1000 / (n + (double)failures));
    printf("per seed: events %.0f messages %.0f commits %.0f acknowledged %.0f leaders %.1f "
           "crashes %.1f checkpoints %.1f installs %.2f changes %.1f transfers %.2f "
           "lease reads %.0f barrier reads %.0f; recovery %.0f ms, longest %.0f ms\n",
           (double)s->events / n, (double)s->messages / n, (double)s->commits / n,
           (double)s->acks / n, (double)s->leaders / n, (double)s->crashes / n,
           (double)s->checkpoints / n, (double)s->installs / n, (double)s->changes / n,
           (double)s->transfers / n, (double)s->lease_reads / n, (double)s->barrier_reads / n,
           (double)s->recovery_us / 1000 / n, (double)s->recovery_us_max / 1000);
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .seeds = 1, .failures_max = 5, .profile = -1};
    parse(argc, argv, &o);
    log_set_level(o.trace ? LOG_DEBUG : LOG_ERROR);
    struct shared *sh =
        mmap(NULL, sizeof *sh, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sh == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    struct timespec start;
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    uint64_t last = o.seed + o.seeds;
    uint64_t failures = 0;
    unsigned limit = o.expect_failure ? 1 : o.failures_max;
    sh->at = o.seed;
    while (sh->at < last && failures < limit) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            run_batch(last, &o, sh);
        }
        int status = 0;
        if (pid < 0 || waitpid(pid, &status, 0) < 0) {
            perror("fork");
            return 2;
        }
        if (WIFSIGNALED(status) || WEXITSTATUS(status) != 0) {
            if (WIFSIGNALED(status)) {
                printf("seed %llu: the process died of signal %d\n", (unsigned long long)sh->at,
                       WTERMSIG(status));
            }
            failures++;
            sh->at++;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    print_stats(&sh->stats, failures,
                (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    if (o.expect_failure) {
        printf(failures ? "noticed after %llu seeds\n" : "NOT noticed in %llu seeds\n",
               (unsigned long long)(sh->at - o.seed));
        return failures ? 0 : 1;
    }
    return failures ? 1 : 0;
}
