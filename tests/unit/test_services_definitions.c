#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cmocka_all.h"
#include "services/analytics_definitions.h"

enum { NAMES_MAX = 128, NAME_CHARS_MAX = 96 };

struct names {
    char list[NAMES_MAX][NAME_CHARS_MAX];
    size_t count;
};

static bool contains(const struct names *names, const char *name)
{
    size_t i = 0;
    while (i < names->count && strcmp(names->list[i], name) != 0) {
        i++;
    }
    return i < names->count;
}

/* Whether a message is told by figures of its own: not the basis, no stored row. */
static bool has_figures(const ProtobufCMessageDescriptor *message)
{
    return message != &tradebook__v1__basis__descriptor && message != &tradebook__v1__pattern__descriptor &&
           message != &google__protobuf__timestamp__descriptor;
}

static bool is_figure(const ProtobufCFieldDescriptor *field)
{
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        return field->descriptor == &tradebook__v1__proportion__descriptor ||
               field->descriptor == &tradebook__v1__drawdown__descriptor ||
               field->descriptor == &tradebook__v1__profit_figures__descriptor;
    }
    return field->type != PROTOBUF_C_TYPE_STRING;
}

/* The figures that a message of this type can hold, by its descriptor alone. */
static void expect(const ProtobufCMessageDescriptor *message, struct names *names)
{
    for (unsigned i = 0; i < message->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->fields[i];
        char name[NAME_CHARS_MAX];
        snprintf(name, sizeof name, "%s.%s", message->short_name, field->name);
        if (is_figure(field) && !contains(names, name)) {
            assert_in_range(names->count, 0, NAMES_MAX - 1);
            memcpy(names->list[names->count++], name, sizeof name);
        }
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && has_figures(field->descriptor)) {
            expect(field->descriptor, names);
        }
    }
}

static const ProtobufCMessageDescriptor *const responses[] = {
    &tradebook__v1__get_performance_response__descriptor,
    &tradebook__v1__get_equity_curve_response__descriptor,
    &tradebook__v1__get_performance_series_response__descriptor,
    &tradebook__v1__compare_strategies_response__descriptor,
    &tradebook__v1__rank_theories_response__descriptor,
    &tradebook__v1__rank_patterns_response__descriptor,
    &tradebook__v1__get_calibration_response__descriptor,
};

static void test_definitions_each_response_are_of_exactly_its_figures(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof responses / sizeof responses[0]; r++) {
        struct names expected = {.count = 0};
        expect(responses[r], &expected);
        struct tbk_arena *arena = tbk_arena_create(16 * 1024, 1 << 20);
        Tradebook__V1__Basis basis = TRADEBOOK__V1__BASIS__INIT;
        assert_true(tbk_definitions_of(responses[r], arena, &basis));
        struct names seen = {.count = 0};
        for (size_t i = 0; i < basis.n_definitions; i++) {
            const char *name = basis.definitions[i]->figure;
            if (!contains(&expected, name) || contains(&seen, name)) {
                fail_msg("%s: %s is no figure of it, or is defined twice", responses[r]->short_name, name);
            }
            snprintf(seen.list[seen.count++], NAME_CHARS_MAX, "%s", name);
            assert_true(basis.definitions[i]->definition[0] != 0);
        }
        for (size_t i = 0; i < expected.count; i++) {
            if (!contains(&seen, expected.list[i])) {
                fail_msg("%s: %s is not defined", responses[r]->short_name, expected.list[i]);
            }
        }
        tbk_arena_destroy(arena);
    }
}

static void test_definitions_without_memory_is_told(void **state)
{
    (void)state;
    struct tbk_arena *arena = tbk_arena_create(256, 256);
    Tradebook__V1__Basis basis = TRADEBOOK__V1__BASIS__INIT;
    assert_false(tbk_definitions_of(responses[0], arena, &basis));
    tbk_arena_destroy(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definitions_each_response_are_of_exactly_its_figures),
        cmocka_unit_test(test_definitions_without_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
