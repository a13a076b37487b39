/*
 * Loading and applying the durable state of a replica: see state.h. Everything here runs in one
 * turn; apply() cannot fail, so a damaged entry ends the process (the log store has checked its
 * checksum: it would be a bug, and going on would let replicas differ).
 */
#include "state.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/mem.h"
#include "observe.h"
#include "sherd/v1/catalog.pb-c.h"

struct shard_observer shard_observer;

enum { LOST_ROUND = 0xFF, G_HEAD = 1 + 8 };

void state_key(struct buf *out, uint64_t group_id, uint8_t kind)
{
    buf_clear(out);
    buf_put_u8(out, 'g');
    buf_put_u64(out, group_id);
    buf_put_u8(out, kind);
}

void state_key_u32(struct buf *out, uint64_t group_id, uint8_t kind, uint32_t v)
{
    state_key(out, group_id, kind);
    buf_put_u32(out, v);
}

void state_key_u64(struct buf *out, uint64_t group_id, uint8_t kind, uint64_t v)
{
    state_key(out, group_id, kind);
    buf_put_u64(out, v);
}

void state_key_txn(struct buf *out, uint64_t group_id, uint8_t kind, struct txn_id id)
{
    state_key(out, group_id, kind);
    buf_put_u64(out, id.incarnation);
    buf_put_u64(out, id.counter);
}

void state_key_part(struct buf *out, uint64_t group_id, struct txn_id id, uint64_t ts,
                    uint32_t part)
{
    state_key_txn(out, group_id, 'T', id);
    buf_put_u64(out, ts);
    buf_put_u32(out, part);
}

void state_committed_value(struct buf *out, uint32_t attempt, uint64_t ts)
{
    buf_clear(out);
    buf_put_u32(out, attempt);
    buf_put_u64(out, ts);
}

/* ---- outcomes ---- */

static struct outcome *outcome_find(const struct shard_state *st, struct txn_id id)
{
    struct outcome *o = NULL;
    HASH_FIND(hh, st->outcomes, &id, sizeof(id), o);
    return o;
}

static void outcome_drop(struct shard_state *st, struct outcome *o)
{
    if (o->slot >= 0 && st->slots[o->slot] == o) {
        st->slots[o->slot] = NULL;
        st->slots_used--;
    }
    HASH_DEL(st->outcomes, o);
    mem_free(o);
}

static void outcome_put(struct shard_state *st, struct txn_id id, uint32_t attempt, uint64_t ts,
                        int slot, uint64_t index)
{
    struct outcome *o = outcome_find(st, id);
    if (o == NULL) {
        o = MEM_NEW(struct outcome);
        o->id = id;
        HASH_ADD(hh, st->outcomes, id, sizeof(o->id), o);
    } else if (o->slot >= 0 && o->slot != slot && st->slots[o->slot] == o) {
        st->slots[o->slot] = NULL;
        st->slots_used--;
    }
    o->attempt = attempt;
    o->ts = ts;
    o->slot = slot;
    o->index = index;
    if (slot >= 0 && st->slots[slot] != o) {
        ASSERT(st->slots[slot] == NULL);
        st->slots[slot] = o;
        st->slots_used++;
    }
}

/* Returns whether it is news. */
static bool lost_put(struct shard_state *st, uint64_t incarnation, uint64_t counter_max)
{
    struct outcome_lost *l = NULL;
    HASH_FIND(hh, st->lost, &incarnation, sizeof(incarnation), l);
    if (l == NULL) {
        l = MEM_NEW(struct outcome_lost);
        l->incarnation = incarnation;
        HASH_ADD(hh, st->lost, incarnation, sizeof(l->incarnation), l);
    } else if (l->counter_max >= counter_max) {
        return false;
    }
    l->counter_max = counter_max;
    return true;
}

enum outcome_answer state_outcome(const struct shard_state *st, struct txn_id id,
                                  struct outcome *out)
{
    const struct outcome *o = outcome_find(st, id);
    if (o != NULL) {
        *out = *o;
        return OUTCOME_COMMITTED;
    }
    struct outcome_lost *l = NULL;
    HASH_FIND(hh, st->lost, &id.incarnation, sizeof(id.incarnation), l);
    return l != NULL && id.counter <= l->counter_max ? OUTCOME_LOST : OUTCOME_NONE;
}

/* ---- fences ---- */

void state_fence_put(struct shard_state *st, uint32_t table_id, uint64_t version)
{
    struct table_fence *x = NULL;
    HASH_FIND(hh, st->fences, &table_id, sizeof(table_id), x);
    if (x == NULL) {
        x = MEM_NEW(struct table_fence);
        x->table_id = table_id;
        HASH_ADD(hh, st->fences, table_id, sizeof(x->table_id), x);
    }
    if (version > x->version) {
        x->version = version;
    }
}

uint64_t state_fence(const struct shard_state *st, uint32_t table_id)
{
    struct table_fence *x = NULL;
    if (st->fences != NULL && !bug_on(BUG_TXN_NO_SCHEMA_FENCE)) {
        HASH_FIND(hh, st->fences, &table_id, sizeof(table_id), x);
    }
    return x == NULL ? 0 : x->version;
}

static void router_put(struct shard_state *st, uint64_t incarnation)
{
    struct router_fence *x = NULL;
    HASH_FIND(hh, st->routers, &incarnation, sizeof(incarnation), x);
    if (x == NULL) {
        x = MEM_NEW(struct router_fence);
        x->incarnation = incarnation;
        HASH_ADD(hh, st->routers, incarnation, sizeof(x->incarnation), x);
    }
}

bool state_is_fenced(const struct shard_state *st, uint64_t incarnation)
{
    struct router_fence *x = NULL;
    if (st->routers != NULL) {
        HASH_FIND(hh, st->routers, &incarnation, sizeof(incarnation), x);
    }
    return x != NULL;
}

/* ---- range ---- */

static bool in_range(struct slice key, const struct buf *start, const struct buf *end)
{
    return slice_cmp(key, buf_slice(start)) >= 0 &&
           (end->len == 0 || slice_cmp(key, buf_slice(end)) < 0);
}

bool state_holds(const struct shard_state *st, struct slice key)
{
    return st->epoch != 0 && in_range(key, &st->start, &st->end);
}

bool state_holds_range(const struct shard_state *st, struct slice start, struct slice end)
{
    if (st->epoch == 0 || slice_cmp(start, buf_slice(&st->start)) < 0) {
        return false;
    }
    if (st->end.len == 0) {
        return true;
    }
    return end.len != 0 && slice_cmp(end, buf_slice(&st->end)) <= 0;
}

static void set_buf(struct buf *b, const void *data, size_t len)
{
    buf_clear(b);
    buf_put(b, data, len);
}

static bool desc_put(struct shard_state *st, struct slice bytes)
{
    Sherd__V1__ShardDesc *d = sherd__v1__shard_desc__unpack(NULL, bytes.len, bytes.data);
    if (d == NULL) {
        return false;
    }
    if (d->epoch >= st->epoch) { /* an old entry applied again does not bring the old range back */
        st->epoch = d->epoch;
        set_buf(&st->start, d->range != NULL ? d->range->start.data : NULL,
                d->range != NULL ? d->range->start.len : 0);
        set_buf(&st->end, d->range != NULL ? d->range->end.data : NULL,
                d->range != NULL ? d->range->end.len : 0);
        set_buf(&st->desc, bytes.data, bytes.len);
    }
    sherd__v1__shard_desc__free_unpacked(d, NULL);
    return true;
}

/* ---- load ---- */

static bool load_one(struct shard_state *st, struct slice rest, struct slice value)
{
    struct reader k, v;
    reader_init(&k, rest);
    reader_init(&v, value);
    uint8_t kind = read_u8(&k);
    switch (kind) {
    case 'D':
        return desc_put(st, value);
    case 'W': {
        uint64_t w = read_u64(&v);
        st->watermark = w > st->watermark ? w : st->watermark;
        break;
    }
    case 'F':
        state_fence_put(st, read_u32(&k), read_u64(&v));
        break;
    case 'R':
        router_put(st, read_u64(&k));
        break;
    case 'L':
        lost_put(st, read_u64(&k), read_u64(&v));
        break;
    case 'C': {
        struct txn_id id = {read_u64(&k), 0};
        id.counter = read_u64(&k);
        uint32_t attempt = read_u32(&v);
        outcome_put(st, id, attempt, read_u64(&v), -1, 0);
        break;
    }
    case 'A': {
        int slot = read_u16(&k) % SHARD_OUTCOMES;
        struct txn_id id = {read_u64(&v), 0};
        id.counter = read_u64(&v);
        uint32_t attempt = read_u32(&v);
        uint64_t ts = read_u64(&v), index = read_u64(&v);
        if (st->slots[slot] != NULL) {
            outcome_drop(st, st->slots[slot]);
        }
        outcome_put(st, id, attempt, ts, slot, index);
        break;
    }
    case 'K': {
        st->split_epoch = read_u64(&v);
        struct slice start = read_bytes(&v), end = read_bytes(&v);
        set_buf(&st->split_start, start.data, start.len);
        set_buf(&st->split_end, end.data, end.len);
        break;
    }
    default: /* 'P': read by who becomes leader */
        break;
    }
    return reader_ok(&k) && reader_ok(&v);
}

static void forget_all(struct shard_state *st)
{
    struct outcome *o, *ot;
    HASH_ITER(hh, st->outcomes, o, ot)
    {
        HASH_DEL(st->outcomes, o);
        mem_free(o);
    }
    struct outcome_lost *l, *lt;
    HASH_ITER(hh, st->lost, l, lt)
    {
        HASH_DEL(st->lost, l);
        mem_free(l);
    }
    struct table_fence *t, *tt;
    HASH_ITER(hh, st->fences, t, tt)
    {
        HASH_DEL(st->fences, t);
        mem_free(t);
    }
    struct router_fence *r, *rt;
    HASH_ITER(hh, st->routers, r, rt)
    {
        HASH_DEL(st->routers, r);
        mem_free(r);
    }
    memset(st->slots, 0, sizeof(st->slots));
    st->slots_used = 0;
    st->epoch = st->watermark = st->split_epoch = 0;
    buf_clear(&st->start);
    buf_clear(&st->end);
    buf_clear(&st->desc);
    buf_clear(&st->split_start);
    buf_clear(&st->split_end);
}

struct status *state_reload(struct shard_state *st)
{
    forget_all(st);
    struct buf prefix = {0};
    buf_put_u8(&prefix, 'g');
    buf_put_u64(&prefix, st->group_id);
    struct store_iter *it = store_iter_create(st->store, NULL);
    struct status *err = NULL;
    for (store_iter_seek(it, buf_slice(&prefix)); err == NULL && store_iter_valid(it);
         store_iter_next(it)) {
        struct slice key = store_iter_key(it);
        if (!slice_has_prefix(key, buf_slice(&prefix))) {
            break;
        }
        struct slice rest = slice_make(key.data + prefix.len, key.len - prefix.len);
        if (!load_one(st, rest, store_iter_value(it))) {
            err = status_new(CORRUPT, "damaged record of shard %llu in the state store",
                             (unsigned long long)st->group_id);
        }
    }
    if (err == NULL) {
        err = store_iter_status(it);
    }
    store_iter_destroy(it);
    buf_deinit(&prefix);
    return err;
}

struct status *state_load(struct store *s, uint64_t group_id, struct shard_state **out)
{
    struct shard_state *st = MEM_NEW(struct shard_state);
    st->store = s;
    st->group_id = group_id;
    struct status *err = state_reload(st);
    if (err != NULL) {
        state_free(st);
        return err;
    }
    *out = st;
    return NULL;
}

void state_free(struct shard_state *st)
{
    if (st == NULL) {
        return;
    }
    forget_all(st);
    buf_deinit(&st->start);
    buf_deinit(&st->end);
    buf_deinit(&st->desc);
    buf_deinit(&st->split_start);
    buf_deinit(&st->split_end);
    mem_free(st);
}

/* ---- apply ---- */

struct applying {
    struct shard_state *st;
    uint64_t index;
    struct store_batch *batch;
    struct buf key, value;
    uint64_t entry_epoch; /* of the descriptor that this entry puts */
    state_desc_fn on_desc;
    void *ctx;
};

/* Entries from before a split that is durable here, applied again: what lies outside belongs to
 * another group by now. */
static bool is_foreign(const struct shard_state *st, struct slice key)
{
    return st->split_epoch != 0 && !in_range(key, &st->split_start, &st->split_end);
}

static void apply_version(struct applying *a, const struct entry_op *op)
{
    if (is_foreign(a->st, op->key)) {
        return;
    }
    mvcc_data_key(&a->key, op->key);
    buf_clear(&a->value);
    buf_put_u64(&a->value, op->ts);
    buf_put_u8(&a->value, mvcc_flags(op->is_tombstone, op->is_moved));
    buf_put_slice(&a->value, op->value);
    store_batch_put(a->batch, buf_slice(&a->key), buf_slice(&a->value));
    if (op->kind == 'U') {
        mvcc_history_key(&a->key, op->key, op->displaced.ts);
        buf_clear(&a->value);
        buf_put_u8(&a->value, mvcc_flags(op->displaced.is_tombstone, op->displaced.is_moved));
        buf_put_slice(&a->value, op->displaced.row);
        store_batch_put(a->batch, buf_slice(&a->key), buf_slice(&a->value));
    }
}

static void apply_outcome(struct applying *a, const struct entry_op *op)
{
    struct shard_state *st = a->st;
    int slot = (int)(a->index % SHARD_OUTCOMES);
    struct outcome *old = st->slots[slot];
    if (old != NULL && old->index > a->index) {
        return; /* applied again: the ring has been round since, and knows what it has lost */
    }
    if (old != NULL && !txn_id_eq(old->id, op->id)) {
        uint64_t lost = old->id.counter | LOST_ROUND;
        if (lost_put(st, old->id.incarnation, lost)) {
            state_key_u64(&a->key, st->group_id, 'L', old->id.incarnation);
            buf_clear(&a->value);
            buf_put_u64(&a->value, lost);
            store_batch_put(a->batch, buf_slice(&a->key), buf_slice(&a->value));
        }
        outcome_drop(st, old);
    }
    outcome_put(st, op->id, op->attempt, op->ts, slot, a->index);
    state_key(&a->key, st->group_id, 'A');
    buf_put_u16(&a->key, (uint16_t)slot);
    buf_clear(&a->value);
    buf_put_u64(&a->value, op->id.incarnation);
    buf_put_u64(&a->value, op->id.counter);
    buf_put_u32(&a->value, op->attempt);
    buf_put_u64(&a->value, op->ts);
    buf_put_u64(&a->value, a->index);
    store_batch_put(a->batch, buf_slice(&a->key), buf_slice(&a->value));
}

/* A part is written at once and not with the batch: the entry that merges it may be in the same
 * batch, and reads it. Applying it again is harmless. */
static struct status *apply_part(struct applying *a, const struct entry_op *op)
{
    struct store_batch *b = store_batch_create(a->st->store);
    store_batch_put(b, op->key, op->value);
    struct status *err = store_write(a->st->store, b, false);
    store_batch_destroy(b);
    return err;
}

static struct status *impossible(const struct entry_op *op)
{
    return status_new(CORRUPT, "impossible operation '%c'", op->kind);
}

/* Parts that are not there (applied again after a crash, from behind them) were merged and deleted
 * by a batch that has survived: it holds the versions of all of them. */
static struct status *apply_merge(struct applying *a, const struct entry_op *op)
{
    struct buf key = {0}, value = {0};
    struct status *err = NULL;
    bool is_valid = true;
    for (uint32_t i = 0; i < op->attempt && err == NULL && is_valid; i++) {
        bool found = false, more = true;
        struct entry_reader er;
        struct entry_op version;
        state_key_part(&key, a->st->group_id, op->id, op->ts, i);
        err = store_get(a->st->store, NULL, buf_slice(&key), &value, &found);
        if (err != NULL || !found) {
            continue;
        }
        err = entry_open(&er, buf_slice(&value));
        while (err == NULL && is_valid) {
            err = entry_next(&er, &version, &more);
            if (err != NULL || !more) {
                break;
            }
            is_valid = version.kind == 'V' || version.kind == 'U';
            if (is_valid) {
                apply_version(a, &version);
            }
        }
        store_batch_delete(a->batch, buf_slice(&key));
    }
    buf_deinit(&key);
    buf_deinit(&value);
    return err == NULL && !is_valid ? impossible(op) : err;
}

/* A key under 'g': of this group, or of the right half that a split makes. */
static struct status *apply_group_key(struct applying *a, const struct entry_op *op)
{
    struct shard_state *st = a->st;
    uint64_t group_id = get_u64(op->key.data + 1);
    struct slice rest = slice_make(op->key.data + G_HEAD, op->key.len - G_HEAD);
    if (group_id != st->group_id) {
        if (a->entry_epoch == 0 || a->entry_epoch <= st->split_epoch) {
            return NULL; /* that split is durable: the right half lives its own life */
        }
        if (rest.data[0] == 'D') {
            state_key(&a->key, group_id, 'S');
            buf_clear(&a->value);
            buf_put_u64(&a->value, st->group_id);
            buf_put_u64(&a->value, a->index);
            store_batch_put(a->batch, buf_slice(&a->key), buf_slice(&a->value));
            if (a->on_desc != NULL) {
                a->on_desc(a->ctx, group_id, op->value);
            }
        }
    } else if (op->kind == 'P' && rest.data[0] == 'T') {
        return apply_part(a, op);
    } else if (op->kind == 'P') {
        if (rest.data[0] == 'D') {
            Sherd__V1__ShardDesc *d =
                sherd__v1__shard_desc__unpack(NULL, op->value.len, op->value.data);
            if (d == NULL) {
                return impossible(op);
            }
            a->entry_epoch = d->epoch;
            bool is_old = d->epoch < st->epoch;
            sherd__v1__shard_desc__free_unpacked(d, NULL);
            if (is_old) {
                return NULL;
            }
        }
        if (!load_one(st, rest, op->value)) {
            return impossible(op);
        }
    } else if (rest.data[0] == 'C' && rest.len == 17) {
        struct txn_id id = {get_u64(rest.data + 1), get_u64(rest.data + 9)};
        struct outcome *o = outcome_find(st, id);
        if (o != NULL && o->slot < 0) {
            outcome_drop(st, o);
        }
    }
    if (op->kind == 'P') {
        store_batch_put(a->batch, op->key, op->value);
    } else {
        store_batch_delete(a->batch, op->key);
    }
    return NULL;
}

static struct status *apply_op(struct applying *a, const struct entry_op *op)
{
    switch (op->kind) {
    case 'V':
    case 'U':
        apply_version(a, op);
        return NULL;
    case 'A':
        apply_outcome(a, op);
        return NULL;
    case 'M':
        return apply_merge(a, op);
    default:
        break;
    }
    if (op->key.data[0] == 'g') {
        return op->key.len > G_HEAD ? apply_group_key(a, op) : impossible(op);
    }
    if ((op->key.data[0] != 'd' && op->key.data[0] != 'h') || op->kind != 'D') {
        return impossible(op);
    }
    if (!is_foreign(a->st, slice_make(op->key.data + 1, op->key.len - 1))) {
        store_batch_delete(a->batch, op->key);
    }
    return NULL;
}

struct status *state_apply(struct shard_state *st, uint64_t index, struct slice data,
                           struct store_batch *batch, state_desc_fn on_desc, void *ctx)
{
    struct applying a = {.st = st, .index = index, .batch = batch, .on_desc = on_desc, .ctx = ctx};
    struct entry_reader er;
    struct entry_op op;
    bool more = true;
    if (shard_observer.entry != NULL) {
        shard_observer.entry(st->group_id, index, data);
    }
    struct status *err = entry_open(&er, data);
    while (err == NULL && more) {
        err = entry_next(&er, &op, &more);
        if (err == NULL && more) {
            err = apply_op(&a, &op);
        }
    }
    st->bytes_applied += data.len;
    buf_deinit(&a.key);
    buf_deinit(&a.value);
    return err == NULL ? NULL
                       : status_wrap(err, "shard %llu: log entry %llu cannot be applied",
                                     (unsigned long long)st->group_id, (unsigned long long)index);
}

static void add_range(struct key_range *r, uint8_t space, const struct buf *start,
                      const struct buf *end)
{
    memset(r, 0, sizeof(*r));
    mvcc_bound(&r->start, space, buf_slice(start), false);
    mvcc_bound(&r->end, space, buf_slice(end), true);
}

size_t state_ranges(const struct shard_state *st, struct key_range *out, size_t max)
{
    size_t n = 0;
    if (n < max) {
        memset(&out[n], 0, sizeof(out[n]));
        buf_put_u8(&out[n].start, 'g');
        buf_put_u64(&out[n].start, st->group_id);
        buf_put_u8(&out[n].end, 'g');
        buf_put_u64(&out[n].end, st->group_id + 1);
        n++;
    }
    if (st->epoch != 0) { /* without a descriptor no data is ours */
        for (const char *space = "dh"; *space != '\0'; space++) {
            if (n < max) {
                add_range(&out[n], (uint8_t)*space, &st->start, &st->end);
            }
            n++;
        }
    }
    return n;
}
