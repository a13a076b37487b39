/*
 * System relations: tables of pg_catalog and information_schema that hold no stored rows. The
 * planner resolves a name to one of them before it looks into the catalog (pg_catalog is implied
 * first in the search path); the executor calls fill() once per scan, then filters, joins and sorts
 * like any other input.
 *
 * Adding one: a row in the table that system_table_find() searches, columns with PostgreSQL's names
 * and types in PostgreSQL's order, and a fill function.
 */
#ifndef ROUTER_DDL_SYSTEM_H
#define ROUTER_DDL_SYSTEM_H

#include "base/fiber.h"
#include "router/plan.h"

struct system_column {
    const char *name;
    type_oid type;
};

/* Where fill() puts its rows; grows by batches in the execution's arena. */
struct system_rows;
/* Appends a row: one datum per column of the table. Bytes the datums point at are borrowed: they
 * must live as long as the execution's arena (x->arena) or the catalog snapshot (x->env.catalog).
 */
void system_row(struct system_rows *rows, const struct datum *values);

struct system_table {
    const char *schema; /* "pg_catalog" or "information_schema" */
    const char *name;
    uint32_t oid; /* PostgreSQL's, where it has a fixed one */
    int ncols;
    const struct system_column *cols;
    struct status *(*fill)(struct fiber *f, struct exec *x, struct system_rows *rows);
};

/* NULL: no such relation. Static, lives for ever. */
const struct system_table *system_table_find(struct slice schema, struct slice name);

/* What clients have made or changed. The others are the same for ever or tell how things are now,
 * also while the metadata group cannot be reached. */
bool system_table_shows_catalog(const struct system_table *t);

/* Functions that look into the catalog (pg_get_indexdef, format_type, obj_description, to_regclass,
 * ...). *out_known is false for a function this part does not answer either. Results live in
 * x->arena. */
struct status *system_function(struct fiber *f, struct exec *x, const struct func_def *fn,
                               const struct datum *args, int nargs, struct datum *out,
                               bool *out_known) STATUS_MUST_CHECK;

#endif
