/* Every bound of the shard layer in one place. */
#ifndef SHARD_BOUNDS_H
#define SHARD_BOUNDS_H

enum {
    SHARD_KEY_BYTES_MAX = 64 * 1024, /* of a data key: 54000 beyond */
    SHARD_ROW_BYTES_MAX =
        7 * 1024 * 1024,   /* two of them fit a log entry: a version and what it displaces */
    SHARD_ROW_KEPT = 1024, /* rows up to this size are kept with their lock for the commit */
    SHARD_WORKSPACE_BYTES = 64 * 1024 * 1024,
    SHARD_LOCKS_MAX = 2000000, /* unless set (sql.transaction_locks). Writes meet the workspace's
                                * bytes first; pgbench -i -s 10 is just below both */
    SHARD_SPANS_MAX = 100000,  /* read spans of one; beyond, they are joined into one */
    SHARD_PARTICIPANTS_MAX = 4096,
    SHARD_READ_ROWS = 1024, /* rows of a page when the request does not say */
    SHARD_READ_BYTES = 1024 * 1024,
    SHARD_READ_BYTES_MAX = 16 * 1024 * 1024,
    SHARD_SCAN_TURN = 1024,        /* keys looked at before other fibers get their turn */
    SHARD_SCAN_PAGE = 65536,       /* keys looked at in one request */
    SHARD_OUTCOMES = 4096,         /* one-shard commits whose outcome can be asked for */
    SHARD_POISONED_MAX = 100000,   /* remembered poisoned autocommits of a term */
    SHARD_COMMIT_TRIES = 32,       /* timestamps fetched for one CommitOne */
    SHARD_CLOSING_MS = 1000,       /* P6: how long readers wait for the next attempt */
    SHARD_ORPHAN_MS = 1000,        /* a prepared record older than this is recovered */
    SHARD_WAITED_ON_MS = 100,      /* the same when somebody waits on it */
    SHARD_CALL_MS = 2000,          /* a recovery's question to another node */
    SHARD_IDLE_MS = 15000,         /* workspace silent for so long: ask its coordinator */
    SHARD_ASK_MS = 1000,           /* the same when others wait for its locks */
    SHARD_SILENT_MS = 60000,       /* and drop it when the coordinator is away for so long */
    SHARD_SILENT_WAITED_MS = 3000, /* the same when others wait for its locks: 5 s in all */
    SHARD_SILENT_GAP_MS = 5000,    /* asked again later than this, its silence begins anew */
    SHARD_DEADLOCK_MS = 50,        /* a wait older than this is looked at across shards */
    SHARD_FORGET_MS = 1000,        /* Forget waits for other traffic for so long */
    SHARD_GC_BATCH = 500,          /* versions removed by one entry */
    SHARD_WIPE_BATCH = 2000,
    SHARD_ENTRY_BYTES_MAX = 15 * 1024 * 1024,   /* below the log's own bound */
    SHARD_PART_BYTES = 1024 * 1024,             /* a commit above this is staged in parts */
    SHARD_PARTS_FLYING = 8,                     /* of one commit, in the log at a time */
    SHARD_STAGED_BYTES_MAX = 256 * 1024 * 1024, /* of one commit: it is put by one batch */
    SHARD_CLOSE_LAG_MS = 1000,  /* a leader closes this far behind: commits under way go on */
    SHARD_CLOSE_EACH_MS = 1000, /* a follower that is read asks again so often */
    SHARD_CLOSE_WAIT_MS = 1000, /* for the answer, and for what it names to be applied */
    SHARD_DRAIN_MS = 5000,      /* a split waits so long for prepared transactions */
    SHARD_SPARE_MS = 2000,      /* and a transfer, too, for workspaces that must not be lost */
    SHARD_SPARE_ALL_MS = 60000, /* asked again and again for so long, they go ahead */
    SHARD_SPARE_END_MS = 5000,  /* the same when the node ends */
};

#endif
