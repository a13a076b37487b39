/*
 * Plans by statement text. A plan is found by one hash of database, search path, parameter types
 * and text; an entry whose descriptors have changed since is dropped when it is met. Bounded by
 * count; the least recently used goes first. Plans of a transaction that has changed the schema are
 * its own: they neither come from here nor go here.
 *
 * A plan is made from this node's copy of the catalog, which may be some milliseconds behind what
 * another router has told a client. What a plan uses is checked by the shards (fences), but for
 * views and system relations (session_plan_is_new); what it does not find is looked for again in a
 * copy that is as new as the statement.
 */
#include "session_internal.h"

#include "router_internal.h"

#include "base/mem.h"

#include <xxhash.h>

#define PLANS_MAX 4096
#define TEXT_MAX 16384

struct entry {
    struct list lru;
    uint64_t hash;
    uint8_t *key;
    size_t key_len;
    struct plan *plan;
    struct entry *next; /* in its bucket */
};

struct plan_cache {
    struct entry *buckets[PLANS_MAX];
    struct list lru; /* oldest first */
    int count;
    struct buf scratch;
};

struct plan_cache *plan_cache_create(void)
{
    struct plan_cache *c = MEM_NEW(struct plan_cache);
    list_head_init(&c->lru);
    return c;
}

static void entry_remove(struct plan_cache *c, struct entry *e)
{
    struct entry **at = &c->buckets[e->hash % PLANS_MAX];
    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    list_unlink(&e->lru);
    plan_unref(e->plan);
    mem_free(e->key);
    mem_free(e);
    c->count--;
}

void plan_cache_destroy(struct plan_cache *c)
{
    if (c == NULL) {
        return;
    }
    while (!list_is_empty(&c->lru)) {
        entry_remove(c, LIST_ITEM(c->lru.next, struct entry, lru));
    }
    buf_deinit(&c->scratch);
    mem_free(c);
}

static void make_key(struct buf *b, const struct plan_env *env, struct slice sql,
                     const type_oid *types, int ntypes)
{
    buf_clear(b);
    buf_put_u32(b, env->database_id);
    buf_put_u16(b, (uint16_t)env->search_path_count);
    for (int i = 0; i < env->search_path_count; i++) {
        buf_put_u32(b, env->search_path[i]);
    }
    buf_put_u16(b, (uint16_t)ntypes);
    for (int i = 0; i < ntypes; i++) {
        buf_put_u32(b, types[i]);
    }
    buf_put_slice(b, sql);
}

static struct entry *find(struct plan_cache *c, uint64_t hash)
{
    for (struct entry *e = c->buckets[hash % PLANS_MAX]; e != NULL; e = e->next) {
        if (e->hash == hash && e->key_len == c->scratch.len &&
            memcmp(e->key, c->scratch.data, e->key_len) == 0) {
            return e;
        }
    }
    return NULL;
}

struct plan *plan_cache_get(struct plan_cache *c, const struct plan_env *env, struct slice sql,
                            const type_oid *types, int ntypes)
{
    if (sql.len > TEXT_MAX || catalog_is_overlay(catalog_revision(env->catalog))) {
        return NULL;
    }
    make_key(&c->scratch, env, sql, types, ntypes);
    struct entry *e = find(c, XXH3_64bits(c->scratch.data, c->scratch.len));
    if (e == NULL) {
        return NULL;
    }
    if (!plan_is_valid(e->plan, env->catalog)) {
        entry_remove(c, e);
        return NULL;
    }
    list_unlink(&e->lru);
    list_push_back(&c->lru, &e->lru);
    return plan_ref(e->plan);
}

void plan_cache_put(struct plan_cache *c, const struct plan_env *env, struct slice sql,
                    const type_oid *types, int ntypes, struct plan *p)
{
    if (sql.len > TEXT_MAX || catalog_is_overlay(catalog_revision(env->catalog))) {
        return;
    }
    make_key(&c->scratch, env, sql, types, ntypes);
    uint64_t hash = XXH3_64bits(c->scratch.data, c->scratch.len);
    struct entry *old = find(c, hash);
    if (old != NULL) {
        entry_remove(c, old);
    }
    if (c->count == PLANS_MAX) {
        entry_remove(c, LIST_ITEM(c->lru.next, struct entry, lru));
    }
    struct entry *e = MEM_NEW(struct entry);
    e->hash = hash;
    e->key_len = c->scratch.len;
    e->key = mem_alloc(e->key_len);
    memcpy(e->key, c->scratch.data, e->key_len);
    e->plan = plan_ref(p);
    e->next = c->buckets[hash % PLANS_MAX];
    c->buckets[hash % PLANS_MAX] = e;
    list_push_back(&c->lru, &e->lru);
    c->count++;
}

struct status *session_plan_is_new(struct fiber *f, struct session *s, const struct plan *p,
                                   bool *out)
{
    *out = true;
    if (plan_reads_catalog(p)) {
        TRY(meta_refresh(f, s->router->meta));
        struct catalog *c = session_catalog(s);
        *out = plan_is_valid(p, c);
        catalog_unref(c);
    }
    return NULL;
}

/* Whether a newer catalog may have no such error. Any that tells of the statement may be of a table
 * that has changed, not only those of names: a column that was dropped and added with another type
 * changes what fits it (42804, 22P02) and which functions there are (42883), a column more makes
 * room for a value (42601), a view that became a table may be written (0A000). Without a name that
 * was looked up there is nothing that a catalog could change. */
static bool is_of_catalog(const struct status *st, bool looked_up)
{
    return looked_up && (st->code == STATUS_INVALID || st->code == STATUS_NOT_FOUND ||
                         st->code == STATUS_ALREADY_EXISTS || st->code == STATUS_CONSTRAINT ||
                         st->code == STATUS_UNSUPPORTED);
}

struct status *session_catch_up(struct fiber *f, struct session *s, struct status *st,
                                bool looked_up, bool *out_again)
{
    *out_again = false;
    if (st == NULL || !is_of_catalog(st, looked_up)) {
        return st;
    }
    struct meta_client *m = s->router->meta;
    uint64_t before = meta_revision(m);
    struct status *refused = meta_refresh(f, m);
    if (refused == NULL && meta_revision(m) == before) {
        return st;
    }
    *out_again = refused == NULL;
    status_free(st);
    return refused;
}

struct status *session_plan(struct fiber *f, struct session *s, struct slice sql,
                            struct parsed **parsed, int i, const type_oid *types, int ntypes,
                            struct plan **out)
{
    struct status *st;
    bool is_again = false;
    do {
        bool was_again = is_again;
        struct catalog *c = session_catalog(s);
        struct plan_env env;
        bool looked_up = false;
        session_env(s, c, &env);
        env.looked_up = &looked_up;
        *out = plan_cache_get(s->router->plans, &env, sql, types, ntypes);
        st = *out == NULL && *parsed == NULL ? parse_sql(f, sql, parsed) : NULL;
        if (*out == NULL && st == NULL) {
            st = plan_statement(f, &env, *parsed, i, types, ntypes, out);
            if (st == NULL) {
                plan_cache_put(s->router->plans, &env, sql, types, ntypes, *out);
            }
        }
        catalog_unref(c);
        is_again = false;
        if (!was_again) {
            st = session_catch_up(f, s, st, looked_up, &is_again);
        }
    } while (is_again);
    return st;
}
