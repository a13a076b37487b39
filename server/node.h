/* A node: one process's roles, put together from its config. */
#ifndef SERVER_NODE_H
#define SERVER_NODE_H

#include "api/grpc.h"
#include "base/config.h"
#include "base/fiber.h"
#include "base/metrics.h"
#include "base/store.h"
#include "identity.h"
#include "metadata/client.h"
#include "metadata/server.h"
#include "replication/group.h"
#include "router/router.h"
#include "shard/server.h"

struct node {
    struct loop *loop;
    struct config *config;
    struct identity identity;
    struct store *log, *state;
    struct grpc_front *front;
    struct rpc_link *link;
    struct peer_link *peers;
    struct rpc_node *rpc;
    struct group_host *host;
    struct meta_server *meta_server;
    struct meta_client *meta;
    struct shard_server *shards;
    struct router *router;
    struct pgwire *pgwire;
    struct http *http;
    uint64_t incarnation;
    bool is_low; /* on space */
    struct metric *m_free, *m_low;
    struct fiber *heartbeat;
    struct gate heartbeat_gone;
    struct fiber *starter;  /* in node_start() */
    struct gate doubt_gone; /* of a start that waits for the cluster */
    struct status *refusal; /* why that can never succeed, or NULL */
    bool is_stopping;
};

/* Brings all roles up. Errors name the thing and the remedy; what was started stays for
 * node_stop(). */
struct status *node_start(struct fiber *f, struct node *n) STATUS_MUST_CHECK;
/* Drains leaderships, closes everything in reverse order. Works on a half-started node. */
void node_stop(struct fiber *f, struct node *n);

/* admin.c: sherd.v1.Admin. Before grpc_front_start(). */
void node_admin_register(struct node *n);

/* http.c: /metrics, /health on its own thread. */
struct http;
struct status *http_create(const char *host, uint16_t port, struct http **out) STATUS_MUST_CHECK;
void http_set_ready(struct http *h, bool is_ready);
void http_destroy(struct http *h);

#endif
