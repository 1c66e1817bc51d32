/* What goes in comes out: the extremes of every kind of column. */
#include <float.h>
#include <string.h>

#include "base/timestamp.h"
#include "contract.h"

/* Writes value into a column of a new row and reads the row back. */
static struct tbk_value round_trip(struct tbk_store *store, enum tbk_table_id id, const char *name,
                                   struct tbk_value value, int64_t number)
{
    const struct tbk_table *table = tbk_store_table(store, id);
    const struct tbk_column *column = tbk_store_column(table, name);
    ProtobufCMessage *message = tbk_store_message(store, id, TBK_FILL_MANDATORY, number);
    tbk_store_set(store, message, column, value);
    tbk_store_begin(store);
    const int64_t key = tbk_store_insert(store, id, message);
    tbk_store_commit(store);
    const ProtobufCMessage *row = table->key->kind == TBK_COLUMN_INTEGER
                                      ? tbk_store_get_id(store, store->reader, id, key)
                                      : tbk_store_get(store, store->reader, id, message);
    return tbk_column_get(column, row);
}

static void expect_text(struct tbk_store *store, enum tbk_table_id id, const char *column, const char *text,
                        int64_t number)
{
    const struct tbk_value value = round_trip(store, id, column, tbk_value_text(text), number);
    assert_int_equal(value.type, TBK_VALUE_TEXT);
    assert_string_equal(value.text.data, text);
}

static void test_timestamps_keep_every_microsecond(void **state)
{
    static const int64_t moments[] = {
        TBK_TIMESTAMP_MIN, /* 0001-01-01 00:00:00.000000 */
        TBK_TIMESTAMP_MIN + 1,
        TBK_TIMESTAMP_MAX, /* 9999-12-31 23:59:59.999999 */
        TBK_TIMESTAMP_MAX - 1,
        -1,
        0,
        1,
        999999,
        INT64_C(951782400000000),   /* 2000-02-29 */
        INT64_C(-2208988800000000), /* 1900-01-01 */
        INT64_C(1760054427659044),
    };
    struct tbk_store *store = *state;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        struct tbk_value value =
            round_trip(store, TBK_SIGNALS, "timestamp", tbk_value_timestamp(moments[i]), (int64_t)i);
        assert_int_equal(value.type, TBK_VALUE_TIMESTAMP);
        assert_true(value.timestamp_us == moments[i]);
        value =
            round_trip(store, TBK_RISK_BOOK_SNAPSHOTS, "exit_time", tbk_value_timestamp(moments[i]), (int64_t)i);
        assert_true(value.timestamp_us == moments[i]);
    }
}

static void test_integers_keep_all_64_bits(void **state)
{
    static const int64_t integers[] = {
        INT64_MIN,        INT64_MIN + 1,          INT64_MAX, INT64_MAX - 1, -1, 0, 1,
        INT64_C(1) << 53, (INT64_C(1) << 53) + 1, 65536,
    };
    struct tbk_store *store = *state;
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        const struct tbk_value value =
            round_trip(store, TBK_PATTERNS, "total", tbk_value_integer(integers[i]), (int64_t)i);
        assert_int_equal(value.type, TBK_VALUE_INTEGER);
        assert_true(value.integer == integers[i]);
    }
}

static void test_doubles_keep_every_bit(void **state)
{
    static const double doubles[] = {
        0.1,
        1.0 / 3,
        3.0,
        -3.0,
        0.453853387350591,
        67123.45,
        1e-7,
        1e15,
        1e22,
        1e300,
        DBL_MAX,
        -DBL_MAX,
        DBL_MIN,
        DBL_TRUE_MIN,
        -DBL_TRUE_MIN,
        DBL_EPSILON,
        1 + DBL_EPSILON,
        9007199254740993.0,
        9.223372036854775807e18,
        5e-310,
    };
    struct tbk_store *store = *state;
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        const struct tbk_value value =
            round_trip(store, TBK_SIGNALS, "ensemble_prediction", tbk_value_real(doubles[i]), (int64_t)i);
        assert_int_equal(value.type, TBK_VALUE_REAL);
        assert_memory_equal(&value.real, &doubles[i], sizeof doubles[i]);
    }
}

static void test_negative_zero_stays_zero(void **state)
{
    const struct tbk_value value = round_trip(*state, TBK_SIGNALS, "pnl", tbk_value_real(-0.0), 0);
    assert_int_equal(value.type, TBK_VALUE_REAL);
    assert_true(value.real == 0);
}

static void test_booleans_tell_false_true_and_absent(void **state)
{
    static const struct {
        enum tbk_table_id table;
        const char *column;
    } columns[] = {{TBK_SIGNALS, "executed"}, {TBK_THEORY_PERFORMANCE, "was_correct"}};
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        struct tbk_value value = round_trip(store, columns[i].table, columns[i].column, tbk_value_integer(0), 0);
        assert_int_equal(value.type, TBK_VALUE_INTEGER);
        assert_int_equal(value.integer, 0);
        value = round_trip(store, columns[i].table, columns[i].column, tbk_value_integer(1), 0);
        assert_int_equal(value.integer, 1);
        value = round_trip(store, columns[i].table, columns[i].column, tbk_value_null(), 0);
        assert_int_equal(value.type, TBK_VALUE_NULL);
    }
}

static void test_enumerations_keep_every_value(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 100);
    int64_t number = 0;
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const struct tbk_table *table = tbk_store_table(store, (enum tbk_table_id)t);
        for (unsigned i = 0; i < table->column_count; i++) {
            const struct tbk_column *column = &table->columns[i];
            for (int value = 1; column->kind == TBK_COLUMN_ENUM && value < TBK_ENUM_VALUES_MAX; value++) {
                if (tbk_column_enum_text(column, value) == NULL) {
                    continue;
                }
                const struct tbk_value read =
                    round_trip(store, (enum tbk_table_id)t, column->name, tbk_value_integer(value), number++);
                assert_int_equal(read.type, TBK_VALUE_INTEGER);
                assert_int_equal(read.integer, value);
            }
        }
    }
}

static void test_text_keeps_every_character(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "  both ends  ",
        "'; DROP TABLE signals; --",
        "100 % of _ \\ \" ` ' ?1 :a @b $c",
        "line\nbreak\r\n\ttab",
        "na\xc3\xafve R\xc3\xa9gime \xe2\x82\xac", /* 2 and 3 bytes */
        "\xf0\x9f\x9a\x80 \xf4\x8f\xbf\xbf",       /* 4 bytes, the last of all */
        "e\xcc\x81 \xc3\xa9",                      /* not normalised */
        "\xef\xbb\xbf with a mark",                /* byte order mark */
        "\xe2\x80\xae reversed \xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7",
        "NULL",
        "0",
        "1e5",
        "007",
    };
    struct tbk_store *store = *state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        expect_text(store, TBK_SIGNALS, "notes", texts[i], (int64_t)i);
        expect_text(store, TBK_MODEL_DEPLOYMENTS, "model_path", texts[i], (int64_t)i);
    }
}

static void test_text_as_long_as_its_column_fits(void **state)
{
    struct tbk_store *store = *state;
    tbk_store_insert_signals(store, 1);
    int64_t number = 0;
    for (int t = 0; t < TBK_TABLE_COUNT; t++) {
        const struct tbk_table *table = tbk_store_table(store, (enum tbk_table_id)t);
        for (unsigned i = 0; i < table->column_count; i++) {
            const struct tbk_column *column = &table->columns[i];
            if (column->kind != TBK_COLUMN_TEXT || column->chars_max == 0) {
                continue;
            }
            /* chars_max characters of 4 bytes each */
            char *text = tbk_arena_alloc(store->arena, 4 * (size_t)column->chars_max + 1);
            for (size_t c = 0; c < column->chars_max; c++) {
                memcpy(text + 4 * c, "\xf0\x9f\x93\x88", 4);
            }
            text[4 * (size_t)column->chars_max] = '\0';
            const bool results = t == TBK_SIGNAL_RESULTS || t == TBK_THEORY_PERFORMANCE;
            expect_text(store, (enum tbk_table_id)t, column->name, text, results ? 0 : number++);
        }
    }
}

static void test_text_of_a_megabyte_fits(void **state)
{
    enum { BYTES = 1 << 20 };
    struct tbk_store *store = *state;
    char *text = tbk_arena_alloc(store->arena, BYTES + 1);
    for (size_t i = 0; i < BYTES; i++) {
        text[i] = (char)('a' + i % 23);
    }
    text[BYTES] = '\0';
    expect_text(store, TBK_SIGNALS, "notes", text, 0);
}

static void test_json_keeps_its_text(void **state)
{
    static const char *const documents[] = {
        "{}",
        "[]",
        "{\"accuracy\": 0.659, \"loss\": 0.50, \"epochs\": 31}",
        "{\"b\":1,\"a\":2,  \"nested\":[1,2.0,{\"x\":null}]}",
        "{\"unit\":\"\\u20ac\",\"name\":\"\xe2\x82\xac\"}",
    };
    struct tbk_store *store = *state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        expect_text(store, TBK_MODEL_DEPLOYMENTS, "metrics_json", documents[i], (int64_t)i);
    }
}

int tbk_contract_run_values(void)
{
    const struct CMUnitTest tests[] = {
        contract_test(test_timestamps_keep_every_microsecond),
        contract_test(test_integers_keep_all_64_bits),
        contract_test(test_doubles_keep_every_bit),
        contract_test(test_negative_zero_stays_zero),
        contract_test(test_booleans_tell_false_true_and_absent),
        contract_test(test_enumerations_keep_every_value),
        contract_test(test_text_keeps_every_character),
        contract_test(test_text_as_long_as_its_column_fits),
        contract_test(test_text_of_a_megabyte_fits),
        contract_test(test_json_keeps_its_text),
    };
    return cmocka_run_group_tests_name("contract: values", tests, NULL, NULL);
}
