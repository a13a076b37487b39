/*
 * Arrays: one dimension, lower bound 1, of the element types that type_find() knows an array of.
 *
 * A datum of an array type points at this byte form, the same in memory, in rows and in batches:
 *
 *   element type oid u32 big-endian | count varint | null bitmap, (count + 7) / 8 bytes, bit i of
 *   byte i/8 set = element i is NULL | the non-NULL values in order, each as in a row (codec.h)
 *
 * No elements at all is the empty array '{}'. More dimensions are 0A000.
 */
#ifndef SQL_ARRAY_H
#define SQL_ARRAY_H

#include "sql/datum.h"
#include "sql/types.h"

#define ARRAY_ELEMENTS_MAX (1 << 24)

/* Whether the bytes are a well-formed array of these elements: for what comes from disk or network.
 */
bool array_check(type_oid element, struct slice bytes);

type_oid array_element_type(const struct datum *d);
int array_count(const struct datum *d);

/* Walks the elements: array_iter_init(&it, d); while (array_next(&it, &elem)) ... Elements are
 * borrowed from the array's bytes; NULL ones have is_null. */
struct array_iter {
    struct reader r;
    const uint8_t *nulls;
    type_oid element;
    int count;
    int index; /* of the element that array_next() gives next */
};
void array_iter_init(struct array_iter *it, const struct datum *d);
bool array_next(struct array_iter *it, struct datum *out);

/* Element by its 1-based subscript; NULL datum when out of bounds. */
struct datum array_get(const struct datum *d, int64_t subscript);
/* All elements as datums in the arena (bytes borrowed from d). */
struct datum *array_elements(struct arena *a, const struct datum *d, int *out_count);
/* Copies the elements. count <= ARRAY_ELEMENTS_MAX. */
struct datum array_build(struct arena *a, type_oid element, const struct datum *elements,
                         int count);
/* Elements from..to (1-based, inclusive, clipped). */
struct datum array_slice(struct arena *a, const struct datum *d, int64_t from, int64_t to);
struct status *array_concat(struct arena *a, const struct datum *x, const struct datum *y,
                            struct datum *out) STATUS_MUST_CHECK;

/* '{1,NULL,"a b"}'. typmod is the elements'. 22P02 malformed. */
struct status *array_parse(struct arena *a, type_oid element, int32_t typmod, struct slice text,
                           struct datum *out) STATUS_MUST_CHECK;
void array_format(const struct datum *d, struct buf *out);
struct status *array_recv(struct arena *a, type_oid element, int32_t typmod, struct slice bytes,
                          struct datum *out) STATUS_MUST_CHECK;
void array_send(const struct datum *d, struct buf *out);
/* Element by element, then the shorter first; NULL elements last. */
int array_compare(const struct datum *x, const struct datum *y);
uint64_t array_hash(const struct datum *d);

#endif
