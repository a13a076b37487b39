/*
 * Schema changes, alone, beside other statements and together with rows in one transaction. Each
 * has a number; one in a block leaves the number in the table `made_log`, so that the rows tell
 * which changes are committed, and the catalog must agree, in every snapshot and at the end: what
 * was committed is there, with its rows and columns; what was rolled back never shows.
 *
 * Tables made_<n> come and go. wide_<k> get columns c_<n> (all rows have n there, row 0 has -n if
 * the change was one with rows) and indexes i_<n> while others change their rows. `bucket` is
 * truncated and filled anew: all its rows name the same change. pair_a and pair_b swap their names.
 * A transaction that reads a table twice sees it in one form.
 * Rows of `other`, each with one client at a time, are nobody's business: without faults nothing
 * may abort those transactions. What is left of dropped tables is looked for in sherd_sim.c.
 */
#include "index_check.h"
#include "workload.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANGES_MAX 90
#define WIDES 2
#define FIXED 4 /* rows of a wide table that stay: 0, SPREAD ... */
#define SPREAD 160000
#define OWN_ROWS 2000000 /* ids from here on: each of one transaction that read its table twice */
#define MADE_ROWS 6
#define SLOTS 40

enum kind { MAKE, DROP, ADD, REMOVE, INDEX, UNINDEX, TRUNCATE, SWAP, KINDS };
static const char *const kind_names[KINDS] = {"CREATE TABLE", "DROP TABLE",   "ADD COLUMN",
                                              "DROP COLUMN",  "CREATE INDEX", "DROP INDEX",
                                              "TRUNCATE",     "RENAME"};

static struct change {
    enum kind kind;
    int target; /* of DROP, REMOVE, UNINDEX: the change that made it */
    int wide;
    bool is_logged;
    bool was_made; /* the target, told committed when this began */
    bool is_over, is_seen;
    enum told told;
    int removals, unlogged_removals; /* begun */
} changes[CHANGES_MAX];
static int change_count;

static int added, maybe_added;   /* to the sum of the wide tables' fixed rows */
static int others, maybe_others; /* likewise `other` */
static int own, maybe_own;       /* rows from OWN_ROWS on */
static bool is_slot_busy[SLOTS];
static int next_row;

/* ---- setup ---- */

static void setup(struct fiber *f, struct client *c)
{
    for (int k = 0; k < WIDES; k++) {
        sql_must(f, c, NULL, "CREATE TABLE wide_%d (id int PRIMARY KEY, v int NOT NULL)", k);
        sql_must(f, c, NULL, "INSERT INTO wide_%d SELECT i * %d, 0 FROM generate_series(0, %d) i",
                 k, SPREAD, FIXED - 1);
    }
    sql_must(f, c, NULL, "CREATE TABLE made_log (id int PRIMARY KEY, n int)");
    sql_must(f, c, NULL, "CREATE TABLE bucket (id int PRIMARY KEY, n int)");
    sql_must(f, c, NULL, "INSERT INTO bucket VALUES (0, -1)");
    for (int k = 0; k < 2; k++) {
        sql_must(f, c, NULL, "CREATE TABLE pair_%c (id int PRIMARY KEY, who text)", 'a' + k);
        sql_must(f, c, NULL, "INSERT INTO pair_%c VALUES (0, '%c')", 'a' + k, 'a' + k);
    }
    sql_must(f, c, NULL, "CREATE TABLE other (id int PRIMARY KEY, v int)");
    sql_must(f, c, NULL,
             "INSERT INTO other SELECT s + m * 500000, 0 FROM generate_series(0, %d) s, "
             "generate_series(0, 1) m",
             SLOTS - 1);
}

/* ---- one change ---- */

static enum kind made_by(enum kind kind)
{
    return kind == DROP ? MAKE : kind == REMOVE ? ADD : INDEX;
}

/* -1: there is none that may be there. */
static int choose_target(enum kind kind)
{
    int found = -1;
    uint64_t seen = 0;
    for (int n = 0; n < change_count; n++) {
        const struct change *x = &changes[n];
        bool may = x->kind == made_by(kind) && x->is_over && x->told != TOLD_ABORTED;
        if (may && below(++seen + (x->removals > 0 ? 3 : 0)) == 0) {
            found = n;
        }
    }
    return found;
}

static void begin_change(int n)
{
    struct change *x = &changes[n];
    *x = (struct change){.kind = (enum kind)below(KINDS), .wide = (int)below(WIDES), .target = -1};
    if (x->kind == DROP || x->kind == REMOVE || x->kind == UNINDEX) {
        x->target = choose_target(x->kind);
        if (x->target < 0) {
            x->kind = made_by(x->kind);
        } else {
            x->wide = changes[x->target].wide;
            changes[x->target].removals++;
            x->was_made = changes[x->target].told == TOLD_COMMITTED;
        }
    }
}

static void end_change(int n, enum told told)
{
    struct change *x = &changes[n];
    x->is_over = true;
    x->told = told;
    if (told == TOLD_ABORTED && x->is_seen) {
        cluster_fail(&world.cluster, "schema: %s %d was seen, and told aborted",
                     kind_names[x->kind], n);
    }
}

/* The statements of the change; the first alone for one without rows. */
static int statements(int n, bool is_alone, char text[][160])
{
    const struct change *x = &changes[n];
    int at = 0;
    size_t size = sizeof(text[0]);
    switch (x->kind) {
    case MAKE:
        snprintf(text[at++], size, "CREATE TABLE made_%d (id int PRIMARY KEY, a int, b int UNIQUE)",
                 n);
        if (below(2) == 0 && !is_alone) {
            snprintf(text[at++], size, "CREATE INDEX made_%d_a ON made_%d (a, id)", n, n);
        }
        snprintf(text[at++], size,
                 "INSERT INTO made_%d SELECT i * %d, %d, i FROM generate_series(0, %d) i", n,
                 SPREAD, n, MADE_ROWS - 1);
        if (below(3) == 0 && !is_alone) {
            snprintf(text[at++], size, "CREATE INDEX made_%d_x ON made_%d (b, a)", n, n);
        }
        break;
    case DROP:
        snprintf(text[at++], size, "DROP TABLE made_%d", x->target);
        break;
    case ADD:
        snprintf(text[at++], size, "ALTER TABLE wide_%d ADD COLUMN c_%d int DEFAULT %d", x->wide, n,
                 n);
        snprintf(text[at++], size, "UPDATE wide_%d SET c_%d = %d WHERE id = 0", x->wide, n, -n);
        break;
    case REMOVE:
        snprintf(text[at++], size, "ALTER TABLE wide_%d DROP COLUMN c_%d", x->wide, x->target);
        break;
    case INDEX:
        snprintf(text[at++], size, "CREATE INDEX i_%d ON wide_%d (v, id)", n, x->wide);
        break;
    case UNINDEX:
        snprintf(text[at++], size, "DROP INDEX i_%d", x->target);
        break;
    case TRUNCATE:
        snprintf(text[at++], size, "TRUNCATE bucket");
        snprintf(text[at++], size, "INSERT INTO bucket VALUES (0, %d), (600000, %d)", n, n);
        break;
    case SWAP:
        snprintf(text[at++], size, "ALTER TABLE pair_a RENAME TO pair_%d", n);
        snprintf(text[at++], size, "ALTER TABLE pair_b RENAME TO pair_a");
        snprintf(text[at++], size, "ALTER TABLE pair_%d RENAME TO pair_b", n);
        break;
    case KINDS:
        break;
    }
    return is_alone ? 1 : at;
}

/* It says that what n made is not there, which was told committed before it began (was_made), and
 * which nobody has begun to remove but, it may be, itself. */
static void check_not_found(int n, bool was_made, int removals, const struct status *st)
{
    if (n >= 0 && was_made && changes[n].removals == removals &&
        (sql_is(st, "42P01") || sql_is(st, "42703") || sql_is(st, "42704"))) {
        cluster_fail(&world.cluster, "schema: %s %d was told committed, and is not there: %s",
                     kind_names[changes[n].kind], n, st->message);
    }
}

static struct status *log_row(struct fiber *f, struct client *c, int n)
{
    return sql(f, c, NULL, "INSERT INTO made_log VALUES (%d, %d)", n * 7919 % 1000003, n);
}

/* Something that is undone before the end. */
static struct status *undone(struct fiber *f, struct client *c, int n)
{
    TRY(sql(f, c, NULL, "SAVEPOINT s"));
    switch (below(3)) {
    case 0:
        TRY(sql(f, c, NULL, "CREATE TABLE undone_%d (id int PRIMARY KEY)", n));
        TRY(sql(f, c, NULL, "INSERT INTO undone_%d VALUES (0), (700000)", n));
        break;
    case 1:
        TRY(sql(f, c, NULL, "ALTER TABLE wide_%d ADD COLUMN undone_%d int DEFAULT 7",
                changes[n].wide, n));
        TRY(sql(f, c, NULL, "CREATE INDEX undone_x%d ON wide_%d (undone_%d)", n, changes[n].wide,
                n));
        break;
    default:
        TRY(sql(f, c, NULL, "INSERT INTO bucket VALUES (%d, -2)", 1000 + n));
    }
    return sql(f, c, NULL, "ROLLBACK TO s");
}

static void in_block(struct fiber *f, struct client *c, int n)
{
    char text[4][160];
    int count = statements(n, false, text);
    bool log_first = below(2) == 0;
    /* TRUNCATE deletes rows: at the weaker levels others may insert some meanwhile. */
    enum txn_isolation level =
        changes[n].kind == TRUNCATE ? world.isolation : (enum txn_isolation)below(3);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level(level));
    if (st == NULL && below(4) == 0) { /* given up while others use the tables */
        st = sql(f, c, NULL, "SET LOCAL lock_timeout = '%dms'", 1 + (int)below(40));
    }
    if (st == NULL && log_first) {
        st = log_row(f, c, n);
    }
    if (st == NULL && below(4) == 0) {
        st = undone(f, c, n);
    }
    for (int i = 0; i < count && st == NULL; i++) {
        st = sql(f, c, NULL, "%s", text[i]);
        check_not_found(changes[n].target, changes[n].was_made, 1, st);
        if (st == NULL && below(5) == 0) {
            st = fiber_sleep(f, below(30) * 1000000);
        }
    }
    if (st == NULL && below(4) == 0) {
        st = undone(f, c, n);
    }
    if (st == NULL && !log_first) {
        st = log_row(f, c, n);
    }
    if (st == NULL && below(4) == 0) {
        status_free(sql(f, c, NULL, "ROLLBACK"));
        end_change(n, TOLD_ABORTED);
    } else {
        end_change(n, sql_end(f, c, st));
    }
}

/* The block as one simple query. */
static void in_one_string(struct fiber *f, struct client *c, int n)
{
    char text[4][160], all[800];
    int count = statements(n, false, text);
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        at += (size_t)snprintf(all + at, sizeof(all) - at, "%s; ", text[i]);
    }
    struct status *st =
        sql(f, c, NULL, "%sINSERT INTO made_log VALUES (%d, %d)", all, n * 7919 % 1000003, n);
    check_not_found(changes[n].target, changes[n].was_made, 1, st);
    end_change(n, world_outcome(st));
}

static void change_something(struct fiber *f, struct client *c)
{
    int n = change_count++;
    begin_change(n);
    struct change *x = &changes[n];
    uint64_t how = below(6);
    client_begin(f, c);
    /* A table that is emptied and has no rows then, and a third of a swap: only in blocks. */
    if (how == 0 && x->kind != TRUNCATE && x->kind != SWAP) {
        char text[4][160];
        if (x->target >= 0) {
            changes[x->target].unlogged_removals++;
        }
        statements(n, true, text);
        struct status *st = sql(f, c, NULL, "%s", text[0]);
        check_not_found(changes[n].target, changes[n].was_made, 1, st);
        end_change(n, world_outcome(st));
        return;
    }
    x->is_logged = true;
    if (how == 1) {
        in_one_string(f, c, n);
    } else {
        in_block(f, c, n);
    }
}

/* ---- rows beside them ---- */

static void change_rows(struct fiber *f, struct client *c)
{
    int k = (int)below(WIDES), id = (int)below(24) * 40000;
    client_begin(f, c);
    switch (below(6)) {
    case 0:
        if (id % SPREAD != 0) {
            world_outcome(sql(f, c, NULL, "DELETE FROM wide_%d WHERE id = %d", k, id));
        }
        break;
    case 1:
        world_outcome(sql(f, c, NULL, "INSERT INTO wide_%d VALUES (%d, %d) ON CONFLICT DO NOTHING",
                          k, id, (int)below(9)));
        break;
    case 2: /* a row that names the change which all others name, too */
        world_outcome(sql(f, c, NULL, "INSERT INTO bucket SELECT %d, n FROM bucket WHERE id = 0",
                          ++next_row * 7919 % 1000003));
        break;
    case 3: {
        int n = change_count > 0 ? (int)below((uint64_t)change_count) : 0;
        if (n < change_count && changes[n].kind == MAKE && changes[n].is_over) {
            bool was_made = changes[n].told == TOLD_COMMITTED;
            struct status *st = sql(f, c, NULL, "INSERT INTO made_%d VALUES (%d, %d, NULL)", n,
                                    1 + ++next_row * 7919 % 1000003, n);
            check_not_found(n, was_made, 0, st);
            world_outcome(st);
        }
        break;
    }
    default: {
        maybe_added++; /* also when its client crashes */
        enum told told = world_outcome(sql(f, c, NULL, "UPDATE wide_%d SET v = v + 1 WHERE id = %d",
                                           k, (int)below(FIXED) * SPREAD));
        added += told == TOLD_COMMITTED;
        maybe_added -= told != TOLD_UNKNOWN;
    }
    }
}

static void change_other(struct fiber *f, struct client *c)
{
    int slot = (int)below(SLOTS);
    if (is_slot_busy[slot]) { /* for ever, when its client's node has crashed */
        return;
    }
    is_slot_busy[slot] = true;
    maybe_others += 2;
    client_begin(f, c);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level((enum txn_isolation)below(3)));
    for (int m = 0; m < 2 && st == NULL; m++) {
        st = sql(f, c, NULL, "UPDATE other SET v = v + 1 WHERE id = %d", slot + m * 500000);
        if (st == NULL) {
            st = fiber_sleep(f, below(40) * 1000000);
        }
    }
    if (st != NULL && world.calm) {
        cluster_fail(&world.cluster, "schema: a transaction on another table is aborted: %s",
                     st->message);
    }
    enum told told = sql_end(f, c, st);
    if (told != TOLD_COMMITTED && world.calm) {
        cluster_fail(&world.cluster, "schema: a transaction on another table is not committed");
    }
    others += 2 * (told == TOLD_COMMITTED);
    maybe_others -= 2 * (told != TOLD_UNKNOWN);
    is_slot_busy[slot] = false;
}

/* ---- what a snapshot shows ---- */

struct view {                        /* of one transaction */
    bool was_committed[CHANGES_MAX]; /* when it began */
    bool is_logged[CHANGES_MAX];
    bool has_column[CHANGES_MAX];
    int known; /* changes begun when it began */
};

static void begin_view(struct view *v)
{
    memset(v, 0, sizeof(*v));
    v->known = change_count;
    for (int n = 0; n < change_count; n++) {
        v->was_committed[n] = changes[n].told == TOLD_COMMITTED;
    }
}

static int number_in(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(name, prefix, len) != 0) {
        return -1;
    }
    int n = atoi(name + len);
    ASSERT(n >= 0 && n < change_count);
    return n;
}

/* SELECT * of a wide table: columns and rows agree. */
static void look_at_wide(struct view *v, int wide, const struct sql_result *r)
{
    for (int col = 0; col < r->ncols; col++) {
        int n = number_in(r->names[col], "c_");
        if (strncmp(r->names[col], "undone", 6) == 0) {
            cluster_fail(&world.cluster, "schema: column %s shows, which was rolled back",
                         r->names[col]);
        }
        if (n < 0) {
            continue;
        }
        struct change *x = &changes[n];
        x->is_seen = v->has_column[n] = true;
        if (x->wide != wide || x->told == TOLD_ABORTED) {
            cluster_fail(&world.cluster, "schema: column c_%d of an aborted change shows", n);
        }
        for (int row = 0; row < r->nrows; row++) {
            bool is_changed = x->is_logged && sql_int(r, row, 0) == 0;
            if (sql_int(r, row, col) != (is_changed ? -n : n)) {
                cluster_fail(&world.cluster,
                             "schema: column c_%d of wide_%d is %s in row %s: half of the change",
                             n, wide,
                             sql_text(r, row, col) == NULL ? "null" : sql_text(r, row, col),
                             sql_text(r, row, 0));
            }
        }
    }
    int fixed = 0;
    for (int row = 0; row < r->nrows; row++) {
        fixed += sql_int(r, row, 0) % SPREAD == 0 && sql_int(r, row, 0) < FIXED * SPREAD;
    }
    if (fixed != FIXED) {
        cluster_fail(&world.cluster, "schema: %d of %d rows of wide_%d are there", fixed, FIXED,
                     wide);
    }
}

static void look_at_log(struct view *v, const struct sql_result *r)
{
    for (int row = 0; row < r->nrows; row++) {
        int n = (int)sql_int(r, row, 1);
        ASSERT(n >= 0 && n < change_count);
        v->is_logged[n] = true;
        if (changes[n].told == TOLD_ABORTED) {
            cluster_fail(&world.cluster, "schema: the row of change %d shows, which is aborted", n);
        }
        changes[n].is_seen = true;
    }
    for (int n = 0; n < v->known; n++) {
        if (v->was_committed[n] && changes[n].is_logged && !v->is_logged[n]) {
            cluster_fail(&world.cluster, "schema: the row of %s %d is gone",
                         kind_names[changes[n].kind], n);
        }
    }
}

/* The change in the log that has removed what n made; -1: none. */
static int remover(const struct view *v, int n)
{
    int by = -1;
    for (int d = 0; d < change_count; d++) {
        if (changes[d].target == n && v->is_logged[d]) {
            if (by >= 0) {
                cluster_fail(&world.cluster, "schema: what change %d made was removed by %d and %d",
                             n, by, d);
            }
            by = d;
        }
    }
    return by;
}

/* The columns of a wide table are those that the log of the same snapshot asks for. */
static void compare_wide(const struct view *v, int wide)
{
    for (int n = 0; n < change_count; n++) {
        const struct change *x = &changes[n];
        if (x->kind != ADD || x->wide != wide || !x->is_logged || x->unlogged_removals > 0) {
            continue;
        }
        bool is_wanted = v->is_logged[n] && remover(v, n) < 0;
        if (is_wanted != v->has_column[n]) {
            cluster_fail(&world.cluster,
                         "schema: wide_%d has %s column c_%d, the log tells otherwise", wide,
                         is_wanted ? "no" : "a", n);
        }
    }
}

static void look_at_bucket(const struct view *v, const struct sql_result *r)
{
    if (r->nrows == 0) {
        cluster_fail(&world.cluster, "schema: the bucket is empty: half of a TRUNCATE");
    }
    int n = (int)sql_int(r, 0, 1);
    for (int row = 1; row < r->nrows; row++) {
        if (sql_int(r, row, 1) != n) {
            cluster_fail(&world.cluster, "schema: the bucket has rows of changes %d and %s", n,
                         sql_text(r, row, 1));
        }
    }
    if (n >= 0 && v != NULL && !v->is_logged[n]) {
        cluster_fail(&world.cluster, "schema: the bucket names change %d, which is not in the log",
                     n);
    }
}

static void look_at_pair(const struct view *v, const char *a, const char *b)
{
    int swaps = 0;
    for (int n = 0; n < change_count; n++) {
        swaps += changes[n].kind == SWAP && v->is_logged[n];
    }
    bool is_swapped = swaps % 2 != 0;
    if (strcmp(a, is_swapped ? "b" : "a") != 0 || strcmp(b, is_swapped ? "a" : "b") != 0) {
        cluster_fail(&world.cluster, "schema: pair_a is %s and pair_b is %s after %d swaps", a, b,
                     swaps);
    }
}

/* One transaction that reads tables and the log. */
static void read_together(struct fiber *f, struct client *c)
{
    struct sql_result first, second, log;
    struct view v;
    int wide = (int)below(WIDES + 2);
    client_begin(f, c);
    begin_view(&v);
    bool log_first = below(2) == 0;
    struct status *st = sql(f, c, NULL, "BEGIN %s%s", sql_level(world.isolation),
                            below(2) == 0 ? " READ ONLY" : "");
    if (st == NULL && log_first) {
        st = sql(f, c, &log, "SELECT id, n FROM made_log");
    }
    if (st == NULL && below(3) == 0) {
        st = fiber_sleep(f, below(20) * 1000000);
    }
    if (st == NULL && wide < WIDES) {
        st = sql(f, c, &first, "SELECT * FROM wide_%d", wide);
    } else if (st == NULL && wide == WIDES) {
        st = sql(f, c, &first, "SELECT * FROM bucket");
    } else if (st == NULL) {
        st = sql(f, c, &first, "SELECT who FROM pair_a");
        if (st == NULL) {
            st = sql(f, c, &second, "SELECT who FROM pair_b");
        }
    }
    if (st == NULL && !log_first) {
        st = sql(f, c, &log, "SELECT id, n FROM made_log");
    }
    if (sql_end(f, c, st) != TOLD_COMMITTED) {
        return;
    }
    look_at_log(&v, &log);
    if (wide < WIDES) {
        look_at_wide(&v, wide, &first);
        compare_wide(&v, wide);
    } else if (wide == WIDES) {
        look_at_bucket(&v, &first);
    } else {
        ASSERT(first.nrows == 1 && second.nrows == 1);
        look_at_pair(&v, sql_text(&first, 0, 0), sql_text(&second, 0, 0));
    }
}

/* A table does not change between two statements of a transaction, at any level: changes wait for
 * its end. */
static void read_twice(struct fiber *f, struct client *c)
{
    struct sql_result r[2];
    int wide = (int)below(WIDES);
    client_begin(f, c);
    bool is_writer = below(2) == 0;
    maybe_own += is_writer;
    enum txn_isolation level = (enum txn_isolation)below(3);
    struct status *st = sql(f, c, NULL, "BEGIN %s", sql_level(level));
    for (int i = 0; i < 2 && st == NULL; i++) {
        st = sql(f, c, &r[i], "SELECT * FROM wide_%d", wide);
        if (st == NULL && i == 0) {
            st = fiber_sleep(f, below(60) * 1000000);
        }
        if (st == NULL && i == 0 && is_writer) { /* a row of its own */
            st = sql(f, c, NULL, "INSERT INTO wide_%d VALUES (%d, 0)", wide, OWN_ROWS + ++next_row);
            if (st == NULL && !world.calm && below(2) == 0) { /* may wait, and keeps the row */
                st = sql(f, c, NULL, "SELECT * FROM wide_%d", (wide + 1) % WIDES);
            }
        }
    }
    bool is_victim = st != NULL && strcmp(st->sqlstate, "40P01") == 0;
    if (st != NULL && world.calm && !is_victim) {
        cluster_fail(&world.cluster, "schema: who has read a table is refused: %s", st->message);
    }
    enum told told = sql_end(f, c, st);
    own += is_writer && told == TOLD_COMMITTED;
    maybe_own -= is_writer && told != TOLD_UNKNOWN;
    if (told != TOLD_COMMITTED) {
        if (world.calm && !is_victim && (!is_writer || level == TXN_READ_COMMITTED)) {
            cluster_fail(&world.cluster, "schema: who has used a table is not committed");
        }
        return;
    }
    bool is_same = r[0].ncols == r[1].ncols;
    for (int col = 0; is_same && col < r[0].ncols; col++) {
        is_same = strcmp(r[0].names[col], r[1].names[col]) == 0;
    }
    if (!is_same) {
        cluster_fail(&world.cluster, "schema: a transaction has seen wide_%d in two forms", wide);
    }
}

/* One statement, at any level. */
static void read_one(struct fiber *f, struct client *c)
{
    struct sql_result r;
    struct view v;
    begin_view(&v);
    client_begin(f, c);
    int wide = (int)below(WIDES);
    if (below(2) == 0) {
        if (world_outcome(sql(f, c, &r, "SELECT * FROM wide_%d", wide)) == TOLD_COMMITTED) {
            look_at_wide(&v, wide, &r);
        }
    } else if (world_outcome(sql(f, c, &r, "SELECT * FROM bucket")) == TOLD_COMMITTED) {
        look_at_bucket(NULL, &r);
    }
}

static void check_an_index(struct fiber *f, struct client *c)
{
    char name[32];
    snprintf(name, sizeof(name), "wide_%d", (int)below(WIDES));
    client_begin(f, c);
    status_free(index_check(f, c, name, 0));
}

static void change_or_look(struct fiber *f, struct client *c)
{
    if (world_may(change_count, CHANGES_MAX)) {
        change_something(f, c);
    } else {
        read_together(f, c);
    }
}

/* ---- at the end ---- */

static void wait_for_jobs(struct fiber *f, struct client *c)
{
    struct sql_result r;
    for (int i = 0; i < 400; i++) {
        sql_must(f, c, &r, "SELECT statement FROM pg_catalog.sherd_jobs WHERE kind = 'schema'");
        if (r.nrows == 0) {
            return;
        }
        status_free(fiber_sleep(f, 100000000));
    }
    cluster_stuck(&world.cluster, "schema: jobs do not end: %s", sql_text(&r, 0, 0));
}

/* Whether what a change made must be there (1), must not (0), or may (-1). */
static int expected(const struct view *v, int n)
{
    const struct change *x = &changes[n];
    bool is_there = x->is_logged ? v->is_logged[n] : x->told == TOLD_COMMITTED;
    bool may_be = !x->is_logged && x->told == TOLD_UNKNOWN;
    bool may_be_gone = false;
    int removed_by = -1;
    for (int d = 0; d < change_count; d++) {
        const struct change *y = &changes[d];
        if (y->target != n) {
            continue;
        }
        if (y->is_logged ? v->is_logged[d] : y->told == TOLD_COMMITTED) {
            if (removed_by >= 0) {
                cluster_fail(&world.cluster, "schema: what change %d made was removed by %d and %d",
                             n, removed_by, d);
            }
            removed_by = d;
        } else if (!y->is_logged && y->told == TOLD_UNKNOWN) {
            may_be_gone = true;
        }
    }
    if (removed_by >= 0 && !is_there && !may_be) {
        cluster_fail(&world.cluster, "schema: change %d removed what %d had not made", removed_by,
                     n);
    }
    if (removed_by >= 0 || (!is_there && !may_be)) {
        return 0;
    }
    return may_be || may_be_gone ? -1 : 1;
}

static bool has_relation(const struct sql_result *r, const char *prefix, int n)
{
    char name[32];
    snprintf(name, sizeof(name), "%s%d", prefix, n);
    for (int row = 0; row < r->nrows; row++) {
        if (strcmp(sql_text(r, row, 0), name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_made(struct fiber *f, struct client *c, int n)
{
    struct sql_result r;
    char name[32];
    sql_must(f, c, &r, "SELECT count(*), count(DISTINCT b) FROM made_%d WHERE b IS NOT NULL", n);
    int rows = changes[n].is_logged ? MADE_ROWS : 0;
    if (sql_int(&r, 0, 0) != rows || sql_int(&r, 0, 1) != rows) {
        cluster_fail(&world.cluster, "schema: made_%d has %s of %d rows", n, sql_text(&r, 0, 0),
                     rows);
    }
    snprintf(name, sizeof(name), "made_%d", n);
    struct status *st = index_check(f, c, name, 0);
    if (st != NULL) {
        cluster_stuck(&world.cluster, "indexes of %s: %s", name, st->message);
    }
}

static void check_wide(struct fiber *f, struct client *c, struct view *v, int wide)
{
    struct sql_result r;
    char name[32];
    sql_must(f, c, &r, "SELECT * FROM wide_%d", wide);
    look_at_wide(v, wide, &r);
    compare_wide(v, wide);
    snprintf(name, sizeof(name), "wide_%d", wide);
    struct status *st = index_check(f, c, name, 0);
    if (st != NULL) {
        cluster_stuck(&world.cluster, "indexes of %s: %s", name, st->message);
    }
}

static void check_sum(const char *what, int64_t sum, int sure, int unsure)
{
    if (sum < sure || sum > sure + unsure) {
        cluster_fail(&world.cluster, "schema: %s sums to %d, %d and up to %d more are told", what,
                     (int)sum, sure, unsure);
    }
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r, b;
    struct view v;
    wait_for_jobs(f, c);
    begin_view(&v);
    sql_must(f, c, &r, "SELECT id, n FROM made_log");
    look_at_log(&v, &r);
    for (int k = 0; k < WIDES; k++) {
        check_wide(f, c, &v, k);
    }
    sql_must(f, c, &r, "SELECT relname FROM pg_class");
    for (int n = 0; n < change_count; n++) {
        enum kind kind = changes[n].kind;
        if (kind != MAKE && kind != ADD && kind != INDEX) {
            continue;
        }
        int is = expected(&v, n);
        bool is_there =
            kind == ADD ? v.has_column[n] : has_relation(&r, kind == MAKE ? "made_" : "i_", n);
        if (is >= 0 && is_there != (is == 1)) {
            cluster_fail(&world.cluster, "schema: what %s %d made is %s, told and logged otherwise",
                         kind_names[kind], n, is_there ? "there" : "not there");
        }
        if (kind == MAKE && is_there) {
            check_made(f, c, n);
        }
    }
    for (int row = 0; row < r.nrows; row++) {
        if (strncmp(sql_text(&r, row, 0), "undone", 6) == 0) {
            cluster_fail(&world.cluster, "schema: %s is there, which was rolled back",
                         sql_text(&r, row, 0));
        }
    }
    sql_must(f, c, &r, "SELECT * FROM bucket");
    look_at_bucket(&v, &r);
    sql_must(f, c, &r, "SELECT who FROM pair_a");
    sql_must(f, c, &b, "SELECT who FROM pair_b");
    look_at_pair(&v, sql_text(&r, 0, 0), sql_text(&b, 0, 0));
    sql_must(f, c, &r,
             "SELECT (SELECT sum(v) FROM wide_0 WHERE id %% %d = 0 AND id < %d) + (SELECT sum(v) "
             "FROM wide_1 WHERE id %% %d = 0 AND id < %d), (SELECT sum(v) FROM other), "
             "(SELECT count(*) FROM wide_0 WHERE id > %d) + (SELECT count(*) FROM wide_1 WHERE id "
             "> %d)",
             SPREAD, FIXED * SPREAD, SPREAD, FIXED * SPREAD, OWN_ROWS, OWN_ROWS);
    check_sum("wide", sql_int(&r, 0, 0), added, maybe_added);
    check_sum("other", sql_int(&r, 0, 1), others, maybe_others);
    check_sum("rows of their own", sql_int(&r, 0, 2), own, maybe_own);
}

const struct workload workload_schema = {"schema",
                                         4,
                                         setup,
                                         {{3, change_or_look},
                                          {2, read_together},
                                          {2, read_one},
                                          {1, check_an_index},
                                          {3, change_other},
                                          {2, read_twice},
                                          {5, change_rows}},
                                         finish};
