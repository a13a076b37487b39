/*
 * Replica configurations: who is a member of a group, decoded, and their history.
 *
 * The library keeps a configuration as an array of (id, address, role) and encodes it into the log
 * without checking lengths when it reads it back. Here it is a plain value with a bounds-checked
 * decoder, so that bytes from disk or network are judged before the library sees them.
 *
 * The history holds every configuration entry of a group's log with its index: rules 8, 9 and 26
 * and the reports of committed configurations need to know which one was in force at an index, and
 * the library only knows the newest.
 */
#ifndef REPLICATION_ROSTER_H
#define REPLICATION_ROSTER_H

#include "base/buf.h"
#include "replication/group.h"

#include <raft.h>

#define ROSTER_MEMBERS_MAX 16
#define ROSTER_ADDRESS_SIZE 48

struct roster_member {
    uint64_t replica_id;
    uint64_t node_id;
    int role; /* RAFT_VOTER, RAFT_STANDBY, RAFT_SPARE */
};

struct roster {
    unsigned count;
    struct roster_member members[ROSTER_MEMBERS_MAX];
};

/* An address is "node/replica": unique within a configuration, and tells where to send. */
void roster_address_format(char out[ROSTER_ADDRESS_SIZE], uint64_t node_id, uint64_t replica_id);
bool roster_address_parse(const char *address, uint64_t *out_node_id);

/* The library's own encoding: version u8 = 1, count u64 LE, then per member id u64 LE, address,
 * NUL, role u8; padded with zeros to a multiple of 8. */
void roster_encode(const struct roster *c, struct buf *out);
/* False for anything that is not a well-formed configuration of 1 .. ROSTER_MEMBERS_MAX members. */
bool roster_decode(struct slice bytes, struct roster *out);

void roster_from_raft(const struct raft_configuration *rc, struct roster *out);
/* Memory is the library's (raft_configuration_close). */
void roster_to_raft(const struct roster *c, struct raft_configuration *out);

const struct roster_member *roster_find(const struct roster *c, uint64_t replica_id);
unsigned roster_voter_count(const struct roster *c);
bool roster_is_voter(const struct roster *c, uint64_t replica_id);
bool roster_is_sole_voter(const struct roster *c, uint64_t replica_id);
bool roster_equal(const struct roster *a, const struct roster *b);

struct roster_at {
    uint64_t index; /* of the log entry */
    struct roster conf;
};

struct roster_history {
    struct roster_at *items; /* ascending by index */
    size_t count;
    size_t capacity;
};

void roster_history_deinit(struct roster_history *h);
void roster_history_push(struct roster_history *h, uint64_t index, const struct roster *c);
void roster_history_truncate(struct roster_history *h, uint64_t from_index);
/* Forgets what no lookup at or above `index` can return. */
void roster_history_trim(struct roster_history *h, uint64_t index);
/* The newest at or below the index, or NULL. */
const struct roster_at *roster_history_at(const struct roster_history *h, uint64_t index);
uint64_t roster_history_last_index(const struct roster_history *h); /* 0 = none */

#endif
