/*
 * The world of the Raft simulator: nodes with disks, a network, groups, clients, faults, checkers.
 *
 * It looks into struct group and struct raft (replication/group_impl.h) after every call of the
 * library, sees every message as it leaves and every log operation as it becomes durable, and knows
 * the one true history of each group: the entries that were ever committed.
 */
#ifndef TEST_SIM_RAFT_WORLD_H
#define TEST_SIM_RAFT_WORLD_H

#include "../lib/sim_net.h"
#include "group_impl.h"

#include "base/sim.h"

#define NODES_MAX 8u     /* ids 1 .. 7 */
#define GROUPS_MAX 3u    /* ids 1 .. 3 */
#define REPLICAS_MAX 64u /* ids of a group over a run */
#define TERMS_MAX 4096u
#define SLOTS 8u

struct world;
struct node;

/* ---- what is known of a group's true history ---- */

struct truth {
    bool is_committed, is_applied;
    uint8_t type, slot;
    uint64_t term;
    uint64_t commit_term; /* of the leader that committed it first */
    uint64_t hash;        /* of type and payload */
    uint64_t uid;         /* of a command */
};

struct checker {
    struct truth *at; /* by index */
    size_t capacity;
    uint64_t commit_max, acked_max, served_max;
    struct {
        uint64_t replica;
        uint64_t life; /* of the instance that led: a restart makes a new one */
    } leaders[TERMS_MAX];
    uint8_t votes[TERMS_MAX][REPLICAS_MAX];
    unsigned node_of[REPLICAS_MAX];
    uint64_t replica_next;
};

/* What is on disk, kept beside it. */
struct mirror {
    bool is_stale; /* read it from the library at its next call */
    uint64_t term, vote;
    uint64_t snapshot_index, snapshot_term;
    uint64_t first;
    uint64_t *terms;
    size_t count, capacity;
};

struct replica {
    struct node *node;
    unsigned group_no; /* 1 .. */
    bool exists, is_opening, is_doomed;
    uint64_t replica_id;
    uint64_t dead_id; /* of the last one that was destroyed on this node */
    struct group *g;
    struct group_fsm fsm;
    struct mirror disk;
    uint64_t life;    /* counts starts and re-loads */
    uint64_t checked; /* commit index */
    uint64_t applied; /* by this life */
    uint64_t led_term, led_life;
    uint64_t last_led_term; /* may commit in the call that ends its reign */
    unsigned changes_under_way;
};

struct node {
    struct world *w;
    unsigned id;
    bool is_up, has_failed;
    uint64_t boots;
    struct loop *loop;
    struct mem_disk *disk;
    struct store *log, *state;
    struct group_host *host;
    bool fails_writes;
    double rate;
    struct replica replicas[GROUPS_MAX + 1];
};

struct world_stats {
    uint64_t seeds, events, messages, commits, acks, leaders, crashes, checkpoints, installs,
        reloads, changes, transfers, lease_reads, barrier_reads, quiesced, recovery_us,
        recovery_us_max;
};

/* Kinds of trouble (raft_faults.c), drawn with the seed. */
enum profile {
    PROFILE_MIXED,
    PROFILE_LEADER,
    PROFILE_NETWORK,
    PROFILE_FIGURE_8,
    PROFILE_HANGING,
    PROFILE_TRANSFERS,
    PROFILE_VOTES,
    PROFILES
};

struct world {
    uint64_t seed;
    struct sim *sim;
    struct sim_net *net;
    unsigned node_count, voter_count, group_count;
    struct node nodes[NODES_MAX];
    struct checker *checkers[GROUPS_MAX + 1];
    struct group_host_options options;
    unsigned envelope_items, part_entries;
    size_t chunk_bytes;
    int profile_wanted; /* -1: drawn */
    enum profile profile;
    /* what loses single kinds of messages (raft_hunts.c); deaf: a bit by node id */
    uint64_t lost_node, deaf_nodes;
    bool has_membership, has_checkpoints, has_transfers, has_write_failures, transfers_often;
    unsigned propose_every_us;
    uint64_t uid_next;
    uint64_t heal_at_ns;
    struct replica *members_old, *members_new; /* leaders of the hunt for rule 14 */
    uint64_t members_gone;                     /* whom the old one removes */
    uint64_t heal_planned_ns;
    bool is_healed, is_well, is_over;
    bool has_hunt;                 /* no other trouble meanwhile */
    bool wants_stream, wants_calm; /* after all is well again */
    uint64_t stream_until_ns, stream_from, stream_term;
    uint64_t calm_from_ns, calm_terms;
    uint64_t healed_index[GROUPS_MAX + 1]; /* of a proposal acknowledged after the faults ended */
    bool healed_pending[GROUPS_MAX + 1];
    struct world_stats *stats;
    bool trace;
};

/* ---- raft_world.c ---- */
void world_run(struct world *w); /* returns when all is well; world_fail() otherwise */
struct replica *world_leader(struct world *w, unsigned group_no);
bool world_chance(struct world *w, unsigned per_mille);
uint64_t world_between(struct world *w, uint64_t low, uint64_t high);
void node_start(struct node *n);
void node_crash(struct node *n);
void node_restart_later(struct node *n, uint64_t after_us);
void world_heal(struct world *w);
void world_empty_fiber(struct fiber *f, void *arg); /* creates the replica arg, without a log */
void world_reuse_fiber(struct fiber *f, void *arg); /* tries to create one with a dead id */
void world_doom_fiber(struct fiber *f, void *arg);  /* destroys the replica arg */

/* ---- raft_faults.c ---- */
void faults_start(struct world *w);
void world_later(struct world *w, uint64_t low_us, uint64_t high_us, void (*fn)(void *ctx),
                 void *ctx);
bool replica_is_usable(const struct replica *r);
void replica_propose(void *ctx); /* a few entries to that replica; runs on its loop */

/* ---- raft_hunts.c ---- */
void hunts_start(struct world *w);
void hunts_end(struct world *w);
void hunts_new_leader(struct replica *r);
void stream_start(struct world *w);
extern const char *const profile_names[PROFILES];
void clients_start(struct world *w);

/* ---- raft_check.c ---- */
_Noreturn void world_fail(struct world *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void world_trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define TRACE(w, ...)                                                                              \
    do {                                                                                           \
        if ((w)->trace) {                                                                          \
            world_trace((w), __VA_ARGS__);                                                         \
        }                                                                                          \
    } while (0)

void check_after(void *ctx, struct group *g);
void check_durable(void *ctx, const struct log_op *op);
void check_message(void *ctx, uint64_t from_node, struct slice bytes);
void check_apply(struct replica *r, const struct group_entry *e);
void check_acked(struct world *w, unsigned group_no, uint64_t index, uint64_t uid);
void check_read(struct world *w, struct replica *r, uint64_t floor, const char *how);
void check_final_state(struct replica *r);
struct truth *truth_at(struct world *w, unsigned group_no, uint64_t index);
struct replica *replica_find(struct world *w, unsigned group_no, uint64_t replica_id);

struct entry_view {
    uint64_t uid;
    uint8_t slot;
};
void entry_make(struct buf *out, uint64_t uid, uint8_t slot, size_t filler);
struct entry_view entry_view(struct slice data);

#endif
