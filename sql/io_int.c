/*
 * Integers, booleans and oids: text forms, with PostgreSQL's messages. Output is two digits at a
 * time: result rows of analytic queries are mostly integers.
 */
#include "value.h"

/* Reads [blanks][sign]digits[blanks]. Returns 0 ok, 1 syntax, 2 out of int64's range. */
static int parse_int64(struct slice s, int64_t *out)
{
    s = slice_trim(s);
    const uint8_t *p = s.data, *end = s.data + s.len;
    bool neg = false;
    if (p < end && (*p == '-' || *p == '+')) {
        neg = *p++ == '-';
    }
    if (p == end) {
        return 1;
    }
    uint64_t v = 0;
    bool overflow = false;
    for (; p < end; p++) {
        if (!is_digit(*p)) {
            return 1;
        }
        overflow = overflow || __builtin_mul_overflow(v, 10u, &v) ||
                   __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v);
    }
    if (overflow || v > (uint64_t)INT64_MAX + neg) {
        return 2;
    }
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

static struct status *range_error(const char *what, struct slice s)
{
    TRY(utf8_check(s));
    return status_sql(INVALID, "22003", "value \"%.*s\" is out of range for type %s",
                      (int)(s.len > 1000 ? 1000 : s.len), (const char *)s.data, what);
}

struct status *int_input(type_oid type, struct slice s, int64_t *out)
{
    const char *what = type == TYPE_INT2 ? "smallint" : type == TYPE_INT4 ? "integer" : "bigint";
    int64_t v = 0;
    int rc = parse_int64(s, &v);
    if (rc == 1) {
        return input_syntax_error(what, s);
    }
    if (rc == 2 || (type == TYPE_INT2 && v != (int16_t)v) ||
        (type == TYPE_INT4 && v != (int32_t)v)) {
        return range_error(what, s);
    }
    *out = v;
    return NULL;
}

struct status *oid_input(type_oid type, struct slice s, int64_t *out)
{
    int64_t v = 0;
    int rc = parse_int64(s, &v);
    if (rc == 0 && (v < INT32_MIN || v > (int64_t)UINT32_MAX)) {
        rc = 2;
    }
    if (rc == 2) {
        return range_error(type_find(type)->sql_name, s);
    }
    if (rc == 0) {
        *out = (int64_t)(uint32_t)v;
        return NULL;
    }
    if (type == TYPE_OID) {
        return input_syntax_error("oid", s);
    }
    s = slice_trim(s);
    if (s.len == 1 && s.data[0] == '-') {
        *out = 0;
        return NULL;
    }
    if (type == TYPE_REGTYPE) {
        const struct type_info *t = type_find_name(s);
        TRY(utf8_check(s));
        if (t == NULL) {
            return status_sql(NOT_FOUND, "42704", "type \"%.*s\" does not exist",
                              (int)(s.len > 200 ? 200 : s.len), (const char *)s.data);
        }
        *out = t->oid;
        return NULL;
    }
    return status_hint(status_sql(UNSUPPORTED, "0A000", "cannot look up a %s by name here",
                                  type_find(type)->sql_name),
                       "Names are resolved in statements only; pass the oid instead.");
}

void int_output(int64_t v, struct buf *out)
{
    static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243"
        "4445464748495051525354555657585960616263646566676869707172737475767778798081828384858687"
        "888990919293949596979899";
    char tmp[20];
    char *p = tmp + sizeof tmp;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    while (u >= 100) {
        p -= 2;
        memcpy(p, pairs + (u % 100) * 2, 2);
        u /= 100;
    }
    if (u >= 10) {
        p -= 2;
        memcpy(p, pairs + u * 2, 2);
    } else {
        *--p = (char)('0' + u);
    }
    if (v < 0) {
        *--p = '-';
    }
    buf_put(out, p, (size_t)(tmp + sizeof tmp - p));
}

struct status *bool_input(struct slice s, int64_t *out)
{
    /* A unique prefix of these words is enough. */
    static const struct {
        const char *word;
        size_t len_min;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    struct slice t = slice_trim(s);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if (t.len < words[i].len_min || t.len > n) {
            continue;
        }
        size_t k = 0;
        while (k < t.len && ascii_lower(t.data[k]) == (uint8_t)words[i].word[k]) {
            k++;
        }
        if (k == t.len) {
            *out = words[i].value;
            return NULL;
        }
    }
    return input_syntax_error("boolean", s);
}
