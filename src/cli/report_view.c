#include "cli/report_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/timestamp.h"
#include "cli/cell.h"
#include "cli/field_path.h"
#include "cli/plot.h"
#include "tradebook/v1/analytics.pb-c.h"

enum { PLOT_HEIGHT = 8, SPARKLINE_CHARS_MAX = 60, ALARM_CHARS = 74, VERDICT_BYTES_MAX = 64 * 1024 };

static void append_toned(const struct tbk_report_view *view, enum tbk_tone tone, const char *text,
                         struct tbk_dynbuf *out)
{
    if (view->styled)
        tbk_dynbuf_puts(out, tbk_tone_start(tone));
    tbk_dynbuf_puts(out, text);
    if (view->styled)
        tbk_dynbuf_puts(out, TBK_TONE_RESET);
}

/* --- basis --- */

static void append_window(const ProtobufCMessage *basis, struct tbk_dynbuf *out)
{
    int64_t start;
    int64_t end;
    bool has_start = tbk_field_time(basis, "start_time", &start);
    bool has_end = tbk_field_time(basis, "end_time", &end);
    if (!has_start && !has_end) {
        tbk_dynbuf_puts(out, "all time");
        return;
    }
    tbk_dynbuf_puts(out, has_start && has_end ? "from " : has_start ? "since " : "until ");
    if (has_start)
        tbk_cell_timestamp(start, TBK_CELL_SECONDS_CHARS, out);
    if (has_start && has_end)
        tbk_dynbuf_puts(out, " to ");
    if (has_end)
        tbk_cell_timestamp(end, TBK_CELL_SECONDS_CHARS, out);
    tbk_dynbuf_puts(out, " UTC");
}

static void append_slice(const Tradebook__V1__Slice *slice, struct tbk_dynbuf *out)
{
    tbk_dynbuf_puts(out, ", ");
    if (slice->value == NULL)
        tbk_dynbuf_puts(out, "without ");
    tbk_enum_text(&tradebook__v1__dimension__descriptor, (int)slice->dimension, out);
    if (slice->value != NULL) {
        tbk_dynbuf_putc(out, ' ');
        tbk_cell_escaped_text(slice->value, strlen(slice->value), out);
    }
}

static void append_counted(int64_t count, const char *one, const char *many, struct tbk_dynbuf *out)
{
    tbk_append_count(count, out);
    tbk_dynbuf_printf(out, " %s", count == 1 ? one : many);
}

void tbk_view_basis(const struct tbk_report_view *view, struct tbk_dynbuf *out)
{
    const ProtobufCMessage *message = tbk_field_message(view->response, "basis");
    if (message == NULL)
        return;
    const Tradebook__V1__Basis *basis = (const Tradebook__V1__Basis *)message;
    if (basis->has_trades) {
        append_counted(basis->trades, "closed trade", "closed trades", out);
        tbk_dynbuf_puts(out, ", ");
    }
    append_window(message, out);
    if (basis->has_days) {
        tbk_dynbuf_puts(out, ", ");
        append_counted(basis->days, "day", "days", out);
    }
    if (basis->slice != NULL)
        append_slice(basis->slice, out);
    tbk_dynbuf_putc(out, '\n');
    if (basis->has_undated_trades && basis->undated_trades > 0) {
        append_counted(basis->undated_trades, "closed trade without exit_timestamp is",
                       "closed trades without exit_timestamp are", out);
        tbk_dynbuf_puts(out, " in no window and left out\n");
    }
}

/* --- equity and series --- */

/* The values of one field of all rows, in the order of the rows or from last to
 * first; absent counts as 0. NULL when there are none or memory is exhausted. */
static double *collect(ProtobufCMessage *const *rows, size_t count, const char *path, bool reversed)
{
    double *values = count > 0 ? calloc(count, sizeof *values) : NULL;
    for (size_t i = 0; values != NULL && i < count; i++)
        tbk_field_double(rows[reversed ? count - 1 - i : i], path, &values[i]);
    return values;
}

void tbk_view_equity(const struct tbk_report_view *view, struct tbk_dynbuf *out)
{
    size_t count;
    ProtobufCMessage *const *points = tbk_field_rows(view->response, "points", &count);
    double *values = collect(points, count, "equity_usd", false);
    if (values == NULL) {
        tbk_dynbuf_puts(out, "No trade was closed.\n");
        return;
    }
    double percent = 0;
    tbk_plot(values, count, view->width, PLOT_HEIGHT, TBK_UNIT_USD, view->utf8, out);
    tbk_dynbuf_puts(out, "Ends at ");
    tbk_append_gain(values[count - 1], TBK_UNIT_USD, out);
    tbk_field_double(points[count - 1], "equity_percent", &percent);
    tbk_dynbuf_puts(out, " USD, ");
    tbk_append_gain(percent, TBK_UNIT_PERCENT, out);
    tbk_dynbuf_puts(out, " summed\n");
    free(values);
}

void tbk_view_series(const struct tbk_report_view *view, struct tbk_dynbuf *out)
{
    size_t count;
    ProtobufCMessage *const *periods = tbk_field_rows(view->response, "periods", &count);
    size_t shown = count < SPARKLINE_CHARS_MAX ? count : SPARKLINE_CHARS_MAX;
    double *values = collect(periods, shown, "performance.usd.total", true);
    if (values == NULL) {
        tbk_dynbuf_puts(out, "No trade was closed.\n");
        return;
    }
    tbk_sparkline(values, shown, view->utf8, out);
    tbk_dynbuf_puts(out, "  USD, newest on the right\n");
    free(values);
}

/* --- comparison --- */

static void append_shares(const Tradebook__V1__SampleRatio *ratio, struct tbk_dynbuf *out)
{
    tbk_dynbuf_puts(out, "A has ");
    tbk_append_rate(ratio->observed_share_a, out);
    tbk_dynbuf_puts(out, " of the signals, ");
    tbk_append_rate(ratio->expected_share_a, out);
    tbk_dynbuf_printf(out, " expected: chi-squared %.2f, p ", ratio->chi_squared);
    tbk_append_probability(ratio->p_value, out);
}

static void append_alarm_line(const struct tbk_report_view *view, const char *text, struct tbk_dynbuf *out)
{
    char line[2 * ALARM_CHARS];
    snprintf(line, sizeof line, "!! %-*s !!", ALARM_CHARS, text);
    append_toned(view, TBK_TONE_ALARM, line, out);
    tbk_dynbuf_putc(out, '\n');
}

static void append_alarm(const struct tbk_report_view *view, const char *shares, struct tbk_dynbuf *out)
{
    append_alarm_line(view, "SAMPLE RATIO ALARM: the signals are not split as intended.", out);
    append_alarm_line(view, shares, out);
    append_alarm_line(view, "Every other figure here is doubtful until that is explained.", out);
}

void tbk_view_split(const struct tbk_report_view *view, struct tbk_dynbuf *out)
{
    const Tradebook__V1__CompareStrategiesResponse *response =
        (const Tradebook__V1__CompareStrategiesResponse *)view->response;
    const Tradebook__V1__SampleRatio *ratio = response->sample_ratio;
    if (ratio == NULL || !ratio->has_observed_share_a)
        return;
    struct tbk_dynbuf shares;
    tbk_dynbuf_init(&shares, 2 * ALARM_CHARS);
    append_shares(ratio, &shares);
    if (ratio->has_alarm && ratio->alarm)
        append_alarm(view, tbk_dynbuf_text(&shares), out);
    else
        tbk_dynbuf_printf(out, "%s\n", tbk_dynbuf_text(&shares));
    tbk_dynbuf_fini(&shares);
}

/* Appends a text in lines of at most width characters, broken at spaces; a word
 * that is longer has a line of its own. */
static void append_wrapped(const char *text, size_t width, struct tbk_dynbuf *out)
{
    size_t column = 0;
    while (*text != '\0') {
        size_t word = strcspn(text, " ");
        size_t chars = tbk_utf8_count(text, word);
        if (column > 0) {
            bool fits = column + 1 + chars <= width;
            tbk_dynbuf_putc(out, fits ? ' ' : '\n');
            column = fits ? column + 1 : 0;
        }
        tbk_dynbuf_append(out, text, word);
        column += chars;
        text += word + strspn(text + word, " ");
    }
    tbk_dynbuf_putc(out, '\n');
}

void tbk_view_verdict(const struct tbk_report_view *view, struct tbk_dynbuf *out)
{
    const Tradebook__V1__CompareStrategiesResponse *response =
        (const Tradebook__V1__CompareStrategiesResponse *)view->response;
    const Tradebook__V1__Arm *better = response->verdict == TRADEBOOK__V1__VERDICT__VERDICT_A   ? response->a
                                       : response->verdict == TRADEBOOK__V1__VERDICT__VERDICT_B ? response->b
                                                                                                : NULL;
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, VERDICT_BYTES_MAX);
    append_toned(view, TBK_TONE_BOLD, "Verdict: ", out);
    if (better == NULL)
        append_toned(view, TBK_TONE_BOLD, "not enough data", out);
    else
        tbk_dynbuf_printf(out, "%s (%s) is better", better == response->a ? "A" : "B",
                          tbk_cell_escape(better->strategy != NULL ? better->strategy : "-", &text));
    tbk_dynbuf_putc(out, '\n');
    append_wrapped(tbk_cell_escape(response->verdict_reason != NULL ? response->verdict_reason : "", &text),
                   view->width, out);
    tbk_dynbuf_fini(&text);
}

/* --- rankings --- */

void tbk_view_theories(const struct tbk_report_view *view, struct tbk_dynbuf *out)
{
    static const struct tbk_figure overall = {NULL, "overall_accuracy", TBK_FIGURE_PROPORTION, TBK_UNIT_NONE};
    int64_t n = 0;
    tbk_dynbuf_puts(out, "All theories together: ");
    tbk_figure_append(&overall, TBK_UNIT_NONE, view->response, view->utf8, out);
    tbk_field_int64(view->response, "overall_accuracy.n", &n);
    tbk_dynbuf_puts(out, " of ");
    append_counted(n, "graded record", "graded records", out);
    tbk_dynbuf_putc(out, '\n');
}

void tbk_view_pattern_bounds(const struct tbk_report_view *view, struct tbk_dynbuf *out)
{
    const Tradebook__V1__RankPatternsRequest *request = (const Tradebook__V1__RankPatternsRequest *)view->request;
    tbk_dynbuf_puts(out, "At least ");
    append_counted(request->min_total, "trade", "trades", out);
    tbk_dynbuf_puts(out, " and a win rate of ");
    tbk_append_rate(request->min_win_rate, out);
    tbk_dynbuf_puts(out, ", all time\n");
}
