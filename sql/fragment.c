/*
 * The bytes of a fragment. It comes from another node, so decoding checks every index, count, type
 * and order that the shard's pipeline relies on; what it returns can be run without further checks.
 *
 * Bytes: version u8 = 1 | table u32 | index u32 | schema version u64 | flags u8 | spans | row
 * columns | wanted ordinals | [filter] | projections | groups and aggregates | sort keys | limit
 * varint + 1 | lock u8 | wait u8 | [change]. Counts are varints; a point span is only its key.
 *
 * Change: flags u8 | sets | generated | NOT NULL ordinals | checks; a set is ordinal varint and
 * expression.
 */
#include "sql/fragment.h"

#include "funcs.h"

#include <string.h>

enum {
    FRAGMENT_VERSION = 1,
    COLUMNS_MAX = 4096,
    FLAG_REVERSE = 1,
    FLAG_LOOKUP = 2,
    FLAG_KEYS_ONLY = 4,
    FLAG_WITH_KEY = 8,
    FLAG_FILTER = 16,
    FLAG_CHANGE = 32,
    FLAG_JOINED = 64,
    CHANGE_DELETE = 1,
    CHANGE_RETURNS = 2,
};

static void encode_value(struct buf *out, type_oid type, const struct datum *d)
{
    buf_put_u8(out, d->is_null);
    if (d->is_null) {
        return;
    }
    if (type_find(type)->is_inline) {
        buf_put_u64(out, (uint64_t)d->i);
    } else {
        buf_put_bytes(out, datum_slice(d));
    }
}

static void encode_aggs(struct buf *out, const struct fragment *fr)
{
    buf_put_varint(out, (uint64_t)fr->ngroups);
    buf_put_varint(out, (uint64_t)fr->naggs);
    for (int i = 0; i < fr->naggs; i++) {
        const struct agg_call *call = &fr->aggs[i];
        buf_put_varint(out, call->func->id);
        buf_put_varint(out, call->result);
        buf_put_u8(out, call->filter != NULL);
        buf_put_varint(out, (uint64_t)call->nargs);
        for (int k = 0; k < call->nargs; k++) {
            expr_encode(out, call->args[k]);
        }
        if (call->filter != NULL) {
            expr_encode(out, call->filter);
        }
    }
}

static void encode_sets(struct buf *out, int n, const struct fragment_set *sets)
{
    buf_put_varint(out, (uint64_t)n);
    for (int i = 0; i < n; i++) {
        buf_put_varint(out, (uint64_t)sets[i].ordinal);
        expr_encode(out, sets[i].value);
    }
}

static void encode_change(struct buf *out, const struct fragment_change *ch)
{
    buf_put_u8(out, (uint8_t)((ch->is_delete ? CHANGE_DELETE : 0) |
                              (ch->returns_rows ? CHANGE_RETURNS : 0)));
    encode_sets(out, ch->nsets, ch->sets);
    encode_sets(out, ch->ngenerated, ch->generated);
    buf_put_varint(out, (uint64_t)ch->nnot_null);
    for (int i = 0; i < ch->nnot_null; i++) {
        buf_put_varint(out, (uint64_t)ch->not_null[i]);
    }
    buf_put_varint(out, (uint64_t)ch->nchecks);
    for (int i = 0; i < ch->nchecks; i++) {
        expr_encode(out, ch->checks[i]);
    }
}

void fragment_encode(struct buf *out, const struct fragment *fr)
{
    buf_put_u8(out, FRAGMENT_VERSION);
    buf_put_u32(out, fr->table_id);
    buf_put_u32(out, fr->index_id);
    buf_put_u64(out, fr->schema_version);
    buf_put_u8(
        out, (uint8_t)((fr->is_reverse ? FLAG_REVERSE : 0) | (fr->is_lookup ? FLAG_LOOKUP : 0) |
                       (fr->is_keys_only ? FLAG_KEYS_ONLY : 0) |
                       (fr->with_key ? FLAG_WITH_KEY : 0) | (fr->filter != NULL ? FLAG_FILTER : 0) |
                       (fr->change != NULL ? FLAG_CHANGE : 0) | (fr->is_joined ? FLAG_JOINED : 0)));
    buf_put_varint(out, (uint64_t)fr->nspans);
    for (int i = 0; i < fr->nspans; i++) {
        buf_put_u8(out, fr->spans[i].is_point);
        buf_put_bytes(out, fr->spans[i].start);
        if (!fr->spans[i].is_point) {
            buf_put_bytes(out, fr->spans[i].end);
        }
    }
    buf_put_varint(out, (uint64_t)fr->nrow_columns);
    for (int i = 0; i < fr->nrow_columns; i++) {
        const struct row_column *c = &fr->row_columns[i];
        buf_put_varint(out, c->type);
        buf_put_varint(out, (uint64_t)((int64_t)c->typmod + 1));
        buf_put_u8(out, c->has_missing);
        if (c->has_missing) {
            encode_value(out, c->type, &c->missing);
        }
    }
    buf_put_varint(out, (uint64_t)fr->ncolumns);
    for (int i = 0; i < fr->ncolumns; i++) {
        buf_put_varint(out, (uint64_t)fr->columns[i]);
    }
    if (fr->filter != NULL) {
        expr_encode(out, fr->filter);
    }
    buf_put_varint(out, (uint64_t)fr->nprojections);
    for (int i = 0; i < fr->nprojections; i++) {
        expr_encode(out, fr->projections[i]);
    }
    encode_aggs(out, fr);
    buf_put_varint(out, (uint64_t)fr->nsort);
    for (int i = 0; i < fr->nsort; i++) {
        const struct sort_key *k = &fr->sort[i];
        buf_put_varint(out, (uint64_t)k->column);
        buf_put_varint(out, k->type);
        buf_put_u8(out, (uint8_t)((k->is_desc ? 1 : 0) | (k->nulls_first ? 2 : 0)));
    }
    buf_put_varint(out, (uint64_t)fr->limit + 1);
    buf_put_u8(out, (uint8_t)fr->lock);
    buf_put_u8(out, (uint8_t)fr->lock_wait);
    if (fr->change != NULL) {
        encode_change(out, fr->change);
    }
}

/* ---- decoding ---- */

struct columns {
    const type_oid *types;
    int count;
};

static struct status *damaged(const char *what)
{
    return status_new(CORRUPT, "fragment: %s", what);
}

/* A count of things of at least min bytes; room for them in the arena is checked. */
static struct status *get_count(struct arena *a, struct reader *r, size_t min, size_t max,
                                size_t item_size, int *out)
{
    size_t n = read_count(r, min);
    if (!reader_ok(r) || n > max) {
        return damaged("a count that cannot be");
    }
    TRY(arena_reserve(a, n * item_size + ((size_t)64 << 10)));
    *out = (int)n;
    return NULL;
}

/* Columns that an expression reads exist and are held as it expects. */
static bool columns_fit(const struct expr *e, const struct columns *in)
{
    if (e->kind == EXPR_COLUMN &&
        (e->index >= in->count || type_storage(in->types[e->index]) != type_storage(e->type))) {
        return false;
    }
    for (int i = 0; i < e->nargs; i++) {
        if (!columns_fit(e->args[i], in)) {
            return false;
        }
    }
    return true;
}

static struct status *get_expr(struct arena *a, struct reader *r, const struct columns *in,
                               struct expr **out)
{
    TRY(expr_decode(a, r, out));
    return columns_fit(*out, in) ? NULL : damaged("a column that is not there");
}

static struct status *get_predicate(struct arena *a, struct reader *r, const struct columns *in,
                                    struct expr **out)
{
    TRY(get_expr(a, r, in, out));
    return (*out)->type == TYPE_BOOL ? NULL : damaged("a filter that is not boolean");
}

static struct status *get_spans(struct arena *a, struct reader *r, struct fragment *fr)
{
    TRY(get_count(a, r, 2, 1 << 20, sizeof(struct key_span), &fr->nspans));
    fr->spans = ARENA_ARRAY(a, struct key_span, fr->nspans);
    for (int i = 0; i < fr->nspans; i++) {
        struct key_span *s = &fr->spans[i];
        s->is_point = read_u8(r) != 0;
        struct slice start = read_bytes(r);
        struct slice end = s->is_point ? start : read_bytes(r);
        if (!reader_ok(r)) {
            return damaged("truncated");
        }
        TRY(arena_reserve(a, start.len + end.len + 1));
        s->start = arena_copy(a, start);
        if (s->is_point) {
            uint8_t *p = arena_alloc(a, start.len + 1);
            if (start.len > 0) {
                memcpy(p, start.data, start.len);
            }
            p[start.len] = 0;
            s->end = slice_make(p, start.len + 1);
        } else {
            s->end = arena_copy(a, end);
        }
        if (slice_cmp(s->start, s->end) > 0 ||
            (i > 0 && slice_cmp(fr->spans[i - 1].end, s->start) > 0)) {
            return damaged("spans out of order");
        }
    }
    return NULL;
}

static struct status *get_value(struct arena *a, struct reader *r, type_oid type, struct datum *out)
{
    if (read_u8(r) != 0) {
        *out = DATUM_NULL;
        return NULL;
    }
    if (type_find(type)->is_inline) {
        *out = datum_int((int64_t)read_u64(r));
    } else {
        struct slice s = read_bytes(r);
        TRY(arena_reserve(a, s.len));
        *out = datum_bytes(arena_copy(a, s));
    }
    return reader_ok(r) && datum_is_valid(type, out) ? NULL : damaged("a bad value");
}

static struct status *get_type(struct reader *r, type_oid *out)
{
    uint64_t t = read_varint(r);
    if (!reader_ok(r) || t > UINT32_MAX || type_storage((type_oid)t) == 0) {
        return damaged("an unknown type");
    }
    *out = (type_oid)t;
    return NULL;
}

static struct status *get_row_columns(struct arena *a, struct reader *r, struct fragment *fr)
{
    TRY(get_count(a, r, 3, COLUMNS_MAX, sizeof(struct row_column), &fr->nrow_columns));
    fr->row_columns = ARENA_ARRAY(a, struct row_column, fr->nrow_columns);
    for (int i = 0; i < fr->nrow_columns; i++) {
        struct row_column *c = &fr->row_columns[i];
        TRY(get_type(r, &c->type));
        uint64_t typmod = read_varint(r);
        if (typmod > INT32_MAX) {
            return damaged("a bad type modifier");
        }
        c->typmod = (int32_t)((int64_t)typmod - 1);
        c->has_missing = read_u8(r) != 0;
        if (c->has_missing) {
            TRY(get_value(a, r, c->type, &c->missing));
        }
    }
    TRY(get_count(a, r, 1, (size_t)fr->nrow_columns, sizeof(int), &fr->ncolumns));
    fr->columns = ARENA_ARRAY(a, int, fr->ncolumns);
    for (int i = 0; i < fr->ncolumns; i++) {
        uint64_t ordinal = read_varint(r);
        if (!reader_ok(r) || ordinal >= (uint64_t)fr->nrow_columns ||
            (i > 0 && (int)ordinal <= fr->columns[i - 1])) {
            return damaged("a bad ordinal");
        }
        fr->columns[i] = (int)ordinal;
    }
    return NULL;
}

static struct status *get_agg(struct arena *a, struct reader *r, const struct columns *in,
                              struct agg_call *call)
{
    uint64_t id = read_varint(r);
    call->func = id <= UINT32_MAX ? func_by_id((uint32_t)id) : NULL;
    if (call->func == NULL || call->func->class != FUNC_AGGREGATE) {
        return status_hint(
            status_new(UNSUPPORTED, "aggregate function %llu is not known", (unsigned long long)id),
            "The node that sent it is of a newer version.");
    }
    TRY(get_type(r, &call->result));
    bool has_filter = read_u8(r) != 0;
    TRY(get_count(a, r, 7, 8, sizeof(struct expr *), &call->nargs));
    call->args = ARENA_ARRAY(a, struct expr *, call->nargs);
    type_oid types[8], result;
    for (int i = 0; i < call->nargs; i++) {
        TRY(get_expr(a, r, in, &call->args[i]));
        types[i] = call->args[i]->type;
    }
    if (has_filter) {
        TRY(get_predicate(a, r, in, &call->filter));
    }
    if (!func_accepts(call->func, types, call->nargs, &result) ||
        type_storage(result) != type_storage(call->result)) {
        return damaged("an aggregate of the wrong types");
    }
    return NULL;
}

static struct status *get_sort(struct arena *a, struct reader *r, const struct columns *in,
                               struct fragment *fr)
{
    TRY(get_count(a, r, 3, COLUMNS_MAX, sizeof(struct sort_key), &fr->nsort));
    fr->sort = ARENA_ARRAY(a, struct sort_key, fr->nsort);
    for (int i = 0; i < fr->nsort; i++) {
        struct sort_key *k = &fr->sort[i];
        uint64_t column = read_varint(r);
        TRY(get_type(r, &k->type));
        uint8_t flags = read_u8(r);
        if (!reader_ok(r) || column >= (uint64_t)in->count ||
            type_storage(in->types[column]) != type_storage(k->type)) {
            return damaged("a bad sort key");
        }
        k->column = (int)column;
        k->is_desc = (flags & 1) != 0;
        k->nulls_first = (flags & 2) != 0;
    }
    return NULL;
}

static struct status *get_ordinal(struct reader *r, const struct columns *row, int *out)
{
    uint64_t ordinal = read_varint(r);
    if (!reader_ok(r) || ordinal >= (uint64_t)row->count) {
        return damaged("a bad ordinal");
    }
    *out = (int)ordinal;
    return NULL;
}

static struct status *get_sets(struct arena *a, struct reader *r, const struct columns *in,
                               const struct columns *row, int *out_n, struct fragment_set **out)
{
    TRY(get_count(a, r, 8, (size_t)row->count, sizeof(struct fragment_set), out_n));
    *out = ARENA_ARRAY(a, struct fragment_set, *out_n);
    for (int i = 0; i < *out_n; i++) {
        struct fragment_set *s = &(*out)[i];
        TRY(get_ordinal(r, row, &s->ordinal));
        TRY(get_expr(a, r, in, &s->value));
        if (type_storage(s->value->type) != type_storage(row->types[s->ordinal])) {
            return damaged("a value of another type than its column");
        }
    }
    return NULL;
}

static struct status *get_change(struct arena *a, struct reader *r, const struct columns *decoded,
                                 struct fragment *fr)
{
    if (fr->nprojections > 0 || fr->ngroups > 0 || fr->naggs > 0 || fr->nsort > 0 ||
        fr->limit >= 0 || fr->with_key || fr->is_keys_only || fr->lock < LOCK_NO_KEY_UPDATE) {
        return damaged("a change of something else than locked rows");
    }
    struct fragment_change *ch = ARENA_NEW(a, struct fragment_change);
    type_oid *types = ARENA_ARRAY(a, type_oid, fr->nrow_columns + 1);
    struct columns row = {types, fr->nrow_columns};
    for (int i = 0; i < fr->nrow_columns; i++) {
        types[i] = fr->row_columns[i].type;
    }
    uint8_t flags = read_u8(r);
    ch->is_delete = (flags & CHANGE_DELETE) != 0;
    ch->returns_rows = (flags & CHANGE_RETURNS) != 0;
    TRY(get_sets(a, r, decoded, &row, &ch->nsets, &ch->sets));
    TRY(get_sets(a, r, &row, &row, &ch->ngenerated, &ch->generated));
    TRY(get_count(a, r, 1, (size_t)row.count, sizeof(int), &ch->nnot_null));
    ch->not_null = ARENA_ARRAY(a, int, ch->nnot_null);
    for (int i = 0; i < ch->nnot_null; i++) {
        TRY(get_ordinal(r, &row, &ch->not_null[i]));
    }
    TRY(get_count(a, r, 7, COLUMNS_MAX, sizeof(struct expr *), &ch->nchecks));
    ch->checks = ARENA_ARRAY(a, struct expr *, ch->nchecks);
    for (int i = 0; i < ch->nchecks; i++) {
        TRY(get_predicate(a, r, &row, &ch->checks[i]));
    }
    fr->change = ch;
    return NULL;
}

static struct status *get_body(struct arena *a, struct reader *r, struct fragment *fr)
{
    if (read_u8(r) != FRAGMENT_VERSION) {
        return damaged("unknown version");
    }
    fr->table_id = read_u32(r);
    fr->index_id = read_u32(r);
    fr->schema_version = read_u64(r);
    uint8_t flags = read_u8(r);
    fr->is_reverse = (flags & FLAG_REVERSE) != 0;
    fr->is_lookup = (flags & FLAG_LOOKUP) != 0;
    fr->is_keys_only = (flags & FLAG_KEYS_ONLY) != 0;
    fr->with_key = (flags & FLAG_WITH_KEY) != 0;
    fr->is_joined = (flags & FLAG_JOINED) != 0;
    TRY(get_spans(a, r, fr));
    TRY(get_row_columns(a, r, fr));
    if (fr->is_keys_only && fr->ncolumns > 0) {
        return damaged("columns of a scan of keys");
    }
    /* What the filter and the projections may read: the decoded columns, then the key. */
    type_oid *types = ARENA_ARRAY(a, type_oid, fr->ncolumns + 1);
    struct columns decoded = {types, fr->ncolumns + (fr->with_key ? 1 : 0)};
    for (int i = 0; i < fr->ncolumns; i++) {
        types[i] = fr->row_columns[fr->columns[i]].type;
    }
    types[fr->ncolumns] = TYPE_BYTEA;
    if ((flags & FLAG_FILTER) != 0) {
        TRY(get_predicate(a, r, &decoded, &fr->filter));
        fr->weight += expr_weight(fr->filter);
    }
    TRY(get_count(a, r, 7, COLUMNS_MAX, sizeof(struct expr *), &fr->nprojections));
    fr->projections = ARENA_ARRAY(a, struct expr *, fr->nprojections);
    struct columns projected = decoded;
    if (fr->nprojections > 0) {
        type_oid *p = ARENA_ARRAY(a, type_oid, fr->nprojections + 1);
        for (int i = 0; i < fr->nprojections; i++) {
            TRY(get_expr(a, r, &decoded, &fr->projections[i]));
            p[i] = fr->projections[i]->type;
            fr->weight += expr_weight(fr->projections[i]);
        }
        p[fr->nprojections] = TYPE_BYTEA;
        projected = (struct columns){p, fr->nprojections + (fr->with_key ? 1 : 0)};
    }
    uint64_t ngroups = read_varint(r);
    if (!reader_ok(r) || ngroups > (uint64_t)projected.count) {
        return damaged("more groups than columns");
    }
    fr->ngroups = (int)ngroups;
    TRY(get_count(a, r, 4, COLUMNS_MAX, sizeof(struct agg_call), &fr->naggs));
    fr->aggs = ARENA_ARRAY(a, struct agg_call, fr->naggs);
    for (int i = 0; i < fr->naggs; i++) {
        TRY(get_agg(a, r, &projected, &fr->aggs[i]));
    }
    TRY(get_sort(a, r, &projected, fr));
    uint64_t limit = read_varint(r);
    uint8_t lock = read_u8(r), wait = read_u8(r);
    if (!reader_ok(r) || limit > (uint64_t)INT64_MAX + 1 || lock > LOCK_UPDATE ||
        wait > LOCK_SKIP) {
        return damaged("truncated or damaged");
    }
    fr->limit = limit == 0 ? -1 : (int64_t)(limit - 1);
    fr->lock = (enum lock_mode)lock;
    fr->lock_wait = (enum lock_wait)wait;
    if ((flags & FLAG_CHANGE) != 0) {
        TRY(get_change(a, r, &decoded, fr));
    }
    return reader_finish(r, "fragment");
}

struct status *fragment_decode(struct arena *a, struct slice bytes, struct fragment **out)
{
    struct reader r;
    reader_init(&r, bytes);
    struct fragment *fr = ARENA_NEW(a, struct fragment);
    TRY(get_body(a, &r, fr));
    *out = fr;
    return NULL;
}

/* ---- changes ---- */

/* The old rows, a column for each ordinal; what is not decoded is NULL. */
static struct status *rows_by_ordinal(struct arena *a, const struct fragment *fr,
                                      const struct batch *in, const int *sel, int nsel,
                                      struct batch **out)
{
    size_t cells = (size_t)fr->nrow_columns * (size_t)(nsel > 0 ? nsel : 1);
    TRY(arena_reserve(a, cells * sizeof(struct datum) + ((size_t)64 << 10)));
    uint32_t *types = ARENA_ARRAY(a, uint32_t, fr->nrow_columns + 1);
    for (int c = 0; c < fr->nrow_columns; c++) {
        types[c] = fr->row_columns[c].type;
    }
    struct batch *b = batch_create(a, fr->nrow_columns, types, nsel > 0 ? nsel : 1);
    b->nrows = nsel;
    for (int c = 0, k = 0; c < fr->nrow_columns; c++) {
        bool is_decoded = k < fr->ncolumns && fr->columns[k] == c;
        for (int i = 0; i < nsel; i++) {
            b->cols[c][i] = is_decoded ? in->cols[k][sel[i]] : DATUM_NULL;
        }
        k += is_decoded;
    }
    *out = b;
    return NULL;
}

static struct status *is_refused(struct eval_ctx *ctx, const struct fragment_change *ch,
                                 const struct batch *rows, bool *out)
{
    *out = false;
    for (int k = 0; k < ch->nnot_null; k++) {
        for (int i = 0; i < rows->nrows; i++) {
            if (rows->cols[ch->not_null[k]][i].is_null) {
                *out = true;
                return NULL;
            }
        }
    }
    struct datum *v =
        ch->nchecks > 0 ? ARENA_ARRAY(ctx->arena, struct datum, rows->nrows + 1) : NULL;
    for (int c = 0; c < ch->nchecks; c++) {
        TRY(expr_eval(ctx, ch->checks[c], rows, NULL, rows->nrows, v));
        for (int i = 0; i < rows->nrows; i++) {
            if (!v[i].is_null && v[i].i == 0) {
                *out = true;
                return NULL;
            }
        }
    }
    return NULL;
}

struct status *fragment_change_rows(struct eval_ctx *ctx, const struct fragment *fr,
                                    const struct batch *in, const int *sel, int nsel,
                                    struct batch **out, bool *out_refused)
{
    const struct fragment_change *ch = fr->change;
    struct arena *a = ctx->arena;
    struct batch *rows;
    *out_refused = false;
    TRY(rows_by_ordinal(a, fr, in, sel, nsel, &rows));
    if (!ch->is_delete) {
        for (int s = 0; s < ch->nsets; s++) {
            TRY(expr_eval(ctx, ch->sets[s].value, in, sel, nsel, rows->cols[ch->sets[s].ordinal]));
        }
        for (int g = 0; g < ch->ngenerated; g++) {
            struct datum *col = ARENA_ARRAY(a, struct datum, nsel + 1);
            TRY(expr_eval(ctx, ch->generated[g].value, rows, NULL, nsel, col));
            rows->cols[ch->generated[g].ordinal] = col;
        }
        TRY(is_refused(ctx, ch, rows, out_refused));
    }
    *out = rows;
    return NULL;
}
