/*
 * `struct status` and the message sherd.v1.Error, one to one. The message rides in every failed
 * reply between nodes and in the details of a gRPC status.
 */
#ifndef API_STATUS_PB_H
#define API_STATUS_PB_H

#include "base/buf.h"
#include "base/status.h"
#include "sherd/v1/common.pb-c.h"

/* *out borrows st's texts: pack it before st is freed. */
void status_to_error(const struct status *st, Sherd__V1__Error *out);
/* Never NULL: an error that makes no sense (unknown code, no SQLSTATE) becomes INTERNAL and keeps
 * its message. */
struct status *status_from_error(const Sherd__V1__Error *e) STATUS_MUST_CHECK;

/* The packed Error with every text cut to text_max bytes, for places of limited size. */
void status_pack_error(const struct status *st, size_t text_max, struct buf *out);

/*
 * gRPC's trailing metadata "grpc-status-details-bin": a google.rpc.Status {1 code, 2 message,
 * 3 details: [Any {1 type url, 2 sherd.v1.Error}]}, so that stock clients find our error with their
 * usual tools. Texts are cut to keep it far below gRPC's metadata limit of 8 kB.
 */
#define STATUS_DETAILS_KEY "grpc-status-details-bin"
void status_pack_details(const struct status *st, struct buf *out);
/* Our error in such bytes; NULL when there is none (then the gRPC status spoke itself). */
struct status *status_from_details(const uint8_t *data, size_t len) STATUS_MUST_CHECK;

/* An error that gRPC itself raised: `grpc_code` and its text, without an Error beside it. */
struct status *status_from_grpc(int grpc_code, const char *text, size_t text_len) STATUS_MUST_CHECK;

#endif
