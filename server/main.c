/*
 * sherdd: the server.
 *
 *   sherdd --config FILE [--log-level LEVEL]
 *   sherdd --dev [--data DIR] [--sql-port PORT]      all roles in one process, no config
 *   sherdd --check-config FILE                       judges the config, starts nothing
 *   sherdd --version | --help
 *
 * Exit codes: 0 stopped by a signal (or a sound config), 1 could not start (the reason is on
 * standard error), 2 wrong usage.
 */
#include "node.h"

#include "base/buggify.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/loop_uv.h"
#include "base/mem.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: sherdd --config FILE [--log-level debug|info|warn|error]\n"
    "       sherdd --dev [--data DIR] [--sql-port PORT]\n"
    "       sherdd --check-config FILE\n"
    "       sherdd --version\n"
    "\n"
    "  --config FILE    run the node that FILE describes (see config/sherd.yaml)\n"
    "  --check-config FILE  judge the config and the files that it names, and end: 0 sound, 1 not\n"
    "  --dev            one node with all roles on loopback: SQL on port 7432, gRPC 7433, HTTP "
    "7435\n"
    "  --data DIR       with --dev: keep the data here (default: a temporary directory)\n"
    "  --sql-port PORT  with --dev: SQL on PORT, gRPC on PORT+1, Raft PORT+2, HTTP PORT+3\n"
    "  --log-level L    overrides the levels of logger.yaml\n";

struct main {
    struct node node;
    int exit_code;
    bool is_signalled;
    bool is_done;
    struct fiber *fiber;
};

static void print_error(const struct status *st)
{
    fprintf(stderr, "sherdd: %s\n", st->message);
    if (st->detail != NULL) {
        fprintf(stderr, "detail: %s\n", st->detail);
    }
    if (st->hint != NULL) {
        fprintf(stderr, "hint: %s\n", st->hint);
    }
}

static void main_fiber(struct fiber *f, void *arg)
{
    struct main *m = arg;
    struct status *st = node_start(f, &m->node);
    if (st != NULL && !m->is_signalled) {
        print_error(st);
        LOGE("server", "cannot start: %s", st->message);
        m->exit_code = 1;
    }
    bool is_up = st == NULL;
    status_free(st);
    if (is_up) {
        printf("sherdd: ready, sql port %u\n", m->node.config->sql_port);
        fflush(stdout);
        while (!m->is_signalled) {
            status_consume(fiber_park(f));
        }
    }
    LOGI("server", "stopping");
    fiber_cancel_clear(f);
    node_stop(f, &m->node);
    m->is_done = true;
    loop_uv_stop(m->node.loop);
}

static void on_signal(int signum, void *ctx)
{
    struct main *m = ctx;
    (void)signum;
    if (m->is_signalled) {
        LOGW("server", "second signal: leaving at once");
        _exit(1);
    }
    m->is_signalled = true;
    fiber_cancel(m->fiber); /* also ends a start that waits */
    fiber_wake(m->fiber);
}

/* SIGUSR1, for tests: the file of SHERD_FAILPOINT has changed. */
static void on_failpoints(int signum, void *ctx)
{
    (void)signum;
    const char *value = ctx;
    struct status *st = failpoint_load(value);
    if (st != NULL) {
        LOGE("server", "%s", st->message);
        status_free(st);
    } else {
        LOGW("server", "failpoints were read again");
    }
}

/* 0, which is no port, for what is not a number. */
static long parse_port(const char *text)
{
    char *end;
    long port = strtol(text, &end, 10);
    return *end == '\0' ? port : 0;
}

static int check_config(const char *path)
{
    struct config *c = NULL;
    struct status *st = config_load(path, &c);
    if (st == NULL) {
        st = router_check_config(c);
    }
    if (st == NULL) {
        st = log_check(c->logger);
    }
    config_free(c);
    if (st != NULL) {
        print_error(st);
        status_free(st);
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check-config", required_argument, NULL, 'k'},
        {"dev", no_argument, NULL, 'd'},
        {"data", required_argument, NULL, 'D'},
        {"sql-port", required_argument, NULL, 'p'},
        {"log-level", required_argument, NULL, 'l'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *config_path = NULL, *checked_path = NULL, *data_dir = NULL;
    enum log_level level = LOG_INFO;
    bool has_level = false, is_dev = false;
    long sql_port = 7432;
    int o;
    while ((o = getopt_long(argc, argv, "c:dD:p:l:vh", options, NULL)) != -1) {
        switch (o) {
        case 'c':
            config_path = optarg;
            break;
        case 'k':
            checked_path = optarg;
            break;
        case 'd':
            is_dev = true;
            break;
        case 'D':
            data_dir = optarg;
            break;
        case 'p':
            sql_port = parse_port(optarg);
            break;
        case 'l':
            has_level = log_level_parse(optarg, &level);
            if (!has_level) {
                fputs(usage, stderr);
                return 2;
            }
            break;
        case 'v':
            puts("sherdd 0.1.0");
            return 0;
        case 'h':
            fputs(usage, stdout);
            return 0;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    int modes = (config_path != NULL) + (checked_path != NULL) + is_dev;
    if (modes != 1 || optind != argc || sql_port < 1 || sql_port > 65532) {
        fputs(usage, stderr);
        return 2;
    }
    if (checked_path != NULL) {
        return check_config(checked_path);
    }
    const char *crash = getenv("SHERD_CRASH_AT"); /* tests: base/buggify.h */
    if (crash != NULL && crash[0] != '\0' && !crash_arm(crash)) {
        fprintf(stderr, "sherdd: SHERD_CRASH_AT names no crash point: \"%s\"\n", crash);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    static struct main m;
    struct status *st = is_dev ? config_dev(data_dir, (uint16_t)sql_port, &m.node.config)
                               : config_load(config_path, &m.node.config);
    if (st == NULL) {
        char name[32];
        snprintf(name, sizeof(name), "n%llu", (unsigned long long)m.node.config->node_id);
        st = log_configure(m.node.config->logger, m.node.config->log_dir, name);
    }
    if (st != NULL) {
        print_error(st);
        status_free(st);
        return 1;
    }
    char *points = getenv("SHERD_FAILPOINT");
    if (points != NULL) {
        st = failpoint_load(points);
        if (st != NULL) {
            print_error(st);
            status_free(st);
            return 1;
        }
        LOGW("server", "failpoints are on, this server is for tests: %s", points);
    }
    if (has_level) {
        log_set_level(level);
    }
    m.node.loop = loop_uv_create();
    static const int signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        st = loop_uv_on_signal(m.node.loop, signals[i], on_signal, &m);
        if (st != NULL) {
            print_error(st);
            status_free(st);
            return 1;
        }
    }
    if (points != NULL) {
        st = loop_uv_on_signal(m.node.loop, SIGUSR1, on_failpoints, points);
        if (st != NULL) {
            print_error(st);
            status_free(st);
            return 1;
        }
    }
    m.fiber = fiber_spawn(m.node.loop, FIBER_STACK_LARGE, main_fiber, &m);
    loop_uv_run(m.node.loop);
    loop_uv_destroy(m.node.loop);
    log_shutdown();
    config_free(m.node.config);
    return m.exit_code;
}
