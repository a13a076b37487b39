/*
 * Races for unique values: a row has a key of its own and a value that others want too. By INSERT
 * (refused with 23505, or DO NOTHING), by UPDATE to another value, two values in one statement or
 * transaction, at all levels. At the end each value has one owner at most; who was told that it
 * owns a value and has not moved on owns it; who was told "exists" met an owner.
 */
#include "workload.h"

#define TOKENS_MAX 1500

struct token {
    uint32_t a, b;     /* values wanted; b = 0: one only */
    uint32_t moved_to; /* an UPDATE of a was tried; 0 = none */
    enum told outcome, move;
    bool met_other;
};

static struct token tokens[TOKENS_MAX + 1];
static uint32_t token_count, next_value = 1;

static void setup(struct fiber *f, struct client *c)
{
    sql_must(f, c, NULL, "CREATE TABLE owner (id int PRIMARY KEY, token int, u int UNIQUE)");
}

static struct status *take(struct fiber *f, struct client *c, uint32_t id, uint32_t token,
                           uint32_t value, bool *out_met)
{
    struct sql_result r;
    bool quiet = below(3) == 0;
    struct status *st = sql(f, c, &r, "INSERT INTO owner VALUES (%u, %u, %u)%s", id, token, value,
                            quiet ? " ON CONFLICT (u) DO NOTHING" : "");
    *out_met = quiet ? st == NULL && sql_affected(&r) == 0 : sql_is(st, "23505");
    return st;
}

static void race(struct fiber *f, struct client *c)
{
    if (token_count == TOKENS_MAX) {
        return;
    }
    uint32_t n = ++token_count;
    struct token *t = &tokens[n];
    next_value += below(3) == 0;
    t->a = next_value;
    bool is_block = below(2) == 0;
    if (below(3) == 0) {
        is_block = true;
        t->b = next_value + 1;
    }
    client_begin(f, c);
    struct status *st = NULL;
    if (is_block) {
        st = sql(f, c, NULL, "BEGIN %s", sql_level((enum txn_isolation)below(3)));
    }
    bool met = false;
    if (st == NULL) {
        st = take(f, c, 2 * n, n, t->a, &met);
    }
    if (st == NULL && t->b != 0 && !met) {
        st = take(f, c, 2 * n + 1, n, t->b, &met);
    }
    t->met_other = met;
    enum told o;
    if (is_block) {
        o = sql_end(f, c, met && st == NULL ? status_new(CONSTRAINT, "the value is taken") : st);
    } else {
        o = world_outcome(st);
    }
    t->outcome = met ? TOLD_ABORTED : o;
}

/* An owner moves on to a value nobody wants yet, or to the one that all want. */
static void move(struct fiber *f, struct client *c)
{
    uint32_t n = token_count == 0 ? 0 : 1 + (uint32_t)below(token_count);
    struct token *t = &tokens[n];
    if (n == 0 || t->outcome != TOLD_COMMITTED || t->b != 0 || t->moved_to != 0) {
        return;
    }
    t->moved_to = below(2) == 0 ? next_value : 1000000 + n;
    t->move = TOLD_UNKNOWN;
    client_begin(f, c);
    struct sql_result r;
    struct status *st =
        sql(f, c, &r, "UPDATE owner SET u = %u WHERE id = %u AND u = %u", t->moved_to, 2 * n, t->a);
    if (st == NULL && sql_affected(&r) != 1) {
        cluster_fail(&world.cluster, "unique: token %u does not own %u, as it was told", n, t->a);
    }
    t->move = world_outcome(st);
}

static bool may_own(const struct token *t, uint32_t value)
{
    if (t->outcome == TOLD_ABORTED) {
        return false;
    }
    if (t->moved_to != 0 && t->move != TOLD_ABORTED && value == t->moved_to) {
        return true;
    }
    return (value == t->a && (t->moved_to == 0 || t->move != TOLD_COMMITTED)) ||
           (t->b != 0 && value == t->b);
}

static void finish(struct fiber *f, struct client *c)
{
    struct sql_result r;
    static int owned[TOKENS_MAX + 1];
    static bool has_owner[TOKENS_MAX + 4];
    bool has_moved = false;
    sql_must(f, c, &r, "SELECT u, token FROM owner ORDER BY u");
    for (int i = 0; i < r.nrows; i++) {
        uint32_t value = (uint32_t)sql_int(&r, i, 0), n = (uint32_t)sql_int(&r, i, 1);
        if (i > 0 && sql_int(&r, i - 1, 0) == value) {
            cluster_fail(&world.cluster, "unique: two rows have value %u", value);
        }
        if (n > token_count || !may_own(&tokens[n], value)) {
            cluster_fail(&world.cluster, "unique: token %u owns %u, and was told otherwise", n,
                         value);
        }
        owned[n]++;
        if (value < TOKENS_MAX + 4) {
            has_owner[value] = true;
        }
    }
    for (uint32_t n = 1; n <= token_count; n++) {
        const struct token *t = &tokens[n];
        has_moved |= t->moved_to != 0;
        int wanted = t->b != 0 ? 2 : 1;
        if (owned[n] != 0 ? owned[n] != wanted : t->outcome == TOLD_COMMITTED) {
            cluster_fail(&world.cluster, "unique: token %u owns %d values of %d", n, owned[n],
                         wanted);
        }
    }
    for (uint32_t n = 1; n <= token_count && !has_moved; n++) {
        const struct token *t = &tokens[n];
        if (t->met_other && !has_owner[t->a] && (t->b == 0 || !has_owner[t->b])) {
            cluster_fail(&world.cluster,
                         "unique: token %u was told that %u exists, and it does not", n, t->a);
        }
    }
}

const struct workload workload_unique = {"unique", 2, setup, {{1, move}, {4, race}}, finish};
