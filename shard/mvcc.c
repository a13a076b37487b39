/* Reading versions: see mvcc.h. Values are checked as they come from disk; a short one is CORRUPT.
 */
#include "mvcc.h"

#include "base/check.h"

static void key_in(struct buf *out, uint8_t space, struct slice key)
{
    buf_clear(out);
    uint8_t *p = buf_extend(out, key.len + 1);
    p[0] = space;
    if (key.len != 0) {
        memcpy(p + 1, key.data, key.len);
    }
}

void mvcc_data_key(struct buf *out, struct slice key)
{
    key_in(out, 'd', key);
}

void mvcc_history_key(struct buf *out, struct slice key, uint64_t ts)
{
    key_in(out, 'h', key);
    buf_put_u64(out, ~ts);
}

void mvcc_bound(struct buf *out, uint8_t space, struct slice key, bool is_end)
{
    if (is_end && key.len == 0) {
        space++;
    }
    key_in(out, space, key);
}

void mvcc_scratch_deinit(struct mvcc_scratch *s)
{
    buf_deinit(&s->key);
    buf_deinit(&s->value);
}

static struct status *parse_data(struct slice value, struct mvcc_version *out)
{
    if (value.len < MVCC_HEAD) {
        return status_new(CORRUPT, "row version of %zu bytes in the state store", value.len);
    }
    out->ts = get_u64(value.data);
    out->is_tombstone = (value.data[8] & MVCC_TOMBSTONE) != 0;
    out->is_moved = (value.data[8] & MVCC_MOVED) != 0;
    out->row = slice_make(value.data + MVCC_HEAD, value.len - MVCC_HEAD);
    return NULL;
}

/* key is a whole 'h' key, prefix its part without the timestamp. False: another key's. */
static bool parse_history(struct slice key, struct slice value, struct slice prefix,
                          struct mvcc_version *out)
{
    if (key.len != prefix.len + 8 || !slice_has_prefix(key, prefix) || value.len < 1) {
        return false;
    }
    out->ts = ~get_u64(key.data + prefix.len);
    out->is_tombstone = (value.data[0] & MVCC_TOMBSTONE) != 0;
    out->is_moved = (value.data[0] & MVCC_MOVED) != 0;
    out->row = slice_make(value.data + 1, value.len - 1);
    return true;
}

struct status *mvcc_newest(struct store *s, struct slice key, struct mvcc_scratch *scratch,
                           struct mvcc_version *out, bool *out_found)
{
    bool found = false;
    mvcc_data_key(&scratch->key, key);
    TRY(store_get(s, NULL, buf_slice(&scratch->key), &scratch->value, &found));
    if (found) {
        TRY(parse_data(buf_slice(&scratch->value), out));
    }
    *out_found = found;
    return NULL;
}

struct status *mvcc_get(struct store *s, struct slice key, uint64_t ts,
                        struct mvcc_scratch *scratch, struct mvcc_version *out, bool *out_found)
{
    bool found = false;
    struct mvcc_version v;
    TRY(mvcc_newest(s, key, scratch, &v, &found));
    if (!found || v.ts <= ts) {
        if (found) {
            *out = v;
        }
        *out_found = found;
        return NULL;
    }
    struct store_iter *it = store_iter_create(s, NULL);
    mvcc_history_key(&scratch->key, key, ts);
    store_iter_seek(it, buf_slice(&scratch->key));
    found = store_iter_valid(it) &&
            parse_history(store_iter_key(it), store_iter_value(it),
                          slice_make(scratch->key.data, scratch->key.len - 8), &v);
    if (found) {
        buf_clear(&scratch->value);
        buf_put_slice(&scratch->value, v.row);
        v.row = buf_slice(&scratch->value);
        *out = v;
    }
    struct status *st = store_iter_status(it);
    store_iter_destroy(it);
    if (st == NULL) {
        *out_found = found;
    }
    return st;
}

struct status *mvcc_moved_since(struct store *s, struct slice key, uint64_t since,
                                struct mvcc_scratch *scratch, bool *out)
{
    bool found = false;
    struct mvcc_version v;
    TRY(mvcc_newest(s, key, scratch, &v, &found));
    *out = found && v.ts > since && v.is_moved;
    if (!found || v.ts <= since || *out) {
        return NULL;
    }
    struct store_iter *it = store_iter_create(s, NULL);
    mvcc_history_key(&scratch->key, key, v.ts);
    struct slice prefix = slice_make(scratch->key.data, scratch->key.len - 8);
    for (store_iter_seek(it, buf_slice(&scratch->key));
         store_iter_valid(it) &&
         parse_history(store_iter_key(it), store_iter_value(it), prefix, &v) && v.ts > since &&
         !*out;
         store_iter_next(it)) {
        *out = v.is_moved;
    }
    struct status *st = store_iter_status(it);
    store_iter_destroy(it);
    return st;
}

void mvcc_iter_init(struct mvcc_iter *it, struct store *s, struct slice start, struct slice end,
                    uint64_t ts, bool is_reverse, bool with_tombstones)
{
    *it = (struct mvcc_iter){
        .store = s, .ts = ts, .is_reverse = is_reverse, .with_tombstones = with_tombstones};
    mvcc_bound(&it->start, 'd', start, false);
    mvcc_bound(&it->end, 'd', end, true);
}

void mvcc_iter_deinit(struct mvcc_iter *it)
{
    store_iter_destroy(it->data);
    store_iter_destroy(it->history);
    it->data = it->history = NULL;
    buf_deinit(&it->start);
    buf_deinit(&it->end);
    buf_deinit(&it->history_key);
}

/* Whether the key under the cursor has a version at the snapshot: fills it->version. */
static struct status *look(struct mvcc_iter *it, bool *out_found)
{
    struct mvcc_version v;
    TRY(parse_data(store_iter_value(it->data), &v));
    it->newest_ts = v.ts;
    bool found = true;
    if (v.ts > it->ts) {
        if (it->history == NULL) {
            it->history = store_iter_create(it->store, NULL);
        }
        mvcc_history_key(&it->history_key, it->key, it->ts);
        store_iter_seek(it->history, buf_slice(&it->history_key));
        found = store_iter_valid(it->history) &&
                parse_history(store_iter_key(it->history), store_iter_value(it->history),
                              slice_make(it->history_key.data, it->history_key.len - 8), &v);
        if (!found) {
            TRY(store_iter_status(it->history));
        }
    }
    if (found) {
        it->version = v;
        found = it->with_tombstones || !v.is_tombstone;
    }
    *out_found = found;
    return NULL;
}

static void move(struct mvcc_iter *it)
{
    if (it->data == NULL) {
        it->data = store_iter_create(it->store, NULL);
        if (it->is_reverse) {
            store_iter_seek_prev(it->data, buf_slice(&it->end));
        } else {
            store_iter_seek(it->data, buf_slice(&it->start));
        }
    } else if (it->is_reverse) {
        store_iter_prev(it->data);
    } else {
        store_iter_next(it->data);
    }
}

struct status *mvcc_iter_next(struct mvcc_iter *it, uint64_t budget, bool *out_paused)
{
    *out_paused = false;
    it->is_valid = false;
    for (;;) {
        move(it);
        if (!store_iter_valid(it->data)) {
            return store_iter_status(it->data);
        }
        struct slice key = store_iter_key(it->data);
        if (it->is_reverse ? slice_cmp(key, buf_slice(&it->start)) < 0
                           : slice_cmp(key, buf_slice(&it->end)) >= 0) {
            return NULL;
        }
        it->key = slice_make(key.data + 1, key.len - 1);
        it->seen++;
        bool found = false;
        TRY(look(it, &found));
        if (found) {
            it->is_valid = true;
            return NULL;
        }
        if (budget-- <= 1) {
            *out_paused = true;
            return NULL;
        }
    }
}
