/*
 * A session that understands a few words instead of SQL, for tests of the front end:
 *
 *   rows N        N rows of (i int4, t text): 0 "row 0", 1 "row 1" ...
 *   big N         N rows of one kilobyte
 *   echo $1 ...   one row of its int4 and text parameters (prepared only; types alternate)
 *   begin commit  block state        fail      42601 at position 3, with detail and hint
 *   park          waits for a cancel notice    a NOTICE        set   a changed setting
 *   copyin        counts bytes       copybad   fails after the first piece      copyout  two lines
 *
 * Several are separated by ';'. The fake counts what the front end did to it.
 */
#ifndef TEST_FAKE_SESSION_H
#define TEST_FAKE_SESSION_H

#include "router/session.h"

struct fake_counts {
    int open, closed, failed, synced, expected_sync, cancelled;
};
extern struct fake_counts fake_counts;
extern struct config fake_config;
extern const char *fake_verifier; /* of role "scram" */
extern char fake_idle_timeout[16];

struct router *fake_router(struct loop *l);

#endif
