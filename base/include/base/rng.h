/* xoshiro256** by Blackman and Vigna, seeded by splitmix64: small, fast, replayable. Not for keys.
 */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* 0 .. n-1, unbiased enough for tests; n > 0 */

#endif
