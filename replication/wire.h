/*
 * The messages between nodes: one envelope carries items of many groups.
 *
 *   envelope   version u8 = 1 | sender's incarnation u64 | item *
 *   item       kind u8 | body length u32 | body
 *   body       group u64 | from replica u64 | to replica u64 | fields of the kind     (BEAT: empty)
 *   entry      term u64 | type u8 | payload length u32 | payload
 *
 * Integers are big-endian. Nothing here trusts a length: wire_next() checks an item wholly before
 * it hands it out, so that no bytes of a peer can make the library (which checks nothing)
 * misbehave. Decoded messages borrow from the envelope.
 *
 * The payload of a COMMAND entry, in the log as on the wire, is
 *   data length u32 | zero u32 | data | zeros up to a multiple of 8
 * because the library wants lengths that are multiples of 8 and the data has any length.
 */
#ifndef REPLICATION_WIRE_H
#define REPLICATION_WIRE_H

#include "roster.h"

#include "base/buf.h"

#define WIRE_VERSION 1
#define WIRE_ENVELOPE_HEADER 9
#define WIRE_ITEM_HEADER 5
#define WIRE_ENTRY_HEADER 13
/* Largest item: one entry of ENTRY_DATA_MAX, or an install chunk. */
#define WIRE_ITEM_MAX ((size_t)24 << 20)

/* kind, number, what it is */
#define WIRE_KINDS(X)                                                                              \
    X(APPEND, 1, "entries or a heartbeat of a leader")                                             \
    X(APPEND_RESULT, 2, "answer to it")                                                            \
    X(VOTE, 3, "a candidate asks for a vote or a pre-vote")                                        \
    X(VOTE_RESULT, 4, "answer to it")                                                              \
    X(TIMEOUT_NOW, 5, "the leader hands over: start an election")                                  \
    X(PING, 6, "a leader asks whether it still is: read barriers")                                 \
    X(PONG, 7, "answer to it")                                                                     \
    X(QUIESCE, 8, "an idle group may sleep behind the beats of the leader's node")                 \
    X(INSTALL_BEGIN, 9, "offers a snapshot")                                                       \
    X(INSTALL_CHUNK, 10, "a part of its state")                                                    \
    X(INSTALL_ACK, 11, "asks for the next parts, or refuses")                                      \
    X(BEAT, 12, "the node lives")

enum wire_kind {
#define X(name, number, text) WIRE_##name = number,
    WIRE_KINDS(X)
#undef X
};

struct wire_append {
    uint64_t term, prev_index, prev_term, commit;
    uint64_t stamp_ns; /* the leader's clock when it was sent: leases */
    unsigned entry_count;
    struct slice entries; /* encoded and checked: wire_entry_next() */
};
struct wire_append_result {
    uint64_t term, rejected, last_index;
    uint64_t echo_ns; /* stamp_ns of the message that it answers; 0 = none */
};
struct wire_vote {
    uint64_t term, last_index, last_term;
    bool disrupt_leader, pre_vote;
};
struct wire_vote_result {
    uint64_t term;
    bool granted;
    uint8_t pre_vote; /* raft_tribool */
};
struct wire_timeout_now {
    uint64_t term, last_index, last_term;
};
struct wire_ping {
    uint64_t term, sequence, stamp_ns;
};
struct wire_quiesce {
    uint64_t term, last_index, commit;
};
struct wire_install_begin {
    uint64_t session, term;
    uint64_t index, last_term; /* of the snapshot */
    uint64_t conf_index;
    struct roster conf;
    uint64_t checksum; /* group_checksum() at index */
    uint64_t stamp_ns;
    unsigned range_count;
    struct slice ranges; /* range_count times start bytes, end bytes: wire_range_next() */
};
struct wire_install_chunk {
    uint64_t session, sequence; /* 1, 2, ... */
    bool is_last;
    struct slice pairs; /* key bytes, value bytes, ...: checked against a checksum */
};
enum wire_install_verdict {
    WIRE_INSTALL_CONTINUE, /* all up to `sequence` is written: send on */
    WIRE_INSTALL_DONE,     /* installed */
    WIRE_INSTALL_REFUSED,  /* not needed, or the session is unknown or over */
};
struct wire_install_ack {
    uint64_t session, sequence;
    uint8_t verdict;
};

struct wire_message {
    enum wire_kind kind;
    uint64_t group, from, to;
    union {
        struct wire_append append;
        struct wire_append_result append_result;
        struct wire_vote vote;
        struct wire_vote_result vote_result;
        struct wire_timeout_now timeout_now;
        struct wire_ping ping; /* PONG too */
        struct wire_quiesce quiesce;
        struct wire_install_begin install_begin;
        struct wire_install_chunk install_chunk;
        struct wire_install_ack install_ack;
    };
};

struct wire_entry {
    uint64_t term;
    uint8_t type;
    struct slice payload;
};

/* ---- writing ---- */

void wire_start(struct buf *b, uint64_t incarnation);
/* Appends one item. APPEND: entries come from the array, m->append.entries is ignored. */
void wire_put(struct buf *b, const struct wire_message *m, const struct raft_entry *entries);

/* ---- reading ---- */

struct wire_reader {
    struct reader r;
    uint64_t incarnation;
};

/* CORRUPT when it is no envelope of this version. */
struct status *wire_open(struct wire_reader *wr, struct slice envelope) STATUS_MUST_CHECK;
/* *out_more false: that was all. CORRUPT: the rest cannot be trusted. */
struct status *wire_next(struct wire_reader *wr, struct wire_message *out,
                         bool *out_more) STATUS_MUST_CHECK;
/* All of an envelope, for the fuzzer and tests: NULL when every item is sound. */
struct status *wire_decode(struct slice envelope, size_t *out_items) STATUS_MUST_CHECK;
/* r is over checked bytes (append.entries, install_begin.ranges, install_chunk.pairs); false: end.
 */
bool wire_entry_next(struct reader *r, struct wire_entry *out);
bool wire_pair_next(struct reader *r, struct slice *out_a, struct slice *out_b);
const char *wire_kind_name(enum wire_kind kind);

/* ---- entries ---- */

#define ENTRY_DATA_MAX ((size_t)16 << 20)
#define ENTRY_HEADER 8

static inline size_t entry_wrapped_size(size_t data_len)
{
    return ENTRY_HEADER + ((data_len + 7) & ~(size_t)7);
}
/* payload has entry_wrapped_size(data.len) bytes. */
void entry_wrap(uint8_t *payload, struct slice data);
/* False when the payload is not what entry_wrap() writes. */
bool entry_unwrap(struct slice payload, struct slice *out_data);
/* Whether a log entry from outside may be shown to the library. */
bool entry_is_sound(unsigned type, struct slice payload);

#endif
