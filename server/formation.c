/* See formation.h. */
#include "formation.h"

#include "base/log.h"
#include "base/mem.h"

#include "sherd/v1/node.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define ASK_TIMEOUT_MS 1000
#define PAUSE_MIN_MS 10
#define PAUSE_MAX_MS 500
#define TELL_AFTER_MS 5000

struct served {
    struct identity *id;
    const struct config *config;
};

static struct served served;

static struct status *identity_handler(struct fiber *f, struct rpc_context *ctx,
                                       const void *request, void **out_reply, void *handler_ctx)
{
    (void)f;
    (void)request;
    const struct served *s = handler_ctx;
    Sherd__V1__IdentityReply *r = ARENA_NEW(ctx->arena, Sherd__V1__IdentityReply);
    sherd__v1__identity_reply__init(r);
    r->node_id = s->id->node_id != 0 ? s->id->node_id : s->config->node_id;
    r->nonce = s->id->nonce;
    r->cluster_name = s->config->cluster_name;
    r->cluster_id = s->id->cluster_id;
    r->n_formed = (size_t)s->id->formed_count;
    r->formed = ARENA_ARRAY(ctx->arena, Sherd__V1__FormedNode *, r->n_formed + 1);
    for (size_t i = 0; i < r->n_formed; i++) {
        r->formed[i] = ARENA_NEW(ctx->arena, Sherd__V1__FormedNode);
        sherd__v1__formed_node__init(r->formed[i]);
        r->formed[i]->node_id = s->id->formed[i].node_id;
        r->formed[i]->nonce = s->id->formed[i].nonce;
    }
    *out_reply = r;
    return NULL;
}

void formation_serve(struct grpc_front *front, struct identity *id, const struct config *c)
{
    served.id = id;
    served.config = c;
    grpc_front_unary(front, "/sherd.v1.Node/Identity", &sherd__v1__identity_request__descriptor,
                     identity_handler, &served);
}

static int compare_formed(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t cluster_id_of(const struct identity *id)
{
    struct buf b = {0};
    buf_put_cstr(&b, id->cluster_name);
    for (int i = 0; i < id->formed_count; i++) {
        buf_put_u64(&b, id->formed[i].node_id);
        buf_put_u64(&b, id->formed[i].nonce);
    }
    uint64_t h = XXH3_64bits(b.data, b.len);
    buf_deinit(&b);
    return h != 0 ? h : 1;
}

static struct status *lost_data(const struct config *c, const struct config_peer *p)
{
    return status_hint(
        status_detail(
            status_new(INVALID, "node %llu has lost its data: directory \"%s\" is new",
                       (unsigned long long)c->node_id, c->data_dir),
            "Node %llu belongs to cluster \"%s\", which was formed with another directory "
            "of this node.",
            (unsigned long long)p->node_id, c->cluster_name),
        "Start it as a new node: set cluster.join to a running node's address and choose an unused "
        "node id (or 0).");
}

/* What one peer says: *out_nonce, and when it belongs to a cluster already, that cluster's
 * formation. */
static struct status *ask(struct fiber *f, struct loop *l, const struct config *c,
                          const struct config_peer *p, const struct identity *id,
                          struct identity *out_formed, uint64_t *out_nonce)
{
    struct arena *a = arena_create(0);
    Sherd__V1__IdentityRequest q = SHERD__V1__IDENTITY_REQUEST__INIT;
    q.cluster_name = c->cluster_name;
    q.node_id = c->node_id;
    q.nonce = id->nonce;
    Sherd__V1__IdentityReply *r = NULL;
    uint64_t old = fiber_set_deadline(f, loop_clock_ns(l) + ms_to_ns(ASK_TIMEOUT_MS));
    struct status *st =
        grpc_unary_call(f, l, p->host, p->grpc_port, "/sherd.v1.Node/Identity", &q.base,
                        &sherd__v1__identity_reply__descriptor, a, (void **)&r);
    fiber_set_deadline(f, old);
    if (st == NULL) {
        *out_nonce = r->nonce;
        if (r->node_id != p->node_id || strcmp(r->cluster_name, c->cluster_name) != 0) {
            st = status_hint(
                status_new(INVALID,
                           "%s:%u is node %llu of cluster \"%s\", expected node %llu of \"%s\"",
                           p->host, p->grpc_port, (unsigned long long)r->node_id, r->cluster_name,
                           (unsigned long long)p->node_id, c->cluster_name),
                "Check cluster.initial: it must be the same on all nodes.");
        } else if (r->cluster_id != 0) {
            out_formed->cluster_id = r->cluster_id;
            out_formed->formed_count = 0;
            for (size_t i = 0; i < r->n_formed && i < CONFIG_PEERS_MAX; i++) {
                out_formed->formed[i].node_id = r->formed[i]->node_id;
                out_formed->formed[i].nonce = r->formed[i]->nonce;
                out_formed->formed_count++;
            }
        }
    }
    arena_destroy(a);
    return st;
}

static struct status *ask_until_answered(struct fiber *f, struct loop *l, const struct config *c,
                                         const struct config_peer *p, const struct identity *id,
                                         struct identity *out_formed, uint64_t *out_nonce)
{
    uint64_t pause_ms = PAUSE_MIN_MS;
    uint64_t tell_at = loop_clock_ns(l) + ms_to_ns(TELL_AFTER_MS);
    for (;;) {
        struct status *st = ask(f, l, c, p, id, out_formed, out_nonce);
        if (st == NULL || st->code == STATUS_INVALID) {
            return st;
        }
        if (loop_clock_ns(l) >= tell_at) {
            LOGW("server", "waiting for node %llu at %s:%u to form the cluster: %s",
                 (unsigned long long)p->node_id, p->host, p->grpc_port, st->message);
            tell_at = loop_clock_ns(l) + ms_to_ns(TELL_AFTER_MS * 6);
        }
        status_free(st);
        TRY(fiber_sleep(f, ms_to_ns(pause_ms)));
        pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
    }
}

struct status *formation_form(struct fiber *f, struct loop *l, const struct config *c,
                              struct identity *id)
{
    if (id->cluster_id != 0) {
        /* A node that joined has the id that the cluster gave it. */
        bool is_same_node = id->node_id == c->node_id || c->join != NULL;
        if (strcmp(id->cluster_name, c->cluster_name) != 0 || !is_same_node) {
            return status_hint(
                status_new(INVALID, "data directory \"%s\" belongs to node %llu of cluster \"%s\"",
                           c->data_dir, (unsigned long long)id->node_id, id->cluster_name),
                "The config says node %llu of cluster \"%s\": check node.id, cluster.name and "
                "storage.data_dir.",
                (unsigned long long)c->node_id, c->cluster_name);
        }
        return NULL;
    }
    struct identity formed = {0};
    snprintf(id->cluster_name, sizeof(id->cluster_name), "%s", c->cluster_name);
    id->node_id = c->node_id;
    id->formed_count = 0;
    bool is_listed = c->peer_count == 0;
    for (int i = 0; i < c->peer_count; i++) {
        const struct config_peer *p = &c->peers[i];
        uint64_t nonce = id->nonce;
        if (p->node_id == c->node_id) {
            is_listed = true;
        } else {
            TRY(ask_until_answered(f, l, c, p, id, &formed, &nonce));
        }
        if (formed.cluster_id != 0) {
            bool is_known = false;
            for (int k = 0; k < formed.formed_count; k++) {
                is_known |=
                    formed.formed[k].node_id == c->node_id && formed.formed[k].nonce == id->nonce;
            }
            if (!is_known) {
                return lost_data(c, p);
            }
            memcpy(id->formed, formed.formed, sizeof(id->formed));
            id->formed_count = formed.formed_count;
            id->cluster_id = formed.cluster_id;
            return identity_save(c->data_dir, id);
        }
        id->formed[id->formed_count].node_id = p->node_id;
        id->formed[id->formed_count++].nonce = nonce;
    }
    if (!is_listed) {
        return status_hint(status_new(INVALID, "node %llu is not in cluster.initial",
                                      (unsigned long long)c->node_id),
                           "List it there, or set cluster.join to add it to a running cluster.");
    }
    if (c->peer_count > 0 && (!c->role_metadata || !c->role_shard)) {
        return status_hint(status_new(INVALID,
                                      "node %llu is in cluster.initial without the roles metadata "
                                      "and shard",
                                      (unsigned long long)c->node_id),
                           "The servers that form a cluster keep its metadata and its first "
                           "shard; let the others join it (cluster.join).");
    }
    if (c->peer_count == 0) {
        id->formed[0].node_id = c->node_id;
        id->formed[0].nonce = id->nonce;
        id->formed_count = 1;
    }
    qsort(id->formed, (size_t)id->formed_count, sizeof(id->formed[0]), compare_formed);
    id->cluster_id = cluster_id_of(id);
    return identity_save(c->data_dir, id);
}

struct status *formation_strangers(struct fiber *f, struct loop *l, const struct config *c,
                                   const struct identity *id)
{
    uint64_t other_id = 0;
    const struct config_peer *last = NULL;
    struct status *named = NULL;
    int strangers = 0;
    for (int i = 0; i < c->peer_count; i++) {
        const struct config_peer *p = &c->peers[i];
        struct identity theirs = {0};
        uint64_t nonce;
        if (p->node_id == id->node_id) {
            continue;
        }
        struct status *st = ask(f, l, c, p, id, &theirs, &nonce);
        if (status_is(st, STATUS_INVALID) && named == NULL) { /* it says another name */
            named = st;
            strangers++;
            continue;
        }
        if (st != NULL) {
            strangers += status_is(st, STATUS_INVALID);
            status_free(st);
            continue;
        }
        if (theirs.cluster_id != 0 && theirs.cluster_id != id->cluster_id &&
            (other_id == 0 || other_id == theirs.cluster_id)) {
            other_id = theirs.cluster_id;
            last = p;
            strangers++;
        }
    }
    int majority = c->peer_count / 2 + 1;
    if (strangers == 0 || strangers <= c->peer_count - majority) {
        status_free(named);
        return NULL;
    }
    if (named != NULL) {
        return named;
    }
    return status_hint(
        status_detail(
            status_new(INVALID,
                       "data directory \"%s\" belongs to another cluster of the name \"%s\" than "
                       "the servers of cluster.initial",
                       c->data_dir, c->cluster_name),
            "It is node %llu of cluster %016llx; %d of them, such as node %llu at %s:%u, belong to "
            "cluster %016llx.",
            (unsigned long long)id->node_id, (unsigned long long)id->cluster_id, strangers,
            (unsigned long long)last->node_id, last->host, last->grpc_port,
            (unsigned long long)other_id),
        "Check storage.data_dir and the addresses of cluster.initial.");
}

/* ---- joining ---- */

static struct status *join_address(const struct config *c, struct config_peer *out, char *host,
                                   size_t size)
{
    unsigned port;
    const char *colon = strrchr(c->join, ':');
    if (colon == NULL || (size_t)(colon - c->join) >= size || sscanf(colon + 1, "%u", &port) != 1 ||
        port == 0 || port > 65535) {
        return status_hint(status_new(INVALID, "cluster.join \"%s\" is not host:port", c->join),
                           "Give the gRPC address of any running node.");
    }
    memcpy(host, c->join, (size_t)(colon - c->join));
    host[colon - c->join] = '\0';
    *out = (struct config_peer){.host = host, .grpc_port = (uint16_t)port};
    return NULL;
}

/* The names must agree before anything is told to the cluster. */
static struct status *check_name(struct fiber *f, struct loop *l, const struct config *c,
                                 const struct config_peer *p, const struct identity *id,
                                 struct arena *a)
{
    Sherd__V1__IdentityRequest q = SHERD__V1__IDENTITY_REQUEST__INIT;
    q.cluster_name = c->cluster_name;
    q.node_id = c->node_id;
    q.nonce = id->nonce;
    Sherd__V1__IdentityReply *r = NULL;
    TRY(grpc_unary_call(f, l, p->host, p->grpc_port, "/sherd.v1.Node/Identity", &q.base,
                        &sherd__v1__identity_reply__descriptor, a, (void **)&r));
    if (strcmp(r->cluster_name, c->cluster_name) != 0) {
        return status_hint(status_new(INVALID, "%s is node %llu of cluster \"%s\", not of \"%s\"",
                                      c->join, (unsigned long long)r->node_id, r->cluster_name,
                                      c->cluster_name),
                           "Check cluster.name and cluster.join.");
    }
    if (id->is_member && r->cluster_id != id->cluster_id) {
        return status_hint(status_new(INVALID,
                                      "data directory \"%s\" belongs to cluster %016llx, %s to "
                                      "another cluster of the name \"%s\", %016llx",
                                      c->data_dir, (unsigned long long)id->cluster_id, c->join,
                                      c->cluster_name, (unsigned long long)r->cluster_id),
                           "Check storage.data_dir and cluster.join.");
    }
    return NULL;
}

static struct status *ask_to_join(struct fiber *f, struct loop *l, const struct config *c,
                                  const struct config_peer *p, const struct identity *id,
                                  struct arena *a, Sherd__V1__MetaJoinReply **out)
{
    Sherd__V1__NodeAddress address = SHERD__V1__NODE_ADDRESS__INIT;
    address.node_id = id->is_member ? id->node_id : c->node_id;
    address.host = c->host;
    address.sql_port = c->sql_port;
    address.grpc_port = c->grpc_port;
    address.raft_port = c->raft_port;
    address.http_port = c->http_port;
    Sherd__V1__NodeDesc node = SHERD__V1__NODE_DESC__INIT;
    node.address = &address;
    node.locality = c->locality;
    node.data_id = id->nonce;
    node.role_metadata = c->role_metadata;
    node.role_shard = c->role_shard;
    node.role_router = c->role_router;
    Sherd__V1__MetaJoinRequest q = SHERD__V1__META_JOIN_REQUEST__INIT;
    q.node = &node;
    q.cluster_id = id->cluster_id;
    TRY(check_name(f, l, c, p, id, a));
    return grpc_unary_call(f, l, p->host, p->grpc_port, "/sherd.v1.Admin/Join", &q.base,
                           &sherd__v1__meta_join_reply__descriptor, a, (void **)out);
}

/* What the identity file can keep, and a connection can use. */
static bool is_address(const Sherd__V1__NodeAddress *a)
{
    return a != NULL && a->node_id != 0 && a->host[0] != '\0' &&
           strlen(a->host) < sizeof(((struct identity_peer *)0)->host) &&
           strpbrk(a->host, " \t\r\n") == NULL && a->grpc_port > 0 && a->grpc_port <= 65535 &&
           a->raft_port > 0 && a->raft_port <= 65535;
}

static void take_peers(struct identity *id, const Sherd__V1__MetaJoinReply *r)
{
    id->peer_count = 0;
    for (size_t i = 0; i < r->n_nodes && id->peer_count < CONFIG_PEERS_MAX; i++) {
        const Sherd__V1__NodeAddress *a = r->nodes[i]->address;
        struct identity_peer *p = &id->peers[id->peer_count];
        if (!r->nodes[i]->role_metadata || !is_address(a) || a->node_id == r->node_id) {
            continue;
        }
        *p = (struct identity_peer){.node_id = a->node_id,
                                    .grpc_port = (uint16_t)a->grpc_port,
                                    .raft_port = (uint16_t)a->raft_port};
        snprintf(p->host, sizeof p->host, "%s", a->host);
        id->peer_count++;
    }
}

struct status *formation_join(struct fiber *f, struct loop *l, const struct config *c,
                              struct identity *id)
{
    char host[256];
    struct config_peer p = {0};
    TRY(join_address(c, &p, host, sizeof host));
    struct arena *a = arena_create(0);
    Sherd__V1__MetaJoinReply *r = NULL;
    struct status *st = NULL;
    uint64_t pause_ms = PAUSE_MIN_MS;
    for (int tries = 0;; tries++) {
        uint64_t old = 0;
        if (id->is_member) {
            old = fiber_set_deadline(f, loop_clock_ns(l) + ms_to_ns(ASK_TIMEOUT_MS));
        }
        st = ask_to_join(f, l, c, &p, id, a, &r);
        if (id->is_member) {
            fiber_set_deadline(f, old);
        }
        if (st == NULL || st->code == STATUS_INVALID) {
            break;
        }
        LOGW("server", "join through %s: %s", c->join, st->message);
        if (id->is_member) { /* it knows the way itself */
            status_free(st);
            st = NULL;
            goto out;
        }
        if (!status_code_retry(st->code) || tries > 60) {
            break;
        }
        status_free(st);
        TRY_GOTO(fiber_sleep(f, ms_to_ns(pause_ms)), out);
        pause_ms = pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause_ms * 2;
    }
    if (st != NULL) {
        st = status_wrap(st, "join through %s", c->join);
        goto out;
    }
    take_peers(id, r);
    if (!id->is_member) {
        id->node_id = r->node_id;
        id->cluster_id = r->cluster_id;
        id->formed_count = 0;
        id->is_member = true;
        snprintf(id->cluster_name, sizeof(id->cluster_name), "%s", c->cluster_name);
    }
    st = identity_save(c->data_dir, id);
out:
    arena_destroy(a);
    return st;
}
