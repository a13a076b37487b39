/* See log_fsm.h. */
#include "log_fsm.h"

#include "base/check.h"
#include "base/store.h"

static struct log_fsm *self(struct group_fsm *fsm)
{
    return CONTAINER_OF(fsm, struct log_fsm, fsm);
}

static void apply(struct group_fsm *fsm, const struct group_entry *entries, size_t count,
                  struct store_batch *batch)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t key[9] = {'d'};
        set_u64(key + 1, entries[i].index);
        store_batch_put(batch, slice_make(key, sizeof key), entries[i].data);
    }
    self(fsm)->applied += count;
}

static size_t ranges(struct group_fsm *fsm, struct key_range *out, size_t max)
{
    (void)fsm;
    ASSERT(max > 0);
    buf_put_u8(&out[0].start, 'd');
    buf_put_u8(&out[0].end, 'e');
    return 1;
}

static void reloaded(struct group_fsm *fsm)
{
    self(fsm)->reloaded++;
}

static void config_changed(struct group_fsm *fsm, const struct group_replica *replicas,
                           size_t count)
{
    (void)replicas;
    (void)count;
    self(fsm)->configs++;
}

void log_fsm_init(struct log_fsm *m)
{
    *m = (struct log_fsm){.fsm = {.apply = apply,
                                  .ranges = ranges,
                                  .reloaded = reloaded,
                                  .config_changed = config_changed}};
}
