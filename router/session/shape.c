/*
 * The shape of a statement: its text with the literals lifted out as parameters, so that
 * "INSERT INTO t VALUES (17, 'x')" and "... (18, 'y')" share one plan and only the first is parsed.
 *
 * A literal is lifted where a parameter of the literal's type means the same: in a VALUES list, and
 * after a comparison or arithmetic operator behind SET or WHERE. Integers become int4 or int8
 * parameters as PostgreSQL types them; quoted strings become parameters of unknown type, which are
 * resolved as the literal would be. Everything that is not plainly such a case (casts, typed
 * literals such as DATE '...', E'' and dollar quotes, comments, ON CONFLICT, RETURNING lists, ORDER
 * BY ordinals, LIMIT) is left as it is; when in doubt, no shape.
 */
#include "session_internal.h"

#include <ctype.h>
#include <strings.h>

#define SHAPE_TEXT_MAX 4096

void shape_deinit(struct shape *s)
{
    buf_deinit(&s->text);
    buf_deinit(&s->unquoted);
}

static bool is_word(uint8_t c)
{
    return isalnum(c) || c == '_' || c >= 0x80;
}

static bool word_is(const uint8_t *p, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp((const char *)p, word, len) == 0;
}

/* Is the literal followed by something that makes it part of a larger thing? */
static bool is_plain_end(const uint8_t *p, const uint8_t *end)
{
    while (p < end && isspace(*p)) {
        p++;
    }
    return p == end || *p == ',' || *p == ')' || *p == ';' || *p == '+' || *p == '-' || *p == '<' ||
           *p == '>' || *p == '=' || isalpha(*p);
}

static bool lift(struct shape *s, type_oid type, struct slice text)
{
    if (s->count == 64) {
        return false;
    }
    s->types[s->count] = type;
    s->values[s->count] = text;
    s->count++;
    buf_printf(&s->text, "$%d", s->count);
    return true;
}

enum region { IN_HEAD, IN_VALUES, IN_CLAUSE };

/* Unquoted strings must not move while later ones are added: reserve once for all. */
bool shape_of(struct slice sql, struct shape *out)
{
    memset(out, 0, sizeof(*out));
    if (sql.len < 7 || sql.len > SHAPE_TEXT_MAX || memchr(sql.data, '$', sql.len) != NULL ||
        memchr(sql.data, '\\', sql.len) != NULL) {
        return false;
    }
    const uint8_t *p = sql.data, *end = sql.data + sql.len;
    while (p < end && isspace(*p)) {
        p++;
    }
    bool is_insert = end - p > 6 && strncasecmp((const char *)p, "insert", 6) == 0;
    bool is_dml = is_insert || (end - p > 6 && (strncasecmp((const char *)p, "update", 6) == 0 ||
                                                strncasecmp((const char *)p, "delete", 6) == 0 ||
                                                strncasecmp((const char *)p, "select", 6) == 0));
    if (!is_dml) {
        return false;
    }
    buf_reserve(&out->text, sql.len + 64);
    buf_reserve(&out->unquoted, sql.len);
    enum region region = IN_HEAD;
    uint8_t last = 0;        /* last significant character */
    bool after_word = false; /* a keyword or name came just before */
    while (p < end) {
        if (isspace(*p)) {
            buf_put_u8(&out->text, *p++);
            continue;
        }
        if (*p == '-' && p + 1 < end && p[1] == '-') {
            return false;
        }
        if (*p == '/' && p + 1 < end && p[1] == '*') {
            return false;
        }
        if (*p == '"') {
            const uint8_t *q = memchr(p + 1, '"', (size_t)(end - p - 1));
            if (q == NULL) {
                return false;
            }
            buf_put(&out->text, p, (size_t)(q + 1 - p));
            p = q + 1;
            last = '"';
            after_word = true;
            continue;
        }
        bool is_operand =
            !after_word && (region == IN_VALUES ? (last == '(' || last == ',')
                                                : region == IN_CLAUSE &&
                                                      (last == '=' || last == '<' || last == '>' ||
                                                       last == '+' || last == '-'));
        if (isdigit(*p)) {
            const uint8_t *q = p;
            while (q < end && isdigit(*q)) {
                q++;
            }
            bool is_integer = q == end || (*q != '.' && !is_word(*q));
            while (q < end && (is_word(*q) || *q == '.')) {
                q++;
            }
            if (is_operand && is_integer && q - p <= 18 && is_plain_end(q, end)) {
                int64_t v = 0;
                for (const uint8_t *d = p; d < q; d++) {
                    v = v * 10 + (*d - '0');
                }
                if (!lift(out, v <= INT32_MAX ? TYPE_INT4 : TYPE_INT8,
                          slice_make(p, (size_t)(q - p)))) {
                    return false;
                }
            } else {
                buf_put(&out->text, p, (size_t)(q - p));
            }
            p = q;
            last = '0';
            after_word = true;
            continue;
        }
        if (*p == '\'') {
            const uint8_t *q = p + 1;
            bool has_quote = false;
            for (;;) {
                q = memchr(q, '\'', (size_t)(end - q));
                if (q == NULL) {
                    return false;
                }
                if (q + 1 < end && q[1] == '\'') {
                    has_quote = true;
                    q += 2;
                    continue;
                }
                break;
            }
            if (is_operand && is_plain_end(q + 1, end)) {
                struct slice text = slice_make(p + 1, (size_t)(q - p - 1));
                if (has_quote) {
                    uint8_t *dst = buf_extend(&out->unquoted, 0);
                    size_t n = 0;
                    for (const uint8_t *c = p + 1; c < q; c++) {
                        dst[n++] = *c;
                        c += *c == '\'';
                    }
                    buf_extend(&out->unquoted, n);
                    text = slice_make(dst, n);
                }
                if (!lift(out, 0, text)) {
                    return false;
                }
            } else {
                buf_put(&out->text, p, (size_t)(q + 1 - p));
            }
            p = q + 1;
            last = '\'';
            after_word = true;
            continue;
        }
        if (is_word(*p)) {
            const uint8_t *q = p;
            while (q < end && is_word(*q)) {
                q++;
            }
            size_t len = (size_t)(q - p);
            if (q < end && *q == '\'') {
                return false; /* E'..', B'..', N'..' */
            }
            if (word_is(p, len, "values") && is_insert) {
                region = IN_VALUES;
            } else if (word_is(p, len, "set") || word_is(p, len, "where")) {
                region = IN_CLAUSE;
            } else if (word_is(p, len, "returning") || word_is(p, len, "order") ||
                       word_is(p, len, "group") || word_is(p, len, "limit") ||
                       word_is(p, len, "on") || word_is(p, len, "having") ||
                       word_is(p, len, "offset") || word_is(p, len, "union") ||
                       word_is(p, len, "select")) {
                region = IN_HEAD;
            } else if (word_is(p, len, "interval") || word_is(p, len, "case")) {
                return false;
            }
            buf_put(&out->text, p, len);
            p = q;
            last = 'a';
            after_word = true;
            continue;
        }
        if (*p == ':') {
            return false; /* casts change what a literal means */
        }
        buf_put_u8(&out->text, *p);
        last = *p++;
        after_word = false;
    }
    return out->count > 0;
}
