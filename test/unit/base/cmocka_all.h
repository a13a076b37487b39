/* cmocka, with the headers that it wants before it, in the order it wants. */
#ifndef TEST_BASE_CMOCKA_ALL_H
#define TEST_BASE_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/status.h"

static inline void assert_ok(struct status *st)
{
    if (st != NULL) {
        fail_msg("unexpected error: %s %s", st->sqlstate, st->message);
    }
}

#endif
