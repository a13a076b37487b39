/*
 * A datum: one SQL value, 16 bytes, typed by its context. A batch: columns of datums, the unit in
 * which operators work (about a thousand rows). Bytes that a datum points at belong to the arena
 * of the batch or expression that made it.
 */
#ifndef SQL_DATUM_H
#define SQL_DATUM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/slice.h"

struct datum {
    union {
        int64_t i;
        double f;
        const uint8_t *p;
    };
    uint32_t len; /* of p */
    bool is_null;
};

_Static_assert(sizeof(struct datum) == 16, "datum is two words");

#define DATUM_NULL ((struct datum){.i = 0, .len = 0, .is_null = true})

static inline struct datum datum_int(int64_t v)
{
    return (struct datum){.i = v};
}
static inline struct datum datum_bool(bool v)
{
    return (struct datum){.i = v};
}
static inline struct datum datum_float(double v)
{
    return (struct datum){.f = v};
}
static inline struct datum datum_bytes(struct slice s)
{
    return (struct datum){.p = s.data, .len = (uint32_t)s.len};
}
static inline struct slice datum_slice(const struct datum *d)
{
    return slice_make(d->p, d->len);
}

#define BATCH_ROWS 1024

struct batch {
    int ncols;
    int nrows;
    int cap;             /* rows that cols have room for */
    uint32_t *types;     /* type oids, ncols of them */
    struct datum **cols; /* cols[c][r] */
    struct arena *arena; /* where bytes of the datums live; borrowed */
};

/* ncols columns of cap rows, in the arena. */
struct batch *batch_create(struct arena *a, int ncols, const uint32_t *types, int cap);
/* Deep copy of a datum into an arena (is_inline types copy nothing). */
struct datum datum_copy(struct arena *a, uint32_t type, const struct datum *d);

/* Wire form, column-major: nrows, ncols, then per column type, null bitmap and values. */
void batch_encode(struct buf *out, const struct batch *b);
struct status *batch_decode(struct arena *a, struct slice bytes,
                            struct batch **out_batch) STATUS_MUST_CHECK;

#endif
