#include "analytics/cells.h"

#include <stdbool.h>

/* The cell with k/100 <= confidence < (k+1)/100; the last one includes 1. */
static int cell_of(double confidence)
{
    int cell = (int)(confidence * TBK_CALIBRATION_CELLS);
    if (confidence < cell / (double)TBK_CALIBRATION_CELLS) {
        cell--;
    } else if (confidence >= (cell + 1) / (double)TBK_CALIBRATION_CELLS) {
        cell++;
    }
    return cell < TBK_CALIBRATION_CELLS ? cell : TBK_CALIBRATION_CELLS - 1;
}

void tbk_cells_add(struct tbk_cells *cells, const struct tbk_row *row)
{
    const double confidence = row->values[TBK_TRADE_CONFIDENCE];
    if (row->kind == TBK_KIND_OTHER || !(confidence >= 0.0 && confidence <= 1.0)) {
        return;
    }
    const bool is_win = row->kind == TBK_KIND_WIN;
    const double missed = confidence - (is_win ? 1.0 : 0.0);
    const int cell = cell_of(confidence);
    cells->wins += is_win;
    cells->losses += !is_win;
    cells->squared_error += missed * missed;
    cells->items[cell].n++;
    cells->items[cell].wins += is_win;
    cells->items[cell].confidence += confidence;
}

void tbk_cells_merge(struct tbk_cells *cells, const struct tbk_cells *next)
{
    cells->wins += next->wins;
    cells->losses += next->losses;
    cells->squared_error += next->squared_error;
    for (int i = 0; i < TBK_CALIBRATION_CELLS; i++) {
        cells->items[i].n += next->items[i].n;
        cells->items[i].wins += next->items[i].wins;
        cells->items[i].confidence += next->items[i].confidence;
    }
}

void tbk_cells_add_to(const struct tbk_cells *cells, struct tbk_calibration *calibration)
{
    calibration->wins += cells->wins;
    calibration->losses += cells->losses;
    calibration->squared_error += cells->squared_error;
    for (int i = 0; i < TBK_CALIBRATION_CELLS; i++) {
        calibration->cells[i].n += cells->items[i].n;
        calibration->cells[i].wins += cells->items[i].wins;
        calibration->cells[i].confidence += cells->items[i].confidence;
    }
}
