/*
 * Statement text on its way to the parser: the scanner that bounds nesting, the parser behind it
 * (which would overrun its stack without that bound), and the lifting of literals.
 *
 * A shape with its literals put back in is the statement again, and it parses when that does.
 */
#include "fuzz.h"
#include "parse_depth.h"
#include "router/plan.h"
#include "session_internal.h"

#include <ctype.h>

enum { NESTING = 500, CHAIN = 2000, TEXT_MAX = 4096 };

static bool parses(struct slice sql)
{
    struct parsed *p;
    if (fuzz_refused(parse_sql(NULL, sql, &p))) {
        return false;
    }
    parsed_free(p);
    return true;
}

/* Two slices of SQL text with the parameters of the one replaced by their values. */
static void put_back(const struct shape *s, struct buf *out)
{
    for (size_t i = 0; i < s->text.len; i++) {
        uint8_t c = s->text.data[i];
        if (c != '$') {
            buf_put_u8(out, c);
            continue;
        }
        int n = 0;
        while (i + 1 < s->text.len && s->text.data[i + 1] >= '0' && s->text.data[i + 1] <= '9') {
            n = n * 10 + (s->text.data[++i] - '0');
        }
        ASSERT(n >= 1 && n <= s->count);
        struct slice v = s->values[n - 1];
        if (s->types[n - 1] != 0) {
            buf_put_slice(out, v);
            continue;
        }
        buf_put_u8(out, '\'');
        for (size_t k = 0; k < v.len; k++) {
            if (v.data[k] == '\'') {
                buf_put_u8(out, '\'');
            }
            buf_put_u8(out, v.data[k]);
        }
        buf_put_u8(out, '\'');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice sql = slice_make(data, size);
    struct shape shape;
    int nesting, chain, n2, c2;
    parse_depth(sql, NESTING, CHAIN, &nesting, &chain);
    parse_depth(sql, INT32_MAX, INT32_MAX, &n2, &c2);
    ASSERT(nesting >= 0 && chain >= 0 && (nesting > NESTING || chain > CHAIN || n2 == nesting));
    bool is_sound = size <= TEXT_MAX && parses(sql);
    if (shape_of(sql, &shape)) {
        struct buf again = {0};
        put_back(&shape, &again);
        struct slice expected = sql; /* blanks before the first word are dropped */
        while (expected.len > 0 && isspace(expected.data[0])) {
            expected = slice_make(expected.data + 1, expected.len - 1);
        }
        ASSERT(slice_eq(buf_slice(&again), expected));
        ASSERT(!is_sound || parses(buf_slice(&shape.text)));
        buf_deinit(&again);
    }
    shape_deinit(&shape);
    return 0;
}
