/*
 * The simulated network: carries bytes between nodes of a simulated world, badly.
 *
 * A node attaches once per boot with its loop. Messages wait in the network, not in a node: they
 * survive the restart of either end and can arrive long after it, as packets and retries do. Faults
 * are set per pair (blocked, one way) or for all (loss, duplicates up to two seconds late, delay;
 * messages overtake each other by their delays).
 *
 * Channels keep kinds of traffic apart: 0 and 1 belong to the peer_link that sim_net_link() makes
 * (Raft and bulk), the rest is free for whoever simulates a whole node: sim_net_send() directly.
 */
#ifndef TEST_LIB_SIM_NET_H
#define TEST_LIB_SIM_NET_H

#include "base/loop.h"
#include "base/sim.h"
#include "base/slice.h"
#include "replication/group.h"

#define SIM_NET_NODES 16 /* node ids 1 .. 15 */
#define SIM_NET_RAFT 0u
#define SIM_NET_BULK 1u
#define SIM_NET_CHANNELS 8u

struct sim_net;

struct sim_net *sim_net_create(struct sim *s);
void sim_net_destroy(struct sim_net *net); /* frees what is still on its way */

/* ---- nodes ---- */

typedef void (*sim_net_receive_fn)(void *ctx, uint64_t from, struct slice bytes);

/* The node lives on this loop from now on; its receivers are gone and set anew. */
void sim_net_attach(struct sim_net *net, uint64_t node_id, struct loop *l);
void sim_net_detach(struct sim_net *net, uint64_t node_id); /* a crash; idempotent */
/* It has been attached at some time, it may be down now. */
bool sim_net_is_known(const struct sim_net *net, uint64_t node_id);
/* Bytes of that channel are handed to fn on the node's loop. */
void sim_net_listen(struct sim_net *net, uint64_t node_id, unsigned channel, sim_net_receive_fn fn,
                    void *ctx);
/* Copies the bytes. False: the sender can tell that they will not arrive (it cannot always). */
bool sim_net_send(struct sim_net *net, uint64_t from, uint64_t to, unsigned channel,
                  struct slice bytes);
bool sim_net_is_connected(struct sim_net *net, uint64_t from, uint64_t to);
/* A peer_link of the attached node, for its group_host. Freed with the network. */
struct peer_link *sim_net_link(struct sim_net *net, uint64_t node_id);
/* Sees every message of a link as it leaves, before the network decides about it. */
void sim_net_tap(struct sim_net *net, void (*tap)(void *ctx, uint64_t from, struct slice bytes),
                 void *ctx);

/* ---- faults ---- */

/* Drops what fn says true for; for tests that stage a schedule. NULL: none. */
void sim_net_filter(struct sim_net *net,
                    bool (*fn)(void *ctx, uint64_t from, uint64_t to, unsigned channel,
                               struct slice bytes),
                    void *ctx);
void sim_net_block(struct sim_net *net, uint64_t from, uint64_t to, bool blocked);
void sim_net_unblock_all(struct sim_net *net);
void sim_net_loss(struct sim_net *net, unsigned per_mille);
/* delay_max_us on top of the base delay of 100 to 400 us. */
void sim_net_delay(struct sim_net *net, uint64_t delay_max_us);
/* One of five duplicates is up to two seconds late, the others up to 60 ms. */
void sim_net_duplicate(struct sim_net *net, unsigned per_mille);
void sim_net_heal(struct sim_net *net); /* all of the above off */
uint64_t sim_net_message_count(const struct sim_net *net);

#endif
