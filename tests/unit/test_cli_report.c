#include <stdio.h>
#include <string.h>

#include "cli/field_path.h"
#include "cli/flat.h"
#include "cli/report_kinds.h"
#include "cmocka_all.h"
#include "tradebook/client.h"
#include "tradebook/v1/analytics.pb-c.h"

static const ProtobufCMessageDescriptor *message_at(const ProtobufCMessageDescriptor *descriptor, const char *path)
{
    if (path[0] == '\0')
        return descriptor;
    const ProtobufCFieldDescriptor *field = tbk_field_resolve(descriptor, path);
    assert_non_null(field);
    assert_int_equal(field->type, PROTOBUF_C_TYPE_MESSAGE);
    return field->descriptor;
}

/* Whether figures of this form can be made of such a field. */
static bool fits(enum tbk_figure_form form, const ProtobufCFieldDescriptor *field)
{
    switch (form) {
    case TBK_FIGURE_TEXT:
        return field->type == PROTOBUF_C_TYPE_STRING;
    case TBK_FIGURE_ENUM:
        return field->type == PROTOBUF_C_TYPE_ENUM;
    case TBK_FIGURE_DATE:
    case TBK_FIGURE_TIME:
        return field->type == PROTOBUF_C_TYPE_MESSAGE &&
               strcmp(((const ProtobufCMessageDescriptor *)field->descriptor)->name,
                      "google.protobuf.Timestamp") == 0;
    case TBK_FIGURE_ID:
    case TBK_FIGURE_COUNT:
    case TBK_FIGURE_DURATION:
    case TBK_FIGURE_MINUTES:
        return field->type == PROTOBUF_C_TYPE_INT64;
    case TBK_FIGURE_PROPORTION:
    case TBK_FIGURE_RATE_DIFFERENCE:
    case TBK_FIGURE_GAIN_DIFFERENCE:
        return field->type == PROTOBUF_C_TYPE_MESSAGE && tbk_field_resolve(field->descriptor, "value") != NULL &&
               tbk_field_resolve(field->descriptor, "lower") != NULL &&
               tbk_field_resolve(field->descriptor, "upper") != NULL;
    default:
        return field->type == PROTOBUF_C_TYPE_DOUBLE;
    }
}

static void check_figures(const struct tbk_report_section *section, const ProtobufCMessageDescriptor *subject)
{
    for (size_t i = 0; i < section->figure_count; i++) {
        const ProtobufCFieldDescriptor *field = tbk_field_resolve(subject, section->figures[i].path);
        if (field == NULL || !fits(section->figures[i].form, field))
            fail_msg("%s: %s", subject->name, section->figures[i].path);
    }
}

static void test_report_columns_exist_and_have_the_type_of_their_form(void **state)
{
    (void)state;
    for (size_t r = 0; r < tbk_report_count; r++) {
        const ProtobufCMethodDescriptor *method = tradebook_method(tbk_reports[r].method);
        assert_non_null(method);
        for (size_t s = 0; s < tbk_reports[r].section_count; s++) {
            const struct tbk_report_section *section = &tbk_reports[r].sections[s];
            assert_true(section->append != NULL || section->figure_count > 0);
            if (section->rows != NULL)
                check_figures(section, message_at(method->output, section->rows));
            for (size_t i = 0; i < section->subject_count; i++)
                check_figures(section, message_at(method->output, section->subjects[i].path));
        }
    }
}

static void test_report_csv_names_messages_of_the_response(void **state)
{
    (void)state;
    for (size_t r = 0; r < tbk_report_count; r++) {
        const struct tbk_report *report = &tbk_reports[r];
        const ProtobufCMessageDescriptor *response = tradebook_method(report->method)->output;
        assert_true((report->csv_rows != NULL) != (report->csv_one != NULL));
        message_at(response, report->csv_rows != NULL ? report->csv_rows : report->csv_one);
        assert_true(((report->options & TBK_REPORT_BY) != 0) == (report->csv_by != NULL));
    }
}

static void test_flat_names_and_values_stand_in_the_same_columns(void **state)
{
    (void)state;
    Tradebook__V1__Proportion rate = TRADEBOOK__V1__PROPORTION__INIT;
    rate.has_value = 1, rate.value = 0.5;
    rate.has_n = 1, rate.n = 4;
    Tradebook__V1__ReliabilityBin bin = TRADEBOOK__V1__RELIABILITY_BIN__INIT;
    bin.has_confidence_max = 1, bin.confidence_max = 0.1;
    bin.win_rate = &rate;
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, 1000);
    tbk_flat_header(bin.base.descriptor, &text);
    tbk_flat_row(bin.base.descriptor, &bin.base, &text);
    bin.win_rate = NULL;
    tbk_flat_row(bin.base.descriptor, &bin.base, &text);
    tbk_flat_row(bin.base.descriptor, NULL, &text);
    assert_string_equal(tbk_dynbuf_text(&text),
                        "confidence_min,confidence_max,mean_confidence,win_rate,win_rate_lower,win_rate_upper,"
                        "win_rate_n\r\n"
                        ",0.1,,0.5,,,4\r\n"
                        ",0.1,,,,,\r\n"
                        ",,,,,,\r\n");
    tbk_dynbuf_fini(&text);
}

static void test_flat_performance_adds_no_prefix_and_repeated_fields_no_column(void **state)
{
    (void)state;
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, 10000);
    tbk_flat_header(&tradebook__v1__performance_group__descriptor, &text);
    assert_memory_equal(tbk_dynbuf_text(&text), "value,n,wins,losses,", strlen("value,n,wins,losses,"));
    tbk_dynbuf_clear(&text);
    tbk_flat_header(&tradebook__v1__compare_strategies_response__descriptor, &text);
    assert_non_null(strstr(tbk_dynbuf_text(&text), ",a_strategy,a_signals,a_n,a_wins,"));
    assert_null(strstr(tbk_dynbuf_text(&text), "definition"));
    tbk_dynbuf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report_columns_exist_and_have_the_type_of_their_form),
        cmocka_unit_test(test_report_csv_names_messages_of_the_response),
        cmocka_unit_test(test_flat_names_and_values_stand_in_the_same_columns),
        cmocka_unit_test(test_flat_performance_adds_no_prefix_and_repeated_fields_no_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
