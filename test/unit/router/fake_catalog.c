/* The catalog of the test world, and just enough DDL to fill it. See world.h. */
#include "world.h"

#include "analyze/analyze.h"
#include "base/mem.h"
#include "ddl/system.h"
#include "plan/pnode.h"
#include "router/router.h"
#include "sql/codec.h"

enum { SCHEMA = 16385, DATABASE = 16384, TABLES = 512 };

struct sequence {
    uint64_t id;
    const char *name;
    int64_t last;
};

struct catalog {
    struct arena *a;
    uint64_t revision;
    int n;
    Sherd__V1__TableDesc *tables[TABLES];
    int nseq;
    struct sequence seqs[TABLES];
    Sherd__V1__SequenceDesc seq_descs[TABLES];
    uint32_t next_id;
    Sherd__V1__DatabaseDesc db;
    Sherd__V1__SchemaDesc schema;
};

struct catalog *fake_catalog_create(void)
{
    struct catalog *c = MEM_NEW(struct catalog);
    c->a = arena_create((size_t)1 << 30);
    c->next_id = 16400;
    c->revision = 1;
    sherd__v1__database_desc__init(&c->db);
    c->db.id = DATABASE;
    c->db.name = arena_strdup(c->a, "sherd");
    sherd__v1__schema_desc__init(&c->schema);
    c->schema.id = SCHEMA;
    c->schema.database_id = DATABASE;
    c->schema.name = arena_strdup(c->a, "public");
    return c;
}

void fake_catalog_destroy(struct catalog *c)
{
    arena_destroy(c->a);
    mem_free(c);
}

struct catalog *catalog_ref(struct catalog *c)
{
    return c;
}
void catalog_unref(struct catalog *c)
{
    (void)c;
}
uint64_t catalog_revision(const struct catalog *c)
{
    return c->revision;
}
const Sherd__V1__DatabaseDesc *catalog_database(const struct catalog *c, struct slice name)
{
    return slice_eq(name, slice_str(c->db.name)) ? &c->db : NULL;
}
const Sherd__V1__SchemaDesc *catalog_schema(const struct catalog *c, uint32_t database_id,
                                            struct slice name)
{
    (void)database_id;
    return slice_eq(name, slice_str("public")) ? &c->schema : NULL;
}
const Sherd__V1__SchemaDesc *catalog_schema_by_id(const struct catalog *c, uint32_t id)
{
    return id == SCHEMA ? &c->schema : NULL;
}
const Sherd__V1__TableDesc *catalog_table(const struct catalog *c, uint32_t schema_id,
                                          struct slice name)
{
    for (int i = 0; i < c->n; i++) {
        if (c->tables[i]->schema_id == schema_id && slice_eq(slice_str(c->tables[i]->name), name)) {
            return c->tables[i];
        }
    }
    return NULL;
}
const Sherd__V1__TableDesc *catalog_table_by_id(const struct catalog *c, uint32_t id)
{
    for (int i = 0; i < c->n; i++) {
        if (c->tables[i]->id == id) {
            return c->tables[i];
        }
    }
    return NULL;
}
const Sherd__V1__TableDesc *catalog_index(const struct catalog *c, uint32_t schema_id,
                                          struct slice name, const Sherd__V1__IndexDesc **out)
{
    (void)schema_id;
    for (int i = 0; i < c->n; i++) {
        for (size_t k = 0; k < c->tables[i]->n_indexes; k++) {
            if (slice_eq(slice_str(c->tables[i]->indexes[k]->name), name)) {
                if (out != NULL) {
                    *out = c->tables[i]->indexes[k];
                }
                return c->tables[i];
            }
        }
    }
    return NULL;
}
const Sherd__V1__SequenceDesc *catalog_sequence(const struct catalog *c, uint32_t schema_id,
                                                struct slice name)
{
    (void)schema_id;
    for (int i = 0; i < c->nseq; i++) {
        if (slice_eq(slice_str(c->seqs[i].name), name)) {
            return &c->seq_descs[i];
        }
    }
    return NULL;
}
const Sherd__V1__SequenceDesc *catalog_sequence_by_id(const struct catalog *c, uint64_t id)
{
    for (int i = 0; i < c->nseq; i++) {
        if (c->seqs[i].id == id) {
            return &c->seq_descs[i];
        }
    }
    return NULL;
}

struct status *fake_nextval(struct catalog *c, uint64_t id, int64_t *out)
{
    for (int i = 0; i < c->nseq; i++) {
        if (c->seqs[i].id == id) {
            *out = ++c->seqs[i].last;
            return NULL;
        }
    }
    return status_sql(NOT_FOUND, "42P01", "no such sequence");
}

/* ---- what the linker wants beside ---- */

struct meta_client *router_meta(struct router *r)
{
    (void)r;
    return NULL;
}
void shard_map_scan(struct meta_client *c, struct slice start, struct slice end,
                    bool (*fn)(void *ctx, const struct shard_info *s), void *ctx)
{
    (void)c;
    (void)start;
    (void)end;
    (void)fn;
    (void)ctx;
}

static struct status *fill_class(struct fiber *f, struct exec *x, struct system_rows *rows)
{
    (void)f;
    const struct catalog *c = x->env.catalog;
    for (int i = 0; i < c->n; i++) {
        struct datum d[2] = {datum_int(c->tables[i]->id),
                             datum_bytes(slice_str(c->tables[i]->name))};
        system_row(rows, d);
    }
    return NULL;
}

bool system_table_shows_catalog(const struct system_table *t)
{
    (void)t;
    return true;
}

const struct system_table *system_table_find(struct slice schema, struct slice name)
{
    static const struct system_column cols[] = {{"oid", TYPE_OID}, {"relname", TYPE_NAME}};
    static const struct system_table pg_class = {"pg_catalog", "pg_class", 1259, 2,
                                                 cols,         fill_class};
    return slice_eq(schema, slice_str("pg_catalog")) && slice_eq(name, slice_str("pg_class"))
               ? &pg_class
               : NULL;
}

/* ---- DDL ---- */

static uint64_t add_sequence(struct catalog *c, const char *name)
{
    struct sequence *s = &c->seqs[c->nseq];
    s->id = c->next_id++;
    s->name = arena_strdup(c->a, name);
    s->last = 0;
    Sherd__V1__SequenceDesc *d = &c->seq_descs[c->nseq++];
    sherd__v1__sequence_desc__init(d);
    d->id = s->id;
    d->name = (char *)s->name;
    d->schema_id = SCHEMA;
    return s->id;
}

static char *expr_text(struct catalog *c, const PgQuery__Node *n, const char *sql, int location)
{
    (void)n;
    /* The text from the keyword's argument to the end of its parentheses or the next comma at this
     * level. */
    const char *p = sql + location, *start;
    while (*p != ' ' && *p != '(' && *p != '\0') {
        p++;
    }
    while (*p == ' ' || *p == '\n') {
        p++;
    }
    start = p;
    int depth = 0;
    for (; *p != '\0'; p++) {
        depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
        if (depth < 0 || (depth == 0 && *p == ',')) {
            break;
        }
        if (depth == 0 &&
            (strncasecmp(p, " not null", 9) == 0 || strncasecmp(p, " primary", 8) == 0 ||
             strncasecmp(p, " check", 6) == 0 || strncasecmp(p, " unique", 7) == 0 ||
             strncasecmp(p, " stored", 7) == 0 || strncasecmp(p, " references", 11) == 0)) {
            break;
        }
    }
    return arena_strndup(c->a, start, (size_t)(p - start));
}

static Sherd__V1__IndexDesc *add_index(struct catalog *c, Sherd__V1__TableDesc *t, const char *name,
                                       bool unique, bool primary, int n, const uint32_t *ordinals)
{
    Sherd__V1__IndexDesc *ix = ARENA_NEW(c->a, Sherd__V1__IndexDesc);
    sherd__v1__index_desc__init(ix);
    ix->index_id = ++t->next_index_id;
    ix->oid = c->next_id++;
    ix->name = arena_strdup(c->a, name);
    ix->unique = unique;
    ix->primary = primary;
    ix->n_columns = (size_t)n;
    ix->columns = ARENA_ARRAY(c->a, Sherd__V1__IndexColumn *, n);
    for (int i = 0; i < n; i++) {
        ix->columns[i] = ARENA_NEW(c->a, Sherd__V1__IndexColumn);
        sherd__v1__index_column__init(ix->columns[i]);
        ix->columns[i]->ordinal = ordinals[i];
    }
    Sherd__V1__IndexDesc **grown = ARENA_ARRAY(c->a, Sherd__V1__IndexDesc *, t->n_indexes + 1);
    if (t->n_indexes > 0) {
        memcpy(grown, t->indexes, sizeof(*grown) * t->n_indexes);
    }
    grown[t->n_indexes++] = ix;
    t->indexes = grown;
    return ix;
}

static Sherd__V1__ConstraintDesc *add_constraint(struct catalog *c, Sherd__V1__TableDesc *t,
                                                 const char *name)
{
    Sherd__V1__ConstraintDesc *d = ARENA_NEW(c->a, Sherd__V1__ConstraintDesc);
    sherd__v1__constraint_desc__init(d);
    d->oid = c->next_id++;
    d->name = arena_strdup(c->a, name);
    Sherd__V1__ConstraintDesc **grown =
        ARENA_ARRAY(c->a, Sherd__V1__ConstraintDesc *, t->n_constraints + 1);
    if (t->n_constraints > 0) {
        memcpy(grown, t->constraints, sizeof(*grown) * t->n_constraints);
    }
    grown[t->n_constraints++] = d;
    t->constraints = grown;
    return d;
}

static Sherd__V1__ColumnDesc *add_column(struct catalog *c, Sherd__V1__TableDesc *t,
                                         const char *name, type_oid type, int32_t typmod)
{
    Sherd__V1__ColumnDesc *col = ARENA_NEW(c->a, Sherd__V1__ColumnDesc);
    sherd__v1__column_desc__init(col);
    col->ordinal = (uint32_t)t->n_columns;
    col->attnum = col->ordinal + 1;
    col->name = arena_strdup(c->a, name);
    col->type = type;
    col->typmod = typmod;
    Sherd__V1__ColumnDesc **grown = ARENA_ARRAY(c->a, Sherd__V1__ColumnDesc *, t->n_columns + 1);
    if (t->n_columns > 0) {
        memcpy(grown, t->columns, sizeof(*grown) * t->n_columns);
    }
    grown[t->n_columns++] = col;
    t->columns = grown;
    return col;
}

static const char *con_name(struct catalog *c, const PgQuery__Constraint *k, const char *t,
                            const char *col, const char *suffix)
{
    if (k->conname[0] != '\0') {
        return k->conname;
    }
    return col == NULL ? arena_printf(c->a, "%s_%s", t, suffix)
                       : arena_printf(c->a, "%s_%s_%s", t, col, suffix);
}

static int ordinals_of(const Sherd__V1__TableDesc *t, PgQuery__Node *const *keys, size_t n,
                       uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        const Sherd__V1__ColumnDesc *col = table_column(t, node_string(keys[i]));
        if (col == NULL) {
            return -1;
        }
        out[i] = col->ordinal;
    }
    return (int)n;
}

static struct status *constraint(struct catalog *c, Sherd__V1__TableDesc *t,
                                 const PgQuery__Constraint *k, Sherd__V1__ColumnDesc *col,
                                 const char *sql)
{
    uint32_t ords[32];
    int n = col != NULL ? 1 : ordinals_of(t, k->keys, k->n_keys, ords);
    if (col != NULL) {
        ords[0] = col->ordinal;
    }
    const char *cn = n == 1 ? t->columns[ords[0]]->name : NULL;
    switch ((int)k->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
        col->not_null = true;
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
        col->has_default = true;
        col->default_sql = expr_text(c, k->raw_expr, sql, k->location);
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED:
        col->generated_sql = expr_text(c, k->raw_expr, strstr(sql + k->location, "AS "), 0);
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
        col->identity = k->generated_when[0] == 'a' ? 1 : 2;
        col->not_null = true;
        col->sequence_id = add_sequence(c, arena_printf(c->a, "%s_%s_seq", t->name, col->name));
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        for (int i = 0; i < n; i++) {
            t->columns[ords[i]]->not_null = true;
        }
        add_index(c, t, con_name(c, k, t->name, NULL, "pkey"), true, true, n, ords);
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
        add_index(c, t, con_name(c, k, t->name, cn, "key"), true, false, n, ords)->constraint =
            true;
        return NULL;
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: {
        Sherd__V1__ConstraintDesc *d = add_constraint(c, t, con_name(c, k, t->name, cn, "check"));
        d->check_sql = expr_text(c, k->raw_expr, strcasestr(sql + k->location, "check"), 0);
        return NULL;
    }
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: {
        Sherd__V1__TableDesc *p =
            strcmp(k->pktable->relname, t->name) == 0
                ? t
                : (Sherd__V1__TableDesc *)catalog_table(c, SCHEMA, slice_str(k->pktable->relname));
        if (p == NULL) {
            return status_sql(INVALID, "42P01", "relation \"%s\" does not exist",
                              k->pktable->relname);
        }
        if (col == NULL) {
            n = ordinals_of(t, k->fk_attrs, k->n_fk_attrs, ords);
            cn = n == 1 ? t->columns[ords[0]]->name : NULL;
        }
        Sherd__V1__ConstraintDesc *d = add_constraint(c, t, con_name(c, k, t->name, cn, "fkey"));
        d->kind = SHERD__V1__CONSTRAINT_KIND__CONSTRAINT_FOREIGN_KEY;
        d->ref_table_id = p->id;
        d->ref_index_id = 1;
        d->n_ordinals = d->n_ref_ordinals = (size_t)n;
        d->ordinals = ARENA_ARRAY(c->a, uint32_t, n);
        d->ref_ordinals = ARENA_ARRAY(c->a, uint32_t, n);
        d->on_delete = d->on_update = 'a';
        memcpy(d->ordinals, ords, sizeof(*ords) * (size_t)n);
        for (int i = 0; i < n; i++) {
            if ((size_t)i >= p->indexes[0]->n_columns) {
                return status_sql(INVALID, "42830",
                                  "number of referencing and referenced columns differs");
            }
            d->ref_ordinals[i] = p->indexes[0]->columns[i]->ordinal;
        }
        uint32_t *refs = ARENA_ARRAY(c->a, uint32_t, p->n_referenced_by + 1);
        if (p->n_referenced_by > 0) {
            memcpy(refs, p->referenced_by, sizeof(*refs) * p->n_referenced_by);
        }
        refs[p->n_referenced_by++] = t->id;
        p->referenced_by = refs;
        p->version++;
        return NULL;
    }
    default:
        return NULL;
    }
}

static struct status *create_table(struct analyzer *z, struct catalog *c,
                                   const PgQuery__CreateStmt *s, const char *sql)
{
    Sherd__V1__TableDesc *t = ARENA_NEW(c->a, Sherd__V1__TableDesc);
    if (catalog_table(c, SCHEMA, slice_str(s->relation->relname)) != NULL) {
        return s->if_not_exists
                   ? NULL
                   : status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists",
                                s->relation->relname);
    }
    sherd__v1__table_desc__init(t);
    t->id = c->next_id++;
    t->database_id = DATABASE;
    t->schema_id = SCHEMA;
    t->version = 1;
    t->name = arena_strdup(c->a, s->relation->relname);
    /* Primary key first: other indexes name it. */
    for (size_t i = 0; i < s->n_table_elts; i++) {
        const PgQuery__Node *n = s->table_elts[i];
        if (n->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF) {
            continue;
        }
        const PgQuery__ColumnDef *cd = n->column_def;
        const char *tn = name_last(cd->type_name->names, cd->type_name->n_names);
        bool serial = strcmp(tn, "serial") == 0 || strcmp(tn, "bigserial") == 0;
        type_oid type = strcmp(tn, "bigserial") == 0 ? TYPE_INT8 : TYPE_INT4;
        int32_t typmod = -1;
        if (!serial) {
            TRY(typename_resolve(z, cd->type_name, &type, &typmod));
        }
        Sherd__V1__ColumnDesc *col = add_column(c, t, cd->colname, type, typmod);
        if (serial) {
            col->not_null = true;
            col->sequence_id = add_sequence(c, arena_printf(c->a, "%s_%s_seq", t->name, col->name));
        }
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < s->n_table_elts; i++) {
            const PgQuery__Node *n = s->table_elts[i];
            if (n->node_case == PG_QUERY__NODE__NODE_CONSTRAINT) {
                if ((n->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY) ==
                    (pass == 0)) {
                    TRY(constraint(c, t, n->constraint, NULL, sql));
                }
                continue;
            }
            const PgQuery__ColumnDef *cd = n->column_def;
            for (size_t k = 0; k < cd->n_constraints; k++) {
                const PgQuery__Constraint *con = cd->constraints[k]->constraint;
                if ((con->contype == PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY) == (pass == 0)) {
                    TRY(constraint(c, t, con, (Sherd__V1__ColumnDesc *)table_column(t, cd->colname),
                                   sql));
                }
            }
        }
        if (pass == 0 && t->n_indexes == 0) {
            Sherd__V1__ColumnDesc *id = add_column(c, t, "sherd_rowid", TYPE_INT8, -1);
            id->not_null = true;
            t->hidden_primary_key = true;
            add_index(c, t, arena_printf(c->a, "%s_pkey", t->name), true, true, 1, &id->ordinal);
        }
    }
    for (size_t i = 0; i < s->n_options; i++) {
        const PgQuery__DefElem *d = s->options[i]->def_elem;
        if (strcmp(d->defname, "sharding") == 0 && strcmp(node_string(d->arg), "hash") == 0) {
            t->sharding = SHERD__V1__SHARDING__SHARDING_HASH;
            t->hash_buckets = 8;
        }
        if (strcmp(d->defname, "colocate_with") == 0) {
            const Sherd__V1__TableDesc *near =
                catalog_table(c, SCHEMA, slice_str(node_string(d->arg)));
            t->sharding = near->sharding;
            t->hash_buckets = near->hash_buckets;
            t->hash_columns = (uint32_t)near->indexes[0]->n_columns;
            t->colocate_with = near->id;
        }
    }
    c->tables[c->n++] = t;
    c->revision++;
    return NULL;
}

/* Fills a new index from the rows there are. */
static struct status *backfill(struct fiber *f, struct catalog *c, struct fake_store *s,
                               Sherd__V1__TableDesc *t, const Sherd__V1__IndexDesc *ix)
{
    struct arena *a = arena_create((size_t)1 << 30);
    struct fragment fr = {.table_id = t->id, .index_id = 1, .limit = -1};
    fr.row_columns = table_row_columns(a, t, &fr.nrow_columns);
    fr.ncolumns = fr.nrow_columns;
    fr.columns = ARENA_ARRAY(a, int, fr.ncolumns + 1);
    for (int i = 0; i < fr.ncolumns; i++) {
        fr.columns[i] = i;
    }
    struct buf key = {0};
    fr.spans = index_spans(a, t, t->indexes[0], &fr.nspans);
    struct op *op = txn_scan(a, fake_txn(s), &fr, true);
    struct batch *b;
    struct status *st;
    (void)c;
    while ((st = op_next(f, op, &b)) == NULL && b != NULL) {
        for (int i = 0; i < b->nrows && st == NULL; i++) {
            struct datum row[1700];
            for (int k = 0; k < b->ncols; k++) {
                row[k] = b->cols[k][i];
            }
            struct buf pk = {0};
            buf_clear(&key);
            st = table_index_key(t, t->indexes[0], row, &pk);
            st = st != NULL ? st : table_index_key(t, ix, row, &key);
            struct txn_write w = {.kind = ix->unique ? SHERD__V1__OP_KIND__OP_INSERT
                                                     : SHERD__V1__OP_KIND__OP_PUT,
                                  .key = buf_slice(&key),
                                  .value = buf_slice(&pk)};
            struct txn_write_result res;
            st = st != NULL ? st : txn_write(f, fake_txn(s), a, &w, 1, t->id, 1, false, &res);
            if (st == NULL && res.failed) {
                st = status_sql(CONSTRAINT, "23505", "could not create unique index \"%s\"",
                                ix->name);
            }
            buf_deinit(&pk);
        }
        if (st != NULL) {
            break;
        }
    }
    op_close(op);
    buf_deinit(&key);
    arena_destroy(a);
    return st;
}

static struct status *create_index(struct fiber *f, struct catalog *c, struct fake_store *s,
                                   const PgQuery__IndexStmt *is)
{
    Sherd__V1__TableDesc *t =
        (Sherd__V1__TableDesc *)catalog_table(c, SCHEMA, slice_str(is->relation->relname));
    if (t == NULL) {
        return status_sql(INVALID, "42P01", "relation \"%s\" does not exist",
                          is->relation->relname);
    }
    uint32_t ords[32];
    int n = 0;
    char *name = arena_strdup(c->a, t->name);
    for (size_t i = 0; i < is->n_index_params; i++) {
        const PgQuery__IndexElem *e = is->index_params[i]->index_elem;
        const Sherd__V1__ColumnDesc *col = e->expr != NULL ? NULL : table_column(t, e->name);
        if (col == NULL) {
            return status_sql(UNSUPPORTED, "0A000", "index on an expression");
        }
        ords[n++] = col->ordinal;
        name = arena_printf(c->a, "%s_%s", name, col->name);
    }
    Sherd__V1__IndexDesc *ix =
        add_index(c, t, is->idxname[0] != '\0' ? is->idxname : arena_printf(c->a, "%s_idx", name),
                  is->unique, false, n, ords);
    for (int i = 0; i < n; i++) {
        ix->columns[i]->desc =
            is->index_params[i]->index_elem->ordering == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
        ix->columns[i]->nulls_first = ix->columns[i]->desc;
    }
    t->version++;
    c->revision++;
    struct status *st = backfill(f, c, s, t, ix);
    if (st != NULL) {
        t->n_indexes--;
    }
    return st;
}

static struct status *create_view(struct fiber *f, const struct plan_env *env, struct catalog *c,
                                  const PgQuery__ViewStmt *v, const char *sql)
{
    if (catalog_table(c, SCHEMA, slice_str(v->view->relname)) != NULL) {
        return status_sql(ALREADY_EXISTS, "42P07", "relation \"%s\" already exists",
                          v->view->relname);
    }
    Sherd__V1__TableDesc *t = ARENA_NEW(c->a, Sherd__V1__TableDesc);
    sherd__v1__table_desc__init(t);
    t->id = c->next_id++;
    t->schema_id = SCHEMA;
    t->version = 1;
    t->name = arena_strdup(c->a, v->view->relname);
    const char *as = strcasestr(sql, " as ");
    as = as == NULL ? strcasestr(sql, " as\n") : as;
    as = as == NULL ? strcasestr(sql, "\nas") : as;
    as = as == NULL ? sql : as;
    t->view_sql = arena_strdup(c->a, strcasestr(as, "as") + 2);
    char *semi = strchr(t->view_sql, ';');
    if (semi != NULL) {
        *semi = '\0';
    }
    struct parsed *p;
    struct plan *plan;
    TRY(parse_sql(f, slice_str(t->view_sql), &p));
    struct status *st = plan_statement(f, env, p, 0, NULL, 0, &plan);
    parsed_free(p);
    TRY(st);
    plan_unref(plan);
    for (size_t i = 0; i < v->n_aliases; i++) {
        add_column(c, t, node_string(v->aliases[i]), TYPE_TEXT, -1);
    }
    c->tables[c->n++] = t;
    c->revision++;
    return NULL;
}

static struct status *drop(struct catalog *c, struct fake_store *s, const PgQuery__DropStmt *d)
{
    for (size_t i = 0; i < d->n_objects; i++) {
        const PgQuery__Node *o = d->objects[i];
        const char *name = o->node_case == PG_QUERY__NODE__NODE_LIST
                               ? name_last(o->list->items, o->list->n_items)
                               : "";
        int k = 0;
        while (k < c->n && strcmp(c->tables[k]->name, name) != 0) {
            k++;
        }
        if (k == c->n) {
            if (!d->missing_ok) {
                return status_sql(INVALID, "42P01", "table \"%s\" does not exist", name);
            }
            continue;
        }
        fake_delete_prefix(s, c->tables[k]->id);
        memmove(&c->tables[k], &c->tables[k + 1], sizeof(c->tables[0]) * (size_t)(c->n - k - 1));
        c->n--;
        c->revision++;
    }
    return NULL;
}

struct status *fake_ddl(struct fiber *f, const struct plan_env *env, struct catalog *c,
                        struct fake_store *s, const void *node, const char *sql, bool *out_known)
{
    const PgQuery__Node *n = node;
    struct query q = {.arena = c->a};
    struct analyzer z = {.q = &q, .a = c->a, .f = f, .env = env, .sql = sql};
    *out_known = true;
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_CREATE_STMT:
        return create_table(&z, c, n->create_stmt, sql);
    case PG_QUERY__NODE__NODE_INDEX_STMT:
        return create_index(f, c, s, n->index_stmt);
    case PG_QUERY__NODE__NODE_VIEW_STMT:
        return create_view(f, env, c, n->view_stmt, sql);
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
        add_sequence(c, n->create_seq_stmt->sequence->relname);
        return NULL;
    case PG_QUERY__NODE__NODE_DROP_STMT:
        return drop(c, s, n->drop_stmt);
    default:
        *out_known = false;
        return NULL;
    }
}
