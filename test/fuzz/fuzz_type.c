/*
 * Values from clients: type u16 | typmod u8 | 0 text, 1 binary | bytes.
 *
 * What is accepted can be shown in text and in binary, and both forms read back as an equal value;
 * so do the forms in keys and rows. Covers every type, hence numbers, dates and arrays too.
 */
#include "fuzz.h"
#include "sql/codec.h"
#include "sql_pick.h"

static void reads_back(struct arena *a, type_oid type, const struct datum *d)
{
    struct buf text = {0}, binary = {0};
    struct datum again;
    type_output(type, d, &text);
    struct status *st = type_input(a, type, -1, buf_slice(&text), &again);
    if (st != NULL) {
        ASSERT_MSG(status_is(st, STATUS_LIMIT), "type %u does not read \"%.*s\": %s", type,
                   (int)text.len, text.data, st->message);
        status_free(st);
    } else {
        struct buf same = {0};
        type_output(type, &again, &same);
        ASSERT_MSG(slice_eq(buf_slice(&text), buf_slice(&same)),
                   "type %u: \"%.*s\" reads as \"%.*s\"", type, (int)text.len, text.data,
                   (int)same.len, same.data);
        ASSERT(type_compare(type, d, &again) == 0 && type_hash(type, d) == type_hash(type, &again));
        buf_deinit(&same);
    }
    type_send(type, d, &binary);
    st = type_recv(a, type, -1, buf_slice(&binary), &again);
    if (st != NULL) {
        ASSERT_MSG(status_is(st, STATUS_LIMIT), "type %u: %s", type, st->message);
        status_free(st);
    } else {
        ASSERT(type_compare(type, d, &again) == 0);
    }
    buf_deinit(&text);
    buf_deinit(&binary);
}

static void keeps_in_rows(type_oid type, const struct datum *d)
{
    struct row_column col = {.type = type, .typmod = -1};
    struct datum again;
    struct buf row = {0};
    int zero = 0;
    row_encode(&row, &col, 1, d);
    ASSERT(row_decode(buf_slice(&row), &col, 1, &zero, 1, &again) == NULL);
    ASSERT(type_compare(type, d, &again) == 0);
    buf_deinit(&row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    type_oid type = pick_type(get_u16(data))->oid;
    int32_t typmod = -1;
    if (data[2] > 0) {
        int32_t mods[2] = {data[2] & 31, data[2] >> 5};
        if (fuzz_refused(type_typmod(type, mods, type == TYPE_NUMERIC ? 2 : 1, &typmod))) {
            typmod = -1;
        }
    }
    struct arena *a = arena_create(FUZZ_ARENA);
    struct slice bytes = slice_make(data + 4, size - 4);
    struct datum d;
    if (!fuzz_refused(data[3] & 1 ? type_recv(a, type, typmod, bytes, &d)
                                  : type_input(a, type, typmod, bytes, &d))) {
        ASSERT(type_compare(type, &d, &d) == 0);
        reads_back(a, type, &d);
        keeps_in_rows(type, &d);
    }
    arena_destroy(a);
    return 0;
}
