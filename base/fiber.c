/*
 * Fibers over a loop: see base/fiber.h.
 *
 * A fiber is a stack (mmap, with a guard page below) whose top holds its struct. It is resumed only
 * by a task of its loop's deferred queue, from the loop's own stack, and always switches back
 * there: fibers never switch to each other, so a wake-up is fair and the loop's stack stays
 * shallow.
 *
 *            spawn                 task runs              fn returns
 *      (new) -----> FIBER_READY ------------> FIBER_RUNNING -------> stack recycled
 *                        ^                     |        |
 *                  wake, |               yield |        | park
 *        cancel/deadline |     FIBER_READY <---+        v
 *                        +------------------------ FIBER_PARKED
 *
 * A wake sets `is_woken`; park consumes it. A park looks at the wake first, then at cancel, then at
 * the deadline: a result that has arrived is not lost to a cancel. The deadline's timer is armed at
 * the first park under it and then left alone until the deadline changes.
 *
 * The switch is Boost.Context's jump_fcontext (assembly, saves the callee-saved registers only).
 * ASan is told of the stack's bounds at each switch, TSan of a fiber per stack.
 */
#include "base/fiber.h"

#include "base/check.h"
#include "loop_internal.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef SHERD_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SHERD_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* Boost.Context's C entry points; the packaged header is C++ only. */
typedef void *fcontext_t;
struct transfer {
    fcontext_t from;
    void *data;
};
fcontext_t make_fcontext(void *stack_top, size_t size, void (*fn)(struct transfer t));
struct transfer jump_fcontext(fcontext_t to, void *data);

#define STACK_KINDS 3
#define PAGE 4096u

#if defined(SHERD_ASAN) || defined(SHERD_TSAN)
#define STACK_FACTOR 4u /* instrumented frames are larger */
#else
#define STACK_FACTOR 1u
#endif

static const size_t stack_bytes[STACK_KINDS] = {
    [FIBER_STACK_SMALL] = ((size_t)64 << 10) * STACK_FACTOR,
    [FIBER_STACK_LARGE] = ((size_t)512 << 10) * STACK_FACTOR,
    [FIBER_STACK_PARSE] = ((size_t)8 << 20) * STACK_FACTOR,
};
static const int stack_keep[STACK_KINDS] = {256, 64, 2};
/* What a cached stack may keep of the memory that it touched. */
#define STACK_WARM_BYTES ((size_t)(32u << 10) * STACK_FACTOR)
/* Statements end all the time, and looking is a system call: one in so many is looked at. */
#define STACK_LARGE_LOOK_EVERY 8

enum fiber_state { FIBER_READY, FIBER_RUNNING, FIBER_PARKED };

struct fiber {
    struct task task;       /* resumes it */
    struct list link;       /* in sched->fibers */
    struct list child_link; /* in fan->children, or linked to itself */
    struct list wait_link;  /* in the waiters of what it waits on: one thing at a time */
    bool is_served;         /* by what it waited on */
    struct loop *loop;
    struct fiber_sched *sched;
    fcontext_t context;
    void (*fn)(struct fiber *f, void *arg);
    void *arg;
    struct fan *fan; /* to tell at the end, or NULL */
    uint64_t deadline_ns;
    struct timer timer; /* of the deadline */
    enum fiber_state state;
    enum fiber_stack stack_kind;
    bool is_woken;
    bool is_cancelled;
    int mask_depth;           /* > 0: cancel and deadline wait for fiber_unmask() */
    bool is_cancelled_masked; /* what unmasking brings back */
    uint64_t deadline_masked;
    bool is_hard; /* parked without looking at cancel and deadline */
    bool is_ended;
    uint8_t *stack_low; /* lowest usable byte */
#ifdef SHERD_ASAN
    void *fake_stack;
#endif
#ifdef SHERD_TSAN
    void *tsan_fiber;
#endif
};

/* The struct sits at the top of the stack, rounded so that the stack below starts aligned. */
#define FIBER_STRUCT_BYTES ((sizeof(struct fiber) + 63) & ~(size_t)63)

struct fiber_sched {
    struct loop *loop;
    struct list fibers;
    fcontext_t main_context; /* of the loop's stack, while a fiber runs */
#ifdef SHERD_ASAN
    const void *main_low;
    size_t main_size;
    void *main_fake_stack;
#endif
#ifdef SHERD_TSAN
    void *main_tsan_fiber;
#endif
};

static _Thread_local struct fiber *current_fiber;

/* ---- stacks ---- */

struct free_stack { /* at the low end of a cached stack's top page */
    struct free_stack *next;
    uint8_t *low;
};

struct stack_cache {
    struct free_stack *free[STACK_KINDS];
    int count[STACK_KINDS];
    unsigned large_puts;
    bool is_registered;
};

static _Thread_local struct stack_cache stacks;
static pthread_key_t stacks_key;
static pthread_once_t stacks_once = PTHREAD_ONCE_INIT;

static void stack_unmap(enum fiber_stack kind, uint8_t *low)
{
    (void)munmap(low - PAGE, stack_bytes[kind] + PAGE);
}

static void stacks_drop(void *arg)
{
    struct stack_cache *c = arg;
    for (int k = 0; k < STACK_KINDS; k++) {
        while (c->free[k] != NULL) {
            struct free_stack *s = c->free[k];
            c->free[k] = s->next;
            stack_unmap((enum fiber_stack)k, s->low);
        }
        c->count[k] = stack_keep[k]; /* the thread is ending: keep nothing more */
    }
}

static void stacks_key_make(void)
{
    ASSERT(pthread_key_create(&stacks_key, stacks_drop) == 0);
}

static uint8_t *stack_get(enum fiber_stack kind)
{
    struct free_stack *s = stacks.free[kind];
    if (s != NULL) {
        stacks.free[kind] = s->next;
        stacks.count[kind]--;
        return s->low;
    }
    size_t size = stack_bytes[kind] + PAGE;
    uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (p == MAP_FAILED || mprotect(p, PAGE, PROT_NONE) != 0) {
        fatal("could not map a fiber stack of %zu bytes: %s", size, strerror(errno));
    }
    return p + PAGE;
}

/* Gives back the pages of a deep excursion. */
static void stack_cool(enum fiber_stack kind, uint8_t *low)
{
    size_t cold = stack_bytes[kind] > STACK_WARM_BYTES ? stack_bytes[kind] - STACK_WARM_BYTES : 0;
    if (cold == 0 || kind == FIBER_STACK_SMALL) {
        return;
    }
    if (kind == FIBER_STACK_LARGE && ++stacks.large_puts % STACK_LARGE_LOOK_EVERY != 0) {
        return;
    }
    unsigned char is_resident = 0;
    uint8_t *deepest_warm = low + cold - PAGE;
    if (mincore(deepest_warm, PAGE, &is_resident) == 0 && (is_resident & 1) == 0) {
        return; /* it did not get that deep */
    }
    (void)madvise(low, cold, MADV_DONTNEED);
}

static void stack_put(enum fiber_stack kind, uint8_t *low)
{
#ifdef SHERD_ASAN
    /* The last frames were left without returning. */
    ASAN_UNPOISON_MEMORY_REGION(low, stack_bytes[kind]);
#endif
    if (stacks.count[kind] >= stack_keep[kind]) {
        stack_unmap(kind, low);
        return;
    }
    if (!stacks.is_registered) {
        stacks.is_registered = true;
        pthread_once(&stacks_once, stacks_key_make);
        pthread_setspecific(stacks_key, &stacks);
    }
    stack_cool(kind, low);
    struct free_stack *s = (struct free_stack *)(void *)(low + stack_bytes[kind] - PAGE);
    s->low = low;
    s->next = stacks.free[kind];
    stacks.free[kind] = s;
    stacks.count[kind]++;
}

/* ---- switching ---- */

static void free_fiber(struct fiber *f)
{
    timer_stop(&f->timer);
    list_unlink(&f->link);
#ifdef SHERD_TSAN
    __tsan_destroy_fiber(f->tsan_fiber);
#endif
    stack_put(f->stack_kind, f->stack_low);
}

/* On the loop's stack: runs the fiber until it parks, yields or ends. */
static void resume(struct fiber *f)
{
    struct fiber_sched *sched = f->sched;
    ASSERT(current_fiber == NULL);
    ASSERT(f->state == FIBER_READY);
    f->state = FIBER_RUNNING;
    current_fiber = f;
#ifdef SHERD_ASAN
    __sanitizer_start_switch_fiber(&sched->main_fake_stack, f->stack_low,
                                   stack_bytes[f->stack_kind]);
#endif
#ifdef SHERD_TSAN
    sched->main_tsan_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->tsan_fiber, 0);
#endif
    struct transfer t = jump_fcontext(f->context, f);
#ifdef SHERD_ASAN
    __sanitizer_finish_switch_fiber(sched->main_fake_stack, NULL, NULL);
#endif
    (void)sched;
    current_fiber = NULL;
    f->context = t.from;
    if (f->is_ended) {
        free_fiber(f);
    }
}

/* On the fiber's stack: back to the loop. Returns when resumed. */
static void leave(struct fiber *f)
{
    struct fiber_sched *sched = f->sched;
#ifdef SHERD_ASAN
    __sanitizer_start_switch_fiber(f->is_ended ? NULL : &f->fake_stack, sched->main_low,
                                   sched->main_size);
#endif
#ifdef SHERD_TSAN
    __tsan_switch_to_fiber(sched->main_tsan_fiber, 0);
#endif
    struct transfer t = jump_fcontext(sched->main_context, NULL);
#ifdef SHERD_ASAN
    __sanitizer_finish_switch_fiber(f->fake_stack, &sched->main_low, &sched->main_size);
#endif
    sched->main_context = t.from;
}

static void entry(struct transfer t)
{
    struct fiber *f = t.data;
#ifdef SHERD_ASAN
    __sanitizer_finish_switch_fiber(NULL, &f->sched->main_low, &f->sched->main_size);
#endif
    f->sched->main_context = t.from;
    f->fn(f, f->arg);
    list_unlink(&f->child_link);
    if (f->fan != NULL) {
        fan_done(f->fan);
    }
    f->is_ended = true;
    leave(f);
    ASSERT_MSG(false, "a fiber that has ended was resumed");
}

static void resume_task(struct task *t)
{
    resume(CONTAINER_OF(t, struct fiber, task));
}

/* ---- life ---- */

static struct fiber_sched *sched_of(struct loop *l)
{
    struct fiber_sched **slot = loop_fiber_sched(l);
    if (*slot == NULL) {
        struct fiber_sched *sched = MEM_NEW(struct fiber_sched);
        sched->loop = l;
        list_head_init(&sched->fibers);
        *slot = sched;
    }
    return *slot;
}

/* The fibers that are left are parked for ever: only their stacks can be taken back. */
void fiber_sched_destroy(struct fiber_sched *sched)
{
    if (sched == NULL) {
        return;
    }
    struct list *item;
    while ((item = list_pop_front(&sched->fibers)) != NULL) {
        struct fiber *f = LIST_ITEM(item, struct fiber, link);
#ifdef SHERD_TSAN
        __tsan_destroy_fiber(f->tsan_fiber);
#endif
        stack_put(f->stack_kind, f->stack_low);
    }
    mem_free(sched);
}

static void deadline_fire(struct timer *t);

struct fiber *fiber_spawn(struct loop *l, enum fiber_stack stack,
                          void (*fn)(struct fiber *f, void *arg), void *arg)
{
    uint8_t *low = stack_get(stack);
    uint8_t *top = low + stack_bytes[stack] - FIBER_STRUCT_BYTES;
    struct fiber *f = (struct fiber *)(void *)top;
    *f = (struct fiber){.loop = l, .fn = fn, .arg = arg, .stack_kind = stack, .stack_low = low};
    f->sched = sched_of(l);
    f->task.run = resume_task;
    f->timer.fire = deadline_fire;
    f->context = make_fcontext(top, (size_t)(top - low), entry);
    list_head_init(&f->child_link);
#ifdef SHERD_TSAN
    f->tsan_fiber = __tsan_create_fiber(0);
#endif
    list_push_back(&f->sched->fibers, &f->link);
    f->state = FIBER_READY;
    loop_defer(l, &f->task);
    return f;
}

struct loop *fiber_loop(struct fiber *f)
{
    return f->loop;
}

struct fiber *fiber_current(void)
{
    return current_fiber;
}

size_t fiber_stack_left(void)
{
    static _Thread_local uint8_t *thread_low;
    uint8_t *here = __builtin_frame_address(0);
    uint8_t *low = thread_low;
    if (current_fiber != NULL) {
        low = current_fiber->stack_low;
    } else if (low == NULL) {
        pthread_attr_t attr;
        void *addr = here;
        size_t size = 0;
        if (pthread_getattr_np(pthread_self(), &attr) == 0) {
            (void)pthread_attr_getstack(&attr, &addr, &size);
            pthread_attr_destroy(&attr);
        }
        thread_low = low = addr;
    }
    return here > low ? (size_t)(here - low) : 0;
}

/* ---- park and wake ---- */

static void make_ready(struct fiber *f)
{
    if (f->state == FIBER_PARKED) {
        f->state = FIBER_READY;
        loop_defer(f->loop, &f->task);
    }
}

void fiber_wake(struct fiber *f)
{
    f->is_woken = true;
    make_ready(f);
}

static void deadline_fire(struct timer *t)
{
    struct fiber *f = CONTAINER_OF(t, struct fiber, timer);
    if (!f->is_hard) {
        make_ready(f);
    }
}

static bool deadline_passed(const struct fiber *f)
{
    return f->deadline_ns != 0 && loop_turn_now(f->loop) >= f->deadline_ns;
}

struct status *fiber_check(struct fiber *f)
{
    if (f->is_cancelled) {
        return &status_cancelled;
    }
    return deadline_passed(f) ? &status_timeout : NULL;
}

static void arm_deadline(struct fiber *f)
{
    if (f->deadline_ns == 0 || timer_is_armed(&f->timer)) {
        return; /* a change of the deadline stops the timer: an armed one is right */
    }
    uint64_t now = loop_turn_now(f->loop);
    timer_start(f->loop, &f->timer, f->deadline_ns > now ? f->deadline_ns - now : 0);
}

struct status *fiber_park(struct fiber *f)
{
    ASSERT(f == current_fiber);
    for (;;) {
        if (f->is_woken) {
            f->is_woken = false;
            return NULL;
        }
        struct status *st = fiber_check(f);
        if (st != NULL) {
            return st;
        }
        arm_deadline(f);
        f->state = FIBER_PARKED;
        leave(f);
    }
}

void fiber_park_hard(struct fiber *f)
{
    ASSERT(f == current_fiber);
    f->is_hard = true;
    while (!f->is_woken) {
        f->state = FIBER_PARKED;
        leave(f);
    }
    f->is_hard = false;
    f->is_woken = false;
}

void fiber_mask(struct fiber *f)
{
    if (f->mask_depth++ == 0) {
        f->is_cancelled_masked = f->is_cancelled;
        f->deadline_masked = fiber_set_deadline(f, 0);
        f->is_cancelled = false;
    }
}

void fiber_unmask(struct fiber *f)
{
    ASSERT(f->mask_depth > 0);
    if (--f->mask_depth == 0) {
        f->is_cancelled = f->is_cancelled_masked;
        fiber_set_deadline(f, f->deadline_masked);
    }
}

void fiber_cancel(struct fiber *f)
{
    if (f->mask_depth > 0) {
        f->is_cancelled_masked = true;
        return;
    }
    f->is_cancelled = true;
    if (!f->is_hard) {
        make_ready(f);
    }
}

void fiber_cancel_clear(struct fiber *f)
{
    f->is_cancelled_masked = false;
    f->is_cancelled = false;
}

bool fiber_is_cancelled(const struct fiber *f)
{
    return f->is_cancelled;
}

uint64_t fiber_set_deadline(struct fiber *f, uint64_t deadline_ns)
{
    uint64_t old = f->deadline_ns;
    if (old != deadline_ns) {
        f->deadline_ns = deadline_ns;
        timer_stop(&f->timer);
        if (f->state == FIBER_PARKED && !f->is_hard) {
            arm_deadline(f); /* set by another fiber */
        }
    }
    return old;
}

uint64_t fiber_deadline(const struct fiber *f)
{
    return f->deadline_ns;
}

struct status *fiber_yield(struct fiber *f)
{
    ASSERT(f == current_fiber);
    TRY(fiber_check(f));
    f->state = FIBER_READY;
    loop_defer_next_turn(f->loop, &f->task);
    leave(f);
    return fiber_check(f);
}

struct sleeper {
    struct timer timer;
    struct fiber *fiber;
    bool has_fired;
};

static void sleeper_fire(struct timer *t)
{
    struct sleeper *s = CONTAINER_OF(t, struct sleeper, timer);
    s->has_fired = true;
    fiber_wake(s->fiber);
}

struct status *fiber_sleep(struct fiber *f, uint64_t ns)
{
    struct sleeper s = {.timer.fire = sleeper_fire, .fiber = f};
    timer_start(f->loop, &s.timer, ns);
    struct status *st = NULL;
    while (!s.has_fired && st == NULL) {
        st = fiber_park(f);
    }
    timer_stop(&s.timer);
    return st;
}

/* ---- waiting for each other ---- */

static void serve(struct list *item)
{
    struct fiber *f = LIST_ITEM(item, struct fiber, wait_link);
    f->is_served = true;
    fiber_wake(f);
}

/* Parks until served. An error comes only when not served: park looks at the wake first. */
static struct status *wait_on(struct fiber *f, struct list *waiters)
{
    f->is_served = false;
    list_push_back(waiters, &f->wait_link);
    struct status *st = NULL;
    while (!f->is_served && st == NULL) {
        st = fiber_park(f);
    }
    ASSERT(!f->is_served || st == NULL);
    if (!f->is_served) {
        list_unlink(&f->wait_link);
    }
    return st;
}

static void serve_all(struct list *waiters)
{
    struct list *item;
    while ((item = list_pop_front(waiters)) != NULL) {
        serve(item);
    }
}

void gate_init(struct gate *g)
{
    list_head_init(&g->waiters);
    g->is_open = false;
}

void gate_open(struct gate *g)
{
    g->is_open = true;
    serve_all(&g->waiters);
}

struct status *gate_wait(struct fiber *f, struct gate *g)
{
    return g->is_open ? NULL : wait_on(f, &g->waiters);
}

void cond_init(struct cond *c)
{
    list_head_init(&c->waiters);
}

void cond_broadcast(struct cond *c)
{
    serve_all(&c->waiters);
}

void cond_signal(struct cond *c)
{
    struct list *item = list_pop_front(&c->waiters);
    if (item != NULL) {
        serve(item);
    }
}

struct status *cond_wait(struct fiber *f, struct cond *c)
{
    return wait_on(f, &c->waiters);
}

void fmutex_init(struct fmutex *m)
{
    list_head_init(&m->waiters);
    m->is_held = false;
}

struct status *fmutex_lock(struct fiber *f, struct fmutex *m)
{
    if (!m->is_held) {
        m->is_held = true;
        return NULL;
    }
    return wait_on(f, &m->waiters); /* unlock hands it over */
}

void fmutex_unlock(struct fmutex *m)
{
    ASSERT(m->is_held);
    struct list *item = list_pop_front(&m->waiters);
    if (item == NULL) {
        m->is_held = false;
    } else {
        serve(item);
    }
}

/* ---- fan ---- */

void fan_init(struct fan *fan)
{
    fan->left = 0;
    fan->waiter = NULL;
    list_head_init(&fan->children);
}

void fan_add(struct fan *fan)
{
    fan->left++;
}

void fan_done(struct fan *fan)
{
    ASSERT(fan->left > 0);
    if (--fan->left == 0 && fan->waiter != NULL) {
        fiber_wake(fan->waiter);
    }
}

void fan_spawn(struct fiber *parent, struct fan *fan, enum fiber_stack stack,
               void (*fn)(struct fiber *f, void *arg), void *arg)
{
    struct fiber *child = fiber_spawn(parent->loop, stack, fn, arg);
    child->deadline_ns = parent->deadline_ns;
    child->is_cancelled = parent->is_cancelled;
    child->fan = fan;
    list_push_back(&fan->children, &child->child_link);
    fan_add(fan);
}

void fan_wait(struct fiber *f, struct fan *fan)
{
    ASSERT(fan->waiter == NULL);
    fan->waiter = f;
    uint64_t deadline_ns = f->deadline_ns;
    bool is_told = false;
    while (fan->left > 0) {
        if (f->is_cancelled && !is_told) {
            is_told = true;
            LIST_FOREACH(it, &fan->children)
            {
                fiber_cancel(LIST_ITEM(it, struct fiber, child_link));
            }
        }
        if (is_told) {
            fiber_park_hard(f);
        } else if (status_consume(fiber_park(f)) && !f->is_cancelled) {
            fiber_set_deadline(f, 0); /* the children have it too: wait on, open to a cancel */
        }
    }
    fiber_set_deadline(f, deadline_ns);
    fan->waiter = NULL;
}

/* ---- workers ---- */

struct run_on {
    struct job job;
    struct fiber *fiber;
    void (*fn)(void *arg);
    void *arg;
    bool is_done;
};

static void run_on_run(struct job *j)
{
    struct run_on *r = CONTAINER_OF(j, struct run_on, job);
    r->fn(r->arg);
}

static void run_on_done(struct job *j)
{
    struct run_on *r = CONTAINER_OF(j, struct run_on, job);
    r->is_done = true;
    fiber_wake(r->fiber);
}

void fiber_run_on(struct fiber *f, struct worker *w, void (*fn)(void *arg), void *arg)
{
    struct run_on r = {
        .job = {.run = run_on_run, .done = run_on_done}, .fiber = f, .fn = fn, .arg = arg};
    worker_submit(w, &r.job);
    while (!r.is_done) {
        fiber_park_hard(f);
    }
}
