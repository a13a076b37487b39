/* See rows.h. */
#include "rows.h"

#include "sql/codec.h"

#include <stdlib.h>
#include <string.h>

struct slice row_key(struct arena *a, uint8_t shard, struct slice rest)
{
    struct buf b = {0};
    key_prefix(&b, ROWS_TABLE, 1);
    buf_put_u8(&b, shard);
    buf_put_slice(&b, rest);
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

static const struct row_column layout = {.type = TYPE_BYTEA, .typmod = -1};

static struct slice make_value(struct arena *a, struct slice bytes)
{
    struct buf b = {0};
    struct datum d = datum_bytes(bytes);
    row_encode(&b, &layout, 1, &d);
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

static int compare_key_spans(const void *a, const void *b)
{
    return slice_cmp(((const struct key_span *)a)->start, ((const struct key_span *)b)->start);
}

static struct key_span point(struct arena *a, struct slice key)
{
    uint8_t *end = arena_alloc(a, key.len + 1);
    memcpy(end, key.data, key.len);
    end[key.len] = 0;
    return (struct key_span){key, slice_make(end, key.len + 1), true};
}

/* The bytes of the rows in the spans. */
static struct fragment fragment_of(struct key_span *spans, int nspans, enum lock_mode lock)
{
    static int column = 0;
    return (struct fragment){.table_id = ROWS_TABLE,
                             .index_id = 1,
                             .nspans = nspans,
                             .spans = spans,
                             .nrow_columns = 1,
                             .row_columns = (struct row_column *)(uintptr_t)&layout,
                             .ncolumns = 1,
                             .columns = &column,
                             .limit = -1,
                             .lock = lock};
}

struct status *read_keys(struct fiber *f, struct arena *a, struct txn *t, struct read_many *r,
                         enum lock_mode lock)
{
    struct key_span *spans = r->spans;
    if (spans == NULL) {
        spans = ARENA_ARRAY(a, struct key_span, r->count);
        for (int i = 0; i < r->count; i++) {
            spans[i] = point(a, r->keys[i]);
        }
        qsort(spans, (size_t)r->count, sizeof(*spans), compare_key_spans);
    }
    struct fragment fr = fragment_of(spans, r->spans == NULL ? r->count : r->nspans, lock);
    fr.schema_version = r->schema_version;
    fr.with_key = true;
    memset(r->values, 0, sizeof(r->values));
    struct op *op = txn_scan(a, t, &fr, false);
    struct status *st;
    for (;;) {
        struct batch *b;
        st = op_next(f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        for (int row = 0; row < b->nrows; row++) {
            for (int i = 0; i < r->count; i++) {
                if (slice_eq(r->keys[i], datum_slice(&b->cols[1][row]))) {
                    r->values[i] = arena_copy(a, datum_slice(&b->cols[0][row]));
                }
            }
        }
    }
    op_close(op);
    return st;
}

struct status *append_in_shard(struct fiber *f, struct arena *a, struct txn *t, struct slice key,
                               uint32_t element, bool is_last, struct slice *out_row,
                               bool *out_changed)
{
    const struct func_def *concat;
    type_oid args[2], result;
    TRY(func_resolve_op(slice_str("||"), TYPE_BYTEA, TYPE_BYTEA, &concat, &args[0], &args[1],
                        &result));
    uint8_t *bytes = arena_alloc(a, 4);
    set_u32(bytes, element);
    struct expr **list = ARENA_ARRAY(a, struct expr *, 2);
    list[0] = expr_column(a, TYPE_BYTEA, -1, 0);
    list[1] = expr_const(a, TYPE_BYTEA, datum_bytes(slice_make(bytes, 4)));
    struct fragment_set set = {.ordinal = 0, .value = expr_call(a, concat, result, 2, list)};
    struct fragment_change change = {.nsets = 1, .sets = &set, .returns_rows = !is_last};
    struct key_span span = point(a, key);
    struct fragment fr = fragment_of(&span, 1, LOCK_NO_KEY_UPDATE);
    fr.change = &change;
    *out_row = (struct slice){0};
    *out_changed = false;
    struct op *op = txn_change(a, t, &fr, is_last);
    struct status *st;
    for (;;) {
        struct batch *b;
        st = op_next(f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        *out_changed = true;
        if (b->ncols == 1) {
            *out_row = arena_copy(a, datum_slice(&b->cols[0][0]));
        }
    }
    op_close(op);
    return st;
}

struct status *write_one(struct fiber *f, struct arena *a, struct txn *t, struct slice key,
                         struct slice bytes, Sherd__V1__OpKind kind, bool is_last,
                         struct txn_write_result *out)
{
    struct txn_write w = {.kind = kind, .key = key, .value = make_value(a, bytes)};
    return txn_write(f, t, a, &w, 1, ROWS_TABLE, 0, is_last, out);
}

struct status *append_to_read(struct fiber *f, struct arena *a, struct txn *t, struct slice key,
                              struct slice list, uint32_t element, bool is_last)
{
    struct buf b = {0};
    buf_put_slice(&b, list);
    buf_put_u32(&b, element);
    Sherd__V1__OpKind kind =
        list.data == NULL ? SHERD__V1__OP_KIND__OP_INSERT : SHERD__V1__OP_KIND__OP_PUT;
    struct txn_write_result res = {0};
    struct status *st = write_one(f, a, t, key, buf_slice(&b), kind, is_last, &res);
    buf_deinit(&b);
    return st == NULL && res.failed ? status_new(CONSTRAINT, "duplicate key") : st;
}

struct status *commit_or_undo(struct fiber *f, struct txn *t, struct status *st)
{
    if (st == NULL) {
        return txn_commit(f, t);
    }
    txn_rollback(f, t);
    return st;
}
