/*
 * SCHEMA jobs: the record of a schema change that takes more than one step (catalog.proto,
 * SchemaChange), and the place where the outcome of its transaction is decided.
 *
 *   PENDING --(one change with the descriptors)--> COMMITTED --(cleaned up)--> gone
 *      |                                                         ^
 *      `--(anybody who finds it orphaned)--> ABORTED --(undone)--'
 *
 * Both moves out of PENDING compare the job's revision, so exactly one of them is made. A job that
 * is gone was aborted as far as a prepared transaction is concerned: COMMITTED stays until every
 * shard has finalized.
 *
 * Thread rule: the node's loop.
 */
#ifndef METADATA_JOBS_H
#define METADATA_JOBS_H

#include "metadata/client.h"

bool meta_job_is_schema(const Sherd__V1__JobDesc *job);
/* The SCHEMA job as this node's cache has it, decoded into the arena, with its revision; NULL:
 * none. */
const Sherd__V1__JobDesc *meta_job_get(struct meta_client *c, uint64_t job_id, struct arena *a,
                                       uint64_t *out_revision);
/* Every job of the cache, of all kinds, in order of id, in the arena; *out_count of them. */
const Sherd__V1__JobDesc **meta_job_list(struct meta_client *c, struct arena *a, size_t *out_count);
/* Decides: PENDING becomes ABORTED. After a success the answer is what every other caller gets:
 * committed at `commit` in attempt `attempt`, or not. */
struct status *meta_job_decide(struct fiber *f, struct meta_client *c, uint64_t job_id,
                               bool *out_committed, uint32_t *out_attempt,
                               uint64_t *out_commit) STATUS_MUST_CHECK;

#endif
