/*
 * A Read request, in the order that R1 prescribes:
 *
 *   timestamp (given, or LATEST by R2) -> leadership (L2) -> raise the cache over the spans -> wait
 * for pending locks -> leadership again if that parked -> gather chunks, run the fragment over them
 *
 * The fragment's pipeline: candidates -> row of an index entry -> decode -> filter -> lock ->
 * project -> {partial aggregate | top-N | limit}. The operators of sql/operator.h do the aggregate
 * and the top-N with `source` as their input; without them the source's batches are the result.
 *
 * A locking read locks each row that passes the filter and looks at the newest version under the
 * lock (W2): newer than the snapshot is a conflict, at READ COMMITTED the row is judged again as it
 * is now, or with all it is joined with: the statement runs again with a newer snapshot, under the
 * locks that it has. But a row that has got another key meanwhile (MVCC_MOVED) is a conflict there,
 * too: it lives on elsewhere, perhaps in another shard, and the statement runs again with a newer
 * snapshot, which has it. With ts = 0 nothing of the statement has been seen by anybody, so the
 * snapshot moves up and the page is read again.
 *
 * A change (UPDATE, DELETE) is a locking read that is part of a Write request: the rows under the
 * locks are computed anew and put into the workspace. It waits for the lock of a single row before
 * it chooses a timestamp, so that writers of a hot row queue once and then read it as it is. A
 * newer version moves the snapshot here where the request allows it (W4, part_move()).
 */
#include "read.h"

#include "api/rpc.h"
#include "base/buggify.h"
#include "base/check.h"
#include "bounds.h"
#include "observe.h"
#include "scan.h"
#include "sql/operator.h"

struct reading {
    struct op source; /* first: the input of the operators */
    struct part *p;
    struct arena *arena;
    const Sherd__V1__ReadRequest *req;
    Sherd__V1__ReadReply *reply;
    struct fragment *fr;
    struct work *work; /* or NULL */
    bool is_recording; /* R4 */
    bool is_latest;    /* read at H: nothing may be missed (R2) */
    uint64_t ts;
    uint64_t epoch; /* of the range that the spans were checked against */
    struct scan scan;
    struct scan_chunk chunk;
    struct eval_ctx eval;
    int ncols; /* decoded, with the key */
    uint32_t *types;
    int nout; /* of the source's batches */
    uint32_t *out_types;
    int *sel;
    int nsel;
    struct lock_hold **holds; /* of the selected rows of a locking read */
    struct slice *missed;
    size_t missed_count, missed_cap;
    uint64_t lock_timeout_ms;
    uint64_t seq;            /* of the Write request that the change belongs to */
    bool is_refused;         /* the change breaks a constraint */
    uint64_t page_end;       /* scan.seen at which the page ends */
    uint64_t newest;         /* a version newer than the snapshot was met under a lock */
    bool is_deleted;         /* and it is a tombstone */
    struct arena *scratch;   /* of one chunk; = arena when the rows are the result */
    struct arena *filtering; /* of one evaluation of the filter */
};

/* ---- spans ---- */

static struct slice span_end(const struct key_span *k, struct buf *scratch)
{
    if (!k->is_point) {
        return k->end;
    }
    buf_clear(scratch);
    buf_put_slice(scratch, k->start);
    buf_put_u8(scratch, 0);
    return buf_slice(scratch);
}

static struct status *check_spans(const struct part *p, const struct fragment *fr)
{
    for (int i = 0; i < fr->nspans; i++) {
        const struct key_span *k = &fr->spans[i];
        bool is_here = k->is_point ? state_holds(p->state, k->start)
                                   : state_holds_range(p->state, k->start, k->end);
        if (!is_here) {
            return status_new(MOVED, "keys of another shard");
        }
    }
    return NULL;
}

static bool has_foreign_writes(const struct reading *rd)
{
    const struct lock_table *t = &rd->p->locks;
    if (t->write_count == 0) {
        return false;
    }
    size_t own = rd->work != NULL ? rd->work->writes.count : 0;
    if (rd->fr->is_lookup) { /* the rows may be anywhere in the shard */
        return t->write_count > own;
    }
    const struct lock_owner *self = rd->work != NULL ? &rd->work->owner : NULL;
    for (int i = 0; i < rd->fr->nspans; i++) {
        if (lock_has_foreign_write(t, &rd->fr->spans[i], self)) {
            return true;
        }
    }
    return false;
}

/* R2, R3: H is good only while no other transaction has a write lock in the span, prepared ones
 * included. */
static struct status *choose_ts(struct fiber *f, struct reading *rd, bool may_use_high)
{
    rd->is_latest = may_use_high && !has_foreign_writes(rd);
    if (rd->is_latest) {
        rd->ts = rd->p->high;
        return NULL;
    }
    TRY(rd->p->env->timestamp(f, rd->p->env->ctx, &rd->ts));
    part_raise_high(rd->p, rd->ts); /* what is read now is not read at less later */
    return NULL;
}

/* Both may have moved while the read was parked. */
static struct status *check_watermark(struct reading *rd)
{
    if (rd->epoch != rd->p->state->epoch) {
        rd->epoch = rd->p->state->epoch;
        TRY(check_spans(rd->p, rd->fr));
    }
    if (rd->ts < rd->p->state->watermark && !bug_on(BUG_TXN_READ_COLLECTED)) {
        return status_hint(status_sql(INVALID, "72000", "snapshot too old"),
                           "The history that it needs has been collected; see storage.gc_ttl.");
    }
    return NULL;
}

/* R1 (1) to (3). */
static struct status *settle(struct fiber *f, struct reading *rd)
{
    struct part *p = rd->p;
    TRY(check_watermark(rd));
    TRY(part_confirm(f, p));
    struct key_span k;
    for (int i = 0; i < rd->fr->nspans; i++) {
        if (scan_rest(&rd->scan, i, &k)) {
            part_raise(p, &k, rd->ts);
        }
    }
    if (p->locks.pending_count != 0) {
        uint32_t before = 0;
        for (int i = 0; i < rd->fr->nspans; i++) {
            if (scan_rest(&rd->scan, i, &k)) {
                before++;
                TRY(part_wait_pending(f, p, &k, rd->ts, rd->work, PENDING_READ));
            }
        }
        if (before != 0) {
            TRY(part_confirm(f, p)); /* (4): same term, still the leader */
            TRY(check_watermark(rd));
        }
    }
    if (shard_observer.read != NULL) {
        for (int i = 0; i < rd->fr->nspans; i++) {
            if (scan_rest(&rd->scan, i, &k)) {
                shard_observer.read(p->env->shard_id, &k, rd->ts);
            }
        }
    }
    return NULL;
}

/* ---- rows of index entries ---- */

static void miss(struct reading *rd, struct slice pk)
{
    if (rd->missed_count == rd->missed_cap) {
        size_t cap = rd->missed_cap == 0 ? 16 : rd->missed_cap * 2;
        struct slice *grown = ARENA_ARRAY(rd->arena, struct slice, cap);
        if (rd->missed_count != 0) {
            memcpy(grown, rd->missed, rd->missed_count * sizeof(*grown));
        }
        rd->missed = grown;
        rd->missed_cap = cap;
    }
    rd->missed[rd->missed_count++] = arena_copy(rd->arena, pk);
}

/* Each looked-up row is a point read of its own: R1 for it, too. Rows that are gone or elsewhere
 * leave the chunk. */
static struct status *lookup_rows(struct fiber *f, struct reading *rd)
{
    struct part *p = rd->p;
    struct scan_chunk *c = &rd->chunk;
    int kept = 0;
    for (int i = 0; i < c->count; i++) {
        struct slice pk = c->pks[i];
        if (!state_holds(p->state, pk)) {
            miss(rd, pk);
            continue;
        }
        struct key_span point = {.start = pk, .is_point = true};
        part_raise(p, &point, rd->ts);
        TRY(part_wait_pending(f, p, &point, rd->ts, rd->work, PENDING_READ));
        if (rd->is_recording) {
            work_read_span(rd->work, &point, rd->ts, rd->req->current);
        }
        const struct work_value *own = rd->work != NULL ? work_find(rd->work, pk) : NULL;
        if (own == NULL) {
            own = part_committed(p, pk, rd->ts);
        }
        struct slice row;
        if (own != NULL) {
            if (own->is_delete) {
                continue;
            }
            row = slice_make(own->row, own->len);
        } else {
            struct mvcc_version v;
            bool found = false;
            TRY(mvcc_get(p->state->store, pk, rd->ts, &p->scratch, &v, &found));
            if (!found || v.is_tombstone) {
                continue;
            }
            row = v.row;
        }
        c->keys[kept] = c->keys[i];
        c->pks[kept] = pk;
        c->spans[kept] = c->spans[i];
        c->rows[kept++] = arena_copy(rd->scratch, row);
    }
    c->count = kept;
    return NULL;
}

/* ---- decode, filter, lock ---- */

static struct status *decode_row(struct reading *rd, struct batch *b, int at, struct slice row,
                                 struct slice pk)
{
    const struct fragment *fr = rd->fr;
    struct datum one[64];
    struct datum *out =
        fr->ncolumns <= 64 ? one : ARENA_ARRAY(rd->scratch, struct datum, fr->ncolumns);
    if (fr->ncolumns != 0) {
        TRY(row_decode(row, fr->row_columns, fr->nrow_columns, fr->columns, fr->ncolumns, out));
    }
    for (int i = 0; i < fr->ncolumns; i++) {
        b->cols[i][at] = out[i];
    }
    if (rd->ncols > fr->ncolumns) {
        b->cols[fr->ncolumns][at] = datum_bytes(pk);
    }
    return NULL;
}

/* Nothing but the selection is left of it: its results are not the rows'. */
static struct status *run_filter(struct reading *rd, const struct batch *b, int *sel, int *nsel)
{
    struct eval_ctx eval = rd->eval;
    if (rd->filtering == NULL) {
        rd->filtering = arena_create(0);
        arena_on_free(rd->arena, (void (*)(void *))arena_destroy, rd->filtering);
    }
    arena_reset(rd->filtering);
    eval.arena = rd->filtering;
    return expr_filter(&eval, rd->fr->filter, b, sel, nsel);
}

static struct status *filter_batch(struct reading *rd, struct batch *b)
{
    if (rd->fr->filter != NULL) {
        return run_filter(rd, b, rd->sel, &rd->nsel);
    }
    for (int i = 0; i < b->nrows; i++) {
        rd->sel[i] = i;
    }
    rd->nsel = b->nrows;
    return NULL;
}

/* READ COMMITTED: the row as it is now, under the lock. *out_keep false: gone, or filtered out. */
static struct status *judge_again(struct reading *rd, struct batch *b, int at, bool *out_keep)
{
    struct mvcc_version v;
    bool found = false;
    struct slice pk = rd->chunk.pks[at];
    TRY(mvcc_newest(rd->p->state->store, pk, &rd->p->scratch, &v, &found));
    *out_keep = found && !v.is_tombstone;
    if (!*out_keep) {
        return NULL;
    }
    struct batch *one = batch_create(rd->scratch, rd->ncols, rd->types, 1);
    one->nrows = 1;
    TRY(decode_row(rd, one, 0, arena_copy(rd->scratch, v.row), pk));
    if (rd->fr->filter != NULL) {
        int sel = 0, n = 0;
        TRY(run_filter(rd, one, &sel, &n));
        *out_keep = n == 1;
    }
    for (int c = 0; c < rd->ncols; c++) {
        b->cols[c][at] = one->cols[c][0];
    }
    return NULL;
}

/* READ COMMITTED, the key under the lock is newer than the snapshot: what was read under it is not
 * here any more. The part knows of no such version in most cases (newest_move), without a look. */
static struct status *has_moved(struct reading *rd, struct slice pk, bool *out)
{
    *out = false;
    return rd->ts < rd->p->newest_move && !bug_on(BUG_TXN_MOVED_UNSEEN)
               ? mvcc_moved_since(rd->p->state->store, pk, rd->ts, &rd->p->scratch, out)
               : NULL;
}

static struct status *lock_rows(struct fiber *f, struct reading *rd, struct batch *b)
{
    bool is_committed = rd->work->isolation == SHERD__V1__ISOLATION__READ_COMMITTED;
    uint64_t changed = 0; /* the newest version of rows that change what is joined */
    int kept = 0;
    for (int i = 0; i < rd->nsel; i++) {
        int at = rd->sel[i];
        struct lock_hold *h = NULL;
        uint64_t seq = rd->fr->change != NULL ? rd->seq : rd->work->seq;
        TRY(part_lock(f, rd->p, rd->work, seq, rd->chunk.pks[at], rd->fr->lock, rd->fr->lock_wait,
                      rd->lock_timeout_ms, &h));
        if (rd->ts < rd->p->state->watermark) { /* what it waited for may be collected */
            TRY(check_watermark(rd));
        }
        bool keep = h != NULL; /* NULL: SKIP LOCKED */
        if (keep && work_find(rd->work, rd->chunk.pks[at]) == NULL && h->newest_ts > rd->ts) {
            bool is_conflict = !is_committed;
            if (is_committed) {
                TRY(has_moved(rd, rd->chunk.pks[at], &is_conflict));
            }
            if (is_conflict) {
                rd->newest = h->newest_ts; /* W2 */
                rd->is_deleted = !h->newest_live && !h->newest_moved;
                if (is_committed) { /* the row is not here: who moves it back is not to wait */
                    lock_undo_one(&rd->p->locks, h, seq - 1);
                }
                return NULL;
            }
            TRY(judge_again(rd, b, at, &keep));
            if (keep && rd->fr->is_joined && h->newest_ts > changed) {
                changed = h->newest_ts;
            }
        }
        if (keep) {
            rd->holds[kept] = h;
            rd->sel[kept++] = at;
        }
    }
    rd->nsel = kept;
    rd->newest = changed; /* the locks stay: the next time nothing of this has changed */
    return NULL;
}

/* ---- changes ---- */

/* Puts what becomes of the locked rows into the workspace. No park: the holds stay what they are.
 */
static struct status *change_rows(struct reading *rd, struct batch *in, struct batch **out)
{
    const struct fragment *fr = rd->fr;
    struct work *w = rd->work;
    if (w->state != WORK_OPEN) {
        return part_gone();
    }
    struct batch *rows;
    TRY(fragment_change_rows(&rd->eval, fr, in, rd->sel, rd->nsel, &rows, &rd->is_refused));
    if (rd->is_refused) {
        *out = NULL;
        return NULL;
    }
    struct datum *row = ARENA_ARRAY(rd->scratch, struct datum, fr->nrow_columns + 1);
    struct buf bytes = {0};
    struct status *st = NULL;
    for (int i = 0; i < rd->nsel && st == NULL; i++) {
        buf_clear(&bytes);
        if (!fr->change->is_delete) {
            for (int c = 0; c < fr->nrow_columns; c++) {
                row[c] = rows->cols[c][i];
            }
            row_encode(&bytes, fr->row_columns, fr->nrow_columns, row);
        }
        st = part_put(rd->p, w, rd->holds[i], rd->seq,
                      fr->change->is_delete ? WORK_DELETE : WORK_PUT, buf_slice(&bytes));
    }
    buf_deinit(&bytes);
    if (!fr->change->returns_rows) {
        rows->ncols = 0;
    }
    *out = rows;
    return st;
}

/* The lock of a single row that somebody else holds now. A row that is not there (any more) is
 * left to the scan: nobody waits for a row that may come. */
static struct status *lock_ahead(struct fiber *f, struct reading *rd)
{
    const struct fragment *fr = rd->fr;
    struct part *p = rd->p;
    if (fr->nspans != 1 || !fr->spans[0].is_point || fr->is_lookup || fr->filter != NULL ||
        fr->lock_wait != LOCK_WAIT) {
        return NULL;
    }
    struct slice key = fr->spans[0].start;
    if (!lock_is_wanted(&p->locks, key) || lock_hold_of(&p->locks, &rd->work->owner, key) != NULL) {
        return NULL;
    }
    struct mvcc_version v;
    bool found = false;
    TRY(mvcc_newest(p->state->store, key, &p->scratch, &v, &found));
    if (!found || v.is_tombstone) {
        return NULL;
    }
    struct lock_hold *h = NULL;
    return part_lock(f, p, rd->work, rd->seq, key, fr->lock, LOCK_WAIT, rd->lock_timeout_ms, &h);
}

/* ---- the source ---- */

static struct status *project(struct reading *rd, struct batch *in, struct batch **out)
{
    const struct fragment *fr = rd->fr;
    struct batch *b =
        batch_create(rd->scratch, rd->nout, rd->out_types, rd->nsel > 0 ? rd->nsel : 1);
    b->nrows = rd->nsel;
    if (fr->nprojections == 0) {
        for (int c = 0; c < rd->nout; c++) {
            for (int i = 0; i < rd->nsel; i++) {
                b->cols[c][i] = in->cols[c][rd->sel[i]];
            }
        }
    } else {
        for (int c = 0; c < fr->nprojections; c++) {
            TRY(expr_eval(&rd->eval, fr->projections[c], in, rd->sel, rd->nsel, b->cols[c]));
        }
        for (int i = 0; rd->nout > fr->nprojections && i < rd->nsel; i++) {
            b->cols[fr->nprojections][i] = in->cols[fr->ncolumns][rd->sel[i]];
        }
    }
    *out = b;
    return NULL;
}

/* One chunk through the pipeline. *out NULL: this page has no more candidates. */
static struct status *next_chunk(struct fiber *f, struct reading *rd, int want, struct batch **out)
{
    *out = NULL;
    for (;;) {
        if (scan_is_done(&rd->scan) || rd->scan.seen >= rd->page_end) {
            return NULL;
        }
        TRY(scan_gather(&rd->scan, rd->scratch, want, &rd->chunk));
        if (rd->fr->is_lookup && rd->chunk.count != 0) {
            TRY(lookup_rows(f, rd));
        }
        if (rd->chunk.count != 0) {
            break;
        }
        if (!scan_is_done(&rd->scan)) {
            TRY(fiber_yield(f));
            TRY(part_confirm(f, rd->p));
            TRY(check_watermark(rd));
        }
    }
    struct batch *b = batch_create(rd->scratch, rd->ncols, rd->types, rd->chunk.count);
    b->nrows = rd->chunk.count;
    for (int i = 0; i < rd->chunk.count; i++) {
        TRY(decode_row(rd, b, i, rd->chunk.rows[i], rd->chunk.pks[i]));
    }
    rd->eval.arena = rd->scratch;
    TRY(filter_batch(rd, b));
    if (rd->fr->lock != LOCK_NONE) {
        TRY(lock_rows(f, rd, b));
        if (rd->newest != 0) {
            return NULL;
        }
    }
    return rd->fr->change != NULL ? change_rows(rd, b, out) : project(rd, b, out);
}

static struct status *source_next(struct fiber *f, struct op *op, struct batch **out)
{
    struct reading *rd = CONTAINER_OF(op, struct reading, source);
    if (rd->scan.seen != 0) {
        arena_reset(rd->scratch);
        TRY(fiber_yield(f)); /* a chunk is a turn */
        TRY(part_confirm(f, rd->p));
        TRY(check_watermark(rd));
    }
    return next_chunk(f, rd, rd->chunk.cap, out);
}

/* ---- results ---- */

static bool is_inline(uint32_t type)
{
    const struct type_info *ti = type_find(type);
    return ti == NULL || ti->is_inline;
}

/* Copies all that an operator gives into one batch. */
static struct status *collect(struct fiber *f, struct reading *rd, struct op *op,
                              struct batch **out)
{
    struct batch *all = NULL;
    for (;;) {
        struct batch *b = NULL;
        TRY(op_next(f, op, &b));
        if (b == NULL) {
            break;
        }
        int have = all != NULL ? all->nrows : 0;
        struct batch *grown = all;
        if (all == NULL || have + b->nrows > all->cap) {
            grown = batch_create(rd->arena, op->ncols, op->types, (have + b->nrows) * 2);
            for (int c = 0; all != NULL && c < op->ncols; c++) {
                memcpy(grown->cols[c], all->cols[c], (size_t)have * sizeof(struct datum));
            }
        }
        for (int c = 0; c < op->ncols; c++) {
            bool is_plain = is_inline(op->types[c]);
            for (int i = 0; i < b->nrows; i++) {
                const struct datum *d = &b->cols[c][i];
                grown->cols[c][have + i] =
                    is_plain || d->is_null ? *d : datum_copy(rd->arena, op->types[c], d);
            }
        }
        grown->nrows = have + b->nrows;
        all = grown;
    }
    *out = all != NULL ? all : batch_create(rd->arena, op->ncols, op->types, 1);
    return NULL;
}

static struct status *run_operators(struct fiber *f, struct reading *rd, struct batch **out)
{
    struct fragment *fr = rd->fr;
    rd->source = (struct op){.next = source_next, .ncols = rd->nout, .types = rd->out_types};
    rd->scratch = arena_create(0);
    arena_on_free(rd->arena, (void (*)(void *))arena_destroy, rd->scratch);
    struct op *op;
    rd->eval.arena = rd->arena;
    struct eval_ctx *ctx = ARENA_NEW(rd->arena, struct eval_ctx);
    *ctx = rd->eval;
    if (fr->naggs != 0 || fr->ngroups != 0) {
        op = op_aggregate(rd->arena, ctx, &rd->source, fr->ngroups, fr->naggs, fr->aggs,
                          AGG_PARTIAL);
    } else {
        op = op_sort(rd->arena, &rd->source, fr->nsort, fr->sort, fr->limit);
    }
    struct status *st = collect(f, rd, op, out);
    op_close(op);
    return st;
}

static size_t batch_bytes(const struct batch *b, int from)
{
    size_t n = 0;
    for (int c = 0; c < b->ncols; c++) {
        bool is_plain = is_inline(b->types[c]);
        for (int i = from; i < b->nrows; i++) {
            n += is_plain || b->cols[c][i].is_null ? 8 : b->cols[c][i].len + 4;
        }
    }
    return n;
}

/* The plain path: chunks are appended until the page is full, and the scan goes back to just behind
 * the last row that was taken. */
static struct status *run_plain(struct fiber *f, struct reading *rd, struct batch **out)
{
    const Sherd__V1__ReadRequest *req = rd->req;
    int64_t max_rows = req->max_rows != 0 ? req->max_rows : SHARD_READ_ROWS;
    if (rd->fr->limit >= 0 && rd->fr->limit < max_rows) {
        max_rows = rd->fr->limit;
    }
    size_t max_bytes = req->max_bytes != 0 ? req->max_bytes : SHARD_READ_BYTES;
    max_bytes = max_bytes < SHARD_READ_BYTES_MAX ? max_bytes : SHARD_READ_BYTES_MAX;
    struct batch *all = NULL;
    size_t bytes = 0;
    rd->scratch = rd->arena;
    bool is_first = true;
    while (max_rows > (all != NULL ? all->nrows : 0) && bytes < max_bytes) {
        int have = all != NULL ? all->nrows : 0;
        int64_t left = max_rows - have;
        int64_t look = rd->fr->filter != NULL && left < 256 ? 256 : left;
        int want = look < rd->chunk.cap ? (int)look : rd->chunk.cap;
        if (rd->fr->lock != LOCK_NONE && left < want) {
            want = (int)left; /* lock no row that is not returned */
        }
        if (!is_first) {
            TRY(fiber_yield(f));
            TRY(part_confirm(f, rd->p));
            TRY(check_watermark(rd));
        }
        is_first = false;
        struct batch *b = NULL;
        TRY(next_chunk(f, rd, want, &b));
        if (b == NULL) {
            break;
        }
        if (b->nrows > left) {
            b->nrows = (int)left;
            scan_cut(&rd->scan, &rd->chunk, rd->sel[left - 1]);
        }
        if (all == NULL) {
            all = b;
        } else {
            struct batch *grown = all;
            if (have + b->nrows > all->cap) {
                grown = batch_create(rd->arena, rd->nout, rd->out_types, (have + b->nrows) * 2);
                grown->nrows = have;
                for (int c = 0; c < rd->nout; c++) {
                    memcpy(grown->cols[c], all->cols[c], (size_t)have * sizeof(struct datum));
                }
            }
            for (int c = 0; c < rd->nout; c++) {
                memcpy(grown->cols[c] + have, b->cols[c], (size_t)b->nrows * sizeof(struct datum));
            }
            grown->nrows = have + b->nrows;
            all = grown;
        }
        bytes += batch_bytes(all, have);
    }
    *out = all != NULL ? all : batch_create(rd->arena, rd->nout, rd->out_types, 1);
    return NULL;
}

/* ---- the request ---- */

static void prepare_types(struct reading *rd)
{
    struct fragment *fr = rd->fr;
    struct arena *a = rd->arena;
    bool with_key = fr->with_key || fr->is_keys_only;
    rd->ncols = fr->ncolumns + (with_key ? 1 : 0);
    rd->types = ARENA_ARRAY(a, uint32_t, rd->ncols + 1);
    for (int i = 0; i < fr->ncolumns; i++) {
        rd->types[i] = fr->row_columns[fr->columns[i]].type;
    }
    rd->types[fr->ncolumns] = TYPE_BYTEA;
    if (fr->change != NULL) {
        rd->nout = fr->change->returns_rows ? fr->nrow_columns : 0;
        rd->out_types = ARENA_ARRAY(a, uint32_t, rd->nout + 1);
        for (int i = 0; i < rd->nout; i++) {
            rd->out_types[i] = fr->row_columns[i].type;
        }
    } else if (fr->nprojections == 0) {
        rd->nout = rd->ncols;
        rd->out_types = rd->types;
    } else {
        rd->nout = fr->nprojections + (with_key ? 1 : 0);
        rd->out_types = ARENA_ARRAY(a, uint32_t, rd->nout + 1);
        for (int i = 0; i < fr->nprojections; i++) {
            rd->out_types[i] = fr->projections[i]->type;
        }
        rd->out_types[fr->nprojections] = TYPE_BYTEA;
    }
    bool all_points = true;
    for (int i = 0; i < fr->nspans && all_points; i++) {
        all_points = fr->spans[i].is_point;
    }
    int cap = all_points && fr->nspans < BATCH_ROWS ? fr->nspans : BATCH_ROWS;
    int turn = expr_rows_a_turn(fr->weight);
    cap = cap < 1 ? 1 : cap > turn ? turn : cap;
    rd->chunk.cap = cap;
    rd->chunk.keys = ARENA_ARRAY(a, struct slice, cap);
    rd->chunk.rows = ARENA_ARRAY(a, struct slice, cap);
    rd->chunk.pks = ARENA_ARRAY(a, struct slice, cap);
    rd->chunk.spans = ARENA_ARRAY(a, int, cap);
    rd->sel = ARENA_ARRAY(a, int, cap);
    rd->holds = fr->lock != LOCK_NONE ? ARENA_ARRAY(a, struct lock_hold *, cap) : NULL;
}

/* R4: what this page has read: from where it began to where the next one goes on. */
static void record_page(struct reading *rd, const struct key_span *begun, const bool *has_begun)
{
    struct buf scratch = {0};
    for (int i = 0; i < rd->fr->nspans; i++) {
        if (!has_begun[i]) {
            continue;
        }
        struct key_span k = begun[i], rest;
        if (scan_rest(&rd->scan, i, &rest)) {
            if (i != rd->scan.span || !rd->scan.has_pos) {
                continue; /* not reached */
            }
            if (rd->fr->is_reverse) {
                k.start = rest.end;
                k.end = span_end(&k, &scratch);
            } else {
                k.end = rest.start;
            }
            k.is_point = false;
        }
        work_read_span(rd->work, &k, rd->ts, rd->req->current);
    }
    buf_deinit(&scratch);
}

static struct status *run_page(struct fiber *f, struct reading *rd, struct batch **out)
{
    struct fragment *fr = rd->fr;
    struct slice resume = slice_make(rd->req->resume_key.data, rd->req->resume_key.len);
    scan_deinit(&rd->scan);
    TRY(scan_init(&rd->scan, rd->p, rd->work, fr, rd->ts, resume, rd->req->resume_span));
    rd->missed_count = 0;
    rd->newest = 0;
    rd->is_refused = false;
    rd->page_end = (uint64_t)SHARD_SCAN_PAGE / BATCH_ROWS * (uint64_t)expr_rows_a_turn(fr->weight);
    struct key_span *begun = NULL;
    bool *has_begun = NULL;
    if (rd->is_recording) {
        begun = ARENA_ARRAY(rd->arena, struct key_span, fr->nspans + 1);
        has_begun = ARENA_ARRAY(rd->arena, bool, fr->nspans + 1);
        for (int i = 0; i < fr->nspans; i++) {
            has_begun[i] = scan_rest(&rd->scan, i, &begun[i]);
            begun[i].start = arena_copy(rd->arena, begun[i].start);
            begun[i].end = arena_copy(rd->arena, begun[i].end);
        }
    }
    TRY(settle(f, rd));
    bool has_operators = fr->naggs != 0 || fr->ngroups != 0 || (fr->nsort != 0 && fr->limit >= 0);
    TRY(has_operators ? run_operators(f, rd, out) : run_plain(f, rd, out));
    if (rd->newest == 0 && rd->is_recording) {
        record_page(rd, begun, has_begun);
    }
    return NULL;
}

static struct status *newer_version(const struct reading *rd)
{
    return status_hint(status_new(CONFLICT, "could not serialize access due to concurrent %s",
                                  rd->is_deleted ? "delete" : "update"),
                       "The transaction might succeed if retried.");
}

/* Before the page runs again. */
static void undo_change(struct reading *rd)
{
    if (rd->fr->change != NULL) {
        work_undo(rd->work, &rd->p->locks, rd->seq - 1);
    }
}

/* ts was 0: the snapshot may move while nothing has been answered. */
static struct status *run_latest(struct fiber *f, struct reading *rd, struct batch **out)
{
    bool may_use_high = true;
    if (rd->fr->change != NULL) {
        TRY(lock_ahead(f, rd));
    }
    for (int tries = 0; tries < SHARD_COMMIT_TRIES; tries++) {
        TRY(choose_ts(f, rd, may_use_high));
        size_t spans = rd->work != NULL ? rd->work->span_count : 0;
        TRY(run_page(f, rd, out));
        if (rd->newest == 0 && (rd->missed_count == 0 || !rd->is_latest)) {
            if (rd->work != NULL && rd->work->start == 0) {
                rd->work->start = rd->ts;
            }
            return NULL;
        }
        may_use_high = may_use_high && rd->missed_count == 0; /* R2: one shard only */
        if (rd->work != NULL) {
            work_truncate_spans(rd->work, spans);
        }
        undo_change(rd);
        part_raise_high(rd->p, rd->newest);
    }
    return newer_version(rd);
}

/* A change at the transaction's snapshot, which moves when it may (W4). *out NULL with rd->newest:
 * a conflict. */
static struct status *run_change(struct fiber *f, struct reading *rd, bool may_move,
                                 struct batch **out)
{
    struct work *w = rd->work;
    rd->ts = rd->req->ts > w->start ? rd->req->ts : w->start;
    TRY(lock_ahead(f, rd));
    for (int tries = 0;; tries++) {
        size_t spans = w->span_count;
        TRY(run_page(f, rd, out));
        if (rd->newest == 0 || !may_move || tries == SHARD_COMMIT_TRIES) {
            return NULL;
        }
        work_truncate_spans(w, spans); /* what this page has read; what came before must hold */
        undo_change(rd);
        uint64_t to = rd->newest;
        bool ok = false;
        TRY(part_move(f, rd->p, w, to, &ok));
        if (!ok) {
            return NULL;
        }
        rd->ts = to;
    }
}

/* Rows that are joined: *out NULL with rd->newest is a conflict, and an answer: an error would end
 * the workspace of a first request, and its locks. */
static struct status *run_given(struct fiber *f, struct reading *rd, struct batch **out)
{
    rd->ts = rd->req->ts;
    TRY(run_page(f, rd, out));
    return rd->newest != 0 && !rd->fr->is_joined ? newer_version(rd) : NULL;
}

static void free_buf(void *ctx)
{
    buf_deinit(ctx);
}

static void fill_handle(struct reading *rd)
{
    if (rd->work != NULL && rd->work->number != 0) {
        part_handle(rd->p, rd->work, rd->arena, &rd->reply->handle);
    }
}

static void fill_reply(struct reading *rd, const struct batch *b)
{
    Sherd__V1__ReadReply *r = rd->reply;
    struct buf *out = ARENA_NEW(rd->arena, struct buf);
    arena_on_free(rd->arena, free_buf, out);
    batch_encode(out, b);
    r->batch = (ProtobufCBinaryData){out->len, out->data};
    r->ts = rd->ts;
    r->term = rd->p->term;
    r->rows_scanned = rd->scan.seen;
    bool is_limited = rd->fr->limit >= 0 && rd->fr->nsort == 0 && rd->fr->naggs == 0 &&
                      rd->fr->ngroups == 0 && b->nrows >= rd->fr->limit && rd->missed_count == 0;
    r->more = !scan_is_done(&rd->scan) && !is_limited;
    if (r->more) {
        struct slice pos;
        if (rd->scan.has_pos) {
            pos = arena_copy(rd->arena, buf_slice(&rd->scan.pos));
        } else { /* at the beginning of a span */
            const struct key_span *k = &rd->fr->spans[rd->scan.span];
            struct buf end = {0};
            pos = arena_copy(rd->arena, rd->fr->is_reverse ? span_end(k, &end) : k->start);
            buf_deinit(&end);
        }
        r->resume_key = (ProtobufCBinaryData){pos.len, (uint8_t *)(uintptr_t)pos.data};
        r->resume_span = (uint32_t)rd->scan.span;
    }
    if (rd->missed_count != 0) {
        r->n_missed = rd->missed_count;
        r->missed = ARENA_ARRAY(rd->arena, ProtobufCBinaryData, rd->missed_count);
        for (size_t i = 0; i < rd->missed_count; i++) {
            r->missed[i] =
                (ProtobufCBinaryData){rd->missed[i].len, (uint8_t *)(uintptr_t)rd->missed[i].data};
        }
    }
    fill_handle(rd);
}

static void fill_conflict(struct reading *rd)
{
    rd->reply->newer =
        rd->is_deleted ? SHERD__V1__NEWER__NEWER_DELETE : SHERD__V1__NEWER__NEWER_UPDATE;
    rd->reply->term = rd->p->term;
    fill_handle(rd);
}

/* A locking read has its place in the order of the transaction's writes (W1). Run again it finds
 * its locks. */
static struct status *take_seq(struct reading *rd)
{
    uint64_t seq = rd->req->seq;
    struct work *w = rd->work;
    if (seq == 0 || seq == w->seq) {
        return NULL;
    }
    if (seq != w->seq + 1) {
        return status_new(INVALID, "locking read %llu of a transaction comes after %llu",
                          (unsigned long long)seq, (unsigned long long)w->seq);
    }
    w->seq = seq;
    w->answer.is_error = true; /* a Write of this number is another request: it runs */
    return NULL;
}

static struct status *read_in_work(struct fiber *f, struct reading *rd, struct batch **out)
{
    struct work *w = rd->work;
    bool is_locking = rd->fr->lock != LOCK_NONE;
    if (is_locking) {
        TRY(fmutex_lock(f, &w->busy));
    }
    struct status *st = w->state != WORK_OPEN ? part_gone() : is_locking ? take_seq(rd) : NULL;
    if (st == NULL) {
        st = rd->req->ts != 0 ? run_given(f, rd, out) : run_latest(f, rd, out);
    }
    if (st == NULL && is_locking) {
        st = part_confirm(f, rd->p); /* what was read under the locks is of this moment */
    }
    if (is_locking) {
        fmutex_unlock(&w->busy);
    }
    if (st == NULL && w->state != WORK_OPEN) {
        st = part_gone();
    }
    return st;
}

static bool needs_work(const Sherd__V1__ReadRequest *req, const struct fragment *fr)
{
    const Sherd__V1__TxnRef *t = req->txn;
    if (t == NULL || t->id == NULL || t->read_only) {
        return false;
    }
    return fr->lock != LOCK_NONE || req->current ||
           t->isolation == SHERD__V1__ISOLATION__SERIALIZABLE ||
           (t->handle != NULL && t->handle->number != 0);
}

struct status *part_read(struct fiber *f, struct part *p, struct arena *a,
                         const Sherd__V1__ReadRequest *req, Sherd__V1__ReadReply *reply)
{
    struct reading rd = {.p = p, .arena = a, .req = req, .reply = reply};
    if (req->expect_term != 0 && req->expect_term != p->term) {
        return status_new(CONFLICT, "the shard's leader changed in the middle of a read");
    }
    TRY(fragment_decode(a, slice_make(req->fragment.data, req->fragment.len), &rd.fr));
    if (rd.fr->change != NULL) {
        return status_new(INVALID, "a change in a read request");
    }
    TRY(check_spans(p, rd.fr));
    rd.epoch = p->state->epoch;
    TRY(part_check_table(p, rd.fr->table_id, rd.fr->schema_version));
    rd.eval.arena = a;
    prepare_types(&rd);
    struct batch *b = NULL;
    struct status *st;
    if (needs_work(req, rd.fr)) {
        TRY(part_workspace(p, req->txn, rd.fr->lock != LOCK_NONE, &rd.work));
        work_ref(rd.work);
        rd.lock_timeout_ms = req->txn->lock_timeout_ms;
        work_use_table(rd.work, rd.fr->table_id, rd.fr->schema_version);
        rd.is_recording = rd.work->isolation == SHERD__V1__ISOLATION__SERIALIZABLE || req->current;
        st = read_in_work(f, &rd, &b);
    } else if (rd.fr->lock != LOCK_NONE) {
        st = status_new(INVALID, "a locking read needs a transaction");
    } else {
        st = req->ts != 0 ? run_given(f, &rd, &b) : run_latest(f, &rd, &b);
    }
    if (st == NULL && rd.newest != 0) {
        fill_conflict(&rd);
    } else if (st == NULL) {
        fill_reply(&rd, b);
    }
    scan_deinit(&rd.scan);
    work_unref(rd.work);
    return st;
}

struct status *part_change_decode(struct part *p, struct arena *a,
                                  const Sherd__V1__WriteRequest *req, struct fragment **out)
{
    const Sherd__V1__ReadRequest *q = req->change;
    struct fragment *fr;
    TRY(fragment_decode(a, slice_make(q->fragment.data, q->fragment.len), &fr));
    if (fr->change == NULL) {
        return status_new(INVALID, "a write request with a fragment that changes nothing");
    }
    TRY(check_spans(p, fr));
    TRY(part_check_table(p, fr->table_id, fr->schema_version));
    *out = fr;
    return NULL;
}

struct status *part_change(struct fiber *f, struct part *p, struct work *w, struct arena *a,
                           const Sherd__V1__WriteRequest *req, struct fragment *fr, uint64_t seq,
                           Sherd__V1__ReadReply *reply, enum change_end *out_end,
                           uint64_t *out_newest, bool *out_deleted)
{
    const Sherd__V1__ReadRequest *q = req->change;
    struct reading rd = {.p = p,
                         .arena = a,
                         .req = q,
                         .reply = reply,
                         .fr = fr,
                         .work = w,
                         .seq = seq,
                         .lock_timeout_ms = req->txn->lock_timeout_ms};
    TRY(check_spans(p, fr)); /* it has waited for its turn */
    rd.epoch = p->state->epoch;
    work_use_table(w, fr->table_id, fr->schema_version);
    rd.is_recording = w->isolation == SHERD__V1__ISOLATION__SERIALIZABLE;
    rd.eval.arena = a;
    prepare_types(&rd);
    struct batch *b = NULL;
    struct status *st = q->ts == 0 && w->start == 0 ? run_latest(f, &rd, &b)
                                                    : run_change(f, &rd, req->may_move, &b);
    if (st == NULL) {
        st = part_confirm(f, p); /* what was read under the locks is of this moment */
    }
    if (st == NULL && w->state != WORK_OPEN) {
        st = part_gone();
    }
    if (st == NULL) {
        *out_end = rd.is_refused ? CHANGE_REFUSED : rd.newest != 0 ? CHANGE_CONFLICT : CHANGE_DONE;
        *out_newest = rd.newest;
        *out_deleted = rd.is_deleted;
        if (*out_end == CHANGE_DONE) {
            fill_reply(&rd, b);
        }
    }
    scan_deinit(&rd.scan);
    return st;
}
