/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput(): it gives its
 * bytes to one decoder as a peer, a disk or a client would, and checks what must then be true. A
 * broken property ends the process through ASSERT, as a memory error does through the sanitizers.
 *
 * The first bytes of an input choose (types, flags), the rest is what gets decoded, so that a
 * mutation of either half stays meaningful.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Budget of the arena of one input: small, so that a length that is believed shows. */
#define FUZZ_ARENA ((size_t)8 << 20)

static inline struct slice reader_rest(const struct reader *r)
{
    return slice_make(r->pos, reader_left(r));
}

/* Damage is an answer like any other; what must not be is a status without code or SQLSTATE. */
static inline bool fuzz_refused(struct status *st)
{
    if (st != NULL) {
        ASSERT(st->code > STATUS_OK && st->code < STATUS_CODE_COUNT);
        ASSERT(st->message != NULL && st->sqlstate[0] != '\0');
    }
    return status_consume(st);
}

#endif
