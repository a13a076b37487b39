/*
 * Functions that look into the catalog: definitions as text, names and visibility, privileges,
 * sizes.
 *
 * One table from name to handler; a name that is not there is answered by *out_known = false. As
 * there are no grants yet, every has_*_privilege() of an existing role says yes, as it does for a
 * superuser.
 */
#include "system_internal.h"

#include "../session/session_internal.h"
#include "analyze/analyze.h"

#include "base/check.h"
#include "base/loop.h"

struct call {
    struct fiber *f;
    struct exec *x;
    struct arena *a;
    struct catalog *c;
    const struct func_def *fn;
    const struct datum *args;
    int nargs;
    struct datum *out; /* NULL datum unless set */
};

static void say(struct call *q, const char *text)
{
    *q->out = text == NULL ? DATUM_NULL : datum_bytes(arena_copy(q->a, slice_str(text)));
}

static bool takes(const struct call *q, int arg, type_oid t)
{
    return arg < q->fn->nargs && q->fn->args[arg] == t;
}

static uint32_t oid_arg(const struct call *q, int arg)
{
    return (uint32_t)q->args[arg].i;
}

static bool find_oid(struct call *q, uint32_t oid, struct relation *out)
{
    return relation_by_oid(q->c, q->x->env.database_id, oid, q->a, out);
}

static struct status *find_text(struct call *q, int arg, struct relation *out, bool *out_found)
{
    const char *schema, *name;
    TRY(name_split(q->a, datum_slice(&q->args[arg]), &schema, &name));
    *out_found = relation_by_name(&q->x->env, schema, name, out);
    return NULL;
}

static struct status *no_relation(struct call *q, int arg)
{
    return status_sql(NOT_FOUND, "42P01", "relation \"%.*s\" does not exist", (int)q->args[arg].len,
                      (const char *)q->args[arg].p);
}

/* ---- constants ---- */

static struct status *fn_null(struct call *q)
{
    *q->out = DATUM_NULL;
    return NULL;
}

static struct status *fn_true(struct call *q)
{
    *q->out = datum_bool(true);
    return NULL;
}

static struct status *fn_false(struct call *q)
{
    *q->out = datum_bool(false);
    return NULL;
}

static struct status *fn_zero(struct call *q)
{
    *q->out = datum_int(0);
    return NULL;
}

static struct status *fn_utf8(struct call *q)
{
    say(q, "UTF8");
    return NULL;
}

static struct status *fn_empty(struct call *q)
{
    say(q, "");
    return NULL;
}

/* ---- regclass, regproc ---- */

static struct status *to_regclass(struct call *q, bool must_exist)
{
    struct slice s = datum_slice(&q->args[0]);
    bool is_number = s.len > 0 && s.len < 11;
    uint64_t number = 0;
    for (size_t i = 0; i < s.len && is_number; i++) {
        is_number = s.data[i] >= '0' && s.data[i] <= '9';
        number = number * 10 + (uint64_t)(s.data[i] - '0');
    }
    if (is_number || slice_eq(s, slice_str("-"))) {
        *q->out = datum_int((int64_t)(uint32_t)number);
        return NULL;
    }
    struct relation r;
    bool found;
    TRY(find_text(q, 0, &r, &found));
    if (!found && must_exist) {
        const char *schema, *name;
        TRY(name_split(q->a, s, &schema, &name));
        if (schema != NULL) {
            return status_sql(NOT_FOUND, "42P01", "relation \"%s.%s\" does not exist", schema,
                              name);
        }
        return status_sql(NOT_FOUND, "42P01", "relation \"%s\" does not exist", name);
    }
    *q->out = found ? datum_int(relation_oid(&r)) : DATUM_NULL;
    return NULL;
}

static struct status *fn_to_regclass(struct call *q)
{
    return to_regclass(q, false);
}

static struct status *fn_regclass(struct call *q)
{
    return to_regclass(q, true);
}

static struct status *fn_regclassout(struct call *q)
{
    struct relation r;
    uint32_t oid = oid_arg(q, 0);
    if (oid == 0) {
        say(q, "-");
    } else if (find_oid(q, oid, &r)) {
        say(q, relation_text(&q->x->env, q->a, &r));
    } else {
        say(q, arena_printf(q->a, "%u", oid));
    }
    return NULL;
}

/* ---- regnamespace, regrole ---- */

static struct status *to_regnamespace(struct call *q, bool must_exist)
{
    const char *schema, *name;
    TRY(name_split(q->a, datum_slice(&q->args[0]), &schema, &name));
    uint32_t oid = strcmp(name, "pg_catalog") == 0           ? SCHEMA_OID_PG_CATALOG
                   : strcmp(name, "information_schema") == 0 ? SCHEMA_OID_INFORMATION_SCHEMA
                                                             : 0;
    const Sherd__V1__SchemaDesc *s = catalog_schema(q->c, q->x->env.database_id, slice_str(name));
    oid = s != NULL ? s->id : oid;
    if (oid == 0 && must_exist) {
        return status_sql(NOT_FOUND, "3F000", "schema \"%s\" does not exist", name);
    }
    *q->out = oid != 0 ? datum_int(oid) : DATUM_NULL;
    return NULL;
}

static struct status *fn_to_regnamespace(struct call *q)
{
    return to_regnamespace(q, false);
}

static struct status *fn_regnamespace(struct call *q)
{
    return to_regnamespace(q, true);
}

static struct status *fn_regnamespaceout(struct call *q)
{
    const char *name = schema_name(q->c, oid_arg(q, 0));
    say(q, oid_arg(q, 0) == 0 ? "-"
           : name[0] != '\0'  ? quote_name(q->a, name)
                              : arena_printf(q->a, "%u", oid_arg(q, 0)));
    return NULL;
}

static struct status *to_regrole(struct call *q, bool must_exist)
{
    const char *schema, *name;
    TRY(name_split(q->a, datum_slice(&q->args[0]), &schema, &name));
    const Sherd__V1__RoleDesc *r = catalog_role(q->c, slice_str(name));
    if (r == NULL && must_exist) {
        return status_sql(NOT_FOUND, "42704", "role \"%s\" does not exist", name);
    }
    *q->out = r != NULL ? datum_int(r->oid) : DATUM_NULL;
    return NULL;
}

static struct status *fn_to_regrole(struct call *q)
{
    return to_regrole(q, false);
}

static struct status *fn_regrole(struct call *q)
{
    return to_regrole(q, true);
}

static struct status *fn_regroleout(struct call *q)
{
    const Sherd__V1__RoleDesc *r = role_by_oid(q->c, oid_arg(q, 0), q->a);
    say(q, oid_arg(q, 0) == 0 ? "-"
           : r != NULL        ? quote_name(q->a, r->name)
                              : arena_printf(q->a, "%u", oid_arg(q, 0)));
    return NULL;
}

static struct status *fn_to_regproc(struct call *q)
{
    const char *schema, *name;
    TRY(name_split(q->a, datum_slice(&q->args[0]), &schema, &name));
    uint32_t oid = type_function_oid(name);
    for (size_t i = 0; i < func_count() && oid == 0; i++) {
        oid = strcmp(func_at(i)->name, name) == 0 ? func_at(i)->id : 0;
    }
    *q->out = oid != 0 ? datum_int(oid) : DATUM_NULL;
    return NULL;
}

/* ---- definitions ---- */

struct constraint_search {
    uint32_t oid, db;
    const Sherd__V1__TableDesc *table;
    const Sherd__V1__ConstraintDesc *constraint;
};

static bool see_constraint(void *ctx, const Sherd__V1__TableDesc *t)
{
    struct constraint_search *s = ctx;
    for (size_t i = 0; t->database_id == s->db && i < t->n_constraints; i++) {
        if (t->constraints[i]->oid == s->oid) {
            s->table = t;
            s->constraint = t->constraints[i];
            return false;
        }
    }
    return true;
}

static struct status *fn_constraintdef(struct call *q)
{
    uint32_t oid = oid_arg(q, 0);
    bool is_pretty = q->nargs > 1 && q->args[1].i != 0;
    struct constraint_search s = {.oid = oid, .db = q->x->env.database_id};
    catalog_each_table(q->c, see_constraint, &s);
    struct relation r;
    if (s.constraint != NULL) {
        say(q, constraint_text(&q->x->env, q->a, s.table, s.constraint, is_pretty));
    } else if (find_oid(q, oid, &r) && r.index != NULL &&
               (r.index->primary || r.index->constraint)) {
        say(q, key_constraint_text(q->a, r.table, r.index));
    } else {
        *q->out = DATUM_NULL;
    }
    return NULL;
}

static struct status *fn_indexdef(struct call *q)
{
    struct relation r;
    if (!find_oid(q, oid_arg(q, 0), &r) || r.index == NULL) {
        *q->out = DATUM_NULL;
        return NULL;
    }
    int column = q->nargs > 1 ? (int)q->args[1].i : 0;
    bool is_pretty = q->nargs > 2 && q->args[2].i != 0;
    say(q, column != 0 ? index_key_text(q->a, r.table, r.index, column)
                       : index_text(&q->x->env, q->a, r.table, r.index, is_pretty));
    return NULL;
}

static struct status *fn_viewdef(struct call *q)
{
    struct relation r;
    if (takes(q, 0, TYPE_TEXT)) {
        bool found;
        TRY(find_text(q, 0, &r, &found));
        if (!found) {
            return no_relation(q, 0);
        }
    } else if (!find_oid(q, oid_arg(q, 0), &r)) {
        *q->out = DATUM_NULL;
        return NULL;
    }
    if (r.table == NULL || r.index != NULL || !table_is_view(r.table)) {
        say(q, "Not a view");
        return NULL;
    }
    say(q, view_text(q->a, r.table));
    return NULL;
}

static struct status *fn_serial_sequence(struct call *q)
{
    struct relation r;
    bool found;
    TRY(find_text(q, 0, &r, &found));
    if (!found || r.table == NULL || r.index != NULL) {
        return no_relation(q, 0);
    }
    struct slice name = datum_slice(&q->args[1]);
    for (size_t i = 0; i < r.table->n_columns; i++) {
        const Sherd__V1__ColumnDesc *c = r.table->columns[i];
        if (!column_is_visible(r.table, c) || !slice_eq(name, slice_str(c->name))) {
            continue;
        }
        const Sherd__V1__SequenceDesc *s =
            c->sequence_id != 0 ? catalog_sequence_by_id(q->c, c->sequence_id) : NULL;
        say(q, s == NULL
                   ? NULL
                   : arena_printf(q->a, "%s.%s", quote_name(q->a, schema_name(q->c, s->schema_id)),
                                  quote_name(q->a, s->name)));
        return NULL;
    }
    return status_sql(NOT_FOUND, "42703", "column \"%.*s\" of relation \"%s\" does not exist",
                      (int)name.len, (const char *)name.data, r.table->name);
}

/* ---- functions ---- */

static struct status *function_arguments(struct call *q, bool with_defaults)
{
    const struct func_def *fn = func_by_id(oid_arg(q, 0));
    if (fn == NULL) {
        *q->out = DATUM_NULL;
        return NULL;
    }
    struct buf b = {0};
    for (int i = 0; i < fn->nargs; i++) {
        bool is_default = with_defaults && i >= fn->nargs - fn->ndefaults;
        buf_printf(&b, "%s%s%s%s", i > 0 ? ", " : "",
                   fn->is_variadic && i == fn->nargs - 1 ? "VARIADIC " : "",
                   type_format(q->a, fn->args[i], -1), is_default ? " DEFAULT NULL" : "");
    }
    *q->out = datum_bytes(arena_copy(q->a, buf_slice(&b)));
    buf_deinit(&b);
    return NULL;
}

static struct status *fn_function_arguments(struct call *q)
{
    return function_arguments(q, true);
}

static struct status *fn_function_identity(struct call *q)
{
    return function_arguments(q, false);
}

static struct status *fn_function_result(struct call *q)
{
    const struct func_def *fn = func_by_id(oid_arg(q, 0));
    say(q, fn == NULL ? NULL
                      : arena_printf(q->a, "%s%s", fn->class == FUNC_SET ? "SETOF " : "",
                                     type_format(q->a, fn->result, -1)));
    return NULL;
}

/* ---- visibility, owners ---- */

static struct status *fn_table_is_visible(struct call *q)
{
    struct relation r;
    *q->out = find_oid(q, oid_arg(q, 0), &r) ? datum_bool(relation_is_visible(&q->x->env, &r))
                                             : DATUM_NULL;
    return NULL;
}

static struct status *fn_type_is_visible(struct call *q)
{
    *q->out = type_find(oid_arg(q, 0)) != NULL ? datum_bool(true) : DATUM_NULL;
    return NULL;
}

static struct status *fn_userbyid(struct call *q)
{
    const Sherd__V1__RoleDesc *r = role_by_oid(q->c, oid_arg(q, 0), q->a);
    if (r != NULL) {
        say(q, r->name);
    } else if (oid_arg(q, 0) == ROLE_OID_BOOTSTRAP) {
        say(q, "sherd");
    } else {
        say(q, arena_printf(q->a, "unknown (OID=%u)", oid_arg(q, 0)));
    }
    return NULL;
}

/* The object must exist when it is told by name: the argument before the last one. */
static struct status *fn_has_table_privilege(struct call *q)
{
    int at = q->nargs - 2;
    struct relation r;
    bool found;
    if (takes(q, at, TYPE_TEXT)) {
        TRY(find_text(q, at, &r, &found));
        if (!found) {
            return no_relation(q, at);
        }
    } else if (!find_oid(q, oid_arg(q, at), &r)) {
        *q->out = DATUM_NULL;
        return NULL;
    }
    *q->out = datum_bool(true);
    return NULL;
}

/* What INSERT, UPDATE and DELETE may do: bits 3, 2 and 4. */
static struct status *fn_relation_is_updatable(struct call *q)
{
    struct relation r;
    bool is_table = find_oid(q, oid_arg(q, 0), &r) && r.table != NULL && r.index == NULL &&
                    !table_is_view(r.table);
    *q->out = datum_int(is_table ? 28 : 0);
    return NULL;
}

static struct status *fn_column_is_updatable(struct call *q)
{
    TRY(fn_relation_is_updatable(q));
    *q->out = datum_bool(q->out->i != 0);
    return NULL;
}

static struct status *fn_relation_filenode(struct call *q)
{
    struct relation r;
    *q->out = find_oid(q, oid_arg(q, 0), &r) ? datum_int(oid_arg(q, 0)) : DATUM_NULL;
    return NULL;
}

/* ---- sizes: of shards by the last heartbeats, shared evenly by the tables that a shard holds ----
 */

struct sizes {
    const Sherd__V1__MetaStatusReply *status;
    struct table_list tables;
    struct key_span **ranges; /* of each table */
    int *nranges;             /* 0: a view */
    uint32_t table, db;       /* whose size: one of the two is not 0 */
    double bytes;
};

static double shard_bytes(const Sherd__V1__MetaStatusReply *s, uint64_t shard_id)
{
    uint64_t most = 0;
    for (size_t n = 0; n < s->n_nodes; n++) {
        for (size_t i = 0; i < s->nodes[n]->n_replicas; i++) {
            const Sherd__V1__ReplicaStatus *r = s->nodes[n]->replicas[i];
            if (r->shard_id == shard_id && r->bytes > most) {
                most = r->bytes;
            }
        }
    }
    return (double)most;
}

static bool add_shard(void *ctx, const struct shard_info *s)
{
    struct sizes *z = ctx;
    int here = 0, wanted = 0;
    for (int i = 0; i < z->tables.n; i++) {
        const Sherd__V1__TableDesc *t = z->tables.v[i];
        bool is_here = false;
        for (int k = 0; k < z->nranges[i] && !is_here; k++) {
            const struct key_span *r = &z->ranges[i][k];
            is_here = slice_cmp(s->start, r->end) < 0 &&
                      (s->end.len == 0 || slice_cmp(s->end, r->start) > 0);
        }
        if (is_here) {
            here++;
            wanted += t->id == z->table || t->database_id == z->db;
        }
    }
    if (wanted > 0) {
        z->bytes += shard_bytes(z->status, s->shard_id) * wanted / here;
    }
    return true;
}

static struct status *size_of(struct call *q, uint32_t table, uint32_t db)
{
    struct sizes z = {.table = table, .db = db, .tables = tables_of(q->c, 0, q->a)};
    Sherd__V1__MetaStatusReply *status;
    z.ranges = ARENA_ARRAY(q->a, struct key_span *, z.tables.n + 1);
    z.nranges = ARENA_ARRAY(q->a, int, z.tables.n + 1);
    for (int i = 0; i < z.tables.n; i++) {
        if (!table_is_view(z.tables.v[i])) {
            z.ranges[i] = table_ranges(q->a, z.tables.v[i], &z.nranges[i]);
        }
    }
    TRY(meta_status(q->f, router_meta(q->x->env.router), q->a, &status));
    z.status = status;
    shard_map_scan(router_meta(q->x->env.router), slice_make(NULL, 0), slice_make(NULL, 0),
                   add_shard, &z);
    *q->out = datum_int((int64_t)z.bytes);
    return NULL;
}

static struct status *fn_relation_size(struct call *q)
{
    struct relation r;
    if (!find_oid(q, oid_arg(q, 0), &r)) {
        *q->out = DATUM_NULL;
        return NULL;
    }
    if (r.table == NULL || r.index != NULL || table_is_view(r.table)) {
        *q->out =
            datum_int(0); /* an index is counted with its table; the rest has no rows of its own */
        return NULL;
    }
    return size_of(q, r.table->id, 0);
}

static struct status *fn_database_size(struct call *q)
{
    struct database_list l = databases_of(q->c, q->a);
    for (int i = 0; i < l.n; i++) {
        bool is_it = takes(q, 0, TYPE_OID)
                         ? l.v[i]->id == oid_arg(q, 0)
                         : slice_eq(slice_str(l.v[i]->name), datum_slice(&q->args[0]));
        if (is_it) {
            return size_of(q, 0, l.v[i]->id);
        }
    }
    if (takes(q, 0, TYPE_OID)) {
        *q->out = DATUM_NULL;
        return NULL;
    }
    return status_sql(NOT_FOUND, "3D000", "database \"%.*s\" does not exist", (int)q->args[0].len,
                      (const char *)q->args[0].p);
}

/* ---- sessions ---- */

static struct status *fn_cancel_backend(struct call *q)
{
    struct router *r = q->x->env.router;
    *q->out = datum_bool(false);
    LIST_FOREACH(it, &r->sessions)
    {
        struct session *s = LIST_ITEM(it, struct session, link);
        if (s->id == oid_arg(q, 0)) {
            session_cancel(r, s->id, s->secret);
            *q->out = datum_bool(true);
            break;
        }
    }
    return NULL;
}

static struct status *fn_sleep(struct call *q)
{
    double seconds = q->args[0].f;
    *q->out = datum_int(0);
    if (!(seconds > 0)) {
        return NULL;
    }
    return fiber_sleep(q->f, seconds > 1e9 ? (uint64_t)1e18 : (uint64_t)(seconds * 1e9));
}

/* ---- dispatch ---- */

static const struct {
    const char *name;
    struct status *(*run)(struct call *q);
} handlers[] = {
    {"col_description", fn_null},
    {"getdatabaseencoding", fn_utf8},
    {"has_any_column_privilege", fn_has_table_privilege},
    {"has_column_privilege", fn_true},
    {"has_database_privilege", fn_true},
    {"has_function_privilege", fn_true},
    {"has_language_privilege", fn_true},
    {"has_schema_privilege", fn_true},
    {"has_sequence_privilege", fn_has_table_privilege},
    {"has_table_privilege", fn_has_table_privilege},
    {"has_tablespace_privilege", fn_true},
    {"has_type_privilege", fn_true},
    {"inet_client_port", fn_null},
    {"inet_server_port", fn_null},
    {"obj_description", fn_null},
    {"pg_cancel_backend", fn_cancel_backend},
    {"pg_client_encoding", fn_utf8},
    {"pg_collation_is_visible", fn_true},
    {"pg_column_is_updatable", fn_column_is_updatable},
    {"pg_conversion_is_visible", fn_true},
    {"pg_database_size", fn_database_size},
    {"pg_function_is_visible", fn_true},
    {"pg_get_constraintdef", fn_constraintdef},
    {"pg_get_function_arguments", fn_function_arguments},
    {"pg_get_function_identity_arguments", fn_function_identity},
    {"pg_get_function_result", fn_function_result},
    {"pg_get_indexdef", fn_indexdef},
    {"pg_get_partkeydef", fn_null},
    {"pg_get_ruledef", fn_null},
    {"pg_get_serial_sequence", fn_serial_sequence},
    {"pg_get_statisticsobjdef_columns", fn_null},
    {"pg_get_triggerdef", fn_null},
    {"pg_get_userbyid", fn_userbyid},
    {"pg_get_viewdef", fn_viewdef},
    {"pg_has_role", fn_true},
    {"pg_indexes_size", fn_zero},
    {"pg_is_in_recovery", fn_false},
    {"pg_is_other_temp_schema", fn_false},
    {"pg_my_temp_schema", fn_zero},
    {"pg_opclass_is_visible", fn_true},
    {"pg_operator_is_visible", fn_true},
    {"pg_opfamily_is_visible", fn_true},
    {"pg_partition_root", fn_null},
    {"pg_relation_filenode", fn_relation_filenode},
    {"pg_relation_is_publishable", fn_false},
    {"pg_relation_is_updatable", fn_relation_is_updatable},
    {"pg_relation_size", fn_relation_size},
    {"pg_sleep", fn_sleep},
    {"pg_stat_get_numscans", fn_null},
    {"pg_statistics_obj_is_visible", fn_true},
    {"pg_table_is_visible", fn_table_is_visible},
    {"pg_table_size", fn_relation_size},
    {"pg_tablespace_location", fn_empty},
    {"pg_total_relation_size", fn_relation_size},
    {"pg_trigger_depth", fn_zero},
    {"pg_ts_config_is_visible", fn_true},
    {"pg_ts_dict_is_visible", fn_true},
    {"pg_ts_parser_is_visible", fn_true},
    {"pg_ts_template_is_visible", fn_true},
    {"pg_type_is_visible", fn_type_is_visible},
    {"regclass", fn_regclass},
    {"regclassout", fn_regclassout},
    {"regnamespace", fn_regnamespace},
    {"regnamespaceout", fn_regnamespaceout},
    {"regrole", fn_regrole},
    {"regroleout", fn_regroleout},
    {"row_security_active", fn_false},
    {"shobj_description", fn_null},
    {"to_regclass", fn_to_regclass},
    {"to_regnamespace", fn_to_regnamespace},
    {"to_regproc", fn_to_regproc},
    {"to_regrole", fn_to_regrole},
};

struct status *system_function(struct fiber *f, struct exec *x, const struct func_def *fn,
                               const struct datum *args, int nargs, struct datum *out,
                               bool *out_known)
{
    int low = 0, high = (int)(sizeof(handlers) / sizeof(handlers[0]));
    *out_known = false;
    while (low < high) {
        int mid = (low + high) / 2, order = strcmp(fn->name, handlers[mid].name);
        if (order == 0) {
            struct call q = {.f = f,
                             .x = x,
                             .a = x->arena,
                             .c = x->env.catalog,
                             .fn = fn,
                             .args = args,
                             .nargs = nargs,
                             .out = out};
            *out = DATUM_NULL;
            *out_known = true;
            return handlers[mid].run(&q);
        }
        if (order < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}
