/* Shared by the datetime_*.c files: words, limits, small helpers. */
#ifndef SQL_DATETIME_INTERNAL_H
#define SQL_DATETIME_INTERNAL_H

#include "sql/datetime.h"
#include "value.h"

#define TIMESTAMP_MIN INT64_C(-211813488000000000) /* 4714-11-24 BC */
#define TIMESTAMP_END INT64_C(9223371331200000000) /* 294277-01-01 */
#define DATE_MIN INT64_C(-2451545)
#define DATE_END (INT64_C(2147483494) - 2451545)
#define JULIAN_2000 2451545
#define USECS_PER_HOUR (INT64_C(3600) * USECS_PER_SEC)
#define USECS_PER_MINUTE (INT64_C(60) * USECS_PER_SEC)

enum { MONTHS_PER_YEAR = 12, DAYS_PER_MONTH = 30, SECS_PER_DAY = 86400 };

static inline bool timestamp_in_range(int64_t ts)
{
    return ts >= TIMESTAMP_MIN && ts < TIMESTAMP_END;
}
static inline bool date_in_range(int64_t d)
{
    return d >= DATE_MIN && d < DATE_END;
}
static inline bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}
int days_in_month(int year, int month);
static inline int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}
/* a - floor_div(a, b) * b, which for values of a damaged row could pass 64 bits. b > 0. */
static inline int64_t floor_mod(int64_t a, int64_t b)
{
    int64_t m = a % b;
    return m < 0 ? m + b : m;
}
/* Rounds half away from zero to a multiple of unit; towards zero where that would overflow. */
static inline int64_t round_to(int64_t v, int64_t unit)
{
    int64_t rest = v % unit, low = v - rest;
    int64_t up = rest >= 0 ? unit : -unit, r;
    if ((rest < 0 ? -rest : rest) * 2 < unit || __builtin_add_overflow(low, up, &r)) {
        return low;
    }
    return r;
}

/* Fields of a timestamp, and units of intervals, extract() and date_trunc(). */
enum time_unit {
    UNIT_NONE = 0,
    UNIT_USEC,
    UNIT_MSEC,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    /* extract() only */
    UNIT_EPOCH,
    UNIT_DOW,
    UNIT_ISODOW,
    UNIT_DOY,
    UNIT_ISOYEAR,
    UNIT_JULIAN,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
};
/* Unit of an interval word ("days", "h", "mon"): no extract()-only ones. */
enum time_unit unit_of_word(struct slice word);
/* As extract() and date_trunc() take it. */
enum time_unit unit_of_field(struct slice word);

/* Offset east of UTC in seconds of a zone abbreviation. False: unknown. */
bool zone_abbreviation(struct slice word, int32_t *out_offset_s);

extern const char *const month_names[12]; /* "January" ... */
extern const char *const day_names[7];    /* "Sunday" ... */
int weekday(int64_t date);                /* 0 = Sunday */
/* ISO 8601 week and the year it belongs to. */
void iso_week(int year, int month, int day, int *out_week, int *out_year);
int64_t iso_week_monday(int year, int week); /* as a date */

#endif
