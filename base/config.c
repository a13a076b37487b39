/*
 * The server's configuration: the table of its keys, its defaults, and what must fit together.
 * config/sherd.yaml documents every key for the user; a test reads that file, so that it cannot
 * drift.
 */
#include "base/config.h"

#include "base/check.h"
#include "base/mem.h"
#include "conf.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 63
#define HOST_BYTES 255
#define PATH_BYTES 1024
#define PASSWORD_BYTES 1000
#define DEFAULT_SQL_PORT 7432

static struct status *parse_peers(struct conf *c, struct conf_node *list, const char *where,
                                  void *target);
static struct status *parse_roles(struct conf *c, struct conf_node *list, const char *where,
                                  void *target);

#define AT(field) offsetof(struct config, field)
#define STRING(name, field, bytes)                                                                 \
    {                                                                                              \
        name, CONF_STRING, AT(field), 0, bytes, NULL, NULL                                         \
    }
#define UINT16(name, field)                                                                        \
    {                                                                                              \
        name, CONF_UINT16, AT(field), 1, UINT16_MAX, NULL, NULL                                    \
    }
#define UINT32(name, field, min, max)                                                              \
    {                                                                                              \
        name, CONF_UINT32, AT(field), min, max, NULL, NULL                                         \
    }
#define SECTION(name, keys)                                                                        \
    {                                                                                              \
        name, CONF_MAP, 0, 0, 0, keys, NULL                                                        \
    }
#define CUSTOM(name, fn)                                                                           \
    {                                                                                              \
        name, CONF_CUSTOM, 0, 0, 0, NULL, fn                                                       \
    }
#define END                                                                                        \
    {                                                                                              \
        NULL, CONF_MAP, 0, 0, 0, NULL, NULL                                                        \
    }

static const struct conf_key cluster_keys[] = {
    STRING("name", cluster_name, NAME_BYTES),
    CUSTOM("initial", parse_peers),
    STRING("join", join, HOST_BYTES + 6),
    {"replace_after", CONF_SECONDS, AT(replace_after_s), 1, UINT64_C(365) * 86400, NULL, NULL},
    END,
};
static const struct conf_key node_keys[] = {
    {"id", CONF_UINT64, AT(node_id), 1, INT64_MAX, NULL, NULL},
    STRING("host", host, HOST_BYTES),
    STRING("listen", listen, HOST_BYTES),
    CUSTOM("roles", parse_roles),
    STRING("locality", locality, HOST_BYTES),
    END,
};
static const struct conf_key ports_keys[] = {
    UINT16("sql", sql_port),
    UINT16("grpc", grpc_port),
    UINT16("raft", raft_port),
    UINT16("http", http_port),
    END,
};
static const struct conf_key storage_keys[] = {
    STRING("data_dir", data_dir, PATH_BYTES),
    UINT32("cache_mb", cache_mb, 1, 1 << 20),
    UINT32("write_buffer_mb", write_buffer_mb, 1, 4096),
    {"gc_ttl", CONF_SECONDS, AT(gc_ttl_s), 1, UINT64_C(365) * 86400, NULL, NULL},
    UINT32("shard_max_mb", shard_max_mb, 1, 1 << 20),
    UINT32("reserve_mb", reserve_mb, 0, 1 << 20),
    END,
};
static const struct conf_key raft_keys[] = {
    UINT32("heartbeat_ms", heartbeat_ms, 10, 60000),
    UINT32("election_ms", election_ms, 50, 600000),
    END,
};
static const struct conf_key sql_keys[] = {
    UINT32("connections_max", sql_connections_max, 1, 100000),
    UINT32("statement_mb", statement_mb, 1, 1024),
    UINT32("workspace_mb", workspace_mb, 1, 65536),
    UINT32("transaction_locks", transaction_locks, 100, 100000000),
    STRING("auth", auth, 16),
    STRING("password_file", password_file, PATH_BYTES),
    END,
};
static const struct conf_key log_keys[] = {
    STRING("dir", log_dir, PATH_BYTES),
    STRING("config", logger, PATH_BYTES),
    END,
};
static const struct conf_key top_keys[] = {
    SECTION("cluster", cluster_keys), SECTION("node", node_keys),
    SECTION("ports", ports_keys),     SECTION("storage", storage_keys),
    SECTION("raft", raft_keys),       SECTION("sql", sql_keys),
    SECTION("log", log_keys),         END,
};

/* ---- lists ---- */

static struct status *parse_role(struct conf *c, struct conf_node *item, const char *where,
                                 void *target)
{
    struct config *cfg = target;
    const char *role = NULL;
    TRY(conf_scalar(c, item, where, &role));
    if (strcmp(role, "metadata") == 0) {
        cfg->role_metadata = true;
    } else if (strcmp(role, "shard") == 0) {
        cfg->role_shard = true;
    } else if (strcmp(role, "router") == 0) {
        cfg->role_router = true;
    } else {
        return conf_error(c, item,
                          "\"%s\" knows the roles metadata, shard and router, not \"%.60s\"", where,
                          role);
    }
    return NULL;
}

static struct status *parse_roles(struct conf *c, struct conf_node *list, const char *where,
                                  void *target)
{
    return conf_each_item(c, list, where, parse_role, target);
}

static const struct conf_key peer_keys[] = {
    {"node", CONF_UINT64, offsetof(struct config_peer, node_id), 1, INT64_MAX, NULL, NULL},
    {"host", CONF_STRING, offsetof(struct config_peer, host), 0, HOST_BYTES, NULL, NULL},
    {"grpc_port", CONF_UINT16, offsetof(struct config_peer, grpc_port), 1, UINT16_MAX, NULL, NULL},
    {"raft_port", CONF_UINT16, offsetof(struct config_peer, raft_port), 1, UINT16_MAX, NULL, NULL},
    END,
};

static struct status *parse_peer(struct conf *c, struct conf_node *item, const char *where,
                                 void *target)
{
    struct config *cfg = target;
    if (cfg->peer_count == CONFIG_PEERS_MAX) {
        return conf_error(c, item, "\"%s\" has more than %d servers", where, CONFIG_PEERS_MAX);
    }
    struct config_peer *p = &cfg->peers[cfg->peer_count++];
    TRY(conf_fill_map(c, item, where, peer_keys, p));
    const char *missing = p->node_id == 0     ? "node"
                          : p->host == NULL   ? "host"
                          : p->grpc_port == 0 ? "grpc_port"
                          : p->raft_port == 0 ? "raft_port"
                                              : NULL;
    if (missing != NULL) {
        return conf_error(c, item, "a server of \"%s\" has no \"%s\"", where, missing);
    }
    for (int i = 0; i < cfg->peer_count - 1; i++) {
        if (cfg->peers[i].node_id == p->node_id) {
            return conf_error(c, item, "\"%s\" names node %" PRIu64 " twice", where, p->node_id);
        }
    }
    return NULL;
}

static struct status *parse_peers(struct conf *c, struct conf_node *list, const char *where,
                                  void *target)
{
    return conf_each_item(c, list, where, parse_peer, target);
}

/* ---- defaults, and what must fit together ---- */

static void set_default(char **field, const char *value)
{
    if (*field == NULL) {
        *field = mem_strdup(value);
    }
}

static struct config *config_new(void)
{
    struct config *cfg = MEM_NEW(struct config);
    cfg->sql_port = DEFAULT_SQL_PORT;
    cfg->grpc_port = DEFAULT_SQL_PORT + 1;
    cfg->raft_port = DEFAULT_SQL_PORT + 2;
    cfg->http_port = DEFAULT_SQL_PORT + 3;
    cfg->heartbeat_ms = 100;
    cfg->election_ms = 500;
    cfg->replace_after_s = 300;
    cfg->gc_ttl_s = 3600;
    cfg->shard_max_mb = 256;
    cfg->sql_connections_max = 1000;
    cfg->cache_mb = 32;
    cfg->reserve_mb = 128;
    cfg->write_buffer_mb = 16;
    cfg->statement_mb = 16;
    cfg->workspace_mb = 256;
    cfg->transaction_locks = 2000000;
    return cfg;
}

static bool is_loopback(const char *address)
{
    return strcmp(address, "localhost") == 0 || strcmp(address, "::1") == 0 ||
           strncmp(address, "127.", 4) == 0;
}

static void fill_defaults(struct config *cfg)
{
    if (!cfg->role_metadata && !cfg->role_shard && !cfg->role_router) {
        cfg->role_metadata = cfg->role_shard = cfg->role_router = true;
    }
    set_default(&cfg->cluster_name, "sherd");
    set_default(&cfg->locality, "");
    set_default(&cfg->listen, cfg->host);
    bool is_open = is_loopback(cfg->listen) && cfg->password_file == NULL;
    set_default(&cfg->auth, is_open ? "trust" : "scram");
    if (cfg->log_dir == NULL) {
        cfg->log_dir = mem_printf("%s/log", cfg->data_dir);
    }
}

static struct status *missing(const struct conf *c, const char *key, const char *hint)
{
    return status_hint(conf_error(c, NULL, "\"%s\" is missing", key), "%s", hint);
}

static struct status *check_self(const struct conf *c, const struct config *cfg)
{
    for (int i = 0; i < cfg->peer_count; i++) {
        const struct config_peer *p = &cfg->peers[i];
        if (p->node_id != cfg->node_id) {
            continue;
        }
        if (p->grpc_port != cfg->grpc_port || p->raft_port != cfg->raft_port) {
            return conf_error(c, NULL,
                              "\"cluster.initial\" gives node %" PRIu64
                              " the ports %u and %u, but \"ports\" says grpc %u and raft %u",
                              p->node_id, p->grpc_port, p->raft_port, cfg->grpc_port,
                              cfg->raft_port);
        }
    }
    return NULL;
}

static struct status *check_ports(const struct conf *c, const struct config *cfg)
{
    const uint16_t ports[] = {cfg->sql_port, cfg->grpc_port, cfg->raft_port, cfg->http_port};
    static const char *const names[] = {"sql", "grpc", "raft", "http"};
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++) {
            if (ports[i] == ports[j]) {
                return conf_error(c, NULL, "\"ports.%s\" and \"ports.%s\" are both %u", names[j],
                                  names[i], ports[i]);
            }
        }
    }
    return NULL;
}

static struct status *check_required(const struct conf *c, const struct config *cfg)
{
    if (cfg->node_id == 0) {
        return missing(c, "node.id", "Give each node a number of its own, from 1 up.");
    }
    if (cfg->host == NULL) {
        return missing(c, "node.host", "Give the address at which the other nodes reach this one.");
    }
    if (cfg->data_dir == NULL) {
        return missing(c, "storage.data_dir", "Give the directory that holds this node's data.");
    }
    return NULL;
}

static struct status *check_together(const struct conf *c, const struct config *cfg)
{
    for (const char *p = cfg->cluster_name; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ') { /* it stands in files of lines */
            return conf_error(c, NULL, "\"cluster.name\" holds a control character");
        }
    }
    if (cfg->peer_count > 0 && cfg->join != NULL) {
        return conf_error(c, NULL, "\"cluster.initial\" and \"cluster.join\" exclude each other");
    }
    if (cfg->peer_count == 0 && cfg->join == NULL) {
        return missing(c, "cluster.initial",
                       "List the servers of the new cluster, or name one of an existing cluster "
                       "in cluster.join.");
    }
    if (cfg->election_ms < 2 * cfg->heartbeat_ms) {
        return conf_error(c, NULL,
                          "\"raft.election_ms\" is %u and must be at least twice "
                          "\"raft.heartbeat_ms\", %u",
                          cfg->election_ms, cfg->heartbeat_ms);
    }
    if (strcmp(cfg->auth, "trust") != 0 && strcmp(cfg->auth, "scram") != 0) {
        return conf_error(c, NULL, "\"sql.auth\" must be trust or scram, not \"%s\"", cfg->auth);
    }
    if (strcmp(cfg->auth, "trust") == 0 && !is_loopback(cfg->listen)) {
        return status_hint(conf_error(c, NULL,
                                      "\"sql.auth\" is trust, but the node listens on \"%s\"",
                                      cfg->listen),
                           "Logins without a password are for loopback only: set sql.auth to "
                           "scram.");
    }
    if (strcmp(cfg->auth, "trust") == 0 && cfg->password_file != NULL) {
        return status_hint(
            conf_error(c, NULL, "\"sql.auth\" is trust, but \"sql.password_file\" is given"),
            "Nobody would be asked for the password: set sql.auth to scram, or leave one of the "
            "two out.");
    }
    TRY(check_ports(c, cfg));
    return check_self(c, cfg);
}

static struct status *fill(struct conf *c, struct config **out_config)
{
    struct config *cfg = config_new();
    struct status *st = conf_fill(c, top_keys, cfg);
    if (st == NULL) {
        st = check_required(c, cfg);
    }
    if (st == NULL) {
        fill_defaults(cfg);
        st = check_together(c, cfg);
    }
    conf_free(c);
    if (st != NULL) {
        config_free(cfg);
        return st;
    }
    *out_config = cfg;
    return NULL;
}

/* ---- the superuser's password ---- */

static struct status *password_error(const char *path, const char *what, const char *hint)
{
    return status_hint(status_new(INVALID, "\"sql.password_file\": \"%s\" %s", path, what), "%s",
                       hint);
}

/* Of a file that everybody may read the password is known to everybody. */
static struct status *check_password_file(const char *path, int fd)
{
    struct stat s;
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) {
        return password_error(path, "is not a file",
                              "Name a file with the password in its first line.");
    }
    if ((s.st_mode & (S_IRWXO)) != 0) {
        return password_error(path, "is open to all users of the machine",
                              "Take their rights away: chmod o-rwx, and choose a new password if "
                              "somebody may have read it.");
    }
    return NULL;
}

/* What clients and servers prepare alike: RFC 4013 maps other characters, clients do that. */
static struct status *check_password(const char *path, const char *text, size_t len)
{
    static const char hint[] = "Write the password of user sherd, or its SCRAM-SHA-256 verifier, "
                               "into the first line of the file.";
    if (len == 0) {
        return password_error(path, "has an empty first line", hint);
    }
    if (len > PASSWORD_BYTES) {
        return password_error(path, "has a first line of more than 1000 bytes", hint);
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return password_error(path, "holds a character that is not printable ASCII",
                                  "Choose a password of ASCII characters, or write its "
                                  "SCRAM-SHA-256 verifier.");
        }
    }
    return NULL;
}

static struct status *read_password(const char *path, char **out)
{
    static const char hint[] = "The user that the server runs as must be able to read it.";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        char what[160];
        (void)snprintf(what, sizeof(what), "cannot be read: %s", strerror(errno));
        return password_error(path, what, hint);
    }
    char text[PASSWORD_BYTES + 2];
    struct status *st = check_password_file(path, fd);
    ssize_t n = st == NULL ? read(fd, text, sizeof(text)) : 0;
    if (n < 0) {
        st = password_error(path, "cannot be read", hint);
    }
    close(fd);
    if (st == NULL) {
        size_t len = n > 0 ? (size_t)n : 0;
        const char *end = memchr(text, '\n', len);
        len = end != NULL ? (size_t)(end - text) : len;
        len -= len > 0 && text[len - 1] == '\r';
        st = check_password(path, text, len);
        if (st == NULL) {
            *out = mem_strndup(text, len);
        }
    }
    explicit_bzero(text, sizeof(text));
    return st;
}

struct status *config_load(const char *path, struct config **out_config)
{
    struct conf *c = NULL;
    struct config *cfg = NULL;
    TRY(conf_load(path, &c));
    TRY(fill(c, &cfg));
    struct status *st =
        cfg->password_file != NULL ? read_password(cfg->password_file, &cfg->password) : NULL;
    if (st != NULL) {
        config_free(cfg);
        return status_wrap(st, "%s", path);
    }
    *out_config = cfg;
    return NULL;
}

struct status *config_parse(const char *name, struct slice text, struct config **out_config)
{
    struct conf *c = NULL;
    TRY(conf_parse(name, text, &c));
    return fill(c, out_config);
}

struct status *config_dev(const char *data_dir, uint16_t sql_port, struct config **out_config)
{
    uint16_t first = sql_port ? sql_port : DEFAULT_SQL_PORT;
    if (first > UINT16_MAX - 3) {
        return status_new(INVALID, "port %u is too high: this port and the next three are used",
                          first);
    }
    char temporary[] = "/tmp/sherd-dev-XXXXXX";
    if (data_dir == NULL) {
        data_dir = mkdtemp(temporary);
        if (data_dir == NULL) {
            return status_new(IO, "could not create a directory in /tmp: %s", strerror(errno));
        }
    }
    struct config *cfg = config_new();
    cfg->node_id = 1;
    cfg->host = mem_strdup("127.0.0.1");
    cfg->data_dir = mem_strdup(data_dir);
    cfg->sql_port = first;
    cfg->grpc_port = (uint16_t)(first + 1);
    cfg->raft_port = (uint16_t)(first + 2);
    cfg->http_port = (uint16_t)(first + 3);
    cfg->peer_count = 1;
    cfg->peers[0] = (struct config_peer){1, mem_strdup(cfg->host), cfg->grpc_port, cfg->raft_port};
    fill_defaults(cfg);
    *out_config = cfg;
    return NULL;
}

void config_free(struct config *cfg)
{
    if (cfg == NULL) {
        return;
    }
    for (int i = 0; i < cfg->peer_count; i++) {
        mem_free(cfg->peers[i].host);
    }
    mem_free(cfg->cluster_name);
    mem_free(cfg->host);
    mem_free(cfg->listen);
    mem_free(cfg->data_dir);
    mem_free(cfg->log_dir);
    mem_free(cfg->logger);
    mem_free(cfg->locality);
    mem_free(cfg->join);
    mem_free(cfg->auth);
    mem_free(cfg->password_file);
    if (cfg->password != NULL) {
        explicit_bzero(cfg->password, strlen(cfg->password));
    }
    mem_free(cfg->password);
    mem_free(cfg);
}
