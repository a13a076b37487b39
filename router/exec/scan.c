/*
 * Scans at execution: key expressions to spans, parameters to constants, and the fragment handed to
 * the transaction.
 *
 * Spans are built as prefixes: each leading column with equalities multiplies them, a range ends
 * them. What stands before the columns (table, index, bucket) is put in front as soon as the
 * columns that make the bucket are known. A NULL in a key matches nothing. The value marker of a
 * column (codec.h: 0x05, inverted in a descending one) bounds a range that is open at one end, so
 * that NULLs stay out.
 */
#include "exec.h"

#include "analyze/analyze.h"
#include "analyze/analyze_limits.h"
#include "base/check.h"
#include "sql/array.h"
#include "sql/codec.h"

#include <stdlib.h>

enum { VALUE_MARKER = 0x05, SPANS_LIMIT = 1 << 18 };

void span_add(struct span_list *l, struct key_span s)
{
    if (l->n == l->cap) {
        int cap = l->cap == 0 ? 4 : l->cap * 2;
        struct key_span *grown = ARENA_ARRAY(l->a, struct key_span, cap);
        if (l->n > 0) {
            memcpy(grown, l->spans, sizeof(*grown) * (size_t)l->n);
        }
        l->spans = grown;
        l->cap = cap;
    }
    l->spans[l->n++] = s;
}

static int span_order(const void *x, const void *y)
{
    const struct key_span *a = x, *b = y;
    return slice_cmp(a->start, b->start);
}

void spans_sort(struct span_list *l)
{
    if (l->n < 2) {
        return;
    }
    qsort(l->spans, (size_t)l->n, sizeof(*l->spans), span_order);
    int n = 1;
    for (int i = 1; i < l->n; i++) {
        struct key_span *last = &l->spans[n - 1], *s = &l->spans[i];
        if (slice_eq(last->start, s->start) && last->is_point == s->is_point &&
            (s->is_point || slice_eq(last->end, s->end))) {
            continue;
        }
        if (!last->is_point && last->end.len > 0 &&
            slice_cmp(s->start, last->end) < 0) { /* overlaps */
            if (!s->is_point && (s->end.len == 0 || slice_cmp(s->end, last->end) > 0)) {
                last->end = s->end;
            }
            continue;
        }
        l->spans[n++] = *s;
    }
    l->n = n;
}

/* ---- binding ---- */

struct binder {
    struct run *r;
    struct arena *a;
    struct status *st;
};

static bool has_column(const struct expr *e)
{
    return expr_has_kind(e, EXPR_COLUMN);
}

static struct expr *bind_fn(void *ctx, const struct expr *e)
{
    struct binder *b = ctx;
    if (e->kind == EXPR_CONST || b->st != NULL) {
        return (struct expr *)e;
    }
    bool whole = e->kind == EXPR_PARAM || e->kind == EXPR_SUBPLAN ||
                 (e->kind == EXPR_CALL && !has_column(e) && !expr_is_volatile(e));
    if (!whole) {
        return NULL;
    }
    struct datum d;
    struct eval_ctx ev = b->r->eval;
    ev.arena = b->a;
    struct status *st = expr_eval_const(&ev, e, &d);
    if (st != NULL) {
        if (e->kind == EXPR_CALL &&
            e->nargs > 0) { /* it may never be reached: let it fail where it is */
            status_free(st);
            return NULL;
        }
        b->st = st;
        return (struct expr *)e;
    }
    struct expr *c = expr_const(b->a, e->type, d);
    c->typmod = e->typmod;
    c->location = e->location;
    return c;
}

struct expr *bind_expr(struct run *r, struct arena *a, struct expr *e, struct status **st)
{
    struct binder b = {r, a, NULL};
    struct expr *bound = expr_map(a, e, bind_fn, &b);
    *st = b.st;
    return bound;
}

/* ---- spans ---- */

struct span_builder {
    struct run *r;
    struct arena *a;
    const struct scan *s;
    int nprefixes, cap;
    int nhashed;            /* columns that make the bucket */
    struct slice *prefixes; /* whole key bytes once nhashed columns are in them */
};

static struct status *key_value(struct run *r, struct arena *a, const struct expr *e,
                                struct datum *out)
{
    if (e->kind == EXPR_CONST) {
        *out = e->value;
        return NULL;
    }
    if (e->kind == EXPR_PARAM && e->index < r->nparams) {
        *out = r->params[e->index];
        return NULL;
    }
    struct eval_ctx ev = r->eval;
    ev.arena = a;
    return expr_eval_const(&ev, e, out);
}

static struct slice append_key(struct span_builder *b, struct slice prefix,
                               const struct key_column *kc, const struct datum *d)
{
    struct buf buf = {0};
    buf_put_slice(&buf, prefix);
    key_put_datum(&buf, kc, d);
    struct slice s = arena_copy(b->a, buf_slice(&buf));
    buf_deinit(&buf);
    return s;
}

static struct status *prefixes_times(struct span_builder *b, const struct key_column *kc, int n,
                                     const struct datum *values)
{
    int live = 0;
    for (int i = 0; i < n; i++) {
        live += !values[i].is_null;
    }
    int64_t total = (int64_t)b->nprefixes * live;
    if (total > SPANS_LIMIT) {
        return status_hint(
            status_sql(LIMIT, "54000",
                       "condition selects %lld index keys, more than the limit of %d",
                       (long long)total, SPANS_LIMIT),
            "Join with a table of the values instead.");
    }
    struct slice *out = ARENA_ARRAY(b->a, struct slice, total + 1);
    int m = 0;
    for (int p = 0; p < b->nprefixes; p++) {
        for (int i = 0; i < n; i++) {
            if (!values[i].is_null) {
                out[m++] = append_key(b, b->prefixes[p], kc, &values[i]);
            }
        }
    }
    b->prefixes = out;
    b->nprefixes = m;
    return NULL;
}

/* The index part in front of the column bytes. */
static struct slice full_key(const struct span_builder *b, struct slice cols)
{
    struct buf buf = {0};
    index_head(b->s->table, b->s->index, cols, &buf);
    buf_put_slice(&buf, cols);
    struct slice s = arena_copy(b->a, buf_slice(&buf));
    buf_deinit(&buf);
    return s;
}

static struct slice key_after(struct arena *a, struct slice key)
{
    struct buf buf = {0};
    buf_put_slice(&buf, key);
    struct slice s = key_prefix_end(&buf) ? arena_copy(a, buf_slice(&buf)) : slice_make(NULL, 0);
    buf_deinit(&buf);
    return s;
}

static struct slice with_byte(struct arena *a, struct slice prefix, uint8_t byte)
{
    uint8_t *p = arena_alloc(a, prefix.len + 1);
    if (prefix.len > 0) {
        memcpy(p, prefix.data, prefix.len);
    }
    p[prefix.len] = byte;
    return slice_make(p, prefix.len + 1);
}

static struct status *range_spans(struct span_builder *b, const struct span_key *k,
                                  const struct key_column *kc, struct span_list *out)
{
    struct datum low, high;
    bool has_low = k->low != NULL, has_high = k->high != NULL;
    bool low_inc = k->low_inclusive, high_inc = k->high_inclusive;
    if (has_low) {
        TRY(key_value(b->r, b->a, k->low, &low));
    }
    if (has_high) {
        TRY(key_value(b->r, b->a, k->high, &high));
    }
    if ((has_low && low.is_null) || (has_high && high.is_null)) {
        return NULL;
    }
    if (kc->is_desc) { /* the key runs the other way */
        struct datum d = low;
        low = high;
        high = d;
        bool x = has_low;
        has_low = has_high;
        has_high = x;
        x = low_inc;
        low_inc = high_inc;
        high_inc = x;
    }
    uint8_t marker = kc->is_desc ? (uint8_t)~VALUE_MARKER : VALUE_MARKER;
    for (int p = 0; p < b->nprefixes; p++) {
        struct slice prefix = b->prefixes[p];
        struct key_span s = {0};
        if (has_low) {
            struct slice key = append_key(b, prefix, kc, &low);
            s.start = low_inc ? key : key_after(b->a, key);
        } else {
            s.start = with_byte(b->a, prefix, marker);
        }
        if (has_high) {
            struct slice key = append_key(b, prefix, kc, &high);
            s.end = high_inc ? key_after(b->a, key) : key;
        } else {
            s.end = with_byte(b->a, prefix, (uint8_t)(marker + 1));
        }
        if (slice_cmp(s.start, s.end) < 0) {
            span_add(out, s);
        }
    }
    return NULL;
}

static void prefix_spans(struct span_builder *b, struct span_list *out)
{
    for (int p = 0; p < b->nprefixes; p++) {
        struct slice key = b->prefixes[p];
        struct key_span s = {.start = key, .is_point = b->s->is_point};
        if (s.is_point) {
            uint8_t *end = arena_alloc(b->a, key.len + 1);
            memcpy(end, key.data, key.len);
            end[key.len] = 0;
            s.end = slice_make(end, key.len + 1);
        } else {
            s.end = key_after(b->a, key);
        }
        span_add(out, s);
    }
}

static struct span_builder builder_make(struct run *r, struct arena *a, const struct scan *s)
{
    struct slice *empty = ARENA_NEW(a, struct slice);
    *empty = slice_make("", 0);
    return (struct span_builder){.r = r,
                                 .a = a,
                                 .s = s,
                                 .nprefixes = 1,
                                 .prefixes = empty,
                                 .nhashed = index_hash_columns(s->table, s->index)};
}

/* The prefixes have `ncolumns` columns now. */
static void put_heads(struct span_builder *b, int ncolumns)
{
    for (int p = 0; ncolumns == b->nhashed && p < b->nprefixes; p++) {
        b->prefixes[p] = full_key(b, b->prefixes[p]);
    }
}

struct status *scan_spans(struct run *r, struct arena *a, const struct scan *s,
                          struct span_list *out)
{
    struct span_builder b = builder_make(r, a, s);
    out->a = a;
    if (b.nhashed > 0 && s->nkeys == 0) {
        out->spans = index_spans(a, s->table, s->index, &out->n);
        out->cap = out->n;
        return NULL;
    }
    ASSERT(s->nkeys >= b.nhashed);
    put_heads(&b, 0);
    for (int i = 0; i < s->nkeys; i++) {
        const struct span_key *k = &s->keys[i];
        struct key_column kc = index_key_column(s->table, s->index->columns[i]);
        if (k->kind == SPAN_RANGE) {
            ASSERT(i >= b.nhashed);
            TRY(range_spans(&b, k, &kc, out));
            spans_sort(out);
            return NULL;
        }
        struct datum one, *values = &one;
        int n = k->nvalues;
        if (k->kind == SPAN_IN) {
            values = ARENA_ARRAY(a, struct datum, n);
        }
        for (int v = 0; v < n; v++) {
            TRY(key_value(r, a, k->values[v], &values[v]));
        }
        if (k->kind == SPAN_ANY) {
            if (one.is_null) {
                return NULL;
            }
            values = array_elements(a, &one, &n);
        }
        TRY(prefixes_times(&b, &kc, n, values));
        put_heads(&b, i + 1);
    }
    prefix_spans(&b, out);
    spans_sort(out);
    return NULL;
}

struct status *scan_lookup_spans(struct run *r, struct arena *a, const struct scan *s,
                                 const struct batch *outer, struct span_list *out)
{
    struct eval_ctx ev = r->eval;
    ev.arena = a;
    struct datum **values = ARENA_ARRAY(a, struct datum *, s->nkeys);
    for (int k = 0; k < s->nkeys; k++) {
        values[k] = ARENA_ARRAY(a, struct datum, outer->nrows + 1);
        TRY(expr_eval(&ev, s->keys[k].values[0], outer, NULL, outer->nrows, values[k]));
    }
    out->a = a;
    for (int i = 0; i < outer->nrows; i++) {
        struct span_builder b = builder_make(r, a, s);
        bool has_null = false;
        put_heads(&b, 0);
        for (int k = 0; k < s->nkeys && !has_null; k++) {
            struct key_column kc = index_key_column(s->table, s->index->columns[k]);
            has_null = values[k][i].is_null;
            if (!has_null) {
                b.prefixes[0] = append_key(&b, b.prefixes[0], &kc, &values[k][i]);
                put_heads(&b, k + 1);
            }
        }
        if (!has_null) {
            prefix_spans(&b, out);
        }
    }
    spans_sort(out);
    return NULL;
}

/* ---- opening ---- */

static struct status *bind_fragment(struct run *r, struct arena *a, const struct scan *s,
                                    struct fragment *fr)
{
    struct status *st = NULL;
    if (s->filter != NULL) {
        fr->filter = bind_expr(r, a, s->filter, &st);
        TRY(st);
    }
    if (fr->nprojections > 0) {
        struct expr **pr = ARENA_ARRAY(a, struct expr *, fr->nprojections);
        for (int i = 0; i < fr->nprojections; i++) {
            pr[i] = bind_expr(r, a, fr->projections[i], &st);
            TRY(st);
        }
        fr->projections = pr;
    }
    return NULL;
}

/* The template with its spans, and with values for all that is known by now. */
static struct status *fragment_of(struct run *r, struct arena *a, const struct scan *s,
                                  const struct span_list *spans, struct fragment **out)
{
    struct fragment *fr = arena_alloc(a, sizeof(*fr));
    *fr = s->fragment;
    fr->nspans = spans->n;
    fr->spans = spans->spans;
    if (s->needs_bind) {
        TRY(bind_fragment(r, a, s, fr));
    }
    *out = fr;
    return NULL;
}

static struct status *bind_sets(struct run *r, struct arena *a, int n, struct fragment_set **sets)
{
    struct fragment_set *bound = ARENA_ARRAY(a, struct fragment_set, n + 1);
    struct status *st = NULL;
    for (int i = 0; i < n; i++) {
        bound[i].ordinal = (*sets)[i].ordinal;
        bound[i].value = bind_expr(r, a, (*sets)[i].value, &st);
        TRY(st);
    }
    *sets = bound;
    return NULL;
}

struct status *scan_change(struct run *r, struct arena *a, const struct scan *s,
                           const struct change_plan *cp, struct fragment **out)
{
    struct span_list spans = {.a = a};
    *out = NULL;
    TRY(scan_spans(r, a, s, &spans));
    if (spans.n == 0) {
        return NULL;
    }
    struct fragment *fr;
    TRY(fragment_of(r, a, s, &spans, &fr));
    fr->change = arena_alloc(a, sizeof(*fr->change));
    *fr->change = cp->change;
    if (cp->needs_bind) {
        struct fragment_change *ch = fr->change;
        TRY(bind_sets(r, a, ch->nsets, &ch->sets));
        TRY(bind_sets(r, a, ch->ngenerated, &ch->generated));
        struct expr **checks = ARENA_ARRAY(a, struct expr *, ch->nchecks + 1);
        struct status *st = NULL;
        for (int i = 0; i < ch->nchecks; i++) {
            checks[i] = bind_expr(r, a, ch->checks[i], &st);
            TRY(st);
        }
        ch->checks = checks;
    }
    *out = fr;
    return NULL;
}

struct status *scan_open(struct run *r, struct arena *a, const struct pnode *n,
                         struct span_list *given, struct op **out)
{
    const struct scan *s = n->scan;
    struct span_list own = {.a = a};
    if (given == NULL) {
        TRY(scan_spans(r, a, s, &own));
        given = &own;
    }
    if (given->n == 0) {
        *out = op_empty(a, n->ncols, n->types);
        return NULL;
    }
    struct fragment *fr;
    TRY(fragment_of(r, a, s, given, &fr));
    if (s->limit != NULL) {
        int64_t limit, offset;
        TRY(eval_int(r, s->limit, "LIMIT", &limit));
        TRY(eval_int(r, s->offset, "OFFSET", &offset));
        if (limit >= 0) {
            offset = offset < 0 ? 0 : offset;
            fr->limit = limit > INT64_MAX - offset ? -1 : limit + offset;
        }
        if (fr->limit == 0) {
            *out = op_empty(a, n->ncols, n->types);
            return NULL;
        }
        if (fr->limit < 0) {
            fr->nsort = 0; /* top-N without N */
        }
    }
    *out = txn_scan(a, r->x->txn, fr, s->is_ordered);
    return NULL;
}
