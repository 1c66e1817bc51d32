/* tbk_query_build and page tokens. */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/timestamp.h"
#include "cmocka_all.h"
#include "query/base64url.h"
#include "query/query.h"
#include "tradebook/v1/risk.pb-c.h"
#include "tradebook/v1/signal.pb-c.h"

#define SECRET  UINT64_C(0x0123456789ABCDEF)
#define DAMAGED "it is damaged or was not made by this database; start again from the first page"
#define FOREIGN "it belongs to another list, filter or order_by; start again from the first page"

static struct tbk_schema *schema;
static struct tbk_arena *arena;
static struct tbk_error error;

static int setup_group(void **state)
{
    (void)state;
    tbk_error_init(&error);
    arena = tbk_arena_create(4096, 1 << 24);
    return arena == NULL || tbk_schema_create(&schema, &error) != TBK_OK;
}

static int teardown_group(void **state)
{
    (void)state;
    tbk_schema_destroy(schema);
    tbk_arena_destroy(arena);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    tbk_arena_reset(arena);
    return 0;
}

static enum tbk_status build(enum tbk_table_id table, const struct tbk_list_request *request,
                             struct tbk_query *query)
{
    tbk_error_init(&error);
    return tbk_query_build(&schema->tables[table], request, SECRET, arena, query, &error);
}

static void test_query_build_empty_request_is_first_default_page(void **state)
{
    (void)state;
    struct tbk_query query;
    assert_int_equal(build(TBK_SIGNALS, &(struct tbk_list_request){0}, &query), TBK_OK);
    assert_ptr_equal(query.table, &schema->tables[TBK_SIGNALS]);
    assert_null(query.filter);
    assert_null(query.after);
    assert_int_equal(query.order_count, 1);
    assert_int_equal(query.limit, TBK_PAGE_SIZE_DEFAULT);
    const uint64_t fingerprint = query.fingerprint;
    const struct tbk_list_request empty = {.page_token = "", .filter = "", .order_by = ""};
    assert_int_equal(build(TBK_SIGNALS, &empty, &query), TBK_OK);
    assert_true(query.fingerprint == fingerprint);
}

static void test_query_build_page_size_is_clamped(void **state)
{
    (void)state;
    static const struct {
        int32_t page_size;
        uint32_t limit;
    } cases[] = {{0, 50}, {1, 1}, {999, 999}, {1000, 1000}, {1001, 1000}, {INT32_MAX, 1000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_query query;
        const struct tbk_list_request request = {.has_page_size = true, .page_size = cases[i].page_size};
        assert_int_equal(build(TBK_SIGNALS, &request, &query), TBK_OK);
        assert_int_equal(query.limit, cases[i].limit);
    }
}

static void test_query_build_reports_every_violation(void **state)
{
    (void)state;
    struct tbk_query query;
    const struct tbk_list_request request = {
        .has_page_size = true, .page_size = -1, .filter = "foo = 1", .order_by = "bar", .page_token = "baz"};
    assert_int_equal(build(TBK_SIGNALS, &request, &query), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, 4);
    assert_string_equal(error.violations[0].field, "page_size");
    assert_string_equal(error.violations[0].description, "is -1; expected 1 to 1000, or 0 for the default of 50");
    assert_string_equal(error.violations[1].field, "filter");
    assert_string_equal(error.violations[2].field, "order_by");
    assert_string_equal(error.violations[3].field, "page_token");
    assert_string_equal(error.violations[3].description, DAMAGED);
}

/* A row with a value in every column the tests order by. */
static Tradebook__V1__Signal row(Google__Protobuf__Timestamp *timestamp)
{
    google__protobuf__timestamp__init(timestamp);
    timestamp->seconds = -5;
    timestamp->nanos = 250000000;
    Tradebook__V1__Signal signal = TRADEBOOK__V1__SIGNAL__INIT;
    signal.has_id = 1;
    signal.id = INT64_MAX;
    signal.timestamp = timestamp;
    signal.symbol = (char *)"BTC-\xE2\x82\xAC";
    signal.has_direction = 1;
    signal.direction = TRADEBOOK__V1__DIRECTION__DIRECTION_SHORT;
    signal.has_confidence = 1;
    signal.confidence = 0.1;
    signal.has_executed = 1;
    signal.executed = 1;
    return signal;
}

static const char *token_for(const char *filter, const char *order_by)
{
    Google__Protobuf__Timestamp timestamp;
    const Tradebook__V1__Signal signal = row(&timestamp);
    const struct tbk_list_request request = {.filter = filter, .order_by = order_by};
    struct tbk_query query;
    assert_int_equal(build(TBK_SIGNALS, &request, &query), TBK_OK);
    const char *token = tbk_page_token_create(&query, &signal.base, SECRET, arena);
    assert_non_null(token);
    return token;
}

static void test_page_token_continues_after_the_row(void **state)
{
    (void)state;
    static const char order_by[] = "timestamp desc, symbol, confidence, pnl";
    struct tbk_query query;
    struct tbk_list_request request = {.filter = "id > 5", .order_by = order_by};
    request.page_token = token_for(request.filter, order_by);
    request.has_page_size = true;
    request.page_size = 7; /* may change from page to page */
    assert_int_equal(build(TBK_SIGNALS, &request, &query), TBK_OK);
    const struct tbk_value *after = query.after;
    assert_non_null(after);
    assert_int_equal(query.order_count, 5);
    assert_int_equal(after[0].type, TBK_VALUE_TIMESTAMP);
    assert_int_equal(after[0].timestamp_us, -4750000);
    assert_int_equal(after[1].type, TBK_VALUE_TEXT);
    assert_int_equal(after[1].text.length, 7);
    assert_string_equal(after[1].text.data, "BTC-\xE2\x82\xAC");
    assert_int_equal(after[2].type, TBK_VALUE_REAL);
    assert_true(after[2].real == 0.1);
    assert_int_equal(after[3].type, TBK_VALUE_NULL);
    assert_int_equal(after[4].type, TBK_VALUE_INTEGER);
    assert_true(after[4].integer == INT64_MAX);

    request = (struct tbk_list_request){.order_by = "direction,executed",
                                        .page_token = token_for(NULL, "direction,executed")};
    assert_int_equal(build(TBK_SIGNALS, &request, &query), TBK_OK);
    assert_int_equal(query.after[0].integer, TRADEBOOK__V1__DIRECTION__DIRECTION_SHORT);
    assert_int_equal(query.after[1].integer, 1);
}

static void test_page_token_text_key_and_long_text_round_trip(void **state)
{
    (void)state;
    static char notes[100000];
    memset(notes, 'n', sizeof notes - 1);
    Tradebook__V1__RiskSnapshot snapshot = TRADEBOOK__V1__RISK_SNAPSHOT__INIT;
    snapshot.signal_id = notes;
    struct tbk_query query;
    struct tbk_list_request request = {0};
    assert_int_equal(build(TBK_RISK_BOOK_SNAPSHOTS, &request, &query), TBK_OK);
    request.page_token = tbk_page_token_create(&query, &snapshot.base, SECRET, arena);
    assert_non_null(request.page_token);
    assert_int_equal(
        strspn(request.page_token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        strlen(request.page_token));
    assert_int_equal(build(TBK_RISK_BOOK_SNAPSHOTS, &request, &query), TBK_OK);
    assert_int_equal(query.after[0].text.length, sizeof notes - 1);
    assert_string_equal(query.after[0].text.data, notes);
}

static void assert_refused(enum tbk_table_id table, const struct tbk_list_request *request,
                           const char *description)
{
    struct tbk_query query;
    assert_int_equal(build(table, request, &query), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, 1);
    assert_string_equal(error.violations[0].field, "page_token");
    assert_string_equal(error.violations[0].description, description);
    assert_null(query.after);
}

static void test_page_token_of_another_query_is_refused(void **state)
{
    (void)state;
    const char *token = token_for("id > 5", "symbol");
    assert_refused(TBK_SIGNALS, &(struct tbk_list_request){.page_token = token}, FOREIGN);
    assert_refused(TBK_SIGNALS,
                   &(struct tbk_list_request){.filter = "id > 6", .order_by = "symbol", .page_token = token},
                   FOREIGN);
    assert_refused(TBK_SIGNALS,
                   &(struct tbk_list_request){.filter = "id > 5", .order_by = "session", .page_token = token},
                   FOREIGN);
    assert_refused(TBK_SIGNAL_RESULTS, &(struct tbk_list_request){.page_token = token_for(NULL, NULL)}, FOREIGN);
}

static void test_page_token_of_another_secret_is_refused(void **state)
{
    (void)state;
    const struct tbk_list_request request = {.page_token = token_for(NULL, NULL)};
    struct tbk_query query;
    tbk_error_init(&error);
    assert_int_equal(tbk_query_build(&schema->tables[TBK_SIGNALS], &request, SECRET + 1, arena, &query, &error),
                     TBK_INVALID_ARGUMENT);
    assert_string_equal(error.violations[0].description, DAMAGED);
}

static void test_page_token_damaged_is_refused(void **state)
{
    (void)state;
    static const char *const others[] = {"x", "====", "' OR 1=1 --", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_refused(TBK_SIGNALS, &(struct tbk_list_request){.page_token = others[i]}, DAMAGED);
    }
    char *token = strdup(token_for(NULL, "symbol"));
    const size_t length = strlen(token);
    for (size_t i = 0; i < length; i++) {
        const char kept = token[i];
        token[i] = kept == 'A' ? 'B' : 'A';
        assert_refused(TBK_SIGNALS, &(struct tbk_list_request){.order_by = "symbol", .page_token = token},
                       DAMAGED);
        token[i] = '\0';
        if (i > 0) {
            assert_refused(TBK_SIGNALS, &(struct tbk_list_request){.order_by = "symbol", .page_token = token},
                           DAMAGED);
        }
        token[i] = kept;
    }
    free(token);
}

/* A token with the right checksum and fingerprint, as only someone who knows the
 * secret can make it. */
static char *forge(uint64_t fingerprint, const void *values, size_t length)
{
    uint8_t *bytes = malloc(17 + length);
    bytes[0] = 1;
    memcpy(bytes + 1, &fingerprint, 8);
    memcpy(bytes + 9, values, length);
    const uint64_t checksum = XXH3_64bits_withSeed(bytes, 9 + length, SECRET);
    memcpy(bytes + 9 + length, &checksum, 8);
    char *text = malloc(tbk_base64url_encoded_length(17 + length) + 1);
    tbk_base64url_encode(bytes, 17 + length, text);
    free(bytes);
    return text;
}

#define ID "\x01\x01\0\0\0\0\0\0\0"

static void test_page_token_wrong_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *order_by;
        const char *values;
        size_t length;
        bool valid;
    } cases[] = {
#define VALUES(text) text, sizeof(text) - 1
        {"symbol", VALUES("\x03\x03\0\0\0abc" ID), true},
        {"symbol", VALUES("\x00" ID), true},
        {"symbol", VALUES(""), false},
        {"symbol", VALUES("\x03\x03\0\0\0abc"), false},
        {"symbol", VALUES("\x03\x03\0\0\0abc" ID "\0"), false},
        {"symbol", VALUES("\x03\x03\0\0\0abc\x00"), false},
        {"symbol",
         VALUES("\x03\xFF\xFF\xFF\xFF"
                "abc" ID),
         false},
        {"symbol", VALUES("\x03\x03\0\0"), false},
        {"symbol", VALUES("\x03\x03\0\0\0a\0c" ID), false},
        {"symbol",
         VALUES("\x03\x03\0\0\0a\xFF"
                "c" ID),
         false},
        {"symbol", VALUES("\x05" ID), false},
        {"symbol", VALUES("\x01\0\0\0\0\0\0\0\0" ID), false},
        {"id", VALUES("\x01\0\0\0\0\0\0\0"), false},
        {"id", VALUES("\x02\0\0\0\0\0\0\0\0"), false},
        {"confidence", VALUES("\x02\0\0\0\0\0\0\xF0\x7F" ID), true},
        {"confidence", VALUES("\x02\0\0\0\0\0\0\xF8\x7F" ID), false},
        {"confidence", VALUES("\x01\0\0\0\0\0\0\0\0" ID), false},
        {"executed", VALUES("\x01\x01\0\0\0\0\0\0\0" ID), true},
        {"executed", VALUES("\x01\x02\0\0\0\0\0\0\0" ID), false},
        {"tier", VALUES("\x01\x00\0\0\0\0\0\0\0" ID), true},
        {"tier", VALUES("\x01\x03\0\0\0\0\0\0\0" ID), true},
        {"tier", VALUES("\x01\x04\0\0\0\0\0\0\0" ID), false},
        {"tier", VALUES("\x01\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF" ID), false},
        {"tier", VALUES("\x01\x03\0\0\0\x01\0\0\0" ID), false},
        {"timestamp", VALUES("\x04\0\0\0\0\0\0\0\0" ID), true},
        {"timestamp", VALUES("\x04\0\0\0\0\0\0\0\x80" ID), false},
        {"timestamp", VALUES("\x04\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F" ID), false},
        {"timestamp", VALUES("\x01\0\0\0\0\0\0\0\0" ID), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_query query;
        struct tbk_list_request request = {.order_by = cases[i].order_by};
        assert_int_equal(build(TBK_SIGNALS, &request, &query), TBK_OK);
        char *token = forge(query.fingerprint, cases[i].values, cases[i].length);
        request.page_token = token;
        if (!cases[i].valid) {
            assert_refused(TBK_SIGNALS, &request, FOREIGN);
        } else if (build(TBK_SIGNALS, &request, &query) != TBK_OK) {
            fail_msg("case %zu is refused", i);
        }
        free(token);
    }
    struct tbk_query query;
    struct tbk_list_request request = {0};
    assert_int_equal(build(TBK_SIGNALS, &request, &query), TBK_OK);
    char *token = forge(query.fingerprint, "\0", 1); /* the key is never NULL */
    request.page_token = token;
    assert_refused(TBK_SIGNALS, &request, FOREIGN);
    free(token);
}

static void test_query_build_memory_exhausted_is_resource_exhausted(void **state)
{
    (void)state;
    const struct tbk_list_request request = {
        .filter = "symbol = 'x'", .order_by = "symbol", .page_token = token_for("symbol = 'x'", "symbol")};
    enum tbk_status status = TBK_UNKNOWN;
    int failures = 0;
    for (size_t bytes_max = 0; status != TBK_OK; bytes_max += 16) {
        struct tbk_arena *small = tbk_arena_create(0, bytes_max);
        struct tbk_query query;
        tbk_error_init(&error);
        status = tbk_query_build(&schema->tables[TBK_SIGNALS], &request, SECRET, small, &query, &error);
        if (status != TBK_OK) {
            assert_int_equal(status, TBK_RESOURCE_EXHAUSTED);
            failures++;
        }
        tbk_arena_destroy(small);
    }
    assert_true(failures > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_query_build_empty_request_is_first_default_page, setup),
        cmocka_unit_test_setup(test_query_build_page_size_is_clamped, setup),
        cmocka_unit_test_setup(test_query_build_reports_every_violation, setup),
        cmocka_unit_test_setup(test_page_token_continues_after_the_row, setup),
        cmocka_unit_test_setup(test_page_token_text_key_and_long_text_round_trip, setup),
        cmocka_unit_test_setup(test_page_token_of_another_query_is_refused, setup),
        cmocka_unit_test_setup(test_page_token_of_another_secret_is_refused, setup),
        cmocka_unit_test_setup(test_page_token_damaged_is_refused, setup),
        cmocka_unit_test_setup(test_page_token_wrong_values_are_refused, setup),
        cmocka_unit_test_setup(test_query_build_memory_exhausted_is_resource_exhausted, setup),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
