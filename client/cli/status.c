/*
 * sherd status: one Admin.ClusterStatus call, shown as two tables or as JSON. What the tables say
 * is computed here from the replicas' reports; the server tells facts only.
 */
#include "api/grpc_sync.h"
#include "base/arena.h"
#include "base/mem.h"
#include "cli.h"
#include "cluster.h"
#include "sherd/v1/admin.pb-c.h"

#include <getopt.h>
#include <inttypes.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define KEY_SHOWN_BYTES 12

/* Of replication/group.h's enum group_role: part of the wire format. */
enum { ROLE_LEADER_READY = 3 };

typedef Sherd__V1__MetaStatusReply status_reply;
typedef Sherd__V1__NodeStatus node_status;
typedef Sherd__V1__ReplicaStatus replica_status;
typedef Sherd__V1__ShardDesc shard_desc;

struct status *cluster_status(const char *host, uint16_t port, uint64_t timeout_ms, struct arena *a,
                              Sherd__V1__MetaStatusReply **out)
{
    struct grpc_sync *c = grpc_sync_create(host, port);
    Sherd__V1__ClusterStatusRequest q = SHERD__V1__CLUSTER_STATUS_REQUEST__INIT;
    void *reply = NULL;
    struct status *st = grpc_sync_connect(c, timeout_ms);
    if (st == NULL) {
        st = grpc_sync_unary(c, "/sherd.v1.Admin/ClusterStatus", &q,
                             &sherd__v1__meta_status_reply__descriptor, a, timeout_ms, &reply);
    }
    grpc_sync_destroy(c);
    if (st == NULL) {
        *out = reply;
    }
    return st;
}

int cluster_leads(const Sherd__V1__NodeStatus *n)
{
    int leads = 0;
    for (size_t i = 0; n->alive && i < n->n_replicas; i++) {
        leads += n->replicas[i]->role == ROLE_LEADER_READY;
    }
    return leads;
}

static uint64_t node_id(const node_status *n)
{
    return n->node != NULL && n->node->address != NULL ? n->node->address->node_id : 0;
}

static const char *node_state(const node_status *n)
{
    if (n->node != NULL && n->node->state == SHERD__V1__NODE_STATE__NODE_GONE) {
        return "gone";
    }
    if (!n->alive) {
        return "down";
    }
    if (n->node != NULL && n->node->state == SHERD__V1__NODE_STATE__NODE_DRAINING) {
        return "draining";
    }
    return n->low_on_space ? "low on space" : "up";
}

static const char *node_roles(const node_status *n, char *out, size_t size)
{
    (void)snprintf(out, size, "%s%s%s", n->node->role_metadata ? "metadata " : "",
                   n->node->role_shard ? "shard " : "", n->node->role_router ? "router " : "");
    size_t len = strlen(out);
    if (len > 0) {
        out[len - 1] = '\0';
    }
    return out;
}

static const replica_status *replica_of(const node_status *n, uint64_t shard_id)
{
    for (size_t i = 0; i < n->n_replicas; i++) {
        if (n->replicas[i]->shard_id == shard_id) {
            return n->replicas[i];
        }
    }
    return NULL;
}

/* What is known of a shard from all reports. */
struct shard_view {
    uint64_t leader;   /* node; 0 = none known */
    uint64_t bytes;    /* the leader's count, else the largest */
    uint64_t lag;      /* entries, of the slowest live replica */
    uint32_t prepared; /* transactions */
    char nodes[256];
};

static void look_at_shard(const status_reply *r, const shard_desc *s, struct shard_view *v)
{
    memset(v, 0, sizeof(*v));
    uint64_t last = 0;
    uint64_t lowest = UINT64_MAX;
    uint64_t term = 0;
    for (size_t i = 0; i < r->n_nodes; i++) {
        const replica_status *p = replica_of(r->nodes[i], s->shard_id);
        if (p == NULL || !r->nodes[i]->alive) {
            continue;
        }
        last = p->last > last ? p->last : last;
        lowest = p->applied < lowest ? p->applied : lowest;
        if (p->role == ROLE_LEADER_READY && p->term >= term) {
            term = p->term;
            v->leader = node_id(r->nodes[i]);
            v->bytes = p->bytes;
            v->prepared = p->prepared;
        } else if (v->leader == 0 && p->bytes > v->bytes) {
            v->bytes = p->bytes;
        }
    }
    v->lag = lowest < last ? last - lowest : 0;
    size_t at = 0;
    for (size_t i = 0; i < s->n_replicas && at + 32 < sizeof(v->nodes); i++) {
        bool is_learner = s->replicas[i]->role == SHERD__V1__REPLICA_ROLE__REPLICA_LEARNER;
        at += (size_t)snprintf(v->nodes + at, sizeof(v->nodes) - at, "%s%" PRIu64 "%s",
                               i == 0 ? "" : ",", s->replicas[i]->node_id, is_learner ? "L" : "");
    }
}

static const char *key_text(const Sherd__V1__KeyRange *range, bool is_end, char *out, size_t size)
{
    ProtobufCBinaryData key = {0};
    if (range != NULL) {
        key = is_end ? range->end : range->start;
    }
    if (key.len == 0) {
        return is_end ? "max" : "min";
    }
    size_t at = 0;
    for (size_t i = 0; i < key.len && i < KEY_SHOWN_BYTES && at + 8 < size; i++) {
        at += (size_t)snprintf(out + at, size - at, "%02x", key.data[i]);
    }
    if (key.len > KEY_SHOWN_BYTES) {
        (void)snprintf(out + at, size - at, "...");
    }
    return out;
}

static const char *bytes_text(uint64_t n, char *out, size_t size)
{
    static const char *units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double v = (double)n;
    size_t u = 0;
    while (v >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) {
        v /= 1024;
        u++;
    }
    (void)snprintf(out, size, u == 0 ? "%.0f %s" : "%.1f %s", v, units[u]);
    return out;
}

static void cell_text(struct table *t, const char *s)
{
    table_cell(t, s, strlen(s));
}

static void cell_number(struct table *t, uint64_t v)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRIu64, v);
    cell_text(t, text);
}

static void print_nodes(const status_reply *r)
{
    static const struct table_format format = {0};
    struct table *t = table_create(&format, stdout);
    static const char *titles[] = {"node",   "state", "host",   "sql",   "grpc", "raft",
                                   "silent", "roles", "shards", "leads", "size", "version"};
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        table_column(t, titles[i], i == 0 || (i >= 3 && i != 7 && i != 11));
    }
    for (size_t i = 0; i < r->n_nodes; i++) {
        const node_status *n = r->nodes[i];
        if (n->node == NULL || n->node->address == NULL) {
            continue;
        }
        const Sherd__V1__NodeAddress *a = n->node->address;
        char text[64];
        uint64_t bytes = 0;
        for (size_t k = 0; k < n->n_replicas; k++) {
            bytes += n->replicas[k]->bytes;
        }
        cell_number(t, a->node_id);
        cell_text(t, node_state(n));
        cell_text(t, a->host);
        cell_number(t, a->sql_port);
        cell_number(t, a->grpc_port);
        cell_number(t, a->raft_port);
        (void)snprintf(text, sizeof(text), "%.1f s", (double)n->silent_ms / 1000);
        cell_text(t, text);
        cell_text(t, node_roles(n, text, sizeof(text)));
        cell_number(t, n->n_replicas);
        cell_number(t, (uint64_t)cluster_leads(n));
        cell_text(t, bytes_text(bytes, text, sizeof(text)));
        cell_text(t, n->node->version);
    }
    table_finish(t, false);
}

static const char *placement_name(const shard_desc *s)
{
    return s->placement == SHERD__V1__PLACEMENT__PLACEMENT_REFERENCE ? "reference" : "default";
}

static void print_shards(const status_reply *r)
{
    static const struct table_format format = {0};
    struct table *t = table_create(&format, stdout);
    static const char *titles[] = {"shard", "start", "end",  "epoch",    "leader",
                                   "nodes", "lag",   "size", "prepared", "placement"};
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        table_column(t, titles[i], i == 0 || i == 3 || i == 4 || (i >= 6 && i < 9));
    }
    for (size_t i = 0; i < r->n_shards; i++) {
        const shard_desc *s = r->shards[i];
        struct shard_view v;
        char text[64];
        look_at_shard(r, s, &v);
        cell_number(t, s->shard_id);
        cell_text(t, key_text(s->range, false, text, sizeof(text)));
        cell_text(t, key_text(s->range, true, text, sizeof(text)));
        cell_number(t, s->epoch);
        if (v.leader == 0) {
            cell_text(t, "none");
        } else {
            cell_number(t, v.leader);
        }
        cell_text(t, v.nodes);
        cell_number(t, v.lag);
        cell_text(t, bytes_text(v.bytes, text, sizeof(text)));
        cell_number(t, v.prepared);
        cell_text(t, placement_name(s));
    }
    table_finish(t, false);
}

static void print_tables(const status_reply *r)
{
    size_t up = 0;
    size_t leaderless = 0;
    for (size_t i = 0; i < r->n_nodes; i++) {
        up += r->nodes[i]->alive != 0;
    }
    for (size_t i = 0; i < r->n_shards; i++) {
        struct shard_view v;
        look_at_shard(r, r->shards[i], &v);
        leaderless += v.leader == 0;
    }
    printf("cluster \"%s\" %016" PRIx64
           ": %zu of %zu nodes up, %zu shard%s (%zu without a leader), "
           "metadata leader: node %" PRIu64 ", revision %" PRIu64 "\n\n",
           r->cluster_name, r->cluster_id, up, r->n_nodes, r->n_shards, r->n_shards == 1 ? "" : "s",
           leaderless, r->leader_node, r->revision);
    print_nodes(r);
    (void)fputc('\n', stdout);
    print_shards(r);
}

/* ---- JSON ---- */

static void json_string(const char *s)
{
    (void)fputc('"', stdout);
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20) {
            printf("\\u%04x", c);
        } else {
            (void)fputc(c, stdout);
        }
    }
    (void)fputc('"', stdout);
}

static void json_key(ProtobufCBinaryData key)
{
    (void)fputc('"', stdout);
    for (size_t i = 0; i < key.len; i++) {
        printf("%02x", key.data[i]);
    }
    (void)fputc('"', stdout);
}

static void json_replica(const replica_status *p)
{
    printf("{\"shard\":%" PRIu64 ",\"replica\":%" PRIu64 ",\"leader\":%s,\"term\":%" PRIu64
           ",\"applied\":%" PRIu64 ",\"last\":%" PRIu64 ",\"epoch\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"prepared\":%u,\"checksum\":\"%016" PRIx64 "\",\"checksum_index\":%" PRIu64 "}",
           p->shard_id, p->replica_id, p->role == ROLE_LEADER_READY ? "true" : "false", p->term,
           p->applied, p->last, p->epoch, p->bytes, p->prepared, p->checksum, p->checksum_index);
}

static void json_node(const node_status *n)
{
    const Sherd__V1__NodeAddress *a = n->node->address;
    char roles[64];
    printf("{\"node\":%" PRIu64 ",\"state\":\"%s\",\"host\":", a->node_id, node_state(n));
    json_string(a->host);
    printf(
        ",\"sql_port\":%u,\"grpc_port\":%u,\"raft_port\":%u,\"http_port\":%u,\"silent_ms\":%" PRIu64
        ",\"roles\":\"%s\",\"locality\":",
        a->sql_port, a->grpc_port, a->raft_port, a->http_port, n->silent_ms,
        node_roles(n, roles, sizeof(roles)));
    json_string(n->node->locality);
    printf(",\"version\":");
    json_string(n->node->version);
    printf(",\"leads\":%d,\"replicas\":[", cluster_leads(n));
    for (size_t i = 0; i < n->n_replicas; i++) {
        printf("%s", i == 0 ? "" : ",");
        json_replica(n->replicas[i]);
    }
    printf("]}");
}

static void json_shard(const status_reply *r, const shard_desc *s)
{
    struct shard_view v;
    look_at_shard(r, s, &v);
    ProtobufCBinaryData none = {0};
    printf("{\"shard\":%" PRIu64 ",\"start\":", s->shard_id);
    json_key(s->range == NULL ? none : s->range->start);
    printf(",\"end\":");
    json_key(s->range == NULL ? none : s->range->end);
    printf(",\"epoch\":%" PRIu64 ",\"leader\":%" PRIu64 ",\"lag\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"prepared\":%u,\"placement\":\"%s\",\"replicas\":[",
           s->epoch, v.leader, v.lag, v.bytes, v.prepared, placement_name(s));
    for (size_t i = 0; i < s->n_replicas; i++) {
        bool is_learner = s->replicas[i]->role == SHERD__V1__REPLICA_ROLE__REPLICA_LEARNER;
        printf("%s{\"replica\":%" PRIu64 ",\"node\":%" PRIu64 ",\"learner\":%s}", i == 0 ? "" : ",",
               s->replicas[i]->replica_id, s->replicas[i]->node_id, is_learner ? "true" : "false");
    }
    printf("]}");
}

static void print_json(const status_reply *r)
{
    printf("{\"cluster\":");
    json_string(r->cluster_name);
    printf(",\"cluster_id\":\"%016" PRIx64 "\",\"metadata_leader\":%" PRIu64
           ",\"revision\":%" PRIu64 ",\"nodes\":[",
           r->cluster_id, r->leader_node, r->revision);
    bool is_first = true;
    for (size_t i = 0; i < r->n_nodes; i++) {
        if (r->nodes[i]->node != NULL && r->nodes[i]->node->address != NULL) {
            printf("%s", is_first ? "" : ",");
            json_node(r->nodes[i]);
            is_first = false;
        }
    }
    printf("],\"shards\":[");
    for (size_t i = 0; i < r->n_shards; i++) {
        printf("%s", i == 0 ? "" : ",");
        json_shard(r, r->shards[i]);
    }
    printf("]}\n");
}

int command_status(int argc, char **argv)
{
    const char *host = HOST_DEFAULT;
    uint16_t port = SHERD_DEFAULT_PORT;
    bool is_json = false;
    static const struct option options[] = {{"json", no_argument, NULL, 'j'}, {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "h:p:", options, NULL)) != -1) {
        switch (c) {
        case 'h':
            host = optarg;
            break;
        case 'p':
            if (!parse_port(optarg, &port)) {
                return usage_error("status", "\"%s\" is not a port", optarg);
            }
            break;
        case 'j':
            is_json = true;
            break;
        default:
            return usage_error("status", "wrong arguments");
        }
    }
    if (optind < argc) {
        return usage_error("status", "unexpected argument \"%s\"", argv[optind]);
    }
    struct arena *a = arena_create(0);
    status_reply *reply = NULL;
    struct status *st = cluster_status(host, port, CONNECT_TIMEOUT_MS, a, &reply);
    int code = EXIT_OK;
    if (st != NULL) {
        bool is_connect = strcmp(st->sqlstate, "08001") == 0;
        code = report(st, is_connect ? EXIT_USAGE : EXIT_FAILED);
    } else if (is_json) {
        print_json(reply);
    } else {
        print_tables(reply);
    }
    arena_destroy(a);
    return code;
}
