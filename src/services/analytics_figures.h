/*
 * Figures as messages. A figure that is not defined (NaN) is absent.
 *
 * Functions that make a message return NULL when memory is exhausted; the maker
 * remembers it, so a handler looks once, at its end.
 */
#ifndef TBK_SERVICES_ANALYTICS_FIGURES_H
#define TBK_SERVICES_ANALYTICS_FIGURES_H

#include <math.h>

#include "services/service.h"
#include "tradebook/v1/analytics.pb-c.h"

struct tbk_maker {
    struct tbk_arena *arena;
    bool failed;
};

/* Sets an optional number, or leaves it absent when it is not finite. */
#define TBK_SET_FIGURE(message, field, figure)                                                                    \
    do {                                                                                                          \
        const double tbk_figure = (figure);                                                                       \
        (message)->has_##field = isfinite(tbk_figure) != 0;                                                       \
        (message)->field = isfinite(tbk_figure) ? tbk_figure : 0;                                                 \
    } while (0)

/* Sets an optional count or enumeration. */
#define TBK_SET(message, field, number)                                                                           \
    do {                                                                                                          \
        (message)->has_##field = 1;                                                                               \
        (message)->field = (number);                                                                              \
    } while (0)

/* An empty message of a type. */
void *tbk_make(struct tbk_maker *maker, const ProtobufCMessageDescriptor *descriptor);
/* An array of count pointers; not NULL when count is 0. */
void *tbk_make_list(struct tbk_maker *maker, size_t count);
/* RESOURCE_EXHAUSTED when anything could not be made, else OK with the response. */
enum tbk_status tbk_make_end(const struct tbk_maker *maker, struct tbk_call *call, ProtobufCMessage *response,
                             ProtobufCMessage **ret_response) TBK_MUST_CHECK;

/* NULL also for TBK_NO_TIME. */
Google__Protobuf__Timestamp *tbk_make_time(struct tbk_maker *maker, int64_t us);
Tradebook__V1__Proportion *tbk_make_proportion(struct tbk_maker *maker, int64_t successes, int64_t n);
/* NULL also when the depth is not defined. */
Tradebook__V1__Drawdown *tbk_make_drawdown(struct tbk_maker *maker, const struct tbk_drawdown *drawdown);
Tradebook__V1__Performance *tbk_make_performance(struct tbk_maker *maker, const struct tbk_performance *figures,
                                                 const struct tbk_analytics_query *query);

/* What the figures of a response cover, with the definitions of all of them.
 * slice is the request's, or NULL; basis NULL leaves out trades and days. */
Tradebook__V1__Basis *tbk_make_basis(struct tbk_maker *maker, const ProtobufCMessageDescriptor *response,
                                     const struct tbk_analytics_query *query, Tradebook__V1__Slice *slice,
                                     const struct tbk_basis *basis);

#endif
