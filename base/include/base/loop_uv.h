/* The real loop, on libuv. One per thread that runs business code; a node has one. */
#ifndef BASE_LOOP_UV_H
#define BASE_LOOP_UV_H

#include "base/loop.h"
#include "base/status.h"

struct loop *loop_uv_create(void);
/* Runs until loop_uv_stop(). Call on the thread that owns the loop. */
void loop_uv_run(struct loop *l);
void loop_uv_stop(struct loop *l); /* on the loop's thread */
/* All handles must be closed; runs the loop until their close callbacks have fired. */
void loop_uv_destroy(struct loop *l);
/* fn(ctx) on the loop when the signal arrives. */
struct status *loop_uv_on_signal(struct loop *l, int signum, void (*fn)(int signum, void *ctx),
                                 void *ctx) STATUS_MUST_CHECK;
/* The uv_loop_t behind it: for base/tcp.c only. */
void *loop_uv_handle(struct loop *l);

#endif
