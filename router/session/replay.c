/*
 * Replay of a transaction of several statements after a conflict (40001) that no refresh can mend.
 *
 * The session keeps what it has run in the transaction: bound plans with their parameters, the
 * savepoint commands, and a digest of what each statement has sent to the client. On a conflict the
 * transaction, which is then sure not to have committed (C6), is rolled back and run again as a new
 * one. If every statement gives what it gave the first time, the client cannot tell the difference,
 * and the session goes on; else the client hears the 40001.
 *
 * The same at the second time: now() and its like (kept times), values drawn from sequences (they
 * belong to this transaction: drawn again from `drawn`), the ids of savepoints (counted from one in
 * each transaction). Not the same: random() and other volatile functions; where their values were
 * sent the digests differ.
 *
 * Below SERIALIZABLE a transaction that was lost with a workspace (another leader, silence) has met
 * nobody: it is run again as one that was slow, in the snapshot that it had, so that also what was
 * not sent, as the rows of INSERT ... SELECT, is what it was. At READ COMMITTED each statement has
 * its own again, up to the first that locks or writes: those after it read what is committed under
 * its locks, which others may have had meanwhile. Should that not do, because somebody has changed
 * what it had locked, or the history is collected, then in new snapshots like the others.
 *
 * Never replayed: what has effects outside of the transaction (setval, set_config), statements that
 * are not plans (COPY TO, schema changes), plans of a schema that has changed since, and whatever
 * is beyond the bounds below (COPY FROM: sql.statement_mb of data in a transaction). An unknown
 * outcome (08007) is no conflict.
 *
 * Invariants
 *  1 a step's digest covers what was sent and nothing else: rows, the command tag, or the error.
 *  2 when replay_run() fails, the transaction is gone and the block is doomed: only ROLLBACK is
 *    left, also where a savepoint could be returned to.
 */
#include "session_internal.h"

#include "base/check.h"
#include "base/mem.h"

#include <xxhash.h>

#include <string.h>

#define STEPS_MAX 10000
#define BYTES_MAX ((size_t)8 << 20) /* of parameters and steps */
#define ATTEMPTS_MAX 8
#define PAUSE_NS 200000 /* before the first replay; doubles */

/* ---- digests ---- */

static void digest_add(struct digest *d, const void *data, size_t len)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(data, len, d->low ^ (d->high << 1 | d->high >> 63));
    d->low = h.low64;
    d->high = h.high64;
}

void digest_row(struct digest *d, const struct batch *b, int row)
{
    uint8_t small[1024];
    struct buf big = {0};
    size_t n = 0;
    for (int c = 0; c < b->ncols; c++) {
        const struct datum *v = &b->cols[c][row];
        const struct type_info *t = type_find(b->types[c]);
        bool is_inline = t == NULL || t->is_inline;
        size_t len = v->is_null ? 0 : is_inline ? 8 : v->len;
        uint8_t head[5] = {v->is_null ? 1 : 0};
        set_u32(head + 1, (uint32_t)len);
        const void *data = is_inline ? (const void *)&v->i : v->p;
        if (n + sizeof(head) + len > sizeof(small)) {
            buf_put(&big, small, n);
            n = 0;
            buf_put(&big, head, sizeof(head));
            buf_put(&big, data, len);
            continue;
        }
        memcpy(small + n, head, sizeof(head));
        if (len > 0) {
            memcpy(small + n + sizeof(head), data, len);
        }
        n += sizeof(head) + len;
    }
    if (big.len > 0) {
        buf_put(&big, small, n);
        digest_add(d, big.data, big.len);
    } else {
        digest_add(d, small, n);
    }
    buf_deinit(&big);
}

void digest_text(struct digest *d, const char *text)
{
    digest_add(d, text, strlen(text) + 1);
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
    return a->low == b->low && a->high == b->high;
}

/* ---- keeping ---- */

static void free_step(struct replay_step *x)
{
    plan_unref(x->plan);
    if (x->copy != NULL) {
        mem_free(x->copy->sql);
        buf_deinit(&x->copy->data);
        mem_free(x->copy);
        x->copy = NULL;
    }
}

void replay_give_up(struct session *s)
{
    s->replay.is_given_up = true;
    if (s->txn != NULL) {
        txn_cannot_rerun(s->txn);
    }
}

void replay_clear(struct session *s)
{
    struct replay *r = &s->replay;
    for (struct replay_step *x = r->first; x != NULL; x = x->next) {
        free_step(x);
    }
    if (r->arena != NULL) {
        if (arena_used(r->arena) > IDLE_ARENA_BYTES) {
            arena_destroy(r->arena);
            r->arena = NULL;
        } else {
            arena_reset(r->arena);
        }
    }
    *r = (struct replay){.arena = r->arena};
}

void replay_deinit(struct session *s)
{
    replay_clear(s);
    arena_destroy(s->replay.arena);
    s->replay.arena = NULL;
}

static struct replay_step *add_step(struct session *s, enum replay_kind kind)
{
    struct replay *r = &s->replay;
    if (r->is_given_up || r->is_running) {
        return NULL;
    }
    if (r->count >= STEPS_MAX || (r->arena != NULL && arena_used(r->arena) > BYTES_MAX) ||
        !settings_values(s)->auto_retry) {
        replay_give_up(s);
        return NULL;
    }
    if (r->arena == NULL) {
        r->arena = arena_create(0);
    }
    struct replay_step *x = ARENA_NEW(r->arena, struct replay_step);
    x->kind = kind;
    if (r->last != NULL) {
        r->last->next = x;
    } else {
        r->first = x;
    }
    r->last = x;
    r->count++;
    return x;
}

struct replay_step *replay_plan(struct session *s, struct plan *plan, const struct datum *params,
                                int nparams, int64_t now_us)
{
    struct replay_step *x = add_step(s, REPLAY_PLAN);
    if (x == NULL) {
        return NULL;
    }
    struct arena *a = s->replay.arena;
    const type_oid *types;
    int n = plan_params(plan, &types);
    ASSERT(n == nparams);
    size_t bytes = 0;
    for (int i = 0; i < n; i++) {
        const struct type_info *t = type_find(types[i]);
        bytes += params[i].is_null || t == NULL || t->is_inline ? 0 : params[i].len;
    }
    x->plan = plan_ref(plan);
    x->now_us = now_us;
    if (bytes > BYTES_MAX) {
        replay_give_up(s);
        return NULL;
    }
    struct datum *copy = ARENA_ARRAY(a, struct datum, n + 1);
    for (int i = 0; i < n; i++) {
        copy[i] = datum_copy(a, types[i], &params[i]);
    }
    x->params = copy;
    x->nparams = n;
    return x;
}

struct replay_step *replay_copy(struct session *s, struct slice sql, int64_t now_us)
{
    struct replay_step *x = add_step(s, REPLAY_COPY);
    if (x != NULL) {
        x->now_us = now_us;
        x->copy = MEM_NEW(struct replay_copy);
        x->copy->sql = mem_strndup(sql.data, sql.len);
    }
    return x;
}

bool replay_copy_data(struct session *s, struct replay_step *x, struct slice piece)
{
    struct replay *r = &s->replay;
    size_t max = (size_t)router_config(s->router)->statement_mb << 20;
    if (r->is_given_up || piece.len > max || r->copy_bytes > max - piece.len) {
        buf_deinit(&x->copy->data);
        replay_give_up(s);
        return false;
    }
    r->copy_bytes += piece.len;
    buf_put_slice(&x->copy->data, piece);
    return true;
}

void replay_savepoint(struct session *s, enum replay_kind kind, uint64_t id)
{
    struct replay_step *x = add_step(s, kind);
    if (x != NULL) {
        x->savepoint = id;
    }
}

void replay_forget_last(struct session *s)
{
    struct replay *r = &s->replay;
    struct replay_step *before = r->first;
    while (before->next != NULL && before->next != r->last) {
        before = before->next;
    }
    free_step(r->last);
    if (r->first == r->last) {
        r->first = r->last = NULL;
    } else {
        before->next = NULL;
        r->last = before;
    }
    r->count--;
}

/* An error that the client has seen belongs to what must be the same again; one that says nothing
 * about the data (a cancel, a lost node) cannot be. */
void replay_failed(struct session *s, struct replay_step *x, const struct status *st)
{
    switch (st->code) {
    case STATUS_INVALID:
    case STATUS_CONSTRAINT:
    case STATUS_NOT_FOUND:
    case STATUS_ALREADY_EXISTS:
        digest_text(&x->result, st->sqlstate);
        digest_text(&x->result, st->message);
        digest_text(&x->result, st->detail != NULL ? st->detail : "");
        break;
    default:
        replay_give_up(s);
    }
}

/* ---- sequences ---- */

void replay_rewind(struct session *s, struct replay_step *x)
{
    s->replay.drawing = x;
    s->replay.drawn_at = 0;
}

bool replay_draw(struct session *s, uint64_t sequence, int64_t *out)
{
    struct replay_step *x = s->replay.drawing;
    if (x == NULL || s->replay.drawn_at >= x->drawn_count ||
        x->drawn[s->replay.drawn_at].sequence != sequence) {
        return false;
    }
    *out = x->drawn[s->replay.drawn_at++].value;
    return true;
}

void replay_drawn(struct session *s, uint64_t sequence, int64_t value)
{
    struct replay_step *x = s->replay.drawing;
    if (x == NULL) {
        return;
    }
    x->drawn_count = s->replay.drawn_at; /* it went another way this time */
    if (x->drawn_count == x->drawn_cap) {
        int cap = x->drawn_cap * 2 + 4;
        x->drawn = arena_grow(s->replay.arena, x->drawn, sizeof(*x->drawn) * (size_t)x->drawn_cap,
                              sizeof(*x->drawn) * (size_t)cap);
        x->drawn_cap = cap;
    }
    x->drawn[x->drawn_count++] = (struct replay_drawn){sequence, value};
    s->replay.drawn_at = x->drawn_count;
}

/* ---- running again ---- */

struct status *replay_differs(void)
{
    return status_hint(
        status_detail(status_new(CONFLICT, "could not serialize access due to read/write "
                                           "dependencies among transactions"),
                      "Run again by the server, the transaction read other data than was sent."),
        "The transaction might succeed if retried.");
}

static bool is_conflict(const struct status *st)
{
    return st->code == STATUS_CONFLICT && strcmp(st->sqlstate, "40001") == 0;
}

/* A statement outside of a block is not kept: its caller runs it again. */
static bool may_replay(struct session *s, const struct status *st)
{
    return is_conflict(st) && s->replay.count > 0 && !s->replay.is_given_up &&
           !s->replay.is_running && s->replay.attempts < ATTEMPTS_MAX &&
           settings_values(s)->auto_retry;
}

static struct status *run_step(struct fiber *f, struct session *s, struct replay_step *x)
{
    switch (x->kind) {
    case REPLAY_SAVEPOINT: {
        TRY(session_need_txn(s, false, false));
        uint64_t id = txn_savepoint(s->txn);
        ASSERT(id == x->savepoint); /* counted from one in each transaction */
        return NULL;
    }
    case REPLAY_ROLLBACK_TO:
        return txn_rollback_to(f, s->txn, x->savepoint);
    case REPLAY_COPY:
        return s->replay.has_set ? replay_differs() : copy_again(f, s, x); /* it is planned anew */
    case REPLAY_PLAN:
        break;
    }
    struct catalog *c = session_catalog(s);
    bool is_valid = plan_is_valid(x->plan, c);
    catalog_unref(c);
    return is_valid ? execute_step(f, s, x) : replay_differs();
}

static struct status *run_all(struct fiber *f, struct session *s, bool *out_differs)
{
    *out_differs = false;
    for (struct replay_step *x = s->replay.first; x != NULL; x = x->next) {
        if (x == s->replay.under_way) { /* the statement that met the conflict: its caller's */
            ASSERT(x->next == NULL);
            break;
        }
        struct digest was = x->result;
        x->result = (struct digest){0};
        struct status *st = run_step(f, s, x);
        if (st != NULL && !is_conflict(st)) {
            bool is_told = (x->kind == REPLAY_PLAN || x->kind == REPLAY_COPY) &&
                           st->code != STATUS_CANCELLED && st->code != STATUS_TIMEOUT;
            if (!is_told) {
                return st;
            }
            replay_failed(s, x, st);
            status_free(st);
            st = NULL;
        }
        if (x->kind == REPLAY_PLAN && x->portal == NULL && x->rows < 0) {
            replay_note_snapshot(s, x);
        }
        if (x->kind == REPLAY_COPY || (x->kind == REPLAY_PLAN && !plan_is_read_only(x->plan))) {
            s->replay.is_lost = false; /* the next snapshot is one under its locks */
        }
        bool is_same = digest_eq(&was, &x->result);
        x->result = was;
        TRY(st);
        if (!is_same || s->replay.is_given_up) {
            *out_differs = true;
            return replay_differs();
        }
    }
    return NULL;
}

void replay_lost(struct session *s, enum txn_isolation isolation, uint64_t snapshot)
{
    s->replay.is_lost = isolation != TXN_SERIALIZABLE;
    s->replay.snapshot = isolation == TXN_REPEATABLE_READ ? snapshot : 0;
}

/* A statement has met the conflict: was it for the loss of a workspace? */
static void look_for_loss(struct fiber *f, struct session *s)
{
    struct txn *t = s->txn;
    if (t == NULL || s->schema != NULL || txn_isolation(t) == TXN_SERIALIZABLE) {
        return;
    }
    enum txn_isolation isolation = txn_isolation(t);
    uint64_t snapshot = txn_start(t);
    s->txn = NULL;
    if (txn_rollback_lost(f, t)) {
        replay_lost(s, isolation, snapshot);
    }
}

void replay_note_snapshot(struct session *s, struct replay_step *x)
{
    bool has_own = s->txn != NULL && txn_isolation(s->txn) == TXN_READ_COMMITTED;
    x->snapshot = has_own ? txn_start(s->txn) : 0;
}

void replay_use_snapshot(struct session *s, struct replay_step *x)
{
    if (s->replay.is_lost && x != NULL && x->snapshot != 0) {
        txn_use_snapshot(s->txn, x->snapshot);
        x->snapshot = 0; /* a try that met a conflict in it needs another */
    }
}

static bool is_over(const struct status *st)
{
    return st == NULL || st->code == STATUS_CANCELLED || st->code == STATUS_TIMEOUT;
}

struct status *replay_run(struct fiber *f, struct session *s, struct status *cause)
{
    struct replay *r = &s->replay;
    struct status *st = NULL;
    if (cause->code == STATUS_CONFLICT) {
        admission_conflict(&s->ticket);
    }
    if (!may_replay(s, cause)) {
        r->is_lost = false;
        return cause;
    }
    int64_t now_us = s->txn_now_us;
    bool differs = false, is_again;
    r->is_running = true;
    if (!r->is_lost) {
        look_for_loss(f, s);
    }
    bool keeps = r->is_lost;
    do {
        session_drop_txn(f, s);
        status_free(st);
        uint64_t spread = (uint64_t)PAUSE_NS << r->attempts++;
        st = fiber_sleep(f, 1 + loop_random_below(s->router->loop, spread));
        if (st == NULL) {
            st = run_all(f, s, &differs);
        }
        s->txn_now_us = now_us;
        is_again = !is_over(st) && !r->is_given_up && (keeps || (is_conflict(st) && !differs));
        keeps = r->is_lost = false;
    } while (is_again && r->attempts < ATTEMPTS_MAX);
    r->is_running = false;
    if (st == NULL) {
        metric_add(s->router->m_replays, 1);
        status_free(cause);
        return NULL;
    }
    metric_add(s->router->m_replays_failed, 1);
    session_drop_txn(f, s);
    s->is_doomed = s->in_block;
    replay_give_up(s);
    if (is_over(st)) {
        status_free(cause);
        return st;
    }
    status_free(st);
    return cause;
}
