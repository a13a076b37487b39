/* See type_cases.h. */
#include "type_cases.h"

#include "sql/array.h"
#include "sql/datetime.h"
#include "sql/numeric.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct slice str(const char *s)
{
    return slice_str(s);
}

static bool is_op(const struct type_case *t, const char *op)
{
    return strcmp(t->op, op) == 0;
}

/* Text in, text out; the binary form has to come back as the same value. */
static struct status *run_input(struct arena *a, const struct type_case *t, struct buf *out)
{
    const struct type_info *type = type_find_name(str(t->a));
    struct datum x, z;
    TRY(type_input(a, type->oid, atoi(t->b), str(t->c), &x));
    type_output(type->oid, &x, out);
    struct buf b = {0};
    type_send(type->oid, &x, &b);
    struct status *st = type_recv(a, type->oid, -1, buf_slice(&b), &z);
    if (st == NULL && type_compare(type->oid, &x, &z) != 0) {
        st = status_new(INTERNAL, "binary form comes back as another value");
    }
    buf_deinit(&b);
    return st;
}

static struct status *run_send(struct arena *a, const struct type_case *t, struct buf *out)
{
    const struct type_info *type = type_find_name(str(t->a));
    struct datum x;
    TRY(type_input(a, type->oid, -1, str(t->b), &x));
    struct buf b = {0};
    type_send(type->oid, &x, &b);
    struct datum bytes = datum_bytes(buf_slice(&b));
    type_output(TYPE_BYTEA, &bytes, out);
    buf_deinit(&b);
    return NULL;
}

static struct status *run_numeric(struct arena *a, const struct type_case *t, struct buf *out)
{
    static const struct {
        const char *op;
        numeric_op2 fn;
    } ops[] = {{"nadd", numeric_add}, {"nsub", numeric_sub},        {"nmul", numeric_mul},
               {"ndiv", numeric_div}, {"nidiv", numeric_div_trunc}, {"nmod", numeric_mod},
               {"ngcd", numeric_gcd}, {"nlcm", numeric_lcm},        {"npower", numeric_power},
               {"nlog", numeric_log}};
    struct datum x, y = DATUM_NULL, r;
    TRY(numeric_parse(a, str(t->a), &x));
    if (t->b[0] != '\0') {
        TRY(numeric_parse(a, str(t->b), &y));
    }
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
        if (is_op(t, ops[i].op)) {
            TRY(ops[i].fn(a, &x, &y, &r));
            numeric_format(&r, out);
            return NULL;
        }
    }
    if (is_op(t, "nsqrt")) {
        TRY(numeric_sqrt(a, &x, &r));
    } else if (is_op(t, "nexp")) {
        TRY(numeric_exp(a, &x, &r));
    } else if (is_op(t, "nln")) {
        TRY(numeric_ln(a, &x, &r));
    } else if (is_op(t, "nround")) {
        r = numeric_round(a, &x, atoi(t->b));
    } else if (is_op(t, "ntrunc")) {
        r = numeric_trunc(a, &x, atoi(t->b));
    } else if (is_op(t, "nceil")) {
        r = numeric_ceil(a, &x);
    } else if (is_op(t, "nfloor")) {
        r = numeric_floor(a, &x);
    } else if (is_op(t, "nfloat8")) {
        TRY(numeric_to_float8(&x, &r.f));
        type_output(TYPE_FLOAT8, &r, out);
        return NULL;
    } else if (is_op(t, "nint8")) {
        TRY(numeric_to_int(&x, INT64_MIN, INT64_MAX, "bigint", &r.i));
        type_output(TYPE_INT8, &r, out);
        return NULL;
    } else if (is_op(t, "ncmp")) {
        buf_printf(out, "%d", numeric_compare(&x, &y));
        return NULL;
    } else {
        return status_new(INTERNAL, "no operation %s", t->op);
    }
    numeric_format(&r, out);
    return NULL;
}

static struct status *run_timestamp(const struct type_case *t, struct buf *out)
{
    struct interval iv;
    int64_t x, y;
    if (is_op(t, "trunc")) {
        TRY(timestamp_parse(str(t->b), false, &x));
        TRY(timestamp_trunc(str(t->a), false, x, &x));
        timestamp_format(x, false, out);
        return NULL;
    }
    if (is_op(t, "fromchar")) {
        TRY(timestamp_from_char(str(t->a), str(t->b), &x));
        timestamp_format(x, true, out);
        return NULL;
    }
    TRY(timestamp_parse(str(t->a), false, &x));
    if (is_op(t, "char")) {
        timestamp_to_char(x, false, str(t->b), out);
    } else if (is_op(t, "tadd") || is_op(t, "tsub")) {
        TRY(interval_parse(str(t->b), -1, &iv));
        TRY((t->op[1] == 'a' ? timestamp_add : timestamp_sub_interval)(x, &iv, &x));
        timestamp_format(x, false, out);
    } else {
        TRY(timestamp_parse(str(t->b), false, &y));
        TRY((is_op(t, "tage") ? timestamp_age : timestamp_diff)(x, y, &iv));
        interval_format(&iv, out);
    }
    return NULL;
}

static struct status *run_interval(const struct type_case *t, struct buf *out)
{
    struct interval iv, r;
    TRY(interval_parse(str(t->a), -1, &iv));
    if (is_op(t, "ichar")) {
        interval_to_char(&iv, str(t->b), out);
        return NULL;
    }
    if (is_op(t, "just")) {
        TRY(interval_justify(&iv, &r));
    } else {
        TRY((is_op(t, "imul") ? interval_mul : interval_div)(&iv, atof(t->b), &r));
    }
    interval_format(&r, out);
    return NULL;
}

static struct status *run_field(struct arena *a, const struct type_case *t, struct buf *out)
{
    const struct type_info *type = type_find_name(str(t->a));
    struct datum x, r;
    TRY(type_input(a, type->oid, -1, str(t->c), &x));
    if (is_op(t, "extract")) {
        TRY(datetime_extract(a, type->oid, str(t->b), &x, &r));
        if (!r.is_null) {
            numeric_format(&r, out);
        }
        return NULL;
    }
    TRY(datetime_part(type->oid, str(t->b), &x, &r));
    if (!r.is_null) {
        type_output(TYPE_FLOAT8, &r, out);
    }
    return NULL;
}

static struct status *run_case(struct arena *a, const struct type_case *t, struct buf *out)
{
    static const char *const interval_ops[] = {"imul", "idiv", "just", "ichar"};
    if (is_op(t, "in")) {
        return run_input(a, t, out);
    }
    if (is_op(t, "send")) {
        return run_send(a, t, out);
    }
    if (is_op(t, "ffloat8")) {
        struct datum x;
        TRY(type_input(a, TYPE_FLOAT8, -1, str(t->a), &x));
        x = numeric_from_float8(a, x.f);
        numeric_format(&x, out);
        return NULL;
    }
    if (t->op[0] == 'n') {
        return run_numeric(a, t, out);
    }
    if (is_op(t, "extract") || is_op(t, "part")) {
        return run_field(a, t, out);
    }
    for (size_t i = 0; i < sizeof interval_ops / sizeof *interval_ops; i++) {
        if (is_op(t, interval_ops[i])) {
            return run_interval(t, out);
        }
    }
    return run_timestamp(t, out);
}

int type_cases_run(const struct type_case *cases, int count)
{
    int wrong = 0;
    for (int i = 0; i < count; i++) {
        const struct type_case *t = &cases[i];
        struct arena *a = arena_create(0);
        struct buf out = {0};
        struct status *st = run_case(a, t, &out);
        if (st != NULL) {
            buf_clear(&out);
            buf_printf(&out, "ERR %s", st->sqlstate);
        }
        if (!slice_eq(buf_slice(&out), str(t->expected))) {
            printf("%s(%s, %s, %s): expected %s, got %.*s %s\n", t->op, t->a, t->b, t->c,
                   t->expected, (int)out.len, (char *)out.data, st != NULL ? st->message : "");
            wrong++;
        }
        status_free(st);
        buf_deinit(&out);
        arena_destroy(a);
    }
    return wrong;
}
