/*
 * Connections: endpoints, sessions, reconnecting.
 *
 *   sherd_connect -> each endpoint in turn: channel up, OpenSession -> session
 *   lost (08006, 08001) or session unknown (08003) -> dropped -> the next call does the same again,
 *   beginning with the endpoint after the one that failed
 *
 * A session that was lost inside a transaction makes the connection refuse everything but a
 * rollback: else what the program takes for the rest of its transaction would run by itself.
 */
#include "internal.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 5000
#define CLOSE_TIMEOUT_MS 1000
#define CANCEL_TIMEOUT_MS 5000
#define ENDPOINTS_MAX 64

#ifndef SHERD_VERSION
#define SHERD_VERSION "0.1.0"
#endif

const char *sherd_version(void)
{
    return SHERD_VERSION;
}

/* ---- endpoints ---- */

/* One of "host", "host:port", "[v6]", "[v6]:port", "v6" (more than one colon). */
static struct status *parse_endpoint(const char *s, size_t len, struct endpoint *out)
{
    const char *host = s;
    size_t host_len = len;
    const char *port = NULL;
    size_t port_len = 0;
    const char *colon = memchr(s, ':', len);
    if (len > 0 && s[0] == '[') {
        const char *end = memchr(s, ']', len);
        if (end == NULL) {
            return status_new(INVALID, "endpoint \"%.*s\": \"]\" is missing", (int)len, s);
        }
        host = s + 1;
        host_len = (size_t)(end - host);
        if (end + 1 < s + len) {
            port = end + 2;
            port_len = (size_t)(s + len - port);
            if (end[1] != ':') {
                return status_new(INVALID, "endpoint \"%.*s\": \":\" is expected after \"]\"",
                                  (int)len, s);
            }
        }
    } else if (colon != NULL && memchr(colon + 1, ':', (size_t)(s + len - colon - 1)) == NULL) {
        host_len = (size_t)(colon - s);
        port = colon + 1;
        port_len = (size_t)(s + len - port);
    }
    if (host_len == 0 || host_len > 253) {
        return status_new(INVALID, "endpoint \"%.*s\" has no host", (int)len, s);
    }
    unsigned long number = SHERD_DEFAULT_PORT;
    if (port != NULL) {
        number = 0;
        for (size_t i = 0; i < port_len && number < 100000; i++) {
            number = port[i] >= '0' && port[i] <= '9' ? number * 10 + (unsigned long)(port[i] - '0')
                                                      : 100000;
        }
        if (number == 0 || number > 65535) {
            return status_new(INVALID,
                              "endpoint \"%.*s\": the port is not a number from 1 to 65535",
                              (int)len, s);
        }
    }
    out->host = mem_strndup(host, host_len);
    out->port = (uint16_t)number;
    return NULL;
}

static struct status *parse_endpoints(sherd_connection *c, const char *list)
{
    c->endpoints = mem_zalloc(ENDPOINTS_MAX * sizeof(c->endpoints[0]));
    while (*list != '\0') {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        if (len == 0) {
            break;
        }
        if (c->endpoint_count == ENDPOINTS_MAX) {
            return status_new(INVALID, "more than %d endpoints", ENDPOINTS_MAX);
        }
        TRY(parse_endpoint(list, len, &c->endpoints[c->endpoint_count]));
        c->endpoint_count++;
        list += len;
    }
    return c->endpoint_count > 0 ? NULL : status_new(INVALID, "no endpoint is given");
}

/* ---- sessions ---- */

ProtobufCBinaryData connection_session(sherd_connection *c)
{
    return (ProtobufCBinaryData){c->session_len, c->session};
}

static void set_session(sherd_connection *c, const uint8_t *data, size_t len)
{
    pthread_mutex_lock(&c->lock);
    c->session_endpoint = &c->endpoints[c->endpoint];
    if (len > 0) {
        memcpy(c->session, data, len);
    }
    c->session_len = len;
    pthread_mutex_unlock(&c->lock);
}

void connection_drop(sherd_connection *c)
{
    grpc_sync_destroy(c->rpc);
    c->rpc = NULL;
    set_session(c, NULL, 0);
    if (c->transaction != SHERD_IDLE) {
        c->is_lost = true;
    }
    LIST_FOREACH(it, &c->prepared)
    {
        LIST_ITEM(it, struct prepared, link)->is_known = false;
    }
}

static struct status *open_session(sherd_connection *c, struct grpc_sync *rpc, struct arena *a)
{
    Sherd__V1__OpenSessionRequest r = SHERD__V1__OPEN_SESSION_REQUEST__INIT;
    r.user = c->user;
    r.database = c->database;
    r.n_settings = c->setting_count;
    r.settings = ARENA_ARRAY(a, Sherd__V1__OpenSessionRequest__SettingsEntry *, c->setting_count);
    for (size_t i = 0; i < c->setting_count; i++) {
        r.settings[i] = ARENA_NEW(a, Sherd__V1__OpenSessionRequest__SettingsEntry);
        sherd__v1__open_session_request__settings_entry__init(r.settings[i]);
        r.settings[i]->key = c->settings[2 * i];
        r.settings[i]->value = c->settings[2 * i + 1];
    }
    void *out = NULL;
    TRY(grpc_sync_unary(rpc, "/sherd.v1.Sql/OpenSession", &r,
                        &sherd__v1__open_session_reply__descriptor, a, c->connect_timeout_ms,
                        &out));
    const Sherd__V1__OpenSessionReply *reply = out;
    if (reply->session.len == 0 || reply->session.len > SESSION_BYTES_MAX) {
        return status_new(CORRUPT, "the server's session handle has %zu bytes", reply->session.len);
    }
    mem_free(c->server_version);
    c->server_version = mem_strdup(reply->server_version);
    set_session(c, reply->session.data, reply->session.len);
    return NULL;
}

static struct status *connect_to(sherd_connection *c, const struct endpoint *e)
{
    struct grpc_sync *rpc = grpc_sync_create(e->host, e->port);
    struct arena *a = arena_create(0);
    if (c->password != NULL) {
        grpc_sync_authorize(rpc, c->user, c->password);
    }
    struct status *st = grpc_sync_connect(rpc, c->connect_timeout_ms);
    if (st == NULL) {
        st = open_session(c, rpc, a);
    }
    arena_destroy(a);
    if (st != NULL) {
        grpc_sync_destroy(rpc);
        return st;
    }
    c->rpc = rpc;
    c->transaction = SHERD_IDLE;
    (void)snprintf(c->address, sizeof(c->address), strchr(e->host, ':') ? "[%s]:%u" : "%s:%u",
                   e->host, e->port);
    return NULL;
}

/* Another endpoint may do better. */
static bool is_worth_another(const struct status *st)
{
    return st->code == STATUS_UNAVAILABLE || st->code == STATUS_TIMEOUT ||
           st->code == STATUS_NOT_LEADER;
}

struct status *connection_ensure(sherd_connection *c)
{
    if (c->rpc != NULL) {
        return NULL;
    }
    struct status *first = NULL;
    int start = c->endpoint;
    for (int i = 0; i < c->endpoint_count; i++) {
        c->endpoint = (start + i) % c->endpoint_count;
        struct status *st = connect_to(c, &c->endpoints[c->endpoint]);
        if (st == NULL) {
            status_free(first);
            return NULL;
        }
        bool is_last_word = !is_worth_another(st);
        if (first == NULL || is_last_word) {
            status_free(first);
            first = st;
        } else {
            status_free(st);
        }
        if (is_last_word) {
            break;
        }
    }
    c->endpoint = (start + 1) % c->endpoint_count;
    if (c->endpoint_count > 1 && first->detail == NULL && is_worth_another(first)) {
        first = status_detail(first,
                              "None of the %d endpoints answered; this is the first one's error.",
                              c->endpoint_count);
    }
    return first;
}

/* ---- the public part ---- */

static char *dup_or(const char *s, const char *otherwise)
{
    return mem_strdup(s == NULL || s[0] == '\0' ? otherwise : s);
}

static void connection_free(sherd_connection *c)
{
    grpc_sync_destroy(c->rpc);
    for (int i = 0; c->endpoints != NULL && i < c->endpoint_count; i++) {
        mem_free(c->endpoints[i].host);
    }
    mem_free(c->endpoints);
    for (size_t i = 0; i < 2 * c->setting_count; i++) {
        mem_free(c->settings[i]);
    }
    mem_free(c->settings);
    struct list *it;
    while ((it = list_pop_front(&c->prepared)) != NULL) {
        struct prepared *p = LIST_ITEM(it, struct prepared, link);
        mem_free(p->name);
        mem_free(p->sql);
        mem_free(p->types);
        mem_free(p);
    }
    mem_free(c->user);
    if (c->password != NULL) {
        explicit_bzero(c->password, strlen(c->password));
    }
    mem_free(c->password);
    mem_free(c->database);
    mem_free(c->server_version);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

static void copy_settings(sherd_connection *c, const char *const *settings)
{
    size_t n = 0;
    while (settings != NULL && settings[n] != NULL && settings[n + 1] != NULL) {
        n += 2;
    }
    c->settings = mem_zalloc((n + 1) * sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        c->settings[i] = mem_strdup(settings[i]);
    }
    c->setting_count = n / 2;
}

sherd_error *sherd_connect(const struct sherd_options *options, sherd_connection **out_connection)
{
    struct sherd_options o = SHERD_OPTIONS_INIT;
    if (options != NULL) {
        size_t size = options->size < sizeof(o) ? options->size : sizeof(o);
        memcpy(&o, options, size);
    }
    sherd_connection *c = MEM_NEW(sherd_connection);
    pthread_mutex_init(&c->lock, NULL);
    list_head_init(&c->prepared);
    c->transaction = SHERD_IDLE;
    c->user = dup_or(o.user, SHERD_DEFAULT_USER);
    c->password = o.password != NULL ? mem_strdup(o.password) : NULL;
    c->database = dup_or(o.database, SHERD_DEFAULT_DATABASE);
    c->connect_timeout_ms = o.connect_timeout_ms == 0 ? CONNECT_TIMEOUT_MS : o.connect_timeout_ms;
    c->on_notice = o.on_notice;
    c->notice_ctx = o.notice_ctx;
    copy_settings(c, o.settings);
    struct status *st = parse_endpoints(c, o.endpoints == NULL ? "127.0.0.1" : o.endpoints);
    if (st == NULL) {
        st = connection_ensure(c);
    }
    if (st != NULL) {
        connection_free(c);
        return to_error(st);
    }
    *out_connection = c;
    return NULL;
}

void sherd_disconnect(sherd_connection *c)
{
    if (c == NULL) {
        return;
    }
    ASSERT_MSG(c->result == NULL, "a result is still open");
    if (c->rpc != NULL && c->session_len > 0) {
        struct arena *a = arena_create(0);
        Sherd__V1__CloseSessionRequest r = SHERD__V1__CLOSE_SESSION_REQUEST__INIT;
        r.session = connection_session(c);
        void *reply = NULL;
        /* If the server does not hear it, the session ends by its idle limit. */
        status_free(grpc_sync_unary(c->rpc, "/sherd.v1.Sql/CloseSession", &r,
                                    &sherd__v1__close_session_reply__descriptor, a,
                                    CLOSE_TIMEOUT_MS, &reply));
        arena_destroy(a);
    }
    connection_free(c);
}

const char *sherd_endpoint(const sherd_connection *c)
{
    return c->address;
}

const char *sherd_server_version(const sherd_connection *c)
{
    return c->server_version;
}

enum sherd_transaction sherd_transaction_state(const sherd_connection *c)
{
    return c->is_lost ? SHERD_IN_FAILED : c->transaction;
}

sherd_error *sherd_cancel(sherd_connection *c)
{
    uint8_t session[SESSION_BYTES_MAX];
    pthread_mutex_lock(&c->lock);
    size_t len = c->session_len;
    memcpy(session, c->session, len);
    const struct endpoint *e = c->session_endpoint;
    pthread_mutex_unlock(&c->lock);
    if (len == 0) {
        return NULL;
    }
    struct grpc_sync *rpc = grpc_sync_create(e->host, e->port);
    struct arena *a = arena_create(0);
    Sherd__V1__CancelRequest r = SHERD__V1__CANCEL_REQUEST__INIT;
    r.session = (ProtobufCBinaryData){len, session};
    void *reply = NULL;
    struct status *st =
        grpc_sync_unary(rpc, "/sherd.v1.Sql/Cancel", &r, &sherd__v1__cancel_reply__descriptor, a,
                        CANCEL_TIMEOUT_MS, &reply);
    arena_destroy(a);
    grpc_sync_destroy(rpc);
    return to_error(st);
}
