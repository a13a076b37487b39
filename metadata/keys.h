/* The prefixes of the key space (client.h has the whole picture) and helpers around them. */
#ifndef METADATA_KEYS_H
#define METADATA_KEYS_H

#include "base/buf.h"
#include "base/slice.h"

#define META_PREFIX_CLUSTER "cluster"
#define META_PREFIX_NODE "node/"
#define META_PREFIX_SHARD "shard/"
#define META_PREFIX_DB "db/"
#define META_PREFIX_SCHEMA "schema/"
#define META_PREFIX_TABLE "table/"
#define META_PREFIX_SEQ "seq/"
#define META_PREFIX_SEQSTATE "seqstate/"
#define META_PREFIX_ROLE "role/"
#define META_PREFIX_SETTING "setting/"
#define META_PREFIX_JOB "job/"
#define META_PREFIX_COUNTER "counter/"

/* Not in the watch: they change with every nextval() and allocation. */
bool meta_key_is_silent(struct slice key);
bool meta_key_has(struct slice key, const char *prefix);
/* The id behind a prefix: 4 or 8 bytes. 0 when the key has another form. */
uint64_t meta_key_id(struct slice key, const char *prefix);
/* "shard/" + the start of the range. */
void meta_key_shard(struct buf *out, struct slice start);
void meta_key_text(struct buf *out, const char *prefix, struct slice name);
/* Name of a counter by enum meta_id_kind; NULL for an unknown kind. */
const char *meta_counter_name(unsigned kind);

#endif
