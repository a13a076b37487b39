/*
 * SQL types. Oids, names, categories and text/binary forms are PostgreSQL's own, so that every
 * client driver decodes our results with its built-in tables.
 */
#ifndef SQL_TYPES_H
#define SQL_TYPES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "sql/datum.h"

typedef uint32_t type_oid;

/*    name         oid   array oid  category  how a datum holds it */
#define SQL_TYPES(X)                                                                               \
    X(BOOL, 16, 1000, 'B', "bool")          /* i: 0 or 1 */                                        \
    X(BYTEA, 17, 1001, 'U', "bytea")        /* p, len */                                           \
    X(CHAR, 18, 1002, 'Z', "char")          /* i: one byte */                                      \
    X(NAME, 19, 1003, 'S', "name")          /* p, len < 64 */                                      \
    X(INT8, 20, 1016, 'N', "int8")          /* i */                                                \
    X(INT2, 21, 1005, 'N', "int2")          /* i */                                                \
    X(INT2VECTOR, 22, 0, 'A', "int2vector") /* p, len: array.h; in pg_catalog only */              \
    X(INT4, 23, 1007, 'N', "int4")          /* i */                                                \
    X(REGPROC, 24, 1008, 'N', "regproc")    /* i */                                                \
    X(TEXT, 25, 1009, 'S', "text")          /* p, len; UTF-8 */                                    \
    X(OID, 26, 1028, 'N', "oid")            /* i */                                                \
    X(OIDVECTOR, 30, 0, 'A', "oidvector")   /* p, len: array.h; in pg_catalog only */              \
    X(JSON, 114, 199, 'U', "json")          /* p, len: its text, checked */                        \
    X(FLOAT4, 700, 1021, 'N', "float4")     /* f, rounded to float */                              \
    X(FLOAT8, 701, 1022, 'N', "float8")     /* f */                                                \
    X(UNKNOWN, 705, 0, 'X', "unknown")      /* p, len: an untyped literal */                       \
    X(BPCHAR, 1042, 1014, 'S', "bpchar")    /* p, len; blank padded to its typmod */               \
    X(VARCHAR, 1043, 1015, 'S', "varchar")  /* p, len */                                           \
    X(DATE, 1082, 1182, 'D', "date") /* i: days since 2000-01-01; +-infinity = INT32_MAX/MIN */    \
    X(TIME, 1083, 1183, 'D', "time") /* i: microseconds of the day */                              \
    X(TIMESTAMP, 1114, 1115, 'D',                                                                  \
      "timestamp") /* i: microseconds since 2000-01-01; infinity = INT64_MAX/MIN */                \
    X(TIMESTAMPTZ, 1184, 1185, 'D', "timestamptz")   /* i: the same, UTC */                        \
    X(INTERVAL, 1186, 1187, 'T', "interval")         /* p: struct interval, len = its size */      \
    X(NUMERIC, 1700, 1231, 'N', "numeric")           /* p, len: numeric.h */                       \
    X(REGCLASS, 2205, 2210, 'N', "regclass")         /* i */                                       \
    X(REGTYPE, 2206, 2211, 'N', "regtype")           /* i */                                       \
    X(REGNAMESPACE, 4089, 4090, 'N', "regnamespace") /* i */                                       \
    X(REGROLE, 4096, 4097, 'N', "regrole")           /* i */                                       \
    X(RECORD, 2249, 2287, 'P', "record")                                                           \
    X(VOID, 2278, 0, 'P', "void")                                                                  \
    X(UUID, 2950, 2951, 'U', "uuid") /* p, len = 16 */

enum {
#define X(name, oid, array, category, text) TYPE_##name = oid, TYPE_##name##_ARRAY = array,
    SQL_TYPES(X)
#undef X
};

struct interval {
    int64_t us;
    int32_t days;
    int32_t months;
};

struct type_info {
    type_oid oid;
    type_oid array_oid;   /* of an element type; 0 = none */
    type_oid element;     /* of an array type; else 0 */
    const char *name;     /* pg_type.typname */
    const char *sql_name; /* what format_type() says: "integer", "character varying" */
    char category;
    bool is_preferred; /* within its category */
    int16_t len;       /* pg_type.typlen: -1 = variable */
    bool is_inline;    /* datum holds it in i or f; else in p/len */
    bool is_collatable;
    char align;
};

/* NULL: no such type. Array oids are known too (elements: text, int2, int4, int8, oid, name, bool,
 * float8, numeric, "char", regtype ...): a datum of an array is p/len, layout in array.h. */
const struct type_info *type_find(type_oid oid);
/* "integer", "int", "int4", "character varying", "serial" is not a type. Lower case. */
const struct type_info *type_find_name(struct slice name);
/* All of them, for pg_type; returns how many. */
size_t type_all(const struct type_info **out, size_t max);
/* "character varying(20)", "numeric(10,2)" ... */
const char *type_format(struct arena *a, type_oid oid, int32_t typmod);
/* typmod of "varchar(20)" etc. from its modifiers: PostgreSQL's encodings. -1 = none. */
struct status *type_typmod(type_oid oid, const int32_t *mods, int count,
                           int32_t *out_typmod) STATUS_MUST_CHECK;

/* Text form to datum. typmod is applied as by an assignment cast (22001 when too long, numeric
 * rounded). Bad input: 22P02, 22007, 22003 ... with PostgreSQL's message. now: for 'now', 'today'.
 */
struct status *type_input(struct arena *a, type_oid oid, int32_t typmod, struct slice text,
                          struct datum *out) STATUS_MUST_CHECK;
/* Appends the text form. Not for NULL. extra_float_digits 1, DateStyle ISO, bytea_output hex,
 * TimeZone UTC, IntervalStyle postgres. */
void type_output(type_oid oid, const struct datum *d, struct buf *out);
/* Binary wire forms. */
struct status *type_recv(struct arena *a, type_oid oid, int32_t typmod, struct slice bytes,
                         struct datum *out) STATUS_MUST_CHECK;
void type_send(type_oid oid, const struct datum *d, struct buf *out);

/* 22021 unless the bytes are UTF-8 without zero bytes: for text from a client that no type_input()
 * reads. */
struct status *type_check_text(struct slice text) STATUS_MUST_CHECK;

/* Total order of non-NULL datums of one type, as of btree's default operator class, text in C
 * collation (bytewise). bpchar ignores trailing blanks. */
int type_compare(type_oid oid, const struct datum *a, const struct datum *b);
/* Equal datums hash equal. */
uint64_t type_hash(type_oid oid, const struct datum *d);

#endif
