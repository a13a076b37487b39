/*
 * Records of the log store and reading a group back. Formats: log_store.h.
 *
 * What is read is judged as a whole before it is used: checksums, lengths, terms that never fall,
 * indexes without a gap, a snapshot that touches the log. Anything else is CORRUPT and names the
 * group and, where there is one, the index: such a replica is not started; it is destroyed and
 * added again from the others.
 */
#include "log_store.h"
#include "wire.h"

#include "base/check.h"
#include "base/mem.h"

#define XXH_STATIC_LINKING_ONLY /* the streaming state on the stack */
#include <xxhash.h>

#define SUM_SIZE 8

void log_key(uint8_t out[LOG_KEY_SIZE], uint64_t group, enum log_record kind, uint64_t index)
{
    set_u64(out, group);
    out[8] = (uint8_t)kind;
    set_u64(out + 9, index);
}

void log_record_start(struct buf *b, uint64_t group, enum log_record kind, uint64_t index)
{
    buf_clear(b);
    /* sum | key | fields: the key is part of what is summed, and not of the value. */
    uint8_t *p = buf_extend(b, SUM_SIZE + LOG_KEY_SIZE);
    log_key(p + SUM_SIZE, group, kind, index);
}

void log_record_put(struct buf *b, struct store_batch *batch)
{
    uint8_t key[LOG_KEY_SIZE];
    uint64_t sum = XXH3_64bits(b->data + SUM_SIZE, b->len - SUM_SIZE);
    memcpy(key, b->data + SUM_SIZE, LOG_KEY_SIZE);
    /* The sum goes where the key ends, so that sum and fields are contiguous. */
    set_u64(b->data + LOG_KEY_SIZE, sum);
    store_batch_put(batch, slice_make(key, sizeof key),
                    slice_make(b->data + LOG_KEY_SIZE, b->len - LOG_KEY_SIZE));
}

/* Whether the checksum of a record holds; out_fields is what follows it. */
static bool record_check(struct slice key, struct slice value, struct slice *out_fields)
{
    if (value.len < SUM_SIZE) {
        return false;
    }
    *out_fields = slice_make(value.data + SUM_SIZE, value.len - SUM_SIZE);
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, key.data, key.len);
    XXH3_64bits_update(&state, out_fields->data, out_fields->len);
    return XXH3_64bits_digest(&state) == get_u64(value.data);
}

void log_snapshot_encode(struct buf *b, const struct log_snapshot *s)
{
    struct buf conf = {NULL, 0, 0};
    roster_encode(&s->conf, &conf);
    buf_put_u64(b, s->index);
    buf_put_u64(b, s->term);
    buf_put_u64(b, s->conf_index);
    buf_put_u64(b, s->checksum);
    buf_put_bytes(b, buf_slice(&conf));
    buf_deinit(&conf);
}

static bool snapshot_decode(struct reader *r, struct log_snapshot *s)
{
    s->index = read_u64(r);
    s->term = read_u64(r);
    s->conf_index = read_u64(r);
    s->checksum = read_u64(r);
    struct slice conf = read_bytes(r);
    return reader_ok(r) && roster_decode(conf, &s->conf) && s->index > 0 && s->term > 0 &&
           s->conf_index > 0 && s->conf_index <= s->index;
}

void log_image_deinit(struct log_image *image)
{
    if (image->entries != NULL) {
        for (size_t i = 0; i < image->count; i++) {
            raft_free(image->entries[i].buf.base);
        }
        raft_free(image->entries);
    }
    buf_deinit(&image->mark_ranges);
    memset(image, 0, sizeof *image);
}

static struct status *damaged(uint64_t group, const char *what, uint64_t index)
{
    struct status *st = index
                            ? status_new(CORRUPT, "raft log of group %llu: damaged %s %llu",
                                         (unsigned long long)group, what, (unsigned long long)index)
                            : status_new(CORRUPT, "raft log of group %llu: damaged %s",
                                         (unsigned long long)group, what);
    return status_hint(st, "Remove this replica and add a new one; the others hold the data.");
}

static struct status *take_entry(struct log_image *image, uint64_t group, uint64_t index,
                                 struct slice fields, size_t *capacity)
{
    uint64_t expected = image->first_index + image->count;
    if (image->count == 0) {
        image->first_index = index;
    } else if (index != expected) {
        return damaged(group, "log, missing entry", expected);
    }
    struct reader r;
    reader_init(&r, fields);
    uint64_t term = read_u64(&r);
    unsigned type = read_u8(&r);
    struct slice payload = read_raw(&r, reader_left(&r));
    uint64_t floor = image->count ? image->entries[image->count - 1].term : 1;
    if (!reader_ok(&r) || index == 0 || term < floor || term > image->term ||
        !entry_is_sound(type, payload)) {
        return damaged(group, "entry", index);
    }
    if (image->count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 64;
        image->entries = raft_realloc(image->entries, *capacity * sizeof *image->entries);
        ASSERT(image->entries != NULL);
    }
    struct raft_entry *e = &image->entries[image->count];
    e->term = term;
    e->type = (unsigned short)type;
    e->batch = NULL; /* rule 20: loaded entries have an allocation each */
    e->buf.len = payload.len;
    e->buf.base = raft_malloc(payload.len);
    ASSERT(e->buf.base != NULL);
    memcpy(e->buf.base, payload.data, payload.len);
    image->count++;
    image->bytes += payload.len;
    return NULL;
}

static struct status *take_record(struct log_image *image, uint64_t group, struct slice key,
                                  struct slice value, size_t *capacity)
{
    struct slice fields;
    uint64_t index = get_u64(key.data + 9);
    if (!record_check(key, value, &fields)) {
        return damaged(group, key.data[8] == LOG_REC_ENTRY ? "entry" : "record", index);
    }
    struct reader r;
    reader_init(&r, fields);
    switch (key.data[8]) {
    case LOG_REC_META:
        image->exists = true;
        image->term = read_u64(&r);
        image->vote = read_u64(&r);
        image->replica_id = read_u64(&r);
        return reader_ok(&r) && image->replica_id > 0 ? NULL : damaged(group, "term record", 0);
    case LOG_REC_SNAPSHOT:
        image->has_snapshot = true;
        return snapshot_decode(&r, &image->snapshot) ? NULL : damaged(group, "snapshot record", 0);
    case LOG_REC_MARK:
        image->has_mark = true;
        if (!snapshot_decode(&r, &image->mark)) {
            return damaged(group, "install record", 0);
        }
        buf_put_slice(&image->mark_ranges, read_raw(&r, reader_left(&r)));
        return NULL;
    case LOG_REC_ENTRY:
        return take_entry(image, group, index, fields, capacity);
    case LOG_REC_DEAD:
        image->dead_replica_id = read_u64(&r);
        return reader_ok(&r) ? NULL : damaged(group, "record of destroyed replicas", 0);
    default:
        return damaged(group, "record", 0);
    }
}

/* What the records say together. */
static struct status *image_check(struct log_image *image, uint64_t group)
{
    if (!image->exists) {
        return image->has_snapshot || image->count > 0 ? damaged(group, "log: no term record", 0)
                                                       : NULL;
    }
    const struct log_snapshot *s = &image->snapshot;
    if (image->has_snapshot && s->term > image->term) {
        return damaged(group, "snapshot record: term", s->term);
    }
    if (image->count == 0) {
        image->first_index = image->has_snapshot ? s->index + 1 : 1;
        return NULL;
    }
    uint64_t last = image->first_index + image->count - 1;
    if (!image->has_snapshot) {
        if (image->first_index != 1) {
            return damaged(group, "log, missing entry", image->first_index - 1);
        }
        return image->entries[0].type == RAFT_CHANGE ? NULL : damaged(group, "entry", 1);
    }
    if (image->first_index > s->index + 1) {
        return damaged(group, "log, missing entry", s->index + 1);
    }
    if (last < s->index || (image->first_index <= s->index &&
                            image->entries[s->index - image->first_index].term != s->term)) {
        return damaged(group, "log at the snapshot, entry", s->index);
    }
    return NULL;
}

struct status *log_read_group(struct store *s, uint64_t group, struct log_image *out)
{
    memset(out, 0, sizeof *out);
    uint8_t start[LOG_KEY_SIZE];
    log_key(start, group, (enum log_record)0, 0);
    struct store_iter *it = store_iter_create(s, NULL);
    struct status *st = NULL;
    size_t capacity = 0;
    store_iter_seek(it, slice_make(start, sizeof start));
    while (st == NULL && store_iter_valid(it)) {
        struct slice key = store_iter_key(it);
        if (key.len != LOG_KEY_SIZE || memcmp(key.data, start, 8) != 0) {
            break;
        }
        st = take_record(out, group, key, store_iter_value(it), &capacity);
        store_iter_next(it);
    }
    if (st == NULL) {
        st = store_iter_status(it);
    }
    store_iter_destroy(it);
    if (st == NULL) {
        st = image_check(out, group);
    }
    if (st != NULL) {
        log_image_deinit(out);
    }
    return st;
}
