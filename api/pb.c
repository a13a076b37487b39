/*
 * protobuf-c over arenas, api/pb.h. The one trap closed here: a hostile message may ask for many
 * times its own size (a struct for every two-byte unknown field), so every allocation is checked
 * against the arena's budget and a refusal ends the unpacking.
 */
#include "api/pb.h"

#include "base/check.h"

static void *pb_alloc(void *data, size_t size)
{
    struct arena *a = data;
    struct status *st = arena_reserve(a, size);
    if (status_consume(st)) {
        return NULL;
    }
    return arena_alloc(a, size);
}

static void pb_free(void *data, void *p)
{
    (void)data;
    (void)p;
}

ProtobufCAllocator rpc_arena_allocator(struct arena *a)
{
    return (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = a};
}

struct checked_arena {
    struct arena *arena;
    bool is_over_budget;
};

static void *checked_alloc(void *data, size_t size)
{
    struct checked_arena *c = data;
    void *p = pb_alloc(c->arena, size);
    c->is_over_budget = c->is_over_budget || p == NULL;
    return p;
}

struct status *pb_unpack(const ProtobufCMessageDescriptor *d, struct arena *a, struct slice bytes,
                         void **out_message)
{
    struct checked_arena c = {.arena = a};
    ProtobufCAllocator allocator = {.alloc = checked_alloc, .free = pb_free, .allocator_data = &c};
    /* protobuf-c wants a non-NULL pointer even for no bytes. */
    const uint8_t *data = bytes.data == NULL ? (const uint8_t *)"" : bytes.data;
    ProtobufCMessage *m = protobuf_c_message_unpack(d, &allocator, bytes.len, data);
    if (m != NULL) {
        *out_message = m;
        return NULL;
    }
    if (c.is_over_budget) {
        return status_sql(LIMIT, "53200", "message %s of %zu bytes does not fit the memory budget",
                          d->name, bytes.len);
    }
    return status_new(CORRUPT, "message %s of %zu bytes does not parse", d->name, bytes.len);
}

size_t pb_packed_size(const void *message)
{
    return protobuf_c_message_get_packed_size(message);
}

void pb_pack(const void *message, struct buf *out)
{
    size_t size = pb_packed_size(message);
    if (size == 0) {
        return;
    }
    uint8_t *p = buf_extend(out, size);
    size_t written = protobuf_c_message_pack(message, p);
    ASSERT(written == size);
}

struct slice pb_pack_in(const void *message, struct arena *a)
{
    size_t size = pb_packed_size(message);
    uint8_t *p = arena_alloc(a, size + 1);
    size_t written = protobuf_c_message_pack(message, p);
    ASSERT(written == size);
    return slice_make(p, size);
}

struct status *pb_copy(const void *message, struct arena *a, void **out_message)
{
    const ProtobufCMessage *m = message;
    TRY(arena_reserve(a, pb_packed_size(message) + 1));
    return pb_unpack(m->descriptor, a, pb_pack_in(message, a), out_message);
}
