/* Types by number, for targets that let an input choose one. */
#ifndef TEST_FUZZ_SQL_PICK_H
#define TEST_FUZZ_SQL_PICK_H

#include "sql/types.h"

/* Never a pseudo-type; arrays included. */
static inline const struct type_info *pick_type(uint8_t choice)
{
    static const struct type_info *real[128];
    static size_t count;
    if (count == 0) {
        const struct type_info *all[128];
        size_t n = type_all(all, 128);
        for (size_t i = 0; i < n; i++) {
            if (all[i]->category != 'P' && all[i]->category != 'X') {
                real[count++] = all[i];
            }
        }
    }
    return real[choice % count];
}

#endif
