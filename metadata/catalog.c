/*
 * Catalog snapshots: one persistent map (omap.h) with two kinds of entries.
 *
 *   <meta key>                      the descriptor: value = its bytes, object = the decoded message
 *   0x00 <kind> <scope u32> <name>  a name: value = the meta key of what has it
 *
 * An index's name leads to its table.
 *
 * Taking a snapshot is a copy of the map's root; a change costs its size and the path to it; an
 * overlay is a copy with further changes. Names are derived from the descriptors, not from the
 * name/ keys: those exist for their uniqueness only.
 *
 * The cache collects the keys that changed and builds the next snapshot when somebody asks for it.
 * Changes of other keys (shards, nodes) do not make a new snapshot, so plans that are cached by
 * catalog_revision() survive them.
 */
#include "metadata/catalog.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys.h"
#include "omap.h"

enum name_kind {
    NAME_DATABASE = 'd',
    NAME_SCHEMA = 's',
    NAME_TABLE = 't',
    NAME_SEQUENCE = 'q',
    NAME_INDEX = 'i',
};

struct catalog {
    uint32_t refs;
    uint64_t revision;
    struct omap map;
    struct omap_entry *
        *retired; /* what an overlay has replaced: lookups live as long as the snapshot */
    size_t retired_count;
};

struct catalog_cache {
    struct meta_client *client;
    struct meta_listener listener;
    struct catalog *current;
    struct omap dirty; /* keys that changed since `current` was made */
};

/* ---- kinds of descriptors ---- */

struct kind {
    const char *prefix;
    const ProtobufCMessageDescriptor *descriptor;
};

static const struct kind kinds[] = {
    {META_PREFIX_DB, &sherd__v1__database_desc__descriptor},
    {META_PREFIX_SCHEMA, &sherd__v1__schema_desc__descriptor},
    {META_PREFIX_TABLE, &sherd__v1__table_desc__descriptor},
    {META_PREFIX_SEQ, &sherd__v1__sequence_desc__descriptor},
    {META_PREFIX_ROLE, &sherd__v1__role_desc__descriptor},
};

static const struct kind *kind_of(struct slice key)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (meta_key_has(key, kinds[i].prefix)) {
            return &kinds[i];
        }
    }
    return NULL;
}

static void *desc_alloc(void *data, size_t size)
{
    (void)data;
    return mem_alloc(size);
}

static void desc_release(void *data, void *p)
{
    (void)data;
    mem_free(p);
}

static ProtobufCAllocator desc_allocator = {.alloc = desc_alloc, .free = desc_release};

static void desc_free(void *object)
{
    protobuf_c_message_free_unpacked(object, &desc_allocator);
}

/* NULL when the bytes are damaged. */
static struct omap_entry *desc_entry(const struct kind *k, struct slice key, struct slice value,
                                     uint64_t mod_revision)
{
    void *message =
        protobuf_c_message_unpack(k->descriptor, &desc_allocator, value.len, value.data);
    if (message == NULL) {
        return NULL;
    }
    struct omap_entry *e = omap_entry_create(key, slice_make(NULL, 0), mod_revision);
    e->object = message;
    e->object_free = desc_free;
    return e;
}

/* ---- names ---- */

static void name_key(struct buf *out, enum name_kind kind, uint32_t scope, struct slice name)
{
    buf_clear(out);
    buf_put_u8(out, 0);
    buf_put_u8(out, (uint8_t)kind);
    buf_put_u32(out, scope);
    buf_put_slice(out, name);
}

typedef void (*name_fn)(struct catalog *c, struct slice name_key, struct slice meta_key);

static void name_add(struct catalog *c, struct slice name, struct slice meta_key)
{
    omap_put(&c->map, name, meta_key, 0);
}

static void name_remove(struct catalog *c, struct slice name, struct slice meta_key)
{
    const struct omap_entry *e = omap_get(&c->map, name);
    if (e != NULL && slice_eq(omap_entry_value(e), meta_key)) {
        omap_delete(&c->map, name);
    }
}

static void each_name(struct catalog *c, const struct omap_entry *e, name_fn fn)
{
    struct buf name = {0};
    struct slice key = omap_entry_key(e);
    if (meta_key_has(key, META_PREFIX_DB)) {
        const Sherd__V1__DatabaseDesc *d = e->object;
        name_key(&name, NAME_DATABASE, 0, slice_str(d->name));
        fn(c, buf_slice(&name), key);
    } else if (meta_key_has(key, META_PREFIX_SCHEMA)) {
        const Sherd__V1__SchemaDesc *d = e->object;
        name_key(&name, NAME_SCHEMA, d->database_id, slice_str(d->name));
        fn(c, buf_slice(&name), key);
    } else if (meta_key_has(key, META_PREFIX_SEQ)) {
        const Sherd__V1__SequenceDesc *d = e->object;
        name_key(&name, NAME_SEQUENCE, d->schema_id, slice_str(d->name));
        fn(c, buf_slice(&name), key);
    } else if (meta_key_has(key, META_PREFIX_TABLE)) {
        const Sherd__V1__TableDesc *d = e->object;
        name_key(&name, NAME_TABLE, d->schema_id, slice_str(d->name));
        fn(c, buf_slice(&name), key);
        for (size_t i = 0; i < d->n_indexes; i++) {
            if (d->indexes[i]->name[0] != '\0') {
                name_key(&name, NAME_INDEX, d->schema_id, slice_str(d->indexes[i]->name));
                fn(c, buf_slice(&name), key);
            }
        }
    }
    buf_deinit(&name);
}

/* ---- changing a snapshot that is being made, or an overlay ---- */

static void drop_key(struct catalog *c, struct slice key)
{
    struct omap_entry *e = omap_get(&c->map, key);
    if (e == NULL) {
        return;
    }
    c->retired = mem_realloc(c->retired, (c->retired_count + 1) * sizeof(struct omap_entry *));
    c->retired[c->retired_count++] = omap_entry_ref(e);
    each_name(c, e, name_remove);
    omap_delete(&c->map, key);
}

static void retired_release(struct catalog *c)
{
    while (c->retired_count > 0) {
        omap_entry_unref(c->retired[--c->retired_count]);
    }
    mem_free(c->retired);
    c->retired = NULL;
}

static void put_entry_take(struct catalog *c, struct omap_entry *e)
{
    drop_key(c, omap_entry_key(e));
    each_name(c, e, name_add);
    omap_put_take(&c->map, e);
}

static struct catalog *catalog_derive(const struct catalog *from)
{
    struct catalog *c = MEM_NEW(struct catalog);
    c->refs = 1;
    if (from == NULL) {
        omap_init(&c->map);
    } else {
        omap_copy(&c->map, &from->map);
        c->revision = from->revision;
    }
    return c;
}

struct catalog *catalog_ref(struct catalog *c)
{
    c->refs++;
    return c;
}

void catalog_unref(struct catalog *c)
{
    if (c != NULL && --c->refs == 0) {
        retired_release(c);
        omap_deinit(&c->map);
        mem_free(c);
    }
}

uint64_t catalog_revision(const struct catalog *c)
{
    return c->revision;
}

/* ---- the cache ---- */

static void changed(struct meta_listener *l, struct slice key, struct slice value, bool deleted)
{
    struct catalog_cache *cc = CONTAINER_OF(l, struct catalog_cache, listener);
    (void)value;
    (void)deleted;
    if (kind_of(key) != NULL) {
        omap_put(&cc->dirty, key, slice_make(NULL, 0), 0);
    }
}

static bool add_known(void *ctx, struct slice key, struct slice value, uint64_t mod_revision)
{
    struct catalog_cache *cc = ctx;
    (void)mod_revision;
    changed(&cc->listener, key, value, false);
    return true;
}

struct catalog_cache *catalog_cache_create(struct meta_client *c)
{
    struct catalog_cache *cc = MEM_NEW(struct catalog_cache);
    cc->client = c;
    cc->listener.prefix = slice_make(NULL, 0);
    cc->listener.changed = changed;
    omap_init(&cc->dirty);
    cc->current = catalog_derive(NULL);
    meta_listen(c, &cc->listener);
    meta_scan(c, slice_make(NULL, 0), add_known, cc);
    return cc;
}

void catalog_cache_destroy(struct catalog_cache *cc)
{
    if (cc == NULL) {
        return;
    }
    meta_unlisten(&cc->listener);
    omap_deinit(&cc->dirty);
    catalog_unref(cc->current);
    mem_free(cc);
}

struct rebuild {
    struct catalog_cache *cache;
    struct catalog *next;
};

static bool rebuild_drop(void *ctx, struct omap_entry *dirty)
{
    struct rebuild *r = ctx;
    drop_key(r->next, omap_entry_key(dirty));
    return true;
}

static bool rebuild_put(void *ctx, struct omap_entry *dirty)
{
    struct rebuild *r = ctx;
    struct slice key = omap_entry_key(dirty);
    struct slice value;
    uint64_t mod_revision;
    if (!meta_get(r->cache->client, key, &value, &mod_revision)) {
        return true;
    }
    struct omap_entry *e = desc_entry(kind_of(key), key, value, mod_revision);
    if (e == NULL) {
        LOGE("metadata", "a descriptor at revision %llu is damaged and left out of the catalog",
             (unsigned long long)mod_revision);
        return true;
    }
    put_entry_take(r->next, e);
    return true;
}

struct catalog *catalog_current(struct catalog_cache *cc)
{
    if (cc->dirty.count > 0) {
        /* All old descriptors go before the new ones come: names may have changed hands. */
        struct rebuild r = {cc, catalog_derive(cc->current)};
        omap_scan(&cc->dirty, slice_make(NULL, 0), rebuild_drop, &r);
        omap_scan(&cc->dirty, slice_make(NULL, 0), rebuild_put, &r);
        r.next->revision = meta_revision(cc->client);
        retired_release(r.next); /* nobody has looked anything up in it yet */
        omap_clear(&cc->dirty);
        catalog_unref(cc->current);
        cc->current = r.next;
    }
    return catalog_ref(cc->current);
}

/* ---- lookups ---- */

static const void *by_key(const struct catalog *c, struct slice key)
{
    const struct omap_entry *e = omap_get(&c->map, key);
    return e == NULL ? NULL : e->object;
}

static const void *by_id(const struct catalog *c, const char *prefix, uint64_t id, int id_bytes)
{
    uint8_t bytes[32];
    struct buf key = {bytes, 0, sizeof(bytes)};
    ASSERT(strlen(prefix) + 8 <= sizeof(bytes));
    meta_key(&key, prefix, id, id_bytes);
    ASSERT(key.data == bytes);
    return by_key(c, buf_slice(&key));
}

static const void *by_name(const struct catalog *c, enum name_kind kind, uint32_t scope,
                           struct slice name)
{
    struct buf key = {0};
    name_key(&key, kind, scope, name);
    const struct omap_entry *e = omap_get(&c->map, buf_slice(&key));
    buf_deinit(&key);
    return e == NULL ? NULL : by_key(c, omap_entry_value(e));
}

const Sherd__V1__DatabaseDesc *catalog_database(const struct catalog *c, struct slice name)
{
    return by_name(c, NAME_DATABASE, 0, name);
}

const Sherd__V1__DatabaseDesc *catalog_database_by_id(const struct catalog *c, uint32_t id)
{
    return by_id(c, META_PREFIX_DB, id, 4);
}

const Sherd__V1__SchemaDesc *catalog_schema(const struct catalog *c, uint32_t database_id,
                                            struct slice name)
{
    return by_name(c, NAME_SCHEMA, database_id, name);
}

const Sherd__V1__SchemaDesc *catalog_schema_by_id(const struct catalog *c, uint32_t id)
{
    return by_id(c, META_PREFIX_SCHEMA, id, 4);
}

const Sherd__V1__TableDesc *catalog_table(const struct catalog *c, uint32_t schema_id,
                                          struct slice name)
{
    return by_name(c, NAME_TABLE, schema_id, name);
}

const Sherd__V1__TableDesc *catalog_table_by_id(const struct catalog *c, uint32_t id)
{
    return by_id(c, META_PREFIX_TABLE, id, 4);
}

const Sherd__V1__SequenceDesc *catalog_sequence(const struct catalog *c, uint32_t schema_id,
                                                struct slice name)
{
    return by_name(c, NAME_SEQUENCE, schema_id, name);
}

const Sherd__V1__SequenceDesc *catalog_sequence_by_id(const struct catalog *c, uint64_t id)
{
    return by_id(c, META_PREFIX_SEQ, id, 8);
}

const Sherd__V1__TableDesc *catalog_index(const struct catalog *c, uint32_t schema_id,
                                          struct slice name, const Sherd__V1__IndexDesc **out_index)
{
    const Sherd__V1__TableDesc *t = by_name(c, NAME_INDEX, schema_id, name);
    if (t == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (slice_eq(slice_str(t->indexes[i]->name), name)) {
            if (out_index != NULL) {
                *out_index = t->indexes[i];
            }
            return t;
        }
    }
    return NULL;
}

const Sherd__V1__RoleDesc *catalog_role(const struct catalog *c, struct slice name)
{
    struct buf key = {0};
    meta_key_text(&key, META_PREFIX_ROLE, name);
    const void *role = by_key(c, buf_slice(&key));
    buf_deinit(&key);
    return role;
}

uint64_t catalog_mod_revision(const struct catalog *c, struct slice meta_key)
{
    const struct omap_entry *e = omap_get(&c->map, meta_key);
    return e == NULL ? 0 : e->mod_revision;
}

/* ---- iteration ---- */

/* The five differ in the type of the descriptor only; the callbacks' types differ with it. */
#define CATALOG_EACH(name, prefix, type)                                                           \
    struct each_##name {                                                                           \
        bool (*fn)(void *ctx, const type *d);                                                      \
        void *ctx;                                                                                 \
    };                                                                                             \
    static bool each_##name##_call(void *ctx, struct omap_entry *e)                                \
    {                                                                                              \
        struct each_##name *each = ctx;                                                            \
        return each->fn(each->ctx, e->object);                                                     \
    }                                                                                              \
    void catalog_each_##name(const struct catalog *c, bool (*fn)(void *ctx, const type *d),        \
                             void *ctx)                                                            \
    {                                                                                              \
        struct each_##name each = {fn, ctx};                                                       \
        omap_scan_prefix(&c->map, slice_str(prefix), each_##name##_call, &each);                   \
    }

CATALOG_EACH(database, META_PREFIX_DB, Sherd__V1__DatabaseDesc)
CATALOG_EACH(schema, META_PREFIX_SCHEMA, Sherd__V1__SchemaDesc)
CATALOG_EACH(table, META_PREFIX_TABLE, Sherd__V1__TableDesc)
CATALOG_EACH(sequence, META_PREFIX_SEQ, Sherd__V1__SequenceDesc)
CATALOG_EACH(role, META_PREFIX_ROLE, Sherd__V1__RoleDesc)

/* ---- overlays ---- */

struct catalog *catalog_overlay(const struct catalog *base)
{
    static uint64_t counter; /* unique in the process, that is all it is for */
    struct catalog *c = catalog_derive(base);
    c->revision = CATALOG_OVERLAY_BIT | ++counter;
    return c;
}

void catalog_overlay_put(struct catalog *c, struct slice key, struct slice value)
{
    ASSERT(catalog_is_overlay(c->revision));
    const struct kind *k = kind_of(key);
    if (k == NULL) {
        return;
    }
    struct omap_entry *e = desc_entry(k, key, value, catalog_mod_revision(c, key));
    ASSERT(e != NULL); /* our own process has packed it */
    put_entry_take(c, e);
}

void catalog_overlay_delete(struct catalog *c, struct slice key)
{
    ASSERT(catalog_is_overlay(c->revision));
    drop_key(c, key);
}
