/* Gathering candidates: see scan.h. */
#include "scan.h"

#include "base/check.h"
#include "bounds.h"

struct status *scan_init(struct scan *s, struct part *p, const struct work *w,
                         const struct fragment *fr, uint64_t ts, struct slice resume_key,
                         uint32_t resume_span)
{
    *s = (struct scan){.part = p, .work = w, .fr = fr, .ts = ts};
    s->span = fr->is_reverse ? fr->nspans - 1 : 0;
    if (resume_key.len != 0) {
        if (resume_span >= (uint32_t)fr->nspans) {
            return status_new(INVALID, "a page begins in span %u of %d", resume_span, fr->nspans);
        }
        s->span = (int)resume_span;
        s->has_pos = true;
        buf_put_slice(&s->pos, resume_key);
    }
    return NULL;
}

void scan_deinit(struct scan *s)
{
    buf_deinit(&s->pos);
}

bool scan_is_done(const struct scan *s)
{
    return s->span < 0 || s->span >= s->fr->nspans;
}

static void next_span(struct scan *s)
{
    s->span += s->fr->is_reverse ? -1 : 1;
    s->has_pos = false;
}

static void set_pos(struct scan *s, struct slice key)
{
    s->has_pos = true;
    buf_clear(&s->pos);
    buf_put_slice(&s->pos, key);
    if (!s->fr->is_reverse) {
        buf_put_u8(&s->pos, 0);
    }
}

void scan_cut(struct scan *s, const struct scan_chunk *c, int index)
{
    s->span = c->spans[index];
    if (s->fr->spans[s->span].is_point) {
        next_span(s);
    } else {
        set_pos(s, c->keys[index]);
    }
}

bool scan_rest(const struct scan *s, int i, struct key_span *out)
{
    if (s->fr->is_reverse ? i > s->span : i < s->span) {
        return false;
    }
    *out = s->fr->spans[i];
    if (i == s->span && s->has_pos && !out->is_point) {
        if (s->fr->is_reverse) {
            out->end = buf_slice(&s->pos);
        } else {
            out->start = buf_slice(&s->pos);
        }
    }
    return true;
}

static void add(struct scan *s, struct arena *a, struct scan_chunk *c, struct slice key,
                struct slice row)
{
    c->keys[c->count] = arena_copy(a, key);
    c->rows[c->count] = arena_copy(a, row);
    c->pks[c->count] =
        s->fr->is_lookup || s->fr->is_keys_only ? c->rows[c->count] : c->keys[c->count];
    c->spans[c->count] = s->span;
    c->count++;
}

static struct status *gather_point(struct scan *s, struct arena *a, struct scan_chunk *c)
{
    struct slice key = s->fr->spans[s->span].start;
    const struct work_value *own = s->work != NULL ? work_find(s->work, key) : NULL;
    if (own == NULL) {
        own = part_committed(s->part, key, s->ts);
    }
    if (own != NULL) {
        if (!own->is_delete) {
            add(s, a, c, key, slice_make(own->row, own->len));
        }
    } else {
        struct mvcc_version v;
        bool found = false;
        TRY(mvcc_get(s->part->state->store, key, s->ts, &s->part->scratch, &v, &found));
        if (found && !v.is_tombstone) {
            add(s, a, c, key, v.row);
        }
    }
    s->seen++;
    next_span(s);
    return NULL;
}

/* The first own write of the span in the direction of the walk, and the next one. */
static struct keymap_node *own_first(const struct scan *s, const struct key_span *k)
{
    if (s->work == NULL || !work_has_writes(s->work)) {
        return NULL;
    }
    if (s->fr->is_reverse) {
        return k->end.len != 0 ? keymap_below(&s->work->writes, k->end)
                               : keymap_last(&s->work->writes);
    }
    return keymap_at_or_above(&s->work->writes, k->start);
}

static struct keymap_node *own_within(const struct scan *s, const struct key_span *k,
                                      struct keymap_node *n)
{
    if (n == NULL) {
        return NULL;
    }
    if (s->fr->is_reverse) {
        return slice_cmp(n->key, k->start) >= 0 ? n : NULL;
    }
    return k->end.len == 0 || slice_cmp(n->key, k->end) < 0 ? n : NULL;
}

/* Own writes up to and including `key`, which the walk has passed. Returns the first one beyond. */
static struct keymap_node *own_until(struct scan *s, struct arena *a, const struct key_span *k,
                                     struct keymap_node *own, struct slice key, int want,
                                     struct scan_chunk *c, struct slice *last)
{
    bool is_reverse = s->fr->is_reverse;
    while (own != NULL && c->count < want) {
        int cmp = slice_cmp(own->key, key);
        if ((is_reverse ? -cmp : cmp) > 0) {
            break;
        }
        const struct work_value *v = work_write_of(own)->value;
        if (!v->is_delete) {
            add(s, a, c, own->key, slice_make(v->row, v->len));
        }
        *last = own->key;
        own = own_within(s, k, is_reverse ? keymap_prev(own) : keymap_next(own));
    }
    return own;
}

static struct status *gather_range(struct scan *s, struct arena *a, int want, struct scan_chunk *c,
                                   bool *out_full)
{
    struct key_span k;
    bool rest = scan_rest(s, s->span, &k);
    ASSERT(rest);
    bool is_reverse = s->fr->is_reverse, is_paused = false, is_end = false;
    struct mvcc_iter it;
    mvcc_iter_init(&it, s->part->state->store, k.start, k.end, s->ts, is_reverse, false);
    struct keymap_node *own = own_within(s, &k, own_first(s, &k));
    struct slice last = {0};
    struct status *st = mvcc_iter_next(&it, SHARD_SCAN_TURN, &is_paused);
    while (st == NULL && c->count < want && (it.seen < SHARD_SCAN_TURN || last.data == NULL)) {
        if (is_paused) { /* many invisible keys: go on behind them in the next turn */
            own = own_until(s, a, &k, own, it.key, want, c, &last);
            if (c->count < want) {
                last = it.key;
            }
            break;
        }
        if (!it.is_valid && own == NULL) {
            is_end = true;
            break;
        }
        int cmp = -1; /* < 0: the own write comes first */
        if (own == NULL) {
            cmp = 1;
        } else if (it.is_valid) {
            cmp = slice_cmp(own->key, it.key);
            cmp = is_reverse ? -cmp : cmp;
        }
        if (cmp > 0) {
            add(s, a, c, it.key, it.version.row);
            last = c->keys[c->count - 1];
        } else {
            own = own_until(s, a, &k, own, own->key, want, c, &last);
        }
        if (cmp >= 0) {
            st = mvcc_iter_next(&it, SHARD_SCAN_TURN, &is_paused);
        }
    }
    s->seen += it.seen;
    if (st == NULL) {
        if (is_end) {
            next_span(s);
        } else {
            ASSERT(last.data != NULL);
            set_pos(s, last);
        }
        *out_full = !is_end;
    }
    mvcc_iter_deinit(&it);
    return st;
}

struct status *scan_gather(struct scan *s, struct arena *a, int want, struct scan_chunk *out)
{
    out->count = 0;
    want = want < out->cap ? want : out->cap;
    bool is_full = false;
    uint64_t limit = s->seen + SHARD_SCAN_TURN;
    while (!is_full && !scan_is_done(s) && out->count < want && s->seen < limit) {
        TRY(s->fr->spans[s->span].is_point ? gather_point(s, a, out)
                                           : gather_range(s, a, want, out, &is_full));
    }
    return NULL;
}
