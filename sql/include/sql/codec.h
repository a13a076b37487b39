/*
 * Key and row codecs: what router and shard must agree on byte for byte. Formats are stable on
 * disk.
 *
 * Key of a row or index entry (docs/CONTRACT in sql/README.md):
 *   table id  u32 big-endian | index id u32 big-endian | [hash bucket u16 big-endian] | columns
 * Each column is order-preserving and self-terminating, so that keys of one index are prefix-free:
 *   marker 0x01 NULL when nulls come first, 0x05 value, 0xFE NULL when nulls come last (the
 * default, as in PostgreSQL); then the value: integers big-endian with the sign bit flipped (8
 * bytes), floats by the usual bit trick, text and bytea with 0x00 escaped as 00 FF and ended by 00
 * 01, numeric as sign, exponent and digits so that equal values have equal keys (1.0 = 1.00). A
 * descending column has all its bytes after the marker choice inverted (marker too). Index 1 of a
 * table is its primary key. The rows of a table that is co-located with a hash-sharded one lie in
 * the buckets of that one, behind its own rows, so that corresponding rows share a shard:
 *   that table's id | 1 | bucket | 0xFF | own table id | own index id | columns
 * No marker is 0xFF, so [.. bucket, .. bucket | 0xFF) are the first table's own rows. An index
 * entry's key is: index columns, then, unless the index is unique and none of its columns is NULL,
 * the primary key columns. Its value is the full primary-index key of the row.
 *
 * Row (value of the primary index): version u8 = 1 | column count varint | null bitmap | values in
 * column order (ordinal 0..n-1); bool/char 1 byte, int2 2, int4/date/float4/oid 4, int8/time/
 * timestamp/float8 8 big-endian, interval and uuid 16, others varint length + bytes. A row with
 * fewer columns than the table was written before they were added: they take the descriptor's
 * missing value.
 */
#ifndef SQL_CODEC_H
#define SQL_CODEC_H

#include "base/buf.h"
#include "sql/datum.h"
#include "sql/types.h"

struct key_column {
    type_oid type;
    bool is_desc;
    bool nulls_first; /* default: false for ASC, true for DESC */
};

void key_prefix(struct buf *out, uint32_t table_id, uint32_t index_id);
void key_put_bucket(struct buf *out, uint16_t bucket);
/* Behind the bucket: of a co-located table, see above. */
#define KEY_COLOCATED 0xFFu
void key_put_colocated(struct buf *out, uint32_t table_id, uint32_t index_id);
void key_put_datum(struct buf *out, const struct key_column *col, const struct datum *d);
/* Reads one column; bytes are decoded into the arena (numeric comes back without trailing zeros).
 */
struct status *key_get_datum(struct reader *r, struct arena *a, const struct key_column *col,
                             struct datum *out) STATUS_MUST_CHECK;
/* The smallest key above all that start with it: increments the last byte that can be. False when
 * there is none (all 0xFF). */
bool key_prefix_end(struct buf *key);
/* Bucket of a hash-sharded key: hash of the sharding columns' key bytes modulo count. */
uint16_t key_hash_bucket(struct slice encoded_columns, uint16_t bucket_count);

struct row_column {
    type_oid type;
    int32_t typmod;
    bool has_missing;     /* rows written before the column existed */
    struct datum missing; /* take this value (or NULL) */
};

void row_encode(struct buf *out, const struct row_column *cols, int ncols,
                const struct datum *values);
/* Decodes the wanted ordinals into out[0..nwant-1], borrowed from `bytes` where the type allows.
 * Skips the others without decoding. Damaged bytes: CORRUPT. wanted is ascending. */
struct status *row_decode(struct slice bytes, const struct row_column *cols, int ncols,
                          const int *wanted, int nwant, struct datum *out) STATUS_MUST_CHECK;

#endif
