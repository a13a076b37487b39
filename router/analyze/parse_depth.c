/*
 * A small scanner in front of libpg_query, whose recursive functions would overflow any stack on
 * hostile input.
 *
 * The tree gets deep in two ways: by nesting (parentheses, brackets, CASE) and by chains (a + b + c
 * is ((a + b) + c)). A comma or AND/OR at a level ends its operator chain; UNION and JOIN chains go
 * on to the end of the level. The sums over all open levels bound the depth of the tree from above.
 *
 * The lexer matches a run of operator characters as a whole and then gives back all but the first
 * operator, or the start of a comment, so its work is the sum of what is left of the run at each of
 * them: quadratic for a text like a hundred thousand comments in comments.
 */
#include "parse_depth.h"

#include <ctype.h>
#include <limits.h>
#include <strings.h>

enum { LEVELS = 1024 };
#define RUN_WORK_MAX ((size_t)64 << 20) /* some 0.1 s of the lexer */

struct depth_scan {
    const uint8_t *p, *end;
    int depth;          /* of open levels */
    int chain_total;    /* over all open levels */
    int ops[LEVELS];    /* operators since the last comma */
    int sticky[LEVELS]; /* set operations, joins */
    int max_nesting, max_chain;
    const uint8_t *run_end; /* of the operator characters around p */
    size_t run_work;        /* characters that the lexer looks at again and again */
};

/* An operator or the start of a comment is at p. */
static void run_count(struct depth_scan *s)
{
    if (s->p >= s->run_end) {
        s->run_end = s->p;
        while (s->run_end < s->end && *s->run_end != '\0' &&
               strchr("~!@#^&|`?+-*/%<>=", *s->run_end) != NULL) {
            s->run_end++;
        }
    }
    s->run_work += (size_t)(s->run_end - s->p);
}

static void skip_quoted(struct depth_scan *s, uint8_t quote, bool backslash)
{
    s->p++;
    while (s->p < s->end) {
        if (backslash && *s->p == '\\') {
            s->p += 2;
            continue;
        }
        if (*s->p == quote) {
            if (s->p + 1 < s->end && s->p[1] == quote) {
                s->p += 2;
                continue;
            }
            s->p++;
            return;
        }
        s->p++;
    }
}

static void skip_comment(struct depth_scan *s)
{
    int level = 0;
    while (s->p + 1 < s->end) {
        if (s->p[0] == '/' && s->p[1] == '*') {
            run_count(s);
            level++;
            s->p += 2;
        } else if (s->p[0] == '*' && s->p[1] == '/') {
            level--;
            s->p += 2;
            if (level == 0) {
                return;
            }
        } else {
            s->p++;
        }
    }
    s->p = s->end;
}

/* $tag$ ... $tag$; a parameter $1 or a lone dollar is stepped over. */
static void skip_dollar(struct depth_scan *s)
{
    const uint8_t *t = s->p + 1;
    if (t < s->end && isdigit(*t)) {
        s->p = t;
        return;
    }
    while (t < s->end && (isalnum(*t) || *t == '_' || *t >= 0x80)) {
        t++;
    }
    if (t >= s->end || *t != '$') {
        s->p++;
        return;
    }
    size_t len = (size_t)(t - s->p) + 1;
    const uint8_t *tag = s->p;
    const uint8_t *found = memmem(t + 1, (size_t)(s->end - t - 1), tag, len);
    s->p = found == NULL ? s->end : found + len;
}

static void chain(struct depth_scan *s, int *counter)
{
    (*counter)++;
    s->chain_total++;
    if (s->chain_total > s->max_chain) {
        s->max_chain = s->chain_total;
    }
}

static void level_open(struct depth_scan *s)
{
    s->depth++;
    if (s->depth > s->max_nesting) {
        s->max_nesting = s->depth;
    }
    if (s->depth < LEVELS) {
        s->ops[s->depth] = s->sticky[s->depth] = 0;
    }
}

static void level_close(struct depth_scan *s)
{
    if (s->depth > 0) {
        s->chain_total -= s->ops[s->depth] + s->sticky[s->depth];
        s->depth--;
    }
}

static void ops_reset(struct depth_scan *s)
{
    s->chain_total -= s->ops[s->depth];
    s->ops[s->depth] = 0;
}

static bool word_is(const uint8_t *w, size_t n, const char *what)
{
    return n == strlen(what) && strncasecmp((const char *)w, what, n) == 0;
}

static void scan_word(struct depth_scan *s)
{
    const uint8_t *w = s->p;
    while (s->p < s->end && (isalnum(*s->p) || *s->p == '_' || *s->p >= 0x80 || *s->p == '$')) {
        s->p++;
    }
    size_t n = (size_t)(s->p - w);
    if (n == 1 && (*w == 'e' || *w == 'E') && s->p < s->end && *s->p == '\'') {
        skip_quoted(s, '\'', true);
    } else if (word_is(w, n, "case")) {
        level_open(s);
    } else if (word_is(w, n, "end")) {
        level_close(s);
    } else if (word_is(w, n, "union") || word_is(w, n, "intersect") || word_is(w, n, "except") ||
               word_is(w, n, "join")) {
        ops_reset(s);
        chain(s, &s->sticky[s->depth]);
    } else if (word_is(w, n, "not") || word_is(w, n, "is") || word_is(w, n, "collate") ||
               word_is(w, n, "like") || word_is(w, n, "in") || word_is(w, n, "at")) {
        chain(s, &s->ops[s->depth]);
    } else if (word_is(w, n, "and") || word_is(w, n, "or") || word_is(w, n, "select") ||
               word_is(w, n, "from") || word_is(w, n, "where") || word_is(w, n, "when") ||
               word_is(w, n, "then") || word_is(w, n, "else")) {
        ops_reset(s);
    }
}

static void scan_char(struct depth_scan *s)
{
    uint8_t c = *s->p;
    switch (c) {
    case '(':
    case '[':
        level_open(s);
        break;
    case ')':
    case ']':
        level_close(s);
        break;
    case ',':
        ops_reset(s);
        break;
    case ';':
        while (s->depth > 0) {
            level_close(s);
        }
        s->chain_total = s->ops[0] = s->sticky[0] = 0;
        break;
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
    case '^':
    case '<':
    case '>':
    case '=':
    case '~':
    case '!':
    case '@':
    case '#':
    case '&':
    case '|':
    case ':':
        run_count(s);
        chain(s, &s->ops[s->depth]);
        /* Signs are operators of their own. */
        while (s->p + 1 < s->end && s->p[1] == c && c != '-' && c != '+' && c != '/') {
            s->p++;
        }
        break;
    default:
        break;
    }
    s->p++;
}

void parse_depth(struct slice sql, int nesting_max, int chain_max, int *out_nesting, int *out_chain)
{
    struct depth_scan s = {.p = sql.data, .end = sql.data + sql.len, .run_end = sql.data};
    if (nesting_max >= LEVELS) {
        nesting_max = LEVELS - 1;
    }
    while (s.p < s.end && s.max_nesting <= nesting_max && s.max_chain <= chain_max &&
           s.run_work <= RUN_WORK_MAX) {
        uint8_t c = *s.p;
        if (c == '\'' || c == '"') {
            skip_quoted(&s, c, false);
        } else if (c == '-' && s.p + 1 < s.end && s.p[1] == '-') {
            const uint8_t *nl = memchr(s.p, '\n', (size_t)(s.end - s.p));
            s.p = nl == NULL ? s.end : nl;
        } else if (c == '/' && s.p + 1 < s.end && s.p[1] == '*') {
            skip_comment(&s);
        } else if (c == '$') {
            skip_dollar(&s);
        } else if (isalpha(c) || c == '_' || c >= 0x80) {
            scan_word(&s);
        } else {
            scan_char(&s);
        }
    }
    *out_nesting = s.max_nesting;
    *out_chain = s.run_work > RUN_WORK_MAX ? INT_MAX : s.max_chain;
}
