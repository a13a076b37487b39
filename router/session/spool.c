/* Rows of a cursor kept in memory: see spool.h. */
#include "spool.h"

#include "../exec/exec.h"

#include "base/check.h"
#include "base/mem.h"

void spool_init(struct spool *s)
{
    spool_deinit(s);
    s->arena = arena_create(0);
}

void spool_deinit(struct spool *s)
{
    arena_destroy(s->arena);
    mem_free(s->batches);
    mem_free(s->ends);
    *s = (struct spool){0};
}

struct status *spool_add(struct spool *s, const struct batch *b)
{
    if (b->nrows == 0) {
        return NULL;
    }
    struct status *st = arena_reserve(s->arena, batch_bytes(b));
    if (st != NULL) {
        return status_hint(st, "The rows of a cursor are kept in memory when it is SCROLL or WITH "
                               "HOLD, or when its transaction writes before they are read.");
    }
    if (s->count == s->cap) {
        s->cap = s->cap * 2 + 8;
        s->batches = mem_realloc(s->batches, sizeof(*s->batches) * (size_t)s->cap);
        s->ends = mem_realloc(s->ends, sizeof(*s->ends) * (size_t)s->cap);
    }
    s->rows += b->nrows;
    s->batches[s->count] = batch_deep_copy(s->arena, b);
    s->ends[s->count++] = s->rows;
    return NULL;
}

const struct batch *spool_find(const struct spool *s, int64_t at, int *out_row)
{
    ASSERT(at >= 0 && at < s->rows);
    int low = 0, high = s->count - 1;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (s->ends[middle] > at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *out_row = (int)(at - (s->ends[low] - s->batches[low]->nrows));
    return s->batches[low];
}
