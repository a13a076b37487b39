/*
 * How a cluster begins.
 *
 * Every initial voter stores the same record of the bootstrap beside its empty metadata group ('m'
 * 'b', synced, before the group's first configuration exists: a crash in between is repaired by
 * doing both again). The first leader finds the space empty and proposes the content that the
 * record describes as one entry. Why not write the content on every voter: what is in the log is
 * there exactly when a quorum has it, and a later leader need not wonder whether it is.
 *
 * Record:
 *   u8 version = 1 | u64 cluster id | bytes name | varint replication factor
 *   varint n | n times: bytes NodeDesc
 */
#include "server_impl.h"

#include "base/check.h"
#include "base/mem.h"
#include "keys.h"

#define RECORD_VERSION 1
#define FIRST_SHARD_ID 2
#define FIRST_DATABASE_ID 16384
#define FIRST_SCHEMA_ID 16385
#define SUPERUSER_OID 10
#define SUPERUSER "sherd"

static const uint8_t record_key[] = {'m', 'b'};

uint64_t meta_cluster_id(const char *cluster_name, const uint64_t *node_ids, size_t count)
{
    /* FNV-1a over the name and the ids, then mixed: the same list forms the same cluster. */
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *p = cluster_name; *p != '\0'; p++) {
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
    }
    for (size_t i = 0; i < count; i++) {
        for (int shift = 0; shift < 64; shift += 8) {
            h = (h ^ ((node_ids[i] >> shift) & 0xff)) * 0x100000001b3u;
        }
    }
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    h ^= h >> 31;
    return h == 0 ? 1 : h;
}

/* ---- the content ---- */

struct status *meta_bootstrap_shard(const struct meta_bootstrap *b, struct arena *a,
                                    Sherd__V1__ShardDesc **out)
{
    Sherd__V1__ShardDesc *d = ARENA_NEW(a, Sherd__V1__ShardDesc);
    sherd__v1__shard_desc__init(d);
    d->shard_id = FIRST_SHARD_ID;
    d->epoch = 1;
    d->range = ARENA_NEW(a, Sherd__V1__KeyRange);
    sherd__v1__key_range__init(d->range);
    d->replicas = ARENA_ARRAY(a, Sherd__V1__ReplicaDesc *, b->node_count);
    for (size_t i = 0; i < b->node_count && d->n_replicas < b->replication_factor; i++) {
        if (!b->nodes[i]->role_shard) {
            continue;
        }
        Sherd__V1__ReplicaDesc *r = ARENA_NEW(a, Sherd__V1__ReplicaDesc);
        sherd__v1__replica_desc__init(r);
        r->replica_id = d->n_replicas + 1;
        r->node_id = b->nodes[i]->address->node_id;
        r->role = SHERD__V1__REPLICA_ROLE__REPLICA_VOTER;
        d->replicas[d->n_replicas++] = r;
    }
    if (d->n_replicas == 0) {
        return status_hint(
            status_new(INVALID, "no node of the first configuration has the role shard"),
            "Give at least one node the role shard.");
    }
    d->next_replica_id = d->n_replicas + 1;
    *out = d;
    return NULL;
}

static void put_message(struct meta_batch *b, struct arena *a, const struct buf *key,
                        const void *message)
{
    meta_batch_put(b, buf_slice(key), pb_pack_in(message, a));
}

static void put_id(struct meta_batch *b, struct buf *key, const char *prefix, const char *name,
                   uint32_t id)
{
    uint8_t value[4];
    set_u32(value, id);
    buf_put(key, prefix, strlen(prefix));
    buf_put(key, name, strlen(name));
    meta_batch_put(b, buf_slice(key), slice_make(value, sizeof(value)));
    buf_clear(key);
}

static void fill_nodes(struct meta_batch *b, struct arena *a, const struct meta_bootstrap *boot,
                       struct buf *key)
{
    uint64_t node_max = 0;
    for (size_t i = 0; i < boot->node_count; i++) {
        Sherd__V1__NodeDesc n = *boot->nodes[i];
        n.incarnation = 0;
        n.data_id = 0;
        n.state = SHERD__V1__NODE_STATE__NODE_LIVE;
        buf_clear(key);
        meta_key(key, META_PREFIX_NODE, n.address->node_id, 8);
        put_message(b, a, key, &n);
        node_max = n.address->node_id > node_max ? n.address->node_id : node_max;
    }
    buf_clear(key);
    meta_batch_allocate(b, META_ID_NODE, node_max);
}

static void fill_catalog(struct meta_batch *b, struct arena *a, struct buf *key)
{
    char superuser[] = SUPERUSER;
    char public[] = "public";
    Sherd__V1__DatabaseDesc db = SHERD__V1__DATABASE_DESC__INIT;
    Sherd__V1__SchemaDesc schema = SHERD__V1__SCHEMA_DESC__INIT;
    Sherd__V1__RoleDesc role = SHERD__V1__ROLE_DESC__INIT;
    db.id = FIRST_DATABASE_ID;
    db.name = superuser;
    db.owner = superuser;
    meta_key(key, META_PREFIX_DB, db.id, 4);
    put_message(b, a, key, &db);
    buf_clear(key);
    put_id(b, key, "name/db/", SUPERUSER, db.id);
    schema.id = FIRST_SCHEMA_ID;
    schema.database_id = db.id;
    schema.name = public;
    schema.owner = superuser;
    meta_key(key, META_PREFIX_SCHEMA, schema.id, 4);
    put_message(b, a, key, &schema);
    buf_clear(key);
    buf_put(key, "name/schema/", strlen("name/schema/"));
    buf_put_u32(key, db.id);
    put_id(b, key, "/", "public", schema.id);
    role.name = superuser;
    role.oid = SUPERUSER_OID;
    role.superuser = true;
    role.login = true;
    meta_key_text(key, META_PREFIX_ROLE, slice_str(SUPERUSER));
    put_message(b, a, key, &role);
    buf_clear(key);
    meta_batch_allocate(b, META_ID_OBJECT, FIRST_SCHEMA_ID);
}

static struct status *fill(struct meta_batch *b, struct arena *a, const struct meta_bootstrap *boot)
{
    Sherd__V1__ShardDesc *shard;
    struct buf key = {0};
    struct buf cluster = {0};
    TRY(meta_bootstrap_shard(boot, a, &shard));
    meta_batch_next(b);
    buf_put_u64(&cluster, boot->cluster_id);
    buf_put(&cluster, boot->cluster_name, strlen(boot->cluster_name));
    meta_batch_put(b, slice_str(META_PREFIX_CLUSTER), buf_slice(&cluster));
    fill_nodes(b, a, boot, &key);
    meta_key_shard(&key, slice_make(NULL, 0));
    put_message(b, a, &key, shard);
    buf_clear(&key);
    meta_batch_allocate(b, META_ID_SHARD, FIRST_SHARD_ID);
    fill_catalog(b, a, &key);
    buf_deinit(&key);
    buf_deinit(&cluster);
    return NULL;
}

/* ---- the record ---- */

static void record_encode(const struct meta_bootstrap *b, struct buf *out)
{
    struct buf node = {0};
    buf_put_u8(out, RECORD_VERSION);
    buf_put_u64(out, b->cluster_id);
    buf_put_bytes(out, slice_str(b->cluster_name));
    buf_put_varint(out, b->replication_factor);
    buf_put_varint(out, b->node_count);
    for (size_t i = 0; i < b->node_count; i++) {
        buf_clear(&node);
        pb_pack(b->nodes[i], &node);
        buf_put_bytes(out, buf_slice(&node));
    }
    buf_deinit(&node);
}

static struct status *record_decode(struct slice bytes, struct arena *a, struct meta_bootstrap *out)
{
    struct reader r;
    reader_init(&r, bytes);
    if (read_u8(&r) != RECORD_VERSION) {
        return status_new(CORRUPT, "bootstrap record has an unknown version");
    }
    out->cluster_id = read_u64(&r);
    struct slice name = read_bytes(&r);
    out->cluster_name = arena_strndup(a, name.data, name.len);
    out->replication_factor = (uint32_t)read_varint(&r);
    size_t count = read_count(&r, 1);
    out->nodes = ARENA_ARRAY(a, Sherd__V1__NodeDesc *, count);
    out->node_count = 0;
    for (size_t i = 0; i < count && reader_ok(&r); i++) {
        void *message;
        TRY(pb_unpack(&sherd__v1__node_desc__descriptor, a, read_bytes(&r), &message));
        out->nodes[out->node_count] = message;
        if (out->nodes[out->node_count]->address == NULL) {
            return status_new(CORRUPT, "bootstrap record names a node without an address");
        }
        out->node_count++;
    }
    return reader_finish(&r, "bootstrap record");
}

struct status *meta_bootstrap_fill(struct meta_server *s, struct meta_batch *b, bool *out_has)
{
    struct buf value = {0};
    struct arena *a = arena_create(0);
    struct meta_bootstrap boot;
    struct status *st = NULL;
    TRY_GOTO(store_get(s->options.state, NULL, slice_make(record_key, sizeof(record_key)), &value,
                       out_has),
             out);
    if (*out_has) {
        TRY_GOTO(record_decode(buf_slice(&value), a, &boot), out);
        TRY_GOTO(fill(b, a, &boot), out);
    }
out:
    arena_destroy(a);
    buf_deinit(&value);
    return st;
}

/* ---- first start ---- */

static struct status *boot_check(const struct meta_bootstrap *b)
{
    if (b->node_count == 0 || b->node_count > META_NODES_MAX) {
        return status_new(INVALID, "the first configuration names %zu nodes", b->node_count);
    }
    for (size_t i = 0; i < b->node_count; i++) {
        if (b->nodes[i]->address == NULL || b->nodes[i]->address->node_id == 0) {
            return status_new(INVALID, "a node of the first configuration has no id");
        }
    }
    return NULL;
}

/* The voters, with replica ids 1, 2, ...; returns this node's replica id, 0 when it is none. */
static uint64_t boot_voters(const struct meta_bootstrap *b, uint64_t node_id,
                            struct group_replica *out, size_t *out_count)
{
    uint64_t own = 0;
    *out_count = 0;
    for (size_t i = 0; i < b->node_count && *out_count < META_VOTERS_MAX; i++) {
        if (!b->nodes[i]->role_metadata) {
            continue;
        }
        struct group_replica *r = &out[(*out_count)++];
        *r = (struct group_replica){*out_count, b->nodes[i]->address->node_id, true};
        own = r->node_id == node_id ? r->replica_id : own;
    }
    return own;
}

struct status *meta_server_bootstrap(struct fiber *f, struct group_host *host, struct store *state,
                                     uint64_t node_id, const struct meta_bootstrap *b)
{
    struct group_replica voters[META_VOTERS_MAX];
    size_t voter_count;
    TRY(boot_check(b));
    uint64_t own = boot_voters(b, node_id, voters, &voter_count);
    if (voter_count == 0) {
        return status_hint(
            status_new(INVALID, "no node of the first configuration has the role metadata"),
            "Give one or three nodes the role metadata.");
    }
    if (own == 0) {
        return NULL;
    }
    uint64_t ids[1];
    if (group_host_list(host, ids, 1) > 0 && ids[0] == META_GROUP_ID) {
        return status_new(ALREADY_EXISTS, "this node has a metadata group already");
    }
    struct buf record = {0};
    record_encode(b, &record);
    struct store_batch *batch = store_batch_create(state);
    store_batch_put(batch, slice_make(record_key, sizeof(record_key)), buf_slice(&record));
    /* Synced on the loop: nothing else runs on a node at its first start. */
    struct status *st = store_write(state, batch, true);
    store_batch_destroy(batch);
    buf_deinit(&record);
    if (st != NULL) {
        return status_wrap(st, "bootstrap record");
    }
    return group_bootstrap(f, host, META_GROUP_ID, own, voters, voter_count);
}
