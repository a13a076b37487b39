/*
 * Functions that need the session: sequences, identity, settings. Those that read the catalog
 * (pg_get_indexdef and its like) are ddl/'s: system_function().
 *
 * Sequences: a router takes blocks of values from the metadata group and hands them out to its
 * sessions, in order. A block is one value for whoever inserts by hand, and doubles up to BLOCK_MAX
 * while blocks are used up quickly, so that a bulk load pays one Raft round for many rows. A block
 * is good for META_SEQUENCE_LEASE_MS; setval() returns when all older ones have run out, so
 * nextval() anywhere follows it. What is left of a block then, or when the router stops, is lost.
 */
#include "session_internal.h"

#include "../ddl/schema_txn.h"
#include "../ddl/system.h"

#include "base/check.h"
#include "base/mem.h"
#include "sql/array.h"

#include <stdio.h>
#include <stdlib.h>

#define BLOCK_MAX 512
#define BLOCK_QUICK_MS 200

static bool is_named(const struct func_def *f, const char *name)
{
    return strcmp(f->name, name) == 0;
}

/* A sequence by its text name ("s", "public.s", "\"S\"") or oid. */
static struct status *find_sequence(struct session *s, const struct plan_env *env,
                                    const struct func_def *func, const struct datum *d,
                                    const Sherd__V1__SequenceDesc **out)
{
    (void)s;
    if (func->args[0] == TYPE_OID || func->args[0] == TYPE_REGCLASS) {
        *out = catalog_sequence_by_id(env->catalog, (uint64_t)d->i);
        return *out != NULL ? NULL
                            : status_sql(NOT_FOUND, "42P01",
                                         "sequence with OID %lld does not exist", (long long)d->i);
    }
    char parts[2][64] = {{0}, {0}};
    int n = 0;
    size_t len = 0;
    bool in_quote = false;
    for (uint32_t i = 0; i < d->len; i++) {
        char ch = (char)d->p[i];
        if (ch == '"') {
            in_quote = !in_quote;
        } else if (ch == '.' && !in_quote && n == 0) {
            n = 1;
            len = 0;
        } else if (len < 63) {
            parts[n][len++] = in_quote || ch < 'A' || ch > 'Z' ? ch : (char)(ch + 32);
        }
    }
    *out = NULL;
    if (n == 1) {
        const Sherd__V1__SchemaDesc *schema =
            catalog_schema(env->catalog, env->database_id, slice_str(parts[0]));
        if (schema != NULL) {
            *out = catalog_sequence(env->catalog, schema->id, slice_str(parts[1]));
        }
    } else {
        for (int i = 0; i < env->search_path_count && *out == NULL; i++) {
            *out = catalog_sequence(env->catalog, env->search_path[i], slice_str(parts[0]));
        }
    }
    return *out != NULL ? NULL
                        : status_sql(NOT_FOUND, "42P01", "relation \"%.*s\" does not exist",
                                     (int)d->len, (const char *)d->p);
}

static struct session_sequence *sequence_state(struct session *s, uint64_t id)
{
    struct session_sequence *q = NULL;
    HASH_FIND(hh, s->sequences, &id, sizeof(id), q);
    if (q == NULL) {
        q = MEM_NEW(struct session_sequence);
        q->id = id;
        HASH_ADD(hh, s->sequences, id, sizeof(q->id), q);
    }
    return q;
}

static struct sequence_block *block_of(struct router *r, uint64_t id)
{
    struct sequence_block *b = NULL;
    HASH_FIND(hh, r->sequences, &id, sizeof(id), b);
    if (b == NULL) {
        b = MEM_NEW(struct sequence_block);
        b->id = id;
        b->size = 1;
        fmutex_init(&b->mutex);
        HASH_ADD(hh, r->sequences, id, sizeof(b->id), b);
    }
    return b;
}

void sequence_blocks_free(struct router *r)
{
    struct sequence_block *b, *tmp;
    HASH_ITER(hh, r->sequences, b, tmp)
    {
        HASH_DEL(r->sequences, b);
        mem_free(b);
    }
}

static struct status *block_fetch(struct session *s, const Sherd__V1__SequenceDesc *d,
                                  struct sequence_block *b)
{
    uint64_t now = loop_clock_ns(s->router->loop); /* before the request: the lease begins */
    bool is_quick = b->fetched_ns != 0 && now - b->fetched_ns < ms_to_ns(BLOCK_QUICK_MS);
    b->size = !is_quick ? 1 : b->size < BLOCK_MAX ? b->size * 2 : BLOCK_MAX;
    Sherd__V1__MetaSequenceRequest r = SHERD__V1__META_SEQUENCE_REQUEST__INIT;
    r.sequence_id = d->id;
    r.count = b->size;
    int64_t first, increment;
    uint32_t count;
    TRY(meta_sequence(fiber_current(), s->router->meta, &r, &first, &increment, &count));
    if (count == 0) {
        return status_sql(LIMIT, "2200H", "nextval: reached %s value of sequence \"%s\" (%lld)",
                          d->increment > 0 ? "maximum" : "minimum", d->name,
                          (long long)(d->increment > 0 ? d->max : d->min));
    }
    b->next = first;
    b->increment = increment;
    b->left = count;
    b->fetched_ns = now;
    return NULL;
}

/* Values left that a call that began at `since` may hand out: it may be older than a setval that
 * was done while it waits. */
static bool has_values(struct session *s, const struct sequence_block *b, uint64_t since)
{
    return b->left > 0 &&
           (b->fetched_ns >= since ||
            loop_clock_ns(s->router->loop) - b->fetched_ns < ms_to_ns(META_SEQUENCE_LEASE_MS));
}

static void void_if_altered(struct sequence_block *b, const struct catalog *c)
{
    struct buf key = {0};
    meta_key(&key, "seq/", b->id, 8);
    uint64_t revision = catalog_mod_revision(c, buf_slice(&key));
    buf_deinit(&key);
    if (revision > b->revision) {
        b->revision = revision;
        b->left = 0;
    }
}

/* A sequence that this transaction has made or restarted: nobody else has it, it stands in the
 * transaction. PostgreSQL's nextval() as metadata/ has it for the others. */
static struct status *own_nextval(struct session *s, const Sherd__V1__SequenceDesc *d,
                                  Sherd__V1__SequenceState *state, struct datum *out)
{
    int64_t value = state->last;
    bool fits = !state->called || !__builtin_add_overflow(value, d->increment, &value);
    if (!fits || value > d->max || value < d->min) {
        if (!d->cycle) {
            return status_sql(LIMIT, "2200H", "nextval: reached %s value of sequence \"%s\" (%lld)",
                              d->increment > 0 ? "maximum" : "minimum", d->name,
                              (long long)(d->increment > 0 ? d->max : d->min));
        }
        value = d->increment > 0 ? d->min : d->max;
    }
    state->last = value;
    state->called = true;
    sequence_state(s, d->id)->value = value;
    s->last_sequence = d->id;
    *out = datum_int(value);
    return NULL;
}

static Sherd__V1__SequenceState *own_state(struct session *s, uint64_t id)
{
    return s->schema != NULL ? schema_sequence(s->schema, id) : NULL;
}

static struct status *nextval(struct session *s, const struct catalog *c,
                              const Sherd__V1__SequenceDesc *d, struct datum *out)
{
    Sherd__V1__SequenceState *own = own_state(s, d->id);
    if (own != NULL) {
        return own_nextval(s, d, own, out);
    }
    int64_t again;
    if (replay_draw(s, d->id, &again)) {
        sequence_state(s, d->id)->value = again;
        s->last_sequence = d->id;
        *out = datum_int(again);
        return NULL;
    }
    struct sequence_block *b = block_of(s->router, d->id);
    void_if_altered(b, c);
    uint64_t since = loop_clock_ns(s->router->loop);
    while (!has_values(s, b, since)) {
        TRY(fmutex_lock(fiber_current(),
                        &b->mutex)); /* one fetches, the others wait for its block */
        struct status *st = has_values(s, b, since) ? NULL : block_fetch(s, d, b);
        fmutex_unlock(&b->mutex);
        TRY(st);
    }
    struct session_sequence *q = sequence_state(s, d->id);
    q->value = b->next;
    if (--b->left > 0) {
        b->next += b->increment;
    }
    s->last_sequence = d->id;
    replay_drawn(s, d->id, q->value);
    *out = datum_int(q->value);
    return NULL;
}

static struct status *setval(struct session *s, const Sherd__V1__SequenceDesc *d,
                             const struct datum *args, int nargs, struct datum *out)
{
    int64_t v = args[1].i;
    if (v < d->min || v > d->max) {
        return status_sql(INVALID, "22003",
                          "setval: value %lld is out of bounds for sequence \"%s\" (%lld..%lld)",
                          (long long)v, d->name, (long long)d->min, (long long)d->max);
    }
    Sherd__V1__MetaSequenceRequest r = SHERD__V1__META_SEQUENCE_REQUEST__INIT;
    r.sequence_id = d->id;
    r.set = true;
    r.value = v;
    r.called = nargs < 3 || args[2].i != 0;
    Sherd__V1__SequenceState *own = own_state(s, d->id);
    if (own != NULL) {
        own->last = v;
        own->called = r.called;
        if (r.called) {
            sequence_state(s, d->id)->value = v;
            s->last_sequence = d->id;
        }
        *out = datum_int(v);
        return NULL;
    }
    int64_t first, increment;
    uint32_t count;
    TRY(meta_sequence(fiber_current(), s->router->meta, &r, &first, &increment, &count));
    block_of(s->router, d->id)->left = 0;
    struct session_sequence *q = sequence_state(s, d->id);
    if (r.called) {
        q->value = v;
        s->last_sequence = d->id;
    }
    *out = datum_int(v);
    return NULL;
}

static struct datum text_datum(struct arena *a, const char *text)
{
    return datum_bytes(arena_copy(a, slice_str(text)));
}

/* Functions that write an oid as a name (sql/funcs.h). */
static uint32_t output_function(type_oid type)
{
    return type == TYPE_REGCLASS       ? 12005
           : type == TYPE_REGNAMESPACE ? 12006
           : type == TYPE_REGROLE      ? 12008
                                       : 0;
}

void session_output(struct session *s, type_oid type, const struct datum *d, struct buf *out)
{
    uint32_t id = output_function(type);
    if (id == 0 || s == NULL) {
        type_output(type, d, out);
        return;
    }
    struct catalog *c = session_catalog(s);
    struct exec x = {.arena = arena_create(0)};
    session_env(s, c, &x.env);
    struct datum name = DATUM_NULL;
    bool is_known = false;
    if (status_consume(system_function(NULL, &x, func_by_id(id), d, 1, &name, &is_known)) ||
        name.is_null) {
        type_output(type, d, out);
    } else {
        buf_put_slice(out, datum_slice(&name));
    }
    arena_destroy(x.arena);
    catalog_unref(c);
}

static struct status *transaction_status(struct session *s, struct arena *a, const struct datum *id,
                                         struct datum *out)
{
    char *text = arena_strndup(a, id->p, id->len), *dot, *end = text;
    uint64_t incarnation = strtoull(text, &dot, 10);
    uint64_t counter = *dot == '.' ? strtoull(dot + 1, &end, 10) : 0;
    if (incarnation == 0 || counter == 0 || *end != '\0') {
        return status_hint(
            status_new(INVALID, "invalid transaction id: \"%s\"", text),
            "It is two numbers with a dot between, as sherd_transaction_id() gives.");
    }
    const char *answer;
    TRY(txn_outcome(fiber_current(), s->router, incarnation, counter, &answer));
    *out = answer != NULL ? text_datum(a, answer) : DATUM_NULL;
    return NULL;
}

struct status *session_function(struct session *s, const struct plan_env *env,
                                const struct func_def *func, const struct datum *args, int nargs,
                                struct arena *a, struct datum *out)
{
    if (s == NULL) {
        return status_new(UNSUPPORTED, "function %s needs a session", func->name);
    }
    if (is_named(func, "nextval") || is_named(func, "currval") || is_named(func, "setval")) {
        const Sherd__V1__SequenceDesc *d;
        TRY(find_sequence(s, env, func, &args[0], &d));
        if (!is_named(func, "currval")) {
            char what[32];
            snprintf(what, sizeof(what), "%s()", func->name);
            TRY(session_may_write(s, what));
        }
        if (is_named(func, "nextval")) {
            return nextval(s, env->catalog, d, out);
        }
        if (is_named(func, "setval")) {
            replay_give_up(s);
            return setval(s, d, args, nargs, out);
        }
        struct session_sequence *q = NULL;
        uint64_t id = d->id;
        HASH_FIND(hh, s->sequences, &id, sizeof(id), q);
        if (q == NULL) {
            return status_sql(INVALID, "55000",
                              "currval of sequence \"%s\" is not yet defined in this session",
                              d->name);
        }
        *out = datum_int(q->value);
        return NULL;
    }
    if (is_named(func, "lastval")) {
        if (s->last_sequence == 0) {
            return status_sql(INVALID, "55000", "lastval is not yet defined in this session");
        }
        *out = datum_int(sequence_state(s, s->last_sequence)->value);
        return NULL;
    }
    if (is_named(func, "current_user") || is_named(func, "session_user") ||
        is_named(func, "user") || is_named(func, "current_role")) {
        *out = text_datum(a, s->user);
        return NULL;
    }
    if (is_named(func, "current_database") || is_named(func, "current_catalog")) {
        *out = text_datum(a, s->database);
        return NULL;
    }
    if (is_named(func, "current_schema")) {
        const Sherd__V1__SchemaDesc *d =
            env->search_path_count > 0 ? catalog_schema_by_id(env->catalog, env->search_path[0])
                                       : NULL;
        *out = d != NULL ? text_datum(a, d->name) : DATUM_NULL;
        return NULL;
    }
    if (is_named(func, "current_schemas")) {
        struct datum names[SEARCH_PATH_MAX + 1];
        int n = 0;
        if (args[0].i != 0) {
            names[n++] = text_datum(a, "pg_catalog");
        }
        for (int i = 0; i < env->search_path_count; i++) {
            const Sherd__V1__SchemaDesc *d =
                catalog_schema_by_id(env->catalog, env->search_path[i]);
            if (d != NULL) {
                names[n++] = text_datum(a, d->name);
            }
        }
        *out = array_build(a, TYPE_NAME, names, n);
        return NULL;
    }
    if (is_named(func, "version")) {
        *out = text_datum(a, "PostgreSQL 15.0 (sherd 0.1.0)");
        return NULL;
    }
    if (is_named(func, "pg_backend_pid")) {
        *out = datum_int((int64_t)s->id);
        return NULL;
    }
    if (is_named(func, "sherd_snapshot")) {
        uint64_t ts;
        TRY(session_need_txn(s, false, true));
        TRY(txn_read_timestamp(fiber_current(), s->txn, &ts));
        *out = datum_int((int64_t)ts);
        return NULL;
    }
    if (is_named(func, "sherd_transaction_id")) {
        uint64_t incarnation, counter;
        TRY(session_need_txn(s, false, true));
        txn_id(s->txn, &incarnation, &counter);
        *out = text_datum(a, arena_printf(a, "%llu.%llu", (unsigned long long)incarnation,
                                          (unsigned long long)counter));
        return NULL;
    }
    if (is_named(func, "sherd_transaction_status")) {
        return transaction_status(s, a, &args[0], out);
    }
    if (is_named(func, "txid_current")) {
        return status_hint(status_new(UNSUPPORTED, "txid_current() is not supported"),
                           "Transaction ids here are pairs; use sherd_transaction_id().");
    }
    if (is_named(func, "current_setting") || is_named(func, "set_config")) {
        char *name = arena_strndup(a, args[0].p, args[0].len);
        if (s->replay.is_running && s->replay.has_set) {
            return replay_differs(); /* what it was then is not known any more */
        }
        if (is_named(func, "set_config")) {
            replay_give_up(s);
            TRY(settings_set_config(s, datum_slice(&args[0]),
                                    args[1].is_null ? slice_str("") : datum_slice(&args[1]),
                                    nargs > 2 && args[2].i != 0));
        }
        const char *v = session_setting(s, name);
        if (v == NULL) {
            if (nargs > 1 && is_named(func, "current_setting") && args[1].i != 0) {
                *out = DATUM_NULL;
                return NULL;
            }
            return status_sql(NOT_FOUND, "42704", "unrecognized configuration parameter \"%s\"",
                              name);
        }
        *out = text_datum(a, v);
        return NULL;
    }
    struct exec x = {.env = *env, .arena = a};
    bool is_known = false;
    TRY(system_function(fiber_current(), &x, func, args, nargs, out, &is_known));
    if (!is_known) {
        return status_new(UNSUPPORTED, "function %s() is not supported", func->name);
    }
    return NULL;
}
