/*
 * Execution of a plan: private to exec/, plan/explain.c and plan/copy.c.
 *
 * A run holds what one execution adds to the immutable plan: parameters and correlation slots,
 * results of sub-selects and WITH queries that are computed once, counters for EXPLAIN ANALYZE.
 * Operators of sub-selects that run again and again live in arenas of their own.
 */
#ifndef ROUTER_EXEC_EXEC_H
#define ROUTER_EXEC_EXEC_H

#include "plan/pnode.h"
#include "sql/operator.h"

struct batch_list {
    int n, cap;
    struct batch **b;
    uint64_t rows;
};

struct subplan_run {
    bool is_done; /* not correlated: the result is there */
    struct datum value;
    struct batch_list rows;
    bool has_null;
    struct value_set *set;
};

struct node_stats {
    uint64_t rows, loops, ns;
};

struct run {
    struct exec *x;
    const struct plan *plan;
    struct fiber *f; /* of the call in progress */
    struct arena *arena;
    struct eval_ctx eval;
    struct datum *params; /* the statement's, then the slots */
    int nparams;
    struct subplan_run *subplans;
    struct batch_list **ctes; /* by id */
    struct node_stats *stats; /* EXPLAIN ANALYZE */
};

struct status *run_create(struct fiber *f, const struct plan *p, struct exec *x,
                          struct run **out) STATUS_MUST_CHECK;
/* The operators of a node, in the arena. */
struct status *run_open(struct run *r, struct arena *a, const struct pnode *n,
                        struct op **out) STATUS_MUST_CHECK;
/* Reads all into the arena. Closes op, also on error. 53200 beyond the budget. */
struct status *materialize(struct run *r, struct arena *a, struct op *op,
                           struct batch_list *out) STATUS_MUST_CHECK;
struct batch *batch_deep_copy(struct arena *a, const struct batch *b);
size_t batch_bytes(const struct batch *b); /* what a deep copy takes */
struct status *eval_int(struct run *r, const struct expr *e, const char *what,
                        int64_t *out) STATUS_MUST_CHECK;
struct op *op_empty(struct arena *a, int ncols, const uint32_t *types);

/* nodes.c */
struct op *op_one(struct arena *a);
struct op *op_permute(struct arena *a, struct op *in, int n, struct expr *const *exprs,
                      const uint32_t *types);
struct op *op_srf(struct run *r, struct arena *a, const struct pnode *n, struct op *in);
struct op *op_apply(struct run *r, struct arena *a, const struct pnode *n, struct op *left);
struct op *op_lookup(struct run *r, struct arena *a, const struct pnode *n, struct op *left);
struct op *op_distinct_on(struct arena *a, struct op *in, int nkeys, const int *keys);
struct op *op_counted(struct run *r, struct arena *a, struct op *in, int id);
struct status *op_cte(struct run *r, struct arena *a, const struct pnode *n,
                      struct op **out) STATUS_MUST_CHECK;
struct status *op_system(struct run *r, struct arena *a, const struct pnode *n,
                         struct op **out) STATUS_MUST_CHECK;

/* scan.c */
struct span_list {
    struct arena *a;
    int n, cap;
    struct key_span *spans;
};
/* Spans of the scan's keys: outer values by span key, or NULL to evaluate the key expressions. */
struct status *scan_spans(struct run *r, struct arena *a, const struct scan *s,
                          struct span_list *out) STATUS_MUST_CHECK;
struct status *scan_lookup_spans(struct run *r, struct arena *a, const struct scan *s,
                                 const struct batch *outer,
                                 struct span_list *out) STATUS_MUST_CHECK;
struct status *scan_open(struct run *r, struct arena *a, const struct pnode *n,
                         struct span_list *spans, struct op **out) STATUS_MUST_CHECK;
/* The fragment that changes the scan's rows in their shards; NULL: no keys, so no rows. */
struct status *scan_change(struct run *r, struct arena *a, const struct scan *s,
                           const struct change_plan *cp, struct fragment **out) STATUS_MUST_CHECK;
void span_add(struct span_list *l, struct key_span s);
void spans_sort(struct span_list *l); /* ascending, disjoint */
/* Parameters, stable calls and uncorrelated sub-selects to constants. */
struct expr *bind_expr(struct run *r, struct arena *a, struct expr *e, struct status **st);

/* subplan.c */
struct status *subplan_eval(void *ctx, const struct expr *e, const struct datum *outer,
                            struct datum *out) STATUS_MUST_CHECK;

/* ---- writes (write.c, dml.c, conflict.c, foreign.c) ---- */

struct key_set { /* of byte strings */
    struct arena *a;
    size_t count, mask;
    struct key_entry **buckets;
};
void key_set_init(struct key_set *s, struct arena *a);
/* False: it was there. *slot (may be NULL) is the entry's value, zero at first. */
bool key_set_add(struct key_set *s, struct slice key, int **slot);
int *key_set_find(const struct key_set *s, struct slice key);

enum write_phase { PHASE_DELETE, PHASE_PUT, PHASE_CHECK, PHASES };

struct write_op {
    struct txn_write op;
    const struct index_write *index; /* INSERT: whose key must be new */
    const struct foreign_key *fk;    /* EXISTS, ABSENT */
    struct datum *row;
    bool is_update; /* a key that an existing row moves to: never looked up again */
};

struct op_list {
    int n, cap;
    struct write_op *ops;
};

/* The key operations of one statement, sent in phases: what goes away, what comes, what must be so
 * at the end. */
struct writer {
    struct run *r;
    const struct table_write *t;
    struct arena *a; /* of the ops: emptied with each chunk */
    struct op_list phases[PHASES];
    struct key_set seen_parents;
    bool may_finish;                        /* the statement's last call may carry the commit */
    const struct index_write *failed_index; /* flush: an INSERT's key was there */
    struct datum *failed_row;
    bool in_update;
    int calls;            /* made by the flush before the one that failed */
    bool wants_conflicts; /* report it through failed_index instead of an error */
};

void writer_init(struct writer *w, struct run *r, const struct table_write *t, struct arena *a);
struct status *write_insert(struct writer *w, struct datum *row) STATUS_MUST_CHECK;
struct status *write_update(struct writer *w, struct datum *old,
                            struct datum *new_row) STATUS_MUST_CHECK;
struct status *write_delete(struct writer *w, struct datum *old) STATUS_MUST_CHECK;
/* Sends what has gathered. */
struct status *writer_flush(struct writer *w, bool is_last) STATUS_MUST_CHECK;
void writer_reset(struct writer *w);
struct write_op *writer_add(struct writer *w, enum write_phase ph, Sherd__V1__OpKind kind,
                            struct slice key, struct slice value);
struct slice writer_key(struct writer *w, const Sherd__V1__IndexDesc *ix, const struct datum *row,
                        struct status **st);

/* Fills the hidden key and generated columns, then NOT NULL and CHECK. rows: one column per
 * ordinal; columns may be replaced by others of the arena. */
struct status *rows_complete(struct run *r, const struct table_write *t, struct arena *a,
                             struct batch *rows, bool is_insert) STATUS_MUST_CHECK;
struct datum *row_of(struct arena *a, const struct batch *rows, int i);

/* foreign.c */
struct status *foreign_parents(struct writer *w, const struct datum *old,
                               struct datum *row) STATUS_MUST_CHECK;
struct status *foreign_children(struct writer *w, struct datum *old,
                                const struct datum *new_row) STATUS_MUST_CHECK;
struct status *foreign_error(const struct write_op *op);
/* The operation that the key of `old` has no child any more; with an index on the child's columns.
 */
struct status *foreign_absent(struct writer *w, const struct foreign_key *fk,
                              struct datum *old) STATUS_MUST_CHECK;
/* The same without an index: a scan of the child. */
struct status *foreign_scan(struct run *r, const struct table_write *t, struct arena *a,
                            const struct foreign_key *fk, struct datum *old) STATUS_MUST_CHECK;

/* foreign_action.c: what is done when the statement's own writes are. */
uint32_t foreign_action(const struct foreign_key *fk, bool is_delete); /* 'a', 'r', 'c', 'n', 'd' */
/* Changes of the table may leave something to foreign_finish(): then its own writes are not the
 * last. */
bool foreign_is_deferred(const struct table_write *t);
void foreign_later(struct writer *w, const struct foreign_key *fk, struct datum *old,
                   const struct datum *new_row);
struct status *foreign_finish(struct run *r) STATUS_MUST_CHECK;

/* conflict.c: ON CONFLICT. */
struct status *insert_conflicts(struct run *r, const struct plan_write *pw, struct batch_list *rows,
                                struct batch_list *out) STATUS_MUST_CHECK;
/* Inserts a chunk of complete-able rows; used by INSERT and COPY. */
struct status *insert_rows(struct run *r, const struct table_write *t, struct writer *w,
                           struct arena *a, struct batch *rows, bool is_last) STATUS_MUST_CHECK;
/* dml.c: runs the write; *out gives RETURNING's rows or is NULL. */
struct status *run_write(struct run *r, struct op **out) STATUS_MUST_CHECK;
struct status *returning_rows(struct run *r, const struct plan_write *pw, const struct batch *rows,
                              const struct batch *input, struct batch_list *out) STATUS_MUST_CHECK;
void batch_list_add(struct arena *a, struct batch_list *l, struct batch *b);

#endif
