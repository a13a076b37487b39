/*
 * Which tables the open transactions have used, so that a schema change waits for them:
 * PostgreSQL's ACCESS EXCLUSIVE waits for every lock that a statement took and its transaction
 * keeps.
 *
 * A statement notes its tables before it does anything (session/uses.c). Where another
 * transaction's change has one of them (TableDesc.changing_job) it waits, unless its own
 * transaction has used the table before: then the change waits for that one. The change first puts
 * its mark into the catalog, then asks every router for the transactions that have used the tables,
 * until each has seen the mark and has none left (COORDINATOR_USERS). Whoever comes after sees the
 * mark. Only then are the shards fenced.
 *
 * Invariants
 *  1 Between looking for a mark in the newest catalog and noting the use nothing parks: who is not
 *    told to the change has seen its mark.
 *  2 A table does not change under a transaction that has used it. A router that neither
 *    answers nor sends heartbeats to the metadata group is taken for dead after a while. If it is
 *    not, its transactions meet the fence, and 40001 when they go on (table_users_check()). So no
 *    transaction sees both forms.
 *
 * A use is kept until the transaction ends, savepoints or not. Reads in the past are none.
 *
 * Thread rule: the node's loop.
 */
#ifndef ROUTER_DDL_TABLE_USERS_H
#define ROUTER_DDL_TABLE_USERS_H

#include "schema_txn.h"

/* Whether the transaction has used the table. */
bool table_users_has(const struct txn *t, uint32_t table_id);
/* The SCHEMA jobs of others that have tables of `deps` which t has not used; `cap` at most. */
int table_users_blockers(struct router *r, const struct txn *t, const struct catalog *c,
                         const struct plan_dep *deps, int ndeps, uint64_t *out, int cap);
/* Notes them as used. own (may be NULL): tables that it has made are nobody else's. */
void table_users_note(struct txn *t, const struct schema_txn *own, const struct catalog *c,
                      const struct plan_dep *deps, int ndeps);
/* CONFLICT: a table that t has used has been changed by another transaction since. */
struct status *table_users_check(struct txn *t, const struct schema_txn *own,
                                 const struct catalog *c) STATUS_MUST_CHECK;

/* Whose end is waited for. */
struct table_users {
    const struct txn *but; /* the change's own transaction, or NULL */
    const uint32_t *tables;
    int ntables;
    uint64_t below_version; /* who has used them first in an older version, and has a
                               workspace; 0: all */
    uint64_t revision;      /* of the catalog that keeps others out */
    uint64_t timeout_ms;    /* lock_timeout; 0: a minute */
};
/* Until none of them is open. 55P03 when it takes too long, 40P01 for the victim of a deadlock.
 * With out_done it only looks, and tells whether that is so. */
struct status *table_users_wait(struct fiber *f, struct router *r, const struct table_users *u,
                                bool *out_done) STATUS_MUST_CHECK;

void table_users_register(struct router *r);
void table_users_unregister(struct router *r);

#endif
