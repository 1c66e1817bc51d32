#include <string.h>

#include "base/dynbuf.h"
#include "cmocka_all.h"
#include "query/query.h"

static struct tbk_schema *schema;
static struct tbk_error error;

static int setup_group(void **state)
{
    (void)state;
    tbk_error_init(&error);
    return tbk_schema_create(&schema, &error) != TBK_OK;
}

static int teardown_group(void **state)
{
    (void)state;
    tbk_schema_destroy(schema);
    return 0;
}

static void test_order_valid_text_ends_with_key(void **state)
{
    (void)state;
    static const struct {
        enum tbk_table_id table;
        const char *text;
        const char *order;
    } cases[] = {
        {TBK_SIGNALS, "", "id+"},
        {TBK_SIGNALS, " \t", "id+"},
        {TBK_SIGNALS, "id", "id+"},
        {TBK_SIGNALS, "id desc", "id-"},
        {TBK_SIGNALS, "timestamp desc", "timestamp-id-"},
        {TBK_SIGNALS, "timestamp DESC,id asc", "timestamp-id+"},
        {TBK_SIGNALS, " symbol , confidence  Desc , tier asc ", "symbol+confidence-tier+id+"},
        {TBK_SIGNALS, "symbol,tier,session,pnl desc", "symbol+tier+session+pnl-id-"},
        {TBK_SIGNALS, "symbol,id,tier,session", "symbol+id+"},
        {TBK_RISK_BOOK_SNAPSHOTS, "", "signal_id+"},
        {TBK_RISK_BOOK_SNAPSHOTS, "entry_time desc", "entry_time-signal_id-"},
    };
    struct tbk_dynbuf out;
    tbk_dynbuf_init(&out, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_query query;
        tbk_error_init(&error);
        assert_int_equal(tbk_order_parse(&schema->tables[cases[i].table], cases[i].text, &query, &error), TBK_OK);
        tbk_dynbuf_clear(&out);
        for (unsigned f = 0; f < query.order_count; f++) {
            tbk_dynbuf_printf(&out, "%s%c", query.order[f].column->name, query.order[f].descending ? '-' : '+');
        }
        assert_string_equal(tbk_dynbuf_text(&out), cases[i].order);
    }
    tbk_dynbuf_fini(&out);
}

static void test_order_invalid_text_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *violations[3];
    } cases[] = {
        {"foo", {"expected a field of Signal, found foo"}},
        {"Symbol", {"expected a field of Signal, found Symbol"}},
        {"symbol; DROP TABLE signals", {"expected a field of Signal, found symbol;"}},
        {"symbol,symbol desc", {"symbol is named twice"}},
        {"id,symbol,id", {"id is named twice"}},
        {"id,foo", {"expected a field of Signal, found foo"}},
        {"symbol up", {"expected asc, desc or a comma after the field, found up"}},
        {"symbol desc tier", {"expected a comma after asc or desc, found tier"}},
        {"symbol tier", {"expected asc, desc or a comma after the field, found tier"}},
        {",",
         {"expected a field between the commas, found nothing",
          "expected a field between the commas, found nothing"}},
        {"symbol,", {"expected a field between the commas, found nothing"}},
        {"symbol,tier,session,pnl,notes", {"more than 4 fields"}},
        {"a,b desc,c up",
         {"expected a field of Signal, found a", "expected a field of Signal, found b",
          "expected a field of Signal, found c"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tbk_query query;
        tbk_error_init(&error);
        assert_int_equal(tbk_order_parse(&schema->tables[TBK_SIGNALS], cases[i].text, &query, &error),
                         TBK_INVALID_ARGUMENT);
        size_t count = 0;
        while (count < 3 && cases[i].violations[count] != NULL) {
            assert_string_equal(error.violations[count].field, "order_by");
            assert_string_equal(error.violations[count].description, cases[i].violations[count]);
            count++;
        }
        assert_int_equal(error.violation_count, count);
    }
}

static void test_order_long_hostile_text_stops_at_the_limit(void **state)
{
    (void)state;
    static char text[100000];
    memset(text, ',', sizeof text - 1);
    struct tbk_query query;
    tbk_error_init(&error);
    assert_int_equal(tbk_order_parse(&schema->tables[TBK_SIGNALS], text, &query, &error), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, TBK_ORDER_FIELDS_MAX + 1);
    memset(text, 'x', sizeof text - 1);
    tbk_error_init(&error);
    assert_int_equal(tbk_order_parse(&schema->tables[TBK_SIGNALS], text, &query, &error), TBK_INVALID_ARGUMENT);
    assert_int_equal(error.violation_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_valid_text_ends_with_key),
        cmocka_unit_test(test_order_invalid_text_is_refused),
        cmocka_unit_test(test_order_long_hostile_text_stops_at_the_limit),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
