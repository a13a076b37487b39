/* See observer.h. */
#include "observer.h"

#include "base/buggify.h"
#include "base/mem.h"
#include "entry.h"
#include "observe.h"
#include "part.h"
#include "router_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

struct prepared_at { /* by participant: the highest attempt that it has ever had PREPARED */
    uint64_t shard_id;
    uint32_t attempt;
    uint64_t commit;
    bool is_empty; /* writes nothing there (any more) */
};

struct observed_txn {
    UT_hash_handle hh;
    struct txn_id id;
    uint64_t *participants; /* shards, as the PREPARED records name them */
    size_t participant_count;
    struct prepared_at *prepared; /* one for every (shard, attempt) */
    size_t prepared_count, prepared_cap;
    uint32_t complete_attempt; /* I1: all participants have had it; 0 = none */
    uint64_t complete_commit;
    uint32_t one_attempt; /* committed by one shard alone; 0 = not */
    uint64_t one_commit;
    bool is_decided_elsewhere; /* by a schema change: I1 is not by its prepares */
    uint64_t versions_at;      /* timestamp of its first version; 0 = none */
    enum router_told told;
    uint64_t begin_ns, told_ns, told_commit;
    bool has_writes;
};

struct observed_group {
    UT_hash_handle hh;
    uint64_t group_id;
    uint64_t seen;  /* highest index applied anywhere */
    uint64_t *sums; /* by index */
    size_t cap;
};

struct observed_key {
    UT_hash_handle hh;
    uint64_t newest;  /* version */
    uint64_t read_at; /* highest read of this very key */
    size_t len;
    uint8_t key[];
};

struct observed_span { /* a range that was read, with the highest timestamp of a read */
    UT_hash_handle hh;
    uint64_t read_at;
    size_t start_len, end_len;
    size_t len;
    uint8_t bytes[]; /* u32 start length | start | end: the hash key */
};

struct staged { /* versions of a part, until its merge */
    struct list link;
    struct txn_id id;
    uint64_t ts;
    uint64_t group_id;
    struct buf entry;
};

static struct {
    struct cluster *cluster;
    struct observed_txn *txns;
    struct observed_group *groups;
    struct observed_key *keys;
    struct observed_span *spans;
    struct list staged;
    struct observer_stats stats;
} seen;

static struct observed_txn *txn_of(struct txn_id id)
{
    struct observed_txn *t = NULL;
    HASH_FIND(hh, seen.txns, &id, sizeof(id), t);
    if (t == NULL) {
        t = MEM_NEW(struct observed_txn);
        t->id = id;
        HASH_ADD(hh, seen.txns, id, sizeof(t->id), t);
    }
    return t;
}

static struct observed_key *key_of(struct slice key)
{
    struct observed_key *k = NULL;
    HASH_FIND(hh, seen.keys, key.data, key.len, k);
    if (k == NULL) {
        k = mem_zalloc(sizeof(*k) + key.len);
        k->len = key.len;
        memcpy(k->key, key.data, key.len);
        HASH_ADD_KEYPTR(hh, seen.keys, k->key, k->len, k);
    }
    return k;
}

#define TXN(t) (unsigned long long)(t)->id.incarnation, (unsigned long long)(t)->id.counter

static void trace_txn(const struct observed_txn *t, const char *what, uint64_t group_id,
                      uint32_t attempt, uint64_t commit)
{
    if (seen.cluster->trace) {
        printf("%.6f transaction %llu.%llu: %s in shard %llu, attempt %u at %llu\n",
               (double)sim_now_ns(seen.cluster->sim) / 1e9, TXN(t), what,
               (unsigned long long)group_id, attempt, (unsigned long long)commit);
    }
}

/* ---- versions: I3, I4 ---- */

/* I4: a version, or a pending lock in the log, comes to be at ts. */
static void above_reads(uint64_t group_id, struct slice key, uint64_t ts)
{
    uint64_t read_at = key_of(key)->read_at;
    for (struct observed_span *s = seen.spans; s != NULL; s = s->hh.next) {
        if (s->read_at > read_at && slice_cmp(slice_make(s->bytes + 4, s->start_len), key) <= 0 &&
            (s->end_len == 0 ||
             slice_cmp(key, slice_make(s->bytes + 4 + s->start_len, s->end_len)) < 0)) {
            read_at = s->read_at;
        }
    }
    if (read_at >= ts) {
        cluster_fail(
            seen.cluster, "I4: shard %llu puts something at %llu on a key that was read at %llu",
            (unsigned long long)group_id, (unsigned long long)ts, (unsigned long long)read_at);
    }
}

static void trace_version(uint64_t group_id, struct slice key, uint64_t ts, bool is_gone)
{
    if (!seen.cluster->trace) {
        return;
    }
    printf("%.6f shard %llu: %s ", (double)sim_now_ns(seen.cluster->sim) / 1e9,
           (unsigned long long)group_id, is_gone ? "deletes" : "puts");
    for (size_t i = 0; i < key.len; i++) {
        printf("%02x", key.data[i]);
    }
    printf(" at %llu\n", (unsigned long long)ts);
}

/* is_new: not of a transaction that was prepared, which readers have been able to see since (F3).
 */
static void version(uint64_t group_id, struct slice key, uint64_t ts, bool is_new)
{
    struct observed_key *k = key_of(key);
    seen.stats.versions++;
    if (ts <= k->newest) {
        cluster_fail(seen.cluster, "I3: shard %llu puts a version at %llu above one at %llu",
                     (unsigned long long)group_id, (unsigned long long)ts,
                     (unsigned long long)k->newest);
    }
    k->newest = ts;
    if (is_new) {
        above_reads(group_id, key, ts);
    }
}

static void observe_read(uint64_t shard_id, const struct key_span *span, uint64_t ts)
{
    (void)shard_id;
    seen.stats.reads++;
    if (span->is_point) {
        struct observed_key *k = key_of(span->start);
        k->read_at = ts > k->read_at ? ts : k->read_at;
        return;
    }
    struct buf b = {0};
    buf_put_u32(&b, (uint32_t)span->start.len);
    buf_put_slice(&b, span->start);
    buf_put_slice(&b, span->end);
    struct observed_span *s = NULL;
    HASH_FIND(hh, seen.spans, b.data, b.len, s);
    if (s == NULL) {
        s = mem_zalloc(sizeof(*s) + b.len);
        s->start_len = span->start.len;
        s->end_len = span->end.len;
        s->len = b.len;
        memcpy(s->bytes, b.data, b.len);
        HASH_ADD_KEYPTR(hh, seen.spans, s->bytes, s->len, s);
    }
    s->read_at = ts > s->read_at ? ts : s->read_at;
    buf_deinit(&b);
}

/* ---- prepares and outcomes: I1, I2 ---- */

static void one_timestamp(struct observed_txn *t, uint64_t ts)
{
    if (t->versions_at != 0 && t->versions_at != ts) {
        cluster_fail(seen.cluster, "I3: transaction %llu.%llu has versions at %llu and %llu",
                     TXN(t), (unsigned long long)t->versions_at, (unsigned long long)ts);
    }
    t->versions_at = ts;
}

static bool has_prepared(const struct observed_txn *t, uint64_t shard_id, uint32_t attempt)
{
    for (size_t i = 0; i < t->prepared_count; i++) {
        if (t->prepared[i].shard_id == shard_id && t->prepared[i].attempt == attempt) {
            return true;
        }
    }
    return false;
}

static void check_complete(struct observed_txn *t, uint32_t attempt, uint64_t commit)
{
    if (t->is_decided_elsewhere) {
        return;
    }
    for (size_t i = 0; i < t->participant_count; i++) {
        if (!has_prepared(t, t->participants[i], attempt)) {
            return;
        }
    }
    if (t->told == ROUTER_TOLD_ABORTED) {
        cluster_fail(seen.cluster, "I2: transaction %llu.%llu was told aborted and is all prepared",
                     TXN(t));
    }
    t->complete_attempt = attempt;
    t->complete_commit = commit;
}

static void prepared(uint64_t group_id, struct txn_id id, struct slice value)
{
    struct observed_txn *t = txn_of(id);
    struct reader r;
    reader_init(&r, value);
    struct prepared_head head;
    if (!prepared_read_head(&r, &head)) {
        cluster_fail(seen.cluster, "a damaged PREPARED record");
    }
    uint32_t attempt = head.attempt;
    uint64_t commit = head.commit_ts;
    size_t count = head.participant_count;
    t->is_decided_elsewhere |= head.decision_job != 0;
    seen.stats.prepares++;
    trace_txn(t, "prepared", group_id, attempt, commit);
    if (t->participant_count == 0) {
        t->participants = mem_zalloc((count + 1) * sizeof(*t->participants));
        t->participant_count = count;
        for (size_t i = 0; i < count; i++) {
            t->participants[i] = read_u64(&r);
            read_u64(&r);
            read_u64(&r);
        }
    } else {
        for (size_t i = 0; i < 3 * count; i++) {
            read_u64(&r);
        }
    }
    bool is_one_of_them = false;
    for (size_t i = 0; i < t->participant_count; i++) {
        is_one_of_them |= t->participants[i] == group_id;
    }
    if (!reader_ok(&r) || !is_one_of_them || count != t->participant_count) {
        cluster_fail(seen.cluster, "C3: transaction %llu.%llu is prepared with other participants",
                     TXN(t));
    }
    if (t->complete_attempt != 0 && attempt > t->complete_attempt) {
        cluster_fail(seen.cluster,
                     "I1: transaction %llu.%llu is prepared for attempt %u, and was complete at %u",
                     TXN(t), attempt, t->complete_attempt);
    }
    for (size_t i = 0; i < t->prepared_count; i++) {
        if (t->prepared[i].attempt == attempt && t->prepared[i].commit != commit) {
            cluster_fail(seen.cluster, "I1: attempt %u of transaction %llu.%llu has two timestamps",
                         attempt, TXN(t));
        }
    }
    if (!has_prepared(t, group_id, attempt)) {
        if (t->prepared_count == t->prepared_cap) {
            t->prepared_cap = t->prepared_cap == 0 ? 4 : t->prepared_cap * 2;
            t->prepared = mem_realloc(t->prepared, t->prepared_cap * sizeof(*t->prepared));
        }
        uint64_t writes = read_varint(&r);
        bool is_empty = writes == 0;
        for (uint64_t i = 0; i < writes && reader_ok(&r); i++) {
            struct slice key = read_bytes(&r);
            read_u8(&r);
            read_u8(&r);
            read_bytes(&r);
            above_reads(group_id, key, commit);
        }
        t->prepared[t->prepared_count++] =
            (struct prepared_at){group_id, attempt, commit, is_empty};
        check_complete(t, attempt, commit);
    }
}

/* One entry: a PREPARED record goes, with a COMMITTED one and versions or without both. (Versions
 * without the record are the planted bug TXN_FORGET_EARLY: what it leads to is to be seen.) */
static void finalized(uint64_t group_id, struct txn_id id, const struct slice *committed,
                      bool has_versions)
{
    struct observed_txn *t = txn_of(id);
    trace_txn(t, committed != NULL ? "finalized" : "aborted", group_id, 0, 0);
    for (size_t i = 0; i < t->prepared_count; i++) {
        has_versions |= t->prepared[i].shard_id == group_id && t->prepared[i].is_empty &&
                        bug_on(BUG_TXN_FORGET_EARLY);
    }
    if (committed == NULL && has_versions) {
        return;
    }
    if (committed == NULL) {
        if (t->complete_attempt != 0) {
            cluster_fail(seen.cluster,
                         "I2: shard %llu aborts transaction %llu.%llu, which is all prepared",
                         (unsigned long long)group_id, TXN(t));
        }
        return;
    }
    struct reader r;
    reader_init(&r, *committed);
    uint32_t attempt = read_u32(&r);
    uint64_t commit = read_u64(&r);
    if (!t->is_decided_elsewhere &&
        (t->complete_attempt != attempt || t->complete_commit != commit)) {
        cluster_fail(seen.cluster,
                     "I2: shard %llu commits transaction %llu.%llu at attempt %u, complete is %u",
                     (unsigned long long)group_id, TXN(t), attempt, t->complete_attempt);
    }
    one_timestamp(t, commit);
}

static void committed_alone(struct txn_id id, uint32_t attempt, uint64_t commit)
{
    struct observed_txn *t = txn_of(id);
    if (t->told == ROUTER_TOLD_ABORTED) {
        cluster_fail(seen.cluster, "I2: transaction %llu.%llu was told aborted and commits",
                     TXN(t));
    }
    if (t->one_attempt != 0 || t->participant_count != 0) {
        cluster_fail(seen.cluster, "I1: transaction %llu.%llu commits twice", TXN(t));
    }
    t->one_attempt = attempt;
    t->one_commit = commit;
    one_timestamp(t, commit);
}

/* ---- entries ---- */

static struct txn_id id_in_key(struct slice key)
{
    return (struct txn_id){get_u64(key.data + 10), get_u64(key.data + 18)};
}

static void stage(uint64_t group_id, const struct entry_op *op)
{
    struct staged *s = MEM_NEW(struct staged);
    s->id = id_in_key(op->key);
    s->ts = get_u64(op->key.data + 26);
    s->group_id = group_id;
    buf_put_slice(&s->entry, op->value);
    list_push_back(&seen.staged, &s->link);
}

static void versions_in(uint64_t group_id, struct slice entry)
{
    struct entry_reader er;
    struct entry_op op;
    bool more = true;
    struct status *st = entry_open(&er, entry);
    while (st == NULL && more) {
        st = entry_next(&er, &op, &more);
        if (st == NULL && more && (op.kind == 'V' || op.kind == 'U')) {
            trace_version(group_id, op.key, op.ts, op.is_tombstone);
            version(group_id, op.key, op.ts, true);
        }
    }
    if (st != NULL) {
        cluster_fail(seen.cluster, "a staged part: %s", st->message);
    }
}

static void merge(uint64_t group_id, const struct entry_op *op)
{
    LIST_FOREACH(it, &seen.staged)
    {
        struct staged *s = LIST_ITEM(it, struct staged, link);
        if (s->group_id == group_id && txn_id_eq(s->id, op->id) && s->ts == op->ts) {
            versions_in(group_id, buf_slice(&s->entry));
        }
    }
}

static uint64_t sum_of(struct slice data)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < data.len; i++) {
        h = (h ^ data.data[i]) * 1099511628211u;
    }
    return h;
}

/* False: an earlier replica has applied it. */
static bool is_news(uint64_t group_id, uint64_t index, struct slice data)
{
    struct observed_group *g = NULL;
    HASH_FIND(hh, seen.groups, &group_id, sizeof(group_id), g);
    if (g == NULL) {
        g = MEM_NEW(struct observed_group);
        g->group_id = group_id;
        HASH_ADD(hh, seen.groups, group_id, sizeof(g->group_id), g);
    }
    if (index >= g->cap) {
        size_t cap = (size_t)index * 2 + 256;
        g->sums = mem_realloc(g->sums, cap * sizeof(*g->sums));
        memset(g->sums + g->cap, 0, (cap - g->cap) * sizeof(*g->sums));
        g->cap = cap;
    }
    uint64_t sum = sum_of(data);
    if (g->sums[index] != 0 && g->sums[index] != sum) {
        cluster_fail(seen.cluster, "shard %llu: two different entries at index %llu are applied",
                     (unsigned long long)group_id, (unsigned long long)index);
    }
    g->sums[index] = sum;
    if (index <= g->seen) {
        return false;
    }
    g->seen = index;
    return true;
}

/* Whether a PREPARED record goes with this entry. */
static bool ends_prepared(uint64_t group_id, struct slice data)
{
    struct entry_reader er;
    struct entry_op op;
    bool more = true, found = false;
    struct status *st = entry_open(&er, data);
    while (st == NULL && more && !found) {
        st = entry_next(&er, &op, &more);
        found = st == NULL && more && op.kind == 'D' && op.key.len >= 26 && op.key.data[0] == 'g' &&
                get_u64(op.key.data + 1) == group_id && op.key.data[9] == 'P';
    }
    status_free(st);
    return found;
}

static void observe_entry(uint64_t group_id, uint64_t index, struct slice data)
{
    if (!is_news(group_id, index, data)) {
        return;
    }
    seen.stats.entries++;
    struct entry_reader er;
    struct entry_op op;
    bool more = true, has_gone = false, has_versions = false;
    bool is_decision = ends_prepared(group_id, data);
    struct slice committed = {0};
    struct txn_id gone = {0, 0};
    struct status *st = entry_open(&er, data);
    while (st == NULL && more) {
        st = entry_next(&er, &op, &more);
        if (st != NULL || !more) {
            break;
        }
        bool is_txn_key = (op.kind == 'P' || op.kind == 'D') && op.key.len >= 26 &&
                          op.key.data[0] == 'g' && get_u64(op.key.data + 1) == group_id;
        uint8_t kind = is_txn_key ? op.key.data[9] : 0;
        if (op.kind == 'V' || op.kind == 'U') {
            trace_version(group_id, op.key, op.ts, op.is_tombstone);
            version(group_id, op.key, op.ts, !is_decision);
            has_versions = true;
        } else if (op.kind == 'A') {
            committed_alone(op.id, op.attempt, op.ts);
        } else if (op.kind == 'M') {
            merge(group_id, &op);
        } else if (op.kind == 'P' && kind == 'T') {
            stage(group_id, &op);
        } else if (op.kind == 'P' && kind == 'P') {
            prepared(group_id, id_in_key(op.key), op.value);
        } else if (op.kind == 'P' && kind == 'C') {
            committed = op.value;
        } else if (op.kind == 'D' && kind == 'P') {
            gone = id_in_key(op.key);
            has_gone = true;
        }
    }
    if (st != NULL) {
        cluster_fail(seen.cluster, "an applied entry: %s", st->message);
    }
    if (has_gone) {
        finalized(group_id, gone, committed.data != NULL ? &committed : NULL, has_versions);
    }
}

/* ---- what clients are told ---- */

static void observe_begun(uint64_t incarnation, uint64_t counter)
{
    txn_of((struct txn_id){incarnation, counter})->begin_ns = sim_now_ns(seen.cluster->sim);
}

static bool is_committed_at(const struct observed_txn *t, uint64_t commit)
{
    return t->participant_count != 0 ? t->complete_attempt != 0 && t->complete_commit == commit
                                     : t->one_attempt != 0 && t->one_commit == commit;
}

static void observe_told(uint64_t incarnation, uint64_t counter, enum router_told told,
                         uint64_t commit_ts, int writers)
{
    struct observed_txn *t = txn_of((struct txn_id){incarnation, counter});
    seen.stats.told++;
    t->told = told;
    t->told_ns = sim_now_ns(seen.cluster->sim);
    t->told_commit = commit_ts;
    t->has_writes = writers > 0;
    if (seen.cluster->trace) {
        printf("%.6f transaction %llu.%llu: told %d at %llu, %d writers\n",
               (double)t->told_ns / 1e9, TXN(t), (int)told, (unsigned long long)commit_ts, writers);
    }
    if (told == ROUTER_TOLD_COMMITTED && writers > 0 && !t->is_decided_elsewhere &&
        !is_committed_at(t, commit_ts)) {
        cluster_fail(seen.cluster, "I2: transaction %llu.%llu is told committed and is not",
                     TXN(t));
    }
    if (told == ROUTER_TOLD_ABORTED && (t->complete_attempt != 0 || t->one_attempt != 0)) {
        cluster_fail(seen.cluster, "I2: transaction %llu.%llu is told aborted and has committed",
                     TXN(t));
    }
}

static int compare_told(const void *a, const void *b)
{
    const struct observed_txn *x = *(struct observed_txn *const *)a,
                              *y = *(struct observed_txn *const *)b;
    return (x->told_ns > y->told_ns) - (x->told_ns < y->told_ns);
}

static int compare_begin(const void *a, const void *b)
{
    const struct observed_txn *x = *(struct observed_txn *const *)a,
                              *y = *(struct observed_txn *const *)b;
    return (x->begin_ns > y->begin_ns) - (x->begin_ns < y->begin_ns);
}

/* I5 for writers: timestamps respect real time. */
static void check_real_time(void)
{
    size_t n = 0;
    struct observed_txn **told = mem_zalloc((HASH_COUNT(seen.txns) + 1) * sizeof(*told));
    for (struct observed_txn *t = seen.txns; t != NULL; t = t->hh.next) {
        if (t->told == ROUTER_TOLD_COMMITTED && t->has_writes) {
            told[n++] = t;
        }
    }
    struct observed_txn **begun = mem_zalloc((n + 1) * sizeof(*begun));
    memcpy(begun, told, n * sizeof(*told));
    qsort(told, n, sizeof(*told), compare_told);
    qsort(begun, n, sizeof(*begun), compare_begin);
    const struct observed_txn *highest = NULL; /* of those acknowledged before */
    for (size_t i = 0, k = 0; i < n; i++) {
        for (; k < n && told[k]->told_ns < begun[i]->begin_ns; k++) {
            if (highest == NULL || told[k]->told_commit > highest->told_commit) {
                highest = told[k];
            }
        }
        if (highest != NULL && highest->told_commit >= begun[i]->told_commit) {
            cluster_fail(seen.cluster,
                         "I5: transaction %llu.%llu commits at %llu, and began after %llu.%llu at "
                         "%llu was acknowledged",
                         TXN(begun[i]), (unsigned long long)begun[i]->told_commit, TXN(highest),
                         (unsigned long long)highest->told_commit);
        }
    }
    mem_free(told);
    mem_free(begun);
}

void observer_start(struct cluster *c)
{
    seen.cluster = c;
    list_head_init(&seen.staged);
    shard_observer.entry = observe_entry;
    shard_observer.read = observe_read;
    router_observer.begun = observe_begun;
    router_observer.told = observe_told;
}

void observer_finish(void)
{
    check_real_time();
}

const struct observer_stats *observer_stats(void)
{
    return &seen.stats;
}
