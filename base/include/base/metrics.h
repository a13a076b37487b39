/*
 * Metrics: counters, gauges and histograms by name and label, read out in the Prometheus text
 * format. Updating one is a relaxed atomic add. Registered once, never removed; a second
 * registration of the same name and labels returns the first.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"

#include <stdint.h>

struct metric;

/* labels: "role=\"leader\",x=\"y\"" or NULL. */
struct metric *metric_counter(const char *name, const char *labels, const char *help);
struct metric *metric_gauge(const char *name, const char *labels, const char *help);
/* Microsecond latencies in powers of two, 1 us to 64 s. */
struct metric *metric_histogram(const char *name, const char *labels, const char *help);

void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t v);
void metric_observe_us(struct metric *m, uint64_t us);
int64_t metric_value(const struct metric *m);
void metrics_render(struct buf *out);

#endif
