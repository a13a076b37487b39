/* What is not one database's: databases, roles, settings, sessions; nodes and shards (sherd_*). */
#include "system_internal.h"

#include "../session/session_internal.h"
#include "analyze/analyze.h"

#include "api/pb.h"
#include "base/check.h"
#include "metadata/jobs.h"

#include <stdlib.h>

#define ENCODING_UTF8 6
#define SHARDS_MAX 16384

FILL(pg_database)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_database");
    struct database_list l = databases_of(m.c, m.a);
    for (int i = 0; i < l.n; i++) {
        put_oid(&m, l.v[i]->id);
        put_text(&m, l.v[i]->name);
        put_oid(&m, role_oid(m.c, l.v[i]->owner));
        put_int(&m, ENCODING_UTF8);
        put_char(&m, 'c');
        put_bool(&m, false);
        put_bool(&m, true);
        put_int(&m, -1);
        put_oid(&m, 0);
        put_oid(&m, 0);
        put_oid(&m, TABLESPACE_DEFAULT);
        put_text(&m, "C.UTF-8");
        put_text(&m, "C.UTF-8");
        put_nulls(&m, 3);
        row_end(&m);
    }
    return NULL;
}

FILL(pg_tablespace)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_tablespace");
    for (int i = 0; i < 2; i++) {
        put_oid(&m, i == 0 ? TABLESPACE_DEFAULT : TABLESPACE_GLOBAL);
        put_text(&m, i == 0 ? "pg_default" : "pg_global");
        put_oid(&m, ROLE_OID_BOOTSTRAP);
        put_nulls(&m, 2);
        row_end(&m);
    }
    return NULL;
}

/* ---- roles ---- */

FILL(pg_roles)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_roles");
    struct role_list l = roles_of(m.c, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__RoleDesc *r = l.v[i];
        put_text(&m, r->name);
        put_bool(&m, r->superuser);
        put_bool(&m, true);
        put_bool(&m, r->superuser);
        put_bool(&m, r->superuser);
        put_bool(&m, r->login);
        put_bool(&m, false);
        put_int(&m, -1);
        put_text(&m, "********");
        put_null(&m);
        put_bool(&m, r->superuser);
        put_null(&m);
        put_oid(&m, r->oid);
        row_end(&m);
    }
    return NULL;
}

FILL(pg_authid)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_authid");
    struct role_list l = roles_of(m.c, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__RoleDesc *r = l.v[i];
        put_oid(&m, r->oid);
        put_text(&m, r->name);
        put_bool(&m, r->superuser);
        put_bool(&m, true);
        put_bool(&m, r->superuser);
        put_bool(&m, r->superuser);
        put_bool(&m, r->login);
        put_bool(&m, false);
        put_bool(&m, r->superuser);
        put_int(&m, -1);
        put_nulls(&m, 2); /* a verifier is nobody's business */
        row_end(&m);
    }
    return NULL;
}

static void users(struct row_maker *m)
{
    struct role_list l = roles_of(m->c, m->a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__RoleDesc *r = l.v[i];
        if (!r->login) {
            continue;
        }
        put_text(m, r->name);
        put_oid(m, r->oid);
        put_bool(m, r->superuser);
        put_bool(m, r->superuser);
        put_bool(m, false);
        put_bool(m, r->superuser);
        put_text(m, "********");
        put_nulls(m, 2);
        row_end(m);
    }
}

FILL(pg_user)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_user");
    users(&m);
    return NULL;
}

FILL(pg_shadow)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_shadow");
    users(&m);
    return NULL;
}

/* ---- settings, sessions ---- */

FILL(pg_settings)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_settings");
    struct session *s = x->env.session;
    if (s == NULL) {
        return NULL;
    }
    for (size_t i = 0; settings_name(i) != NULL; i++) {
        const char *name = settings_name(i), *value = session_setting(s, name);
        bool is_switch =
            strcmp(settings_default(i), "on") == 0 || strcmp(settings_default(i), "off") == 0;
        put_text(&m, name);
        put_text(&m, value != NULL ? arena_strdup(m.a, value) : NULL);
        put_null(&m);
        put_text(&m, "Sessions");
        put_null(&m);
        put_null(&m);
        put_text(&m, settings_is_fixed(i) ? "internal" : "user");
        put_text(&m, is_switch ? "bool" : "string");
        put_text(&m,
                 value != NULL && strcmp(value, settings_default(i)) != 0 ? "session" : "default");
        put_nulls(&m, 3);
        put_text(&m, settings_default(i));
        put_text(&m, settings_default(i));
        put_nulls(&m, 2);
        put_bool(&m, false);
        row_end(&m);
    }
    return NULL;
}

/* The sessions of this node; those of others are seen there. */
FILL(pg_stat_activity)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_stat_activity");
    struct router *r = x->env.router;
    LIST_FOREACH(it, &r->sessions)
    {
        struct session *s = LIST_ITEM(it, struct session, link);
        const char *app = session_setting(s, "application_name");
        char *address = arena_strdup(m.a, s->client != NULL ? s->client : "");
        char *port = strrchr(address, ':');
        if (port != NULL) {
            *port++ = '\0';
        }
        put_oid(&m, s->database_id);
        put_text(&m, arena_strdup(m.a, s->database));
        put_int(&m, s->id);
        put_null(&m);
        put_oid(&m, role_oid(m.c, s->user));
        put_text(&m, arena_strdup(m.a, s->user));
        put_text(&m, app != NULL ? arena_strdup(m.a, app) : NULL);
        put_text(&m, address[0] != '\0' ? address : NULL);
        put_null(&m);
        if (port != NULL) {
            put_int(&m, strtol(port, NULL, 10));
        } else {
            put_null(&m);
        }
        put_null(&m); /* backend_start */
        if (s->txn != NULL) {
            put_int(&m, s->txn_now_us);
        } else {
            put_null(&m);
        }
        put_nulls(&m, 4);
        put_text(&m, s->running != NULL            ? "active"
                     : s->in_block && s->is_failed ? "idle in transaction (aborted)"
                     : s->in_block                 ? "idle in transaction"
                                                   : "idle");
        put_nulls(&m,
                  4); /* transaction ids are pairs here; the text of the statement is not kept */
        put_text(&m, "client backend");
        row_end(&m);
    }
    return NULL;
}

/* ---- statistics: which tables and indexes there are; nothing is counted per table ---- */

FILL(stat_tables)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_stat_user_tables");
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        if (!table_is_view(l.v[i])) {
            put_oid(&m, l.v[i]->id);
            put_text(&m, schema_name(m.c, l.v[i]->schema_id));
            put_text(&m, l.v[i]->name);
            put_nulls(&m, m.table->ncols - 3);
            row_end(&m);
        }
    }
    return NULL;
}

FILL(stat_indexes)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_stat_user_indexes");
    struct table_list l = tables_of(m.c, m.db, m.a);
    for (int i = 0; i < l.n; i++) {
        const Sherd__V1__TableDesc *t = l.v[i];
        for (size_t k = 0; k < t->n_indexes; k++) {
            if (index_is_visible(t, t->indexes[k])) {
                put_oid(&m, t->id);
                put_oid(&m, t->indexes[k]->oid);
                put_text(&m, schema_name(m.c, t->schema_id));
                put_text(&m, t->name);
                put_text(&m, t->indexes[k]->name);
                put_nulls(&m, 3);
                row_end(&m);
            }
        }
    }
    return NULL;
}

/* ---- nodes ---- */

struct node_walk {
    struct row_maker *m;
    struct status *st;
};

static bool see_node(void *ctx, struct slice key, struct slice value, uint64_t revision)
{
    (void)revision;
    struct node_walk *w = ctx;
    struct row_maker *m = w->m;
    Sherd__V1__NodeDesc *n;
    static const size_t prefix = sizeof("node/") - 1;
    if (key.len != prefix + 8) {
        return true;
    }
    w->st = pb_unpack(&sherd__v1__node_desc__descriptor, m->a, value, (void **)&n);
    if (w->st != NULL) {
        return false;
    }
    put_int(m, (int64_t)get_u64(key.data + prefix));
    if (n->address != NULL) {
        put_text(m, n->address->host);
        put_int(m, n->address->grpc_port);
        put_int(m, n->address->sql_port);
    } else {
        put_nulls(m, 3);
    }
    put_text(m, n->locality);
    put_text(m, n->state == SHERD__V1__NODE_STATE__NODE_LIVE       ? "live"
                : n->state == SHERD__V1__NODE_STATE__NODE_DRAINING ? "draining"
                                                                   : "gone");
    put_bool(m, n->role_metadata);
    put_bool(m, n->role_shard);
    put_bool(m, n->role_router);
    put_int(m, (int64_t)n->incarnation);
    put_text(m, n->version);
    row_end(m);
    return true;
}

FILL(sherd_nodes)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "sherd_nodes");
    struct node_walk w = {.m = &m};
    meta_scan(router_meta(x->env.router), slice_str("node/"), see_node, &w);
    return w.st;
}

/* ---- shards ---- */

struct shard_copies {
    struct shard_info *v;
    int n;
    struct arena *a;
};

static bool see_shard(void *ctx, const struct shard_info *s)
{
    struct shard_copies *l = ctx;
    struct shard_info *copy = &l->v[l->n++];
    *copy = *s;
    copy->start = arena_copy(l->a, s->start);
    copy->end = arena_copy(l->a, s->end);
    return l->n < SHARDS_MAX;
}

static bool count_shard(void *ctx, const struct shard_info *s)
{
    (void)s;
    ++*(int *)ctx;
    return true;
}

static struct shard_copies shards(struct exec *x)
{
    int n = 0;
    struct meta_client *meta = router_meta(x->env.router);
    shard_map_scan(meta, slice_make(NULL, 0), slice_make(NULL, 0), count_shard, &n);
    struct shard_copies l = {.v = ARENA_ARRAY(x->arena, struct shard_info, n + 1), .a = x->arena};
    shard_map_scan(meta, slice_make(NULL, 0), slice_make(NULL, 0), see_shard, &l);
    return l;
}

static void put_node(struct row_maker *m, uint64_t id)
{
    if (id == 0) {
        put_null(m);
    } else {
        put_int(m, (int64_t)id);
    }
}

/* Where rows and index entries of a table are. */
struct table_place {
    const Sherd__V1__TableDesc *table;
    struct key_span *ranges;
    int n;
};

static struct table_place place_of(struct arena *a, const Sherd__V1__TableDesc *t)
{
    struct table_place p = {.table = t};
    p.ranges = table_ranges(a, t, &p.n);
    if (t->colocate_with != 0 && t->n_indexes == 1) {
        p.n--; /* nothing begins with its own id */
    }
    return p;
}

static bool is_placed_in(const struct table_place *p, const struct shard_info *s)
{
    for (int i = 0; i < p->n; i++) {
        if (slice_cmp(s->start, p->ranges[i].end) < 0 &&
            (s->end.len == 0 || slice_cmp(s->end, p->ranges[i].start) > 0)) {
            return true;
        }
    }
    return false;
}

FILL(sherd_shards)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "sherd_shards");
    struct shard_copies l = shards(x);
    struct table_list t = tables_of(m.c, 0, m.a);
    const char **names = ARENA_ARRAY(m.a, const char *, t.n + 1);
    struct table_place *places = ARENA_ARRAY(m.a, struct table_place, t.n + 1);
    int nplaces = 0;
    for (int k = 0; k < t.n; k++) {
        if (!table_is_view(t.v[k])) {
            places[nplaces++] = place_of(m.a, t.v[k]);
        }
    }
    for (int i = 0; i < l.n; i++) {
        const struct shard_info *s = &l.v[i];
        int64_t voters[9], learners[9];
        int nvoters = 0, nlearners = 0, nnames = 0;
        for (size_t k = 0; k < s->replica_count; k++) {
            int64_t node = (int64_t)s->replicas[k].node_id;
            if (s->replicas[k].is_voter) {
                voters[nvoters++] = node;
            } else {
                learners[nlearners++] = node;
            }
        }
        for (int k = 0; k < nplaces; k++) {
            const Sherd__V1__TableDesc *table = places[k].table;
            if (is_placed_in(&places[k], s)) {
                names[nnames++] =
                    arena_printf(m.a, "%s.%s", schema_name(m.c, table->schema_id), table->name);
            }
        }
        put_int(&m, (int64_t)s->shard_id);
        put_bytes(&m, s->start);
        if (s->end.len == 0) {
            put_null(&m);
        } else {
            put_bytes(&m, s->end);
        }
        put_int(&m, (int64_t)s->epoch);
        put_node(&m, s->leader_hint);
        put_ints(&m, voters, nvoters);
        put_ints(&m, learners, nlearners);
        put_texts(&m, names, nnames);
        put_text(&m, s->placement == SHERD__V1__PLACEMENT__PLACEMENT_REFERENCE ? "reference"
                                                                               : "default");
        row_end(&m);
    }
    return NULL;
}

FILL(sherd_table_shards)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "sherd_table_shards");
    struct table_list t = tables_of(m.c, m.db, m.a);
    struct shard_copies l = shards(x);
    for (int i = 0; i < t.n; i++) {
        if (table_is_view(t.v[i])) {
            continue;
        }
        struct table_place p = place_of(m.a, t.v[i]);
        for (int k = 0; k < l.n; k++) {
            if (!is_placed_in(&p, &l.v[k])) {
                continue;
            }
            put_text(&m, schema_name(m.c, t.v[i]->schema_id));
            put_text(&m, t.v[i]->name);
            put_oid(&m, t.v[i]->id);
            put_int(&m, (int64_t)l.v[k].shard_id);
            put_node(&m, l.v[k].leader_hint);
            row_end(&m);
        }
    }
    return NULL;
}

static const char *job_kind(const Sherd__V1__JobDesc *job)
{
    switch (job->kind) {
    case SHERD__V1__JOB_KIND__JOB_PRESPLIT:
        return "presplit";
    case SHERD__V1__JOB_KIND__JOB_SPLIT:
        return "split";
    case SHERD__V1__JOB_KIND__JOB_FENCE:
        return "fence";
    case SHERD__V1__JOB_KIND__JOB_REFERENCE:
        return "reference";
    case SHERD__V1__JOB_KIND__JOB_SCHEMA:
        return "schema";
    default:
        return NULL;
    }
}

static const char *schema_state(const Sherd__V1__SchemaChange *x)
{
    switch (x->state) {
    case SHERD__V1__SCHEMA_STATE__SCHEMA_PENDING:
        return "pending";
    case SHERD__V1__SCHEMA_STATE__SCHEMA_BUILDING:
        return "building";
    case SHERD__V1__SCHEMA_STATE__SCHEMA_COMMITTED:
        return "committed";
    case SHERD__V1__SCHEMA_STATE__SCHEMA_ABORTED:
        return "aborted";
    default:
        return NULL;
    }
}

/* NULL for what is missing. */
static void put_text_or_null(struct row_maker *m, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        put_null(m);
    } else {
        put_text(m, text);
    }
}

static int add_table_name(struct row_maker *m, const char **names, int n, uint32_t table_id)
{
    const Sherd__V1__TableDesc *t = catalog_table_by_id(m->c, table_id);
    if (t != NULL) {
        names[n++] = arena_printf(m->a, "%s.%s", schema_name(m->c, t->schema_id), t->name);
    }
    return n;
}

FILL(sherd_jobs)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "sherd_jobs");
    size_t n;
    const Sherd__V1__JobDesc **jobs = meta_job_list(router_meta(x->env.router), m.a, &n);
    for (size_t i = 0; i < n; i++) {
        const Sherd__V1__JobDesc *job = jobs[i];
        const Sherd__V1__SchemaChange *s = meta_job_is_schema(job) ? job->schema : NULL;
        size_t nlocks = s != NULL ? s->n_locks : 0;
        const char **names = ARENA_ARRAY(m.a, const char *, nlocks + 1);
        int nnames = add_table_name(&m, names, 0, s != NULL ? s->table_id : job->table_id);
        for (size_t k = 0; k < nlocks; k++) {
            nnames = add_table_name(&m, names, nnames, s->locks[k]->table_id);
        }
        put_int(&m, (int64_t)job->id);
        put_text_or_null(&m, job_kind(job));
        put_text_or_null(&m, s != NULL ? schema_state(s) : NULL);
        put_text_or_null(&m, s != NULL ? s->what : NULL);
        if (s != NULL) {
            put_int(&m, (int64_t)s->node_id);
        } else {
            put_null(&m);
        }
        put_texts(&m, names, nnames);
        if (job->shard_id != 0) {
            put_int(&m, (int64_t)job->shard_id);
        } else {
            put_null(&m);
        }
        put_text_or_null(&m, job->error);
        row_end(&m);
    }
    return NULL;
}
