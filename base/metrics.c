/*
 * The metrics registry of base/metrics.h. Families (one name, one help, one type) hold the metrics
 * that differ by labels, because the text format wants them together. Nothing is ever removed, so a
 * metric is used without a lock; the mutex guards registration and the walk of rendering.
 */
#include "base/metrics.h"

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>

#define HISTOGRAM_BUCKETS 27 /* upper bounds 2^0 .. 2^26 microseconds, the last one is 67 s */

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    struct list link;
    enum metric_kind kind;
    char *labels;          /* "" when there are none */
    _Atomic int64_t value; /* of a histogram: the number of observations */
    _Atomic uint64_t sum_us;
    _Atomic uint64_t buckets[]; /* HISTOGRAM_BUCKETS + 1 (beyond the last bound) of a histogram */
};

struct family {
    struct list link;
    char *name;
    char *help;
    enum metric_kind kind;
    struct list metrics;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list families = {&families, &families}; /* in order of name */

static struct family *family_of(const char *name, const char *help, enum metric_kind kind)
{
    struct list *before = &families;
    LIST_FOREACH(it, &families)
    {
        struct family *f = LIST_ITEM(it, struct family, link);
        int c = strcmp(f->name, name);
        if (c == 0) {
            ASSERT_MSG(f->kind == kind, "metric \"%s\" is registered as two kinds", name);
            return f;
        }
        if (c > 0) {
            before = it;
            break;
        }
    }
    struct family *f = MEM_NEW(struct family);
    f->name = mem_strdup(name);
    f->help = mem_strdup(help == NULL ? "" : help);
    f->kind = kind;
    list_head_init(&f->metrics);
    list_insert_before(before, &f->link);
    return f;
}

static struct metric *register_metric(const char *name, const char *labels, const char *help,
                                      enum metric_kind kind)
{
    const char *wanted = labels == NULL ? "" : labels;
    pthread_mutex_lock(&lock);
    struct family *f = family_of(name, help, kind);
    struct metric *m = NULL;
    LIST_FOREACH(it, &f->metrics)
    {
        struct metric *old = LIST_ITEM(it, struct metric, link);
        if (strcmp(old->labels, wanted) == 0) {
            m = old;
            break;
        }
    }
    if (m == NULL) {
        size_t buckets = kind == METRIC_HISTOGRAM ? HISTOGRAM_BUCKETS + 1 : 0;
        m = mem_zalloc(sizeof(*m) + buckets * sizeof(m->buckets[0]));
        m->kind = kind;
        m->labels = mem_strdup(wanted);
        list_push_back(&f->metrics, &m->link);
    }
    pthread_mutex_unlock(&lock);
    return m;
}

struct metric *metric_counter(const char *name, const char *labels, const char *help)
{
    return register_metric(name, labels, help, METRIC_COUNTER);
}

struct metric *metric_gauge(const char *name, const char *labels, const char *help)
{
    return register_metric(name, labels, help, METRIC_GAUGE);
}

struct metric *metric_histogram(const char *name, const char *labels, const char *help)
{
    return register_metric(name, labels, help, METRIC_HISTOGRAM);
}

void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

void metric_set(struct metric *m, int64_t v)
{
    atomic_store_explicit(&m->value, v, memory_order_relaxed);
}

void metric_observe_us(struct metric *m, uint64_t us)
{
    ASSERT(m->kind == METRIC_HISTOGRAM);
    int i = us <= 1 ? 0 : 64 - __builtin_clzll(us - 1); /* the first bound that is not below us */
    if (i > HISTOGRAM_BUCKETS) {
        i = HISTOGRAM_BUCKETS;
    }
    atomic_fetch_add_explicit(&m->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->sum_us, us, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->value, 1, memory_order_relaxed);
}

int64_t metric_value(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

static void render_histogram(struct buf *out, const struct family *f, const struct metric *m)
{
    const char *comma = m->labels[0] ? "," : "";
    uint64_t total = 0;
    for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
        total += atomic_load_explicit(&m->buckets[i], memory_order_relaxed);
        buf_printf(out, "%s_bucket{%s%sle=\"%.6f\"} %" PRIu64 "\n", f->name, m->labels, comma,
                   (double)(1u << i) / 1e6, total);
    }
    total += atomic_load_explicit(&m->buckets[HISTOGRAM_BUCKETS], memory_order_relaxed);
    uint64_t sum_us = atomic_load_explicit(&m->sum_us, memory_order_relaxed);
    const char *open = m->labels[0] ? "{" : "";
    const char *close = m->labels[0] ? "}" : "";
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", f->name, m->labels, comma, total);
    buf_printf(out, "%s_sum%s%s%s %.6f\n", f->name, open, m->labels, close, (double)sum_us / 1e6);
    buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", f->name, open, m->labels, close, total);
}

void metrics_render(struct buf *out)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    pthread_mutex_lock(&lock);
    LIST_FOREACH(it, &families)
    {
        const struct family *f = LIST_ITEM(it, struct family, link);
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, kinds[f->kind]);
        LIST_FOREACH(jt, &f->metrics)
        {
            const struct metric *m = LIST_ITEM(jt, struct metric, link);
            if (f->kind == METRIC_HISTOGRAM) {
                render_histogram(out, f, m);
            } else {
                buf_printf(out, "%s%s%s%s %" PRId64 "\n", f->name, m->labels[0] ? "{" : "",
                           m->labels, m->labels[0] ? "}" : "", metric_value(m));
            }
        }
    }
    pthread_mutex_unlock(&lock);
}
