/*
 * A Raft group as a replicated state machine, many of them on one node.
 *
 * Consensus is canonical/raft 0.15.0; beneath it lies our own raft_io, which obeys the hardening
 * rules 1-26 (rules.c, named by number): without them the library loses acknowledged writes. All
 * groups of a node share one log store (one writer thread, one fsync for everything that waits),
 * one transport (one envelope a turn per peer node) and one state store.
 *
 * Life: group_host_create(), then group_open() for each replica that this node has on disk (the
 * host lists them) or that is created; leader changes and entries reach the state machine through
 * group_fsm. Everything runs on the host's loop.
 *
 * State: LevelDB *is* the snapshot. The state machine adds its effect to a store batch; the host
 * adds the applied index and writes the batch unsynced. A checkpoint makes the state store durable
 * (store_flush) and lets the log go. After a restart entries since the last checkpoint are applied
 * again, so an entry must be physical and idempotent: puts and deletes of keys, no "add one".
 * A follower that needs more than the log holds gets the group's key ranges streamed in chunks,
 * behind a durable mark that makes a crash start it over.
 */
#ifndef REPLICATION_GROUP_H
#define REPLICATION_GROUP_H

#include "base/buf.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "base/status.h"
#include "base/store.h"

struct group_host;
struct group;

/* ---- transport seam ---- */

/* Carries bytes between nodes, in order per connection, at most once; may drop when a peer is
 * away. The TCP form is peer_link_tcp_create(); the simulator brings its own. */
struct peer_link {
    /* Queues one message; everything queued in a turn leaves together. Bulk data has a connection
     * of its own. Returns false when the peer is not connected or its queue is full (dropped). */
    bool (*send)(struct peer_link *link, uint64_t to_node, bool bulk, struct slice message);
    bool (*is_connected)(struct peer_link *link, uint64_t to_node);
    /* Set by the host: a message arrived (borrowed for the call). */
    void (*on_message)(void *ctx, uint64_t from_node, struct slice message);
    void *ctx;
};

/* Where a node listens for Raft traffic. False: not known yet, ask again. */
typedef bool (*peer_resolve_fn)(void *ctx, uint64_t node_id, char *out_host, size_t host_size,
                                uint16_t *out_port);

/* Listens at host:port (0 = any). cluster_id goes into the hello: a stranger is refused and
 * counted. secret is shared by all nodes of a cluster. */
struct status *peer_link_tcp_create(struct loop *l, uint64_t node_id, uint64_t cluster_id,
                                    const char *host, uint16_t port, peer_resolve_fn resolve,
                                    void *resolve_ctx,
                                    struct peer_link **out_link) STATUS_MUST_CHECK;
uint16_t peer_link_tcp_port(const struct peer_link *link);
void peer_link_tcp_destroy(struct peer_link *link);

/* ---- host ---- */

struct group_host_options {
    struct loop *loop;
    uint64_t node_id;
    struct store *log;   /* every batch synced */
    struct store *state; /* unsynced, flushed by checkpoints */
    struct peer_link *link;
    uint32_t heartbeat_ms;         /* 0 = 100 */
    uint32_t election_ms;          /* 0 = 600 */
    uint64_t checkpoint_log_bytes; /* a group's log above this starts a checkpoint; 0 = 64 MB */
    uint64_t trailing_entries;     /* kept behind a checkpoint for slow followers; 0 = 1024 */
    uint32_t quiesce_after_ms;     /* idle this long: stop ticking; 0 = 5000 */
    double clock_drift_max;        /* lease margin, rate; 0 = 0.01 */
};

struct status *group_host_create(const struct group_host_options *options,
                                 struct group_host **out_host) STATUS_MUST_CHECK;
/* Stops all groups, waits for the log writer. From a fiber or from outside of all of them. */
void group_host_destroy(struct group_host *h);

struct group_replica {
    uint64_t replica_id; /* never reused within a group */
    uint64_t node_id;
    bool is_voter; /* false: learner */
};

#define GROUP_REPLICAS_MAX 9

/* Ids of the groups whose log is on this node, ascending; returns how many there are. */
size_t group_host_list(struct group_host *h, uint64_t *out_ids, size_t max);
/* The most recent error or slow event of the log writer, for status pages: microseconds. */
uint64_t group_host_last_sync_us(const struct group_host *h);

/* ---- state machine ---- */

struct group_entry {
    uint64_t index;
    uint64_t term;
    struct slice data;
    void *proposal_ctx; /* on the node that proposed it in this term: as given, else NULL */
};

enum group_role {
    GROUP_FOLLOWER,
    GROUP_CANDIDATE,
    GROUP_LEADER,       /* elected; its own-term barrier is not applied yet: serves nothing */
    GROUP_LEADER_READY, /* rule 1 holds: may propose; group_read_barrier() may succeed */
};

struct key_range {
    struct buf start; /* inclusive */
    struct buf end;   /* exclusive; never empty */
};

struct group_fsm {
    struct status *failed; /* NULL, or why apply() could not */
    /* Adds the entries' effect to the batch, which the host writes (with the applied index) right
     * after the call. Reads of the state store see what earlier calls wrote. What it cannot do it
     * leaves in `failed`: the node ends. */
    void (*apply)(struct group_fsm *fsm, const struct group_entry *entries, size_t count,
                  struct store_batch *batch);
    /* The batch of the last apply() is in the store: release locks, answer requests. */
    void (*applied)(struct group_fsm *fsm, const struct group_entry *entries, size_t count);
    /* Role or term changed. Proposals of an earlier term that were not applied have an unknown
     * fate: each has been or will be reported by group_proposal.done. */
    void (*role_changed)(struct group_fsm *fsm, enum group_role role, uint64_t term);
    /* State was replaced by a snapshot from the leader: rebuild whatever is cached. The next
     * apply() goes on behind the snapshot. (A re-load of the log alone is not seen here: nothing is
     * applied twice within a process.) */
    void (*reloaded)(struct group_fsm *fsm);
    /* Key ranges of the state store that belong to this group: streamed to a follower, wiped
     * before an install and on group_destroy_replica(). Appends to out (mem); returns how many. */
    size_t (*ranges)(struct group_fsm *fsm, struct key_range *out, size_t max);
    /* A configuration became committed (initial one and after each change). May be NULL. */
    void (*config_changed)(struct group_fsm *fsm, const struct group_replica *replicas,
                           size_t count);
};

/* ---- groups ---- */

/* Writes a new group's first configuration durably (parks). All its voters do the same.
 * ALREADY_EXISTS when this node has a log of that group. An empty list: a replica that waits to be
 * added. */
struct status *group_bootstrap(struct fiber *f, struct group_host *h, uint64_t group_id,
                               uint64_t replica_id, const struct group_replica *replicas,
                               size_t count) STATUS_MUST_CHECK;
/* Starts a replica that is on disk. fsm is borrowed until group_close() has returned. Entries
 * between the applied index and the end of the log are applied again before this returns or soon
 * after. *out_group is set before the first call of the state machine, NULL when it fails. */
struct status *group_open(struct fiber *f, struct group_host *h, uint64_t group_id,
                          struct group_fsm *fsm, struct group **out_group) STATUS_MUST_CHECK;
void group_close(struct fiber *f, struct group *g);
/* Closes and removes log and state of this replica; its replica id is remembered as dead. */
struct status *group_destroy_replica(struct fiber *f, struct group *g) STATUS_MUST_CHECK;

uint64_t group_id(const struct group *g);
uint64_t group_replica_id(const struct group *g);
enum group_role group_role(const struct group *g);
uint64_t group_term(const struct group *g);
uint64_t group_leader_node(const struct group *g); /* 0 = unknown */
uint64_t group_applied_index(const struct group *g);
/* The state is being replaced by a snapshot from the leader: what is there now is in pieces. */
bool group_is_replacing(const struct group *g);
uint64_t group_commit_index(const struct group *g);
uint64_t group_last_index(const struct group *g);
size_t group_config(const struct group *g, struct group_replica *out, size_t max);
/* Leader only: how far a replica has acknowledged; 0 when unknown. */
uint64_t group_match_index(const struct group *g, uint64_t replica_id);
/* Running checksum over applied entries' bytes at group_applied_index(): equal on all replicas. */
uint64_t group_checksum(const struct group *g);

/* ---- proposals ---- */

/*
 * Embedded in the caller's object. done is called once, on the loop, never from inside
 * group_propose(): st NULL: applied at `index` (after fsm.applied). NOT_LEADER: certainly not in
 * the log. UNKNOWN_OUTCOME: leadership was lost; the entry may or may not be applied later. st is
 * owned by the callee of done.
 */
struct group_proposal {
    struct list link; /* private */
    size_t bytes;     /* private */
    uint64_t index;
    uint64_t term;
    void *ctx; /* handed to apply() as proposal_ctx on this node */
    void (*done)(struct group_proposal *p, struct status *st);
};

/* Copies data. All proposals of a turn go into one raft_apply and one log write. LIMIT when more
 * than the bound of bytes is in flight (the caller waits or refuses), NOT_LEADER unless
 * LEADER_READY. */
struct status *group_propose(struct group *g, struct slice data,
                             struct group_proposal *p) STATUS_MUST_CHECK;
/* The same, parking until done. Waits while the in-flight bound is reached. */
struct status *group_propose_wait(struct fiber *f, struct group *g, struct slice data,
                                  uint64_t *out_index) STATUS_MUST_CHECK;

/* ---- reads ---- */

/* True when the lease holds at this very moment (reads the clock): a local read is linearizable. */
bool group_lease_valid(struct group *g);
/* Returns when this node was the leader, confirmed by its lease or by a quorum round begun after
 * the call, and all that was committed before is applied. NOT_LEADER otherwise. */
struct status *group_read_barrier(struct fiber *f, struct group *g) STATUS_MUST_CHECK;

/* ---- membership (leader ready only; one at a time; CONFLICT while one is under way) ---- */

struct status *group_add_learner(struct fiber *f, struct group *g, uint64_t replica_id,
                                 uint64_t node_id) STATUS_MUST_CHECK;
/* Waits until the learner has caught up. */
struct status *group_promote(struct fiber *f, struct group *g,
                             uint64_t replica_id) STATUS_MUST_CHECK;
/* Never takes a group from two voters to one. */
struct status *group_remove(struct fiber *f, struct group *g,
                            uint64_t replica_id) STATUS_MUST_CHECK;
/* Drops the lease first. replica_id 0: the one that is furthest. */
struct status *group_transfer(struct fiber *f, struct group *g,
                              uint64_t replica_id) STATUS_MUST_CHECK;
/* Wakes a quiesced group. Called by group_propose and reads themselves. */
void group_wake(struct group *g);

/* Starts a checkpoint now (normally by size): on a leader at once, on a follower with the next
 * entry that it applies. */
void group_checkpoint(struct group *g);

#endif
