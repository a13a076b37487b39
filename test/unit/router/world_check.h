/* What the tests over the SQL world share: cases of a statement and what it must give. */
#ifndef TEST_ROUTER_WORLD_CHECK_H
#define TEST_ROUTER_WORLD_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "world.h"

/* Rows as text: columns by '|', rows by newline, NULL as "~". An error: "ERROR sqlstate". */
static inline char *result_text(const struct result *r)
{
    struct buf b = {0};
    if (r->failed) {
        buf_printf(&b, "ERROR %s", r->sqlstate);
    }
    for (int i = 0; i < r->nrows && !r->failed; i++) {
        for (int c = 0; c < r->ncols; c++) {
            buf_printf(&b, "%s%s", c > 0 ? "|" : "", r->rows[i][c] == NULL ? "~" : r->rows[i][c]);
        }
        buf_printf(&b, "%s", i + 1 < r->nrows ? "\n" : "");
    }
    if (!r->failed && r->ncols == 0) {
        buf_printf(&b, "%s", r->tag);
    }
    char *s = mem_strndup(b.len > 0 ? (const void *)b.data : "", b.len);
    buf_deinit(&b);
    return s;
}

struct sql_case {
    const char *sql, *want;
};

static inline void run_cases(struct world *w, const struct sql_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct result *r = world_run(w, cases[i].sql);
        char *got = result_text(r);
        if (strcmp(got, cases[i].want) != 0) {
            print_error("%s\n  %s%s\ngives\n%s\nwanted\n%s\n", cases[i].sql,
                        r->failed ? r->message : "",
                        r->failed && r->detail != NULL ? r->detail : "", got, cases[i].want);
            mem_free(got);
            fail();
        }
        mem_free(got);
    }
}
#define RUN_CASES(w, cases) run_cases(w, cases, sizeof(cases) / sizeof((cases)[0]))

#endif
