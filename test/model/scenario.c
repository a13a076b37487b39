/* See scenario.h. */
#include "scenario.h"

#include "../sim/rows.h"

#include "base/check.h"
#include <string.h>

#define STATEMENT_TRIES 3

#define SER TXN_SERIALIZABLE
#define RPT TXN_REPEATABLE_READ
#define RC TXN_READ_COMMITTED
#define STRICT HISTORY_STRICT

/* Delays put the transactions side by side; the schedules vary the rest. */
const struct scenario scenarios[] = {
    {"commit",
     "atomic commit of two shards beside a snapshot reader (C1-C6, P1-P6, F1-F4)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "Ux Uy"}, {SER, false, 2, 300, "Rx Ry"}, {SER, false, 3, 600, "Ry Rx"}}},
    {"cross",
     "two writers of the same two keys, opposite order (locks, attempts)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "Ux Uy"}, {SER, false, 2, 200, "Uy Ux"}}},
    {"skew",
     "write skew over two shards (C2, P4, validation)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "Rx Uy"}, {SER, false, 2, 0, "Sy Ux"}, {SER, false, 3, 900, "Rx Ry"}}},
    {"skew1",
     "write skew in one shard, with a LATEST reader (P4, R2)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "Rx Uz"}, {SER, false, 2, 0, "Rz Ux"}, {SER, true, 3, 700, "Rx"}}},
    {"refresh",
     "a snapshot that moves forward (W4)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "Rx Ay"}, {SER, false, 2, 100, "Ux Uy"}, {SER, true, 3, 1500, "Rx"}}},
    {"latest",
     "LATEST reads beside commits of both shards (R2, R3)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "Uy"},
      {SER, false, 2, 200, "Ux"},
      {SER, false, 3, 300, "Rx Ry"},
      {SER, true, 2, 600, "Rx"}}},
    {"savepoint",
     "a savepoint undone, then a commit over both shards (W6, W1)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "Ux (Uy Uz) Uy"},
      {SER, false, 2, 200, "Ry Rz"},
      {SER, false, 3, 400, "Uz"}}},
    {"savepoint-lock",
     "a key that only the undone part had locked (W6)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "(Uy) Ux"}, {SER, false, 2, 200, "Uy Rx"}}},
    {"lock-only",
     "READ COMMITTED: FOR UPDATE on one shard holds until the commit on the other (section 8)",
     "dbkKpt",
     STRICT,
     {{RC, false, 1, 0, "Lx .. Uy"}, {RC, false, 2, 1500000, "Ux Uy"}}},
    {"lock-share",
     "REPEATABLE READ: FOR SHARE on one shard, write on the other (section 8)",
     "dbkKpt",
     STRICT,
     {{RPT, false, 1, 0, "Sx .. Uy"}, {RPT, false, 2, 1500000, "Sy Ux"}}},
    {"committed",
     "READ COMMITTED: no lost update, no dirty read",
     "dbkKpt",
     HISTORY_COMMITTED,
     {{RC, false, 1, 0, "Ux Uy"}, {RC, false, 2, 200, "Uy Ux"}, {RC, false, 3, 500, "Rx Ry"}}},
    {"repeatable",
     "REPEATABLE READ: no lost update, no dirty read",
     "dbkKpt",
     HISTORY_COMMITTED,
     {{RPT, false, 1, 0, "Ax Ay"}, {RPT, false, 2, 200, "Ay Ax"}, {RPT, false, 3, 500, "Rx Ry"}}},
    {"gaps",
     "phantoms: ranges read as empty, inserted into by others (R4, P4)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "G Ux"}, {SER, false, 2, 100, "Rx In Im"}, {SER, false, 3, 900, "G"}}},
    {"insert",
     "the same absent keys inserted by two (W3)",
     "dbkKpt",
     STRICT,
     {{SER, false, 1, 0, "In Im"}, {SER, false, 2, 100, "Im In"}, {SER, false, 3, 700, "Rn Rm"}}},
    {"autocommit",
     "begin, write and commit in one call, its answer lost (section 7)",
     "dbkKpt",
     STRICT,
     {{SER, true, 1, 0, "In"},
      {SER, true, 2, 100, "Im"},
      {SER, true, 3, 500, "Rn"},
      {SER, false, 1, 900, "Rn Rm"}}},
    {"old-reader",
     "garbage collection up to now beside readers (watermark, 72000)",
     "dbg",
     STRICT,
     {{SER, false, 1, 0, "Rx . Ry"}, {SER, false, 2, 100, "Ux Uy"}, {SER, false, 3, 200, "Ux Uy"}}},
    {"split",
     "a split of the range beside prepared transactions (section 9)",
     "dbkKs",
     STRICT,
     {{SER, false, 1, 0, "Ux Uy Uz"},
      {SER, false, 2, 200, "Uz Rx"},
      {SER, false, 3, 400, "Rx Ry Rz"}}},
    {"fence",
     "a schema fence beside transactions of the older version (section 9)",
     "dbkKf",
     STRICT,
     {{SER, false, 1, 0, "Ux . Uy"}, {SER, false, 2, 200, "Rx Uz"}, {SER, false, 3, 900000, "Ux"}}},
};
const int scenario_count = (int)(sizeof(scenarios) / sizeof(scenarios[0]));

/* ---- keys and values ---- */

static const char names[MODEL_KEYS + 1] = "xyznm";

static int key_of(char name)
{
    const char *at = strchr(names, name);
    ASSERT_MSG(at != NULL && name != '\0', "a program names a key that is none");
    return (int)(at - names);
}

static struct slice key_bytes(struct arena *a, int key)
{
    return row_key(a, names[key] == 'y' || names[key] == 'm' ? 1 : 0, slice_make(names + key, 1));
}

struct slice scenario_cut(struct arena *a, int shard)
{
    return row_key(a, (uint8_t)shard, slice_str(""));
}

/* Notes what the scan sees of each key (absent: an empty list). */
static struct status *read_noted(struct fiber *f, struct arena *a, struct txn *t,
                                 struct read_many *m, const int *keys, enum lock_mode lock,
                                 struct history_txn *h)
{
    ASSERT(h->op_count + m->count <= HISTORY_OPS_MAX);
    for (int i = 0; i < m->count; i++) {
        m->keys[i] = key_bytes(a, keys[i]);
    }
    TRY(read_keys(f, a, t, m, lock));
    for (int i = 0; i < m->count; i++) {
        struct history_op *op = &h->ops[h->op_count++];
        op->key = keys[i];
        history_see(op, m->values[i].data, m->values[i].len);
    }
    return NULL;
}

static struct status *read_key(struct fiber *f, struct arena *a, struct txn *t, int key,
                               enum lock_mode lock, uint64_t schema_version, struct history_txn *h,
                               struct slice *out_value)
{
    struct read_many m = {.count = 1, .schema_version = schema_version};
    TRY(read_noted(f, a, t, &m, &key, lock, h));
    *out_value = m.values[0];
    return NULL;
}

static struct status *read_gaps(struct fiber *f, struct arena *a, struct txn *t,
                                struct history_txn *h)
{
    struct key_span spans[2] = {
        {row_key(a, 0, slice_str("n")), row_key(a, 0, slice_str("o")), false},
        {row_key(a, 1, slice_str("m")), row_key(a, 1, slice_str("n")), false}};
    int keys[2] = {key_of('n'), key_of('m')};
    struct read_many m = {.count = 2, .spans = spans, .nspans = 2};
    return read_noted(f, a, t, &m, keys, LOCK_NONE, h);
}

static uint32_t next_element;

static struct status *append(struct fiber *f, struct arena *a, struct txn *t, int key,
                             struct slice old, bool is_last, struct history_txn *h)
{
    struct history_op *w = &h->ops[h->op_count++];
    ASSERT(h->op_count <= HISTORY_OPS_MAX);
    w->key = key;
    w->is_append = true;
    w->element = ++next_element;
    return append_to_read(f, a, t, key_bytes(a, key), old, w->element, is_last);
}

/* ---- programs ---- */

static struct status *step(struct fiber *f, struct arena *a, struct txn *t, char what, char name,
                           bool is_implicit, struct history_txn *h)
{
    struct slice value;
    int key = what == 'G' ? 0 : key_of(name);
    switch (what) {
    case 'R':
        txn_hint_single_scan(t);
        return read_key(f, a, t, key, LOCK_NONE, 0, h, &value);
    case 'L':
        return read_key(f, a, t, key, LOCK_UPDATE, 0, h, &value);
    case 'S':
        return read_key(f, a, t, key, LOCK_SHARE, 0, h, &value);
    case 'A':
    case 'U':
        TRY(read_key(f, a, t, key, what == 'U' ? LOCK_UPDATE : LOCK_NONE, 0, h, &value));
        return append(f, a, t, key, value, is_implicit, h);
    case 'I':
        return append(f, a, t, key, (struct slice){0}, is_implicit, h);
    case 'G':
        return read_gaps(f, a, t, h);
    default:
        ASSERT_MSG(false, "a program has a step that is none");
        return NULL;
    }
}

/* Again after a conflict, when nothing that was read before has changed: as a router does. */
static struct status *statement(struct fiber *f, struct arena *a, struct txn *t, char what,
                                char name, bool is_implicit, struct history_txn *h)
{
    int before = h->op_count;
    struct status *st = NULL;
    for (int i = 0; i < STATEMENT_TRIES; i++) {
        status_free(st);
        st = txn_statement_begin(f, t);
        if (st == NULL) {
            st = step(f, a, t, what, name, is_implicit, h);
        }
        if (!status_is(st, STATUS_CONFLICT)) {
            return st;
        }
        struct status *refused = txn_refresh(f, t);
        if (refused != NULL) {
            status_free(refused);
            return st;
        }
        history_forget(h, before);
    }
    return st;
}

static enum told outcome_of(struct status *st)
{
    enum told o = st == NULL ? TOLD_COMMITTED
                  : st->code == STATUS_UNKNOWN_OUTCOME || st->code == STATUS_INTERNAL
                      ? TOLD_UNKNOWN
                      : TOLD_ABORTED;
    status_free(st);
    return o;
}

void program_run(struct fiber *f, struct cluster_node *n, const struct program *p,
                 struct history *history)
{
    struct txn_options o = {.isolation = p->isolation, .implicit = p->implicit};
    o.read_only = p->implicit && p->steps[0] == 'R';
    struct sim *sim = n->cluster->sim;
    struct history_txn *h = history_begin(history, sim_now_ns(sim), p->implicit ? 'i' : 't');
    struct txn *t = txn_begin(n->router, &o);
    struct arena *a = arena_create(0);
    struct status *st = NULL;
    uint64_t savepoint = 0;
    int ops_at_savepoint = 0;
    for (const char *s = p->steps; *s != '\0' && st == NULL; s++) {
        if (*s == ' ') {
            continue;
        }
        if (*s == '.') {
            st = fiber_sleep(f, SECOND);
        } else if (*s == '(') {
            savepoint = txn_savepoint(t);
            ops_at_savepoint = h->op_count;
        } else if (*s == ')') {
            st = txn_rollback_to(f, t, savepoint);
            history_forget(h, ops_at_savepoint);
        } else {
            st = statement(f, a, t, s[0], s[0] == 'G' ? '\0' : s[1], p->implicit, h);
            s += s[0] == 'G' ? 0 : 1;
        }
    }
    st = commit_or_undo(f, t, st);
    history_end(h, outcome_of(st), sim_now_ns(sim));
    arena_destroy(a);
}

struct status *scenario_prepare(struct fiber *f, struct cluster_node *n, struct history *history)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE};
    struct history_txn *h = history_begin(history, sim_now_ns(n->cluster->sim), 'p');
    struct txn *t = txn_begin(n->router, &o);
    struct arena *a = arena_create(0);
    struct status *st = txn_statement_begin(f, t);
    for (const char *k = "xyz"; *k != '\0' && st == NULL; k++) {
        st = append(f, a, t, key_of(*k), (struct slice){0}, false, h);
    }
    st = commit_or_undo(f, t, st);
    arena_destroy(a);
    history_end(h, st == NULL ? TOLD_COMMITTED : TOLD_ABORTED, sim_now_ns(n->cluster->sim));
    return st;
}

struct status *scenario_look(struct fiber *f, struct cluster_node *n, struct history *history,
                             uint64_t schema_version)
{
    struct txn_options o = {.isolation = TXN_SERIALIZABLE, .read_only = true};
    struct history_txn *h = history_begin(history, sim_now_ns(n->cluster->sim), 'f');
    struct txn *t = txn_begin(n->router, &o);
    struct arena *a = arena_create(0);
    struct slice ignored;
    struct status *st = txn_statement_begin(f, t);
    for (int k = 0; k < MODEL_KEYS && st == NULL; k++) {
        st = read_key(f, a, t, k, LOCK_NONE, schema_version, h, &ignored);
    }
    st = commit_or_undo(f, t, st);
    arena_destroy(a);
    history_end(h, st == NULL ? TOLD_COMMITTED : TOLD_ABORTED, sim_now_ns(n->cluster->sim));
    if (st != NULL) {
        history_forget(h, 0);
    }
    return st;
}
