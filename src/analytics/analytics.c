/* Creating and destroying; the queries. */
#include "analytics/analytics.h"

#include <stdlib.h>

struct tbk_analytics {
    const struct tbk_storage_ops *ops;
    struct tbk_storage *storage;
};

enum tbk_status tbk_analytics_create(const struct tbk_storage_ops *ops, struct tbk_storage *storage,
                                     struct tbk_analytics **ret_analytics, struct tbk_error *error)
{
    struct tbk_analytics *analytics = calloc(1, sizeof *analytics);
    if (analytics == NULL) {
        return tbk_error_set(error, TBK_RESOURCE_EXHAUSTED, "Out of memory while starting the analytics.");
    }
    analytics->ops = ops;
    analytics->storage = storage;
    *ret_analytics = analytics;
    return TBK_OK;
}

void tbk_analytics_destroy(struct tbk_analytics *analytics)
{
    free(analytics);
}

static enum tbk_status unimplemented(struct tbk_error *error)
{
    return tbk_error_set(error, TBK_UNIMPLEMENTED, "This figure is not implemented yet.");
}

enum tbk_status tbk_analytics_performance(struct tbk_analytics *analytics, struct tbk_session *session,
                                          const struct tbk_analytics_query *query, enum tbk_dimension breakdown,
                                          size_t groups_max, struct tbk_arena *arena, struct tbk_basis *ret_basis,
                                          struct tbk_performance *ret_total,
                                          struct tbk_performance_group **ret_groups, size_t *ret_group_count,
                                          size_t *ret_groups_left_out, struct tbk_error *error)
{
    (void)analytics, (void)session, (void)query, (void)breakdown, (void)groups_max, (void)arena, (void)ret_basis;
    (void)ret_total, (void)ret_groups, (void)ret_group_count, (void)ret_groups_left_out;
    return unimplemented(error);
}

enum tbk_status tbk_analytics_periods(struct tbk_analytics *analytics, struct tbk_session *session,
                                      const struct tbk_analytics_query *query, enum tbk_period period,
                                      int64_t before_us, size_t limit, struct tbk_arena *arena,
                                      struct tbk_basis *ret_basis, struct tbk_performance_period **ret_periods,
                                      size_t *ret_count, bool *ret_more, struct tbk_error *error)
{
    (void)analytics, (void)session, (void)query, (void)period, (void)before_us, (void)limit, (void)arena;
    (void)ret_basis, (void)ret_periods, (void)ret_count, (void)ret_more;
    return unimplemented(error);
}

enum tbk_status tbk_analytics_equity(struct tbk_analytics *analytics, struct tbk_session *session,
                                     const struct tbk_analytics_query *query, size_t points_max,
                                     struct tbk_arena *arena, struct tbk_basis *ret_basis,
                                     struct tbk_equity_curve *ret_curve, struct tbk_error *error)
{
    (void)analytics, (void)session, (void)query, (void)points_max, (void)arena, (void)ret_basis, (void)ret_curve;
    return unimplemented(error);
}

enum tbk_status tbk_analytics_calibration(struct tbk_analytics *analytics, struct tbk_session *session,
                                          const struct tbk_analytics_query *query, struct tbk_basis *ret_basis,
                                          struct tbk_calibration *ret_calibration, struct tbk_error *error)
{
    (void)analytics, (void)session, (void)query, (void)ret_basis, (void)ret_calibration;
    return unimplemented(error);
}

enum tbk_status tbk_analytics_theories(struct tbk_analytics *analytics, struct tbk_session *session,
                                       const struct tbk_analytics_query *query, struct tbk_arena *arena,
                                       struct tbk_theory_sums **ret_theories, size_t *ret_count,
                                       struct tbk_error *error)
{
    (void)analytics, (void)session, (void)query, (void)arena, (void)ret_theories, (void)ret_count;
    return unimplemented(error);
}

enum tbk_status tbk_analytics_signal_counts(struct tbk_analytics *analytics, struct tbk_session *session,
                                            const struct tbk_analytics_query *query, struct tbk_arena *arena,
                                            struct tbk_signal_count **ret_counts, size_t *ret_count,
                                            struct tbk_error *error)
{
    (void)analytics, (void)session, (void)query, (void)arena, (void)ret_counts, (void)ret_count;
    return unimplemented(error);
}
