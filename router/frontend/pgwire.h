/*
 * Inside of the PostgreSQL front end: a listener, its connections, and what encodes messages.
 *
 * A connection is a state machine without a stack: bytes go into its input queue, and only when a
 * whole message is there a fiber is started, which works through all that waits and ends. So an
 * idle connection costs its struct and a few kilobytes of buffers.
 *
 *            bytes                    whole message            queue empty
 *    IDLE ----------> (input queue) ----------------> BUSY -------------------> IDLE
 *      |                                                | FATAL, Terminate, peer gone
 *      +--- peer gone, timeout, shutdown --> BUSY ------+--> session closed, socket closed, freed
 *
 * Who frees: only the fiber, at its end (conn_finish). Everyone else sets a flag and, when no
 * fiber runs, starts one. Everything on the router's loop.
 */
#ifndef ROUTER_FRONTEND_PGWIRE_H
#define ROUTER_FRONTEND_PGWIRE_H

#include "base/fiber.h"
#include "base/metrics.h"
#include "base/tcp.h"
#include "input.h"
#include "router/router.h"
#include "router/session.h"
#include "scram.h"

struct pgwire {
    struct router *router;
    struct loop *loop;
    struct tcp_listener *listener;
    struct list conns;
    uint32_t conn_count;
    size_t message_limit; /* bytes */
    bool is_closing;
    struct cond conn_ended;
    struct metric *m_conns, *m_accepted, *m_refused, *m_malformed;
};

enum conn_phase {
    PHASE_STARTUP,  /* startup packet, SSL and GSS requests, cancel */
    PHASE_PASSWORD, /* SCRAM exchange under way */
    PHASE_READY,
};

struct conn {
    struct list link;
    struct pgwire *pg;
    struct tcp *tcp;
    struct session *session;
    struct fiber *fiber; /* the one that works, NULL = idle */
    struct input in;
    struct buf out;
    struct sink sink;
    struct timer timer; /* login, or idle in transaction */
    enum conn_phase phase;
    bool is_gone;      /* the peer closed or broke */
    bool is_ending;    /* Terminate or FATAL: the rest of the input is not read */
    bool is_paused;    /* reading stopped: too much waits */
    bool is_draining;  /* parked until the kernel has taken output */
    bool is_reading;   /* parked until input comes (COPY) */
    bool skip_to_sync; /* after an error in the extended protocol */
    bool is_extended;  /* the running statement came by Execute: no RowDescription */
    bool saw_ssl, saw_gss;
    bool is_copy_in;        /* CopyInResponse sent, data expected */
    struct buf held;        /* the message whose statement reads further messages (COPY) */
    const int16_t *formats; /* of the result being sent */
    int nformats;
    struct startup *startup; /* while logging in */
};

/* ---- conn.c ---- */
void conn_accept(struct pgwire *pg, struct tcp *tcp);
/* Makes the connection end with this FATAL error (consumed) when it next can. */
void conn_terminate(struct conn *c, struct status *st);
/* Sends what is in c->out. Parks while the client does not read. */
struct status *conn_flush(struct fiber *f, struct conn *c) STATUS_MUST_CHECK;
/* conn_flush() when much has gathered. */
struct status *conn_flush_some(struct fiber *f, struct conn *c) STATUS_MUST_CHECK;
/* The next message, waiting for it. CANCELLED when the peer has gone. */
struct status *conn_read(struct fiber *f, struct conn *c, struct message *out,
                         bool *out_too_large) STATUS_MUST_CHECK;
/* Sends st (consumed) as FATAL; the connection ends after it. */
void conn_fatal(struct conn *c, struct status *st);
size_t conn_limit(const struct conn *c); /* of a message, now */

/* ---- startup.c ---- */
/* One startup packet, or one message of the password exchange. */
void startup_message(struct fiber *f, struct conn *c, const struct message *m);
void startup_free(struct startup *s);

/* ---- listen.c ---- */
void pgwire_cancel(struct pgwire *pg, uint32_t pid, uint32_t key);

/* ---- query.c ---- */
void query_init(struct conn *c); /* fills the sink */
void query_message(struct fiber *f, struct conn *c, const struct message *m);
/* m was too large and has been skipped. */
void query_too_large(struct fiber *f, struct conn *c, const struct message *m);

/* ---- encode.c ---- */
/* Starts a message; message_end() fills in its length. */
size_t message_begin(struct buf *out, char type);
void message_end(struct buf *out, size_t at);
void put_message(struct buf *out, char type); /* without body */
void put_error(struct buf *out, char type, const char *severity, const struct status *st);
void put_parameter(struct buf *out, const char *name, const char *value);
void put_ready(struct buf *out, char txn_status);
void put_row_description(struct buf *out, const struct plan_column *cols, int ncols,
                         const int16_t *formats, int nformats);
/* s writes what only a session can (names of relations); may be NULL. */
void put_data_row(struct buf *out, struct session *s, const struct batch *b, int row,
                  const int16_t *formats, int nformats);

#endif
