/* grpc_hub.h: the completion queue of a loop and its thread. */
#include "grpc_hub.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>

#define BATCH_MAX 512 /* completions handed over at once */

struct grpc_hub {
    struct list link; /* in hubs */
    struct loop *loop;
    grpc_completion_queue *queue;
    pthread_t thread;
    int refs;
    struct task task;     /* posted by the thread when the inbox was empty */
    pthread_mutex_t lock; /* guards inbox */
    struct list inbox;    /* grpc_tag.link */
};

/* Loops of several threads may make hubs at once (tests): the lock guards `hubs`. */
static pthread_mutex_t hubs_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list hubs = {&hubs, &hubs};

/* ---- the queue's thread ---- */

static void *hub_main(void *arg)
{
    struct grpc_hub *h = arg;
    (void)pthread_setname_np(pthread_self(), "grpc-queue");
    gpr_timespec never = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    gpr_timespec now = gpr_inf_past(GPR_CLOCK_MONOTONIC);
    for (;;) {
        grpc_event ev = grpc_completion_queue_next(h->queue, never, NULL);
        struct list batch;
        list_head_init(&batch);
        for (int n = 0; ev.type == GRPC_OP_COMPLETE; n++) {
            struct grpc_tag *t = ev.tag;
            GRPC_TAG_TAKE(t);
            t->ok = ev.success != 0;
            list_push_back(&batch, &t->link);
            if (n == BATCH_MAX) {
                break;
            }
            ev = grpc_completion_queue_next(h->queue, now, NULL);
        }
        if (!list_is_empty(&batch)) {
            pthread_mutex_lock(&h->lock);
            bool was_empty = list_is_empty(&h->inbox);
            list_splice_back(&h->inbox, &batch);
            pthread_mutex_unlock(&h->lock);
            if (was_empty) {
                loop_post(h->loop, &h->task);
            }
        }
        if (ev.type == GRPC_QUEUE_SHUTDOWN) {
            return NULL;
        }
    }
}

static void hub_run(struct task *t)
{
    struct grpc_hub *h = CONTAINER_OF(t, struct grpc_hub, task);
    struct list batch;
    list_head_init(&batch);
    pthread_mutex_lock(&h->lock);
    list_splice_back(&batch, &h->inbox);
    pthread_mutex_unlock(&h->lock);
    h->refs++; /* a completion may put the last one */
    struct list *it;
    while ((it = list_pop_front(&batch)) != NULL) {
        struct grpc_tag *tag = LIST_ITEM(it, struct grpc_tag, link);
        tag->done(tag, tag->ok);
    }
    grpc_hub_put(h);
}

struct grpc_hub *grpc_hub_get(struct loop *l)
{
    pthread_mutex_lock(&hubs_lock);
    LIST_FOREACH(it, &hubs)
    {
        struct grpc_hub *h = LIST_ITEM(it, struct grpc_hub, link);
        if (h->loop == l) {
            h->refs++;
            pthread_mutex_unlock(&hubs_lock);
            return h;
        }
    }
    grpc_library_ref();
    struct grpc_hub *h = MEM_NEW(struct grpc_hub);
    h->loop = l;
    h->refs = 1;
    h->queue = grpc_completion_queue_create_for_next(NULL);
    h->task.run = hub_run;
    pthread_mutex_init(&h->lock, NULL);
    list_head_init(&h->inbox);
    list_push_back(&hubs, &h->link);
    pthread_mutex_unlock(&hubs_lock);
    if (pthread_create(&h->thread, NULL, hub_main, h) != 0) {
        fatal("could not start the gRPC queue thread");
    }
    return h;
}

void grpc_hub_put(struct grpc_hub *h)
{
    ASSERT(h->refs > 0);
    if (--h->refs > 0) {
        return;
    }
    pthread_mutex_lock(&hubs_lock);
    list_unlink(&h->link);
    pthread_mutex_unlock(&hubs_lock);
    grpc_completion_queue_shutdown(h->queue);
    pthread_join(h->thread, NULL);
    ASSERT(list_is_empty(&h->inbox));
    grpc_completion_queue_destroy(h->queue);
    pthread_mutex_destroy(&h->lock);
    mem_free(h);
    grpc_library_unref();
}

grpc_completion_queue *grpc_hub_queue(struct grpc_hub *h)
{
    return h->queue;
}

struct loop *grpc_hub_loop(struct grpc_hub *h)
{
    return h->loop;
}
