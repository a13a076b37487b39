/* quote_ident(), quote_literal(), quote_nullable() and format(): text that is SQL again. */
#include "funcs.h"

#include <stdlib.h>

/* Every keyword that is not unreserved, sorted. */
static const char *const keywords[] = {
    /* clang-format off */
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric",
    "authorization", "between", "bigint", "binary", "bit", "boolean", "both", "case", "cast",
    "char", "character", "check", "coalesce", "collate", "collation", "column", "concurrently",
    "constraint", "create", "cross", "current_catalog", "current_date", "current_role",
    "current_schema", "current_time", "current_timestamp", "current_user", "dec", "decimal",
    "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists",
    "extract", "false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant",
    "greatest", "group", "grouping", "having", "ilike", "in", "initially", "inner", "inout",
    "int", "integer", "intersect", "interval", "into", "is", "isnull", "join", "lateral",
    "leading", "least", "left", "like", "limit", "localtime", "localtimestamp", "national",
    "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif", "numeric",
    "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay", "placing",
    "position", "precision", "primary", "real", "references", "returning", "right", "row",
    "select", "session_user", "setof", "similar", "smallint", "some", "substring", "symmetric",
    "table", "tablesample", "then", "time", "timestamp", "to", "trailing", "treat", "trim",
    "true", "union", "unique", "user", "using", "values", "varchar", "variadic", "verbose",
    "when", "where", "window", "with", "xmlattributes", "xmlconcat", "xmlelement", "xmlexists",
    "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable", /* clang-format on */
};

static int keyword_compare(const void *key, const void *item)
{
    const struct slice *s = key;
    return slice_cmp(*s, slice_str(*(const char *const *)item));
}

static bool needs_quotes(struct slice s)
{
    if (s.len == 0 || !((s.data[0] >= 'a' && s.data[0] <= 'z') || s.data[0] == '_')) {
        return true;
    }
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) {
            return true;
        }
    }
    return bsearch(&s, keywords, sizeof(keywords) / sizeof(keywords[0]), sizeof(keywords[0]),
                   keyword_compare) != NULL;
}

static void put_ident(struct buf *b, struct slice s)
{
    if (!needs_quotes(s)) {
        buf_put_slice(b, s);
        return;
    }
    buf_put_u8(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"') {
            buf_put_u8(b, '"');
        }
        buf_put_u8(b, s.data[i]);
    }
    buf_put_u8(b, '"');
}

static void put_literal(struct buf *b, struct slice s)
{
    if (s.len > 0 && memchr(s.data, '\\', s.len) != NULL) {
        buf_put_u8(b, 'E');
    }
    buf_put_u8(b, '\'');
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\'' || s.data[i] == '\\') {
            buf_put_u8(b, s.data[i]);
        }
        buf_put_u8(b, s.data[i]);
    }
    buf_put_u8(b, '\'');
}

FUNC(fn_quote_ident)
{
    struct buf b = {0};
    put_ident(&b, datum_slice(&args[0]));
    return func_buf(ctx, &b, out);
}

FUNC(fn_quote_literal)
{
    struct buf text = {0}, b = {0};
    func_put_text(&text, func_call_arg_type(ctx, 0), &args[0]);
    put_literal(&b, buf_slice(&text));
    buf_deinit(&text);
    return func_buf(ctx, &b, out);
}

FUNC(fn_quote_nullable)
{
    if (args[0].is_null) {
        return func_bytes(ctx, slice_str("NULL"), out);
    }
    return fn_quote_literal(ctx, args, nargs, out);
}

struct format_spec {
    int arg;       /* 1-based; 0 = the next one */
    int width;     /* absolute */
    int width_arg; /* -1 none, 0 the next one, else 1-based */
    bool left;
    char type;
};

static struct status *format_error(const char *what)
{
    return status_sql(INVALID, "22023", "%s", what);
}

/* Digits at *i; -1: none. */
static struct status *format_number(struct slice f, size_t *i, int *out)
{
    *out = -1;
    int64_t n = 0;
    size_t from = *i;
    while (*i < f.len && f.data[*i] >= '0' && f.data[*i] <= '9') {
        n = n * 10 + (f.data[*i] - '0');
        if (n > INT32_MAX) {
            return format_error("number is out of range");
        }
        (*i)++;
    }
    if (*i > from) {
        *out = (int)n;
    }
    return NULL;
}

static struct status *format_parse(struct slice f, size_t *i, struct format_spec *out)
{
    static const char unfinished[] = "unterminated format() type specifier";
    *out = (struct format_spec){.width_arg = -1};
    int n;
    TRY(format_number(f, i, &n));
    if (n >= 0 && *i < f.len && f.data[*i] == '$') {
        if (n == 0) {
            return format_error("format specifies argument 0, but arguments are numbered from 1");
        }
        out->arg = n;
        (*i)++;
        n = -1;
    }
    if (n < 0) {
        while (*i < f.len && f.data[*i] == '-') {
            out->left = true;
            (*i)++;
        }
        if (*i < f.len && f.data[*i] == '*') {
            (*i)++;
            TRY(format_number(f, i, &n));
            if (n >= 0) {
                if (*i >= f.len || f.data[*i] != '$') {
                    return format_error("width argument position must be ended by \"$\"");
                }
                if (n == 0) {
                    return format_error(
                        "format specifies argument 0, but arguments are numbered from 1");
                }
                (*i)++;
            }
            out->width_arg = n < 0 ? 0 : n;
            n = -1;
        } else {
            TRY(format_number(f, i, &n));
        }
    }
    out->width = n < 0 ? 0 : n;
    if (*i >= f.len) {
        return status_hint(format_error(unfinished), "For a single \"%%\" use \"%%%%\".");
    }
    out->type = (char)f.data[(*i)++];
    return NULL;
}

static struct status *format_value(struct eval_ctx *ctx, const struct datum *d, type_oid type,
                                   const struct format_spec *spec, struct buf *b)
{
    struct buf text = {0}, shown = {0};
    if (!d->is_null) {
        type_output(type, d, &text);
    }
    switch (spec->type) {
    case 's':
        buf_put_slice(&shown, buf_slice(&text));
        break;
    case 'I':
        if (d->is_null) {
            buf_deinit(&text);
            return status_sql(INVALID, "22004",
                              "null values cannot be formatted as an SQL identifier");
        }
        put_ident(&shown, buf_slice(&text));
        break;
    default:
        if (d->is_null) {
            buf_put_slice(&shown, slice_str("NULL"));
        } else {
            put_literal(&shown, buf_slice(&text));
        }
        break;
    }
    buf_deinit(&text);
    size_t have = text_char_count(buf_slice(&shown)), want = (size_t)spec->width;
    size_t blanks = want > have ? want - have : 0;
    struct status *st = blanks > TEXT_SIZE_MAX
                            ? format_error("number is out of range")
                            : arena_reserve(ctx->arena, b->len + shown.len + blanks);
    if (st == NULL) {
        if (!spec->left) {
            memset(buf_extend(b, blanks), ' ', blanks);
        }
        buf_put_slice(b, buf_slice(&shown));
        if (spec->left) {
            memset(buf_extend(b, blanks), ' ', blanks);
        }
    }
    buf_deinit(&shown);
    return st;
}

static struct status *format_into(struct eval_ctx *ctx, const struct datum *args, int nargs,
                                  struct buf *b)
{
    struct slice f = datum_slice(&args[0]);
    int next = 1;
    for (size_t i = 0; i < f.len;) {
        if (f.data[i] != '%') {
            buf_put_u8(b, f.data[i++]);
            continue;
        }
        i++;
        if (i < f.len && f.data[i] == '%') {
            buf_put_u8(b, '%');
            i++;
            continue;
        }
        struct format_spec spec;
        TRY(format_parse(f, &i, &spec));
        if (spec.type != 's' && spec.type != 'I' && spec.type != 'L') {
            return status_hint(status_sql(INVALID, "22023",
                                          "unrecognized format() type specifier \"%c\"", spec.type),
                               "For a single \"%%\" use \"%%%%\".");
        }
        if (spec.width_arg >= 0) {
            int at = spec.width_arg > 0 ? spec.width_arg : next++;
            if (at >= nargs) {
                return format_error("too few arguments for format()");
            }
            next = at + 1;
            int64_t width = 0;
            if (!args[at].is_null) {
                struct datum d;
                TRY(cast_value(ctx, func_call_arg_type(ctx, at), TYPE_INT4, -1, &args[at], &d));
                width = d.i;
            }
            if (width < 0) {
                spec.left = true;
                width = -width;
            }
            if (width > INT32_MAX) {
                return format_error("number is out of range");
            }
            spec.width = (int)width;
        }
        int at = spec.arg > 0 ? spec.arg : next;
        if (at >= nargs) {
            return format_error("too few arguments for format()");
        }
        next = at + 1;
        TRY(format_value(ctx, &args[at], func_call_arg_type(ctx, at), &spec, b));
    }
    return NULL;
}

FUNC(fn_format)
{
    if (args[0].is_null) {
        *out = DATUM_NULL;
        return NULL;
    }
    struct buf b = {0};
    struct status *st = format_into(ctx, args, nargs, &b);
    if (st != NULL) {
        buf_deinit(&b);
        return st;
    }
    return func_buf(ctx, &b, out);
}
