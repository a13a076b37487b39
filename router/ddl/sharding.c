/*
 * How a table is sharded: WITH (sharding, shards, colocate_with) of CREATE TABLE.
 *
 * range      the default: the table shares shards with others and is split by size
 * hash       the rows lie in buckets, each a shard from the start
 * colocated  the rows lie in the buckets of a hash-sharded table (sql/codec.h). The bucket comes
 *            from as many leading columns of the primary key as that table's has, so rows that
 *            agree in them share a shard, whatever becomes of that shard
 * reference  one shard of its own, never split, with a replica on every shard node
 *
 * Borders are made by the metadata group's scheduler: the job is put together with the table.
 * A table that others are co-located with must not go before them: who adds one touches its
 * descriptor, who drops it compares it.
 */
#include "ddl.h"

#include "analyze/analyze.h"
#include "router_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define HASH_SHARDS_MAX 1024
#define HASH_SHARDS_DEFAULT 4

/* ---- WITH (...) ---- */

struct option {
    char text[160];
    int64_t number;
};

static struct option option_value(const PgQuery__DefElem *e)
{
    struct option o = {.number = 0};
    const PgQuery__Node *arg = e->arg;
    if (arg == NULL) {
        return o;
    }
    if (arg->node_case == PG_QUERY__NODE__NODE_STRING) {
        snprintf(o.text, sizeof(o.text), "%s", arg->string->sval);
        o.number = strtoll(o.text, NULL, 10);
    } else if (arg->node_case == PG_QUERY__NODE__NODE_INTEGER) {
        o.number = arg->integer->ival;
        snprintf(o.text, sizeof(o.text), "%lld", (long long)o.number);
    } else if (arg->node_case == PG_QUERY__NODE__NODE_TYPE_NAME) { /* a name without quotes */
        const PgQuery__TypeName *tn = arg->type_name;
        if (tn->n_names == 2) {
            snprintf(o.text, sizeof(o.text), "%s.%s", node_str(tn->names[0]),
                     node_str(tn->names[1]));
        } else if (tn->n_names > 0) {
            snprintf(o.text, sizeof(o.text), "%s", node_str(tn->names[tn->n_names - 1]));
        }
    }
    return o;
}

struct wanted {
    bool has_sharding;
    Sherd__V1__Sharding sharding;
    int64_t shards;     /* 0 = not given */
    char *colocate;     /* or NULL */
    bool has_no_effect; /* one of PostgreSQL's parameters was there */
};

static struct status *take_option(struct ddl *d, const PgQuery__DefElem *e, struct wanted *w)
{
    struct option o = option_value(e);
    if (strcmp(e->defname, "sharding") == 0) {
        w->has_sharding = true;
        if (strcasecmp(o.text, "hash") == 0) {
            w->sharding = SHERD__V1__SHARDING__SHARDING_HASH;
        } else if (strcasecmp(o.text, "range") == 0) {
            w->sharding = SHERD__V1__SHARDING__SHARDING_RANGE;
        } else if (strcasecmp(o.text, "reference") == 0) {
            w->sharding = SHERD__V1__SHARDING__SHARDING_REFERENCE;
        } else {
            return status_hint(status_new(INVALID, "invalid value for sharding: \"%s\"", o.text),
                               "Use 'range', 'hash' or 'reference'.");
        }
    } else if (strcmp(e->defname, "shards") == 0) {
        if (o.number < 1 || o.number > HASH_SHARDS_MAX) {
            return status_new(INVALID, "shards must be between 1 and %d", HASH_SHARDS_MAX);
        }
        w->shards = o.number;
    } else if (strcmp(e->defname, "colocate_with") == 0) {
        if (o.text[0] == '\0') {
            return status_hint(status_new(INVALID, "colocate_with names no table"),
                               "Write colocate_with = 'orders'.");
        }
        w->colocate = arena_strdup(d->a, o.text);
    } else if (strcmp(e->defname, "fillfactor") == 0 ||
               strncmp(e->defname, "autovacuum", 10) == 0 ||
               strcmp(e->defname, "parallel_workers") == 0 ||
               strcmp(e->defname, "toast_tuple_target") == 0 ||
               strcmp(e->defname, "user_catalog_table") == 0) {
        if (!w->has_no_effect) {
            ddl_notice(d, "storage parameter \"%s\" is accepted and has no effect", e->defname);
            w->has_no_effect = true;
        }
    } else {
        return status_hint(
            status_new(INVALID, "unrecognized parameter \"%s\"", e->defname),
            "sharding, shards, colocate_with and PostgreSQL's storage parameters are known.");
    }
    return NULL;
}

/* ---- colocate_with ---- */

static const char *sharding_name(Sherd__V1__Sharding s)
{
    return s == SHERD__V1__SHARDING__SHARDING_HASH        ? "hash"
           : s == SHERD__V1__SHARDING__SHARDING_REFERENCE ? "reference"
                                                          : "range";
}

/* The table that the option names, if rows of another can lie in its buckets. */
static struct status *near_table(struct ddl *d, const struct wanted *w,
                                 const Sherd__V1__TableDesc **out)
{
    char *schema = NULL, *name = w->colocate;
    char *dot = strrchr(name, '.');
    if (dot != NULL) {
        schema = arena_strndup(d->a, name, (size_t)(dot - name));
        name = dot + 1;
    }
    const Sherd__V1__TableDesc *near;
    TRY(find_table(d, schema, name, false, &near));
    const Sherd__V1__TableDesc *root =
        near->colocate_with != 0 ? catalog_table_by_id(d->catalog, near->colocate_with) : NULL;
    if (near->colocate_with != 0) {
        return status_hint(
            status_new(INVALID, "table \"%s\" is itself co-located with another", near->name),
            "Use colocate_with = '%s'.", root != NULL ? root->name : "...");
    }
    if (w->has_sharding && w->sharding != SHERD__V1__SHARDING__SHARDING_HASH) {
        return status_hint(status_new(INVALID,
                                      "colocate_with and sharding = '%s' contradict each other",
                                      sharding_name(w->sharding)),
                           "A co-located table is sharded as the table that it is placed with.");
    }
    if (near->sharding != SHERD__V1__SHARDING__SHARDING_HASH) {
        return status_hint(
            status_new(UNSUPPORTED,
                       "co-location with table \"%s\", whose sharding is '%s', is not supported",
                       near->name, sharding_name(near->sharding)),
            near->sharding == SHERD__V1__SHARDING__SHARDING_REFERENCE
                ? "A reference table has a replica on every node already."
                : "Tables with sharding = 'hash' can be co-located with. Range-sharded tables "
                  "share "
                  "shards until they are split by size.");
    }
    if (near->hidden_primary_key || near->indexes[0]->index_id != PRIMARY_INDEX_ID) {
        return status_hint(
            status_new(UNSUPPORTED, "table \"%s\" was created without a primary key", near->name),
            "Others can be co-located with a table whose CREATE TABLE has the PRIMARY KEY.");
    }
    if (w->shards != 0 && w->shards != near->hash_buckets) {
        return status_hint(status_new(INVALID, "shards = %lld, but table \"%s\" has %u",
                                      (long long)w->shards, near->name, near->hash_buckets),
                           "Leave shards out: it is taken from \"%s\".", near->name);
    }
    *out = near;
    return NULL;
}

struct status *sharding_options(struct ddl *d, Sherd__V1__TableDesc *t, size_t n,
                                PgQuery__Node **options, const Sherd__V1__TableDesc **out_near)
{
    struct wanted w = {.sharding = SHERD__V1__SHARDING__SHARDING_RANGE};
    *out_near = NULL;
    for (size_t i = 0; i < n; i++) {
        TRY(take_option(d, options[i]->def_elem, &w));
    }
    if (w.colocate != NULL) {
        return near_table(d, &w, out_near);
    }
    t->sharding = w.sharding;
    if (t->sharding == SHERD__V1__SHARDING__SHARDING_HASH) {
        t->hash_buckets = w.shards > 0 ? (uint32_t)w.shards : HASH_SHARDS_DEFAULT;
    } else if (w.shards > 0) {
        return status_hint(status_new(INVALID, "shards is for hash sharding"),
                           "Add sharding = 'hash'.");
    }
    return NULL;
}

/* Equal values have equal key bytes, and so the same bucket. */
static bool same_key_bytes(type_oid x, type_oid y)
{
    bool x_int = x == TYPE_INT2 || x == TYPE_INT4 || x == TYPE_INT8;
    bool y_int = y == TYPE_INT2 || y == TYPE_INT4 || y == TYPE_INT8;
    bool x_text = x == TYPE_TEXT || x == TYPE_VARCHAR, y_text = y == TYPE_TEXT || y == TYPE_VARCHAR;
    return x == y || (x_int && y_int) || (x_text && y_text);
}

/* Bucket by bucket one shard? What was cut by size before cannot be put together again. */
static struct status *check_whole(struct ddl *d, const Sherd__V1__TableDesc *near)
{
    int n;
    const struct key_span *buckets = index_spans(d->a, near, near->indexes[0], &n);
    for (int i = 0; i < n; i++) {
        struct slice start = buckets[i].start;
        const struct shard_info *s = shard_map_find(router_meta(d->router), start);
        if (s != NULL && s->end.len > start.len &&
            memcmp(s->end.data, start.data, start.len) == 0) {
            return status_hint(
                status_sql(INVALID, "55000", "buckets of table \"%s\" have been split by size",
                           near->name),
                "Co-locate tables while they are small: a bucket that several tables share is not "
                "split.");
        }
    }
    return NULL;
}

struct status *sharding_colocate(struct ddl *d, Sherd__V1__TableDesc *t,
                                 const Sherd__V1__TableDesc *near)
{
    if (near == NULL) {
        return NULL;
    }
    const Sherd__V1__IndexDesc *key = t->indexes[0], *theirs = near->indexes[0];
    bool fits = !t->hidden_primary_key && key->n_columns >= theirs->n_columns;
    for (size_t i = 0; fits && i < theirs->n_columns; i++) {
        fits = same_key_bytes(t->columns[key->columns[i]->ordinal]->type,
                              near->columns[theirs->columns[i]->ordinal]->type);
    }
    if (!fits) {
        struct buf b = {0};
        for (size_t i = 0; i < theirs->n_columns; i++) {
            const Sherd__V1__ColumnDesc *c = near->columns[theirs->columns[i]->ordinal];
            buf_printf(&b, "%s%s", i > 0 ? ", " : "", type_format(d->a, c->type, c->typmod));
        }
        struct status *st = status_hint(
            status_sql(INVALID, "42P16", "table \"%s\" cannot be co-located with table \"%s\"",
                       t->name, near->name),
            "Its PRIMARY KEY must begin with columns of the types (%.*s): the key of \"%s\".",
            (int)b.len, (const char *)b.data, near->name);
        buf_deinit(&b);
        return st;
    }
    TRY(check_whole(d, near));
    t->sharding = SHERD__V1__SHARDING__SHARDING_HASH;
    t->hash_buckets = near->hash_buckets;
    t->hash_columns = (uint32_t)theirs->n_columns;
    t->colocate_with = near->id;
    return ddl_touch(d, near);
}

struct find_dependent {
    uint32_t id;
    bool (*is_gone)(const void *ctx, uint32_t table_id);
    const void *ctx;
    const Sherd__V1__TableDesc *found;
};

static bool see_dependent(void *ctx, const Sherd__V1__TableDesc *t)
{
    struct find_dependent *x = ctx;
    if (t->colocate_with == x->id && !x->is_gone(x->ctx, t->id)) {
        x->found = t;
    }
    return x->found == NULL;
}

const Sherd__V1__TableDesc *sharding_dependent(struct ddl *d, const Sherd__V1__TableDesc *t,
                                               bool (*is_gone)(const void *ctx, uint32_t table_id),
                                               const void *ctx)
{
    struct find_dependent x = {.id = t->id, .is_gone = is_gone, .ctx = ctx};
    if (t->sharding == SHERD__V1__SHARDING__SHARDING_HASH && t->colocate_with == 0) {
        catalog_each_table(d->catalog, see_dependent, &x);
    }
    return x.found;
}

/* ---- borders ---- */

void sharding_request(struct ddl *d, const Sherd__V1__TableDesc *t, uint64_t job_id)
{
    bool is_reference = t->sharding == SHERD__V1__SHARDING__SHARDING_REFERENCE;
    bool has_buckets = t->sharding == SHERD__V1__SHARDING__SHARDING_HASH && t->hash_buckets > 1 &&
                       t->colocate_with == 0;
    if (!is_reference && !has_buckets) {
        return;
    }
    Sherd__V1__JobDesc *j = ARENA_NEW(d->a, Sherd__V1__JobDesc);
    sherd__v1__job_desc__init(j);
    j->id = job_id;
    j->kind = is_reference ? SHERD__V1__JOB_KIND__JOB_REFERENCE : SHERD__V1__JOB_KIND__JOB_PRESPLIT;
    j->table_id = t->id;
    j->buckets = t->hash_buckets;
    j->index_id = t->indexes[0]->index_id;
    ddl_put(d, key_id8(d, "job/", job_id), j);
}
