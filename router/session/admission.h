/*
 * Admission of transactions that keep meeting conflicts.
 *
 * Transactions that read and write the same few rows cannot commit side by side at SERIALIZABLE:
 * each commit ends all others that have read what it wrote. Run 32 at a time, most work is thrown
 * away. So a session that has met a conflict takes a ticket before each of its next transactions;
 * the router gives out as many tickets at a time as make most commits a second, which it finds by
 * trying (hill climbing). Sessions that do not conflict never wait, and never know of this.
 *
 * A ticket is taken while the transaction holds nothing, so waiting for one cannot be part of a
 * deadlock between locks. A holder that is slow (its client thinks) stops to count after
 * ADMISSION_LEASE_MS: no client can keep others out for longer.
 *
 * It only delays; whether a transaction may commit is decided elsewhere.
 */
#ifndef ROUTER_SESSION_ADMISSION_H
#define ROUTER_SESSION_ADMISSION_H

#include "base/fiber.h"
#include "base/list.h"
#include "base/loop.h"
#include "base/metrics.h"

#define ADMISSION_LEASE_MS 200
#define ADMISSION_LIMIT_MAX 1024

struct admission {
    struct loop *loop;
    int limit;           /* tickets out at a time */
    int held;            /* that count */
    struct list holders; /* struct admission_ticket.link, oldest grant first */
    struct list queue;   /* the same, oldest first */
    struct timer lease;  /* armed while somebody waits */

    /* The search for the limit: what `base` brings is known, others are tried for one epoch. */
    int base;
    double base_rate;  /* commits a second */
    bool is_trying_up; /* the next trial */
    int patience;      /* epochs between two trials; doubles while trials bring nothing */
    int epochs_left;   /* until the next one */
    uint64_t epoch_since_ns;
    int finished, committed; /* in this epoch */
    struct metric *m_waits, *m_limit;
};

enum admission_state { ADMISSION_FREE, ADMISSION_WAITING, ADMISSION_HELD, ADMISSION_EXPIRED };

struct admission_ticket { /* of a session */
    struct list link;
    enum admission_state state;
    int heat; /* transactions to come that need one */
    uint64_t since_ns;
    struct fiber *fiber;
};

void admission_init(struct admission *a, struct loop *l);
void admission_deinit(struct admission *a);
/* Before a transaction begins: waits for a ticket if the session has met a conflict lately. An
 * error (cancel, timeout) leaves none. Does nothing when the session has one. */
struct status *admission_enter(struct fiber *f, struct admission *a,
                               struct admission_ticket *t) STATUS_MUST_CHECK;
/* The session's transaction has met a conflict. */
void admission_conflict(struct admission_ticket *t);
/* The transaction is over. */
void admission_leave(struct admission *a, struct admission_ticket *t, bool committed);

#endif
