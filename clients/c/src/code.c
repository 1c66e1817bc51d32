#include "tradebook/client.h"

static const char *const code_names[] = {
    [TRADEBOOK_OK] = "OK",
    [TRADEBOOK_CANCELLED] = "CANCELLED",
    [TRADEBOOK_UNKNOWN] = "UNKNOWN",
    [TRADEBOOK_INVALID_ARGUMENT] = "INVALID_ARGUMENT",
    [TRADEBOOK_DEADLINE_EXCEEDED] = "DEADLINE_EXCEEDED",
    [TRADEBOOK_NOT_FOUND] = "NOT_FOUND",
    [TRADEBOOK_ALREADY_EXISTS] = "ALREADY_EXISTS",
    [TRADEBOOK_PERMISSION_DENIED] = "PERMISSION_DENIED",
    [TRADEBOOK_RESOURCE_EXHAUSTED] = "RESOURCE_EXHAUSTED",
    [TRADEBOOK_FAILED_PRECONDITION] = "FAILED_PRECONDITION",
    [TRADEBOOK_ABORTED] = "ABORTED",
    [TRADEBOOK_OUT_OF_RANGE] = "OUT_OF_RANGE",
    [TRADEBOOK_UNIMPLEMENTED] = "UNIMPLEMENTED",
    [TRADEBOOK_INTERNAL] = "INTERNAL",
    [TRADEBOOK_UNAVAILABLE] = "UNAVAILABLE",
    [TRADEBOOK_DATA_LOSS] = "DATA_LOSS",
    [TRADEBOOK_UNAUTHENTICATED] = "UNAUTHENTICATED",
};

const char *tradebook_code_name(enum tradebook_code code)
{
    size_t position = (size_t)code;
    return position < sizeof code_names / sizeof *code_names ? code_names[position] : "UNKNOWN";
}

const char *tradebook_version(void)
{
    return TRADEBOOK_VERSION;
}
