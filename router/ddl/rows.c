/* Schema changes that touch rows: fences, wiping, validation queries, backfill, re-keying. */
#include "ddl.h"

#include "analyze/analyze.h"
#include "router_internal.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include "sherd/v1/shard.pb-c.h"

#define FILL_ROWS 3000               /* of a table that nobody else uses */
#define FILL_ROWS_BESIDE 500         /* beside writers, who may meet the batch */
#define FILL_BYTES ((size_t)1 << 20) /* of keys, about: ends a batch before */
#define CONFLICTS_MAX 50

/* ---- the shards of a table ---- */

struct shard_part { /* what a range has in one shard, by the map */
    uint64_t shard_id;
    struct slice start, end;
};

struct shard_parts {
    struct arena *a;
    const struct key_span *range;
    struct shard_part *items;
    size_t count, cap;
};

static bool collect(void *ctx, const struct shard_info *s)
{
    struct shard_parts *l = ctx;
    const struct key_span *r = l->range;
    if (l->count == l->cap) {
        size_t cap = l->cap == 0 ? 16 : l->cap * 2;
        l->items = arena_grow(l->a, l->items, l->cap * sizeof(*l->items), cap * sizeof(*l->items));
        l->cap = cap;
    }
    bool is_cut = s->end.len != 0 && slice_cmp(s->end, r->end) < 0;
    struct shard_part *x = &l->items[l->count++];
    x->shard_id = s->shard_id;
    x->start = arena_copy(l->a, slice_cmp(s->start, r->start) > 0 ? s->start : r->start);
    x->end = arena_copy(l->a, is_cut ? s->end : r->end);
    return true;
}

static struct shard_parts shards_of(struct ddl *d, const struct key_span *ranges, int n)
{
    struct shard_parts l = {.a = d->a};
    for (int i = 0; i < n; i++) {
        l.range = &ranges[i];
        shard_map_scan(router_meta(d->router), ranges[i].start, ranges[i].end, collect, &l);
    }
    return l;
}

static void fill_range(Sherd__V1__KeyRange *out, const struct shard_part *x)
{
    sherd__v1__key_range__init(out);
    out->start = (ProtobufCBinaryData){x->start.len, (uint8_t *)(uintptr_t)x->start.data};
    out->end = (ProtobufCBinaryData){x->end.len, (uint8_t *)(uintptr_t)x->end.data};
}

static struct key_span id_range(struct ddl *d, uint32_t table_id, uint32_t index_from,
                                uint32_t index_to)
{
    uint8_t *start = arena_alloc(d->a, 8), *end = arena_alloc(d->a, 8);
    set_u32(start, table_id);
    set_u32(start + 4, index_from);
    set_u32(end, index_to == 0 ? table_id + 1 : table_id);
    set_u32(end + 4, index_to);
    return (struct key_span){.start = slice_make(start, 8), .end = slice_make(end, 8)};
}

struct status *fence_table(struct ddl *d, uint32_t table_id, uint64_t version,
                           Sherd__V1__TxnId *own)
{
    const Sherd__V1__TableDesc *t = catalog_table_by_id(d->catalog, table_id);
    if (t == NULL) {
        return NULL; /* dropped: fenced for ever */
    }
    int n;
    const struct key_span *ranges = table_ranges(d->a, t, &n);
    return fence_ranges(d, table_id, version, own, ranges, n);
}

/* A shard that was split says MOVED for what is not its own any more: then all over again by a
 * newer map. */
struct status *fence_ranges(struct ddl *d, uint32_t table_id, uint64_t version,
                            Sherd__V1__TxnId *own, const struct key_span *ranges, int n)
{
    struct reroute moved = {0};
    for (;;) {
        struct shard_parts l = shards_of(d, ranges, n);
        struct status *st = NULL;
        for (size_t i = 0; i < l.count && st == NULL; i++) {
            Sherd__V1__KeyRange range;
            Sherd__V1__FenceRequest q = SHERD__V1__FENCE_REQUEST__INIT;
            fill_range(&range, &l.items[i]);
            q.shard_id = l.items[i].shard_id;
            q.table_id = table_id;
            q.version = version;
            q.txn = own;
            q.range = &range;
            void *reply;
            st = shard_call(d->f, d->router, q.shard_id, RPC_SHARD_FENCE, &q, true, d->a, &reply,
                            NULL);
        }
        if (!status_is(st, STATUS_MOVED)) {
            return st;
        }
        status_free(st);
        TRY(reroute(d->f, d->router, &moved));
    }
}

struct status *wipe_ranges(struct ddl *d, const struct key_span *ranges, int n)
{
    struct reroute moved = {0};
    for (;;) {
        struct shard_parts l = shards_of(d, ranges, n);
        struct status *st = NULL;
        for (size_t i = 0; i < l.count && st == NULL; i++) {
            Sherd__V1__KeyRange range, *list[1] = {&range};
            Sherd__V1__WipeRequest q = SHERD__V1__WIPE_REQUEST__INIT;
            fill_range(&range, &l.items[i]);
            q.shard_id = l.items[i].shard_id;
            q.n_ranges = 1;
            q.ranges = list;
            void *reply;
            st = shard_call(d->f, d->router, q.shard_id, RPC_SHARD_WIPE, &q, true, d->a, &reply,
                            NULL);
        }
        if (!status_is(st, STATUS_MOVED)) {
            return st;
        }
        status_free(st);
        TRY(reroute(d->f, d->router, &moved));
    }
}

struct status *wipe_indexes(struct ddl *d, uint32_t table_id, uint32_t index_from,
                            uint32_t index_to)
{
    struct key_span indexes = id_range(d, table_id, index_from, index_to);
    return wipe_ranges(d, &indexes, 1);
}

/* ---- queries of our own ---- */

struct status *query_first_row(struct ddl *d, const char *sql, bool *out_any, char **out_row)
{
    struct parsed *p;
    *out_any = false;
    TRY(schema_check_rows(d->schema));
    TRY(parse_sql(d->f, slice_str(sql), &p));
    struct plan *plan = NULL;
    struct op *op = NULL;
    struct arena *a = arena_create(0);
    struct status *st = plan_statement(d->f, &d->x->env, p, 0, NULL, 0, &plan);
    struct exec x = *d->x; /* the operators keep its address */
    x.arena = a;
    x.is_last = false;
    if (st == NULL) {
        st = plan_open(d->f, plan, &x, &op);
    }
    while (st == NULL && op != NULL && !*out_any) {
        struct batch *b;
        st = op_next(d->f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        *out_any = b->nrows > 0;
        if (*out_any && out_row != NULL) {
            struct buf text = {0};
            for (int c = 0; c < b->ncols; c++) {
                buf_printf(&text, "%s", c > 0 ? ", " : "");
                if (b->cols[c][0].is_null) {
                    buf_printf(&text, "null");
                } else {
                    type_output(b->types[c], &b->cols[c][0], &text);
                }
            }
            *out_row = arena_strndup(d->a, text.data, text.len);
            buf_deinit(&text);
        }
    }
    op_close(op);
    plan_unref(plan);
    arena_destroy(a);
    parsed_free(p);
    return st;
}

struct status *query_has_rows(struct ddl *d, const char *sql, bool *out_any)
{
    return query_first_row(d, sql, out_any, NULL);
}

/* ---- scanning a table's rows with their keys ---- */

static struct row_column *row_layout(struct arena *a, const Sherd__V1__TableDesc *t)
{
    struct row_column *cols = ARENA_ARRAY(a, struct row_column, t->n_columns);
    for (size_t i = 0; i < t->n_columns; i++) {
        const Sherd__V1__ColumnDesc *c = t->columns[i];
        cols[i].type = c->type;
        cols[i].typmod = c->typmod;
        cols[i].has_missing = c->has_missing;
        cols[i].missing = DATUM_NULL;
        if (c->has_missing) {
            struct row_column one = {.type = c->type, .typmod = c->typmod};
            int wanted = 0;
            if (status_consume(row_decode(slice_make(c->missing.data, c->missing.len), &one, 1,
                                          &wanted, 1, &cols[i].missing))) {
                cols[i].missing = DATUM_NULL;
            }
        }
    }
    return cols;
}

/* What lies behind the key; all when it is empty. */
static struct key_span *spans_after(struct arena *a, struct key_span *spans, int *n,
                                    struct slice after)
{
    if (after.len == 0) {
        return spans;
    }
    struct buf b = {0};
    buf_put_slice(&b, after);
    buf_put_u8(&b, 0);
    struct slice start = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    while (*n > 0 && slice_cmp(spans[0].end, start) <= 0) {
        spans++;
        --*n;
    }
    if (*n > 0 && slice_cmp(spans[0].start, start) < 0) {
        spans[0].start = start;
    }
    return spans;
}

/* All columns of the rows from `start` on (the whole primary index when it is empty), with their
 * keys. */
static struct op *scan_rows(struct arena *a, struct txn *txn, const Sherd__V1__TableDesc *t,
                            uint64_t version, struct slice after, int64_t limit,
                            enum lock_mode lock)
{
    struct fragment fr = {0};
    const Sherd__V1__IndexDesc *pk = t->indexes[0];
    fr.table_id = t->id;
    fr.index_id = pk->index_id;
    fr.schema_version = version;
    fr.nrow_columns = (int)t->n_columns;
    fr.row_columns = row_layout(a, t);
    fr.ncolumns = (int)t->n_columns;
    fr.columns = ARENA_ARRAY(a, int, t->n_columns);
    for (int i = 0; i < fr.ncolumns; i++) {
        fr.columns[i] = i;
    }
    fr.with_key = true;
    fr.limit = limit;
    fr.lock = lock;
    fr.spans = spans_after(a, index_spans(a, t, pk, &fr.nspans), &fr.nspans, after);
    return txn_scan(a, txn, &fr, true);
}

struct row_copy {
    struct datum *values;
    struct slice key;
};

/* Reads up to `max` rows after `after`. *out_end: there are no more. */
static struct status *read_rows(struct ddl *d, struct arena *a, struct txn *txn,
                                const Sherd__V1__TableDesc *t, uint64_t version, struct slice after,
                                enum lock_mode lock, int max, struct row_copy **out, int *out_count,
                                bool *out_end)
{
    struct op *op = scan_rows(a, txn, t, version, after, max, lock);
    struct row_copy *rows = ARENA_ARRAY(a, struct row_copy, max);
    int n = 0;
    size_t bytes = 0;
    struct status *st = NULL;
    *out_end = false;
    while (n < max && bytes < FILL_BYTES) {
        struct batch *b;
        st = op_next(d->f, op, &b);
        if (st != NULL || b == NULL) {
            *out_end = st == NULL;
            break;
        }
        for (int r = 0; r < b->nrows && n < max; r++, n++) {
            rows[n].values = ARENA_ARRAY(a, struct datum, t->n_columns);
            for (size_t c = 0; c < t->n_columns; c++) {
                const struct datum *v = &b->cols[c][r];
                rows[n].values[c] = datum_copy(a, t->columns[c]->type, v);
                bytes += v->is_null || type_find(t->columns[c]->type)->is_inline ? 8 : v->len;
            }
            rows[n].key = arena_copy(a, datum_slice(&b->cols[b->ncols - 1][r]));
        }
    }
    op_close(op);
    *out = rows;
    *out_count = n;
    return st;
}

static const Sherd__V1__IndexDesc *index_by_id(const Sherd__V1__TableDesc *t, uint32_t id)
{
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (t->indexes[i]->index_id == id) {
            return t->indexes[i];
        }
    }
    return NULL;
}

static struct status *could_not_create(const Sherd__V1__TableDesc *t,
                                       const Sherd__V1__IndexDesc *ix, const struct datum *row)
{
    struct status *st = unique_violation(t, ix, row);
    struct status *out =
        status_sql(CONSTRAINT, "23505", "could not create unique index \"%s\"", ix->name);
    if (st->detail != NULL) {
        /* "Key (a)=(1) already exists." becomes "Key (a)=(1) is duplicated." */
        char *text = mem_strdup(st->detail);
        char *tail = strstr(text, " already exists.");
        if (tail != NULL) {
            *tail = '\0';
        }
        out = status_detail(out, "%s is duplicated.", text);
        mem_free(text);
    }
    status_free(st);
    return status_about(out, t->name, NULL, ix->name);
}

static struct slice keep(struct arena *a, struct buf *b)
{
    struct slice s = arena_copy(a, buf_slice(b));
    buf_clear(b);
    return s;
}

/* Ends a batch: its own transaction commits; the statement's goes on. */
static struct status *batch_end(struct ddl *d, struct txn *txn, const struct txn *own,
                                struct status *st)
{
    if (own != NULL) {
        return st;
    }
    if (st == NULL) {
        st = txn_commit(d->f, txn);
        crash_at(CRASH_SCHEMA_BUILT);
        return st;
    }
    txn_rollback(d->f, txn);
    return st;
}

/* One batch of backfill in one transaction. Beside writers it locks the rows it reads: they stay as
 * they are until their entries are committed. Rows that come after the fence are their writers'
 * business, so nothing else need hold still, and a writer waits for a batch at most. */
static struct status *backfill_batch(struct ddl *d, const Sherd__V1__TableDesc *t,
                                     const uint32_t *index_ids, int count, struct slice after,
                                     struct buf *out_last, bool *out_end, struct txn *own)
{
    struct txn_options o = {.isolation = TXN_READ_COMMITTED};
    struct txn *txn = own != NULL ? own : txn_begin(d->router, &o);
    struct arena *a = arena_create(0);
    struct row_copy *rows;
    int n = 0;
    bool is_end = false;
    bool is_alone = index_by_id(t, index_ids[0])->state == SHERD__V1__INDEX_STATE__INDEX_PUBLIC;
    struct status *st =
        read_rows(d, a, txn, t, t->version, after, is_alone ? LOCK_NONE : LOCK_SHARE,
                  is_alone ? FILL_ROWS : FILL_ROWS_BESIDE, &rows, &n, &is_end);
    struct txn_write *ops = ARENA_ARRAY(a, struct txn_write, n * count + 1);
    int *op_row = ARENA_ARRAY(a, int, n *count + 1);
    uint32_t *op_index = ARENA_ARRAY(a, uint32_t, n * count + 1);
    struct buf b = {0};
    int nops = 0;
    for (int r = 0; r < n && st == NULL; r++) {
        for (int k = 0; k < count && st == NULL; k++) {
            const Sherd__V1__IndexDesc *ix = index_by_id(t, index_ids[k]);
            ASSERT(ix != NULL);
            st = table_index_key(t, ix, rows[r].values, &b);
            if (st == NULL) {
                op_row[nops] = r;
                op_index[nops] = index_ids[k];
                ops[nops].kind =
                    ix->unique ? SHERD__V1__OP_KIND__OP_INSERT : SHERD__V1__OP_KIND__OP_PUT;
                ops[nops].key = keep(a, &b);
                ops[nops].value = rows[r].key;
                /* A writer may have made the entry already: then it is the same row's, or a
                 * duplicate. */
                ops[nops].skip_conflict = ix->unique;
                nops++;
            }
        }
    }
    struct txn_write_result result = {0};
    if (st == NULL && nops > 0) {
        st = txn_write(d->f, txn, a, ops, nops, t->id, t->version, false, &result);
    }
    if (st == NULL && result.nskipped > 0) {
        /* Who holds those entries? They may be newer than the snapshot. */
        st = own == NULL ? txn_statement_begin(d->f, txn) : NULL;
        for (int i = 0; i < result.nskipped && st == NULL; i++) {
            int op = result.skipped[i];
            const Sherd__V1__IndexDesc *ix = index_by_id(t, op_index[op]);
            struct fragment fr = {.table_id = t->id,
                                  .index_id = ix->index_id,
                                  .schema_version = t->version,
                                  .is_keys_only = true,
                                  .with_key = true,
                                  .limit = -1,
                                  .nspans = 1};
            struct buf end = {0};
            buf_put_slice(&end, ops[op].key);
            buf_put_u8(&end, 0);
            struct key_span span = {.start = ops[op].key, .end = keep(a, &end), .is_point = true};
            buf_deinit(&end);
            fr.spans = &span;
            struct op *scan = txn_scan(a, txn, &fr, false);
            struct batch *found;
            st = op_next(d->f, scan, &found);
            if (st == NULL && found != NULL && found->nrows > 0 &&
                !slice_eq(datum_slice(&found->cols[found->ncols - 1][0]), ops[op].value)) {
                st = could_not_create(t, ix, rows[op_row[op]].values);
            }
            op_close(scan);
        }
    }
    st = batch_end(d, txn, own, st);
    if (st == NULL) {
        *out_end = is_end;
        buf_clear(out_last);
        if (n > 0) {
            buf_put_slice(out_last, rows[n - 1].key);
        }
    }
    buf_deinit(&b);
    arena_destroy(a);
    return st;
}

struct status *backfill(struct ddl *d, const Sherd__V1__TableDesc *t, const uint32_t *index_ids,
                        int count, struct txn *own)
{
    struct buf last = {0}, next = {0};
    bool is_end = false;
    int conflicts = 0;
    struct status *st = NULL;
    while (!is_end && st == NULL) {
        st = backfill_batch(d, t, index_ids, count, buf_slice(&last), &next, &is_end, own);
        if (status_is(st, STATUS_CONFLICT) && own == NULL && ++conflicts < CONFLICTS_MAX) {
            status_free(st);
            st = fiber_sleep(d->f, ms_to_ns(5));
            continue;
        }
        if (st == NULL) {
            conflicts = 0;
            buf_clear(&last);
            buf_put_slice(&last, buf_slice(&next));
            st = fiber_check(d->f);
        }
    }
    buf_deinit(&last);
    buf_deinit(&next);
    return st;
}

/* Rows that the transaction itself has written are seen by nobody else: then it fills the index
 * itself. Else small transactions do, whose rows go if it does not commit. */
static struct status *begin_fill(struct ddl *d, const Sherd__V1__TableDesc *t, uint32_t from,
                                 uint32_t to, struct txn **out_own)
{
    TRY(schema_check_rows(d->schema));
    *out_own = txn_has_written(d->x->txn, t->id) ? d->x->txn : NULL;
    if (*out_own != NULL) {
        d->has_rows = true;
        return NULL;
    }
    return schema_note_built(d->f, d->schema, t->id, from, to);
}

static bool is_empty_new(const struct ddl *d, const Sherd__V1__TableDesc *t)
{
    return schema_is_new(d->schema, t->id) && !txn_has_written(d->x->txn, t->id);
}

struct status *fill_locked(struct ddl *d, const Sherd__V1__TableDesc *t, uint32_t index_id)
{
    if (is_empty_new(d, t)) {
        return NULL;
    }
    struct txn *own;
    TRY(begin_fill(d, t, index_id, index_id + 1, &own));
    TRY(backfill(d, t, &index_id, 1, own));
    return own == NULL ? schema_settle(d->f, d->schema) : NULL;
}

/* ---- TRUNCATE inside a transaction ---- */

struct status *delete_all_rows(struct ddl *d, const Sherd__V1__TableDesc *t, struct txn *txn)
{
    struct buf last = {0}, b = {0};
    struct status *st = NULL;
    for (;;) {
        struct arena *a = arena_create(0);
        struct row_copy *rows;
        int n = 0;
        bool is_end = false;
        st = read_rows(d, a, txn, t, t->version, buf_slice(&last), LOCK_UPDATE, FILL_ROWS, &rows,
                       &n, &is_end);
        struct txn_write *ops = ARENA_ARRAY(a, struct txn_write, n * (int)t->n_indexes + 1);
        int nops = 0;
        for (int r = 0; r < n && st == NULL; r++) {
            for (size_t k = 0; k < t->n_indexes && st == NULL; k++) {
                st = table_index_key(t, t->indexes[k], rows[r].values, &b);
                ops[nops].kind = SHERD__V1__OP_KIND__OP_DELETE;
                ops[nops++].key = keep(a, &b);
            }
        }
        struct txn_write_result result;
        if (st == NULL && nops > 0) {
            st = txn_write(d->f, txn, a, ops, nops, t->id, t->version, false, &result);
        }
        if (st == NULL && n > 0) {
            buf_clear(&last);
            buf_put_slice(&last, rows[n - 1].key);
        }
        arena_destroy(a);
        if (st != NULL || is_end) {
            break;
        }
    }
    buf_deinit(&last);
    buf_deinit(&b);
    if (status_is(st, STATUS_LIMIT)) {
        return status_hint(
            st, "The table is too large for a transactional TRUNCATE: drop it and create it anew.");
    }
    return st;
}

/* ---- ALTER TABLE ... ADD PRIMARY KEY ---- */

/* Copies one batch of rows under the new keys. The table is fenced: nobody else reads or writes it.
 */
static struct status *rekey_batch(struct ddl *d, const Sherd__V1__TableDesc *old,
                                  const Sherd__V1__TableDesc *fresh, struct slice after,
                                  struct buf *out_last, bool *out_end, struct txn *own)
{
    struct txn_options o = {.isolation = TXN_REPEATABLE_READ};
    struct txn *txn = own != NULL ? own : txn_begin(d->router, &o);
    struct arena *a = arena_create(0);
    struct row_copy *rows;
    int n = 0;
    bool is_end = false;
    struct status *st =
        read_rows(d, a, txn, old, fresh->version, after, LOCK_NONE, FILL_ROWS, &rows, &n, &is_end);
    struct txn_write *ops = ARENA_ARRAY(a, struct txn_write, n * (int)fresh->n_indexes + 1);
    int *op_row = ARENA_ARRAY(a, int, n *(int)fresh->n_indexes + 1);
    struct buf b = {0};
    int nops = 0;
    struct row_column *layout = row_layout(a, fresh);
    const Sherd__V1__IndexDesc *pk = fresh->indexes[0];
    for (int r = 0; r < n && st == NULL; r++) {
        for (size_t k = 0; k < pk->n_columns && st == NULL; k++) {
            uint32_t ordinal = pk->columns[k]->ordinal;
            if (rows[r].values[ordinal].is_null) {
                st =
                    status_about(status_sql(CONSTRAINT, "23502",
                                            "column \"%s\" of relation \"%s\" contains null values",
                                            fresh->columns[ordinal]->name, fresh->name),
                                 fresh->name, fresh->columns[ordinal]->name, NULL);
            }
        }
        struct slice new_key = {0};
        for (size_t k = 0; k < fresh->n_indexes && st == NULL; k++) {
            const Sherd__V1__IndexDesc *ix = fresh->indexes[k];
            st = table_index_key(fresh, ix, rows[r].values, &b);
            op_row[nops] = r;
            ops[nops].kind =
                ix->unique ? SHERD__V1__OP_KIND__OP_INSERT : SHERD__V1__OP_KIND__OP_PUT;
            ops[nops].key = keep(a, &b);
            if (k == 0) {
                new_key = ops[nops].key;
                row_encode(&b, layout, (int)fresh->n_columns, rows[r].values);
                ops[nops].value = keep(a, &b);
            } else {
                ops[nops].value = new_key;
            }
            nops++;
        }
    }
    struct txn_write_result result = {0};
    if (st == NULL && nops > 0) {
        st = txn_write(d->f, txn, a, ops, nops, fresh->id, fresh->version, false, &result);
    }
    if (st == NULL && result.failed) {
        st = could_not_create(fresh, pk, rows[op_row[result.conflict_op]].values);
    }
    st = batch_end(d, txn, own, st);
    if (st == NULL) {
        *out_end = is_end;
        buf_clear(out_last);
        if (n > 0) {
            buf_put_slice(out_last, rows[n - 1].key);
        }
    }
    buf_deinit(&b);
    arena_destroy(a);
    return st;
}

static struct status *rekey_rows(struct ddl *d, const Sherd__V1__TableDesc *old,
                                 const Sherd__V1__TableDesc *fresh, struct txn *own)
{
    struct buf last = {0}, next = {0};
    bool is_end = false;
    int conflicts = 0;
    struct status *st = NULL;
    while (!is_end && st == NULL) {
        st = rekey_batch(d, old, fresh, buf_slice(&last), &next, &is_end, own);
        if (status_is(st, STATUS_CONFLICT) && own == NULL && ++conflicts < CONFLICTS_MAX) {
            status_free(st); /* nobody else is here: a leader was lost, or asked too late */
            st = fiber_sleep(d->f, ms_to_ns(5));
            continue;
        }
        if (st == NULL) {
            conflicts = 0;
            buf_clear(&last);
            buf_put_slice(&last, buf_slice(&next));
            st = fiber_check(d->f);
        }
    }
    buf_deinit(&last);
    buf_deinit(&next);
    return st;
}

struct status *rekey(struct ddl *d, const Sherd__V1__TableDesc *t, const char *name,
                     const uint32_t *ordinals, int n)
{
    Sherd__V1__TableDesc *fresh;
    TRY(copy_table(d, t, &fresh));
    uint32_t old_first = t->indexes[0]->index_id, old_last = t->next_index_id;
    ddl_raise_version(d, fresh);
    fresh->hidden_primary_key = false;
    Sherd__V1__IndexDesc *pk = fresh->indexes[0];
    uint32_t oid; /* and the id of a job */
    TRY(ddl_allocate(d, 2, &oid));
    for (size_t i = 0; i < fresh->n_indexes; i++) {
        fresh->indexes[i]->index_id = fresh->next_index_id++;
        if (!is_empty_new(d, t)) {
            fresh->indexes[i]->usable_from = INDEX_USABLE_BY_MAKER;
        }
        old_first = t->indexes[i]->index_id < old_first ? t->indexes[i]->index_id : old_first;
    }
    pk->oid = oid;
    pk->name = arena_strdup(d->a, name);
    pk->constraint = true;
    pk->n_columns = (size_t)n;
    pk->columns = ARENA_ARRAY(d->a, Sherd__V1__IndexColumn *, n);
    for (int i = 0; i < n; i++) {
        pk->columns[i] = ARENA_NEW(d->a, Sherd__V1__IndexColumn);
        sherd__v1__index_column__init(pk->columns[i]);
        pk->columns[i]->ordinal = ordinals[i];
        fresh->columns[ordinals[i]]->not_null = true;
    }
    for (size_t i = 0; i < fresh->n_columns; i++) {
        if (strcmp(fresh->columns[i]->name, "sherd_rowid") == 0 && t->hidden_primary_key) {
            fresh->columns[i]->dropped = true;
            fresh->columns[i]->not_null = false;
        }
    }
    struct slice key = key_id4(d, "table/", t->id);
    struct slice name_key = key_rel_name(d, t->database_id, t->schema_id, name);
    ddl_compare(d, key);
    ddl_put(d, key, fresh);
    ddl_must_not_exist(d, name_key);
    ddl_put_bytes(d, name_key, rel_value(d, 'i', t->id));
    if (fresh->sharding == SHERD__V1__SHARDING__SHARDING_HASH) {
        sharding_request(d, fresh, oid + 1); /* its buckets begin elsewhere now */
    }
    TRY(ddl_apply(d));
    if (is_empty_new(d, t)) {
        return NULL;
    }
    struct txn *own;
    TRY(begin_fill(d, t, old_last, fresh->next_index_id, &own));
    TRY(rekey_rows(d, t, fresh, own));
    schema_wipe(d->schema, t->id, old_first, old_last);
    return own == NULL ? schema_settle(d->f, d->schema) : NULL;
}
