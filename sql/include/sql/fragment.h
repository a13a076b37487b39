/*
 * A fragment: the part of a plan that runs in a shard, where the rows are. One scan of one index
 * over key spans, with everything that narrows the result pushed down: filter, projection, partial
 * aggregation, top-N, limit, row locks. The router sends it with ReadRequest; the shard runs it
 * page by page.
 *
 * Pipeline: spans -> entries -> [index lookup of the row] -> decode `columns` -> filter -> lock ->
 * project -> {partial aggregate | top-N | limit} -> batch.
 *
 * With `change` it is an UPDATE or DELETE whose rows are found, computed and written in the shard
 * (sent with WriteRequest): ... -> lock -> change -> batch.
 */
#ifndef SQL_FRAGMENT_H
#define SQL_FRAGMENT_H

#include "sql/codec.h"
#include "sql/expr.h"

enum lock_mode { /* PostgreSQL's four row locks, weakest first */
                 LOCK_NONE = 0,
                 LOCK_KEY_SHARE,
                 LOCK_SHARE,
                 LOCK_NO_KEY_UPDATE,
                 LOCK_UPDATE,
};

enum lock_wait { LOCK_WAIT, LOCK_NOWAIT, LOCK_SKIP };

struct key_span {
    struct slice start; /* inclusive */
    struct slice end;   /* exclusive; a point key k is [k, k+0x00) with is_point */
    bool is_point;
};

struct sort_key {
    int column; /* of the projected batch */
    type_oid type;
    bool is_desc;
    bool nulls_first;
};

struct fragment_set {
    int ordinal; /* of the row */
    struct expr *value;
};

/* What becomes of the locked rows. Keys of indexes do not change by it, and nothing but the rows
 * has to be looked at or written: the router sees to that. */
struct fragment_change {
    bool is_delete;
    bool returns_rows; /* the batch has the whole rows, new (UPDATE) or old (DELETE), a column for
                        * each ordinal; else it has no columns and only counts */
    int nsets;
    struct fragment_set *sets; /* over the decoded columns */
    int ngenerated;
    struct fragment_set *generated; /* over the new row: EXPR_COLUMN index = ordinal */
    int nnot_null;
    int *not_null; /* ordinals */
    int nchecks;
    struct expr **checks; /* over the new row: false = refused */
};

struct fragment {
    uint32_t table_id;
    uint32_t index_id;       /* 1 = primary */
    uint64_t schema_version; /* of the table descriptor: checked against the catalog fence */
    uint64_t usable_from;    /* the router's: the index has all entries from this snapshot on */
    int nspans;
    struct key_span *spans; /* ascending, disjoint, all within one shard */
    bool is_reverse;
    bool is_lookup; /* index_id is secondary: fetch the row by the entry's value. Entries whose row
                     * lies in another shard come back as keys in the reply, for the router to fetch
                     */
    bool is_apart;  /* of a lookup: the rows do not lie under the table's id (co-located tables).
                     * For the router, not sent. */
    bool is_keys_only; /* secondary index: produce no row columns, just the row keys */
    int nrow_columns;  /* layout of the stored row */
    struct row_column *row_columns;
    int ncolumns; /* the columns decoded: ordinals of the row, ascending */
    int *columns;
    bool with_key; /* one more column after all others (projected too): the row's primary key bytes,
                      bytea */
    struct expr
        *filter; /* over the decoded columns (EXPR_COLUMN index = position in `columns`), or NULL */
    int nprojections; /* 0: the decoded columns as they are */
    struct expr **projections;
    int ngroups; /* group by the first ngroups projections... */
    int naggs; /* ...and compute these partial aggregates over the projected columns: output columns
                * are the groups, then one bytea partial state per aggregate */
    struct agg_call *aggs;
    int nsort; /* top-N when limit is set */
    struct sort_key *sort;
    int64_t limit; /* -1 = none; counts rows after the filter */
    enum lock_mode lock;
    enum lock_wait lock_wait;
    bool is_joined; /* lock: the rows go together with others of the snapshot. READ COMMITTED: one
                       that has changed since is a conflict, else it is judged again alone */
    struct fragment_change *change; /* or NULL; then no projections, aggregates, sort or limit */
    int weight; /* of filter and projections (expr_weight); told by fragment_decode(), not sent */
};

void fragment_encode(struct buf *out, const struct fragment *fr);
struct status *fragment_decode(struct arena *a, struct slice bytes,
                               struct fragment **out) STATUS_MUST_CHECK;
/* The rows that the change makes of the selected rows of a decoded batch: a column for each
 * ordinal (a DELETE: the old ones). *out_refused: one of them breaks NOT NULL or a CHECK, and
 * nothing else is to be trusted; the router runs such a statement row by row to say which. */
struct status *fragment_change_rows(struct eval_ctx *ctx, const struct fragment *fr,
                                    const struct batch *in, const int *sel, int nsel,
                                    struct batch **out, bool *out_refused) STATUS_MUST_CHECK;

#endif
