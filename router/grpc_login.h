/*
 * Who may open a session of sherd.v1.Sql: where passwords are asked for (sql.auth scram), a call
 * that opens one, or runs a statement without one, must carry the metadata "authorization: Basic
 * base64(user:password)" (RFC 7617). Calls inside a session need no more: its handle is the secret.
 *
 * The password is checked against the role's SCRAM verifier, by thousands of hashes on a thread of
 * its own; the last one that was right is remembered under a key of this process, so that a client
 * that sends it with each statement pays for it once.
 */
#ifndef ROUTER_GRPC_LOGIN_H
#define ROUTER_GRPC_LOGIN_H

#include "router_internal.h"

struct grpc_login;

struct grpc_login *grpc_login_create(struct loop *l);
/* Waits for checks under way. NULL is fine. */
void grpc_login_destroy(struct grpc_login *g);
/* authorization NULL: the call has none. 28P01: not this user's password. */
struct status *grpc_login_check(struct fiber *f, struct grpc_login *g, struct router *r,
                                const char *user, const char *authorization) STATUS_MUST_CHECK;

#endif
