/* Types, functions, operators and what belongs to them: facts that are the same in every database.
 */
#include "system_internal.h"

#include "base/check.h"
#include "sql/expr.h"

#define TYPES_MAX 256

/*    type, default btree operator class (oid, name, family), typstorage; oids of input, output,
 * receive, send */
#define TYPE_FACTS(X)                                                                              \
    X(BOOL, 10003, "bool_ops", 424, 'p', 1242, "boolin", 1243, "boolout", 2436, "boolrecv", 2437,  \
      "boolsend")                                                                                  \
    X(BYTEA, 10006, "bytea_ops", 428, 'x', 1244, "byteain", 31, "byteaout", 2412, "bytearecv",     \
      2413, "byteasend")                                                                           \
    X(CHAR, 10007, "char_ops", 429, 'p', 1245, "charin", 33, "charout", 2434, "charrecv", 2435,    \
      "charsend")                                                                                  \
    X(NAME, 10028, "name_ops", 1994, 'p', 34, "namein", 35, "nameout", 2422, "namerecv", 2423,     \
      "namesend")                                                                                  \
    X(INT8, 3124, "int8_ops", 1976, 'p', 460, "int8in", 461, "int8out", 2408, "int8recv", 2409,    \
      "int8send")                                                                                  \
    X(INT2, 1979, "int2_ops", 1976, 'p', 38, "int2in", 39, "int2out", 2404, "int2recv", 2405,      \
      "int2send")                                                                                  \
    X(INT2VECTOR, 0, "", 0, 'p', 40, "int2vectorin", 41, "int2vectorout", 2410, "int2vectorrecv",  \
      2411, "int2vectorsend")                                                                      \
    X(INT4, 1978, "int4_ops", 1976, 'p', 42, "int4in", 43, "int4out", 2406, "int4recv", 2407,      \
      "int4send")                                                                                  \
    X(REGPROC, 0, "", 0, 'p', 44, "regprocin", 45, "regprocout", 2444, "regprocrecv", 2445,        \
      "regprocsend")                                                                               \
    X(TEXT, 3126, "text_ops", 1994, 'x', 46, "textin", 47, "textout", 2414, "textrecv", 2415,      \
      "textsend")                                                                                  \
    X(OID, 1981, "oid_ops", 1989, 'p', 1798, "oidin", 1799, "oidout", 2418, "oidrecv", 2419,       \
      "oidsend")                                                                                   \
    X(OIDVECTOR, 0, "", 0, 'p', 54, "oidvectorin", 55, "oidvectorout", 2420, "oidvectorrecv",      \
      2421, "oidvectorsend")                                                                       \
    X(JSON, 0, "", 0, 'x', 321, "json_in", 322, "json_out", 323, "json_recv", 324, "json_send")    \
    X(FLOAT4, 10012, "float4_ops", 1970, 'p', 200, "float4in", 201, "float4out", 2424,             \
      "float4recv", 2425, "float4send")                                                            \
    X(FLOAT8, 3123, "float8_ops", 1970, 'p', 214, "float8in", 215, "float8out", 2426,              \
      "float8recv", 2427, "float8send")                                                            \
    X(UNKNOWN, 0, "", 0, 'p', 109, "unknownin", 110, "unknownout", 2416, "unknownrecv", 2417,      \
      "unknownsend")                                                                               \
    X(BPCHAR, 10004, "bpchar_ops", 426, 'x', 1044, "bpcharin", 1045, "bpcharout", 2430,            \
      "bpcharrecv", 2431, "bpcharsend")                                                            \
    X(VARCHAR, 0, "", 0, 'x', 1046, "varcharin", 1047, "varcharout", 2432, "varcharrecv", 2433,    \
      "varcharsend")                                                                               \
    X(DATE, 3122, "date_ops", 434, 'p', 1084, "date_in", 1085, "date_out", 2468, "date_recv",      \
      2469, "date_send")                                                                           \
    X(TIME, 10038, "time_ops", 1996, 'p', 1143, "time_in", 1144, "time_out", 2470, "time_recv",    \
      2471, "time_send")                                                                           \
    X(TIMESTAMP, 3128, "timestamp_ops", 434, 'p', 1312, "timestamp_in", 1313, "timestamp_out",     \
      2474, "timestamp_recv", 2475, "timestamp_send")                                              \
    X(TIMESTAMPTZ, 3127, "timestamptz_ops", 434, 'p', 1150, "timestamptz_in", 1151,                \
      "timestamptz_out", 2476, "timestamptz_recv", 2477, "timestamptz_send")                       \
    X(INTERVAL, 10022, "interval_ops", 1982, 'p', 1160, "interval_in", 1161, "interval_out", 2478, \
      "interval_recv", 2479, "interval_send")                                                      \
    X(NUMERIC, 3125, "numeric_ops", 1988, 'm', 1701, "numeric_in", 1702, "numeric_out", 2460,      \
      "numeric_recv", 2461, "numeric_send")                                                        \
    X(REGCLASS, 0, "", 0, 'p', 2218, "regclassin", 2219, "regclassout", 2452, "regclassrecv",      \
      2453, "regclasssend")                                                                        \
    X(REGTYPE, 0, "", 0, 'p', 2220, "regtypein", 2221, "regtypeout", 2454, "regtyperecv", 2455,    \
      "regtypesend")                                                                               \
    X(REGNAMESPACE, 0, "", 0, 'p', 4084, "regnamespacein", 4085, "regnamespaceout", 4087,          \
      "regnamespacerecv", 4088, "regnamespacesend")                                                \
    X(REGROLE, 0, "", 0, 'p', 4098, "regrolein", 4092, "regroleout", 4094, "regrolerecv", 4095,    \
      "regrolesend")                                                                               \
    X(RECORD, 0, "", 0, 'x', 2290, "record_in", 2291, "record_out", 2402, "record_recv", 2403,     \
      "record_send")                                                                               \
    X(VOID, 0, "", 0, 'p', 2298, "void_in", 2299, "void_out", 3120, "void_recv", 3121,             \
      "void_send")                                                                                 \
    X(UUID, 10065, "uuid_ops", 2968, 'p', 2952, "uuid_in", 2953, "uuid_out", 2961, "uuid_recv",    \
      2962, "uuid_send")

struct io_function {
    uint32_t oid;
    const char *name;
};

struct type_facts {
    type_oid type;
    uint32_t opclass;
    const char *opclass_name;
    uint32_t family;
    char storage;
    struct io_function io[4]; /* input, output, receive, send */
};

/* The last one is of all arrays. */
static const struct type_facts facts[] = {
#define X(type, opclass, opclass_name, family, storage, a, an, b, bn, c, cn, d, dn)                \
    {TYPE_##type, opclass, opclass_name, family, storage, {{a, an}, {b, bn}, {c, cn}, {d, dn}}},
    TYPE_FACTS(X)
#undef X
        {TYPE_ANYARRAY,
         10000,
         "array_ops",
         397,
         'x',
         {{750, "array_in"}, {751, "array_out"}, {2400, "array_recv"}, {2401, "array_send"}}},
};

#define FACTS (sizeof(facts) / sizeof(facts[0]))

static const struct type_facts *facts_of(type_oid type)
{
    size_t i = 0;
    while (i < FACTS - 1 && facts[i].type != type) {
        i++;
    }
    return &facts[i];
}

uint32_t type_opclass(type_oid type)
{
    return facts_of(type == TYPE_VARCHAR ? TYPE_TEXT : type)->opclass;
}

char type_storage_of(type_oid type)
{
    return facts_of(type)->storage;
}

uint32_t type_collation(type_oid type)
{
    const struct type_info *t = type_find(type);
    if (t == NULL || !t->is_collatable) {
        return 0;
    }
    return type == TYPE_NAME || type == TYPE_NAME_ARRAY ? COLLATION_C : COLLATION_DEFAULT;
}

const char *type_function_name(uint32_t oid)
{
    for (size_t i = 0; i < FACTS; i++) {
        for (int k = 0; k < 4; k++) {
            if (facts[i].io[k].oid == oid) {
                return facts[i].io[k].name;
            }
        }
    }
    return NULL;
}

uint32_t type_function_oid(const char *name)
{
    for (size_t i = 0; i < FACTS; i++) {
        for (int k = 0; k < 4; k++) {
            if (strcmp(facts[i].io[k].name, name) == 0) {
                return facts[i].io[k].oid;
            }
        }
    }
    return 0;
}

/* Its schema and its owner. */
static void put_system(struct row_maker *m)
{
    put_oid(m, SCHEMA_OID_PG_CATALOG);
    put_oid(m, ROLE_OID_BOOTSTRAP);
}

static void put_zeros(struct row_maker *m, int n)
{
    for (int i = 0; i < n; i++) {
        put_int(m, 0);
    }
}

/* ---- pg_type ---- */

FILL(pg_type)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_type");
    const struct type_info *all[TYPES_MAX];
    size_t n = type_all(all, TYPES_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct type_info *t = all[i];
        const struct type_facts *k = facts_of(t->oid);
        put_oid(&m, t->oid);
        put_text(&m, t->name);
        put_system(&m);
        put_int(&m, t->len);
        put_bool(&m, t->len > 0 && t->len <= 8);
        put_char(&m, t->category == 'P' || t->category == 'X' ? 'p' : 'b');
        put_char(&m, t->category);
        put_bool(&m, t->is_preferred);
        put_bool(&m, true);
        put_char(&m, ',');
        put_oid(&m, 0);
        put_int(&m, t->element != 0       ? 6179
                    : t->oid == TYPE_NAME ? 6180
                                          : 0); /* array_ and raw_array_subscript_handler */
        put_oid(&m, t->oid == TYPE_NAME ? TYPE_CHAR : t->element);
        put_oid(&m, t->array_oid);
        for (int io = 0; io < 4; io++) {
            put_int(&m, k->io[io].oid);
        }
        put_zeros(&m, 3); /* typmodin, typmodout, typanalyze */
        put_char(&m, t->align);
        put_char(&m, k->storage);
        put_bool(&m, false);
        put_oid(&m, 0);
        put_int(&m, -1);
        put_int(&m, 0);
        put_oid(&m, type_collation(t->oid));
        put_nulls(&m, 3);
        row_end(&m);
    }
    return NULL;
}

/* ---- pg_proc, pg_operator ---- */

struct proc_row {
    uint32_t oid;
    const char *name;
    char kind, volatility;
    bool is_strict, is_set;
    int ndefaults;
    type_oid variadic, result;
    const type_oid *args;
    int nargs;
};

static void proc_row(struct row_maker *m, const struct proc_row *p)
{
    int64_t args[8];
    for (int i = 0; i < p->nargs; i++) {
        args[i] = p->args[i];
    }
    put_oid(m, p->oid);
    put_text(m, p->name);
    put_system(m);
    put_oid(m, 12); /* internal */
    put_float(m, 1);
    put_float(m, p->is_set ? 1000 : 0);
    put_oid(m, p->variadic);
    put_int(m, 0);
    put_char(m, p->kind);
    put_bool(m, false);
    put_bool(m, false);
    put_bool(m, p->is_strict);
    put_bool(m, p->is_set);
    put_char(m, p->volatility);
    put_char(m, 's');
    put_int(m, p->nargs);
    put_int(m, p->ndefaults);
    put_oid(m, p->result);
    put_ints(m, args, p->nargs);
    put_nulls(m, 5);
    put_text(m, p->name);
    put_nulls(m, 4);
    row_end(m);
}

FILL(pg_proc)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_proc");
    for (size_t i = 0; i < func_count(); i++) {
        const struct func_def *fn = func_at(i);
        struct proc_row p = {.oid = fn->id,
                             .name = fn->name,
                             .kind = fn->class == FUNC_AGGREGATE ? 'a'
                                     : fn->class == FUNC_WINDOW  ? 'w'
                                                                 : 'f',
                             .volatility = fn->volatility == FUNC_IMMUTABLE ? 'i'
                                           : fn->volatility == FUNC_STABLE  ? 's'
                                                                            : 'v',
                             .is_strict = fn->is_strict,
                             .is_set = fn->class == FUNC_SET,
                             .ndefaults = fn->ndefaults,
                             .variadic =
                                 fn->is_variadic && fn->nargs > 0 ? fn->args[fn->nargs - 1] : 0,
                             .result = fn->result,
                             .args = fn->args,
                             .nargs = fn->nargs};
        proc_row(&m, &p);
    }
    for (size_t i = 0; i < FACTS; i++) {
        const struct type_facts *t = &facts[i];
        for (int k = 0; k < 4; k++) {
            if (func_by_id(t->io[k].oid) == NULL) {
                struct proc_row p = {.oid = t->io[k].oid,
                                     .name = t->io[k].name,
                                     .kind = 'f',
                                     .volatility = 'i',
                                     .is_strict = true,
                                     .result = k == 0 || k == 2 ? t->type
                                               : k == 1         ? (type_oid)TYPE_UNKNOWN
                                                                : (type_oid)TYPE_BYTEA};
                proc_row(&m, &p);
            }
        }
    }
    return NULL;
}

/* An operator has the oid of its function here. */
FILL(pg_operator)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_operator");
    for (size_t i = 0; i < func_count(); i++) {
        const struct func_def *fn = func_at(i);
        if (fn->op == NULL || fn->nargs < 1 || fn->nargs > 2) {
            continue;
        }
        bool is_equal = strcmp(fn->op, "=") == 0;
        put_oid(&m, fn->id);
        put_text(&m, fn->op);
        put_system(&m);
        put_char(&m, fn->nargs == 1 ? 'l' : 'b');
        put_bool(&m, is_equal);
        put_bool(&m, is_equal);
        put_oid(&m, fn->nargs == 1 ? 0 : fn->args[0]);
        put_oid(&m, fn->args[fn->nargs - 1]);
        put_oid(&m, fn->result);
        put_zeros(&m, 2);
        put_int(&m, fn->id);
        put_zeros(&m, 2);
        row_end(&m);
    }
    return NULL;
}

FILL(pg_opclass)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_opclass");
    for (size_t i = 0; i < FACTS; i++) {
        const struct type_facts *t = &facts[i];
        if (t->opclass == 0) {
            continue;
        }
        put_oid(&m, t->opclass);
        put_oid(&m, AM_BTREE);
        put_text(&m, t->opclass_name);
        put_system(&m);
        put_oid(&m, t->family);
        put_oid(&m, t->type);
        put_bool(&m, true);
        put_oid(&m, 0);
        row_end(&m);
    }
    return NULL;
}

/* ---- access methods, collations, languages ---- */

FILL(pg_am)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_am");
    static const struct {
        uint32_t oid, handler;
        const char *name;
        char type;
    } all[] = {{AM_HEAP, 3, "heap", 't'}, {AM_BTREE, 330, "btree", 'i'}};
    for (int i = 0; i < 2; i++) {
        put_oid(&m, all[i].oid);
        put_text(&m, all[i].name);
        put_int(&m, all[i].handler);
        put_char(&m, all[i].type);
        row_end(&m);
    }
    return NULL;
}

FILL(pg_collation)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_collation");
    static const struct {
        uint32_t oid;
        const char *name;
        char provider;
        const char *locale;
    } all[] = {{COLLATION_DEFAULT, "default", 'd', NULL},
               {COLLATION_C, "C", 'c', "C"},
               {951, "POSIX", 'c', "POSIX"}};
    for (int i = 0; i < 3; i++) {
        put_oid(&m, all[i].oid);
        put_text(&m, all[i].name);
        put_system(&m);
        put_char(&m, all[i].provider);
        put_bool(&m, true);
        put_int(&m, -1);
        put_text(&m, all[i].locale);
        put_text(&m, all[i].locale);
        put_nulls(&m, 2);
        row_end(&m);
    }
    return NULL;
}

FILL(pg_language)
{
    FILL_UNUSED(f);
    struct row_maker m;
    rows_begin(&m, x, rows, "pg_catalog", "pg_language");
    put_oid(&m, 12);
    put_text(&m, "internal");
    put_oid(&m, ROLE_OID_BOOTSTRAP);
    put_bool(&m, false);
    put_bool(&m, false);
    put_zeros(&m, 3);
    put_null(&m);
    row_end(&m);
    return NULL;
}
