/* What a timestamp of the oracle looks like: milliseconds of the wall clock << 20 | a counter. */
#ifndef METADATA_TIMESTAMPS_H
#define METADATA_TIMESTAMPS_H

#include <stdint.h>

#define TSO_COUNTER_BITS 20

static inline uint64_t tso_of_wall(int64_t wall_ms)
{
    return (uint64_t)(wall_ms < 0 ? 0 : wall_ms) << TSO_COUNTER_BITS;
}
static inline int64_t tso_wall_ms(uint64_t ts)
{
    return (int64_t)(ts >> TSO_COUNTER_BITS);
}

#endif
