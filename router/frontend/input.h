/*
 * Framing of what a client sends: bytes in, whole messages out. Pure: no socket, no fiber.
 *
 * A message is type u8 | length u32 (itself included) | body; the startup packet has no type. A
 * taken message borrows from the queue until the next input_next(). So that its bytes do not move
 * while it is worked on, arrivals meanwhile (is_busy) go to a second buffer, which input_next()
 * joins.
 *
 *    head:  [taken ...|start  rest of complete or partial messages |
 *    tail:                                                          arrivals while busy]
 *
 * A message above the limit is not stored: its bytes are counted off as they come, then it is
 * reported once as TOO_LARGE. A length that no client means (below 4, above 1 GB) is BAD: the
 * stream has lost its framing.
 */
#ifndef ROUTER_FRONTEND_INPUT_H
#define ROUTER_FRONTEND_INPUT_H

#include "base/buf.h"

struct message {
    uint8_t type; /* 0: a startup packet */
    struct slice body;
    uint32_t size; /* of TOO_LARGE: what its header said */
};

enum input_result { INPUT_MORE, INPUT_MESSAGE, INPUT_TOO_LARGE, INPUT_BAD };

struct input {
    struct buf head;
    size_t start;
    struct buf tail;
    size_t skip; /* bytes of a too large message still to come */
    struct message skipped;
    bool is_skipping;
    bool is_typed; /* after the startup packet */
};

void input_deinit(struct input *in);
void input_add(struct input *in, struct slice bytes, bool is_busy);
/* limit: of type, length and body together. */
enum input_result input_next(struct input *in, size_t limit, struct message *out);
/* Whether input_next() would give something other than INPUT_MORE. May count off skipped bytes. */
bool input_is_ready(struct input *in, size_t limit);
/* Type of the next message whose header is there, 0 = not yet. */
uint8_t input_peek(const struct input *in);
size_t input_waiting(const struct input *in); /* bytes not taken */
/* Keeps the memory that the taken message borrows from: hands it out (mem_free), the rest of the
 * queue is copied. For a message that is needed while others are taken (the COPY statement). */
void input_detach(struct input *in, struct buf *out_held);
/* Gives back memory beyond `keep` bytes when nothing waits. */
void input_trim(struct input *in, size_t keep);

#endif
