/*
 * The read-timestamp cache of a leader: up to which timestamp has a key been read? A commit below
 * that is refused (P3). Too high is safe, too low never: so it is bounded by giving up precision,
 * never by forgetting (R1, PROTOCOL section 1 "rtc").
 *
 * Points go to hash buckets that hold a maximum, ranges to disjoint segments ordered by key;
 * `floor` is under everything and starts at the term's `low`. When there are too many segments
 * those read longest ago are given up by raising the floor over them.
 */
#ifndef SHARD_RTC_H
#define SHARD_RTC_H

#include "keymap.h"

struct rtc {
    uint64_t floor;
    uint64_t *buckets; /* power of two, grows while in use; NULL = none yet */
    uint32_t bucket_count;
    uint32_t raises;        /* since the last growth */
    struct keymap segments; /* struct rtc_segment by start; each reaches to the next one's start */
    uint32_t segment_max;
};

void rtc_init(struct rtc *r, uint64_t floor);
void rtc_deinit(struct rtc *r);
void rtc_raise_floor(struct rtc *r, uint64_t ts);
void rtc_raise_point(struct rtc *r, struct slice key, uint64_t ts);
/* [start, end); an empty end reaches to the last key. */
void rtc_raise_range(struct rtc *r, struct slice start, struct slice end, uint64_t ts);
uint64_t rtc_get(const struct rtc *r, struct slice key);

#endif
