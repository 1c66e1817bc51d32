/*
 * Small pictures of a series of numbers, of Unicode blocks or of ASCII.
 */
#ifndef TBK_CLI_PLOT_H
#define TBK_CLI_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/dynbuf.h"
#include "cli/figure.h"

/* One character for each value; the lowest to the highest fill the height. */
void tbk_sparkline(const double *values, size_t count, bool utf8, struct tbk_dynbuf *out);

/* height lines, highest first, each ended by a newline, at most width_max wide.
 * The highest and the lowest value stand on the left. With more values than
 * columns a column shows the last of its share. count and height are above 0. */
void tbk_plot(const double *values, size_t count, size_t width_max, size_t height, enum tbk_unit unit, bool utf8,
              struct tbk_dynbuf *out);

#endif
