#include "json_support.h"

#include <stdlib.h>
#include <string.h>

const ProtobufCMessageDescriptor *json_test_find_type(const void *argument, const char *full_name)
{
    static const ProtobufCMessageDescriptor *const types[] = {
        &tbktest__inner__descriptor, &tbktest__types__descriptor, &google__protobuf__timestamp__descriptor};
    (void)argument;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i]->name, full_name) == 0)
            return types[i];
    }
    return NULL;
}

char *json_test_write(const void *message)
{
    static const struct tbk_json_style style = {.find_type = json_test_find_type};
    struct tbk_dynbuf out;
    struct tbk_error error;
    tbk_error_init(&error);
    tbk_dynbuf_init(&out, JSON_TEST_BYTES_MAX);
    if (tbk_json_write(message, &style, &out, &error) != TBK_OK)
        fail_msg("%s", error.message);
    return out.data;
}

enum tbk_status json_test_read(const char *text, struct tbk_arena *arena, Tbktest__Types **ret,
                               struct tbk_error *error)
{
    const struct tbk_json_source source = {.text = text, .length = strlen(text), .find_type = json_test_find_type};
    tbk_error_init(error);
    return tbk_json_read(&source, &tbktest__types__descriptor, arena, (ProtobufCMessage **)ret, error);
}
