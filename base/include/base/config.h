/*
 * The server's configuration, from YAML (config/sherd.yaml documents every key). An unknown key, a
 * value of the wrong type or out of range is refused with file, line and what is expected.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/slice.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define CONFIG_PEERS_MAX 64

struct config_peer { /* one server of the first cluster */
    uint64_t node_id;
    char *host;
    uint16_t grpc_port;
    uint16_t raft_port;
};

struct config {
    char *cluster_name;
    uint64_t node_id; /* 1.. */
    char *host;       /* address the others reach this node at */
    char *listen;     /* address to bind, default = host */
    char *data_dir;
    char *log_dir;  /* default <data_dir>/log */
    char *logger;   /* path of logger.yaml or NULL */
    char *locality; /* "region=...,zone=..." or "" */
    bool role_metadata, role_shard, role_router;
    uint16_t sql_port, grpc_port, raft_port, http_port;
    struct config_peer
        peers[CONFIG_PEERS_MAX]; /* cluster.initial: forms the cluster at first start */
    int peer_count;
    char *join;          /* host:grpc_port of any node: join an existing cluster instead; or NULL */
    char *auth;          /* "trust" (loopback only) or "scram" */
    char *password_file; /* sql.password_file or NULL */
    char *password; /* its first line: the superuser's password, or a SCRAM verifier; or NULL */
    uint32_t heartbeat_ms, election_ms;
    uint32_t replace_after_s; /* a node dead so long: its replicas are made anew elsewhere */
    uint32_t gc_ttl_s;
    uint32_t shard_max_mb; /* split above this size */
    uint32_t reserve_mb;   /* less free disk space: no new rows */
    uint32_t sql_connections_max;
    uint32_t cache_mb, write_buffer_mb;
    uint32_t statement_mb; /* largest SQL text */
    uint32_t workspace_mb; /* largest write set of a transaction */
    uint32_t transaction_locks;
};

struct status *config_load(const char *path, struct config **out_config) STATUS_MUST_CHECK;
/* The same from memory, and without reading sql.password_file; errors call it `name`. For tests and
 * fuzzing. */
struct status *config_parse(const char *name, struct slice text,
                            struct config **out_config) STATUS_MUST_CHECK;
/* --dev: all roles, one node, loopback. data_dir NULL: a temporary directory. */
struct status *config_dev(const char *data_dir, uint16_t sql_port,
                          struct config **out_config) STATUS_MUST_CHECK;
void config_free(struct config *c);

#endif
