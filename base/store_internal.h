/* How the two stores hang below base/store.h: an operations table, and headers to embed first. */
#ifndef BASE_STORE_INTERNAL_H
#define BASE_STORE_INTERNAL_H

#include "base/store.h"

struct store_ops {
    void (*close)(struct store *s);
    struct status *(*get)(struct store *s, const struct store_snapshot *snap, struct slice key,
                          struct buf *out, bool *out_found);
    struct store_batch *(*batch_create)(struct store *s);
    void (*batch_destroy)(struct store_batch *b);
    void (*batch_clear)(struct store_batch *b);
    void (*batch_put)(struct store_batch *b, struct slice key, struct slice value);
    void (*batch_delete)(struct store_batch *b, struct slice key);
    struct status *(*write)(struct store *s, struct store_batch *b, bool sync);
    struct status *(*flush)(struct store *s);
    struct store_snapshot *(*snapshot_create)(struct store *s);
    void (*snapshot_destroy)(struct store *s, struct store_snapshot *snap);
    struct store_iter *(*iter_create)(struct store *s, const struct store_snapshot *snap);
    void (*iter_destroy)(struct store_iter *it);
    void (*iter_seek)(struct store_iter *it, struct slice key);
    void (*iter_seek_prev)(struct store_iter *it, struct slice key);
    void (*iter_next)(struct store_iter *it);
    void (*iter_prev)(struct store_iter *it);
    bool (*iter_valid)(const struct store_iter *it);
    struct slice (*iter_key)(const struct store_iter *it);
    struct slice (*iter_value)(const struct store_iter *it);
    struct status *(*iter_status)(struct store_iter *it);
    uint64_t (*free_bytes)(struct store *s);
    uint64_t (*approximate_size)(struct store *s, struct slice start, struct slice end);
    void (*compact)(struct store *s, struct slice start, struct slice end);
};

struct store {
    const struct store_ops *ops;
};

struct store_batch {
    const struct store_ops *ops;
    size_t count;
    size_t bytes; /* keys, values and some for their heads */
};

struct store_iter {
    const struct store_ops *ops;
};

#endif
