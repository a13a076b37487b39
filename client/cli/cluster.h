/* Asking a cluster how it is: shared by `status` and `local`. */
#ifndef CLIENT_CLUSTER_H
#define CLIENT_CLUSTER_H

#include "base/arena.h"
#include "base/status.h"
#include "sherd/v1/admin.pb-c.h"

/* One attempt at one node; the reply lives in the arena. */
struct status *cluster_status(const char *host, uint16_t port, uint64_t timeout_ms, struct arena *a,
                              Sherd__V1__MetaStatusReply **out) STATUS_MUST_CHECK;
/* Groups that the node leads and serves. */
int cluster_leads(const Sherd__V1__NodeStatus *n);

#endif
