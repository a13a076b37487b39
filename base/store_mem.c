/*
 * The store in memory, for simulation and tests: a disk that can lose its unsynced writes.
 *
 * A disk holds stores by name. A store's data is a skip list of keys; each key has its versions,
 * newest first, by the number of the batch that wrote them. A reader at number n sees the newest
 * version that is not above n. Pins are the numbers that somebody may still read at: open snapshots
 * and iterators, and `durable`, up to which every batch is on the disk for certain. A version that
 * is neither the newest nor visible at a pin is freed when its key is next written, when the pin
 * that held it goes (by a sweep, once enough such versions are about), or when `durable` rises.
 *
 * The batches after `durable` are kept as written: unsynced ones, and synced ones that came after
 * an unsynced one, since a sync says nothing of what was written unsynced before it. Only a flush
 * makes all of them durable. A power cut takes every key that they touched back to its version at
 * `durable`, and applies, in order, those batches that were synced or that the draw lets survive. A
 * failed write leaves its batch as a ghost, which a crash may find written.
 *
 * Handles (struct store) die with the process that opened them: after mem_disk_crash() the old ones
 * answer IO and can only be closed. One mutex a disk: a store is used from a loop and its workers.
 *
 * Invariants: 1. versions of a key have strictly falling numbers. 2. A key has at least one
 * version.
 * 3. durable <= last. 4. Unsynced batches have rising numbers in (durable, last], a ghost is last.
 */
#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/rng.h"
#include "store_internal.h"

#include <pthread.h>

#define HEIGHT_MAX 16
#define TOMBSTONE SIZE_MAX
#define SWEEP_MIN 1024 /* nodes with something superseded before a sweep is worth while */

struct version {
    struct version *older;
    uint64_t number;
    size_t len; /* or TOMBSTONE */
    uint8_t data[];
};

struct node {
    struct version *newest;
    size_t key_len;
    uint8_t *key; /* behind the links */
    int height;
    struct node *next[];
};

struct later {
    struct list link;
    uint64_t number;
    bool is_synced; /* survives a power cut */
    bool is_ghost;  /* its write failed */
    size_t len;
    uint8_t records[]; /* as in mem_batch */
};

struct mem_data { /* what is on the disk under one name */
    struct list link;
    struct mem_disk *disk;
    char *name;
    struct node *head; /* of HEIGHT_MAX, no key */
    struct rng rng;    /* heights */
    uint64_t last;
    uint64_t durable;
    size_t superseded; /* nodes with an older version or a tombstone */
    size_t sweep_at;   /* a sweep is due when there are more of them */
    struct list later; /* batches above durable */
    struct list pins;  /* of snapshots and iterators, numbers rising */
    struct mem_store *open;
};

struct mem_disk {
    pthread_mutex_t mutex;
    struct rng rng;
    struct list stores;
    enum status_code fail_writes; /* STATUS_OK = none */
    bool skip_sync;
};

struct mem_store {
    struct store base;
    struct mem_data *data; /* NULL after a crash */
    struct mem_disk *disk;
    struct status *failure; /* of the first failed write */
};

struct mem_batch {
    struct store_batch base;
    struct buf records; /* per record: u8 kind (0 delete, 1 put), key, value as varint + bytes */
};

struct pin {
    struct list link;
    uint64_t number;
};

struct store_snapshot { /* of this store; LevelDB has its own */
    struct pin pin;
};

struct mem_iter {
    struct store_iter base;
    struct mem_store *store;
    struct pin pin;
    const struct node *node; /* NULL: not on a key */
    const struct version *version;
};

static const struct store_ops mem_ops;

static struct mem_store *of(struct store *s)
{
    return CONTAINER_OF(s, struct mem_store, base);
}

static struct slice key_of(const struct node *n)
{
    return slice_make(n->key, n->key_len);
}

/* ---- the skip list ---- */

static struct node *node_make(struct slice key, int height)
{
    size_t links = sizeof(struct node *) * (size_t)height;
    struct node *n = mem_alloc(sizeof(*n) + links + key.len);
    n->newest = NULL;
    n->height = height;
    n->key_len = key.len;
    n->key = (uint8_t *)n + sizeof(*n) + links;
    for (int i = 0; i < height; i++) {
        n->next[i] = NULL;
    }
    if (key.len) {
        memcpy(n->key, key.data, key.len);
    }
    return n;
}

/* The first node whose key is >= key. out_before (or NULL) gets the last one below per height. */
static struct node *find(const struct mem_data *d, struct slice key, struct node **out_before)
{
    struct node *at = d->head;
    for (int h = HEIGHT_MAX - 1; h >= 0; h--) {
        while (at->next[h] != NULL && slice_cmp(key_of(at->next[h]), key) < 0) {
            at = at->next[h];
        }
        if (out_before != NULL) {
            out_before[h] = at;
        }
    }
    return at->next[0];
}

/* The last node whose key is below key, or NULL. */
static struct node *find_before(const struct mem_data *d, struct slice key)
{
    struct node *before[HEIGHT_MAX];
    find(d, key, before);
    return before[0] == d->head ? NULL : before[0];
}

static struct node *insert(struct mem_data *d, struct slice key, struct node **before)
{
    uint64_t bits = rng_next(&d->rng);
    int height = 1;
    while (height < HEIGHT_MAX && (bits & 3) == 0) { /* one in four goes up */
        height++;
        bits >>= 2;
    }
    struct node *n = node_make(key, height);
    for (int h = 0; h < height; h++) {
        n->next[h] = before[h]->next[h];
        before[h]->next[h] = n;
    }
    return n;
}

static void remove_node(struct node *n, struct node **before)
{
    for (int h = 0; h < n->height; h++) {
        ASSERT(before[h]->next[h] == n);
        before[h]->next[h] = n->next[h];
    }
    ASSERT(n->newest == NULL);
    mem_free(n);
}

static const struct version *visible(const struct node *n, uint64_t number)
{
    const struct version *v = n->newest;
    while (v != NULL && v->number > number) {
        v = v->older;
    }
    return v;
}

/* ---- pins and pruning ---- */

/* The largest pinned number that is below `number`; false when there is none. */
static bool pin_below(const struct mem_data *d, uint64_t number, uint64_t *out_pin)
{
    bool is_found = false;
    if (d->durable < number) {
        *out_pin = d->durable;
        is_found = true;
    }
    for (struct list *it = d->pins.prev; it != &d->pins; it = it->prev) {
        uint64_t n = LIST_ITEM(it, struct pin, link)->number;
        if (n < number) {
            if (!is_found || n > *out_pin) {
                *out_pin = n;
            }
            return true;
        }
    }
    return is_found;
}

/* Frees v and all that is older. */
static void free_from(struct version *v)
{
    while (v != NULL) {
        struct version *older = v->older;
        mem_free(v);
        v = older;
    }
}

/*
 * Frees the versions of n that nobody can see: of each run between two readers only the newest is
 * seen. A tombstone with nothing below says the same as nothing. The caller removes the node when
 * no version is left.
 */
static void prune(struct mem_data *d, struct node *n)
{
    struct version **slot = &n->newest;
    while (*slot != NULL) {
        struct version *v = *slot;
        uint64_t pin = 0;
        if (!pin_below(d, v->number, &pin)) {
            free_from(v->older);
            v->older = NULL;
        }
        while (v->older != NULL && v->older->number > pin) {
            struct version *unseen = v->older;
            v->older = unseen->older;
            mem_free(unseen);
        }
        if (v->older == NULL && v->len == TOMBSTONE) {
            *slot = NULL;
            mem_free(v);
            return;
        }
        slot = &v->older;
    }
}

static bool is_superseded(const struct node *n)
{
    return n->newest != NULL && (n->newest->older != NULL || n->newest->len == TOMBSTONE);
}

/* After a change of n's versions: prunes, counts, and takes the node out when nothing is left. */
static void settle_node(struct mem_data *d, struct node *n, struct node **before,
                        bool was_superseded)
{
    prune(d, n);
    d->superseded += is_superseded(n);
    d->superseded -= was_superseded;
    if (n->newest == NULL) {
        remove_node(n, before);
    }
}

static void prune_key(struct mem_data *d, struct slice key)
{
    struct node *before[HEIGHT_MAX];
    struct node *n = find(d, key, before);
    if (n == NULL || !slice_eq(key_of(n), key)) {
        return;
    }
    settle_node(d, n, before, is_superseded(n));
}

static void sweep(struct mem_data *d)
{
    struct node *before[HEIGHT_MAX];
    for (int h = 0; h < HEIGHT_MAX; h++) {
        before[h] = d->head;
    }
    d->superseded = 0;
    struct node *n = d->head->next[0];
    while (n != NULL) {
        struct node *next = n->next[0];
        prune(d, n);
        if (n->newest == NULL) {
            remove_node(n, before);
        } else {
            d->superseded += is_superseded(n);
            for (int h = 0; h < n->height; h++) {
                before[h] = n;
            }
        }
        n = next;
    }
    /* What is pinned still: look again when as much has come on top. */
    d->sweep_at = 2 * d->superseded + SWEEP_MIN;
}

static void pin_add(struct mem_data *d, struct pin *p, uint64_t number)
{
    p->number = number;
    struct list *after = d->pins.prev;
    while (after != &d->pins && LIST_ITEM(after, struct pin, link)->number > number) {
        after = after->prev;
    }
    list_insert_before(after->next, &p->link);
}

/* ---- batches ---- */

static struct store_batch *mem_batch_create(struct store *s)
{
    (void)s;
    struct mem_batch *b = MEM_NEW(struct mem_batch);
    b->base.ops = &mem_ops;
    return &b->base;
}

static void mem_batch_destroy(struct store_batch *base)
{
    struct mem_batch *b = (struct mem_batch *)base;
    buf_deinit(&b->records);
    mem_free(b);
}

static void mem_batch_clear(struct store_batch *base)
{
    buf_clear(&((struct mem_batch *)base)->records);
}

static void mem_batch_put(struct store_batch *base, struct slice key, struct slice value)
{
    struct buf *r = &((struct mem_batch *)base)->records;
    buf_put_u8(r, 1);
    buf_put_bytes(r, key);
    buf_put_bytes(r, value);
}

static void mem_batch_delete(struct store_batch *base, struct slice key)
{
    struct buf *r = &((struct mem_batch *)base)->records;
    buf_put_u8(r, 0);
    buf_put_bytes(r, key);
}

struct record {
    struct slice key;
    struct slice value;
    bool is_put;
};

static bool next_record(struct reader *r, struct record *out)
{
    if (reader_left(r) == 0) {
        ASSERT(reader_ok(r));
        return false;
    }
    out->is_put = read_u8(r) != 0;
    out->key = read_bytes(r);
    out->value = out->is_put ? read_bytes(r) : slice_make(NULL, 0);
    return true;
}

static void put_version(struct mem_data *d, const struct record *rec, uint64_t number)
{
    struct node *before[HEIGHT_MAX];
    struct node *n = find(d, rec->key, before);
    if (n == NULL || !slice_eq(key_of(n), rec->key)) {
        if (!rec->is_put) {
            return; /* deletes what is not there */
        }
        n = insert(d, rec->key, before);
    }
    bool was_superseded = is_superseded(n);
    struct version *v = mem_alloc(sizeof(*v) + rec->value.len);
    v->number = number;
    v->len = rec->is_put ? rec->value.len : TOMBSTONE;
    if (rec->value.len) {
        memcpy(v->data, rec->value.data, rec->value.len);
    }
    if (n->newest != NULL &&
        n->newest->number == number) { /* twice in one batch: the last counts */
        v->older = n->newest->older;
        mem_free(n->newest);
    } else {
        v->older = n->newest;
    }
    n->newest = v;
    settle_node(d, n, before, was_superseded);
}

static void apply(struct mem_data *d, struct slice records, uint64_t number)
{
    struct reader r;
    reader_init(&r, records);
    struct record rec;
    while (next_record(&r, &rec)) {
        put_version(d, &rec, number);
    }
}

static struct later *keep_later(struct mem_data *d, struct slice records, uint64_t number)
{
    struct later *u = mem_alloc(sizeof(*u) + records.len);
    *u = (struct later){.number = number, .len = records.len};
    if (records.len) {
        memcpy(u->records, records.data, records.len);
    }
    list_push_back(&d->later, &u->link);
    return u;
}

static struct later *first_later(struct mem_data *d)
{
    return list_is_empty(&d->later) ? NULL : LIST_ITEM(d->later.next, struct later, link);
}

static void drop_later(struct later *u)
{
    list_unlink(&u->link);
    mem_free(u);
}

/* All that was written is durable now; what only `durable` held goes. */
static void make_durable(struct mem_data *d)
{
    d->durable = d->last;
    struct later *u;
    while ((u = first_later(d)) != NULL) {
        struct reader r;
        reader_init(&r, slice_make(u->records, u->len));
        struct record rec;
        while (next_record(&r, &rec)) {
            prune_key(d, rec.key);
        }
        drop_later(u);
    }
}

/* records NULL: of a flush. */
static struct status *fail_write(struct mem_store *s, const struct slice *records)
{
    struct mem_data *d = s->data;
    enum status_code code = d->disk->fail_writes;
    s->failure = code == STATUS_LIMIT
                     ? status_sql(LIMIT, "53100", "no space left in the store \"%s\"", d->name)
                     : status_make(__FILE__, __LINE__, code, NULL, "the store \"%s\" failed: %s",
                                   d->name, "the simulated disk refuses writes");
    if (records != NULL) {
        keep_later(d, *records, d->last + 1)->is_ghost = true;
    }
    return status_copy(s->failure);
}

static struct status *gone(void)
{
    return status_new(IO, "the store was opened before the disk crashed");
}

static struct status *mem_write(struct store *base, struct store_batch *batch, bool sync)
{
    struct mem_store *s = of(base);
    struct slice records = buf_slice(&((struct mem_batch *)batch)->records);
    struct status *st = NULL;
    pthread_mutex_lock(&s->disk->mutex);
    struct mem_data *d = s->data;
    if (d == NULL) {
        st = gone();
    } else if (s->failure != NULL) {
        st = status_copy(s->failure);
    } else if (d->disk->fail_writes != STATUS_OK) {
        st = fail_write(s, &records);
    } else {
        bool is_synced = sync && !d->disk->skip_sync;
        uint64_t number = ++d->last;
        if (is_synced && list_is_empty(&d->later)) {
            d->durable = number;
        } else {
            keep_later(d, records, number)->is_synced = is_synced;
        }
        apply(d, records, number);
        if (d->superseded > d->sweep_at) {
            sweep(d);
        }
    }
    pthread_mutex_unlock(&s->disk->mutex);
    return st;
}

static struct status *mem_flush(struct store *base)
{
    struct mem_store *s = of(base);
    struct status *st = NULL;
    pthread_mutex_lock(&s->disk->mutex);
    struct mem_data *d = s->data;
    if (d == NULL) {
        st = gone();
    } else if (s->failure != NULL) {
        st = status_copy(s->failure);
    } else if (d->disk->fail_writes != STATUS_OK) {
        st = fail_write(s, NULL);
    } else if (!d->disk->skip_sync) {
        make_durable(d);
    }
    pthread_mutex_unlock(&s->disk->mutex);
    return st;
}

/* ---- reading ---- */

static struct status *mem_get(struct store *base, const struct store_snapshot *snap,
                              struct slice key, struct buf *out, bool *out_found)
{
    struct mem_store *s = of(base);
    struct status *st = NULL;
    pthread_mutex_lock(&s->disk->mutex);
    if (s->data == NULL) {
        st = gone();
    } else {
        const struct node *n = find(s->data, key, NULL);
        const struct version *v = NULL;
        if (n != NULL && slice_eq(key_of(n), key)) {
            v = visible(n, snap == NULL ? s->data->last : snap->pin.number);
        }
        buf_clear(out);
        *out_found = v != NULL && v->len != TOMBSTONE;
        if (*out_found) {
            buf_put(out, v->data, v->len);
        }
    }
    pthread_mutex_unlock(&s->disk->mutex);
    return st;
}

static struct store_snapshot *mem_snapshot_create(struct store *base)
{
    struct mem_store *s = of(base);
    struct store_snapshot *snap = MEM_NEW(struct store_snapshot);
    pthread_mutex_lock(&s->disk->mutex);
    list_head_init(&snap->pin.link);
    if (s->data != NULL) {
        pin_add(s->data, &snap->pin, s->data->last);
    }
    pthread_mutex_unlock(&s->disk->mutex);
    return snap;
}

static void mem_snapshot_destroy(struct store *base, struct store_snapshot *snap)
{
    struct mem_store *s = of(base);
    pthread_mutex_lock(&s->disk->mutex);
    list_unlink(&snap->pin.link); /* a crash has taken it off already */
    pthread_mutex_unlock(&s->disk->mutex);
    mem_free(snap);
}

static struct store_iter *mem_iter_create(struct store *base, const struct store_snapshot *snap)
{
    struct mem_store *s = of(base);
    struct mem_iter *it = MEM_NEW(struct mem_iter);
    it->base.ops = &mem_ops;
    it->store = s;
    pthread_mutex_lock(&s->disk->mutex);
    list_head_init(&it->pin.link);
    if (s->data != NULL) {
        pin_add(s->data, &it->pin, snap == NULL ? s->data->last : snap->pin.number);
    }
    pthread_mutex_unlock(&s->disk->mutex);
    return &it->base;
}

static void mem_iter_destroy(struct store_iter *base)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->store->disk->mutex);
    list_unlink(&it->pin.link);
    pthread_mutex_unlock(&it->store->disk->mutex);
    mem_free(it);
}

/* From n on in one direction to the first key with a value at the iterator's number. */
static void settle(struct mem_iter *it, const struct node *n, bool forward)
{
    it->node = NULL;
    while (n != NULL) {
        const struct version *v = visible(n, it->pin.number);
        if (v != NULL && v->len != TOMBSTONE) {
            it->node = n;
            it->version = v;
            return;
        }
        n = forward ? n->next[0] : find_before(it->store->data, key_of(n));
    }
}

static void mem_iter_seek(struct store_iter *base, struct slice key)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->store->disk->mutex);
    it->node = NULL;
    if (it->store->data != NULL) {
        settle(it, find(it->store->data, key, NULL), true);
    }
    pthread_mutex_unlock(&it->store->disk->mutex);
}

static void mem_iter_seek_prev(struct store_iter *base, struct slice key)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->store->disk->mutex);
    it->node = NULL;
    if (it->store->data != NULL) {
        settle(it, find_before(it->store->data, key), false);
    }
    pthread_mutex_unlock(&it->store->disk->mutex);
}

static void mem_iter_next(struct store_iter *base)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->store->disk->mutex);
    if (it->store->data == NULL) {
        it->node = NULL;
    } else {
        settle(it, it->node->next[0], true); /* the pin keeps the node in the list */
    }
    pthread_mutex_unlock(&it->store->disk->mutex);
}

static void mem_iter_prev(struct store_iter *base)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->store->disk->mutex);
    if (it->store->data == NULL) {
        it->node = NULL;
    } else {
        settle(it, find_before(it->store->data, key_of(it->node)), false);
    }
    pthread_mutex_unlock(&it->store->disk->mutex);
}

static bool mem_iter_valid(const struct store_iter *it)
{
    return ((const struct mem_iter *)it)->node != NULL;
}

static struct slice mem_iter_key(const struct store_iter *it)
{
    return key_of(((const struct mem_iter *)it)->node);
}

static struct slice mem_iter_value(const struct store_iter *it)
{
    const struct version *v = ((const struct mem_iter *)it)->version;
    return slice_make(v->data, v->len);
}

static struct status *mem_iter_status(struct store_iter *base)
{
    return ((struct mem_iter *)base)->store->data == NULL ? gone() : NULL;
}

static uint64_t mem_free_bytes(struct store *base)
{
    (void)base;
    return UINT64_MAX;
}

static uint64_t mem_approximate_size(struct store *base, struct slice start, struct slice end)
{
    struct mem_store *s = of(base);
    uint64_t size = 0;
    pthread_mutex_lock(&s->disk->mutex);
    const struct node *n = s->data == NULL ? NULL : find(s->data, start, NULL);
    while (n != NULL && (end.len == 0 || slice_cmp(key_of(n), end) < 0)) {
        size += n->key_len + (n->newest->len == TOMBSTONE ? 0 : n->newest->len);
        n = n->next[0];
    }
    pthread_mutex_unlock(&s->disk->mutex);
    return size;
}

static void mem_compact(struct store *base, struct slice start, struct slice end)
{
    (void)start;
    (void)end;
    struct mem_store *s = of(base);
    pthread_mutex_lock(&s->disk->mutex);
    if (s->data != NULL) {
        sweep(s->data);
    }
    pthread_mutex_unlock(&s->disk->mutex);
}

/* ---- life of a handle ---- */

static struct mem_data *data_of(struct mem_disk *disk, const char *name)
{
    LIST_FOREACH(it, &disk->stores)
    {
        struct mem_data *d = LIST_ITEM(it, struct mem_data, link);
        if (strcmp(d->name, name) == 0) {
            return d;
        }
    }
    struct mem_data *d = MEM_NEW(struct mem_data);
    d->disk = disk;
    d->name = mem_strdup(name);
    d->sweep_at = SWEEP_MIN;
    d->head = node_make(slice_make(NULL, 0), HEIGHT_MAX);
    rng_seed(&d->rng, rng_next(&disk->rng));
    list_head_init(&d->later);
    list_head_init(&d->pins);
    list_push_back(&disk->stores, &d->link);
    return d;
}

struct status *store_mem_open(struct mem_disk *disk, const char *name, struct store **out_store)
{
    struct status *st = NULL;
    pthread_mutex_lock(&disk->mutex);
    struct mem_data *d = data_of(disk, name);
    if (d->open != NULL) {
        st = status_sql(INVALID, "55006", "the store \"%s\" is in use", name);
    } else {
        struct mem_store *s = MEM_NEW(struct mem_store);
        s->base.ops = &mem_ops;
        s->data = d;
        s->disk = disk;
        d->open = s;
        *out_store = &s->base;
    }
    pthread_mutex_unlock(&disk->mutex);
    return st;
}

static void mem_close(struct store *base)
{
    struct mem_store *s = of(base);
    pthread_mutex_lock(&s->disk->mutex);
    if (s->data != NULL) {
        ASSERT_MSG(list_is_empty(&s->data->pins), "store \"%s\" is closed under an iterator",
                   s->data->name);
        s->data->open = NULL;
    }
    pthread_mutex_unlock(&s->disk->mutex);
    status_free(s->failure);
    mem_free(s);
}

/* ---- the disk ---- */

struct mem_disk *mem_disk_create(uint64_t seed)
{
    struct mem_disk *disk = MEM_NEW(struct mem_disk);
    pthread_mutex_init(&disk->mutex, NULL);
    rng_seed(&disk->rng, seed);
    list_head_init(&disk->stores);
    return disk;
}

static void free_versions(struct node *n)
{
    while (n->newest != NULL) {
        struct version *v = n->newest;
        n->newest = v->older;
        mem_free(v);
    }
}

void mem_disk_destroy(struct mem_disk *disk)
{
    if (disk == NULL) {
        return;
    }
    struct list *item;
    while ((item = list_pop_front(&disk->stores)) != NULL) {
        struct mem_data *d = LIST_ITEM(item, struct mem_data, link);
        ASSERT_MSG(d->open == NULL, "store \"%s\" is open on a disk that goes away", d->name);
        struct later *u;
        while ((u = first_later(d)) != NULL) {
            drop_later(u);
        }
        while (d->head != NULL) {
            struct node *n = d->head;
            d->head = n->next[0];
            free_versions(n);
            mem_free(n);
        }
        mem_free(d->name);
        mem_free(d);
    }
    pthread_mutex_destroy(&disk->mutex);
    mem_free(disk);
}

/* Back to what `durable` saw of the key. */
static void revert_key(struct mem_data *d, struct slice key)
{
    struct node *before[HEIGHT_MAX];
    struct node *n = find(d, key, before);
    if (n == NULL || !slice_eq(key_of(n), key)) {
        return;
    }
    bool was_superseded = is_superseded(n);
    while (n->newest != NULL && n->newest->number > d->durable) {
        struct version *v = n->newest;
        n->newest = v->older;
        mem_free(v);
    }
    settle_node(d, n, before, was_superseded);
}

static void revert_later(struct mem_data *d)
{
    LIST_FOREACH(it, &d->later)
    {
        const struct later *u = LIST_ITEM(it, struct later, link);
        struct reader r;
        reader_init(&r, slice_make(u->records, u->len));
        struct record rec;
        while (next_record(&r, &rec)) {
            revert_key(d, rec.key);
        }
    }
}

/* A process crash: nothing is lost, nothing becomes durable, a failed write may turn out written.
 */
static void crash_process(struct mem_data *d)
{
    LIST_FOREACH_SAFE(it, tmp, &d->later)
    {
        struct later *u = LIST_ITEM(it, struct later, link);
        if (!u->is_ghost) {
            continue;
        }
        if (rng_next(&d->disk->rng) & 1) {
            u->is_ghost = false;
            u->number = ++d->last;
            apply(d, slice_make(u->records, u->len), u->number);
        } else {
            drop_later(u);
        }
    }
}

static void crash_power(struct mem_data *d, int keep_percent)
{
    revert_later(d);
    d->last = d->durable;
    struct list batches;
    list_head_init(&batches);
    list_splice_back(&batches, &d->later);
    struct list *item;
    while ((item = list_pop_front(&batches)) != NULL) {
        struct later *u = LIST_ITEM(item, struct later, link);
        bool is_drawn = rng_below(&d->disk->rng, 100) < (uint64_t)keep_percent;
        if (u->is_synced || is_drawn) {
            d->durable = ++d->last;
            apply(d, slice_make(u->records, u->len), d->last);
        }
        mem_free(u);
    }
    sweep(d);
}

void mem_disk_crash(struct mem_disk *disk, int keep_percent)
{
    ASSERT(keep_percent >= 0 && keep_percent <= 100);
    pthread_mutex_lock(&disk->mutex);
    LIST_FOREACH(it, &disk->stores)
    {
        struct mem_data *d = LIST_ITEM(it, struct mem_data, link);
        if (d->open != NULL) {
            d->open->data = NULL;
            d->open = NULL;
        }
        while (list_pop_front(&d->pins) != NULL) {
        }
        if (keep_percent == 100) {
            crash_process(d);
        } else {
            crash_power(d, keep_percent);
        }
    }
    pthread_mutex_unlock(&disk->mutex);
}

void mem_disk_fail_writes(struct mem_disk *disk, enum status_code code)
{
    ASSERT(code == STATUS_OK || code == STATUS_IO || code == STATUS_LIMIT);
    pthread_mutex_lock(&disk->mutex);
    disk->fail_writes = code;
    pthread_mutex_unlock(&disk->mutex);
}

void mem_disk_skip_sync(struct mem_disk *disk, bool on)
{
    pthread_mutex_lock(&disk->mutex);
    disk->skip_sync = on;
    pthread_mutex_unlock(&disk->mutex);
}

static const struct store_ops mem_ops = {
    .close = mem_close,
    .get = mem_get,
    .batch_create = mem_batch_create,
    .batch_destroy = mem_batch_destroy,
    .batch_clear = mem_batch_clear,
    .batch_put = mem_batch_put,
    .batch_delete = mem_batch_delete,
    .write = mem_write,
    .flush = mem_flush,
    .snapshot_create = mem_snapshot_create,
    .snapshot_destroy = mem_snapshot_destroy,
    .iter_create = mem_iter_create,
    .iter_destroy = mem_iter_destroy,
    .iter_seek = mem_iter_seek,
    .iter_seek_prev = mem_iter_seek_prev,
    .iter_next = mem_iter_next,
    .iter_prev = mem_iter_prev,
    .iter_valid = mem_iter_valid,
    .iter_key = mem_iter_key,
    .iter_value = mem_iter_value,
    .iter_status = mem_iter_status,
    .free_bytes = mem_free_bytes,
    .approximate_size = mem_approximate_size,
    .compact = mem_compact,
};
