/*
 * Explores schedules of small scenarios on the real code: every run with at most --depth deviations
 * from the default delivery (delay-bounded search), or --walks random ones. A process boots the
 * cluster once; each run is a fork of it, so that all begin in the same state.
 *
 *   explore [--scenario NAME] [--depth N] [--walks N] [--boots N] [--bug NAME] [--expect-failure]
 *   explore --scenario NAME --boot B --replay 12k,40d --trace      one run again
 *
 * After Emmi, Qadeer and Rakamaric, "Delay-Bounded Scheduling"; the deviations are the faults of
 * run.h instead of mere delays.
 */
#include "../sim/child.h"
#include "run.h"

#include "base/buggify.h"
#include "base/log.h"
#include "base/rng.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct options {
    const char *scenario;
    const char *replay;
    const char *bug;
    int depth;
    uint64_t walks, boot, boots;
    bool expect_failure, trace;
};

struct counts {
    uint64_t runs, unsafe, stuck;
};

/* What the schedule led to. */
struct result {
    int code;
    uint32_t points;
    char text[400];
};

static struct options options = {.depth = 1, .boot = 1, .boots = 1};

/* ---- one run in a process of its own ---- */

static void print_schedule(const struct schedule *x, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (int i = 0; i < x->count && n < size; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%u%c", i > 0 ? "," : "", x->deviations[i].at,
                              x->deviations[i].action);
    }
}

struct one_run {
    const struct scenario *scenario;
    const struct schedule *schedule;
    uint32_t points;
};

static int run_body(void *ctx)
{
    const struct one_run *x = ctx;
    printf("points %u\n", run_schedule(x->scenario, x->schedule));
    return 0;
}

static void run_line(void *ctx, const char *line)
{
    struct one_run *x = ctx;
    (void)sscanf(line, "points %u", &x->points);
}

static struct result run_child(const struct scenario *s, const struct schedule *x)
{
    struct result r = {.code = -1};
    struct one_run one = {.scenario = s, .schedule = x};
    r.code = child_run(&(struct child_run){run_body, run_line, &one}, r.text, sizeof(r.text));
    r.points = one.points;
    return r;
}

/* ---- exploring ---- */

/* Returns whether to go on: no, once a planted bug is found. */
static bool count_run(const struct scenario *s, const struct schedule *x, const struct result *r,
                      struct counts *c)
{
    c->runs++;
    if (r->code == 0) {
        return true;
    }
    char text[64];
    print_schedule(x, text, sizeof(text));
    if (r->code == EXIT_STUCK) {
        c->stuck++;
        if (options.expect_failure) {
            return true;
        }
    } else {
        c->unsafe++;
    }
    printf("%s --boot %llu --replay %s: %s (code %d)\n", s->name, (unsigned long long)options.boot,
           text[0] != '\0' ? text : "-", r->text, r->code);
    return !options.expect_failure;
}

static bool descend(const struct scenario *s, struct schedule *x, int depth, struct counts *c)
{
    struct result r = run_child(s, x);
    if (!count_run(s, x, &r, c)) {
        return false;
    }
    uint32_t first = x->count > 0 ? x->deviations[x->count - 1].at + 1 : 0;
    for (uint32_t at = first; depth > 0 && at < r.points; at++) {
        for (const char *action = s->actions; *action != '\0'; action++) {
            x->deviations[x->count++] = (struct deviation){at, *action};
            bool go_on = descend(s, x, depth - 1, c);
            x->count--;
            if (!go_on) {
                return false;
            }
        }
    }
    return true;
}

static void walk(const struct scenario *s, struct counts *c)
{
    struct rng rng;
    struct schedule none = {.count = 0};
    struct result base = run_child(s, &none);
    rng_seed(&rng, options.boot * 1000003);
    for (uint64_t i = 0; i < options.walks; i++) {
        struct schedule x = {.count = 2 + (int)rng_below(&rng, DEVIATIONS_MAX - 1)};
        uint32_t at = 0;
        for (int k = 0; k < x.count; k++) { /* a deviation makes new points behind it */
            at += 1 + (uint32_t)rng_below(&rng, base.points / (uint32_t)x.count + 2);
            x.deviations[k] =
                (struct deviation){at - 1, s->actions[rng_below(&rng, strlen(s->actions))]};
        }
        struct result r = run_child(s, &x);
        if (!count_run(s, &x, &r, c)) {
            return;
        }
    }
}

/* Of one boot, in a process of its own, since the boot is kept in it. The counts come by a pipe. */
static struct counts explore_boot(const struct scenario *s)
{
    struct counts c = {0};
    int ends[2];
    fflush(stdout);
    if (pipe(ends) != 0) {
        perror("pipe");
        exit(2);
    }
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        if (options.bug != NULL && !bug_set(options.bug, true)) {
            fprintf(stderr, "there is no bug \"%s\"\n", options.bug);
            _exit(2);
        }
        run_boot(options.boot, options.trace);
        if (options.walks > 0) {
            walk(s, &c);
        } else {
            struct schedule x = {.count = 0};
            descend(s, &x, options.depth, &c);
        }
        fflush(stdout);
        if (write(ends[1], &c, sizeof(c)) != sizeof(c)) {
            perror("write");
            _exit(2);
        }
        _exit(0);
    }
    close(ends[1]);
    if (read(ends[0], &c, sizeof(c)) != sizeof(c)) {
        fprintf(stderr, "%s: the cluster of boot %llu did not come to its beginning\n", s->name,
                (unsigned long long)options.boot);
        exit(2);
    }
    close(ends[0]);
    waitpid(pid, NULL, 0);
    return c;
}

static int replay(const struct scenario *s)
{
    struct schedule x = {.count = 0};
    const char *at = options.replay;
    while (*at != '\0' && *at != '-' && x.count < DEVIATIONS_MAX) {
        char *end;
        x.deviations[x.count].at = (uint32_t)strtoul(at, &end, 10);
        if (*end == '\0' || strchr(s->actions, *end) == NULL) {
            fprintf(stderr, "--replay: \"%s\" has no action of %s\n", at, s->actions);
            return 2;
        }
        x.deviations[x.count++].action = *end;
        at = end[1] == ',' ? end + 2 : end + 1;
    }
    if (options.bug != NULL) {
        bug_set(options.bug, true);
    }
    run_boot(options.boot, options.trace);
    printf("%u choice points, no violation\n", run_schedule(s, &x));
    fflush(stdout);
    _exit(0); /* the cluster is the process's to reclaim */
}

static double seconds(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int explore(void)
{
    struct counts all = {0};
    bool is_known = false;
    for (int i = 0; i < scenario_count; i++) {
        const struct scenario *s = &scenarios[i];
        if (options.scenario != NULL && strcmp(options.scenario, s->name) != 0) {
            continue;
        }
        is_known = true;
        if (options.replay != NULL) {
            return replay(s);
        }
        struct counts one = {0};
        double begin = seconds();
        uint64_t first = options.boot;
        for (uint64_t b = 0; b < options.boots && (one.unsafe == 0 || !options.expect_failure);
             b++) {
            options.boot = first + b;
            struct counts c = explore_boot(s);
            one.runs += c.runs;
            one.unsafe += c.unsafe;
            one.stuck += c.stuck;
        }
        options.boot = first;
        printf("%-14s %8llu runs, %llu unsafe, %llu stuck, %.1f s\n", s->name,
               (unsigned long long)one.runs, (unsigned long long)one.unsafe,
               (unsigned long long)one.stuck, seconds() - begin);
        fflush(stdout);
        all.runs += one.runs;
        all.unsafe += one.unsafe;
        all.stuck += one.stuck;
        if (options.expect_failure && one.unsafe > 0) {
            return 0;
        }
    }
    if (!is_known) {
        fprintf(stderr, "there is no scenario \"%s\"\n", options.scenario);
        return 2;
    }
    printf("%llu runs, %llu unsafe, %llu stuck\n", (unsigned long long)all.runs,
           (unsigned long long)all.unsafe, (unsigned long long)all.stuck);
    return options.expect_failure || all.unsafe + all.stuck > 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"scenario", required_argument, NULL, 's'}, {"depth", required_argument, NULL, 'd'},
        {"walks", required_argument, NULL, 'w'},    {"boot", required_argument, NULL, 'B'},
        {"boots", required_argument, NULL, 'n'},    {"bug", required_argument, NULL, 'b'},
        {"replay", required_argument, NULL, 'r'},   {"expect-failure", no_argument, NULL, 'e'},
        {"trace", no_argument, NULL, 't'},          {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 's':
            options.scenario = optarg;
            break;
        case 'd':
            options.depth = atoi(optarg);
            break;
        case 'w':
            options.walks = strtoull(optarg, NULL, 10);
            break;
        case 'B':
            options.boot = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            options.boots = strtoull(optarg, NULL, 10);
            break;
        case 'b':
            options.bug = optarg;
            break;
        case 'r':
            options.replay = optarg;
            break;
        case 'e':
            options.expect_failure = true;
            break;
        case 't':
            options.trace = true;
            break;
        default:
            fprintf(stderr, "usage: explore [--scenario NAME] [--depth N | --walks N] [--boot B] "
                            "[--boots N] [--bug NAME] [--expect-failure] [--replay 12k,40d] "
                            "[--trace]\n");
            return 2;
        }
    }
    if (options.depth < 0 || options.depth > DEVIATIONS_MAX) {
        fprintf(stderr, "--depth is 0 to %d\n", DEVIATIONS_MAX);
        return 2;
    }
    log_set_level(options.trace ? LOG_DEBUG : LOG_ERROR);
    return explore();
}
