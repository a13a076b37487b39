/*
 * ON CONFLICT: rows whose key is there already are looked up before anything is written, locked
 * when they are to be updated. Rows without a match are inserted as usual; if one of their keys
 * appears in between, the insert is refused as a whole and everything is looked up again; a
 * transaction that cannot see the newcomer gets 40001.
 */
#include "exec.h"

#include "analyze/analyze.h"
#include "base/check.h"
#include "sql/codec.h"

enum { TRIES = 3 };

struct existing {
    struct key_set keys; /* index key -> row number + 1 */
    int n, cap;
    struct datum **rows;
};

/* Reads the rows of the table that have one of the keys in this index. */
static struct status *look_up(struct run *r, const struct plan_write *pw,
                              const Sherd__V1__IndexDesc *ix, int n, struct datum **rows,
                              enum lock_mode lock, struct existing *out)
{
    struct arena *a = r->arena;
    const struct table_write *t = &pw->t;
    struct span_list spans = {.a = a};
    for (int i = 0; i < n; i++) {
        bool has_null = false;
        for (size_t k = 0; k < ix->n_columns; k++) {
            has_null |= rows[i][ix->columns[k]->ordinal].is_null;
        }
        if (has_null) {
            continue;
        }
        struct buf key = {0};
        TRY(table_index_key(t->table, ix, rows[i], &key));
        struct slice start = arena_copy(a, buf_slice(&key));
        buf_put_u8(&key, 0);
        span_add(&spans, (struct key_span){.start = start,
                                           .end = arena_copy(a, buf_slice(&key)),
                                           .is_point = true});
        buf_deinit(&key);
    }
    if (spans.n == 0) {
        return NULL;
    }
    spans_sort(&spans);
    struct fragment *fr = ARENA_NEW(a, struct fragment);
    fr->table_id = t->table->id;
    fr->index_id = ix->index_id;
    fr->schema_version = t->table->version;
    fr->usable_from = ix->usable_from;
    fr->is_lookup = !ix->primary;
    fr->is_apart = t->table->colocate_with != 0;
    fr->nrow_columns = t->ncolumns;
    fr->row_columns = t->row_columns;
    fr->columns = ARENA_ARRAY(a, int, t->ncolumns + 1);
    for (int c = 0; c < t->ncolumns; c++) {
        fr->columns[c] = c;
    }
    fr->ncolumns = t->ncolumns;
    fr->limit = -1;
    fr->lock = lock;
    fr->nspans = spans.n;
    fr->spans = spans.spans;
    struct batch_list found = {0};
    TRY(materialize(r, a, txn_scan(a, r->x->txn, fr, false), &found));
    for (int i = 0; i < found.n; i++) {
        for (int k = 0; k < found.b[i]->nrows; k++) {
            struct datum *row = row_of(a, found.b[i], k);
            struct buf key = {0};
            int *slot;
            TRY(table_index_key(t->table, ix, row, &key));
            bool is_new = key_set_add(&out->keys, buf_slice(&key), &slot);
            buf_deinit(&key);
            if (!is_new) {
                continue;
            }
            if (out->n == out->cap) {
                out->cap = out->cap == 0 ? 16 : out->cap * 2;
                struct datum **grown = ARENA_ARRAY(a, struct datum *, out->cap);
                if (out->n > 0) {
                    memcpy(grown, out->rows, sizeof(*grown) * (size_t)out->n);
                }
                out->rows = grown;
            }
            out->rows[out->n++] = row;
            *slot = out->n;
        }
    }
    return NULL;
}

static bool is_arbiter(const struct plan_write *pw, const Sherd__V1__IndexDesc *ix)
{
    return ix->unique && ix->state == SHERD__V1__INDEX_STATE__INDEX_PUBLIC &&
           (pw->dml->arbiter == NULL || pw->dml->arbiter->index_id == ix->index_id);
}

/* The key of the row in the arbiter index; false: it cannot conflict (a NULL). */
static struct status *arbiter_key(const struct plan_write *pw, const Sherd__V1__IndexDesc *ix,
                                  const struct datum *row, struct buf *out, bool *can)
{
    *can = true;
    for (size_t k = 0; k < ix->n_columns; k++) {
        *can &= !row[ix->columns[k]->ordinal].is_null;
    }
    return *can ? table_index_key(pw->t.table, ix, row, out) : NULL;
}

static struct batch *one_batch(struct arena *a, const struct table_write *t, struct datum *row)
{
    struct batch *b = ARENA_NEW(a, struct batch);
    b->ncols = t->ncolumns;
    b->nrows = b->cap = 1;
    b->arena = a;
    b->cols = ARENA_ARRAY(a, struct datum *, t->ncolumns + 1);
    b->types = ARENA_ARRAY(a, uint32_t, t->ncolumns + 1);
    for (int c = 0; c < t->ncolumns; c++) {
        b->cols[c] = &row[c];
        b->types[c] = t->table->columns[c]->type;
    }
    return b;
}

/* DO UPDATE of one existing row by one proposed row. */
static struct status *do_update(struct run *r, const struct plan_write *pw, struct writer *w,
                                struct datum *old, struct datum *proposed,
                                struct batch_list *returned)
{
    struct arena *a = r->arena;
    const struct table_write *t = &pw->t;
    struct batch both = {.ncols = t->ncolumns * 2, .nrows = 1, .cap = 1, .arena = a};
    both.cols = ARENA_ARRAY(a, struct datum *, both.ncols + 1);
    both.types = ARENA_ARRAY(a, uint32_t, both.ncols + 1);
    for (int c = 0; c < t->ncolumns; c++) {
        both.types[c] = both.types[t->ncolumns + c] = t->table->columns[c]->type;
        both.cols[c] = &old[c];
        both.cols[t->ncolumns + c] = &proposed[c];
    }
    if (pw->conflict_where != NULL) {
        struct datum d;
        TRY(expr_eval(&r->eval, pw->conflict_where, &both, NULL, 1, &d));
        if (d.is_null || d.i == 0) {
            return NULL;
        }
    }
    struct datum *row = ARENA_ARRAY(a, struct datum, t->ncolumns + 1);
    memcpy(row, old, sizeof(*row) * (size_t)t->ncolumns);
    for (int s = 0; s < pw->nsets; s++) {
        TRY(expr_eval(&r->eval, pw->sets[s].value, &both, NULL, 1, &row[pw->sets[s].ordinal]));
    }
    struct batch *b = one_batch(a, t, row);
    TRY(rows_complete(r, t, a, b, false));
    TRY(returning_rows(r, pw, b, NULL, returned));
    r->x->rows_affected++;
    return write_update(w, old, row_of(a, b, 0));
}

static struct status *twice(void)
{
    return status_hint(status_sql(INVALID, "21000",
                                  "ON CONFLICT DO UPDATE command cannot affect row a second time"),
                       "Ensure that no rows proposed for insertion within the same command have "
                       "duplicate constrained values.");
}

static struct status *try_once(struct run *r, const struct plan_write *pw, int n,
                               struct datum **rows, struct writer *w, struct batch_list *returned)
{
    struct arena *a = r->arena;
    bool updates = pw->dml->conflict == CONFLICT_UPDATE;
    struct existing ex = {0};
    key_set_init(&ex.keys, a);
    for (int i = 0; i < pw->t.nindexes; i++) {
        if (is_arbiter(pw, pw->t.indexes[i].desc)) {
            TRY(look_up(r, pw, pw->t.indexes[i].desc, n, rows, updates ? LOCK_UPDATE : LOCK_NONE,
                        &ex));
        }
    }
    for (int k = 0; k < n; k++) {
        int hit = 0;
        for (int i = 0; i < pw->t.nindexes && hit == 0; i++) {
            const Sherd__V1__IndexDesc *ix = pw->t.indexes[i].desc;
            struct buf key = {0};
            bool can = false;
            int *slot = NULL;
            if (is_arbiter(pw, ix)) {
                TRY(arbiter_key(pw, ix, rows[k], &key, &can));
            }
            if (can && (slot = key_set_find(&ex.keys, buf_slice(&key))) != NULL) {
                hit = *slot;
                *slot = updates ? -1 : *slot; /* -1: done by this statement */
            }
            buf_deinit(&key);
        }
        if (hit != 0) {
            if (updates && hit < 0) {
                return twice();
            }
            if (updates) {
                TRY(do_update(r, pw, w, ex.rows[hit - 1], rows[k], returned));
            }
            continue;
        }
        for (int i = 0; i < pw->t.nindexes;
             i++) { /* a later row of this statement may meet this one */
            struct buf key = {0};
            bool can = false;
            int *slot;
            if (is_arbiter(pw, pw->t.indexes[i].desc)) {
                TRY(arbiter_key(pw, pw->t.indexes[i].desc, rows[k], &key, &can));
            }
            if (can) {
                key_set_add(&ex.keys, buf_slice(&key), &slot);
                *slot = -1;
            }
            buf_deinit(&key);
        }
        TRY(returning_rows(r, pw, one_batch(a, &pw->t, rows[k]), NULL, returned));
        TRY(write_insert(w, rows[k]));
        r->x->rows_affected++;
    }
    return NULL;
}

struct status *insert_conflicts(struct run *r, const struct plan_write *pw, struct batch_list *list,
                                struct batch_list *out)
{
    struct arena *a = r->arena;
    struct datum **rows = ARENA_ARRAY(a, struct datum *, list->rows + 1);
    int n = 0;
    for (int i = 0; i < list->n; i++) {
        struct batch *b = list->b[i];
        for (int c = 0; c < pw->t.ncolumns; c++) {
            for (int k = 0; pw->t.table->columns[c]->dropped && k < b->nrows; k++) {
                b->cols[c][k] = DATUM_NULL;
            }
        }
        TRY(rows_complete(r, &pw->t, a, b, true));
        for (int k = 0; k < b->nrows; k++) {
            rows[n++] = row_of(a, b, k);
        }
    }
    for (int attempt = 0; attempt < TRIES; attempt++) {
        struct writer w;
        struct batch_list returned = {0};
        writer_init(&w, r, &pw->t, a);
        r->x->rows_affected = 0;
        r->x->foreign = NULL;
        TRY(try_once(r, pw, n, rows, &w, &returned));
        w.wants_conflicts = true;
        TRY(writer_flush(&w, r->x->is_last && !foreign_is_deferred(&pw->t)));
        if (w.failed_index == NULL) {
            *out = returned;
            return NULL;
        }
        if (pw->dml->arbiter != NULL &&
            w.failed_index->desc->index_id != pw->dml->arbiter->index_id) {
            return unique_violation(pw->t.table, w.failed_index->desc, w.failed_row);
        }
        if (w.calls > 0) {
            break;
        }
        TRY(txn_undo_statement(r->f, r->x->txn)); /* other shards have done their part of it */
    }
    return status_sql(CONFLICT, "40001", "could not serialize access due to concurrent update");
}
