/*
 * date, time, timestamp, timestamptz, interval: PostgreSQL's text forms, arithmetic and fields.
 *
 * Datums: date = days since 2000-01-01, timestamp(tz) = microseconds since then, time =
 * microseconds of the day; +-infinity are the extreme values named below. The session's time zone
 * is UTC, so that timestamp and timestamptz differ only in what their text shows; input accepts
 * offsets, UTC/GMT/Z and the usual abbreviations (EST, CET ...). DateStyle ISO, MDY;
 * IntervalStyle postgres.
 *
 * An interval datum points at 16 bytes: microseconds i64, days i32, months i32, little-endian,
 * unaligned. Read them by interval_get(), never by a pointer cast.
 *
 * Errors: 22007 syntax, 22008 field or result out of range, 22023 unknown unit or zone.
 */
#ifndef SQL_DATETIME_H
#define SQL_DATETIME_H

#include "sql/datum.h"
#include "sql/types.h"

#define DATE_INFINITY ((int64_t)INT32_MAX)
#define DATE_NEG_INFINITY ((int64_t)INT32_MIN)
#define TIMESTAMP_INFINITY INT64_MAX
#define TIMESTAMP_NEG_INFINITY INT64_MIN
#define USECS_PER_SEC INT64_C(1000000)
#define USECS_PER_DAY (INT64_C(86400) * USECS_PER_SEC)
#define EPOCH_2000_US (INT64_C(946684800) * USECS_PER_SEC) /* 2000-01-01 after 1970-01-01 */

static inline bool timestamp_is_finite(int64_t ts)
{
    return ts != TIMESTAMP_INFINITY && ts != TIMESTAMP_NEG_INFINITY;
}
static inline bool date_is_finite(int64_t d)
{
    return d != DATE_INFINITY && d != DATE_NEG_INFINITY;
}

/* What 'now', 'today', 'tomorrow', 'yesterday' mean to type_input() on this thread: the start of
 * the transaction, as a timestamp datum (microseconds since 2000-01-01). The session sets it before
 * it analyses or runs a statement. INT64_MIN = unknown: those words are then 0A000. */
void datetime_set_now(int64_t now_us);
int64_t datetime_now(void);

/* ---- calendar ---- */
struct datetime_fields {
    int year;  /* astronomical: 0 = 1 BC */
    int month; /* 1..12 */
    int day;
    int hour;
    int minute;
    int second;
    int usec;
};
int64_t date_from_ymd(int year, int month, int day); /* days since 2000-01-01; not checked */
void date_to_ymd(int64_t date, int *year, int *month, int *day);
void timestamp_to_fields(int64_t ts, struct datetime_fields *f); /* finite ts */
/* False when out of timestamp's range. Fields are not checked. */
bool timestamp_from_fields(const struct datetime_fields *f, int64_t *out);
bool date_is_valid_ymd(int year, int month, int day);

/* ---- text ---- */
struct status *date_parse(struct slice s, int64_t *out) STATUS_MUST_CHECK;
struct status *time_parse(struct slice s, int64_t *out) STATUS_MUST_CHECK;
/* with_zone: timestamptz (an offset in the text is applied; else it is ignored, as PostgreSQL
 * does). */
struct status *timestamp_parse(struct slice s, bool with_zone, int64_t *out) STATUS_MUST_CHECK;
struct status *interval_parse(struct slice s, int32_t typmod,
                              struct interval *out) STATUS_MUST_CHECK;
void date_format(int64_t d, struct buf *out);
void time_format(int64_t t, struct buf *out);
void timestamp_format(int64_t ts, bool with_zone, struct buf *out);
void interval_format(const struct interval *iv, struct buf *out);
/* Rounds to 0..6 digits of a second; -1 = as it is. */
int64_t timestamp_apply_typmod(int64_t ts, int32_t typmod);
int64_t time_apply_typmod(int64_t t, int32_t typmod);
struct interval interval_apply_typmod(struct interval iv, int32_t typmod);
/* Offset east of UTC in seconds of 'UTC', '+02', '-03:30', 'EST'. 22023 when unknown. */
struct status *datetime_zone(struct slice name, int32_t *out_offset_s) STATUS_MUST_CHECK;

/* ---- interval datums ---- */
struct interval interval_get(const struct datum *d);
struct datum interval_datum(struct arena *a, const struct interval *iv);
int interval_compare(const struct interval *x, const struct interval *y); /* 30-day months */

/* ---- arithmetic; all keep infinities and refuse overflow with 22008 ---- */
struct status *date_add_days(int64_t d, int64_t days, int64_t *out) STATUS_MUST_CHECK;
struct status *date_to_timestamp(int64_t d, int64_t *out) STATUS_MUST_CHECK;
int64_t timestamp_to_date(int64_t ts);
int64_t timestamp_to_time(int64_t ts); /* of the day */
struct status *timestamp_add(int64_t ts, const struct interval *iv, int64_t *out) STATUS_MUST_CHECK;
struct status *timestamp_sub_interval(int64_t ts, const struct interval *iv,
                                      int64_t *out) STATUS_MUST_CHECK;
struct status *timestamp_diff(int64_t x, int64_t y,
                              struct interval *out) STATUS_MUST_CHECK; /* x - y in days and time */
struct status *timestamp_age(int64_t x, int64_t y,
                             struct interval *out) STATUS_MUST_CHECK; /* in years, months, days */
int64_t time_add(int64_t t, const struct interval *iv);               /* modulo a day */
struct status *interval_add(const struct interval *x, const struct interval *y,
                            struct interval *out) STATUS_MUST_CHECK;
struct status *interval_sub(const struct interval *x, const struct interval *y,
                            struct interval *out) STATUS_MUST_CHECK;
struct status *interval_neg(const struct interval *x, struct interval *out) STATUS_MUST_CHECK;
struct status *interval_mul(const struct interval *x, double factor,
                            struct interval *out) STATUS_MUST_CHECK;
struct status *interval_div(const struct interval *x, double divisor,
                            struct interval *out) STATUS_MUST_CHECK;
struct status *interval_justify_hours(const struct interval *x,
                                      struct interval *out) STATUS_MUST_CHECK;
struct status *interval_justify_days(const struct interval *x,
                                     struct interval *out) STATUS_MUST_CHECK;
struct status *interval_justify(const struct interval *x, struct interval *out) STATUS_MUST_CHECK;

/* ---- fields ---- */
/* extract(unit from x) as numeric, date_part() as float8. type: TYPE_DATE, TIME, TIMESTAMP,
 * TIMESTAMPTZ or INTERVAL. unit in any case. An infinite input gives NULL for some units,
 * +-Infinity for others. 22023 unit not recognized, 0A000 unit not supported. */
struct status *datetime_extract(struct arena *a, type_oid type, struct slice unit,
                                const struct datum *d, struct datum *out_numeric) STATUS_MUST_CHECK;
struct status *datetime_part(type_oid type, struct slice unit, const struct datum *d,
                             struct datum *out_float8) STATUS_MUST_CHECK;
struct status *timestamp_trunc(struct slice unit, bool with_zone, int64_t ts,
                               int64_t *out) STATUS_MUST_CHECK;
struct status *interval_trunc(struct slice unit, const struct interval *iv,
                              struct interval *out) STATUS_MUST_CHECK;
/* date_bin(): the start of the stride-wide bin, counted from origin, that ts is in. */
struct status *timestamp_bin(const struct interval *stride, int64_t ts, int64_t origin,
                             int64_t *out) STATUS_MUST_CHECK;

/* ---- making ---- */
struct status *make_date(int64_t year, int64_t month, int64_t day, int64_t *out) STATUS_MUST_CHECK;
struct status *make_time(int64_t hour, int64_t min, double sec, int64_t *out) STATUS_MUST_CHECK;
struct status *make_timestamp(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t min,
                              double sec, int64_t *out) STATUS_MUST_CHECK;
struct status *make_interval(int64_t years, int64_t months, int64_t weeks, int64_t days,
                             int64_t hours, int64_t mins, double secs,
                             struct interval *out) STATUS_MUST_CHECK;
/* to_timestamp(double): seconds since 1970. */
struct status *timestamp_from_unix(double seconds, int64_t *out) STATUS_MUST_CHECK;

/* ---- formatting by picture: to_char, to_timestamp, to_date ---- */
/* YYYY YY Q MM Mon Month DD DDD D HH HH24 HH12 MI SS MS US AM PM TZ IW WW W J CC Day Dy ID IYYY BC
 * AD FM, TH and quoted text. */
void timestamp_to_char(int64_t ts, bool with_zone, struct slice picture, struct buf *out);
void interval_to_char(const struct interval *iv, struct slice picture, struct buf *out);
struct status *timestamp_from_char(struct slice text, struct slice picture,
                                   int64_t *out) STATUS_MUST_CHECK;

#endif
