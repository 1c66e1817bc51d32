/* Which model is in production, and which was. */
#include <string.h>

#include "base/timestamp.h"
#include "contract.h"
#include "tradebook/v1/model.pb-c.h"

/* Inserts an active model within the open transaction; returns its id. */
static int64_t insert(struct tbk_store *store, const char *version, const char *type, bool promoted)
{
    Tradebook__V1__ModelDeployment *model =
        (Tradebook__V1__ModelDeployment *)tbk_store_message(store, TBK_MODEL_DEPLOYMENTS, TBK_FILL_MANDATORY, 1);
    model->version = (char *)(uintptr_t)version;
    model->model_type = (char *)(uintptr_t)type;
    model->is_promoted = promoted;
    model->is_active = true;
    return tbk_store_insert(store, TBK_MODEL_DEPLOYMENTS, &model->base);
}

static Tradebook__V1__ModelDeployment *read(struct tbk_store *store, int64_t id)
{
    return (Tradebook__V1__ModelDeployment *)tbk_store_get_id(store, store->writer, TBK_MODEL_DEPLOYMENTS, id);
}

/* Writes these flags and this reason, as a program without the server does. */
static void set(struct tbk_store *store, int64_t id, bool promoted, bool active, const char *reason)
{
    const struct tbk_table *table = tbk_store_table(store, TBK_MODEL_DEPLOYMENTS);
    Tradebook__V1__ModelDeployment *model = read(store, id);
    model->is_promoted = promoted;
    model->is_active = active;
    model->rollback_reason = (char *)(uintptr_t)reason;
    const uint32_t columns =
        tbk_table_column_bits(table, (const char *[]){"is_promoted", "is_active", "rollback_reason", NULL});
    expect_ok(store, store->ops->update(store->writer, table, columns, &model->base, &store->error));
}

static void promote(struct tbk_store *store, int64_t id)
{
    expect_ok(store, store->ops->model_promote(store->writer, id, &store->error));
}

static int64_t predecessor(struct tbk_store *store, int64_t id)
{
    int64_t before = -1;
    expect_ok(store, store->ops->model_predecessor(store->writer, id, &before, &store->error));
    return before;
}

/* The spans that a query answers, in one page. */
struct spans {
    struct tbk_model_tenure *list;
    size_t count;
    bool more;
};

static struct spans read_spans(struct tbk_store *store, struct tbk_tenure_query query)
{
    struct spans spans = {0};
    query.limit = query.limit != 0 ? query.limit : 100;
    query.before_id = query.before_id != 0 ? query.before_id : INT64_MAX;
    expect_ok(store, store->ops->model_tenures(store->writer, &query, SIZE_MAX, store->arena, &spans.list,
                                               &spans.count, &spans.more, &store->error));
    return spans;
}

/* "c b- a-": the versions, newest first, those with a minus no longer in
 * production. */
static void assert_spans(struct spans spans, const char *expected)
{
    char actual[256] = "";
    for (size_t i = 0; i < spans.count; i++) {
        strcat(actual, i > 0 ? " " : "");
        strcat(actual, spans.list[i].version);
        strcat(actual, spans.list[i].demoted_at.type != TBK_VALUE_NULL ? "-" : "");
        assert_int_equal(spans.list[i].promoted_at.type, TBK_VALUE_TIMESTAMP);
        assert_true(i == 0 || spans.list[i].id < spans.list[i - 1].id);
    }
    assert_string_equal(actual, expected);
}

static void assert_history(struct tbk_store *store, const char *expected)
{
    assert_spans(read_spans(store, (struct tbk_tenure_query){0}), expected);
}

static void test_model_promote_demotes_all_others_of_the_type(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", true);
    const int64_t b = insert(store, "b", "lstm", true);
    const int64_t c = insert(store, "c", "lstm", false);
    const int64_t other = insert(store, "other", "rl", true);
    promote(store, c);
    assert_false(read(store, a)->is_promoted);
    assert_false(read(store, b)->is_promoted);
    assert_true(read(store, c)->is_promoted);
    assert_true(read(store, other)->is_promoted);
    assert_history(store, "c other b- a-");
    tbk_store_commit(store);
}

static void test_model_promote_again_makes_no_new_span(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", false);
    assert_history(store, "");
    promote(store, a);
    promote(store, a);
    assert_history(store, "a");
    tbk_store_commit(store);
}

static void test_model_promote_unknown_not_found(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    insert(store, "a", "lstm", true);
    expect_status(store, store->ops->model_promote(store->writer, 99, &store->error), TBK_NOT_FOUND);
    assert_history(store, "a");
    tbk_store_commit(store);
}

static void test_model_spans_meet_without_gap(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", true);
    const int64_t b = insert(store, "b", "lstm", false);
    for (int i = 0; i < 10; i++) {
        promote(store, i % 2 == 0 ? b : a);
    }
    const struct spans spans = read_spans(store, (struct tbk_tenure_query){0});
    assert_int_equal(spans.count, 11);
    for (size_t i = 1; i < spans.count; i++) {
        assert_true(spans.list[i].demoted_at.timestamp_us == spans.list[i - 1].promoted_at.timestamp_us);
    }
    assert_int_equal(spans.list[0].demoted_at.type, TBK_VALUE_NULL);
    tbk_store_commit(store);
}

static void test_model_spans_follow_what_others_write(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", true);
    set(store, a, false, true, NULL);
    assert_history(store, "a-");
    set(store, a, true, true, NULL);
    assert_history(store, "a a-");
    set(store, a, true, false, NULL); /* promoted, but not active */
    assert_history(store, "a- a-");
    set(store, a, true, true, NULL);
    assert_history(store, "a a- a-");
    tbk_store_commit(store);
}

static void test_model_span_tells_why_only_of_a_rollback(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", true);
    set(store, a, false, true, "not yet");
    set(store, a, true, true, "not yet");
    set(store, a, false, false, "loss diverged");
    const struct spans spans = read_spans(store, (struct tbk_tenure_query){0});
    assert_spans(spans, "a- a-");
    assert_string_equal(spans.list[0].rollback_reason, "loss diverged");
    assert_null(spans.list[1].rollback_reason);
    assert_string_equal(spans.list[0].model_type, "lstm");
    tbk_store_commit(store);
}

static void test_model_spans_rolled_back_never_were(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", false);
    tbk_store_commit(store);
    tbk_store_begin(store);
    promote(store, a);
    store->ops->rollback(store->writer);
    assert_history(store, "");
}

static void test_model_spans_of_a_moment(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    insert(store, "other", "rl", true);
    const int64_t a = insert(store, "a", "lstm", true);
    const int64_t from = read_spans(store, (struct tbk_tenure_query){0}).list[0].promoted_at.timestamp_us;
    struct tbk_tenure_query query = {.model_type = "lstm", .has_at = true, .at_us = from - 1};
    assert_spans(read_spans(store, query), "");
    query.at_us = from;
    assert_spans(read_spans(store, query), "a");
    query.at_us = TBK_TIMESTAMP_MAX;
    assert_spans(read_spans(store, query), "a");
    set(store, a, false, true, NULL);
    query.at_us = read_spans(store, (struct tbk_tenure_query){0}).list[0].demoted_at.timestamp_us;
    assert_spans(read_spans(store, query), "");
    query.model_type = NULL;
    assert_spans(read_spans(store, query), "other");
    tbk_store_commit(store);
}

static void test_model_spans_come_in_pages(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", true);
    promote(store, insert(store, "b", "lstm", false));
    promote(store, a);
    struct spans page = read_spans(store, (struct tbk_tenure_query){.limit = 2});
    assert_spans(page, "a b-");
    assert_true(page.more);
    page = read_spans(store, (struct tbk_tenure_query){.limit = 2, .before_id = page.list[1].id});
    assert_spans(page, "a-");
    assert_false(page.more);
    page = read_spans(store, (struct tbk_tenure_query){.limit = 3});
    assert_false(page.more);
    const struct tbk_tenure_query query = {.before_id = INT64_MAX, .limit = 3};
    expect_ok(store, store->ops->model_tenures(store->writer, &query, 1, store->arena, &page.list, &page.count,
                                               &page.more, &store->error));
    assert_spans(page, "a");
    assert_true(page.more);
    tbk_store_commit(store);
}

static void test_model_predecessor_is_the_newest_active_before(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", true);
    const int64_t b = insert(store, "b", "lstm", false);
    const int64_t c = insert(store, "c", "lstm", false);
    insert(store, "other", "rl", true);
    assert_int_equal(predecessor(store, a), 0);
    promote(store, b);
    promote(store, c);
    assert_int_equal(predecessor(store, c), b);
    set(store, c, false, false, "worse");
    promote(store, b);
    assert_int_equal(predecessor(store, b), a); /* c is inactive, b is itself */
    set(store, a, false, false, NULL);
    assert_int_equal(predecessor(store, b), 0);
    tbk_store_commit(store);
}

static void test_model_predecessor_prefers_one_still_in_production(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_begin(store);
    const int64_t a = insert(store, "a", "lstm", true);
    const int64_t b = insert(store, "b", "lstm", false);
    promote(store, b);
    const int64_t c = insert(store, "c", "lstm", true); /* as another program may */
    assert_int_equal(predecessor(store, b), c);
    set(store, c, false, true, NULL);
    assert_int_equal(predecessor(store, b), a); /* c came later */
    tbk_store_commit(store);
}

int tbk_contract_run_models(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_model_promote_demotes_all_others_of_the_type),
        contract_test(test_model_promote_again_makes_no_new_span),
        contract_test(test_model_promote_unknown_not_found),
        contract_test(test_model_spans_meet_without_gap),
        contract_test(test_model_spans_follow_what_others_write),
        contract_test(test_model_span_tells_why_only_of_a_rollback),
        contract_test(test_model_spans_rolled_back_never_were),
        contract_test(test_model_spans_of_a_moment),
        contract_test(test_model_spans_come_in_pages),
        contract_test(test_model_predecessor_is_the_newest_active_before),
        contract_test(test_model_predecessor_prefers_one_still_in_production),
    };
    return cmocka_run_group_tests_name("contract: models", tests, NULL, NULL);
}
