/*
 * The catalog as SQL sees it: an immutable, reference-counted snapshot of all descriptors at one
 * metadata revision, rebuilt when the watch brings changes (unchanged descriptors are shared, so a
 * change costs its size). A statement takes a reference, plans with it, and names table versions in
 * its requests; the shard's fence refuses too old ones.
 *
 * Thread rule: the node's loop.
 */
#ifndef METADATA_CATALOG_H
#define METADATA_CATALOG_H

#include "metadata/client.h"

struct catalog; /* a snapshot */
struct catalog_cache;

struct catalog_cache *catalog_cache_create(struct meta_client *c);
void catalog_cache_destroy(struct catalog_cache *cc);
struct catalog *
catalog_current(struct catalog_cache *cc); /* a reference; never NULL after meta_wait_ready */
struct catalog *catalog_ref(struct catalog *c);
void catalog_unref(struct catalog *c);
uint64_t catalog_revision(const struct catalog *c);

/* Lookups: NULL when there is none. Everything returned lives as long as the snapshot. */
const Sherd__V1__DatabaseDesc *catalog_database(const struct catalog *c, struct slice name);
const Sherd__V1__DatabaseDesc *catalog_database_by_id(const struct catalog *c, uint32_t id);
const Sherd__V1__SchemaDesc *catalog_schema(const struct catalog *c, uint32_t database_id,
                                            struct slice name);
const Sherd__V1__SchemaDesc *catalog_schema_by_id(const struct catalog *c, uint32_t id);
const Sherd__V1__TableDesc *catalog_table(const struct catalog *c, uint32_t schema_id,
                                          struct slice name);
const Sherd__V1__TableDesc *catalog_table_by_id(const struct catalog *c, uint32_t id);
const Sherd__V1__SequenceDesc *catalog_sequence(const struct catalog *c, uint32_t schema_id,
                                                struct slice name);
const Sherd__V1__SequenceDesc *catalog_sequence_by_id(const struct catalog *c, uint64_t id);
/* The table that has an index of this name in the schema. */
const Sherd__V1__TableDesc *catalog_index(const struct catalog *c, uint32_t schema_id,
                                          struct slice name,
                                          const Sherd__V1__IndexDesc **out_index);
const Sherd__V1__RoleDesc *catalog_role(const struct catalog *c, struct slice name);
/* mod revision of a descriptor's key, for compares; 0 = not there. */
uint64_t catalog_mod_revision(const struct catalog *c, struct slice meta_key);

/* Iteration for system views: calls fn until false. */
void catalog_each_database(const struct catalog *c,
                           bool (*fn)(void *ctx, const Sherd__V1__DatabaseDesc *d), void *ctx);
void catalog_each_schema(const struct catalog *c,
                         bool (*fn)(void *ctx, const Sherd__V1__SchemaDesc *d), void *ctx);
void catalog_each_table(const struct catalog *c,
                        bool (*fn)(void *ctx, const Sherd__V1__TableDesc *d), void *ctx);
void catalog_each_sequence(const struct catalog *c,
                           bool (*fn)(void *ctx, const Sherd__V1__SequenceDesc *d), void *ctx);
void catalog_each_role(const struct catalog *c, bool (*fn)(void *ctx, const Sherd__V1__RoleDesc *d),
                       void *ctx);

/* A private overlay: the snapshot plus changes of an open transaction (DDL inside BEGIN). It shares
 * what it does not change and has a revision that no other snapshot has. */
struct catalog *catalog_overlay(const struct catalog *base);
/* Whether the revision is an overlay's: what was made on it holds for nothing else. */
#define CATALOG_OVERLAY_BIT (UINT64_C(1) << 63)
static inline bool catalog_is_overlay(uint64_t revision)
{
    return (revision & CATALOG_OVERLAY_BIT) != 0;
}
/* Puts or deletes a key of the metadata space, as the transaction's commit will; other keys than
 * descriptors' are passed over. A put descriptor keeps the revision that the committed one has. */
void catalog_overlay_put(struct catalog *c, struct slice key, struct slice value);
void catalog_overlay_delete(struct catalog *c, struct slice key);

#endif
