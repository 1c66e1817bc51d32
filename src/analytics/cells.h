/*
 * Calibration of some rows, in the form in which blocks keep it.
 */
#ifndef TBK_ANALYTICS_CELLS_H
#define TBK_ANALYTICS_CELLS_H

#include "analytics/analytics.h"
#include "analytics/sums.h"

/* As struct tbk_calibration, in two thirds of the room. */
struct tbk_cells {
    uint32_t wins, losses;
    double squared_error;
    struct {
        uint32_t n, wins;
        double confidence;
    } items[TBK_CALIBRATION_CELLS];
};

/* Counts a win or loss that has a confidence from 0 to 1; others are left out. */
void tbk_cells_add(struct tbk_cells *cells, const struct tbk_row *row);
void tbk_cells_merge(struct tbk_cells *cells, const struct tbk_cells *next);
void tbk_cells_add_to(const struct tbk_cells *cells, struct tbk_calibration *calibration);

#endif
