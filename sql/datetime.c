/*
 * Calendar, text output, and what the other datetime files share. The calendar is the proleptic
 * Gregorian one, counted in days from 2000-01-01; years are astronomical inside (0 = 1 BC) and
 * shown with BC.
 */
#include "datetime_internal.h"

static _Thread_local int64_t thread_now = INT64_MIN;

void datetime_set_now(int64_t now_us)
{
    thread_now = now_us;
}

int64_t datetime_now(void)
{
    return thread_now;
}

/* ---- calendar ---- */

const char *const month_names[12] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
const char *const day_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                  "Thursday", "Friday", "Saturday"};

int days_in_month(int year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

bool date_is_valid_ymd(int year, int month, int day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= days_in_month(year, month);
}

/* Years begin in March here, so that the leap day is the last one; eras are 400 years. */
int64_t date_from_ymd(int year, int month, int day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 730425;
}

void date_to_ymd(int64_t date, int *year, int *month, int *day)
{
    int64_t z = date + 730425;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

int weekday(int64_t date)
{
    return (int)((date % 7 + 7 + 6) % 7); /* 2000-01-01 was a Saturday */
}

int64_t iso_week_monday(int year, int week)
{
    int64_t jan4 = date_from_ymd(year, 1, 4);
    return jan4 - (weekday(jan4) + 6) % 7 + (int64_t)(week - 1) * 7;
}

void iso_week(int year, int month, int day, int *out_week, int *out_year)
{
    int64_t d = date_from_ymd(year, month, day);
    int y = year + 1;
    while (iso_week_monday(y, 1) > d) {
        y--;
    }
    *out_year = y;
    *out_week = (int)((d - iso_week_monday(y, 1)) / 7) + 1;
}

void timestamp_to_fields(int64_t ts, struct datetime_fields *f)
{
    int64_t date = floor_div(ts, USECS_PER_DAY);
    int64_t us = floor_mod(ts, USECS_PER_DAY);
    date_to_ymd(date, &f->year, &f->month, &f->day);
    f->hour = (int)(us / USECS_PER_HOUR);
    f->minute = (int)(us / USECS_PER_MINUTE % 60);
    f->second = (int)(us / USECS_PER_SEC % 60);
    f->usec = (int)(us % USECS_PER_SEC);
}

bool timestamp_from_fields(const struct datetime_fields *f, int64_t *out)
{
    __int128 date = date_from_ymd(f->year, f->month, f->day);
    __int128 us = date * USECS_PER_DAY + (__int128)f->hour * USECS_PER_HOUR +
                  (__int128)f->minute * USECS_PER_MINUTE + (__int128)f->second * USECS_PER_SEC +
                  f->usec;
    if (us < TIMESTAMP_MIN || us >= TIMESTAMP_END) {
        return false;
    }
    *out = (int64_t)us;
    return true;
}

/* ---- interval datums ---- */

_Static_assert(sizeof(struct interval) == 16, "an interval is sixteen bytes");

static uint64_t get_le(const uint8_t *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i > 0; i--) {
        v = v << 8 | p[i - 1];
    }
    return v;
}

static void set_le(uint8_t *p, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

struct interval interval_get(const struct datum *d)
{
    return (struct interval){.us = (int64_t)get_le(d->p, 8),
                             .days = (int32_t)get_le(d->p + 8, 4),
                             .months = (int32_t)get_le(d->p + 12, 4)};
}

struct datum interval_datum(struct arena *a, const struct interval *iv)
{
    uint8_t *p = arena_alloc(a, 16);
    set_le(p, (uint64_t)iv->us, 8);
    set_le(p + 8, (uint32_t)iv->days, 4);
    set_le(p + 12, (uint32_t)iv->months, 4);
    return datum_bytes(slice_make(p, 16));
}

static __int128 interval_span(const struct interval *iv)
{
    return (__int128)iv->us +
           ((__int128)iv->days + (__int128)iv->months * DAYS_PER_MONTH) * USECS_PER_DAY;
}

int interval_compare(const struct interval *x, const struct interval *y)
{
    __int128 a = interval_span(x), b = interval_span(y);
    return (a > b) - (a < b);
}

/* ---- type modifiers ---- */

static int64_t round_seconds(int64_t us, int digits)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    return digits >= 0 && digits < 6 ? round_to(us, units[digits]) : us;
}

int64_t timestamp_apply_typmod(int64_t ts, int32_t typmod)
{
    return timestamp_is_finite(ts) ? round_seconds(ts, typmod) : ts;
}

int64_t time_apply_typmod(int64_t t, int32_t typmod)
{
    return round_seconds(t, typmod);
}

struct interval interval_apply_typmod(struct interval iv, int32_t typmod)
{
    enum { MONTH = 1 << 1, YEAR = 1 << 2, DAY = 1 << 3, HOUR = 1 << 10, MINUTE = 1 << 11 };
    enum { SECOND = 1 << 12 };
    if (typmod < 0) {
        return iv;
    }
    int range = (typmod >> 16) & 0x7fff, precision = typmod & 0xffff;
    if (range != 0x7fff) {
        if (range == YEAR) {
            iv.months = iv.months / MONTHS_PER_YEAR * MONTHS_PER_YEAR;
        }
        if ((range & (DAY | HOUR | MINUTE | SECOND)) == 0) {
            iv.days = 0;
        }
        if ((range & (HOUR | MINUTE | SECOND)) == 0) {
            iv.us = 0;
        } else if ((range & (MINUTE | SECOND)) == 0) {
            iv.us -= iv.us % USECS_PER_HOUR;
        } else if ((range & SECOND) == 0) {
            iv.us -= iv.us % USECS_PER_MINUTE;
        }
    }
    if (precision <= 6) {
        iv.us = round_seconds(iv.us, precision);
    }
    return iv;
}

/* ---- output ---- */

/* At least `width` digits. */
static void put_padded(struct buf *out, int64_t v, int width)
{
    char tmp[24];
    int n = 0;
    uint64_t u = (uint64_t)v;
    do {
        tmp[n++] = (char)('0' + u % 10);
        u /= 10;
    } while (u > 0);
    while (n < width) {
        tmp[n++] = '0';
    }
    uint8_t *p = buf_extend(out, (size_t)n);
    while (n > 0) {
        *p++ = (uint8_t)tmp[--n];
    }
}

static void put_date(struct buf *out, int year, int month, int day)
{
    put_padded(out, year > 0 ? year : 1 - year, 4);
    buf_put_u8(out, '-');
    put_padded(out, month, 2);
    buf_put_u8(out, '-');
    put_padded(out, day, 2);
}

static void put_fraction(struct buf *out, int64_t usec)
{
    if (usec == 0) {
        return;
    }
    buf_put_u8(out, '.');
    put_padded(out, usec, 6);
    while (out->data[out->len - 1] == '0') {
        out->len--;
    }
}

static void put_time(struct buf *out, int64_t us)
{
    put_padded(out, us / USECS_PER_HOUR, 2);
    buf_put_u8(out, ':');
    put_padded(out, us / USECS_PER_MINUTE % 60, 2);
    buf_put_u8(out, ':');
    put_padded(out, us / USECS_PER_SEC % 60, 2);
    put_fraction(out, us % USECS_PER_SEC);
}

static void put_str(struct buf *out, const char *s)
{
    buf_put(out, s, strlen(s));
}

void date_format(int64_t d, struct buf *out)
{
    int y, m, day;
    if (!date_is_finite(d)) {
        put_str(out, d > 0 ? "infinity" : "-infinity");
        return;
    }
    date_to_ymd(d, &y, &m, &day);
    put_date(out, y, m, day);
    if (y <= 0) {
        put_str(out, " BC");
    }
}

void time_format(int64_t t, struct buf *out)
{
    put_time(out, t);
}

void timestamp_format(int64_t ts, bool with_zone, struct buf *out)
{
    int y, m, day;
    if (!timestamp_is_finite(ts)) {
        put_str(out, ts > 0 ? "infinity" : "-infinity");
        return;
    }
    int64_t date = floor_div(ts, USECS_PER_DAY);
    date_to_ymd(date, &y, &m, &day);
    put_date(out, y, m, day);
    buf_put_u8(out, ' ');
    put_time(out, floor_mod(ts, USECS_PER_DAY));
    if (with_zone) {
        put_str(out, "+00");
    }
    if (y <= 0) {
        put_str(out, " BC");
    }
}

/* " 3 days": a plus sign follows a negative part, as signs are not carried over. */
static void put_part(struct buf *out, int64_t v, const char *unit, bool *is_first,
                     bool *was_negative)
{
    if (v == 0) {
        return;
    }
    buf_printf(out, "%s%s%lld %s%s", *is_first ? "" : " ", *was_negative && v > 0 ? "+" : "",
               (long long)v, unit, v != 1 ? "s" : "");
    *was_negative = v < 0;
    *is_first = false;
}

void interval_format(const struct interval *iv, struct buf *out)
{
    bool is_first = true, was_negative = false;
    put_part(out, iv->months / MONTHS_PER_YEAR, "year", &is_first, &was_negative);
    put_part(out, iv->months % MONTHS_PER_YEAR, "mon", &is_first, &was_negative);
    put_part(out, iv->days, "day", &is_first, &was_negative);
    if (!is_first && iv->us == 0) {
        return;
    }
    if (!is_first) {
        buf_put_u8(out, ' ');
    }
    if (iv->us < 0) {
        buf_put_u8(out, '-');
    } else if (was_negative) {
        buf_put_u8(out, '+');
    }
    /* -INT64_MIN does not exist: the parts are taken before the sign is dropped. */
    int64_t hours = iv->us / USECS_PER_HOUR, rest = iv->us % USECS_PER_HOUR;
    rest = rest < 0 ? -rest : rest;
    put_padded(out, hours < 0 ? -hours : hours, 2);
    buf_put_u8(out, ':');
    put_padded(out, rest / USECS_PER_MINUTE, 2);
    buf_put_u8(out, ':');
    put_padded(out, rest / USECS_PER_SEC % 60, 2);
    put_fraction(out, rest % USECS_PER_SEC);
}

/* ---- words ---- */

static const struct {
    const char *word; /* words of ten letters and more match by their first ten */
    enum time_unit unit;
} unit_words[] = {
    {"us", UNIT_USEC},
    {"usec", UNIT_USEC},
    {"usecs", UNIT_USEC},
    {"usecond", UNIT_USEC},
    {"useconds", UNIT_USEC},
    {"microsecon", UNIT_USEC},
    {"ms", UNIT_MSEC},
    {"msec", UNIT_MSEC},
    {"msecs", UNIT_MSEC},
    {"msecond", UNIT_MSEC},
    {"mseconds", UNIT_MSEC},
    {"millisecon", UNIT_MSEC},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"m", UNIT_MINUTE},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"h", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"qtr", UNIT_QUARTER},
    {"quarter", UNIT_QUARTER},
    {"y", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"dec", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"mil", UNIT_MILLENNIUM},
    {"mils", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
};

static const struct {
    const char *word;
    enum time_unit unit;
} field_words[] = {
    {"epoch", UNIT_EPOCH},
    {"dow", UNIT_DOW},
    {"isodow", UNIT_ISODOW},
    {"doy", UNIT_DOY},
    {"isoyear", UNIT_ISOYEAR},
    {"julian", UNIT_JULIAN},
    {"j", UNIT_JULIAN},
    {"timezone", UNIT_TIMEZONE},
    {"timezone_h", UNIT_TIMEZONE_HOUR},
    {"timezone_m", UNIT_TIMEZONE_MINUTE},
};

enum { WORD_MAX = 10 };

static struct slice cut_word(struct slice w)
{
    return slice_make(w.data, w.len > WORD_MAX ? WORD_MAX : w.len);
}

enum time_unit unit_of_word(struct slice word)
{
    word = cut_word(word);
    for (size_t i = 0; i < sizeof unit_words / sizeof *unit_words; i++) {
        if (slice_is_word(word, unit_words[i].word)) {
            return unit_words[i].unit;
        }
    }
    return UNIT_NONE;
}

enum time_unit unit_of_field(struct slice word)
{
    enum time_unit u = unit_of_word(word);
    word = cut_word(word);
    for (size_t i = 0; u == UNIT_NONE && i < sizeof field_words / sizeof *field_words; i++) {
        if (slice_is_word(word, field_words[i].word)) {
            u = field_words[i].unit;
        }
    }
    return u;
}

/* ---- zones ---- */

static const struct {
    const char *word;
    int16_t minutes;
} zones[] = {
    {"utc", 0},    {"gmt", 0},    {"z", 0},      {"zulu", 0},   {"ut", 0},      {"uct", 0},
    {"wet", 0},    {"west", 60},  {"bst", 60},   {"cet", 60},   {"cest", 120},  {"met", 60},
    {"mest", 120}, {"eet", 120},  {"eest", 180}, {"sast", 120}, {"ist", 120},   {"idt", 180},
    {"msk", 180},  {"msd", 240},  {"pkt", 300},  {"hkt", 480},  {"sgt", 480},   {"awst", 480},
    {"jst", 540},  {"kst", 540},  {"acst", 570}, {"acdt", 630}, {"aest", 600},  {"aedt", 660},
    {"nzst", 720}, {"nzdt", 780}, {"brt", -180}, {"art", -180}, {"nst", -210},  {"ndt", -150},
    {"ast", -240}, {"adt", -180}, {"est", -300}, {"edt", -240}, {"cst", -360},  {"cdt", -300},
    {"mst", -420}, {"mdt", -360}, {"pst", -480}, {"pdt", -420}, {"akst", -540}, {"akdt", -480},
    {"hst", -600},
};

bool zone_abbreviation(struct slice word, int32_t *out_offset_s)
{
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        if (slice_is_word(word, zones[i].word)) {
            *out_offset_s = zones[i].minutes * 60;
            return true;
        }
    }
    return false;
}
