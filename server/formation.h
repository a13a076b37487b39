/*
 * How a node gets into a cluster.
 *
 * First start with cluster.initial: the nodes of the list exchange the nonces of their data
 * directories. The cluster's id is a hash of its name and all (node id, nonce) pairs, so two
 * formations never give the same cluster, and a node that comes back with an empty directory is
 * seen to be another disk: it is refused, because its old votes and log entries are gone. All
 * listed nodes must be up for the first formation.
 *
 * cluster.join: any node of the cluster is asked, and tells where the metadata group is. The
 * identity keeps these addresses: the node starts again whether or not that node is there then.
 *
 * A directory that is a member never forms or joins another cluster, whatever the config says.
 */
#ifndef SERVER_FORMATION_H
#define SERVER_FORMATION_H

#include "api/grpc.h"
#include "base/config.h"
#include "base/fiber.h"
#include "identity.h"

#include "sherd/v1/metadata.pb-c.h"

/* Answers Node.Identity with *id (kept current by the caller). Before grpc_front_start(). */
void formation_serve(struct grpc_front *front, struct identity *id, const struct config *c);

/* Fills id->cluster_id, node_id, formed; saves it. Parks until every initial node has answered.
 * INVALID when the directory belongs to another cluster or node, or has lost its data. */
struct status *formation_form(struct fiber *f, struct loop *l, const struct config *c,
                              struct identity *id) STATUS_MUST_CHECK;

/* For a member that does not find its cluster: INVALID when so many of the listed nodes belong to
 * one other cluster that there is no majority for this one. What does not answer proves nothing. */
struct status *formation_strangers(struct fiber *f, struct loop *l, const struct config *c,
                                   const struct identity *id) STATUS_MUST_CHECK;

/* Joins by c->join, and fills id->peers. Of a member it only refreshes these, if that node answers.
 */
struct status *formation_join(struct fiber *f, struct loop *l, const struct config *c,
                              struct identity *id) STATUS_MUST_CHECK;

#endif
