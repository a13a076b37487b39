/*
 * An ordered map of byte keys: an intrusive treap. Nodes are embedded in what they index; the map
 * owns nothing. The priority of a node is a hash of its key, so a map's shape depends on its
 * content only and runs replay. Used for the lock table, workspaces and the read-timestamp cache,
 * all of which need "the first key at or above" beside plain lookup.
 *
 * The key of a node is borrowed from its owner and must not change while the node is in a map.
 */
#ifndef SHARD_KEYMAP_H
#define SHARD_KEYMAP_H

#include "base/slice.h"

struct keymap_node {
    struct keymap_node *left;
    struct keymap_node *right;
    struct keymap_node *parent;
    struct slice key;
    uint32_t priority;
};

struct keymap {
    struct keymap_node *root;
    size_t count;
};

void keymap_init(struct keymap *m);
static inline bool keymap_is_empty(const struct keymap *m)
{
    return m->count == 0;
}
/* node->key is set and not in the map. */
void keymap_insert(struct keymap *m, struct keymap_node *node);
void keymap_erase(struct keymap *m, struct keymap_node *node);
struct keymap_node *keymap_find(const struct keymap *m, struct slice key);
struct keymap_node *keymap_at_or_above(const struct keymap *m, struct slice key); /* first >= key */
struct keymap_node *keymap_at_or_below(const struct keymap *m, struct slice key); /* last <= key */
struct keymap_node *keymap_below(const struct keymap *m, struct slice key);       /* last < key */
struct keymap_node *keymap_first(const struct keymap *m);
struct keymap_node *keymap_last(const struct keymap *m);
struct keymap_node *keymap_next(const struct keymap_node *node);
struct keymap_node *keymap_prev(const struct keymap_node *node);

/* A good 64-bit hash of bytes: priorities here, buckets of the read-timestamp cache. */
uint64_t keymap_hash(struct slice key);

#endif
