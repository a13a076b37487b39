/*
 * The codec of wire.h. Writing is unchecked (the data is ours), reading checks everything.
 */
#include "wire.h"

#include "base/check.h"

#include <xxhash.h>

void wire_start(struct buf *b, uint64_t incarnation)
{
    buf_put_u8(b, WIRE_VERSION);
    buf_put_u64(b, incarnation);
}

static void put_append(struct buf *b, const struct wire_append *a, const struct raft_entry *entries)
{
    buf_put_u64(b, a->term);
    buf_put_u64(b, a->prev_index);
    buf_put_u64(b, a->prev_term);
    buf_put_u64(b, a->commit);
    buf_put_u64(b, a->stamp_ns);
    buf_put_u32(b, a->entry_count);
    for (unsigned i = 0; i < a->entry_count; i++) {
        const struct raft_entry *e = &entries[i];
        uint8_t *p = buf_extend(b, WIRE_ENTRY_HEADER + e->buf.len);
        set_u64(p, e->term);
        p[8] = (uint8_t)e->type;
        set_u32(p + 9, (uint32_t)e->buf.len);
        memcpy(p + WIRE_ENTRY_HEADER, e->buf.base, e->buf.len);
    }
}

static void put_install_begin(struct buf *b, const struct wire_install_begin *m)
{
    struct buf conf = {NULL, 0, 0};
    roster_encode(&m->conf, &conf);
    buf_put_u64(b, m->session);
    buf_put_u64(b, m->term);
    buf_put_u64(b, m->index);
    buf_put_u64(b, m->last_term);
    buf_put_u64(b, m->conf_index);
    buf_put_u64(b, m->checksum);
    buf_put_u64(b, m->stamp_ns);
    buf_put_bytes(b, buf_slice(&conf));
    buf_put_u32(b, m->range_count);
    buf_put_slice(b, m->ranges);
    buf_deinit(&conf);
}

static void put_body(struct buf *b, const struct wire_message *m, const struct raft_entry *entries)
{
    switch (m->kind) {
    case WIRE_APPEND:
        put_append(b, &m->append, entries);
        break;
    case WIRE_APPEND_RESULT:
        buf_put_u64(b, m->append_result.term);
        buf_put_u64(b, m->append_result.rejected);
        buf_put_u64(b, m->append_result.last_index);
        buf_put_u64(b, m->append_result.echo_ns);
        break;
    case WIRE_VOTE:
        buf_put_u64(b, m->vote.term);
        buf_put_u64(b, m->vote.last_index);
        buf_put_u64(b, m->vote.last_term);
        buf_put_u8(b, m->vote.disrupt_leader);
        buf_put_u8(b, m->vote.pre_vote);
        break;
    case WIRE_VOTE_RESULT:
        buf_put_u64(b, m->vote_result.term);
        buf_put_u8(b, m->vote_result.granted);
        buf_put_u8(b, m->vote_result.pre_vote);
        break;
    case WIRE_TIMEOUT_NOW:
        buf_put_u64(b, m->timeout_now.term);
        buf_put_u64(b, m->timeout_now.last_index);
        buf_put_u64(b, m->timeout_now.last_term);
        break;
    case WIRE_PING:
    case WIRE_PONG:
        buf_put_u64(b, m->ping.term);
        buf_put_u64(b, m->ping.sequence);
        buf_put_u64(b, m->ping.stamp_ns);
        break;
    case WIRE_QUIESCE:
        buf_put_u64(b, m->quiesce.term);
        buf_put_u64(b, m->quiesce.last_index);
        buf_put_u64(b, m->quiesce.commit);
        break;
    case WIRE_INSTALL_BEGIN:
        put_install_begin(b, &m->install_begin);
        break;
    case WIRE_INSTALL_CHUNK:
        buf_put_u64(b, m->install_chunk.session);
        buf_put_u64(b, m->install_chunk.sequence);
        buf_put_u8(b, m->install_chunk.is_last);
        buf_put_u64(b, XXH3_64bits(m->install_chunk.pairs.data, m->install_chunk.pairs.len));
        buf_put_slice(b, m->install_chunk.pairs);
        break;
    case WIRE_INSTALL_ACK:
        buf_put_u64(b, m->install_ack.session);
        buf_put_u64(b, m->install_ack.sequence);
        buf_put_u8(b, m->install_ack.verdict);
        break;
    case WIRE_BEAT:
        break;
    }
}

void wire_put(struct buf *b, const struct wire_message *m, const struct raft_entry *entries)
{
    size_t start = b->len;
    buf_put_u8(b, (uint8_t)m->kind);
    buf_put_u32(b, 0);
    if (m->kind != WIRE_BEAT) {
        buf_put_u64(b, m->group);
        buf_put_u64(b, m->from);
        buf_put_u64(b, m->to);
    }
    put_body(b, m, entries);
    size_t len = b->len - start - WIRE_ITEM_HEADER;
    ASSERT(len <= WIRE_ITEM_MAX);
    set_u32(b->data + start + 1, (uint32_t)len);
}

/* ---- reading ---- */

struct status *wire_open(struct wire_reader *wr, struct slice envelope)
{
    reader_init(&wr->r, envelope);
    uint8_t version = read_u8(&wr->r);
    wr->incarnation = read_u64(&wr->r);
    if (!reader_ok(&wr->r) || version != WIRE_VERSION) {
        return status_new(CORRUPT, "raft envelope: not of version %d", WIRE_VERSION);
    }
    return NULL;
}

static bool read_bool(struct reader *r)
{
    uint8_t v = read_u8(r);
    if (v > 1) {
        r->failed = true;
    }
    return v == 1;
}

bool wire_entry_next(struct reader *r, struct wire_entry *out)
{
    if (reader_left(r) == 0) {
        return false;
    }
    out->term = read_u64(r);
    out->type = read_u8(r);
    out->payload = read_raw(r, read_u32(r));
    return reader_ok(r);
}

bool wire_pair_next(struct reader *r, struct slice *out_a, struct slice *out_b)
{
    if (reader_left(r) == 0) {
        return false;
    }
    *out_a = read_bytes(r);
    *out_b = read_bytes(r);
    return reader_ok(r);
}

static bool read_append(struct reader *r, struct wire_append *a)
{
    a->term = read_u64(r);
    a->prev_index = read_u64(r);
    a->prev_term = read_u64(r);
    a->commit = read_u64(r);
    a->stamp_ns = read_u64(r);
    a->entry_count = read_u32(r);
    if (!reader_ok(r) || a->term == 0 || (a->prev_index == 0) != (a->prev_term == 0) ||
        a->prev_term > a->term || a->entry_count > reader_left(r) / WIRE_ENTRY_HEADER ||
        a->prev_index > UINT64_MAX - a->entry_count - 1) {
        return false;
    }
    a->entries = slice_make(r->pos, reader_left(r));
    uint64_t term = a->prev_term ? a->prev_term : 1;
    for (unsigned i = 0; i < a->entry_count; i++) {
        struct wire_entry e;
        /* Terms in a log never go down, and none is above the leader's. */
        if (!wire_entry_next(r, &e) || e.term < term || e.term > a->term ||
            !entry_is_sound(e.type, e.payload)) {
            return false;
        }
        term = e.term;
    }
    return true;
}

static bool read_pairs(struct slice bytes, unsigned *out_count)
{
    struct reader r;
    struct slice a;
    struct slice b;
    reader_init(&r, bytes);
    unsigned n = 0;
    while (wire_pair_next(&r, &a, &b)) {
        n++;
    }
    *out_count = n;
    return reader_ok(&r);
}

static bool read_install_begin(struct reader *r, struct wire_install_begin *m)
{
    m->session = read_u64(r);
    m->term = read_u64(r);
    m->index = read_u64(r);
    m->last_term = read_u64(r);
    m->conf_index = read_u64(r);
    m->checksum = read_u64(r);
    m->stamp_ns = read_u64(r);
    struct slice conf = read_bytes(r);
    m->range_count = read_u32(r);
    if (!reader_ok(r) || !roster_decode(conf, &m->conf) || m->term == 0 || m->index == 0 ||
        m->last_term == 0 || m->last_term > m->term || m->conf_index == 0 ||
        m->conf_index > m->index) {
        return false;
    }
    m->ranges = read_raw(r, reader_left(r));
    unsigned count;
    return read_pairs(m->ranges, &count) && count == m->range_count;
}

static bool read_install_chunk(struct reader *r, struct wire_install_chunk *m)
{
    m->session = read_u64(r);
    m->sequence = read_u64(r);
    m->is_last = read_bool(r);
    uint64_t sum = read_u64(r);
    m->pairs = read_raw(r, reader_left(r));
    unsigned count;
    return reader_ok(r) && XXH3_64bits(m->pairs.data, m->pairs.len) == sum &&
           read_pairs(m->pairs, &count);
}

static bool read_body(struct reader *r, struct wire_message *m)
{
    switch (m->kind) {
    case WIRE_APPEND:
        return read_append(r, &m->append);
    case WIRE_APPEND_RESULT:
        m->append_result.term = read_u64(r);
        m->append_result.rejected = read_u64(r);
        m->append_result.last_index = read_u64(r);
        m->append_result.echo_ns = read_u64(r);
        return m->append_result.last_index < UINT64_MAX;
    case WIRE_VOTE:
        m->vote.term = read_u64(r);
        m->vote.last_index = read_u64(r);
        m->vote.last_term = read_u64(r);
        m->vote.disrupt_leader = read_bool(r);
        m->vote.pre_vote = read_bool(r);
        return m->vote.term > 0;
    case WIRE_VOTE_RESULT:
        m->vote_result.term = read_u64(r);
        m->vote_result.granted = read_bool(r);
        m->vote_result.pre_vote = read_u8(r);
        return m->vote_result.pre_vote <= raft_tribool_false;
    case WIRE_TIMEOUT_NOW:
        m->timeout_now.term = read_u64(r);
        m->timeout_now.last_index = read_u64(r);
        m->timeout_now.last_term = read_u64(r);
        return m->timeout_now.term > 0;
    case WIRE_PING:
    case WIRE_PONG:
        m->ping.term = read_u64(r);
        m->ping.sequence = read_u64(r);
        m->ping.stamp_ns = read_u64(r);
        return true;
    case WIRE_QUIESCE:
        m->quiesce.term = read_u64(r);
        m->quiesce.last_index = read_u64(r);
        m->quiesce.commit = read_u64(r);
        return true;
    case WIRE_INSTALL_BEGIN:
        return read_install_begin(r, &m->install_begin);
    case WIRE_INSTALL_CHUNK:
        return read_install_chunk(r, &m->install_chunk);
    case WIRE_INSTALL_ACK:
        m->install_ack.session = read_u64(r);
        m->install_ack.sequence = read_u64(r);
        m->install_ack.verdict = read_u8(r);
        return m->install_ack.verdict <= WIRE_INSTALL_REFUSED;
    case WIRE_BEAT:
        return true;
    }
    return false;
}

struct status *wire_next(struct wire_reader *wr, struct wire_message *out, bool *out_more)
{
    if (reader_left(&wr->r) == 0) {
        *out_more = false;
        return NULL;
    }
    uint8_t kind = read_u8(&wr->r);
    uint32_t len = read_u32(&wr->r);
    struct reader body;
    reader_init(&body, read_raw(&wr->r, len));
    if (!reader_ok(&wr->r) || len > WIRE_ITEM_MAX) {
        return status_new(CORRUPT, "raft envelope: truncated item");
    }
    if (kind < WIRE_APPEND || kind > WIRE_BEAT) {
        return status_new(CORRUPT, "raft envelope: unknown item %u", kind);
    }
    memset(out, 0, sizeof *out);
    out->kind = (enum wire_kind)kind;
    if (out->kind != WIRE_BEAT) {
        out->group = read_u64(&body);
        out->from = read_u64(&body);
        out->to = read_u64(&body);
    }
    bool is_sound = read_body(&body, out);
    if (out->kind != WIRE_BEAT && (out->from == 0 || out->to == 0)) {
        is_sound = false;
    }
    if (!is_sound || !reader_ok(&body) || reader_left(&body) != 0) {
        return status_new(CORRUPT, "raft envelope: damaged %s", wire_kind_name(out->kind));
    }
    *out_more = true;
    return NULL;
}

struct status *wire_decode(struct slice envelope, size_t *out_items)
{
    struct wire_reader wr;
    struct wire_message m;
    bool more = true;
    *out_items = 0;
    TRY(wire_open(&wr, envelope));
    for (;;) {
        TRY(wire_next(&wr, &m, &more));
        if (!more) {
            return NULL;
        }
        ++*out_items;
    }
}

const char *wire_kind_name(enum wire_kind kind)
{
    switch (kind) {
#define X(name, number, text)                                                                      \
    case WIRE_##name:                                                                              \
        return #name;
        WIRE_KINDS(X)
#undef X
    }
    return "?";
}

/* ---- entries ---- */

void entry_wrap(uint8_t *payload, struct slice data)
{
    size_t size = entry_wrapped_size(data.len);
    memset(payload + size - 8, 0, 8); /* the padding, before the data goes over it */
    set_u32(payload, (uint32_t)data.len);
    set_u32(payload + 4, 0);
    if (data.len > 0) {
        memcpy(payload + ENTRY_HEADER, data.data, data.len);
    }
}

bool entry_unwrap(struct slice payload, struct slice *out_data)
{
    if (payload.len < ENTRY_HEADER) {
        return false;
    }
    size_t len = get_u32(payload.data);
    if (len > ENTRY_DATA_MAX || entry_wrapped_size(len) != payload.len) {
        return false;
    }
    *out_data = slice_make(payload.data + ENTRY_HEADER, len);
    return true;
}

bool entry_is_sound(unsigned type, struct slice payload)
{
    struct slice data;
    struct roster conf;
    switch (type) {
    case RAFT_COMMAND:
        return entry_unwrap(payload, &data);
    case RAFT_BARRIER:
        return payload.len == 8;
    case RAFT_CHANGE:
        return roster_decode(payload, &conf);
    default:
        return false;
    }
}
