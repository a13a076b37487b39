/*
 * Collection of old versions, and wiping of dropped tables.
 *
 * No read is below the watermark W, so of each key everything is garbage that is older than its
 * newest version at or below W, and a tombstone that is that version is garbage too. The leader
 * finds it by a walk over the history (a key without history has no garbage but for nothing) and
 * removes it through the log: replicas stay equal, and entries applied again after a crash bring
 * nothing back that a later one removed.
 *
 * A tombstone under the plain key is removed under a lock, so that nobody builds on it meanwhile
 * (W2 would not see the conflict: hence W2's own check of `start` against W).
 */
#include "base/buggify.h"
#include "base/check.h"
#include "server_impl.h"

#define PAUSE_NS ms_to_ns(5)

struct collecting {
    struct part *p;
    uint64_t watermark;
    struct buf entry;
    size_t count; /* operations in the entry */
    struct lock_owner owner;
    struct buf pos; /* 'h' key to go on at */
    bool is_end;
};

static void remove_key(struct collecting *c, struct slice state_key)
{
    if (c->count++ == 0) {
        entry_begin(&c->entry);
    }
    entry_delete(&c->entry, state_key);
}

/* All history entries of one key: the iterator stands at its first, and behind its last afterwards.
 */
static struct status *collect_key(struct collecting *c, struct store_iter *it)
{
    struct slice first = store_iter_key(it);
    struct buf key = {0}, data = {0};
    buf_put(&key, first.data + 1, first.len - 9);
    struct mvcc_version newest;
    bool found = false;
    struct status *st =
        mvcc_newest(c->p->state->store, buf_slice(&key), &c->p->scratch, &newest, &found);
    /* Whether a version at or below the watermark has been passed: what follows is garbage. */
    bool is_covered = found && newest.ts <= c->watermark;
    if (st == NULL && is_covered && newest.is_tombstone &&
        lock_try(&c->p->locks, &c->owner, buf_slice(&key), LOCK_UPDATE) != NULL) {
        mvcc_data_key(&data, buf_slice(&key));
        remove_key(c, buf_slice(&data));
    } else if (st == NULL && is_covered && newest.is_tombstone) {
        is_covered = false; /* in use: its history keeps it findable for the next pass */
        found = false;
    }
    while (st == NULL && store_iter_valid(it)) {
        struct slice k = store_iter_key(it), v = store_iter_value(it);
        if (k.len != key.len + 9 || memcmp(k.data + 1, key.data, key.len) != 0 ||
            k.data[0] != 'h') {
            break;
        }
        uint64_t ts = ~get_u64(k.data + 1 + key.len);
        bool is_tombstone = v.len > 0 && (v.data[0] & MVCC_TOMBSTONE) != 0;
        if (found && (is_covered || (ts <= c->watermark && is_tombstone))) {
            remove_key(c, k);
        }
        is_covered = is_covered || ts <= c->watermark;
        store_iter_next(it);
    }
    buf_deinit(&key);
    buf_deinit(&data);
    return st;
}

/* One turn's share: fills the entry. */
static struct status *collect_turn(struct collecting *c)
{
    struct buf end = {0};
    mvcc_bound(&end, 'h', buf_slice(&c->p->state->end), true);
    struct store_iter *it = store_iter_create(c->p->state->store, NULL);
    store_iter_seek(it, buf_slice(&c->pos));
    struct status *st = NULL;
    size_t keys = 0;
    while (st == NULL && c->count < SHARD_GC_BATCH && keys++ < SHARD_SCAN_TURN) {
        if (!store_iter_valid(it) || slice_cmp(store_iter_key(it), buf_slice(&end)) >= 0) {
            c->is_end = true;
            break;
        }
        if (store_iter_key(it).len < 10) {
            st = status_new(CORRUPT, "history key of %zu bytes", store_iter_key(it).len);
            break;
        }
        st = collect_key(c, it);
    }
    if (st == NULL) {
        st = store_iter_status(it);
    }
    if (st == NULL && !c->is_end && store_iter_valid(it)) {
        buf_clear(&c->pos);
        buf_put_slice(&c->pos, store_iter_key(it));
    } else if (st == NULL) {
        c->is_end = true;
    }
    store_iter_destroy(it);
    buf_deinit(&end);
    return st;
}

struct status *gc_pass(struct fiber *f, struct part *p, uint64_t *out_removed)
{
    struct collecting c = {.p = p, .watermark = p->state->watermark};
    if (bug_on(BUG_TXN_GC_EARLY)) {
        c.watermark = p->high;
    }
    lock_owner_init(&c.owner, (struct txn_id){0, 0}, 0);
    mvcc_bound(&c.pos, 'h', buf_slice(&p->state->start), false);
    struct status *st = NULL;
    *out_removed = 0;
    while (st == NULL && !c.is_end) {
        if (p->is_dead || p->is_frozen) {
            st = p->is_dead ? p->env->not_leader(p->env->ctx) : cond_wait(f, &p->thawed);
            continue;
        }
        st = collect_turn(&c);
        if (st == NULL && c.count != 0) {
            fiber_mask(f); /* the locks are given back when the entry's fate is known */
            st = part_propose(f, p, buf_slice(&c.entry));
            fiber_unmask(f);
            *out_removed += st == NULL ? c.count : 0;
            c.count = 0;
        }
        lock_release_all(&p->locks, &c.owner);
        if (st == NULL && !c.is_end) {
            st = fiber_sleep(f, PAUSE_NS);
        }
    }
    lock_release_all(&p->locks, &c.owner);
    buf_deinit(&c.entry);
    buf_deinit(&c.pos);
    return st;
}

/* Everything below start..end in one of the two spaces, in batches. */
static struct status *wipe_space(struct fiber *f, struct part *p, uint8_t space, struct slice start,
                                 struct slice end)
{
    struct buf pos = {0}, limit = {0}, entry = {0};
    mvcc_bound(&pos, space, start, false);
    mvcc_bound(&limit, space, end, true);
    struct status *st = NULL;
    bool more = true;
    while (st == NULL && more) {
        entry_begin(&entry);
        size_t count = 0;
        struct store_iter *it = store_iter_create(p->state->store, NULL);
        store_iter_seek(it, buf_slice(&pos));
        while (count < SHARD_WIPE_BATCH && store_iter_valid(it) &&
               slice_cmp(store_iter_key(it), buf_slice(&limit)) < 0) {
            entry_delete(&entry, store_iter_key(it));
            buf_clear(&pos);
            buf_put_slice(&pos, store_iter_key(it));
            buf_put_u8(&pos, 0);
            count++;
            store_iter_next(it);
        }
        st = store_iter_status(it);
        store_iter_destroy(it);
        more = count == SHARD_WIPE_BATCH;
        if (st == NULL && count != 0) {
            st = p->is_dead ? p->env->not_leader(p->env->ctx)
                            : part_propose(f, p, buf_slice(&entry));
        }
        if (st == NULL && more) {
            st = fiber_sleep(f, PAUSE_NS);
        }
    }
    buf_deinit(&pos);
    buf_deinit(&limit);
    buf_deinit(&entry);
    return st;
}

struct status *gc_wipe(struct fiber *f, struct part *p, struct slice start, struct slice end)
{
    struct slice own_start = buf_slice(&p->state->start), own_end = buf_slice(&p->state->end);
    if (slice_cmp(start, own_start) < 0) {
        start = own_start;
    }
    if (end.len == 0 || (own_end.len != 0 && slice_cmp(end, own_end) > 0)) {
        end = own_end;
    }
    if (end.len != 0 && slice_cmp(start, end) >= 0) {
        return NULL;
    }
    struct buf s = {0}, e = {0}; /* the range may move while this parks */
    buf_put_slice(&s, start);
    buf_put_slice(&e, end);
    struct status *st = wipe_space(f, p, 'h', buf_slice(&s), buf_slice(&e));
    if (st == NULL) {
        st = wipe_space(f, p, 'd', buf_slice(&s), buf_slice(&e));
    }
    buf_deinit(&s);
    buf_deinit(&e);
    return st;
}

/* ---- in the background ---- */

struct gc_task {
    struct replica *replica;
    struct part *part;
};

static void gc_run(struct fiber *f, struct shard_server *s, void *arg)
{
    (void)s;
    struct gc_task *t = arg;
    uint64_t removed = 0;
    status_free(gc_pass(f, t->part, &removed)); /* what is left stays for the next watermark */
    t->replica->is_collecting = false;
    part_unref(t->part);
    replica_leave(t->replica);
    mem_free(t);
}

void gc_start(struct replica *r)
{
    if (r->is_collecting || r->part == NULL) {
        return;
    }
    r->is_collecting = true;
    struct gc_task *t = MEM_NEW(struct gc_task);
    t->replica = r;
    t->part = part_ref(r->part);
    replica_enter(r);
    server_spawn(r->server, gc_run, t);
}
