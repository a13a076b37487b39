/*
 * Walking the spans of a fragment at a timestamp, chunk by chunk: candidates (key and bytes) from
 * versions and own writes, and where to go on. One chunk is gathered in one turn, so no iterator
 * survives a park; the position does.
 */
#ifndef SHARD_SCAN_H
#define SHARD_SCAN_H

#include "part.h"

struct scan_chunk {
    int count, cap;
    struct slice *keys; /* data keys as found in the index */
    struct slice *rows; /* their bytes */
    struct slice *pks;  /* key of the row: = keys for the primary index */
    int *spans;         /* which span each comes from */
};

struct scan {
    struct part *part;
    const struct work *work; /* own writes; or NULL */
    const struct fragment *fr;
    uint64_t ts;
    int span; /* the one being walked; -1 or nspans at the end */
    bool has_pos;
    struct buf pos; /* forward: the next key at or above; reverse: below this one */
    uint64_t seen;  /* keys looked at */
};

/* From the start, or from a page's end. */
struct status *scan_init(struct scan *s, struct part *p, const struct work *w,
                         const struct fragment *fr, uint64_t ts, struct slice resume_key,
                         uint32_t resume_span) STATUS_MUST_CHECK;
void scan_deinit(struct scan *s);
bool scan_is_done(const struct scan *s);
/* Fills the chunk (at most `want` candidates; fewer or none does not mean the end). Bytes are
 * copied into the arena. Does not park. */
struct status *scan_gather(struct scan *s, struct arena *a, int want,
                           struct scan_chunk *out) STATUS_MUST_CHECK;
/* Goes back to just behind this candidate of the last chunk. */
void scan_cut(struct scan *s, const struct scan_chunk *c, int index);
/* What is left of span i at the present position; false: nothing. */
bool scan_rest(const struct scan *s, int i, struct key_span *out);

#endif
