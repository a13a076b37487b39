/*
 * The listener: accepts connections, finds the one a cancel request means, ends all at shutdown.
 *
 * Sessions are counted by the router (connections_max); sockets that have not logged in yet are
 * bounded here, so that a flood of them cannot take the descriptors of everything else.
 */
#include "pgwire.h"

#include "base/mem.h"
#include "frontend_limits.h"

static void on_accept(void *ctx, struct tcp *tcp)
{
    conn_accept(ctx, tcp);
}

struct status *pgwire_create(struct router *r, const char *host, uint16_t port, struct pgwire **out)
{
    struct pgwire *pg = MEM_NEW(struct pgwire);
    pg->router = r;
    pg->loop = router_loop(r);
    pg->message_limit = ((size_t)router_config(r)->statement_mb << 20) + MESSAGE_SLACK_BYTES;
    if (pg->message_limit > MESSAGE_BYTES_MAX) {
        pg->message_limit = MESSAGE_BYTES_MAX;
    }
    list_head_init(&pg->conns);
    cond_init(&pg->conn_ended);
    pg->m_conns = metric_gauge("sherd_pg_connections", NULL, "open PostgreSQL connections");
    pg->m_accepted =
        metric_counter("sherd_pg_accepted_total", NULL, "PostgreSQL connections accepted");
    pg->m_refused = metric_counter("sherd_pg_refused_total", NULL,
                                   "PostgreSQL connections refused before login");
    pg->m_malformed = metric_counter("sherd_pg_malformed_total", NULL,
                                     "PostgreSQL connections ended for a protocol violation");
    struct status *st = tcp_listen(pg->loop, host, port, on_accept, pg, &pg->listener);
    if (st != NULL) {
        mem_free(pg);
        return st;
    }
    *out = pg;
    return NULL;
}

uint16_t pgwire_port(const struct pgwire *pg)
{
    return tcp_listener_port(pg->listener);
}

void pgwire_destroy(struct fiber *f, struct pgwire *pg)
{
    if (pg == NULL) {
        return;
    }
    pg->is_closing = true;
    tcp_listener_close(pg->listener);
    LIST_FOREACH_SAFE(it, tmp, &pg->conns)
    {
        conn_terminate(LIST_ITEM(it, struct conn, link),
                       status_sql(UNAVAILABLE, "57P01",
                                  "terminating connection due to administrator command"));
    }
    while (pg->conn_count > 0) {
        if (status_consume(cond_wait(f, &pg->conn_ended))) {
            fiber_cancel_clear(f); /* they borrow pg: wait for all */
        }
    }
    mem_free(pg);
}

/* The protocol's cancel key has 32 bits: they are compared here, with the low half of the
 * session's. */
void pgwire_cancel(struct pgwire *pg, uint32_t pid, uint32_t key)
{
    LIST_FOREACH(it, &pg->conns)
    {
        struct conn *c = LIST_ITEM(it, struct conn, link);
        if (c->session == NULL || session_id(c->session) != pid) {
            continue;
        }
        uint64_t secret = session_secret(c->session);
        /* A wrong key is passed on as one: the session counts it. */
        session_cancel(pg->router, pid, (uint32_t)secret == key ? secret : ~secret);
        return;
    }
}
