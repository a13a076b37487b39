/*
 * Row codec: column count u8 (1..8) | 8 types u16 | row bytes.
 *
 * A row that decodes has one stored form that comes back as itself; any single column decodes to
 * what it is among all.
 */
#include "fuzz.h"
#include "sql/codec.h"
#include "sql_pick.h"

enum { COLUMNS = 8, HEAD = 1 + 2 * COLUMNS };

static bool same(type_oid type, const struct datum *x, const struct datum *y)
{
    return x->is_null == y->is_null && (x->is_null || type_compare(type, x, y) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD) {
        return 0;
    }
    struct row_column cols[COLUMNS] = {{0}};
    struct datum values[COLUMNS], again[COLUMNS];
    int n = data[0] % COLUMNS + 1, all[COLUMNS];
    for (int i = 0; i < n; i++) {
        cols[i] =
            (struct row_column){.type = pick_type(get_u16(data + 1 + 2 * i))->oid, .typmod = -1};
        all[i] = i;
    }
    struct slice bytes = slice_make(data + HEAD, size - HEAD);
    if (!fuzz_refused(row_decode(bytes, cols, n, all, n, values))) {
        struct buf first = {0}, second = {0};
        row_encode(&first, cols, n, values);
        ASSERT(row_decode(buf_slice(&first), cols, n, all, n, again) == NULL);
        for (int i = 0; i < n; i++) {
            struct datum one;
            ASSERT(same(cols[i].type, &values[i], &again[i]));
            ASSERT(row_decode(bytes, cols, n, &i, 1, &one) == NULL);
            ASSERT(same(cols[i].type, &values[i], &one));
        }
        row_encode(&second, cols, n, again);
        ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
        buf_deinit(&first);
        buf_deinit(&second);
    }
    return 0;
}
