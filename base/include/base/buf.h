/*
 * A growable byte buffer, and a bounds-checked reader: how everything on disk and wire is written
 * and read. Integers are big-endian or varint, byte by byte; a struct is never cast onto bytes.
 *
 * The reader is sticky: after the first read past the end every further read returns zero and
 * reader_ok() is false, so a decoder checks once at the end (and before it trusts a count).
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/slice.h"
#include "base/status.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/* A zeroed struct buf is an empty one. */
void buf_init(struct buf *b);
void buf_deinit(struct buf *b);
void buf_clear(struct buf *b);                /* keeps the memory */
uint8_t *buf_extend(struct buf *b, size_t n); /* n more bytes, not zeroed; returns their start */
void buf_reserve(struct buf *b, size_t n);    /* room for n more */
void buf_put(struct buf *b, const void *data, size_t len);
void buf_put_slice(struct buf *b, struct slice s);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v); /* big-endian */
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_varint(struct buf *b, uint64_t v);    /* LEB128, 1-10 bytes */
void buf_put_bytes(struct buf *b, struct slice s); /* varint length + bytes */
void buf_put_cstr(struct buf *b, const char *s);   /* bytes + NUL */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline struct slice buf_slice(const struct buf *b)
{
    return slice_make(b->data, b->len);
}
/* Hands the memory to the caller (mem_free) and leaves the buffer empty. */
uint8_t *buf_take(struct buf *b, size_t *out_len);

static inline uint16_t get_u16(const uint8_t *p)
{
    return (uint16_t)((p[0] << 8) | p[1]);
}
static inline uint32_t get_u32(const uint8_t *p)
{
    return ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3];
}
static inline uint64_t get_u64(const uint8_t *p)
{
    return ((uint64_t)get_u32(p) << 32) | get_u32(p + 4);
}
static inline void set_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void set_u32(uint8_t *p, uint32_t v)
{
    set_u16(p, (uint16_t)(v >> 16));
    set_u16(p + 2, (uint16_t)v);
}
static inline void set_u64(uint8_t *p, uint64_t v)
{
    set_u32(p, (uint32_t)(v >> 32));
    set_u32(p + 4, (uint32_t)v);
}

struct reader {
    const uint8_t *pos;
    const uint8_t *end;
    bool failed;
};

void reader_init(struct reader *r, struct slice s);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
uint64_t read_varint(struct reader *r);
struct slice read_raw(struct reader *r, size_t n); /* borrowed from the input */
struct slice read_bytes(struct reader *r);         /* varint length + bytes, borrowed */
/* NUL-terminated string, borrowed; "" with failed set when there is no NUL. */
const char *read_cstr(struct reader *r);
/* A varint count of items of at least min_size bytes each: fails when that cannot fit the rest. */
size_t read_count(struct reader *r, size_t min_size);
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->pos);
}
static inline bool reader_ok(const struct reader *r)
{
    return !r->failed;
}
/* CORRUPT "what: truncated or damaged" unless all was read without failure. */
struct status *reader_finish(const struct reader *r, const char *what) STATUS_MUST_CHECK;

#endif
