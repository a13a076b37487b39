/*
 * Applies log entries to memory and to the state store, and builds them (struct meta_batch).
 *
 * Invariants:
 *  1. memory = store, after every apply: both come from the same entry, and the header is in the
 *     same store batch as the changes it counts.
 *  2. revision, visible and tso_limit never fall, also while entries are applied again after a
 * restart.
 *  3. The ring holds whole entries' visible changes in order of revision, all of them above
 * ring_floor. Entries that are applied again do not enter it: whoever is behind them gets a full
 * copy.
 *
 * While entries are applied again a key may for a moment show an older value; nobody looks: the
 * leader serves only after an entry of its own term, which comes after all of them.
 */
#include "fsm.h"

#include "base/check.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

#define ENTRY_VERSION 1
enum { CHANGE_PUT = 1, CHANGE_DELETE = 2 };

static const uint8_t key_header[] = {'m', 'h'};

/* ---- memory ---- */

static void ring_drop_first(struct meta_fsm *fsm)
{
    struct meta_change *c = &fsm->ring[fsm->ring_first];
    fsm->ring_floor = c->entry->mod_revision;
    fsm->ring_bytes -= c->entry->key_len + c->entry->value_len;
    omap_entry_unref(c->entry);
    c->entry = NULL;
    fsm->ring_first = (fsm->ring_first + 1) % META_RING_MAX;
    fsm->ring_count--;
}

static void ring_clear(struct meta_fsm *fsm)
{
    while (fsm->ring_count > 0) {
        ring_drop_first(fsm);
    }
    fsm->ring_floor = fsm->visible;
}

static void ring_push(struct meta_fsm *fsm, struct omap_entry *e, bool is_delete)
{
    if (fsm->ring_count == META_RING_MAX) {
        ring_drop_first(fsm);
    }
    size_t at = (fsm->ring_first + fsm->ring_count) % META_RING_MAX;
    fsm->ring[at] = (struct meta_change){omap_entry_ref(e), is_delete};
    fsm->ring_count++;
    fsm->ring_bytes += e->key_len + e->value_len;
    while (fsm->ring_bytes > META_RING_BYTES_MAX && fsm->ring_count > 1) {
        ring_drop_first(fsm);
    }
}

static void request_remember(struct meta_fsm *fsm, struct meta_request_done done)
{
    fsm->requests[done.sequence % META_REQUESTS_MAX] = done;
    if (done.sequence > fsm->request_sequence) {
        fsm->request_sequence = done.sequence;
    }
}

uint64_t meta_fsm_request(const struct meta_fsm *fsm, uint64_t request_id)
{
    if (request_id == 0) {
        return 0;
    }
    /* Newest first: a retry follows its original closely. The whole window costs some 10 us, at
     * schema changes only. */
    uint64_t oldest =
        fsm->request_sequence > META_REQUESTS_MAX ? fsm->request_sequence - META_REQUESTS_MAX : 0;
    for (uint64_t s = fsm->request_sequence; s > oldest; s--) {
        const struct meta_request_done *d = &fsm->requests[s % META_REQUESTS_MAX];
        if (d->sequence == s && d->id == request_id) {
            return d->revision;
        }
    }
    return 0;
}

/* ---- apply ---- */

static void apply_change(struct meta_fsm *fsm, unsigned kind, struct slice key, struct slice value,
                         uint64_t mod_revision, bool is_new)
{
    struct omap_entry *e = omap_entry_create(key, value, mod_revision);
    if (is_new && !meta_key_is_silent(key)) {
        ring_push(fsm, e, kind == CHANGE_DELETE);
    }
    if (meta_key_has(key, META_PREFIX_SHARD) || meta_key_has(key, META_PREFIX_NODE) ||
        meta_key_has(key, META_PREFIX_SETTING)) {
        fsm->shard_generation++;
    } else if (meta_key_has(key, META_PREFIX_JOB)) {
        fsm->job_generation++;
    }
    if (kind == CHANGE_PUT) {
        omap_put_take(&fsm->map, e);
        return;
    }
    omap_delete(&fsm->map, key);
    omap_entry_unref(e);
}

static void store_key(struct buf *out, char kind, struct slice key)
{
    buf_clear(out);
    buf_put_u8(out, 'm');
    buf_put_u8(out, (uint8_t)kind);
    buf_put_slice(out, key);
}

static void store_header(const struct meta_fsm *fsm, struct store_batch *batch)
{
    uint8_t v[24];
    set_u64(v, fsm->revision);
    set_u64(v + 8, fsm->visible);
    set_u64(v + 16, fsm->tso_limit);
    store_batch_put(batch, slice_make(key_header, sizeof(key_header)), slice_make(v, sizeof(v)));
}

static void store_request(struct store_batch *batch, struct meta_request_done done)
{
    uint8_t k[6] = {'m', 'q'};
    uint8_t v[24];
    set_u32(k + 2, (uint32_t)(done.sequence % META_REQUESTS_MAX));
    set_u64(v, done.sequence);
    set_u64(v + 8, done.id);
    set_u64(v + 16, done.revision);
    store_batch_put(batch, slice_make(k, sizeof(k)), slice_make(v, sizeof(v)));
}

/* Reads the whole entry; with fsm NULL only checks it. */
static struct status *entry_walk(struct slice data, struct meta_fsm *fsm, struct store_batch *batch)
{
    struct reader r;
    reader_init(&r, data);
    if (read_u8(&r) != ENTRY_VERSION) {
        return status_new(CORRUPT, "metadata entry has an unknown version");
    }
    uint64_t revision = read_varint(&r);
    uint64_t visible = read_varint(&r);
    uint64_t tso_limit = read_varint(&r);
    bool is_new = fsm != NULL && visible > fsm->visible;
    size_t count = read_count(&r, 3);
    for (size_t i = 0; i < count && reader_ok(&r); i++) {
        struct meta_request_done done;
        done.sequence = read_varint(&r);
        done.id = read_varint(&r);
        done.revision = read_varint(&r);
        if (fsm != NULL) {
            request_remember(fsm, done);
        }
        if (batch != NULL) {
            store_request(batch, done);
        }
    }
    struct buf scratch = {0};
    struct status *st = NULL;
    count = read_count(&r, 3);
    for (size_t i = 0; i < count && reader_ok(&r); i++) {
        unsigned kind = read_u8(&r);
        struct slice key = read_bytes(&r);
        uint64_t mod_revision = read_varint(&r);
        struct slice value = kind == CHANGE_PUT ? read_bytes(&r) : slice_make(NULL, 0);
        if (kind != CHANGE_PUT && kind != CHANGE_DELETE) {
            st = status_new(CORRUPT, "metadata entry has an unknown change");
            goto out;
        }
        if (fsm != NULL) {
            apply_change(fsm, kind, key, value, mod_revision, is_new);
        }
        if (batch != NULL) {
            store_key(&scratch, 'k', key);
            size_t key_len = scratch.len;
            buf_put_u64(&scratch, mod_revision);
            buf_put_slice(&scratch, value);
            struct slice k = slice_make(scratch.data, key_len);
            if (kind == CHANGE_PUT) {
                store_batch_put(batch, k,
                                slice_make(scratch.data + key_len, scratch.len - key_len));
            } else {
                store_batch_delete(batch, k);
            }
        }
    }
    st = reader_finish(&r, "metadata entry");
    if (st == NULL && fsm != NULL) {
        fsm->revision = revision > fsm->revision ? revision : fsm->revision;
        fsm->visible = visible > fsm->visible ? visible : fsm->visible;
        fsm->tso_limit = tso_limit > fsm->tso_limit ? tso_limit : fsm->tso_limit;
        if (batch != NULL) {
            store_header(fsm, batch);
        }
    }
out:
    buf_deinit(&scratch);
    return st;
}

struct status *meta_fsm_apply_entry(struct meta_fsm *fsm, struct slice data,
                                    struct store_batch *batch)
{
    TRY(entry_walk(data, NULL, NULL));
    return entry_walk(data, fsm, batch);
}

static struct meta_fsm *from_base(struct group_fsm *base)
{
    return CONTAINER_OF(base, struct meta_fsm, base);
}

static void fsm_apply(struct group_fsm *base, const struct group_entry *entries, size_t count,
                      struct store_batch *batch)
{
    struct meta_fsm *fsm = from_base(base);
    for (size_t i = 0; i < count; i++) {
        struct status *st = meta_fsm_apply_entry(fsm, entries[i].data, batch);
        if (st != NULL) {
            /* The log is checksummed: this was written by a program that we do not understand.
             * Going on without it would make this replica another database than its peers. */
            fatal("metadata group, entry %" PRIu64 ": %s", entries[i].index, st->message);
        }
    }
}

static void fsm_applied(struct group_fsm *base, const struct group_entry *entries, size_t count)
{
    struct meta_fsm *fsm = from_base(base);
    (void)entries;
    (void)count;
    if (fsm->on_applied != NULL) {
        fsm->on_applied(fsm);
    }
}

static void fsm_role_changed(struct group_fsm *base, enum group_role role, uint64_t term)
{
    struct meta_fsm *fsm = from_base(base);
    if (fsm->on_role != NULL) {
        fsm->on_role(fsm, role, term);
    }
}

static void fsm_reloaded(struct group_fsm *base)
{
    struct meta_fsm *fsm = from_base(base);
    struct status *st = meta_fsm_load(fsm);
    if (st != NULL) {
        fatal("metadata group, state received from the leader: %s", st->message);
    }
    if (fsm->on_reloaded != NULL) {
        fsm->on_reloaded(fsm);
    }
}

static size_t fsm_ranges(struct group_fsm *base, struct key_range *out, size_t max)
{
    (void)base;
    if (max > 0) {
        buf_put_u8(&out[0].start, 'm');
        buf_put_u8(&out[0].end, 'm' + 1);
    }
    return 1;
}

/* ---- life ---- */

void meta_fsm_init(struct meta_fsm *fsm, struct store *state)
{
    memset(fsm, 0, sizeof(*fsm));
    fsm->base.apply = fsm_apply;
    fsm->base.applied = fsm_applied;
    fsm->base.role_changed = fsm_role_changed;
    fsm->base.reloaded = fsm_reloaded;
    fsm->base.ranges = fsm_ranges;
    fsm->state = state;
    omap_init(&fsm->map);
    fsm->requests = mem_zalloc(sizeof(*fsm->requests) * META_REQUESTS_MAX);
    fsm->ring = mem_zalloc(sizeof(*fsm->ring) * META_RING_MAX);
}

void meta_fsm_deinit(struct meta_fsm *fsm)
{
    if (fsm->ring != NULL) {
        ring_clear(fsm);
    }
    omap_deinit(&fsm->map);
    mem_free(fsm->requests);
    mem_free(fsm->ring);
    fsm->requests = NULL;
    fsm->ring = NULL;
}

static struct status *load_one(struct meta_fsm *fsm, struct slice key, struct slice value)
{
    struct reader r;
    reader_init(&r, value);
    switch (key.data[1]) {
    case 'k': {
        uint64_t mod_revision = read_u64(&r);
        if (!reader_ok(&r)) {
            break;
        }
        omap_put(&fsm->map, slice_make(key.data + 2, key.len - 2),
                 slice_make(r.pos, reader_left(&r)), mod_revision);
        return NULL;
    }
    case 'h':
        fsm->revision = read_u64(&r);
        fsm->visible = read_u64(&r);
        fsm->tso_limit = read_u64(&r);
        return reader_finish(&r, "metadata header");
    case 'q': {
        struct meta_request_done done;
        done.sequence = read_u64(&r);
        done.id = read_u64(&r);
        done.revision = read_u64(&r);
        TRY(reader_finish(&r, "metadata request"));
        request_remember(fsm, done);
        return NULL;
    }
    case 'b':
        return NULL;
    default:
        break;
    }
    return status_new(CORRUPT, "metadata state has a record of an unknown form");
}

struct status *meta_fsm_load(struct meta_fsm *fsm)
{
    omap_clear(&fsm->map);
    fsm->revision = fsm->visible = fsm->tso_limit = 0;
    fsm->request_sequence = 0;
    memset(fsm->requests, 0, sizeof(*fsm->requests) * META_REQUESTS_MAX);
    struct status *st = NULL;
    struct store_iter *it = store_iter_create(fsm->state, NULL);
    for (store_iter_seek(it, slice_str("m")); st == NULL && store_iter_valid(it);
         store_iter_next(it)) {
        struct slice key = store_iter_key(it);
        if (key.len < 2 || key.data[0] != 'm') {
            break;
        }
        st = load_one(fsm, key, store_iter_value(it));
    }
    if (st == NULL) {
        st = store_iter_status(it);
    }
    store_iter_destroy(it);
    ring_clear(fsm);
    fsm->shard_generation++;
    fsm->job_generation++;
    return status_wrap(st, "metadata state");
}

/* ---- batches ---- */

void meta_batch_init(struct meta_batch *b, struct meta_fsm *fsm)
{
    memset(b, 0, sizeof(*b));
    b->fsm = fsm;
    omap_copy(&b->work, &fsm->map);
    b->revision = fsm->revision;
    b->visible = fsm->visible;
    b->sequence = fsm->request_sequence;
}

void meta_batch_deinit(struct meta_batch *b)
{
    omap_deinit(&b->work);
    buf_deinit(&b->requests);
    buf_deinit(&b->changes);
}

void meta_batch_next(struct meta_batch *b)
{
    b->op_revision = 0;
}

struct omap_entry *meta_batch_get(struct meta_batch *b, struct slice key)
{
    return omap_get(&b->work, key);
}

static void batch_change(struct meta_batch *b, unsigned kind, struct slice key)
{
    if (b->op_revision == 0) {
        b->op_revision = ++b->revision;
    }
    if (!meta_key_is_silent(key)) {
        b->visible = b->op_revision;
    }
    b->change_count++;
    buf_put_u8(&b->changes, (uint8_t)kind);
    buf_put_bytes(&b->changes, key);
    buf_put_varint(&b->changes, b->op_revision);
}

void meta_batch_put(struct meta_batch *b, struct slice key, struct slice value)
{
    batch_change(b, CHANGE_PUT, key);
    buf_put_bytes(&b->changes, value);
    omap_put(&b->work, key, value, b->op_revision);
}

void meta_batch_delete(struct meta_batch *b, struct slice key)
{
    if (omap_get(&b->work, key) == NULL) {
        return;
    }
    batch_change(b, CHANGE_DELETE, key);
    omap_delete(&b->work, key);
}

static bool delete_scanned(void *ctx, struct omap_entry *e)
{
    meta_batch_delete(ctx, omap_entry_key(e));
    return true;
}

void meta_batch_delete_prefix(struct meta_batch *b, struct slice prefix)
{
    struct omap before;
    omap_copy(&before, &b->work);
    omap_scan_prefix(&before, prefix, delete_scanned, b);
    omap_deinit(&before);
}

void meta_batch_done(struct meta_batch *b, uint64_t request_id)
{
    if (request_id == 0) {
        return;
    }
    buf_put_varint(&b->requests, ++b->sequence);
    buf_put_varint(&b->requests, request_id);
    buf_put_varint(&b->requests, b->visible);
    b->request_count++;
}

uint64_t meta_batch_request(const struct meta_batch *b, uint64_t request_id)
{
    struct reader r;
    reader_init(&r, buf_slice(&b->requests));
    for (size_t i = 0; i < b->request_count; i++) {
        read_varint(&r);
        uint64_t id = read_varint(&r);
        uint64_t revision = read_varint(&r);
        if (id == request_id) {
            return revision;
        }
    }
    return meta_fsm_request(b->fsm, request_id);
}

void meta_batch_encode(const struct meta_batch *b, struct buf *out)
{
    buf_put_u8(out, ENTRY_VERSION);
    buf_put_varint(out, b->revision);
    buf_put_varint(out, b->visible);
    buf_put_varint(out, b->tso_limit);
    buf_put_varint(out, b->request_count);
    buf_put_slice(out, buf_slice(&b->requests));
    buf_put_varint(out, b->change_count);
    buf_put_slice(out, buf_slice(&b->changes));
}
