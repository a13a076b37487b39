/*
 * From the first byte to the first ReadyForQuery.
 *
 *   client                                server
 *   SSLRequest | GSSENCRequest       ->   'N'            (each at most once, nothing sent after it
 * early) CancelRequest                    ->   (acts, closes without an answer) StartupMessage 3.x
 * ->   [NegotiateProtocolVersion] AuthenticationOk, or AuthenticationSASL and two rounds of SCRAM
 *                                         ParameterStatus..., BackendKeyData, ReadyForQuery
 *
 * Every error here is FATAL. A cancel request is answered by nothing at all, as it must not tell
 * whether the key was right.
 */
#include "pgwire.h"

#include "base/mem.h"
#include "frontend_limits.h"

#include <strings.h>

enum {
    CODE_CANCEL = 80877102,
    CODE_SSL = 80877103,
    CODE_GSS = 80877104,
    PROTOCOL_MAJOR = 3,
    AUTH_OK = 0,
    AUTH_SASL = 10,
    AUTH_SASL_CONTINUE = 11,
    AUTH_SASL_FINAL = 12,
    SETTINGS_MAX = 64,
};

struct startup {
    struct buf
        packet; /* copy of the startup packet's name-value pairs: the fields below point into it */
    const char *user;
    const char *database;
    const char *application_name;
    const char *options;
    struct {
        const char *name;
        const char *value;
    } settings[SETTINGS_MAX];
    int setting_count;
    struct scram *scram;
    bool has_first;         /* client-first-message was read */
    struct status *warning; /* to be sent once the client listens to notices, or NULL */
};

void startup_free(struct startup *s)
{
    if (s != NULL) {
        scram_destroy(s->scram);
        status_free(s->warning);
        buf_deinit(&s->packet);
        mem_free(s);
    }
}

/* ---- the answer to a login ---- */

static void put_auth(struct buf *out, uint32_t code, struct slice data)
{
    size_t at = message_begin(out, 'R');
    buf_put_u32(out, code);
    buf_put_slice(out, data);
    message_end(out, at);
}

static void put_parameters(struct conn *c)
{
    /* What clients are told at login; changes follow through sink.parameter. */
    static const struct {
        const char *name;    /* as the client knows it */
        const char *setting; /* as the session does */
        const char *value;   /* when the session has none */
    } reported[] = {
        {"application_name", "application_name", ""},
        {"client_encoding", "client_encoding", "UTF8"},
        {"DateStyle", "datestyle", "ISO, MDY"},
        {"default_transaction_read_only", "default_transaction_read_only", "off"},
        {"in_hot_standby", "in_hot_standby", "off"},
        {"integer_datetimes", "integer_datetimes", "on"},
        {"IntervalStyle", "intervalstyle", "postgres"},
        {"is_superuser", "is_superuser", "on"},
        {"server_encoding", "server_encoding", "UTF8"},
        {"server_version", NULL, "15.0 (sherd 0.1)"},
        {"session_authorization", "session_authorization", NULL},
        {"standard_conforming_strings", "standard_conforming_strings", "on"},
        {"TimeZone", "timezone", "UTC"},
    };
    for (size_t i = 0; i < sizeof reported / sizeof *reported; i++) {
        const char *value =
            reported[i].setting != NULL ? session_setting(c->session, reported[i].setting) : NULL;
        if (value == NULL) {
            value = reported[i].value != NULL ? reported[i].value : c->startup->user;
        }
        put_parameter(&c->out, reported[i].name, value);
    }
}

/* "-c name=value --name=value", blanks escaped by a backslash. The text is cut in place. */
static struct status *apply_options(struct session *s, const char *options)
{
    char *text = mem_strdup(options), *p = text;
    struct status *st = NULL;
    bool want_value = false;
    while (st == NULL && *p != '\0') {
        while (*p == ' ' || *p == '\t') {
            p++;
        }
        if (*p == '\0') {
            break;
        }
        char *word = p, *to = p;
        while (*p != '\0' && *p != ' ' && *p != '\t') {
            if (*p == '\\' && p[1] != '\0') {
                p++;
            }
            *to++ = *p++;
        }
        p += *p != '\0';
        *to = '\0';
        if (!want_value && strcmp(word, "-c") == 0) {
            want_value = true;
            continue;
        }
        char *setting = want_value                    ? word
                        : strncmp(word, "--", 2) == 0 ? word + 2
                        : strncmp(word, "-c", 2) == 0 ? word + 2
                                                      : NULL;
        char *equal = setting != NULL ? strchr(setting, '=') : NULL;
        want_value = false;
        if (equal == NULL) {
            st = status_sql(INVALID, "42601",
                            "invalid command-line argument for server process: %s", word);
            break;
        }
        *equal = '\0';
        for (char *q = setting; q < equal; q++) {
            *q = *q == '-' ? '_' : *q;
        }
        st = session_set(s, slice_str(setting), slice_str(equal + 1));
    }
    if (st == NULL && want_value) {
        st = status_sql(INVALID, "42601", "-c requires a value");
    }
    mem_free(text);
    return st;
}

/* A setting of the startup packet. Some drivers send their machine's time zone unasked: one that is
 * not supported must not keep them out. They are told by a warning, and by ParameterStatus what
 * holds. */
static struct status *apply_setting(struct conn *c, const char *name, const char *value)
{
    struct status *st = session_set(c->session, slice_str(name), slice_str(value));
    if (status_is(st, STATUS_UNSUPPORTED) && strcasecmp(name, "timezone") == 0) {
        status_free(c->startup->warning);
        c->startup->warning = st;
        st = NULL;
    }
    return st;
}

static struct status *open_session(struct fiber *f, struct conn *c)
{
    struct startup *s = c->startup;
    struct session_options o = {.user = slice_str(s->user),
                                .database = slice_str(s->database),
                                .application_name = slice_str(s->application_name),
                                .client = tcp_peer(c->tcp)};
    TRY(session_open(f, c->pg->router, &o, &c->session));
    if (s->options != NULL) {
        TRY(apply_options(c->session, s->options));
    }
    for (int i = 0; i < s->setting_count; i++) {
        TRY(apply_setting(c, s->settings[i].name, s->settings[i].value));
    }
    return NULL;
}

/* Who the client is has been established. */
static void login(struct fiber *f, struct conn *c)
{
    struct status *st = open_session(f, c);
    if (st != NULL) {
        conn_fatal(c, st);
        return;
    }
    if (c->is_ending) { /* shut down, or the login took too long */
        return;
    }
    put_auth(&c->out, AUTH_OK, slice_make(NULL, 0));
    if (c->startup->warning != NULL) {
        put_error(&c->out, 'N', "WARNING", c->startup->warning);
    }
    put_parameters(c);
    size_t at = message_begin(&c->out, 'K');
    buf_put_u32(&c->out, session_id(c->session));
    buf_put_u32(&c->out, (uint32_t)session_secret(c->session));
    message_end(&c->out, at);
    put_ready(&c->out, session_txn_status(c->session));
    c->phase = PHASE_READY;
    timer_stop(&c->timer);
    startup_free(c->startup);
    c->startup = NULL;
}

/* ---- SCRAM ---- */

static void ask_password(struct conn *c)
{
    struct catalog *cat = catalog_current(router_catalog(c->pg->router));
    const Sherd__V1__RoleDesc *role = catalog_role(cat, slice_str(c->startup->user));
    c->startup->scram =
        scram_create(router_verifier(c->pg->router, role), slice_str(c->startup->user));
    catalog_unref(cat);
    static const char mechanisms[] = "SCRAM-SHA-256\0";
    put_auth(&c->out, AUTH_SASL, slice_make(mechanisms, sizeof mechanisms));
    c->phase = PHASE_PASSWORD;
}

static struct status *first_round(struct conn *c, struct slice body)
{
    struct reader r;
    reader_init(&r, body);
    const char *mechanism = read_cstr(&r);
    uint32_t len = read_u32(&r);
    if (!reader_ok(&r) || len != reader_left(&r)) {
        return status_sql(INVALID, "08P01", "malformed SASL initial response");
    }
    if (strcmp(mechanism, "SCRAM-SHA-256") != 0) {
        return status_sql(INVALID, "08P01",
                          "client selected an invalid SASL authentication mechanism");
    }
    struct buf answer = {0};
    struct status *st = scram_first(c->startup->scram, read_raw(&r, len), &answer);
    if (st == NULL) {
        put_auth(&c->out, AUTH_SASL_CONTINUE, buf_slice(&answer));
        c->startup->has_first = true;
    }
    buf_deinit(&answer);
    return st;
}

static void password_message(struct fiber *f, struct conn *c, const struct message *m)
{
    if (m->type != 'p') {
        conn_fatal(c, status_sql(INVALID, "08P01", "expected SASL response, got message type %d",
                                 m->type));
        return;
    }
    if (!c->startup->has_first) {
        struct status *st = first_round(c, m->body);
        if (st != NULL) {
            conn_fatal(c, st);
        }
        return;
    }
    struct buf answer = {0};
    bool ok = false;
    struct status *st = scram_final(c->startup->scram, m->body, &answer, &ok);
    if (st == NULL && !ok) {
        st = status_sql(DENIED, "28P01", "password authentication failed for user \"%s\"",
                        c->startup->user);
    }
    if (st == NULL) {
        put_auth(&c->out, AUTH_SASL_FINAL, buf_slice(&answer));
        login(f, c);
    } else {
        conn_fatal(c, st);
    }
    buf_deinit(&answer);
}

/* ---- the startup packet ---- */

static void put_negotiate(struct conn *c, const char *const *unknown, int count)
{
    size_t at = message_begin(&c->out, 'v');
    buf_put_u32(&c->out, 0); /* newest minor version that is spoken here */
    buf_put_u32(&c->out, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        buf_put_cstr(&c->out, unknown[i]);
    }
    message_end(&c->out, at);
}

static struct status *bad_packet(void)
{
    return status_sql(INVALID, "08P01",
                      "invalid startup packet layout: expected terminator as last byte");
}

/* One name-value pair. */
static struct status *take_pair(struct startup *s, const char *name, const char *value)
{
    if (strcmp(name, "user") == 0) {
        s->user = value;
    } else if (strcmp(name, "database") == 0) {
        s->database = value;
    } else if (strcmp(name, "options") == 0) {
        s->options = value;
    } else if (strcmp(name, "application_name") == 0) {
        s->application_name = value;
    } else if (strcmp(name, "replication") == 0) {
        bool is_off = strcasecmp(value, "false") == 0 || strcasecmp(value, "off") == 0 ||
                      strcasecmp(value, "no") == 0 || strcmp(value, "0") == 0;
        if (!is_off) {
            return status_sql(UNSUPPORTED, "0A000", "replication connections are not supported");
        }
    } else if (s->setting_count < SETTINGS_MAX) {
        s->settings[s->setting_count].name = name;
        s->settings[s->setting_count++].value = value;
    } else {
        return status_sql(LIMIT, "54000", "too many settings in the startup packet");
    }
    return NULL;
}

static struct status *read_packet(struct conn *c, struct slice pairs, uint16_t minor)
{
    const char *unknown[SETTINGS_MAX];
    int unknown_count = 0;
    struct startup *s = c->startup = MEM_NEW(struct startup);
    buf_put_slice(&s->packet, pairs);
    struct reader r;
    reader_init(&r, buf_slice(&s->packet));
    s->application_name = "";
    for (;;) {
        const char *name = read_cstr(&r);
        if (!reader_ok(&r)) {
            return bad_packet();
        }
        if (name[0] == '\0') {
            break;
        }
        const char *value = read_cstr(&r);
        if (!reader_ok(&r)) {
            return bad_packet();
        }
        if (strncmp(name, "_pq_.", 5) == 0) {
            if (unknown_count < SETTINGS_MAX) {
                unknown[unknown_count++] = name;
            }
            continue;
        }
        TRY(take_pair(s, name, value));
    }
    if (reader_left(&r) != 0) {
        return bad_packet();
    }
    if (s->user == NULL || s->user[0] == '\0') {
        return status_sql(DENIED, "28000", "no PostgreSQL user name specified in startup packet");
    }
    if (s->database == NULL || s->database[0] == '\0') {
        s->database = s->user;
    }
    if (minor > 0 || unknown_count > 0) {
        put_negotiate(c, unknown, unknown_count);
    }
    return NULL;
}

/* SSL or GSS: not here. What was sent behind the request without waiting for the answer would be
 * taken for part of the clear text: refused. */
static void refuse_encryption(struct conn *c, bool *seen, const char *what)
{
    if (*seen) {
        conn_fatal(c, status_sql(INVALID, "08P01", "repeated %s request", what));
        return;
    }
    *seen = true;
    if (input_waiting(&c->in) > 0) {
        conn_fatal(
            c, status_detail(
                   status_sql(INVALID, "08P01", "received unencrypted data after %s request", what),
                   "This could be either a client-software bug or evidence of an attempted "
                   "man-in-the-middle attack."));
        return;
    }
    buf_put_u8(&c->out, 'N');
}

static void startup_packet(struct fiber *f, struct conn *c, struct slice body)
{
    if (body.len < 4) {
        conn_fatal(c, status_sql(INVALID, "08P01", "invalid length of startup packet"));
        return;
    }
    uint32_t code = get_u32(body.data);
    struct slice rest = slice_make(body.data + 4, body.len - 4);
    switch (code) {
    case CODE_SSL:
        refuse_encryption(c, &c->saw_ssl, "SSL");
        return;
    case CODE_GSS:
        refuse_encryption(c, &c->saw_gss, "GSSAPI encryption");
        return;
    case CODE_CANCEL:
        if (rest.len == 8) {
            pgwire_cancel(c->pg, get_u32(rest.data), get_u32(rest.data + 4));
        }
        c->is_ending = true;
        return;
    default:
        break;
    }
    if (code >> 16 != PROTOCOL_MAJOR) {
        conn_fatal(c, status_sql(UNSUPPORTED, "0A000",
                                 "unsupported frontend protocol %u.%u: server supports 3.0 to 3.0",
                                 code >> 16, code & 0xffff));
        return;
    }
    struct status *st = read_packet(c, rest, (uint16_t)code);
    if (st != NULL) {
        conn_fatal(c, st);
        return;
    }
    c->in.is_typed = true;
    const char *auth = router_config(c->pg->router)->auth;
    if (auth != NULL && strcmp(auth, "scram") == 0) {
        ask_password(c);
    } else {
        login(f, c);
    }
}

void startup_message(struct fiber *f, struct conn *c, const struct message *m)
{
    if (c->phase == PHASE_PASSWORD) {
        password_message(f, c, m);
    } else {
        startup_packet(f, c, m->body);
    }
}
