/*
 * sherd local: a cluster of server processes on this machine.
 *
 *   DIR/cluster            "nodes 3" and "sql_port 7432": what the first `up` fixed
 *   DIR/lock               held while a command works on the cluster
 *   DIR/nodeN/sherd.yaml   written anew at each start; all paths relative, so DIR can be moved
 *   DIR/nodeN/data, log    the node's own
 *   DIR/nodeN/output       what the process printed
 *   DIR/nodeN/pid          "pid start-time": the start time tells our process from a later one that
 *                          got the same number
 *
 * The processes are started first and spoken to by gRPC afterwards: gRPC must not be there at a
 * fork. Waiting is for the processes' ends (pidfd) and, every few milliseconds meanwhile, for an
 * answer.
 */
#include "api/grpc_sync.h"
#include "base/mem.h"
#include "cli.h"
#include "cluster.h"
#include "grpc/health/v1/health.pb-c.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NODES_MAX 16
#define NODES_DEFAULT 3
#define SQL_PORT_DEFAULT 7432
#define PORTS_PER_NODE 10
#define UP_TIMEOUT_MS 20000
#define DOWN_TIMEOUT_MS 10000
#define KILL_TIMEOUT_MS 5000
#define POLL_MS 10
#define ATTEMPT_MS 2000
#define LOOPBACK "127.0.0.1"

enum { PORT_SQL, PORT_GRPC, PORT_RAFT, PORT_HTTP, PORT_KINDS };
static const char *const port_names[PORT_KINDS] = {"SQL", "gRPC", "Raft", "HTTP"};

struct node {
    int number;   /* from 1 */
    pid_t pid;    /* 0 = not running */
    int pidfd;    /* -1 = none */
    bool is_ours; /* started by this command: its end can be waited for */
    bool is_ready;
};

struct cluster {
    char *dir;
    int lock_fd;
    bool exists; /* DIR/cluster is there */
    int node_count;
    uint16_t sql_port;
    struct node nodes[NODES_MAX];
};

static uint16_t port_of(const struct cluster *c, int number, int kind)
{
    return (uint16_t)(c->sql_port + PORTS_PER_NODE * (number - 1) + kind);
}

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* ---- files ---- */

static char *node_path(const struct cluster *c, int number, const char *name)
{
    return mem_printf("%s/node%d%s%s", c->dir, number, name[0] == '\0' ? "" : "/", name);
}

static struct status *make_dirs(const char *path)
{
    char *copy = mem_strdup(path);
    struct status *st = NULL;
    for (char *p = copy + 1; st == NULL; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char keep = *p;
        *p = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
            st = status_new(IO, "cannot make the folder \"%s\": %s", copy, strerror(errno));
        }
        *p = keep;
        if (keep == '\0') {
            break;
        }
    }
    mem_free(copy);
    return st;
}

/* Whole or not at all: by a rename. */
static struct status *write_file(const char *path, const char *text)
{
    char *temporary = mem_printf("%s.new", path);
    FILE *f = fopen(temporary, "w");
    bool is_well = f != NULL && fputs(text, f) >= 0;
    if (f != NULL) {
        is_well = fflush(f) == 0 && is_well;
        is_well = fsync(fileno(f)) == 0 && is_well;
        is_well = fclose(f) == 0 && is_well;
    }
    is_well = is_well && rename(temporary, path) == 0;
    struct status *st =
        is_well ? NULL : status_new(IO, "cannot write \"%s\": %s", path, strerror(errno));
    mem_free(temporary);
    return st;
}

/* The whole of a small file with a NUL, or NULL (errno). */
static char *read_small(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return NULL;
    }
    text[fread(text, 1, size - 1, f)] = '\0';
    (void)fclose(f);
    return text;
}

/* Takes blanks, the word and a number of at most max off *text. */
static bool take_number(const char **text, const char *word, uint64_t max, uint64_t *out)
{
    const char *p = *text + strspn(*text, " \n");
    size_t len = strlen(word);
    if (strncmp(p, word, len) != 0) {
        return false;
    }
    p += len + strspn(p + len, " ");
    uint64_t v = 0;
    const char *digits = p;
    while (*p >= '0' && *p <= '9' && v <= max / 10) {
        v = v * 10 + (uint64_t)(*p++ - '0');
    }
    if (p == digits || (*p >= '0' && *p <= '9') || v > max) {
        return false;
    }
    *text = p;
    *out = v;
    return true;
}

/* The cluster's own file. */
static struct status *read_cluster(struct cluster *c)
{
    char *path = mem_printf("%s/cluster", c->dir);
    char text[256];
    struct status *st = NULL;
    const char *p = read_small(path, text, sizeof(text));
    uint64_t nodes = 0;
    uint64_t port = 0;
    if (p == NULL) {
        st = errno == ENOENT ? NULL
                             : status_new(IO, "cannot read \"%s\": %s", path, strerror(errno));
    } else if (!take_number(&p, "nodes", NODES_MAX, &nodes) ||
               !take_number(&p, "sql_port", 65535, &port) || nodes == 0 || port == 0) {
        st = status_hint(status_new(CORRUPT, "\"%s\" is damaged", path),
                         "It has two lines: \"nodes 3\" and \"sql_port 7432\".");
    } else {
        c->exists = true;
        c->node_count = (int)nodes;
        c->sql_port = (uint16_t)port;
    }
    mem_free(path);
    return st;
}

static struct status *write_config(const struct cluster *c, int number)
{
    struct buf b = {0};
    buf_printf(&b, "# Written by \"sherd local\" at each start: changes are lost.\n"
                   "cluster:\n  name: local\n  initial:\n");
    for (int i = 1; i <= c->node_count; i++) {
        buf_printf(&b, "    - {node: %d, host: %s, grpc_port: %u, raft_port: %u}\n", i, LOOPBACK,
                   port_of(c, i, PORT_GRPC), port_of(c, i, PORT_RAFT));
    }
    buf_printf(&b,
               "node:\n  id: %d\n  host: %s\n  roles: [metadata, shard, router]\n"
               "  locality: region=local,zone=node%d\n"
               "ports:\n  sql: %u\n  grpc: %u\n  raft: %u\n  http: %u\n"
               "storage:\n  data_dir: data\n"
               "sql:\n  auth: trust\n"
               "log:\n  dir: log\n",
               number, LOOPBACK, number, port_of(c, number, PORT_SQL),
               port_of(c, number, PORT_GRPC), port_of(c, number, PORT_RAFT),
               port_of(c, number, PORT_HTTP));
    buf_put_u8(&b, 0);
    char *path = node_path(c, number, "sherd.yaml");
    struct status *st = write_file(path, (const char *)b.data);
    mem_free(path);
    buf_deinit(&b);
    return st;
}

/* ---- processes ---- */

/* Start time of a process in clock ticks since boot; 0 = there is none, or it is a zombie. */
static unsigned long long start_time(pid_t pid)
{
    char path[64];
    char text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    char *p = strrchr(text, ')'); /* the name may hold anything */
    if (p == NULL || p[1] == '\0' || p[2] == 'Z' || p[2] == 'X') {
        return 0;
    }
    p += 2;
    for (int field = 3; field < 22 && p != NULL; field++) {
        p = strchr(p, ' ');
        p = p == NULL ? NULL : p + 1;
    }
    return p == NULL ? 0 : strtoull(p, NULL, 10);
}

static int open_pidfd(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* Finds the node's process, if it runs. */
static void find_process(const struct cluster *c, struct node *n)
{
    n->pid = 0;
    n->pidfd = -1;
    char *path = node_path(c, n->number, "pid");
    char text[64];
    const char *p = read_small(path, text, sizeof(text));
    mem_free(path);
    uint64_t number = 0;
    uint64_t started = 0;
    if (p == NULL || !take_number(&p, "", INT32_MAX, &number) ||
        !take_number(&p, "", UINT64_MAX, &started) || number <= 1) {
        return;
    }
    pid_t pid = (pid_t)number;
    int fd = open_pidfd(pid);
    if (fd >= 0 && start_time(pid) == started && started != 0) {
        n->pid = pid;
        n->pidfd = fd;
    } else if (fd >= 0) {
        (void)close(fd);
    }
}

static bool is_running(const struct node *n)
{
    return n->pid != 0;
}

/* True when the process has ended within timeout_ms. */
static bool await_end(struct node *n, int timeout_ms)
{
    struct pollfd p = {.fd = n->pidfd, .events = POLLIN};
    int rc;
    do {
        rc = poll(&p, 1, timeout_ms);
    } while (rc < 0 && errno == EINTR);
    if (rc <= 0) {
        return false;
    }
    if (n->is_ours) {
        (void)waitpid(n->pid, NULL, 0);
    }
    return true;
}

static void forget_process(const struct cluster *c, struct node *n)
{
    char *path = node_path(c, n->number, "pid");
    (void)unlink(path);
    mem_free(path);
    if (n->pidfd >= 0) {
        (void)close(n->pidfd);
    }
    n->pid = 0;
    n->pidfd = -1;
}

/* $SHERDD, else sherdd beside this program, else by name (then PATH is searched). */
static char *server_program(void)
{
    char path[4096];
    const char *given = getenv("SHERDD");
    if (given != NULL && given[0] != '\0') {
        return mem_strdup(given);
    }
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n > 0) {
        path[n] = '\0';
        char *slash = strrchr(path, '/');
        if (slash != NULL) {
            *slash = '\0';
            char *beside = mem_printf("%s/sherdd", path);
            if (access(beside, X_OK) == 0) {
                return beside;
            }
            mem_free(beside);
        }
    }
    return mem_strdup("sherdd");
}

static struct status *record_pid(const struct cluster *c, const struct node *n)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%d %llu\n", (int)n->pid, start_time(n->pid));
    char *path = node_path(c, n->number, "pid");
    struct status *st = write_file(path, text);
    mem_free(path);
    return st;
}

/* In a session of its own, in its own folder, its output to a file; signals as at login. */
static struct status *spawn_server(const struct cluster *c, struct node *n)
{
    char *program = server_program();
    char *folder = node_path(c, n->number, "");
    char *args[] = {program, (char *)"--config", (char *)"sherd.yaml", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    (void)posix_spawn_file_actions_addchdir_np(&actions, folder);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_addopen(&actions, 1, "output", O_WRONLY | O_CREAT | O_TRUNC,
                                           0600);
    (void)posix_spawn_file_actions_adddup2(&actions, 1, 2);
    (void)posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setsigdefault(&attributes, &all);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
    int rc = posix_spawnp(&n->pid, program, &actions, &attributes, args, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    struct status *st = NULL;
    if (rc != 0) {
        n->pid = 0;
        st = status_hint(status_new(NOT_FOUND, "cannot start \"%s\": %s", program, strerror(rc)),
                         "The server is looked for beside this program, then in PATH.");
    } else {
        n->is_ours = true;
        n->pidfd = open_pidfd(n->pid);
        st = record_pid(c, n);
    }
    mem_free(program);
    mem_free(folder);
    return st;
}

/* ---- ports ---- */

static struct status *check_ports(const struct cluster *c, int number)
{
    for (int kind = 0; kind < PORT_KINDS; kind++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons(port_of(c, number, kind))};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int on = 1;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        int rc = bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address));
        int error = errno;
        (void)close(fd);
        if (rc != 0) {
            return status_hint(
                status_new(INVALID, "port %u, for %s of node %d, cannot be used: %s",
                           port_of(c, number, kind), port_names[kind], number, strerror(error)),
                c->exists
                    ? "Stop the process that uses it."
                    : "Stop the process that uses it, or choose other ports with --sql-port.");
        }
    }
    return NULL;
}

/* ---- readiness ---- */

/* The last lines of what a server printed, for its error message. */
static char *output_tail(const struct cluster *c, int number)
{
    char text[1024];
    char *path = node_path(c, number, "output");
    FILE *f = fopen(path, "r");
    size_t n = 0;
    if (f != NULL) {
        if (fseek(f, -(long)(sizeof(text) - 1), SEEK_END) != 0) {
            (void)fseek(f, 0, SEEK_SET);
        }
        n = fread(text, 1, sizeof(text) - 1, f);
        (void)fclose(f);
    }
    while (n > 0 && text[n - 1] == '\n') {
        n--;
    }
    text[n] = '\0';
    char *tail = n == 0 ? mem_printf("It printed nothing; see the log beside \"%s\".", path)
                        : mem_printf("It printed: %s", text);
    mem_free(path);
    return tail;
}

static struct status *ended_early(const struct cluster *c, struct node *n)
{
    int code = 0;
    (void)waitpid(n->pid, &code, 0);
    struct status *st =
        WIFSIGNALED(code) ? status_new(UNAVAILABLE, "node %d ended at its start by signal %d",
                                       n->number, WTERMSIG(code))
                          : status_new(UNAVAILABLE, "node %d ended at its start with exit code %d",
                                       n->number, WEXITSTATUS(code));
    char *tail = output_tail(c, n->number);
    st = status_detail(st, "%s", tail);
    mem_free(tail);
    n->is_ours = false;
    forget_process(c, n);
    return st;
}

static bool is_serving(const struct cluster *c, int number)
{
    struct grpc_sync *rpc = grpc_sync_create(LOOPBACK, port_of(c, number, PORT_GRPC));
    struct arena *a = arena_create(0);
    Grpc__Health__V1__HealthCheckRequest q = GRPC__HEALTH__V1__HEALTH_CHECK_REQUEST__INIT;
    void *reply = NULL;
    struct status *st = grpc_sync_connect(rpc, ATTEMPT_MS);
    if (st == NULL) {
        st = grpc_sync_unary(rpc, "/grpc.health.v1.Health/Check", &q,
                             &grpc__health__v1__health_check_response__descriptor, a, ATTEMPT_MS,
                             &reply);
    }
    bool is_well =
        st == NULL && ((Grpc__Health__V1__HealthCheckResponse *)reply)->status ==
                          GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
    status_free(st);
    arena_destroy(a);
    grpc_sync_destroy(rpc);
    return is_well;
}

/* Does SQL through this node work? NULL: yes. */
static struct status *try_sql(const struct cluster *c, int number)
{
    char endpoint[64];
    (void)snprintf(endpoint, sizeof(endpoint), "%s:%u", LOOPBACK, port_of(c, number, PORT_GRPC));
    struct sherd_options o = SHERD_OPTIONS_INIT;
    o.endpoints = endpoint;
    o.connect_timeout_ms = ATTEMPT_MS;
    sherd_connection *db = NULL;
    sherd_error *e = sherd_connect(&o, &db);
    if (e == NULL) {
        struct sherd_statement s = SHERD_STATEMENT_INIT;
        s.sql = "SELECT 1";
        s.timeout_ms = ATTEMPT_MS;
        e = sherd_execute_statement(db, &s, NULL);
    }
    sherd_disconnect(db);
    return (struct status *)e;
}

static struct status *still_waiting(const struct cluster *c, struct status *last)
{
    for (int i = 0; i < c->node_count; i++) {
        const struct node *n = &c->nodes[i];
        if (n->is_ours && !n->is_ready) {
            status_free(last);
            char *tail = output_tail(c, n->number);
            struct status *st =
                status_detail(status_new(TIMEOUT, "node %d does not answer within %d s", n->number,
                                         UP_TIMEOUT_MS / 1000),
                              "%s", tail);
            mem_free(tail);
            return st;
        }
    }
    return status_hint(
        status_wrap(last, "the cluster does not answer within %d s", UP_TIMEOUT_MS / 1000),
        "A majority of the nodes must run. Their logs are in \"%s/node1/log\" and so "
        "on.",
        c->dir);
}

/* Until the nodes that were started serve and, if with_sql, SQL works through one of them. */
static struct status *await_ready(struct cluster *c, bool with_sql)
{
    uint64_t end = now_ms() + UP_TIMEOUT_MS;
    struct status *last = NULL;
    for (;;) {
        bool is_all = true;
        int asked = 0;
        struct pollfd ends[NODES_MAX];
        nfds_t count = 0;
        for (int i = 0; i < c->node_count; i++) {
            struct node *n = &c->nodes[i];
            if (n->is_ours) {
                ends[count++] = (struct pollfd){.fd = n->pidfd, .events = POLLIN};
            }
            if (n->is_ours && !n->is_ready) {
                n->is_ready = is_serving(c, n->number);
                if (n->is_ready && with_sql) { /* it listens; does it answer? */
                    status_free(last);
                    last = try_sql(c, n->number);
                    n->is_ready = last == NULL;
                }
                is_all = is_all && n->is_ready;
            }
            asked = asked == 0 && is_running(n) ? n->number : asked;
        }
        if (is_all) {
            status_free(last);
            last = with_sql ? try_sql(c, asked) : NULL;
            if (last == NULL) {
                return NULL;
            }
        }
        if (now_ms() >= end) {
            return still_waiting(c, last);
        }
        if (poll(ends, count, POLL_MS) > 0) {
            for (int i = 0; i < c->node_count; i++) {
                struct node *n = &c->nodes[i];
                struct pollfd p = {.fd = n->pidfd, .events = POLLIN};
                if (n->is_ours && poll(&p, 1, 0) > 0) {
                    status_free(last);
                    return ended_early(c, n);
                }
            }
        }
    }
}

/* ---- showing ---- */

static void cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void cell(struct table *t, const char *fmt, ...)
{
    char text[64];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    table_cell(t, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* What the cluster says of itself, from the first node that answers; NULL when none does. */
static Sherd__V1__MetaStatusReply *ask_cluster(const struct cluster *c, struct arena *a)
{
    for (int i = 0; i < c->node_count; i++) {
        Sherd__V1__MetaStatusReply *reply = NULL;
        if (is_running(&c->nodes[i]) &&
            !status_consume(
                cluster_status(LOOPBACK, port_of(c, i + 1, PORT_GRPC), ATTEMPT_MS, a, &reply))) {
            return reply;
        }
    }
    return NULL;
}

static const Sherd__V1__NodeStatus *node_in(const Sherd__V1__MetaStatusReply *r, int number)
{
    for (size_t i = 0; r != NULL && i < r->n_nodes; i++) {
        const Sherd__V1__NodeStatus *n = r->nodes[i];
        if (n->node != NULL && n->node->address != NULL &&
            n->node->address->node_id == (uint64_t)number) {
            return n;
        }
    }
    return NULL;
}

static void show(const struct cluster *c)
{
    struct arena *a = arena_create(0);
    const Sherd__V1__MetaStatusReply *r = ask_cluster(c, a);
    static const struct table_format format = {0};
    struct table *t = table_create(&format, stdout);
    static const char *titles[] = {"node", "state", "pid",    "sql",  "grpc",
                                   "raft", "http",  "shards", "leads"};
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        table_column(t, titles[i], i != 1);
    }
    for (int i = 1; i <= c->node_count; i++) {
        const struct node *n = &c->nodes[i - 1];
        const Sherd__V1__NodeStatus *s = node_in(r, i);
        cell(t, "%d", i);
        cell(t, "%s", is_running(n) ? "up" : "down");
        if (is_running(n)) {
            cell(t, "%d", (int)n->pid);
        } else {
            cell(t, "-");
        }
        for (int kind = 0; kind < PORT_KINDS; kind++) {
            cell(t, "%u", port_of(c, i, kind));
        }
        if (is_running(n) && s != NULL) {
            cell(t, "%zu", s->n_replicas);
            cell(t, "%d", cluster_leads(s));
        } else {
            cell(t, "-");
            cell(t, "-");
        }
    }
    table_finish(t, false);
    if (r == NULL) {
        printf("The cluster does not answer.\n");
    }
    arena_destroy(a);
}

/* ---- the commands ---- */

static int running_count(const struct cluster *c)
{
    int n = 0;
    for (int i = 0; i < c->node_count; i++) {
        n += is_running(&c->nodes[i]);
    }
    return n;
}

static struct status *start_node(struct cluster *c, struct node *n)
{
    char *folder = node_path(c, n->number, "");
    struct status *st = make_dirs(folder);
    mem_free(folder);
    TRY(st);
    TRY(write_config(c, n->number));
    return spawn_server(c, n);
}

static struct status *up(struct cluster *c)
{
    int before = running_count(c);
    for (int i = 0; i < c->node_count; i++) {
        if (!is_running(&c->nodes[i])) {
            TRY(check_ports(c, i + 1));
        }
    }
    if (!c->exists) {
        char *path = mem_printf("%s/cluster", c->dir);
        char text[64];
        (void)snprintf(text, sizeof(text), "nodes %d\nsql_port %u\n", c->node_count, c->sql_port);
        struct status *st = write_file(path, text);
        mem_free(path);
        TRY(st);
    }
    for (int i = 0; i < c->node_count; i++) {
        if (!is_running(&c->nodes[i])) {
            TRY(start_node(c, &c->nodes[i]));
        }
    }
    TRY(await_ready(c, true));
    if (before == c->node_count) {
        printf("The cluster in %s is up already.\n", c->dir);
    } else {
        printf("The cluster in %s is up.\n", c->dir);
    }
    show(c);
    printf("SQL: psql -h %s -p %u -U sherd sherd, or sherd sql -p %u\n", LOOPBACK,
           port_of(c, 1, PORT_SQL), port_of(c, 1, PORT_GRPC));
    return NULL;
}

static struct status *down(struct cluster *c)
{
    int count = running_count(c);
    if (count == 0) {
        printf("The cluster in %s is not running.\n", c->dir);
        return NULL;
    }
    for (int i = 0; i < c->node_count; i++) {
        if (is_running(&c->nodes[i])) {
            (void)kill(c->nodes[i].pid, SIGTERM);
        }
    }
    uint64_t end = now_ms() + DOWN_TIMEOUT_MS;
    for (int i = 0; i < c->node_count; i++) {
        struct node *n = &c->nodes[i];
        if (!is_running(n)) {
            continue;
        }
        uint64_t now = now_ms();
        if (!await_end(n, now < end ? (int)(end - now) : 0)) {
            printf("Node %d did not end within %d s and is killed.\n", n->number,
                   DOWN_TIMEOUT_MS / 1000);
            (void)kill(n->pid, SIGKILL);
            if (!await_end(n, KILL_TIMEOUT_MS)) {
                return status_new(TIMEOUT, "node %d (process %d) does not end", n->number,
                                  (int)n->pid);
            }
        }
        forget_process(c, n);
    }
    printf("The cluster in %s is down (%d node%s). Its data stays.\n", c->dir, count,
           count == 1 ? "" : "s");
    return NULL;
}

static struct status *kill_node(struct cluster *c, struct node *n)
{
    if (!is_running(n)) {
        printf("Node %d is not running.\n", n->number);
        return NULL;
    }
    (void)kill(n->pid, SIGKILL);
    if (!await_end(n, KILL_TIMEOUT_MS)) {
        return status_new(TIMEOUT, "node %d (process %d) does not end", n->number, (int)n->pid);
    }
    printf("Node %d (process %d) is killed.\n", n->number, (int)n->pid);
    forget_process(c, n);
    return NULL;
}

static struct status *start(struct cluster *c, struct node *n)
{
    if (is_running(n)) {
        printf("Node %d is running already (process %d).\n", n->number, (int)n->pid);
        return NULL;
    }
    TRY(check_ports(c, n->number));
    TRY(start_node(c, n));
    int running = 0;
    for (int i = 0; i < c->node_count; i++) {
        running += is_running(&c->nodes[i]);
    }
    /* Without a majority it can only wait for the others. */
    TRY(await_ready(c, running > c->node_count / 2));
    printf("Node %d is started (process %d).\n", n->number, (int)n->pid);
    return NULL;
}

/* ---- arguments ---- */

struct arguments {
    const char *command;
    long number; /* of kill and start */
    const char *dir;
    long nodes; /* 0 = not given */
    uint16_t sql_port;
};

/* Absolute, so that it means the same in every message and to every process. */
static char *absolute(const char *dir)
{
    if (dir != NULL && dir[0] == '/') {
        return mem_strdup(dir);
    }
    if (dir != NULL) {
        char *cwd = getcwd(NULL, 0);
        char *path = mem_printf("%s/%s", cwd == NULL ? "." : cwd, dir);
        free(cwd);
        return path;
    }
    const char *home = getenv("HOME");
    return mem_printf("%s/.sherd/local", home == NULL || home[0] == '\0' ? "/tmp" : home);
}

static struct status *lock_cluster(struct cluster *c)
{
    char *path = mem_printf("%s/lock", c->dir);
    c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct status *st = NULL;
    if (c->lock_fd < 0) {
        st = status_new(IO, "cannot open \"%s\": %s", path, strerror(errno));
    } else if (flock(c->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        st = status_new(UNAVAILABLE, "another \"sherd local\" command works on \"%s\"", c->dir);
    }
    mem_free(path);
    return st;
}

/* Opens the cluster of DIR; `up` may make it. */
static struct status *open_cluster(const struct arguments *a, struct cluster *c)
{
    bool is_up = strcmp(a->command, "up") == 0;
    c->lock_fd = -1;
    c->dir = absolute(a->dir);
    c->node_count = a->nodes == 0 ? NODES_DEFAULT : (int)a->nodes;
    c->sql_port = a->sql_port == 0 ? SQL_PORT_DEFAULT : a->sql_port;
    TRY(read_cluster(c));
    if (!c->exists && !is_up) {
        return status_hint(status_new(NOT_FOUND, "there is no cluster in \"%s\"", c->dir),
                           "\"sherd local up\" makes one; --dir names another folder.");
    }
    if (c->exists && is_up && a->nodes != 0 && a->nodes != c->node_count) {
        return status_hint(status_new(INVALID, "the cluster in \"%s\" has %d nodes, not %ld",
                                      c->dir, c->node_count, a->nodes),
                           "Leave --nodes out, or choose another folder with --dir.");
    }
    if (c->exists && is_up && a->sql_port != 0 && a->sql_port != c->sql_port) {
        return status_hint(status_new(INVALID, "the cluster in \"%s\" has SQL port %u, not %u",
                                      c->dir, c->sql_port, a->sql_port),
                           "Leave --sql-port out, or choose another folder with --dir.");
    }
    if (c->sql_port + PORTS_PER_NODE * (c->node_count - 1) + PORT_HTTP > 65535) {
        return status_new(INVALID, "%d nodes from port %u on need ports above 65535", c->node_count,
                          c->sql_port);
    }
    if (a->number > c->node_count) {
        return status_new(INVALID, "there is no node %ld: the cluster has %d", a->number,
                          c->node_count);
    }
    TRY(make_dirs(c->dir));
    if (strcmp(a->command, "status") != 0) {
        TRY(lock_cluster(c));
    }
    for (int i = 0; i < c->node_count; i++) {
        c->nodes[i].number = i + 1;
        find_process(c, &c->nodes[i]);
    }
    return NULL;
}

static int parse(int argc, char **argv, struct arguments *a)
{
    static const struct option options[] = {{"nodes", required_argument, NULL, 'n'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"sql-port", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            if (!parse_number(optarg, 1, NODES_MAX, &a->nodes)) {
                return usage_error("local", "--nodes is a number from 1 to %d", NODES_MAX);
            }
            break;
        case 'd':
            a->dir = optarg;
            break;
        case 'p':
            if (!parse_port(optarg, &a->sql_port)) {
                return usage_error("local", "\"%s\" is not a port", optarg);
            }
            break;
        default:
            return usage_error("local", "wrong arguments");
        }
    }
    if (optind == argc) {
        return usage_error("local", "one of up, status, down, kill, start is missing");
    }
    a->command = argv[optind++];
    bool has_number = strcmp(a->command, "kill") == 0 || strcmp(a->command, "start") == 0;
    bool is_known = has_number || strcmp(a->command, "up") == 0 ||
                    strcmp(a->command, "status") == 0 || strcmp(a->command, "down") == 0;
    if (!is_known) {
        return usage_error("local", "there is no \"%s\"", a->command);
    }
    if (has_number && (optind == argc || !parse_number(argv[optind++], 1, NODES_MAX, &a->number))) {
        return usage_error("local", "%s needs the number of a node", a->command);
    }
    if (optind < argc) {
        return usage_error("local", "unexpected argument \"%s\"", argv[optind]);
    }
    if (strcmp(a->command, "up") != 0 && (a->nodes != 0 || a->sql_port != 0)) {
        return usage_error("local", "--nodes and --sql-port belong to up");
    }
    return EXIT_OK;
}

int command_local(int argc, char **argv)
{
    struct arguments a = {0};
    int code = parse(argc, argv, &a);
    if (code != EXIT_OK) {
        return code;
    }
    struct cluster c = {0};
    struct status *st = open_cluster(&a, &c);
    if (st == NULL && strcmp(a.command, "up") == 0) {
        st = up(&c);
    } else if (st == NULL && strcmp(a.command, "down") == 0) {
        st = down(&c);
    } else if (st == NULL && strcmp(a.command, "kill") == 0) {
        st = kill_node(&c, &c.nodes[a.number - 1]);
    } else if (st == NULL && strcmp(a.command, "start") == 0) {
        st = start(&c, &c.nodes[a.number - 1]);
    } else if (st == NULL) {
        show(&c);
    }
    for (int i = 0; i < c.node_count; i++) {
        if (c.nodes[i].number != 0 && c.nodes[i].pidfd >= 0) {
            (void)close(c.nodes[i].pidfd);
        }
    }
    if (c.lock_fd >= 0) {
        (void)close(c.lock_fd);
    }
    mem_free(c.dir);
    return st == NULL ? EXIT_OK : report(st, EXIT_FAILED);
}
