/* The router role of a node: sessions, planning, dispatch, transaction coordination. */
#ifndef ROUTER_ROUTER_H
#define ROUTER_ROUTER_H

#include "api/grpc.h"
#include "api/rpc.h"
#include "base/config.h"
#include "metadata/catalog.h"
#include "metadata/client.h"

struct router;

struct router_options {
    struct rpc_node *rpc;
    struct meta_client *meta;
    uint64_t node_id;
    uint64_t incarnation;        /* names this process's transactions; from the join reply */
    const struct config *config; /* borrowed */
};
struct status *router_create(struct fiber *f, const struct router_options *o,
                             struct router **out) STATUS_MUST_CHECK;
/* What the router asks of a configuration beyond what config_load() knows: router_create() makes
 * the same check. */
struct status *router_check_config(const struct config *c) STATUS_MUST_CHECK;
/* Ends sessions and transactions. */
void router_destroy(struct fiber *f, struct router *r);

/* Front ends. */
struct pgwire;
struct status *pgwire_create(struct router *r, const char *host, uint16_t port,
                             struct pgwire **out) STATUS_MUST_CHECK;
uint16_t pgwire_port(const struct pgwire *p);
void pgwire_destroy(struct fiber *f, struct pgwire *p);
/* Registers sherd.v1.Sql on the front (before grpc_front_start). The router is looked up through
 * the pointer at each call: while it is NULL calls are answered UNAVAILABLE. */
void grpc_sql_register(struct grpc_front *front, struct loop *l, struct router **r);
void grpc_sql_shutdown(struct fiber *f);

/* For the parts of router/. */
struct loop *router_loop(struct router *r);
struct rpc_node *router_rpc(struct router *r);
struct meta_client *router_meta(struct router *r);
struct catalog_cache *router_catalog(struct router *r);
const struct config *router_config(struct router *r);
/* What the role's password is checked against: sql.password_file's for the superuser, else the
 * role's own; NULL: it cannot log in. role NULL is fine. */
const char *router_verifier(struct router *r, const Sherd__V1__RoleDesc *role);
uint64_t router_node_id(const struct router *r);
/* Smallest snapshot in use here, for the heartbeat; 0 = none. */
uint64_t router_oldest_snapshot(const struct router *r);
int router_session_count(const struct router *r);

#endif
