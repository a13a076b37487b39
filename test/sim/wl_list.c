/*
 * List-append through SQL: a row a key, a text that grows. Blocks of statements at one level, with
 * savepoints, row locks and own writes that are read again; also single statements without a block,
 * which the server may run again. The history is checked as that of wl_txn.c.
 */
#include "workload.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 6
#define TXNS_MAX 400

static struct history strict, weak;
static uint32_t next_element;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE list (k int PRIMARY KEY, grp int, v text NOT NULL)");
    sql_must(f, c, NULL, "CREATE INDEX list_grp ON list (grp)");
    strict.key_count = weak.key_count = 2 * KEYS;
}

/* "5,17," */
static uint32_t *elements(const char *text, int *out_count)
{
    int n = 0;
    uint32_t *out = mem_alloc(sizeof(uint32_t) * (strlen(text == NULL ? "" : text) + 1));
    for (const char *p = text; p != NULL && *p != '\0';) {
        char *end;
        out[n++] = (uint32_t)strtoul(p, &end, 10);
        p = end + (*end == ',');
    }
    *out_count = n;
    return out;
}

static void note_read(struct history_txn *h, int key, const char *text)
{
    struct history_op *op = &h->ops[h->op_count++];
    op->key = key;
    op->seen = elements(text, &op->seen_count);
}

static struct status *read_list(struct fiber *f, struct client *c, struct history_txn *h, int key,
                                const char *lock)
{
    struct sql_result r;
    TRY(sql(f, c, &r, "SELECT v FROM list WHERE k = %d%s", key, lock));
    note_read(h, key, r.nrows > 0 ? sql_text(&r, 0, 0) : NULL);
    return NULL;
}

/* The weak levels lock before they append: so each element is behind what was read. */
static struct status *append(struct fiber *f, struct client *c, struct history_txn *h, int key)
{
    struct history_op *op = &h->ops[h->op_count++];
    op->key = key;
    op->is_append = true;
    op->element = ++next_element;
    if (below(2) == 0) {
        return sql(f, c, NULL,
                   "INSERT INTO list VALUES (%d, %d, '%u,') ON CONFLICT (k) DO UPDATE SET v = "
                   "list.v || excluded.v",
                   key, key % 3, op->element);
    }
    struct sql_result r;
    TRY(sql(f, c, &r, "UPDATE list SET v = v || '%u,' WHERE k = %d", op->element, key));
    if (sql_affected(&r) == 0) {
        return sql(f, c, NULL, "INSERT INTO list VALUES (%d, %d, '%u,')", key, key % 3,
                   op->element);
    }
    return NULL;
}

/* A group of lists through the index. */
static struct status *read_group(struct fiber *f, struct client *c, struct history_txn *h, int base)
{
    struct sql_result r;
    int grp = (int)below(3);
    TRY(sql(f, c, &r, "SELECT k, v FROM list WHERE grp = %d AND k >= %d AND k < %d", grp, base,
            base + KEYS));
    for (int k = base; k < base + KEYS; k++) {
        const char *text = NULL;
        for (int i = 0; i < r.nrows; i++) {
            text = sql_int(&r, i, 0) == k ? sql_text(&r, i, 1) : text;
        }
        if (k % 3 == grp) {
            note_read(h, k, text);
        }
    }
    return NULL;
}

static struct status *statement(struct fiber *f, struct client *c, struct history_txn *h,
                                bool read_only, int base)
{
    int key = base + (int)below(KEYS);
    if (h->op_count + 2 <= HISTORY_OPS_MAX && below(5) == 0) {
        return read_group(f, c, h, base);
    }
    if (read_only || below(2) == 0) {
        return read_list(f, c, h, key, !read_only && below(4) == 0 ? " FOR SHARE" : "");
    }
    return append(f, c, h, key);
}

static void block(struct fiber *f, struct client *c, enum txn_isolation level, bool is_weak)
{
    struct history *history = is_weak ? &weak : &strict;
    if (!world_may(history->count, TXNS_MAX)) {
        return;
    }
    bool read_only = below(5) == 0;
    int base = is_weak ? KEYS : 0; /* the weak ones have lists of their own */
    struct history_txn *h = history_begin(history, now(), read_only ? 'r' : 's');
    h->has_snapshot = level == TXN_REPEATABLE_READ;
    client_begin(f, c);
    struct status *st =
        sql(f, c, NULL, "BEGIN %s%s", sql_level(level), read_only ? " READ ONLY" : "");
    int n = 1 + (int)below(3);
    for (int i = 0; i < n && st == NULL; i++) {
        int before = h->op_count;
        bool is_undone = !read_only && below(6) == 0;
        if (is_undone) {
            st = sql(f, c, NULL, "SAVEPOINT s");
        }
        if (st == NULL && h->op_count + 2 <= HISTORY_OPS_MAX) {
            st = statement(f, c, h, read_only, base);
        }
        if (st == NULL && is_undone) {
            st = sql(f, c, NULL, "ROLLBACK TO s");
            history_forget(h, before);
        }
        if (st == NULL && below(3) == 0) {
            st = fiber_sleep(f, below(20) * 1000000);
        }
    }
    enum told told = sql_end(f, c, st);
    history_end(h, told, now());
}

static void single(struct fiber *f, struct client *c)
{
    if (!world_may(strict.count, TXNS_MAX)) {
        return;
    }
    struct history_txn *h = history_begin(&strict, now(), 'a');
    client_begin(f, c);
    struct status *st = statement(f, c, h, below(2) == 0, 0);
    /* An append may be two statements; the second is told alone. */
    enum told told = world_outcome(st);
    history_end(h, told, now());
}

static void step(struct fiber *f, struct client *c)
{
    if (!world_may(strict.count, TXNS_MAX)) {
        client_begin(f, c);
        world_outcome(sql(f, c, NULL, "SELECT count(*) FROM list"));
        return;
    }
    switch (below(4)) {
    case 0:
        single(f, c);
        break;
    case 1:
        block(f, c, below(2) == 0 ? TXN_READ_COMMITTED : TXN_REPEATABLE_READ, true);
        break;
    default:
        block(f, c, world.isolation, false);
    }
}

static void finish(struct fiber *f, struct client *c)
{
    for (int i = 0; i < 2; i++) {
        struct history *history = i == 0 ? &strict : &weak;
        struct history_txn *h = history_begin(history, now(), 'F');
        struct sql_result r;
        static_assert(KEYS <= HISTORY_OPS_MAX, "one transaction reads all lists");
        sql_must(f, c, &r, "SELECT k, v FROM list ORDER BY k");
        for (int k = 0; k < KEYS; k++) {
            const char *text = NULL;
            for (int row = 0; row < r.nrows; row++) {
                text = sql_int(&r, row, 0) == k + i * KEYS ? sql_text(&r, row, 1) : text;
            }
            note_read(h, k + i * KEYS, text);
        }
        history_end(h, TOLD_COMMITTED, now());
        char *anomaly = history_check(history, i == 0 ? HISTORY_STRICT : HISTORY_COMMITTED);
        if (anomaly != NULL) {
            cluster_fail(&world.cluster, "SQL lists: %s", anomaly);
        }
    }
}

const struct workload workload_list = {"list", 5, setup, {{1, step}}, finish};
