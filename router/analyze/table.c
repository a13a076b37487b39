/*
 * What planner, executor, COPY and DDL share about a table descriptor: its expressions, row layout,
 * index keys, and the errors of its constraints.
 *
 * Key of a row in an index: table id, index id, [bucket], the index's columns, then the primary
 * key's columns when the index is not unique or one of its columns is NULL. Only the primary index
 * of a hash-sharded table has a bucket: the hash of its leading key columns. Secondary indexes are
 * sharded by range. A co-located table's rows lie in the buckets of the other table (codec.h), its
 * secondary indexes under its own id.
 */
#include "analyze.h"

#include "base/check.h"
#include "sql/codec.h"

bool table_is_hidden(const Sherd__V1__TableDesc *t, const Sherd__V1__ColumnDesc *c)
{
    return t->hidden_primary_key && strcmp(c->name, "sherd_rowid") == 0;
}

const Sherd__V1__ColumnDesc *table_column(const Sherd__V1__TableDesc *t, const char *name)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        if (!t->columns[i]->dropped && strcmp(t->columns[i]->name, name) == 0) {
            return t->columns[i];
        }
    }
    return NULL;
}

const Sherd__V1__ColumnDesc *table_ordinal(const Sherd__V1__TableDesc *t, uint32_t ordinal)
{
    return ordinal < t->n_columns ? t->columns[ordinal] : NULL;
}

const Sherd__V1__IndexDesc *table_index(const Sherd__V1__TableDesc *t, uint32_t index_id)
{
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (t->indexes[i]->index_id == index_id) {
            return t->indexes[i];
        }
    }
    return NULL;
}

struct row_column *table_row_columns(struct arena *a, const Sherd__V1__TableDesc *t, int *out_n)
{
    int n = (int)t->n_columns;
    struct row_column *cols = ARENA_ARRAY(a, struct row_column, n + 1);
    for (int i = 0; i < n; i++) {
        const Sherd__V1__ColumnDesc *c = t->columns[i];
        cols[i].type = c->type;
        cols[i].typmod = c->typmod;
        if (c->has_missing) {
            /* One-column row bytes of the value that older rows take. */
            struct row_column one = {.type = c->type, .typmod = c->typmod};
            int want = 0;
            struct datum d;
            if (!status_consume(row_decode(slice_make(c->missing.data, c->missing.len), &one, 1,
                                           &want, 1, &d))) {
                cols[i].has_missing = true;
                cols[i].missing = datum_copy(a, c->type, &d);
            }
        }
    }
    *out_n = n;
    return cols;
}

/* ---- keys ---- */

struct key_column index_key_column(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexColumn *ic)
{
    return (struct key_column){
        .type = t->columns[ic->ordinal]->type, .is_desc = ic->desc, .nulls_first = ic->nulls_first};
}

bool index_has_bucket(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix)
{
    return ix->primary && t->sharding == SHERD__V1__SHARDING__SHARDING_HASH && t->hash_buckets > 0;
}

int index_hash_columns(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix)
{
    if (!index_has_bucket(t, ix)) {
        return 0;
    }
    return t->hash_columns != 0 ? (int)t->hash_columns : (int)ix->n_columns;
}

static void put_bucket_head(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix,
                            uint32_t bucket, struct buf *out)
{
    bool is_colocated = t->colocate_with != 0;
    /* The other table has had its primary key from the start: index 1. */
    key_prefix(out, is_colocated ? t->colocate_with : t->id, is_colocated ? 1 : ix->index_id);
    key_put_bucket(out, (uint16_t)bucket);
    if (is_colocated) {
        key_put_colocated(out, t->id, ix->index_id);
    }
}

void index_head(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix, struct slice hashed,
                struct buf *out)
{
    if (index_has_bucket(t, ix)) {
        put_bucket_head(t, ix, key_hash_bucket(hashed, (uint16_t)t->hash_buckets), out);
    } else {
        key_prefix(out, t->id, ix->index_id);
    }
}

static struct slice copy_out(struct arena *a, struct buf *b)
{
    struct slice s = arena_copy(a, buf_slice(b));
    buf_clear(b);
    return s;
}

struct key_span *index_spans(struct arena *a, const Sherd__V1__TableDesc *t,
                             const Sherd__V1__IndexDesc *ix, int *out_n)
{
    struct buf b = {0};
    bool has_bucket = index_has_bucket(t, ix);
    int n = has_bucket ? (int)t->hash_buckets : 1;
    struct key_span *spans = ARENA_ARRAY(a, struct key_span, n);
    for (int i = 0; i < n; i++) {
        if (!has_bucket) {
            key_prefix(&b, t->id, ix->index_id);
            spans[i].start = copy_out(a, &b);
            key_prefix(&b, t->id, ix->index_id + 1);
        } else {
            put_bucket_head(t, ix, (uint32_t)i, &b);
            spans[i].start = arena_copy(a, buf_slice(&b));
            if (t->colocate_with != 0) {
                bool has_end = key_prefix_end(&b);
                ASSERT(has_end); /* ids are not all 0xFF */
            } else {
                buf_put_u8(&b, KEY_COLOCATED); /* behind it are others' rows */
            }
        }
        spans[i].end = copy_out(a, &b);
    }
    buf_deinit(&b);
    *out_n = n;
    return spans;
}

struct key_span *table_ranges(struct arena *a, const Sherd__V1__TableDesc *t, int *out_n)
{
    int n = 0;
    struct key_span *rows = NULL;
    if (t->colocate_with != 0) {
        rows = index_spans(a, t, t->indexes[0], &n);
    }
    struct key_span *all = ARENA_ARRAY(a, struct key_span, n + 1);
    if (n > 0) {
        memcpy(all, rows, (size_t)n * sizeof(*all));
    }
    struct buf b = {0};
    buf_put_u32(&b, t->id);
    all[n].start = copy_out(a, &b);
    buf_put_u32(&b, t->id + 1);
    all[n].end = copy_out(a, &b);
    buf_deinit(&b);
    *out_n = n + 1;
    return all;
}

struct status *index_prefix_key(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix,
                                int n, const struct datum *values, struct buf *out)
{
    int nhashed = index_hash_columns(t, ix);
    if (n < nhashed) {
        return status_new(INTERNAL, "part of a hashed key has no bucket");
    }
    struct buf cols = {0};
    size_t hashed = 0;
    for (int i = 0; i < n; i++) {
        struct key_column kc = index_key_column(t, ix->columns[i]);
        key_put_datum(&cols, &kc, &values[i]);
        hashed = i + 1 == nhashed ? cols.len : hashed;
    }
    index_head(t, ix, slice_make(cols.data, hashed), out);
    buf_put_slice(out, buf_slice(&cols));
    buf_deinit(&cols);
    return NULL;
}

struct status *table_index_key(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix,
                               const struct datum *row, struct buf *out)
{
    struct datum values[32];
    bool has_null = false;
    int n = (int)ix->n_columns;
    if (n > 32) {
        return status_sql(LIMIT, "54011", "cannot use more than 32 columns in an index");
    }
    for (int i = 0; i < n; i++) {
        values[i] = row[ix->columns[i]->ordinal];
        has_null |= values[i].is_null;
    }
    TRY(index_prefix_key(t, ix, n, values, out));
    if (ix->primary || (ix->unique && !has_null)) {
        return NULL;
    }
    const Sherd__V1__IndexDesc *pk = t->indexes[0];
    for (size_t i = 0; i < pk->n_columns; i++) {
        struct key_column kc = index_key_column(t, pk->columns[i]);
        key_put_datum(out, &kc, &row[pk->columns[i]->ordinal]);
    }
    return NULL;
}

struct status *unique_violation(const Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix,
                                const struct datum *row)
{
    struct buf names = {0}, values = {0};
    for (size_t i = 0; i < ix->n_columns; i++) {
        const Sherd__V1__ColumnDesc *c = t->columns[ix->columns[i]->ordinal];
        const struct datum *d = &row[c->ordinal];
        buf_printf(&names, "%s%s", i > 0 ? ", " : "", c->name);
        if (i > 0) {
            buf_put(&values, ", ", 2);
        }
        if (d->is_null) {
            buf_put(&values, "null", 4);
        } else {
            type_output(c->type, d, &values);
        }
    }
    struct status *st = status_sql(
        CONSTRAINT, "23505", "duplicate key value violates unique constraint \"%s\"", ix->name);
    st = status_detail(st, "Key (%.*s)=(%.*s) already exists.", (int)names.len,
                       (const char *)names.data, (int)values.len, (const char *)values.data);
    buf_deinit(&names);
    buf_deinit(&values);
    return status_about(st, t->name, NULL, ix->name);
}

/* ---- expressions of descriptors ---- */

struct status *analyze_table_expr(struct fiber *f, const struct plan_env *env,
                                  const Sherd__V1__TableDesc *table, const char *sql,
                                  struct arena *a, struct expr **out)
{
    struct parsed *p;
    char *text = arena_printf(a, "SELECT %s", sql);
    TRY(parse_sql(f, slice_str(text), &p));
    struct query *q = ARENA_NEW(a, struct query);
    q->arena = a;
    struct analyzer z = {.q = q, .a = a, .f = f, .env = env, .params_fixed = true};
    struct scope *sc = scope_new(&z, NULL);
    struct nsitem *it = ARENA_NEW(a, struct nsitem);
    it->name = table->name;
    it->cols = ARENA_ARRAY(a, const char *, table->n_columns + 1);
    it->vars = ARENA_ARRAY(a, int, table->n_columns + 1);
    for (size_t i = 0; i < table->n_columns; i++) { /* var id = ordinal */
        const Sherd__V1__ColumnDesc *c = table->columns[i];
        int v = query_var(q, c->name, c->type, c->typmod);
        ASSERT(v == (int)i);
        if (!c->dropped) {
            it->cols[it->ncols] = c->name;
            it->vars[it->ncols++] = v;
        }
    }
    sc->place = "check constraints";
    sc->srf_place = "check constraints";
    struct expr *e = NULL;
    struct status *st = scope_add(&z, sc, it, -1);
    const PgQuery__Node *n = parsed_node(p, 0);
    if (st == NULL &&
        (n->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || n->select_stmt->n_target_list != 1 ||
         n->select_stmt->n_from_clause != 0 || parsed_count(p) != 1)) {
        st = status_sql(INVALID, "42601", "not a single expression: %s", sql);
    }
    if (st == NULL) {
        st = analyze_expr(&z, sc, n->select_stmt->target_list[0]->res_target->val, &e);
    }
    parsed_free(p);
    TRY(st);
    if (q->nsubplans > 0) {
        return status_sql(UNSUPPORTED, "0A000", "cannot use subquery in check constraint");
    }
    *out = e;
    return NULL;
}

struct status *table_expr(struct analyzer *z, const Sherd__V1__TableDesc *t, const char *sql,
                          struct expr **out)
{
    return analyze_table_expr(z->f, z->env, t, sql, z->a, out);
}
