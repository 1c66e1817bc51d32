#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

enum tradebook_code tbk_client_error_set(struct tradebook_error *error, enum tradebook_code code,
                                         const char *format, ...)
{
    if (error == NULL) {
        return code;
    }
    error->code = code;
    error->violation_count = 0;
    error->details_bytes = 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
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
    to->details_bytes = from->details_bytes;
    memcpy(to->details, from->details, from->details_bytes);
}
