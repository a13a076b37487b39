/*
 * Text input of dates, times, timestamps and intervals.
 *
 * A timestamp's text is a sequence of tokens in nearly any order: dates with separators
 * (1999-01-08, 1/8/1999, 8-Jan-1999), run-together digits (19990108, T040506), times
 * (04:05:06.789), months and weekdays by name, numbers whose meaning follows from what is known
 * already, offsets, zone abbreviations, AM/PM, BC. Each token fills fields of one struct; a field
 * filled twice is a syntax error. Ambiguous dates are read as month/day/year. Ranges are checked
 * when all is known.
 *
 * An interval's text is numbers with units, SQL's year-month and day time forms, or ISO 8601's
 * P1Y2M3DT4H5M6S. A number without a unit takes it from what follows, else it is seconds (or the
 * smallest field of the typmod).
 */
#include "datetime_internal.h"

#include <math.h>
#include <stdlib.h>

enum parse_result {
    PARSE_OK,
    PARSE_SYNTAX,
    PARSE_RANGE,      /* a field is out of range */
    PARSE_DATE_ORDER, /* the same, and another DateStyle might have helped */
    PARSE_INTERVAL,
    PARSE_ZONE,
    PARSE_NO_NOW,
};

static struct status *parse_error(enum parse_result r, const char *what, struct slice s)
{
    TRY(utf8_check(s));
    int n = (int)utf8_prefix(s, 500);
    const char *t = (const char *)s.data;
    switch (r) {
    case PARSE_RANGE:
        return status_sql(INVALID, "22008", "date/time field value out of range: \"%.*s\"", n, t);
    case PARSE_DATE_ORDER:
        return status_hint(
            status_sql(INVALID, "22008", "date/time field value out of range: \"%.*s\"", n, t),
            "Perhaps you need a different \"datestyle\" setting.");
    case PARSE_INTERVAL:
        return status_sql(INVALID, "22015", "interval field value out of range: \"%.*s\"", n, t);
    case PARSE_ZONE:
        return status_sql(INVALID, "22009", "time zone displacement out of range: \"%.*s\"", n, t);
    case PARSE_NO_NOW:
        return status_sql(UNSUPPORTED, "0A000", "\"%.*s\" is not known here", n, t);
    default:
        return status_sql(INVALID, "22007", "invalid input syntax for type %s: \"%.*s\"", what, n,
                          t);
    }
}

/* ---- tokens ---- */

enum { HAS_YEAR = 1, HAS_MONTH = 2, HAS_DAY = 4, HAS_DATE = 7, HAS_TIME = 8, HAS_ZONE = 16 };

enum special {
    SPECIAL_NONE,
    SPECIAL_NOW,
    SPECIAL_EPOCH,
    SPECIAL_INFINITY,
    SPECIAL_NEG_INFINITY,
    SPECIAL_DAY /* today and its neighbours: date is set */
};

struct parsed {
    const uint8_t *p;
    const uint8_t *end;
    int has;
    int year, month, day;
    int hour, minute, second, usec;
    int day_of_year;
    int zone_s;   /* east of UTC */
    int meridian; /* 0 none, 1 AM, 2 PM */
    enum special special;
    int day_offset; /* of SPECIAL_DAY from today */
    bool is_bc;
    bool is_two_digit_year;
    bool has_text_month;
    bool is_julian;
    bool want_time; /* after 'T' */
    int64_t julian;
};

static size_t count_digits(const uint8_t *p, const uint8_t *end)
{
    size_t n = 0;
    while (p + n < end && is_digit(p[n])) {
        n++;
    }
    return n;
}

static bool is_alpha(uint8_t c)
{
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z';
}

/* At most nine digits; more saturate. */
static int to_int(const uint8_t *p, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < n; i++) {
        if (v > 99999999) {
            return 1000000000;
        }
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

/* Digits after a point as microseconds, rounded. May be 1000000. */
static int fraction_us(const uint8_t *p, size_t n)
{
    int v = 0;
    for (size_t i = 0; i < 6; i++) {
        v = v * 10 + (i < n ? p[i] - '0' : 0);
    }
    if (n > 6) {
        /* Half to even on the decimal digits, as rint() of the fraction does. */
        bool above = false;
        for (size_t i = 7; i < n; i++) {
            above = above || p[i] != '0';
        }
        if (p[6] > '5' || (p[6] == '5' && (above || (v & 1)))) {
            v++;
        }
    }
    return v;
}

static int set_field(struct parsed *s, int flag)
{
    if (s->has & flag) {
        return PARSE_SYNTAX;
    }
    s->has |= flag;
    return PARSE_OK;
}

/* A number whose meaning depends on what is known: PostgreSQL's rules for month/day/year order. */
static enum parse_result take_number(struct parsed *s, const uint8_t *p, size_t n)
{
    int v = to_int(p, n);
    int known = s->has & HAS_DATE;
    if (n == 3 && known == HAS_YEAR && v >= 1 && v <= 366) {
        s->has |= HAS_MONTH | HAS_DAY;
        s->day_of_year = v;
        return PARSE_OK;
    }
    switch (known) {
    case 0:
        if (n >= 3) {
            goto year;
        }
        goto month;
    case HAS_YEAR:
        goto month;
    case HAS_MONTH:
        if (s->has_text_month && n >= 3) {
            goto year;
        }
        goto day;
    case HAS_YEAR | HAS_MONTH:
        if (s->has_text_month && n >= 3 && s->is_two_digit_year) {
            /* The first number was the day after all. */
            s->has |= HAS_DAY;
            s->day = s->year;
            s->year = v;
            s->is_two_digit_year = false;
            return PARSE_OK;
        }
        goto day;
    case HAS_DAY:
        goto month;
    case HAS_MONTH | HAS_DAY:
        goto year;
    default:
        return PARSE_SYNTAX;
    }
year:
    s->year = v;
    s->is_two_digit_year = n <= 2;
    return (enum parse_result)set_field(s, HAS_YEAR);
month:
    s->month = v;
    return (enum parse_result)set_field(s, HAS_MONTH);
day:
    s->day = v;
    return (enum parse_result)set_field(s, HAS_DAY);
}

/* Run-together digits: [yy]yymmdd, or after a date hhmmss, hhmm. */
static enum parse_result take_digits(struct parsed *s, const uint8_t *p, size_t n)
{
    bool date_known = (s->has & HAS_DATE) == HAS_DATE || s->special != SPECIAL_NONE;
    if (!date_known && !s->want_time && n >= 6) {
        if (s->has & HAS_DATE) {
            return PARSE_SYNTAX;
        }
        s->has |= HAS_DATE;
        s->day = to_int(p + n - 2, 2);
        s->month = to_int(p + n - 4, 2);
        s->year = to_int(p, n - 4);
        s->is_two_digit_year = n == 6;
        return PARSE_OK;
    }
    if ((n == 6 || n == 4 || (n == 2 && s->want_time)) && (date_known || s->want_time)) {
        if (set_field(s, HAS_TIME) != PARSE_OK) {
            return PARSE_SYNTAX;
        }
        s->hour = to_int(p, 2);
        s->minute = n >= 4 ? to_int(p + 2, 2) : 0;
        s->second = n == 6 ? to_int(p + 4, 2) : 0;
        return PARSE_OK;
    }
    return PARSE_SYNTAX;
}

/* hh:mm[:ss[.ffffff]] at s->p. */
static enum parse_result take_time(struct parsed *s)
{
    size_t n = count_digits(s->p, s->end);
    if (set_field(s, HAS_TIME) != PARSE_OK) {
        return PARSE_SYNTAX;
    }
    s->hour = to_int(s->p, n);
    s->p += n + 1;
    n = count_digits(s->p, s->end);
    if (n == 0) {
        return PARSE_SYNTAX;
    }
    s->minute = to_int(s->p, n);
    s->p += n;
    if (s->p < s->end && *s->p == ':') {
        s->p++;
        n = count_digits(s->p, s->end);
        if (n == 0) {
            return PARSE_SYNTAX;
        }
        s->second = to_int(s->p, n);
        s->p += n;
    } else if (s->p < s->end && *s->p == '.') {
        /* mm:ss.fff */
        s->second = s->minute;
        s->minute = s->hour;
        s->hour = 0;
    }
    if (s->p < s->end && *s->p == '.') {
        n = count_digits(s->p + 1, s->end);
        s->usec = fraction_us(s->p + 1, n);
        s->p += n + 1;
    }
    return PARSE_OK;
}

static int month_of_word(struct slice w)
{
    for (int i = 0; i < 12; i++) {
        size_t full = strlen(month_names[i]), k = 0;
        while (k < w.len && k < full &&
               ascii_lower(w.data[k]) == ascii_lower((uint8_t)month_names[i][k])) {
            k++;
        }
        if (k == w.len && (k == 3 || k == full || (i == 8 && k == 4))) {
            return i + 1;
        }
    }
    return 0;
}

static bool is_weekday_word(struct slice w)
{
    static const char *const more[] = {"tues", "wednes", "wed", "thur", "thurs", "thu"};
    for (int i = 0; i < 7; i++) {
        struct slice full = slice_str(day_names[i]);
        if (w.len != 3 && w.len != full.len) {
            continue;
        }
        size_t k = 0;
        while (k < w.len && ascii_lower(w.data[k]) == ascii_lower(full.data[k])) {
            k++;
        }
        if (k == w.len) {
            return true;
        }
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (slice_is_word(w, more[i])) {
            return true;
        }
    }
    return false;
}

static enum parse_result set_text_month(struct parsed *s, int month)
{
    if (s->has & HAS_MONTH) {
        /* '8 Jan 1999': the 8 had been taken for the month. */
        if (s->has_text_month || (s->has & HAS_DAY)) {
            return PARSE_SYNTAX;
        }
        s->has |= HAS_DAY;
        s->day = s->month;
    }
    s->has |= HAS_MONTH;
    s->has_text_month = true;
    s->month = month;
    return PARSE_OK;
}

/* A date with separators at s->p: parts of digits or letters joined by one separator. */
static enum parse_result take_date(struct parsed *s)
{
    struct slice parts[3];
    int n = 0;
    uint8_t sep = 0;
    for (;;) {
        const uint8_t *start = s->p;
        if (s->p < s->end && is_alpha(*s->p)) {
            while (s->p < s->end && is_alpha(*s->p)) {
                s->p++;
            }
        } else {
            s->p += count_digits(s->p, s->end);
        }
        if (s->p == start || n == 3) {
            return PARSE_SYNTAX;
        }
        parts[n++] = slice_make(start, (size_t)(s->p - start));
        if (s->p < s->end && (sep == 0 ? strchr("-/.", *s->p) != NULL : *s->p == sep) &&
            *s->p != 0 && n < 3) {
            sep = *s->p++;
            continue;
        }
        if (n == 3 && s->p < s->end && *s->p == sep) {
            return PARSE_SYNTAX;
        }
        break;
    }
    if (s->has & HAS_DATE) {
        return PARSE_SYNTAX;
    }
    /* Names first: they say what the numbers are. */
    for (int i = 0; i < n; i++) {
        if (is_alpha(parts[i].data[0])) {
            int month = month_of_word(parts[i]);
            if (month == 0 || set_text_month(s, month) != PARSE_OK) {
                return PARSE_SYNTAX;
            }
        }
    }
    for (int i = 0; i < n; i++) {
        if (!is_alpha(parts[i].data[0])) {
            enum parse_result r = take_number(s, parts[i].data, parts[i].len);
            if (r != PARSE_OK) {
                return r;
            }
        }
    }
    return PARSE_OK;
}

/* [+-]hh[:mm[:ss]], [+-]hhmm, [+-]hhmmss at p. */
static enum parse_result parse_offset(const uint8_t **pp, const uint8_t *end, int *out_s)
{
    const uint8_t *p = *pp;
    bool neg = *p++ == '-';
    size_t n = count_digits(p, end);
    int h = 0, m = 0, sec = 0;
    if (n == 0) {
        return PARSE_SYNTAX;
    }
    if (p + n < end && p[n] == ':') {
        h = to_int(p, n);
        p += n + 1;
        n = count_digits(p, end);
        m = to_int(p, n);
        p += n;
        if (n == 0) {
            return PARSE_SYNTAX;
        }
        if (p < end && *p == ':') {
            p++;
            n = count_digits(p, end);
            sec = to_int(p, n);
            p += n;
        }
    } else if (n <= 2) {
        h = to_int(p, n);
        p += n;
    } else if (n <= 4) {
        h = to_int(p, n - 2);
        m = to_int(p + n - 2, 2);
        p += n;
    } else {
        h = to_int(p, n - 4);
        m = to_int(p + n - 4, 2);
        sec = to_int(p + n - 2, 2);
        p += n;
    }
    if (h > 15 || m > 59 || sec > 59) {
        return PARSE_ZONE;
    }
    *out_s = (h * 3600 + m * 60 + sec) * (neg ? -1 : 1);
    *pp = p;
    return PARSE_OK;
}

static enum parse_result set_special(struct parsed *s, enum special what)
{
    if (s->special != SPECIAL_NONE || (s->has & HAS_DATE)) {
        return PARSE_SYNTAX;
    }
    s->special = what;
    return PARSE_OK;
}

static enum parse_result take_word(struct parsed *s)
{
    const uint8_t *start = s->p;
    while (s->p < s->end && is_alpha(*s->p)) {
        s->p++;
    }
    struct slice w = slice_make(start, (size_t)(s->p - start));
    int month = month_of_word(w);
    int offset;
    if (month != 0) {
        if (s->p + 1 < s->end && strchr("-/.", *s->p) != NULL && is_digit(s->p[1])) {
            s->p = start; /* Jan-08-1999 */
            return take_date(s);
        }
        return set_text_month(s, month);
    }
    if (is_weekday_word(w)) {
        return PARSE_OK;
    }
    if (slice_is_word(w, "t")) {
        s->want_time = true;
        return PARSE_OK;
    }
    if (slice_is_word(w, "j") && s->p < s->end && is_digit(*s->p) && !(s->has & HAS_DATE)) {
        size_t n = count_digits(s->p, s->end);
        s->has |= HAS_DATE;
        s->is_julian = true;
        s->julian = to_int(s->p, n);
        s->p += n;
        return n > 9 ? PARSE_RANGE : PARSE_OK;
    }
    if (slice_is_word(w, "am") || slice_is_word(w, "pm")) {
        s->meridian = ascii_lower(w.data[0]) == 'a' ? 1 : 2;
        return PARSE_OK;
    }
    if (slice_is_word(w, "bc") || slice_is_word(w, "ad")) {
        s->is_bc = ascii_lower(w.data[0]) == 'b';
        return PARSE_OK;
    }
    if (slice_is_word(w, "now")) {
        return set_special(s, SPECIAL_NOW);
    }
    if (slice_is_word(w, "epoch")) {
        return set_special(s, SPECIAL_EPOCH);
    }
    if (slice_is_word(w, "infinity")) {
        return set_special(s, SPECIAL_INFINITY);
    }
    if (slice_is_word(w, "today") || slice_is_word(w, "tomorrow") ||
        slice_is_word(w, "yesterday")) {
        s->day_offset = w.len == 5 ? 0 : w.len == 8 ? 1 : -1;
        return set_special(s, SPECIAL_DAY);
    }
    if (slice_is_word(w, "allballs")) {
        return (enum parse_result)set_field(s, HAS_TIME);
    }
    if (slice_is_word(w, "on") || slice_is_word(w, "at")) {
        return PARSE_OK;
    }
    if (zone_abbreviation(w, &offset)) {
        s->zone_s = offset;
        /* 'UTC+3' and the like: the sign is POSIX's, west is positive. */
        if (s->p + 1 < s->end && (*s->p == '+' || *s->p == '-') && is_digit(s->p[1])) {
            int more;
            enum parse_result r = parse_offset(&s->p, s->end, &more);
            if (r != PARSE_OK) {
                return r;
            }
            s->zone_s = -more;
        }
        return (enum parse_result)set_field(s, HAS_ZONE);
    }
    return PARSE_SYNTAX;
}

/* Something that starts with a digit. */
static enum parse_result take_numeric(struct parsed *s)
{
    size_t n = count_digits(s->p, s->end);
    const uint8_t *p = s->p, *next = p + n;
    uint8_t c = next < s->end ? *next : 0;
    uint8_t after = next + 1 < s->end ? next[1] : 0;
    if (c == ':') {
        return take_time(s);
    }
    if ((c == '-' || c == '/') && (is_digit(after) || is_alpha(after)) && !s->want_time &&
        (s->has & HAS_DATE) != HAS_DATE) {
        return take_date(s);
    }
    if (c == '.' && is_digit(after)) {
        size_t f = count_digits(next + 1, s->end);
        if ((s->has & HAS_DATE) == 0 && !s->want_time) {
            return take_date(s); /* 1999.008, 8.1.1999 */
        }
        enum parse_result r = take_digits(s, p, n); /* hhmmss.fff */
        if (r == PARSE_OK && n == 6) {
            s->usec = fraction_us(next + 1, f);
            s->p = next + 1 + f;
            return PARSE_OK;
        }
        return PARSE_SYNTAX;
    }
    s->p = next;
    bool date_known = (s->has & HAS_DATE) == HAS_DATE;
    if (s->want_time || n >= 6 || date_known) {
        return take_digits(s, p, n);
    }
    return take_number(s, p, n);
}

static enum parse_result take_sign(struct parsed *s)
{
    bool neg = *s->p == '-';
    const uint8_t *q = s->p + 1;
    if (q < s->end && is_digit(*q)) {
        if (set_field(s, HAS_ZONE) != PARSE_OK) {
            return PARSE_SYNTAX;
        }
        return parse_offset(&s->p, s->end, &s->zone_s);
    }
    while (q < s->end && is_blank(*q)) {
        q++;
    }
    struct slice rest = slice_trim(slice_make(q, (size_t)(s->end - q)));
    if (slice_is_word(rest, "infinity")) {
        s->p = s->end;
        return set_special(s, neg ? SPECIAL_NEG_INFINITY : SPECIAL_INFINITY);
    }
    return PARSE_SYNTAX;
}

static enum parse_result tokenize(struct parsed *s)
{
    bool any = false;
    for (;;) {
        while (s->p < s->end && (is_blank(*s->p) || *s->p == ',')) {
            s->p++;
        }
        if (s->p == s->end) {
            return any && !s->want_time ? PARSE_OK : PARSE_SYNTAX;
        }
        any = true;
        enum parse_result r;
        if (is_digit(*s->p)) {
            r = take_numeric(s);
            s->want_time = false;
        } else if (is_alpha(*s->p)) {
            r = take_word(s);
        } else if (*s->p == '+' || *s->p == '-') {
            r = take_sign(s);
        } else {
            return PARSE_SYNTAX;
        }
        if (r != PARSE_OK) {
            return r;
        }
    }
}

/* ---- checks ---- */

static enum parse_result check_date(struct parsed *s, int64_t *out_date)
{
    if (s->is_julian) {
        *out_date = s->julian - JULIAN_2000;
        return PARSE_OK;
    }
    if ((s->has & HAS_DATE) != HAS_DATE) {
        return PARSE_SYNTAX;
    }
    if (s->is_bc) {
        if (s->year <= 0) {
            return PARSE_RANGE;
        }
        s->year = 1 - s->year;
    } else if (s->is_two_digit_year) {
        s->year += s->year < 70 ? 2000 : 1900;
    } else if (s->year <= 0) {
        return PARSE_RANGE;
    }
    if (s->year > 5874898) {
        *out_date = DATE_END; /* out of any type's range */
        return PARSE_OK;
    }
    if (s->day_of_year > 0) {
        if (s->day_of_year > 365 + is_leap(s->year)) {
            return PARSE_RANGE;
        }
        *out_date = date_from_ymd(s->year, 1, 1) + s->day_of_year - 1;
        return PARSE_OK;
    }
    if (s->month < 1 || s->month > 12 || s->day < 1 || s->day > 31) {
        return PARSE_DATE_ORDER;
    }
    if (!date_is_valid_ymd(s->year, s->month, s->day)) {
        return PARSE_RANGE;
    }
    *out_date = date_from_ymd(s->year, s->month, s->day);
    return PARSE_OK;
}

static enum parse_result check_time(struct parsed *s, int64_t *out_us)
{
    if (s->meridian != 0) {
        if (s->hour > 12) {
            return PARSE_RANGE;
        }
        s->hour = s->hour % 12 + (s->meridian == 2 ? 12 : 0);
    }
    if (s->hour > 24 || s->minute > 59 || s->second > 60 ||
        (s->hour == 24 && (s->minute > 0 || s->second > 0 || s->usec > 0))) {
        return PARSE_RANGE;
    }
    *out_us = s->hour * USECS_PER_HOUR + s->minute * USECS_PER_MINUTE + s->second * USECS_PER_SEC +
              s->usec;
    return PARSE_OK;
}

static struct parsed start_parse(struct slice s)
{
    return (struct parsed){.p = s.data, .end = s.data + s.len};
}

/* Fields to a timestamp in UTC (offset applied only when asked). Specials are resolved. */
static enum parse_result resolve(struct parsed *s, bool use_zone, __int128 *out_us,
                                 bool *is_infinite)
{
    int64_t date, us = 0;
    *is_infinite = false;
    if (s->special != SPECIAL_NONE && (s->has & HAS_DATE)) {
        return PARSE_SYNTAX;
    }
    switch (s->special) {
    case SPECIAL_INFINITY:
    case SPECIAL_NEG_INFINITY:
        *is_infinite = true;
        *out_us = s->special == SPECIAL_INFINITY ? TIMESTAMP_INFINITY : TIMESTAMP_NEG_INFINITY;
        return PARSE_OK;
    case SPECIAL_EPOCH:
        *out_us = -(__int128)EPOCH_2000_US;
        return PARSE_OK;
    case SPECIAL_NOW:
        *out_us = datetime_now();
        return datetime_now() == INT64_MIN ? PARSE_NO_NOW : PARSE_OK;
    case SPECIAL_DAY:
        if (datetime_now() == INT64_MIN) {
            return PARSE_NO_NOW;
        }
        date = floor_div(datetime_now(), USECS_PER_DAY) + s->day_offset;
        break;
    default: {
        enum parse_result r = check_date(s, &date);
        if (r != PARSE_OK) {
            return r;
        }
        break;
    }
    }
    if (s->has & HAS_TIME) {
        enum parse_result r = check_time(s, &us);
        if (r != PARSE_OK) {
            return r;
        }
    }
    *out_us = (__int128)date * USECS_PER_DAY + us;
    if (use_zone && (s->has & HAS_ZONE)) {
        *out_us -= (__int128)s->zone_s * USECS_PER_SEC;
    }
    return PARSE_OK;
}

struct status *date_parse(struct slice text, int64_t *out)
{
    struct parsed s = start_parse(text);
    __int128 us;
    bool is_infinite;
    enum parse_result r = tokenize(&s);
    if (r == PARSE_OK) {
        r = resolve(&s, false, &us, &is_infinite);
    }
    if (r == PARSE_OK && s.special == SPECIAL_NONE && (s.has & HAS_TIME) && s.hour == 24) {
        us -= USECS_PER_DAY; /* the time of day is checked and dropped: 24:00 is no next day */
    }
    if (r != PARSE_OK) {
        return parse_error(r, "date", text);
    }
    if (is_infinite) {
        *out = us > 0 ? DATE_INFINITY : DATE_NEG_INFINITY;
        return NULL;
    }
    int64_t date = (int64_t)(us / USECS_PER_DAY) - (us % USECS_PER_DAY < 0);
    if (!date_in_range(date)) {
        return status_sql(INVALID, "22008", "date out of range: \"%.*s\"", (int)text.len,
                          (const char *)text.data);
    }
    *out = date;
    return NULL;
}

struct status *timestamp_parse(struct slice text, bool with_zone, int64_t *out)
{
    struct parsed s = start_parse(text);
    __int128 us;
    bool is_infinite;
    enum parse_result r = tokenize(&s);
    if (r == PARSE_OK) {
        r = resolve(&s, with_zone, &us, &is_infinite);
    }
    if (r != PARSE_OK) {
        return parse_error(r, with_zone ? "timestamp with time zone" : "timestamp", text);
    }
    if (!is_infinite && (us < TIMESTAMP_MIN || us >= TIMESTAMP_END)) {
        return status_sql(INVALID, "22008", "timestamp out of range: \"%.*s\"", (int)text.len,
                          (const char *)text.data);
    }
    *out = (int64_t)us;
    return NULL;
}

struct status *time_parse(struct slice text, int64_t *out)
{
    struct parsed s = start_parse(text);
    struct slice t = slice_trim(text);
    size_t n = count_digits(t.data, t.data + t.len);
    s.want_time = n == t.len || (n == 6 && t.data[n] != ':');
    int64_t us = 0;
    enum parse_result r = tokenize(&s);
    if (r == PARSE_OK && s.special == SPECIAL_NOW) {
        if (datetime_now() == INT64_MIN) {
            return parse_error(PARSE_NO_NOW, "time", text);
        }
        *out = timestamp_to_time(datetime_now());
        return NULL;
    }
    if (r == PARSE_OK && (!(s.has & HAS_TIME) || s.special != SPECIAL_NONE ||
                          ((s.has & HAS_DATE) != 0 && (s.has & HAS_DATE) != HAS_DATE))) {
        r = PARSE_SYNTAX;
    }
    if (r == PARSE_OK) {
        r = check_time(&s, &us);
    }
    if (r != PARSE_OK) {
        return parse_error(r, "time", text);
    }
    if (us > USECS_PER_DAY) {
        return parse_error(PARSE_RANGE, "time", text);
    }
    *out = us;
    return NULL;
}

struct status *datetime_zone(struct slice name, int32_t *out_offset_s)
{
    struct slice t = slice_trim(name);
    const uint8_t *p = t.data, *end = t.data + t.len;
    int offset;
    if (zone_abbreviation(t, &offset) || slice_is_word(t, "etc/utc")) {
        *out_offset_s = slice_is_word(t, "etc/utc") ? 0 : offset;
        return NULL;
    }
    if (t.len > 0 && is_digit(*p)) {
        char copy[16];
        if (t.len < sizeof copy - 1) {
            copy[0] = '+';
            memcpy(copy + 1, t.data, t.len);
            return datetime_zone(slice_make(copy, t.len + 1), out_offset_s);
        }
    }
    if (t.len > 1 && (*p == '+' || *p == '-') && parse_offset(&p, end, &offset) == PARSE_OK &&
        p == end) {
        *out_offset_s = offset;
        return NULL;
    }
    TRY(utf8_check(name));
    return status_hint(status_sql(INVALID, "22023", "time zone \"%.*s\" not recognized",
                                  (int)utf8_prefix(t, 100), (const char *)t.data),
                       "Use an offset such as '+02:00', UTC, or an abbreviation.");
}

/* ---- intervals ---- */

/* Sums in double width; checked when all fields are in. */
struct interval_sum {
    __int128 us;
    int64_t days;
    int64_t months;
    int seen; /* bit per enum time_unit */
};

static bool add_days(struct interval_sum *s, int64_t v)
{
    return !__builtin_add_overflow(s->days, v, &s->days);
}

/* The fraction of a day as microseconds. */
static void add_day_fraction(struct interval_sum *s, double f)
{
    s->us += (__int128)rint(f * (double)USECS_PER_DAY);
}

/* whole + fraction units; fraction has the sign of the whole number. */
static enum parse_result add_unit(struct interval_sum *s, enum time_unit u, int64_t whole,
                                  double fraction)
{
    static const int64_t years[] = {
        [UNIT_YEAR] = 1, [UNIT_DECADE] = 10, [UNIT_CENTURY] = 100, [UNIT_MILLENNIUM] = 1000};
    static const int64_t usecs[] = {[UNIT_USEC] = 1,
                                    [UNIT_MSEC] = 1000,
                                    [UNIT_SECOND] = 1000000,
                                    [UNIT_MINUTE] = 60000000,
                                    [UNIT_HOUR] = 3600000000};
    switch (u) {
    case UNIT_USEC:
    case UNIT_MSEC:
    case UNIT_SECOND:
    case UNIT_MINUTE:
    case UNIT_HOUR:
        s->us += (__int128)whole * usecs[u] + (__int128)rint(fraction * (double)usecs[u]);
        break;
    case UNIT_DAY:
        if (!add_days(s, whole)) {
            return PARSE_INTERVAL;
        }
        add_day_fraction(s, fraction);
        break;
    case UNIT_WEEK: {
        int64_t days;
        double f = fraction * 7;
        if (__builtin_mul_overflow(whole, INT64_C(7), &days) || !add_days(s, days) ||
            !add_days(s, (int64_t)f)) {
            return PARSE_INTERVAL;
        }
        add_day_fraction(s, f - (double)(int64_t)f);
        break;
    }
    case UNIT_MONTH: {
        double f = fraction * DAYS_PER_MONTH;
        if (__builtin_add_overflow(s->months, whole, &s->months) || !add_days(s, (int64_t)f)) {
            return PARSE_INTERVAL;
        }
        add_day_fraction(s, f - (double)(int64_t)f);
        break;
    }
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM: {
        int64_t months, per = years[u] * MONTHS_PER_YEAR;
        if (__builtin_mul_overflow(whole, per, &months) ||
            __builtin_add_overflow(s->months, months, &s->months)) {
            return PARSE_INTERVAL;
        }
        s->months += (int64_t)rint(fraction * (double)per);
        break;
    }
    default:
        return PARSE_SYNTAX;
    }
    /* A field may come once; milliseconds and microseconds may add to seconds. */
    int bit = 1 << u;
    if (s->seen & bit) {
        return PARSE_SYNTAX;
    }
    s->seen |= bit;
    return PARSE_OK;
}

/* [sign]digits[.digits] or [sign].digits; sign may be given apart. */
static enum parse_result read_amount(const uint8_t **pp, const uint8_t *end, bool neg,
                                     int64_t *out_whole, double *out_fraction)
{
    const uint8_t *p = *pp;
    size_t n = count_digits(p, end);
    int64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (__builtin_mul_overflow(v, INT64_C(10), &v) ||
            __builtin_sub_overflow(v, (int64_t)(p[i] - '0'), &v)) {
            return PARSE_INTERVAL; /* summed below zero: INT64_MIN is a value too */
        }
    }
    p += n;
    double f = 0;
    if (p < end && *p == '.') {
        size_t k = count_digits(p + 1, end);
        if (n + k == 0) {
            return PARSE_SYNTAX;
        }
        char text[40] = "0.";
        size_t keep = k < sizeof text - 3 ? k : sizeof text - 3;
        memcpy(text + 2, p + 1, keep);
        f = strtod(text, NULL);
        p += k + 1;
    } else if (n == 0) {
        return PARSE_SYNTAX;
    }
    if (!neg && v == INT64_MIN) {
        return PARSE_INTERVAL;
    }
    *out_whole = neg ? v : -v;
    *out_fraction = neg ? -f : f;
    *pp = p;
    return PARSE_OK;
}

static enum time_unit default_unit(int32_t typmod)
{
    int range = typmod >= 0 ? (typmod >> 16) & 0x7fff : 0x7fff;
    if (range == 0x7fff || range & 1 << 12) {
        return UNIT_SECOND;
    }
    if (range & 1 << 11) {
        return UNIT_MINUTE;
    }
    if (range & 1 << 10) {
        return UNIT_HOUR;
    }
    if (range & 1 << 3) {
        return UNIT_DAY;
    }
    return range & 1 << 1 ? UNIT_MONTH : UNIT_YEAR;
}

/* hh:mm[:ss[.f]] at *pp (the number before the colon is `first`). */
static enum parse_result interval_time(struct interval_sum *s, const uint8_t **pp,
                                       const uint8_t *end, bool neg, int32_t typmod)
{
    enum { MINUTE_TO_SECOND = 1 << 11 | 1 << 12 };
    const uint8_t *p = *pp;
    size_t n = count_digits(p, end);
    int64_t h, m, sec = 0;
    double none;
    int us = 0;
    const uint8_t *q = p;
    if (n > 18) {
        return PARSE_INTERVAL;
    }
    enum parse_result r = read_amount(&q, p + n, false, &h, &none);
    if (r != PARSE_OK) {
        return r;
    }
    p += n + 1;
    n = count_digits(p, end);
    if (n == 0) {
        return PARSE_SYNTAX;
    }
    m = to_int(p, n);
    p += n;
    bool has_seconds = p < end && *p == ':';
    if (has_seconds) {
        p++;
        n = count_digits(p, end);
        if (n == 0) {
            return PARSE_SYNTAX;
        }
        sec = to_int(p, n);
        p += n;
    } else if ((p < end && *p == '.') ||
               (typmod >= 0 && ((typmod >> 16) & 0x7fff) == MINUTE_TO_SECOND)) {
        sec = m;
        m = h;
        h = 0;
    }
    if (p < end && *p == '.') {
        n = count_digits(p + 1, end);
        us = fraction_us(p + 1, n);
        p += n + 1;
    }
    if (m > 59 || sec > 60) {
        return PARSE_INTERVAL;
    }
    __int128 total = (__int128)h * USECS_PER_HOUR + m * USECS_PER_MINUTE + sec * USECS_PER_SEC + us;
    int bits = 1 << UNIT_HOUR | 1 << UNIT_MINUTE | 1 << UNIT_SECOND;
    if (s->seen & bits) {
        return PARSE_SYNTAX;
    }
    s->seen |= bits;
    s->us += neg ? -total : total;
    *pp = p;
    return PARSE_OK;
}

static void skip_space(const uint8_t **pp, const uint8_t *end)
{
    while (*pp < end && (is_blank(**pp) || **pp == ',')) {
        (*pp)++;
    }
}

/* A number: alone, with a unit, as hh:mm, or as years-months. */
static enum parse_result interval_number(struct interval_sum *s, const uint8_t **pp,
                                         const uint8_t *end, int32_t typmod)
{
    const uint8_t *p = *pp;
    bool neg = *p == '-';
    if (*p == '-' || *p == '+') {
        p++;
        skip_space(&p, end);
        if (p == end) {
            return PARSE_SYNTAX;
        }
    }
    size_t n = count_digits(p, end);
    if (n > 0 && p + n < end && p[n] == ':') {
        enum parse_result r = interval_time(s, &p, end, neg, typmod);
        *pp = p;
        return r;
    }
    if (n > 0 && p + n + 1 < end && p[n] == '-' && is_digit(p[n + 1])) {
        /* SQL's years-months */
        int64_t y, m;
        double none;
        const uint8_t *q = p;
        enum parse_result r = read_amount(&q, p + n, false, &y, &none);
        if (r != PARSE_OK || y > INT32_MAX) {
            return r != PARSE_OK ? r : PARSE_INTERVAL;
        }
        p += n + 1;
        n = count_digits(p, end);
        m = to_int(p, n);
        p += n;
        if (m >= MONTHS_PER_YEAR) {
            return PARSE_INTERVAL;
        }
        *pp = p;
        if (s->seen & (1 << UNIT_YEAR | 1 << UNIT_MONTH)) {
            return PARSE_SYNTAX;
        }
        s->seen |= 1 << UNIT_YEAR | 1 << UNIT_MONTH;
        s->months += (y * MONTHS_PER_YEAR + m) * (neg ? -1 : 1);
        return PARSE_OK;
    }
    int64_t whole;
    double fraction;
    enum parse_result r = read_amount(&p, end, neg, &whole, &fraction);
    if (r != PARSE_OK) {
        return r;
    }
    skip_space(&p, end);
    const uint8_t *word = p;
    while (p < end && is_alpha(*p)) {
        p++;
    }
    struct slice w = slice_make(word, (size_t)(p - word));
    enum time_unit unit;
    if (w.len > 0 && !slice_is_word(w, "ago")) {
        unit = unit_of_word(w);
        if (unit == UNIT_NONE || unit == UNIT_QUARTER) {
            return PARSE_SYNTAX;
        }
    } else {
        p = word;
        /* Days when a time follows: '3 04:05:06'. */
        const uint8_t *q = p + (p < end && (*p == '-' || *p == '+'));
        size_t k = count_digits(q, end);
        unit = k > 0 && q + k < end && q[k] == ':' ? UNIT_DAY : default_unit(typmod);
    }
    *pp = p;
    return add_unit(s, unit, whole, fraction);
}

/* P[n]Y[n]M[n]W[n]DT[n]H[n]M[n]S */
static enum parse_result interval_iso(struct interval_sum *s, const uint8_t *p, const uint8_t *end)
{
    bool in_time = false, any = false;
    while (p < end) {
        if (*p == 'T' || *p == 't') {
            if (in_time) {
                return PARSE_SYNTAX;
            }
            in_time = true;
            p++;
            continue;
        }
        bool neg = *p == '-';
        p += *p == '-' || *p == '+';
        int64_t whole;
        double fraction;
        enum parse_result r = read_amount(&p, end, neg, &whole, &fraction);
        if (r != PARSE_OK) {
            return r;
        }
        if (p == end) {
            return PARSE_SYNTAX;
        }
        enum time_unit unit;
        switch (*p++) {
        case 'Y':
            unit = UNIT_YEAR;
            break;
        case 'M':
            unit = in_time ? UNIT_MINUTE : UNIT_MONTH;
            break;
        case 'W':
            unit = UNIT_WEEK;
            break;
        case 'D':
            unit = UNIT_DAY;
            break;
        case 'H':
            unit = UNIT_HOUR;
            break;
        case 'S':
            unit = UNIT_SECOND;
            break;
        default:
            return PARSE_SYNTAX;
        }
        if (in_time != (unit == UNIT_HOUR || unit == UNIT_MINUTE || unit == UNIT_SECOND)) {
            return PARSE_SYNTAX;
        }
        r = add_unit(s, unit, whole, fraction);
        if (r != PARSE_OK) {
            return r;
        }
        any = true;
    }
    return any ? PARSE_OK : PARSE_SYNTAX;
}

static enum parse_result interval_words(struct interval_sum *s, const uint8_t *p,
                                        const uint8_t *end, int32_t typmod)
{
    bool any = false;
    for (;;) {
        skip_space(&p, end);
        if (p == end) {
            return any ? PARSE_OK : PARSE_SYNTAX;
        }
        if (*p == '@') {
            p++;
            continue;
        }
        if (is_alpha(*p)) {
            const uint8_t *word = p;
            while (p < end && is_alpha(*p)) {
                p++;
            }
            if (!any || !slice_is_word(slice_make(word, (size_t)(p - word)), "ago")) {
                return PARSE_SYNTAX;
            }
            skip_space(&p, end);
            s->us = -s->us;
            s->days = -s->days;
            s->months = -s->months;
            return p == end ? PARSE_OK : PARSE_SYNTAX;
        }
        if (!is_digit(*p) && *p != '-' && *p != '+' && *p != '.') {
            return PARSE_SYNTAX;
        }
        enum parse_result r = interval_number(s, &p, end, typmod);
        if (r != PARSE_OK) {
            return r;
        }
        any = true;
    }
}

struct status *interval_parse(struct slice text, int32_t typmod, struct interval *out)
{
    struct slice t = slice_trim(text);
    struct interval_sum s = {0};
    const uint8_t *end = t.data + t.len;
    enum parse_result r = t.len > 1 && t.data[0] == 'P' ? interval_iso(&s, t.data + 1, end)
                                                        : interval_words(&s, t.data, end, typmod);
    if (r == PARSE_OK && (s.us > INT64_MAX || s.us < INT64_MIN || s.days != (int32_t)s.days ||
                          s.months != (int32_t)s.months)) {
        r = PARSE_INTERVAL;
    }
    if (r != PARSE_OK) {
        return parse_error(r, "interval", text);
    }
    struct interval iv = {
        .us = (int64_t)s.us, .days = (int32_t)s.days, .months = (int32_t)s.months};
    *out = interval_apply_typmod(iv, typmod);
    return NULL;
}
