/*
 * Splits (PROTOCOL section 9). The leader of the left shard stops new work, lets what is in flight
 * land, decides prepared transactions that touch the right half, drops the workspaces that do, and
 * logs one entry: its own smaller descriptor and the first records of the right group. No data
 * moves: the keys are in the same store, only whose they are changes.
 *
 * Every replica makes its replica of the right group when it applies that entry:
 *
 *   entry applied -> store_flush() -> mark 'K' written synced -> group_bootstrap() -> group_open()
 *
 * The order matters because the state store may lose unsynced batches at a crash, and the left
 * group's log from before the split is applied again then. Applied to keys that are the right
 * group's by now it would undo newer versions. Hence: the data as of the split is durable before
 * the right group exists here, and the mark, durable too, makes the left group skip keys outside of
 * it (state.c, is_foreign()). Before the mark is durable the right group is not here, and applying
 * again is harmless.
 *
 * After a crash in between: entries applied again bring the split back; if the entry is behind the
 * left group's checkpoint, split_resume() finds the right group's descriptor without a replica,
 * waits until the left group stands behind the entry, and goes on.
 */
#include "base/check.h"
#include "base/log.h"
#include "server_impl.h"

/* ---- making the right half's replica ---- */

struct flush_job {
    struct store *store;
    struct store_batch *batch; /* written synced after the flush; or NULL */
    struct status *st;
};

static void flush_run(void *arg)
{
    struct flush_job *j = arg;
    j->st = store_flush(j->store);
    if (j->st == NULL && j->batch != NULL) {
        j->st = store_write(j->store, j->batch, true);
    }
}

/* The left group's mark, if the left replica is still here. */
static struct store_batch *mark_batch(struct shard_server *s, const struct replica *left)
{
    struct store_batch *b = store_batch_create(s->o.state);
    struct buf key = {0}, value = {0};
    state_key(&key, left->shard_id, 'K');
    buf_put_u64(&value, left->state->epoch);
    buf_put_bytes(&value, buf_slice(&left->state->start));
    buf_put_bytes(&value, buf_slice(&left->state->end));
    store_batch_put(b, buf_slice(&key), buf_slice(&value));
    buf_deinit(&key);
    buf_deinit(&value);
    return b;
}

static struct status *make_right(struct fiber *f, struct shard_server *s, struct replica *left,
                                 struct slice desc)
{
    Sherd__V1__ShardDesc *d = sherd__v1__shard_desc__unpack(NULL, desc.len, desc.data);
    if (d == NULL) {
        return status_new(CORRUPT, "damaged descriptor in a split");
    }
    struct status *st = NULL;
    if (server_replica(s, d->shard_id) == NULL) {
        struct flush_job j = {.store = s->o.state,
                              .batch = left != NULL ? mark_batch(s, left) : NULL};
        uint64_t epoch = left != NULL ? left->state->epoch : 0;
        struct buf start = {0}, end = {0};
        if (left != NULL) {
            buf_put_slice(&start, buf_slice(&left->state->start));
            buf_put_slice(&end, buf_slice(&left->state->end));
        }
        fiber_run_on(f, s->worker, flush_run, &j);
        st = j.st;
        if (j.batch != NULL) {
            store_batch_destroy(j.batch);
        }
        if (st == NULL && left != NULL && left->state->split_epoch < epoch) {
            left->state->split_epoch = epoch;
            buf_clear(&left->state->split_start);
            buf_put_slice(&left->state->split_start, buf_slice(&start));
            buf_clear(&left->state->split_end);
            buf_put_slice(&left->state->split_end, buf_slice(&end));
        }
        buf_deinit(&start);
        buf_deinit(&end);
        bool is_ours = false;
        for (size_t i = 0; i < d->n_replicas; i++) {
            is_ours = is_ours || d->replicas[i]->node_id == s->o.node_id;
        }
        if (st == NULL && is_ours) {
            st = shard_bootstrap_group(f, s->o.host, s->o.node_id, d);
            if (status_is(st, STATUS_ALREADY_EXISTS)) {
                status_free(st);
                st = NULL;
            }
            if (st == NULL) {
                st = replica_open(f, s, d->shard_id, NULL);
            }
            if (status_is(st, STATUS_ALREADY_EXISTS)) {
                status_free(st);
                st = NULL;
            }
        }
    }
    sherd__v1__shard_desc__free_unpacked(d, NULL);
    return st;
}

static void make_rights(struct fiber *f, struct shard_server *s, void *arg)
{
    struct replica *left = arg;
    while (!list_is_empty(&left->rights) && !s->is_stopping && !left->is_closing) {
        struct right_half *h = LIST_ITEM(left->rights.next, struct right_half, link);
        struct status *st = make_right(f, s, left, buf_slice(&h->desc));
        if (st == NULL) {
            LOGI("shard", "shard %llu was split, the right half is shard %llu",
                 (unsigned long long)left->shard_id, (unsigned long long)h->group_id);
            list_unlink(&h->link);
            buf_deinit(&h->desc);
            mem_free(h);
            continue;
        }
        LOGW("shard", "the right half of shard %llu: %s", (unsigned long long)left->shard_id,
             st->message);
        status_free(st);
        if (status_consume(fiber_sleep(f, ms_to_ns(200)))) {
            break;
        }
    }
    left->is_splitting = false;
    replica_leave(left);
}

void split_applied(struct replica *r)
{
    if (r->is_splitting || r->is_closing || r->server->is_stopping) {
        return;
    }
    r->is_splitting = true;
    replica_enter(r);
    server_spawn(r->server, make_rights, r);
}

/* ---- after a crash ---- */

struct orphan_half {
    struct list link; /* server.halves */
    uint64_t group_id, left_id, index;
    struct buf desc;
};

static void resume_half(struct fiber *f, struct shard_server *s, void *arg)
{
    struct orphan_half *o = arg;
    struct replica *left = server_replica(s, o->left_id);
    struct status *st = NULL;
    if (left != NULL) {
        replica_enter(left);
        while (st == NULL && !left->is_closing &&
               (left->group == NULL || group_applied_index(left->group) < o->index)) {
            st = cond_wait(f, &left->applied);
        }
    }
    if (st == NULL && (left == NULL || !left->is_closing) &&
        server_replica(s, o->group_id) == NULL) {
        st = make_right(f, s, left, buf_slice(&o->desc));
    }
    if (st != NULL && !s->is_stopping) {
        LOGW("shard", "the right half %llu of a split: %s", (unsigned long long)o->group_id,
             st->message);
    }
    status_free(st);
    if (left != NULL) {
        replica_leave(left);
    }
    list_unlink(&o->link);
    buf_deinit(&o->desc);
    mem_free(o);
}

bool split_is_pending(struct shard_server *s, uint64_t group_id)
{
    LIST_FOREACH(it, &s->halves)
    {
        if (LIST_ITEM(it, struct orphan_half, link)->group_id == group_id) {
            return true;
        }
    }
    struct replica *r, *tmp;
    HASH_ITER(hh, s->replicas, r, tmp)
    {
        LIST_FOREACH(it, &r->rights)
        {
            if (LIST_ITEM(it, struct right_half, link)->group_id == group_id) {
                return true;
            }
        }
    }
    return false;
}

void split_resume(struct fiber *f, struct shard_server *s)
{
    (void)f;
    struct store_iter *it = store_iter_create(s->o.state, NULL);
    struct buf key = {0}, value = {0};
    uint64_t group_id = 0;
    for (;;) {
        state_key(&key, group_id, 0);
        store_iter_seek(it, buf_slice(&key));
        if (!store_iter_valid(it) || store_iter_key(it).len < 10 ||
            store_iter_key(it).data[0] != 'g') {
            break;
        }
        group_id = get_u64(store_iter_key(it).data + 1);
        bool has_desc = false, has_from = false;
        struct orphan_half o = {.group_id = group_id};
        state_key(&key, group_id, 'D');
        if (server_replica(s, group_id) == NULL &&
            !status_consume(store_get(s->o.state, NULL, buf_slice(&key), &o.desc, &has_desc)) &&
            has_desc) {
            state_key(&key, group_id, 'S');
            has_from =
                !status_consume(store_get(s->o.state, NULL, buf_slice(&key), &value, &has_from)) &&
                has_from && value.len == 16;
        }
        if (has_from) {
            o.left_id = get_u64(value.data);
            o.index = get_u64(value.data + 8);
            struct orphan_half *heap = MEM_NEW(struct orphan_half);
            *heap = o;
            list_push_back(&s->halves, &heap->link);
            server_spawn(s, resume_half, heap);
        } else {
            buf_deinit(&o.desc);
        }
        group_id++;
    }
    store_iter_destroy(it);
    buf_deinit(&key);
    buf_deinit(&value);
}

/* ---- the leader's side ---- */

/* Until nothing is in flight and nothing prepared touches the right half. */
static struct status *settle(struct fiber *f, struct part *p, struct slice split_key)
{
    uint64_t outer = fiber_deadline(f),
             limit = loop_clock_ns(p->env->loop) + ms_to_ns(SHARD_DRAIN_MS);
    if (outer == 0 || limit < outer) {
        fiber_set_deadline(f, limit);
    }
    struct status *st = NULL;
    while (st == NULL) {
        struct work *busy = NULL;
        LIST_FOREACH_SAFE(it, next, &p->works)
        {
            struct work *w = LIST_ITEM(it, struct work, link);
            if (w->state == WORK_OPEN && part_touches(w, split_key)) {
                part_drop(p, w); /* W5 */
            } else if (w->state == WORK_IN_FLIGHT || w->state == WORK_FINISHING ||
                       (w->state == WORK_PREPARED && part_touches(w, split_key))) {
                busy = w;
            }
        }
        if (busy == NULL) {
            break;
        }
        if (busy->state == WORK_PREPARED) {
            p->env->orphan(p->env->ctx, busy);
        }
        st = cond_wait(f, &busy->owner.changed);
        if (p->is_dead) {
            status_free(st);
            st = p->env->not_leader(p->env->ctx);
        }
    }
    fiber_set_deadline(f, outer);
    return st;
}

static void put_number(struct buf *entry, const struct buf *key, uint64_t v)
{
    uint8_t value[8];
    set_u64(value, v);
    entry_put(entry, buf_slice(key), slice_make(value, sizeof(value)));
}

/* The right group begins with the left one's watermark and fences. */
static void put_right(struct buf *entry, const struct shard_state *st, uint64_t right_id,
                      struct slice desc)
{
    struct buf key = {0};
    state_key(&key, right_id, 'D');
    entry_put(entry, buf_slice(&key), desc);
    if (st->watermark != 0) {
        state_key(&key, right_id, 'W');
        put_number(entry, &key, st->watermark);
    }
    struct table_fence *t, *tt;
    HASH_ITER(hh, st->fences, t, tt)
    {
        state_key_u32(&key, right_id, 'F', t->table_id);
        put_number(entry, &key, t->version);
    }
    struct router_fence *x, *xt;
    HASH_ITER(hh, st->routers, x, xt)
    {
        state_key_u64(&key, right_id, 'R', x->incarnation);
        put_number(entry, &key, 0);
    }
    buf_deinit(&key);
}

static struct status *split_entry(struct part *p, const Sherd__V1__SplitRequest *req,
                                  struct buf *entry)
{
    const struct shard_state *st = p->state;
    Sherd__V1__ShardDesc *right =
        sherd__v1__shard_desc__unpack(NULL, req->right_desc.len, req->right_desc.data);
    Sherd__V1__ShardDesc *left = sherd__v1__shard_desc__unpack(NULL, st->desc.len, st->desc.data);
    struct status *err = NULL;
    struct slice split_key = slice_make(req->split_key.data, req->split_key.len);
    if (right == NULL || left == NULL || right->range == NULL || left->range == NULL ||
        right->shard_id < 2 || right->shard_id == st->group_id ||
        !slice_eq(slice_make(right->range->start.data, right->range->start.len), split_key) ||
        !slice_eq(slice_make(right->range->end.data, right->range->end.len), buf_slice(&st->end))) {
        err = status_new(INVALID, "the right half of a split does not fit shard %llu",
                         (unsigned long long)st->group_id);
    } else {
        uint64_t epoch = req->left_epoch > st->epoch ? req->left_epoch : st->epoch + 1;
        left->epoch = epoch;
        ProtobufCBinaryData end = left->range->end;
        left->range->end = req->split_key;
        struct buf key = {0}, value = {0};
        size_t len = sherd__v1__shard_desc__get_packed_size(left);
        sherd__v1__shard_desc__pack(left, buf_extend(&value, len));
        left->range->end = end;
        entry_begin(entry);
        state_key(&key, st->group_id, 'D');
        entry_put(entry, buf_slice(&key), buf_slice(&value));
        put_right(entry, st, right->shard_id,
                  slice_make(req->right_desc.data, req->right_desc.len));
        buf_deinit(&key);
        buf_deinit(&value);
    }
    if (right != NULL) {
        sherd__v1__shard_desc__free_unpacked(right, NULL);
    }
    if (left != NULL) {
        sherd__v1__shard_desc__free_unpacked(left, NULL);
    }
    return err;
}

struct status *split_run(struct fiber *f, struct replica *r, const Sherd__V1__SplitRequest *req)
{
    struct part *p = r->part;
    struct slice key = slice_make(req->split_key.data, req->split_key.len);
    if (p == NULL) {
        return replica_not_leader(r);
    }
    if (key.len != 0 && slice_eq(key, buf_slice(&p->state->end))) {
        return NULL; /* done before */
    }
    if (!state_holds(p->state, key) || slice_cmp(key, buf_slice(&p->state->start)) <= 0) {
        return status_new(INVALID, "shard %llu cannot be split at a key that is not inside of it",
                          (unsigned long long)r->shard_id);
    }
    if (p->is_frozen) {
        return status_new(CONFLICT, "shard %llu is being split", (unsigned long long)r->shard_id);
    }
    part_ref(p);
    p->is_frozen = true;
    struct buf entry = {0};
    struct status *st = settle(f, p, key);
    if (st == NULL) {
        st = split_entry(p, req, &entry);
    }
    if (st == NULL) {
        fiber_mask(f);
        st = part_propose(f, p, buf_slice(&entry));
        fiber_unmask(f);
    }
    p->is_frozen = false;
    cond_broadcast(&p->thawed);
    part_unref(p);
    buf_deinit(&entry);
    return st;
}

/* ---- where to split ---- */

enum { SPLIT_STEPS = 24 };
#define SPLIT_BYTES_MIN ((uint64_t)64 << 10)

/* The first 8 bytes behind the common prefix of the range's first and last key, as a number: the
 * size of a part of the range is a monotone function of it, so the middle is found by bisection. */
static struct status *bisect(struct store *s, struct slice first, struct slice last, uint64_t total,
                             struct buf *out)
{
    size_t common = 0;
    while (common < first.len && common < last.len && first.data[common] == last.data[common]) {
        common++;
    }
    uint8_t low_bytes[8] = {0}, high_bytes[8];
    memset(high_bytes, 0xFF, sizeof(high_bytes));
    memcpy(low_bytes, first.data + common, first.len - common < 8 ? first.len - common : 8);
    memcpy(high_bytes, last.data + common, last.len - common < 8 ? last.len - common : 8);
    uint64_t low = get_u64(low_bytes), high = get_u64(high_bytes);
    for (int i = 0; i < SPLIT_STEPS && low + 1 < high; i++) {
        uint64_t mid = low + (high - low) / 2;
        buf_clear(out);
        buf_put(out, first.data, common);
        buf_put_u64(out, mid);
        if (store_approximate_size(s, first, buf_slice(out)) * 2 < total) {
            low = mid;
        } else {
            high = mid;
        }
    }
    buf_clear(out);
    buf_put(out, first.data, common);
    buf_put_u64(out, high);
    return NULL;
}

struct status *split_point(struct replica *r, struct arena *a, Sherd__V1__SplitPointReply *reply)
{
    struct store *s = r->state->store;
    struct buf start = {0}, end = {0}, mid = {0}, first = {0};
    mvcc_bound(&start, 'd', buf_slice(&r->state->start), false);
    mvcc_bound(&end, 'd', buf_slice(&r->state->end), true);
    reply->bytes = store_approximate_size(s, buf_slice(&start), buf_slice(&end));
    struct store_iter *it = store_iter_create(s, NULL);
    struct status *st = NULL;
    if (reply->bytes < SPLIT_BYTES_MIN) {
        goto out;
    }
    store_iter_seek(it, buf_slice(&start));
    if (store_iter_valid(it)) {
        buf_put_slice(&first, store_iter_key(it));
        store_iter_seek_prev(it, buf_slice(&end));
        if (store_iter_valid(it) && slice_cmp(buf_slice(&first), store_iter_key(it)) < 0) {
            st = bisect(s, buf_slice(&first), store_iter_key(it), reply->bytes, &mid);
            store_iter_seek(it, buf_slice(&mid));
        }
    }
    if (st == NULL && mid.len != 0 && store_iter_valid(it) &&
        slice_cmp(store_iter_key(it), buf_slice(&first)) > 0 &&
        slice_cmp(store_iter_key(it), buf_slice(&end)) < 0) {
        struct slice key = store_iter_key(it);
        key = arena_copy(a, slice_make(key.data + 1, key.len - 1));
        reply->key = (ProtobufCBinaryData){key.len, (uint8_t *)(uintptr_t)key.data};
    }
    if (st == NULL) {
        st = store_iter_status(it);
    }
out:
    store_iter_destroy(it);
    buf_deinit(&start);
    buf_deinit(&end);
    buf_deinit(&mid);
    buf_deinit(&first);
    return st;
}
