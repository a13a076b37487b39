/* The server's configuration: the documented sample, defaults, and every refusal with its line. */
#include "base/config.h"
#include "base/mem.h"

#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD "node: {id: 1, host: 127.0.0.1}\nstorage: {data_dir: /d}\n"
#define PEER "cluster:\n  initial:\n    - {node: 1, host: a, grpc_port: 7433, raft_port: 7434}\n"

static struct config *accept_text(const char *text)
{
    struct config *c = NULL;
    struct status *st = config_parse("test.yaml", slice_str(text), &c);
    if (st != NULL) {
        fail_msg("refused: %s", st->message);
    }
    return c;
}

static void refuse(const char *text, const char *expected)
{
    struct config *c = NULL;
    struct status *st = config_parse("test.yaml", slice_str(text), &c);
    assert_null(c);
    assert_true(status_is(st, STATUS_INVALID));
    if (strncmp(st->message, expected, strlen(expected)) != 0) {
        fail_msg("expected: %s\ngot:      %s", expected, st->message);
    }
    status_free(st);
}

static void the_documented_sample_is_accepted_and_says_the_defaults(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct status *st = config_load(SOURCE_DIR "/config/sherd.yaml", &c);
    if (st != NULL) {
        fail_msg("%s", st->message);
    }
    struct config *d = accept_text(HEAD PEER);
    assert_string_equal(c->cluster_name, d->cluster_name);
    assert_string_equal(c->listen, d->listen);
    assert_string_equal(c->auth, d->auth);
    assert_int_equal(c->sql_port, d->sql_port);
    assert_int_equal(c->grpc_port, d->grpc_port);
    assert_int_equal(c->raft_port, d->raft_port);
    assert_int_equal(c->http_port, d->http_port);
    assert_int_equal(c->heartbeat_ms, d->heartbeat_ms);
    assert_int_equal(c->election_ms, d->election_ms);
    assert_int_equal(c->replace_after_s, d->replace_after_s);
    assert_int_equal(c->gc_ttl_s, d->gc_ttl_s);
    assert_int_equal(c->shard_max_mb, d->shard_max_mb);
    assert_int_equal(c->sql_connections_max, d->sql_connections_max);
    assert_int_equal(c->cache_mb, d->cache_mb);
    assert_int_equal(c->write_buffer_mb, d->write_buffer_mb);
    assert_int_equal(c->statement_mb, d->statement_mb);
    assert_int_equal(c->workspace_mb, d->workspace_mb);
    assert_int_equal(c->transaction_locks, d->transaction_locks);
    assert_true(c->role_metadata && c->role_shard && c->role_router);
    assert_int_equal(c->peer_count, 1);
    assert_null(c->join);
    config_free(c);
    config_free(d);
}

static void every_key_arrives_in_its_field(void **state)
{
    (void)state;
    struct config *c =
        accept_text("cluster: {name: prod, join: 'db1:99', replace_after: 15m}\n"
                    "node: {id: 7, host: db7, listen: 0.0.0.0, roles: [router],\n"
                    "       locality: 'region=eu'}\n"
                    "ports: {sql: 1, grpc: 2, raft: 3, http: 4}\n"
                    "storage: {data_dir: d, cache_mb: 5, write_buffer_mb: 6,\n"
                    "          gc_ttl: 2d, shard_max_mb: 8}\n"
                    "raft: {heartbeat_ms: 50, election_ms: 300}\n"
                    "sql: {connections_max: 9, statement_mb: 10, workspace_mb: 11,\n"
                    "      transaction_locks: 12345, auth: scram, password_file: pf}\n"
                    "log: {dir: l, config: lc}\n");
    assert_string_equal(c->cluster_name, "prod");
    assert_string_equal(c->join, "db1:99");
    assert_int_equal(c->replace_after_s, 15 * 60);
    assert_int_equal(c->node_id, 7);
    assert_string_equal(c->host, "db7");
    assert_string_equal(c->listen, "0.0.0.0");
    assert_string_equal(c->locality, "region=eu");
    assert_true(c->role_router && !c->role_shard && !c->role_metadata);
    assert_int_equal(c->sql_port * 1000 + c->grpc_port * 100 + c->raft_port * 10 + c->http_port,
                     1234);
    assert_string_equal(c->data_dir, "d");
    assert_int_equal(c->cache_mb, 5);
    assert_int_equal(c->write_buffer_mb, 6);
    assert_int_equal(c->gc_ttl_s, 2 * 86400);
    assert_int_equal(c->shard_max_mb, 8);
    assert_int_equal(c->heartbeat_ms, 50);
    assert_int_equal(c->election_ms, 300);
    assert_int_equal(c->sql_connections_max, 9);
    assert_int_equal(c->statement_mb, 10);
    assert_int_equal(c->workspace_mb, 11);
    assert_int_equal(c->transaction_locks, 12345);
    assert_string_equal(c->auth, "scram");
    assert_string_equal(c->password_file, "pf");
    assert_null(c->password); /* only config_load() reads it */
    assert_string_equal(c->log_dir, "l");
    assert_string_equal(c->logger, "lc");
    config_free(c);
    c = accept_text(HEAD PEER);
    assert_string_equal(c->log_dir, "/d/log");
    assert_string_equal(c->peers[0].host, "a");
    config_free(c);
}

static void a_bad_file_is_refused_with_its_line(void **state)
{
    (void)state;
    refuse(HEAD PEER "prots: {sql: 1}\n", "test.yaml:6: unknown key \"prots\"");
    refuse(HEAD PEER "ports:\n  sqll: 1\n", "test.yaml:7: unknown key \"sqll\" in \"ports\"");
    refuse(HEAD PEER "ports:\n  sql: x\n",
           "test.yaml:7: \"ports.sql\" must be a number from 1 to 65535, not \"x\"");
    refuse(HEAD PEER "ports: {sql: 0}\n", "test.yaml:6: \"ports.sql\" must be a number from 1");
    refuse(HEAD PEER "ports: {sql: 65536}\n", "test.yaml:6: \"ports.sql\" must be");
    refuse(HEAD PEER "ports: {sql: -1}\n", "test.yaml:6: \"ports.sql\" must be");
    refuse(HEAD PEER "ports: {sql: 99999999999999999999999}\n", "test.yaml:6: \"ports.sql\" must");
    refuse(HEAD PEER "ports: {sql: [1]}\n", "test.yaml:6: \"ports.sql\" must be a single value");
    refuse(HEAD PEER "ports: 5\n", "test.yaml:6: \"ports\" must hold keys and values");
    refuse(HEAD PEER "ports: {sql: 5, grpc: 5}\n", "test.yaml: \"ports.sql\" and \"ports.grpc\"");
    refuse(HEAD PEER "raft: {heartbeat_ms: 100}\nraft: {}\n",
           "test.yaml:7: \"raft\" is given twice");
    refuse(HEAD PEER "raft: {heartbeat_ms: 100, election_ms: 150}\n",
           "test.yaml: \"raft.election_ms\" is 150 and must be at least twice");
    refuse("node: {id: 1, host: h, roles: [king]}\n",
           "test.yaml:1: \"node.roles\" knows the roles metadata, shard and router, not \"king\"");
    refuse("node: {id: 1, host: h, roles: king}\n", "test.yaml:1: \"node.roles\" must be a list");
    refuse("cluster:\n  initial:\n    - {node: 1, host: a, grpc_port: 1}\n",
           "test.yaml:3: a server of \"cluster.initial\" has no \"raft_port\"");
    refuse("cluster:\n  initial:\n    - {node: 1, host: a, grpc_port: 1, raft_port: 2}\n"
           "    - {node: 1, host: b, grpc_port: 1, raft_port: 2}\n",
           "test.yaml:4: \"cluster.initial\" names node 1 twice");
    refuse("cluster:\n  replace_after: 0s\n",
           "test.yaml:2: \"cluster.replace_after\" must be a time in seconds from 1 to 31536000");
    refuse("storage:\n  gc_ttl: 3w\n",
           "test.yaml:2: \"storage.gc_ttl\" must be a time in seconds from 1 to 31536000, as in");
    refuse("a: [1, 2\nb: 3\n", "test.yaml:2: not valid YAML");
    refuse("a: \"\xff\xfe\"\n", "test.yaml: not a text in UTF-8");
    refuse("node: {id: 1, host: \"a\\0b\"}\n", "test.yaml:1: \"node.host\" holds a zero byte");
    refuse("- 1\n", "test.yaml:1: \"the file\" must hold keys and values");
    refuse("? [1]\n: 2\n", "test.yaml:1: \"a key\" must be a single value");
    refuse(HEAD PEER "---\nx: 1\n", "test.yaml:6: a second document");
    refuse("x: &a [*a, *a]\n", "test.yaml:1: unknown key \"x\"");
}

static void what_is_missing_or_does_not_fit_is_named(void **state)
{
    (void)state;
    refuse("", "test.yaml: \"node.id\" is missing");
    refuse("node: {id: 1}\n", "test.yaml: \"node.host\" is missing");
    refuse("node: {id: 1, host: a}\n", "test.yaml: \"storage.data_dir\" is missing");
    refuse(HEAD, "test.yaml: \"cluster.initial\" is missing");
    refuse(HEAD "cluster: {join: 'a:1', initial: [{node: 2, host: a, grpc_port: 1, raft_port: 2}]}",
           "test.yaml: \"cluster.initial\" and \"cluster.join\" exclude each other");
    refuse(HEAD "cluster: {initial: [{node: 1, host: a, grpc_port: 1, raft_port: 2}]}",
           "test.yaml: \"cluster.initial\" gives node 1 the ports 1 and 2, but");
    refuse(HEAD PEER "sql: {auth: open}\n", "test.yaml: \"sql.auth\" must be trust or scram");
    refuse("node: {id: 1, host: 10.0.0.1}\nstorage: {data_dir: d}\nsql: {auth: trust}\n" PEER,
           "test.yaml: \"sql.auth\" is trust, but the node listens on \"10.0.0.1\"");
    refuse(HEAD PEER "sql: {auth: trust, password_file: p}\n",
           "test.yaml: \"sql.auth\" is trust, but \"sql.password_file\" is given");
    struct config *c = NULL;
    struct status *st = config_load("/no/such/file.yaml", &c);
    assert_non_null(strstr(st->message, "/no/such/file.yaml"));
    status_free(st);
}

static void a_name_that_is_not_loopback_logs_in_by_password(void **state)
{
    (void)state;
    struct config *c = accept_text("node: {id: 1, host: 10.0.0.1}\nstorage: {data_dir: d}\n" PEER);
    assert_string_equal(c->auth, "scram");
    config_free(c);
    c = accept_text(HEAD PEER);
    assert_string_equal(c->auth, "trust");
    config_free(c);
    c = accept_text(HEAD PEER "sql: {password_file: p}\n");
    assert_string_equal(c->auth, "scram");
    config_free(c);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fchmod(fileno(f), mode) == 0 && fclose(f) == 0);
}

/* Its first line, without what ends it; a file that others may read is no secret. */
static void the_password_is_read_from_its_file(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        mode_t mode;
        const char *password, *refusal;
    } cases[] = {
        {"secret", 0600, "secret", NULL},
        {" a b%s \r\nmore\n", 0640, " a b%s ", NULL},
        {"secret\n", 0604, NULL, "is open to all users of the machine"},
        {"secret\n", 0602, NULL, "is open to all users of the machine"},
        {"", 0600, NULL, "has an empty first line"},
        {"\r\nsecret", 0600, NULL, "has an empty first line"},
        {"a\tb", 0600, NULL, "holds a character that is not printable ASCII"},
    };
    char dir[] = "/tmp/sherd-test-XXXXXX";
    assert_non_null(mkdtemp(dir));
    char *config = mem_printf("%s/sherd.yaml", dir), *file = mem_printf("%s/password", dir);
    char *text = mem_printf(HEAD PEER "sql: {password_file: %s}\n", file);
    write_file(config, text, 0644);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file(file, cases[i].text, cases[i].mode);
        struct config *c = NULL;
        struct status *st = config_load(config, &c);
        if (cases[i].password != NULL) {
            assert_null(st);
            assert_string_equal(c->password, cases[i].password);
        } else {
            assert_null(c);
            assert_non_null(strstr(st->message, cases[i].refusal));
            assert_non_null(strstr(st->message, file));
            assert_non_null(st->hint);
        }
        status_free(st);
        config_free(c);
        unlink(file);
    }
    unlink(config);
    assert_int_equal(rmdir(dir), 0);
    mem_free(text);
    mem_free(file);
    mem_free(config);
}

static void dev_is_one_node_with_all_roles(void **state)
{
    (void)state;
    struct config *c = NULL;
    assert_null(config_dev("/some/dir", 6000, &c));
    assert_string_equal(c->data_dir, "/some/dir");
    assert_int_equal(c->http_port, 6003);
    assert_int_equal(c->peers[0].raft_port, 6002);
    assert_string_equal(c->auth, "trust");
    config_free(c);
    assert_null(config_dev(NULL, 0, &c));
    assert_int_equal(access(c->data_dir, W_OK), 0);
    assert_int_equal(rmdir(c->data_dir), 0);
    assert_int_equal(c->sql_port, 7432);
    config_free(c);
    struct status *st = config_dev(NULL, 65533, &c);
    assert_true(status_is(st, STATUS_INVALID));
    status_free(st);
}

/* Damaged copies of the sample: an answer each time, never a crash. */
static void damaged_files_never_crash(void **state)
{
    (void)state;
    static const char text[] = HEAD PEER "ports: {sql: 1, grpc: 7433}\nlog: {dir: x}\n";
    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        static const char with[] = {0, '\n', ':', '{', '[', '"', '&', '*', '\t', (char)0xc3};
        for (size_t j = 0; j < sizeof(with); j++) {
            char copy[sizeof(text)];
            memcpy(copy, text, sizeof(text));
            copy[i] = with[j];
            struct config *c = NULL;
            if (status_consume(config_parse("x", slice_make(copy, sizeof(text) - 1), &c))) {
                assert_null(c);
            }
            config_free(c);
        }
        struct config *c = NULL;
        (void)status_consume(config_parse("x", slice_make(text, i), &c));
        config_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documented_sample_is_accepted_and_says_the_defaults),
        cmocka_unit_test(every_key_arrives_in_its_field),
        cmocka_unit_test(a_bad_file_is_refused_with_its_line),
        cmocka_unit_test(what_is_missing_or_does_not_fit_is_named),
        cmocka_unit_test(a_name_that_is_not_loopback_logs_in_by_password),
        cmocka_unit_test(the_password_is_read_from_its_file),
        cmocka_unit_test(dev_is_one_node_with_all_roles),
        cmocka_unit_test(damaged_files_never_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
