/*
 * Waits for a table or a schema that another transaction is changing, and the waits of such a
 * change for those who have used its tables (table_users.h).
 *
 * Such a lock lives in the catalog (schema_txn.h), so who waits for it waits in its own router,
 * until the job is gone or the descriptor is a newer one. Those waits are edges of the waits-for
 * graph like the waits for row locks: the shard servers, who look for deadlocks, ask the routers
 * for them (shard/waits.c). A router whose wait is older than a while asks a shard server to look.
 *
 * A schema change keeps its locks to its end, savepoints or not: who waits for one waits for the
 * end of that transaction.
 *
 * Thread rule: the node's loop.
 */
#ifndef ROUTER_DDL_SCHEMA_WAITS_H
#define ROUTER_DDL_SCHEMA_WAITS_H

#include "router_internal.h"

#define SCHEMA_WAIT_JOBS_MAX 16

struct schema_holder {
    uint64_t incarnation, counter;
};

struct schema_wait {
    struct list link; /* router.schema_waits */
    struct router *router;
    const struct txn *txn; /* NULL: it holds nothing, so nobody waits for it */
    uint32_t session;      /* 0: that of txn */
    uint64_t number, since_ns, give_up_ns;
    uint64_t
        jobs[SCHEMA_WAIT_JOBS_MAX]; /* set by the waiter; what is beyond comes when others end */
    int njobs;
    struct schema_holder *holders; /* set by the waiter: transactions whose end is waited for */
    int nholders;
    struct cond woken;
    bool is_victim;
};

/* Every begun wait is ended by schema_wait_end(). lock_timeout_ms 0: a minute. */
void schema_wait_begin(struct schema_wait *w, struct router *r, const struct txn *t,
                       uint64_t lock_timeout_ms);
void schema_wait_end(struct schema_wait *w);
/* Lets so much time pass. 40P01: the wait is the victim of a deadlock; 55P03: it has lasted too
 * long. */
struct status *schema_wait_pause(struct fiber *f, struct schema_wait *w,
                                 uint64_t ms) STATUS_MUST_CHECK;

/* The job keeps readers and writers out of its tables; CREATE INDEX beside them does not. */
bool schema_job_locks(struct router *r, uint64_t job_id);

void schema_waits_register(struct router *r);
void schema_waits_unregister(struct router *r);

#endif
