#include "metrics/exposition.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER_BYTES_MAX = 32 };

static const char *const type_names[] = {
    [TBK_METRIC_COUNTER] = "counter",
    [TBK_METRIC_GAUGE] = "gauge",
    [TBK_METRIC_HISTOGRAM] = "histogram",
    [TBK_METRIC_INFO] = "info",
};

/* What follows the family's name in that of its samples. */
static const char *suffix_of(enum tbk_metric_type type)
{
    switch (type) {
    case TBK_METRIC_COUNTER:
        return "_total";
    case TBK_METRIC_INFO:
        return "_info";
    case TBK_METRIC_GAUGE:
    case TBK_METRIC_HISTOGRAM:
        break;
    }
    return "";
}

const char *tbk_exposition_content_type(enum tbk_exposition_format format)
{
    return format == TBK_FORMAT_OPENMETRICS ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                            : "text/plain; version=0.0.4; charset=utf-8";
}

/* The older format names the samples where OpenMetrics names the family, and has
 * neither units nor infos. */
void tbk_exposition_family(struct tbk_exposition *exposition, const struct tbk_metric *metric)
{
    struct tbk_dynbuf *out = exposition->out;
    const bool open = exposition->format == TBK_FORMAT_OPENMETRICS;
    const char *suffix = open ? "" : suffix_of(metric->type);
    const bool told_as_gauge = metric->type == TBK_METRIC_INFO && !open;
    exposition->metric = metric;
    tbk_dynbuf_printf(out, "# TYPE %s%s %s\n", metric->name, suffix,
                      type_names[told_as_gauge ? TBK_METRIC_GAUGE : metric->type]);
    if (open && metric->unit != NULL)
        tbk_dynbuf_printf(out, "# UNIT %s %s\n", metric->name, metric->unit);
    tbk_dynbuf_printf(out, "# HELP %s%s %s\n", metric->name, suffix, metric->help);
}

static void write_label_value(struct tbk_dynbuf *out, const char *value)
{
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\n') {
            tbk_dynbuf_puts(out, "\\n");
            continue;
        }
        if (*c == '"' || *c == '\\')
            tbk_dynbuf_putc(out, '\\');
        tbk_dynbuf_putc(out, *c);
    }
}

/* A number as OpenMetrics wants the ends of buckets: "0.05", "1.0". */
static void format_end(double end, char out[NUMBER_BYTES_MAX])
{
    snprintf(out, NUMBER_BYTES_MAX, end == floor(end) ? "%.1f" : "%.9g", end);
}

/* {name="value",le="0.05"}; le is NULL but for buckets. */
static void write_labels(struct tbk_dynbuf *out, const struct tbk_label *labels, unsigned label_count,
                         const char *le)
{
    const char *separator = "{";
    for (unsigned i = 0; i < label_count; i++) {
        tbk_dynbuf_printf(out, "%s%s=\"", separator, labels[i].name);
        write_label_value(out, labels[i].value);
        tbk_dynbuf_putc(out, '"');
        separator = ",";
    }
    if (le != NULL) {
        tbk_dynbuf_printf(out, "%sle=\"%s\"", separator, le);
        separator = ",";
    }
    if (*separator == ',')
        tbk_dynbuf_putc(out, '}');
}

static void write_sample(struct tbk_exposition *exposition, const char *suffix, const struct tbk_label *labels,
                         unsigned label_count, const char *le, double value)
{
    tbk_dynbuf_printf(exposition->out, "%s%s", exposition->metric->name, suffix);
    write_labels(exposition->out, labels, label_count, le);
    tbk_dynbuf_printf(exposition->out, " %.15g\n", value);
}

static void write_created(struct tbk_exposition *exposition, const struct tbk_label *labels, unsigned label_count)
{
    if (exposition->format == TBK_FORMAT_OPENMETRICS)
        write_sample(exposition, "_created", labels, label_count, NULL, exposition->created_s);
}

void tbk_exposition_value(struct tbk_exposition *exposition, const struct tbk_label *labels, unsigned label_count,
                          double value)
{
    const enum tbk_metric_type type = exposition->metric->type;
    write_sample(exposition, suffix_of(type), labels, label_count, NULL, value);
    if (type == TBK_METRIC_COUNTER)
        write_created(exposition, labels, label_count);
}

void tbk_exposition_distribution(struct tbk_exposition *exposition, const struct tbk_label *labels,
                                 unsigned label_count, const struct tbk_distribution *distribution)
{
    const struct tbk_bounds *bounds = distribution->bounds;
    uint64_t count = 0;
    for (unsigned i = 0; i <= bounds->count; i++) {
        char end[NUMBER_BYTES_MAX] = "+Inf";
        if (i < bounds->count)
            format_end((double)bounds->ends[i] * bounds->unit, end);
        count += atomic_load_explicit(&distribution->counts[i], memory_order_relaxed);
        write_sample(exposition, "_bucket", labels, label_count, end, (double)count);
    }
    const uint64_t sum = atomic_load_explicit(&distribution->sum, memory_order_relaxed);
    write_sample(exposition, "_count", labels, label_count, NULL, (double)count);
    write_sample(exposition, "_sum", labels, label_count, NULL, (double)sum * bounds->unit);
    write_created(exposition, labels, label_count);
}

void tbk_exposition_single(struct tbk_exposition *exposition, const struct tbk_metric *metric, double value)
{
    tbk_exposition_family(exposition, metric);
    tbk_exposition_value(exposition, NULL, 0, value);
}

void tbk_exposition_end(struct tbk_exposition *exposition)
{
    if (exposition->format == TBK_FORMAT_OPENMETRICS)
        tbk_dynbuf_puts(exposition->out, "# EOF\n");
}
