/*
 * What a call over the node link costs: `rpc_bench [-k in_flight] [-b bytes] [-s seconds]`.
 *
 * Two processes on loopback, the callee started by this one. Each of k fibers calls in a closed
 * loop; the handler answers with as many bytes as it got. Printed: calls a second, median and 99th
 * percentile of the latency, and CPU microseconds per call of both processes together, which is the
 * figure that holds on a loaded machine.
 */
#include "api/grpc.h"

#include "base/check.h"
#include "base/log.h"
#include "base/loop_uv.h"
#include "base/mem.h"
#include "sherd/v1/metadata.pb-c.h"

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAMPLES_MAX (1u << 20)

struct bench {
    struct loop *loop;
    struct grpc_front *front;
    struct rpc_link *link;
    struct rpc_node *node;
    uint64_t own;
    uint16_t peer_port;
    int in_flight;
    size_t bytes;
    uint64_t seconds;
    uint8_t *payload;
    uint64_t end_ns;
    uint64_t calls;
    uint64_t errors;
    uint32_t *samples; /* microseconds */
};

static bool resolve(void *ctx, uint64_t node_id, char *out_host, size_t host_size,
                    uint16_t *out_port)
{
    struct bench *b = ctx;
    (void)node_id;
    if (b->peer_port == 0) {
        return false;
    }
    (void)snprintf(out_host, host_size, "127.0.0.1");
    *out_port = b->peer_port;
    return true;
}

static struct status *echo(struct fiber *f, struct rpc_context *ctx, const void *request,
                           void **out_reply, void *handler_ctx)
{
    (void)f;
    struct bench *b = handler_ctx;
    (void)request;
    Sherd__V1__MetaWatchReply *reply = arena_alloc(ctx->arena, sizeof(*reply));
    sherd__v1__meta_watch_reply__init(reply);
    reply->n_changes = 1;
    reply->changes = ARENA_ARRAY(ctx->arena, Sherd__V1__MetaChange *, 1);
    reply->changes[0] = ARENA_NEW(ctx->arena, Sherd__V1__MetaChange);
    sherd__v1__meta_change__init(reply->changes[0]);
    reply->changes[0]->value = (ProtobufCBinaryData){b->bytes, b->payload};
    *out_reply = reply;
    return NULL;
}

static void open_node(struct bench *b)
{
    struct status *st = grpc_front_create(b->loop, "127.0.0.1", 0, &b->front);
    if (st != NULL) {
        fatal("%s", st->message);
    }
    b->link = grpc_link_create(b->loop, b->front, b->own, 1, resolve, b);
    b->node = rpc_node_create(b->loop, b->own, b->link);
    rpc_register(b->node, RPC_META_WATCH, echo, b, false);
    grpc_front_start(b->front);
}

/* ---- the callee ---- */

static void callee_stop(int signum, void *ctx)
{
    (void)signum;
    loop_uv_stop(((struct bench *)ctx)->loop);
}

static int callee(struct bench *b)
{
    b->own = 2;
    open_node(b);
    printf("%u\n", grpc_front_port(b->front));
    (void)fflush(stdout);
    if (status_consume(loop_uv_on_signal(b->loop, SIGTERM, callee_stop, b))) {
        return 1;
    }
    loop_uv_run(b->loop);
    return 0; /* the process ends: nothing to tidy */
}

/* ---- the caller ---- */

static void caller_fiber(struct fiber *f, void *arg)
{
    struct bench *b = arg;
    while (loop_now_ns(b->loop) < b->end_ns) {
        struct arena *a = arena_create(0);
        Sherd__V1__MetaWatchRequest r = SHERD__V1__META_WATCH_REQUEST__INIT;
        r.revision = 1;
        void *reply = NULL;
        uint64_t start = loop_clock_ns(b->loop);
        if (status_consume(rpc_call(f, b->node, 2, RPC_META_WATCH, &r, a, &reply))) {
            b->errors++;
        }
        if (b->calls < SAMPLES_MAX) {
            b->samples[b->calls] = (uint32_t)((loop_clock_ns(b->loop) - start) / 1000);
        }
        b->calls++;
        arena_destroy(a);
    }
}

static void caller_main(struct fiber *f, void *arg)
{
    struct bench *b = arg;
    while (!b->link->is_connected(b->link, 2)) {
        status_free(fiber_sleep(f, ms_to_ns(1)));
    }
    struct fan fan;
    fan_init(&fan);
    b->end_ns = loop_clock_ns(b->loop) + ms_to_ns(b->seconds * 1000);
    for (int i = 0; i < b->in_flight; i++) {
        fan_spawn(f, &fan, FIBER_STACK_SMALL, caller_fiber, b);
    }
    fan_wait(f, &fan);
    loop_uv_stop(b->loop);
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double cpu_us(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1e6 +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec);
}

static pid_t start_callee(struct bench *b)
{
    int fds[2];
    if (pipe(fds) != 0) {
        fatal("no pipe");
    }
    char bytes[32];
    (void)snprintf(bytes, sizeof(bytes), "%zu", b->bytes);
    char *args[] = {(char *)"rpc_bench", (char *)"--callee", bytes, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    pid_t pid;
    if (posix_spawn(&pid, "/proc/self/exe", &actions, NULL, args, environ) != 0) {
        fatal("the callee does not start");
    }
    posix_spawn_file_actions_destroy(&actions);
    (void)close(fds[1]);
    FILE *in = fdopen(fds[0], "r");
    char line[32];
    if (in == NULL || fgets(line, sizeof(line), in) == NULL) {
        fatal("the callee does not answer");
    }
    b->peer_port = (uint16_t)strtoul(line, NULL, 10);
    (void)fclose(in);
    return pid;
}

static int caller(struct bench *b)
{
    pid_t pid = start_callee(b);
    b->own = 1;
    b->samples = mem_zalloc(SAMPLES_MAX * sizeof(uint32_t));
    open_node(b);
    fiber_spawn(b->loop, FIBER_STACK_LARGE, caller_main, b);
    loop_uv_run(b->loop);
    struct rusage own;
    struct rusage other;
    getrusage(RUSAGE_SELF, &own);
    (void)kill(pid, SIGTERM);
    int code;
    (void)wait4(pid, &code, 0, &other);
    size_t n = b->calls < SAMPLES_MAX ? b->calls : SAMPLES_MAX;
    qsort(b->samples, n, sizeof(uint32_t), compare);
    printf("in_flight=%d bytes=%zu calls/s=%.0f p50_us=%u p99_us=%u cpu_us/call=%.2f "
           "(caller %.2f callee %.2f) errors=%llu\n",
           b->in_flight, b->bytes, (double)b->calls / (double)b->seconds, b->samples[n / 2],
           b->samples[n * 99 / 100], (cpu_us(&own) + cpu_us(&other)) / (double)b->calls,
           cpu_us(&own) / (double)b->calls, cpu_us(&other) / (double)b->calls,
           (unsigned long long)b->errors);
    return b->errors == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct bench b = {.in_flight = 64, .bytes = 100, .seconds = 3};
    log_set_level(LOG_ERROR);
    bool is_callee = argc > 2 && strcmp(argv[1], "--callee") == 0;
    if (is_callee) {
        b.bytes = strtoul(argv[2], NULL, 10);
    } else {
        int c;
        while ((c = getopt(argc, argv, "k:b:s:")) != -1) {
            switch (c) {
            case 'k':
                b.in_flight = (int)strtol(optarg, NULL, 10);
                break;
            case 'b':
                b.bytes = strtoul(optarg, NULL, 10);
                break;
            case 's':
                b.seconds = strtoul(optarg, NULL, 10);
                break;
            default:
                fprintf(stderr, "usage: rpc_bench [-k in_flight] [-b bytes] [-s seconds]\n");
                return 2;
            }
        }
    }
    b.payload = mem_zalloc(b.bytes + 1);
    b.loop = loop_uv_create();
    return is_callee ? callee(&b) : caller(&b);
}
