/*
 * PREPARED records: a transaction's writes at one shard, durable before its commit is decided.
 *
 *   version u8 = 3 | attempt u32 | commit ts u64 | coordinator node u64 | start ts u64
 *   handle term u64 | handle number u64 | decision job u64 (from version 2 on)
 *   count varint, participants: shard u64 | term u64 | number u64
 *   count varint, writes: key bytes | flags u8 (mvcc.h) | lock mode u8 | row bytes
 *                         MVCC_MOVED from version 3 on
 *
 * A new leader reads them all before it answers anything (L1) and has their locks again.
 */
#include "base/buggify.h"
#include "base/check.h"
#include "part.h"

enum { PREPARED_VERSION = 3 };

void prepared_encode(struct buf *out, const struct work *w, uint32_t attempt, uint64_t commit)
{
    buf_clear(out);
    buf_put_u8(out, PREPARED_VERSION);
    buf_put_u32(out, attempt);
    buf_put_u64(out, commit);
    buf_put_u64(out, w->coordinator_node);
    buf_put_u64(out, w->start);
    buf_put_u64(out, w->term);
    buf_put_u64(out, w->number);
    buf_put_u64(out, w->decision_job);
    buf_put_varint(out, w->participant_count);
    for (size_t i = 0; i < w->participant_count; i++) {
        buf_put_u64(out, w->participants[i].shard_id);
        buf_put_u64(out, w->participants[i].term);
        buf_put_u64(out, w->participants[i].number);
    }
    buf_put_varint(out, w->writes.count);
    for (struct keymap_node *n = keymap_first(&w->writes); n != NULL; n = keymap_next(n)) {
        const struct work_write *ww = work_write_of(n);
        buf_put_bytes(out, n->key);
        buf_put_u8(out, mvcc_flags(ww->value->is_delete, ww->value->is_moved));
        buf_put_u8(out, (uint8_t)ww->hold->mode);
        buf_put_bytes(out, slice_make(ww->value->row, ww->value->len));
    }
}

bool prepared_read_head(struct reader *r, struct prepared_head *out)
{
    uint8_t version = read_u8(r);
    out->attempt = read_u32(r);
    out->commit_ts = read_u64(r);
    out->coordinator_node = read_u64(r);
    out->start = read_u64(r);
    out->term = read_u64(r);
    read_u64(r);
    out->decision_job = version >= 2 ? read_u64(r) : 0;
    out->participant_count = read_count(r, 24);
    return reader_ok(r) && version >= 1 && version <= PREPARED_VERSION && out->attempt != 0;
}

static struct status *decode(struct part *p, struct txn_id id, struct slice bytes)
{
    struct reader r;
    struct prepared_head head;
    reader_init(&r, bytes);
    bool is_valid = prepared_read_head(&r, &head);
    struct work *w = work_create(p, id, 0);
    w->attempt = head.attempt;
    w->commit_ts = head.commit_ts;
    w->coordinator_node = head.coordinator_node;
    w->start = w->owner.start = head.start;
    w->term = head.term;
    w->number = 0; /* dies with its term (L3); the record keeps it for the recoverer's Query */
    w->decision_job = head.decision_job;
    w->is_handle_dead = true;
    w->state = WORK_PREPARED;
    w->participant_count = is_valid ? head.participant_count : 0;
    w->participants = mem_zalloc((w->participant_count + 1) * sizeof(*w->participants));
    for (size_t i = 0; i < w->participant_count; i++) {
        w->participants[i].shard_id = read_u64(&r);
        w->participants[i].term = read_u64(&r);
        w->participants[i].number = read_u64(&r);
    }
    size_t count = read_count(&r, 4);
    for (size_t i = 0; i < count && is_valid && reader_ok(&r); i++) {
        struct slice key = read_bytes(&r);
        uint8_t flags = read_u8(&r);
        uint8_t mode = read_u8(&r);
        struct slice row = read_bytes(&r);
        is_valid = mode >= LOCK_KEY_SHARE && mode <= LOCK_UPDATE;
        if (is_valid && reader_ok(&r)) {
            struct lock_hold *h = lock_try(&p->locks, &w->owner, key, (enum lock_mode)mode);
            ASSERT_MSG(h != NULL, "two prepared transactions lock the same key");
            if ((flags & MVCC_MOVED) != 0) {
                work_write_put(w, &p->locks, h, 1, WORK_MOVE, slice_make(NULL, 0));
            }
            work_write_put(w, &p->locks, h, 1, flags & MVCC_TOMBSTONE ? WORK_DELETE : WORK_PUT,
                           row);
        }
    }
    struct status *st = reader_finish(&r, "prepared transaction");
    if (st == NULL && !is_valid) {
        st = status_new(CORRUPT, "damaged prepared transaction");
    }
    if (st != NULL) {
        lock_release_all(&p->locks, &w->owner);
        work_unref(w);
        return st;
    }
    w->seq = 1;
    w->prepared_ns = loop_now_ns(p->env->loop);
    HASH_ADD(by_id, p->by_id, id, sizeof(w->id), w);
    list_push_back(&p->works, &w->link);
    p->prepared_count++;
    lock_set_pending(&p->locks, &w->owner, w->commit_ts, false);
    part_raise_written(p, w->commit_ts);
    return NULL;
}

struct status *prepared_load(struct part *p)
{
    if (bug_on(BUG_TXN_LOSE_PREPARED)) {
        return NULL;
    }
    struct buf prefix = {0};
    state_key(&prefix, p->state->group_id, 'P');
    struct store_iter *it = store_iter_create(p->state->store, NULL);
    struct status *st = NULL;
    for (store_iter_seek(it, buf_slice(&prefix)); st == NULL && store_iter_valid(it);
         store_iter_next(it)) {
        struct slice key = store_iter_key(it);
        if (!slice_has_prefix(key, buf_slice(&prefix))) {
            break;
        }
        if (key.len != prefix.len + 16) {
            st = status_new(CORRUPT, "prepared record with a key of %zu bytes", key.len);
            break;
        }
        struct txn_id id = {get_u64(key.data + prefix.len), get_u64(key.data + prefix.len + 8)};
        st = decode(p, id, store_iter_value(it));
    }
    if (st == NULL) {
        st = store_iter_status(it);
    }
    store_iter_destroy(it);
    buf_deinit(&prefix);
    if (st == NULL && !list_is_empty(&p->works)) {
        timer_start(p->env->loop, &p->tick, ms_to_ns(250));
    }
    return st;
}

struct status *part_lookup(struct fiber *f, struct part *p, const Sherd__V1__QueryRequest *req,
                           Sherd__V1__OutcomeReply *reply)
{
    struct txn_id id = txn_id_from(req->txn);
    TRY(part_confirm(f, p)); /* what a deposed leader does not have is no news */
    struct outcome o;
    reply->answer = SHERD__V1__ANSWER__ANSWER_UNKNOWN;
    if (state_outcome(p->state, id, &o) == OUTCOME_COMMITTED) {
        reply->answer = SHERD__V1__ANSWER__ANSWER_COMMITTED;
        reply->attempt = o.attempt;
        reply->commit = o.ts;
        return NULL;
    }
    const struct work *w = part_find_by_id(p, id);
    if (w != NULL) {
        reply->answer = w->state == WORK_PREPARED ? SHERD__V1__ANSWER__ANSWER_PREPARED
                                                  : SHERD__V1__ANSWER__ANSWER_BUSY;
    }
    return NULL;
}
