#include "variables.h"

#include <string.h>

#include "base/dynbuf.h"
#include "cmocka_all.h"

enum { TEXT_BYTES_MAX = 1024 * 1024 };

/* The value of the variable that begins here, "${name}"; its end is returned, too. */
static json_t *variable_at(const char *text, const json_t *variables, const char **ret_end)
{
    const char *name = text + 2;
    size_t length = strcspn(name, "}");
    json_t *value = json_object_getn(variables, name, length);
    if (value == NULL) {
        fail_msg("nothing is saved as %s", text);
    }
    *ret_end = name + length + 1;
    return value;
}

/* text has a variable. */
static json_t *fill_text(const char *text, const json_t *variables)
{
    struct tbk_dynbuf filled;
    tbk_dynbuf_init(&filled, TEXT_BYTES_MAX);
    const char *next = text;
    const char *start = NULL;
    while ((start = strstr(next, "${")) != NULL) {
        tbk_dynbuf_append(&filled, next, (size_t)(start - next));
        json_t *value = variable_at(start, variables, &next);
        if (start == text && *next == '\0') {
            tbk_dynbuf_fini(&filled);
            return json_incref(value);
        }
        assert_true(json_is_string(value));
        tbk_dynbuf_puts(&filled, json_string_value(value));
    }
    tbk_dynbuf_puts(&filled, next);
    json_t *result = json_string(tbk_dynbuf_text(&filled));
    tbk_dynbuf_fini(&filled);
    return result;
}

json_t *fill_variables(json_t *value, const json_t *variables)
{
    if (json_is_string(value) && strstr(json_string_value(value), "${") != NULL) {
        return fill_text(json_string_value(value), variables);
    }
    if (json_is_array(value)) {
        json_t *filled = json_array();
        for (size_t i = 0; i < json_array_size(value); i++) {
            json_array_append_new(filled, fill_variables(json_array_get(value, i), variables));
        }
        return filled;
    }
    if (json_is_object(value)) {
        json_t *filled = json_object();
        const char *name = NULL;
        json_t *member = NULL;
        json_object_foreach(value, name, member)
        {
            json_object_set_new(filled, name, fill_variables(member, variables));
        }
        return filled;
    }
    return json_incref(value);
}
