/* Workspaces: see work.h. Memory of a workspace is its own; everything goes with the last
 * reference. */
#include "work.h"

#include "base/buggify.h"
#include "base/check.h"
#include "bounds.h"

struct work *work_create(struct part *p, struct txn_id id, uint64_t start)
{
    struct work *w = MEM_NEW(struct work);
    lock_owner_init(&w->owner, id, start);
    w->part = p;
    w->refs = 1;
    w->id = id;
    w->start = start;
    w->min_attempt = 1;
    fmutex_init(&w->busy);
    keymap_init(&w->writes);
    list_head_init(&w->log);
    list_head_init(&w->link);
    return w;
}

struct work *work_ref(struct work *w)
{
    w->refs++;
    return w;
}

static void value_free(struct work *w, struct work_value *v)
{
    list_unlink(&v->link);
    w->bytes -= v->len + sizeof(*v);
    mem_free(v);
}

static void write_free(struct work *w, struct work_write *ww)
{
    w->bytes -= ww->node.key.len + sizeof(*ww);
    keymap_erase(&w->writes, &ww->node);
    mem_free(ww);
}

static void span_free(struct work *w, struct work_span *s)
{
    w->bytes -= s->start.len + s->end.len + sizeof(*s);
    mem_free((void *)(uintptr_t)s->start.data);
}

void work_unref(struct work *w)
{
    if (w == NULL || --w->refs > 0) {
        return;
    }
    ASSERT(list_is_empty(&w->owner.holds) && list_is_empty(&w->owner.waits));
    while (!list_is_empty(&w->log)) {
        value_free(w, LIST_ITEM(w->log.next, struct work_value, link));
    }
    while (w->writes.root != NULL) {
        write_free(w, work_write_of(w->writes.root));
    }
    for (size_t i = 0; i < w->span_count; i++) {
        span_free(w, &w->spans[i]);
    }
    mem_free(w->spans);
    mem_free(w->tables);
    mem_free(w->participants);
    mem_free(w->answer.skipped);
    buf_deinit(&w->answer.change);
    mem_free(w);
}

const struct work_value *work_find(const struct work *w, struct slice key)
{
    const struct work_write *ww = work_write_of(keymap_find(&w->writes, key));
    return ww == NULL ? NULL : ww->value;
}

void work_write_put(struct work *w, struct lock_table *t, struct lock_hold *h, uint64_t seq,
                    enum work_kind kind, struct slice row)
{
    struct slice key = h->lock->node.key;
    struct work_write *ww = work_write_of(keymap_find(&w->writes, key));
    if (ww == NULL) {
        ww = mem_zalloc(sizeof(*ww) + key.len);
        memcpy(ww->key, key.data, key.len);
        ww->node.key = slice_make(ww->key, key.len);
        ww->hold = h;
        keymap_insert(&w->writes, &ww->node);
        w->bytes += key.len + sizeof(*ww);
    }
    struct work_value *v = mem_alloc(sizeof(*v) + row.len);
    *v = (struct work_value){.before = ww->value,
                             .write = ww,
                             .seq = seq,
                             .is_delete = kind != WORK_PUT,
                             .is_moved =
                                 kind == WORK_MOVE || (ww->value != NULL && ww->value->is_moved),
                             .len = (uint32_t)row.len};
    if (row.len != 0) {
        memcpy(v->row, row.data, row.len);
    }
    ww->value = v;
    list_push_back(&w->log, &v->link);
    w->bytes += row.len + sizeof(*v);
    lock_set_write(t, h, true);
}

void work_undo(struct work *w, struct lock_table *t, uint64_t to_seq)
{
    if (bug_on(BUG_TXN_KEEP_UNDONE)) {
        return;
    }
    while (!list_is_empty(&w->log)) {
        struct work_value *v = LIST_ITEM(w->log.prev, struct work_value, link);
        if (v->seq <= to_seq) {
            return;
        }
        struct work_write *ww = v->write;
        ASSERT(ww->value == v);
        ww->value = v->before;
        value_free(w, v);
        if (ww->value == NULL) {
            lock_set_write(t, ww->hold, false); /* the lock stays, but for lock_undo() */
            write_free(w, ww);
        }
    }
}

/* Beyond the bound: one span over everything read, at the lowest timestamp. */
static void join_spans(struct work *w)
{
    struct work_span all = w->spans[0];
    struct buf start = {0}, end = {0};
    bool is_open = false;
    for (size_t i = 0; i < w->span_count; i++) {
        struct work_span *s = &w->spans[i];
        if (i == 0 || slice_cmp(s->start, buf_slice(&start)) < 0) {
            buf_clear(&start);
            buf_put_slice(&start, s->start);
        }
        if (s->is_point) {
            if (slice_cmp(s->start, buf_slice(&end)) >= 0) {
                buf_clear(&end);
                buf_put_slice(&end, s->start);
                buf_put_u8(&end, 0);
            }
        } else if (s->end.len == 0) {
            is_open = true;
        } else if (slice_cmp(s->end, buf_slice(&end)) > 0) {
            buf_clear(&end);
            buf_put_slice(&end, s->end);
        }
        all.from = s->from < all.from ? s->from : all.from;
        all.is_always = all.is_always || s->is_always;
        all.statement = s->statement < all.statement ? s->statement : all.statement;
    }
    for (size_t i = 0; i < w->span_count; i++) {
        span_free(w, &w->spans[i]);
    }
    w->span_count = 0;
    uint32_t statement = w->statement;
    w->statement = all.statement;
    struct key_span k = {.start = buf_slice(&start),
                         .end = is_open ? slice_make(NULL, 0) : buf_slice(&end)};
    work_read_span(w, &k, all.from, all.is_always);
    w->statement = statement;
    buf_deinit(&start);
    buf_deinit(&end);
}

void work_read_span(struct work *w, const struct key_span *span, uint64_t from, bool is_always)
{
    struct slice end = span->is_point ? slice_make(NULL, 0) : span->end;
    if (w->span_count != 0) { /* the same thing again, as paging and loops do */
        const struct work_span *last = &w->spans[w->span_count - 1];
        if (last->is_point == span->is_point && last->from <= from &&
            last->is_always == is_always && slice_eq(last->start, span->start) &&
            slice_eq(last->end, end)) {
            return;
        }
    }
    if (w->span_count >= SHARD_SPANS_MAX) {
        join_spans(w);
    }
    if (w->span_count == w->span_cap) {
        w->span_cap = w->span_cap == 0 ? 4 : w->span_cap * 2;
        w->spans = mem_realloc(w->spans, w->span_cap * sizeof(*w->spans));
    }
    uint8_t *bytes = mem_alloc(span->start.len + end.len + 1);
    if (span->start.len != 0) { /* a span may begin at the first key of all */
        memcpy(bytes, span->start.data, span->start.len);
    }
    if (end.len != 0) {
        memcpy(bytes + span->start.len, end.data, end.len);
    }
    w->spans[w->span_count++] =
        (struct work_span){.start = slice_make(bytes, span->start.len),
                           .end = slice_make(bytes + span->start.len, end.len),
                           .is_point = span->is_point,
                           .is_always = is_always,
                           .from = from,
                           .statement = w->statement};
    w->bytes += span->start.len + end.len + sizeof(struct work_span);
}

void work_forget_spans(struct work *w, uint32_t statement)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->span_count; i++) {
        if (statement != 0 && w->spans[i].statement >= statement) {
            span_free(w, &w->spans[i]);
        } else {
            w->spans[kept++] = w->spans[i];
        }
    }
    w->span_count = kept;
}

void work_truncate_spans(struct work *w, size_t count)
{
    while (w->span_count > count) {
        span_free(w, &w->spans[--w->span_count]);
    }
}

void work_use_table(struct work *w, uint32_t table_id, uint64_t version)
{
    if (table_id == 0) {
        return;
    }
    for (size_t i = 0; i < w->table_count; i++) {
        if (w->tables[i].table_id == table_id) {
            if (version < w->tables[i].version) {
                w->tables[i].version = version;
            }
            return;
        }
    }
    w->tables = mem_realloc(w->tables, (w->table_count + 1) * sizeof(*w->tables));
    w->tables[w->table_count++] = (struct work_table){table_id, version};
}
