/* Types for targets that let an input choose one: an oid if there is such a type, else a place in
 * the list of them, so that seeds keep their meaning when types are added. */
#ifndef TEST_FUZZ_SQL_PICK_H
#define TEST_FUZZ_SQL_PICK_H

#include "sql/types.h"

/* Never a pseudo-type; arrays included. */
static inline const struct type_info *pick_type(uint16_t choice)
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
    for (size_t i = 0; i < count; i++) {
        if (real[i]->oid == choice) {
            return real[i];
        }
    }
    return real[choice % count];
}

#endif
