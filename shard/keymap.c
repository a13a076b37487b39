/*
 * The treap behind keymap.h: a binary search tree by key that is a heap by priority. Insertion goes
 * to a leaf and rotates up; removal rotates down to a leaf. Expected depth is logarithmic because
 * priorities are hashes.
 */
#include "keymap.h"

void keymap_init(struct keymap *m)
{
    m->root = NULL;
    m->count = 0;
}

uint64_t keymap_hash(struct slice key)
{
    uint64_t h = 0x9e3779b97f4a7c15u ^ (key.len * 0xff51afd7ed558ccdu);
    size_t i = 0;
    for (; i + 8 <= key.len; i += 8) {
        uint64_t w;
        memcpy(&w, key.data + i, 8);
        h = (h ^ w) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    uint64_t tail = 0;
    for (size_t shift = 0; i < key.len; i++, shift += 8) {
        tail |= (uint64_t)key.data[i] << shift;
    }
    h = (h ^ tail) * 0xc4ceb9fe1a85ec53u;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    return h ^ (h >> 29);
}

static void replace_child(struct keymap *m, struct keymap_node *parent,
                          const struct keymap_node *old, struct keymap_node *child)
{
    if (parent == NULL) {
        m->root = child;
    } else if (parent->left == old) {
        parent->left = child;
    } else {
        parent->right = child;
    }
    if (child != NULL) {
        child->parent = parent;
    }
}

/* Lifts node above its parent. */
static void rotate_up(struct keymap *m, struct keymap_node *node)
{
    struct keymap_node *parent = node->parent;
    struct keymap_node *grand = parent->parent;
    if (parent->left == node) {
        parent->left = node->right;
        if (node->right != NULL) {
            node->right->parent = parent;
        }
        node->right = parent;
    } else {
        parent->right = node->left;
        if (node->left != NULL) {
            node->left->parent = parent;
        }
        node->left = parent;
    }
    replace_child(m, grand, parent, node);
    parent->parent = node;
}

void keymap_insert(struct keymap *m, struct keymap_node *node)
{
    node->left = node->right = node->parent = NULL;
    node->priority = (uint32_t)(keymap_hash(node->key) >> 16);
    struct keymap_node **slot = &m->root;
    while (*slot != NULL) {
        node->parent = *slot;
        slot = slice_cmp(node->key, (*slot)->key) < 0 ? &(*slot)->left : &(*slot)->right;
    }
    *slot = node;
    m->count++;
    while (node->parent != NULL && node->parent->priority < node->priority) {
        rotate_up(m, node);
    }
}

void keymap_erase(struct keymap *m, struct keymap_node *node)
{
    while (node->left != NULL && node->right != NULL) {
        rotate_up(m, node->left->priority > node->right->priority ? node->left : node->right);
    }
    replace_child(m, node->parent, node, node->left != NULL ? node->left : node->right);
    node->left = node->right = node->parent = NULL;
    m->count--;
}

struct keymap_node *keymap_find(const struct keymap *m, struct slice key)
{
    struct keymap_node *n = m->root;
    while (n != NULL) {
        int c = slice_cmp(key, n->key);
        if (c == 0) {
            return n;
        }
        n = c < 0 ? n->left : n->right;
    }
    return NULL;
}

struct keymap_node *keymap_at_or_above(const struct keymap *m, struct slice key)
{
    struct keymap_node *n = m->root, *best = NULL;
    while (n != NULL) {
        if (slice_cmp(n->key, key) >= 0) {
            best = n;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

struct keymap_node *keymap_at_or_below(const struct keymap *m, struct slice key)
{
    struct keymap_node *n = m->root, *best = NULL;
    while (n != NULL) {
        if (slice_cmp(n->key, key) <= 0) {
            best = n;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return best;
}

struct keymap_node *keymap_below(const struct keymap *m, struct slice key)
{
    struct keymap_node *n = m->root, *best = NULL;
    while (n != NULL) {
        if (slice_cmp(n->key, key) < 0) {
            best = n;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return best;
}

struct keymap_node *keymap_first(const struct keymap *m)
{
    struct keymap_node *n = m->root;
    while (n != NULL && n->left != NULL) {
        n = n->left;
    }
    return n;
}

struct keymap_node *keymap_last(const struct keymap *m)
{
    struct keymap_node *n = m->root;
    while (n != NULL && n->right != NULL) {
        n = n->right;
    }
    return n;
}

struct keymap_node *keymap_next(const struct keymap_node *node)
{
    if (node->right != NULL) {
        node = node->right;
        while (node->left != NULL) {
            node = node->left;
        }
        return (struct keymap_node *)(uintptr_t)node;
    }
    while (node->parent != NULL && node->parent->right == node) {
        node = node->parent;
    }
    return node->parent;
}

struct keymap_node *keymap_prev(const struct keymap_node *node)
{
    if (node->left != NULL) {
        node = node->left;
        while (node->right != NULL) {
            node = node->right;
        }
        return (struct keymap_node *)(uintptr_t)node;
    }
    while (node->parent != NULL && node->parent->left == node) {
        node = node->parent;
    }
    return node->parent;
}
