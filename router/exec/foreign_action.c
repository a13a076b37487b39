/*
 * Foreign keys, after the statement's own writes: CASCADE, SET NULL and SET DEFAULT, and children
 * without an index that must be looked for by a scan.
 *
 * A queue of keys that went away or changed, in the order of the changes. Each action is a
 * statement on the child in the same transaction, planned as a client's would be, so that its
 * checks, indexes and own children are kept; what that leaves to do comes to the end of the same
 * queue. There is no recursion, however deep a tree is.
 *
 * When the queue is done, each key must have no child left. Actions see the statement's snapshot; a
 * child that was committed after it makes a conflict, and the transaction is run again.
 */
#include "exec.h"

#include "analyze/analyze.h"
#include "base/check.h"

enum { COLUMNS_MAX = 32 };

struct later {
    const struct table_write *t;
    const struct foreign_key *fk;
    uint32_t action;
    struct datum *old;
    const struct datum *new_row; /* NULL: deleted */
};

struct foreign_queue {
    struct later *items;
    int n, cap;
    struct plan **plans; /* the items' tables and keys are theirs */
    int nplans, plans_cap;
};

uint32_t foreign_action(const struct foreign_key *fk, bool is_delete)
{
    uint32_t action = is_delete ? fk->desc->on_delete : fk->desc->on_update;
    return action == 0 ? 'a' : action;
}

static bool is_action(uint32_t action)
{
    return action == 'c' || action == 'n' || action == 'd';
}

bool foreign_is_deferred(const struct table_write *t)
{
    for (int i = 0; i < t->nchildren; i++) {
        const struct foreign_key *fk = &t->children[i];
        if (fk->child_index == NULL || is_action(foreign_action(fk, true)) ||
            is_action(foreign_action(fk, false))) {
            return true;
        }
    }
    return false;
}

void foreign_later(struct writer *w, const struct foreign_key *fk, struct datum *old,
                   const struct datum *new_row)
{
    struct exec *x = w->r->x;
    struct arena *a = x->arena;
    if (x->foreign == NULL) {
        x->foreign = ARENA_NEW(a, struct foreign_queue);
    }
    struct foreign_queue *q = x->foreign;
    if (q->n == q->cap) {
        q->items = arena_grow(a, q->items, sizeof(*q->items) * (size_t)q->cap,
                              sizeof(*q->items) * (size_t)(q->cap * 2 + 8));
        q->cap = q->cap * 2 + 8;
    }
    q->items[q->n++] = (struct later){.t = w->t,
                                      .fk = fk,
                                      .action = foreign_action(fk, new_row == NULL),
                                      .old = old,
                                      .new_row = new_row};
}

/* ---- the statement of an action ---- */

/* DELETE FROM child WHERE a = $1 ..., or UPDATE child SET a = NULL | DEFAULT | $n+1 ... WHERE ...
 */
static struct status *statement_of(const struct exec *x, const struct later *l, struct buf *b)
{
    const Sherd__V1__ConstraintDesc *c = l->fk->desc;
    const Sherd__V1__TableDesc *child = l->fk->child;
    const Sherd__V1__SchemaDesc *s = catalog_schema_by_id(x->env.catalog, child->schema_id);
    if (s == NULL) {
        return status_new(INTERNAL, "table \"%s\" is in no schema", child->name);
    }
    bool is_delete = l->action == 'c' && l->new_row == NULL;
    buf_printf(b, is_delete ? "DELETE FROM " : "UPDATE ");
    analyze_put_name(b, s->name);
    buf_put_u8(b, '.');
    analyze_put_name(b, child->name);
    for (size_t i = 0; !is_delete && i < c->n_ordinals; i++) {
        buf_printf(b, i == 0 ? " SET " : ", ");
        analyze_put_name(b, child->columns[c->ordinals[i]]->name);
        if (l->action == 'c') {
            buf_printf(b, " = $%zu", c->n_ordinals + i + 1);
        } else {
            buf_printf(b, l->action == 'n' ? " = NULL" : " = DEFAULT");
        }
    }
    for (size_t i = 0; i < c->n_ordinals; i++) {
        buf_printf(b, i == 0 ? " WHERE " : " AND ");
        analyze_put_name(b, child->columns[c->ordinals[i]]->name);
        buf_printf(b, " = $%zu", i + 1);
    }
    return NULL;
}

static struct status *plan_action(struct run *r, const struct later *l, const type_oid *types,
                                  int ntypes, struct plan **out)
{
    struct buf text = {0};
    struct parsed *p = NULL;
    struct status *st = statement_of(r->x, l, &text);
    if (st == NULL) {
        st = parse_sql(r->f, buf_slice(&text), &p);
    }
    if (st == NULL) {
        st = plan_statement(r->f, &r->x->env, p, 0, types, ntypes, out);
    }
    parsed_free(p);
    buf_deinit(&text);
    return st;
}

static void keep_plan(struct exec *x, struct plan *p)
{
    struct foreign_queue *q = x->foreign;
    if (q->nplans == q->plans_cap) {
        size_t was = sizeof(*q->plans) * (size_t)q->plans_cap;
        q->plans_cap = q->plans_cap * 2 + 4;
        q->plans = arena_grow(x->arena, q->plans, was, sizeof(*q->plans) * (size_t)q->plans_cap);
    }
    q->plans[q->nplans++] = p;
}

/* One action's statement, planned once for all keys of the same foreign key that follow. */
struct prepared_action {
    const struct foreign_key *fk;
    bool is_delete;
    struct plan *plan;
};

static struct status *act(struct run *r, const struct later *l, struct prepared_action *last)
{
    struct exec *x = r->x;
    const Sherd__V1__ConstraintDesc *c = l->fk->desc;
    size_t n = c->n_ordinals;
    if (n > COLUMNS_MAX || c->n_ref_ordinals != n) {
        return status_new(INTERNAL, "foreign key \"%s\" has %zu columns", c->name, n);
    }
    type_oid types[2 * COLUMNS_MAX];
    struct datum *params = ARENA_ARRAY(x->arena, struct datum, 2 * n);
    bool with_new = l->action == 'c' && l->new_row != NULL;
    for (size_t i = 0; i < n; i++) {
        uint32_t o = c->ref_ordinals[i];
        types[i] = types[n + i] = l->t->table->columns[o]->type;
        params[i] = l->old[o];
        params[n + i] = with_new ? l->new_row[o] : DATUM_NULL;
    }
    int nparams = (int)(with_new ? 2 * n : n);
    if (last->plan == NULL || last->fk != l->fk || last->is_delete != (l->new_row == NULL)) {
        struct plan *p;
        TRY(plan_action(r, l, types, nparams, &p));
        keep_plan(x, p);
        *last = (struct prepared_action){l->fk, l->new_row == NULL, p};
    }
    struct exec inner = *x;
    inner.params = params;
    inner.nparams = nparams;
    inner.is_last = false;
    struct op *none = NULL;
    TRY(plan_open(r->f, last->plan, &inner, &none));
    ASSERT(none == NULL); /* no RETURNING: it is done */
    return NULL;
}

/* ---- the end ---- */

/* A child that an action has not seen was committed after the snapshot. */
static struct status *as_conflict(const struct later *l, struct status *st)
{
    bool is_missed = (l->action == 'c' || l->action == 'n') && status_is(st, STATUS_CONSTRAINT);
    if (!is_missed) {
        return st;
    }
    status_free(st);
    return status_hint(status_new(CONFLICT, "could not serialize access due to concurrent update"),
                       "The transaction might succeed if retried.");
}

static struct status *check(struct run *r, const struct later *l)
{
    struct arena *a = arena_create(0);
    struct status *st;
    if (l->fk->child_index == NULL) {
        st = foreign_scan(r, l->t, a, l->fk, l->old);
    } else {
        struct writer w;
        writer_init(&w, r, l->t, a);
        st = foreign_absent(&w, l->fk, l->old);
        if (st == NULL) {
            st = writer_flush(&w, false);
        }
    }
    arena_destroy(a);
    return as_conflict(l, st);
}

struct status *foreign_finish(struct run *r)
{
    struct foreign_queue *q = r->x->foreign;
    struct prepared_action last = {0};
    struct status *st = NULL;
    for (int i = 0; st == NULL && i < q->n; i++) { /* grows meanwhile */
        struct later l = q->items[i];
        st = is_action(l.action) ? act(r, &l, &last) : NULL;
    }
    for (int i = 0; st == NULL && i < q->n; i++) {
        st = check(r, &q->items[i]);
    }
    for (int i = 0; i < q->nplans; i++) {
        plan_unref(q->plans[i]);
    }
    r->x->foreign = NULL;
    return st;
}
