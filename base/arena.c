/*
 * The arena of base/arena.h: a chain of blocks, newest first, with a bump pointer in the newest.
 *
 * Block sizes grow by four from 4 kB to 256 kB; a request too big for the next block gets one of
 * its own. The arena's struct sits in its first block. Freed blocks of the four standard sizes go
 * to a cache of this thread, up to a limit per size, so that the arena of a request costs no
 * malloc.
 *
 * Under ASan all that is not handed out is poisoned, and 16 bytes are left between two allocations:
 * a use after arena_reset() or past the end is reported like one of heap memory.
 */
#include "base/arena.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef SHERD_ASAN
#include <sanitizer/asan_interface.h>
#define RED_ZONE 16
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define RED_ZONE 0
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

#define ALIGN 16u
#define CLASS_COUNT 4
#define CLASS_NONE CLASS_COUNT

static const size_t class_size[CLASS_COUNT] = {4 << 10, 16 << 10, 64 << 10, 256 << 10};
static const int class_keep[CLASS_COUNT] = {64, 32, 8, 2}; /* 1.8 MB a thread at most */

struct block {
    struct block *next; /* the older one; in the cache: the next free one */
    size_t size;        /* with this header */
    int size_class;
    int unused;
};
_Static_assert(sizeof(struct block) % 8 == 0, "data starts aligned after rounding");

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *ctx);
    void *ctx;
};

struct arena {
    struct block *blocks; /* newest first; the oldest holds this struct */
    uint8_t *pos;         /* free space of the newest block */
    uint8_t *end;
    uint8_t *newest; /* start of the newest allocation, NULL when it cannot grow in place */
    size_t used;
    size_t budget;
    int next_class;
    struct cleanup *cleanups;
};

struct cache {
    struct block *free[CLASS_COUNT];
    int count[CLASS_COUNT];
    bool is_registered;
};

static _Thread_local struct cache cache;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static void cache_drop(void *arg)
{
    struct cache *c = arg;
    for (int i = 0; i < CLASS_COUNT; i++) {
        while (c->free[i] != NULL) {
            struct block *b = c->free[i];
            c->free[i] = b->next;
            UNPOISON(b, b->size);
            free(b);
        }
        c->count[i] = class_keep[i]; /* the thread is ending: keep nothing more */
    }
}

static void cache_key_make(void)
{
    ASSERT(pthread_key_create(&cache_key, cache_drop) == 0);
}

static uint8_t *round_up(uint8_t *p)
{
    return (uint8_t *)(((uintptr_t)p + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
}

static struct block *block_get(int size_class, size_t size)
{
    if (size_class != CLASS_NONE) {
        struct block *b = cache.free[size_class];
        if (b != NULL) {
            cache.free[size_class] = b->next;
            cache.count[size_class]--;
            return b;
        }
        size = class_size[size_class];
    }
    struct block *b = mem_alloc(size);
    b->size = size;
    b->size_class = size_class;
    POISON((uint8_t *)b + sizeof(*b), size - sizeof(*b));
    return b;
}

static void block_put(struct block *b)
{
    int c = b->size_class;
    if (c == CLASS_NONE || cache.count[c] >= class_keep[c]) {
        UNPOISON(b, b->size);
        mem_free(b);
        return;
    }
    if (!cache.is_registered) {
        cache.is_registered = true;
        pthread_once(&cache_once, cache_key_make);
        pthread_setspecific(cache_key, &cache);
    }
    b->next = cache.free[c];
    cache.free[c] = b;
    cache.count[c]++;
    /* The header stays readable: the leak checker does not follow pointers in poisoned memory. */
    POISON((uint8_t *)b + sizeof(*b), b->size - sizeof(*b));
}

static void use_block(struct arena *a, struct block *b, size_t header)
{
    b->next = a->blocks;
    a->blocks = b;
    a->pos = round_up((uint8_t *)b + sizeof(*b) + header);
    a->end = (uint8_t *)b + b->size;
    a->newest = NULL;
}

struct arena *arena_create(size_t budget)
{
    struct block *b = block_get(0, 0);
    uint8_t *at = round_up((uint8_t *)b + sizeof(*b));
    UNPOISON(at, sizeof(struct arena));
    struct arena *a = (struct arena *)(void *)at;
    *a = (struct arena){.budget = budget ? budget : ARENA_BUDGET_DEFAULT, .next_class = 1};
    ASSERT(a->budget <= SIZE_MAX / 2);
    use_block(a, b, (size_t)(at - (uint8_t *)b) - sizeof(*b) + sizeof(*a));
    return a;
}

static void run_cleanups(struct arena *a)
{
    while (a->cleanups != NULL) {
        struct cleanup *c = a->cleanups;
        a->cleanups = c->next;
        c->fn(c->ctx);
    }
}

void arena_destroy(struct arena *a)
{
    if (a == NULL) {
        return;
    }
    run_cleanups(a);
    struct block *b = a->blocks;
    while (b != NULL) { /* the last one holds the arena itself */
        struct block *next = b->next;
        block_put(b);
        b = next;
    }
}

void arena_reset(struct arena *a)
{
    run_cleanups(a);
    while (a->blocks->next != NULL) {
        struct block *b = a->blocks;
        a->blocks = b->next;
        block_put(b);
    }
    struct block *first = a->blocks;
    a->blocks = NULL;
    use_block(a, first, (size_t)((uint8_t *)(a + 1) - (uint8_t *)first) - sizeof(*first));
    POISON(a->pos, (size_t)(a->end - a->pos));
    a->used = 0;
    a->next_class = 1;
}

static void *alloc_slow(struct arena *a, size_t size)
{
    size_t need = size + RED_ZONE + sizeof(struct block) + ALIGN;
    int c = a->next_class;
    while (c < CLASS_COUNT && class_size[c] < need) {
        c++;
    }
    /* More than half of the largest block: a block of its own, and the current one goes on. */
    if (c == CLASS_COUNT || need > class_size[CLASS_COUNT - 1] / 2) {
        struct block *b = block_get(CLASS_NONE, need);
        b->next = a->blocks; /* pos and end stay in the block in use before */
        a->blocks = b;
        a->newest = NULL;
        uint8_t *p = round_up((uint8_t *)b + sizeof(*b));
        UNPOISON(p, size);
        return p;
    }
    use_block(a, block_get(c, 0), 0);
    if (a->next_class < CLASS_COUNT - 1) {
        a->next_class++;
    }
    uint8_t *p = a->pos;
    UNPOISON(p, size);
    a->pos = round_up(p + size + RED_ZONE);
    a->newest = p;
    return p;
}

static void *alloc(struct arena *a, size_t size)
{
    a->used += size;
    uint8_t *p = a->pos;
    if (__builtin_expect(p <= a->end && size + RED_ZONE + ALIGN <= (size_t)(a->end - p), 1)) {
        a->pos = round_up(p + size + RED_ZONE);
        a->newest = p;
        UNPOISON(p, size);
        return p;
    }
    return alloc_slow(a, size);
}

static void check_budget(const struct arena *a, size_t size)
{
    ASSERT_MSG(size <= a->budget && a->used <= a->budget - size,
               "an allocation of %zu bytes passes the arena's budget: %zu of %zu bytes used", size,
               a->used, a->budget);
}

void *arena_alloc(struct arena *a, size_t size)
{
    check_budget(a, size);
    return alloc(a, size);
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);
    memset(p, 0, size);
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_strndup(struct arena *a, const void *s, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    if (len) {
        memcpy(copy, s, len);
    }
    copy[len] = '\0';
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    char small[256];
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof(small), fmt, args);
    ASSERT(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    if ((size_t)n < sizeof(small)) {
        memcpy(text, small, (size_t)n + 1);
    } else {
        (void)vsnprintf(text, (size_t)n + 1, fmt, again);
    }
    va_end(again);
    va_end(args);
    return text;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    uint8_t *copy = arena_alloc(a, s.len);
    if (s.len) {
        memcpy(copy, s.data, s.len);
    }
    return slice_make(copy, s.len);
}

void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size)
{
    ASSERT(new_size >= old_size);
    check_budget(a, new_size - old_size);
    uint8_t *start = p;
    if (start != NULL && start == a->newest &&
        new_size + RED_ZONE + ALIGN <= (size_t)(a->end - start)) {
        a->pos = round_up(start + new_size + RED_ZONE);
        a->used += new_size - old_size;
        UNPOISON(start, new_size);
        return p;
    }
    void *moved = arena_alloc(a, new_size);
    if (old_size) {
        memcpy(moved, p, old_size);
    }
    return moved;
}

struct status *arena_reserve(struct arena *a, size_t size)
{
    if (size <= a->budget && a->used <= a->budget - size) {
        return NULL;
    }
    return status_detail(status_sql(LIMIT, "53200", "out of memory for this request"),
                         "Its budget is %zu bytes, %zu are in use and %zu more are asked for.",
                         a->budget, a->used, size);
}

size_t arena_used(const struct arena *a)
{
    return a->used;
}

void arena_on_free(struct arena *a, void (*fn)(void *ctx), void *ctx)
{
    struct cleanup *c = alloc(a, sizeof(*c)); /* a few bytes: not refused by the budget */
    *c = (struct cleanup){.next = a->cleanups, .fn = fn, .ctx = ctx};
    a->cleanups = c;
}
