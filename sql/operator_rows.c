/*
 * Rows kept beyond their batch, tables of them; and the operators that are little else: distinct
 * and the set operations. NULLs are equal to each other here, as in DISTINCT and GROUP BY.
 */
#include "operator_impl.h"

#include "funcs.h"

struct status *row_keep(struct arena *a, const struct batch *in, int r, struct row **out)
{
    size_t size = sizeof(struct row) + sizeof(struct datum) * (size_t)in->ncols;
    size_t bytes = size;
    for (int c = 0; c < in->ncols; c++) {
        const struct datum *d = &in->cols[c][r];
        if (!d->is_null && !type_find(in->types[c])->is_inline) {
            bytes += (size_t)d->len + 16;
        }
    }
    TRY(arena_reserve(a, bytes));
    struct row *row = arena_alloc(a, size);
    row->next = NULL;
    row->hash = 0;
    row->count = 0;
    for (int c = 0; c < in->ncols; c++) {
        const struct datum *d = &in->cols[c][r];
        row->v[c] = d->is_null ? DATUM_NULL : datum_copy(a, in->types[c], d);
    }
    *out = row;
    return NULL;
}

/* Integers of any width hash alike, so that keys of different widths meet. */
uint64_t datum_hash(uint32_t type, const struct datum *d)
{
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_BOOL:
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ: {
        uint64_t h = (uint64_t)d->i * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
        h *= 0xd6e8feb86659fd93u;
        return h ^ (h >> 32);
    }
    default:
        return type_hash(type, d);
    }
}

uint64_t row_hash_batch(const struct batch *in, int r, const int *cols, int n)
{
    uint64_t h = 0x51ed270b;
    for (int i = 0; i < n; i++) {
        int c = cols != NULL ? cols[i] : i;
        const struct datum *d = &in->cols[c][r];
        uint64_t v = d->is_null ? 0x6e756c6c : datum_hash(in->types[c], d);
        h = (h ^ v) * 0x9e3779b97f4a7c15u;
        h ^= h >> 29;
    }
    return h;
}

bool row_equal_batch(const struct row *row, const struct batch *in, int r, int n)
{
    for (int c = 0; c < n; c++) {
        const struct datum *x = &row->v[c], *y = &in->cols[c][r];
        if (x->is_null || y->is_null) {
            if (x->is_null != y->is_null) {
                return false;
            }
        } else if (type_compare(in->types[c], x, y) != 0) {
            return false;
        }
    }
    return true;
}

struct batch *rows_batch(struct arena *a, int ncols, const uint32_t *types, struct row *const *rows,
                         int n)
{
    struct batch *b = batch_shell(a, ncols, types, n);
    for (int c = 0; c < ncols; c++) {
        b->cols[c] = ARENA_ARRAY(a, struct datum, n);
        for (int k = 0; k < n; k++) {
            b->cols[c][k] = rows[k]->v[c];
        }
    }
    return b;
}

/* ---- tables ---- */

struct status *row_table_init(struct row_table *t, struct arena *a)
{
    *t = (struct row_table){.a = a, .mask = 255};
    TRY(arena_reserve(a, sizeof(struct row *) * 256));
    t->buckets = ARENA_ARRAY(a, struct row *, 256);
    return NULL;
}

static struct status *row_table_grow(struct row_table *t)
{
    uint32_t cap = (t->mask + 1) * 4;
    TRY(arena_reserve(t->a, sizeof(struct row *) * cap));
    struct row **fresh = ARENA_ARRAY(t->a, struct row *, cap);
    for (uint32_t i = 0; i <= t->mask; i++) {
        struct row *reversed = NULL;
        for (struct row *r = t->buckets[i], *next; r != NULL; r = next) {
            next = r->next; /* twice around keeps the order within a bucket */
            r->next = reversed;
            reversed = r;
        }
        for (struct row *r = reversed, *next; r != NULL; r = next) {
            next = r->next;
            r->next = fresh[r->hash & (cap - 1)];
            fresh[r->hash & (cap - 1)] = r;
        }
    }
    t->buckets = fresh;
    t->mask = cap - 1;
    return NULL;
}

struct status *row_table_add(struct row_table *t, struct row *row)
{
    if (t->count > t->mask && t->mask < UINT32_MAX / 8) {
        TRY(row_table_grow(t));
    }
    struct row **head = &t->buckets[row->hash & t->mask];
    row->next = *head;
    *head = row;
    t->count++;
    return NULL;
}

struct row *row_table_find(const struct row_table *t, uint64_t hash, const struct batch *in, int r,
                           int n)
{
    for (struct row *row = row_table_chain(t, hash); row != NULL; row = row->next) {
        if (row->hash == hash && row_equal_batch(row, in, r, n)) {
            return row;
        }
    }
    return NULL;
}

/* Finds or adds; *out_is_new tells. */
static struct status *table_upsert(struct row_table *t, const struct batch *in, int r,
                                   struct row **out, bool *out_is_new)
{
    uint64_t h = row_hash_batch(in, r, NULL, in->ncols);
    *out = row_table_find(t, h, in, r, in->ncols);
    *out_is_new = *out == NULL;
    if (*out != NULL) {
        return NULL;
    }
    TRY(row_keep(t->a, in, r, out));
    (*out)->hash = h;
    return row_table_add(t, *out);
}

/* ---- distinct ---- */

struct op_distinct {
    struct op_base base;
    struct arena *a;
    struct row_table seen;
    bool is_open;
};

static struct status *distinct_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_distinct *o = (struct op_distinct *)base;
    if (!o->is_open) {
        TRY(row_table_init(&o->seen, o->a));
        o->is_open = true;
    }
    for (;;) {
        struct batch *in;
        TRY(op_turn(f, base));
        TRY(op_next(f, base->inputs[0], &in));
        if (in == NULL) {
            return NULL;
        }
        struct arena *a = op_scratch(base);
        int *sel, n = 0;
        TRY(batch_sel(a, in->nrows, &sel));
        for (int r = 0; r < in->nrows; r++) {
            struct row *row;
            bool is_new;
            TRY(op_budget_hint(table_upsert(&o->seen, in, r, &row, &is_new),
                               "set of distinct rows"));
            if (is_new) {
                sel[n++] = r;
            }
        }
        if (n > 0) {
            *out = in;
            return n == in->nrows ? NULL : batch_select(a, in, sel, n, out);
        }
    }
}

struct op *op_distinct(struct arena *a, struct op *in)
{
    struct op_distinct *o = op_alloc(a, sizeof(*o), in->ncols, in->types, distinct_run);
    o->base.inputs[0] = in;
    o->a = a;
    return &o->base.op;
}

/* ---- union, intersect, except ---- */

struct op_setop {
    struct op_base base;
    enum setop_kind kind;
    struct arena *a;
    struct row_table table; /* UNION: rows given; others: rows of the right side, counted */
    bool is_open;
    int side; /* UNION: which input is read */
};

static struct status *setop_load_right(struct fiber *f, struct op_setop *o)
{
    for (;;) {
        struct batch *in;
        TRY(op_turn(f, &o->base));
        TRY(op_next(f, o->base.inputs[1], &in));
        if (in == NULL) {
            return NULL;
        }
        for (int r = 0; r < in->nrows; r++) {
            struct row *row;
            bool is_new;
            TRY(op_budget_hint(table_upsert(&o->table, in, r, &row, &is_new),
                               "right side of the set operation"));
            row->count++;
        }
    }
}

/* Whether this row of the left side is given out. Non-ALL forms mark a row as given by count -1. */
static struct status *setop_takes(struct op_setop *o, const struct batch *in, int r, bool *out)
{
    uint64_t h = row_hash_batch(in, r, NULL, in->ncols);
    struct row *row = row_table_find(&o->table, h, in, r, in->ncols);
    switch (o->kind) {
    case SETOP_INTERSECT:
        *out = row != NULL && row->count > 0;
        if (*out) {
            row->count = -1;
        }
        return NULL;
    case SETOP_INTERSECT_ALL:
        *out = row != NULL && row->count > 0;
        if (*out) {
            row->count--;
        }
        return NULL;
    case SETOP_EXCEPT_ALL:
        *out = row == NULL || row->count == 0;
        if (!*out) {
            row->count--;
        }
        return NULL;
    default: /* UNION, EXCEPT: once, when not there yet */
        *out = row == NULL;
        if (*out) {
            bool is_new;
            return op_budget_hint(table_upsert(&o->table, in, r, &row, &is_new), "set operation");
        }
        return NULL;
    }
}

static struct status *setop_run(struct fiber *f, struct op_base *base, struct batch **out)
{
    struct op_setop *o = (struct op_setop *)base;
    bool is_union = o->kind == SETOP_UNION || o->kind == SETOP_UNION_ALL;
    if (!o->is_open) {
        TRY(row_table_init(&o->table, o->a));
        if (!is_union) {
            TRY(setop_load_right(f, o));
        }
        o->is_open = true;
    }
    for (;;) {
        struct batch *in;
        TRY(op_turn(f, base));
        TRY(op_next(f, base->inputs[o->side], &in));
        if (in == NULL) {
            if (is_union && o->side == 0) {
                o->side = 1;
                continue;
            }
            return NULL;
        }
        if (o->kind == SETOP_UNION_ALL) {
            *out = in;
            return NULL;
        }
        struct arena *a = op_scratch(base);
        int *sel, n = 0;
        TRY(batch_sel(a, in->nrows, &sel));
        for (int r = 0; r < in->nrows; r++) {
            bool take;
            TRY(setop_takes(o, in, r, &take));
            if (take) {
                sel[n++] = r;
            }
        }
        if (n > 0) {
            *out = in;
            return n == in->nrows ? NULL : batch_select(a, in, sel, n, out);
        }
    }
}

struct op *op_setop(struct arena *a, enum setop_kind kind, struct op *left, struct op *right)
{
    struct op_setop *o = op_alloc(a, sizeof(*o), left->ncols, left->types, setop_run);
    o->base.inputs[0] = left;
    o->base.inputs[1] = right;
    o->kind = kind;
    o->a = a;
    return &o->base.op;
}
