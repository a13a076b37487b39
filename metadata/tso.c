/* See tso.h. T1 is tso_start() + tso_take(); the planted bug BUG_TSO_BACKWARD breaks the former. */
#include "tso.h"

#include "base/buggify.h"
#include "base/check.h"
#include "meta_limits.h"

static uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void tso_start(struct tso *t, uint64_t committed_limit)
{
    /* T1: the predecessor may have handed out everything below the limit. */
    t->last = committed_limit == 0 ? 0 : committed_limit - 1;
    t->limit = committed_limit;
    t->backward_until = 0;
    uint64_t window = tso_of_wall(TSO_WINDOW_MS);
    if (bug_on(BUG_TSO_BACKWARD) && committed_limit > 2 * window) {
        t->last = committed_limit - 2 * window;
        t->backward_until = committed_limit - window;
    }
}

bool tso_take(struct tso *t, int64_t wall_ms, uint64_t count, uint64_t *out_first)
{
    uint64_t first = max_u64(t->last + 1, tso_of_wall(wall_ms));
    if (t->last < t->backward_until) {
        first = t->last + 1;
    }
    if (count == 0 || first >= t->limit || t->limit - first < count) {
        return false;
    }
    ASSERT(first > t->last);
    *out_first = first;
    t->last = first + count - 1;
    return true;
}

uint64_t tso_next_limit(const struct tso *t, int64_t wall_ms, uint64_t count)
{
    uint64_t from = max_u64(t->last + 1, tso_of_wall(wall_ms));
    return max_u64(t->limit, from + count + tso_of_wall(TSO_WINDOW_MS));
}

void tso_extended(struct tso *t, uint64_t limit)
{
    t->limit = max_u64(t->limit, limit);
}

int64_t tso_left_ms(const struct tso *t, int64_t wall_ms)
{
    uint64_t from = max_u64(t->last + 1, tso_of_wall(wall_ms));
    return from >= t->limit ? 0 : tso_wall_ms(t->limit - from);
}
