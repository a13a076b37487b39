/*
 * An arena: memory that is freed all at once. One per query in router/, per request in shard/, per
 * apply batch in replication/. Who created the arena frees it; nothing else frees inside.
 *
 * Every arena has a budget in bytes. arena_alloc() beyond it ends the process only when no check
 * came before: code that allocates by sizes from outside calls arena_reserve() first, which returns
 * LIMIT / 53200. An arena belongs to one loop.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"
#include "base/status.h"

#include <stddef.h>

struct arena;

#define ARENA_BUDGET_DEFAULT ((size_t)256 << 20)

/* budget 0 = ARENA_BUDGET_DEFAULT. The first 4 kB block comes with the arena; blocks are recycled
 * through a per-thread cache, so create + destroy of a small arena costs no malloc. */
struct arena *arena_create(size_t budget);
void arena_destroy(struct arena *a); /* runs cleanups in reverse order; NULL is fine */
void arena_reset(struct arena *a);   /* the same, but the arena stays usable */

void *arena_alloc(struct arena *a, size_t size);  /* 16-byte aligned, not zeroed */
void *arena_zalloc(struct arena *a, size_t size); /* zeroed */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const void *s, size_t len); /* adds a NUL */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct slice arena_copy(struct arena *a, struct slice s);
/* Grows (or moves) the newest allocation; old_size as given then. */
void *arena_grow(struct arena *a, void *p, size_t old_size, size_t new_size);

/* Refuses with LIMIT 53200 when `size` more bytes would pass the budget. */
struct status *arena_reserve(struct arena *a, size_t size) STATUS_MUST_CHECK;
size_t arena_used(const struct arena *a);

/* Runs fn(ctx) when the arena is reset or destroyed: for iterators, snapshots, references. */
void arena_on_free(struct arena *a, void (*fn)(void *ctx), void *ctx);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_zalloc((a), sizeof(type) * (size_t)(n)))

#endif
