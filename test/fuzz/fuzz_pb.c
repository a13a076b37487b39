/* Every message that a peer or a client may send: number of the type u8 | bytes. What unpacks packs
 * again, to bytes that unpack to the same bytes. */
#include "api/pb.h"
#include "api/status_pb.h"
#include "fuzz.h"
#include "sherd/v1/admin.pb-c.h"
#include "sherd/v1/catalog.pb-c.h"
#include "sherd/v1/metadata.pb-c.h"
#include "sherd/v1/node.pb-c.h"
#include "sherd/v1/shard.pb-c.h"
#include "sherd/v1/sql.pb-c.h"

static const ProtobufCServiceDescriptor *const services[] = {
    &sherd__v1__admin__descriptor,       &sherd__v1__metadata__descriptor,
    &sherd__v1__node__descriptor,        &sherd__v1__shard__descriptor,
    &sherd__v1__coordinator__descriptor, &sherd__v1__sql__descriptor,
};

static const ProtobufCMessageDescriptor *pick(uint8_t choice)
{
    static const ProtobufCMessageDescriptor *types[512];
    static size_t count;
    if (count == 0) {
        types[count++] = &sherd__v1__error__descriptor;
        types[count++] = &sherd__v1__table_desc__descriptor;
        types[count++] = &sherd__v1__shard_desc__descriptor;
        for (size_t s = 0; s < sizeof services / sizeof *services; s++) {
            for (unsigned m = 0; m < services[s]->n_methods; m++) {
                types[count++] = services[s]->methods[m].input;
                types[count++] = services[s]->methods[m].output;
            }
        }
        ASSERT(count < sizeof types / sizeof *types);
    }
    return types[choice % count];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    const ProtobufCMessageDescriptor *d = pick(data[0]);
    struct arena *a = arena_create(FUZZ_ARENA);
    void *message, *again;
    if (!fuzz_refused(pb_unpack(d, a, slice_make(data + 1, size - 1), &message))) {
        struct buf first = {0}, second = {0};
        struct arena *other = arena_create(0);
        pb_pack(message, &first);
        ASSERT(first.len == pb_packed_size(message));
        /* The library keeps unknown fields without looking at their numbers, and may refuse its own
         * bytes for them: so an error is fine here, a difference is not. */
        if (!fuzz_refused(pb_unpack(d, other, buf_slice(&first), &again))) {
            pb_pack(again, &second);
            ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
        }
        if (d == &sherd__v1__error__descriptor) {
            struct status *st = status_from_error(message);
            ASSERT(st != NULL);
            (void)fuzz_refused(st);
        }
        buf_deinit(&first);
        buf_deinit(&second);
        arena_destroy(other);
    }
    arena_destroy(a);
    return 0;
}
