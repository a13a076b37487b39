/* See index_check.h. What is compared are keys as they are stored, not what plans make of them. */
#include "index_check.h"

#include "analyze/analyze.h"
#include "base/check.h"
#include "metadata/catalog.h"
#include "router/plan.h"
#include "sql/codec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MAX 256

struct entry {
    struct slice key, pk; /* pk: of a row's expected entry, else empty */
};

struct entries {
    struct entry *items;
    int count, cap;
};

static void put(struct arena *a, struct entries *e, struct slice key, struct slice pk)
{
    if (e->count == e->cap) {
        int cap = e->cap == 0 ? 32 : e->cap * 2;
        struct entry *grown = ARENA_ARRAY(a, struct entry, cap);
        if (e->count > 0) {
            memcpy(grown, e->items, sizeof(*grown) * (size_t)e->count);
        }
        e->items = grown;
        e->cap = cap;
    }
    e->items[e->count++] = (struct entry){arena_copy(a, key), arena_copy(a, pk)};
}

static int compare_entries(const void *a, const void *b)
{
    return slice_cmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static const Sherd__V1__TableDesc *find(const struct catalog *c, const char *name)
{
    const Sherd__V1__DatabaseDesc *db = catalog_database(c, slice_str("sherd"));
    const Sherd__V1__SchemaDesc *s =
        db == NULL ? NULL : catalog_schema(c, db->id, slice_str("public"));
    return s == NULL ? NULL : catalog_table(c, s->id, slice_str(name));
}

/* All of one index (1: the rows), in key order. fr: which columns come. */
static struct status *scan(struct fiber *f, struct arena *a, struct txn *t, struct fragment *fr,
                           void (*each)(void *ctx, const struct batch *b, int row), void *ctx)
{
    struct buf start = {0}, end = {0};
    key_prefix(&start, fr->table_id, fr->index_id);
    buf_put_slice(&end, buf_slice(&start));
    ASSERT(key_prefix_end(&end));
    struct key_span all = {.start = arena_copy(a, buf_slice(&start)),
                           .end = arena_copy(a, buf_slice(&end))};
    buf_deinit(&start);
    buf_deinit(&end);
    fr->nspans = 1;
    fr->spans = &all;
    fr->with_key = true;
    fr->limit = -1;
    struct op *op = txn_scan(a, t, fr, true);
    struct status *st;
    struct batch *b;
    while ((st = op_next(f, op, &b)) == NULL && b != NULL) {
        for (int row = 0; row < b->nrows; row++) {
            each(ctx, b, row);
        }
    }
    op_close(op);
    return st;
}

struct expecting {
    struct arena *arena;
    const Sherd__V1__TableDesc *table;
    struct entries *by_index; /* by position in table->indexes */
};

static void expect_row(void *ctx, const struct batch *b, int row)
{
    struct expecting *x = ctx;
    struct datum values[COLUMNS_MAX];
    ASSERT(x->table->n_columns <= COLUMNS_MAX);
    int n = (int)x->table->n_columns;
    for (int i = 0; i < n; i++) {
        values[i] = b->cols[i][row];
    }
    struct slice pk = datum_slice(&b->cols[n][row]);
    for (size_t i = 1; i < x->table->n_indexes; i++) {
        struct buf key = {0};
        struct status *st = table_index_key(x->table, x->table->indexes[i], values, &key);
        if (st != NULL) {
            cluster_fail(&world.cluster, "index: %s", st->message);
        }
        put(x->arena, &x->by_index[i], buf_slice(&key), pk);
        buf_deinit(&key);
    }
}

struct finding {
    struct arena *arena;
    struct entries found;
};

static void find_entry(void *ctx, const struct batch *b, int row)
{
    struct finding *x = ctx;
    put(x->arena, &x->found, datum_slice(&b->cols[0][row]), (struct slice){0});
}

static void print_key(const char *what, struct slice key)
{
    printf("%s ", what);
    for (size_t i = 0; i < key.len; i++) {
        printf("%02x", key.data[i]);
    }
    printf("\n");
}

static struct status *check_index(struct fiber *f, struct arena *a, struct txn *t,
                                  const Sherd__V1__TableDesc *d, const Sherd__V1__IndexDesc *ix,
                                  struct entries *expected, uint64_t at)
{
    struct finding keys = {a, {0}}, pks = {a, {0}};
    struct fragment fr = {
        .table_id = d->id, .index_id = ix->index_id, .schema_version = d->version};
    TRY(scan(f, a, t, &fr, find_entry, &keys));
    fr = (struct fragment){.table_id = d->id,
                           .index_id = ix->index_id,
                           .schema_version = d->version,
                           .is_keys_only = true};
    TRY(scan(f, a, t, &fr, find_entry, &pks));
    if (expected->count > 0) {
        qsort(expected->items, (size_t)expected->count, sizeof(*expected->items), compare_entries);
    }
    bool is_equal = keys.found.count == expected->count && pks.found.count == expected->count;
    for (int i = 0; i < expected->count && is_equal; i++) {
        is_equal = slice_eq(keys.found.items[i].key, expected->items[i].key) &&
                   slice_eq(pks.found.items[i].key, expected->items[i].pk);
    }
    if (!is_equal && world.cluster.trace) {
        printf("snapshot %llu\n", (unsigned long long)at);
        for (int i = 0; i < expected->count; i++) {
            print_key("expected", expected->items[i].key);
        }
        for (int i = 0; i < keys.found.count; i++) {
            print_key("found", keys.found.items[i].key);
        }
    }
    if (!is_equal) {
        cluster_fail(&world.cluster,
                     "index \"%s\" at %llu: %d entries, and not those of the %d rows", ix->name,
                     (unsigned long long)at, keys.found.count, expected->count);
    }
    return NULL;
}

struct status *index_check(struct fiber *f, struct client *c, const char *table, uint64_t at)
{
    struct catalog *cat = catalog_current(router_catalog(c->node->router));
    const Sherd__V1__TableDesc *d = find(cat, table);
    if (d == NULL) {
        catalog_unref(cat);
        return NULL;
    }
    struct arena *a = arena_create(0);
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true, .as_of = at};
    struct txn *t = txn_begin(c->node->router, &o);
    struct expecting x = {a, d, ARENA_ARRAY(a, struct entries, d->n_indexes + 1)};
    int ncolumns;
    struct row_column *layout = table_row_columns(a, d, &ncolumns);
    int *ordinals = ARENA_ARRAY(a, int, d->n_columns + 1);
    memset(x.by_index, 0, sizeof(*x.by_index) * (d->n_indexes + 1));
    for (size_t i = 0; i < d->n_columns; i++) {
        ordinals[i] = (int)i;
    }
    struct fragment fr = {.table_id = d->id,
                          .index_id = 1,
                          .schema_version = d->version,
                          .nrow_columns = ncolumns,
                          .row_columns = layout,
                          .ncolumns = (int)d->n_columns,
                          .columns = ordinals};
    struct status *st = txn_statement_begin(f, t);
    if (st == NULL) {
        st = scan(f, a, t, &fr, expect_row, &x);
    }
    for (size_t i = 1; i < d->n_indexes && st == NULL; i++) {
        /* One that is being made is complete from its PUBLIC state on, not before. */
        if (d->indexes[i]->state == SHERD__V1__INDEX_STATE__INDEX_PUBLIC &&
            (at == 0 || at >= d->indexes[i]->usable_from)) {
            st = check_index(f, a, t, d, d->indexes[i], &x.by_index[i], at);
        }
    }
    txn_rollback(f, t);
    arena_destroy(a);
    catalog_unref(cat);
    return st;
}
