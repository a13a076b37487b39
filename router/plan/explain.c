/*
 * EXPLAIN: the physical tree as text, one line per row, with what each scan sends where: index, key
 * conditions, spans, pushed filter, partial aggregates, and the shards that hold the spans with the
 * node believed to lead each.
 *
 * ANALYZE runs the plan first (its writes too, as in PostgreSQL) and adds rows, loops and time per
 * node, then the transaction's counters.
 */
#include "exec/exec.h"

#include "analyze/analyze.h"
#include "ddl/system.h"
#include "router/router.h"

#include <stdio.h>

struct explain {
    const struct plan *p; /* the plan explained */
    const struct plan *outer;
    struct run *r;
    struct arena *a;
    struct buf out;
    uint64_t total_ns;
};

static void line(struct explain *x, int depth, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void line(struct explain *x, int depth, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char text[4096];
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    buf_printf(&x->out, "%*s%s\n", depth, "", text);
}

/* ---- expressions with names ---- */

static const char **names_of(struct explain *x, int n, const int *vars)
{
    const char **names = ARENA_ARRAY(x->a, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        names[i] =
            vars[i] >= 0 && x->p->q->vars[vars[i]].name != NULL ? x->p->q->vars[vars[i]].name : "?";
    }
    return names;
}

static const char *text_of(struct explain *x, const struct expr *e, int n, const int *vars)
{
    struct buf b = {0};
    expr_format(&b, e, names_of(x, n, vars));
    const char *s = arena_strndup(x->a, b.len > 0 ? b.data : (const uint8_t *)"", b.len);
    buf_deinit(&b);
    return s;
}

static const char *over_input(struct explain *x, const struct expr *e, const struct pnode *in)
{
    return text_of(x, e, in == NULL ? 0 : in->ncols, in == NULL ? NULL : in->vars);
}

/* ---- scans ---- */

static void key_condition(struct explain *x, const struct scan *s, const struct pnode *outer,
                          int depth)
{
    struct buf b = {0};
    for (int i = 0; i < s->nkeys; i++) {
        const struct span_key *k = &s->keys[i];
        const char *col = s->table->columns[s->index->columns[i]->ordinal]->name;
        buf_printf(&b, "%s", i > 0 ? " AND " : "");
        if (k->kind == SPAN_EQ) {
            buf_printf(&b, "%s = %s", col, over_input(x, k->values[0], outer));
        } else if (k->kind == SPAN_ANY) {
            buf_printf(&b, "%s = ANY (%s)", col, over_input(x, k->values[0], outer));
        } else if (k->kind == SPAN_IN) {
            buf_printf(&b, "%s IN (", col);
            for (int v = 0; v < k->nvalues && v < 10; v++) {
                buf_printf(&b, "%s%s", v > 0 ? ", " : "", over_input(x, k->values[v], outer));
            }
            buf_printf(&b, "%s)", k->nvalues > 10 ? ", ..." : "");
        } else {
            if (k->low != NULL) {
                buf_printf(&b, "%s %s %s", col, k->low_inclusive ? ">=" : ">",
                           over_input(x, k->low, outer));
            }
            if (k->high != NULL) {
                buf_printf(&b, "%s%s %s %s", k->low != NULL ? " AND " : "", col,
                           k->high_inclusive ? "<=" : "<", over_input(x, k->high, outer));
            }
        }
    }
    if (b.len > 0) {
        line(x, depth, "Index Cond: %.*s", (int)b.len, (char *)b.data);
    }
    buf_deinit(&b);
}

struct shard_walk {
    struct explain *x;
    struct buf *b;
    int n;
    uint64_t last;
};

static bool shard_seen(void *ctx, const struct shard_info *s)
{
    struct shard_walk *w = ctx;
    if (s->shard_id == w->last) {
        return true;
    }
    w->last = s->shard_id;
    w->n++;
    if (w->n <= 16) {
        buf_printf(w->b, "%s%llu", w->n > 1 ? ", " : "", (unsigned long long)s->shard_id);
        if (s->leader_hint != 0) {
            buf_printf(w->b, " (node %llu)", (unsigned long long)s->leader_hint);
        }
    }
    return true;
}

static void hex(struct buf *b, struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        buf_printf(b, "%02x", s.data[i]);
    }
}

static void spans(struct explain *x, const struct scan *s, int depth)
{
    struct span_list l = {0};
    if (status_consume(scan_spans(x->r, x->a, s, &l))) {
        return;
    }
    struct buf b = {0};
    if (x->outer->explain_verbose) {
        for (int i = 0; i < l.n && i < 8; i++) {
            buf_printf(&b, "%s", i > 0 ? ", " : " ");
            hex(&b, l.spans[i].start);
            if (!l.spans[i].is_point) {
                buf_printf(&b, "..");
                hex(&b, l.spans[i].end);
            }
        }
    }
    line(x, depth, "Spans: %d%.*s", l.n, (int)b.len, b.len > 0 ? (char *)b.data : "");
    buf_clear(&b);
    if (x->r->x->env.router != NULL) {
        struct shard_walk w = {.x = x, .b = &b};
        for (int i = 0; i < l.n; i++) {
            shard_map_scan(router_meta(x->r->x->env.router), l.spans[i].start, l.spans[i].end,
                           shard_seen, &w);
        }
        line(x, depth, "Shards: %.*s%s", (int)b.len, b.len > 0 ? (char *)b.data : "",
             w.n > 16 ? ", ..." : "");
    }
    buf_deinit(&b);
}

static void scan_details(struct explain *x, const struct pnode *n, const struct pnode *outer,
                         int depth)
{
    static const char *const locks[] = {"", "KEY SHARE", "SHARE", "NO KEY UPDATE", "UPDATE"};
    const struct scan *s = n->scan;
    const struct fragment *fr = &s->fragment;
    const char **cols = ARENA_ARRAY(x->a, const char *, fr->ncolumns + 1);
    for (int i = 0; i < fr->ncolumns; i++) {
        cols[i] = s->table->columns[fr->columns[i]]->name;
    }
    key_condition(x, s, outer, depth);
    struct buf b = {0};
    if (s->filter != NULL) {
        expr_format(&b, s->filter, cols);
        line(x, depth, "Shard Filter: %.*s", (int)b.len, (char *)b.data);
        buf_clear(&b);
    }
    if (fr->naggs > 0 || fr->ngroups > 0) {
        for (int i = 0; i < fr->ngroups; i++) {
            buf_printf(&b, "%s", i > 0 ? ", " : "");
            expr_format(&b, fr->projections[i], cols);
        }
        if (b.len > 0) {
            line(x, depth, "Shard Group Key: %.*s", (int)b.len, (char *)b.data);
        }
        buf_clear(&b);
        for (int i = 0; i < fr->naggs; i++) {
            buf_printf(&b, "%s%s", i > 0 ? ", " : "", fr->aggs[i].func->name);
        }
        line(x, depth, "Shard Aggregate: %.*s", (int)b.len, b.len > 0 ? (char *)b.data : "");
        buf_clear(&b);
    }
    if (fr->nsort > 0) {
        line(x, depth, "Shard Top-N: yes");
    } else if (s->limit != NULL) {
        line(x, depth, "Shard Limit: yes");
    }
    if (fr->lock != LOCK_NONE) {
        line(x, depth, "Lock: FOR %s", locks[fr->lock]);
    }
    if (x->outer->explain_verbose) {
        for (int i = 0; i < fr->ncolumns; i++) {
            buf_printf(&b, "%s%s", i > 0 ? ", " : "", cols[i]);
        }
        line(x, depth, "Columns: %.*s", (int)b.len, b.len > 0 ? (char *)b.data : "");
        buf_clear(&b);
    }
    if (outer == NULL) {
        spans(x, s, depth);
    }
    buf_deinit(&b);
}

static const char *scan_title(struct explain *x, const struct pnode *n)
{
    const struct scan *s = n->scan;
    const char *how = s->is_point     ? "Point Lookup"
                      : s->nkeys > 0  ? "Index Range Scan"
                      : s->is_ordered ? "Index Scan"
                                      : "Full Scan";
    const char *alias =
        strcmp(s->alias, s->table->name) == 0 ? "" : arena_printf(x->a, " %s", s->alias);
    return arena_printf(x->a, "%s%s on %s%s using %s", how,
                        s->fragment.is_reverse ? " Backward" : "", s->table->name, alias,
                        s->index->name);
}

/* ---- other nodes ---- */

static const char *join_name(enum join_kind k)
{
    static const char *const names[] = {"Inner", "Left", "Right", "Full", "Semi", "Anti"};
    return names[(int)k];
}

static const char *title(struct explain *x, const struct pnode *n)
{
    static const char *const setops[] = {"Append",        "Union",  "Intersect",
                                         "Intersect All", "Except", "Except All"};
    switch (n->kind) {
    case P_ONE:
        return "Result";
    case P_SCAN:
        return scan_title(x, n);
    case P_SYSTEM:
        return arena_printf(x->a, "System Scan on %s", n->system->name);
    case P_VALUES:
        return arena_printf(x->a, "Values (%d rows)", n->nrows);
    case P_SERIES:
        return "Function Scan on generate_series";
    case P_SRF:
        return "Project Set";
    case P_FILTER:
        return "Filter";
    case P_PROJECT:
        return "Project";
    case P_JOIN:
        return arena_printf(x->a, "%s Join (%s)", n->nkeys > 0 ? "Hash" : "Nested Loop",
                            join_name(n->join));
    case P_LOOKUP:
        return n->is_single ? "Lock Rows"
                            : arena_printf(x->a, "Lookup Join (%s)", join_name(n->join));
    case P_APPLY:
        return arena_printf(x->a, "Lateral Join (%s)", join_name(n->join));
    case P_AGG:
        return arena_printf(x->a, "%s%s", n->agg_mode == AGG_FINAL ? "Final " : "",
                            n->ngroups > 0 ? "Hash Aggregate" : "Aggregate");
    case P_SORT:
        return n->limit != NULL ? "Top-N Sort" : "Sort";
    case P_LIMIT:
        return "Limit";
    case P_DISTINCT:
        return "Distinct";
    case P_DISTINCT_ON:
        return "Distinct On";
    case P_SETOP:
        return setops[(int)n->setop];
    case P_CTE:
        return arena_printf(x->a, "CTE Scan on %s", n->cte->name);
    }
    return "?";
}

static void details(struct explain *x, const struct pnode *n, const struct pnode *outer, int depth)
{
    struct buf b = {0};
    if (n->kind == P_SCAN) {
        scan_details(x, n, outer, depth);
    }
    if (n->kind == P_SORT) {
        for (int i = 0; i < n->nsort; i++) {
            const char **names = names_of(x, n->left->ncols, n->left->vars);
            buf_printf(&b, "%s%s%s", i > 0 ? ", " : "", names[n->sort[i].column],
                       n->sort[i].is_desc ? " DESC" : "");
        }
        line(x, depth, "Sort Key: %.*s", (int)b.len, (char *)b.data);
    }
    if (n->kind == P_FILTER) {
        line(x, depth, "Filter: %s", over_input(x, n->filter, n->left));
    }
    if (n->kind == P_JOIN || n->kind == P_LOOKUP || n->kind == P_APPLY) {
        const char **l = names_of(x, n->left->ncols, n->left->vars),
                   **r = names_of(x, n->right->ncols, n->right->vars);
        for (int i = 0; i < n->nkeys; i++) {
            buf_printf(&b, "%s%s = %s", i > 0 ? " AND " : "", l[n->left_keys[i]],
                       r[n->right_keys[i]]);
        }
        if (b.len > 0) {
            line(x, depth, "Join Cond: %.*s", (int)b.len, (char *)b.data);
        }
        if (n->filter != NULL) {
            int total = n->left->ncols + n->right->ncols;
            int *vars = ARENA_ARRAY(x->a, int, total + 1);
            for (int i = 0; i < total; i++) {
                vars[i] =
                    i < n->left->ncols ? n->left->vars[i] : n->right->vars[i - n->left->ncols];
            }
            line(x, depth, "Join Filter: %s", text_of(x, n->filter, total, vars));
        }
    }
    if (n->kind == P_PROJECT && x->outer->explain_verbose) {
        for (int i = 0; i < n->nexprs; i++) {
            buf_printf(&b, "%s%s", i > 0 ? ", " : "", over_input(x, n->exprs[i], n->left));
        }
        line(x, depth, "Output: %.*s", (int)b.len, b.len > 0 ? (char *)b.data : "");
    }
    buf_deinit(&b);
}

static void node(struct explain *x, const struct pnode *n, const struct pnode *outer, int depth,
                 bool is_root)
{
    if (n->kind == P_PROJECT && n->is_permutation && !x->outer->explain_verbose) {
        node(x, n->left, outer, depth, is_root); /* moves columns only */
        return;
    }
    struct buf b = {0};
    buf_printf(&b, "%s%s", is_root ? "" : "->  ", title(x, n));
    if (x->outer->explain_costs) {
        buf_printf(&b, "  (rows=%.0f)", n->rows);
    }
    if (x->r->stats != NULL) {
        const struct node_stats *s = &x->r->stats[n->id];
        buf_printf(&b, "  (actual time=%.3f ms rows=%llu loops=%llu)", (double)s->ns / 1e6,
                   (unsigned long long)s->rows, (unsigned long long)s->loops);
    }
    line(x, depth, "%.*s", (int)b.len, (char *)b.data);
    buf_deinit(&b);
    int inner = depth + (is_root ? 2 : 6);
    details(x, n, outer, inner);
    if (n->left != NULL) {
        node(x, n->left, NULL, inner, false);
    }
    if (n->right != NULL) {
        node(x, n->right, n->kind == P_LOOKUP ? n->left : NULL, inner, false);
    }
}

static void subplans(struct explain *x)
{
    const struct query *q = x->p->q;
    for (int i = 0; i < q->nctes; i++) {
        if (q->ctes[i]->plan != NULL) {
            line(x, 2, "CTE %s", q->ctes[i]->name);
            node(x, q->ctes[i]->plan, NULL, 4, false);
        }
    }
    for (int i = 0; i < q->nsubplans; i++) {
        if (q->subplans[i]->plan != NULL) {
            line(x, 2, "SubPlan %d%s", i + 1,
                 q->subplans[i]->nouter > 0 ? " (for each row)" : " (once)");
            node(x, q->subplans[i]->plan, NULL, 4, false);
        }
    }
}

static void whole(struct explain *x)
{
    static const char *const verbs[] = {"Select", "Insert", "Update", "Delete", "", ""};
    const struct plan *p = x->p;
    if (p->write != NULL) {
        line(x, 0, "%s on %s", verbs[(int)p->tag], p->write->t.table->name);
        if (p->write->dml->conflict != CONFLICT_ERROR) {
            line(x, 2, "Conflict Resolution: %s",
                 p->write->dml->conflict == CONFLICT_NOTHING ? "NOTHING" : "UPDATE");
        }
        if (p->write->in_shards != NULL) {
            line(x, 2, "In Shards: yes");
        }
        node(x, p->root, NULL, 2, false);
    } else {
        node(x, p->root, NULL, 0, true);
    }
    subplans(x);
    if (x->r->stats != NULL) {
        const struct txn_stats *s = txn_stats(x->r->x->txn);
        if (s != NULL) {
            line(x, 0, "Transaction: %llu reads, %llu writes, %llu RPCs, %llu rows, %llu bytes",
                 (unsigned long long)s->reads, (unsigned long long)s->writes,
                 (unsigned long long)s->rpcs, (unsigned long long)s->rows,
                 (unsigned long long)s->bytes);
        }
        line(x, 0, "Execution Time: %.3f ms", (double)x->total_ns / 1e6);
    }
}

static struct status *run_it(struct explain *x)
{
    struct run *r = x->r;
    struct op *op = NULL;
    uint64_t start = loop_clock_ns(fiber_loop(r->f));
    r->stats = ARENA_ARRAY(x->a, struct node_stats, x->p->nnodes + 1);
    if (x->p->write != NULL) {
        TRY(run_write(r, &op));
    } else {
        TRY(run_open(r, x->a, x->p->root, &op));
    }
    struct status *st = NULL;
    struct batch *b = NULL;
    do {
        st = op == NULL ? NULL : op_next(r->f, op, &b);
    } while (st == NULL && b != NULL);
    op_close(op);
    x->total_ns = loop_clock_ns(fiber_loop(r->f)) - start;
    return st;
}

static void json_text(struct buf *out, struct slice s)
{
    buf_printf(out, "[\n  {\n    \"Plan\": [\n");
    const uint8_t *p = s.data, *end = s.data + s.len;
    while (p < end) {
        const uint8_t *nl = memchr(p, '\n', (size_t)(end - p));
        const uint8_t *stop = nl == NULL ? end : nl;
        buf_printf(out, "      \"");
        for (; p < stop; p++) {
            if (*p == '"' || *p == '\\') {
                buf_put_u8(out, '\\');
            }
            buf_put_u8(out, *p < 0x20 ? ' ' : *p);
        }
        p = stop + 1;
        buf_printf(out, "\"%s\n", p < end ? "," : "");
    }
    buf_printf(out, "    ]\n  }\n]");
}

static struct op *rows_of(struct arena *a, struct slice text, bool single)
{
    uint32_t *types = ARENA_ARRAY(a, uint32_t, 1);
    types[0] = TYPE_TEXT;
    int n = 1;
    for (size_t i = 0; !single && i < text.len; i++) {
        n += text.data[i] == '\n';
    }
    struct batch *b = batch_create(a, 1, types, n);
    const uint8_t *p = text.data, *end = text.data + text.len;
    while (p < end) {
        const uint8_t *nl = single ? NULL : memchr(p, '\n', (size_t)(end - p));
        const uint8_t *stop = nl == NULL ? end : nl;
        b->cols[0][b->nrows++] = datum_bytes(arena_copy(a, slice_make(p, (size_t)(stop - p))));
        p = stop + 1;
    }
    struct batch **list = ARENA_ARRAY(a, struct batch *, 1);
    list[0] = b;
    return op_batches(a, 1, types, list, 1);
}

struct status *explain_open(struct fiber *f, const struct plan *p, struct exec *x, struct op **out)
{
    struct explain e = {.p = p->inner, .outer = p, .a = x->arena};
    TRY(run_create(f, p->inner, x, &e.r));
    if (p->explain_analyze) {
        TRY(run_it(&e));
    }
    whole(&e);
    if (p->explain_json) {
        struct buf json = {0};
        json_text(&json, buf_slice(&e.out));
        *out = rows_of(x->arena, buf_slice(&json), true);
        buf_deinit(&json);
    } else {
        *out = rows_of(x->arena, buf_slice(&e.out), false);
    }
    buf_deinit(&e.out);
    return NULL;
}
