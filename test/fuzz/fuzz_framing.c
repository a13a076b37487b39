/*
 * Framing of the PostgreSQL protocol: flags u8 (1 typed from the start, 2 busy arrivals) | cut u8 |
 * bytes. The messages are the same however the bytes are cut on their way.
 */
#include "fuzz.h"
#include "input.h"

enum { LIMIT = 64 };

/* All messages of the bytes, fed `cut` at a time, written down. */
static void frames(struct slice bytes, size_t cut, bool is_typed, bool is_busy, struct buf *out)
{
    struct input in = {.is_typed = is_typed};
    for (size_t at = 0;;) {
        struct message m;
        enum input_result r = INPUT_MORE;
        bool is_ready = input_is_ready(&in, LIMIT);
        if (is_ready) {
            r = input_next(&in, LIMIT, &m);
            ASSERT(r != INPUT_MORE);
        }
        if (r == INPUT_MORE) {
            size_t n = bytes.len - at < cut ? bytes.len - at : cut;
            if (n == 0) {
                break;
            }
            input_add(&in, slice_make(bytes.data + at, n), is_busy);
            at += n;
            continue;
        }
        buf_put_u8(out, (uint8_t)r);
        if (r == INPUT_BAD) {
            break;
        }
        buf_put_u8(out, m.type);
        buf_put_u32(out, m.size);
        if (r == INPUT_MESSAGE) {
            ASSERT(m.body.len <= LIMIT);
            /* Bytes that come meanwhile do not move those of the message. */
            if (at < bytes.len) {
                input_add(&in, slice_make(bytes.data + at, 1), true);
                at++;
            }
            buf_put_bytes(out, m.body);
        }
        in.is_typed = true;
    }
    input_trim(&in, 16);
    input_deinit(&in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct buf whole = {0}, pieces = {0};
    struct slice bytes = slice_make(data + 2, size - 2);
    frames(bytes, size, (data[0] & 1) != 0, false, &whole);
    frames(bytes, data[1] % 16 + 1u, (data[0] & 1) != 0, (data[0] & 2) != 0, &pieces);
    ASSERT(slice_eq(buf_slice(&whole), buf_slice(&pieces)));
    buf_deinit(&whole);
    buf_deinit(&pieces);
    return 0;
}
