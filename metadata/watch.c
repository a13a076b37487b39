/*
 * Watch: a long poll that brings everything after a revision, in order and without gaps.
 *
 *  revision > 0 and in the ring   the changes after it, cut only between revisions
 *  otherwise                      a full copy, in pages
 *
 * The first page of a copy names the revision R; the caller asks on by key and then watches from R:
 * what changed between the pages is newer than R and comes again, which a cache bears (client.c).
 *
 * Replies point into the state; they hold it by references that the reply's arena releases.
 */
#include "server_impl.h"

#include "base/check.h"
#include "base/mem.h"
#include "keys.h"

struct held { /* entries that a reply points at */
    struct omap_entry **entries;
    size_t count;
};

static void held_free(void *ctx)
{
    struct held *h = ctx;
    for (size_t i = 0; i < h->count; i++) {
        omap_entry_unref(h->entries[i]);
    }
}

static void map_free(void *ctx)
{
    omap_deinit(ctx);
}

static void change_fill(Sherd__V1__MetaChange *c, struct omap_entry *e, bool is_delete)
{
    sherd__v1__meta_change__init(c);
    c->key.data = e->bytes;
    c->key.len = e->key_len;
    c->value.data = e->bytes + e->key_len;
    c->value.len = e->value_len;
    c->mod_revision = e->mod_revision;
    c->deleted = is_delete;
}

/* ---- changes from the ring ---- */

static const struct meta_change *ring_at(const struct meta_fsm *fsm, size_t i)
{
    return &fsm->ring[(fsm->ring_first + i) % META_RING_MAX];
}

/* Index of the first change after the revision. */
static size_t ring_find(const struct meta_fsm *fsm, uint64_t revision)
{
    size_t low = 0;
    size_t high = fsm->ring_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ring_at(fsm, mid)->entry->mod_revision > revision) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return low;
}

static void reply_changes(const struct meta_fsm *fsm, struct arena *a, uint64_t revision,
                          Sherd__V1__MetaWatchReply *reply)
{
    size_t first = ring_find(fsm, revision);
    size_t end = first;
    size_t bytes = 0;
    while (end < fsm->ring_count) {
        const struct omap_entry *e = ring_at(fsm, end)->entry;
        bool starts = end > first && e->mod_revision != ring_at(fsm, end - 1)->entry->mod_revision;
        if (starts && bytes > META_WATCH_BYTES_MAX) {
            break;
        }
        bytes += e->key_len + e->value_len + 32;
        end++;
    }
    size_t count = end - first;
    struct held *held = ARENA_NEW(a, struct held);
    held->entries = ARENA_ARRAY(a, struct omap_entry *, count);
    reply->changes = ARENA_ARRAY(a, Sherd__V1__MetaChange *, count);
    Sherd__V1__MetaChange *changes = ARENA_ARRAY(a, Sherd__V1__MetaChange, count);
    for (size_t i = 0; i < count; i++) {
        const struct meta_change *c = ring_at(fsm, first + i);
        held->entries[held->count++] = omap_entry_ref(c->entry);
        change_fill(&changes[i], c->entry, c->is_delete);
        reply->changes[i] = &changes[i];
    }
    arena_on_free(a, held_free, held);
    reply->n_changes = count;
    reply->revision =
        end < fsm->ring_count ? ring_at(fsm, end - 1)->entry->mod_revision : fsm->visible;
}

/* ---- a full copy ---- */

struct page {
    struct arena *arena;
    Sherd__V1__MetaWatchReply *reply;
    size_t cap;
    size_t bytes;
    struct omap_entry *next; /* the first that did not fit */
};

static bool page_add(void *ctx, struct omap_entry *e)
{
    struct page *p = ctx;
    if (meta_key_is_silent(omap_entry_key(e))) {
        return true;
    }
    if (p->bytes > META_WATCH_BYTES_MAX) {
        p->next = e;
        return false;
    }
    Sherd__V1__MetaWatchReply *r = p->reply;
    if (r->n_changes == p->cap) {
        size_t cap = p->cap == 0 ? 64 : p->cap * 2;
        r->changes = arena_grow(p->arena, r->changes, p->cap * sizeof(*r->changes),
                                cap * sizeof(*r->changes));
        p->cap = cap;
    }
    Sherd__V1__MetaChange *c = ARENA_NEW(p->arena, Sherd__V1__MetaChange);
    change_fill(c, e, false);
    r->changes[r->n_changes++] = c;
    p->bytes += e->key_len + e->value_len + 32;
    return true;
}

static void reply_full(const struct meta_fsm *fsm, struct arena *a, struct slice from,
                       Sherd__V1__MetaWatchReply *reply)
{
    struct omap *held = ARENA_NEW(a, struct omap);
    omap_copy(held, &fsm->map);
    arena_on_free(a, map_free, held);
    struct page p = {.arena = a, .reply = reply};
    omap_scan(held, from, page_add, &p);
    reply->full = true;
    reply->revision = fsm->visible;
    if (p.next != NULL) {
        reply->next_key.data = p.next->bytes;
        reply->next_key.len = p.next->key_len;
    }
}

/* ---- the long poll ---- */

/* Waits for a change or a role until `until_ns`; *out_over tells that the time is over. */
static struct status *watch_wait(struct fiber *f, struct meta_server *s, uint64_t until_ns,
                                 bool *out_over)
{
    if (loop_now_ns(s->loop) >= until_ns) {
        *out_over = true;
        return NULL;
    }
    uint64_t outer = fiber_deadline(f);
    if (outer == 0 || until_ns < outer) {
        fiber_set_deadline(f, until_ns);
    }
    struct status *st = cond_wait(f, &s->watch_cond);
    fiber_set_deadline(f, outer);
    if (status_is(st, STATUS_TIMEOUT) && loop_now_ns(s->loop) >= until_ns) {
        status_free(st);
        *out_over = true;
        return NULL;
    }
    return st;
}

struct status *meta_handle_watch(struct fiber *f, struct rpc_context *ctx, const void *request,
                                 void **out_reply, struct meta_server *s)
{
    const Sherd__V1__MetaWatchRequest *r = request;
    uint32_t wait_ms = r->wait_ms < META_WATCH_WAIT_MS_MAX ? r->wait_ms : META_WATCH_WAIT_MS_MAX;
    uint64_t until_ns = loop_now_ns(s->loop) + ms_to_ns(wait_ms);
    TRY(meta_serving(f, s));
    if (wait_ms == 0) {
        TRY(meta_confirm(f, s));
        TRY(meta_serving(f, s));
    }
    bool is_behind = r->revision == 0 || r->revision < s->fsm.ring_floor;
    bool is_over = wait_ms == 0;
    /* A caller that knows more than this leader has heard of a later one: nothing to tell it, for
     * now. */
    while (!is_behind && r->revision >= s->fsm.visible && !is_over) {
        TRY(watch_wait(f, s, until_ns, &is_over));
        TRY(meta_serving(f, s));
        is_behind = r->revision < s->fsm.ring_floor;
    }
    Sherd__V1__MetaWatchReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaWatchReply);
    sherd__v1__meta_watch_reply__init(reply);
    if (is_behind) {
        reply_full(&s->fsm, ctx->arena, slice_make(r->from_key.data, r->from_key.len), reply);
    } else {
        reply_changes(&s->fsm, ctx->arena, r->revision, reply);
    }
    *out_reply = reply;
    return NULL;
}
