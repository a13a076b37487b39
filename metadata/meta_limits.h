/* Every bound of metadata/ in one place. */
#ifndef METADATA_META_LIMITS_H
#define METADATA_META_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define META_KEY_BYTES_MAX ((size_t)64 << 10)
#define META_TXN_BYTES_MAX ((size_t)8 << 20)   /* keys and values of one change */
#define META_TXN_ITEMS_MAX 100000u             /* compares + puts + deletes */
#define META_BATCH_OPS_MAX 512u                /* changes in one log entry */
#define META_BATCH_BYTES_MAX ((size_t)4 << 20) /* a batch is closed above it */
#define META_QUEUE_MAX 65536u                  /* changes that wait for the log: LIMIT beyond */
#define META_REQUESTS_MAX 10000u               /* request ids remembered for exactly-once */
#define META_RING_MAX 8192u                    /* recent changes kept for watchers */
#define META_RING_BYTES_MAX ((size_t)16 << 20)
#define META_WATCH_BYTES_MAX ((size_t)4 << 20) /* of one watch reply */
#define META_WATCH_WAIT_MS_MAX 60000u
#define META_VOTERS_MAX 5u
#define META_NODES_MAX 1024u
#define META_REPLICAS_PER_NODE_MAX 65536u /* in one heartbeat */
#define META_ALLOCATE_MAX 1000000u
#define META_SEQUENCE_SLOTS 256u     /* sequences that share one wait for the other's blocks */
#define META_TIMESTAMPS_MAX 1000000u /* of one request */

/* The oracle: how far the committed limit is ahead, when it is moved, when it is left alone. */
#define TSO_WINDOW_MS 3000u
#define TSO_EXTEND_BELOW_MS 2000u
#define TSO_IDLE_MS 30000u

#define META_NODE_DEAD_MS 10000u     /* silent so long: dead */
#define META_NODE_REPLACE_MS 300000u /* dead so long: its replicas are made anew elsewhere */

/* The client. */
#define META_CALL_GIVE_UP_MS 30000u     /* no metadata leader found for so long: UNAVAILABLE */
#define META_ATTEMPT_MS 2000u           /* one request to one node */
#define META_TIMESTAMP_ATTEMPT_MS 1000u /* a transaction waits for it */
#define META_BACKOFF_MIN_MS 20u
#define META_BACKOFF_MAX_MS 1000u
#define META_WATCH_POLL_MS 10000u

#endif
