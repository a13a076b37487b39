/*
 * Foreign keys. A new reference: the parent's key must exist and is locked KEY SHARE (OP_EXISTS). A
 * key that goes away or changes: no child may have it. With an index on the child's columns that is
 * one span that must be empty (OP_ABSENT); without one the child is scanned when the statement's
 * writes are done. Both hold at the end of the statement, as NO ACTION does; RESTRICT is treated
 * the same. CASCADE and its kin: foreign_action.c.
 */
#include "exec.h"

#include "analyze/analyze.h"
#include "base/check.h"
#include "sql/codec.h"

static bool same_datum(type_oid type, const struct datum *a, const struct datum *b)
{
    return a->is_null == b->is_null && (a->is_null || type_compare(type, a, b) == 0);
}

/* A value of one side's type as the other side's. */
static struct status *convert(struct writer *w, type_oid from, type_oid to, const struct datum *in,
                              struct datum *out)
{
    *out = *in;
    if (from == to || in->is_null) {
        return NULL;
    }
    struct expr *c = expr_const(w->a, from, *in), *cast;
    c->typmod = c->location = -1;
    TRY(expr_cast(w->a, c, to, -1, CAST_ASSIGNMENT, &cast));
    struct eval_ctx ev = w->r->eval;
    ev.arena = w->a;
    return expr_eval_const(&ev, cast, out);
}

struct status *foreign_parents(struct writer *w, const struct datum *old, struct datum *row)
{
    const struct table_write *t = w->t;
    for (int i = 0; i < t->nparents; i++) {
        const struct foreign_key *fk = &t->parents[i];
        const Sherd__V1__ConstraintDesc *c = fk->desc;
        struct datum values[32];
        bool has_null = false, changed = old == NULL;
        for (size_t k = 0; k < c->n_ordinals; k++) {
            const struct datum *d = &row[c->ordinals[k]];
            has_null |= d->is_null;
            changed |= old != NULL && !same_datum(t->table->columns[c->ordinals[k]]->type,
                                                  &old[c->ordinals[k]], d);
        }
        if (has_null || !changed || fk->parent_index->n_columns > 32) {
            continue;
        }
        for (size_t p = 0; p < fk->parent_index->n_columns; p++) {
            uint32_t want = fk->parent_index->columns[p]->ordinal;
            for (size_t k = 0; k < c->n_ref_ordinals; k++) {
                if (c->ref_ordinals[k] == want) {
                    TRY(convert(w, fk->child->columns[c->ordinals[k]]->type,
                                fk->parent->columns[want]->type, &row[c->ordinals[k]], &values[p]));
                }
            }
        }
        struct buf key = {0};
        struct status *st = index_prefix_key(fk->parent, fk->parent_index,
                                             (int)fk->parent_index->n_columns, values, &key);
        bool is_new = st == NULL && key_set_add(&w->seen_parents, buf_slice(&key), NULL);
        if (is_new) {
            struct write_op *op =
                writer_add(w, PHASE_CHECK, SHERD__V1__OP_KIND__OP_EXISTS,
                           arena_copy(w->a, buf_slice(&key)), slice_make(NULL, 0));
            op->fk = fk;
            op->row = row;
            op->op.lock = LOCK_KEY_SHARE;
        }
        buf_deinit(&key);
        TRY(st);
    }
    return NULL;
}

struct status *foreign_absent(struct writer *w, const struct foreign_key *fk, struct datum *old)
{
    const Sherd__V1__ConstraintDesc *c = fk->desc;
    struct datum values[32];
    int n = (int)c->n_ordinals;
    for (int p = 0; p < n && p < 32; p++) {
        uint32_t want = fk->child_index->columns[p]->ordinal;
        for (int k = 0; k < n; k++) {
            if (c->ordinals[k] == want) {
                TRY(convert(w, w->t->table->columns[c->ref_ordinals[k]]->type,
                            fk->child->columns[want]->type, &old[c->ref_ordinals[k]], &values[p]));
            }
        }
    }
    struct buf key = {0};
    struct status *st = index_prefix_key(fk->child, fk->child_index, n, values, &key);
    if (st == NULL) {
        struct slice start = arena_copy(w->a, buf_slice(&key));
        struct slice end =
            key_prefix_end(&key) ? arena_copy(w->a, buf_slice(&key)) : slice_make(NULL, 0);
        struct write_op *op = writer_add(w, PHASE_CHECK, SHERD__V1__OP_KIND__OP_ABSENT, start, end);
        op->fk = fk;
        op->row = old;
    }
    buf_deinit(&key);
    return st;
}

struct status *foreign_children(struct writer *w, struct datum *old, const struct datum *new_row)
{
    const struct table_write *t = w->t;
    for (int i = 0; i < t->nchildren; i++) {
        const struct foreign_key *fk = &t->children[i];
        const Sherd__V1__ConstraintDesc *c = fk->desc;
        bool has_null = false, changed = new_row == NULL;
        for (size_t k = 0; k < c->n_ref_ordinals; k++) {
            uint32_t o = c->ref_ordinals[k];
            has_null |= old[o].is_null;
            changed |=
                new_row != NULL && !same_datum(t->table->columns[o]->type, &old[o], &new_row[o]);
        }
        if (has_null || !changed) {
            continue;
        }
        uint32_t action = foreign_action(fk, new_row == NULL);
        if (fk->child_index == NULL || (action != 'a' && action != 'r')) {
            foreign_later(w, fk, old, new_row);
        } else {
            TRY(foreign_absent(w, fk, old));
        }
    }
    return NULL;
}

static void key_text(const Sherd__V1__TableDesc *t, size_t n, const uint32_t *ordinals,
                     const struct datum *row, struct buf *names, struct buf *values)
{
    for (size_t i = 0; i < n; i++) {
        const Sherd__V1__ColumnDesc *c = t->columns[ordinals[i]];
        buf_printf(names, "%s%s", i > 0 ? ", " : "", c->name);
        buf_printf(values, "%s", i > 0 ? ", " : "");
        type_output(c->type, &row[ordinals[i]], values);
    }
    buf_put_u8(names, 0);
    buf_put_u8(values, 0);
}

static struct status *still_referenced(const struct foreign_key *fk, const struct datum *row)
{
    struct buf names = {0}, values = {0};
    const Sherd__V1__ConstraintDesc *c = fk->desc;
    key_text(fk->parent, c->n_ref_ordinals, c->ref_ordinals, row, &names, &values);
    struct status *st = status_sql(
        CONSTRAINT, "23503",
        "update or delete on table \"%s\" violates foreign key constraint \"%s\" on table \"%s\"",
        fk->parent->name, c->name, fk->child->name);
    st = status_detail(st, "Key (%s)=(%s) is still referenced from table \"%s\".",
                       (char *)names.data, (char *)values.data, fk->child->name);
    buf_deinit(&names);
    buf_deinit(&values);
    return status_about(st, fk->child->name, NULL, c->name);
}

struct status *foreign_error(const struct write_op *op)
{
    const struct foreign_key *fk = op->fk;
    if (op->op.kind == SHERD__V1__OP_KIND__OP_ABSENT) {
        return still_referenced(fk, op->row);
    }
    struct buf names = {0}, values = {0};
    const Sherd__V1__ConstraintDesc *c = fk->desc;
    key_text(fk->child, c->n_ordinals, c->ordinals, op->row, &names, &values);
    struct status *st =
        status_sql(CONSTRAINT, "23503",
                   "insert or update on table \"%s\" violates foreign key constraint \"%s\"",
                   fk->child->name, c->name);
    st = status_detail(st, "Key (%s)=(%s) is not present in table \"%s\".", (char *)names.data,
                       (char *)values.data, fk->parent->name);
    buf_deinit(&names);
    buf_deinit(&values);
    return status_about(st, fk->child->name, NULL, c->name);
}

/* A scan of the whole child, filtered in its shards by the key that went away. */
struct status *foreign_scan(struct run *r, const struct table_write *t, struct arena *a,
                            const struct foreign_key *fk, struct datum *old)
{
    const Sherd__V1__ConstraintDesc *c = fk->desc;
    const Sherd__V1__IndexDesc *primary = fk->child->indexes[0];
    struct fragment fr = {.table_id = fk->child->id,
                          .index_id = primary->index_id, /* not 1 after ADD PRIMARY KEY */
                          .schema_version = fk->child->version,
                          .usable_from = primary->usable_from,
                          .limit = 1};
    fr.row_columns = table_row_columns(a, fk->child, &fr.nrow_columns);
    fr.ncolumns = 0;
    fr.columns = ARENA_ARRAY(a, int, fk->child->n_columns + 1);
    struct expr *filter = NULL;
    for (size_t o = 0; o < fk->child->n_columns; o++) {
        for (size_t k = 0; k < c->n_ordinals; k++) {
            if (c->ordinals[k] != o) {
                continue;
            }
            type_oid type = fk->child->columns[o]->type,
                     parent_type = t->table->columns[c->ref_ordinals[k]]->type;
            const struct func_def *eq;
            type_oid lt, rt, result;
            TRY(func_resolve_op(slice_str("="), type, parent_type, &eq, &lt, &rt, &result));
            struct expr *args[2] = {expr_column(a, type, -1, fr.ncolumns),
                                    expr_const(a, parent_type, old[c->ref_ordinals[k]])};
            args[1]->typmod = -1;
            TRY(expr_cast(a, args[0], lt, -1, CAST_IMPLICIT, &args[0]));
            TRY(expr_cast(a, args[1], rt, -1, CAST_IMPLICIT, &args[1]));
            struct expr **copy = ARENA_ARRAY(a, struct expr *, 2);
            memcpy(copy, args, sizeof(args));
            filter = expr_and(a, filter, expr_call(a, eq, TYPE_BOOL, 2, copy));
            fr.columns[fr.ncolumns++] = (int)o;
        }
    }
    fr.filter = filter;
    fr.spans = index_spans(a, fk->child, primary, &fr.nspans);
    struct op *op = txn_scan_current(a, r->x->txn, &fr);
    struct batch *b = NULL;
    struct status *st;
    do {
        st = op_next(r->f, op, &b);
    } while (st == NULL && b != NULL && b->nrows == 0);
    op_close(op);
    TRY(st);
    return b != NULL ? still_referenced(fk, old) : NULL;
}
