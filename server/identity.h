/*
 * The identity of a data directory: which cluster and node it belongs to. One small text file,
 * written by replacement (temporary file, fsync, rename, directory fsync), so that it is always
 * whole.
 */
#ifndef SERVER_IDENTITY_H
#define SERVER_IDENTITY_H

#include "base/config.h"
#include "base/status.h"

#include <stdint.h>

#define IDENTITY_FORMAT 3

struct identity {
    uint64_t node_id;
    uint64_t nonce;      /* drawn when the directory was made: names the disk */
    uint64_t cluster_id; /* 0: no cluster yet */
    bool is_member;      /* first content is written: never form again */
    char cluster_name[64];
    int formed_count; /* the disks that formed the cluster, when this one was among them */
    struct {
        uint64_t node_id, nonce;
    } formed[CONFIG_PEERS_MAX];
    int peer_count; /* of a node that joined: where metadata is, for a start without its help */
    struct identity_peer {
        uint64_t node_id;
        char host[256];
        uint16_t grpc_port, raft_port;
    } peers[CONFIG_PEERS_MAX];
};

/* Makes the directory when it is not there and checks that it can be written. Reads its identity,
 * or draws a new one (nonce) and writes it. INVALID for a newer format; CORRUPT for a damaged file.
 */
struct status *identity_load(const char *data_dir, uint64_t nonce,
                             struct identity *out) STATUS_MUST_CHECK;
struct status *identity_save(const char *data_dir, const struct identity *id) STATUS_MUST_CHECK;

#endif
