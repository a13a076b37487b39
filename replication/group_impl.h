/*
 * The inside of replication/: what its files share. Nothing outside of this folder (but the Raft
 * simulator, which looks into groups to check them) includes it.
 *
 * How a group runs. The library (struct raft) is driven by calls: tick, receive, a completed write,
 * a request of ours. Every such call is followed by group_after(), which fires send callbacks (rule
 * 20), gives committed entries to the state machine, notices changes of role, and lets go what the
 * rules held back. The library calls us back from inside only through io.c, and there we record and
 * queue; no callback calls into the library again.
 *
 * States of a replica:
 *
 *   STARTING --> RUNNING --> FROZEN --> STARTING        re-load: rules 9 and 19
 *                   |           |
 *                   |           +-----> CLOSED          group_close(): drained first
 *                   +--> DAMAGED --> CLOSED             the library or the log refused: it is
 * silent
 *
 * FROZEN: no ticks, no messages; writes under way come back, then raft_close().
 *
 * Invariants: next_index is one past the library's last index unless FROZEN; applied_index is the
 * library's last_applied between calls (after a re-load it stays where it was until the library has
 * caught up, and nothing is applied twice); `held` is in index order; everything in `inflight` has
 * an index above applied_index and the term `inflight_term`.
 */
#ifndef REPLICATION_GROUP_IMPL_H
#define REPLICATION_GROUP_IMPL_H

#include "log_store.h"
#include "replication/group.h"
#include "roster.h"
#include "wire.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/metrics.h"

#include <raft.h>

/* ---- limits ---- */

#define INFLIGHT_GROUP_BYTES_MAX ((size_t)32 << 20) /* proposals not yet applied, a group */
#define INFLIGHT_HOST_BYTES_MAX ((size_t)256 << 20) /* the same, all groups of a node */
#define APPEND_PART_BYTES_MAX ((size_t)1 << 20)     /* rule 13 */
#define APPEND_PART_ENTRIES_MAX 1024u               /* rule 13 */
#define OUTBOX_BYTES_MAX ((size_t)1 << 20)          /* an envelope leaves early above this */
#define APPLY_CHUNK_ENTRIES 256u                    /* one call of fsm.apply */
#define APPLY_CHUNK_BYTES ((size_t)4 << 20)
#define TRAILING_BYTES_MAX ((size_t)16 << 20)            /* kept behind a checkpoint */
#define INSTALL_TRAILING_BYTES_MAX ((uint64_t)256 << 20) /* the same, during an install */
#define INSTALL_CHUNK_BYTES ((size_t)256 << 10)
#define INSTALL_WINDOW 4u /* chunks on the way */
#define INSTALL_RANGES_MAX 64u
#define ENTRY_OVERHEAD_BYTES 128u /* memory of an entry beside its payload */
#define PROMOTE_LAG_MAX 1024u     /* entries a learner may miss to be promoted */

struct group;
struct group_host;
struct install_send;
struct install_recv;

/* ---- peers: other nodes ---- */

struct peer {
    struct list link; /* host->peers */
    uint64_t node_id;
    struct buf outbox; /* the envelope of this turn */
    unsigned outbox_items;
    bool is_full;         /* the link refused: nothing more in this turn */
    uint64_t sent_ns;     /* last envelope */
    uint64_t heard_ns;    /* last envelope from there */
    uint64_t incarnation; /* of its process */
};

/* ---- a replica ---- */

enum group_state { GROUP_STARTING, GROUP_RUNNING, GROUP_FROZEN, GROUP_DAMAGED, GROUP_CLOSED };

/* An append of the library on its way to disk, and back. */
struct append_op {
    struct log_op op;
    struct group *g;
    struct raft_io_append *request;
    struct list held_link; /* g->held */
    uint64_t end;          /* last index */
    uint64_t term;         /* R.current_term at submission */
    bool as_leader;
    uint64_t echo_ns; /* stamp of the message that caused it */
};

/* What the library is doing right now: decides about the results that it sends meanwhile. */
struct group_call {
    bool is_delivery, is_completion;
    bool swallow;   /* results must not leave (rules 6 and 19) */
    uint64_t clamp; /* rule 3: highest index that a success may name */
    uint64_t echo_ns;
};

struct send_callback {
    struct raft_io_send *request;
    raft_io_send_cb cb;
};

struct gated_message {
    struct list link;
    uint64_t node_id;
    struct buf item; /* one encoded item */
};

/* What the leader knows of another replica in this term, beside the library's progress. */
struct follower {
    uint64_t replica_id;
    uint64_t acked;   /* rule 5: highest index acknowledged in this term */
    uint64_t echo_ns; /* newest stamp that came back: leases */
    uint64_t pong;    /* newest ping that it answered: read barriers */
};

struct held_result {
    struct list link;
    uint64_t from, node_id;
    struct wire_append_result m;
};

struct applied_entry {
    uint64_t index, term;
    struct slice data;
};

struct checkpoint {
    enum {
        CHECKPOINT_IDLE,
        CHECKPOINT_WAITS_APPLY,
        CHECKPOINT_WAITS_FLUSH,
        CHECKPOINT_FLUSHING,
        CHECKPOINT_WRITING
    } step;
    struct list link; /* host->checkpoints_waiting or ->checkpoints_flushing */
    struct raft_io_snapshot_put *request;
    raft_io_snapshot_put_cb cb;
    unsigned trailing;
    bool has_checksum;
    struct log_snapshot snapshot;
    struct log_op op;
};

struct group {
    struct group_host *host;
    struct group *hash_next;
    struct list link; /* host->groups */
    uint64_t id, replica_id;
    enum group_state state;
    struct group_fsm *fsm;
    bool is_closing;
    unsigned users;      /* fibers inside a parking function */
    struct cond changed; /* anything that a waiter may wait for */

    /* the library */
    struct raft raft;
    struct raft_io io;
    struct raft_fsm raft_fsm;
    raft_io_tick_cb tick;
    raft_io_recv_cb recv;
    struct group_call call;
    struct send_callback *sends; /* rule 20 */
    size_t send_count, send_capacity;

    /* the log on disk, as it will be when the queue is written */
    struct log_image image; /* from LOAD until io_load() took it */
    struct log_op load_op;
    uint64_t first_index, next_index;
    uint64_t log_bytes; /* since the last checkpoint, with overhead */
    uint64_t meta_term, meta_vote;
    struct roster_history history;
    unsigned appends_in_flight, metas_in_flight;
    struct list held;  /* rule 5: durable appends that the library has not been told */
    struct list gated; /* rule 12: messages that wait for a durable term */
    bool wants_reload;
    struct checkpoint checkpoint;
    bool checkpoint_wanted;

    /* the state machine */
    uint64_t applied_index;
    uint64_t kept_index;     /* after a re-load: what this process had applied before it */
    uint64_t stored_applied; /* what the state store said at start: rule 26 */
    uint64_t checksum;
    uint64_t conf_reported; /* index of the newest configuration reported as committed */
    struct applied_entry *to_apply;
    size_t to_apply_count, to_apply_capacity;

    /* role */
    enum group_role role;
    uint64_t role_term;
    uint64_t barrier_term, barrier_index; /* rule 1; index UINT64_MAX: not yet in the log */
    bool is_ready;
    uint64_t followers_term;
    struct follower followers[ROSTER_MEMBERS_MAX];
    unsigned follower_count;
    struct list held_results; /* rule 2 */

    /* leases and read barriers */
    uint64_t promise_until_ns; /* no vote and no election of ours before */
    uint64_t promise_term;
    uint64_t no_lease_term; /* a transfer was begun in this term */
    uint64_t ping_sequence;
    bool ping_wanted;
    struct list readers; /* struct read_wait */

    /* proposals */
    struct list dirty_link; /* host->dirty: has new proposals or a ping to send */
    bool is_dirty;
    struct list proposed; /* not yet in the log */
    struct raft_buffer *proposed_bufs;
    size_t proposed_count, proposed_capacity;
    struct list inflight; /* in the log, by index */
    size_t inflight_bytes;

    /* membership: one request at a time */
    bool is_changing;

    /* quiescence */
    bool is_quiet;
    uint64_t quiet_node; /* whose beats stand in for its heartbeats; 0 = our own */
    uint64_t idle_since_ns;
    uint64_t idle_last_index;

    struct list gets;         /* snapshots that the library asked for */
    struct list installs_out; /* struct install_send */
    unsigned installs_busy;   /* ended sessions whose job is still out */
    struct install_recv *install_in;
    struct { /* a success to send after the re-load; index 0 = none */
        uint64_t from, node_id, term, index, session;
    } install_result;
};

/* Looked into by the simulator after every call of the library. */
struct group_probe {
    void (*after)(void *ctx, struct group *g);
    void *ctx;
};

struct group_host {
    struct group_host_options opt;
    struct loop *loop;
    struct log_store *log;
    struct worker *checkpoint_worker; /* store_flush() */
    struct worker *install_worker;    /* reads and writes streamed state */
    struct group **buckets;
    size_t bucket_count, group_count;
    struct list groups;
    struct list peers;
    struct list dirty;
    struct timer tick_timer;
    uint64_t raft_ns, raft_seen_ns; /* host_raft_ns() */
    struct task flush_task;
    uint64_t incarnation;
    size_t inflight_bytes;
    struct store_batch *batch;       /* of the apply that runs */
    struct group_entry *entries;     /* APPLY_CHUNK_ENTRIES, for fsm.apply */
    struct wire_entry *wire_entries; /* of the message that is delivered */
    size_t wire_entry_capacity;
    struct buf item; /* scratch: the item being encoded */
    struct list checkpoints_waiting, checkpoints_flushing;
    struct job flush_job;
    struct status *flush_result;
    struct group_probe probe;
    /* The simulator makes these small, so that what is rare becomes common. */
    unsigned envelope_items_max; /* 1 lets messages overtake each other; 0 = no limit */
    unsigned part_entries_max;   /* rule 13 */
    size_t chunk_bytes;          /* of an install */
    bool is_closing;
    uint64_t malformed_count;
    /* A store failed or a rule of the program is broken: ends the process unless set. */
    void (*on_fatal)(void *ctx, struct status *st);
    void *on_fatal_ctx;
    struct metric *m_elections, *m_proposals, *m_malformed, *m_installs, *m_checkpoints, *m_asleep;
};

/* ---- small helpers ---- */

static inline bool rule_on(unsigned n)
{
    return __builtin_expect(raft_rule_off[n] == 0, 1);
}
static inline uint64_t raft_log_last(const struct raft *r)
{
    const struct raft_log *l = &r->log;
    return l->offset + (l->front <= l->back ? l->back - l->front : l->size - l->front + l->back);
}
/* Term of the entry (or of the snapshot that ends there); 0: not in the log. */
uint64_t raft_log_term(const struct raft *r, uint64_t index);
static inline bool group_is_leader(const struct group *g)
{
    return g->state == GROUP_RUNNING && g->raft.state == RAFT_LEADER;
}
static inline bool raft_is_voter(const struct raft *r, uint64_t replica_id)
{
    for (unsigned i = 0; i < r->configuration.n; i++) {
        if (r->configuration.servers[i].id == replica_id) {
            return r->configuration.servers[i].role == RAFT_VOTER;
        }
    }
    return false;
}
static inline unsigned raft_voter_count(const struct raft *r)
{
    unsigned n = 0;
    for (unsigned i = 0; i < r->configuration.n; i++) {
        n += r->configuration.servers[i].role == RAFT_VOTER;
    }
    return n;
}
/* Voters other than this replica that make a majority together with it (or without, when it is
 * none). */
static inline unsigned raft_others_needed(const struct raft *r)
{
    unsigned majority = raft_voter_count(r) / 2 + 1;
    return majority - (raft_is_voter(r, r->id) ? 1 : 0);
}

/* ---- host.c ---- */
struct group *host_find(struct group_host *h, uint64_t group_id);
void host_add(struct group_host *h, struct group *g);
void host_remove(struct group_host *h, struct group *g);
struct peer *host_peer(struct group_host *h, uint64_t node_id);
/* Adds h->item (one encoded item) to the peer's envelope. */
void host_post_item(struct group_host *h, uint64_t node_id, struct slice item);
void host_post_bulk(struct group_host *h, uint64_t node_id, const struct wire_message *m);
void host_schedule(struct group_host *h, struct group *g);
/* The clock that the library sees: the loop's, without the times in which the loop stood still.
 * When nodes apply the same large entry they stall side by side; counted, that would be a leader's
 * silence, and an election would follow. Liveness only: leases and promises go by the real clock.
 */
uint64_t host_raft_ns(struct group_host *h);
void host_fatal(struct group_host *h, struct status *st);
void host_applied_key(uint8_t out[24], size_t *out_len, uint64_t group_id);

/* ---- group.c ---- */
void group_after(struct group *g);
/* No ticks and no messages from here on; when all writes are back, group_drained() goes on. */
void group_freeze(struct group *g);
void group_drained(struct group *g);
/* Rule 20, without the rest of group_after(). */
bool group_fire_sends(struct group *g);
void group_apply_pending(struct group *g);
void group_start_library(struct group *g);
void group_stop_library(struct group *g);
void group_fail_damaged(struct group *g, const char *why);
struct follower *group_follower(struct group *g, uint64_t replica_id);
bool group_enter(struct group *g); /* a fiber comes in; false: closing */
void group_leave(struct group *g);
uint64_t group_node_of(const struct group *g, uint64_t replica_id); /* 0 = not a member */
void group_free(struct group *g);
struct group *group_new(struct group_host *h, uint64_t id, struct group_fsm *fsm);

/* ---- io.c ---- */
void io_setup(struct group *g);
void io_fire_append(struct group *g, struct append_op *a, int status);
bool io_release_held(struct group *g, bool all);
/* Sends an item of this group, through the gate of rule 12. */
void io_post(struct group *g, uint64_t node_id, const struct wire_message *m,
             const struct raft_entry *entries);
void io_open_gate(struct group *g);
void io_drop_gated(struct group *g);
void io_write_meta(struct group *g);

/* ---- deliver.c ---- */
void deliver(struct group *g, uint64_t from_node, const struct wire_message *m);
void deliver_append_result_now(struct group *g, uint64_t node_id, uint64_t from,
                               const struct wire_append_result *m);
/* An empty AppendEntries: how an offered snapshot reaches the library (rule 19). */
void deliver_heartbeat(struct group *g, uint64_t from_node, uint64_t from, uint64_t term,
                       uint64_t prev_index, uint64_t prev_term, uint64_t stamp_ns, bool swallow);
void group_tick(struct group *g);

/* ---- propose.c ---- */
void propose_flush(struct group *g);
void propose_complete(struct group *g, struct list *done);
void propose_fail_all(struct group *g);
void propose_match(struct group *g, struct group_entry *e, struct list *done);

/* ---- lease.c ---- */
struct read_wait {
    struct list link; /* g->readers */
    struct fiber *fiber;
    uint64_t sequence; /* of the first ping sent after it came; 0 = none yet */
    bool is_done, is_failed;
};
void lease_promise(struct group *g, uint64_t from, uint64_t term);
void lease_at_start(struct group *g, bool is_fresh);
bool lease_forbids_vote(struct group *g, const struct wire_vote *m);
bool lease_forbids_tick(struct group *g);
void lease_drop(struct group *g);
void ping_flush(struct group *g);
void ping_receive(struct group *g, uint64_t node_id, const struct wire_message *m);
void pong_receive(struct group *g, const struct wire_message *m);
void readers_check(struct group *g);

/* ---- checkpoint.c ---- */
int checkpoint_begin(struct group *g, struct raft_io_snapshot_put *request, unsigned trailing,
                     const struct raft_snapshot *s, raft_io_snapshot_put_cb cb);
/* An entry is about to be added to the checksum; the state machine has all that is committed. */
void checkpoint_applying(struct group *g, uint64_t index);
void checkpoint_applied(struct group *g);
/* Gives up one that has not reached the disk yet. */
void checkpoint_stop(struct group *g);
/* Somebody wants one and there is nothing to apply: an entry is made. */
void checkpoint_nudge(struct group *g);
bool checkpoint_is_due(struct group *g);
unsigned checkpoint_trailing(const struct group *g);
void checkpoint_flush_done(struct job *j);
void checkpoint_flush_run(struct job *j);

/* ---- install_send.c ---- */
void install_get(struct group *g, struct raft_io_snapshot_get *request, raft_io_snapshot_get_cb cb);
void install_offer(struct group *g, uint64_t node_id, uint64_t replica_id,
                   const struct raft_install_snapshot *m);
void install_run_gets(struct group *g);
void install_ack(struct group *g, const struct wire_message *m);
void install_send_tick(struct group *g);
void install_send_stop_all(struct group *g);
bool install_send_is_idle(const struct group *g);
uint64_t install_send_oldest(const struct group *g); /* index of the oldest session; 0 = none */

/* ---- install_recv.c ---- */
void install_begin(struct group *g, uint64_t node_id, const struct wire_message *m);
void install_chunk(struct group *g, uint64_t node_id, const struct wire_message *m);
void install_recv_tick(struct group *g);
void install_recv_stop(struct group *g);
/* Frozen and drained: goes on with the installation. */
void install_recv_drained(struct group *g);
bool install_is_replacing(const struct group *g);
/* At start-up: completes an install that a crash interrupted. Parks. */
struct status *install_recover(struct fiber *f, struct group *g) STATUS_MUST_CHECK;
struct status *install_wipe_replica(struct fiber *f, struct group *g) STATUS_MUST_CHECK;

/* ---- quiesce.c ---- */
void quiesce_tick(struct group *g);
void quiesce_receive(struct group *g, uint64_t node_id, const struct wire_message *m);
void quiesce_end(struct group *g);
void quiesce_peer_restarted(struct group_host *h, uint64_t node_id);

#endif
