/* What router.c, txn.c, dispatch.c and session/ share. */
#ifndef ROUTER_ROUTER_INTERNAL_H
#define ROUTER_ROUTER_INTERNAL_H

#include "base/metrics.h"
#include "router/router.h"
#include "router/session.h"
#include "router/txn.h"
#include "session/admission.h"

#define OUTCOMES_KEPT 4096

struct ended_txn {
    uint64_t counter;
    bool is_committed;
};

struct forgotten;
struct plan_cache;
struct sequence_block;
struct shard_term;

struct router {
    struct loop *loop;
    struct rpc_node *rpc;
    struct meta_client *meta;
    struct catalog_cache *catalog;
    const struct config *config;
    char *superuser_verifier; /* of sql.password_file; NULL: there is none */
    uint64_t node_id;
    uint64_t incarnation;
    uint64_t txn_counter;
    uint32_t session_counter;
    int session_count;
    struct list sessions; /* struct session.link */
    struct list txns; /* struct txn.link: every one that may be asked about (Coordinator.Outcome) */
    uint64_t newest_ts;      /* newest timestamp that was fetched for a transaction */
    struct ended_txn *ended; /* outcome.c: by counter modulo OUTCOMES_KEPT */
    struct plan_cache *plans;
    struct shard_term *terms;         /* shard_call.c: the last term heard of each shard's leader */
    struct sequence_block *sequences; /* session/functions.c */
    struct admission admission;
    struct forgotten *forgotten; /* forget.c: to be told */
    size_t forgotten_count, forgotten_cap;
    bool is_forgetting; /* a fiber will tell them */
    int background;     /* fibers that finalize transactions */
    bool is_closing;
    struct cond background_done;
    struct list held_jobs; /* struct schema_held: SCHEMA jobs that this process is doing */
    struct cond jobs_wake; /* of ddl/jobs.c's fiber */
    struct meta_listener jobs_listener;
    struct list schema_waits; /* struct schema_wait */
    uint64_t schema_wait_counter;
    bool is_asking_waits; /* ddl/schema_waits.c has its fiber */

    struct metric *m_commits, *m_aborts, *m_unknown, *m_retries, *m_refreshes, *m_statements,
        *m_errors, *m_replays, *m_replays_failed, *m_open;
};

/*
 * Sends one request to the leader of a shard, following NOT_LEADER and broken connections, for at
 * most 15 s. retry_unknown: the request is idempotent, a lost reply may be answered by sending it
 * again. MOVED: the shard map has changed; cut the request anew. *out_node (may be NULL): who
 * answered.
 */
struct status *shard_call(struct fiber *f, struct router *r, uint64_t shard_id, enum rpc_method m,
                          const void *request, bool retry_unknown, struct arena *a,
                          void **out_reply, uint64_t *out_node) STATUS_MUST_CHECK;

/*
 * After MOVED: brings the newest shard map before the request is cut anew. A shard that is being
 * split says MOVED a little before the new map is out, so each further try in a row first waits
 * longer (1 to 50 ms), for at most 15 s in all. Zeroed at the start and after each success.
 */
struct reroute {
    uint64_t give_up_ns;
    uint64_t pause_ms;
};
struct status *reroute(struct fiber *f, struct router *r, struct reroute *x) STATUS_MUST_CHECK;

/* How long one message of a commit waits for its answer before it is sent again; tests make it
 * small. */
extern uint64_t shard_commit_call_ms;

/* The last term that a leader of the shard was heard in; 0 = none. A one-call commit names it, so
 * that its fate can be told when the answer is lost (section 7). */
uint64_t shard_term_get(const struct router *r, uint64_t shard_id);
void shard_term_set(struct router *r, uint64_t shard_id, uint64_t term); /* 0 forgets */
void shard_terms_free(struct router *r);

/* outcome.c */
void outcome_register(struct router *r);

/* What a client is told of a transaction, for the simulator's global observer; NULL in a server. */
enum router_told {
    ROUTER_TOLD_NOTHING,
    ROUTER_TOLD_COMMITTED,
    ROUTER_TOLD_ABORTED,
    ROUTER_TOLD_UNKNOWN
};
struct router_observer {
    void (*begun)(uint64_t incarnation, uint64_t counter);
    void (*told)(uint64_t incarnation, uint64_t counter, enum router_told told, uint64_t commit_ts,
                 int writers);
};
extern struct router_observer router_observer;

/* txn.c: registers the coordinator's rpc method. */
void txn_register(struct router *r);
/* Smallest snapshot of the open transactions; 0 = none. */
uint64_t txn_oldest(const struct router *r);

#endif
