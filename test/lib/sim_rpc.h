/*
 * A link between rpc nodes over the simulated network: what a stream connection promises, made of
 * messages that are lost, doubled and overtaken. Frames are numbered, acknowledged and sent again;
 * a peer that is silent for SIM_RPC_BREAK_NS breaks the connection, both ends hear of it (each when
 * it finds out), and the next frame begins a new one. A restarted node begins a new one too.
 *
 * Uses channel SIM_NET_RPC of the network. Thread rule: the node's loop.
 */
#ifndef TEST_LIB_SIM_RPC_H
#define TEST_LIB_SIM_RPC_H

#include "api/rpc.h"
#include "sim_net.h"

#define SIM_NET_RPC 2u
#define SIM_RPC_BREAK_NS 1500000000ull

/* After sim_net_attach() of this boot of the node. Freed with the process: it may die with its
 * loop. */
struct rpc_link *sim_rpc_link_create(struct sim_net *net, struct loop *l, uint64_t node_id);
void sim_rpc_link_destroy(struct rpc_link *link);

#endif
