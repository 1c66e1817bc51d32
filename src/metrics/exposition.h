/*
 * Writes metrics as text: OpenMetrics 1.0, or the older text format 0.0.4 of
 * Prometheus. The caller writes one family after the other, and of each all
 * samples at once:
 *
 *   tbk_exposition_family(&exposition, &metric);
 *   tbk_exposition_value(&exposition, labels, 1, 17);
 *   ...
 *   tbk_exposition_end(&exposition);
 *
 * Suffixes of names, such as _total and _bucket, are added here.
 */
#ifndef TBK_METRICS_EXPOSITION_H
#define TBK_METRICS_EXPOSITION_H

#include "base/dynbuf.h"
#include "metrics/distribution.h"

enum tbk_exposition_format { TBK_FORMAT_OPENMETRICS, TBK_FORMAT_TEXT };

enum tbk_metric_type { TBK_METRIC_COUNTER, TBK_METRIC_GAUGE, TBK_METRIC_HISTOGRAM, TBK_METRIC_INFO };

/* One family. With a unit the name ends in it. */
struct tbk_metric {
    const char *name;
    enum tbk_metric_type type;
    const char *unit; /* "seconds", "bytes"; NULL: none */
    const char *help; /* no line feed, quote or backslash */
};

struct tbk_label {
    const char *name;
    const char *value; /* any UTF-8 */
};

struct tbk_exposition {
    struct tbk_dynbuf *out; /* says in the end whether all of it found room */
    enum tbk_exposition_format format;
    double created_s; /* since 1970, when counters and histograms were 0 */
    const struct tbk_metric *metric;
};

/* The Content-Type of a format. */
const char *tbk_exposition_content_type(enum tbk_exposition_format format);

void tbk_exposition_family(struct tbk_exposition *exposition, const struct tbk_metric *metric);
/* A sample of the family, which is no histogram. */
void tbk_exposition_value(struct tbk_exposition *exposition, const struct tbk_label *labels, unsigned label_count,
                          double value);
/* The samples of a histogram. */
void tbk_exposition_distribution(struct tbk_exposition *exposition, const struct tbk_label *labels,
                                 unsigned label_count, const struct tbk_distribution *distribution);
/* A family with one sample that has no label. */
void tbk_exposition_single(struct tbk_exposition *exposition, const struct tbk_metric *metric, double value);
void tbk_exposition_end(struct tbk_exposition *exposition);

#endif
