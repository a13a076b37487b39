/* The front of base/store.h: counts what goes into a batch and calls the implementation. */
#include "base/store.h"

#include "base/check.h"
#include "store_internal.h"

#define RECORD_HEAD_BYTES 8

void store_close(struct store *s)
{
    if (s != NULL) {
        s->ops->close(s);
    }
}

struct status *store_get(struct store *s, const struct store_snapshot *snap, struct slice key,
                         struct buf *out, bool *out_found)
{
    return s->ops->get(s, snap, key, out, out_found);
}

struct store_batch *store_batch_create(struct store *s)
{
    return s->ops->batch_create(s);
}

void store_batch_destroy(struct store_batch *b)
{
    if (b != NULL) {
        b->ops->batch_destroy(b);
    }
}

void store_batch_clear(struct store_batch *b)
{
    b->count = 0;
    b->bytes = 0;
    b->ops->batch_clear(b);
}

void store_batch_put(struct store_batch *b, struct slice key, struct slice value)
{
    b->count++;
    b->bytes += key.len + value.len + RECORD_HEAD_BYTES;
    b->ops->batch_put(b, key, value);
}

void store_batch_delete(struct store_batch *b, struct slice key)
{
    b->count++;
    b->bytes += key.len + RECORD_HEAD_BYTES;
    b->ops->batch_delete(b, key);
}

size_t store_batch_bytes(const struct store_batch *b)
{
    return b->bytes;
}

size_t store_batch_count(const struct store_batch *b)
{
    return b->count;
}

struct status *store_write(struct store *s, struct store_batch *b, bool sync)
{
    ASSERT(s->ops == b->ops);
    return s->ops->write(s, b, sync);
}

struct status *store_flush(struct store *s)
{
    return s->ops->flush(s);
}

struct store_snapshot *store_snapshot_create(struct store *s)
{
    return s->ops->snapshot_create(s);
}

void store_snapshot_destroy(struct store *s, struct store_snapshot *snap)
{
    if (snap != NULL) {
        s->ops->snapshot_destroy(s, snap);
    }
}

struct store_iter *store_iter_create(struct store *s, const struct store_snapshot *snap)
{
    return s->ops->iter_create(s, snap);
}

void store_iter_destroy(struct store_iter *it)
{
    if (it != NULL) {
        it->ops->iter_destroy(it);
    }
}

void store_iter_seek(struct store_iter *it, struct slice key)
{
    it->ops->iter_seek(it, key);
}

void store_iter_seek_prev(struct store_iter *it, struct slice key)
{
    it->ops->iter_seek_prev(it, key);
}

void store_iter_next(struct store_iter *it)
{
    ASSERT(it->ops->iter_valid(it));
    it->ops->iter_next(it);
}

void store_iter_prev(struct store_iter *it)
{
    ASSERT(it->ops->iter_valid(it));
    it->ops->iter_prev(it);
}

bool store_iter_valid(const struct store_iter *it)
{
    return it->ops->iter_valid(it);
}

struct slice store_iter_key(const struct store_iter *it)
{
    ASSERT(it->ops->iter_valid(it));
    return it->ops->iter_key(it);
}

struct slice store_iter_value(const struct store_iter *it)
{
    ASSERT(it->ops->iter_valid(it));
    return it->ops->iter_value(it);
}

struct status *store_iter_status(struct store_iter *it)
{
    return it->ops->iter_status(it);
}

uint64_t store_free_bytes(struct store *s)
{
    return s->ops->free_bytes(s);
}

uint64_t store_approximate_size(struct store *s, struct slice start, struct slice end)
{
    return s->ops->approximate_size(s, start, end);
}

void store_compact(struct store *s, struct slice start, struct slice end)
{
    s->ops->compact(s, start, end);
}
