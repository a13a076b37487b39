/*
 * Txn, Allocate and Sequence: what each of them decides, as struct meta_op.
 *
 * Exactly once: a change that succeeded leaves its request id in the same log entry; a retry finds
 * it, at this leader or a later one, and gets the first answer. A refused one left nothing, so
 * judging it again is right.
 *
 * Sequences: routers take blocks of values and may hand them out for META_SEQUENCE_LEASE_MS from
 * when they asked, by their own clock. A setval answers when every block given before it has run
 * out: nextval anywhere follows it. The leader remembers when it gave the last block; those of its
 * predecessors are older than its leadership. Clocks are trusted for their rate only.
 */
#include "server_impl.h"

#include "base/check.h"
#include "base/mem.h"
#include "keys.h"

#include <inttypes.h>

static struct slice pb_slice(ProtobufCBinaryData b)
{
    return slice_make(b.data, b.len);
}

/* ---- Txn ---- */

struct txn_op {
    struct meta_op op;
    const Sherd__V1__MetaTxnRequest *request; /* the waiting fiber's */
    bool succeeded;
    uint32_t failed_compare;
};

static struct status *txn_check(const Sherd__V1__MetaTxnRequest *r)
{
    size_t bytes = 0;
    size_t items = r->n_compares + r->n_puts + r->n_deletes + r->n_delete_prefixes;
    if (items > META_TXN_ITEMS_MAX) {
        return status_sql(LIMIT, "54000", "metadata change has %zu items, at most %u are allowed",
                          items, META_TXN_ITEMS_MAX);
    }
    for (size_t i = 0; i < r->n_compares; i++) {
        bytes += r->compares[i]->key.len;
    }
    for (size_t i = 0; i < r->n_puts; i++) {
        if (r->puts[i]->key.len == 0 || r->puts[i]->key.len > META_KEY_BYTES_MAX) {
            return status_new(INVALID, "metadata key has %zu bytes", r->puts[i]->key.len);
        }
        bytes += r->puts[i]->key.len + r->puts[i]->value.len;
    }
    for (size_t i = 0; i < r->n_deletes; i++) {
        bytes += r->deletes[i].len;
    }
    for (size_t i = 0; i < r->n_delete_prefixes; i++) {
        if (r->delete_prefixes[i].len == 0) {
            return status_new(INVALID, "metadata change would delete everything");
        }
    }
    if (bytes > META_TXN_BYTES_MAX) {
        return status_sql(LIMIT, "54000", "metadata change has %zu bytes, at most %zu are allowed",
                          bytes, META_TXN_BYTES_MAX);
    }
    return NULL;
}

static struct status *txn_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct txn_op *op = CONTAINER_OF(base, struct txn_op, op);
    const Sherd__V1__MetaTxnRequest *r = op->request;
    uint64_t done = meta_batch_request(b, r->request_id);
    if (done != 0) {
        op->succeeded = true;
        base->revision = done;
        return NULL;
    }
    for (size_t i = 0; i < r->n_compares; i++) {
        const struct omap_entry *e = meta_batch_get(b, pb_slice(r->compares[i]->key));
        if ((e == NULL ? 0 : e->mod_revision) != r->compares[i]->mod_revision) {
            op->failed_compare = (uint32_t)i;
            return NULL;
        }
    }
    op->succeeded = true;
    for (size_t i = 0; i < r->n_delete_prefixes; i++) {
        meta_batch_delete_prefix(b, pb_slice(r->delete_prefixes[i]));
    }
    for (size_t i = 0; i < r->n_deletes; i++) {
        meta_batch_delete(b, pb_slice(r->deletes[i]));
    }
    for (size_t i = 0; i < r->n_puts; i++) {
        meta_batch_put(b, pb_slice(r->puts[i]->key), pb_slice(r->puts[i]->value));
    }
    meta_batch_done(b, r->request_id);
    return NULL;
}

static struct status *txn_run(struct fiber *f, struct meta_server *s,
                              const Sherd__V1__MetaTxnRequest *r, Sherd__V1__MetaTxnReply *out)
{
    TRY(txn_check(r));
    struct txn_op *op = meta_op_create(sizeof(*op), txn_evaluate);
    op->request = r;
    TRY(meta_submit(f, s, &op->op));
    out->succeeded = op->succeeded;
    out->failed_compare = op->failed_compare;
    out->revision = op->op.revision;
    mem_free(op);
    return NULL;
}

struct status *meta_handle_txn(struct fiber *f, struct rpc_context *ctx, const void *request,
                               void **out_reply, struct meta_server *s)
{
    Sherd__V1__MetaTxnReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaTxnReply);
    sherd__v1__meta_txn_reply__init(reply);
    TRY(txn_run(f, s, request, reply));
    *out_reply = reply;
    return NULL;
}

struct status *meta_server_txn(struct fiber *f, struct meta_server *s,
                               const Sherd__V1__MetaTxnRequest *request, bool *out_succeeded)
{
    Sherd__V1__MetaTxnReply reply = SHERD__V1__META_TXN_REPLY__INIT;
    TRY(txn_run(f, s, request, &reply));
    *out_succeeded = reply.succeeded;
    return NULL;
}

/* ---- Allocate ---- */

uint64_t meta_batch_allocate(struct meta_batch *b, unsigned kind, uint64_t count)
{
    const char *name = meta_counter_name(kind);
    ASSERT(name != NULL);
    const struct omap_entry *e = meta_batch_get(b, slice_str(name));
    uint64_t last = e != NULL && e->value_len == 8 ? get_u64(omap_entry_value(e).data) : 0;
    uint8_t value[8];
    set_u64(value, last + count);
    meta_batch_put(b, slice_str(name), slice_make(value, sizeof(value)));
    return last + 1;
}

struct allocate_op {
    struct meta_op op;
    unsigned kind;
    uint32_t count;
    uint64_t first;
};

static struct status *allocate_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct allocate_op *op = CONTAINER_OF(base, struct allocate_op, op);
    op->first = meta_batch_allocate(b, op->kind, op->count);
    return NULL;
}

struct status *meta_handle_allocate(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, struct meta_server *s)
{
    const Sherd__V1__MetaAllocateRequest *r = request;
    if (meta_counter_name(r->kind) == NULL) {
        return status_new(INVALID, "metadata ids have no kind %u", r->kind);
    }
    if (r->count == 0 || r->count > META_ALLOCATE_MAX) {
        return status_new(INVALID, "%u ids asked for, 1 to %u are allowed", r->count,
                          META_ALLOCATE_MAX);
    }
    struct allocate_op *op = meta_op_create(sizeof(*op), allocate_evaluate);
    op->kind = r->kind;
    op->count = r->count;
    TRY(meta_submit(f, s, &op->op));
    Sherd__V1__MetaAllocateReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaAllocateReply);
    sherd__v1__meta_allocate_reply__init(reply);
    reply->first = op->first;
    mem_free(op);
    *out_reply = reply;
    return NULL;
}

/* ---- Sequence ---- */

struct sequence_op {
    struct meta_op op;
    const Sherd__V1__MetaSequenceRequest *request;
    int64_t first;
    int64_t increment;
    uint32_t count;
    uint64_t quiet_ns; /* set: blocks given before it have run out by then */
};

/* a + b when it fits. */
static bool add_fits(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* The next values of a sequence that stands at `state`: how many of `want` there are, from
 * *out_first. PostgreSQL's nextval(): the end is an error only when not even one is left; with
 * CYCLE it starts over. */
static struct status *sequence_next(const Sherd__V1__SequenceDesc *d,
                                    Sherd__V1__SequenceState *state, uint32_t want,
                                    int64_t *out_first, uint32_t *out_count)
{
    int64_t inc = d->increment == 0 ? 1 : d->increment;
    int64_t value = state->last;
    bool fits = true;
    if (state->called) {
        fits = add_fits(value, inc, &value);
    }
    if (!fits || value > d->max || value < d->min) {
        if (!d->cycle) {
            return inc > 0
                       ? status_sql(LIMIT, "2200H",
                                    "nextval: reached maximum value of sequence \"%s\" (%" PRId64
                                    ")",
                                    d->name, d->max)
                       : status_sql(LIMIT, "2200H",
                                    "nextval: reached minimum value of sequence \"%s\" (%" PRId64
                                    ")",
                                    d->name, d->min);
        }
        value = inc > 0 ? d->min : d->max;
    }
    *out_first = value;
    uint32_t count = 1;
    int64_t next;
    while (count < want && add_fits(value, inc, &next) && next <= d->max && next >= d->min) {
        value = next;
        count++;
    }
    state->last = value;
    state->called = true;
    *out_count = count;
    return NULL;
}

static struct status *sequence_set(const Sherd__V1__SequenceDesc *d,
                                   const Sherd__V1__MetaSequenceRequest *r,
                                   Sherd__V1__SequenceState *state)
{
    if (r->value < d->min || r->value > d->max) {
        return status_sql(INVALID, "22003",
                          "setval: value %" PRId64 " is out of bounds for sequence \"%s\" (%" PRId64
                          "..%" PRId64 ")",
                          r->value, d->name, d->min, d->max);
    }
    state->last = r->value;
    state->called = r->called;
    return NULL;
}

static struct status *sequence_step(struct sequence_op *op, struct meta_batch *b, struct arena *a)
{
    const Sherd__V1__MetaSequenceRequest *r = op->request;
    struct buf key = {0};
    void *message = NULL;
    struct status *st = NULL;
    meta_key(&key, META_PREFIX_SEQ, r->sequence_id, 8);
    const struct omap_entry *e = meta_batch_get(b, buf_slice(&key));
    if (e == NULL) {
        st = status_sql(NOT_FOUND, "42P01", "sequence with OID %" PRIu64 " does not exist",
                        r->sequence_id);
        goto out;
    }
    TRY_GOTO(pb_unpack(&sherd__v1__sequence_desc__descriptor, a, omap_entry_value(e), &message),
             out);
    const Sherd__V1__SequenceDesc *d = message;
    Sherd__V1__SequenceState state = SHERD__V1__SEQUENCE_STATE__INIT;
    state.last = d->start;
    buf_clear(&key);
    meta_key(&key, META_PREFIX_SEQSTATE, r->sequence_id, 8);
    e = meta_batch_get(b, buf_slice(&key));
    if (e != NULL) {
        TRY_GOTO(
            pb_unpack(&sherd__v1__sequence_state__descriptor, a, omap_entry_value(e), &message),
            out);
        state.last = ((Sherd__V1__SequenceState *)message)->last;
        state.called = ((Sherd__V1__SequenceState *)message)->called;
    }
    op->increment = d->increment == 0 ? 1 : d->increment;
    if (r->set) {
        TRY_GOTO(sequence_set(d, r, &state), out);
        op->first = r->value;
        op->count = 1;
    } else {
        TRY_GOTO(sequence_next(d, &state, r->count, &op->first, &op->count), out);
    }
    meta_batch_put(b, buf_slice(&key), pb_pack_in(&state, a));
    meta_batch_done(b, r->request_id);
out:
    buf_deinit(&key);
    return st;
}

/* The lease with what a clock's rate and a turn of the loop may add. */
#define SEQUENCE_LEASE_NS ((uint64_t)META_SEQUENCE_LEASE_MS * 1020000u + 10000000u)

static struct status *sequence_evaluate(struct meta_op *base, struct meta_batch *b)
{
    struct sequence_op *op = CONTAINER_OF(base, struct sequence_op, op);
    const Sherd__V1__MetaSequenceRequest *r = op->request;
    struct meta_server *s = base->server;
    uint64_t *given_ns = &s->sequence_ns[r->sequence_id % META_SEQUENCE_SLOTS];
    if (r->set) {
        uint64_t last = *given_ns > s->leader_since_ns ? *given_ns : s->leader_since_ns;
        op->quiet_ns = last + SEQUENCE_LEASE_NS;
    } else {
        *given_ns = loop_clock_ns(s->loop);
    }
    if (r->set && meta_batch_request(b, r->request_id) !=
                      0) { /* done before: setval() returns its argument */
        op->first = r->value;
        op->count = 1;
        return NULL;
    }
    struct arena *a = arena_create(0);
    struct status *st = sequence_step(op, b, a);
    arena_destroy(a);
    return st;
}

struct status *meta_handle_sequence(struct fiber *f, struct rpc_context *ctx, const void *request,
                                    void **out_reply, struct meta_server *s)
{
    const Sherd__V1__MetaSequenceRequest *r = request;
    if (!r->set && (r->count == 0 || r->count > META_ALLOCATE_MAX)) {
        return status_new(INVALID, "%u sequence values asked for, 1 to %u are allowed", r->count,
                          META_ALLOCATE_MAX);
    }
    struct sequence_op *op = meta_op_create(sizeof(*op), sequence_evaluate);
    op->request = r;
    TRY(meta_submit(f, s, &op->op));
    Sherd__V1__MetaSequenceReply *reply = ARENA_NEW(ctx->arena, Sherd__V1__MetaSequenceReply);
    sherd__v1__meta_sequence_reply__init(reply);
    reply->first = op->first;
    reply->increment = op->increment;
    reply->count = op->count;
    uint64_t now = loop_clock_ns(s->loop);
    uint64_t wait_ns = op->quiet_ns > now ? op->quiet_ns - now : 0;
    mem_free(op);
    if (wait_ns > 0) {
        TRY(fiber_sleep(f, wait_ns));
    }
    *out_reply = reply;
    return NULL;
}
