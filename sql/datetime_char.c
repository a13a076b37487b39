/*
 * to_char(), to_timestamp(), to_date(): formatting by picture.
 *
 * A picture is a sequence of patterns and literal text. FM before a pattern drops padding; TH or th
 * after one adds an ordinal ending; text in double quotes is literal, and so is whatever is not a
 * pattern. The table is ordered so that a longer pattern comes before its prefixes.
 */
#include "datetime_internal.h"

enum pattern {
    P_NONE,
    P_HH24,
    P_HH12,
    P_HH,
    P_MI,
    P_SSSS,
    P_SS,
    P_MS,
    P_US,
    P_AM,
    P_PM,
    P_A_M,
    P_P_M,
    P_AM_LOWER,
    P_PM_LOWER,
    P_A_M_LOWER,
    P_P_M_LOWER,
    P_YYYY_COMMA,
    P_YYYY,
    P_YYY,
    P_YY,
    P_Y,
    P_IYYY,
    P_IYY,
    P_IY,
    P_I,
    P_BC,
    P_AD,
    P_B_C,
    P_A_D,
    P_BC_LOWER,
    P_AD_LOWER,
    P_MONTH_UPPER,
    P_MONTH,
    P_MONTH_LOWER,
    P_MON_UPPER,
    P_MON,
    P_MON_LOWER,
    P_MM,
    P_DAY_UPPER,
    P_DAY,
    P_DAY_LOWER,
    P_DY_UPPER,
    P_DY,
    P_DY_LOWER,
    P_DDD,
    P_IDDD,
    P_DD,
    P_D,
    P_ID,
    P_W,
    P_WW,
    P_IW,
    P_CC,
    P_J,
    P_Q,
    P_RM,
    P_RM_LOWER,
    P_TZH,
    P_TZM,
    P_TZ,
    P_TZ_LOWER,
    P_OF,
};

static const struct {
    const char *text;
    enum pattern pattern;
    bool any_case; /* digits and the like: the case of the pattern has no meaning */
} patterns[] = {
    {"HH24", P_HH24, true},
    {"HH12", P_HH12, true},
    {"HH", P_HH, true},
    {"MI", P_MI, true},
    {"SSSSS", P_SSSS, true},
    {"SSSS", P_SSSS, true},
    {"SS", P_SS, true},
    {"MS", P_MS, true},
    {"US", P_US, true},
    {"A.M.", P_A_M, false},
    {"P.M.", P_P_M, false},
    {"a.m.", P_A_M_LOWER, false},
    {"p.m.", P_P_M_LOWER, false},
    {"AM", P_AM, false},
    {"PM", P_PM, false},
    {"am", P_AM_LOWER, false},
    {"pm", P_PM_LOWER, false},
    {"Y,YYY", P_YYYY_COMMA, true},
    {"YYYY", P_YYYY, true},
    {"YYY", P_YYY, true},
    {"YY", P_YY, true},
    {"Y", P_Y, true},
    {"IYYY", P_IYYY, true},
    {"IYY", P_IYY, true},
    {"IDDD", P_IDDD, true},
    {"ID", P_ID, true},
    {"IW", P_IW, true},
    {"IY", P_IY, true},
    {"I", P_I, true},
    {"B.C.", P_B_C, false},
    {"A.D.", P_A_D, false},
    {"BC", P_BC, false},
    {"AD", P_AD, false},
    {"bc", P_BC_LOWER, false},
    {"ad", P_AD_LOWER, false},
    {"MONTH", P_MONTH_UPPER, false},
    {"Month", P_MONTH, false},
    {"month", P_MONTH_LOWER, false},
    {"MON", P_MON_UPPER, false},
    {"Mon", P_MON, false},
    {"mon", P_MON_LOWER, false},
    {"MM", P_MM, true},
    {"DAY", P_DAY_UPPER, false},
    {"Day", P_DAY, false},
    {"day", P_DAY_LOWER, false},
    {"DY", P_DY_UPPER, false},
    {"Dy", P_DY, false},
    {"dy", P_DY_LOWER, false},
    {"DDD", P_DDD, true},
    {"DD", P_DD, true},
    {"D", P_D, true},
    {"WW", P_WW, true},
    {"W", P_W, true},
    {"CC", P_CC, true},
    {"J", P_J, true},
    {"Q", P_Q, true},
    {"RM", P_RM, false},
    {"rm", P_RM_LOWER, false},
    {"TZH", P_TZH, true},
    {"TZM", P_TZM, true},
    {"TZ", P_TZ, false},
    {"tz", P_TZ_LOWER, false},
    {"OF", P_OF, true},
};

/* One step of a picture. */
struct step {
    enum pattern pattern;
    bool fill_mode; /* FM */
    int ordinal;    /* 1 = TH, 2 = th */
    uint8_t literal;
};

struct picture {
    const uint8_t *p;
    const uint8_t *end;
    bool in_quotes;
};

static bool has_text(const struct picture *pic, const char *text, bool any_case)
{
    size_t n = strlen(text);
    if ((size_t)(pic->end - pic->p) < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t a = pic->p[i], b = (uint8_t)text[i];
        if (any_case ? ascii_lower(a) != ascii_lower(b) : a != b) {
            return false;
        }
    }
    return true;
}

static bool next_step(struct picture *pic, struct step *out)
{
    *out = (struct step){0};
    while (pic->p < pic->end && *pic->p == '"') {
        pic->in_quotes = !pic->in_quotes;
        pic->p++;
    }
    if (pic->p == pic->end) {
        return false;
    }
    if (pic->in_quotes) {
        if (*pic->p == '\\' && pic->p + 1 < pic->end) {
            pic->p++;
        }
        out->literal = *pic->p++;
        return true;
    }
    if (has_text(pic, "FM", true)) {
        out->fill_mode = true;
        pic->p += 2;
    } else if (has_text(pic, "TM", true)) {
        pic->p += 2;
    }
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        if (has_text(pic, patterns[i].text, patterns[i].any_case)) {
            pic->p += strlen(patterns[i].text);
            out->pattern = patterns[i].pattern;
            if (has_text(pic, "TH", false) || has_text(pic, "th", false)) {
                out->ordinal = *pic->p == 'T' ? 1 : 2;
                pic->p += 2;
            }
            return true;
        }
    }
    if (pic->p == pic->end) {
        return false;
    }
    if (*pic->p == '\\' && pic->p + 1 < pic->end && pic->p[1] == '"') {
        pic->p++;
    }
    out->literal = *pic->p++;
    return true;
}

/* ---- output ---- */

static void put_ordinal(struct buf *out, int64_t v, int ordinal)
{
    static const char *const upper[] = {"TH", "ST", "ND", "RD"};
    static const char *const lower[] = {"th", "st", "nd", "rd"};
    if (ordinal == 0) {
        return;
    }
    v = v < 0 ? -v : v;
    int k = (int)(v % 10);
    if (k > 3 || (v / 10) % 10 == 1) {
        k = 0;
    }
    buf_put(out, (ordinal == 1 ? upper : lower)[k], 2);
}

static void put_number(struct buf *out, const struct step *s, int64_t v, int width)
{
    if (s->fill_mode) {
        buf_printf(out, "%lld", (long long)v);
    } else {
        buf_printf(out, "%0*lld", v < 0 ? width + 1 : width, (long long)v);
    }
    put_ordinal(out, v, s->ordinal);
}

enum letter_case { CASE_UPPER, CASE_TITLE, CASE_LOWER };

static void put_name(struct buf *out, const struct step *s, const char *name, size_t len,
                     enum letter_case how, size_t pad)
{
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)name[i];
        bool is_upper = how == CASE_UPPER || (how == CASE_TITLE && i == 0);
        c = ascii_lower(c);
        buf_put_u8(out, is_upper && c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c);
    }
    for (size_t i = len; i < pad && !s->fill_mode; i++) {
        buf_put_u8(out, ' ');
    }
}

/* What a picture shows. Of an interval the calendar fields that make no sense are zero. */
struct shown {
    struct datetime_fields f; /* hour may pass 24 for intervals */
    int64_t hour;
    int64_t date;
    bool is_interval;
    bool with_zone;
};

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
}

static bool put_time_pattern(struct buf *out, const struct step *s, const struct shown *t)
{
    bool pm = t->hour % 24 >= 12;
    switch (s->pattern) {
    case P_HH24:
        put_number(out, s, t->hour, 2);
        break;
    case P_HH12:
    case P_HH:
        put_number(out, s, t->hour % 12 == 0 ? 12 : t->hour % 12, 2);
        break;
    case P_MI:
        put_number(out, s, t->f.minute, 2);
        break;
    case P_SS:
        put_number(out, s, t->f.second, 2);
        break;
    case P_SSSS:
        put_number(out, s, t->hour * 3600 + t->f.minute * 60 + t->f.second, 1);
        break;
    case P_MS:
        put_number(out, s, t->f.usec / 1000, 3);
        break;
    case P_US:
        put_number(out, s, t->f.usec, 6);
        break;
    case P_AM:
    case P_PM:
        put_text(out, pm ? "PM" : "AM");
        break;
    case P_AM_LOWER:
    case P_PM_LOWER:
        put_text(out, pm ? "pm" : "am");
        break;
    case P_A_M:
    case P_P_M:
        put_text(out, pm ? "P.M." : "A.M.");
        break;
    case P_A_M_LOWER:
    case P_P_M_LOWER:
        put_text(out, pm ? "p.m." : "a.m.");
        break;
    case P_TZ:
        put_text(out, t->with_zone ? "UTC" : "");
        break;
    case P_TZ_LOWER:
        put_text(out, t->with_zone ? "utc" : "");
        break;
    case P_TZH:
    case P_OF:
        put_text(out, "+00");
        break;
    case P_TZM:
        put_text(out, "00");
        break;
    default:
        return false;
    }
    return true;
}

/* Years are shown without a sign (BC says it) except for intervals. */
static int64_t shown_year(const struct shown *t, int year)
{
    return t->is_interval || year > 0 ? year : 1 - year;
}

static bool put_year_pattern(struct buf *out, const struct step *s, const struct shown *t)
{
    int week = 0, iso_year = t->f.year;
    if (!t->is_interval && s->pattern >= P_IYYY && s->pattern <= P_I) {
        iso_week(t->f.year, t->f.month, t->f.day, &week, &iso_year);
    }
    int64_t y = shown_year(t, t->f.year), iy = shown_year(t, iso_year);
    switch (s->pattern) {
    case P_YYYY_COMMA:
        buf_printf(out, "%lld,%03lld", (long long)(y / 1000), (long long)(y % 1000));
        break;
    case P_YYYY:
        put_number(out, s, y, 4);
        break;
    case P_YYY:
        put_number(out, s, y % 1000, 3);
        break;
    case P_YY:
        put_number(out, s, y % 100, 2);
        break;
    case P_Y:
        put_number(out, s, y % 10, 1);
        break;
    case P_IYYY:
        put_number(out, s, iy, 4);
        break;
    case P_IYY:
        put_number(out, s, iy % 1000, 3);
        break;
    case P_IY:
        put_number(out, s, iy % 100, 2);
        break;
    case P_I:
        put_number(out, s, iy % 10, 1);
        break;
    case P_BC:
    case P_AD:
        put_text(out, t->f.year <= 0 ? "BC" : "AD");
        break;
    case P_B_C:
    case P_A_D:
        put_text(out, t->f.year <= 0 ? "B.C." : "A.D.");
        break;
    case P_BC_LOWER:
    case P_AD_LOWER:
        put_text(out, t->f.year <= 0 ? "bc" : "ad");
        break;
    case P_CC: {
        int64_t c = t->f.year > 0 ? (t->f.year - 1) / 100 + 1 : t->f.year / 100 - 1;
        if (t->is_interval) {
            c = t->f.year / 100;
        }
        put_number(out, s, c, 2);
        break;
    }
    default:
        return false;
    }
    return true;
}

static void put_date_pattern(struct buf *out, const struct step *s, const struct shown *t)
{
    static const char *const roman[] = {"I",   "II",   "III", "IV", "V",  "VI",
                                        "VII", "VIII", "IX",  "X",  "XI", "XII"};
    const struct datetime_fields *f = &t->f;
    int m = f->month >= 1 && f->month <= 12 ? f->month - 1 : 0;
    int dow = weekday(t->date), week = 0, iso_year = 0;
    int64_t doy = t->date - date_from_ymd(f->year, 1, 1) + 1;
    enum pattern p = s->pattern;
    if (t->is_interval && p >= P_MONTH_UPPER && p <= P_MON_LOWER) {
        return;
    }
    if (t->is_interval && p >= P_DAY_UPPER && p <= P_DY_LOWER) {
        return;
    }
    if (p == P_IW || p == P_IDDD) {
        iso_week(f->year, f->month, f->day, &week, &iso_year);
    }
    switch (p) {
    case P_MONTH_UPPER:
    case P_MONTH:
    case P_MONTH_LOWER:
        put_name(out, s, month_names[m], strlen(month_names[m]),
                 (enum letter_case)(p - P_MONTH_UPPER), 9);
        break;
    case P_MON_UPPER:
    case P_MON:
    case P_MON_LOWER:
        put_name(out, s, month_names[m], 3, (enum letter_case)(p - P_MON_UPPER), 3);
        break;
    case P_DAY_UPPER:
    case P_DAY:
    case P_DAY_LOWER:
        put_name(out, s, day_names[dow], strlen(day_names[dow]),
                 (enum letter_case)(p - P_DAY_UPPER), 9);
        break;
    case P_DY_UPPER:
    case P_DY:
    case P_DY_LOWER:
        put_name(out, s, day_names[dow], 3, (enum letter_case)(p - P_DY_UPPER), 3);
        break;
    case P_MM:
        put_number(out, s, f->month, 2);
        break;
    case P_DDD:
        put_number(out, s, t->is_interval ? f->day : doy, 3);
        break;
    case P_IDDD:
        put_number(out, s, t->date - iso_week_monday(iso_year, 1) + 1, 3);
        break;
    case P_DD:
        put_number(out, s, f->day, f->day < 0 ? 1 : 2); /* the sign counts here, only here */
        break;
    case P_D:
        put_number(out, s, dow + 1, 1);
        break;
    case P_ID:
        put_number(out, s, dow == 0 ? 7 : dow, 1);
        break;
    case P_W:
        put_number(out, s, (f->day - 1) / 7 + 1, 1);
        break;
    case P_WW:
        put_number(out, s, (doy - 1) / 7 + 1, 2);
        break;
    case P_IW:
        put_number(out, s, week, 2);
        break;
    case P_J:
        put_number(out, s, t->date + JULIAN_2000, 1);
        break;
    case P_Q:
        put_number(out, s, m / 3 + 1, 1);
        break;
    case P_RM:
        put_name(out, s, roman[m], strlen(roman[m]), CASE_UPPER, 4);
        break;
    case P_RM_LOWER:
        put_name(out, s, roman[m], strlen(roman[m]), CASE_LOWER, 4);
        break;
    default:
        break;
    }
}

static void to_char(const struct shown *t, struct slice picture, struct buf *out)
{
    struct picture pic = {.p = picture.data, .end = picture.data + picture.len};
    struct step s;
    while (next_step(&pic, &s)) {
        if (s.pattern == P_NONE) {
            buf_put_u8(out, s.literal);
        } else if (!put_time_pattern(out, &s, t) && !put_year_pattern(out, &s, t)) {
            put_date_pattern(out, &s, t);
        }
    }
}

void timestamp_to_char(int64_t ts, bool with_zone, struct slice picture, struct buf *out)
{
    struct shown t = {.with_zone = with_zone};
    if (!timestamp_is_finite(ts)) {
        return; /* the caller makes it NULL, as PostgreSQL does */
    }
    timestamp_to_fields(ts, &t.f);
    t.hour = t.f.hour;
    t.date = floor_div(ts, USECS_PER_DAY);
    to_char(&t, picture, out);
}

void interval_to_char(const struct interval *iv, struct slice picture, struct buf *out)
{
    struct shown t = {.is_interval = true};
    t.f.year = iv->months / MONTHS_PER_YEAR;
    t.f.month = iv->months % MONTHS_PER_YEAR;
    t.f.day = iv->days;
    t.hour = iv->us / USECS_PER_HOUR;
    t.f.minute = (int)(iv->us / USECS_PER_MINUTE % 60);
    t.f.second = (int)(iv->us / USECS_PER_SEC % 60);
    t.f.usec = (int)(iv->us % USECS_PER_SEC);
    to_char(&t, picture, out);
}

/* ---- input ---- */

struct from_char {
    const uint8_t *p;
    const uint8_t *end;
    int year, month, day, hour, minute, second, usec, doy;
    int64_t julian;
    int zone_s;
    bool has_julian, is_pm, is_am, is_bc, hour12;
};

static struct status *bad_value(const char *field, struct slice text)
{
    TRY(utf8_check(text));
    return status_sql(INVALID, "22007", "invalid value \"%.*s\" for \"%s\"",
                      (int)utf8_prefix(text, 20), (const char *)text.data, field);
}

static struct status *take_int(struct from_char *f, const char *field, size_t width, int *out)
{
    const uint8_t *start;
    while (f->p < f->end && is_blank(*f->p)) {
        f->p++;
    }
    start = f->p;
    bool neg = f->p < f->end && *f->p == '-';
    f->p += neg || (f->p < f->end && *f->p == '+');
    const uint8_t *digits = f->p;
    int64_t v = 0;
    while (f->p < f->end && is_digit(*f->p) && (size_t)(f->p - digits) < width) {
        v = v * 10 + (*f->p++ - '0');
    }
    if (f->p == digits || v > INT32_MAX) {
        return bad_value(field, slice_make(start, (size_t)(f->end - start)));
    }
    *out = (int)(neg ? -v : v);
    return NULL;
}

static struct status *take_name(struct from_char *f, const char *const *names, int count,
                                size_t len, const char *field, int *out)
{
    size_t left = (size_t)(f->end - f->p);
    for (int i = 0; i < count; i++) {
        size_t n = len > 0 ? len : strlen(names[i]), k = 0;
        while (k < n && k < left && ascii_lower(f->p[k]) == ascii_lower((uint8_t)names[i][k])) {
            k++;
        }
        if (k == n) {
            f->p += n;
            *out = i + 1;
            return NULL;
        }
    }
    return bad_value(field, slice_make(f->p, left));
}

static bool take_literal(struct from_char *f, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(f->end - f->p) >= n && slice_is_word(slice_make(f->p, n), word)) {
        f->p += n;
        return true;
    }
    return false;
}

/* Whether a number pattern is followed by another digit pattern: then widths are exact. */
static size_t number_width(const struct picture *pic, const struct step *s, size_t width)
{
    struct picture ahead = *pic;
    struct step next;
    if (s->fill_mode || !next_step(&ahead, &next)) {
        return 9;
    }
    return next.pattern == P_NONE && !is_digit(next.literal) ? 9 : width;
}

static struct status *read_step(struct from_char *f, const struct picture *pic,
                                const struct step *s)
{
    int v = 0;
    switch (s->pattern) {
    case P_NONE:
        if (is_blank(s->literal)) {
            while (f->p < f->end && is_blank(*f->p)) {
                f->p++;
            }
        } else if (f->p < f->end) {
            f->p++;
        }
        return NULL;
    case P_HH24:
        return take_int(f, "HH24", number_width(pic, s, 2), &f->hour);
    case P_HH12:
    case P_HH:
        f->hour12 = true;
        return take_int(f, "HH12", number_width(pic, s, 2), &f->hour);
    case P_MI:
        return take_int(f, "MI", number_width(pic, s, 2), &f->minute);
    case P_SS:
        return take_int(f, "SS", number_width(pic, s, 2), &f->second);
    case P_SSSS:
        TRY(take_int(f, "SSSS", 5, &v));
        f->hour = v / 3600;
        f->minute = v / 60 % 60;
        f->second = v % 60;
        return NULL;
    case P_MS:
    case P_US: {
        const uint8_t *start = f->p;
        size_t width = s->pattern == P_MS ? 3 : 6;
        TRY(take_int(f, "US", width, &v));
        for (size_t n = (size_t)(f->p - start); n < 6; n++) {
            v *= 10;
        }
        f->usec += v;
        return NULL;
    }
    case P_AM:
    case P_PM:
    case P_AM_LOWER:
    case P_PM_LOWER:
    case P_A_M:
    case P_P_M:
    case P_A_M_LOWER:
    case P_P_M_LOWER:
        f->is_am = take_literal(f, "am") || take_literal(f, "a.m.");
        f->is_pm = !f->is_am && (take_literal(f, "pm") || take_literal(f, "p.m."));
        f->hour12 = true;
        return f->is_am || f->is_pm ? NULL
                                    : bad_value("AM", slice_make(f->p, (size_t)(f->end - f->p)));
    case P_YYYY:
    case P_IYYY:
        return take_int(f, "YYYY", number_width(pic, s, 4), &f->year);
    case P_YYYY_COMMA:
        TRY(take_int(f, "Y,YYY", 6, &v));
        f->p += f->p < f->end && *f->p == ',';
        TRY(take_int(f, "Y,YYY", 3, &f->year));
        f->year += v * 1000;
        return NULL;
    case P_YYY:
        TRY(take_int(f, "YYY", 3, &f->year));
        f->year += f->year < 520 ? 2000 : 1000;
        return NULL;
    case P_YY:
        TRY(take_int(f, "YY", number_width(pic, s, 2), &f->year));
        f->year += f->year < 70 ? 2000 : f->year < 100 ? 1900 : 0;
        return NULL;
    case P_Y:
        TRY(take_int(f, "Y", 1, &f->year));
        f->year += 2000;
        return NULL;
    case P_BC:
    case P_AD:
    case P_B_C:
    case P_A_D:
    case P_BC_LOWER:
    case P_AD_LOWER:
        f->is_bc = take_literal(f, "bc") || take_literal(f, "b.c.");
        if (!f->is_bc && !take_literal(f, "ad") && !take_literal(f, "a.d.")) {
            return bad_value("BC", slice_make(f->p, (size_t)(f->end - f->p)));
        }
        return NULL;
    case P_MM:
        return take_int(f, "MM", number_width(pic, s, 2), &f->month);
    case P_MONTH:
    case P_MONTH_UPPER:
    case P_MONTH_LOWER:
        TRY(take_name(f, month_names, 12, 0, "MONTH", &f->month));
        return NULL;
    case P_MON:
    case P_MON_UPPER:
    case P_MON_LOWER:
        return take_name(f, month_names, 12, 3, "MON", &f->month);
    case P_DAY:
    case P_DAY_UPPER:
    case P_DAY_LOWER:
        return take_name(f, day_names, 7, 0, "DAY", &v);
    case P_DY:
    case P_DY_UPPER:
    case P_DY_LOWER:
        return take_name(f, day_names, 7, 3, "DY", &v);
    case P_DDD:
        return take_int(f, "DDD", number_width(pic, s, 3), &f->doy);
    case P_DD:
        return take_int(f, "DD", number_width(pic, s, 2), &f->day);
    case P_D:
    case P_ID:
    case P_Q:
    case P_W:
        return take_int(f, "D", 1, &v);
    case P_J:
        TRY(take_int(f, "J", 9, &v));
        f->julian = v;
        f->has_julian = true;
        return NULL;
    case P_TZH:
        TRY(take_int(f, "TZH", 2, &v));
        f->zone_s += v * 3600;
        return NULL;
    case P_TZM:
        TRY(take_int(f, "TZM", 2, &v));
        f->zone_s += (f->zone_s < 0 ? -v : v) * 60;
        return NULL;
    default:
        return status_sql(UNSUPPORTED, "0A000",
                          "this formatting field is only supported in to_char");
    }
}

static struct status *out_of_range(struct slice text)
{
    TRY(utf8_check(text));
    return status_sql(INVALID, "22008", "date/time field value out of range: \"%.*s\"",
                      (int)utf8_prefix(text, 200), (const char *)text.data);
}

struct status *timestamp_from_char(struct slice text, struct slice picture, int64_t *out)
{
    struct picture pic = {.p = picture.data, .end = picture.data + picture.len};
    struct from_char f = {.p = text.data, .end = text.data + text.len, .month = 1, .day = 1};
    struct step s;
    while (next_step(&pic, &s) && f.p < f.end) {
        TRY(read_step(&f, &pic, &s));
    }
    if (f.hour12) {
        if (f.hour < 1 || f.hour > 12) {
            return status_hint(status_sql(INVALID, "22007",
                                          "hour \"%d\" is invalid for the 12-hour clock", f.hour),
                               "Use the 24-hour clock, or give an hour between 1 and 12.");
        }
        f.hour = f.hour % 12 + (f.is_pm ? 12 : 0);
    }
    if (f.is_bc) {
        f.year = 1 - f.year;
    } else if (f.year == 0) {
        f.year = 0; /* unset: 1 BC, as PostgreSQL */
    } else if (f.year < 0) {
        f.year += 1;
    }
    if (f.hour < 0 || f.hour > 24 || f.minute < 0 || f.minute > 59 || f.second < 0 ||
        f.second > 59 || f.year < -4800 || f.year > 5874897) {
        return out_of_range(text);
    }
    int64_t date;
    if (f.has_julian) {
        date = f.julian - JULIAN_2000;
    } else if (f.doy > 0) {
        if (f.doy > 365 + is_leap(f.year)) {
            return out_of_range(text);
        }
        date = date_from_ymd(f.year, 1, 1) + f.doy - 1;
    } else if (!date_is_valid_ymd(f.year, f.month, f.day)) {
        return out_of_range(text);
    } else {
        date = date_from_ymd(f.year, f.month, f.day);
    }
    __int128 us = (__int128)date * USECS_PER_DAY + f.hour * USECS_PER_HOUR +
                  f.minute * USECS_PER_MINUTE + f.second * USECS_PER_SEC + f.usec -
                  (__int128)f.zone_s * USECS_PER_SEC;
    if (us < TIMESTAMP_MIN || us >= TIMESTAMP_END) {
        return status_sql(INVALID, "22008", "timestamp out of range");
    }
    *out = (int64_t)us;
    return NULL;
}
