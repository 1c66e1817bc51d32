/* AnalyticsService/GetCalibration: whether confidence predicts the outcome. */
#include "services/analytics_figures.h"
#include "services/analytics_request.h"
#include "services/handlers.h"

enum { BINS_DEFAULT = 10 };

/* What check leaves for run. */
struct calibration_request {
    struct tbk_analytics_query query;
    int bins;
};

enum tbk_status tbk_analytics_check_calibration(struct tbk_call *call, const struct tbk_method *method,
                                                ProtobufCMessage *request)
{
    (void)method;
    const Tradebook__V1__GetCalibrationRequest *message = (const Tradebook__V1__GetCalibrationRequest *)request;
    struct calibration_request read = {
        .query = tbk_analytics_query_of(call),
        .bins = message->has_bins ? message->bins : BINS_DEFAULT,
    };
    tbk_analytics_read_window(message->start_time, message->end_time, &read.query, call->error);
    tbk_analytics_read_slice(message->slice, &read.query, call->error);
    if (read.bins < 1 || TBK_CALIBRATION_CELLS % read.bins != 0) {
        tbk_error_violation(call->error, "bins", "must be 1, 2, 4, 5, 10, 20, 25, 50 or 100, is %d", read.bins);
    }
    return tbk_analytics_prepare(call, &read, sizeof read);
}

/* One bin is several cells. */
static Tradebook__V1__ReliabilityBin *make_bin(struct tbk_maker *maker, const struct tbk_calibration *calibration,
                                               int position, int bins)
{
    Tradebook__V1__ReliabilityBin *bin = tbk_make(maker, &tradebook__v1__reliability_bin__descriptor);
    if (bin == NULL) {
        return NULL;
    }
    const int width = TBK_CALIBRATION_CELLS / bins;
    int64_t n = 0;
    int64_t wins = 0;
    double confidence = 0;
    for (int cell = position * width; cell < (position + 1) * width; cell++) {
        n += calibration->cells[cell].n;
        wins += calibration->cells[cell].wins;
        confidence += calibration->cells[cell].confidence;
    }
    TBK_SET_FIGURE(bin, confidence_min, (double)position / bins);
    TBK_SET_FIGURE(bin, confidence_max, (double)(position + 1) / bins);
    TBK_SET_FIGURE(bin, mean_confidence, confidence / (double)n);
    bin->win_rate = tbk_make_proportion(maker, wins, n);
    return bin;
}

static void set_scores(struct tbk_maker *maker, const struct tbk_calibration *calibration,
                       Tradebook__V1__GetCalibrationResponse *response)
{
    const int64_t n = calibration->wins + calibration->losses;
    const double brier = calibration->squared_error / (double)n;
    const double base_rate = (double)calibration->wins / (double)n;
    TBK_SET(response, n, n);
    TBK_SET_FIGURE(response, brier_score, brier);
    response->base_rate = tbk_make_proportion(maker, calibration->wins, n);
    TBK_SET_FIGURE(response, brier_skill_score, 1 - brier / (base_rate * (1 - base_rate)));
}

enum tbk_status tbk_analytics_get_calibration(struct tbk_call *call, const struct tbk_method *method,
                                              ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    const struct calibration_request *read = call->prepared;
    struct tbk_basis basis;
    struct tbk_calibration calibration;
    const enum tbk_status status = tbk_analytics_calibration(call->context->analytics, call->session, &read->query,
                                                             &basis, &calibration, call->error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_maker maker = {.arena = call->arena};
    Tradebook__V1__GetCalibrationResponse *response = tbk_make(&maker, method->response);
    if (response != NULL) {
        Tradebook__V1__Slice *slice = ((Tradebook__V1__GetCalibrationRequest *)request)->slice;
        response->basis = tbk_make_basis(&maker, method->response, &read->query, slice, &basis);
        set_scores(&maker, &calibration, response);
        response->bins = tbk_make_list(&maker, (size_t)read->bins);
        for (int i = 0; i < read->bins && !maker.failed; i++) {
            response->bins[response->n_bins++] = make_bin(&maker, &calibration, i, read->bins);
        }
    }
    return tbk_make_end(&maker, call, (ProtobufCMessage *)response, ret_response);
}
