/* See part_world.h. Keys are bare strings, rows have one text column. */
#include "cmocka_all.h"

#include "part_world.h"

#include "sql/expr.h"

#include "base/check.h"
#include "sherd/v1/catalog.pb-c.h"

#include <stdio.h>

enum {
    KIND_WRITE = 1,
    KIND_PREPARE,
    KIND_READ,
    KIND_FINALIZE,
    KIND_QUERY,
    KIND_VALIDATE,
    KIND_REFRESH
};

static void apply_one(struct world *w, struct slice data)
{
    struct store_batch *b = store_batch_create(w->store);
    w->index++;
    assert_null(state_apply(w->state, w->index, data, b, NULL, NULL));
    assert_null(store_write(w->store, b, false));
    store_batch_destroy(b);
    buf_put_u64(&w->log, w->index);
    buf_put_bytes(&w->log, data);
}

static void held_free(struct held *h)
{
    list_unlink(&h->link);
    buf_deinit(&h->data);
    part_unref(h->part);
    mem_free(h);
}

static void land(struct held *h)
{
    struct group_proposal *p = h->proposal;
    apply_one(h->world, buf_slice(&h->data));
    held_free(h);
    p->done(p, NULL);
}

static void land_task(struct task *t)
{
    land(CONTAINER_OF(t, struct held, task));
}

static struct status *fake_propose(void *ctx, struct slice data, struct group_proposal *p)
{
    struct world *w = ctx;
    struct held *h = MEM_NEW(struct held);
    h->world = w;
    h->proposal = p;
    h->part = part_ref(w->part);
    buf_put_slice(&h->data, data);
    list_push_back(&w->held, &h->link);
    h->task.run = land_task;
    if (!w->hold) {
        loop_defer(w->loop, &h->task);
    }
    return NULL;
}

static bool fake_lease(void *ctx)
{
    return ((struct world *)ctx)->lease;
}

static struct status *fake_not_leader(void *ctx)
{
    (void)ctx;
    return status_new(NOT_LEADER, "not the leader");
}

static struct status *fake_confirm(struct fiber *f, void *ctx)
{
    (void)f;
    return fake_not_leader(ctx);
}

static struct status *fake_timestamp(struct fiber *f, void *ctx, uint64_t *out)
{
    (void)f;
    *out = ++((struct world *)ctx)->clock;
    return NULL;
}

static void fake_orphan(void *ctx, struct work *w)
{
    (void)w;
    ((struct world *)ctx)->orphans++;
}

static void fake_idle(void *ctx, struct work *w)
{
    (void)ctx;
    (void)w;
}

static void begin(struct world *w)
{
    w->term++;
    assert_null(part_begin(&w->env, w->state, w->term, &w->part));
    part_serve(w->part, ++w->clock);
}

void world_init(struct world *w)
{
    *w = (struct world){.clock = 100, .lease = true};
    w->sim = sim_create(1);
    w->loop = sim_loop_create(w->sim, "n1");
    w->disk = mem_disk_create(1);
    assert_null(store_mem_open(w->disk, "state", &w->store));
    list_head_init(&w->held);
    w->arena = arena_create(0);
    w->env = (struct part_env){.loop = w->loop,
                               .propose = fake_propose,
                               .lease_valid = fake_lease,
                               .confirm = fake_confirm,
                               .timestamp = fake_timestamp,
                               .not_leader = fake_not_leader,
                               .orphan = fake_orphan,
                               .idle = fake_idle,
                               .ctx = w,
                               .shard_id = 2};
    Sherd__V1__ShardDesc d = SHERD__V1__SHARD_DESC__INIT;
    Sherd__V1__KeyRange all = SHERD__V1__KEY_RANGE__INIT;
    d.shard_id = 2;
    d.epoch = 1;
    d.range = &all;
    struct buf key = {0}, value = {0};
    state_key(&key, 2, 'D');
    sherd__v1__shard_desc__pack(&d, buf_extend(&value, sherd__v1__shard_desc__get_packed_size(&d)));
    struct store_batch *b = store_batch_create(w->store);
    store_batch_put(b, buf_slice(&key), buf_slice(&value));
    assert_null(store_write(w->store, b, true));
    store_batch_destroy(b);
    buf_deinit(&key);
    buf_deinit(&value);
    assert_null(state_load(w->store, 2, &w->state));
    begin(w);
}

static void end_term(struct world *w, bool keep)
{
    struct part *old = w->part;
    part_end(old);
    while (!list_is_empty(&w->held)) {
        struct held *h = LIST_ITEM(w->held.next, struct held, link);
        struct group_proposal *p = h->proposal;
        loop_defer_cancel(&h->task);
        if (keep) {
            apply_one(w, buf_slice(&h->data));
        }
        held_free(h);
        p->done(p, status_new(UNKNOWN_OUTCOME, "leadership was lost"));
    }
    part_unref(old);
    world_settle(w);
}

void world_next_term(struct world *w, bool keep)
{
    end_term(w, keep);
    begin(w);
}

void world_deinit(struct world *w)
{
    end_term(w, true);
    state_free(w->state);
    store_close(w->store);
    mem_disk_destroy(w->disk);
    buf_deinit(&w->log);
    arena_destroy(w->arena);
    sim_destroy(w->sim);
}

int world_setup(void **state)
{
    struct world *w = MEM_NEW(struct world);
    world_init(w);
    *state = w;
    return 0;
}

int world_teardown(void **state)
{
    world_deinit(*state);
    mem_free(*state);
    return 0;
}

int world_apply(struct world *w)
{
    int n = 0;
    while (!list_is_empty(&w->held)) {
        land(LIST_ITEM(w->held.next, struct held, link));
        n++;
    }
    world_settle(w);
    return n;
}

void world_refuse(struct world *w)
{
    while (!list_is_empty(&w->held)) {
        struct held *h = LIST_ITEM(w->held.next, struct held, link);
        struct group_proposal *p = h->proposal;
        loop_defer_cancel(&h->task);
        held_free(h);
        p->done(p, status_new(NOT_LEADER, "not the leader"));
    }
    world_settle(w);
}

struct run {
    void (*fn)(struct fiber *f, void *arg);
    void *arg;
    bool is_done;
};

static void run_fiber(struct fiber *f, void *arg)
{
    struct run *r = arg;
    r->fn(f, r->arg);
    r->is_done = true;
}

static bool run_is_done(void *ctx)
{
    return ((struct run *)ctx)->is_done;
}

void world_run(struct world *w, void (*fn)(struct fiber *f, void *arg), void *arg)
{
    struct run r = {.fn = fn, .arg = arg};
    fiber_spawn(w->loop, FIBER_STACK_LARGE, run_fiber, &r);
    assert_true(sim_run(w->sim, sim_now_ns(w->sim) + ms_to_ns(60000), run_is_done, &r));
}

void world_settle(struct world *w)
{
    sim_run(w->sim, sim_now_ns(w->sim) + ms_to_ns(2), NULL, NULL);
}

void world_start(struct world *w, void (*fn)(struct fiber *f, void *arg), void *arg)
{
    fiber_spawn(w->loop, FIBER_STACK_LARGE, fn, arg);
    world_settle(w);
}

/* ---- requests ---- */

static void call_fiber(struct fiber *f, void *arg)
{
    struct call *c = arg;
    struct world *w = c->w;
    struct part *p = part_ref(w->part);
    c->st = part_enter(f, p);
    if (c->st == NULL) {
        switch (c->kind) {
        case KIND_WRITE:
            c->st = part_write(f, p, w->arena, &c->write, &c->write_reply);
            break;
        case KIND_PREPARE:
            c->st = part_prepare(f, p, &c->prepare, c->is_one, &c->out);
            break;
        case KIND_READ:
            c->st = part_read(f, p, w->arena, &c->read, &c->read_reply);
            break;
        case KIND_FINALIZE:
            c->st = part_finalize(f, p, &c->finalize, &c->out);
            break;
        case KIND_QUERY: {
            Sherd__V1__QueryRequest q = SHERD__V1__QUERY_REQUEST__INIT;
            q.shard_id = 2;
            q.txn = &c->id;
            q.handle = c->handle.number != 0 ? &c->handle : NULL;
            q.attempt = c->prepare.attempt;
            q.term = c->from;
            q.is_prepared = c->is_prepared;
            c->st = part_query(f, p, &q, &c->out);
            break;
        }
        case KIND_VALIDATE: {
            Sherd__V1__ValidateRequest q = SHERD__V1__VALIDATE_REQUEST__INIT;
            q.txn = &c->id;
            q.handle = &c->handle;
            q.attempt = c->prepare.attempt;
            q.commit = c->prepare.commit;
            c->st = part_validate(f, p, &q, &c->out);
            break;
        }
        default: {
            Sherd__V1__RefreshRequest q = SHERD__V1__REFRESH_REQUEST__INIT;
            q.txn = &c->id;
            q.handle = &c->handle;
            q.from = c->from;
            q.to = c->to;
            q.undo_seq = c->prepare.seq;
            q.undo_statement = c->ref.statement;
            c->st = part_refresh(f, p, &q, &c->out);
            break;
        }
        }
    }
    part_unref(p);
    c->is_done = true;
}

static void call_begin(struct call *c, struct txn *t, int kind)
{
    *c = (struct call){.w = t->w, .kind = kind};
    sherd__v1__txn_id__init(&c->id);
    c->id.incarnation = 1;
    c->id.counter = t->counter;
    c->handle = t->handle;
    sherd__v1__txn_ref__init(&c->ref);
    c->ref.id = &c->id;
    c->ref.handle = t->handle.number != 0 ? &c->handle : NULL;
    c->ref.isolation = (Sherd__V1__Isolation)t->isolation;
    c->ref.start = t->start;
    c->ref.statement = t->statement;
    c->ref.lock_timeout_ms = t->lock_timeout_ms;
    c->ref.read_only = t->read_only;
    c->ref.cannot_rerun = t->cannot_rerun;
    sherd__v1__outcome_reply__init(&c->out);
}

static void call_go(struct call *c)
{
    world_start(c->w, call_fiber, c);
}

struct txn txn_new(struct world *w, uint64_t start)
{
    static uint64_t counter;
    struct txn t = {.w = w, .counter = ++counter, .start = start};
    sherd__v1__handle__init(&t.handle);
    return t;
}

void txn_learn(struct txn *t, const struct call *c)
{
    const Sherd__V1__Handle *h =
        c->kind == KIND_WRITE ? c->write_reply.handle : c->read_reply.handle;
    if (h != NULL) {
        t->handle = *h;
    }
}

static ProtobufCBinaryData bytes_of(struct world *w, const char *s, size_t len)
{
    return (ProtobufCBinaryData){len, (uint8_t *)arena_strndup(w->arena, s, len)};
}

static const struct row_column text_column = {.type = TYPE_TEXT, .typmod = -1};

static ProtobufCBinaryData row_of(struct world *w, const char *s, size_t len)
{
    struct buf b = {0};
    struct datum d = datum_bytes(slice_make(s, len));
    row_encode(&b, &text_column, 1, &d);
    struct slice copy = arena_copy(w->arena, buf_slice(&b));
    buf_deinit(&b);
    return (ProtobufCBinaryData){copy.len, (uint8_t *)(uintptr_t)copy.data};
}

static void parse_op(struct world *w, const char *s, size_t len, Sherd__V1__KeyOp *op)
{
    sherd__v1__key_op__init(op);
    const char *eq = memchr(s, '=', len);
    size_t klen = eq != NULL ? (size_t)(eq - s) : len;
    switch (s[0]) {
    case '+':
        op->kind = SHERD__V1__OP_KIND__OP_INSERT;
        break;
    case '-':
        op->kind = SHERD__V1__OP_KIND__OP_DELETE;
        break;
    case '>':
        op->kind = SHERD__V1__OP_KIND__OP_DELETE;
        op->moved = true;
        break;
    case '?':
        op->kind = SHERD__V1__OP_KIND__OP_EXISTS;
        break;
    case '!':
        op->kind = SHERD__V1__OP_KIND__OP_LOCK;
        op->lock = LOCK_UPDATE;
        break;
    case '~': {
        const char *dots = strstr(s, "..");
        op->kind = SHERD__V1__OP_KIND__OP_ABSENT;
        op->key = bytes_of(w, s + 1, (size_t)(dots - s - 1));
        op->value = bytes_of(w, dots + 2, len - (size_t)(dots + 2 - s));
        return;
    }
    default:
        op->kind = SHERD__V1__OP_KIND__OP_PUT;
        op->key = bytes_of(w, s, klen);
        break;
    }
    if (op->key.data == NULL) {
        op->key = bytes_of(w, s + 1, klen - 1);
    }
    if (eq != NULL) {
        op->value = row_of(w, eq + 1, len - klen - 1);
    }
}

static void write_begin(struct call *c, struct txn *t, bool commit)
{
    call_begin(c, t, KIND_WRITE);
    sherd__v1__write_request__init(&c->write);
    sherd__v1__write_reply__init(&c->write_reply);
    c->write.shard_id = 2;
    c->write.txn = &c->ref;
    c->write.seq = ++t->seq;
    c->write.commit = commit;
}

/* A read of the text of the rows in the span. */
static struct fragment fragment_of(struct key_span *span)
{
    static int want = 0;
    return (struct fragment){.table_id = 7,
                             .index_id = 1,
                             .nspans = 1,
                             .spans = span,
                             .nrow_columns = 1,
                             .row_columns = (struct row_column *)(uintptr_t)&text_column,
                             .ncolumns = 1,
                             .columns = &want,
                             .limit = -1};
}

static void fragment_put(struct call *c, const struct fragment *fr, uint64_t ts)
{
    fragment_encode(&c->fragment, fr);
    c->read.ts = ts;
    c->read.fragment = (ProtobufCBinaryData){c->fragment.len, c->fragment.data};
}

/* end "": the point start. */
static struct key_span span_of(const char *start, const char *end)
{
    return (struct key_span){
        .start = slice_str(start), .end = slice_str(end), .is_point = end[0] == '\0'};
}

void call_write(struct call *c, struct txn *t, const char *ops, bool commit)
{
    write_begin(c, t, commit);
    c->write.ops = c->op_list;
    while (*ops != '\0') {
        size_t len = strcspn(ops, " ");
        parse_op(t->w, ops, len, &c->ops[c->write.n_ops]);
        c->op_list[c->write.n_ops] = &c->ops[c->write.n_ops];
        c->write.n_ops++;
        ops += len + (ops[len] == ' ' ? 1 : 0);
    }
    call_go(c);
}

static struct expr *text_call(struct arena *a, const char *op, type_oid result, const char *value)
{
    const struct func_def *f;
    type_oid args[2], type;
    assert_null(
        func_resolve_op(slice_str(op), TYPE_TEXT, TYPE_TEXT, &f, &args[0], &args[1], &type));
    assert_int_equal(type, result);
    struct expr **list = ARENA_ARRAY(a, struct expr *, 2);
    list[0] = expr_column(a, TYPE_TEXT, -1, 0);
    list[1] = expr_const(a, TYPE_TEXT, datum_bytes(slice_str(value)));
    return expr_call(a, f, type, 2, list);
}

void call_change(struct call *c, struct txn *t, const char *start, const char *end, const char *add,
                 const char *bad, bool commit)
{
    struct arena *a = t->w->arena;
    write_begin(c, t, commit);
    sherd__v1__read_request__init(&c->read);
    struct key_span span = span_of(start, end);
    struct expr *checks[1];
    struct fragment_set set = {.ordinal = 0};
    struct fragment_change change = {.is_delete = add == NULL, .returns_rows = true};
    if (add != NULL) {
        set.value = text_call(a, "||", TYPE_TEXT, add);
        change.nsets = 1;
        change.sets = &set;
    }
    if (bad != NULL) {
        checks[0] = text_call(a, "<>", TYPE_BOOL, bad);
        change.nchecks = 1;
        change.checks = checks;
    }
    struct fragment fr = fragment_of(&span);
    fr.lock = add == NULL ? LOCK_UPDATE : LOCK_NO_KEY_UPDATE;
    fr.change = &change;
    fragment_put(c, &fr, t->start);
    c->write.change = &c->read;
    c->write.may_move = !t->may_not_move;
    call_go(c);
}

void call_prepare(struct call *c, struct txn *t, uint32_t attempt, uint64_t commit, bool is_one)
{
    call_begin(c, t, KIND_PREPARE);
    sherd__v1__prepare_request__init(&c->prepare);
    c->prepare.shard_id = 2;
    c->prepare.txn = &c->id;
    c->prepare.handle = &c->handle;
    c->prepare.seq = t->seq;
    c->prepare.attempt = attempt;
    c->prepare.commit = commit;
    c->is_one = is_one;
    if (!is_one) {
        for (int i = 0; i < 2; i++) {
            sherd__v1__participant__init(&c->participants[i]);
            sherd__v1__handle__init(&c->handles[i]);
            c->handles[i].group = (uint64_t)(2 + i);
            c->handles[i].term = t->handle.term;
            c->handles[i].number = t->handle.number;
            c->participants[i].shard_id = (uint64_t)(2 + i);
            c->participants[i].handle = &c->handles[i];
            c->participant_list[i] = &c->participants[i];
        }
        c->prepare.n_participants = 2;
        c->prepare.participants = c->participant_list;
    }
    call_go(c);
}

static void read_common(struct call *c, struct txn *t, uint64_t ts, struct key_span span,
                        enum lock_mode mode, bool is_locking, bool is_joined)
{
    call_begin(c, t, KIND_READ);
    sherd__v1__read_request__init(&c->read);
    sherd__v1__read_reply__init(&c->read_reply);
    struct fragment fr = fragment_of(&span);
    fr.with_key = true;
    fr.lock = mode;
    fr.is_joined = is_joined;
    fragment_put(c, &fr, ts);
    c->read.shard_id = 2;
    c->read.txn = t->counter != 0 ? &c->ref : NULL;
    if (is_locking) {
        c->read.seq = ++t->seq;
    }
    call_go(c);
}

void call_read(struct call *c, struct txn *t, uint64_t ts, const char *start, const char *end)
{
    read_common(c, t, ts, span_of(start, end), LOCK_NONE, false, false);
}

void call_read_lock(struct call *c, struct txn *t, uint64_t ts, const char *key,
                    enum lock_mode mode)
{
    read_common(c, t, ts, span_of(key, ""), mode, true, false);
}

void call_read_joined(struct call *c, struct txn *t, uint64_t ts, const char *key,
                      enum lock_mode mode)
{
    read_common(c, t, ts, span_of(key, ""), mode, true, true);
}

void call_finalize(struct call *c, struct txn *t, uint32_t attempt, uint64_t commit, bool abort)
{
    call_begin(c, t, KIND_FINALIZE);
    sherd__v1__finalize_request__init(&c->finalize);
    c->finalize.shard_id = 2;
    c->finalize.txn = &c->id;
    c->finalize.handle = &c->handle;
    c->finalize.attempt = attempt;
    c->finalize.commit = commit;
    c->finalize.abort = abort;
    call_go(c);
}

void call_query(struct call *c, struct txn *t, uint32_t attempt)
{
    call_begin(c, t, KIND_QUERY);
    c->prepare.attempt = attempt;
    c->from = t->w->term;
    c->is_prepared = t->is_prepared;
    call_go(c);
}

void call_validate(struct call *c, struct txn *t, uint32_t attempt, uint64_t commit)
{
    call_begin(c, t, KIND_VALIDATE);
    c->prepare.attempt = attempt;
    c->prepare.commit = commit;
    call_go(c);
}

void call_refresh(struct call *c, struct txn *t, uint64_t to, uint64_t undo_seq,
                  uint32_t undo_statement)
{
    call_begin(c, t, KIND_REFRESH);
    c->from = t->start;
    c->to = to;
    c->prepare.seq = undo_seq;
    c->ref.statement = undo_statement;
    call_go(c);
}

void call_free(struct call *c)
{
    buf_deinit(&c->fragment);
    status_free(c->st);
    c->st = NULL;
}

void write_ok(struct txn *t, const char *ops)
{
    struct call c;
    call_write(&c, t, ops, false);
    assert_true(c.is_done);
    if (c.st != NULL) {
        fail_msg("write %s: %s", ops, c.st->message);
    }
    assert_false(c.write_reply.failed);
    assert_false(c.write_reply.conflict);
    txn_learn(t, &c);
    call_free(&c);
}

Sherd__V1__Answer commit_one(struct txn *t, uint64_t *out_ts)
{
    struct call c;
    call_prepare(&c, t, 1, 0, true);
    assert_true(c.is_done);
    assert_null(c.st);
    if (out_ts != NULL) {
        *out_ts = c.out.commit;
    }
    return c.out.answer;
}

uint64_t put(struct world *w, const char *ops)
{
    struct txn t = txn_new(w, 0);
    struct call c;
    call_write(&c, &t, ops, true);
    assert_true(c.is_done);
    assert_null(c.st);
    assert_true(c.write_reply.committed != 0);
    return c.write_reply.committed;
}

char *rows_text(struct world *w, const struct call *c)
{
    struct batch *b = NULL;
    assert_null(
        batch_decode(w->arena, slice_make(c->read_reply.batch.data, c->read_reply.batch.len), &b));
    struct buf out = {0};
    for (int i = 0; i < b->nrows; i++) {
        struct datum k = b->cols[1][i], v = b->cols[0][i];
        buf_printf(&out, "%s%.*s=%.*s", i > 0 ? " " : "", (int)k.len, (const char *)k.p, (int)v.len,
                   (const char *)v.p);
    }
    char *s = arena_strndup(w->arena, out.data != NULL ? (const char *)out.data : "", out.len);
    buf_deinit(&out);
    return s;
}

char *read_at(struct world *w, uint64_t ts, const char *start, const char *end)
{
    struct txn none = {.w = w};
    sherd__v1__handle__init(&none.handle);
    struct call c;
    call_read(&c, &none, ts, start, end);
    assert_true(c.is_done);
    if (c.st != NULL) {
        fail_msg("read: %s", c.st->message);
    }
    char *s = rows_text(w, &c);
    call_free(&c);
    return s;
}

char *read_in(struct txn *t, const char *start, const char *end)
{
    struct call c;
    call_read(&c, t, t->start, start, end);
    assert_true(c.is_done);
    if (c.st != NULL) {
        fail_msg("read: %s", c.st->message);
    }
    txn_learn(t, &c);
    char *s = rows_text(t->w, &c);
    call_free(&c);
    return s;
}
