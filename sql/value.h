/*
 * One value in its stored form: what rows, batches and arrays are made of. Private to sql/.
 *
 *   bool, "char"                        1 byte
 *   int2                                2 bytes big-endian
 *   int4, date, oid and reg*, float4    4 bytes big-endian
 *   int8, time, timestamp(tz), float8   8 bytes big-endian
 *   uuid, interval                      16 bytes
 *   all others                          varint length + bytes (numeric.h, array.h draw theirs)
 *
 * Reading checks everything that later code relies on for memory safety: lengths, the header of a
 * numeric, the walk through an array. It does not check that text is UTF-8.
 */
#ifndef SQL_VALUE_H
#define SQL_VALUE_H

#include "sql/datum.h"
#include "sql/types.h"

enum value_class {
    VALUE_BYTES = 0, /* text and kin: any bytes */
    VALUE_BYTE,      /* "char" */
    VALUE_BOOL,
    VALUE_INT2,
    VALUE_INT4,
    VALUE_UINT4,
    VALUE_INT8,
    VALUE_FLOAT4,
    VALUE_FLOAT8,
    VALUE_FIXED16,
    VALUE_NUMERIC,
    VALUE_ARRAY,
};

enum value_class value_class_of(type_oid type);
/* Bytes of a fixed-width class, 0 = variable. */
int value_class_width(enum value_class c);

void value_put(struct buf *out, enum value_class c, const struct datum *d);
/* Borrows bytes from the input. False when damaged (the reader is failed too then). element is used
 * for VALUE_ARRAY only: its element type, which the bytes must repeat. */
bool value_get(struct reader *r, enum value_class c, type_oid element, struct datum *out);
bool value_skip(struct reader *r, enum value_class c);

/* Element type when `type` is an array type, else 0. */
type_oid type_element(type_oid type);

/* ---- shared by the input functions (io_text.c) ---- */
bool utf8_is_valid(struct slice s);
/* Characters of valid UTF-8; each stray byte counts as one. */
size_t utf8_count(struct slice s);
/* Bytes of the first `chars` characters, at most s.len. */
size_t utf8_prefix(struct slice s, size_t chars);
/* 22021 with the first bad bytes, or NULL. A zero byte is bad too. */
struct status *utf8_check(struct slice s) STATUS_MUST_CHECK;
/* 22P02 invalid input syntax for type <what>: "text". */
struct status *input_syntax_error(const char *what, struct slice text) STATUS_MUST_CHECK;
/* Cuts blanks (as C's isspace) off both ends. */
struct slice slice_trim(struct slice s);
static inline bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}
static inline uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}
/* Equal without regard to ASCII case; word is lower case. */
bool slice_is_word(struct slice s, const char *word);

/* ---- per family (io_int.c, io_float.c, io_text.c, json.c) ---- */
struct status *json_check(struct slice s) STATUS_MUST_CHECK; /* 22P02 unless it is one JSON value */
struct status *int_input(type_oid type, struct slice s, int64_t *out) STATUS_MUST_CHECK;
void int_output(int64_t v, struct buf *out);
struct status *bool_input(struct slice s, int64_t *out) STATUS_MUST_CHECK;
struct status *oid_input(type_oid type, struct slice s, int64_t *out) STATUS_MUST_CHECK;
struct status *float_input(type_oid type, struct slice s, double *out) STATUS_MUST_CHECK;
void float8_output(double v, struct buf *out);
void float4_output(double v, struct buf *out);
struct status *text_input(struct arena *a, type_oid type, int32_t typmod, struct slice s,
                          struct datum *out) STATUS_MUST_CHECK;
struct status *bytea_input(struct arena *a, struct slice s, struct datum *out) STATUS_MUST_CHECK;
void bytea_output(const struct datum *d, struct buf *out);
struct status *uuid_input(struct arena *a, struct slice s, struct datum *out) STATUS_MUST_CHECK;
void uuid_output(const struct datum *d, struct buf *out);
struct status *char_input(struct slice s, int64_t *out) STATUS_MUST_CHECK;
void char_output(int64_t v, struct buf *out);

/* Length of a bpchar without its trailing blanks. */
static inline uint32_t bpchar_len(const struct datum *d)
{
    uint32_t n = d->len;
    while (n > 0 && d->p[n - 1] == ' ') {
        n--;
    }
    return n;
}

#endif
