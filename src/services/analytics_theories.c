/* AnalyticsService/RankTheories: how often theories were right. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "analytics/statistics.h"
#include "query/page.h"
#include "services/analytics_figures.h"
#include "services/analytics_request.h"
#include "services/analytics_verdict.h"
#include "services/handlers.h"

/* What check leaves for run. */
struct ranking_request {
    struct tbk_analytics_query query;
    int64_t min_n;
    bool by_lower_bound;
    struct tbk_page page;
};

/* A theory and what follows from its sums. */
struct theory {
    const struct tbk_theory_sums *sums;
    double rate;
    double lower;
    struct tbk_proportion_test test; /* against all other theories */
    double p_value_holm;
    int64_t rank_by_rate;
    int64_t rank_by_lower_bound;
};

/* The values by which a page token places a theory. */
static const enum tbk_value_type place_types[] = {TBK_VALUE_REAL, TBK_VALUE_INTEGER, TBK_VALUE_TEXT};
enum { PLACE_VALUES = sizeof place_types / sizeof place_types[0] };

static enum tbk_status read_page(struct tbk_call *call, const struct tbk_method *method,
                                 const Tradebook__V1__RankTheoriesRequest *message, struct ranking_request *read)
{
    const struct tbk_page_request page = {
        .has_page_size = message->has_page_size != 0,
        .page_size = message->page_size,
        .page_token = message->page_token,
        .scope =
            tbk_arena_printf(call->arena, "%s %lld %lld %lld %d", method->name, (long long)read->query.start_us,
                             (long long)read->query.end_us, (long long)read->min_n, read->by_lower_bound),
    };
    if (page.scope == NULL) {
        return tbk_error_set(call->error, TBK_RESOURCE_EXHAUSTED, "Out of memory while reading the request.");
    }
    return tbk_page_build(&page, place_types, PLACE_VALUES, call->context->secret, call->arena, &read->page,
                          call->error);
}

enum tbk_status tbk_analytics_check_theories(struct tbk_call *call, const struct tbk_method *method,
                                             ProtobufCMessage *request)
{
    const Tradebook__V1__RankTheoriesRequest *message = (const Tradebook__V1__RankTheoriesRequest *)request;
    struct ranking_request read = {
        .query = tbk_analytics_query_of(call),
        .min_n = message->has_min_n ? message->min_n : 1,
        .by_lower_bound = message->order == TRADEBOOK__V1__RANK_ORDER__RANK_ORDER_LOWER_BOUND,
    };
    tbk_analytics_read_window(message->start_time, message->end_time, &read.query, call->error);
    if (read.min_n < 1) {
        tbk_error_violation(call->error, "min_n", "must be at least 1, is %lld", (long long)read.min_n);
    }
    const enum tbk_status status = read_page(call, method, message, &read);
    return status == TBK_RESOURCE_EXHAUSTED ? status : tbk_analytics_prepare(call, &read, sizeof read);
}

/* Best first. The names differ, so no two are equal. */
static int compare_places(double rate_a, int64_t n_a, const char *name_a, double rate_b, int64_t n_b,
                          const char *name_b)
{
    if (rate_a != rate_b) {
        return rate_a > rate_b ? -1 : 1;
    }
    if (n_a != n_b) {
        return n_a > n_b ? -1 : 1;
    }
    return strcmp(name_a, name_b);
}

static int compare_rates(const void *left, const void *right)
{
    const struct theory *a = left;
    const struct theory *b = right;
    return compare_places(a->rate, a->sums->n, a->sums->name, b->rate, b->sums->n, b->sums->name);
}

static int compare_lower_bounds(const void *left, const void *right)
{
    const struct theory *a = left;
    const struct theory *b = right;
    return compare_places(a->lower, a->sums->n, a->sums->name, b->lower, b->sums->n, b->sums->name);
}

static double place_rate(const struct theory *theory, bool by_lower_bound)
{
    return by_lower_bound ? theory->lower : theory->rate;
}

static struct tbk_share all_theories(const struct tbk_theory_sums *sums, size_t count)
{
    struct tbk_share all = {0};
    for (size_t i = 0; i < count; i++) {
        all.successes += sums[i].correct;
        all.n += sums[i].n;
    }
    return all;
}

static struct theory judge(const struct tbk_theory_sums *sums, struct tbk_share all)
{
    const struct tbk_share own = {sums->correct, sums->n};
    const struct tbk_share rest = {all.successes - own.successes, all.n - own.n};
    return (struct theory){
        .sums = sums,
        .rate = (double)own.successes / (double)own.n,
        .lower = tbk_wilson(own.successes, own.n).lower,
        .test = tbk_compare_shares(own, rest),
    };
}

static bool correct_p_values(struct theory *theories, size_t count, struct tbk_arena *arena)
{
    double *p_values = tbk_arena_alloc(arena, (count + 1) * sizeof *p_values);
    double *corrected = tbk_arena_alloc(arena, (count + 1) * sizeof *corrected);
    size_t *order = tbk_arena_alloc(arena, (count + 1) * sizeof *order);
    if (p_values == NULL || corrected == NULL || order == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        p_values[i] = theories[i].test.p_value;
    }
    tbk_holm(count, p_values, order, corrected);
    for (size_t i = 0; i < count; i++) {
        theories[i].p_value_holm = corrected[i];
    }
    return true;
}

/* The theories with enough records, in the order asked for; NULL when memory is
 * exhausted. */
static struct theory *rank(const struct tbk_theory_sums *sums, size_t count, struct tbk_share all,
                           const struct ranking_request *read, struct tbk_arena *arena, size_t *ret_count)
{
    struct theory *theories = tbk_arena_alloc(arena, (count + 1) * sizeof *theories);
    size_t ranked = 0;
    for (size_t i = 0; theories != NULL && i < count; i++) {
        if (sums[i].n >= read->min_n) {
            theories[ranked++] = judge(&sums[i], all);
        }
    }
    if (theories == NULL || !correct_p_values(theories, ranked, arena)) {
        return NULL;
    }
    qsort(theories, ranked, sizeof *theories, compare_rates);
    for (size_t i = 0; i < ranked; i++) {
        theories[i].rank_by_rate = (int64_t)i + 1;
    }
    qsort(theories, ranked, sizeof *theories, compare_lower_bounds);
    for (size_t i = 0; i < ranked; i++) {
        theories[i].rank_by_lower_bound = (int64_t)i + 1;
    }
    if (!read->by_lower_bound) {
        qsort(theories, ranked, sizeof *theories, compare_rates);
    }
    *ret_count = ranked;
    return theories;
}

/* Position of the first theory of the page. */
static size_t page_start(const struct theory *theories, size_t count, const struct ranking_request *read)
{
    const struct tbk_value *after = read->page.after;
    size_t start = 0;
    while (read->page.continues && start < count &&
           compare_places(place_rate(&theories[start], read->by_lower_bound), theories[start].sums->n,
                          theories[start].sums->name, after[0].real, after[1].integer, after[2].text.data) <= 0) {
        start++;
    }
    return start;
}

static Tradebook__V1__TheoryRank *make_rank(struct tbk_maker *maker, const struct theory *theory,
                                            struct tbk_share all)
{
    Tradebook__V1__TheoryRank *rank = tbk_make(maker, &tradebook__v1__theory_rank__descriptor);
    if (rank == NULL) {
        return NULL;
    }
    rank->theory_name = (char *)(uintptr_t)theory->sums->name;
    TBK_SET(rank, correct, theory->sums->correct);
    rank->accuracy = tbk_make_proportion(maker, theory->sums->correct, theory->sums->n);
    TBK_SET_FIGURE(rank, mean_contribution, theory->sums->contribution / (double)theory->sums->contributions);
    TBK_SET_FIGURE(rank, lift, theory->rate / ((double)all.successes / (double)all.n));
    TBK_SET_FIGURE(rank, p_value, theory->test.p_value);
    if (rank->has_p_value) {
        TBK_SET(rank, test, tbk_proportion_test_kind(&theory->test));
    }
    TBK_SET_FIGURE(rank, p_value_holm, theory->p_value_holm);
    TBK_SET(rank, rank_by_rate, theory->rank_by_rate);
    TBK_SET(rank, rank_by_lower_bound, theory->rank_by_lower_bound);
    return rank;
}

static char *next_token(struct tbk_maker *maker, const struct theory *last, const struct ranking_request *read,
                        uint64_t secret)
{
    const struct tbk_value place[PLACE_VALUES] = {
        {.type = TBK_VALUE_REAL, .real = place_rate(last, read->by_lower_bound)},
        {.type = TBK_VALUE_INTEGER, .integer = last->sums->n},
        {.type = TBK_VALUE_TEXT, .text = {last->sums->name, strlen(last->sums->name)}},
    };
    char *token = tbk_page_next(&read->page, place, PLACE_VALUES, secret, maker->arena);
    maker->failed |= token == NULL;
    return token;
}

enum tbk_status tbk_analytics_rank_theories(struct tbk_call *call, const struct tbk_method *method,
                                            ProtobufCMessage *request, ProtobufCMessage **ret_response)
{
    (void)request;
    const struct ranking_request *read = call->prepared;
    struct tbk_theory_sums *sums = NULL;
    size_t sums_count = 0;
    const enum tbk_status status = tbk_analytics_theories(call->context->analytics, call->session, &read->query,
                                                          call->arena, &sums, &sums_count, call->error);
    if (status != TBK_OK) {
        return status;
    }
    struct tbk_maker maker = {.arena = call->arena};
    const struct tbk_share all = all_theories(sums, sums_count);
    size_t count = 0;
    const struct theory *theories = rank(sums, sums_count, all, read, call->arena, &count);
    Tradebook__V1__RankTheoriesResponse *response = tbk_make(&maker, method->response);
    maker.failed |= theories == NULL;
    if (!maker.failed) {
        const size_t start = page_start(theories, count, read);
        const size_t end = count - start > read->page.limit ? start + read->page.limit : count;
        response->basis = tbk_make_basis(&maker, method->response, &read->query, NULL, NULL);
        response->overall_accuracy = tbk_make_proportion(&maker, all.successes, all.n);
        response->theories = tbk_make_list(&maker, end - start);
        for (size_t i = start; i < end && !maker.failed; i++) {
            response->theories[response->n_theories++] = make_rank(&maker, &theories[i], all);
        }
        if (end < count) {
            response->next_page_token = next_token(&maker, &theories[end - 1], read, call->context->secret);
        }
    }
    return tbk_make_end(&maker, call, (ProtobufCMessage *)response, ret_response);
}
