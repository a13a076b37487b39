/* Heap memory that never comes back NULL: see base/mem.h. */
#include "base/mem.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *or_die(void *p, size_t size)
{
    if (p == NULL) {
        fatal("out of memory: an allocation of %zu bytes failed", size);
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return or_die(malloc(size ? size : 1), size);
}

void *mem_zalloc(size_t size)
{
    return or_die(calloc(1, size ? size : 1), size);
}

void *mem_realloc(void *p, size_t size)
{
    return or_die(realloc(p, size ? size : 1), size);
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

char *mem_strndup(const void *s, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len) {
        memcpy(copy, s, len);
    }
    copy[len] = '\0';
    return copy;
}

char *mem_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return or_die(n < 0 ? NULL : text, 0);
}

void mem_free(void *p)
{
    free(p);
}
