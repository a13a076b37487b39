/*
 * The test world as a process: reads "<bytes>\n<sql>\n", answers one JSON line per statement text.
 * test/sql/run_slt.py drives it with --box, so that recorded statements run without a cluster.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

static void json(const char *s)
{
    if (s == NULL) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            putchar('\\');
            putchar(c);
        } else if (c < 0x20) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static void answer(const struct result *r)
{
    if (r->failed) {
        printf("{\"error\":\"%s\",\"message\":", r->sqlstate);
        json(r->message);
        printf(",\"detail\":");
        json(r->detail);
        printf(",\"hint\":");
        json(r->hint);
        printf(",\"position\":%d}\n", r->position);
        return;
    }
    printf("{\"tag\":\"%s\",\"n\":%llu,\"oid\":[", r->tag, (unsigned long long)r->affected);
    for (int c = 0; c < r->ncols; c++) {
        printf("%s%u", c > 0 ? "," : "", r->types[c]);
    }
    printf("],\"names\":[");
    for (int c = 0; c < r->ncols; c++) {
        printf("%s", c > 0 ? "," : "");
        json(r->names[c]);
    }
    printf("],\"rows\":[");
    for (int i = 0; i < r->nrows; i++) {
        printf("%s[", i > 0 ? "," : "");
        for (int c = 0; c < r->ncols; c++) {
            printf("%s", c > 0 ? "," : "");
            json(r->rows[i][c]);
        }
        printf("]");
    }
    printf("]}\n");
}

int main(void)
{
    struct world *w = world_create();
    char head[64];
    while (fgets(head, sizeof(head), stdin) != NULL) {
        size_t n = (size_t)strtoul(head, NULL, 10);
        char *sql = calloc(1, n + 2);
        if (sql == NULL || fread(sql, 1, n + 1, stdin) != n + 1) {
            free(sql);
            break;
        }
        sql[n] = '\0';
        answer(world_run(w, sql));
        fflush(stdout);
        free(sql);
    }
    world_destroy(w);
    return 0;
}
