/* Messages in arenas: bounded memory, damage refused. */
#include "api/pb.h"

#include "sherd/v1/metadata.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void a_message_survives_packing(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    Sherd__V1__MetaPut put = SHERD__V1__META_PUT__INIT;
    put.key = (ProtobufCBinaryData){3, (uint8_t *)"key"};
    put.value = (ProtobufCBinaryData){5, (uint8_t *)"value"};
    Sherd__V1__MetaPut *puts[] = {&put};
    Sherd__V1__MetaTxnRequest m = SHERD__V1__META_TXN_REQUEST__INIT;
    m.puts = puts;
    m.n_puts = 1;
    m.request_id = 9;
    void *out = NULL;
    assert_null(pb_copy(&m, a, &out));
    Sherd__V1__MetaTxnRequest *back = out;
    assert_int_equal(back->request_id, 9);
    assert_int_equal(back->n_puts, 1);
    assert_memory_equal(back->puts[0]->value.data, "value", 5);
    arena_destroy(a);
}

static void an_empty_message_has_no_bytes(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    Sherd__V1__MetaStatusRequest m = SHERD__V1__META_STATUS_REQUEST__INIT;
    assert_int_equal(pb_packed_size(&m), 0);
    void *out = NULL;
    assert_null(pb_unpack(&sherd__v1__meta_status_request__descriptor, a, (struct slice){0}, &out));
    assert_non_null(out);
    arena_destroy(a);
}

static void damage_is_corrupt(void **state)
{
    (void)state;
    struct arena *a = arena_create(0);
    void *out = NULL;
    struct status *st = pb_unpack(&sherd__v1__meta_put__descriptor, a,
                                  slice_make("\x0a\x7f"
                                             "abc",
                                             5),
                                  &out);
    assert_true(status_is(st, STATUS_CORRUPT));
    assert_null(out);
    status_free(st);
    arena_destroy(a);
}

/* Two bytes of unknown field cost the receiver a struct each. */
static void a_message_that_grows_past_the_budget_is_refused(void **state)
{
    (void)state;
    struct arena *a = arena_create(64 << 10);
    struct buf bytes = {0};
    for (int i = 0; i < 100000; i++) {
        buf_put_u8(&bytes, 15 << 3);
        buf_put_u8(&bytes, 1);
    }
    void *out = NULL;
    struct status *st = pb_unpack(&sherd__v1__meta_put__descriptor, a, buf_slice(&bytes), &out);
    assert_true(status_is(st, STATUS_LIMIT));
    assert_string_equal(st->sqlstate, "53200");
    status_free(st);
    buf_deinit(&bytes);
    arena_destroy(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_survives_packing),
        cmocka_unit_test(an_empty_message_has_no_bytes),
        cmocka_unit_test(damage_is_corrupt),
        cmocka_unit_test(a_message_that_grows_past_the_budget_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
