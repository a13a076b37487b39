/* See history.h. */
#include "history.h"

#include "base/buf.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct history_txn *history_begin(struct history *h, uint64_t now_ns, char label)
{
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 256 : h->cap * 2;
        h->txns = mem_realloc(h->txns, sizeof(*h->txns) * (size_t)h->cap);
    }
    struct history_txn *t = MEM_NEW(struct history_txn);
    t->id = h->count;
    t->begin_ns = now_ns;
    t->end_ns = UINT64_MAX;
    t->label = label;
    h->txns[h->count++] = t;
    return t;
}

void history_see(struct history_op *op, const uint8_t *list, size_t len)
{
    op->seen_count = (int)(len / 4);
    op->seen = mem_alloc(len + 4);
    for (int i = 0; i < op->seen_count; i++) {
        op->seen[i] = get_u32(list + 4 * i);
    }
}

void history_forget(struct history_txn *t, int count)
{
    while (t->op_count > count) {
        t->op_count--;
        mem_free(t->ops[t->op_count].seen);
        memset(&t->ops[t->op_count], 0, sizeof(t->ops[0]));
    }
}

void history_end(struct history_txn *t, enum told outcome, uint64_t now_ns)
{
    t->outcome = outcome;
    t->end_ns = outcome == TOLD_UNKNOWN ? UINT64_MAX : now_ns;
}

void history_free(struct history *h)
{
    for (int i = 0; i < h->count; i++) {
        for (int k = 0; k < h->txns[i]->op_count; k++) {
            mem_free(h->txns[i]->ops[k].seen);
        }
        mem_free(h->txns[i]);
    }
    mem_free(h->txns);
    memset(h, 0, sizeof(*h));
}

struct check {
    const struct history *h;
    /* by key: the longest list read, and who wrote each element */
    uint32_t **order;
    int *order_len;
    int *writer; /* by element: transaction, -1 = none */
    uint32_t element_max;
    uint8_t *edges; /* n * n: bits of enum edge */
    int n;
    struct buf text;
};

enum edge { EDGE_WW = 1, EDGE_WR = 2, EDGE_RW = 4, EDGE_RT = 8 };

static bool is_done(const struct history_txn *t)
{
    return t->outcome != TOLD_ABORTED;
}

/* The element each op of one transaction sees must include its own earlier appends. */
static void find_orders(struct check *c)
{
    const struct history *h = c->h;
    for (int i = 0; i < h->count; i++) {
        const struct history_txn *t = h->txns[i];
        if (t->outcome != TOLD_COMMITTED) {
            continue;
        }
        for (int k = 0; k < t->op_count; k++) {
            const struct history_op *o = &t->ops[k];
            if (!o->is_append && o->seen_count > c->order_len[o->key]) {
                c->order[o->key] = o->seen;
                c->order_len[o->key] = o->seen_count;
            }
        }
    }
}

/* What a transaction has appended to a list ends every list of that key that it reads later. */
static bool check_own(struct check *c, int i, int op)
{
    const struct history_txn *t = c->h->txns[i];
    const struct history_op *o = &t->ops[op];
    int at = o->seen_count;
    for (int k = op - 1; k >= 0; k--) {
        const struct history_op *own = &t->ops[k];
        if (!own->is_append || own->key != o->key) {
            continue;
        }
        if (--at < 0 || o->seen[at] != own->element) {
            buf_printf(&c->text,
                       "internal: transaction %d (%c) does not read its own element %u of key %d",
                       i, t->label, own->element, o->key);
            return false;
        }
    }
    return true;
}

/* G1b: the list that is read ends between two elements of another transaction. */
static bool check_intermediate(struct check *c, int i, const struct history_op *o)
{
    uint32_t last = o->seen[o->seen_count - 1];
    int w = c->writer[last];
    const struct history_txn *u = c->h->txns[w];
    bool is_later = false;
    for (int k = 0; k < u->op_count && w != i; k++) {
        const struct history_op *x = &u->ops[k];
        if (is_later && x->is_append && x->key == o->key) {
            buf_printf(&c->text,
                       "G1b: transaction %d (%c) read key %d up to element %u of %d (%c), which "
                       "went on with %u",
                       i, c->h->txns[i]->label, o->key, last, w, u->label, x->element);
            return false;
        }
        is_later |= x->is_append && x->key == o->key && x->element == last;
    }
    return true;
}

static bool check_reads(struct check *c)
{
    const struct history *h = c->h;
    for (int i = 0; i < h->count; i++) {
        const struct history_txn *t = h->txns[i];
        if (t->outcome != TOLD_COMMITTED) {
            continue;
        }
        for (int k = 0; k < t->op_count; k++) {
            const struct history_op *o = &t->ops[k];
            if (o->is_append) {
                continue;
            }
            if (!check_own(c, i, k)) {
                return false;
            }
            for (int e = 0; e < o->seen_count; e++) {
                uint32_t x = o->seen[e];
                if (x != c->order[o->key][e]) {
                    buf_printf(&c->text,
                               "incompatible orders of key %d: transaction %d (%c) read %u at "
                               "position %d, "
                               "another read %u there",
                               o->key, i, t->label, x, e, c->order[o->key][e]);
                    return false;
                }
                int w = x <= c->element_max ? c->writer[x] : -1;
                if (w < 0) {
                    buf_printf(&c->text,
                               "transaction %d read element %u of key %d which nobody wrote", i, x,
                               o->key);
                    return false;
                }
                if (h->txns[w]->outcome == TOLD_ABORTED) {
                    buf_printf(&c->text,
                               "G1a: transaction %d (%c) read element %u of key %d, written by %d "
                               "(%c), which "
                               "was told that it is aborted",
                               i, t->label, x, o->key, w, h->txns[w]->label);
                    return false;
                }
                for (int b = 0; b < e; b++) {
                    if (o->seen[b] == x) {
                        buf_printf(&c->text, "duplicate: element %u of key %d is there twice", x,
                                   o->key);
                        return false;
                    }
                }
            }
            if (o->seen_count > 0 && !check_intermediate(c, i, o)) {
                return false;
            }
        }
    }
    return true;
}

static void add_edge(struct check *c, int from, int to, enum edge kind)
{
    if (from != to) {
        c->edges[(size_t)from * (size_t)c->n + (size_t)to] |= (uint8_t)kind;
    }
}

static void add_edges(struct check *c)
{
    const struct history *h = c->h;
    for (int key = 0; key < h->key_count; key++) {
        for (int e = 1; e < c->order_len[key]; e++) {
            add_edge(c, c->writer[c->order[key][e - 1]], c->writer[c->order[key][e]], EDGE_WW);
        }
    }
    for (int i = 0; i < h->count; i++) {
        const struct history_txn *t = h->txns[i];
        if (t->outcome != TOLD_COMMITTED) {
            continue;
        }
        for (int k = 0; k < t->op_count; k++) {
            const struct history_op *o = &t->ops[k];
            if (o->is_append) {
                continue;
            }
            if (o->seen_count > 0) {
                add_edge(c, c->writer[o->seen[o->seen_count - 1]], i, EDGE_WR);
            }
            if (o->seen_count < c->order_len[o->key]) {
                int next = c->writer[c->order[o->key][o->seen_count]];
                add_edge(c, i, next, EDGE_RW);
            }
        }
        for (int j = 0; j < h->count; j++) {
            const struct history_txn *u = h->txns[j];
            /* An unknown one that was seen is committed, at an unknown time: only its begin is
             * known. */
            if (is_done(u) && t->end_ns < u->begin_ns && !u->is_snapshot) {
                add_edge(c, i, j, EDGE_RT);
            }
        }
    }
}

/* An acknowledged append must be in the final order of its key (the last reads see all). */
static bool check_durable(struct check *c)
{
    const struct history *h = c->h;
    for (int i = 0; i < h->count; i++) {
        const struct history_txn *t = h->txns[i];
        for (int k = 0; k < t->op_count && t->outcome == TOLD_COMMITTED; k++) {
            const struct history_op *o = &t->ops[k];
            bool is_there = !o->is_append;
            for (int e = 0; e < c->order_len[o->key] && !is_there; e++) {
                is_there = c->order[o->key][e] == o->element;
            }
            if (!is_there) {
                buf_printf(
                    &c->text,
                    "lost: element %u of key %d, acknowledged to transaction %d (%c), is gone",
                    o->element, o->key, i, t->label);
                return false;
            }
        }
    }
    return true;
}

/* All elements of one transaction are there, or none. */
static bool check_atomic(struct check *c)
{
    const struct history *h = c->h;
    for (int i = 0; i < h->count; i++) {
        const struct history_txn *t = h->txns[i];
        int there = 0, appends = 0;
        for (int k = 0; k < t->op_count; k++) {
            const struct history_op *o = &t->ops[k];
            if (!o->is_append) {
                continue;
            }
            appends++;
            for (int e = 0; e < c->order_len[o->key]; e++) {
                there += c->order[o->key][e] == o->element;
            }
        }
        if (there != 0 && there != appends) {
            buf_printf(&c->text,
                       "half a transaction: %d of %d appends of transaction %d (%c) are there",
                       there, appends, i, t->label);
            return false;
        }
    }
    return true;
}

/* ---- cycles: shortest one through each node, by breadth-first search ---- */

static void describe_edge(struct buf *out, uint8_t e)
{
    buf_printf(out, "%s", e & EDGE_WR ? "wr" : e & EDGE_WW ? "ww" : e & EDGE_RW ? "rw" : "rt");
}

#define EDGES_COMMITTED (EDGE_WW | EDGE_WR)
#define EDGES_SERIAL (EDGES_COMMITTED | EDGE_RW)

static uint8_t edge(const struct check *c, int from, int to)
{
    return c->edges[(size_t)from * (size_t)c->n + (size_t)to];
}

static void describe_step(struct check *c, int from, int to, uint8_t mask)
{
    buf_printf(&c->text, " %d(%c)-", from, c->h->txns[from]->label);
    describe_edge(&c->text, edge(c, from, to) & mask);
    buf_printf(&c->text, "->%d(%c)", to, c->h->txns[to]->label);
}

/* G-single: a transaction that misses a write (rw) and sees another that rests on it. */
static bool find_single_of(struct check *c, int i, int *next, int *queue)
{
    int n = c->n, head = 0, tail = 0;
    for (int j = 0; j < n; j++) {
        next[j] = -1; /* the way from j to i, by ww and wr edges */
    }
    next[i] = i;
    queue[tail++] = i;
    while (head < tail) {
        int to = queue[head++];
        for (int from = 0; from < n; from++) {
            if (next[from] < 0 && (edge(c, from, to) & EDGES_COMMITTED) != 0) {
                next[from] = to;
                queue[tail++] = from;
            }
        }
    }
    for (int j = 0; j < n; j++) {
        if ((edge(c, i, j) & EDGE_RW) != 0 && next[j] >= 0) {
            buf_printf(&c->text, "G-single: cycle");
            describe_step(c, i, j, EDGE_RW);
            for (int at = j; at != i; at = next[at]) {
                describe_step(c, at, next[at], EDGES_COMMITTED);
            }
            return true;
        }
    }
    return false;
}

/* all: of every transaction, else of those that have a snapshot. */
static bool find_single(struct check *c, bool all)
{
    int *next = mem_alloc(sizeof(int) * (size_t)c->n);
    int *queue = mem_alloc(sizeof(int) * (size_t)c->n);
    bool found = false;
    for (int i = 0; i < c->n && !found; i++) {
        const struct history_txn *t = c->h->txns[i];
        if (t->outcome == TOLD_COMMITTED && (all || t->has_snapshot)) {
            found = find_single_of(c, i, next, queue);
        }
    }
    mem_free(next);
    mem_free(queue);
    return found;
}

static bool find_cycle(struct check *c, uint8_t mask, const char *name)
{
    int n = c->n;
    int *parent = mem_alloc(sizeof(int) * (size_t)n);
    int *queue = mem_alloc(sizeof(int) * (size_t)n);
    int *indegree = mem_zalloc(sizeof(int) * (size_t)n);
    /* Peel off what is in no cycle. */
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            indegree[j] += (c->edges[(size_t)i * (size_t)n + (size_t)j] & mask) != 0;
        }
    }
    int head = 0, tail = 0;
    for (int i = 0; i < n; i++) {
        if (indegree[i] == 0) {
            queue[tail++] = i;
        }
    }
    while (head < tail) {
        int i = queue[head++];
        indegree[i] = -1;
        for (int j = 0; j < n; j++) {
            if ((c->edges[(size_t)i * (size_t)n + (size_t)j] & mask) != 0 && --indegree[j] == 0) {
                queue[tail++] = j;
            }
        }
    }
    bool found = false;
    for (int s = 0; s < n && !found; s++) {
        if (indegree[s] <= 0) {
            continue;
        }
        for (int i = 0; i < n; i++) {
            parent[i] = -1;
        }
        head = tail = 0;
        queue[tail++] = s;
        while (head < tail && !found) {
            int i = queue[head++];
            for (int j = 0; j < n && !found; j++) {
                if ((c->edges[(size_t)i * (size_t)n + (size_t)j] & mask) == 0 || indegree[j] <= 0) {
                    continue;
                }
                if (j == s) {
                    found = true;
                    int path[64];
                    int len = 0;
                    for (int at = i; at != s && len < 63; at = parent[at]) {
                        path[len++] = at;
                    }
                    buf_printf(&c->text, "%s: cycle", name);
                    int from = s;
                    for (int k = len - 1; k >= -1; k--) {
                        int to = k >= 0 ? path[k] : s;
                        describe_step(c, from, to, mask);
                        from = to;
                    }
                } else if (parent[j] < 0) {
                    parent[j] = i;
                    queue[tail++] = j;
                }
            }
        }
    }
    mem_free(parent);
    mem_free(queue);
    mem_free(indegree);
    return found;
}

/* Neither G0 nor G1. */
static void check_anti_dependencies(struct check *c, enum history_level level)
{
    if (level == HISTORY_COMMITTED) {
        if (!find_single(c, false)) {
            find_cycle(c, EDGES_COMMITTED | EDGE_RT, "not strict (real time)");
        }
        return;
    }
    if (find_cycle(c, EDGES_SERIAL, "G2 (not serializable)")) {
        struct buf g2 = c->text;
        c->text = (struct buf){0};
        if (find_single(c, true)) {
            buf_deinit(&g2);
        } else {
            c->text = g2;
        }
        return;
    }
    find_cycle(c, EDGES_SERIAL | EDGE_RT, "not strict (real time)");
}

char *history_check(const struct history *h, enum history_level level)
{
    struct check c = {.h = h, .n = h->count};
    c.order = mem_zalloc(sizeof(*c.order) * (size_t)(h->key_count + 1));
    c.order_len = mem_zalloc(sizeof(int) * (size_t)(h->key_count + 1));
    for (int i = 0; i < h->count; i++) {
        for (int k = 0; k < h->txns[i]->op_count; k++) {
            if (h->txns[i]->ops[k].is_append && h->txns[i]->ops[k].element > c.element_max) {
                c.element_max = h->txns[i]->ops[k].element;
            }
        }
    }
    c.writer = mem_alloc(sizeof(int) * ((size_t)c.element_max + 1));
    for (uint32_t e = 0; e <= c.element_max; e++) {
        c.writer[e] = -1;
    }
    for (int i = 0; i < h->count; i++) {
        for (int k = 0; k < h->txns[i]->op_count; k++) {
            if (h->txns[i]->ops[k].is_append) {
                c.writer[h->txns[i]->ops[k].element] = i;
            }
        }
    }
    find_orders(&c);
    if (check_reads(&c) && check_durable(&c) && check_atomic(&c)) {
        c.edges = mem_zalloc((size_t)c.n * (size_t)c.n + 1);
        add_edges(&c);
        if (!find_cycle(&c, EDGE_WW, "G0") && !find_cycle(&c, EDGES_COMMITTED, "G1c")) {
            check_anti_dependencies(&c, level);
        }
        mem_free(c.edges);
    }
    mem_free(c.order);
    mem_free(c.order_len);
    mem_free(c.writer);
    if (c.text.len == 0) {
        buf_deinit(&c.text);
        return NULL;
    }
    buf_put_u8(&c.text, 0);
    size_t len;
    return (char *)buf_take(&c.text, &len);
}
