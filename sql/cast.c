/*
 * Casts: which there are (pg_cast, casts by text form, casts of arrays by their elements), and how
 * an expression gets one. A length (varchar(20), numeric(10,2), timestamp(3)) is a second call
 * around the first, as in PostgreSQL.
 */
#include "funcs.h"

#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"

struct cast_row {
    type_oid from;
    type_oid to;
    uint32_t func;
    enum cast_context context; /* from this one on it may be used */
};

static const struct cast_row casts[] = {
    /* clang-format off */
    {TYPE_BOOL, TYPE_INT4, 2558, CAST_EXPLICIT},
    {TYPE_BOOL, TYPE_TEXT, 2971, CAST_ASSIGNMENT},
    {TYPE_BOOL, TYPE_BPCHAR, 2971, CAST_ASSIGNMENT},
    {TYPE_BOOL, TYPE_VARCHAR, 2971, CAST_ASSIGNMENT},
    {TYPE_CHAR, TYPE_INT4, 77, CAST_EXPLICIT},
    {TYPE_CHAR, TYPE_TEXT, 946, CAST_IMPLICIT},
    {TYPE_CHAR, TYPE_BPCHAR, 860, CAST_ASSIGNMENT},
    {TYPE_CHAR, TYPE_VARCHAR, 946, CAST_ASSIGNMENT},
    {TYPE_NAME, TYPE_TEXT, 406, CAST_IMPLICIT},
    {TYPE_NAME, TYPE_BPCHAR, 408, CAST_ASSIGNMENT},
    {TYPE_NAME, TYPE_VARCHAR, 1401, CAST_ASSIGNMENT},
    {TYPE_INT8, TYPE_INT2, 714, CAST_ASSIGNMENT},
    {TYPE_INT8, TYPE_INT4, 480, CAST_ASSIGNMENT},
    {TYPE_INT8, TYPE_REGPROC, 1287, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_OID, 1287, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_FLOAT4, 652, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_FLOAT8, 482, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_NUMERIC, 1781, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_REGCLASS, 1287, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_REGTYPE, 1287, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_INT8, 754, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_INT4, 313, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_REGPROC, 313, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_OID, 313, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_FLOAT4, 236, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_FLOAT8, 235, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_NUMERIC, 1782, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_REGCLASS, 313, CAST_IMPLICIT},
    {TYPE_INT2, TYPE_REGTYPE, 313, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_BOOL, 2557, CAST_EXPLICIT},
    {TYPE_INT4, TYPE_CHAR, 78, CAST_EXPLICIT},
    {TYPE_INT4, TYPE_INT8, 481, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_INT2, 314, CAST_ASSIGNMENT},
    {TYPE_INT4, TYPE_REGPROC, FUNC_ID_INT4_OID, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_OID, FUNC_ID_INT4_OID, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_FLOAT4, 318, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_FLOAT8, 316, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_NUMERIC, 1740, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_REGCLASS, FUNC_ID_INT4_OID, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_REGTYPE, FUNC_ID_INT4_OID, CAST_IMPLICIT},
    {TYPE_REGPROC, TYPE_INT8, FUNC_ID_RELABEL, CAST_ASSIGNMENT},
    {TYPE_REGPROC, TYPE_INT4, FUNC_ID_OID_INT4, CAST_ASSIGNMENT},
    {TYPE_REGPROC, TYPE_OID, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_TEXT, TYPE_CHAR, 944, CAST_ASSIGNMENT},
    {TYPE_TEXT, TYPE_NAME, 407, CAST_IMPLICIT},
    {TYPE_TEXT, TYPE_BPCHAR, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_TEXT, TYPE_VARCHAR, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_TEXT, TYPE_REGCLASS, 1079, CAST_IMPLICIT},
    {TYPE_OID, TYPE_INT8, FUNC_ID_RELABEL, CAST_ASSIGNMENT},
    {TYPE_OID, TYPE_INT4, FUNC_ID_OID_INT4, CAST_ASSIGNMENT},
    {TYPE_OID, TYPE_REGPROC, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_OID, TYPE_REGCLASS, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_OID, TYPE_REGTYPE, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_FLOAT4, TYPE_INT8, 653, CAST_ASSIGNMENT},
    {TYPE_FLOAT4, TYPE_INT2, 238, CAST_ASSIGNMENT},
    {TYPE_FLOAT4, TYPE_INT4, 319, CAST_ASSIGNMENT},
    {TYPE_FLOAT4, TYPE_FLOAT8, 311, CAST_IMPLICIT},
    {TYPE_FLOAT4, TYPE_NUMERIC, 1742, CAST_ASSIGNMENT},
    {TYPE_FLOAT8, TYPE_INT8, 483, CAST_ASSIGNMENT},
    {TYPE_FLOAT8, TYPE_INT2, 237, CAST_ASSIGNMENT},
    {TYPE_FLOAT8, TYPE_INT4, 317, CAST_ASSIGNMENT},
    {TYPE_FLOAT8, TYPE_FLOAT4, 312, CAST_ASSIGNMENT},
    {TYPE_FLOAT8, TYPE_NUMERIC, 1743, CAST_ASSIGNMENT},
    {TYPE_BPCHAR, TYPE_CHAR, 944, CAST_ASSIGNMENT},
    {TYPE_BPCHAR, TYPE_NAME, 409, CAST_IMPLICIT},
    {TYPE_BPCHAR, TYPE_TEXT, 401, CAST_IMPLICIT},
    {TYPE_BPCHAR, TYPE_VARCHAR, 401, CAST_IMPLICIT},
    {TYPE_VARCHAR, TYPE_CHAR, 944, CAST_ASSIGNMENT},
    {TYPE_VARCHAR, TYPE_NAME, 1400, CAST_IMPLICIT},
    {TYPE_VARCHAR, TYPE_TEXT, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_VARCHAR, TYPE_BPCHAR, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_VARCHAR, TYPE_REGCLASS, 1079, CAST_IMPLICIT},
    {TYPE_DATE, TYPE_TIMESTAMP, 2024, CAST_IMPLICIT},
    {TYPE_DATE, TYPE_TIMESTAMPTZ, 1174, CAST_IMPLICIT},
    {TYPE_TIME, TYPE_INTERVAL, 1370, CAST_IMPLICIT},
    {TYPE_TIMESTAMP, TYPE_DATE, 2029, CAST_ASSIGNMENT},
    {TYPE_TIMESTAMP, TYPE_TIME, 1316, CAST_ASSIGNMENT},
    {TYPE_TIMESTAMP, TYPE_TIMESTAMPTZ, 2028, CAST_IMPLICIT},
    {TYPE_TIMESTAMPTZ, TYPE_DATE, 1178, CAST_ASSIGNMENT},
    {TYPE_TIMESTAMPTZ, TYPE_TIME, 2019, CAST_ASSIGNMENT},
    {TYPE_TIMESTAMPTZ, TYPE_TIMESTAMP, 2027, CAST_ASSIGNMENT},
    {TYPE_INTERVAL, TYPE_TIME, 1419, CAST_ASSIGNMENT},
    {TYPE_NUMERIC, TYPE_INT8, 1779, CAST_ASSIGNMENT},
    {TYPE_NUMERIC, TYPE_INT2, 1783, CAST_ASSIGNMENT},
    {TYPE_NUMERIC, TYPE_INT4, 1744, CAST_ASSIGNMENT},
    {TYPE_NUMERIC, TYPE_FLOAT4, 1745, CAST_IMPLICIT},
    {TYPE_NUMERIC, TYPE_FLOAT8, 1746, CAST_IMPLICIT},
    {TYPE_REGCLASS, TYPE_INT8, FUNC_ID_RELABEL, CAST_ASSIGNMENT},
    {TYPE_REGCLASS, TYPE_INT4, FUNC_ID_OID_INT4, CAST_ASSIGNMENT},
    {TYPE_REGCLASS, TYPE_OID, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_REGNAMESPACE, 1287, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_REGNAMESPACE, FUNC_ID_INT4_OID, CAST_IMPLICIT},
    {TYPE_OID, TYPE_REGNAMESPACE, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_TEXT, TYPE_REGNAMESPACE, FUNC_ID_REGNAMESPACE, CAST_EXPLICIT},
    {TYPE_REGNAMESPACE, TYPE_INT4, FUNC_ID_OID_INT4, CAST_ASSIGNMENT},
    {TYPE_REGNAMESPACE, TYPE_OID, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_INT8, TYPE_REGROLE, 1287, CAST_IMPLICIT},
    {TYPE_INT4, TYPE_REGROLE, FUNC_ID_INT4_OID, CAST_IMPLICIT},
    {TYPE_OID, TYPE_REGROLE, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_TEXT, TYPE_REGROLE, FUNC_ID_REGROLE, CAST_EXPLICIT},
    {TYPE_REGROLE, TYPE_INT4, FUNC_ID_OID_INT4, CAST_ASSIGNMENT},
    {TYPE_REGROLE, TYPE_OID, FUNC_ID_RELABEL, CAST_IMPLICIT},
    {TYPE_REGTYPE, TYPE_INT8, FUNC_ID_RELABEL, CAST_ASSIGNMENT},
    {TYPE_REGTYPE, TYPE_INT4, FUNC_ID_OID_INT4, CAST_ASSIGNMENT},
    {TYPE_REGTYPE, TYPE_OID, FUNC_ID_RELABEL, CAST_IMPLICIT},
    /* clang-format on */
};

enum { CAST_COUNT = sizeof(casts) / sizeof(casts[0]), CAST_SLOTS = 512 };

/* Row number + 1 by a hash of both oids; built before main(), as the function table. */
static uint8_t slots[CAST_SLOTS];
_Static_assert(CAST_COUNT < 255 && CAST_COUNT * 2 < CAST_SLOTS, "slots hold row numbers in a byte");

static uint32_t slot_of(type_oid from, type_oid to)
{
    return ((from * 2654435761u) ^ (to * 40503u)) % CAST_SLOTS;
}

__attribute__((constructor)) static void cast_table_build(void)
{
    for (uint32_t i = 0; i < CAST_COUNT; i++) {
        uint32_t s = slot_of(casts[i].from, casts[i].to);
        while (slots[s] != 0) {
            s = (s + 1) % CAST_SLOTS;
        }
        slots[s] = (uint8_t)(i + 1);
    }
}

static const struct cast_row *row_find(type_oid from, type_oid to)
{
    for (uint32_t s = slot_of(from, to); slots[s] != 0; s = (s + 1) % CAST_SLOTS) {
        const struct cast_row *r = &casts[slots[s] - 1];
        if (r->from == from && r->to == to) {
            return r;
        }
    }
    return NULL;
}

uint32_t cast_find(type_oid from, type_oid to, enum cast_context cc)
{
    const struct cast_row *r = row_find(from, to);
    if (r != NULL) {
        return cc >= r->context ? r->func : 0;
    }
    const struct type_info *f = type_find(from), *t = type_find(to);
    if (f == NULL || t == NULL) {
        return 0;
    }
    if (from == to) {
        return FUNC_ID_RELABEL;
    }
    if ((from == TYPE_REGCLASS || from == TYPE_REGNAMESPACE || from == TYPE_REGROLE) &&
        t->category == 'S') {
        /* the name: the session knows */
        return cc < CAST_ASSIGNMENT        ? 0
               : from == TYPE_REGCLASS     ? FUNC_ID_REGCLASS_OUT
               : from == TYPE_REGNAMESPACE ? FUNC_ID_REGNAMESPACE_OUT
                                           : FUNC_ID_REGROLE_OUT;
    }
    if (f->element != 0 && t->element != 0) {
        uint32_t inner = cast_find(f->element, t->element, cc);
        return inner == 0 ? 0 : FUNC_ID_CAST_ARRAY;
    }
    if (f->category == 'P' || t->category == 'P') {
        return 0;
    }
    if (cc >= CAST_ASSIGNMENT && t->category == 'S') {
        return FUNC_ID_CAST_IO;
    }
    if (cc >= CAST_EXPLICIT && f->category == 'S') {
        return FUNC_ID_CAST_IO;
    }
    return 0;
}

bool cast_exists(type_oid from, type_oid to, enum cast_context cc)
{
    if (from == to || from == TYPE_UNKNOWN) {
        return true;
    }
    return cast_find(from, to, cc) != 0;
}

static struct status *cannot_cast(const struct expr *e, type_oid to, enum cast_context cc)
{
    struct arena *a = arena_create(0);
    const char *from = type_format(a, e->type, -1), *target = type_format(a, to, -1);
    struct status *st;
    if (cc == CAST_EXPLICIT) {
        st = status_sql(INVALID, "42846", "cannot cast type %s to %s", from, target);
    } else {
        st =
            status_hint(status_sql(INVALID, "42804",
                                   "expression is of type %s, but type %s is needed", from, target),
                        "You will need to rewrite or cast the expression.");
    }
    arena_destroy(a);
    return st;
}

/* The function that fits a value into the typmod of its type; 0: the type has none. */
static uint32_t length_func(type_oid type)
{
    switch (type) {
    case TYPE_VARCHAR:
        return 669;
    case TYPE_BPCHAR:
        return 668;
    case TYPE_NUMERIC:
        return 1703;
    case TYPE_TIME:
        return 1968;
    case TYPE_TIMESTAMP:
        return 1961;
    case TYPE_TIMESTAMPTZ:
        return 1967;
    case TYPE_INTERVAL:
        return 1200;
    default:
        return 0;
    }
}

/* Computes a call of constants at once. An error stays for run time: the branch may not be taken.
 */
static struct expr *fold(struct arena *a, struct expr *e)
{
    if (e->func->volatility != FUNC_IMMUTABLE) {
        return e;
    }
    for (int i = 0; i < e->nargs; i++) {
        if (e->args[i]->kind != EXPR_CONST) {
            return e;
        }
    }
    struct eval_ctx ctx = {.arena = a};
    struct datum d;
    if (status_consume(expr_eval_const(&ctx, e, &d))) {
        return e;
    }
    struct expr *c = expr_const(a, e->type, d);
    c->typmod = e->typmod;
    c->location = e->location;
    return c;
}

static struct expr *call_of(struct arena *a, const struct expr *like, uint32_t func, type_oid type,
                            int32_t typmod, int nargs, struct expr *x, struct expr *y,
                            struct expr *z)
{
    struct expr **args = ARENA_ARRAY(a, struct expr *, 3);
    args[0] = x;
    args[1] = y;
    args[2] = z;
    struct expr *e = expr_call(a, func_by_id(func), type, nargs, args);
    e->typmod = typmod;
    e->location = like->location;
    return fold(a, e);
}

static struct expr *apply_length(struct arena *a, struct expr *e, int32_t typmod, bool is_explicit)
{
    uint32_t id = length_func(e->type);
    if (typmod < 0 || e->typmod == typmod || id == 0) {
        return e;
    }
    const struct func_def *f = func_by_id(id);
    struct expr *mod = expr_const(a, TYPE_INT4, datum_int(typmod));
    struct expr *how = expr_const(a, TYPE_BOOL, datum_bool(is_explicit));
    return call_of(a, e, id, e->type, typmod, f->nargs, e, mod, how);
}

/* A constant of no type yet: its text decides. */
static struct status *cast_literal(struct arena *a, struct expr *e, type_oid to, int32_t typmod,
                                   enum cast_context cc, struct expr **out)
{
    struct expr *c;
    if (e->value.is_null) {
        c = expr_const(a, to, DATUM_NULL);
        c->typmod = typmod;
        c->location = e->location;
        *out = c;
        return NULL;
    }
    struct slice text = datum_slice(&e->value);
    if ((to == TYPE_REGCLASS || to == TYPE_REGNAMESPACE || to == TYPE_REGROLE) &&
        (text.len == 0 || text.data[0] < '0' || text.data[0] > '9')) {
        struct expr *arg = expr_const(a, TYPE_TEXT, e->value); /* a name: the session knows */
        uint32_t reader = to == TYPE_REGCLASS       ? FUNC_ID_REGCLASS
                          : to == TYPE_REGNAMESPACE ? FUNC_ID_REGNAMESPACE
                                                    : FUNC_ID_REGROLE;
        *out = call_of(a, e, reader, to, -1, 1, arg, NULL, NULL);
        return NULL;
    }
    if (to == TYPE_REGTYPE || to == TYPE_REGPROC) {
        struct expr *arg = expr_const(a, TYPE_TEXT, e->value);
        struct eval_ctx ctx = {.arena = a};
        struct datum d;
        *out = call_of(a, e, FUNC_ID_CAST_IO, to, -1, 1, arg, NULL, NULL);
        return (*out)->kind == EXPR_CONST ? NULL : expr_eval_const(&ctx, *out, &d);
    }
    const struct type_info *ti = type_find(to);
    /* The length of a scalar is applied afterwards: an explicit cast may cut, an assignment not. */
    int32_t input_typmod = to == TYPE_INTERVAL || ti->element != 0 ? typmod : -1;
    struct datum d;
    TRY(type_input(a, to, input_typmod, text, &d));
    c = expr_const(a, to, d);
    c->location = e->location;
    if (input_typmod >= 0) {
        c->typmod = typmod;
    }
    *out = apply_length(a, c, typmod, cc == CAST_EXPLICIT);
    if ((*out)->kind != EXPR_CONST) { /* the length does not fit: say so now */
        struct eval_ctx ctx = {.arena = a};
        TRY(expr_eval_const(&ctx, *out, &d));
    }
    return NULL;
}

struct status *expr_cast(struct arena *a, struct expr *e, type_oid to, int32_t typmod,
                         enum cast_context cc, struct expr **out)
{
    const struct type_info *ti = type_find(to);
    if (ti == NULL) {
        return status_sql(NOT_FOUND, "42704", "type with OID %u does not exist", to);
    }
    if (e->type == TYPE_UNKNOWN && to != TYPE_UNKNOWN) {
        if (e->kind == EXPR_CONST) {
            return cast_literal(a, e, to, typmod, cc, out);
        }
        if (e->kind == EXPR_PARAM) {
            e->type = to; /* this is how a parameter gets its type */
            e->typmod = -1;
        } else {
            struct expr *text = call_of(a, e, FUNC_ID_RELABEL, TYPE_TEXT, -1, 1, e, NULL, NULL);
            return expr_cast(a, text, to, typmod, CAST_EXPLICIT, out);
        }
    }
    if (e->type != to) {
        uint32_t id = cast_find(e->type, to, cc);
        if (id == 0) {
            return cannot_cast(e, to, cc);
        }
        bool by_element = id == FUNC_ID_CAST_ARRAY;
        e = call_of(a, e, id, to, by_element ? typmod : -1, 1, e, NULL, NULL);
    } else if (ti->element != 0 && typmod >= 0 && e->typmod != typmod) {
        e = call_of(a, e, FUNC_ID_CAST_ARRAY, to, typmod, 1, e, NULL, NULL);
    }
    *out = apply_length(a, e, typmod, cc == CAST_EXPLICIT);
    return NULL;
}

struct status *cast_value(struct eval_ctx *ctx, type_oid from, type_oid to, int32_t typmod,
                          const struct datum *in, struct datum *out)
{
    if (in->is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct datum d = *in;
    TRY(arena_slack(ctx->arena));
    *out = (struct datum){.i = 0};
    if (from != to) {
        uint32_t id = cast_find(from, to, CAST_EXPLICIT);
        const struct func_def *f = id != 0 ? func_by_id(id) : NULL;
        if (f == NULL || f->needs_session) {
            struct expr e = {.type = from};
            return cannot_cast(&e, to, CAST_EXPLICIT);
        }
        struct expr arg = {.kind = EXPR_CONST, .type = from, .typmod = -1};
        struct expr *args[1] = {&arg};
        struct expr call = {
            .kind = EXPR_CALL, .type = to, .typmod = typmod, .func = f, .nargs = 1, .args = args};
        const struct expr *saved = ctx->call;
        ctx->call = &call;
        struct status *st = f->scalar(ctx, &d, 1, out);
        ctx->call = saved;
        TRY(st);
        d = *out;
    }
    uint32_t len = typmod >= 0 && !d.is_null ? length_func(to) : 0;
    if (len != 0) {
        struct datum args[3] = {d, datum_int(typmod), datum_bool(true)};
        return func_by_id(len)->scalar(ctx, args, 3, out);
    }
    *out = d;
    return NULL;
}

/* ---- the functions behind casts that no family of values owns ---- */

FUNC(fn_same)
{
    *out = args[0];
    return NULL;
}

FUNC(fn_none)
{
    return status_new(UNSUPPORTED, "this function has no implementation here");
}

/* '23', 'integer' or '-' to the oid of a type or function. */
static struct status *reg_input(type_oid type, struct slice text, struct datum *out)
{
    bool is_number = text.len > 0 && text.len <= 10;
    uint64_t n = 0;
    for (size_t i = 0; i < text.len && is_number; i++) {
        is_number = text.data[i] >= '0' && text.data[i] <= '9';
        n = n * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (is_number && n <= UINT32_MAX) {
        *out = datum_int((int64_t)n);
        return NULL;
    }
    if (slice_eq(text, slice_str("-"))) {
        *out = datum_int(0);
        return NULL;
    }
    if (slice_has_prefix(text, slice_str("pg_catalog."))) {
        text = slice_make(text.data + 11, text.len - 11);
    }
    if (type == TYPE_REGTYPE) {
        bool is_array = text.len > 2 && memcmp(text.data + text.len - 2, "[]", 2) == 0;
        const struct type_info *ti =
            type_find_name(slice_make(text.data, text.len - (is_array ? 2 : 0)));
        if (ti != NULL && (!is_array || ti->array_oid != 0)) {
            *out = datum_int(is_array ? ti->array_oid : ti->oid);
            return NULL;
        }
        return status_sql(NOT_FOUND, "42704", "type \"%.*s\" does not exist", (int)text.len,
                          (const char *)text.data);
    }
    /* Drivers tell arrays by pg_type.typinput = 'array_in'::regproc. */
    static const struct {
        const char *name;
        uint32_t oid;
    } array_io[] = {
        {"array_in", 750}, {"array_out", 751}, {"array_recv", 2400}, {"array_send", 2401}};
    for (size_t i = 0; i < sizeof(array_io) / sizeof(*array_io); i++) {
        if (slice_eq(text, slice_str(array_io[i].name))) {
            *out = datum_int(array_io[i].oid);
            return NULL;
        }
    }
    const struct func_def *f = func_first(text, false), *next = NULL;
    if (f == NULL) {
        return status_sql(NOT_FOUND, "42883", "function \"%.*s\" does not exist", (int)text.len,
                          (const char *)text.data);
    }
    next = func_next(f, false);
    if (next != NULL) {
        return status_sql(INVALID, "42725", "more than one function named \"%.*s\"", (int)text.len,
                          (const char *)text.data);
    }
    *out = datum_int(f->id);
    return NULL;
}

static void reg_output(type_oid type, const struct datum *d, struct buf *out)
{
    const struct func_def *f = type == TYPE_REGPROC ? func_by_id((uint32_t)d->i) : NULL;
    if (d->i == 0) {
        buf_put(out, "-", 1);
    } else if (f != NULL) {
        buf_put_slice(out, slice_str(f->name));
    } else if (type == TYPE_REGTYPE && type_find((type_oid)d->i) != NULL) {
        struct arena *a = arena_create(0);
        buf_put_slice(out, slice_str(type_format(a, (type_oid)d->i, -1)));
        arena_destroy(a);
    } else {
        buf_printf(out, "%u", (uint32_t)d->i);
    }
}

/* By the text form: any type to a string, a string to any type. */
FUNC(fn_cast_io)
{
    type_oid from = func_call_arg_type(ctx, 0), to = ctx->call->type;
    const struct type_info *t = type_find(to);
    if (t != NULL && t->category == 'S' && to != TYPE_NAME && to != TYPE_BPCHAR) {
        struct buf b = {0};
        if (from == TYPE_REGTYPE || from == TYPE_REGPROC) {
            reg_output(from, &args[0], &b);
        } else {
            type_output(from, &args[0], &b);
        }
        return func_buf(ctx, &b, out);
    }
    if (to == TYPE_REGTYPE || to == TYPE_REGPROC) {
        return reg_input(to, datum_slice(&args[0]), out);
    }
    const struct type_info *f = type_find(from);
    if (f != NULL && f->category == 'S') {
        /* An array's elements are longer as datums than as text. */
        size_t growth = t != NULL && t->element != 0 ? 32 : 2;
        TRY(arena_reserve(ctx->arena, args[0].len * growth));
        return type_input(ctx->arena, to, -1, datum_slice(&args[0]), out);
    }
    struct buf b = {0};
    type_output(from, &args[0], &b);
    struct status *st = type_input(ctx->arena, to, -1, buf_slice(&b), out);
    buf_deinit(&b);
    return st;
}

FUNC(fn_cast_array)
{
    type_oid from = array_element_type(&args[0]);
    const struct type_info *t = type_find(ctx->call->type);
    if (t == NULL || t->element == 0) {
        return status_new(INTERNAL, "array cast to a type that is not an array");
    }
    int n;
    TRY(arena_reserve(ctx->arena, (size_t)array_count(&args[0]) * sizeof(struct datum) * 2));
    struct datum *elems = array_elements(ctx->arena, &args[0], &n);
    int32_t typmod = ctx->call->typmod;
    for (int i = 0; i < n; i++) {
        TRY(cast_value(ctx, from, t->element, typmod, &elems[i], &elems[i]));
    }
    *out = array_build(ctx->arena, t->element, elems, n);
    return NULL;
}

FUNC(fn_cast_i4_oid)
{
    *out = datum_int((int64_t)(uint32_t)args[0].i);
    return NULL;
}

FUNC(fn_cast_oid_i4)
{
    *out = datum_int((int32_t)(uint32_t)args[0].i);
    return NULL;
}

FUNC(fn_cast_i8_oid)
{
    if (args[0].i < 0 || args[0].i > UINT32_MAX) {
        return status_sql(INVALID, "22003", "OID out of range");
    }
    *out = args[0];
    return NULL;
}
