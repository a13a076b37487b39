/*
 * Arithmetic, fields, truncation and construction of dates, times and intervals. Infinite values
 * stay infinite; results outside the types' ranges are 22008.
 */
#include "datetime_internal.h"
#include "sql/numeric.h"

#include <math.h>

static struct status *timestamp_range(void)
{
    return status_sql(INVALID, "22008", "timestamp out of range");
}

static struct status *date_range(void)
{
    return status_sql(INVALID, "22008", "date out of range");
}

static struct status *interval_range(void)
{
    return status_sql(INVALID, "22008", "interval out of range");
}

/* ---- dates and timestamps ---- */

struct status *date_add_days(int64_t d, int64_t days, int64_t *out)
{
    if (!date_is_finite(d)) {
        *out = d;
        return NULL;
    }
    int64_t r;
    if (__builtin_add_overflow(d, days, &r) || !date_in_range(r)) {
        return date_range();
    }
    *out = r;
    return NULL;
}

struct status *date_to_timestamp(int64_t d, int64_t *out)
{
    if (!date_is_finite(d)) {
        *out = d > 0 ? TIMESTAMP_INFINITY : TIMESTAMP_NEG_INFINITY;
        return NULL;
    }
    __int128 us = (__int128)d * USECS_PER_DAY;
    if (us < TIMESTAMP_MIN || us >= TIMESTAMP_END) {
        return status_sql(INVALID, "22008", "date out of range for timestamp");
    }
    *out = (int64_t)us;
    return NULL;
}

int64_t timestamp_to_date(int64_t ts)
{
    if (!timestamp_is_finite(ts)) {
        return ts > 0 ? DATE_INFINITY : DATE_NEG_INFINITY;
    }
    return floor_div(ts, USECS_PER_DAY);
}

int64_t timestamp_to_time(int64_t ts)
{
    return timestamp_is_finite(ts) ? floor_mod(ts, USECS_PER_DAY) : 0;
}

/* Months first (the day is kept within the month), then days, then time. */
static struct status *add_interval(int64_t ts, int64_t months, int64_t days, __int128 us,
                                   int64_t *out)
{
    if (!timestamp_is_finite(ts)) {
        *out = ts;
        return NULL;
    }
    int64_t date = floor_div(ts, USECS_PER_DAY);
    int64_t time = floor_mod(ts, USECS_PER_DAY);
    if (months != 0) {
        int y, m, d;
        date_to_ymd(date, &y, &m, &d);
        int64_t total = (int64_t)y * MONTHS_PER_YEAR + (m - 1) + months;
        int64_t year = floor_div(total, MONTHS_PER_YEAR);
        if (year < -4800 || year > 300000) {
            return timestamp_range();
        }
        m = (int)(total - year * MONTHS_PER_YEAR) + 1;
        int last = days_in_month((int)year, m);
        date = date_from_ymd((int)year, m, d > last ? last : d);
    }
    __int128 r = ((__int128)date + days) * USECS_PER_DAY + time + us;
    if (r < TIMESTAMP_MIN || r >= TIMESTAMP_END) {
        return timestamp_range();
    }
    *out = (int64_t)r;
    return NULL;
}

struct status *timestamp_add(int64_t ts, const struct interval *iv, int64_t *out)
{
    return add_interval(ts, iv->months, iv->days, iv->us, out);
}

struct status *timestamp_sub_interval(int64_t ts, const struct interval *iv, int64_t *out)
{
    return add_interval(ts, -(int64_t)iv->months, -(int64_t)iv->days, -(__int128)iv->us, out);
}

struct status *timestamp_diff(int64_t x, int64_t y, struct interval *out)
{
    int64_t us;
    if (!timestamp_is_finite(x) || !timestamp_is_finite(y)) {
        return status_sql(INVALID, "22008", "cannot subtract infinite timestamps");
    }
    if (__builtin_sub_overflow(x, y, &us)) {
        return interval_range();
    }
    struct interval iv = {.us = us};
    return interval_justify_hours(&iv, out);
}

struct status *timestamp_age(int64_t x, int64_t y, struct interval *out)
{
    if (!timestamp_is_finite(x) || !timestamp_is_finite(y)) {
        return status_sql(INVALID, "22008", "timestamp out of range");
    }
    struct datetime_fields a, b;
    bool swap = x < y;
    timestamp_to_fields(swap ? y : x, &a);
    timestamp_to_fields(swap ? x : y, &b);
    int64_t us = (a.hour - b.hour) * USECS_PER_HOUR + (a.minute - b.minute) * USECS_PER_MINUTE +
                 (a.second - b.second) * USECS_PER_SEC + (a.usec - b.usec);
    int day = a.day - b.day, month = a.month - b.month, year = a.year - b.year;
    if (us < 0) {
        us += USECS_PER_DAY;
        day--;
    }
    /* Borrowed days are those of the month that the earlier one is in. */
    while (day < 0) {
        day += days_in_month(b.year, b.month);
        month--;
    }
    while (month < 0) {
        month += MONTHS_PER_YEAR;
        year--;
    }
    int sign = swap ? -1 : 1;
    *out = (struct interval){
        .us = us * sign, .days = day * sign, .months = (year * MONTHS_PER_YEAR + month) * sign};
    return NULL;
}

int64_t time_add(int64_t t, const struct interval *iv)
{
    int64_t us = (int64_t)(((__int128)t + iv->us) % USECS_PER_DAY);
    return us < 0 ? us + USECS_PER_DAY : us;
}

/* ---- intervals ---- */

struct status *interval_add(const struct interval *x, const struct interval *y,
                            struct interval *out)
{
    struct interval r;
    if (__builtin_add_overflow(x->us, y->us, &r.us) ||
        __builtin_add_overflow(x->days, y->days, &r.days) ||
        __builtin_add_overflow(x->months, y->months, &r.months)) {
        return interval_range();
    }
    *out = r;
    return NULL;
}

struct status *interval_sub(const struct interval *x, const struct interval *y,
                            struct interval *out)
{
    struct interval r;
    if (__builtin_sub_overflow(x->us, y->us, &r.us) ||
        __builtin_sub_overflow(x->days, y->days, &r.days) ||
        __builtin_sub_overflow(x->months, y->months, &r.months)) {
        return interval_range();
    }
    *out = r;
    return NULL;
}

struct status *interval_neg(const struct interval *x, struct interval *out)
{
    struct interval zero = {0};
    return interval_sub(&zero, x, out);
}

/* To the microsecond: products of doubles leave noise behind. */
static double round_usec(double seconds)
{
    return rint(seconds * (double)USECS_PER_SEC) / (double)USECS_PER_SEC;
}

/* What the fields come to, as doubles; fractions of months go to days (of 30), of days to time. */
static struct status *from_products(const struct interval *x, double months, double days, double us,
                                    struct interval *out)
{
    (void)x;
    if (isnan(months) || fabs(months) > 2147483647.0 || isnan(days) || fabs(days) > 2147483647.0) {
        return interval_range();
    }
    int32_t whole_months = (int32_t)months, whole_days = (int32_t)days;
    double more_days = round_usec((months - whole_months) * DAYS_PER_MONTH);
    double seconds = round_usec((days - whole_days + more_days - (int)more_days) * SECS_PER_DAY);
    int64_t total_days = (int64_t)whole_days + (int)more_days;
    if (fabs(seconds) >= SECS_PER_DAY) {
        total_days += (int)(seconds / SECS_PER_DAY);
        seconds -= (int)(seconds / SECS_PER_DAY) * SECS_PER_DAY;
    }
    double time = rint(us + seconds * (double)USECS_PER_SEC);
    if (isnan(time) || time >= 9223372036854775808.0 || time < -9223372036854775808.0 ||
        total_days != (int32_t)total_days) {
        return interval_range();
    }
    *out =
        (struct interval){.us = (int64_t)time, .days = (int32_t)total_days, .months = whole_months};
    return NULL;
}

struct status *interval_mul(const struct interval *x, double factor, struct interval *out)
{
    return from_products(x, (double)x->months * factor, (double)x->days * factor,
                         (double)x->us * factor, out);
}

struct status *interval_div(const struct interval *x, double divisor, struct interval *out)
{
    if (divisor == 0) {
        return status_sql(INVALID, "22012", "division by zero");
    }
    return from_products(x, (double)x->months / divisor, (double)x->days / divisor,
                         (double)x->us / divisor, out);
}

/* One sign for days and time. */
static bool same_sign(int64_t *days, int64_t *us)
{
    if (*days > 0 && *us < 0) {
        *us += USECS_PER_DAY;
        (*days)--;
    } else if (*days < 0 && *us > 0) {
        *us -= USECS_PER_DAY;
        (*days)++;
    }
    return *days == (int32_t)*days;
}

struct status *interval_justify_hours(const struct interval *x, struct interval *out)
{
    int64_t days = x->days + x->us / USECS_PER_DAY, us = x->us % USECS_PER_DAY;
    if (!same_sign(&days, &us)) {
        return interval_range();
    }
    *out = (struct interval){.us = us, .days = (int32_t)days, .months = x->months};
    return NULL;
}

struct status *interval_justify_days(const struct interval *x, struct interval *out)
{
    int64_t months = (int64_t)x->months + x->days / DAYS_PER_MONTH;
    int days = x->days % DAYS_PER_MONTH;
    if (months > 0 && days < 0) {
        days += DAYS_PER_MONTH;
        months--;
    } else if (months < 0 && days > 0) {
        days -= DAYS_PER_MONTH;
        months++;
    }
    if (months != (int32_t)months) {
        return interval_range();
    }
    *out = (struct interval){.us = x->us, .days = days, .months = (int32_t)months};
    return NULL;
}

struct status *interval_justify(const struct interval *x, struct interval *out)
{
    int64_t days = x->days + x->us / USECS_PER_DAY, us = x->us % USECS_PER_DAY;
    int64_t months = x->months + days / DAYS_PER_MONTH;
    days %= DAYS_PER_MONTH;
    if (months > 0 && (days < 0 || (days == 0 && us < 0))) {
        days += DAYS_PER_MONTH;
        months--;
    } else if (months < 0 && (days > 0 || (days == 0 && us > 0))) {
        days -= DAYS_PER_MONTH;
        months++;
    }
    if (!same_sign(&days, &us) || months != (int32_t)months) {
        return interval_range();
    }
    *out = (struct interval){.us = us, .days = (int32_t)days, .months = (int32_t)months};
    return NULL;
}

/* ---- units ---- */

static const char *type_title(type_oid type)
{
    return type_find(type)->sql_name;
}

/* The unit as messages show it: lower case, cut. */
static int unit_text(struct slice unit, char text[64])
{
    size_t n = utf8_prefix(unit, 60);
    n = n > 63 ? utf8_prefix(unit, 15) : n;
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)ascii_lower(unit.data[i]);
    }
    return (int)n;
}

static struct status *unit_unknown(struct slice unit, type_oid type)
{
    char text[64];
    TRY(utf8_check(unit));
    int n = unit_text(unit, text);
    return status_sql(INVALID, "22023", "unit \"%.*s\" not recognized for type %s", n, text,
                      type_title(type));
}

static struct status *unit_unsupported(struct slice unit, type_oid type)
{
    char text[64];
    TRY(utf8_check(unit));
    int n = unit_text(unit, text);
    return status_sql(UNSUPPORTED, "0A000", "unit \"%.*s\" not supported for type %s", n, text,
                      type_title(type));
}

/* ---- extract ---- */

/* A field's value: v / 10^scale. */
struct field_value {
    __int128 v;
    int scale;
    bool is_null;
    int infinite;   /* sign of an infinite result */
    bool is_julian; /* v days and `us` of a day: not a decimal fraction */
    int64_t us;
};

static int64_t century_of(int year)
{
    return year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100);
}

static int64_t millennium_of(int year)
{
    return year > 0 ? (year + 999) / 1000 : -((999 - (year - 1)) / 1000);
}

static bool is_time_unit(enum time_unit u)
{
    return u >= UNIT_USEC && u <= UNIT_HOUR;
}

static void time_field(enum time_unit u, int64_t us, struct field_value *f)
{
    switch (u) {
    case UNIT_USEC:
        f->v = us % USECS_PER_MINUTE;
        break;
    case UNIT_MSEC:
        f->v = us % USECS_PER_MINUTE;
        f->scale = 3;
        break;
    case UNIT_SECOND:
        f->v = us % USECS_PER_MINUTE;
        f->scale = 6;
        break;
    case UNIT_MINUTE:
        f->v = us / USECS_PER_MINUTE % 60;
        break;
    default:
        f->v = us / USECS_PER_HOUR;
        break;
    }
}

static bool date_field(enum time_unit u, int64_t date, struct field_value *f)
{
    int y, m, d, week, iso_year;
    date_to_ymd(date, &y, &m, &d);
    switch (u) {
    case UNIT_DAY:
        f->v = d;
        break;
    case UNIT_MONTH:
        f->v = m;
        break;
    case UNIT_QUARTER:
        f->v = (m - 1) / 3 + 1;
        break;
    case UNIT_YEAR:
        f->v = y > 0 ? y : y - 1;
        break;
    case UNIT_DECADE:
        f->v = y >= 0 ? y / 10 : -((8 - (y - 1)) / 10);
        break;
    case UNIT_CENTURY:
        f->v = century_of(y);
        break;
    case UNIT_MILLENNIUM:
        f->v = millennium_of(y);
        break;
    case UNIT_WEEK:
        iso_week(y, m, d, &week, &iso_year);
        f->v = week;
        break;
    case UNIT_ISOYEAR:
        iso_week(y, m, d, &week, &iso_year);
        f->v = iso_year > 0 ? iso_year : iso_year - 1;
        break;
    case UNIT_DOW:
        f->v = weekday(date);
        break;
    case UNIT_ISODOW:
        f->v = weekday(date) == 0 ? 7 : weekday(date);
        break;
    case UNIT_DOY:
        f->v = date - date_from_ymd(y, 1, 1) + 1;
        break;
    case UNIT_JULIAN:
        f->v = date + JULIAN_2000;
        break;
    default:
        return false;
    }
    return true;
}

/* Infinity is the value of what grows without bound, NULL of what goes round. */
static void infinite_field(enum time_unit u, bool neg, struct field_value *f)
{
    switch (u) {
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
    case UNIT_JULIAN:
    case UNIT_ISOYEAR:
    case UNIT_EPOCH:
        f->infinite = neg ? -1 : 1;
        break;
    default:
        f->is_null = true;
        break;
    }
}

static struct status *timestamp_field(type_oid type, struct slice word, enum time_unit u,
                                      int64_t ts, struct field_value *f)
{
    if (u >= UNIT_TIMEZONE && type != TYPE_TIMESTAMPTZ) {
        return unit_unsupported(word, type);
    }
    if (!timestamp_is_finite(ts)) {
        infinite_field(u, ts < 0, f);
        return NULL;
    }
    int64_t date = floor_div(ts, USECS_PER_DAY), us = floor_mod(ts, USECS_PER_DAY);
    if (is_time_unit(u)) {
        time_field(u, us, f);
    } else if (u == UNIT_EPOCH) {
        f->v = (__int128)ts + EPOCH_2000_US;
        f->scale = 6;
    } else if (u >= UNIT_TIMEZONE) {
        f->v = 0; /* the session's zone is UTC */
    } else if (!date_field(u, date, f)) {
        return unit_unsupported(word, type);
    } else if (u == UNIT_JULIAN) {
        f->is_julian = true;
        f->us = us;
    }
    return NULL;
}

static struct status *interval_field(struct slice word, enum time_unit u, const struct interval *iv,
                                     struct field_value *f)
{
    int years = iv->months / MONTHS_PER_YEAR, months = iv->months % MONTHS_PER_YEAR;
    switch (u) {
    case UNIT_USEC:
    case UNIT_MSEC:
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        time_field(u, iv->us, f);
        break;
    case UNIT_DAY:
        f->v = iv->days;
        break;
    case UNIT_MONTH:
        f->v = months;
        break;
    case UNIT_QUARTER:
        f->v = months / 3 + 1;
        break;
    case UNIT_YEAR:
        f->v = years;
        break;
    case UNIT_DECADE:
        f->v = years / 10;
        break;
    case UNIT_CENTURY:
        f->v = years / 100;
        break;
    case UNIT_MILLENNIUM:
        f->v = years / 1000;
        break;
    case UNIT_EPOCH: {
        /* A year has 365.25 days here. */
        __int128 quarter_days =
            (__int128)years * 1461 + ((__int128)months * DAYS_PER_MONTH + iv->days) * 4;
        f->v = quarter_days * (SECS_PER_DAY / 4) * USECS_PER_SEC + iv->us;
        f->scale = 6;
        break;
    }
    default:
        return unit_unsupported(word, TYPE_INTERVAL);
    }
    return NULL;
}

/* only_date: extract(... from date) refuses fields of the day's time, date_part() does not. */
static struct status *field_of(type_oid type, bool only_date, struct slice word,
                               const struct datum *d, struct field_value *f)
{
    enum time_unit u = unit_of_field(word);
    *f = (struct field_value){0};
    if (u == UNIT_NONE) {
        return unit_unknown(word, type);
    }
    switch (type) {
    case TYPE_DATE: {
        if (only_date && (is_time_unit(u) || u >= UNIT_TIMEZONE)) {
            return unit_unsupported(word, type);
        }
        if (!date_is_finite(d->i)) {
            infinite_field(u, d->i < 0, f);
            return NULL;
        }
        if (u == UNIT_EPOCH) {
            f->v = ((__int128)d->i * SECS_PER_DAY) + EPOCH_2000_US / USECS_PER_SEC;
            return NULL;
        }
        if (date_field(u, d->i, f)) {
            return NULL;
        }
        int64_t ts;
        TRY(date_to_timestamp(d->i, &ts));
        return timestamp_field(TYPE_TIMESTAMP, word, u, ts, f);
    }
    case TYPE_TIME:
        if (is_time_unit(u)) {
            time_field(u, d->i, f);
            return NULL;
        }
        if (u == UNIT_EPOCH) {
            f->v = d->i;
            f->scale = 6;
            return NULL;
        }
        return unit_unsupported(word, type);
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return timestamp_field(type, word, u, d->i, f);
    case TYPE_INTERVAL: {
        struct interval iv = interval_get(d);
        return interval_field(word, u, &iv, f);
    }
    default:
        return status_new(INTERNAL, "no fields in type %u", (unsigned)type);
    }
}

struct status *datetime_extract(struct arena *a, type_oid type, struct slice unit,
                                const struct datum *d, struct datum *out_numeric)
{
    struct field_value f;
    TRY(field_of(type, true, unit, d, &f));
    if (f.is_null) {
        *out_numeric = DATUM_NULL;
    } else if (f.infinite != 0) {
        *out_numeric = numeric_infinity(a, f.infinite < 0);
    } else if (f.is_julian) {
        struct datum us = numeric_from_int8(a, f.us), day = numeric_from_int8(a, USECS_PER_DAY);
        struct datum days = numeric_from_int8(a, (int64_t)f.v), fraction;
        TRY(numeric_div(a, &us, &day, &fraction));
        TRY(numeric_add(a, &days, &fraction, out_numeric));
    } else {
        *out_numeric = numeric_from_int128(a, f.v, f.scale);
    }
    return NULL;
}

struct status *datetime_part(type_oid type, struct slice unit, const struct datum *d,
                             struct datum *out_float8)
{
    static const double powers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
    struct field_value f;
    TRY(field_of(type, false, unit, d, &f));
    if (f.is_null) {
        *out_float8 = DATUM_NULL;
    } else if (f.infinite != 0) {
        *out_float8 = datum_float(f.infinite < 0 ? -HUGE_VAL : HUGE_VAL);
    } else if (f.is_julian) {
        *out_float8 = datum_float((double)f.v + (double)f.us / (double)USECS_PER_DAY);
    } else {
        *out_float8 = datum_float((double)f.v / powers[f.scale]);
    }
    return NULL;
}

/* ---- truncation ---- */

/* First year of the decade, century or millennium that `year` is in. */
static int trunc_year(enum time_unit u, int year)
{
    switch (u) {
    case UNIT_MILLENNIUM:
        return year > 0 ? (year + 999) / 1000 * 1000 - 999
                        : -((999 - (year - 1)) / 1000) * 1000 + 1;
    case UNIT_CENTURY:
        return year > 0 ? (year + 99) / 100 * 100 - 99 : -((99 - (year - 1)) / 100) * 100 + 1;
    case UNIT_DECADE:
        return year > 0 ? year / 10 * 10 : -((8 - (year - 1)) / 10) * 10;
    default:
        return year;
    }
}

struct status *timestamp_trunc(struct slice unit, bool with_zone, int64_t ts, int64_t *out)
{
    static const int64_t units[] = {
        [UNIT_USEC] = 1,          [UNIT_MSEC] = 1000,       [UNIT_SECOND] = 1000000,
        [UNIT_MINUTE] = 60000000, [UNIT_HOUR] = 3600000000, [UNIT_DAY] = 86400000000};
    type_oid type = with_zone ? TYPE_TIMESTAMPTZ : TYPE_TIMESTAMP;
    enum time_unit u = unit_of_field(unit);
    if (u >= UNIT_TIMEZONE) {
        return unit_unsupported(unit, type);
    }
    if (u == UNIT_NONE || u > UNIT_MILLENNIUM) {
        return unit_unknown(unit, type);
    }
    if (!timestamp_is_finite(ts)) {
        *out = ts;
        return NULL;
    }
    if (u <= UNIT_DAY) {
        *out = floor_div(ts, units[u]) * units[u];
        return NULL;
    }
    int y, m, d, week, iso_year;
    date_to_ymd(floor_div(ts, USECS_PER_DAY), &y, &m, &d);
    int64_t date;
    switch (u) {
    case UNIT_WEEK:
        iso_week(y, m, d, &week, &iso_year);
        date = iso_week_monday(iso_year, week);
        break;
    case UNIT_MONTH:
        date = date_from_ymd(y, m, 1);
        break;
    case UNIT_QUARTER:
        date = date_from_ymd(y, (m - 1) / 3 * 3 + 1, 1);
        break;
    default:
        date = date_from_ymd(trunc_year(u, y), 1, 1);
        break;
    }
    __int128 r = (__int128)date * USECS_PER_DAY;
    if (r < TIMESTAMP_MIN) {
        return timestamp_range();
    }
    *out = (int64_t)r;
    return NULL;
}

struct status *interval_trunc(struct slice unit, const struct interval *iv, struct interval *out)
{
    enum time_unit u = unit_of_field(unit);
    struct interval r = *iv;
    if (u == UNIT_NONE) {
        return unit_unknown(unit, TYPE_INTERVAL);
    }
    switch (u) {
    case UNIT_MILLENNIUM:
        r.months = r.months / (1000 * MONTHS_PER_YEAR) * (1000 * MONTHS_PER_YEAR);
        break;
    case UNIT_CENTURY:
        r.months = r.months / (100 * MONTHS_PER_YEAR) * (100 * MONTHS_PER_YEAR);
        break;
    case UNIT_DECADE:
        r.months = r.months / (10 * MONTHS_PER_YEAR) * (10 * MONTHS_PER_YEAR);
        break;
    case UNIT_YEAR:
        r.months = r.months / MONTHS_PER_YEAR * MONTHS_PER_YEAR;
        break;
    case UNIT_QUARTER:
        r.months = r.months / 3 * 3;
        break;
    case UNIT_MONTH:
        break;
    case UNIT_DAY:
        r.us = 0;
        break;
    case UNIT_HOUR:
        r.us -= r.us % USECS_PER_HOUR;
        break;
    case UNIT_MINUTE:
        r.us -= r.us % USECS_PER_MINUTE;
        break;
    case UNIT_SECOND:
        r.us -= r.us % USECS_PER_SEC;
        break;
    case UNIT_MSEC:
        r.us -= r.us % 1000;
        break;
    case UNIT_USEC:
        break;
    default: {
        struct status *st = unit_unsupported(unit, TYPE_INTERVAL);
        return u == UNIT_WEEK ? status_detail(st, "Months usually have fractional weeks.") : st;
    }
    }
    if (u >= UNIT_MONTH) {
        r.days = 0;
        r.us = 0;
    }
    *out = r;
    return NULL;
}

struct status *timestamp_bin(const struct interval *stride, int64_t ts, int64_t origin,
                             int64_t *out)
{
    if (!timestamp_is_finite(ts)) {
        *out = ts;
        return NULL;
    }
    if (!timestamp_is_finite(origin)) {
        return status_sql(INVALID, "22008", "origin out of range");
    }
    if (stride->months != 0) {
        return status_sql(UNSUPPORTED, "0A000",
                          "timestamps cannot be binned into intervals containing months or years");
    }
    __int128 width = (__int128)stride->days * USECS_PER_DAY + stride->us;
    if (width > INT64_MAX) {
        return interval_range();
    }
    if (width <= 0) {
        return status_sql(INVALID, "22008", "stride must be greater than zero");
    }
    __int128 diff = (__int128)ts - origin;
    __int128 rest = diff % width;
    __int128 r = ts - rest - (rest < 0 ? width : 0);
    if (r < TIMESTAMP_MIN || r >= TIMESTAMP_END) {
        return timestamp_range();
    }
    *out = (int64_t)r;
    return NULL;
}

/* ---- making ---- */

struct status *make_date(int64_t year, int64_t month, int64_t day, int64_t *out)
{
    int64_t y = year < 0 ? year + 1 : year; /* negative years are BC */
    if (year == 0 || y < -5000 || y > 6000000 || month < 1 || month > 12 || day < 1 || day > 31 ||
        !date_is_valid_ymd((int)y, (int)month, (int)day)) {
        return status_sql(INVALID, "22008", "date field value out of range: %d-%02d-%02d",
                          (int)year, (int)month, (int)day);
    }
    int64_t d = date_from_ymd((int)y, (int)month, (int)day);
    if (!date_in_range(d)) {
        return status_sql(INVALID, "22008", "date out of range: %d-%02d-%02d", (int)year,
                          (int)month, (int)day);
    }
    *out = d;
    return NULL;
}

struct status *make_time(int64_t hour, int64_t min, double sec, int64_t *out)
{
    double us = rint(sec * (double)USECS_PER_SEC);
    if (hour < 0 || min < 0 || min > 59 || isnan(sec) || sec < 0 || sec > 60 || hour > 24 ||
        (hour == 24 && (min > 0 || sec > 0))) {
        return status_sql(INVALID, "22008", "time field value out of range: %d:%02d:%02g",
                          (int)hour, (int)min, sec);
    }
    *out = hour * USECS_PER_HOUR + min * USECS_PER_MINUTE + (int64_t)us;
    return NULL;
}

struct status *make_timestamp(int64_t year, int64_t month, int64_t day, int64_t hour, int64_t min,
                              double sec, int64_t *out)
{
    int64_t date, time;
    TRY(make_date(year, month, day, &date));
    TRY(make_time(hour, min, sec, &time));
    __int128 us = (__int128)date * USECS_PER_DAY + time;
    if (us < TIMESTAMP_MIN || us >= TIMESTAMP_END) {
        return status_sql(INVALID, "22008", "timestamp out of range: %d-%02d-%02d %d:%02d:%02g",
                          (int)year, (int)month, (int)day, (int)hour, (int)min, sec);
    }
    *out = (int64_t)us;
    return NULL;
}

struct status *make_interval(int64_t years, int64_t months, int64_t weeks, int64_t days,
                             int64_t hours, int64_t mins, double secs, struct interval *out)
{
    __int128 m = (__int128)years * MONTHS_PER_YEAR + months;
    __int128 d = (__int128)weeks * 7 + days;
    double frac = rint(secs * (double)USECS_PER_SEC);
    if (!isfinite(secs) || m != (int32_t)m || d != (int32_t)d || fabs(frac) > 9.2e18) {
        return interval_range();
    }
    __int128 us =
        (__int128)hours * USECS_PER_HOUR + (__int128)mins * USECS_PER_MINUTE + (__int128)frac;
    if (us > INT64_MAX || us < INT64_MIN) {
        return interval_range();
    }
    *out = (struct interval){.us = (int64_t)us, .days = (int32_t)d, .months = (int32_t)m};
    return NULL;
}

struct status *timestamp_from_unix(double seconds, int64_t *out)
{
    if (isnan(seconds)) {
        return status_sql(INVALID, "22008", "timestamp cannot be NaN");
    }
    if (isinf(seconds)) {
        *out = seconds < 0 ? TIMESTAMP_NEG_INFINITY : TIMESTAMP_INFINITY;
        return NULL;
    }
    double us = (seconds - 946684800.0) * (double)USECS_PER_SEC;
    us = rint(us);
    if (us < (double)TIMESTAMP_MIN || us >= (double)TIMESTAMP_END) {
        return status_sql(INVALID, "22008", "timestamp out of range: \"%g\"", seconds);
    }
    *out = (int64_t)us;
    return NULL;
}
