/* Whether the indexes of a table are what its rows ask for. */
#ifndef TEST_SIM_INDEX_CHECK_H
#define TEST_SIM_INDEX_CHECK_H

#include "client.h"

/* Each usable index has exactly the entries that the rows of the snapshot ask for, each with the
 * key of its row; else the run fails. at: a timestamp, 0: the present; of the past, only indexes that
 * are usable there are looked at. No such table: fine. An error: it could not be read. */
struct status *index_check(struct fiber *f, struct client *c, const char *table,
                           uint64_t at) STATUS_MUST_CHECK;

#endif
