/*
 * Protobuf messages to bytes and back, in an arena. The generated structs are the interface between
 * the parts; this is the edge where they meet a wire or a disk.
 *
 * Unpacking never trusts: sizes are bounded by the caller's arena budget, a message that does not
 * parse is CORRUPT, one that would not fit is LIMIT. Nothing that was unpacked is ever freed by
 * itself: it goes with the arena.
 *
 * Thread rule: as the arena's.
 */
#ifndef API_PB_H
#define API_PB_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"
#include "base/status.h"

#include <protobuf-c/protobuf-c.h>

/* The allocator behind pb_unpack(), for those who call protobuf-c themselves: it returns NULL when
 * the budget is used up, and its free does nothing. */
ProtobufCAllocator rpc_arena_allocator(struct arena *a);

/* *out_message is of the type that d describes. The bytes are copied, not kept. */
struct status *pb_unpack(const ProtobufCMessageDescriptor *d, struct arena *a, struct slice bytes,
                         void **out_message) STATUS_MUST_CHECK;

/* Appends. `message` is any generated struct. */
void pb_pack(const void *message, struct buf *out);
size_t pb_packed_size(const void *message);
struct slice pb_pack_in(const void *message, struct arena *a);
/* A deep copy in the arena, through the wire form. */
struct status *pb_copy(const void *message, struct arena *a, void **out_message) STATUS_MUST_CHECK;

#endif
