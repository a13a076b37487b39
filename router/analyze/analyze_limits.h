/* Limits of the SQL front half: everything that comes from a client has one. */
#ifndef ROUTER_ANALYZE_LIMITS_H
#define ROUTER_ANALYZE_LIMITS_H

#define PARSE_BYTES_MAX ((size_t)16 << 20) /* text of one request; beyond: 54000 */
#define PARSE_INLINE_MAX                                                                           \
    ((size_t)128 << 10)       /* longer ones (milliseconds) are parsed on a thread of their own */
#define PARSE_NESTING_MAX 500 /* open parentheses and CASEs; beyond: 54001 */
#define PARSE_CHAIN_MAX 2000  /* a + b + c ..., x UNION y ...: each one is a level of the tree */
#define PARSE_ARENA_FACTOR 64 /* an unpacked tree may take so many times the text */
#define ANALYZE_STACK_LEFT ((size_t)40 << 10) /* recursion stops with 54001 below */
#define PLAN_BUDGET ((size_t)512 << 20)       /* of a plan's arena */
#define PLAN_MARGIN                                                                                \
    ((size_t)160 << 20)    /* kept free for arrays that one node may need; beyond: 53200 */
#define TARGETS_MAX 1664   /* columns of a result, as PostgreSQL */
#define TABLES_MAX 200     /* FROM items of a statement */
#define WRITE_OPS_MAX 2048 /* key operations in one call of txn_write() */
#define WRITE_BYTES_MAX ((size_t)1 << 20) /* ... and bytes */
#define SPANS_MAX 4096                    /* of one fragment: IN lists beyond are filtered */
#define LOOKUP_BATCH 1024                 /* outer rows of one round of a lookup join */

#endif
