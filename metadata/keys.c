/*
 * Keys of the metadata space. Ids are big-endian, so that byte order is numeric order; shard keys
 * carry the range's start as it is, so that the shard map is ordered like the data.
 */
#include "keys.h"

#include "metadata/client.h"

void meta_key(struct buf *out, const char *prefix, uint64_t id, int id_bytes)
{
    buf_put(out, prefix, strlen(prefix));
    if (id_bytes == 4) {
        buf_put_u32(out, (uint32_t)id);
    } else if (id_bytes == 8) {
        buf_put_u64(out, id);
    }
}

bool meta_key_has(struct slice key, const char *prefix)
{
    return slice_has_prefix(key, slice_str(prefix));
}

bool meta_key_is_silent(struct slice key)
{
    return meta_key_has(key, META_PREFIX_SEQSTATE) || meta_key_has(key, META_PREFIX_COUNTER);
}

uint64_t meta_key_id(struct slice key, const char *prefix)
{
    size_t n = strlen(prefix);
    if (!meta_key_has(key, prefix)) {
        return 0;
    }
    if (key.len == n + 8) {
        return get_u64(key.data + n);
    }
    return key.len == n + 4 ? get_u32(key.data + n) : 0;
}

void meta_key_shard(struct buf *out, struct slice start)
{
    meta_key_text(out, META_PREFIX_SHARD, start);
}

void meta_key_text(struct buf *out, const char *prefix, struct slice name)
{
    buf_put(out, prefix, strlen(prefix));
    buf_put_slice(out, name);
}

const char *meta_counter_name(unsigned kind)
{
    switch (kind) {
    case META_ID_OBJECT:
        return META_PREFIX_COUNTER "object";
    case META_ID_SHARD:
        return META_PREFIX_COUNTER "shard";
    case META_ID_NODE:
        return META_PREFIX_COUNTER "node";
    case META_ID_INCARNATION:
        return META_PREFIX_COUNTER "incarnation";
    default:
        return NULL;
    }
}
