/* Framing: see input.h. */
#include "input.h"

#include "frontend_limits.h"

static size_t head_left(const struct input *in)
{
    return in->head.len - in->start;
}

size_t input_waiting(const struct input *in)
{
    return head_left(in) + in->tail.len;
}

void input_deinit(struct input *in)
{
    buf_deinit(&in->head);
    buf_deinit(&in->tail);
}

/* Moves what is left of the head to its front. Nothing may borrow from it. */
static void compact(struct input *in)
{
    if (in->start > 0) {
        size_t left = head_left(in);
        memmove(in->head.data, in->head.data + in->start, left);
        in->head.len = left;
        in->start = 0;
    }
}

/* All that waits into the head. */
static void join(struct input *in)
{
    if (in->tail.len == 0) {
        return;
    }
    if (head_left(in) == 0) {
        struct buf empty = in->head;
        in->head = in->tail;
        in->tail = empty;
        in->start = 0;
    } else {
        compact(in);
        buf_put(&in->head, in->tail.data, in->tail.len);
    }
    buf_clear(&in->tail);
}

/* Counts off bytes of a message that is too large. */
static void skip(struct input *in)
{
    size_t n = head_left(in) < in->skip ? head_left(in) : in->skip;
    in->start += n;
    in->skip -= n;
}

void input_add(struct input *in, struct slice bytes, bool is_busy)
{
    if (is_busy) {
        buf_put(&in->tail, bytes.data, bytes.len);
        return;
    }
    join(in);
    if (head_left(in) == 0) {
        buf_clear(&in->head);
        in->start = 0;
        if (in->is_skipping) { /* do not store what is thrown away */
            size_t n = bytes.len < in->skip ? bytes.len : in->skip;
            in->skip -= n;
            bytes.data += n;
            bytes.len -= n;
        }
    } else if (in->start > in->head.cap / 2) {
        compact(in);
    }
    if (bytes.len > 0) {
        buf_put(&in->head, bytes.data, bytes.len);
    }
}

/* Looks at the header at the head's start. INPUT_MESSAGE: *out_total bytes are all there. */
static enum input_result look(struct input *in, size_t limit, size_t *out_total)
{
    size_t header = in->is_typed ? 5 : 4, left = head_left(in);
    if (left < header) {
        return INPUT_MORE;
    }
    const uint8_t *p = in->head.data + in->start;
    uint32_t length = get_u32(p + header - 4);
    if (length < 4 || length > MESSAGE_BYTES_MAX || (!in->is_typed && length > limit)) {
        return INPUT_BAD;
    }
    size_t total = (size_t)length + header - 4;
    if (total > limit) {
        in->is_skipping = true;
        in->skip = total;
        in->skipped = (struct message){.type = p[0], .size = length};
        return INPUT_TOO_LARGE;
    }
    *out_total = total;
    if (left < total) {
        buf_reserve(&in->head, total - left);
        return INPUT_MORE;
    }
    return INPUT_MESSAGE;
}

bool input_is_ready(struct input *in, size_t limit)
{
    size_t total;
    join(in);
    if (!in->is_skipping && look(in, limit, &total) != INPUT_TOO_LARGE) {
        return look(in, limit, &total) != INPUT_MORE;
    }
    skip(in);
    return in->skip == 0;
}

enum input_result input_next(struct input *in, size_t limit, struct message *out)
{
    size_t total = 0;
    enum input_result r = INPUT_TOO_LARGE;
    if (!in->is_skipping) {
        r = look(in, limit, &total);
        if (r == INPUT_MORE && in->tail.len > 0) {
            join(in);
            r = look(in, limit, &total);
        }
    }
    if (r == INPUT_TOO_LARGE) {
        skip(in);
        if (in->skip > 0) {
            join(in);
            skip(in);
        }
        if (in->skip > 0) {
            return INPUT_MORE;
        }
        in->is_skipping = false;
        *out = in->skipped;
        return INPUT_TOO_LARGE;
    }
    if (r == INPUT_MESSAGE) {
        const uint8_t *p = in->head.data + in->start;
        size_t header = in->is_typed ? 5 : 4;
        *out = (struct message){.type = in->is_typed ? p[0] : 0,
                                .body = slice_make(p + header, total - header),
                                .size = (uint32_t)total};
        in->start += total;
    }
    return r;
}

uint8_t input_peek(const struct input *in)
{
    if (!in->is_typed || in->is_skipping) {
        return 0;
    }
    if (head_left(in) > 0) {
        return in->head.data[in->start];
    }
    return in->tail.len > 0 ? in->tail.data[0] : 0;
}

void input_detach(struct input *in, struct buf *out_held)
{
    struct buf rest = {0};
    if (input_waiting(in) > 0) {
        buf_put(&rest, in->head.data + in->start, head_left(in));
        buf_put(&rest, in->tail.data, in->tail.len);
    }
    buf_clear(&in->tail);
    *out_held = in->head;
    in->head = rest;
    in->start = 0;
}

void input_trim(struct input *in, size_t keep)
{
    if (head_left(in) == 0) {
        in->start = 0;
        buf_clear(&in->head);
        if (in->head.cap > keep) {
            buf_deinit(&in->head);
        }
    }
    if (in->tail.len == 0 && in->tail.cap > 0) {
        buf_deinit(&in->tail);
    }
}
