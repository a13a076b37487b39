/*
 * Rows of a cursor kept in memory: numbered from 0 in the order they were read, given again in any
 * order. Bounded by an arena's budget (53200).
 */
#ifndef ROUTER_SESSION_SPOOL_H
#define ROUTER_SESSION_SPOOL_H

#include "base/arena.h"
#include "base/status.h"
#include "sql/operator.h"

struct spool {
    struct arena *arena; /* NULL: there is none */
    struct batch **batches;
    int64_t *ends; /* by batch: number of the row after its last one */
    int count, cap;
    int64_t rows;
};

void spool_init(struct spool *s); /* empty; frees what was there */
void spool_deinit(struct spool *s);
static inline bool spool_is_on(const struct spool *s)
{
    return s->arena != NULL;
}
/* Copies the rows. */
struct status *spool_add(struct spool *s, const struct batch *b) STATUS_MUST_CHECK;
/* The batch with row `at` < rows, and where it is in there. */
const struct batch *spool_find(const struct spool *s, int64_t at, int *out_row);

#endif
