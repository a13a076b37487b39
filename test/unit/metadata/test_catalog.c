/* Catalog snapshots and overlays, on a live metadata group of one node. */
#include "keys.h"
#include "meta_world.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct meta_world w;
#define TRUE(expr) ASSERT(expr) /* in a fiber */

static void with_node(void (*fn)(struct fiber *f, struct world_node *n))
{
    world_init(&w, 7, 1, 1);
    world_boot(&w, 1);
    world_spawn(&w, 1, fn);
    world_run(&w, 60 * SECOND);
    world_shutdown(&w);
}

/* A change of up to four descriptors at once. */
struct change {
    struct buf keys[4], values[4];
    size_t puts, deletes;
};

static void change_table(struct change *c, const Sherd__V1__TableDesc *t)
{
    meta_key(&c->keys[c->puts], META_PREFIX_TABLE, t->id, 4);
    pb_pack(t, &c->values[c->puts]);
    c->puts++;
}

static void change_commit(struct fiber *f, struct world_node *n, struct change *c,
                          const struct buf *drop)
{
    Sherd__V1__MetaTxnRequest r = SHERD__V1__META_TXN_REQUEST__INIT;
    Sherd__V1__MetaPut puts[4];
    Sherd__V1__MetaPut *all[4];
    ProtobufCBinaryData deletes[1];
    bool ok;
    uint64_t rev;
    for (size_t i = 0; i < c->puts; i++) {
        sherd__v1__meta_put__init(&puts[i]);
        puts[i].key = (ProtobufCBinaryData){c->keys[i].len, c->keys[i].data};
        puts[i].value = (ProtobufCBinaryData){c->values[i].len, c->values[i].data};
        all[i] = &puts[i];
    }
    r.puts = all;
    r.n_puts = c->puts;
    if (drop != NULL) {
        deletes[0] = (ProtobufCBinaryData){drop->len, drop->data};
        r.deletes = deletes;
        r.n_deletes = 1;
    }
    OK(meta_txn(f, n->client, &r, &ok, &rev));
    TRUE(ok);
    OK(meta_wait_revision(f, n->client, rev));
    for (size_t i = 0; i < c->puts; i++) {
        buf_deinit(&c->keys[i]);
        buf_deinit(&c->values[i]);
    }
    memset(c, 0, sizeof(*c));
}

struct table {
    Sherd__V1__TableDesc desc;
    Sherd__V1__IndexDesc index;
    Sherd__V1__IndexDesc *indexes[1];
    char name[32], index_name[32], none[1];
};

static Sherd__V1__TableDesc *table(struct table *t, uint32_t id, const char *name,
                                   const char *index)
{
    memset(t, 0, sizeof(*t));
    sherd__v1__table_desc__init(&t->desc);
    sherd__v1__index_desc__init(&t->index);
    snprintf(t->name, sizeof(t->name), "%s", name);
    snprintf(t->index_name, sizeof(t->index_name), "%s", index);
    t->index.name = t->index_name;
    t->index.where_sql = t->none;
    t->indexes[0] = &t->index;
    t->desc.id = id;
    t->desc.schema_id = 16385;
    t->desc.name = t->name;
    t->desc.owner = t->none;
    t->desc.view_sql = t->none;
    t->desc.indexes = t->indexes;
    t->desc.n_indexes = 1;
    return &t->desc;
}

static void snapshot_body(struct fiber *f, struct world_node *n)
{
    struct change c = {0};
    struct table t1, t2;
    struct buf key = {0};
    OK(meta_wait_ready(f, n->client));
    change_table(&c, table(&t1, 20000, "a", "a_pkey"));
    change_table(&c, table(&t2, 20001, "b", "b_pkey"));
    change_commit(f, n, &c, NULL);
    struct catalog *before = catalog_current(n->catalog);
    const Sherd__V1__TableDesc *a = catalog_table(before, 16385, slice_str("a"));
    const Sherd__V1__TableDesc *b = catalog_table_by_id(before, 20001);
    TRUE(a != NULL && a->id == 20000 && b != NULL);
    const Sherd__V1__IndexDesc *index;
    TRUE(catalog_index(before, 16385, slice_str("b_pkey"), &index) == b && index == b->indexes[0]);
    TRUE(catalog_table(before, 16384, slice_str("a")) == NULL);
    /* The names change hands in one change. */
    change_table(&c, table(&t1, 20000, "b", "a_pkey"));
    change_table(&c, table(&t2, 20001, "a", "b_other"));
    change_commit(f, n, &c, NULL);
    struct catalog *after = catalog_current(n->catalog);
    TRUE(catalog_revision(after) > catalog_revision(before));
    TRUE(catalog_table(after, 16385, slice_str("a"))->id == 20001);
    TRUE(catalog_table(after, 16385, slice_str("b"))->id == 20000);
    TRUE(catalog_index(after, 16385, slice_str("b_pkey"), &index) == NULL);
    TRUE(catalog_index(after, 16385, slice_str("b_other"), NULL)->id == 20001);
    /* The old snapshot is as it was. */
    TRUE(strcmp(a->name, "a") == 0 && catalog_table(before, 16385, slice_str("a")) == a);
    /* What did not change is shared. */
    TRUE(catalog_database(after, slice_str("sherd")) ==
         catalog_database(before, slice_str("sherd")));
    meta_key(&key, META_PREFIX_TABLE, 20000, 4);
    TRUE(catalog_mod_revision(after, buf_slice(&key)) >
         catalog_mod_revision(before, buf_slice(&key)));
    change_commit(f, n, &c, &key);
    catalog_unref(before);
    struct catalog *dropped = catalog_current(n->catalog);
    TRUE(catalog_table_by_id(dropped, 20000) == NULL);
    TRUE(catalog_table(dropped, 16385, slice_str("b")) == NULL);
    TRUE(catalog_table_by_id(after, 20000) != NULL);
    catalog_unref(after);
    catalog_unref(dropped);
    buf_deinit(&key);
}

static void a_snapshot_stays_as_it_was(void **state)
{
    (void)state;
    with_node(snapshot_body);
}

static void other_body(struct fiber *f, struct world_node *n)
{
    OK(meta_wait_ready(f, n->client));
    struct catalog *one = catalog_current(n->catalog);
    struct change c = {0};
    meta_key_text(&c.keys[0], META_PREFIX_SETTING, slice_str("x"));
    buf_put_u8(&c.values[0], '1');
    c.puts = 1;
    change_commit(f, n, &c, NULL);
    struct catalog *two = catalog_current(n->catalog);
    TRUE(one == two);
    catalog_unref(one);
    catalog_unref(two);
}

static void other_changes_make_no_new_snapshot(void **state)
{
    (void)state;
    with_node(other_body);
}

static void damaged_body(struct fiber *f, struct world_node *n)
{
    struct change c = {0};
    struct table t;
    OK(meta_wait_ready(f, n->client));
    change_table(&c, table(&t, 20000, "a", "i"));
    meta_key(&c.keys[1], META_PREFIX_TABLE, 20001, 4);
    buf_put(&c.values[1], "\xff\xff\xff", 3);
    c.puts = 2;
    change_commit(f, n, &c, NULL);
    struct catalog *cat = catalog_current(n->catalog);
    TRUE(catalog_table_by_id(cat, 20000) != NULL);
    TRUE(catalog_table_by_id(cat, 20001) == NULL);
    catalog_unref(cat);
}

static void a_damaged_descriptor_is_left_out(void **state)
{
    (void)state;
    with_node(damaged_body);
}

static bool count_table(void *ctx, const Sherd__V1__TableDesc *d)
{
    (void)d;
    ++*(int *)ctx;
    return true;
}

static void overlay_put(struct catalog *c, const char *prefix, uint64_t id, int id_bytes,
                        const void *message)
{
    struct buf key = {0}, value = {0};
    meta_key(&key, prefix, id, id_bytes);
    pb_pack(message, &value);
    catalog_overlay_put(c, buf_slice(&key), buf_slice(&value));
    buf_deinit(&key);
    buf_deinit(&value);
}

static void overlay_delete(struct catalog *c, const char *prefix, uint64_t id, int id_bytes)
{
    struct buf key = {0};
    meta_key(&key, prefix, id, id_bytes);
    catalog_overlay_delete(c, buf_slice(&key));
    buf_deinit(&key);
}

static void overlay_body(struct fiber *f, struct world_node *n)
{
    struct change c = {0};
    struct table t;
    OK(meta_wait_ready(f, n->client));
    change_table(&c, table(&t, 20000, "a", "a_pkey"));
    change_commit(f, n, &c, NULL);
    struct catalog *base = catalog_current(n->catalog);
    struct catalog *mine = catalog_overlay(base);
    TRUE(catalog_is_overlay(catalog_revision(mine)));
    TRUE(!catalog_is_overlay(catalog_revision(base)));
    const Sherd__V1__TableDesc *seen = catalog_table(mine, 16385, slice_str("a"));
    TRUE(seen == catalog_table(base, 16385, slice_str("a")));
    table(&t, 20000, "renamed", "a_pkey");
    overlay_put(mine, META_PREFIX_TABLE, 20000, 4, &t.desc);
    snprintf(t.name, sizeof(t.name), "overwritten"); /* it took a copy */
    TRUE(catalog_table(mine, 16385, slice_str("a")) == NULL);
    TRUE(catalog_table(mine, 16385, slice_str("renamed"))->id == 20000);
    TRUE(strcmp(seen->name, "a") == 0); /* what was looked up lives on */
    TRUE(catalog_table(base, 16385, slice_str("a")) == seen);
    /* A revision to compare with: the committed one, none for what is new. */
    struct buf key = {0};
    meta_key(&key, META_PREFIX_TABLE, 20000, 4);
    TRUE(catalog_mod_revision(mine, buf_slice(&key)) ==
         catalog_mod_revision(base, buf_slice(&key)));
    overlay_put(mine, META_PREFIX_TABLE, 20009, 4, table(&t, 20009, "new", "new_pkey"));
    catalog_overlay_put(mine, slice_str("name/rel/x"), slice_str("r")); /* no descriptor */
    buf_clear(&key);
    meta_key(&key, META_PREFIX_TABLE, 20009, 4);
    TRUE(catalog_mod_revision(mine, buf_slice(&key)) == 0);
    int count = 0;
    catalog_each_table(mine, count_table, &count);
    TRUE(count == 2);
    overlay_delete(mine, META_PREFIX_TABLE, 20000, 4);
    overlay_delete(mine, META_PREFIX_TABLE, 4711, 4); /* not there */
    TRUE(catalog_table_by_id(mine, 20000) == NULL);
    TRUE(catalog_index(mine, 16385, slice_str("a_pkey"), NULL) == NULL);
    Sherd__V1__SequenceDesc s = SHERD__V1__SEQUENCE_DESC__INIT;
    char name[] = "s";
    s.id = 30000;
    s.schema_id = 16385;
    s.name = name;
    overlay_put(mine, META_PREFIX_SEQ, 30000, 8, &s);
    TRUE(catalog_sequence(mine, 16385, slice_str("s")) == catalog_sequence_by_id(mine, 30000));
    overlay_delete(mine, META_PREFIX_SEQ, 30000, 8);
    TRUE(catalog_sequence_by_id(mine, 30000) == NULL);
    Sherd__V1__SchemaDesc schema = SHERD__V1__SCHEMA_DESC__INIT;
    schema.id = 30001;
    schema.database_id = 16384;
    schema.name = name;
    schema.owner = name;
    overlay_put(mine, META_PREFIX_SCHEMA, 30001, 4, &schema);
    TRUE(catalog_schema(mine, 16384, slice_str("s"))->id == 30001);
    overlay_delete(mine, META_PREFIX_SCHEMA, 30001, 4);
    TRUE(catalog_schema(mine, 16384, slice_str("s")) == NULL);
    buf_deinit(&key);
    catalog_unref(mine);
    catalog_unref(base);
}

static void an_overlay_hides_and_adds_and_leaves_its_base(void **state)
{
    (void)state;
    with_node(overlay_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_snapshot_stays_as_it_was),
        cmocka_unit_test(other_changes_make_no_new_snapshot),
        cmocka_unit_test(a_damaged_descriptor_is_left_out),
        cmocka_unit_test(an_overlay_hides_and_adds_and_leaves_its_base),
    };
    log_set_level((enum log_level)(LOG_ERROR + 1));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
