/*
 * The shard map and the nodes, decoded from the cache and kept in step by listeners.
 *
 * Shards stand in an array sorted by start key; looking one up is a binary search. A change
 * replaces one element; leader hints belong to the shard id and survive it. A range change comes as
 * one transaction (left part shrinks, right part appears), and the cache tells a transaction as a
 * whole, so nobody who parks sees half.
 */
#include "client_impl.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"

#include <uthash.h>

struct shard_item {
    struct shard_info info; /* start and end point into bytes */
    UT_hash_handle hh;
    uint8_t bytes[];
};

struct node_item {
    uint64_t node_id;
    UT_hash_handle hh;
    struct arena *arena;
    Sherd__V1__NodeDesc *desc;
};

struct shard_map {
    struct meta_client *client;
    struct meta_listener shards_listener;
    struct meta_listener nodes_listener;
    struct shard_item **items; /* by start */
    size_t count, cap;
    struct shard_item *by_id;
    struct node_item *nodes;
};

/* ---- shards ---- */

/* Index of the first item with a start above the key. */
static size_t upper_bound(const struct shard_map *m, struct slice key)
{
    size_t low = 0;
    size_t high = m->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (slice_cmp(m->items[mid]->info.start, key) <= 0) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static struct shard_item *item_by_id(struct shard_map *m, uint64_t shard_id)
{
    struct shard_item *item;
    HASH_FIND(hh, m->by_id, &shard_id, sizeof(shard_id), item);
    return item;
}

static struct shard_item *item_make(const Sherd__V1__ShardDesc *d)
{
    struct slice start = d->range == NULL ? slice_make(NULL, 0)
                                          : slice_make(d->range->start.data, d->range->start.len);
    struct slice end =
        d->range == NULL ? slice_make(NULL, 0) : slice_make(d->range->end.data, d->range->end.len);
    struct shard_item *item = mem_zalloc(sizeof(*item) + start.len + end.len);
    struct shard_info *s = &item->info;
    if (start.len > 0) {
        memcpy(item->bytes, start.data, start.len);
    }
    if (end.len > 0) {
        memcpy(item->bytes + start.len, end.data, end.len);
    }
    s->shard_id = d->shard_id;
    s->epoch = d->epoch;
    s->start = slice_make(item->bytes, start.len);
    s->end = slice_make(item->bytes + start.len, end.len);
    s->placement = d->placement;
    size_t max = sizeof(s->replicas) / sizeof(s->replicas[0]);
    for (size_t i = 0; i < d->n_replicas && s->replica_count < max; i++) {
        s->replicas[s->replica_count].replica_id = d->replicas[i]->replica_id;
        s->replicas[s->replica_count].node_id = d->replicas[i]->node_id;
        s->replicas[s->replica_count].is_voter =
            d->replicas[i]->role == SHERD__V1__REPLICA_ROLE__REPLICA_VOTER;
        s->replica_count++;
    }
    return item;
}

static void item_remove(struct shard_map *m, size_t at)
{
    struct shard_item *item = m->items[at];
    memmove(&m->items[at], &m->items[at + 1], (m->count - at - 1) * sizeof(m->items[0]));
    m->count--;
    if (item_by_id(m, item->info.shard_id) == item) {
        HASH_DELETE(hh, m->by_id, item);
    }
    mem_free(item);
}

static void item_insert(struct shard_map *m, struct shard_item *item)
{
    struct shard_item *same = item_by_id(m, item->info.shard_id);
    if (same != NULL) {
        item->info.leader_hint = same->info.leader_hint;
        HASH_DELETE(hh, m->by_id, same);
    }
    size_t at = upper_bound(m, item->info.start);
    if (at > 0 && slice_eq(m->items[at - 1]->info.start, item->info.start)) {
        item_remove(m, --at);
    }
    if (m->count == m->cap) {
        m->cap = m->cap == 0 ? 16 : m->cap * 2;
        m->items = mem_realloc(m->items, m->cap * sizeof(m->items[0]));
    }
    memmove(&m->items[at + 1], &m->items[at], (m->count - at) * sizeof(m->items[0]));
    m->items[at] = item;
    m->count++;
    HASH_ADD_KEYPTR(hh, m->by_id, &item->info.shard_id, sizeof(item->info.shard_id), item);
}

static void shard_changed(struct meta_listener *l, struct slice key, struct slice value,
                          bool deleted)
{
    struct shard_map *m = CONTAINER_OF(l, struct shard_map, shards_listener);
    size_t prefix = strlen(META_PREFIX_SHARD);
    struct slice start = slice_make(key.data + prefix, key.len - prefix);
    if (deleted) {
        size_t at = upper_bound(m, start);
        if (at > 0 && slice_eq(m->items[at - 1]->info.start, start)) {
            item_remove(m, at - 1);
        }
        return;
    }
    struct arena *a = arena_create(0);
    void *message;
    struct status *st = pb_unpack(&sherd__v1__shard_desc__descriptor, a, value, &message);
    if (st == NULL) {
        item_insert(m, item_make(message));
    } else {
        LOGE("metadata", "shard map: %s", st->message);
        status_free(st);
    }
    arena_destroy(a);
}

const struct shard_info *shard_map_find(struct meta_client *c, struct slice key)
{
    struct shard_map *m = c->map;
    size_t at = upper_bound(m, key);
    if (at == 0) {
        return NULL;
    }
    const struct shard_info *s = &m->items[at - 1]->info;
    return s->end.len == 0 || slice_cmp(key, s->end) < 0 ? s : NULL;
}

const struct shard_info *shard_map_by_id(struct meta_client *c, uint64_t shard_id)
{
    const struct shard_item *item = item_by_id(c->map, shard_id);
    return item == NULL ? NULL : &item->info;
}

void shard_map_scan(struct meta_client *c, struct slice start, struct slice end,
                    bool (*fn)(void *ctx, const struct shard_info *s), void *ctx)
{
    struct shard_map *m = c->map;
    size_t at = upper_bound(m, start);
    if (at > 0) {
        const struct shard_info *before = &m->items[at - 1]->info;
        at -= before->end.len == 0 || slice_cmp(start, before->end) < 0;
    }
    for (; at < m->count; at++) {
        const struct shard_info *s = &m->items[at]->info;
        if (end.len > 0 && slice_cmp(s->start, end) >= 0) {
            return;
        }
        if (!fn(ctx, s)) {
            return;
        }
    }
}

void shard_map_leader(struct meta_client *c, uint64_t shard_id, uint64_t node_id)
{
    struct shard_item *item = item_by_id(c->map, shard_id);
    if (item != NULL) {
        item->info.leader_hint = node_id;
    }
}

/* ---- nodes ---- */

static struct node_item *node_find(struct shard_map *m, uint64_t node_id)
{
    struct node_item *n;
    HASH_FIND(hh, m->nodes, &node_id, sizeof(node_id), n);
    return n;
}

static void node_drop(struct shard_map *m, struct node_item *n)
{
    HASH_DELETE(hh, m->nodes, n);
    arena_destroy(n->arena);
    mem_free(n);
}

static void node_changed(struct meta_listener *l, struct slice key, struct slice value,
                         bool deleted)
{
    struct shard_map *m = CONTAINER_OF(l, struct shard_map, nodes_listener);
    uint64_t id = meta_key_id(key, META_PREFIX_NODE);
    struct node_item *n = node_find(m, id);
    if (n != NULL) {
        node_drop(m, n);
    }
    if (deleted) {
        return;
    }
    struct arena *a = arena_create(0);
    void *message;
    struct status *st = pb_unpack(&sherd__v1__node_desc__descriptor, a, value, &message);
    if (st != NULL) {
        LOGE("metadata", "node %llu: %s", (unsigned long long)id, st->message);
        status_free(st);
        arena_destroy(a);
        return;
    }
    n = MEM_NEW(struct node_item);
    n->node_id = id;
    n->arena = a;
    n->desc = message;
    HASH_ADD(hh, m->nodes, node_id, sizeof(n->node_id), n);
}

bool node_address(struct meta_client *c, uint64_t node_id, Sherd__V1__NodeAddress *out)
{
    const struct node_item *n = node_find(c->map, node_id);
    if (n == NULL || n->desc->address == NULL) {
        return false;
    }
    *out = *n->desc->address;
    return true;
}

size_t shard_map_nodes(struct meta_client *c, uint64_t *out, size_t cap)
{
    size_t n = 0;
    for (size_t s = 0; s < c->map->count; s++) {
        const struct shard_info *info = &c->map->items[s]->info;
        for (size_t i = 0; i < info->replica_count; i++) {
            bool is_known = false;
            for (size_t k = 0; k < n && !is_known; k++) {
                is_known = out[k] == info->replicas[i].node_id;
            }
            if (!is_known && n < cap) {
                out[n++] = info->replicas[i].node_id;
            }
        }
    }
    return n;
}

size_t router_nodes(struct meta_client *c, uint64_t *out, size_t cap)
{
    size_t n = 0;
    struct node_item *x, *tmp;
    HASH_ITER(hh, c->map->nodes, x, tmp)
    {
        if (x->desc->role_router && x->desc->state != SHERD__V1__NODE_STATE__NODE_GONE && n < cap) {
            out[n++] = x->node_id;
        }
    }
    return n;
}

/* ---- life ---- */

struct shard_map *shard_map_create(struct meta_client *c)
{
    struct shard_map *m = MEM_NEW(struct shard_map);
    m->client = c;
    m->shards_listener.prefix = slice_str(META_PREFIX_SHARD);
    m->shards_listener.changed = shard_changed;
    m->nodes_listener.prefix = slice_str(META_PREFIX_NODE);
    m->nodes_listener.changed = node_changed;
    meta_listen(c, &m->shards_listener);
    meta_listen(c, &m->nodes_listener);
    return m;
}

void shard_map_destroy(struct shard_map *m)
{
    meta_unlisten(&m->shards_listener);
    meta_unlisten(&m->nodes_listener);
    HASH_CLEAR(hh, m->by_id);
    while (m->count > 0) {
        mem_free(m->items[--m->count]);
    }
    mem_free(m->items);
    struct node_item *n;
    struct node_item *tmp;
    HASH_ITER(hh, m->nodes, n, tmp)
    {
        node_drop(m, n);
    }
    mem_free(m);
}
