/* AnalyticsService/RankPatterns: how often patterns won. Only the counts of all
 * patterns are read and ranked; then the rows of one page. */
#include <stdlib.h>
#include <string.h>

#include "analytics/statistics.h"
#include "base/dynbuf.h"
#include "query/page.h"
#include "services/analytics_figures.h"
#include "services/analytics_request.h"
#include "services/handlers.h"

enum { PATTERNS_MAX = 1000 * 1000 };

/* What check leaves for run. */
struct ranking_request {
    int64_t min_total;
    double min_win_rate;
    bool by_lower_bound;
    struct tbk_page page;
};

/* A pattern and what follows from its counts. */
struct ranked {
    struct tbk_pattern_counts counts;
    double rate;
    double lower;
    int64_t rank_by_rate;
    int64_t rank_by_lower_bound;
};

/* All patterns that are ranked, in the order asked for. */
struct ranking {
    struct ranked *list; /* for free() */
    size_t count;
};

/* The values by which a page token places a pattern: id, wins, total. */
static const enum tbk_value_type place_types[] = {TBK_VALUE_INTEGER, TBK_VALUE_INTEGER, TBK_VALUE_INTEGER};
enum { PLACE_VALUES = sizeof place_types / sizeof place_types[0] };

static enum tbk_status read_page(struct tbk_call *call, const struct tbk_method *method,
                                 const Tradebook__V1__RankPatternsRequest *message, struct ranking_request *read)
{
    const struct tbk_page_request page = {
        .has_page_size = message->has_page_size != 0,
        .page_size = message->page_size,
        .page_token = message->page_token,
        .scope = tbk_arena_printf(call->arena, "%s %lld %.17g %d", method->name, (long long)read->min_total,
                                  read->min_win_rate, read->by_lower_bound),
    };
    if (page.scope == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
    }
    return tbk_page_build(&page, place_types, PLACE_VALUES, call->context->secret, call->arena, &read->page,
                          call->error);
}

enum tbk_status tbk_analytics_check_patterns(struct tbk_call *call, const struct tbk_method *method,
                                             ProtobufCMessage *request)
{
    const Tradebook__V1__RankPatternsRequest *message = (const Tradebook__V1__RankPatternsRequest *)request;
    struct ranking_request read = {
        .min_total = message->has_min_total ? message->min_total : 1,
        .min_win_rate = message->min_win_rate,
        .by_lower_bound = message->order == TRADEBOOK__V1__RANK_ORDER__RANK_ORDER_LOWER_BOUND,
    };
    if (read.min_total < 1) {
        tbk_error_violation(call->error, "min_total", "must be at least 1, is %lld", (long long)read.min_total);
    }
    if (!(read.min_win_rate >= 0 && read.min_win_rate <= 1)) {
        tbk_error_violation(call->error, "min_win_rate", "must be between 0.0 and 1.0, is %g", read.min_win_rate);
    }
    const enum tbk_status status = read_page(call, method, message, &read);
    return status == TBK_RESOURCE_EXHAUSTED ? status : tbk_analytics_prepare(call, &read, sizeof read);
}

static struct ranked judge(struct tbk_pattern_counts counts)
{
    return (struct ranked){
        .counts = counts,
        .rate = (double)counts.wins / (double)counts.total,
        .lower = tbk_wilson(counts.wins, counts.total).lower,
    };
}

/* More trades first, then the older pattern. Ids differ, so no two are equal. */
static int compare_ties(const struct ranked *a, const struct ranked *b)
{
    if (a->counts.total != b->counts.total) {
        return a->counts.total > b->counts.total ? -1 : 1;
    }
    return (a->counts.id > b->counts.id) - (a->counts.id < b->counts.id);
}

static int compare_rates(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    return a->rate != b->rate ? (a->rate > b->rate ? -1 : 1) : compare_ties(a, b);
}

static int compare_lower_bounds(const void *left, const void *right)
{
    const struct ranked *a = left;
    const struct ranked *b = right;
    return a->lower != b->lower ? (a->lower > b->lower ? -1 : 1) : compare_ties(a, b);
}

static void sort_by_rate(struct ranking *ranking)
{
    qsort(ranking->list, ranking->count, sizeof *ranking->list, compare_rates);
    for (size_t i = 0; i < ranking->count; i++) {
        ranking->list[i].rank_by_rate = (int64_t)i + 1;
    }
}

static void sort_by_lower_bound(struct ranking *ranking)
{
    qsort(ranking->list, ranking->count, sizeof *ranking->list, compare_lower_bounds);
    for (size_t i = 0; i < ranking->count; i++) {
        ranking->list[i].rank_by_lower_bound = (int64_t)i + 1;
    }
}

static enum tbk_status rank(struct tbk_call *call, const struct ranking_request *read,
                            const struct tbk_pattern_counts *counts, size_t count, struct ranking *ret_ranking)
{
    struct ranking ranking = {.list = malloc((count + 1) * sizeof *ranking.list)};
    if (ranking.list == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while ranking.");
    }
    for (size_t i = 0; i < count; i++) {
        ranking.list[ranking.count] = judge(counts[i]);
        ranking.count += ranking.list[ranking.count].rate >= read->min_win_rate;
    }
    /* The order asked for comes last and stays. */
    if (read->by_lower_bound) {
        sort_by_rate(&ranking);
        sort_by_lower_bound(&ranking);
    } else {
        sort_by_lower_bound(&ranking);
        sort_by_rate(&ranking);
    }
    *ret_ranking = ranking;
    return TBK_OK;
}

static enum tbk_status read_and_rank(struct tbk_call *call, const struct ranking_request *read,
                                     struct ranking *ret_ranking)
{
    struct tbk_dynbuf counts;
    tbk_dynbuf_init(&counts, PATTERNS_MAX * sizeof(struct tbk_pattern_counts));
    enum tbk_status status =
        call->context->ops->pattern_counts(call->session, read->min_total, &counts, call->error);
    if (status == TBK_OK) {
        status = rank(call, read, (const void *)counts.data, counts.length / sizeof(struct tbk_pattern_counts),
                      ret_ranking);
    }
    tbk_dynbuf_fini(&counts);
    return status;
}

/* Position of the first pattern of the page. */
static size_t page_start(const struct ranking *ranking, const struct ranking_request *read)
{
    if (!read->page.continues) {
        return 0;
    }
    const struct tbk_value *after = read->page.after;
    const struct ranked last = judge(
        (struct tbk_pattern_counts){.id = after[0].integer, .wins = after[1].integer, .total = after[2].integer});
    size_t start = 0;
    while (start < ranking->count && (read->by_lower_bound ? compare_lower_bounds(&ranking->list[start], &last)
                                                           : compare_rates(&ranking->list[start], &last)) <= 0) {
        start++;
    }
    return start;
}

static enum tbk_status make_rank(struct tbk_call *call, struct tbk_maker *maker, const struct ranked *ranked,
                                 Tradebook__V1__PatternRank **ret_rank)
{
    const struct tbk_table *table = &call->context->schema->tables[TBK_PATTERNS];
    const struct tbk_value id = {.type = TBK_VALUE_INTEGER, .integer = ranked->counts.id};
    ProtobufCMessage *pattern = NULL;
    const enum tbk_status status =
        call->context->ops->get(call->session, table, table->key, id, call->arena, &pattern, call->error);
    Tradebook__V1__PatternRank *rank = tbk_make(maker, &tradebook__v1__pattern_rank__descriptor);
    if (status != TBK_OK || rank == NULL) {
        return status;
    }
    rank->pattern = (Tradebook__V1__Pattern *)pattern;
    rank->win_rate = tbk_make_proportion(maker, ranked->counts.wins, ranked->counts.total);
    TBK_SET(rank, rank_by_rate, ranked->rank_by_rate);
    TBK_SET(rank, rank_by_lower_bound, ranked->rank_by_lower_bound);
    *ret_rank = rank;
    return TBK_OK;
}

static char *next_token(struct tbk_maker *maker, const struct tbk_pattern_counts *last,
                        const struct ranking_request *read, uint64_t secret)
{
    const struct tbk_value place[PLACE_VALUES] = {
        {.type = TBK_VALUE_INTEGER, .integer = last->id},
        {.type = TBK_VALUE_INTEGER, .integer = last->wins},
        {.type = TBK_VALUE_INTEGER, .integer = last->total},
    };
    char *token = tbk_page_next(&read->page, place, PLACE_VALUES, secret, maker->arena);
    maker->failed |= token == NULL;
    return token;
}

static enum tbk_status make_response(struct tbk_call *call, const struct tbk_method *method,
                                     const struct ranking *ranking, ProtobufCMessage **ret_response)
{
    const struct ranking_request *read = call->prepared;
    const size_t start = page_start(ranking, read);
    const size_t left = ranking->count - start;
    const size_t end = left > read->page.limit ? start + read->page.limit : ranking->count;
    const struct tbk_analytics_query no_window = tbk_analytics_query_of(call);
    struct tbk_maker maker = {.arena = call->arena};
    Tradebook__V1__RankPatternsResponse *response = tbk_make(&maker, method->response);
    if (response == NULL) {
        return tbk_make_end(&maker, call, NULL, ret_response);
    }
    response->basis = tbk_make_basis(&maker, method->response, &no_window, NULL, NULL);
    response->patterns = tbk_make_list(&maker, end - start);
    enum tbk_status status = TBK_OK;
    for (size_t i = start; i < end && !maker.failed && status == TBK_OK; i++) {
        status = make_rank(call, &maker, &ranking->list[i], &response->patterns[response->n_patterns++]);
    }
    if (status == TBK_OK && !maker.failed && end < ranking->count) {
        response->next_page_token =
            next_token(&maker, &ranking->list[end - 1].counts, read, call->context->secret);
    }
    return status == TBK_OK ? tbk_make_end(&maker, call, (ProtobufCMessage *)response, ret_response) : status;
}

enum tbk_status tbk_analytics_rank_patterns(struct tbk_call *call, const struct tbk_method *method,
                                            ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)request;
    const struct tbk_storage_ops *ops = call->context->ops;
    struct ranking ranking = {0};
    enum tbk_status status = ops->begin(call->session, call->error); /* counts and rows of one moment */
    if (status != TBK_OK) {
        return status;
    }
    status = read_and_rank(call, call->prepared, &ranking);
    if (status == TBK_OK) {
        status = make_response(call, method, &ranking, ret_response);
    }
    ops->rollback(call->session);
    free(ranking.list);
    return status;
}
