/*
 * See rtc.h. The segments cut the key space: a segment's timestamp holds from its start to the
 * start of the next one; below the first there is nothing. Raising a range puts a cut at both ends,
 * raises what lies between and joins neighbours of equal timestamp, so a range read again and again
 * stays one segment.
 */
#include "rtc.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

enum { BUCKETS_MIN = 64, BUCKETS_MAX = 1 << 16, SEGMENTS_MAX = 4096 };

struct rtc_segment {
    struct keymap_node node;
    uint64_t ts;
    uint8_t bytes[];
};

static struct rtc_segment *segment_of(struct keymap_node *n)
{
    return n == NULL ? NULL : CONTAINER_OF(n, struct rtc_segment, node);
}

void rtc_init(struct rtc *r, uint64_t floor)
{
    *r = (struct rtc){.floor = floor, .segment_max = SEGMENTS_MAX};
    keymap_init(&r->segments);
}

static void segment_free(struct rtc *r, struct rtc_segment *s)
{
    keymap_erase(&r->segments, &s->node);
    mem_free(s);
}

void rtc_deinit(struct rtc *r)
{
    mem_free(r->buckets);
    r->buckets = NULL;
    r->bucket_count = 0;
    while (r->segments.root != NULL) {
        segment_free(r, segment_of(r->segments.root));
    }
}

void rtc_raise_floor(struct rtc *r, uint64_t ts)
{
    if (ts > r->floor) {
        r->floor = ts;
    }
}

/* Twice the buckets: what was known of one holds for both it is cut into. */
static void buckets_grow(struct rtc *r)
{
    uint32_t n = r->bucket_count == 0 ? BUCKETS_MIN : r->bucket_count * 2;
    uint64_t *b = mem_zalloc(n * sizeof(*b));
    for (uint32_t i = 0; r->bucket_count != 0 && i < n; i++) {
        b[i] = r->buckets[i & (r->bucket_count - 1)];
    }
    mem_free(r->buckets);
    r->buckets = b;
    r->bucket_count = n;
    r->raises = 0;
}

void rtc_raise_point(struct rtc *r, struct slice key, uint64_t ts)
{
    if (ts <= r->floor) {
        return;
    }
    if (r->bucket_count == 0 ||
        (r->raises > 8 * r->bucket_count && r->bucket_count < BUCKETS_MAX)) {
        buckets_grow(r);
    }
    uint64_t *b = &r->buckets[keymap_hash(key) & (r->bucket_count - 1)];
    if (*b < ts) {
        *b = ts;
        r->raises++;
    }
}

/* Makes `key` the start of a segment and returns it. */
static struct rtc_segment *cut(struct rtc *r, struct slice key)
{
    struct rtc_segment *s = segment_of(keymap_at_or_below(&r->segments, key));
    if (s != NULL && slice_eq(s->node.key, key)) {
        return s;
    }
    struct rtc_segment *n = mem_alloc(sizeof(*n) + key.len);
    n->ts = s != NULL ? s->ts : 0;
    if (key.len != 0) {
        memcpy(n->bytes, key.data, key.len);
    }
    n->node.key = slice_make(n->bytes, key.len);
    keymap_insert(&r->segments, &n->node);
    return n;
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Raises the floor to the median segment: about half of them say nothing more then. */
static void give_up_oldest(struct rtc *r)
{
    size_t n = 0;
    uint64_t *all = mem_alloc(r->segments.count * sizeof(*all));
    for (struct keymap_node *it = keymap_first(&r->segments); it != NULL; it = keymap_next(it)) {
        all[n++] = segment_of(it)->ts;
    }
    qsort(all, n, sizeof(*all), cmp_u64);
    rtc_raise_floor(r, all[n / 2]);
    mem_free(all);
    uint64_t before = 0;
    for (struct keymap_node *it = keymap_first(&r->segments), *next; it != NULL; it = next) {
        next = keymap_next(it);
        struct rtc_segment *s = segment_of(it);
        if (s->ts <= r->floor) {
            s->ts = 0;
        }
        if (s->ts == before) {
            segment_free(r, s);
        } else {
            before = s->ts;
        }
    }
}

void rtc_raise_range(struct rtc *r, struct slice start, struct slice end, uint64_t ts)
{
    if (ts <= r->floor || (end.len != 0 && slice_cmp(start, end) >= 0)) {
        return;
    }
    struct rtc_segment *first = cut(r, start);
    if (end.len != 0) {
        cut(r, end);
    }
    /* Raise, joining neighbours that have become equal. */
    struct rtc_segment *kept = segment_of(keymap_prev(&first->node));
    for (struct keymap_node *it = &first->node, *next; it != NULL; it = next) {
        next = keymap_next(it);
        struct rtc_segment *s = segment_of(it);
        bool is_inside = end.len == 0 || slice_cmp(s->node.key, end) < 0;
        if (is_inside && s->ts < ts) {
            s->ts = ts;
        }
        if (s->ts == (kept != NULL ? kept->ts : 0)) {
            segment_free(r, s);
        } else {
            kept = s;
        }
        if (!is_inside) {
            break;
        }
    }
    if (r->segments.count > r->segment_max) {
        give_up_oldest(r);
    }
}

uint64_t rtc_get(const struct rtc *r, struct slice key)
{
    uint64_t ts = r->floor;
    if (r->bucket_count != 0) {
        uint64_t b = r->buckets[keymap_hash(key) & (r->bucket_count - 1)];
        ts = b > ts ? b : ts;
    }
    if (!keymap_is_empty(&r->segments)) {
        struct keymap_node *n = keymap_at_or_below(&r->segments, key);
        if (n != NULL && segment_of(n)->ts > ts) {
            ts = segment_of(n)->ts;
        }
    }
    return ts;
}
