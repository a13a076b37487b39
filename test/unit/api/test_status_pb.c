/* Errors keep everything on their way over a wire, and what a peer sends cannot break them. */
#include "api/status_pb.h"

#include "api/pb.h"
#include "api/rpc.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct status *round_trip(struct status *st)
{
    struct buf bytes = {0};
    status_pack_error(st, 65536, &bytes);
    struct arena *a = arena_create(0);
    void *error = NULL;
    struct status *parse = pb_unpack(&sherd__v1__error__descriptor, a, buf_slice(&bytes), &error);
    assert_null(parse);
    struct status *back = status_from_error(error);
    arena_destroy(a);
    buf_deinit(&bytes);
    return back;
}

static void every_field_survives_the_wire(void **state)
{
    (void)state;
    struct status *st = status_sql(CONSTRAINT, "23505", "duplicate key value %d", 7);
    st = status_detail(st, "Key (id)=(7) already exists.");
    st = status_hint(st, "Take another.");
    st = status_about(st, "t", "id", "t_pkey");
    st = status_at(st, 42);
    struct status *back = round_trip(st);
    assert_int_equal(back->code, STATUS_CONSTRAINT);
    assert_string_equal(back->sqlstate, "23505");
    assert_string_equal(back->message, "duplicate key value 7");
    assert_string_equal(back->detail, "Key (id)=(7) already exists.");
    assert_string_equal(back->hint, "Take another.");
    assert_string_equal(back->table, "t");
    assert_string_equal(back->column, "id");
    assert_string_equal(back->constraint, "t_pkey");
    assert_int_equal(back->position, 42);
    status_free(st);
    status_free(back);
}

static void every_code_survives_the_wire(void **state)
{
    (void)state;
    for (int code = 1; code < STATUS_CODE_COUNT; code++) {
        struct status *st = status_make(__FILE__, 1, (enum status_code)code, NULL, "x");
        struct status *back = round_trip(st);
        assert_int_equal(back->code, code);
        assert_string_equal(back->sqlstate, st->sqlstate);
        assert_null(back->detail);
        assert_null(back->table);
        status_free(st);
        status_free(back);
    }
}

static void not_leader_names_the_leader_and_only_it(void **state)
{
    (void)state;
    struct status *st = rpc_not_leader(3);
    struct status *back = round_trip(st);
    assert_true(status_is(back, STATUS_NOT_LEADER));
    assert_int_equal(rpc_leader_hint(back), 3);
    status_free(st);
    status_free(back);

    st = rpc_not_leader(0);
    back = round_trip(st);
    assert_int_equal(rpc_leader_hint(back), 0);
    assert_ptr_equal(back, &status_not_leader);

    st = status_at(status_new(INVALID, "x"), 3);
    assert_int_equal(rpc_leader_hint(st), 0);
    assert_int_equal(rpc_leader_hint(NULL), 0);
    status_free(st);

    assert_int_equal(rpc_leader_hint(rpc_not_leader(UINT64_MAX)), 0);
}

static void nonsense_from_a_peer_becomes_internal(void **state)
{
    (void)state;
    Sherd__V1__Error e = SHERD__V1__ERROR__INIT;
    e.code = 4711;
    e.sqlstate = (char *)"abc%%";
    e.position = UINT32_MAX;
    struct status *st = status_from_error(&e);
    assert_true(status_is(st, STATUS_INTERNAL));
    assert_string_equal(st->sqlstate, "XX000");
    assert_string_equal(st->message, "INTERNAL");
    assert_int_equal(st->position, 0);
    status_free(st);
}

static void grpc_details_carry_the_error_and_cut_long_texts(void **state)
{
    (void)state;
    char text[5001];
    memset(text, 'm', sizeof(text) - 1);
    text[5000] = '\0';
    memcpy(text + 1023, "\xc3\xa4", 2); /* the cut must not halve this character */
    struct status *st = status_detail(status_new(CONFLICT, "%s", text), "%s", text);
    struct buf bytes = {0};
    status_pack_details(st, &bytes);
    assert_true(bytes.len < 7000);
    struct status *back = status_from_details(bytes.data, bytes.len);
    assert_true(status_is(back, STATUS_CONFLICT));
    assert_int_equal(strlen(back->message), 1023);
    assert_int_equal(strlen(back->detail), 1023);
    status_free(back);
    /* Damage anywhere: no crash, at worst no error in it. */
    for (size_t i = 0; i < 64; i++) {
        uint8_t keep = bytes.data[i];
        bytes.data[i] = 0xff;
        status_free(status_from_details(bytes.data, bytes.len));
        bytes.data[i] = keep;
        status_free(status_from_details(bytes.data, i));
    }
    status_free(st);
    buf_deinit(&bytes);
}

static void an_error_of_grpc_itself_is_told_from_ours(void **state)
{
    (void)state;
    assert_null(status_from_details((const uint8_t *)"", 0));
    struct status *st = status_from_grpc(14, "connect failed", 14);
    assert_true(status_is(st, STATUS_UNAVAILABLE));
    assert_string_equal(st->sqlstate, "08006");
    assert_string_equal(st->message, "connect failed");
    status_free(st);
    st = status_from_grpc(0, NULL, 0);
    assert_true(status_is(st, STATUS_INTERNAL));
    status_free(st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_survives_the_wire),
        cmocka_unit_test(every_code_survives_the_wire),
        cmocka_unit_test(not_leader_names_the_leader_and_only_it),
        cmocka_unit_test(nonsense_from_a_peer_becomes_internal),
        cmocka_unit_test(grpc_details_carry_the_error_and_cut_long_texts),
        cmocka_unit_test(an_error_of_grpc_itself_is_told_from_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
