/*
 * What the system relations share: building rows, walking the catalog of the session's database,
 * writing definitions as text.
 *
 * A fill function begins with rows_begin(), puts the values of each row in the order of the table's
 * columns by the functions put_*(), which check the column's type, and ends each row with
 * row_end().
 */
#ifndef ROUTER_DDL_SYSTEM_INTERNAL_H
#define ROUTER_DDL_SYSTEM_INTERNAL_H

#include "system.h"
#include "system_tables.h"

#include "router_internal.h"

#define SCHEMA_OID_PG_CATALOG 11
#define SCHEMA_OID_INFORMATION_SCHEMA 13000
#define ROLE_OID_BOOTSTRAP 10
#define COLLATION_DEFAULT 100
#define COLLATION_C 950
#define AM_HEAP 2
#define AM_BTREE 403
#define TABLESPACE_DEFAULT 1663
#define TABLESPACE_GLOBAL 1664
#define CLASS_PG_CLASS 1259
#define CLASS_PG_ATTRDEF 2604
#define CLASS_PG_CONSTRAINT 2606
#define CLASS_PG_NAMESPACE 2615

#define SYSTEM_COLUMNS_MAX 96

/* ---- rows (system.c) ---- */

struct row_maker {
    struct system_rows *out;
    const struct system_table *table;
    struct exec *x;
    struct arena *a;
    struct catalog *c;
    uint32_t db;
    int n;
    struct datum v[SYSTEM_COLUMNS_MAX];
};

void rows_begin(struct row_maker *m, struct exec *x, struct system_rows *out, const char *schema,
                const char *name);
void put_null(struct row_maker *m);
void put_int(struct row_maker *m, int64_t v);  /* int2, int4, int8, oid, regproc ... */
void put_oid(struct row_maker *m, uint32_t v); /* NULL for 0 is for the caller */
void put_bool(struct row_maker *m, bool v);
void put_char(struct row_maker *m, char v);
void put_float(struct row_maker *m, double v);
void put_text(struct row_maker *m,
              const char *s); /* text, name, varchar; NULL gives NULL; borrowed */
void put_bytes(struct row_maker *m, struct slice s);
void put_yes_no(struct row_maker *m, bool v); /* information_schema's "YES" and "NO" */
void put_ints(struct row_maker *m, const int64_t *v,
              int n); /* arrays and vectors of int2, oid, int8 */
void put_texts(struct row_maker *m, const char *const *v, int n);
void put_nulls(struct row_maker *m, int n);
void row_end(struct row_maker *m);

/* All system relations, in order of schema and name. */
int system_table_count(void);
const struct system_table *system_table_at(int i);
char system_table_kind(const struct system_table *t);
uint32_t system_schema_oid(const struct system_table *t);
const struct system_table *system_table_by_oid(uint32_t oid);

/* ---- the catalog of one database, in order of id (system_walk.c) ---- */

struct schema_list {
    int n;
    const Sherd__V1__SchemaDesc **v;
};
struct table_list {
    int n;
    const Sherd__V1__TableDesc **v;
};
struct sequence_list {
    int n;
    const Sherd__V1__SequenceDesc **v;
};
struct database_list {
    int n;
    const Sherd__V1__DatabaseDesc **v;
};
struct role_list {
    int n;
    const Sherd__V1__RoleDesc **v;
};
struct schema_list schemas_of(const struct catalog *c, uint32_t db, struct arena *a);
struct table_list tables_of(const struct catalog *c, uint32_t db, struct arena *a); /* views too */
struct sequence_list sequences_of(const struct catalog *c, uint32_t db, struct arena *a);
struct database_list databases_of(const struct catalog *c, struct arena *a);
struct role_list roles_of(const struct catalog *c, struct arena *a);

bool table_is_view(const Sherd__V1__TableDesc *t);
/* A column that users see: not dropped, not the hidden key. */
bool column_is_visible(const Sherd__V1__TableDesc *t, const Sherd__V1__ColumnDesc *c);
bool index_is_visible(const Sherd__V1__TableDesc *t,
                      const Sherd__V1__IndexDesc *ix);         /* not the hidden key's */
const char *schema_name(const struct catalog *c, uint32_t id); /* "" when it is gone */
uint32_t role_oid(const struct catalog *c, const char *name);
const Sherd__V1__RoleDesc *role_by_oid(const struct catalog *c, uint32_t oid, struct arena *a);

/* What an oid of pg_class is: exactly one is not NULL, or none. */
struct relation {
    const Sherd__V1__TableDesc *table; /* of the index too */
    const Sherd__V1__IndexDesc *index;
    const Sherd__V1__SequenceDesc *sequence;
    const struct system_table *system;
};
bool relation_by_oid(const struct catalog *c, uint32_t db, uint32_t oid, struct arena *a,
                     struct relation *out);
/* By name along the search path; schema NULL = not qualified. */
bool relation_by_name(const struct plan_env *env, const char *schema, const char *name,
                      struct relation *out);
uint32_t relation_oid(const struct relation *r);
const char *relation_name(const struct relation *r);
uint32_t relation_schema(const struct relation *r);
/* Whether its plain name finds it along the search path. */
bool relation_is_visible(const struct plan_env *env, const struct relation *r);
/* "a.b", "\"A\"": up to two parts. 42602 when malformed. */
struct status *name_split(struct arena *a, struct slice text, const char **out_schema,
                          const char **out_name) STATUS_MUST_CHECK;

/* ---- definitions as text (system_def.c) ---- */

/* With quotes when PostgreSQL would put them (keywords, upper case, odd characters). */
const char *quote_name(struct arena *a, const char *name);
/* Qualified unless visible. */
const char *relation_text(const struct plan_env *env, struct arena *a, const struct relation *r);
const char *table_text(const struct plan_env *env, struct arena *a, const Sherd__V1__TableDesc *t);
/* A column's default as pg_get_expr() shows it, or NULL. */
const char *default_text(const struct plan_env *env, struct arena *a, const Sherd__V1__TableDesc *t,
                         const Sherd__V1__ColumnDesc *c);
const char *index_text(const struct plan_env *env, struct arena *a, const Sherd__V1__TableDesc *t,
                       const Sherd__V1__IndexDesc *ix, bool is_pretty);
/* The n-th key (from 1) alone; "" when there is none. */
const char *index_key_text(struct arena *a, const Sherd__V1__TableDesc *t,
                           const Sherd__V1__IndexDesc *ix, int n);
const char *key_constraint_text(struct arena *a, const Sherd__V1__TableDesc *t,
                                const Sherd__V1__IndexDesc *ix);
const char *constraint_text(const struct plan_env *env, struct arena *a,
                            const Sherd__V1__TableDesc *t, const Sherd__V1__ConstraintDesc *k,
                            bool is_pretty);
const char *view_text(struct arena *a, const Sherd__V1__TableDesc *t);

/* ---- facts of types (system_types.c) ---- */
uint32_t type_opclass(type_oid type); /* the default btree operator class; 0 = none */
uint32_t type_collation(type_oid type);
char type_storage_of(type_oid type);
/* pg_proc's name of an input, output, receive or send function; NULL: not one. */
const char *type_function_name(uint32_t oid);
uint32_t type_function_oid(const char *name); /* 0: none */

#define FILL(name)                                                                                 \
    struct status *system_fill_##name(struct fiber *f, struct exec *x, struct system_rows *rows)
#define FILL_UNUSED(f) ((void)(f))

#define DECLARE(schema, name, oid, kind, fill, ...) FILL(fill);
SYSTEM_TABLES(DECLARE)
#undef DECLARE

#endif
