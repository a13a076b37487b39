/*
 * Expression trees: making, copying, walking, their bytes and their text.
 *
 * Bytes of a node: kind u8 | flags u8 (1 negate, 2 else, 4 function, 8 NULL) | type varint |
 * typmod + 1 varint | index varint | subkind u8 | [function id varint] | [EXPR_CONST: value] |
 * argument count varint | arguments. A value is 8 bytes big-endian for inline types, else varint
 * length and bytes.
 *
 * Decoding trusts nothing: kinds, counts, depth, types of arguments against the function's, and the
 * inner form of numerics, arrays and intervals are checked, so that evaluation needs no checks.
 */
#include "funcs.h"

#include "base/check.h"
#include "base/fiber.h"
#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    EXPR_DEPTH_MAX = 200,
    EXPR_INDEX_MAX = 1 << 20,
    FLAG_NEGATE = 1,
    FLAG_ELSE = 2,
    FLAG_FUNC = 4,
    FLAG_NULL = 8,
};

struct expr *expr_const(struct arena *a, type_oid type, struct datum d)
{
    struct expr *e = ARENA_NEW(a, struct expr);
    *e = (struct expr){.kind = EXPR_CONST, .type = type, .typmod = -1, .value = d, .location = -1};
    return e;
}

struct expr *expr_column(struct arena *a, type_oid type, int32_t typmod, int index)
{
    struct expr *e = ARENA_NEW(a, struct expr);
    *e = (struct expr){
        .kind = EXPR_COLUMN, .type = type, .typmod = typmod, .index = index, .location = -1};
    return e;
}

struct expr *expr_call(struct arena *a, const struct func_def *f, type_oid type, int nargs,
                       struct expr **args)
{
    ASSERT(f != NULL);
    struct expr *e = ARENA_NEW(a, struct expr);
    *e = (struct expr){.kind = EXPR_CALL,
                       .type = type,
                       .typmod = -1,
                       .func = f,
                       .nargs = nargs,
                       .args = args,
                       .location = -1};
    return e;
}

struct expr *expr_copy(struct arena *a, const struct expr *e)
{
    struct expr *c = ARENA_NEW(a, struct expr);
    *c = *e;
    if (e->kind == EXPR_CONST && !e->value.is_null) {
        c->value = datum_copy(a, e->type, &e->value);
    }
    if (e->nargs > 0) {
        c->args = ARENA_ARRAY(a, struct expr *, e->nargs);
        for (int i = 0; i < e->nargs; i++) {
            c->args[i] = expr_copy(a, e->args[i]);
        }
    }
    return c;
}

static bool value_equal(type_oid type, const struct datum *x, const struct datum *y)
{
    if (x->is_null || y->is_null) {
        return x->is_null == y->is_null;
    }
    const struct type_info *ti = type_find(type);
    if (ti != NULL && ti->is_inline) {
        return x->i == y->i;
    }
    return slice_eq(datum_slice(x), datum_slice(y));
}

bool expr_equal(const struct expr *a, const struct expr *b)
{
    if (a == b) {
        return true;
    }
    if (a->kind != b->kind || a->type != b->type || a->typmod != b->typmod ||
        a->index != b->index || a->negate != b->negate || a->has_else != b->has_else ||
        a->subkind != b->subkind || a->func != b->func || a->nargs != b->nargs) {
        return false;
    }
    if (a->kind == EXPR_CONST && !value_equal(a->type, &a->value, &b->value)) {
        return false;
    }
    for (int i = 0; i < a->nargs; i++) {
        if (!expr_equal(a->args[i], b->args[i])) {
            return false;
        }
    }
    return true;
}

void expr_walk(struct expr **e, void (*fn)(struct expr **node, void *ctx), void *ctx)
{
    for (int i = 0; i < (*e)->nargs; i++) {
        expr_walk(&(*e)->args[i], fn, ctx);
    }
    fn(e, ctx);
}

#define TURN_NODES (1 << 17) /* computed in one turn: some 10 ms */

int expr_weight(const struct expr *e)
{
    int n = e->kind != EXPR_CONST && e->kind != EXPR_PARAM && e->kind != EXPR_COLUMN;
    for (int i = 0; i < e->nargs; i++) {
        n += expr_weight(e->args[i]);
    }
    return n;
}

int expr_rows_a_turn(int weight)
{
    int n = weight > 0 ? TURN_NODES / weight : BATCH_ROWS;
    return n < 1 ? 1 : n > BATCH_ROWS ? BATCH_ROWS : n;
}

static bool has_volatility(const struct expr *e, enum func_volatility v)
{
    if (e->func != NULL && e->func->volatility == v) {
        return true;
    }
    for (int i = 0; i < e->nargs; i++) {
        if (has_volatility(e->args[i], v)) {
            return true;
        }
    }
    return false;
}

bool expr_is_volatile(const struct expr *e)
{
    return has_volatility(e, FUNC_VOLATILE);
}

bool expr_is_stable(const struct expr *e)
{
    return has_volatility(e, FUNC_STABLE);
}

/* ---- types as they are held ---- */

enum { HELD_INT = 1, HELD_FLOAT, HELD_BYTES, HELD_NUMERIC, HELD_INTERVAL, HELD_UUID, HELD_ARRAY };

uint32_t type_storage(type_oid oid)
{
    switch (oid) {
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_BPCHAR:
    case TYPE_NAME:
    case TYPE_BYTEA:
    case TYPE_UNKNOWN:
    case TYPE_VOID:
    case TYPE_JSON:
        return HELD_BYTES;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return HELD_FLOAT;
    case TYPE_NUMERIC:
        return HELD_NUMERIC;
    case TYPE_INTERVAL:
        return HELD_INTERVAL;
    case TYPE_UUID:
        return HELD_UUID;
    default:
        break;
    }
    const struct type_info *ti = type_find(oid);
    if (ti == NULL) {
        return 0;
    }
    if (ti->is_inline) {
        return HELD_INT;
    }
    /* Arrays say in their bytes what their elements are; only arrays of one type may mix. */
    return ti->element != 0 ? HELD_ARRAY + ti->element : 0;
}

static bool int_in_range(type_oid oid, int64_t v)
{
    switch (oid) {
    case TYPE_BOOL:
        return v == 0 || v == 1;
    case TYPE_CHAR:
        return v >= INT8_MIN && v <= UINT8_MAX;
    case TYPE_INT2:
        return v >= INT16_MIN && v <= INT16_MAX;
    case TYPE_INT4:
    case TYPE_DATE:
        return v >= INT32_MIN && v <= INT32_MAX;
    case TYPE_OID:
    case TYPE_REGCLASS:
    case TYPE_REGNAMESPACE:
    case TYPE_REGROLE:
    case TYPE_REGTYPE:
    case TYPE_REGPROC:
        return v >= 0 && v <= UINT32_MAX;
    case TYPE_TIME:
        return v >= 0 && v <= USECS_PER_DAY;
    default:
        return true;
    }
}

bool datum_is_valid(type_oid oid, const struct datum *d)
{
    uint32_t held = type_storage(oid);
    switch (held) {
    case 0:
        return false;
    case HELD_INT:
        return int_in_range(oid, d->i);
    case HELD_FLOAT:
    case HELD_BYTES:
        return true;
    case HELD_NUMERIC:
        return numeric_check(datum_slice(d));
    case HELD_INTERVAL:
    case HELD_UUID:
        return d->len == 16;
    default:
        return array_check(type_find(oid)->element, datum_slice(d));
    }
}

/* ---- bytes ---- */

void expr_encode(struct buf *out, const struct expr *e)
{
    bool is_null = e->kind == EXPR_CONST && e->value.is_null;
    buf_put_u8(out, (uint8_t)e->kind);
    buf_put_u8(out, (uint8_t)((e->negate ? FLAG_NEGATE : 0) | (e->has_else ? FLAG_ELSE : 0) |
                              (e->func != NULL ? FLAG_FUNC : 0) | (is_null ? FLAG_NULL : 0)));
    buf_put_varint(out, e->type);
    buf_put_varint(out, (uint64_t)((int64_t)e->typmod + 1));
    buf_put_varint(out, (uint64_t)e->index);
    buf_put_u8(out, e->subkind);
    if (e->func != NULL) {
        buf_put_varint(out, e->func->id);
    }
    if (e->kind == EXPR_CONST && !is_null) {
        if (type_find(e->type)->is_inline) {
            buf_put_u64(out, (uint64_t)e->value.i);
        } else {
            buf_put_bytes(out, datum_slice(&e->value));
        }
    }
    buf_put_varint(out, (uint64_t)e->nargs);
    for (int i = 0; i < e->nargs; i++) {
        expr_encode(out, e->args[i]);
    }
}

static struct status *damaged(const char *what)
{
    return status_new(CORRUPT, "expression: %s", what);
}

static bool all_of_type(const struct expr *e, type_oid type)
{
    for (int i = 0; i < e->nargs; i++) {
        if (e->args[i]->type != type) {
            return false;
        }
    }
    return true;
}

static bool all_held_as(const struct expr *e, int from, uint32_t held)
{
    for (int i = from; i < e->nargs; i++) {
        if (type_storage(e->args[i]->type) != held) {
            return false;
        }
    }
    return true;
}

static bool call_is_sound(const struct expr *e)
{
    const struct func_def *f = e->func;
    if (f == NULL || f->class != FUNC_SCALAR || e->nargs > FUNC_ARGS_MAX) {
        return false;
    }
    type_oid args[FUNC_ARGS_MAX], result;
    for (int i = 0; i < e->nargs; i++) {
        args[i] = e->args[i]->type;
    }
    if (!func_accepts(f, args, e->nargs, &result)) {
        return false;
    }
    if (f->id == FUNC_ID_CAST_IO) {
        return type_storage(e->type) != 0;
    }
    if (f->id == FUNC_ID_CAST_ARRAY) {
        const struct type_info *from = type_find(args[0]), *to = type_find(e->type);
        return from->element != 0 && to->element != 0;
    }
    if (f->id == FUNC_ID_RELABEL) {
        return type_storage(e->type) == type_storage(args[0]);
    }
    return type_storage(e->type) == type_storage(result);
}

/* Whether evaluation can rely on the node: counts, and types as they are held. */
static bool node_is_sound(const struct expr *e)
{
    uint32_t held = type_storage(e->type);
    if (held == 0) {
        return false;
    }
    const struct type_info *ti = type_find(e->type);
    switch (e->kind) {
    case EXPR_CONST:
        return e->nargs == 0 && (e->value.is_null || datum_is_valid(e->type, &e->value));
    case EXPR_COLUMN:
    case EXPR_PARAM:
        return e->nargs == 0;
    case EXPR_CALL:
        return call_is_sound(e);
    case EXPR_AND:
    case EXPR_OR:
        return e->nargs >= 1 && e->type == TYPE_BOOL && all_of_type(e, TYPE_BOOL);
    case EXPR_NOT:
        return e->nargs == 1 && e->type == TYPE_BOOL && all_of_type(e, TYPE_BOOL);
    case EXPR_BOOL_TEST:
        return e->nargs == 1 && e->type == TYPE_BOOL && all_of_type(e, TYPE_BOOL) && e->index <= 2;
    case EXPR_IS_NULL:
        return e->nargs == 1 && e->type == TYPE_BOOL;
    case EXPR_DISTINCT:
        return e->nargs == 2 && e->type == TYPE_BOOL && e->args[0]->type == e->args[1]->type;
    case EXPR_CASE:
        if (e->nargs < 2 || (e->nargs % 2 == 1) != e->has_else) {
            return false;
        }
        for (int i = 0; i < e->nargs; i++) {
            bool is_when = i % 2 == 0 && i + 1 < e->nargs;
            if (is_when ? e->args[i]->type != TYPE_BOOL : type_storage(e->args[i]->type) != held) {
                return false;
            }
        }
        return true;
    case EXPR_COALESCE:
    case EXPR_GREATEST:
        return e->nargs >= 1 && all_held_as(e, 0, held);
    case EXPR_IN:
        return e->nargs >= 2 && e->type == TYPE_BOOL &&
               all_held_as(e, 1, type_storage(e->args[0]->type));
    case EXPR_ANY_ARRAY: {
        if (e->nargs != 2 || e->type != TYPE_BOOL || e->func == NULL ||
            e->func->class != FUNC_SCALAR || e->func->scalar == NULL) {
            return false;
        }
        const struct type_info *array = type_find(e->args[1]->type);
        type_oid args[2] = {e->args[0]->type, array->element}, result;
        return array->element != 0 && func_accepts(e->func, args, 2, &result) &&
               result == TYPE_BOOL;
    }
    case EXPR_ARRAY:
        return ti->element != 0 && all_held_as(e, 0, type_storage(ti->element));
    case EXPR_SUBPLAN:
    default:
        return false; /* a sub-select never leaves the router */
    }
}

static struct status *decode_at(struct arena *a, struct reader *r, int depth, struct expr **out)
{
    if (depth > EXPR_DEPTH_MAX || fiber_stack_left() < (size_t)16 << 10) {
        return status_sql(LIMIT, "54001", "expression is nested too deeply");
    }
    TRY(arena_slack(a));
    struct expr *e = ARENA_NEW(a, struct expr);
    e->kind = (enum expr_kind)read_u8(r);
    uint8_t flags = read_u8(r);
    uint64_t type = read_varint(r), typmod = read_varint(r), index = read_varint(r);
    e->subkind = read_u8(r);
    uint64_t func = (flags & FLAG_FUNC) != 0 ? read_varint(r) : 0;
    if (!reader_ok(r) || type > UINT32_MAX || typmod > INT32_MAX || index > EXPR_INDEX_MAX ||
        func > UINT32_MAX || type_find((type_oid)type) == NULL) {
        return damaged("truncated or damaged");
    }
    e->type = (type_oid)type;
    e->typmod = (int32_t)((int64_t)typmod - 1);
    e->index = (int)index;
    e->negate = (flags & FLAG_NEGATE) != 0;
    e->has_else = (flags & FLAG_ELSE) != 0;
    e->location = -1;
    if ((flags & FLAG_FUNC) != 0) {
        e->func = func_by_id((uint32_t)func);
        if (e->func == NULL) {
            return status_hint(status_new(UNSUPPORTED, "function %" PRIu64 " is not known", func),
                               "The node that sent it is of a newer version.");
        }
    }
    if (e->kind == EXPR_CONST) {
        if ((flags & FLAG_NULL) != 0) {
            e->value = DATUM_NULL;
        } else if (type_find(e->type)->is_inline) {
            e->value = datum_int((int64_t)read_u64(r));
        } else {
            struct slice s = read_bytes(r);
            if (s.len > UINT32_MAX) {
                return damaged("value too long");
            }
            TRY(arena_reserve(a, s.len));
            e->value = datum_bytes(arena_copy(a, s));
        }
    }
    size_t nargs = read_count(r, 7);
    if (!reader_ok(r) || nargs > INT32_MAX) {
        return damaged("truncated or damaged");
    }
    TRY(arena_reserve(a, nargs * (sizeof(struct expr) + sizeof(struct expr *))));
    e->nargs = (int)nargs;
    e->args = ARENA_ARRAY(a, struct expr *, nargs);
    for (int i = 0; i < e->nargs; i++) {
        TRY(decode_at(a, r, depth + 1, &e->args[i]));
    }
    if (!node_is_sound(e)) {
        return damaged("types or counts that do not fit");
    }
    *out = e;
    return NULL;
}

struct status *expr_decode(struct arena *a, struct reader *r, struct expr **out)
{
    return decode_at(a, r, 0, out);
}

/* ---- text ---- */

static void format_args(struct buf *out, const struct expr *e, int from, const char *between,
                        const char *const *names)
{
    for (int i = from; i < e->nargs; i++) {
        if (i > from) {
            buf_put_slice(out, slice_str(between));
        }
        expr_format(out, e->args[i], names);
    }
}

static void format_const(struct buf *out, const struct expr *e)
{
    if (e->value.is_null) {
        buf_printf(out, "NULL");
        return;
    }
    switch (e->type) {
    case TYPE_BOOL:
        buf_printf(out, "%s", e->value.i ? "true" : "false");
        return;
    case TYPE_INT2:
    case TYPE_INT4:
        type_output(e->type, &e->value, out);
        return;
    default:
        break;
    }
    struct buf text = {0};
    type_output(e->type, &e->value, &text);
    buf_put_u8(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '\'') {
            buf_put_u8(out, '\'');
        }
        buf_put_u8(out, text.data[i]);
    }
    buf_put_u8(out, '\'');
    buf_deinit(&text);
    struct arena *a = arena_create(0);
    buf_printf(out, "::%s", type_format(a, e->type, e->typmod));
    arena_destroy(a);
}

static void format_call(struct buf *out, const struct expr *e, const char *const *names)
{
    const struct func_def *f = e->func;
    if (f->op != NULL && e->nargs == 2) {
        buf_printf(out, "(");
        expr_format(out, e->args[0], names);
        buf_printf(out, " %s ", f->op);
        expr_format(out, e->args[1], names);
        buf_printf(out, ")");
    } else if (f->op != NULL && e->nargs == 1) {
        buf_printf(out, "(%s ", f->op);
        expr_format(out, e->args[0], names);
        buf_printf(out, ")");
    } else if (f->is_cast) {
        struct arena *a = arena_create(0);
        buf_printf(out, "(");
        expr_format(out, e->args[0], names);
        buf_printf(out, ")::%s", type_format(a, e->type, e->typmod));
        arena_destroy(a);
    } else {
        buf_printf(out, "%s(", f->name);
        format_args(out, e, 0, ", ", names);
        buf_printf(out, ")");
    }
}

void expr_format(struct buf *out, const struct expr *e, const char *const *column_names)
{
    static const char *const tests[] = {"TRUE", "FALSE", "UNKNOWN"};
    const char *const *names = column_names;
    switch (e->kind) {
    case EXPR_CONST:
        format_const(out, e);
        break;
    case EXPR_COLUMN:
        if (names != NULL) {
            buf_printf(out, "%s", names[e->index]);
        } else {
            buf_printf(out, "$%d", e->index);
        }
        break;
    case EXPR_PARAM:
        buf_printf(out, names != NULL ? "$%d" : "?%d", e->index + 1);
        break;
    case EXPR_CALL:
        format_call(out, e, names);
        break;
    case EXPR_AND:
    case EXPR_OR:
        buf_printf(out, "(");
        format_args(out, e, 0, e->kind == EXPR_AND ? " AND " : " OR ", names);
        buf_printf(out, ")");
        break;
    case EXPR_NOT:
        buf_printf(out, "(NOT ");
        format_args(out, e, 0, "", names);
        buf_printf(out, ")");
        break;
    case EXPR_IS_NULL:
        buf_printf(out, "(");
        format_args(out, e, 0, "", names);
        buf_printf(out, " IS %sNULL)", e->negate ? "NOT " : "");
        break;
    case EXPR_BOOL_TEST:
        buf_printf(out, "(");
        format_args(out, e, 0, "", names);
        buf_printf(out, " IS %s%s)", e->negate ? "NOT " : "", tests[e->index % 3]);
        break;
    case EXPR_DISTINCT:
        buf_printf(out, "(");
        expr_format(out, e->args[0], names);
        buf_printf(out, " IS %sDISTINCT FROM ", e->negate ? "NOT " : "");
        expr_format(out, e->args[1], names);
        buf_printf(out, ")");
        break;
    case EXPR_CASE:
        buf_printf(out, "CASE");
        for (int i = 0; i + 1 < e->nargs; i += 2) {
            buf_printf(out, " WHEN ");
            expr_format(out, e->args[i], names);
            buf_printf(out, " THEN ");
            expr_format(out, e->args[i + 1], names);
        }
        if (e->has_else) {
            buf_printf(out, " ELSE ");
            expr_format(out, e->args[e->nargs - 1], names);
        }
        buf_printf(out, " END");
        break;
    case EXPR_COALESCE:
    case EXPR_GREATEST:
        buf_printf(out, "%s(",
                   e->kind == EXPR_COALESCE ? "COALESCE"
                   : e->negate              ? "LEAST"
                                            : "GREATEST");
        format_args(out, e, 0, ", ", names);
        buf_printf(out, ")");
        break;
    case EXPR_IN:
        buf_printf(out, "(");
        expr_format(out, e->args[0], names);
        buf_printf(out, e->negate ? " NOT IN (" : " IN (");
        format_args(out, e, 1, ", ", names);
        buf_printf(out, "))");
        break;
    case EXPR_ANY_ARRAY:
        buf_printf(out, "(");
        expr_format(out, e->args[0], names);
        buf_printf(out, " %s %s (", e->func->op != NULL ? e->func->op : e->func->name,
                   e->negate ? "ALL" : "ANY");
        expr_format(out, e->args[1], names);
        buf_printf(out, "))");
        break;
    case EXPR_ARRAY:
        buf_printf(out, "ARRAY[");
        format_args(out, e, 0, ", ", names);
        buf_printf(out, "]");
        break;
    case EXPR_SUBPLAN:
        buf_printf(out, "(SubPlan %d)", e->index + 1);
        break;
    }
}
