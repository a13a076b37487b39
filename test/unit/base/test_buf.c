/* Buffers and the sticky reader: round trips, and every truncation. */
#include "base/buf.h"
#include "base/mem.h"

#include "cmocka_all.h"

#include <string.h>

static void write_all(struct buf *b)
{
    buf_put_u8(b, 0xfe);
    buf_put_u16(b, 0x1234);
    buf_put_u32(b, 0xdeadbeef);
    buf_put_u64(b, UINT64_C(0x0123456789abcdef));
    buf_put_varint(b, 0);
    buf_put_varint(b, 127);
    buf_put_varint(b, 128);
    buf_put_varint(b, UINT64_MAX);
    buf_put_bytes(b, slice_str("bytes"));
    buf_put_cstr(b, "text");
    buf_put_varint(b, 2); /* a count of two u16 */
    buf_put_u16(b, 1);
    buf_put_u16(b, 2);
    buf_put_slice(b, slice_str("raw"));
}

/* True when all of it came back. */
static bool read_all(struct slice s)
{
    struct reader r;
    reader_init(&r, s);
    bool is_same = read_u8(&r) == 0xfe;
    is_same &= read_u16(&r) == 0x1234;
    is_same &= read_u32(&r) == 0xdeadbeef;
    is_same &= read_u64(&r) == UINT64_C(0x0123456789abcdef);
    is_same &= read_varint(&r) == 0;
    is_same &= read_varint(&r) == 127;
    is_same &= read_varint(&r) == 128;
    is_same &= read_varint(&r) == UINT64_MAX;
    is_same &= slice_eq(read_bytes(&r), slice_str("bytes"));
    is_same &= strcmp(read_cstr(&r), "text") == 0;
    size_t count = read_count(&r, 2);
    is_same &= count == 2;
    for (size_t i = 0; i < count; i++) {
        is_same &= read_u16(&r) == i + 1;
    }
    is_same &= slice_eq(read_raw(&r, 3), slice_str("raw"));
    struct status *st = reader_finish(&r, "thing");
    assert_int_equal(st == NULL, reader_ok(&r));
    return !status_consume(st) && is_same;
}

static void what_is_put_is_read(void **state)
{
    (void)state;
    struct buf b = {0};
    write_all(&b);
    assert_int_equal(b.data[1], 0x12); /* big-endian */
    assert_true(read_all(buf_slice(&b)));
    buf_deinit(&b);
}

static void every_truncation_is_noticed(void **state)
{
    (void)state;
    struct buf b = {0};
    write_all(&b);
    for (size_t n = 0; n < b.len; n++) {
        uint8_t *exact = mem_alloc(n); /* so that ASan sees a read past the end */
        memcpy(exact, b.data, n);
        assert_false(read_all(slice_make(exact, n)));
        mem_free(exact);
    }
    buf_deinit(&b);
}

static void leftover_bytes_are_damage(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r, slice_str("ab"));
    assert_int_equal(read_u8(&r), 'a');
    assert_true(reader_ok(&r));
    struct status *st = reader_finish(&r, "row header");
    assert_true(status_is(st, STATUS_CORRUPT));
    assert_string_equal(st->message, "row header: truncated or damaged");
    status_free(st);
}

static void a_failed_reader_gives_zeroes_for_ever(void **state)
{
    (void)state;
    struct reader r;
    reader_init(&r, slice_str("abc"));
    assert_int_equal(read_u32(&r), 0);
    assert_false(reader_ok(&r));
    assert_int_equal(read_u8(&r), 0);
    assert_int_equal(read_varint(&r), 0);
    assert_int_equal(read_raw(&r, 0).len, 0);
    assert_string_equal(read_cstr(&r), "");
    assert_int_equal(read_count(&r, 1), 0);
    assert_int_equal(reader_left(&r), 0);
    reader_init(&r, slice_make(NULL, 0));
    assert_null(reader_finish(&r, "nothing"));
}

static void absurd_lengths_and_counts_are_refused(void **state)
{
    (void)state;
    struct buf b = {0};
    buf_put_varint(&b, UINT64_MAX);
    buf_put_u64(&b, 0);
    struct reader r;
    reader_init(&r, buf_slice(&b));
    assert_int_equal(read_bytes(&r).len, 0);
    assert_false(reader_ok(&r));
    reader_init(&r, buf_slice(&b));
    assert_int_equal(read_count(&r, 0), 0);
    assert_false(reader_ok(&r));
    buf_clear(&b);
    buf_put_varint(&b, 5);
    buf_put_u32(&b, 0);
    reader_init(&r, buf_slice(&b));
    assert_int_equal(read_count(&r, 1), 0); /* five items in four bytes */
    buf_clear(&b);
    memset(buf_extend(&b, 11), 0xff, 11);
    reader_init(&r, buf_slice(&b));
    assert_int_equal(read_varint(&r), 0); /* more than 64 bits */
    assert_false(reader_ok(&r));
    buf_deinit(&b);
}

static void printf_and_take(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    buf_printf(&b, "%s", "");
    for (int i = 0; i < 100; i++) {
        buf_printf(&b, "%d,", i);
    }
    buf_printf(&b, "%500d", 1);
    assert_int_equal(b.len, 10 * 2 + 90 * 3 + 500);
    size_t len = 0;
    uint8_t *p = buf_take(&b, &len);
    assert_int_equal(len, 790);
    assert_int_equal(b.cap, 0);
    mem_free(p);
    p = buf_take(&b, &len); /* of an empty one */
    assert_non_null(p);
    assert_int_equal(len, 0);
    mem_free(p);
    buf_deinit(&b);
}

static void slices_order_bytewise_and_short_first(void **state)
{
    (void)state;
    assert_true(slice_cmp(slice_str("a"), slice_str("b")) < 0);
    assert_true(slice_cmp(slice_str("a"), slice_str("aa")) < 0);
    assert_true(slice_cmp(slice_str("\xff"), slice_str("a")) > 0);
    assert_true(slice_cmp(slice_make(NULL, 0), slice_str("")) == 0);
    assert_true(slice_has_prefix(slice_str("abc"), slice_str("ab")));
    assert_false(slice_has_prefix(slice_str("a"), slice_str("ab")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_read),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(leftover_bytes_are_damage),
        cmocka_unit_test(a_failed_reader_gives_zeroes_for_ever),
        cmocka_unit_test(absurd_lengths_and_counts_are_refused),
        cmocka_unit_test(printf_and_take),
        cmocka_unit_test(slices_order_bytewise_and_short_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
