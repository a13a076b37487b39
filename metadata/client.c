/*
 * The metadata group as its users see it: a cache that follows the leader by long polls, and calls
 * that find the leader by themselves.
 *
 * The cache. `revision` R means: every change up to R is in it, and nothing else (while catching
 * up: some later ones too). A change is applied only if it is newer than R and than the entry it
 * meets, so replies may cross (the watch's and those of meta_refresh()) and repeat. A reply that
 * ends below R (from a leader that is behind) changes nothing. Listeners hear of a reply after all
 * of it is in the cache, so that they see whole transactions.
 *
 * Calls. The target is the leader as far as known, else the seeds and the metadata nodes of the
 * cache in turn. NOT_LEADER with a hint moves there at once; a full round without success sleeps an
 * eighth of the time spent so far (20 ms to 1 s), so a failover is found within some 12 % of its
 * length. Every request may be repeated: changes carry an id (exactly once), the others are
 * harmless or leave a gap in ids.
 */
#include "client_impl.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

/* ---- finding the leader ---- */

struct candidates {
    struct meta_client *client;
    uint64_t ids[META_NODES_MAX];
    size_t count;
};

static void candidate_add(struct candidates *l, uint64_t id)
{
    for (size_t i = 0; i < l->count; i++) {
        if (l->ids[i] == id) {
            return;
        }
    }
    if (l->count < META_NODES_MAX) {
        l->ids[l->count++] = id;
    }
}

static bool candidate_node(void *ctx, struct omap_entry *e)
{
    struct candidates *l = ctx;
    struct arena *a = arena_create(0);
    void *message;
    if (!status_consume(
            pb_unpack(&sherd__v1__node_desc__descriptor, a, omap_entry_value(e), &message))) {
        const Sherd__V1__NodeDesc *n = message;
        if (n->role_metadata && n->address != NULL &&
            n->state != SHERD__V1__NODE_STATE__NODE_GONE) {
            candidate_add(l, n->address->node_id);
        }
    }
    arena_destroy(a);
    return true;
}

/* Who to ask while the leader is unknown; *out_count = length of a full round. */
static uint64_t candidate_pick(struct meta_client *c, size_t *out_count)
{
    struct candidates *l = MEM_NEW(struct candidates);
    for (size_t i = 0; i < c->seed_count; i++) {
        candidate_add(l, c->seeds[i]);
    }
    omap_scan_prefix(&c->cache, slice_str(META_PREFIX_NODE), candidate_node, l);
    uint64_t id = l->count == 0 ? 0 : l->ids[c->rotation % l->count];
    *out_count = l->count;
    mem_free(l);
    return id;
}

static struct status *attempt(struct fiber *f, struct meta_client *c, uint64_t target,
                              enum rpc_method m, const void *request, uint32_t attempt_ms,
                              struct arena *arena, void **out_reply)
{
    uint64_t outer = fiber_deadline(f);
    uint64_t inner = loop_now_ns(c->loop) + ms_to_ns(attempt_ms);
    bool is_ours = outer == 0 || inner < outer;
    if (is_ours) {
        fiber_set_deadline(f, inner);
    }
    struct status *st = rpc_call(f, c->rpc, target, m, request, arena, out_reply);
    fiber_set_deadline(f, outer);
    if (is_ours && status_is(st, STATUS_TIMEOUT)) {
        status_free(st);
        st = status_new(UNKNOWN_OUTCOME, "node %" PRIu64 " did not answer within %u ms", target,
                        attempt_ms);
    }
    return st;
}

enum verdict { FINAL, ELSEWHERE, NEXT };

/* What an error says about where to ask next. */
static enum verdict judge(struct fiber *f, struct meta_client *c, uint64_t target,
                          const struct status *st)
{
    uint64_t hint = 0;
    switch (st->code) {
    case STATUS_NOT_LEADER:
        hint = rpc_leader_hint(st);
        break;
    case STATUS_CANCELLED:
    case STATUS_TIMEOUT:
        if (fiber_is_cancelled(f)) {
            return FINAL;
        }
        if (fiber_deadline(f) != 0 && loop_now_ns(c->loop) >= fiber_deadline(f)) {
            return FINAL;
        }
        break;               /* the other side gave up: it is shutting down */
    case STATUS_UNAVAILABLE: /* also: a node without the role */
    case STATUS_UNKNOWN_OUTCOME:
        break;
    default:
        return FINAL;
    }
    if (hint != 0 && hint != target) {
        c->leader = hint;
        return ELSEWHERE;
    }
    if (c->leader == target) {
        c->leader = 0;
    }
    c->rotation++;
    return NEXT;
}

struct status *client_call(struct fiber *f, struct meta_client *c, enum rpc_method m,
                           const void *request, uint32_t attempt_ms, struct arena *arena,
                           void **out_reply)
{
    uint64_t began_ns = loop_now_ns(c->loop);
    size_t failures = 0;
    size_t hops = 0;
    for (;;) {
        size_t round = 0;
        uint64_t target = c->leader != 0 ? c->leader : candidate_pick(c, &round);
        if (target == 0) {
            return status_new(UNAVAILABLE, "no metadata node is known");
        }
        struct status *st = attempt(f, c, target, m, request, attempt_ms, arena, out_reply);
        if (st == NULL) {
            c->leader = target;
            return NULL;
        }
        enum verdict v = judge(f, c, target, st);
        uint64_t elapsed_ns = loop_now_ns(c->loop) - began_ns;
        if (v == FINAL) {
            return st;
        }
        if (elapsed_ns > ms_to_ns(META_CALL_GIVE_UP_MS)) {
            struct status *out = status_new(UNAVAILABLE, "the metadata group does not answer");
            out = status_detail(out, "The last node asked, %" PRIu64 ", said: %s.", target,
                                st->message);
            status_free(st);
            return out;
        }
        status_free(st);
        if (v == ELSEWHERE && hops++ < 3) {
            continue;
        }
        candidate_pick(c, &round);
        if (++failures < round) {
            continue;
        }
        failures = 0;
        hops = 0;
        uint64_t sleep_ns = elapsed_ns / 8;
        if (sleep_ns < ms_to_ns(META_BACKOFF_MIN_MS)) {
            sleep_ns = ms_to_ns(META_BACKOFF_MIN_MS);
        } else if (sleep_ns > ms_to_ns(META_BACKOFF_MAX_MS)) {
            sleep_ns = ms_to_ns(META_BACKOFF_MAX_MS);
        }
        TRY(fiber_sleep(f, sleep_ns / 2 + loop_random_below(c->loop, sleep_ns / 2 + 1)));
    }
}

struct status *meta_call(struct fiber *f, struct meta_client *c, enum rpc_method m,
                         const void *request, struct arena *arena, void **out_reply)
{
    return client_call(f, c, m, request, META_ATTEMPT_MS, arena, out_reply);
}

/* ---- the cache ---- */

static struct slice pb_slice(ProtobufCBinaryData b)
{
    return slice_make(b.data, b.len);
}

/* Each listener once, whatever they link and unlink meanwhile. */
static void notify(struct meta_client *c, struct slice key, struct slice value, bool deleted)
{
    struct list told;
    list_head_init(&told);
    while (!list_is_empty(&c->listeners)) {
        struct meta_listener *l =
            LIST_ITEM(list_pop_front(&c->listeners), struct meta_listener, link);
        list_push_back(&told, &l->link);
        if (slice_has_prefix(key, l->prefix)) {
            l->changed(l, key, value, deleted);
        }
    }
    list_splice_back(&c->listeners, &told);
}

static bool apply_one(struct meta_client *c, const Sherd__V1__MetaChange *m)
{
    struct slice key = pb_slice(m->key);
    const struct omap_entry *e = omap_get(&c->cache, key);
    if (m->mod_revision <= c->revision || (e != NULL && e->mod_revision >= m->mod_revision)) {
        return false;
    }
    if (m->deleted) {
        return omap_delete(&c->cache, key);
    }
    omap_put(&c->cache, key, pb_slice(m->value), m->mod_revision);
    return true;
}

static void apply_changes(struct meta_client *c, const Sherd__V1__MetaWatchReply *r)
{
    if (r->revision <= c->revision) {
        return;
    }
    bool *applied = mem_alloc(r->n_changes + 1);
    for (size_t i = 0; i < r->n_changes; i++) {
        applied[i] = apply_one(c, r->changes[i]);
    }
    c->revision = r->revision;
    for (size_t i = 0; i < r->n_changes; i++) {
        const Sherd__V1__MetaChange *m = r->changes[i];
        if (applied[i]) {
            notify(c, pb_slice(m->key), m->deleted ? slice_make(NULL, 0) : pb_slice(m->value),
                   m->deleted);
        }
    }
    mem_free(applied);
    cond_broadcast(&c->changed);
}

struct difference {
    struct meta_client *client;
    const struct omap *other;
};

static bool tell_gone(void *ctx, struct omap_entry *e)
{
    struct difference *d = ctx;
    if (omap_get(d->other, omap_entry_key(e)) == NULL) {
        notify(d->client, omap_entry_key(e), slice_make(NULL, 0), true);
    }
    return true;
}

static bool tell_new(void *ctx, struct omap_entry *e)
{
    struct difference *d = ctx;
    const struct omap_entry *old = omap_get(d->other, omap_entry_key(e));
    if (old == NULL || old->mod_revision != e->mod_revision) {
        notify(d->client, omap_entry_key(e), omap_entry_value(e), false);
    }
    return true;
}

/* Replaces the cache by a full copy (taken) and tells the difference. */
static void install_copy(struct meta_client *c, struct omap *fresh, uint64_t revision,
                         bool is_paged)
{
    if (c->is_ready && revision < c->revision) { /* from a leader that is behind */
        omap_deinit(fresh);
        return;
    }
    struct omap old = c->cache;
    struct omap now;
    c->cache = *fresh;
    c->revision = revision;
    c->is_catching_up = is_paged;
    omap_copy(&now, &c->cache);
    omap_scan(&old, slice_make(NULL, 0), tell_gone, &(struct difference){c, &now});
    omap_scan(&now, slice_make(NULL, 0), tell_new, &(struct difference){c, &old});
    omap_deinit(&now);
    omap_deinit(&old);
    if (!is_paged) {
        c->is_ready = true;
    }
    cond_broadcast(&c->changed);
}

/* ---- the watch ---- */

static void copy_add(struct omap *fresh, const Sherd__V1__MetaWatchReply *r)
{
    for (size_t i = 0; i < r->n_changes; i++) {
        omap_put(fresh, pb_slice(r->changes[i]->key), pb_slice(r->changes[i]->value),
                 r->changes[i]->mod_revision);
    }
}

/* Collects the pages of a full copy, of which `first` is one. */
static struct status *copy_read(struct fiber *f, struct meta_client *c,
                                const Sherd__V1__MetaWatchReply *first)
{
    struct omap fresh;
    struct buf next = {0};
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    uint64_t revision = first->revision;
    bool is_paged = first->next_key.len > 0;
    omap_init(&fresh);
    copy_add(&fresh, first);
    buf_put_slice(&next, pb_slice(first->next_key));
    while (next.len > 0) {
        Sherd__V1__MetaWatchRequest request = SHERD__V1__META_WATCH_REQUEST__INIT;
        void *reply;
        request.from_key.data = next.data;
        request.from_key.len = next.len;
        st = client_call(f, c, RPC_META_WATCH, &request, META_ATTEMPT_MS, a, &reply);
        if (st != NULL) {
            break;
        }
        const Sherd__V1__MetaWatchReply *page = reply;
        copy_add(&fresh, page);
        buf_clear(&next);
        buf_put_slice(&next, pb_slice(page->next_key));
        arena_reset(a);
    }
    if (st == NULL) {
        install_copy(c, &fresh, revision, is_paged);
    } else {
        omap_deinit(&fresh);
    }
    buf_deinit(&next);
    arena_destroy(a);
    return st;
}

static struct status *watch_step(struct fiber *f, struct meta_client *c, struct arena *a)
{
    Sherd__V1__MetaWatchRequest request = SHERD__V1__META_WATCH_REQUEST__INIT;
    void *message;
    bool is_first = !c->is_ready && !c->is_catching_up;
    request.revision = is_first ? 0 : c->revision;
    request.wait_ms = c->is_ready ? META_WATCH_POLL_MS : 0;
    TRY(client_call(f, c, RPC_META_WATCH, &request, request.wait_ms + META_ATTEMPT_MS, a,
                    &message));
    const Sherd__V1__MetaWatchReply *reply = message;
    if (reply->full) {
        return copy_read(f, c, reply);
    }
    apply_changes(c, reply);
    if (c->is_catching_up) {
        c->is_catching_up = false;
        c->is_ready = true;
        cond_broadcast(&c->changed);
    }
    return NULL;
}

static void watch_run(struct fiber *f, void *arg)
{
    struct meta_client *c = arg;
    struct arena *a = arena_create(0);
    while (!c->is_closing) {
        struct status *st = watch_step(f, c, a);
        arena_reset(a);
        if (st != NULL && !c->is_closing) {
            LOGW("metadata", "watch: %s", st->message);
            status_consume(fiber_sleep(f, ms_to_ns(META_BACKOFF_MAX_MS)));
        }
        status_free(st);
    }
    arena_destroy(a);
    c->fibers--;
    cond_broadcast(&c->ended);
}

/* ---- life ---- */

struct meta_client *meta_client_create(struct rpc_node *rpc, const uint64_t *seeds, size_t count)
{
    struct meta_client *c = MEM_NEW(struct meta_client);
    c->rpc = rpc;
    c->loop = rpc_node_loop(rpc);
    c->seeds = mem_alloc(sizeof(*seeds) * (count + 1));
    for (size_t i = 0; i < count; i++) {
        c->seeds[c->seed_count++] = seeds[i];
        if (seeds[i] == rpc_node_id(rpc)) { /* itself first: the cheapest to ask */
            c->rotation = i;
        }
    }
    omap_init(&c->cache);
    cond_init(&c->changed);
    cond_init(&c->ended);
    list_head_init(&c->listeners);
    c->map = shard_map_create(c);
    c->fibers = 1;
    c->watch = fiber_spawn(c->loop, FIBER_STACK_SMALL, watch_run, c);
    timestamp_start(c);
    return c;
}

void meta_client_destroy(struct fiber *f, struct meta_client *c)
{
    if (c == NULL) {
        return;
    }
    c->is_closing = true;
    fiber_cancel(c->watch);
    fiber_cancel(c->ts_fiber);
    fiber_mask(f);
    while (c->fibers > 0) {
        status_consume(cond_wait(f, &c->ended));
    }
    fiber_unmask(f);
    cond_broadcast(&c->changed);
    shard_map_destroy(c->map);
    omap_deinit(&c->cache);
    mem_free(c->seeds);
    mem_free(c);
}

struct status *meta_wait_ready(struct fiber *f, struct meta_client *c)
{
    while (!c->is_ready) {
        TRY(cond_wait(f, &c->changed));
    }
    return NULL;
}

uint64_t meta_revision(const struct meta_client *c)
{
    return c->revision;
}

struct status *meta_wait_revision(struct fiber *f, struct meta_client *c, uint64_t revision)
{
    while (!c->is_ready || c->revision < revision) {
        TRY(cond_wait(f, &c->changed));
    }
    return NULL;
}

struct status *meta_refresh(struct fiber *f, struct meta_client *c)
{
    TRY(meta_wait_ready(f, c));
    Sherd__V1__MetaWatchRequest request = SHERD__V1__META_WATCH_REQUEST__INIT;
    struct arena *a = arena_create(0);
    void *message;
    request.revision = c->revision;
    struct status *st = client_call(f, c, RPC_META_WATCH, &request, META_ATTEMPT_MS, a, &message);
    if (st == NULL) {
        const Sherd__V1__MetaWatchReply *reply = message;
        uint64_t revision = reply->revision;
        if (!reply->full) {
            apply_changes(c, reply);
        }
        /* Too far behind, or the reply was cut: the watch brings the rest. */
        st = meta_wait_revision(f, c, revision);
    }
    arena_destroy(a);
    return st;
}

void meta_listen(struct meta_client *c, struct meta_listener *l)
{
    list_push_back(&c->listeners, &l->link);
}

void meta_unlisten(struct meta_listener *l)
{
    list_unlink(&l->link);
}

bool meta_get(struct meta_client *c, struct slice key, struct slice *out_value,
              uint64_t *out_mod_revision)
{
    const struct omap_entry *e = omap_get(&c->cache, key);
    if (e == NULL) {
        return false;
    }
    if (out_value != NULL) {
        *out_value = omap_entry_value(e);
    }
    if (out_mod_revision != NULL) {
        *out_mod_revision = e->mod_revision;
    }
    return true;
}

struct scan_call {
    bool (*fn)(void *ctx, struct slice key, struct slice value, uint64_t mod_revision);
    void *ctx;
};

static bool scan_each(void *ctx, struct omap_entry *e)
{
    struct scan_call *s = ctx;
    return s->fn(s->ctx, omap_entry_key(e), omap_entry_value(e), e->mod_revision);
}

void meta_scan(struct meta_client *c, struct slice prefix,
               bool (*fn)(void *ctx, struct slice key, struct slice value, uint64_t mod_revision),
               void *ctx)
{
    struct scan_call s = {fn, ctx};
    omap_scan_prefix(&c->cache, prefix, scan_each, &s);
}

/* ---- changes ---- */

static uint64_t request_id_make(struct meta_client *c)
{
    uint64_t id = loop_random(c->loop);
    return id == 0 ? 1 : id;
}

struct status *meta_txn(struct fiber *f, struct meta_client *c,
                        const Sherd__V1__MetaTxnRequest *request, bool *out_succeeded,
                        uint64_t *out_revision)
{
    Sherd__V1__MetaTxnRequest copy = *request;
    if (copy.request_id == 0) {
        copy.request_id = request_id_make(c);
    }
    struct arena *a = arena_create(0);
    void *message;
    struct status *st = client_call(f, c, RPC_META_TXN, &copy, META_ATTEMPT_MS, a, &message);
    if (st == NULL) {
        const Sherd__V1__MetaTxnReply *reply = message;
        *out_succeeded = reply->succeeded;
        if (out_revision != NULL) {
            *out_revision = reply->revision;
        }
        if (!reply->succeeded) {
            st = meta_refresh(f, c);
        }
    } else if (status_is(st, STATUS_UNAVAILABLE)) {
        /* One of the tries may have arrived. */
        struct status *unknown = status_new(UNKNOWN_OUTCOME, "metadata change: %s", st->message);
        status_free(st);
        st = unknown;
    }
    arena_destroy(a);
    return st;
}

struct status *meta_allocate(struct fiber *f, struct meta_client *c, enum meta_id_kind kind,
                             uint32_t count, uint64_t *out_first)
{
    Sherd__V1__MetaAllocateRequest request = SHERD__V1__META_ALLOCATE_REQUEST__INIT;
    request.kind = kind;
    request.count = count;
    struct arena *a = arena_create(0);
    void *message;
    struct status *st = meta_call(f, c, RPC_META_ALLOCATE, &request, a, &message);
    if (st == NULL) {
        *out_first = ((Sherd__V1__MetaAllocateReply *)message)->first;
    }
    arena_destroy(a);
    return st;
}

struct status *meta_sequence(struct fiber *f, struct meta_client *c,
                             const Sherd__V1__MetaSequenceRequest *request, int64_t *out_first,
                             int64_t *out_increment, uint32_t *out_count)
{
    Sherd__V1__MetaSequenceRequest copy = *request;
    if (copy.set && copy.request_id == 0) {
        copy.request_id = request_id_make(c);
    }
    struct arena *a = arena_create(0);
    void *message;
    struct status *st = meta_call(f, c, RPC_META_SEQUENCE, &copy, a, &message);
    if (st == NULL) {
        const Sherd__V1__MetaSequenceReply *reply = message;
        *out_first = reply->first;
        *out_increment = reply->increment;
        *out_count = reply->count;
    }
    arena_destroy(a);
    return st;
}

struct status *meta_status(struct fiber *f, struct meta_client *c, struct arena *arena,
                           Sherd__V1__MetaStatusReply **out)
{
    Sherd__V1__MetaStatusRequest request = SHERD__V1__META_STATUS_REQUEST__INIT;
    void *message;
    TRY(meta_call(f, c, RPC_META_STATUS, &request, arena, &message));
    *out = message;
    return NULL;
}
