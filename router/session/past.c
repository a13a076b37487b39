/*
 * Reads in the past: what sherd.as_of and sherd.read_staleness mean for a transaction.
 *
 *   sherd.as_of           '2026-11-22 10:00:00+00', '-5s' (before the transaction's begin), or a
 *                         timestamp of the cluster as sherd_snapshot() shows it. The transaction is
 *                         read-only.
 *   sherd.read_staleness  '5s': read-only transactions read as of so long ago.
 *
 * Both let the replica on the router's node serve (shard/follower.c). Within storage.gc_ttl, else
 * 72000; nothing of the future, else 22023 (T4).
 *
 * The catalog is that of today. A table that was made or changed after the time that is read is
 * refused (0A000) rather than read in a form that it did not have. Likewise with the snapshot of an
 * ordinary transaction (40001, where a younger one does not help): half of a change would show.
 */
#include "session_internal.h"

#include "metadata/timestamps.h"
#include "sql/datetime.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define EPOCH_2000_MS INT64_C(946684800000)

enum past_form { PAST_NONE, PAST_TIMESTAMP, PAST_AGO, PAST_AT };

/* AGO and AT in milliseconds (AT: since 1970). */
static struct status *parse(const char *value, enum past_form *out_form, uint64_t *out)
{
    size_t n = strlen(value);
    *out = 0;
    *out_form = PAST_NONE;
    if (n == 0) {
        return NULL;
    }
    if (strspn(value, "0123456789") == n && n <= 19) {
        *out_form = PAST_TIMESTAMP;
        *out = strtoull(value, NULL, 10);
        return *out != 0
                   ? NULL
                   : status_new(INVALID, "invalid value for parameter \"sherd.as_of\": \"0\"");
    }
    if (value[0] == '-' && settings_parse_ms(value + 1, out)) {
        *out_form = PAST_AGO;
        return NULL;
    }
    struct arena *a = arena_create(0);
    struct datum d;
    struct status *st = type_input(a, TYPE_TIMESTAMPTZ, -1, slice_str(value), &d);
    arena_destroy(a);
    if (st == NULL && d.i / 1000 + EPOCH_2000_MS > 0) {
        *out_form = PAST_AT;
        *out = (uint64_t)(d.i / 1000 + EPOCH_2000_MS);
        return NULL;
    }
    status_free(st);
    return status_hint(
        status_new(INVALID, "invalid value for parameter \"sherd.as_of\": \"%s\"", value),
        "Give a time, an age as '-5s', or a timestamp of sherd_snapshot().");
}

struct status *past_check(const char *value)
{
    enum past_form form;
    uint64_t n;
    return parse(value, &form, &n);
}

/* The cluster's time as far as this node knows it. */
static uint64_t now_ts(const struct session *s)
{
    uint64_t wall = tso_of_wall(loop_wall_us(s->router->loop) / 1000);
    return wall > s->router->newest_ts ? wall : s->router->newest_ts;
}

static uint64_t ago(const struct session *s, uint64_t ms)
{
    uint64_t now = now_ts(s), back = tso_of_wall((int64_t)ms);
    return now > back ? now - back : 1;
}

struct status *past_choose(struct session *s, struct txn_options *o)
{
    enum past_form form;
    uint64_t n;
    TRY(parse(session_setting(s, "sherd.as_of"), &form, &n));
    uint64_t staleness_ms = settings_ms(s, "sherd.read_staleness");
    switch (form) {
    case PAST_NONE:
        o->as_of = o->read_only && staleness_ms > 0 ? ago(s, staleness_ms) : 0;
        break;
    case PAST_TIMESTAMP:
        o->as_of = n;
        break;
    case PAST_AGO:
        o->as_of = ago(s, n);
        break;
    case PAST_AT:
        o->as_of = tso_of_wall((int64_t)n);
        break;
    }
    o->may_follow = o->as_of != 0;
    o->read_only |= o->as_of != 0;
    return NULL;
}

struct status *past_check_plan(const struct session *s, const struct plan *p)
{
    uint64_t as_of = txn_as_of(s->txn);
    /* READ COMMITTED takes a new snapshot for each statement. */
    uint64_t start = txn_isolation(s->txn) == TXN_READ_COMMITTED ? 0 : txn_start(s->txn);
    uint64_t at = as_of != 0 ? as_of : start;
    const char *table = at != 0 ? plan_changed_after(p, at) : NULL;
    if (table == NULL) {
        return NULL;
    }
    if (as_of == 0) {
        return status_new(CONFLICT,
                          "could not serialize access: table \"%s\" was changed after the "
                          "transaction's snapshot",
                          table);
    }
    return status_hint(status_new(UNSUPPORTED,
                                  "table \"%s\" was made or changed after the time that is read",
                                  table),
                       "Its form at that time is not kept; read it as of a later time.");
}
