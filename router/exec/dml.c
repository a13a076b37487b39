/*
 * INSERT, UPDATE and DELETE at execution.
 *
 * UPDATE and DELETE are done in the shards where the plan allows it; a row that breaks a constraint
 * makes the statement run again the other way, which knows the error. Otherwise they read all the
 * rows they change (locked by their scan) before the first write, and so does an INSERT whose
 * source reads a table: a statement never sees its own writes. Other INSERTs stream in chunks. What
 * RETURNING gives is computed before the last write goes out, since that one may carry the commit.
 */
#include "exec.h"

#include "analyze/analyze.h"
#include "base/check.h"

enum { ROWID_TRIES = 4 };

static struct batch *columns_batch(struct arena *a, const struct table_write *t, int nrows)
{
    struct batch *b = ARENA_NEW(a, struct batch);
    b->ncols = t->ncolumns;
    b->nrows = b->cap = nrows;
    b->arena = a;
    b->types = ARENA_ARRAY(a, uint32_t, t->ncolumns + 1);
    b->cols = ARENA_ARRAY(a, struct datum *, t->ncolumns + 1);
    for (int c = 0; c < t->ncolumns; c++) {
        b->types[c] = t->table->columns[c]->type;
    }
    return b;
}

static struct datum *null_column(struct arena *a, int n)
{
    struct datum *d = ARENA_ARRAY(a, struct datum, n + 1);
    for (int i = 0; i < n; i++) {
        d[i] = DATUM_NULL;
    }
    return d;
}

struct status *returning_rows(struct run *r, const struct plan_write *pw, const struct batch *rows,
                              const struct batch *input, struct batch_list *out)
{
    int n = pw->nreturning;
    if (n == 0 || rows->nrows == 0) {
        return NULL;
    }
    struct arena *a = r->arena;
    TRY(arena_reserve(a, (size_t)rows->nrows * (size_t)n * sizeof(struct datum) * 2));
    int ninput = input == NULL ? 0 : input->ncols;
    struct batch in = {
        .ncols = rows->ncols + ninput, .nrows = rows->nrows, .cap = rows->nrows, .arena = a};
    in.cols = ARENA_ARRAY(a, struct datum *, in.ncols + 1);
    in.types = ARENA_ARRAY(a, uint32_t, in.ncols + 1);
    for (int c = 0; c < in.ncols; c++) {
        in.types[c] = c < rows->ncols ? rows->types[c] : input->types[c - rows->ncols];
        in.cols[c] = c < rows->ncols ? rows->cols[c] : input->cols[c - rows->ncols];
    }
    uint32_t *types = ARENA_ARRAY(a, uint32_t, n);
    for (int i = 0; i < n; i++) {
        types[i] = pw->returning[i]->type;
    }
    struct batch *b = batch_create(a, n, types, rows->nrows);
    b->nrows = rows->nrows;
    for (int i = 0; i < n; i++) {
        TRY(expr_eval(&r->eval, pw->returning[i], &in, NULL, rows->nrows, b->cols[i]));
    }
    TRY(arena_reserve(a, batch_bytes(b)));
    batch_list_add(a, out, batch_deep_copy(a, b));
    return NULL;
}

/* ---- INSERT ---- */

struct status *insert_rows(struct run *r, const struct table_write *t, struct writer *w,
                           struct arena *a, struct batch *rows, bool is_last)
{
    for (int attempt = 0;; attempt++) {
        for (int i = 0; i < rows->nrows; i++) {
            TRY(write_insert(w, row_of(a, rows, i)));
        }
        bool may_retry = t->rowid >= 0 && attempt < ROWID_TRIES;
        w->wants_conflicts = may_retry;
        TRY(writer_flush(w, is_last));
        if (w->failed_index == NULL) {
            return NULL;
        }
        if (!w->failed_index->desc->primary) {
            return unique_violation(t->table, w->failed_index->desc, w->failed_row);
        }
        if (w->calls > 0) { /* a part of the rows is in already */
            return status_sql(CONFLICT, "40001",
                              "could not serialize access: hidden row ids have collided");
        }
        TRY(rows_complete(r, t, a, rows, true)); /* a hidden key was taken: draw others */
    }
}

static struct batch *insert_chunk(struct arena *a, const struct table_write *t,
                                  const struct batch *b)
{
    struct batch *rows = columns_batch(a, t, b->nrows);
    for (int c = 0; c < t->ncolumns; c++) {
        rows->cols[c] = t->table->columns[c]->dropped ? null_column(a, b->nrows) : b->cols[c];
    }
    return rows;
}

static struct status *insert_one(struct run *r, const struct plan_write *pw, struct writer *w,
                                 struct arena *a, const struct batch *b, bool is_last,
                                 struct batch_list *returned)
{
    struct batch *rows = insert_chunk(a, &pw->t, b);
    TRY(rows_complete(r, &pw->t, a, rows, true));
    if (pw->nreturning > 0) {
        TRY(returning_rows(r, pw, rows, NULL, returned));
    }
    TRY(insert_rows(r, &pw->t, w, a, rows, is_last));
    r->x->rows_affected += (uint64_t)rows->nrows;
    return NULL;
}

/* Whether a later chunk may bring the parent that a row of this one refers to. */
static bool refers_to_itself(const struct table_write *t)
{
    for (int i = 0; i < t->nparents; i++) {
        if (t->parents[i].parent == t->table) {
            return true;
        }
    }
    return false;
}

/* One batch is read ahead, so that the last one is known to be the last. */
static struct status *insert_stream(struct run *r, const struct plan_write *pw, struct op *in,
                                    struct batch_list *returned)
{
    struct arena *arenas[2] = {arena_create(0), arena_create(0)};
    struct batch *next = NULL, *b = NULL;
    struct writer w;
    struct status *st = op_next(r->f, in, &b);
    if (st == NULL && b != NULL) {
        st = arena_reserve(arenas[0], batch_bytes(b) * 2);
        b = st == NULL ? batch_deep_copy(arenas[0], b) : b;
    }
    writer_init(&w, r, &pw->t, arenas[0]);
    for (int i = 0; st == NULL && b != NULL; i = 1 - i) {
        st = op_next(r->f, in, &next);
        if (st != NULL) {
            break;
        }
        if (next != NULL) {
            st = arena_reserve(arenas[1 - i], batch_bytes(next) * 2);
            if (st != NULL) {
                break;
            }
            next = batch_deep_copy(arenas[1 - i], next);
        }
        w.a = arenas[i];
        st = insert_one(r, pw, &w, arenas[i], b, next == NULL && r->x->is_last, returned);
        writer_reset(&w);
        arena_reset(arenas[i]);
        b = next;
    }
    op_close(in);
    arena_destroy(arenas[0]);
    arena_destroy(arenas[1]);
    return st;
}

static struct status *insert_all(struct run *r, const struct plan_write *pw, struct op *in,
                                 struct batch_list *returned)
{
    struct batch_list rows = {0};
    TRY(materialize(r, r->arena, in, &rows));
    if (pw->dml->conflict != CONFLICT_ERROR) {
        return insert_conflicts(r, pw, &rows, returned);
    }
    struct writer w;
    writer_init(&w, r, &pw->t, r->arena);
    for (int i = 0; i < rows.n; i++) {
        struct batch *chunk = insert_chunk(r->arena, &pw->t, rows.b[i]);
        TRY(rows_complete(r, &pw->t, r->arena, chunk, true));
        TRY(returning_rows(r, pw, chunk, NULL, returned));
        if (refers_to_itself(&pw->t)) { /* all at once, checks last */
            for (int k = 0; k < chunk->nrows; k++) {
                TRY(write_insert(&w, row_of(r->arena, chunk, k)));
            }
        } else {
            TRY(insert_rows(r, &pw->t, &w, r->arena, chunk, r->x->is_last && i == rows.n - 1));
        }
        r->x->rows_affected += (uint64_t)chunk->nrows;
    }
    return writer_flush(&w, r->x->is_last);
}

/* ---- UPDATE, DELETE ---- */

static struct batch *old_rows(struct arena *a, const struct plan_write *pw, const struct batch *in)
{
    struct batch *old = columns_batch(a, &pw->t, in->nrows);
    for (int c = 0; c < pw->t.ncolumns; c++) {
        old->cols[c] = pw->old_cols[c] < 0 ? null_column(a, in->nrows) : in->cols[pw->old_cols[c]];
    }
    return old;
}

/* Only the first of several rows of the input for one row of the table. */
static struct status *drop_repeated(struct run *r, const struct plan_write *pw,
                                    struct key_set *seen, struct batch *in)
{
    struct arena *a = r->arena;
    struct batch *old = old_rows(a, pw, in);
    int n = 0;
    for (int i = 0; i < in->nrows; i++) {
        struct buf key = {0};
        struct datum *row = row_of(a, old, i);
        struct status *st = table_index_key(pw->t.table, pw->t.indexes[0].desc, row, &key);
        bool is_new = st == NULL && key_set_add(seen, buf_slice(&key), NULL);
        buf_deinit(&key);
        TRY(st);
        if (is_new) {
            for (int c = 0; c < in->ncols; c++) {
                in->cols[c][n] = in->cols[c][i];
            }
            n++;
        }
    }
    in->nrows = n;
    return NULL;
}

static struct status *update_batch(struct run *r, const struct plan_write *pw, struct writer *w,
                                   struct batch *in, struct batch_list *returned)
{
    struct arena *a = r->arena;
    struct batch *old = old_rows(a, pw, in), *rows = columns_batch(a, &pw->t, in->nrows);
    memcpy(rows->cols, old->cols, sizeof(*rows->cols) * (size_t)rows->ncols);
    TRY(arena_reserve(a, (size_t)in->nrows * (size_t)(pw->nsets + 1) * sizeof(struct datum)));
    for (int s = 0; s < pw->nsets; s++) {
        struct datum *col = ARENA_ARRAY(a, struct datum, in->nrows + 1);
        TRY(expr_eval(&r->eval, pw->sets[s].value, in, NULL, in->nrows, col));
        rows->cols[pw->sets[s].ordinal] = col;
    }
    TRY(rows_complete(r, &pw->t, a, rows, false));
    TRY(returning_rows(r, pw, rows, in, returned));
    for (int i = 0; i < in->nrows; i++) {
        TRY(write_update(w, row_of(a, old, i), row_of(a, rows, i)));
    }
    return NULL;
}

static struct status *delete_batch(struct run *r, const struct plan_write *pw, struct writer *w,
                                   struct batch *in, struct batch_list *returned)
{
    struct batch *old = old_rows(r->arena, pw, in);
    TRY(returning_rows(r, pw, old, in, returned));
    for (int i = 0; i < in->nrows; i++) {
        TRY(write_delete(w, row_of(r->arena, old, i)));
    }
    return NULL;
}

static struct status *change_rows(struct run *r, const struct plan_write *pw, struct op *in,
                                  struct batch_list *returned)
{
    struct batch_list rows = {0};
    TRY(materialize(r, r->arena, in, &rows));
    struct writer w;
    struct key_set seen;
    bool is_update = r->plan->tag == PLAN_UPDATE;
    writer_init(&w, r, &pw->t, r->arena);
    key_set_init(&seen, r->arena);
    for (int i = 0; i < rows.n; i++) {
        if (pw->dml->has_from) {
            TRY(drop_repeated(r, pw, &seen, rows.b[i]));
        }
        TRY(is_update ? update_batch(r, pw, &w, rows.b[i], returned)
                      : delete_batch(r, pw, &w, rows.b[i], returned));
        r->x->rows_affected += (uint64_t)rows.b[i]->nrows;
    }
    return writer_flush(&w, r->x->is_last && !foreign_is_deferred(&pw->t));
}

/* *out_done false: nothing is changed, the rows have to be looked at here. */
static struct status *change_in_shards(struct run *r, const struct plan_write *pw,
                                       struct batch_list *returned, bool *out_done)
{
    struct arena *a = r->arena;
    const struct pnode *n = r->plan->root;
    struct fragment *fr;
    *out_done = true;
    TRY(scan_change(r, a, n->scan, pw->in_shards, &fr));
    if (fr == NULL) {
        return NULL;
    }
    struct batch_list rows = {0};
    struct op *op = txn_change(a, r->x->txn, fr, r->x->is_last);
    TRY(materialize(r, a, op, &rows));
    if (txn_change_refused(op)) {
        *out_done = false;
        return txn_undo_statement(r->f, r->x->txn);
    }
    for (int i = 0; i < rows.n; i++) {
        TRY(returning_rows(r, pw, rows.b[i], NULL, returned));
    }
    r->x->rows_affected += rows.rows;
    if (r->stats != NULL) {
        r->stats[n->id].rows += rows.rows;
        r->stats[n->id].loops++;
    }
    return NULL;
}

struct status *run_write(struct run *r, struct op **out)
{
    const struct plan_write *pw = r->plan->write;
    struct batch_list returned = {0};
    struct op *in = NULL;
    bool is_done = false, is_outermost = r->x->foreign == NULL;
    if (pw->in_shards != NULL) {
        TRY(change_in_shards(r, pw, &returned, &is_done));
    }
    if (!is_done) {
        TRY(run_open(r, r->arena, r->plan->root, &in));
    }
    if (is_done) {
        ASSERT(in == NULL);
    } else if (r->plan->tag != PLAN_INSERT) {
        TRY(change_rows(r, pw, in, &returned));
    } else if (pw->dml->reads_tables || pw->dml->conflict != CONFLICT_ERROR ||
               refers_to_itself(&pw->t)) {
        TRY(insert_all(r, pw, in, &returned));
    } else {
        TRY(insert_stream(r, pw, in, &returned));
    }
    if (is_outermost && r->x->foreign != NULL) {
        TRY(foreign_finish(r));
    }
    *out = NULL;
    if (pw->nreturning > 0) {
        uint32_t *types = ARENA_ARRAY(r->arena, uint32_t, pw->nreturning);
        for (int i = 0; i < pw->nreturning; i++) {
            types[i] = pw->returning[i]->type;
        }
        *out = op_batches(r->arena, pw->nreturning, types, returned.b, returned.n);
    }
    return NULL;
}
