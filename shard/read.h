/*
 * Reads: rules R1 to R4, locking reads, and the execution of fragments (sql/fragment.h) over
 * versions and own writes. See read.c.
 */
#ifndef SHARD_READ_H
#define SHARD_READ_H

#include "part.h"

struct status *part_read(struct fiber *f, struct part *p, struct arena *a,
                         const Sherd__V1__ReadRequest *req,
                         Sherd__V1__ReadReply *reply) STATUS_MUST_CHECK;

enum change_end {
    CHANGE_DONE,
    CHANGE_REFUSED,  /* a row would break NOT NULL or a CHECK */
    CHANGE_CONFLICT, /* W2 */
};
/* The fragment of a Write request's change, for keys and a table version that are this shard's. */
struct status *part_change_decode(struct part *p, struct arena *a,
                                  const Sherd__V1__WriteRequest *req,
                                  struct fragment **out) STATUS_MUST_CHECK;
/* The change, at its place in the order: rows are found, locked, computed and put into the
 * workspace under `seq`. The caller undoes what an error or another end than DONE leaves. */
struct status *part_change(struct fiber *f, struct part *p, struct work *w, struct arena *a,
                           const Sherd__V1__WriteRequest *req, struct fragment *fr, uint64_t seq,
                           Sherd__V1__ReadReply *reply, enum change_end *out_end,
                           uint64_t *out_newest, bool *out_deleted) STATUS_MUST_CHECK;

#endif
