/*
 * Writes the seeds of the binary formats into corpus/<target>/: fuzz_seeds FOLDER. They are made by
 * the encoders themselves, so run it again (target fuzz_seeds, not part of the tests) when a format
 * changes. Seeds of text formats are written by hand.
 */
#include "api/rpc.h"
#include "base/mem.h"
#include "entry.h"
#include "fuzz.h"
#include "rpc_wire.h"
#include "sherd/v1/metadata.pb-c.h"
#include "sql/fragment.h"
#include "sql/types.h"
#include "wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *folder;

static void save(const char *target, const char *name, struct buf *b)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, target);
    (void)mkdir(path, 0755);
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(b->data, 1, b->len, f) != b->len || fclose(f) != 0) {
        fprintf(stderr, "cannot write %s\n", path);
        exit(1);
    }
    buf_clear(b);
}

static struct datum input(struct arena *a, type_oid oid, const char *text)
{
    struct datum d;
    struct status *st = type_input(a, oid, -1, slice_str(text), &d);
    ASSERT_MSG(st == NULL, "%s", st->message);
    return d;
}

static const struct {
    type_oid oid;
    const char *name, *one, *two;
} samples[] = {
    {TYPE_INT4, "int4", "17", "-3"},
    {TYPE_BOOL, "bool", "true", "false"},
    {TYPE_FLOAT8, "float8", "-1.5e300", "NaN"},
    {TYPE_TEXT, "text", "a text", "another"},
    {TYPE_BPCHAR, "bpchar", "ab  ", "ab"},
    {TYPE_BYTEA, "bytea", "\\x00ff00", "\\x00"},
    {TYPE_NUMERIC, "numeric", "-12345678901234567890.1230", "0.001"},
    {TYPE_TIMESTAMPTZ, "timestamptz", "2024-02-29 12:34:56.789+02", "infinity"},
    {TYPE_DATE, "date", "4713-01-01 BC", "1999-12-31"},
    {TYPE_INTERVAL, "interval", "1 year 2 mons -3 days 04:05:06.7", "-1 day"},
    {TYPE_UUID, "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
     "00000000-0000-0000-0000-000000000001"},
    {TYPE_TEXT_ARRAY, "texts", "{a,NULL,\"b,\\\"c\"}", "{}"},
    {TYPE_NUMERIC_ARRAY, "numerics", "{1.50,-2,NaN}", "{NULL}"},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void values(struct arena *a)
{
    struct buf b = {0};
    struct batch *all;
    uint32_t types[SAMPLES];
    for (size_t i = 0; i < SAMPLES; i++) {
        types[i] = samples[i].oid;
    }
    all = batch_create(a, SAMPLES, types, 3);
    all->nrows = 3;
    for (size_t i = 0; i < SAMPLES; i++) {
        type_oid oid = samples[i].oid;
        struct datum one = input(a, oid, samples[i].one), two = input(a, oid, samples[i].two);
        struct key_column col = {.type = oid, .is_desc = i % 2, .nulls_first = i % 3 == 0};
        buf_put_u8(&b, (uint8_t)(col.is_desc | col.nulls_first << 1));
        buf_put_u16(&b, (uint16_t)oid);
        key_put_datum(&b, &col, &one);
        key_put_datum(&b, &col, &two);
        save("fuzz_key", samples[i].name, &b);
        const char *text = samples[i].one;
        buf_put_u16(&b, (uint16_t)oid);
        buf_put_u16(&b, 0);
        buf_put_slice(&b, slice_str(text));
        save("fuzz_type", samples[i].name, &b);
        buf_put_u16(&b, (uint16_t)oid);
        buf_put_u16(&b, 1);
        type_send(oid, &one, &b);
        char name[32];
        snprintf(name, sizeof name, "%s-binary", samples[i].name);
        save("fuzz_type", name, &b);
        all->cols[i][0] = one;
        all->cols[i][1] = two;
        all->cols[i][2] = DATUM_NULL;
    }
    batch_encode(&b, all);
    save("fuzz_batch", "all-types", &b);
    for (size_t from = 0; from + 8 <= SAMPLES; from += 5) {
        struct row_column cols[8] = {{0}};
        struct datum row[8];
        buf_put_u8(&b, 7);
        for (size_t i = 0; i < 8; i++) {
            cols[i].type = samples[from + i].oid;
            row[i] = i == 3 ? DATUM_NULL : all->cols[from + i][0];
            buf_put_u16(&b, (uint16_t)cols[i].type);
        }
        row_encode(&b, cols, 8, row);
        save("fuzz_row", from == 0 ? "first" : "second", &b);
    }
    buf_deinit(&b);
}

static struct expr *call(struct arena *a, const char *op, struct expr *x, struct expr *y)
{
    type_oid types[2] = {x->type, y->type}, want[2] = {0}, result = 0;
    const struct func_def *f = NULL;
    struct status *st =
        op[0] == 'f'
            ? func_resolve(slice_str(op + 2), types, 2, false, &f, want, &result)
            : func_resolve_op(slice_str(op), x->type, y->type, &f, &want[0], &want[1], &result);
    ASSERT_MSG(st == NULL, "%s", st->message);
    struct expr **args = ARENA_ARRAY(a, struct expr *, 2);
    args[0] = x;
    args[1] = y;
    return expr_call(a, f, result, 2, args);
}

static void fragments(struct arena *a)
{
    struct buf b = {0};
    struct row_column row[] = {{.type = TYPE_INT4, .typmod = -1},
                               {.type = TYPE_TEXT, .typmod = -1},
                               {.type = TYPE_NUMERIC, .typmod = 655366, .has_missing = true}};
    row[2].missing = input(a, TYPE_NUMERIC, "1.50");
    struct key_span spans[] = {{slice_str("a"), slice_str("b"), false},
                               {slice_str("k"), slice_make("k", 2), true}};
    struct expr *i = expr_column(a, TYPE_INT4, -1, 0), *t = expr_column(a, TYPE_TEXT, -1, 1),
                *n = expr_column(a, TYPE_NUMERIC, -1, 2),
                *three = expr_const(a, TYPE_INT4, datum_int(3)),
                *like = expr_const(a, TYPE_TEXT, datum_bytes(slice_str("%a_")));
    struct fragment fr = {.table_id = 20000,
                          .index_id = 1,
                          .schema_version = 4,
                          .nspans = 2,
                          .spans = spans,
                          .nrow_columns = 3,
                          .row_columns = row,
                          .ncolumns = 3,
                          .columns = (int[]){0, 1, 2},
                          .with_key = true,
                          .limit = -1};
    fragment_encode(&b, &fr);
    save("fuzz_fragment", "scan", &b);
    fr.filter = call(a, ">", i, three);
    fr.nprojections = 3;
    fr.projections = (struct expr *[]){call(a, "+", i, three), call(a, "~~", t, like), n};
    fr.limit = 10;
    fr.lock = LOCK_UPDATE;
    fr.nsort = 1;
    fr.sort = &(struct sort_key){.column = 0, .type = TYPE_INT4, .is_desc = true};
    fragment_encode(&b, &fr);
    save("fuzz_fragment", "filter-topn-lock", &b);
    type_oid numeric = TYPE_NUMERIC, want[1];
    struct agg_call aggs[2] = {{0}};
    struct status *st =
        func_resolve(slice_str("sum"), &numeric, 1, false, &aggs[0].func, want, &aggs[0].result);
    ASSERT(st == NULL);
    aggs[0].nargs = 1;
    aggs[0].args = (struct expr *[]){expr_column(a, TYPE_NUMERIC, -1, 2)};
    st = func_resolve(slice_str("count"), NULL, 0, true, &aggs[1].func, want, &aggs[1].result);
    ASSERT(st == NULL);
    fr.nsort = 0;
    fr.lock = LOCK_NONE;
    fr.limit = -1;
    fr.ngroups = 1;
    fr.naggs = 2;
    fr.aggs = aggs;
    fragment_encode(&b, &fr);
    save("fuzz_fragment", "aggregates", &b);
    fr.naggs = fr.ngroups = 0;
    /* Every function of two plain arguments somewhere: text, pattern, arithmetic. */
    static const char *const names[] = {"f:repeat", "f:left", "f:substr", "||",
                                        "*",        "%",      "f:round"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        struct expr *x = k < 3 ? t : k == 3 ? t : i, *y = k == 3 ? like : three;
        if (k == 6) {
            x = n;
        }
        fr.projections = (struct expr *[]){call(a, names[k], x, y)};
        fr.nprojections = 1;
        char name[32];
        snprintf(name, sizeof name, "call-%zu", k);
        fragment_encode(&b, &fr);
        save("fuzz_fragment", name, &b);
    }
    buf_deinit(&b);
}

static void logs(void)
{
    struct buf b = {0}, row = {0}, pairs = {0};
    struct mvcc_version old = {.ts = 41, .row = slice_str("old row")};
    entry_begin(&b);
    entry_put_version(&b, slice_str("key"), 42, 0, slice_str("row"), NULL);
    entry_put_version(&b, slice_str("key2"), 42, MVCC_TOMBSTONE | MVCC_MOVED, slice_str(""), &old);
    entry_put(&b, slice_str("gstate"), slice_str("value"));
    entry_delete(&b, slice_str("gother"));
    entry_put_outcome(&b, (struct txn_id){7, 8}, 1, 42);
    entry_put_merge(&b, (struct txn_id){7, 9}, 2, 43);
    save("fuzz_entry", "every-operation", &b);

    static const struct roster members = {
        .count = 3, .members = {{1, 11, RAFT_VOTER}, {2, 12, RAFT_VOTER}, {7, 13, RAFT_STANDBY}}};
    struct raft_entry entries[2] = {{.term = 4, .type = RAFT_COMMAND},
                                    {.term = 5, .type = RAFT_CHANGE}};
    uint8_t wrapped[64];
    entry_wrap(wrapped, slice_str("data of the entry"));
    entries[0].buf.base = wrapped;
    entries[0].buf.len = entry_wrapped_size(17);
    roster_encode(&members, &row);
    entries[1].buf.base = row.data;
    entries[1].buf.len = row.len;
    buf_put_bytes(&pairs, slice_str("key"));
    buf_put_bytes(&pairs, slice_str("value"));
    struct wire_message m = {.group = 9, .from = 1, .to = 2, .kind = WIRE_APPEND};
    m.append = (struct wire_append){
        .term = 9, .prev_index = 5, .prev_term = 3, .commit = 4, .stamp_ns = 123, .entry_count = 2};
    wire_start(&b, 77);
    wire_put(&b, &m, entries);
    save("fuzz_wire", "append", &b);
    wire_start(&b, 77);
    m.kind = WIRE_VOTE;
    m.vote = (struct wire_vote){10, 17, 9, true, false};
    wire_put(&b, &m, NULL);
    m.kind = WIRE_PING;
    m.ping = (struct wire_ping){9, 3, 456};
    wire_put(&b, &m, NULL);
    m.kind = WIRE_QUIESCE;
    m.quiesce = (struct wire_quiesce){9, 17, 17};
    wire_put(&b, &m, NULL);
    m.kind = WIRE_INSTALL_BEGIN;
    m.install_begin = (struct wire_install_begin){.session = 5,
                                                  .term = 9,
                                                  .index = 17,
                                                  .last_term = 9,
                                                  .conf_index = 1,
                                                  .conf = members,
                                                  .range_count = 1,
                                                  .ranges = buf_slice(&pairs)};
    wire_put(&b, &m, NULL);
    m.kind = WIRE_INSTALL_CHUNK;
    m.install_chunk = (struct wire_install_chunk){5, 1, true, buf_slice(&pairs)};
    wire_put(&b, &m, NULL);
    save("fuzz_wire", "other-kinds", &b);
    save("fuzz_wire", "roster", &row);
    buf_deinit(&b);
    buf_deinit(&row);
    buf_deinit(&pairs);
}

static void calls(void)
{
    struct buf b = {0};
    Sherd__V1__MetaTxnRequest request = SHERD__V1__META_TXN_REQUEST__INIT;
    rpc_wire_put_hello(&b, &(struct rpc_wire_hello){1, 2, RPC_WIRE_PROTOCOL, 3});
    rpc_wire_put_call(&b, 7, RPC_META_TXN, &request, 0, 500);
    rpc_wire_put_cancel(&b, 7);
    save("fuzz_rpc", "calls", &b);
    struct status *st = status_hint(status_new(CONFLICT, "could not serialize"), "Try again.");
    rpc_wire_put_error(&b, 7, st);
    rpc_wire_put_reply(&b, 8, &request, 0);
    status_free(st);
    save("fuzz_rpc", "answers", &b);
    buf_deinit(&b);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    struct arena *a = arena_create(0);
    values(a);
    fragments(a);
    logs();
    calls();
    arena_destroy(a);
    return 0;
}
