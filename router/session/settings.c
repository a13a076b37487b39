/*
 * Session settings: SET, SET LOCAL, RESET, SHOW, DISCARD. A table of the known ones with their
 * defaults and checks; an unknown name is 42704. Values that do not change anything here are still
 * checked and kept, so that drivers which set and read them work.
 */
#include "session_internal.h"

#include "base/check.h"
#include "base/mem.h"

#include <pg_query/pg_query.pb-c.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum setting_kind {
    S_TEXT,
    S_BOOL,
    S_INT,
    S_TIME_MS,
    S_ISOLATION,
    S_FIXED,
    S_UTF8,
    S_TIMEZONE,
    S_PAST,
    S_ENUM
};

struct setting_def {
    const char *name;
    const char *value; /* default */
    enum setting_kind kind;
    bool is_reported; /* ParameterStatus on change */
    const char *choices;
};

static const struct setting_def defs[] = {
    {"application_name", "", S_TEXT, true, NULL},
    {"backslash_quote", "safe_encoding", S_TEXT, false, NULL},
    {"bytea_output", "hex", S_ENUM, false, "hex"},
    {"client_encoding", "UTF8", S_UTF8, true, NULL},
    {"client_min_messages", "notice", S_TEXT, false, NULL},
    {"check_function_bodies", "on", S_BOOL, false, NULL},
    {"datestyle", "ISO, MDY", S_TEXT, true, NULL},
    {"default_table_access_method", "heap", S_TEXT, false, NULL},
    {"default_tablespace", "", S_TEXT, false, NULL},
    {"default_transaction_deferrable", "off", S_BOOL, false, NULL},
    {"default_transaction_isolation", "serializable", S_ISOLATION, false, NULL},
    {"default_transaction_read_only", "off", S_BOOL, false, NULL},
    {"escape_string_warning", "on", S_BOOL, false, NULL},
    {"extra_float_digits", "1", S_INT, false, NULL},
    {"idle_in_transaction_session_timeout", "0", S_TIME_MS, false, NULL},
    {"idle_session_timeout", "0", S_TIME_MS, false, NULL},
    {"integer_datetimes", "on", S_FIXED, true, NULL},
    {"intervalstyle", "postgres", S_ENUM, true, "postgres"},
    {"is_superuser", "on", S_FIXED, true, NULL},
    {"lc_collate", "C.UTF-8", S_FIXED, false, NULL},
    {"lc_ctype", "C.UTF-8", S_FIXED, false, NULL},
    {"lc_messages", "C.UTF-8", S_TEXT, false, NULL},
    {"lock_timeout", "0", S_TIME_MS, false, NULL},
    {"max_identifier_length", "63", S_FIXED, false, NULL},
    {"max_index_keys", "32", S_FIXED, false, NULL},
    {"row_security", "on", S_BOOL, false, NULL},
    {"search_path", "\"$user\", public", S_TEXT, false, NULL},
    {"server_encoding", "UTF8", S_FIXED, true, NULL},
    {"server_version", "15.0 (sherd 0.1)", S_FIXED, true, NULL},
    {"server_version_num", "150000", S_FIXED, false, NULL},
    {"session_authorization", "sherd", S_FIXED, true, NULL},
    {"sherd.as_of", "", S_PAST, false, NULL},
    {"sherd.auto_retry", "on", S_BOOL, false, NULL},
    {"sherd.read_staleness", "0", S_TIME_MS, false, NULL},
    {"standard_conforming_strings", "on", S_ENUM, true, "on"},
    {"statement_timeout", "0", S_TIME_MS, false, NULL},
    {"synchronize_seqscans", "on", S_BOOL, false, NULL},
    {"synchronous_commit", "on", S_TEXT, false, NULL},
    {"timezone", "UTC", S_TIMEZONE, true, NULL},
    {"transaction_deferrable", "off", S_BOOL, false, NULL},
    {"transaction_isolation", "serializable", S_ISOLATION, false, NULL},
    {"transaction_read_only", "off", S_BOOL, false, NULL},
    {"transaction_timeout", "0", S_TIME_MS, false, NULL},
    {"work_mem", "4MB", S_TEXT, false, NULL},
    {"xmloption", "content", S_TEXT, false, NULL},
};

static const struct setting_def *find_def(const char *name)
{
    for (size_t i = 0; i < sizeof(defs) / sizeof(defs[0]); i++) {
        if (strcasecmp(defs[i].name, name) == 0) {
            return &defs[i];
        }
    }
    return NULL;
}

const char *settings_name(size_t i)
{
    return i < sizeof(defs) / sizeof(defs[0]) ? defs[i].name : NULL;
}

const char *settings_default(size_t i)
{
    return defs[i].value;
}

bool settings_is_fixed(size_t i)
{
    return defs[i].kind == S_FIXED;
}

static struct session_setting *find_value(struct session *s, const char *name)
{
    struct session_setting *v = NULL;
    if (s->settings == NULL) {
        return NULL;
    }
    char lower[64];
    size_t n = 0;
    while (name[n] != '\0' && n < sizeof(lower) - 1) {
        lower[n] = (char)tolower((unsigned char)name[n]);
        n++;
    }
    lower[n] = '\0';
    HASH_FIND_STR(s->settings, lower, v);
    return v;
}

void settings_init(struct session *s)
{
    s->settings = NULL; /* values that differ from the defaults only */
}

void settings_deinit(struct session *s)
{
    struct session_setting *v, *tmp;
    HASH_ITER(hh, s->settings, v, tmp)
    {
        HASH_DEL(s->settings, v);
        mem_free(v->name);
        mem_free(v->value);
        mem_free(v->kept);
        mem_free(v);
    }
    ASSERT(s->undo_count == 0);
    mem_free(s->undo);
    s->undo = NULL;
    s->undo_cap = 0;
}

static const char *isolation_name(enum txn_isolation i)
{
    return i == TXN_SERIALIZABLE      ? "serializable"
           : i == TXN_REPEATABLE_READ ? "repeatable read"
                                      : "read committed";
}

bool settings_parse_isolation(struct slice text, enum txn_isolation *out)
{
    static const struct {
        const char *name;
        enum txn_isolation i;
    } names[] = {
        {"serializable", TXN_SERIALIZABLE},
        {"repeatable read", TXN_REPEATABLE_READ},
        {"read committed", TXN_READ_COMMITTED},
        {"read uncommitted", TXN_READ_COMMITTED},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strlen(names[i].name) == text.len &&
            strncasecmp(names[i].name, (const char *)text.data, text.len) == 0) {
            *out = names[i].i;
            return true;
        }
    }
    return false;
}

/* Of the transaction under way, not of the session. */
static bool is_mode(const char *name)
{
    return strcasecmp(name, "transaction_isolation") == 0 ||
           strcasecmp(name, "transaction_read_only") == 0 ||
           strcasecmp(name, "transaction_deferrable") == 0;
}

const char *session_setting(struct session *s, const char *name)
{
    if (is_mode(name)) {
        struct session_modes m = settings_modes(s);
        return strcasecmp(name + 12, "isolation") == 0    ? isolation_name(m.isolation)
               : strcasecmp(name + 12, "read_only") == 0  ? (m.read_only ? "on" : "off")
               : strcasecmp(name + 12, "deferrable") == 0 ? (m.deferrable ? "on" : "off")
                                                          : NULL;
    }
    if (strcasecmp(name, "session_authorization") == 0) {
        return s->user;
    }
    const struct session_setting *v = find_value(s, name);
    if (v != NULL && v->value != NULL) {
        return v->value;
    }
    const struct setting_def *d = find_def(name);
    return d != NULL ? d->value : NULL;
}

static enum txn_isolation isolation_of(struct session *s, const char *name)
{
    enum txn_isolation i = TXN_SERIALIZABLE;
    const struct session_setting *v = find_value(s, name);
    if (v != NULL && v->value != NULL) {
        settings_parse_isolation(slice_str(v->value), &i);
    }
    return i;
}

static bool is_on(struct session *s, const char *name)
{
    return strcmp(session_setting(s, name), "on") == 0;
}

struct session_modes settings_modes(struct session *s)
{
    const struct session_values *v = settings_values(s);
    struct session_modes m = s->has_modes ? s->modes : v->defaults;
    m.read_only |= v->is_past; /* the past cannot be changed */
    return m;
}

/* "250", "5s", "1min", "2 h": milliseconds. */
bool settings_parse_ms(const char *text, uint64_t *out)
{
    char *end;
    double v = strtod(text, &end);
    while (*end == ' ') {
        end++;
    }
    double unit = *end == '\0' || strcmp(end, "ms") == 0 ? 1
                  : strcmp(end, "s") == 0                ? 1000
                  : strcmp(end, "min") == 0              ? 60000
                  : strcmp(end, "h") == 0                ? 3600000
                  : strcmp(end, "d") == 0                ? 86400000
                                                         : -1;
    if (end == text || unit < 0 || v < 0 || v * unit > 2147483647.0) {
        return false;
    }
    *out = (uint64_t)(v * unit);
    return true;
}

uint64_t settings_ms(struct session *s, const char *name)
{
    uint64_t ms = 0;
    const struct session_setting *v = find_value(s, name);
    if (v != NULL && v->value != NULL) {
        settings_parse_ms(v->value, &ms);
    }
    return ms;
}

const struct session_values *settings_values(struct session *s)
{
    struct session_values *v = &s->values;
    if (!v->is_known) {
        *v = (struct session_values){
            .is_known = true,
            .auto_retry = is_on(s, "sherd.auto_retry"),
            .is_past = session_setting(s, "sherd.as_of")[0] != '\0',
            .defaults = {.isolation = isolation_of(s, "default_transaction_isolation"),
                         .read_only = is_on(s, "default_transaction_read_only"),
                         .deferrable = is_on(s, "default_transaction_deferrable")},
            .lock_timeout_ms = settings_ms(s, "lock_timeout"),
            .statement_timeout_ms = settings_ms(s, "statement_timeout"),
            .transaction_timeout_ms = settings_ms(s, "transaction_timeout"),
            .idle_session_timeout_ms = settings_ms(s, "idle_session_timeout"),
            .idle_in_transaction_ms = settings_ms(s, "idle_in_transaction_session_timeout"),
        };
    }
    return v;
}

static const char *parse_bool(const char *v)
{
    static const char *const on[] = {"on", "true", "yes", "1", "t", "y"};
    static const char *const off[] = {"off", "false", "no", "0", "f", "n"};
    for (size_t i = 0; i < 6; i++) {
        if (strcasecmp(v, on[i]) == 0) {
            return "on";
        }
        if (strcasecmp(v, off[i]) == 0) {
            return "off";
        }
    }
    return NULL;
}

static struct status *bad_value(const char *name, const char *value)
{
    return status_new(INVALID, "invalid value for parameter \"%s\": \"%s\"", name, value);
}

/* As PostgreSQL shows times: in the largest unit that leaves no fraction. */
static const char *show_ms(uint64_t ms, char *out, size_t size)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
    size_t i = 0;
    while (ms % units[i].ms != 0) {
        i++;
    }
    snprintf(out, size, "%llu%s", (unsigned long long)(ms / units[i].ms),
             ms == 0 ? "" : units[i].name);
    return out;
}

/* Checks a value; *out is what to keep, perhaps in scratch. */
static struct status *check_value(const struct setting_def *d, const char *value, char scratch[32],
                                  const char **out)
{
    uint64_t ms;
    enum txn_isolation iso;
    *out = value;
    switch (d->kind) {
    case S_BOOL:
        *out = parse_bool(value);
        return *out != NULL
                   ? NULL
                   : status_new(INVALID, "parameter \"%s\" requires a Boolean value", d->name);
    case S_INT: {
        char *end;
        strtol(value, &end, 10);
        return *value != '\0' && *end == '\0' ? NULL : bad_value(d->name, value);
    }
    case S_TIME_MS:
        if (!settings_parse_ms(value, &ms)) {
            return bad_value(d->name, value);
        }
        *out = show_ms(ms, scratch, 32);
        return NULL;
    case S_ISOLATION:
        if (!settings_parse_isolation(slice_str(value), &iso)) {
            return bad_value(d->name, value);
        }
        *out = isolation_name(iso);
        return NULL;
    case S_UTF8:
        if (strcasecmp(value, "utf8") == 0 || strcasecmp(value, "utf-8") == 0 ||
            strcasecmp(value, "unicode") == 0 || strcasecmp(value, "sql_ascii") == 0) {
            *out = "UTF8";
            return NULL;
        }
        return status_hint(
            status_new(UNSUPPORTED, "client encoding \"%s\" is not supported", value), "Use UTF8.");
    case S_TIMEZONE:
        if (strcasecmp(value, "utc") == 0 || strcasecmp(value, "gmt") == 0 ||
            strcasecmp(value, "etc/utc") == 0 || strcmp(value, "0") == 0 ||
            strcasecmp(value, "zulu") == 0) {
            *out = "UTC";
            return NULL;
        }
        return status_hint(status_new(UNSUPPORTED, "time zone \"%s\" is not supported", value),
                           "Use UTC and convert in the client.");
    case S_PAST:
        return past_check(value);
    case S_ENUM:
        return strcasecmp(value, d->choices) == 0
                   ? NULL
                   : status_hint(status_new(UNSUPPORTED,
                                            "value \"%s\" of parameter \"%s\" is not supported",
                                            value, d->name),
                                 "Only \"%s\" is.", d->choices);
    case S_FIXED:
        return status_sql(INVALID, "55P02", "parameter \"%s\" cannot be changed", d->name);
    case S_TEXT:
        if (strcmp(d->name, "datestyle") == 0 && strncasecmp(value, "iso", 3) != 0) {
            return status_hint(status_new(UNSUPPORTED, "DateStyle \"%s\" is not supported", value),
                               "Use ISO.");
        }
        return NULL;
    }
    return NULL;
}

/* After a change: what hangs on it. */
static void changed(struct session *s, const char *name)
{
    s->values.is_known = false;
    if (strcasecmp(name, "search_path") == 0) {
        s->search_path_revision = 0;
    }
    const struct setting_def *d = find_def(name);
    if (d != NULL && d->is_reported && s->sink != NULL && s->sink->parameter != NULL) {
        const char *shown = strcmp(d->name, "datestyle") == 0       ? "DateStyle"
                            : strcmp(d->name, "timezone") == 0      ? "TimeZone"
                            : strcmp(d->name, "intervalstyle") == 0 ? "IntervalStyle"
                                                                    : d->name;
        s->sink->parameter(s->sink, shown, session_setting(s, name));
    }
}

static struct session_setting *setting_of(struct session *s, const char *name)
{
    struct session_setting *v = find_value(s, name);
    if (v == NULL) {
        v = MEM_NEW(struct session_setting);
        v->name = mem_strdup(name);
        for (char *c = v->name; *c != '\0'; c++) {
            *c = (char)tolower((unsigned char)*c);
        }
        HASH_ADD_KEYPTR(hh, s->settings, v->name, strlen(v->name), v);
    }
    return v;
}

static char *copy_value(const char *value)
{
    return value != NULL ? mem_strdup(value) : NULL;
}

static void remember(struct session *s, struct session_setting *v)
{
    if (s->undo_count == s->undo_cap) {
        s->undo_cap = s->undo_cap * 2 + 4;
        s->undo = mem_realloc(s->undo, sizeof(*s->undo) * (size_t)s->undo_cap);
    }
    s->undo[s->undo_count++] = (struct setting_undo){v, copy_value(v->value), copy_value(v->kept)};
}

enum set_scope { SET_AT_ONCE, SET_IN_TXN, SET_LOCAL_TO_TXN };

/* value NULL: the default. */
static struct status *set_value(struct session *s, const char *name, const char *value,
                                enum set_scope scope)
{
    const struct setting_def *d = find_def(name);
    if (d == NULL && strchr(name, '.') == NULL) {
        return status_sql(NOT_FOUND, "42704", "unrecognized configuration parameter \"%s\"", name);
    }
    char scratch[32];
    if (value != NULL && d != NULL) {
        TRY(check_value(d, value, scratch, &value));
    }
    bool is_past = d != NULL && (d->kind == S_PAST || strcmp(d->name, "sherd.read_staleness") == 0);
    if (is_past && scope != SET_AT_ONCE && s->txn != NULL) {
        return status_sql(INVALID, "25001", "%s must be set before any query of the transaction",
                          d->name);
    }
    struct session_setting *v = setting_of(s, name);
    char *copy = copy_value(value); /* it may be v's own */
    if (scope != SET_AT_ONCE) {
        remember(s, v);
    }
    mem_free(v->value);
    v->value = copy;
    if (scope != SET_LOCAL_TO_TXN) {
        mem_free(v->kept);
        v->kept = copy_value(copy);
    }
    changed(s, v->name);
    return NULL;
}

struct status *session_set(struct session *s, struct slice name, struct slice value)
{
    char *n = mem_strndup(name.data, name.len);
    char *v = mem_strndup(value.data, value.len);
    struct status *st = set_value(s, n, v, SET_AT_ONCE);
    mem_free(n);
    mem_free(v);
    return st;
}

struct status *settings_set_config(struct session *s, struct slice name, struct slice value,
                                   bool is_local)
{
    char *n = mem_strndup(name.data, name.len);
    char *v = mem_strndup(value.data, value.len);
    struct status *st = set_value(s, n, v, is_local ? SET_LOCAL_TO_TXN : SET_IN_TXN);
    mem_free(n);
    mem_free(v);
    return st;
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void settings_undo_to(struct session *s, int undo_count)
{
    while (s->undo_count > undo_count) {
        struct setting_undo *u = &s->undo[--s->undo_count];
        struct session_setting *v = u->setting;
        bool is_other = !is_same(v->value, u->value);
        mem_free(v->value);
        mem_free(v->kept);
        v->value = u->value;
        v->kept = u->kept;
        if (is_other) {
            changed(s, v->name);
        }
    }
}

/* SET LOCAL ends with the transaction; a plain SET is undone when the transaction rolls back. */
void settings_txn_end(struct session *s, bool committed)
{
    if (!committed) {
        settings_undo_to(s, 0);
    }
    for (int i = 0; i < s->undo_count; i++) {
        struct session_setting *v = s->undo[i].setting;
        mem_free(s->undo[i].value);
        mem_free(s->undo[i].kept);
        if (!is_same(v->value, v->kept)) {
            mem_free(v->value);
            v->value = copy_value(v->kept);
            changed(s, v->name);
        }
    }
    s->undo_count = 0;
}

/* The arguments of SET as one text: SET search_path = a, b. */
static struct status *args_text(const PgQuery__VariableSetStmt *x, struct buf *out)
{
    for (size_t i = 0; i < x->n_args; i++) {
        if (i > 0) {
            buf_put(out, ", ", 2);
        }
        const PgQuery__Node *n = x->args[i];
        if (n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) { /* SET TIME ZONE INTERVAL ... */
            n = n->type_cast->arg;
        }
        if (n->node_case != PG_QUERY__NODE__NODE_A_CONST) {
            return status_sql(INVALID, "42601", "SET %s takes constants only", x->name);
        }
        switch (n->a_const->val_case) {
        case PG_QUERY__A__CONST__VAL_IVAL:
            buf_printf(out, "%d", n->a_const->ival->ival);
            break;
        case PG_QUERY__A__CONST__VAL_FVAL:
            buf_printf(out, "%s", n->a_const->fval->fval);
            break;
        case PG_QUERY__A__CONST__VAL_SVAL:
            buf_printf(out, "%s", n->a_const->sval->sval);
            break;
        case PG_QUERY__A__CONST__VAL_BOOLVAL:
            buf_printf(out, "%s", n->a_const->boolval->boolval ? "on" : "off");
            break;
        default:
            return status_sql(INVALID, "42601", "SET %s: unexpected value", x->name);
        }
    }
    buf_put_u8(out, 0);
    return NULL;
}

/* SET transaction_isolation and the like: of the transaction under way. */
static struct status *set_mode(struct session *s, const char *name, const char *value)
{
    const char *checked;
    char scratch[32];
    TRY(check_value(find_def(name), value, scratch, &checked));
    PgQuery__String text = PG_QUERY__STRING__INIT;
    PgQuery__Integer number = PG_QUERY__INTEGER__INIT;
    PgQuery__AConst constant = PG_QUERY__A__CONST__INIT;
    if (strcasecmp(name, "transaction_isolation") == 0) {
        text.sval = (char *)(uintptr_t)checked;
        constant.val_case = PG_QUERY__A__CONST__VAL_SVAL;
        constant.sval = &text;
    } else {
        number.ival = strcmp(checked, "on") == 0;
        constant.val_case = PG_QUERY__A__CONST__VAL_IVAL;
        constant.ival = &number;
    }
    char lower[64];
    snprintf(lower, sizeof(lower), "%s", find_def(name)->name);
    PgQuery__Node arg = PG_QUERY__NODE__INIT, option = PG_QUERY__NODE__INIT;
    PgQuery__DefElem elem = PG_QUERY__DEF_ELEM__INIT;
    arg.node_case = PG_QUERY__NODE__NODE_A_CONST;
    arg.a_const = &constant;
    elem.defname = lower;
    elem.arg = &arg;
    option.node_case = PG_QUERY__NODE__NODE_DEF_ELEM;
    option.def_elem = &elem;
    PgQuery__Node *options[1] = {&option};
    return session_apply_modes(s, 1, options);
}

static struct status *set_statement(struct session *s, const PgQuery__VariableSetStmt *x)
{
    if (x->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI) {
        if (strcmp(x->name, "TRANSACTION") == 0) {
            if (!session_in_txn(s)) {
                session_warn(s, "25P01", "SET TRANSACTION can only be used in transaction blocks");
            }
            return session_apply_modes(s, x->n_args, x->args);
        }
        if (strcmp(x->name, "SESSION CHARACTERISTICS") == 0) {
            for (size_t i = 0; i < x->n_args; i++) {
                const PgQuery__DefElem *d = x->args[i]->def_elem;
                const char *name = strcmp(d->defname, "transaction_isolation") == 0
                                       ? "default_transaction_isolation"
                                   : strcmp(d->defname, "transaction_read_only") == 0
                                       ? "default_transaction_read_only"
                                       : "default_transaction_deferrable";
                const PgQuery__AConst *c = d->arg->a_const;
                const char *v = c->val_case == PG_QUERY__A__CONST__VAL_SVAL ? c->sval->sval
                                : c->val_case == PG_QUERY__A__CONST__VAL_IVAL && c->ival->ival != 0
                                    ? "on"
                                    : "off";
                TRY(set_value(s, name, v, SET_IN_TXN));
            }
            return NULL;
        }
        return status_new(UNSUPPORTED, "SET %s is not supported", x->name);
    }
    if (x->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL) {
        struct session_setting *v, *tmp;
        HASH_ITER(hh, s->settings, v, tmp)
        {
            TRY(set_value(s, v->name, NULL, SET_IN_TXN));
        }
        return NULL;
    }
    if (x->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE) {
        struct buf text = {0};
        struct status *st = args_text(x, &text);
        if (x->is_local && !session_in_txn(s)) {
            session_warn(s, "25P01", "SET LOCAL can only be used in transaction blocks");
        }
        if (st == NULL && is_mode(x->name)) {
            st = set_mode(s, x->name, (const char *)text.data);
        } else if (st == NULL) {
            st = set_value(s, x->name, (const char *)text.data,
                           x->is_local ? SET_LOCAL_TO_TXN : SET_IN_TXN);
        }
        buf_deinit(&text);
        return st;
    }
    return set_value(s, x->name, NULL,
                     x->is_local ? SET_LOCAL_TO_TXN : SET_IN_TXN); /* RESET, SET TO DEFAULT */
}

struct status *settings_statement(struct fiber *f, struct session *s, const void *node,
                                  struct sink *sink)
{
    const PgQuery__Node *n = node;
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
        TRY(set_statement(s, n->variable_set_stmt));
        s->replay.has_set = s->replay.first != NULL;
        return sink->complete(
            f, sink,
            n->variable_set_stmt->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET ||
                    n->variable_set_stmt->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL
                ? "RESET"
                : "SET");
    case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT: {
        const char *name = n->variable_show_stmt->name;
        if (strcasecmp(name, "all") == 0) {
            return status_hint(status_new(UNSUPPORTED, "SHOW ALL is not supported"),
                               "Name one setting.");
        }
        const char *v = session_setting(s, name);
        if (v == NULL) {
            return status_sql(NOT_FOUND, "42704", "unrecognized configuration parameter \"%s\"",
                              name);
        }
        TRY(send_text_row(f, sink, name, v));
        return sink->complete(f, sink, "SHOW");
    }
    case PG_QUERY__NODE__NODE_DISCARD_STMT:
        if (n->discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL) {
            if (session_in_txn(s) || s->txn != NULL) {
                return status_sql(INVALID, "25001",
                                  "DISCARD ALL cannot run inside a transaction block");
            }
            portals_free_all(f, s);
            struct prepared *p, *tmp;
            HASH_ITER(hh, s->prepared, p, tmp)
            {
                HASH_DEL(s->prepared, p);
                prepared_unref(p);
            }
            settings_deinit(s);
            settings_init(s);
            s->search_path_revision = 0;
        }
        return sink->complete(
            f, sink,
            n->discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_ALL     ? "DISCARD ALL"
            : n->discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_PLANS ? "DISCARD PLANS"
            : n->discard_stmt->target == PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES
                ? "DISCARD SEQUENCES"
                : "DISCARD TEMP");
    default:
        return status_new(UNSUPPORTED, "this form of SET is not supported");
    }
}
