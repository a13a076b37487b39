/* Batches between nodes: what decodes has one encoded form that comes back as itself, and every
 * value of it can be shown, compared and hashed. */
#include "fuzz.h"
#include "sql/datum.h"
#include "sql/types.h"

static void use(const struct batch *b)
{
    struct buf text = {0};
    for (int c = 0; c < b->ncols; c++) {
        char category = type_find(b->types[c])->category;
        for (int r = 0; r < b->nrows && r < 64; r++) {
            const struct datum *d = &b->cols[c][r];
            if (d->is_null || category == 'P' || category == 'X') {
                continue;
            }
            buf_clear(&text);
            type_output(b->types[c], d, &text);
            type_send(b->types[c], d, &text);
            ASSERT(type_compare(b->types[c], d, d) == 0);
            (void)type_hash(b->types[c], d);
        }
    }
    buf_deinit(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(FUZZ_ARENA);
    struct batch *b, *again;
    if (!fuzz_refused(batch_decode(a, slice_make(data, size), &b))) {
        struct buf first = {0}, second = {0};
        use(b);
        batch_encode(&first, b);
        struct arena *other = arena_create(0);
        ASSERT(batch_decode(other, buf_slice(&first), &again) == NULL);
        ASSERT(again->nrows == b->nrows && again->ncols == b->ncols);
        batch_encode(&second, again);
        ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
        buf_deinit(&first);
        buf_deinit(&second);
        arena_destroy(other);
    }
    arena_destroy(a);
    return 0;
}
