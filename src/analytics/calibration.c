/* How well confidence predicts the outcome. */
#include "analytics/internal.h"

struct calibrating {
    const struct tbk_series *series;
    const struct tbk_selection *selection;
    struct tbk_calibration calibration;
    struct tbk_cells rows; /* visited one by one */
    enum tbk_status status;
    struct tbk_error *error;
};

static enum tbk_visit visit_piece(void *state, const struct tbk_piece *piece)
{
    struct calibrating *calibrating = state;
    const struct tbk_selection *selection = calibrating->selection;
    const struct tbk_block *block = piece->block;
    if (block == NULL) { /* days have no cells */
        return TBK_VISIT_DESCEND;
    }
    if (selection->dimension < 0) {
        tbk_cells_add_to(block->cells, &calibrating->calibration);
        return TBK_VISIT_DONE;
    }
    if (block->slot < 0) { /* only groups in the scratch file have some */
        return TBK_VISIT_DESCEND;
    }
    struct tbk_cells cells;
    calibrating->status = tbk_series_read_cells(calibrating->series, block, (unsigned)selection->dimension,
                                                selection->code, &cells, calibrating->error);
    if (calibrating->status != TBK_OK) {
        return TBK_VISIT_STOP;
    }
    tbk_cells_add_to(&cells, &calibrating->calibration);
    return TBK_VISIT_DONE;
}

static enum tbk_visit visit_row(void *state, const struct tbk_row *row)
{
    struct calibrating *calibrating = state;
    tbk_cells_add(&calibrating->rows, row);
    return TBK_VISIT_DONE;
}

static enum tbk_status calibrate(struct tbk_series *series, const struct tbk_selection *selection,
                                 struct tbk_calibration *ret_calibration, struct tbk_error *error)
{
    struct calibrating calibrating = {.series = series, .selection = selection, .error = error};
    const struct tbk_visitor visitor = {.columns = 1U << TBK_COLUMN_KIND |
                                                   1U << (TBK_COLUMN_VALUE + TBK_TRADE_CONFIDENCE),
                                        .piece = visit_piece,
                                        .row = visit_row,
                                        .state = &calibrating};
    const enum tbk_status status = tbk_walk(series, selection, &visitor, error);
    tbk_cells_add_to(&calibrating.rows, &calibrating.calibration);
    *ret_calibration = calibrating.calibration;
    return status != TBK_OK ? status : calibrating.status;
}

enum tbk_status tbk_analytics_calibration(struct tbk_analytics *analytics, struct tbk_session *session,
                                          const struct tbk_analytics_query *query, struct tbk_basis *ret_basis,
                                          struct tbk_calibration *ret_calibration, struct tbk_error *error)
{
    enum tbk_status status = tbk_query_begin(analytics, session, TBK_SERIES_TRADES, query, error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_series *series = &analytics->series[TBK_SERIES_TRADES];
    struct tbk_selection selection;
    struct tbk_basis basis = {0};
    struct tbk_calibration calibration = {0};
    if (tbk_query_select(series, query, &selection)) {
        struct tbk_tally tally;
        struct tbk_days days;
        status = tbk_query_total(series, query, &selection, &tally, &basis, &days, error);
        if (status == TBK_OK) {
            status = calibrate(series, &selection, &calibration, error);
        }
    }
    tbk_query_end(analytics, session);
    if (status == TBK_OK) {
        *ret_basis = basis;
        *ret_calibration = calibration;
    }
    return status;
}
