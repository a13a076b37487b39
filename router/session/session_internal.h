/* A session's state: session.c (life, transactions), execute.c (statements), portals.c, replay.c
 * (what the transaction has run, to run it again), settings.c, copy.c. */
#ifndef ROUTER_SESSION_SESSION_INTERNAL_H
#define ROUTER_SESSION_SESSION_INTERNAL_H

#include "spool.h"

#include "router_internal.h"

#include <uthash.h>

#define SEARCH_PATH_MAX 16
#define SCHEMA_PG_CATALOG 11

struct session_setting {
    char *name;  /* lower case */
    char *value; /* NULL = the default */
    char *kept;  /* what it is after a commit: `value`, but for SET LOCAL */
    UT_hash_handle hh;
};

struct setting_undo { /* what a setting was before a SET of the transaction */
    struct session_setting *setting;
    char *value, *kept;
};

struct prepared {
    char *name;
    char *sql;
    struct parsed *parsed;
    struct plan *plan;    /* NULL: a statement that is not planned */
    struct plan *fetched; /* FETCH: the plan of its cursor */
    enum stmt_kind kind;
    int index; /* of the statement in parsed; -1 = empty query */
    type_oid *param_types;
    int nparams;
    int refs; /* the session and its portals */
    UT_hash_handle hh;
};

/* ---- what a transaction has run so far (replay.c) ---- */

struct digest { /* of what was sent */
    uint64_t low, high;
};

enum replay_kind { REPLAY_PLAN, REPLAY_COPY, REPLAY_SAVEPOINT, REPLAY_ROLLBACK_TO };

struct replay_drawn {
    uint64_t sequence;
    int64_t value;
};

struct replay_copy { /* COPY FROM STDIN */
    char *sql;
    struct buf data;  /* what the client has sent so far */
    bool is_complete; /* all of it */
};

struct replay_step {
    struct replay_step *next;
    enum replay_kind kind;
    struct plan *plan;
    const struct datum *params;
    int nparams;
    int64_t now_us;             /* statement_timestamp() */
    struct digest result;       /* rows, then the tag or the error */
    int64_t rows;               /* of a portal: how many were read; -1 = all */
    struct portal *portal;      /* being read: a replay opens it anew */
    struct replay_drawn *drawn; /* nextval() in order */
    int drawn_count, drawn_cap;
    uint64_t savepoint;
    uint64_t snapshot; /* READ COMMITTED: the statement's; 0 = not known */
    struct replay_copy *copy;
};

struct replay {
    struct arena *arena;
    struct replay_step *first, *last;
    int count;
    int attempts;
    size_t copy_bytes; /* kept of COPY */
    bool is_given_up;  /* something of it cannot be run again */
    bool is_running;
    bool has_set;                  /* a setting was changed in the transaction */
    bool is_lost;                  /* what is run again has met nobody: it keeps its snapshot */
    uint64_t snapshot;             /* above READ COMMITTED: the transaction's, if it is_lost */
    struct replay_step *under_way; /* the statement that runs for the client now */
    struct replay_step *drawing;   /* the one that nextval() belongs to */
    int drawn_at;
};

struct portal {
    char *name;
    struct prepared *prepared;
    struct plan *plan;
    struct arena *arena; /* parameters, execution */
    struct datum *params;
    int nparams;
    int16_t *formats;
    int nformats;
    struct exec exec;
    struct op *op;
    uint64_t snapshot;     /* READ COMMITTED: of its statement; 0 = the transaction's */
    struct batch *pending; /* rows fetched, not sent */
    int pending_at;
    uint64_t serial; /* in order of making: ROLLBACK TO closes younger ones */
    bool is_open;
    bool is_done;
    bool is_cursor; /* made by DECLARE */
    bool is_scroll, is_hold;
    bool is_spooled;    /* what was left is in the spool, or will be after a replay */
    bool is_held;       /* WITH HOLD, its transaction has committed */
    struct spool spool; /* what is not read from op: from the beginning if SCROLL, else the rest */
    int64_t at;         /* rows of the spool that were read; SCROLL: the row it stands on, from 1 */
    int64_t rows_sent;
    struct datum **cols;      /* of the piece given last */
    int64_t now_us;           /* statement_timestamp() */
    struct digest digest;     /* of the rows read */
    struct replay_step *step; /* while it is being read; NULL = not kept */
    UT_hash_handle hh;
};

struct session_savepoint {
    char *name;
    uint64_t id;
    int undo_count;   /* of the settings' undo log */
    int schema_mark;  /* schema changes that were made before it */
    uint64_t portals; /* serial of the newest portal before it */
};

struct session_modes { /* of a transaction: BEGIN, SET TRANSACTION, the defaults */
    enum txn_isolation isolation;
    bool read_only, deferrable;
};

struct session_values { /* settings that each statement looks at, as they are meant */
    bool is_known;      /* else they are to be read again */
    bool auto_retry, is_past;
    struct session_modes defaults; /* of transactions */
    uint64_t lock_timeout_ms, statement_timeout_ms, transaction_timeout_ms, idle_session_timeout_ms,
        idle_in_transaction_ms;
};

struct session_sequence { /* currval() */
    uint64_t id;
    int64_t value;
    UT_hash_handle hh;
};

struct sequence_block { /* values that this router may hand out */
    uint64_t id;
    int64_t next, increment;
    uint32_t left;
    uint32_t size; /* of the next block */
    uint64_t fetched_ns;
    uint64_t
        revision; /* of the descriptor it was fetched under: ALTER SEQUENCE makes a block void */
    struct fmutex mutex; /* of who fetches */
    UT_hash_handle hh;
};
void sequence_blocks_free(struct router *r);

struct session {
    struct list link;
    struct router *router;
    uint32_t id;
    uint64_t secret;
    char *user, *database, *client;
    uint32_t database_id;
    uint32_t search_path[SEARCH_PATH_MAX];
    int search_path_count;
    uint64_t search_path_revision; /* catalog revision it was resolved at */
    struct session_setting *settings;
    struct session_values values;
    struct setting_undo *undo;
    int undo_count, undo_cap;
    struct prepared *prepared;
    struct portal *portals;
    uint64_t portal_serial;
    struct session_sequence *sequences;
    uint64_t last_sequence; /* lastval() */

    struct txn *txn;
    struct schema_txn *schema; /* schema changes of txn; NULL: none */
    bool in_block;             /* BEGIN was said */
    bool is_failed;            /* in_block: only ROLLBACK is accepted */
    bool is_doomed;            /* in_block: and no savepoint can be returned to */
    bool is_implicit_block;    /* several statements of one simple query, or before Sync */
    bool expects_sync;
    struct session_modes modes; /* of the block, or of several statements before their commit */
    bool has_modes;             /* the transaction has begun to have them */
    bool block_has_query;       /* SET TRANSACTION must come before any query */
    int64_t txn_now_us;
    uint64_t txn_since_ns; /* 0 = no transaction: for transaction_timeout */
    struct session_savepoint *savepoints;
    int savepoint_count;
    struct replay replay;
    struct admission_ticket ticket;

    struct fiber *running;       /* what a cancel ends */
    uint64_t outer_deadline;     /* of the front end's call, kept during a statement */
    uint64_t statement_deadline; /* by statement_timeout; 0 = none */
    bool txn_ends_first;         /* the deadline that holds now is transaction_timeout's */
    struct arena *bind_arena;
    struct sink *sink; /* of the call under way: notices go there */
};

/* ---- plan cache (plan_cache.c): by database, search path, text and parameter types ---- */
struct plan_cache;
struct plan_cache *plan_cache_create(void);
void plan_cache_destroy(struct plan_cache *c);
/* A reference, or NULL. Entries whose descriptors have changed are dropped. */
struct plan *plan_cache_get(struct plan_cache *c, const struct plan_env *env, struct slice sql,
                            const type_oid *types, int ntypes);
void plan_cache_put(struct plan_cache *c, const struct plan_env *env, struct slice sql,
                    const type_oid *types, int ntypes, struct plan *p);
/* The plan of statement i of the text, from the cache or made now; *parsed is parsed when that is
 * needed and it is NULL (the caller owns it). An error is that of a catalog as new as the call. */
struct status *session_plan(struct fiber *f, struct session *s, struct slice sql,
                            struct parsed **parsed, int i, const type_oid *types, int ntypes,
                            struct plan **out) STATUS_MUST_CHECK;
/* Whether the plan may run: always, but for one that uses views, which are looked up as of now. */
struct status *session_plan_is_new(struct fiber *f, struct session *s, const struct plan *p,
                                   bool *out) STATUS_MUST_CHECK;
/* After an error of planning: *out_again when it may be one of an old catalog, which is newer now;
 * else the error. looked_up: of the planning (struct plan_env). Consumes st. */
struct status *session_catch_up(struct fiber *f, struct session *s, struct status *st,
                                bool looked_up, bool *out_again) STATUS_MUST_CHECK;

/* ---- shape.c: literals lifted out of a statement text ---- */
struct shape {
    struct buf text; /* with $1.. in place of literals */
    type_oid types[64];
    struct slice values[64]; /* text of each, borrowed from the input or from `unquoted` */
    struct buf unquoted;
    int count;
};
/* False: not a statement that can be lifted. The shape must be deinitialized either way. */
bool shape_of(struct slice sql, struct shape *out);
void shape_deinit(struct shape *s);

/* ---- session.c ---- */
/* The wall clock as timestamps count it: microseconds since 2000-01-01. */
static inline int64_t session_wall_us(const struct session *s)
{
    return loop_wall_us(s->router->loop) - 946684800000000;
}
void session_env(struct session *s, struct catalog *c, struct plan_env *out);
/* What the session's statements are planned on: with its own schema changes. A reference. */
struct catalog *session_catalog(struct session *s);
struct status *session_need_txn(struct session *s, bool is_single_statement,
                                bool read_only) STATUS_MUST_CHECK;
/* Before the first statement of a transaction of several makes it: waits for admission. */
struct status *session_admit(struct fiber *f, struct session *s) STATUS_MUST_CHECK;
struct status *session_end_implicit(struct fiber *f, struct session *s) STATUS_MUST_CHECK;
void session_drop_txn(struct fiber *f, struct session *s);
struct status *session_txn_statement(struct fiber *f, struct session *s, const void *node,
                                     struct sink *sink) STATUS_MUST_CHECK;
uint64_t session_txn_deadline(struct session *s);
/* All but those that are held. */
void session_close_portals(struct fiber *f, struct session *s);
/* BEGIN's options, SET TRANSACTION. */
struct status *session_apply_modes(struct session *s, size_t n, void *options) STATUS_MUST_CHECK;
/* In a block, or between the statements of one query. */
static inline bool session_in_txn(const struct session *s)
{
    return s->in_block || s->is_implicit_block;
}
/* 25006 in a read-only transaction. */
struct status *session_may_write(struct session *s, const char *what) STATUS_MUST_CHECK;
/* SET LOCAL outside of a block and its like. */
void session_warn(struct session *s, const char *sqlstate, const char *text);

/* ---- settings.c ---- */
void settings_init(struct session *s);
void settings_deinit(struct session *s);
void settings_txn_end(struct session *s, bool committed);
struct status *settings_set_config(struct session *s, struct slice name, struct slice value,
                                   bool is_local) STATUS_MUST_CHECK;
void settings_undo_to(struct session *s, int undo_count); /* ROLLBACK TO */
struct status *settings_statement(struct fiber *f, struct session *s, const void *node,
                                  struct sink *sink) STATUS_MUST_CHECK;
/* Of the transaction under way, or what the next one begins with. */
struct session_modes settings_modes(struct session *s);
uint64_t settings_ms(struct session *s, const char *name);
const struct session_values *settings_values(struct session *s);
bool settings_parse_ms(const char *text, uint64_t *out); /* "250", "5s", "1min" */
bool settings_parse_isolation(struct slice text, enum txn_isolation *out);
/* The known settings, for pg_settings: NULL after the last. */
const char *settings_name(size_t i);
const char *settings_default(size_t i);
bool settings_is_fixed(size_t i);

/* ---- past.c ---- */
/* Is it a value of sherd.as_of? */
struct status *past_check(const char *value) STATUS_MUST_CHECK;
/* What sherd.as_of and sherd.read_staleness say for a transaction that begins. */
struct status *past_choose(struct session *s, struct txn_options *o) STATUS_MUST_CHECK;
/* uses.c: before the transaction does anything with the plan: what is undone from here on is this
 * statement (txn_statement_begin()). Waits for the schema changes of others that have its tables.
 * MOVED: it is not of the newest catalog: to be planned again. */
struct status *session_statement_begin(struct fiber *f, struct session *s,
                                       const struct plan *p) STATUS_MUST_CHECK;
/* After the statement's begin. One of the plan's tables had another form at the time that is read:
 * 0A000, CONFLICT for the snapshot of an ordinary transaction. */
struct status *past_check_plan(const struct session *s, const struct plan *p) STATUS_MUST_CHECK;

/* ---- execute.c ---- */
struct run {
    struct session *s;
    struct plan *plan;
    const struct datum *params;
    int nparams;
    struct sink *sink;
    bool is_only;      /* the one statement of its implicit transaction */
    bool has_sent;     /* something reached the sink: no retry */
    bool is_different; /* run again, it gave other rows than were sent */
    bool want_columns;
    uint64_t affected, sent;
    int64_t now_us;
    struct replay_step *step; /* kept for a replay, or NULL */
    struct digest digest;     /* of the rows that this attempt gave */
    uint64_t given;           /* rows that it gave */
    uint64_t again;           /* of them the first so many were sent by an earlier attempt ... */
    struct digest expected;   /* ... with this digest */
};

void execute_init(struct run *x, struct catalog *c, struct arena *a, struct exec *out);
/* Runs x->plan; results go to the sink, conflicts are retried. */
struct status *execute_plan(struct fiber *f, struct run *x, bool *out_replan) STATUS_MUST_CHECK;
/* Without the replay of the transaction. */
struct status *execute_tries(struct fiber *f, struct run *x, struct catalog *c,
                             bool *out_replan) STATUS_MUST_CHECK;
void execute_tag(const struct plan *p, uint64_t affected, uint64_t sent, char *out, size_t size);
void execute_digest(struct digest *d, const struct plan *plan, uint64_t affected);
/* Rows first..first+n-1 of b; cols has room for b->ncols. */
struct batch execute_batch_part(const struct batch *b, int first, int n, struct datum **cols);
struct status *execute_failed_block(void);
struct status *execute_may_write(struct session *s, const struct plan *p) STATUS_MUST_CHECK;
bool execute_ends_block(const struct parsed *p, int i);
void execute_enter(struct fiber *f, struct session *s, struct sink *sink);
/* A transaction of the running statement begins: so does its transaction_timeout. */
void execute_txn_begins(struct session *s);
struct status *execute_leave(struct fiber *f, struct session *s,
                             struct status *st) STATUS_MUST_CHECK;
/* Makes or renews the plan of a prepared statement. */
struct status *prepared_plan(struct fiber *f, struct session *s,
                             struct prepared *p) STATUS_MUST_CHECK;
/* Runs *plan, which is p's, or what takes its place when it is of an old catalog. */
struct status *execute_prepared_plan(struct fiber *f, struct run *x, struct prepared *p,
                                     struct plan **plan) STATUS_MUST_CHECK;
struct status *execute_statement(struct fiber *f, struct session *s, struct slice sql,
                                 struct parsed *p, int i, struct sink *sink,
                                 bool is_only) STATUS_MUST_CHECK;
struct status *send_text_row(struct fiber *f, struct sink *sink, const char *column,
                             const char *value) STATUS_MUST_CHECK;
void prepared_unref(struct prepared *p);

/* ---- portals.c ---- */
void portal_free(struct fiber *f, struct session *s, struct portal *p);
/* A portal without parameters; takes the plan. */
struct portal *portal_declare(struct session *s, struct slice name, struct slice sql,
                              struct plan *plan);
void portal_close_cursors(struct fiber *f, struct session *s);
void portals_free_all(struct fiber *f, struct session *s); /* held ones too */
struct status *portal_fetch(struct fiber *f, struct session *s, struct portal *p, int64_t max_rows,
                            struct sink *sink, uint64_t *out_count,
                            bool *out_end) STATUS_MUST_CHECK;
/* Reads what is left into memory. */
struct status *portal_spool(struct fiber *f, struct session *s, struct portal *p) STATUS_MUST_CHECK;
/* Before the transaction writes: open cursors read to their end, so that they do not see it. */
struct status *portals_settle(struct fiber *f, struct session *s) STATUS_MUST_CHECK;
/* Before a commit: WITH HOLD is read to its end, the others are closed. */
struct status *portals_before_commit(struct fiber *f, struct session *s) STATUS_MUST_CHECK;
/* After it, or after the transaction was given up. */
void portals_txn_ended(struct fiber *f, struct session *s, bool committed);
/* ROLLBACK TO: closes those made after the savepoint. */
void portals_rollback_to(struct fiber *f, struct session *s, uint64_t serial);
/* Runs a step again without sending; leaves what it gives in x->result. */
struct status *execute_step(struct fiber *f, struct session *s,
                            struct replay_step *x) STATUS_MUST_CHECK;

/* ---- replay.c ---- */
#define IDLE_ARENA_BYTES 65536
void digest_row(struct digest *d, const struct batch *b, int row);
void digest_text(struct digest *d, const char *text);
bool digest_eq(const struct digest *a, const struct digest *b);
/* Keeps a statement that is about to run. NULL: not kept, the transaction is not replayed. */
struct replay_step *replay_plan(struct session *s, struct plan *plan, const struct datum *params,
                                int nparams, int64_t now_us);
/* The same for a COPY FROM. Its data is added as it comes; false: too much, it is not kept. */
struct replay_step *replay_copy(struct session *s, struct slice sql, int64_t now_us);
bool replay_copy_data(struct session *s, struct replay_step *x, struct slice piece);
void replay_savepoint(struct session *s, enum replay_kind kind, uint64_t id);
/* The statement ended with st, which the client hears. */
void replay_failed(struct session *s, struct replay_step *x, const struct status *st);
void replay_give_up(struct session *s);
void replay_forget_last(struct session *s); /* the step added last has not run */
void replay_clear(struct session *s);       /* the transaction has ended */
void replay_deinit(struct session *s);
/* A statement has run: its snapshot. And before it runs again: it may be the one to be used. x
 * NULL: not kept. */
void replay_note_snapshot(struct session *s, struct replay_step *x);
void replay_use_snapshot(struct session *s, struct replay_step *x);
/* nextval(): before each run of a step; then values drawn before come again. x NULL: not kept. */
void replay_rewind(struct session *s, struct replay_step *x);
bool replay_draw(struct session *s, uint64_t sequence, int64_t *out);
void replay_drawn(struct session *s, uint64_t sequence, int64_t value);
/* Before replay_run(), if it is known of the transaction, which is gone, that it was lost. */
void replay_lost(struct session *s, enum txn_isolation isolation, uint64_t snapshot);
/* After a conflict: rolls back and runs all kept steps but the one under way again. NULL: the new
 * transaction stands where the old one stood, cause is freed. Else what the client is to hear
 * (cause, or a cancel), and the transaction is gone. */
struct status *replay_run(struct fiber *f, struct session *s,
                          struct status *cause) STATUS_MUST_CHECK;
struct status *replay_differs(void);

/* ---- cursors.c ---- */
struct status *cursor_statement(struct fiber *f, struct session *s, struct slice sql,
                                struct parsed *p, int i, struct sink *sink) STATUS_MUST_CHECK;
/* The plan whose columns a FETCH will give, with a reference; NULL: it gives none, or not known. */
struct plan *cursor_fetch_plan(struct session *s, const void *node);

/* ---- copy.c ---- */
struct status *copy_statement(struct fiber *f, struct session *s, struct parsed *p, int i,
                              struct sink *sink) STATUS_MUST_CHECK;
/* Runs a COPY FROM again with the data that was kept; leaves its digest in x->result. */
struct status *copy_again(struct fiber *f, struct session *s,
                          struct replay_step *x) STATUS_MUST_CHECK;

#endif
