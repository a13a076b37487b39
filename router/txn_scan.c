/*
 * Scans: one fragment over spans of the whole key space, cut by the shard map into parts, read page
 * by page from the shards' leaders.
 *
 * Order: parts are taken in key order (or reverse) when the caller needs order or a limit;
 * otherwise the first pages of up to PARALLEL_MAX parts are fetched side by side. A part whose
 * shard has split or moved is cut anew from where it stood.
 *
 * Snapshot: the transaction's, but for the only scan of an implicit read-only statement whose spans
 * lie in one shard, which reads LATEST (R2) and so needs no timestamp from the oracle; its further
 * pages name the timestamp and the leader's term of the first.
 *
 * A constraint is judged on what is committed now: a timestamp of its own from the oracle, later
 * than every lock that the statement holds, and spans that are validated at every level.
 *
 * Lookups through a secondary index: the shard fetches rows that are its own; keys of rows in other
 * shards come back as `missed` and are read here. Where order matters and rows may be elsewhere,
 * the entries are read keys-only and the rows fetched and put in that order (struct
 * ordered_lookup).
 *
 * Changes (UPDATE, DELETE in the shards) are scans whose pages are Write requests. One row by its
 * key in an implicit transaction carries its commit: that it was one row is then known even when
 * the answer is lost (section 7).
 */
#include "txn_internal.h"

#include "base/check.h"
#include "base/mem.h"
#include "metadata/catalog.h"

#include <stdlib.h>

#define PARALLEL_MAX 8
#define LOOKUP_KEYS 512

struct scan_part {
    struct list link;
    uint64_t shard_id, epoch;
    int nspans;
    struct key_span *spans;
    bool is_started; /* a first page has come */
    bool is_done;
    bool has_page; /* fetched, not consumed */
    struct buf resume_key;
    uint32_t resume_span;
    Sherd__V1__ReadReply *page;
    struct arena *page_arena;
    struct status *error;
    uint64_t latest_ts, latest_term; /* of a LATEST read's first page */
};

struct scan {
    struct op op;
    struct txn *t;
    struct fragment fr; /* a copy whose spans and limit change */
    bool is_ordered;
    bool is_cut;
    bool is_latest;
    uint64_t snapshot;   /* READ COMMITTED: the statement's, also when it is read on after others */
    uint64_t current_ts; /* txn_scan_current(): not 0 from the first page on */
    bool is_current;
    bool is_single;    /* all in one shard */
    bool is_last;      /* a change: nothing follows in this transaction */
    bool with_commit;  /* the change carries its commit */
    bool is_refused;   /* the change breaks a constraint */
    int64_t rows_left; /* of the limit; -1 = no limit */
    struct reroute reroute;
    struct list parts;
    struct arena *a;
    struct arena *out_arena; /* of the batch given last */
    struct op *missed;       /* rows of other shards, being read */
    struct arena *missed_arena;
    struct op *ordered; /* ordered lookup: does it all */
};

/* ---- cutting ---- */

static struct slice slice_max(struct slice a, struct slice b)
{
    return slice_cmp(a, b) >= 0 ? a : b;
}

static bool is_within(const struct shard_info *s, struct slice key)
{
    return slice_cmp(key, s->start) >= 0 && (s->end.len == 0 || slice_cmp(key, s->end) < 0);
}

static struct scan_part *part_create(struct scan *sc, const struct shard_info *s, int cap)
{
    struct scan_part *p = ARENA_NEW(sc->a, struct scan_part);
    p->shard_id = s->shard_id;
    p->epoch = s->epoch;
    p->spans = ARENA_ARRAY(sc->a, struct key_span, cap);
    return p;
}

/* Cuts spans into parts, inserted before `before`. No park in here: the shard map does not change.
 */
static struct status *cut(struct scan *sc, const struct key_span *spans, int nspans,
                          struct list *before)
{
    struct meta_client *meta = sc->t->router->meta;
    struct scan_part *part = NULL;
    struct list *insert_at = before;
    for (int i = 0; i < nspans; i++) {
        struct slice pos = spans[i].start;
        for (;;) {
            const struct shard_info *s = NULL;
            if (part != NULL) {
                s = shard_map_by_id(meta, part->shard_id);
            }
            if (s == NULL || !is_within(s, pos)) {
                s = shard_map_find(meta, pos);
                if (s == NULL) {
                    return status_new(UNAVAILABLE, "no shard holds the key");
                }
                part = part_create(sc, s, nspans - i);
                list_insert_before(insert_at, &part->link);
                if (sc->fr.is_reverse) {
                    insert_at = &part->link; /* later spans are read earlier */
                }
            }
            struct key_span *out = &part->spans[part->nspans++];
            *out = spans[i];
            out->start = pos;
            if (spans[i].is_point || s->end.len == 0 || slice_cmp(spans[i].end, s->end) <= 0) {
                break;
            }
            struct slice boundary = arena_copy(sc->a, s->end);
            out->end = boundary;
            pos = slice_max(boundary, pos);
        }
    }
    return NULL;
}

/* What is left of a part, as spans. */
static int remaining_spans(struct scan *sc, const struct scan_part *p, struct key_span *out)
{
    int n = 0;
    bool is_resumed = p->resume_key.len > 0;
    for (int i = 0; i < p->nspans; i++) {
        bool is_before =
            sc->fr.is_reverse ? (uint32_t)i > p->resume_span : (uint32_t)i < p->resume_span;
        if (is_resumed && is_before) {
            continue;
        }
        out[n] = p->spans[i];
        if (is_resumed && (uint32_t)i == p->resume_span) {
            struct slice at = arena_copy(sc->a, buf_slice(&p->resume_key));
            if (sc->fr.is_reverse) {
                out[n].end = at; /* reverse: the next page ends before the resume key */
            } else {
                out[n].start = at;
            }
        }
        n++;
    }
    return n;
}

static struct status *take_snapshot(struct fiber *f, struct scan *sc)
{
    struct txn *t = sc->t;
    if (t->used_latest) {
        return status_new(CONFLICT, "a second read after one without a snapshot");
    }
    TRY(txn_snapshot(f, t));
    if (t->start < sc->fr.usable_from && sc->fr.usable_from != INDEX_USABLE_BY_MAKER) {
        if (t->options.as_of != 0) {
            return status_new(UNSUPPORTED, "an index was made after the time that is read");
        }
        return status_new(CONFLICT,
                          "could not serialize access: the index is newer than the snapshot");
    }
    sc->snapshot = t->options.isolation == TXN_READ_COMMITTED ? t->start : 0;
    return NULL;
}

static struct status *recut(struct fiber *f, struct scan *sc, struct scan_part *p)
{
    struct key_span *spans = ARENA_ARRAY(sc->a, struct key_span, p->nspans);
    int n = remaining_spans(sc, p, spans);
    TRY(reroute(f, sc->t->router, &sc->reroute));
    struct list *next = p->link.next;
    list_unlink(&p->link);
    buf_deinit(&p->resume_key);
    TRY(cut(sc, spans, n, next));
    if (sc->is_latest && sc->parts.next->next != &sc->parts) {
        /* R2 is for one shard: the halves of one that was split would be read at two timestamps. */
        sc->is_latest = false;
        return take_snapshot(f, sc);
    }
    return NULL;
}

/* ---- fetching ---- */

static bool wants_workspace(const struct scan *sc, const struct participant *known)
{
    const struct txn *t = sc->t;
    if (known != NULL && known->has_handle) {
        return true; /* own writes are to be seen */
    }
    if (sc->fr.lock != LOCK_NONE || sc->is_current) {
        return true;
    }
    return t->options.isolation == TXN_SERIALIZABLE && !t->options.read_only && !t->single_scan &&
           t->options.as_of == 0;
}

/* NOWAIT: shards do not know the names of tables. */
static struct status *name_table(const struct scan *sc, struct status *st)
{
    if (sc->fr.lock_wait != LOCK_NOWAIT || strcmp(st->sqlstate, "55P03") != 0) {
        return st;
    }
    struct catalog *c = catalog_current(sc->t->router->catalog);
    const Sherd__V1__TableDesc *t = catalog_table_by_id(c, sc->fr.table_id);
    if (t != NULL) {
        status_free(st);
        st = status_sql(TIMEOUT, "55P03", "could not obtain lock on row in relation \"%s\"",
                        t->name);
    }
    catalog_unref(c);
    return st;
}

/* Reads in the past that may be served by the replica on this node, whoever leads. False: it
 * cannot, or there is none; the leader is to be asked. */
static bool read_here(struct fiber *f, struct scan *sc, struct scan_part *p,
                      Sherd__V1__ReadRequest *q, Sherd__V1__ReadReply **out, struct status **out_st)
{
    struct txn *t = sc->t;
    const struct shard_info *s = shard_map_by_id(t->router->meta, p->shard_id);
    if (t->options.as_of == 0 || !t->options.may_follow || s == NULL) {
        return false;
    }
    bool is_here = false;
    for (size_t i = 0; i < s->replica_count; i++) {
        is_here |= s->replicas[i].node_id == t->router->node_id;
    }
    if (!is_here) {
        return false;
    }
    q->follower = true;
    struct status *st = rpc_call(f, t->router->rpc, t->router->node_id, RPC_SHARD_READ, q,
                                 p->page_arena, (void **)out);
    q->follower = false;
    if (status_is(st, STATUS_NOT_LEADER) || status_is(st, STATUS_UNAVAILABLE)) {
        status_free(st);
        return false;
    }
    *out_st = st;
    return true;
}

/* What of the fragment is for this part. */
static void fill_fragment(struct scan *sc, const struct scan_part *p, struct buf *out,
                          Sherd__V1__ReadRequest *q)
{
    struct fragment fr = sc->fr;
    fr.spans = p->spans;
    fr.nspans = p->nspans;
    if (fr.limit >= 0 && fr.nsort == 0) {
        fr.limit = sc->rows_left;
    }
    fragment_encode(out, &fr);
    q->shard_id = p->shard_id;
    q->epoch = p->epoch;
    q->fragment.data = out->data;
    q->fragment.len = out->len;
    q->resume_key.data = p->resume_key.data;
    q->resume_key.len = p->resume_key.len;
    q->resume_span = p->resume_span;
}

static struct status *fetch_read(struct fiber *f, struct scan *sc, struct scan_part *p)
{
    struct txn *t = sc->t;
    Sherd__V1__ReadRequest q = SHERD__V1__READ_REQUEST__INIT;
    struct participant *known = txn_part_find(t, p->shard_id);
    struct txn_ref ref;
    bool has_ref = wants_workspace(sc, known);
    if (has_ref) {
        known = txn_part(t, p->shard_id);
        known->has_locks |= sc->fr.lock != LOCK_NONE || sc->is_current;
        known->has_spans |= t->options.isolation == TXN_SERIALIZABLE;
        txn_fill_ref(t, known, &ref);
        q.txn = &ref.ref;
        if (sc->fr.lock != LOCK_NONE) {
            q.seq = ++known->seq;
        }
    }
    if (sc->is_latest) {
        q.ts = p->latest_ts; /* 0 for the first page */
        q.expect_term = p->latest_term;
    } else {
        q.ts = sc->is_current ? sc->current_ts : sc->snapshot != 0 ? sc->snapshot : t->start;
        q.current = sc->is_current;
    }
    struct buf bytes = {0};
    fill_fragment(sc, p, &bytes, &q);
    t->stats.reads++;
    Sherd__V1__ReadReply *reply = NULL;
    struct status *st = NULL;
    bool is_served = read_here(f, sc, p, &q, &reply, &st);
    if (!is_served) {
        st = txn_check_past(f, t);
    }
    if (!is_served && st == NULL) {
        t->stats.rpcs++;
        st = shard_call(f, t->router, p->shard_id, RPC_SHARD_READ, &q, true, p->page_arena,
                        (void **)&reply, NULL);
    }
    buf_deinit(&bytes);
    if (st == NULL && has_ref) {
        st = txn_learn_handle(t, txn_part(t, p->shard_id), reply->handle);
    }
    if (st == NULL && reply->newer != SHERD__V1__NEWER__NEWER_NONE) {
        return status_hint(
            status_new(CONFLICT, "could not serialize access due to concurrent %s",
                       reply->newer == SHERD__V1__NEWER__NEWER_DELETE ? "delete" : "update"),
            "The transaction might succeed if retried.");
    }
    if (st != NULL) {
        st = name_table(sc, st);
        if (q.seq != 0) {
            txn_part(t, p->shard_id)
                ->seq--; /* an error gives its number back: the next request has it (W1) */
        }
        if (has_ref) {
            txn_note_lost(txn_part(t, p->shard_id), st);
        }
        return st;
    }
    if (sc->is_latest) {
        p->latest_ts = reply->ts;
        p->latest_term = reply->term;
        t->latest_ts = reply->ts;
        t->used_latest = true;
    }
    p->page = reply;
    return NULL;
}

/* Whether all that the transaction has read or written is in this shard. */
static bool is_alone(const struct txn *t, uint64_t shard_id)
{
    for (int i = 0; i < t->part_count; i++) {
        const struct participant *p = &t->parts[i];
        if (p->shard_id != shard_id && (p->has_handle || p->may_exist)) {
            return false;
        }
    }
    return true;
}

/* The page of a commit whose answer was lost: it is there, so the one row was. */
static Sherd__V1__ReadReply *page_of_one(struct arena *a)
{
    Sherd__V1__ReadReply *page = ARENA_NEW(a, Sherd__V1__ReadReply);
    sherd__v1__read_reply__init(page);
    struct batch one = {.nrows = 1, .cap = 1, .arena = a};
    struct buf bytes = {0};
    batch_encode(&bytes, &one);
    struct slice copy = arena_copy(a, buf_slice(&bytes));
    buf_deinit(&bytes);
    page->batch.data = (uint8_t *)(uintptr_t)copy.data;
    page->batch.len = copy.len;
    return page;
}

static struct status *fetch_change(struct fiber *f, struct scan *sc, struct scan_part *p)
{
    struct txn *t = sc->t;
    if (sc->with_commit && shard_term_get(t->router, p->shard_id) == 0) {
        sc->with_commit = false; /* another shard than at first */
        TRY(txn_snapshot(f, t));
    }
    struct participant *known = txn_part(t, p->shard_id);
    bool had_writes = known->has_writes;
    known->has_writes = known->has_locks = true;
    known->has_spans |= t->options.isolation == TXN_SERIALIZABLE;
    Sherd__V1__ReadRequest change = SHERD__V1__READ_REQUEST__INIT;
    Sherd__V1__WriteRequest q = SHERD__V1__WRITE_REQUEST__INIT;
    struct buf bytes = {0};
    fill_fragment(sc, p, &bytes, &change);
    change.ts = sc->snapshot != 0 ? sc->snapshot : t->start;
    q.epoch = p->epoch;
    q.change = &change;
    q.table_id = sc->fr.table_id;
    q.schema_version = sc->fr.schema_version;
    q.commit = sc->with_commit;
    q.may_move = sc->is_single && t->start != 0 && t->options.isolation == TXN_SERIALIZABLE &&
                 t->options.as_of == 0 && !t->used_latest && is_alone(t, p->shard_id);
    Sherd__V1__WriteReply *reply;
    struct status *st = txn_send_write(f, t, p->shard_id, &q, p->page_arena, &reply);
    buf_deinit(&bytes);
    TRY(st);
    if (reply == NULL) {
        ASSERT(sc->with_commit && t->state == TXN_COMMITTED);
        p->page = page_of_one(p->page_arena);
        return NULL;
    }
    if (reply->failed) {
        sc->is_refused = true;
        p->page = ARENA_NEW(p->page_arena, Sherd__V1__ReadReply);
        sherd__v1__read_reply__init(p->page);
        return NULL;
    }
    if (reply->change == NULL) {
        return status_new(CORRUPT, "shard %llu does not say what it has changed",
                          (unsigned long long)p->shard_id);
    }
    if (q.may_move && reply->change->ts > t->start) {
        t->start = reply->change->ts; /* moved within the shard (W4) */
        t->stats.refreshes++;
        metric_add(t->router->m_refreshes, 1);
    }
    struct reader r;
    reader_init(&r, slice_make(reply->change->batch.data, reply->change->batch.len));
    if (read_varint(&r) == 0) {
        txn_part(t, p->shard_id)->has_writes = had_writes;
    }
    p->page = reply->change;
    return NULL;
}

static struct status *fetch(struct fiber *f, struct scan *sc, struct scan_part *p)
{
    p->page_arena = arena_create(0);
    struct status *st = sc->fr.change != NULL ? fetch_change(f, sc, p) : fetch_read(f, sc, p);
    if (st != NULL) {
        arena_destroy(p->page_arena);
        p->page_arena = NULL;
        return st;
    }
    if (p->page->term != 0) {
        shard_term_set(sc->t->router, p->shard_id, p->page->term);
    }
    p->has_page = true;
    p->is_started = true;
    sc->reroute = (struct reroute){0};
    return NULL;
}

struct fetch_task {
    struct scan *sc;
    struct scan_part *part;
};

static void fetch_fiber(struct fiber *f, void *arg)
{
    struct fetch_task *x = arg;
    x->part->error = fetch(f, x->sc, x->part);
}

/* Fetches first pages of the next parts side by side. Errors stay with the parts. */
static void fetch_parallel(struct fiber *f, struct scan *sc)
{
    struct fetch_task tasks[PARALLEL_MAX];
    int n = 0;
    LIST_FOREACH(it, &sc->parts)
    {
        struct scan_part *p = LIST_ITEM(it, struct scan_part, link);
        if (n < PARALLEL_MAX && !p->is_started && p->error == NULL) {
            tasks[n++] = (struct fetch_task){sc, p};
        }
    }
    struct fan fan;
    fan_init(&fan);
    for (int i = 0; i < n; i++) {
        fan_spawn(f, &fan, FIBER_STACK_SMALL, fetch_fiber, &tasks[i]);
    }
    fan_wait(f, &fan);
}

/* ---- giving ---- */

static struct status *start_missed(struct scan *sc, const Sherd__V1__ReadReply *page);

static int compare_spans(const void *a, const void *b)
{
    return slice_cmp(((const struct key_span *)a)->start, ((const struct key_span *)b)->start);
}

/* Turns a fetched page into a batch; NULL when it has no rows. */
static struct status *consume(struct scan *sc, struct scan_part *p, struct batch **out)
{
    *out = NULL;
    arena_destroy(sc->out_arena);
    sc->out_arena = p->page_arena;
    p->page_arena = NULL;
    p->has_page = false;
    Sherd__V1__ReadReply *page = p->page;
    p->page = NULL;
    struct batch *b = NULL;
    if (page->batch.len > 0) {
        TRY(batch_decode(sc->out_arena, slice_make(page->batch.data, page->batch.len), &b));
        sc->t->stats.rows += (uint64_t)b->nrows;
        sc->t->stats.bytes += page->batch.len;
    }
    p->is_done = !page->more;
    if (page->more) {
        buf_clear(&p->resume_key);
        buf_put(&p->resume_key, page->resume_key.data, page->resume_key.len);
        p->resume_span = page->resume_span;
    }
    if (b != NULL && sc->rows_left >= 0 && sc->fr.nsort == 0 && sc->fr.naggs == 0 &&
        sc->fr.ngroups == 0) {
        sc->rows_left -= b->nrows < sc->rows_left ? b->nrows : sc->rows_left;
    }
    if (page->n_missed > 0) {
        TRY(start_missed(sc, page));
    }
    if (p->is_done) {
        list_unlink(&p->link);
        buf_deinit(&p->resume_key);
    }
    if (b != NULL && b->nrows > 0) {
        *out = b;
    }
    return NULL;
}

static struct op *scan_create(struct arena *a, struct txn *t, const struct fragment *fragment,
                              bool is_ordered);

/* Reads rows of other shards by their keys, as points of the primary index. */
static struct op *scan_by_keys(struct arena *a, struct scan *sc, const struct slice *keys,
                               size_t count, bool with_key)
{
    struct fragment fr = sc->fr;
    ASSERT(count > 0 && keys[0].len >= 8);
    fr.index_id = get_u32(keys[0].data + 4); /* the primary index: the keys say which */
    fr.is_lookup = false;
    fr.is_keys_only = false;
    fr.is_reverse = false;
    fr.with_key |= with_key;
    fr.limit = -1;
    fr.nspans = (int)count;
    fr.spans = ARENA_ARRAY(a, struct key_span, count);
    for (size_t i = 0; i < count; i++) {
        uint8_t *end = arena_alloc(a, keys[i].len + 1);
        memcpy(end, keys[i].data, keys[i].len);
        end[keys[i].len] = 0;
        fr.spans[i].start = slice_make(end, keys[i].len);
        fr.spans[i].end = slice_make(end, keys[i].len + 1);
        fr.spans[i].is_point = true;
    }
    qsort(fr.spans, count, sizeof(*fr.spans), compare_spans);
    return scan_create(a, sc->t, &fr, false);
}

static struct status *start_missed(struct scan *sc, const Sherd__V1__ReadReply *page)
{
    ASSERT(sc->missed == NULL);
    sc->missed_arena = arena_create(0);
    struct slice *keys = ARENA_ARRAY(sc->missed_arena, struct slice, page->n_missed);
    for (size_t i = 0; i < page->n_missed; i++) {
        if (page->missed[i].len < 8) {
            return status_new(CORRUPT, "shard sent a row key of %zu bytes", page->missed[i].len);
        }
        keys[i] = slice_make(page->missed[i].data, page->missed[i].len);
    }
    sc->missed = scan_by_keys(sc->missed_arena, sc, keys, page->n_missed, false);
    return NULL;
}

static void end_missed(struct scan *sc)
{
    op_close(sc->missed);
    sc->missed = NULL;
    arena_destroy(sc->missed_arena);
    sc->missed_arena = NULL;
}

/* ---- ordered lookup over several shards ---- */

struct ordered_lookup {
    struct op op;
    struct scan *sc;
    struct op *keys; /* entries, keys only, in order */
    struct arena *a; /* of the batch given last */
    struct batch *out;
};

static struct batch *reorder(struct arena *a, const struct op *op, const struct slice *keys,
                             int nkeys, struct batch **found, int nfound)
{
    int total = 0;
    for (int i = 0; i < nfound; i++) {
        total += found[i]->nrows;
    }
    struct batch *out = batch_create(a, op->ncols, op->types, total > 0 ? total : 1);
    for (int k = 0; k < nkeys; k++) {
        bool is_hit = false;
        for (int i = 0; i < nfound && !is_hit; i++) {
            int key_col = found[i]->ncols - 1;
            for (int r = 0; r < found[i]->nrows && !is_hit; r++) {
                if (!slice_eq(datum_slice(&found[i]->cols[key_col][r]), keys[k])) {
                    continue;
                }
                for (int c = 0; c < op->ncols; c++) {
                    out->cols[c][out->nrows] = found[i]->cols[c][r];
                }
                out->nrows++;
                is_hit = true;
            }
        }
    }
    return out;
}

static struct status *ordered_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct ordered_lookup *o = CONTAINER_OF(op, struct ordered_lookup, op);
    for (;;) {
        struct batch *entries;
        TRY(op_next(f, o->keys, &entries));
        if (entries == NULL) {
            *out = NULL;
            return NULL;
        }
        arena_destroy(o->a);
        o->a = arena_create(0);
        struct slice *keys = ARENA_ARRAY(o->a, struct slice, entries->nrows);
        for (int r = 0; r < entries->nrows; r++) {
            keys[r] = arena_copy(o->a, datum_slice(&entries->cols[entries->ncols - 1][r]));
        }
        struct op *rows = scan_by_keys(o->a, o->sc, keys, (size_t)entries->nrows, true);
        struct batch **found = ARENA_ARRAY(o->a, struct batch *, entries->nrows + 1);
        int nfound = 0;
        struct status *st;
        for (;;) {
            struct batch *b;
            st = op_next(f, rows, &b);
            if (st != NULL || b == NULL) {
                break;
            }
            struct batch *copy = batch_create(o->a, b->ncols, b->types, b->nrows);
            for (int c = 0; c < b->ncols; c++) {
                for (int r = 0; r < b->nrows; r++) {
                    copy->cols[c][r] = datum_copy(o->a, b->types[c], &b->cols[c][r]);
                }
            }
            copy->nrows = b->nrows;
            found[nfound++] = copy;
        }
        op_close(rows);
        TRY(st);
        o->out = reorder(o->a, op, keys, entries->nrows, found, nfound);
        if (o->out->nrows > 0) {
            *out = o->out;
            return NULL;
        }
    }
}

static void ordered_close(struct op *op)
{
    struct ordered_lookup *o = CONTAINER_OF(op, struct ordered_lookup, op);
    op_close(o->keys);
    arena_destroy(o->a);
    o->a = NULL;
}

/* Do all of the table's and the index's keys of this scan lie in one shard? */
static bool is_in_one_shard(struct scan *sc)
{
    if (sc->fr.is_apart) {
        return false;
    }
    struct meta_client *meta = sc->t->router->meta;
    uint8_t first[8], last[8];
    set_u32(first, sc->fr.table_id);
    set_u32(first + 4, 0);
    set_u32(last, sc->fr.table_id + 1);
    set_u32(last + 4, 0);
    const struct shard_info *s = shard_map_find(meta, slice_make(first, 8));
    return s != NULL && (s->end.len == 0 || slice_cmp(slice_make(last, 8), s->end) <= 0);
}

static struct op *ordered_lookup_create(struct scan *sc)
{
    struct ordered_lookup *o = ARENA_NEW(sc->a, struct ordered_lookup);
    o->op.next = ordered_next;
    o->op.close = ordered_close;
    o->op.ncols = sc->op.ncols;
    o->op.types = sc->op.types;
    o->sc = sc;
    struct fragment fr = sc->fr;
    fr.is_lookup = false;
    fr.is_keys_only = true;
    fr.with_key = true;
    fr.filter = NULL;
    fr.nprojections = 0;
    fr.nrow_columns = 0;
    fr.ncolumns = 0;
    fr.ngroups = fr.naggs = fr.nsort = 0;
    fr.limit = -1;
    fr.lock = LOCK_NONE;
    o->keys = scan_create(sc->a, sc->t, &fr, true);
    return &o->op;
}

/* ---- the operator ---- */

/* One row by its key, and nothing else in the transaction. */
static bool may_carry_commit(const struct scan *sc)
{
    const struct txn *t = sc->t;
    const struct fragment *fr = &sc->fr;
    const struct scan_part *p = LIST_ITEM(sc->parts.next, struct scan_part, link);
    return t->options.implicit && t->start == 0 && fr->nspans == 1 && fr->spans[0].is_point &&
           !fr->is_lookup && !fr->change->returns_rows && is_alone(t, 0) &&
           shard_term_get(t->router, p->shard_id) != 0;
}

static struct status *scan_start(struct fiber *f, struct scan *sc)
{
    struct txn *t = sc->t;
    sc->is_cut = true;
    if (sc->fr.change != NULL) {
        TRY(txn_may_write(t));
        txn_note_written(t, sc->fr.table_id);
    }
    if (sc->fr.is_lookup && sc->is_ordered && !is_in_one_shard(sc)) {
        TRY(txn_snapshot(f, t)); /* keys and rows are read apart: never at LATEST */
        sc->ordered = ordered_lookup_create(sc);
        return NULL;
    }
    TRY(cut(sc, sc->fr.spans, sc->fr.nspans, &sc->parts));
    bool is_single = !list_is_empty(&sc->parts) && sc->parts.next->next == &sc->parts;
    sc->is_single = is_single;
    sc->with_commit = sc->is_last && is_single && may_carry_commit(sc);
    if (sc->with_commit) {
        return NULL;
    }
    sc->is_latest = is_single && t->options.implicit && t->single_scan &&
                    sc->fr.lock == LOCK_NONE && !sc->fr.is_lookup && t->start == 0 &&
                    t->part_count == 0;
    if (sc->fr.is_lookup && is_single && t->options.implicit && t->single_scan && t->start == 0 &&
        t->part_count == 0 && is_in_one_shard(sc)) {
        sc->is_latest = true;
    }
    if (!sc->is_latest) {
        TRY(take_snapshot(f, sc));
    }
    if (sc->is_current && sc->current_ts == 0) {
        TRY(meta_timestamp(f, t->router->meta, &sc->current_ts));
    }
    if (!is_single && !sc->is_ordered && sc->rows_left < 0) {
        fetch_parallel(f, sc);
    }
    return NULL;
}

static struct status *scan_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct scan *sc = CONTAINER_OF(op, struct scan, op);
    *out = NULL;
    if (!sc->is_cut) {
        TRY(scan_start(f, sc));
    }
    if (sc->ordered != NULL) {
        return op_next(f, sc->ordered, out);
    }
    for (;;) {
        if (sc->missed != NULL) {
            TRY(op_next(f, sc->missed, out));
            if (*out != NULL) {
                op->rows_out += (uint64_t)(*out)->nrows;
                return NULL;
            }
            sc->is_refused |= txn_change_refused(sc->missed);
            end_missed(sc);
        }
        if (list_is_empty(&sc->parts) || sc->rows_left == 0 || sc->is_refused) {
            return NULL;
        }
        struct scan_part *p = LIST_ITEM(sc->parts.next, struct scan_part, link);
        if (!p->has_page) {
            struct status *st = p->error;
            p->error = NULL;
            if (st == NULL) {
                st = fetch(f, sc, p);
            }
            if (status_is(st, STATUS_MOVED) && st->hint == NULL) {
                bool is_bound = txn_part_find(sc->t, p->shard_id) != NULL &&
                                txn_part_find(sc->t, p->shard_id)->has_handle;
                if (is_bound || (sc->is_latest && p->is_started)) {
                    status_free(st);
                    return status_new(CONFLICT, "could not serialize access: shard %llu has moved",
                                      (unsigned long long)p->shard_id);
                }
                status_free(st);
                TRY(recut(f, sc, p));
                continue;
            }
            TRY(st);
        }
        TRY(consume(sc, p, out));
        if (*out != NULL) {
            op->rows_out += (uint64_t)(*out)->nrows;
            return NULL;
        }
    }
}

static void scan_close(struct op *op)
{
    struct scan *sc = CONTAINER_OF(op, struct scan, op);
    if (sc->missed != NULL) {
        end_missed(sc);
    }
    op_close(sc->ordered);
    sc->ordered = NULL;
    struct list *it;
    while ((it = list_pop_front(&sc->parts)) != NULL) {
        struct scan_part *p = LIST_ITEM(it, struct scan_part, link);
        buf_deinit(&p->resume_key);
        arena_destroy(p->page_arena);
        status_free(p->error);
    }
    arena_destroy(sc->out_arena);
    sc->out_arena = NULL;
}

/* Column types of what the fragment gives. */
static void output_types(struct arena *a, const struct fragment *fr, int *out_ncols,
                         const uint32_t **out_types)
{
    int cap = fr->nprojections + fr->ncolumns + fr->naggs + 2;
    uint32_t *types = ARENA_ARRAY(a, uint32_t, cap);
    int n = 0;
    if (fr->change != NULL) {
        types = ARENA_ARRAY(a, uint32_t, fr->nrow_columns + 1);
        for (; fr->change->returns_rows && n < fr->nrow_columns; n++) {
            types[n] = fr->row_columns[n].type;
        }
    } else if (fr->naggs > 0 || fr->ngroups > 0) {
        for (int i = 0; i < fr->ngroups; i++) {
            types[n++] = fr->nprojections > 0 ? fr->projections[i]->type
                                              : fr->row_columns[fr->columns[i]].type;
        }
        for (int i = 0; i < fr->naggs; i++) {
            types[n++] = TYPE_BYTEA;
        }
    } else {
        if (fr->nprojections > 0) {
            for (int i = 0; i < fr->nprojections; i++) {
                types[n++] = fr->projections[i]->type;
            }
        } else {
            for (int i = 0; i < fr->ncolumns; i++) {
                types[n++] = fr->row_columns[fr->columns[i]].type;
            }
        }
        if (fr->with_key) {
            types[n++] = TYPE_BYTEA;
        }
    }
    *out_ncols = n;
    *out_types = types;
}

static struct op *scan_create(struct arena *a, struct txn *t, const struct fragment *fragment,
                              bool is_ordered)
{
    struct scan *sc = ARENA_NEW(a, struct scan);
    sc->op.next = scan_next;
    sc->op.close = scan_close;
    sc->t = t;
    sc->fr = *fragment;
    sc->is_ordered = is_ordered;
    sc->rows_left = fragment->nsort == 0 ? fragment->limit : -1;
    sc->a = a;
    list_head_init(&sc->parts);
    output_types(a, fragment, &sc->op.ncols, &sc->op.types);
    return &sc->op;
}

struct op *txn_scan_current(struct arena *a, struct txn *t, const struct fragment *fragment)
{
    struct op *op = scan_create(a, t, fragment, false);
    CONTAINER_OF(op, struct scan, op)->is_current = true;
    return op;
}

struct op *txn_scan(struct arena *a, struct txn *t, const struct fragment *fragment, bool ordered)
{
    return scan_create(a, t, fragment, ordered);
}

struct op *txn_change(struct arena *a, struct txn *t, const struct fragment *fragment, bool is_last)
{
    ASSERT(fragment->change != NULL);
    struct op *op = scan_create(a, t, fragment, false);
    CONTAINER_OF(op, struct scan, op)->is_last = is_last;
    return op;
}

bool txn_change_refused(const struct op *op)
{
    return CONTAINER_OF(op, struct scan, op)->is_refused;
}
