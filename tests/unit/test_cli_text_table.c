#include <stdlib.h>
#include <string.h>

#include "cli/text_table.h"
#include "cmocka_all.h"

static const struct tbk_text_column columns[] = {{"id", true}, {"name", false}, {"note", false}};

static void add_row(struct tbk_text_table *table, const char *id, const char *name, const char *note)
{
    tbk_text_table_cell(table, id, strlen(id));
    tbk_text_table_cell(table, name, strlen(name));
    tbk_text_table_cell(table, note, strlen(note));
}

struct output {
    char *text;
    size_t length;
    FILE *file;
    struct tbk_text_table *table;
};

static void output_open(struct output *output, size_t width_max, bool bold)
{
    output->file = open_memstream(&output->text, &output->length);
    output->table = tbk_text_table_create(output->file, columns, 3, width_max, bold);
    assert_non_null(output->table);
}

static void output_check(struct output *output, const char *expected)
{
    assert_true(tbk_text_table_flush(output->table));
    tbk_text_table_destroy(output->table);
    fclose(output->file);
    assert_string_equal(output->text, expected);
    free(output->text);
}

static void test_text_table_without_terminal_aligns_by_first_page_and_cuts_nothing(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 0, false);
    add_row(output.table, "1", "BTC-USD", "x");
    add_row(output.table, "100", "", "\xE2\x82\xAC");
    assert_true(tbk_text_table_flush(output.table));
    add_row(output.table, "2", "A longer name", "y");
    output_check(&output, " id  name     note\n"
                          "  1  BTC-USD  x\n"
                          "100           \xE2\x82\xAC\n"
                          "  2  A longer name  y\n");
}

static void test_text_table_on_terminal_cuts_text_not_numbers(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 51, false);
    add_row(output.table, "1234567", "a name of twenty-five ch.", "a note of 29 characters, long");
    assert_true(tbk_text_table_flush(output.table));
    add_row(output.table, "12345678", "a", "b");
    output_check(&output, "     id  name                  note\n"
                          "1234567  a name of twenty-fi\xE2\x80\xA6  a note of 29 charac\xE2\x80\xA6\n"
                          "12345678  a                     b\n");
}

static void test_text_table_on_narrow_terminal_cuts_lines(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 10, false);
    add_row(output.table, "1", "abcdefghijklm", "z");
    output_check(&output, "id  name \xE2\x80\xA6\n"
                          " 1  abcde\xE2\x80\xA6\n");
}

static void test_text_table_header_is_bold_when_asked(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 0, true);
    output_check(&output, "\033[1mid  name  note\033[0m\n");
}

static void test_text_table_control_characters_are_escaped(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 0, false);
    add_row(output.table, "1", "a\nb\tc\033[1m",
            "\xC2\x9B"
            "2J \xFF");
    output_check(&output, "id  name            note\n"
                          " 1  a\\nb\\tc\\x1B[1m  \\x9B2J \\xFF\n");
}

static void add_toned_row(struct tbk_text_table *table)
{
    tbk_text_table_toned_cell(table, TBK_TONE_GAIN, "+5", strlen("+5"));
    tbk_text_table_toned_cell(table, TBK_TONE_LOSS, "lost\n", strlen("lost\n"));
    tbk_text_table_toned_cell(table, TBK_TONE_NONE, "z", strlen("z"));
}

static void test_text_table_tones_take_no_width(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 0, true);
    add_row(output.table, "100", "a", "b");
    add_toned_row(output.table);
    output_check(&output, "\033[1m id  name    note\033[0m\n"
                          "100  a       b\n"
                          " \033[32m+5\033[0m  \033[31mlost\\n\033[0m  z\n");
}

static void test_text_table_cut_tone_is_ended(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 8, true);
    add_toned_row(output.table);
    output_check(&output, "\033[1mid  nam\xE2\x80\xA6\033[0m\n"
                          "\033[32m+5\033[0m  \033[31mlos\xE2\x80\xA6\033[0m\n");
}

static void test_text_table_without_style_shows_no_tone(void **state)
{
    (void)state;
    struct output output;
    output_open(&output, 0, false);
    add_toned_row(output.table);
    output_check(&output, "id  name    note\n"
                          "+5  lost\\n  z\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_table_without_terminal_aligns_by_first_page_and_cuts_nothing),
        cmocka_unit_test(test_text_table_on_terminal_cuts_text_not_numbers),
        cmocka_unit_test(test_text_table_on_narrow_terminal_cuts_lines),
        cmocka_unit_test(test_text_table_header_is_bold_when_asked),
        cmocka_unit_test(test_text_table_control_characters_are_escaped),
        cmocka_unit_test(test_text_table_tones_take_no_width),
        cmocka_unit_test(test_text_table_cut_tone_is_ended),
        cmocka_unit_test(test_text_table_without_style_shows_no_tone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
