/*
 * The router of a node: what its sessions share. Sessions, transactions and plans live on the
 * node's loop; the router itself holds no state that survives the process.
 */
#include "router_internal.h"

#include "base/log.h"
#include "base/mem.h"
#include "ddl/schema_txn.h"
#include "ddl/schema_waits.h"
#include "ddl/table_users.h"
#include "frontend/scram.h"
#include "session/session_internal.h"

static bool has_passwords(const struct config *c)
{
    return c->auth != NULL && strcmp(c->auth, "scram") == 0;
}

/* A password may well begin like a verifier, but nobody's does by chance. */
static bool is_verifier(const char *password)
{
    static const char prefix[] = "SCRAM-SHA-256$";
    return strncmp(password, prefix, sizeof(prefix) - 1) == 0;
}

struct status *router_check_config(const struct config *c)
{
    if (c->password == NULL || !is_verifier(c->password) || scram_is_verifier(c->password)) {
        return NULL;
    }
    return status_hint(
        status_new(INVALID, "\"sql.password_file\": \"%s\" holds a damaged verifier",
                   c->password_file),
        "It has the form SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>.");
}

static void take_password(struct router *r, const struct config *c)
{
    if (c->password == NULL) {
        if (has_passwords(c)) {
            LOGW("router",
                 "nobody can log in: sql.auth is scram and no sql.password_file is given: "
                 "write the password of user sherd into a file and name it there");
        }
        return;
    }
    if (is_verifier(c->password)) {
        r->superuser_verifier = mem_strdup(c->password);
        return;
    }
    struct buf b = {0};
    scram_make_verifier(slice_str(c->password), &b);
    r->superuser_verifier = mem_strndup((const char *)b.data, b.len);
    buf_deinit(&b);
}

struct status *router_create(struct fiber *f, const struct router_options *o, struct router **out)
{
    TRY(router_check_config(o->config));
    TRY(meta_wait_ready(f, o->meta));
    struct router *r = MEM_NEW(struct router);
    r->loop = rpc_node_loop(o->rpc);
    r->rpc = o->rpc;
    r->meta = o->meta;
    r->config = o->config;
    take_password(r, o->config);
    r->node_id = o->node_id;
    r->incarnation = o->incarnation;
    r->catalog = catalog_cache_create(o->meta);
    list_head_init(&r->sessions);
    list_head_init(&r->txns);
    cond_init(&r->background_done);
    list_head_init(&r->held_jobs);
    r->m_commits = metric_counter("sherd_txn_commits_total", NULL, "transactions committed");
    r->m_aborts = metric_counter("sherd_txn_aborts_total", NULL, "transactions rolled back");
    r->m_unknown =
        metric_counter("sherd_txn_unknown_total", NULL, "commits whose outcome could not be told");
    r->m_retries =
        metric_counter("sherd_txn_retries_total", NULL, "statements run again by the router");
    r->m_refreshes = metric_counter("sherd_txn_refreshes_total", NULL, "snapshots moved forward");
    r->m_statements = metric_counter("sherd_sql_statements_total", NULL, "statements executed");
    r->m_errors =
        metric_counter("sherd_sql_errors_total", NULL, "statements that ended in an error");
    r->m_replays =
        metric_counter("sherd_txn_replays_total", NULL, "transactions run again after a conflict");
    r->m_replays_failed = metric_counter("sherd_txn_replays_failed_total", NULL,
                                         "replays that gave other results, or met conflicts again");
    r->m_open = metric_gauge("sherd_txn_open", NULL,
                             "transactions that this router has begun and not finished");
    r->ended = mem_zalloc(sizeof(*r->ended) * OUTCOMES_KEPT);
    r->plans = plan_cache_create();
    admission_init(&r->admission, r->loop);
    txn_register(r);
    outcome_register(r);
    schema_waits_register(r);
    table_users_register(r);
    schema_jobs_start(r);
    *out = r;
    return NULL;
}

void router_destroy(struct fiber *f, struct router *r)
{
    if (r == NULL) {
        return;
    }
    r->is_closing = true;
    schema_jobs_wake(r);
    while (r->background > 0) {
        if (status_consume(cond_wait(f, &r->background_done))) {
            break;
        }
    }
    rpc_register(r->rpc, RPC_COORDINATOR_OUTCOME, NULL, NULL, false);
    rpc_register(r->rpc, RPC_COORDINATOR_STATUS, NULL, NULL, false);
    mem_free(r->forgotten);
    schema_waits_unregister(r);
    table_users_unregister(r);
    mem_free(r->ended);
    admission_deinit(&r->admission);
    plan_cache_destroy(r->plans);
    sequence_blocks_free(r);
    shard_terms_free(r);
    catalog_cache_destroy(r->catalog);
    mem_free(r->superuser_verifier);
    mem_free(r);
}

struct loop *router_loop(struct router *r)
{
    return r->loop;
}

struct rpc_node *router_rpc(struct router *r)
{
    return r->rpc;
}

struct meta_client *router_meta(struct router *r)
{
    return r->meta;
}

struct catalog_cache *router_catalog(struct router *r)
{
    return r->catalog;
}

const struct config *router_config(struct router *r)
{
    return r->config;
}

const char *router_verifier(struct router *r, const Sherd__V1__RoleDesc *role)
{
    if (role == NULL || !role->login) {
        return NULL;
    }
    bool is_superuser = strcmp(role->name, "sherd") == 0;
    return is_superuser && r->superuser_verifier != NULL ? r->superuser_verifier
                                                         : role->scram_verifier;
}

uint64_t router_node_id(const struct router *r)
{
    return r->node_id;
}

uint64_t router_oldest_snapshot(const struct router *r)
{
    return txn_oldest(r);
}

int router_session_count(const struct router *r)
{
    return r->session_count;
}
