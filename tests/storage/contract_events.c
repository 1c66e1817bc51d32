/* The outbox of events, cursors, and noticing what others have committed. */
#include <string.h>

#include "base/timestamp.h"
#include "contract.h"
#include "tradebook/v1/signal.pb-c.h"

enum { EVENT_BYTES_ANY = 1 << 20 };

static const struct tbk_event_query everything = {.limit = 1000, .scan_max = 1000, .bytes_max = EVENT_BYTES_ANY};

/* Inserts a signal of this symbol and a closed trade on it; returns the trade. */
static ProtobufCMessage *close_trade(struct tbk_store *store, const char *symbol)
{
    const int64_t number = tbk_store_count(store, store->writer, TBK_SIGNALS);
    ProtobufCMessage *signal = tbk_store_message(store, TBK_SIGNALS, TBK_FILL_ALL, number);
    const struct tbk_table *signals = tbk_store_table(store, TBK_SIGNALS);
    tbk_store_set(store, signal, tbk_store_column(signals, "symbol"), tbk_value_text(symbol));
    tbk_store_insert(store, TBK_SIGNALS, signal);
    ProtobufCMessage *result = tbk_store_message(store, TBK_SIGNAL_RESULTS, TBK_FILL_ALL, number);
    const struct tbk_table *results = tbk_store_table(store, TBK_SIGNAL_RESULTS);
    tbk_store_set(store, result, tbk_store_column(results, "outcome"),
                  tbk_value_integer(TRADEBOOK__V1__OUTCOME__OUTCOME_WIN + number % 3));
    tbk_store_insert(store, TBK_SIGNAL_RESULTS, result);
    return result;
}

static void close_trades(struct tbk_store *store, const char *symbol, int count)
{
    tbk_store_begin(store);
    for (int i = 0; i < count; i++) {
        close_trade(store, symbol);
    }
    tbk_store_commit(store);
}

static struct tbk_event_page list(struct tbk_store *store, struct tbk_event_query query)
{
    struct tbk_event_page page;
    expect_ok(store, store->ops->event_list(store->reader, &query, store->arena, &page, &store->error));
    for (size_t i = 0; i < page.count; i++) {
        assert_true(page.events[i]->sequence > query.after);
        assert_true(i == 0 || page.events[i]->sequence > page.events[i - 1]->sequence);
    }
    return page;
}

static void expect_range(struct tbk_store *store, int64_t oldest, int64_t newest)
{
    struct tbk_event_range range;
    expect_ok(store, store->ops->event_range(store->reader, &range, &store->error));
    assert_int_equal(range.oldest, oldest);
    assert_int_equal(range.newest, newest);
}

static void test_events_of_a_new_database_are_none(void **state)
{
    struct tbk_store *store = *state;
    expect_range(store, 0, 0);
    struct tbk_event_query query = everything;
    query.after = 7;
    const struct tbk_event_page page = list(store, query);
    assert_int_equal(page.count, 0);
    assert_int_equal(page.next_after, 7);
}

static void test_events_tell_everything_of_closed_trades_in_order(void **state)
{
    static const char *const symbols[] = {"BTC-USD", "a/b c\xC3\xA9", "BTC-USD"};
    static const char *const topics[] = {"trade.closed/BTC-USD/", "trade.closed/a%2Fb%20c%C3%A9/",
                                         "trade.closed/BTC-USD/"};
    static const int64_t previous[] = {0, 0, 1};
    struct tbk_store *store = *state;
    ProtobufCMessage *results[3];
    tbk_store_begin(store);
    for (int i = 0; i < 3; i++) {
        results[i] = close_trade(store, symbols[i]);
    }
    tbk_store_commit(store);
    expect_range(store, 1, 3);
    const struct tbk_event_page page = list(store, everything);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.next_after, 3);
    assert_int_equal(page.range.oldest, 1);
    assert_int_equal(page.range.newest, 3);
    for (int i = 0; i < 3; i++) {
        const Tradebook__V1__Event *event = page.events[i];
        const Tradebook__V1__TradeClosed *trade = event->trade_closed;
        const Tradebook__V1__Signal *signal =
            (const Tradebook__V1__Signal *)tbk_store_get_id(store, store->reader, TBK_SIGNALS, i + 1);
        assert_int_equal(event->sequence, i + 1);
        assert_int_equal(event->has_previous_sequence, previous[i] != 0);
        assert_int_equal(event->previous_sequence, previous[i]);
        assert_string_equal(event->topic, topics[i]);
        assert_non_null(event->created_at);
        tbk_store_assert_equal(tbk_store_table(store, TBK_SIGNAL_RESULTS), &trade->signal_result->base,
                               results[i]);
        assert_int_equal(trade->signal_result->id, i + 1);
        assert_string_equal(trade->symbol, symbols[i]);
        assert_int_equal(trade->direction, signal->direction);
        assert_string_equal(trade->strategy, signal->strategy);
        assert_int_equal(trade->tier, signal->tier);
        assert_string_equal(trade->session, signal->session);
        assert_string_equal(trade->model_version, signal->model_version);
        assert_true(trade->confidence == signal->confidence);
        assert_false(trade->has_quantity || trade->has_fees_usd || trade->has_mode || trade->has_r_realized);
    }
}

static void test_events_end_at_each_limit(void **state)
{
    struct tbk_store *store = *state;
    close_trades(store, "BTC-USD", 6);
    struct tbk_event_query query = everything;
    query.after = 2;
    query.limit = 3;
    struct tbk_event_page page = list(store, query);
    assert_int_equal(page.count, 3);
    assert_int_equal(page.events[0]->sequence, 3);
    assert_int_equal(page.next_after, 5);
    query.bytes_max = 1;
    page = list(store, query);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.next_after, 3);
    query = everything;
    query.scan_max = 4;
    page = list(store, query);
    assert_int_equal(page.count, 4);
    assert_int_equal(page.next_after, 4);
    query.after = 6;
    page = list(store, query);
    assert_int_equal(page.count, 0);
    assert_int_equal(page.next_after, 6);
    assert_int_equal(page.range.newest, 6);
}

static size_t count_of(struct tbk_store *store, const char *topic, const char *symbol)
{
    struct tbk_event_query query = everything;
    query.topic = topic;
    query.symbol = symbol;
    const struct tbk_event_page page = list(store, query);
    for (size_t i = 0; i < page.count; i++) {
        assert_true(topic == NULL || strncmp(page.events[i]->topic, topic, strlen(topic)) == 0);
        assert_true(symbol == NULL || strcmp(page.events[i]->trade_closed->symbol, symbol) == 0);
    }
    assert_int_equal(page.next_after, 6);
    return page.count;
}

static void test_events_of_a_topic_or_symbol_are_exactly_those(void **state)
{
    struct tbk_store *store = *state;
    close_trades(store, "BTC", 1);
    close_trades(store, "BTC-USD", 2);
    close_trades(store, "BTC/USD", 3);
    assert_int_equal(count_of(store, NULL, NULL), 6);
    assert_int_equal(count_of(store, "trade.closed/", NULL), 6);
    assert_int_equal(count_of(store, "trade.closed/BTC/", NULL), 1);
    assert_int_equal(count_of(store, "trade.closed/BTC-USD/", NULL), 2);
    assert_int_equal(count_of(store, "trade.closed/BTC%2FUSD/", NULL), 3);
    assert_int_equal(count_of(store, "trade.closed/BTC/USD/", NULL), 0);
    assert_int_equal(count_of(store, "trade.closed/BTC-USD//", NULL), 0);
    assert_int_equal(count_of(store, "trade.closed/%42TC/", NULL), 0);
    assert_int_equal(count_of(store, "trade/", NULL), 0);
    assert_int_equal(count_of(store, "heartbeat/", NULL), 0);
    assert_int_equal(count_of(store, NULL, "BTC"), 1);
    assert_int_equal(count_of(store, NULL, "BTC/USD"), 3);
    assert_int_equal(count_of(store, NULL, "btc"), 0);
    assert_int_equal(count_of(store, "trade.closed/BTC/", "BTC/USD"), 0);
}

static void test_events_that_do_not_fit_are_passed_within_the_scan(void **state)
{
    struct tbk_store *store = *state;
    close_trades(store, "A", 5);
    close_trades(store, "B", 1);
    struct tbk_event_query query = everything;
    query.symbol = "B";
    query.scan_max = 3;
    struct tbk_event_page page = list(store, query);
    assert_int_equal(page.count, 0);
    assert_int_equal(page.next_after, 3);
    query.after = page.next_after;
    page = list(store, query);
    assert_int_equal(page.count, 1);
    assert_int_equal(page.next_after, 6);
}

static void test_events_rolled_back_leave_no_gap(void **state)
{
    struct tbk_store *store = *state;
    close_trades(store, "A", 1);
    tbk_store_begin(store);
    close_trade(store, "A");
    store->ops->rollback(store->writer);
    close_trades(store, "A", 1);
    expect_range(store, 1, 2);
    assert_int_equal(list(store, everything).events[1]->previous_sequence, 1);
}

static unsigned prune(struct tbk_store *store, int64_t before_us, unsigned rows_max)
{
    unsigned rows = 12345;
    tbk_store_begin(store);
    expect_ok(store, store->ops->event_prune(store->writer, before_us, rows_max, &rows, &store->error));
    tbk_store_commit(store);
    return rows;
}

static void test_events_prune_takes_the_oldest_and_keeps_the_newest(void **state)
{
    struct tbk_store *store = *state;
    assert_int_equal(prune(store, TBK_TIMESTAMP_MAX, 10), 0);
    close_trades(store, "A", 6);
    assert_int_equal(prune(store, tbk_now_us() - INT64_C(3600000000), 10), 0);
    assert_int_equal(prune(store, TBK_TIMESTAMP_MAX, 2), 2);
    expect_range(store, 3, 6);
    assert_int_equal(prune(store, TBK_TIMESTAMP_MAX, 10), 3);
    assert_int_equal(prune(store, TBK_TIMESTAMP_MAX, 10), 0);
    expect_range(store, 6, 6);
    close_trades(store, "A", 1);
    expect_range(store, 6, 7);
    assert_int_equal(list(store, everything).events[1]->previous_sequence, 6);
}

static void move(struct tbk_store *store, const char *name, int64_t sequence, bool may_go_back, int64_t now_us)
{
    tbk_store_begin(store);
    expect_ok(store, store->ops->cursor_move(store->writer, name, sequence, may_go_back, now_us, &store->error));
    tbk_store_commit(store);
}

static void expect_cursor(struct tbk_store *store, const char *name, int64_t sequence, int64_t behind,
                          int64_t created_s, int64_t updated_s)
{
    Tradebook__V1__Cursor *cursor = NULL;
    expect_ok(store, store->ops->cursor_get(store->reader, name, store->arena, &cursor, &store->error));
    assert_string_equal(cursor->name, name);
    assert_int_equal(cursor->sequence, sequence);
    assert_int_equal(cursor->behind, behind);
    assert_int_equal(cursor->created_at->seconds, created_s);
    assert_int_equal(cursor->updated_at->seconds, updated_s);
}

static void test_cursor_moves_forward_and_back_only_if_told(void **state)
{
    enum { SECOND_US = 1000000 };
    struct tbk_store *store = *state;
    close_trades(store, "A", 5);
    move(store, "risk", 2, false, 10 * SECOND_US);
    expect_cursor(store, "risk", 2, 3, 10, 10);
    move(store, "risk", 4, false, 20 * SECOND_US);
    expect_cursor(store, "risk", 4, 1, 10, 20);
    move(store, "risk", 3, false, 30 * SECOND_US);
    move(store, "risk", 4, true, 30 * SECOND_US);
    expect_cursor(store, "risk", 4, 1, 10, 20);
    move(store, "risk", 0, true, 40 * SECOND_US);
    expect_cursor(store, "risk", 0, 5, 10, 40);
    move(store, "Risk", 5, true, 50 * SECOND_US);
    expect_cursor(store, "Risk", 5, 0, 50, 50);
    expect_cursor(store, "risk", 0, 5, 10, 40);
}

static enum tbk_status try_delete(struct tbk_store *store, const char *name)
{
    tbk_store_begin(store);
    const enum tbk_status status = store->ops->cursor_delete(store->writer, name, &store->error);
    tbk_store_commit(store);
    return status;
}

static void test_cursor_deleted_is_not_found(void **state)
{
    struct tbk_store *store = *state;
    Tradebook__V1__Cursor *cursor = NULL;
    expect_status(store, try_delete(store, "risk"), TBK_NOT_FOUND);
    move(store, "risk", 0, false, 0);
    expect_ok(store, try_delete(store, "risk"));
    expect_status(store, store->ops->cursor_get(store->reader, "risk", store->arena, &cursor, &store->error),
                  TBK_NOT_FOUND);
    expect_status(store, try_delete(store, "risk"), TBK_NOT_FOUND);
}

static void test_cursors_are_listed_by_name(void **state)
{
    static const char *const names[] = {"B", "a", "b", "\xC3\xA9"};
    struct tbk_store *store = *state;
    for (int i = 3; i >= 0; i--) {
        move(store, names[i], 0, false, 0);
    }
    const char *after = "";
    for (size_t seen = 0; seen < 4; seen += 2) {
        Tradebook__V1__Cursor **cursors;
        size_t count;
        bool more;
        expect_ok(store, store->ops->cursor_list(store->reader, after, 2, store->arena, &cursors, &count, &more,
                                                 &store->error));
        assert_int_equal(count, 2);
        assert_int_equal(more, seen == 0);
        assert_string_equal(cursors[0]->name, names[seen]);
        assert_string_equal(cursors[1]->name, names[seen + 1]);
        after = cursors[1]->name;
    }
}

static bool changed(struct tbk_store *store)
{
    bool is_changed = false;
    expect_ok(store, store->ops->changed(store->reader, &is_changed, &store->error));
    return is_changed;
}

static void test_changed_tells_of_each_commit_of_others_once(void **state)
{
    struct tbk_store *store = *state;
    assert_true(changed(store));
    assert_false(changed(store));
    tbk_store_begin(store);
    close_trade(store, "A");
    assert_false(changed(store));
    tbk_store_commit(store);
    assert_true(changed(store));
    assert_false(changed(store));
    list(store, everything);
    assert_false(changed(store));
}

int tbk_contract_run_events(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_events_of_a_new_database_are_none),
        contract_test(test_events_tell_everything_of_closed_trades_in_order),
        contract_test(test_events_end_at_each_limit),
        contract_test(test_events_of_a_topic_or_symbol_are_exactly_those),
        contract_test(test_events_that_do_not_fit_are_passed_within_the_scan),
        contract_test(test_events_rolled_back_leave_no_gap),
        contract_test(test_events_prune_takes_the_oldest_and_keeps_the_newest),
        contract_test(test_cursor_moves_forward_and_back_only_if_told),
        contract_test(test_cursor_deleted_is_not_found),
        contract_test(test_cursors_are_listed_by_name),
        contract_test(test_changed_tells_of_each_commit_of_others_once),
    };
    return cmocka_run_group_tests_name("contract: events", tests, NULL, NULL);
}
