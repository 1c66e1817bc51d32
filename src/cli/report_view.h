/*
 * The parts of reports that are no tables: sentences and pictures.
 */
#ifndef TBK_CLI_REPORT_VIEW_H
#define TBK_CLI_REPORT_VIEW_H

#include "cli/report_kinds.h"

/* "1,234 closed trades since 2026-10-23 20:21:13 UTC, 30 days, symbol BTC-USD"
 * and, if there are any, how many trades have no date. */
void tbk_view_basis(const struct tbk_report_view *view, struct tbk_dynbuf *out);

void tbk_view_equity(const struct tbk_report_view *view, struct tbk_dynbuf *out);
void tbk_view_series(const struct tbk_report_view *view, struct tbk_dynbuf *out);
/* The alarm of the sample ratio, or that the split is as expected. */
void tbk_view_split(const struct tbk_report_view *view, struct tbk_dynbuf *out);
void tbk_view_verdict(const struct tbk_report_view *view, struct tbk_dynbuf *out);
void tbk_view_theories(const struct tbk_report_view *view, struct tbk_dynbuf *out);
void tbk_view_pattern_bounds(const struct tbk_report_view *view, struct tbk_dynbuf *out);

#endif
