/*
 * Fragments: what a shard accepts from another node it then runs without further checks. So the
 * expressions of a decoded fragment are evaluated over a row of zeros and a row of NULLs, with a
 * small memory; errors are fine, and the fragment comes back as itself.
 */
#include "fuzz.h"
#include "sql/fragment.h"
#include "sql/types.h"

#include <string.h>

static struct datum zero_of(struct arena *a, type_oid type)
{
    struct datum d = datum_int(0);
    const struct type_info *t = type_find(type);
    if (!t->is_inline) {
        const char *text = t->element != 0 || t->category == 'A' ? "{}" : "0";
        if (type == TYPE_INTERVAL || type == TYPE_NUMERIC) {
            text = "0";
        } else if (type == TYPE_UUID) {
            text = "00000000-0000-0000-0000-000000000000";
        } else if (t->category == 'A' && t->element == 0) {
            text = "";
        }
        d = datum_bytes(slice_str("0"));
        if (status_consume(type_input(a, type, -1, slice_str(text), &d))) {
            d = DATUM_NULL;
        }
    }
    return d;
}

static struct batch *rows(struct arena *a, const struct fragment *fr)
{
    int n = fr->ncolumns;
    uint32_t *types = ARENA_ARRAY(a, uint32_t, n + 1);
    for (int i = 0; i < n; i++) {
        types[i] = fr->row_columns[fr->columns[i]].type;
    }
    types[n] = TYPE_BYTEA;
    n += fr->with_key;
    struct batch *b = batch_create(a, n, types, 2);
    for (int c = 0; c < n; c++) {
        b->cols[c][0] = zero_of(a, types[c]);
        b->cols[c][1] = DATUM_NULL;
    }
    b->nrows = 2;
    return b;
}

static uint64_t no_random(void *ctx)
{
    (void)ctx;
    return 4;
}

static void run(const struct fragment *fr)
{
    struct arena *a = arena_create((size_t)4 << 20);
    struct batch *in = rows(a, fr);
    struct eval_ctx ctx = {.arena = a, .random = no_random};
    struct datum out[2];
    struct buf text = {0};
    int sel[2], n;
    if (fr->filter != NULL) {
        (void)fuzz_refused(expr_filter(&ctx, fr->filter, in, sel, &n));
        expr_format(&text, fr->filter, NULL);
        ASSERT(expr_equal(fr->filter, expr_copy(a, fr->filter)));
    }
    for (int i = 0; i < fr->nprojections; i++) {
        if (!fuzz_refused(expr_eval(&ctx, fr->projections[i], in, NULL, 2, out))) {
            struct arena *other = arena_create(0);
            (void)datum_copy(other, fr->projections[i]->type, &out[0]);
            arena_destroy(other);
        }
    }
    buf_deinit(&text);
    arena_destroy(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create(FUZZ_ARENA);
    struct fragment *fr, *again;
    if (!fuzz_refused(fragment_decode(a, slice_make(data, size), &fr))) {
        struct buf first = {0}, second = {0};
        struct arena *other = arena_create(0);
        fragment_encode(&first, fr);
        ASSERT(fragment_decode(other, buf_slice(&first), &again) == NULL);
        fragment_encode(&second, again);
        ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
        if (fr->ncolumns < 256) {
            run(fr);
        }
        buf_deinit(&first);
        buf_deinit(&second);
        arena_destroy(other);
    }
    arena_destroy(a);
    return 0;
}
