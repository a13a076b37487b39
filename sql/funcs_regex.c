/*
 * Regular expressions: ~ and regexp_*(), on PCRE2, whose types stop here.
 *
 * The pattern is PostgreSQL's advanced form; what PCRE2 writes differently (\m \M \y \Y \Z and the
 * *** prefixes) is rewritten. Difference left: among alternatives PostgreSQL takes the longest
 * match, PCRE2 the first. Matching has a step limit, so that no pattern holds the loop for long.
 *
 * Compiled patterns are kept in a small cache per thread.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "funcs.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "sql/array.h"

#include <inttypes.h>
#include <pcre2.h>

enum {
    CACHE_SIZE = 16,
    PATTERN_SIZE_MAX = 1 << 16,
    MATCH_STEPS_MAX = 2000000,
    MATCH_HEAP_KB_MAX = 16 << 10,
    GROUPS_MAX = 100,
};

struct regex {
    uint8_t *pattern;
    size_t pattern_len;
    uint32_t options;
    pcre2_code *code;
    pcre2_match_data *match;
    uint32_t groups;
    uint64_t used; /* clock of the cache */
};

static _Thread_local struct regex cache[CACHE_SIZE];
static _Thread_local uint64_t cache_clock;

/* What the flags argument says. */
struct regex_flags {
    uint32_t options; /* PCRE2's */
    bool is_global;
    bool is_literal;
};

static struct status *parse_flags(struct slice s, bool fold, struct regex_flags *out)
{
    *out = (struct regex_flags){.options = PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_UTF};
    if (fold) {
        out->options |= PCRE2_CASELESS;
    }
    for (size_t i = 0; i < s.len; i++) {
        switch (s.data[i]) {
        case 'g':
            out->is_global = true;
            break;
        case 'i':
            out->options |= PCRE2_CASELESS;
            break;
        case 'c':
            out->options &= ~(uint32_t)PCRE2_CASELESS;
            break;
        case 'x':
            out->options |= PCRE2_EXTENDED;
            break;
        case 't':
            out->options &= ~(uint32_t)PCRE2_EXTENDED;
            break;
        case 'n':
        case 'm':
            out->options &= ~(uint32_t)(PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY);
            out->options |= PCRE2_MULTILINE;
            break;
        case 'p':
            out->options &= ~(uint32_t)PCRE2_DOTALL;
            break;
        case 'w':
            out->options &= ~(uint32_t)PCRE2_DOLLAR_ENDONLY;
            out->options |= PCRE2_MULTILINE;
            break;
        case 's':
            out->options |= PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY;
            out->options &= ~(uint32_t)PCRE2_MULTILINE;
            break;
        case 'q':
            out->is_literal = true;
            break;
        case 'a':
        case 'b':
        case 'e':
            break; /* other syntaxes: read as advanced */
        default:
            return status_sql(INVALID, "22023", "invalid regular expression option: \"%.*s\"",
                              (int)utf8_char_len(s.data + i, s.len - i), (const char *)s.data + i);
        }
    }
    return NULL;
}

/* PostgreSQL's escapes in PCRE2's words. */
static void translate(struct slice p, struct buf *out)
{
    for (size_t i = 0; i < p.len; i++) {
        if (p.data[i] != '\\' || i + 1 >= p.len) {
            buf_put_u8(out, p.data[i]);
            continue;
        }
        i++;
        switch (p.data[i]) {
        case 'm':
            buf_put_slice(out, slice_str("[[:<:]]"));
            break;
        case 'M':
            buf_put_slice(out, slice_str("[[:>:]]"));
            break;
        case 'y':
            buf_put_slice(out, slice_str("\\b"));
            break;
        case 'Y':
            buf_put_slice(out, slice_str("\\B"));
            break;
        case 'Z':
            buf_put_slice(out, slice_str("\\z"));
            break;
        default:
            buf_put_u8(out, '\\');
            buf_put_u8(out, p.data[i]);
            break;
        }
    }
}

/* Not so deep that the fiber's stack ends. */
static int stack_guard(uint32_t depth, void *data)
{
    (void)depth;
    (void)data;
    return fiber_stack_left() < (size_t)20 << 10;
}

static void regex_drop(struct regex *re)
{
    pcre2_code_free(re->code);
    pcre2_match_data_free(re->match);
    mem_free(re->pattern);
    *re = (struct regex){0};
}

static struct status *regex_compile(struct slice pattern, const struct regex_flags *flags,
                                    struct regex *re)
{
    if (pattern.len > PATTERN_SIZE_MAX) {
        return status_sql(LIMIT, "54000", "regular expression is too long");
    }
    if (fiber_stack_left() < (size_t)28 << 10) {
        return status_sql(LIMIT, "54001", "stack depth limit exceeded");
    }
    struct buf text = {0};
    uint32_t options = flags->options;
    if (flags->is_literal) {
        options |= PCRE2_LITERAL;
        options &=
            ~(uint32_t)(PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_EXTENDED | PCRE2_MULTILINE);
        buf_put_slice(&text, pattern);
    } else if (slice_has_prefix(pattern, slice_str("***="))) {
        options |= PCRE2_LITERAL;
        options &=
            ~(uint32_t)(PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_EXTENDED | PCRE2_MULTILINE);
        buf_put(&text, pattern.data + 4, pattern.len - 4);
    } else {
        if (slice_has_prefix(pattern, slice_str("***:"))) {
            pattern = slice_make(pattern.data + 4, pattern.len - 4);
        }
        translate(pattern, &text);
    }
    pcre2_compile_context *cc = pcre2_compile_context_create(NULL);
    if (cc != NULL) {
        pcre2_set_compile_recursion_guard(cc, stack_guard, NULL);
        pcre2_set_parens_nest_limit(cc, 100);
    }
    int error = 0;
    PCRE2_SIZE at = 0;
    re->code = pcre2_compile(text.data != NULL ? text.data : (const uint8_t *)"", text.len, options,
                             &error, &at, cc);
    pcre2_compile_context_free(cc);
    buf_deinit(&text);
    if (re->code == NULL) {
        char message[128];
        (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof(message));
        return status_sql(INVALID, "2201B", "invalid regular expression: %s", message);
    }
    re->match = pcre2_match_data_create_from_pattern(re->code, NULL);
    (void)pcre2_pattern_info(re->code, PCRE2_INFO_CAPTURECOUNT, &re->groups);
    return NULL;
}

/* The compiled pattern, owned by the cache until the next call. */
static struct status *regex_get(struct slice pattern, const struct regex_flags *flags,
                                struct regex **out)
{
    uint32_t key = flags->options | (flags->is_literal ? PCRE2_LITERAL : 0);
    struct regex *oldest = &cache[0];
    for (int i = 0; i < CACHE_SIZE; i++) {
        struct regex *re = &cache[i];
        if (re->code != NULL && re->options == key &&
            slice_eq(slice_make(re->pattern, re->pattern_len), pattern)) {
            re->used = ++cache_clock;
            *out = re;
            return NULL;
        }
        if (re->used < oldest->used) {
            oldest = re;
        }
    }
    struct regex fresh = {.options = key};
    struct status *st = regex_compile(pattern, flags, &fresh);
    if (st != NULL) {
        return st;
    }
    fresh.pattern =
        (uint8_t *)mem_strndup(pattern.data != NULL ? (const char *)pattern.data : "", pattern.len);
    fresh.pattern_len = pattern.len;
    fresh.used = ++cache_clock;
    regex_drop(oldest);
    *oldest = fresh;
    *out = oldest;
    return NULL;
}

/* Finds the first match at or after `from`. *out_found says whether; spans by group_span(). */
static struct status *regex_find(struct regex *re, struct slice s, size_t from, bool *out_found)
{
    pcre2_match_context *mc = pcre2_match_context_create(NULL);
    if (mc != NULL) {
        pcre2_set_match_limit(mc, MATCH_STEPS_MAX);
        pcre2_set_heap_limit(mc, MATCH_HEAP_KB_MAX);
    }
    int rc = pcre2_match(re->code, s.data != NULL ? s.data : (const uint8_t *)"", s.len, from,
                         from > 0 ? PCRE2_NO_UTF_CHECK : 0, re->match, mc);
    pcre2_match_context_free(mc);
    if (rc == PCRE2_ERROR_NOMATCH) {
        *out_found = false;
        return NULL;
    }
    if (rc == PCRE2_ERROR_MATCHLIMIT || rc == PCRE2_ERROR_HEAPLIMIT ||
        rc == PCRE2_ERROR_DEPTHLIMIT) {
        return status_hint(status_sql(LIMIT, "54001", "regular expression is too complex"),
                           "It needs too many steps for this text. Write it without nested "
                           "repetitions.");
    }
    if (rc < 0 && rc > PCRE2_ERROR_UTF32_ERR1 - 32 && rc <= PCRE2_ERROR_UTF8_ERR1 &&
        rc >= PCRE2_ERROR_UTF8_ERR21) {
        return status_sql(INVALID, "22021", "invalid byte sequence for encoding \"UTF8\"");
    }
    if (rc < 0) {
        return status_sql(INVALID, "2201B", "regular expression failed: error %d", rc);
    }
    *out_found = true;
    return NULL;
}

/* False: the group took no part in the match. */
static bool group_span(const struct regex *re, uint32_t group, size_t *from, size_t *to)
{
    PCRE2_SIZE *v = pcre2_get_ovector_pointer(re->match);
    if (group > re->groups || v[2 * group] == PCRE2_UNSET) {
        return false;
    }
    *from = v[2 * group];
    *to = v[2 * group + 1] < *from ? *from : v[2 * group + 1];
    return true;
}

/* Where to look for the next match: an empty one moves on by a character. */
static size_t after_match(struct slice s, size_t from, size_t to)
{
    if (to > from) {
        return to;
    }
    return to < s.len ? to + utf8_char_len(s.data + to, s.len - to) : s.len + 1;
}

static struct slice flags_arg(const struct datum *args, int nargs, int i)
{
    return i < nargs ? datum_slice(&args[i]) : slice_make("", 0);
}

static struct status *no_global(const struct regex_flags *flags, const char *name)
{
    if (!flags->is_global) {
        return NULL;
    }
    return status_sql(INVALID, "22023", "%s does not support the \"global\" option", name);
}

static struct status *test(const struct datum *args, bool fold, bool negate, struct datum *out)
{
    struct regex_flags flags;
    struct regex *re;
    bool found;
    TRY(parse_flags(slice_make("", 0), fold, &flags));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    TRY(regex_find(re, datum_slice(&args[0]), 0, &found));
    *out = datum_bool(found != negate);
    return NULL;
}

FUNC(fn_regexeq)
{
    return test(args, false, false, out);
}

FUNC(fn_regexne)
{
    return test(args, false, true, out);
}

FUNC(fn_iregexeq)
{
    return test(args, true, false, out);
}

FUNC(fn_iregexne)
{
    return test(args, true, true, out);
}

FUNC(fn_regexp_like)
{
    struct regex_flags flags;
    struct regex *re;
    bool found;
    TRY(parse_flags(flags_arg(args, nargs, 2), false, &flags));
    TRY(no_global(&flags, "regexp_like()"));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    TRY(regex_find(re, datum_slice(&args[0]), 0, &found));
    *out = datum_bool(found);
    return NULL;
}

/* The first group, or the whole match when the pattern has none. */
FUNC(fn_regexp_substring)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    struct regex *re;
    bool found;
    size_t from, to;
    TRY(parse_flags(slice_make("", 0), false, &flags));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    TRY(regex_find(re, s, 0, &found));
    if (!found || !group_span(re, re->groups > 0 ? 1 : 0, &from, &to)) {
        *out = DATUM_NULL;
        return NULL;
    }
    *out = datum_bytes(slice_make(s.data + from, to - from));
    return NULL;
}

/* The groups of the match found last, or all of it when there are none, as text[]. */
static struct status *match_array(struct eval_ctx *ctx, const struct regex *re, struct slice s,
                                  struct datum *out)
{
    uint32_t first = re->groups > 0 ? 1 : 0, n = re->groups > 0 ? re->groups : 1;
    size_t size = 64;
    for (uint32_t i = 0; i < n; i++) {
        size_t from = 0, to = 0;
        (void)group_span(re, first + i, &from, &to);
        size += sizeof(struct datum) + 16 + to - from;
    }
    TRY(arena_reserve(ctx->arena, size));
    struct datum *elems = ARENA_ARRAY(ctx->arena, struct datum, n);
    for (uint32_t i = 0; i < n; i++) {
        size_t from, to;
        elems[i] = group_span(re, first + i, &from, &to)
                       ? datum_bytes(slice_make(s.data + from, to - from))
                       : DATUM_NULL;
    }
    *out = array_build(ctx->arena, TYPE_TEXT, elems, (int)n);
    return NULL;
}

FUNC(fn_regexp_match)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    struct regex *re;
    bool found;
    TRY(parse_flags(flags_arg(args, nargs, 2), false, &flags));
    struct status *st = no_global(&flags, "regexp_match()");
    if (st != NULL) {
        return status_hint(st, "Use the regexp_matches function instead.");
    }
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    TRY(regex_find(re, s, 0, &found));
    if (!found) {
        *out = DATUM_NULL;
        return NULL;
    }
    return match_array(ctx, re, s, out);
}

/* One row per match; the rows are arrays, so they come in their text form (func_def.scalar). */
FUNC(fn_regexp_matches)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    struct regex *re;
    TRY(parse_flags(flags_arg(args, nargs, 2), false, &flags));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    struct datum *rows = NULL;
    size_t n = 0, cap = 0, at = 0;
    while (at <= s.len) {
        bool found;
        size_t from, to;
        struct datum match;
        TRY(regex_find(re, s, at, &found));
        if (!found || !group_span(re, 0, &from, &to)) {
            break;
        }
        at = after_match(s, from, to);
        TRY(match_array(ctx, re, s, &match));
        if (n == cap) {
            size_t wider = cap == 0 ? 8 : cap * 2;
            TRY(arena_reserve(ctx->arena, wider * sizeof(*rows)));
            struct datum *grown = ARENA_ARRAY(ctx->arena, struct datum, wider);
            if (n > 0) {
                memcpy(grown, rows, n * sizeof(*rows));
            }
            rows = grown;
            cap = wider;
        }
        struct buf b = {0};
        array_format(&match, &b);
        TRY(func_buf(ctx, &b, &rows[n]));
        n++;
        if (!flags.is_global) {
            break;
        }
    }
    size_t size = 64;
    for (size_t i = 0; i < n; i++) {
        size += rows[i].len + 10u;
    }
    TRY(arena_reserve(ctx->arena, size));
    *out = array_build(ctx->arena, TYPE_TEXT, rows, (int)n);
    return NULL;
}

/* \1..\9, \& and \\ in a replacement. */
static void put_replacement(struct buf *b, struct slice r, const struct regex *re, struct slice s)
{
    for (size_t i = 0; i < r.len; i++) {
        if (r.data[i] != '\\' || i + 1 >= r.len) {
            buf_put_u8(b, r.data[i]);
            continue;
        }
        uint8_t c = r.data[++i];
        size_t from, to;
        if (c == '&' || (c >= '1' && c <= '9')) {
            if (group_span(re, c == '&' ? 0 : (uint32_t)(c - '0'), &from, &to)) {
                buf_put(b, s.data + from, to - from);
            }
        } else if (c == '\\') {
            buf_put_u8(b, '\\');
        } else {
            buf_put_u8(b, '\\');
            buf_put_u8(b, c);
        }
    }
}

/* Replaces the n-th match, or all (n 0), from byte `start` on. */
static struct status *replace(struct eval_ctx *ctx, struct slice s, struct slice pattern,
                              struct slice r, const struct regex_flags *flags, size_t start,
                              int64_t n, struct datum *out)
{
    struct regex *re;
    TRY(regex_get(pattern, flags, &re));
    struct buf b = {0};
    size_t done = 0, at = start;
    struct status *st = NULL;
    for (int64_t hit = 1; at <= s.len; hit++) {
        bool found;
        size_t from, to;
        st = regex_find(re, s, at, &found);
        if (st != NULL || !found || !group_span(re, 0, &from, &to)) {
            break;
        }
        if (n == 0 || hit == n) {
            buf_put(&b, s.data + done, from - done);
            put_replacement(&b, r, re, s);
            done = to;
            st = arena_reserve(ctx->arena, b.len);
        }
        if (st != NULL || hit == n) {
            break;
        }
        at = after_match(s, from, to);
    }
    if (st != NULL) {
        buf_deinit(&b);
        return st;
    }
    buf_put(&b, s.data + done, s.len - done);
    return func_buf(ctx, &b, out);
}

static struct status *bad_parameter(const char *name, int64_t v)
{
    return status_sql(INVALID, "22023", "invalid value for parameter \"%s\": %" PRId64, name, v);
}

/* A 1-based character position as a byte offset; beyond the end: len + 1, which finds nothing. */
static struct status *start_arg(const struct datum *args, int nargs, int i, struct slice s,
                                size_t *out)
{
    *out = 0;
    if (i >= nargs) {
        return NULL;
    }
    if (args[i].i <= 0) {
        return bad_parameter("start", args[i].i);
    }
    size_t skip = (size_t)args[i].i - 1;
    *out = skip > s.len || skip > text_char_count(s) ? s.len + 1 : utf8_offset(s, skip);
    return NULL;
}

FUNC(fn_regexp_replace)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    size_t start = 0;
    int64_t n = 1;
    if (nargs >= 4 && func_call_arg_type(ctx, 3) == TYPE_INT4) {
        TRY(start_arg(args, nargs, 3, s, &start));
        if (nargs >= 5 && args[4].i < 0) {
            return bad_parameter("n", args[4].i);
        }
        TRY(parse_flags(flags_arg(args, nargs, 5), false, &flags));
        n = nargs >= 5 ? args[4].i : flags.is_global ? 0 : 1;
    } else {
        struct slice f = flags_arg(args, nargs, 3);
        if (f.len > 0 && f.data[0] >= '0' && f.data[0] <= '9') {
            return status_hint(
                status_sql(INVALID, "22023", "invalid regular expression option: \"%.*s\"",
                           (int)f.len, (const char *)f.data),
                "If you meant to use regexp_replace() with a start parameter, cast the fourth "
                "argument to integer explicitly.");
        }
        TRY(parse_flags(f, false, &flags));
        n = flags.is_global ? 0 : 1;
    }
    return replace(ctx, s, datum_slice(&args[1]), datum_slice(&args[2]), &flags, start, n, out);
}

FUNC(fn_regexp_count)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    struct regex *re;
    size_t at;
    TRY(start_arg(args, nargs, 2, s, &at));
    TRY(parse_flags(flags_arg(args, nargs, 3), false, &flags));
    TRY(no_global(&flags, "regexp_count()"));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    int64_t count = 0;
    while (at <= s.len) {
        bool found;
        size_t from, to;
        TRY(regex_find(re, s, at, &found));
        if (!found || !group_span(re, 0, &from, &to)) {
            break;
        }
        count++;
        at = after_match(s, from, to);
    }
    *out = datum_int(count);
    return NULL;
}

/* The n-th match from byte `at` on. */
static struct status *nth_match(struct regex *re, struct slice s, size_t at, int64_t n,
                                bool *out_found)
{
    *out_found = false;
    for (int64_t hit = 1; at <= s.len; hit++) {
        bool found;
        size_t from, to;
        TRY(regex_find(re, s, at, &found));
        if (!found || !group_span(re, 0, &from, &to)) {
            return NULL;
        }
        if (hit == n) {
            *out_found = true;
            return NULL;
        }
        at = after_match(s, from, to);
    }
    return NULL;
}

/* regexp_instr(text, pattern, start, N, endoption, flags): subexpr is one argument too many here.
 */
FUNC(fn_regexp_instr)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    struct regex *re;
    size_t at, from, to;
    bool found;
    TRY(start_arg(args, nargs, 2, s, &at));
    int64_t n = nargs > 3 ? args[3].i : 1, end = nargs > 4 ? args[4].i : 0;
    if (n <= 0) {
        return bad_parameter("n", n);
    }
    if (end != 0 && end != 1) {
        return bad_parameter("endoption", end);
    }
    TRY(parse_flags(flags_arg(args, nargs, 5), false, &flags));
    TRY(no_global(&flags, "regexp_instr()"));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    TRY(nth_match(re, s, at, n, &found));
    if (!found || !group_span(re, 0, &from, &to)) {
        *out = datum_int(0);
        return NULL;
    }
    *out = datum_int((int64_t)text_char_count(slice_make(s.data, end ? to : from)) + 1);
    return NULL;
}

/* regexp_substr(text, pattern, start, N, flags, subexpr) */
FUNC(fn_regexp_substr)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    struct regex *re;
    size_t at, from, to;
    bool found;
    TRY(start_arg(args, nargs, 2, s, &at));
    int64_t n = nargs > 3 ? args[3].i : 1, group = nargs > 5 ? args[5].i : 0;
    if (n <= 0) {
        return bad_parameter("n", n);
    }
    if (group < 0) {
        return bad_parameter("subexpr", group);
    }
    TRY(parse_flags(flags_arg(args, nargs, 4), false, &flags));
    TRY(no_global(&flags, "regexp_substr()"));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    TRY(nth_match(re, s, at, n, &found));
    if (!found || group > GROUPS_MAX || !group_span(re, (uint32_t)group, &from, &to)) {
        *out = DATUM_NULL;
        return NULL;
    }
    *out = datum_bytes(slice_make(s.data + from, to - from));
    return NULL;
}

/* Also regexp_split_to_table(), whose rows are the elements. */
FUNC(fn_regexp_split_to_array)
{
    struct slice s = datum_slice(&args[0]);
    struct regex_flags flags;
    struct regex *re;
    TRY(parse_flags(flags_arg(args, nargs, 2), false, &flags));
    TRY(no_global(&flags, "regexp_split_to_array()"));
    TRY(regex_get(datum_slice(&args[1]), &flags, &re));
    size_t cap = 16, n = 0, done = 0, at = 0;
    TRY(arena_reserve(ctx->arena, cap * sizeof(struct datum)));
    struct datum *elems = ARENA_ARRAY(ctx->arena, struct datum, cap);
    while (at <= s.len) {
        bool found;
        size_t from, to;
        TRY(regex_find(re, s, at, &found));
        if (!found || !group_span(re, 0, &from, &to)) {
            break;
        }
        at = after_match(s, from, to);
        if (to == from && (from == done || from >= s.len)) {
            continue; /* an empty match at the start of a piece or at the end splits nothing */
        }
        if (n + 1 >= cap) {
            TRY(arena_reserve(ctx->arena, cap * 2 * sizeof(struct datum)));
            elems = arena_grow(ctx->arena, elems, cap * sizeof(struct datum),
                               cap * 2 * sizeof(struct datum));
            cap *= 2;
        }
        elems[n++] = datum_bytes(slice_make(s.data + done, from - done));
        done = to;
    }
    elems[n++] = datum_bytes(slice_make(s.data + done, s.len - done));
    TRY(arena_reserve(ctx->arena, s.len + n * 8 + 64));
    *out = array_build(ctx->arena, TYPE_TEXT, elems, (int)n);
    return NULL;
}

/* SIMILAR TO: % and _ as in LIKE, the rest as in a regular expression; the whole text must match.
 */
FUNC(fn_similar_escape)
{
    struct slice p = datum_slice(&args[0]);
    struct slice esc = nargs > 1 ? datum_slice(&args[1]) : slice_str("\\");
    if (esc.len > 0 && utf8_char_len(esc.data, esc.len) != esc.len) {
        return status_hint(status_sql(INVALID, "22019", "invalid escape string"),
                           "Escape string must be empty or one character.");
    }
    struct buf b = {0};
    bool in_class = false;
    buf_put_slice(&b, slice_str("^(?:"));
    for (size_t i = 0; i < p.len;) {
        size_t n = utf8_char_len(p.data + i, p.len - i);
        struct slice c = slice_make(p.data + i, n);
        i += n;
        if (esc.len > 0 && slice_eq(c, esc) && i < p.len) {
            n = utf8_char_len(p.data + i, p.len - i);
            buf_put_u8(&b, '\\');
            buf_put(&b, p.data + i, n);
            i += n;
        } else if (in_class) {
            if (c.data[0] == '\\') {
                buf_put_u8(&b, '\\');
            }
            buf_put_slice(&b, c);
            in_class = c.data[0] != ']';
        } else {
            switch (c.data[0]) {
            case '[':
                in_class = true;
                buf_put_u8(&b, '[');
                break;
            case '%':
                buf_put_slice(&b, slice_str(".*"));
                break;
            case '_':
                buf_put_u8(&b, '.');
                break;
            case '(':
                buf_put_slice(&b, slice_str("(?:"));
                break;
            case '\\':
            case '.':
            case '^':
            case '$':
                buf_put_u8(&b, '\\');
                buf_put_slice(&b, c);
                break;
            default:
                buf_put_slice(&b, c);
                break;
            }
        }
    }
    buf_put_slice(&b, slice_str(")$"));
    return func_buf(ctx, &b, out);
}
