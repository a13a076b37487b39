/*
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's side, without channel binding.
 *
 * Verifier, as PostgreSQL stores it:
 *   SCRAM-SHA-256$<iterations>:<salt, base64>$<StoredKey, base64>:<ServerKey, base64>
 *
 * A user without a verifier goes through the same exchange with a made-up one and fails at its end,
 * so that the exchange does not tell who exists.
 */
#ifndef ROUTER_FRONTEND_SCRAM_H
#define ROUTER_FRONTEND_SCRAM_H

#include "base/buf.h"

struct scram;

/* verifier: NULL or "" for none. Never fails: a damaged verifier counts as none. */
struct scram *scram_create(const char *verifier, struct slice user);
void scram_destroy(struct scram *s);
/* client-first-message in, server-first-message out. 08P01 when it is malformed. */
struct status *scram_first(struct scram *s, struct slice message,
                           struct buf *out) STATUS_MUST_CHECK;
/* client-final-message in, server-final-message out. *out_ok: the proof is right. */
struct status *scram_final(struct scram *s, struct slice message, struct buf *out,
                           bool *out_ok) STATUS_MUST_CHECK;
/* The verifier of a password, with a fresh salt: for CREATE ROLE ... PASSWORD. */
void scram_make_verifier(struct slice password, struct buf *out);
bool scram_is_verifier(const char *text);
/* Whether the verifier is this password's. Costs its thousands of hashes: not on a loop. */
bool scram_check_password(const char *verifier, struct slice password);

#endif
