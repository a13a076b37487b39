/*
 * One-dimensional arrays: byte form (drawn in array.h), text form '{...}', PostgreSQL's binary
 * form.
 */
#include "sql/array.h"

#include "value.h"

#include <xxhash.h>

bool array_check(type_oid element, struct slice bytes)
{
    struct reader r;
    reader_init(&r, bytes);
    type_oid oid = read_u32(&r);
    uint64_t count = read_varint(&r);
    if (!reader_ok(&r) || oid != element || count > ARRAY_ELEMENTS_MAX || type_find(oid) == NULL ||
        type_element(oid) != 0) {
        return false;
    }
    struct slice nulls = read_raw(&r, ((size_t)count + 7) / 8);
    if (!reader_ok(&r)) {
        return false;
    }
    enum value_class c = value_class_of(oid);
    struct datum d;
    for (size_t i = 0; i < count; i++) {
        if (!(nulls.data[i >> 3] >> (i & 7) & 1) && !value_get(&r, c, 0, &d)) {
            return false;
        }
    }
    return reader_left(&r) == 0;
}

void array_iter_init(struct array_iter *it, const struct datum *d)
{
    reader_init(&it->r, datum_slice(d));
    it->element = read_u32(&it->r);
    it->count = (int)read_varint(&it->r);
    it->nulls = read_raw(&it->r, ((size_t)it->count + 7) / 8).data;
    it->index = 0;
    if (!reader_ok(&it->r)) {
        it->count = 0;
    }
}

bool array_next(struct array_iter *it, struct datum *out)
{
    if (it->index >= it->count) {
        return false;
    }
    int i = it->index++;
    if (it->nulls[i >> 3] >> (i & 7) & 1) {
        *out = DATUM_NULL;
        return true;
    }
    return value_get(&it->r, value_class_of(it->element), 0, out);
}

type_oid array_element_type(const struct datum *d)
{
    return d->len >= 4 ? get_u32(d->p) : 0;
}

int array_count(const struct datum *d)
{
    struct array_iter it;
    array_iter_init(&it, d);
    return it.count;
}

struct datum array_get(const struct datum *d, int64_t subscript)
{
    struct array_iter it;
    struct datum e = DATUM_NULL;
    array_iter_init(&it, d);
    if (subscript < 1 || subscript > it.count) {
        return DATUM_NULL;
    }
    while (subscript-- > 0) {
        if (!array_next(&it, &e)) {
            return DATUM_NULL;
        }
    }
    return e;
}

struct datum *array_elements(struct arena *a, const struct datum *d, int *out_count)
{
    struct array_iter it;
    array_iter_init(&it, d);
    struct datum *elems = ARENA_ARRAY(a, struct datum, it.count + 1);
    int n = 0;
    while (array_next(&it, &elems[n])) {
        n++;
    }
    *out_count = n;
    return elems;
}

/* Appends the byte form. */
static void array_put(struct buf *out, type_oid element, const struct datum *elems, int count)
{
    enum value_class c = value_class_of(element);
    size_t bytes = ((size_t)count + 7) / 8;
    buf_put_u32(out, element);
    buf_put_varint(out, (uint64_t)count);
    uint8_t *bits = buf_extend(out, bytes);
    memset(bits, 0, bytes);
    for (int i = 0; i < count; i++) {
        bits[i >> 3] |= (uint8_t)(elems[i].is_null << (i & 7));
    }
    for (int i = 0; i < count; i++) {
        if (!elems[i].is_null) {
            value_put(out, c, &elems[i]);
        }
    }
}

struct datum array_build(struct arena *a, type_oid element, const struct datum *elems, int count)
{
    struct buf b = {0};
    array_put(&b, element, elems, count);
    struct datum d = datum_bytes(arena_copy(a, buf_slice(&b)));
    buf_deinit(&b);
    return d;
}

struct datum array_slice(struct arena *a, const struct datum *d, int64_t from, int64_t to)
{
    int count;
    struct datum *elems = array_elements(a, d, &count);
    from = from < 1 ? 1 : from;
    to = to > count ? count : to;
    bool is_empty = from > to;
    return array_build(a, array_element_type(d), is_empty ? elems : elems + (from - 1),
                       is_empty ? 0 : (int)(to - from + 1));
}

struct status *array_concat(struct arena *a, const struct datum *x, const struct datum *y,
                            struct datum *out)
{
    int nx, ny;
    struct datum *ex = array_elements(a, x, &nx);
    struct datum *ey = array_elements(a, y, &ny);
    if (nx + ny > ARRAY_ELEMENTS_MAX) {
        return status_sql(LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                          ARRAY_ELEMENTS_MAX);
    }
    TRY(arena_reserve(a, (size_t)x->len + y->len + sizeof *ex * (size_t)(nx + ny)));
    struct datum *both = ARENA_ARRAY(a, struct datum, nx + ny + 1);
    memcpy(both, ex, sizeof *ex * (size_t)nx);
    memcpy(both + nx, ey, sizeof *ey * (size_t)ny);
    *out = array_build(a, array_element_type(x), both, nx + ny);
    return NULL;
}

/* ---- text form ---- */

struct array_text {
    struct arena *a;
    type_oid element;
    int32_t typmod;
    struct slice whole;
    const uint8_t *p;
    const uint8_t *end;
    struct datum *elems;
    int count;
    int cap;
};

static struct status *malformed(struct array_text *t, const char *detail)
{
    TRY(utf8_check(t->whole));
    return status_detail(status_sql(INVALID, "22P02", "malformed array literal: \"%.*s\"",
                                    (int)(t->whole.len > 1000 ? 1000 : t->whole.len),
                                    (const char *)t->whole.data),
                         "%s", detail);
}

static void skip_blanks(struct array_text *t)
{
    while (t->p < t->end && is_blank(*t->p)) {
        t->p++;
    }
}

static struct status *add_element(struct array_text *t, struct datum d)
{
    if (t->count >= ARRAY_ELEMENTS_MAX) {
        return status_sql(LIMIT, "54000", "array size exceeds the maximum allowed (%d)",
                          ARRAY_ELEMENTS_MAX);
    }
    if (t->count == t->cap) {
        int cap = t->cap ? t->cap * 2 : 8;
        TRY(arena_reserve(t->a, sizeof d * (size_t)cap));
        t->elems = arena_grow(t->a, t->elems, sizeof d * (size_t)t->cap, sizeof d * (size_t)cap);
        t->cap = cap;
    }
    t->elems[t->count++] = d;
    return NULL;
}

/* One element, quoted or not, up to the delimiter (not consumed). */
static struct status *parse_element(struct array_text *t)
{
    struct buf text = {0};
    struct status *st = NULL;
    bool quoted = false, escaped = false;
    size_t keep = 0; /* length up to the last character that is not a trailing blank */
    skip_blanks(t);
    if (t->p < t->end && *t->p == '"') {
        quoted = true;
        t->p++;
        while (t->p < t->end && *t->p != '"') {
            if (*t->p == '\\' && t->p + 1 < t->end) {
                t->p++;
            }
            buf_put_u8(&text, *t->p++);
        }
        if (t->p == t->end) {
            st = malformed(t, "Unexpected end of input.");
            goto out;
        }
        t->p++;
        keep = text.len;
        skip_blanks(t);
        if (t->p < t->end && *t->p != ',' && *t->p != '}') {
            st = malformed(t, "Unexpected array element.");
            goto out;
        }
    } else {
        while (t->p < t->end && *t->p != ',' && *t->p != '}') {
            bool is_escape = *t->p == '\\';
            if (*t->p == '"' || *t->p == '{') {
                st = malformed(t, *t->p == '"' ? "Unexpected array element."
                                               : "Unexpected \"{\" character.");
                goto out;
            }
            t->p += is_escape;
            if (t->p == t->end) {
                break;
            }
            escaped = escaped || is_escape;
            buf_put_u8(&text, *t->p);
            if (is_escape || !is_blank(*t->p)) {
                keep = text.len;
            }
            t->p++;
        }
        if (t->p >= t->end) {
            st = malformed(t, "Unexpected end of input.");
            goto out;
        }
        if (keep == 0) {
            st = malformed(t, *t->p == ',' ? "Unexpected \",\" character."
                                           : "Unexpected \"}\" character.");
            goto out;
        }
    }
    struct slice s = slice_make(text.data, keep);
    struct datum d = DATUM_NULL;
    if (quoted || escaped || !slice_is_word(s, "null")) {
        TRY_GOTO(type_input(t->a, t->element, t->typmod, s, &d), out);
    }
    st = add_element(t, d);
out:
    buf_deinit(&text);
    return st;
}

struct status *array_parse(struct arena *a, type_oid element, int32_t typmod, struct slice text,
                           struct datum *out)
{
    struct array_text t = {.a = a,
                           .element = element,
                           .typmod = typmod,
                           .whole = text,
                           .p = text.data,
                           .end = text.data + text.len};
    skip_blanks(&t);
    if (t.p < t.end && *t.p == '[') {
        return status_sql(UNSUPPORTED, "0A000", "arrays with explicit bounds are not supported");
    }
    if (t.p == t.end || *t.p != '{') {
        return malformed(&t, "Array value must start with \"{\" or dimension information.");
    }
    t.p++;
    skip_blanks(&t);
    if (t.p < t.end && *t.p == '{') {
        return status_sql(UNSUPPORTED, "0A000", "multidimensional arrays are not supported");
    }
    if (t.p < t.end && *t.p == '}') {
        t.p++;
    } else {
        for (;;) {
            TRY(parse_element(&t));
            if (t.p == t.end) {
                return malformed(&t, "Unexpected end of input.");
            }
            if (*t.p++ == '}') {
                break;
            }
        }
    }
    skip_blanks(&t);
    if (t.p != t.end) {
        return malformed(&t, "Junk after closing right brace.");
    }
    *out = array_build(a, element, t.elems, t.count);
    return NULL;
}

/* Whether an element's text has to be quoted. */
static bool needs_quotes(struct slice s)
{
    if (s.len == 0 || slice_is_word(s, "null")) {
        return true;
    }
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.data[i];
        if (c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || is_blank(c)) {
            return true;
        }
    }
    return false;
}

void array_format(const struct datum *d, struct buf *out)
{
    struct array_iter it;
    struct datum e;
    struct buf text = {0};
    array_iter_init(&it, d);
    buf_put_u8(out, '{');
    while (array_next(&it, &e)) {
        if (it.index > 1) {
            buf_put_u8(out, ',');
        }
        if (e.is_null) {
            buf_put(out, "NULL", 4);
            continue;
        }
        buf_clear(&text);
        type_output(it.element, &e, &text);
        if (!needs_quotes(buf_slice(&text))) {
            buf_put(out, text.data, text.len);
            continue;
        }
        buf_put_u8(out, '"');
        for (size_t i = 0; i < text.len; i++) {
            if (text.data[i] == '"' || text.data[i] == '\\') {
                buf_put_u8(out, '\\');
            }
            buf_put_u8(out, text.data[i]);
        }
        buf_put_u8(out, '"');
    }
    buf_put_u8(out, '}');
    buf_deinit(&text);
}

/* ---- binary form: dimensions, has-nulls flag, element oid, then {size, lower bound} and elements
 * ---- */

static struct status *bad_array_binary(void)
{
    return status_sql(INVALID, "22P03", "incorrect binary data format for type array");
}

struct status *array_recv(struct arena *a, type_oid element, int32_t typmod, struct slice bytes,
                          struct datum *out)
{
    struct reader r;
    reader_init(&r, bytes);
    uint32_t dims = read_u32(&r);
    uint32_t flags = read_u32(&r);
    type_oid oid = read_u32(&r);
    if (!reader_ok(&r) || flags > 1) {
        return bad_array_binary();
    }
    if (oid != element) {
        return status_sql(INVALID, "42804", "wrong element type");
    }
    if (dims > 1) {
        return status_sql(UNSUPPORTED, "0A000", "multidimensional arrays are not supported");
    }
    uint32_t count = 0, lower = 1;
    if (dims == 1) {
        count = read_u32(&r);
        lower = read_u32(&r);
    }
    if (!reader_ok(&r) || count > ARRAY_ELEMENTS_MAX || count > reader_left(&r) / 4) {
        return bad_array_binary();
    }
    if (lower != 1 && count > 0) {
        return status_sql(UNSUPPORTED, "0A000", "arrays with explicit bounds are not supported");
    }
    TRY(arena_reserve(a, sizeof(struct datum) * ((size_t)count + 1)));
    struct datum *elems = ARENA_ARRAY(a, struct datum, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = read_u32(&r);
        if (len == UINT32_MAX) {
            elems[i] = DATUM_NULL;
            continue;
        }
        struct slice s = read_raw(&r, len);
        if (!reader_ok(&r)) {
            return bad_array_binary();
        }
        TRY(type_recv(a, element, typmod, s, &elems[i]));
    }
    if (!reader_ok(&r) || reader_left(&r) != 0) {
        return bad_array_binary();
    }
    *out = array_build(a, element, elems, (int)count);
    return NULL;
}

void array_send(const struct datum *d, struct buf *out)
{
    struct array_iter it;
    struct datum e;
    bool has_nulls = false;
    array_iter_init(&it, d);
    for (int i = 0; i < it.count; i++) {
        has_nulls = has_nulls || (it.nulls[i >> 3] >> (i & 7) & 1);
    }
    buf_put_u32(out, it.count > 0);
    buf_put_u32(out, has_nulls);
    buf_put_u32(out, it.element);
    if (it.count > 0) {
        buf_put_u32(out, (uint32_t)it.count);
        buf_put_u32(out, 1);
    }
    while (array_next(&it, &e)) {
        if (e.is_null) {
            buf_put_u32(out, UINT32_MAX);
            continue;
        }
        size_t at = out->len;
        buf_put_u32(out, 0);
        type_send(it.element, &e, out);
        set_u32(out->data + at, (uint32_t)(out->len - at - 4));
    }
}

/* ---- order ---- */

int array_compare(const struct datum *x, const struct datum *y)
{
    struct array_iter ix, iy;
    struct datum ex, ey;
    array_iter_init(&ix, x);
    array_iter_init(&iy, y);
    for (;;) {
        bool hx = array_next(&ix, &ex), hy = array_next(&iy, &ey);
        if (!hx || !hy) {
            return (int)hx - (int)hy;
        }
        if (ex.is_null || ey.is_null) {
            if (ex.is_null != ey.is_null) {
                return ex.is_null ? 1 : -1;
            }
            continue;
        }
        int c = type_compare(ix.element, &ex, &ey);
        if (c != 0) {
            return c;
        }
    }
}

uint64_t array_hash(const struct datum *d)
{
    struct array_iter it;
    struct datum e;
    uint64_t h = 1;
    array_iter_init(&it, d);
    while (array_next(&it, &e)) {
        h = h * 31 + (e.is_null ? 0 : type_hash(it.element, &e));
    }
    return h;
}
