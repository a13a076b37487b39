/* See scenario.h. */
#include "scenario.h"

#include "base/check.h"
#include "base/mem.h"
#include "sql/codec.h"

#include <stdlib.h>
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

static struct slice shard_prefix(struct arena *a, int shard, const char *rest)
{
    struct buf b = {0};
    key_prefix(&b, MODEL_TABLE, 1);
    buf_put_u8(&b, (uint8_t)shard);
    buf_put_slice(&b, slice_str(rest));
    struct slice s = arena_copy(a, buf_slice(&b));
    buf_deinit(&b);
    return s;
}

static struct slice key_bytes(struct arena *a, int key)
{
    char text[2] = {names[key], '\0'};
    return shard_prefix(a, names[key] == 'y' || names[key] == 'm' ? 1 : 0, text);
}

struct slice scenario_cut(struct arena *a, int shard)
{
    return shard_prefix(a, shard, "");
}

static const struct row_column layout = {.type = TYPE_BYTEA, .typmod = -1};

/* Reads the spans into ops of the transaction, one for each key of `keys` (absent: empty list). */
static struct status *read_spans(struct fiber *f, struct arena *a, struct txn *t,
                                 struct key_span *spans, int nspans, const int *keys, int nkeys,
                                 enum lock_mode lock, uint64_t schema_version,
                                 struct history_txn *h, struct slice *out_value)
{
    int column = 0;
    struct fragment fr = {.table_id = MODEL_TABLE,
                          .index_id = 1,
                          .schema_version = schema_version,
                          .nrow_columns = 1,
                          .row_columns = (struct row_column *)(uintptr_t)&layout,
                          .ncolumns = 1,
                          .columns = &column,
                          .with_key = true,
                          .limit = -1,
                          .lock = lock,
                          .nspans = nspans,
                          .spans = spans};
    struct history_op *ops = &h->ops[h->op_count];
    ASSERT(h->op_count + nkeys <= HISTORY_OPS_MAX);
    for (int i = 0; i < nkeys; i++) {
        ops[i].key = keys[i];
        ops[i].seen = mem_alloc(4);
    }
    *out_value = (struct slice){0};
    struct op *op = txn_scan(a, t, &fr, false);
    struct status *st;
    for (;;) {
        struct batch *b;
        st = op_next(f, op, &b);
        if (st != NULL || b == NULL) {
            break;
        }
        for (int row = 0; row < b->nrows; row++) {
            for (int i = 0; i < nkeys; i++) {
                if (!slice_eq(key_bytes(a, keys[i]), datum_slice(&b->cols[1][row]))) {
                    continue;
                }
                struct slice v = arena_copy(a, datum_slice(&b->cols[0][row]));
                ops[i].seen_count = (int)(v.len / 4);
                ops[i].seen = mem_realloc(ops[i].seen, v.len + 4);
                for (int k = 0; k < ops[i].seen_count; k++) {
                    ops[i].seen[k] = get_u32(v.data + 4 * k);
                }
                *out_value = v;
            }
        }
    }
    op_close(op);
    h->op_count += nkeys; /* also after an error: its caller forgets them */
    return st;
}

static struct status *read_key(struct fiber *f, struct arena *a, struct txn *t, int key,
                               enum lock_mode lock, uint64_t schema_version, struct history_txn *h,
                               struct slice *out_value)
{
    struct slice k = key_bytes(a, key);
    uint8_t *end = arena_alloc(a, k.len + 1);
    memcpy(end, k.data, k.len);
    end[k.len] = 0;
    struct key_span span = {k, slice_make(end, k.len + 1), true};
    return read_spans(f, a, t, &span, 1, &key, 1, lock, schema_version, h, out_value);
}

static struct status *read_gaps(struct fiber *f, struct arena *a, struct txn *t,
                                struct history_txn *h)
{
    struct key_span spans[2] = {{shard_prefix(a, 0, "n"), shard_prefix(a, 0, "o"), false},
                                {shard_prefix(a, 1, "m"), shard_prefix(a, 1, "n"), false}};
    int keys[2] = {key_of('n'), key_of('m')};
    struct slice ignored;
    return read_spans(f, a, t, spans, 2, keys, 2, LOCK_NONE, 0, h, &ignored);
}

static uint32_t next_element;

static struct status *append(struct fiber *f, struct arena *a, struct txn *t, int key,
                             struct slice old, bool must_be_absent, bool is_last,
                             struct history_txn *h)
{
    struct history_op *w = &h->ops[h->op_count++];
    ASSERT(h->op_count <= HISTORY_OPS_MAX);
    w->key = key;
    w->is_append = true;
    w->element = ++next_element;
    struct buf bytes = {0}, row = {0};
    buf_put_slice(&bytes, old);
    buf_put_u32(&bytes, w->element);
    struct datum d = datum_bytes(buf_slice(&bytes));
    row_encode(&row, &layout, 1, &d);
    struct txn_write x = {.kind = must_be_absent || old.data == NULL ? SHERD__V1__OP_KIND__OP_INSERT
                                                                     : SHERD__V1__OP_KIND__OP_PUT,
                          .key = key_bytes(a, key),
                          .value = arena_copy(a, buf_slice(&row))};
    struct txn_write_result res = {0};
    struct status *st = txn_write(f, t, a, &x, 1, MODEL_TABLE, 0, is_last, &res);
    buf_deinit(&bytes);
    buf_deinit(&row);
    return st == NULL && res.failed ? status_new(CONSTRAINT, "duplicate key") : st;
}

/* ---- programs ---- */

static void forget_ops(struct history_txn *h, int count)
{
    while (h->op_count > count) {
        h->op_count--;
        mem_free(h->ops[h->op_count].seen);
        memset(&h->ops[h->op_count], 0, sizeof(h->ops[0]));
    }
}

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
        return append(f, a, t, key, value, false, is_implicit, h);
    case 'I':
        return append(f, a, t, key, (struct slice){0}, true, is_implicit, h);
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
        forget_ops(h, before);
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
            forget_ops(h, ops_at_savepoint);
        } else {
            st = statement(f, a, t, s[0], s[0] == 'G' ? '\0' : s[1], p->implicit, h);
            s += s[0] == 'G' ? 0 : 1;
        }
    }
    if (st == NULL) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    h->outcome = outcome_of(st);
    h->end_ns = h->outcome == TOLD_UNKNOWN ? UINT64_MAX : sim_now_ns(sim);
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
        st = append(f, a, t, key_of(*k), (struct slice){0}, true, false, h);
    }
    if (st == NULL) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    arena_destroy(a);
    h->outcome = st == NULL ? TOLD_COMMITTED : TOLD_ABORTED;
    h->end_ns = sim_now_ns(n->cluster->sim);
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
    if (st == NULL) {
        st = txn_commit(f, t);
    } else {
        txn_rollback(f, t);
    }
    arena_destroy(a);
    h->outcome = st == NULL ? TOLD_COMMITTED : TOLD_ABORTED;
    h->end_ns = sim_now_ns(n->cluster->sim);
    if (st != NULL) {
        forget_ops(h, 0);
    }
    return st;
}
