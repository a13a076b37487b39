/*
 * Rows to key operations: the primary row and its index entries, sent in phases so that a statement
 * that moves keys about (SET id = id + 1) deletes before it inserts, and foreign keys are looked at
 * when everything else is there.
 *
 * Values the descriptor demands come first: hidden key, generated columns, NOT NULL, CHECK. Errors
 * are PostgreSQL's, with table, column and constraint fields.
 */
#include "exec.h"

#include "analyze/analyze.h"
#include "analyze/analyze_limits.h"
#include "base/check.h"
#include "sql/codec.h"

/* ---- key sets ---- */

struct key_entry {
    struct key_entry *next;
    uint64_t hash;
    struct slice key;
    int value;
};

static uint64_t key_hash(struct slice k)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < k.len; i++) {
        h = (h ^ k.data[i]) * 1099511628211u;
    }
    return h ^ (h >> 29);
}

void key_set_init(struct key_set *s, struct arena *a)
{
    *s = (struct key_set){.a = a, .mask = 63};
    s->buckets = ARENA_ARRAY(a, struct key_entry *, 64);
}

static struct key_entry *entry_find(const struct key_set *s, struct slice key, uint64_t h)
{
    struct key_entry *e = s->buckets[h & s->mask];
    while (e != NULL && (e->hash != h || !slice_eq(e->key, key))) {
        e = e->next;
    }
    return e;
}

static void key_set_grow(struct key_set *s)
{
    size_t mask = s->mask * 2 + 1;
    struct key_entry **grown = ARENA_ARRAY(s->a, struct key_entry *, mask + 1);
    for (size_t i = 0; i <= s->mask; i++) {
        struct key_entry *e = s->buckets[i];
        while (e != NULL) {
            struct key_entry *next = e->next;
            e->next = grown[e->hash & mask];
            grown[e->hash & mask] = e;
            e = next;
        }
    }
    s->buckets = grown;
    s->mask = mask;
}

bool key_set_add(struct key_set *s, struct slice key, int **slot)
{
    uint64_t h = key_hash(key);
    struct key_entry *e = entry_find(s, key, h);
    bool is_new = e == NULL;
    if (is_new) {
        if (s->count > s->mask) {
            key_set_grow(s);
        }
        e = ARENA_NEW(s->a, struct key_entry);
        e->hash = h;
        e->key = arena_copy(s->a, key);
        e->next = s->buckets[h & s->mask];
        s->buckets[h & s->mask] = e;
        s->count++;
    }
    if (slot != NULL) {
        *slot = &e->value;
    }
    return is_new;
}

int *key_set_find(const struct key_set *s, struct slice key)
{
    struct key_entry *e = entry_find(s, key, key_hash(key));
    return e == NULL ? NULL : &e->value;
}

/* ---- rows ---- */

struct datum *row_of(struct arena *a, const struct batch *rows, int i)
{
    struct datum *row = ARENA_ARRAY(a, struct datum, rows->ncols + 1);
    for (int c = 0; c < rows->ncols; c++) {
        row[c] = rows->cols[c][i];
    }
    return row;
}

static struct status *failing_row(struct status *st, const struct table_write *t,
                                  const struct batch *rows, int i)
{
    struct buf b = {0};
    bool first = true;
    for (int c = 0; c < t->ncolumns; c++) {
        const Sherd__V1__ColumnDesc *col = t->table->columns[c];
        if (col->dropped || table_is_hidden(t->table, col)) {
            continue;
        }
        buf_printf(&b, "%s", first ? "" : ", ");
        first = false;
        const struct datum *d = &rows->cols[c][i];
        if (d->is_null) {
            buf_put(&b, "null", 4);
            continue;
        }
        struct buf v = {0};
        type_output(col->type, d, &v);
        if (v.len > 64) { /* long values are cut, as in PostgreSQL */
            v.len = 64;
            buf_put(&v, "...", 3);
        }
        buf_put_slice(&b, buf_slice(&v));
        buf_deinit(&v);
    }
    st = status_detail(st, "Failing row contains (%.*s).", (int)b.len,
                       b.len > 0 ? (const char *)b.data : "");
    buf_deinit(&b);
    return st;
}

/* Hidden keys: milliseconds, then random bits, rising on a router. One that exists (of another
 * router) makes the insert fail and is drawn again (insert_rows). */
static void fill_rowids(struct run *r, struct arena *a, struct batch *rows, int ordinal)
{
    static uint64_t last; /* one loop per process; in a simulation the nodes share it, harmlessly */
    struct loop *l = fiber_loop(r->f);
    uint64_t base = ((uint64_t)loop_wall_ms(l) << 21) + loop_random_below(l, 1u << 20);
    base = base > last ? base : last + 1;
    last = base + (uint64_t)rows->nrows;
    struct datum *col = ARENA_ARRAY(a, struct datum, rows->nrows + 1);
    for (int i = 0; i < rows->nrows; i++) {
        col[i] = datum_int((int64_t)((base + (uint64_t)i) & INT64_MAX));
    }
    rows->cols[ordinal] = col;
}

static struct status *check_not_null(const struct table_write *t, const struct batch *rows)
{
    for (int c = 0; c < t->ncolumns; c++) {
        const Sherd__V1__ColumnDesc *col = t->table->columns[c];
        if (!col->not_null || col->dropped) {
            continue;
        }
        for (int i = 0; i < rows->nrows; i++) {
            if (rows->cols[c][i].is_null) {
                struct status *st = status_sql(
                    CONSTRAINT, "23502",
                    "null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                    col->name, t->table->name);
                return status_about(failing_row(st, t, rows, i), t->table->name, col->name, NULL);
            }
        }
    }
    return NULL;
}

struct status *rows_complete(struct run *r, const struct table_write *t, struct arena *a,
                             struct batch *rows, bool is_insert)
{
    if (is_insert && t->rowid >= 0) {
        fill_rowids(r, a, rows, t->rowid);
    }
    struct eval_ctx ev = r->eval;
    ev.arena = a;
    for (int g = 0; g < t->ngenerated; g++) {
        struct datum *col = ARENA_ARRAY(a, struct datum, rows->nrows + 1);
        TRY(expr_eval(&ev, t->generated[g].value, rows, NULL, rows->nrows, col));
        rows->cols[t->generated[g].ordinal] = col;
    }
    TRY(check_not_null(t, rows));
    struct datum *v = t->nchecks > 0 ? ARENA_ARRAY(a, struct datum, rows->nrows + 1) : NULL;
    for (int c = 0; c < t->nchecks; c++) {
        TRY(expr_eval(&ev, t->check_exprs[c], rows, NULL, rows->nrows, v));
        for (int i = 0; i < rows->nrows; i++) {
            if (!v[i].is_null && v[i].i == 0) {
                const char *name = t->checks[c]->name;
                struct status *st =
                    status_sql(CONSTRAINT, "23514",
                               "new row for relation \"%s\" violates check constraint \"%s\"",
                               t->table->name, name);
                return status_about(failing_row(st, t, rows, i), t->table->name, NULL, name);
            }
        }
    }
    return NULL;
}

/* ---- operations ---- */

void writer_init(struct writer *w, struct run *r, const struct table_write *t, struct arena *a)
{
    *w = (struct writer){.r = r, .t = t, .a = a};
    key_set_init(&w->seen_parents, r->arena);
}

void writer_reset(struct writer *w)
{
    for (int i = 0; i < PHASES; i++) {
        w->phases[i] = (struct op_list){0};
    }
}

struct write_op *writer_add(struct writer *w, enum write_phase ph, Sherd__V1__OpKind kind,
                            struct slice key, struct slice value)
{
    struct op_list *l = &w->phases[ph];
    if (l->n == l->cap) {
        int cap = l->cap == 0 ? 16 : l->cap * 2;
        struct write_op *grown = ARENA_ARRAY(w->a, struct write_op, cap);
        if (l->n > 0) {
            memcpy(grown, l->ops, sizeof(*grown) * (size_t)l->n);
        }
        l->ops = grown;
        l->cap = cap;
    }
    struct write_op *op = &l->ops[l->n++];
    *op = (struct write_op){.op = {.kind = kind, .key = key, .value = value},
                            .is_update = w->in_update};
    return op;
}

struct slice writer_key(struct writer *w, const Sherd__V1__IndexDesc *ix, const struct datum *row,
                        struct status **st)
{
    struct buf b = {0};
    struct slice s = slice_make(NULL, 0);
    *st = table_index_key(w->t->table, ix, row, &b);
    if (*st == NULL) {
        s = arena_copy(w->a, buf_slice(&b));
    }
    buf_deinit(&b);
    return s;
}

static struct status *row_value(struct writer *w, const struct datum *row, struct slice *out)
{
    struct buf b = {0};
    row_encode(&b, w->t->row_columns, w->t->ncolumns, row);
    /* The keys are parts of the row: this is room for them too. */
    struct status *st = arena_reserve(w->a, b.len * (size_t)(2 + w->t->nindexes * 2) + 8192);
    if (st == NULL) {
        *out = arena_copy(w->a, buf_slice(&b));
    } else {
        st = status_hint(st, "The statement changes too many rows at once; work on fewer.");
    }
    buf_deinit(&b);
    return st;
}

static bool has_null_key(const Sherd__V1__IndexDesc *ix, const struct datum *row)
{
    for (size_t i = 0; i < ix->n_columns; i++) {
        if (row[ix->columns[i]->ordinal].is_null) {
            return true;
        }
    }
    return false;
}

/* Whether the row belongs to a partial index. */
static struct status *is_indexed(struct writer *w, const struct index_write *ix, struct datum *row,
                                 bool *out)
{
    *out = true;
    if (ix->where == NULL) {
        return NULL;
    }
    struct batch b = {.ncols = w->t->ncolumns, .nrows = 1, .cap = 1, .arena = w->a};
    b.cols = ARENA_ARRAY(w->a, struct datum *, w->t->ncolumns + 1);
    b.types = ARENA_ARRAY(w->a, uint32_t, w->t->ncolumns + 1);
    for (int c = 0; c < w->t->ncolumns; c++) {
        b.types[c] = w->t->table->columns[c]->type;
        b.cols[c] = &row[c];
    }
    struct eval_ctx ev = w->r->eval;
    ev.arena = w->a;
    struct datum d;
    TRY(expr_eval(&ev, ix->where, &b, NULL, 1, &d));
    *out = !d.is_null && d.i != 0;
    return NULL;
}

static struct status *put_entry(struct writer *w, const struct index_write *ix, struct slice key,
                                struct slice pk, struct datum *row)
{
    bool must_be_new = ix->desc->unique && !has_null_key(ix->desc, row);
    struct write_op *op = writer_add(
        w, PHASE_PUT, must_be_new ? SHERD__V1__OP_KIND__OP_INSERT : SHERD__V1__OP_KIND__OP_PUT, key,
        pk);
    op->index = ix;
    op->row = row;
    op->op.lock = LOCK_UPDATE;
    return NULL;
}

struct status *write_insert(struct writer *w, struct datum *row)
{
    struct status *st = NULL;
    const struct table_write *t = w->t;
    struct slice value;
    TRY(row_value(w, row, &value));
    struct slice pk = writer_key(w, t->indexes[0].desc, row, &st);
    TRY(st);
    struct write_op *op = writer_add(w, PHASE_PUT, SHERD__V1__OP_KIND__OP_INSERT, pk, value);
    op->index = &t->indexes[0];
    op->row = row;
    op->op.lock = LOCK_UPDATE;
    for (int i = 1; i < t->nindexes; i++) {
        bool wanted;
        TRY(is_indexed(w, &t->indexes[i], row, &wanted));
        if (!wanted || t->indexes[i].desc->state == SHERD__V1__INDEX_STATE__INDEX_DELETE_ONLY) {
            continue;
        }
        struct slice key = writer_key(w, t->indexes[i].desc, row, &st);
        TRY(st);
        TRY(put_entry(w, &t->indexes[i], key, pk, row));
    }
    return foreign_parents(w, NULL, row);
}

struct status *write_delete(struct writer *w, struct datum *old)
{
    struct status *st = NULL;
    const struct table_write *t = w->t;
    TRY(arena_reserve(w->a, 16384));
    for (int i = 0; i < t->nindexes; i++) {
        bool wanted;
        TRY(is_indexed(w, &t->indexes[i], old, &wanted));
        if (!wanted) {
            continue;
        }
        struct slice key = writer_key(w, t->indexes[i].desc, old, &st);
        TRY(st);
        writer_add(w, PHASE_DELETE, SHERD__V1__OP_KIND__OP_DELETE, key, slice_make(NULL, 0))
            ->op.lock = LOCK_UPDATE;
    }
    return foreign_children(w, old, NULL);
}

static struct status *update_entry(struct writer *w, const struct index_write *ix,
                                   struct datum *old, struct datum *new_row, struct slice pk,
                                   bool pk_moves)
{
    struct status *st = NULL;
    bool was, is;
    TRY(is_indexed(w, ix, old, &was));
    TRY(is_indexed(w, ix, new_row, &is));
    is = is && ix->desc->state != SHERD__V1__INDEX_STATE__INDEX_DELETE_ONLY;
    struct slice old_key = writer_key(w, ix->desc, old, &st);
    TRY(st);
    struct slice new_key = writer_key(w, ix->desc, new_row, &st);
    TRY(st);
    if (was && is && slice_eq(old_key, new_key)) {
        if (pk_moves) { /* the entry points at the row's new key */
            writer_add(w, PHASE_PUT, SHERD__V1__OP_KIND__OP_PUT, new_key, pk)->op.lock =
                LOCK_UPDATE;
        } else if (ix->desc->state != SHERD__V1__INDEX_STATE__INDEX_PUBLIC) {
            /* The backfill may not have come here yet. */
            writer_add(w, PHASE_PUT, SHERD__V1__OP_KIND__OP_PUT, new_key, pk)->op.lock =
                LOCK_UPDATE;
        }
        return NULL;
    }
    if (was) {
        writer_add(w, PHASE_DELETE, SHERD__V1__OP_KIND__OP_DELETE, old_key, slice_make(NULL, 0))
            ->op.lock = LOCK_UPDATE;
    }
    return is ? put_entry(w, ix, new_key, pk, new_row) : NULL;
}

static struct status *update_ops(struct writer *w, struct datum *old, struct datum *new_row)
{
    struct status *st = NULL;
    const struct table_write *t = w->t;
    struct slice value;
    TRY(row_value(w, new_row, &value));
    struct slice old_pk = writer_key(w, t->indexes[0].desc, old, &st);
    TRY(st);
    struct slice pk = old_pk;
    if (t->indexes[0].is_key_changed) {
        pk = writer_key(w, t->indexes[0].desc, new_row, &st);
        TRY(st);
    }
    bool moves = !slice_eq(old_pk, pk);
    struct write_op *op;
    if (moves) {
        op =
            writer_add(w, PHASE_DELETE, SHERD__V1__OP_KIND__OP_DELETE, old_pk, slice_make(NULL, 0));
        op->op.lock = LOCK_UPDATE;
        op->op.is_moved = true;
        op = writer_add(w, PHASE_PUT, SHERD__V1__OP_KIND__OP_INSERT, pk, value);
        op->index = &t->indexes[0];
        op->row = new_row;
        op->op.lock = LOCK_UPDATE;
    } else {
        op = writer_add(w, PHASE_PUT, SHERD__V1__OP_KIND__OP_PUT, pk, value);
        op->op.lock = t->lock != LOCK_NONE ? t->lock : LOCK_UPDATE;
    }
    for (int i = 1; i < t->nindexes; i++) {
        if (moves || t->indexes[i].is_key_changed ||
            t->indexes[i].desc->state != SHERD__V1__INDEX_STATE__INDEX_PUBLIC) {
            TRY(update_entry(w, &t->indexes[i], old, new_row, pk, moves));
        }
    }
    TRY(foreign_parents(w, old, new_row));
    return foreign_children(w, old, new_row);
}

struct status *write_update(struct writer *w, struct datum *old, struct datum *new_row)
{
    w->in_update = true;
    struct status *st = update_ops(w, old, new_row);
    w->in_update = false;
    return st;
}

/* ---- sending ---- */

static struct status *op_failed(struct writer *w, const struct write_op *op)
{
    if (op->fk != NULL) {
        return foreign_error(op);
    }
    if (op->index == NULL) {
        return status_new(INTERNAL, "a write that cannot fail was refused");
    }
    w->failed_index = op->index;
    w->failed_row = op->row;
    if (w->wants_conflicts && !op->is_update) {
        return NULL;
    }
    return unique_violation(w->t->table, op->index->desc, op->row);
}

static struct status *send_ops(struct writer *w, struct txn_write *ops,
                               const struct write_op *const *src, int n, bool is_last)
{
    struct txn_write_result res = {.conflict_op = -1};
    TRY(txn_write(w->r->f, w->r->x->txn, w->a, ops, n, w->t->table->id, w->t->table->version,
                  is_last, &res));
    if (!res.failed) {
        return NULL;
    }
    if (res.conflict_op < 0 || res.conflict_op >= n) {
        return status_new(INTERNAL, "a write was refused without a reason");
    }
    return op_failed(w, src[res.conflict_op]);
}

struct status *writer_flush(struct writer *w, bool is_last)
{
    int total = 0;
    for (int i = 0; i < PHASES; i++) {
        total += w->phases[i].n;
    }
    w->failed_index = NULL;
    w->calls = 0;
    if (total == 0) {
        return NULL;
    }
    const struct write_op **src = ARENA_ARRAY(w->a, const struct write_op *, total);
    struct txn_write *ops = ARENA_ARRAY(w->a, struct txn_write, total);
    int n = 0;
    for (int i = 0; i < PHASES; i++) {
        for (int k = 0; k < w->phases[i].n; k++) {
            src[n] = &w->phases[i].ops[k];
            ops[n++] = w->phases[i].ops[k].op;
        }
    }
    for (int start = 0; start < n && w->failed_index == NULL;) {
        size_t bytes = 0;
        int end = start;
        while (end < n && end - start < WRITE_OPS_MAX && bytes < WRITE_BYTES_MAX) {
            bytes += ops[end].key.len + ops[end].value.len + 16;
            end++;
        }
        TRY(send_ops(w, ops + start, src + start, end - start, is_last && end == n));
        start = end;
        w->calls += w->failed_index == NULL;
    }
    writer_reset(w);
    return NULL;
}
