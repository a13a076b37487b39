/*
 * What the function files share: how an implementation is declared, and small helpers for results.
 *
 * An implementation gets its arguments as datums (never NULL when the row says STRICT) and puts its
 * result into ctx->arena. Whatever grows with the input asks arena_reserve() first.
 */
#ifndef SQL_FUNCS_H
#define SQL_FUNCS_H

#include "func_rows.h"
#include "sql/expr.h"

#define UNUSED __attribute__((unused))
#define FUNC(name)                                                                                 \
    struct status *name(UNUSED struct eval_ctx *ctx, UNUSED const struct datum *args,              \
                        UNUSED int nargs, UNUSED struct datum *out)

/* Every implementation named in func_rows.h. */
#define FUNC_DECLARE(id, name, op, class, vol, flags, defs, res, args, impl)                       \
    struct status *impl(struct eval_ctx *, const struct datum *, int, struct datum *);
#define AGG_DECLARE(id, name, res, args, impl) extern const struct agg_ops impl;
FUNC_ROWS_COMPARE(FUNC_DECLARE)
FUNC_ROWS_MATH(FUNC_DECLARE)
FUNC_ROWS_TEXT(FUNC_DECLARE)
FUNC_ROWS_DATETIME(FUNC_DECLARE)
FUNC_ROWS_ARRAY(FUNC_DECLARE)
FUNC_ROWS_MISC(FUNC_DECLARE)
FUNC_ROWS_CAST(FUNC_DECLARE)
FUNC_ROWS_WINDOW(FUNC_DECLARE)
FUNC_ROWS_AGG(AGG_DECLARE)

enum {
    FUNC_ID_MAX = 12288,
    FUNC_ARGS_MAX = 100, /* as in PostgreSQL */
    FUNC_ID_CAST_IO = 12000,
    FUNC_ID_CAST_ARRAY = 12001,
    FUNC_ID_RELABEL = 12002,
    FUNC_ID_INT4_OID = 12003,
    FUNC_ID_OID_INT4 = 12004,
    FUNC_ID_REGCLASS_OUT = 12005,
    FUNC_ID_REGNAMESPACE_OUT = 12006,
    FUNC_ID_REGNAMESPACE = 12007,
    FUNC_ID_REGROLE_OUT = 12008,
    FUNC_ID_REGROLE = 12009,
    FUNC_ID_REGCLASS = 1079, /* text to regclass */
};

/* First candidate of a name or operator, then the others: NULL at the end. */
const struct func_def *func_first(struct slice name, bool is_operator);
const struct func_def *func_next(const struct func_def *f, bool is_operator);

/* How a datum of the type is held: equal numbers can stand for each other. 0: no such type. */
uint32_t type_storage(type_oid oid);
/* Whether the datum is well formed, for what came from outside. */
bool datum_is_valid(type_oid oid, const struct datum *d);
/* The types a call of f with these argument types has: *out_result, or false when f does not take
 * them as they are. Polymorphic types are checked against each other. */
bool func_accepts(const struct func_def *f, const type_oid *args, int nargs, type_oid *out_result);
/* Declared type of the i-th argument. */
type_oid func_arg_type(const struct func_def *f, int i);

/* The pathway of a cast: 0 none, else the function's id. */
uint32_t cast_find(type_oid from, type_oid to, enum cast_context cc);
/* Casts one value at run time (arrays, cast_array). */
struct status *cast_value(struct eval_ctx *ctx, type_oid from, type_oid to, int32_t typmod,
                          const struct datum *in, struct datum *out) STATUS_MUST_CHECK;

/* Room for the small things that are allocated without asking (a numeric, an interval): to be asked
 * for before every call of a function or an aggregate, since an arena over its budget ends the
 * process. The largest numeric is half of it. */
static inline struct status *arena_slack(struct arena *a)
{
    return arena_reserve(a, (size_t)128 << 10);
}

enum { TEXT_SIZE_MAX = 0x3fffffff }; /* PostgreSQL's 1 GB */

/* size bytes in the arena, or 53200. 54000 above 1 GB less a header, as PostgreSQL. */
struct status *func_alloc(struct eval_ctx *ctx, size_t size, uint8_t **out) STATUS_MUST_CHECK;
/* Appends what a cast to text shows: bool as true and false, bpchar without its blanks. */
void func_put_text(struct buf *b, type_oid type, const struct datum *d);
/* Copies bytes into the arena as a datum. */
struct status *func_bytes(struct eval_ctx *ctx, struct slice s,
                          struct datum *out) STATUS_MUST_CHECK;
/* The same from a buffer, which it empties and frees. */
struct status *func_buf(struct eval_ctx *ctx, struct buf *b, struct datum *out) STATUS_MUST_CHECK;
/* The text form, appended. */
static inline void func_text(type_oid type, const struct datum *d, struct buf *out)
{
    type_output(type, d, out);
}
/* Type of the i-th argument of the running call, by the expression tree. */
type_oid func_call_arg_type(const struct eval_ctx *ctx, int i);

/* UTF-8: length in bytes of the character at s[0..n-1] (n > 0), never more than n; a damaged byte
 * counts as one. */
size_t utf8_char_len(const uint8_t *s, size_t n);
/* Code point of the character; a damaged byte is itself. */
uint32_t utf8_decode(const uint8_t *s, size_t n, size_t *out_len);
/* Appends the code point. */
void utf8_encode(struct buf *b, uint32_t c);
size_t text_char_count(struct slice s);
/* Byte offset of the n-th character (0-based), s.len when there are fewer. */
size_t utf8_offset(struct slice s, size_t n);
/* False: *out_bad is where it is damaged. */
bool text_is_utf8(struct slice s, size_t *out_bad);

/* LIKE, in characters; escape '\\'. 22025 when the pattern ends with the escape. */
struct status *like_match(struct slice text, struct slice pattern, bool fold_case,
                          bool *out) STATUS_MUST_CHECK;

#endif
