/* The transaction layer of the test world: one ordered map, no versions; fragments run as in a
 * shard. See world.h. */
#include "world.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "router/txn.h"
#include "sql/codec.h"

struct entry {
    struct slice key, value;
};

struct undo {
    struct slice key, value;
    bool was_there;
};

struct fake_store {
    struct entry *e;
    size_t n, cap;
    struct undo *undo;
    size_t nundo, undo_cap;
    uint64_t scans, entries, moves;
};

struct fake_store *fake_store_create(void)
{
    return MEM_NEW(struct fake_store);
}

static struct slice dup(struct slice s)
{
    return slice_make(mem_strndup(s.len > 0 ? (const void *)s.data : "", s.len), s.len);
}

static void drop(struct slice s)
{
    mem_free((void *)s.data);
}

static void undo_clear(struct fake_store *s)
{
    for (size_t i = 0; i < s->nundo; i++) {
        drop(s->undo[i].key);
        drop(s->undo[i].value);
    }
    s->nundo = 0;
}

void fake_store_destroy(struct fake_store *s)
{
    undo_clear(s);
    for (size_t i = 0; i < s->n; i++) {
        drop(s->e[i].key);
        drop(s->e[i].value);
    }
    mem_free(s->e);
    mem_free(s->undo);
    mem_free(s);
}

struct txn *fake_txn(struct fake_store *s)
{
    return (struct txn *)s;
}

static struct fake_store *store_of(const struct txn *t)
{
    return (struct fake_store *)t;
}

/* First entry at or above the key. */
static size_t lower(const struct fake_store *s, struct slice key)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (slice_cmp(s->e[mid].key, key) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static bool is_at(const struct fake_store *s, size_t i, struct slice key)
{
    return i < s->n && slice_eq(s->e[i].key, key);
}

static void remember(struct fake_store *s, struct slice key, const struct slice *value)
{
    if (s->nundo == s->undo_cap) {
        s->undo_cap = s->undo_cap == 0 ? 64 : s->undo_cap * 2;
        s->undo = mem_realloc(s->undo, sizeof(*s->undo) * s->undo_cap);
    }
    s->undo[s->nundo++] =
        (struct undo){dup(key), value != NULL ? dup(*value) : slice_make(NULL, 0), value != NULL};
}

static void put_raw(struct fake_store *s, struct slice key, struct slice value)
{
    size_t i = lower(s, key);
    if (is_at(s, i, key)) {
        drop(s->e[i].value);
        s->e[i].value = dup(value);
        return;
    }
    if (s->n == s->cap) {
        s->cap = s->cap == 0 ? 256 : s->cap * 2;
        s->e = mem_realloc(s->e, sizeof(*s->e) * s->cap);
    }
    memmove(&s->e[i + 1], &s->e[i], sizeof(*s->e) * (s->n - i));
    s->e[i] = (struct entry){dup(key), dup(value)};
    s->n++;
}

static void delete_raw(struct fake_store *s, struct slice key)
{
    size_t i = lower(s, key);
    if (!is_at(s, i, key)) {
        return;
    }
    drop(s->e[i].key);
    drop(s->e[i].value);
    memmove(&s->e[i], &s->e[i + 1], sizeof(*s->e) * (s->n - i - 1));
    s->n--;
}

void fake_delete_prefix(struct fake_store *s, uint32_t table_id)
{
    uint8_t key[4];
    set_u32(key, table_id);
    size_t i = lower(s, slice_make(key, 4)), n = i;
    while (n < s->n && slice_has_prefix(s->e[n].key, slice_make(key, 4))) {
        drop(s->e[n].key);
        drop(s->e[n].value);
        n++;
    }
    if (n > i) {
        memmove(&s->e[i], &s->e[n], sizeof(*s->e) * (s->n - n));
    }
    s->n -= n - i;
}

void fake_statement_begin(struct fake_store *s)
{
    undo_clear(s);
}

void fake_statement_end(struct fake_store *s, bool failed)
{
    while (failed && s->nundo > 0) {
        struct undo *u = &s->undo[--s->nundo];
        if (u->was_there) {
            put_raw(s, u->key, u->value);
        } else {
            delete_raw(s, u->key);
        }
        drop(u->key);
        drop(u->value);
    }
    undo_clear(s);
}

uint64_t fake_scans(struct fake_store *s)
{
    return s->scans;
}

uint64_t fake_moves(struct fake_store *s)
{
    return s->moves;
}

uint64_t fake_entries(struct fake_store *s)
{
    return s->entries;
}

const struct txn_stats *txn_stats(const struct txn *t)
{
    (void)t;
    static const struct txn_stats none;
    return &none;
}

struct status *txn_undo_statement(struct fiber *f, struct txn *t)
{
    (void)f;
    fake_statement_end(store_of(t), true);
    return NULL;
}

void txn_hint_single_scan(struct txn *t)
{
    (void)t;
}

/* ---- writes ---- */

static bool condition_holds(const struct fake_store *s, const struct txn_write *op)
{
    size_t i = lower(s, op->key);
    switch ((int)op->kind) {
    case SHERD__V1__OP_KIND__OP_INSERT:
        return !is_at(s, i, op->key);
    case SHERD__V1__OP_KIND__OP_EXISTS:
        return is_at(s, i, op->key);
    case SHERD__V1__OP_KIND__OP_ABSENT:
        return i >= s->n || (op->value.len > 0 && slice_cmp(s->e[i].key, op->value) >= 0);
    default:
        return true;
    }
}

struct status *txn_write(struct fiber *f, struct txn *t, struct arena *a,
                         const struct txn_write *ops, int nops, uint32_t table_id,
                         uint64_t schema_version, bool is_last, struct txn_write_result *out)
{
    (void)f;
    (void)a;
    (void)table_id;
    (void)schema_version;
    (void)is_last;
    struct fake_store *s = store_of(t);
    size_t mark = s->nundo;
    *out = (struct txn_write_result){.conflict_op = -1};
    for (int i = 0; i < nops; i++) {
        const struct txn_write *op = &ops[i];
        if (!condition_holds(s, op)) {
            while (s->nundo > mark) { /* nothing of the call is done */
                struct undo *u = &s->undo[--s->nundo];
                if (u->was_there) {
                    put_raw(s, u->key, u->value);
                } else {
                    delete_raw(s, u->key);
                }
                drop(u->key);
                drop(u->value);
            }
            out->failed = true;
            out->conflict_op = i;
            return NULL;
        }
        bool writes = op->kind == SHERD__V1__OP_KIND__OP_INSERT ||
                      op->kind == SHERD__V1__OP_KIND__OP_PUT ||
                      op->kind == SHERD__V1__OP_KIND__OP_DELETE;
        if (!writes) {
            continue;
        }
        size_t at = lower(s, op->key);
        remember(s, op->key, is_at(s, at, op->key) ? &s->e[at].value : NULL);
        s->moves += op->is_moved;
        ASSERT(!op->is_moved || op->kind == SHERD__V1__OP_KIND__OP_DELETE);
        if (op->kind == SHERD__V1__OP_KIND__OP_DELETE) {
            delete_raw(s, op->key);
        } else {
            put_raw(s, op->key, op->value);
        }
    }
    return NULL;
}

/* ---- scans ---- */

struct reading {
    struct arena *a;
    const struct fragment *fr;
    struct batch **list;
    struct slice *keys; /* of the rows read */
    int n, cap, nkeys, keys_cap;
    struct batch *b;
    uint32_t *types;
};

static struct status *read_entry(struct fake_store *s, struct reading *r, const struct entry *e)
{
    const struct fragment *fr = r->fr;
    struct slice row = e->value, key = e->key;
    s->entries++;
    if (fr->is_lookup) {
        size_t i = lower(s, e->value);
        if (!is_at(s, i, e->value)) {
            return status_new(CORRUPT, "index %u points at a row that is not there", fr->index_id);
        }
        row = s->e[i].value;
        key = e->value;
        s->entries++;
    }
    if (r->nkeys == r->keys_cap) {
        int cap = r->keys_cap == 0 ? 64 : r->keys_cap * 2;
        r->keys =
            arena_grow(r->a, r->keys, sizeof(key) * (size_t)r->keys_cap, sizeof(key) * (size_t)cap);
        r->keys_cap = cap;
    }
    r->keys[r->nkeys++] = arena_copy(r->a, key);
    if (r->b == NULL || r->b->nrows == r->b->cap) {
        r->b = batch_create(r->a, fr->ncolumns, r->types, BATCH_ROWS);
        if (r->n == r->cap) {
            r->cap = r->cap == 0 ? 8 : r->cap * 2;
            struct batch **grown = ARENA_ARRAY(r->a, struct batch *, r->cap);
            if (r->n > 0) {
                memcpy(grown, r->list, sizeof(*grown) * (size_t)r->n);
            }
            r->list = grown;
        }
        r->list[r->n++] = r->b;
    }
    struct datum d[1700];
    struct slice copy = arena_copy(r->a, row);
    TRY(row_decode(copy, fr->row_columns, fr->nrow_columns, fr->columns, fr->ncolumns, d));
    for (int c = 0; c < fr->ncolumns; c++) {
        r->b->cols[c][r->b->nrows] = d[c];
    }
    r->b->nrows++;
    return NULL;
}

struct fake_scan {
    struct op op;
    struct fake_store *s;
    const struct fragment *fr;
    struct arena *a;
    struct eval_ctx eval;
    struct op *in;
    bool is_refused;
};

/* Computes and writes the rows of one batch of the scan, whose first row has number `first`. */
static struct status *change_batch(struct fake_scan *o, struct reading *r, struct batch *b,
                                   int first, struct batch **out)
{
    const struct fragment *fr = o->fr;
    int *sel = ARENA_ARRAY(o->a, int, b->nrows + 1), n = b->nrows;
    for (int i = 0; i < n; i++) {
        sel[i] = i;
    }
    if (fr->filter != NULL) {
        TRY(expr_filter(&o->eval, fr->filter, b, sel, &n));
    }
    TRY(fragment_change_rows(&o->eval, fr, b, sel, n, out, &o->is_refused));
    for (int i = 0; i < n && !o->is_refused; i++) {
        struct slice key = r->keys[first + sel[i]];
        size_t at = lower(o->s, key);
        ASSERT(is_at(o->s, at, key));
        remember(o->s, key, &o->s->e[at].value);
        if (fr->change->is_delete) {
            delete_raw(o->s, key);
            continue;
        }
        struct datum *row = ARENA_ARRAY(o->a, struct datum, fr->nrow_columns + 1);
        for (int c = 0; c < fr->nrow_columns; c++) {
            row[c] = (*out)->cols[c][i];
        }
        struct buf bytes = {0};
        row_encode(&bytes, fr->row_columns, fr->nrow_columns, row);
        put_raw(o->s, key, buf_slice(&bytes));
        buf_deinit(&bytes);
    }
    (*out)->ncols = fr->change->returns_rows ? (*out)->ncols : 0;
    return NULL;
}

static struct status *change_all(struct fake_scan *o, struct reading *r)
{
    int first = 0, n = 0;
    for (int i = 0; i < r->n && !o->is_refused; i++) {
        struct batch *out;
        int rows = r->list[i]->nrows;
        TRY(change_batch(o, r, r->list[i], first, &out));
        first += rows;
        r->list[n++] = out;
    }
    o->in = op_batches(o->a, o->op.ncols, o->op.types, r->list, o->is_refused ? 0 : n);
    return NULL;
}

static struct status *scan_open_all(struct fake_scan *o)
{
    const struct fragment *fr = o->fr;
    struct fake_store *s = o->s;
    struct reading r = {.a = o->a, .fr = fr};
    r.types = ARENA_ARRAY(o->a, uint32_t, fr->ncolumns + 1);
    for (int c = 0; c < fr->ncolumns; c++) {
        r.types[c] = fr->row_columns[fr->columns[c]].type;
    }
    for (int k = 0; k < fr->nspans; k++) {
        const struct key_span *sp = &fr->spans[fr->is_reverse ? fr->nspans - 1 - k : k];
        if (k > 0) {
            ASSERT(slice_cmp(fr->spans[k - 1].start, fr->spans[k].start) < 0);
        }
        size_t from = lower(s, sp->start), to = sp->is_point
                                                    ? (is_at(s, from, sp->start) ? from + 1 : from)
                                                    : (sp->end.len == 0 ? s->n : lower(s, sp->end));
        for (size_t i = from; i < to; i++) {
            TRY(read_entry(s, &r, &s->e[fr->is_reverse ? to - 1 - (i - from) : i]));
        }
    }
    if (fr->change != NULL) {
        return change_all(o, &r);
    }
    struct op *in = op_batches(o->a, fr->ncolumns, r.types, r.list, r.n);
    if (fr->filter != NULL) {
        in = op_filter(o->a, &o->eval, in, fr->filter);
    }
    if (fr->nprojections > 0) {
        in = op_project(o->a, &o->eval, in, fr->nprojections, fr->projections);
    }
    if (fr->naggs > 0 || fr->ngroups > 0) {
        in = op_aggregate(o->a, &o->eval, in, fr->ngroups, fr->naggs, fr->aggs, AGG_PARTIAL);
    } else if (fr->nsort > 0) {
        in = op_sort(o->a, in, fr->nsort, fr->sort, fr->limit);
    } else if (fr->limit >= 0) {
        in = op_limit(o->a, in, 0, fr->limit);
    }
    o->in = in;
    return NULL;
}

static struct status *scan_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct fake_scan *o = (struct fake_scan *)op;
    if (o->in == NULL) {
        TRY(scan_open_all(o));
    }
    return op_next(f, o->in, out);
}

static void scan_close(struct op *op)
{
    struct fake_scan *o = (struct fake_scan *)op;
    op_close(o->in);
    o->in = NULL;
}

struct op *txn_scan(struct arena *a, struct txn *t, const struct fragment *fragment, bool ordered)
{
    (void)ordered;
    struct fake_scan *o = ARENA_NEW(a, struct fake_scan);
    struct buf b = {0};
    struct fragment *copy = NULL;
    fragment_encode(&b, fragment);
    struct slice bytes = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    struct status *st = fragment_decode(a, bytes, &copy); /* as a shard gets it */
    ASSERT_MSG(st == NULL, "%s", st == NULL ? "" : st->message);
    o->s = store_of(t);
    o->s->scans++;
    o->fr = copy;
    o->a = a;
    o->eval = (struct eval_ctx){.arena = a};
    o->op = (struct op){.next = scan_next, .close = scan_close};
    if (copy->change != NULL) {
        int cols = copy->change->returns_rows ? copy->nrow_columns : 0;
        uint32_t *row_types = ARENA_ARRAY(a, uint32_t, cols + 1);
        for (int i = 0; i < cols; i++) {
            row_types[i] = copy->row_columns[i].type;
        }
        o->op.ncols = cols;
        o->op.types = row_types;
        return &o->op;
    }
    int n = copy->naggs > 0 || copy->ngroups > 0 ? copy->ngroups + copy->naggs
            : copy->nprojections > 0             ? copy->nprojections
                                                 : copy->ncolumns;
    uint32_t *types = ARENA_ARRAY(a, uint32_t, n + 1);
    for (int i = 0; i < n; i++) {
        bool is_state = (copy->naggs > 0 || copy->ngroups > 0) && i >= copy->ngroups;
        types[i] = is_state                 ? TYPE_BYTEA
                   : copy->nprojections > 0 ? copy->projections[i]->type
                                            : copy->row_columns[copy->columns[i]].type;
    }
    o->op.ncols = n;
    o->op.types = types;
    return &o->op;
}

struct op *txn_scan_current(struct arena *a, struct txn *t, const struct fragment *fragment)
{
    return txn_scan(a, t, fragment, false);
}

struct op *txn_change(struct arena *a, struct txn *t, const struct fragment *fragment, bool is_last)
{
    (void)is_last;
    ASSERT(fragment->change != NULL);
    return txn_scan(a, t, fragment, false);
}

bool txn_change_refused(const struct op *op)
{
    return ((const struct fake_scan *)op)->is_refused;
}
