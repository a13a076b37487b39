/*
 * Fuzz target: everything of replication/ that decodes bytes of a peer or a disk. Accepted input is
 * read to its end, as the receiver would, so that the sanitizer sees any overrun.
 */
#include "wire.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_message(const struct wire_message *m)
{
    struct reader r;
    struct wire_entry e;
    struct slice a;
    struct slice b;
    if (m->kind == WIRE_APPEND) {
        reader_init(&r, m->append.entries);
        for (unsigned i = 0; i < m->append.entry_count; i++) {
            if (!wire_entry_next(&r, &e) || !entry_is_sound(e.type, e.payload)) {
                __builtin_trap(); /* accepted, and not what was promised */
            }
        }
    } else if (m->kind == WIRE_INSTALL_CHUNK) {
        reader_init(&r, m->install_chunk.pairs);
        while (wire_pair_next(&r, &a, &b)) {
        }
    } else if (m->kind == WIRE_INSTALL_BEGIN) {
        reader_init(&r, m->install_begin.ranges);
        while (wire_pair_next(&r, &a, &b)) {
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_reader wr;
    struct wire_message m;
    struct roster roster;
    bool more = true;
    struct status *st = wire_open(&wr, slice_make(data, size));
    while (st == NULL && more) {
        st = wire_next(&wr, &m, &more);
        if (st == NULL && more) {
            read_message(&m);
        }
    }
    status_free(st);
    (void)roster_decode(slice_make(data, size), &roster);
    return 0;
}
