/*
 * Statement text to libpg_query's tree. The only file that calls libpg_query.
 *
 * The parser recurses with the nesting of the text, so (1) a scanner bounds nesting and chains
 * first (parse_depth.c), (2) the parse and the unpacking of its protobuf run on a fiber with an 8
 * MB stack, a long text's on a worker thread. The tree is unpacked into an arena with a budget by
 * the size of the text: a bump of a pointer per node, freed all at once. Fields of a newer library
 * are not kept. Nothing of libpg_query's memory survives the call.
 */
#include "analyze.h"
#include "analyze_limits.h"
#include "parse_depth.h"

#include "base/loop.h"

#include <pg_query.h>

struct parsed {
    struct arena *arena;
    struct slice sql;
    PgQuery__ParseResult *tree;
};

struct parse_job {
    struct slice sql;
    struct parsed *out;
    struct status *st;
};

static void *unpack_alloc(void *ctx, size_t size)
{
    struct arena *a = ctx;
    struct status *st = arena_reserve(a, size);
    if (st != NULL) {
        status_free(st);
        return NULL; /* protobuf-c gives up and returns NULL */
    }
    return arena_alloc(a, size);
}

static void unpack_free(void *ctx, void *p)
{
    (void)ctx;
    (void)p;
}

static struct status *syntax_error(const PgQueryError *e)
{
    struct status *st;
    if (strstr(e->message, "memory exhausted") != NULL ||
        strstr(e->message, "stack depth") != NULL) {
        st = status_hint(status_sql(LIMIT, "54001", "stack depth limit exceeded"),
                         "The statement nests too deeply; split it.");
    } else if (strncmp(e->message, "unterminated", 12) != 0 &&
               strstr(e->message, "not supported") != NULL) {
        st = status_sql(UNSUPPORTED, "0A000", "%s", e->message);
    } else {
        st = status_sql(INVALID, "42601", "%s", e->message);
    }
    return e->cursorpos > 0 ? status_at(st, e->cursorpos) : st;
}

static void parse_run(struct parse_job *job)
{
    struct parsed *p = job->out;
    PgQueryProtobufParseResult r = pg_query_parse_protobuf((const char *)p->sql.data);
    if (r.error != NULL) {
        job->st = syntax_error(r.error);
    } else {
        ProtobufCAllocator alloc = {unpack_alloc, unpack_free, p->arena};
        p->tree = pg_query__parse_result__unpack(&alloc, r.parse_tree.len,
                                                 (const uint8_t *)r.parse_tree.data);
        if (p->tree == NULL) {
            job->st = status_hint(status_sql(LIMIT, "54000", "statement is too complex"),
                                  "Split it into several statements.");
        }
    }
    pg_query_free_protobuf_parse_result(r);
}

static void parse_fiber(struct fiber *f, void *arg)
{
    (void)f;
    parse_run(arg);
}

static void parse_work(void *arg)
{
    parse_run(arg);
}

static struct status *parse_check(struct slice sql)
{
    if (sql.len > PARSE_BYTES_MAX) {
        return status_hint(
            status_sql(LIMIT, "54000",
                       "statement of %zu bytes is longer than the limit of %zu bytes", sql.len,
                       PARSE_BYTES_MAX),
            "Split it into several statements, or load data with COPY.");
    }
    if (sql.len > 0 && memchr(sql.data, 0, sql.len) != NULL) {
        return status_sql(INVALID, "22021", "invalid byte sequence for encoding \"UTF8\": 0x00");
    }
    int nesting, chain;
    parse_depth(sql, PARSE_NESTING_MAX, PARSE_CHAIN_MAX, &nesting, &chain);
    if (nesting > PARSE_NESTING_MAX || chain > PARSE_CHAIN_MAX) {
        return status_hint(status_sql(LIMIT, "54001", "stack depth limit exceeded"),
                           "A statement may nest %d levels deep and chain %d operators.",
                           PARSE_NESTING_MAX, PARSE_CHAIN_MAX);
    }
    return NULL;
}

struct status *parse_sql(struct fiber *f, struct slice sql, struct parsed **out)
{
    TRY(parse_check(sql));
    struct arena *a = arena_create(((size_t)1 << 20) + sql.len * PARSE_ARENA_FACTOR);
    struct parsed *p = ARENA_NEW(a, struct parsed);
    p->arena = a;
    p->sql =
        slice_make(arena_strndup(a, sql.len == 0 ? (const void *)"" : sql.data, sql.len), sql.len);
    struct parse_job job = {.sql = p->sql, .out = p};
    if (f != NULL && sql.len > PARSE_INLINE_MAX) {
        /* Rare, and so long that the start of a thread does not matter; the loop goes on meanwhile.
         */
        struct worker *w = worker_create(fiber_loop(f), "parse");
        fiber_run_on(f, w, parse_work, &job);
        worker_destroy(w);
    } else if (f == NULL || fiber_stack_left() > ((size_t)6 << 20)) {
        parse_run(&job);
    } else {
        struct fan fan;
        fan_init(&fan);
        fan_spawn(f, &fan, FIBER_STACK_PARSE, parse_fiber, &job);
        fan_wait(f, &fan);
    }
    if (job.st != NULL) {
        arena_destroy(a);
        return job.st;
    }
    *out = p;
    return NULL;
}

void parsed_free(struct parsed *p)
{
    if (p != NULL) {
        arena_destroy(p->arena);
    }
}

int parsed_count(const struct parsed *p)
{
    return (int)p->tree->n_stmts;
}

struct slice parsed_text(const struct parsed *p, int i)
{
    const PgQuery__RawStmt *s = p->tree->stmts[i];
    size_t start = (size_t)s->stmt_location;
    size_t len = s->stmt_len > 0 ? (size_t)s->stmt_len : p->sql.len - start;
    while (len > 0 && (p->sql.data[start] == ' ' || p->sql.data[start] == '\n' ||
                       p->sql.data[start] == '\t' || p->sql.data[start] == '\r')) {
        start++;
        len--;
    }
    return slice_make(p->sql.data + start, len);
}

struct slice parsed_sql(const struct parsed *p)
{
    return p->sql;
}

const void *parsed_node(const struct parsed *p, int i)
{
    return p->tree->stmts[i]->stmt;
}

enum stmt_kind parsed_kind(const struct parsed *p, int i)
{
    const PgQuery__Node *n = p->tree->stmts[i]->stmt;
    if (n == NULL) {
        return STMT_UNSUPPORTED;
    }
    switch ((int)n->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT:
        return n->select_stmt->into_clause != NULL ? STMT_DDL : STMT_QUERY;
    case PG_QUERY__NODE__NODE_INSERT_STMT:
    case PG_QUERY__NODE__NODE_UPDATE_STMT:
    case PG_QUERY__NODE__NODE_DELETE_STMT:
        return STMT_QUERY;
    case PG_QUERY__NODE__NODE_EXPLAIN_STMT:
        return STMT_EXPLAIN;
    case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
        return STMT_TXN;
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
    case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
        return STMT_SET;
    case PG_QUERY__NODE__NODE_COPY_STMT:
        return STMT_COPY;
    case PG_QUERY__NODE__NODE_PREPARE_STMT:
    case PG_QUERY__NODE__NODE_EXECUTE_STMT:
    case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
        return STMT_PREPARE;
    case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
    case PG_QUERY__NODE__NODE_FETCH_STMT:
    case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
        return STMT_CURSOR;
    case PG_QUERY__NODE__NODE_VACUUM_STMT: /* ANALYZE too */
    case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
    case PG_QUERY__NODE__NODE_COMMENT_STMT:
    case PG_QUERY__NODE__NODE_LOCK_STMT:
    case PG_QUERY__NODE__NODE_REINDEX_STMT:
    case PG_QUERY__NODE__NODE_CLUSTER_STMT:
    case PG_QUERY__NODE__NODE_LISTEN_STMT:
    case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
        return STMT_NOOP;
    case PG_QUERY__NODE__NODE_CREATE_STMT:
    case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
    case PG_QUERY__NODE__NODE_DROP_STMT:
    case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
    case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
    case PG_QUERY__NODE__NODE_INDEX_STMT:
    case PG_QUERY__NODE__NODE_RENAME_STMT:
    case PG_QUERY__NODE__NODE_VIEW_STMT:
    case PG_QUERY__NODE__NODE_CREATEDB_STMT:
    case PG_QUERY__NODE__NODE_DROPDB_STMT:
    case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
    case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
    case PG_QUERY__NODE__NODE_CREATE_SCHEMA_STMT:
    case PG_QUERY__NODE__NODE_CREATE_ROLE_STMT:
    case PG_QUERY__NODE__NODE_ALTER_ROLE_STMT:
    case PG_QUERY__NODE__NODE_ALTER_ROLE_SET_STMT:
    case PG_QUERY__NODE__NODE_DROP_ROLE_STMT:
    case PG_QUERY__NODE__NODE_GRANT_STMT:
    case PG_QUERY__NODE__NODE_GRANT_ROLE_STMT:
    case PG_QUERY__NODE__NODE_ALTER_OWNER_STMT:
    case PG_QUERY__NODE__NODE_ALTER_OBJECT_SCHEMA_STMT:
    case PG_QUERY__NODE__NODE_ALTER_DATABASE_STMT:
    case PG_QUERY__NODE__NODE_ALTER_DATABASE_SET_STMT:
    case PG_QUERY__NODE__NODE_CREATE_EXTENSION_STMT:
    case PG_QUERY__NODE__NODE_ALTER_SYSTEM_STMT:
        return STMT_DDL;
    default:
        return STMT_UNSUPPORTED;
    }
}
