/*
 * The begin of a statement. Its tables are noted before it does anything: a schema change waits for
 * the transactions that have used its tables, and a statement for a change that was first
 * (ddl/table_users.h).
 */
#include "session_internal.h"

#include "../ddl/schema_waits.h"
#include "../ddl/table_users.h"

#define STEP_MAX_MS 10

/* One look, which does not park. *out_njobs: the changes that are to be waited for. */
static struct status *look(struct session *s, const struct plan *p, uint64_t *jobs, int *out_njobs)
{
    const struct plan_dep *deps;
    int n = plan_deps(p, &deps);
    struct catalog *c = session_catalog(s);
    struct status *st = table_users_check(s->txn, s->schema, c);
    *out_njobs = st != NULL ? 0
                            : table_users_blockers(s->router, s->txn, c, deps, n, jobs,
                                                   SCHEMA_WAIT_JOBS_MAX);
    if (st == NULL && *out_njobs == 0) {
        if (plan_is_same(p, c)) {
            table_users_note(s->txn, s->schema, c, deps, n);
        } else {
            st = status_hint(status_new(MOVED, "a table of the statement has been changed"),
                             "It is planned again.");
        }
    }
    catalog_unref(c);
    return st;
}

struct status *session_statement_begin(struct fiber *f, struct session *s, const struct plan *p)
{
    TRY(txn_statement_begin(f, s->txn)); /* first: who is turned away here undoes nothing else */
    if (txn_as_of(s->txn) != 0) {
        return NULL; /* the past does not change */
    }
    struct schema_wait w = {0};
    uint64_t jobs[SCHEMA_WAIT_JOBS_MAX];
    int njobs;
    struct status *st = look(s, p, jobs, &njobs);
    if (njobs == 0) {
        return st;
    }
    schema_wait_begin(&w, s->router, s->txn, settings_values(s)->lock_timeout_ms);
    w.session = s->id;
    for (uint64_t step = 1; st == NULL && njobs > 0;
         step = step * 2 < STEP_MAX_MS ? step * 2 : STEP_MAX_MS) {
        memcpy(w.jobs, jobs, sizeof(jobs[0]) * (size_t)njobs);
        w.njobs = njobs;
        st = schema_wait_pause(f, &w, step);
        if (st == NULL) {
            st = look(s, p, jobs, &njobs);
        }
    }
    schema_wait_end(&w);
    return st;
}
