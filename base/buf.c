/* The byte buffer and the sticky reader of base/buf.h. */
#include "base/buf.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>

#define BUF_FIRST_CAP 64

static const uint8_t nothing[1];

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_deinit(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

void buf_reserve(struct buf *b, size_t n)
{
    if (n <= b->cap - b->len) {
        return;
    }
    ASSERT_MSG(n <= SIZE_MAX / 4 && b->len <= SIZE_MAX / 4, "a buffer of absurd size");
    size_t cap = b->cap ? b->cap : BUF_FIRST_CAP;
    while (cap - b->len < n) {
        cap *= 2;
    }
    b->data = mem_realloc(b->data, cap);
    b->cap = cap;
}

uint8_t *buf_extend(struct buf *b, size_t n)
{
    buf_reserve(b, n ? n : 1);
    uint8_t *start = b->data + b->len;
    b->len += n;
    return start;
}

void buf_put(struct buf *b, const void *data, size_t len)
{
    if (len) {
        memcpy(buf_extend(b, len), data, len);
    }
}

void buf_put_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.data, s.len);
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    *buf_extend(b, 1) = v;
}

void buf_put_u16(struct buf *b, uint16_t v)
{
    set_u16(buf_extend(b, 2), v);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    set_u32(buf_extend(b, 4), v);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    set_u64(buf_extend(b, 8), v);
}

void buf_put_varint(struct buf *b, uint64_t v)
{
    buf_reserve(b, 10);
    uint8_t *p = b->data + b->len;
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    b->len = (size_t)(p - b->data);
}

void buf_put_bytes(struct buf *b, struct slice s)
{
    buf_put_varint(b, s.len);
    buf_put(b, s.data, s.len);
}

void buf_put_cstr(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s) + 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    va_list again;
    va_copy(again, args);
    buf_reserve(b, BUF_FIRST_CAP);
    size_t room = b->cap - b->len;
    int n = vsnprintf((char *)b->data + b->len, room, fmt, args);
    ASSERT(n >= 0);
    if ((size_t)n >= room) {
        buf_reserve(b, (size_t)n + 1);
        (void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
    }
    b->len += (size_t)n;
    va_end(again);
    va_end(args);
}

uint8_t *buf_take(struct buf *b, size_t *out_len)
{
    uint8_t *data = b->data == NULL ? mem_alloc(1) : b->data;
    *out_len = b->len;
    *b = (struct buf){0};
    return data;
}

void reader_init(struct reader *r, struct slice s)
{
    r->pos = s.len ? s.data : nothing;
    r->end = r->pos + s.len;
    r->failed = false;
}

/* The next n bytes, or NULL after a failure. Failing consumes the rest, so that loops end. */
static const uint8_t *take(struct reader *r, size_t n)
{
    if (r->failed || n > reader_left(r)) {
        r->failed = true;
        r->pos = r->end;
        return NULL;
    }
    const uint8_t *p = r->pos;
    r->pos += n;
    return p;
}

uint8_t read_u8(struct reader *r)
{
    const uint8_t *p = take(r, 1);
    return p ? *p : 0;
}

uint16_t read_u16(struct reader *r)
{
    const uint8_t *p = take(r, 2);
    return p ? get_u16(p) : 0;
}

uint32_t read_u32(struct reader *r)
{
    const uint8_t *p = take(r, 4);
    return p ? get_u32(p) : 0;
}

uint64_t read_u64(struct reader *r)
{
    const uint8_t *p = take(r, 8);
    return p ? get_u64(p) : 0;
}

uint64_t read_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        const uint8_t *p = take(r, 1);
        if (p == NULL) {
            return 0;
        }
        if (shift == 63 && *p > 1) {
            break; /* more than 64 bits */
        }
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (*p < 0x80) {
            return v;
        }
    }
    r->failed = true;
    r->pos = r->end;
    return 0;
}

struct slice read_raw(struct reader *r, size_t n)
{
    const uint8_t *p = take(r, n);
    return p ? slice_make(p, n) : slice_make(nothing, 0);
}

struct slice read_bytes(struct reader *r)
{
    uint64_t n = read_varint(r);
    return read_raw(r, n > SIZE_MAX ? SIZE_MAX : (size_t)n);
}

const char *read_cstr(struct reader *r)
{
    size_t left = r->failed ? 0 : reader_left(r);
    const uint8_t *nul = left ? memchr(r->pos, 0, left) : NULL;
    if (nul == NULL) {
        r->failed = true;
        r->pos = r->end;
        return "";
    }
    const char *s = (const char *)r->pos;
    r->pos = nul + 1;
    return s;
}

size_t read_count(struct reader *r, size_t min_size)
{
    uint64_t n = read_varint(r);
    if (n > reader_left(r) / (min_size ? min_size : 1)) {
        r->failed = true;
        r->pos = r->end;
        return 0;
    }
    return (size_t)n;
}

struct status *reader_finish(const struct reader *r, const char *what)
{
    if (r->failed || r->pos != r->end) {
        return status_new(CORRUPT, "%s: truncated or damaged", what);
    }
    return NULL;
}
