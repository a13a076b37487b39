/*
 * One line of a table of inputs with the answers of a real PostgreSQL, and what runs it.
 * Expected "ERR xxxxx" means an error with that SQLSTATE.
 */
#ifndef TEST_TYPE_CASES_H
#define TEST_TYPE_CASES_H

#include "sql/types.h"

struct type_case {
    const char
        *op; /* "in" type typmod text; "send" type text; "nadd" x y; "tadd" ts interval ... */
    const char *a;
    const char *b;
    const char *c;
    const char *expected;
};

/* Runs all of them; prints each that differs; returns how many. */
int type_cases_run(const struct type_case *cases, int count);

#endif
