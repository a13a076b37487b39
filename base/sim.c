/*
 * The world of the simulator: virtual time, one heap of events, one seed.
 *
 * A step is either the turn of one loop that has tasks ready at this time (which one, is drawn), or
 * the first event of the heap, to which the time then jumps. Events of equal time are ordered by a
 * number drawn when they were made. Nothing depends on an address or on the real clock, so the same
 * seed gives the same run.
 */
#include "base/sim.h"

#include "base/check.h"
#include "base/mem.h"
#include "sim_internal.h"

struct sim *sim_create(uint64_t seed)
{
    struct sim *s = MEM_NEW(struct sim);
    rng_seed(&s->rng, seed);
    s->heap_cap = 256;
    s->heap = mem_alloc(s->heap_cap * sizeof(*s->heap));
    return s;
}

void sim_destroy(struct sim *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->loop_len; i++) {
        sim_loop_free(s->loops[i]);
    }
    mem_free(s->loops);
    mem_free(s->ready);
    mem_free(s->heap);
    mem_free(s);
}

uint64_t sim_now_ns(struct sim *s)
{
    return s->now_ns;
}

uint64_t sim_random(struct sim *s)
{
    return rng_next(&s->rng);
}

uint64_t sim_random_below(struct sim *s, uint64_t n)
{
    ASSERT(n > 0);
    return rng_below(&s->rng, n);
}

bool sim_chance(struct sim *s, double p)
{
    return (double)(rng_next(&s->rng) >> 11) * 0x1.0p-53 < p;
}

uint64_t sim_event_count(const struct sim *s)
{
    return s->event_count;
}

/* ---- the heap ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_push(struct sim *s, uint64_t at_ns, struct sim_loop *l, void (*fn)(void *ctx), void *ctx)
{
    if (s->heap_len + 2 > s->heap_cap) {
        s->heap_cap *= 2;
        s->heap = mem_realloc(s->heap, s->heap_cap * sizeof(*s->heap));
    }
    struct sim_event e = {
        .at_ns = at_ns < s->now_ns ? s->now_ns : at_ns,
        .order = (rng_next(&s->rng) & 0xffffffff00000000u) | s->event_seq++,
        .loop = l,
        .fn = fn,
        .ctx = ctx,
    };
    size_t pos = ++s->heap_len;
    while (pos > 1 && before(&e, &s->heap[pos / 2])) {
        s->heap[pos] = s->heap[pos / 2];
        pos /= 2;
    }
    s->heap[pos] = e;
}

static struct sim_event pop(struct sim *s)
{
    struct sim_event top = s->heap[1];
    struct sim_event last = s->heap[s->heap_len--];
    size_t pos = 1;
    for (;;) {
        size_t child = pos * 2;
        if (child > s->heap_len) {
            break;
        }
        if (child < s->heap_len && before(&s->heap[child + 1], &s->heap[child])) {
            child++;
        }
        if (!before(&s->heap[child], &last)) {
            break;
        }
        s->heap[pos] = s->heap[child];
        pos = child;
    }
    s->heap[pos] = last;
    return top;
}

void sim_at(struct sim *s, uint64_t at_ns, void (*fn)(void *ctx), void *ctx)
{
    sim_push(s, at_ns, NULL, fn, ctx);
}

/* ---- loops ---- */

void sim_add_loop(struct sim *s, struct sim_loop *l)
{
    if (s->loop_len == s->loop_cap) {
        s->loop_cap = s->loop_cap ? s->loop_cap * 2 : 16;
        s->loops = mem_realloc(s->loops, s->loop_cap * sizeof(*s->loops));
    }
    s->loops[s->loop_len++] = l;
}

void sim_mark_ready(struct sim_loop *l)
{
    struct sim *s = l->sim;
    if (l->is_ready || l->is_dead || l->is_paused) {
        return;
    }
    if (s->ready_len == s->ready_cap) {
        s->ready_cap = s->ready_cap ? s->ready_cap * 2 : 16;
        s->ready = mem_realloc(s->ready, s->ready_cap * sizeof(*s->ready));
    }
    l->is_ready = true;
    s->ready[s->ready_len++] = l;
}

static void run_one_ready(struct sim *s)
{
    size_t i = s->ready_len > 1 ? (size_t)rng_below(&s->rng, s->ready_len) : 0;
    struct sim_loop *l = s->ready[i];
    s->ready[i] = s->ready[--s->ready_len];
    l->is_ready = false;
    sim_loop_turn(l);
}

bool sim_run(struct sim *s, uint64_t until_ns, bool (*stop)(void *ctx), void *ctx)
{
    while (stop == NULL || !stop(ctx)) {
        if (s->ready_len) {
            s->event_count++;
            run_one_ready(s);
            continue;
        }
        if (s->heap_len == 0 || s->heap[1].at_ns > until_ns) {
            s->now_ns = until_ns > s->now_ns ? until_ns : s->now_ns;
            return false;
        }
        struct sim_event e = pop(s);
        ASSERT(e.at_ns >= s->now_ns);
        s->now_ns = e.at_ns;
        s->event_count++;
        if (e.loop == NULL) {
            e.fn(e.ctx);
        } else {
            sim_loop_deliver(e.loop, &e);
        }
    }
    return true;
}
