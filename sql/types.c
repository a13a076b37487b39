/*
 * The type table, and the dispatch from a type to the functions of its family.
 *
 * Facts of each type are one row of TYPE_ROWS; array types are derived from their element's row.
 * type_find() is a switch made from the same rows, so that table and lookup cannot drift apart.
 */
#include "sql/types.h"

#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"
#include "value.h"

#include <math.h>
#include <xxhash.h>

/*    name   typname   format_type  category preferred typlen inline collatable align */
#define TYPE_ROWS(X)                                                                               \
    X(BOOL, "bool", "boolean", 'B', true, 1, true, false, 'c')                                     \
    X(BYTEA, "bytea", "bytea", 'U', false, -1, false, false, 'i')                                  \
    X(CHAR, "char", "\"char\"", 'Z', false, 1, true, false, 'c')                                   \
    X(NAME, "name", "name", 'S', false, 64, false, true, 'c')                                      \
    X(INT8, "int8", "bigint", 'N', false, 8, true, false, 'd')                                     \
    X(INT2, "int2", "smallint", 'N', false, 2, true, false, 's')                                   \
    X(INT4, "int4", "integer", 'N', false, 4, true, false, 'i')                                    \
    X(REGPROC, "regproc", "regproc", 'N', false, 4, true, false, 'i')                              \
    X(TEXT, "text", "text", 'S', true, -1, false, true, 'i')                                       \
    X(OID, "oid", "oid", 'N', true, 4, true, false, 'i')                                           \
    X(JSON, "json", "json", 'U', false, -1, false, false, 'i')                                     \
    X(FLOAT4, "float4", "real", 'N', false, 4, true, false, 'i')                                   \
    X(FLOAT8, "float8", "double precision", 'N', true, 8, true, false, 'd')                        \
    X(BPCHAR, "bpchar", "character", 'S', false, -1, false, true, 'i')                             \
    X(VARCHAR, "varchar", "character varying", 'S', false, -1, false, true, 'i')                   \
    X(DATE, "date", "date", 'D', false, 4, true, false, 'i')                                       \
    X(TIME, "time", "time without time zone", 'D', false, 8, true, false, 'd')                     \
    X(TIMESTAMP, "timestamp", "timestamp without time zone", 'D', false, 8, true, false, 'd')      \
    X(TIMESTAMPTZ, "timestamptz", "timestamp with time zone", 'D', true, 8, true, false, 'd')      \
    X(INTERVAL, "interval", "interval", 'T', true, 16, false, false, 'd')                          \
    X(NUMERIC, "numeric", "numeric", 'N', false, -1, false, false, 'i')                            \
    X(REGCLASS, "regclass", "regclass", 'N', false, 4, true, false, 'i')                           \
    X(REGTYPE, "regtype", "regtype", 'N', false, 4, true, false, 'i')                              \
    X(REGNAMESPACE, "regnamespace", "regnamespace", 'N', false, 4, true, false, 'i')               \
    X(REGROLE, "regrole", "regrole", 'N', false, 4, true, false, 'i')                              \
    X(RECORD, "record", "record", 'P', false, -1, false, false, 'd')                               \
    X(UUID, "uuid", "uuid", 'U', false, 16, false, false, 'c')

/* Those without an array type. */
#define TYPE_ROWS_ALONE(X)                                                                         \
    X(UNKNOWN, "unknown", "unknown", 'X', false, -2, false, false, 'c')                            \
    X(VOID, "void", "void", 'P', false, 4, true, false, 'i')

/* Arrays by another name, subscripted from 0 and written "1 2 3": of the system catalogs. */
#define TYPE_ROWS_VECTOR(X)                                                                        \
    X(INT2VECTOR, "int2vector", INT2)                                                              \
    X(OIDVECTOR, "oidvector", OID)

enum {
#define X(name, ...) AT_##name, AT_ARRAY_##name,
    TYPE_ROWS(X)
#undef X
#define X(name, ...) AT_##name,
        TYPE_ROWS_ALONE(X) TYPE_ROWS_VECTOR(X)
#undef X
            TYPE_COUNT
};

static const struct type_info type_table[TYPE_COUNT] = {
#define X(id, typname, text, cat, pref, typlen, inl, coll, al)                                     \
    [AT_##id] = {.oid = TYPE_##id,                                                                 \
                 .array_oid = TYPE_##id##_ARRAY,                                                   \
                 .name = typname,                                                                  \
                 .sql_name = text,                                                                 \
                 .category = cat,                                                                  \
                 .is_preferred = pref,                                                             \
                 .len = typlen,                                                                    \
                 .is_inline = inl,                                                                 \
                 .is_collatable = coll,                                                            \
                 .align = al},                                                                     \
    [AT_ARRAY_##id] = {.oid = TYPE_##id##_ARRAY,                                                   \
                       .element = TYPE_##id,                                                       \
                       .name = "_" typname,                                                        \
                       .sql_name = text "[]",                                                      \
                       .category = 'A',                                                            \
                       .len = -1,                                                                  \
                       .is_collatable = coll,                                                      \
                       .align = (al) == 'd' ? 'd' : 'i'},
    TYPE_ROWS(X)
#undef X
#define X(id, typname, text, cat, pref, typlen, inl, coll, al)                                     \
    [AT_##id] = {.oid = TYPE_##id,                                                                 \
                 .name = typname,                                                                  \
                 .sql_name = text,                                                                 \
                 .category = cat,                                                                  \
                 .is_preferred = pref,                                                             \
                 .len = typlen,                                                                    \
                 .is_inline = inl,                                                                 \
                 .is_collatable = coll,                                                            \
                 .align = al},
        TYPE_ROWS_ALONE(X)
#undef X
#define X(id, typname, elem)                                                                       \
    [AT_##id] = {.oid = TYPE_##id,                                                                 \
                 .element = TYPE_##elem,                                                           \
                 .name = typname,                                                                  \
                 .sql_name = typname,                                                              \
                 .category = 'A',                                                                  \
                 .len = -1,                                                                        \
                 .align = 'i'},
            TYPE_ROWS_VECTOR(X)
#undef X
};

const struct type_info *type_find(type_oid oid)
{
    switch (oid) {
#define X(name, ...)                                                                               \
    case TYPE_##name:                                                                              \
        return &type_table[AT_##name];                                                             \
    case TYPE_##name##_ARRAY:                                                                      \
        return &type_table[AT_ARRAY_##name];
        TYPE_ROWS(X)
#undef X
#define X(name, ...)                                                                               \
    case TYPE_##name:                                                                              \
        return &type_table[AT_##name];
        TYPE_ROWS_ALONE(X)
        TYPE_ROWS_VECTOR(X)
#undef X
    default:
        return NULL;
    }
}

type_oid type_element(type_oid type)
{
    switch (type) {
#define X(name, ...)                                                                               \
    case TYPE_##name##_ARRAY:                                                                      \
        return TYPE_##name;
        TYPE_ROWS(X)
#undef X
#define X(name, typname, elem)                                                                     \
    case TYPE_##name:                                                                              \
        return TYPE_##elem;
        TYPE_ROWS_VECTOR(X)
#undef X
    default:
        return 0;
    }
}

size_t type_all(const struct type_info **out, size_t max)
{
    size_t n = 0;
    for (; n < TYPE_COUNT && n < max; n++) {
        out[n] = &type_table[n];
    }
    return n;
}

/* ---- names ---- */

static const struct {
    const char *name;
    type_oid oid;
} type_aliases[] = {
    {"int", TYPE_INT4},
    {"integer", TYPE_INT4},
    {"smallint", TYPE_INT2},
    {"bigint", TYPE_INT8},
    {"real", TYPE_FLOAT4},
    {"float", TYPE_FLOAT8},
    {"double precision", TYPE_FLOAT8},
    {"decimal", TYPE_NUMERIC},
    {"dec", TYPE_NUMERIC},
    {"boolean", TYPE_BOOL},
    {"character", TYPE_BPCHAR},
    {"character varying", TYPE_VARCHAR},
    {"char varying", TYPE_VARCHAR},
    {"\"char\"", TYPE_CHAR},
    {"time without time zone", TYPE_TIME},
    {"timestamp without time zone", TYPE_TIMESTAMP},
    {"timestamp with time zone", TYPE_TIMESTAMPTZ},
};

static const struct type_info *find_scalar_name(struct slice name)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        if (slice_eq(name, slice_str(type_table[i].name))) {
            return &type_table[i];
        }
    }
    for (size_t i = 0; i < sizeof type_aliases / sizeof *type_aliases; i++) {
        if (slice_eq(name, slice_str(type_aliases[i].name))) {
            return type_find(type_aliases[i].oid);
        }
    }
    return NULL;
}

const struct type_info *type_find_name(struct slice name)
{
    static const char schema[] = "pg_catalog.";
    bool is_array = false;
    if (slice_has_prefix(name, slice_str(schema))) {
        name = slice_make(name.data + sizeof schema - 1, name.len - (sizeof schema - 1));
    }
    if (name.len > 2 && memcmp(name.data + name.len - 2, "[]", 2) == 0) {
        is_array = true;
        name.len -= 2;
        while (name.len > 0 && is_blank(name.data[name.len - 1])) {
            name.len--;
        }
    }
    const struct type_info *t = find_scalar_name(name);
    if (t != NULL && is_array) {
        t = t->array_oid != 0 ? type_find(t->array_oid) : NULL;
    }
    return t;
}

/* ---- type modifiers ---- */

enum { INTERVAL_FULL_RANGE = 0x7fff, INTERVAL_FULL_PRECISION = 0xffff };

static const struct {
    int mask;
    const char *text;
} interval_ranges[] = {
    {1 << 2, " year"},
    {1 << 1, " month"},
    {1 << 3, " day"},
    {1 << 10, " hour"},
    {1 << 11, " minute"},
    {1 << 12, " second"},
    {1 << 2 | 1 << 1, " year to month"},
    {1 << 3 | 1 << 10, " day to hour"},
    {1 << 3 | 1 << 10 | 1 << 11, " day to minute"},
    {1 << 3 | 1 << 10 | 1 << 11 | 1 << 12, " day to second"},
    {1 << 10 | 1 << 11, " hour to minute"},
    {1 << 10 | 1 << 11 | 1 << 12, " hour to second"},
    {1 << 11 | 1 << 12, " minute to second"},
};

static const char *format_interval_typmod(struct arena *a, int32_t typmod, const char *suffix)
{
    int range = (typmod >> 16) & INTERVAL_FULL_RANGE;
    int precision = typmod & 0xffff;
    const char *fields = "";
    if (range != INTERVAL_FULL_RANGE) {
        for (size_t i = 0; i < sizeof interval_ranges / sizeof *interval_ranges; i++) {
            if (interval_ranges[i].mask == range) {
                fields = interval_ranges[i].text;
            }
        }
    }
    if (precision == INTERVAL_FULL_PRECISION) {
        return arena_printf(a, "interval%s%s", fields, suffix);
    }
    return arena_printf(a, "interval%s(%d)%s", fields, precision, suffix);
}

/* Types of arguments only: what format_type() calls them. */
static const char *pseudo_type_name(type_oid oid)
{
    switch (oid) {
    case 0:
        return "-";
    case 2276:
        return "\"any\"";
    case 2277:
        return "anyarray";
    case 2283:
        return "anyelement";
    case 2776:
        return "anynonarray";
    case 5077:
        return "anycompatible";
    case 5078:
        return "anycompatiblearray";
    case 5079:
        return "anycompatiblenonarray";
    default:
        return "???";
    }
}

const char *type_format(struct arena *a, type_oid oid, int32_t typmod)
{
    const struct type_info *t = type_find(oid);
    if (t == NULL) {
        return pseudo_type_name(oid);
    }
    const char *suffix = t->element ? "[]" : "";
    if (typmod < 0) {
        return t->sql_name;
    }
    switch (t->element ? t->element : oid) {
    case TYPE_BPCHAR:
        return typmod < 4 ? t->sql_name : arena_printf(a, "character(%d)%s", typmod - 4, suffix);
    case TYPE_VARCHAR:
        return typmod < 4 ? t->sql_name
                          : arena_printf(a, "character varying(%d)%s", typmod - 4, suffix);
    case TYPE_NUMERIC:
        if (typmod < 4) {
            return t->sql_name;
        }
        return arena_printf(a, "numeric(%d,%d)%s", ((typmod - 4) >> 16) & 0xffff,
                            (((typmod - 4) & 0x7ff) ^ 1024) - 1024, suffix);
    case TYPE_TIME:
        return arena_printf(a, "time(%d) without time zone%s", typmod, suffix);
    case TYPE_TIMESTAMP:
        return arena_printf(a, "timestamp(%d) without time zone%s", typmod, suffix);
    case TYPE_TIMESTAMPTZ:
        return arena_printf(a, "timestamp(%d) with time zone%s", typmod, suffix);
    case TYPE_INTERVAL:
        return format_interval_typmod(a, typmod, suffix);
    default:
        return t->sql_name;
    }
}

static struct status *length_typmod(const char *what, const int32_t *mods, int count,
                                    int32_t *out_typmod)
{
    enum { LENGTH_MAX = 10485760 };
    if (count != 1) {
        return status_sql(INVALID, "22023", "invalid type modifier");
    }
    if (mods[0] < 1) {
        return status_sql(INVALID, "22023", "length for type %s must be at least 1", what);
    }
    if (mods[0] > LENGTH_MAX) {
        return status_sql(INVALID, "22023", "length for type %s cannot exceed %d", what,
                          LENGTH_MAX);
    }
    *out_typmod = mods[0] + 4;
    return NULL;
}

static struct status *numeric_typmod(const int32_t *mods, int count, int32_t *out_typmod)
{
    if (count < 1 || count > 2) {
        return status_sql(INVALID, "22023", "invalid NUMERIC type modifier");
    }
    if (mods[0] < 1 || mods[0] > NUMERIC_PRECISION_MAX) {
        return status_sql(INVALID, "22023", "NUMERIC precision %d must be between 1 and %d",
                          mods[0], NUMERIC_PRECISION_MAX);
    }
    int32_t scale = count == 2 ? mods[1] : 0;
    if (scale < -1000 || scale > 1000) {
        return status_sql(INVALID, "22023", "NUMERIC scale %d must be between %d and %d", scale,
                          -1000, 1000);
    }
    *out_typmod = ((mods[0] << 16) | (scale & 0x7ff)) + 4;
    return NULL;
}

static struct status *seconds_typmod(const char *what, const int32_t *mods, int count,
                                     int32_t *out_typmod)
{
    if (count != 1) {
        return status_sql(INVALID, "22023", "invalid type modifier");
    }
    if (mods[0] < 0) {
        return status_sql(INVALID, "22023", "%s(%d) precision must not be negative", what, mods[0]);
    }
    *out_typmod = mods[0] > 6 ? 6 : mods[0];
    return NULL;
}

static struct status *interval_typmod(const int32_t *mods, int count, int32_t *out_typmod)
{
    if (count < 1 || count > 2) {
        return status_sql(INVALID, "22023", "invalid INTERVAL type modifier");
    }
    bool known = mods[0] == INTERVAL_FULL_RANGE;
    for (size_t i = 0; i < sizeof interval_ranges / sizeof *interval_ranges; i++) {
        known = known || interval_ranges[i].mask == mods[0];
    }
    if (!known) {
        return status_sql(INVALID, "22023", "invalid INTERVAL type modifier");
    }
    int32_t precision = INTERVAL_FULL_PRECISION;
    if (count == 2 && mods[1] != INTERVAL_FULL_PRECISION) {
        if (mods[1] < 0) {
            return status_sql(INVALID, "22023", "INTERVAL(%d) precision must not be negative",
                              mods[1]);
        }
        precision = mods[1] > 6 ? 6 : mods[1];
    } else if (mods[0] == INTERVAL_FULL_RANGE) {
        *out_typmod = -1;
        return NULL;
    }
    *out_typmod = (mods[0] & INTERVAL_FULL_RANGE) << 16 | precision;
    return NULL;
}

struct status *type_typmod(type_oid oid, const int32_t *mods, int count, int32_t *out_typmod)
{
    if (count == 0) {
        *out_typmod = -1;
        return NULL;
    }
    type_oid element = type_element(oid);
    switch (element ? element : oid) {
    case TYPE_VARCHAR:
        return length_typmod("varchar", mods, count, out_typmod);
    case TYPE_BPCHAR:
        return length_typmod("char", mods, count, out_typmod);
    case TYPE_NUMERIC:
        return numeric_typmod(mods, count, out_typmod);
    case TYPE_TIME:
        return seconds_typmod("TIME", mods, count, out_typmod);
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return seconds_typmod("TIMESTAMP", mods, count, out_typmod);
    case TYPE_INTERVAL:
        return interval_typmod(mods, count, out_typmod);
    default: {
        const struct type_info *t = type_find(oid);
        return status_sql(INVALID, "42601", "type modifier is not allowed for type \"%s\"",
                          t ? t->name : "???");
    }
    }
}

/* ---- text form ---- */

static struct status *no_input(type_oid oid)
{
    const struct type_info *t = type_find(oid);
    return status_sql(UNSUPPORTED, "0A000", "cannot accept a value of type %s",
                      t ? t->sql_name : "???");
}

static struct status *interval_input(struct arena *a, int32_t typmod, struct slice text,
                                     struct datum *out)
{
    struct interval iv;
    TRY(interval_parse(text, typmod, &iv));
    *out = interval_datum(a, &iv);
    return NULL;
}

static struct status *numeric_input(struct arena *a, int32_t typmod, struct slice text,
                                    struct datum *out)
{
    struct datum d;
    TRY(numeric_parse(a, text, &d));
    return numeric_apply_typmod(a, &d, typmod, out);
}

/* "1 2 3" */
static struct status *vector_input(struct arena *a, type_oid element, struct slice text,
                                   struct datum *out)
{
    TRY(arena_reserve(a, sizeof(struct datum) * (text.len / 2 + 1)));
    struct datum *elems = ARENA_ARRAY(a, struct datum, text.len / 2 + 1);
    int n = 0;
    for (size_t i = 0; i < text.len;) {
        if (is_blank(text.data[i])) {
            i++;
            continue;
        }
        size_t from = i;
        while (i < text.len && !is_blank(text.data[i])) {
            i++;
        }
        TRY(type_input(a, element, -1, slice_make(text.data + from, i - from), &elems[n++]));
    }
    *out = array_build(a, element, elems, n);
    return NULL;
}

static void vector_output(type_oid element, const struct datum *d, struct buf *out)
{
    struct array_iter it;
    struct datum e;
    array_iter_init(&it, d);
    while (array_next(&it, &e)) {
        if (it.index > 1) {
            buf_put_u8(out, ' ');
        }
        type_output(element, &e, out);
    }
}

struct status *type_input(struct arena *a, type_oid oid, int32_t typmod, struct slice text,
                          struct datum *out)
{
    struct datum d = {.i = 0};
    switch (oid) {
    case TYPE_BOOL:
        TRY(bool_input(text, &d.i));
        break;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        TRY(int_input(oid, text, &d.i));
        break;
    case TYPE_OID:
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
        TRY(oid_input(oid, text, &d.i));
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        TRY(float_input(oid, text, &d.f));
        break;
    case TYPE_CHAR:
        TRY(char_input(text, &d.i));
        break;
    case TYPE_TEXT:
    case TYPE_NAME:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_UNKNOWN:
        TRY(text_input(a, oid, typmod, text, &d));
        break;
    case TYPE_JSON:
        TRY(json_check(text));
        TRY(text_input(a, TYPE_TEXT, -1, text, &d));
        break;
    case TYPE_BYTEA:
        TRY(bytea_input(a, text, &d));
        break;
    case TYPE_UUID:
        TRY(uuid_input(a, text, &d));
        break;
    case TYPE_NUMERIC:
        TRY(numeric_input(a, typmod, text, &d));
        break;
    case TYPE_DATE:
        TRY(date_parse(text, &d.i));
        break;
    case TYPE_TIME:
        TRY(time_parse(text, &d.i));
        d.i = time_apply_typmod(d.i, typmod);
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        TRY(timestamp_parse(text, oid == TYPE_TIMESTAMPTZ, &d.i));
        d.i = timestamp_apply_typmod(d.i, typmod);
        break;
    case TYPE_INTERVAL:
        TRY(interval_input(a, typmod, text, &d));
        break;
    case TYPE_INT2VECTOR:
    case TYPE_OIDVECTOR:
        TRY(vector_input(a, type_element(oid), text, &d));
        break;
    case TYPE_VOID:
        break;
    default: {
        type_oid element = type_element(oid);
        if (element == 0 || element == TYPE_RECORD) {
            return no_input(oid);
        }
        TRY(array_parse(a, element, typmod, text, &d));
        break;
    }
    }
    *out = d;
    return NULL;
}

static void interval_output(const struct datum *d, struct buf *out)
{
    struct interval iv = interval_get(d);
    interval_format(&iv, out);
}

static void regtype_output(int64_t oid, struct buf *out)
{
    const struct type_info *t = type_find((type_oid)oid);
    if (t != NULL) {
        buf_put(out, t->sql_name, strlen(t->sql_name));
    } else if (oid == 0) {
        buf_put_u8(out, '-');
    } else {
        int_output(oid, out);
    }
}

void type_output(type_oid oid, const struct datum *d, struct buf *out)
{
    switch (oid) {
    case TYPE_BOOL:
        buf_put_u8(out, d->i ? 't' : 'f');
        break;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
        int_output(d->i, out);
        break;
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
        if (d->i == 0) {
            buf_put_u8(out, '-');
        } else {
            int_output(d->i, out);
        }
        break;
    case TYPE_REGTYPE:
        regtype_output(d->i, out);
        break;
    case TYPE_FLOAT4:
        float4_output(d->f, out);
        break;
    case TYPE_FLOAT8:
        float8_output(d->f, out);
        break;
    case TYPE_CHAR:
        char_output(d->i, out);
        break;
    case TYPE_TEXT:
    case TYPE_NAME:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_UNKNOWN:
    case TYPE_JSON:
    case TYPE_RECORD: /* made as text by whoever makes one */
        buf_put(out, d->p, d->len);
        break;
    case TYPE_BYTEA:
        bytea_output(d, out);
        break;
    case TYPE_UUID:
        uuid_output(d, out);
        break;
    case TYPE_NUMERIC:
        numeric_format(d, out);
        break;
    case TYPE_DATE:
        date_format(d->i, out);
        break;
    case TYPE_TIME:
        time_format(d->i, out);
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        timestamp_format(d->i, oid == TYPE_TIMESTAMPTZ, out);
        break;
    case TYPE_INTERVAL:
        interval_output(d, out);
        break;
    case TYPE_INT2VECTOR:
    case TYPE_OIDVECTOR:
        vector_output(type_element(oid), d, out);
        break;
    case TYPE_VOID:
        break;
    default:
        array_format(d, out);
        break;
    }
}

/* ---- binary form ---- */

static struct status *bad_binary(type_oid oid)
{
    const struct type_info *t = type_find(oid);
    return status_sql(INVALID, "22P03", "incorrect binary data format for type %s",
                      t ? t->sql_name : "???");
}

/* Fixed-width integers: width bytes, sign-extended unless oid-like. */
static struct status *int_recv(type_oid oid, struct slice b, int64_t *out)
{
    switch (value_class_of(oid)) {
    case VALUE_BOOL:
    case VALUE_BYTE:
        if (b.len != 1) {
            return bad_binary(oid);
        }
        *out = oid == TYPE_BOOL ? b.data[0] != 0 : b.data[0];
        return NULL;
    case VALUE_INT2:
        if (b.len != 2) {
            return bad_binary(oid);
        }
        *out = (int16_t)get_u16(b.data);
        return NULL;
    case VALUE_INT4:
    case VALUE_UINT4:
        if (b.len != 4) {
            return bad_binary(oid);
        }
        *out = value_class_of(oid) == VALUE_UINT4 ? (int64_t)get_u32(b.data)
                                                  : (int64_t)(int32_t)get_u32(b.data);
        return NULL;
    case VALUE_INT8:
        if (b.len != 8) {
            return bad_binary(oid);
        }
        *out = (int64_t)get_u64(b.data);
        return NULL;
    default:
        return bad_binary(oid);
    }
}

static struct status *datetime_recv(type_oid oid, int32_t typmod, struct slice b, int64_t *out)
{
    TRY(int_recv(oid, b, out));
    switch (oid) {
    case TYPE_DATE:
        if (date_is_finite(*out) && (*out < -2451545 || *out >= 2147483494 - 2451545)) {
            return status_sql(INVALID, "22008", "date out of range");
        }
        return NULL;
    case TYPE_TIME:
        if (*out < 0 || *out > USECS_PER_DAY) {
            return status_sql(INVALID, "22008", "time out of range");
        }
        *out = time_apply_typmod(*out, typmod);
        return NULL;
    default:
        if (timestamp_is_finite(*out) &&
            (*out < INT64_C(-211813488000000000) || *out >= INT64_C(9223371331200000000))) {
            return status_sql(INVALID, "22008", "timestamp out of range");
        }
        *out = timestamp_apply_typmod(*out, typmod);
        return NULL;
    }
}

static struct status *float_recv(type_oid oid, struct slice b, double *out)
{
    if (b.len != (oid == TYPE_FLOAT4 ? 4 : 8)) {
        return bad_binary(oid);
    }
    if (oid == TYPE_FLOAT4) {
        uint32_t bits = get_u32(b.data);
        float f;
        memcpy(&f, &bits, sizeof f);
        *out = f;
    } else {
        uint64_t bits = get_u64(b.data);
        memcpy(out, &bits, sizeof *out);
    }
    return NULL;
}

static struct status *interval_recv(struct arena *a, int32_t typmod, struct slice b,
                                    struct datum *out)
{
    if (b.len != 16) {
        return bad_binary(TYPE_INTERVAL);
    }
    struct interval iv = {.us = (int64_t)get_u64(b.data),
                          .days = (int32_t)get_u32(b.data + 8),
                          .months = (int32_t)get_u32(b.data + 12)};
    iv = interval_apply_typmod(iv, typmod);
    *out = interval_datum(a, &iv);
    return NULL;
}

struct status *type_recv(struct arena *a, type_oid oid, int32_t typmod, struct slice b,
                         struct datum *out)
{
    struct datum d = {.i = 0};
    switch (oid) {
    case TYPE_BOOL:
    case TYPE_CHAR:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
    case TYPE_REGPROC:
    case TYPE_REGCLASS:
    case TYPE_REGTYPE:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
        TRY(int_recv(oid, b, &d.i));
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        TRY(float_recv(oid, b, &d.f));
        break;
    case TYPE_TEXT:
    case TYPE_NAME:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_UNKNOWN:
        TRY(text_input(a, oid, typmod, b, &d));
        break;
    case TYPE_JSON:
        TRY(json_check(b));
        TRY(text_input(a, TYPE_TEXT, -1, b, &d));
        break;
    case TYPE_BYTEA:
        d = datum_bytes(arena_copy(a, b));
        break;
    case TYPE_UUID:
        if (b.len != 16) {
            return bad_binary(oid);
        }
        d = datum_bytes(arena_copy(a, b));
        break;
    case TYPE_NUMERIC: {
        struct datum whole;
        TRY(numeric_recv(a, b, &whole));
        TRY(numeric_apply_typmod(a, &whole, typmod, &d));
        break;
    }
    case TYPE_DATE:
    case TYPE_TIME:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        TRY(datetime_recv(oid, typmod, b, &d.i));
        break;
    case TYPE_INTERVAL:
        TRY(interval_recv(a, typmod, b, &d));
        break;
    case TYPE_VOID:
        break;
    default: {
        type_oid element = type_element(oid);
        if (element == 0 || element == TYPE_RECORD) {
            return no_input(oid);
        }
        TRY(array_recv(a, element, typmod, b, &d));
        break;
    }
    }
    *out = d;
    return NULL;
}

void type_send(type_oid oid, const struct datum *d, struct buf *out)
{
    switch (value_class_of(oid)) {
    case VALUE_BOOL:
    case VALUE_BYTE:
        buf_put_u8(out, (uint8_t)d->i);
        break;
    case VALUE_INT2:
        buf_put_u16(out, (uint16_t)d->i);
        break;
    case VALUE_INT4:
    case VALUE_UINT4:
        buf_put_u32(out, (uint32_t)d->i);
        break;
    case VALUE_INT8:
        buf_put_u64(out, (uint64_t)d->i);
        break;
    case VALUE_FLOAT4:
    case VALUE_FLOAT8:
        value_put(out, value_class_of(oid), d);
        break;
    case VALUE_FIXED16:
        if (oid == TYPE_INTERVAL) {
            struct interval iv = interval_get(d);
            buf_put_u64(out, (uint64_t)iv.us);
            buf_put_u32(out, (uint32_t)iv.days);
            buf_put_u32(out, (uint32_t)iv.months);
        } else {
            buf_put(out, d->p, 16);
        }
        break;
    case VALUE_NUMERIC:
        numeric_send(d, out);
        break;
    case VALUE_ARRAY:
        array_send(d, out);
        break;
    case VALUE_BYTES:
        if (oid != TYPE_VOID) {
            buf_put(out, d->p, d->len);
        }
        break;
    }
}

struct status *type_check_text(struct slice text)
{
    return utf8_check(text);
}

/* ---- order ---- */

static int compare_int(int64_t x, int64_t y)
{
    return (x > y) - (x < y);
}

/* NaN equals itself and is above all, as in PostgreSQL's btree. */
static int compare_float(double x, double y)
{
    if (isnan(x) || isnan(y)) {
        return (int)(isnan(x) != 0) - (int)(isnan(y) != 0);
    }
    return (x > y) - (x < y);
}

int type_compare(type_oid oid, const struct datum *a, const struct datum *b)
{
    switch (value_class_of(oid)) {
    case VALUE_BOOL:
    case VALUE_BYTE:
    case VALUE_INT2:
    case VALUE_INT4:
    case VALUE_UINT4:
    case VALUE_INT8:
        return compare_int(a->i, b->i);
    case VALUE_FLOAT4:
    case VALUE_FLOAT8:
        return compare_float(a->f, b->f);
    case VALUE_NUMERIC:
        return numeric_compare(a, b);
    case VALUE_ARRAY:
        return array_compare(a, b);
    case VALUE_FIXED16:
        if (oid == TYPE_INTERVAL) {
            struct interval x = interval_get(a), y = interval_get(b);
            return interval_compare(&x, &y);
        }
        return memcmp(a->p, b->p, 16);
    case VALUE_BYTES:
        break;
    }
    if (oid == TYPE_BPCHAR) {
        return slice_cmp(slice_make(a->p, bpchar_len(a)), slice_make(b->p, bpchar_len(b)));
    }
    return slice_cmp(datum_slice(a), datum_slice(b));
}

static uint64_t hash_u64(uint64_t v)
{
    v ^= v >> 32;
    v *= UINT64_C(0xd6e8feb86659fd93);
    v ^= v >> 32;
    v *= UINT64_C(0xd6e8feb86659fd93);
    return v ^ (v >> 32);
}

static uint64_t hash_interval(const struct datum *d)
{
    struct interval iv = interval_get(d);
    __int128 span =
        (__int128)iv.us + ((__int128)iv.days + (__int128)iv.months * 30) * USECS_PER_DAY;
    return hash_u64((uint64_t)span ^ hash_u64((uint64_t)(span >> 64)));
}

uint64_t type_hash(type_oid oid, const struct datum *d)
{
    switch (value_class_of(oid)) {
    case VALUE_BOOL:
    case VALUE_BYTE:
    case VALUE_INT2:
    case VALUE_INT4:
    case VALUE_UINT4:
    case VALUE_INT8:
        return hash_u64((uint64_t)d->i);
    case VALUE_FLOAT4:
    case VALUE_FLOAT8: {
        double v = isnan(d->f) ? (double)NAN : d->f == 0 ? 0.0 : d->f;
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        return hash_u64(bits);
    }
    case VALUE_NUMERIC:
        return numeric_hash(d);
    case VALUE_ARRAY:
        return array_hash(d);
    case VALUE_FIXED16:
        return oid == TYPE_INTERVAL ? hash_interval(d) : XXH3_64bits(d->p, 16);
    case VALUE_BYTES:
        break;
    }
    return XXH3_64bits(d->p, oid == TYPE_BPCHAR ? bpchar_len(d) : d->len);
}
