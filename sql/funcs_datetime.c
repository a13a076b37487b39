/*
 * Date and time functions: the calendar itself is in datetime.c; here are the names, the argument
 * orders and the infinities.
 */
#include "funcs.h"

#include "sql/datetime.h"
#include "sql/numeric.h"

#include <inttypes.h>

/* ---- now ---- */

FUNC(fn_now)
{
    *out = datum_int(ctx->txn_now_us);
    return NULL;
}

FUNC(fn_statement_timestamp)
{
    *out = datum_int(ctx->stmt_now_us);
    return NULL;
}

FUNC(fn_clock_timestamp)
{
    *out = datum_int(ctx->clock_us);
    return NULL;
}

FUNC(fn_current_date)
{
    *out = datum_int(timestamp_to_date(ctx->txn_now_us));
    return NULL;
}

FUNC(fn_localtime)
{
    *out = datum_int(timestamp_to_time(ctx->txn_now_us));
    return NULL;
}

FUNC(fn_timeofday)
{
    struct buf b = {0};
    timestamp_to_char(ctx->clock_us, true, slice_str("Dy Mon DD HH24:MI:SS.US YYYY TZ"), &b);
    return func_buf(ctx, &b, out);
}

/* ---- arithmetic ---- */

static struct status *put_interval(struct eval_ctx *ctx, const struct interval *iv,
                                   struct datum *out)
{
    *out = interval_datum(ctx->arena, iv);
    return NULL;
}

FUNC(fn_date_mi)
{
    if (!date_is_finite(args[0].i) || !date_is_finite(args[1].i)) {
        return status_sql(INVALID, "22008", "cannot subtract infinite dates");
    }
    *out = datum_int(args[0].i - args[1].i);
    return NULL;
}

FUNC(fn_date_pli)
{
    return date_add_days(args[0].i, args[1].i, &out->i);
}

FUNC(fn_int_pl_date)
{
    return date_add_days(args[1].i, args[0].i, &out->i);
}

FUNC(fn_date_mii)
{
    return date_add_days(args[0].i, -args[1].i, &out->i);
}

static struct status *date_shift(int64_t date, const struct datum *by, bool back, struct datum *out)
{
    struct interval iv = interval_get(by);
    int64_t ts;
    TRY(date_to_timestamp(date, &ts));
    return back ? timestamp_sub_interval(ts, &iv, &out->i) : timestamp_add(ts, &iv, &out->i);
}

FUNC(fn_date_pl_iv)
{
    return date_shift(args[0].i, &args[1], false, out);
}

FUNC(fn_iv_pl_date)
{
    return date_shift(args[1].i, &args[0], false, out);
}

FUNC(fn_date_mi_iv)
{
    return date_shift(args[0].i, &args[1], true, out);
}

static struct status *date_and_time(int64_t date, int64_t time, struct datum *out)
{
    struct interval iv = {.us = time};
    int64_t ts;
    TRY(date_to_timestamp(date, &ts));
    return timestamp_add(ts, &iv, &out->i);
}

FUNC(fn_date_pl_time)
{
    return date_and_time(args[0].i, args[1].i, out);
}

FUNC(fn_time_pl_date)
{
    return date_and_time(args[1].i, args[0].i, out);
}

FUNC(fn_ts_mi)
{
    struct interval iv;
    TRY(timestamp_diff(args[0].i, args[1].i, &iv));
    return put_interval(ctx, &iv, out);
}

FUNC(fn_ts_pl_iv)
{
    struct interval iv = interval_get(&args[1]);
    return timestamp_add(args[0].i, &iv, &out->i);
}

FUNC(fn_iv_pl_ts)
{
    struct interval iv = interval_get(&args[0]);
    return timestamp_add(args[1].i, &iv, &out->i);
}

FUNC(fn_ts_mi_iv)
{
    struct interval iv = interval_get(&args[1]);
    return timestamp_sub_interval(args[0].i, &iv, &out->i);
}

FUNC(fn_time_pl_iv)
{
    struct interval iv = interval_get(&args[1]);
    *out = datum_int(time_add(args[0].i, &iv));
    return NULL;
}

FUNC(fn_iv_pl_time)
{
    struct interval iv = interval_get(&args[0]);
    *out = datum_int(time_add(args[1].i, &iv));
    return NULL;
}

FUNC(fn_time_mi_iv)
{
    struct interval iv = interval_get(&args[1]), back = {0};
    back.us = -(iv.us % USECS_PER_DAY); /* only the part of a day moves a time */
    *out = datum_int(time_add(args[0].i, &back));
    return NULL;
}

FUNC(fn_time_mi_time)
{
    struct interval iv = {.us = args[0].i - args[1].i};
    return put_interval(ctx, &iv, out);
}

FUNC(fn_iv_pl)
{
    struct interval x = interval_get(&args[0]), y = interval_get(&args[1]), r;
    TRY(interval_add(&x, &y, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_iv_mi)
{
    struct interval x = interval_get(&args[0]), y = interval_get(&args[1]), r;
    TRY(interval_sub(&x, &y, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_iv_um)
{
    struct interval x = interval_get(&args[0]), r;
    TRY(interval_neg(&x, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_iv_mul)
{
    struct interval x = interval_get(&args[0]), r;
    TRY(interval_mul(&x, args[1].f, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_mul_d_iv)
{
    struct interval x = interval_get(&args[1]), r;
    TRY(interval_mul(&x, args[0].f, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_iv_div)
{
    struct interval x = interval_get(&args[0]), r;
    TRY(interval_div(&x, args[1].f, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_age)
{
    struct interval iv;
    TRY(timestamp_age(args[0].i, args[1].i, &iv));
    return put_interval(ctx, &iv, out);
}

/* From midnight of the current day. */
FUNC(fn_age_now)
{
    struct interval iv;
    int64_t today;
    TRY(date_to_timestamp(timestamp_to_date(ctx->txn_now_us), &today));
    TRY(timestamp_age(today, args[0].i, &iv));
    return put_interval(ctx, &iv, out);
}

FUNC(fn_justify_hours)
{
    struct interval x = interval_get(&args[0]), r;
    TRY(interval_justify_hours(&x, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_justify_days)
{
    struct interval x = interval_get(&args[0]), r;
    TRY(interval_justify_days(&x, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_justify_interval)
{
    struct interval x = interval_get(&args[0]), r;
    TRY(interval_justify(&x, &r));
    return put_interval(ctx, &r, out);
}

FUNC(fn_isfinite_date)
{
    *out = datum_bool(date_is_finite(args[0].i));
    return NULL;
}

FUNC(fn_isfinite_ts)
{
    *out = datum_bool(timestamp_is_finite(args[0].i));
    return NULL;
}

FUNC(fn_isfinite_iv)
{
    *out = datum_bool(true);
    return NULL;
}

/* ---- overlaps ---- */

struct period {
    struct datum start;
    struct datum end; /* NULL: unknown */
};

/* The end may be given as an interval from the start. False: nothing is known. */
static struct status *period_of(const struct eval_ctx *ctx, const struct datum *args, int at,
                                struct period *p, bool *out_known)
{
    p->start = args[at];
    p->end = args[at + 1];
    if (func_call_arg_type(ctx, at + 1) == TYPE_INTERVAL) {
        if (p->start.is_null || p->end.is_null) {
            p->end = DATUM_NULL;
        } else {
            struct interval iv = interval_get(&p->end);
            if (func_call_arg_type(ctx, at) == TYPE_TIME) {
                p->end = datum_int(time_add(p->start.i, &iv));
            } else {
                int64_t end;
                TRY(timestamp_add(p->start.i, &iv, &end));
                p->end = datum_int(end);
            }
        }
    }
    *out_known = true;
    if (p->start.is_null) {
        *out_known = !p->end.is_null;
        p->start = p->end;
        p->end = DATUM_NULL;
    } else if (!p->end.is_null && p->start.i > p->end.i) {
        struct datum d = p->start;
        p->start = p->end;
        p->end = d;
    }
    return NULL;
}

FUNC(fn_overlaps)
{
    struct period x, y;
    bool known_x, known_y;
    TRY(period_of(ctx, args, 0, &x, &known_x));
    TRY(period_of(ctx, args, 2, &y, &known_y));
    *out = DATUM_NULL;
    if (!known_x || !known_y) {
        return NULL;
    }
    if (x.start.i > y.start.i) { /* order them by their starts */
        struct period p = x;
        x = y;
        y = p;
    }
    if (x.start.i == y.start.i) {
        if (!x.end.is_null && !y.end.is_null) {
            *out = datum_bool(true);
        }
        return NULL;
    }
    if (x.end.is_null) {
        return NULL;
    }
    if (y.start.i < x.end.i) {
        *out = datum_bool(true);
    } else if (!y.end.is_null) {
        *out = datum_bool(false);
    }
    return NULL;
}

/* ---- fields ---- */

#define PART(name)                                                                                 \
    FUNC(fn_date_part_##name)                                                                      \
    {                                                                                              \
        return datetime_part(func_call_arg_type(ctx, 1), datum_slice(&args[0]), &args[1], out);    \
    }                                                                                              \
    FUNC(fn_extract_##name)                                                                        \
    {                                                                                              \
        return datetime_extract(ctx->arena, func_call_arg_type(ctx, 1), datum_slice(&args[0]),     \
                                &args[1], out);                                                    \
    }

PART(date)
PART(time)
PART(ts)
PART(iv)

FUNC(fn_date_trunc_ts)
{
    return timestamp_trunc(datum_slice(&args[0]), func_call_arg_type(ctx, 1) == TYPE_TIMESTAMPTZ,
                           args[1].i, &out->i);
}

FUNC(fn_date_trunc_iv)
{
    struct interval x = interval_get(&args[1]), r;
    TRY(interval_trunc(datum_slice(&args[0]), &x, &r));
    return put_interval(ctx, &r, out);
}

/* Seconds east of UTC. In a zone's name a plain offset counts westward, as POSIX has it: '+02' is
 * two hours behind UTC. */
static struct status *named_zone(const struct datum *name, int64_t *out)
{
    int32_t offset;
    TRY(datetime_zone(datum_slice(name), &offset));
    bool is_posix = name->len > 0 && (name->p[0] == '+' || name->p[0] == '-' ||
                                      (name->p[0] >= '0' && name->p[0] <= '9'));
    *out = is_posix ? -(int64_t)offset : offset;
    return NULL;
}

static struct status *shift_seconds(int64_t ts, int64_t seconds, int64_t *out)
{
    struct interval iv = {.us = seconds * USECS_PER_SEC};
    return timestamp_add(ts, &iv, out);
}

FUNC(fn_date_trunc_tz)
{
    int64_t offset, local;
    TRY(named_zone(&args[2], &offset));
    TRY(shift_seconds(args[1].i, offset, &local));
    TRY(timestamp_trunc(datum_slice(&args[0]), true, local, &local));
    return shift_seconds(local, -offset, &out->i);
}

FUNC(fn_date_bin)
{
    struct interval stride = interval_get(&args[0]);
    return timestamp_bin(&stride, args[1].i, args[2].i, &out->i);
}

/* timestamptz AT TIME ZONE: what a clock there shows. */
FUNC(fn_timezone_at_name)
{
    int64_t offset;
    TRY(named_zone(&args[0], &offset));
    return shift_seconds(args[1].i, offset, &out->i);
}

/* timestamp AT TIME ZONE: when a clock there shows it. */
FUNC(fn_timezone_to_name)
{
    int64_t offset;
    TRY(named_zone(&args[0], &offset));
    return shift_seconds(args[1].i, -offset, &out->i);
}

static struct status *zone_interval(const struct datum *d, int64_t *out_seconds)
{
    struct interval iv = interval_get(d);
    if (iv.months != 0 || iv.days != 0) {
        struct buf b = {0};
        interval_format(&iv, &b);
        struct status *st = status_sql(
            INVALID, "22023", "interval time zone \"%.*s\" must not include months or days",
            (int)b.len, (const char *)b.data);
        buf_deinit(&b);
        return st;
    }
    *out_seconds = iv.us / USECS_PER_SEC;
    return NULL;
}

FUNC(fn_timezone_at_iv)
{
    int64_t offset;
    TRY(zone_interval(&args[0], &offset));
    return shift_seconds(args[1].i, offset, &out->i);
}

FUNC(fn_timezone_to_iv)
{
    int64_t offset;
    TRY(zone_interval(&args[0], &offset));
    return shift_seconds(args[1].i, -offset, &out->i);
}

/* ---- making and formatting ---- */

FUNC(fn_make_date)
{
    return make_date(args[0].i, args[1].i, args[2].i, &out->i);
}

FUNC(fn_make_time)
{
    return make_time(args[0].i, args[1].i, args[2].f, &out->i);
}

FUNC(fn_make_timestamp)
{
    return make_timestamp(args[0].i, args[1].i, args[2].i, args[3].i, args[4].i, args[5].f,
                          &out->i);
}

FUNC(fn_make_interval)
{
    int64_t v[6] = {0};
    for (int i = 0; i < 6 && i < nargs; i++) {
        v[i] = args[i].i;
    }
    struct interval iv;
    TRY(make_interval(v[0], v[1], v[2], v[3], v[4], v[5], nargs > 6 ? args[6].f : 0, &iv));
    return put_interval(ctx, &iv, out);
}

FUNC(fn_epoch_to_ts)
{
    return timestamp_from_unix(args[0].f, &out->i);
}

FUNC(fn_to_char_ts)
{
    if (args[1].len == 0 || !timestamp_is_finite(args[0].i)) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct buf b = {0};
    timestamp_to_char(args[0].i, func_call_arg_type(ctx, 0) == TYPE_TIMESTAMPTZ,
                      datum_slice(&args[1]), &b);
    return func_buf(ctx, &b, out);
}

FUNC(fn_to_char_iv)
{
    if (args[1].len == 0) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct interval iv = interval_get(&args[0]);
    struct buf b = {0};
    interval_to_char(&iv, datum_slice(&args[1]), &b);
    return func_buf(ctx, &b, out);
}

FUNC(fn_to_timestamp)
{
    return timestamp_from_char(datum_slice(&args[0]), datum_slice(&args[1]), &out->i);
}

FUNC(fn_to_date)
{
    int64_t ts;
    TRY(timestamp_from_char(datum_slice(&args[0]), datum_slice(&args[1]), &ts));
    *out = datum_int(timestamp_to_date(ts));
    return NULL;
}

/* ---- casts ---- */

FUNC(fn_cast_date_ts)
{
    return date_to_timestamp(args[0].i, &out->i);
}

FUNC(fn_cast_ts_date)
{
    *out = datum_int(timestamp_to_date(args[0].i));
    return NULL;
}

FUNC(fn_cast_ts_time)
{
    *out = timestamp_is_finite(args[0].i) ? datum_int(timestamp_to_time(args[0].i)) : DATUM_NULL;
    return NULL;
}

FUNC(fn_cast_time_iv)
{
    struct interval iv = {.us = args[0].i};
    return put_interval(ctx, &iv, out);
}

FUNC(fn_cast_iv_time)
{
    int64_t t = interval_get(&args[0]).us % USECS_PER_DAY;
    *out = datum_int(t < 0 ? t + USECS_PER_DAY : t);
    return NULL;
}

FUNC(fn_cast_ts_scale)
{
    *out = datum_int(timestamp_apply_typmod(args[0].i, (int32_t)args[1].i));
    return NULL;
}

FUNC(fn_cast_time_scale)
{
    *out = datum_int(time_apply_typmod(args[0].i, (int32_t)args[1].i));
    return NULL;
}

FUNC(fn_cast_iv_scale)
{
    struct interval iv = interval_apply_typmod(interval_get(&args[0]), (int32_t)args[1].i);
    return put_interval(ctx, &iv, out);
}
