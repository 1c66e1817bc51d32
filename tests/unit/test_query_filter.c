#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/dynbuf.h"
#include "base/text.h"
#include "base/timestamp.h"
#include "cmocka_all.h"
#include "query/query.h"

static struct tbk_schema *schema;
static struct tbk_arena *arena;
static struct tbk_error error;

static int setup_group(void **state)
{
    (void)state;
    tbk_error_init(&error);
    arena = tbk_arena_create(4096, 1 << 20);
    return arena == NULL || tbk_schema_create(&schema, &error) != TBK_OK;
}

static int teardown_group(void **state)
{
    (void)state;
    tbk_schema_destroy(schema);
    tbk_arena_destroy(arena);
    return 0;
}

static void print_value(const struct tbk_filter *node, struct tbk_dynbuf *out)
{
    char text[TBK_DOUBLE_CHARS_MAX];
    switch (node->value.type) {
    case TBK_VALUE_NULL:
        tbk_dynbuf_puts(out, "NULL");
        break;
    case TBK_VALUE_INTEGER:
        if (node->column->kind == TBK_COLUMN_ENUM) {
            tbk_dynbuf_puts(out, tbk_column_enum_text(node->column, (int)node->value.integer));
        } else {
            tbk_dynbuf_printf(out, "%lld", (long long)node->value.integer);
        }
        break;
    case TBK_VALUE_REAL:
        tbk_double_format(node->value.real, text);
        tbk_dynbuf_puts(out, text);
        break;
    case TBK_VALUE_TEXT:
        assert_int_equal(strlen(node->value.text.data), node->value.text.length);
        tbk_dynbuf_printf(out, "[%s]", node->value.text.data);
        break;
    case TBK_VALUE_TIMESTAMP:
        tbk_timestamp_format(node->value.timestamp_us, text);
        tbk_dynbuf_printf(out, "{%s}", text);
        break;
    }
}

/* The tree as an s-expression: (and (= tier high) (> confidence 0.65)). */
static void print(const struct tbk_filter *node, struct tbk_dynbuf *out)
{
    static const char *const comparisons[] = {"=", "!=", "<", "<=", ">", ">="};
    static const char *const joins[] = {
        [TBK_FILTER_AND] = "and", [TBK_FILTER_OR] = "or", [TBK_FILTER_NOT] = "not"};
    if (node == NULL) {
        tbk_dynbuf_puts(out, "all");
        return;
    }
    if (node->kind == TBK_FILTER_COMPARE) {
        tbk_dynbuf_printf(out, "(%s %s ", comparisons[node->comparison], node->column->name);
        print_value(node, out);
    } else {
        tbk_dynbuf_printf(out, "(%s", joins[node->kind]);
        for (const struct tbk_filter *operand = node->first; operand != NULL; operand = operand->next) {
            tbk_dynbuf_putc(out, ' ');
            print(operand, out);
        }
    }
    tbk_dynbuf_putc(out, ')');
}

static enum tbk_status parse(enum tbk_table_id table, const char *text, const struct tbk_filter **ret_filter)
{
    tbk_arena_reset(arena);
    tbk_error_init(&error);
    return tbk_filter_parse(&schema->tables[table], text, arena, ret_filter, &error);
}

static void test_filter_valid_text_is_the_expected_tree(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *tree;
    } cases[] = {
        {"", "all"},
        {" \t\r\n", "all"},
        {"symbol = 'BTC-USD'", "(= symbol [BTC-USD])"},
        {"symbol=\"BTC-USD\"", "(= symbol [BTC-USD])"},
        {"symbol = ''", "(= symbol [])"},
        {"symbol = 'it''s'", "(= symbol [it's])"},
        {"symbol = '''' AND notes = '\"'", "(and (= symbol [']) (= notes [\"]))"},
        {"notes = \"say \"\"it's\"\"\"", "(= notes [say \"it's\"])"},
        {"notes = 'C:\\temp\\'", "(= notes [C:\\temp\\])"},
        {"notes = 'line\nbreak'", "(= notes [line\nbreak])"},
        {"notes = 'NULL AND (x'", "(= notes [NULL AND (x])"},
        {"notes = '%_; DROP TABLE signals; --'", "(= notes [%_; DROP TABLE signals; --])"},
        {"notes > '\xC3\xA9'", "(> notes [\xC3\xA9])"},
        {"tier = high", "(= tier high)"},
        {"tier = 'High' AND tier != \"TIER_LOW\"", "(and (= tier high) (!= tier low))"},
        {"direction=LONG", "(= direction long)"},
        {"id = -9223372036854775808", "(= id -9223372036854775808)"},
        {"id<9223372036854775807", "(< id 9223372036854775807)"},
        {"id >= +5 and id <= 7", "(and (>= id 5) (<= id 7))"},
        {"confidence>0.65", "(> confidence 0.65)"},
        {"confidence != -.5e-1", "(!= confidence -0.05)"},
        {"confidence = 1", "(= confidence 1)"},
        {"confidence = 1.", "(= confidence 1)"},
        {"pnl<1E5", "(< pnl 100000)"},
        {"executed = true", "(= executed 1)"},
        {"executed != FALSE", "(!= executed 0)"},
        {"executed = 1 OR executed = 0", "(or (= executed 1) (= executed 0))"},
        {"timestamp >= '2026-01-31T12:00:00+01:00'", "(>= timestamp {2026-01-31 11:00:00.000000})"},
        {"timestamp < \"2026-01-31 12:00:00.5\"", "(< timestamp {2026-01-31 12:00:00.500000})"},
        {"timestamp = '2026-01-31'", "(= timestamp {2026-01-31 00:00:00.000000})"},
        {"result = NULL", "(= result NULL)"},
        {"pnl != null", "(!= pnl NULL)"},
        {"notes = NULL OR executed = NULL OR exit_time != NULL OR id != NULL",
         "(or (= notes NULL) (= executed NULL) (!= exit_time NULL) (!= id NULL))"},
        {"tier = 'high' AND confidence > 0.65", "(and (= tier high) (> confidence 0.65))"},
        {"id=1 AND id=2 AND id=3", "(and (= id 1) (= id 2) (= id 3))"},
        {"id=1 OR (id=2 AND id=3)", "(or (= id 1) (and (= id 2) (= id 3)))"},
        {"(id=1 OR id=2) AND id=3", "(and (or (= id 1) (= id 2)) (= id 3))"},
        {"((id=1))", "(= id 1)"},
        {"(id=1)AND(id=2)", "(and (= id 1) (= id 2))"},
        {"NOT id=1", "(not (= id 1))"},
        {"not (id=1 or id=2)", "(not (or (= id 1) (= id 2)))"},
        {"NOT id=1 AND NOT id=2", "(and (not (= id 1)) (not (= id 2)))"},
        {"NOT NOT id=1", "(= id 1)"},
        {"NOT NOT NOT (NOT id=1)", "(not (not (= id 1)))"},
        {"id=1 AND (NOT(id=2)OR id=3) AND id=4", "(and (= id 1) (or (not (= id 2)) (= id 3)) (= id 4))"},
    };
    struct tbk_dynbuf out;
    tbk_dynbuf_init(&out, 4096);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tbk_filter *filter = NULL;
        if (parse(TBK_SIGNALS, cases[i].text, &filter) != TBK_OK) {
            fail_msg("%s: %s", cases[i].text, error.violations[0].description);
        }
        tbk_dynbuf_clear(&out);
        print(filter, &out);
        assert_string_equal(tbk_dynbuf_text(&out), cases[i].tree);
    }
    tbk_dynbuf_fini(&out);
}

static void test_filter_invalid_text_is_one_violation_with_position(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *violation;
    } cases[] = {
        {"foo = 1", "at character 1: expected a field of Signal, found foo"},
        {"id = 1 AND signal.id = 2", "at character 12: expected a field of Signal, found signal.id"},
        {"ID = 1", "at character 1: expected a field of Signal, found ID"},
        {"signals", "at character 1: expected a field of Signal, found signals"},
        {"  'high' = tier", "at character 3: expected a field, NOT or (, found 'high'"},
        {"id", "at character 3: expected =, !=, <, <=, > or >=, found the end of the filter"},
        {"id 1", "at character 4: expected =, !=, <, <=, > or >=, found 1"},
        {"id : 1", "at character 4: expected =, !=, <, <=, > or >=, found :"},
        {"id ! 1", "at character 4: expected =, !=, <, <=, > or >=, found !"},
        {"id LIKE 1", "at character 4: expected =, !=, <, <=, > or >=, found LIKE"},
        {"id =", "at character 5: expected a whole number or NULL, found the end of the filter"},
        {"id == 1", "at character 5: expected a whole number or NULL, found ="},
        {"id = 1.0", "at character 6: expected a whole number or NULL, found 1.0"},
        {"id = 1e3", "at character 6: expected a whole number or NULL, found 1e3"},
        {"id = '1'", "at character 6: expected a whole number or NULL, found '1'"},
        {"id = 0x10", "at character 6: expected a whole number or NULL, found 0x10"},
        {"id = 9223372036854775808",
         "at character 6: expected a number of at most 64 bits, found 9223372036854775808"},
        {"id = 10days", "at character 6: expected a whole number or NULL, found 10days"},
        {"id = -", "at character 6: expected a whole number or NULL, found -"},
        {"id = 1e+", "at character 6: expected a whole number or NULL, found 1e"},
        {"confidence = nan", "at character 14: expected a number or NULL, found nan"},
        {"confidence = Infinity", "at character 14: expected a number or NULL, found Infinity"},
        {"confidence = 1e999", "at character 14: expected a number that a double can hold, found 1e999"},
        {"confidence = entry_price", "at character 14: expected a number or NULL, found entry_price"},
        {"confidence = '0.5'", "at character 14: expected a number or NULL, found '0.5'"},
        {"executed = 2", "at character 12: expected true, false or NULL, found 2"},
        {"executed = 'true'", "at character 12: expected true, false or NULL, found 'true'"},
        {"executed > 0", "at character 10: executed has no order; expected = or !="},
        {"tier < high", "at character 6: tier has no order; expected = or !="},
        {"tier = huge", "at character 8: expected low, medium, high or NULL, found huge"},
        {"tier = 'huge'", "at character 8: expected low, medium, high or NULL, found 'huge'"},
        {"tier = ''", "at character 8: expected low, medium, high or NULL, found ''"},
        {"tier = unspecified", "at character 8: expected low, medium, high or NULL, found unspecified"},
        {"tier = 3", "at character 8: expected low, medium, high or NULL, found 3"},
        {"symbol = BTC", "at character 10: expected text in quotes or NULL, found BTC"},
        {"symbol = 5", "at character 10: expected text in quotes or NULL, found 5"},
        {"symbol = 'BTC", "at character 10: the text that begins here has no closing '"},
        {"symbol = \"BTC'", "at character 10: the text that begins here has no closing \""},
        {"symbol = 'it''", "at character 10: the text that begins here has no closing '"},
        {"symbol = '\xE2\x82\xAC\xC3\xA9' AND foo = 1", "at character 19: expected a field of Signal, found foo"},
        {"symbol = \xE2\x82\xAC", "at character 10: expected text in quotes or NULL, found \xE2\x82\xAC"},
        {"timestamp > 2026-01-31",
         "at character 13: expected a timestamp such as '2026-01-31T12:00:00Z' or NULL, found 2026"},
        {"timestamp > 'yesterday'",
         "at character 13: expected a timestamp such as '2026-01-31T12:00:00Z' or NULL, found 'yesterday'"},
        {"timestamp > '2026-02-30'",
         "at character 13: expected a timestamp such as '2026-01-31T12:00:00Z' or NULL, found '2026-02-30'"},
        {"pnl > NULL", "at character 5: NULL has no order; expected = or !="},
        {"id = 1 id = 2", "at character 8: expected AND, OR or the end of the filter, found id"},
        {"id = 1, id = 2", "at character 7: expected AND, OR or the end of the filter, found ,"},
        {"id = 1;", "at character 7: expected AND, OR or the end of the filter, found ;"},
        {"id = 1)", "at character 7: expected AND, OR or the end of the filter, found )"},
        {"id = 1 AND", "at character 11: expected a field, NOT or (, found the end of the filter"},
        {"id = 1 AND AND id = 2", "at character 12: expected a field of Signal, found AND"},
        {"AND id = 1", "at character 1: expected a field of Signal, found AND"},
        {"NOT", "at character 4: expected a field, NOT or (, found the end of the filter"},
        {"()", "at character 2: expected a field, NOT or (, found )"},
        {"id = 1 OR (id = 2", "at character 11: this ( is never closed"},
        {"(id = 1 id = 2)", "at character 9: expected AND, OR or ), found id"},
        {"id = 1 AND id = 2 OR id = 3",
         "at character 19: AND and OR are mixed; add parentheses that say which belongs together"},
        {"(id = 1 OR id = 2 AND id = 3)",
         "at character 19: AND and OR are mixed; add parentheses that say which belongs together"},
        {"abcdefghijklmnopqrstuvwxyz0123456789 = 1",
         "at character 1: expected a field of Signal, found abcdefghijklmnopqrstuvwxyz012345..."},
        {"symbol = = 'x'", "at character 10: expected text in quotes or NULL, found ="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tbk_filter *filter = NULL;
        if (parse(TBK_SIGNALS, cases[i].text, &filter) != TBK_INVALID_ARGUMENT) {
            fail_msg("%s: accepted", cases[i].text);
        }
        assert_null(filter);
        assert_int_equal(error.violation_count, 1);
        assert_string_equal(error.violations[0].field, "filter");
        assert_string_equal(error.violations[0].description, cases[i].violation);
    }
}

static void test_filter_found_text_is_cut_at_character(void **state)
{
    (void)state;
    const struct tbk_filter *filter = NULL;
    for (size_t lead = 0; lead < 4; lead++) {
        char text[128];
        int length = snprintf(text, sizeof text, "id = '%.*s", (int)lead, "aaaa");
        for (int i = 0; i < 20; i++) {
            length += snprintf(text + length, sizeof text - (size_t)length, "\xE2\x82\xAC");
        }
        text[length] = '\'';
        text[length + 1] = '\0';
        assert_int_equal(parse(TBK_SIGNALS, text, &filter), TBK_INVALID_ARGUMENT);
        const char *description = error.violations[0].description;
        assert_true(tbk_utf8_valid(description, strlen(description)));
        assert_non_null(strstr(description, "\xE2\x82\xAC..."));
    }
}

static void test_filter_names_resource_and_fields_of_its_table(void **state)
{
    (void)state;
    const struct tbk_filter *filter = NULL;
    assert_int_equal(parse(TBK_RISK_BOOK_SNAPSHOTS, "mode = 'live' AND result = NULL", &filter), TBK_OK);
    assert_int_equal(parse(TBK_RISK_BOOK_SNAPSHOTS, "symbol = 'x'", &filter), TBK_INVALID_ARGUMENT);
    assert_string_equal(error.violations[0].description,
                        "at character 1: expected a field of RiskSnapshot, found symbol");
}

/* prefix, then unit count times, then suffix. */
static char *repeat(const char *prefix, const char *unit, size_t count, const char *suffix)
{
    struct tbk_dynbuf out;
    tbk_dynbuf_init(&out, 100000);
    tbk_dynbuf_puts(&out, prefix);
    for (size_t i = 0; i < count; i++) {
        tbk_dynbuf_puts(&out, unit);
    }
    tbk_dynbuf_puts(&out, suffix);
    assert_false(tbk_dynbuf_failed(&out));
    return out.data;
}

static void check_limit(char *text, const char *violation)
{
    const struct tbk_filter *filter = NULL;
    const enum tbk_status status = parse(TBK_SIGNALS, text, &filter);
    free(text);
    if (violation == NULL) {
        assert_int_equal(status, TBK_OK);
        assert_non_null(filter);
    } else {
        assert_int_equal(status, TBK_INVALID_ARGUMENT);
        assert_string_equal(error.violations[0].description, violation);
    }
}

static void test_filter_length_limit_is_exact(void **state)
{
    (void)state;
    check_limit(repeat("notes = '", "x", TBK_FILTER_BYTES_MAX - 10, "'"), NULL);
    check_limit(repeat("notes = '", "x", TBK_FILTER_BYTES_MAX - 9, "'"),
                "at character 4097: the filter is longer than 4096 bytes");
    check_limit(repeat("", " ", TBK_FILTER_BYTES_MAX + 1, ""),
                "at character 4097: the filter is longer than 4096 bytes");
    check_limit(repeat("notes = '", "\xC3\xA9", 2044, "'"),
                "at character 2053: the filter is longer than 4096 bytes");
}

static void test_filter_comparison_limit_is_exact(void **state)
{
    (void)state;
    check_limit(repeat("id=1", " OR id=1", TBK_FILTER_COMPARISONS_MAX - 1, ""), NULL);
    check_limit(repeat("id=1", " OR id=1", TBK_FILTER_COMPARISONS_MAX, ""),
                "at character 513: more than 64 comparisons");
}

static void test_filter_depth_limit_is_exact(void **state)
{
    (void)state;
    char *close = repeat("id=1", ")", TBK_FILTER_DEPTH_MAX, "");
    check_limit(repeat("", "(", TBK_FILTER_DEPTH_MAX, close), NULL);
    check_limit(repeat("", "NOT(", TBK_FILTER_DEPTH_MAX, close), NULL);
    check_limit(repeat("(", "(", TBK_FILTER_DEPTH_MAX, close),
                "at character 17: more than 16 levels of parentheses");
    /* Levels count, not parentheses. */
    check_limit(repeat("(id=1)", " AND (id=1)", 40, ""), NULL);
    free(close);
    check_limit(repeat("", "NOT ", 1000, "id=1"), NULL);
    check_limit(repeat("", "(", 4000, ""), "at character 17: more than 16 levels of parentheses");
}

/* Every memory limit from none to enough ends in OK or RESOURCE_EXHAUSTED. */
static void test_filter_memory_exhausted_is_resource_exhausted(void **state)
{
    (void)state;
    static const char text[] =
        "(symbol = 'BTC-USD' AND NOT id = 5) OR confidence > 0.5 OR timestamp > '2026-01-01'";
    enum tbk_status status = TBK_UNKNOWN;
    int failures = 0;
    for (size_t bytes_max = 0; status != TBK_OK; bytes_max += 16) {
        struct tbk_arena *small = tbk_arena_create(0, bytes_max);
        const struct tbk_filter *filter = NULL;
        tbk_error_init(&error);
        status = tbk_filter_parse(&schema->tables[TBK_SIGNALS], text, small, &filter, &error);
        if (status != TBK_OK) {
            assert_int_equal(status, TBK_RESOURCE_EXHAUSTED);
            assert_true(strlen(error.message) > 0);
            failures++;
        }
        tbk_arena_destroy(small);
    }
    assert_true(failures > 10);
}

/* Cut, doubled and altered filters: nothing but a clean answer, under the
 * sanitizers too. */
static void test_filter_mutations_are_accepted_or_refused(void **state)
{
    (void)state;
    static const char original[] =
        "(tier = 'high' AND NOT confidence >= 0.65e-1) OR timestamp < \"2026-01-31T12:00:00Z\" OR id != NULL";
    static const char bytes[] = "()'\"=!<>.eE+-0 aN\n\xC3\xA9\xFF";
    for (size_t position = 0; position < sizeof original; position++) {
        for (size_t b = 0; b < sizeof bytes; b++) {
            char *text = strdup(original);
            text[position] = bytes[b];
            text[sizeof original - 1] = '\0';
            const struct tbk_filter *filter = NULL;
            if (parse(TBK_SIGNALS, text, &filter) != TBK_OK) {
                assert_int_equal(error.status, TBK_INVALID_ARGUMENT);
                assert_int_equal(error.violation_count, 1);
            }
            free(text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter_valid_text_is_the_expected_tree),
        cmocka_unit_test(test_filter_invalid_text_is_one_violation_with_position),
        cmocka_unit_test(test_filter_found_text_is_cut_at_character),
        cmocka_unit_test(test_filter_names_resource_and_fields_of_its_table),
        cmocka_unit_test(test_filter_length_limit_is_exact),
        cmocka_unit_test(test_filter_comparison_limit_is_exact),
        cmocka_unit_test(test_filter_depth_limit_is_exact),
        cmocka_unit_test(test_filter_memory_exhausted_is_resource_exhausted),
        cmocka_unit_test(test_filter_mutations_are_accepted_or_refused),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
