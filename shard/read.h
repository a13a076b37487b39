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

#endif
