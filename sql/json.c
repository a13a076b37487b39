/*
 * json: a text that is one JSON value (RFC 8259), kept as it was written. Checked on its way in; no
 * operators take it apart. json_build_object() and json_build_array() make it from SQL values.
 *
 * Nesting is counted, not recursed into: the check needs no stack.
 */
#include "funcs.h"
#include "sql/array.h"
#include "value.h"

#define JSON_NESTING_MAX 1000

struct scan {
    const uint8_t *p, *end;
};

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

static bool scan_string(struct scan *s)
{
    if (s->p == s->end || *s->p != '"') {
        return false;
    }
    for (s->p++; s->p < s->end; s->p++) {
        if (*s->p == '"') {
            s->p++;
            return true;
        }
        if (*s->p < 0x20) {
            return false;
        }
        if (*s->p != '\\') {
            continue;
        }
        if (++s->p == s->end) {
            return false;
        }
        if (*s->p == 'u') {
            if (s->end - s->p < 5) {
                return false;
            }
            for (int i = 1; i <= 4; i++) {
                if (!is_hex(s->p[i])) {
                    return false;
                }
            }
            s->p += 4;
        } else if (memchr("\"\\/bfnrt", *s->p, 8) == NULL) {
            return false;
        }
    }
    return false;
}

static bool scan_digits(struct scan *s)
{
    const uint8_t *from = s->p;
    while (s->p < s->end && is_digit(*s->p)) {
        s->p++;
    }
    return s->p > from;
}

static bool scan_number(struct scan *s)
{
    if (s->p < s->end && *s->p == '-') {
        s->p++;
    }
    if (s->p < s->end && *s->p == '0') {
        s->p++;
    } else if (!scan_digits(s)) {
        return false;
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!scan_digits(s)) {
            return false;
        }
    }
    if (s->p < s->end && ascii_lower(*s->p) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) {
            s->p++;
        }
        return scan_digits(s);
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0) {
        return false;
    }
    s->p += n;
    return true;
}

static bool scan_scalar(struct scan *s)
{
    if (s->p == s->end) {
        return false;
    }
    switch (*s->p) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return scan_number(s);
    }
}

/* One value; opened arrays and objects are remembered as one bit each. */
static struct status *scan_value(struct scan *s, bool *out_ok)
{
    uint8_t is_object[JSON_NESTING_MAX / 8] = {0};
    int depth = 0;
    bool wants_value = true; /* else: a comma or an end */
    *out_ok = false;
    do {
        skip_blanks(s);
        if (wants_value && s->p < s->end && (*s->p == '{' || *s->p == '[')) {
            bool object = *s->p++ == '{';
            if (depth == JSON_NESTING_MAX) {
                return status_sql(LIMIT, "54001", "stack depth limit exceeded");
            }
            uint8_t bit = (uint8_t)(1u << (depth & 7));
            is_object[depth >> 3] =
                (uint8_t)(object ? is_object[depth >> 3] | bit : is_object[depth >> 3] & ~bit);
            depth++;
            skip_blanks(s);
            if (s->p < s->end && *s->p == (object ? '}' : ']')) {
                wants_value = false;
                continue;
            }
        } else if (wants_value) {
            if (!scan_scalar(s)) {
                return NULL;
            }
            wants_value = false;
            continue;
        } else {
            bool object = (is_object[(depth - 1) >> 3] >> ((depth - 1) & 7) & 1) != 0;
            if (s->p == s->end) {
                return NULL;
            }
            uint8_t c = *s->p++;
            if (c == (object ? '}' : ']')) {
                depth--;
                continue;
            }
            if (c != ',') {
                return NULL;
            }
            wants_value = true;
        }
        /* Before each member of an object: its name. */
        if ((is_object[(depth - 1) >> 3] >> ((depth - 1) & 7) & 1) != 0) {
            skip_blanks(s);
            if (!scan_string(s)) {
                return NULL;
            }
            skip_blanks(s);
            if (s->p == s->end || *s->p++ != ':') {
                return NULL;
            }
        }
    } while (depth > 0 || wants_value);
    skip_blanks(s);
    *out_ok = s->p == s->end;
    return NULL;
}

struct status *json_check(struct slice text)
{
    struct scan s = {text.data, text.data + text.len};
    bool ok;
    TRY(scan_value(&s, &ok));
    return ok ? NULL : status_sql(INVALID, "22P02", "invalid input syntax for type json");
}

/* ---- building ---- */

static void put_string(struct buf *b, struct slice s)
{
    buf_put_u8(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        switch (c) {
        case '"':
        case '\\':
            buf_put_u8(b, '\\');
            buf_put_u8(b, c);
            break;
        case '\n':
            buf_printf(b, "\\n");
            break;
        case '\r':
            buf_printf(b, "\\r");
            break;
        case '\t':
            buf_printf(b, "\\t");
            break;
        case '\b':
            buf_printf(b, "\\b");
            break;
        case '\f':
            buf_printf(b, "\\f");
            break;
        default:
            if (c < 0x20) {
                buf_printf(b, "\\u%04x", c);
            } else {
                buf_put_u8(b, c);
            }
        }
    }
    buf_put_u8(b, '"');
}

static void put_value(struct buf *b, type_oid type, const struct datum *d)
{
    if (d->is_null) {
        buf_printf(b, "null");
        return;
    }
    type_oid element = type_element(type);
    if (element != 0) {
        struct array_iter it;
        struct datum e;
        array_iter_init(&it, d);
        buf_put_u8(b, '[');
        while (array_next(&it, &e)) {
            if (it.index > 1) {
                buf_put_u8(b, ',');
            }
            put_value(b, element, &e);
        }
        buf_put_u8(b, ']');
        return;
    }
    if (type == TYPE_BOOL) {
        buf_printf(b, d->i != 0 ? "true" : "false");
        return;
    }
    struct buf text = {0};
    type_output(type, d, &text);
    switch (type) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC: /* NaN and the infinities are no JSON numbers */
        if (text.len > 0 && (is_digit(text.data[text.len - 1]))) {
            buf_put_slice(b, buf_slice(&text));
        } else {
            put_string(b, buf_slice(&text));
        }
        break;
    case TYPE_JSON:
        buf_put_slice(b, buf_slice(&text));
        break;
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ: { /* ISO 8601 */
        uint8_t *blank = text.len > 0 ? memchr(text.data, ' ', text.len) : NULL;
        if (blank != NULL) {
            *blank = 'T';
        }
        if (type == TYPE_TIMESTAMPTZ && blank != NULL) {
            buf_printf(&text, ":00"); /* the zone is UTC: "+00" */
        }
        put_string(b, buf_slice(&text));
        break;
    }
    default:
        put_string(b, buf_slice(&text));
    }
    buf_deinit(&text);
}

FUNC(fn_json_build_object)
{
    if (nargs % 2 != 0) {
        return status_hint(
            status_sql(INVALID, "22023", "argument list must have even number of elements"),
            "The arguments of json_build_object() must consist of alternating keys and values.");
    }
    struct buf b = {0};
    buf_put_u8(&b, '{');
    for (int i = 0; i < nargs; i += 2) {
        if (args[i].is_null) {
            buf_deinit(&b);
            return status_hint(status_sql(INVALID, "22023", "argument %d cannot be null", i + 1),
                               "Object keys should be text.");
        }
        struct buf key = {0};
        type_output(func_call_arg_type(ctx, i), &args[i], &key);
        buf_printf(&b, "%s", i > 0 ? ", " : "");
        put_string(&b, buf_slice(&key));
        buf_deinit(&key);
        buf_printf(&b, " : ");
        put_value(&b, func_call_arg_type(ctx, i + 1), &args[i + 1]);
    }
    buf_put_u8(&b, '}');
    return func_buf(ctx, &b, out);
}

FUNC(fn_json_build_array)
{
    struct buf b = {0};
    buf_put_u8(&b, '[');
    for (int i = 0; i < nargs; i++) {
        buf_printf(&b, "%s", i > 0 ? ", " : "");
        put_value(&b, func_call_arg_type(ctx, i), &args[i]);
    }
    buf_put_u8(&b, ']');
    return func_buf(ctx, &b, out);
}
