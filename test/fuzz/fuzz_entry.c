/* Log entries of a shard: the operations that come out, put in again, are the same operations. */
#include "entry.h"
#include "fuzz.h"

static bool write_again(struct slice data, struct buf *out)
{
    struct entry_reader er;
    struct entry_op op;
    bool more = true;
    if (fuzz_refused(entry_open(&er, data))) {
        return false;
    }
    entry_begin(out);
    for (;;) {
        if (fuzz_refused(entry_next(&er, &op, &more))) {
            return false;
        }
        if (!more) {
            return true;
        }
        switch (op.kind) {
        case 'V':
        case 'U':
            entry_put_version(out, op.key, op.ts, mvcc_flags(op.is_tombstone, op.is_moved),
                              op.value, op.kind == 'U' ? &op.displaced : NULL);
            break;
        case 'P':
            entry_put(out, op.key, op.value);
            break;
        case 'D':
            entry_delete(out, op.key);
            break;
        case 'A':
            entry_put_outcome(out, op.id, op.attempt, op.ts);
            break;
        default:
            ASSERT(op.kind == 'M');
            entry_put_merge(out, op.id, op.attempt, op.ts);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first = {0}, second = {0};
    if (write_again(slice_make(data, size), &first)) {
        ASSERT(write_again(buf_slice(&first), &second));
        ASSERT(slice_eq(buf_slice(&first), buf_slice(&second)));
    }
    buf_deinit(&first);
    buf_deinit(&second);
    return 0;
}
