/* The schema changes of one transaction: see schema_txn.h. */
#include "schema_txn.h"

#include "analyze/analyze.h"
#include "ddl.h"
#include "router_internal.h"
#include "schema_waits.h"
#include "table_users.h"

#include "base/buggify.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "metadata/jobs.h"

#include "sherd/v1/shard.pb-c.h"

#define POLL_MS 5
#define DECIDE_PATIENCE_MS 20000

#define STATE(x) SHERD__V1__SCHEMA_STATE__SCHEMA_##x

enum schema_op_kind { SCHEMA_COMPARE, SCHEMA_PUT, SCHEMA_DELETE, SCHEMA_WIPE, SCHEMA_SEQUENCE };

struct schema_op {
    enum schema_op_kind kind;
    struct slice key, value;
    uint64_t revision;          /* COMPARE: 0 = must not exist */
    Sherd__V1__SchemaWipe wipe; /* WIPE */
    uint64_t sequence;          /* SEQUENCE */
    Sherd__V1__SequenceState *state;
};

struct schema_lock {
    uint32_t table_id;
    uint64_t version;  /* F */
    uint64_t revision; /* of the descriptor since it was locked */
    enum lock_state {
        LOCK_MARKED, /* in the catalog; its shards may be fenced: an abort raises its version */
        LOCK_WAITS,  /* for its users, nothing is fenced (SchemaLock.waits) */
        LOCK_HELD,
    } state;
};

struct schema_txn {
    struct router *router;
    struct txn *txn; /* NULL: its rows are committed before the catalog (commit_rows_first) */
    uint64_t txn_counter;
    struct arena *arena;
    uint64_t lock_timeout_ms;
    struct schema_op *ops;
    int nops, cap;
    struct catalog *base, *overlay;
    int overlay_ops; /* how many of ops the overlay has */
    struct schema_held held;
    uint64_t job_revision; /* 0: there is no job yet */
    struct schema_lock *locks;
    int nlocks;
    uint32_t *schemas;
    uint64_t *schema_revisions;
    int nschemas;
    Sherd__V1__SchemaWipe *built;
    int nbuilt;
    const char *what;
    bool has_old_snapshot; /* REPEATABLE READ, older than a lock */
    bool restarts;         /* a sequence that others use */
    bool has_decided;      /* committed: */
    uint64_t decided_revision;
};

static struct slice bytes_of(ProtobufCBinaryData b)
{
    return slice_make(b.data, b.len);
}

static ProtobufCBinaryData binary(struct slice s)
{
    return (ProtobufCBinaryData){.len = s.len, .data = (uint8_t *)(uintptr_t)s.data};
}

static struct slice key4(struct schema_txn *s, const char *prefix, uint32_t id)
{
    struct buf b = {0};
    meta_key(&b, prefix, id, 4);
    struct slice key = arena_copy(s->arena, buf_slice(&b));
    buf_deinit(&b);
    return key;
}

static struct slice key8(struct schema_txn *s, const char *prefix, uint64_t id)
{
    struct buf b = {0};
    meta_key(&b, prefix, id, 8);
    struct slice key = arena_copy(s->arena, buf_slice(&b));
    buf_deinit(&b);
    return key;
}

/* The id in a key of this prefix; 0: another key. */
static uint32_t id_in(struct slice key, const char *prefix)
{
    size_t n = strlen(prefix);
    return key.len == n + 4 && memcmp(key.data, prefix, n) == 0 ? get_u32(key.data + n) : 0;
}

/* ---- life ---- */

struct schema_txn *schema_begin(struct router *r, struct txn *t, uint64_t lock_timeout_ms)
{
    struct schema_txn *s = MEM_NEW(struct schema_txn);
    s->router = r;
    s->txn = t;
    s->txn_counter = txn_counter(t);
    s->arena = arena_create(0);
    s->lock_timeout_ms = lock_timeout_ms;
    s->what = "";
    list_push_back(&r->held_jobs, &s->held.link);
    return s;
}

static void schema_free(struct schema_txn *s)
{
    list_unlink(&s->held.link);
    catalog_unref(s->overlay);
    catalog_unref(s->base);
    mem_free(s->locks);
    mem_free(s->schemas);
    mem_free(s->schema_revisions);
    mem_free(s->built);
    mem_free(s->ops);
    arena_destroy(s->arena);
    mem_free(s);
}

struct txn *schema_of_txn(const struct schema_txn *s)
{
    return s->txn;
}

uint64_t schema_job(const struct schema_txn *s)
{
    return s->held.job_id;
}

/* ---- the overlay ---- */

static void overlay_replay(struct schema_txn *s, int from)
{
    for (int i = from; i < s->nops; i++) {
        const struct schema_op *op = &s->ops[i];
        if (op->kind == SCHEMA_PUT) {
            catalog_overlay_put(s->overlay, op->key, op->value);
        } else if (op->kind == SCHEMA_DELETE) {
            catalog_overlay_delete(s->overlay, op->key);
        }
    }
    s->overlay_ops = s->nops;
}

/* Ids of indexes that were filled are not used again: their keys are wiped after the commit. */
static uint32_t next_index_id(const struct schema_txn *s, const Sherd__V1__TableDesc *t)
{
    uint32_t next = t->next_index_id;
    for (int i = 0; i < s->nbuilt; i++) {
        if (s->built[i].table_id == t->id && s->built[i].index_to > next) {
            next = s->built[i].index_to;
        }
    }
    return next;
}

/* Indexes that were filled and are rolled back. */
static void overlay_built(struct schema_txn *s)
{
    for (int i = 0; i < s->nbuilt; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(s->overlay, s->built[i].table_id);
        if (t != NULL && t->next_index_id != next_index_id(s, t)) {
            Sherd__V1__TableDesc next = *t;
            next.next_index_id = next_index_id(s, t);
            catalog_overlay_put(s->overlay, key4(s, "table/", t->id), pb_pack_in(&next, s->arena));
        }
    }
}

/* Its shards turn away what is older than the lock, also while the log has nothing of the table yet
 * or no more (a savepoint, another try of a statement). */
static void overlay_locks(struct schema_txn *s, const struct catalog *base)
{
    for (int i = 0; i < s->nlocks; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(base, s->locks[i].table_id);
        if (t != NULL) {
            Sherd__V1__TableDesc next = *t;
            next.version = s->locks[i].state == LOCK_WAITS ? t->version : s->locks[i].version;
            next.changing_job = 0;
            catalog_overlay_put(s->overlay, key4(s, "table/", t->id), pb_pack_in(&next, s->arena));
        }
    }
}

struct catalog *schema_catalog(struct schema_txn *s)
{
    struct catalog *now = catalog_current(router_catalog(s->router));
    bool is_new_base =
        s->base == NULL || catalog_revision(now) != catalog_revision(s->base) || s->overlay_ops < 0;
    if (is_new_base || s->overlay_ops != s->nops) {
        /* Others may hold the old one: a new one comes in its place. */
        struct catalog *next = catalog_overlay(is_new_base ? now : s->overlay);
        int from = is_new_base ? 0 : s->overlay_ops;
        catalog_unref(s->overlay);
        s->overlay = next;
        if (is_new_base) {
            overlay_locks(s, now);
        }
        overlay_replay(s, from);
        overlay_built(s);
    }
    catalog_unref(s->base);
    s->base = now;
    return catalog_ref(s->overlay);
}

/* ---- the log ---- */

static struct schema_op *log_add(struct schema_txn *s, enum schema_op_kind kind)
{
    if (s->nops == s->cap) {
        s->cap = s->cap == 0 ? 32 : s->cap * 2;
        s->ops = mem_realloc(s->ops, sizeof(*s->ops) * (size_t)s->cap);
    }
    struct schema_op *op = &s->ops[s->nops++];
    *op = (struct schema_op){.kind = kind};
    return op;
}

static bool log_has(const struct schema_txn *s, struct slice key)
{
    for (int i = 0; i < s->nops; i++) {
        const struct schema_op *op = &s->ops[i];
        if ((op->kind == SCHEMA_PUT || op->kind == SCHEMA_DELETE) && slice_eq(op->key, key)) {
            return true;
        }
    }
    return false;
}

int schema_mark(const struct schema_txn *s)
{
    return s->nops;
}

void schema_rollback_to(struct schema_txn *s, int mark)
{
    ASSERT(mark <= s->nops);
    if (mark < s->nops) {
        s->nops = mark;
        s->overlay_ops = -1; /* from the base again */
    }
}

static struct schema_lock *lock_of(const struct schema_txn *s, uint32_t table_id)
{
    for (int i = 0; i < s->nlocks; i++) {
        if (s->locks[i].table_id == table_id) {
            return &s->locks[i];
        }
    }
    return NULL;
}

bool schema_is_new(const struct schema_txn *s, uint32_t table_id)
{
    uint8_t key[10] = "table/";
    set_u32(key + 6, table_id);
    return log_has(s, slice_make(key, sizeof(key))) && lock_of(s, table_id) == NULL;
}

bool schema_owns(const struct schema_txn *s, uint32_t table_id)
{
    const struct schema_lock *l = lock_of(s, table_id);
    return l != NULL ? l->state != LOCK_WAITS : schema_is_new(s, table_id);
}

static void wipe_init(Sherd__V1__SchemaWipe *w, uint32_t table_id, uint32_t from, uint32_t to)
{
    sherd__v1__schema_wipe__init(w);
    w->table_id = table_id;
    w->index_from = from;
    w->index_to = to;
}

/* All of the table: where its keys lie is told by the descriptor, which is gone by then. */
static void wipe_init_table(struct schema_txn *s, Sherd__V1__SchemaWipe *w,
                            const Sherd__V1__TableDesc *t)
{
    int n;
    const struct key_span *spans = table_ranges(s->arena, t, &n);
    wipe_init(w, t->id, 0, 0);
    w->n_ranges = (size_t)n;
    w->ranges = ARENA_ARRAY(s->arena, Sherd__V1__KeyRange *, n);
    for (int i = 0; i < n; i++) {
        w->ranges[i] = ARENA_NEW(s->arena, Sherd__V1__KeyRange);
        sherd__v1__key_range__init(w->ranges[i]);
        w->ranges[i]->start = binary(spans[i].start);
        w->ranges[i]->end = binary(spans[i].end);
    }
}

void schema_wipe(struct schema_txn *s, uint32_t table_id, uint32_t from, uint32_t to)
{
    wipe_init(&log_add(s, SCHEMA_WIPE)->wipe, table_id, from, to);
}

void schema_wipe_table(struct schema_txn *s, const Sherd__V1__TableDesc *t)
{
    wipe_init_table(s, &log_add(s, SCHEMA_WIPE)->wipe, t);
}

static Sherd__V1__SchemaWipe *built_add(struct schema_txn *s)
{
    s->built = mem_realloc(s->built, sizeof(*s->built) * (size_t)(s->nbuilt + 1));
    return &s->built[s->nbuilt++];
}

Sherd__V1__SequenceState *schema_sequence(struct schema_txn *s, uint64_t id)
{
    for (int i = s->nops - 1; i >= 0; i--) {
        if (s->ops[i].kind == SCHEMA_SEQUENCE && s->ops[i].sequence == id) {
            return s->ops[i].state;
        }
    }
    return NULL;
}

void schema_restart_sequence(struct schema_txn *s, uint64_t id, int64_t value)
{
    struct schema_op *op = log_add(s, SCHEMA_SEQUENCE);
    op->sequence = id;
    op->state = ARENA_NEW(s->arena, Sherd__V1__SequenceState);
    sherd__v1__sequence_state__init(op->state);
    op->state->last = value;
}

/* ---- the job ---- */

struct change {
    Sherd__V1__MetaTxnRequest txn;
    struct arena *a;
    size_t cap_compares, cap_puts, cap_deletes;
};

static void change_init(struct change *c, struct arena *a)
{
    *c = (struct change){.a = a};
    sherd__v1__meta_txn_request__init(&c->txn);
}

static void *grown(struct arena *a, void *items, size_t n, size_t *cap, size_t size)
{
    if (n < *cap) {
        return items;
    }
    size_t wider = *cap == 0 ? 16 : *cap * 2;
    void *out = arena_grow(a, items, *cap * size, wider * size);
    *cap = wider;
    return out;
}

static void change_compare(struct change *c, struct slice key, uint64_t revision)
{
    Sherd__V1__MetaTxnRequest *t = &c->txn;
    t->compares = grown(c->a, t->compares, t->n_compares, &c->cap_compares, sizeof(*t->compares));
    Sherd__V1__MetaCompare *x = t->compares[t->n_compares++] =
        ARENA_NEW(c->a, Sherd__V1__MetaCompare);
    sherd__v1__meta_compare__init(x);
    x->key = binary(key);
    x->mod_revision = revision;
}

static void change_put(struct change *c, struct slice key, struct slice value)
{
    Sherd__V1__MetaTxnRequest *t = &c->txn;
    t->puts = grown(c->a, t->puts, t->n_puts, &c->cap_puts, sizeof(*t->puts));
    Sherd__V1__MetaPut *x = t->puts[t->n_puts++] = ARENA_NEW(c->a, Sherd__V1__MetaPut);
    sherd__v1__meta_put__init(x);
    x->key = binary(key);
    x->value = binary(value);
}

static void change_delete(struct change *c, struct slice key)
{
    Sherd__V1__MetaTxnRequest *t = &c->txn;
    t->deletes = grown(c->a, t->deletes, t->n_deletes, &c->cap_deletes, sizeof(*t->deletes));
    t->deletes[t->n_deletes++] = binary(key);
}

/* The job's bytes as things stand now. */
static struct slice job_bytes(struct schema_txn *s, Sherd__V1__SchemaChange *x)
{
    struct arena *a = s->arena;
    Sherd__V1__JobDesc job = SHERD__V1__JOB_DESC__INIT;
    job.id = s->held.job_id;
    job.kind = SHERD__V1__JOB_KIND__JOB_SCHEMA;
    job.schema = x;
    x->node_id = s->router->node_id;
    x->incarnation = x->txn_incarnation = s->router->incarnation;
    x->txn_counter = s->txn_counter;
    x->what = (char *)(uintptr_t)s->what;
    x->n_locks = (size_t)s->nlocks;
    x->locks = ARENA_ARRAY(a, Sherd__V1__SchemaLock *, s->nlocks + 1);
    for (int i = 0; i < s->nlocks; i++) {
        Sherd__V1__SchemaLock *l = x->locks[i] = ARENA_NEW(a, Sherd__V1__SchemaLock);
        sherd__v1__schema_lock__init(l);
        l->table_id = s->locks[i].table_id;
        l->version = s->locks[i].version;
        l->waits = s->locks[i].state == LOCK_WAITS;
    }
    x->n_schemas = (size_t)s->nschemas;
    x->schemas = s->schemas;
    x->n_wipe_aborted = (size_t)s->nbuilt;
    x->wipe_aborted = ARENA_ARRAY(a, Sherd__V1__SchemaWipe *, s->nbuilt + 1);
    for (int i = 0; i < s->nbuilt; i++) {
        x->wipe_aborted[i] = &s->built[i];
    }
    return pb_pack_in(&job, a);
}

static struct status *job_make_id(struct fiber *f, struct schema_txn *s)
{
    if (s->held.job_id == 0) {
        TRY(meta_allocate(f, s->router->meta, META_ID_OBJECT, 1, &s->held.job_id));
    }
    return NULL;
}

/* Sends a change that puts the job too. CONFLICT: it was not done. Masked: once sent we must know
 * what has become of it. */
static struct status *job_put(struct fiber *f, struct schema_txn *s, struct change *c)
{
    Sherd__V1__SchemaChange x = SHERD__V1__SCHEMA_CHANGE__INIT;
    struct slice key = key8(s, "job/", s->held.job_id);
    x.state = STATE(PENDING);
    change_compare(c, key, s->job_revision);
    change_put(c, key, job_bytes(s, &x));
    bool is_done = false;
    uint64_t revision = 0;
    fiber_mask(f);
    struct status *st = meta_txn(f, s->router->meta, &c->txn, &is_done, &revision);
    if (st == NULL && is_done) {
        s->job_revision = revision;
        st = meta_wait_revision(f, s->router->meta, revision);
    }
    fiber_unmask(f);
    TRY(st);
    TRY(fiber_check(f));
    return is_done ? NULL : status_new(CONFLICT, "the schema was changed by another session");
}

/* ---- locks ---- */

struct status *schema_wait_for_job(struct fiber *f, struct schema_txn *s, uint64_t job_id)
{
    struct schema_wait w;
    struct slice key = key8(s, "job/", job_id), value;
    uint64_t revision;
    struct status *st = NULL;
    schema_wait_begin(&w, s->router, s->txn, s->lock_timeout_ms);
    w.jobs[w.njobs++] = job_id;
    while (st == NULL && meta_get(s->router->meta, key, &value, &revision)) {
        st = schema_wait_pause(f, &w, POLL_MS);
    }
    schema_wait_end(&w);
    TRY(st);
    return status_new(CONFLICT, "the schema was changed by another session");
}

/* The snapshot of the transaction must be younger than the lock. */
struct status *schema_settle(struct fiber *f, struct schema_txn *s)
{
    switch (txn_isolation(s->txn)) {
    case TXN_READ_COMMITTED:
        return txn_statement_begin(f, s->txn);
    case TXN_SERIALIZABLE:
        return txn_start(s->txn) != 0 ? txn_refresh(f, s->txn) : NULL;
    case TXN_REPEATABLE_READ:
        s->has_old_snapshot |= txn_start(s->txn) != 0;
        break;
    }
    return NULL;
}

struct status *schema_check_rows(const struct schema_txn *s)
{
    return s->has_old_snapshot
               ? status_hint(
                     status_new(UNSUPPORTED, "this schema change must look at rows that are newer "
                                             "than the transaction's snapshot"),
                     "Make it the first statement of the transaction, or use SERIALIZABLE or READ "
                     "COMMITTED.")
               : NULL;
}

static bool is_view(const Sherd__V1__TableDesc *t)
{
    return t->view_sql != NULL && t->view_sql[0] != '\0';
}

/* Tells it to the job. Where that is not certain the lock counts as one that waits: it is fenced
 * only when the job is known to say that it may be. */
static struct status *set_state(struct fiber *f, struct schema_txn *s, enum lock_state from,
                                enum lock_state to)
{
    bool is_any = false;
    for (int i = 0; i < s->nlocks; i++) {
        if (s->locks[i].state == from) {
            s->locks[i].state = to;
            is_any = true;
        }
    }
    if (!is_any) {
        return NULL;
    }
    struct change c;
    change_init(&c, s->arena);
    s->overlay_ops = -1; /* with its version */
    struct status *st = job_put(f, s, &c);
    for (int i = 0; i < s->nlocks && st != NULL; i++) {
        if (s->locks[i].state == to) {
            s->locks[i].state = LOCK_WAITS;
        }
    }
    return st;
}

/* Those who have used them go first. While they are waited for the job says so: given up then, the
 * change leaves the tables, and their users, as they were. */
static struct status *wait_for_users(struct fiber *f, struct schema_txn *s)
{
    uint32_t *tables = ARENA_ARRAY(s->arena, uint32_t, s->nlocks + 1);
    int n = 0;
    for (int i = 0; i < s->nlocks; i++) {
        if (s->locks[i].state != LOCK_HELD) {
            tables[n++] = s->locks[i].table_id;
        }
    }
    if (n == 0) {
        return NULL;
    }
    struct table_users users = {.but = s->txn,
                                .tables = tables,
                                .ntables = n,
                                .revision = s->job_revision,
                                .timeout_ms = s->lock_timeout_ms};
    bool is_done;
    TRY(table_users_wait(f, s->router, &users, &is_done));
    if (!is_done) {
        TRY(set_state(f, s, LOCK_MARKED, LOCK_WAITS));
        TRY(table_users_wait(f, s->router, &users, NULL));
    }
    return set_state(f, s, LOCK_WAITS, LOCK_MARKED);
}

/* Of the tables that are marked as locked by it: waits for those who have used them, and fences
 * them. What an error leaves undone is done when the transaction changes one of them again. */
static struct status *hold_tables(struct fiber *f, struct schema_txn *s)
{
    TRY(wait_for_users(f, s));
    int fenced = 0;
    for (int i = 0; i < s->nlocks; i++) {
        struct schema_lock *l = &s->locks[i];
        if (l->state == LOCK_HELD) {
            continue;
        }
        struct catalog *now = catalog_current(router_catalog(s->router));
        const Sherd__V1__TableDesc *t = catalog_table_by_id(now, l->table_id);
        struct ddl d = {.f = f, .router = s->router, .a = s->arena, .catalog = now};
        Sherd__V1__TxnId id = SHERD__V1__TXN_ID__INIT;
        id.incarnation = s->router->incarnation;
        id.counter = s->txn_counter;
        struct status *st =
            t == NULL || is_view(t) ? NULL : fence_table(&d, t->id, l->version, &id);
        catalog_unref(now);
        TRY(st);
        l->state = LOCK_HELD;
        fenced++;
    }
    if (fenced == 0) {
        return NULL;
    }
    crash_at(CRASH_SCHEMA_FENCED);
    return schema_settle(f, s);
}

/* Takes the tables that the change compares and that are not ours yet. The compared revisions are
 * those that the statement has seen. */
static struct status *lock_tables(struct fiber *f, struct schema_txn *s,
                                  const Sherd__V1__MetaTxnRequest *x)
{
    int first = s->nlocks;
    struct change c;
    change_init(&c, s->arena);
    struct catalog *now = catalog_current(router_catalog(s->router));
    struct status *st = NULL;
    uint64_t busy = 0;
    for (size_t i = 0; i < x->n_compares; i++) {
        struct slice key = bytes_of(x->compares[i]->key);
        uint32_t id = id_in(key, "table/");
        if (id == 0 || x->compares[i]->mod_revision == 0 || schema_is_new(s, id) ||
            lock_of(s, id) != NULL) {
            continue;
        }
        const Sherd__V1__TableDesc *t = catalog_table_by_id(now, id);
        if (t == NULL || catalog_mod_revision(now, key) != x->compares[i]->mod_revision) {
            st = status_new(CONFLICT, "the schema was changed by another session");
            break;
        }
        if (t->changing_job != 0) {
            busy = t->changing_job;
            break;
        }
        TRY_GOTO(job_make_id(f, s), out);
        Sherd__V1__TableDesc next = *t;
        next.changing_job = s->held.job_id;
        change_compare(&c, key, x->compares[i]->mod_revision);
        change_put(&c, key, pb_pack_in(&next, s->arena));
        s->locks = mem_realloc(s->locks, sizeof(*s->locks) * (size_t)(s->nlocks + 1));
        s->locks[s->nlocks++] = (struct schema_lock){.table_id = id, .version = t->version + 1};
    }
    if (st == NULL && busy == 0 && s->nlocks > first) {
        st = job_put(f, s, &c);
    }
out:
    catalog_unref(now);
    if (st != NULL || busy != 0) {
        s->nlocks = first;
        return st != NULL ? st : schema_wait_for_job(f, s, busy);
    }
    if (s->nlocks > first) {
        crash_at(CRASH_SCHEMA_LOCKED);
        for (int i = first; i < s->nlocks; i++) {
            s->locks[i].revision = s->job_revision;
        }
        s->overlay_ops = -1; /* with their versions */
    }
    return hold_tables(f, s);
}

struct status *schema_lock_schema(struct fiber *f, struct schema_txn *s, uint32_t schema_id,
                                  const char *what)
{
    for (int i = 0; i < s->nschemas; i++) {
        if (s->schemas[i] == schema_id) {
            return NULL;
        }
    }
    struct slice key = key4(s, "schema/", schema_id);
    if (log_has(s, key)) {
        return NULL; /* made here */
    }
    s->what = what;
    struct catalog *now = catalog_current(router_catalog(s->router));
    const Sherd__V1__SchemaDesc *was = catalog_schema_by_id(now, schema_id);
    uint64_t busy = was != NULL ? was->changing_job : 0;
    struct status *st =
        was == NULL ? status_new(CONFLICT, "the schema was changed by another session") : NULL;
    struct change c;
    change_init(&c, s->arena);
    if (st == NULL && busy == 0) {
        st = job_make_id(f, s);
    }
    if (st == NULL && busy == 0) {
        Sherd__V1__SchemaDesc next = *was;
        next.changing_job = s->held.job_id;
        change_compare(&c, key, catalog_mod_revision(now, key));
        change_put(&c, key, pb_pack_in(&next, s->arena));
        s->schemas = mem_realloc(s->schemas, sizeof(*s->schemas) * (size_t)(s->nschemas + 1));
        s->schema_revisions = mem_realloc(s->schema_revisions,
                                          sizeof(*s->schema_revisions) * (size_t)(s->nschemas + 1));
        s->schemas[s->nschemas++] = schema_id;
        st = job_put(f, s, &c);
        if (st != NULL) {
            s->nschemas--;
        } else {
            s->schema_revisions[s->nschemas - 1] = s->job_revision;
        }
    }
    catalog_unref(now);
    TRY(st);
    return busy != 0 ? schema_wait_for_job(f, s, busy) : NULL;
}

struct status *schema_note_built(struct fiber *f, struct schema_txn *s, uint32_t table_id,
                                 uint32_t from, uint32_t to)
{
    ASSERT(lock_of(s, table_id) != NULL);
    wipe_init(built_add(s), table_id, from, to);
    struct change c;
    change_init(&c, s->arena);
    return job_put(f, s, &c);
}

struct status *schema_add(struct fiber *f, struct schema_txn *s, const Sherd__V1__MetaTxnRequest *x,
                          const char *what)
{
    s->what = what;
    catalog_unref(schema_catalog(s));
    for (size_t i = 0; i < x->n_compares; i++) {
        uint32_t id = id_in(bytes_of(x->compares[i]->key), "schema/");
        const Sherd__V1__SchemaDesc *d = id != 0 ? catalog_schema_by_id(s->base, id) : NULL;
        if (d != NULL && d->changing_job != 0 && d->changing_job != s->held.job_id) {
            return schema_wait_for_job(f, s, d->changing_job);
        }
    }
    TRY(lock_tables(f, s, x));
    for (size_t i = 0; i < x->n_compares; i++) {
        struct slice key = bytes_of(x->compares[i]->key);
        uint32_t table = id_in(key, "table/");
        if ((table != 0 && schema_owns(s, table)) || log_has(s, key)) {
            continue; /* nobody else can change it */
        }
        struct schema_op *op = log_add(s, SCHEMA_COMPARE);
        op->key = arena_copy(s->arena, key);
        op->revision = x->compares[i]->mod_revision;
    }
    for (size_t i = 0; i < x->n_deletes; i++) {
        log_add(s, SCHEMA_DELETE)->key = arena_copy(s->arena, bytes_of(x->deletes[i]));
    }
    for (size_t i = 0; i < x->n_puts; i++) {
        struct slice key = bytes_of(x->puts[i]->key), value = bytes_of(x->puts[i]->value);
        if (key.len == 12 && memcmp(key.data, "seq/", 4) == 0 && !log_has(s, key) &&
            catalog_mod_revision(s->base, key) == 0) {
            void *q;
            TRY(pb_unpack(&sherd__v1__sequence_desc__descriptor, s->arena, value, &q));
            schema_restart_sequence(s, get_u64(key.data + 4),
                                    ((Sherd__V1__SequenceDesc *)q)->start);
        }
        struct schema_op *op = log_add(s, SCHEMA_PUT);
        op->key = arena_copy(s->arena, key);
        op->value = arena_copy(s->arena, value);
    }
    return NULL;
}

/* ---- commit ---- */

/* The descriptor as it is committed: in this form, and its indexes made over rows usable, from the
 * commit on. */
static struct status *finish_table(struct schema_txn *s, struct slice value, uint64_t commit,
                                   struct slice *out)
{
    void *message;
    TRY(pb_unpack(&sherd__v1__table_desc__descriptor, s->arena, value, &message));
    Sherd__V1__TableDesc *t = message;
    t->changing_job = 0;
    t->changed_at = commit;
    t->next_index_id = next_index_id(s, t);
    for (size_t i = 0; i < t->n_indexes; i++) {
        if (t->indexes[i]->usable_from == INDEX_USABLE_BY_MAKER) {
            t->indexes[i]->usable_from = commit;
        }
    }
    *out = pb_pack_in(t, s->arena);
    return NULL;
}

/* The last thing the log does to each key. */
static struct status *add_log(struct schema_txn *s, struct change *c, uint64_t commit)
{
    for (int i = s->nops - 1; i >= 0; i--) {
        const struct schema_op *op = &s->ops[i];
        bool is_last = true;
        switch (op->kind) {
        case SCHEMA_COMPARE:
            change_compare(c, op->key, op->revision);
            break;
        case SCHEMA_PUT:
        case SCHEMA_DELETE:
            for (size_t k = 0; k < c->txn.n_puts && is_last; k++) {
                is_last = !slice_eq(bytes_of(c->txn.puts[k]->key), op->key);
            }
            for (size_t k = 0; k < c->txn.n_deletes && is_last; k++) {
                is_last = !slice_eq(bytes_of(c->txn.deletes[k]), op->key);
            }
            if (!is_last) {
                break;
            }
            if (op->kind == SCHEMA_DELETE) {
                change_delete(c, op->key);
            } else if (id_in(op->key, "table/") != 0) {
                struct slice value;
                TRY(finish_table(s, op->value, commit, &value));
                change_put(c, op->key, value);
            } else {
                change_put(c, op->key, op->value);
            }
            break;
        case SCHEMA_SEQUENCE:
            if (schema_sequence(s, op->sequence) == op->state) {
                struct catalog *now = schema_catalog(s);
                if (catalog_sequence_by_id(now, op->sequence) != NULL) {
                    s->restarts |= catalog_sequence_by_id(s->base, op->sequence) != NULL;
                    change_put(c, key8(s, "seqstate/", op->sequence),
                               pb_pack_in(op->state, s->arena));
                }
                catalog_unref(now);
            }
            break;
        case SCHEMA_WIPE:
            break;
        }
    }
    return NULL;
}

static bool index_is_left(const Sherd__V1__TableDesc *t, const Sherd__V1__SchemaWipe *w)
{
    for (size_t i = 0; t != NULL && i < t->n_indexes; i++) {
        if (w->index_to == 0) {
            return true;
        }
        uint32_t id = t->indexes[i]->index_id;
        if (id >= w->index_from && id < w->index_to) {
            return true;
        }
    }
    return false;
}

/* What is to be done after the commit. */
static void fill_cleanup(struct schema_txn *s, Sherd__V1__SchemaChange *x, uint32_t attempt,
                         uint64_t commit)
{
    struct arena *a = s->arena;
    struct catalog *now = schema_catalog(s);
    x->state = STATE(COMMITTED);
    x->attempt = attempt;
    x->commit = commit;
    if (s->txn != NULL) {
        int n = txn_write_shards(s->txn, NULL, 0);
        x->shards = ARENA_ARRAY(a, uint64_t, n + 1);
        x->n_shards = (size_t)txn_write_shards(s->txn, x->shards, n);
    }
    x->wipe_committed = ARENA_ARRAY(a, Sherd__V1__SchemaWipe *, s->nops + s->nbuilt + 1);
    for (int i = 0; i < s->nops; i++) {
        if (s->ops[i].kind == SCHEMA_WIPE) {
            x->wipe_committed[x->n_wipe_committed++] = &s->ops[i].wipe;
        }
    }
    for (int i = 0; i < s->nbuilt; i++) { /* built, and dropped again or rolled back to before */
        if (!index_is_left(catalog_table_by_id(now, s->built[i].table_id), &s->built[i])) {
            x->wipe_committed[x->n_wipe_committed++] = &s->built[i];
        }
    }
    catalog_unref(now);
}

/* A lost answer: the job tells. */
static struct status *learn_outcome(struct fiber *f, struct schema_txn *s, struct status *cause)
{
    uint64_t give_up = loop_clock_ns(s->router->loop) + ms_to_ns(DECIDE_PATIENCE_MS);
    for (;;) {
        bool is_committed = false;
        uint32_t attempt;
        uint64_t commit;
        struct status *st =
            meta_job_decide(f, s->router->meta, s->held.job_id, &is_committed, &attempt, &commit);
        if (st == NULL) {
            status_free(cause);
            s->has_decided = is_committed;
            s->decided_revision = meta_revision(s->router->meta);
            return is_committed ? NULL
                                : status_new(CONFLICT, "the schema change was given up by another "
                                                       "router");
        }
        status_free(st);
        if (loop_clock_ns(s->router->loop) >= give_up) {
            return cause;
        }
        st = fiber_sleep(f, ms_to_ns(100));
        if (st != NULL) {
            status_free(st);
            return cause;
        }
    }
}

/* The one change that commits (txn_decide_by). The job stays, COMMITTED, even when nothing is to be
 * cleaned up: a lost answer is told from it. */
static struct status *decide(struct fiber *f, void *ctx, uint32_t attempt, uint64_t commit)
{
    struct schema_txn *s = ctx;
    struct change c;
    change_init(&c, s->arena);
    crash_at(CRASH_SCHEMA_PREPARED);
    TRY(add_log(s, &c, commit));
    for (int i = 0; i < s->nlocks; i++) {
        struct slice key = key4(s, "table/", s->locks[i].table_id);
        change_compare(&c, key, s->locks[i].revision);
        if (log_has(s, key)) {
            continue;
        }
        /* Locked, and left as it is: back at the version of the lock. */
        const Sherd__V1__TableDesc *t = catalog_table_by_id(s->base, s->locks[i].table_id);
        if (t == NULL) {
            return status_new(CONFLICT, "the schema change was given up by another router");
        }
        Sherd__V1__TableDesc next = *t;
        next.changing_job = 0;
        next.version = s->locks[i].state == LOCK_WAITS ? t->version : s->locks[i].version;
        next.next_index_id = next_index_id(s, t);
        change_put(&c, key, pb_pack_in(&next, s->arena));
    }
    for (int i = 0; i < s->nschemas; i++) {
        struct slice key = key4(s, "schema/", s->schemas[i]);
        change_compare(&c, key, s->schema_revisions[i]);
        const Sherd__V1__SchemaDesc *d = catalog_schema_by_id(s->base, s->schemas[i]);
        if (!log_has(s, key) && d != NULL) {
            Sherd__V1__SchemaDesc next = *d;
            next.changing_job = 0;
            change_put(&c, key, pb_pack_in(&next, s->arena));
        }
    }
    ASSERT(s->job_revision != 0);
    Sherd__V1__SchemaChange x = SHERD__V1__SCHEMA_CHANGE__INIT;
    struct slice key = key8(s, "job/", s->held.job_id);
    change_compare(&c, key, s->job_revision);
    fill_cleanup(s, &x, attempt, commit);
    change_put(&c, key, job_bytes(s, &x));
    bool is_done = false;
    struct status *st = meta_txn(f, s->router->meta, &c.txn, &is_done, &s->decided_revision);
    if (st != NULL) {
        return learn_outcome(f, s, st);
    }
    if (!is_done) {
        return status_hint(status_new(CONFLICT, "could not serialize access: the schema was "
                                                "changed by another session"),
                           "The transaction might succeed if retried.");
    }
    s->has_decided = true;
    crash_at(CRASH_SCHEMA_COMMITTED);
    return NULL;
}

/* Rows that are to be prepared or wiped hang on the job; and a lost answer is learned from it. */
static struct status *need_job(struct fiber *f, struct schema_txn *s)
{
    if (s->job_revision != 0) {
        return NULL;
    }
    TRY(job_make_id(f, s));
    struct change c;
    change_init(&c, s->arena);
    return job_put(f, s, &c);
}

/* Whether all rows that it has written are in tables that it has made, which nobody else can see.
 */
static bool writes_new_only(const struct schema_txn *s)
{
    const uint32_t *tables;
    int n = txn_written(s->txn, &tables);
    for (int i = 0; i < n; i++) {
        if (!schema_is_new(s, tables[i])) {
            return false;
        }
    }
    return txn_has_writes(s->txn);
}

/* Rows that nobody can see before the catalog has their tables need not wait for it prepared: they
 * are committed first, so that they may be as many as in any transaction. If the catalog's change
 * does not come, the job wipes them. */
static struct status *commit_rows_first(struct fiber *f, struct schema_txn *s)
{
    const uint32_t *tables;
    int n = txn_written(s->txn, &tables);
    for (int i = 0; i < n; i++) {
        const Sherd__V1__TableDesc *t = catalog_table_by_id(s->overlay, tables[i]);
        if (t != NULL) {
            wipe_init_table(s, built_add(s), t);
        }
    }
    struct change c;
    change_init(&c, s->arena);
    struct status *st = job_make_id(f, s);
    if (st == NULL) {
        st = job_put(f, s, &c);
    }
    struct txn *t = s->txn;
    s->txn = NULL;
    if (st != NULL) {
        txn_rollback(f, t);
        return st;
    }
    st = txn_commit(f, t);
    if (status_is(st, STATUS_UNKNOWN_OUTCOME)) { /* committed or not, it will not be seen */
        status_free(st);
        st = status_new(CONFLICT, "could not serialize access: the rows of new tables may be "
                                  "incomplete");
    }
    TRY(st);
    uint64_t now;
    TRY(meta_timestamp(f, s->router->meta, &now));
    fiber_mask(f);
    st = decide(f, s, 0, now);
    fiber_unmask(f);
    return st;
}

static struct status *commit_together(struct fiber *f, struct schema_txn *s)
{
    struct status *st = need_job(f, s);
    if (st != NULL) {
        txn_rollback(f, s->txn);
        return st;
    }
    struct txn_decision d = {.job_id = s->held.job_id, .decide = decide, .ctx = s};
    txn_decide_by(s->txn, &d);
    return txn_commit(f, s->txn);
}

struct status *schema_commit(struct fiber *f, struct schema_txn *s)
{
    struct status *st = NULL;
    if (s->nops == 0 && s->job_revision == 0) { /* all of it was rolled back to a savepoint */
        st = txn_commit(f, s->txn);
        schema_free(s);
        return st;
    }
    catalog_unref(schema_catalog(s));
    st = writes_new_only(s) ? commit_rows_first(f, s) : commit_together(f, s);
    ASSERT(st != NULL || s->has_decided);
    if (s->has_decided) {
        fiber_mask(f);
        status_consume(meta_wait_revision(f, s->router->meta, s->decided_revision));
        if (s->restarts) { /* nextval anywhere follows it: other routers' blocks have run out */
            status_consume(fiber_sleep(f, ms_to_ns(META_SEQUENCE_LEASE_MS * 21 / 20)));
        }
        fiber_unmask(f);
    }
    uint64_t job = s->job_revision != 0 ? s->held.job_id : 0;
    struct router *r = s->router;
    schema_free(s);
    if (job != 0) { /* committed: to be cleaned up; else: to be undone */
        schema_job_later(r, job);
    }
    return st;
}

void schema_abort(struct schema_txn *s)
{
    uint64_t job = s->held.job_id;
    struct router *r = s->router;
    schema_free(s);
    if (job != 0) {
        schema_job_later(r, job);
    }
}
