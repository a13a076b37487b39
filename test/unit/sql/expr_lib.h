/*
 * What the tests of expressions share: values from text, calls by name, results as text.
 */
#ifndef TEST_SQL_EXPR_LIB_H
#define TEST_SQL_EXPR_LIB_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "sql/expr.h"
#include "sql/operator.h"

#include <stdio.h>
#include <stdlib.h>

#define MUST(expr)                                                                                 \
    do {                                                                                           \
        struct status *must_st_ = (expr);                                                          \
        if (must_st_ != NULL) {                                                                    \
            print_error("%s:%d: %s: %s\n", __FILE__, __LINE__, must_st_->sqlstate,                 \
                        must_st_->message);                                                        \
            status_free(must_st_);                                                                 \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* Refused with this SQLSTATE. */
#define REFUSED(sqlstate_, expr)                                                                   \
    do {                                                                                           \
        struct status *refused_st_ = (expr);                                                       \
        assert_non_null(refused_st_);                                                              \
        assert_string_equal(refused_st_->sqlstate, sqlstate_);                                     \
        status_free(refused_st_);                                                                  \
    } while (0)

static inline type_oid type_named(const char *name)
{
    size_t n = strlen(name);
    bool is_array = n > 2 && strcmp(name + n - 2, "[]") == 0;
    if (strcmp(name, "unknown") == 0) {
        return TYPE_UNKNOWN;
    }
    const struct type_info *ti = type_find_name(slice_make(name, n - (is_array ? 2 : 0)));
    if (ti == NULL) {
        fail_msg("no type %s", name);
    }
    return is_array ? ti->array_oid : ti->oid;
}

/* A constant of the type from its text; text NULL = NULL. */
static inline struct expr *value(struct arena *a, const char *type, const char *text)
{
    struct datum d =
        text == NULL ? DATUM_NULL : datum_bytes(slice_make(arena_strdup(a, text), strlen(text)));
    struct expr *e = expr_const(a, TYPE_UNKNOWN, d), *out;
    type_oid oid = type_named(type);
    if (oid == TYPE_UNKNOWN) {
        return e;
    }
    MUST(expr_cast(a, e, oid, -1, CAST_EXPLICIT, &out));
    return out;
}

/* fn: "lower", "op:+" between two arguments, "pre:-" before one. */
static inline struct status *call(struct arena *a, const char *fn, int nargs, struct expr **args,
                                  struct expr **out)
{
    const struct func_def *f;
    type_oid types[16], want[16], result;
    for (int i = 0; i < nargs; i++) {
        types[i] = args[i]->type;
    }
    if (strncmp(fn, "op:", 3) == 0) {
        TRY(func_resolve_op(slice_str(fn + 3), types[0], types[1], &f, &want[0], &want[1],
                            &result));
    } else if (strncmp(fn, "pre:", 4) == 0) {
        type_oid none;
        TRY(func_resolve_op(slice_str(fn + 4), 0, types[0], &f, &none, &want[0], &result));
    } else {
        TRY(func_resolve(slice_str(fn), types, nargs, false, &f, want, &result));
    }
    struct expr **cast = ARENA_ARRAY(a, struct expr *, nargs + 1);
    for (int i = 0; i < nargs; i++) {
        TRY(expr_cast(a, args[i], want[i], -1, CAST_IMPLICIT, &cast[i]));
    }
    *out = expr_call(a, f, result, nargs, cast);
    return NULL;
}

static inline struct expr *call2(struct arena *a, const char *fn, struct expr *x, struct expr *y)
{
    struct expr *args[2] = {x, y}, *e;
    MUST(call(a, fn, 2, args, &e));
    return e;
}

static inline char *text_of(struct arena *a, type_oid type, const struct datum *d)
{
    if (d->is_null) {
        return NULL;
    }
    struct buf b = {0};
    type_output(type, d, &b);
    char *s = arena_strndup(a, b.data != NULL ? (const char *)b.data : "", b.len);
    buf_deinit(&b);
    return s;
}

static inline uint64_t test_random(void *ctx)
{
    (void)ctx;
    static uint64_t x = 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* All rows of an operator as one text: rows by ';', columns by ','. */
static inline char *drain(struct arena *a, struct op *op)
{
    struct buf b = {0};
    for (;;) {
        struct batch *batch;
        MUST(op_next(NULL, op, &batch));
        if (batch == NULL) {
            break;
        }
        assert_int_equal(batch->ncols, op->ncols);
        for (int r = 0; r < batch->nrows; r++) {
            for (int c = 0; c < batch->ncols; c++) {
                const char *s = text_of(a, batch->types[c], &batch->cols[c][r]);
                buf_printf(&b, "%s%s", c > 0 ? "," : "", s != NULL ? s : "-");
            }
            buf_printf(&b, ";");
        }
    }
    op_close(op);
    char *s = arena_strndup(a, b.data != NULL ? (const char *)b.data : "", b.len);
    buf_deinit(&b);
    return s;
}

/* A batch of int4 columns from text: "1,2;3,-;" with - for NULL. */
static inline struct batch *ints(struct arena *a, int ncols, const char *text)
{
    uint32_t types[16];
    for (int c = 0; c < ncols; c++) {
        types[c] = TYPE_INT4;
    }
    int cap = 1;
    for (const char *s = text; *s != 0; s++) {
        cap += *s == ';';
    }
    struct batch *b = batch_create(a, ncols, types, cap);
    b->nrows = 0;
    for (const char *s = text; *s != 0; b->nrows++) {
        for (int c = 0; c < ncols; c++) {
            char *end = NULL;
            if (*s == '-' && (s[1] == ',' || s[1] == ';')) {
                b->cols[c][b->nrows] = DATUM_NULL;
                s += 2;
            } else {
                b->cols[c][b->nrows] = datum_int(strtol(s, &end, 10));
                s = end + 1;
            }
        }
    }
    return b;
}

#endif
