#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

static void set_message(struct tradebook_error *error, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

static void set_message(struct tradebook_error *error, const char *format, va_list arguments)
{
    vsnprintf(error->message, sizeof error->message, format, arguments);
}

enum tradebook_code tbk_client_error_set(struct tradebook_error *error, enum tradebook_code code,
                                         const char *format, ...)
{
    if (error == NULL) {
        return code;
    }
    error->code = code;
    error->violation_count = 0;
    va_list arguments;
    va_start(arguments, format);
    set_message(error, format, arguments);
    va_end(arguments);
    return code;
}

void tbk_client_error_copy(struct tradebook_error *to, const struct tradebook_error *from)
{
    if (to == NULL) {
        return;
    }
    to->code = from->code;
    snprintf(to->message, sizeof to->message, "%s", from->message);
    to->violation_count = from->violation_count;
    memcpy(to->violations, from->violations, from->violation_count * sizeof *from->violations);
}
