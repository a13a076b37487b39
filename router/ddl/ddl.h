/*
 * Schema changes. Private to ddl/.
 *
 * A statement looks descriptors up in the catalog of its transaction, notes which of them its
 * change rests on (ddl_compare) and what it puts and deletes, and adds the change to the
 * transaction (ddl_apply). That locks the tables the change rests on (schema_txn.h): from then on
 * nobody else uses them, so what follows, validation of rows or filling of an index, is alone with
 * them. When somebody else was quicker to change a descriptor, the answer is CONFLICT, and the
 * statement starts over with a fresh catalog.
 *
 * Two things go another way. CREATE INDEX as a statement of its own works beside writers (index.c):
 * it is a job of several changes (ddl_commit), between which all shards are fenced, so that at most
 * two neighbouring versions of a table are ever in use. And jobs (jobs.c) have no statement.
 */
#ifndef ROUTER_DDL_DDL_H
#define ROUTER_DDL_DDL_H

#include "api/pb.h"
#include "router/plan.h"
#include "router/session.h"
#include "schema_txn.h"

#include "sherd/v1/shard.pb-c.h"

#include <pg_query/pg_query.pb-c.h>

struct ddl {
    struct fiber *f;
    struct exec *x; /* NULL: a job's */
    struct router *router;
    struct catalog *catalog;   /* fresh at the start of the attempt */
    struct schema_txn *schema; /* what the change becomes part of; NULL: a job's */
    struct arena *a;           /* = x->arena */
    bool has_rows;             /* rows were written in the transaction: no second attempt */
    Sherd__V1__MetaTxnRequest txn;
    int cap_compares, cap_puts, cap_deletes;
    const char *tag;
    const struct parsed *parsed;
    int index; /* of the statement in parsed */
};

/* ---- the change under construction (ddl.c) ---- */
void ddl_change_init(struct ddl *d);
void ddl_compare(struct ddl *d, struct slice key); /* must be as in d->catalog */
void ddl_compare_revision(struct ddl *d, struct slice key, uint64_t revision);
void ddl_must_not_exist(struct ddl *d, struct slice key);
void ddl_put(struct ddl *d, struct slice key, const void *message);
void ddl_put_bytes(struct ddl *d, struct slice key, struct slice value);
void ddl_delete(struct ddl *d, struct slice key);
/* Adds it to the transaction and empties it; d->catalog has it then. CONFLICT: start over. */
struct status *ddl_apply(struct ddl *d) STATUS_MUST_CHECK;
/* Sends it at once, for jobs. CONFLICT when a compare failed. Empties the change. Returns when this
 * node's cache has it. */
struct status *ddl_commit(struct ddl *d) STATUS_MUST_CHECK;
/* A table's version is raised once in a transaction. */
void ddl_raise_version(struct ddl *d, Sherd__V1__TableDesc *t);
/* Takes a new catalog snapshot. */
void ddl_refresh_catalog(struct ddl *d);

/* Keys, in the arena. */
struct slice key_id4(struct ddl *d, const char *prefix, uint32_t id);
struct slice key_id8(struct ddl *d, const char *prefix, uint64_t id);
struct slice key_db_name(struct ddl *d, const char *name);
struct slice key_schema_name(struct ddl *d, uint32_t db, const char *name);
struct slice key_rel_name(struct ddl *d, uint32_t db, uint32_t schema, const char *name);
struct slice rel_value(struct ddl *d, char kind, uint64_t id);
struct status *ddl_allocate(struct ddl *d, uint32_t count, uint32_t *out_first) STATUS_MUST_CHECK;

/* ---- names ---- */
struct status *find_creation_schema(struct ddl *d, const PgQuery__RangeVar *rv,
                                    uint32_t *out_schema) STATUS_MUST_CHECK;
/* NULL in *out when there is none and missing_ok. 42P01 otherwise; 42809 when it is a view and a
 * table is needed. */
struct status *find_table(struct ddl *d, const char *schema, const char *name, bool missing_ok,
                          const Sherd__V1__TableDesc **out) STATUS_MUST_CHECK;
/* A table or view, or NULL. */
const Sherd__V1__TableDesc *find_any_table(struct ddl *d, const char *schema, const char *name);
/* The table that has the index, or NULL. */
const Sherd__V1__TableDesc *find_index(struct ddl *d, const char *schema, const char *name,
                                       const Sherd__V1__IndexDesc **out_index);
struct status *resolve_type(struct ddl *d, const PgQuery__TypeName *t, type_oid *out_type,
                            int32_t *out_typmod) STATUS_MUST_CHECK;
bool relation_exists(struct ddl *d, uint32_t schema, const char *name);
/* "t_c_key" and the like, unique in the schema (PostgreSQL's ChooseRelationName). */
char *choose_name(struct ddl *d, uint32_t schema, const char *table, const char *column,
                  const char *label);
/* A name, and one with its schema, as they must stand in a text to be parsed. */
const char *quoted(struct ddl *d, const char *name);
const char *qualified(struct ddl *d, uint32_t schema, const char *name);
const char *node_str(const PgQuery__Node *n);
/* The SQL text of an expression node, and of a whole statement. */
struct status *deparse_expr(struct ddl *d, PgQuery__Node *expr, char **out) STATUS_MUST_CHECK;
struct status *deparse_statement(struct ddl *d, PgQuery__Node *statement,
                                 char **out) STATUS_MUST_CHECK;
struct status *check_name(const char *name) STATUS_MUST_CHECK;
const Sherd__V1__SequenceDesc *find_sequence(struct ddl *d, const char *schema,
                                             const char *name); /* or NULL */
/* nextval() gives `value` next; q is put. */
void restart_sequence(struct ddl *d, const Sherd__V1__SequenceDesc *q, int64_t value);
void ddl_notice(struct ddl *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- descriptors ---- */
struct status *copy_table(struct ddl *d, const Sherd__V1__TableDesc *t,
                          Sherd__V1__TableDesc **out) STATUS_MUST_CHECK;
Sherd__V1__ColumnDesc *find_column(const Sherd__V1__TableDesc *t,
                                   const char *name); /* not dropped; or NULL */
Sherd__V1__IndexDesc *add_index(struct ddl *d, Sherd__V1__TableDesc *t);
Sherd__V1__ConstraintDesc *add_constraint(struct ddl *d, Sherd__V1__TableDesc *t);
Sherd__V1__ColumnDesc *add_column(struct ddl *d, Sherd__V1__TableDesc *t);
/* Which columns an expression of the table (CHECK, generated) reads: by ordinal, in the arena. */
struct status *expr_columns(struct ddl *d, const Sherd__V1__TableDesc *t, const char *sql,
                            bool **out_used) STATUS_MUST_CHECK;
/* Adds table id to ref's referenced_by and puts ref (compared). */
struct status *reference(struct ddl *d, uint32_t ref_table_id, uint32_t by) STATUS_MUST_CHECK;
struct status *unreference(struct ddl *d, uint32_t ref_table_id,
                           const Sherd__V1__TableDesc *by) STATUS_MUST_CHECK;

/* Makes the change exclude every other change of the table: compared and put, its version raised.
 * Nothing to do when the change puts it already. */
struct status *ddl_touch(struct ddl *d, const Sherd__V1__TableDesc *t) STATUS_MUST_CHECK;

/* ---- how a table is sharded (sharding.c) ---- */
#define PRIMARY_INDEX_ID 1u /* of a table with its primary key from the start */
/* WITH (...). *out_near: the table of colocate_with, or NULL. */
struct status *sharding_options(struct ddl *d, Sherd__V1__TableDesc *t, size_t n,
                                PgQuery__Node **options,
                                const Sherd__V1__TableDesc **out_near) STATUS_MUST_CHECK;
/* Once the primary key is known: places t with near. Nothing when near is NULL. */
struct status *sharding_colocate(struct ddl *d, Sherd__V1__TableDesc *t,
                                 const Sherd__V1__TableDesc *near) STATUS_MUST_CHECK;
/* Adds to the change the job that makes the table's shards, if it needs any. */
void sharding_request(struct ddl *d, const Sherd__V1__TableDesc *t, uint64_t job_id);
/* A table that is co-located with t; NULL: none. is_gone tells of tables that go too. */
const Sherd__V1__TableDesc *sharding_dependent(struct ddl *d, const Sherd__V1__TableDesc *t,
                                               bool (*is_gone)(const void *ctx, uint32_t table_id),
                                               const void *ctx);

/* ---- work on rows (rows.c) ---- */
/* Every shard that has keys of the table refuses versions below `version` from now on. What `own`
 * (may be NULL) has done already counts as done at it. */
struct status *fence_table(struct ddl *d, uint32_t table_id, uint64_t version,
                           Sherd__V1__TxnId *own) STATUS_MUST_CHECK;
/* The same for a table that the catalog does not know any more. */
struct status *fence_ranges(struct ddl *d, uint32_t table_id, uint64_t version,
                            Sherd__V1__TxnId *own, const struct key_span *ranges,
                            int n) STATUS_MUST_CHECK;
/* Delete all keys, which nobody reads any more. */
struct status *wipe_ranges(struct ddl *d, const struct key_span *ranges, int n) STATUS_MUST_CHECK;
struct status *wipe_indexes(struct ddl *d, uint32_t table_id, uint32_t index_from,
                            uint32_t index_to) STATUS_MUST_CHECK;
/* Runs a query of our own in the transaction; *out_any tells whether it gave a row. */
struct status *query_has_rows(struct ddl *d, const char *sql, bool *out_any) STATUS_MUST_CHECK;
/* The same; *out_row: the first row's values as text, "1, abc". */
struct status *query_first_row(struct ddl *d, const char *sql, bool *out_any,
                               char **out_row) STATUS_MUST_CHECK;
/* Fills WRITE_ONLY indexes of the table from its rows. 23505 for duplicates of a unique one. own:
 * in this transaction, else in transactions of its own. */
struct status *backfill(struct ddl *d, const Sherd__V1__TableDesc *t, const uint32_t *index_ids,
                        int count, struct txn *own) STATUS_MUST_CHECK;
/* The same for a table that the transaction has locked or made. */
struct status *fill_locked(struct ddl *d, const Sherd__V1__TableDesc *t,
                           uint32_t index_id) STATUS_MUST_CHECK;
/* Deletes all rows in the exec's transaction. */
struct status *delete_all_rows(struct ddl *d, const Sherd__V1__TableDesc *t,
                               struct txn *txn) STATUS_MUST_CHECK;
/* Makes `columns` the primary key of a table without one: rewrites its rows under new index ids. */
struct status *rekey(struct ddl *d, const Sherd__V1__TableDesc *t, const char *name,
                     const uint32_t *ordinals, int n) STATUS_MUST_CHECK;

/* ---- statements ---- */
struct status *ddl_create_table(struct ddl *d, const PgQuery__CreateStmt *s) STATUS_MUST_CHECK;
struct status *ddl_alter_table(struct ddl *d, const PgQuery__AlterTableStmt *s) STATUS_MUST_CHECK;
struct status *ddl_create_index(struct ddl *d, const PgQuery__IndexStmt *s) STATUS_MUST_CHECK;
struct status *ddl_drop(struct ddl *d, const PgQuery__DropStmt *s) STATUS_MUST_CHECK;
struct status *ddl_truncate(struct ddl *d, const PgQuery__TruncateStmt *s) STATUS_MUST_CHECK;
struct status *ddl_rename(struct ddl *d, const PgQuery__RenameStmt *s) STATUS_MUST_CHECK;
struct status *ddl_create_database(struct ddl *d, const PgQuery__CreatedbStmt *s) STATUS_MUST_CHECK;
struct status *ddl_drop_database(struct ddl *d, const PgQuery__DropdbStmt *s) STATUS_MUST_CHECK;
struct status *ddl_create_schema(struct ddl *d,
                                 const PgQuery__CreateSchemaStmt *s) STATUS_MUST_CHECK;
struct status *ddl_create_sequence(struct ddl *d,
                                   const PgQuery__CreateSeqStmt *s) STATUS_MUST_CHECK;
struct status *ddl_alter_sequence(struct ddl *d, const PgQuery__AlterSeqStmt *s) STATUS_MUST_CHECK;
struct status *ddl_create_view(struct ddl *d, const PgQuery__ViewStmt *s) STATUS_MUST_CHECK;
struct status *ddl_drop_role(struct ddl *d, const PgQuery__DropRoleStmt *s) STATUS_MUST_CHECK;
struct status *ddl_create_role(struct ddl *d, const PgQuery__CreateRoleStmt *s) STATUS_MUST_CHECK;

/* ---- CREATE INDEX beside writers, as a job (index.c) ---- */
/* From fence to PUBLIC, or takes it back: done by the statement, or by whoever finds the job. */
struct status *index_build(struct ddl *d, const Sherd__V1__JobDesc *job,
                           uint64_t revision) STATUS_MUST_CHECK;

/* ---- views (view.c): their text names tables with their schema ---- */
/* Views that read the table (or view), in the arena. */
struct status *views_of(struct ddl *d, const Sherd__V1__TableDesc *t,
                        const Sherd__V1__TableDesc ***out, int *out_n) STATUS_MUST_CHECK;
/* Adds to the change: the views that read t follow it to its new name. */
struct status *views_follow_rename(struct ddl *d, const Sherd__V1__TableDesc *t,
                                   const char *new_name) STATUS_MUST_CHECK;
/* 2BP01 when a view may read the column. */
struct status *views_refuse_column(struct ddl *d, const Sherd__V1__TableDesc *t,
                                   const char *column) STATUS_MUST_CHECK;

/* create_table.c, for ALTER TABLE too. */
struct status *column_from_def(struct ddl *d, Sherd__V1__TableDesc *t,
                               const PgQuery__ColumnDef *def) STATUS_MUST_CHECK;
struct status *constraint_from_def(struct ddl *d, Sherd__V1__TableDesc *t,
                                   const PgQuery__Constraint *c,
                                   const char *column) STATUS_MUST_CHECK;
struct status *sequence_for(struct ddl *d, const Sherd__V1__TableDesc *t,
                            Sherd__V1__ColumnDesc *col, type_oid type) STATUS_MUST_CHECK;
struct status *sequence_options(Sherd__V1__SequenceDesc *q, size_t n,
                                PgQuery__Node **options) STATUS_MUST_CHECK;
/* Whether its values have an order: 42704. */
struct status *check_key_type(const Sherd__V1__ColumnDesc *c) STATUS_MUST_CHECK;
/* A DEFAULT may not read columns: 0A000. */
struct status *refuse_columns(struct expr *e) STATUS_MUST_CHECK;
void drop_table_keys(struct ddl *d, const Sherd__V1__TableDesc *t);

#endif
