/*
 * The persistent treap of omap.h.
 *
 * Every function that changes a tree takes a reference to the old one and returns a reference to
 * the new one. node_own() is the whole trick: a node with one reference is ours to change; any
 * other is copied, its children and its entry gaining a reference each. Since a node is reached
 * only through its parents, a node with one reference below a shared one is still shared: the copy
 * of the parent has raised its count before it is looked at.
 *
 * Recursion is as deep as the tree: some 60 levels at a million keys, each a small frame.
 */
#include "omap.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

struct omap_node {
    uint32_t refs;
    uint32_t priority;
    struct omap_node *left;
    struct omap_node *right;
    struct omap_entry *entry;
};

/* ---- entries ---- */

struct omap_entry *omap_entry_create(struct slice key, struct slice value, uint64_t mod_revision)
{
    ASSERT(key.len <= UINT32_MAX);
    struct omap_entry *e = mem_alloc(sizeof(*e) + key.len + value.len);
    e->refs = 1;
    e->key_len = (uint32_t)key.len;
    e->value_len = value.len;
    e->mod_revision = mod_revision;
    e->object = NULL;
    e->object_free = NULL;
    if (key.len > 0) {
        memcpy(e->bytes, key.data, key.len);
    }
    if (value.len > 0) {
        memcpy(e->bytes + key.len, value.data, value.len);
    }
    return e;
}

struct omap_entry *omap_entry_ref(struct omap_entry *e)
{
    e->refs++;
    return e;
}

void omap_entry_unref(struct omap_entry *e)
{
    if (e == NULL) {
        return;
    }
    ASSERT(e->refs > 0);
    if (--e->refs > 0) {
        return;
    }
    if (e->object_free != NULL) {
        e->object_free(e->object);
    }
    mem_free(e);
}

/* ---- nodes ---- */

static struct omap_node *node_ref(struct omap_node *n)
{
    if (n != NULL) {
        n->refs++;
    }
    return n;
}

static void node_unref(struct omap_node *n)
{
    while (n != NULL && --n->refs == 0) {
        struct omap_node *right = n->right;
        node_unref(n->left);
        omap_entry_unref(n->entry);
        mem_free(n);
        n = right;
    }
}

/* A node with the same content that nobody else holds. Takes the reference to n. */
static struct omap_node *node_own(struct omap_node *n)
{
    if (n->refs == 1) {
        return n;
    }
    struct omap_node *c = mem_alloc(sizeof(*c));
    c->refs = 1;
    c->priority = n->priority;
    c->left = node_ref(n->left);
    c->right = node_ref(n->right);
    c->entry = omap_entry_ref(n->entry);
    n->refs--;
    return c;
}

/* Splits t (taken) into the keys below `key` and those above; an equal one goes to *out_equal. */
static void node_split(struct omap_node *t, struct slice key, struct omap_node **out_low,
                       struct omap_node **out_equal, struct omap_node **out_high)
{
    if (t == NULL) {
        *out_low = *out_equal = *out_high = NULL;
        return;
    }
    t = node_own(t);
    int c = slice_cmp(omap_entry_key(t->entry), key);
    if (c == 0) {
        *out_low = t->left;
        *out_high = t->right;
        t->left = t->right = NULL;
        *out_equal = t;
    } else if (c < 0) {
        node_split(t->right, key, &t->right, out_equal, out_high);
        *out_low = t;
    } else {
        node_split(t->left, key, out_low, out_equal, &t->left);
        *out_high = t;
    }
}

/* Joins two trees (taken), all keys of a below all keys of b. */
static struct omap_node *node_join(struct omap_node *a, struct omap_node *b)
{
    if (a == NULL) {
        return b;
    }
    if (b == NULL) {
        return a;
    }
    if (a->priority >= b->priority) {
        a = node_own(a);
        a->right = node_join(a->right, b);
        return a;
    }
    b = node_own(b);
    b->left = node_join(a, b->left);
    return b;
}

static struct omap_node *node_put(struct omap_node *t, struct omap_entry *e, uint32_t priority,
                                  bool *out_replaced)
{
    int c = t == NULL ? 0 : slice_cmp(omap_entry_key(e), omap_entry_key(t->entry));
    if (t != NULL && c == 0) {
        t = node_own(t);
        omap_entry_unref(t->entry);
        t->entry = e;
        *out_replaced = true;
        return t;
    }
    if (t != NULL && t->priority >= priority) {
        t = node_own(t);
        if (c < 0) {
            t->left = node_put(t->left, e, priority, out_replaced);
        } else {
            t->right = node_put(t->right, e, priority, out_replaced);
        }
        return t;
    }
    struct omap_node *n = mem_alloc(sizeof(*n));
    struct omap_node *equal = NULL;
    n->refs = 1;
    n->priority = priority;
    n->entry = e;
    node_split(t, omap_entry_key(e), &n->left, &equal, &n->right);
    if (equal != NULL) {
        *out_replaced = true;
        node_unref(equal);
    }
    return n;
}

static struct omap_node *node_delete(struct omap_node *t, struct slice key)
{
    int c = slice_cmp(key, omap_entry_key(t->entry));
    t = node_own(t);
    if (c < 0) {
        t->left = node_delete(t->left, key);
        return t;
    }
    if (c > 0) {
        t->right = node_delete(t->right, key);
        return t;
    }
    struct omap_node *joined = node_join(t->left, t->right);
    t->left = t->right = NULL;
    node_unref(t);
    return joined;
}

/* ---- the map ---- */

void omap_init(struct omap *m)
{
    m->root = NULL;
    m->count = 0;
    m->rng = 0x9e3779b97f4a7c15u;
}

void omap_clear(struct omap *m)
{
    node_unref(m->root);
    m->root = NULL;
    m->count = 0;
}

void omap_deinit(struct omap *m)
{
    omap_clear(m);
}

void omap_copy(struct omap *to, const struct omap *from)
{
    to->root = node_ref(from->root);
    to->count = from->count;
    to->rng = from->rng;
}

struct omap_entry *omap_get(const struct omap *m, struct slice key)
{
    const struct omap_node *n = m->root;
    while (n != NULL) {
        int c = slice_cmp(key, omap_entry_key(n->entry));
        if (c == 0) {
            return n->entry;
        }
        n = c < 0 ? n->left : n->right;
    }
    return NULL;
}

static struct omap_entry *seek(const struct omap *m, struct slice key, bool or_equal)
{
    const struct omap_node *n = m->root;
    struct omap_entry *best = NULL;
    while (n != NULL) {
        int c = slice_cmp(omap_entry_key(n->entry), key);
        if (c > 0 || (or_equal && c == 0)) {
            best = n->entry;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return best;
}

struct omap_entry *omap_seek(const struct omap *m, struct slice key)
{
    return seek(m, key, true);
}

struct omap_entry *omap_after(const struct omap *m, struct slice key)
{
    return seek(m, key, false);
}

struct omap_entry *omap_floor(const struct omap *m, struct slice key)
{
    const struct omap_node *n = m->root;
    struct omap_entry *best = NULL;
    while (n != NULL) {
        if (slice_cmp(omap_entry_key(n->entry), key) <= 0) {
            best = n->entry;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return best;
}

/* xorshift64: the priorities need no better. */
static uint32_t next_priority(struct omap *m)
{
    m->rng ^= m->rng << 13;
    m->rng ^= m->rng >> 7;
    m->rng ^= m->rng << 17;
    return (uint32_t)(m->rng >> 32);
}

void omap_put_take(struct omap *m, struct omap_entry *e)
{
    bool replaced = false;
    m->root = node_put(m->root, e, next_priority(m), &replaced);
    m->count += !replaced;
}

struct omap_entry *omap_put(struct omap *m, struct slice key, struct slice value,
                            uint64_t mod_revision)
{
    struct omap_entry *e = omap_entry_create(key, value, mod_revision);
    omap_put_take(m, e);
    return e;
}

bool omap_delete(struct omap *m, struct slice key)
{
    if (omap_get(m, key) == NULL) {
        return false;
    }
    m->root = node_delete(m->root, key);
    m->count--;
    return true;
}

struct scan {
    struct slice start;
    struct slice prefix;
    bool (*fn)(void *ctx, struct omap_entry *e);
    void *ctx;
};

static bool node_scan(const struct omap_node *n, const struct scan *s)
{
    while (n != NULL) {
        struct slice key = omap_entry_key(n->entry);
        if (slice_cmp(key, s->start) >= 0) {
            if (!node_scan(n->left, s)) {
                return false;
            }
            /* Keys with the prefix are neighbours: the first without it, from start on, is the end.
             */
            if (!slice_has_prefix(key, s->prefix) || !s->fn(s->ctx, n->entry)) {
                return false;
            }
        }
        n = n->right;
    }
    return true;
}

bool omap_scan(const struct omap *m, struct slice start,
               bool (*fn)(void *ctx, struct omap_entry *e), void *ctx)
{
    struct scan s = {start, slice_make(NULL, 0), fn, ctx};
    return node_scan(m->root, &s);
}

bool omap_scan_prefix(const struct omap *m, struct slice prefix,
                      bool (*fn)(void *ctx, struct omap_entry *e), void *ctx)
{
    struct scan s = {prefix, prefix, fn, ctx};
    return node_scan(m->root, &s);
}

static size_t node_check(const struct omap_node *n, const struct omap_entry **last, size_t *count)
{
    if (n == NULL) {
        return 0;
    }
    ASSERT(n->refs > 0 && n->entry->refs > 0);
    ASSERT(n->left == NULL || n->left->priority <= n->priority);
    ASSERT(n->right == NULL || n->right->priority <= n->priority);
    size_t left = node_check(n->left, last, count);
    ASSERT(*last == NULL || slice_cmp(omap_entry_key(*last), omap_entry_key(n->entry)) < 0);
    *last = n->entry;
    (*count)++;
    size_t right = node_check(n->right, last, count);
    return 1 + (left > right ? left : right);
}

size_t omap_check(const struct omap *m)
{
    const struct omap_entry *last = NULL;
    size_t count = 0;
    size_t depth = node_check(m->root, &last, &count);
    ASSERT(count == m->count);
    return depth;
}
