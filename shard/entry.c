/* Codec of log entries: see entry.h for the format. */
#include "entry.h"

enum { ENTRY_VERSION = 1 };

void entry_begin(struct buf *out)
{
    buf_clear(out);
    buf_put_u8(out, ENTRY_VERSION);
}

static void put_head(struct buf *out, uint64_t ts, uint8_t flags)
{
    buf_put_u64(out, ts);
    buf_put_u8(out, flags);
}

void entry_put_version(struct buf *out, struct slice key, uint64_t ts, uint8_t flags,
                       struct slice row, const struct mvcc_version *displaced)
{
    buf_put_u8(out, displaced != NULL ? 'U' : 'V');
    buf_put_bytes(out, key);
    put_head(out, ts, flags);
    buf_put_bytes(out, row);
    if (displaced != NULL) {
        put_head(out, displaced->ts, mvcc_flags(displaced->is_tombstone, displaced->is_moved));
        buf_put_bytes(out, displaced->row);
    }
}

void entry_put(struct buf *out, struct slice state_key, struct slice value)
{
    buf_put_u8(out, 'P');
    buf_put_bytes(out, state_key);
    buf_put_bytes(out, value);
}

void entry_delete(struct buf *out, struct slice state_key)
{
    buf_put_u8(out, 'D');
    buf_put_bytes(out, state_key);
}

void entry_put_outcome(struct buf *out, struct txn_id id, uint32_t attempt, uint64_t ts)
{
    buf_put_u8(out, 'A');
    buf_put_u64(out, id.incarnation);
    buf_put_u64(out, id.counter);
    buf_put_u32(out, attempt);
    buf_put_u64(out, ts);
}

void entry_put_merge(struct buf *out, struct txn_id id, uint32_t count, uint64_t ts)
{
    buf_put_u8(out, 'M');
    buf_put_u64(out, id.incarnation);
    buf_put_u64(out, id.counter);
    buf_put_u32(out, count);
    buf_put_u64(out, ts);
}

void entry_append(struct buf *out, struct slice entry)
{
    if (entry.len > 1) {
        buf_put(out, entry.data + 1, entry.len - 1);
    }
}

struct status *entry_open(struct entry_reader *er, struct slice data)
{
    reader_init(&er->r, data);
    uint8_t version = read_u8(&er->r);
    if (!reader_ok(&er->r) || version != ENTRY_VERSION) {
        return status_new(CORRUPT, "shard log entry of unknown version %u", version);
    }
    return NULL;
}

static bool read_flags(struct reader *r, bool *out_tombstone, bool *out_moved)
{
    uint8_t flags = read_u8(r);
    *out_tombstone = (flags & MVCC_TOMBSTONE) != 0;
    *out_moved = (flags & MVCC_MOVED) != 0;
    return (flags & ~(MVCC_TOMBSTONE | MVCC_MOVED)) == 0;
}

struct status *entry_next(struct entry_reader *er, struct entry_op *out, bool *out_more)
{
    struct reader *r = &er->r;
    if (reader_left(r) == 0) {
        *out_more = false;
        return NULL;
    }
    struct entry_op op = {.kind = read_u8(r)};
    bool is_valid = true;
    switch (op.kind) {
    case 'V':
    case 'U':
        op.key = read_bytes(r);
        op.ts = read_u64(r);
        is_valid = read_flags(r, &op.is_tombstone, &op.is_moved);
        op.value = read_bytes(r);
        if (op.kind == 'U') {
            op.displaced.ts = read_u64(r);
            is_valid =
                read_flags(r, &op.displaced.is_tombstone, &op.displaced.is_moved) && is_valid;
            op.displaced.row = read_bytes(r);
            is_valid = is_valid && op.displaced.ts < op.ts; /* I3 */
        }
        break;
    case 'P':
        op.key = read_bytes(r);
        op.value = read_bytes(r);
        is_valid = op.key.len > 0;
        break;
    case 'D':
        op.key = read_bytes(r);
        is_valid = op.key.len > 0;
        break;
    case 'A':
        op.id.incarnation = read_u64(r);
        op.id.counter = read_u64(r);
        op.attempt = read_u32(r);
        op.ts = read_u64(r);
        break;
    case 'M':
        op.id.incarnation = read_u64(r);
        op.id.counter = read_u64(r);
        op.attempt = read_u32(r);
        op.ts = read_u64(r);
        break;
    default:
        is_valid = false;
        break;
    }
    if (!reader_ok(r) || !is_valid) {
        return status_new(CORRUPT, "damaged operation '%c' in a shard log entry",
                          op.kind >= 32 && op.kind < 127 ? op.kind : '?');
    }
    *out = op;
    *out_more = true;
    return NULL;
}
