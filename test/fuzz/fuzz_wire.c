/* Messages between replicas, and what is inside: entries, ranges, pairs, configurations. */
#include "fuzz.h"
#include "wire.h"

static void walk_entries(struct slice entries, unsigned count)
{
    struct reader r;
    struct wire_entry e;
    unsigned n = 0;
    reader_init(&r, entries);
    while (wire_entry_next(&r, &e)) {
        struct slice data;
        ASSERT(entry_is_sound(e.type, e.payload));
        if (e.type == RAFT_COMMAND) {
            ASSERT(entry_unwrap(e.payload, &data));
            ASSERT(entry_wrapped_size(data.len) == e.payload.len);
        }
        n++;
    }
    ASSERT(reader_ok(&r) && reader_left(&r) == 0 && n == count);
}

static void walk_pairs(struct slice pairs)
{
    struct reader r;
    struct slice x, y;
    reader_init(&r, pairs);
    while (wire_pair_next(&r, &x, &y)) {
        ASSERT(x.len + y.len <= pairs.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice bytes = slice_make(data, size), unwrapped;
    struct wire_reader wr;
    struct wire_message m;
    struct roster c;
    size_t items = 0, seen = 0;
    bool is_sound = !fuzz_refused(wire_decode(bytes, &items)), more = true;
    if (!fuzz_refused(wire_open(&wr, bytes))) {
        while (more && !fuzz_refused(wire_next(&wr, &m, &more))) {
            if (!more) {
                ASSERT(is_sound && seen == items);
                break;
            }
            seen++;
            (void)wire_kind_name(m.kind);
            if (m.kind == WIRE_APPEND) {
                walk_entries(m.append.entries, m.append.entry_count);
            } else if (m.kind == WIRE_INSTALL_BEGIN) {
                walk_pairs(m.install_begin.ranges);
                ASSERT(m.install_begin.conf.count <= ROSTER_MEMBERS_MAX);
            } else if (m.kind == WIRE_INSTALL_CHUNK) {
                walk_pairs(m.install_chunk.pairs);
            }
        }
    }
    if (roster_decode(bytes, &c)) {
        struct buf again = {0};
        struct roster copy;
        ASSERT(c.count > 0 && c.count <= ROSTER_MEMBERS_MAX);
        roster_encode(&c, &again);
        ASSERT(roster_decode(buf_slice(&again), &copy) && roster_equal(&c, &copy));
        buf_deinit(&again);
    }
    (void)entry_unwrap(bytes, &unwrapped);
    return 0;
}
