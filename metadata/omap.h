/*
 * An ordered map from byte strings to shared entries, persistent: a copy costs nothing and sees no
 * later change. Both sides of the metadata group are built on it: the leader evaluates a batch on
 * a copy of its state, a full copy for a watcher is a copy of the map, the client's cache is a map,
 * a catalog snapshot is a map of decoded descriptors and an overlay is a copy of that with changes.
 *
 * A treap whose nodes are counted references. A change copies the nodes on its path that somebody
 * else also holds and changes the others in place, so a map that is not shared costs no more than a
 * plain tree. Priorities come from a generator inside the map, so the depth (about 2 log2 n) cannot
 * be chosen by whoever chooses keys and a run repeats exactly.
 *
 * Invariants: in order of key; a node's priority is at least its children's; an entry never
 * changes. Thread rule: maps that share anything belong to one loop.
 */
#ifndef METADATA_OMAP_H
#define METADATA_OMAP_H

#include "base/slice.h"

struct omap_node;

/* One key with its value; immutable. object: what the holder made of it (a decoded message). */
struct omap_entry {
    uint32_t refs;
    uint32_t key_len;
    size_t value_len;
    uint64_t mod_revision;
    void *object;
    void (*object_free)(void *object);
    uint8_t bytes[]; /* key, then value */
};

static inline struct slice omap_entry_key(const struct omap_entry *e)
{
    return slice_make(e->bytes, e->key_len);
}
static inline struct slice omap_entry_value(const struct omap_entry *e)
{
    return slice_make(e->bytes + e->key_len, e->value_len);
}
/* One reference, the caller's. */
struct omap_entry *omap_entry_create(struct slice key, struct slice value, uint64_t mod_revision);
struct omap_entry *omap_entry_ref(struct omap_entry *e);
void omap_entry_unref(struct omap_entry *e); /* NULL is fine */

struct omap {
    struct omap_node *root;
    size_t count;
    uint64_t rng;
};

void omap_init(struct omap *m);
void omap_deinit(struct omap *m); /* a zeroed one is fine */
void omap_clear(struct omap *m);
/* Initialises `to` as a copy of `from`. */
void omap_copy(struct omap *to, const struct omap *from);

/* NULL: not there. Valid until the map changes; take a reference to keep it. */
struct omap_entry *omap_get(const struct omap *m, struct slice key);
/* First entry with a key >= (or, after: >) the given one; NULL at the end. */
struct omap_entry *omap_seek(const struct omap *m, struct slice key);
struct omap_entry *omap_after(const struct omap *m, struct slice key);
/* Last entry with a key <= the given one; NULL when all are greater. */
struct omap_entry *omap_floor(const struct omap *m, struct slice key);

/* Inserts or replaces. */
struct omap_entry *omap_put(struct omap *m, struct slice key, struct slice value,
                            uint64_t mod_revision);
void omap_put_take(struct omap *m, struct omap_entry *e); /* takes the caller's reference */
bool omap_delete(struct omap *m, struct slice key);       /* false: was not there */

/* In order, from the first key >= start, while fn returns true. fn must not change this map (a copy
 * may change). False when fn ended it. */
bool omap_scan(const struct omap *m, struct slice start,
               bool (*fn)(void *ctx, struct omap_entry *e), void *ctx);
/* The same over the keys with the prefix. */
bool omap_scan_prefix(const struct omap *m, struct slice prefix,
                      bool (*fn)(void *ctx, struct omap_entry *e), void *ctx);

/* Walks the whole tree and asserts the invariants: tests and ASSERT_SLOW. Returns the depth. */
size_t omap_check(const struct omap *m);

#endif
