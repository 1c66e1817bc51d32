#include "messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/catalog.h"
#include "json/json_read.h"
#include "json/json_write.h"

enum { JSON_BYTES_MAX = 16 * 1024 * 1024 };

static struct tbk_catalog *catalog;

static void insist(enum tbk_status status, const struct tbk_error *error)
{
    if (status != TBK_OK) {
        fprintf(stderr, "%s\n", error->message);
        abort();
    }
}

void messages_open(void)
{
    struct tbk_error error;
    tbk_error_init(&error);
    insist(tbk_catalog_create(&catalog, &error), &error);
}

void messages_close(void)
{
    tbk_catalog_destroy(catalog);
}

/* Text of protobuf-c ends at NUL. Another control character stands for it, which the
 * server must refuse as well. */
static void replace_nul(char *json)
{
    static const char nul[] = "\\u0000";
    for (char *found = strstr(json, nul); found != NULL; found = strstr(found, nul)) {
        memcpy(found, "\\u0001", sizeof nul - 1);
    }
}

ProtobufCMessage *message_of_json(const json_t *json, const ProtobufCMessageDescriptor *descriptor,
                                  struct tbk_arena *arena)
{
    char *text = json_dumps(json, JSON_COMPACT);
    replace_nul(text);
    const struct tbk_json_source source = {
        .text = text, .length = strlen(text), .find_type = tbk_catalog_find_type, .find_type_argument = catalog};
    ProtobufCMessage *message = NULL;
    struct tbk_error error;
    tbk_error_init(&error);
    insist(tbk_json_read(&source, descriptor, arena, &message, &error), &error);
    free(text);
    return message;
}

void append_json(const ProtobufCMessage *message, struct tbk_dynbuf *out)
{
    const struct tbk_json_style style = {.find_type = tbk_catalog_find_type, .find_type_argument = catalog};
    struct tbk_error error;
    tbk_error_init(&error);
    insist(tbk_json_write(message, &style, out, &error), &error);
}

json_t *json_of_message(const ProtobufCMessage *message)
{
    if (message == NULL) {
        return json_object();
    }
    struct tbk_dynbuf text;
    tbk_dynbuf_init(&text, JSON_BYTES_MAX);
    append_json(message, &text);
    json_t *json = json_loads(text.data, 0, NULL);
    tbk_dynbuf_fini(&text);
    return json;
}
